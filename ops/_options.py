"""Options that the commands share."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ops._errors import MisuseError

_STACK = re.compile(r"(?:(?!\.+/)[\w.-]+/){0,2}(?!\.+$)[\w.-]{1,100}", re.ASCII)
"""`NAME`, `PROJECT/NAME` or `ORGANIZATION/PROJECT/NAME`, as Pulumi writes it; `..` is not allowed."""


def stack_name(value: str | None) -> str | None:
    """Return the stack's name as it was given.

    Raises:
        MisuseError: When Pulumi rejects such a name; `../../dev` would otherwise silently become `dev`.
    """
    if value and not _STACK.fullmatch(value):
        raise MisuseError(f"{value!r} is not a stack name: NAME or ORGANIZATION/PROJECT/NAME")
    return value


def stack_option(meaning: str) -> Any:
    """Return the option that names a stack."""
    return typer.Option("--stack", "-s", metavar="NAME", callback=stack_name, help=meaning)


StackOption = Annotated[
    str | None, stack_option("The stack; by default the one that Pulumi or `sandbox env` selected.")
]
OutputsOption = Annotated[
    Path | None,
    typer.Option("--outputs", metavar="FILE", help="Outputs written by `pulumi stack output --json`; - for stdin."),
]
EverybodyOption = Annotated[
    bool,
    typer.Option("--everybody", help="Also every other role and user of the account, administrators included."),
]
TrustedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trusted", metavar="ARN", help="With --everybody: a principal that is meant to have access; repeatable."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="The result as JSON.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The secret: its name in the catalogue, full name or ARN.")
]
KeyOption = Annotated[str | None, typer.Option("--key", "-k", metavar="KEY", help="One key of a JSON secret.")]
