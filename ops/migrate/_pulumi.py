"""A stack's configuration through the user's own `pulumi`. Secrets reach it by its standard input, never as an argument."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ops._errors import MisuseError
from ops._patience import run_command
from ops._stack import ROOT, environment_of_sandbox


@dataclass(frozen=True)
class Configured:
    """One configured value, kept out of `repr`. Objects and arrays are JSON text."""

    value: str = field(repr=False)
    secret: bool


@dataclass(frozen=True)
class Configuration:
    """The configuration of one stack in the Pulumi project's folder."""

    stack: str
    directory: Path

    def read(self) -> dict[str, Configured]:
        """Return what is configured, by key without the project's name; empty values are left out."""
        try:
            content: Any = yaml.safe_load((self.directory / "Pulumi.yaml").read_text(encoding="utf-8"))
            prefix = f"{content['name']}:"
        except (OSError, KeyError, TypeError, yaml.YAMLError):
            raise MisuseError(f"{self.directory} is not a Pulumi project: it has no Pulumi.yaml") from None
        raw: Mapping[str, Any] = json.loads(self._run("config", "--json", "--show-secrets"))
        return {
            key.removeprefix(prefix): Configured(str(found.get("value", "")), bool(found.get("secret")))
            for key, found in raw.items()
            if key.startswith(prefix) and found.get("value") not in (None, "", "{}", "[]")
        }

    def set_secret(self, key: str, value: str) -> None:
        """Encrypt a value into the stack's file."""
        # The CLI removes one newline from the end of its standard input.
        self._run("config", "set", "--secret", key, stdin=value + "\n")

    def set_plain(self, path: str, value: str) -> None:
        """Set a value in the clear; `path` can lead into an object (`environment.LOG_LEVEL`)."""
        # --plaintext: the CLI rejects what looks like a secret, such as a secret's long ARN.
        self._run("config", "set", "--plaintext", *(("--path",) if "." in path else ()), path, "--", value)

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of `pulumi` for this stack."""
        # Options end at `--`; the value follows.
        cut = arguments.index("--") if "--" in arguments else len(arguments)
        return [find_pulumi(), *arguments[:cut], "--stack", self.stack, *arguments[cut:]]

    def _run(self, *arguments: str, stdin: str = "") -> str:
        environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        command, what = self.command(*arguments), f"`pulumi {arguments[0]}`"
        done = run_command(command, what, stdin=stdin, folder=self.directory, environment=environment)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise MisuseError(
                f"`pulumi {' '.join(arguments[:2])}`: {said[0].removeprefix('error: ') if said else 'failed'}"
            )
        return done.stdout


def sandbox_command(
    stack: str, directory: Path, verb: str, plain: Mapping[str, str], secrets: Iterable[str]
) -> list[str]:
    """Return the sandbox's command line; the values of `secrets` follow on its standard input, one a line.

    The configuration applies to one run: the sandbox never writes a stack file.
    """
    overrides = [*(f"{key}={value}" for key, value in plain.items()), *(f"secret:{key}" for key in secrets)]
    project = () if directory == ROOT else ("--project", str(directory))
    pairs = [part for override in overrides for part in ("-c", override)]
    return [sys.executable, "-m", "sandbox", verb, "--stack", stack, *project, *pairs]


def run_sandbox(command: Sequence[str], secrets: Mapping[str, str]) -> int:
    """Run the sandbox and return its exit status; its output goes to the standard error."""
    if several := [key for key, value in secrets.items() if "\n" in value or "\r" in value]:
        raise MisuseError(f"{', '.join(several)}: the sandbox accepts values of one line only")
    return subprocess.run(  # noqa: S603 - our own command, no shell
        command,
        input="".join(f"{value}\n" for value in secrets.values()),
        text=True,
        check=False,
        stdout=sys.stderr,
        env=environment_of_sandbox(),
    ).returncode


def find_pulumi() -> str:
    """Return the path of `pulumi`: the user's own, else the one that the sandbox built; MisuseError without any."""
    built = ROOT / "tools" / "bin" / "pulumi"
    found = shutil.which("pulumi") or (str(built) if built.is_file() else None)
    if found is None:
        raise MisuseError("there is no `pulumi` on the PATH")
    return found


def property_path(parent: str, name: str) -> str:
    """Return the path of a part of a configuration object, quoted where its name needs it."""
    return f"{parent}.{name}" if name.replace("-", "").replace("_", "").isalnum() else f'{parent}["{name}"]'
