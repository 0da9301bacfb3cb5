"""What the stack's outputs say about each secret: owner, key, and where its values come from. Never a value."""

from collections.abc import Mapping
from typing import Any

from components import outputs
from components.secret import Secret
from config.declarations import ForeignSecret, JsonSecret
from config.parts import parts_of
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
