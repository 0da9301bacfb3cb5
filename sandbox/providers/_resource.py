"""What a resource type says about itself; `_server` does everything that is the same for all of them."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from sandbox.providers import _diff
from sandbox.providers._values import Asset, Properties

Session = TypeVar("Session")


class ProviderError(Exception):
    """Something that the user has to fix; the message goes to the terminal as it is, without a traceback."""


@dataclass(frozen=True, slots=True)
class Prop:
    """One input property.

    `aws`: AWS's name of it, where calls take it and answers hold it as it is.
    `computed`: when it isn't set, what AWS has stays; "" and an empty list of blocks count as not set.
    `unread`: AWS never tells it, so the state keeps what the program said.
    `check` returns what is wrong with a value, or None.
    """

    type: type[Any]
    required: bool = False
    force_new: bool = False
    computed: bool = False
    unread: bool = False
    default: Any = None
    aws: str = ""
    same: _diff.Same = _diff.same
    check: Callable[[Any], str | None] | None = None

    def coerce(self, value: Any) -> Any:
        """The value in the property's type, as the real plugin converts it.

        Raises:
            ValueError: it isn't of that type. The message doesn't hold the value.
        """
        match self.type, value:
            case (kind, _) if kind is not int and kind is not float and isinstance(value, kind):
                return value
            case (t, int() | float()) if t in (int, float) and not isinstance(value, bool):
                return value
            case (t, str()) if t in (int, float) and re.fullmatch(r"-?\d+(\.\d+)?", value):
                return float(value) if "." in value else int(value)
            case (t, bool() | int() | float()) if t is str:
                return str(value).lower() if isinstance(value, bool) else str(value)
            case (t, "true" | "false") if t is bool:
                return value == "true"
            case _:
                raise ValueError(f"must be of type {_TYPES.get(self.type, self.type.__name__)}")


Inputs = Mapping[str, Prop]
"""A resource type's input properties by their names on the wire (camelCase)."""

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "list", dict: "object", Asset: "asset"}


@dataclass(frozen=True, slots=True)
class Autoname:
    """How a resource that the program gives no name is called: `<prefix><logical name>-<7 hex digits>`.

    `prefix` stands before a name that does not start with it, and does not count.
    Source: pulumi-terraform-bridge 3, tfbridge/names.go; the lengths: pulumi-aws 7, provider/resources.go.
    """

    property: str = "name"
    prefix: str = ""
    max_length: int = 255
    lower: bool = False

    def name(self, logical: str, seed: bytes) -> str:
        """The same name for the same seed; random without one.

        Raises:
            ValueError: it would be too long. Nothing is cut.
        """
        digits = hashlib.sha256(seed).hexdigest()[:7] if seed else secrets.token_hex(4)[:7]
        stem = f"{logical.lower() if self.lower else logical}-"
        if len(stem) + len(digits) > self.max_length:
            raise ValueError(
                f"name '{stem}' plus {len(digits)} random chars is longer than maximum length {self.max_length}"
            )
        return f"{'' if stem.startswith(self.prefix) else self.prefix}{stem}{digits}"


class Resource(Generic[Session]):
    """A resource type: its properties and its calls. Instances hold no state.

    `read` returns the live values of all properties that AWS tells, None for one that isn't set; it may hold an `id`
    that differs from the one asked for (import). An exception for "doesn't exist" is `_server`'s to understand.
    """

    type_name: ClassVar[str]
    title: ClassVar[str]
    inputs: ClassVar[Inputs]
    computed: ClassVar[tuple[str, ...]] = ()
    secret_outputs: ClassVar[frozenset[str]] = frozenset()
    autoname: ClassVar[Autoname | None] = None
    delete_before_replace: ClassVar[bool] = False
    forgives_gone: ClassVar[bool] = True
    """Whether deleting an object that is gone already succeeds."""
    named_by: ClassVar[str] = "name"
    """The input that names the resource in messages before it has an id."""

    def label(self, inputs: Mapping[str, Any], resource_id: str, /) -> str:
        """What messages call the resource."""
        return resource_id or str(inputs.get(self.named_by, ""))

    def check(self, new: Properties, /) -> Iterable[tuple[str, str]]:
        """What is wrong with properties that depend on each other: (property, reason). Unknown values may occur."""
        return ()

    def check_change(self, session: Session, old: Properties, new: Properties, /) -> Iterable[str]:
        """What a preview refuses because of the state or after asking AWS; `old` is empty before the creation.

        Unknown values may occur.
        """
        return ()

    def create(self, session: Session, new: Properties, /) -> str:
        """Make it and return its id."""
        raise NotImplementedError

    def finish(self, session: Session, resource_id: str, new: Properties, /) -> None:
        """What follows the creation; when it fails, the resource exists and the next `up` updates it."""

    def read(self, session: Session, resource_id: str, state: Properties, /) -> Properties | None:
        """The live properties, None when it is gone; `state` is empty on import."""
        raise NotImplementedError

    def update(
        self, session: Session, resource_id: str, old: Properties, new: Properties, changed: Collection[str], /
    ) -> None:
        """Change it in place; `changed` are the top-level properties that differ and aren't ignored.

        A type whose inputs all force replacement, or mean nothing to AWS, leaves this as it is.
        """

    def delete(self, session: Session, resource_id: str, old: Properties, /) -> None:
        """Remove it."""
        raise NotImplementedError

    def renewed(self, changed: Collection[str], /) -> Collection[str]:
        """Computed properties that an update of these properties makes unknown to a preview."""
        return ()

    def all_inputs(self) -> Inputs:
        """Own and inherited inputs."""
        return self.inputs


Function = Callable[[Session, Properties], Properties]
"""A data source: what it returns for its arguments."""


def one_of(*allowed: Any) -> Callable[[Any], str | None]:
    """The value is one of these."""
    return lambda value: None if value in allowed else f"expected one of {', '.join(map(str, allowed))}, got {value}"


def between(low: float, high: float) -> Callable[[Any], str | None]:
    """The number lies in this range, both ends included."""
    return lambda value: None if low <= value <= high else f"expected a number from {low} to {high}, got {value}"


def matches(pattern: str, low: int, high: int) -> Callable[[Any], str | None]:
    """The text has this many characters and is nothing but what the pattern says."""

    def check(value: Any) -> str | None:
        text = str(value)
        if not low <= len(text) <= high:
            return f"expected a text of {low} to {high} characters, got one of {len(text)}"
        return None if re.fullmatch(pattern, text, re.ASCII | re.DOTALL) else f"must match {pattern}"

    return check


def fields(
    *required: str, only: Collection[str] = (), **checks: Callable[[Any], str | None]
) -> Callable[[Any], str | None]:
    """The block, or each block of a list, has the required members, no others than `only`, and each passes its check."""

    def check(value: Any) -> str | None:
        return next(
            (reason for block in (value if isinstance(value, list) else [value]) for reason in problems(block)), None
        )

    def problems(block: Mapping[str, Any]) -> Iterator[str]:
        others = sorted({*block} - {*only}) if only else []
        yield from (f"the sandbox's stand-in does not support {key}; it supports {', '.join(only)}" for key in others)
        yield from (f"{key} is required" for key in required if block.get(key) is None)
        for key, inner in checks.items():
            if block.get(key) is not None and (reason := inner(block[key])):
                yield f"{key}: {reason}"

    return check


def is_json(value: Any) -> str | None:
    """The text is JSON; the reason doesn't quote it."""
    try:
        json.loads(value)
    except ValueError as error:
        position = getattr(error, "pos", 0)
        return f"contains an invalid JSON: {getattr(error, 'msg', 'malformed')} at character {position}"
    return None


def is_policy(value: Any) -> str | None:
    """The text is a policy document: an object, nothing before it, no key twice.

    Source: terraform-provider-aws 6.x, internal/verify/validate.go, ValidIAMPolicyJSON.
    """
    if value[:1] != "{":
        return "contains an invalid JSON policy: it must start with {"
    try:
        json.loads(value, object_pairs_hook=_distinct)
    except _DuplicateKeyError as error:
        return f"contains an invalid JSON policy: the key {error} stands twice in one object"
    except ValueError:
        return is_json(value)
    return None


class _DuplicateKeyError(Exception):
    """A key that an object has twice."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _DuplicateKeyError(next(key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1))
    return found


def each(check: Callable[[Any], str | None], *, most: int | None = None) -> Callable[[Any], str | None]:
    """Every item of the list passes the check, and there are not more than `most`."""

    def check_all(items: Any) -> str | None:
        if most is not None and len(items) > most:
            return f"expected at most {most}, got {len(items)}"
        return next((reason for item in items if isinstance(item, str) and (reason := check(item))), None)

    return check_all


def given(**values: Any) -> dict[str, Any]:
    """The call's parameters without those that are None."""
    return {key: value for key, value in values.items() if value is not None}
