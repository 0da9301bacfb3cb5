"""What the reader of a configuration gives for each value, and what it says of one that is wrong."""

from collections.abc import Callable
from typing import Any

import pytest

from config.reader import Reader


@pytest.mark.parametrize(
    ("read", "value", "given", "said"),
    [
        (lambda r: r.text("k", "d"), "v", "v", None),
        (lambda r: r.text("k", "d"), "", "d", None),
        (lambda r: r.text("k", "d"), None, "d", None),
        (lambda r: r.text("k"), "", "", ("is required", "pulumi config set --path s.k VALUE")),
        (lambda r: r.text("k", "d"), 5, "d", ("is a number", "a string")),
        (lambda r: r.text("k", "d"), 5.5, "d", ("is a number", "a string")),
        (lambda r: r.text("k", "d"), True, "d", ("is a boolean", "a string")),
        (lambda r: r.text("k", "d"), [1], "d", ("is an array", "a string")),
        (lambda r: r.text("k"), {"a": 1}, "", ("is an object", "a string")),
        (lambda r: r.text("k", "d", check=lambda v: (f"is {v}", "another")), "v", "v", ("is v", "another")),
        (lambda r: r.text("k", "d", check=lambda _: None), "v", "v", None),
        (lambda r: r.choice("k", ("a", "b"), "a"), "b", "b", None),
        (lambda r: r.choice("k", ("a", "b"), "a"), "", "a", None),
        (lambda r: r.choice("k", ("a", "b")), "c", "c", ("is 'c'", "one of a, b")),
        (lambda r: r.choice("k", ("a", "b")), "", "", ("is required", "pulumi config set --path s.k VALUE")),
        (lambda r: r.integer("k", 7), 5, 5, None),
        (lambda r: r.integer("k", 7), "5", 5, None),
        (lambda r: r.integer("k", 7), 5.0, 5, None),
        (lambda r: r.integer("k", 7), None, 7, None),
        (lambda r: r.integer("k", 7), 5.5, 7, ("is 5.5", "a whole number")),
        (lambda r: r.integer("k", 7), "five", 7, ("is 'five'", "a whole number")),
        (lambda r: r.integer("k", 7), "f" * 39, 7, (f"is '{'f' * 39}'", "a whole number")),
        (lambda r: r.integer("k", 7), "f" * 41, 7, ("is a string", "a whole number")),
        (lambda r: r.integer("k", 7), True, 7, ("is True", "a whole number")),
        (lambda r: r.integer("k", 7), [5], 7, ("is an array", "a whole number")),
        (lambda r: r.integer("k", 7, allowed=range(1, 6), rule="1 to 5"), 5, 5, None),
        (lambda r: r.integer("k", 7, allowed=range(1, 6), rule="1 to 5"), 6, 6, ("is 6", "1 to 5")),
        (lambda r: r.boolean("k", default=True), False, False, None),
        (lambda r: r.boolean("k", default=True), "false", False, None),
        (lambda r: r.boolean("k", default=False), "true", True, None),
        (lambda r: r.boolean("k", default=True), "", True, None),
        (lambda r: r.boolean("k", default=False), "", False, None),
        (lambda r: r.boolean("k", default=True), None, True, None),
        (lambda r: r.boolean("k", default=True), "no", True, ("is 'no'", "true or false")),
        (lambda r: r.boolean("k", default=False), 1, False, ("is 1", "true or false")),
        (lambda r: r.boolean("k", default=False), [1], False, ("is an array", "true or false")),
        (lambda r: r.texts("k"), ["b", "a", "b"], ("b", "a"), None),
        (lambda r: r.texts("k", repeated=True), ["b", "a", "b"], ("b", "a", "b"), None),
        (lambda r: r.texts("k"), '["a"]', ("a",), None),
        (lambda r: r.texts("k"), None, (), None),
        (lambda r: r.texts("k"), "a", (), ("is not an array of strings", "an array of strings, in the stack file or as JSON")),
        (lambda r: r.texts("k"), ["a", 1, "b"], ("a", "b"), ("holds a number", "an array of strings")),
        (lambda r: r.texts("k"), ["a", None], ("a",), ("holds empty", "an array of strings")),
        (lambda r: r.texts("k", check=lambda v: ("is b", "a") if v == "b" else None), ["a", "b"], ("a",), ("is b", "a")),
        (lambda r: r.object("k"), {"a": 1}, {"a": 1}, None),
        (lambda r: r.object("k"), '{"a": 1}', {"a": 1}, None),
        (lambda r: r.object("k"), None, {}, None),
        (lambda r: r.object("k"), [1], {}, ("is not an object", "an object, in the stack file or as JSON")),
        (lambda r: r.section("k"), {}, None, None),
        (lambda r: r.section("k"), None, None, None),
        (lambda r: r.section("k"), "text", None, ("is not an object", "an object, in the stack file or as JSON")),
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
    assert reader.problems == [("audit.trail.name", "is a number", "a string")]


def test_what_nobody_asked_for_is_told_first_with_the_nearest_key() -> None:
    reader = Reader({"trial": 1, "xxxx": 1, "audit": {"trail": {"nmae": 1}, "zzzz": 1}, "cpu": "x"})
    reader.integer("cpu", 1)
    reader.has("trail")
    audit = reader.section("audit")
    assert audit
    trail = audit.section("trail")
    assert trail
    trail.text("name", "")
    reader.reject_unknown("see the table")
    assert reader.problems == [
        ("trial", "is not a known key", "did you mean trail?"),
        ("xxxx", "is not a known key", "see the table"),
        ("audit.zzzz", "is not a known key", "see README.md, Configuration"),
        ("audit.trail.nmae", "is not a known key", "did you mean audit.trail.name?"),
        ("cpu", "is 'x'", "a whole number"),
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
