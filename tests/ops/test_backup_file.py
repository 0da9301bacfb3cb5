"""The backup's file: what opens it, what is refused."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from ops._backup_file import Backup, DamagedError, SavedSecret, SavedVersion, decrypt, encrypt
from ops._restoring import Target, translated

ACCOUNT = "123456789012"  # moto's own, of any credentials
ARN = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:service-ticket-system-dev-jwt-secret-AbCdEf"
VERSION = SavedVersion("1" * 36, ("AWSCURRENT",), "2026-11-01T00:00:00+00:00", text="the live value")
SECRET = SavedSecret(
    "jwt-secret", "service-ticket-system-dev-jwt-secret", ARN, "", None, {"team": "tickets"}, None,
    rotates=False, replica_regions=("us-east-2",), versions=(VERSION,),
)  # fmt: skip
BACKUP = Backup("dev", "service-ticket-system-dev", ACCOUNT, "eu-west-1", "aws", "2026-11-02T00:00:00+00:00", (SECRET,))


@pytest.fixture
def key(local_aws: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A KMS key that the environment's credentials can use."""
    for name, value in {
        "AWS_ENDPOINT_URL": local_aws,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    untyped: Any = boto3
    return untyped.client("kms", region_name="eu-west-1").create_key()["KeyMetadata"]["Arn"]


def test_each_of_several_keys_opens_the_file(key: str) -> None:
    untyped: Any = boto3
    second = untyped.client("kms", region_name="us-east-2").create_key()["KeyMetadata"]["Arn"]
    data = encrypt(BACKUP, [key, second])
    assert decrypt(data, key_arns=[key]) == decrypt(data, key_arns=[second]) == BACKUP


def _changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: data[:0],
    "foreign": lambda data: b"PK" + data,
    "cut in the first line": lambda data: data[:20],
    "cut at the end": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "another version": lambda data: data.replace(b"backup 1\n", b"backup 2\n"),
    "without the first line": lambda data: data.split(b"\n", 1)[1],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_file_is_refused_whole(key: str, damage: str) -> None:
    data = DAMAGES[damage](encrypt(BACKUP, [key]))
    with pytest.raises(DamagedError) as refused:
        decrypt(data, key_arns=[key])
    assert "the live value" not in str(refused.value)


def test_any_changed_byte_is_noticed(key: str) -> None:
    data = encrypt(BACKUP, [key])
    for at in range(0, len(data), len(data) // 12):
        with pytest.raises(DamagedError):
            decrypt(_changed(data, at), key_arns=[key])


def test_an_encrypted_file_of_another_kind_is_refused(key: str) -> None:
    import aws_encryption_sdk  # noqa: PLC0415 - only here

    sdk: Any = aws_encryption_sdk
    provider = sdk.StrictAwsKmsMasterKeyProvider(key_ids=[key])
    message, _ = sdk.EncryptionSDKClient().encrypt(source=b"{}", key_provider=provider)
    with pytest.raises(DamagedError, match="is not a backup"):
        decrypt(b"stack secrets backup 1\n" + message, key_arns=[key])


def test_no_value_is_in_a_repr() -> None:
    assert "the live value" not in repr(BACKUP)


def test_a_policy_is_translated_for_the_target() -> None:
    policy = json.dumps(
        {
            "Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:role/a", "arn:aws:iam::222222222222:role/b"]},
            "Resource": f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:x",
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        }
    )
    target = Target("dev", "333333333333", "us-gov-west-1", "aws-us-gov", "service-ticket-system-dev", frozenset())
    assert json.loads(translated(policy, BACKUP, target)) == {
        "Principal": {"AWS": ["arn:aws-us-gov:iam::333333333333:role/a", "arn:aws-us-gov:iam::222222222222:role/b"]},
        "Resource": "arn:aws-us-gov:secretsmanager:us-gov-west-1:333333333333:secret:x",
        "Condition": {"StringEquals": {"aws:SourceAccount": "333333333333"}},
    }
