"""A Python that has imported what commands import: each one is a process of its own, forked from it.

Hundreds of tests run `python -m ops` or `python -m sandbox` as a user does, and most of that time is the import of boto3, pulumi
and typer. `warm_python(folder)` makes an executable `python` that has `python -m MODULE` run by a fork of a server, with the
caller's arguments, environment, folder and streams: only the libraries are there already, never a module of this project.
"""

import atexit
import contextlib
import gc
import io
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

_LIBRARIES = (
    "boto3", "botocore.session", "botocore.handlers", "cryptography.fernet", "grpc.aio", "jinja2", "pulumi.automation",
    "pulumi_aws.cloudtrail", "pulumi_aws.cloudwatch", "pulumi_aws.ecs", "pulumi_aws.iam", "pulumi_aws.kms", "pulumi_aws.lambda_",
    "pulumi_aws.s3", "pulumi_aws.secretsmanager", "pulumi_aws.sfn", "pulumi_aws.sns", "pulumi_random",
    "rich.table", "semver", "typer.rich_utils", "yaml",
)  # fmt: skip
_START_SECONDS = 60
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# What stands in for the interpreter: it needs 15 ms, and lives as long as the program.
_CLIENT = '''\
#!{python} -ISE
"""See tests/warm_python.py."""
import json, os, select, signal, socket, sys

if sys.argv[1:2] != ["-m"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(request).to_bytes(4, "big")], [0, 1, 2])
server.sendall(request)
for number in {passed_on!r}:
    signal.signal(number, lambda number, _: server.sendall(bytes([number])))
parent = os.getppid()
while not select.select([server], [], [], 0.5)[0]:
    if os.getppid() != parent:
        os._exit(1)
status = int.from_bytes(server.recv(4), "big", signed=True)
if status < 0:
    if -status != signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
'''


@contextlib.contextmanager
def warm_python(folder: Path) -> Generator[Path]:
    """Yield the path of an executable `python` in a new folder; it works until the block ends."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="python-") as short:  # a socket's path has 104 characters at most
        client = _client(folder / "python", f"{short}/socket")
        with _served(f"{short}/socket"):
            yield client


def _client(client: Path, address: str) -> Path:
    client.write_text(
        _CLIENT.format(
            python=sys.executable,
            address=address,
            passed_on=[int(number) for number in _PASSED_ON],
        ),
        encoding="utf-8",
    )
    client.chmod(0o755)
    return client


@contextlib.contextmanager
def _served(address: str) -> Generator[None]:
    with subprocess.Popen([sys.executable, "-P", __file__, address], start_new_session=True) as server:
        until = time.monotonic() + _START_SECONDS
        while not Path(address).exists():
            assert server.poll() is None, "it ended"
            assert time.monotonic() < until, "it never came"
            time.sleep(0.01)
        try:
            yield
        finally:
            server.terminate()


def _serve(address: str) -> list[str]:
    """Start a program for each client; return in a program's process only, with what it is to run."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address + ".new")
    listener.listen(64)
    Path(address + ".new").rename(address)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _wake)
    signal.set_wakeup_fd(wake)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    clients: dict[int, socket.socket] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                client, _ = listener.accept()
                request, streams = _received(client)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    selector.close()
                    for inherited in (listener, client, *clients.values()):
                        inherited.close()
                    os.close(woken)
                    os.close(wake)
                    return _become(request, streams)
                for stream in streams:
                    os.close(stream)
                clients[pid] = client
                selector.register(client, selectors.EVENT_READ, pid)
            elif key.fileobj == woken:
                os.read(woken, 4096)
                _tell_ended(clients, selector)
            elif key.data in clients:
                told = clients[key.data].recv(1)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(key.data, told[0] if told else signal.SIGKILL)
                if not told:
                    selector.unregister(clients[key.data])


def _wake(_number: int, _frame: FrameType | None) -> None:
    """Nothing: the number itself goes to the file that the loop waits for."""


def _received(client: socket.socket) -> tuple[Any, list[int]]:
    size, streams, _, _ = socket.recv_fds(client, 4, 3)
    left, request = int.from_bytes(size, "big"), b""
    while len(request) < left:
        request += client.recv(left - len(request))
    return json.loads(request), streams


def _tell_ended(clients: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    while clients:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        client = clients.pop(pid)
        with contextlib.suppress(KeyError):
            selector.unregister(client)
        with contextlib.suppress(OSError):
            client.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
        client.close()


def _become(request: Any, streams: list[int]) -> list[str]:
    """Make this process what a new interpreter would be."""
    arguments, folder, environment = request
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        raw = os.fdopen(number, "wb" if number else "rb", closefd=False)
        errors = "backslashreplace" if name == "stderr" else "strict"
        opened = io.TextIOWrapper(raw, encoding="utf-8", errors=errors, line_buffering=name == "stderr" or raw.isatty())
        setattr(sys, name, opened)
        setattr(sys, f"__{name}__", opened)
    searched = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = searched
    return arguments


def _run(arguments: list[str]) -> None:
    """Run a module as `python -m` does."""
    sys.argv[:] = arguments
    sys.path.insert(0, str(Path.cwd()))
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


def _status(arguments: list[str]) -> int:
    try:
        _run(arguments)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        raise
    except BaseException as error:  # noqa: BLE001 - what the interpreter does with whatever comes
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


if __name__ == "__main__":
    for library in _LIBRARIES:
        __import__(library)
    gc.freeze()
    status = _status(_serve(sys.argv[1]))
    # As at the interpreter's end, without taking apart all that was imported, which takes half a second.
    untyped: Any = threading
    untyped._shutdown()
    untyped = atexit
    untyped._run_exitfuncs()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(status)
