"""The plugin's process: when it starts, when it refuses, how it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
COMMAND = [sys.executable, "-P", "-m", "sandbox.providers"]
BASE = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
LOOPBACK = {**BASE, **CREDENTIALS, "SANDBOX_AWS_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("plugin", "environment", "message"),
    [
        ("aws", {**BASE, **CREDENTIALS}, "does not start without SANDBOX_AWS_ENDPOINT"),
        (
            "aws",
            {**LOOPBACK, "SANDBOX_AWS_ENDPOINT": "https://secretsmanager.us-east-1.amazonaws.com"},
            "only talks to",
        ),
        ("aws", {**LOOPBACK, "SANDBOX_AWS_ENDPOINT": "http://10.0.0.1:5000"}, "only talks to this machine"),
        ("aws", {**LOOPBACK, "SANDBOX_AWS_ENDPOINT": "http://localhost.example.com"}, "only talks to this machine"),
        ("aws", {**LOOPBACK, "SANDBOX_AWS_ENDPOINT": "file:///127.0.0.1"}, "only talks to this machine"),
        ("aws", {**BASE, "SANDBOX_AWS_ENDPOINT": "http://127.0.0.1:9"}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("gcp", LOOPBACK, "unknown plugin 'gcp': aws or random"),
    ],
)
def test_it_refuses_to_start(plugin: str, environment: dict[str, str], message: str) -> None:
    result = subprocess.run([*COMMAND, plugin], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.fixture(params=["aws", "random"])
def process(request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen([*COMMAND, request.param], env=LOOPBACK, stdout=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


def test_it_prints_its_port_and_ends_at_once_on_sigint(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert 0 < int(process.stdout.readline()) < 65536
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=2) == 0


def test_it_ends_when_its_parent_is_gone() -> None:
    """The engine was killed: nobody stops the plugin, so it stops itself."""
    script = f"exec 3>&1; {' '.join(COMMAND)} random >&3 & echo $!; sleep 60"
    with subprocess.Popen(
        ["sh", "-c", script], env=LOOPBACK, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert int(parent.stdout.readline()) > 0  # its port: it serves
        try:
            parent.kill()
            assert _ends(pid, seconds=5)
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


def _ends(pid: int, *, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or ") Z " in state.read_text():
            return True
        time.sleep(0.05)
    return False


def test_it_imports_neither_the_sdk_of_aws_nor_boto3() -> None:
    code = (
        "import os, sys, sandbox.providers.__main__ as m; m.load('aws'); m.load('random'); "
        "print([name for name in ('pulumi_aws', 'pulumi_random', 'boto3', 'moto') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], env=LOOPBACK, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
