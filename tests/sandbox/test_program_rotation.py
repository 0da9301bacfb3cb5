"""`python -m sandbox rotate`: the deployed function against a real PostgreSQL, and what `up` does afterwards: nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.errors import SandboxError
from sandbox.rotation import Rotation
from tests.sandbox.stack_options import ALTERNATING, SINGLE_USER, given, with_application_user

Make = Callable[..., Any]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "secret", "old_value"),
    [
        ("single-user", "db-master-password", "The value before no longer signs in."),
        ("alternating-users", "db-app-user", "The value before still signs in"),
    ],
)
def test_rotated_values_sign_in_and_survive_up_and_refresh(
    sandbox: Any, project_copy: Make, strategy: str, secret: str, old_value: str
) -> None:
    copy = with_application_user(project_copy())
    option = given(rotation=SINGLE_USER if strategy == "single-user" else ALTERNATING)
    arn = sandbox.ok("up", *copy.options, *option)["outputs"]["secret_arns"][secret]
    client = sandbox.aws("secretsmanager", copy)
    seen = [client.get_secret_value(SecretId=arn)["SecretString"]]
    for _ in range(3):
        rotated = sandbox.command("rotate", secret, *copy.options)
        assert rotated.status == 0, rotated.err
        assert [line.split()[0] for line in rotated.out.splitlines() if line.startswith("  ")] == [
            "createSecret",
            "setSecret",
            "testSecret",
            "finishSecret",
        ]
        assert old_value in rotated.out
        value = client.get_secret_value(SecretId=arn)["SecretString"]
        assert value not in seen
        assert not any(shown in rotated.out + rotated.err for shown in (*seen, value))
        seen.append(value)
    sandbox.stays(copy, *option)
    assert client.get_secret_value(SecretId=arn)["SecretString"] == seen[-1]

    if strategy == "single-user":  # switched off again, the last rotated value stays
        sandbox.ok("up", *copy.options)
        assert client.get_secret_value(SecretId=arn)["SecretString"] == seen[-1]


def test_what_cannot_be_rotated_is_said(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    for secret, said, status in (
        ("jwt-secret", "is not rotated by a function: configure `rotation`", 1),
        ("nope", "there is no secret 'nope'", 2),
    ):
        result = sandbox.quick("rotate", secret, *copy.options)
        assert (result.status, result.out) == (status, "")
        assert said in result.err


def test_a_kind_of_database_that_the_sandbox_lacks_is_refused() -> None:
    rotation = Rotation("db-password", "arn", b"", "rotate.handler", {"ENGINE": "mysql"}, {}, None)
    with pytest.raises(SandboxError, match="there is no mysql here"):
        rotation.run(lambda _: None)
