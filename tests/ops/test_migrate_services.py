"""`ops migrate` of a task with several containers into an application with several services."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.names import Names
from config.declarations import Application, Catalogue, Generated, PlainVariable, Service, Supplied, TextSecret
from config.plan import plan
from ops import _plan
from ops.migrate import _target
from tests.ops.conftest import Deployed, Ops

SECRETS: Catalogue = (
    TextSecret("db-master-password", Generated("dbMasterPassword"), variable="DB_PASSWORD"),
    TextSecret("jwt-secret", Supplied("jwtSecret"), variable="JWT_SECRET", readers={"worker"}),
)
TWO = Application((Service("app"), Service("worker")), SECRETS, (PlainVariable("DATABASE_HOST", "databaseHost"),))


@pytest.fixture
def two_services(stack: Deployed, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """A stack of two services, each with its own task definition."""

    def read_plan(name: str, _directory: Path | None) -> _plan.Plan:
        return _plan.parse(plan(TWO, Names(stack.prefix, name), {}))

    monkeypatch.setattr(_target, "read_plan", read_plan)
    references = stack.service["container_secrets"]
    secrets = {
        "app": [{"name": "DB_PASSWORD", "valueFrom": references["DB_PASSWORD"]}],
        "worker": [{"name": name, "valueFrom": references[name]} for name in ("DB_PASSWORD", "JWT_SECRET")],
    }
    services: dict[str, Any] = {}
    for name, own in secrets.items():
        level = "info" if name == "app" else "debug"
        environment = [{"name": "DATABASE_HOST", "value": "db.internal"}, {"name": "LOG_LEVEL", "value": level}]
        containers = stack.containers(name=name, secrets=own, environment=environment)
        arn = stack.register(containers, family=f"{stack.prefix}-{name}")
        variables = {entry["name"]: entry["valueFrom"] for entry in own}
        services[name] = {**stack.service, "task_definition_arn": arn, "container_secrets": variables}
    stack.outputs["services"] = services
    stack.outputs_file.write_text(json.dumps(stack.outputs), encoding="utf-8")
    return stack


def _old(stack: Deployed, tmp_path: Path) -> Path:
    def container(name: str, level: str, **variables: str) -> dict[str, Any]:
        values = {"DATABASE_HOST": "db.internal", "LOG_LEVEL": level, **variables}
        environment = [{"name": variable, "value": value} for variable, value in values.items()]
        ports = [{"containerPort": 3000}]
        return {"name": name, "image": stack.image, "environment": environment, "portMappings": ports}

    password, jwt = stack.values["db-master-password"], stack.values["jwt-secret"]
    document = {
        "family": "old", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [
            container("web", "info", DB_PASSWORD=password),
            {**container("worker", "debug", DB_PASSWORD=password, JWT_SECRET=jwt), "user": "1000"},
            {"name": "agent", "image": "datadog/agent:7"},
        ],
    }  # fmt: skip
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document))
    return path


def test_a_secret_of_another_service_has_no_place(two_services: Deployed, ops: Ops, tmp_path: Path) -> None:
    path = _old(two_services, tmp_path)
    path.write_text(path.read_text().replace('"LOG_LEVEL"', '"JWT_SECRET"', 1))
    done = ops(None, "migrate", "scan", str(path), "--to", str(tmp_path / "p"), "--container", "web=app", "--json")
    assert {s["variable"]: s["verdict"] for s in done.json["steps"]}["JWT_SECRET"] == "undecided"


def test_each_container_becomes_a_service_and_verify_compares_every_one(
    two_services: Deployed, ops: Ops, tmp_path: Path
) -> None:
    stack, plan = two_services, tmp_path / "p"
    at = ("--to", str(plan), "--container", "web=app", "--container", "worker")
    done = ops(None, "migrate", "scan", str(_old(stack, tmp_path)), *at, "--json")
    assert done.status == 1
    assert done.json["containers"] == {"web": "app", "worker": "worker"}
    keys = {(s["container"], s["variable"]): s["config_key"] for s in done.json["steps"]}
    assert keys["worker", "JWT_SECRET"] == "jwtSecret"
    assert keys["worker", "LOG_LEVEL"] == "services.worker.environment.LOG_LEVEL"
    assert done.json["not_carried"] == ["container agent", "container worker: user"]

    def states(*kinds: str) -> dict[str, str]:
        found = ops(stack, "migrate", "verify", str(plan), "--json").json["findings"]
        return {f["name"]: f["state"] for f in found if f["state"] != "equal" and f["kind"] in kinds}

    assert states("variable", "part") == {"container agent": "missing", "container worker: user": "missing"}
    plan.write_text(plan.read_text().replace('"undecided"', '"drop"'))
    done = ops(stack, "migrate", "verify", str(plan))
    assert done.status == 0, done.out
    assert "2 parts were left out, as the plan says" in done.err
    worker = stack.outputs["services"]["worker"]
    worker["task_definition_arn"] = stack.outputs["services"]["app"]["task_definition_arn"]
    stack.outputs_file.write_text(json.dumps(stack.outputs), encoding="utf-8")
    assert states("variable") == {"worker: JWT_SECRET": "missing", "worker: LOG_LEVEL": "different"}
