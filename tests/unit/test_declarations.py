"""The rules that a catalogue must keep."""

import re
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogue import CATALOGUE, with_application_user
from model.declarations import (
    Catalogue,
    Declaration,
    External,
    Generated,
    JsonSecret,
    Supplied,
    TextSecret,
    adopted,
    full_name,
    is_external,
    problems,
    secret_config_keys,
    supplied_config_keys,
)


def text(name: str, key: str = "key", **options: str) -> TextSecret:
    return TextSecret(name, Generated(key), **options)


def found(*catalogue: Declaration, stack: str = "dev") -> list[tuple[str, str, str]]:
    return problems(catalogue, project="service-ticket-system", stack=stack)


@pytest.mark.parametrize("catalogue", [CATALOGUE, with_application_user(CATALOGUE, "ticketing")])
def test_the_projects_own_catalogue_keeps_the_rules(catalogue: Catalogue) -> None:
    assert found(*catalogue) == found(*catalogue, stack="prod") == []


@pytest.mark.parametrize(
    ("declaration", "subject", "said"),
    [
        (text("with space"), "with space", "is no name for a secret"),
        (text("näme"), "näme", "is no name for a secret"),
        (text("db-AbC123"), "db-AbC123", "ends in a hyphen and six characters"),
        (text("db-123456"), "db-123456", "ends in a hyphen and six characters"),
        (text("n" * 490), "n" * 40 + "...", "makes a name of 516 characters"),
        (text("a", "1key"), "a", "has the configuration key '1key'"),
        (text("a", variable="1A"), "a", "sets the variable '1A'"),
        (text("a", variable="A-B"), "a", "sets the variable 'A-B'"),
        (text(""), '""', "is no name for a secret"),
        (
            TextSecret("a", Generated("key", keeps_previous=True), variable="A"),
            "A_PREVIOUS",
            "is the variable of 2 entries",
        ),
        (
            JsonSecret("a", {"A": Generated("key", keeps_previous=True)}, variables={"A"}),
            "A_PREVIOUS",
            "is the variable of 2 entries",
        ),
        (JsonSecret("a", cast("Any", {"K": External()})), "a", "has External() for one of its keys"),
        (JsonSecret("a", cast("Any", {"K": "hunter2"})), "a", "has a value that is no source"),
        (TextSecret("a", cast("Any", "hunter2")), "a", "has a value that is no source"),
        (TextSecret("a", Generated("key", length=8)), "a", "generates 8 characters"),
        (JsonSecret("a", {}), "a", "has no keys"),
        (
            JsonSecret("a", {"K": Generated("k")}, variables={"L"}),
            "a",
            "references the JSON key 'L', which it does not",
        ),
        (JsonSecret("a", {"K:L": Generated("k")}, variables={"K:L": "V"}), "a", "references the JSON key 'K:L'"),
        (JsonSecret("a", {"": Generated("k")}, variables={"": "V"}), "a", "references the JSON key ''"),
        (
            JsonSecret("a", {"K": Generated("k", keeps_previous=True), "K_PREVIOUS": Generated("p")}),
            "a",
            "has the key 'K_PREVIOUS'",
        ),
    ],
)
def test_a_broken_rule_is_named(declaration: Declaration, subject: str, said: str) -> None:
    rows = found(declaration, text("other", "other", variable="A_PREVIOUS"))
    assert any(name == subject and said.partition(", which")[0] in what for name, what, _ in rows)
    assert "hunter2" not in str(rows)


def test_two_entries_with_one_name_variable_or_key_are_named() -> None:
    rows = found(text("a", "k", variable="V"), text("a", "k", variable="V"))
    assert {(subject, what) for subject, what, _ in rows} == {
        ("a", "is the secret of 2 entries"),
        ("V", "is the variable of 2 entries"),
        ("k", "is the configuration key of 2 entries"),
    }


def test_a_name_that_aws_could_take_for_another_ones_arn_is_named() -> None:
    (row,) = found(text("jwt", "a"), text("jwt-secret", "b"))
    assert row[:2] == ("jwt-secret", "looks like the ARN of jwt with its suffix")


def test_names_that_end_in_a_plain_word_are_allowed() -> None:
    assert found(text("jwt-secret", "a"), text("app-config", "b")) == []


def test_adopting_turns_a_secret_external_and_keeps_its_variables() -> None:
    by_name = {d.name: d for d in adopted(CATALOGUE, {"jwt-secret", "app-config"})}
    assert is_external(by_name["jwt-secret"])
    assert is_external(by_name["app-config"])
    assert not is_external(by_name["db-master-password"])
    assert dict(by_name["app-config"].references())["SMTP_PASSWORD"] == "SMTP_PASSWORD"


def test_config_keys_follow_from_the_sources() -> None:
    assert supplied_config_keys(CATALOGUE) == ("cloudflareToken", "smtpPassword")
    assert set(secret_config_keys(CATALOGUE)) == {
        "apiKey", "cloudflareToken", "dbMasterPassword", "encryptionKey", "jwtSecret", "redisPassword", "smtpPassword",
        "webhookSecret",
    }  # fmt: skip
    assert supplied_config_keys((TextSecret("a", External()), TextSecret("b", Supplied("b")))) == ("b",)


@given(st.from_regex(re.compile(r"[A-Za-z0-9/_+=.@-]{1,60}"), fullmatch=True))
def test_any_name_is_either_refused_or_safe_from_partial_arns(name: str) -> None:
    looks_random = re.fullmatch(r".*-(?=[A-Za-z0-9]*[A-Z0-9])[A-Za-z0-9]{6}", full_name("p", "s", name))
    assert bool(problems([text(name)], project="p", stack="s")) == bool(looks_random)
