"""Checks a call's parameters against the service model that botocore ships, before the call leaves.

botocore itself checks types, required members and lower bounds; AWS also checks patterns, enumerations and upper
bounds, and moto mostly doesn't. Plugged into a client's events, so that no resource type has to think of it. The text
is AWS's own ("1 validation error detected: ..."); a value that the model or the caller calls sensitive isn't quoted.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from sandbox.providers._resource import ProviderError

_QUOTED_LENGTH = 100
"""Characters of a value up to which a message quotes it: names and numbers, no documents."""


class InvalidParametersError(ProviderError):
    """AWS would refuse these parameters."""


def register(client: Any) -> None:
    """Check every call of this botocore client."""
    client.meta.events.register_first("before-parameter-build.*.*", _check)


def _check(params: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
    shape = model.input_shape
    problems = list(_problems(params, shape, "")) if shape else []
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        service = model.service_model.service_id
        raise InvalidParametersError(
            f"operation error {service}: {model.name}, https response error StatusCode: 400, "
            f"api error ValidationException: {count}: {'; '.join(problems)}"
        )


def _problems(value: Any, shape: Shape, at: str) -> Iterator[str]:
    match shape:
        case StructureShape() if isinstance(value, Mapping):
            yield from (
                f"Value null at '{_member(at, name)}' failed to satisfy constraint: Member must not be null"
                for name in shape.required_members
                if value.get(name) is None
            )
            for name, item in value.items():
                if name in shape.members and item is not None:
                    yield from _problems(item, shape.members[name], _member(at, name))
        case ListShape() if isinstance(value, list):
            yield from _length_problems(value, shape, at)
            for index, item in enumerate(value, start=1):
                yield from _problems(item, shape.member, f"{at}.{index}.member")
        case MapShape() if isinstance(value, Mapping):
            yield from _length_problems(value, shape, at)
            for key, item in value.items():
                yield from _problems(key, shape.key, at)
                yield from _problems(item, shape.value, f"{at}.{key}")
        case _ if isinstance(value, str | bytes) and shape.type_name in ("string", "blob"):
            yield from _text_problems(value, shape, at)
        case _ if isinstance(value, int | float) and shape.type_name in ("integer", "long", "float", "double"):
            yield from _out_of_range(value, shape, _failed(str(value), at), "value")
        case _:
            pass  # a wrong type is botocore's to refuse, booleans and times have no constraints


def _member(at: str, name: str) -> str:
    name = name[:1].lower() + name[1:]
    return f"{at}.{name}" if at else name


def _text_problems(value: str | bytes, shape: Shape, at: str) -> Iterator[str]:
    shown = _shown(value, shape)
    yield from _length_problems(value, shape, at)
    if isinstance(value, bytes):
        return
    allowed: list[str] = getattr(shape, "enum", [])
    if allowed and value not in allowed:
        yield f"{_failed(shown, at)}: Member must satisfy enum value set: [{', '.join(allowed)}]"
    pattern = shape.metadata.get("pattern")
    compiled = _compiled(pattern) if pattern else None
    if compiled and not compiled.fullmatch(value):
        yield f"{_failed(shown, at)}: Member must satisfy regular expression pattern: {pattern}"


def _length_problems(value: Any, shape: Shape, at: str) -> Iterator[str]:
    yield from _out_of_range(len(value), shape, _failed(_shown(value, shape), at), "length")


def _out_of_range(number: float, shape: Shape, failed: str, what: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and number < low:
        yield f"{failed}: Member must have {what} greater than or equal to {low}"
    if high is not None and number > high:
        yield f"{failed}: Member must have {what} less than or equal to {high}"


def _failed(shown: str, at: str) -> str:
    return f"Value {shown} at '{at}' failed to satisfy constraint"


def _shown(value: Any, shape: Shape) -> str:
    if shape.metadata.get("sensitive") or not isinstance(value, str) or len(value) > _QUOTED_LENGTH:
        return "(not shown)"
    return f"'{value}'"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    r"""The model's pattern for Python, None for one that Python's `re` can't say.

    AWS's patterns are Java's: `\p{L}` and the like become the nearest class of Python's that holds at least as much.
    """
    for java, python in (
        (r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s"), (r"\p{Alnum}", "a-zA-Z0-9"), (r"\p{Graph}", "!-~"),
        (r"\p{ASCII}", "\x00-\x7f"), (r"\p{IsLetter}", r"\w"), (r"\p{IsDigit}", r"\d"), (r"\p{IsWhitespace}", r"\s"),
        (r"\p{IsPunctuation}", "!-/:-@\\[-`{-~"), (r"\z", r"\Z"), ("[:alnum:]", "a-zA-Z0-9"),
    ):  # fmt: skip
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern)
    except re.error:
        return None
