"""`ops set` and `ops rollback`: another value for a secret whose value the operator owns."""

import json
import secrets as random_values
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, cast

import typer

from components.limits import MAX_VALUE_BYTES
from components.outputs import Secret
from components.references import CURRENT, PREVIOUS
from ops._ask import confirm, new_value
from ops._aws import Aws
from ops._console import print_json, say
from ops._env_file import read_env_file
from ops._errors import AwsError, MisuseError, aws_errors, explained
from ops._json import json_object
from ops._options import JsonOption, KeyOption, NameArgument, OutputsOption, StackOption, YesOption
from ops._ownership import own_secret, ownership
from ops._pending import settle, unfinished, way_out
from ops._secrets import Record, Value, describe, read_value
from ops._stack import Stack
from ops.doctor.service import replace_tasks


@dataclass(frozen=True)
class Change:
    """What was done, for programs and people. Version ids are random and reveal nothing about a value.

    Attributes:
        current: The version that is AWSCURRENT now.
        previous: The one before, which is AWSPREVIOUS; None when there was none.
        changed: False when the secret already had the value.
    """

    secret: str
    arn: str
    current: str
    previous: str | None
    changed: bool = True


def set_value(
    name: NameArgument,
    key: KeyOption = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    from_env_file: Annotated[
        Path | None,
        typer.Option(
            "--from-env-file",
            metavar="FILE",
            help="Set the keys of a JSON secret from a file of KEY=VALUE lines; other keys stay.",
        ),
    ] = None,
    yes: YesOption = False,
    json_: JsonOption = False,
) -> None:
    """Give a secret a new value, from a hidden prompt or the standard input; the old one stays as AWSPREVIOUS."""
    where, arn, aws = own_secret(name, stack, outputs)
    record, short = _changeable(aws, where, arn, key), where.name_of(arn)
    if key is not None and not where.secrets[short].json:
        raise MisuseError(f"{short} is plain text; leave --key out")
    parts = _from_env_file(from_env_file, where.secrets[short], short, key) if from_env_file else None
    keys = f", key{'s' if parts else ''} {', '.join(parts or [key or ''])}" if parts or key else ""
    what = f"{short}{keys}"
    confirm(f"Change {what} of {where.place}?", yes=yes)
    value = json.dumps(parts) if parts else new_value(f"{what} of {where.place}")
    for doubt in _doubts(value, key):
        confirm(f"{doubt[0].upper()}{doubt[1:]}. Continue?", yes=yes, unheard=doubt)
    before = read_value(aws, arn) if record.version(CURRENT) else None
    if parts or key:
        value = _merged(before, parts or {key or "": value})
    text = value if key else _whole(where, arn, value)
    size = len(text.encode())
    if size > MAX_VALUE_BYTES:
        raise MisuseError(f"the value has {size:,} bytes; Secrets Manager takes {MAX_VALUE_BYTES:,}")
    if before is not None and before.text == text:
        _report(Change(short, arn, before.version_id, record.version(PREVIOUS), changed=False), json_=json_)
        return
    # A value that was written meanwhile would be lost: the keys were merged into what was read above.
    if before and (now := describe(aws, arn)) and now.version(CURRENT) != before.version_id:
        raise MisuseError(f"{short} was changed elsewhere meanwhile; nothing was done, try again")
    settle(aws, record)
    current, unchecked = _put(aws, where, arn, text)
    _report(Change(short, arn, current, before.version_id if before else None), json_=json_)
    if unchecked:
        say(unchecked)
    if from_env_file:
        say(f"{from_env_file} still has the values: delete it.")
    if record.rotation.enabled:
        say("Its function keeps rotating it. If the database doesn't have this password, rotate at once instead.")
    say(replace_tasks(aws, where, arn))


def rollback(
    name: NameArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    yes: YesOption = False,
    json_: JsonOption = False,
) -> None:
    """Go back to the value before the last one: AWSCURRENT and AWSPREVIOUS change places."""
    where, arn, aws = own_secret(name, stack, outputs)
    record, short = _changeable(aws, where, arn, None), where.name_of(arn)
    current, previous = record.version(CURRENT), record.version(PREVIOUS)
    if previous is None:
        raise MisuseError(f"{short} has no {PREVIOUS} version to go back to")
    when = f" (last changed {record.changed:%Y-%m-%d %H:%M} UTC)" if record.changed else ""
    confirm(f"Go back to the previous value of {short} of {where.place}{when}?", yes=yes)
    remove = {"RemoveFromVersionId": current} if current else {}
    settle(aws, record)
    try:
        aws.client("secretsmanager").update_secret_version_stage(
            SecretId=arn, VersionStage=CURRENT, MoveToVersionId=previous, **remove
        )
    except aws_errors() as error:
        raise explained(error, unless=_look(where, arn, f"{previous} is {CURRENT} if it went back")) from None
    _report(Change(short, arn, previous, current), json_=json_)
    if record.rotation.enabled:
        say("The database still has the newer password, unless you reset it there as well: docs/rotation.md.")
    say(replace_tasks(aws, where, arn))


def _changeable(aws: Aws, stack: Stack, arn: str, key: str | None) -> Record:
    """Return a secret whose value the operator can change: the configuration does not own it, and no rotation is under way."""
    name, record = stack.name_of(arn), describe(aws, arn)
    if record is None:
        raise AwsError(f"{name} doesn't exist: python -m ops doctor --stack {stack.environment} shows what to do")
    if record.deleted:
        command = f"aws secretsmanager restore-secret --secret-id {arn} --region {stack.region}"
        raise AwsError(f"{name} is marked for deletion; first: {command}")
    owner = ownership(stack, record, key)
    if owner.owner == "configuration":
        how = "\n  ".join(owner.how)
        raise MisuseError(f"Pulumi's configuration owns the value of {name}; change it there:\n  {how}")
    if pending := unfinished(record):
        # AWS abandons a rotation when a value is written meanwhile; the database can have the new password by then.
        raise MisuseError(f"a rotation of {name} has not ended; {way_out(stack, record, pending)}")
    return record


def _whole(stack: Stack, arn: str, value: str) -> str:
    secret = stack.secret_of(arn)
    if secret is None or not secret.json:
        return value
    try:
        found: object = json.loads(value, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found:
        raise MisuseError(f"{stack.name_of(arn)} is a JSON object of strings; give one, or one key with --key")
    parts = cast("dict[str, object]", found)
    if wrong := sorted(key for key, part in parts.items() if not isinstance(part, str) or not part):
        # ECS prints numbers the way Go does, and passes nothing else on.
        raise MisuseError(f"every value must be a string that is not empty; these are not: {', '.join(wrong)}")
    if missing := sorted(stack.referenced_keys(arn) - set(parts)):
        raise MisuseError(f"the container references keys that are missing: {', '.join(missing)}")
    return json.dumps(parts, sort_keys=True, ensure_ascii=False)


def _doubts(value: str, key: str | None) -> Iterator[str]:
    """Yield what is most likely a mistake in a new value, or in the keys of a JSON object; never the value."""
    whole = None if key else json_object(value)
    parts = {f"key {name}": part for name, part in whole.items()} if whole else {"the value": value}
    for name, part in parts.items():
        if not isinstance(part, str) or part.lstrip().startswith(("-----BEGIN", "{", "[")):
            continue
        if part != part.strip():
            yield f"{name} begins or ends in white space, such as a pasted line break"
        elif "\n" in part:
            yield f"{name} has {len(part.splitlines())} lines"


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a JSON object that has a key twice: either value could be the intended one."""
    if twice := sorted({key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1}):
        raise MisuseError(f"the JSON has a key twice: {', '.join(twice)}; nothing was changed")
    return dict(pairs)


def _from_env_file(path: Path, secret: Secret[str], name: str, key: str | None) -> dict[str, str]:
    """Return the keys and values in a file of `KEY=VALUE` lines; no message quotes a value."""
    if key is not None:
        raise MisuseError("--from-env-file names the keys itself: leave --key out")
    if not secret.json:
        raise MisuseError(f"{name} is plain text; --from-env-file sets the keys of a JSON secret")
    try:
        found = read_env_file(path)
    except ValueError as error:
        raise MisuseError(f"{error}; nothing was changed") from None
    if empty := sorted(name for name, value in found.items() if not value.strip()):
        raise MisuseError(f"{path} has no value for {', '.join(empty)}; nothing was changed")
    return found


def _merged(before: Value | None, parts: Mapping[str, str]) -> str:
    for key in parts:
        if ":" in key or not key.isprintable() or key != key.strip():
            raise MisuseError(
                f"ECS can't reference the key {key!r}: no colon, no control character, no blank at its ends"
            )
    found = json_object(before.text or "") if before else {}
    if found is None:
        raise MisuseError("the secret is not a JSON object; set it whole, without --key")
    return json.dumps({**found, **parts}, sort_keys=True, ensure_ascii=False)


def _put(aws: Aws, stack: Stack, arn: str, text: str) -> tuple[str, str]:
    """Return the version that was written, and why it is not known that it is current, "" when it is."""
    # Its own token: a retry after a lost answer writes no second version.
    token = f"{random_values.token_hex(16)}-ops"
    try:
        aws.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=text, ClientRequestToken=token)
    except aws_errors() as error:
        raise explained(error, unless=_look(stack, arn, f"{token} is {CURRENT} if the value was stored")) from None
    try:
        after = describe(aws, arn)
    except aws_errors() as error:
        why = f"that no other value was written at the same time could not be checked: {explained(error)}"
        return token, f"AWS stored the value; {why}"
    if after and after.version(CURRENT) != token:
        raise AwsError(
            f"AWS stored the value as version {token}, but {CURRENT} is at {after.version(CURRENT)}: try again"
        )
    return token, ""


def _look(stack: Stack, arn: str, meaning: str) -> str:
    return f"python -m ops describe {stack.name_of(arn)} --stack {stack.environment} ({meaning})"


def _report(change: Change, *, json_: bool) -> None:
    if json_:
        print_json(asdict(change))
    elif not change.changed:
        say(f"{change.secret} has that value already; nothing was done.")
    else:
        before = f", {change.previous} is {PREVIOUS}" if change.previous else ""
        say(f"{change.secret}: {change.current} is {CURRENT} now{before}.")
