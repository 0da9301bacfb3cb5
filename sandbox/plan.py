"""What a project says about its secrets: `python -m config.plan`, if the project has it. It holds no value."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.project import Project

_MODULE = Path("config") / "plan.py"
_SECONDS = 30


@dataclass(frozen=True)
class ApplicationPlan:
    """The plan of one stack. A project that prints none has an empty one.

    Attributes:
        required_keys: Configuration keys that must hold a secret. Adopted secrets keep the value that they have.
        secret_keys: All configuration keys that may hold a secret.
        plain_keys: Those of plain variables.
        generated_keys: Those that `rotations` can hold.
    """

    required_keys: Collection[str] = ()
    secret_keys: Collection[str] = ()
    plain_keys: Collection[str] = ()
    generated_keys: Collection[str] = ()

    @classmethod
    def ask(cls, project: Project, stack: str) -> "Future[ApplicationPlan]":
        """Start to ask the project; a second question waits for the first one's answer."""
        # Printed again only after a change of what it follows from.
        files = (
            *project.directory.glob("*.py"),
            *(project.directory / "config").glob("*.py"),
            project.stack_file(stack),
        )
        return _asked(project.directory, stack, tuple(sorted((str(f), f.stat().st_mtime_ns) for f in files)))

    @classmethod
    def read(cls, project: Project, stack: str) -> "ApplicationPlan":
        """Ask the project.

        Raises:
            SandboxError: The project can print a plan, and fails.
        """
        try:
            return cls.ask(project, stack).result()
        except Exception:
            _asked.cache_clear()  # what failed is asked again
            raise


_ASKS = ThreadPoolExecutor(max_workers=1)


@functools.lru_cache(maxsize=64)
def _asked(directory: Path, stack: str, version: tuple[tuple[str, int], ...]) -> "Future[ApplicationPlan]":
    del version  # a part of the cache's key
    # The environment as it is now: the main thread replaces it meanwhile, and a process that is started then may get neither.
    return _ASKS.submit(_printed, directory, stack, dict(os.environ))


def _printed(directory: Path, stack: str, environment: Mapping[str, str]) -> ApplicationPlan:
    if not (directory / _MODULE).is_file():
        return ApplicationPlan()
    command = [sys.executable, "-m", "config.plan", "--stack", stack]
    ended = subprocess.run(  # noqa: S603 - our own interpreter, no shell
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    if ended.returncode:
        raise SandboxError(ended.stderr.strip().rpartition("error: ")[2])
    found: Mapping[str, Any] = json.loads(ended.stdout)
    own = [secret for secret in found["secrets"].values() if secret["owner"] in {"stack", "adopted"}]
    parts = [part for secret in own if secret["owner"] == "stack" for part in secret["parts"].values()]
    return ApplicationPlan(
        sorted({part["config_key"] for part in parts if part["kind"] == "supplied"}),
        found["secret_config_keys"],
        [variable["config_key"] for variable in found["variables"].values()],
        {part["config_key"] for secret in own for part in secret["parts"].values() if part["kind"] == "generated"},
    )
