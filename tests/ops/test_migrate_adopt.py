"""`ops migrate adopt`: which secrets are meant, what is configured, what Terraform must forget."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops._errors import MisuseError
from ops.migrate.adopt import NOT_FOUND, Adoption, Resource, find, read_terraform
from tests.conftest import TICKETS
from tests.ops.conftest import Deployed, Ops, pulumi, pulumi_in

PREFIX = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:"
NAMES = ("db-master-password", "jwt-secret", "app-config")
WANTED = {name: f"service-ticket-system-dev-{name}" for name in NAMES}


def _live(*names: str) -> dict[str, str]:
    return {name: f"{PREFIX}{name}-AbCdEf" for name in names}


def _found(live: dict[str, str], resources: list[Resource] | None = None, **named: str) -> dict[str, Adoption]:
    by_name = {name.replace("_", "-"): secret for name, secret in named.items()}
    return {a.name: a for a in find(WANTED, "dev", {"prod"}, live, resources or [], by_name)}


MEANT = {
    "service-ticket-system-dev-jwt-secret", "ticketing/dev/jwt-secret", "dev_jwt_secret", "jwt-secret-dev",
    "Ticketing-Dev-JWT-Secret", "ticketing/dev/jwt-secret-20240115093012345600000001",
}  # fmt: skip
NOT_MEANT = {
    "service-ticket-system-prod-jwt-secret", "jwt-secret", "dev-myjwt-secrets", "dev-jwt", "dev/prod/jwt-secret",
    "ticketing/dev/not-the-jwt-secret", "ticketing/dev/jwt-secret-old-backup", "jwt-secret/dev",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MEANT | NOT_MEANT))
def test_a_live_secret_is_found_by_its_name_and_no_other_stacks(name: str) -> None:
    found = (f"{PREFIX}{name}-AbCdEf", "live") if name in MEANT else ("", NOT_FOUND)
    assert _found(_live(name))["jwt-secret"] == Adoption("jwt-secret", *found)


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


def _resource(kind: str, name: str, attributes: dict[str, Any], mode: str = "managed", **more: Any) -> dict[str, Any]:
    instance = {"attributes": attributes} | ({"index_key": more.pop("index_key")} if "index_key" in more else {})
    return {"mode": mode, "type": kind, "name": name, "instances": [instance], **more}


def _state(tmp_path: Path, **changes: Any) -> Path:
    arn, kind, module = f"{PREFIX}ticketing-jwt-AbCdEf", "aws_secretsmanager_secret", "module.secrets"
    secret = {"arn": arn, "name": "ticketing-jwt"}
    version = {"secret_id": arn, "secret_string": "a value in the state"}
    policy = {"id": arn, "secret_arn": arn, "policy": "{}"}
    resources = [
        _resource(kind, "jwt_secret", secret, module=module),
        _resource(f"{kind}_version", "jwt", version, module=module),
        _resource(f"{kind}_policy", "jwt", policy, module=module),
        _resource(f"{kind}_rotation", "jwt", version, module=module),
        _resource(kind, "this", {"arn": f"{PREFIX}app-AbCdEf", "name": "app"}, index_key="app_config"),
        _resource(kind, "other", secret, mode="data"),
        _resource("random_password", "jwt", {"result": "r"}),
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


@pytest.fixture
def project(stack: Deployed, tmp_path: Path) -> Path:
    """A Pulumi project with the file of a stack `qa`, which allows the stack's account only."""
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text("name: service-ticket-system\nruntime: python\n")
    (directory / "catalogue.py").symlink_to(TICKETS / "catalogue.py")
    (directory / "Pulumi.qa.yaml").write_text(
        f'config:\n  aws:region: eu-west-1\n  aws:allowedAccountIds: ["{stack.account}"]\n'
    )
    return directory


Adopt = Callable[..., Any]


@pytest.fixture
def adopt(stack: Deployed, ops: Ops, project: Path) -> Adopt:
    """Run the command for stack `qa`; without the stack's outputs, since it need not exist."""

    def run(*arguments: str, qa: str = "qa") -> Any:
        at = ("--stack", qa, "--project", str(project))
        return ops(None, "migrate", "adopt", *at, *arguments, env=stack.variables)

    return run


def _problems(done: Any) -> dict[str, str]:
    return {secret["name"]: secret["problem"] for secret in done.json["secrets"]}


def test_adopt_tells_the_sandboxs_arguments(adopt: Adopt, old: dict[str, str]) -> None:
    done = adopt("--json")
    assert done.status == 0, done.err
    assert done.json["adopt"] == old
    assert done.json["sandbox_arguments"] == [part for n in NAMES for part in ("-c", f"adopt.{n}={old[n]}")]
    assert "python -m sandbox up --stack qa" in done.err


def test_adopt_follows_the_catalogue_of_the_project_that_is_given(stack: Deployed, adopt: Adopt, project: Path) -> None:
    (project / "catalogue.py").unlink()
    (project / "catalogue.py").write_text(
        "from config.declarations import Application, Generated, Service, TextSecret\n"
        'APPLICATION = Application((Service("web"),), (TextSecret("session-key", Generated("sessionKey")),))\n'
    )
    made = stack.secrets.create_secret(Name="ticketing/qa/session-key", SecretString="v")["ARN"]

    done = adopt("--json")

    assert done.status == 0, done.err
    assert done.json["adopt"] == {"session-key": made}


def test_adopt_tells_what_terraform_forgets(adopt: Adopt, old: dict[str, str], tmp_path: Path) -> None:
    attributes = {"arn": old["jwt-secret"], "name": "ticketing/qa/jwt-secret"}
    resource = _resource("aws_secretsmanager_secret", "jwt_secret", attributes)
    state = _state(tmp_path, resources=[resource])
    done = adopt("--from", str(state), "--json")
    assert done.status == 0, done.err
    assert done.json["terraform_state_rm"] == ["aws_secretsmanager_secret.jwt_secret"]
    assert "terraform state rm 'aws_secretsmanager_secret.jwt_secret'" in done.err


def _of_rds(stack: Deployed) -> str:
    password = {"MasterUsername": "postgres", "ManageMasterUserPassword": True}
    database = stack.client("rds").create_db_cluster(DBClusterIdentifier="t", Engine="aurora-postgresql", **password)
    return database["DBCluster"]["MasterUserSecret"]["SecretArn"]


def _of_an_unknown_key(stack: Deployed) -> str:
    return stack.secrets.create_secret(Name="k", SecretString="v", KmsKeyId="alias/of-somebody-else")["ARN"]


def _deleted(stack: Deployed) -> str:
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), RecoveryWindowInDays=7)
    return stack.arn("jwt-secret")


_OF_RDS = (
    'is managed by rds, the only one to change it: declare it in catalogue.py as ForeignSecret("jwt-secret", "rds") '
    "and set foreignSecrets.jwt-secret to its ARN"
)
PROBLEMS: dict[str, tuple[Callable[[Deployed], str], str]] = {
    "an ARN of nothing": (lambda _: f"{PREFIX}nope-AbCdEf", "doesn't exist here"),
    "a name of nothing": (lambda _: "no-such-name", "doesn't exist here"),
    "without a value": (lambda stack: stack.secrets.create_secret(Name="empty")["ARN"], "has no value"),
    "of a key that is not found": (_of_an_unknown_key, "can't be looked up: ask for kms:DescribeKey"),
    "managed by RDS": (_of_rds, _OF_RDS),
    "pending deletion": (_deleted, "is pending deletion: aws secretsmanager restore-secret"),
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_secret_that_cannot_be_adopted_is_told(stack: Deployed, adopt: Adopt, kind: str) -> None:
    create, problem = PROBLEMS[kind]
    done = adopt("--secret", f"jwt-secret={create(stack)}", "--json")
    assert done.status == 1
    assert problem in _problems(done)["jwt-secret"]
    assert done.json["adopt"] == {}


def test_one_secret_is_not_taken_twice(stack: Deployed, adopt: Adopt) -> None:
    one = stack.secrets.create_secret(Name="one", SecretString="v")["ARN"]
    done = adopt(*(f"--secret={name}={one}" for name in ("jwt-secret", "app-config")), "--json")
    assert (done.status, _problems(done)["app-config"]) == (1, "is adopted as jwt-secret already")
    assert done.json["adopt"] == {"jwt-secret": one}


def test_a_secret_that_a_stack_of_pulumis_writes_is_not_taken_unasked(stack: Deployed, adopt: Adopt) -> None:
    given = ("--secret", f"jwt-secret={stack.arn('jwt-secret')}", "--json")
    refused = adopt(*given)
    assert refused.status == 1
    problem = _problems(refused)["jwt-secret"]
    label, version = re.findall(r"--version-stage (\S+) --remove-from-version-id (\S+)", problem)[0]
    assert stack.labels("jwt-secret")[label] == version
    stack.move("jwt-secret", label)
    assert adopt(*given).status == 0


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {"qa": "nope"}, "Pulumi.nope.yaml: is 'nope' the stack's name?"),
        ((), {"qa": "other"}, "Pulumi.other.yaml allows 999999999999 only"),
        (("--secret", "jwt=arn"), {}, "the first one of db-master-password, jwt-secret, app-config"),
    ],
)
def test_another_stack_account_or_name_is_misuse(
    adopt: Adopt, project: Path, arguments: tuple[str, ...], options: dict[str, str], message: str
) -> None:
    (project / "Pulumi.other.yaml").write_text('config:\n  aws:allowedAccountIds: ["999999999999"]\n')
    done = adopt(*arguments, **options)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_adopt_writes_arns_into_the_stacks_configuration(
    stack: Deployed, ops: Ops, old: dict[str, str], project: Path, pulumi_cli: Path
) -> None:
    cli = pulumi_in(project.parent, pulumi_cli)
    pulumi(project, cli, "stack", "init", "qa")
    # By a service's own endpoint variables AWS is the local one here, while it doesn't look so to the command.
    services = ("SECRETS_MANAGER", "STS")
    endpoints = {f"AWS_ENDPOINT_URL_{service}": stack.endpoint for service in services}
    environment = {**stack.variables, **endpoints, **cli, "AWS_ENDPOINT_URL": None}
    arguments = ("migrate", "adopt", "--stack", "qa", "--project", str(project))
    shown = ops(None, *arguments, "--dry-run", env=environment)
    assert shown.status == 0, shown.err
    assert "adopt" not in (project / "Pulumi.qa.yaml").read_text()
    done = ops(None, *arguments, "--yes", env=environment)
    assert done.status == 0, done.err
    config = yaml.safe_load((project / "Pulumi.qa.yaml").read_text())["config"]
    assert config["service-ticket-system:adopt"] == old


@pytest.mark.parametrize("by", ["Arn", "KeyId"])
def test_the_key_of_an_adopted_secret_is_configured_too(stack: Deployed, adopt: Adopt, by: str) -> None:
    key = stack.client("kms").create_key()["KeyMetadata"]
    made = stack.secrets.create_secret(Name="ticketing/qa/jwt-secret", SecretString="v", KmsKeyId=key[by])["ARN"]
    done = adopt("--json")
    assert done.status == 0
    assert done.json["kms_keys"] == {"jwt-secret": key["Arn"]}
    assert done.json["sandbox_arguments"] == [
        "-c", f"adopt.jwt-secret={made}", "-c", f"secretKmsKeys.jwt-secret={key['Arn']}"
    ]  # fmt: skip
