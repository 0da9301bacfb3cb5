"""`ops reveal`: one value, to a terminal after a confirmation, to a pipe or to the clipboard."""

import json
import shutil
import subprocess
import sys
from typing import Annotated

import typer

from components.references import CURRENT, PENDING, PREVIOUS
from ops._ask import confirm
from ops._aws import connect
from ops._console import print_json, say
from ops._errors import MisuseError
from ops._json import json_object
from ops._options import JsonOption, KeyOption, NameArgument, OutputsOption, StackOption, YesOption
from ops._secrets import Value, read_value
from ops._stack import load
from terminal import plain

_CLIPBOARDS = (
    ("pbcopy",),
    ("wl-copy",),
    ("xclip", "-selection", "clipboard"),
    ("xsel", "--clipboard", "--input"),
    ("clip.exe",),
)
_COPY_SECONDS = 10
_SHORT = {"CURRENT": CURRENT, "PREVIOUS": PREVIOUS, "PENDING": PENDING}
_VERSION_ID_CHARACTERS = 32
"""The shortest version id. Source: AWS, Secrets Manager API, PutSecretValue, ClientRequestToken."""


def reveal(
    name: NameArgument,
    key: KeyOption = None,
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="LABEL", help="CURRENT, PREVIOUS, PENDING, a custom label, or a version id."),
    ] = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    copy: Annotated[bool, typer.Option("--copy", help="To the clipboard instead of the screen.")] = False,
    yes: YesOption = False,
    json_: JsonOption = False,
) -> None:
    """Show one value. It asks first, and CloudTrail records who read it."""
    where = load(stack, outputs)
    arn = where.arn_of(name)
    what = f"{where.name_of(arn)}{f', key {key}' if key else ''}{f', version {version}' if version else ''}"
    # Before the question: don't ask for what can't be done.
    clipboard = next((command for command in _CLIPBOARDS if shutil.which(command[0])), None) if copy else None
    if copy and not clipboard:
        raise MisuseError(f"--copy needs one of {', '.join(command[0] for command in _CLIPBOARDS)} on the PATH")
    aws = connect(where)
    target = "the clipboard" if copy else "this terminal" if sys.stdout.isatty() else "a pipe or file"
    confirm(f"Show {what} of {where.place} on {target}? The read is recorded in CloudTrail.", yes=yes)
    if version and len(version) >= _VERSION_ID_CHARACTERS:
        found = read_value(aws, arn, version_id=version)
    else:
        found = read_value(aws, arn, stage=_SHORT.get((version or "CURRENT").upper(), version))
    value = _part(found, key)
    say(f"Read as {aws.caller().arn}: recorded in CloudTrail as GetSecretValue.")
    if clipboard:
        _copy(value, clipboard)
        say("Copied. Clear the clipboard when you have used it.")
    elif json_:
        labels = list(found.stages)
        print_json({"name": found.name, "key": key, "version_id": found.version_id, "labels": labels, "value": value})
    else:
        # A pipe gets the value and nothing else; a terminal needs the line break, and would interpret control characters.
        shown = plain(value, lines=True) + "\n" if sys.stdout.isatty() else value
        sys.stdout.write(shown)
        sys.stdout.flush()
        if shown not in {value, f"{value}\n"}:
            say("Characters that aren't printed are shown as escapes here: a pipe gets the exact value.")


def _part(value: Value, key: str | None) -> str:
    if value.text is None:
        raise MisuseError(
            f"{value.name} holds a binary value: aws secretsmanager get-secret-value --secret-id {value.arn}"
        )
    if key is None:
        return value.text
    parts = json_object(value.text)
    if parts is None:
        raise MisuseError(f"{value.name} is not a JSON object; leave --key out")
    if key not in parts:
        raise MisuseError(f"{value.name} has no key {key!r}; it has {', '.join(sorted(parts))}")
    part = parts[key]
    return part if isinstance(part, str) else json.dumps(part)


def _copy(value: str, command: tuple[str, ...]) -> None:
    try:
        # By its standard input: arguments show in the process list.
        subprocess.run(  # noqa: S603 - one of the commands above, no shell
            command,
            input=value.encode(),
            check=True,
            timeout=_COPY_SECONDS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        raise MisuseError(f"{command[0]} failed; nothing was copied") from None
