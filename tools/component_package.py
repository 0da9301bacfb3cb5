"""Writes what the component package says of itself: schema.json, the tables of its README, and its requirements.

    .venv/bin/python tools/component_package.py     # `make package`; a test compares

The requirements are the project's own lock, so that both install the same bytes: the folder is fetched and run alone.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
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
    types = {name.rpartition(":")[2]: found for name, found in schema["types"].items()}
    for token, resource in sorted(schema["resources"].items()):
        yield f"## {token.rpartition(':')[2]}\n"
        yield f"{_sentence(resource['description'])}\n"
        yield "| input | type | meaning |"
        yield "|---|---|---|"
        required = set(resource.get("requiredInputs", ()))
        for name, found in sorted(
            resource["inputProperties"].items(), key=lambda item: (item[0] not in required, item[0])
        ):
            yield _row(f"**`{name}`**" if name in required else f"`{name}`", found)
        yield "\n| output | type | meaning |"
        yield "|---|---|---|"
        yield from (_row(f"`{name}`", found) for name, found in sorted(resource["properties"].items()))
        yield ""
    yield "## Types\n"
    for name, found in sorted(types.items()):
        yield f"**{name}**: {_sentence(found['description'])}\n"
        yield "| field | type | meaning |"
        yield "|---|---|---|"
        required = set(found.get("required", ()))
        yield from (
            _row(f"**`{field}`**" if field in required else f"`{field}`", one)
            for field, one in sorted(found["properties"].items())
        )
        yield ""


def _row(name: str, found: Mapping[str, Any]) -> str:
    return f"| {name} | {_type(found)} | {_sentence(found.get('description', ''))} |"


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
