"""`ops migrate scan` and `plan`: what an old task definition holds, and where each part goes."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ops._console import print_json, print_table, say
from ops._errors import MisuseError
from ops._options import JsonOption, stack_option
from ops.migrate._plan import Plan, load, make, proposal
from ops.migrate._source import read_source
from ops.migrate._target import target_of

PlanArgument = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan that `migrate scan` wrote.")]
RegionOption = Annotated[str | None, typer.Option("--region", metavar="REGION", help="By default AWS_REGION.")]


def scan(  # noqa: PLR0917 - typer's options
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|FAMILY",
            help="A task definition: a file (ECS, CloudFormation or Terraform JSON, Compose, .env), a family, family:revision "
            "or an ARN.",
        ),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="PLAN", help="Where to write the plan.")] = Path("migration.json"),
    container: Annotated[
        list[str] | None,
        typer.Option(
            "--container",
            metavar="NAME[=SERVICE]",
            help="The application's container, and the service it becomes; repeatable. The others are its sidecars.",
        ),
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", metavar="NAME", help="Which task definition, of a file with several.")
    ] = None,
    stack: Annotated[str, stack_option("The stack that it becomes; the scan looks up its secrets.")] = "dev",
    region: RegionOption = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace the plan that is there.")] = False,
    json_: JsonOption = False,
) -> None:
    """Find what is or looks like a secret in a task definition, and write a plan. No value gets into the plan.

    Exit status 1: something needs a decision (see the tables) before the new task definition replaces the old one.
    """
    _check_place(to, source, force=force)
    target = target_of(stack)
    read = read_source(source, container or (), region, family, target)
    plan = make(read.task, read.containers, read.variables, target, stack)
    try:
        plan.save(to)
    except OSError as error:
        raise MisuseError(f"{to} can't be written: {error.strerror}") from None
    _print(plan, to, json_=json_)
    if not json_:
        say(f"The plan is in {to}; it holds no value. Next: python -m ops migrate plan {to}")
    if plan.undecided() or plan.not_carried():
        raise typer.Exit(1)


def show(plan: PlanArgument, *, json_: JsonOption = False) -> None:
    """Show a plan part by part, and what still needs a decision (then exit status 1)."""
    loaded = load(plan)
    _print(loaded, plan, json_=json_)
    if not json_:
        _tell_decisions(loaded, plan)
    if loaded.undecided() or loaded.not_carried():
        raise typer.Exit(1)


def _check_place(to: Path, source: str, *, force: bool) -> None:
    """Refuse a place for the plan before anything is read, which CloudTrail might record."""
    exists = to.exists()
    wrong = {
        f"{to} is a symbolic link: name the file itself": to.is_symlink(),
        f"{to} is a folder: name a file in it": to.is_dir(),
        f"there is no folder {to.parent} for the plan": not to.parent.is_dir(),
        f"{to} is the task definition itself: choose another name": exists
        and Path(source).exists()
        and to.samefile(source),
        f"{to} exists: add --force to replace it, verdicts included, or choose another name": exists and not force,
    }
    for message in (message for message, found in wrong.items() if found):
        raise MisuseError(message)


def _print(plan: Plan, path: Path, *, json_: bool) -> None:
    if json_:
        decisions = {
            "undecided": [plan.label(step) for step in plan.undecided()],
            "not_carried": [part.where for part in plan.not_carried()],
        }
        print_json({"plan": str(path), **asdict(plan), **decisions})
        return
    become = ", ".join(f"{name} -> service {service}" for name, service in plan.containers.items())
    say(f"{plan.source}: container {become}")
    rows = [(plan.label(step), step.verdict, step.goes_to, step.why) for step in plan.steps]
    print_table("Variables", ("variable", "verdict", "goes to", "because it"), rows)
    parts = [part for part in plan.parts if part.verdict == "carried"]
    if carried := [(key, value, part.why) for part in parts for key, value in part.settings.items()]:
        print_table("\nSettings", ("setting", "value", ""), carried)
    if lost := [(part.where, part.verdict, part.why) for part in plan.parts if part.verdict != "carried"]:
        print_table("\nNot carried over", ("what", "verdict", "what to do"), lost)


def _tell_decisions(plan: Plan, path: Path) -> None:
    if undecided := [step for step in plan.undecided() if step.verdict == "undecided"]:
        hosts = target_of(plan.stack).hosts
        say("\nUndecided. Either a secret: an entry of catalogue.py each, then scan again, such as")
        for step in undecided:
            say(
                f'    {proposal(step)},   in the keys of a JsonSecret, and "{step.json_key or step.variable}" in its variables'
            )
        say(f'or not a secret: change its "verdict" in {path} to "plain" (a plain variable) or "drop" (left out).')
        if never := [step.name for step in undecided if not step.can_be_plain(hosts)]:
            say(f'"plain" does not apply to {", ".join(never)}: the program rejects such a plain variable.')
    if unread := [step.name for step in plan.undecided() if step.verdict == "not read"]:
        say(
            f"\nNot read: {', '.join(unread)}. Scan again where they can be read, or set their values yourself and change their "
            f'"verdict" in {path} to "drop".'
        )
    if parts := plan.not_carried():
        say(
            f"\nNot carried over: {', '.join(part.where for part in parts)}. The new task definition lacks them. Do what the "
            f'table says, or accept it: change their "verdict" in {path} to "drop". Until then `migrate verify` ends with 1.'
        )
    if not plan.undecided():
        say(f"\nNext: python -m ops migrate apply {path}")
