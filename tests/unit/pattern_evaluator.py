"""What CloudWatch Logs' metric filters match, as AWS documents the language.

Source: AWS, "Using filter patterns to match terms in JSON log events".
Anything else is a SyntaxError: AWS would refuse it, or nobody knows what it would do.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, cast

Condition = Callable[[Mapping[str, Any], bool], bool]
"""(record, what `!=` says of a missing field) -> whether it matches."""

_MISSING = object()
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<selector>\$(?:\.[A-Za-z_][A-Za-z0-9_-]*|\[\d+\])+)
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<regex>%[A-Za-z0-9:_\#=@/;,\-^$?\[\]{}|\\*+.\s]+%)
    | (?P<operator>&&|\|\||!=|<=|>=|=|<|>|\(|\))
    | (?P<number>-?\d+(?:\.\d+)?(?![\w.*]))
    | (?P<word>[A-Za-z0-9_.*:/-]+)
    )""",
    re.VERBOSE,
)


def filter_matches(pattern: str, record: Mapping[str, Any]) -> bool:
    """Whether a JSON filter pattern matches.

    `!=` on a field that the record lacks is undefined: an AssertionError when the answer depends on it.
    """
    condition = _parsed(pattern)
    answers = {condition(record, missing_differs) for missing_differs in (False, True)}
    assert len(answers) == 1, f"depends on != of a missing field: {pattern}"
    return answers.pop()


@cache
def _parsed(pattern: str) -> Condition:
    return _Parser(pattern).parse()


class _Parser:
    def __init__(self, pattern: str) -> None:
        braces = re.fullmatch(r"\s*\{(.*)\}\s*", pattern, re.DOTALL)
        if not braces:
            raise SyntaxError(f"no JSON filter pattern: {pattern}")
        self._tokens = list(_tokens(braces[1]))
        self._at = 0

    def parse(self) -> Condition:
        condition = self._either()
        if self._peek() is not None:
            raise SyntaxError(f"unexpected {self._peek()}")
        return condition

    def _either(self) -> Condition:
        alternatives = [self._both()]
        while self._peek() == ("operator", "||"):
            self._next()
            alternatives.append(self._both())
        return lambda record, missing: any(one(record, missing) for one in alternatives)

    def _both(self) -> Condition:
        conditions = [self._single()]
        while self._peek() == ("operator", "&&"):
            self._next()
            conditions.append(self._single())
        return lambda record, missing: all(one(record, missing) for one in conditions)

    def _single(self) -> Condition:
        kind, text = self._next()
        if (kind, text) == ("operator", "("):
            condition = self._either()
            self._expect("operator", ")")
            return condition
        if kind != "selector":
            raise SyntaxError(f"a condition starts with a selector, not {text}")
        return self._test(text)

    def _test(self, selector: str) -> Condition:
        kind, text = self._next()
        if (kind, text) == ("word", "NOT"):
            self._expect("word", "EXISTS")
            return lambda record, _: _select(record, selector) is _MISSING
        if (kind, text) == ("word", "IS"):
            _, word = self._next()
            expected = {"TRUE": True, "FALSE": False, "NULL": None}[word]
            return lambda record, _: _select(record, selector) is expected
        if kind != "operator" or text in ("(", ")", "&&", "||"):
            raise SyntaxError(f"{text} after {selector}")
        equal = _comparison(*self._next(), operator=text)

        def test(record: Mapping[str, Any], missing_differs: bool) -> bool:  # noqa: FBT001 - one of two worlds
            value = _select(record, selector)
            if value is _MISSING:
                return text == "!=" and missing_differs
            return equal(value) != (text == "!=")

        return test

    def _peek(self) -> tuple[str, str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        if token is None:
            raise SyntaxError("the pattern ends too early")
        self._at += 1
        return token

    def _expect(self, kind: str, text: str) -> None:
        if self._next() != (kind, text):
            raise SyntaxError(f"{text} is missing")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if not match or not match.lastgroup:
            raise SyntaxError(f"cannot read {text[position : position + 20]!r}")
        yield match.lastgroup, match[match.lastgroup]
        position = match.end()


def _comparison(kind: str, text: str, *, operator: str) -> Callable[[Any], bool]:
    """Return the test; `!=` is turned round by the caller."""
    if kind == "number":
        number = float(text)
        compare: dict[str, Callable[[float], bool]] = {
            "=": lambda value: value == number,
            "!=": lambda value: value == number,
            "<": lambda value: value < number,
            "<=": lambda value: value <= number,
            ">": lambda value: value > number,
            ">=": lambda value: value >= number,
        }
        return lambda value: not isinstance(value, bool) and isinstance(value, int | float) and compare[operator](value)
    if operator not in ("=", "!="):
        raise SyntaxError(f"{operator} compares numbers")
    if kind == "regex":
        return lambda value: isinstance(value, str) and re.search(text[1:-1], value) is not None
    if kind not in ("string", "word"):
        raise SyntaxError(f"cannot compare with {text}")
    wanted = re.sub(r"\\(.)", r"\1", text[1:-1]) if kind == "string" else text
    glob = ".*".join(map(re.escape, wanted.split("*")))
    return lambda value: isinstance(value, str) and re.fullmatch(glob, value, re.DOTALL) is not None


def _select(record: Any, selector: str) -> Any:
    value = record
    for key, index in re.findall(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]", selector):
        if key and isinstance(value, Mapping) and key in value:
            value = cast("Mapping[str, Any]", value)[key]
        elif index and isinstance(value, list) and int(index) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(index)]
        else:
            return _MISSING
    return value
