"""What `ops doctor` prints, run as printed on the real engine: several things are broken at a time, and all of them are put back.

tests/ops/test_doctor_breakages.py breaks one thing at a time, and runs the commands that need no engine.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.policies import identity
from sandbox import local_aws
from sandbox.home import REPOSITORY

pytestmark = pytest.mark.slow

FAMILY = "service-ticket-system-dev-app"
ROLE, TASK_ROLE, GROUP = f"{FAMILY}-execution", f"{FAMILY}-task", f"/ecs/{FAMILY}"


class Dev:
    """This project's own stack `dev`, as its operator sees it."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox
        path = os.pathsep.join(
            [str(sandbox.python.parent), str(Path(sys.executable).parent), sandbox.environment["PATH"]]
        )
        self.environment = {**sandbox.environment, "PATH": path, "AWS_PAGER": ""}
        lines = sandbox.quick("env", "--stack", "dev").out.splitlines()
        self.environment |= dict(word.split("=", 1) for line in lines for word in shlex.split(line) if "=" in word)

    def aws(self, service: str) -> Any:
        found = local_aws.running(self.sandbox.home)
        assert found is not None
        return found.client(service, region="eu-central-1", credentials=found.credentials("111111111111"))

    def problems(self) -> list[dict[str, str]]:
        done = self.shell("python -m ops doctor --stack dev --json")
        return [finding for finding in json.loads(done.stdout)["findings"] if finding["status"] != "ok"]

    def shell(self, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["sh", "-ec", command], cwd=REPOSITORY, env=self.environment, capture_output=True, text=True, check=False,
            timeout=55,
        )  # fmt: skip

    def paste(self, command: str) -> None:
        """Run a printed command; the sandbox's part of it in this process, which is quicker."""
        for part in command.split(" && "):
            words = shlex.split(part)
            if words[:3] == ["python", "-m", "sandbox"]:
                ended = self.sandbox.quick(*words[3:])
                assert ended.status == 0, ended.err
            else:
                done = self.shell(part)
                assert done.returncode == 0, done.stderr


def delete_role(dev: Dev) -> None:
    delete_policies(dev)
    dev.aws("iam").delete_role(RoleName=ROLE)


def delete_policies(dev: Dev) -> None:
    for name in dev.aws("iam").list_role_policies(RoleName=ROLE)["PolicyNames"]:
        dev.aws("iam").delete_role_policy(RoleName=ROLE, PolicyName=name)


def delete_task_role(dev: Dev) -> None:
    dev.aws("iam").delete_role(RoleName=TASK_ROLE)


def delete_log_group(dev: Dev) -> None:
    dev.aws("logs").delete_log_group(logGroupName=GROUP)


def deregister(dev: Dev) -> None:
    dev.aws("ecs").deregister_task_definition(taskDefinition=f"{FAMILY}:1")


def delete_for_good(dev: Dev) -> None:
    dev.aws("secretsmanager").delete_secret(
        SecretId="service-ticket-system-dev-db-master-password", ForceDeleteWithoutRecovery=True
    )


def deny_in_resource_policy(dev: Dev) -> None:
    deny = {"Sid": "NobodyReads", "Effect": "Deny", "Principal": "*", "Action": "secretsmanager:Get*", "Resource": "*"}
    dev.aws("secretsmanager").put_resource_policy(
        SecretId="service-ticket-system-dev-jwt-secret", ResourcePolicy=identity.document([deny])
    )


def trust(**principal: str) -> Callable[[Dev], None]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    document = identity.document([statement])
    return lambda dev: dev.aws("iam").update_assume_role_policy(RoleName=ROLE, PolicyDocument=document)


def put_policy(name: str, *statements: dict[str, Any]) -> Callable[[Dev], None]:
    document = identity.document(statements)
    return lambda dev: dev.aws("iam").put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=document)


def without(word: str) -> Callable[[Dev], None]:
    """Take the statements away that have a word in them."""

    def broken(dev: Dev) -> None:
        iam = dev.aws("iam")
        for name in iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
            found = iam.get_role_policy(RoleName=ROLE, PolicyName=name)["PolicyDocument"]["Statement"]
            kept = [statement for statement in found if word not in json.dumps(statement)]
            if len(kept) < len(found):
                iam.delete_role_policy(RoleName=ROLE, PolicyName=name)
            if 0 < len(kept) < len(found):
                iam.put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=identity.document(kept))

    return broken


def register(**changes: Any) -> Callable[[Dev], None]:
    """Register a revision by hand that differs from the program's."""

    def broken(dev: Dev) -> None:
        old = dev.aws("ecs").describe_task_definition(taskDefinition=f"{FAMILY}:1")["taskDefinition"]
        kept = ("family", "networkMode", "cpu", "memory", "executionRoleArn", "taskRoleArn", "requiresCompatibilities")
        containers = [{**container, **changes.get("container", {})} for container in old["containerDefinitions"]]
        dev.aws("ecs").register_task_definition(
            **{name: old[name] for name in kept} | changes.get("task", {}), containerDefinitions=containers
        )

    return broken


def lock_log_group(dev: Dev) -> None:
    key = dev.aws("kms").create_key()["KeyMetadata"]["Arn"]
    dev.aws("logs").associate_kms_key(logGroupName=GROUP, kmsKeyId=key)


def remove_current_label(dev: Dev) -> None:
    name = "service-ticket-system-dev-jwt-secret"
    secrets = dev.aws("secretsmanager")
    stages = secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
    current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
    secrets.update_secret_version_stage(SecretId=name, VersionStage="AWSCURRENT", RemoveFromVersionId=current)


READ_ALL = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
DENY = {"Sid": "Freeze", "Effect": "Deny", "Action": "*", "Resource": "*"}
WRONG = {"secrets": [{"name": "JWT_SECRET", "valueFrom": "jwt-secret"}]}

BATCHES: dict[str, dict[Callable[[Dev], object], str]] = {
    # how something is broken, and the check that names it
    "what is gone": {
        delete_role: "role", deregister: "task-definition", delete_log_group: "log-group", delete_for_good: "exists",
    },
    "rights": {
        delete_policies: "permission", delete_task_role: "role", trust(Service="lambda.amazonaws.com"): "role",
        lock_log_group: "log-group", remove_current_label: "value",
    },
    "too much": {
        trust(AWS="*"): "role", without("app-config"): "permission", without("logs:"): "start",
        put_policy("wide", READ_ALL): "permission", register(container=WRONG): "value-from",
    },
    "another's": {
        put_policy("freeze", DENY): "permission", deny_in_resource_policy: "permission", without("ecr:"): "start",
        register(task={"executionRoleArn": "arn:aws:iam::123456789012:role/other"}): "task-definition",
    },
}  # fmt: skip


@pytest.mark.parametrize("batch", BATCHES)
def test_what_the_doctor_prints_puts_everything_back(batch: str, own_sandbox: Any) -> None:
    own_sandbox.ok("up", "--stack", "dev")
    dev = Dev(own_sandbox)
    assert dev.problems() == []
    for broken in BATCHES[batch]:
        broken(dev)

    left = dev.problems()

    assert set(BATCHES[batch].values()) <= {finding["check"] for finding in left}
    while left:
        commands = [finding["fix"] for finding in left if finding["fix"]]
        dev.paste(commands[0])
        before, left = left, dev.problems()
        assert len(left) < len(before), f"{commands[0]} changed nothing: {left}"
