"""Checks of foreign secrets: do they exist, do they hold what the container references, can the role read them?"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from components.references import CURRENT
from ops._aws import Aws
from ops._console import counted
from ops._errors import DENIED, MISSING, AwsError, aws_errors, code_of
from ops._json import json_object
from ops._ownership import owner_of, parts_of
from ops._roles import Role
from ops._secrets import Record, describe, read_value, resource_policies
from ops._stack import Stack
from ops.access.evaluator import Request, Statement, decide, parse
from ops.doctor.finding import Finding, guarded, put_back, summed_up, unchecked
from ops.doctor.role import READ, name_key, request_context
from ops.doctor.snapshot import Key, Snapshot, read_key

CHECK = "foreign"


def check(aws: Aws, snapshots: tuple[Snapshot, ...], *, values: bool) -> Iterator[Finding]:
    """Yield the findings; none when the stack has no foreign secret."""
    stack = snapshots[0].stack
    if not stack.foreign_secrets:
        return
    found = [
        finding
        for name, arn in sorted(stack.foreign_arns.items())
        for finding in guarded(CHECK, partial(_examined, aws, snapshots, name, arn, values=values), name)
    ]
    count = len(stack.foreign_secrets)
    yield from summed_up(
        CHECK,
        found,
        ok=f"{counted(count, 'secret')} of other owners: they exist, have what is referenced, and can be read",
    )


def _examined(aws: Aws, snapshots: tuple[Snapshot, ...], name: str, arn: str, *, values: bool) -> Iterator[Finding]:
    stack = snapshots[0].stack
    ask = f"ask {owner_of(stack, arn)}"
    try:
        record = describe(aws, arn)
    except aws_errors() as error:
        yield replace(unchecked(CHECK, error, name), remark=f"{ask} for secretsmanager:DescribeSecret")
        return
    if record is None:
        found = "doesn't exist (any more): nothing can read it"
        yield Finding(CHECK, "failure", name, found, remark=f"{ask} for its ARN, then foreignSecrets.{name}")
        return
    if record.deleted:
        found = f"is pending deletion, until {record.deleted:%Y-%m-%d %H:%M} UTC: nothing can read it"
        yield Finding(CHECK, "failure", name, found, remark=f"{ask} to restore it")
        return
    if values:
        yield from _value(aws, snapshots, name, arn, ask)
    yield from _rights(aws, snapshots, name, record, ask)


def _value(aws: Aws, snapshots: tuple[Snapshot, ...], name: str, arn: str, ask: str) -> Iterator[Finding]:
    stack = snapshots[0].stack
    keys = {reference.key for reference in snapshots[0].used.get(arn, ()) if reference.key}
    keys |= {key for key in parts_of(stack, arn) if key}
    try:
        text = read_value(aws, arn).text
    except AwsError as error:
        status = "warning" if error.code in DENIED else "failure"
        yield Finding(
            CHECK,
            status,
            name,
            f"can't be read: {error}",
            remark=f"{ask} for a value at {CURRENT}, or for the right to read it",
        )
        return
    if text is None:
        yield Finding(CHECK, "failure", name, "is binary: ECS reads text only", remark=f"{ask} for a text")
        return
    content = json_object(text)
    if keys and content is None:
        yield Finding(
            CHECK,
            "failure",
            name,
            "is not a JSON object, and the container references keys of it",
            remark=f"{ask} what it holds",
        )
        return
    for key in sorted(keys):
        if not isinstance((content or {}).get(key), str):
            found = f"has no text under the key {key}; it has {', '.join(sorted(content or {})) or 'none'}"
            yield Finding(CHECK, "failure", name, found, remark=f"{ask} what it holds, then correct catalogue.py")


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
            yield from _may_read(snapshot.stack, snapshot.role, name, record.arn, policy, ask)
            if key and key.policy is not None:
                yield from _may_decrypt(snapshot.stack, snapshot.role, name, record.arn, key, ask)


def _may_read(  # noqa: PLR0917 - what decides, in the order in which it does
    stack: Stack, role: Role, name: str, arn: str, policy: tuple[Statement, ...], ask: str
) -> Iterator[Finding]:
    elsewhere = arn.split(":")[4] != stack.account
    decision = decide(
        Request(READ, arn, role.arn, request_context(stack, role, arn)),
        identity=role.identity,
        boundary=role.boundary,
        resource=policy,
        # A policy in another account that can't be read counts as open.
        resource_must_allow=elsewhere and bool(policy),
    )
    if not decision.allows:
        denied = decision.outcome == "explicit-deny" or elsewhere
        found = f"{READ} is denied by {decision.statement}" if decision.statement else f"no policy allows {READ}"
        fix, remark = ("", f"{ask} to let {role.arn} read it") if denied else (put_back(stack), "")
        yield Finding(CHECK, "failure", f"{role.name} on {name}", found, fix, remark)


def _may_decrypt(  # noqa: PLR0917 - as above
    stack: Stack, role: Role, name: str, arn: str, key: Key, ask: str
) -> Iterator[Finding]:
    decision = decide(
        Request("kms:Decrypt", key.arn, role.arn, request_context(stack, role, arn)),
        identity=role.identity,
        boundary=role.boundary,
        resource=key.policy or (),
        resource_must_allow=True,
    )
    if not decision.allows:
        found = f"no policy allows kms:Decrypt with {key.arn}"
        configured = stack.foreign_key_arns.get(name) == key.arn
        fix, remark = ("", f"{ask} to let the role use the key") if configured else (name_key(stack, name, key.arn), "")
        yield Finding(CHECK, "failure", f"{role.name} on the key of {name}", found, fix, remark)


def _key(aws: Aws, record: Record) -> Key | None:
    """Return a secret's key, None for one that doesn't exist or can't be described."""
    try:
        return read_key(aws, _in_place(record))
    except aws_errors() as error:
        if code_of(error) not in DENIED | MISSING:
            raise
        return None


def _in_place(record: Record) -> str:
    """Return the key as it is asked for in the secret's own account and Region."""
    key, fields = record.kms_key_id or "", record.arn.split(":")
    resource = key if key.startswith("alias/") else f"key/{key}"
    return key if key.startswith("arn:") else f"{fields[0]}:{fields[1]}:kms:{fields[3]}:{fields[4]}:{resource}"
