"""Configurations of a stack, as options of the command line, and what a stack then holds."""

import json
from typing import Any

NETWORK = {
    "schedule": "cron(0 3 ? * SUN *)",
    "subnetIds": ["subnet-0123456789abcdef0"],
    "securityGroupIds": ["sg-0123456789abcdef0"],
    "hostVariable": "DATABASE_HOST",
    "username": "postgres",
}
SINGLE_USER = {**NETWORK, "strategy": "single-user", "secret": "db-master-password"}
ALTERNATING = {
    **NETWORK,
    "strategy": "alternating-users",
    "secret": "db-app-user",
    "superuser": "db-master-password",
}


def with_application_user(copy: Any) -> Any:
    """Give a copy's stack what the catalogue gives `prod`: an application user of its own."""
    path = copy.directory / "catalogue.py"
    text = path.read_text(encoding="utf-8")
    assert '"prod": (' in text
    path.write_text(text.replace('"prod": (', f'"{copy.stack}": ('), encoding="utf-8")
    return copy


def given(**config: Any) -> tuple[str, ...]:
    """The `-c` options of a configuration."""
    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    return tuple(part for key, value in values.items() for part in ("-c", f"{key}={value}"))


def values(sandbox: Any, copy: Any) -> dict[str, str]:
    """The live values by catalogue name, read back from the local AWS."""
    client = sandbox.aws("secretsmanager", copy)
    names = sandbox.ok("outputs", *copy.options)["secrets"]
    return {name: client.get_secret_value(SecretId=one["full_name"])["SecretString"] for name, one in names.items()}
