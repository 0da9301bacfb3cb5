"""`ops keep`: sets a secret's live value in the stack's configuration, completely or not at all.

It replaces `ops reveal NAME | pulumi config set --secret KEY`, which sets an empty value when the first part fails.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import typer

from components.outputs import STACK, Secret
from components.references import CURRENT
from ops._aws import Aws, connect
from ops._console import say
from ops._errors import AwsError, MisuseError, aws_errors, explained
from ops._files import write_whole
from ops._json import json_object
from ops._options import KeyOption, NameArgument, OutputsOption, StackOption
from ops._ownership import parts_of
from ops._patience import run_command
from ops._plan import connect_planned, project_directory, read_plan
from ops._secrets import Value, describe, read_value
from ops._stack import ROOT, Stack, environment_of_sandbox, in_sandbox, load
from ops._unfit import unfit_to_keep
from ops.doctor.finding import again

_CONFIG_DIRECTORY = re.compile(r"^stackConfigDir:(.+)$", re.MULTILINE)


def keep(
    name: NameArgument,
    key: KeyOption = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    config_key: Annotated[
        str | None,
        typer.Option("--config-key", metavar="KEY", help="The configuration key; by default the catalogue's."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="LABEL", help="PREVIOUS or another label, instead of the live version."),
    ] = None,
) -> None:
    """Set a secret's live value in the stack's configuration, so that `up` keeps it. It checks, sets and reads back."""
    where, aws = _find(stack, outputs)
    arn = where.arn_of(name)
    short = where.name_of(arn)
    tool = Configuration.of(where, stack or where.environment)
    config_key = config_key or _config_key(tool, where, arn, key)
    record = describe(aws, arn)
    if record is None or record.deleted or not record.version(CURRENT):
        why = "doesn't exist" if record is None else "is pending deletion" if record.deleted else "has no value"
        raise MisuseError(f"{short} {why}; the configuration was not changed")
    found = read_value(aws, arn, stage="AWSPREVIOUS" if version == "PREVIOUS" else version)
    value = _checked(short, found, key)
    what = f"the value of {short} at {version}" if version else f"the live value of {short}"
    if tool.get(config_key) == value:
        say(f"{config_key} of {tool.file} has {what} already; nothing was changed.")
        return
    tool.replace(config_key, value, lambda: None if version else _still_current(aws, short, found))
    say(f"{config_key} of {tool.file} has {what} now. Next: {again(where)}")


def _find(stack: str | None, outputs: Path | None) -> tuple[Stack, Aws]:
    """Return a stack and its AWS.

    A stack that `ops recover` imports has no outputs while its `up` refuses until a value is kept: the application's plan then
    names its secrets.
    """
    try:
        where = load(stack, outputs)
    except MisuseError as error:
        if not stack or outputs:
            raise
        name = stack.rpartition("/")[2]
        try:
            plan = read_plan(name, configured=True)
        except MisuseError:
            raise error from None
        aws, _ = connect_planned(name, plan)
        secrets = {
            secret.name: Secret(record.arn, record.name, STACK, aws.region, secret.json, {})
            for secret in plan.secrets.values()
            if secret.owner == STACK and secret.full_name and (record := describe(aws, secret.full_name))
        }
        if not secrets:
            raise
        return Stack(name, {key: secret.arn for key, secret in secrets.items()}, secrets, {}, 0), aws
    return where, connect(where)


def _still_current(aws: Aws, name: str, value: Value) -> None:
    try:
        record = describe(aws, value.arn)
    except aws_errors() as error:
        raise AwsError(f"{explained(error)}; the configuration is as it was: run this command again") from None
    if record is None or record.version(CURRENT) != value.version_id:
        raise AwsError(f"{name} was changed meanwhile; the configuration is as it was: run this command again")


def _checked(name: str, value: Value, key: str | None) -> str:
    """Return the value, or the one of a key, when the configuration should have it."""
    unchanged = "the configuration was not changed"
    if value.text is None:
        raise MisuseError(f"{name} holds a binary value; {unchanged}")
    text, what = value.text, name
    if key is not None:
        parts, what = json_object(text), f"{name} key {key}"
        if parts is None:
            raise MisuseError(f"{name} is not a JSON object; {unchanged}")
        if key not in parts:
            raise MisuseError(f"{name} has no key {key}; it has {', '.join(sorted(parts)) or 'none'}; {unchanged}")
        if not isinstance(parts[key], str):
            raise MisuseError(f"{what} is not a string; {unchanged}")
        text = cast("str", parts[key])
    wrong = unfit_to_keep(text)
    if wrong:
        raise MisuseError(
            f"the live value of {what} {wrong}; {unchanged}. Set the right value first:\n"
            f"  python -m ops reveal {name} --version PREVIOUS   shows the value before\n"
            f"  python -m ops rollback {name}                    makes it live again"
        )
    return text


def _config_key(tool: "Configuration", stack: Stack, arn: str, key: str | None) -> str:
    """Return the configuration key of a value: the plan's, which the next `up` follows, else the outputs'."""
    name = stack.name_of(arn)
    keys = tool.planned(name) or {part: found.config_key for part, found in parts_of(stack, arn).items()}
    if key is None and "" not in keys and keys:
        raise MisuseError(f"{name} has several values; choose one with --key: {', '.join(sorted(keys))}")
    if not (found := keys.get(key or "")):
        what = f"{name} key {key}" if key else name
        raise MisuseError(
            f"the catalogue gives {what} no configuration key (External, Constant or unknown): name one with --config-key"
        )
    return found


@dataclass(frozen=True)
class Configuration:
    """One stack's configuration: Pulumi's, or the sandbox's.

    Attributes:
        command: The tool, as a list of words.
        folder: The Pulumi project's folder.
        stack: The stack's name as the tool takes it.
        path: The file that the tool writes, None for the sandbox, which has none.
    """

    command: tuple[str, ...]
    folder: Path
    stack: str
    path: Path | None

    @classmethod
    def of(cls, where: Stack, stack: str) -> "Configuration":
        """Return the configuration that the next `up` of a stack reads.

        Raises:
            MisuseError: When there is no `pulumi`, or no project.
        """
        folder = project_directory()
        if in_sandbox():
            return cls((sys.executable, "-m", "sandbox"), folder, where.environment, None)
        executable = shutil.which("pulumi")
        if executable is None:
            raise MisuseError("there is no `pulumi` on the PATH, which writes the stack's configuration")
        text = (folder / "Pulumi.yaml").read_text(encoding="utf-8")
        directory = _CONFIG_DIRECTORY.search(text)
        path = folder / (directory[1].strip("\"' ") if directory else "") / f"Pulumi.{where.environment}.yaml"
        return cls((executable, "--non-interactive"), folder, stack, path)

    @property
    def file(self) -> str:
        """The configuration's name, for people."""
        return self.path.name if self.path else f"the sandbox's stack {self.stack}"

    def get(self, key: str) -> str | None:
        """Return a value, None when there is none."""
        try:
            return str(json.loads(self._run("get", key, "--json"))["value"])
        except (MisuseError, ValueError, KeyError, TypeError):
            return None

    def replace(self, key: str, value: str, confirm: Callable[[], None]) -> None:
        """Set a secret value and read it back; after a failure the configuration is as it was.

        Raises:
            MisuseError: When it can't be set.
        """
        previous, before = self.get(key), self._content()
        try:
            # By the standard input, since arguments show in the process list; the tool removes one line break.
            self._run("set", key, "--secret", value=value)
            if self.get(key) != value:
                raise MisuseError(f"{key} reads back as another value; the configuration is as it was")  # noqa: TRY301
            confirm()
        except BaseException:
            self._restore(key, previous, before)
            raise

    def planned(self, name: str) -> Mapping[str, str | None]:
        """Return the configuration keys of a secret by JSON key, "" for a text, empty where the project prints no plan."""
        try:
            secret = read_plan(self.stack.rpartition("/")[2], self.folder).secrets.get(name)
        except MisuseError:
            return {}
        return {key: part.config_key for key, part in secret.parts.items()} if secret else {}

    def _content(self) -> bytes | None:
        return self.path.read_bytes() if self.path and self.path.is_file() else None

    def _restore(self, key: str, previous: str | None, before: bytes | None) -> None:
        if self.path is None:
            if (now := self.get(key)) is not None and now != previous:
                self._run(*(("rm", key) if previous is None else ("set", key, "--secret")), value=previous)
        elif self._content() == before:
            return
        elif before is None:
            self.path.unlink()
        else:
            write_whole(self.path, before)

    def _run(self, verb: str, key: str, *options: str, value: str | None = None) -> str:
        command = [*self.command, "config", verb, key, *options, "--stack", self.stack]
        if self.path is None and self.folder != ROOT:
            command += ["--project", str(self.folder)]
        what = "`pulumi config`" if self.path else "`python -m sandbox config`"
        stdin = f"{value}\n" if value is not None else ""
        environment = None if self.path else environment_of_sandbox()
        done = run_command(command, what, stdin=stdin, folder=self.folder, environment=environment)
        if done.returncode:
            said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            why = said[-1] if said and not (value and value in said[-1]) else "it failed"
            raise MisuseError(f"config {verb} {key}: {why}; the configuration is as it was")
        return done.stdout
