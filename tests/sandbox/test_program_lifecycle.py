"""The project's own program on the real engine: comes up, stays as it is, changes only what was asked, goes away."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.stack_options import ALTERNATING, SINGLE_USER, example_options, given, values, with_application_user

Make = Callable[..., Any]

EVERYTHING = given(
    encryption="customer-managed",
    rotation=ALTERNATING,
    redeploy={"cluster": "main", "services": {"app": "web"}},
    audit={"alarmEmails": ["night@example.com"]},
    replicaRegions=["eu-west-1"],
    readonlyRootFilesystem=True,
    logMode="non-blocking",
)

FROM_THE_START = given(rotation=SINGLE_USER, rotations={"dbMasterPassword": 2})


def changed(result: dict[str, Any]) -> set[tuple[str, str]]:
    """(operation, resource name) of what a command changed or would change."""
    return {
        (change["op"], change["name"]) for change in result["changes"] if not change["type"].startswith("ecs-secrets:")
    }


def remains(sandbox: Any, copy: Any) -> list[str]:
    """What a destroyed stack left in its account, which is its own."""
    left = [
        s["Name"] for s in sandbox.aws("secretsmanager", copy).list_secrets(IncludePlannedDeletion=True)["SecretList"]
    ]
    left += [r["RoleName"] for r in sandbox.aws("iam", copy).list_roles()["Roles"]]
    left += [g["logGroupName"] for g in sandbox.aws("logs", copy).describe_log_groups()["logGroups"]]
    left += [f["FunctionName"] for f in sandbox.aws("lambda", copy).list_functions()["Functions"]]
    left += [b["Name"] for b in sandbox.aws("s3", copy).list_buckets()["Buckets"]]
    left += [t["TopicArn"] for t in sandbox.aws("sns", copy).list_topics()["Topics"]]
    left += [r["Name"] for r in sandbox.aws("events", copy).list_rules()["Rules"]]
    left += [a["AlarmName"] for a in sandbox.aws("cloudwatch", copy).describe_alarms()["MetricAlarms"]]
    return left + [m["name"] for m in sandbox.aws("stepfunctions", copy).list_state_machines()["stateMachines"]]


def test_dev_comes_up_stays_and_goes_away_and_no_value_is_in_the_clear_anywhere(
    sandbox: Any, project_copy: Make
) -> None:
    copy = project_copy()
    up = sandbox.command("up", *copy.options)
    assert up.status == 0, up.err
    live = values(sandbox, copy)
    second = sandbox.command("up", "--expect-no-changes", *copy.options)
    refresh = sandbox.command("refresh", *copy.options)
    preview = sandbox.command("preview", "--expect-no-changes", *copy.options)
    assert (second.status, refresh.status, preview.status) == (0, 0, 0), second.err + refresh.err + preview.err
    assert values(sandbox, copy) == live

    secret_values = {live["db-master-password"], live["jwt-secret"], *json.loads(live["app-config"]).values()}
    assert len(secret_values) == 8
    printed = "".join(r.out + r.err for r in (up, second, refresh, preview))
    printed += sandbox.command("outputs", *copy.options).out + sandbox.command("outputs", "--json", *copy.options).out
    written = {**sandbox.files(), "printed": printed.encode()}
    assert any("state" in where and b"secretsmanager" in content for where, content in written.items())
    assert [where for where, content in written.items() if any(v.encode() in content for v in secret_values)] == []

    destroyed = sandbox.command("destroy", *copy.options)
    assert destroyed.status == 0, destroyed.err
    assert remains(sandbox, copy) == []
    # A service that still runs the revision can start tasks; it holds no value.
    ecs = sandbox.aws("ecs", copy)
    assert [arn.rpartition("/")[2] for arn in ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"]] == [
        f"{copy.name}-{copy.stack}-app:1"
    ]


def test_prod_comes_up_under_its_own_key_and_refuses_to_be_destroyed(sandbox: Any, project_copy: Make) -> None:
    copy = with_application_user(project_copy("prod"))
    outputs = sandbox.ok("up", *copy.options)["outputs"]
    client = sandbox.aws("secretsmanager", copy)
    assert {client.describe_secret(SecretId=arn)["KmsKeyId"] for arn in outputs["secret_arns"].values()} == {
        outputs["kms_key_arn"]
    }
    assert outputs["monthly_cost_usd"] >= 2.2
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options)["changes"] == []
    refused = sandbox.quick("destroy", *copy.options)
    assert refused.status == 1
    assert "protect" in refused.err
    assert len(values(sandbox, copy)) == 4


@pytest.mark.slow
def test_everything_switched_on_comes_up_is_idle_and_goes_away(sandbox: Any, project_copy: Make) -> None:
    copy = with_application_user(project_copy())
    outputs = sandbox.ok("up", *copy.options, *EVERYTHING)["outputs"]
    sandbox.stays(copy, *EVERYTHING)
    arn = outputs["services"]["app"]["task_definition_arn"]
    task = sandbox.aws("ecs", copy).describe_task_definition(taskDefinition=arn)["taskDefinition"]
    (container,) = task["containerDefinitions"]
    assert container["readonlyRootFilesystem"] is True
    mounted = [point["sourceVolume"] for point in container["mountPoints"]]
    assert [volume["name"] for volume in task["volumes"]] == mounted != []
    assert container["logConfiguration"]["options"]["mode"] == "non-blocking"
    live = values(sandbox, copy)
    assert json.loads(live["db-app-user"])["username"] == "ticketing"
    sandbox.ok("up", *copy.options, *EVERYTHING, "-c", "encryption=returning-to-aws-managed")
    aws_managed = (*EVERYTHING, "-c", "encryption=aws-managed")
    sandbox.ok("up", *copy.options, *aws_managed)
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options, *aws_managed)["changes"] == []
    assert values(sandbox, copy) == live
    sandbox.ok("destroy", *copy.options)
    assert remains(sandbox, copy) == []


def test_one_entry_in_the_catalogue_adds_a_secret_and_a_changed_length_changes_nothing(
    sandbox: Any, project_copy: Make
) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    before = values(sandbox, copy)
    path = copy.directory / "catalogue.py"
    text = path.read_text(encoding="utf-8").replace("length=64", "length=48")
    entry = '    TextSecret("pager-key", Generated("pagerKey"), variable="PAGER_KEY"),\n'
    path.write_text(
        text.replace("CATALOGUE: Sequence[Entry] = (\n", "CATALOGUE: Sequence[Entry] = (\n" + entry), encoding="utf-8"
    )
    up = sandbox.command("up", *copy.options)
    assert up.status == 0, up.err
    assert "jwtSecret keeps its 64 characters; the catalogue's 48 apply to its next value" in " ".join(
        (up.out + up.err).split()
    )
    outputs = sandbox.ok("outputs", *copy.options)
    after = values(sandbox, copy)
    assert len(after.pop("pager-key")) == 32
    assert after == before
    policy = sandbox.aws("iam", copy).get_role_policy(
        RoleName=outputs["services"]["app"]["execution_role_arn"].rpartition("/")[2], PolicyName="execution"
    )
    assert outputs["secret_arns"]["pager-key"] in json.dumps(policy["PolicyDocument"])
    definition = sandbox.aws("ecs", copy).describe_task_definition(
        taskDefinition=outputs["services"]["app"]["task_definition_arn"]
    )
    secrets = definition["taskDefinition"]["containerDefinitions"][0]["secrets"]
    assert {"name": "PAGER_KEY", "valueFrom": outputs["secret_arns"]["pager-key"]} in secrets


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "option"),
    [
        ((), ()),
        ((), given(rotation=SINGLE_USER)),
        # What rotates from the start has no value before that could become the current one.
        (FROM_THE_START, FROM_THE_START),
    ],
    ids=["by-hand", "by-rotation", "by-rotation-from-the-start"],
)
def test_a_value_that_was_put_since_is_never_put_back(
    sandbox: Any, project_copy: Make, first: tuple[str, ...], option: tuple[str, ...]
) -> None:
    copy = project_copy()
    arn = sandbox.ok("up", *copy.options, *first)["outputs"]["secret_arns"]["db-master-password"]
    sandbox.ok("up", *copy.options, *option)
    client = sandbox.aws("secretsmanager", copy)
    for number in range(
        3
    ):  # AWS keeps labels on two versions; the third put leaves the seeded one without any of AWS's
        client.put_secret_value(SecretId=arn, SecretString=f"put-since-{number}")
    assert sandbox.ok("refresh", *copy.options, *option)["changes"] == []
    assert sandbox.ok("up", *copy.options, *option)["changes"] == []
    assert client.get_secret_value(SecretId=arn)["SecretString"] == "put-since-2"


def test_an_existing_secret_is_adopted_with_its_name_arn_and_value(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("preview", *copy.options)  # starts the local AWS
    client = sandbox.aws("secretsmanager", copy)
    made = client.create_secret(
        Name="terraform/jwt",
        SecretString="made-by-terraform",
        Description="by hand",
        Tags=[{"Key": "Team", "Value": "a"}],
    )
    adopt = given(adopt={"jwt-secret": made["ARN"]})
    outputs = sandbox.ok("up", *copy.options, *adopt)["outputs"]
    assert outputs["secret_arns"]["jwt-secret"] == made["ARN"]
    assert outputs["secrets"]["jwt-secret"]["full_name"] == "terraform/jwt"
    assert client.get_secret_value(SecretId=made["ARN"])["SecretString"] == "made-by-terraform"
    assert client.describe_secret(SecretId=made["ARN"])["Description"] == "by hand"
    sandbox.stays(copy, *adopt)


def test_a_changed_supplied_value_is_a_new_version_and_a_new_revision_and_nothing_else(
    sandbox: Any, project_copy: Make
) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    before = values(sandbox, copy)
    result = sandbox.ok("up", *copy.options, "-c", "secret:smtpPassword=a-new-smtp-password-1")
    assert changed(result) == {("replace", "secrets-app-config-value"), ("replace", "app-task-definition")}
    after = values(sandbox, copy)
    assert json.loads(after["app-config"])["SMTP_PASSWORD"] == "a-new-smtp-password-1"
    assert {**after, "app-config": ""} == {**before, "app-config": ""}


@pytest.mark.slow
def test_another_stack_runs_the_task_definition_from_the_outputs(
    sandbox: Any, project_copy: Make, tmp_path: Path
) -> None:
    copy = project_copy()
    options = example_options("service", copy, tmp_path)
    missing = sandbox.quick("up", *options)
    assert missing.status == 1
    assert f"service-ticket-system/{copy.stack}" in missing.err
    assert "Traceback" not in missing.err

    task_definition = sandbox.ok("up", *copy.options)["outputs"]["services"]["app"]["task_definition_arn"]
    deployed = sandbox.ok("up", *options)["outputs"]
    assert deployed["task_definition_arn"] == task_definition
    assert sandbox.ok("preview", "--expect-no-changes", *options)["changes"] == []

    newer = sandbox.ok("up", *copy.options, "-c", "secret:smtpPassword=a-new-smtp-password-1")["outputs"]
    assert (
        sandbox.ok("up", *options)["outputs"]["task_definition_arn"]
        == newer["services"]["app"]["task_definition_arn"]
        != task_definition
    )
    sandbox.ok("destroy", *options)
