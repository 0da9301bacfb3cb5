"""The migration plan: where each variable of an old task definition goes. It never holds a value, so it may be reviewed and kept.

An operator may edit one field of it: the verdict of a variable.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from model.declarations import Catalogue, Constant, External, Generated, JsonSecret, Supplied
from ops._json import json_object, read_json
from ops.migrate._detect import why_refused, why_secret, why_text_is_secret
from ops.migrate._pulumi import property_path
from ops.migrate._task_definition import Container, TaskDefinition

FORMAT = "service-ticket-system migration plan"
VERSION = 1

Verdict = Literal["secret", "plain", "undecided", "drop"]
"""`secret`: into Secrets Manager. `plain`: stays a plain variable. `undecided`: looks like a secret that the catalogue lacks.
`drop`: is not carried over: an empty variable, or what an operator decides so."""

_MIN_SHARED_CHARACTERS = 8
"""Characters below which two equal values may be a coincidence."""

_SETTINGS = ("image", "containerPort", "cpu", "memory", "cpuArchitecture")
_PARTS = {"source": str, "family": str, "container": str, "steps": list, "elsewhere": dict, "settings": dict}
_HOSTS = {"DATABASE_HOST": "databaseHost", "REDIS_HOST": "redisHost"}


class PlanError(ValueError):
    """The plan's file is no plan, or no longer fits its source."""


@dataclass(frozen=True)
class Step:
    """Where one variable, or one key of a variable that holds JSON, goes.

    Attributes:
        variable: The variable of the old task definition.
        json_key: The key in its JSON, None for the whole value.
        verdict: See Verdict.
        why: The reason, for people.
        config_key: What to set in the stack's configuration, None when nothing is (`set` names an external secret).
        secret: The catalogue's name of the secret that gets the value.
        secret_key: The JSON key in that secret.
    """

    variable: str
    json_key: str | None
    verdict: Verdict
    why: str
    config_key: str | None = None
    secret: str | None = None
    secret_key: str | None = None

    @property
    def name(self) -> str:
        """What the step is called: `APP_CONFIG` or `APP_CONFIG.API_KEY`."""
        return self.variable if self.json_key is None else f"{self.variable}.{self.json_key}"

    @property
    def can_be_plain(self) -> bool:
        """Whether the value may become a plain variable, should the operator decide so."""
        return self.secret is None and self.json_key is None and self.config_key == _plain_key(self.variable)

    @property
    def goes_to(self) -> str:
        """Where the value goes, in a few words."""
        match self.verdict:
            case "secret":
                return f"{self.secret}{f' key {self.secret_key}' if self.secret_key else ''}"
            case "plain":
                return f"plain variable ({self.config_key})"
            case "undecided":
                return "nowhere yet"
            case "drop":
                return "left out"


@dataclass(frozen=True)
class Plan:
    """A plan.

    Attributes:
        source: The old task definition: a file's absolute path, or an ARN with its revision.
        family: Its family.
        container: The container whose variables move.
        steps: One for each variable or JSON key.
        elsewhere: Where else the old task definition seems to hold secrets, with the reason.
        settings: Further configuration that follows from the old one (image, sizes, port), by key.
    """

    source: str
    family: str
    container: str
    steps: tuple[Step, ...]
    elsewhere: Mapping[str, str]
    settings: Mapping[str, str]

    def undecided(self) -> list[Step]:
        """Return the steps that need a decision before the plan can be applied."""
        return [step for step in self.steps if step.verdict == "undecided"]

    def differences(self, fresh: "Plan") -> list[str]:
        """Return the names of what differs, beside the verdicts, from a plan that was just made from the same source."""
        ours, theirs = (Counter(replace(step, verdict="drop") for step in plan.steps) for plan in (self, fresh))
        changed = {step.name for step in (ours - theirs) + (theirs - ours)}
        parts = ("family", "container", "elsewhere", "settings")
        return [*sorted(changed), *(name for name in parts if getattr(self, name) != getattr(fresh, name))]

    def save(self, path: Path) -> None:
        """Write the plan as JSON."""
        document = {"format": FORMAT, "version": VERSION, **asdict(self)}
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: Path) -> Plan:
    """Return the plan in a file. Whether it still fits its source, `_source.reread` tells.

    Raises:
        PlanError: When it is no plan of this version, or an edit left it without sense.
    """
    if not path.exists():
        raise PlanError(f"there is no plan {path}: python -m ops migrate scan ... --to {path}")
    try:
        document: Any = read_json(path)
    except ValueError as error:
        raise PlanError(str(error)) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT or document.get("version") != VERSION:
        raise PlanError(f"{path} is no migration plan of version {VERSION}: scan again")
    plan = _parsed(cast("Mapping[str, Any]", document))
    if plan is None:
        raise PlanError(f"{path} has been changed in more than its verdicts: scan again")
    for step in plan.steps:
        if wrong := _wrong_verdict(step):
            raise PlanError(f"{path}: {wrong}")
    return plan


def _parsed(document: Mapping[str, Any]) -> Plan | None:
    """Return the plan in a document, None when a part is missing, unknown or of another type than `save` writes."""
    parts: dict[str, Any] = {name: document.get(name) for name in _PARTS}
    if not all(isinstance(parts[name], kind) for name, kind in _PARTS.items()):
        return None
    texts = (*parts["elsewhere"].values(), *parts["settings"].values())
    known = all(isinstance(text, str) for text in texts) and set(parts["settings"]) <= set(_SETTINGS)
    if not known or not all(_is_step(step) for step in parts["steps"]):
        return None
    steps = tuple(Step(**step) for step in parts.pop("steps"))
    return Plan(steps=steps, **parts)


def _is_step(step: Any) -> bool:
    may_be_none = {"json_key", "config_key", "secret", "secret_key"}
    return (
        isinstance(step, dict)
        and set(cast("dict[str, Any]", step)) == {field.name for field in fields(Step)}
        and all(isinstance(step[name], str) or (step[name] is None and name in may_be_none) for name in step)
    )


def _wrong_verdict(step: Step) -> str | None:
    if step.verdict not in get_args(Verdict):
        return f"the verdict of {step.name} is one of {', '.join(get_args(Verdict))}"
    if step.verdict == "secret" and step.secret is None:
        return f"{step.name} has no place in catalogue.py yet: add one and scan again"
    if step.verdict == "plain" and step.secret is not None:
        return f"{step.name} is a secret of the catalogue and can be no plain variable"
    if step.verdict == "plain" and not step.can_be_plain:
        return f"{step.name} can be no plain variable: it {step.why}"
    return None


def make(
    task_definition: TaskDefinition, container: Container, values: Mapping[str, str], catalogue: Catalogue
) -> Plan:
    """Return the plan for a task definition.

    Args:
        task_definition: The old one.
        container: The container of the application.
        values: The values of all its variables, plain ones and resolved references.
        catalogue: The declared secrets.
    """
    places = _places(catalogue)
    steps = [step for variable in sorted(values) for step in _steps(variable, values[variable], places)]
    return Plan(
        source=task_definition.source,
        family=task_definition.family,
        container=container.name,
        steps=tuple(_with_shared_values(steps, values)),
        elsewhere=dict(_elsewhere(task_definition, container)),
        settings=_settings(task_definition, container),
    )


def value_of(step: Step, values: Mapping[str, str]) -> str:
    """Return a step's value.

    Raises:
        PlanError: When the source no longer has it.
    """
    value = values.get(step.variable)
    if value is not None and step.json_key is not None:
        value = (json_object(value) or {}).get(step.json_key)
    if value is None:
        raise PlanError(f"the source no longer has {step.name}: scan again")
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class _Place:
    secret: str
    key: str | None
    config_key: str | None
    why: str


def _places(catalogue: Catalogue) -> dict[str, "_Place | JsonSecret"]:
    """Return where the catalogue puts a variable; a JSON secret itself for the variable that holds the whole JSON."""
    places: dict[str, _Place | JsonSecret] = {}
    for declaration in catalogue:
        if isinstance(declaration, JsonSecret) and not isinstance(declaration.keys, External):
            for key, source in declaration.keys.items():
                places.setdefault(key, _place(declaration.name, key, source))
        for variable, key in declaration.references():
            if not isinstance(declaration, JsonSecret):
                places[variable] = _place(declaration.name, None, declaration.source)
            elif isinstance(declaration.keys, External):
                places[variable] = _place(declaration.name, key, declaration.keys)
            else:
                places[variable] = declaration if key is None else _place(declaration.name, key, declaration.keys[key])
    return places


def _place(secret: str, key: str | None, source: Generated | Supplied | Constant | External) -> _Place:
    config_key = source.config_key if isinstance(source, Generated | Supplied) else None
    return _Place(
        secret, key, config_key, "is in the catalogue" if config_key else "is in the catalogue, set by `ops set`"
    )


def _steps(variable: str, value: str, places: Mapping[str, _Place | JsonSecret]) -> Iterator[Step]:
    place = places.get(variable)
    if isinstance(place, _Place):
        yield Step(variable, None, "secret", place.why, place.config_key, place.secret, place.key)
    elif isinstance(place, JsonSecret) and (content := json_object(value)) is not None:
        for key in sorted(content):
            yield _json_step(place, variable, key)
    elif not value:
        # To the configuration an empty value is none, so that `apply` could not set it.
        yield Step(variable, None, "drop", "is empty")
    elif place is not None:
        yield Step(variable, None, "undecided", "is no JSON object, which the catalogue takes it for")
    else:
        refused = why_refused(variable, value)
        why = why_secret(variable, value) or refused
        fine = "is a setting of the program" if variable in _HOSTS else "nothing speaks for a secret"
        config_key = None if refused else _plain_key(variable)
        yield Step(variable, None, "undecided" if why else "plain", why or fine, config_key)


def _plain_key(variable: str) -> str:
    """Return what a plain variable is in the configuration."""
    return _HOSTS.get(variable) or property_path("environment", variable)


def _json_step(declaration: JsonSecret, variable: str, key: str) -> Step:
    source = cast("Mapping[str, Any]", declaration.keys).get(key)
    if source is None:
        return Step(variable, key, "undecided", f"is no key of {declaration.name} in the catalogue")
    place = _place(declaration.name, key, source)
    return Step(variable, key, "secret", place.why, place.config_key, place.secret, place.key)


def _with_shared_values(steps: Iterable[Step], values: Mapping[str, str]) -> Iterator[Step]:
    """Yield the steps, undecided where a plain value holds a secret's or two secrets of one place differ."""
    steps = list(steps)
    secrets = {step: value_of(step, values) for step in steps if step.verdict == "secret"}
    by_place: dict[tuple[str | None, str | None], str] = {}
    for step in steps:
        place = (step.secret, step.secret_key)
        if step.verdict == "plain":
            value = value_of(step, values)
            shared = [s.name for s, v in secrets.items() if len(v) >= _MIN_SHARED_CHARACTERS and v in value]
            if shared:
                yield Step(
                    step.variable, step.json_key, "undecided", f"holds the value of {shared[0]}", step.config_key
                )
                continue
        elif step.verdict == "secret" and by_place.setdefault(place, secrets[step]) != secrets[step]:
            why = f"differs from another variable that goes to {step.goes_to}"
            yield Step(step.variable, step.json_key, "undecided", why, step.config_key, step.secret, step.secret_key)
            continue
        yield step


def _elsewhere(task_definition: TaskDefinition, chosen: Container) -> Iterator[tuple[str, str]]:
    for container in task_definition.containers:
        for where, text in container.texts.items():
            if why := why_text_is_secret(text):
                yield f"container {container.name}, {where}", why
        for variable, value in container.plain.items() if container is not chosen else ():
            if why := why_secret(variable, value):
                yield f"container {container.name}, environment.{variable}", why
        for file in container.environment_files:
            why = "has variables that are not read: move them by hand"
            yield f"container {container.name}, environmentFiles: {file}", why


def _settings(task_definition: TaskDefinition, container: Container) -> dict[str, str]:
    port = str(container.port or "")
    found = (container.image, port, task_definition.cpu, task_definition.memory, task_definition.architecture)
    return {key: value for key, value in zip(_SETTINGS, found, strict=True) if value}


def proposal(step: Step) -> str:
    """Return the lines of catalogue.py that would give an undecided variable a place."""
    name = step.json_key or step.variable
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    config_key = "".join([words[0].lower(), *(word.capitalize() for word in words[1:])]) if words else name
    return f'"{name}": Supplied("{config_key}")'
