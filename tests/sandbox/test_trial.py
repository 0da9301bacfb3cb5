"""tools/trial.py, as `make trial` runs it, against the local AWS; what that can't do is named in the report."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from sandbox.home import REPOSITORY
from tests.sandbox.plain_pulumi import Shell, own_local_aws, shell
from tools.trial import Trial, TrialError

ACCOUNT = "444444444444"


@pytest.fixture
def sh(tmp_path: Path, pulumi_cli: Path, python: Path) -> Iterator[Shell]:
    with (
        own_local_aws(tmp_path / "sandbox") as home,
        shell(home, pulumi_cli, python, tmp_path / "user", ACCOUNT) as found,
    ):
        yield found


def start(sh: Shell, report: Path, answer: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [REPOSITORY / ".venv" / "bin" / "python", REPOSITORY / "tools" / "trial.py", "--report", report],
        env={**sh.variables, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(f"{answer}\n")
    process.stdin.flush()
    return process


def left(sh: Shell) -> list[str]:
    """Names that the trial left in the account."""
    names = [s["Name"] for s in sh.client("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"]]
    names += [r["RoleName"] for r in sh.client("iam").list_roles()["Roles"]]
    names += [b["Name"] for b in sh.client("s3").list_buckets()["Buckets"]]
    names += sh.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return names


@pytest.mark.slow
def test_every_step_that_the_local_aws_can_do_goes_well_and_nothing_is_left(sh: Shell, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    process = start(sh, report, ACCOUNT)
    printed, _ = process.communicate(timeout=580)
    text = report.read_text(encoding="utf-8")
    assert "## Where it differed from the local AWS\n\nNothing." in text, printed
    outcomes = dict(line.split(" | ")[:2] for line in text.splitlines() if line.startswith("| "))
    skipped = {name.removeprefix("| ") for name, outcome in outcomes.items() if outcome == "skipped"}
    assert skipped == {
        "dev: a task and its variables",
        "prod: doctor",
        "prod: a task and its variables",
        "prod: one redeployment",
        "prod: one rotation",
    }
    assert "the local AWS runs no container" in text
    assert left(sh) == []


@pytest.mark.slow
def test_what_was_created_before_ctrl_c_is_deleted(sh: Shell, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    process = start(sh, report, ACCOUNT)
    until = time.monotonic() + 200
    while not sh.client("secretsmanager").list_secrets()["SecretList"] and time.monotonic() < until:
        time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=400)
    assert process.returncode == 1, printed
    assert "stopped by Ctrl-C" in report.read_text(encoding="utf-8")
    assert left(sh) == [], printed


@pytest.mark.parametrize(
    ("printed", "local", "outcome"),
    [
        ("  warning    alarms   no subscriber\n1 warning", False, "ok"),
        ("  failure    network  no route\n  failure  service  0 of 1\n2 failures", True, "skipped"),
        ("  failure    network  no route\n1 failure", False, "DIFFERS"),
        ("  failure    network  no route\n  failure  key  denied\n2 failures", True, "DIFFERS"),
        ("AWS does not answer", True, "DIFFERS"),
    ],
)
def test_what_the_doctor_finds_is_a_difference_but_for_what_the_local_aws_lacks(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    printed: str,
    local: bool,  # noqa: FBT001 - a column of the table
    outcome: str,
) -> None:
    monkeypatch.setattr(Trial, "__post_init__", mock.Mock())
    monkeypatch.setattr(Trial, "outputs", mock.Mock(return_value={}))
    monkeypatch.setattr(Trial, "command", mock.Mock(side_effect=TrialError(f"python:\n{printed}")))
    trial = Trial(tmp_path, "trial-1", ACCOUNT, "eu-central-1", "", {})
    trial.local = local
    trial.step("doctor", lambda: trial.doctor("prod"))
    assert [step.outcome for step in trial.steps] == [outcome]


def test_without_the_account_s_number_nothing_is_created(sh: Shell, tmp_path: Path) -> None:
    process = start(sh, tmp_path / "report.md", "yes")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"account  {ACCOUNT}" in printed
    assert "eu-central-1" in printed
    assert "under 2 USD" in printed
    assert printed.rstrip().endswith("not confirmed; nothing was created")
    assert left(sh) == []
