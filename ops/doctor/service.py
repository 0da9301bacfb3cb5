"""Checks of the ECS service: does it run this stack's task definition, with the newest values, and why did tasks stop?"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from components.limits import NOT_UPDATED_BY_ECS
from ops._aws import Aws, chunks
from ops._console import counted
from ops._errors import MISSING, MisuseError, aws_errors, explained, tolerating
from ops._stack import Stack
from ops.doctor.explain import DOCTOR, explain
from ops.doctor.finding import Finding, guarded, summed_up
from ops.doctor.snapshot import Snapshot
from ops.doctor.upkeep import changed_after

_DESCRIBED_AT_ONCE = 100
_LISTED_AT_ONCE = 100
_SERVICES_AT_ONCE = 10
_FARGATE = {"FARGATE", "FARGATE_SPOT"}
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
class Placement:
    """Where the tasks of a service are on the network: of `awsvpc` alone, which Fargate requires."""

    subnets: tuple[str, ...]
    groups: tuple[str, ...]
    public_ip: bool


@dataclass(frozen=True)
class Service:
    """An ECS service and its tasks.

    Attributes:
        placement: None for another network mode, or for tasks on instances, whose agent reads the secrets from there.
        events: The service's latest unusual messages, the newest first.
        rolled_back: Why the circuit breaker went back to an older revision, "" when it didn't.
        gap: Why its tasks could not be read, "" when they were.
        controller: The type of its deployment controller.
    """

    name: str
    cluster: str
    definition_arn: str
    desired: int
    running: int
    platform: str | None
    placement: Placement | None
    events: tuple[str, ...]
    rolled_back: str
    active: tuple[Task, ...]
    stopped: tuple[Task, ...]
    gap: str
    controller: str = "ECS"

    @property
    def is_deployed_by_ecs(self) -> bool:
        """Whether UpdateService deploys it; otherwise CodeDeploy or an external controller does."""
        return self.controller not in NOT_UPDATED_BY_ECS

    @property
    def label(self) -> str:
        """Cluster and name, as `--ecs-service` takes them."""
        return f"{self.cluster}/{self.name}"

    @property
    def family(self) -> str:
        """The family of the task definition that it runs."""
        return _family(self.definition_arn)

    def update(self, region: str) -> str:
        """Return the beginning of the command that changes it."""
        return f"aws ecs update-service --region {region} --cluster {self.cluster} --service {self.name}"


@dataclass(frozen=True)
class Found:
    """The ECS services of an account and Region that run one of some families.

    Attributes:
        services: What DescribeServices says of each.
        clusters: How many clusters were searched.
        gaps: What could not be read, and why.
    """

    services: tuple[Any, ...]
    clusters: int
    gaps: tuple[str, ...]


_BY_ANOTHER_CONTROLLER = (
    "start a deployment with CodeDeploy, or create a new task set: UpdateService cannot deploy this service"
)
_NONE_RUNS_IT = (
    "no ECS service of this account and Region runs it; tasks that are started differently keep the old value until they "
    "end"
)


def find(aws: Aws, families: Iterable[str]) -> Found:
    """Return the services that run one of some families: of every cluster, a hundred a page, ten a description."""
    wanted = set(families)
    try:
        clusters = list(aws.pages("ecs", "list_clusters", "clusterArns"))
    except aws_errors() as error:
        return Found((), 0, (f"the clusters: {explained(error)}",))
    results = aws.each(lambda cluster: _of_cluster(aws, cluster), clusters)
    return Found(
        tuple(one for raws, _ in results.values() for one in raws if _family(_definition(one)) in wanted),
        len(clusters),
        tuple(gap for _, gap in results.values() if gap),
    )


def _of_cluster(aws: Aws, cluster: str) -> tuple[list[Any], str]:
    """Return the active services of a cluster, and why they can't be listed."""
    found: list[Any] = []
    try:
        arns = list(aws.pages("ecs", "list_services", "serviceArns", cluster=cluster, maxResults=_LISTED_AT_ONCE))
        for some in chunks(arns, _SERVICES_AT_ONCE):
            found += aws.client("ecs").describe_services(cluster=cluster, services=some)["services"]
    except aws_errors() as error:
        return found, f"services of cluster {cluster.rpartition('/')[2]}: {explained(error)}"
    return [one for one in found if one.get("status") == "ACTIVE"], ""


def named(aws: Aws, cluster_and_service: str) -> Found:
    """Return the service that is given as CLUSTER/SERVICE, none when it doesn't exist.

    Raises:
        MisuseError: When the text is not of that form.
    """
    cluster, slash, name = cluster_and_service.partition("/")
    if not (cluster and slash and name) or "/" in name:
        raise MisuseError(f"--ecs-service {cluster_and_service}: give CLUSTER/SERVICE")
    ecs = aws.client("ecs")
    asked = tolerating(MISSING, lambda: ecs.describe_services(cluster=cluster, services=[name])["services"])
    found: list[Any] = asked or []
    return Found(tuple(one for one in found if one.get("status") == "ACTIVE"), 1, ())


def read(aws: Aws, raw: Any) -> Service:
    """Return a service and its tasks, by what DescribeServices says of it."""
    cluster, name = _cluster(raw), raw["serviceName"]
    events: list[Any] = raw.get("events") or []
    active, stopped, gap = (), (), ""
    try:
        active, stopped = (_tasks(aws, cluster, name, status) for status in ("RUNNING", "STOPPED"))
    except aws_errors() as error:
        gap = str(explained(error))
    return Service(
        name=name,
        cluster=cluster,
        definition_arn=_definition(raw),
        desired=raw.get("desiredCount", 0),
        running=raw.get("runningCount", 0),
        platform=raw.get("platformVersion"),
        placement=_placement(raw),
        events=_telling(events),
        rolled_back=_rolled_back(raw, events),
        active=active,
        stopped=stopped,
        gap=gap,
        controller=_controller(raw),
    )


def _controller(raw: Any) -> str:
    return (raw.get("deploymentController") or {}).get("type", "ECS")


def _cluster(raw: Any) -> str:
    return raw["clusterArn"].rpartition("/")[2]


def _sets(raw: Any) -> list[Any]:
    """Return the task sets, which CodeDeploy or an external controller creates; the primary one first."""
    return sorted(raw.get("taskSets") or (), key=lambda one: one.get("status") != "PRIMARY")


def _definition(raw: Any) -> str:
    return next((one["taskDefinition"] for one in (raw, *_sets(raw)) if one.get("taskDefinition")), "")


def _family(definition_arn: str) -> str:
    return definition_arn.rpartition("/")[2].rpartition(":")[0]


def _placement(raw: Any) -> Placement | None:
    whole = next((one for one in (raw, *_sets(raw)) if one.get("networkConfiguration")), None)
    providers = {item["capacityProvider"] for item in raw.get("capacityProviderStrategy") or ()}
    on_fargate = providers <= _FARGATE if providers else raw.get("launchType", "FARGATE") == "FARGATE"
    if whole is None or not on_fargate:
        return None
    vpc = whole["networkConfiguration"].get("awsvpcConfiguration") or {}
    return Placement(
        tuple(sorted(vpc.get("subnets") or ())),
        tuple(sorted(vpc.get("securityGroups") or ())),
        vpc.get("assignPublicIp") == "ENABLED",
    )


def redeploy(region: str, found: Found) -> tuple[str, str]:
    """Return the command that replaces the tasks of services, and a remark about those that weren't found."""
    commands, others = list[str](), list[str]()
    for raw in found.services:
        if _controller(raw) in NOT_UPDATED_BY_ECS:
            others.append(f"{_cluster(raw)}/{raw['serviceName']}")
        else:
            commands.append(_new_tasks(region, _cluster(raw), raw["serviceName"]))
    if found.gaps:
        remark = (
            f"left out: {'; '.join(found.gaps)}; aws ecs list-clusters --region {region} and aws ecs list-services "
            "name what aws ecs update-service --force-new-deployment takes"
        )
    else:
        remark = "" if commands or others else _NONE_RUNS_IT
    if others:
        remark = "; ".join(filter(None, [remark, f"{', '.join(others)}: {_BY_ANOTHER_CONTROLLER}"]))
    return " && ".join(commands), remark


def _new_tasks(region: str, cluster: str, service: str) -> str:
    return f"aws ecs update-service --force-new-deployment --region {region} --cluster {cluster} --service {service}"


def replace_tasks(aws: Aws, stack: Stack, arn: str) -> str:
    """Return what to do about running tasks that have a secret's former value."""
    families = stack.families_that_read(arn)
    if not families:
        return "No service of the stack reads it: no task needs to be replaced."
    command, remark = redeploy(stack.region, find(aws, families))
    lines = ["Running tasks keep the old value until they are replaced:", f"  {command}"] if command else []
    return "\n".join([*lines, *([f"{remark[0].upper()}{remark[1:]}."] if remark else [])])


def _telling(events: list[Any]) -> tuple[str, ...]:
    """Return the newest messages about problems, each once."""
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
    for some in chunks(arns, _DESCRIBED_AT_ONCE):
        for raw in aws.client("ecs").describe_tasks(cluster=cluster, tasks=some)["tasks"]:
            texts = [raw.get("stoppedReason", ""), *(c.get("reason", "") for c in raw.get("containers") or ())]
            found.append(Task(raw.get("startedAt") or raw.get("createdAt"), tuple(dict.fromkeys(filter(None, texts)))))
    return tuple(found)


def check_found(stack: Stack, found: Found, asked: str | None) -> Iterator[Finding]:
    """Yield the findings of the search for services; `asked` is the name that the operator gave."""
    for gap in found.gaps:
        remark = "ask for that right, or name a service: --ecs-service CLUSTER/SERVICE"
        yield Finding("service", "unchecked", "", f"could not be checked: {gap}", remark=remark)
    if asked and not found.services:
        text = "there is no such active service in this account and Region"
        fix = f"aws ecs list-services --cluster {asked.partition('/')[0]} --region {stack.region}"
        remark = f"the clusters: aws ecs list-clusters --region {stack.region}"
        yield Finding("service", "failure", asked, text, fix, remark)
    elif not found.services and not found.gaps:
        where = f"{counted(found.clusters, 'cluster')} of this account and Region"
        yield Finding("service", "ok", "", f"no ECS service runs the stack's task definitions ({where})")


def check(snapshot: Snapshot, service: Service, *, closed: bool = False) -> Iterator[Finding]:
    """Yield the findings about a service: why tasks stopped first, then how many run.

    Args:
        snapshot: The stack, seen from the service.
        service: The service.
        closed: Whether its network is known to be closed, so that a new deployment would fail.
    """
    stopped = list(guarded("stopped", lambda: _stopped(service), service.label))
    if service.gap:
        for name in ("stopped", *(("redeploy",) if snapshot.values_read else ())):
            yield Finding(name, "unchecked", service.label, f"could not be checked: {service.gap}")
    else:
        yield from summed_up("stopped", stopped, ok=f"{service.label}: no task stopped for a reason that matters")
    revision = service.definition_arn.rpartition("/")[2]
    ok = f"{service.label}: {service.running} of {service.desired} tasks run {revision}"
    yield from summed_up("service", _state(snapshot, service, blocked=closed or bool(stopped)), ok=ok)
    if service.gap:
        return
    if not service.is_deployed_by_ecs:
        text = f"the deployment controller is {service.controller}: a changed value does not start a deployment of this service"
        yield Finding("redeploy", "warning", service.label, text, remark=_BY_ANOTHER_CONTROLLER)
    if snapshot.values_read:
        newer = "every running task is newer than every value" if service.active else "no task runs"
        ok = f"{service.label}: {newer}"
        yield from summed_up("redeploy", _stale(snapshot, service), ok=ok)


def _state(snapshot: Snapshot, service: Service, *, blocked: bool) -> Iterator[Finding]:
    warning, failure = (partial(Finding, "service", status, service.label) for status in ("warning", "failure"))
    update, own = service.update(snapshot.stack.region), snapshot.stack.service.task_definition_arn
    if service.definition_arn != own:
        label = service.definition_arn.rpartition("/")[2]
        found = f"runs {label}, but the stack's revision is {own.rpartition('/')[2]}"
        fix = f"{update} --task-definition {own}" if service.is_deployed_by_ecs else ""
        if service.rolled_back:
            found += f"; ECS went back to it, as the new one failed: {service.rolled_back}"
            yield failure(found, remark=f"once the cause is fixed: {fix or _BY_ANOTHER_CONTROLLER}")
        else:
            yield warning(found, fix, "" if fix else _BY_ANOTHER_CONTROLLER)
    if service.desired == 0:
        yield warning("runs no task: its desired count is 0", f"{update} --desired-count 1")
    if service.running < service.desired:
        found = f"only {service.running} of {service.desired} tasks run"
        if service.events:
            found += f": {' / '.join(service.events)}"
        known = next(filter(None, map(explain, service.events)), None)
        remark = known.remark if known else "a start takes a minute or two; `stopped` says why tasks stopped"
        again = f"{update} --force-new-deployment" if service.is_deployed_by_ecs else ""
        fix = known.fix if known and known.fix != DOCTOR else again
        if blocked:  # a new deployment would fail in the same way
            fix, remark = "", f"once the findings above are fixed: {again or _BY_ANOTHER_CONTROLLER}"
        yield failure(found, fix, remark)
    numbers = (service.platform or "LATEST").split(".")
    keyed = any(reference.key for references in snapshot.references().values() for reference in references)
    if keyed and all(number.isdigit() for number in numbers) and tuple(map(int, numbers)) < _MIN_PLATFORM:
        found = f"Fargate platform {service.platform} doesn't take JSON keys in references; 1.4.0 does"
        yield failure(found, f"{update} --platform-version LATEST")


def _stopped(service: Service) -> Iterator[Finding]:
    counts: Counter[str] = Counter(
        " / ".join(task.reasons)
        for task in service.stopped
        if task.reasons and not any(task.reasons[0].lower().startswith(ordinary) for ordinary in _ORDINARY)
    )
    for reason, count in counts.most_common():
        known, tasks = explain(reason), f"{counted(count, 'task')} stopped"
        if known is None:
            remark = "ops doctor --explain knows no such text"
            yield Finding("stopped", "failure", "unknown", f"{tasks}. ECS said: {reason}", remark=remark)
            continue
        means = f"{known.means}{' (or: ' + ', '.join(known.otherwise) + ')' if known.otherwise else ''}"
        fix = "" if known.fix == DOCTOR else known.fix  # that is this very report
        yield Finding("stopped", "failure", known.cause, f"{tasks}: {means}. ECS said: {reason}", fix, known.remark)


def _stale(snapshot: Snapshot, service: Service) -> Iterator[Finding]:
    oldest = min((task.started for task in service.active if task.started), default=None)
    if oldest is None:
        return
    fix, remark = "", _BY_ANOTHER_CONTROLLER
    if service.is_deployed_by_ecs:
        fix, remark = _new_tasks(snapshot.stack.region, service.cluster, service.name), ""
    found = f"changed after the oldest running task started on {oldest:%Y-%m-%d %H:%M} UTC: it has the old value"
    yield from (Finding("redeploy", "warning", name, found, fix, remark) for name in changed_after(snapshot, oldest))
