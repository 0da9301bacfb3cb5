"""Each component alone, as a program that is not this application uses it: defaults, and what AWS would refuse."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pytest

from components._args import ArgsError
from components.encryption import Encryption
from components.execution_role import ExecutionRole
from components.location import Location
from components.redeployment import EVENT_PATTERN_CHARACTERS, Redeployment
from components.rotation import Rotation
from components.secret import Secret, arn_length, foreign, full_name_of
from components.task_definition import TaskDefinition
from tests.unit.conftest import ACCOUNT, REGION, Recorder, Recording

HERE = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/starts"
RULE, POLICY = "aws:cloudwatch/eventRule:EventRule", "aws:iam/rolePolicy:RolePolicy"
TASK = "aws:ecs/taskDefinition:TaskDefinition"


def own(name: str) -> Secret:
    """A secret whose ARN only an output knows."""
    return Secret(name, f"shop-dev-{name}", pulumi.Output.from_input(f"{HERE}shop-dev-{name}-AbCdEf"), REGION)


@dataclass(frozen=True)
class Later:
    """What only an output knows; one belongs to the run of a program."""

    value: Any


def resolved(value: Any) -> Any:
    match value:
        case Later():
            return pulumi.Output.from_input(value.value)
        case dict():
            return {key: resolved(one) for key, one in cast("dict[str, Any]", value).items()}
        case list():
            return [resolved(one) for one in cast("list[Any]", value)]
        case _:
            return value


def run(record: Recorder, component: Callable[..., Any], args: Any, *, name: str = "app", **more: Any) -> Recording:
    def program() -> None:
        component(name, resolved(args() if callable(args) else args))

    return record(program, project="shop", stack="dev", **more)


def refusal(record: Recorder, component: Callable[..., Any], args: Any) -> str:
    with pytest.raises(ArgsError) as caught:
        run(record, component, args)
    return str(caught.value)


def patterns(recording: Recording) -> list[list[str]]:
    return [rule.document("eventPattern")["resources"] for rule in recording.of(RULE)]


# Secret


def test_a_foreign_secret_says_its_name_and_region_by_its_arn() -> None:
    secret = foreign(
        "token", "arn:aws:secretsmanager:us-east-1:999988887777:secret:partner/token-GhIjKl", "Payments", KEY
    )
    assert (secret.full_name, secret.region, secret.is_foreign) == ("partner/token", "us-east-1", True)
    assert arn_length(secret, "aws", ACCOUNT) == len(str(secret.arn))
    with pytest.raises(ValueError, match="full ARN"):
        full_name_of("arn:aws:secretsmanager:us-east-1:999988887777:secret:token")


# ExecutionRole


def test_an_execution_role_alone_asks_its_provider_where_it_is(record: Recorder) -> None:
    recording = run(record, ExecutionRole, {"secret_arns": [f"{HERE}a-AbCdEf"]})
    assert recording.one("aws:iam/role:Role").inputs["name"] == "shop-dev-app-execution"
    read, log = recording.one(POLICY).document("policy")["Statement"]
    assert read["Resource"] == [f"{HERE}a-AbCdEf"]
    assert log["Resource"] == [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/ecs/shop-dev-app:log-stream:*"]
    assert {token for token, _ in recording.invokes} == {
        "aws:index/getPartition:getPartition",
        "aws:index/getRegion:getRegion",
        "aws:index/getCallerIdentity:getCallerIdentity",
    }


def test_arns_that_only_outputs_know_are_granted_with_their_keys_and_images(record: Recorder) -> None:
    args = {
        "secret_arns": Later([f"{HERE}b-AbCdEf"]),
        "kms_key_arns": [Later(KEY)],
        "images": [f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}:1" for name in ("web", "agent")],
    }
    recording = run(record, ExecutionRole, lambda: args | {"reads": [own("a")]})
    by_sid = {one["Sid"]: one for one in recording.one(POLICY).document("policy")["Statement"]}
    assert by_sid["ReadSecrets"]["Resource"] == [f"{HERE}b-AbCdEf", f"{HERE}shop-dev-a-AbCdEf"]
    assert by_sid["DecryptSecretsEuCentral1"]["Resource"] == [KEY]
    assert [arn.rpartition("/")[2] for arn in by_sid["PullImage"]["Resource"]] == ["agent", "web"]


def test_two_secrets_of_one_name_in_two_accounts_are_both_granted(record: Recorder) -> None:
    other = HERE.replace(ACCOUNT, "999988887777") + "shop-dev-a-GhIjKl"
    recording = run(record, ExecutionRole, lambda: {"reads": [own("a"), foreign("b", other, "Payments")]})
    statement = recording.one(POLICY).document("policy")["Statement"][0]
    assert set(statement["Resource"]) == {f"{HERE}shop-dev-a-AbCdEf", other}


def test_arns_of_outputs_that_no_policy_has_room_for_are_refused(record: Recorder) -> None:
    arns = Later([f"{HERE}{'x' * 80}-{number:03}-AbCdEf" for number in range(80)])
    with pytest.raises(pulumi.RunError, match=r"AWS accepts 10,240: pass the secrets as `reads`"):
        run(record, ExecutionRole, {"secret_arns": arns})


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ({"secret_arns": ["db-password"]}, "full ARNs of secrets"),
        ({"kms_key_arns": ["alias/key"]}, "ARNs of keys"),
        ({"replica_regions": [REGION]}, f"Regions other than {REGION}"),
        ({"replica_kms_keys": {"eu-west-1": KEY}}, "a Region of replica_regions"),
        ({"replica_regions": ["eu-west-1"], "replica_kms_keys": {"eu-west-1": KEY}}, "a key in that Region"),
        ({"permissions_boundary": "boundary"}, "the ARN of a managed policy"),
        ({"prefix": "p" * 55}, "at most 54"),
    ],
)
def test_an_execution_role_refuses_what_aws_would(record: Recorder, args: Any, found: str) -> None:
    assert found in refusal(record, ExecutionRole, args)


def test_every_problem_is_told_at_once_in_the_spelling_of_the_user_s_language(record: Recorder) -> None:
    with pytest.raises(ArgsError) as caught:
        run(record, ExecutionRole, {"secret_arns": ["a"], "permissions_boundary": "b"})
    assert str(caught.value).splitlines() == [
        '2 problems in the arguments of ExecutionRole "app":',
        "  permissions_boundary  has 'b'  the ARN of a managed policy",
        "  secret_arns           has 'a'  full ARNs of secrets, with the six characters at their end",
    ]
    assert "\n  SECRET_ARNS " in caught.value.renamed(str.upper)


# TaskDefinition


def test_a_task_definition_takes_a_health_check_and_sidecars_as_they_come(record: Recorder) -> None:
    agent = {"name": "agent", "image": "datadog/agent:7", "memory": 64.0, "dependsOn": [{"containerName": "web"}]}
    args = {
        "image": "web:1",
        "execution_role_arn": ROLE,
        "container_name": "web",
        "health_check": {"command": ["CMD-SHELL", "curl -f localhost"], "start_period": 10.0},
        "sidecars": [agent],
    }
    web, sidecar = run(record, TaskDefinition, args).one(TASK).document("containerDefinitions")
    assert web["healthCheck"] == {
        "command": ["CMD-SHELL", "curl -f localhost"],
        "interval": 30,
        "timeout": 5,
        "retries": 3,
        "startPeriod": 10,
    }
    assert web["portMappings"] == []
    assert sidecar == agent
    assert isinstance(sidecar["memory"], int)  # another language's numbers are floats


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ({"execution_role_arn": None}, "execution_role_arn"),
        ({"cpu": 300}, "one of 256, 512"),
        ({"memory": 4096}, "memory for 256 is 512, 1024 or 2048"),
        ({"cpu_architecture": "arm"}, "X86_64 or ARM64"),
        ({"log_mode": "async"}, "non-blocking or blocking"),
        ({"container_port": 0}, "1 to 65535"),
        ({"log_retention_in_days": 2}, "one of 1, 3, 5"),
        ({"environment": {"A": "1"}, "secrets": {"A": f"{HERE}a-AbCdEf"}}, "has A, which is also in secrets"),
        ({"health_check": {"command": ["curl"]}}, "CMD or CMD-SHELL"),
        ({"health_check": {"command": ["CMD", "x"], "interval": 1}}, "5 to 300 seconds"),
        ({"sidecars": [{"name": "agent"}]}, "number 1 has no image"),
        ({"container_name": "a", "sidecars": [{"name": "a", "image": "b"}]}, "has 'a' twice"),
    ],
)
def test_a_task_definition_refuses_what_aws_would(record: Recorder, args: Any, found: str) -> None:
    assert found in refusal(record, TaskDefinition, {"image": "web:1", "execution_role_arn": ROLE, **args})


# Redeployment


def test_own_and_foreign_secrets_share_patterns_that_eventbridge_takes(record: Recorder) -> None:
    """Once the foreign ones counted by their names in the catalogue: 20 own and 3 of them made a pattern of 2,125 characters."""
    theirs = [foreign(f"t{n}", f"{HERE}a-team-of-others/and-its-long-name-{n}-AbCdEf", "others") for n in range(3)]
    reads = lambda: [*(own(f"secret-{number:02}") for number in range(20)), *theirs]  # noqa: E731 - outputs of this run
    recording = run(record, Redeployment, lambda: {"cluster": "main", "service": "web", "reads": reads()})
    rules = recording.of(RULE)
    assert [len(str(rule.inputs["eventPattern"])) <= EVENT_PATTERN_CHARACTERS for rule in rules] == [True, True]
    assert len({arn for group in patterns(recording) for arn in group}) == 23


def test_a_preview_that_knows_no_arn_shows_the_same_rules(record: Recorder) -> None:
    args = lambda: {"cluster": "main", "service": "web", "reads": [own(f"secret-{n:02}") for n in range(40)]}  # noqa: E731
    assert run(record, Redeployment, args, preview=True).names() == run(record, Redeployment, args).names()


def test_a_secret_whose_events_do_not_come_here_is_left_out(record: Recorder) -> None:
    far = [
        foreign("a", HERE.replace(REGION, "us-east-1") + "a-AbCdEf", "others"),
        foreign("b", HERE.replace(ACCOUNT, "999988887777") + "b-AbCdEf", "others"),
    ]
    recording = run(record, Redeployment, lambda: {"cluster": "c", "service": "s", "reads": [own("c"), *far]})
    assert patterns(recording) == [[f"{HERE}shop-dev-c-AbCdEf"]]


def test_arns_and_names_that_only_outputs_know_are_watched(record: Recorder) -> None:
    args = {
        "cluster": Later("main"),
        "service": Later("web"),
        "secret_arns": Later([f"{HERE}b-AbCdEf"]),
    }
    recording = run(record, Redeployment, args)
    assert patterns(recording) == [[f"{HERE}b-AbCdEf"]]
    machine = recording.one("aws:sfn/stateMachine:StateMachine").inputs["definition"]
    assert "web" in machine
    assert 'TaskDefinition": "' not in machine  # whoever's task definition it is: the service restarts what it runs
    policy = recording.one(POLICY, "app-redeploy").document("policy")
    assert "iam:PassRole" not in json.dumps(policy)


def test_more_arns_of_outputs_than_a_pattern_has_room_for_are_refused(record: Recorder) -> None:
    arns = Later([f"{HERE}shop-dev-secret-{number:02}-AbCdEf" for number in range(30)])
    with pytest.raises(pulumi.RunError, match=r"EventBridge accepts 2,048: pass the secrets as `reads`"):
        run(record, Redeployment, {"cluster": "c", "service": "s", "secret_arns": arns})


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ({}, "as `reads` or `secret_arns`"),
        ({"reads": [], "cluster": "a cluster"}, "letters, digits, _ and -"),
        ({"secret_arns": [HERE.replace(REGION, "us-east-1") + "a-AbCdEf"]}, "others send no events"),
        ({"reads": [], "family": "web"}, "both, or neither"),
        ({"reads": [], "prefix": "p" * 50}, "at most 49"),
    ],
)
def test_a_redeployment_refuses_what_aws_would(record: Recorder, args: Any, found: str) -> None:
    assert found in refusal(record, Redeployment, {"cluster": "main", "service": "web", **args})


# Rotation, Encryption


def rotation(**changes: Any) -> Callable[[], Any]:
    return lambda: {
        "secret": own("db"),
        "host": "db.internal",
        "username": "postgres",
        "schedule": "cron(0 3 ? * SUN *)",
        "subnet_ids": ["subnet-0123456789abcdef0"],
        "security_group_ids": ["sg-0123456789abcdef0"],
        **changes,
    }


def test_a_rotation_alone_has_the_engine_s_defaults(record: Recorder) -> None:
    function = run(record, Rotation, rotation(host=Later("db.internal"))).one("aws:lambda/function:Function")
    assert function.inputs["name"] == "shop-dev-rotation"
    assert function.inputs["environment"]["variables"] == {
        "ENGINE": "postgresql",
        "STRATEGY": "single-user",
        "DATABASE_HOST": "db.internal",
        "DATABASE_PORT": "5432",
        "DATABASE_NAME": "postgres",
        "DATABASE_USERNAME": "postgres",
    }


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"schedule": "rate(1 day)"}, "cron("),
        ({"duration": "25h"}, "1h to 24h"),
        ({"engine": "oracle"}, "one of postgresql"),
        ({"strategy": "both"}, "single-user or alternating-users"),
        ({"strategy": "alternating-users"}, "alternating-users needs it"),
        ({"subnet_ids": ["private"]}, "subnet-..."),
        ({"port": 70_000}, "1 to 65535"),
    ],
)
def test_a_rotation_refuses_what_aws_would(record: Recorder, changes: Any, found: str) -> None:
    assert found in refusal(record, Rotation, rotation(**changes))


def test_a_key_alone_is_protected_and_encrypts_the_stack_s_secrets(record: Recorder) -> None:
    key = run(record, Encryption, {}).one("aws:kms/key:Key")
    assert key.options.protect
    through = key.document("policy")["Statement"][1]["Condition"]["StringLike"]
    assert through["kms:EncryptionContext:SecretARN"] == ["RequestToValidateKeyAccess", f"{HERE}shop-dev-*-??????"]
    assert "7 to 30 days" in refusal(record, Encryption, {"deletion_window_in_days": 31})


def test_a_program_in_another_language_gives_objects(record: Recorder) -> None:
    """The served component gets dictionaries where Python has data classes."""
    fields = {
        "name": "a",
        "full_name": "shop-dev-a",
        "arn": f"{HERE}shop-dev-a-AbCdEf",
        "region": REGION,
        "owner": "stack",
    }
    where = {"partition": "aws", "region": REGION, "account_id": ACCOUNT}
    recording = run(record, ExecutionRole, {"reads": [fields], "location": where})
    assert recording.one(POLICY).document("policy")["Statement"][0]["Resource"] == [fields["arn"]]
    assert recording.invokes == []
    assert cast("Any", Location(**where)).region == REGION
