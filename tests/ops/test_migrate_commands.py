"""`ops migrate scan`, `plan`, `apply`, `verify` and `clean` as their user runs them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import TICKETS

Deployed = Any  # conftest.py's types, which importlib mode gives no module name for
Ops = Any

OLD = {
    "DATABASE_HOST": "db.internal",
    "REDIS_HOST": "redis.internal",
    "DB_PASSWORD": "-the old database password\nwith two lines\n",
    "JWT_SECRET": "the old jwt secret",
    "SMTP_PASSWORD": "the old smtp password",
    "NODE_ENV": "production",
}
SECRET_VALUES = [OLD["JWT_SECRET"], OLD["SMTP_PASSWORD"], "the old database password"]


def _definition(environment: dict[str, str] = OLD, **more: Any) -> dict[str, Any]:
    container = {
        "name": "api",
        "image": "registry.example.com/app:1.0",
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        **more,
    }
    fargate = {"requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512"}
    return {**fargate, "family": "old", "containerDefinitions": [container]}


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(_definition()))
    return path


@pytest.fixture
def plan(old_file: Path, ops: Ops, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    done = ops(None, "migrate", "scan", str(old_file), "--to", str(path))
    assert done.status == 0, done.err
    return path


@pytest.fixture
def qa_plan(old_file: Path, ops: Ops, tmp_path: Path) -> Path:
    """The plan for stack `qa`."""
    path = tmp_path / "qa.json"
    assert ops(None, "migrate", "scan", str(old_file), "--to", str(path), "--stack", "qa").status == 0
    return path


def _register(stack: Deployed, definition: dict[str, Any]) -> str:
    return stack.client("ecs").register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]


def test_scan_of_a_file_needs_no_aws_and_shows_no_value(old_file: Path, ops: Ops, tmp_path: Path) -> None:
    done = ops(None, "migrate", "scan", str(old_file), "--to", str(tmp_path / "p"))
    assert done.status == 0
    assert "db-master-password" in done.out
    assert not any(v in done.out + done.err + (tmp_path / "p").read_text() for v in SECRET_VALUES)


def test_scan_of_a_family_reads_references_too(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    stack.client("ssm").put_parameter(Name="/old/jwt", Value="from parameter store", Type="SecureString")
    reference = {"name": "JWT_SECRET", "valueFrom": f"arn:aws:ssm:eu-west-1:{stack.account}:parameter/old/jwt"}
    _register(stack, _definition({"DATABASE_HOST": "db"}, secrets=[reference]))
    path = tmp_path / "p"
    done = ops(None, "migrate", "scan", "old", "--to", str(path), "--json", env=stack.variables)
    assert done.status == 0, done.err
    assert {s["variable"]: s["verdict"] for s in done.json["steps"]} == {
        "DATABASE_HOST": "plain",
        "JWT_SECRET": "secret",
    }
    assert "from parameter store" not in path.read_text() + done.out


def test_scan_wants_a_decision_about_an_unknown_secret(ops: Ops, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(_definition({"SENTRY_DSN": "https://abc@sentry.example.com/1"})))
    assert ops(None, "migrate", "scan", str(path), "--to", str(tmp_path / "p")).status == 1
    shown = ops(None, "migrate", "plan", str(tmp_path / "p"))
    assert shown.status == 1
    assert '"SENTRY_DSN": Supplied("sentryDsn")' in shown.err
    refused = ops(None, "migrate", "apply", str(tmp_path / "p"))
    assert (refused.status, "SENTRY_DSN" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/file.json", "there is no file"),
        ("catalogue.py", "is not JSON"),
    ],
)
def test_scan_of_nothing_is_misuse(ops: Ops, source: str, message: str) -> None:
    done = ops(None, "migrate", "scan", source, env={"AWS_REGION": "eu-west-1"})
    assert done.status == 2
    assert message in done.err


def test_scan_replaces_a_plan_only_when_it_is_told_to(ops: Ops, old_file: Path, plan: Path) -> None:
    edited = plan.read_text().replace('"secret",', '"drop",')
    plan.write_text(edited)
    refused = ops(None, "migrate", "scan", str(old_file), "--to", str(plan))
    assert (refused.status, "add --force" in refused.err) == (2, True)
    assert plan.read_text() == edited
    assert ops(None, "migrate", "scan", str(old_file), "--to", str(plan), "--force").status == 0
    assert plan.read_text() != edited


def test_scan_never_writes_over_its_source(ops: Ops, old_file: Path) -> None:
    before = old_file.read_text()
    done = ops(None, "migrate", "scan", str(old_file), "--to", str(old_file), "--force")
    assert (done.status, "is the task definition itself" in done.err) == (2, True)
    assert old_file.read_text() == before


@pytest.mark.parametrize(("to", "message"), [("", "is a folder"), ("no/plan", "there is no folder")])
def test_scan_tells_where_a_plan_cannot_be_written(
    ops: Ops, old_file: Path, tmp_path: Path, to: str, message: str
) -> None:
    done = ops(None, "migrate", "scan", str(old_file), "--to", str(tmp_path / to))
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert message in done.err


def test_a_full_disk_is_one_line(ops: Ops, old_file: Path) -> None:
    done = ops(None, "migrate", "scan", str(old_file), "--to", "/dev/full", "--force")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "can't be written: No space left" in done.err


def test_scan_lists_environment_files(ops: Ops, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(_definition(environmentFiles=[{"value": "arn:aws:s3:::b/api.env", "type": "s3"}])))
    done = ops(None, "migrate", "scan", str(path), "--to", str(tmp_path / "p"))
    assert done.status == 1
    assert "Not carried over" in done.out
    assert "environmentFiles  undecided  has variables that are not read" in done.out


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
    stack: Deployed, ops: Ops, tmp_path: Path, reference: str, message: str
) -> None:
    path, plan = tmp_path / "old.json", tmp_path / "p"
    secrets = [{"name": "JWT_SECRET", "valueFrom": reference}]
    path.write_text(json.dumps(_definition({"STRIPE": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"}, secrets=secrets)))
    done = ops(None, "migrate", "scan", str(path), "--to", str(plan), "--json", env=stack.variables)
    assert done.status == 1, done.err
    found = {step["variable"]: (step["verdict"], step["why"]) for step in done.json["steps"]}
    assert found["STRIPE"][0] == "undecided"
    assert found["JWT_SECRET"][0] == "not read"
    assert message in found["JWT_SECRET"][1]
    refused = ops(None, "migrate", "apply", str(plan), env=stack.variables)
    assert (refused.status, "needs a decision first: JWT_SECRET, STRIPE" in refused.err) == (1, True)


def test_a_file_with_references_is_scanned_without_aws(ops: Ops, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    secrets = [{"name": "JWT_SECRET", "valueFrom": "/old/jwt"}, {"name": "B", "valueFrom": "/old/b"}]
    path.write_text(json.dumps(_definition({"LEGACY_PASS": "hunter2"}, secrets=secrets)))
    done = ops(None, "migrate", "scan", str(path), "--to", str(tmp_path / "p"), "--json")
    assert done.status == 1
    assert {s["variable"]: s["why"] for s in done.json["steps"]} == {
        "B": "no Region is set: add --region, or set AWS_REGION",
        "JWT_SECRET": "no Region is set: add --region, or set AWS_REGION",
        "LEGACY_PASS": "has the name of a secret",
    }
    text = ops(None, "migrate", "plan", str(tmp_path / "p")).err
    assert "Not read: B, JWT_SECRET" in text


def test_scan_names_a_secret_that_rds_manages(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    arn = f"arn:aws:secretsmanager:eu-west-1:{stack.account}:secret:rds!cluster-2b1f0a54-7a3a-4d29-8a10-0a7e94c7b1a2-AbCdEf"
    path.write_text(json.dumps(_definition({}, secrets=[{"name": "PGPASSWORD", "valueFrom": f"{arn}:password::"}])))
    done = ops(None, "migrate", "scan", str(path), "--to", str(tmp_path / "p"), env=stack.variables)
    assert (done.status, "refers to a secret that rds manages and changes" in done.out) == (1, True)


def test_an_aws_that_cannot_be_reached_is_asked_once(ops: Ops, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    secrets = [{"name": f"V{n}", "valueFrom": f"/old/{n}"} for n in range(30)]
    path.write_text(json.dumps(_definition({}, secrets=secrets)))
    nobody = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    done = ops(None, "migrate", "scan", str(path), "--to", str(tmp_path / "p"), "--json", env={**nobody, **keys})
    assert done.status == 1
    assert len({s["why"] for s in done.json["steps"]}) == 1


def test_scan_never_writes_through_a_symbolic_link(ops: Ops, old_file: Path, tmp_path: Path) -> None:
    link, victim = tmp_path / "link.json", tmp_path / "victim.json"
    link.symlink_to(victim)
    for force in ((), ("--force",)):
        done = ops(None, "migrate", "scan", str(old_file), "--to", str(link), *force)
        assert (done.status, "is a symbolic link" in done.err) == (2, True)
    assert not victim.exists()


def test_scan_of_an_unknown_family_is_one_line(stack: Deployed, ops: Ops) -> None:
    done = ops(None, "migrate", "scan", "nope", env=stack.variables)
    assert done.status == 2
    assert len(done.err.splitlines()) == 1


def test_a_plan_that_does_not_exist_is_misuse(ops: Ops, tmp_path: Path) -> None:
    done = ops(None, "migrate", "plan", str(tmp_path / "nope.json"))
    assert done.status == 2
    assert "migrate scan" in done.err


@pytest.fixture
def project(tmp_path: Path, pulumi_cli: Path) -> tuple[Path, dict[str, str]]:
    """A Pulumi project with a stack `qa`, and the environment in which `pulumi` finds it."""
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text("name: service-ticket-system\nruntime: python\n")
    (directory / "catalogue.py").symlink_to(TICKETS / "catalogue.py")
    environment = {
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "PULUMI_BACKEND_URL": tmp_path.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "p",
        "PATH": f"{pulumi_cli.parent}:/usr/bin:/bin",
    }
    subprocess.run(["pulumi", "stack", "init", "qa"], cwd=directory, env=environment, check=True, capture_output=True)
    return directory, environment


def _apply(ops: Ops, plan: Path, project: tuple[Path, dict[str, str]], *arguments: str) -> Any:
    directory, environment = project
    at = ("--stack", "qa", "--project", str(directory), "--no-preview")
    return ops(None, "migrate", "apply", str(plan), *at, *arguments, env=environment)


def test_apply_sets_the_configuration_encrypted_and_unseen(
    ops: Ops, qa_plan: Path, project: tuple[Path, dict[str, str]]
) -> None:
    done = _apply(ops, qa_plan, project, "--yes")
    assert done.status == 0, done.err
    directory, environment = project
    text = (directory / "Pulumi.qa.yaml").read_text()
    assert not any(value in text + done.out + done.err for value in SECRET_VALUES)
    config = yaml.safe_load(text)["config"]
    assert config["service-ticket-system:databaseHost"] == "db.internal"
    assert config["service-ticket-system:environment"] == {"NODE_ENV": "production"}
    shown = subprocess.run(
        ["pulumi", "config", "get", "dbMasterPassword", "--json", "--stack", "qa"],
        cwd=directory, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(shown.stdout) | {"objectValue": None} == {
        "value": OLD["DB_PASSWORD"], "secret": True, "objectValue": None
    }  # fmt: skip


def test_apply_follows_the_catalogue_of_the_project_that_is_given(
    ops: Ops, qa_plan: Path, project: tuple[Path, dict[str, str]]
) -> None:
    (project[0] / "catalogue.py").unlink()
    text = (TICKETS / "catalogue.py").read_text(encoding="utf-8")
    (project[0] / "catalogue.py").write_text(text.replace('"jwtSecret"', '"sessionKey"'), encoding="utf-8")

    done = _apply(ops, qa_plan, project, "--yes")

    assert (done.status, "the plan no longer matches" in done.err, "JWT_SECRET" in done.err) == (2, True, True)


def test_apply_asks_before_it_sets_anything(ops: Ops, qa_plan: Path, project: tuple[Path, dict[str, str]]) -> None:
    done = _apply(ops, qa_plan, project)
    assert done.status == 2
    assert "No terminal can answer" in done.err
    assert "config" not in (yaml.safe_load((project[0] / "Pulumi.qa.yaml").read_text()) or {})


def test_a_second_apply_sets_nothing(ops: Ops, qa_plan: Path, project: tuple[Path, dict[str, str]]) -> None:
    assert _apply(ops, qa_plan, project, "--yes").status == 0
    again = _apply(ops, qa_plan, project, "--json")
    assert again.status == 0
    assert {change["state"] for change in again.json["set"]} == {"same"}


def test_no_value_is_an_argument_of_pulumi(
    ops: Ops, qa_plan: Path, project: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    directory, environment = project
    real = environment["PATH"].partition(":")[0]
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "pulumi").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {spy}/arguments\nexec {real}/pulumi "$@"\n')
    (spy / "pulumi").chmod(0o755)
    spied = {**environment, "PATH": f"{spy}:{environment['PATH']}"}
    assert _apply(ops, qa_plan, (directory, spied), "--yes").status == 0
    arguments = (spy / "arguments").read_text()
    assert "dbMasterPassword" in arguments
    assert not any(value in arguments for value in SECRET_VALUES)


def test_apply_refuses_a_source_that_has_changed(
    ops: Ops, qa_plan: Path, old_file: Path, project: tuple[Path, dict[str, str]]
) -> None:
    old_file.write_text(json.dumps(_definition({**OLD, "NEW": "x"})))
    done = _apply(ops, qa_plan, project, "--yes")
    assert done.status == 2
    assert "scan again" in done.err


def _edit(plan: Path, variable: str, **changes: object) -> None:
    document = json.loads(plan.read_text())
    for step in document["steps"]:
        if step["variable"] == variable:
            step.update(changes)
    plan.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verdict": "plain"}, "DB_PASSWORD is a secret of the catalogue and can't be a plain variable"),
        (
            {"verdict": "plain", "secret": None, "config_key": "environment.DB_PASSWORD"},
            "(DB_PASSWORD); only edit verdicts",
        ),
        ({"config_key": "aws:region"}, "(DB_PASSWORD); only edit verdicts"),
    ],
)
def test_no_edit_makes_apply_show_a_secret(
    ops: Ops, qa_plan: Path, project: tuple[Path, dict[str, str]], changes: dict[str, object], message: str
) -> None:
    _edit(qa_plan, "DB_PASSWORD", **changes)
    done = _apply(ops, qa_plan, project, "--yes")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert message in done.err
    assert "config" not in (yaml.safe_load((project[0] / "Pulumi.qa.yaml").read_text()) or {})
    assert "the old database password" not in done.out + done.err


def test_apply_refuses_settings_that_the_source_lacks(
    ops: Ops, qa_plan: Path, project: tuple[Path, dict[str, str]]
) -> None:
    qa_plan.write_text(qa_plan.read_text().replace('"cpu": "256"', '"cpu": "4096"'))
    done = _apply(ops, qa_plan, project, "--yes")
    assert (done.status, "(cpu, memory); only edit verdicts" in done.err) == (2, True)


def test_an_empty_variable_is_left_out_by_every_command(
    stack: Deployed, ops: Ops, tmp_path: Path, project: tuple[Path, dict[str, str]]
) -> None:
    path, plan = tmp_path / "old.json", tmp_path / "plan.json"
    path.write_text(json.dumps(_definition({"DATABASE_HOST": "db.internal", "EMPTY": ""})))
    assert ops(None, "migrate", "scan", str(path), "--to", str(plan), "--stack", "qa").status == 0
    assert "left out" in ops(None, "migrate", "plan", str(plan)).out
    applied = _apply(ops, plan, project, "--yes", "--json")
    assert {change["key"] for change in applied.json["set"]} == {"databaseHost", "image", "cpu", "memory"}
    _scan_what_is_deployed(stack, ops, path, plan, {"DATABASE_HOST": "db.internal", "EMPTY": ""})
    done = ops(stack, "migrate", "verify", str(plan))
    assert done.status == 0, done.out
    assert "Every other variable has its old value" in done.err
    assert "1 variable was left out, as the plan says" in done.err


def _scan_what_is_deployed(
    stack: Deployed, ops: Ops, path: Path, plan: Path, environment: dict[str, str], **more: Any
) -> Any:
    """Scan an old task definition that has the deployed one's image and size, as an application that only moves."""
    path.write_text(json.dumps({**_definition(environment, image=stack.image, **more)}))
    return ops(None, "migrate", "scan", str(path), "--to", str(plan), "--force")


def test_json_in_a_plain_variable_stays_text(ops: Ops, tmp_path: Path, project: tuple[Path, dict[str, str]]) -> None:
    path, plan = tmp_path / "old.json", tmp_path / "plan.json"
    path.write_text(json.dumps(_definition({"JS": '{"a": 1}'})))
    assert ops(None, "migrate", "scan", str(path), "--to", str(plan), "--stack", "qa").status == 0
    assert _apply(ops, plan, project, "--yes").status == 0
    config = yaml.safe_load((project[0] / "Pulumi.qa.yaml").read_text())["config"]
    assert config["service-ticket-system:environment"] == {"JS": '{"a": 1}'}
    assert {change["state"] for change in _apply(ops, plan, project, "--json").json["set"]} == {"same"}


def test_an_unknown_stack_is_one_line(ops: Ops, plan: Path, project: tuple[Path, dict[str, str]]) -> None:
    directory, environment = project
    plan.write_text(plan.read_text().replace('"stack": "dev"', '"stack": "nope"'))
    done = ops(
        None, "migrate", "apply", str(plan), "--stack", "nope", "--project", str(directory), "--yes", env=environment
    )
    assert done.status == 2
    assert "no stack named 'nope' found" in done.err


def _states(done: Any, kind: str, but: str = "") -> dict[str, str]:
    return {f["name"]: f["state"] for f in done.json["findings"] if f["kind"] == kind and f["state"] != but}


def test_verify_compares_with_what_is_deployed(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    live = {"DB_PASSWORD": "db-master-password", "JWT_SECRET": "jwt-secret"}
    old = {variable: stack.values[name] for variable, name in live.items()} | {"DATABASE_HOST": "db.internal"}
    path, plan = tmp_path / "old.json", tmp_path / "plan.json"
    assert _scan_what_is_deployed(stack, ops, path, plan, old).status == 0
    good = ops(stack, "migrate", "verify", str(plan), "--json")
    assert good.status == 0, good.out
    assert _states(good, "variable", but="added") == dict.fromkeys(old, "equal")
    stack.secrets.put_secret_value(SecretId=stack.arn("jwt-secret"), SecretString="something quite new")
    bad = ops(stack, "migrate", "verify", str(plan), "--json")
    assert bad.status == 1
    assert {f["name"] for f in bad.json["findings"] if f["state"] == "different"} == {"JWT_SECRET"}
    assert not any(value in good.out + bad.out + bad.err for value in (*stack.values.values(), "something quite new"))


def test_verify_finds_a_secret_left_in_the_clear(stack: Deployed, ops: Ops, plan: Path) -> None:
    environment = [{"name": "DATABASE_HOST", "value": "db.internal"}, {"name": "COPY", "value": OLD["JWT_SECRET"]}]
    stack.deploy_revision(stack.containers(environment=environment))
    done = ops(stack, "migrate", "verify", str(plan), "--json")
    assert done.status == 1
    found = {f["name"]: f["detail"] for f in done.json["findings"] if f["state"] == "in the clear"}
    assert found == {"COPY": "holds the value of JWT_SECRET"}


@pytest.mark.parametrize("removed", ["JWT_SECRET", None])
def test_verify_wants_a_plan_of_every_variable(stack: Deployed, ops: Ops, plan: Path, removed: str | None) -> None:
    document = json.loads(plan.read_text())
    document["steps"] = [step for step in document["steps"] if removed and step["variable"] != removed]
    plan.write_text(json.dumps(document))
    done = ops(stack, "migrate", "verify", str(plan))
    assert done.status == 2
    assert "JWT_SECRET" in done.err
    assert "scan again" in done.err


def test_verify_says_that_a_secret_was_left_out(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    path, plan = tmp_path / "old.json", tmp_path / "plan.json"
    old = {"DATABASE_HOST": "db.internal", "JWT_SECRET": "the old jwt secret"}
    assert _scan_what_is_deployed(stack, ops, path, plan, old).status == 0
    _edit(plan, "JWT_SECRET", verdict="drop")
    done = ops(stack, "migrate", "verify", str(plan))
    assert done.status == 0, done.out
    assert "Every other variable has its old value" in done.err
    assert "1 variable was left out, as the plan says" in done.err


@pytest.mark.parametrize("kept", [True, False])
def test_verify_tells_of_an_environment_file(stack: Deployed, ops: Ops, tmp_path: Path, kept: bool) -> None:  # noqa: FBT001
    files = [{"value": "arn:aws:s3:::bucket/api.env", "type": "s3"}]
    path, plan = tmp_path / "old.json", tmp_path / "plan.json"
    old = {"DATABASE_HOST": "db.internal"}
    assert _scan_what_is_deployed(stack, ops, path, plan, old, environmentFiles=files).status == 1
    stack.deploy_revision(stack.containers(environmentFiles=files if kept else []))
    done = ops(stack, "migrate", "verify", str(plan), "--json")
    assert done.status == (0 if kept else 1), done.out
    assert _states(done, "part")["environmentFiles"] == ("equal" if kept else "missing")


def test_verify_compares_a_health_check_that_was_carried(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    path, plan = tmp_path / "old.json", tmp_path / "plan.json"
    check = {"command": ["CMD", "node", "app.mjs", "--health"], "startPeriod": 30}
    path.write_text(json.dumps(_definition({"DATABASE_HOST": "db.internal"}, healthCheck=check, image=stack.image)))
    ops(None, "migrate", "scan", str(path), "--to", str(plan))
    lacking = ops(stack, "migrate", "verify", str(plan), "--json")
    assert _states(lacking, "part", but="equal") == {"healthCheck": "different"}
    stack.deploy_revision(stack.containers(healthCheck={**check, "interval": 30, "timeout": 5, "retries": 3}))
    same = ops(stack, "migrate", "verify", str(plan), "--json")
    assert _states(same, "part")["healthCheck"] == "equal"


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


def test_verify_ends_well_only_when_every_part_is_equal_or_acknowledged(
    stack: Deployed, ops: Ops, tmp_path: Path
) -> None:
    path, plan = tmp_path / "old.json", tmp_path / "plan.json"
    document = _definition({"DATABASE_HOST": "db.internal"}, **LOST, image=stack.image)
    document["containerDefinitions"].append({"name": "agent", "image": "datadog/agent:7"})
    path.write_text(json.dumps({**document, **LOST_OF_TASK}))
    assert ops(None, "migrate", "scan", str(path), "--to", str(plan), "--container", "api").status == 1
    bad = ops(stack, "migrate", "verify", str(plan), "--json")
    assert bad.status == 1
    assert _states(bad, "part", but="equal") == dict.fromkeys((*LOST, *LOST_OF_TASK, "container agent"), "missing")
    content = json.loads(plan.read_text())
    for part in content["parts"]:
        given_up = part["where"] == "container agent" or (part["verdict"] == "undecided" and part["where"] != "user")
        part["verdict"] = "drop" if given_up else part["verdict"]
    plan.write_text(json.dumps(content))
    one = ops(stack, "migrate", "verify", str(plan), "--json")
    assert (one.status, _states(one, "part", but="equal")["user"]) == (1, "missing")
    plan.write_text(plan.read_text().replace('"undecided"', '"drop"'))
    done = ops(stack, "migrate", "verify", str(plan))
    assert done.status == 0, done.out
    assert f"{len(LOST) + len(LOST_OF_TASK) + 1} parts were left out, as the plan says" in done.err
    assert "every other part of the task definition is as it was" in done.err


def test_a_sidecar_is_carried_without_the_values_of_its_variables_and_verified(
    stack: Deployed, ops: Ops, tmp_path: Path
) -> None:
    path, plan = tmp_path / "old.json", tmp_path / "plan.json"
    document = _definition({"DATABASE_HOST": "db.internal"}, image=stack.image)
    level = [{"name": "LEVEL", "value": "a-level-of-ours"}]
    agent = {
        "name": "agent", "image": "envoy:1", "environment": level, "essential": False, "user": "0",
        "dependsOn": [{"containerName": "api", "condition": "START"}], "mountPoints": [{"sourceVolume": "a"}],
    }  # fmt: skip
    path.write_text(json.dumps({**document, "containerDefinitions": [*document["containerDefinitions"], agent]}))

    scanned = ops(None, "migrate", "scan", str(path), "--to", str(plan), "--container", "api", "--json")

    parts = {part["where"]: part for part in scanned.json["parts"]}
    carried = json.loads(parts["container agent"]["settings"]["sidecars.agent"])
    depends = [{"condition": "START", "containerName": "app"}]
    assert carried == {
        "image": "envoy:1", "environment": {"LEVEL": ""}, "essential": False, "user": "0", "dependsOn": depends
    }  # fmt: skip
    assert parts["container agent: mountPoints"]["verdict"] == "undecided"
    assert "a-level-of-ours" not in plan.read_text()
    plan.write_text(plan.read_text().replace('"undecided"', '"drop"'))
    lacking = ops(stack, "migrate", "verify", str(plan), "--json")
    assert _states(lacking, "part", but="equal")["container agent"] == "missing"
    new = {
        "name": "agent",
        "image": "envoy:1",
        "essential": False,
        "user": "0",
        "dependsOn": depends,
        "environment": [],
    }
    stack.deploy_revision([*stack.containers(), new])
    assert _states(ops(stack, "migrate", "verify", str(plan), "--json"), "part")["container agent"] == "different"
    stack.deploy_revision([*stack.containers(), new | {"environment": level}])
    assert _states(ops(stack, "migrate", "verify", str(plan), "--json"), "part")["container agent"] == "equal"


def test_verify_tells_of_another_image_and_size(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    path, plan = tmp_path / "old.json", tmp_path / "plan.json"
    path.write_text(json.dumps({**_definition({"DATABASE_HOST": "db.internal"}), "memory": "1024"}))
    assert ops(None, "migrate", "scan", str(path), "--to", str(plan)).status == 0
    done = ops(stack, "migrate", "verify", str(plan), "--json")
    assert {f["name"]: f["detail"].partition(",")[0] for f in done.json["findings"] if f["state"] == "different"} == {
        "image": f"image is {stack.image}",
        "cpu, memory": "memory is 512",
    }


def test_apply_refuses_everything_that_is_wrong_before_it_sets_anything(
    ops: Ops, tmp_path: Path, project: tuple[Path, dict[str, str]]
) -> None:
    path, plan = tmp_path / "old.json", tmp_path / "plan.json"
    path.write_text(json.dumps(_definition({**OLD, "JWT_SECRET": "short", "SMTP_PASSWORD": "changeme"})))
    assert ops(None, "migrate", "scan", str(path), "--to", str(plan), "--stack", "qa").status == 0
    protect = ["pulumi", "config", "set", "protect", "true", "--stack", "qa"]
    subprocess.run(protect, cwd=project[0], env=project[1], check=True, capture_output=True)
    done = _apply(ops, plan, project, "--yes")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "jwtSecret has fewer than 16 characters; smtpPassword looks like a placeholder" in done.err
    assert set(yaml.safe_load((project[0] / "Pulumi.qa.yaml").read_text())["config"]) == {
        "service-ticket-system:protect"
    }


def test_apply_refuses_the_plan_of_another_stack(ops: Ops, plan: Path, project: tuple[Path, dict[str, str]]) -> None:
    done = _apply(ops, plan, project, "--yes")
    assert (done.status, "is for stack dev: scan again with --stack qa" in done.err) == (2, True)


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
def test_clean_asks_first(stack: Deployed, ops: Ops) -> None:
    done = _clean(stack, ops)
    assert done.status == 2
    assert f"account {stack.account}" in done.err
    assert len(_active(stack, "old")) == 4


@pytest.mark.usefixtures("revisions")
def test_a_dry_run_of_clean_deletes_nothing(stack: Deployed, ops: Ops) -> None:
    done = _clean(stack, ops, "--dry-run", "--json")
    assert done.status == 0
    assert [r["arn"].rpartition("/")[2] for r in done.json["revisions"]] == ["old:1", "old:2", "old:3"]
    assert len(_active(stack, "old")) == 4


def test_clean_leaves_what_a_service_runs(stack: Deployed, ops: Ops, revisions: list[str]) -> None:
    ecs = stack.client("ecs")
    ecs.create_cluster(clusterName="c")
    ecs.create_service(cluster="c", serviceName="api", taskDefinition=revisions[1], desiredCount=1)
    done = _clean(stack, ops, "--yes")
    assert done.status == 1
    assert "old:2 stays: service c/api" in done.err
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
