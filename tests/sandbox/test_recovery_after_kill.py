"""`kill -9` and Ctrl-C at several moments: the next `up` says what happened, converges, orphans nothing and loses no value."""

import contextlib
import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import state

Make = Callable[..., Any]

_COUNT = 10
_OPTION = ("-c", f"count={_COUNT}")


# A whole run writes 92 steps: 30 registrations, 30 creations that begin and end, two providers.
@pytest.mark.parametrize(
    ("victims", "steps"),
    [
        ("driver", 3), ("driver", 24), ("driver", 45), ("driver", 70), ("engine", 10), ("engine", 31), ("engine", 55),
        ("all", 17), ("all", 40), ("all", 80),
    ],
)  # fmt: skip
def test_after_kill_9_the_next_up_converges(sandbox: Any, tiny: Make, victims: str, steps: int) -> None:
    copy = tiny()
    process = sandbox.start("up", *_OPTION, *copy.options)
    sandbox.wait_until(lambda: _steps(sandbox, copy) >= steps, process)
    _kill(sandbox, copy, process, victims)
    process.communicate(timeout=60)
    assert process.returncode != 0
    values = _values(sandbox, copy)
    result = sandbox.quick("up", "--json", *_OPTION, *copy.options)
    assert result.status == 0, result.err
    client = sandbox.aws("secretsmanager", copy)
    secrets = client.list_secrets(MaxResults=100)["SecretList"]
    assert {secret["Name"] for secret in secrets} == {f"{copy.stack}-s{i}" for i in range(_COUNT)}
    for secret in secrets:
        assert len(client.list_secret_version_ids(SecretId=secret["ARN"])["Versions"]) == 1
    assert values.items() <= _values(sandbox, copy).items()
    sandbox.ok("preview", "--expect-no-changes", *_OPTION, *copy.options)
    assert sandbox.ok("refresh", *_OPTION, *copy.options)["changes"] == []


def test_a_destroy_after_kill_9_leaves_nothing(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    _start_and_kill(sandbox, copy, "up", *_OPTION, steps=48)
    result = sandbox.quick("destroy", *copy.options)
    assert result.status == 0, result.err
    assert sandbox.aws("secretsmanager", copy).list_secrets(MaxResults=100)["SecretList"] == []
    assert _resources(sandbox, copy) == ()


def test_an_update_and_a_destroy_that_were_killed_are_taken_up(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    sandbox.ok("up", *_OPTION, *copy.options)
    values, greeting = _values(sandbox, copy), ("-c", "greeting=good evening")
    _start_and_kill(sandbox, copy, "up", *greeting, "-c", "count=11", steps=48)
    changed = sandbox.quick("up", *greeting, "-c", "count=11", *copy.options)
    assert changed.status == 0, changed.err
    assert "was cut off while" in changed.err
    assert values.items() <= _values(sandbox, copy).items()
    described = sandbox.aws("secretsmanager", copy).list_secrets(MaxResults=100)["SecretList"]
    assert [secret["Description"] for secret in described] == ["good evening"] * 11
    _start_and_kill(sandbox, copy, "destroy", steps=30)
    assert "cut off" in sandbox.quick("status").out
    again = sandbox.quick("up", *greeting, "-c", "count=11", *copy.options)
    assert again.status == 0, again.err
    sandbox.ok("preview", "--expect-no-changes", *greeting, "-c", "count=11", *copy.options)
    assert sandbox.ok("refresh", *greeting, "-c", "count=11", *copy.options)["changes"] == []


def _start_and_kill(sandbox: Any, copy: Any, *command: str, steps: int) -> None:
    process = sandbox.start(*command, *copy.options)
    sandbox.wait_until(lambda: _steps(sandbox, copy) >= steps, process)
    _kill(sandbox, copy, process, "all")
    process.communicate(timeout=60)
    assert process.returncode != 0


def test_ctrl_c_ends_in_good_order_and_the_next_up_goes_on(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    process = sandbox.start("up", *_OPTION, *copy.options)
    sandbox.wait_until(lambda: _steps(sandbox, copy) >= 12, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Stopping: finishing what has begun" in err
    assert "Stopped by Ctrl-C: " in err
    assert "Traceback" not in err
    checkpoint = sandbox.checkpoint(copy)
    assert checkpoint.pending == ()
    again = sandbox.quick("up", *_OPTION, *copy.options)
    assert again.status == 0, again.err
    assert "cut off" not in again.err
    sandbox.ok("preview", "--expect-no-changes", *_OPTION, *copy.options)


def test_a_destroy_that_ctrl_c_stopped_half_way_does_not_end_well(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    program = (copy.directory / "__main__.py").read_text(encoding="utf-8")
    one_by_one = "pulumi.ResourceOptions(depends_on=version if i else None)"  # so that it takes a while
    program = program.replace("days=0,", f"days=0, opts={one_by_one},")
    copy.set_program(
        program.replace("    aws.secretsmanager.SecretVersion", "    version = aws.secretsmanager.SecretVersion")
    )
    sandbox.ok("up", *_OPTION, *copy.options)
    process = sandbox.start("destroy", *copy.options)
    sandbox.wait_until(lambda: _steps(sandbox, copy) >= 12, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # The engine itself ends with 0, whatever is left.
    assert process.returncode == 130, err
    assert "Stopped by Ctrl-C: " in err
    sandbox.ok("destroy", *copy.options)
    assert _resources(sandbox, copy) == ()


@pytest.mark.parametrize("verb", ["preview", "destroy"])
def test_every_other_command_recovers_too(sandbox: Any, tiny: Make, verb: str) -> None:
    copy = tiny()
    sandbox.ok("up", *copy.options)
    _make_pending(sandbox.checkpoint_path(copy), lambda resource: resource["type"].endswith(":Secret"))
    result = sandbox.quick(verb, "--json", *copy.options)
    assert result.status == 0, result.err
    assert "aws:secretsmanager/secret:Secret s0: existed already, taken over" in result.err
    assert sandbox.checkpoint(copy).pending == ()
    if verb == "destroy":
        assert sandbox.aws("secretsmanager", copy).list_secrets()["SecretList"] == []


def test_objects_of_every_kind_are_found_again(sandbox: Any, tiny: Make) -> None:
    copy = tiny(MANY_KINDS)
    sandbox.ok("up", *copy.options)
    path = sandbox.checkpoint_path(copy)
    before = {r["urn"]: r["id"] for r in json.loads(path.read_text())["checkpoint"]["latest"]["resources"] if "id" in r}
    _make_pending(path, lambda resource: resource["type"].startswith("aws:"))
    result = sandbox.quick("up", "--json", *copy.options)
    assert result.status == 0, result.err
    after = {r["urn"]: r["id"] for r in sandbox.checkpoint(copy).resources if "id" in r}
    assert after == before
    assert [change for change in result.json()["changes"] if change["op"] != "update"] == []
    assert sandbox.ok("refresh", *copy.options)["changes"] == []


def test_what_was_not_made_yet_is_made(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    sandbox.ok("up", *copy.options)
    _make_pending(sandbox.checkpoint_path(copy), lambda resource: resource["type"].startswith("aws:"))
    sandbox.aws("secretsmanager", copy).delete_secret(SecretId=f"{copy.stack}-s0", ForceDeleteWithoutRecovery=True)
    result = sandbox.quick("up", "--json", *copy.options)
    assert result.status == 0, result.err
    assert "Secret s0: was not made yet" in result.err
    assert sorted(change["op"] for change in result.json()["changes"]) == ["create", "create"]


def test_a_cut_off_replacement_keeps_the_new_object_and_deletes_the_old(sandbox: Any, tiny: Make) -> None:
    program = """
        import pulumi
        import pulumi_aws as aws
        secret = aws.secretsmanager.Secret("s", name=f"{pulumi.get_stack()}-s", recovery_window_in_days=0)
        aws.secretsmanager.SecretVersion("v", secret_id=secret.id, secret_string="VALUE")
    """
    copy = tiny(program.replace("VALUE", "first value"))
    sandbox.ok("up", *copy.options)
    path = sandbox.checkpoint_path(copy)
    old = json.loads(path.read_text())
    copy.set_program(program.replace("VALUE", "second value"))
    sandbox.ok("up", *copy.options)
    # Put the state back to the moment when the new version was being made.
    new = json.loads(path.read_text())["checkpoint"]["latest"]["resources"]
    operation = next(r for r in new if r["type"].endswith(":SecretVersion"))
    created = operation["id"]
    old["checkpoint"]["latest"]["pending_operations"] = [{"resource": _before_creation(operation), "type": "creating"}]
    path.write_text(json.dumps(old))
    result = sandbox.quick("up", "--json", *copy.options)
    assert result.status == 0, result.err
    assert "SecretVersion v: existed already, taken over" in result.err
    versions = [r for r in sandbox.checkpoint(copy).resources if r["type"].endswith(":SecretVersion")]
    assert [version["id"] for version in versions] == [created]


def test_operations_that_were_changing_or_deleting_are_checked_against_aws(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    sandbox.ok("up", *copy.options)
    path = sandbox.checkpoint_path(copy)
    content = json.loads(path.read_text())
    latest = content["checkpoint"]["latest"]
    by_type = {r["type"].rpartition(":")[2]: r for r in latest["resources"]}
    latest["pending_operations"] = [
        {"resource": by_type["Secret"], "type": "updating"},
        {"resource": by_type["SecretVersion"], "type": "deleting"},
    ]
    path.write_text(json.dumps(content))
    result = sandbox.quick("up", "--json", *copy.options)
    assert result.status == 0, result.err
    assert "Secret s0: updating is checked against AWS" in result.err
    assert result.json()["changes"] == []


def test_a_generated_value_that_was_never_used_is_made_anew(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    sandbox.ok("up", *copy.options)
    path = sandbox.checkpoint_path(copy)
    _make_pending(path, lambda r: r["type"].startswith("random:") or r["type"].endswith(":SecretVersion"))
    content = json.loads(path.read_text())
    latest = content["checkpoint"]["latest"]
    latest["pending_operations"] = [op for op in latest["pending_operations"] if "random" in op["resource"]["type"]]
    path.write_text(json.dumps(content))
    result = sandbox.quick("up", *copy.options)
    assert result.status == 0, result.err
    assert "RandomPassword p0: was not made yet" in result.err


def _kill(sandbox: Any, copy: Any, process: Any, victims: str) -> None:
    pids = sandbox.home.work(copy.name, copy.stack) / "pids"
    engines = [int(path.name.partition("-")[2]) for path in pids.glob("cli-*")]
    for pid in {"driver": [process.pid], "engine": engines, "all": [process.pid, *engines]}[victims]:
        os.kill(pid, signal.SIGKILL)


def _resources(sandbox: Any, copy: Any) -> tuple[Any, ...]:
    try:
        return sandbox.checkpoint(copy).resources
    except ValueError:  # read while it was being written
        return ()


def _steps(sandbox: Any, copy: Any) -> int:
    """How many steps a command that goes on has noted."""
    path = state.journal_file(sandbox.home.state(), copy.name, copy.stack)
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _values(sandbox: Any, copy: Any) -> dict[str, str]:
    """The values that secrets have in AWS, by ARN, as hashes."""
    client = sandbox.aws("secretsmanager", copy)
    found: dict[str, str] = {}
    for secret in client.list_secrets(MaxResults=100)["SecretList"]:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            value = client.get_secret_value(SecretId=secret["ARN"])["SecretString"]
            found[secret["ARN"]] = hashlib.sha256(value.encode()).hexdigest()
    return found


def _make_pending(path: Path, chosen: Callable[[Any], bool]) -> None:
    """Put the state back to the moment when the chosen resources were being made."""
    content = json.loads(path.read_text())
    latest = content["checkpoint"]["latest"]
    picked = [r for r in latest["resources"] if chosen(r)]
    assert picked
    latest["resources"] = [r for r in latest["resources"] if not chosen(r)]
    latest["pending_operations"] = [{"resource": _before_creation(r), "type": "creating"} for r in picked]
    path.write_text(json.dumps(content))


def _before_creation(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key not in {"id", "outputs", "created", "modified"}}


MANY_KINDS = """
import json
import pulumi
import pulumi_aws as aws

stack = pulumi.get_stack()
secret = aws.secretsmanager.Secret("secret", name=f"{stack}-secret", recovery_window_in_days=0)
aws.secretsmanager.SecretVersion("version", secret_id=secret.id, secret_string="a value to find")
deny = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DeleteSecret", "Resource": "*"}
aws.secretsmanager.SecretPolicy(
    "secret-policy", secret_arn=secret.arn, policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]})
)
trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
role = aws.iam.Role(
    "role", name=f"{stack}-role", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
)
read = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
document = json.dumps({"Version": "2012-10-17", "Statement": [read]})
aws.iam.RolePolicy("role-policy", role=role.id, name="inline", policy=document)
policy = aws.iam.Policy("policy", name=f"{stack}-policy", policy=document)
aws.iam.RolePolicyAttachment("attachment", role=role.name, policy_arn=policy.arn)
aws.cloudwatch.LogGroup("log", name=f"/{stack}/log", retention_in_days=7)
key = aws.kms.Key("key", description=f"{stack} key", deletion_window_in_days=7)
aws.kms.Alias("alias", name=f"alias/{stack}", target_key_id=key.key_id)
cluster = aws.ecs.Cluster("cluster", name=f"{stack}-cluster")
aws.ecs.TaskDefinition(
    "task",
    family=f"{stack}-task",
    container_definitions=json.dumps([{"name": "app", "image": "app:1", "essential": True, "memory": 128}]),
)
topic = aws.sns.Topic("topic", name=f"{stack}-topic")
rule = aws.cloudwatch.EventRule("rule", name=f"{stack}-rule", schedule_expression="rate(1 day)")
aws.cloudwatch.EventTarget("target", rule=rule.name, target_id="topic", arn=topic.arn)
bucket = aws.s3.Bucket("bucket", bucket=f"{stack}-bucket")
aws.s3.BucketPublicAccessBlock("block", bucket=bucket.id, block_public_acls=True)
"""
