"""Questions to the operator: a confirmation, a hidden value. Prompts go to the standard error, never into a pipe."""

import contextlib
import getpass
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TextIO

from ops._errors import MisuseError
from terminal import plain

_TERMINAL = "/dev/tty"
"""The terminal: it answers questions when the value comes through a pipe."""


def confirm(question: str, *, yes: bool, unheard: str = "") -> None:
    """Return when the operator agrees, on the terminal or by `--yes`; then `unheard` is the warning in place of the question.

    Raises:
        MisuseError: When the operator declines, or no terminal can answer.
    """
    if yes:
        if unheard:
            sys.stderr.write(f"warning: {plain(unheard)}\n")
        return
    with _terminal(question) as terminal:
        sys.stderr.write(f"{plain(question)} [y/N] ")
        sys.stderr.flush()
        answer = terminal.readline()
    if not answer:
        sys.stderr.write("\n")  # Ctrl-D leaves the cursor behind the question
    if answer.strip().lower() not in {"y", "yes"}:
        raise MisuseError("not confirmed; nothing was done")


@contextlib.contextmanager
def _terminal(question: str) -> Generator[TextIO]:
    """Open what answers are read from: the terminal, even when the standard input is a pipe."""
    if sys.stdin.isatty():
        yield sys.stdin
        return
    try:
        opened = Path(_TERMINAL).open(encoding="utf-8")  # noqa: SIM115 - closed below; only opening it can fail
    except OSError:
        raise MisuseError(f"{question} No terminal can answer here: add --yes to confirm") from None
    with opened:
        yield opened


def new_value(what: str) -> str:
    """Return a secret value: typed twice, hidden, on a terminal, otherwise the standard input without its last newline.

    Raises:
        MisuseError: When the two differ, or the value is empty or not text.
    """
    if sys.stdin.isatty():
        try:
            value = getpass.getpass(f"New value of {plain(what)} (hidden): ", stream=sys.stderr)
            again = value and getpass.getpass("Once more: ", stream=sys.stderr)
        except EOFError:
            raise MisuseError("no value was given; nothing was changed") from None
        if again != value:
            raise MisuseError("the two values differ; nothing was changed")
    else:
        try:
            # `echo` and editors add one newline; more can be intended.
            value = sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise MisuseError("the standard input is not UTF-8 text; nothing was changed") from None
    if not value.strip():
        raise MisuseError("the value is empty or blank; nothing was changed")
    # Both come with files of other systems: sign-ins with them fail, and the cause is invisible.
    if value.startswith("\ufeff") or "\0" in value:
        raise MisuseError(
            "the value holds a byte order mark or a zero byte: save it as plain UTF-8; nothing was changed"
        )
    return value
