"""Configurations of a stack, as options of the command line, and what a stack then holds or refuses."""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sandbox.home import REPOSITORY
from tests.sandbox.account import everything

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


def example_options(name: str, copy: Any, folder: Path) -> tuple[str, ...]:
    """The options of an example's stack beside a copy's, in the same account."""
    shipped, example = REPOSITORY / "examples" / name, folder / name
    shutil.copytree(shipped, example, ignore=shutil.ignore_patterns("Pulumi.*.yaml"))
    text = (shipped / "Pulumi.dev.yaml").read_text(encoding="utf-8").replace("111111111111", copy.account)
    text = text.replace("service-ticket-system/dev", f"service-ticket-system/{copy.stack}")
    (example / f"Pulumi.{copy.stack}.yaml").write_text(text, encoding="utf-8")
    return ("--project", str(example), "--stack", copy.stack)


def given(**config: Any) -> tuple[str, ...]:
    """The `-c` options of a configuration."""
    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    return tuple(part for key, value in values.items() for part in ("-c", f"{key}={value}"))


def values(sandbox: Any, copy: Any) -> dict[str, str]:
    """The live values by catalogue name, read back from the local AWS."""
    client = sandbox.aws("secretsmanager", copy)
    names = sandbox.ok("outputs", *copy.options)["secrets"]
    return {name: client.get_secret_value(SecretId=one["full_name"])["SecretString"] for name, one in names.items()}


def refused(sandbox: Any, copy: Any, *options: str) -> str:
    """What `up` says when it refuses; nothing in AWS has changed, and no live value is in what it says."""
    before = everything(partial(sandbox.aws, copy=copy))
    result = sandbox.quick("up", *copy.options, *options)
    assert result.status == 1, result.err
    assert everything(partial(sandbox.aws, copy=copy)) == before
    assert "Nothing was changed" in result.err, result.err
    assert "Traceback" not in result.err
    texts = [
        text for secret in before["secrets"].values() for v in secret.get("values", {}).values() for text in _texts(v)
    ]
    assert [text for text in texts if len(text) > _WORD and text in result.err + result.out] == []
    return result.err


_WORD = 9
"""Characters of a constant, such as a user's name, which a message can have, too."""


def _texts(value: str) -> Iterator[str]:
    yield from json.loads(value).values() if value.startswith("{") else [value]
