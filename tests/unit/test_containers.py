"""Container definitions: canonical, complete, and new when a secret's version is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components._containers import Container, container_definitions, versions_digest


def definition(**changed: Any) -> str:
    inputs: dict[str, Any] = {
        "name": "app",
        "image": "app:1",
        "port": 3000,
        "environment": {"B": "2", "A": "1"},
        "secrets": {"Z": "arn:z", "Y": "arn:y"},
        "version_ids": ["v1", "v2"],
        "log_group_name": "/ecs/app",
        "region": "eu-central-1",
    }
    return container_definitions(Container(**{**inputs, **changed}))


def test_the_same_input_in_another_order_is_the_same_text() -> None:
    assert definition() == definition(
        environment={"A": "1", "B": "2"}, secrets={"Y": "arn:y", "Z": "arn:z"}, version_ids=["v2", "v1"]
    )


def test_a_new_version_of_a_secret_is_a_new_definition() -> None:
    assert definition() != definition(version_ids=["v1", "v3"])


def test_a_variable_that_is_plain_and_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="A: both a plain variable and a secret"):
        definition(secrets={"A": "arn:a"})


@given(st.lists(st.uuids().map(str), unique=True), st.lists(st.uuids().map(str), unique=True))
def test_digests_are_equal_exactly_for_the_same_versions(one: list[str], other: list[str]) -> None:
    assert (versions_digest(one) == versions_digest(other)) == (sorted(one) == sorted(other))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("", {}),
        ("blocking", {"mode": "blocking"}),
        ("non-blocking", {"mode": "non-blocking", "max-buffer-size": "25m"}),
    ],
)
def test_a_log_mode_is_an_option_of_the_driver(mode: str, options: dict[str, str]) -> None:
    (container,) = json.loads(definition(log_mode=mode))
    found = container["logConfiguration"]["options"]
    assert {key: value for key, value in found.items() if not key.startswith("awslogs-")} == options
