"""`prod` on another emulator than moto, through `--endpoint`: up, unchanged, rotated, gone.

`make emulator` runs it: ministack 1.5.33 pins a botocore of its own and so lives in a virtual environment of its own. Its gaps
are worked around here: DescribeTrails forgets the log group and the tags, CreateSecret makes a version without a value, and there
is no CancelRotateSecret.
"""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import local_aws
from sandbox.home import REPOSITORY
from sandbox.providers._values import Properties
from sandbox.providers.aws import secretsmanager
from sandbox.providers.aws._session import Aws
from tests.sandbox.stack_options import with_application_user

MINISTACK = REPOSITORY / ".venv-emulator" / "bin" / "ministack"
_FORGOTTEN = {"cloudWatchLogsGroupArn", "cloudWatchLogsRoleArn"}


@pytest.fixture
def endpoint(tmp_path: Path, own_sandbox: Any) -> Iterator[str]:
    assert MINISTACK.exists(), "run `make emulator`: it installs ministack"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "HOME": str(tmp_path),
    }
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen([MINISTACK], env={**os.environ, **variables}, cwd=tmp_path, stdout=log, stderr=log) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        own_sandbox.wait_until(lambda: local_aws.at(url).answers())
        yield url
        process.terminate()


def test_prod_comes_up_stays_rotates_and_goes(
    own_sandbox: Any, project_copy: Callable[..., Any], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = with_application_user(project_copy("prod"))
    options = (*copy.options, "--endpoint", endpoint)
    # The plugins run in this process.
    monkeypatch.setattr(secretsmanager.Secret, "create", _without_a_version(secretsmanager.Secret.create))
    up = own_sandbox.ok("up", *options)
    assert {change["op"] for change in up["changes"]} == {"create"}
    for verb in ("preview", "refresh", "preview"):
        result = own_sandbox.ok(verb, *options)
        assert {change["type"] for change in result["changes"]} <= {"aws:cloudtrail:Trail"}
        for change in result["changes"]:
            paths = {item["path"] for item in change["properties"]}
            assert {path for path in paths if not path.startswith("tags")} <= _FORGOTTEN

    arn = up["outputs"]["secret_arns"]["db-app-user"]
    aws = local_aws.at(endpoint)
    client = aws.client("secretsmanager", region="eu-central-1", credentials=aws.credentials(copy.account))
    before = client.get_secret_value(SecretId=arn)["SecretString"]
    rotated = own_sandbox.quick("rotate", "db-app-user", *options, "--json")
    assert rotated.status == 0, rotated.err
    assert rotated.json()["new_value_signs_in"]
    after = client.get_secret_value(SecretId=arn)["SecretString"]
    assert after != before
    assert after not in rotated.out + rotated.err

    own_sandbox.ok("up", *options, "-c", "protect=false")
    assert client.get_secret_value(SecretId=arn)["SecretString"] == after
    # It would call CancelRotateSecret.
    monkeypatch.setattr(secretsmanager.SecretRotation, "delete", _nothing)
    own_sandbox.ok("destroy", *options)
    assert all(secret.get("DeletedDate") for secret in client.list_secrets()["SecretList"])


def _without_a_version(create: Callable[..., str]) -> Callable[..., str]:
    """Create a secret, and take the label away from the version that nobody asked for."""

    def create_empty(self: secretsmanager.Secret, aws: Aws, new: Properties) -> str:
        secret = create(self, aws, new)
        client = aws.client("secretsmanager")
        for version in client.describe_secret(SecretId=secret)["VersionIdsToStages"]:
            client.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", RemoveFromVersionId=version)
        return secret

    return create_empty


def _nothing(*_: object) -> None:
    pass
