"""`ops access`: the routes from a right to a value, each from its table's source, and what is no route."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from components.policies import identity
from ops._roles import Role
from ops._secrets import Record, Replica
from ops.access.evaluator import parse
from ops.access.gather import Facts, Key, Secret, StackRole
from ops.access.judge import Report, judge
from tests.stacks import ACCOUNT, EXECUTION, HERE, KEY, PREFIX, SECRET, STACK

AT = f"eu-west-1:{ACCOUNT}"
REPLICA = SECRET.replace("eu-west-1", "eu-central-1")
ROTATION, EVE, ALICE = HERE.role_arn(f"{PREFIX}-rotation"), HERE.role_arn("eve"), f"arn:aws:iam::{ACCOUNT}:user/alice"
FUNCTION = HERE.arn("lambda", f"function:{PREFIX}-rotation")
MACHINE = HERE.arn("states", f"stateMachine:{PREFIX}-app-redeploy")
OWN_POLICY, AWS_POLICY = HERE.policy_arn("team"), "arn:aws:iam::aws:policy/ReadOnlyAccess"


def _policy(*statements: dict[str, Any]) -> Any:
    given = [{"Effect": "Allow", **statement} for statement in statements]
    return parse({"Version": "2012-10-17", "Statement": given}, source="policy")


def _allow(actions: str, resource: str | Sequence[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Action": actions.split(), "Resource": resource, **more}


def _trust(service: str, **more: Any) -> Any:
    return _policy({"Action": "sts:AssumeRole", "Principal": {"Service": service}, **more})


READS = _policy(_allow("secretsmanager:GetSecretValue", SECRET))
KEY_POLICY = _policy(
    {"Action": "kms:*", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Resource": "*",
     "Condition": {"StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}}}
)  # fmt: skip


def _judged(
    *others: Role,
    trust: Any = None,
    key_arn: str | None = None,
    replicas: Sequence[str] = (),
    trusted: Sequence[str] = (),
) -> Report:
    execution = Role(EXECUTION, f"{PREFIX}-app-execution", trust or _trust("ecs-tasks.amazonaws.com"), READS, None)
    rotation = Role(ROTATION, f"{PREFIX}-rotation", _trust("lambda.amazonaws.com"), READS, None)
    meant = {SECRET: frozenset({"secretsmanager:getsecretvalue"})}
    copies = tuple(Replica(region, "InSync") for region in replicas)
    record = Record(SECRET, f"{PREFIX}-jwt-secret", kms_key_id=key_arn, replicas=copies)
    facts = Facts(
        stack=STACK,
        secrets=(Secret("jwt-secret", record, parse({"Statement": [identity.require_tls()]}, source="p"), None),),
        foreign=(),
        missing=(),
        keys={KEY: Key(KEY, KEY_POLICY, ())} if key_arn else {},
        roles=(StackRole(execution, "execution", meant), StackRole(rotation, "rotation", meant, FUNCTION)),
        others=others,
        everybody=True,
        not_looked_at=(),
    )
    return judge(facts, trusted)


def _eve(*statements: dict[str, Any], boundary: Any = None, attached: Sequence[str] = ()) -> Role:
    return Role(EVE, "eve", (), _policy(*statements), boundary, tuple(attached))


PASS = "iam:PassRole"
RIGHTS: dict[str, tuple[dict[str, Any], ...]] = {
    "RunTask": (_allow(f"{PASS} ecs:RunTask"),),
    "RunTask of its own family, with the role given instead": (
        _allow(PASS, EXECUTION), _allow("ecs:RunTask", f"arn:aws:ecs:{AT}:task-definition/other:*"),
    ),
    "a role by a pattern": (_allow(PASS, f"arn:aws:iam::{ACCOUNT}:role/*-execution"), _allow("ecs:StartTask")),
    "passed to ECS alone": (
        _allow(PASS, "*", Condition={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}),
        _allow("ecs:RunTask"),
    ),
    "a new revision in its own service": (_allow(f"{PASS} ecs:RegisterTaskDefinition ecs:UpdateService"),),
    "Batch": (_allow(f"{PASS} batch:RegisterJobDefinition batch:SubmitJob"),),
    "Lambda": (_allow(f"{PASS} lambda:CreateFunction lambda:InvokeFunction"),),
    "UpdateFunctionCode": (_allow("lambda:UpdateFunctionCode", FUNCTION),),
    "UpdateFunctionConfiguration": (_allow("lambda:UpdateFunctionConfiguration", f"{FUNCTION}*"),),
    "UpdateAssumeRolePolicy": (_allow("iam:UpdateAssumeRolePolicy", EXECUTION),),
    "PutRolePolicy on itself": (_allow("iam:PutRolePolicy", EVE),),
    "CreatePolicyVersion of its own policy": (_allow("iam:CreatePolicyVersion", OWN_POLICY),),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHTS)
def test_a_route_is_a_right(case: str) -> None:
    report = _judged(_eve(*RIGHTS[case], attached=[OWN_POLICY, AWS_POLICY]))
    (grant,) = [grant for grant in report.grants if grant.principal == EVE]
    assert (grant.secret, grant.right, grant.conditions, grant.wider) == ("jwt-secret", "take over", (), True)
    assert not report.ok


@pytest.mark.parametrize(
    ("statements", "depends"),
    [
        ([_allow("ecs:ExecuteCommand", f"arn:aws:ecs:{AT}:task/tickets/*")], "ECS Exec"),
        ([_allow("ssm:StartSession", f"arn:aws:ecs:{AT}:task/*")], "ECS Exec"),
        ([_allow("iam:SetDefaultPolicyVersion", OWN_POLICY)], "older version"),
        ([_allow("iam:PutRolePolicy", EXECUTION)], "runs with the role"),
        (
            [
                _allow(PASS, EXECUTION, Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
                _allow("ecs:RunTask"),
            ],
            "aws:MultiFactorAuthPresent",
        ),
        (
            [
                _allow(PASS, f"arn:aws:iam::{ACCOUNT}:role/${{aws:PrincipalTag/team}}-app-execution"),
                _allow("ecs:RunTask"),
            ],
            "${aws:PrincipalTag/team}",
        ),
    ],
)
def test_a_route_that_needs_more_names_it(statements: Sequence[dict[str, Any]], depends: str) -> None:
    report = _judged(_eve(*statements, attached=[OWN_POLICY]))
    (grant,) = [grant for grant in report.grants if grant.principal == EVE]
    assert (grant.right, grant.wider) == ("take over", True)
    assert depends in " ".join(grant.conditions)


@pytest.mark.parametrize(
    ("statements", "boundary"),
    [
        ([_allow(PASS)], None),
        ([_allow("ecs:RunTask")], None),
        ([_allow(PASS, f"{EXECUTION}-2"), _allow("ecs:RunTask")], None),
        ([_allow(f"{PASS} states:CreateStateMachine states:StartExecution")], None),  # no role's trust lets Step Functions in
        ([_allow(f"{PASS} codebuild:CreateProject codebuild:StartBuild")], None),
        ([_allow(f"{PASS} ecs:RunTask"), {"Effect": "Deny", **_allow(PASS)}], None),
        ([_allow("secretsmanager:GetSecretValue", SECRET), {"Effect": "Deny", **_allow("secretsmanager:*")}], None),
        ([_allow("ssm:StartSession", f"arn:aws:ec2:{AT}:instance/*")], None),
        ([_allow("lambda:UpdateFunctionCode", f"{FUNCTION}-2")], None),
        ([_allow("iam:CreatePolicyVersion", AWS_POLICY)], None),
        ([_allow("iam:PutRolePolicy", EVE)], _policy(_allow("iam:* s3:*"))),
        (
            [_allow(PASS, Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}), _allow("ecs:RunTask")],
            None,
        ),
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_not_reported(statements: Sequence[dict[str, Any]], boundary: Any) -> None:
    report = _judged(_eve(*statements, boundary=boundary, attached=[AWS_POLICY]))
    assert not [grant for grant in report.grants if grant.principal == EVE]
    assert report.ok


@pytest.mark.parametrize(
    ("service", "actions"),
    [
        ("states", "states:CreateStateMachine states:StartExecution"),
        ("codebuild", "codebuild:CreateProject codebuild:StartBuild"),
    ],
)
def test_a_role_whose_trust_lets_another_service_in_is_reached_through_it(service: str, actions: str) -> None:
    report = _judged(_eve(_allow(f"{PASS} {actions}")), trust=_trust(f"{service}.amazonaws.com"))
    assert [grant.right for grant in report.grants if grant.principal == EVE] == ["take over"]


@pytest.mark.parametrize("action", ["CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile"])
def test_a_user_who_reads_is_reached_by_who_signs_in_as_one(action: str) -> None:
    alice = Role(ALICE, "alice", (), READS, None)
    report = _judged(alice, _eve(_allow(f"iam:{action}", ALICE)), trusted=[ALICE])
    assert {(grant.principal, grant.right) for grant in report.grants if grant.wider} == {(EVE, "take over")}


@pytest.mark.parametrize(
    ("action", "resource"),
    [("states:UpdateStateMachine", MACHINE), ("kms:PutKeyPolicy", KEY), ("kms:CreateGrant", f"arn:aws:kms:{AT}:key/*")],
)
def test_what_removes_a_protection_is_a_finding(action: str, resource: str) -> None:
    report = _judged(_eve(_allow(action, resource)), key_arn=KEY)
    assert [(f.where, action in f.problem) for f in report.findings] == [(EVE, True)]
    assert _judged(_eve(_allow(action, resource)), key_arn=KEY, trusted=[EVE]).ok


PREVIOUS = {"ForAnyValue:StringEquals": {"secretsmanager:VersionStage": "AWSPREVIOUS"}}


@pytest.mark.parametrize(
    ("statement", "replicas", "granted"),
    [
        (_allow("secretsmanager:GetSecretValue", SECRET, Condition=PREVIOUS), [],
         [("read", ("secretsmanager:VersionStage ForAnyValue:StringEquals AWSPREVIOUS",))]),
        (_allow("secretsmanager:GetSecretValue", REPLICA), ["eu-central-1"], [("read", ())]),
        (_allow("secretsmanager:GetSecretValue", REPLICA), [], []),
        # A copy in a Region of one's own choice.
        (_allow("secretsmanager:ReplicateSecretToRegions", SECRET), [], [("change", ())]),
    ],
)  # fmt: skip
def test_a_right_on_a_version_or_a_replica_is_a_right(
    statement: dict[str, Any], replicas: Sequence[str], granted: list[tuple[str, tuple[str, ...]]]
) -> None:
    found = [grant for grant in _judged(_eve(statement), replicas=replicas).grants if grant.principal == EVE]
    assert [(grant.right, grant.conditions) for grant in found] == granted
    assert all(grant.wider for grant in found)


def test_a_trust_without_account_beside_the_bound_one_is_a_finding() -> None:
    bound = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    both = (*_trust("ecs-tasks.amazonaws.com", Condition=bound), *_trust("ecs-tasks.amazonaws.com"))
    found = _judged(trust=both).findings
    assert [f.problem for f in found] == [
        "lets ecs-tasks.amazonaws.com assume the role for any account, beside a statement that binds it to this one"
    ]
    assert _judged(trust=_trust("ecs-tasks.amazonaws.com", Condition=bound)).ok


@pytest.mark.parametrize(
    ("principal", "told"),
    [
        ("*", "*"),
        ({"AWS": "*"}, "*"),
        ({"Federated": "cognito-identity.amazonaws.com"}, "cognito-identity.amazonaws.com"),
    ],
)
def test_whoever_assumes_the_execution_role_reads(principal: Any, told: str) -> None:
    by_hand = _policy({"Sid": "ByHand", "Action": "sts:AssumeRole", "Principal": principal})
    report = _judged(trust=(*_trust("ecs-tasks.amazonaws.com"), *by_hand))
    assert [f.problem.startswith(f"lets {told} assume the role") for f in report.findings] == [True]
    assert [(g.right, g.principal) for g in report.wider] == [("read", told)]


def test_the_pattern_that_tags_give_is_a_right_with_a_condition() -> None:
    condition = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    eve = _eve(_allow("secretsmanager:*", "*", Condition=condition))
    execution = Role(EXECUTION, "x", _trust("ecs-tasks.amazonaws.com"), READS, None)
    record = Record(SECRET, f"{PREFIX}-jwt-secret", tags={"team": "tickets"})
    secret = Secret("jwt-secret", record, (), None)
    facts = Facts(
        STACK, (secret,), (), (), {}, (StackRole(execution, "execution"),), (eve,), everybody=True, not_looked_at=()
    )
    found = [grant for grant in judge(facts).grants if grant.principal == EVE]
    assert [grant.right for grant in found] == ["read", "change", "delete"]
    assert {grant.conditions for grant in found} == {("aws:ResourceTag/team StringEquals ${aws:PrincipalTag/team}",)}
    untagged = replace(secret, record=replace(record, tags={}))
    assert not [g for g in judge(replace(facts, secrets=(untagged,))).grants if g.principal == EVE]
