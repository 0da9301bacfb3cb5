"""Switches on a stack that lives: encryption, replicas, strategies of rotation, trails, readers. No value is lost on the way."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.stack_options import ALTERNATING, SINGLE_USER, given, values, with_application_user

Make = Callable[..., Any]

pytestmark = pytest.mark.slow  # long sequences


def up(sandbox: Any, copy: Any, *options: str) -> dict[str, Any]:
    """Bring the stack up; returns its outputs."""
    return sandbox.ok("up", *copy.options, *options)["outputs"]


def up_and_idle(sandbox: Any, copy: Any, *options: str) -> dict[str, Any]:
    """Bring the stack up; a refresh and a second look change nothing."""
    outputs = up(sandbox, copy, *options)
    sandbox.stays(copy, *options)
    return outputs


def test_the_strategy_of_a_live_rotation_is_switched_there_and_back_and_off_and_on(
    sandbox: Any, project_copy: Make
) -> None:
    copy = with_application_user(project_copy())
    single, alternating = given(rotation=SINGLE_USER), given(rotation=ALTERNATING)
    up(sandbox, copy, *single)
    assert sandbox.command("rotate", "db-master-password", *copy.options).status == 0
    rotated = values(sandbox, copy)

    up(sandbox, copy, *alternating)
    assert {**values(sandbox, copy), "db-app-user": ""} == {**rotated, "db-app-user": ""}
    turn = sandbox.command("rotate", "db-app-user", *copy.options)
    assert turn.status == 0, turn.err
    application = values(sandbox, copy)["db-app-user"]
    up_and_idle(sandbox, copy, *alternating)
    assert values(sandbox, copy)["db-app-user"] == application
    rotated = values(sandbox, copy)

    up(sandbox, copy, *single)
    assert values(sandbox, copy) == rotated
    up(sandbox, copy)
    assert values(sandbox, copy) == rotated
    up(sandbox, copy, *single)
    assert values(sandbox, copy) == rotated
    assert sandbox.command("rotate", "db-master-password", *copy.options).status == 0
    again = values(sandbox, copy)
    assert again["db-master-password"] != rotated["db-master-password"]
    up_and_idle(sandbox, copy, *single)
    assert values(sandbox, copy) == again


def test_an_existing_trail_is_watched_and_no_second_one_is_made(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("preview", *copy.options)  # starts the local AWS
    logs, trails = sandbox.aws("logs", copy), sandbox.aws("cloudtrail", copy)
    logs.create_log_group(logGroupName="organisation/trail")
    existing = given(audit={"trail": "existing", "logGroupName": "organisation/trail"})
    up(sandbox, copy, *existing)
    assert trails.describe_trails()["trailList"] == []
    filters = logs.describe_metric_filters(logGroupName="organisation/trail")["metricFilters"]
    assert {f["metricTransformations"][0]["metricName"] for f in filters} == {
        "Reads", "UnexpectedReads", "DeniedReads", "Tampering", "FailedRotations",
    }  # fmt: skip
    assert len(sandbox.aws("cloudwatch", copy).describe_alarms()["MetricAlarms"]) == 5

    up_and_idle(sandbox, copy, *given(audit={"trail": "create"}))
    assert [trail["IsMultiRegionTrail"] for trail in trails.describe_trails()["trailList"]] == [True]
    assert logs.describe_metric_filters(logGroupName="organisation/trail")["metricFilters"] == []
    sandbox.ok("destroy", *copy.options)
    assert trails.describe_trails()["trailList"] == []
    assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == ["organisation/trail"]


def test_readers_are_restricted_and_freed_again_and_every_role_is_bounded(sandbox: Any, project_copy: Make) -> None:
    copy = with_application_user(project_copy())
    role = f"arn:aws:iam::{copy.account}:role/"
    boundary = f"arn:aws:iam::{copy.account}:policy/boundary"
    everything = given(
        rotation=ALTERNATING,
        audit={"trustedReaders": [role + "auditor"]},
        redeploy={"cluster": "main", "services": {"app": "web"}},
        permissionsBoundary=boundary,
        deployerRoles=[role + "sandbox"],
    )
    restricted = given(restrictReaders="true", breakGlassRoles=[role + "break-glass"])
    sandbox.ok("preview", *copy.options)  # starts the local AWS
    sandbox.aws("iam", copy).create_policy(
        PolicyName="boundary",
        PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        ),
    )
    outputs = up_and_idle(sandbox, copy, *everything, *restricted)
    client = sandbox.aws("secretsmanager", copy)

    def statements() -> list[list[dict[str, Any]]]:
        policies = (
            client.get_resource_policy(SecretId=arn)["ResourcePolicy"] for arn in outputs["secret_arns"].values()
        )
        return [json.loads(policy)["Statement"] for policy in policies]

    readers = {"auditor", "break-glass", "sandbox", f"service-ticket-system-{copy.stack}-app-execution"}
    readers |= {f"service-ticket-system-{copy.stack}-rotation"}
    for only, tls in statements():
        assert (only["Effect"], only["Action"]) == ("Deny", "secretsmanager:GetSecretValue")
        assert set(only["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]) == {role + name for name in readers}
        assert tls["Sid"] == "DenyWithoutTls"
    iam = sandbox.aws("iam", copy)
    names = [r["RoleName"] for r in iam.list_roles()["Roles"] if r["RoleName"].startswith("service-ticket-system-")]
    assert len(names) == 6
    found = [iam.get_role(RoleName=name)["Role"].get("PermissionsBoundary", {}) for name in names]
    assert {bound.get("PermissionsBoundaryArn") for bound in found} == {boundary}

    up(sandbox, copy, *everything)
    assert [len(policy) for policy in statements()] == [1, 1, 1, 1]
