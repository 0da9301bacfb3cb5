"""IAM roles with everything that decides their permissions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from components.location import region_of
from ops._aws import Aws
from ops._errors import MISSING, tolerating
from ops._stack import Stack
from ops.access.evaluator import Decision, Request, Statement, decide, parse


@dataclass(frozen=True)
class Role:
    """A role of the stack's account.

    Attributes:
        trust: Who can assume it.
        identity: The statements of its inline and attached policies.
        boundary: Those of its permissions boundary, None without one.
        attached: ARNs of the attached policies.
    """

    arn: str
    name: str
    trust: tuple[Statement, ...]
    identity: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None
    attached: tuple[str, ...] = ()

    def may(
        self,
        action: str,
        resource: str,
        context: Mapping[str, str | None],
        policy: Iterable[Statement] = (),
        *,
        policy_must_allow: bool = False,
    ) -> Decision:
        """Return whether the role can do something to a resource, which can have a policy (`decide`)."""
        return decide(
            Request(action, resource, self.arn, context),
            identity=self.identity,
            boundary=self.boundary,
            resource=policy,
            resource_must_allow=policy_must_allow,
        )

    def context(self, stack: Stack, arn: str | None = None) -> dict[str, str | None]:
        """Return what is known of a request by the role, and with an ARN of one for a secret, or for a secret's key.

        Not the version: any one can be the live one elsewhere.
        """
        user = ":user/" in self.arn
        known: dict[str, str | None] = {
            "aws:principalarn": self.arn,
            "aws:principalaccount": stack.account,
            "aws:principaltype": "User" if user else "AssumedRole",
            "aws:username": self.name if user else None,
            "aws:securetransport": "true",
            "kms:calleraccount": stack.account,
        }
        if arn is None:
            return known
        return known | {
            "aws:resourceaccount": arn.split(":")[4],
            "aws:requestedregion": region_of(arn),
            "kms:viaservice": replace(stack.location, region=region_of(arn)).endpoint("secretsmanager"),
            "kms:encryptioncontext:secretarn": arn,
        }


def read_role(aws: Aws, arn: str) -> Role | None:
    """Return a role by its ARN, None when it doesn't exist."""
    name = arn.rpartition("/")[2]
    iam = aws.client("iam")
    raw: Any = tolerating(MISSING, lambda: iam.get_role(RoleName=name)["Role"])
    if raw is None:
        return None
    identity: list[Statement] = []
    for policy in sorted(aws.pages("iam", "list_role_policies", "PolicyNames", RoleName=name)):
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        identity += parse(document, source=f"inline policy {policy}")
    attached = {
        item["PolicyArn"] for item in aws.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=name)
    }
    for policy_arn in sorted(attached):
        identity += read_managed_policy(aws, policy_arn)
    limit = (raw.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    return Role(
        arn=raw["Arn"],
        name=name,
        trust=parse(raw["AssumeRolePolicyDocument"], source="trust policy"),
        identity=tuple(identity),
        boundary=read_managed_policy(aws, limit) if limit else None,
        attached=tuple(sorted(attached)),
    )


def read_managed_policy(aws: Aws, arn: str) -> tuple[Statement, ...]:
    """Return the statements of a managed policy's default version."""
    iam = aws.client("iam")
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    return parse(document, source=f"managed policy {arn.rpartition('/')[2]}")


def read_key_policy(aws: Aws, key_arn: str) -> tuple[Statement, ...]:
    """Return the statements of a KMS key's policy."""
    policy = aws.client("kms", key_arn.split(":")[3]).get_key_policy(KeyId=key_arn, PolicyName="default")["Policy"]
    return parse(policy, source="key policy")
