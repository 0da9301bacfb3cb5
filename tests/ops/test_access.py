"""`ops access`: who may, and what is too wide; the policies are changed by hand in the local AWS."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

Deployed = Any  # conftest.py's types, which importlib mode gives no module name for
Deploy = Any
Ops = Any

READ = "secretsmanager:GetSecretValue"


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _put(stack: Deployed, role: str, *statements: Mapping[str, Any]) -> None:
    stack.client("iam").put_role_policy(RoleName=role, PolicyName="by-hand", PolicyDocument=_policy(*statements))


def _allow(action: str, resource: str, **more: Any) -> dict[str, Any]:
    return {"Sid": "ByHand", "Effect": "Allow", "Action": action, "Resource": resource, **more}


def _make_role(stack: Deployed, name: str, *statements: Mapping[str, Any]) -> str:
    trust = _policy({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
    arn = stack.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    _put(stack, name, *statements)
    return arn


@pytest.mark.parametrize("customer_managed_key", [False, True])
def test_the_stack_as_the_program_makes_it_is_fine(deploy: Deploy, ops: Ops, customer_managed_key: bool) -> None:  # noqa: FBT001 - a case
    stack = deploy(customer_managed_key=customer_managed_key)
    done = ops(stack, "access", "--json")
    assert done.status == 0, done.json["findings"]
    assert {(g["secret"], g["right"], g["principal"]) for g in done.json["grants"]} == {
        (name, "read", stack.outputs["execution_role_arn"]) for name in stack.outputs["secret_arns"]
    }
    assert all(done.json["unchanged_since"].values())


def test_the_rotation_function_may_read_and_change(stack: Deployed, ops: Ops) -> None:
    arn = stack.arn("db-master-password")
    name = f"{stack.prefix}-rotation"
    actions = ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]
    rotate = {**_allow("", arn), "Action": [f"secretsmanager:{a}" for a in actions]}
    role = _make_role(stack, name, rotate, {**_allow("secretsmanager:GetRandomPassword", "*"), "Sid": "Generate"})
    stack.rotate_by_function("db-master-password")
    function = stack.client("lambda")
    function.update_function_configuration(FunctionName=f"{stack.prefix}-rotation", Role=role)
    done = ops(stack, "access", "--json")
    assert done.status == 0, done.out
    assert {(g["secret"], g["right"]) for g in done.json["grants"] if g["principal"] == role} == {
        ("db-master-password", "read"),
        ("db-master-password", "change"),
    }


def test_a_policy_made_wider_by_hand_is_found(stack: Deployed, ops: Ops) -> None:
    _put(stack, stack.role_name, _allow("secretsmanager:*", "*"))
    done = ops(stack, "access", "--json")
    assert done.status == 1
    assert {(f["where"], f["statement"], f["problem"]) for f in done.json["findings"]} == {
        (
            stack.outputs["execution_role_arn"],
            "ByHand of inline policy by-hand",
            "the action secretsmanager:* has a wildcard",
        ),
        (stack.outputs["execution_role_arn"], "ByHand of inline policy by-hand", "the resource * has a wildcard"),
    }
    assert {g["right"] for g in done.json["grants"] if g["wider"]} == {"change", "delete"}


def test_a_secret_that_another_account_may_read_is_found(stack: Deployed, ops: Ops) -> None:
    other = "arn:aws:iam::222222222222:root"
    policy = _policy(_allow(READ, "*", Principal={"AWS": other}))
    stack.secrets.put_resource_policy(SecretId=stack.arn("jwt-secret"), ResourcePolicy=policy)
    done = ops(stack, "access", "--json")
    assert done.status == 1
    assert [(f["where"], f["problem"]) for f in done.json["findings"]] == [
        ("jwt-secret", f"allows {other}, of another account")
    ]
    assert [(g["secret"], g["principal"]) for g in done.json["grants"] if g["wider"]] == [("jwt-secret", other)]


def test_another_role_of_the_stack_that_reads_is_not_by_design(stack: Deployed, ops: Ops) -> None:
    role = _make_role(stack, f"{stack.prefix}-helper", _allow(READ, stack.arn("jwt-secret")))
    done = ops(stack, "access", "--json")
    assert done.status == 1
    wider = [(g["secret"], g["right"], g["principal"]) for g in done.json["grants"] if g["wider"]]
    assert wider == [("jwt-secret", "read", role)]


def test_the_rotation_function_may_not_change_another_secret(stack: Deployed, ops: Ops) -> None:
    role = _make_role(
        stack, f"{stack.prefix}-rotation", _allow("secretsmanager:PutSecretValue", stack.arn("jwt-secret"))
    )
    stack.rotate_by_function("db-master-password")
    stack.client("lambda").update_function_configuration(FunctionName=f"{stack.prefix}-rotation", Role=role)
    done = ops(stack, "access", "--json")
    assert done.status == 1
    wider = [(g["secret"], g["right"], g["principal"]) for g in done.json["grants"] if g["wider"]]
    assert wider == [("jwt-secret", "change", role)]


def test_a_secret_that_the_container_does_not_use_is_not_for_the_execution_role(stack: Deployed, ops: Ops) -> None:
    references = {v: r for v, r in stack.outputs["container_secrets"].items() if v != "JWT_SECRET"}
    stack.write_outputs(container_secrets=references)
    done = ops(stack, "access", "--json")
    assert done.status == 1
    assert [g["secret"] for g in done.json["grants"] if g["wider"]] == ["jwt-secret"]


def test_a_deny_takes_a_right_away(stack: Deployed, ops: Ops) -> None:
    _put(stack, stack.role_name, {**_allow(READ, stack.arn("jwt-secret")), "Effect": "Deny"})
    done = ops(stack, "access", "--json")
    assert "jwt-secret" not in {g["secret"] for g in done.json["grants"]}


def test_everybody_lists_an_administrator_and_trusted_accepts_it(stack: Deployed, ops: Ops) -> None:
    admin = _make_role(stack, "Administrator", _allow("*", "*"))
    assert ops(stack, "access").status == 0
    done = ops(stack, "access", "--everybody", "--json")
    assert done.status == 1
    assert {g["right"] for g in done.json["grants"] if g["principal"] == admin} == {"read", "change", "delete"}
    assert ops(stack, "access", "--everybody", "--trusted", admin).status == 0


def test_a_user_reads_through_a_group(stack: Deployed, ops: Ops) -> None:
    iam = stack.client("iam")
    user = iam.create_user(UserName="eve")["User"]["Arn"]
    iam.create_group(GroupName="readers")
    iam.put_group_policy(GroupName="readers", PolicyName="read", PolicyDocument=_policy(_allow(READ, "*")))
    iam.add_user_to_group(GroupName="readers", UserName="eve")
    done = ops(stack, "access", "--everybody", "--json")
    assert ("jwt-secret", "read") in {(g["secret"], g["right"]) for g in done.json["grants"] if g["principal"] == user}


def test_a_reader_who_may_not_decrypt_does_not_read(deploy: Deploy, ops: Ops) -> None:
    stack = deploy(customer_managed_key=True)
    stack.grant(stack.grants()[0])
    done = ops(stack, "access", "--json")
    assert done.json["grants"] == []


def test_a_key_that_somebody_may_use_directly_is_found(deploy: Deploy, ops: Ops) -> None:
    stack = deploy(customer_managed_key=True)
    kms = stack.client("kms")
    policy = json.loads(kms.get_key_policy(KeyId=stack.key_arn, PolicyName="default")["Policy"])
    role = f"arn:aws:iam::{stack.account}:role/somebody"
    policy["Statement"].append(_allow("kms:Decrypt", "*", Principal={"AWS": role}))
    kms.put_key_policy(KeyId=stack.key_arn.rpartition("/")[2], PolicyName="default", Policy=json.dumps(policy))
    done = ops(stack, "access", "--json")
    assert done.status == 1
    assert [f["problem"] for f in done.json["findings"]] == [
        f"{role} may decrypt directly: no condition kms:ViaService"
    ]


def test_the_report_as_markdown(stack: Deployed, ops: Ops) -> None:
    done = ops(stack, "access", "--markdown")
    assert done.status == 0
    assert done.out.startswith(f"# Access to the secrets of dev (account {stack.account}, eu-west-1)")
    assert f"| {stack.outputs['execution_role_arn']} | read |" in done.out


def test_the_table_names_principal_and_statement(stack: Deployed, ops: Ops) -> None:
    done = ops(stack, "access")
    assert done.status == 0
    assert "ReadSecrets of inline policy execution" in done.out
    assert not any(value in done.out + done.err for value in stack.values.values())


def test_markdown_and_json_exclude_each_other(stack: Deployed, ops: Ops) -> None:
    assert ops(stack, "access", "--markdown", "--json").status == 2
