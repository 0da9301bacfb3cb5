"""The function's configuration, read from its environment variables; every problem is reported at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from .errors import Cause, RotationError

ARCHIVE_ROOT = Path(__file__).resolve().parent.parent

Strategy = Literal["single-user", "alternating-users"]
STRATEGIES = ("single-user", "alternating-users")


@dataclass(frozen=True)
class Configuration:
    """Where the database is and how the secret is rotated; no field is secret."""

    strategy: Strategy
    host: str
    port: int
    database: str
    username: str
    superuser_secret_arn: str | None
    ca_bundle: Path | None
    password_length: int
    timeout: int
    """Seconds for a connection attempt and for each answer of the database."""


def read_configuration(environment: Mapping[str, str]) -> Configuration:
    """Read the variables that the package's docstring lists; raises `RotationError` that lists every problem."""
    reader = _Reader(environment)
    strategy = reader.text("STRATEGY")
    if strategy and strategy not in STRATEGIES:
        reader.problems.append(f"STRATEGY must be one of {', '.join(STRATEGIES)}")
    alternating = strategy == "alternating-users"
    ca_bundle = environment.get("CA_BUNDLE")
    bundle_path = ARCHIVE_ROOT / ca_bundle if ca_bundle else None
    if bundle_path and not bundle_path.is_file():
        reader.problems.append(f"CA_BUNDLE: there is no file {bundle_path}")
    configuration = Configuration(
        strategy=cast("Strategy", strategy),
        host=reader.text("DATABASE_HOST"),
        port=reader.number("DATABASE_PORT", default=5432, lowest=1, highest=65535),
        database=reader.text("DATABASE_NAME"),
        username=reader.text("DATABASE_USERNAME"),
        superuser_secret_arn=reader.text("SUPERUSER_SECRET_ARN") if alternating else None,
        ca_bundle=bundle_path,
        password_length=reader.number("PASSWORD_LENGTH", default=32, lowest=16, highest=128),
        timeout=reader.number("DATABASE_TIMEOUT", default=5, lowest=1, highest=60),
    )
    if reader.problems:
        raise RotationError(Cause.CONFIGURATION, "environment variables: " + "; ".join(reader.problems))
    return configuration


class _Reader:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        value = self.environment.get(name, "")
        if not value or "\0" in value:
            self.problems.append(f"{name} is not set")
        return value

    def number(self, name: str, *, default: int, lowest: int, highest: int) -> int:
        text = self.environment.get(name) or str(default)
        if text.isascii() and text.isdigit() and lowest <= int(text) <= highest:
            return int(text)
        self.problems.append(f"{name} must be a whole number from {lowest} to {highest}")
        return default
