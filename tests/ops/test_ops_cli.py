"""The command line itself: help, errors in one line, exit status, where the outputs come from."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from components.outputs import Part
from ops import _stack, listing
from ops._engine import Engine, EngineError
from ops._errors import MisuseError
from ops._options import stack_name
from ops._ownership import ownership
from ops._secrets import Record, Rotation
from ops._stack import parse
from ops.cli import COMMANDS, app
from tests.ops.conftest import Deployed as Stack
from tests.ops.conftest import script

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ops(ops_process: Any) -> Any:
    """These tests are about the process: its streams, its status, its environment."""
    return ops_process


def test_help_names_every_command(ops: Any) -> None:
    done = ops(None, "--help")

    assert done.status == 0
    assert all(f" {name} " in done.out for name in (*COMMANDS, "migrate"))
    assert ops(None, "docter").status == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"], prog_name="python -m ops")

    assert done.exit_code == 0
    assert done.stdout.strip().startswith(f"Usage: python -m ops {command}")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("ops ro", {"rollback", "rotate"}), ("ops doctor --ex", {"--explain"}), ("ops migrate ad", {"adopt"})],
)
def test_the_installed_script_completes_in_bash(tmp_path: Path, typed: str, offered: set[str]) -> None:
    # What pip creates from [project.scripts].
    path = script(tmp_path, "ops", f"#!{sys.executable}\nimport sys\nfrom ops.cli import main\nsys.exit(main())\n")
    environment = {**path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    words = typed.split()
    ask = (
        f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _ops_completion ops; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )

    shown = f'eval "$(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION=1 ops --show-completion bash)"\n{ask}'
    done = subprocess.run(["bash", "-c", shown], capture_output=True, text=True, check=True, env=environment)

    assert set(done.stdout.split()) == offered


def test_list_shows_names_in_80_columns_and_no_values(stack: Stack, proxy: Any, ops: Any) -> None:
    """The widest of each: a rotation that has not run, a value that a server and one that a partner checks."""
    stack.rotate_by_function("db-master-password")
    stack.endpoint = proxy.url
    done = ops(stack, "list")
    lines = done.out.splitlines()

    assert done.status == 0
    assert len(lines) == len(stack.values) + 2
    assert max(map(len, lines)) <= 80
    assert all(f"\n{name} " in done.out for name in stack.values)
    assert not any(value in done.out for value in stack.values.values())
    assert not {"GetSecretValue", "BatchGetSecretValue"} & set(proxy.seen)
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), RecoveryWindowInDays=30)
    (deleted,) = [line for line in ops(stack, "list").out.splitlines() if line.startswith("jwt-secret")]
    assert re.search(r"gone \d{4}-\d\d-\d\d", deleted)


@pytest.mark.parametrize(
    "command",
    [
        ("list",), ("describe", "jwt-secret"), ("history", "jwt-secret"), ("reveal", "jwt-secret", "--yes"), ("cost",),
        ("doctor",), ("doctor", "--explain", "CannotPullContainerError"), ("access",), ("report",),
    ],
)  # fmt: skip
def test_json_is_an_object_with_the_version_of_its_form(
    stack: Stack, ops: Any, proxy: Any, command: tuple[str, ...]
) -> None:
    stack.endpoint = proxy.url
    proxy.before("LookupEvents", lambda: (200, b'{"Events": []}'))

    found = ops(stack, *command, "--json").json

    assert found["schema"] == 1
    assert len(found) > 1


def test_list_as_json(stack: Stack, ops: Any) -> None:
    stack.rotate_by_function("db-master-password")
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), ForceDeleteWithoutRecovery=True)

    found = {secret["name"]: secret for secret in ops(stack, "list", "--json").json["secrets"]}

    assert found["db-master-password"]["owner"] == "rotation"
    assert found["app-config"]["owner"] == "configuration"
    assert found["app-config"]["state"] == "ok"
    assert found["jwt-secret"]["state"] == "missing"
    described = ops(stack, "describe", "jwt-secret")
    assert (described.status, "python -m ops doctor --stack dev" in described.err) == (2, True)


def test_describe_shows_labels_variables_and_owner(stack: Stack, ops: Any) -> None:
    found = ops(stack, "describe", "app-config", "--json").json

    assert found["labels"].keys() == {"AWSCURRENT", "pulumi-live"}
    assert found["variables"] == ["APP_CONFIG", "CLOUDFLARE_TOKEN", "REDIS_PASSWORD", "SMTP_PASSWORD"]
    assert "DenyWithoutTls" in found["resource_policy"]
    assert found["owner"] == "configuration"
    assert (found["name"], found["full_name"]) == ("app-config", "service-ticket-system-dev-app-config")
    datetime.fromisoformat(found["changed"])
    shown = ops(stack, "describe", "app-config")
    assert "pulumi config set --stack dev --secret smtpPassword   # a value of your own for SMTP_PASSWORD" in shown.out
    assert "# a new value for REDIS_PASSWORD, at ElastiCache and in the secret" in shown.out
    assert re.search(r"^change it with +python -m ops rotate", shown.out, re.MULTILINE)
    assert not any(value in shown.out for value in json.loads(stack.values["app-config"]).values())


# --- who owns a value ----------------------------------------------------------------------------------------------------

LABELLED = {"1": ("AWSCURRENT", "pulumi-live")}
UNLABELLED = {"1": ("AWSCURRENT",)}


@pytest.mark.parametrize(
    ("stages", "rotation", "expected"),
    [
        (LABELLED, Rotation(), "configuration"),
        ({"1": ("pulumi-live",), "2": ("AWSCURRENT",)}, Rotation(), "configuration"),
        (UNLABELLED, Rotation(), "operator"),
        ({}, Rotation(), "operator"),
        (LABELLED, Rotation(enabled=True, lambda_arn="arn"), "rotation"),
        (LABELLED, Rotation(enabled=False, lambda_arn="arn"), "rotation"),
    ],
)
def test_owner_of_a_value(stack: Stack, stages: dict[str, tuple[str, ...]], rotation: Rotation, expected: str) -> None:
    record = Record(stack.arn("jwt-secret"), "jwt", stages=stages, rotation=rotation)

    assert ownership(parse(stack.outputs, "test"), record).owner == expected


_BY_THE_SANDBOX = (
    "python -m sandbox config set --stack dev --secret jwtSecret   # a value of your own",
    "python -m sandbox config set --stack dev rotations.jwtSecret 2 && python -m sandbox up --stack dev",
)
_BY_PULUMI = (
    "pulumi config set --stack dev --secret jwtSecret   # a value of your own",
    "pulumi config set --stack dev --path rotations.jwtSecret 2 && pulumi up --stack dev",
)


WAYS = {
    "moto": ("http://127.0.0.1:4566", "moto.json", _BY_THE_SANDBOX),
    "another emulator": ("http://127.0.0.1:4566", "state-127.0.0.1-4566", _BY_THE_SANDBOX),
    "not its moto": ("http://127.0.0.1:4567", "moto.json", _BY_PULUMI),
    "a plain stack": ("http://127.0.0.1:4566", "", _BY_PULUMI),
    "aws": ("", "moto.json", _BY_PULUMI),
}


@pytest.mark.parametrize("where", WAYS)
def test_ways_to_change_a_value_of_the_configuration(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    endpoint, home, expected = WAYS[where]
    if home == "moto.json":
        (tmp_path / home).write_text('{"port": 4566}')
    elif home:
        (tmp_path / home).mkdir()
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    found = ownership(parse(stack.outputs, "test"), Record(stack.arn("jwt-secret"), "jwt", stages=LABELLED))

    assert expected[0] in found.how
    assert found.fix == expected[1]


# --- errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ExpiredToken", "your AWS credentials have expired: sign in again"),
        ("InvalidClientTokenId", "AWS doesn't know your credentials (InvalidClientTokenId): sign in again"),
        ("AccessDenied", "you are not allowed to call GetCallerIdentity: no"),
        ("Throttling", "AWS still throttles GetCallerIdentity"),
    ],
)
def test_error_of_aws_is_one_clear_line(stack: Stack, proxy: Any, ops: Any, code: str, message: str) -> None:
    stack.endpoint = proxy.url
    proxy.refuse("GetCallerIdentity", code)

    done = ops(stack, "doctor", env={"AWS_MAX_ATTEMPTS": "1"})

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")
    assert done.err.count("\n") == 1


def test_credentials_of_another_account(stack: Stack, deploy: Any, ops: Any) -> None:
    other = deploy("prod")

    done = ops(stack, "doctor", env=other.variables)

    assert done.status == 2
    assert f"your credentials belong to account {other.account}, stack dev is in {stack.account}" in done.err


NOBODY = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None}


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (NOBODY, "error: no AWS credentials found: sign in again (`aws sso login`, or as you usually do)\n"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}, "check the network"),
        ({"AWS_ENDPOINT_URL": "no-url-at-all"}, "AWS_ENDPOINT_URL is not a URL: no-url-at-all"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:abc"}, "AWS_ENDPOINT_URL is not a URL"),
        ({"AWS_MAX_ATTEMPTS": "abc"}, "AWS_MAX_ATTEMPTS is not a number"),
    ],
)
def test_unusable_variable_is_named(stack: Stack, ops: Any, env: dict[str, str | None], message: str) -> None:
    done = ops(stack, "list", env=env)

    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_mistake_of_the_tool_is_one_line_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> None:
        raise KeyError("a-value-that-is-nobodys-business")

    monkeypatch.setattr("ops.listing.load", mistaken)
    done = CliRunner().invoke(app, ["list"])

    assert done.exit_code == 2
    assert done.stderr.startswith("error: unexpected input, or a bug in this tool: KeyError at ")
    assert done.stderr.count("\n") == 1
    assert "nobodys-business" not in done.output


@pytest.mark.parametrize(("to", "status", "out"), [("> /dev/full", 2, ""), ("| head -c 1", 0, "{")])
def test_a_full_disk_is_no_finding_and_a_broken_pipe_is_quiet(stack: Stack, to: str, status: int, out: str) -> None:
    command = f"{sys.executable} -m ops list --json --outputs {stack.outputs_file} {to}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, env={**os.environ, **stack.variables}
    )

    assert (done.returncode, done.stdout) == (status, out)
    assert "Traceback" not in done.stderr


def test_ctrl_c_during_a_call_is_130_and_quiet(stack: Stack, proxy: Any) -> None:
    stack.endpoint = proxy.url
    interrupted = threading.Event()
    proxy.before("ListSecrets", lambda: interrupted.wait(20) and None)
    process = subprocess.Popen(
        [sys.executable, "-m", "ops", "list", "--outputs", str(stack.outputs_file)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **stack.variables},
    )
    deadline = time.monotonic() + 20
    while "ListSecrets" not in proxy.seen and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(2)
    interrupted.set()

    _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert err == "error: interrupted\n"


# --- where the outputs come from -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read: No such file or directory"),
        ("", "is not JSON"),
        ("[]", "is not a JSON object of outputs"),
        ("{}", "does not hold the outputs of a deployed stack: no output environment, secret_arns"),
        (
            '{"environment": "dev", "secrets": {}, "services": {"app": {}}, "secret_arns": "[secret]"}',
            "services.app",
        ),
        ('{"a":' * 100_000, "is not JSON"),
    ],
)
def test_file_without_outputs(ops: Any, tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "outputs.json"
    if content is not None:
        file.write_text(content)

    done = ops(None, "doctor", "--outputs", str(file))

    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_outputs_from_standard_input(stack: Stack, ops: Any) -> None:
    done = ops(None, "list", "--outputs", "-", "--json", stdin=stack.outputs_file.read_bytes(), env=stack.variables)

    assert len(done.json["secrets"]) == 3


def test_outputs_that_are_null_may_be_absent_and_a_byte_order_mark_may_begin_them(stack: Stack, ops: Any) -> None:
    del stack.outputs["kms_key_arn"], stack.outputs["alarm_topic_arn"]
    stack.outputs_file.write_text(json.dumps(stack.outputs), encoding="utf-8-sig")

    # Whatever the environment's Region is.
    assert ops(stack, "list", env={"AWS_REGION": "us-west-2"}).status == 0


def test_outputs_from_pulumi(stack: Stack, ops: Any, tmp_path: Path) -> None:
    env = script(tmp_path, "pulumi", f'echo "$@" > {tmp_path}/arguments; cat {stack.outputs_file}')

    done = ops(None, "list", "--stack", "dev", "--json", env=stack.variables | env)

    assert len(done.json["secrets"]) == 3
    assert (tmp_path / "arguments").read_text() == "stack output --json --non-interactive --stack dev\n"


NOT_SIGNED_IN = (
    'echo "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions" >&2; exit 1'
)
NOPE = "echo \"error: no stack named 'nope' found\" >&2; exit 255"


@pytest.mark.parametrize(
    ("stack_name", "pulumi", "message"),
    [
        ("nope", NOPE, "error: `pulumi stack output`: error: no stack named 'nope' found\n"),
        ("dev", NOT_SIGNED_IN, ': run `pulumi login`, or for the sandbox `eval "$(python -m sandbox env)"`'),
        ("dev", None, "give --outputs FILE"),
        ("", NOPE, "--stack is empty"),
    ],
)
def test_outputs_that_pulumi_does_not_give(  # noqa: PLR0917 - one column of the table each
    stack: Stack, ops: Any, tmp_path: Path, stack_name: str, pulumi: str | None, message: str
) -> None:
    env = script(tmp_path, "pulumi", pulumi) if pulumi else {"PATH": str(tmp_path)}

    done = ops(None, "list", "--stack", stack_name, env=stack.variables | env | {"SANDBOX_HOME": str(tmp_path)})

    assert (done.status, done.out, message in done.err) == (2, "", True)


def test_a_pulumi_that_is_not_signed_in_says_how_during_a_recovery_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", script(tmp_path, "pulumi", NOT_SIGNED_IN)["PATH"])
    with pytest.raises(EngineError, match="run `pulumi login`"):
        Engine("dev", tmp_path, sandbox=False).state()


@pytest.mark.parametrize("name", ["../../dev", "dev/../prod", "/dev", "a/b/c/d", "..", "dev stack"])
def test_what_is_no_name_of_a_stack_is_refused(name: str) -> None:
    with pytest.raises(
        MisuseError, match=f"^{re.escape(repr(name))} is not a stack name: NAME or ORGANIZATION/PROJECT/NAME"
    ):
        stack_name(name)


@pytest.mark.parametrize("command", ["list", "migrate scan task.json", "migrate adopt terraform.tfstate"])
def test_a_stacks_name_is_checked_first(stack: Stack, ops: Any, command: str) -> None:
    done = ops(None, *command.split(), "--stack", "../../dev", env=stack.variables)
    assert (done.status, done.out) == (2, "")
    assert "'../../dev' is not a stack name" in done.err


@pytest.mark.parametrize(
    ("selected", "given", "stack"),
    [("", None, "dev"), ("prod", None, "prod"), ("me/tickets/prod", None, "^prod$"), ("prod", "qa", "qa")],
)
def test_in_the_sandbox_the_stack_is_the_one_that_its_env_selected(
    monkeypatch: pytest.MonkeyPatch, selected: str, given: str | None, stack: str
) -> None:
    class AskedError(Exception):
        pass

    def asked(name: str) -> Any:
        raise AskedError(name)

    monkeypatch.setenv("PULUMI_STACK", selected)
    monkeypatch.setattr(_stack, "uses_local_aws", lambda: True)
    monkeypatch.setattr(_stack, "_sandbox_runs", lambda: True)
    monkeypatch.setattr(_stack, "_from_sandbox", asked)
    with pytest.raises(AskedError, match=stack):
        _stack.load(given)


@pytest.mark.parametrize(
    ("accepted", "shown"),
    [
        ((), ""),
        ((None,), ""),
        (({"partner": "P"}, None), "partner"),
        (({"server": "S", "host": "H"},), "server"),
        (({"server": "S", "host": "H"}, {"partner": "P"}), "server + partner"),
    ],
)
def test_a_list_says_who_else_checks_a_value(
    monkeypatch: pytest.MonkeyPatch, accepted: tuple[dict[str, str] | None, ...], shown: str
) -> None:
    parts = {str(n): Part("generated", accepted_by=one) for n, one in enumerate(accepted)}

    def parts_of(*_of: object) -> dict[str, Part]:
        return parts

    monkeypatch.setattr(listing, "parts_of", parts_of)
    stack: Any = None
    assert listing._checked(stack, "arn") == shown
