"""When two values of a property are the same, and what differs if they aren't: pure functions, no resource.

The rules are those of Terraform's AWS provider, which the real plugin wraps: an optional property that isn't set equals
its empty value, policies compare by meaning, and values that AWS fills in are not differences.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.providers._values import Asset, has_unknown

Same = Callable[[Any, Any], bool]
Path = tuple[str | int, ...]


def is_empty(value: Any) -> bool:
    """Whether a value says the same as an optional property that isn't set."""
    if isinstance(value, Mapping):
        return all(is_empty(item) for item in value.values())
    return value is None or value is False or value in ("", 0) or value == []


def same(old: Any, new: Any) -> bool:
    """Equality in which an empty value equals one that isn't set, at any depth."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return all(same(old.get(key), new.get(key)) for key in {*old, *new})
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(same(*pair) for pair in zip(old, new, strict=True))
    if isinstance(old, Asset) and isinstance(new, Asset):
        return old.hash == new.hash
    return (is_empty(old) and is_empty(new)) or _scalar(old) == _scalar(new)


def _scalar(value: Any) -> Any:
    """Booleans as a state holds them in lists of strings: Terraform compares them as text."""
    return str(value).lower() if isinstance(value, bool) else value


def by(normal: Callable[[Any], Any]) -> Same:
    """Sameness of the values' normal forms; a value that has none (`normal` raises ValueError) compares as it is."""

    def compare(old: Any, new: Any) -> bool:
        try:
            return same(normal(old), normal(new))
        except (ValueError, TypeError, AttributeError, KeyError):
            return same(old, new)

    return compare


def _sorted(value: Any) -> Any:
    return sorted(value or [], key=lambda item: json.dumps(item, sort_keys=True, default=str))


def normal_policy(text: Any) -> Any:
    """An IAM policy without the freedoms that carry no meaning: order, lists of one, an account's root ARN."""
    document = json.loads(text) if text else {}
    statements = document.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    return {**document, "Statement": _sorted([_normal_statement(item) for item in statements])}


def _normal_statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    normal: dict[str, Any] = {}
    for key, value in statement.items():
        match key:
            case "Action" | "NotAction" | "Resource" | "NotResource":
                normal[key] = _as_set(value)
            case "Principal" | "NotPrincipal" if isinstance(value, Mapping):
                normal[key] = {kind: _as_set(names, _account) for kind, names in value.items()}
            case "Condition":
                normal[key] = {
                    operator: {name: _as_set(values) for name, values in tests.items()}
                    for operator, tests in value.items()
                }
            case _:
                normal[key] = value
    return normal


def _as_set(value: Any, convert: Callable[[str], str] = str) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return sorted({convert(str(item).lower() if isinstance(item, bool) else str(item)) for item in items})


def _account(principal: str) -> str:
    """An account's root ARN as the account number, which AWS treats as the same principal."""
    found = re.fullmatch(r"arn:[\w-]+:iam::(\d{12}):root", principal)
    return found[1] if found else principal


same_json: Same = by(lambda text: json.loads(text) if text else {})
same_policy: Same = by(normal_policy)
same_set: Same = by(_sorted)


@dataclass(frozen=True, slots=True)
class Change:
    """One differing place of a resource's properties."""

    path: Path
    kind: Literal["add", "delete", "update"]
    replace: bool

    @property
    def property(self) -> str:
        """The top-level property."""
        return str(self.path[0])


def changes(name: str, old: Any, new: Any, compare: Same, *, replace: bool) -> Iterator[Change]:
    """The differing places of one property, as deep as the values allow to say it."""
    if compare is not same or has_unknown(old):
        if has_unknown(new) or not compare(old, new):
            yield Change((name,), _kind(old, new), replace)
        return
    for path, kind in _places((name,), old, new):
        yield Change(path, kind, replace)


def _places(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Literal["add", "delete", "update"]]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _places((*path, key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _places((*path, index), left, right)
    elif has_unknown(new) or not same(old, new):
        yield path, _kind(old, new)


def _kind(old: Any, new: Any) -> Literal["add", "delete", "update"]:
    if old is None:
        return "add"
    return "delete" if new is None else "update"


def format_path(path: Path) -> str:
    """A property path as the engine reads it: `tags["a.b"]`, `rules[0].days`."""
    text = str(path[0])
    for step in path[1:]:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if re.fullmatch(r"[A-Za-z_]\w*", step) else f"[{json.dumps(step)}]"
    return text


def parse_path(text: str) -> Path:
    """The opposite of `format_path`; also takes a wildcard `*`, as `ignoreChanges` may hold one."""
    steps = re.findall(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]|([^.\[\]]+)', text)
    return tuple(
        int(index) if index.isdigit() else (name or index or quoted.replace('\\"', '"'))
        for quoted, index, name in steps
    )


def is_ignored(path: Path, ignored: Iterable[str]) -> bool:
    """Whether a changed place lies at or under one of the paths of `ignoreChanges`."""
    return any(_covers(parse_path(text), path) for text in ignored)


def _covers(pattern: Sequence[str | int], path: Path) -> bool:
    return len(pattern) <= len(path) and all(
        step in ("*", found) or str(step) == str(found) for step, found in zip(pattern, path, strict=False)
    )
