from typing import Any

import botocore.session
import pytest
from botocore.model import OperationModel

from sandbox.providers import _validation

LONG = "x" * 70_000


@pytest.fixture(scope="module")
def model() -> Any:
    session = botocore.session.Session()

    def operation(service: str, name: str) -> OperationModel:
        return session.get_service_model(service).operation_model(name)

    return operation


NAMES = {"iam": "IAM", "ecs": "ECS", "secretsmanager": "Secrets Manager", "kms": "KMS", "sns": "SNS"}
_SECRETS = [{"secrets": [{"name": "A"}]}]


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "at", "value", "must"),
    [
        (
            "iam", "CreateRole", {"RoleName": "no spaces", "AssumeRolePolicyDocument": "{}"},
            "roleName", "'no spaces'", r"satisfy regular expression pattern: [\w+=,.@-]+",
        ),
        (
            "iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}", "MaxSessionDuration": 60},
            "maxSessionDuration", "60", "have value greater than or equal to 3600",
        ),
        (
            "ecs", "RegisterTaskDefinition", {"family": "f", "containerDefinitions": [], "networkMode": "vpc"},
            "networkMode", "'vpc'", "satisfy enum value set: [bridge, host, awsvpc, none]",
        ),
        (
            "ecs", "RegisterTaskDefinition", {"family": "f", "containerDefinitions": _SECRETS},
            "containerDefinitions.1.member.secrets.1.member.valueFrom", "null", "not be null",
        ),
        (
            "secretsmanager", "CreateSecret", {"Name": "n" * 513},
            "name", "(not shown)", "have length less than or equal to 512",
        ),
        (
            "secretsmanager", "PutSecretValue", {"SecretId": "s", "SecretString": LONG},
            "secretString", "(not shown)", "have length less than or equal to 65536",
        ),
        (
            "kms", "ScheduleKeyDeletion", {"KeyId": "k", "PendingWindowInDays": 400},
            "pendingWindowInDays", "400", "have value less than or equal to 365",
        ),
        ("sns", "CreateTopic", {}, "name", "null", "not be null"),
    ],
)  # fmt: skip
def test_what_aws_would_refuse_is_refused(  # noqa: PLR0917 - one column of the table each
    model: Any, service: str, operation: str, parameters: dict[str, Any], at: str, value: str, must: str
) -> None:
    with pytest.raises(_validation.InvalidParametersError) as failure:
        _validation._check(parameters, model(service, operation))
    assert str(failure.value) == (
        f"operation error {NAMES[service]}: {operation}, https response error StatusCode: 400, api error ValidationException: "
        f"1 validation error detected: Value {value} at '{at}' failed to satisfy constraint: Member must {must}"
    )


def test_all_problems_are_counted(model: Any) -> None:
    parameters = {"FunctionName": "f", "Role": "not an ARN", "Code": {}, "MemorySize": 64}
    with pytest.raises(_validation.InvalidParametersError, match="2 validation errors detected"):
        _validation._check(parameters, model("lambda", "CreateFunction"))


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("secretsmanager", "CreateSecret", {"Name": "a/b_c+d=e.f@g-h", "Tags": [{"Key": "größe", "Value": ""}]}),
        ("iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": '{\n\t"a": 1\n}', "Path": "/a/b/"}),
        ("logs", "CreateLogGroup", {"logGroupName": "/ecs/tickets.dev_1#2"}),
        ("events", "PutRule", {"Name": "r", "State": "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"}),
        ("kms", "CreateAlias", {"AliasName": "alias/tickets-dev", "TargetKeyId": "k"}),
        ("cloudwatch", "DeleteAlarms", {"AlarmNames": []}),
        ("s3", "PutBucketVersioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "Enabled"}}),
    ],
)
def test_what_aws_takes_passes(model: Any, service: str, operation: str, parameters: dict[str, Any]) -> None:
    _validation._check(parameters, model(service, operation))


def test_a_sensitive_value_is_not_quoted(model: Any) -> None:
    parameters = {"FunctionName": "f", "Environment": {"Variables": {"not-a-name!": "hunter2"}}}
    with pytest.raises(_validation.InvalidParametersError) as failure:
        _validation._check(parameters, model("lambda", "UpdateFunctionConfiguration"))
    assert "hunter2" not in str(failure.value)


def test_most_patterns_of_the_used_services_are_understood(model: Any) -> None:
    del model
    session = botocore.session.Session()
    services = ("iam", "ecs", "secretsmanager", "kms", "lambda", "logs", "events", "stepfunctions", "sns")
    patterns: set[str] = set()
    for service in services:
        shapes = session.get_service_model(service)
        patterns |= {
            pattern
            for name in shapes.shape_names
            if (pattern := shapes.shape_for(name).metadata.get("pattern")) is not None
        }
    compiled = [pattern for pattern in patterns if _validation._compiled(pattern)]
    assert len(patterns) > 100
    assert len(compiled) / len(patterns) > 0.97
