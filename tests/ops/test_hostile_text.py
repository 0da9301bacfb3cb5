"""What others wrote into AWS reaches the terminal as text: in tags, descriptions, Sids, outputs, values."""

from typing import Any

import pytest

from ops._console import print_table
from tests.ops.conftest import Deployed, Ops

HOSTILE = "ok\x1b[2J\x1b]0;title\x07\u202e\nsecond line"
SHOWN = r"ok\x1b[2J\x1b]0;title\x07\u202e\nsecond line"


def _obeyed(text: str) -> set[str]:
    return {character for character in text if not character.isprintable() and character != "\n"}


@pytest.fixture
def hostile(stack: Deployed) -> Deployed:
    """A stack with such text wherever AWS takes it."""
    arn = stack.arn("jwt-secret")
    stack.secrets.update_secret(SecretId=arn, Description=HOSTILE)
    stack.secrets.tag_resource(SecretId=arn, Tags=[{"Key": "team", "Value": HOSTILE}])
    statement = {"Sid": HOSTILE, "Effect": "Allow", "Action": "secretsmanager:*", "Resource": f"{arn}{HOSTILE}*"}
    stack.allow(stack.role_name, statement)
    return stack


@pytest.mark.parametrize(
    "command", [("list",), ("describe", "jwt-secret"), ("access",), ("access", "--markdown"), ("doctor",), ("cost",)]
)
def test_a_command_shows_text_that_others_wrote(hostile: Deployed, ops: Ops, command: tuple[str, ...]) -> None:
    done = ops(hostile, *command)
    assert _obeyed(done.out + done.err) == set()
    if command in {("describe", "jwt-secret"), ("access",)}:
        assert SHOWN in done.out


def test_markup_of_the_table_is_text_and_a_long_title_is_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    title = f"What [/x] [red]reads arn:aws:secretsmanager:eu-west-1:123456789012:secret:{'a-long-name-' * 20}x1y2z3"

    print_table(title, ("n",), [("[bold]a[/]",)])

    assert capsys.readouterr().out == f"{title}\nn\n[bold]a[/]\n"


def test_an_output_and_a_question_are_plain(stack: Deployed, ops: Ops) -> None:
    stack.write_outputs(environment=HOSTILE)
    asked = ops(stack, "reveal", "jwt-secret")
    stack.described[HOSTILE] = {"full_name": "x"}
    stack.outputs["secret_arns"][HOSTILE] = "x"
    stack.write_outputs()
    for done in (asked, ops(stack, "list")):
        assert done.status == 2
        assert _obeyed(done.out + done.err) == set()
        assert r"\u202e" in done.err


def test_a_value_is_exact_in_a_pipe_and_plain_on_a_terminal(stack: Deployed, ops_process: Ops, terminal: Any) -> None:
    value = "a\tb\r\nc\x1b[2J\u202e"
    stack.put("jwt-secret", value)
    assert ops_process(stack, "reveal", "jwt-secret", "--yes").out == value
    with terminal(stack, "reveal", "jwt-secret", "--yes") as session:
        assert session.status() == 0
    assert "\x1b" not in session.shown
    assert r"c\x1b[2J\u202e" in session.shown
    assert "shown as escapes here" in session.shown
