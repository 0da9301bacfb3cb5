"""AWS Identity and Access Management: global, no region.

Source: terraform-provider-aws 6.x, internal/service/iam/role.go, role_policy.go, policy.go (2026),
role_policy_attachment.go (2025), validate.go and openid_connect_provider.go (6.4, 2025).
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from sandbox.providers._diff import by, same_policy, same_set
from sandbox.providers._resource import (
    Autoname,
    Inputs,
    Prop,
    ProviderError,
    between,
    given,
    is_policy,
    matches,
    one_of,
)
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, is_arn, last_part, require_arn, tag_list, tag_map, tagging
from sandbox.providers.aws._session import Aws

_ROLE_INLINE_LIMIT = 10_240
"""Characters, without white space, that a role's inline policies may have together. Source: IAM quotas."""

_MANAGED_LIMIT = 6_144
"""Characters, without white space, of a managed policy. Source: IAM quotas."""

_MANAGED_VERSIONS = 5
"""Versions that a managed policy may have. Source: IAM quotas."""


_NAME = r"[\w+=,.@-]+"


def _document(found: Any) -> str:
    """A policy as text: botocore decodes some of IAM's documents, moto encodes others."""
    return json.dumps(found) if isinstance(found, dict) else unquote(found)


def _size(policy: str) -> int:
    return len("".join(policy.split()))


class Role(AwsResource):
    """A role."""

    type_name = "aws:iam/role:Role"
    title = "IAM Role"
    regional = False
    tagged = tagging("iam", "RoleName", put="tag_role", drop="untag_role", named="")
    autoname = Autoname(max_length=64)
    inputs: ClassVar[Inputs] = {
        "assumeRolePolicy": Prop(str, aws="AssumeRolePolicyDocument", required=True, same=same_policy, check=is_policy),
        "description": Prop(str, aws="Description", check=matches(r"[^\u201c\u2018]*", 0, 1000)),
        "forceDetachPolicies": Prop(bool, default=False, unread=True, check=one_of(False)),
        "maxSessionDuration": Prop(int, aws="MaxSessionDuration", default=3600, check=between(3600, 43200)),
        "name": Prop(str, aws="RoleName", computed=True, force_new=True, check=matches(_NAME, 1, 64)),
        "path": Prop(str, aws="Path", default="/", force_new=True, check=matches(r"/([!-~]*/)?", 1, 512)),
        "permissionsBoundary": Prop(str, aws="PermissionsBoundary", check=is_arn),
    }
    computed = ("arn", "createDate", "uniqueId")

    def create(self, aws: Aws, new: Properties) -> str:
        answer = aws.client("iam").create_role(Tags=tag_list(new["tagsAll"]), **self.sent(new))
        return answer["Role"]["RoleName"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        client = aws.client("iam")
        role = client.get_role(RoleName=resource_id)["Role"]
        return {
            **self.told({"Description": "", "MaxSessionDuration": 3600, **role}),
            "arn": role["Arn"],
            "uniqueId": role["RoleId"],
            "createDate": role["CreateDate"].isoformat().replace("+00:00", "Z"),
            "assumeRolePolicy": _document(role["AssumeRolePolicyDocument"]),
            "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            "tagsAll": tag_map(client.list_role_tags(RoleName=resource_id)["Tags"]),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        client = aws.client("iam")
        if "assumeRolePolicy" in changed:
            client.update_assume_role_policy(RoleName=resource_id, PolicyDocument=new["assumeRolePolicy"])
        if "description" in changed:
            client.update_role_description(RoleName=resource_id, Description=new.get("description", ""))
        if "maxSessionDuration" in changed:
            # The official plugin sends the duration alone. moto then takes the description away, AWS does not.
            client.update_role(
                RoleName=resource_id,
                MaxSessionDuration=new["maxSessionDuration"],
                Description=new.get("description", ""),
            )
        if "permissionsBoundary" in changed:
            if new.get("permissionsBoundary"):
                client.put_role_permissions_boundary(
                    RoleName=resource_id, PermissionsBoundary=new["permissionsBoundary"]
                )
            else:
                client.delete_role_permissions_boundary(RoleName=resource_id)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("iam").delete_role(RoleName=resource_id)


def _role_policy(aws: Aws, role: str, name: str) -> str:
    return _document(aws.client("iam").get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])


def _role_name(role: Any) -> str | None:
    if is_arn(role) is None:
        return "must be the role's name, not its ARN"
    return matches(r".*", 1, 128)(role)


class RolePolicy(AwsResource):
    """An inline policy of a role."""

    type_name = "aws:iam/rolePolicy:RolePolicy"
    title = "IAM Role Policy"
    regional = False
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "name": Prop(str, computed=True, force_new=True, check=matches(_NAME, 1, 128)),
        "policy": Prop(str, required=True, same=same_policy, check=is_policy),
        "role": Prop(str, required=True, force_new=True, check=_role_name),
    }

    def create(self, aws: Aws, new: Properties) -> str:
        _put_role_policy(aws, new["role"], new["name"], new["policy"])
        return f"{new['role']}:{new['name']}"

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        role, _, name = resource_id.partition(":")
        return {"role": role, "name": name, "policy": _role_policy(aws, role, name)}

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        self.create(aws, new)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        role, _, name = resource_id.partition(":")
        aws.client("iam").delete_role_policy(RoleName=role, PolicyName=name)


def _put_role_policy(aws: Aws, role: str, name: str, policy: str) -> None:
    """PutRolePolicy within AWS's size limit, which moto doesn't know."""
    own = aws.own("iam")
    others = [item for item in own.list_role_policies(RoleName=role)["PolicyNames"] if item != name]
    sizes = (_size(_document(own.get_role_policy(RoleName=role, PolicyName=item)["PolicyDocument"])) for item in others)
    if _size(policy) + sum(sizes) > _ROLE_INLINE_LIMIT:
        raise ProviderError(
            "operation error IAM: PutRolePolicy, https response error StatusCode: 409, LimitExceeded: "
            f"Maximum policy size of {_ROLE_INLINE_LIMIT} bytes exceeded for role {role}"
        )
    aws.client("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy)


def _policy_path(path: Any) -> str | None:
    """Source: terraform-provider-aws 6, internal/service/iam/validate.go, validPolicyPath."""
    if "//" in path or not path.endswith("/"):
        return f"must begin and end with a slash and have no two in a row, got {path}"
    return matches(r"/[A-Za-z0-9.,+@=_/-]*", 1, 512)(path)


class Policy(AwsResource):
    """A customer-managed policy."""

    type_name = "aws:iam/policy:Policy"
    title = "IAM Policy"
    regional = False
    tagged = tagging("iam", "PolicyArn", put="tag_policy", drop="untag_policy")
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "description": Prop(str, aws="Description", force_new=True, check=matches(r".*", 0, 1000)),
        "name": Prop(str, aws="PolicyName", computed=True, force_new=True, check=matches(_NAME, 1, 128)),
        "path": Prop(str, aws="Path", default="/", force_new=True, check=_policy_path),
        "policy": Prop(str, required=True, same=same_policy, check=is_policy),
    }
    computed = ("arn", "attachmentCount", "policyId")

    def create(self, aws: Aws, new: Properties) -> str:
        _require_managed_size(new["policy"], "CreatePolicy")
        answer = aws.client("iam").create_policy(
            PolicyDocument=new["policy"], Tags=tag_list(new["tagsAll"]), **self.sent({"description": "", **new})
        )
        return answer["Policy"]["Arn"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetPolicy, which tells the tags, and its default version."""
        require_arn(resource_id, state)
        client = aws.client("iam")
        found = client.get_policy(PolicyArn=resource_id)["Policy"]
        version = client.get_policy_version(PolicyArn=resource_id, VersionId=found["DefaultVersionId"])
        return {
            **self.told({"Description": "", **found}),
            "arn": found["Arn"],
            "attachmentCount": found.get("AttachmentCount", 0),
            "policyId": found["PolicyId"],
            "policy": _document(version["PolicyVersion"]["Document"]),
            "tagsAll": tag_map(found.get("Tags")),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """CreatePolicyVersion, for which the oldest version makes room, also when it then fails."""
        client = aws.client("iam")
        versions = client.list_policy_versions(PolicyArn=resource_id)["Versions"]
        if len(versions) >= _MANAGED_VERSIONS:
            oldest = min((item for item in versions if not item["IsDefaultVersion"]), key=_version_number)
            client.delete_policy_version(PolicyArn=resource_id, VersionId=oldest["VersionId"])
        _require_managed_size(new["policy"], "CreatePolicyVersion")
        client.create_policy_version(PolicyArn=resource_id, PolicyDocument=new["policy"], SetAsDefault=True)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        client = aws.client("iam")
        for version in client.list_policy_versions(PolicyArn=resource_id)["Versions"]:
            if not version["IsDefaultVersion"]:
                client.delete_policy_version(PolicyArn=resource_id, VersionId=version["VersionId"])
        client.delete_policy(PolicyArn=resource_id)


def _version_number(version: Mapping[str, Any]) -> int:
    return int(version["VersionId"].removeprefix("v"))


def _require_managed_size(policy: str, operation: str) -> None:
    if _size(policy) > _MANAGED_LIMIT:
        raise ProviderError(
            f"operation error IAM: {operation}, https response error StatusCode: 409, LimitExceeded: "
            f"Cannot exceed quota for PolicySize: {_MANAGED_LIMIT}"
        )


class RolePolicyAttachment(AwsResource):
    """A managed policy on a role."""

    type_name = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    title = "IAM Role Policy Attachment"
    regional = False
    delete_before_replace = True
    inputs: ClassVar[Inputs] = {
        "policyArn": Prop(str, required=True, force_new=True, check=is_arn),
        "role": Prop(str, required=True, force_new=True),
    }

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        return resource_id or f"{inputs.get('role', '')}/{last_part(str(inputs.get('policyArn', '')))}"

    def create(self, aws: Aws, new: Properties) -> str:
        aws.client("iam").attach_role_policy(RoleName=new["role"], PolicyArn=new["policyArn"])
        return f"{new['role']}/{new['policyArn']}"

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        role, _, arn = resource_id.partition("/")
        pages = aws.client("iam").get_paginator("list_attached_role_policies").paginate(RoleName=role)
        attached = {item["PolicyArn"] for page in pages for item in page["AttachedPolicies"]}
        return {"role": role, "policyArn": arn} if arn in attached else None

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        role, _, arn = resource_id.partition("/")
        aws.client("iam").detach_role_policy(RoleName=role, PolicyArn=arn)


def _thumbprints(items: Any) -> str | None:
    return next(
        (f"expected 40 hex digits, got {item}" for item in items if not re.fullmatch(r"[0-9A-Fa-f]{40}", item)), None
    )


def _client_ids(items: Any) -> str | None:
    if not items:
        return "at least one client ID is required"
    return next((reason for item in items if (reason := matches(r".*", 1, 255)(item))), None)


class OpenIdConnectProvider(AwsResource):
    """An identity provider: whose tokens a role's trust policy may accept."""

    type_name = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
    title = "IAM OIDC Provider"
    named_by = "url"
    regional = False
    tagged = tagging(
        "iam",
        "OpenIDConnectProviderArn",
        put="tag_open_id_connect_provider",
        drop="untag_open_id_connect_provider",
    )
    inputs: ClassVar[Inputs] = {
        "clientIdLists": Prop(list, required=True, same=same_set, check=_client_ids),
        "thumbprintLists": Prop(list, computed=True, check=_thumbprints),
        "url": Prop(
            str,
            required=True,
            force_new=True,
            same=by(lambda url: (url or "").removeprefix("https://")),
            check=matches(r"https://[^?\s]+", 1, 255),
        ),
    }
    computed = ("arn",)

    def create(self, aws: Aws, new: Properties) -> str:
        answer = aws.client("iam").create_open_id_connect_provider(
            Url=new["url"],
            ClientIDList=new["clientIdLists"],
            Tags=tag_list(new["tagsAll"]),
            **given(ThumbprintList=new.get("thumbprintLists") or None),
        )
        return answer["OpenIDConnectProviderArn"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        found = aws.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=resource_id)
        return {
            "arn": resource_id,
            "clientIdLists": found.get("ClientIDList", []),
            "thumbprintLists": found.get("ThumbprintList", []),
            "url": found["Url"].removeprefix("https://"),
            "tagsAll": tag_map(found.get("Tags")),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Thumbprints (an empty list changes nothing), client IDs one by one."""
        client = aws.client("iam")
        which = {"OpenIDConnectProviderArn": resource_id}
        if "thumbprintLists" in changed and new.get("thumbprintLists"):
            client.update_open_id_connect_provider_thumbprint(**which, ThumbprintList=new["thumbprintLists"])
        if "clientIdLists" in changed:
            before, after = set(old["clientIdLists"]), set(new["clientIdLists"])
            for item in sorted(after - before):
                client.add_client_id_to_open_id_connect_provider(**which, ClientID=item)
            for item in sorted(before - after):
                client.remove_client_id_from_open_id_connect_provider(**which, ClientID=item)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("iam").delete_open_id_connect_provider(OpenIDConnectProviderArn=resource_id)


RESOURCES = (Role(), RolePolicy(), Policy(), RolePolicyAttachment(), OpenIdConnectProvider())
