import json
from typing import Any

import pytest

from sandbox.providers import _diff
from sandbox.providers._values import UNKNOWN, Asset


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, "", True),
        (None, False, True),
        ([], None, True),
        ({"a": None}, {}, True),
        ({"a": {"b": []}}, None, True),
        (1, 1.0, True),
        ("true", True, True),
        (0, None, True),
        ("a", "b", False),
        (None, "x", False),
        ([1, 2], [2, 1], False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        (Asset("asset", {"hash": "1", "path": "/a"}), Asset("asset", {"hash": "1", "path": "/b"}), True),
        (Asset("asset", {"hash": "1"}), Asset("asset", {"hash": "2"}), False),
    ],
)
def test_sameness_of_plain_values(old: Any, new: Any, expected: bool) -> None:  # noqa: FBT001 - a table
    assert _diff.same(old, new) is expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (policy(Action="s3:Get*"), policy(Action=["s3:Get*"]), True),
        (policy(Action=["a:B", "c:D"]), policy(Action=["c:D", "a:B"]), True),
        (policy(Resource=["x", "x"]), policy(Resource="x"), True),
        (
            policy(Principal={"AWS": "123456789012"}),
            policy(Principal={"AWS": ["arn:aws:iam::123456789012:root"]}),
            True,
        ),
        (
            policy(Condition={"Bool": {"aws:SecureTransport": False}}),
            policy(Condition={"Bool": {"aws:SecureTransport": ["false"]}}),
            True,
        ),
        (json.dumps({"Statement": {"Action": "a:B"}}), json.dumps({"Statement": [{"Action": "a:B"}]}), True),
        ("", "{}", True),
        (policy(Action="s3:Get*"), policy(Action="s3:Put*"), False),
        (policy(Action="s3:Get*"), policy(Action="s3:Get*", Sid="x"), False),
        (policy(Principal="*"), policy(Principal={"AWS": "*"}), False),
        ("not JSON", "not JSON", True),
        ("not JSON", "{}", False),
    ],
)
def test_policies_compare_by_meaning(old: str, new: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert _diff.same_policy(old, new) is expected


def test_json_compares_without_spacing_and_key_order() -> None:
    assert _diff.same_json('{"a": 1, "b": [2]}', '{"b":[2],"a":1}')
    assert not _diff.same_json('{"a": [1, 2]}', '{"a": [2, 1]}')


def test_sets_compare_without_order() -> None:
    assert _diff.same_set(["b", "a"], ["a", "b"])
    assert not _diff.same_set(["a"], ["a", "a"])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": "1"}, {"a": "2", "b": "3"}, {"p.a": "update", "p.b": "add"}),
        ({"a.b": "1"}, {}, {'p["a.b"]': "delete"}),
        ([{"k": 1}, {"k": 2}], [{"k": 1}, {"k": 3}], {"p[1].k": "update"}),
        ([1], [1, 2], {"p": "update"}),
        (None, {"a": 1}, {"p": "add"}),
        ("x", None, {"p": "delete"}),
        ("x", UNKNOWN, {"p": "update"}),
        ({"a": 1, "b": 2}, {"a": UNKNOWN, "b": 2}, {"p.a": "update"}),
        ({"a": 1}, {"a": 1.0, "b": ""}, {}),
    ],
)
def test_changes_name_the_differing_places(old: Any, new: Any, expected: dict[str, str]) -> None:
    found = _diff.changes("p", old, new, _diff.same, replace=False)
    assert {_diff.format_path(change.path): change.kind for change in found} == expected


def test_a_value_with_its_own_sameness_differs_as_a_whole() -> None:
    found = list(_diff.changes("p", ["a"], ["b", UNKNOWN], _diff.same_set, replace=True))
    assert found == [_diff.Change(("p",), "update", replace=True)]


@pytest.mark.parametrize(
    "path", [("tags",), ("tags", "a.b"), ("rules", 0, "days"), ("m", 'with "quotes"'), ("m", "x-y", 3)]
)
def test_a_path_is_read_back(path: tuple[Any, ...]) -> None:
    assert _diff.parse_path(_diff.format_path(path)) == path


@pytest.mark.parametrize(
    ("path", "ignored", "expected"),
    [
        (("tags", "a"), ["tags"], True),
        (("tags", "a"), ["tags.a"], True),
        (("tags", "a.b"), ['tags["a.b"]'], True),
        (("tags", "a"), ["tags.b"], False),
        (("tags",), ["tags.a"], False),
        (("rules", 1, "days"), ["rules[*].days"], True),
        (("rules", 1, "days"), ["rules[0].days"], False),
        (("a",), [], False),
        (("secretString",), ["versionStages", "secretString"], True),
    ],
)
def test_ignored_paths(path: tuple[Any, ...], ignored: list[str], expected: bool) -> None:  # noqa: FBT001 - a table
    assert _diff.is_ignored(path, ignored) is expected
