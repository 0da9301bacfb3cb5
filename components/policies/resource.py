"""The resource policy of `restrictReaders`: only the named principals can read a secret, whatever identity policies say.

A pure function. The policy goes to every secret of a stack with `block_public_policy`.
Sources: AWS, "Resource-based policies" (Secrets Manager) and "AWS global condition context keys", aws:PrincipalArn.
"""

from collections.abc import Sequence

from components.checks import PRINCIPAL_ARN
from components.policies.identity import PolicyError, Statement, document, of_resource, require_tls, runs_as

MAX_CHARACTERS = 20_480
"""Size limit of a secret's resource policy. Source: AWS, "AWS Secrets Manager quotas"."""


class ReaderPolicyError(PolicyError):
    """The policy would lock out a required principal, or AWS would refuse it. The message names the configuration keys."""


def reader_policy(
    *,
    execution_role_arns: Sequence[str],
    rotation_role_arn: str | None,
    trusted_readers: Sequence[str],
    break_glass_roles: Sequence[str],
    deployer_roles: Sequence[str],
    caller_arn: str | None = None,
) -> str:
    """Return the policy: it denies GetSecretValue to everybody except these, and everything without TLS.

    It allows nothing: each of them also needs a right to read. It denies only reading, so that a principal that can change
    resource policies can undo it.

    Args:
        execution_role_arns: The roles that start the tasks.
        rotation_role_arn: The rotation function's role, if there is one.
        trusted_readers: Other roles and users that read.
        break_glass_roles: The emergency roles that read the values.
        deployer_roles: The roles that run `pulumi up`: the provider reads values on refresh.
        caller_arn: The caller's ARN from `sts:GetCallerIdentity`; if given, it must be among the readers.

    Raises:
        ReaderPolicyError: When an ARN is not a role or user, the caller would lock itself out, or the policy is longer than AWS
            takes.
    """
    problems: list[str] = []
    own = [*execution_role_arns, *([rotation_role_arn] if rotation_role_arn else [])]
    readers = sorted({*own, *trusted_readers, *break_glass_roles, *deployer_roles})
    # A wildcard would also be one in the condition.
    problems += [f"{arn!r} is not the ARN of a role or user" for arn in readers if not PRINCIPAL_ARN.fullmatch(arn)]
    if caller_arn and not any(runs_as(caller_arn, reader) for reader in readers):
        problems.append(
            f"{caller_arn} runs this and would lock itself out: add its role to deployerRoles, or run this as one of them"
        )
    policy = document([_only(readers), require_tls()])
    if len(policy) > MAX_CHARACTERS:
        problems.append(f"the policy has {len(policy):,} characters, AWS takes {MAX_CHARACTERS:,}: name fewer readers")
    if problems:
        raise ReaderPolicyError("restrictReaders: " + "; ".join(problems))
    return policy


def _only(readers: Sequence[str]) -> Statement:
    # BatchGetSecretValue is checked as GetSecretValue on each secret. For a role's session, the condition key has the role's ARN
    # with its path.
    others = {"ArnNotEquals": {"aws:PrincipalArn": list(readers)}}
    return of_resource("OnlyTheseRead", "*", "secretsmanager:GetSecretValue", condition=others, effect="Deny")
