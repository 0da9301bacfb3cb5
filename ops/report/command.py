"""The command `ops report`: who can read what, who did, how old everything is: one page for the reviewer's file."""

from pathlib import Path
from typing import Annotated

import typer

from ops._aws import connect
from ops._console import print_json, say, working
from ops._errors import MisuseError
from ops._files import write_whole
from ops._options import EverybodyOption, JsonOption, OutputsOption, StackOption, TrustedOption
from ops._stack import load
from ops.report.gather import document, review
from ops.report.page import render


def report(
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the page here.")] = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    everybody: EverybodyOption = False,
    trusted: TrustedOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    json_: JsonOption = False,
) -> None:
    """Write a review of the stack: access, ways, age, rotation, health, reads, cost, and what was not checked.

    The page loads nothing and holds no value. Exit status 1 when something needs attention.
    """
    if html is None and not json_:
        raise MisuseError("--html FILE, --json, or both")
    if html is not None:
        _check(html, force=force)
    where = load(stack, outputs)
    aws = connect(where)
    with working("Reviewing the stack"):
        found = review(aws, where, everybody=everybody, trusted=trusted or ())
    if html is not None:
        write_whole(html, render(found).encode())
        say(f"{html}: the review of {where.place}")
    if json_:
        print_json(document(found))
    if not found.ok:
        say("Something needs attention: the page's first paragraph says what.")
        raise typer.Exit(1)


def _check(path: Path, *, force: bool) -> None:
    """Refuse a place before AWS is asked."""
    if path.is_dir():
        raise MisuseError(f"{path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise MisuseError(f"there is no folder {path.parent} for the page")
    if (path.exists() or path.is_symlink()) and not force:
        raise MisuseError(f"{path} exists: add --force to replace it, or choose another name")
