"""`ops rotate`: start a rotation, or join one that is under way, and follow it to its end."""

import contextlib
import http.client
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from urllib.request import ProxyHandler, build_opener

import typer

from components.acceptance import is_server
from components.commands import keep_command
from components.references import CURRENT, PENDING
from ops._ask import confirm
from ops._aws import Aws
from ops._console import print_json, say
from ops._errors import AwsError, MisuseError, OpsError, aws_errors, code_of, explained
from ops._json import json_object
from ops._options import JsonOption, KeyOption, NameArgument, OutputsOption, StackOption, YesOption
from ops._ownership import own_secret, ownership, parts_of
from ops._pending import settle, unfinished, way_out
from ops._secrets import Record, describe, read_value
from ops._stack import Stack, uses_local_aws
from ops.both_sides.change import Change, plan
from ops.both_sides.progress import Step
from ops.both_sides.servers import of_host
from ops.doctor.service import replace_tasks

_POLL_SECONDS = 2.0
_LOG_EVENTS = 100


@dataclass(frozen=True)
class Rotated:
    """A finished rotation."""

    secret: str
    arn: str
    version_id: str
    seconds: float


def rotate(
    name: NameArgument,
    key: KeyOption = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    timeout: Annotated[int, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long to follow it.")] = 900,
    deployed: Annotated[
        bool, typer.Option("--deployed", help="Every task was replaced since the new value: skip the check.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the steps and the state; change nothing.")] = False,
    yes: YesOption = False,
    json_: JsonOption = False,
) -> None:
    """Rotate a secret now, and follow it to the end: by its function, or at the server that checks it and in the secret."""
    where, arn, aws = own_secret(name, stack, outputs)
    short, record = where.name_of(arn), describe(aws, arn)
    if record is None or record.deleted:
        state = "is marked for deletion" if record else "doesn't exist"
        raise AwsError(f"{short} {state}: python -m ops doctor --stack {where.environment} shows what to do")
    if not record.rotation.lambda_arn:
        change = _both_sides(aws, where, record, key, deadline=time.monotonic() + timeout, deployed=deployed)
        _change_both_sides(change, dry_run=dry_run, yes=yes, json_=json_)
        return
    if key is not None:
        raise MisuseError(f"a function rotates {short} as a whole: leave --key out")
    if dry_run:
        say(f"{short}: its function would create a new value now. Nothing was changed.")
        return
    _refuse_moto(where, short)
    begun = _begin(aws, where, record, yes=yes)
    began = time.monotonic()
    try:
        follow(lambda: describe(aws, arn), begun, began + timeout)
    except RotationError as error:
        out = f"{error}{_last_words(aws, record.rotation.lambda_arn, timeout)}"
        with contextlib.suppress(*aws_errors()):  # why the rotation failed is worth more
            if (last := describe(aws, arn)) and (pending := unfinished(last)):
                out += f"\n{way_out(where, last, pending)}"
        raise OpsError(out) from None
    except aws_errors() as error:
        raise AwsError(
            f"the rotation goes on as version {begun}, but can't be followed: {explained(error)}. Follow it with:\n"
            f"  python -m ops rotate {short} --stack {where.environment}"
        ) from None
    done = Rotated(short, arn, begun, round(time.monotonic() - began, 1))
    _report(done, f"{short} rotated in {done.seconds} s: {begun} is {CURRENT}.", json_=json_)
    say(replace_tasks(aws, where, arn))


def _report(done: Rotated, text: str, *, json_: bool) -> None:
    if json_:
        print_json(asdict(done))
    else:
        say(text)


def _both_sides(aws: Aws, stack: Stack, record: Record, key: str | None, *, deadline: float, deployed: bool) -> Change:
    """Return the change of a value that a server checks."""
    parts = {k: part for k, part in parts_of(stack, record.arn).items() if is_server(part.accepted_by)}
    name = stack.name_of(record.arn)
    if key is not None and key not in parts:
        raise MisuseError(f"no server checks the key {key} of {name}; {_why_not(stack, record, key)}")
    if not parts:
        raise MisuseError(_why_not(stack, record, key))
    if key is None and len(parts) > 1:
        raise MisuseError(f"servers check several values of {name}; add --key: {', '.join(sorted(parts))}")
    chosen = next(iter(parts)) if key is None else key
    accepted_by = parts[chosen].accepted_by or {}
    server = of_host(aws, stack, accepted_by["host"])
    live = json_object(read_value(aws, record.arn).text or "") if chosen and server.user else None
    if (live or {}).get("username", server.user) not in {None, server.user}:
        raise MisuseError(
            f"{name} is the password of another user, and this command changes only that of {server.label}. Let a function "
            "rotate it: configure `rotation` (docs/rotation.md)"
        )
    return Change(aws, stack, record.arn, chosen, parts[chosen], server, say, deadline, deployed)


def _change_both_sides(change: Change, *, dry_run: bool, yes: bool, json_: bool) -> None:
    at, subject, server = change.where(), change.subject, change.server
    if dry_run:
        say("\n".join((*plan(change), "Nothing was changed.")))
        return
    stack, name = change.stack, change.stack.name_of(change.arn)
    if at.step is Step.PUT:
        window = (
            "" if server.takes_two else " New connections with the previous value fail until tasks have the new one."
        )
        confirm(f"Change {subject} of {stack.place} at {server.label} and in the secret?{window}", yes=yes)
    else:
        say(f"A change of {subject} is under way; next: {change.told(at.step)}.")
    began = time.monotonic()
    done = Rotated(name, change.arn, change.run(), round(time.monotonic() - began, 1))
    text = f"{subject} changed in {done.seconds} s: {done.version_id} is {CURRENT}, and {server.label} accepts it."
    _report(done, text, json_=json_)
    if change.part.config_key:
        say(
            "`up` keeps this value, and refuses to replace it. Before another change of the secret, set it in the "
            f"configuration:\n  {keep_command(name, change.key, stack.environment)}"
        )


class RotationError(Exception):
    """A rotation that failed."""


def follow(look: Callable[[], Record | None], version: str, deadline: float) -> None:
    """Return when a version has become current; each step is printed once. `deadline` is by `time.monotonic()`.

    Raises:
        RotationError: When the secret is gone, the rotation was abandoned, or it timed out.
    """
    seen: tuple[str, ...] | None = None
    while True:
        record = look()
        if record is None or record.deleted:
            raise RotationError("the secret was deleted during the rotation")
        labels = record.stages.get(version, ())
        if CURRENT in labels:
            say("finishSecret: the new value is current")
            return
        if labels != seen:
            step = "createSecret: the new value exists; setSecret and testSecret are next"
            say(step if PENDING in labels else "waiting for createSecret")
        if seen and PENDING in seen and PENDING not in labels:
            raise RotationError("the rotation was abandoned: another value was written, or it was cancelled")
        if time.monotonic() > deadline:
            raise RotationError(
                "the rotation did not end in time; Secrets Manager keeps trying: run this again to follow it"
            )
        seen = labels
        time.sleep(_POLL_SECONDS)


def _why_not(stack: Stack, record: Record, key: str | None = None) -> str:
    name = stack.name_of(record.arn)
    owner = ownership(stack, record, key)
    if owner.owner == "configuration":
        how = "\n  ".join(owner.how)
        return f"no function rotates {name}: Pulumi's configuration owns its value, change it there:\n  {how}"
    return f"no function rotates {name}; give it a new value: {owner.fix}"


def _refuse_moto(stack: Stack, name: str) -> None:
    """Refuse where a rotation would break the secret: moto runs no function and loses the current value."""
    if not uses_local_aws():
        return
    url = f"{os.environ['AWS_ENDPOINT_URL'].rstrip('/')}/moto-api/config"
    try:
        build_opener(ProxyHandler({})).open(url, timeout=5).close()  # it is on this machine, whatever the proxy
    except (OSError, http.client.HTTPException):
        return
    command = f"python -m sandbox rotate {name} --stack {stack.environment}"
    raise MisuseError(f"the local AWS does not run functions; the sandbox rotates it: {command}")


def _begin(aws: Aws, stack: Stack, record: Record, *, yes: bool) -> str:
    """Return the version that a rotation creates: a new one, or the one that is under way."""
    name = stack.name_of(record.arn)
    if pending := unfinished(record):
        say(f"A rotation of {name} is under way; following it.")
        return pending
    confirm(f"Rotate {name} of {stack.place} now?", yes=yes)
    settle(aws, record)
    token = str(uuid.uuid4())
    try:
        aws.client("secretsmanager").rotate_secret(
            SecretId=record.arn, ClientRequestToken=token, RotateImmediately=True
        )
    except aws_errors() as error:
        if code_of(error) == "InvalidRequestException":
            raise MisuseError(f"Secrets Manager doesn't start a rotation of {name} now: {explained(error)}") from None
        raise explained(
            error, unless=f"python -m ops rotate {name} --stack {stack.environment} follows it then"
        ) from None
    return token


def _last_words(aws: Aws, function_arn: str, seconds: int) -> str:
    """Return what the function logged last as an error, for the operator; its logs never hold a value."""
    group = f"/aws/lambda/{function_arn.split(':')[6]}"
    since = int((time.time() - seconds - 60) * 1000)
    try:
        events: list[Any] = aws.client("logs").filter_log_events(
            logGroupName=group, startTime=since, filterPattern="ERROR", limit=_LOG_EVENTS
        )["events"]
    except aws_errors() as error:
        return f"\n  its log {group} can't be read: {explained(error)}"
    if not events:
        return f"\n  {group} has no error since then"
    line = events[-1]["message"]
    return f"\n  {group} says: {(json_object(line) or {}).get('message', line.strip())}"
