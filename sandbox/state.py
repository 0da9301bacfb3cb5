"""Reads Pulumi's file backend without the CLI: what a stack holds, which is 0.2 s faster and needs no passphrase."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key that marks a special value in Pulumi's JSON. Source: Pulumi SDK, sdk/go/common/resource/sig."""

SECRET_TEXT = "[secret]"  # noqa: S105 - what Pulumi shows instead of a secret
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a type's mark
_STACK_TYPE = "pulumi:pulumi:Stack"
_DEFAULT_AWS = "::pulumi:providers:aws::default"
_ACCOUNT = re.compile(r"arn:[^:]+:[^:]+:[^:]*:(?P<account>\d{12}):")


@dataclass(frozen=True)
class Checkpoint:
    """The state of one stack as the file backend keeps it; empty when the stack doesn't exist.

    Attributes:
        project: The stack's project.
        stack: The stack's name.
        exists: Whether the backend knows the stack.
        resources: Pulumi's own JSON, one object a resource.
        salt: What the state's secrets are encrypted with, beside the passphrase.
        pending: Operations that were going on when the state was last written: `{"type": "creating", "resource": {...}}`.
        cut_off: Whether the last command on the stack was cut off: it left a lock or pending operations. While one runs, too.
    """

    project: str
    stack: str
    exists: bool
    resources: tuple[Mapping[str, Any], ...]
    pending: tuple[Mapping[str, Any], ...]
    salt: str | None = None
    cut_off: bool = False

    @classmethod
    def read(cls, state: Path, project: str, stack: str) -> "Checkpoint":
        """Read a stack's checkpoint."""
        path = _stacks(state) / project / f"{stack}.json"
        if not path.exists():
            return cls(project, stack, exists=False, resources=(), pending=())
        latest = json.loads(path.read_text(encoding="utf-8"))["checkpoint"].get("latest") or {}
        return cls(
            project,
            stack,
            exists=True,
            resources=tuple(latest.get("resources") or ()),
            pending=tuple(latest.get("pending_operations") or ()),
            cut_off=bool(latest.get("pending_operations") or lock_files(state, project, stack)),
            salt=((latest.get("secrets_providers") or {}).get("state") or {}).get("salt"),
        )

    @property
    def objects(self) -> int:
        """How many resources exist outside Pulumi."""
        return sum(1 for r in self.resources if r.get("custom") and not str(r["type"]).startswith("pulumi:"))

    def accounts(self) -> set[str]:
        """The AWS accounts of what Pulumi's default provider created, by the ARNs; another provider may sign in elsewhere."""
        own = [r for r in self.resources if _DEFAULT_AWS in str(r.get("provider")) and not r.get("external")]
        found = (_ACCOUNT.match(str((r.get("outputs") or {}).get("arn"))) for r in own)
        return {match["account"] for match in found if match}

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; a secret one reads `[secret]`."""
        root = next((r for r in self.resources if r["type"] == _STACK_TYPE), {})
        return {name: readable(value) for name, value in (root.get("outputs") or {}).items()}


def checkpoints(state: Path) -> Iterator[Checkpoint]:
    """Yield every stack of a file backend."""
    for path in sorted(_stacks(state).glob("*/*.json")):
        yield Checkpoint.read(state, path.parent.name, path.stem)


def lock_files(state: Path, project: str, stack: str) -> list[Path]:
    """Return the backend's own locks of a stack; each is left behind by an engine that was killed."""
    return sorted((state / ".pulumi" / "locks" / "organization" / project / stack).glob("*.json"))


def forget(state: Path) -> list[str]:
    """Empty a file backend and return the names of the stacks that had resources."""
    had = [f"{c.project}/{c.stack}" for c in checkpoints(state) if c.objects or c.cut_off]
    shutil.rmtree(state / ".pulumi", ignore_errors=True)
    return had


def drop_history(state: Path, project: str, stack: str) -> None:
    """Delete a stack's history: nothing reads it, and it keeps each run's configuration, also what a user gave in the clear."""
    shutil.rmtree(state / ".pulumi" / "history" / project / stack, ignore_errors=True)


def readable(value: Any) -> Any:
    """Return a state's or an event's value as plain data, each secret as `[secret]`."""
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        if mapping.get(SIGNATURE) == SECRET_SIGNATURE:
            return SECRET_TEXT
        return {key: readable(item) for key, item in mapping.items()}
    if isinstance(value, list):
        return [readable(item) for item in cast("list[Any]", value)]
    return value


def _stacks(state: Path) -> Path:
    return state / ".pulumi" / "stacks"
