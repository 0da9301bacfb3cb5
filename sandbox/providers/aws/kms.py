"""AWS Key Management Service.

Source: terraform-provider-aws 6 (2026), internal/service/kms/key.go; 5, alias.go; the alias's name: pulumi-aws 7,
provider/resources.go.
"""

import functools
import re
from collections.abc import Collection, Iterable
from typing import Any, ClassVar

from sandbox.providers._diff import same_policy
from sandbox.providers._resource import Autoname, Inputs, Prop, ProviderError, between, given, is_json, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws import _session
from sandbox.providers.aws._base import AwsResource, is_enum, last_part, tag_list, tag_map, tagging
from sandbox.providers.aws._session import Aws

_key_tags = functools.partial(tag_list, key="TagKey", value="TagValue")


class Key(AwsResource):
    """A customer-managed key."""

    type_name = "aws:kms/key:Key"
    title = "KMS Key"
    tagged = tagging("kms", "KeyId", _key_tags, named="")
    named_by = "description"
    inputs: ClassVar[Inputs] = {
        "bypassPolicyLockoutSafetyCheck": Prop(bool, aws="BypassPolicyLockoutSafetyCheck", default=False, unread=True),
        "customerMasterKeySpec": Prop(
            str, aws="KeySpec", default="SYMMETRIC_DEFAULT", force_new=True, check=is_enum("kms", "KeySpec")
        ),
        "deletionWindowInDays": Prop(int, unread=True, check=between(7, 30)),
        "description": Prop(str, aws="Description", computed=True, check=matches(r".*", 0, 8192)),
        "enableKeyRotation": Prop(bool, default=False),
        "isEnabled": Prop(bool, default=True, check=one_of(True)),
        "keyUsage": Prop(
            str, aws="KeyUsage", default="ENCRYPT_DECRYPT", force_new=True, check=is_enum("kms", "KeyUsageType")
        ),
        "policy": Prop(str, aws="Policy", computed=True, same=same_policy, check=is_json),
    }
    computed = ("arn", "keyId")

    def create(self, aws: Aws, new: Properties) -> str:
        answer = aws.client("kms").create_key(
            Tags=_key_tags(new["tagsAll"]),
            **self.sent({**new, "description": new.get("description") or None}),
        )
        return answer["KeyMetadata"]["KeyId"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        if new["enableKeyRotation"]:
            aws.client("kms").enable_key_rotation(KeyId=resource_id)

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeKey, its policy, rotation and tags; None when the key is scheduled for deletion."""
        client = aws.client("kms")
        found = client.describe_key(KeyId=resource_id)["KeyMetadata"]
        if found["KeyState"] in ("PendingDeletion", "PendingReplicaDeletion"):
            return None
        if found.get("MultiRegionConfiguration", {}).get("MultiRegionKeyType", "PRIMARY") != "PRIMARY":
            raise ProviderError(f"KMS Key ({resource_id}) is not a multi-Region primary key")
        live: Properties = {
            # The id stays what an import names: an ARN, too.
            "arn": found["Arn"],
            "keyId": found["KeyId"],
            "customerMasterKeySpec": found.get("KeySpec", found.get("CustomerMasterKeySpec")),
            "description": found.get("Description", ""),
            "isEnabled": found["Enabled"],
            "keyUsage": found["KeyUsage"],
            "policy": client.get_key_policy(KeyId=resource_id, PolicyName="default")["Policy"],
            "tagsAll": tag_map(client.list_resource_tags(KeyId=resource_id)["Tags"], "TagKey", "TagValue"),
        }
        if found.get("Origin", "AWS_KMS") == "AWS_KMS":
            live["enableKeyRotation"] = client.get_key_rotation_status(KeyId=resource_id)["KeyRotationEnabled"]
        return live

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Each changed part by its own call; a disabled key is enabled first, as AWS demands."""
        client = aws.client("kms")
        if "isEnabled" in changed:  # by hand
            client.enable_key(KeyId=resource_id)
        if "enableKeyRotation" in changed:
            (client.enable_key_rotation if new["enableKeyRotation"] else client.disable_key_rotation)(KeyId=resource_id)
        if "description" in changed:
            client.update_key_description(KeyId=resource_id, Description=new.get("description", ""))
        if "policy" in changed and new.get("policy"):
            sent = self.sent(new, ("bypassPolicyLockoutSafetyCheck", "policy"))
            client.put_key_policy(KeyId=resource_id, PolicyName="default", **sent)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """ScheduleKeyDeletion; a key that is pending deletion already is deleted."""
        days = old.get("deletionWindowInDays")
        try:
            aws.client("kms").schedule_key_deletion(KeyId=resource_id, **given(PendingWindowInDays=days))
        except Exception as error:
            if _session.code(error) != "KMSInvalidStateException" or "is pending deletion" not in _session.message(
                error
            ):
                raise


def same_target(old: Any, new: Any) -> bool:
    """The same key, named by id or by ARN."""
    return bool(old and new) and last_part(old) == last_part(new)


class Alias(AwsResource):
    """A name for a key."""

    type_name = "aws:kms/alias:Alias"
    title = "KMS Alias"
    autoname = Autoname(prefix="alias/", max_length=238)
    inputs: ClassVar[Inputs] = {
        "name": Prop(str, aws="AliasName", computed=True, force_new=True),
        "targetKeyId": Prop(str, aws="TargetKeyId", required=True, same=same_target),
    }
    computed = ("arn", "targetKeyArn")

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """A name starts with alias/, not with AWS's own prefix, and has few kinds of characters."""
        name = new.get("name")
        if isinstance(name, str) and not re.fullmatch(r"alias/(?!aws/)[0-9A-Za-z:/_-]+", name):
            yield "name", "must begin with 'alias/', not with 'alias/aws/', and be comprised of only [a-zA-Z0-9:/_-]"

    def create(self, aws: Aws, new: Properties) -> str:
        aws.client("kms").create_alias(**self.sent(new))
        return new["name"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """ListAliases: KMS describes no single alias."""
        pages = aws.client("kms").get_paginator("list_aliases").paginate()
        for found in (item for page in pages for item in page["Aliases"]):
            if found["AliasName"] == resource_id and found.get("TargetKeyId"):
                target = aws.arn("kms", f"key/{found['TargetKeyId']}")
                return {**self.told(found), "arn": found["AliasArn"], "targetKeyArn": target}
        return None

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        aws.client("kms").update_alias(AliasName=resource_id, TargetKeyId=new["targetKeyId"])

    def renewed(self, changed: Collection[str]) -> Collection[str]:
        return ("targetKeyArn",) if "targetKeyId" in changed else ()

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("kms").delete_alias(AliasName=resource_id)


RESOURCES = (Key(), Alias())
