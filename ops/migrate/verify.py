"""`ops migrate verify`: compares the new task definition with the old one, and finds secrets in the clear."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import typer

from ops._aws import Aws, connect
from ops._console import counted, print_json, print_table, say, working
from ops._detect import why_secret, why_text_is_secret
from ops._errors import MisuseError
from ops._json import json_object
from ops._options import JsonOption, OutputsOption, StackOption
from ops._stack import load
from ops.migrate._fields import CONTAINER_FIELDS, different, different_sidecar
from ops.migrate._plan import Part, Plan, PlanError, Step, Variables, settings_of, sidecar_of, value_of
from ops.migrate._plan import load as load_plan
from ops.migrate._source import Reader, Source, reread
from ops.migrate._target import Target, target_of
from ops.migrate._task_definition import Container, TaskDefinition, TaskDefinitionError, read
from ops.migrate.scan import PlanArgument, RegionOption

State = Literal["equal", "moved", "left out", "added", "missing", "different", "in the clear", "not read"]
"""`moved`: no longer a variable, but a key of one that holds JSON. `left out`: as the plan says."""

_BAD = {"missing", "different", "in the clear", "not read"}
_MIN_CHARACTERS = 6
"""Characters below which a value found in another text is most likely a coincidence."""


@dataclass(frozen=True)
class Finding:
    """What became of one variable or part.

    Attributes:
        kind: `variable`, or `part` for everything else in a task definition.
    """

    name: str
    state: State
    detail: str = ""
    kind: Literal["variable", "part"] = "variable"


def verify(
    plan: PlanArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    region: RegionOption = None,
    *,
    json_: JsonOption = False,
) -> None:
    """Compare the deployed task definition with the old one, variable by variable and field by field; show no value.

    Every secret is read once for it, which CloudTrail records. Exit status 1: something is missing, different, in the clear or
    could not be read.
    """
    loaded = load_plan(plan)
    deployed = load(stack, outputs)
    if deployed.environment != loaded.stack.rpartition("/")[2]:
        raise MisuseError(
            f"{plan} is for stack {loaded.stack}, the outputs are of {deployed.environment}: scan with --stack"
        )
    aws = connect(deployed)
    target = target_of(loaded.stack)
    findings: list[Finding] = []
    with working("Reading both task definitions and every value"):
        old, reader = reread(loaded, region), Reader(aws=aws)
        arns = {one: deployed.each(one)[0].service.task_definition_arn for one in loaded.containers.values()}
        tasks = {name: _read(arns[service], aws) for name, service in loaded.containers.items()}
        for name, task in tasks.items():
            new = task.containers[0]
            findings += compare(loaded, name, old.variables, new, reader.variables(new), target)
            findings += _compare_parts(loaded, name, old, task)
        # Of several services none is known to have an old container beside it.
        findings += _sidecars(loaded, old, next(iter(tasks.values())).containers if len(tasks) == 1 else ())
    bad = [finding for finding in findings if finding.state in _BAD]
    if json_:
        print_json({"ok": not bad, "task_definitions": arns, "findings": [asdict(f) for f in findings]})
    else:
        say(f"{loaded.source} -> {', '.join(arns.values())}")
        print_table("Variables", ("variable", "state", ""), _rows(findings, "variable"))
        print_table("\nEverything else", ("what", "state", ""), _rows(findings, "part"))
        say(_conclusion(findings, old.task.family or "OLD_FAMILY"))
    if bad:
        raise typer.Exit(1)


def _read(arn: str, aws: Aws) -> TaskDefinition:
    try:
        return read(arn, aws.client("ecs"))
    except TaskDefinitionError as error:
        raise MisuseError(f"{arn}: {error}") from None


def _rows(findings: Sequence[Finding], kind: str) -> list[tuple[str, str, str]]:
    return [(f.name, f.state, f.detail) for f in findings if f.kind == kind]


def _conclusion(findings: Sequence[Finding], family: str) -> str:
    left = {kind: sum(f.state == "left out" and f.kind == kind for f in findings) for kind in ("variable", "part")}
    words = [counted(count, kind) for kind, count in left.items() if count]
    were = "were" if sum(left.values()) > 1 else "was"
    left_out = f"; {' and '.join(words)} {were} left out, as the plan says" if words else ""
    counts = Counter(finding.state for finding in findings)
    if bad := sum(counts[state] for state in _BAD):
        unread = f" {counts['not read']} could not be read." if counts["not read"] else ""
        return f"{bad} of {len(findings)} {'is' if bad == 1 else 'are'} wrong{left_out}.{unread}"
    others = " other" if words else ""
    return (
        f"Every{others} variable has its old value, every{others} part of the task definition is as it was, and no secret is in "
        f"the clear{left_out}. Next: deploy it, then python -m ops migrate clean {family}"
    )


def compare(  # noqa: PLR0917 - the old and the new side
    plan: Plan,
    container: str,
    old: Mapping[str, Variables],
    new: Container,
    found: Variables,
    target: Target,
) -> Iterator[Finding]:
    """Yield what became of each variable of one container; `old` is what the old ones hold, `found` what the new one's do."""
    steps = [step for step in plan.steps if step.container == container]
    for step in steps:
        yield Finding(plan.label(step), *_compared(step, old, new, found, target))
    known = {step.variable for step in steps}
    for variable in sorted({*found.values, *found.unread} - known):
        if why := found.unread.get(variable):
            yield Finding(variable, "not read", f"the new task could not start: {why}")
        else:
            yield Finding(variable, "added", "the old task definition lacked it")
    yield from _in_the_clear(plan, container, old, new)


def _compared(
    step: Step, old: Mapping[str, Variables], new: Container, found: Variables, target: Target
) -> tuple[State, str]:
    if step.verdict == "drop":
        return "left out", "as the plan says"
    try:
        expected = value_of(step, old)
    except PlanError as error:
        return "missing", str(error)
    if why := found.unread.get(step.variable):
        return "not read", why
    if step.variable in found.values:
        value = found.values[step.variable]
        part = value if step.json_key is None else (json_object(value) or {}).get(step.json_key)
        where = "from Secrets Manager" if step.variable in new.references else "plain"
        return _judged(expected, part, ("equal", where))
    whole = target.whole_variable(step.secret) or ""
    if why := found.unread.get(whole):
        return "not read", f"{whole}: {why}"
    moved = (json_object(found.values.get(whole, "")) or {}).get(step.secret_key or "")
    return _judged(expected, moved, ("moved", f"now the key {step.secret_key} in the JSON of {whole}"))


def _judged(expected: str, found: str | None, good: tuple[State, str]) -> tuple[State, str]:
    if found is None:
        return "missing", "the new task definition lacks it"
    if not expected and found:
        return good[0], "was empty; has a value now"
    return good if found == expected else ("different", "has another value than before")


def _compare_parts(plan: Plan, name: str, old: Source, task: TaskDefinition) -> Iterator[Finding]:
    """Yield what became of everything in the old task definition that is not a variable of a container."""
    accepted = {part.where: part for part in plan.parts if part.verdict == "drop"}
    label = f"container {name}: " if len(plan.containers) > 1 else ""
    wrong, same = different(old.task, old.task.container(name), task, task.containers[0])
    settings = {part.where for part in plan.parts if part.settings}
    for field in sorted({*wrong, *same}):
        where = label + field if field in CONTAINER_FIELDS else field
        if where in settings:
            continue  # compared below
        if field in same:
            yield Finding(where, "equal", "", "part")
        elif where in accepted:
            yield Finding(where, "left out", accepted[where].why, "part")
        else:
            yield Finding(where, "missing", wrong[field], "part")
    now = {key: value for *_, found in settings_of(task, task.containers[0]) for key, value in found.items()}
    for part in plan.parts:
        own = part.where.startswith(label) if label else not part.where.startswith("container ")
        for key, wanted in part.settings.items() if own else ():
            yield Finding(part.where, *_setting(part, key.rpartition(".")[2], wanted, now), "part")


def _setting(part: Part, key: str, wanted: str, now: Mapping[str, str]) -> tuple[State, str]:
    if now.get(key) == wanted:
        return "equal", f"{key} {wanted}"
    if part.verdict == "drop":
        return "left out", "as the plan says"
    found = f"{key} is {now.get(key, 'not set')}, was {wanted}"
    return "different", f'{found}; if that is intended, change the verdict of this part to "drop"'


def _sidecars(plan: Plan, old: Source, new: Sequence[Container]) -> Iterator[Finding]:
    """Yield each container that did not become a service, and each of its fields that is not carried."""
    for part in plan.parts:
        kind, _, name = part.where.partition(" ")
        if kind != "container" or name.partition(": ")[0] in plan.containers:
            continue
        carried = sidecar_of(part, old.task)
        found = next((one for one in new if one.name == name), None)
        if part.verdict == "drop":
            yield Finding(part.where, "left out", part.why, "part")
        elif carried is None or found is None:
            why = part.why if carried is None else "the new task definition lacks it"
            yield Finding(part.where, "missing", why, "part")
        else:
            wrong = ", ".join(different_sidecar(carried, found))
            yield Finding(part.where, *(("different", f"in {wrong}") if wrong else ("equal", "")), "part")


def _in_the_clear(plan: Plan, container: str, old: Mapping[str, Variables], new: Container) -> Iterator[Finding]:
    """Yield which of the new container's plain parts hold an old secret, or look like a secret."""
    secrets = {
        step.name: value_of(step, old)
        for step in plan.steps
        if step.verdict == "secret" and step.variable in old[step.container].values
    }
    accepted = {step.variable for step in plan.steps if step.verdict == "plain" and step.container == container}
    for where, text in (*new.plain.items(), *new.texts.items()):
        held = [name for name, value in secrets.items() if len(value) >= _MIN_CHARACTERS and value in text]
        why = why_secret(where, text) if where in new.plain else why_text_is_secret(text)
        if held:
            yield Finding(where, "in the clear", f"holds the value of {held[0]}")
        elif why and where not in accepted:
            yield Finding(where, "in the clear", f"it {why}")
