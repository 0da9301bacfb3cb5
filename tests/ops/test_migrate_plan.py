"""Where the variables of an old task definition go."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.names import Names
from config.declarations import Application, ForeignSecret, Service
from config.plan import plan as printed_plan
from ops._errors import MisuseError
from ops._plan import parse as parse_plan
from ops._pulumi import Configured, property_path, sandbox_command
from ops.migrate._plan import Plan, PlanError, Variables, load, make, value_of
from ops.migrate._source import assigned
from ops.migrate._target import Target, target_of
from ops.migrate._task_definition import TaskDefinition, TaskDefinitionError, parse
from ops.migrate.apply import compare
from ops.migrate.verify import compare as verified
from sandbox.project import Project
from sandbox.stack_config import StackConfig, parse_override
from tests.conftest import TICKETS

PASSWORD = "an old database password"
FARGATE = {"requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "512", "memory": "1024"}
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
    return parse({**FARGATE, "family": "old", "containerDefinitions": [container]}, "old.json")


def _plan(environment: dict[str, str], **more: Any) -> Plan:
    return _planned(_definition(environment, **more), Variables(environment))


def _planned(task: TaskDefinition, variables: Variables | None = None, target: Target | None = None) -> Plan:
    target = target or target_of("dev", TICKETS)
    return make(task, {"api": "app"}, {"api": variables or Variables({})}, target, "dev")


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
    assert plan.settings() == {"image": "registry/app:1.0", "containerPort": "8080", "cpu": "512", "memory": "1024"}
    assert plan.not_carried() == []


def test_a_secret_inside_a_plain_value_is_undecided() -> None:
    plan = _plan({"DB_PASSWORD": PASSWORD, "CONNECTION": f"host=db user=app phrase={PASSWORD}"})
    assert [(s.name, s.why) for s in plan.undecided()] == [("CONNECTION", "holds the value of DB_PASSWORD")]


def test_two_values_for_one_place_are_undecided() -> None:
    plan = _plan({"APP_CONFIG": json.dumps(APP_CONFIG), "SMTP_PASSWORD": "another one"})
    (step,) = plan.undecided()
    assert step.name == "SMTP_PASSWORD"
    assert "differs" in step.why


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
    "version": (lambda d: d.update(version=1), "is not a migration plan of version 2"),
    "format": (lambda d: d.update(format="other"), "is not a migration plan"),
    "unknown verdict": (_verdict("maybe"), "the verdict of SENTRY_DSN is one of"),
    "no place": (_verdict("secret"), "has no place in catalogue.py"),
    "an unknown verdict of a part": (lambda d: d["parts"][0].update(verdict="plain"), "the verdict of image is one of"),
    "a part that nothing carries": (
        lambda d: d["parts"].append({"where": "ulimits", "verdict": "carried", "why": "", "settings": {}}),
        "ulimits is carried over by no setting",
    ),
    "a secret in the clear": (
        lambda d: d["steps"][0].update(verdict="plain"),
        "DB_PASSWORD is a secret of the catalogue and can't be a plain variable",
    ),
    "a secret in the clear without its place": (
        lambda d: d["steps"][0].update(verdict="plain", secret=None),
        "DB_PASSWORD can't be a plain variable",
    ),
    "a plain variable elsewhere": (
        lambda d: d["steps"][1].update(verdict="plain", config_key="aws:region"),
        "SENTRY_DSN can't be a plain variable",
    ),
}
OF_ANOTHER_FORM: dict[str, Edit] = {
    "a field less": lambda d: d["steps"][1].pop("variable"),
    "no steps": lambda d: d.pop("steps"),
    "a field more": lambda d: d["steps"][1].update(colour="red"),
    "a step that is text": lambda d: d["steps"].append("DB_PASSWORD"),
    "a step of numbers": lambda d: d["steps"][1].update(verdict=[]),
    "parts as an object": lambda d: d.update(parts={}),
    "settings as a list": lambda d: d["parts"][0].update(settings=[]),
    "a setting of another kind": lambda d: d["parts"][0]["settings"].update(cpu=5),
    "containers of numbers": lambda d: d.update(containers={"api": 5}),
    "source as a number": lambda d: d.update(source=5),
}
REFUSED = EDITS | {name: (edit, "changed in more than its verdicts") for name, edit in OF_ANOTHER_FORM.items()}


@pytest.mark.parametrize("edit", REFUSED)
def test_an_invalid_plan_is_refused(tmp_path: Path, edit: str) -> None:
    change, message = REFUSED[edit]
    with pytest.raises(PlanError, match=message) as refused:
        load(_edited(tmp_path, change))
    assert not any(internal in str(refused.value) for internal in ("__init__", "NoneType", "\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "line 1, column 2"), (b"\xff\xfe", "not UTF-8 text"), (b"[" * 200_000, "nested too deeply")],
)
def test_a_plan_that_is_no_json_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(PlanError, match=message):
        load(path)
    with pytest.raises(PlanError, match="Is a directory"):
        load(tmp_path)


def test_an_edit_of_more_than_a_verdict_is_a_difference(tmp_path: Path) -> None:
    fresh = _plan({"SENTRY_DSN": "https://abc@sentry.example.com/1", "DB_PASSWORD": PASSWORD})
    edits: dict[str, Edit] = {
        "": _verdict("drop"),
        "DB_PASSWORD": lambda d: d["steps"][0].update(config_key="aws:region"),
        "SENTRY_DSN": lambda d: d["steps"].append(d["steps"][1]),
        "DB_PASSWORD, SENTRY_DSN": lambda d: d["steps"].clear(),
        "image": lambda d: d["parts"][0]["settings"].update(image="other:1"),
        "name": lambda d: d.update(name="other"),
        "containers": lambda d: d.update(containers={"api": "other"}),
    }
    for name, edit in edits.items():
        assert ", ".join(load(_edited(tmp_path, edit)).differences(fresh)) == name


def test_an_empty_variable_is_left_out() -> None:
    plan = _plan({"EMPTY": "", "DATABASE_HOST": "", "APP_CONFIG": "", "DB_PASSWORD": ""})
    assert {step.name: (step.verdict, step.why) for step in plan.steps} == {
        "EMPTY": ("drop", "is empty"),
        "DATABASE_HOST": ("drop", "is empty"),
        "APP_CONFIG": ("drop", "is empty"),
        "DB_PASSWORD": ("secret", "is in the catalogue"),
    }


@pytest.mark.parametrize("name", ["dot.ted", "EXT[1", " sp ace", "1ST", "USE_API_KEY"])
def test_a_name_that_the_program_refuses_is_undecided_and_never_plain(name: str, tmp_path: Path) -> None:
    plan = _plan({name: "false"})
    (step,) = plan.undecided()
    assert "name" in step.why
    assert step.config_key is None
    replace(plan, steps=(replace(step, verdict="plain"),)).save(tmp_path / "p")
    with pytest.raises(PlanError, match="can't be a plain variable: it has"):
        load(tmp_path / "p")


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("postgres://app:hunter2xyz@db", "holds a known format: Basic Auth Credentials"),
        ("db.internal:5432", "has a port; databaseHost accepts a host name alone, such as db.internal"),
    ],
)
def test_what_is_no_host_name_is_undecided_before_anything_is_set(host: str, why: str) -> None:
    (step,) = _plan({"DATABASE_HOST": host}).undecided()
    assert (step.config_key, step.why) == (None, why)


def test_a_value_that_is_gone_is_told() -> None:
    plan = _plan({"DB_PASSWORD": PASSWORD})
    with pytest.raises(PlanError, match="no longer has DB_PASSWORD"):
        value_of(plan.steps[0], {"api": Variables({})})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "no containerDefinitions"),
        ([], "no containerDefinitions"),
        ("text", "no containerDefinitions"),
        ({"taskDefinition": {"containerDefinitions": []}}, "no containerDefinitions"),
        ([{"name": "a", "environment": [{"value": "x"}]}], "an entry without a name"),
        ([{"name": "a", "environment": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}], "sets A twice"),
        ([{"name": "a", "environment": ["A=geheim"]}], "container a: environment is not a list of objects"),
        ([{"name": "a", "environment": 5}], "environment is not a list of objects"),
        ([{"name": "a", "secrets": "geheim"}], "secrets is not a list of objects"),
        ([{"name": "a", "environmentFiles": ["geheim"]}], "environmentFiles is not a list of objects"),
        ([{"name": "a", "portMappings": ["3000"]}], "portMappings is not a list of objects"),
        ([{"name": "a", "portMappings": [{"containerPort": "abc"}]}], "the containerPort is not a port number"),
        ([{"name": "a", "dockerLabels": ["geheim"]}], "dockerLabels is not an object"),
        ([{"name": "a", "logConfiguration": "geheim"}], "logConfiguration is not an object"),
        ([{"name": "a", "logConfiguration": {"options": ["geheim"]}}], "options is not an object"),
        ([{"name": "a", "healthCheck": "geheim"}], "healthCheck is not an object"),
        ([{"name": "a", "firelensConfiguration": {"options": ["geheim"]}}], "options is not an object"),
        ({"containerDefinitions": [{"name": "a"}], "runtimePlatform": "ARM64"}, "f: runtimePlatform is not an object"),
        ([{"taskDefinition": {}}], "no containerDefinitions"),
        ([{}], "no containerDefinitions"),
        ([{"name": "a"}, {"name": "a"}], "has the container a twice"),
        (
            [{"name": "a", "environment": [{"name": "A", "value": "geheim"}], "secrets": [{"name": "A"}]}],
            "container a: A is in environment and in secrets",
        ),
    ],
)
def test_what_is_no_task_definition_is_refused(document: Any, message: str) -> None:
    with pytest.raises(TaskDefinitionError, match=message) as refused:
        parse(document, "f")
    assert "geheim" not in str(refused.value)


def test_what_ecs_would_not_take_is_still_read() -> None:
    environment = [{"name": "DEBUG", "value": True}, {"name": "N", "value": 5}, {"name": "NONE"}]
    command, ports = "app --password=geheim123", [{"containerPort": "3000"}]
    raw = {"name": "api", "portMappings": ports, "command": command, "environment": environment}
    (container,) = parse([raw], "f").containers
    assert container.port == 3000
    assert container.plain == {"DEBUG": "true", "N": "5", "NONE": ""}
    assert container.texts == {"command": "app --password=geheim123"}


TWO = parse([{"name": "web"}, {"name": "jobs"}, {"name": "agent"}], "f")


@pytest.mark.parametrize(
    ("given", "services", "found"),
    [
        (["agent"], ["app"], {"agent": "app"}),
        ((), ["web", "jobs"], {"web": "web", "jobs": "jobs"}),
        (["jobs", "agent=web"], ["web", "jobs"], {"jobs": "jobs", "agent": "web"}),
        (["web=api", "jobs=worker"], ["api", "worker"], {"web": "api", "jobs": "worker"}),
    ],
)
def test_several_containers_become_several_services(
    given: list[str], services: list[str], found: dict[str, str]
) -> None:
    assert assigned(TWO, given, services) == found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "--container: web, jobs, agent"),
        ((), "--container .NAME=api . NAME=worker.: web, jobs, agent"),
        (["nope"], "there is no container nope; f has web, jobs, agent"),
        (["web"], "--container web=SERVICE, one of api, worker"),
        (["web=nope"], "--container web=SERVICE, one of api, worker"),
        (["web=api", "jobs=api"], "one container becomes one service"),
    ],
)
def test_an_unclear_assignment_is_refused(given: list[str] | None, message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        assigned(TWO, given or (), ["app"] if given is None else ["api", "worker"])


def test_services_have_settings_and_variables_of_their_own() -> None:
    application = target_of("dev", TICKETS)
    target = replace(application, services=dict.fromkeys(("api", "worker"), application.services["app"]))
    task = parse({**FARGATE, "containerDefinitions": [{"name": n, "image": f"{n}:1"} for n in ("web", "jobs")]}, "f")
    variables = {
        "web": Variables({"LOG_LEVEL": "info", "TZ": "UTC", "DATABASE_HOST": "db", "DB_PASSWORD": PASSWORD}),
        "jobs": Variables({"LOG_LEVEL": "debug", "TZ": "UTC", "DATABASE_HOST": "db2", "DB_PASSWORD": "another one"}),
    }
    plan = make(task, {"web": "api", "jobs": "worker"}, variables, target, "dev")
    assert {(s.container, s.name): (s.verdict, s.config_key) for s in plan.steps if s.variable != "DB_PASSWORD"} == {
        ("web", "DATABASE_HOST"): ("plain", "databaseHost"),
        ("web", "LOG_LEVEL"): ("plain", "services.api.environment.LOG_LEVEL"),
        ("web", "TZ"): ("plain", "environment.TZ"),
        ("jobs", "DATABASE_HOST"): ("undecided", "databaseHost"),
        ("jobs", "LOG_LEVEL"): ("plain", "services.worker.environment.LOG_LEVEL"),
        ("jobs", "TZ"): ("plain", "environment.TZ"),
    }
    assert [plan.label(s) for s in plan.undecided()] == ["jobs: DATABASE_HOST", "jobs: DB_PASSWORD"]
    assert plan.settings() == {
        "services.api.image": "web:1", "services.api.cpu": "512", "services.api.memory": "1024",
        "services.worker.image": "jobs:1", "services.worker.cpu": "512", "services.worker.memory": "1024",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cpu", "memory", "settings"),
    [
        ("1 vCPU", "2 GB", {"cpu": "1024", "memory": "2048"}),
        (".5 vcpu", "1GB", {"cpu": "512", "memory": "1024"}),
        ("0.25 vCPU", "0.5 GB", {"cpu": "256", "memory": "512"}),
        ("512", "1024", {"cpu": "512", "memory": "1024"}),
        ("128", "300", {"cpu": "256", "memory": "512"}),
        ("512", "8192", {"cpu": "1024", "memory": "8192"}),
        ("65536", "8192", {}),
        ("<CPU>", "512", {}),
    ],
)
def test_a_size_is_read_as_ecs_reads_it_and_made_one_of_fargates(
    cpu: str, memory: str, settings: dict[str, str]
) -> None:
    task = parse({**FARGATE, "cpu": cpu, "memory": memory, "containerDefinitions": [{"name": "api"}]}, "f")
    plan = _planned(task)
    assert plan.settings() == settings
    assert [part.where for part in plan.not_carried()] == ([] if settings else ["cpu, memory"])


@pytest.mark.parametrize(
    ("image", "taken"),
    [
        ("nginx", "nginx:latest"),
        ("registry:5000/app", "registry:5000/app:latest"),
        ("app:1", "app:1"),
        (f"app@sha256:{'0' * 64}", f"app@sha256:{'0' * 64}"),
        ("<IMAGE1_NAME>", None),
        ("has space:1", None),
    ],
)
def test_an_image_is_read_as_ecs_reads_it_or_is_undecided(image: str, taken: str | None) -> None:
    task = parse({**FARGATE, "containerDefinitions": [{"name": "api", "image": image}]}, "f")
    plan = _planned(task)
    assert plan.settings().get("image") == taken
    assert [part.where for part in plan.not_carried()] == ([] if taken else ["image"])


def test_what_could_not_be_read_needs_a_decision_and_the_rest_is_judged() -> None:
    variables = Variables({"SENTRY_DSN": "https://abc@x/1"}, {"JWT_SECRET": "no rights", "OTHER": "no Region"})
    plan = _planned(_definition({}), variables)
    assert {s.name: (s.verdict, s.secret, s.why) for s in plan.steps} == {
        "JWT_SECRET": ("not read", "jwt-secret", "no rights"),
        "OTHER": ("not read", None, "no Region"),
        "SENTRY_DSN": ("undecided", None, "has the name of a secret"),
    }
    assert len(plan.undecided()) == 3


@pytest.mark.parametrize("name", ["PGPASSWORD", "DB_PASSWORD"])
def test_a_secret_that_rds_manages_is_named_and_never_copied(name: str) -> None:
    (step,) = _planned(_definition({}), Variables({}, {name: "no rights"}, {name: "rds"})).undecided()
    assert (step.name, step.secret, step.config_key, step.can_be_plain({})) == (name, None, None, False)
    assert f'ForeignSecret("{name.lower().replace("_", "-")}", "rds")' in step.why


def test_a_variable_that_a_foreign_secret_gives_is_known() -> None:
    foreign = ForeignSecret("database", "Amazon RDS", keys={"password"}, variables={"password": "PGPASSWORD"})
    printed = parse_plan(printed_plan(Application((Service("app"),), (foreign,)), Names("p", "dev"), {}))
    target = Target(printed.services, printed.secrets)
    variables = Variables({}, {"PGPASSWORD": "no rights"}, {"PGPASSWORD": "rds"})

    (step,) = _planned(_definition({}), variables, target).steps

    assert step.verdict == "drop"
    assert step.why == "comes from database, which Amazon RDS owns: set foreignSecrets.database to its ARN"


def test_configuration_is_compared_before_it_is_set() -> None:
    configured = {
        "dbMasterPassword": Configured("same", secret=True),
        "apiKey": Configured("clear", secret=False),
        "cpu": Configured("256", secret=False),
        "environment": Configured('{"LOG_LEVEL": "info", "DEBUG": true}', secret=False),
    }
    secret = {"dbMasterPassword": "same", "apiKey": "clear"}
    plain = {
        "cpu": "512",
        "memory": "1024",
        "environment.LOG_LEVEL": "info",
        "environment.DEBUG": "true",
        "environment.TZ": "UTC",
    }
    wanted = {key: Configured(value, key in secret) for key, value in (secret | plain).items()}
    assert compare(wanted, configured) == {
        "dbMasterPassword": "same",
        "apiKey": "replaces",
        "cpu": "replaces",
        "memory": "new",
        "environment.LOG_LEVEL": "same",
        "environment.DEBUG": "same",
        "environment.TZ": "new",
    }
    assert "same" not in repr(wanted)


@pytest.mark.parametrize(
    ("name", "path"),
    [("db-master-password", "adopt.db-master-password"), ("a_b", "adopt.a_b"), ("team/db.x", 'adopt["team/db.x"]')],
)
def test_a_path_is_quoted_where_it_must_be(name: str, path: str) -> None:
    assert property_path("adopt", name) == path


def test_the_sandbox_gets_plain_variables_as_texts_beside_those_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a fresh machine `pulumi` is built by the command that is described here.
    monkeypatch.delattr("ops._pulumi.find_pulumi")
    (tmp_path / "Pulumi.yaml").write_text("name: app\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "config:\n  app:environment: {LOG_LEVEL: debug, NODE_ENV: development, OLD: {secure: x}}\n"
    )
    plain = {"cpu": "256", "environment.JS": '{"a": 1}', "environment.NODE_ENV": "production"}
    command = sandbox_command("dev", tmp_path, "up", plain, ["jwtSecret"])
    overrides = [parse_override(text) for option, text in pairwise(command) if option == "-c" and "=" in text]
    assert {override.path: override.value for override in overrides if override.key == "cpu"} == {("cpu",): "256"}
    assert command[-2:] == ["-c", "secret:jwtSecret"]
    config = StackConfig(Project(tmp_path, "app", {}), "dev")
    for override in overrides:
        config.apply(override)
    (tmp_path / "out").mkdir()
    written = yaml.safe_load(config.write(tmp_path / "out", None).read_text())["config"]
    assert written["app:environment"] == {"LOG_LEVEL": "debug", "NODE_ENV": "production", "JS": '{"a": 1}'}


SECRETS = {
    "DB_PASSWORD": "arn:db", "JWT_SECRET": "arn:jwt", "APP_CONFIG": "arn:app", "SMTP_PASSWORD": "arn:app:SMTP_PASSWORD::",
}  # fmt: skip
KEPT = {
    "DB_PASSWORD": PASSWORD, "JWT_SECRET": "the old jwt secret", "SMTP_PASSWORD": "the old smtp password", "LOG_LEVEL": "info",
}  # fmt: skip
OLD = KEPT | {"ENCRYPTION_KEY": "the old encryption key"}
NEW = KEPT | {"APP_CONFIG": json.dumps({key: OLD[key] for key in ("SMTP_PASSWORD", "ENCRYPTION_KEY")})}


def _verify(changes: dict[str, str], plain: dict[str, str] | None = None, **more: Any) -> dict[str, str]:
    new = _definition({"LOG_LEVEL": "info", **(plain or {})}, SECRETS, **more).containers[0]
    values = {**NEW, **(plain or {}), **changes}
    found = Variables({k: v for k, v in values.items() if v})
    findings = list(verified(_plan(OLD), "api", {"api": Variables(OLD)}, new, found, target_of("dev", TICKETS)))
    assert not any(value in repr(findings) for value in (*OLD.values(),) if value != "info")
    return {finding.name: finding.state for finding in findings}


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
