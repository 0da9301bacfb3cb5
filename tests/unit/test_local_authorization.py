"""What the local AWS refuses a role of the program: every call that these roles make, with the actions that depend on it."""

from typing import Any

import pytest

from ops.access.evaluator import parse
from sandbox.authorization import CALLS, Asked, decide
from tests.unit.conftest import Recorder
from tests.unit.test_deployer import FULL_CONFIG, program

BY_AWS = {
    "ec2": "Lambda attaches the function to the VPC",
    "ecr": "the ECS agent pulls the image",
    "kms": "Secrets Manager asks KMS as the caller: with each call above",
    "logs": "the ECS agent, Lambda, CloudTrail and Step Functions write logs",
    "iam": "with UpdateService",
}
"""By service, what AWS's own services do with a role's rights: nothing in the sandbox does it."""

SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:tickets-dev-jwt-AbCdEf"
READ = Asked("secretsmanager:GetSecretValue", SECRET)
DECRYPT = Asked(
    "kms:Decrypt", "arn:aws:kms:eu-central-1:1:key/a", {"kms:viaservice": "secretsmanager.eu-central-1.amazonaws.com"}
)


def test_every_action_of_the_programs_roles_is_checked_or_done_by_aws(record: Recorder) -> None:
    recording = program(record, **FULL_CONFIG)
    granted = {
        action
        for policy in recording.of("aws:iam/rolePolicy:RolePolicy")
        for statement in parse(policy.inputs["policy"], source=policy.name)
        for action in statement.actions
    }
    others = {action for action in granted if action.partition(":")[0] not in BY_AWS}
    assert others == {action.lower() for action in CALLS}


@pytest.mark.parametrize(
    ("asked", "statements", "allowed"),
    [
        (READ, [], False),
        (READ, [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": SECRET}], True),
        (READ, [{"Effect": "Allow", "Action": ["secretsmanager:Get*"], "Resource": [f"{SECRET[:-6]}*"]}], True),
        (READ, [{"Effect": "Allow", "Action": "*", "Resource": f"{SECRET}x"}], False),
        (READ, [{"Effect": e, "Action": "*", "Resource": "*"} for e in ("Allow", "Deny")], False),
        (DECRYPT, [{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
                    "Condition": {"StringLike": {"kms:ViaService": ["secretsmanager.*", "sns.*"]}}}], True),
        (DECRYPT, [{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
                    "Condition": {"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}}], False),
        (READ, [{"Effect": "Allow", "Action": "*", "Resource": "*",
                 "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}}], False),
    ],
)  # fmt: skip
def test_statements_are_decided_as_iam_does(asked: Asked, statements: list[Any], *, allowed: bool) -> None:
    assert decide(asked, statements) is allowed


def test_a_condition_that_is_not_known_is_not_taken_for_true() -> None:
    statement = {
        "Effect": "Allow",
        "Action": "*",
        "Resource": "*",
        "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    }
    with pytest.raises(NotImplementedError, match="IpAddress"):
        decide(READ, [statement])
