"""AWS Key Management Service.

Source: terraform-provider-aws 6 (2026), internal/service/kms/key.go; 5, alias.go; the alias's name: pulumi-aws 7,
provider/resources.go.
"""

import functools
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import same_policy
from sandbox.providers._resource import Autoname, Inputs, Prop, ProviderError, between, given, is_json, matches
from sandbox.providers._values import Properties
from sandbox.providers.aws import _session
from sandbox.providers.aws._base import AwsResource, by_prefix, is_enum, last_part, retag_resource, tag_list, tag_map
from sandbox.providers.aws._session import Aws

_DEFAULT_ROTATION_DAYS = 365


def _key_id(reference: str) -> str:
    """A key's id from its id or ARN."""
    return last_part(reference)


def _read_key(aws: Aws, resource_id: str) -> Properties | None:
    """What keys and replicas have in common; None when the key is scheduled for deletion."""
    client = aws.client("kms")
    found = client.describe_key(KeyId=resource_id)["KeyMetadata"]
    if found["KeyState"] in ("PendingDeletion", "PendingReplicaDeletion"):
        return None
    kind = found.get("MultiRegionConfiguration", {}).get("MultiRegionKeyType", "PRIMARY")
    if found.get("MultiRegion") and kind != "PRIMARY":
        raise ProviderError(f"KMS Key ({resource_id}) is not a multi-Region primary key")
    # The id stays what an import names: an ARN, too.
    return {
        "arn": found["Arn"],
        "keyId": found["KeyId"],
        "description": found.get("Description", ""),
        "keyUsage": found["KeyUsage"],
        "policy": client.get_key_policy(KeyId=resource_id, PolicyName="default")["Policy"],
        "tagsAll": tag_map(client.list_resource_tags(KeyId=resource_id)["Tags"], "TagKey", "TagValue"),
        "region": aws.region,
        "_enabled": found["Enabled"],
        "_origin": found.get("Origin", "AWS_KMS"),
        "_spec": found.get("KeySpec", found.get("CustomerMasterKeySpec")),
        "_multi_region": found.get("MultiRegion", False),
    }


def _update_key(aws: Aws, resource_id: str, new: Properties, changed: Collection[str]) -> None:
    client = aws.client("kms")
    if "description" in changed:
        client.update_key_description(KeyId=resource_id, Description=new.get("description", ""))
    if "policy" in changed and new.get("policy"):
        client.put_key_policy(
            KeyId=resource_id,
            PolicyName="default",
            Policy=new["policy"],
            BypassPolicyLockoutSafetyCheck=new["bypassPolicyLockoutSafetyCheck"],
        )


def _switch(aws: Aws, resource_id: str, *, on: bool) -> None:
    client = aws.client("kms")
    (client.enable_key if on else client.disable_key)(KeyId=resource_id)


class Key(AwsResource):
    """A customer-managed key."""

    type_name = "aws:kms/key:Key"
    title = "KMS Key"
    tagged = True
    inputs: ClassVar[Inputs] = {
        "bypassPolicyLockoutSafetyCheck": Prop(bool, default=False, unread=True),
        "customKeyStoreId": Prop(str, force_new=True, unread=True, check=matches(r".*", 1, 22)),
        "customerMasterKeySpec": Prop(
            str, default="SYMMETRIC_DEFAULT", force_new=True, check=is_enum("kms", "KeySpec")
        ),
        "deletionWindowInDays": Prop(int, unread=True, check=between(7, 30)),
        "description": Prop(str, computed=True, check=matches(r".*", 0, 8192)),
        "enableKeyRotation": Prop(bool, default=False),
        "isEnabled": Prop(bool, default=True),
        "keyUsage": Prop(str, default="ENCRYPT_DECRYPT", force_new=True, check=is_enum("kms", "KeyUsageType")),
        "multiRegion": Prop(bool, computed=True, force_new=True),
        "policy": Prop(str, computed=True, same=same_policy, check=is_json),
        "rotationPeriodInDays": Prop(int, computed=True, check=between(90, 2560)),
        "xksKeyId": Prop(str, force_new=True, unread=True, check=matches(r".*", 1, 128)),
    }
    computed = ("arn", "keyId")

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The key's id; before it has one, its description."""
        return resource_id or str(inputs.get("description", ""))

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """A period means rotation; a key in an external store names the store."""
        if "rotationPeriodInDays" in new and new.get("enableKeyRotation") is False:
            yield "rotationPeriodInDays", "enableKeyRotation must be true when rotationPeriodInDays is set"
        if "xksKeyId" in new and "customKeyStoreId" not in new:
            yield "xksKeyId", "customKeyStoreId must be given, too"

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateKey."""
        origin = (
            "EXTERNAL_KEY_STORE" if new.get("xksKeyId") else "AWS_CLOUDHSM" if new.get("customKeyStoreId") else None
        )
        answer = aws.client("kms").create_key(
            KeyUsage=new["keyUsage"],
            KeySpec=new["customerMasterKeySpec"],
            BypassPolicyLockoutSafetyCheck=new["bypassPolicyLockoutSafetyCheck"],
            Tags=tag_list(new["tagsAll"], "TagKey", "TagValue"),
            **given(
                Description=new.get("description") or None,
                Origin=origin,
                Policy=new.get("policy"),
                MultiRegion=new.get("multiRegion") or None,
                CustomKeyStoreId=new.get("customKeyStoreId"),
                XksKeyId=new.get("xksKeyId"),
            ),
        )
        return answer["KeyMetadata"]["KeyId"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        """Rotation and state."""
        if new["enableKeyRotation"]:
            self._rotate(aws, resource_id, new)
        if not new["isEnabled"]:
            _switch(aws, resource_id, on=False)

    @staticmethod
    def _rotate(aws: Aws, resource_id: str, new: Properties) -> None:
        client = aws.client("kms")
        if new["enableKeyRotation"]:
            client.enable_key_rotation(KeyId=resource_id, **given(RotationPeriodInDays=new.get("rotationPeriodInDays")))
        else:
            client.disable_key_rotation(KeyId=resource_id)

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeKey, its policy, rotation and tags."""
        del state
        live = _read_key(aws, resource_id)
        if live is None:
            return None
        spec, enabled, origin = live.pop("_spec"), live.pop("_enabled"), live.pop("_origin")
        live |= {"customerMasterKeySpec": spec, "isEnabled": enabled, "multiRegion": live.pop("_multi_region")}
        if origin == "AWS_KMS":
            rotation = aws.client("kms").get_key_rotation_status(KeyId=resource_id)
            on = rotation["KeyRotationEnabled"]
            live["enableKeyRotation"] = on
            live["rotationPeriodInDays"] = rotation.get("RotationPeriodInDays", _DEFAULT_ROTATION_DAYS) if on else None
        return live

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Tags, then each changed part by its own call; a disabled key is enabled first, as AWS demands."""
        form = functools.partial(tag_list, key="TagKey", value="TagValue")
        retag_resource(aws.client("kms"), old, new, changed, form=form, KeyId=resource_id)
        if "isEnabled" in changed and new["isEnabled"]:
            _switch(aws, resource_id, on=True)
        if {"enableKeyRotation", "rotationPeriodInDays"} & {*changed}:
            self._rotate(aws, resource_id, new)
        _update_key(aws, resource_id, new, changed)
        if "isEnabled" in changed and not new["isEnabled"]:
            _switch(aws, resource_id, on=False)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """ScheduleKeyDeletion; a key that is pending deletion already is deleted."""
        days = old.get("deletionWindowInDays")
        try:
            aws.client("kms").schedule_key_deletion(KeyId=resource_id, **given(PendingWindowInDays=days))
        except Exception as error:
            pending = _session.code(error) == "KMSInvalidStateException" and "is pending deletion" in _session.message(
                error
            )
            if not pending:
                raise


def same_target(old: Any, new: Any) -> bool:
    """The same key, named by id or by ARN."""
    return bool(old and new) and _key_id(old) == _key_id(new)


class Alias(AwsResource):
    """A name for a key."""

    type_name = "aws:kms/alias:Alias"
    title = "KMS Alias"
    autoname = Autoname(prefix="alias/", max_length=238)
    inputs: ClassVar[Inputs] = {
        "name": Prop(str, computed=True, force_new=True),
        "namePrefix": Prop(str, computed=True, force_new=True),
        "targetKeyId": Prop(str, required=True, same=same_target),
    }
    computed = ("arn", "targetKeyArn")

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """A name starts with alias/, not with AWS's own prefix, and has few kinds of characters."""
        for key in ("name", "namePrefix"):
            text = new.get(key)
            if isinstance(text, str) and not re.fullmatch(r"alias/(?!aws/)[0-9A-Za-z:/_-]+", text):
                yield key, "must begin with 'alias/', not with 'alias/aws/', and be comprised of only [a-zA-Z0-9:/_-]"

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateAlias."""
        name = by_prefix(new)
        aws.client("kms").create_alias(AliasName=name, TargetKeyId=new["targetKeyId"])
        return name

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """ListAliases: KMS describes no single alias."""
        del state
        pages = aws.client("kms").get_paginator("list_aliases").paginate()
        for found in (item for page in pages for item in page["Aliases"]):
            if found["AliasName"] == resource_id and found.get("TargetKeyId"):
                return {
                    "arn": found["AliasArn"],
                    "name": resource_id,
                    "targetKeyId": found["TargetKeyId"],
                    "targetKeyArn": aws.arn("kms", f"key/{found['TargetKeyId']}"),
                    "region": aws.region,
                }
        return None

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """UpdateAlias."""
        del old, changed
        aws.client("kms").update_alias(AliasName=resource_id, TargetKeyId=new["targetKeyId"])

    def renewed(self, changed: Collection[str]) -> Collection[str]:
        """Another key, another ARN."""
        return ("targetKeyArn",) if "targetKeyId" in changed else ()

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteAlias."""
        del old
        aws.client("kms").delete_alias(AliasName=resource_id)


RESOURCES = (Key(), Alias())
