"""The file of a backup: versioned, encrypted on this side with KMS keys, authenticated whole.

    stack secrets backup 1          a line in the clear: format and version
    AWS Encryption SDK message      the content as JSON; committed key, signed

The SDK's encryption context repeats format and version and says what was saved, so that neither can be swapped unnoticed.
Everyone with kms:Decrypt on one of the KMS keys can read the backup; CloudTrail records each such read with that context.

It proves that the file is unchanged since its creation, and that its creator can encrypt with the key that opened it. It does
not prove who that was: the signature's key is part of the message. So a file is opened with named keys only.
Source: AWS, "AWS Encryption SDK algorithms reference" (signing), "Strict and discovery mode" of AWS KMS keyrings.
"""

import base64
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from ops._errors import AwsError, MisuseError, OpsError, explained, is_aws

FORMAT = "stack secrets backup"
VERSION = 1

_MAGIC = FORMAT.encode() + b" "
_MAX_HEADER_BYTES = 64
_MAX_KEYS = 5
_USAGE = "ENCRYPT_DECRYPT"


class DamagedError(OpsError):
    """The file is not a backup, was changed, or can't be decrypted; nothing in it is used."""

    status = 2


@dataclass(frozen=True)
class SavedVersion:
    """One version of a secret.

    Attributes:
        id: A restore keeps it.
        stages: Its staging labels; none for a version that AWS keeps only for a while.
        created: When it was written, ISO 8601.
        binary: A binary value as Base64.
    """

    id: str
    stages: tuple[str, ...]
    created: str
    text: str | None = field(default=None, repr=False)
    binary: str | None = field(default=None, repr=False)

    def value(self) -> dict[str, Any]:
        """Return the value as Secrets Manager's API sends it."""
        return {"SecretString": self.text} if self.binary is None else {"SecretBinary": base64.b64decode(self.binary)}


@dataclass(frozen=True)
class SavedSecret:
    """One secret.

    Attributes:
        name: Its name in the catalogue.
        full_name: Its name in AWS.
        kms_key_id: Its customer-managed key, None for the AWS-managed one.
        policy: Its resource policy as JSON.
        versions: Oldest first.
    """

    name: str
    full_name: str
    arn: str
    description: str
    kms_key_id: str | None
    tags: Mapping[str, str]
    policy: str | None
    rotates: bool
    replica_regions: tuple[str, ...]
    versions: tuple[SavedVersion, ...]

    @property
    def labels(self) -> dict[str, str]:
        """Each label with the id of the version that has it."""
        return {label: version.id for version in self.versions for label in version.stages}


@dataclass(frozen=True)
class Backup:
    """All secrets of one stack at one time, ISO 8601. `prefix` is how their names begin, without the hyphen."""

    environment: str
    prefix: str
    account: str
    region: str
    partition: str
    created: str
    secrets: tuple[SavedSecret, ...]


def encrypt(backup: Backup, key_arns: Sequence[str]) -> bytes:
    """Return the file's bytes. Each of the KMS keys alone can open it; the first one generates the data key.

    Raises:
        AwsError: When KMS refuses a key.
    """
    sdk, client = _sdk()
    errors = sdk.exceptions
    content = json.dumps(asdict(backup), ensure_ascii=False, separators=(",", ":")).encode()
    try:
        message, _ = client.encrypt(
            source=content,
            key_provider=sdk.StrictAwsKmsMasterKeyProvider(key_ids=list(key_arns)),
            encryption_context={"format": FORMAT, "version": str(VERSION), **_named(backup)},
        )
    except (errors.GenerateKeyError, errors.EncryptKeyError, errors.MasterKeyProviderError) as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, Exception) and is_aws(cause):
            raise explained(cause) from None
        raise AwsError(
            f"KMS encrypts no data key with {', '.join(key_arns)}: you need kms:GenerateDataKey on the first key and "
            "kms:Encrypt on the others; nothing was saved"
        ) from None
    return _MAGIC + f"{VERSION}\n".encode() + message


def _named(backup: Backup) -> dict[str, str]:
    """Return what the encryption context says of a backup."""
    return {
        "stack": backup.environment, "account": backup.account, "region": backup.region, "created": backup.created,
    }  # fmt: skip


def decrypt(data: bytes, *, key_arns: Sequence[str]) -> Backup:
    """Return a file's content, after checking that all of it is intact.

    What the file says about its keys is ignored: anyone who can encrypt with another key could have written it.

    Raises:
        DamagedError: When it is not a backup, of another version, damaged, or encrypted with a key that can't be used.
    """
    header, newline, message = data.partition(b"\n")
    if not newline or len(header) > _MAX_HEADER_BYTES or not header.startswith(_MAGIC):
        raise DamagedError("this is not a file of `ops backup`; nothing was restored")
    if header != _MAGIC + str(VERSION).encode():
        raise DamagedError(f"this backup has another format version than {VERSION}: use the release that created it")
    context, content = _decrypted(message, key_arns)
    if context.get("format") != FORMAT or context.get("version") != str(VERSION):
        raise DamagedError("the encrypted part of the file is not a backup; nothing was restored")
    try:
        raw = json.loads(content)
        backup = Backup(**raw | {"secrets": tuple(map(_secret, raw["secrets"]))})
    except (ValueError, TypeError, KeyError):
        raise DamagedError("the content of the file is not a backup of this version; nothing was restored") from None
    if any(context.get(name) != value for name, value in _named(backup).items()):
        raise DamagedError("the file's parts belong to different backups; nothing was restored")
    return backup


def resolve_keys(aws: Any, keys: Sequence[str]) -> list[str]:
    """Return the ARNs of KMS keys given by ARN, id or alias, once each can encrypt.

    Raises:
        MisuseError: When one is disabled, pending deletion, or not a symmetric key.
    """
    found: list[str] = []
    for key in keys:
        region = key.split(":")[3] if key.startswith("arn:") else None
        meta = aws.client("kms", region).describe_key(KeyId=key)["KeyMetadata"]
        if meta["KeyState"] != "Enabled":
            raise MisuseError(f"the KMS key {key} is {meta['KeyState']}: enable it, or use another one")
        if meta.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT" or meta.get("KeyUsage", _USAGE) != _USAGE:
            raise MisuseError(f"the KMS key {key} is not a symmetric encryption key")
        found.append(meta["Arn"])
    return list(dict.fromkeys(found))


def _sdk() -> tuple[Any, Any]:
    import aws_encryption_sdk  # noqa: PLC0415 - a third of the time that every other command takes to start

    # It logs what it also raises, with tracebacks.
    logging.getLogger("aws_encryption_sdk").setLevel(logging.CRITICAL + 1)
    client = aws_encryption_sdk.EncryptionSDKClient(
        commitment_policy=aws_encryption_sdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
        max_encrypted_data_keys=_MAX_KEYS,
    )
    return aws_encryption_sdk, client


def _decrypted(message: bytes, key_arns: Sequence[str]) -> tuple[Mapping[str, str], bytes]:
    sdk, client = _sdk()
    refusals = (sdk.exceptions.DecryptKeyError, sdk.exceptions.MasterKeyProviderError)
    stream = io.BytesIO(message)
    try:
        # Nothing is returned before the signature over the whole message is verified.
        content, header = client.decrypt(
            source=stream, key_provider=sdk.StrictAwsKmsMasterKeyProvider(key_ids=list(key_arns))
        )
    except refusals:
        raise DamagedError(
            "no key of --kms-key opens the file: it was encrypted with another key, it is damaged, or you are not "
            "allowed to use the key (kms:Decrypt); nothing was restored"
        ) from None
    except Exception as error:
        if is_aws(error):
            raise
        # On a damaged message the library's parts raise any exception. The original can hold parts of the content.
        raise DamagedError("the file is damaged; nothing was restored") from None
    if stream.read(1):
        raise DamagedError("the file has data after its end; nothing was restored")
    return cast("Mapping[str, str]", header.encryption_context), content


def _secret(raw: Any) -> SavedSecret:
    versions = tuple(SavedVersion(**version | {"stages": tuple(version["stages"])}) for version in raw["versions"])
    return SavedSecret(**raw | {"versions": versions, "replica_regions": tuple(raw["replica_regions"])})
