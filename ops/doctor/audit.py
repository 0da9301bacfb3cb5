"""Check of the audit's setting: does the alarm on reads stay silent while a service deploys?"""

from collections.abc import Iterator, Sequence

from components.references import parse_value_from
from ops._aws import Aws
from ops._console import counted
from ops.doctor.finding import Finding, again, put_back, summed_up
from ops.doctor.service import Service
from ops.doctor.snapshot import Snapshot

_DEPLOYMENTS = 2
"""A rotation and a deployment can fall into the same hour."""


def check(aws: Aws, snapshots: Sequence[Snapshot], running: Sequence[Service]) -> Iterator[Finding]:
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
        (sum(_arn(text) in own for _, text in definition.references()), tasks)
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
    ok = (
        f"{expected} an hour: {expected // entries} starting tasks, {entries} reads each"
        if entries
        else "no task reads"
    )
    yield from summed_up("expected-reads", problem, ok=ok)


def _arn(value_from: str) -> str | None:
    try:
        return parse_value_from(value_from).arn
    except ValueError:
        return None
