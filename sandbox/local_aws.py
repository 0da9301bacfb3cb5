"""The local AWS: moto as a background process on loopback, or an emulator that is already running there.

An emulator keeps its resources in memory. To know whether it is still the one that a Pulumi state belongs to, the sandbox
leaves a mark in an unused account and records it next to the state.
"""

import contextlib
import functools
import ipaddress
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox import environment
from sandbox.errors import MisuseError, SandboxError
from sandbox.home import REPOSITORY, Home, read_json, write_private

DEFAULT_ACCOUNT = "123456789012"
"""The account of a stack whose file allows any."""

_MARK_ACCOUNT = "999999999999"
_MARK_NAME = "sandbox-instance"
_STOP_SECONDS = 5.0
_PS_FIELDS = 7
_CLOCK_SECONDS = 2.0
"""How far `ps` may be off when it counts a start from the machine's own: whole seconds, on two clocks."""


@dataclass(frozen=True)
class Credentials:
    """Temporary credentials of one account of the local AWS."""

    access_key_id: str
    secret_access_key: str
    session_token: str

    def variables(self) -> dict[str, str]:
        """Return the environment variables that the AWS SDKs read."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }


@dataclass(frozen=True)
class LocalAws:
    """A local AWS that answers.

    Attributes:
        endpoint: Its URL, always on loopback.
        emulator: `HOST-PORT` of an emulator outside the sandbox; empty for the built-in moto.
        pid: moto's process, None for an emulator outside the sandbox.
    """

    endpoint: str
    emulator: str = ""
    pid: int | None = None

    def credentials(self, account: str) -> Credentials:
        """Sign in to an account: emulators map the keys that AssumeRole returns to the role's account."""
        role = f"arn:aws:iam::{account}:role/sandbox"
        found = _sts(self).assume_role(RoleArn=role, RoleSessionName="sandbox")["Credentials"]
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])

    def client(self, service: str, *, region: str, credentials: Credentials) -> Any:
        """Return a boto3 client for this local AWS and nothing else."""
        from botocore.config import Config  # noqa: PLC0415 - 0.2 s that `--help` need not pay

        return session().create_client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token or None,
            config=Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 2}, proxies={}),
        )

    def mark(self) -> str | None:
        """The mark that the sandbox left in this emulator, None when it has none, as after a restart."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - 0.2 s that `--help` need not pay

        try:
            return self._mark_client().describe_secret(SecretId=_MARK_NAME)["Description"]
        except (BotoCoreError, ClientError):  # it may also have died a moment ago
            return None

    def leave_mark(self) -> str:
        """Leave a new mark and return it."""
        mark = secrets.token_hex(8)
        self._mark_client().create_secret(Name=_MARK_NAME, Description=mark)
        return mark

    def answers(self) -> bool:
        """Whether something accepts connections at the endpoint."""
        address = urlsplit(self.endpoint)
        try:
            with socket.create_connection((address.hostname or "", address.port or 80), timeout=2):
                return True
        except OSError:
            return False

    def _mark_client(self) -> Any:
        # A token lives in moto's memory, as long as its process. Another emulator might have been restarted.
        return _kept_mark_client(self) if self.pid else _new_mark_client(self)


# Making a client takes 40 ms, and each command asks for these two.
@functools.cache
def _sts(aws: LocalAws) -> Any:
    return aws.client("sts", region="us-east-1", credentials=Credentials("sandbox", "sandbox", ""))


def _new_mark_client(aws: LocalAws) -> Any:
    return aws.client("secretsmanager", region="us-east-1", credentials=aws.credentials(_MARK_ACCOUNT))


_kept_mark_client = functools.cache(_new_mark_client)


@functools.cache
def session() -> Any:
    """The one botocore session of this process: each keeps the service models that it has parsed, 0.1 s a service."""
    import botocore.session  # noqa: PLC0415 - as above

    return botocore.session.Session()


def at(endpoint: str) -> LocalAws:
    """Return the emulator at a URL that the user gave; MisuseError when it isn't on loopback."""
    address = urlsplit(endpoint)
    try:
        port = address.port or {"http": 80, "https": 443}[address.scheme]
    except (KeyError, ValueError):
        raise MisuseError(f"--endpoint {endpoint} is not a URL; for example http://127.0.0.1:4566") from None
    if not is_loopback(address.hostname or ""):
        raise MisuseError(f"--endpoint {endpoint} is not on this machine; allowed are localhost, 127.0.0.0/8 and ::1")
    host = (address.hostname or "").replace(":", "_")
    return LocalAws(f"{address.scheme}://{address.netloc}", emulator=f"{host}-{port}")


def is_loopback(host: str) -> bool:
    """Return whether a host name or address can only mean this machine."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def running(home: Home) -> LocalAws | None:
    """Return the built-in moto if it runs, whole and well."""
    recorded = read_json(home.root / "moto.json")
    try:
        pid, port = int(str(recorded["pid"])), int(str(recorded["port"]))
    except (KeyError, ValueError):
        return None
    aws = LocalAws(f"http://127.0.0.1:{port}", pid=pid)
    # The pid alone could be another process's by now, and the port another moto's: only the mark proves it.
    return aws if _alive(pid) and aws.answers() and aws.mark() == recorded.get("mark") else None


def ensure(
    home: Home,
    endpoint: str | None,
    *,
    status: Callable[[str], None],
    say: Callable[[str], None],
    forget: Callable[[Path], list[str]],
) -> LocalAws:
    """Return a running local AWS, without a state that claims resources which it doesn't have.

    Args:
        home: Where moto's pid and port are kept.
        endpoint: URL of an emulator that runs already; None starts and keeps the built-in moto.
        status: Called with what takes a moment.
        say: Called with each sentence for the user.
        forget: Empties a state folder, once nobody works on it, and returns the stacks that had resources.
    """
    if endpoint is None:
        aws = running(home)
        if aws is None:
            status("Starting the local AWS (moto) on loopback")
            died = (home.root / "moto.json").exists()
            stop(home)
            aws = _start(home)
            if died:
                say("The local AWS had stopped, and what was in it is gone; a fresh one runs now.")
        mark = str(read_json(home.root / "moto.json")["mark"])
    else:
        aws = at(endpoint)
        if not aws.answers():
            raise SandboxError(f"nothing answers at {endpoint}; start the emulator first")
        mark = aws.mark() or aws.leave_mark()
    state = home.state(aws.emulator)
    state.mkdir(mode=0o700, exist_ok=True)
    marked = state / "mark"
    if not marked.exists() or marked.read_text(encoding="utf-8") != mark:
        lost = forget(state)
        if lost:
            say(
                f"{' and '.join(lost)} had resources in the local AWS that is gone: starting afresh with an empty state."
            )
        write_private(marked, mark)
    return aws


def _start(home: Home) -> LocalAws:
    log_path = home.root / "moto.log"
    # moto takes a free port itself and says which: one that was looked for here could be another process's by then.
    ready, written = os.pipe()
    with os.fdopen(ready, encoding="ascii") as answer:
        descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
                [sys.executable, "-P", "-m", "sandbox.moto_server", str(written)],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                cwd=home.root,
                env=environment.clean(home) | {"PYTHONPATH": str(REPOSITORY)},
                start_new_session=True,  # so that Ctrl-C and a closed terminal don't end it
                pass_fds=(written,),
            )
        finally:
            os.close(descriptor)
            os.close(written)
        # Recorded before it answers: a start that is interrupted here leaves no process that nobody knows of.
        write_private(home.root / "moto.json", json.dumps({"pid": process.pid}))
        port = answer.readline().strip()  # empty when the process has ended
    if not port:
        process.wait()
        (home.root / "moto.json").unlink(missing_ok=True)
        raise SandboxError(f"the local AWS (moto) did not start; its log is {log_path}")
    aws = LocalAws(f"http://127.0.0.1:{port}", pid=process.pid)
    recorded = {"pid": process.pid, "port": int(port), "mark": aws.leave_mark(), "since": time.time()}
    write_private(home.root / "moto.json", json.dumps(recorded))
    return aws


def stop(home: Home) -> int | None:
    """Stop the built-in moto; returns its pid, None if none ran."""
    recorded = read_json(home.root / "moto.json")
    pid = int(str(recorded.get("pid", 0)))
    stopped = pid > 0 and is_process(pid, "sandbox.moto_server", home.root / "moto.json")
    if stopped:
        end_process(pid, signal.SIGTERM, _STOP_SECONDS)
    (home.root / "moto.json").unlink(missing_ok=True)
    return pid if stopped else None


def is_process(pid: int, words: str, recorded: Path) -> bool:
    """Return whether a recorded pid is still the same process: one with these words in its command line.

    It started before the file was last written. A later one has only the number of it: Linux gives 32,768 of them by default, and
    uses them again within minutes on a busy machine.
    """
    if not _alive(pid) or not recorded.exists():
        return False
    shown = subprocess.run(  # noqa: S603 - a number is the only argument
        ["ps", "-ww", "-o", "stat=,lstart=,command=", "-p", str(pid)],  # noqa: S607 - POSIX ps, wherever it is
        env=os.environ | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split(maxsplit=6)
    if len(shown) < _PS_FIELDS or words not in shown[-1] or shown[0].startswith("Z"):
        return False
    started = time.mktime(time.strptime(" ".join(shown[1:6]), "%a %b %d %H:%M:%S %Y"))
    return started <= recorded.stat().st_mtime + _CLOCK_SECONDS


def end_process(pid: int, first: signal.Signals, seconds: float) -> None:
    """Ask a process to end, and kill it if it hasn't ended within some seconds."""
    for number in (first, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):  # reap it when it is ours
                os.waitpid(pid, os.WNOHANG)
            if not _alive(pid):
                return
            time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
