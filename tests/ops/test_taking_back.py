"""`ops restore --pending`: what was deleted comes back by its name alone, and `up` is told what to take over."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.labels import RESTORED
from components.names import key_description

Deployed = Any  # conftest.py's types, which importlib mode gives no module name for
Ops = Any

PROJECT = "service-ticket-system"


@pytest.fixture
def stack(deploy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """A stack under its own key, whose project lies in a folder of its own."""
    stack = deploy("dev", customer_managed_key=True)
    stack.key_id = stack.key_arn.rpartition("/")[2]
    stack.client("kms").update_key_description(KeyId=stack.key_id, Description=key_description(stack.prefix))
    stack.project = tmp_path / "project"
    stack.project.mkdir()
    (stack.project / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n", encoding="utf-8")
    configure(stack)
    monkeypatch.setattr("ops.taking_back.ROOT", stack.project)
    return stack


def configure(stack: Deployed, **config: Any) -> None:
    values = {"aws:region": stack.region, "aws:allowedAccountIds": [stack.account]}
    values |= {f"{PROJECT}:{key}": value for key, value in config.items()}
    (stack.project / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": values}), encoding="utf-8")


def destroy(stack: Deployed) -> None:
    """As `pulumi destroy` leaves it."""
    for arn in stack.outputs["secret_arns"].values():
        stack.secrets.delete_secret(SecretId=arn, RecoveryWindowInDays=30)
    stack.client("kms").schedule_key_deletion(KeyId=stack.key_id, PendingWindowInDays=30)


def by_name(stack: Deployed, ops: Ops, *arguments: str, **more: Any) -> Any:
    """Run it without the stack's outputs: there are none any more."""
    return ops(None, "restore", "--pending", "--stack", "dev", *arguments, env=stack.variables, **more)


def versions(stack: Deployed, name: str) -> dict[str, str]:
    found = stack.secrets.describe_secret(SecretId=stack.arn(name))["VersionIdsToStages"]
    return {label: version for version, labels in found.items() for label in labels}


def test_a_destroyed_stack_comes_back_without_outputs(stack: Deployed, ops: Ops) -> None:
    destroy(stack)

    done = by_name(stack, ops, "--yes", "--json")

    assert done.status == 0, done.err
    assert stack.client("kms").describe_key(KeyId=stack.key_id)["KeyMetadata"]["KeyState"] == "Enabled"
    assert {name: stack.current(name) for name in stack.values} == stack.values
    restored = done.json["restored"]
    assert restored["key"] == stack.key_arn
    assert {name: entry["arn"] for name, entry in restored["secrets"].items()} == stack.outputs["secret_arns"]
    for name, entry in restored["secrets"].items():
        labels = versions(stack, name)
        assert entry["version"] == labels["AWSCURRENT"] == labels[RESTORED]
    assert done.json["sandbox_arguments"] == ["-c", f"restored={json.dumps(restored)}"]
    assert not any(value in done.out + done.err for value in stack.values.values())


def test_a_second_run_has_nothing_to_do_and_says_the_same(stack: Deployed, ops: Ops) -> None:
    destroy(stack)
    first = by_name(stack, ops, "--yes", "--json").json["restored"]

    assert by_name(stack, ops, "--json").json["restored"] == first
    assert "Nothing of dev" in by_name(stack, ops).err


def test_the_label_moves_to_the_version_that_is_current_now(stack: Deployed, ops: Ops) -> None:
    destroy(stack)
    by_name(stack, ops, "--yes")
    now = stack.secrets.put_secret_value(SecretId=stack.arn("jwt-secret"), SecretString="rotated")["VersionId"]

    entry = by_name(stack, ops, "--json").json["restored"]["secrets"]["jwt-secret"]

    assert entry["version"] == now == versions(stack, "jwt-secret")[RESTORED]
    assert entry["previous"] == versions(stack, "jwt-secret")["AWSPREVIOUS"]


def test_generations_are_those_of_the_stacks_file(stack: Deployed, ops: Ops) -> None:
    configure(stack, rotations={"jwtSecret": 3, "apiKey": 2, "webhookSecret": 1})
    destroy(stack)

    found = by_name(stack, ops, "--yes", "--json").json["restored"]["secrets"]

    assert found["jwt-secret"]["generations"] == {"jwtSecret": 3}
    assert found["app-config"]["generations"] == {"apiKey": 2}
    assert "generations" not in found["db-master-password"]


def test_a_text_whose_value_before_is_needed_is_not_taken_back_without_its_number(stack: Deployed, ops: Ops) -> None:
    stack.secrets.put_secret_value(
        SecretId=stack.arn("jwt-secret"), SecretString="before", VersionStages=["pulumi-previous-1a2b3c4d"]
    )
    destroy(stack)

    refused = by_name(stack, ops, "--yes")
    assert refused.status == 2
    assert "pulumi config set --stack dev --path rotations.jwtSecret NUMBER" in refused.err
    assert stack.secrets.describe_secret(SecretId=stack.arn("jwt-secret"))["DeletedDate"]

    configure(stack, rotations={"jwtSecret": 2})
    found = by_name(stack, ops, "--yes", "--json").json["restored"]["secrets"]["jwt-secret"]
    assert found["generations"] == {"jwtSecret": 2}


def test_a_dry_run_changes_nothing(stack: Deployed, ops: Ops) -> None:
    destroy(stack)

    done = by_name(stack, ops, "--dry-run")

    assert done.status == 0
    assert f"{stack.key_arn}: is PendingDeletion" in done.err
    assert stack.secrets.describe_secret(SecretId=stack.arn("jwt-secret"))["DeletedDate"]
    assert stack.client("kms").describe_key(KeyId=stack.key_id)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_it_asks_first(stack: Deployed, ops: Ops) -> None:
    destroy(stack)

    done = by_name(stack, ops)

    assert done.status == 2
    assert f"the key {stack.key_arn}" in done.err
    assert stack.secrets.describe_secret(SecretId=stack.arn("jwt-secret"))["DeletedDate"]


def test_an_entry_that_came_back_is_taken_over_beside_a_stack_that_is_up(stack: Deployed, ops: Ops) -> None:
    arn = stack.arn("jwt-secret")
    stack.secrets.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
    for output in ("secret_arns",):
        stack.write_outputs(**{output: {name: v for name, v in stack.outputs[output].items() if name != "jwt-secret"}})

    done = ops(stack, "restore", "--pending", "--yes", "--json")

    assert done.status == 0, done.err
    assert {name: entry["arn"] for name, entry in done.json["restored"]["secrets"].items()} == {"jwt-secret": arn}


def test_a_secret_that_is_gone_for_good_is_told(stack: Deployed, ops: Ops) -> None:
    destroy(stack)
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), ForceDeleteWithoutRecovery=True)

    done = by_name(stack, ops, "--yes")

    assert done.status == 0
    assert f"{stack.prefix}-jwt-secret: doesn't exist, so that `up` makes a new one" in done.err


def test_another_account_and_an_unknown_stack_are_refused(stack: Deployed, ops: Ops) -> None:
    destroy(stack)
    done = ops(None, "restore", "--pending", "--stack", "nope", env=stack.variables)
    assert (done.status, "Pulumi.nope.yaml" in done.err) == (2, True)


def test_somebody_elses_key_is_left_alone(stack: Deployed, ops: Ops) -> None:
    stack.client("kms").update_key_description(KeyId=stack.key_id, Description="of another team")
    destroy(stack)

    done = by_name(stack, ops, "--yes", "--json")

    assert done.json["key"] is None
    assert stack.client("kms").describe_key(KeyId=stack.key_id)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_of_a_stack_that_is_up_nothing_is_configured(stack: Deployed, ops: Ops) -> None:
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), RecoveryWindowInDays=7)

    done = ops(stack, "restore", "--pending", "--yes", "--json")

    assert done.status == 0, done.err
    assert done.json["restored"] == {}
    assert stack.current("jwt-secret") == stack.values["jwt-secret"]


# --- deleted, and made again by hand --------------------------------------------------------------------------------------


@pytest.fixture
def made_anew(stack: Deployed) -> Deployed:
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), ForceDeleteWithoutRecovery=True)
    made = stack.secrets.create_secret(Name=f"{stack.prefix}-jwt-secret", SecretString="made-by-hand")
    stack.new_arn = made["ARN"]
    assert stack.new_arn != stack.arn("jwt-secret")
    return stack


def test_doctor_says_that_a_secret_was_made_anew(made_anew: Deployed, ops: Ops) -> None:
    findings = ops(made_anew, "doctor", "--json").json["findings"]
    (found,) = [f for f in findings if f["check"] == "exists"]
    assert found["subject"] == "jwt-secret"
    assert f"made again under the same name: it is {made_anew.new_arn} now" in found["found"]
    assert found["fix"] == "python -m ops restore --pending --stack dev && pulumi up --refresh --stack dev"


def test_what_was_made_anew_is_taken_over(made_anew: Deployed, ops: Ops) -> None:
    done = ops(made_anew, "restore", "--pending", "--yes", "--json")
    assert done.status == 0, done.err
    assert list(done.json["restored"]["secrets"]) == ["jwt-secret"]
    assert done.json["restored"]["secrets"]["jwt-secret"]["arn"] == made_anew.new_arn


# --- the user's own pulumi -----------------------------------------------------------------------------------------------


def test_the_stacks_configuration_says_what_up_takes_over(
    stack: Deployed, ops: Ops, tmp_path: Path, pulumi_cli: Path
) -> None:
    configure(stack, rotations={"jwtSecret": 2})
    destroy(stack)
    pulumi = {
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "PULUMI_BACKEND_URL": tmp_path.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "p",
        "PATH": f"{pulumi_cli.parent}:/usr/bin:/bin",
    }
    subprocess.run(["pulumi", "stack", "init", "dev"], cwd=stack.project, env=pulumi, check=True, capture_output=True)
    # By a service's own endpoint variables AWS is the local one here, while it doesn't look so to the command.
    endpoints = {f"AWS_ENDPOINT_URL_{service}": stack.endpoint for service in ("SECRETS_MANAGER", "STS", "KMS")}
    environment = {**stack.variables, **endpoints, **pulumi, "AWS_ENDPOINT_URL": None}

    command = ("restore", "--pending", "--stack", "dev", "--yes")
    assert ops(None, *command, env=environment).status == 0
    done = ops(None, *command, env=environment)
    assert done.status == 0, done.err
    assert "Written. Next: pulumi up --refresh --stack dev" in done.err

    config = yaml.safe_load((stack.project / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]
    restored = config[f"{PROJECT}:restored"]
    assert restored["key"] == stack.key_arn
    assert restored["secrets"]["jwt-secret"] == {
        "arn": stack.arn("jwt-secret"),
        "version": versions(stack, "jwt-secret")["AWSCURRENT"],
        "generations": {"jwtSecret": 2},
    }
