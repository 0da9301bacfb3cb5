"""Where the variables of an old task definition go."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalogue import CATALOGUE
from ops.migrate._plan import Plan, PlanError, load, make, proposal, value_of
from ops.migrate._pulumi import Configured, property_path
from ops.migrate._task_definition import TaskDefinition, TaskDefinitionError, parse, read
from ops.migrate.apply import compare
from ops.migrate.verify import compare as verified

PASSWORD = "an old database password"
APP_CONFIG = {"REDIS_PASSWORD": "the old redis password", "SMTP_PASSWORD": "the old smtp password"}


def _definition(environment: dict[str, str], secrets: dict[str, str] | None = None, **more: Any) -> TaskDefinition:
    container = {
        "name": "api",
        "image": "registry/app:1.0",
        "portMappings": [{"containerPort": 8080}],
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        "secrets": [{"name": name, "valueFrom": reference} for name, reference in (secrets or {}).items()],
        **more,
    }
    return parse({"family": "old", "cpu": "512", "memory": "1024", "containerDefinitions": [container]}, "old.json")


def _plan(environment: dict[str, str], **more: Any) -> Plan:
    definition = _definition(environment, **more)
    return make(definition, definition.containers[0], environment, CATALOGUE)


def _verdicts(plan: Plan) -> dict[str, tuple[str, str | None]]:
    return {step.name: (step.verdict, step.config_key) for step in plan.steps}


def test_variables_of_the_catalogue_go_where_it_says() -> None:
    plan = _plan({"DB_PASSWORD": PASSWORD, "JWT_SECRET": "j", "SMTP_PASSWORD": "s", "ENCRYPTION_KEY": "e"})
    assert {s.name: (s.verdict, s.config_key, s.secret, s.secret_key) for s in plan.steps} == {
        "DB_PASSWORD": ("secret", "dbMasterPassword", "db-master-password", None),
        "JWT_SECRET": ("secret", "jwtSecret", "jwt-secret", None),
        "SMTP_PASSWORD": ("secret", "smtpPassword", "app-config", "SMTP_PASSWORD"),
        "ENCRYPTION_KEY": ("secret", "encryptionKey", "app-config", "ENCRYPTION_KEY"),
    }


def test_a_json_variable_is_taken_apart() -> None:
    plan = _plan({"APP_CONFIG": json.dumps({**APP_CONFIG, "FOO": "bar"})})
    assert _verdicts(plan) == {
        "APP_CONFIG.FOO": ("undecided", None),
        "APP_CONFIG.REDIS_PASSWORD": ("secret", "redisPassword"),
        "APP_CONFIG.SMTP_PASSWORD": ("secret", "smtpPassword"),
    }


def test_plain_variables_become_configuration() -> None:
    plan = _plan({"DATABASE_HOST": "db.internal", "REDIS_HOST": "redis.internal", "LOG_LEVEL": "info"})
    assert _verdicts(plan) == {
        "DATABASE_HOST": ("plain", "databaseHost"),
        "LOG_LEVEL": ("plain", "environment.LOG_LEVEL"),
        "REDIS_HOST": ("plain", "redisHost"),
    }
    assert plan.settings == {"image": "registry/app:1.0", "containerPort": "8080", "cpu": "512", "memory": "1024"}


def test_a_secret_that_the_catalogue_lacks_is_undecided() -> None:
    plan = _plan({"SENTRY_DSN": "https://abc@sentry.example.com/1"})
    (step,) = plan.undecided()
    assert (step.name, step.why) == ("SENTRY_DSN", "has the name of a secret")
    assert proposal(step) == '"SENTRY_DSN": Supplied("sentryDsn")'


def test_a_secret_inside_a_plain_value_is_undecided() -> None:
    plan = _plan({"DB_PASSWORD": PASSWORD, "CONNECTION": f"host=db user=app phrase={PASSWORD}"})
    assert [(s.name, s.why) for s in plan.undecided()] == [("CONNECTION", "holds the value of DB_PASSWORD")]


def test_two_values_for_one_place_are_undecided() -> None:
    plan = _plan({"APP_CONFIG": json.dumps(APP_CONFIG), "SMTP_PASSWORD": "another one"})
    (step,) = plan.undecided()
    assert step.name == "SMTP_PASSWORD"
    assert "differs" in step.why


def test_secrets_elsewhere_are_told() -> None:
    plan = _plan({}, command=["sh", "-c", "API_TOKEN=abcdefgh app"], dockerLabels={"db.password": "geheim123"})
    assert plan.elsewhere == {
        "container api, command": "sets API_TOKEN",
        "container api, dockerLabels.db.password": "sets password",
    }


def test_other_containers_are_looked_at() -> None:
    sidecar = {"name": "agent", "environment": [{"name": "DD_API_KEY", "value": "0123456789abcdef"}]}
    definition = parse({"containerDefinitions": [{"name": "api"}, sidecar]}, "f")
    plan = make(definition, definition.container("api"), {}, CATALOGUE)
    assert plan.elsewhere == {"container agent, environment.DD_API_KEY": "has the name of a secret"}


def test_a_plan_holds_no_value(tmp_path: Path) -> None:
    values = {"DB_PASSWORD": PASSWORD, "APP_CONFIG": json.dumps(APP_CONFIG), "LOG_LEVEL": "only-visible-once"}
    plan = _plan(values)
    plan.save(tmp_path / "plan.json")
    text = (tmp_path / "plan.json").read_text() + repr(plan)
    assert not any(value in text for value in (PASSWORD, *APP_CONFIG.values(), "only-visible-once"))
    assert load(tmp_path / "plan.json") == plan


Edit = Callable[[dict[str, Any]], object]


def _edited(tmp_path: Path, change: Edit) -> Path:
    path = tmp_path / "plan.json"
    _plan({"SENTRY_DSN": "https://abc@sentry.example.com/1", "DB_PASSWORD": PASSWORD}).save(path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


def test_an_operator_decides_by_the_verdict(tmp_path: Path) -> None:
    path = _edited(tmp_path, _verdict("plain"))
    assert load(path).undecided() == []


def _verdict(verdict: str) -> Edit:
    return lambda document: document["steps"][1].update(verdict=verdict)


EDITS: dict[str, tuple[Edit, str]] = {
    "version": (lambda d: d.update(version=2), "no migration plan of version 1"),
    "format": (lambda d: d.update(format="other"), "no migration plan"),
    "unknown verdict": (_verdict("maybe"), "the verdict of SENTRY_DSN is one of"),
    "no place": (_verdict("secret"), "has no place in catalogue.py"),
    "a field less": (lambda d: d["steps"][1].pop("variable"), "changed in more than its verdicts"),
    "no steps": (lambda d: d.pop("steps"), "changed in more than its verdicts"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_plan_that_makes_no_sense_is_refused(tmp_path: Path, edit: str) -> None:
    change, message = EDITS[edit]
    with pytest.raises(PlanError, match=message):
        load(_edited(tmp_path, change))


def test_a_value_that_is_gone_is_told() -> None:
    plan = _plan({"DB_PASSWORD": PASSWORD})
    with pytest.raises(PlanError, match="no longer has DB_PASSWORD"):
        value_of(plan.steps[0], {})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "no containerDefinitions"),
        ([], "no containerDefinitions"),
        ("text", "no containerDefinitions"),
        ({"taskDefinition": {"containerDefinitions": []}}, "no containerDefinitions"),
        ([{"name": "a", "environment": [{"value": "x"}]}], "an entry without a name"),
        ([{"name": "a", "environment": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}], "sets A twice"),
    ],
)
def test_what_is_no_task_definition_is_refused(document: Any, message: str) -> None:
    with pytest.raises(TaskDefinitionError, match=message):
        parse(document, "f")


def test_all_three_forms_of_a_file_are_read(tmp_path: Path) -> None:
    containers = [{"name": "api", "environment": [{"name": "A", "value": "1"}]}]
    for document in (
        containers,
        {"containerDefinitions": containers},
        {"taskDefinition": {"containerDefinitions": containers}},
    ):
        path = tmp_path / "td.json"
        path.write_text(json.dumps(document))
        assert read(str(path)).container(None).plain == {"A": "1"}


def test_the_container_must_be_named_when_there_are_several() -> None:
    definition = parse([{"name": "api"}, {"name": "agent"}], "f")
    with pytest.raises(TaskDefinitionError, match="--container: api, agent"):
        definition.container(None)
    assert definition.container("agent").name == "agent"


def test_configuration_is_compared_before_it_is_set() -> None:
    configured = {
        "dbMasterPassword": Configured("same", secret=True),
        "apiKey": Configured("clear", secret=False),
        "cpu": Configured("256", secret=False),
        "environment": Configured('{"LOG_LEVEL": "info", "DEBUG": true}', secret=False),
    }
    wanted = {
        "dbMasterPassword": ("same", True),
        "apiKey": ("clear", True),
        "cpu": ("512", False),
        "memory": ("1024", False),
        "environment.LOG_LEVEL": ("info", False),
        "environment.DEBUG": ("true", False),
        "environment.TZ": ("UTC", False),
    }
    assert {change.key: change.state for change in compare(wanted, configured)} == {
        "dbMasterPassword": "same",
        "apiKey": "replaces",
        "cpu": "replaces",
        "memory": "new",
        "environment.LOG_LEVEL": "same",
        "environment.DEBUG": "same",
        "environment.TZ": "new",
    }
    assert "same" not in repr(compare({"k": ("same", True)}, {}))


@pytest.mark.parametrize(
    ("name", "path"),
    [("db-master-password", "adopt.db-master-password"), ("a_b", "adopt.a_b"), ("team/db.x", 'adopt["team/db.x"]')],
)
def test_a_path_is_quoted_where_it_must_be(name: str, path: str) -> None:
    assert property_path("adopt", name) == path


SECRETS = {
    "DB_PASSWORD": "arn:db",
    "JWT_SECRET": "arn:jwt",
    "APP_CONFIG": "arn:app",
    "SMTP_PASSWORD": "arn:app:SMTP_PASSWORD::",
}
OLD = {
    "DB_PASSWORD": PASSWORD,
    "JWT_SECRET": "the old jwt secret",
    "SMTP_PASSWORD": "the old smtp password",
    "ENCRYPTION_KEY": "the old encryption key",
    "LOG_LEVEL": "info",
}
NEW = {
    "DB_PASSWORD": PASSWORD,
    "JWT_SECRET": "the old jwt secret",
    "SMTP_PASSWORD": "the old smtp password",
    "APP_CONFIG": json.dumps({"SMTP_PASSWORD": "the old smtp password", "ENCRYPTION_KEY": "the old encryption key"}),
    "LOG_LEVEL": "info",
}


def _verify(changes: dict[str, str], plain: dict[str, str] | None = None, **more: Any) -> dict[str, str]:
    new = _definition({"LOG_LEVEL": "info", **(plain or {})}, SECRETS, **more).containers[0]
    values = {**NEW, **(plain or {}), **changes}
    findings = list(verified(_plan(OLD), OLD, new, {k: v for k, v in values.items() if v}))
    assert not any(value in repr(findings) for value in (*OLD.values(),) if value != "info")
    return {finding.variable: finding.state for finding in findings}


def test_verify_is_content_with_the_same_values() -> None:
    assert _verify({}) == {
        "DB_PASSWORD": "equal",
        "ENCRYPTION_KEY": "moved",
        "JWT_SECRET": "equal",
        "LOG_LEVEL": "equal",
        "SMTP_PASSWORD": "equal",
        "APP_CONFIG": "added",
    }


@pytest.mark.parametrize(
    ("changes", "variable", "state"),
    [
        ({"JWT_SECRET": "another"}, "JWT_SECRET", "different"),
        ({"JWT_SECRET": ""}, "JWT_SECRET", "missing"),
        ({"LOG_LEVEL": "debug"}, "LOG_LEVEL", "different"),
        ({"APP_CONFIG": "{}"}, "ENCRYPTION_KEY", "missing"),
        ({"APP_CONFIG": '{"ENCRYPTION_KEY": "x"}'}, "ENCRYPTION_KEY", "different"),
    ],
)
def test_verify_finds_what_is_wrong(changes: dict[str, str], variable: str, state: str) -> None:
    assert _verify(changes)[variable] == state


def test_verify_finds_a_secret_that_is_still_in_the_clear() -> None:
    found = _verify(
        {},
        {"LEGACY": f"x={PASSWORD}", "STRIPE": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"},
        command=["sh", "-c", PASSWORD],
    )
    assert {name for name, state in found.items() if state == "in the clear"} == {"LEGACY", "STRIPE", "command"}
