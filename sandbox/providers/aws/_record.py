"""Records the AWS calls of a plugin: which service, which operation, on what. Never a value.

Switched on by the environment variable SANDBOX_RECORD_CALLS, the path of a file: one line of JSON a call is added to it,
`{"operation": "CreateSecret", "parameters": {"Name": "..."}, "region": "eu-central-1", "service": "secretsmanager"}`. A test
can so prove a policy against what was really called. Calls that only the stand-in makes are not recorded (`Aws.own`).
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from botocore.model import OperationModel, Shape, StructureShape

VARIABLE = "SANDBOX_RECORD_CALLS"

_IDENTIFIES = re.compile(
    r"(?i).*(arns?|names?|namelist|bucket|family|cluster|services?|rule|prefix|role|boundary|url|principal|resource|"
    r"taskdefinition|tag_?keys)|.*(Id|ID)s?"
)
"""Members of a call that say what it acts on: names, ids, ARNs."""


def asked_for() -> Path | None:
    """The file of the environment variable, if it is set."""
    name = os.environ.get(VARIABLE)
    return Path(name) if name else None


def register(client: Any, region: str, path: Path) -> None:
    """Record every call of this botocore client."""

    def record(params: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
        found: dict[str, list[str]] = {}
        for name, value in _identifying(params, model.input_shape, top=True):
            found.setdefault(name, []).append(value)
        line = {
            "service": model.service_model.service_name,
            "operation": model.name,
            "region": region,
            "parameters": {name: values[0] if len(values) == 1 else values for name, values in found.items()},
        }
        append(path, json.dumps(line, sort_keys=True))

    client.meta.events.register("provide-client-params.*.*", record)


def _identifying(params: Mapping[str, Any], shape: Shape | None, *, top: bool) -> Iterator[tuple[str, str]]:
    """The call's own names, ids and ARNs, and the ARNs within its structures; maps (tags, variables) are left out."""
    if not isinstance(shape, StructureShape):
        return
    for name, value in params.items():
        member: Any = shape.members.get(name)
        if member is None or member.metadata.get("sensitive"):
            continue
        items: Sequence[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
        inner: Shape = member.member if member.type_name == "list" else member
        for item in items:
            if isinstance(item, Mapping):
                yield from _identifying(cast("Mapping[str, Any]", item), inner, top=False)
            elif isinstance(item, str) and _IDENTIFIES.fullmatch(name) and (top or item.startswith("arn:")):
                yield name, item


def append(path: Path, line: str) -> None:
    """Add the line in one write: several plugins may record into the same file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)
