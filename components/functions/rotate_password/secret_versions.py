"""The secret's side of a rotation: its versions and their staging labels.

The version that a rotation makes has the ClientRequestToken as its id and carries AWSPENDING until it is done.
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
"""Our own label, put on each version that a rotation makes: it keeps a cancelled rotation's version readable after
AWSPENDING has left it, because its password may already be the one that the database wants."""

# What is left of ASCII are the unreserved characters of RFC 3986 (letters, digits, "-._~"), so that a password also fits
# a connection URL, a libpq connection string, a shell and JSON without any escaping.
EXCLUDED_CHARACTERS = " !\"#$%&'()*+,/:;<=>?@[\\]^`{|}"

PASSWORD_CHARACTERS = 32

_ADVICE = {
    "AccessDeniedException": "the function's role may not do this, or may not use the secret's KMS key",
    "DecryptionFailure": "the secret's KMS key is not usable: disabled, deleted, or not granted to the function's role",
    "EncryptionFailure": "the secret's KMS key is not usable: disabled, deleted, or not granted to the function's role",
    "InvalidRequestException": "the secret is not in a state that allows it; it may be scheduled for deletion",
    "ResourceNotFoundException": "there is no such secret or version in this account and Region",
    "ThrottlingException": "too many calls; the step can be repeated",
}


@dataclass(frozen=True)
class RotatedSecret:
    """One secret, and the version that this rotation makes of it."""

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
                Cause.EVENT, f"{secret_id} has no version {version_id}: the rotation was cancelled, or is another one's"
            )
        if version_id not in {labels.holder(CURRENT), labels.holder(PENDING)}:
            raise RotationError(Cause.EVENT, f"version {version_id} of {secret_id} is not the one being rotated in")
        return cls(client, secret_id, version_id, rotation_token, labels)

    @property
    def is_rotated(self) -> bool:
        """Whether the new version is already the current one, so that nothing is left to do."""
        return self.labels.holder(CURRENT) == self.version_id

    def require_unchanged(self) -> None:
        """Look the labels up again; raises `RotationError` unless the rotation that this step belongs to has not ended.

        An invocation can hang for any time (Lambda freezes it, the network delays it) and continue after its rotation was
        cancelled and a later one has finished. So whatever changes the database calls this last, before it takes effect.
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
        # By its id: a read by label can lag behind, and then give a value that is current no longer.
        value = self._value_labelled(CURRENT)
        if value is None:
            raise RotationError(Cause.SECRET, f"{self.secret_id} has no current value to rotate: put one first")
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
        """The new value, None before createSecret has put it."""
        return self._read(VersionId=self.version_id, VersionStage=PENDING)

    def previous_if_any(self) -> str | None:
        """The value before the current one, None if the secret never had another."""
        return self._value_labelled(PREVIOUS)

    def abandoned_if_any(self) -> str | None:
        """The value that a rotation which was cancelled or overtaken has left, None if the last one came to its end."""
        holder = self.labels.holder(ATTEMPT)
        if holder in {None, self.version_id, self.labels.holder(CURRENT), self.labels.holder(PREVIOUS)}:
            return None
        return self._value_labelled(ATTEMPT)

    def put_pending(self, value: str) -> None:
        """Store the new value, labelled AWSPENDING."""
        with _explained("PutSecretValue", self.secret_id):
            # The rotation token proves to Secrets Manager whose rotation it is when the function works across accounts.
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
            # When the answer to a first attempt is lost, botocore repeats the call and is told that the label has moved.
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
        """Ask for them; raises `RotationError` when rotation is switched off."""
        with _explained("DescribeSecret", secret_id):
            described = client.describe_secret(SecretId=secret_id)
        # Absent while Secrets Manager tries a rotation that is just being configured (testSecret alone, RotateImmediately false).
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
    """Turn botocore's errors into ones that say what to do; their own texts are dropped, they may quote parameters."""
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
