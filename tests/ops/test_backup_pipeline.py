"""The nightly backup's two commands as the pipeline runs them: one with a `pulumi` that prints outputs, one on a local AWS."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from account.place import place
from tests.ops.conftest import Deploy, Deployed, Ops, script

ROOT = Path(__file__).parents[2]
BUCKET, _, FOLDER = place("prod")["backup_folder"].removeprefix("s3://").partition("/")


@pytest.fixture
def prod(deploy: Deploy) -> Deployed:
    """The stack, with the bucket and the key that account/ creates."""
    stack = deploy("prod", region="eu-central-1")
    stack.client("s3").create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
        ObjectLockEnabledForBucket=True,
    )
    key = stack.client("kms").create_key()["KeyMetadata"]["KeyId"]
    stack.client("kms").create_alias(AliasName=place("prod")["backup_key"], TargetKeyId=key)
    return stack


def ci(stack: Deployed, verb: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".ci" / "stack", verb, "prod"],
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, **stack.variables, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_backup_lies_in_the_stacks_folder_and_is_restored(prod: Deployed, ops: Ops) -> None:
    done = ci(prod, "backup", OUTPUTS=str(prod.outputs_file))

    assert done.returncode == 0, done.stderr
    (saved,) = prod.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert re.fullmatch(rf"{FOLDER}/\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.backup", saved["Key"])
    assert not any(value in done.stdout + done.stderr for value in prod.values.values())
    # The rehearsal of docs/backup.md.
    restore = ("restore", f"s3://{BUCKET}/{saved['Key']}", "--kms-key", place("prod")["backup_key"])
    compared = ops(None, *restore, "--dry-run", "--json", env=prod.variables)
    assert compared.status == 0, compared.err
    assert {secret["action"] for secret in compared.json["secrets"]} == {"nothing"}
    rehearsal = f"{prod.prefix.removesuffix('prod')}rehearsal"
    options = ("--stack", "rehearsal", "--no-policies", "--also", f"{rehearsal}-db-app-user", "--yes", "--json")
    rehearsed = ops(None, *restore, *options, env=prod.variables)
    assert rehearsed.status == 0, rehearsed.err
    again = prod.secrets.get_secret_value(SecretId=f"{rehearsal}-jwt-secret")
    assert again["SecretString"] == prod.values["jwt-secret"]


def test_the_outputs_are_pulumis(tmp_path: Path) -> None:
    """The script's folder is a copy: it writes outputs.json there."""
    (tmp_path / ".venv").mkdir()
    script(tmp_path / ".ci", "stack", (ROOT / ".ci" / "stack").read_text())
    python = (
        f'case "$*" in *pulumi_cli*) echo {tmp_path}/bin ;; *) echo region=eu-central-1; echo backend=s3://x ;; esac'
    )
    script(tmp_path / ".venv" / "bin", "python", python)
    script(tmp_path / "bin", "pulumi", f'echo "$@" > {tmp_path}/arguments\necho \'{{"environment": "prod"}}\'')
    done = subprocess.run([tmp_path / ".ci" / "stack", "outputs", "prod"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "outputs.json").read_text() == '{"environment": "prod"}\n'
    assert (tmp_path / "arguments").read_text() == "stack output --stack prod --non-interactive --json\n"
