"""docs/migration.md: its commands, in its order, in one sandbox; then what they did is looked at."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox import local_aws
from sandbox.home import REPOSITORY, Home

pytestmark = pytest.mark.slow

PLAIN = (
    "plain-database-password",
    "plain-jwt-secret-with-some-length",
    "plain-smtp-password",
    "plain-encryption-key-of-32-bytes",
)
ADOPTED = {
    "ticketing/dev/db-master-password": "made-by-terraform",
    "ticketing/dev/jwt-secret": "also-made-by-terraform",
}


@dataclass(frozen=True)
class Ran:
    """What the document's commands left behind.

    Attributes:
        output: What they printed, by section.
    """

    folder: Path
    output: dict[str, str]
    home: Home

    def client(self, service: str) -> Any:
        found = local_aws.running(self.home)
        assert found is not None
        key = found.credentials("111111111111")
        untyped: Any = boto3
        return untyped.client(
            service,
            region_name="eu-central-1",
            endpoint_url=found.endpoint,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            aws_session_token=key.session_token,
        )


def _sections() -> dict[str, str]:
    """The document's scripts by section's heading."""
    text = (REPOSITORY / "docs" / "migration.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    scripts = {
        heading: "\n".join(re.findall(r"^```bash\n(.*?)^```$", body, flags=re.MULTILINE | re.DOTALL))
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
    }
    return {heading: script for heading, script in scripts.items() if script}


@pytest.fixture
def ran(tmp_path: Path, search_path: str) -> Iterator[Ran]:
    """Run every command of the document."""
    folder = tmp_path
    home = Home(folder / "sandbox")
    environment = {
        "PATH": search_path,
        "PYTHONPATH": str(REPOSITORY),
        "SANDBOX_HOME": str(home.root),
        "HOME": str(folder),
    }
    output: dict[str, str] = {}
    try:
        for heading, script in _sections().items():
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=240,
            )
            output[heading] = done.stdout
            assert done.returncode == 0, done.stdout
        yield Ran(folder, output, home)
    finally:
        local_aws.stop(home)


def _the_plan_knows_every_variable(ran: Ran) -> None:
    steps = json.loads((ran.folder / "migration.json").read_text())["steps"]
    assert {step["variable"]: step["verdict"] for step in steps} == {
        "CLOUDFLARE_TOKEN": "secret",
        "DATABASE_HOST": "plain",
        "DATABASE_URL": "drop",
        "DB_PASSWORD": "secret",
        "ENCRYPTION_KEY": "secret",
        "JWT_SECRET": "secret",
        "NODE_ENV": "plain",
        "REDIS_HOST": "plain",
        "REDIS_PASSWORD": "secret",
        "SMTP_PASSWORD": "secret",
    }


def _verify_was_content(ran: Ran) -> None:
    assert "Every other variable has its old value" in ran.output["From a task definition in the clear"]


def _the_old_revision_is_gone(ran: Ran) -> None:
    for status in ("ACTIVE", "INACTIVE"):
        found = ran.client("ecs").list_task_definitions(familyPrefix="ticketing", status=status)
        assert found["taskDefinitionArns"] == []


def _no_value_was_printed_or_written(ran: Ran) -> None:
    printed = (
        "".join(ran.output.values())
        + (ran.folder / "migration.json").read_text()
        + (ran.folder / "adopt.json").read_text()
    )
    assert not any(value in printed for value in (*PLAIN, *ADOPTED.values()))


def _adopted_secrets_keep_arn_and_value(ran: Ran) -> None:
    secrets = ran.client("secretsmanager")
    state = json.loads((ran.folder / "terraform.tfstate").read_text())["resources"]
    arns = {r["instances"][0]["attributes"]["arn"] for r in state if r["type"] == "aws_secretsmanager_secret"}
    found = {arn: secrets.get_secret_value(SecretId=arn) for arn in arns}
    assert {value["Name"]: value["SecretString"] for value in found.values()} == ADOPTED
    assert all(len(secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]) == 1 for arn in arns)


def _the_task_definition_refers_to_the_adopted_secrets(ran: Ran) -> None:
    found = ran.client("ecs").describe_task_definition(taskDefinition="service-ticket-system-dev-app")["taskDefinition"]
    references = {s["name"]: s["valueFrom"] for s in found["containerDefinitions"][0]["secrets"]}
    assert ":secret:ticketing/dev/db-master-password-" in references["DB_PASSWORD"]
    assert ":secret:ticketing/dev/jwt-secret-" in references["JWT_SECRET"]


def _terraforms_resources_are_named_with_their_parts(ran: Ran) -> None:
    told = ran.output["From secrets that exist"]
    assert "terraform state rm 'module.secrets.aws_secretsmanager_secret_version.db_master_password'" in told


CHECKS = (
    _the_plan_knows_every_variable,
    _verify_was_content,
    _the_old_revision_is_gone,
    _no_value_was_printed_or_written,
    _adopted_secrets_keep_arn_and_value,
    _the_task_definition_refers_to_the_adopted_secrets,
    _terraforms_resources_are_named_with_their_parts,
)


def test_the_commands_of_the_document_do_what_it_says(ran: Ran) -> None:
    # One test: the commands take half a minute, and tests of one module may run in several processes.
    for check in CHECKS:
        check(ran)
