"""The `valueFrom` strings with which an ECS container definition refers to a secret.

`ARN` or `ARN:json-key:version-stage:version-id`. Source: AWS, "Pass Secrets Manager secrets through Amazon ECS environment
variables".
"""

import re
from dataclasses import dataclass

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
"""AWS's staging labels: the live version, the one before it, and the one that a rotation is setting up."""

SECRET_ARN = re.compile(r"arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+")
"""The ARN of a secret, with or without its suffix.

AWS services use an exclamation mark in the names of the secrets that they manage, such as `rds!cluster-...`.
Source: AWS, "AWS Secrets Manager secrets managed by other AWS services".
"""

WHOLE_SECRET_ARN = re.compile(SECRET_ARN.pattern + "-[A-Za-z0-9]{6}")
"""The ARN of a secret with the hyphen and the six characters that AWS ends it with."""

_ARN_FIELDS = 7
_OPTION_FIELDS = 3


@dataclass(frozen=True)
class Reference:
    """A parsed `valueFrom`. Empty options are None; the value is then the whole secret, at AWSCURRENT."""

    arn: str
    key: str | None = None
    stage: str | None = None
    version_id: str | None = None


def value_from(arn: str, key: str | None = None, stage: str | None = None) -> str:
    """Return the `valueFrom` of a secret, of one of its JSON keys, or of a staging label.

    Raises:
        ValueError: When the ARN is not a secret's, or a part contains a colon, which ECS reads as a separator.
    """
    if not SECRET_ARN.fullmatch(arn):
        raise ValueError(f"{arn!r} is not the ARN of a secret")
    if key is not None and (not key or ":" in key):
        raise ValueError(f"ECS cannot reference the JSON key {key!r}: it must not be empty or hold a colon")
    return arn if key is None and stage is None else f"{arn}:{key or ''}:{stage or ''}:"


def parse_value_from(text: str) -> Reference:
    """Return the parts of a `valueFrom`.

    Raises:
        ValueError: When ECS would refuse it: "unexpected ARN format" for a wrong number of colons, or no secret's ARN.
    """
    fields = text.split(":")
    arn, options = ":".join(fields[:_ARN_FIELDS]), fields[_ARN_FIELDS:]
    if not SECRET_ARN.fullmatch(arn):
        raise ValueError(f"{text!r} does not start with the ARN of a secret")
    if len(options) not in (0, _OPTION_FIELDS):
        raise ValueError(
            f"{text!r} has {len(options)} fields after the ARN; ECS takes none or exactly 3 (key:stage:version)"
        )
    return Reference(arn, *(option or None for option in options))
