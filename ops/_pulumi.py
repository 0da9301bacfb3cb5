"""A stack's configuration, through the user's own `pulumi` or the sandbox.

Values reach it by its standard input, since arguments show in the process list.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ops._errors import MisuseError
from ops._files import write_whole
from ops._patience import run_command
from ops._stack import ROOT, environment_of_sandbox, find_pulumi, last_words


@dataclass(frozen=True)
class Configured:
    """One configured value, kept out of `repr`. Objects and arrays are JSON text."""

    value: str = field(repr=False)
    secret: bool


@dataclass(frozen=True)
class Configuration:
    """The configuration of one stack in the Pulumi project's folder; `sandbox` says that the sandbox has it, in no file."""

    stack: str
    directory: Path
    sandbox: bool = False

    @property
    def path(self) -> Path:
        """The stack's file."""
        folder = self.directory / str(self._project().get("stackConfigDir") or "")
        return folder / f"Pulumi.{self.stack.rpartition('/')[2]}.yaml"

    @property
    def file(self) -> str:
        """The configuration's name, for people."""
        return f"the sandbox's stack {self.stack}" if self.sandbox else self.path.name

    def read(self) -> dict[str, Configured]:
        """Return what is configured, by key without the project's name; empty values are left out."""
        prefix = f"{self._project()['name']}:"
        raw: Mapping[str, Any] = json.loads(self._run("--json", "--show-secrets"))
        return {
            key.removeprefix(prefix): Configured(str(found.get("value", "")), bool(found.get("secret")))
            for key, found in raw.items()
            if key.startswith(prefix) and found.get("value") not in (None, "", "{}", "[]")
        }

    def get(self, key: str) -> str | None:
        """Return a value, None when there is none."""
        try:
            return str(json.loads(self._run("get", key, "--json"))["value"])
        except (MisuseError, ValueError, KeyError, TypeError):
            return None

    def set_secret(self, key: str, value: str) -> None:
        """Encrypt a value into the stack's file."""
        self._run("set", key, "--secret", value=value)

    def set_plain(self, path: str, value: str) -> None:
        """Set a value in the clear; `path` can lead into an object (`environment.LOG_LEVEL`)."""
        # --plaintext: the CLI rejects what looks like a secret, such as a secret's long ARN.
        self._run("set", "--plaintext", *(("--path",) if "." in path else ()), path, "--", value)

    def replace(self, key: str, value: str, confirm: Callable[[], None]) -> None:
        """Set a secret value and read it back; after a failure the configuration is as it was.

        Raises:
            MisuseError: When it can't be set.
        """
        previous, before = self.get(key), self._content()
        try:
            self.set_secret(key, value)
            if self.get(key) != value:
                raise MisuseError(f"{key} reads back as another value")  # noqa: TRY301
            confirm()
        except BaseException as error:
            self._restore(key, previous, before)
            if isinstance(error, MisuseError):
                raise MisuseError(f"{error}; the configuration is as it was") from None
            raise

    def command(self, *arguments: str) -> list[str]:
        """Return the command line for this stack."""
        # Options end at `--`; the value follows.
        cut = arguments.index("--") if "--" in arguments else len(arguments)
        tool = (sys.executable, "-m", "sandbox") if self.sandbox else (find_pulumi(),)
        project = ("--project", str(self.directory)) if self.sandbox and self.directory != ROOT else ()
        return [*tool, *arguments[:cut], "--stack", self.stack, *project, *arguments[cut:]]

    def _project(self) -> Mapping[str, Any]:
        try:
            found: Any = yaml.safe_load((self.directory / "Pulumi.yaml").read_text(encoding="utf-8"))
            return {"name": found["name"], **found}
        except (OSError, KeyError, TypeError, yaml.YAMLError):
            raise MisuseError(f"{self.directory} is not a Pulumi project: it has no Pulumi.yaml") from None

    def _content(self) -> bytes | None:
        return self.path.read_bytes() if not self.sandbox and self.path.is_file() else None

    def _restore(self, key: str, previous: str | None, before: bytes | None) -> None:
        if self.sandbox:
            if (now := self.get(key)) is not None and now != previous:
                self._run(*(("rm", key) if previous is None else ("set", key, "--secret")), value=previous)
        elif self._content() == before:
            return
        elif before is None:
            self.path.unlink()
        else:
            write_whole(self.path, before)

    def _run(self, *arguments: str, value: str | None = None) -> str:
        what = "`python -m sandbox config`" if self.sandbox else "`pulumi config`"
        environment = environment_of_sandbox() if self.sandbox else dict(os.environ)
        environment |= {"PULUMI_SKIP_UPDATE_CHECK": "true"}
        # The CLI removes one newline from the end of its standard input.
        stdin = "" if value is None else f"{value}\n"
        command = self.command("config", *arguments)
        done = run_command(command, what, stdin=stdin, folder=self.directory, environment=environment)
        if done.returncode:
            said = last_words(done.stderr)
            why = said.removeprefix("error: ") if said and not (value and value in said) else "failed"
            verb = "" if arguments[0].startswith("-") else f" {arguments[0]}"
            raise MisuseError(f"{what[:-1]}{verb}`: {why}")
        return done.stdout


def sandbox_command(
    stack: str, directory: Path, verb: str, plain: Mapping[str, str], secrets: Iterable[str]
) -> list[str]:
    """Return the sandbox's command line; the values of `secrets` follow on its standard input, one a line.

    The configuration applies to one run: the sandbox never writes a stack file.
    """
    overrides = [*(f"{key}={value}" for key, value in plain.items()), *(f"secret:{key}" for key in secrets)]
    pairs = [part for override in overrides for part in ("-c", override)]
    return [*Configuration(stack, directory, sandbox=True).command(verb), *pairs]


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


def property_path(parent: str, name: str) -> str:
    """Return the path of a part of a configuration object, quoted where its name needs it."""
    return f"{parent}.{name}" if name.replace("-", "").replace("_", "").isalnum() else f'{parent}["{name}"]'
