"""The error that ends a step, and its possible causes."""

from enum import StrEnum


class Cause(StrEnum):
    """Where to look to fix a failed step."""

    CONFIGURATION = "configuration"
    EVENT = "event"
    SECRET = "secret"  # noqa: S105 - a word, not a password
    SECRETS_MANAGER = "secrets-manager"
    DATABASE = "database"
    NETWORK = "network"
    UNEXPECTED = "unexpected"


class RotationError(Exception):
    """A step failed. The message is for the operator and never holds a secret's value.

    Raise it `from None`: errors of the driver and of botocore can quote their input.
    """

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(f"{cause}: {message}")
        self.cause = cause


class SignInRefusedError(RotationError):
    """The database refused these credentials."""


class NoConnectionLeftError(RotationError):
    """The database accepted these credentials, but had no connection left for the user."""
