"""Which changes of where a value comes from are refused, and with which ways on."""

import itertools
from dataclasses import replace

import pytest

from components.origins import WHOLE, Origins, origins, refusals, turned_generated
from config.declarations import Constant, External, Generated, JsonSecret, Supplied, TextSecret

NAME = "service-ticket-system-dev-db"
ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:old/db-AbCdEf"


def text(origin: str, *, rotated: bool = False) -> Origins:
    return Origins(NAME, adopted=False, rotated=rotated, values={WHOLE: origin})


EXTERNAL = Origins(NAME, adopted=False, rotated=False, values={})


def one(before: Origins, after: Origins, kept: frozenset[str] = frozenset()) -> str:
    found = refusals("db", before, after, kept)
    assert len(found) <= 1
    return found[0] if found else ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("generated dbPassword 1", "generated dbPassword 1"),
        ("generated dbPassword 1", "generated dbPassword 2"),
        ("generated dbPassword 1", "configured dbPassword 1"),
        ("generated dbPassword 1", "configured other 1"),
        ("configured dbPassword 1", "configured dbPassword 1"),
        ("configured dbPassword 1", "configured other 1"),
        ("generated dbPassword 2", "configured dbPassword 2"),
        ("configured dbPassword 2", "configured dbPassword 3"),
        ("configured dbPassword 1", "generated dbPassword 2"),
        ("constant", "configured dbPassword 1"),
        ("generated dbPassword 1", "constant"),
        ("constant", "constant"),
    ],
)
def test_a_value_that_is_given_or_follows_the_last_is_allowed(before: str, after: str) -> None:
    assert one(text(before), text(after)) == ""


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("generated dbPassword 2", "generated dbPassword 1", "rotations.dbPassword is 2 and can only become 3, not 1"),
        ("generated dbPassword 1", "generated dbPassword 3", "rotations.dbPassword is 1 and can only become 2, not 3"),
        ("configured dbPassword 1", "generated dbPassword 1", "pulumi config set --secret dbPassword"),
        ("configured dbPassword 1", "generated dbPassword 3", "pulumi config set --path rotations.dbPassword 2"),
        ("configured dbPassword 2", "generated dbPassword 2", "pulumi config set --path rotations.dbPassword 3"),
        ("configured dbPassword 2", "generated dbPassword 1", "rotations.dbPassword is 2 and can only become 3, not 1"),
        # The number counts on while the value is configured: else an older generation would follow one day.
        ("generated dbPassword 2", "configured dbPassword 1", "rotations.dbPassword is 2 and can only become 3, not 1"),
        (
            "configured dbPassword 2",
            "configured dbPassword 1",
            "rotations.dbPassword is 2 and can only become 3, not 1",
        ),
        ("generated dbPassword 1", "generated other 1", "is generated for other from now on, no longer for dbPassword"),
        ("generated dbPassword 1", "generated other 2", "pulumi config set --secret other"),
        ("configured dbPassword 1", "generated other 2", "no longer for dbPassword"),
        ("constant", "generated dbPassword 1", "no longer a constant"),
    ],
)
def test_an_older_or_an_unasked_for_value_is_refused_with_the_way_on(before: str, after: str, said: str) -> None:
    found = one(text(before), text(after))
    assert said in found
    assert "Nothing was changed" in found


def test_while_a_function_rotates_the_value_its_number_stays() -> None:
    assert "python -m ops rotate" in one(text("generated dbPassword 1"), text("generated dbPassword 2", rotated=True))
    assert one(text("generated dbPassword 2"), text("generated dbPassword 2", rotated=True)) == ""
    assert one(text("generated dbPassword 2", rotated=True), text("generated dbPassword 2")) == ""


def test_the_configuration_key_under_which_the_value_before_is_kept_stays() -> None:
    keys = frozenset({"KEY"})
    before = Origins(NAME, adopted=False, rotated=False, values={"KEY": "configured key 1"})
    assert one(before, replace(before, values={"KEY": "generated key 2"}), keys) == ""
    renamed = replace(before, values={"KEY": "configured other 1"})
    assert one(before, renamed) == ""
    assert "Put key back" in one(before, renamed, keys)


def test_a_json_key_goes_after_its_variable_and_not_with_it() -> None:
    values = {"A": "generated a 1", "B": "generated b 1"}
    referenced = Origins(NAME, adopted=False, rotated=False, values=values, referenced=frozenset({"A", "B"}))
    without_variable = replace(referenced, referenced=frozenset({"B"}))
    without_key = replace(without_variable, values={"B": values["B"]})
    said = one(referenced, without_key)
    assert "db key A: leaves the JSON" in said
    assert "Nothing was changed" in said
    assert one(referenced, without_variable) == one(without_variable, without_key) == ""
    assert one(referenced, replace(EXTERNAL, referenced=referenced.referenced)) == ""  # the value stays as it is


def test_the_value_before_goes_after_its_variable_and_not_with_it() -> None:
    both = {"A": "generated a 2", "A_PREVIOUS": "previous"}
    referenced = Origins(NAME, adopted=False, rotated=False, values=both, referenced=frozenset({"A", "A_PREVIOUS"}))
    without_variable = replace(referenced, referenced=frozenset({"A"}))
    without_value = replace(without_variable, values={"A": "generated a 2"})
    assert "write keeps_previous=False, run `pulumi up`" in one(referenced, without_value)
    assert "keeps_previous=False" in one(referenced, replace(without_value, values={"A": "configured a 2"}))
    assert "keeps_previous=False" in one(referenced, replace(without_value, values={"A": "constant"}))
    assert one(referenced, without_variable) == one(without_variable, without_value) == ""
    assert one(without_value, without_variable) == one(without_value, referenced) == ""
    # What else is wrong is said alone.
    assert "can only become 3" in one(referenced, replace(without_value, values={"A": "generated a 1"}))
    assert "db key A: leaves the JSON" in one(referenced, replace(referenced, values={"B": "constant"}))
    assert "a previous value" in one(
        without_variable, replace(without_variable, values={**both, "A_PREVIOUS": "generated b 1"})
    )


def test_the_value_before_has_an_origin_once_there_is_one() -> None:
    keys = {"A": Generated("a", keeps_previous=True), "B": Generated("b", keeps_previous=False), "C": Generated("c")}
    declaration = JsonSecret("db", keys, variables={"A", "B"})

    def found(number: int) -> Origins:
        numbers = dict.fromkeys("abc", number)
        return origins(declaration, secret=NAME, adopted=False, rotated=False, configured={}, generations=numbers)

    assert set(found(1).values) == {"A", "B", "C"}
    assert found(1).referenced == {"A", "B"}
    assert {key for key, origin in found(2).values.items() if origin == "previous"} == {"A_PREVIOUS", "B_PREVIOUS"}
    assert found(2).referenced == {"A", "B", "A_PREVIOUS"}


def test_new_and_removed_keys_and_a_secret_that_others_take_over_are_allowed() -> None:
    one_key = Origins(NAME, adopted=False, rotated=False, values={"A": "generated a 1"})
    two_keys = Origins(NAME, adopted=False, rotated=False, values={"A": "generated a 1", "B": "generated b 3"})
    for before, after in itertools.permutations((one_key, two_keys, EXTERNAL), 2):
        assert refusals("db", before, after) == []


def test_a_secret_that_others_have_put_and_that_turns_generated_is_told() -> None:
    mixed = Origins(
        NAME, adopted=False, rotated=False, values={"A": "generated a 1", "B": "configured b 1", "C": "constant"}
    )
    assert turned_generated(EXTERNAL, mixed) == {"A": "a"}
    assert turned_generated(mixed, mixed) == {}


ADOPTED = Origins(ARN, adopted=True, rotated=False, values={})
OTHER = Origins(ARN[:-6] + "ZyXwVu", adopted=True, rotated=False, values={})
RENAMED = Origins("service-ticket-system-qa-db", adopted=False, rotated=False, values={WHOLE: "generated dbPassword 1"})


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (ADOPTED, text("generated dbPassword 1"), "Put adopt.db back"),
        (ADOPTED, EXTERNAL, "a second secret beside"),
        (ADOPTED, OTHER, "adopt.db now names another secret"),
        (text("generated dbPassword 1"), ADOPTED, "Take adopt.db out"),
        (text("generated dbPassword 1"), RENAMED, "pulumi stack rename"),
    ],
)
def test_another_secret_never_takes_the_place_of_one(before: Origins, after: Origins, said: str) -> None:
    found = one(before, after)
    assert said in found
    assert "Nothing was changed" in found


def test_origins_follow_from_the_declaration_and_survive_the_state() -> None:
    declaration = JsonSecret(
        "db",
        {
            "user": Constant("app"),
            "password": Generated("dbPassword"),
            "token": Supplied("token"),
            "salt": Generated("salt"),
        },
        variables={"token": "TOKEN", "salt": "SALT"},
    )
    found = origins(
        declaration,
        secret=NAME,
        adopted=False,
        rotated=True,
        configured={"token": "t" * 16, "salt": "s" * 16},
        generations={"dbPassword": 3},
    )
    assert found.values == {
        "user": "constant",
        "password": "generated dbPassword 3",
        "token": "configured token 1",
        "salt": "configured salt 1",
    }
    assert found.referenced == {"token", "salt"}
    assert Origins.of_record(found.record()) == found


@pytest.mark.parametrize("declaration", [TextSecret("db", External()), JsonSecret("db", External())])
def test_what_others_put_has_no_origins(declaration: TextSecret | JsonSecret) -> None:
    found = origins(declaration, secret=NAME, adopted=False, rotated=False, configured={}, generations={})
    assert found == EXTERNAL
