"""Bad input through the user's own command: a message that helps, status 1, nothing created, no secret value in it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.stack_options import with_application_user

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("cpu=lots", "cpu must be an integer python -m sandbox config set cpu NUMBER"),
        ("replicaRegions=eu-west-1", "replicaRegions must be an array"),
        (
            "smtpPassword.part=hunter2",
            "smtpPassword is a secret, but was given in the clear -c secret:smtpPassword",
        ),
        (
            "secret:environment.PGPASS=hunter2",
            "environment is not allowed (encrypted, so not shown) many people can read plain variables",
        ),
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
