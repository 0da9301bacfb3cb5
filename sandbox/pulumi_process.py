"""Runs the Pulumi CLI as the Automation API wants it, but in an environment of our own and with one gentle Ctrl-C."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from sandbox.errors import InterruptedRunError
from sandbox.report import LOOK_AHEAD


class PulumiProcess(PulumiCommand):
    """The Pulumi CLI of one sandbox.

    Attributes:
        environment: The whole environment of the CLI and so of the plugins; nothing of the user's is added.
        pids: Folder where each running CLI leaves a file named `cli-PID`, for whoever comes after a `kill -9`.
        interrupted: Called when Ctrl-C asks the CLI to end, with whether it was asked before.
    """

    def __init__(
        self,
        path: Path,
        version: str,
        environment: Mapping[str, str],
        *,
        pids: Path,
        interrupted: Callable[[bool], None],
    ) -> None:
        """Wrap the CLI at `path`; super().__init__ would run it once more to learn the version, which is known."""
        self.command = str(path)
        self.version = VersionInfo.parse(version)
        self.environment = dict(environment)
        self.pids = pids
        self.interrupted = interrupted

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], object] | None = None,
        on_error: Callable[[str], object] | None = None,
    ) -> CommandResult:
        """Run one CLI command for the Automation API."""
        del on_output, on_error  # the engine's events say it better
        if args[0] in LOOK_AHEAD:  # the Automation API leaves out the preview
            args = [argument for argument in args if argument != "--skip-preview"]
        if args[0] == "preview":
            # The engine serializes the whole state after each step, and a preview discards it: 85 % of its time at 300 secrets.
            # Source: Pulumi 3.274, pkg/backend/diy/backend.go, `DiscardPersister`; pkg/backend/snapshot.go, `unsafeServiceLoop`.
            additional_env = {**additional_env, "PULUMI_SKIP_CHECKPOINTS": "true"}
        return self._run(args, cwd, additional_env, "")

    def execute(self, args: list[str], cwd: Path, *, stdin: str = "") -> str:
        """Run one CLI command and return what it printed; `stdin` keeps a value out of the process list."""
        return self._run(args, str(cwd), {}, stdin).stdout

    def pass_through(self, args: list[str], cwd: Path, additional_env: Mapping[str, str]) -> int:
        """Run one CLI command with the standard streams of this process and return its exit status."""
        with self._started(args, cwd, additional_env) as process:
            return process.wait()

    def _run(self, args: list[str], cwd: str, additional_env: Mapping[str, str], stdin: str) -> CommandResult:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with self._started(args, cwd, additional_env, **pipes) as process:
            stdout, stderr = process.communicate(stdin)
        result = CommandResult(stdout=stdout, stderr=stderr, code=process.returncode)
        if result.code != 0:
            raise create_command_error(result)
        return result

    @contextlib.contextmanager
    def _started(
        self, args: list[str], cwd: Path | str, additional_env: Mapping[str, str], **streams: Any
    ) -> Generator[subprocess.Popen[str]]:
        """Start one CLI command; raises InterruptedRunError at the end when Ctrl-C has stopped it."""
        process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
            [self.command, "--non-interactive", *args],
            cwd=cwd,
            env={**self.environment, **additional_env},
            encoding="utf-8",
            # A terminal sends Ctrl-C to the whole group: CLI and plugins would get it twice, and plugins die of it.
            start_new_session=True,
            **streams,
        )
        path = self.pids / f"cli-{process.pid}"
        path.touch()
        try:
            with self._interrupts(process) as was_interrupted:
                yield process
        finally:
            path.unlink(missing_ok=True)
        # Whatever its status: a `destroy` that was stopped half way ends with 0.
        if was_interrupted.is_set():
            raise InterruptedRunError("stopped by Ctrl-C")

    @contextlib.contextmanager
    def _interrupts(self, process: subprocess.Popen[str]) -> Generator[threading.Event]:
        """Turn Ctrl-C, a closed terminal and `kill` into one SIGINT to the CLI, which then ends in good order."""
        asked = threading.Event()

        def handle(_number: int, _frame: FrameType | None) -> None:
            self.interrupted(asked.is_set())
            if not asked.is_set():
                asked.set()
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGINT)

        if threading.current_thread() is not threading.main_thread():
            yield asked
            return
        saved = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield asked
        finally:
            for number, handler in saved.items():
                signal.signal(number, handler)
