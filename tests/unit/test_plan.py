"""The plan that the application prints for tools: what exists, without a value."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.names import Names
from config.declarations import Application, Service, TextSecret
from config.plan import plan
from tests.conftest import TICKETS

ROOT = Path(__file__).parents[2]
APPLICATION: Application = runpy.run_path(str(TICKETS / "catalogue.py"))["APPLICATION"]
ARN = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:elsewhere-a1B2c3"


def of(stack: str = "dev", **config: Any) -> dict[str, Any]:
    return dict(plan(APPLICATION, Names("p", stack), {f"p:{key}": value for key, value in config.items()}))


def part(kind: str, config_key: str | None = None, **fields: Any) -> dict[str, Any]:
    empty = {"number": 1, "keeps_previous": False, "length": None, "accepted_by": None}
    return {"kind": kind, "config_key": config_key, **empty, **fields}


@pytest.mark.parametrize(
    ("stack", "name", "parts"),
    [
        ("dev", "jwt-secret", {"": part("generated", "jwtSecret", keeps_previous=True, length=64)}),
        (
            "prod",
            "db-app-user",
            {
                "username": part("constant"),
                "password": part(
                    "generated",
                    "dbAppUserPassword",
                    length=32,
                    accepted_by={"server": "Aurora PostgreSQL", "host": "DATABASE_HOST"},
                ),
            },
        ),
        ("every-kind", "partner-key", {"": part("external")}),
        ("every-kind", "partner-login", {"": part("external")}),
        ("every-kind", "warehouse", {"token": part("external"), "url": part("external")}),
    ],
)
def test_parts_by_key_with_the_kind_of_source(stack: str, name: str, parts: dict[str, Any]) -> None:
    assert of(stack)["secrets"][name]["parts"] == parts


@pytest.mark.parametrize(
    ("rotations", "number"),
    [({"apiKey": 2}, 2), ({"apiKey": "3"}, 3), ('{"apiKey": 4}', 4), ({"apiKey": "s3cret"}, 1), ("s3cret", 1), ({}, 1)],
)
def test_the_number_that_the_configuration_asks_for(rotations: Any, number: int) -> None:
    assert of(rotations=rotations)["secrets"]["app-config"]["parts"]["API_KEY"]["number"] == number


@pytest.mark.parametrize(
    ("config", "name", "expected"),
    [
        ({}, "jwt-secret", {"owner": "stack", "adopt_arn": None, "full_name": "p-every-kind-jwt-secret"}),
        ({"adopt": {"jwt-secret": ARN}}, "jwt-secret", {"owner": "adopted", "adopt_arn": ARN}),
        ({"adopt": json.dumps({"jwt-secret": ARN})}, "jwt-secret", {"owner": "adopted", "adopt_arn": ARN}),
        ({"adopt": {"jwt-secret": "s3cret"}}, "jwt-secret", {"owner": "adopted", "adopt_arn": None}),
        ({}, "warehouse", {"owner": "team Data", "foreign_arn": None, "full_name": None}),
        ({"foreignSecrets": {"warehouse": ARN}}, "warehouse", {"foreign_arn": ARN}),
        ({"rotation": {"secret": "jwt-secret"}}, "jwt-secret", {"rotated": True}),
    ],
)
def test_who_owns_a_secret_and_what_changes_it(config: dict[str, Any], name: str, expected: dict[str, Any]) -> None:
    found = of("every-kind", **config)["secrets"][name]
    assert {key: found[key] for key in expected} == expected


def test_services_and_their_variables() -> None:
    found = of()
    assert found["services"]["app"]["family"] == "p-dev-app"
    secrets = found["services"]["app"]["container_secrets"]
    assert secrets["SMTP_PASSWORD"] == {"secret": "app-config", "key": "SMTP_PASSWORD"}
    assert secrets["APP_CONFIG"] == {"secret": "app-config", "key": None}
    assert found["variables"]["DATABASE_HOST"] == {"config_key": "databaseHost", "readers": None}
    assert "dbAppUserPassword" in found["secret_config_keys"], "of another stack: nobody may set it in the clear"


def test_a_text_in_the_place_of_a_source_is_not_printed() -> None:
    wrong = Application([Service("app")], [TextSecret("a", "s3cret")])  # pyright: ignore[reportArgumentType]
    assert "s3cret" not in json.dumps(plan(wrong, Names("p", "dev"), {}))


def run(directory: Path, stack: str) -> subprocess.CompletedProcess[str]:
    shutil.copytree(ROOT / "config", directory / "config", dirs_exist_ok=True)
    shutil.copytree(ROOT / "components", directory / "components", dirs_exist_ok=True)
    command = [sys.executable, "-m", "config.plan", "--stack", stack]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def test_the_command_needs_neither_pulumi_nor_values(tmp_path: Path) -> None:
    for file in ("catalogue.py", "Pulumi.yaml", "Pulumi.prod.yaml"):
        shutil.copy(TICKETS / file, tmp_path / file)
    for package in ("pulumi", "pulumi_aws", "boto3"):
        (tmp_path / f"{package}.py").write_text("raise ImportError('the plan needs none of it')")
    ended = run(tmp_path, "prod")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["schema"], found["project"], found["region"]) == (1, "service-ticket-system", "eu-central-1")
    assert found["account_ids"] == ["222222222222"]
    assert found["secrets"]["db-app-user"]["rotated"]
    assert found["names"]["key_alias"] == "alias/service-ticket-system-prod"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("Pulumi.dev.yaml", None, "Pulumi.dev.yaml can't be read: No such file or directory"),
        ("Pulumi.dev.yaml", 'config:\n  p:a: "s3cret\n', "is not valid YAML, line 3"),
        ("catalogue.py", "import nothing_of_the_kind", "catalogue.py can't be read: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, file: str, text: str | None, message: str) -> None:
    for name in ("catalogue.py", "Pulumi.yaml", "Pulumi.dev.yaml"):
        shutil.copy(TICKETS / name, tmp_path / name)
    (tmp_path / file).unlink() if text is None else (tmp_path / file).write_text(text)
    ended = run(tmp_path, "dev")
    assert ended.returncode != 0
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "s3cret" not in ended.stdout + ended.stderr
