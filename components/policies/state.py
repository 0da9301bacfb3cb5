"""The policy of the key that encrypts the values in Pulumi's configuration and state. Pure.

Sources: AWS, "Default key policy"; "Grants in AWS KMS", an explicit deny in the key's policy overrides a grant; AWS, "AWS global
condition context keys", aws:PrincipalArn.
"""

from collections.abc import Sequence

from components.checks import PRINCIPAL_ARN
from components.location import Location
from components.policies.identity import PolicyError, document, of_resource, runs_as

MAX_CHARACTERS = 32_768
"""Size limit of a key's policy. Source: AWS, "AWS KMS resource quotas"."""


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
    wrong = [arn for arn in named if not PRINCIPAL_ARN.fullmatch(arn)]
    if wrong:
        raise PolicyError(f"{wrong[0]!r} is not the ARN of a role or user")
    if caller_arn and not any(runs_as(caller_arn, reader) for reader in named):
        raise PolicyError(f"{caller_arn} runs this and would no longer decrypt the state")
    decrypt = ["kms:Decrypt", "kms:ReEncryptFrom"]
    # For a role's session, the condition key has the role's ARN with its path.
    others = {"ArnNotEquals": {"aws:PrincipalArn": named}}
    policy = document(
        [
            of_resource("IamDecides", {"AWS": location.root_arn()}, ["kms:*"], ["*"]),
            of_resource("OnlyTheseDecrypt", {"AWS": "*"}, decrypt, ["*"], others, effect="Deny"),
        ]
    )
    if len(policy) > MAX_CHARACTERS:
        raise PolicyError(f"the key's policy has {len(policy):,} characters, AWS takes {MAX_CHARACTERS:,}")
    return policy
