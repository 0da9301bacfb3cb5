"""The function's configuration, read from its environment variables; every problem is reported at once."""

import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import engines
from .errors import Cause, RotationError
from .grants import RULE, Grant, parse

ARCHIVE_ROOT = Path(__file__).resolve().parent.parent

ENGINES = tuple(sorted(module.name for module in pkgutil.iter_modules(engines.__path__) if module.name[0] != "_"))
STRATEGIES = ("single-user", "alternating-users")


@dataclass(frozen=True)
class Configuration:
    """Where the database is and how the secret is rotated; no field is secret."""

    engine: str
    host: str
    port: int
    database: str
    username: str
    """With `superuser_secret_arn`: "" if that secret names the superuser."""
    superuser_secret_arn: str | None
    """The superuser's secret with alternating-users, None with single-user."""
    ca_bundle: Path | None
    grants: tuple[Grant, ...] = ()
    """The application user's privileges if the function creates it; empty: the function creates no user."""


def read_configuration(environment: Mapping[str, str]) -> Configuration:
    """Read the variables that the package's docstring lists; raises `RotationError` that lists every problem."""
    reader = _Reader(environment)
    alternating = reader.choice("STRATEGY", STRATEGIES) == "alternating-users"
    ca_bundle = environment.get("CA_BUNDLE")
    bundle_path = ARCHIVE_ROOT / ca_bundle if ca_bundle else None
    if bundle_path and not bundle_path.is_file():
        reader.problems.append(f"CA_BUNDLE: there is no file {bundle_path}")
    configuration = Configuration(
        engine=reader.choice("ENGINE", ENGINES),
        host=reader.text("DATABASE_HOST"),
        port=reader.number("DATABASE_PORT", lowest=1, highest=65535),
        database=reader.text("DATABASE_NAME"),
        username=environment.get("DATABASE_USERNAME", "") if alternating else reader.text("DATABASE_USERNAME"),
        superuser_secret_arn=reader.text("SUPERUSER_SECRET_ARN") if alternating else None,
        ca_bundle=bundle_path,
        grants=reader.grants("USER_GRANTS") if alternating else (),
    )
    if reader.problems:
        raise RotationError(Cause.CONFIGURATION, "environment variables: " + "; ".join(reader.problems))
    return configuration


class _Reader:
    """Reads variables and collects their problems."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        value = self.environment.get(name, "")
        if not value:
            self.problems.append(f"{name} is not set")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name)
        if value and value not in allowed:
            self.problems.append(f"{name} must be one of {', '.join(allowed)}")
        return value

    def grants(self, name: str) -> tuple[Grant, ...]:
        try:
            lines: Any = json.loads(self.environment.get(name) or "[]")
            return tuple(parse(line) for line in lines)
        except (ValueError, TypeError) as error:
            self.problems.append(f"{name} {error}: a JSON array of lines, {RULE}")
        return ()

    def number(self, name: str, *, lowest: int, highest: int) -> int:
        text = self.text(name)
        if text.isascii() and text.isdigit() and lowest <= int(text) <= highest:
            return int(text)
        if text:
            self.problems.append(f"{name} must be a whole number from {lowest} to {highest}")
        return lowest
