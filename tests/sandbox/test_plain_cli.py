"""The plain Pulumi CLI on the shipped program: its life, and what a failed `up` prints."""

from pathlib import Path

import pytest

from tests.sandbox import plain_pulumi

pytestmark = pytest.mark.slow

ACCOUNT = "111111111111"
ROLE = "service-ticket-system-dev-app-execution"


def test_a_stack_lives_and_a_failed_up_prints_its_error_and_no_traceback(
    pulumi_cli: Path, python: Path, tmp_path: Path
) -> None:
    with (
        plain_pulumi.own_local_aws(tmp_path / "sandbox") as home,
        plain_pulumi.shell(home, pulumi_cli, python, tmp_path / "user", ACCOUNT) as user,
    ):
        user.variables["PULUMI_CONFIG_PASSPHRASE"] = "invented"
        user.ok("mkdir state; pulumi login file://$PWD/state; pulumi stack init dev")
        user.ok("for key in smtpPassword cloudflareToken; do pulumi config set --secret $key; done; pulumi preview")
        iam = user.client("iam")
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')

        failed = user.run("pulumi up --skip-preview")
        assert failed.returncode != 0
        assert f"Role with name {ROLE} already exists" in failed.stdout
        assert "Traceback" not in failed.stdout
        assert "grpc" not in failed.stdout.lower()

        iam.delete_role(RoleName=ROLE)
        user.ok("pulumi up; pulumi refresh --yes --expect-no-changes; pulumi preview --expect-no-changes")
        assert "deleted" in user.ok("pulumi destroy --yes")
