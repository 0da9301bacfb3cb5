"""Gathers the content of the report. No value is read."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from components import pricing
from components.references import CURRENT, parse_value_from
from ops import cost
from ops._aws import Aws
from ops._errors import AwsError, aws_errors, told
from ops._ownership import ownership
from ops._restoring import list_versions
from ops._secrets import Record
from ops._stack import Stack
from ops.access import show
from ops.access.gather import gather as gather_access
from ops.access.gather import trail_of
from ops.access.judge import Report, judge
from ops.doctor.command import examine
from ops.doctor.finding import Finding
from ops.listing import records_of
from ops.report import reads

T = TypeVar("T")


@dataclass(frozen=True)
class Version:
    """A version of a secret: when it was written, and its staging labels."""

    created: datetime
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Secret:
    """A secret's life.

    Attributes:
        owner: Who changes the value: `configuration`, `rotation` or `operator`.
        versions: Those that AWS still has, oldest first.
        rotation: The schedule in AWS's words, "" without one.
    """

    name: str
    arn: str
    owner: str
    created: datetime | None
    changed: datetime | None
    deleted: datetime | None
    rotation: str
    last_rotated: datetime | None
    next_rotation: datetime | None
    replicas: tuple[str, ...]
    versions: tuple[Version, ...]

    @property
    def current(self) -> datetime | None:
        """When the current version was written."""
        return next((version.created for version in self.versions if CURRENT in version.labels), None)


@dataclass(frozen=True)
class Variable:
    """A container variable and where its value is. `key` is the key of a JSON secret, "" for a whole one."""

    name: str
    secret: str
    key: str
    stage: str


@dataclass(frozen=True)
class Way:
    """The way from a service's container to its values."""

    service: str
    task_definition: str
    execution_role: str
    variables: tuple[Variable, ...]


@dataclass(frozen=True)
class Review:
    """Everything that the report shows.

    Attributes:
        made_as: The ARN of the caller.
        not_looked_at: What was not checked, in words.
    """

    stack: Stack
    made_at: datetime
    made_as: str
    access: Report
    health: tuple[Finding, ...]
    secrets: tuple[Secret, ...]
    missing: tuple[str, ...]
    ways: tuple[Way, ...]
    readings: reads.Readings
    costs: tuple[pricing.Item, ...]
    not_looked_at: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing that was checked needs attention."""
        return self.access.ok and all(finding.status == "ok" for finding in self.health)


def review(aws: Aws, stack: Stack, *, everybody: bool, trusted: Sequence[str]) -> Review:
    """Return the report of a stack, as of now."""
    facts = gather_access(aws, stack, everybody=everybody)
    access = judge(facts, trusted)
    gaps: list[str] = list(access.not_looked_at)
    health = _allowed(gaps, "the health of the stack", lambda: tuple(examine(aws, stack, values=False)), ())
    gaps.append("the values themselves: a JSON secret that lacks a key is found by `ops doctor`, which reads them")
    gaps += [f"{f.check}: {f.found}" for f in health if f.status == "unchecked" or "not checked" in f.found]
    readings = reads.read(aws, stack, trail_of(stack).log_group)
    if readings.gap:
        gaps.append(f"reads: {readings.gap}")
    gaps.append("reads of replicas in other Regions, beyond what the trail's log group has")
    costs = _allowed(
        gaps, "cost", lambda: cost.bill(cost.count(aws, stack), tasks_per_day=cost.DEFAULT_TASKS_A_DAY), ()
    )
    records = records_of(aws, stack)
    lives = aws.each(lambda arn: _life(aws, stack, records[arn]), sorted(stack.secret_arns.values()))
    return Review(
        stack=stack,
        made_at=datetime.now(UTC).replace(microsecond=0),
        made_as=aws.caller().arn,
        access=access,
        health=health,
        secrets=tuple(sorted((life for life in lives.values() if life), key=lambda life: life.name)),
        missing=facts.missing,
        ways=tuple(
            Way(
                service=name,
                task_definition=service.task_definition_arn.rpartition("/")[2],
                execution_role=service.execution_role_arn.rpartition("/")[2],
                variables=tuple(
                    Variable(variable, stack.name_of(found.arn), found.key or "", found.stage or "")
                    for variable, text in sorted(service.container_secrets.items())
                    if (found := parse_value_from(text))
                ),
            )
            for name, service in stack.services.items()
        ),
        readings=readings,
        costs=costs,
        not_looked_at=tuple(dict.fromkeys(gaps)),
    )


def _allowed(gaps: list[str], what: str, ask: Callable[[], T], otherwise: T) -> T:
    """Return what AWS answers; a failed call becomes a gap in the report and does not end it."""
    try:
        return ask()
    except (AwsError, *aws_errors()) as error:
        gaps.append(f"{what}: {told(error)}")
    return otherwise


def _life(aws: Aws, stack: Stack, record: Record | None) -> Secret | None:
    if record is None:
        return None
    versions = () if record.deleted else list_versions(aws, record.arn)
    rotation = record.rotation
    return Secret(
        name=stack.name_of(record.arn),
        arn=record.arn,
        owner=ownership(stack, record).owner,
        created=record.created,
        changed=record.changed,
        deleted=record.deleted,
        rotation=rotation.when if rotation.enabled else "",
        last_rotated=rotation.last,
        next_rotation=rotation.next if rotation.enabled else None,
        replicas=tuple(f"{replica.region} ({replica.status})" for replica in record.replicas),
        versions=tuple(
            Version(raw["CreatedDate"], tuple(sorted(raw.get("VersionStages", ()))))
            for raw in sorted(versions, key=lambda version: version["CreatedDate"])
        ),
    )


def document(found: Review) -> dict[str, Any]:
    """Return the report as data."""
    return {
        "stack": found.stack.environment,
        "account": found.stack.account,
        "region": found.stack.region,
        "made_at": found.made_at,
        "made_as": found.made_as,
        "ok": found.ok,
        "access": show.document(found.stack, found.access),
        "health": [asdict(finding) for finding in found.health],
        "secrets": [asdict(secret) for secret in found.secrets],
        "missing": list(found.missing),
        "ways": [asdict(way) for way in found.ways],
        "reads": asdict(found.readings),
        "cost": {
            "monthly_usd": pricing.total(found.costs),
            "prices_as_of": pricing.AS_OF,
            "items": [
                {"item": item.name, "quantity": item.quantity, "monthly_usd": item.monthly} for item in found.costs
            ],
        },
        "not_looked_at": list(found.not_looked_at),
    }
