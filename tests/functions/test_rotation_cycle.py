"""Whole rotations, as Secrets Manager drives them: what is current, what still works, what stays as it was."""

import json
import string
import uuid

import pytest
from botocore.client import BaseClient

from components.functions.rotate_password import rotate
from tests.functions.conftest import STEPS, Rotation, Rotations, stored


def test_the_new_value_signs_in_after_each_of_three_rotations(rotation: Rotation) -> None:
    seen = {rotation.value()}
    for _ in range(3):
        rotation.rotate()
        assert rotation.works()
        seen.add(rotation.value())
    assert len(seen) == 4


def test_each_rotation_moves_the_labels_once(rotation: Rotation) -> None:
    seeded = next(iter(rotation.labels()))
    first = rotation.rotate()
    assert "AWSCURRENT" in rotation.labels()[first]
    assert rotation.labels()[seeded] == ["AWSPREVIOUS"]
    second = rotation.rotate()
    assert "AWSCURRENT" in rotation.labels()[second]
    assert "AWSPREVIOUS" in rotation.labels()[first]


def test_every_step_can_be_repeated_without_changing_the_outcome(rotation: Rotation) -> None:
    token = rotation.at("setSecret")
    made = rotation.version(token)
    for step in STEPS:
        for _ in range(3):
            rotation.step(step, token)
    assert rotation.value() == made
    assert rotation.works()


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_a_finished_rotation_does_nothing(rotation: Rotation, step: str) -> None:
    token = rotation.rotate()
    before = rotation.state()
    rotation.step(step, token)
    assert rotation.state() == before


def test_current_stays_current_until_the_last_step(rotation: Rotation) -> None:
    before = rotation.value()
    rotation.steps(rotation.start(), "createSecret", "setSecret", "testSecret")
    assert rotation.value() == before


def test_the_trial_of_a_rotation_that_is_being_configured_signs_in_and_changes_nothing(rotation: Rotation) -> None:
    """With RotateImmediately false, Secrets Manager runs testSecret alone, on a pending version that it makes and removes."""
    token = rotation.start()
    secret = stored(rotation.secret_id)
    secret.versions[token]["secret_string"] = rotation.value()
    secret.rotation_requested = False  # DescribeSecret leaves RotationEnabled out
    before = rotation.state()
    rotation.step("testSecret", token)
    assert rotation.state() == before


def test_a_new_password_is_long_and_needs_no_escaping(rotation: Rotation) -> None:
    rotation.rotate()
    _, password = rotation.credentials()
    assert len(password) == 32
    assert set(password) <= set(string.ascii_letters + string.digits + "-._~")


def test_single_user_leaves_only_the_new_password_working(rotations: Rotations) -> None:
    rotation = rotations.single_user()
    old = rotation.value()
    rotation.rotate()
    assert not rotation.works(old)


def test_alternating_users_leaves_the_credentials_of_the_last_rotation_working_and_none_before(
    rotations: Rotations,
) -> None:
    """So tasks need one redeployment between two rotations."""
    rotation = rotations.alternating_users()
    values = [rotation.value()]
    for _ in range(4):
        rotation.rotate()
        assert rotation.works(values[-1])
        assert not any(map(rotation.works, values[:-1]))
        values.append(rotation.value())


def test_alternating_users_take_turns(rotations: Rotations) -> None:
    rotation = rotations.alternating_users()
    users = [rotation.credentials()[0]]
    for _ in range(3):
        rotation.rotate()
        users.append(rotation.credentials()[0])
    original = rotation.user
    assert users == [original, f"{original}_clone", original, f"{original}_clone"]


def test_other_keys_of_a_json_secret_are_kept(rotations: Rotations) -> None:
    keys = {
        "host": "db.example",
        "port": 5432,
        "options": {"sslmode": "verify-full"},
        "note": "Zürich",
        "nothing": None,
    }
    rotation = rotations.alternating_users(keys=keys)
    for _ in range(2):
        rotation.rotate()
        document = json.loads(rotation.value())
        assert {key: document[key] for key in keys} == keys
        assert list(document) == ["username", "password", *keys]


@pytest.mark.parametrize(
    "user", ['We"ird', "o'brien", "per%cent", "back\\slash", "with space", "Größe", ":name", "$1", "select"]
)
@pytest.mark.parametrize("strategy", ["single_user", "alternating_users"])
def test_any_user_name_that_postgresql_allows_can_be_rotated(rotations: Rotations, strategy: str, user: str) -> None:
    rotation: Rotation = getattr(rotations, strategy)(user=f"{user}-{strategy}")
    rotation.rotate()
    assert rotation.works()


def test_the_longest_user_name_that_leaves_room_for_the_suffix_is_rotated(rotations: Rotations) -> None:
    rotation = rotations.alternating_users(user="ü" * 28 + "x")  # 57 bytes, 63 with the suffix
    rotation.rotate()
    assert rotation.works()


def test_a_rotation_heals_labels_that_were_put_back_by_hand(rotations: Rotations) -> None:
    rotation = rotations.single_user()
    seeded = next(iter(rotation.labels()))
    rotated = rotation.rotate()
    rotation.client.update_secret_version_stage(
        SecretId=rotation.secret_id, VersionStage="AWSCURRENT", MoveToVersionId=seeded, RemoveFromVersionId=rotated
    )
    assert not rotation.works()
    rotation.rotate()
    assert rotation.works()


@pytest.mark.parametrize("done", [STEPS[:1], STEPS[:2], STEPS[:3]], ids=["created", "set", "tested"])
def test_a_cancelled_rotation_does_not_lock_the_next_one_out(rotation: Rotation, done: tuple[str, ...]) -> None:
    cancelled = rotation.start()
    rotation.steps(cancelled, *done)
    rotation.client.update_secret_version_stage(
        SecretId=rotation.secret_id, VersionStage="AWSPENDING", RemoveFromVersionId=cancelled
    )
    rotation.rotate()
    assert rotation.works()


def test_a_second_cancelled_rotation_does_not_lose_the_first_one_s_password(rotations: Rotations) -> None:
    rotation = rotations.single_user()
    rotation.steps(rotation.start(), "createSecret", "setSecret")
    rotation.steps(rotation.start(), "createSecret")
    rotation.rotate()
    assert rotation.works()


def test_the_server_s_log_never_holds_a_password(rotation: Rotation) -> None:
    passwords = [rotation.credentials()[1]]
    for _ in range(2):
        rotation.rotate()
        passwords.append(rotation.credentials()[1])
    log = rotation.database.log.read_text()
    assert "PASSWORD 'SCRAM-SHA-256$4096:" in log  # the statements are in the log: log_statement is on
    for password in passwords[1:]:
        assert password not in log


@pytest.mark.parametrize(
    ("setting", "value", "stored_as"),
    [
        ("password_encryption", "scram-sha-256", "SCRAM-SHA-256$4096:"),
        ("password_encryption", "md5", "md5"),
        ("scram_iterations", "5000", "SCRAM-SHA-256$5000:"),
        ("scram_iterations", "1", "SCRAM-SHA-256$1:"),
    ],
)
def test_a_password_is_stored_in_the_form_that_the_server_asks_for(
    rotations: Rotations, setting: str, value: str, stored_as: str
) -> None:
    rotation = rotations.single_user()
    rotation.database.sql(f"ALTER ROLE {rotation.user} SET {setting} = '{value}'")
    rotation.rotate()
    [[verifier]] = rotation.database.sql("SELECT rolpassword FROM pg_authid WHERE rolname = :name", name=rotation.user)
    assert verifier.startswith(stored_as)
    assert rotation.works()


def test_the_current_value_is_read_by_the_version_that_describe_secret_names(
    rotations: Rotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read by label that lags behind would give the value before: the user whose turn it is not."""
    rotation = rotations.alternating_users()
    before = rotation.value()
    rotation.rotate()
    current = rotation.value()
    send = BaseClient._make_api_call  # pyright: ignore[reportAttributeAccessIssue] - botocore's stubs hide it

    def late(client: BaseClient, operation: str, parameters: dict[str, str]) -> object:
        by_label = operation == "GetSecretValue" and parameters.get("VersionStage") == "AWSCURRENT"
        if by_label and parameters["SecretId"] == rotation.secret_id:
            return {"SecretString": before}
        return send(client, operation, parameters)

    token = rotation.start()
    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", late)
        rotation.steps(token, *STEPS)
    assert rotation.credentials() == rotation.parse(rotation.version(token) or "")
    assert rotation.credentials()[0] == rotation.parse(before)[0]
    assert rotation.works()
    assert rotation.works(current)


def test_a_rotation_token_is_handed_on(rotations: Rotations, monkeypatch: pytest.MonkeyPatch) -> None:
    rotation = rotations.single_user()
    token = str(uuid.uuid4())
    sent: list[dict[str, str]] = []
    send = BaseClient._make_api_call  # pyright: ignore[reportAttributeAccessIssue] - botocore's stubs hide it

    def record(client: BaseClient, operation: str, parameters: dict[str, str]) -> object:
        if operation == "PutSecretValue":
            sent.append(parameters)
        return send(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    event = {"Step": "createSecret", "SecretId": rotation.secret_id, "ClientRequestToken": rotation.start()}
    rotate.handler(event | {"RotationToken": token})
    assert [call["RotationToken"] for call in sent] == [token]
