"""The migration plan: where each part of an old task definition goes. It never holds a value, so it can be reviewed and kept.

An operator can edit one field of it: the verdict of a variable or of a part.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from components import checks as rules
from components import limits
from ops._detect import why_refused, why_secret, why_text_is_secret
from ops._errors import MisuseError
from ops._json import json_object, read_json
from ops._plan import Secret
from ops._pulumi import property_path
from ops.migrate._fields import CONTAINER_FIELDS, compact, different, health_check, sidecar
from ops.migrate._target import Target, config_key_of, target_of
from ops.migrate._task_definition import Container, TaskDefinition, text_of
from ops.migrate._values import mapping

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

_TEXTS = {"": str}
_STEP: Mapping[str, Any] = {
    **dict.fromkeys(("container", "variable", "verdict", "why"), str),
    **dict.fromkeys(("json_key", "config_key", "secret", "secret_key"), str | None),
}
_PART = {"where": str, "verdict": str, "why": str, "settings": _TEXTS}
_PLAN = {"source": str, "stack": str, "name": str, "containers": _TEXTS, "steps": [_STEP], "parts": [_PART]}
"""The types that `save` writes: `[kind]` is a list, and the key "" stands for any."""


class PlanError(MisuseError):
    """The plan's file is not a plan, or no longer matches its source."""


@dataclass(frozen=True)
class Step:
    """Where one variable of a container, or one key of a variable that holds JSON, goes.

    Attributes:
        json_key: The key in its JSON, None for the whole value.
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
        places = {
            "secret": f"{self.secret}{f' key {self.secret_key}' if self.secret_key else ''}",
            "plain": f"plain variable ({self.config_key})",
            "drop": "left out",
        }
        return places.get(self.verdict, "nowhere yet")


@dataclass(frozen=True)
class Part:
    """What becomes of anything in the task definition that is not a variable.

    Attributes:
        where: What it is: a field of the task, a field of a container, a whole container.
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

    def settings(self, task: TaskDefinition | None = None) -> dict[str, str]:
        """Return the configuration beside variables and secrets of services.

        With the old task definition it has the values of the sidecars' variables, too.
        """
        carried = [(part, task and sidecar_of(part, task)) for part in self.parts if part.verdict == "carried"]
        return {k: compact(found) if found else value for part, found in carried for k, value in part.settings.items()}

    def label(self, step: Step) -> str:
        """Return a step's name, with its container where there are several."""
        return step.name if len(self.containers) == 1 else f"{step.container}: {step.name}"

    def differences(self, fresh: "Plan") -> list[str]:
        """Return the names of what differs, beside the verdicts, from a new plan of the same source."""
        ours, theirs = (
            Counter(
                [(step.name, repr(replace(step, verdict="drop"))) for step in plan.steps]
                + [(part.where, repr(replace(part, verdict="drop"))) for part in plan.parts]
            )
            for plan in (self, fresh)
        )
        changed = sorted({name for name, _ in (ours - theirs) + (theirs - ours)})
        return changed + [name for name in ("name", "containers") if getattr(self, name) != getattr(fresh, name)]

    def save(self, path: Path) -> None:
        """Write the plan as JSON."""
        document = {"format": FORMAT, "version": VERSION, **asdict(self)}
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: Path, project: Path | None = None) -> Plan:
    """Return the plan in a file; PlanError when it is not one of this version, or an edit made it invalid.

    `project` is the application's folder, by default the current one. `_source.reread` compares the plan with its source.
    """
    if not path.exists():
        raise PlanError(f"there is no plan {path}: python -m ops migrate scan ... --to {path}")
    try:
        document = mapping(read_json(path))
    except ValueError as error:
        raise PlanError(str(error)) from None
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise PlanError(f"{path} is not a migration plan of version {VERSION}: scan again")
    found: dict[str, Any] = {name: document.get(name) for name in _PLAN}
    if not _fits(found, _PLAN):
        raise PlanError(f"{path} has been changed in more than its verdicts: scan again")
    steps, parts = (Step(**step) for step in found.pop("steps")), (Part(**part) for part in found.pop("parts"))
    plan = Plan(steps=tuple(steps), parts=tuple(parts), **found)
    hosts = target_of(plan.stack, project).hosts if any(step.verdict == "plain" for step in plan.steps) else {}
    for wrong in _wrong(plan, hosts):
        raise PlanError(f"{path}: {wrong}")
    return plan


def _fits(value: Any, kind: Any) -> bool:
    """Return whether a part of a document has a type in the form of `_PLAN`."""
    if isinstance(kind, list):
        return isinstance(value, list) and all(_fits(item, *kind) for item in value)
    if isinstance(kind, Mapping):
        return (
            isinstance(value, dict)
            and ("" in kind or set(value) == set(kind))
            and all(_fits(item, kind.get(key) or kind[""]) for key, item in value.items())
        )
    return isinstance(value, kind)


def _wrong(plan: Plan, hosts: Mapping[str, str]) -> Iterator[str]:
    for step in plan.steps:
        if step.verdict not in get_args(Verdict):
            yield f"the verdict of {step.name} is one of {', '.join(get_args(Verdict))}"
        elif step.verdict == "secret" and step.secret is None:
            yield f"{step.name} has no place in catalogue.py yet: add one and scan again"
        elif step.verdict == "plain" and step.secret is not None:
            yield f"{step.name} is a secret of the catalogue and can't be a plain variable"
        elif step.verdict == "plain" and not step.can_be_plain(hosts):
            yield f"{step.name} can't be a plain variable: it {step.why}"
    for part in plan.parts:
        if part.verdict not in get_args(PartVerdict):
            yield f"the verdict of {part.where} is one of {', '.join(get_args(PartVerdict))}"
        elif part.verdict == "carried" and not part.settings:
            yield f"{part.where} is carried over by no setting: drop it, or leave it undecided"


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
        target: The application, as the stack has it.
        stack: The stack.
    """
    steps = [
        step
        for container in containers
        for variable in sorted({*variables[container].values, *variables[container].unread})
        for step in _steps(container, variable, containers, variables, target)
    ]
    parts = [
        *_sidecars(task, containers, target),
        *_settings(task, containers, target),
        *_not_carried(task, containers),
    ]
    steps = tuple(_with_shared_values(steps, variables))
    return Plan(task.source, stack, task.name, dict(containers), steps, tuple(parts))


def value_of(step: Step, variables: Mapping[str, Variables]) -> str:
    """Return a step's value; PlanError when the source no longer has it."""
    value = variables[step.container].values.get(step.variable) if step.container in variables else None
    if value is not None and step.json_key is not None:
        value = (json_object(value) or {}).get(step.json_key)
    if value is None:
        raise PlanError(f"the source no longer has {step.name}: scan again")
    return value if isinstance(value, str) else json.dumps(value)


def _steps(
    container: str,
    variable: str,
    containers: Mapping[str, str],
    variables: Mapping[str, Variables],
    target: Target,
) -> Iterator[Step]:
    service, own = containers[container], variables[container]
    value = own.values.get(variable)
    secret, part = target.place_of(variable, service) or (None, None)
    config_key = secret and config_key_of(secret, part)
    whole = secret and part is None and secret.keys_are_known
    step = partial(Step, container, variable, None)
    if secret and secret.foreign:
        # Nothing to set: the owner keeps the value, and the container reads it there.
        why = f"comes from {secret.name}, which {secret.owner} owns: set foreignSecrets.{secret.name} to its ARN"
        yield step("drop", why)
    elif (secret is None or config_key) and (manager := own.managed.get(variable)):
        name = variable.lower().replace("_", "-")
        why = (
            f'refers to a secret that {manager} manages and changes: declare it in catalogue.py as ForeignSecret("{name}", '
            f'"{manager}") and scan again'
        )
        yield step("undecided", why)
    elif value is None:
        yield step("not read", own.unread[variable], config_key, secret and secret.name, part)
    elif secret and not whole:
        yield _secret_step(step, secret, part)
    elif secret and (content := json_object(value)) is not None:
        for key in sorted(content):
            inner = partial(Step, container, variable, key)
            missing = f"is not a key of {secret.name} in the catalogue"
            yield _secret_step(inner, secret, key) if key in secret.parts else inner("undecided", missing)
    elif not value:
        # The configuration treats an empty value as unset, so `apply` could not set it.
        yield step("drop", "is empty")
    elif secret:
        yield step("undecided", "is not a JSON object, as the catalogue says")
    else:
        refused = why_refused(variable, value) or _wrong_host(variable, value, target)
        why = why_secret(variable, value) or refused
        fine = "is a setting of the program" if variable in target.hosts else "nothing suggests a secret"
        everywhere = set(containers.values()) == set(target.services)
        common = everywhere and len({variables[one].values.get(variable) for one in containers}) == 1
        key = None if refused else target.variable_key(variable, None if common else service)
        yield step("undecided" if why else "plain", why or fine, key)


def _secret_step(step: Callable[..., Step], secret: Secret, key: str | None) -> Step:
    config_key = config_key_of(secret, key)
    why = "is in the catalogue" if config_key else "is in the catalogue, set by `ops set`"
    return step("secret", why, config_key, secret.name, key)


def _wrong_host(variable: str, value: str, target: Target) -> str | None:
    wrong = rules.wrong_host(value) if variable in target.hosts else None
    return wrong and f"{wrong[0]}; {target.hosts[variable]} accepts {wrong[1]}"


def _with_shared_values(steps: Sequence[Step], variables: Mapping[str, Variables]) -> Iterator[Step]:
    """Yield the steps, undecided where a plain value holds a secret's or two values of one place differ."""
    values = {step: value_of(step, variables) for step in steps if step.verdict in {"secret", "plain"}}
    secrets = [(s.name, v) for s, v in values.items() if s.verdict == "secret" and len(v) >= _MIN_SHARED_CHARACTERS]
    by_place: dict[tuple[str | None, ...], str] = {}
    for step in steps:
        plain, value, why = step.verdict == "plain", values.get(step, ""), ""
        place = (step.config_key,) if plain else (step.secret, step.secret_key)
        if shared := [name for name, secret in secrets if plain and secret in value]:
            why = f"holds the value of {shared[0]}"
        elif step in values and by_place.setdefault(place, value) != value:
            other = f"container's, and {step.config_key} is one" if plain else f"variable that goes to {step.goes_to}"
            why = f"differs from another {other}"
        yield replace(step, verdict="undecided", why=why) if why else step


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
        yield Part(where, "carried", "from the task definition", {key: compact(carried)})
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


def sidecar_of(part: Part, task: TaskDefinition) -> dict[str, Any] | None:
    """Return the container that a part carries, with the values of its variables; None for any other part."""
    kind, _, name = part.where.partition(" ")
    if kind != "container" or ": " in name or not part.settings:
        return None
    carried: dict[str, Any] = json.loads(next(iter(part.settings.values())))
    plain = task.container(name).plain
    return carried | {"environment": {variable: plain[variable] for variable in carried["environment"]}}


def _settings(task: TaskDefinition, containers: Mapping[str, str], target: Target) -> Iterator[Part]:
    for name, service in containers.items():
        label = f"container {name}: " if len(containers) > 1 else ""
        for where, why, settings in settings_of(task, task.container(name), target.setting_key("image", service)):
            keys = {target.setting_key(key, service): value for key, value in settings.items()}
            yield Part(label + where, "carried" if keys else "undecided", why, keys)


def settings_of(
    task: TaskDefinition, container: Container, image_key: str = "image"
) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Yield what it is, where it comes from or what to do, and the settings that carry it, none where they can't."""
    here = "from the task definition"
    if container.image and (wrong := rules.wrong_image(container.image)):
        yield "image", f"{wrong[0]}: set {image_key} yourself ({wrong[1]})", {}
    elif container.image:
        yield "image", here, {"image": container.image}
    elif set(container.document) - {"name", "environment"}:
        yield "image", f"is built, or comes from elsewhere: set {image_key} yourself", {}
    if container.port is not None and container.ports[0][1] == "tcp":
        yield "containerPort", here, {"containerPort": str(container.port)}
    if check := health_check(container):
        yield "healthCheck", here, {"healthCheck": check}
    if size := _size(task, container):
        yield "cpu, memory", *size
    if task.architecture in {"X86_64", "ARM64"}:
        yield "cpuArchitecture", here, {"cpuArchitecture": task.architecture}
    elif task.architecture:
        yield "cpuArchitecture", "is unknown to ECS: X86_64 or ARM64", {}


def _size(task: TaskDefinition, container: Container) -> tuple[str, Mapping[str, str]] | None:
    """Return where the size comes from, and its settings: the task's own, or Fargate's next larger; None without any."""
    own = [text_of(container.document.get(name)) for name in ("cpu", "memory", "memoryReservation")]
    cpu, memory = task.cpu or own[0], task.memory or own[1] or own[2]
    if cpu in {"", "0"} and not memory:
        return None
    if not all(re.fullmatch(r"[0-9]{0,7}", size) for size in (cpu, memory)):
        return "is not a size that ECS supports: set cpu and memory yourself", {}
    wanted = int(cpu or 0), int(memory or 0)
    for units, sizes in limits.FARGATE_MEMORY.items():
        for size in sizes:
            if units >= wanted[0] and size >= wanted[1]:
                exact = (units, size) == wanted
                why = "from the task definition" if exact else "Fargate has no such size; the next larger"
                return why, {"cpu": str(units), "memory": str(size)}
    return "is larger than any task on Fargate: set cpu and memory yourself", {}


def _not_carried(task: TaskDefinition, containers: Mapping[str, str]) -> Iterator[Part]:
    found: dict[str, str] = {}
    held: dict[str, list[str]] = {}

    def search(texts: Mapping[str, str], label: str) -> None:
        for where, text in texts.items():
            if why := why_text_is_secret(text):
                held.setdefault(label + where.partition(".")[0], []).append(f"{where} {why}")

    search(task.texts, "")
    for name in containers:
        container, label = task.container(name), f"container {name}: " if len(containers) > 1 else ""
        for where, why in different(task, container)[0].items():
            found.setdefault(label + where if where in CONTAINER_FIELDS else where, why)
        search(container.texts, label)
    for where in {**found, **held}:
        # A field that the program has in another form can still hold a secret in the clear.
        yield Part(where, "undecided", "; ".join(filter(None, (*held.get(where, ()), found.get(where)))))


def proposal(step: Step) -> str:
    """Return the lines of catalogue.py that would declare an undecided variable."""
    name = step.json_key or step.variable
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    config_key = "".join([words[0].lower(), *(word.capitalize() for word in words[1:])]) if words else name
    return f'"{name}": Supplied("{config_key}")'
