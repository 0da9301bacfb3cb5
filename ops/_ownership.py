"""Who owns a secret's value, and how it is changed there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from catalogue import APPLICATION
from components.labels import OF_PULUMI
from config.declarations import (
    Catalogue,
    Declaration,
    External,
    ForeignSecret,
    Generated,
    JsonSecret,
    Source,
    Supplied,
    is_external,
)
from ops._errors import MisuseError
from ops._secrets import Record
from ops._stack import Stack, in_sandbox

Owner = Literal["configuration", "rotation", "operator", "somebody else"]


_NEXT = "3 when it is 2 already, and so on"


@dataclass(frozen=True)
class Ownership:
    """Who changes a value.

    Attributes:
        owner: `configuration`: Pulumi's, changed there; `rotation`: a function changes it; `operator`: set here;
            `somebody else`: declared as ForeignSecret, changed by its owner.
        how: The commands that change it, with remarks; empty when it is set here.
        fix: One of the ways as one line for a shell.
        remark: What there is to know of it.
    """

    owner: Owner
    how: tuple[str, ...] = ()
    fix: str = ""
    remark: str = ""


def declared(stack: str) -> Catalogue:
    """Return the catalogue's entries of a stack."""
    return APPLICATION.catalogue(stack)


def declaration_of(stack: Stack, arn: str) -> Declaration | None:
    """Return the catalogue's entry of a secret, None for one that this checkout's catalogue doesn't have."""
    return next((d for d in declared(stack.environment) if d.name == stack.name_of(arn)), None)


def foreign_of(stack: Stack, arn: str) -> ForeignSecret | None:
    """Return the catalogue's entry of a secret that somebody else owns."""
    foreign = APPLICATION.foreign(stack.environment)
    return next((secret for secret in foreign if secret.name == stack.name_of(arn)), None)


def owner_of(stack: Stack, arn: str) -> str:
    """Return who owns a secret of the catalogue that somebody else owns, for people."""
    found = foreign_of(stack, arn)
    return found.owner if found else "somebody else"


def refuse_foreign(stack: Stack, arn: str) -> None:
    """Refuse to change what somebody else owns.

    Raises:
        MisuseError: When it is that.
    """
    if stack.is_foreign(arn):
        raise MisuseError(
            f"{owner_of(stack, arn)} owns {stack.name_of(arn)} and alone changes it (ForeignSecret in catalogue.py); "
            "the tasks read it when they start"
        )


def ownership(stack: Stack, record: Record, declaration: Declaration | None, key: str | None = None) -> Ownership:
    """Return who owns a secret's value, or one key of it.

    A version that Pulumi wrote carries a label of Pulumi's; a secret without one was adopted, or is external.
    """
    if stack.is_foreign(record.arn):
        return Ownership("somebody else", (owner_of(stack, record.arn),))
    if record.rotation.lambda_arn:  # also of a cancelled one: the program ignores the value from then on
        command = f"python -m ops rotate {stack.name_of(record.arn)} --stack {stack.environment}"
        return Ownership("rotation", (command,), command)
    if declaration is None or is_external(declaration) or not _written_by_pulumi(record.stages):
        return Ownership("operator")
    return _change(stack, declaration, key)


def _written_by_pulumi(stages: Mapping[str, tuple[str, ...]]) -> bool:
    return any(stage.startswith(OF_PULUMI) for labels in stages.values() for stage in labels)


def _change(stack: Stack, declaration: Declaration, key: str | None) -> Ownership:
    """Return the commands for a value, or one key of it, that the configuration owns."""
    at = f"--stack {stack.environment}"
    if isinstance(declaration, JsonSecret):
        keys = {} if isinstance(declaration.keys, External) else declaration.keys
        sources = {f" for {name}": source for name, source in keys.items() if key in {None, name}}
    else:
        sources = {"": declaration.source}
    if not sources:
        return Ownership("configuration", (f"# {declaration.name} has no key {key}: add it in catalogue.py",))
    ways = {name: _ways(source, at) for name, source in sources.items()}
    how = [f"{command}   # {remark}{name}" for name, found in ways.items() for command, remark in found]
    up = [] if in_sandbox() else [f"pulumi up {at}"]
    fix = [found[-1][0] for found in ways.values() if found] + up
    remark = f"the number must be another one: {_NEXT}" if any("rotations." in command for command in fix) else ""
    return Ownership("configuration", (*how, *up), " && ".join(fix), remark)


def _ways(source: Source, at: str) -> list[tuple[str, str]]:
    """Return the commands that change a source's value, each with a remark; the best one last."""
    if not isinstance(source, Generated | Supplied):
        return []
    key = source.config_key
    if in_sandbox():
        run, given, made = "python -m sandbox up", f"-c secret:{key}", f"-c rotations.{key}=2"
    else:
        run, given, made = "pulumi config set", f"--secret {key}", f"--path rotations.{key} 2"
    own = [(f"{run} {at} {given}", "a value of your own")]
    return [*own, (f"{run} {at} {made}", f"a new random value; {_NEXT}")] if isinstance(source, Generated) else own
