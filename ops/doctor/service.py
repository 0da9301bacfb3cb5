"""Checks of the ECS service: does it run this stack's task definition, with the newest values, and why did tasks stop?"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops._aws import Aws
from ops._errors import MISSING, MisuseError, aws_errors, code_of
from ops.doctor.explain import DOCTOR, explain
from ops.doctor.finding import Finding, summed_up
from ops.doctor.snapshot import Snapshot
from ops.doctor.upkeep import changed_after

_DESCRIBED_AT_ONCE = 100
_ORDINARY = ("scaling activity initiated by", "task stopped by user", "service scheduler-initiated", "spot")
_MIN_PLATFORM = (1, 4, 0)
"""The first Fargate platform version that takes JSON keys in a `valueFrom`. Source: AWS, ECS developer guide."""


@dataclass(frozen=True)
class Task:
    """A task of the service."""

    started: datetime | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Service:
    """An ECS service and its tasks."""

    name: str
    cluster: str
    definition_arn: str
    desired: int
    running: int
    platform: str | None
    last_event: str
    active: tuple[Task, ...]
    stopped: tuple[Task, ...]


def read_service(aws: Aws, cluster_and_service: str) -> Service | None:
    """Return a service given as CLUSTER/SERVICE, None when it doesn't exist.

    Raises:
        MisuseError: When the text is not of that form.
    """
    cluster, slash, name = cluster_and_service.partition("/")
    if not (cluster and slash and name) or "/" in name:
        raise MisuseError(f"--ecs-service {cluster_and_service}: give CLUSTER/SERVICE")
    ecs = aws.client("ecs")
    try:
        found: list[Any] = ecs.describe_services(cluster=cluster, services=[name])["services"]
    except aws_errors() as error:
        if code_of(error) in MISSING:
            return None
        raise
    raw = next((service for service in found if service.get("status") == "ACTIVE"), None)
    if raw is None:
        return None
    events: list[Any] = raw.get("events") or []
    return Service(
        name=name,
        cluster=cluster,
        definition_arn=raw["taskDefinition"],
        desired=raw.get("desiredCount", 0),
        running=raw.get("runningCount", 0),
        platform=raw.get("platformVersion"),
        last_event=events[0].get("message", "") if events else "",
        active=_tasks(aws, cluster, name, "RUNNING"),
        stopped=_tasks(aws, cluster, name, "STOPPED"),
    )


def _tasks(aws: Aws, cluster: str, service: str, status: str) -> tuple[Task, ...]:
    arns = list(aws.pages("ecs", "list_tasks", "taskArns", cluster=cluster, serviceName=service, desiredStatus=status))
    found: list[Task] = []
    for at in range(0, len(arns), _DESCRIBED_AT_ONCE):
        described = aws.client("ecs").describe_tasks(cluster=cluster, tasks=arns[at : at + _DESCRIBED_AT_ONCE])
        for raw in described["tasks"]:
            texts = [raw.get("stoppedReason", ""), *(c.get("reason", "") for c in raw.get("containers") or ())]
            found.append(Task(raw.get("startedAt") or raw.get("createdAt"), tuple(dict.fromkeys(filter(None, texts)))))
    return tuple(found)


def check(snapshot: Snapshot, service: Service | None, asked: str) -> Iterator[Finding]:
    """Yield what is to be said of a service; `asked` is how the operator named it."""
    if service is None:
        found = "there is no such active service in this account and Region"
        yield Finding("service", "failure", asked, found, "aws ecs list-services --cluster CLUSTER")
        return
    ok = f"{service.running} of {service.desired} tasks run {service.definition_arn.rpartition('/')[2]}"
    yield from summed_up("service", _state(snapshot, service), ok=ok)
    yield from summed_up("stopped", _stopped(service), ok="no task stopped for a reason to know")
    if snapshot.values_read:
        yield from summed_up("redeploy", _stale(snapshot, service), ok="every running task is newer than every value")


def _state(snapshot: Snapshot, service: Service) -> Iterator[Finding]:
    stack = snapshot.stack
    update = f"aws ecs update-service --region {stack.region} --cluster {service.cluster} --service {service.name}"
    if service.definition_arn != stack.service.task_definition_arn:
        label = service.definition_arn.rpartition("/")[2]
        found = f"runs {label}, the stack made {stack.service.task_definition_arn.rpartition('/')[2]}"
        fix = f"{update} --task-definition {stack.service.task_definition_arn}"
        yield Finding("service", "warning", service.name, found, fix)
    if service.running < service.desired:
        found = f"only {service.running} of {service.desired} tasks run" + (
            f": {service.last_event}" if service.last_event else ""
        )
        yield Finding(
            "service", "failure", service.name, found, f"see the other lines, then {update} --force-new-deployment"
        )
    numbers = (service.platform or "LATEST").split(".")
    keyed = any(reference.key for references in snapshot.references().values() for reference in references)
    if keyed and all(number.isdigit() for number in numbers) and tuple(map(int, numbers)) < _MIN_PLATFORM:
        found = f"Fargate platform {service.platform} doesn't take JSON keys in references; 1.4.0 does"
        yield Finding("service", "failure", service.name, found, f"{update} --platform-version LATEST")


def _stopped(service: Service) -> Iterator[Finding]:
    counts: Counter[str] = Counter(
        " / ".join(task.reasons)
        for task in service.stopped
        if task.reasons and not any(task.reasons[0].lower().startswith(ordinary) for ordinary in _ORDINARY)
    )
    for reason, count in counts.most_common():
        known = explain(reason)
        tasks = f"{count} task{'s' if count > 1 else ''} stopped"
        if known:
            means = f"{known.means}{' (or: ' + ', '.join(known.otherwise) + ')' if known.otherwise else ''}"
            fix = "" if known.fix == DOCTOR else known.fix  # that is this very report
            yield Finding("stopped", "failure", known.cause, f"{tasks}: {means}. ECS said: {reason}", fix, known.remark)
        else:
            yield Finding("stopped", "failure", "unknown", f"{tasks}. ECS said: {reason}", remark="docs/operations.md")


def _stale(snapshot: Snapshot, service: Service) -> Iterator[Finding]:
    oldest = min((task.started for task in service.active if task.started), default=None)
    if oldest is None:
        return
    fix = (
        f"aws ecs update-service --force-new-deployment --region {snapshot.stack.region} "
        f"--cluster {service.cluster} --service {service.name}"
    )
    for name in changed_after(snapshot, oldest):
        found = f"changed after the oldest running task started on {oldest:%Y-%m-%d %H:%M} UTC: it has the old value"
        yield Finding("redeploy", "warning", name, found, fix)
