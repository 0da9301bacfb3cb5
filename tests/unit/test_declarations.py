"""The rules that a catalogue must keep."""

import re
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogue import CATALOGUE
from components.names import Names
from config.declarations import (
    Application,
    Declaration,
    External,
    Generated,
    JsonSecret,
    Service,
    TextSecret,
    adopted,
    own,
    problems,
    secret_config_keys,
    service_problems,
    shared_more_than_referenced,
)


def text(name: str, key: str = "key", **options: str) -> TextSecret:
    return TextSecret(name, Generated(key), **options)


def found(*catalogue: Declaration, stack: str = "dev") -> list[tuple[str, str, str]]:
    return problems(catalogue, project="service-ticket-system", stack=stack, services={"app": ()})


@pytest.mark.parametrize(
    ("declaration", "subject", "said"),
    [
        (text("with space"), "with space", "is not a name for a secret"),
        (text("näme"), "näme", "is not a name for a secret"),
        (text("db-AbC123"), "db-AbC123", "ends in a hyphen and six characters"),
        (text("db-123456"), "db-123456", "ends in a hyphen and six characters"),
        (text("n" * 490), "n" * 40 + "...", "results in a name of 516 characters"),
        (text("a", "1key"), "a", "has the configuration key '1key'"),
        (text("a", variable="1A"), "a", "sets the variable '1A'"),
        (text("a", variable="A-B"), "a", "sets the variable 'A-B'"),
        (text(""), '""', "is not a name for a secret"),
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
        (JsonSecret("a", cast("Any", {"K": "hunter2"})), "a", "has a value that is not a source"),
        (TextSecret("a", cast("Any", "hunter2")), "a", "has a value that is not a source"),
        (TextSecret("a", Generated("key", length=8)), "a", "generates 8 characters"),
        (JsonSecret("a", {}), "a", "has no keys"),
        (
            JsonSecret("a", {"K": Generated("k")}, variables={"L"}),
            "a",
            "names L in `variables`, which it lacks",
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
    by_name = {d.name: d for d in adopted(own(CATALOGUE), {"jwt-secret", "app-config"})}
    external = {name for name, d in by_name.items() if any(isinstance(source, External) for source in d.sources())}
    assert external == {"jwt-secret", "app-config"}
    assert dict(by_name["app-config"].references())["SMTP_PASSWORD"] == "SMTP_PASSWORD"


def test_config_keys_follow_from_the_sources() -> None:
    assert set(secret_config_keys(own(CATALOGUE))) == {
        "apiKey", "cloudflareToken", "dbMasterPassword", "encryptionKey", "jwtSecret", "redisPassword", "smtpPassword",
        "webhookSecret",
    }  # fmt: skip


@given(st.from_regex(re.compile(r"[A-Za-z0-9/_+=.@-]{1,60}"), fullmatch=True))
def test_any_name_is_either_refused_or_safe_from_partial_arns(name: str) -> None:
    looks_random = re.fullmatch(r".*-(?=[A-Za-z0-9]*[A-Z0-9])[A-Za-z0-9]{6}", Names("p", "s").secret(name))
    assert bool(problems([text(name)], project="p", stack="s", services={"app": ()})) == bool(looks_random)


def two_services(*catalogue: Declaration) -> list[tuple[str, str, str]]:
    return problems(catalogue, project="p", stack="s", services={"web": ("HOST",), "worker": ()})


def test_readers_narrow_who_gets_a_secret() -> None:
    declaration = JsonSecret("a", {"K": Generated("k"), "L": Generated("l")}, variables={"K", "L"}, readers={"worker"})
    assert dict(declaration.references("worker")) == {"K": "K", "L": "L"}
    assert dict(declaration.references("web")) == {}
    by_variable = replace(declaration, readers={"web": {"K"}, "worker": {"L"}})
    assert (dict(by_variable.references("web")), dict(by_variable.references("worker"))) == ({"K": "K"}, {"L": "L"})
    assert shared_more_than_referenced([by_variable], ["web", "worker"]) == {
        ("web", "a"): ["L"],
        ("worker", "a"): ["K"],
    }
    assert shared_more_than_referenced([declaration], ["web", "worker"]) == {}


def test_two_services_may_have_a_variable_of_the_same_name_and_one_may_not() -> None:
    a, b = text("a", "a", variable="TOKEN"), text("b", "b", variable="TOKEN")
    assert two_services(replace(a, readers={"web"}), replace(b, readers={"worker"})) == []
    both = {"web", "worker"}
    repeated = two_services(replace(a, readers=both), replace(b, readers=both))
    assert [row[1] for row in repeated] == ["is the variable of 2 entries"]
    assert [row[0] for row in two_services(replace(a, variable="HOST", readers=both))] == ["HOST"]
    assert two_services(replace(a, variable="HOST", readers={"worker"})) == []


def test_with_several_services_every_secret_that_a_container_gets_names_its_readers() -> None:
    """Before, one without readers went to all of them: a new service read every secret that was there."""
    named, unnamed = text("a", "a", variable="A"), text("b", "b", variable="B")
    found = two_services(replace(named, readers={"web"}), unnamed, text("c", "c"))
    assert found == [("b", "names no readers", "readers={...} with those of the services that read it: web, worker")]
    assert problems([unnamed], project="p", stack="s", services={"web": ()}) == []


@pytest.mark.parametrize(
    ("project", "stack", "service", "found"),
    [
        ("tickets", "s" * 50, "app", ("stack", 50, "at most 37")),
        ("p" * 50, "dev", "app", ("project", 50, "at most 41")),
        ("shop", "dev", "x" * 60, ("service xxxxxxxxxxxxxxxxxxxx", 60, "at most 40")),
        ("p" * 30, "s" * 30, "x" * 30, ("project", 60, "together at most 17")),
    ],
)
def test_a_name_that_is_too_long_says_the_longest_that_fits(
    project: str, stack: str, service: str, found: tuple[str, int, str]
) -> None:
    """Once it said "at most -2"."""
    ((subject, what, rule),) = Names(project, stack).problems([service])
    assert (subject, f"{found[1]} characters" in what, rule.partition(":")[0]) == (found[0], True, found[2])


@pytest.mark.parametrize(
    ("readers", "found"), [({"wep"}, "has the reader 'wep'"), ({"web": {"TOKN"}}, "gives a reader the variable 'TOKN'")]
)
def test_a_reader_or_a_variable_that_does_not_exist_is_named(readers: Any, found: str) -> None:
    assert [row[1] for row in two_services(replace(text("a", "a", variable="TOKEN"), readers=readers))] == [found]


@pytest.mark.parametrize(
    ("names", "found"),
    [((), "is empty"), (("a b",), "is not a name for a service"), (("a", "a"), "is the service of 2 entries")],
)
def test_services_have_names_of_their_own(names: tuple[str, ...], found: str) -> None:
    assert [row[1] for row in service_problems([Service(name) for name in names])] == [found]


def test_a_stack_may_replace_an_entry_or_add_one() -> None:
    own = (text("a", "other"), text("c", "c"))
    application = Application((Service("web"),), (text("a", "a"), text("b", "b")), in_stack={"prod": own})
    assert application.catalogue("dev") == application.secrets
    assert application.catalogue("prod") == (own[0], application.secrets[1], own[1])
