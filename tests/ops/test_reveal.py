"""`ops reveal`: one value, after a question on a terminal, with --yes into a pipe."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

Stack = Any  # conftest.Deployed

AUDITED = "recorded in CloudTrail as GetSecretValue"


@pytest.fixture
def ops(ops_process: Any) -> Any:
    """These tests are about the process: its streams, its status, its environment."""
    return ops_process


def test_pipe_gets_exactly_the_value(stack: Stack, ops: Any) -> None:
    done = ops(stack, "reveal", "db-master-password", "--yes")

    assert (done.status, done.out) == (0, stack.values["db-master-password"])
    assert AUDITED in done.err
    assert stack.values["db-master-password"] not in done.err


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


@pytest.mark.parametrize("name", ["jwt-secret", "service-ticket-system-dev-jwt-secret", "ARN"])
def test_secret_is_found_by_name_full_name_and_arn(stack: Stack, ops: Any, name: str) -> None:
    asked = stack.arn("jwt-secret") if name == "ARN" else name

    assert ops(stack, "reveal", asked, "--yes").out == stack.values["jwt-secret"]


def test_key_of_a_json_secret(stack: Stack, ops: Any) -> None:
    done = ops(stack, "reveal", "app-config", "--key", "SMTP_PASSWORD", "--yes")

    assert done.out == json.loads(stack.values["app-config"])["SMTP_PASSWORD"]


@pytest.mark.parametrize("version", ["PREVIOUS", "previous", "AWSPREVIOUS", "pulumi-live", "ID"])
def test_older_version(stack: Stack, ops: Any, version: str) -> None:
    arn = stack.arn("jwt-secret")
    first = stack.secrets.get_secret_value(SecretId=arn)["VersionId"]
    # moto removes the program's label from the older version when a value is written, AWS keeps it.
    stages = ["AWSCURRENT"] if version != "pulumi-live" else ["other"]
    stack.secrets.put_secret_value(SecretId=arn, SecretString="the-newer-value", VersionStages=stages)

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


def test_terminal_asks_with_environment_and_account(stack: Stack, terminal: Any) -> None:
    with terminal(stack, "reveal", "jwt-secret") as session:
        session.expect(f"Show jwt-secret of dev (account {stack.account}, eu-west-1) on this terminal?")
        session.expect("[y/N]")
        session.send("y\n")
        session.expect(AUDITED)
        session.expect(stack.values["jwt-secret"])
        assert session.status() == 0


@pytest.mark.parametrize("answer", ["n\n", "\n", "yes please\n"])
def test_terminal_shows_nothing_without_a_yes(stack: Stack, terminal: Any, answer: str) -> None:
    with terminal(stack, "reveal", "jwt-secret") as session:
        session.expect("[y/N]")
        session.send(answer)
        assert session.status() == 2
        assert stack.values["jwt-secret"] not in session.shown
        assert "not confirmed" in session.shown


def test_ctrl_c_at_the_question_shows_nothing(stack: Stack, terminal: Any) -> None:
    with terminal(stack, "reveal", "jwt-secret") as session:
        session.expect("[y/N]")
        session.send("\x03")
        assert session.status() == 130
        assert stack.values["jwt-secret"] not in session.shown
        assert "Traceback" not in session.shown


def clipboard(folder: Path, script: str) -> dict[str, str]:
    command = folder / "wl-copy"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_copy_goes_to_the_clipboard_by_standard_input(stack: Stack, ops: Any, tmp_path: Path) -> None:
    env = clipboard(tmp_path, f'cat > "{tmp_path}/copied"; echo "$@" > "{tmp_path}/arguments"')

    done = ops(stack, "reveal", "jwt-secret", "--copy", "--yes", env=env)

    assert (done.status, done.out) == (0, "")
    assert (tmp_path / "copied").read_text() == stack.values["jwt-secret"]
    assert (tmp_path / "arguments").read_text() == "\n"


def test_copy_that_fails_says_so(stack: Stack, ops: Any, tmp_path: Path) -> None:
    done = ops(stack, "reveal", "jwt-secret", "--copy", "--yes", env=clipboard(tmp_path, "exit 1"))

    assert (done.status, done.out) == (2, "")
    assert done.err.endswith("error: wl-copy failed; nothing was copied\n")


def test_copy_without_a_clipboard_reads_nothing(stack: Stack, proxy: Any, ops: Any, tmp_path: Path) -> None:
    stack.endpoint = proxy.url

    done = ops(stack, "reveal", "jwt-secret", "--copy", "--yes", env={"PATH": str(tmp_path)})

    assert done.status == 2
    assert "--copy needs one of pbcopy, wl-copy" in done.err
    assert "GetSecretValue" not in proxy.seen


def test_denied_read_is_one_line(stack: Stack, proxy: Any, ops: Any) -> None:
    stack.endpoint = proxy.url
    proxy.refuse("GetSecretValue", "AccessDeniedException", message="User x is not authorized")

    done = ops(stack, "reveal", "jwt-secret", "--yes")

    assert (done.status, done.out) == (2, "")
    assert done.err == "error: you are not allowed to call GetSecretValue: User x is not authorized\n"
