"""The record of AWS calls: what a policy can be proved with, and never a value."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.providers._values import Secret
from sandbox.providers.aws import AwsPlugin
from sandbox.providers.aws._record import VARIABLE
from sandbox.providers.aws._session import Connection
from tests.sandbox.providers.conftest import serving

ACCOUNT = "123456789012"
VALUE = "a value that nobody may read"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


@pytest.fixture
def recorded(moto_endpoint: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv(VARIABLE, str(path))
    for driver in serving(AwsPlugin(Connection(moto_endpoint, "test", "test"))):
        driver.configure(region="us-east-1")
        path.write_text("")
        yield driver


def calls(path: Path, operation: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line["operation"] == operation]


def test_each_call_is_a_line_with_names_and_no_value(recorded: Any, path: Path) -> None:
    secret = recorded.resource("aws:secretsmanager/secret:Secret").create(
        {"name": "recorded", "description": VALUE, "tags": {"note": VALUE}}
    )
    recorded.resource("aws:secretsmanager/secretVersion:SecretVersion").create(
        {"secretId": secret.id, "secretString": Secret(VALUE)}
    )
    assert calls(path, "CreateSecret") == [
        {
            "operation": "CreateSecret",
            "parameters": {"Name": "recorded"},
            "region": "us-east-1",
            "service": "secretsmanager",
        }
    ]
    assert [line["parameters"] for line in calls(path, "PutSecretValue")] == [{"SecretId": secret.id}]
    assert {line["parameters"]["SecretId"] for line in calls(path, "GetSecretValue")} == {secret.id}
    assert VALUE not in path.read_text()


def test_a_role_that_is_passed_is_named_and_an_environment_is_not(recorded: Any, path: Path) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/execution"
    environment = [{"name": "PASSWORD", "value": VALUE}, {"name": "QUEUE", "value": f"arn:aws:sqs:::{VALUE}"}]
    recorded.resource("aws:ecs/taskDefinition:TaskDefinition").create(
        {
            "family": "recorded",
            "executionRoleArn": role,
            "containerDefinitions": json.dumps(
                [{"name": "app", "image": "nginx:1", "memory": 128, "environment": environment}]
            ),
        }
    )
    assert [line["parameters"] for line in calls(path, "RegisterTaskDefinition")] == [
        {"executionRoleArn": role, "family": "recorded"}
    ]
    assert VALUE not in path.read_text()


def test_calls_of_the_stand_in_s_own_are_left_out(recorded: Any, path: Path) -> None:
    trust = '{"Version":"2012-10-17","Statement":[]}'
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'
    role = recorded.resource("aws:iam/role:Role").create({"assumeRolePolicy": trust}).id
    path.write_text("")
    recorded.resource("aws:iam/rolePolicy:RolePolicy").create({"name": "p", "role": role, "policy": policy})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    # The size of the role's other policies is looked up to be as strict as IAM; the official plugin does not ask.
    assert [line["operation"] for line in lines] == ["PutRolePolicy", "GetRolePolicy"]
    secret = recorded.resource("aws:secretsmanager/secret:Secret").create({}).id
    path.write_text("")
    recorded.resource("aws:secretsmanager/secretPolicy:SecretPolicy").create({"secretArn": secret, "policy": policy})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["operation"] for line in lines] == ["PutResourcePolicy", "GetResourcePolicy"]


def test_nothing_is_recorded_unless_asked_for(aws: Any, path: Path) -> None:
    aws.resource("aws:secretsmanager/secret:Secret").create({})
    assert not path.exists()


def test_the_record_is_its_owner_s_alone(moto_endpoint: str, path: Path) -> None:
    plugin = AwsPlugin(Connection(moto_endpoint, "test", "test", record=path))
    plugin.configure({"region": "us-east-1"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["operation"] for line in path.read_text().splitlines()] == ["GetCallerIdentity"]
