"""Where the parts of a secret's value come from: what the plan and the stack's outputs both say. Never a value."""

from collections.abc import Mapping
from typing import Any

from components.outputs import Part
from config.declarations import (
    Constant,
    Entry,
    External,
    ForeignSecret,
    Generated,
    Source,
    Supplied,
    TextSecret,
    accepted_by,
)

WHOLE = ""
"""The part of a secret that is one text, or a JSON whose keys the catalogue does not know."""

_KINDS: Mapping[type[Any], str] = {
    Generated: "generated",
    Supplied: "supplied",
    Constant: "constant",
    External: "external",
}


def sources_of(entry: Entry) -> Mapping[str, Source]:
    """Return an entry's sources by JSON key, `WHOLE` for a text; empty for a foreign secret whose keys are not declared."""
    if isinstance(entry, ForeignSecret):
        return {key: External() for key in sorted(entry.keys)}
    if isinstance(entry, TextSecret):
        return {WHOLE: entry.source}
    return {WHOLE: entry.keys} if isinstance(entry.keys, External) else entry.keys


def part_of(source: Source, numbers: Mapping[str, int]) -> Part:
    """Return where a value comes from. `numbers` has what `rotations` asks for, by configuration key."""
    key = source.config_key if isinstance(source, Generated | Supplied) else None
    return Part(
        # Whatever else stands there may be a value that somebody typed.
        _KINDS.get(type(source), "unknown"),
        key,
        numbers.get(key, 1) if key else 1,
        accepted_by(source),
    )


def parts_of(entry: Entry, numbers: Mapping[str, int]) -> dict[str, Part]:
    """Return where an entry's values come from, by JSON key."""
    return {key: part_of(source, numbers) for key, source in sources_of(entry).items()}
