"""Who owns a secret's value, and how it is changed there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import catalogue as catalogue_module
from declarations import Constant, Declaration, External, Generated, JsonSecret, Supplied, is_external
from ops._secrets import Record
from ops._stack import Stack

Owner = Literal["configuration", "rotation", "operator"]

_LABEL_OF_PULUMI = "pulumi-"
"""How the staging labels begin that the program gives the versions it writes (components/app_secrets.py)."""


@dataclass(frozen=True)
class Ownership:
    """Who changes a value.

    Attributes:
        owner: `configuration`: Pulumi's, changed there; `rotation`: a function changes it; `operator`: set here.
        how: The commands that change it, one a line; empty when it is set here.
    """

    owner: Owner
    how: tuple[str, ...] = ()


def declaration_of(stack: Stack, arn: str) -> Declaration | None:
    """Return the catalogue's entry of a secret, None for one that this checkout's catalogue doesn't have."""
    declared = (
        *catalogue_module.CATALOGUE,
        # Only the alternating-users rotation adds it; its user's name plays no part here.
        *catalogue_module.with_application_user((), "user"),
    )
    return next((d for d in declared if d.name == stack.name_of(arn)), None)


def ownership(stack: Stack, record: Record, declaration: Declaration | None, key: str | None = None) -> Ownership:
    """Return who owns a secret's value, or one key of it.

    A version that Pulumi wrote carries a label of Pulumi's; a secret without one was adopted, or is external.
    """
    if record.rotation.lambda_arn:  # also of a cancelled one: the program ignores the value from then on
        return Ownership("rotation", (f"python -m ops rotate {stack.name_of(record.arn)} --stack {stack.environment}",))
    if declaration is None or is_external(declaration) or not _written_by_pulumi(record.stages):
        return Ownership("operator")
    return Ownership("configuration", tuple(_commands(stack, declaration, key)))


def _written_by_pulumi(stages: Mapping[str, tuple[str, ...]]) -> bool:
    return any(stage.startswith(_LABEL_OF_PULUMI) for labels in stages.values() for stage in labels)


def _commands(stack: Stack, declaration: Declaration, key: str | None) -> list[str]:
    at = f"--stack {stack.environment}"
    sources = declaration.keys if isinstance(declaration, JsonSecret) else {"": declaration.source}
    if isinstance(sources, External):
        return []
    commands: list[str] = []
    for name, source in sources.items():
        if key is not None and isinstance(declaration, JsonSecret) and name != key:
            continue
        prefix = f"{name}: " if name else ""
        match source:
            case Supplied():
                commands.append(f"{prefix}pulumi config set --secret {source.config_key} {at}")
            case Generated():
                commands.append(
                    f"{prefix}pulumi config set --secret {source.config_key} {at}   (a value of your own), or "
                    f"pulumi config set --path rotations.{source.config_key} N {at}   (a new random one; N: 2, then 3 ...)"
                )
            case Constant():
                commands.append(f"{prefix}edit catalogue.py")
            case External():
                pass
    if not commands:
        return [f"{declaration.name} has no key {key}: add it in catalogue.py, then: pulumi up {at}"]
    return [*commands, f"then: pulumi up {at}"]
