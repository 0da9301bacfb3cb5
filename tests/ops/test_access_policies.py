"""What `ops access` calls too wide, statement by statement."""

from typing import Any

import pytest

from ops._roles import Role
from ops._stack import Stack
from ops.access import _Expected, _key_findings, _resource_findings, _role_findings
from policies.evaluator import parse

ACCOUNT = "111111111111"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
SECRET = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:service-ticket-system-dev-jwt-secret-AbCdEf"
OTHER = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:other-AbCdEf"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"
EXECUTION, TASK = f"arn:aws:iam::{ACCOUNT}:role/execution", f"arn:aws:iam::{ACCOUNT}:role/task"
STACK = Stack(
    environment="dev",
    secret_arns={"jwt-secret": SECRET},
    secret_names={"jwt-secret": "service-ticket-system-dev-jwt-secret"},
    container_secrets={},
    execution_role_arn=EXECUTION,
    task_role_arn=TASK,
    task_definition_arn=f"arn:aws:ecs:eu-west-1:{ACCOUNT}:task-definition/service-ticket-system-dev:1",
    task_definition_family="service-ticket-system-dev",
    log_group_name="/ecs/service-ticket-system-dev",
    kms_key_arn=KEY,
    alarm_topic_arn=None,
    monthly_cost_usd=0.4,
    partition="aws",
    region="eu-west-1",
    account=ACCOUNT,
)
READ = "secretsmanager:GetSecretValue"
THROUGH = {"StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}}


def _of_role(role: str, **statement: Any) -> list[str]:
    identity = parse({"Statement": [{"Effect": "Allow", **statement}]}, source="policy")
    expected = _Expected({SECRET: frozenset({READ.lower()})}) if role == EXECUTION else None
    return [f.problem for f in _role_findings(STACK, Role(role, "role", (), identity, None), expected, [KEY])]


def _of_secret(**statement: Any) -> list[str]:
    policy = parse({"Statement": {"Effect": "Allow", "Action": READ, "Resource": "*", **statement}}, source="policy")
    return [f.problem for f in _resource_findings(STACK, "jwt-secret", policy)]


def _of_key(**statement: Any) -> list[str]:
    policy = parse(
        {"Statement": {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", **statement}}, source="p"
    )
    return [f.problem for f in _key_findings(STACK, KEY, policy)]


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": READ, "Resource": SECRET},
        {"Action": [READ], "Resource": [SECRET, SECRET.replace("eu-west-1", "eu-central-1")]},
        {"Action": "secretsmanager:GetRandomPassword", "Resource": "*"},
        {"Action": "kms:Decrypt", "Resource": KEY, "Condition": THROUGH},
        {"Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Action": "secretsmanager:*", "Resource": "*", "Effect": "Deny"},
    ],
)
def test_what_the_design_gives_is_not_too_wide(statement: dict[str, Any]) -> None:
    assert _of_role(EXECUTION, **statement) == []


@pytest.mark.parametrize(
    ("statement", "problems"),
    [
        ({"Action": READ, "Resource": "*"}, ["the resource * has a wildcard"]),
        ({"Action": READ, "Resource": SECRET[:-6] + "*"}, [f"the resource {SECRET[:-6]}* has a wildcard"]),
        ({"Action": READ, "Resource": SECRET[:-6] + "??????"}, [f"the resource {SECRET[:-6]}?????? has a wildcard"]),
        ({"Action": "secretsmanager:*", "Resource": SECRET}, ["the action secretsmanager:* has a wildcard"]),
        ({"Action": "SecretsManager:Get*", "Resource": SECRET}, ["the action secretsmanager:get* has a wildcard"]),
        (
            {"Action": "*", "Resource": "*"},
            [
                "the action * has a wildcard",
                "the resource * has a wildcard",
                "decrypts without the condition kms:ViaService",
            ],
        ),
        (
            {"NotAction": "iam:*", "Resource": "*"},
            ["NotAction allows everything else, reading and changing secrets included"],
        ),
        ({"Action": READ, "NotResource": OTHER}, ["NotResource allows every other secret"]),
        (
            {"Action": "secretsmanager:PutSecretValue", "Resource": SECRET},
            ["secretsmanager:putsecretvalue is not needed"],
        ),
        ({"Action": READ, "Resource": OTHER}, [f"{OTHER} is no secret of this stack"]),
        ({"Action": "kms:Decrypt", "Resource": KEY}, ["decrypts without the condition kms:ViaService"]),
        (
            {"Action": "kms:Decrypt", "Resource": KEY + "2", "Condition": THROUGH},
            [f"{KEY}2 is no key of this stack"],
        ),
    ],
)
def test_a_role_with_more_than_it_needs(statement: dict[str, Any], problems: list[str]) -> None:
    assert _of_role(EXECUTION, **statement) == problems


def test_the_task_role_needs_nothing() -> None:
    assert _of_role(TASK, Action="s3:GetObject", Resource="*") == [
        "the task role needs no permission: the application gets its values when the task starts"
    ]


@pytest.mark.parametrize(
    ("statement", "problems"),
    [
        ({"Principal": {"AWS": EXECUTION}}, []),
        ({"Principal": "*", "Effect": "Deny", "Action": "secretsmanager:*"}, []),
        ({"Principal": "*"}, ["allows everybody"]),
        ({"Principal": {"AWS": "*"}}, ["allows everybody"]),
        ({"Principal": {"AWS": ROOT}}, ["allows the whole account"]),
        ({"Principal": {"AWS": ACCOUNT}}, ["allows the whole account"]),
        ({"Principal": {"AWS": "222222222222"}}, ["allows 222222222222, of another account"]),
        ({"NotPrincipal": {"AWS": EXECUTION}}, [f"allows everybody but {EXECUTION}"]),
        ({"Principal": {"AWS": EXECUTION}, "Action": "secretsmanager:*"}, ["its actions have a wildcard"]),
    ],
)
def test_a_resource_policy_that_lets_others_in(statement: dict[str, Any], problems: list[str]) -> None:
    assert _of_secret(**statement) == problems


@pytest.mark.parametrize(
    ("statement", "problems"),
    [
        ({"Principal": {"AWS": ROOT}, "Condition": THROUGH}, []),
        ({"Principal": {"AWS": ROOT}, "Action": "kms:ScheduleKeyDeletion"}, []),
        ({"Principal": {"AWS": ROOT}, "Action": "kms:*"}, [f"{ROOT} may decrypt directly: no condition kms:ViaService"]),
        ({"Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Condition": THROUGH},
         ["allows arn:aws:iam::222222222222:root, of another account"]),
        ({"Principal": {"Service": "logs.eu-west-1.amazonaws.com"}, "Condition": {"ArnEquals": {"a": "b"}}}, []),
        ({"Principal": {"Service": "sns.amazonaws.com"}},
         ["sns.amazonaws.com may decrypt on anybody's behalf: no condition"]),
    ],
)  # fmt: skip
def test_a_key_policy_that_lets_others_in(statement: dict[str, Any], problems: list[str]) -> None:
    assert _of_key(**statement) == problems
