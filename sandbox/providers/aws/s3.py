"""Amazon S3: a bucket and its settings, each a resource of its own as pulumi-aws 7 has them.

Source: terraform-provider-aws 6.x (2026), internal/service/s3/bucket.go, bucket_versioning.go,
bucket_lifecycle_configuration.go, bucket_server_side_encryption_configuration.go, bucket_public_access_block.go,
bucket_ownership_controls.go, bucket_policy.go.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.providers._diff import by, same_policy
from sandbox.providers._resource import (
    Autoname,
    Inputs,
    Prop,
    ProviderError,
    between,
    fields,
    given,
    is_policy,
    matches,
    one_of,
)
from sandbox.providers._values import Properties
from sandbox.providers.aws import _session
from sandbox.providers.aws._base import AwsResource, camel, pascal, tag_list, tag_map, tagging
from sandbox.providers.aws._session import Aws


def _bucket_name(name: Any) -> str | None:
    """What S3 refuses as a bucket's name, and `-x-s3`, which is a directory bucket's."""
    if reason := matches(r"[a-z0-9][a-z0-9.-]*[a-z0-9]", 3, 63)(name):
        return reason
    if ".." in name or re.fullmatch(r"(\d{1,3}\.){3}\d{1,3}", name):
        return f"must not have two periods in a row, nor the form of an IP address, got {name}"
    return f"must not end with --x-s3, got {name}" if name.endswith("--x-s3") else None


class Bucket(AwsResource):
    """A bucket. The settings that pulumi-aws keeps here for old programs are types of their own: use those."""

    type_name = "aws:s3/bucket:Bucket"
    title = "S3 Bucket"
    tagged = tagging("s3", "Bucket")  # for the properties; the calls are below
    autoname = Autoname("bucket", max_length=63, lower=True)
    named_by = "bucket"
    inputs: ClassVar[Inputs] = {
        "bucket": Prop(str, computed=True, force_new=True, check=_bucket_name),
        "forceDestroy": Prop(bool, default=False, unread=True),
        "objectLockEnabled": Prop(bool, computed=True, force_new=True, unread=True),
    }
    computed = ("arn", "bucketDomainName", "bucketRegion", "bucketRegionalDomainName", "hostedZoneId")

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateBucket; in us-east-1, where S3 would answer "OK" for a bucket that one owns already, after HeadBucket."""
        client, name = aws.client("s3"), new["bucket"]
        standard = aws.region == "us-east-1"
        if standard and _exists(client, name):
            raise ProviderError("BucketAlreadyExists")
        # us-east-1 is the one Region that must not be named.
        place = None if standard else {"LocationConstraint": aws.region}
        client.create_bucket(
            Bucket=name,
            ACL="private",
            **given(CreateBucketConfiguration=place, ObjectLockEnabledForBucket=new.get("objectLockEnabled")),
        )
        return name

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        if new["tagsAll"]:
            _put_tags(aws.client("s3"), resource_id, tag_list(new["tagsAll"]))

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """HeadBucket and its tags. One that HeadBucket is refused for is gone, whatever the reason."""
        client = aws.client("s3")
        if not _exists(client, resource_id):
            return None
        tags = _tags(client, resource_id)
        return {
            "arn": f"arn:{aws.partition}:s3:::{resource_id}",
            "bucket": resource_id,
            "bucketDomainName": f"{resource_id}.s3.{aws.dns_suffix}",
            "bucketRegionalDomainName": f"{resource_id}.s3.{aws.region}.{aws.dns_suffix}",
            "bucketRegion": aws.region,
            "tagsAll": tag_map(tags),
        }

    def retag(self, aws: Aws, resource_id: str, old: Properties, new: Properties) -> None:
        """All at once, as S3 wants them; those of others stay."""
        client = aws.client("s3")
        ours = {*(old.get("tagsAll") or {}), *(new["tagsAll"] or {})}
        others = [tag for tag in _tags(client, resource_id) if tag["Key"] not in ours]
        _put_tags(client, resource_id, [*tag_list(new["tagsAll"]), *others])

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteBucket; with `forceDestroy` once more after its objects."""
        client = aws.client("s3")
        try:
            client.delete_bucket(Bucket=resource_id)
        except client.exceptions.ClientError as error:
            if _session.code(error) != "BucketNotEmpty" or not old.get("forceDestroy"):
                raise
            _empty(client, resource_id)
            client.delete_bucket(Bucket=resource_id)


def _exists(client: Any, bucket: str) -> bool:
    """As the official plugin finds a bucket: an error of HeadBucket, a refusal as well, means that there is none."""
    try:
        client.head_bucket(Bucket=bucket)
    except client.exceptions.ClientError:
        return False
    return True


def _tags(client: Any, bucket: str) -> list[dict[str, str]]:
    try:
        return client.get_bucket_tagging(Bucket=bucket)["TagSet"]
    except client.exceptions.ClientError as error:
        if _session.code(error) != "NoSuchTagSet":
            raise
        return []


def _put_tags(client: Any, bucket: str, tags: list[dict[str, str]]) -> None:
    if tags:
        client.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    else:
        client.delete_bucket_tagging(Bucket=bucket)


def _empty(client: Any, bucket: str) -> None:
    """Delete a bucket's objects, with all their versions; an object that S3 keeps is an error."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in entries]
        if not objects:
            continue
        answer = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        for kept in answer.get("Errors", []):
            raise ProviderError(f"emptying S3 Bucket ({bucket}): {kept.get('Code')}: {kept.get('Message')}")


class _BucketSetting(AwsResource):
    """A setting of a bucket: one object per bucket, whose id is the bucket's name. `call` is how the names of S3's calls end."""

    call: ClassVar[str]
    named_by = "bucket"

    def wanted(self, new: Properties) -> dict[str, Any]:
        """The setting as the put call takes it."""
        return self.sent(new)

    def found(self, answer: Mapping[str, Any]) -> Properties:
        """The setting as the get call tells it; a "not found" of S3's means that there is none."""
        return self.told(answer)

    def create(self, aws: Aws, new: Properties) -> str:
        self.modify(aws, new["bucket"], {}, new, ())
        return new["bucket"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        answer = getattr(aws.client("s3"), f"get_{self.call}")(Bucket=resource_id)
        return {**self.found(answer), "bucket": resource_id}

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        getattr(aws.client("s3"), f"put_{self.call}")(Bucket=resource_id, **self.wanted(new))

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        getattr(aws.client("s3"), f"delete_{self.call}")(Bucket=resource_id)


_BUCKET = {"bucket": Prop(str, required=True, force_new=True)}


class BucketPolicy(_BucketSetting):
    """A bucket's policy."""

    type_name = "aws:s3/bucketPolicy:BucketPolicy"
    title = "S3 Bucket Policy"
    call = "bucket_policy"
    inputs: ClassVar[Inputs] = {
        **_BUCKET,
        "policy": Prop(str, aws="Policy", required=True, same=same_policy, check=is_policy),
    }


class BucketVersioning(_BucketSetting):
    """A bucket's versioning, without the deletion with a code."""

    type_name = "aws:s3/bucketVersioning:BucketVersioning"
    title = "S3 Bucket Versioning"
    call = "bucket_versioning"
    inputs: ClassVar[Inputs] = {
        **_BUCKET,
        "versioningConfiguration": Prop(
            dict,
            required=True,
            check=fields("status", only=("status",), status=one_of("Enabled", "Suspended", "Disabled")),
        ),
    }

    def check_change(self, aws: Aws, old: Properties, new: Properties) -> Iterable[str]:
        """S3 can suspend it, never disable it."""
        before, after = ((props.get("versioningConfiguration") or {}).get("status") for props in (old, new))
        if before in ("Enabled", "Suspended") and after == "Disabled":
            yield f"versioning_configuration.status cannot be updated from '{before}' to 'Disabled'"

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """PutBucketVersioning; "Disabled" is the state of a bucket that never had it."""
        if new["versioningConfiguration"]["status"] != "Disabled":
            super().modify(aws, resource_id, old, new, changed)

    def wanted(self, new: Properties) -> dict[str, Any]:
        return {"VersioningConfiguration": pascal(new["versioningConfiguration"])}

    def found(self, answer: Mapping[str, Any]) -> Properties:
        return {"versioningConfiguration": {"status": answer.get("Status", "Disabled")}}

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """Suspend it, which is as far back as S3 goes, and not even that with an object lock."""
        if old["versioningConfiguration"]["status"] == "Disabled":
            return
        client = aws.client("s3")
        try:
            client.put_bucket_versioning(Bucket=resource_id, VersioningConfiguration={"Status": "Suspended"})
        except client.exceptions.ClientError as error:
            if _session.code(error) != "InvalidBucketState":
                raise


_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


class BucketPublicAccessBlock(_BucketSetting):
    """What keeps a bucket from being public."""

    type_name = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    title = "S3 Bucket Public Access Block"
    call = "public_access_block"
    inputs: ClassVar[Inputs] = {**_BUCKET, **{key: Prop(bool, default=False) for key in _BLOCKS}}

    def wanted(self, new: Properties) -> dict[str, Any]:
        return {"PublicAccessBlockConfiguration": pascal({key: new[key] for key in _BLOCKS})}

    def found(self, answer: Mapping[str, Any]) -> Properties:
        return camel(answer["PublicAccessBlockConfiguration"])


_SIZE: Final = "all_storage_classes_128K"
"""The smallest object that moves: what the official plugin sends unless the program says another."""

_AT_LEAST_1 = between(1, 2**31 - 1)
_NAME = matches(r".*", 1, 255)

_DAYS = {
    "abortIncompleteMultipartUpload": "daysAfterInitiation",
    "expiration": "days",
    "noncurrentVersionExpiration": "noncurrentDays",
}
"""The blocks of a rule that hold a number of days."""


def _normal_rules(rules: Any) -> list[dict[str, Any]]:
    """Lifecycle rules, in their order, with an empty filter where there is none."""
    return [{**rule, "filter": _normal_filter(rule.get("filter"))} for rule in rules or []]


def _normal_filter(block: Any) -> dict[str, Any]:
    return {key: value for key, value in (block or {}).items() if value not in (None, "", {}, 0)}


_RULE = fields(
    only=("id", "status", "filter", *_DAYS),
    id=_NAME,
    status=one_of("Disabled", "Enabled"),
    filter=fields(only=("prefix",)),
    **{block: fields(days, only=(days,), **{days: _AT_LEAST_1}) for block, days in _DAYS.items()},
)


def _check_rules(rules: Any) -> str | None:
    """What the official schema refuses of lifecycle rules, and what this project does not use."""
    if not rules:
        return "expected at least 1, got 0"
    return next((f"{rule.get('id')}: {reason}" for rule in rules if (reason := _RULE(rule))), None)


class BucketLifecycleConfiguration(_BucketSetting):
    """When a bucket's objects end."""

    type_name = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    title = "S3 Bucket Lifecycle Configuration"
    call = "bucket_lifecycle_configuration"
    inputs: ClassVar[Inputs] = {
        **_BUCKET,
        "rules": Prop(list, required=True, same=by(_normal_rules), check=_check_rules),
    }

    def wanted(self, new: Properties) -> dict[str, Any]:
        rules = [_lifecycle_rule(rule) for rule in new["rules"]]
        return {"LifecycleConfiguration": {"Rules": rules}, "TransitionDefaultMinimumObjectSize": _SIZE}

    def found(self, answer: Mapping[str, Any]) -> Properties:
        return {"rules": [_lifecycle_state(rule) for rule in answer["Rules"]]}

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("s3").delete_bucket_lifecycle(Bucket=resource_id)


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule as S3 wants it: `ID` in capitals."""
    rest = {key: value for key, value in rule.items() if key not in ("id", "filter")}
    return {
        "ID": rule["id"],
        "Filter": pascal(_normal_filter(rule.get("filter"))) or {"Prefix": ""},
        **pascal(rest),
    }


def _lifecycle_state(found: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `_lifecycle_rule`."""
    rule = camel({key: value for key, value in found.items() if key != "ID"})
    return {**rule, "id": found["ID"], "filter": rule.get("filter") or {}}


_BLOCKED = ["SSE-C"]
"""What S3 blocks in every bucket made since April 2026, and tells. Source: AWS, "Blocking or unblocking SSE-C"."""


def _normal_encryption(rules: Any) -> list[dict[str, Any]]:
    """Rules with their defaults; a type that S3 blocks by default is not a difference (optional and computed since 6.40)."""
    return [
        {
            **rule,
            "bucketKeyEnabled": bool(rule.get("bucketKeyEnabled")),
            "blockedEncryptionTypes": rule.get("blockedEncryptionTypes") or _BLOCKED,
        }
        for rule in rules or []
    ]


def _encryption_rules(rules: Any) -> str | None:
    algorithm = one_of("AES256", "aws:fsx", "aws:kms", "aws:kms:dsse")
    blocks = [rule.get("applyServerSideEncryptionByDefault") for rule in rules]
    return next((reason for block in blocks if block and (reason := algorithm(block.get("sseAlgorithm")))), None)


class BucketServerSideEncryptionConfiguration(_BucketSetting):
    """How a bucket encrypts its objects."""

    type_name = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    title = "S3 Bucket Server-side Encryption Configuration"
    call = "bucket_encryption"
    inputs: ClassVar[Inputs] = {
        **_BUCKET,
        "rules": Prop(list, required=True, same=by(_normal_encryption), check=_encryption_rules),
    }

    def wanted(self, new: Properties) -> dict[str, Any]:
        return {"ServerSideEncryptionConfiguration": {"Rules": [_encryption_rule(rule) for rule in new["rules"]]}}

    def found(self, answer: Mapping[str, Any]) -> Properties:
        return {"rules": [_encryption_state(rule) for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]]}


def _encryption_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    default = rule.get("applyServerSideEncryptionByDefault")
    return given(
        ApplyServerSideEncryptionByDefault=default
        and given(SSEAlgorithm=default["sseAlgorithm"], KMSMasterKeyID=default.get("kmsMasterKeyId") or None),
        BlockedEncryptionTypes={"EncryptionType": rule.get("blockedEncryptionTypes") or _BLOCKED},
        BucketKeyEnabled=rule.get("bucketKeyEnabled"),
    )


def _encryption_state(found: Mapping[str, Any]) -> dict[str, Any]:
    default = found.get("ApplyServerSideEncryptionByDefault")
    return given(
        applyServerSideEncryptionByDefault=default
        and given(sseAlgorithm=default["SSEAlgorithm"], kmsMasterKeyId=default.get("KMSMasterKeyID")),
        # An emulator that does not know the setting has none.
        blockedEncryptionTypes=found.get("BlockedEncryptionTypes", {}).get("EncryptionType") or _BLOCKED,
        bucketKeyEnabled=found.get("BucketKeyEnabled"),
    )


def _ownership(block: Any) -> str | None:
    allowed = one_of("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced")
    return allowed((block or {}).get("objectOwnership"))


class BucketOwnershipControls(_BucketSetting):
    """Who owns a bucket's objects."""

    type_name = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
    title = "S3 Bucket Ownership Controls"
    call = "bucket_ownership_controls"
    inputs: ClassVar[Inputs] = {**_BUCKET, "rule": Prop(dict, required=True, check=_ownership)}

    def wanted(self, new: Properties) -> dict[str, Any]:
        return {"OwnershipControls": {"Rules": [pascal(new["rule"])]}}

    def found(self, answer: Mapping[str, Any]) -> Properties:
        return {"rule": camel(answer["OwnershipControls"]["Rules"][0])}


RESOURCES = (
    Bucket(),
    BucketPolicy(),
    BucketVersioning(),
    BucketPublicAccessBlock(),
    BucketLifecycleConfiguration(),
    BucketServerSideEncryptionConfiguration(),
    BucketOwnershipControls(),
)
