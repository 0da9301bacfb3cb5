"""What a check says."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ops._stack import Stack, in_sandbox

Status = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Finding:
    """One line of the report. It never holds a secret's value.

    Attributes:
        check: Which check, such as `value-from`; stable, for programs.
        status: `failure`: a task would not start, or breaks soon. `warning`: it starts, but something is not as it should be.
        subject: What it is about: a secret, a variable, a role.
        found: What was found.
        fix: The command that fixes it and nothing else, to be pasted as it is; "" where no single command does.
        remark: What there is to know before or besides.
    """

    check: str
    status: Status
    subject: str
    found: str
    fix: str = ""
    remark: str = ""


def summed_up(check: str, problems: Iterable[Finding], *, ok: str) -> Iterator[Finding]:
    """Yield the problems, or one line that all is well."""
    found = list(problems)
    yield from found or [Finding(check, "ok", "", ok)]


def take_anew(stack: Stack) -> str:
    """Return the command that lets the stack take over a secret of its name that somebody made again, with its value."""
    command = f"python -m ops restore --pending --stack {stack.environment}"
    # The sandbox keeps no configuration: the first command prints the second one.
    return command if in_sandbox() else f"{command} && pulumi up --refresh --stack {stack.environment}"


def put_back(stack: Stack) -> str:
    """Return the command that makes everything as the program says: what was changed by hand is noticed, then fixed."""
    return again(stack, refresh=True)


def again(stack: Stack, *, refresh: bool = False) -> str:
    """Return the command that brings the stack up again."""
    name = stack.environment
    if in_sandbox():
        first = f"python -m sandbox refresh --stack {name} && " if refresh else ""
        return f"{first}python -m sandbox up --stack {name}"
    return f"pulumi up {'--refresh ' if refresh else ''}--stack {name}"
