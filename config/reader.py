"""Reads a stack's configuration with types, and collects all problems instead of stopping at the first.

A problem is a row of three cells: the key, what was found (never a secret's value), and what fixes it.
"""

import difflib
import json
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from components.checks import SECRET_NAME

T = TypeVar("T")

Check = Callable[[str], tuple[str, str] | None]
"""Returns what is wrong with a text and what is allowed, or None when nothing is wrong."""

Kind = Literal["string", "integer", "boolean", "array", "object"]

REQUIRED = None
"""The default of a required key: every stack, or every stack with that section, must set it."""


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        name: Its name; `section.key` inside an object.
        kind: Its type, in Pulumi's words.
        default: What an absent or empty key means; `REQUIRED` for none.
        meaning: Its purpose in one or two sentences, for Pulumi.yaml and the documents.
        allowed: The values that it accepts, empty for any of its type.
        rule: `allowed` in words.
        check: Checks a text, or each text of an array.
        shown: The default in the documents, if the value alone is unclear.
    """

    name: str
    kind: Kind
    default: Any
    meaning: str
    allowed: Collection[Any] = ()
    rule: str = ""
    check: Check | None = None
    shown: str = ""

    @property
    def section(self) -> str:
        """The object that contains the key, "" for a top-level key."""
        return self.name.rpartition(".")[0]


class Reader:
    """One configuration object: the stack's own keys, or a nested object such as `rotation`.

    Attributes:
        problems: Rows found so far; nested readers share the list with their parent.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        encrypted: Collection[str] = (),
        prefix: str = "",
        problems: list[tuple[str, str, str]] | None = None,
        keys: Mapping[str, Key] | None = None,
    ) -> None:
        """Wrap values. Messages show their keys after `prefix`, and never quote the value of an `encrypted` key.

        `keys` are the declared keys by name, those in objects as `section.key`.
        """
        self._values = values
        self._keys = keys or {}
        self._encrypted = encrypted
        self._prefix = prefix
        self._asked: set[str] = set()
        self._sections: dict[str, Reader] = {}
        self.problems: list[tuple[str, str, str]] = [] if problems is None else problems

    def report(self, key: str, found: str, remedy: str) -> None:
        """Add a problem of a key."""
        hidden = key.partition(".")[0] in self._encrypted
        self.problems.append(
            (self._prefix + key, "is not allowed (encrypted, so not shown)" if hidden else found, remedy)
        )

    def reject_unknown(self) -> None:
        """Report, before all other problems, each unknown key, here and in the nested objects.

        The message suggests the nearest known key, or how to remove this one. Call it after everything else has been read.
        """
        found = self.problems[:]
        self.problems.clear()
        self._reject_unknown()
        self.problems += found

    def _reject_unknown(self) -> None:
        for key in sorted(set(self._values) - self._asked):
            row = key, "is not a known key", self._known_instead(key)
            if self._prefix:
                self.report(*row)
            else:
                # A setting's key is never secret, and the sandbox encrypts undeclared keys.
                self.problems.append(row)
        for section in self._sections.values():
            section._reject_unknown()  # noqa: SLF001 - its own kind

    def _known_instead(self, key: str) -> str:
        if near := nearest(key, self._asked):
            return f"did you mean {self._prefix}{near}?"
        path = "--path " if self._prefix else ""
        remove = f"pulumi config rm {path}{shlex.quote(self._prefix + key)}"
        if self._prefix:
            return f"known: {', '.join(sorted(self._asked)) or 'none'}; or {remove}"
        if key in self._encrypted or SECRET_NAME.fullmatch(key):
            return f"no entry of catalogue.py uses it: restore the entry, or {remove}"
        return f"docs/configuration.md and catalogue.py list all keys; or {remove}"

    @property
    def asked(self) -> frozenset[str]:
        """The keys that have been read so far: the known ones."""
        return frozenset(self._asked)

    def has(self, key: str) -> bool:
        """Tell whether the key holds something that is not empty."""
        self._asked.add(key)
        return self._values.get(key) not in (None, "", [], {})

    def raw(self, key: str) -> Any:
        """Return what the key holds, None when it is absent or empty."""
        return self._values[key] if self.has(key) else None

    def value(self, key: str, *, default: Any = ..., check: Check | None = None, allowed: Collection[Any] = ()) -> Any:
        """Return the value of a declared key in its declared type; a service's key has the type of the common one.

        Args:
            key: The key.
            default: The meaning of an absent key, if it depends on other keys.
            check: Checks a text, if the rule depends on other keys.
            allowed: The accepted strings, if they depend on other keys.
        """
        own = self._keys.get(self._prefix + key) or self._keys[key]
        default = own.default if default is ... else default
        check, allowed = check or own.check, allowed or own.allowed
        match own.kind:
            case "integer":
                return self.integer(key, default, allowed=allowed or None, rule=own.rule)
            case "boolean":
                return self.boolean(key, default=default)
            case "array":
                return self.texts(key, check=check, repeated=key == "command")
            case "object":
                return self.object(key)
            case "string":
                return self.choice(key, tuple(allowed), default) if allowed else self.text(key, default, check=check)

    def text(self, key: str, default: str | None = None, *, check: Check | None = None) -> str:
        """Return a string; without a default it is required.

        Args:
            key: The key.
            default: What an absent or empty key means; None makes the key required.
            check: Checks a value that is not empty.
        """
        if not self.has(key):
            if default is None:
                self.report(key, "is required", self._command(key, "VALUE"))
            return default or ""
        value = self._values[key]
        if not isinstance(value, str):
            self.report(key, f"is {_kind(value)}", "must be a string")
            return default or ""
        if check and (wrong := check(value)):
            self.report(key, *wrong)
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        """Return one of the allowed strings."""
        value = self.text(key, default)
        if value and value not in allowed:
            self.report(key, f"is {value!r}", f"must be one of {', '.join(allowed)}")
        return value

    def integer(self, key: str, default: int, *, allowed: Collection[int] | None = None, rule: str = "") -> int:
        """Return a whole number, given as one or as its decimal string."""
        if not self.has(key):
            return default
        value = self._values[key]
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int):
            self.report(key, f"is {_shown(value)}", "must be a whole number")
            return default
        if allowed is not None and number not in allowed:
            self.report(key, f"is {number}", f"must be {rule}")
        return number

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return a boolean, given as one or as `true` or `false`."""
        value = self._values[key] if self.has(key) else default
        if isinstance(value, str) and value in {"true", "false"}:
            value = value == "true"
        if not isinstance(value, bool):
            self.report(key, f"is {_shown(value)}", "must be true or false")
            return default
        return value

    def texts(self, key: str, *, check: Check | None = None, repeated: bool = False) -> tuple[str, ...]:
        """Return an array of strings in the order given, each once unless they may be repeated."""
        value = self._json(key, list, "an array of strings", [])
        found: list[str] = []
        for item in value:
            if not isinstance(item, str):
                self.report(key, f"holds {_kind(item)}", "must be an array of strings")
            elif check and (wrong := check(item)):
                self.report(key, *wrong)
            elif repeated or item not in found:
                found.append(item)
        return tuple(found)

    def object(self, key: str) -> dict[str, Any]:
        """Return a nested object as it is."""
        return cast("dict[str, Any]", self._json(key, dict, "an object", {}))

    def section(self, key: str) -> "Reader | None":
        """Return a reader of a nested object, None when it is absent or empty."""
        values = self.object(key)
        if values and key not in self._sections:
            encrypted = values if key in self._encrypted else ()
            prefix = f"{self._prefix}{key}."
            self._sections[key] = Reader(
                values, encrypted=encrypted, prefix=prefix, problems=self.problems, keys=self._keys
            )
        return self._sections.get(key)

    def _json(self, key: str, kind: type[T], rule: str, default: T) -> T:
        if not self.has(key):
            return default
        value = self._values[key]
        if isinstance(value, str):
            # Pulumi passes arrays and objects as JSON text. Text that is not JSON is never quoted: it might hold a secret.
            try:
                value = json.loads(value)
            except ValueError:
                value = None
        if not isinstance(value, kind):
            self.report(key, f"is not {rule}", "write it in the stack file, or as JSON")
            return default
        return value

    def _command(self, key: str, value: str) -> str:
        name = self._prefix + key
        return f"pulumi config set {'--path ' if '.' in name else ''}{name} {value}"


def nearest(key: str, known: Collection[str]) -> str:
    """Return the known key of which another is a misspelling, "" if none is that near."""
    # `smtpPassword` and `redisPassword` have a ratio of 0.72, `nmae` and `name` one of 0.75.
    return next(iter(difflib.get_close_matches(key, known, n=1, cutoff=0.75)), "")


def _kind(value: object) -> str:
    kinds = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "empty")


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str | int | float) and len(str(value)) <= 40 else _kind(value)  # noqa: PLR2004 - a cell's width
