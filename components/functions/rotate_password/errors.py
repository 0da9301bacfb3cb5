"""The one error that a step ends with, and the causes that it can name."""

from enum import StrEnum


class Cause(StrEnum):
    """What has to be looked at to fix a failed step."""

    CONFIGURATION = "configuration"
    EVENT = "event"
    SECRET = "secret"  # noqa: S105 - a word, not a password
    SECRETS_MANAGER = "secrets-manager"
    DATABASE = "database"
    NETWORK = "network"
    UNEXPECTED = "unexpected"


class RotationError(Exception):
    """A step could not be done. The message is written for the operator and holds no value of a secret.

    Raise it `from None`: the driver's and botocore's own errors may quote what they were given.
    """

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(f"{cause}: {message}")
        self.cause = cause


class SignInRefusedError(RotationError):
    """The database is there and refuses these credentials."""


class NoConnectionLeftError(RotationError):
    """The database has accepted these credentials, and then had no connection left for their user."""
