"""A secret with any owner: what components accept and return."""

from dataclasses import dataclass

import pulumi

from components.location import region_of
from components.outputs import ADOPTED, STACK
from components.references import WHOLE_SECRET_ARN, value_from

_SUFFIX_CHARACTERS = len("-") + 6


@dataclass(frozen=True)
class Secret:
    """A secret in AWS Secrets Manager: created by the stack, adopted, or foreign."""

    name: str
    """Its name in the catalogue."""
    full_name: str
    """Its name in AWS."""
    arn: pulumi.Input[str]
    """Its full ARN."""
    region: str
    """The Region that it is in."""
    owner: str = STACK
    """`stack`, `adopted` (Pulumi imported it and never deletes it), or the name of the foreign owner."""
    kms_key_arn: pulumi.Input[str] | None = None
    """Its customer-managed key, if it has one."""
    version_id: pulumi.Input[str] | None = None
    """The version that Pulumi set last, unless the value is set outside Pulumi."""

    @property
    def is_foreign(self) -> bool:
        """Whether it is foreign: the stack adds no policy and no replica to it."""
        return self.owner not in {STACK, ADOPTED}

    def value_from(self, key: str | None = None, stage: str | None = None) -> pulumi.Output[str]:
        """Return the `valueFrom` of a container variable: the whole value, or one JSON key, at a staging label."""
        return pulumi.Output.from_input(self.arn).apply(lambda arn: value_from(arn, key, stage))


def foreign(name: str, arn: str, owner: str, kms_key_arn: str | None = None) -> Secret:
    """Return a foreign secret by its full ARN.

    Raises:
        ValueError: When the ARN is not a secret's, or lacks the six characters that AWS ends it with.
    """
    return Secret(name, full_name_of(arn), arn, region_of(arn), owner, kms_key_arn)


def full_name_of(arn: str) -> str:
    """Return a secret's name from its full ARN, which AWS ends with a hyphen and six characters.

    Raises:
        ValueError: When it is not the full ARN of a secret.
    """
    if not WHOLE_SECRET_ARN.fullmatch(arn):
        raise ValueError(f"{arn!r} is not the full ARN of a secret")
    return arn.split(":", 6)[6][:-_SUFFIX_CHARACTERS]


def arn_length(secret: Secret, partition: str, account_id: str) -> int:
    """Return the characters of a secret's ARN, which is known before AWS chooses the last six."""
    if isinstance(secret.arn, str):
        return len(secret.arn)
    return (
        len(f"arn:{partition}:secretsmanager:{secret.region}:{account_id}:secret:{secret.full_name}")
        + _SUFFIX_CHARACTERS
    )
