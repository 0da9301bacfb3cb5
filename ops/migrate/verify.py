"""`ops migrate verify`: the new task definition gives the application the same values, and none in the clear."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import typer

from catalogue import CATALOGUE
from model.declarations import JsonSecret
from ops._aws import connect
from ops._console import print_json, print_table, say, working
from ops._errors import MisuseError
from ops._json import json_object
from ops._options import JsonOption, OutputsOption, StackOption
from ops._stack import load
from ops.migrate._detect import why_secret, why_text_is_secret
from ops.migrate._plan import Plan, PlanError, Step, value_of
from ops.migrate._source import reread, values_of
from ops.migrate._task_definition import Container, TaskDefinitionError, read
from ops.migrate.scan import PlanArgument, RegionOption, load_plan

State = Literal["equal", "moved", "left out", "added", "missing", "different", "in the clear", "not compared"]
"""`moved`: not a variable of its own any more, but a key of one that holds JSON. `not compared`: variables in a file that is not
read."""

_BAD = {"missing", "different", "in the clear", "not compared"}
_MIN_CHARACTERS = 6
"""Characters below which a value found in another text is most likely a coincidence."""


@dataclass(frozen=True)
class Finding:
    """What became of one variable."""

    variable: str
    state: State
    detail: str = ""


def verify(
    plan: PlanArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    region: RegionOption = None,
    *,
    json_: JsonOption = False,
) -> None:
    """Compare the deployed task definition with the old one, value by value; show no value.

    Every secret is read once for it, which CloudTrail records. Exit status 1: something is missing, different, in the clear or
    can't be compared.
    """
    loaded = load_plan(plan)
    deployed = load(stack, outputs)
    aws = connect(deployed)
    with working("Reading both task definitions and every value"):
        old = reread(loaded, region)
        try:
            new = read(deployed.task_definition_arn, aws.client("ecs")).container(None)
        except TaskDefinitionError as error:
            raise MisuseError(f"{deployed.task_definition_arn}: {error}") from None
        new_values = values_of(new, aws)
    findings = [*compare(loaded, old.values, new, new_values), *_files(old.container, new)]
    bad = [finding for finding in findings if finding.state in _BAD]
    if json_:
        print_json(
            {"ok": not bad, "task_definition": deployed.task_definition_arn, "findings": [asdict(f) for f in findings]}
        )
    else:
        title = f"{loaded.source} -> {deployed.task_definition_arn}"
        print_table(title, ("variable", "state", ""), [(f.variable, f.state, f.detail) for f in findings])
        say(_conclusion(loaded, findings, old.task_definition.family or "OLD_FAMILY"))
    if bad:
        raise typer.Exit(1)


def _conclusion(plan: Plan, findings: Sequence[Finding], family: str) -> str:
    counts = Counter(finding.state for finding in findings)
    left = counts["left out"]
    left_out = f"; {left} variable{'s were' if left > 1 else ' was'} left out, as the plan says" if left else ""
    if bad := sum(counts[state] for state in _BAD):
        files = counts["not compared"]
        unread = (
            f" The variables of {files} environment file{'s' if files > 1 else ''} were not compared." if files else ""
        )
        return f"{bad} of {len(findings)} are wrong{left_out}.{unread}"
    other = " other" if any(step.verdict == "drop" and step.secret for step in plan.steps) else ""
    return (
        f"Every{other} variable has its old value, and no secret is in the clear{left_out}. Next: deploy it, then "
        f"python -m ops migrate clean {family}"
    )


def compare(plan: Plan, old: Mapping[str, str], new: Container, new_values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what became of each variable.

    Args:
        plan: The plan.
        old: All values of the old container's variables.
        new: The new container.
        new_values: All values of its variables.
    """
    for step in plan.steps:
        yield _compared(step, old, new, new_values)
    for variable in sorted(set(new_values) - {step.variable for step in plan.steps}):
        yield Finding(variable, "added", "the old task definition lacked it")
    yield from _in_the_clear(plan, old, new)


def _files(old: Container, new: Container) -> Iterator[Finding]:
    for file in old.environment_files:
        same = file in new.environment_files
        detail = "the same environment file" if same else "the variables of this environment file are not read"
        yield Finding(file, "equal" if same else "not compared", detail)


def _compared(step: Step, old: Mapping[str, str], new: Container, new_values: Mapping[str, str]) -> Finding:
    if step.verdict == "drop":
        return Finding(step.name, "left out", "as the plan says")
    try:
        expected = value_of(step, old)
    except PlanError as error:
        return Finding(step.name, "missing", str(error))
    if step.variable in new_values:
        found = new_values[step.variable]
        if step.json_key is not None:
            found = (json_object(found) or {}).get(step.json_key)
        where = "from Secrets Manager" if step.variable in new.references else "plain"
        return Finding(step.name, *_judged(expected, found, ("equal", where)))
    whole = _whole_variable(step) or ""
    found = (json_object(new_values.get(whole, "")) or {}).get(step.secret_key or "")
    return Finding(
        step.name, *_judged(expected, found, ("moved", f"now the key {step.secret_key} in the JSON of {whole}"))
    )


def _judged(expected: str, found: str | None, good: tuple[State, str]) -> tuple[State, str]:
    if found is None:
        return "missing", "the new task definition lacks it"
    if not expected and found:
        return good[0], "was empty; has a value now"
    return good if found == expected else ("different", "has another value than before")


def _whole_variable(step: Step) -> str | None:
    """Return the variable that holds the whole JSON of the secret that a step's value went to."""
    return next((d.variable for d in CATALOGUE if isinstance(d, JsonSecret) and d.name == step.secret), None)


def _in_the_clear(plan: Plan, old: Mapping[str, str], new: Container) -> Iterator[Finding]:
    """Yield what of the new container's plain parts holds an old secret, or looks like any."""
    secrets = {
        step.name: value_of(step, old) for step in plan.steps if step.verdict == "secret" and step.variable in old
    }
    accepted = {step.variable for step in plan.steps if step.verdict == "plain"}
    for where, text in (*new.plain.items(), *new.texts.items()):
        held = [name for name, value in secrets.items() if len(value) >= _MIN_CHARACTERS and value in text]
        why = why_secret(where, text) if where in new.plain else why_text_is_secret(text)
        if held:
            yield Finding(where, "in the clear", f"holds the value of {held[0]}")
        elif why and where not in accepted:
            yield Finding(where, "in the clear", f"it {why}")
