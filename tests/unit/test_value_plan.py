"""From plain arguments to values, generated passwords and values before."""

from typing import Any

import pytest

from components.value_intent import Record
from components.value_plan import SecretPlan, passwords, plan, problems


def secret(**args: Any) -> SecretPlan:
    (found,) = plan({"db": args}, "tickets-dev")
    return found


@pytest.mark.parametrize(
    ("value", "origin", "numbers", "remembered"),
    [
        ({"config_key": "a"}, "generated a 1", [1], False),
        ({"config_key": "a", "keeps_previous": True}, "generated a 1", [1], True),
        ({"config_key": "a", "number": 3.0}, "generated a 3", [3, 2], True),  # other languages send floats
        ({"config_key": "a", "value": "v"}, "configured a 1", [], True),
        ({"config_key": "a", "value": "v", "number": 2}, "configured a 2", [1], True),
        ({"config_key": "a", "value": "v", "supplied": True}, "configured a 1", [], False),
        ({"constant": "c"}, "constant", [], False),
        ({}, "generated db 1", [1], False),
    ],
)
def test_a_value_has_an_origin_passwords_and_a_memory(
    value: dict[str, Any],
    origin: str,
    numbers: list[int],
    remembered: bool,  # noqa: FBT001
) -> None:
    found = secret(text=value).values[""]
    assert (found.origin, list(found.passwords()), found.is_remembered) == (origin, numbers, remembered)


def test_a_json_has_the_value_before_once_there_is_one() -> None:
    def found(number: int) -> SecretPlan:
        kept = {"number": number, "keeps_previous": True, "referenced": True}
        return secret(json={
            "A": {"config_key": "a", **kept, "previous_referenced": True},
            "B": {"config_key": "b", **kept},
            "C": {"config_key": "c", "number": number},
        })  # fmt: skip

    assert set(found(1).origins()) == {"A", "B", "C"}
    assert found(1).referenced() == ["A", "B"]
    assert {key for key, origin in found(2).origins().items() if origin == "previous"} == {"A_PREVIOUS", "B_PREVIOUS"}
    assert found(2).referenced() == ["A", "A_PREVIOUS", "B"]


def test_names_adoption_and_what_others_set() -> None:
    assert secret(text={}).full_name == "tickets-dev-db"
    assert secret(full_name="other").full_name == "other"
    assert secret().values == {}
    arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:old/db-AbCdEf"
    assert Record.of(secret(adopt_arn=arn)) == Record(arn, adopted=True)


def test_a_record_survives_the_state() -> None:
    values = {"A": {"config_key": "a", "referenced": True}, "B": {"constant": "b"}}
    record = Record.of(secret(json=values, rotated=True))
    assert record == Record("tickets-dev-db", False, True, {"A": "generated a 1", "B": "constant"}, ["A"])
    assert Record.parse(record.as_state()) == record


def test_two_secrets_share_the_value_of_one_configuration_key() -> None:
    moving = {"config_key": "moving", "length": 20, "number": 2}
    plans = plan({"old": {"json": {"M": moving}}, "new": {"text": moving | {"length": 40}}}, "p")
    assert passwords(plans) == {("moving", 2): 20, ("moving", 1): 20}


@pytest.mark.parametrize(
    ("args", "where", "found"),
    [
        ({"text": {}, "json": {"A": {}}}, "secrets.db", "is a text and a JSON"),
        ({"text": {}, "adopt_arn": "arn"}, "secrets.db", "is adopted and keeps its value"),
        ({"text": {"supplied": True, "config_key": "smtp"}}, "secrets.db.smtp", "lacks its value"),
        ({"json": {"A": {"constant": "c", "value": "v"}}}, "secrets.db.value", "has a value and is a constant"),
    ],
)
def test_what_makes_no_sense_is_named(args: dict[str, Any], where: str, found: str) -> None:
    ((at, what, _),) = problems({"db": args})
    assert (at, what) == (where, found)
