"""The stack's outputs: the contract with other stacks, with `ops`, the sandbox and the tests.

No output ever holds a secret's value, so that a stack that reads them stays free of secrets.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar, cast

from components.names import Names
from components.references import parse_value_from

Text = TypeVar("Text")
"""`str`, or what becomes one while Pulumi runs."""


class OutputsError(ValueError):
    """These are not the outputs of a deployed stack of this program. The message names what is missing or wrong."""


@dataclass(frozen=True)
class Service(Generic[Text]):
    """What one service is started with.

    Attributes:
        execution_role_arn: The role that ECS assumes to start a task; the only one that reads the service's secrets for it.
        task_role_arn: The role that the running application has; it has no permission.
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
class Outputs(Generic[Text]):
    """One stack's outputs; the fields' names are the outputs' names.

    Attributes:
        environment: The stack's name, such as `prod`.
        secret_arns: Full ARN of each secret by its name in the catalogue.
        secret_names: Full name of each secret by its name in the catalogue.
        services: What each service is started with, by its name in the catalogue.
        monthly_cost_usd: What the stack's fixed parts cost in USD a month; `python -m ops cost` has the items.
        kms_key_arn: The customer-managed key, when `encryption` asks for one.
        alarm_topic_arn: Where alarms and notices are published, when `audit` is on.
        foreign_secret_arns: Full ARN of each secret that somebody else owns, by its name in the catalogue. Only these may
            be in another account or Region.
        secret_kms_key_arns: Customer-managed key of each adopted or foreign secret that has one, by its name in the catalogue.
        replica_regions: Regions that the configuration gives a replica of each of the stack's own secrets; None for a stack of an
            earlier version, which does not say.
    """

    environment: str
    secret_arns: Mapping[str, Text]
    secret_names: Mapping[str, str]
    services: Mapping[str, Service[Text]]
    monthly_cost_usd: float
    kms_key_arn: Text | None = None
    alarm_topic_arn: Text | None = None
    foreign_secret_arns: Mapping[str, Text] = field(default_factory=dict[str, Any])
    secret_kms_key_arns: Mapping[str, Text] = field(default_factory=dict[str, Any])
    replica_regions: Sequence[str] | None = None

    def exports(self) -> Iterator[tuple[str, Any]]:
        """Yield each output's name and value, as `pulumi.export` takes them."""
        for output in fields(self):
            value = getattr(self, output.name)
            if output.name == "services":
                value = {name: vars(service) for name, service in self.services.items()}
            yield output.name, value


NAMES = tuple(output.name for output in fields(Outputs))
"""Every output's name."""

_REQUIRED = ("environment", "secret_arns", "secret_names", "services")
_ARN_FIELDS = 6


@dataclass(frozen=True)
class Home:
    """The partition, Region and account that a stack lives in, as its own ARNs say."""

    partition: str
    region: str
    account: str


def parse(raw: Mapping[str, Any]) -> Outputs[str]:
    """Return a deployed stack's outputs. What this version does not know is ignored.

    Args:
        raw: Output values by name, as `pulumi stack output --json` prints them.

    Raises:
        OutputsError: When an output is missing or of another kind, or an ARN is of another account, partition or Region
            than the stack's.
    """
    # Pulumi leaves an output that is null out of the state, so that an absent one means null.
    missing = [name for name in _REQUIRED if raw.get(name) is None]
    if missing:
        raise OutputsError(f"no output {', '.join(missing)}")
    services = {name: _service(name, value) for name, value in _mapping(raw, "services").items()}
    if not services:
        raise OutputsError("services is empty")
    cost = raw.get("monthly_cost_usd", 0)
    if not isinstance(cost, int | float):
        raise OutputsError("monthly_cost_usd is no number")
    outputs = Outputs(
        environment=_text(raw, "environment"),
        secret_arns=_texts(raw, "secret_arns"),
        secret_names=_texts(raw, "secret_names"),
        services=services,
        monthly_cost_usd=float(cost),
        kms_key_arn=_optional_text(raw, "kms_key_arn"),
        alarm_topic_arn=_optional_text(raw, "alarm_topic_arn"),
        foreign_secret_arns=_texts(raw, "foreign_secret_arns") if raw.get("foreign_secret_arns") else {},
        secret_kms_key_arns=_texts(raw, "secret_kms_key_arns") if raw.get("secret_kms_key_arns") else {},
        replica_regions=_optional_list(raw, "replica_regions"),
    )
    if lacking := sorted(outputs.secret_arns.keys() - outputs.secret_names.keys()):
        raise OutputsError(f"secret_names lacks {', '.join(lacking)}")
    _check_places(outputs)
    return outputs


def home_of(outputs: Outputs[str]) -> Home:
    """Return where the stack lives."""
    first = next(iter(outputs.services.values())).task_definition_arn
    return _home("task_definition_arn", first)


def names_of(outputs: Outputs[Any]) -> Names:
    """Return the names of the stack's resources."""
    service, first = next(iter(outputs.services.items()))
    prefix = str(first.task_definition_family).removesuffix(f"-{service}")
    return Names(prefix.removesuffix(f"-{outputs.environment}"), outputs.environment)


def _check_places(outputs: Outputs[str]) -> None:
    """Refuse an ARN that is not where the stack is: a tool would send a value there, or read one from there."""
    home = home_of(outputs)
    # What a container reads may be somebody else's; a secret of the stack's own never is, whatever the same file says.
    foreign = set(outputs.foreign_secret_arns.values()) - set(outputs.secret_arns.values())
    for label, arn in _arns(outputs):
        place = _home(label, arn)
        # IAM has no Regions.
        expected = Home(home.partition, place.region and home.region, home.account)
        if place != expected and arn not in foreign:
            where = f"{place.partition}, account {place.account}, Region {place.region or 'none'}"
            raise OutputsError(f"{label} is in {where}; the stack is in account {home.account}, {home.region}")


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
                raise OutputsError(f"services.{name}.container_secrets.{variable} is no valueFrom") from None
    for label, arn in (("kms_key_arn", outputs.kms_key_arn), ("alarm_topic_arn", outputs.alarm_topic_arn)):
        if arn is not None:
            yield label, arn


def _home(label: str, arn: str) -> Home:
    parts = arn.split(":")
    if parts[0] != "arn" or len(parts) < _ARN_FIELDS:
        raise OutputsError(f"{label} is no ARN")
    return Home(parts[1], parts[3], parts[4])


def _service(name: str, raw: object) -> Service[str]:
    if not isinstance(raw, dict):
        raise OutputsError(f"services.{name} is no object")
    found = cast("dict[str, Any]", raw)
    try:
        texts = {f.name: _text(found, f.name) for f in fields(Service) if f.name != "container_secrets"}
        return Service(**texts, container_secrets=_texts(found, "container_secrets"))
    except OutputsError as error:
        raise OutputsError(f"services.{name}: {error}") from None


def _mapping(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = raw.get(name)
    if not isinstance(value, dict):
        raise OutputsError(f"{name} is {'missing' if value is None else 'no object'}")
    return cast("dict[str, Any]", value)


def _texts(raw: Mapping[str, Any], name: str) -> dict[str, str]:
    found = _mapping(raw, name)
    if not all(isinstance(value, str) for value in found.values()):
        raise OutputsError(f"{name} holds something else than text")
    return found


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str):
        raise OutputsError(f"{name} is {'missing' if value is None else 'no text'}")
    return value


def _optional_text(raw: Mapping[str, Any], name: str) -> str | None:
    return None if raw.get(name) is None else _text(raw, name)


def _optional_list(raw: Mapping[str, Any], name: str) -> list[str] | None:
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[Any]", value)):
        raise OutputsError(f"{name} is no list of texts")
    return cast("list[str]", value)
