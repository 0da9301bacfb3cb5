"""Writes what the component package says of itself: schema.json, the tables of its README, and its requirements.

    .venv/bin/python tools/component_package.py     # `make package`; a test compares

The requirements are the project's own lock, so that both install the same bytes: the folder is fetched and run alone.
"""

import json
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from components.package import Package  # noqa: E402 - after the search path

PACKAGE = ROOT / "components"
_START, _END = "<!-- tables -->\n", "<!-- end of tables -->\n"


def files() -> dict[Path, str]:
    """Return what each generated file should hold."""
    schema: dict[str, Any] = json.loads(str(Package().schema))
    readme = (PACKAGE / "README.md").read_text(encoding="utf-8")
    before, _, rest = readme.partition(_START)
    _, _, after = rest.partition(_END)
    tables = "\n".join(_tables(schema))
    return {
        PACKAGE / "schema.json": json.dumps(schema, indent=2, sort_keys=True) + "\n",
        PACKAGE / "README.md": f"{before}{_START}{tables}{_END}{after}",
        PACKAGE / "requirements.txt": (ROOT / "requirements.txt").read_text(encoding="utf-8"),
    }


def _tables(schema: Mapping[str, Any]) -> Iterator[str]:
    for token, resource in sorted(schema["resources"].items()):
        yield f"## {token.rpartition(':')[2]}\n\n{_sentence(resource['description'])}\n"
        required = set(resource.get("requiredInputs", ()))
        inputs = sorted(resource["inputProperties"].items(), key=lambda one: (one[0] not in required, one[0]))
        yield from _table("input", inputs, required)
        yield ""
        yield from _table("output", sorted(resource["properties"].items()), ())
        yield ""
    yield "## Types\n"
    for token, found in sorted(schema["types"].items()):
        yield f"**{token.rpartition(':')[2]}**: {_sentence(found['description'])}\n"
        yield from _table("field", sorted(found["properties"].items()), found.get("required", ()))
        yield ""


def _table(title: str, rows: Iterable[tuple[str, Any]], required: Collection[str]) -> Iterator[str]:
    yield f"| {title} | type | meaning |"
    yield "|---|---|---|"
    for name, found in rows:
        shown = f"**`{name}`**" if name in required else f"`{name}`"
        yield f"| {shown} | {_type(found)} | {_sentence(found.get('description', ''))} |"


def _type(found: Mapping[str, Any]) -> str:
    if "$ref" in found:
        return str(found["$ref"]).rpartition(":")[2].rpartition("/")[2]
    if found["type"] == "array":
        return f"list of {_type(found['items'])}"
    if found["type"] == "object":
        return f"map of {_type(found['additionalProperties'])}"
    return str(found["type"])


def _sentence(text: str) -> str:
    # The docstrings name Python's arguments; these tables are for every other language.
    camel = re.sub(r"`[a-z]+(?:_[a-z]+)+`", lambda name: re.sub("_([a-z])", lambda one: one[1].upper(), name[0]), text)
    return " ".join(camel.split()).replace("|", "\\|")


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
