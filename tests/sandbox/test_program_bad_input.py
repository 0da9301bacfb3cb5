"""Bad input through the user's own command: a message that helps, status 1, nothing created, no secret value in it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.stack_options import with_application_user

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            "smtpPassword=hunter2-in-the-clear-0",
            "smtpPassword is a secret, but was given in the clear -c secret:smtpPassword",
        ),
        ("databseHost=x", "databseHost is not a known key did you mean databaseHost?"),
        ("cpu=lots", "cpu has the wrong type; allowed is an integer python -m sandbox config set cpu NUMBER"),
        ("replicaRegions=eu-west-1", "replicaRegions has the wrong type; allowed is an array"),
        (
            "smtpPassword.part=hunter2",
            "smtpPassword is a secret, but was given in the clear -c secret:smtpPassword",
        ),
        (
            "secret:environment.PGPASS=hunter2",
            "environment is not allowed (encrypted, so not shown) many people can read plain variables",
        ),
        ('aws:allowedAccountIds=["123456789012"]', "AWS account ID not allowed"),
    ],
)
def test_preview_refuses_it(sandbox: Any, unchanged_copy: Any, options: str, said: str) -> None:
    result = sandbox.quick("preview", *unchanged_copy.options, "-c", options)
    message = " ".join(result.err.split())
    assert result.status == 1
    assert said in message
    assert "Traceback" not in message
    assert "hunter2" not in result.out + result.err


def test_up_reports_all_problems_at_once_and_creates_nothing(sandbox: Any, project_copy: Make) -> None:
    copy = with_application_user(project_copy("prod"))
    wrong = ("-c", "secret:smtpPassword=changeme", "-c", "cpu=256", "-c", "memory=4096", "-c", "imagge=x")
    result = sandbox.command("up", *copy.options, *wrong)
    assert result.status == 1
    assert f'3 configuration problems in stack "{copy.stack}"' in result.err
    assert "looks like a placeholder" in result.err
    assert "changeme" not in result.out + result.err
    assert sandbox.aws("secretsmanager", copy).list_secrets()["SecretList"] == []


def test_a_value_over_65536_bytes_is_refused_before_anything_is_created(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    result = sandbox.quick("up", *copy.options, "-c", "secret:jwtSecret=" + "j" * 65_537)
    assert result.status == 1
    assert "jwtSecret  has 65,537 bytes" in result.err
    assert "jjjj" not in result.out + result.err
    assert sandbox.aws("secretsmanager", copy).list_secrets()["SecretList"] == []


def test_a_wrong_catalogue_is_refused(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    path = copy.directory / "catalogue.py"
    entry = 'TextSecret("pager-key", "hunter2")'
    start = "CATALOGUE: Sequence[Entry] = (\n"
    path.write_text(path.read_text(encoding="utf-8").replace(start, f"{start}    {entry},\n"), encoding="utf-8")
    result = sandbox.quick("preview", *copy.options)
    assert result.status == 1
    assert "pager-key has a value that is not a source" in " ".join(result.err.split())
    assert "hunter2" not in result.err


def test_restricting_readers_without_the_caller_among_them_is_refused(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    role = f"arn:aws:iam::{copy.account}:role/"
    options = ["-c", "restrictReaders=true", "-c", f"breakGlassRoles={json.dumps([role + 'break-glass'])}"]
    refused = sandbox.quick("preview", *copy.options, *options, "-c", f"deployerRoles={json.dumps([role + 'other'])}")
    assert refused.status == 1
    assert "would lock itself out" in refused.err
    assert "Traceback" not in refused.err
    sandbox.ok("up", *copy.options, *options, "-c", f"deployerRoles={json.dumps([role + 'sandbox'])}")
    policy = sandbox.aws("secretsmanager", copy).get_resource_policy(
        SecretId=f"service-ticket-system-{copy.stack}-jwt-secret"
    )
    assert role + "sandbox" in policy["ResourcePolicy"]
