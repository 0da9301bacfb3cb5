"""The commands of `python -m ops`. Each command's module is imported when it is asked for."""

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from model.text import plain
from ops import _completion
from ops._errors import OpsError, explained, is_aws, unexpected

COMMANDS = {
    "doctor": "ops.doctor.command:doctor",
    "list": "ops.listing:list_secrets",
    "describe": "ops.listing:describe_secret",
    "reveal": "ops.reveal:reveal",
    "set": "ops.changing:set_value",
    "rollback": "ops.changing:rollback",
    "rotate": "ops.rotate:rotate",
    "access": "ops.access.command:access",
    "report": "ops.report.command:report",
    "cost": "ops.cost:cost",
    "backup": "ops.backup:backup",
    "restore": "ops.backup:restore",
    "migrate": "ops.migrate:app",
}
"""Where each command is: a function, or a Typer app with commands of its own."""

_INTERRUPTED = 130


class Commands(TyperGroup):
    """The commands, imported one by one, with errors as one line and an exit status instead of a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the name is the base class's
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            command = typer.main.get_group(found)
        else:
            single = typer.Typer(add_completion=False)
            single.command(cmd_name)(found)
            command = typer.main.get_command(single)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what goes wrong becomes one line on the standard error."""
        try:
            return super().invoke(ctx)
        except OpsError as error:
            _fail(str(error), error.status)
        except KeyboardInterrupt:
            _fail("interrupted", _INTERRUPTED)
        except (typer.Exit, typer.Abort, TyperException, BrokenPipeError):
            raise  # typer's own business: a status, a usage error, a reader that went away
        except Exception as error:  # noqa: BLE001 - status 1 would say something about the stack
            explanation = explained(error) if is_aws(error) else unexpected(error)
            _fail(str(explanation), explanation.status)


def _fail(message: str, status: int) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"error: {plain(message, lines=True)}\n")
    raise typer.Exit(status)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,  # typer's completes a script on the PATH; there is none
    # A traceback with local variables could show a value.
    pretty_exceptions_enable=False,
    help="Look after the secrets of a stack. Exit status: 0 healthy, 1 a finding, 2 misuse or AWS not reachable.",
)


def _print_completion(shell: _completion.Shell | None) -> None:
    if shell:
        sys.stdout.write(_completion.script(shell))
        raise typer.Exit


@app.callback()
def _main(  # pyright: ignore[reportUnusedFunction] - typer keeps it
    *,
    completion: Annotated[
        _completion.Shell | None,
        typer.Option(
            "--completion",
            callback=_print_completion,
            is_eager=True,
            help='Print a shell function `ops` that completes: eval "$(python -m ops --completion bash)".',
        ),
    ] = None,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    if _completion.VARIABLE in os.environ:
        from typer._completion_classes import completion_init  # noqa: PLC0415 - for shells; typer has no public way

        completion_init()
    app(prog_name="python -m ops", complete_var=_completion.VARIABLE)
