"""Checks of the ECS service: does it run this stack's task definition, with the newest values, and why did tasks stop?"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
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
_SERVICES_AT_ONCE = 10
_EVENTS, _SHOWN = 20, 3
_ID = re.compile(r"\(?task [0-9a-f]{32}\)?|[0-9a-f]{32}")
_ROUTINE = (
    "has reached a steady state",
    "has started ",
    "has stopped ",
    "registered ",
    "has begun draining",
    "deployment completed",
)
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
    """An ECS service and its tasks.

    Attributes:
        events: What the service said lately that isn't ordinary, the newest first.
        rolled_back: Why the circuit breaker went back to an older revision, "" when it didn't.
    """

    name: str
    cluster: str
    definition_arn: str
    desired: int
    running: int
    platform: str | None
    events: tuple[str, ...]
    rolled_back: str
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
        events=_telling(events),
        rolled_back=_rolled_back(raw, events),
        active=_tasks(aws, cluster, name, "RUNNING"),
        stopped=_tasks(aws, cluster, name, "STOPPED"),
    )


def running(aws: Aws, families: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return cluster and name of the ECS services that run one of some families; none where they may not be listed."""
    wanted, found, ecs = set(families), list[tuple[str, str]](), aws.client("ecs")
    try:
        for cluster in aws.pages("ecs", "list_clusters", "clusterArns"):
            arns = list(aws.pages("ecs", "list_services", "serviceArns", cluster=cluster))
            for at in range(0, len(arns), _SERVICES_AT_ONCE):
                described = ecs.describe_services(cluster=cluster, services=arns[at : at + _SERVICES_AT_ONCE])
                found += [
                    (cluster.rpartition("/")[2], one["serviceName"])
                    for one in described["services"]
                    if one.get("taskDefinition", "").rpartition("/")[2].rpartition(":")[0] in wanted
                ]
    except aws_errors():  # to know them is a convenience
        return ()
    return tuple(found)


def redeploy(region: str, services: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return the command that replaces the tasks of services, and how to find the services when none is known."""
    commands = [
        f"aws ecs update-service --force-new-deployment --region {region} --cluster {cluster} --service {name}"
        for cluster, name in services
    ]
    how = (
        f"no ECS service was found that runs it: aws ecs list-clusters --region {region}, aws ecs list-services; then "
        "aws ecs update-service --force-new-deployment"
    )
    return " && ".join(commands), "" if commands else how


def _telling(events: list[Any]) -> tuple[str, ...]:
    """Return the newest messages that tell of trouble, each once."""
    messages = [" ".join(event.get("message", "").split()) for event in events[:_EVENTS]]
    telling = (text for text in messages if not any(word in text for word in _ROUTINE))
    # The same sentence comes every few minutes, with another task's id in it.
    return tuple({_ID.sub("", text): text for text in telling}.values())[:_SHOWN]


def _rolled_back(raw: Any, events: list[Any]) -> str:
    """Return what ECS says of a roll-back, by its newest deployment, else by its latest events."""
    deployments: list[Any] = raw.get("deployments") or []
    texts = [deployment.get("rolloutStateReason", "") for deployment in deployments]
    texts += [event.get("message", "") for event in events[:_EVENTS]]
    return next((text for text in texts if "rolling back" in text or "rolled back" in text), "")


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
        cluster = asked.partition("/")[0]
        found = "there is no such active service in this account and Region"
        fix = f"aws ecs list-services --cluster {cluster} --region {snapshot.stack.region}"
        yield Finding("service", "failure", asked, found, fix, "the clusters: aws ecs list-clusters")
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
        if service.rolled_back:
            found += f"; ECS went back to it, as the new one failed: {service.rolled_back}"
            yield Finding("service", "failure", service.name, found, remark=f"once its cause is gone: {fix}")
        else:
            yield Finding("service", "warning", service.name, found, fix)
    if service.desired == 0:
        yield Finding(
            "service", "warning", service.name, "runs no task, and shall run none", f"{update} --desired-count 1"
        )
    if service.running < service.desired:
        found = f"only {service.running} of {service.desired} tasks run"
        if service.events:
            found += f": {' / '.join(service.events)}"
        known = next(filter(None, map(explain, service.events)), None)
        remark = known.remark if known else "a start takes a minute or two; `stopped` says why tasks stopped"
        fix = known.fix if known and known.fix != DOCTOR else f"{update} --force-new-deployment"
        yield Finding("service", "failure", service.name, found, fix, remark)
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
