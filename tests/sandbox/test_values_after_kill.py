"""`kill -9` at exact moments of an `up` that changes a value: its origin is recorded before it is put, and it is not lost."""

import json
import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from sandbox.home import REPOSITORY
from tests.sandbox.account import everything
from tests.sandbox.stack_options import given, values

RECORD, VERSION = "::secrets-app-config", "::secrets-app-config-value"

KILLED = """
import os, signal, sys
from sandbox import cli
from sandbox.journal import Journal

step, urn, when = sys.argv[1:4]
add = Journal._add

def killed(self, **entry):
    here = entry["step"] == step and entry["urn"].endswith(urn)
    if not (here and when == "before"):
        add(self, **entry)
    if here:
        os.kill(os.getpid(), signal.SIGKILL)

Journal._add = killed
sys.exit(cli.run(sys.argv[4:]))
"""
"""The sandbox's command line, which ends by `kill -9` just before or after it notes a step of the engine."""

SECOND = given(rotations={"apiKey": 2})


def kill(sandbox: Any, copy: Any, moment: tuple[str, str, str], *options: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *moment, "up", *copy.options, *options],
        cwd=REPOSITORY,
        env=sandbox.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == -9, ended.stderr


def document(sandbox: Any, copy: Any) -> dict[str, str]:
    client = sandbox.aws("secretsmanager", copy)
    return json.loads(client.get_secret_value(SecretId=f"{copy.name}-{copy.stack}-app-config")["SecretString"])


def put(sandbox: Any, copy: Any) -> int:
    client = sandbox.aws("secretsmanager", copy)
    found = client.list_secret_version_ids(SecretId=f"{copy.name}-{copy.stack}-app-config", IncludeDeprecated=True)
    return len(found["Versions"])


@pytest.mark.parametrize(
    ("moment", "is_put"),
    [
        (("kept", RECORD, "before"), False),
        (("kept", RECORD, "after"), False),
        (("Create begun", VERSION, "after"), False),
        (("Create done", VERSION, "before"), True),
        (("Create done", VERSION, "after"), True),
    ],
    ids=["nothing-noted", "recorded", "put-begun", "put-not-noted", "put-noted"],
)
def test_an_up_that_was_killed_goes_on_or_is_refused(
    sandbox: Any,
    project_copy: Any,
    moment: tuple[str, str, str],
    *,
    is_put: bool,
) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    before = document(sandbox, copy)
    kill(sandbox, copy, moment, *SECOND)
    cut_off = document(sandbox, copy)
    assert {key for key in before if cut_off[key] != before[key]} == ({"API_KEY"} if is_put else set())

    # The user gives the change up: refused once the value is live, and nothing is put in either case.
    account = everything(partial(sandbox.aws, copy=copy))
    given_up = sandbox.quick("up", *copy.options)
    assert (given_up.status == 1) == is_put, given_up.err
    assert "was cut off" in given_up.err
    if is_put:
        assert "rotations.apiKey is 2 and can only become 3, not 1" in given_up.err
        assert everything(partial(sandbox.aws, copy=copy)) == account
    assert document(sandbox, copy) == cut_off

    # Or goes on: put once, whenever it was cut off.
    sandbox.ok("up", *copy.options, *SECOND)
    after = document(sandbox, copy)
    assert {key for key in before if after[key] != before[key]} == {"API_KEY"}
    assert not is_put or after == cut_off
    assert put(sandbox, copy) == 2
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options, *SECOND)["changes"] == []
    assert values(sandbox, copy)["app-config"] == json.dumps(after, sort_keys=True)


def test_a_value_that_was_live_once_is_not_taken_for_the_put_that_was_cut_off(sandbox: Any, project_copy: Any) -> None:
    copy = project_copy()
    first, second = (("-c", f"secret:smtpPassword=an-smtp-password-{number}") for number in (1, 2))
    sandbox.ok("up", *copy.options, *first)
    sandbox.ok("up", *copy.options, *second)
    kill(sandbox, copy, ("Create begun", VERSION, "after"), *first)
    assert document(sandbox, copy)["SMTP_PASSWORD"] == "an-smtp-password-2"
    sandbox.ok("up", *copy.options, *first)
    assert document(sandbox, copy)["SMTP_PASSWORD"] == "an-smtp-password-1"
    assert put(sandbox, copy) == 3
