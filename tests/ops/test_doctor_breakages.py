"""Break a stack in many ways: the doctor names each, and the command that fixes it."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from components.policies import identity

Stack = Any  # conftest.Deployed; conftest can't be imported in pytest's importlib mode
Break = Callable[[Stack], object]

DB, JWT, APP = "db-master-password", "jwt-secret", "app-config"


def put(name: str, value: str) -> Break:
    return lambda stack: stack.secrets.put_secret_value(SecretId=stack.arn(name), SecretString=value)


def put_json(**changes: object) -> Break:
    """Replace keys of app-config; None takes one away."""

    def broken(stack: Stack) -> None:
        value = json.loads(stack.values[APP]) | changes
        put(APP, json.dumps({key: part for key, part in value.items() if part is not None}))(stack)

    return broken


def reference(variable: str, change: Callable[[str], str]) -> Break:
    """Change one `valueFrom` of the deployed task definition."""

    def broken(stack: Stack) -> None:
        secrets = [
            {**item, "valueFrom": change(item["valueFrom"])} if item["name"] == variable else item
            for item in stack.containers()[0]["secrets"]
        ]
        stack.deploy_revision(stack.containers(secrets=secrets))

    return broken


def without_grant(word: str) -> Break:
    """Take the statements away that have a word in them."""
    return lambda stack: stack.grant(*(s for s in stack.grants() if word not in json.dumps(s)))


def trust(**principal: str) -> Break:
    def broken(stack: Stack) -> None:
        statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        stack.client("iam").update_assume_role_policy(
            RoleName=stack.role_name, PolicyDocument=identity.document([statement])
        )

    return broken


def delete_for_good(stack: Stack) -> None:
    stack.secrets.delete_secret(SecretId=stack.arn(DB), ForceDeleteWithoutRecovery=True)


def mark_for_deletion(stack: Stack) -> None:
    stack.secrets.delete_secret(SecretId=stack.arn(JWT), RecoveryWindowInDays=7)


def remove_current_label(stack: Stack) -> None:
    stages = stack.secrets.describe_secret(SecretId=stack.arn(JWT))["VersionIdsToStages"]
    current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
    stack.secrets.update_secret_version_stage(
        SecretId=stack.arn(JWT), VersionStage="AWSCURRENT", RemoveFromVersionId=current
    )


def put_binary(stack: Stack) -> None:
    stack.secrets.put_secret_value(SecretId=stack.arn(JWT), SecretBinary=b"\x00\x01")


def refer_to_stranger(stack: Stack) -> None:
    other = stack.secrets.create_secret(Name="somebody-elses", SecretString="theirs-of-nobody-here")["ARN"]
    reference("DB_PASSWORD", lambda _: other)(stack)


def drop_variable(stack: Stack) -> None:
    secrets = [item for item in stack.containers()[0]["secrets"] if item["name"] != "SMTP_PASSWORD"]
    stack.deploy_revision(stack.containers(secrets=secrets))


def set_variable_twice(stack: Stack) -> None:
    secrets = stack.containers()[0]["secrets"]
    stack.deploy_revision(stack.containers(secrets=[*secrets, secrets[0]]))


def set_in_the_clear(stack: Stack) -> None:
    container = stack.containers()[0]
    stack.deploy_revision(
        stack.containers(
            secrets=[item for item in container["secrets"] if item["name"] != "JWT_SECRET"],
            environment=[*container["environment"], {"name": "JWT_SECRET", "value": "something-else"}],
        )
    )


def leak_in_url(stack: Stack) -> None:
    url = {"name": "DATABASE_URL", "value": f"postgresql://app:{stack.values[DB]}@db.internal/app"}
    stack.deploy_revision(stack.containers(environment=[*stack.containers()[0]["environment"], url]))


def by_hand(**container: Any) -> Callable[[Stack], None]:
    """Register a newer revision with a second container, as the console does."""

    def register(stack: Stack) -> None:
        sidecar = {"name": "agent", "image": "public.ecr.aws/agent:1", "essential": False, **container}
        stack.register([*stack.containers(), sidecar])

    return register


def delete_role(stack: Stack) -> None:
    iam = stack.client("iam")
    iam.delete_role_policy(RoleName=stack.role_name, PolicyName="execution")
    iam.delete_role(RoleName=stack.role_name)


def delete_policy(stack: Stack) -> None:
    stack.client("iam").delete_role_policy(RoleName=stack.role_name, PolicyName="execution")


def forget_one_secret(stack: Stack) -> None:
    others = [arn for name, arn in stack.outputs["secret_arns"].items() if name != APP]
    stack.grant(identity.read_secrets(others), *stack.grants()[1:])


def widen(stack: Stack) -> None:
    stack.client("iam").put_role_policy(
        RoleName=stack.role_name, PolicyName="wide", PolicyDocument=identity.document([identity.read_secrets(["*"])])
    )


def trust_other_account(stack: Stack) -> None:
    document = identity.trust("ecs-tasks.amazonaws.com", account_id="210987654321")
    stack.client("iam").update_assume_role_policy(RoleName=stack.role_name, PolicyDocument=document)


def deny_in_resource_policy(stack: Stack) -> None:
    deny = {
        "Sid": "NobodyReads",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "secretsmanager:Get*",
        "Resource": "*",
    }
    stack.secrets.put_resource_policy(SecretId=stack.arn(DB), ResourcePolicy=identity.document([deny]))


def deny_in_role(stack: Stack) -> None:
    deny = {"Sid": "Freeze", "Effect": "Deny", "Action": "*", "Resource": stack.arn(JWT)}
    stack.client("iam").put_role_policy(
        RoleName=stack.role_name, PolicyName="freeze", PolicyDocument=identity.document([deny])
    )


def bound(stack: Stack) -> None:
    limit = {"Effect": "Allow", "Action": ["logs:*", "ecr:*"], "Resource": "*"}
    arn = stack.client("iam").create_policy(PolicyName="limit", PolicyDocument=identity.document([limit]))["Policy"][
        "Arn"
    ]
    stack.client("iam").put_role_permissions_boundary(RoleName=stack.role_name, PermissionsBoundary=arn)


def delete_image(stack: Stack) -> None:
    stack.client("ecr").batch_delete_image(repositoryName="service-ticket-system", imageIds=[{"imageTag": "1.0.0"}])


def delete_repository(stack: Stack) -> None:
    stack.client("ecr").delete_repository(repositoryName="service-ticket-system", force=True)


def delete_log_group(stack: Stack) -> None:
    stack.client("logs").delete_log_group(logGroupName=f"/ecs/{stack.family}")


def deregister(stack: Stack) -> None:
    stack.client("ecs").deregister_task_definition(taskDefinition=stack.service["task_definition_arn"])


def register_by_hand(stack: Stack) -> None:
    stack.register()


def start_by_another_role(stack: Stack) -> None:
    stack.deploy_revision(executionRoleArn=stack.location.role_arn("ecsTaskExecutionRole"))


def start_by_no_role(stack: Stack) -> None:
    stack.deploy_revision(executionRoleArn="")


def disable_key(stack: Stack) -> None:
    stack.client("kms").disable_key(KeyId=stack.key_arn.rpartition("/")[2])


def delete_key(stack: Stack) -> None:
    stack.client("kms").schedule_key_deletion(KeyId=stack.key_arn.rpartition("/")[2], PendingWindowInDays=7)


def close_key(stack: Stack) -> None:
    somebody = {"AWS": stack.location.role_arn("somebody")}
    only = {"Effect": "Allow", "Principal": somebody, "Action": "kms:*", "Resource": "*"}
    stack.client("kms").put_key_policy(KeyId=stack.key_arn, PolicyName="default", Policy=identity.document([only]))


def rotating(then: Break) -> Break:
    """Let a function rotate the database's password, then break that."""

    def broken(stack: Stack) -> None:
        stack.rotate_by_function(DB)
        then(stack)

    return broken


def delete_function(stack: Stack) -> None:
    stack.client("lambda").delete_function(FunctionName=f"{stack.prefix}-rotation")


def forbid_function(stack: Stack) -> None:
    stack.client("lambda").remove_permission(FunctionName=f"{stack.prefix}-rotation", StatementId="secrets-manager")


def cancel_rotation(stack: Stack) -> None:
    stack.secrets.cancel_rotate_secret(SecretId=stack.arn(DB))


def leave_rotation_unfinished(stack: Stack) -> None:
    stack.secrets.put_secret_value(
        SecretId=stack.arn(DB), SecretString="a-password-in-waiting", VersionStages=["AWSPENDING"]
    )


def delete_task_role(stack: Stack) -> None:
    stack.client("iam").delete_role(RoleName=f"{stack.family}-task")


def leave_pending_without_rotation(stack: Stack) -> None:
    stack.secrets.put_secret_value(SecretId=stack.arn(JWT), SecretString="in-waiting", VersionStages=["AWSPENDING"])


def lock_log_group(stack: Stack) -> None:
    key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    logs, group = stack.client("logs"), f"/ecs/{stack.family}"
    logs.delete_log_group(logGroupName=group)  # the local AWS gives an existing group no key
    logs.create_log_group(logGroupName=group, kmsKeyId=key)


def register_another_image(stack: Stack) -> None:
    stack.register(stack.containers(image="docker.io/somebody/else:1"), runtimePlatform={"cpuArchitecture": "ARM64"})


def put_key_twice(stack: Stack) -> None:
    value = stack.values[APP]
    put(APP, f'{{"API_KEY": "another-one", {value[1:]}')(stack)


def rotated_json(**changes: Any) -> Break:
    """Let a function rotate a JSON secret, then break a part that the function does not change."""

    def broken(stack: Stack) -> None:
        stack.rotate_by_function(APP)
        put_json(**{"username": "app", "password": "p-of-the-database", **changes})(stack)

    return broken


def fail_replica(stack: Stack) -> None:
    name = stack.full_name(JWT)
    stack.client("secretsmanager", "eu-central-1").create_secret(Name=name, SecretString="in-the-way-already")
    stack.secrets.replicate_secret_to_regions(SecretId=stack.arn(JWT), AddReplicaRegions=[{"Region": "eu-central-1"}])
    stack.write_outputs(replica_regions=["eu-central-1"])


CASES: dict[str, tuple[Break, str, str, str, str]] = {
    # what is broken: how, then the check, its status, what the subject and what the text must hold
    "secret deleted for good": (delete_for_good, "exists", "failure", DB, "doesn't exist"),
    "secret pending deletion": (mark_for_deletion, "deletion", "failure", JWT, "marked for deletion"),
    "no current version": (remove_current_label, "value", "failure", JWT, "no version has AWSCURRENT"),
    "binary value": (put_binary, "value", "failure", JWT, "is binary"),
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
    "a variable left out": (drop_variable, "value-from", "failure", "SMTP_PASSWORD", "not among"),
    "a variable set twice": (set_variable_twice, "value-from", "failure", "APP_CONFIG", "more than once"),
    "a secret in the clear": (set_in_the_clear, "plain-text", "failure", "JWT_SECRET", "in the clear"),
    "a value inside a URL": (leak_in_url, "plain-text", "failure", "DATABASE_URL", f"holds the value of {DB}"),
    "a secret in a sidecar registered outside Pulumi": (
        by_hand(environment=[{"name": "AGENT_API_KEY", "value": "0b1c2d3e4f5a6b7c8d9e"}]),
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
    "task definition deregistered": (deregister, "task-definition", "failure", "-dev-app:1", "deregistered"),
    "task definition registered outside Pulumi": (register_by_hand, "task-definition", "warning", "-dev-app:2", "outside Pulumi"),
    "another execution role": (start_by_another_role, "task-definition", "failure", "-dev-app:2", "ecsTaskExecutionRole"),
    "no execution role": (start_by_no_role, "task-definition", "failure", "-dev-app:2", "no execution role"),
    "role deleted": (delete_role, "role", "failure", "-execution", "doesn't exist"),
    "trust of another service": (trust(Service="lambda.amazonaws.com"), "role", "failure", "-execution", "doesn't trust"),
    "trust of another account's ECS": (trust_other_account, "role", "failure", "-execution", "doesn't trust"),
    "trust of everybody": (trust(AWS="*"), "role", "warning", "-execution", "can also be assumed by *"),
    "policy deleted": (delete_policy, "permission", "failure", JWT, "no policy allows"),
    "policy without one secret": (forget_one_secret, "permission", "failure", APP, "no policy allows"),
    "policy with a wildcard": (widen, "permission", "warning", "-execution", "more than the container's secrets: *"),
    "denied by the secret's policy": (deny_in_resource_policy, "permission", "failure", DB, "denied by NobodyReads"),
    "denied in the role": (deny_in_role, "permission", "failure", JWT, "denied by Freeze of inline policy freeze"),
    "permissions boundary": (bound, "permission", "failure", DB, "within its permissions boundary"),
    "no right to log": (without_grant("logs:"), "start", "failure", "-execution", "logs:CreateLogStream"),
    "no right to pull": (without_grant("ecr:Batch"), "start", "failure", "-execution", "ecr:BatchGetImage"),
    "image deleted": (delete_image, "image", "failure", "1.0.0", "tag or digest doesn't exist"),
    "log group deleted": (delete_log_group, "log-group", "failure", "/ecs/", "doesn't exist"),
    "function deleted": (rotating(delete_function), "rotation", "failure", DB, "function"),
    "function not allowed": (rotating(forbid_function), "rotation", "failure", DB, "not allowed to call"),
    "rotation cancelled": (rotating(cancel_rotation), "rotation", "warning", DB, "cancelled"),
    "rotation unfinished": (rotating(leave_rotation_unfinished), "rotation", "failure", DB, "unfinished"),
    "task role deleted": (delete_task_role, "role", "failure", "-dev-app-task", "the task role doesn't exist"),
    "AWSPENDING without a rotation": (leave_pending_without_rotation, "rotation", "warning", JWT, "no rotation that would"),
    "log group under another key": (lock_log_group, "log-group", "warning", "/ecs/", "not with the key of CloudWatch Logs"),
    "another image": (register_another_image, "task-definition", "warning", "-dev-app:2", "docker.io/somebody/else:1"),
    "another architecture": (register_another_image, "task-definition", "warning", "-dev-app:2", "for ARM64 instead of X86_64"),
    "JSON key twice": (put_key_twice, "json", "failure", APP, "has the key API_KEY twice"),
    "blank JSON key": (put_json(SMTP_PASSWORD=" "), "json", "failure", APP, "SMTP_PASSWORD is empty or blank"),
    "blank value": (put(JWT, "  \n"), "value", "failure", JWT, "empty or blank"),
    "line break in a JSON key": (put_json(SMTP_PASSWORD="pasted\n"), "json", "warning", APP, "SMTP_PASSWORD begins or ends"),
    "empty username": (rotated_json(username=""), "json", "failure", APP, "username is empty"),
    "rotated JSON without a key": (rotated_json(SMTP_PASSWORD=None), "json", "failure", APP, "has no key SMTP_PASSWORD"),
    "number in a rotated JSON": (rotated_json(SMTP_PASSWORD=1_000_000), "json", "failure", APP, "is of type int"),
    "line break in a rotated text": (rotating(put(DB, "a-long-password\n")), "value", "warning", DB, "white space"),
    "replica failed": (fail_replica, "replica", "failure", f"{JWT} in eu-central-1", "Failed"),
}  # fmt: skip

KEY_CASES: dict[str, tuple[Break, str, str]] = {
    "key disabled": (disable_key, "its key is Disabled", DB),
    "key pending deletion": (delete_key, "its key is PendingDeletion", DB),
    "no right to decrypt": (without_grant("kms:Decrypt"), "no policy allows kms:Decrypt", "-execution"),
    "key closed to the account": (close_key, "no policy allows kms:Decrypt", "-execution"),
}


ELSEWHERE = ("pulumi ", "docker ")
"""Commands that are run elsewhere: the engine's in tests/sandbox/test_doctor_fixes.py; there is no registry to push to."""

NOT_HERE = {
    "no current version": "moto can't move a label that no version has; run in tests/sandbox/test_doctor_fixes.py",
    "log group under another key": "moto has no DisassociateKmsKey; run in tests/sandbox/test_doctor_fixes.py",
    "rotation cancelled": "moto loses the current value; no test runs this command",
    "rotation unfinished": "no local AWS runs a function",
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
    delete_repository(stack)
    # The local AWS has no repository unless a test creates one: there it is not a finding.
    assert ops(stack, "doctor").status == 0
    monkeypatch.setattr("ops.doctor.task.uses_local_aws", lambda: False)

    (found,) = problems(ops(stack, "doctor", "--json").json)

    assert (found["check"], found["status"]) == ("image", "failure")
    assert "its repository doesn't exist in ECR" in found["found"]


@pytest.mark.parametrize("case", KEY_CASES)
def test_doctor_names_what_is_wrong_with_the_key(case: str, deploy: Any, ops: Any) -> None:
    broken, text, subject = KEY_CASES[case]
    stack = deploy("prod", customer_managed_key=True)
    assert ops(stack, "doctor", "--json").status == 0
    broken(stack)

    done = ops(stack, "doctor", "--json")

    found = problems(done.json)
    assert any(f["check"] == "key" and text in f["found"] and subject in f["subject"] and f["fix"] for f in found), (
        found
    )
    assert done.status == 1


def attach_too_much(stack: Stack) -> None:
    arn = stack.client("iam").create_policy(
        PolicyName="by-hand",
        PolicyDocument=identity.document([{"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}]),
    )["Policy"]["Arn"]
    stack.client("iam").attach_role_policy(RoleName=stack.role_name, PolicyArn=arn)


@pytest.mark.parametrize("broken", [deny_in_role, attach_too_much])
def test_a_policy_that_pulumi_did_not_make_is_taken_off_by_name(
    broken: Break, stack: Stack, ops: Any, paste: Any
) -> None:
    broken(stack)
    found = problems(ops(stack, "doctor", "--json").json)

    paste(stack, found[0]["fix"])

    assert problems(ops(stack, "doctor", "--json").json) == []


@pytest.mark.parametrize("case", ["key disabled", "key pending deletion"])
def test_the_fix_fixes_the_key(case: str, deploy: Any, ops: Any, paste: Any) -> None:
    stack = deploy("prod", customer_managed_key=True)
    KEY_CASES[case][0](stack)
    found = problems(ops(stack, "doctor", "--json").json)

    paste(stack, found[0]["fix"])

    assert problems(ops(stack, "doctor", "--json").json) == []
