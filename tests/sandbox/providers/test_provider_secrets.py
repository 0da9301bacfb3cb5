"""Secrets, versions and rotation: each point in which the real plugin and AWS behave in a way of their own."""

import functools
import json
from typing import Any

import pytest

from sandbox.providers._values import Secret, plain

SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"


@pytest.fixture
def secret(aws: Any) -> str:
    return aws.resource(SECRET).create({"recoveryWindowInDays": 0}).id


@pytest.fixture
def manager(boto: Any) -> Any:
    return boto("secretsmanager")


def stages(manager: Any, secret: str) -> dict[str, list[str]]:
    found = manager.describe_secret(SecretId=secret)["VersionIdsToStages"]
    return {version: sorted(labels) for version, labels in found.items() if labels}


def value(manager: Any, secret: str) -> str:
    return manager.get_secret_value(SecretId=secret)["SecretString"]


def rotate(manager: Any, secret: str, new: str) -> str:
    """What a rotation function does: a pending version that becomes current in one call."""
    current = manager.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["VersionId"]
    token = f"{new:-<32}"
    manager.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString=new, VersionStages=["AWSPENDING"])
    manager.update_secret_version_stage(
        SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
    )
    return token


def test_a_version_is_pinned_by_its_id(aws: Any, secret: str, manager: Any) -> None:
    life, state = aws.made(VERSION, {"secretId": secret, "secretString": Secret("first")})
    assert state.id == f"{secret}|{state.outputs['versionId']}"
    assert state.outputs["versionStages"] == ["AWSCURRENT"]
    manager.put_secret_value(SecretId=secret, SecretString="by somebody else")
    assert plain(life.refresh(state).outputs["secretString"]) == "first"


def test_stages_are_sent_only_when_given(aws: Any, secret: str, manager: Any) -> None:
    first = aws.resource(VERSION).create({"secretId": secret, "secretString": Secret("a")})
    labelled = aws.resource(VERSION).create({"secretId": secret, "secretString": Secret("b"), "versionStages": ["own"]})
    assert stages(manager, secret) == {
        first.outputs["versionId"]: ["AWSCURRENT"],
        labelled.outputs["versionId"]: ["own"],
    }


@pytest.mark.parametrize("changed", [{"secretString": Secret("new")}, {"secretId": "another"}])
def test_another_value_or_secret_is_a_replacement(aws: Any, secret: str, changed: dict[str, Any]) -> None:
    life, state = aws.made(VERSION, {"secretId": secret, "secretString": Secret("old")})
    news = {"secretId": secret, "secretString": Secret("old"), **changed}
    assert life.diff(state, news).replaces == [*changed]


def test_a_version_of_a_secret_that_is_gone_is_gone(aws: Any, secret: str, manager: Any) -> None:
    life, state = aws.made(VERSION, {"secretId": secret, "secretString": Secret("x")})
    manager.delete_secret(SecretId=secret, RecoveryWindowInDays=7)
    assert life.refresh(state) is None
    life.delete(state)


def test_a_custom_label_stays_when_somebody_puts_a_value_by_the_plugin(aws: Any, secret: str, manager: Any) -> None:
    """AWS keeps it; moto alone would drop it."""
    seeded = aws.resource(VERSION).create(
        {"secretId": secret, "secretString": Secret("seed"), "versionStages": ["AWSCURRENT", "seed"]}
    )
    newer = aws.resource(VERSION).create({"secretId": secret, "secretString": Secret("newer")})
    assert stages(manager, secret) == {
        seeded.outputs["versionId"]: ["AWSPREVIOUS", "seed"],
        newer.outputs["versionId"]: ["AWSCURRENT"],
    }


LABELLED = {"versionStages": ["AWSCURRENT", "seed"]}


@pytest.mark.parametrize(
    ("stages", "ignored", "changes", "live"),
    [
        (LABELLED, [], {"versionStages": "update"}, "seed"),
        (LABELLED, ["secretString", "versionStages"], {}, "rotated"),
        ({}, [], {}, "rotated"),
    ],
    ids=["rolled back without ignoreChanges", "kept with ignoreChanges", "kept without a label of its own"],
)
def test_what_the_next_up_does_after_a_rotation(  # noqa: PLR0917 - one column of the table each
    aws: Any, secret: str, manager: Any, stages: Any, ignored: list[str], changes: dict[str, str], live: str
) -> None:
    inputs = {"secretId": secret, "secretString": Secret("seed"), **stages}
    life, state = aws.made(VERSION, inputs)
    rotate(manager, secret, "rotated")
    drifted = life.refresh(state)
    # As the engine does: ignored inputs come as the state has them.
    news = drifted.inputs if ignored else inputs
    assert life.diff(drifted, news, ignore=ignored).changes == changes
    life.update(drifted, news, ignore=ignored)
    assert value(manager, secret) == live


def test_adding_a_label_that_another_version_holds_is_aws_s_error(aws: Any, secret: str) -> None:
    aws.resource(VERSION).create({"secretId": secret, "secretString": Secret("a"), "versionStages": ["own"]})
    life, state = aws.made(VERSION, {"secretId": secret, "secretString": Secret("b")})
    with pytest.raises(Exception, match="RemoveFromVersionId can't be empty"):
        life.update(state, {"secretId": secret, "secretString": Secret("b"), "versionStages": ["AWSCURRENT", "own"]})


def test_removing_a_label_leaves_awscurrent(aws: Any, secret: str, manager: Any) -> None:
    inputs = {"secretId": secret, "secretString": Secret("a")}
    life, state = aws.made(VERSION, {**inputs, "versionStages": ["AWSCURRENT", "own"]})
    state = life.update(state, {**inputs, "versionStages": ["AWSCURRENT"]})
    assert stages(manager, secret) == {state.outputs["versionId"]: ["AWSCURRENT"]}
    # AWSCURRENT can only move: taking it from the list changes nothing in AWS.
    life.update(state, {**inputs, "versionStages": []})
    assert stages(manager, secret) == {state.outputs["versionId"]: ["AWSCURRENT"]}


def test_deleting_takes_the_state_s_labels_but_awscurrent(aws: Any, secret: str, manager: Any) -> None:
    life, state = aws.made(
        VERSION, {"secretId": secret, "secretString": Secret("a"), "versionStages": ["AWSCURRENT", "own"]}
    )
    life.delete(state)
    assert stages(manager, secret) == {state.outputs["versionId"]: ["AWSCURRENT"]}


def test_deleting_fails_when_a_label_has_moved(aws: Any, secret: str) -> None:
    inputs = {"secretId": secret, "versionStages": ["AWSCURRENT", "own"]}
    life, state = aws.made(VERSION, {**inputs, "secretString": Secret("a")})
    aws.resource(VERSION).create({**inputs, "secretString": Secret("b")})
    with pytest.raises(Exception, match="UpdateSecretVersionStage, https response error StatusCode: 400"):
        life.delete(state)


def test_a_recovery_window_of_zero_deletes_at_once(aws: Any, manager: Any) -> None:
    life = aws.resource(SECRET)
    life.delete(life.create({"name": "at-once", "recoveryWindowInDays": 0}))
    assert life.create({"name": "at-once"}).outputs["name"] == "at-once"
    manager.delete_secret(SecretId="at-once", ForceDeleteWithoutRecovery=True)


def test_an_imported_secret_whose_program_ignores_the_window_is_deleted_at_once(aws: Any, manager: Any) -> None:
    # terraform-provider-aws, secret.go: Read never sets recovery_window_in_days, and Delete takes its absence for 0.
    arn = manager.create_secret(Name="made-by-terraform", SecretString="x")["ARN"]
    life = aws.resource(SECRET)
    life.delete(life.imported(arn))
    with pytest.raises(manager.exceptions.ResourceNotFoundException):
        manager.describe_secret(SecretId=arn)


def test_a_name_that_is_scheduled_for_deletion_is_aws_s_error(aws: Any, manager: Any) -> None:
    life = aws.resource(SECRET)
    life.delete(life.create({"name": "later", "recoveryWindowInDays": 7}))
    assert "DeletedDate" in manager.describe_secret(SecretId="later")
    with pytest.raises(Exception, match="a secret with this name is already scheduled for deletion"):
        life.create({"name": "later"})


def test_a_key_that_is_not_named_any_more_stays_as_in_the_real_plugin(aws: Any, manager: Any) -> None:
    key = aws.resource("aws:kms/key:Key").create({}).id
    life, state = aws.made(SECRET, {"kmsKeyId": key})
    updated = life.update(state, {})
    assert manager.describe_secret(SecretId=state.id)["KmsKeyId"] == key
    assert life.diff(updated, {}).changes == {"kmsKeyId": "delete"}
    # The way back: name AWS's own key once, which AWS then leaves out of its answers.
    back = life.update(updated, {"kmsKeyId": "alias/aws/secretsmanager"})
    assert life.diff(back, {}).changes == {}


def test_a_policy_is_put_changed_and_taken_away(aws: Any, manager: Any) -> None:
    def policy(action: str) -> str:
        return json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": action}]}
        )

    life, state = aws.made(SECRET, {"policy": policy("a:B")})
    assert life.diff(state, {"policy": policy("a:B").replace(" ", "  ")}).changes == {}
    state = life.update(state, {"policy": policy("c:D")})
    assert "c:D" in manager.get_resource_policy(SecretId=state.id)["ResourcePolicy"]
    state = life.update(state, {"policy": "{}"})
    assert not manager.get_resource_policy(SecretId=state.id).get("ResourcePolicy")
    assert life.diff(state, {"policy": "{}"}).changes == {}


def test_replicas_come_and_go(aws: Any, boto: Any) -> None:
    life = aws.resource(SECRET)
    name = life.create({"replicas": [{"region": "eu-west-1"}, {"region": "eu-west-2"}], "recoveryWindowInDays": 0})
    replicas = [{"region": "eu-west-2"}, {"region": "eu-north-1"}]
    state = life.update(name, {"replicas": replicas, "recoveryWindowInDays": 0})
    assert sorted(item["region"] for item in state.outputs["replicas"]) == ["eu-north-1", "eu-west-2"]
    assert life.diff(state, {"replicas": replicas[::-1], "recoveryWindowInDays": 0}).changes == {}
    # terraform-provider-aws, issue 23316: an empty set of an optional and computed block counts as not given.
    assert life.diff(state, {"replicas": [], "recoveryWindowInDays": 0}).changes == {}
    life.delete(state)
    assert life.refresh(state) is None
    left = boto("secretsmanager", "eu-west-2").list_secrets()["SecretList"]
    assert state.outputs["name"] not in [item["Name"] for item in left]


def test_rotation_never_runs_by_itself_here(aws: Any, secret: str, manager: Any, function: str) -> None:
    """moto would leave the secret without a readable value; `python -m sandbox rotate` runs the function."""
    aws.resource(VERSION).create({"secretId": secret, "secretString": Secret("readable")})
    inputs = {
        "secretId": secret,
        "rotateImmediately": True,
        "rotationLambdaArn": function,
        "rotationRules": {"scheduleExpression": "cron(0 3 1 * ? *)", "duration": "3h"},
    }
    state = aws.resource(ROTATION).create(inputs)
    assert manager.get_secret_value(SecretId=secret)["SecretString"] == "readable"
    assert state.outputs["rotationEnabled"] is True
    assert [*stages(manager, secret).values()] == [["AWSCURRENT"]]


def test_versions_and_values_are_read_as_data(aws: Any, secret: str, manager: Any) -> None:
    versions = "aws:secretsmanager/getSecretVersions:getSecretVersions"
    assert aws.invoke(versions, secretId=secret)["versions"] == []
    first = manager.put_secret_value(SecretId=secret, SecretString="a")["VersionId"]
    second = manager.put_secret_value(SecretId=secret, SecretString="b", VersionStages=["AWSCURRENT", "own"])[
        "VersionId"
    ]
    found = aws.invoke(versions, secretId=secret)["versions"]
    assert {v["versionId"]: set(v["versionStages"]) for v in found} == {
        first: {"AWSPREVIOUS"},
        second: {"AWSCURRENT", "own"},
    }
    read = functools.partial(aws.invoke, "aws:secretsmanager/getSecretVersion:getSecretVersion", secretId=secret)
    assert [read(versionId=first)["secretString"], read()["secretString"]] == ["a", "b"]
    assert read(versionStage="own")["versionId"] == second
