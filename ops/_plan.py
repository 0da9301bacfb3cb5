"""The application's plan of a stack, as `python -m config.plan` of its project prints it: what exists, without a value.

The tools import no catalogue: this is all that they know of an application before there are outputs.
"""

import functools
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.outputs import Part
from ops._aws import Aws
from ops._errors import MisuseError
from ops._patience import run_command
from ops._stack import ROOT

SCHEMA = 1
"""The format that this module reads."""

WHOLE = ""
"""The part of a secret that is one text, or a JSON whose keys the application does not know."""

_NO_PLAN = re.compile(r"No module named '?config\b|there is no catalogue\.py here")
_ARN_NAME = re.compile(r".*:secret:(.+)-\w{6}")


class NoPlanError(MisuseError):
    """The project prints no plan."""


@dataclass(frozen=True)
class Secret:
    """One entry of the catalogue.

    Attributes:
        full_name: AWS's name of it, None for a foreign secret.
        owner: `stack`, `adopted`, or who owns a foreign secret.
        adopt_arn: The ARN that the configuration adopts.
        variable: The container variable that gets the whole value.
        parts: Its parts by JSON key, `WHOLE` for a text.
    """

    name: str
    full_name: str | None
    owner: str
    adopt_arn: str | None
    json: bool
    variable: str | None
    parts: Mapping[str, Part]

    @property
    def foreign(self) -> bool:
        """Whether it has another owner."""
        return self.full_name is None

    @property
    def keys_are_known(self) -> bool:
        """Whether it is a JSON object with declared keys."""
        return self.json and WHOLE not in self.parts

    @property
    def live_name(self) -> str | None:
        """The name that it has in AWS: an adopted secret keeps its own."""
        found = _ARN_NAME.fullmatch(self.adopt_arn or "")
        return found[1] if found else self.full_name


@dataclass(frozen=True)
class Reference:
    """What fills a container variable: a secret's name in the catalogue, and its JSON key or None for all."""

    secret: str
    key: str | None


@dataclass(frozen=True)
class Plan:
    """The resources that a stack would have.

    Attributes:
        prefix: What the stack's names begin with: `<project>-<stack>`.
        region: The Region that the stack's file gives.
        account_ids: The accounts that the stack's file allows.
        secrets: By name in the catalogue.
        services: The container variables that are secrets, by service.
        hosts: The configuration keys of the plain variables that every stack must set, by variable.
        secret_variables: The container variables that get a secret in any stack.
    """

    prefix: str
    region: str | None
    account_ids: tuple[str, ...]
    secrets: Mapping[str, Secret]
    services: Mapping[str, Mapping[str, Reference]]
    hosts: Mapping[str, str]
    secret_variables: frozenset[str]
    key_alias: str
    key_description: str


def project_directory() -> Path:
    """Return the Pulumi project's folder: the current one or the nearest above it, else this repository."""
    here = Path.cwd()
    return next((one for one in (here, *here.parents) if (one / "Pulumi.yaml").is_file()), ROOT)


def read_plan(stack: str, directory: Path | None = None, *, configured: bool = False) -> Plan:
    """Return the application's plan of a stack, whose name is without organisation and project.

    Unless it must be `configured`, the plan of a stack without a file is what its name alone says.

    Raises:
        NoPlanError: When the project prints no plan.
        MisuseError: When it fails, with its reason.
    """
    directory = directory or project_directory()
    text = _printed(stack, directory, without_file=not (configured or (directory / f"Pulumi.{stack}.yaml").is_file()))
    try:
        raw = json.loads(text)
        if raw["schema"] != SCHEMA:
            raise MisuseError(f"stack {stack}: the plan has schema {raw['schema']}, these tools read {SCHEMA}")
        return parse(raw)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise MisuseError(f"stack {stack}: what {directory} prints is not a plan") from None


def connect_planned(stack: str, found: Plan, region: str | None = None) -> tuple[Aws, str]:
    """Return AWS for a plan's stack, in another Region if one is given, and the account.

    Raises:
        MisuseError: When the Region is unknown, or the credentials are of another account.
    """
    region = region or found.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise MisuseError(
            f"the Region of stack {stack} is unknown: Pulumi.{stack}.yaml has no aws:region; set AWS_REGION"
        )
    aws = Aws(region)
    account = aws.caller().account
    if found.account_ids and account not in found.account_ids:
        allowed = ", ".join(found.account_ids)
        raise MisuseError(f"your credentials belong to account {account}, Pulumi.{stack}.yaml allows {allowed} only")
    return aws, account


def parse(raw: Mapping[str, Any]) -> Plan:
    """Return a printed plan."""
    return Plan(
        prefix=raw["names"]["prefix"],
        region=raw["region"],
        account_ids=tuple(raw["account_ids"]),
        secrets={name: _secret(name, secret) for name, secret in raw["secrets"].items()},
        services={
            name: {variable: Reference(**found) for variable, found in service["container_secrets"].items()}
            for name, service in raw["services"].items()
        },
        hosts={name: variable["config_key"] for name, variable in raw["variables"].items()},
        secret_variables=frozenset(raw["secret_variables"]),
        key_alias=raw["names"]["key_alias"],
        key_description=raw["names"]["key_description"],
    )


def _secret(name: str, raw: Mapping[str, Any]) -> Secret:
    parts = {key: Part(part["kind"], part["config_key"], part["number"]) for key, part in raw["parts"].items()}
    return Secret(name, raw["full_name"], raw["owner"], raw["adopt_arn"], raw["json"], raw["variable"], parts)


@functools.cache
def _printed(stack: str, directory: Path, *, without_file: bool) -> str:
    command = [sys.executable, "-m", "config.plan", f"--stack={stack}"]
    command += ["--config-file", os.devnull] if without_file else []
    paths = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = run_command(command, f"`python -m config.plan` in {directory}", folder=directory, environment=environment)
    if done.returncode:
        said = done.stderr.strip().rpartition("error: ")[2]
        kind = NoPlanError if _NO_PLAN.search(said) else MisuseError
        raise kind(f"stack {stack}: {said}")
    return done.stdout
