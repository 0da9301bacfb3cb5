"""`ops access` knows the roles that account/ makes: by name, with what each is for, and what somebody made wider."""

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest

from components.names import Names
from components.policies.calls import Feature
from components.policies.deployer import (
    Deployment,
    deployer_statements,
    managed_policies,
    previewer_statements,
    reviewer_statements,
)
from components.policies.federation import federated_trust
from components.policies.identity import document

Deployed = Any  # conftest.py's types, which importlib mode gives no module name for
Ops = Any

ISSUER = "token.actions.githubusercontent.com"


def _deployment(stack: Deployed) -> Deployment:
    return Deployment(
        names=Names("service-ticket-system", stack.environment),
        location=stack.location,
        features=frozenset(get_args(Feature)),
        config_key_arn=stack.location.arn("kms", "key/00000000-1111-2222-3333-444444444444"),
        key_tags={"Project": "service-ticket-system", "Environment": stack.environment},
        watched_log_group="organisation-trail",
    )


@pytest.fixture
def pipeline(stack: Deployed) -> Deployed:
    """A stack whose account has the three roles as account/ makes them."""
    iam, deployment = stack.client("iam"), _deployment(stack)
    provider = f"arn:aws:iam::{stack.account}:oidc-provider/{ISSUER}"
    subject = "repo:example/tickets:environment:prod"
    person = f"arn:aws:iam::{stack.account}:role/platform"
    for role, rights, people in (
        (deployment.deployer, deployer_statements, [person]),
        (deployment.previewer, previewer_statements, []),
        (deployment.reviewer, reviewer_statements, []),
    ):
        trust = federated_trust(provider, audience="sts.amazonaws.com", subjects=[subject], principals=people)
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)
        if role != deployment.deployer:
            iam.put_role_policy(RoleName=role, PolicyName="given", PolicyDocument=document(rights(deployment)))
            continue
        for number, text in enumerate(managed_policies(rights(deployment))):
            made = iam.create_policy(PolicyName=f"{role}{number}", PolicyDocument=text)["Policy"]["Arn"]
            iam.attach_role_policy(RoleName=role, PolicyArn=made)
    return stack


def test_the_roles_are_known_and_explained_and_nothing_is_wider(pipeline: Deployed, ops: Ops) -> None:
    done = ops(pipeline, "access", "--json")
    assert done.status == 0, done.json["findings"]
    assert [sentence.partition(":")[0] for sentence in done.json["pipeline"]] == [
        "service-ticket-system-deployer runs `pulumi up`",
        "service-ticket-system-previewer runs `pulumi preview`",
        "service-ticket-system-reviewer runs the nightly review",
    ]
    assert "Assumed by " in done.json["pipeline"][0]
    assert "repo:example/tickets:environment:prod" in done.json["pipeline"][0]
    assert ":role/platform" in done.json["pipeline"][0]
    deployer = f"arn:aws:iam::{pipeline.account}:role/service-ticket-system-deployer"
    rights = {(g["secret"], g["right"]) for g in done.json["grants"] if g["principal"] == deployer}
    assert rights == {
        (name, right) for name in pipeline.outputs["secret_arns"] for right in ("read", "change", "delete", "take over")
    }
    for role in ("previewer", "reviewer"):
        assert not any(role in grant["principal"] for grant in done.json["grants"])
    shown = ops(pipeline, "access")
    assert "runs `pulumi up`: reads, changes and deletes the secrets" in shown.err
    assert "service-ticket-system-reviewer" in ops(pipeline, "access", "--markdown").out


def _trust(provider: str, condition: Mapping[str, Any] | None = None, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": provider}}
    condition = {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}} if condition is None else condition
    return json.dumps({"Version": "2012-10-17", "Statement": {**statement, "Condition": condition, **more}})


@pytest.mark.parametrize(
    ("role", "policy", "problem"),
    [
        (
            "previewer",
            {"Action": "secretsmanager:GetSecretValue", "Resource": "*"},
            "account/ gives it no such statement",
        ),
        ("reviewer", {"Sid": "ReviewAny", "Action": "iam:*", "Resource": "*"}, "iam:* is not needed"),
        (
            "reviewer",
            {"Sid": "ReviewAnyKey", "Action": "kms:DescribeKey", "Resource": "arn:aws:kms:*:*:key/*"},
            "the resource arn:aws:kms:*:*:key/* is not what account/ gives it",
        ),
        (
            "deployer",
            {"Sid": "DecryptConfiguration", "Action": "kms:Decrypt", "Resource": "arn:aws:kms:eu-west-1:1:key/*"},
            "the resource arn:aws:kms:eu-west-1:1:key/* is not what account/ gives it",
        ),
        ("deployer", {"Sid": "Role", "NotAction": "iam:GetRole", "Resource": "*"}, "NotAction and NotResource allow"),
    ],
)
def test_what_somebody_added_is_found(
    pipeline: Deployed, ops: Ops, role: str, policy: dict[str, Any], problem: str
) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **policy}]})
    name = f"service-ticket-system-{role}"
    pipeline.client("iam").put_role_policy(RoleName=name, PolicyName="by-hand", PolicyDocument=text)
    done = ops(pipeline, "access", "--json")
    assert done.status == 1
    assert any(f["where"].endswith(name) and f["problem"].startswith(problem) for f in done.json["findings"]), done.out


def test_a_lost_condition_is_found(pipeline: Deployed, ops: Ops) -> None:
    (bounded,) = [s for s in deployer_statements(_deployment(pipeline)) if s["Sid"] == "BoundedRole"]
    loose = document([{key: value for key, value in bounded.items() if key != "Condition"}])
    name = "service-ticket-system-deployer"
    pipeline.client("iam").put_role_policy(RoleName=name, PolicyName="by-hand", PolicyDocument=loose)
    done = ops(pipeline, "access", "--json")
    assert done.status == 1
    assert any(f["problem"].startswith("lacks the condition iam:PermissionsBoundary") for f in done.json["findings"])


@pytest.mark.parametrize(
    ("role", "change", "problem"),
    [
        ("deployer", {}, "has no subjects: any repository there could assume the role"),
        (
            "deployer",
            {
                "condition": {
                    "StringLike": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": "repo:example/tickets:*"}
                }
            },
            "is a pattern",
        ),
        (
            "reviewer",
            {"condition": {"StringLike": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": "repo:example/*"}}},
            "is a subject that other repositories have",
        ),
        (
            "previewer",
            {"condition": {"StringEquals": {f"{ISSUER}:sub": "repo:example/tickets:pull_request"}}},
            "the audience of",
        ),
        ("previewer", {"Principal": {"AWS": "arn:aws:iam::{account}:role/x"}}, "lets arn:aws:iam::"),
        (
            "deployer",
            {"Principal": {"AWS": "arn:aws:iam::999999999999:role/x"}},
            "lets arn:aws:iam::999999999999:role/x",
        ),
        ("deployer", {"Principal": {"Service": "ec2.amazonaws.com"}}, "lets ec2.amazonaws.com assume the role"),
        ("reviewer", {"Principal": "*"}, "lets * assume the role"),
    ],
)
def test_a_trust_that_lets_in_others_is_found(
    pipeline: Deployed, ops: Ops, role: str, change: dict[str, Any], problem: str
) -> None:
    provider = f"arn:aws:iam::{pipeline.account}:oidc-provider/{ISSUER}"
    trust = _trust(provider, **change).replace("{account}", pipeline.account)
    name = f"service-ticket-system-{role}"
    pipeline.client("iam").update_assume_role_policy(RoleName=name, PolicyDocument=trust)
    done = ops(pipeline, "access", "--json")
    assert done.status == 1
    assert any(problem in f["problem"] for f in done.json["findings"] if f["where"].endswith(name)), done.out
