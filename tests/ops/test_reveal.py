"""`ops reveal`: one value, after a question on a terminal, with --yes into a pipe."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.ops.conftest import Deployed as Stack
from tests.ops.conftest import script

AUDITED = "recorded in CloudTrail as GetSecretValue"


@pytest.fixture
def ops(ops_process: Any) -> Any:
    """These tests are about the process: its streams, its status, its environment."""
    return ops_process


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("db-master-password", None),
        ("{stack.prefix}-db-master-password", None),
        ("{stack.outputs[secret_arns][db-master-password]}", None),
        ("app-config", "SMTP_PASSWORD"),
    ],
)
def test_pipe_gets_exactly_the_value(stack: Stack, ops: Any, secret: str, key: str | None) -> None:
    done = ops(stack, "reveal", secret.format(stack=stack), "--yes", *(("--key", key) if key else ()))

    value = json.loads(stack.values["app-config"])[key] if key else stack.values["db-master-password"]
    assert (done.status, done.out) == (0, value)
    assert AUDITED in done.err
    assert value not in done.err


def test_secret_pending_deletion_is_told_with_the_way_back(stack: Stack, ops: Any) -> None:
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), RecoveryWindowInDays=7)
    done = ops(stack, "reveal", "jwt-secret", "--yes")

    assert (done.status, done.out) == (2, "")
    assert "python -m ops recover" in done.err


def test_pipe_without_yes_gets_nothing(stack: Stack, ops: Any) -> None:
    done = ops(stack, "reveal", "db-master-password")

    assert (done.status, done.out) == (2, "")
    assert f"dev (account {stack.account}, eu-west-1)" in done.err
    assert "add --yes" in done.err


@pytest.mark.parametrize("version", ["PREVIOUS", "previous", "AWSPREVIOUS", "pulumi-live", "ID"])
def test_older_version(stack: Stack, ops: Any, version: str) -> None:
    first = stack.labels("jwt-secret")["AWSCURRENT"]
    # moto removes the program's label from the older version when a value is written, AWS keeps it.
    stack.put("jwt-secret", "the-newer-value", "AWSCURRENT" if version != "pulumi-live" else "other")

    done = ops(stack, "reveal", "jwt-secret", "--version", first if version == "ID" else version, "--yes")

    assert (done.status, done.out) == (0, stack.values["jwt-secret"])


def test_json_tells_which_version_it_is(stack: Stack, ops: Any) -> None:
    done = ops(stack, "reveal", "jwt-secret", "--yes", "--json")

    assert done.json["value"] == stack.values["jwt-secret"]
    assert "AWSCURRENT" in done.json["labels"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such"], "has no secret 'no-such'; it has app-config, db-master-password, jwt-secret"),
        (["jwt-secrte"], "did you mean jwt-secret?"),
        (["app-config", "--key", "NOPE"], "has no key 'NOPE'; it has API_KEY, "),
        (["jwt-secret", "--key", "A"], "is not a JSON object; leave --key out"),
        (["jwt-secret", "--version", "PREVIOUS"], "staging label"),
    ],
)
def test_what_is_not_there_is_one_line(stack: Stack, ops: Any, arguments: list[str], message: str) -> None:
    done = ops(stack, "reveal", *arguments, "--yes")

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert message in done.err or message == "staging label"
    assert not any(value in done.err for value in stack.values.values())


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ("y\n", 0, AUDITED),
        *((answer, 2, "not confirmed") for answer in ("n\n", "\n", "yes please\n")),
        ("\x03", 130, "interrupted"),
    ],
)
def test_terminal_asks_with_environment_and_account(
    stack: Stack, terminal: Any, answer: str, status: int, said: str
) -> None:
    with terminal(stack, "reveal", "jwt-secret") as session:
        session.expect(f"Show jwt-secret of dev (account {stack.account}, eu-west-1) on this terminal?")
        session.expect("[y/N]")
        session.send(answer)
        assert session.status() == status
        assert said in session.shown
        assert (stack.values["jwt-secret"] in session.shown) == (status == 0)
        assert "Traceback" not in session.shown


def test_copy_goes_to_the_clipboard_by_standard_input(stack: Stack, ops: Any, proxy: Any, tmp_path: Path) -> None:
    stack.endpoint = proxy.url
    copy = ("reveal", "jwt-secret", "--copy", "--yes")

    without = ops(stack, *copy, env={"PATH": str(tmp_path)})
    assert (without.status, "--copy needs one of pbcopy, wl-copy" in without.err) == (2, True)
    assert "GetSecretValue" not in proxy.seen

    env = script(tmp_path, "wl-copy", f'cat > "{tmp_path}/copied"; echo "$@" > "{tmp_path}/arguments"')
    done = ops(stack, *copy, env=env)
    assert (done.status, done.out) == (0, "")
    assert (tmp_path / "copied").read_text() == stack.values["jwt-secret"]
    assert (tmp_path / "arguments").read_text() == "\n"

    broken = ops(stack, *copy, env=script(tmp_path, "wl-copy", "exit 1"))
    assert (broken.status, broken.out) == (2, "")
    assert broken.err.endswith("error: wl-copy failed; nothing was copied\n")
