"""`ops migrate scan`, `plan`, `apply`, `verify` and `clean` as their user runs them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.migrate._formats import _model
from tests.conftest import TICKETS
from tests.ops.conftest import Deployed, Ops, pulumi, pulumi_in, script

OLD = {
    "DATABASE_HOST": "db.internal",
    "REDIS_HOST": "redis.internal",
    "DB_PASSWORD": "-the old database password\nwith two lines\n",
    "JWT_SECRET": "the old jwt secret",
    "SMTP_PASSWORD": "the old smtp password",
    "NODE_ENV": "production",
}
SECRET_VALUES = [OLD["JWT_SECRET"], OLD["SMTP_PASSWORD"], "the old database password"]
HOST = {"DATABASE_HOST": "db.internal"}


def _definition(environment: dict[str, str] = OLD, **more: Any) -> dict[str, Any]:
    container = {
        "name": "api",
        "image": "registry.example.com/app:1.0",
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        **more,
    }
    fargate = {"requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512"}
    return {**fargate, "family": "old", "containerDefinitions": [container]}


class Move:
    """An old task definition in a file, and its plan."""

    def __init__(self, ops: Ops, folder: Path) -> None:
        self.ops, self.source, self.plan = ops, folder / "old.json", folder / "plan.json"

    def scan(self, definition: dict[str, Any], *arguments: str, **more: Any) -> Any:
        self.source.write_text(json.dumps(definition))
        at = ("--to", str(self.plan), "--force")
        return self.ops(None, "migrate", "scan", str(self.source), *at, *arguments, **more)

    def verify(self, stack: Deployed, *arguments: str) -> Any:
        return self.ops(stack, "migrate", "verify", str(self.plan), *arguments)

    def edit(self, variable: str, **changes: object) -> None:
        document = json.loads(self.plan.read_text())
        for step in document["steps"]:
            step.update(changes if step["variable"] == variable else {})
        self.plan.write_text(json.dumps(document))

    def accept(self) -> None:
        """Drop everything that is undecided."""
        self.plan.write_text(self.plan.read_text().replace('"undecided"', '"drop"'))


@pytest.fixture
def move(ops: Ops, tmp_path: Path) -> Move:
    return Move(ops, tmp_path)


@pytest.fixture
def planned(move: Move) -> Move:
    """With the plan of OLD for stack `dev`."""
    done = move.scan(_definition())
    assert done.status == 0, done.err
    return move


def _register(stack: Deployed, definition: dict[str, Any]) -> str:
    return stack.client("ecs").register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]


def _steps(done: Any, part: str = "verdict") -> dict[str, str]:
    return {step["variable"]: step[part] for step in done.json["steps"]}


def test_scan_of_a_file_needs_no_aws_and_shows_no_value(move: Move) -> None:
    done = move.scan(_definition())
    assert done.status == 0
    assert "db-master-password" in done.out
    assert not any(v in done.out + done.err + move.plan.read_text() for v in SECRET_VALUES)


def test_scan_of_a_file_reads_no_aws_configuration(move: Move, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("this is not an INI file")
    _model.cache_clear()
    assert move.scan(_definition(), env={"AWS_CONFIG_FILE": str(tmp_path / "config")}).status == 0


def test_scan_of_a_family_reads_references_too(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    stack.client("ssm").put_parameter(Name="/old/jwt", Value="from parameter store", Type="SecureString")
    reference = {"name": "JWT_SECRET", "valueFrom": f"arn:aws:ssm:eu-west-1:{stack.account}:parameter/old/jwt"}
    _register(stack, _definition(HOST, secrets=[reference]))
    done = ops(None, "migrate", "scan", "old", "--to", str(tmp_path / "p"), "--json", env=stack.variables)
    assert done.status == 0, done.err
    assert _steps(done) == {"DATABASE_HOST": "plain", "JWT_SECRET": "secret"}
    assert "from parameter store" not in (tmp_path / "p").read_text() + done.out


def test_scan_wants_a_decision_about_an_unknown_secret(ops: Ops, move: Move) -> None:
    assert move.scan(_definition({"SENTRY_DSN": "https://abc@sentry.example.com/1"})).status == 1
    shown = ops(None, "migrate", "plan", str(move.plan))
    assert shown.status == 1
    assert '"SENTRY_DSN": Supplied("sentryDsn")' in shown.err
    refused = ops(None, "migrate", "apply", str(move.plan))
    assert (refused.status, "SENTRY_DSN" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("scan no/such/file.json", "there is no file"),
        ("scan catalogue.py", "is not JSON"),
        ("scan no-such-family", "DescribeTaskDefinition"),
        ("plan no/such/plan.json", "migrate scan"),
    ],
)
def test_nothing_to_read_is_misuse(stack: Deployed, ops: Ops, command: str, message: str) -> None:
    done = ops(None, "migrate", *command.split(), env=stack.variables)
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert message in done.err


def test_scan_replaces_a_plan_only_when_it_is_told_to(ops: Ops, planned: Move) -> None:
    edited = planned.plan.read_text().replace('"secret",', '"drop",')
    planned.plan.write_text(edited)
    arguments = ("migrate", "scan", str(planned.source), "--to", str(planned.plan))
    refused = ops(None, *arguments)
    assert (refused.status, "add --force" in refused.err) == (2, True)
    assert planned.plan.read_text() == edited
    assert ops(None, *arguments, "--force").status == 0
    assert planned.plan.read_text() != edited


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("", "is a folder"),
        ("no/plan", "there is no folder"),
        ("old.json", "is the task definition itself"),
        ("link.json", "is a symbolic link"),
        ("/dev/full", "can't be written: No space left"),
    ],
)
def test_scan_tells_where_a_plan_cannot_be_written(
    ops: Ops, planned: Move, tmp_path: Path, to: str, message: str
) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "victim.json")
    before = planned.source.read_text()
    done = ops(None, "migrate", "scan", str(planned.source), "--to", str(tmp_path / to), "--force")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert message in done.err
    assert (planned.source.read_text(), (tmp_path / "victim.json").exists()) == (before, False)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("/old/jwt", "AWS refused GetParameter (ParameterNotFound)"),
        ("arn", "not the full ARN"),
        ("arn:aws:secretsmanager", "not the full ARN"),
        ("arn:aws:secretsmanager:eu-west-1:1:x", "not a secret's ARN"),
        ("arn:aws:ssm:eu-west-1:123456789012:document/x", "not the full ARN"),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:gone-AbCdEf", "GetSecretValue"),
        ("${JWT_ARN}", "a placeholder"),
        ("", "it has no valueFrom"),
    ],
)
def test_a_reference_that_cannot_be_read_blocks_nothing_else(
    stack: Deployed, ops: Ops, move: Move, reference: str, message: str
) -> None:
    secrets = [{"name": "JWT_SECRET", "valueFrom": reference}]
    definition = _definition({"STRIPE": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"}, secrets=secrets)
    done = move.scan(definition, "--json", env=stack.variables)
    assert done.status == 1, done.err
    assert _steps(done) == {"STRIPE": "undecided", "JWT_SECRET": "not read"}
    assert message in _steps(done, "why")["JWT_SECRET"]
    refused = ops(None, "migrate", "apply", str(move.plan), env=stack.variables)
    assert (refused.status, "needs a decision first: JWT_SECRET, STRIPE" in refused.err) == (1, True)


def test_a_file_with_references_is_scanned_without_aws(ops: Ops, move: Move) -> None:
    secrets = [{"name": "JWT_SECRET", "valueFrom": "/old/jwt"}, {"name": "B", "valueFrom": "/old/b"}]
    done = move.scan(_definition({"LEGACY_PASS": "hunter2"}, secrets=secrets), "--json")
    assert done.status == 1
    no_region = "no Region is set: add --region, or set AWS_REGION"
    assert _steps(done, "why") == {"B": no_region, "JWT_SECRET": no_region, "LEGACY_PASS": "has the name of a secret"}
    assert "Not read: B, JWT_SECRET" in ops(None, "migrate", "plan", str(move.plan)).err


def test_scan_names_a_secret_that_rds_manages(stack: Deployed, move: Move) -> None:
    arn = f"arn:aws:secretsmanager:eu-west-1:{stack.account}:secret:rds!cluster-2b1f0a54-7a3a-4d29-8a10-0a7e94c7b1a2-AbCdEf"
    secrets = [{"name": "PGPASSWORD", "valueFrom": f"{arn}:password::"}]
    done = move.scan(_definition({}, secrets=secrets), env=stack.variables)
    assert (done.status, "refers to a secret that rds manages and changes" in done.out) == (1, True)


def test_an_aws_that_cannot_be_reached_is_asked_once(move: Move) -> None:
    secrets = [{"name": f"V{n}", "valueFrom": f"/old/{n}"} for n in range(30)]
    nobody = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    done = move.scan(_definition({}, secrets=secrets), "--json", env={**nobody, **keys})
    assert done.status == 1
    assert len(set(_steps(done, "why").values())) == 1


Project = tuple[Path, dict[str, str]]
Apply = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path, pulumi_cli: Path) -> Project:
    """A Pulumi project with a stack `qa`, and the environment in which `pulumi` finds it."""
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text("name: service-ticket-system\nruntime: python\n")
    (directory / "catalogue.py").symlink_to(TICKETS / "catalogue.py")
    environment = pulumi_in(tmp_path, pulumi_cli)
    pulumi(directory, environment, "stack", "init", "qa")
    return directory, environment


def _config(project: Project) -> dict[str, Any]:
    content = yaml.safe_load((project[0] / "Pulumi.qa.yaml").read_text()) or {}
    return {key.removeprefix("service-ticket-system:"): value for key, value in content.get("config", {}).items()}


@pytest.fixture
def apply(ops: Ops, move: Move, project: Project) -> Apply:
    """Apply the plan of OLD, or the one that the test scanned, to stack `qa`."""
    assert move.scan(_definition(), "--stack", "qa").status == 0

    def run(*arguments: str, stack: str = "qa", **environment: str) -> Any:
        at = ("--stack", stack, "--project", str(project[0]), "--no-preview")
        return ops(None, "migrate", "apply", str(move.plan), *at, *arguments, env=project[1] | environment)

    return run


def test_apply_sets_the_configuration_encrypted_and_unseen(apply: Apply, project: Project, tmp_path: Path) -> None:
    spy, real = tmp_path / "spy", project[1]["PATH"].partition(":")[0]
    path = script(spy, "pulumi", f'printf "%s\\n" "$@" >> {spy}/arguments; exec {real}/pulumi "$@"')
    done = apply("--yes", **path)
    assert done.status == 0, done.err
    arguments, text = (spy / "arguments").read_text(), (project[0] / "Pulumi.qa.yaml").read_text()
    assert "dbMasterPassword" in arguments
    assert not any(value in text + arguments + done.out + done.err for value in SECRET_VALUES)
    config = _config(project)
    assert (config["databaseHost"], config["environment"]) == ("db.internal", {"NODE_ENV": "production"})
    shown = json.loads(pulumi(*project, "config", "get", "dbMasterPassword", "--json", "--stack", "qa"))
    assert (shown["value"], shown["secret"]) == (OLD["DB_PASSWORD"], True)


def test_apply_asks_before_it_sets_anything(apply: Apply, project: Project) -> None:
    done = apply()
    assert done.status == 2
    assert "No terminal can answer" in done.err
    assert _config(project) == {}


def test_a_second_apply_sets_nothing_and_json_in_a_plain_variable_stays_text(
    apply: Apply, move: Move, project: Project
) -> None:
    assert move.scan(_definition({**OLD, "JS": '{"a": 1}'}), "--stack", "qa").status == 0
    assert apply("--yes").status == 0
    assert _config(project)["environment"] == {"NODE_ENV": "production", "JS": '{"a": 1}'}
    again = apply("--json")
    assert again.status == 0
    assert {change["state"] for change in again.json["set"]} == {"same"}


def _another_catalogue(_: Move, project: Project) -> None:
    (project[0] / "catalogue.py").unlink()
    text = (TICKETS / "catalogue.py").read_text(encoding="utf-8")
    (project[0] / "catalogue.py").write_text(text.replace('"jwtSecret"', '"sessionKey"'), encoding="utf-8")


def _edited(**changes: object) -> Callable[[Move, Project], object]:
    return lambda move, _: move.edit("DB_PASSWORD", **changes)


REFUSED: dict[str, tuple[Callable[[Move, Project], object], str]] = {
    "a source that has changed": (
        lambda move, _: move.source.write_text(json.dumps(_definition({**OLD, "NEW": "x"}))), "scan again",
    ),
    "the plan of another stack": (lambda move, _: move.scan(_definition()), "is for stack dev: scan again with --stack qa"),
    "the catalogue of another project": (_another_catalogue, "the plan no longer matches"),
    "a secret as a plain variable": (
        _edited(verdict="plain"), "DB_PASSWORD is a secret of the catalogue and can't be a plain variable",
    ),
    "a secret without its place": (
        _edited(verdict="plain", secret=None, config_key="environment.DB_PASSWORD"), "(DB_PASSWORD); only edit verdicts",
    ),
    "a secret in another place": (_edited(config_key="aws:region"), "(DB_PASSWORD); only edit verdicts"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_apply_refuses_what_no_longer_fits_and_shows_no_secret(
    apply: Apply, move: Move, project: Project, case: str
) -> None:
    change, message = REFUSED[case]
    change(move, project)
    done = apply("--yes")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert message in done.err
    assert _config(project) == {}
    assert "the old database password" not in done.out + done.err


def test_an_unknown_stack_is_one_line(apply: Apply, move: Move) -> None:
    move.plan.write_text(move.plan.read_text().replace('"stack": "qa"', '"stack": "nope"'))
    done = apply("--yes", stack="nope")
    assert done.status == 2
    assert "no stack named 'nope' found" in done.err


def test_apply_refuses_everything_that_is_wrong_before_it_sets_anything(
    apply: Apply, move: Move, project: Project
) -> None:
    old = _definition({**OLD, "JWT_SECRET": "short", "SMTP_PASSWORD": "changeme"})
    assert move.scan(old, "--stack", "qa").status == 0
    pulumi(*project, "config", "set", "protect", "true", "--stack", "qa")
    done = apply("--yes")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "jwtSecret has fewer than 16 characters; smtpPassword looks like a placeholder" in done.err
    assert set(_config(project)) == {"protect"}


def test_an_empty_variable_is_left_out_by_every_command(stack: Deployed, ops: Ops, apply: Apply, move: Move) -> None:
    old = HOST | {"EMPTY": ""}
    assert move.scan(_definition(old), "--stack", "qa").status == 0
    assert "left out" in ops(None, "migrate", "plan", str(move.plan)).out
    assert {change["key"] for change in apply("--yes", "--json").json["set"]} == {
        "databaseHost", "image", "cpu", "memory"
    }  # fmt: skip
    move.scan(_definition(old, image=stack.image))
    done = move.verify(stack)
    assert done.status == 0, done.out
    assert "Every other variable has its old value" in done.err
    assert "1 variable was left out, as the plan says" in done.err


def _states(done: Any, kind: str, but: str = "") -> dict[str, str]:
    return {f["name"]: f["state"] for f in done.json["findings"] if f["kind"] == kind and f["state"] != but}


def test_verify_compares_with_what_is_deployed(stack: Deployed, move: Move) -> None:
    live = {"DB_PASSWORD": "db-master-password", "JWT_SECRET": "jwt-secret"}
    old = {variable: stack.values[name] for variable, name in live.items()} | HOST
    assert move.scan(_definition(old, image=stack.image)).status == 0
    good = move.verify(stack, "--json")
    assert good.status == 0, good.out
    assert _states(good, "variable", but="added") == dict.fromkeys(old, "equal")
    stack.put("jwt-secret", "something quite new")
    bad = move.verify(stack, "--json")
    assert bad.status == 1
    assert {f["name"] for f in bad.json["findings"] if f["state"] == "different"} == {"JWT_SECRET"}
    assert not any(value in good.out + bad.out + bad.err for value in (*stack.values.values(), "something quite new"))
    environment = [{"name": "COPY", "value": stack.values["db-master-password"]}]
    stack.deploy_revision(stack.containers(environment=environment))
    found = {
        f["name"]: f["detail"] for f in move.verify(stack, "--json").json["findings"] if f["state"] == "in the clear"
    }
    assert found == {"COPY": "holds the value of DB_PASSWORD"}


def test_verify_compares_a_health_check_that_was_carried(stack: Deployed, move: Move) -> None:
    check = {"command": ["CMD", "node", "app.mjs", "--health"], "startPeriod": 30}
    move.scan(_definition(HOST, healthCheck=check, image=stack.image))
    assert _states(move.verify(stack, "--json"), "part", but="equal") == {"healthCheck": "different"}
    stack.deploy_revision(stack.containers(healthCheck={**check, "interval": 30, "timeout": 5, "retries": 3}))
    assert _states(move.verify(stack, "--json"), "part")["healthCheck"] == "equal"


LOST: dict[str, Any] = {
    "privileged": True,
    "links": ["db:db"],
    "entryPoint": ["/start.sh"],
    "command": ["npm", "start"],
    "portMappings": [{"containerPort": 3000}, {"containerPort": 9090, "protocol": "udp"}],
    "healthCheck": {"command": ["CMD-SHELL", "curl -f localhost"], "timeout": 90},
    "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}],
    "ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
    "user": "1000",
    "stopTimeout": 120,
    "essential": False,
    "linuxParameters": {"initProcessEnabled": True},
    "logConfiguration": {"logDriver": "syslog", "options": {"syslog-address": "udp://log:514"}},
    "somethingNew": {"on": True},
}
LOST_OF_TASK: dict[str, Any] = {
    "networkMode": "bridge",
    "requiresCompatibilities": ["EC2"],
    "volumes": [{"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-0a1b2c3d"}}],
    "taskRoleArn": "arn:aws:iam::123456789012:role/old",
    "pidMode": "task",
    "ephemeralStorage": {"sizeInGiB": 50},
}


def test_verify_ends_well_only_when_every_part_is_equal_or_acknowledged(stack: Deployed, move: Move) -> None:
    document = _definition(HOST, **LOST, image=stack.image)
    document["containerDefinitions"].append({"name": "agent", "image": "datadog/agent:7"})
    assert move.scan({**document, **LOST_OF_TASK}, "--container", "api").status == 1
    bad = move.verify(stack, "--json")
    assert bad.status == 1
    assert _states(bad, "part", but="equal") == dict.fromkeys((*LOST, *LOST_OF_TASK, "container agent"), "missing")
    content = json.loads(move.plan.read_text())
    for part in content["parts"]:
        given_up = part["where"] == "container agent" or (part["verdict"] == "undecided" and part["where"] != "user")
        part["verdict"] = "drop" if given_up else part["verdict"]
    move.plan.write_text(json.dumps(content))
    one = move.verify(stack, "--json")
    assert (one.status, _states(one, "part", but="equal")["user"]) == (1, "missing")
    move.accept()
    done = move.verify(stack)
    assert done.status == 0, done.out
    assert f"{len(LOST) + len(LOST_OF_TASK) + 1} parts were left out, as the plan says" in done.err
    assert "every other part of the task definition is as it was" in done.err


def test_a_sidecar_is_carried_without_the_values_of_its_variables_and_verified(stack: Deployed, move: Move) -> None:
    document = _definition(HOST, image=stack.image)
    level = [{"name": "LEVEL", "value": "a-level-of-ours"}]
    agent = {"name": "agent", "image": "envoy:1", "essential": False, "user": "0"}
    depends = {"containerName": "api", "condition": "START"}
    old = {**agent, "environment": level, "dependsOn": [depends], "mountPoints": [{"sourceVolume": "a"}]}

    document["containerDefinitions"].append(old)
    scanned = move.scan(document, "--container", "api", "--json")

    parts = {part["where"]: part for part in scanned.json["parts"]}
    new = {**agent, "dependsOn": [{**depends, "containerName": "app"}]}
    carried = json.loads(parts["container agent"]["settings"]["sidecars.agent"])
    assert carried == {key: value for key, value in new.items() if key != "name"} | {"environment": {"LEVEL": ""}}
    assert parts["container agent: mountPoints"]["verdict"] == "undecided"
    assert "a-level-of-ours" not in move.plan.read_text()
    move.accept()
    states = [_states(move.verify(stack, "--json"), "part")["container agent"]]
    for environment in ([], level):
        stack.deploy_revision([*stack.containers(), new | {"environment": environment}])
        states.append(_states(move.verify(stack, "--json"), "part")["container agent"])
    assert states == ["missing", "different", "equal"]


def test_verify_tells_of_another_image_and_size(stack: Deployed, move: Move) -> None:
    assert move.scan({**_definition(HOST), "memory": "1024"}).status == 0
    findings = move.verify(stack, "--json").json["findings"]
    assert {f["name"]: f["detail"].partition(",")[0] for f in findings if f["state"] == "different"} == {
        "image": f"image is {stack.image}",
        "cpu, memory": "memory is 512",
    }


@pytest.fixture
def revisions(stack: Deployed) -> list[str]:
    """Three old revisions of `old` with secrets in the clear, one without, and one of another family."""
    found = [_register(stack, _definition()) for _ in range(3)]
    _register(stack, _definition({"NODE_ENV": "production"}))
    _register(stack, {**_definition(), "family": "older"})
    return found


def _clean(stack: Deployed, ops: Ops, *arguments: str) -> Any:
    return ops(None, "migrate", "clean", "old", *arguments, env=stack.variables)


def _active(stack: Deployed, family: str) -> list[str]:
    return stack.client("ecs").list_task_definitions(familyPrefix=family, status="ACTIVE")["taskDefinitionArns"]


@pytest.mark.usefixtures("revisions")
def test_clean_deletes_the_revisions_with_secrets_only(stack: Deployed, ops: Ops) -> None:
    done = _clean(stack, ops, "--yes")
    assert done.status == 0, done.err
    assert [arn.rpartition("/")[2] for arn in _active(stack, "old")] == ["old:4"]
    assert len(_active(stack, "older")) == 1
    again = _clean(stack, ops, "--json")
    assert again.status == 0
    assert [r for r in again.json["revisions"] if r["status"] != "DELETE_IN_PROGRESS"] == []
    assert not any(value in done.out + done.err for value in SECRET_VALUES)


@pytest.mark.usefixtures("revisions")
def test_clean_of_no_family_is_misuse(stack: Deployed, ops: Ops) -> None:
    place = f"in account {stack.account}, Region {stack.region}"
    for family in ("nope", "ol"):
        done = ops(None, "migrate", "clean", family, env=stack.variables)
        assert (done.status, done.err) == (2, f"error: there is no task definition family {family} {place}\n")
    for family in ("", "old:3", f"arn:aws:ecs:eu-west-1:{stack.account}:task-definition/old:1"):
        done = ops(None, "migrate", "clean", family, env=stack.variables)
        assert (done.status, "give a family" in done.err) == (2, True)


def test_clean_tells_what_it_looked_at(stack: Deployed, ops: Ops) -> None:
    _register(stack, _definition({"NODE_ENV": "production"}))
    done = _clean(stack, ops)
    assert done.status == 0
    assert (
        f"No revision of old holds a secret in the clear (1 revision checked, account {stack.account}, Region {stack.region})"
        in done.err
    )


@pytest.mark.usefixtures("revisions")
def test_clean_deletes_nothing_unasked_or_in_a_dry_run(stack: Deployed, ops: Ops) -> None:
    asked, done = _clean(stack, ops), _clean(stack, ops, "--dry-run", "--json")
    assert (asked.status, f"account {stack.account}" in asked.err, done.status) == (2, True, 0)
    assert [r["arn"].rpartition("/")[2] for r in done.json["revisions"]] == ["old:1", "old:2", "old:3"]
    assert len(_active(stack, "old")) == 4


def test_clean_leaves_what_a_service_runs(stack: Deployed, ops: Ops, revisions: list[str]) -> None:
    stack.write_outputs(task_definition_arn=revisions[1])
    stack.run_service(1)
    done = _clean(stack, ops, "--yes")
    assert done.status == 1
    assert "old:2 stays: service main/tickets" in done.err
    assert [arn.rpartition("/")[2] for arn in _active(stack, "old")] == ["old:2", "old:4"]


def test_clean_leaves_what_a_rule_or_a_schedule_runs(stack: Deployed, ops: Ops, revisions: list[str]) -> None:
    cluster = stack.client("ecs").create_cluster(clusterName="c")["cluster"]["clusterArn"]
    role = stack.service["execution_role_arn"]
    events, scheduler = stack.client("events"), stack.client("scheduler")
    events.put_rule(Name="nightly", ScheduleExpression="rate(1 day)")
    target = {"Arn": cluster, "RoleArn": role, "EcsParameters": {"TaskDefinitionArn": revisions[0]}}
    events.put_targets(Rule="nightly", Targets=[{"Id": "1", **target}])
    target = {**target, "EcsParameters": {"TaskDefinitionArn": revisions[2]}}
    scheduler.create_schedule(
        Name="hourly", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target
    )
    done = _clean(stack, ops, "--yes", "--json")
    assert done.status == 1
    assert {r["arn"].rpartition(":")[2]: r["used_by"] for r in done.json["revisions"] if r["used_by"]} == {
        "1": ["rule nightly"],
        "3": ["schedule hourly"],
    }


def test_clean_goes_in_batches_of_ten(stack: Deployed, ops: Ops) -> None:
    for _ in range(23):
        _register(stack, _definition())
    done = _clean(stack, ops, "--yes")
    assert done.status == 0, done.err
    assert _active(stack, "old") == []
