"""Amazon S3: a bucket and its settings, each a resource of its own as pulumi-aws 7 has them.

Source: terraform-provider-aws 6.x, internal/service/s3/bucket.go, bucket_versioning.go, bucket_lifecycle_configuration.go,
bucket_server_side_encryption_configuration.go, bucket_public_access_block.go, bucket_ownership_controls.go, bucket_policy.go.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import by, same_policy
from sandbox.providers._resource import Autoname, Inputs, Prop, given, is_policy, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws import _session
from sandbox.providers.aws._base import AwsResource, by_prefix, camel, pascal, tag_list, tag_map
from sandbox.providers.aws._session import Aws


class Bucket(AwsResource):
    """A bucket. The settings that pulumi-aws keeps here for old programs are types of their own: use those."""

    type_name = "aws:s3/bucket:Bucket"
    title = "S3 Bucket"
    tagged = True
    autoname = Autoname("bucket", max_length=63, lower=True)
    inputs: ClassVar[Inputs] = {
        "bucket": Prop(str, computed=True, force_new=True, check=matches(r"[a-z0-9][a-z0-9.-]*[a-z0-9]", 3, 63)),
        "bucketPrefix": Prop(str, computed=True, force_new=True, check=matches(r"[a-z0-9.-]+", 1, 37)),
        "forceDestroy": Prop(bool, default=False, unread=True),
        "objectLockEnabled": Prop(bool, computed=True, force_new=True, unread=True),
    }
    computed = ("arn", "bucketDomainName", "bucketRegion", "bucketRegionalDomainName", "hostedZoneId")

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateBucket."""
        name = by_prefix(new, "bucket")
        # us-east-1 is the one Region that must not be named.
        place = None if aws.region == "us-east-1" else {"LocationConstraint": aws.region}
        aws.client("s3").create_bucket(
            Bucket=name,
            **given(CreateBucketConfiguration=place, ObjectLockEnabledForBucket=new.get("objectLockEnabled")),
        )
        return name

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        """PutBucketTagging."""
        if new["tagsAll"]:
            aws.client("s3").put_bucket_tagging(Bucket=resource_id, Tagging={"TagSet": tag_list(new["tagsAll"])})

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """HeadBucket and its tags."""
        del state
        client = aws.client("s3")
        client.head_bucket(Bucket=resource_id)
        try:
            tags = client.get_bucket_tagging(Bucket=resource_id)["TagSet"]
        except client.exceptions.ClientError as error:
            if _session.code(error) != "NoSuchTagSet":
                raise
            tags = []
        return {
            "arn": f"arn:{aws.partition}:s3:::{resource_id}",
            "bucket": resource_id,
            "bucketDomainName": f"{resource_id}.s3.{aws.dns_suffix}",
            "bucketRegionalDomainName": f"{resource_id}.s3.{aws.region}.{aws.dns_suffix}",
            "bucketRegion": aws.region,
            "tagsAll": tag_map(tags),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Tags only, all of them at once."""
        del old
        if "tagsAll" not in changed:
            return
        if new["tagsAll"]:
            self.finish(aws, resource_id, new)
        else:
            aws.client("s3").delete_bucket_tagging(Bucket=resource_id)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteBucket; with `forceDestroy` after its objects."""
        client = aws.client("s3")
        if old.get("forceDestroy"):
            for page in client.get_paginator("list_object_versions").paginate(Bucket=resource_id):
                entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in entries]
                if objects:
                    client.delete_objects(Bucket=resource_id, Delete={"Objects": objects, "Quiet": True})
        client.delete_bucket(Bucket=resource_id)


class _BucketSetting(AwsResource):
    """A setting of a bucket: one object per bucket, whose id is the bucket's name."""

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The bucket."""
        return resource_id or str(inputs.get("bucket", ""))

    def put(self, aws: Aws, bucket: str, new: Properties) -> None:
        """Make the setting what the program says."""
        raise NotImplementedError

    def get(self, aws: Aws, bucket: str) -> Properties | None:
        """The setting as it is; a "not found" of S3's means that there is none."""
        raise NotImplementedError

    def create(self, aws: Aws, new: Properties) -> str:
        """Put it."""
        self.put(aws, new["bucket"], new)
        return new["bucket"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """Get it."""
        del state
        found = self.get(aws, resource_id)
        return None if found is None else {**found, "bucket": resource_id, "region": aws.region}

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Put it again."""
        del old, changed
        self.put(aws, resource_id, new)


_BUCKET = {"bucket": Prop(str, required=True, force_new=True)}


class BucketPolicy(_BucketSetting):
    """A bucket's policy."""

    type_name = "aws:s3/bucketPolicy:BucketPolicy"
    title = "S3 Bucket Policy"
    inputs: ClassVar[Inputs] = {**_BUCKET, "policy": Prop(str, required=True, same=same_policy, check=is_policy)}

    def put(self, aws: Aws, bucket: str, new: Properties) -> None:
        """PutBucketPolicy."""
        aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=new["policy"])

    def get(self, aws: Aws, bucket: str) -> Properties | None:
        """GetBucketPolicy."""
        return {"policy": aws.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]}

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteBucketPolicy."""
        del old
        aws.client("s3").delete_bucket_policy(Bucket=resource_id)


def _versioning(block: Any) -> str | None:
    return one_of("Enabled", "Suspended", "Disabled")(block.get("status"))


class BucketVersioning(_BucketSetting):
    """A bucket's versioning."""

    type_name = "aws:s3/bucketVersioning:BucketVersioning"
    title = "S3 Bucket Versioning"
    inputs: ClassVar[Inputs] = {
        **_BUCKET,
        "mfa": Prop(str, unread=True),
        "versioningConfiguration": Prop(dict, required=True, check=_versioning),
    }

    def check_change(self, aws: Aws, old: Properties, new: Properties) -> Iterable[str]:
        """S3 can suspend it, never disable it."""
        del aws
        before, after = ((props.get("versioningConfiguration") or {}).get("status") for props in (old, new))
        if before in ("Enabled", "Suspended") and after == "Disabled":
            yield f"versioning_configuration.status cannot be updated from '{before}' to 'Disabled'"

    def put(self, aws: Aws, bucket: str, new: Properties) -> None:
        """PutBucketVersioning; "Disabled" is the state of a bucket that never had it."""
        block = new["versioningConfiguration"]
        if block["status"] != "Disabled":
            configuration = given(Status=block["status"], MFADelete=block.get("mfaDelete"))
            aws.client("s3").put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration=configuration, **given(MFA=new.get("mfa"))
            )

    def get(self, aws: Aws, bucket: str) -> Properties | None:
        """GetBucketVersioning."""
        found = aws.client("s3").get_bucket_versioning(Bucket=bucket)
        block = given(status=found.get("Status", "Disabled"), mfaDelete=found.get("MFADelete"))
        return {"versioningConfiguration": block}

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """Suspend it, which is as far back as S3 goes."""
        if old["versioningConfiguration"]["status"] != "Disabled":
            aws.client("s3").put_bucket_versioning(Bucket=resource_id, VersioningConfiguration={"Status": "Suspended"})


_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


class BucketPublicAccessBlock(_BucketSetting):
    """What keeps a bucket from being public."""

    type_name = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    title = "S3 Bucket Public Access Block"
    inputs: ClassVar[Inputs] = {
        **_BUCKET,
        **{key: Prop(bool, default=False) for key in _BLOCKS},
        "skipDestroy": Prop(bool, unread=True),
    }

    def put(self, aws: Aws, bucket: str, new: Properties) -> None:
        """PutPublicAccessBlock."""
        configuration = pascal({key: new[key] for key in _BLOCKS})
        aws.client("s3").put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=configuration)

    def get(self, aws: Aws, bucket: str) -> Properties | None:
        """GetPublicAccessBlock."""
        return camel(aws.client("s3").get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"])

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeletePublicAccessBlock, unless `skipDestroy`."""
        if not old.get("skipDestroy"):
            aws.client("s3").delete_public_access_block(Bucket=resource_id)


def _normal_rules(rules: Any) -> list[dict[str, Any]]:
    """Lifecycle rules, sorted, with an empty filter where there is none."""
    return sorted(
        ({**rule, "filter": _normal_filter(rule.get("filter"))} for rule in rules or []), key=lambda r: r["id"]
    )


def _normal_filter(block: Any) -> dict[str, Any]:
    return {key: value for key, value in (block or {}).items() if value not in (None, "", {}, 0)}


class BucketLifecycleConfiguration(_BucketSetting):
    """When a bucket's objects move to another storage class or end."""

    type_name = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    title = "S3 Bucket Lifecycle Configuration"
    inputs: ClassVar[Inputs] = {
        **_BUCKET,
        "rules": Prop(list, required=True, same=by(_normal_rules)),
        "timeouts": Prop(dict, unread=True),
        "transitionDefaultMinimumObjectSize": Prop(str, computed=True, unread=True),
    }

    def put(self, aws: Aws, bucket: str, new: Properties) -> None:
        """PutBucketLifecycleConfiguration."""
        rules = [_lifecycle_rule(rule) for rule in new["rules"]]
        aws.client("s3").put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={"Rules": rules},
            **given(TransitionDefaultMinimumObjectSize=new.get("transitionDefaultMinimumObjectSize")),
        )

    def get(self, aws: Aws, bucket: str) -> Properties | None:
        """GetBucketLifecycleConfiguration."""
        rules = aws.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        return {"rules": [_lifecycle_state(rule) for rule in rules]}

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteBucketLifecycle."""
        del old
        aws.client("s3").delete_bucket_lifecycle(Bucket=resource_id)


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule as S3 wants it: `ID` in capitals, several conditions of a filter under `And`."""
    block = _normal_filter(rule.get("filter"))
    both = block.get("and")
    condition = (
        {
            "And": given(
                Tags=tag_list(both.get("tags")) or None, **pascal({k: v for k, v in both.items() if k != "tags"})
            )
        }
        if both
        else pascal(block) or {"Prefix": ""}
    )
    rest = {key: value for key, value in rule.items() if key not in ("id", "filter", "prefix") and value is not None}
    return {"ID": rule["id"], "Filter": {"Prefix": rule["prefix"]} if rule.get("prefix") else condition, **pascal(rest)}


def _lifecycle_state(found: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `_lifecycle_rule`."""
    block = dict(found.get("Filter") or {})
    both = block.pop("And", None)
    rule = camel({key: value for key, value in found.items() if key not in ("ID", "Filter")})
    rule |= {"id": found["ID"], "filter": camel(block)}
    if both:
        rest = {key: value for key, value in both.items() if key != "Tags"}
        rule["filter"]["and"] = given(tags=tag_map(both.get("Tags")) or None, **camel(rest))
    for part in (rule.get("expiration"), *rule.get("transitions", [])):
        if part and part.get("date"):
            part["date"] = part["date"].strftime("%Y-%m-%dT%H:%M:%SZ")
    return rule


_BLOCKED = ["SSE-C"]
"""What S3 blocks in every bucket made since April 2026, and tells. Source: AWS, "Blocking or unblocking SSE-C"."""


def _normal_encryption(rules: Any) -> list[dict[str, Any]]:
    """Rules with their defaults; what S3 blocks by itself is no difference (optional and computed since 6.40)."""
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
    inputs: ClassVar[Inputs] = {
        **_BUCKET,
        "rules": Prop(list, required=True, same=by(_normal_encryption), check=_encryption_rules),
    }

    def put(self, aws: Aws, bucket: str, new: Properties) -> None:
        """PutBucketEncryption."""
        aws.client("s3").put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={"Rules": [_encryption_rule(rule) for rule in new["rules"]]},
        )

    def get(self, aws: Aws, bucket: str) -> Properties | None:
        """GetBucketEncryption."""
        found = aws.client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        return {"rules": [_encryption_state(rule) for rule in found["Rules"]]}

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteBucketEncryption: back to S3's own encryption."""
        del old
        aws.client("s3").delete_bucket_encryption(Bucket=resource_id)


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
    inputs: ClassVar[Inputs] = {**_BUCKET, "rule": Prop(dict, required=True, check=_ownership)}

    def put(self, aws: Aws, bucket: str, new: Properties) -> None:
        """PutBucketOwnershipControls."""
        aws.client("s3").put_bucket_ownership_controls(
            Bucket=bucket, OwnershipControls={"Rules": [pascal(new["rule"])]}
        )

    def get(self, aws: Aws, bucket: str) -> Properties | None:
        """GetBucketOwnershipControls."""
        found = aws.client("s3").get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        return {"rule": camel(found[0])} if found else None

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteBucketOwnershipControls."""
        del old
        aws.client("s3").delete_bucket_ownership_controls(Bucket=resource_id)


RESOURCES = (
    Bucket(),
    BucketPolicy(),
    BucketVersioning(),
    BucketPublicAccessBlock(),
    BucketLifecycleConfiguration(),
    BucketServerSideEncryptionConfiguration(),
    BucketOwnershipControls(),
)
