"""`ops rotate`: start a rotation or join one, and follow it to its end. The proxy plays Secrets Manager's part in it."""

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ops._secrets import Record
from ops.rotate import RotationError, follow
from tests.ops.conftest import Deployed as Stack

NAME = "db-master-password"
NEW = "0f0e0d0c-0000-4000-8000-000000000001"
"""The version that a rotation creates."""


@dataclass
class Function:
    """A function that rotates the secret, and Secrets Manager's part in it; `direct` is around the proxy."""

    stack: Stack
    proxy: Any
    direct: Any

    def create(self, token: str = NEW) -> None:
        self.direct.put_secret_value(
            SecretId=self.stack.arn(NAME), SecretString="rotated-value", ClientRequestToken=token, VersionStages=["AWSPENDING"]
        )  # fmt: skip

    def finish(self, token: str = NEW) -> None:
        current = next(version for version, labels in self.stages().items() if "AWSCURRENT" in labels)
        self.label("AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current)

    def label(self, label: str, **move: str) -> None:
        self.direct.update_secret_version_stage(SecretId=self.stack.arn(NAME), VersionStage=label, **move)

    def stages(self) -> dict[str, list[str]]:
        return self.direct.describe_secret(SecretId=self.stack.arn(NAME))["VersionIdsToStages"]

    def takes(self, *steps: Callable[[], None]) -> None:
        """Take one step before each look at the secret after the first."""
        looks = iter([nothing, *steps])

        def look() -> None:
            next(looks, nothing)()

        self.proxy.before("DescribeSecret", look)


def nothing() -> None:
    """Take no step."""


@pytest.fixture
def function(stack: Stack, proxy: Any, monkeypatch: pytest.MonkeyPatch) -> Function:
    stack.rotate_by_function(NAME)
    made = Function(stack, proxy, stack.secrets)
    stack.endpoint = proxy.url
    monkeypatch.setattr("ops.rotate.uuid.uuid4", lambda: NEW)
    monkeypatch.setattr("ops.rotate._POLL_SECONDS", 0.01)
    # RotateSecret as Secrets Manager answers it, without moto's own doing.
    answer = json.dumps({"ARN": stack.arn(NAME), "Name": NAME, "VersionId": NEW}).encode()
    proxy.before("RotateSecret", lambda: (200, answer))
    return made


def test_rotation_is_followed_to_its_end(function: Function, ops: Any) -> None:
    function.takes(function.create, function.finish)

    done = ops(function.stack, "rotate", NAME, "--yes", "--json")

    assert done.status == 0
    assert done.json["version_id"] == NEW
    assert [line.partition(":")[0] for line in done.err.splitlines()[:2]] == ["createSecret", "finishSecret"]
    assert function.stack.current(NAME) == "rotated-value"
    assert "rotated-value" not in done.out + done.err


def test_rotation_under_way_is_joined(function: Function, ops: Any) -> None:
    function.create()
    function.takes(function.finish)

    done = ops(function.stack, "rotate", NAME)

    assert done.status == 0
    assert done.err.startswith(f"A rotation of {NAME} is under way; following it.")
    assert "RotateSecret" not in function.proxy.seen


def test_rotation_that_does_not_end_shows_the_function_s_last_error(function: Function, ops: Any) -> None:
    group = f"/aws/lambda/{function.stack.prefix}-rotation"
    logs = function.stack.client("logs")
    logs.create_log_stream(logGroupName=group, logStreamName="1")
    line = json.dumps({"level": "ERROR", "message": "the database refuses TLS", "step": "setSecret"})
    event = {"timestamp": int(time.time() * 1000), "message": line}
    logs.put_log_events(logGroupName=group, logStreamName="1", logEvents=[event])
    function.takes(function.create)

    done = ops(function.stack, "rotate", NAME, "--yes", "--timeout", "1")

    assert done.status == 1
    assert "did not end in time" in done.err
    assert f"{group} says: the database refuses TLS" in done.err
    assert f"aws secretsmanager cancel-rotate-secret --secret-id {function.stack.arn(NAME)}" in done.err
    assert f"--remove-from-version-id {NEW}" in done.err


def test_rotation_that_was_rolled_back_from_is_not_taken_up(function: Function, ops: Any) -> None:
    old = "0f0e0d0c-0000-4000-8000-000000000000"
    function.create(old)
    function.finish(old)
    assert ops(function.stack, "rollback", NAME, "--yes").status == 0
    function.label("AWSPENDING", MoveToVersionId=old)  # as by `aws secretsmanager`, which leaves the label
    function.takes(function.create, function.finish)

    done = ops(function.stack, "rotate", NAME, "--yes", "--json")

    assert done.json["version_id"] == NEW
    assert "AWSPENDING" not in function.stages().get(old, [])


def test_moto_is_not_asked_to_rotate_since_it_would_lose_the_value(stack: Stack, ops: Any) -> None:
    stack.rotate_by_function(NAME)

    done = ops(stack, "rotate", NAME, "--yes")

    assert done.status == 2
    assert f"python -m sandbox rotate {NAME} --stack dev" in done.err
    assert stack.current(NAME) == stack.values[NAME]


def test_without_a_yes_or_when_secrets_manager_refuses_nothing_is_rotated(function: Function, ops: Any) -> None:
    done = ops(function.stack, "rotate", NAME)

    assert done.status == 2
    assert f"Rotate {NAME} of dev (account {function.stack.account}, eu-west-1) now?" in done.err
    assert "RotateSecret" not in function.proxy.seen
    function.proxy.refuse("RotateSecret", "InvalidRequestException", message="A previous rotation isn't complete.")
    refused = ops(function.stack, "rotate", NAME, "--yes")
    assert (refused.status, f"doesn't start a rotation of {NAME} now" in refused.err) == (2, True)


def test_generated_value_is_rotated_by_the_configuration(stack: Stack, ops: Any) -> None:
    done = ops(stack, "rotate", "jwt-secret", "--yes")

    assert done.status == 2
    assert "pulumi config set --stack dev --path rotations.jwtSecret 2" in done.err


ENDS: dict[str, tuple[list[dict[str, tuple[str, ...]] | None], str]] = {
    "deleted": ([{"new": ("AWSPENDING",)}, None], "the secret was deleted during the rotation"),
    "abandoned": ([{"new": ("AWSPENDING",)}, {"new": ()}], "the rotation was abandoned"),
    "finished": (
        [{}, {}, *[{"old": ("AWSCURRENT",), "new": ("AWSPENDING",)}] * 2, {"new": ("AWSCURRENT", "AWSPENDING")}], "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_a_rotation_is_followed_to_whatever_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], end: str
) -> None:
    monkeypatch.setattr("ops.rotate._POLL_SECONDS", 0)
    stages, error = ENDS[end]
    looks = iter([labels if labels is None else Record("arn", "name", stages=labels) for labels in stages])

    with pytest.raises(RotationError, match=error) if error else contextlib.nullcontext():
        follow(lambda: next(looks), "new", time.monotonic() + 5)

    if not error:  # each step is told once
        told = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
        assert told == ["waiting for createSecret", "createSecret", "finishSecret"]
