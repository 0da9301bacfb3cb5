"""The values of secrets that the state lost and AWS still has: the next `up` takes them over instead of making new ones.

After `destroy` the random values are gone from the state, but the restored secrets hold them. So a generated value that is in
such a secret is read from there, by the id of its version; a later generation is a new random value as always. Nothing is put as
long as the values are the same: the engine imports secret and version as they are.
Source: Pulumi, resource option `import`: an import whose id differs from the state's would replace the resource, so the id of a
version is given only as long as that version is the one in use.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components.origins import WHOLE
from config.declarations import PREVIOUS_SUFFIX, Catalogue, Declaration, Generated, JsonSecret, Restored, is_external

_CURRENT = "AWSCURRENT"


@dataclass(frozen=True)
class _Live:
    """A version's content, kept out of `repr`, and whether it is the current one."""

    text: str = field(repr=False)
    current: bool


@dataclass(frozen=True)
class Held:
    """What a restored secret holds: the version, its text, and by JSON key the values that are taken over as generated ones."""

    arn: str
    version: str
    text: str = field(repr=False)
    generated: Mapping[str, str] = field(repr=False)


class RestoredValues:
    """What restored secrets hold."""

    def __init__(self, component: pulumi.Resource, catalogue: Catalogue, restored: Mapping[str, Restored]) -> None:
        """Read the versions that the configuration names.

        Args:
            component: The component that the reads belong to.
            catalogue: The declarations.
            restored: What the configuration says of restored secrets, by name in the catalogue.
        """
        self._restored = restored
        self._live: dict[str, _Live] = {}
        self._values: dict[tuple[str, int], str] = {}
        self._versions: dict[tuple[str, int], str] = {}
        for declaration in catalogue:
            entry = restored.get(declaration.name)
            if entry is None or entry.version is None or is_external(declaration):
                continue
            live = _read(component, entry.arn, entry.version)
            self._live[declaration.name] = live
            if isinstance(declaration, JsonSecret):
                self._add_json(declaration, entry, live.text)
            elif isinstance(declaration.source, Generated):
                generation = entry.generations.get(declaration.source.config_key, 1)
                self._add(entry, declaration.source.config_key, generation, live.text)
                if generation > 1 and entry.previous:
                    before = _read(component, entry.arn, entry.previous).text
                    self._add(entry, declaration.source.config_key, generation - 1, before)

    def _add_json(self, declaration: JsonSecret, entry: Restored, text: str) -> None:
        parts = _parts(text)
        keys = declaration.keys if isinstance(declaration.keys, Mapping) else {}
        for key, source in keys.items():
            if isinstance(source, Generated):
                generation = entry.generations.get(source.config_key, 1)
                if generation == 1 and source.holds_previous and key + PREVIOUS_SUFFIX in parts:
                    raise pulumi.RunError(_unnumbered(declaration.name, key, source.config_key))
                for number, name in ((generation, key), (generation - 1, key + PREVIOUS_SUFFIX)):
                    if isinstance(value := parts.get(name), str):
                        self._add(entry, source.config_key, number, value)

    def _add(self, entry: Restored, config_key: str, generation: int, value: str) -> None:
        self._values[config_key, generation] = value
        self._versions[config_key, generation] = entry.version or ""

    def value(self, config_key: str, generation: int) -> str | None:
        """Return a generated value that a restored secret holds, None for one that has to be made."""
        return self._values.get((config_key, generation))

    def found_in(self, config_key: str, generation: int) -> str:
        """Return which version of a restored secret holds a generated value, "" for a value that has to be made."""
        return self._versions.get((config_key, generation), "")[:8]

    def held(self, declaration: Declaration, configured: Collection[str]) -> Held | None:
        """Return what a restored secret holds, None of any other, and of one whose value others put.

        `configured` are the configuration keys that have a value: what they set is not taken over.
        """
        if declaration.name not in self._live:
            return None
        entry, text = self._restored[declaration.name], self._live[declaration.name].text
        if isinstance(declaration, JsonSecret):
            parts, keys = _parts(text), declaration.keys if isinstance(declaration.keys, Mapping) else {}
            made = {k for k, s in keys.items() if isinstance(s, Generated) and s.config_key not in configured}
            made |= {key + PREVIOUS_SUFFIX for key in keys} - keys.keys()
            generated = {key: value for key, value in parts.items() if key in made}
        else:
            source = declaration.source
            made = isinstance(source, Generated) and source.config_key not in configured
            generated = {WHOLE: text} if made else {}
        return Held(entry.arn, entry.version or "", text, generated)

    def text(self, name: str) -> str | None:
        """Return the whole value of a restored secret, None for any other."""
        return self._live[name].text if name in self._live else None

    def secret_id(self, name: str) -> str | None:
        """Return the id to import a secret by, None for one that is made."""
        return self._restored[name].arn if name in self._restored else None

    def version_id(self, name: str, text: str | None) -> str | None:
        """Return the id to import the live version by; None when it is not in use any more, or another value is to be put.

        Args:
            name: The secret's name in the catalogue.
            text: The value that the program gives it, None for one that is not made yet.
        """
        live = self._live.get(name)
        if live is None or not live.current or text != live.text:
            return None
        return f"{self._restored[name].arn}|{self._restored[name].version}"

    def previous_version_id(self, name: str) -> str | None:
        """Return the id to import the version before by."""
        entry = self._restored.get(name)
        return f"{entry.arn}|{entry.previous}" if entry and entry.previous else None


def _read(component: pulumi.Resource, arn: str, version: str) -> _Live:
    found = aws.secretsmanager.get_secret_version(
        secret_id=arn, version_id=version, opts=pulumi.InvokeOptions(parent=component)
    )
    return _Live(found.secret_string, _CURRENT in found.version_stages)


def _unnumbered(name: str, key: str, config_key: str) -> str:
    return (
        f"{name}: has {key}{PREVIOUS_SUFFIX}, which the application would get no longer, because restored.secrets.{name} says "
        f"that {config_key} was never rotated. Nothing was changed. Give the number that it had, 2 or more, and take the "
        f"secret over again:\n"
        f"  pulumi config set --path rotations.{config_key} NUMBER\n"
        f"  python -m ops restore --pending --stack {pulumi.get_stack()}"
    )


def _parts(text: str) -> Mapping[str, Any]:
    try:
        found: Any = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
