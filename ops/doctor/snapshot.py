"""Everything that the checks need, read once: with batch calls where AWS has them, otherwise several at a time."""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from components.labels import LIVE
from components.location import ECR_REGISTRY
from components.references import CURRENT, Reference, parse_value_from
from ops._aws import Aws
from ops._detect import texts_in
from ops._errors import DENIED, MISSING, AwsError, aws_errors, code_of, tolerating
from ops._roles import Role, read_key_policy, read_role
from ops._secrets import (
    Record,
    Unreadable,
    Value,
    describe,
    describe_all,
    list_records,
    read_value,
    read_values,
    resource_policies,
)
from ops._stack import Stack
from ops.access.evaluator import Statement, parse
from ops.doctor.finding import UncheckedError, Unread, reason

_R = TypeVar("_R")

_ECR_IMAGE = re.compile(
    ECR_REGISTRY + r"(?P<repository>[^:@]+)(?:(?::(?P<tag>[^@]+))?@(?P<digest>sha256:[0-9a-f]+)|:(?P<only_tag>.+))"
)


_FEW = 20
"""Up to this many secrets are described one by one, which is always current; more are listed, a hundred a call."""


@dataclass(frozen=True)
class Container:
    """The parts of a container definition that the checks need.

    Attributes:
        texts: What else could hold a secret (a command, a label, an option of the log), by its place.
        log_group: None for any driver but awslogs.
    """

    name: str
    image: str
    secrets: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    texts: tuple[tuple[str, str], ...] = field(repr=False)
    log_group: str | None
    log_region: str | None


@dataclass(frozen=True)
class TaskDefinition:
    """A revision of a task definition."""

    arn: str
    active: bool
    registered: datetime | None
    execution_role_arn: str | None
    containers: tuple[Container, ...]
    architecture: str = "X86_64"

    @property
    def family(self) -> str:
        """The family."""
        return self.label.rpartition(":")[0]

    @property
    def label(self) -> str:
        """Family and revision."""
        return self.arn.rpartition("/")[2]

    def references(self) -> Iterable[tuple[str, str]]:
        """Yield variables with their `valueFrom`."""
        for container in self.containers:
            yield from container.secrets


def well_formed(texts: Iterable[str]) -> Iterator[Reference]:
    """Yield the references that ECS accepts; the check `value-from` names the others."""
    for text in texts:
        with contextlib.suppress(ValueError):
            yield parse_value_from(text)


@dataclass(frozen=True)
class Key:
    """A KMS key. `policy` is None when it can't be read."""

    arn: str
    state: str
    policy: tuple[Statement, ...] | None


@dataclass(frozen=True)
class Image:
    """An image in ECR."""

    name: str
    account: str
    region: str
    repository: str
    identifier: Mapping[str, str]

    @property
    def in_words(self) -> str:
        """Repository with tag or digest."""
        return f"{self.repository} {' '.join(self.identifier.values())}"


@dataclass(frozen=True)
class Snapshot:
    """The stack as it is now, seen from one of its services.

    Attributes:
        records: The stack's secrets by ARN, None where one doesn't exist.
        namesakes: By the ARN of a secret that doesn't exist: the secret that has its name now.
        values: Current values by ARN; empty with --no-values.
        staged: Values of other staging labels, by ARN and label: those that a `valueFrom` takes a JSON key of, and what
            Pulumi set last where that is not the current value.
        policies: Statements of the secrets' resource policies by ARN.
        deployed: The stack's revision of the task definition, None when it is gone.
        others: Further revisions that can run: the family's newest, the service's.
        task_role_exists: Whether the task role exists, as far as it can be read.
        role: The execution role, None when it doesn't exist, or when `role_gap` says why it could not be read.
        keys: Customer-managed keys by the id that the secrets have, None for one that doesn't exist.
        used: The references of every service by ARN.
        values_read: Whether values were read.
        definitions_gap: Why the task definitions could not be read, "" when they were.

    A mapping that could not be read is `Unread`: a check that needs it fails, and says why.
    """

    stack: Stack
    records: Mapping[str, Record | None]
    values: Mapping[str, Value | Unreadable] = field(repr=False)
    staged: Mapping[tuple[str, str], Value | Unreadable] = field(repr=False)
    policies: Mapping[str, tuple[Statement, ...]]
    deployed: TaskDefinition | None
    others: tuple[TaskDefinition, ...]
    role: Role | None
    keys: Mapping[str, Key | None]
    namesakes: Mapping[str, Record] = field(default_factory=dict[str, Record])
    used: Mapping[str, set[Reference]] = field(default_factory=dict[str, set[Reference]])
    values_read: bool = True
    role_gap: str = ""
    task_role_exists: bool = True
    definitions_gap: str = ""

    @property
    def definitions(self) -> tuple[TaskDefinition, ...]:
        """All revisions that can run.

        Raises:
            UncheckedError: When they could not be read.
        """
        if self.definitions_gap:
            raise UncheckedError(self.definitions_gap)
        return (*((self.deployed,) if self.deployed else ()), *self.others)

    def live(self) -> dict[str, Record]:
        """Return the secrets that exist and aren't pending deletion."""
        return {arn: record for arn, record in self.records.items() if record and not record.deleted}

    def text(self, arn: str, stage: str | None = None) -> str | None:
        """Return a secret's value at a staging label, None when it could not be read."""
        found = self.values.get(arn) if stage in {None, CURRENT} else self.staged.get((arn, stage or ""))
        return found.text if isinstance(found, Value) else None

    def references(self) -> dict[str, set[Reference]]:
        """Return the well-formed references by ARN: of the deployed task definitions and of the outputs."""
        found: dict[str, set[Reference]] = {}
        texts = [
            *self.stack.service.container_secrets.values(),
            *(text for d in self.definitions for _, text in d.references()),
        ]
        for reference in well_formed(texts):
            found.setdefault(reference.arn, set()).add(reference)
        return found


def take(
    aws: Aws, stack: Stack, *, service: str | None = None, values: bool = True, also: Iterable[str] = ()
) -> tuple[Snapshot, ...]:
    """Read a stack, as seen from each of its services; what they share is read once.

    Args:
        aws: The stack's account.
        stack: The stack.
        service: The one service to look at, by default all.
        values: Whether to read the secrets' values, which CloudTrail records.
        also: ARNs of further task definitions that run.
    """
    arns = list(stack.secret_arns.values())
    read = _part(lambda: read_values(aws, arns)) if values else {}
    records = _part(lambda: _records(aws, stack, arns, read))
    namesakes = _part(lambda: _namesakes(aws, stack, records))
    policies = _part(lambda: _policies(aws, records))
    keys = _part(lambda: _keys(aws, records))
    shared: dict[str, Any] = {"values": read, "values_read": values, "records": records, "namesakes": namesakes}
    shared |= {"policies": policies, "keys": keys, "staged": {}}
    snapshots = [_of_service(aws, seen, also, shared) for seen in stack.each(service)]
    used = _part(lambda: _used(snapshots))
    staged = _part(lambda: _staged(aws, used, list(snapshots[0].live().values()))) if values else {}
    return tuple(replace(snapshot, staged=staged, used=used) for snapshot in snapshots)


def _part(read: Callable[[], Mapping[Any, _R]]) -> Mapping[Any, _R]:
    """Return what is read; what can't be read is `Unread`, so that the checks that need it report the reason."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - the other parts are still worth having
        return Unread(reason(error))


def _of_service(aws: Aws, stack: Stack, also: Iterable[str], shared: Mapping[str, Any]) -> Snapshot:
    """Return a snapshot with what belongs to one service: its task definitions and roles."""
    own, gap = stack.service, ""
    deployed, others = None, dict[str, TaskDefinition]()
    try:
        deployed = read_task_definition(aws, own.task_definition_arn)
        read = [read_task_definition(aws, name) for name in (own.task_definition_family, *also)]
        others = {d.arn: d for d in read if d and d.active and d.family == own.task_definition_family}
        others.pop(own.task_definition_arn, None)
    except Exception as error:  # noqa: BLE001 - as above
        gap = reason(error)
    role, role_gap = _role(aws, own.execution_role_arn)
    return Snapshot(
        stack=stack,
        deployed=deployed,
        others=tuple(others.values()),
        role=role,
        role_gap=role_gap,
        task_role_exists=any(_role(aws, own.task_role_arn)),
        definitions_gap=gap,
        **shared,
    )


def _used(snapshots: Iterable[Snapshot]) -> dict[str, set[Reference]]:
    used: dict[str, set[Reference]] = {}
    for snapshot in snapshots:
        for arn, references in snapshot.references().items():
            used.setdefault(arn, set()).update(references)
    return used


def _policies(aws: Aws, records: Mapping[str, Record | None]) -> dict[str, tuple[Statement, ...]]:
    live = [arn for arn, record in records.items() if record and not record.deleted]
    texts = resource_policies(aws, live)
    return {arn: parse(text, source="the secret's resource policy") if text else () for arn, text in texts.items()}


def _keys(aws: Aws, records: Mapping[str, Record | None]) -> dict[str, Key | None]:
    return {key: read_key(aws, key) for key in sorted({r.kms_key_id for r in records.values() if r and r.kms_key_id})}


def _namesakes(aws: Aws, stack: Stack, records: Mapping[str, Record | None]) -> dict[str, Record]:
    """Return the secrets that have the names of missing ones: created again outside Pulumi, they have other ARNs."""
    full_names = {stack.secret_arns[name]: full for name, full in stack.full_names.items() if name in stack.secret_arns}
    found = {arn: describe(aws, full_names[arn]) for arn, record in records.items() if record is None}
    return {arn: record for arn, record in found.items() if record}


def _records(
    aws: Aws, stack: Stack, arns: list[str], values: Mapping[str, Value | Unreadable]
) -> dict[str, Record | None]:
    if len(arns) <= _FEW:
        return dict(describe_all(aws, arns))
    values = {} if isinstance(values, Unread) else values
    names = {stack.full_names[name]: arn for name, arn in stack.secret_arns.items() if arn in arns}
    found: dict[str, Record | None] = dict(list_records(aws, names))
    # The list can be minutes old: whatever looks wrong, or lacks the version just read, is described alone. So is
    # what has replicas, whose state the list lacks.
    doubtful = [arn for arn in arns if _doubtful(found.get(arn), values.get(arn))]
    return dict.fromkeys(arns) | found | describe_all(aws, doubtful)


def _doubtful(record: Record | None, value: Value | Unreadable | None) -> bool:
    if record is None or record.deleted or record.primary_region or record.replicas:
        return True
    if isinstance(value, Value):
        return record.version(CURRENT) != value.version_id
    return isinstance(value, Unreadable) or not record.version(CURRENT)


def _role(aws: Aws, arn: str) -> tuple[Role | None, str]:
    """Return a role, None when it doesn't exist, and why it could not be read."""
    try:
        return read_role(aws, arn), ""
    except Exception as error:  # noqa: BLE001 - the other parts are still worth having
        return None, reason(error)


def live_label(record: Record) -> str | None:
    """Return the label of the version that Pulumi set last, None when it set none, or several in more than one life."""
    found = [stage for stages in record.stages.values() for stage in stages if stage.startswith(LIVE)]
    return found[0] if len(found) == 1 else None


def _staged(
    aws: Aws, used: Mapping[str, set[Reference]], live: Sequence[Record]
) -> Mapping[tuple[str, str], Value | Unreadable]:
    wanted: list[tuple[str, str]] = sorted(
        {
            (record.arn, reference.stage)
            for record in live
            for reference in used.get(record.arn, ())
            if reference.key and reference.stage and reference.stage != CURRENT
        }
        | {
            (record.arn, label)
            for record in live
            if (label := live_label(record)) and record.version(label) != record.version(CURRENT)
        }
    )

    def read(item: tuple[str, str]) -> Value | Unreadable:
        arn, stage = item
        try:
            return read_value(aws, arn, stage=stage)
        except AwsError as error:
            return Unreadable(arn, error.code, str(error))

    return aws.each(read, wanted)


def read_task_definition(aws: Aws, name: str) -> TaskDefinition | None:
    """Return a task definition by ARN, or the newest active revision of a family; None when there is none."""
    ecs = aws.client("ecs")
    # "Unable to describe task definition."
    found: Any = tolerating({"ClientException"}, lambda: ecs.describe_task_definition(taskDefinition=name))
    if found is None:
        return None
    raw = found["taskDefinition"]
    return TaskDefinition(
        arn=raw["taskDefinitionArn"],
        active=raw.get("status", "ACTIVE") == "ACTIVE",
        registered=raw.get("registeredAt"),
        execution_role_arn=raw.get("executionRoleArn"),
        containers=tuple(map(_container, raw.get("containerDefinitions", ()))),
        architecture=(raw.get("runtimePlatform") or {}).get("cpuArchitecture", "X86_64"),
    )


_READ = {"name", "image", "secrets", "environment", "portMappings"}
"""Parts of a container that are read on their own, or can't hold a secret."""


def _container(raw: Mapping[str, Any]) -> Container:
    log = raw.get("logConfiguration") or {}
    options = log.get("options", {}) if log.get("logDriver") == "awslogs" else {}
    return Container(
        name=raw.get("name", ""),
        image=raw.get("image", ""),
        secrets=tuple((item["name"], item["valueFrom"]) for item in raw.get("secrets") or ()),
        environment=tuple((item["name"], item.get("value", "")) for item in raw.get("environment") or ()),
        texts=tuple(text for key, value in raw.items() if key not in _READ for text in texts_in(value, key)),
        log_group=options.get("awslogs-group"),
        log_region=options.get("awslogs-region"),
    )


def read_key(aws: Aws, key_id: str) -> Key | None:
    """Return a KMS key by id, alias or ARN; None when it doesn't exist."""
    region = key_id.split(":")[3] if key_id.startswith("arn:") else None
    try:
        metadata = aws.client("kms", region).describe_key(KeyId=key_id)["KeyMetadata"]
    except aws_errors() as error:
        if code_of(error) in MISSING:
            return None
        if code_of(error) in DENIED:
            return Key(key_id, "Enabled", None)  # as far as is known; the check then says that it couldn't look
        raise
    policy = tolerating(DENIED, lambda: read_key_policy(aws, metadata["Arn"]))
    return Key(metadata["Arn"], metadata["KeyState"], policy)


def image_in_ecr(name: str) -> Image | None:
    """Return the parts of an image's name when it is in ECR."""
    match = _ECR_IMAGE.fullmatch(name)
    if not match:
        return None
    tag = match["tag"] or match["only_tag"]
    identifier = {"imageDigest": match["digest"]} if match["digest"] else {"imageTag": tag}
    return Image(name, match["account"], match["region"], match["repository"], identifier)
