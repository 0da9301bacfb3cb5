"""`ops backup` and `restore` against the local AWS."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ops._backup_file import Backup, SavedSecret, SavedVersion, encrypt
from tests.ops.conftest import Deploy, Deployed, Ops

Restore = Callable[..., Any]
Forge = Callable[..., Path]


def _key(stack: Deployed) -> str:
    return stack.client("kms").create_key()["KeyMetadata"]["Arn"]


def _versions(stack: Deployed, name: str) -> dict[str, tuple[set[str], str]]:
    """A secret's versions with labels and values, by id."""
    listed = stack.secrets.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    return {
        v["VersionId"]: (
            set(v.get("VersionStages", ())),
            stack.secrets.get_secret_value(SecretId=name, VersionId=v["VersionId"])["SecretString"],
        )
        for v in listed
    }


def _tags(stack: Deployed, name: str) -> dict[str, str]:
    return {t["Key"]: t["Value"] for t in stack.secrets.describe_secret(SecretId=name).get("Tags", ())}


def _policy(stack: Deployed, name: str) -> Mapping[str, Any]:
    return json.loads(stack.secrets.get_resource_policy(SecretId=name)["ResourcePolicy"])


@pytest.fixture
def key(stack: Deployed) -> str:
    """The key that opens the backups."""
    return _key(stack)


@pytest.fixture
def saved(stack: Deployed, ops: Ops, tmp_path: Path, key: str) -> Path:
    """The file of a backup of a stack with a previous and a labelled version, tags and policies."""
    jwt = stack.arn("jwt-secret")
    for value in ("the second value", "the third value"):
        stack.put("jwt-secret", value)
    stack.secrets.tag_resource(SecretId=jwt, Tags=[{"Key": "team", "Value": "tickets"}])
    file = tmp_path / "stack.backup"
    done = ops(stack, "backup", "--to", str(file), "--kms-key", key)
    assert done.status == 0, done.err
    return file


@pytest.fixture
def restore(stack: Deployed, ops: Ops, key: str) -> Restore:
    """Run `ops restore FILE` with the key: `restore(file, "--yes")`."""

    def run(file: Path, *options: str, **more: Any) -> Any:
        return ops(stack, "restore", str(file), "--kms-key", key, *options, **more)

    return run


def test_backup_tells_what_it_saved_and_no_value(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    file, key = tmp_path / "b", _key(stack)
    done = ops(stack, "backup", "--to", str(file), "--kms-key", key, "--json")
    assert done.status == 0
    assert done.json["secrets"] == 3
    assert done.json["versions"] == 3
    assert done.json["kms_keys"] == [key]
    assert not any(value in done.out + done.err for value in stack.values.values())


def test_the_file_is_private_holds_no_value_and_is_not_replaced_unasked(
    stack: Deployed, ops: Ops, saved: Path, key: str
) -> None:
    data = saved.read_bytes()
    assert saved.stat().st_mode & 0o777 == 0o600
    assert data.startswith(b"stack secrets backup 1\n")
    values = (*stack.values.values(), "the third value", "live-value-of-API_KEY")
    assert not any(value.encode() in data for value in values)
    done = ops(stack, "backup", "--to", str(saved), "--kms-key", key)
    assert (done.status, "--force" in done.err, saved.read_bytes()) == (2, True, data)


@pytest.mark.parametrize(
    ("which", "why"),
    [("none", "--kms-key"), ("the stack's", "use another --kms-key"), ("pending deletion", "PendingDeletion")],
)
def test_a_key_that_is_refused(deploy: Deploy, ops: Ops, tmp_path: Path, which: str, why: str) -> None:
    stack = deploy(customer_managed_key=True)
    key = stack.key_arn or "" if which == "the stack's" else _key(stack)
    if which == "pending deletion":
        stack.client("kms").schedule_key_deletion(KeyId=key.rpartition("/")[2])
    done = ops(stack, "backup", "--to", str(tmp_path / "b"), *(() if which == "none" else ("--kms-key", key)))
    assert done.status == 2
    assert why in done.err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("recovery", "word"),
    [({"RecoveryWindowInDays": 7}, "pending deletion"), ({"ForceDeleteWithoutRecovery": True}, "doesn't exist")],
)
def test_an_incomplete_backup_is_not_written(
    stack: Deployed, ops: Ops, tmp_path: Path, recovery: dict[str, Any], word: str
) -> None:
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), **recovery)
    done = ops(stack, "backup", "--to", str(tmp_path / "b"), "--kms-key", _key(stack))
    assert done.status == 1
    assert f"jwt-secret {'is ' if 'pending' in word else ''}{word}" in done.err
    assert not (tmp_path / "b").exists()


def test_restore_makes_deleted_secrets_again_as_they_were(stack: Deployed, restore: Restore, saved: Path) -> None:
    names = [stack.full_name(name) for name in stack.outputs["secret_arns"]]
    versions = {name: _versions(stack, name) for name in names}
    policies = {name: _policy(stack, name) for name in names}
    for name in names:
        stack.secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    done = restore(saved, "--yes")
    assert done.status == 0, done.err
    # No Pulumi knows the new secrets: they are the operator's until they are adopted, and afterwards.
    expected = {
        name: {
            id_: (labels - {"pulumi-live"} | ({"ops-restored"} if "AWSCURRENT" in labels else set()), value)
            for id_, (labels, value) in found.items()
        }
        for name, found in versions.items()
    }
    assert {name: _versions(stack, name) for name in names} == expected
    assert {name: _policy(stack, name) for name in names} == policies
    assert _tags(stack, stack.full_name("jwt-secret")) == {"team": "tickets"}
    assert f"migrate adopt --stack dev --secret app-config={names[2]}" in done.err
    again = restore(saved, "--yes", "--json")
    assert {work["action"] for work in again.json["secrets"]} == {"nothing"}


def test_the_key_of_a_restore_may_be_an_alias(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    key, file = _key(stack), tmp_path / "b"
    stack.client("kms").create_alias(AliasName="alias/backups", TargetKeyId=key)
    assert ops(stack, "backup", "--to", str(file), "--kms-key", "alias/backups").status == 0
    for given in ("alias/backups", key.rpartition("/")[2], key):
        done = ops(stack, "restore", str(file), "--kms-key", given, "--dry-run")
        assert done.status == 0, done.err
    done = ops(stack, "restore", str(file), "--kms-key", "alias/nope", "--dry-run")
    assert done.status == 2
    assert "alias/nope" in done.err


def test_restore_puts_labels_back_and_keeps_newer_versions(stack: Deployed, restore: Restore, saved: Path) -> None:
    jwt = stack.arn("jwt-secret")
    before = _versions(stack, jwt)
    live = stack.put("jwt-secret", "put after the backup", "AWSCURRENT", "pulumi-live")
    asked = restore(saved)
    assert (asked.status, stack.account in asked.err) == (2, True)
    assert stack.current("jwt-secret") == "put after the backup"
    done = restore(saved, "--yes")
    assert done.status == 0, done.err
    after = _versions(stack, jwt)
    assert stack.current("jwt-secret") == "the third value"
    without_own = {id_: (labels - {"ops-restored"}, value) for id_, (labels, value) in after.items()}
    # The restored value counts as somebody else's.
    assert without_own == {**before, live: ({"pulumi-live"}, "put after the backup")}


def test_a_dry_run_changes_nothing(stack: Deployed, restore: Restore, saved: Path) -> None:
    stack.secrets.delete_secret(SecretId=stack.arn("app-config"), ForceDeleteWithoutRecovery=True)
    stack.put("jwt-secret", "put after the backup")
    done = restore(saved, "--dry-run", "--json")
    assert done.status == 0
    assert {w["name"].removeprefix(f"{stack.prefix}-"): w["action"] for w in done.json["secrets"]} == {
        "app-config": "create",
        "db-master-password": "nothing",
        "jwt-secret": "change",
    }
    assert stack.current("jwt-secret") == "put after the backup"
    listed = {s["Name"] for s in stack.secrets.list_secrets()["SecretList"]}
    assert f"{stack.prefix}-app-config" not in listed


def test_restore_takes_a_secret_back_that_is_pending_deletion(stack: Deployed, restore: Restore, saved: Path) -> None:
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), RecoveryWindowInDays=7)
    done = restore(saved, "--yes", "--json")
    assert done.status == 0, done.err
    assert [w["action"] for w in done.json["secrets"]] == ["nothing", "nothing", "recover"]
    assert stack.current("jwt-secret") == "the third value"
    assert "DeletedDate" not in stack.secrets.describe_secret(SecretId=stack.arn("jwt-secret"))


def test_only_restores_the_named_secret(stack: Deployed, restore: Restore, saved: Path) -> None:
    for name in ("jwt-secret", "db-master-password"):
        stack.put(name, "put after the backup")
    done = restore(saved, "--yes", "--only", "jwt-secret")
    assert done.status == 0, done.err
    assert stack.current("jwt-secret") == "the third value"
    assert stack.current("db-master-password") == "put after the backup"


def test_a_key_must_be_named_and_must_be_the_right_one(stack: Deployed, ops: Ops, saved: Path, key: str) -> None:
    none = ops(stack, "restore", str(saved), "--dry-run")
    assert (none.status, "--kms-key is required" in none.err) == (2, True)
    other = ops(stack, "restore", str(saved), "--dry-run", "--kms-key", _key(stack))
    assert (other.status, "encrypted with another key" in other.err) == (2, True)
    assert not any(value in other.err for value in stack.values.values())
    strange = ops(stack, "restore", str(saved), "--kms-key", key, "--stack", "qa/x y", "--dry-run")
    assert (strange.status, "is not a stack name" in strange.err) == (2, True)


def test_restore_into_another_account_must_be_meant(stack: Deployed, restore: Restore, forge: Forge) -> None:
    name = "service-ticket-system-dr-jwt-secret"
    place = {"environment": "dr", "prefix": "service-ticket-system-dr", "account": "999999999999"}
    file = forge(place, full_name=name, rotates=True)
    refused = restore(file, "--yes")
    assert refused.status == 2
    assert f"--account {stack.account}" in refused.err
    done = restore(file, "--yes", "--account", stack.account)
    assert done.status == 0, done.err
    assert stack.secrets.get_secret_value(SecretId=name)["SecretString"] == "the forged value"
    assert "pulumi up" in done.err


@pytest.mark.parametrize(
    ("place", "region", "prefix"),
    [(("--region", "us-east-2"), "us-east-2", "{0.prefix}"), (("--stack", "copy"), None, "service-ticket-system-copy")],
)
def test_restore_into_another_region_or_stack(  # noqa: PLR0917 - one column of the table each
    stack: Deployed, restore: Restore, saved: Path, place: tuple[str, ...], region: str | None, prefix: str
) -> None:
    stack.outputs_file.unlink()
    done = restore(saved, "--yes", *place)
    assert done.status == 0, done.err
    there, name = stack.client("secretsmanager", region), f"{prefix.format(stack)}-jwt-secret"
    assert there.get_secret_value(SecretId=name)["SecretString"] == "the third value"


def test_a_backup_goes_to_s3_and_back(stack: Deployed, ops: Ops, key: str) -> None:
    bucket = f"backups-{stack.account}"
    stack.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": stack.region})
    place = f"s3://{bucket}/dev/first"
    assert ops(stack, "backup", "--to", place, "--kms-key", key).status == 0
    again = ops(stack, "backup", "--to", place, "--kms-key", key)
    assert (again.status, "--force" in again.err) == (2, True)
    stack.put("jwt-secret", "put after the backup")
    assert ops(stack, "restore", place, "--kms-key", key, "--yes").status == 0
    assert stack.current("jwt-secret") == stack.values["jwt-secret"]


def test_a_binary_value_survives(stack: Deployed, ops: Ops, restore: Restore, tmp_path: Path, key: str) -> None:
    arn, value = stack.arn("jwt-secret"), bytes(range(256))
    stack.secrets.put_secret_value(SecretId=arn, SecretBinary=value)
    file = tmp_path / "b"
    assert ops(stack, "backup", "--to", str(file), "--kms-key", key).status == 0
    stack.secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    assert restore(file, "--yes").status == 0
    found = stack.secrets.get_secret_value(SecretId=f"{stack.prefix}-jwt-secret")
    assert hashlib.sha256(found["SecretBinary"]).digest() == hashlib.sha256(value).digest()


def test_a_damaged_file_is_one_line_and_changes_nothing(stack: Deployed, restore: Restore, saved: Path) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[:800] + bytes([data[800] ^ 1]) + data[801:])
    stack.put("jwt-secret", "put after the backup")
    done = restore(saved, "--yes")
    assert done.status == 2
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1
    assert stack.current("jwt-secret") == "put after the backup"


def _allowing(principal: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def forge(stack: Deployed, tmp_path: Path, key: str) -> Forge:
    """Write a file as a principal does that can encrypt with the key, but has no right on the secrets."""

    def write(place: Mapping[str, str] | None = None, **changes: Any) -> Path:
        version = SavedVersion("2" * 36, ("AWSCURRENT",), "2026-11-01T00:00:00+00:00", text="the forged value")
        fields: dict[str, Any] = {
            "name": "jwt-secret", "full_name": f"{stack.prefix}-jwt-secret", "arn": "arn", "description": "", "kms_key_id": None,
            "tags": {}, "policy": None, "rotates": False, "replica_regions": (), "versions": (version,),
        }  # fmt: skip
        backup = Backup("dev", stack.prefix, stack.account, stack.region, "aws", "2026-11-02T00:00:00+00:00", ())
        backup = replace(backup, secrets=(SavedSecret(**fields | changes),), **place or {})
        file = tmp_path / "forged.backup"
        with mock.patch.dict("os.environ", stack.variables):
            file.write_bytes(encrypt(backup, [key]))
        return file

    return write


@pytest.mark.parametrize(
    "names",
    [
        ("jwt-secret", "payroll/master"),
        ("2-jwt-secret", "service-ticket-system-dev-2-jwt-secret"),
        ("jwt-secret", "service-ticket-system-prod-jwt-secret"),
    ],
)
def test_a_secret_of_somebody_else_is_not_touched(
    stack: Deployed, restore: Restore, forge: Forge, names: tuple[str, str]
) -> None:
    name, full_name = names
    stack.secrets.create_secret(Name=full_name, SecretString="their value")
    file = forge(name=name, full_name=full_name)
    done = restore(file, "--yes")
    assert done.status == 2
    assert f"--also {full_name}" in done.err
    assert stack.secrets.get_secret_value(SecretId=full_name)["SecretString"] == "their value"
    meant = restore(file, "--yes", "--also", full_name)
    assert meant.status == 0, meant.err


def test_a_secret_that_the_stack_adopted_is_restored(stack: Deployed, restore: Restore, forge: Forge) -> None:
    arn = stack.secrets.create_secret(Name="legacy/jwt", SecretString="the live value")["ARN"]
    adopted = {"full_name": "legacy/jwt", "owner": "adopted"}
    stack.described = stack.described | {"jwt-secret": stack.described.get("jwt-secret", {}) | adopted}
    stack.write_outputs(
        secret_arns=stack.outputs["secret_arns"] | {"jwt-secret": arn},
        container_secrets=stack.service["container_secrets"] | {"JWT_SECRET": arn},
    )
    # A principal of the own account is no outsider.
    own = _allowing({"AWS": [f"arn:aws:iam::{stack.account}:role/x", stack.account]})
    file = forge(full_name="legacy/jwt", policy=own)
    done = restore(file, "--yes")
    assert done.status == 0, done.err
    assert stack.current("jwt-secret") == "the forged value"


def test_an_adopted_secret_gets_a_name_of_its_own_in_another_stack(
    stack: Deployed, restore: Restore, forge: Forge
) -> None:
    stack.secrets.create_secret(Name="legacy/jwt", SecretString="the live value")
    file = forge(full_name="legacy/jwt")
    done = restore(file, "--yes", "--stack", "copy")
    assert done.status == 0, done.err
    assert stack.secrets.get_secret_value(SecretId="legacy/jwt")["SecretString"] == "the live value"
    copied = stack.secrets.get_secret_value(SecretId="service-ticket-system-copy-jwt-secret")
    assert copied["SecretString"] == "the forged value"


@pytest.mark.parametrize(
    "case",
    [
        ({"AWS": "arn:aws:iam::999999999999:root"}, "arn:aws:iam::999999999999:root"),
        ({"AWS": "999999999999"}, "999999999999"),
        ("*", "*"),
        ({"Service": "backup.amazonaws.com"}, "backup.amazonaws.com"),
        ({"AWS": "AIDAEXAMPLE"}, "AIDAEXAMPLE"),
    ],
)
def test_whom_a_saved_policy_lets_in_is_shown_and_must_be_named(
    stack: Deployed, restore: Restore, forge: Forge, case: tuple[Any, str]
) -> None:
    principal, outsider = case
    file = forge(policy=_allowing(principal))
    before = _policy(stack, stack.arn("jwt-secret"))
    shown = restore(file, "--dry-run")
    assert (shown.status, f"allows {outsider}" in shown.out) == (0, True)
    done = restore(file, "--yes")
    assert done.status == 2
    assert f"--allow '{outsider}'" in done.err
    assert _policy(stack, stack.arn("jwt-secret")) == before
    assert stack.current("jwt-secret") == stack.values["jwt-secret"]
    meant = restore(file, "--yes", "--allow", outsider)
    assert meant.status == 0, meant.err
    without = restore(file, "--yes", "--no-policies")
    assert without.status == 0, without.err


def test_the_operator_is_asked_about_outsiders(stack: Deployed, forge: Forge, key: str, terminal: Any) -> None:
    file = forge(policy=_allowing({"AWS": "999999999999"}))
    with terminal(stack, "restore", str(file), "--kms-key", key, "--yes") as session:
        session.expect("Allow 1 outside account")
        session.send("n\n")
        assert session.status() == 2
    assert stack.current("jwt-secret") == stack.values["jwt-secret"]


def test_a_key_of_another_account_is_not_taken_over(stack: Deployed, restore: Restore, forge: Forge) -> None:
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), ForceDeleteWithoutRecovery=True)
    theirs = f"arn:aws:kms:{stack.region}:999999999999:key/1"
    file = forge(kms_key_id=theirs)
    done = restore(file, "--yes")
    assert (done.status, theirs in done.err) == (2, True)


@pytest.fixture
def rotated(stack: Deployed, saved: Path) -> Path:
    """The backup, after which a function set a newer value of jwt-secret."""
    stack.rotate_by_function("jwt-secret")
    stack.put("jwt-secret", "set by the function")
    return saved


def test_a_value_that_a_function_rotates_is_left_and_said_so(stack: Deployed, restore: Restore, rotated: Path) -> None:
    stack.put("app-config", "put after the backup")
    for options in (("--dry-run",), ("--yes",), ("--yes",)):
        done = restore(rotated, *options)
        assert done.status == 0, done.err
        assert "jwt-secret: a function rotates it, and the database has the password that the function set" in done.err
        assert "--include-rotated jwt-secret" in done.err
    assert stack.current("jwt-secret") == "set by the function"
    assert stack.current("app-config") == stack.values["app-config"]


def test_a_rotated_value_is_restored_by_name_and_doctor_warns(
    stack: Deployed, ops: Ops, rotated: Path, key: str
) -> None:
    command = ("restore", str(rotated), "--kms-key", key, "--include-rotated", "jwt-secret")
    asked = ops(stack, *command)
    assert asked.status == 2
    assert "The database may no longer accept the passwords of jwt-secret." in asked.err
    dry = ops(stack, *command, "--dry-run", "--json").json
    assert "older password" in next(w for w in dry["secrets"] if w["name"].endswith("jwt-secret"))["database"]

    done = ops(stack, *command, "--yes")

    assert done.status == 0, done.err
    assert "python -m ops rollback jwt-secret" in done.err
    assert stack.current("jwt-secret") == "the third value"
    finding = next(f for f in ops(stack, "doctor", "--json").json["findings"] if "ops restore" in f["found"])
    assert (finding["check"], finding["status"], finding["subject"]) == ("rotation", "warning", "jwt-secret")
    assert "--version-stage ops-restored" in finding["fix"]
    assert {w["action"] for w in ops(stack, *command, "--json", "--yes").json["secrets"]} == {"nothing"}

    back = ops(stack, "rollback", "jwt-secret", "--yes")
    assert back.status == 0, back.err
    assert stack.current("jwt-secret") == "set by the function"
    findings = ops(stack, "doctor", "--json").json["findings"]
    assert not [f for f in findings if "ops restore" in f["found"]]
