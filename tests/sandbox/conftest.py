"""The sandbox as a user drives it: one local AWS and one Pulumi home for all tests of a run, a stack of its own for each."""

import contextlib
import fcntl
import functools
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from typer.testing import CliRunner

from ops._plan import _printed
from ops.cli import app as ops_app
from sandbox import cli, environment, local_aws, pulumi_cli, state
from sandbox.home import REPOSITORY, Home
from tests.conftest import TICKETS
from tests.sandbox.plain_pulumi import Shell, own_local_aws, shell

_NOT_COPIED = shutil.ignore_patterns(
    ".*", "tests", "tools", "docs", "benchmarks", "sandbox", "ops", "examples", "Pulumi.*.yaml"
)


_STAND_INS = 2
"""Secrets of the project that the sandbox supplies."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """The standard output, which must be one JSON object."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Copy:
    """A throw-away project with one stack."""

    directory: Path
    name: str
    stack: str
    account: str

    @property
    def options(self) -> tuple[str, ...]:
        """What makes a command work on it."""
        return ("--project", str(self.directory), "--stack", self.stack)

    def set_program(self, text: str) -> None:
        """Replace the program."""
        (self.directory / "__main__.py").write_text(textwrap.dedent(text), encoding="utf-8")

    def add_config(self, text: str) -> None:
        """Add lines to the stack file's configuration."""
        with (self.directory / f"Pulumi.{self.stack}.yaml").open("a", encoding="utf-8") as file:
            file.write(textwrap.indent(textwrap.dedent(text), "  "))


@dataclass
class Sandbox:
    """Runs commands of one sandbox home."""

    home: Home
    environment: Mapping[str, str]
    python: Path
    region: str = "eu-central-1"
    used: list[Copy] = field(default_factory=list)

    def command(self, *arguments: str, stdin: str = "", **environment: str) -> Result:
        """`python -m sandbox ...` in a process of its own, as a user runs it."""
        ended = subprocess.run(
            [self.python, "-m", "sandbox", *arguments],
            cwd=REPOSITORY,
            env={**self.environment, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Result(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on while the test does something else."""
        return subprocess.Popen(
            [sys.executable, "-m", "sandbox", *arguments],
            cwd=REPOSITORY,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def kill(self, copy: Copy, process: "subprocess.Popen[str]", victims: str = "all") -> None:
        """`kill -9` of a command (`driver`), of the engines that it started (`engine`), or of `all`; wait for its end."""
        pids = self.home.work(copy.name, copy.stack) / "pids"
        engines = [int(path.name.partition("-")[2]) for path in pids.glob("cli-*")]
        for pid in {"driver": [process.pid], "engine": engines, "all": [process.pid, *engines]}[victims]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=60)

    @staticmethod
    def wait_until(ready: Callable[[], object], process: "subprocess.Popen[str] | None" = None) -> None:
        """Wait for something that a command does; fails with what the command printed when it ends before that."""
        until = time.monotonic() + 60
        while not ready():
            if process and (process.poll() is not None or time.monotonic() > until):
                process.kill()
                pytest.fail(f"it never came; the command ended with {process.wait()}: {process.communicate()}")
            assert time.monotonic() < until, "it never came"
            time.sleep(0.002)

    def quick(self, *arguments: str, stdin: str = "") -> Result:
        """The same inside the test's process, which has imported already what it needs."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, SANDBOX_HOME=str(self.home.root)),
            mock.patch("sys.stdin", io.StringIO(stdin)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            status = cli.run(arguments)
        return Result(status, out.getvalue(), err.getvalue())

    def ok(self, *arguments: str) -> dict[str, Any]:
        """The JSON result of a command that must end well."""
        result = self.quick(*arguments, "--json")
        assert result.status == 0, result.err
        return result.json()

    def ops(self, copy: Copy, *arguments: str, stdin: str = "") -> Result:
        """`python -m ops ...` in a copy's folder, with what `python -m sandbox env` sets."""
        found = local_aws.running(self.home)
        assert found is not None
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "AWS_ENDPOINT_URL": found.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            **found.credentials(copy.account).variables(),
            "SANDBOX_HOME": str(self.home.root),
        }
        _printed.cache_clear()  # the catalogue may be another one since the last command
        with (
            mock.patch("ops.recover.ROOT", copy.directory),
            # The commands that it runs are processes of their own, which have imported already what they need.
            mock.patch("sys.executable", str(self.python)),
            mock.patch.dict(os.environ, variables, clear=True),
            contextlib.chdir(copy.directory),
        ):
            done = CliRunner().invoke(ops_app, arguments, input=stdin)
        return Result(done.exit_code, done.stdout, done.stderr)

    def pulumi(self, copy: Copy, *arguments: str) -> str:
        """A command of the Pulumi CLI on a copy's stack, with the sandbox's own backend."""
        cli = pulumi_cli.find_or_build(self.home)
        ended = subprocess.run(
            [cli, "--non-interactive", *arguments],
            cwd=copy.directory,
            env=environment.engine(self.home, ""),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def aws(self, service: str, copy: Copy) -> Any:
        """A client in a copy's account."""
        found = local_aws.running(self.home)
        assert found is not None
        return _client(found, service, copy.account, self.region)

    def outputs_file(self, copy: Copy) -> str:
        """A file with a stack's outputs, for `ops --outputs`."""
        path = copy.directory / "outputs.json"
        path.write_text(json.dumps(self.checkpoint(copy).outputs()), encoding="utf-8")
        return str(path)

    def stays(self, copy: Copy, *options: str) -> None:
        """A refresh and another `up` would change nothing."""
        for command in (("refresh",), ("preview", "--expect-no-changes")):
            assert self.ok(*command, *copy.options, *options)["changes"] == [], command

    def files(self) -> dict[str, bytes]:
        """What lies in the home, by path; what another test deletes meanwhile is left out, and so are large binaries."""
        found: dict[str, bytes] = {}
        for path in self.home.root.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file() and path.stat().st_size < 5_000_000:
                    found[str(path)] = path.read_bytes()
        return found

    def checkpoint(self, copy: Copy) -> state.Checkpoint:
        """What a copy's state holds."""
        return state.Checkpoint.read(self.home.state(), copy.name, copy.stack)

    def checkpoint_path(self, copy: Copy) -> Path:
        """The file that holds it."""
        return self.home.state() / ".pulumi" / "stacks" / copy.name / f"{copy.stack}.json"


@functools.cache
def _client(aws: local_aws.LocalAws, service: str, account: str, region: str) -> Any:
    return aws.client(service, region=region, credentials=_credentials(aws, account))


@functools.cache
def _credentials(aws: local_aws.LocalAws, account: str) -> local_aws.Credentials:
    return aws.credentials(account)


@pytest.fixture(scope="session")
def sandbox_home(tmp_path_factory: pytest.TempPathFactory, pulumi_cli: Path) -> Iterator[Home]:
    """The home that all test processes share; the last one that ends stops its local AWS."""
    del pulumi_cli  # only that it is there
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "sandbox-home"
    shared.mkdir(exist_ok=True)
    users = shared / "users"
    users.mkdir(exist_ok=True)
    own = users / str(os.getpid())
    own.touch()
    yield Home(shared)
    with (shared / "users.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        own.unlink()
        if not any(users.iterdir()):
            local_aws.stop(Home(shared))


@pytest.fixture
def sandbox(sandbox_home: Home, python: Path) -> Sandbox:
    """Runs commands on the shared home."""
    return Sandbox(sandbox_home, _user_environment(sandbox_home), python)


@pytest.fixture
def own_sandbox(tmp_path: Path, pulumi_cli: Path, python: Path) -> Iterator[Sandbox]:
    """A sandbox with a home of its own, for tests that stop its local AWS."""
    del pulumi_cli
    home = Home(tmp_path / "home")
    yield Sandbox(home, _user_environment(home), python)
    local_aws.stop(home)


@pytest.fixture
def search_path(python: Path, pulumi_cli: Path) -> str:
    """PATH of somebody who works in the project's virtual environment, has the Pulumi CLI, and nothing else of this machine's."""
    return os.pathsep.join(
        (str(python.parent), str(Path(sys.executable).parent), str(pulumi_cli.parent), "/usr/bin", "/bin")
    )


@pytest.fixture
def documents_aws(tmp_path: Path) -> Iterator[Home]:
    """The home of a local AWS of the test's own: the accounts' numbers are those of the documents."""
    with own_local_aws(tmp_path / "sandbox") as home:
        yield home


@pytest.fixture
def sh(documents_aws: Home, pulumi_cli: Path, python: Path, tmp_path: Path) -> Iterator[Shell]:
    """A shell of somebody who uses the plain Pulumi CLI in the first account of the documents."""
    with shell(documents_aws, pulumi_cli, python, tmp_path / "user", "111111111111") as found:
        yield found


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., Copy]:
    """Makes a small project: `count` secrets with generated values, unless a program is given."""

    def make(program: str = TINY_PROGRAM, *, stack: str = "") -> Copy:
        copy = _new_copy(tmp_path, "throwaway", stack)
        copy.directory.mkdir()
        (copy.directory / "Pulumi.yaml").write_text(TINY_PROJECT, encoding="utf-8")
        copy.set_program(program)
        (copy.directory / f"Pulumi.{copy.stack}.yaml").write_text(
            f'# committed\nconfig:\n  aws:region: eu-central-1\n  aws:allowedAccountIds: ["{copy.account}"]\n',
            encoding="utf-8",
        )
        return copy

    return make


@pytest.fixture
def project_copy(tmp_path: Path, sandbox_home: Home) -> Callable[..., Copy]:
    """Makes a copy of this program with the tests' application and a stack of its own, from the file of `like`, in an account of
    its own.
    """

    def make(like: str = "dev") -> Copy:
        return _copy_of_the_project(tmp_path, sandbox_home, like)

    return make


@pytest.fixture(scope="session")
def unchanged_copy(tmp_path_factory: pytest.TempPathFactory, sandbox_home: Home) -> Copy:
    """A copy for tests that only preview and change no file."""
    return _copy_of_the_project(tmp_path_factory.mktemp("unchanged"), sandbox_home, "dev")


def _copy_of_the_project(folder: Path, home: Home, like: str) -> Copy:
    copy = _new_copy(folder, "service-ticket-system", "")
    shutil.copytree(REPOSITORY, copy.directory, ignore=_NOT_COPIED)
    for name in ("catalogue.py", "Pulumi.yaml"):
        shutil.copy(TICKETS / name, copy.directory / name)
    text = (TICKETS / f"Pulumi.{like}.yaml").read_text(encoding="utf-8")
    account = {"dev": "111111111111", "prod": "222222222222"}[like]
    (copy.directory / f"Pulumi.{copy.stack}.yaml").write_text(text.replace(account, copy.account), encoding="utf-8")
    # The encrypted stand-ins of another stack do as well: two runs of the CLI less.
    made = home.root / "stand-ins" / f"{copy.name}.{copy.stack}.yaml"
    for other in made.parent.glob(f"{copy.name}.*.yaml"):
        if other.read_text(encoding="utf-8").count("secure:") == _STAND_INS:
            shutil.copyfile(other, made)
            break
    return copy


def _new_copy(folder: Path, name: str, stack: str) -> Copy:
    unique = uuid.uuid4()
    stack = stack or f"t{unique.hex[:8]}"
    return Copy(folder / f"{name}-{stack}", name, stack, f"{unique.int % 10**11:011d}7")


def _user_environment(home: Home) -> dict[str, str]:
    return {**os.environ, "SANDBOX_HOME": str(home.root)}


TINY_PROJECT = """\
name: throwaway
runtime: python
config:
  greeting: {type: string, default: hello}
  count: {type: integer, default: 1}
  names: {type: array, items: {type: string}, default: []}
"""

TINY_PROGRAM = """
import pulumi
import pulumi_aws as aws
import pulumi_random as random

config = pulumi.Config()
for i in range(config.require_int("count")):
    secret = aws.secretsmanager.Secret(
        f"s{i}",
        name=f"{pulumi.get_stack()}-s{i}",
        description=config.require("greeting"),
        recovery_window_in_days=0,
    )
    value = random.RandomPassword(f"p{i}", length=20)
    aws.secretsmanager.SecretVersion(f"v{i}", secret_id=secret.id, secret_string=value.result)
    pulumi.export("arn", secret.arn)
    pulumi.export("hidden", value.result)
"""
