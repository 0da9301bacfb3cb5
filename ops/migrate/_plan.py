"""The migration plan: where each part of an old task definition goes. It never holds a value, so it can be reviewed and kept.

An operator can edit one field of it: the verdict of a variable or of a part.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from components import checks as rules
from components import limits
from ops._detect import why_refused, why_secret, why_text_is_secret
from ops._json import json_object, read_json
from ops._plan import Secret
from ops.migrate._fields import CONTAINER_FIELDS, health_check, lost, sidecar
from ops.migrate._pulumi import property_path
from ops.migrate._target import Place, Target, target_of
from ops.migrate._task_definition import Container, TaskDefinition

FORMAT = "service-ticket-system migration plan"
VERSION = 2

Verdict = Literal["secret", "plain", "undecided", "not read", "drop"]
"""`secret`: into Secrets Manager. `plain`: stays a plain variable. `undecided`: looks like a secret that the catalogue lacks.
`not read`: its value is somewhere that could not be read. `drop`: is not carried over: an empty variable, or what an operator
decides so."""

PartVerdict = Literal["carried", "undecided", "drop"]
"""`carried`: becomes a setting. `undecided`: the new task definition lacks it. `drop`: an operator accepted that."""

_MIN_SHARED_CHARACTERS = 8
"""Characters below which two equal values can be a coincidence."""

_TYPES = {
    "source": str, "stack": str, "name": str, "containers": dict, "steps": list, "parts": list,
}  # fmt: skip


class PlanError(ValueError):
    """The plan's file is not a plan, or no longer matches its source."""


@dataclass(frozen=True)
class Step:
    """Where one variable, or one key of a variable that holds JSON, goes.

    Attributes:
        container: The container of the old task definition.
        variable: Its variable.
        json_key: The key in its JSON, None for the whole value.
        verdict: See Verdict.
        why: The reason, for people.
        config_key: What to set in the stack's configuration, None for nothing (`set` names an external secret).
        secret: The catalogue's name of the secret that gets the value.
        secret_key: The JSON key in that secret.
    """

    container: str
    variable: str
    json_key: str | None
    verdict: Verdict
    why: str
    config_key: str | None = None
    secret: str | None = None
    secret_key: str | None = None

    @property
    def name(self) -> str:
        """The step's name: `APP_CONFIG` or `APP_CONFIG.API_KEY`."""
        return self.variable if self.json_key is None else f"{self.variable}.{self.json_key}"

    def can_be_plain(self, hosts: Mapping[str, str]) -> bool:
        """Return whether the operator can let the value become a plain variable; `hosts` is the target's."""
        key = self.config_key or ""
        named = key.endswith(property_path("environment", self.variable)) or key == hosts.get(self.variable)
        return self.secret is None and self.json_key is None and named

    @property
    def goes_to(self) -> str:
        """Where the value goes, in a few words."""
        match self.verdict:
            case "secret":
                return f"{self.secret}{f' key {self.secret_key}' if self.secret_key else ''}"
            case "plain":
                return f"plain variable ({self.config_key})"
            case "undecided" | "not read":
                return "nowhere yet"
            case "drop":
                return "left out"


@dataclass(frozen=True)
class Part:
    """What becomes of anything in the task definition that is not a variable.

    Attributes:
        where: What it is: a field of the task, a field of a container, a whole container.
        verdict: See PartVerdict.
        why: What is lost and what to do, or where it came from.
        settings: The configuration that carries it, by key.
    """

    where: str
    verdict: PartVerdict
    why: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Plan:
    """A plan.

    Attributes:
        source: The old task definition: a file's absolute path, or an ARN with its revision.
        stack: The stack whose catalogue it follows.
        name: The task definition's family, or its name in the file.
        containers: The service of `catalogue.py` that each container becomes; the others are sidecars.
        steps: One for each variable or JSON key.
        parts: One for everything else.
    """

    source: str
    stack: str
    name: str
    containers: Mapping[str, str]
    steps: tuple[Step, ...]
    parts: tuple[Part, ...]

    def undecided(self) -> list[Step]:
        """Return the variables that need a decision before the plan can be applied."""
        return [step for step in self.steps if step.verdict in {"undecided", "not read"}]

    def not_carried(self) -> list[Part]:
        """Return what the new task definition will lack without the operator's acceptance."""
        return [part for part in self.parts if part.verdict == "undecided"]

    def settings(self) -> dict[str, str]:
        """Return the configuration beside the variables and secrets of services, without a value of a sidecar's variables."""
        return {key: value for part in self.parts if part.verdict == "carried" for key, value in part.settings.items()}

    def sidecars(self, task: TaskDefinition) -> dict[str, str]:
        """Return the configuration of the sidecars, with the values of their variables in the old task definition."""
        carried = [(part, sidecar_of(part, task)) for part in self.parts if part.verdict == "carried"]
        return {key: _compact(found) for part, found in carried if found for key in part.settings}

    def label(self, step: Step) -> str:
        """Return a step's name, with its container where there are several."""
        return step.name if len(self.containers) == 1 else f"{step.container}: {step.name}"

    def differences(self, fresh: "Plan") -> list[str]:
        """Return the names of what differs, beside the verdicts, from a new plan of the same source."""
        ours, theirs = (
            Counter(
                [repr(replace(step, verdict="drop")) + step.name for step in plan.steps]
                + [repr(replace(part, verdict="drop")) + part.where for part in plan.parts]
            )
            for plan in (self, fresh)
        )
        changed = {text.rpartition(")")[2] for text in (ours - theirs) + (theirs - ours)}
        return [
            *sorted(changed),
            *(name for name in ("name", "containers") if getattr(self, name) != getattr(fresh, name)),
        ]

    def save(self, path: Path) -> None:
        """Write the plan as JSON."""
        document = {"format": FORMAT, "version": VERSION, **asdict(self)}
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: Path, project: Path | None = None) -> Plan:
    """Return the plan in a file. `_source.reread` checks whether it still matches its source.

    Args:
        path: The file.
        project: The application's folder, by default the current one.

    Raises:
        PlanError: When it is not a plan of this version, or an edit made it invalid.
    """
    if not path.exists():
        raise PlanError(f"there is no plan {path}: python -m ops migrate scan ... --to {path}")
    try:
        document: Any = read_json(path)
    except ValueError as error:
        raise PlanError(str(error)) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT or document.get("version") != VERSION:
        raise PlanError(f"{path} is not a migration plan of version {VERSION}: scan again")
    plan = _parsed(cast("Mapping[str, Any]", document))
    if plan is None:
        raise PlanError(f"{path} has been changed in more than its verdicts: scan again")
    hosts = target_of(plan.stack, project).hosts if any(step.verdict == "plain" for step in plan.steps) else {}
    for wrong in (*(_wrong_verdict(step, hosts) for step in plan.steps), *map(_wrong_part, plan.parts)):
        if wrong:
            raise PlanError(f"{path}: {wrong}")
    return plan


def _parsed(document: Mapping[str, Any]) -> Plan | None:
    """Return the plan in a document, None when a part is missing, unknown or of another type than `save` writes."""
    found: dict[str, Any] = {name: document.get(name) for name in _TYPES}
    if not all(isinstance(found[name], kind) for name, kind in _TYPES.items()):
        return None
    if (
        not _are_texts(found["containers"])
        or not all(map(_is_step, found["steps"]))
        or not all(map(_is_part, found["parts"]))
    ):
        return None
    steps, parts = found.pop("steps"), found.pop("parts")
    return Plan(steps=tuple(Step(**step) for step in steps), parts=tuple(Part(**part) for part in parts), **found)


def _are_texts(mapping: Mapping[str, Any]) -> bool:
    return all(isinstance(value, str) for value in mapping.values())


def _is_step(step: Any) -> bool:
    may_be_none = {"json_key", "config_key", "secret", "secret_key"}
    return (
        isinstance(step, dict)
        and set(cast("dict[str, Any]", step)) == {field.name for field in fields(Step)}
        and all(isinstance(step[name], str) or (step[name] is None and name in may_be_none) for name in step)
    )


def _is_part(part: Any) -> bool:
    return (
        isinstance(part, dict)
        and set(cast("dict[str, Any]", part)) == {field.name for field in fields(Part)}
        and all(isinstance(part[name], str) for name in ("where", "verdict", "why"))
        and isinstance(part["settings"], dict)
        and _are_texts(part["settings"])
    )


def _wrong_verdict(step: Step, hosts: Mapping[str, str]) -> str | None:
    if step.verdict not in get_args(Verdict):
        return f"the verdict of {step.name} is one of {', '.join(get_args(Verdict))}"
    if step.verdict == "secret" and step.secret is None:
        return f"{step.name} has no place in catalogue.py yet: add one and scan again"
    if step.verdict == "plain" and step.secret is not None:
        return f"{step.name} is a secret of the catalogue and can't be a plain variable"
    if step.verdict == "plain" and not step.can_be_plain(hosts):
        return f"{step.name} can't be a plain variable: it {step.why}"
    return None


def _wrong_part(part: Part) -> str | None:
    if part.verdict not in get_args(PartVerdict):
        return f"the verdict of {part.where} is one of {', '.join(get_args(PartVerdict))}"
    if part.verdict == "carried" and not part.settings:
        return f"{part.where} is carried over by no setting: drop it, or leave it undecided"
    return None


@dataclass(frozen=True)
class Variables:
    """What a container's variables hold.

    Attributes:
        values: By variable: kept out of `repr`.
        unread: Why others could not be read, by variable.
        managed: The AWS service that manages the secret which a variable refers to, such as `rds`, by variable.
    """

    values: Mapping[str, str] = field(repr=False)
    unread: Mapping[str, str] = field(default_factory=dict[str, str])
    managed: Mapping[str, str] = field(default_factory=dict[str, str])


def make(
    task: TaskDefinition,
    containers: Mapping[str, str],
    variables: Mapping[str, Variables],
    target: Target,
    stack: str = "",
) -> Plan:
    """Return the plan for a task definition.

    Args:
        task: The old one.
        containers: The service that each container becomes; the others are sidecars.
        variables: What the variables of these containers hold, by container.
        target: The application.
        stack: The stack whose catalogue the target has.
    """
    steps = [
        step
        for container in containers
        for variable in sorted({*variables[container].values, *variables[container].unread})
        for step in _steps(container, variable, variables[container], target.of(containers[container]))
    ]
    steps = list(_with_keys(steps, containers, variables, target))
    parts = [
        *_sidecars(task, containers, target),
        *_settings(task, containers, target),
        *_not_carried(task, containers),
    ]
    return Plan(
        source=task.source,
        stack=stack,
        name=task.name,
        containers=dict(containers),
        steps=tuple(_with_shared_values(steps, variables)),
        parts=tuple(parts),
    )


def value_of(step: Step, variables: Mapping[str, Variables]) -> str:
    """Return a step's value.

    Raises:
        PlanError: When the source no longer has it.
    """
    found = variables.get(step.container)
    value = found.values.get(step.variable) if found else None
    if value is not None and step.json_key is not None:
        value = (json_object(value) or {}).get(step.json_key)
    if value is None:
        raise PlanError(f"the source no longer has {step.name}: scan again")
    return value if isinstance(value, str) else json.dumps(value)


def _steps(container: str, variable: str, variables: Variables, target: Target) -> Iterator[Step]:
    place, value = target.places.get(variable), variables.values.get(variable)
    if declared := target.foreign_of(variable):
        # Nothing to set: the owner keeps the value, and the container reads it there.
        why = f"comes from {declared.name}, which {declared.owner} owns: set foreignSecrets.{declared.name} to its ARN"
        yield Step(container, variable, None, "drop", why)
    elif (place is None or place.config_key) and (service := variables.managed.get(variable)):
        name = variable.lower().replace("_", "-")
        why = (
            f'refers to a secret that {service} manages and changes: declare it in catalogue.py as ForeignSecret("{name}", '
            f'"{service}") and scan again'
        )
        yield Step(container, variable, None, "undecided", why)
    elif value is None:
        found = place or Place("")
        why = variables.unread[variable]
        yield Step(container, variable, None, "not read", why, found.config_key, found.secret or None, found.key)
    elif place is not None and place.whole is None:
        yield Step(container, variable, None, "secret", place.why, place.config_key, place.secret, place.key)
    elif place is not None and place.whole and (content := json_object(value)) is not None:
        yield from (_json_step(place.whole, container, variable, key, target) for key in sorted(content))
    elif not value:
        # The configuration treats an empty value as unset, so `apply` could not set it.
        yield Step(container, variable, None, "drop", "is empty")
    elif place is not None:
        yield Step(container, variable, None, "undecided", "is not a JSON object, as the catalogue says")
    else:
        refused = why_refused(variable, value) or _wrong_host(variable, value, target)
        why = why_secret(variable, value) or refused
        fine = "is a setting of the program" if variable in target.hosts else "nothing suggests a secret"
        config_key = None if refused else target.variable_key(variable, None)
        yield Step(container, variable, None, "undecided" if why else "plain", why or fine, config_key)


def _wrong_host(variable: str, value: str, target: Target) -> str | None:
    wrong = rules.wrong_host(value) if variable in target.hosts else None
    return wrong and f"{wrong[0]}; {target.hosts[variable]} accepts {wrong[1]}"


def _json_step(secret: Secret, container: str, variable: str, key: str, target: Target) -> Step:
    if key not in secret.parts:
        return Step(container, variable, key, "undecided", f"is not a key of {secret.name} in the catalogue")
    place = target.place(secret, key)
    return Step(container, variable, key, "secret", place.why, place.config_key, place.secret, place.key)


def _with_keys(
    steps: Sequence[Step], containers: Mapping[str, str], variables: Mapping[str, Variables], target: Target
) -> Iterator[Step]:
    """Yield the steps, plain variables that not every service has alike with the service's own key."""
    for step in steps:
        if step.secret or step.json_key or step.config_key is None or step.variable in target.hosts:
            yield step
            continue
        values = {variables[container].values.get(step.variable) for container in containers}
        common = len(values) == 1 and set(containers.values()) == set(target.services)
        service = None if common else containers[step.container]
        yield replace(step, config_key=target.variable_key(step.variable, service))


def _with_shared_values(steps: Iterable[Step], variables: Mapping[str, Variables]) -> Iterator[Step]:
    """Yield the steps, undecided where a plain value holds a secret's or two values of one place differ."""
    steps = list(steps)
    secrets = {step: value_of(step, variables) for step in steps if step.verdict == "secret"}
    by_place: dict[tuple[str | None, str | None], str] = {}
    by_key: dict[str | None, str] = {}
    for step in steps:
        place = (step.secret, step.secret_key)
        if step.verdict == "plain":
            value = value_of(step, variables)
            shared = [s.name for s, v in secrets.items() if len(v) >= _MIN_SHARED_CHARACTERS and v in value]
            if shared:
                yield replace(step, verdict="undecided", why=f"holds the value of {shared[0]}")
                continue
            if by_key.setdefault(step.config_key, value) != value:
                yield replace(
                    step, verdict="undecided", why=f"differs from another container's, and {step.config_key} is one"
                )
                continue
        elif step.verdict == "secret" and by_place.setdefault(place, secrets[step]) != secrets[step]:
            yield replace(step, verdict="undecided", why=f"differs from another variable that goes to {step.goes_to}")
            continue
        yield step


def _sidecars(task: TaskDefinition, containers: Mapping[str, str], target: Target) -> Iterator[Part]:
    renamed = {container.name: containers.get(container.name, container.name) for container in task.containers}
    for container in task.containers:
        if container.name in containers:
            continue
        where = f"container {container.name}"
        if held := list(_not_for_a_sidecar(container, containers)):
            why = (
                "is not run: declare it as a service (SERVICES in catalogue.py, then scan with --container "
                f"{container.name}=SERVICE), or leave it out"
            )
            yield Part(where, "undecided", "; ".join((why, *held)))
            continue
        key = target.setting_key(property_path("sidecars", container.name), next(iter(containers.values())))
        carried, left = sidecar(task, container, renamed)
        # The values of its variables are read again when the plan is applied.
        carried["environment"] = dict.fromkeys(carried["environment"], "")
        yield Part(where, "carried", "from the task definition", {key: _compact(carried)})
        for part, why in left.items():
            yield Part(f"{where}: {part}", "undecided", why)


def _not_for_a_sidecar(container: Container, containers: Mapping[str, str]) -> Iterator[str]:
    """Yield why a container can't be a sidecar as it is."""
    if len(containers) > 1:
        yield "it could belong to any of the services"
    if not container.image or rules.wrong_image(container.image):
        yield "its image is built, or comes from elsewhere"
    for variable in (*container.references, *container.unread):
        yield f"{variable} is a reference or not in the file, and a sidecar has plain variables only"
    for variable, value in container.plain.items():
        if why := why_secret(variable, value) or why_refused(variable, value):
            yield f"environment.{variable} {why}"
    for where, text in container.texts.items():
        if why := why_text_is_secret(text):
            yield f"{where} {why}"


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def sidecar_of(part: Part, task: TaskDefinition) -> dict[str, Any] | None:
    """Return the container that a part carries, with the values of its variables; None for any other part."""
    kind, _, name = part.where.partition(" ")
    if kind != "container" or ": " in name or not part.settings:
        return None
    carried: dict[str, Any] = json.loads(next(iter(part.settings.values())))
    plain = task.container(name).plain
    return carried | {"environment": {variable: plain[variable] for variable in carried["environment"]}}


def _settings(task: TaskDefinition, containers: Mapping[str, str], target: Target) -> Iterator[Part]:
    several = len(containers) > 1
    for name, service in containers.items():
        container = task.container(name)
        label = f"container {name}: " if several else ""

        def key(setting: str, service: str = service) -> str:
            return target.setting_key(setting, service)

        if container.image:
            wrong = rules.wrong_image(container.image)
            given = {} if wrong else {key("image"): container.image}
            why = f"{wrong[0]}: set {key('image')} yourself ({wrong[1]})" if wrong else "from the task definition"
            yield Part(f"{label}image", "undecided" if wrong else "carried", why, given)
        elif set(container.document) - {"name", "environment"}:
            yield Part(f"{label}image", "undecided", f"is built, or comes from elsewhere: set {key('image')} yourself")
        if container.port is not None and container.ports[0][1] == "tcp":
            yield Part(
                f"{label}containerPort",
                "carried",
                "from the task definition",
                {key("containerPort"): str(container.port)},
            )
        if check := health_check(container):
            yield Part(f"{label}healthCheck", "carried", "from the task definition", {key("healthCheck"): check})
        if size := _size(task, container):
            cpu, memory, why = size
            sizes = {key("cpu"): cpu, key("memory"): memory} if cpu else {}
            yield Part(f"{label}cpu, memory", "carried" if cpu else "undecided", why, sizes)
        if task.architecture in {"X86_64", "ARM64"}:
            yield Part(
                f"{label}cpuArchitecture",
                "carried",
                "from the task definition",
                {key("cpuArchitecture"): task.architecture},
            )
        elif task.architecture:
            yield Part(f"{label}cpuArchitecture", "undecided", "is unknown to ECS: X86_64 or ARM64")


def _size(task: TaskDefinition, container: Container) -> tuple[str, str, str] | None:
    """Return CPU units, MiB and where they come from: the task's own, or Fargate's next larger size; None without any."""
    own = [_text_of(container, name) for name in ("cpu", "memory", "memoryReservation")]
    cpu, memory = task.cpu or own[0], task.memory or own[1] or own[2]
    if not (cpu and cpu != "0") and not memory:
        return None
    if not all(re.fullmatch(r"[0-9]{0,7}", size) for size in (cpu, memory)):
        return "", "", "is not a size that ECS supports: set cpu and memory yourself"
    wanted = int(cpu or 0), int(memory or 0)
    for units, sizes in limits.FARGATE_MEMORY.items():
        for size in sizes:
            if units >= wanted[0] and size >= wanted[1]:
                exact = (units, size) == wanted
                why = "from the task definition" if exact else "Fargate has no such size; the next larger"
                return str(units), str(size), why
    return "", "", "is larger than any task on Fargate: set cpu and memory yourself"


def _text_of(container: Container, name: str) -> str:
    value = container.document.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _not_carried(task: TaskDefinition, containers: Mapping[str, str]) -> Iterator[Part]:
    found: dict[str, str] = {}
    held: dict[str, list[str]] = {}
    several = len(containers) > 1
    for where, text in task.texts.items():
        if why := why_text_is_secret(text):
            held.setdefault(where.partition(".")[0], []).append(f"{where} {why}")
    for name in containers:
        container = task.container(name)
        label = f"container {name}: " if several else ""
        for where, why in lost(task, container).items():
            found.setdefault(label + where if where in CONTAINER_FIELDS else where, why)
        for where, text in container.texts.items():
            if why := why_text_is_secret(text):
                held.setdefault(label + where.partition(".")[0], []).append(f"{where} {why}")
    for where in {**found, **held}:
        secrets = held.get(where, [])
        lead = "; ".join(secrets)
        # A field that the program has in another form can still hold a secret in the clear.
        yield Part(where, "undecided", "; ".join(filter(None, (lead, found.get(where, "")))))


def proposal(step: Step) -> str:
    """Return the lines of catalogue.py that would declare an undecided variable."""
    name = step.json_key or step.variable
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    config_key = "".join([words[0].lower(), *(word.capitalize() for word in words[1:])]) if words else name
    return f'"{name}": Supplied("{config_key}")'
