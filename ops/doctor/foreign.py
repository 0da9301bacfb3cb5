"""Checks of foreign secrets: do they exist, do they hold what the container references, can the role read them?"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from components.references import CURRENT
from ops._aws import Aws
from ops._console import counted
from ops._errors import DENIED, MISSING, AwsError, aws_errors, tolerating
from ops._json import json_object
from ops._ownership import owner_of, parts_of
from ops._roles import Role
from ops._secrets import Record, describe, key_arn, read_value, resource_policies
from ops._stack import Stack
from ops.access.evaluator import Statement, parse
from ops.doctor.finding import Finding, guarded, put_back, summed_up, unchecked
from ops.doctor.role import READ, name_key, request_context
from ops.doctor.snapshot import Key, Snapshot, read_key

CHECK = "foreign"


def check(aws: Aws, snapshots: tuple[Snapshot, ...], *, values: bool) -> Iterator[Finding]:
    """Yield the findings; none when the stack has no foreign secret."""
    foreign = snapshots[0].stack.foreign_arns
    if not foreign:
        return
    found = [
        finding
        for name, arn in sorted(foreign.items())
        for finding in guarded(CHECK, partial(_examined, aws, snapshots, name, arn, values=values), name)
    ]
    ok = f"{counted(len(foreign), 'secret')} of other owners: they exist, have what is referenced, and can be read"
    yield from summed_up(CHECK, found, ok=ok)


def _examined(aws: Aws, snapshots: tuple[Snapshot, ...], name: str, arn: str, *, values: bool) -> Iterator[Finding]:
    ask, failure = f"ask {owner_of(snapshots[0].stack, arn)}", partial(Finding, CHECK, "failure", name)
    try:
        record = describe(aws, arn)
    except aws_errors() as error:
        yield replace(unchecked(CHECK, error, name), remark=f"{ask} for secretsmanager:DescribeSecret")
        return
    if record is None:
        remark = f"{ask} for its ARN, then foreignSecrets.{name}"
        yield failure("doesn't exist (any more): nothing can read it", remark=remark)
        return
    if record.deleted:
        found = f"is pending deletion, until {record.deleted:%Y-%m-%d %H:%M} UTC: nothing can read it"
        yield failure(found, remark=f"{ask} to restore it")
        return
    if values:
        yield from _value(aws, snapshots, name, arn, ask)
    yield from _rights(aws, snapshots, name, record, ask)


def _value(aws: Aws, snapshots: tuple[Snapshot, ...], name: str, arn: str, ask: str) -> Iterator[Finding]:
    failure = partial(Finding, CHECK, "failure", name)
    keys = {reference.key for reference in snapshots[0].used.get(arn, ()) if reference.key}
    keys |= {key for key in parts_of(snapshots[0].stack, arn) if key}
    try:
        text = read_value(aws, arn).text
    except AwsError as error:
        status = "warning" if error.code in DENIED else "failure"
        remark = f"{ask} for a value at {CURRENT}, or for the right to read it"
        yield Finding(CHECK, status, name, f"can't be read: {error}", remark=remark)
        return
    if text is None:
        yield failure("is binary: ECS reads text only", remark=f"{ask} for a text")
        return
    content = json_object(text)
    if keys and content is None:
        found = "is not a JSON object, and the container references keys of it"
        yield failure(found, remark=f"{ask} what it holds")
        return
    for key in sorted(keys):
        if not isinstance((content or {}).get(key), str):
            found = f"has no text under the key {key}; it has {', '.join(sorted(content or {})) or 'none'}"
            yield failure(found, remark=f"{ask} what it holds, then correct catalogue.py")


def _rights(aws: Aws, snapshots: tuple[Snapshot, ...], name: str, record: Record, ask: str) -> Iterator[Finding]:
    key = _key(aws, record) if record.kms_key_id else None
    if record.kms_key_id and (key is None or key.policy is None):
        found = f"could not be checked: its key {record.kms_key_id} or the key's policy can't be read"
        yield Finding(CHECK, "unchecked", name, found, remark=f"{ask} for kms:DescribeKey and kms:GetKeyPolicy")
    if key and key.state != "Enabled":
        found = f"its key is {key.state}: nothing can be decrypted"
        yield Finding(CHECK, "failure", name, found, remark=f"{ask} to enable it")
    text = resource_policies(aws, [record.arn])[record.arn]
    policy = parse(text, source="the secret's resource policy") if text else ()
    for snapshot in snapshots:
        if snapshot.role and record.arn in snapshot.references():
            yield from _of_role(snapshot.stack, snapshot.role, name, record.arn, policy, key, ask)


def _of_role(  # noqa: PLR0917 - what decides, in the order in which it does
    stack: Stack, role: Role, name: str, arn: str, policy: tuple[Statement, ...], key: Key | None, ask: str
) -> Iterator[Finding]:
    elsewhere, known = arn.split(":")[4] != stack.account, request_context(stack, role, arn)
    # A policy in another account that can't be read counts as open.
    decision = role.may(READ, arn, known, policy, policy_must_allow=elsewhere and bool(policy))
    if not decision.allows:
        denied = decision.outcome == "explicit-deny" or elsewhere
        found = f"{READ} is denied by {decision.statement}" if decision.statement else f"no policy allows {READ}"
        fix, remark = ("", f"{ask} to let {role.arn} read it") if denied else (put_back(stack), "")
        yield Finding(CHECK, "failure", f"{role.name} on {name}", found, fix, remark)
    if key is None or key.policy is None:
        return
    if not role.may("kms:Decrypt", key.arn, known, key.policy, policy_must_allow=True).allows:
        found = f"no policy allows kms:Decrypt with {key.arn}"
        configured = stack.foreign_key_arns.get(name) == key.arn
        fix, remark = ("", f"{ask} to let the role use the key") if configured else (name_key(stack, name, key.arn), "")
        yield Finding(CHECK, "failure", f"{role.name} on the key of {name}", found, fix, remark)


def _key(aws: Aws, record: Record) -> Key | None:
    """Return a secret's key, None for one that doesn't exist or can't be described."""
    # As it is asked for in the secret's own account and Region.
    return tolerating(DENIED | MISSING, lambda: read_key(aws, key_arn(record.arn, record.kms_key_id or "")))
