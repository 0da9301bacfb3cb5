"""`ops access`: what it reads from AWS; the tests change the policies in the local AWS.

What a statement means is judged without AWS, in test_access_policies.py and tests/unit/test_access_routes.py.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.ops.conftest import Deploy, Deployed, Ops

READ = "secretsmanager:GetSecretValue"


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _allow(action: str, resource: str, **more: Any) -> dict[str, Any]:
    return {"Sid": "ByHand", "Effect": "Allow", "Action": action, "Resource": resource, **more}


def _make_role(
    stack: Deployed, name: str, *statements: Mapping[str, Any], service: str = "lambda.amazonaws.com"
) -> str:
    trust = _policy({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})
    arn = stack.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    stack.allow(name, *statements)
    return arn


def _wider(done: Any) -> list[tuple[str, str, str]]:
    """The grants that are not by design; the command reported them."""
    assert done.status == 1
    return [(g["secret"], g["right"], g["principal"]) for g in done.json["grants"] if g["wider"]]


def _of(done: Any, principal: str) -> set[tuple[str, str]]:
    return {(g["secret"], g["right"]) for g in done.json["grants"] if g["principal"] == principal}


@pytest.mark.parametrize("customer_managed_key", [False, True])
def test_the_stack_as_the_program_makes_it_is_fine(deploy: Deploy, ops: Ops, customer_managed_key: bool) -> None:  # noqa: FBT001 - a case
    stack = deploy(customer_managed_key=customer_managed_key)
    done = ops(stack, "access", "--json")
    assert done.status == 0, done.json["findings"]
    assert {(g["secret"], g["right"], g["principal"]) for g in done.json["grants"]} == {
        (name, "read", stack.service["execution_role_arn"]) for name in stack.outputs["secret_arns"]
    }
    assert all(done.json["unchanged_since"].values())


@pytest.mark.parametrize("also", ["", "jwt-secret"])
def test_the_rotation_function_may_read_and_change_its_own_secret(stack: Deployed, ops: Ops, also: str) -> None:
    name, arn = f"{stack.prefix}-rotation", stack.arn("db-master-password")
    actions = ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]
    rotate = {**_allow("", arn), "Action": [f"secretsmanager:{a}" for a in actions]}
    another = [{**_allow("secretsmanager:PutSecretValue", stack.arn(also)), "Sid": "Another"}] if also else []
    random = {**_allow("secretsmanager:GetRandomPassword", "*"), "Sid": "Generate"}
    role = _make_role(stack, name, rotate, random, *another)
    stack.rotate_by_function("db-master-password")
    stack.client("lambda").update_function_configuration(FunctionName=name, Role=role)
    done = ops(stack, "access", "--json")
    own = {("db-master-password", "read"), ("db-master-password", "change")}
    if also:
        assert _wider(done) == [(also, "change", role)]
    else:
        assert (done.status, _of(done, role)) == (0, own), done.out


def test_a_policy_made_wider_by_hand_is_found(stack: Deployed, ops: Ops) -> None:
    stack.allow(stack.role_name, _allow("secretsmanager:*", "*"))
    done = ops(stack, "access", "--json")
    role, statement = stack.service["execution_role_arn"], "ByHand of inline policy by-hand"
    assert {(f["where"], f["statement"], f["problem"]) for f in done.json["findings"]} == {
        (role, statement, "the action secretsmanager:* has a wildcard"),
        (role, statement, "the resource * has a wildcard"),
    }
    assert {right for _, right, _ in _wider(done)} == {"change", "delete"}


def test_a_secret_that_another_account_may_read_is_found(stack: Deployed, ops: Ops) -> None:
    other = "arn:aws:iam::222222222222:root"
    policy = _policy(_allow(READ, "*", Principal={"AWS": other}))
    stack.secrets.put_resource_policy(SecretId=stack.arn("jwt-secret"), ResourcePolicy=policy)
    done = ops(stack, "access", "--json")
    assert [(f["where"], f["problem"]) for f in done.json["findings"]] == [
        ("jwt-secret", f"allows {other}, of another account"),
        ("jwt-secret", "requests without TLS are not denied: no Deny on aws:SecureTransport"),
    ]
    assert _wider(done) == [("jwt-secret", "read", other)]


def test_another_role_of_the_stack_that_reads_is_not_by_design(stack: Deployed, ops: Ops) -> None:
    role = _make_role(stack, f"{stack.prefix}-helper", _allow(READ, stack.arn("jwt-secret")))
    assert _wider(ops(stack, "access", "--json")) == [("jwt-secret", "read", role)]


def test_a_secret_that_the_container_does_not_use_is_not_for_the_execution_role(stack: Deployed, ops: Ops) -> None:
    references = {v: r for v, r in stack.service["container_secrets"].items() if v != "JWT_SECRET"}
    stack.write_outputs(container_secrets=references)
    assert [secret for secret, _, _ in _wider(ops(stack, "access", "--json"))] == ["jwt-secret"]


def test_everybody_lists_an_administrator_and_trusted_accepts_it(stack: Deployed, ops: Ops) -> None:
    admin = _make_role(stack, "Administrator", _allow("*", "*"))
    assert ops(stack, "access").status == 0
    done = ops(stack, "access", "--everybody", "--json")
    assert done.status == 1
    assert {right for _, right in _of(done, admin)} == {"read", "change", "delete", "take over"}
    assert ops(stack, "access", "--everybody", "--trusted", admin).status == 0


def test_a_user_reads_through_a_group(stack: Deployed, ops: Ops) -> None:
    iam = stack.client("iam")
    user = iam.create_user(UserName="eve")["User"]["Arn"]
    iam.create_group(GroupName="readers")
    iam.put_group_policy(GroupName="readers", PolicyName="read", PolicyDocument=_policy(_allow(READ, "*")))
    iam.add_user_to_group(GroupName="readers", UserName="eve")
    assert ("jwt-secret", "read") in _of(ops(stack, "access", "--everybody", "--json"), user)


def test_a_reader_who_may_not_decrypt_does_not_read(deploy: Deploy, ops: Ops) -> None:
    stack = deploy(customer_managed_key=True)
    stack.grant(stack.grants()[0])
    assert ops(stack, "access", "--json").json["grants"] == []


def test_a_grant_of_the_key_is_found(deploy: Deploy, ops: Ops) -> None:
    stack = deploy(customer_managed_key=True)
    somebody = f"arn:aws:iam::{stack.account}:role/somebody"
    stack.client("kms").create_grant(KeyId=stack.key_arn, GranteePrincipal=somebody, Operations=["Decrypt"])
    done = ops(stack, "access", "--json")
    assert done.status == 1
    assert [f["problem"] for f in done.json["findings"]] == [f"{somebody} can Decrypt, beside the key's policy"]


def test_the_report_as_markdown(stack: Deployed, ops: Ops) -> None:
    done = ops(stack, "access", "--markdown")
    assert done.status == 0
    assert done.out.startswith(f"# Access to the secrets of dev (account {stack.account}, eu-west-1)")
    assert f"| {stack.service['execution_role_arn']} | read |" in done.out
    assert ops(stack, "access", "--markdown", "--json").status == 2


def test_a_customer_managed_policy_of_somebody_is_read(stack: Deployed, ops: Ops) -> None:
    iam = stack.client("iam")
    role = _make_role(stack, "Reader", _allow("s3:GetObject", "*"))
    policy = iam.create_policy(PolicyName="read-all", PolicyDocument=_policy(_allow(READ, "*")))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="Reader", PolicyArn=policy)
    done = ops(stack, "access", "--everybody", "--json")
    found = {g["statement"] for g in done.json["grants"] if g["principal"] == role}
    assert found == {"ByHand of managed policy read-all"}


@pytest.mark.parametrize(("value", "reads"), [("tickets", {("jwt-secret", "read")}), ("others", set[Any]())])
def test_a_condition_on_the_secrets_tag_is_decided(stack: Deployed, ops: Ops, value: str, reads: set[Any]) -> None:
    stack.secrets.tag_resource(SecretId=stack.arn("jwt-secret"), Tags=[{"Key": "Team", "Value": "tickets"}])
    condition = {"StringEquals": {"aws:ResourceTag/team": value}}
    role = _make_role(stack, "Reader", _allow(READ, "*", Condition=condition))
    done = ops(stack, "access", "--everybody", "--json")
    assert _of(done, role) == reads
    assert not any(g["conditions"] for g in done.json["grants"])


def test_the_table_says_who_was_looked_at_and_by_which_statement(stack: Deployed, ops: Ops) -> None:
    done = ops(stack, "access")
    assert "but no administrators and other roles of the account" in done.out.splitlines()[0]
    assert "ReadSecrets of inline policy execution" in done.out
    assert not any(value in done.out + done.err for value in stack.values.values())
    everybody = ops(stack, "access", "--everybody")
    assert everybody.out.startswith("Checked the policies of all 2 roles and users of the account.")
    assert not any("--everybody" in gap for gap in ops(stack, "access", "--everybody", "--json").json["not_looked_at"])


def test_the_report_ends_with_a_line_for_each_principal_that_is_not_by_design(stack: Deployed, ops: Ops) -> None:
    _make_role(stack, "intern", _allow(READ, "*"))
    other = "arn:aws:iam::222222222222:root"
    policy = _policy(_allow(READ, "*", Principal={"AWS": other}))
    stack.secrets.put_resource_policy(SecretId=stack.arn("jwt-secret"), ResourcePolicy=policy)

    done = ops(stack, "access", "--everybody")

    assert done.status == 1
    head, *lines = done.err.splitlines()[-3:]
    assert head == "2 principals NOT BY DESIGN:"
    assert sorted(lines) == [
        f"  {other} reads jwt-secret (ByHand of resource policy)",
        f"  role/intern reads {len(stack.values)} secrets (ByHand of inline policy by-hand)",
    ]
    shown = ops(stack, "access", "--everybody", "--markdown").out
    assert f"- NOT BY DESIGN: role/intern reads {len(stack.values)} secrets" in shown


@pytest.mark.parametrize("sandbox", [False, True])
def test_the_sandbox_has_no_pulumi_to_ask_where_the_state_is(
    stack: Deployed, ops: Ops, monkeypatch: pytest.MonkeyPatch, *, sandbox: bool
) -> None:
    monkeypatch.setattr("ops.access.gather.in_sandbox", lambda: sandbox)
    (gap,) = [gap for gap in ops(stack, "access", "--json").json["not_looked_at"] if "Pulumi's state" in gap]
    assert ("pulumi whoami" in gap) is not sandbox


def test_what_may_not_be_read_is_named(stack: Deployed, ops: Ops, proxy: Any) -> None:
    proxy.refuse("GetResourcePolicy", "AccessDeniedException")
    stack.endpoint = proxy.url
    done = ops(stack, "access", "--json")
    assert [gap for gap in done.json["not_looked_at"] if "jwt-secret" in gap] == [
        "the resource policy of jwt-secret: you are not allowed to read it, or the secret is pending deletion"
    ]


def test_another_stacks_role_is_not_judged_by_this_ones_secrets(deploy: Deploy, ops: Ops) -> None:
    stack = deploy("prod")
    other = f"arn:aws:secretsmanager:{stack.region}:{stack.account}:secret:service-ticket-system-prod-2-jwt-AbCdEf"
    _make_role(stack, f"{stack.prefix}-2-execution", _allow(READ, other), service="ecs-tasks.amazonaws.com")
    done = ops(stack, "access", "--json")
    assert done.status == 0, done.out
    assert any(f"{stack.prefix}-2-execution" in gap for gap in done.json["not_looked_at"])
