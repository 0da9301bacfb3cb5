"""Finds the Pulumi CLI, or fetches the version that `tools/go.mod` pins, or builds it from that Go module, once."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from semver import VersionInfo

from sandbox import environment
from sandbox.errors import SandboxError
from sandbox.home import REPOSITORY, Home, read_json, write_private

TOOLS = REPOSITORY / "tools"
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_PINNED = re.compile(r"^\s*(?:require )?github\.com/pulumi/pulumi/pkg/v3 (v[\d.]+)", re.MULTILINE)
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_NEWS_SECONDS = 1.0
_PACKAGES = 1730
"""How many packages the CLI has, about: `go list -deps`."""
_INSTALLER = "https://get.pulumi.com/install.sh"
_ANSWER_SECONDS = 10.0
"""The SDK's installer waits for ever; behind a firewall that drops what it refuses, that is what it would do."""


def find_or_build(home: Home | None = None, say: Callable[[str], None] = lambda _: None) -> Path:
    """Return the path of a Pulumi CLI that fits the SDK: the one on PATH, else our own, fetched or built when it is missing.

    `say` gets the news of that, about once a second; each text replaces the one before.
    """
    home = home or Home.from_environment()
    found = _on_path(home)
    if found is not None:
        return found
    built = TOOLS / "bin" / "pulumi"
    if _version(built, home) == _pinned_version():
        return built
    (TOOLS / "bin").mkdir(exist_ok=True)
    with (TOOLS / "bin" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two first commands at once: the second one takes what the first one built
        if _version(built, home) != _pinned_version() and not _fetch(built, home, say):
            _build(built, say)
    return built


def cli_version(path: Path, home: Home) -> str:
    """Return the version of a CLI that `find_or_build` returned, such as 3.274.1."""
    found = _version(path, home)
    if found is None:
        raise SandboxError(f"{path} does not tell its version")
    return found


def minimum_version() -> str:
    """The oldest CLI that is known to work: the SDK's own minor."""
    major, minor, _ = version("pulumi").split(".", 2)
    return f"{major}.{minor}.0"


def _on_path(home: Home) -> Path | None:
    found = shutil.which("pulumi")
    if found is None:
        return None
    number = _version(Path(found), home)
    if number is None or _numbers(number)[0] != _numbers(minimum_version())[0]:
        return None
    return Path(found) if _numbers(number) >= _numbers(minimum_version()) else None


def _version(path: Path, home: Home) -> str | None:
    """A CLI's version, remembered by the file's size and time: asking costs 0.15 s each time."""
    try:
        status = path.stat()
    except OSError:
        return None
    remembered = read_json(home.root / "cli.json")
    key = {"path": str(path), "size": status.st_size, "mtime": status.st_mtime_ns}
    if remembered | key == remembered:
        return str(remembered["version"])
    asked = environment.clean(home) | {"PULUMI_HOME": str(home.pulumi), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        shown = subprocess.run(  # noqa: S603 - a path that we found, no shell
            [str(path), "version"], env=asked, capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.match(shown.strip())
    if match is None:
        return None
    number = ".".join(match.groups())
    if home.exists():
        write_private(home.root / "cli.json", json.dumps(key | {"version": number}))
    return number


def _pinned_version() -> str:
    match = _PINNED.search((TOOLS / "go.mod").read_text(encoding="utf-8"))
    if match is None:
        raise SandboxError(f"{TOOLS / 'go.mod'} pins no github.com/pulumi/pulumi/pkg/v3")
    return match[1].removeprefix("v")


def _fetch(target: Path, home: Home, say: Callable[[str], None]) -> bool:
    """Let the SDK's own installer fetch the pinned CLI from get.pulumi.com; tells whether that went well."""
    from pulumi.automation import PulumiCommand  # noqa: PLC0415 - 0.3 s that a machine with a CLI need not pay

    number = _pinned_version()
    say(f"Fetching the Pulumi CLI {number} from get.pulumi.com, once.")
    target.unlink(missing_ok=True)  # the installer leaves alone what is there
    try:
        urllib.request.urlopen(_INSTALLER, timeout=_ANSWER_SECONDS).close()
        PulumiCommand.install(str(target.parent.parent), VersionInfo.parse(number), skip_version_check=True)
    except (
        OSError,
        subprocess.SubprocessError,
        ValueError,
    ) as error:  # no network, a proxy that refuses, no such platform
        say(f"Fetching the Pulumi CLI failed ({type(error).__name__}); building it instead.")
        return False
    if _version(target, home) != number:
        say("Fetching the Pulumi CLI brought another version; building it instead.")
        return False
    say(f"Fetched the Pulumi CLI {number}.")
    return True


def _build(target: Path, say: Callable[[str], None]) -> None:
    go = shutil.which("go")
    number = _pinned_version()
    if go is None:
        raise SandboxError(
            f"no Pulumi CLI of version {minimum_version()} or later, get.pulumi.com can't be reached, and there is no Go "
            "to build it with. Install either:\n"
            "  Pulumi  https://www.pulumi.com/docs/install/   (for example: brew install pulumi)\n"
            "  Go      https://go.dev/doc/install             (for example: apt install golang, or brew install go)"
        )
    partial = target.with_name(f"pulumi.{os.getpid()}.partial")
    log = target.with_name("build.log")
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{number}"
    started = time.monotonic()
    say(f"Building the Pulumi CLI {number}, once; it takes about 3 minutes on 2 cores.")
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(  # noqa: S603 - found on PATH, no shell
            [go, "build", "-v", "-trimpath", "-ldflags", flags, "-o", str(partial), _PACKAGE],
            cwd=TOOLS,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_build_environment(os.environ),
        )
        try:
            while True:
                try:
                    process.wait(_NEWS_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    say(f"Building the Pulumi CLI {number}: {_progress(log)}, {time.monotonic() - started:.0f} s")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode != 0:
        partial.unlink(missing_ok=True)
        last = log.read_text(encoding="utf-8").strip().splitlines()[-5:]
        raise SandboxError(
            "building the Pulumi CLI failed:\n  " + "\n  ".join(last) + f"\nThe whole output is in {log}."
        )
    partial.replace(target)
    log.unlink()
    say(f"Built the Pulumi CLI {number} in {time.monotonic() - started:.0f} s.")


def _progress(log: Path) -> str:
    """Return how far a build is: Go names each module that it downloads and each package that it compiles."""
    lines = log.read_text(encoding="utf-8").splitlines()
    downloaded = sum(line.startswith("go: ") for line in lines)
    compiled = len(lines) - downloaded
    if not compiled:
        return f"{downloaded} modules downloaded" if downloaded else "starting"
    return "linking" if compiled >= _PACKAGES else f"{compiled} of {_PACKAGES} packages compiled"


def _build_environment(variables: Mapping[str, str]) -> dict[str, str]:
    # Go needs the user's own proxy, cache and certificates; an own GOFLAGS or workspace could change what is built.
    kept = {name: value for name, value in variables.items() if name not in {"GOFLAGS", "GOWORK"}}
    # The compiler collects garbage a fourth as often: a fifth less processor time, for a hundred MiB more.
    return {"GOGC": "400", **kept, "GOWORK": "off"}


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
