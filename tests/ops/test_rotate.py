"""`ops rotate`: start a rotation or join one, and follow it to its end. The proxy plays Secrets Manager's part in it."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ops._secrets import Record
from ops.rotate import RotationError, follow

Stack = Any  # conftest.Deployed
NAME = "db-master-password"


@pytest.fixture
def rotating(stack: Stack, proxy: Any) -> Stack:
    stack.rotate_by_function(NAME)
    stack.direct = stack.secrets
    stack.endpoint = proxy.url
    return stack


def play(proxy: Any, token: str, *steps: Callable[[str], object]) -> None:
    """Take one step before each look at the secret after the first."""
    looks = 0

    def look() -> None:
        nonlocal looks
        if 0 < looks <= len(steps):
            steps[looks - 1](token)
        looks += 1

    proxy.before("DescribeSecret", look)


def create(stack: Stack) -> Callable[[str], object]:
    return lambda token: stack.direct.put_secret_value(
        SecretId=stack.arn(NAME), SecretString="rotated-value", ClientRequestToken=token, VersionStages=["AWSPENDING"]
    )


def finish(stack: Stack) -> Callable[[str], object]:
    def move(token: str) -> None:
        stages = stack.direct.describe_secret(SecretId=stack.arn(NAME))["VersionIdsToStages"]
        current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        stack.direct.update_secret_version_stage(
            SecretId=stack.arn(NAME), VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )

    return move


def abandon(stack: Stack) -> Callable[[str], object]:
    return lambda token: stack.direct.update_secret_version_stage(
        SecretId=stack.arn(NAME), VersionStage="AWSPENDING", RemoveFromVersionId=token
    )


def accept(stack: Stack, proxy: Any, *steps: Callable[[str], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer RotateSecret as Secrets Manager does, without moto's own doing, and then take the steps."""
    token = "0f0e0d0c-0000-4000-8000-000000000001"
    monkeypatch.setattr("ops.rotate.uuid.uuid4", lambda: token)
    monkeypatch.setattr("ops.rotate._POLL_SECONDS", 0.01)
    answer = json.dumps({"ARN": stack.arn(NAME), "Name": NAME, "VersionId": token}).encode()
    proxy.before("RotateSecret", lambda: (200, answer))
    play(proxy, token, *steps)


def test_rotation_is_followed_to_its_end(
    rotating: Stack, proxy: Any, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(rotating, proxy, create(rotating), finish(rotating), monkeypatch=monkeypatch)

    done = ops(rotating, "rotate", NAME, "--yes", "--json")

    assert done.status == 0
    assert done.json["version_id"] == "0f0e0d0c-0000-4000-8000-000000000001"
    steps = [line.partition(":")[0] for line in done.err.splitlines()[:2]]
    assert steps == ["createSecret", "finishSecret"]
    assert rotating.current(NAME) == "rotated-value"
    assert "rotated-value" not in done.out + done.err


def test_rotation_under_way_is_joined(rotating: Stack, proxy: Any, ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    token = "0f0e0d0c-0000-4000-8000-000000000002"
    monkeypatch.setattr("ops.rotate._POLL_SECONDS", 0.01)
    create(rotating)(token)
    play(proxy, token, finish(rotating))

    done = ops(rotating, "rotate", NAME)

    assert done.status == 0
    assert done.err.startswith(f"A rotation of {NAME} is under way; following it.")
    assert "RotateSecret" not in proxy.seen


def test_abandoned_rotation_is_a_finding(
    rotating: Stack, proxy: Any, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(rotating, proxy, create(rotating), abandon(rotating), monkeypatch=monkeypatch)

    done = ops(rotating, "rotate", NAME, "--yes")

    assert done.status == 1
    assert "the rotation was abandoned" in done.err


def test_rotation_that_does_not_end_shows_the_function_s_last_error(
    rotating: Stack, proxy: Any, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = f"/aws/lambda/{rotating.prefix}-rotation"
    logs = rotating.client("logs")
    logs.create_log_stream(logGroupName=group, logStreamName="1")
    line = json.dumps({"level": "ERROR", "message": "the database refuses TLS", "step": "setSecret"})
    logs.put_log_events(
        logGroupName=group, logStreamName="1", logEvents=[{"timestamp": int(time.time() * 1000), "message": line}]
    )
    accept(rotating, proxy, create(rotating), monkeypatch=monkeypatch)

    done = ops(rotating, "rotate", NAME, "--yes", "--timeout", "1")

    assert done.status == 1
    assert "did not end in time" in done.err
    assert f"{group} says: the database refuses TLS" in done.err
    assert f"aws secretsmanager cancel-rotate-secret --secret-id {rotating.arn(NAME)}" in done.err
    assert "--remove-from-version-id 0f0e0d0c-0000-4000-8000-000000000001" in done.err


def test_rotation_that_was_rolled_back_from_is_not_taken_up(
    rotating: Stack, proxy: Any, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = "0f0e0d0c-0000-4000-8000-000000000000"
    create(rotating)(old)
    finish(rotating)(old)
    assert ops(rotating, "rollback", NAME, "--yes").status == 0
    # As by `aws secretsmanager`, which leaves the label.
    rotating.direct.update_secret_version_stage(
        SecretId=rotating.arn(NAME), VersionStage="AWSPENDING", MoveToVersionId=old
    )
    accept(rotating, proxy, create(rotating), finish(rotating), monkeypatch=monkeypatch)

    done = ops(rotating, "rotate", NAME, "--yes", "--json")

    assert done.json["version_id"] == "0f0e0d0c-0000-4000-8000-000000000001"
    stages = rotating.direct.describe_secret(SecretId=rotating.arn(NAME))["VersionIdsToStages"]
    assert "AWSPENDING" not in stages.get(old, [])


def test_moto_is_not_asked_to_rotate_since_it_would_lose_the_value(stack: Stack, ops: Any) -> None:
    stack.rotate_by_function(NAME)

    done = ops(stack, "rotate", NAME, "--yes")

    assert done.status == 2
    assert f"python -m sandbox rotate {NAME} --stack dev" in done.err
    assert stack.current(NAME) == stack.values[NAME]


def test_rotation_that_secrets_manager_refuses(rotating: Stack, proxy: Any, ops: Any) -> None:
    proxy.refuse("RotateSecret", "InvalidRequestException", message="A previous rotation isn't complete.")

    done = ops(rotating, "rotate", NAME, "--yes")

    assert done.status == 2
    assert "doesn't start a rotation of db-master-password now" in done.err


def test_without_a_yes_nothing_is_rotated(rotating: Stack, proxy: Any, ops: Any) -> None:
    done = ops(rotating, "rotate", NAME)

    assert done.status == 2
    assert f"Rotate {NAME} of dev (account {rotating.account}, eu-west-1) now?" in done.err
    assert "RotateSecret" not in proxy.seen


def test_generated_value_is_rotated_by_the_configuration(stack: Stack, ops: Any) -> None:
    done = ops(stack, "rotate", "jwt-secret", "--yes")

    assert done.status == 2
    assert "pulumi config set --stack dev --path rotations.jwtSecret 2" in done.err


def records(*stages: dict[str, tuple[str, ...]] | None) -> Iterator[Record | None]:
    for labels in stages:
        yield None if labels is None else Record("arn", "name", stages=labels)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.rotate._POLL_SECONDS", 0)


@pytest.mark.usefixtures("at_once")
def test_secret_that_is_deleted_meanwhile_ends_the_waiting() -> None:
    looks = records({"new": ("AWSPENDING",)}, None)

    with pytest.raises(RotationError, match="deleted"):
        follow(lambda: next(looks), "new", time.monotonic() + 5)


@pytest.mark.usefixtures("at_once")
def test_each_step_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    pending = {"old": ("AWSCURRENT",), "new": ("AWSPENDING",)}
    looks = records({}, {}, pending, pending, {"new": ("AWSCURRENT", "AWSPENDING")})

    follow(lambda: next(looks), "new", time.monotonic() + 5)

    told = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert told == ["waiting for createSecret", "createSecret", "finishSecret"]
