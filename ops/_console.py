"""What the operator sees: results on the standard output, everything else on the standard error.

What comes from AWS, files and outputs is shown without control characters; JSON escapes them anyway.
"""

import contextlib
import json
import sys
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from terminal import PlainConsole, plain

SCHEMA = 1
"""Version of the output of `--json`. It changes when a field is removed or changes its meaning, not when one is added."""

_UNFOLDED = 1000
"""Columns of a screen on which nothing is folded."""


def say(text: str) -> None:
    """Print a message beside the result."""
    sys.stderr.write(f"{plain(text, lines=True)}\n")
    sys.stderr.flush()


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: `1 value`, `2 values`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def print_json(result: Mapping[str, Any]) -> None:
    """Print a result for programs: an object with the schema's version."""
    sys.stdout.write(json.dumps({"schema": SCHEMA, **result}, indent=2, default=_text) + "\n")


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, fold: bool = True) -> None:
    """Print a result for people; cells are plain text or rich's `Text`.

    They are folded to the terminal's width, unless a long last cell is to be copied in one piece.
    """
    # Not as the table's own title, which is folded to the table's width, in the middle of an ARN.
    heading = Text(plain(title, lines=True), "italic")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(plain(str(cell))) for cell in row))
    if fold and sys.stdout.isatty():
        PlainConsole(highlight=False).print(heading, table, sep="\n", soft_wrap=False)
        return
    # A pipe has no width: nothing is folded there, so that a line can be searched and cut.
    console = PlainConsole(highlight=False, width=_UNFOLDED)
    with console.capture() as shown:
        console.print(heading, soft_wrap=True)
        console.print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in shown.get().splitlines())


@contextlib.contextmanager
def working(title: str) -> Generator[None]:
    """Show on a terminal that the command is alive; quick commands end before it appears."""
    if not sys.stderr.isatty():
        yield
        return
    with PlainConsole(stderr=True).status(Text(title)):
        yield
