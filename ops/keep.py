"""`ops keep`: sets a secret's live value in the stack's configuration, completely or not at all.

It replaces `ops reveal NAME | pulumi config set --secret KEY`, which sets an empty value when the first part fails.
"""

import contextlib
from pathlib import Path
from typing import Annotated, cast

import typer

from components.commands import ways
from components.outputs import STACK, Secret
from components.references import CURRENT
from ops._aws import Aws, connect
from ops._console import say
from ops._errors import AwsError, MisuseError, aws_errors, explained
from ops._json import json_object
from ops._options import KeyOption, NameArgument, OutputsOption, StackOption
from ops._ownership import mend, ownership, parts_of, version_of_pulumi
from ops._plan import connect_planned, project_directory, read_plan
from ops._pulumi import Configuration
from ops._secrets import Record, Value, describe, read_value
from ops._stack import Stack, in_sandbox, load
from ops._unfit import unfit_to_keep
from ops.doctor.finding import again


def keep(
    name: NameArgument,
    key: KeyOption = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    config_key: Annotated[
        str | None,
        typer.Option("--config-key", metavar="KEY", help="The configuration key; by default the catalogue's."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="LABEL", help="PREVIOUS or another label, instead of the live version."),
    ] = None,
) -> None:
    """Set a secret's live value in the stack's configuration, so that `up` keeps it. It checks, sets and reads back."""
    where, aws = _find(stack, outputs)
    arn = where.arn_of(name)
    short = where.name_of(arn)
    sandbox = in_sandbox()
    tool = Configuration(where.environment if sandbox else stack or where.environment, project_directory(), sandbox)
    config_key = config_key or _config_key(tool, where, arn, key)
    record = describe(aws, arn)
    if record is None or record.deleted or not record.version(CURRENT):
        why = "doesn't exist" if record is None else "is pending deletion" if record.deleted else "has no value"
        raise MisuseError(f"{short} {why}; the configuration was not changed")
    found = read_value(aws, arn, stage="AWSPREVIOUS" if version == "PREVIOUS" else version)
    value = _checked(where, record, found, key, version)
    what = f"the value of {short} at {version}" if version else f"the live value of {short}"
    if tool.get(config_key) == value:
        say(f"{config_key} of {tool.file} has {what} already; nothing was changed.")
        return
    tool.replace(config_key, value, lambda: None if version else _still_current(aws, short, found))
    say(f"{config_key} of {tool.file} has {what} now. Next: {again(where)}")


def _find(stack: str | None, outputs: Path | None) -> tuple[Stack, Aws]:
    """Return a stack and its AWS.

    A stack that `ops recover` imports has no outputs while its `up` refuses until a value is kept: the application's plan then
    names its secrets.
    """
    try:
        where = load(stack, outputs)
    except MisuseError as error:
        if not stack or outputs:
            raise
        name = stack.rpartition("/")[2]
        try:
            plan = read_plan(name, configured=True)
        except MisuseError:
            raise error from None
        aws, _ = connect_planned(name, plan)
        secrets = {
            secret.name: Secret(record.arn, record.name, STACK, aws.region, secret.json, secret.parts)
            for secret in plan.secrets.values()
            if secret.owner == STACK and secret.full_name and (record := describe(aws, secret.full_name))
        }
        if not secrets:
            raise
        return Stack(name, {key: secret.arn for key, secret in secrets.items()}, secrets, {}, 0), aws
    return where, connect(where)


def _still_current(aws: Aws, name: str, value: Value) -> None:
    try:
        record = describe(aws, value.arn)
    except aws_errors() as error:
        raise AwsError(f"{explained(error)}; the configuration is as it was: run this command again") from None
    if record is None or record.version(CURRENT) != value.version_id:
        raise AwsError(f"{name} was changed meanwhile; the configuration is as it was: run this command again")


def _checked(stack: Stack, record: Record, value: Value, key: str | None, version: str | None) -> str:
    """Return the value, or the one of a key, when the configuration should have it."""
    name = stack.name_of(record.arn)
    unchanged = "the configuration was not changed"
    if value.text is None:
        raise MisuseError(f"{name} holds a binary value; {unchanged}")
    text, what = value.text, name
    if key is not None:
        parts, what = json_object(text), f"{name} key {key}"
        if parts is None:
            raise MisuseError(f"{name} is not a JSON object; {unchanged}")
        if key not in parts:
            raise MisuseError(f"{name} has no key {key}; it has {', '.join(sorted(parts)) or 'none'}; {unchanged}")
        if not isinstance(parts[key], str):
            raise MisuseError(f"{what} is not a string; {unchanged}")
        text = cast("str", parts[key])
    if not (wrong := unfit_to_keep(text)):
        return text
    if version:
        raise MisuseError(f"the value of {what} at {version} {wrong}; {unchanged}")
    raise MisuseError(f"the live value of {what} {wrong}; {unchanged}. {_way_on(stack, record, key)}")


def _way_on(stack: Stack, record: Record, key: str | None) -> str:
    """Return how to replace a live value that can't be kept: `ops set` and `ops rollback` change only an operator's."""
    command = mend(stack, record, key)
    ours = ownership(stack, record, key).owner == "configuration"
    if not ours or version_of_pulumi(record) in {None, record.version(CURRENT)}:
        return ways("Set the right value first", command)
    every = ", with every key" if key else ""
    return ways(f"To drop it, make the version that Pulumi set last the current one again{every}", command)


def _config_key(tool: Configuration, stack: Stack, arn: str, key: str | None) -> str:
    """Return the configuration key of a value: the plan's, which the next `up` follows, else the outputs'."""
    name, parts = stack.name_of(arn), parts_of(stack, arn)
    with contextlib.suppress(MisuseError, KeyError):  # the project prints no plan, or one without the secret
        parts = read_plan(tool.stack.rpartition("/")[2], tool.directory).secrets[name].parts or parts
    keys = {part: found.config_key for part, found in parts.items()}
    if key is None and "" not in keys and keys:
        raise MisuseError(f"{name} has several values; choose one with --key: {', '.join(sorted(keys))}")
    if not (found := keys.get(key or "")):
        what = f"{name} key {key}" if key else name
        raise MisuseError(
            f"the catalogue gives {what} no configuration key (External, Constant or unknown): name one with --config-key"
        )
    return found
