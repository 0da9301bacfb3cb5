"""`ops list` and `ops describe`: what exists, without a value."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from components.acceptance import is_server, named
from components.references import CURRENT
from ops._aws import Aws, connect
from ops._console import counted, print_json, print_table, working
from ops._errors import DENIED, MisuseError, aws_errors, code_of
from ops._options import JsonOption, NameArgument, OutputsOption, StackOption
from ops._ownership import owner_of, ownership, parts_of
from ops._secrets import Record, describe, describe_all, list_records, resource_policies
from ops._stack import Stack, load


def list_secrets(stack: StackOption = None, outputs: OutputsOption = None, *, json_: JsonOption = False) -> None:
    """List the stack's secrets: names, age, rotation, who owns the value. Never a value."""
    where = load(stack, outputs)
    aws = connect(where)
    with working(f"Listing the secrets of {where.environment}"):
        found = records_of(aws, where) | foreign_records(aws, where)
    if json_:
        listed = [_listed(where, name, found[arn]) for name, arn in where.every_secret_arn.items()]
        print_json({"stack": where.environment, "secrets": listed})
        return
    rows = [
        (name, *_cells(where, arn, found[arn]), _owner(where, arn, found[arn]), _checked(where, arn))
        for name, arn in sorted(where.every_secret_arn.items())
    ]
    print_table(f"Secrets of {where.place}", ("name", "state", "age", "rotated", "owner", "checked"), rows)


def _cells(stack: Stack, arn: str, record: Record | None) -> tuple[str, str, str]:
    """Return a secret's state, age and last rotation, short enough for a line of 80 characters."""
    if record is None:
        return "missing", "", ""
    days = days_since(record.changed)
    state = f"gone {record.deleted:%Y-%m-%d}" if record.deleted else _state(record)
    rotation = record.rotation
    last = f"{rotation.last:%Y-%m-%d}" if rotation.last else "never"
    rotated = last if rotation.enabled else "cancelled" if rotation.lambda_arn else "off"
    return state, "" if days is None else f"{days} d", "" if stack.is_foreign(arn) and not record.stages else rotated


def _checked(stack: Stack, arn: str) -> str:
    """Return who else checks a value of the secret: `server`, `partner`, `server + partner` or ""."""
    kinds = {is_server(part.accepted_by) for part in parts_of(stack, arn).values() if part.accepted_by}
    return " + ".join("server" if kind else "partner" for kind in sorted(kinds, reverse=True))


def _owner(stack: Stack, arn: str, record: Record | None) -> str:
    if stack.is_foreign(arn):
        return owner_of(stack, arn)
    return ownership(stack, record).owner if record else ""


def describe_secret(
    name: NameArgument, stack: StackOption = None, outputs: OutputsOption = None, *, json_: JsonOption = False
) -> None:
    """Describe one secret: versions and their labels, rotation, replicas, key, who uses it. Never a value."""
    where = load(stack, outputs)
    arn = where.arn_of(name)
    aws = connect(where)
    record = existing(aws, where, arn)
    policy = resource_policies(aws, [arn])[arn]
    owner = ownership(where, record)
    variables = sorted(
        f"{variable} ({name})" if len(where.services) > 1 else variable
        for name, found in where.variables_of(arn).items()
        for variable in found
    )
    if json_:
        extra = {"owner": owner.owner, "variables": variables, "resource_policy": policy}
        print_json(asdict(record) | _listed(where, where.name_of(arn), record) | extra)
        return
    rows: list[tuple[str, Any]] = [
        ("name", record.name),
        ("ARN", record.arn),
        ("state", _state(record)),
        ("description", record.description),
        ("changed", f"{record.changed:%Y-%m-%d %H:%M %Z} ({age(record.changed)})" if record.changed else "never"),
        *((f"version {version}", ", ".join(labels) or "no label") for version, labels in record.stages.items()),
        ("rotation", _rotation(record)),
        ("key", record.kms_key_id or "AWS-managed (aws/secretsmanager)"),
        *((f"replica in {r.region}", r.status) for r in record.replicas),
        ("resource policy", "yes" if policy else "none"),
        ("tags", ", ".join(f"{key}={value}" for key, value in sorted(record.tags.items()))),
        ("variables", ", ".join(variables) or "none"),
        ("owner of the value", owner.owner),
        *(("changed by" if owner.owner == "foreign" else "change it with", line) for line in owner.how),
        *(
            ("checked by", f"{named(part.accepted_by)}{f' ({key})' if key else ''}, besides the application")
            for key, part in parts_of(where, arn).items()
            if part.accepted_by
        ),
    ]
    print_table(f"Secret {where.name_of(arn)} of {where.place}", ("", ""), rows)


def existing(aws: Aws, stack: Stack, arn: str) -> Record:
    """Return a secret of the stack, which must exist."""
    record = describe(aws, arn)
    if record is None:
        raise MisuseError(f"{arn} doesn't exist any more; see python -m ops doctor --stack {stack.environment}")
    return record


def records_of(aws: Aws, stack: Stack) -> dict[str, Record | None]:
    """Return the stack's secrets by ARN as they are now, None where one doesn't exist.

    The list is one call for a hundred; what it lacks is described alone, since the list lags behind.
    """
    here = {stack.full_names[name]: arn for name, arn in stack.secret_arns.items() if arn.split(":")[3] == aws.region}
    listed: dict[str, Record | None] = dict(list_records(aws, here))
    return listed | describe_all(aws, [arn for arn in stack.secret_arns.values() if arn not in listed])


def foreign_records(aws: Aws, stack: Stack) -> dict[str, Record | None]:
    """Return the foreign secrets by ARN, None where one doesn't exist.

    One that can't be described has neither labels nor a date of creation.
    """

    def look(arn: str) -> Record | None:
        try:
            return describe(aws, arn)
        except aws_errors() as error:
            if code_of(error) not in DENIED:
                raise
            return Record(arn, stack.name_of(arn))

    return aws.each(look, stack.foreign_arns.values())


def age(moment: datetime | None) -> str:
    """Return how long ago something was, in words."""
    days = days_since(moment)
    if days is None:
        return ""
    return "today" if days < 1 else f"{counted(days, 'day')} ago"


def days_since(moment: datetime | None) -> int | None:
    """Return how many whole days ago something was, None when it never was."""
    return None if moment is None else (datetime.now(UTC) - moment).days


def _state(record: Record) -> str:
    if record.deleted:
        return f"pending deletion, gone after {record.deleted:%Y-%m-%d}"
    if not record.stages and record.created is None:
        return "not visible"
    return "ok" if record.version(CURRENT) else "no value"


def _rotation(record: Record) -> str:
    rotation = record.rotation
    if not rotation.enabled:
        return "cancelled" if rotation.lambda_arn else "off"
    return f"{rotation.when}, last {f'{rotation.last:%Y-%m-%d}' if rotation.last else 'never'}"


def _listed(stack: Stack, name: str, record: Record | None) -> dict[str, Any]:
    if record is None:
        return {"name": name, "arn": stack.every_secret_arn[name], "state": "missing"}
    return {
        "name": name,
        "full_name": record.name,
        "arn": record.arn,
        "state": _state(record),
        "changed": record.changed,
        "rotation": asdict(record.rotation),
        "labels": {label: version for version, labels in record.stages.items() for label in labels},
        "owner": ownership(stack, record).owner,
        "accepted_by": {key: part.accepted_by for key, part in parts_of(stack, record.arn).items() if part.accepted_by},
    }
