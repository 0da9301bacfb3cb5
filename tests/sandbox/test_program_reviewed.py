"""The review of a stack as the program makes it, every part switched on: nothing is wider, and each role's trust is looked at."""

import json
import os
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from typer.testing import CliRunner

from ops.cli import app
from sandbox import local_aws
from tests.sandbox.stack_options import with_application_user

Make = Callable[..., Any]

OTHER = "arn:aws:iam::999999999999:root"


@pytest.mark.slow
def test_each_role_of_the_stack_is_reviewed(sandbox: Any, project_copy: Make) -> None:
    copy = with_application_user(project_copy("prod"))
    sandbox.ok("up", *copy.options)
    file = sandbox.outputs_file(copy)
    aws = local_aws.running(sandbox.home)
    assert aws is not None
    variables = {"AWS_ENDPOINT_URL": aws.endpoint, **aws.credentials(copy.account).variables()}

    def ops(*command: str) -> tuple[int, Any]:
        with mock.patch.dict(os.environ, variables):
            done = CliRunner().invoke(app, [*command, "--json", "--outputs", file])
        return done.exit_code, json.loads(done.stdout)

    status, found = ops("access", "--everybody")
    assert status == 0, (found["findings"], [grant for grant in found["grants"] if grant["wider"]])
    status, found = ops("report")
    assert status == 0, [finding for finding in found["health"] if finding["status"] != "ok"]

    iam = sandbox.aws("iam", copy)
    names = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    assert len(names) == 6
    for name in names:
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        wider = {"Sid": "ByHand", "Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "sts:AssumeRole"}
        trust["Statement"].append(wider)
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    status, found = ops("access")
    assert status == 1
    assert {(finding["where"].rpartition("/")[2], finding["statement"]) for finding in found["findings"]} == {
        (name, "ByHand of trust policy") for name in names
    }
