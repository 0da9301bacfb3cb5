"""The owner of a secret's value, and how to change it: from the stack's outputs and AWS's record of the secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from components import acceptance
from components.commands import label_command
from components.labels import LIVE, OF_PULUMI
from components.outputs import Part
from components.references import CURRENT, PREVIOUS
from ops._aws import Aws, connect
from ops._errors import MisuseError
from ops._secrets import Record
from ops._stack import Stack, in_sandbox, load

Owner = Literal["configuration", "rotation", "operator", "foreign"]

_CONFIGURED = {"generated", "supplied"}


@dataclass(frozen=True)
class Ownership:
    """Who changes a value.

    Attributes:
        owner: `configuration`: Pulumi's configuration sets it; `rotation`: a function changes it; `operator`: `ops set` does;
            `foreign`: only its owner changes it.
        how: The commands that change it, with remarks; empty when `ops set` does.
        fix: One of the ways as one line for a shell.
    """

    owner: Owner
    how: tuple[str, ...] = ()
    fix: str = ""


def parts_of(stack: Stack, arn: str) -> Mapping[str, Part]:
    """Return where the values of a secret come from by JSON key, "" for a text."""
    found = stack.secret_of(arn)
    return found.parts if found else {}


def owner_of(stack: Stack, arn: str) -> str:
    """Return who owns a foreign secret, in words."""
    found = stack.secret_of(arn)
    return found.owner if found else "another owner"


def own_secret(name: str, stack: str | None, outputs: Path | None) -> tuple[Stack, str, Aws]:
    """Return a stack, the ARN of the secret that is meant, and its AWS.

    Raises:
        MisuseError: When the stack does not own it, and so can't change it.
    """
    where = load(stack, outputs)
    arn = where.arn_of(name)
    if where.is_foreign(arn):
        raise MisuseError(
            f"{owner_of(where, arn)} owns {where.name_of(arn)}; only its owner can change it (ForeignSecret in catalogue.py); "
            "the tasks read it when they start"
        )
    return where, arn, connect(where)


def ownership(stack: Stack, record: Record, key: str | None = None) -> Ownership:
    """Return who owns a secret's value, or one key of it.

    A version that Pulumi wrote has a label of Pulumi's; a secret without one was adopted, or is external.
    """
    if stack.is_foreign(record.arn):
        return Ownership("foreign", (owner_of(stack, record.arn),))
    if record.rotation.lambda_arn:  # also of a cancelled one: the program ignores the value from then on
        command = f"python -m ops rotate {stack.name_of(record.arn)} --stack {stack.environment}"
        return Ownership("rotation", (command,), command)
    parts = parts_of(stack, record.arn)
    by_pulumi = any(stage.startswith(OF_PULUMI) for labels in record.stages.values() for stage in labels)
    if not by_pulumi or not any(part.kind in _CONFIGURED for part in parts.values()):
        command = set_command(stack, record, key)
        return Ownership("operator", (command,), command)
    return _change(stack, stack.name_of(record.arn), parts, key)


def set_command(stack: Stack, record: Record, key: str | None = None) -> str:
    """Return the command that sets a value, or one key of it."""
    return f"python -m ops set {stack.name_of(record.arn)}{f' --key {key}' if key else ''} --stack {stack.environment}"


def way_back(stack: Stack, record: Record, key: str | None = None) -> str:
    """Return the command that gives a secret another value, or restores the configuration's."""
    owner, version = ownership(stack, record, key), version_of_pulumi(record)
    if owner.owner == "configuration" and version and version != record.version(CURRENT):
        return make_current_command(stack, record, version)
    return owner.fix


def mend(stack: Stack, record: Record, key: str | None = None) -> str:
    """Return the command that repairs a broken value.

    A function repairs none: it signs in with the live value, changes the password alone and keeps every other key.
    """
    return set_command(stack, record, key) if record.rotation.lambda_arn else way_back(stack, record, key)


def version_of_pulumi(record: Record) -> str | None:
    """Return the version that the program wrote last; of two, the one that was current more recently."""
    written = [v for v, stages in record.stages.items() if any(stage.startswith(LIVE) for stage in stages)]
    recent = [version for stage in (CURRENT, PREVIOUS) if (version := record.version(stage)) in written]
    return next(iter([*recent, *written]), None)


def make_current_command(stack: Stack, record: Record, version: str) -> str:
    """Return the command that makes a version the current one."""
    return label_command(record.arn, stack.region, CURRENT, to=version, off=record.version(CURRENT) or "")


def _change(stack: Stack, name: str, parts: Mapping[str, Part], key: str | None) -> Ownership:
    """Return the commands for a value, or one key of it, that the configuration owns."""
    chosen = {k: part for k, part in parts.items() if key in {None, k} or not k}
    if not chosen:
        return Ownership("configuration", (f"# {name} has no key {key}: add it in catalogue.py",))
    ways = {k: _ways(part, name, k, stack.environment) for k, part in chosen.items()}
    how = [f"{c}   # {remark}" for found in ways.values() for c, remark in found]
    at_servers = all(acceptance.is_server(part.accepted_by) for part in chosen.values())
    tool = "python -m sandbox" if in_sandbox() else "pulumi"
    up = [] if at_servers else [f"{tool} up --stack {stack.environment}"]
    fix = [found[-1][0] for found in ways.values() if found] + up
    return Ownership("configuration", (*how, *up), " && ".join(fix))


def _ways(part: Part, name: str, key: str, stack: str) -> list[tuple[str, str]]:
    """Return the commands that change a value, each with a remark; the best one last."""
    if part.kind not in _CONFIGURED:
        return []
    at, acceptor, of = f"--stack {stack}", acceptance.named(part.accepted_by), f" for {key}" if key else ""
    if acceptance.is_server(part.accepted_by):
        return [(acceptance.rotate_command(name, key, stack), f"a new value{of}, at {acceptor} and in the secret")]
    run, path = ("python -m sandbox config set", "") if in_sandbox() else ("pulumi config set", "--path ")
    remark = f"the value that {acceptor} accepts" if acceptor else "a value of your own"
    own = [(f"{run} {at} --secret {part.config_key}", remark + of)]
    if part.kind == "supplied" or acceptor:
        return own
    return [*own, (f"{run} {at} {path}rotations.{part.config_key} {part.number + 1}", f"a new random value{of}")]
