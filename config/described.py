"""What the stack's outputs say about each secret: owner, key, and where its values come from. Never a value."""

from collections.abc import Mapping
from typing import Any

from components import outputs
from components.outputs import Part
from components.secret import Secret
from config.declarations import (
    Constant,
    Entry,
    External,
    ForeignSecret,
    Generated,
    JsonSecret,
    Source,
    Supplied,
    accepted_by,
)
from config.settings import Settings


def secrets_of(config: Settings, secrets: Mapping[str, Secret]) -> dict[str, outputs.Secret[Any]]:
    """Return the secrets of the outputs, by name in the catalogue.

    Args:
        config: The stack's settings.
        secrets: The stack's secrets and the foreign ones, by name.
    """
    return {
        entry.name: outputs.Secret[Any](
            arn=secrets[entry.name].arn,
            full_name=secrets[entry.name].full_name,
            owner=secrets[entry.name].owner,
            region=secrets[entry.name].region,
            json=bool(entry.keys) if isinstance(entry, ForeignSecret) else isinstance(entry, JsonSecret),
            parts=parts_of(entry, config.generations),
            kms_key_arn=secrets[entry.name].kms_key_arn,
        )
        for entry in (*config.catalogue, *config.foreign)
    }


def parts_of(entry: Entry, numbers: Mapping[str, int]) -> dict[str, Part]:
    """Return the sources of an entry's values by JSON key; "" is a text, or a JSON that an operator sets as a whole."""
    if isinstance(entry, ForeignSecret):
        return {key: Part("external") for key in sorted(entry.keys)}
    if not isinstance(entry, JsonSecret):
        return {"": _part(entry.source, numbers)}
    if isinstance(entry.keys, External):
        return {"": _part(entry.keys, numbers)}
    return {key: _part(source, numbers) for key, source in entry.keys.items()}


def _part(source: Source, numbers: Mapping[str, int]) -> Part:
    kind = {Generated: "generated", Supplied: "supplied", Constant: "constant", External: "external"}[type(source)]
    if isinstance(source, Generated | Supplied):
        return Part(kind, source.config_key, numbers.get(source.config_key, 1), accepted_by(source))
    return Part(kind, accepted_by=accepted_by(source))
