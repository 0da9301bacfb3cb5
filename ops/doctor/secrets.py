"""Checks of the secrets themselves: do they exist, do they have a value, is it what the container references?"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import cast

from components.commands import keep_command
from components.labels import OF_PULUMI
from components.references import CURRENT, PREVIOUS
from ops._console import counted
from ops._errors import DENIED
from ops._json import json_object
from ops._ownership import make_current_command, mend, ownership, parts_of, set_command, version_of_pulumi, way_back
from ops._secrets import Record, Unreadable, Value
from ops._unfit import unfit
from ops.both_sides.progress import rotating
from ops.doctor.finding import Finding, put_back, summed_up, take_anew
from ops.doctor.snapshot import Snapshot, live_label

_SIGN_IN = {"username", "password"}
_CLONE = "_clone"
"""The suffix of the second of two alternating users. Source: AWS, Secrets Manager user guide, "Alternating users"."""


def check(snapshot: Snapshot, max_age_days: int | None) -> Iterator[Finding]:
    """Yield the findings about the secrets."""
    stack, count = snapshot.stack, len(snapshot.stack.secret_arns)
    all_of_them = "the only secret exists" if count == 1 else f"all {count} secrets exist"
    ok = f"{all_of_them} in account {stack.account}, {stack.region}"
    yield from summed_up("exists", _existence(snapshot), ok=ok)
    yield from summed_up("deletion", _deletion(snapshot), ok="none is pending deletion")
    yield from summed_up("value", _values(snapshot), ok=f"all have a value at {CURRENT}")
    if snapshot.values_read:
        yield from summed_up("json", _json(snapshot), ok=lambda: _all_flat(snapshot))
    else:
        yield Finding("json", "ok", "", "not checked: --no-values")
    if max_age_days is not None:
        ok = f"no value is older than {counted(max_age_days, 'day')}"
        yield from summed_up("age", _ages(snapshot, max_age_days), ok=ok)


def _all_flat(snapshot: Snapshot) -> str:
    keys = sum(1 for references in snapshot.used.values() for reference in references if reference.key)
    return f"every JSON is flat and all strings, and has the {keys} referenced keys"


def _existence(snapshot: Snapshot) -> Iterator[Finding]:
    stack = snapshot.stack
    for name, arn in sorted(stack.secret_arns.items()):
        if found := snapshot.namesakes.get(arn):
            text = (
                f"was deleted and created again under the same name: it is {found.arn} now. Stack, role and container "
                "name the old ARN, and no task can read that"
            )
            yield Finding("exists", "failure", name, text, take_anew(stack))
        elif snapshot.records[arn] is None:
            remark = f"restore a value that Pulumi doesn't own: python -m ops restore FILE --only {name}"
            yield Finding("exists", "failure", name, "doesn't exist (deleted for good)", put_back(stack), remark)


def _deletion(snapshot: Snapshot) -> Iterator[Finding]:
    stack = snapshot.stack
    for arn, record in snapshot.records.items():
        if record and record.deleted:
            found = f"marked for deletion: it is gone for good after {record.deleted:%Y-%m-%d %H:%M} UTC; nothing can read it"
            for service, variables in stack.variables_of(arn).items():
                found += f"; no task of {service} can start: {', '.join(variables)}"
            fix = f"aws secretsmanager restore-secret --secret-id {arn} --region {stack.region}"
            yield Finding("deletion", "failure", stack.name_of(arn), found, fix)


def _values(snapshot: Snapshot) -> Iterator[Finding]:
    for arn, record in snapshot.live().items():
        name, value = snapshot.stack.name_of(arn), snapshot.values.get(arn)
        current = record.version(CURRENT)
        if current is None:
            found = f"no version has {CURRENT}: ECS finds no value" if record.stages else "has no value yet"
            yield Finding("value", "failure", name, found, _fix_current(snapshot, record))
        elif isinstance(value, Unreadable):
            yield _unreadable(snapshot, record, value)
        elif value and value.text is None:
            yield Finding("value", "failure", name, "is binary: ECS reads text only", mend(snapshot.stack, record))
        elif value and (wrong := unfit(value.text or "")):
            status = "warning" if (value.text or "").strip() else "failure"
            yield Finding("value", status, name, wrong, mend(snapshot.stack, record))
        elif _changed_by_hand(snapshot, record):
            yield _by_hand(snapshot, record, name)


def _unreadable(snapshot: Snapshot, record: Record, value: Unreadable) -> Finding:
    name = snapshot.stack.name_of(record.arn)
    if value.code in DENIED:
        found = f"could not be checked: {value.message}"
        return Finding("value", "unchecked", name, found, remark="ask for the right to read, or use --no-values")
    return Finding("value", "failure", name, f"can't be read: {value.message}", put_back(snapshot.stack))


def _changed_by_hand(snapshot: Snapshot, record: Record) -> bool:
    if rotating(record):
        return False  # the check `server` prints the command that resumes; only then the value can be kept
    labels = record.stages.get(record.version(CURRENT) or "", ())
    owner = ownership(snapshot.stack, record).owner
    return owner == "configuration" and not any(label.startswith(OF_PULUMI) for label in labels)


def _by_hand(snapshot: Snapshot, record: Record, name: str) -> Finding:
    """Report which values were changed outside Pulumi, with the commands that keep them in the configuration."""
    stack, parts = snapshot.stack, parts_of(snapshot.stack, record.arn)
    live, own = snapshot.text(record.arn), snapshot.text(record.arn, live_label(record) or "")
    before, now = json_object(own or "") or {}, json_object(live or "") or {}
    changed = [key for key in parts if not key or (live and own and before.get(key) != now.get(key))]
    keys = {key: config_key for key in changed if (config_key := parts[key].config_key)}
    at = f" at {', '.join(keys)}" if any(keys) else ""
    found = f"was changed outside Pulumi{at}; Pulumi's configuration owns it, and `up` sets no other value until it has this one"
    # `keep` refuses what is not a string, too: a printed command must not stop half-way.
    wrong = {key for key in keys if key and (not isinstance(part := now.get(key), str) or unfit(part))}
    commands = [keep_command(name, key, stack.environment) for key in keys if key not in wrong]
    back = way_back(snapshot.stack, record) if wrong or not commands else ""
    return Finding("value", "warning", name, found, " && ".join(filter(None, [*commands, back])))


def _json(snapshot: Snapshot) -> Iterator[Finding]:
    references = snapshot.used
    for arn, record in snapshot.live().items():
        name, text = snapshot.stack.name_of(arn), snapshot.text(arn)
        wanted = references.get(arn, set())
        staged = {reference.stage for reference in wanted if reference.key and reference.stage}
        is_json = snapshot.stack.secrets[name].json
        keys = {reference.key for reference in wanted if reference.key and reference.stage in {None, CURRENT}}
        if text is not None and (is_json or keys):
            yield from _json_problems(snapshot, record, name, text, keys)
        yield from _other_user(snapshot, record, text or "")
        for stage in sorted(staged - {CURRENT}):
            at_stage = {reference.key for reference in wanted if reference.stage == stage and reference.key}
            older = snapshot.text(arn, stage)
            if older is not None:
                yield from _json_problems(snapshot, record, f"{name} at {stage}", older, at_stage)


def _other_user(snapshot: Snapshot, record: Record, text: str) -> Iterator[Finding]:
    """Yield whether a rotated secret names another database user than the one that Pulumi set: the function changes that one."""
    label = live_label(record)
    own = snapshot.text(record.arn, label) if record.rotation.lambda_arn and label else None
    before, now = (str((json_object(one or "") or {}).get("username", "")) for one in (own, text))
    if before and now and before.removesuffix(_CLONE) != now.removesuffix(_CLONE):
        found = (
            "names another database user than the one that Pulumi set: the next rotation changes that user's password"
        )
        fix = set_command(snapshot.stack, record, "username")
        yield Finding("json", "failure", snapshot.stack.name_of(record.arn), found, fix)


def _json_problems(
    snapshot: Snapshot, record: Record, subject: str, text: str, referenced: set[str]
) -> Iterator[Finding]:
    failure = partial(Finding, "json", "failure", subject)
    twice: set[str] = set()

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        counts = Counter(key for key, _ in items)
        twice.update(key for key, count in counts.items() if count > 1)
        return dict(items)

    try:
        found: object = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:  # thousands of nested objects are refused, too
        # Only the position: the text around it is the value.
        position = f" (position {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        yield failure(f"is not valid JSON{position}", mend(snapshot.stack, record))
        return
    if not isinstance(found, dict):
        yield failure("is JSON, but not an object with keys", mend(snapshot.stack, record))
        return
    values = cast("dict[str, object]", found)
    for key in sorted(twice):
        yield failure(f"has the key {key} twice: either value could be the intended one", mend(snapshot.stack, record))
    # The rotation function signs in with these, although no container references them.
    used = referenced | (_SIGN_IN if record.rotation.lambda_arn else set())
    for key in sorted(referenced - set(values)):
        text = f"has no key {key}, which the container references; it has {', '.join(sorted(values)) or 'none'}"
        yield failure(text, mend(snapshot.stack, record, key))
    for key, value in sorted(values.items()):
        if not isinstance(value, str):
            kind = "nested" if isinstance(value, dict | list) else f"of type {type(value).__name__}, not text"
            # ECS prints values the way Go does: 1000000 becomes 1e+06.
            text = f"key {key} is {kind}: ECS would pass on something else"
            status = "failure" if key in referenced else "warning"
            yield Finding("json", status, subject, text, mend(snapshot.stack, record, key))
        elif wrong := unfit(value):
            status = "failure" if key in used and not value.strip() else "warning"
            yield Finding("json", status, subject, f"key {key} {wrong}", mend(snapshot.stack, record, key))


def _ages(snapshot: Snapshot, limit: int) -> Iterator[Finding]:
    for arn, record in snapshot.live().items():
        value = snapshot.values.get(arn)
        since = value.created if isinstance(value, Value) else record.changed
        days = (datetime.now(UTC) - since) // timedelta(days=1) if since else 0
        if days > limit:
            found = f"unchanged for {counted(days, 'day')}, the limit is {limit}"
            yield Finding("age", "warning", snapshot.stack.name_of(arn), found, way_back(snapshot.stack, record))


def _fix_current(snapshot: Snapshot, record: Record) -> str:
    owner = ownership(snapshot.stack, record)
    version = version_of_pulumi(record) or record.version(PREVIOUS) or next(iter(record.stages), None)
    if version:
        return make_current_command(snapshot.stack, record, version)
    return owner.fix if owner.owner == "operator" else put_back(snapshot.stack)
