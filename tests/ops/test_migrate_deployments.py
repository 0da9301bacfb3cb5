"""`migrate scan` of deployments in real shapes, without AWS: corpus/deployments/SOURCES.md names where each is from."""

import json
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from catalogue import APPLICATION
from components.names import Names
from config.settings import parse
from tests.ops.conftest import Ops

FOLDER = Path(__file__).parent / "corpus" / "deployments"
CHOSEN = {
    "chat-compose.yml": "--container=chat-server", "copilot-displacement.yml": "--family=prod",
    "copilot-register.yml": "--container=register", "copilot-rental.yml": "--family=production",
    "laravel-two-containers.json": "--container=php", "php-nginx-on-ec2.json": "--container=php",
    "topology-compose.yml": "--container=redis",
}  # fmt: skip
NO_DEPLOYMENT = {"SOURCES.md", "no-containers.json"}
VALUES = ("tagebuch99", "4kLmWq7TzYbNsx", "brieftaube7", "blaubeere42", "3f9d2c8b7a6e5d4c3b2a190817263544", "4711")


def _scan(ops: Ops, tmp_path: Path, name: str, *chosen: str) -> Any:
    command = ("migrate", "scan", str(FOLDER / name), "--to", str(tmp_path / "p"), "--json", *chosen)
    return ops(None, *command, env={"AWS_EC2_METADATA_DISABLED": "true"})


@pytest.mark.parametrize("name", sorted({path.name for path in FOLDER.iterdir()} - NO_DEPLOYMENT))
def test_a_real_deployment_is_scanned_to_the_end(
    ops: Ops, tmp_path: Path, name: str, snapshot: SnapshotAssertion
) -> None:
    """The snapshot has each variable's verdict with its reason, and what becomes of everything else."""
    done = _scan(ops, tmp_path, name, *filter(None, [CHOSEN.get(name)]))
    assert done.status == (1 if done.json["undecided"] or done.json["not_carried"] else 0), done.err
    variables = [f"{step['variable']}: {step['verdict']}, {step['why']}" for step in done.json["steps"]]
    parts = [f"{part['where']}: {part['verdict']}, {part['why']} {part['settings']}" for part in done.json["parts"]]
    assert [*variables, *parts] == snapshot
    assert not any(value in done.out + done.err + (tmp_path / "p").read_text() for value in VALUES)


def test_a_containers_neighbours_are_carried_as_sidecars_that_the_program_takes(ops: Ops, tmp_path: Path) -> None:
    done = _scan(ops, tmp_path, "copilot-register.yml", "--container=register")
    settings = {key: value for part in done.json["parts"] for key, value in part["settings"].items()}
    sidecars = {key.removeprefix("sidecars."): value for key, value in settings.items() if key.startswith("sidecars.")}
    values = {
        "image": "a:1",
        "databaseHost": "db.internal",
        "redisHost": "redis.internal",
        "sidecars": json.dumps(sidecars),
    }
    supplied = {"smtpPassword": "x", "cloudflareToken": "y"}
    taken = parse(values | supplied, set(supplied), APPLICATION, Names("service-ticket-system", "dev"))
    assert set(taken.services["app"].sidecars) == {"nginx", "permissions"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-containers.json", "no containerDefinitions"),
        ("topology-compose.yml", "--container: postgres, redis, minio"),
    ],
)
def test_what_has_no_containers_or_several_is_refused(ops: Ops, tmp_path: Path, name: str, message: str) -> None:
    done = _scan(ops, tmp_path, name)
    assert (done.status, message in done.err) == (2, True)
