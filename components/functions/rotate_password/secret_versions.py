"""The secret's side of a rotation: its versions and their staging labels.

The version that a rotation creates has the ClientRequestToken as its id, and AWSPENDING until the rotation is done.
AWSCURRENT marks the value in use, AWSPREVIOUS the one before (Secrets Manager moves it together with AWSCURRENT).
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as EndpointError

from .errors import Cause, RotationError

if TYPE_CHECKING:  # the stubs are not in the Lambda runtime
    from mypy_boto3_secretsmanager import SecretsManagerClient

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"
ATTEMPT = "ROTATION_ATTEMPT"
"""A label on each version that a rotation creates: it keeps a cancelled rotation's version readable without AWSPENDING,
because the database might already have its password."""

# The remaining ASCII characters are the unreserved ones of RFC 3986 (letters, digits, "-._~"), which need no escaping in a
# connection URL, a libpq connection string, a shell or JSON.
EXCLUDED_CHARACTERS = " !\"#$%&'()*+,/:;<=>?@[\\]^`{|}"

PASSWORD_CHARACTERS = 32

_ADVICE = {
    "AccessDeniedException": "the function's role lacks the permission, or the one for the secret's KMS key",
    "DecryptionFailure": "the secret's KMS key is not usable: disabled, deleted, or not granted to the function's role",
    "EncryptionFailure": "the secret's KMS key is not usable: disabled, deleted, or not granted to the function's role",
    "InvalidRequestException": "the secret's state does not allow it; the secret might be scheduled for deletion",
    "ResourceNotFoundException": "there is no such secret or version in this account and Region",
    "ThrottlingException": "too many calls; the step can be repeated",
}


@dataclass(frozen=True)
class RotatedSecret:
    """One secret, and the version of it that this rotation creates."""

    client: "SecretsManagerClient"
    secret_id: str
    version_id: str
    rotation_token: str | None
    labels: "Labels"
    """The labels as they were when the step began."""

    @classmethod
    def describe(
        cls, client: "SecretsManagerClient", secret_id: str, version_id: str, rotation_token: str | None
    ) -> "RotatedSecret":
        """Look the secret up; raises `RotationError` unless this version is being, or has been, rotated in."""
        labels = Labels.read(client, secret_id)
        if version_id not in labels.by_version:
            raise RotationError(
                Cause.EVENT,
                f"{secret_id} has no version {version_id}: the rotation was cancelled, or the version belongs to another one",
            )
        if version_id not in {labels.holder(CURRENT), labels.holder(PENDING)}:
            raise RotationError(Cause.EVENT, f"version {version_id} of {secret_id} is not the one being rotated in")
        return cls(client, secret_id, version_id, rotation_token, labels)

    @property
    def is_rotated(self) -> bool:
        """Whether the new version is already the current one, so that nothing remains to do."""
        return self.labels.holder(CURRENT) == self.version_id

    def require_unchanged(self) -> None:
        """Look the labels up again; raises `RotationError` if the rotation of this step has ended.

        An invocation can hang for any time (Lambda freezes it, the network delays it) and continue after its rotation was
        cancelled and a later one has finished. Every change of the database calls this last, before it takes effect.
        """
        now = Labels.read(self.client, self.secret_id)
        if (now.holder(CURRENT), now.holder(PENDING)) != (self.labels.holder(CURRENT), self.version_id):
            message = (
                f"version {self.version_id} of {self.secret_id} is no longer being rotated in: the rotation was cancelled, or "
                "the current value was changed, while this step ran"
            )
            raise RotationError(Cause.EVENT, message)

    def current(self) -> str:
        """The value in use."""
        # By its id: a read by label can lag behind and return a value that is no longer current.
        value = self._value_labelled(CURRENT)
        if value is None:
            raise RotationError(Cause.SECRET, f"{self.secret_id} has no current value to rotate: set one first")
        return value

    def pending(self) -> str:
        """The new value; raises `RotationError` when createSecret has not run."""
        value = self.pending_if_any()
        if value is None:
            raise RotationError(
                Cause.SECRET, f"version {self.version_id} of {self.secret_id} has no value: createSecret must run first"
            )
        return value

    def pending_if_any(self) -> str | None:
        """The new value, None before createSecret has stored it."""
        return self._read(VersionId=self.version_id, VersionStage=PENDING)

    def previous_if_any(self) -> str | None:
        """The previous value, None if the secret never had one."""
        return self._value_labelled(PREVIOUS)

    def abandoned_if_any(self) -> str | None:
        """The value of a cancelled or superseded rotation, None if the last rotation finished."""
        holder = self.labels.holder(ATTEMPT)
        if holder in {None, self.version_id, self.labels.holder(CURRENT), self.labels.holder(PREVIOUS)}:
            return None
        return self._value_labelled(ATTEMPT)

    def put_pending(self, value: str) -> None:
        """Store the new value, labelled AWSPENDING."""
        with _explained("PutSecretValue", self.secret_id):
            # The rotation token proves the rotation's identity to Secrets Manager when the function works across accounts.
            token = {"RotationToken": self.rotation_token} if self.rotation_token else {}
            self.client.put_secret_value(
                SecretId=self.secret_id,
                ClientRequestToken=self.version_id,
                SecretString=value,
                VersionStages=[PENDING, ATTEMPT],
                **token,
            )

    def make_current(self) -> None:
        """Move AWSCURRENT to the new version: one call, so that there is no moment without a current value."""
        holder = self.labels.holder(CURRENT)
        try:
            with _explained("UpdateSecretVersionStage", self.secret_id):
                self.client.update_secret_version_stage(
                    SecretId=self.secret_id,
                    VersionStage=CURRENT,
                    MoveToVersionId=self.version_id,
                    **({"RemoveFromVersionId": holder} if holder else {}),
                )
        except RotationError:
            # If the response to the first attempt is lost, botocore repeats the call, and AWS answers that the label has moved.
            if Labels.read(self.client, self.secret_id).holder(CURRENT) != self.version_id:
                raise

    def random_password(self) -> str:
        """A new password from Secrets Manager's generator."""
        with _explained("GetRandomPassword", self.secret_id):
            made = self.client.get_random_password(
                PasswordLength=PASSWORD_CHARACTERS, ExcludeCharacters=EXCLUDED_CHARACTERS
            )
        return made["RandomPassword"]

    def _value_labelled(self, label: str) -> str | None:
        holder = self.labels.holder(label)
        return self._read(VersionId=holder) if holder else None

    def _read(self, **version: str) -> str | None:
        return _read(self.client, self.secret_id, **version)


@dataclass(frozen=True)
class Labels:
    """The staging labels of a secret's versions; each is on one version at most."""

    by_version: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, client: "SecretsManagerClient", secret_id: str) -> "Labels":
        """Read them; raises `RotationError` if rotation is turned off."""
        with _explained("DescribeSecret", secret_id):
            described = client.describe_secret(SecretId=secret_id)
        # Absent while Secrets Manager tests a rotation that is being configured (testSecret alone, RotateImmediately false).
        if described.get("RotationEnabled") is False:
            raise RotationError(Cause.SECRET, f"rotation is not enabled for {secret_id}")
        found = described.get("VersionIdsToStages", {})
        return cls({version: frozenset(labels) for version, labels in found.items()})

    def holder(self, label: str) -> str | None:
        """The id of the version that has the label."""
        return next((version for version, labels in self.by_version.items() if label in labels), None)


def read_current(client: "SecretsManagerClient", secret_id: str) -> str:
    """The current value of another secret, the superuser's."""
    value = _read(client, secret_id, VersionStage=CURRENT)
    if value is None:
        raise RotationError(Cause.SECRET, f"{secret_id} does not exist or has no current value")
    return value


def _read(client: "SecretsManagerClient", secret_id: str, **version: str) -> str | None:
    with _explained("GetSecretValue", secret_id):
        try:
            found = client.get_secret_value(SecretId=secret_id, **version)
        except client.exceptions.ResourceNotFoundException:
            return None
    if "SecretString" not in found:
        raise RotationError(Cause.SECRET, f"{secret_id} holds a binary value: store the password as a string")
    return found["SecretString"]


@contextmanager
def _explained(operation: str, secret_id: str) -> Generator[None]:
    """Turn botocore's errors into ones that say what to do. Their texts are dropped, because they can quote parameters."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown error"))
        advice = _ADVICE.get(code, "the step can be repeated")
        message = f"{operation} on {secret_id} failed with {code}: {advice}"
        raise RotationError(Cause.SECRETS_MANAGER, message) from None
    except (EndpointError, HTTPClientError):
        message = (
            f"{operation} on {secret_id}: Secrets Manager cannot be reached from the function's subnets; they need its VPC "
            "endpoint or a NAT gateway, and the security groups must allow HTTPS"
        )
        raise RotationError(Cause.NETWORK, message) from None
    except BotoCoreError as error:
        message = f"{operation} on {secret_id} was not sent: {type(error).__name__}"
        raise RotationError(Cause.SECRETS_MANAGER, message) from None
