"""What the reader of a configuration gives for each value, and what it says of one that is wrong."""

from collections.abc import Callable
from typing import Any

import pytest

from config.reader import Reader


def ask(method: str, *arguments: Any, **options: Any) -> Callable[[Reader], Any]:
    """Ask for the key `k`."""
    return lambda reader: getattr(reader, method)("k", *arguments, **options)


def accept(_: str) -> None:
    """Find nothing wrong."""


def refuse(value: str) -> tuple[str, str]:
    return f"is {value}", "another"


def refuse_b(value: str) -> tuple[str, str] | None:
    return ("is b", "a") if value == "b" else None


@pytest.mark.parametrize(
    ("read", "value", "given", "said"),
    [
        (ask("text", "d"), "v", "v", None),
        (ask("text", "d"), "", "d", None),
        (ask("text", "d"), None, "d", None),
        (ask("text"), "", "", ("is required", "pulumi config set --path s.k VALUE")),
        (ask("text", "d"), 5, "d", ("is a number", "must be a string")),
        (ask("text", "d"), 5.5, "d", ("is a number", "must be a string")),
        (ask("text", "d"), True, "d", ("is a boolean", "must be a string")),
        (ask("text", "d"), [1], "d", ("is an array", "must be a string")),
        (ask("text"), {"a": 1}, "", ("is an object", "must be a string")),
        (ask("text", "d", check=refuse), "v", "v", ("is v", "another")),
        (ask("text", "d", check=accept), "v", "v", None),
        (ask("choice", ("a", "b"), "a"), "b", "b", None),
        (ask("choice", ("a", "b"), "a"), "", "a", None),
        (ask("choice", ("a", "b")), "c", "c", ("is 'c'", "must be one of a, b")),
        (ask("choice", ("a", "b")), "", "", ("is required", "pulumi config set --path s.k VALUE")),
        (ask("integer", 7), 5, 5, None),
        (ask("integer", 7), "5", 5, None),
        (ask("integer", 7), 5.0, 5, None),
        (ask("integer", 7), None, 7, None),
        (ask("integer", 7), 5.5, 7, ("is 5.5", "must be a whole number")),
        (ask("integer", 7), "five", 7, ("is 'five'", "must be a whole number")),
        (ask("integer", 7), "f" * 40, 7, (f"is '{'f' * 40}'", "must be a whole number")),
        (ask("integer", 7), "f" * 41, 7, ("is a string", "must be a whole number")),
        (ask("integer", 7), True, 7, ("is True", "must be a whole number")),
        (ask("integer", 7), [5], 7, ("is an array", "must be a whole number")),
        (ask("integer", 7, allowed=range(1, 6), rule="1 to 5"), 5, 5, None),
        (ask("integer", 7, allowed=range(1, 6), rule="1 to 5"), 6, 6, ("is 6", "must be 1 to 5")),
        (ask("boolean", default=True), False, False, None),
        (ask("boolean", default=True), "false", False, None),
        (ask("boolean", default=False), "true", True, None),
        (ask("boolean", default=True), "", True, None),
        (ask("boolean", default=False), "", False, None),
        (ask("boolean", default=True), None, True, None),
        (ask("boolean", default=True), "no", True, ("is 'no'", "must be true or false")),
        (ask("boolean", default=False), 1, False, ("is 1", "must be true or false")),
        (ask("boolean", default=False), [1], False, ("is an array", "must be true or false")),
        (ask("texts"), ["b", "a", "b"], ("b", "a"), None),
        (ask("texts", repeated=True), ["b", "a", "b"], ("b", "a", "b"), None),
        (ask("texts"), '["a"]', ("a",), None),
        (ask("texts"), None, (), None),
        (ask("texts"), "a", (), ("is not an array of strings", "write it in the stack file, or as JSON")),
        (ask("texts"), ["a", 1, "b"], ("a", "b"), ("holds a number", "must be an array of strings")),
        (ask("texts"), ["a", None], ("a",), ("holds empty", "must be an array of strings")),
        (ask("texts", check=refuse_b), ["a", "b"], ("a",), ("is b", "a")),
        (ask("object"), {"a": 1}, {"a": 1}, None),
        (ask("object"), '{"a": 1}', {"a": 1}, None),
        (ask("object"), None, {}, None),
        (ask("object"), [1], {}, ("is not an object", "write it in the stack file, or as JSON")),
        (ask("section"), {}, None, None),
        (ask("section"), None, None, None),
        (ask("section"), "text", None, ("is not an object", "write it in the stack file, or as JSON")),
    ],
)  # fmt: skip
def test_a_value(read: Callable[[Reader], Any], value: Any, given: Any, said: tuple[str, str] | None) -> None:
    reader = Reader({} if value is None else {"k": value}, prefix="s.")
    assert read(reader) == given
    assert reader.problems == ([("s.k", *said)] if said else [])


def test_a_required_key_at_the_top_is_set_without_a_path() -> None:
    reader = Reader({})
    reader.text("image")
    assert reader.problems == [("image", "is required", "pulumi config set image VALUE")]


def test_sections_share_the_problems_and_know_their_place() -> None:
    reader = Reader({"audit": {"trail": {"name": 5}}})
    audit = reader.section("audit")
    assert audit
    assert reader.section("audit") is audit
    trail = audit.section("trail")
    assert trail
    assert trail.has("name")
    assert not trail.has("other")
    trail.text("name")
    assert reader.problems == [("audit.trail.name", "is a number", "must be a string")]


def test_what_nobody_asked_for_is_told_first_with_the_nearest_key() -> None:
    given = {"trial": 1, "xxxx": 1, "redisPassword": "s", "audit": {"trail": {"nmae": 1}, "z z": 1}, "cpu": "x"}
    reader = Reader(given, encrypted={"redisPassword", "trial"})
    reader.has("smtpPassword")
    reader.integer("cpu", 1)
    reader.has("trail")
    audit = reader.section("audit")
    assert audit
    trail = audit.section("trail")
    assert trail
    trail.text("name", "")
    reader.reject_unknown()
    restore = "no entry of catalogue.py uses it: restore the entry, or pulumi config rm redisPassword"
    listed = "docs/configuration.md and catalogue.py list all keys; or pulumi config rm xxxx"
    assert reader.problems == [
        ("redisPassword", "is not a known key", restore),
        ("trial", "is not a known key", "did you mean trail?"),
        ("xxxx", "is not a known key", listed),
        ("audit.z z", "is not a known key", "known: trail; or pulumi config rm --path 'audit.z z'"),
        ("audit.trail.nmae", "is not a known key", "did you mean audit.trail.name?"),
        ("cpu", "is 'x'", "must be a whole number"),
    ]


def test_nothing_of_an_encrypted_value_is_shown() -> None:
    reader = Reader({"key": "hunter2", "section": {"part": "hunter2"}, "open": "shown"}, encrypted={"key", "section"})
    reader.integer("key", 1)
    reader.integer("open", 1)
    section = reader.section("section")
    assert section
    section.integer("part", 1)
    section.object("part")
    hidden = "is not allowed (encrypted, so not shown)"
    assert [(key, found) for key, found, _ in reader.problems] == [
        ("key", hidden),
        ("open", "is 'shown'"),
        ("section.part", hidden),
        ("section.part", hidden),
    ]
