"""The policy of the key that encrypts the values in Pulumi's configuration and state. Pure.

Sources: AWS, "Default key policy"; "Grants in AWS KMS", an explicit deny in the key's policy overrides a grant; AWS, "AWS global
condition context keys", aws:PrincipalArn.
"""

import re
from collections.abc import Sequence

from components.location import Location
from components.policies.identity import PolicyError, Statement, document

MAX_CHARACTERS = 32_768
"""Size limit of a key's policy. Source: AWS, "AWS KMS resource quotas"."""

_PRINCIPAL = re.compile(r"arn:[a-z-]+:iam::\d{12}:(?:role|user)/[\w+=,.@/-]+")


def state_key_policy(readers: Sequence[str], location: Location, *, caller_arn: str | None = None) -> str:
    """Return the policy: IAM decides, and only the readers can decrypt: not even administrators or root.

    A principal that can change the key's policy can undo it, with a call that the audit reports.

    Args:
        readers: ARNs of the roles and users that decrypt: the pipeline's roles, break-glass roles, and everybody who sets
            secret configuration values.
        location: The account.
        caller_arn: The caller's ARN from `sts:GetCallerIdentity`; if given, it must be among the readers.

    Raises:
        PolicyError: When an ARN is not that of a role or user, or the caller would lock itself out.
    """
    named = sorted(set(readers))
    wrong = [arn for arn in named if not _PRINCIPAL.fullmatch(arn)]
    if wrong:
        raise PolicyError(f"{wrong[0]!r} is not the ARN of a role or user")
    if caller_arn and not any(_is(caller_arn, reader) for reader in named):
        raise PolicyError(f"{caller_arn} runs this and would no longer decrypt the state")
    root = f"arn:{location.partition}:iam::{location.account_id}:root"
    statements: list[Statement] = [
        {"Sid": "IamDecides", "Effect": "Allow", "Principal": {"AWS": root}, "Action": ["kms:*"], "Resource": ["*"]},
        {
            "Sid": "OnlyTheseDecrypt",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": ["kms:Decrypt", "kms:ReEncryptFrom"],
            "Resource": ["*"],
            # For a role's session, the condition key has the role's ARN with its path.
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": named}},
        },
    ]
    policy = document(statements)
    if len(policy) > MAX_CHARACTERS:
        raise PolicyError(f"the key's policy has {len(policy):,} characters, AWS takes {MAX_CHARACTERS:,}")
    return policy


def _is(caller_arn: str, principal_arn: str) -> bool:
    """Return whether the caller is that user, or a session of that role. A session's ARN lacks the role's path."""
    session = re.fullmatch(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/.+", caller_arn)
    if not session:
        return caller_arn == principal_arn
    partition, account, role = session.groups()
    return principal_arn.startswith(f"arn:{partition}:iam::{account}:role/") and principal_arn.endswith(f"/{role}")
