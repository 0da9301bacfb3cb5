"""`ops migrate adopt`: which secrets are meant, what is configured, what Terraform must forget."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops._errors import MisuseError
from ops.migrate.adopt import NOT_FOUND, Adoption, Resource, find, read_terraform
from tests.conftest import TICKETS

Deployed = Any  # conftest.py's types, which importlib mode gives no module name for
Ops = Any

PREFIX = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:"
NAMES = ("db-master-password", "jwt-secret", "app-config")
WANTED = {name: f"service-ticket-system-dev-{name}" for name in NAMES}


def _live(*names: str) -> dict[str, str]:
    return {name: f"{PREFIX}{name}-AbCdEf" for name in names}


def _found(live: dict[str, str], resources: list[Resource] | None = None, **named: str) -> dict[str, Adoption]:
    by_name = {name.replace("_", "-"): secret for name, secret in named.items()}
    return {a.name: a for a in find(WANTED, "dev", {"prod"}, live, resources or [], by_name)}


@pytest.mark.parametrize(
    "name",
    [
        "service-ticket-system-dev-jwt-secret",
        "ticketing/dev/jwt-secret",
        "dev_jwt_secret",
        "jwt-secret-dev",
        "Ticketing-Dev-JWT-Secret",
        "ticketing/dev/jwt-secret-20240115093012345600000001",
    ],
)
def test_a_live_secret_is_found_by_its_name(name: str) -> None:
    assert _found(_live(name))["jwt-secret"] == Adoption("jwt-secret", f"{PREFIX}{name}-AbCdEf", "live")


@pytest.mark.parametrize(
    "name",
    [
        "service-ticket-system-prod-jwt-secret",
        "jwt-secret",
        "dev-myjwt-secrets",
        "dev-jwt",
        "dev/prod/jwt-secret",
        "ticketing/dev/not-the-jwt-secret",
        "ticketing/dev/jwt-secret-old-backup",
        "jwt-secret/dev",
    ],
)
def test_another_stacks_secret_is_not_meant(name: str) -> None:
    assert _found(_live(name))["jwt-secret"] == Adoption("jwt-secret", "", NOT_FOUND)


def test_the_projects_own_name_wins_over_one_that_is_alike() -> None:
    own = "service-ticket-system-dev-jwt-secret"
    assert _found(_live(own, "old/dev/jwt-secret"))["jwt-secret"].arn == f"{PREFIX}{own}-AbCdEf"


def test_several_that_fit_are_a_question() -> None:
    found = _found(_live("a/dev/jwt-secret", "b/dev/jwt-secret"))["jwt-secret"]
    assert found.arn == ""
    assert found.problem == "several fit (a/dev/jwt-secret, b/dev/jwt-secret): --secret jwt-secret=ARN"


def test_the_operator_names_one_by_name_or_arn() -> None:
    live = _live("a/dev/jwt-secret", "strange")
    assert _found(live, jwt_secret="strange")["jwt-secret"].arn == live["strange"]
    assert _found(live, jwt_secret=f"{PREFIX}x-AbCdEf")["jwt-secret"].arn == f"{PREFIX}x-AbCdEf"


def _state(tmp_path: Path, **changes: Any) -> Path:
    arn = f"{PREFIX}ticketing-jwt-AbCdEf"
    secret = {"arn": arn, "name": "ticketing-jwt"}
    version = {"secret_id": arn, "secret_string": "a value in the state"}
    policy = {"id": arn, "secret_arn": arn, "policy": "{}"}
    each = {"arn": f"{PREFIX}app-AbCdEf", "name": "app"}
    module = {"module": "module.secrets", "mode": "managed"}
    resources = [
        {**module, "type": "aws_secretsmanager_secret", "name": "jwt_secret", "instances": [{"attributes": secret}]},
        {**module, "type": "aws_secretsmanager_secret_version", "name": "jwt", "instances": [{"attributes": version}]},
        {**module, "type": "aws_secretsmanager_secret_policy", "name": "jwt", "instances": [{"attributes": policy}]},
        {**module, "type": "aws_secretsmanager_secret_rotation", "name": "jwt", "instances": [{"attributes": version}]},
        {
            "mode": "managed",
            "type": "aws_secretsmanager_secret",
            "name": "this",
            "instances": [{"index_key": "app_config", "attributes": each}],
        },
        {"mode": "data", "type": "aws_secretsmanager_secret", "name": "other", "instances": [{"attributes": secret}]},
        {"mode": "managed", "type": "random_password", "name": "jwt", "instances": [{"attributes": {"result": "r"}}]},
    ]
    path = tmp_path / "terraform.tfstate"
    path.write_text(json.dumps({"version": 4, "resources": resources, **changes}))
    return path


def test_terraforms_resources_are_read_without_their_values(tmp_path: Path) -> None:
    found = read_terraform(_state(tmp_path))
    assert [r.address for r in found] == [
        "module.secrets.aws_secretsmanager_secret.jwt_secret",
        "module.secrets.aws_secretsmanager_secret_version.jwt",
        "module.secrets.aws_secretsmanager_secret_policy.jwt",
        "module.secrets.aws_secretsmanager_secret_rotation.jwt",
        'aws_secretsmanager_secret.this["app_config"]',
    ]
    assert {r.secret for r in found[:4]} == {f"{PREFIX}ticketing-jwt-AbCdEf"}
    assert "a value in the state" not in repr(found)


def test_a_secret_is_found_by_its_name_in_terraform(tmp_path: Path) -> None:
    found = _found({}, read_terraform(_state(tmp_path)))
    assert found["jwt-secret"] == Adoption("jwt-secret", f"{PREFIX}ticketing-jwt-AbCdEf", "Terraform")
    assert found["app-config"] == Adoption("app-config", f"{PREFIX}app-AbCdEf", "Terraform")


def test_in_terraform_the_stack_need_not_be_named_but_another_one_must_not() -> None:
    def state(name: str) -> list[Resource]:
        return [Resource("aws_secretsmanager_secret.a[0]", "aws_secretsmanager_secret", PREFIX + name, name)]

    assert _found({}, state("ticketing-jwt-secret"))["jwt-secret"].found == "Terraform"
    assert _found({}, state("ticketing-prod-jwt-secret"))["jwt-secret"].found == NOT_FOUND


_BARE = {"type": "aws_secretsmanager_secret", "mode": "managed"}


@pytest.mark.parametrize("resources", [None, [5], [_BARE], [{**_BARE, "name": "a", "instances": [7]}]])
def test_a_terraform_state_of_another_form_is_one_line(tmp_path: Path, resources: Any) -> None:
    with pytest.raises(MisuseError, match="of a form that is not known"):
        read_terraform(_state(tmp_path, resources=resources))


@pytest.mark.parametrize("content", ["", "[]", '{"version": 3}', '{"resources": []}', '{"a":' * 100_000])
def test_what_is_no_terraform_state_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x"
    path.write_text(content)
    with pytest.raises(MisuseError, match="is not a Terraform state"):
        read_terraform(path)


@pytest.fixture
def old(stack: Deployed) -> dict[str, str]:
    """ARNs of secrets in the stack's account that were created outside Pulumi."""
    made = {n: stack.secrets.create_secret(Name=f"ticketing/qa/{n}", SecretString="v")["ARN"] for n in NAMES}
    stack.secrets.create_secret(Name="unrelated", SecretString="v")
    return made


def _project(tmp_path: Path, account: str) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text("name: service-ticket-system\nruntime: python\n")
    (directory / "catalogue.py").symlink_to(TICKETS / "catalogue.py")
    (directory / "Pulumi.qa.yaml").write_text(
        f'config:\n  aws:region: eu-west-1\n  aws:allowedAccountIds: ["{account}"]\n'
    )
    return directory


def _adopt(stack: Deployed, ops: Ops, project: Path, *arguments: str, **more: Any) -> Any:
    # Without the stack's outputs: it need not exist.
    return ops(
        None, "migrate", "adopt", "--stack", "qa", "--project", str(project), *arguments, env=stack.variables, **more
    )


def test_adopt_tells_the_sandboxs_arguments(stack: Deployed, ops: Ops, old: dict[str, str], tmp_path: Path) -> None:
    done = _adopt(stack, ops, _project(tmp_path, stack.account), "--json")
    assert done.status == 0, done.err
    assert done.json["adopt"] == old
    assert done.json["sandbox_arguments"] == [part for n in NAMES for part in ("-c", f"adopt.{n}={old[n]}")]
    assert "python -m sandbox up --stack qa" in done.err


def test_adopt_follows_the_catalogue_of_the_project_that_is_given(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    project = _project(tmp_path, stack.account)
    (project / "catalogue.py").unlink()
    (project / "catalogue.py").write_text(
        "from config.declarations import Application, Generated, Service, TextSecret\n"
        'APPLICATION = Application((Service("web"),), (TextSecret("session-key", Generated("sessionKey")),))\n'
    )
    made = stack.secrets.create_secret(Name="ticketing/qa/session-key", SecretString="v")["ARN"]

    done = _adopt(stack, ops, project, "--json")

    assert done.status == 0, done.err
    assert done.json["adopt"] == {"session-key": made}


def test_adopt_tells_what_terraform_forgets(stack: Deployed, ops: Ops, old: dict[str, str], tmp_path: Path) -> None:
    resource = {
        "mode": "managed",
        "type": "aws_secretsmanager_secret",
        "name": "jwt_secret",
        "instances": [{"attributes": {"arn": old["jwt-secret"], "name": "ticketing/qa/jwt-secret"}}],
    }
    state = _state(tmp_path, resources=[resource])
    done = _adopt(stack, ops, _project(tmp_path, stack.account), "--from", str(state), "--json")
    assert done.status == 0, done.err
    assert done.json["terraform_state_rm"] == ["aws_secretsmanager_secret.jwt_secret"]
    assert "terraform state rm 'aws_secretsmanager_secret.jwt_secret'" in done.err


def test_a_secret_pending_deletion_is_not_adopted(
    stack: Deployed, ops: Ops, old: dict[str, str], tmp_path: Path
) -> None:
    stack.secrets.delete_secret(SecretId=old["jwt-secret"], RecoveryWindowInDays=7)
    done = _adopt(stack, ops, _project(tmp_path, stack.account), "--json")
    assert done.status == 1
    assert set(done.json["adopt"]) == {"db-master-password", "app-config"}
    problems = {s["name"]: s["problem"] for s in done.json["secrets"]}
    assert problems["jwt-secret"].startswith("is pending deletion: aws secretsmanager restore-secret")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("arn:aws:secretsmanager:eu-west-1:111111111111:secret:nope-AbCdEf", "doesn't exist here"),
        ("no-such-name", "doesn't exist here"),
    ],
)
def test_a_secret_that_is_not_there_is_told(
    stack: Deployed, ops: Ops, tmp_path: Path, given: str, problem: str
) -> None:
    project = _project(tmp_path, stack.account)
    done = _adopt(stack, ops, project, "--secret", f"jwt-secret={given}", "--json")
    assert done.status == 1
    assert problem in {s["name"]: s["problem"] for s in done.json["secrets"]}["jwt-secret"]


def test_a_secret_without_a_value_is_told(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    empty = stack.secrets.create_secret(Name="empty")["ARN"]
    done = _adopt(stack, ops, _project(tmp_path, stack.account), "--secret", f"jwt-secret={empty}", "--json")
    assert done.status == 1
    assert "has no value" in {s["name"]: s["problem"] for s in done.json["secrets"]}["jwt-secret"]


def test_one_secret_is_not_taken_twice(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    one = stack.secrets.create_secret(Name="one", SecretString="v")["ARN"]
    both = [part for name in ("jwt-secret", "app-config") for part in ("--secret", f"{name}={one}")]
    done = _adopt(stack, ops, _project(tmp_path, stack.account), *both, "--json")
    assert done.status == 1
    assert {s["name"]: s["problem"] for s in done.json["secrets"]}["app-config"] == "is adopted as jwt-secret already"


def test_a_secret_that_a_stack_of_pulumis_writes_is_not_taken_unasked(
    stack: Deployed, ops: Ops, tmp_path: Path
) -> None:
    project = _project(tmp_path, stack.account)
    given = ("--secret", f"jwt-secret={stack.arn('jwt-secret')}", "--json")
    refused = _adopt(stack, ops, project, *given)
    assert refused.status == 1
    problem = {s["name"]: s["problem"] for s in refused.json["secrets"]}["jwt-secret"]
    label, version = re.findall(r"--version-stage (\S+) --remove-from-version-id (\S+)", problem)[0]
    stack.secrets.update_secret_version_stage(
        SecretId=stack.arn("jwt-secret"), VersionStage=label, RemoveFromVersionId=version
    )
    assert _adopt(stack, ops, project, *given).status == 0


def test_an_unknown_stack_is_misuse(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    project = str(_project(tmp_path, stack.account))
    done = ops(None, "migrate", "adopt", "--stack", "nope", "--project", project, env=stack.variables)
    assert (done.status, done.out) == (2, "")
    assert "Pulumi.nope.yaml" in done.err


def test_adopt_refuses_an_account_that_the_stack_does_not_allow(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    done = _adopt(stack, ops, _project(tmp_path, "999999999999"))
    assert done.status == 2
    assert "allows 999999999999 only" in done.err


def test_an_unknown_catalogue_name_is_misuse(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    done = _adopt(stack, ops, _project(tmp_path, stack.account), "--secret", "jwt=arn")
    assert done.status == 2
    assert "the first one of db-master-password, jwt-secret, app-config" in done.err


def test_adopt_writes_arns_into_the_stacks_configuration(
    stack: Deployed, ops: Ops, old: dict[str, str], tmp_path: Path, pulumi_cli: Path
) -> None:
    project = _project(tmp_path, stack.account)
    pulumi = {
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "PULUMI_BACKEND_URL": tmp_path.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "p",
        "PATH": f"{pulumi_cli.parent}:/usr/bin:/bin",
    }
    subprocess.run(["pulumi", "stack", "init", "qa"], cwd=project, env=pulumi, check=True, capture_output=True)
    # By a service's own endpoint variables AWS is the local one here, while it doesn't look so to the command.
    services = ("SECRETS_MANAGER", "STS")
    endpoints = {f"AWS_ENDPOINT_URL_{service}": stack.endpoint for service in services}
    environment = {**stack.variables, **endpoints, **pulumi, "AWS_ENDPOINT_URL": None}
    arguments = ("migrate", "adopt", "--stack", "qa", "--project", str(project))
    shown = ops(None, *arguments, "--dry-run", env=environment)
    assert shown.status == 0, shown.err
    assert "adopt" not in (project / "Pulumi.qa.yaml").read_text()
    done = ops(None, *arguments, "--yes", env=environment)
    assert done.status == 0, done.err
    config = yaml.safe_load((project / "Pulumi.qa.yaml").read_text())["config"]
    assert config["service-ticket-system:adopt"] == old


def _problem_of(done: Any, name: str) -> str:
    return {s["name"]: s["problem"] for s in done.json["secrets"]}[name]


def test_a_secret_that_rds_manages_is_not_adopted(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    database = stack.client("rds").create_db_cluster(
        DBClusterIdentifier="tickets",
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        ManageMasterUserPassword=True,
    )
    arn = database["DBCluster"]["MasterUserSecret"]["SecretArn"]
    assert ":secret:rds!cluster-" in arn
    done = _adopt(stack, ops, _project(tmp_path, stack.account), "--secret", f"db-master-password={arn}", "--json")
    assert done.status == 1
    problem = _problem_of(done, "db-master-password")
    assert problem.startswith(
        "is managed by rds, the only one to change it: declare it in catalogue.py as ForeignSecret("
    )
    assert "foreignSecrets.db-master-password" in problem


@pytest.mark.parametrize("by", ["Arn", "KeyId"])
def test_the_key_of_an_adopted_secret_is_configured_too(stack: Deployed, ops: Ops, tmp_path: Path, by: str) -> None:
    key = stack.client("kms").create_key()["KeyMetadata"]
    made = stack.secrets.create_secret(Name="ticketing/qa/jwt-secret", SecretString="v", KmsKeyId=key[by])["ARN"]
    done = _adopt(stack, ops, _project(tmp_path, stack.account), "--json")
    assert done.status == 0
    assert done.json["kms_keys"] == {"jwt-secret": key["Arn"]}
    assert done.json["sandbox_arguments"] == [
        "-c", f"adopt.jwt-secret={made}", "-c", f"secretKmsKeys.jwt-secret={key['Arn']}"
    ]  # fmt: skip


def test_a_key_that_cannot_be_looked_up_is_a_problem(stack: Deployed, ops: Ops, tmp_path: Path) -> None:
    stack.secrets.create_secret(Name="ticketing/qa/jwt-secret", SecretString="v", KmsKeyId="alias/of-somebody-else")
    done = _adopt(stack, ops, _project(tmp_path, stack.account), "--json")
    assert done.status == 1
    assert "can't be looked up: ask for kms:DescribeKey" in _problem_of(done, "jwt-secret")
