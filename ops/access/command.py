"""The command `ops access`: who can read, change or delete each secret, by which statement, and what is wider than needed."""

from typing import Annotated

import typer

from ops._aws import connect
from ops._console import print_json, working
from ops._errors import MisuseError
from ops._options import EverybodyOption, JsonOption, OutputsOption, StackOption, TrustedOption
from ops._stack import load
from ops.access.gather import gather
from ops.access.judge import judge
from ops.access.show import document, markdown, print_report


def access(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    everybody: EverybodyOption = False,
    trusted: TrustedOption = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The report as Markdown, for a review.")] = False,
    json_: JsonOption = False,
) -> None:
    """Report who can read, change or delete each secret, by which statement, and what is too wide (then exit status 1).

    It evaluates the identity and trust policies of the stack's roles, the policies of the secrets, the policies and grants of
    the keys. The end of the report names what was not checked. No value is read.
    """
    if as_markdown and json_:
        raise MisuseError("--markdown or --json, not both")
    where = load(stack, outputs)
    aws = connect(where)
    with working("Reading policies"):
        report = judge(gather(aws, where, everybody=everybody), trusted or ())
    if json_:
        print_json(document(where, report))
    elif as_markdown:
        typer.echo(markdown(where, report))
    else:
        print_report(where, report)
    if not report.ok:
        raise typer.Exit(1)
