"""Which changes of where a value comes from are refused, and with which ways on."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from components.value_intent import Change, Record, Refusal
from components.value_plan import WHOLE, SecretPlan, Value

NAME = "tickets-dev-db"
ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:old/db-AbCdEf"


def value(origin: str, **more: Any) -> Value:
    kind, key, number = origin.split() if " " in origin else (origin, "", "1")
    source = "generated" if kind == "configured" else kind
    return Value(source, key, kind == "configured", int(number), **more)


def plan(values: dict[str, str], **more: Any) -> SecretPlan:
    """A secret; `kept` are the keys whose value before is kept."""
    kept, named = more.pop("kept", ()), more.pop("referenced", ())
    made = {
        key: value(origin, keeps_previous=key in kept, referenced=key in named, previous_referenced=f"{key}_PREVIOUS" in named)
        for key, origin in values.items()
    }  # fmt: skip
    return SecretPlan("db", more.pop("full_name", NAME), values=made, **more)


def text(origin: str, **more: Any) -> SecretPlan:
    return plan({WHOLE: origin}, **more)


EXTERNAL = plan({})


def refusals(before: SecretPlan, after: SecretPlan) -> list[Refusal]:
    return Change(after, Record.of(before), "prod").refusals()


def one(before: SecretPlan, after: SecretPlan) -> str:
    found = refusals(before, after)
    assert len(found) <= 1
    assert all("Nothing was changed" in refusal.text for refusal in found)
    return found[0].text if found else ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("generated k 1", "generated k 1"),
        ("generated k 1", "generated k 2"),
        ("generated k 1", "configured k 1"),
        ("generated k 1", "configured other 1"),
        ("configured k 1", "configured k 1"),
        ("configured k 1", "configured other 1"),
        ("generated k 2", "configured k 2"),
        ("configured k 2", "configured k 3"),
        ("configured k 1", "generated k 2"),
        ("constant", "configured k 1"),
        ("generated k 1", "constant"),
        ("constant", "constant"),
    ],
)
def test_a_value_that_is_given_or_follows_the_last_is_allowed(before: str, after: str) -> None:
    assert one(text(before), text(after)) == ""


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("generated k 2", "generated k 1", "rotations.k is 2 and can only become 3, not 1"),
        ("generated k 1", "generated k 3", "rotations.k is 1 and can only become 2, not 3"),
        ("configured k 1", "generated k 1", "pulumi config set --stack prod --secret k"),
        ("configured k 1", "generated k 1", "\n  python -m ops keep db --stack prod\n"),
        ("configured k 1", "generated k 3", "pulumi config set --stack prod --path rotations.k 2"),
        ("configured k 2", "generated k 2", "pulumi config set --stack prod --path rotations.k 3"),
        ("configured k 2", "generated k 1", "rotations.k is 2 and can only become 3, not 1"),
        # The number goes up while the value is configured: else an older one would follow one day.
        ("generated k 2", "configured k 1", "rotations.k is 2 and can only become 3, not 1"),
        ("configured k 2", "configured k 1", "rotations.k is 2 and can only become 3, not 1"),
        ("generated k 1", "generated other 1", "is now generated for other, no longer for k"),
        ("generated k 1", "generated other 2", "pulumi config set --stack prod --secret other"),
        ("configured k 1", "generated other 2", "no longer for k"),
        ("constant", "generated k 1", "no longer a constant"),
    ],
)
def test_an_older_or_an_unasked_for_value_is_refused_unless_it_is_live(before: str, after: str, said: str) -> None:
    (refusal,) = refusals(text(before), text(after))
    assert said in refusal.text
    assert refusal.unless_live


@pytest.mark.parametrize(
    ("before", "key", "command"),
    [
        (text("generated k 2"), "", "keep db --version PREVIOUS --stack prod"),
        (text("generated k 2", kept={WHOLE}), "", "keep db --version pulumi-previous --stack prod"),
        (plan({"A": "generated k 2"}), "A", "keep db --key A --version PREVIOUS --stack prod"),
        (plan({"A": "generated k 2"}, kept={"A"}), "A", "keep db --key A_PREVIOUS --config-key k --stack prod"),
    ],
)
def test_a_lowered_number_is_told_how_to_get_the_value_before(before: SecretPlan, key: str, command: str) -> None:
    lines = one(before, plan({key: "generated k 1"})).splitlines()
    assert lines[0].startswith("db key A: " if key else "db: ")
    assert lines[1] == "  pulumi config set --stack prod --path rotations.k 2"
    assert lines[3] == f"  python -m ops {command}"
    assert lines[4] == "  pulumi config set --stack prod --path rotations.k 3"


def test_while_a_function_rotates_the_value_its_number_stays() -> None:
    raised = one(text("generated k 1"), text("generated k 2", rotated=True))
    assert raised.splitlines()[1:] == [
        "  pulumi config set --stack prod --path rotations.k 1",
        "  python -m ops rotate db --stack prod",
    ]
    assert one(text("generated k 2"), text("generated k 2", rotated=True)) == ""
    assert one(text("generated k 2", rotated=True), text("generated k 2")) == ""


def test_a_key_that_nobody_would_set_is_refused_unless_the_live_json_has_it() -> None:
    before = plan({"A": "generated a 1"}, rotated=True)
    (refusal,) = refusals(before, plan({"A": "generated a 1", "B": "constant"}, rotated=True))
    assert "python -m ops set db --key B --stack prod" in refusal.text
    assert refusal.unless_live_has == "B"
    assert one(before, plan({"A": "generated a 1", "B": "constant"})) == ""


@pytest.mark.parametrize(("was", "becomes"), itertools.permutations([WHOLE, "A"]))
def test_a_text_that_becomes_json_is_refused_with_the_steps(was: str, becomes: str) -> None:
    (refusal,) = refusals(plan({was: "generated k 1"}), plan({becomes: "generated k 1"}))
    assert "declare a secret with another name" in refusal.text
    assert not refusal.unless_live


def test_the_configuration_key_under_which_the_value_before_is_kept_stays() -> None:
    before = plan({"A": "configured k 2"}, kept={"A"})
    assert one(before, plan({"A": "generated k 3"}, kept={"A"})) == ""
    assert "Set k again" in one(before, plan({"A": "configured other 1"}, kept={"A"}))
    assert one(plan({"A": "configured k 1"}), plan({"A": "configured other 1"})) == ""


def test_a_json_key_goes_after_its_variable_and_not_with_it() -> None:
    values = {"A": "generated a 1", "B": "generated b 1"}
    referenced = plan(values, referenced={"A", "B"})
    without_variable, without_key = plan(values, referenced={"B"}), plan({"B": values["B"]}, referenced={"B"})
    assert "db key A: leaves the JSON" in one(referenced, without_key)
    assert one(referenced, without_variable) == one(without_variable, without_key) == ""
    assert one(referenced, EXTERNAL) == ""  # the value stays as it is


def test_the_value_before_goes_after_its_variable_and_not_with_it() -> None:
    def a(origin: str = "generated a 2", *referenced: str, kept: bool = True) -> SecretPlan:
        return plan({"A": origin}, kept={"A"} if kept else (), referenced={"A", *referenced})

    with_variable, without_variable, without_value = a("generated a 2", "A_PREVIOUS"), a(), a(kept=False)
    assert "set keeps_previous=False, run `pulumi up`" in one(with_variable, without_value)
    assert "keeps_previous=False" in one(with_variable, a("configured a 2", kept=False))
    assert one(with_variable, without_variable) == one(without_variable, without_value) == ""
    assert one(without_value, without_variable) == one(without_value, with_variable) == ""
    # What else is wrong is said alone.
    assert "can only become 3" in one(with_variable, a("generated a 1", kept=False))
    assert "db key A: leaves the JSON" in one(with_variable, plan({"B": "constant"}))
    both = plan({"A": "generated a 2", "A_PREVIOUS": "generated b 1"})
    assert "a previous value" in one(without_variable, both)


def test_new_and_removed_keys_and_a_secret_that_others_set_are_allowed() -> None:
    one_key, two_keys = plan({"A": "generated a 1"}), plan({"A": "generated a 1", "B": "generated b 3"})
    for before, after in itertools.permutations((one_key, two_keys, EXTERNAL), 2):
        assert refusals(before, after) == []


ADOPTED, OTHER = replace(EXTERNAL, adopt_arn=ARN), replace(EXTERNAL, adopt_arn=ARN[:-6] + "ZyXwVu")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (ADOPTED, text("generated k 1"), "Set adopt.db again"),
        (ADOPTED, EXTERNAL, "a second secret beside"),
        (ADOPTED, OTHER, "adopt.db now names another secret"),
        (text("generated k 1"), ADOPTED, "Remove adopt.db"),
        (text("generated k 1"), text("generated k 1", full_name="tickets-qa-db"), "pulumi stack rename"),
    ],
)
def test_another_secret_never_takes_the_place_of_one(before: SecretPlan, after: SecretPlan, said: str) -> None:
    assert said in one(before, after)


def of_values(before: SecretPlan, after: SecretPlan, last: dict[str, str], new: dict[str, str]) -> str:
    return "\n".join(r.text for r in Change(after, Record.of(before), "prod").value_refusals(last, new))


@pytest.mark.parametrize("key", ["A", WHOLE])
@pytest.mark.parametrize(
    ("before", "after", "new", "refused"),
    [
        # What changes is offered as the value before, whatever made it.
        ("generated k 1", "generated k 2", ["2", "1"], ""),
        ("generated k 1", "configured k 2", ["c", "1"], ""),
        ("configured k 1", "generated k 2", ["2", "1"], ""),
        ("configured k 1", "configured k 2", ["c", "1"], ""),
        ("configured k 1", "configured k 2", ["c", "random"], "rotations.k 3"),
        ("generated k 1", "configured k 2", ["c", "random"], "rotations.k 3"),
        # Under its number it has no place to be kept.
        ("generated k 1", "configured k 1", ["c"], "rotations.k 2"),
        ("configured k 1", "configured k 1", ["c"], "rotations.k 2"),
        ("configured k 1", "configured other 1", ["c"], "Set k again"),
        # A number that changes no value leaves the value before.
        ("configured k 1", "configured k 2", ["1", "1"], ""),
        ("configured k 2", "configured k 3", ["1", "0"], ""),
        ("configured k 2", "configured k 3", ["1", "1"], "rotations.k 4"),
        # A generated value stays under its number.
        ("generated k 1", "generated k 1", ["1"], ""),
        ("generated k 1", "generated k 1", ["lost"], "the state has lost its generated value"),
        ("generated k 1", "generated k 1", [], "the state has lost its generated value"),
        # A lowered number is refused anyway, and a skipped one, with the number that may follow.
        ("generated k 2", "generated k 1", ["9"], ""),
        ("generated k 2", "generated k 4", ["4", "3"], "rotations.k 3"),
    ],
)
def test_the_value_before_is_the_last_live_one_that_differs(
    key: str, before: str, after: str, new: list[str], refused: str
) -> None:
    keys = [key, f"{key}_PREVIOUS"]
    last = {key: "1"} | ({f"{key}_PREVIOUS": "0"} if before.endswith("2") else {})
    found = of_values(
        plan({key: before}, kept={key}), plan({key: after}, kept={key}), last, dict(zip(keys, new, strict=False))
    )
    assert (refused in found) if refused else found == ""


def test_what_is_not_kept_or_not_ours_is_not_compared() -> None:
    assert of_values(text("configured k 1"), text("configured k 1"), {"": "1"}, {"": "2"}) == ""
    assert of_values(EXTERNAL, text("generated k 1", kept={WHOLE}), {}, {"": "2"}) == ""
