"""`ops access` knows the roles that account/ creates: by name, with what each is for, and what was made wider."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from components.policies import identity
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
from components.policies.state import state_key_policy
from ops._roles import Role
from ops._stack import Stack
from ops.access.declared import Declared, PipelineKind
from ops.access.evaluator import parse
from ops.access.pipeline import rights_problems, trust_problems
from tests.ops.conftest import Deployed, Ops
from tests.stacks import ACCOUNT, HERE, STACK

ISSUER = "token.actions.githubusercontent.com"


def _deployment(stack: Deployed | Stack) -> Deployment:
    return Deployment(
        names=STACK.names,
        location=stack.location,
        features=frozenset(get_args(Feature)),
        config_key_arn=stack.location.arn("kms", "key/00000000-1111-2222-3333-444444444444"),
        key_tags={"Project": "service-ticket-system", "Environment": stack.environment},
        watched_log_group="organisation-trail",
    )


SUBJECT = "repo:example@1234567/tickets@987654321:environment:prod"
"""GitHub's form since July 2026."""
KINDS: tuple[PipelineKind, ...] = ("deployer", "previewer", "reviewer")


@pytest.fixture
def declared(stack: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the account's project; the folder that holds them."""
    account = "service-ticket-system-account"
    (tmp_path / "account").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: service-ticket-system\n")
    (tmp_path / "account" / "Pulumi.yaml").write_text(f"name: {account}\n")
    subjects = {f"{account}:{kind}Subjects": [SUBJECT] for kind in KINDS}
    people = {f"{account}:deployerPrincipals": [f"arn:aws:iam::{stack.account}:role/platform"]}
    writers = {f"{account}:configurationPrincipals": [f"arn:aws:iam::{stack.account}:role/Writer"]}
    file = tmp_path / "account" / f"Pulumi.{stack.environment}.yaml"
    file.write_text(yaml.safe_dump({"config": subjects | people | writers}))
    rescue = {"service-ticket-system:breakGlassRoles": [f"arn:aws:iam::{stack.account}:role/Rescue"]}
    (tmp_path / f"Pulumi.{stack.environment}.yaml").write_text(yaml.safe_dump({"config": rescue}))
    monkeypatch.setattr("ops.access.declared.ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def pipeline(stack: Deployed, declared: Path) -> Deployed:  # noqa: ARG001 - it has to be there
    """A stack whose account has the three roles as account/ creates them."""
    iam, deployment = stack.client("iam"), _deployment(stack)
    provider = f"arn:aws:iam::{stack.account}:oidc-provider/{ISSUER}"
    person = f"arn:aws:iam::{stack.account}:role/platform"
    for role, rights, people in (
        (deployment.deployer, deployer_statements, [person]),
        (deployment.previewer, previewer_statements, []),
        (deployment.reviewer, reviewer_statements, []),
    ):
        trust = federated_trust(provider, audience="sts.amazonaws.com", subjects=[SUBJECT], principals=people)
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
    assert SUBJECT in done.json["pipeline"][0]
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


def test_what_somebody_added_is_found(pipeline: Deployed, ops: Ops) -> None:
    name = "service-ticket-system-reviewer"
    pipeline.allow(name, {"Sid": "ReviewAny", "Effect": "Allow", "Action": ["iam:*"], "Resource": ["*"]})
    provider = f"arn:aws:iam::{pipeline.account}:oidc-provider/{ISSUER}"
    trust = federated_trust(provider, audience="sts.amazonaws.com", subjects=[SUBJECT.replace("prod", "stranger")])
    pipeline.client("iam").update_assume_role_policy(RoleName=name, PolicyDocument=trust)
    done = ops(pipeline, "access", "--json")
    assert done.status == 1
    assert {f["where"].rpartition("/")[2] for f in done.json["findings"]} == {name}
    found = [f["problem"] for f in done.json["findings"]]
    assert "iam:* is not needed" in found
    assert any(problem.startswith(f"lets the subject {SUBJECT.replace('prod', 'stranger')} in") for problem in found)


# --- what is found, without AWS --------------------------------------------------------------------------------------------

PROVIDER, EVE = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}", f"arn:aws:iam::{ACCOUNT}:user/eve"
OTHER = PROVIDER.replace(ISSUER, "gitlab.example.com")
STRANGER = "arn:aws:iam::999999999999:role/x"
DECLARED = Declared("account/Pulumi.dev.yaml", ISSUER, "sts.amazonaws.com", dict.fromkeys(KINDS, (SUBJECT,)), (), ())


def _added(kind: str, policy: Mapping[str, Any]) -> list[str]:
    added = parse({"Statement": {"Effect": "Allow", **policy}}, source="by hand")
    role = Role(HERE.role_arn(kind), kind, (), added, None)
    tags = {"Project": "service-ticket-system", "Environment": "dev"}
    return [problem for _, problem in rights_problems(kind, STACK, role, tags)]


@pytest.mark.parametrize(
    ("kind", "policy", "problem"),
    [
        ("previewer", {"Action": "secretsmanager:GetSecretValue", "Resource": "*"}, "account/ creates no such statement"),
        ("reviewer", {"Sid": "ReviewAny", "Action": "iam:*", "Resource": "*"}, "iam:* is not needed"),
        ("reviewer", {"Sid": "ReviewAnyKey", "Action": "kms:DescribeKey", "Resource": "arn:aws:kms:*:*:key/*"},
         "the resource arn:aws:kms:*:*:key/* is not the one that account/ grants"),
        ("deployer", {"Sid": "DecryptConfiguration", "Action": "kms:Decrypt", "Resource": "arn:aws:kms:eu-west-1:1:key/*"},
         "the resource arn:aws:kms:eu-west-1:1:key/* is not the one that account/ grants"),
        ("deployer", {"Sid": "Role", "NotAction": "iam:GetRole", "Resource": "*"},
         "NotAction and NotResource allow everything else"),
    ],
)  # fmt: skip
def test_an_added_right_is_a_problem(kind: str, policy: dict[str, Any], problem: str) -> None:
    assert problem in _added(kind, policy)


def test_a_lost_condition_is_a_problem() -> None:
    (bounded,) = [s for s in deployer_statements(_deployment(STACK)) if s["Sid"] == "BoundedRole"]
    (problem,) = _added("deployer", {key: value for key, value in bounded.items() if key != "Condition"})
    assert problem.startswith("lacks the condition iam:PermissionsBoundary")


def _trusted(kind: PipelineKind, trust: Any, declared: Declared | None) -> list[str]:
    role = Role(HERE.role_arn(kind), kind, parse(trust, source="trust policy"), (), None)
    return [problem for _, problem in trust_problems(kind, role, declared)]


def _like(subject: str) -> dict[str, Any]:
    return {"Condition": {"StringLike": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": subject}}}


@pytest.mark.parametrize(
    ("kind", "change", "problem"),
    [
        ("deployer", {}, "has no subjects: any repository there could assume the role"),
        ("deployer", _like("repo:example/tickets:*"), "is a pattern"),
        ("reviewer", _like("repo:example/*"), "is a pattern"),
        ("previewer", _like("repo:example/*"), "is a subject that other repositories also have"),
        ("previewer", {"Condition": {"StringEquals": {f"{ISSUER}:sub": "repo:example/tickets:pull_request"}}},
         "the audience of"),
        ("previewer", {"Principal": {"AWS": HERE.role_arn("x")}}, f"lets {HERE.role_arn('x')}"),
        ("deployer", {"Principal": {"AWS": STRANGER}}, f"lets {STRANGER}"),
        ("deployer", {"Principal": {"Service": "ec2.amazonaws.com"}}, "lets ec2.amazonaws.com assume the role"),
        ("reviewer", {"Principal": "*"}, "lets * assume the role"),
    ],
)  # fmt: skip
def test_a_trust_that_account_never_creates_is_a_problem(
    kind: PipelineKind, change: dict[str, Any], problem: str
) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": PROVIDER}}
    audience = {"Condition": {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}}}
    found = _trusted(kind, {"Version": "2012-10-17", "Statement": {**statement, **audience, **change}}, None)
    assert any(problem in one for one in found), found


@pytest.mark.parametrize(
    ("kind", "trusted", "problem"),
    [
        ("deployer", {"subjects": ["repo:stranger/fork:environment:prod"]}, "the subject repo:stranger/fork:environment:prod"),
        ("deployer", {"subjects": ["repo:example/tickets:pull_request"]}, "the subject repo:example/tickets:pull_request"),
        ("previewer", {"subjects": ["repo:example/tickets:pull_request"]}, "the subject repo:example/tickets:pull_request"),
        ("reviewer", {"subjects": ["repo:example/tickets:*"]}, "the subject repo:example/tickets:*"),
        ("reviewer", {"audience": "https://example.com"}, "the audience https://example.com"),
        ("previewer", {"provider_arn": OTHER}, f"allows tokens of {OTHER}"),
        ("deployer", {"principals": [EVE]}, f"lets {EVE} assume the role"),
        ("previewer", {"principals": [EVE]}, f"lets {EVE} assume the role"),
    ],
)  # fmt: skip
def test_a_stranger_that_the_accounts_file_does_not_declare_is_a_problem(
    kind: PipelineKind, trusted: dict[str, Any], problem: str
) -> None:
    given: dict[str, Any] = {"provider_arn": PROVIDER, "audience": "sts.amazonaws.com", "subjects": [SUBJECT]}
    found = _trusted(kind, federated_trust(**given | trusted, patterns=True), DECLARED)
    assert any(problem in one for one in found), found


# --- the state ---------------------------------------------------------------------------------------------------------------


def test_without_the_accounts_file_or_bucket_that_is_named(pipeline: Deployed, declared: Path, ops: Ops) -> None:
    (declared / "account" / f"Pulumi.{pipeline.environment}.yaml").unlink()
    done = ops(pipeline, "access", "--json")
    assert done.status == 0, done.json["findings"]
    (gap,) = [gap for gap in done.json["not_looked_at"] if "should trust" in gap]
    assert f"account/Pulumi.{pipeline.environment}.yaml" in gap
    (gap,) = [gap for gap in done.json["not_looked_at"] if "Pulumi's state" in gap]
    assert "Pulumi's state: there is no bucket service-ticket-system-state-" in gap


def _keep_state(stack: Deployed, *, key_policy: Mapping[str, Any] | None = None) -> str:
    """Create the state's bucket and key as account/ does; return the key's ARN."""
    deployment = _deployment(stack)
    place = {"LocationConstraint": stack.region}
    stack.client("s3").create_bucket(Bucket=deployment.state_bucket, CreateBucketConfiguration=place)
    kms = stack.client("kms")
    policy = json.dumps(key_policy) if key_policy else state_key_policy(_readers(stack), stack.location)
    arn = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName=deployment.config_alias, TargetKeyId=arn)
    return arn


def _readers(stack: Deployed) -> list[str]:
    names = (*(f"service-ticket-system-{kind}" for kind in KINDS), "Writer", "Rescue")
    return [f"arn:aws:iam::{stack.account}:role/{name}" for name in names]


def _power_user(stack: Deployed, name: str) -> str:
    iam, power = stack.client("iam"), {"Effect": "Allow", "Action": ["s3:*", "kms:Decrypt"], "Resource": "*"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=identity.trust("lambda.amazonaws.com"))["Role"]["Arn"]
    stack.allow(name, power)
    return arn


OPEN = {"Version": "2012-10-17", "Statement": [
    {"Sid": "Root", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "kms:*", "Resource": "*"}
]}  # fmt: skip


def test_who_reads_the_state_is_reported_as_of_a_secret(pipeline: Deployed, ops: Ops) -> None:
    opened = json.loads(json.dumps(OPEN).replace("111111111111", pipeline.account))
    key = _keep_state(pipeline, key_policy=opened)
    eve = _power_user(pipeline, "PowerUser")
    known = {_power_user(pipeline, "Writer"), _power_user(pipeline, "Rescue")}
    done = ops(pipeline, "access", "--everybody", "--json")
    assert done.status == 1
    of_state = [g for g in done.json["grants"] if g["secret"] == "Pulumi's state"]
    assert {g["principal"] for g in of_state if g["wider"]} == {eve}
    assert known <= {g["principal"] for g in of_state if not g["wider"]}
    assert [f["where"] for f in done.json["findings"]] == [f"key {key.rpartition('/')[2]} of Pulumi's state"]
    assert "no Deny of kms:Decrypt" in done.json["findings"][0]["problem"]
    assert "Pulumi's state" in ops(pipeline, "access", "--everybody", "--markdown").out


def test_a_power_user_reads_no_state_whose_key_is_as_account_makes_it(pipeline: Deployed, ops: Ops) -> None:
    _keep_state(pipeline)
    eve = _power_user(pipeline, "PowerUser")
    done = ops(pipeline, "access", "--everybody", "--json")
    assert done.status == 0, done.out
    assert eve not in {g["principal"] for g in done.json["grants"]}


def test_a_grant_and_a_bucket_policy_that_let_others_to_the_state_are_found(pipeline: Deployed, ops: Ops) -> None:
    key = _keep_state(pipeline)
    stranger = "arn:aws:iam::999999999999:root"
    pipeline.client("kms").create_grant(KeyId=key, GranteePrincipal=stranger, Operations=["Decrypt"])
    bucket = _deployment(pipeline).state_bucket
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = {"Version": "2012-10-17", "Statement": [{**read, "Principal": {"AWS": stranger}}]}
    pipeline.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    done = ops(pipeline, "access", "--json")
    assert {f["problem"] for f in done.json["findings"]} == {
        f"{stranger} can Decrypt: account/ creates no grants",
        f"allows {stranger}: account/ allows nobody",
    }
