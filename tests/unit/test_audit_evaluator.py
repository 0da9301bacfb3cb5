"""The evaluator of the tests means what AWS's documentation says."""

from typing import Any

import pytest

from tests.unit.pattern_evaluator import filter_matches

RECORD: dict[str, Any] = {
    "eventType": "UpdateTrail",
    "sourceIPAddress": "111.111.111.111",
    "arrayKey": ["value", "another value"],
    "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
    "SomeObject": None,
    "ThisFlag": True,
    "bandwidth": 80,
    "user": {"id": 1, "email": "John.Stiles@example.com"},
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('{ $.eventType = "UpdateTrail" }', True),
        ("{ $.eventType = UpdateTrail }", True),
        ('{ $.eventType = "updatetrail" }', False),
        ('{ $.eventType = "Update*" }', True),
        ('{ $.eventType = "*Trail" }', True),
        ('{ $.eventType = "*" }', True),
        ('{ $.missing = "*" }', False),
        ("{ $.sourceIPAddress != 123.123.* }", True),
        ('{ $.arrayKey[0] = "value" }', True),
        ('{ $.arrayKey[2] = "value" }', False),
        ("{ $.objectList[1].id = 2 }", True),
        ("{ $.SomeObject IS NULL }", True),
        ("{ $.missing IS NULL }", False),
        ("{ $.SomeOtherObject NOT EXISTS }", True),
        ("{ $.SomeObject NOT EXISTS }", False),
        ("{ $.ThisFlag IS TRUE }", True),
        ("{ $.ThisFlag IS FALSE }", False),
        ("{ $.bandwidth > 75 }", True),
        ("{ $.bandwidth >= 80 && $.bandwidth < 81 }", True),
        ("{ $.eventType > 75 }", False),
        ("{ $.sourceIPAddress = %^111[.][0-9]{1,3}[.]% }", True),
        ('{ ($.user.id = 1) && ($.user.email = "John.Stiles@example.com") }', True),
        ('{ $.user.id = 2 || $.user.id = 1 && $.eventType = "nonmatch" }', False),
        ('{ ($.user.id = 1 || $.user.id = 2) && $.eventType = "UpdateTrail" }', True),
        ('{ $.missing NOT EXISTS || $.missing != "x" }', True),
        ("{ $.missing IS FALSE }", False),
        ('{ $.eventType = "*date*" }', True),
        ("{ $.user.id >= 0 }", True),
        ("{ $.missing >= 0 }", False),
        ("{ $.eventType != %/[0-9a-f]{32}$% }", True),
    ],
)
def test_a_metric_filter_matches_as_documented(pattern: str, expected: object) -> None:
    assert filter_matches(pattern, RECORD) is expected


def test_an_answer_that_depends_on_not_equal_of_a_missing_field_is_refused() -> None:
    with pytest.raises(AssertionError, match="depends on !="):
        filter_matches('{ $.missing != "x" }', RECORD)


@pytest.mark.parametrize(
    "pattern", ["ERROR", '{ $.a = "x" ', '{ a = "x" }', '{ $.a = "x" && }', '{ $.a = "x" $.b = "y" }', '{ $.a > "x" }']
)
def test_a_malformed_metric_filter_is_refused(pattern: str) -> None:
    with pytest.raises(SyntaxError):
        filter_matches(pattern, RECORD)
