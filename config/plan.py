"""Prints the plan of a stack as JSON, without a value: `python -m config.plan --stack prod`.

Tools that must not import the catalogue read this: the recovery of a stack without a state, the migration, the sandbox. It
needs `catalogue.py`, `Pulumi.yaml` and the stack's file; it calls neither Pulumi nor AWS, and an incomplete configuration
is enough. `Plan` describes the format.
"""

import argparse
import importlib
import json
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast

import yaml

from components.names import Names, key_description
from config import declarations
from config.declarations import Application, Entry, External, ForeignSecret, Generated, JsonSecret, Source
from config.parts import WHOLE, part_of, sources_of

SCHEMA = 1
"""Increased when a field changes its meaning or is removed, but not for a new field."""

_T = TypeVar("_T")
_ARN = re.compile(r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:\S+")


class PartPlan(TypedDict):
    """One part of a secret's value. `number` is the generation that the configuration asks for, `length` in characters.

    `accepted_by` is `{"server": NAME, "host": VARIABLE}`, `{"partner": NAME}`, or None when only the application checks it.
    """

    kind: str
    config_key: str | None
    number: int
    keeps_previous: bool
    length: int | None
    accepted_by: dict[str, str] | None


class SecretPlan(TypedDict):
    """One entry of the catalogue.

    `owner` is `stack`, `adopted` or the name of a foreign secret's owner; `adopt_arn` and `foreign_arn` are the ARNs that
    the configuration gives. `parts` has the declared sources by JSON key, `WHOLE` for a text; an adopted secret keeps its
    value. `rotated` is true when a function changes the value.
    """

    full_name: str | None
    owner: str
    adopt_arn: str | None
    foreign_arn: str | None
    rotated: bool
    json: bool
    variable: str | None
    parts: dict[str, PartPlan]


class ReferencePlan(TypedDict):
    """The source of a container variable: the secret's name in the catalogue, and its JSON key, or None for the whole value."""

    secret: str
    key: str | None


class ServicePlan(TypedDict):
    """The fixed names of one service, and its container variables that are secrets."""

    family: str
    execution_role: str
    task_role: str
    log_group: str
    container_secrets: dict[str, ReferencePlan]


class VariablePlan(TypedDict):
    """A plain variable that every stack sets; `readers` None is every service."""

    config_key: str
    readers: list[str] | None


class NamesPlan(TypedDict):
    """Fixed names of the whole stack. The description identifies its KMS key when the alias is gone."""

    prefix: str
    key_alias: str
    key_description: str
    rotation: str


class Plan(TypedDict):
    """The plan of a stack.

    `secret_config_keys` has the configuration keys of every stack's secrets, which the CLI must encrypt; `secret_variables` the
    container variables that get one in any stack.
    """

    schema: int
    project: str
    stack: str
    region: str | None
    account_ids: list[str]
    secrets: dict[str, SecretPlan]
    services: dict[str, ServicePlan]
    variables: dict[str, VariablePlan]
    secret_config_keys: list[str]
    secret_variables: list[str]
    names: NamesPlan


def plan(application: Application, names: Names, config: Mapping[str, Any]) -> Plan:
    """Return the plan of a stack.

    Args:
        application: What the catalogue declares.
        names: The stack's names.
        config: The `config:` part of the stack's file, keys with their namespace; invalid values count as absent, because
            `pulumi preview` reports them.
    """
    own = {key.removeprefix(f"{names.project}:"): value for key, value in config.items()}
    entries: list[Entry] = [*application.catalogue(names.stack), *application.foreign(names.stack)]
    return Plan(
        schema=SCHEMA,
        project=names.project,
        stack=names.stack,
        region=_text(config.get("aws:region")),
        account_ids=[str(number) for number in _parsed(config.get("aws:allowedAccountIds"), list)],
        secrets={entry.name: _secret(entry, names, own) for entry in entries},
        services={
            service.name: ServicePlan(
                family=names.service(service.name).family,
                execution_role=names.service(service.name).execution_role,
                task_role=names.service(service.name).task_role,
                log_group=names.service(service.name).log_group,
                container_secrets={
                    variable: ReferencePlan(secret=entry.name, key=key)
                    for variable, (entry, key) in declarations.references_of(entries, service.name).items()
                },
            )
            for service in application.services
        },
        variables={
            variable.name: VariablePlan(
                config_key=variable.config_key,
                readers=None if variable.readers is None else sorted(variable.readers),
            )
            for variable in application.variables
        },
        secret_config_keys=list(declarations.secret_config_keys(application.every_secret())),
        secret_variables=sorted({v for secret in application.every_secret() for v, _ in secret.references()}),
        names=NamesPlan(
            prefix=names.prefix,
            key_alias=f"alias/{names.prefix}",
            key_description=key_description(names.prefix),
            rotation=names.rotation,
        ),
    )


def main() -> None:
    """Print the plan of a stack of the project in the current directory."""
    parser = argparse.ArgumentParser(prog="python -m config.plan", description="Print a stack's plan, without a value.")
    parser.add_argument("--stack", required=True, help="the stack's name, without organisation and project")
    parser.add_argument("--config-file", type=Path, help="the stack's file, by default Pulumi.STACK.yaml")
    arguments = parser.parse_args()
    stack: str = arguments.stack
    file: Path = arguments.config_file or Path(f"Pulumi.{stack}.yaml")
    try:
        project, config = _yaml(Path("Pulumi.yaml")).get("name"), _yaml(file).get("config")
    except OSError as error:
        parser.error(f"{error.filename} can't be read: {error.strerror}")
    except yaml.YAMLError as error:
        # Without the parser's quote of the line, which might hold a value.
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        parser.error(f"{file} or Pulumi.yaml is not valid YAML" + (f", line {line + 1}" if line is not None else ""))
    if not Path("catalogue.py").is_file():
        # Not another program's, by way of PYTHONPATH.
        parser.error("there is no catalogue.py here")
    try:
        application: Application = importlib.import_module("catalogue").APPLICATION
        found = plan(application, Names(str(project), stack), config if isinstance(config, dict) else {})
    except Exception as error:  # noqa: BLE001 - a catalogue is anybody's code
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename.endswith("catalogue.py")]
        place = f" (line {lines[-1]})" if lines else ""
        hint = "; import it at the top" if isinstance(error, NameError) else ""
        sys.exit(f"catalogue.py can't be read: {type(error).__name__}: {error}{place}{hint}")
    print(json.dumps(found, indent=2))  # noqa: T201 - what the command is for


def _secret(entry: Entry, names: Names, config: Mapping[str, Any]) -> SecretPlan:
    foreign = isinstance(entry, ForeignSecret)
    adopt = _parsed(config.get("adopt"), dict)
    rotation = _parsed(config.get("rotation"), dict)
    given = _parsed(config.get("foreignSecrets"), dict).get(entry.name) if foreign else adopt.get(entry.name)
    arn = given if isinstance(given, str) and _ARN.fullmatch(given) else None
    return SecretPlan(
        full_name=None if foreign else names.secret(entry.name),
        owner=entry.owner if foreign else "adopted" if entry.name in adopt else "stack",
        adopt_arn=None if foreign else arn,
        foreign_arn=arn if foreign else None,
        rotated=not foreign and rotation.get("secret") == entry.name,
        json=bool(isinstance(entry, JsonSecret) or (foreign and (entry.keys or entry.variables))),
        variable=entry.variable,
        parts=_parts(entry, _numbers(config)),
    )


def _parts(entry: Entry, numbers: Mapping[str, int]) -> dict[str, PartPlan]:
    return {key: _part(source, numbers) for key, source in (sources_of(entry) or {WHOLE: External()}).items()}


def _part(source: Source, numbers: Mapping[str, int]) -> PartPlan:
    part = part_of(source, numbers)
    return PartPlan(
        kind=part.kind,
        config_key=part.config_key,
        number=part.number,
        keeps_previous=isinstance(source, Generated) and bool(source.keeps_previous),
        length=source.length if isinstance(source, Generated) else None,
        accepted_by=None if part.accepted_by is None else dict(part.accepted_by),
    )


def _numbers(config: Mapping[str, Any]) -> dict[str, int]:
    given = _parsed(config.get("rotations"), dict)
    return {key: int(value) for key, value in given.items() if re.fullmatch(r"\d{1,6}", str(value))}


def _parsed(value: Any, kind: type[_T]) -> _T:
    """Return an array or object, or an empty one for anything else. `pulumi config set` writes JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    return value if isinstance(value, kind) else kind()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _yaml(path: Path) -> dict[str, Any]:
    # libyaml's loader, if it is built in, is ten times faster.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader either way
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


if __name__ == "__main__":
    main()
