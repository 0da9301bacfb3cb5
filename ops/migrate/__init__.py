"""`python -m ops migrate`: from a task definition with secrets in the clear, or from secrets that exist, to this project."""

import typer

from ops.migrate.adopt import adopt
from ops.migrate.apply import apply
from ops.migrate.clean import clean
from ops.migrate.scan import scan, show
from ops.migrate.verify import verify

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Move secrets that are in the clear: scan, plan, apply, verify, clean. Import existing secrets: adopt.",
)
app.command("scan")(scan)
app.command("plan")(show)
app.command("apply")(apply)
app.command("verify")(verify)
app.command("clean")(clean)
app.command("adopt")(adopt)
