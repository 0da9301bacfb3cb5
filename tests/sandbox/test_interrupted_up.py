"""docs/operations.md, "An `up` was interrupted": its commands with the plain CLI, after a kill -9; and after a lost state."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox.home import REPOSITORY
from tests.sandbox.plain_pulumi import _ANSWERS, Shell, blocks

SECTION = (
    (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8").partition("\n## An `up` was interrupted\n")[2]
)
(COMMANDS,) = blocks(SECTION.partition("\n## ")[0])
BEGIN = 'export PULUMI_CONFIG_PASSPHRASE=""\n'


def state_file(sh: Shell) -> Path:
    return sh.project / ".pulumi" / "stacks" / "service-ticket-system" / "dev.json"


def pending(sh: Shell) -> list[Any]:
    """The operations that the state says are under way."""
    try:
        return (
            json.loads(state_file(sh).read_text(encoding="utf-8"))["checkpoint"]["latest"].get("pending_operations")
            or []
        )
    except (OSError, ValueError, KeyError):
        return []


def makes_a_secret(sh: Shell) -> bool:
    return any(one["resource"]["type"].endswith(":Secret") for one in pending(sh))


def is_stopped(group: int) -> bool:
    """Whether each thread of a process group has stopped: a signal takes a moment, in which a file may be emptied."""
    shown = subprocess.run(["ps", "-eL", "-o", "pgid=,stat="], capture_output=True, text=True, check=True)
    found = [line.split() for line in shown.stdout.splitlines()]
    return all(state[0] in "TZ" for owner, state in found if int(owner) == group)


def kill_while_a_secret_is_made(sh: Shell) -> None:
    command = ["bash", "-c", BEGIN + _ANSWERS + "pulumi up --stack dev --skip-preview"]
    process = subprocess.Popen(
        command, cwd=sh.project, env=sh.variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 50
    while True:
        assert process.poll() is None, "the `up` ended too early"
        assert time.monotonic() < deadline
        # A file is written piece by piece, unlike an object in S3: stop first, so that it is whole.
        os.killpg(process.pid, signal.SIGSTOP)
        if makes_a_secret(sh):
            while not is_stopped(process.pid):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            if makes_a_secret(sh):
                break
        os.killpg(process.pid, signal.SIGCONT)
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ids(sh: Shell) -> dict[str, str]:
    """What AWS has, by name: the ID by which it is imported."""
    secrets, iam, logs = (sh.client(service) for service in ("secretsmanager", "iam", "logs"))
    return {
        **{one["Name"]: one["ARN"] for one in secrets.list_secrets()["SecretList"]},
        **{one["RoleName"]: one["RoleName"] for one in iam.list_roles()["Roles"]},
        **{one["logGroupName"]: one["logGroupName"] for one in logs.describe_log_groups()["logGroups"]},
    }


def in_the_clear(sh: Shell, values: set[str]) -> list[str]:
    """Files of the user, and leftovers in the folder for temporary files, that hold a value."""
    places = [sh.project / ".pulumi", Path(sh.variables["HOME"]), *Path(tempfile.gettempdir()).glob("pulumi-import-*")]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*")) if file.is_file()]
    return [str(file) for file in files if any(value.encode() in file.read_bytes() for value in values)]


@pytest.mark.slow
def test_every_command_of_the_section_works(sh: Shell) -> None:
    keys = "; ".join(f"pulumi config set --secret {key}" for key in ("smtpPassword", "cloudflareToken"))
    sh.ok(f'{BEGIN}pulumi login "file://$PWD"; pulumi stack init dev; {keys}')
    kill_while_a_secret_is_made(sh)
    refused = sh.run(f"{BEGIN}pulumi up --stack dev")
    assert "the stack is currently locked by 1 lock(s)" in refused.stdout
    made, known = ids(sh), json.loads(state_file(sh).read_text(encoding="utf-8"))["checkpoint"]["latest"]["resources"]
    # How far AWS was is luck: the state may have it all, but for the operations under way.
    lost = {*made.values()} - {resource.get("id") for resource in known}

    ops, up = COMMANDS.splitlines()
    recovered = sh.ok(f"{BEGIN}{ops.replace('python', sys.executable)} --yes")
    assert "cut off: settled" in recovered
    assert (f"{len(lost)} resource{'s' if len(lost) > 1 else ''} imported" in recovered) is bool(lost)
    assert pending(sh) == []
    sh.ok(BEGIN + up)
    sh.ok(f"{BEGIN}pulumi preview --stack dev --expect-no-changes")
    assert made.items() <= ids(sh).items()

    # The state is lost.
    secrets = sh.client("secretsmanager")
    live = {one["Name"]: secrets.get_secret_value(SecretId=one["ARN"]) for one in secrets.list_secrets()["SecretList"]}
    whole = ids(sh)
    sh.ok(f"{BEGIN}pulumi stack rm dev --force --preserve-config --yes")
    recovered = sh.ok(f"{BEGIN}{ops.replace('python', sys.executable)} --yes")
    assert "stack dev: created in the backend" in recovered
    sh.ok(f"{BEGIN}pulumi preview --stack dev --expect-no-changes")
    assert ids(sh) == whole
    for name, value in live.items():
        found = secrets.get_secret_value(SecretId=name)
        assert (found["VersionId"], found["SecretString"]) == (value["VersionId"], value["SecretString"])
    texts = [value["SecretString"] for value in live.values()]
    values = {v for text in texts for v in (json.loads(text).values() if text.startswith("{") else [text])}
    assert in_the_clear(sh, values) == []
    assert "there is nothing to do" in sh.ok(f"{BEGIN}{ops.replace('python', sys.executable)} --yes")
