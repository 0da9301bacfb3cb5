"""A Pulumi project's committed files: `Pulumi.yaml` and one `Pulumi.STACK.yaml` per stack. Only ever read."""

import contextlib
import difflib
import json
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import MisuseError
from sandbox.local_aws import DEFAULT_ACCOUNT

_STACK_FILE = re.compile(r"Pulumi\.(?P<stack>[A-Za-z0-9_.-]+)\.ya?ml")


@dataclass(frozen=True)
class Project:
    """A project on disk.

    Attributes:
        directory: Where `Pulumi.yaml` and `__main__.py` lie.
        name: The project's name.
        declared: The `config:` part of `Pulumi.yaml`: what the program's keys may hold.
    """

    directory: Path
    name: str
    declared: Mapping[str, Any]

    @classmethod
    def load(cls, directory: Path) -> "Project":
        """Read a project; MisuseError when there is none."""
        directory = directory.absolute()
        path = directory / "Pulumi.yaml"
        if not path.is_file():
            raise MisuseError(f"{directory} is no Pulumi project: it has no Pulumi.yaml")
        content = _load_yaml(path)
        if not isinstance(content.get("name"), str):
            raise MisuseError(f"{path} names no project; add a line such as: name: my-project")
        if not (directory / "__main__.py").is_file():
            raise MisuseError(f"{directory} has no __main__.py, the program that the sandbox runs")
        declared = content.get("config")
        return cls(directory, content["name"], declared if isinstance(declared, dict) else {})

    def stacks(self) -> list[str]:
        """Names of the stacks that have a file."""
        found = (_STACK_FILE.fullmatch(path.name) for path in self.directory.iterdir())
        return sorted(match["stack"] for match in found if match)

    def stack_file(self, stack: str) -> Path:
        """Path of a stack's file; MisuseError, with the names that do, when it has none."""
        stacks = self.stacks()
        if stack in stacks:
            return next(p for p in (self.directory / f"Pulumi.{stack}{end}" for end in (".yaml", ".yml")) if p.exists())
        nearest = difflib.get_close_matches(stack, stacks, 1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        have = f"stacks with a file: {', '.join(stacks)}" if stacks else "no stack has one"
        raise MisuseError(f'stack "{stack}" has no file Pulumi.{stack}.yaml in {self.directory} ({have}){hint}')

    def settings(self, stack: str) -> "StackSettings":
        """What the sandbox itself needs to know of a stack."""
        config = load_stack_config(self.stack_file(stack))
        return StackSettings(region=str(config.get("aws:region") or "us-east-1"), account=_first_account(config))


@dataclass(frozen=True)
class StackSettings:
    """Where a stack lives.

    Attributes:
        region: AWS region, such as `eu-central-1`.
        account: AWS account, 12 digits: the first one that the stack file allows.
    """

    region: str
    account: str


def load_stack_config(path: Path) -> Mapping[str, Any]:
    """The `config:` part of a stack file."""
    config = _load_yaml(path).get("config")
    return config if isinstance(config, dict) else {}


def _first_account(config: Mapping[str, Any]) -> str:
    allowed = config.get("aws:allowedAccountIds")
    if isinstance(allowed, str):  # `pulumi config set` without --path stores JSON
        try:
            allowed = json.loads(allowed)
        except ValueError:
            allowed = [allowed]
    return str(allowed[0]) if isinstance(allowed, list) and allowed else DEFAULT_ACCOUNT


def _load_yaml(path: Path) -> dict[str, Any]:
    from sandbox import safe_yaml  # noqa: PLC0415 - `--help` need not pay for it

    with yaml_problems(path):
        content = safe_yaml.read(path)
    return content if isinstance(content, dict) else {}


@contextlib.contextmanager
def yaml_problems(path: Path) -> Generator[None]:
    """Turn what the YAML parser complains of into a MisuseError with line and reason, without quoting the file."""
    import yaml  # noqa: PLC0415

    try:
        yield
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that doesn't exist
        place, reason = getattr(error, "problem_mark", None), str(getattr(error, "problem", None) or "")
        # The parser quotes punctuation, but also a tag or an alias, which may be a value that lacks its quotes.
        reason = "" if re.search(r"\w", "".join(reason.split("'")[1::2])) or '"' in reason else reason
        raise MisuseError(
            f"{path} is not valid YAML{f', line {place.line + 1}' if place else ''}{f': {reason}' if reason else ''}"
        ) from None
