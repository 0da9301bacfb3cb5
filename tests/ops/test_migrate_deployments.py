"""`migrate scan` of deployments in real shapes, without AWS: corpus/deployments/SOURCES.md names where each is from."""

import json
from pathlib import Path
from typing import Any

import pytest

from catalogue import APPLICATION
from components.names import Names
from config.settings import parse

Ops = Any

FOLDER = Path(__file__).parent / "corpus" / "deployments"
EC2 = ["networkMode", "requiresCompatibilities"]

# By file: the container or `--family`; the variables that look like secrets; those that can not be read here; what is lost.
DEPLOYMENTS: dict[str, tuple[str | None, list[str], list[str], list[str]]] = {
    "campus.json": (None, [], [], [*EC2, "taskRoleArn", "portMappings"]),
    "cashflow-engine.json": (
        None,
        [],
        ["SENTRY_DSN", "SUPABASE_KEY"],
        ["image", "ephemeralStorage", "tags", "taskRoleArn", "portMappings", "ulimits"],
    ),
    "chat-bot.json": (None, [], ["DATABASE_URL", "DISCORD_BOT_TOKEN"], ["image", "command", "logConfiguration"]),
    "chat-compose.yml": (
        "chat-server",
        ["DATABASE_URL"],
        [],
        ["container chat-web", "container chat-db", "image", "dependsOn"],
    ),
    "copilot-assistant.yml": (None, [], ["DATABASE_URI"], ["image", "copilot.variables"]),
    "copilot-displacement.yml": (
        "--family=prod",
        [],
        ["FLASK_SECRET_KEY", "FRONTEND_BASE_URL"],
        ["image", "copilot.variables"],
    ),
    "copilot-ledger.yml": (None, [], [], ["image", "copilot.KEY", "copilot.variables"]),
    "copilot-register.yml": (
        "register",
        [],
        ["JwtAuth__SecurityKey", "POSTGRES_CREDENTIALS"],
        ["container permissions: mountPoints", "image", "copilot.variables"],
    ),
    "copilot-rental.yml": ("--family=production", ["SENDER_SECRET_HEADER_"], [], ["image", "copilot.variables"]),
    "copilot-reports.yml": (
        None,
        ["JAVA_OPTS", "RP_AMQP_PASS", "RP_DB_PASS", "RP_STORE_SECRETKEY"],
        [],
        ["copilot.variables"],
    ),
    "copilot-subscribers.yml": (None, [], [], ["copilot.variables", "healthCheck"]),
    "document-server.json": (
        None,
        [],
        ["JWT_SECRET"],
        ["image", "taskRoleArn", "volumes", "mountPoints"],
    ),
    "ecs-exec.json": (None, [], [], ["taskRoleArn", "linuxParameters"]),
    "first-run.json": (None, [], [], []),
    "gitlab-runner.json": (None, [], [], ["taskRoleArn", "portMappings"]),
    "laravel-two-containers.json": (
        "php",
        ["DB_PASSWORD", "DB_USERNAME"],
        [],
        ["container nginx", "image", "taskRoleArn"],
    ),
    "laravel.env": (None, ["MAIL_PASSWORD"], ["MIX_APP_URL"], []),
    "nulls-on-ec2.json": (None, ["API_PIN"], [], EC2),
    "php-nginx-on-ec2.json": (
        "php",
        ["DB_PASS"],
        [],
        ["container nginx", "image", *EC2, "taskRoleArn", "volumes", "mountPoints"],
    ),
    "power-map.json": (
        None,
        [],
        ["DATABASE_URI", "JWT_PRIVATE_KEY", "TLS_KEY"],
        ["ephemeralStorage", "portMappings"],
    ),
    "presto.json": (
        None,
        [],
        [],
        ["tags", "command", "entryPoint", "startTimeout", "stopTimeout", "workingDirectory"],
    ),
    "rails-api.json": (
        None,
        ["SMTP_PW"],
        ["DB_HOST", "DB_PASSWORD", "SECRET_KEY_BASE"],
        ["taskRoleArn", "portMappings"],
    ),
    "reports-compose.yml": (
        None,
        [],
        ["REPORTS_AUTH_ISSUER", "REPORTS_MONGO_URI"],
        ["compose.deploy", "logConfiguration"],
    ),
    "topology-compose.yml": ("redis", [], [], ["container postgres", "container minio", "command", "healthCheck"]),
    "transaction-api.json": (
        None,
        [],
        ["BOOTSTRAP_SERVERS", "GLOBUS_CLIENT_ID"],
        ["image", "taskRoleArn", "portMappings"],
    ),
}
VALUES = ("tagebuch99", "4kLmWq7TzYbNsx", "brieftaube7", "blaubeere42", "3f9d2c8b7a6e5d4c3b2a190817263544", "4711")


def _scan(ops: Ops, tmp_path: Path, name: str, container: str | None) -> Any:
    family = (container or "").startswith("--family")
    chosen = (container,) if container and family else ("--container", container) if container else ()
    environment = {"AWS_EC2_METADATA_DISABLED": "true"}
    return ops(
        None, "migrate", "scan", str(FOLDER / name), "--to", str(tmp_path / "p"), "--json", *chosen, env=environment
    )


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_real_deployment_is_scanned_to_the_end(ops: Ops, tmp_path: Path, name: str) -> None:
    container, undecided, unread, lost = DEPLOYMENTS[name]
    done = _scan(ops, tmp_path, name, container)
    assert done.status == (1 if undecided or unread or lost else 0), done.err
    by_verdict = {
        verdict: [s["variable"] for s in done.json["steps"] if s["verdict"] == verdict]
        for verdict in ("undecided", "not read")
    }
    assert by_verdict == {"undecided": undecided, "not read": unread}
    assert done.json["not_carried"] == lost
    assert not any(value in done.out + done.err + (tmp_path / "p").read_text() for value in VALUES)


CHECKS = {
    "cashflow-engine.json": 60, "document-server.json": 60, "presto.json": 60, "transaction-api.json": 60,
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_a_containers_health_check_is_carried(ops: Ops, tmp_path: Path, name: str) -> None:
    parts = {part["where"]: part for part in _scan(ops, tmp_path, name, None).json["parts"]}
    check = json.loads(parts["healthCheck"]["settings"]["healthCheck"])
    assert parts["healthCheck"]["verdict"] == "carried"
    assert check["command"][0].startswith("CMD")
    assert check["startPeriod"] == CHECKS[name]


def test_a_containers_neighbours_are_carried_as_sidecars_that_the_program_takes(ops: Ops, tmp_path: Path) -> None:
    parts = {part["where"]: part for part in _scan(ops, tmp_path, "copilot-register.yml", "register").json["parts"]}
    assert [parts[f"container {name}"]["verdict"] for name in ("nginx", "permissions")] == ["carried", "carried"]
    carried = {**parts["container nginx"]["settings"], **parts["container permissions"]["settings"]}
    assert json.loads(carried["sidecars.nginx"]) == {
        "image": "public.ecr.aws/example/nginx-platform:latest", "environment": {}, "portMappings": [{"containerPort": 443}]
    }  # fmt: skip
    sidecars = {key.removeprefix("sidecars."): value for key, value in carried.items()}
    values = {
        "image": "a:1",
        "databaseHost": "db.internal",
        "redisHost": "redis.internal",
        "sidecars": json.dumps(sidecars),
    }
    supplied = {"smtpPassword": "x", "cloudflareToken": "y"}
    settings = parse(values | supplied, set(supplied), APPLICATION, Names("service-ticket-system", "dev"))
    assert set(settings.services["app"].sidecars) == {"nginx", "permissions"}


def test_what_has_no_containers_is_refused(ops: Ops, tmp_path: Path) -> None:
    done = _scan(ops, tmp_path, "no-containers.json", None)
    assert (done.status, "no containerDefinitions" in done.err) == (2, True)


def test_every_deployment_of_the_corpus_is_tried() -> None:
    assert {p.name for p in FOLDER.iterdir()} == {*DEPLOYMENTS, "no-containers.json", "SOURCES.md"}


def test_several_containers_are_all_listed(ops: Ops, tmp_path: Path) -> None:
    done = _scan(ops, tmp_path, "topology-compose.yml", None)
    assert (done.status, "--container: postgres, redis, minio" in done.err) == (2, True)


def test_a_secret_in_the_clear_elsewhere_is_told(ops: Ops, tmp_path: Path) -> None:
    parts = {p["where"]: p["why"] for p in _scan(ops, tmp_path, "topology-compose.yml", "redis").json["parts"]}
    assert parts["command"].startswith("command sets requirepass")
    assert parts["healthCheck"].startswith("healthCheck.command passes a password to a program")
