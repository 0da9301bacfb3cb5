"""Every field of a task definition is carried over, listed as lost with what to do, or filled in by ECS."""

import json
from typing import Any

import botocore.session
import pytest

from ops.migrate import _fields as fields
from ops.migrate._task_definition import TaskDefinition, parse

MODEL: Any = botocore.session.get_session().get_service_model("ecs")
FARGATE = {"requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512"}
OPTIONS = {"awslogs-group": "g", "awslogs-region": "r", "awslogs-stream-prefix": "p"}
AWSLOGS = {"logDriver": "awslogs", "options": OPTIONS}


def test_every_field_that_ecs_knows_has_a_place() -> None:
    task = set(MODEL.shape_for("TaskDefinition").members) | set(
        MODEL.shape_for("RegisterTaskDefinitionRequest").members
    )
    assert task == set(fields.TASK_FIELDS) | fields.FILLED_BY_ECS | fields.MADE_BY_THE_PROGRAM
    assert set(MODEL.shape_for("ContainerDefinition").members) == set(fields.CONTAINER_FIELDS)


def _task(task: dict[str, Any] | None = None, **container: Any) -> TaskDefinition:
    return parse({**FARGATE, **(task or {}), "containerDefinitions": [{"name": "api", **container}]}, "f")


def _lost(task: dict[str, Any] | TaskDefinition | None = None, **container: Any) -> dict[str, str]:
    found = task if isinstance(task, TaskDefinition) else _task(task, **container)
    return fields.different(found, found.containers[0])[0]


def _sample(shape: Any) -> Any:
    """A value of a shape of the service model that is not the default."""
    match shape.type_name:
        case "structure":
            return {name: _sample(member) for name, member in shape.members.items()}
        case "list":
            return [_sample(shape.member)]
        case "map":
            return {"key": "text"}
        case "boolean":
            return True
        case "integer" | "long":
            return 7
        case _:
            return shape.enum[-1] if getattr(shape, "enum", None) else "text"


CHECK = {"command": ["CMD-SHELL", "curl -f http://localhost:3000/health"]}


@pytest.mark.parametrize(
    ("check", "carried"),
    [
        (CHECK, {**CHECK, "interval": 30, "retries": 3, "startPeriod": 0, "timeout": 5}),
        (
            {**CHECK, "interval": "10", "startPeriod": None},
            {**CHECK, "interval": 10, "retries": 3, "startPeriod": 0, "timeout": 5},
        ),
        ({**CHECK, "retries": 0}, None),
        ({**CHECK, "timeout": 90}, None),
        ({"command": ["NONE"]}, None),
        ({"command": "curl"}, None),
        ({"command": ["CMD", "redis-cli", "-a", "geheim-geheim", "ping"]}, None),
        (None, None),
    ],
)
def test_a_health_check_is_carried_where_ecs_takes_it(check: Any, carried: Any) -> None:
    (container,) = _task(healthCheck=check).containers
    found = fields.health_check(container)
    assert (json.loads(found) if found else None) == carried
    assert ("healthCheck" in _lost(healthCheck=check)) is (check is not None and carried is None)


@pytest.mark.parametrize("field", sorted(field for field, advice in fields.CONTAINER_FIELDS.items() if advice))
def test_a_lost_field_of_a_container_is_told_with_what_to_do(field: str) -> None:
    value = _sample(MODEL.shape_for("ContainerDefinition").members[field])
    special: dict[str, Any] = {
        "portMappings": [{"containerPort": 80}, {"containerPort": 81}],
        "essential": False,
        "versionConsistency": "disabled",
    }
    assert len(_lost(**{field: special.get(field, value)})[field]) > 20


@pytest.mark.parametrize("field", sorted(set(fields.TASK_FIELDS) - {"cpu", "memory"}))
def test_a_lost_field_of_a_task_is_told_with_what_to_do(field: str) -> None:
    value: Any = _sample(MODEL.shape_for("TaskDefinition").members.get(field) or MODEL.shape_for("Tags"))
    value = {"networkMode": "bridge", "requiresCompatibilities": ["EC2"]}.get(field, value)
    value = {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"} if field == "runtimePlatform" else value
    assert len(_lost({field: value})[field]) > 20


def test_what_ecs_fills_in_is_no_loss() -> None:
    described = {
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/old:3", "family": "old", "revision": 3,
        "status": "ACTIVE", "volumes": [], "placementConstraints": [], "requiresAttributes": [{"name": "ecs.capability"}],
        "compatibilities": ["EC2", "FARGATE"], "registeredAt": "2026-01-01", "registeredBy": "arn:aws:iam::123456789012:root",
        "executionRoleArn": "arn:aws:iam::123456789012:role/ecsTaskExecutionRole",
        "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
        "requiresCompatibilities": ["EC2", "FARGATE"],
    }  # fmt: skip
    container = {
        "image": "app:1", "cpu": 0, "essential": True, "environment": [], "environmentFiles": [], "mountPoints": [],
        "volumesFrom": [], "secrets": [], "dnsServers": [], "extraHosts": [], "dockerLabels": {}, "ulimits": [],
        "systemControls": [], "privileged": False, "readonlyRootFilesystem": False, "interactive": False,
        "versionConsistency": "enabled", "logConfiguration": {**AWSLOGS, "secretOptions": []},
        "portMappings": [{"containerPort": 3000, "hostPort": 3000, "protocol": "tcp", "name": "api-3000-tcp"}],
    }  # fmt: skip
    assert _lost(described, **container) == {}


def test_a_task_that_says_nothing_runs_on_ec2_with_a_bridge() -> None:
    task = parse({"family": "old", "containerDefinitions": [{"name": "api"}]}, "f")
    assert set(_lost(task)) == {"networkMode", "requiresCompatibilities"}
    assert _lost(parse([{"name": "api"}], "f")) == {}


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("portMappings", [{"containerPort": 80}], None),
        ("portMappings", [{"containerPort": 80, "hostPort": 0, "protocol": "TCP"}], None),
        ("portMappings", [{"containerPort": 80}, {"containerPort": 443}], "443/tcp: "),
        ("portMappings", [{"containerPort": 53, "protocol": "udp"}], "53/udp: "),
        ("portMappings", [{"containerPortRange": "8000-8010"}], "8000-8010/tcp: "),
        ("portMappings", [{"containerPort": 80, "appProtocol": "http2"}], "80/tcp (http2): "),
        ("logConfiguration", AWSLOGS, None),
        ("logConfiguration", {**AWSLOGS, "options": OPTIONS | {"mode": "non-blocking"}}, "the new container logs to"),
        (
            "logConfiguration",
            {**AWSLOGS, "options": OPTIONS | {"awslogs-multiline-pattern": "^E"}},
            "the new container",
        ),
    ],
)
def test_another_port_or_way_to_log_is_told(field: str, value: Any, told: str | None) -> None:
    found = _lost(**{field: value}).get(field)
    assert (found is None) if told is None else (found or "").startswith(told)


def test_a_field_is_equal_when_the_new_task_definition_has_it() -> None:
    health = {"command": ["CMD", "true"], "interval": 30}
    old = _task({"ephemeralStorage": {"sizeInGiB": 50}}, healthCheck=health, user="app", dockerLabels={"a": "b"})
    new = _task(
        {"ephemeralStorage": {"sizeInGiB": 50}, "taskRoleArn": "r"},
        healthCheck={**health, "retries": 3},
        user="root",
        dockerLabels={"a": "b", "secret-versions": "x"},
    )
    wrong, same = fields.different(old, old.containers[0], new, new.containers[0])
    assert set(wrong) == {"user"}
    assert same == {"ephemeralStorage", "healthCheck", "dockerLabels", "networkMode", "requiresCompatibilities"}


def test_a_field_that_only_cloudformation_knows_is_told() -> None:
    container = {"Name": "api", "Command": {"Fn::If": ["A", [], []]}}
    task = {"Type": "AWS::ECS::TaskDefinition", "Properties": {**FARGATE, "ContainerDefinitions": [container]}}
    found = parse({"Resources": {"Task": task}}, "f")
    assert _lost(found)["command"].startswith("is not read: CloudFormation's Fn::If")
