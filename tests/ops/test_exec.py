"""`ops exec`: a command of the operator's with a container's variables, all of them or none."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ops.conftest import Deployed, Ops

PRINT = "import json, os; print(json.dumps(dict(os.environ)))"


def run(ops: Ops, stack: Deployed, *command: str, yes: bool = True, **more: Any) -> Any:
    options = ["--outputs", str(stack.outputs_file), *(["--yes"] if yes else [])]
    return ops(None, "exec", *options, "--", *command, env=stack.variables | more.get("env", {}))


def test_a_command_gets_the_containers_variables(stack: Deployed, proxy: Any, ops_process: Ops) -> None:
    stack.endpoint = proxy.url
    done = run(ops_process, stack, sys.executable, "-c", PRINT + "; raise SystemExit(7)", env={"MINE": "stays"})

    assert done.status == 7, done.err  # the command's own
    # CloudTrail names the secret of such a read; a batch is another event.
    assert proxy.seen.count("GetSecretValue") == len(stack.values)
    assert "BatchGetSecretValue" not in proxy.seen
    found = done.json
    assert found["JWT_SECRET"] == stack.values["jwt-secret"]
    assert found["SMTP_PASSWORD"] == json.loads(stack.values["app-config"])["SMTP_PASSWORD"]
    assert found["DATABASE_HOST"] == "db.internal"
    assert found["MINE"] == "stays"
    assert "recorded in CloudTrail as GetSecretValue" in done.err


def test_no_value_is_in_the_process_list_or_on_disk(stack: Deployed, tmp_path: Path) -> None:
    script = tmp_path / "look.py"
    script.write_text(
        "import os, pathlib\n"
        "for folder in pathlib.Path('/proc').glob('[0-9]*'):\n"
        "    try: print((folder / 'cmdline').read_text())\n"
        "    except OSError: pass\n"
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [
            sys.executable, "-m", "ops", "exec", "--yes", "--outputs", str(stack.outputs_file), "--", sys.executable, str(script),
        ],
        env={**os.environ, **stack.variables, "TMPDIR": str(temporary), "HOME": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert "look.py" in done.stdout
    assert stack.values["jwt-secret"] not in done.stdout + done.stderr
    assert list(temporary.iterdir()) == []


def test_it_asks_before_it_reads(stack: Deployed, proxy: Any, ops: Ops) -> None:
    stack.endpoint = proxy.url
    done = run(ops, stack, "true", yes=False)
    assert done.status == 2
    variables = len(stack.service["container_secrets"])
    assert f"Run true here with {variables} secret variables of service app of {stack.environment} (account" in done.err
    assert "GetSecretValue" not in proxy.seen


def test_a_command_that_is_not_there_is_refused_before_the_question(stack: Deployed, ops: Ops) -> None:
    done = run(ops, stack, "no-such-command", yes=False)
    assert (done.status, done.err) == (2, "error: there is no command no-such-command on the PATH\n")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("not json", "SMTP_PASSWORD: its secret has no text under the JSON key SMTP_PASSWORD"),
        (
            json.dumps({"SMTP_PASSWORD": 7, "REDIS_PASSWORD": "r"}),
            "CLOUDFLARE_TOKEN: its secret has no text under the JSON",
        ),
    ],
)
def test_nothing_runs_where_no_task_would_start(
    stack: Deployed, ops: Ops, tmp_path: Path, value: str, why: str
) -> None:
    stack.put("app-config", value)
    done = run(ops, stack, "touch", str(tmp_path / "ran"))
    assert done.status == 1
    assert "nothing was run; a task would not start either" in done.err
    assert why in done.err
    assert not (tmp_path / "ran").exists()


def test_one_of_several_services_is_named(stack: Deployed, ops: Ops) -> None:
    stack.outputs["services"]["worker"] = stack.service
    stack.outputs_file.write_text(json.dumps(stack.outputs))
    done = run(ops, stack, "true")
    assert (done.status, done.err) == (2, "error: stack dev has several services: --service app | worker\n")


@pytest.mark.parametrize("action", ["GetCallerIdentity", "DescribeTaskDefinition", "GetSecretValue"])
def test_whatever_aws_refuses_is_one_clear_error_and_nothing_runs(
    stack: Deployed, ops: Ops, proxy: Any, tmp_path: Path, action: str
) -> None:
    """How else an answer can break is a table of test_broken_answers."""
    stack.endpoint = proxy.url
    proxy.refuse(action, "AccessDeniedException")
    done = run(ops, stack, "touch", str(tmp_path / "ran"))
    assert done.status in {1, 2}
    assert (done.out, done.err.count("error: ")) == ("", 1)
    assert f"you are not allowed to call {action}" in done.err
    assert not (tmp_path / "ran").exists()
