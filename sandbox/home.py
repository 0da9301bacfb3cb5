"""The sandbox's folder: everything that it keeps between commands, and the locks that order them.

moto.json       the local AWS that runs: pid, port
state/          Pulumi file backend of the built-in local AWS (`state-HOST-PORT/` of another emulator)
pulumi/         PULUMI_HOME
bin/            the language host for the plain CLI
work/           one folder per stack: the copy of the project's YAML files that the engine works on
compare/        the homes of `compare`'s two runs
stand-ins/      encrypted stand-ins of the secrets that a committed stack file can't hold
passphrase      random; encrypts the states and derives the stand-ins
"""

import contextlib
import fcntl
import json
import os
import secrets
import shlex
import shutil
import stat
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from sandbox.errors import MisuseError, SandboxError

REPOSITORY = Path(__file__).resolve().parent.parent
HOME_LOCK = "home"
"""The lock of everything that stacks share: the local AWS and the plugins."""

_UNTOLD_SECONDS = 3.0
_OWN_ENTRIES = (
    "moto.json",
    "moto.log",
    "pulumi",
    "work",
    "stand-ins",
    "locks",
    "passphrase",
    "home",
    "cli.json",
    "bin",
    "compare",
)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        return f"`{self.command}` (pid {self.pid}, since {self.since})"


@dataclass(frozen=True)
class Home:
    """Paths below `$SANDBOX_HOME`, by default `.sandbox` in the repository."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """The home that `SANDBOX_HOME` names, else the repository's own.

        Raises:
            MisuseError: Others can write there, and could replace a plugin, the passphrase or an endpoint.
        """
        root = Path(os.environ.get("SANDBOX_HOME") or REPOSITORY / ".sandbox").absolute()
        if root.exists():
            found = root.stat()
            if found.st_uid != os.getuid():
                raise MisuseError(f"{root} belongs to another user; choose another SANDBOX_HOME")
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise MisuseError(f"others can write into {root}: chmod go-w {shlex.quote(str(root))}")
        return cls(root)

    @property
    def pulumi(self) -> Path:
        """PULUMI_HOME of the sandbox's engine."""
        return self.root / "pulumi"

    @property
    def passphrase(self) -> Path:
        """The file with the passphrase, mode 0600."""
        return self.root / "passphrase"

    @property
    def user_home(self) -> Path:
        """An empty folder that stands for HOME, so that nobody reads `~/.aws` or `~/.pulumi`."""
        return self.root / "home"

    def state(self, emulator: str = "") -> Path:
        """The file backend that belongs to an emulator (`HOST-PORT`; empty: the built-in moto)."""
        return self.root / (f"state-{emulator}" if emulator else "state")

    def states(self) -> list[Path]:
        """Every file backend that exists."""
        return sorted(path for path in self.root.glob("state*") if path.is_dir())

    def work(self, project: str, stack: str) -> Path:
        """The folder in which the engine works on one stack."""
        return self.root / "work" / f"{project}.{stack}"

    def prepare(self) -> None:
        """Create the folders and the passphrase when they are missing."""
        for path in (self.root, self.pulumi, self.user_home, self.root / "locks", self.root / "stand-ins"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.passphrase.exists():
            partial = self.root / f"passphrase.{os.getpid()}"
            write_private(partial, secrets.token_urlsafe(32))
            # link, not rename: of two commands that start at once the first one's passphrase stays
            with contextlib.suppress(FileExistsError):
                os.link(partial, self.passphrase)
            partial.unlink()

    def exists(self) -> bool:
        """Whether the sandbox was ever used here."""
        return self.passphrase.exists()

    @contextlib.contextmanager
    def lock(self, name: str, command: str, waiting: Callable[[Holder | None], None] | None = None) -> Generator[None]:
        """Hold the lock `name` (`home`, or `PROJECT.STACK`); it ends with this process, however that ends.

        `waiting` is called once with the lock's holder, before waiting for it; without it a held lock is an error. The
        home's lock
        is only ever held for a moment, unless the local AWS is being started: a short wait for it is nothing to tell.
        """
        (self.root / "locks").mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.root / "locks" / name
        with path.open("a+", encoding="utf-8") as file:
            if not _try_lock(file, seconds=_UNTOLD_SECONDS if name == HOME_LOCK else 0):
                holder = _holder(path)
                if waiting is None:
                    raise SandboxError(
                        f"{name} is in use by {holder or 'another command'}; wait for it or end it"
                    ) from None
                waiting(holder)
                fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "command": command, "since": time.strftime("%H:%M:%S")}))
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)

    @contextlib.contextmanager
    def all_stacks_locked(
        self, command: str, waiting: Callable[[Holder | None], None] | None = None
    ) -> Generator[None]:
        """Hold the lock of every stack that was ever used, so that no command works on one."""
        with contextlib.ExitStack() as held:
            for path in sorted((self.root / "locks").glob("*.*")):
                held.enter_context(self.lock(path.name, command, waiting))
            yield

    def holder(self, name: str) -> Holder | None:
        """Who holds the lock `name` now."""
        path = self.root / "locks" / name
        if not path.exists():
            return None
        with path.open("a+", encoding="utf-8") as file:
            return None if _try_lock(file, seconds=0) else _holder(path)

    def remove(self) -> None:
        """Delete only what the sandbox created here."""
        for path in [*self.states(), *(self.root / name for name in _OWN_ENTRIES)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: something of the user's lies there
            self.root.rmdir()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, completely or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def read_json(path: Path) -> dict[str, object]:
    """A JSON object, empty when the file is missing or broken."""
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, object]", content) if isinstance(content, dict) else {}


def _try_lock(file: TextIO, *, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        else:
            return True


def _holder(path: Path) -> Holder | None:
    content = read_json(path)
    try:
        return Holder(int(str(content["pid"])), str(content["command"]), str(content["since"]))
    except (KeyError, ValueError):
        return None
