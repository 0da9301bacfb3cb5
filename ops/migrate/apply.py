"""`ops migrate apply`: sets the plan's values in the configuration without showing them; then Pulumi's preview."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from components.checks import wrong_secret
from ops._ask import confirm
from ops._console import counted, print_json, print_table, say
from ops._errors import MisuseError, OpsError
from ops._json import json_object
from ops._options import JsonOption, YesOption, stack_option
from ops._plan import project_directory
from ops._pulumi import Configuration, Configured, run_sandbox, sandbox_command
from ops._stack import uses_local_aws
from ops.migrate._fields import compact
from ops.migrate._plan import Plan, load, value_of
from ops.migrate._source import reread
from ops.migrate._values import mapping
from ops.migrate.scan import PlanArgument, RegionOption

ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", metavar="DIR", help="The Pulumi project's folder, by default the current one."),
]


def apply(
    plan: PlanArgument,
    stack: Annotated[str | None, stack_option("The stack; by default Pulumi's selected one.")] = None,
    project: ProjectOption = None,
    region: RegionOption = None,
    *,
    preview: Annotated[bool, typer.Option(help="Run Pulumi's preview afterwards.")] = True,
    up: Annotated[bool, typer.Option("--up", help="Deploy instead of only previewing.")] = False,
    yes: YesOption = False,
    json_: JsonOption = False,
) -> None:
    """Set the configuration that a plan needs, without showing a value, and run the preview.

    Values are read from the old task definition again and reach `pulumi config set --secret` by its standard input. With the
    sandbox's AWS nothing is written: the sandbox previews (--up: deploys) with the values.
    """
    project = project or project_directory()
    loaded = load(plan, project)
    if undecided := loaded.undecided():
        raise OpsError(
            f"needs a decision first: {', '.join(s.name for s in undecided)} (python -m ops migrate plan {plan})"
        )
    stack = stack or loaded.stack
    if stack.rpartition("/")[2] != loaded.stack.rpartition("/")[2]:
        raise MisuseError(f"{plan} is for stack {loaded.stack}: scan again with --stack {stack}")
    wanted = _wanted(loaded, region, project)
    for step in loaded.steps:
        if step.verdict == "secret" and step.config_key is None:
            say(
                f"{step.name} is not set by the configuration: python -m ops set {step.secret} after the first `pulumi up`"
            )
    if uses_local_aws():
        _refuse_wrong(wanted, strict=False)
        _in_sandbox(wanted, stack, project, "up" if up else "preview", json_=json_)
        return
    configuration = Configuration(stack, project)
    configured = configuration.read()
    _refuse_wrong(wanted, strict="protect" in configured and configured["protect"].value == "true")
    states = compare(wanted, configured)
    if not json_:
        rows = [(key, "secret" if found.secret else found.value, states[key]) for key, found in wanted.items()]
        print_table("Configuration", ("key", "value", "state"), rows)
    count = _set(configuration, wanted, states, yes=yes)
    if json_:
        print_json(_document(wanted, states))
    say(f"{counted(count, 'value')} set. Next: pulumi up, then python -m ops migrate verify {plan}")
    if up:
        _run_pulumi(configuration, "up", *(("--yes",) if yes else ()), quiet=json_)
    elif preview:
        _run_pulumi(configuration, "preview", quiet=json_)


def _document(wanted: Mapping[str, Configured], states: Mapping[str, str]) -> Mapping[str, Any]:
    return {"set": [{"key": key, "secret": found.secret, "state": states[key]} for key, found in wanted.items()]}


def _set(
    configuration: Configuration, wanted: Mapping[str, Configured], states: Mapping[str, str], *, yes: bool
) -> int:
    todo = {key: found for key, found in wanted.items() if states[key] != "same"}
    if todo:
        replaced = ", ".join(key for key in todo if states[key] == "replaces")
        warning = f" {replaced} had another value, which is lost." if replaced else ""
        confirm(f"Set {counted(len(todo), 'value')} in the configuration of {configuration.stack}?{warning}", yes=yes)
    for key, found in todo.items():
        (configuration.set_secret if found.secret else configuration.set_plain)(key, found.value)
    return len(todo)


def _wanted(plan: Plan, region: str | None, project: Path) -> dict[str, Configured]:
    """Return the values that a plan needs by key; MisuseError when two values have one."""
    source = reread(plan, region, project)
    wanted = {key: Configured(value, False) for key, value in plan.settings(source.task).items()}
    for step in plan.steps:
        if step.config_key is None or step.verdict not in {"secret", "plain"}:
            continue
        value = Configured(value_of(step, source.variables), step.verdict == "secret")
        if not value.value:
            continue  # empty, like unset, means that Pulumi generates or requires the value
        if wanted.setdefault(step.config_key, value) != value:
            raise MisuseError(f"{step.name} and another variable have different values for {step.config_key}")
    return wanted


def _refuse_wrong(wanted: Mapping[str, Configured], *, strict: bool) -> None:
    """Refuse secrets that the program would refuse, before the first value is set. The plan judged everything else."""
    problems = {key: wrong_secret(found.value, strict=strict) for key, found in wanted.items() if found.secret}
    if wrong := "; ".join(f"{key} {problem}" for key, problem in problems.items() if problem):
        raise MisuseError(f"the program would reject these, so nothing was set: {wrong}")


def compare(wanted: Mapping[str, Configured], configured: Mapping[str, Configured]) -> dict[str, str]:
    """Return by key whether a value is `new`, the `same` (nothing to do), or `replaces` another one."""
    found = {key: _configured(configured, key) for key in wanted}
    return {
        k: "new" if found[k] is None else "same" if found[k] == value else "replaces" for k, value in wanted.items()
    }


def _configured(configured: Mapping[str, Configured], key: str) -> Configured | None:
    parent, *path = re.findall(r'\["([^"]*)"\]|([^.\[]+)', key)
    found = configured.get(parent[1])
    if found is None or not path:
        return found
    value: Any = json_object(found.value)
    for quoted, plain in path:
        value = mapping(value).get(quoted or plain)
    text = value if isinstance(value, str) else compact(value)
    return None if value is None else Configured(text, found.secret)


def _in_sandbox(wanted: Mapping[str, Configured], stack: str, project: Path, verb: str, *, json_: bool) -> None:
    plain, secrets = ({k: v.value for k, v in wanted.items() if v.secret is secret} for secret in (False, True))
    say(f"Local AWS: `python -m sandbox {verb} --stack {stack}` with these values; no stack file is written.")
    say("Every user of this machine can read what the local AWS holds: no real values.")
    status = run_sandbox(sandbox_command(stack, project, verb, plain, secrets), secrets)
    if json_:
        print_json(_document(wanted, dict.fromkeys(wanted, "this run")))
    if status:
        raise typer.Exit(status)
    say("Next: " + ("python -m ops migrate verify with this plan" if verb == "up" else "the same command with --up"))


def _run_pulumi(configuration: Configuration, *arguments: str, quiet: bool) -> None:
    done = subprocess.run(  # noqa: S603 - the user's own pulumi, no shell
        configuration.command(*arguments),
        check=False,
        cwd=configuration.directory,
        env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        stdout=sys.stderr if quiet else None,
    )
    if done.returncode:
        raise OpsError(f"`pulumi {arguments[0]}` failed; the values stay set")
