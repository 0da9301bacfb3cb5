"""Checks of what keeps secrets current: rotation, replicas, and tasks with the newest value."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from components.acceptance import is_server, named
from components.references import CURRENT, PENDING, PREVIOUS
from ops._aws import Aws
from ops._console import counted
from ops._errors import MISSING, tolerating
from ops._pending import is_of_ops, left_over, remove_label_command, unfinished
from ops._restoring import RESTORED
from ops._secrets import Record, Value
from ops.access.evaluator import Request, parse, trusts
from ops.doctor.finding import Finding, guarded, put_back, summed_up
from ops.doctor.snapshot import Snapshot

_GRACE = timedelta(days=1)
"""How late a rotation can be: Secrets Manager starts it within the schedule's window, at most a day long."""


def check(aws: Aws, snapshot: Snapshot) -> Iterator[Finding]:
    """Yield the findings about rotation and replicas."""

    # No generator expression: one that can't begin would take the replicas with it.
    def rotation() -> Iterator[Finding]:
        for arn, record in snapshot.live().items():
            yield from guarded("rotation", partial(_rotation, aws, snapshot, record), snapshot.stack.name_of(arn))

    yield from summed_up("rotation", rotation(), ok=lambda: _rotating(snapshot))
    yield from summed_up("replica", _replicas(snapshot), ok=lambda: _replicated(snapshot))


def _rotating(snapshot: Snapshot) -> str:
    rotating = [snapshot.stack.name_of(arn) for arn, record in snapshot.live().items() if record.rotation.enabled]
    if not rotating:
        return "no secret rotates on schedule"
    return f"{', '.join(rotating)} rotate{'s' if len(rotating) == 1 else ''} on time"


def _replicated(snapshot: Snapshot) -> str:
    """Return the replicas as DescribeSecret reports them, in Regions that the configuration no longer names too."""
    regions = Counter(replica.region for record in snapshot.live().values() for replica in record.replicas)
    each = (f"{counted(count, 'secret')} in {region}" for region, count in sorted(regions.items()))
    return f"in sync: {', '.join(each)}" if regions else "none"


def _rotation(aws: Aws, snapshot: Snapshot, record: Record) -> Iterator[Finding]:
    stack, rotation, name = snapshot.stack, record.rotation, snapshot.stack.name_of(record.arn)
    warning, failure = (partial(Finding, "rotation", status, name) for status in ("warning", "failure"))
    rotate = f"python -m ops rotate {name} --stack {stack.environment}"
    yield from _restored(snapshot, record)
    if not rotation.enabled and rotation.lambda_arn:
        again = f"aws secretsmanager rotate-secret --secret-id {record.arn} --region {stack.region}"
        yield warning("its rotation was cancelled", f"{again} --no-rotate-immediately")
    if not rotation.enabled:
        pending = record.version(PENDING)
        if pending and pending != record.version(CURRENT) and not is_of_ops(record, pending):
            found = (
                "has AWSPENDING at a version that isn't current, and no rotation that would end it: `ops set` refuses"
            )
            yield warning(found, remove_label_command(stack, record, pending))
        return
    if unfinished(record):
        found = (
            "a rotation is unfinished: still running, or failed and about to be tried again; "
            "docs/rotation.md, Cancel a rotation, is the way out of one that is stuck"
        )
        yield failure(found, rotate)
    elif stale := left_over(record):
        found = (
            "has AWSPENDING at the version that was rolled back from: Secrets Manager considers its rotation unfinished"
        )
        yield failure(found, remove_label_command(stack, record, stale))
    if late := _late(record):
        yield failure(late, rotate)
    if rotation.lambda_arn and (wrong := _wrong_function(aws, rotation.lambda_arn)):
        yield failure(wrong, put_back(stack))


def _restored(snapshot: Snapshot, record: Record) -> Iterator[Finding]:
    """Yield that a server's password came from a backup: the server did not check it."""
    stack, current = snapshot.stack, record.version(CURRENT)
    name = stack.name_of(record.arn)
    parts = stack.secrets[name].parts.values() if name in stack.secrets else ()
    servers = sorted({named(part.accepted_by) for part in parts if is_server(part.accepted_by)})
    if current is None or RESTORED not in record.stages[current] or not (servers or record.rotation.lambda_arn):
        return
    back = f" (if so: python -m ops rollback {name})" if record.rotation.lambda_arn else ""
    found = (
        f"its live value came from `ops restore`: {', '.join(servers) or 'the database'} can have another password{back}; "
        "once it signs in, remove the label"
    )
    yield Finding("rotation", "warning", name, found, remove_label_command(stack, record, current, RESTORED))


def _late(record: Record) -> str | None:
    rotation, now = record.rotation, datetime.now(UTC)
    if rotation.next and rotation.next + _GRACE < now:
        return f"was due to rotate by {rotation.next:%Y-%m-%d}, but didn't"
    last = rotation.last or record.created
    if rotation.every_days and last and last + timedelta(days=rotation.every_days) + _GRACE < now:
        return f"last rotated on {last:%Y-%m-%d}, but is due every {counted(rotation.every_days, 'day')}"
    return None


def _wrong_function(aws: Aws, arn: str) -> str | None:
    functions, name = aws.client("lambda", arn.split(":")[3]), arn.rpartition(":")[2]
    found: Any = tolerating(MISSING, lambda: functions.get_function(FunctionName=arn)["Configuration"])
    if found is None:
        return f"its function {name} doesn't exist"
    state = found.get("State", "Active")
    if state not in {"Active", "Inactive"}:  # Inactive: not called for weeks, wakes up by itself
        return f"its function {name} is {state}"
    text = tolerating(MISSING, lambda: functions.get_policy(FunctionName=arn)["Policy"])
    policy = parse(text, source=f"policy of {name}") if text else ()
    if not trusts(policy, Request("lambda:InvokeFunction", arn, "secretsmanager.amazonaws.com")).allows:
        return f"Secrets Manager is not allowed to call its function {name}"
    return None


def _replicas(snapshot: Snapshot) -> Iterator[Finding]:
    stack = snapshot.stack
    every = ((arn, replica) for arn, record in snapshot.live().items() for replica in record.replicas)
    for arn, replica in every:
        name, asked = f"{stack.name_of(arn)} in {replica.region}", f"--secret-id {arn} --region {stack.region}"
        if stack.leaves_replica(stack.name_of(arn), replica.region):
            # The provider leaves the last one (terraform-provider-aws, issue 23316).
            remove = (
                f"aws secretsmanager remove-regions-from-replication {asked} --remove-replica-regions {replica.region}"
            )
            found = f"replica in {replica.region} is no longer configured"
            yield Finding("replica", "warning", name, found, remove, "or name the Region in replicaRegions again")
        elif replica.status == "InProgress":
            look = f"aws secretsmanager describe-secret {asked}"
            yield Finding("replica", "warning", name, "is being replicated", look)
        elif replica.status != "InSync":
            again = (
                f"aws secretsmanager replicate-secret-to-regions {asked} --add-replica-regions Region={replica.region} "
                "--force-overwrite-replica-secret"
            )
            found = f"replication {replica.status or 'is in an unknown state'}: {replica.message or 'no reason given'}"
            yield Finding("replica", "failure", name, found, again)


def changed_after(snapshot: Snapshot, moment: datetime) -> list[str]:
    """Return the referenced secrets whose current value replaced another one after a moment.

    A first value replaces nothing: before it no task could start.
    """
    live, references = snapshot.live(), snapshot.references()
    return [
        snapshot.stack.name_of(arn)
        for arn, value in snapshot.values.items()
        if isinstance(value, Value) and arn in references and value.created > moment
        if arn in live and live[arn].version(PREVIOUS)
    ]


def check_deployed(snapshot: Snapshot, fix: str, remark: str) -> Iterator[Finding]:
    """Yield whether the task definition is newer than the values, as far as that is known without a service.

    `fix` is the command that replaces the tasks.
    """
    if snapshot.deployed is None:
        return
    registered = snapshot.deployed.registered
    if registered is None or not snapshot.values_read:
        why = "--no-values" if registered else "this endpoint doesn't report when it was registered"
        yield Finding("redeploy", "ok", "", f"not checked: {why}")
        return
    newer = changed_after(snapshot, registered)
    found = (
        f"changed after {snapshot.deployed.label} was registered on {registered:%Y-%m-%d %H:%M} UTC: "
        "tasks that started before have the old value"
    )
    problems = [Finding("redeploy", "warning", name, found, fix, remark) for name in newer]
    yield from summed_up("redeploy", problems, ok=f"{snapshot.deployed.label} is newer than every value")
