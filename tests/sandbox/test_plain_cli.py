"""The plain Pulumi CLI on the shipped program: its life, and what a failed `up` prints."""

import pytest

from tests.sandbox.plain_pulumi import Shell

pytestmark = pytest.mark.slow

ROLE = "service-ticket-system-dev-app-execution"


def test_a_stack_lives_and_a_failed_up_prints_its_error_and_no_traceback(sh: Shell) -> None:
    sh.variables["PULUMI_CONFIG_PASSPHRASE"] = "invented"
    sh.ok("mkdir state; pulumi login file://$PWD/state; pulumi stack init dev")
    sh.ok("for key in smtpPassword cloudflareToken; do pulumi config set --secret $key; done; pulumi preview")
    iam = sh.client("iam")
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')

    failed = sh.run("pulumi up --skip-preview")
    assert failed.returncode != 0
    assert f"Role with name {ROLE} already exists" in failed.stdout
    assert "Traceback" not in failed.stdout
    assert "grpc" not in failed.stdout.lower()

    iam.delete_role(RoleName=ROLE)
    sh.ok("pulumi up; pulumi refresh --yes --expect-no-changes; pulumi preview --expect-no-changes")
    assert "deleted" in sh.ok("pulumi destroy --yes")
