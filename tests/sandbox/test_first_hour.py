"""docs/deployment.md: its commands, in its order, with the plain Pulumi CLI; then what came of them is looked at."""

import json
import re
from pathlib import Path

import pytest
import yaml

from ops.access.evaluator import Request, decide
from sandbox.home import REPOSITORY, Home
from tests.recorded_calls import rights
from tests.sandbox.aws_proxy import recording
from tests.sandbox.plain_pulumi import Shell, blocks, shell

pytestmark = pytest.mark.slow

DOCUMENT = (REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
ACCOUNT, STAGING = "111111111111", "333333333333"
BUCKET = f"service-ticket-system-state-{ACCOUNT}-eu-central-1"


def section(heading: str) -> str:
    return DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_every_command_of_the_page_works(documents_aws: Home, pulumi_cli: Path, python: Path, tmp_path: Path) -> None:
    with shell(documents_aws, pulumi_cli, python, tmp_path / "dev", ACCOUNT) as sh:
        first = sh.ok("\n".join(blocks(section("The first hour"))))
        assert first.rstrip().endswith("healthy")
        files = {o["Key"] for o in sh.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]}
        stacks = ".pulumi/stacks/service-ticket-system"
        assert {".pulumi/meta.yaml", f"{stacks}/dev.json", f"{stacks}-account/dev.json"} <= files
        state = sh.client("s3").get_object(Bucket=BUCKET, Key=f"{stacks}/dev.json")["Body"].read().decode()
        assert '"type":"cloud"' in state
        assert "invented-" not in state
        assert not list(sh.project.rglob("dev.json"))
        for folder in (sh.project, sh.project / "account"):
            written = yaml.safe_load((folder / "Pulumi.dev.yaml").read_text())
            assert written["secretsprovider"] == "awskms://alias/service-ticket-system-config?region=eu-central-1"
            assert "invented-" not in (folder / "Pulumi.dev.yaml").read_text()
        roles = sh.client("iam").list_roles()["Roles"]
        ours = [role["RoleName"] for role in roles if role["RoleName"].startswith("service-ticket-system-dev-")]
        assert len(ours) == 2
        for name in ours:
            bounded = sh.client("iam").get_role(RoleName=name)["Role"]["PermissionsBoundary"]
            assert bounded["PermissionsBoundaryArn"].endswith(":policy/service-ticket-system-boundary")

        # A second person has another home, and the repository as it was committed.
        (tmp_path / "second").mkdir()
        sh.ok("\n".join(blocks(section("A second person"))), PULUMI_HOME=str(tmp_path / "second"))

        lock = f"{sh.project}/lock.json"
        Path(lock).write_text(
            '{"pid": 1, "username": "somebody", "hostname": "lost", "timestamp": "2026-11-25T00:00:00Z"}'
        )
        key = "s3://" + BUCKET + "/.pulumi/locks/organization/service-ticket-system/dev/lost.json"
        sh.ok(f"aws s3 cp {lock} {key}")
        refused = sh.run("pulumi up --stack dev")
        assert refused.returncode != 0
        assert "currently locked" in refused.stdout
        sh.ok("\n".join(blocks(section("A lost laptop"))))

        before = yaml.safe_load((sh.project / "Pulumi.dev.yaml").read_text())
        sh.ok("\n".join(blocks(section("Rotate the configuration key"))))
        after = yaml.safe_load((sh.project / "Pulumi.dev.yaml").read_text())
        assert after["encryptedkey"] != before["encryptedkey"]
        for name in ("smtpPassword", "cloudflareToken"):
            secret = f"service-ticket-system:{name}"
            assert after["config"][secret]["secure"] != before["config"][secret]["secure"]
        (rotated,) = sh.client("kms").list_key_rotations(KeyId=_key(sh))["Rotations"]
        assert rotated["RotationType"] == "ON_DEMAND"

        shown = sh.ok("\n".join(blocks(section("Pipelines"))))
        assert "### Preview of `dev`" in shown
        assert "No changes." in shown
        assert shown.rstrip().splitlines()[-4:] == ["access.md", "doctor.txt", "preview.md", "review.html"]
        access = (sh.project / "review" / "access.md").read_text()
        assert "service-ticket-system-deployer runs" in access.replace("\\", "")

        printed = sh.ok("\n".join(blocks(section("The deployer's rights"))))
        assert printed.startswith("# Rights of service-ticket-system-dev\n")
        only_asks_what_the_roles_may(sh)


SECTIONS = (
    "The first hour",
    "A second person",
    "A lost laptop",
    "Rotate the configuration key",
    "Pipelines",
    "The deployer's rights",
)


def test_the_page_has_no_command_that_is_not_run() -> None:
    assert blocks(DOCUMENT) == [block for name in SECTIONS for block in blocks(section(name))]


def only_asks_what_the_roles_may(sh: Shell) -> None:
    """What the CLI itself asks for, beside the plugins."""
    key_arn = sh.client("kms").describe_key(KeyId=_key(sh))["KeyMetadata"]["Arn"]
    for role, command, at_least in (
        ("previewer", "pulumi preview --stack dev", {"s3:GetObject", "s3:ListBucket", "kms:Decrypt"}),
        ("deployer", "pulumi up --stack dev -c memory=1024", {"s3:PutObject", "s3:DeleteObject", "kms:Decrypt"}),
    ):
        with recording(sh.aws.endpoint) as (url, asked):
            sh.ok(command, AWS_ENDPOINT_URL=url)
        statements = rights(sh.client("iam"), f"service-ticket-system-{role}")
        requests = [Request(action, arn or key_arn, "", {}) for action, arn in dict.fromkeys(asked)]
        refused_requests = [r for r in requests if decide(r, identity=statements).outcome != "allowed"]
        assert refused_requests == []
        assert {action for action, _ in asked} >= at_least


def _key(sh: Shell) -> str:
    return sh.client("kms").describe_key(KeyId="alias/service-ticket-system-config")["KeyMetadata"]["KeyId"]


def test_a_new_environment_is_two_files_and_the_first_hour(
    documents_aws: Home, pulumi_cli: Path, python: Path, tmp_path: Path
) -> None:
    page = section("A new environment: staging")
    names = re.findall(r"`((?:account/)?Pulumi\.staging\.yaml)`:", page)
    assert names == ["Pulumi.staging.yaml", "account/Pulumi.staging.yaml"]
    with shell(documents_aws, pulumi_cli, python, tmp_path / "staging", STAGING) as sh:
        for name, text in zip(names, blocks(page, "yaml"), strict=True):
            (sh.project / name).write_text(text)
        script = "\n".join(blocks(section("The first hour")))
        shown = sh.ok(re.sub(r"\bdev\b", "staging", script))
        assert shown.rstrip().endswith("healthy")
        names = {s["Name"] for s in sh.client("secretsmanager").list_secrets()["SecretList"]}
        assert names == {
            f"service-ticket-system-staging-{n}" for n in ("app-config", "db-master-password", "jwt-secret")
        }


@pytest.mark.parametrize("verb", ["preview", "up", "review"])
def test_gitlab_s_token_is_exchanged_for_the_role_that_fits(
    verb: str, tmp_path: Path, pulumi_cli: Path, python: Path, documents_aws: Home
) -> None:
    """The CLI is a script that tells what it was given: the exchange itself is the AWS SDK's."""
    with shell(documents_aws, pulumi_cli, python, tmp_path / "gitlab", ACCOUNT) as sh:
        told = tmp_path / "told"
        fake = tmp_path / "gitlab" / "bin" / "pulumi"
        fake.write_text(
            f'#!/bin/sh\n[ "$1" = version ] && echo v3.274.1 && exit\n'
            f'{{ echo "$AWS_ROLE_ARN"; cat "$AWS_WEB_IDENTITY_TOKEN_FILE"; echo; echo "$PULUMI_BACKEND_URL"; }} > {told}\n'
            "echo '{}'\n"
        )
        fake.chmod(0o755)
        done = sh.run(f".ci/stack {verb} dev", AWS_ID_TOKEN="a-token-of-gitlab", CI_PIPELINE_ID="7")
        role = {"preview": "previewer", "up": "deployer", "review": "reviewer"}[verb]
        assert told.read_text().splitlines() == [
            f"arn:aws:iam::{ACCOUNT}:role/service-ticket-system-{role}",
            "a-token-of-gitlab",
            f"s3://{BUCKET}?region=eu-central-1&awssdk=v2",
        ]
        assert "a-token-of-gitlab" not in done.stdout


def test_the_script_of_the_pipelines_knows_its_commands(
    documents_aws: Home, pulumi_cli: Path, python: Path, tmp_path: Path
) -> None:
    with shell(documents_aws, pulumi_cli, python, tmp_path / "misuse", ACCOUNT) as sh:
        assert sh.run(".ci/stack destroy dev").stdout == "usage: .ci/stack preview|up|review|outputs|backup STACK\n"
        assert "no stack 'nope'" in sh.run(".ci/stack up nope").stdout
        assert json.loads(sh.ok("cat renovate.json"))
