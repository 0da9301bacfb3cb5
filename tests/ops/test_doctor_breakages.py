"""Break a stack in many ways: the doctor names each, and the command that fixes it."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.secretsmanager.models import secretsmanager_backends

from components.policies import identity
from tests.ops.conftest import Deployed as Stack

Break = Callable[[Stack], object]

DB, JWT, APP = "db-master-password", "jwt-secret", "app-config"


def call(service: str, operation: str, **parameters: Any) -> Break:
    """Call AWS. In its parameters {db}, {jwt} and {app} are the secrets' ARNs, {prefix}, {family}, {role} and {key} names."""

    def broken(stack: Stack) -> None:
        known = {name.partition("-")[0]: arn for name, arn in stack.outputs["secret_arns"].items()}
        known |= {
            "prefix": stack.prefix,
            "family": stack.family,
            "role": stack.role_name,
            "key": (stack.key_arn or "").rpartition("/")[2],
        }
        filled = {k: v.format_map(known) if isinstance(v, str) else v for k, v in parameters.items()}
        getattr(stack.client(service), operation)(**filled)

    return broken


def several(*breaks: Break) -> Break:
    return lambda stack: [broken(stack) for broken in breaks]


def policy(*statements: Any) -> Break:
    """Give the execution role another inline policy."""
    return lambda stack: stack.allow(stack.role_name, *statements)


def put(name: str, value: str) -> Break:
    return lambda stack: stack.put(name, value)


def put_json(**changes: object) -> Break:
    """Replace keys of app-config; None takes one away."""

    def broken(stack: Stack) -> None:
        value = json.loads(stack.values[APP]) | changes
        put(APP, json.dumps({key: part for key, part in value.items() if part is not None}))(stack)

    return broken


def container(change: Callable[[Stack, dict[str, Any]], dict[str, Any]]) -> Break:
    """Deploy a revision whose container has changes."""
    return lambda stack: stack.deploy_revision(stack.containers(**change(stack, stack.containers()[0])))


def reference(variable: str, change: Callable[[str], str]) -> Break:
    """Change one `valueFrom` of the deployed task definition."""
    return container(
        lambda _, was: {
            "secrets": [
                {**item, "valueFrom": change(item["valueFrom"])} if item["name"] == variable else item
                for item in was["secrets"]
            ]
        }
    )


def without(variable: str, was: Any) -> list[Any]:
    return [item for item in was["secrets"] if item["name"] != variable]


def plain(name: str, value: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value}]


def without_grant(word: str) -> Break:
    """Take the statements away that have a word in them."""
    return lambda stack: stack.grant(*(s for s in stack.grants() if word not in json.dumps(s)))


def trust(document: str) -> Break:
    def broken(stack: Stack) -> None:
        stack.client("iam").update_assume_role_policy(RoleName=stack.role_name, PolicyDocument=document)

    return broken


def trusting(**principal: str) -> Break:
    return trust(identity.document([{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]))


def refer_to_stranger(stack: Stack) -> None:
    other = stack.secrets.create_secret(Name="somebody-elses", SecretString="theirs-of-nobody-here")["ARN"]
    reference("DB_PASSWORD", lambda _: other)(stack)


def by_hand(**container: Any) -> Callable[[Stack], None]:
    """Register a newer revision with a second container, as the console does."""

    def register(stack: Stack) -> None:
        sidecar = {"name": "agent", "image": "public.ecr.aws/agent:1", "essential": False, **container}
        stack.register([*stack.containers(), sidecar])

    return register


def forget_one_secret(stack: Stack) -> None:
    others = [arn for name, arn in stack.outputs["secret_arns"].items() if name != APP]
    stack.grant(identity.read_secrets(others), *stack.grants()[1:])


def deny_in_resource_policy(stack: Stack) -> None:
    deny = {"Sid": "NobodyReads", "Effect": "Deny", "Principal": "*", "Action": "secretsmanager:Get*", "Resource": "*"}
    stack.secrets.put_resource_policy(SecretId=stack.arn(DB), ResourcePolicy=identity.document([deny]))


def managed(stack: Stack, action: list[str]) -> str:
    """Create a managed policy."""
    document = identity.document([{"Effect": "Allow", "Action": action, "Resource": "*"}])
    return stack.client("iam").create_policy(PolicyName="by-hand", PolicyDocument=document)["Policy"]["Arn"]


def bound(stack: Stack) -> None:
    limit = managed(stack, ["logs:*", "ecr:*"])
    stack.client("iam").put_role_permissions_boundary(RoleName=stack.role_name, PermissionsBoundary=limit)


def attach_too_much(stack: Stack) -> None:
    stack.client("iam").attach_role_policy(RoleName=stack.role_name, PolicyArn=managed(stack, ["secretsmanager:*"]))


def close_key(stack: Stack) -> None:
    somebody = {"AWS": stack.location.role_arn("somebody")}
    only = {"Effect": "Allow", "Principal": somebody, "Action": "kms:*", "Resource": "*"}
    stack.client("kms").put_key_policy(KeyId=stack.key_arn, PolicyName="default", Policy=identity.document([only]))


def rotating(then: Break, name: str = DB) -> Break:
    """Let a function rotate a secret, by default the database's password, then break that."""
    return several(lambda stack: stack.rotate_by_function(name), then)


def lock_log_group(stack: Stack) -> None:
    key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    logs, group = stack.client("logs"), f"/ecs/{stack.family}"
    logs.delete_log_group(logGroupName=group)  # the local AWS gives an existing group no key
    logs.create_log_group(logGroupName=group, kmsKeyId=key)


def register_another_image(stack: Stack) -> None:
    stack.register(stack.containers(image="docker.io/somebody/else:1"), runtimePlatform={"cpuArchitecture": "ARM64"})


def rotated_json(**changes: Any) -> Break:
    """Let a function rotate a JSON secret, then break a part that the function does not change."""
    return rotating(put_json(**{"username": "app", "password": "p-of-the-database", **changes}), APP)


def wait(name: str) -> Break:
    """Leave a version in waiting."""
    return lambda stack: stack.put(name, "a-password-in-waiting", "AWSPENDING")


def be_late(stack: Stack) -> None:
    secret: Any = secretsmanager_backends[stack.account][stack.region].secrets[stack.full_name(DB)]
    secret.next_rotation_date = int((datetime.now(UTC) - timedelta(days=3)).timestamp())


def fail_replica(stack: Stack) -> None:
    name = stack.full_name(JWT)
    stack.client("secretsmanager", "eu-central-1").create_secret(Name=name, SecretString="in-the-way-already")
    stack.secrets.replicate_secret_to_regions(SecretId=stack.arn(JWT), AddReplicaRegions=[{"Region": "eu-central-1"}])
    stack.write_outputs(replica_regions=["eu-central-1"])


SECRETS, ROTATION = "secretsmanager", "{prefix}-rotation"
DELETE_POLICY = call("iam", "delete_role_policy", RoleName="{role}", PolicyName="execution")
NO_PULL = identity.document([{"Sid": "OnlyTheTeam", "Effect": "Deny", "Principal": "*", "Action": "ecr:BatchGetImage"}])
FREEZE = {
    "Sid": "Freeze",
    "Effect": "Deny",
    "Action": "*",
    "Resource": "arn:aws:secretsmanager:*:secret:*-jwt-secret-*",
}
CASES: dict[str, tuple[Break, str, str, str, str]] = {
    # what is broken: how, then the check, its status, what the subject and what the text must hold
    "secret deleted for good": (
        call(SECRETS, "delete_secret", SecretId="{db}", ForceDeleteWithoutRecovery=True),
        "exists", "failure", DB, "doesn't exist",
    ),
    "secret pending deletion": (
        call(SECRETS, "delete_secret", SecretId="{jwt}", RecoveryWindowInDays=7),
        "deletion", "failure", JWT, "; no task of app can start: JWT_SECRET",
    ),
    "no current version": (lambda stack: stack.move(JWT, "AWSCURRENT"), "value", "failure", JWT, "no version has AWSCURRENT"),
    "binary value": (
        call(SECRETS, "put_secret_value", SecretId="{jwt}", SecretBinary=b"\x00\x01"), "value", "failure", JWT, "is binary",
    ),
    "pasted line break": (put(JWT, "a-long-enough-value\n"), "value", "warning", JWT, "white space"),
    "JSON without a key": (put_json(REDIS_PASSWORD=None), "json", "failure", APP, "has no key REDIS_PASSWORD"),
    "invalid JSON": (put(APP, '{"REDIS_PASSWORD": "cut-off-here'), "json", "failure", APP, "is not valid JSON"),
    "JSON that is not an object": (put(APP, '["REDIS_PASSWORD"]'), "json", "failure", APP, "not an object with keys"),
    "number in the JSON": (put_json(SMTP_PASSWORD=1_000_000), "json", "failure", APP, "SMTP_PASSWORD is of type int"),
    "nested JSON": (put_json(API_KEY={"a": "b"}), "json", "warning", APP, "API_KEY is nested"),
    "empty JSON key": (put_json(CLOUDFLARE_TOKEN=""), "json", "failure", APP, "CLOUDFLARE_TOKEN is empty"),
    "another account's ARN": (
        reference("DB_PASSWORD", lambda text: re.sub(r":\d{12}:", ":210987654321:", text)),
        "value-from", "failure", "DB_PASSWORD", "account 210987654321",
    ),
    "another Region's ARN": (
        reference("DB_PASSWORD", lambda text: text.replace("eu-west-1", "us-east-1")),
        "value-from", "failure", "DB_PASSWORD", "Region us-east-1",
    ),
    "a stranger's secret": (refer_to_stranger, "value-from", "failure", "DB_PASSWORD", "is not a secret of this stack"),
    "two colons missing": (
        reference("SMTP_PASSWORD", lambda text: text.rstrip(":")), "value-from", "failure", "SMTP_PASSWORD", "fields",
    ),
    "a name for an ARN": (
        reference("JWT_SECRET", lambda text: text.split(":")[6]), "value-from", "failure", "JWT_SECRET", "is not the ARN",
    ),
    "an ARN without its end": (
        reference("JWT_SECRET", lambda text: text[:-7]), "value-from", "failure", "JWT_SECRET", "lacks the ARN's last part",
    ),
    "a version that isn't there": (
        reference("JWT_SECRET", lambda text: f"{text}::AWSPREVIOUS:"), "value-from", "failure", "JWT_SECRET", "AWSPREVIOUS",
    ),
    "another key than the outputs say": (
        reference("SMTP_PASSWORD", lambda text: text.replace("SMTP_PASSWORD", "API_KEY")),
        "value-from", "failure", "SMTP_PASSWORD", "the stack's outputs say",
    ),
    "a variable left out": (
        container(lambda _, was: {"secrets": without("SMTP_PASSWORD", was)}),
        "value-from", "failure", "SMTP_PASSWORD", "not among",
    ),
    "a variable set twice": (
        container(lambda _, was: {"secrets": [*was["secrets"], was["secrets"][0]]}),
        "value-from", "failure", "APP_CONFIG", "more than once",
    ),
    "a secret in the clear": (
        container(lambda _, was: {"secrets": without("JWT_SECRET", was), "environment": plain("JWT_SECRET", "else")}),
        "plain-text", "failure", "JWT_SECRET", "in the clear",
    ),
    "a value inside a URL": (
        container(lambda stack, _: {"environment": plain("DATABASE_URL", f"postgresql://app:{stack.values[DB]}@db/app")}),
        "plain-text", "failure", "DATABASE_URL", f"holds the value of {DB}",
    ),
    "a secret in a sidecar registered outside Pulumi": (
        by_hand(environment=plain("AGENT_API_KEY", "0b1c2d3e4f5a6b7c8d9e")),
        "plain-text", "failure", "AGENT_API_KEY in ", "has the name of a secret",
    ),
    "a secret in a sidecar's command": (
        by_hand(command=["agent", "--api-key", "0b1c2d3e4f5a6b7c8d9e"]),
        "plain-text", "failure", "agent: command in ", "sets api-key",
    ),
    "a value in a sidecar's label": (
        lambda stack: by_hand(dockerLabels={"url": f"postgresql://app:{stack.values[DB]}@db/app"})(stack),
        "plain-text", "failure", "agent: dockerLabels.url in ", f"holds the value of {DB}",
    ),
    "task definition deregistered": (
        call("ecs", "deregister_task_definition", taskDefinition="{family}:1"),
        "task-definition", "failure", "-dev-app:1", "deregistered",
    ),
    "task definition registered outside Pulumi": (
        lambda stack: stack.register(), "task-definition", "warning", "-dev-app:2", "outside Pulumi",
    ),
    "another execution role": (
        lambda stack: stack.deploy_revision(executionRoleArn=stack.location.role_arn("ecsTaskExecutionRole")),
        "task-definition", "failure", "-dev-app:2", "ecsTaskExecutionRole",
    ),
    "no execution role": (
        lambda stack: stack.deploy_revision(executionRoleArn=""), "task-definition", "failure", "-dev-app:2", "no execution role",
    ),
    "role deleted": (
        several(DELETE_POLICY, call("iam", "delete_role", RoleName="{role}")), "role", "failure", "-execution", "doesn't exist",
    ),
    "trust of another service": (trusting(Service="lambda.amazonaws.com"), "role", "failure", "-execution", "doesn't trust"),
    "trust of another account's ECS": (
        trust(identity.trust("ecs-tasks.amazonaws.com", account_id="210987654321")),
        "role", "failure", "-execution", "doesn't trust",
    ),
    "trust of everybody": (trusting(AWS="*"), "role", "warning", "-execution", "can also be assumed by *"),
    "policy deleted": (DELETE_POLICY, "permission", "failure", JWT, "no policy allows"),
    "policy without one secret": (forget_one_secret, "permission", "failure", APP, "no policy allows"),
    "policy with a wildcard": (
        policy(identity.read_secrets(["*"])), "permission", "warning", "-execution", "more than the container's secrets: *",
    ),
    "policy attached outside Pulumi": (attach_too_much, "permission", "warning", "-execution", "of managed policy by-hand"),
    "denied by the secret's policy": (deny_in_resource_policy, "permission", "failure", DB, "denied by NobodyReads"),
    "denied in the role": (policy(FREEZE), "permission", "failure", JWT, "denied by Freeze of inline policy by-hand"),
    "permissions boundary": (bound, "permission", "failure", DB, "within its permissions boundary"),
    "no right to log": (without_grant("logs:"), "start", "failure", "-execution", "logs:CreateLogStream"),
    "no right to pull": (without_grant("ecr:Batch"), "start", "failure", "-execution", "ecr:BatchGetImage"),
    "image deleted": (
        call("ecr", "batch_delete_image", repositoryName="service-ticket-system", imageIds=[{"imageTag": "1.0.0"}]),
        "image", "failure", "1.0.0", "tag or digest doesn't exist",
    ),
    "pull denied by the repository's policy": (
        lambda stack: stack.client("ecr").set_repository_policy(repositoryName="service-ticket-system", policyText=NO_PULL),
        "image", "failure", "1.0.0", "ecr:BatchGetImage is denied by OnlyTheTeam",
    ),
    "log group deleted": (
        call("logs", "delete_log_group", logGroupName="/ecs/{family}"), "log-group", "failure", "/ecs/", "doesn't exist",
    ),
    "function deleted": (
        rotating(call("lambda", "delete_function", FunctionName=ROTATION)), "rotation", "failure", DB, "function",
    ),
    "function not allowed": (
        rotating(call("lambda", "remove_permission", FunctionName=ROTATION, StatementId="secrets-manager")),
        "rotation", "failure", DB, "not allowed to call",
    ),
    "rotation overdue": (rotating(be_late), "rotation", "failure", DB, "was due to rotate by "),
    "rotation cancelled": (
        rotating(call(SECRETS, "cancel_rotate_secret", SecretId="{db}")), "rotation", "warning", DB, "cancelled",
    ),
    "rotation unfinished": (rotating(wait(DB)), "rotation", "failure", DB, "unfinished"),
    "task role deleted": (
        call("iam", "delete_role", RoleName="{family}-task"), "role", "failure", "-dev-app-task", "the task role doesn't exist",
    ),
    "AWSPENDING without a rotation": (wait(JWT), "rotation", "warning", JWT, "no rotation that would"),
    "log group under another key": (lock_log_group, "log-group", "warning", "/ecs/", "not with the key of CloudWatch Logs"),
    "another image": (register_another_image, "task-definition", "warning", "-dev-app:2", "docker.io/somebody/else:1"),
    "another architecture": (register_another_image, "task-definition", "warning", "-dev-app:2", "for ARM64 instead of X86_64"),
    "JSON key twice": (
        lambda stack: put(APP, f'{{"API_KEY": "another-one", {stack.values[APP][1:]}')(stack),
        "json", "failure", APP, "has the key API_KEY twice",
    ),
    "blank JSON key": (put_json(SMTP_PASSWORD=" "), "json", "failure", APP, "SMTP_PASSWORD is empty or blank"),
    "blank value": (put(JWT, "  \n"), "value", "failure", JWT, "empty or blank"),
    "line break in a JSON key": (put_json(SMTP_PASSWORD="pasted\n"), "json", "warning", APP, "SMTP_PASSWORD begins or ends"),
    "empty username": (rotated_json(username=""), "json", "failure", APP, "username is empty"),
    "rotated JSON without a key": (rotated_json(SMTP_PASSWORD=None), "json", "failure", APP, "has no key SMTP_PASSWORD"),
    "number in a rotated JSON": (rotated_json(SMTP_PASSWORD=1_000_000), "json", "failure", APP, "is of type int"),
    "line break in a rotated text": (rotating(put(DB, "a-long-password\n")), "value", "warning", DB, "white space"),
    "replica failed": (fail_replica, "replica", "failure", f"{JWT} in eu-central-1", "Failed"),
}  # fmt: skip

KEY_CASES: dict[str, tuple[Break, str, str, bool]] = {
    # how it is broken, what the text and the subject must hold, and whether the printed command can be run here
    "key disabled": (call("kms", "disable_key", KeyId="{key}"), "its key is Disabled", DB, True),
    "key pending deletion": (
        call("kms", "schedule_key_deletion", KeyId="{key}", PendingWindowInDays=7), "its key is PendingDeletion", DB, True,
    ),
    "no right to decrypt": (without_grant("kms:Decrypt"), "no policy allows kms:Decrypt", "-execution", False),
    "key closed to the account": (close_key, "no policy allows kms:Decrypt", "-execution", False),
}  # fmt: skip


ELSEWHERE = ("pulumi ", "docker ")
"""Commands that are run elsewhere: the engine's in tests/sandbox/test_doctor_fixes.py; there is no registry to push to."""

NOT_HERE = {
    "no current version": "moto can't move a label that no version has; run in tests/sandbox/test_doctor_fixes.py",
    "log group under another key": "moto has no DisassociateKmsKey; run in tests/sandbox/test_doctor_fixes.py",
    "rotation cancelled": "moto loses the current value; no test runs this command",
    "rotation unfinished": "no local AWS runs a function",
    "rotation overdue": "the same",
    "replica failed": "moto lists the failed replica beside the new one",
}
"""Breakages whose command moto can't run, and why."""


def problems(report: dict[str, Any]) -> list[dict[str, str]]:
    return [finding for finding in report["findings"] if finding["status"] != "ok"]


@pytest.mark.parametrize("case", CASES)
def test_doctor_names_what_is_broken_and_the_printed_command_fixes_it(
    case: str, stack: Stack, ops: Any, paste: Any
) -> None:
    broken, check, status, subject, text = CASES[case]
    broken(stack)

    done = ops(stack, "doctor", "--json")

    found = problems(done.json)
    assert any(
        f["check"] == check and f["status"] == status and subject in f["subject"] and text in f["found"] for f in found
    ), found
    assert all(finding["fix"] or finding["remark"] for finding in found)
    assert done.status == 1
    assert not any(value in done.out + done.err for value in stack.values.values())
    if case not in NOT_HERE:
        left = found
        while commands := [f["fix"] for f in left if f["fix"] and not f["fix"].startswith(ELSEWHERE)]:
            typed = "a-value-of-the-operator" if "--key" in commands[0] or APP not in commands[0] else stack.values[APP]
            paste(stack, commands[0], value=typed)
            before, left = left, problems(ops(stack, "doctor", "--json").json)
            assert len(left) < len(before), f"{commands[0]} changed nothing: {left}"


def test_doctor_names_a_deleted_repository(stack: Stack, ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.client("ecr").delete_repository(repositoryName="service-ticket-system", force=True)
    # The local AWS has no repository unless a test creates one: there it is not a finding.
    assert ops(stack, "doctor").status == 0
    monkeypatch.setattr("ops.doctor.task.uses_local_aws", lambda: False)

    (found,) = problems(ops(stack, "doctor", "--json").json)

    assert (found["check"], found["status"]) == ("image", "failure")
    assert "its repository doesn't exist in ECR" in found["found"]


@pytest.mark.parametrize("case", KEY_CASES)
def test_doctor_names_what_is_wrong_with_the_key(case: str, deploy: Any, ops: Any, paste: Any) -> None:
    broken, text, subject, runs_here = KEY_CASES[case]
    stack = deploy("prod", customer_managed_key=True)
    assert ops(stack, "doctor", "--json").status == 0
    broken(stack)

    done = ops(stack, "doctor", "--json")

    found = problems(done.json)
    named = [f for f in found if f["check"] == "key" and text in f["found"] and subject in f["subject"] and f["fix"]]
    assert named, found
    assert done.status == 1
    if runs_here:
        paste(stack, found[0]["fix"])
        assert problems(ops(stack, "doctor", "--json").json) == []
