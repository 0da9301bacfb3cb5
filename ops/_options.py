"""Options that the commands share."""

from pathlib import Path
from typing import Annotated

import typer

StackOption = Annotated[
    str | None,
    typer.Option(
        "--stack", "-s", metavar="NAME", help="The stack; by default Pulumi's selected one, dev in the sandbox."
    ),
]
OutputsOption = Annotated[
    Path | None,
    typer.Option("--outputs", metavar="FILE", help="Outputs made by `pulumi stack output --json`; - for stdin."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="The result as JSON.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The secret: its name in the catalogue, full name or ARN.")
]
KeyOption = Annotated[str | None, typer.Option("--key", "-k", metavar="KEY", help="One key of a JSON secret.")]
