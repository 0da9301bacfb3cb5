"""The Pulumi CLI on one stack: the user's own, or the sandbox's; and a lock that a killed CLI left behind."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ops._errors import MisuseError, OpsError
from ops._stack import environment_of_sandbox, find_pulumi, with_way

_LOCKED = "the stack is currently locked by"
_HOLDER = re.compile(r"created by (?P<user>\S*)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<when>\S+)")
_NO_STACK = re.compile(r"no stack named|stack '.*' not found|404")
_NOISE = re.compile(r"warning: using pulumi-language-|: stand-ins? of the sandbox$|^ *error: (update|preview) failed$")
_SECONDS = 3600


class EngineError(OpsError):
    """The Pulumi CLI failed; the message is its output."""


@dataclass(frozen=True)
class Engine:
    """Runs the Pulumi CLI.

    Attributes:
        sandbox: Whether the stack's state is the sandbox's.
        overrides: Configuration of this run, which only the sandbox supports (`-c`).
        confirm_cancel: Asked before a dead process's lock is removed.
    """

    stack: str
    directory: Path
    sandbox: bool
    overrides: Sequence[str] = ()
    confirm_cancel: Callable[[str], None] = lambda _question: None

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        """Return a command's output. A lock whose process is gone is removed, and the command runs again.

        `--stack` is added. Values go into the standard input, never into a file.

        Raises:
            MisuseError: When another process works on the stack.
            EngineError: When the command fails.
        """
        done = self._run(arguments, stdin, environment)
        if done.returncode and _LOCKED in done.stderr:
            self._cancel(done.stderr)
            done = self._run(arguments, stdin, environment)
        return _output(done, arguments[0])

    def state(self) -> Mapping[str, Any] | None:
        """Return the stack's deployment, values encrypted; None when the backend has no such stack."""
        try:
            return json.loads(self.run("stack", "export")).get("deployment") or {}
        except EngineError as error:
            if _NO_STACK.search(str(error)):
                return None
            raise

    def init(self) -> None:
        """Create the stack in the backend, with the secrets provider that its file names."""
        file = yaml.safe_load((self.directory / f"Pulumi.{self.stack}.yaml").read_text(encoding="utf-8")) or {}
        provider = file.get("secretsprovider")
        done = self._run(("stack", "init", *(("--secrets-provider", str(provider)) if provider else ())), "", {})
        _output(done, "stack init")

    def preview(self, *arguments: str, **environment: str) -> Iterator[Mapping[str, Any]]:
        """Return the steps of a preview: `op`, `urn`, `oldState`, `newState`; secrets read `[secret]`."""
        return iter(json.loads(self.run("preview", "--json", *arguments, **environment)).get("steps") or ())

    def _run(
        self, arguments: Sequence[str], stdin: str, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        if self.sandbox:
            pairs = [part for override in self.overrides for part in ("-c", override)]
            command = [sys.executable, "-m", "sandbox", "pulumi", "--stack", self.stack]
            command += ["--project", str(self.directory), *pairs, "--", *arguments]
        else:
            command = [find_pulumi(), "--non-interactive", *arguments, "--stack", self.stack]
        own = environment_of_sandbox() if self.sandbox else os.environ
        try:
            return subprocess.run(  # noqa: S603 - the user's own pulumi, no shell
                command,
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                cwd=self.directory,
                timeout=_SECONDS,
                env={**own, "PULUMI_SKIP_UPDATE_CHECK": "true", **environment},
            )
        except subprocess.TimeoutExpired:
            raise EngineError(f"`pulumi {arguments[0]}` did not answer within {_SECONDS} s") from None

    def _cancel(self, refused: str) -> None:
        for holder in _HOLDER.finditer(refused):
            who = f"{holder['user']}@{holder['host']} (pid {holder['pid']}) since {holder['when']}"
            if holder["host"] != platform.node():
                raise MisuseError(
                    f"{who} holds the stack's lock. Only that machine shows whether the process still runs. When it has ended:\n"
                    f"  pulumi cancel --stack {self.stack} --yes"
                )
            if _lives(int(holder["pid"])):
                raise MisuseError(f"{who} is working on the stack; wait until it ends")
            self.confirm_cancel(f"Remove the lock of {who}? That process no longer runs.")
        self.run("cancel", "--yes")


def _output(done: subprocess.CompletedProcess[str], command: str) -> str:
    """Return a command's output. The error has its messages: those of its JSON, its diagnostics, or its standard error."""
    if not done.returncode:
        return done.stdout
    try:
        found = "\n".join(d["message"] for d in json.loads(done.stdout)["diagnostics"] if d["severity"] == "error")
    except (ValueError, KeyError, TypeError):
        found = re.split(
            r"^(?:Resources|Outputs|Duration):", done.stdout.partition("Diagnostics:\n")[2], flags=re.MULTILINE
        )[0]
    lines = [line.rstrip() for line in f"{found}\n{done.stderr}".splitlines()]
    said = "\n".join(line for line in lines if line and not _NOISE.search(line))
    raise EngineError(f"`pulumi {command}` failed:\n{with_way(said)}")


def _lives(pid: int) -> bool:
    """Return whether a process runs and is a Pulumi CLI: another process can have its number now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    shown = subprocess.run(  # noqa: S603 - a number is the only argument
        ["ps", "-o", "stat=,command=", "-p", str(pid)],  # noqa: S607 - POSIX ps, wherever it is
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return "pulumi" in shown and not shown.startswith("Z")
