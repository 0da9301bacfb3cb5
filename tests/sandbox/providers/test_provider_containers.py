import json
from typing import Any

import pytest

from sandbox.providers.aws import _containers


def one(**more: Any) -> str:
    return json.dumps([{"name": "app", "image": "nginx:1", **more}])


@pytest.mark.parametrize(
    "other",
    [
        one(essential=True),
        one(cpu=0, mountPoints=[], volumesFrom=[], systemControls=[], environment=[]),
        one(command=None),
        one(mountPoints=[{}], portMappings=[{}], secrets=[None, {}], ulimits=[{}], dependsOn=[None]),
        json.dumps([{"Name": "app", "Image": "nginx:1"}]),
    ],
)
def test_what_ecs_fills_in_is_no_difference(other: str) -> None:
    assert _containers.same_containers(one(), other)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            one(environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
            one(environment=[{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]),
        ),
        (one(environment=[{"name": "A", "value": "1"}]), one(environment=[{}, {"name": "A", "value": "1"}])),
        (one(environment=[{"name": "A"}]), one(environment=[{"name": "A", "value": None}])),
        (
            one(healthCheck={"command": ["CMD", "true"]}),
            one(healthCheck={"command": ["CMD", "true"], "interval": 30, "retries": 3, "timeout": 5}),
        ),
        (
            one(secrets=[{"name": "A", "valueFrom": "x"}, {"name": "B", "valueFrom": "y"}]),
            one(secrets=[{"name": "B", "valueFrom": "y"}, {"name": "A", "valueFrom": "x"}]),
        ),
        (
            one(portMappings=[{"containerPort": 80}]),
            one(portMappings=[{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}]),
        ),
        (
            json.dumps([{"name": "b", "image": "i"}, {"name": "a", "image": "i"}]),
            json.dumps([{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]),
        ),
    ],
)
def test_order_and_spelling_are_no_difference(old: str, new: str) -> None:
    assert _containers.same_containers(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (one(), one(essential=False)),
        (one(image="nginx:1"), one(image="nginx:2")),
        (one(secrets=[{"name": "A", "valueFrom": "x"}]), one(secrets=[{"name": "A", "valueFrom": "y"}])),
        (one(portMappings=[{"containerPort": 80}]), one(portMappings=[{"containerPort": 81}])),
        (one(dockerLabels={"v": "1"}), one(dockerLabels={"v": "2"})),
        (one(command=["a", "b"]), one(command=["b", "a"])),
        (one(environment=[{"name": "A"}]), one(environment=[{"name": "A", "value": ""}])),
        (one(), one(dockerLabels={})),
        (one(healthCheck={"command": ["x"]}), one(healthCheck={"command": ["x"], "interval": 10})),
        (
            one(portMappings=[{"containerPort": 80}, {"containerPort": 81}]),
            one(portMappings=[{"containerPort": 81}, {"containerPort": 80}]),
        ),
    ],
)
def test_a_real_change_is_a_difference(old: str, new: str) -> None:
    assert not _containers.same_containers(old, new)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not JSON", "invalid JSON"),
        ('{"name": "app"}', "must be a JSON list of objects"),
        ('[{"image": "nginx"}]', "a container has no name"),
        ('[{"name": "app"}]', "container app has no image"),
        (one(environment={"A": "1"}), "a list of objects is something else"),
        (one(versionConsistency="on"), "versionConsistency: expected one of enabled, disabled"),
        (
            one(environment=[{"name": "X", "value": "hush"}], secrets=[{"name": "X", "valueFrom": "y"}]),
            "container app names X more than once",
        ),
    ],
)
def test_what_ecs_would_refuse(text: str, reason: str) -> None:
    found = _containers.check(text)
    assert found is not None
    assert reason in found
    assert "hush" not in found


def test_good_definitions_pass() -> None:
    assert _containers.check(one(secrets=[{"name": "A", "valueFrom": "x"}])) is None
