"""What an engine run did, or would do: gathered from the engine's events, for the screen and for `--json`."""

import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.home import REPOSITORY
from sandbox.project import Project
from sandbox.state import SECRET_TEXT, readable
from terminal import plain

CHANGING = {"create", "update", "delete", "replace", "import", "read-replacement"}
"""Operations that count as a change; of the three steps of a replacement only the one that names it."""

VERBS = {
    "create": ("creating", "created"),
    "update": ("updating", "updated"),
    "delete": ("deleting", "deleted"),
    "replace": ("replacing", "replaced"),
    "create-replacement": ("creating its replacement", "replacement created"),
    "delete-replaced": ("deleting the old one", "old one deleted"),
    "keep-replaced": ("keeping the old one", "old one kept on AWS"),
    "refresh": ("reading", "read"),
    "read": ("reading", "read"),
    "import": ("importing", "imported"),
}
"""How each operation is shown while it runs and when it is done.

`keep-replaced` is ours: a `delete-replaced` that deletes nothing.
"""

_COLOUR = re.compile(r"<\{%.*?%\}>")
_PROGRAM_ERROR = "python inline source runtime error: "
# The engine's own echo of an error that it has told already.
_ECHOES = (
    "an unhandled error occurred", "update failed", "preview failed", "refresh failed", "destroy failed",
    "resource monitor has terminated",
)  # fmt: skip
# What makes a preview first, as `pulumi up` and `pulumi destroy` do: a refusal changes nothing.
LOOK_AHEAD = {"up", "destroy"}
_HOOK = re.compile(r'^before hook "[^"]*" failed: ')
_UNKNOWN_STACK = re.compile(r'unknown stack "(?:[^"/]+/)?(?P<project>[^"/]+)/(?P<stack>[^"/]+)"')
_SHOWN_CHARACTERS = 60
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # how Pulumi writes a value that only the update will bring
# The stack and its providers are Pulumi's own bookkeeping; nothing of them exists in AWS.
_INTERNAL = ("pulumi:pulumi:", "pulumi:providers:", "pulumi:index:")


@dataclass(frozen=True)
class PropertyChange:
    """One property that differs.

    Attributes:
        path: The property as Pulumi names it, such as `tags["team"]`.
        kind: `add`, `delete` or `update`.
        replaces: Whether it forces a replacement.
        old: The value before, shortened; `[secret]` for a secret, empty when it has none.
        new: The value after, in the same form.
    """

    path: str
    kind: str
    replaces: bool
    old: str
    new: str


@dataclass(frozen=True)
class Change:
    """One resource that changes.

    Attributes:
        op: Pulumi's operation: create, update, delete, replace, ...
        type: Short type, such as `aws:secretsmanager:Secret`.
        name: The resource's name in the program.
        urn: Pulumi's full name.
        properties: What differs, for an update or a replacement.
    """

    op: str
    type: str
    name: str
    urn: str
    properties: tuple[PropertyChange, ...] = ()


class Watcher:
    """Is shown what happens while it happens; this one shows nothing of it."""

    def started(self, change: Change) -> None:
        """An operation has begun."""

    def done(self, change: Change, *, failed: bool) -> None:
        """An operation has ended."""

    def told(self, severity: str, text: str) -> None:
        """The program or the engine said something: `info`, `info#err` or `warning`."""


@dataclass
class Recorder:
    """Takes the engine's events; `watcher` is shown them at once.

    Of the preview that the engine makes before an operation only the errors count: what is refused there changed nothing, and
    the operation tells the rest again.

    Attributes:
        changes: What changed, or would change.
        same: How many resources stay as they are.
        errors: The messages of everything that went wrong, each once.
        echoes: What only repeats that something went wrong; of use when nothing else was said.
        local: Gives a message the sandbox's own commands.
    """

    project: Path
    verb: str
    watcher: Watcher
    local: Callable[[str], str] = str
    changes: list[Change] = field(default_factory=list[Change])
    same: int = 0
    errors: list[str] = field(default_factory=list[str])
    echoes: list[str] = field(default_factory=list[str])
    _preludes: int = field(default=0, init=False)

    def __call__(self, event: Any) -> None:
        """Take one `pulumi.automation.EngineEvent`."""
        if event.prelude_event is not None:
            self._preludes += 1
        elif self.verb in LOOK_AHEAD and self._preludes == 1:
            if event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
                self._diagnostic(event.diagnostic_event)
        elif event.resource_pre_event is not None:
            self._pre(event.resource_pre_event.metadata)
        elif event.res_outputs_event is not None:
            self._done(event.res_outputs_event.metadata)
        elif event.res_op_failed_event is not None:
            self.watcher.done(_change(event.res_op_failed_event.metadata), failed=True)
        elif event.diagnostic_event is not None:
            self._diagnostic(event.diagnostic_event)

    def _pre(self, metadata: Any) -> None:
        change = _change(metadata)
        if change.type.startswith(_INTERNAL):
            return
        if change.op == "same":
            self.same += 1
        elif change.op in VERBS:
            if self.verb == "preview" and change.op in CHANGING:
                self.changes.append(change)
            if self.verb != "preview":
                self.watcher.started(change)

    def _done(self, metadata: Any) -> None:
        change = _change(metadata)
        if change.type.startswith(_INTERNAL) or change.op not in {*VERBS, "same"}:
            return
        if self.verb == "refresh" and change.op == "refresh":
            change = Change("same", change.type, change.name, change.urn)
        if change.op == "same" and self.verb == "refresh":
            self.same += 1
        if self.verb == "preview":
            return
        if change.op in CHANGING:
            self.changes.append(change)
        self.watcher.done(change, failed=False)

    def _diagnostic(self, event: Any) -> None:
        text = self.local(_COLOUR.sub("", event.message).strip())
        if not text or event.ephemeral:
            return
        if event.severity == "error":
            text = self._error(text, event.urn)
            if other := _UNKNOWN_STACK.search(text):
                folder = (
                    ""
                    if other["project"] == Project.load(REPOSITORY).name
                    else f" --project FOLDER_OF_{other['project']}"
                )
                text += f"\nBring it up first: python -m sandbox up --stack {other['stack']}{folder}"
            if text and text not in self.errors:
                self.errors.append(text)
            return
        if event.severity in {"info", "info#err", "warning"}:
            self.watcher.told(event.severity, text)

    def _error(self, text: str, urn: str | None) -> str:
        if text.startswith(_PROGRAM_ERROR):
            return _program_error(text.removeprefix(_PROGRAM_ERROR), self.project)
        # "preview failed" alone repeats what was said; with a colon it is the only word about a provider that refused.
        text = re.sub(r"^(preview|update|refresh|destroy) failed: ", "", text, flags=re.IGNORECASE)
        if text.lower().startswith(_ECHOES):
            self.echoes.append(text)
            return ""
        # How gRPC tells a second error of the program, one that an `apply` raised after the first.
        text = text.removeprefix("Exception calling application: ")
        refused, by_hook = _HOOK.subn("", text)
        if by_hook:
            return refused  # the program's own words
        if urn and "::pulumi:pulumi:Stack::" not in urn:
            return f"{_short_type(urn.split('::')[2].rpartition('$')[2])} {urn.split('::')[3]}: {text}"
        return text


def _program_error(text: str, project: Path) -> str:
    """The exception's own message, and for what isn't meant for the user the line of the program that raised it."""
    message, found, trace = text.partition("\nTraceback (most recent call last):\n")
    if not found:
        return text
    kind = _exception_type(trace)
    if kind in {"SystemExit", "RunError", "ConfigMissingError"}:
        return message
    frames = re.findall(r'File "([^"]+)", line (\d+)', trace)
    inside = [
        f"{Path(file).relative_to(project)}:{line}" for file, line in frames if Path(file).is_relative_to(project)
    ]
    return f"{kind}: {message}" + (f"\n  in {inside[-1]}" if inside else "")


def _exception_type(trace: str) -> str:
    heads = re.findall(r"^([A-Za-z_][\w.]*)(?::|$)", trace, re.MULTILINE)
    return heads[-1].rpartition(".")[2] if heads else "error"


def _change(metadata: Any) -> Change:
    name = metadata.urn.split("::")[3] if metadata.urn.count("::") >= 3 else metadata.urn  # noqa: PLR2004 - a URN's parts
    kind = getattr(metadata.op, "value", metadata.op)
    if kind == "delete-replaced" and metadata.old and (metadata.old.retain_on_delete or _skips_destroy(metadata.old)):
        kind = "keep-replaced"
    return Change(str(kind), _short_type(metadata.type), name, metadata.urn, tuple(_properties(metadata)))


def _skips_destroy(old: Any) -> bool:
    """Whether pulumi-aws deletes nothing of it: task definitions, log groups and functions have `skipDestroy`."""
    return bool((old.inputs or {}).get("skipDestroy"))


def _properties(metadata: Any) -> Iterator[PropertyChange]:
    if metadata.op not in {"update", "replace"}:
        return
    old = readable((metadata.old and metadata.old.inputs) or {})
    new = readable((metadata.new and metadata.new.inputs) or {})
    detailed: Mapping[str, Any] = metadata.detailed_diff or {}
    for path in sorted(detailed):
        kind = str(getattr(detailed[path].diff_kind, "value", detailed[path].diff_kind))
        before, after = _at(old, path), _at(new, path)
        yield PropertyChange(
            path, kind.removesuffix("-replace"), kind.endswith("-replace"), _show(before), _show(after)
        )
    for path in metadata.diffs or () if not detailed else ():
        yield PropertyChange(path, "update", replaces=False, old=_show(_at(old, path)), new=_show(_at(new, path)))


_ABSENT = object()


def _at(value: Any, path: str) -> Any:
    for quoted, index, name in re.findall(r'\["([^"]*)"\]|\[(\d+)\]|([^.\[\]]+)', path):
        if value == SECRET_TEXT:
            return value
        key: Any = int(index) if index else quoted or name
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def _show(value: Any) -> str:
    if value is _ABSENT or value is None:
        return ""
    if _UNKNOWN in str(value):
        return "(known after the update)"
    if isinstance(value, str):
        text = value if value == SECRET_TEXT else f'"{value}"'
    elif isinstance(value, float) and value.is_integer():
        text = str(int(value))
    else:
        text = str(value)
    text = plain(text)
    # Part of a document tells little, and part of one that holds a secret might tell too much.
    return text if len(text) <= _SHOWN_CHARACTERS else f"({len(text)} characters)"


def _short_type(kind: str) -> str:
    """`aws:secretsmanager/secret:Secret` as a Python programmer knows it: `aws:secretsmanager:Secret`."""
    package, _, rest = kind.partition(":")
    module, _, name = rest.partition(":")
    return f"{package}:{module.partition('/')[0]}:{name}" if name else kind


def describe_bug(error: BaseException) -> str:
    """An unexpected error of the sandbox itself: its type and place, never its arguments, which could hold a value."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    number = getattr(error, "errno", None)
    why = f" ({os.strerror(number)})" if isinstance(number, int) else ""
    return f"{type(error).__name__}{why} in {Path(frame.filename).name}:{frame.lineno}"
