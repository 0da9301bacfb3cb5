"""What `ops access` calls too wide, statement by statement."""

from typing import Any

import pytest

from components.policies import identity
from ops._roles import Role
from ops._secrets import Record
from ops.access.evaluator import parse
from ops.access.gather import Key, Kind, Secret, StackRole
from ops.access.judge import key_findings, role_findings, secret_findings, trust_findings
from tests.stacks import ACCOUNT, EXECUTION, HERE, KEY, SECRET, STACK

ROOT = HERE.root_arn()
OTHER = HERE.arn("secretsmanager", "secret:other-AbCdEf")
READ = "secretsmanager:GetSecretValue"
THROUGH = {"StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}}


def _of_role(kind: Kind, **statement: Any) -> list[str]:
    given = parse({"Statement": [{"Effect": "Allow", **statement}]}, source="policy")
    meant = {SECRET: frozenset({READ.lower()})} if kind == "execution" else {}
    found = StackRole(Role(EXECUTION, "role", (), given, None), kind, meant)
    return [f.problem for f in role_findings(STACK, found, [KEY])]


def _of_trust(kind: Kind, **statement: Any) -> list[str]:
    given = parse({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", **statement}}, source="trust policy")
    return [f.problem for f in trust_findings(STACK, StackRole(Role(EXECUTION, "role", given, (), None), kind))]


def _of_secret(*, tls: bool = True, **statement: Any) -> list[str]:
    raw = [
        {"Effect": "Allow", "Action": READ, "Resource": "*", **statement},
        *([identity.require_tls()] if tls else []),
    ]
    record = Record(SECRET, "service-ticket-system-dev-jwt-secret")
    secret = Secret("jwt-secret", record, parse({"Statement": raw}, source="policy"), None)
    return [f.problem for f in secret_findings(STACK, secret)]


def _of_key(**statement: Any) -> list[str]:
    policy = parse(
        {"Statement": {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", **statement}}, source="p"
    )
    return [f.problem for f in key_findings(STACK, Key(KEY, policy, ()))]


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": READ, "Resource": SECRET},
        {"Action": [READ], "Resource": [SECRET, SECRET.replace("eu-west-1", "eu-central-1")]},
        {"Action": "kms:Decrypt", "Resource": KEY, "Condition": THROUGH},
        {"Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Action": "secretsmanager:*", "Resource": "*", "Effect": "Deny"},
    ],
)
def test_what_the_design_gives_is_not_too_wide(statement: dict[str, Any]) -> None:
    assert _of_role("execution", **statement) == []


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
                "the action * has a wildcard: it could give itself or others any right",
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
        ({"Action": READ, "Resource": OTHER}, [f"{OTHER} is not a secret of this stack"]),
        ({"Action": "kms:Decrypt", "Resource": KEY}, ["decrypts without the condition kms:ViaService"]),
        (
            {"Action": "kms:Decrypt", "Resource": KEY + "2", "Condition": THROUGH},
            [f"{KEY}2 is not a key of this stack"],
        ),
    ],
)
def test_a_role_with_more_than_it_needs(statement: dict[str, Any], problems: list[str]) -> None:
    assert _of_role("execution", **statement) == problems


@pytest.mark.parametrize(
    ("kind", "statement", "problems"),
    [
        ("rotation", {"Action": "secretsmanager:GetRandomPassword", "Resource": "*"}, []),
        ("execution", {"Action": "secretsmanager:GetRandomPassword", "Resource": SECRET},
         ["secretsmanager:getrandompassword is not needed"]),
        ("execution", {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}, ["s3:getobject is not needed"]),
        ("execution", {"Action": "logs:PutLogEvents", "Resource": "*"}, ["the resource * has a wildcard"]),
        ("rotation", {"Action": "ec2:CreateNetworkInterface", "Resource": "*"}, []),
        ("rotation", {"Action": "sts:AssumeRole", "Resource": "*"},
         ["sts:assumerole is not needed: it could become another role", "the resource * has a wildcard"]),
        ("execution", {"Action": "iam:PutRolePolicy", "Resource": "arn"},
         ["iam:putrolepolicy is not needed: it could give itself or others any right"]),
        ("execution", {"Action": "iam:PassRole", "Resource": "arn"},
         ["iam:passrole is not needed: it could start something with the rights of another role"]),
        ("execution", {"Action": "ssmmessages:*", "Resource": "arn"},
         ["the action ssmmessages:* has a wildcard: a shell in the container: everyone who opens one can read its variables"]),
        ("execution", {"Action": "ecs:*", "Resource": "arn"},
         ["the action ecs:* has a wildcard: a shell in the container: everyone who opens one can read its variables"]),
        ("execution", {"Action": "lambda:UpdateFunctionCode", "Resource": "arn"},
         ["lambda:updatefunctioncode is not needed: it could run code with the rights of the rotation function"]),
        ("execution", {"Action": "s3:*", "Resource": "arn"}, ["the action s3:* has a wildcard"]),
        ("redeploy", {"Action": "ecs:UpdateService", "Resource": "arn"}, []),
        ("redeploy", {"Action": "states:ListExecutions", "Resource": "arn"}, []),
        ("redeploy", {"Action": "ecs:DescribeServices", "Resource": "*"},
         ["the resource * has a wildcard"]),
        ("redeploy", {"Action": "iam:PassRole", "Resource": "arn"}, []),
        ("redeploy", {"Action": "iam:PassRole", "Resource": "*"}, ["the resource * has a wildcard"]),
        ("redeploy", {"Action": "ecs:RunTask", "Resource": "arn"},
         ["ecs:runtask is not needed: it could run a container that prints the secrets"]),
        ("redeploy-start", {"Action": "states:*", "Resource": "*"},
         ["the action states:* has a wildcard: it could start something with the rights of another role",
          "the resource * has a wildcard"]),
        ("trail", {"Action": "logs:*", "Resource": "*"},
         ["the action logs:* has a wildcard: it could disable the audit"]),
        ("task", {"Action": "s3:GetObject", "Resource": "*"},
         ["the task role needs no permission: the application gets its values when the task starts"]),
        ("other", {"Action": "*", "Resource": "*"}, []),
    ],
)  # fmt: skip
def test_each_kind_of_role_needs_its_own(kind: Kind, statement: dict[str, Any], problems: list[str]) -> None:
    assert _of_role(kind, **statement) == problems


BOUND = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


@pytest.mark.parametrize(
    ("kind", "statement", "problems"),
    [
        ("execution", {"Principal": {"Service": "ecs-tasks.amazonaws.com"}}, []),
        ("execution", {"Principal": {"Service": ["ecs-tasks.amazonaws.com"]}, "Condition": BOUND}, []),
        ("execution", {"Principal": {"Service": "ecs-tasks.amazonaws.com"},
                       "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:ecs:eu-west-1:222222222222:*"}}},
         ["the service can assume it for account 222222222222"]),
        ("rotation", {"Principal": {"Service": "lambda.amazonaws.com"}}, []),
        ("task", {"Principal": {"Service": "ec2.amazonaws.com"}},
         ["lets ec2.amazonaws.com assume the role: only ecs-tasks.amazonaws.com needs it"]),
        ("rotation", {"Principal": {"Service": "ec2.amazonaws.com"}},
         ["lets ec2.amazonaws.com assume the role: only lambda.amazonaws.com needs it"]),
        ("trail", {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/x"}},
         [f"lets arn:aws:iam::{ACCOUNT}:role/x assume the role"]),
        ("redeploy", {"Principal": {"Service": "states.amazonaws.com"}},
         ["the service can assume it for any account: no condition aws:SourceAccount"]),
        ("redeploy", {"Principal": {"Service": "states.amazonaws.com"}, "Condition": BOUND}, []),
        ("trail", {"Principal": {"AWS": ROOT}, "Condition": BOUND},
         [f"lets {ROOT} assume the role: the whole account"]),
        ("execution", {"NotPrincipal": {"AWS": ROOT}},
         [f"lets everybody but {ROOT} assume the role: everybody but {ROOT}"]),
        ("execution", {"Principal": "*", "Effect": "Deny"}, []),
        ("other", {"Principal": "*"}, []),
    ],
)  # fmt: skip
def test_a_trust_policy_that_lets_others_in(kind: Kind, statement: dict[str, Any], problems: list[str]) -> None:
    assert _of_trust(kind, **statement) == problems


@pytest.mark.parametrize(
    ("statement", "problems"),
    [
        ({"Principal": {"AWS": EXECUTION}}, []),
        ({"Principal": {"AWS": EXECUTION}, "tls": False},
         ["requests without TLS are not denied: no Deny on aws:SecureTransport"]),
        ({"Principal": "*", "Effect": "Deny", "Action": "secretsmanager:*"}, []),
        ({"Principal": "*"}, ["allows everybody"]),
        ({"Principal": {"AWS": "*"}}, ["allows everybody"]),
        ({"Principal": {"AWS": ROOT}}, ["allows the whole account"]),
        ({"Principal": {"AWS": ACCOUNT}}, ["allows the whole account"]),
        ({"Principal": {"AWS": "222222222222"}}, ["allows 222222222222, of another account"]),
        ({"NotPrincipal": {"AWS": EXECUTION}}, [f"allows everybody but {EXECUTION}"]),
        ({"Principal": {"AWS": EXECUTION}, "Action": "secretsmanager:*"}, ["its actions have a wildcard"]),
    ],
)  # fmt: skip
def test_a_resource_policy_that_lets_others_in(statement: dict[str, Any], problems: list[str]) -> None:
    assert _of_secret(**statement) == problems


@pytest.mark.parametrize(
    ("statement", "problems"),
    [
        ({"Principal": {"AWS": ROOT}, "Condition": THROUGH}, []),
        ({"Principal": {"AWS": ROOT}, "Action": "kms:ScheduleKeyDeletion"}, []),
        ({"Principal": {"AWS": EXECUTION}}, [f"{EXECUTION} can decrypt directly: no condition kms:ViaService"]),
        ({"Principal": {"AWS": ROOT}, "Action": "kms:*"}, [f"{ROOT} can decrypt directly: no condition kms:ViaService"]),
        ({"Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Condition": THROUGH},
         ["allows arn:aws:iam::222222222222:root, of another account"]),
        ({"Principal": {"Service": "logs.eu-west-1.amazonaws.com"}, "Condition": {"ArnEquals": {"a": "b"}}}, []),
        ({"Principal": {"Service": "sns.amazonaws.com"}},
         ["sns.amazonaws.com can decrypt for anyone: no condition"]),
    ],
)  # fmt: skip
def test_a_key_policy_that_lets_others_in(statement: dict[str, Any], problems: list[str]) -> None:
    assert _of_key(**statement) == problems
