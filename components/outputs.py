"""The stack's outputs: the contract with other stacks, with `ops`, the sandbox and the tests.

No output holds a secret's value, so a stack that reads them stays free of secrets.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar, cast

from components.location import Location
from components.names import Names
from components.references import parse_value_from

Text = TypeVar("Text")
"""`str`, or an output of one while Pulumi runs."""


class OutputsError(ValueError):
    """These are not the outputs of a deployed stack of this program. The message says what is missing or wrong."""


@dataclass(frozen=True)
class Service(Generic[Text]):
    """The parts of one service.

    Attributes:
        execution_role_arn: The role that ECS assumes to start a task; the only one that reads the service's secrets for it.
        task_role_arn: The role of the running application; it has no permissions.
        task_definition_arn: The task definition with its revision.
        task_definition_family: The task definition's family.
        log_group_name: Where the container writes its log.
        container_secrets: The `valueFrom` by container variable.
    """

    execution_role_arn: Text
    task_role_arn: Text
    task_definition_arn: Text
    task_definition_family: Text
    log_group_name: Text
    container_secrets: Mapping[str, Text]


@dataclass(frozen=True)
class Part:
    """The source of one value of a secret: a JSON key's, or a text's.

    Attributes:
        kind: `generated`, `supplied`, `constant`, or `external` for a value that Pulumi does not set.
        config_key: The configuration key that sets it, None if no key does.
        number: The number of a generated value; `rotations.<config_key>` requests the next one.
        accepted_by: The system that also checks the value (components/acceptance.py), None when only the application does.
    """

    kind: str
    config_key: str | None = None
    number: int = 1
    accepted_by: Mapping[str, str] | None = None


STACK, ADOPTED = "stack", "adopted"
"""The owner of a secret that the stack created, and of one that it adopted. Every other owner is foreign."""


@dataclass(frozen=True)
class Secret(Generic[Text]):
    """One secret.

    Attributes:
        arn: Its full ARN.
        full_name: Its name in AWS Secrets Manager.
        owner: `stack`, `adopted`, or the owner of a foreign secret, such as `Amazon RDS`.
        region: Its Region. Only a foreign secret can be in another Region or account than the stack.
        json: Whether its value is a JSON object.
        parts: The sources of its values by JSON key, "" for a text. Empty if the keys are not declared.
        kms_key_arn: Its customer-managed key, None for AWS's own.
    """

    arn: Text
    full_name: str
    owner: str
    region: str
    json: bool
    parts: Mapping[str, Part]
    kms_key_arn: Text | None = None

    @property
    def foreign(self) -> bool:
        """Whether the stack neither created nor adopted it."""
        return self.owner not in {STACK, ADOPTED}


@dataclass(frozen=True)
class Outputs(Generic[Text]):
    """One stack's outputs; the fields' names are the outputs' names.

    Attributes:
        environment: The stack's name, such as `prod`.
        secret_arns: Full ARN of each secret that the stack created or adopted, by its name in the catalogue.
        secrets: Every secret by its name in the catalogue, foreign ones included.
        services: The parts of each service, by its name in the catalogue.
        monthly_cost_usd: The monthly cost of the stack's fixed parts in USD; `python -m ops cost` lists the items.
        kms_key_arn: The stack's customer-managed key, when `encryption` asks for one.
        alarm_topic_arn: Where alarms are published, when `audit` is on.
        replica_regions: Regions in which each secret that the stack created has a replica.
    """

    environment: str
    secret_arns: Mapping[str, Text]
    secrets: Mapping[str, Secret[Text]]
    services: Mapping[str, Service[Text]]
    monthly_cost_usd: float
    kms_key_arn: Text | None = None
    alarm_topic_arn: Text | None = None
    replica_regions: Sequence[str] = ()

    def exports(self) -> Iterator[tuple[str, Any]]:
        """Yield each output's name and value, as `pulumi.export` takes them."""
        for output in fields(self):
            value = getattr(self, output.name)
            if output.name == "services":
                value = {name: vars(service) for name, service in self.services.items()}
            if output.name == "secrets":
                value = {
                    name: vars(secret) | {"parts": {key: vars(part) for key, part in secret.parts.items()}}
                    for name, secret in self.secrets.items()
                }
            yield output.name, value


NAMES = tuple(output.name for output in fields(Outputs))
"""Every output's name."""

_REQUIRED = ("environment", "secret_arns", "secrets", "services")
_ARN_FIELDS = 6


def parse(raw: Mapping[str, Any]) -> Outputs[str]:
    """Return a deployed stack's outputs. Unknown outputs are ignored.

    Args:
        raw: Output values by name, as `pulumi stack output --json` prints them.

    Raises:
        OutputsError: When an output is missing or has another type, an ARN is in another account, partition or Region than the
            stack, or a secret belongs to another stack.
    """
    # Pulumi leaves null outputs out of the state, so an absent one means null.
    missing = [name for name in _REQUIRED if raw.get(name) is None]
    if missing:
        raise OutputsError(f"no output {', '.join(missing)}")
    services = {name: _service(name, value) for name, value in _mapping(raw, "services").items()}
    if not services:
        raise OutputsError("services is empty")
    cost = raw.get("monthly_cost_usd", 0)
    if not isinstance(cost, int | float):
        raise OutputsError("monthly_cost_usd is not a number")
    outputs = Outputs(
        environment=_text(raw, "environment"),
        secret_arns=_texts(raw, "secret_arns"),
        secrets={name: _secret(name, value) for name, value in _mapping(raw, "secrets").items()},
        services=services,
        monthly_cost_usd=float(cost),
        kms_key_arn=_optional_text(raw, "kms_key_arn"),
        alarm_topic_arn=_optional_text(raw, "alarm_topic_arn"),
        replica_regions=_optional_list(raw, "replica_regions") or (),
    )
    own = {name: secret.arn for name, secret in outputs.secrets.items() if not secret.foreign}
    if differing := sorted({*outputs.secret_arns.items()} ^ {*own.items()}):
        raise OutputsError(
            f"secret_arns and secrets disagree about {', '.join(dict.fromkeys(n for n, _ in differing))}"
        )
    _check_places(outputs)
    _check_names(outputs)
    return outputs


def home_of(outputs: Outputs[str]) -> Location:
    """Return where the stack lives, as its own ARNs say."""
    first = next(iter(outputs.services.values())).task_definition_arn
    return _home("task_definition_arn", first)


def names_of(outputs: Outputs[Any]) -> Names:
    """Return the names of the stack's resources."""
    service, first = next(iter(outputs.services.items()))
    prefix = str(first.task_definition_family).removesuffix(f"-{service}")
    return Names(prefix.removesuffix(f"-{outputs.environment}"), outputs.environment)


def _check_places(outputs: Outputs[str]) -> None:
    """Refuse an ARN outside the stack's account and Region: a tool would send a value there, or read one from there."""
    home = home_of(outputs)
    # A container can read a foreign secret; a secret of the stack is never foreign, whatever the same file says.
    foreign = {secret.arn for secret in outputs.secrets.values() if secret.foreign} - {*outputs.secret_arns.values()}
    for label, arn in _arns(outputs):
        place = _home(label, arn)
        # IAM has no Regions.
        expected = Location(home.partition, place.region and home.region, home.account_id)
        if place != expected and arn not in foreign:
            where = f"{place.partition}, account {place.account_id}, Region {place.region or 'none'}"
            raise OutputsError(f"{label} is in {where}; the stack is in account {home.account_id}, {home.region}")


def _check_names(outputs: Outputs[str]) -> None:
    """Refuse a secret of another stack: a secret that the stack created has its prefix, and every ARN has its secret's name.

    Adopted and foreign secrets have other names; the outputs mark them as such.
    """
    names = names_of(outputs)
    for name, secret in outputs.secrets.items():
        if secret.owner == STACK and secret.full_name != names.secret(name):
            own = names.secret(name)
            raise OutputsError(f"secrets.{name} is {secret.full_name}, which the stack did not adopt; its own is {own}")
        found = secret.arn.split(":", 6)[-1]
        if not secret.foreign and not re.fullmatch(re.escape(secret.full_name) + r"-\w{6}", found):
            raise OutputsError(
                f"secrets.{name}.arn is the ARN of {found.rpartition('-')[0] or found}, not of {secret.full_name}"
            )
    known = {secret.arn for secret in outputs.secrets.values()}
    for name, service in outputs.services.items():
        for variable, value_from in service.container_secrets.items():
            if (arn := parse_value_from(value_from).arn) not in known:
                raise OutputsError(f"services.{name}.container_secrets.{variable} reads {arn}, which is not in secrets")


def _arns(outputs: Outputs[str]) -> Iterator[tuple[str, str]]:
    for name, arn in outputs.secret_arns.items():
        yield f"secret_arns.{name}", arn
    for name, service in outputs.services.items():
        yield f"services.{name}.execution_role_arn", service.execution_role_arn
        yield f"services.{name}.task_role_arn", service.task_role_arn
        yield f"services.{name}.task_definition_arn", service.task_definition_arn
        for variable, value_from in service.container_secrets.items():
            try:
                yield f"services.{name}.container_secrets.{variable}", parse_value_from(value_from).arn
            except ValueError:
                raise OutputsError(f"services.{name}.container_secrets.{variable} is not a valueFrom") from None
    for label, arn in (("kms_key_arn", outputs.kms_key_arn), ("alarm_topic_arn", outputs.alarm_topic_arn)):
        if arn is not None:
            yield label, arn


def _home(label: str, arn: str) -> Location:
    parts = arn.split(":")
    if parts[0] != "arn" or len(parts) < _ARN_FIELDS:
        raise OutputsError(f"{label} is not an ARN")
    return Location(parts[1], parts[3], parts[4])


def _secret(name: str, raw: object) -> Secret[str]:
    try:
        found = _object(raw)
        parts = {key: _part(key, value) for key, value in _mapping(found, "parts").items()}
        return Secret(
            arn=_text(found, "arn"),
            full_name=_text(found, "full_name"),
            owner=_text(found, "owner"),
            region=_text(found, "region"),
            json=found.get("json") is True,
            parts=parts,
            kms_key_arn=_optional_text(found, "kms_key_arn"),
        )
    except OutputsError as error:
        raise OutputsError(f"secrets.{name}: {error}") from None


def _part(key: str, raw: object) -> Part:
    try:
        found = _object(raw)
        return Part(
            _text(found, "kind"),
            _optional_text(found, "config_key"),
            _number(found, "number"),
            _texts(found, "accepted_by") if found.get("accepted_by") else None,
        )
    except OutputsError as error:
        raise OutputsError(f"parts.{key}: {error}") from None


def _number(raw: Mapping[str, Any], name: str) -> int:
    value = raw.get(name, 1)
    if not isinstance(value, int | float):
        raise OutputsError(f"{name} is not a number")
    return int(value)


def _object(raw: object) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise OutputsError("is not an object")
    return cast("dict[str, Any]", raw)


def _service(name: str, raw: object) -> Service[str]:
    try:
        found = _object(raw)
        texts = {f.name: _text(found, f.name) for f in fields(Service) if f.name != "container_secrets"}
        return Service(**texts, container_secrets=_texts(found, "container_secrets"))
    except OutputsError as error:
        raise OutputsError(f"services.{name}: {error}") from None


def _mapping(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = raw.get(name)
    if not isinstance(value, dict):
        raise OutputsError(f"{name} is {'missing' if value is None else 'not an object'}")
    return cast("dict[str, Any]", value)


def _texts(raw: Mapping[str, Any], name: str) -> dict[str, str]:
    found = _mapping(raw, name)
    if not all(isinstance(value, str) for value in found.values()):
        raise OutputsError(f"{name} holds something other than text")
    return found


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str):
        raise OutputsError(f"{name} is {'missing' if value is None else 'not text'}")
    return value


def _optional_text(raw: Mapping[str, Any], name: str) -> str | None:
    return None if raw.get(name) is None else _text(raw, name)


def _optional_list(raw: Mapping[str, Any], name: str) -> list[str] | None:
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[Any]", value)):
        raise OutputsError(f"{name} is not a list of texts")
    return cast("list[str]", value)
