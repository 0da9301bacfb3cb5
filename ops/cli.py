"""The operator's command line: `python -m ops`, or `ops` where the project is installed."""

import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from ops import migrate
from ops._errors import OpsError, explained, is_aws, unexpected
from ops.access.command import access
from ops.backup import backup, restore
from ops.changing import rollback, set_value
from ops.comparing import diff
from ops.cost import cost
from ops.doctor.command import doctor
from ops.execute import execute
from ops.history import history
from ops.keep import keep
from ops.listing import describe_secret, list_secrets
from ops.recover import recover
from ops.report.command import report
from ops.reveal import reveal
from ops.rotate import rotate
from terminal import plain

COMMANDS = {
    "doctor": doctor,
    "list": list_secrets,
    "describe": describe_secret,
    "history": history,
    "diff": diff,
    "reveal": reveal,
    "set": set_value,
    "rollback": rollback,
    "rotate": rotate,
    "exec": execute,
    "keep": keep,
    "access": access,
    "report": report,
    "cost": cost,
    "backup": backup,
    "restore": restore,
    "recover": recover,
}
"""In the order of the help; `migrate` comes after them."""

_SCRIPT = "ops"
_INTERRUPTED = 130


class Commands(TyperGroup):
    """The commands, with errors as one line and an exit status instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error becomes one line on the standard error."""
        try:
            return super().invoke(ctx)
        except OpsError as error:
            _fail(str(error), error.status)
        except KeyboardInterrupt:
            _fail("interrupted", _INTERRUPTED)
        except (typer.Exit, typer.Abort, TyperException, BrokenPipeError):
            raise  # typer handles these: a status, a usage error, a closed pipe
        except Exception as error:  # noqa: BLE001 - status 1 would be about the stack
            explanation = explained(error) if is_aws(error) else unexpected(error)
            _fail(str(explanation), explanation.status)


def _fail(message: str, status: int) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"error: {plain(message, lines=True)}\n")
    raise typer.Exit(status)


def application(*, completes: bool = False) -> typer.Typer:
    """Return the command line; completion for the shell needs a script on the PATH."""
    made = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        add_completion=completes,
        # A traceback with local variables could show a value.
        pretty_exceptions_enable=False,
        help="Operate the secrets of a stack. Exit status: 0 healthy, 1 a finding, 2 the command failed or a check could "
        "not run.",
    )
    for name, command in COMMANDS.items():
        made.command(name)(command)
    made.add_typer(migrate.app, name="migrate")
    return made


app = application()


def main() -> None:
    """Run the command line."""
    if Path(sys.argv[0]).stem == _SCRIPT:
        application(completes=True)(prog_name=_SCRIPT)
    app(prog_name="python -m ops")
