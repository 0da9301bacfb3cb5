"""Checks of the values that a server accepts, too: what AWS reports of the server, compared with the secret's dates and labels.

Sources: Amazon ElastiCache, ReplicationGroup (AuthTokenLastModifiedDate); Amazon RDS, DBCluster (Status, MasterUserSecret,
PendingModifiedValues), which has no such date; AWS, Secrets Manager API, DescribeSecret (LastRotatedDate).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from components.acceptance import is_server, named, rotate_command
from components.outputs import Part
from components.references import PREVIOUS
from ops._aws import Aws
from ops._errors import MisuseError
from ops._json import json_object
from ops._restoring import written
from ops._secrets import Record, Value, read_value
from ops.both_sides.progress import rotating
from ops.both_sides.servers import NoServerError, Server, of_host
from ops.doctor.finding import Finding, guarded
from ops.doctor.snapshot import Snapshot

_CHECK = "server"
_ROUNDED = timedelta(seconds=1)


def check(aws: Aws, snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a finding for each value that a server accepts."""
    for arn, record in snapshot.live().items():
        name = snapshot.stack.name_of(arn)
        for key, part in snapshot.stack.secrets[name].parts.items() if name in snapshot.stack.secrets else ():
            if is_server(part.accepted_by):
                subject = f"{name} key {key}" if key else name
                yield from guarded(_CHECK, partial(_value, aws, snapshot, record, key, part, subject), subject)


def _value(  # noqa: PLR0917 - one value of one secret
    aws: Aws, snapshot: Snapshot, record: Record, key: str, part: Part, subject: str
) -> Iterator[Finding]:
    stack = snapshot.stack
    fix = rotate_command(stack.name_of(record.arn), key, stack.environment)
    if rotating(record):
        found = f"a change at {named(part.accepted_by)} and in the secret is unfinished"
        yield Finding(_CHECK, "failure", subject, found, fix, "it resumes where it stopped")
        return
    value = snapshot.values.get(record.arn)
    since = value.created if isinstance(value, Value) else written(aws, record)
    if record.rotation.lambda_arn:
        yield _by_function(record, part, since, subject)
        return
    try:
        server = of_host(aws, stack, (part.accepted_by or {})["host"])
    except NoServerError as error:
        yield Finding(_CHECK, "ok", subject, f"not checked: {error}")
        return
    except MisuseError as error:
        yield Finding(_CHECK, "warning", subject, str(error), remark="nothing checks this value: docs/rotation.md")
        return
    yield _at_server(aws, snapshot, record, key, server, since, fix, subject)


def _by_function(record: Record, part: Part, since: datetime | None, subject: str) -> Finding:
    last, server = record.rotation.last, named(part.accepted_by)
    found = f"its function set it at {server} on {_when(last)}" if last else ""
    if last is None:
        found = f"not checked: its function has not rotated it yet, and only a sign-in shows what {server} accepts"
    elif since and since > last + _ROUNDED:
        found = (
            f"not checked: it was written on {_when(since)}, after its function's last rotation on {_when(last)}; the next "
            f"rotation fails if {server} does not accept it"
        )
    return Finding(_CHECK, "ok", subject, found)


def _at_server(  # noqa: PLR0917 - one value at one server
    aws: Aws,
    snapshot: Snapshot,
    record: Record,
    key: str,
    server: Server,
    since: datetime | None,
    fix: str,
    subject: str,
) -> Finding:
    state, ok = server.state(), partial(Finding, _CHECK, "ok", subject)
    if not state.settled:
        found = f"{server.label} is applying a change: until then it can accept another value"
        return Finding(_CHECK, "warning", subject, found, f"{server.wait_command} {server.name}")
    if state.changed is None:
        return ok(f"{server.label} is applying no change; AWS does not report when its password was changed")
    at = f"the value of {server.label} was changed on {_when(state.changed)}"
    if since is None or since <= state.changed + _ROUNDED:
        return ok(f"{at}, after the secret")
    same = _is_as_before(aws, snapshot, record, key, state.changed) if key else False
    if same is None:
        return ok(f"not checked: {at}, before the secret, of which another key may have changed since")
    if same:
        return ok(f"{at}; other keys of the secret have changed since")
    found = f"was changed in the secret on {_when(since)}; {at}: it accepts another value"
    return Finding(_CHECK, "failure", subject, found, fix, "it sets a new value at both sides")


def _is_as_before(aws: Aws, snapshot: Snapshot, record: Record, key: str, changed: datetime) -> bool | None:
    """Return whether a key has the value of the version that the server's is as old as, None where that is unknown."""
    live = json_object(snapshot.text(record.arn) or "")
    if live is None or not record.version(PREVIOUS):
        return None
    before = read_value(aws, record.arn, stage=PREVIOUS)
    if (json_object(before.text or "") or {}).get(key) != live.get(key):
        return False
    return True if before.created <= changed + _ROUNDED else None


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
