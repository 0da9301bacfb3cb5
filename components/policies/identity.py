"""The IAM policies of this project as pure functions from strings to statements.

One statement for each purpose, with exact resources. A wildcard appears only if the action supports no resource-level
permission; a comment says so.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.location import Location

Statement = Mapping[str, Any]

DELIVER_LOG = (
    "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
)  # fmt: skip
"""The actions of Step Functions as a state machine's role before it logs; CreateStateMachine needs all of them.

AWS authorizes them on "*" only. None reads or writes an event: CloudWatch Logs delivers the events itself, by a resource policy
of the log group that it creates with these rights, bound to the account (`aws:SourceAccount`, `aws:SourceArn`). Such a
policy allows AWS's services to write to a log; it allows nobody to read it. Sources: AWS, "Logging using CloudWatch Logs"
of Step Functions, IAM policies;
AWS, "Logs sent to CloudWatch Logs" (V1 permissions); CloudWatch Logs' API, PutResourcePolicy.
"""


WITHOUT_TLS = {"Bool": {"aws:SecureTransport": "false"}}
"""The condition of a request without TLS."""


class PolicyError(ValueError):
    """AWS would refuse this policy, or it would lock out a principal. The message says what to change."""


INLINE_POLICY_CHARACTERS = 10_240
"""Characters of all inline policies of one role together, without white space. Source: AWS, "IAM and AWS STS quotas"."""

MANAGED_POLICY_CHARACTERS = 6_144
"""Characters of one customer-managed policy, without white space. Source: the same."""

MANAGED_POLICIES_PER_ROLE = 10
"""Default quota of managed policies attached to one role. Source: the same."""


def document(statements: Iterable[Statement]) -> str:
    """Return a policy document as compact JSON, the same text for the same statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, Mapping[str, object]] | None = None,
) -> Statement:
    """Return a statement of an identity policy."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return statement | ({"Condition": condition} if condition else {})


def of_resource(
    sid: str,
    principal: object,
    actions: object,
    resource: object = "*",
    condition: Mapping[str, Mapping[str, object]] | None = None,
    *,
    effect: str = "Allow",
) -> Statement:
    """Return a statement of a resource's policy; in a key's and a secret's "*" is this key or secret."""
    statement = {"Sid": sid, "Effect": effect, "Principal": principal, "Action": actions, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def runs_as(caller_arn: str, principal_arn: str) -> bool:
    """Return whether the caller is that user, or a session of that role. A session's ARN lacks the role's path."""
    session = re.fullmatch(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/.+", caller_arn)
    if not session:
        return caller_arn == principal_arn
    partition, account, role = session.groups()
    return principal_arn.startswith(f"arn:{partition}:iam::{account}:role/") and principal_arn.endswith(f"/{role}")


def trust(service: str, *, account_id: str | None = None, source_arn: str | None = None) -> str:
    """Return a trust policy for one AWS service, bound to one account and source if given (confused deputy)."""
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    condition: dict[str, Any] = {}
    if account_id:
        condition["StringEquals"] = {"aws:SourceAccount": account_id}
    if source_arn:
        condition["ArnLike"] = {"aws:SourceArn": source_arn}
    return document([statement | ({"Condition": condition} if condition else {})])


def read_secrets(arns: Iterable[str]) -> Statement:
    """Return the right to read exactly these secrets: bare ARNs, sorted, each once.

    ECS needs only GetSecretValue, also for a reference to a JSON key or a staging label.
    """
    return allow("ReadSecrets", ["secretsmanager:GetSecretValue"], sorted(set(arns)))


def decrypt_through_secrets_manager(key_arns: Iterable[str], location: Location) -> Statement:
    """Return the right to decrypt with customer-managed keys of a Region, only through Secrets Manager on the role's behalf."""
    sid = "DecryptSecrets" + location.region.title().replace("-", "")
    return allow(sid, ["kms:Decrypt"], sorted(set(key_arns)), _through_secrets_manager(location))


def write_logs(log_group_arn: str) -> Statement:
    """Return the right to write to the streams of one existing log group."""
    return allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{log_group_arn}:log-stream:*"])


def pull_image(*repository_arns: str) -> tuple[Statement, ...]:
    """Return the right to pull from ECR repositories."""
    actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    # AWS authorizes GetAuthorizationToken on "*" only; the token allows nothing that the other statement doesn't.
    return allow("PullImage", actions, repository_arns), allow("SignInToEcr", ["ecr:GetAuthorizationToken"], ["*"])


def rotate_secret(
    *,
    secret_arn: str,
    superuser_secret_arn: str | None,
    kms_key_arn: str | None,
    function_arn: str,
    log_group_arn: str,
    location: Location,
    superuser_kms_key_arn: str | None = None,
) -> list[Statement]:
    """Return the rights of a rotation function in a VPC: change one secret, read at most one more, write one log."""
    interfaces = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    ]
    four_steps = ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]
    statements = [
        allow("RotateSecret", [f"secretsmanager:{action}" for action in four_steps], [secret_arn]),
        # A password generator: the action supports no resource.
        allow("GeneratePassword", ["secretsmanager:GetRandomPassword"], ["*"]),
        write_logs(log_group_arn),
        # Lambda creates the interfaces with the function's role, before there is one to name. The function's own code,
        # which runs with the same role, can't use this right.
        allow("AttachToVpc", interfaces, ["*"]),
        {
            **allow("NotByTheCode", interfaces, ["*"], {"ArnEquals": {"lambda:SourceFunctionArn": [function_arn]}}),
            "Effect": "Deny",
        },
    ]
    if superuser_secret_arn:
        statements.append(allow("ReadSuperuser", ["secretsmanager:GetSecretValue"], [superuser_secret_arn]))
    if kms_key_arn:
        use = ["kms:Decrypt", "kms:GenerateDataKey"]
        statements.append(allow("UseKey", use, [kms_key_arn], _through_secrets_manager(location)))
    if superuser_kms_key_arn and superuser_kms_key_arn != kms_key_arn:
        statements.append(decrypt_through_secrets_manager([superuser_kms_key_arn], location))
    return statements


def redeploy(*, service_arn: str, state_machine_arn: str, passed_role_arns: Sequence[str]) -> list[Statement]:
    """Return the rights of the redeploying state machine: deploy one ECS service, read its own executions, log its errors.

    Args:
        service_arn: The ECS service.
        state_machine_arn: The state machine itself.
        passed_role_arns: The execution role and the task role of the family that it deploys; none without a family.

    Source: AWS, Service Authorization Reference, Amazon ECS: UpdateService with a task definition authorizes `iam:PassRole` on
    the roles that the task definition names, with `iam:PassedToService` ecs-tasks.amazonaws.com.
    """
    return [
        allow("Deploy", ["ecs:DescribeServices", "ecs:UpdateService"], [service_arn]),
        *([pass_roles(passed_role_arns)] if passed_role_arns else []),
        allow("SeeOwnExecutions", ["states:ListExecutions"], [state_machine_arn]),
        allow("DeliverLog", list(DELIVER_LOG), ["*"]),
    ]


def pass_roles(role_arns: Sequence[str]) -> Statement:
    """Return the right to pass these roles to ECS tasks."""
    to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    return allow("PassRolesToTasks", ["iam:PassRole"], sorted(role_arns), to_tasks)


def start_execution(state_machine_arn: str) -> Statement:
    """Return the right to start one state machine."""
    return allow("Start", ["states:StartExecution"], [state_machine_arn])


def require_tls() -> Statement:
    """Return the common statement of every secret's resource policy: no request without TLS, from anyone.

    AWS also checks the resource policy of a secret: it refuses one that makes the secret public.
    """
    return of_resource("DenyWithoutTls", {"AWS": "*"}, ["secretsmanager:*"], ["*"], WITHOUT_TLS, effect="Deny")


def bucket_requires_tls(bucket_arn: str) -> Statement:
    """Return the common statement of every bucket's policy: no request without TLS, from anyone."""
    return of_resource("TlsOnly", "*", "s3:*", [bucket_arn, f"{bucket_arn}/*"], WITHOUT_TLS, effect="Deny")


def _through_secrets_manager(location: Location) -> Mapping[str, Mapping[str, object]]:
    return {"StringEquals": {"kms:ViaService": location.endpoint("secretsmanager")}}


class TooManySecretsError(PolicyError):
    """One role can't read that many secrets."""


@dataclass(frozen=True)
class ReadPlan:
    """How one role's secrets are spread over its policies.

    Attributes:
        inline: Names of the secrets that the inline policy grants; all of them, or none.
        managed: Names of the secrets by customer-managed policy.
    """

    inline: tuple[str, ...]
    managed: tuple[tuple[str, ...], ...]


def plan_reads(arn_lengths: Mapping[str, int], *, inline_characters_left: int) -> ReadPlan:
    """Spread secrets over policies so that each stays within AWS's limits.

    The plan needs only names and lengths, which are known before any secret exists, so that a preview shows every policy.

    Args:
        arn_lengths: Characters of the ARNs by secret's name.
        inline_characters_left: Characters of INLINE_POLICY_CHARACTERS that the role's other inline policies leave.

    Raises:
        TooManySecretsError: When MANAGED_POLICIES_PER_ROLE policies are too few.
    """
    names = sorted(arn_lengths)
    empty = len(document([read_secrets([])]))
    sizes = {name: arn_lengths[name] + len('"",') for name in names}
    if empty + sum(sizes.values()) <= inline_characters_left:
        return ReadPlan(tuple(names), ())
    chunks = in_chunks(sizes, MANAGED_POLICY_CHARACTERS - empty)
    if len(chunks) > MANAGED_POLICIES_PER_ROLE:
        raise TooManySecretsError(
            f"{len(names)} secrets need {len(chunks)} policies of {MANAGED_POLICY_CHARACTERS:,} characters; "
            f"a role can have {MANAGED_POLICIES_PER_ROLE}: group values in JSON secrets"
        )
    return ReadPlan((), chunks)


def in_chunks(sizes: Mapping[str, int], room: int) -> tuple[tuple[str, ...], ...]:
    """Return the names, sorted, in as few groups as possible: the sizes in a group add up to at most `room`."""
    chunks: list[list[str]] = []
    left = 0
    for name in sorted(sizes):
        if sizes[name] > left:
            chunks.append([])
            left = room
        chunks[-1].append(name)
        left -= sizes[name]
    return tuple(map(tuple, chunks))
