"""`ops migrate scan` and `plan`: what an old task definition holds, and where each variable goes."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from catalogue import CATALOGUE
from ops._console import print_json, print_table, say
from ops._errors import MisuseError
from ops._options import JsonOption
from ops.migrate._plan import Plan, PlanError, Step, load, make, proposal
from ops.migrate._source import read_source

PlanArgument = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan that `migrate scan` wrote.")]
ContainerOption = Annotated[
    str | None, typer.Option("--container", metavar="NAME", help="The application's container, when there are several.")
]
RegionOption = Annotated[str | None, typer.Option("--region", metavar="REGION", help="By default AWS_REGION.")]


def scan(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|FAMILY", help="A task definition: a JSON file, a family, family:revision or an ARN."
        ),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="PLAN", help="Where to write the plan.")] = Path("migration.json"),
    container: ContainerOption = None,
    region: RegionOption = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace the plan that is there.")] = False,
    json_: JsonOption = False,
) -> None:
    """Find what is or looks like a secret in a task definition, and write a plan. No value gets into the plan.

    Exit status 1: something needs a decision (see the table) before `migrate apply`.
    """
    _check_place(to, source, force=force)
    read = read_source(source, container, region)
    plan = make(read.task_definition, read.container, read.values, CATALOGUE)
    try:
        plan.save(to)
    except OSError as error:
        raise MisuseError(f"{to} can't be written: {error.strerror}") from None
    if json_:
        _print_json(plan, to)
    else:
        _print(plan)
        say(f"The plan is in {to}; it holds no value. Next: python -m ops migrate plan {to}")
    if plan.undecided() or plan.elsewhere:
        raise typer.Exit(1)


def show(plan: PlanArgument, *, json_: JsonOption = False) -> None:
    """Show a plan variable by variable, and what still needs a decision (then exit status 1)."""
    loaded = load_plan(plan)
    if json_:
        _print_json(loaded, plan)
    else:
        _print(loaded)
    if undecided := loaded.undecided():
        if not json_:
            _tell_decisions(undecided, plan)
        raise typer.Exit(1)
    if not json_:
        say(f"Next: python -m ops migrate apply {plan}")


def load_plan(path: Path) -> Plan:
    """Return a plan.

    Raises:
        MisuseError: When the file holds none.
    """
    try:
        return load(path)
    except PlanError as error:
        raise MisuseError(str(error)) from None


def _check_place(to: Path, source: str, *, force: bool) -> None:
    """Refuse a place for the plan before anything is read, which CloudTrail might record."""
    if to.is_dir():
        raise MisuseError(f"{to} is a folder: name a file in it")
    if not to.parent.is_dir():
        raise MisuseError(f"there is no folder {to.parent} for the plan")
    if to.exists() and Path(source).exists() and to.samefile(source):
        raise MisuseError(f"{to} is the task definition itself: choose another name")
    if to.exists() and not force:
        raise MisuseError(f"{to} exists: add --force to replace it, verdicts included, or choose another name")


def _print(plan: Plan) -> None:
    rows = [(step.name, step.verdict, step.goes_to, step.why) for step in plan.steps]
    rows += [(key, "setting", f"{key} = {value}", "from the task definition") for key, value in plan.settings.items()]
    title = f"{plan.source}, container {plan.container}"
    print_table(title, ("variable", "verdict", "goes to", "because it"), rows)
    if plan.elsewhere:
        print_table("\nNot carried over", ("where", "because it"), list(plan.elsewhere.items()))


def _tell_decisions(undecided: list[Step], path: Path) -> None:
    say("\nUndecided. Either a secret: an entry of catalogue.py each, then scan again, such as")
    for step in undecided:
        say(
            f'    {proposal(step)},   in the keys of app-config, and "{step.json_key or step.variable}" in its variables'
        )
    say(f'or no secret: its "verdict" in {path} becomes "plain" (a plain variable) or "drop" (left out).')
    if never := [step.name for step in undecided if not step.can_be_plain]:
        say(f'"plain" is nothing for {", ".join(never)}: the program takes no such plain variable.')


def _print_json(plan: Plan, path: Path) -> None:
    document: dict[str, Any] = {"plan": str(path), **asdict(plan), "undecided": [s.name for s in plan.undecided()]}
    print_json(document)
