"""AWS Secrets Manager."""

import re
import uuid
from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar, Final

from sandbox.providers._diff import by, same_policy, same_set
from sandbox.providers._resource import (
    Autoname,
    Inputs,
    Prop,
    ProviderError,
    between,
    fields,
    given,
    is_json,
)
from sandbox.providers._values import Properties
from sandbox.providers.aws import _session
from sandbox.providers.aws._base import (
    AwsResource,
    camel,
    is_arn,
    pascal,
    require_arn,
    tag_list,
    tag_map,
    tagging,
)
from sandbox.providers.aws._session import Aws

_CURRENT, _PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
_NAME: Final = 512
"""Characters of a secret's name."""


def _recovery_window(days: Any) -> str | None:
    return None if days == 0 or 7 <= days <= 30 else f"expected 0 or a number from 7 to 30, got {days}"  # noqa: PLR2004


def _name(name: Any) -> str | None:
    """AWS refuses other names; its model has no pattern that would say so."""
    good = re.fullmatch(r"[\w/+=.@-]+", name, re.ASCII) and len(name) <= _NAME
    return None if good else f"must be 1 to {_NAME} letters, digits and /_+=.@-, got {name}"


def _replicas(items: Any) -> list[tuple[str, str]]:
    """What a replica is compared by: its region and key (AWS names its own one when none is given)."""
    keys = ((item["region"], item.get("kmsKeyId") or "") for item in items or [])
    return sorted((region, "" if key == "alias/aws/secretsmanager" else key) for region, key in keys)


class Secret(AwsResource):
    """A secret without its value. Source: terraform-provider-aws 6 (2026), internal/service/secretsmanager/secret.go."""

    type_name = "aws:secretsmanager/secret:Secret"
    title = "Secrets Manager Secret"
    autoname = Autoname()
    tagged = tagging("secretsmanager", "SecretId")
    inputs: ClassVar[Inputs] = {
        "description": Prop(str),
        "forceOverwriteReplicaSecret": Prop(bool, default=False, unread=True),
        "kmsKeyId": Prop(str),
        "name": Prop(str, computed=True, force_new=True, check=_name),
        "policy": Prop(str, computed=True, same=same_policy, check=is_json),
        "recoveryWindowInDays": Prop(int, default=30, unread=True, check=_recovery_window),
        "replicas": Prop(list, computed=True, same=by(_replicas)),
    }
    computed = ("arn",)

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateSecret; a name that is scheduled for deletion is AWS's error."""
        client = aws.client("secretsmanager")
        try:
            answer = client.create_secret(
                Name=new["name"],
                ClientRequestToken=str(uuid.uuid4()),
                ForceOverwriteReplicaSecret=new["forceOverwriteReplicaSecret"],
                Tags=tag_list(new["tagsAll"]),
                Description=new.get("description", ""),
                **given(KmsKeyId=new.get("kmsKeyId") or None),
                **_replica_regions(new.get("replicas")),
            )
        except client.exceptions.ResourceExistsException:
            _refuse_scheduled_for_deletion(aws.own("secretsmanager"), new["name"])
            raise
        return answer["ARN"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        if _has_statements(new.get("policy")):
            aws.client("secretsmanager").put_resource_policy(SecretId=resource_id, ResourcePolicy=new["policy"])

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeSecret; a secret that is scheduled for deletion is gone."""
        require_arn(resource_id, state)
        client = aws.client("secretsmanager")
        found = client.describe_secret(SecretId=resource_id)
        if found.get("DeletedDate"):
            return None
        return {
            "arn": found["ARN"],
            "name": found["Name"],
            "description": found.get("Description", ""),
            "kmsKeyId": found.get("KmsKeyId", ""),
            "policy": client.get_resource_policy(SecretId=resource_id).get("ResourcePolicy", ""),
            "replicas": [
                given(region=item["Region"], kmsKeyId=item.get("KmsKeyId"), status=item.get("Status"))
                for item in found.get("ReplicationStatus", [])
            ],
            "tagsAll": tag_map(found.get("Tags")),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Replicas, description and key, policy: the order of the real plugin."""
        client = aws.client("secretsmanager")
        if "replicas" in changed:
            before, after = set(_replicas(old.get("replicas"))), set(_replicas(new.get("replicas")))
            _remove_replicas(client, resource_id, before - after)
            added = [{"region": region, "kmsKeyId": key} for region, key in sorted(after - before)]
            if added:
                client.replicate_secret_to_regions(
                    SecretId=resource_id,
                    ForceOverwriteReplicaSecret=new["forceOverwriteReplicaSecret"],
                    **_replica_regions(added),
                )
        if {"description", "kmsKeyId"} & {*changed}:
            # As in the real plugin, a key that the program doesn't name any more isn't taken away: name
            # alias/aws/secretsmanager to go back to the AWS managed key.
            client.update_secret(
                SecretId=resource_id,
                ClientRequestToken=str(uuid.uuid4()),
                Description=new.get("description", ""),
                **given(KmsKeyId=new.get("kmsKeyId") or None),
            )
        if "policy" in changed:
            if _has_statements(new.get("policy")):
                client.put_resource_policy(SecretId=resource_id, ResourcePolicy=new["policy"])
            else:
                client.delete_resource_policy(SecretId=resource_id)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """Replicas first; a recovery window of 0 days deletes at once.

        So does a state without a window, which an import leaves when the program ignores the property: the real plugin's Read
        doesn't set it, and its Delete then sees 0. Source: terraform-provider-aws, internal/service/secretsmanager/secret.go.
        """
        client = aws.client("secretsmanager")
        _remove_replicas(client, resource_id, set(_replicas(old.get("replicas"))))
        days = old.get("recoveryWindowInDays", 0)
        how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
        client.delete_secret(SecretId=resource_id, **how)


def _refuse_scheduled_for_deletion(client: Any, name: str) -> None:
    """AWS's error for a name whose secret waits for its deletion: moto says only that it exists."""
    if "DeletedDate" in client.describe_secret(SecretId=name):
        raise ProviderError(
            "operation error Secrets Manager: CreateSecret, https response error StatusCode: 400, "
            "InvalidRequestException: You can't create this secret because a secret with this name is already "
            "scheduled for deletion."
        )


def _has_statements(policy: Any) -> bool:
    return bool(policy) and policy.strip() != "{}"


def _replica_regions(replicas: Any) -> dict[str, Any]:
    regions = [given(Region=item["region"], KmsKeyId=item.get("kmsKeyId") or None) for item in replicas or []]
    return {"AddReplicaRegions": regions} if regions else {}


def _remove_replicas(client: Any, resource_id: str, replicas: set[tuple[str, str]]) -> None:
    regions = sorted(region for region, _ in replicas)
    if regions:
        client.remove_regions_from_replication(SecretId=resource_id, RemoveReplicaRegions=regions)


class SecretVersion(AwsResource):
    """One version of a secret's value, pinned by its id.

    Source: terraform-provider-aws 6 (2026), internal/service/secretsmanager/secret_version.go and internal/types/base64.go.
    """

    type_name = "aws:secretsmanager/secretVersion:SecretVersion"
    title = "Secrets Manager Secret Version"
    named_by = "secretId"
    secret_outputs = frozenset({"secretString"})
    inputs: ClassVar[Inputs] = {
        "secretId": Prop(str, required=True, force_new=True),
        "secretString": Prop(str, force_new=True),
        "versionStages": Prop(list, computed=True, same=same_set),
    }
    computed = ("arn", "secretArn", "versionId")

    def create(self, aws: Aws, new: Properties) -> str:
        """PutSecretValue, with VersionStages only when the program gives some."""
        answer = aws.client("secretsmanager").put_secret_value(
            SecretId=new["secretId"],
            ClientRequestToken=str(uuid.uuid4()),
            **given(SecretString=new.get("secretString") or None, VersionStages=new.get("versionStages") or None),
        )
        return f"{new['secretId']}|{answer['VersionId']}"

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """The version by its id; None when version or secret is gone."""
        secret_id, version_id = _split(resource_id)
        try:
            found = _version(aws, secret_id, version_id)
        except Exception as error:
            if _is_deleted(error):
                return None
            raise
        return {
            "arn": found["ARN"],
            "secretArn": found["ARN"],
            "secretId": secret_id,
            "secretString": found.get("SecretString"),
            "versionId": found["VersionId"],
            "versionStages": sorted(found.get("VersionStages", [])),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Only stages: adding AWSCURRENT moves it back to this version, whatever a rotation did since."""
        if "versionStages" not in changed:
            return
        client, own = aws.client("secretsmanager"), aws.own("secretsmanager")
        secret_id, version_id = _split(resource_id)
        before, after = set(old.get("versionStages") or []), set(new.get("versionStages") or [])
        for stage in sorted(after - before):
            holder = _current(client, secret_id) if stage == _CURRENT else _holder(own, secret_id, stage)
            if holder and stage != _CURRENT:
                # AWS refuses it, since the real plugin names the label's holder for AWSCURRENT only; moto wouldn't.
                raise ProviderError(
                    f"adding Secrets Manager Secret Version ({resource_id}) stage ({stage}): "
                    "InvalidParameterException: The parameter RemoveFromVersionId can't be empty. "
                    f"Staging label {stage} is currently attached to version {holder}, so you must explicitly "
                    "reference that version in RemoveFromVersionId."
                )
            client.update_secret_version_stage(
                SecretId=secret_id, VersionStage=stage, MoveToVersionId=version_id, **given(RemoveFromVersionId=holder)
            )
        for stage in sorted(before - after - {_CURRENT}):
            if stage == _PREVIOUS and _CURRENT in after - before:
                continue  # it moved away with AWSCURRENT
            client.update_secret_version_stage(SecretId=secret_id, VersionStage=stage, RemoveFromVersionId=version_id)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """Take the state's labels but AWSCURRENT from the version; fails when one has moved since."""
        client = aws.client("secretsmanager")
        secret_id, version_id = _split(resource_id)
        try:
            for stage in sorted({*(old.get("versionStages") or [])} - {_CURRENT}):
                client.update_secret_version_stage(
                    SecretId=secret_id, VersionStage=stage, RemoveFromVersionId=version_id
                )
            left = _version(aws, secret_id, version_id).get("VersionStages", [])
        except Exception as error:
            if _is_deleted(error):
                return
            raise
        if len(left) > 1 or set(left) - {_CURRENT, _PREVIOUS}:
            raise ProviderError(
                f"waiting for Secrets Manager Secret Version ({resource_id}) delete: timeout: "
                f"it still has the labels {', '.join(sorted(left))}"
            )


def _split(resource_id: str) -> tuple[str, str]:
    secret_id, _, version_id = resource_id.partition("|")
    if not (secret_id and version_id):
        raise ProviderError(f"unexpected format of ID ({resource_id}), expected SecretID|VersionID")
    return secret_id, version_id


def _version(aws: Aws, secret_id: str, version_id: str) -> dict[str, Any]:
    return aws.client("secretsmanager").get_secret_value(SecretId=secret_id, VersionId=version_id)


def _current(client: Any, secret_id: str) -> str | None:
    token: dict[str, str] | None = {}
    while token is not None:  # botocore has no paginator for them
        page = client.list_secret_version_ids(SecretId=secret_id, **token)
        for item in page["Versions"]:
            if _CURRENT in item.get("VersionStages", []):
                return item["VersionId"]
        token = {"NextToken": page["NextToken"]} if page.get("NextToken") else None
    return None


def _is_deleted(error: Exception) -> bool:
    return _session.is_gone(error) or (
        _session.code(error) == "InvalidRequestException"
        and any(
            word in _session.message(error) for word in ("deleted", "marked for deletion", "scheduled for deletion")
        )
    )


def _stages(client: Any, secret_id: str) -> dict[str, list[str]]:
    return client.describe_secret(SecretId=secret_id).get("VersionIdsToStages", {})


def _holder(client: Any, secret_id: str, stage: str) -> str | None:
    """The version that has a label; AWS demands to know it before a label is moved."""
    return next((version for version, stages in _stages(client, secret_id).items() if stage in stages), None)


def _holds(pattern: str) -> Callable[[Any], str | None]:
    """The text has a part that matches, as the official plugin asks, which says neither start nor end."""
    return lambda value: None if re.search(pattern, value) else f"must match {pattern}, got {value}"


_rotation_rules = fields(
    automaticallyAfterDays=between(1, 1000),
    duration=_holds(r"[0-9h]+"),
    scheduleExpression=_holds(r"[0-9A-Za-z()#?*\-/, ]+"),
)


class SecretRotation(AwsResource):
    """A secret's rotation. Source: terraform-provider-aws 6 (2026), internal/service/secretsmanager/secret_rotation.go."""

    type_name = "aws:secretsmanager/secretRotation:SecretRotation"
    title = "Secrets Manager Secret Rotation"
    named_by = "secretId"
    # A secret that is gone, or waits for its deletion, is an error: `pulumi refresh` takes the rotation out of the state.
    forgives_gone = False
    inputs: ClassVar[Inputs] = {
        "secretId": Prop(str, required=True, force_new=True),
        "rotateImmediately": Prop(bool, default=True, unread=True),
        "rotationLambdaArn": Prop(str, check=is_arn),
        "rotationRules": Prop(dict, required=True, check=_rotation_rules),
    }
    computed = ("rotationEnabled",)

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        rules = new["rotationRules"]
        if isinstance(rules, dict) and len({"automaticallyAfterDays", "scheduleExpression"} & {*rules}) != 1:
            yield "rotationRules", "exactly one of automaticallyAfterDays and scheduleExpression must be given"

    def create(self, aws: Aws, new: Properties) -> str:
        return aws.client("secretsmanager").rotate_secret(
            SecretId=new["secretId"],
            ClientRequestToken=str(uuid.uuid4()),
            # Whatever `rotateImmediately` says: no local AWS runs the function. `python -m sandbox rotate` runs it for real.
            RotateImmediately=False,
            RotationRules=pascal(new["rotationRules"]),
            **given(RotationLambdaARN=new.get("rotationLambdaArn")),
        )["ARN"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        require_arn(resource_id, state)
        found = aws.client("secretsmanager").describe_secret(SecretId=resource_id)
        if found.get("DeletedDate"):
            return None
        enabled = bool(found.get("RotationEnabled"))
        return {
            # The ARN, whatever the program says: a name is replaced at each `up`.
            "secretId": found["ARN"],
            "rotationEnabled": enabled,
            "rotationLambdaArn": found.get("RotationLambdaARN") if enabled else None,
            "rotationRules": _rules(camel(found.get("RotationRules") or {})) if enabled else None,
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        if {"rotationLambdaArn", "rotationRules"} & {*changed}:
            self.create(aws, new)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("secretsmanager").cancel_rotate_secret(SecretId=old["secretId"])


def _rules(found: dict[str, Any]) -> dict[str, Any]:
    """The rules as Pulumi has them; with a schedule, the days are AWS's own reckoning and left out."""
    return {
        key: value
        for key, value in found.items()
        if key != "automaticallyAfterDays" or "scheduleExpression" not in found
    }


class SecretPolicy(AwsResource):
    """A secret's resource policy as a resource of its own."""

    type_name = "aws:secretsmanager/secretPolicy:SecretPolicy"
    title = "Secrets Manager Secret Policy"
    named_by = "secretArn"
    inputs: ClassVar[Inputs] = {
        "secretArn": Prop(str, required=True, force_new=True, check=is_arn),
        "policy": Prop(str, required=True, same=same_policy, check=is_json),
        "blockPublicPolicy": Prop(bool, unread=True),
    }

    def create(self, aws: Aws, new: Properties) -> str:
        aws.client("secretsmanager").put_resource_policy(
            SecretId=new["secretArn"],
            ResourcePolicy=new["policy"],
            **given(BlockPublicPolicy=new.get("blockPublicPolicy") or None),
        )
        return new["secretArn"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetResourcePolicy. One that was taken away by hand is an empty one, which an update puts back."""
        # AWS tells no policy of a secret that is scheduled for deletion; moto does.
        if aws.own("secretsmanager").describe_secret(SecretId=resource_id).get("DeletedDate"):
            return None
        policy = aws.client("secretsmanager").get_resource_policy(SecretId=resource_id).get("ResourcePolicy", "")
        return {"secretArn": resource_id, "policy": policy, "region": aws.region}

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """PutResourcePolicy again, with the block said either way."""
        aws.client("secretsmanager").put_resource_policy(
            SecretId=resource_id, ResourcePolicy=new["policy"], BlockPublicPolicy=bool(new.get("blockPublicPolicy"))
        )

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("secretsmanager").delete_resource_policy(SecretId=resource_id)


RESOURCES = (Secret(), SecretVersion(), SecretRotation(), SecretPolicy())
