import string
from typing import Any

import pytest

from sandbox.providers._values import Secret, plain

PASSWORD = "random:index/randomPassword:RandomPassword"


@pytest.mark.parametrize(
    ("inputs", "allowed"),
    [
        ({"length": 200, "special": False}, string.ascii_letters + string.digits),
        ({"length": 200, "special": False, "upper": False, "numeric": False}, string.ascii_lowercase),
        ({"length": 200, "number": False, "special": False, "lower": False}, string.ascii_uppercase),
        ({"length": 200, "overrideSpecial": "_-"}, string.ascii_letters + string.digits + "_-"),
        ({"length": 200}, string.ascii_letters + string.digits + "!@#$%&*()-_=+[]{}<>:?"),
    ],
)
def test_only_allowed_characters_and_all_of_them(random: Any, inputs: dict[str, Any], allowed: str) -> None:
    texts = [plain(random.resource(PASSWORD).create(inputs).outputs["result"]) for _ in range(8)]
    assert {*"".join(texts)} == {*allowed}
    assert {len(text) for text in texts} == {200}
    assert len({*texts}) == 8


def test_minima_are_kept(random: Any) -> None:
    inputs = {"length": 8, "minLower": 2, "minUpper": 2, "minNumeric": 2, "minSpecial": 2, "overrideSpecial": "#"}
    text = plain(random.resource(PASSWORD).create(inputs).outputs["result"])
    counts = [sum(character in kind for character in text) for kind in (string.ascii_lowercase, string.digits, "#")]
    assert counts == [2, 2, 2]


def test_the_password_is_secret_and_not_the_id(random: Any) -> None:
    state = random.resource(PASSWORD).create({"length": 16})
    assert isinstance(state.outputs["result"], Secret)
    assert state.id == "none"


def test_a_preview_makes_no_password(random: Any) -> None:
    assert str(random.resource(PASSWORD).preview({"length": 16})["result"]) == "[secret]"


@pytest.mark.parametrize(
    ("inputs", "changed"),
    [
        ({"length": 16}, {"length": 17}),
        ({"length": 16}, {"length": 16, "special": False}),
        ({"length": 16, "keepers": {"generation": "1"}}, {"length": 16, "keepers": {"generation": "2"}}),
    ],
)
def test_every_change_makes_a_new_one(random: Any, inputs: dict[str, Any], changed: dict[str, Any]) -> None:
    life = random.resource(PASSWORD)
    assert life.diff(life.create(inputs), changed).replaces != []


def test_spelling_out_a_default_is_no_change(random: Any) -> None:
    life = random.resource(PASSWORD)
    assert life.diff(life.create({"length": 16}), {"length": 16, "special": True, "numeric": True}).changes == {}


@pytest.mark.parametrize(
    ("inputs", "failing"),
    [
        ({"length": 0}, "length"),
        ({}, "length"),
        ({"length": "long"}, "length"),
        ({"length": 3, "minLower": 4}, "length"),
        ({"length": 8, "lower": False, "upper": False, "special": False, "numeric": False}, "special"),
        ({"length": 8, "colour": "red"}, "colour"),
    ],
)
def test_bad_inputs_are_named(random: Any, inputs: dict[str, Any], failing: str) -> None:
    _, failures = random.resource(PASSWORD).check(inputs)
    assert [*failures] == [failing]


@pytest.mark.parametrize("kind", ["RandomBytes", "RandomString", "RandomId", "RandomUuid"])
def test_other_random_values_are_refused(random: Any, kind: str) -> None:
    """The official RandomBytes keeps its value in base64 as its id, in the clear in the state."""
    token = f"random:index/{kind[0].lower()}{kind[1:]}:{kind}"
    with pytest.raises(Exception, match=f"does not support the resource type {token}; it supports .*RandomPassword"):
        random.resource(token).check({"length": 16})


def test_a_function_is_refused_with_what_is_supported(random: Any) -> None:
    with pytest.raises(Exception, match="does not support the function random:index/x:x; it supports none"):
        random.invoke("random:index/x:x")
