"""Checks of the way from a record of CloudTrail to a person: trail, metric filters, alarms, topic, and the rules of redeployment.

A broken link is silent: nothing reports that reports are missing. Nor does an alarm on reads help that each deployment sets off.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components._audit_watched import ALARMS, filters_of
from components.names import ServiceNames
from ops._aws import Aws
from ops._console import counted
from ops._errors import MISSING, tolerating
from ops._stack import Stack
from ops.doctor.finding import Finding, again, put_back, summed_up
from ops.doctor.service import Service
from ops.doctor.snapshot import Snapshot, well_formed

CHECK = "alarms"
_PENDING = {"PendingConfirmation", "Deleted"}
_NO_TRAIL = {"TrailNotFoundException", "InvalidTrailNameException"}
_DEPLOYMENTS = 2
"""A rotation and a deployment can fall into the same hour."""


@dataclass(frozen=True)
class Chain:
    """What exists of it, as AWS's APIs describe it.

    Attributes:
        alarms: By name.
        filters: Metric filters by the name of their metric.
        subscriptions: Of the topic; None when the topic doesn't exist.
        logs: Whether the stack's own trail is logging; None when it has none, but reads an existing log group.
        rules: EventBridge rules of redeployment.
    """

    alarms: Mapping[str, Any]
    filters: Mapping[str, Sequence[Any]]
    subscriptions: Sequence[Any] | None
    logs: bool | None
    rules: Sequence[Any]


def read(aws: Aws, stack: Stack) -> Chain:
    """Return the chain of a stack that has an alarm topic."""
    filters: dict[str, list[Any]] = {}
    for raw in aws.pages("logs", "describe_metric_filters", "metricFilters", filterNamePrefix=f"{stack.names.prefix}-"):
        for metric in raw["metricTransformations"]:
            if metric["metricNamespace"] == stack.names.prefix:
                filters.setdefault(metric["metricName"], []).append(raw)
    services = _services(stack)
    rules = [
        raw
        for raw in aws.pages("events", "list_rules", "Rules", NamePrefix=f"{stack.names.prefix}-")
        if any(raw["Name"].startswith((names.changed_rule(""), names.failed_rule)) for names in services)
    ]
    own = aws.pages("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=f"{stack.names.prefix}-")
    alarms = {raw["AlarmName"]: raw for raw in own}
    topic, trail = stack.alarm_topic_arn or "", stack.names.audit(stack.location).trail
    told = aws.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic)
    cloudtrail = aws.client("cloudtrail")
    logs = tolerating(_NO_TRAIL, lambda: bool(cloudtrail.get_trail_status(Name=trail)["IsLogging"]))
    return Chain(alarms, filters, tolerating(MISSING | {"NotFound"}, lambda: list(told)), logs, rules)


def _services(stack: Stack) -> list[ServiceNames]:
    return [ServiceNames(service.task_definition_family) for service in stack.services.values()]


def check(stack: Stack, chain: Chain) -> Iterator[Finding]:
    """Yield what is broken, from CloudTrail to the person."""
    told = "" if chain.logs is not None else "; left out: the trail, which isn't this stack's"
    who = counted(len(chain.subscriptions or ()), "subscriber")
    ok = f"{len(ALARMS)} alarms, each with metric filters, reach {who}{told}"
    yield from summed_up(CHECK, _broken(stack, chain), ok=ok)


def _broken(stack: Stack, chain: Chain) -> Iterator[Finding]:
    if chain.logs is False:
        fix = f"aws cloudtrail start-logging --name {stack.names.prefix} --region {stack.region}"
        yield Finding(CHECK, "failure", stack.names.prefix, "the trail isn't logging: no alarm can fire", fix)
    for name in (f"{stack.names.prefix}-{one}" for one in ALARMS):
        yield from _alarm(stack, chain.alarms.get(name), name)
        yield from _filters(stack, chain, name)
    for names in _services(stack):
        yield from _redeployment(stack, chain, names)
    if chain.subscriptions is None:
        yield Finding(CHECK, "failure", "topic", "the alarm topic doesn't exist: nobody is notified", put_back(stack))
    elif not chain.subscriptions:
        found, remark = "has no subscriber: nobody is notified", "audit.alarmEmails names some"
        yield Finding(CHECK, "warning", "topic", found, remark=remark)
    for raw in chain.subscriptions or ():
        if raw["SubscriptionArn"] in _PENDING:
            again = (
                f"aws sns subscribe --topic-arn {stack.alarm_topic_arn} --protocol {raw['Protocol']} "
                f"--notification-endpoint {raw['Endpoint']} --region {stack.region}"
            )
            found = "has not confirmed the subscription, and receives nothing"
            yield Finding(CHECK, "warning", raw["Endpoint"], found, again, "this sends the link once more")
    for raw in chain.rules:
        if raw.get("State") == "DISABLED":
            fix = f"aws events enable-rule --name {raw['Name']} --region {stack.region}"
            yield Finding(CHECK, "warning", raw["Name"], "is disabled: a new value restarts no task", fix)


def _alarm(stack: Stack, alarm: Any, name: str) -> Iterator[Finding]:
    if alarm is None:
        yield Finding(CHECK, "failure", name, "the alarm doesn't exist", put_back(stack))
        return
    if not alarm.get("ActionsEnabled", True):
        fix = f"aws cloudwatch enable-alarm-actions --alarm-names {name} --region {stack.region}"
        yield Finding(CHECK, "failure", name, "its actions are switched off: nobody is notified", fix)
    if stack.alarm_topic_arn not in alarm.get("AlarmActions", ()):
        yield Finding(CHECK, "failure", name, "doesn't send to the stack's topic", put_back(stack))


def _filters(stack: Stack, chain: Chain, name: str) -> Iterator[Finding]:
    alarm = chain.alarms.get(name)
    if alarm is None:
        return
    filters = chain.filters.get(alarm.get("MetricName", ""), ())
    numbers = _numbers((raw["filterName"] for raw in filters), f"{name}-")
    wanted = max(filters_of(alarm.get("AlarmDescription", "")), *numbers, 1)
    gone = ", ".join(f"{name}-{number}" for number in range(1, wanted + 1) if number not in numbers)
    if gone:
        found = f"its metric filter {gone} doesn't exist: it misses events"
        yield Finding(CHECK, "failure", name, found, put_back(stack))


def _redeployment(stack: Stack, chain: Chain, names: ServiceNames) -> Iterator[Finding]:
    """Yield what is missing of the redeployment of one service, of which anything is left: the rest names what there was."""
    rules = {raw["Name"] for raw in chain.rules}
    rule, alarm = names.changed_rule(""), f"{names.redeploy}-not-started-"
    numbers = _numbers(rules, rule) | _numbers(chain.alarms, alarm)
    failed = f"{names.redeploy}-failed"
    if not numbers and not {names.failed_rule, failed} & {*rules, *chain.alarms}:
        return
    every = range(1, max(numbers, default=1) + 1)
    for name in (f"{rule}{number}" for number in every):
        if name not in rules:
            found = "the rule doesn't exist: a new value restarts no task"
            yield Finding(CHECK, "failure", name, found, put_back(stack))
    if names.failed_rule not in rules:
        found = "the rule doesn't exist: nobody hears of a deployment that fails"
        yield Finding(CHECK, "failure", names.failed_rule, found, put_back(stack))
    for name in (failed, *(f"{alarm}{number}" for number in every)):
        yield from _alarm(stack, chain.alarms.get(name), name)


def _numbers(names: Iterable[str], start: str) -> set[int]:
    ends = (name.removeprefix(start) for name in names if name.startswith(start))
    return {int(end) for end in ends if end.isdecimal()}


def check_expected_reads(aws: Aws, snapshots: Sequence[Snapshot], running: Sequence[Service]) -> Iterator[Finding]:
    """Yield whether `audit.expectedReadsPerHour` is enough for the tasks that start in an hour.

    ECS reads once for every entry under `secrets` and task.

    Args:
        aws: The stack's account.
        snapshots: The stack as seen from its services.
        running: The ECS services that run them, whose tasks count; without any, one task of each service does.
    """
    stack = snapshots[0].stack
    if not stack.alarm_topic_arn:
        return
    name = f"{stack.names.prefix}-reads"
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    if not alarms:
        yield Finding("expected-reads", "warning", name, "the alarm on reads doesn't exist", put_back(stack))
        return
    known = {one.arn: one for snapshot in snapshots for one in snapshot.definitions}
    deployed = [(snapshot.deployed, 1) for snapshot in snapshots if snapshot.deployed]
    started = [(known[one.definition_arn], one.desired) for one in running if one.definition_arn in known]
    own = set(stack.secret_arns.values())
    each = [
        (sum(one.arn in own for one in well_formed(text for _, text in definition.references())), tasks)
        for definition, tasks in (started if running else deployed)
    ]
    entries, tasks = sum(count for count, _ in each), sum(tasks for _, tasks in each)
    reads = sum(count * tasks for count, tasks in each)
    expected, problem = int(alarms[0]["Threshold"]), list[Finding]()
    if expected < reads:
        found = (
            f"{expected} reads an hour are expected, and one deployment causes {reads}: {entries} entries under secrets, "
            f"{counted(tasks, 'task')}"
        )
        set_it = (
            f"pulumi config set --path audit.expectedReadsPerHour {reads * _DEPLOYMENTS} --stack {stack.environment}"
        )
        problem.append(Finding("expected-reads", "warning", name, found, f"{set_it} && {again(stack)}"))
    enough = (
        f"{expected} an hour: {expected // entries} starting tasks, {entries} reads each"
        if entries
        else "no task reads"
    )
    yield from summed_up("expected-reads", problem, ok=enough)
