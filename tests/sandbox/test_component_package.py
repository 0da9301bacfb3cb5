"""Programs that are not this application use the components: one in Python beside the folder, one in YAML through the package."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.package import VERSION
from sandbox.home import REPOSITORY
from tests.sandbox import yaml_host
from tests.sandbox.plain_pulumi import Shell

LIBRARY = REPOSITORY / "examples" / "library" / "__main__.py"


def test_a_foreign_python_program_comes_up_stays_as_it_is_and_leaves_nothing(
    sandbox: Any, tiny: Callable[..., Any]
) -> None:
    copy = tiny(LIBRARY.read_text(encoding="utf-8"))
    shutil.copytree(REPOSITORY / "components", copy.directory / "components")
    outputs = sandbox.ok("up", *copy.options)["outputs"]
    sandbox.stays(copy)

    secret = outputs["secretArn"]
    value = json.loads(sandbox.aws("secretsmanager", copy).get_secret_value(SecretId=secret)["SecretString"])
    assert (value["username"], len(value["password"])) == ("orders", 32)
    task = sandbox.aws("ecs", copy).describe_task_definition(taskDefinition="orders")["taskDefinition"]
    assert [container["name"] for container in task["containerDefinitions"]] == ["web", "proxy"]
    assert task["containerDefinitions"][0]["secrets"] == [{"name": "DB_PASSWORD", "valueFrom": f"{secret}:password::"}]
    role = task["executionRoleArn"].rpartition("/")[2]
    policy = sandbox.aws("iam", copy).get_role_policy(RoleName=role, PolicyName="execution")["PolicyDocument"]
    assert policy["Statement"][0]["Resource"] == [secret]

    sandbox.ok("destroy", *copy.options)
    assert sandbox.aws("secretsmanager", copy).list_secrets()["SecretList"] == []


@pytest.fixture
def user(sh: Shell, tmp_path: Path) -> Shell:
    """A user with the YAML host, the package as a plugin, and the stack `dev` of examples/yaml."""
    host = yaml_host.ensure()
    # Without a language host for Python the package is a plugin of its own that runs what the host would run.
    plugin = tmp_path / "pulumi-resource-ecs-secrets"
    plugin.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{sh.project}/components" "$@"\n')
    plugin.chmod(0o755)
    sh.variables["PULUMI_CONFIG_PASSPHRASE"] = "invented"
    sh.variables["PATH"] += f":{host.parent}"
    sh.ok("mkdir state; pulumi login file://$PWD/state")
    sh.ok(f"pulumi plugin install resource ecs-secrets {VERSION} --file {plugin}")
    sh.ok("cd examples/yaml; pulumi stack init dev; pulumi config set aws:region eu-central-1")
    sh.ok("cd examples/yaml; pulumi config set --secret mailToken")
    return sh


@pytest.mark.slow
def test_a_yaml_program_lives_and_no_live_value_is_overwritten(user: Shell) -> None:
    user.ok("cd examples/yaml; pulumi preview; pulumi up; pulumi up --expect-no-changes")
    user.ok("cd examples/yaml; pulumi refresh --yes --expect-no-changes")
    arns = json.loads(user.ok("cd examples/yaml; pulumi stack output secretArns --json"))
    policy = user.client("iam").get_role_policy(RoleName="orders-dev-role-execution", PolicyName="execution")
    assert policy["PolicyDocument"]["Statement"][0]["Resource"] == sorted(arns.values())
    (rule,) = user.client("events").list_rules(NamePrefix="orders-dev-redeployment-changed")["Rules"]
    assert json.loads(rule["EventPattern"])["resources"] == sorted(arns.values())

    # An operator sets a value; a new one in the configuration would replace it.
    secrets = user.client("secretsmanager")
    secrets.put_secret_value(SecretId=arns["mail-token"], SecretString="what-the-operator-put")
    refused = user.run("cd examples/yaml; pulumi config set --secret mailToken; pulumi up")
    assert refused.returncode != 0
    assert "mail-token" in refused.stdout
    assert "Traceback" not in refused.stdout
    assert "what-the-operator-put" not in refused.stdout
    assert secrets.get_secret_value(SecretId=arns["mail-token"])["SecretString"] == "what-the-operator-put"

    assert "deleted" in user.ok("cd examples/yaml; pulumi destroy --yes")
    assert secrets.list_secrets()["SecretList"] == []


@pytest.mark.slow
def test_a_wrong_argument_of_a_yaml_program_is_told_in_its_own_spelling(user: Shell) -> None:
    change = "s/executionRoleArn:/logMode: now\\n      executionRoleArn:/"
    wrong = user.run(f"cd examples/yaml; sed -i '{change}' Pulumi.yaml; pulumi preview")
    assert wrong.returncode != 0
    assert 'problem in the arguments of TaskDefinition "task"' in wrong.stdout
    assert "logMode  is 'now'  non-blocking or blocking" in wrong.stdout
    assert "Traceback" not in wrong.stdout
