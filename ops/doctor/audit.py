"""Check of the audit's setting: does the alarm on reads stay silent while a service deploys?"""

from collections.abc import Iterator, Sequence

from model.references import parse_value_from
from ops._aws import Aws
from ops.doctor.finding import Finding, again, put_back, summed_up
from ops.doctor.service import Service
from ops.doctor.snapshot import Snapshot

_DEPLOYMENTS = 2
"""A rotation and a deployment may fall into the same hour."""


def check(aws: Aws, snapshots: Sequence[Snapshot], running: Service | None) -> Iterator[Finding]:
    """Yield whether `audit.expectedReadsPerHour` is enough for the tasks that start in an hour.

    ECS reads once for every entry under `secrets` and task.

    Args:
        aws: The stack's account.
        snapshots: The stack as seen from its services.
        running: An ECS service of one of them, whose tasks count; without it one task of each service does.
    """
    stack = snapshots[0].stack
    if not stack.alarm_topic_arn:
        return
    name = f"{stack.names.prefix}-reads"
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    if not alarms:
        yield Finding("expected-reads", "warning", name, "the alarm on reads doesn't exist", put_back(stack))
        return
    definitions = [snapshot.deployed for snapshot in snapshots if snapshot.deployed]
    tasks = 1
    if running:
        known = {one.arn: one for snapshot in snapshots for one in snapshot.definitions}
        definitions, tasks = [known[running.definition_arn]] if running.definition_arn in known else [], running.desired
    own = set(stack.secret_arns.values())
    entries = sum(_arn(text) in own for definition in definitions for _, text in definition.references())
    expected, reads, problem = int(alarms[0]["Threshold"]), entries * tasks, list[Finding]()
    if expected < reads:
        found = (
            f"{expected} reads an hour are expected, and one deployment makes {reads}: {entries} entries under secrets, "
            f"{tasks} task{'s' if tasks > 1 else ''}"
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
