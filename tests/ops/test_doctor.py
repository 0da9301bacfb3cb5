"""`ops doctor` on stacks that are well, on large ones, on services, and when AWS doesn't play along."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from moto.secretsmanager.models import secretsmanager_backends

from components.labels import LIVE
from config.declarations import External, Generated, JsonSecret, TextSecret
from ops._roles import Role
from ops._secrets import Record, Rotation, Value
from ops._stack import parse as parse_outputs
from ops.access.evaluator import parse
from ops.doctor.role import _start
from ops.doctor.secrets import check as check_secrets
from ops.doctor.service import Found, redeploy
from ops.doctor.service import check as check_service
from ops.doctor.service import read as read_service
from ops.doctor.snapshot import Container, Snapshot, TaskDefinition
from ops.doctor.upkeep import check_deployed
from tests.ops.conftest import Deployed as Stack


def of(done: Any, *checks: str) -> list[dict[str, str]]:
    """The findings of some checks."""
    return [finding for finding in done.json["findings"] if finding["check"] in checks]


def problems(done: Any) -> list[dict[str, str]]:
    return [finding for finding in done.json["findings"] if finding["status"] != "ok"]


def age_by(stack: Stack, name: str, days: int) -> None:
    secret = secretsmanager_backends[stack.account][stack.region].secrets[stack.full_name(name)]
    for version in secret.versions.values():
        version["createdate"] -= days * 86_400


@pytest.mark.parametrize("customer_managed_key", [False, True])
def test_healthy_stack(deploy: Any, ops: Any, customer_managed_key: bool) -> None:  # noqa: FBT001
    stack = deploy("prod", customer_managed_key=customer_managed_key)

    done = ops(stack, "doctor")

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[0] == f"prod (account {stack.account}, eu-west-1)"
    assert done.out.splitlines()[-1] == "healthy"
    assert not any(value in done.out for value in stack.values.values())


def test_healthy_stack_with_rotation_and_replicas(stack: Stack, ops: Any) -> None:
    stack.rotate_by_function("db-master-password")
    stack.secrets.replicate_secret_to_regions(
        SecretId=stack.arn("jwt-secret"), AddReplicaRegions=[{"Region": "eu-central-1"}]
    )
    stack.write_outputs(replica_regions=["eu-central-1"])

    done = ops(stack, "doctor", "--json")

    assert done.status == 0
    rotation, replica = of(done, "rotation", "replica")
    assert rotation["found"] == "db-master-password rotates on time"
    assert replica["found"].startswith("in sync: ")


def test_a_replica_that_is_no_longer_configured_is_told(stack: Stack, ops: Any) -> None:
    for name in ("jwt-secret", "app-config"):
        regions = [{"Region": "eu-central-1"}, {"Region": "eu-west-3"}]
        stack.secrets.replicate_secret_to_regions(SecretId=stack.arn(name), AddReplicaRegions=regions)

    def told() -> list[Any]:
        return of(ops(stack, "doctor", "--json"), "replica")

    stack.write_outputs(replica_regions=["eu-west-3"])
    assert {(found["status"], found["subject"], found["found"]) for found in told()} == {
        ("warning", f"{name} in eu-central-1", "replica in eu-central-1 is no longer configured")
        for name in ("jwt-secret", "app-config")
    }
    command = f"aws secretsmanager remove-regions-from-replication --secret-id {stack.arn('jwt-secret')} --region {stack.region}"
    assert f"{command} --remove-replica-regions eu-central-1" in {found["fix"] for found in told()}
    bill = {item["item"]: item["quantity"] for item in ops(stack, "cost", "--json").json["items"]}
    assert (bill["replicas"], bill["replicas no longer configured (doctor names them)"]) == (2, 2)
    stack.write_outputs(replica_regions=["eu-west-3", "eu-central-1"])
    assert [found["status"] for found in told()] == ["ok"]


def put_index(stack: Stack, *architectures: str) -> None:
    """Let the image be one for several processors, as `docker buildx` pushes it, with its attestation."""
    kind = "application/vnd.oci.image.manifest.v1+json"
    platforms = [
        *({"os": "linux", "architecture": one} for one in architectures),
        {"os": "unknown", "architecture": "unknown"},
    ]
    manifests = [
        {"mediaType": kind, "size": 1, "digest": f"sha256:{at:064x}", "platform": platform}
        for at, platform in enumerate(platforms)
    ]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    ecr = stack.client("ecr")
    ecr.batch_delete_image(repositoryName="service-ticket-system", imageIds=[{"imageTag": "1.0.0"}])
    ecr.put_image(repositoryName="service-ticket-system", imageManifest=json.dumps(index), imageTag="1.0.0")


def image_line(stack: Stack, ops: Any) -> dict[str, str]:
    (found,) = of(ops(stack, "doctor", "--json"), "image")
    return found


@pytest.mark.parametrize(
    ("built", "status", "found", "fix"),
    [
        (("amd64", "arm64"), "ok", "{0.image} exists, for amd64, arm64", ""),
        (("arm64",), "failure", "is built for arm64, and {0.family}:1 starts it on X86_64",
         "pulumi config set cpuArchitecture ARM64 --stack dev && pulumi up --stack dev"),
    ],
)  # fmt: skip
def test_an_image_is_for_the_processor_or_not(  # noqa: PLR0917 - one column of the table each
    stack: Stack, ops: Any, built: tuple[str, ...], status: str, found: str, fix: str
) -> None:
    put_index(stack, *built)

    line = image_line(stack, ops)

    assert (line["status"], line["found"], line["fix"]) == (status, found.format(stack), fix)


def test_an_image_in_the_registry_of_another_account_is_told(stack: Stack, proxy: Any, ops: Any) -> None:
    stack.image = stack.image.replace(stack.account, "210987654321")
    stack.deploy_revision()
    stack.grant(*stack.grants())
    stack.endpoint = proxy.url
    proxy.before("DescribeImages", lambda: (200, b'{"imageDetails": []}'))
    proxy.before("BatchGetImage", lambda: (200, b'{"images": [{"imageManifest": "{}"}]}'))

    found = image_line(stack, ops)

    whose = "exists in the registry of account 210987654321; its manifest names no processor"
    unseen = "left out: the repository's policy, which belongs to account 210987654321"
    assert (found["status"], found["found"]) == ("ok", f"{unseen}; {stack.image} {whose}")


def test_image_outside_ecr_is_no_finding(deploy: Any, ops: Any) -> None:
    done = ops(deploy(ecr=False), "doctor")

    assert done.status == 0
    assert "not checked, not in ECR: public.ecr.aws/" in done.out


def test_secret_that_no_variable_takes_needs_no_grant(deploy: Any, ops: Any) -> None:
    wired = TextSecret("wired", Generated("wired"), variable="WIRED")
    stack = deploy(catalogue=(wired, TextSecret("apart", Generated("apart"))))
    assert ops(stack, "doctor").status == 0

    wider = [dict(statement) for statement in stack.grants()]
    wider[0]["Resource"] = [stack.arn("wired"), stack.arn("apart")]
    stack.grant(*wider)

    (found,) = problems(ops(stack, "doctor", "--json"))
    assert (found["check"], found["status"]) == ("permission", "warning")
    assert f"more than the container's secrets: {stack.arn('apart')}" in found["found"]


def test_external_secret_without_a_value(deploy: Any, ops: Any) -> None:
    stack = deploy(catalogue=(TextSecret("payment-token", External(), variable="PAYMENT_TOKEN"),))

    (found,) = problems(ops(stack, "doctor", "--json"))

    assert (found["check"], found["found"]) == ("value", "has no value yet")
    assert found["fix"] == "python -m ops set payment-token --stack dev"


def test_every_finding_of_a_broken_stack_shows_its_fix(stack: Stack, ops: Any) -> None:
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), RecoveryWindowInDays=7)

    done = ops(stack, "doctor")

    assert done.status == 1
    assert (
        f"fix: aws secretsmanager restore-secret --secret-id {stack.arn('jwt-secret')} --region eu-west-1" in done.out
    )
    assert done.out.splitlines()[-1] == "1 failure"


def test_no_values_reads_no_value(stack: Stack, proxy: Any, ops: Any) -> None:
    stack.endpoint = proxy.url

    done = ops(stack, "doctor", "--no-values", "--json")

    assert done.status == 0
    assert not {"GetSecretValue", "BatchGetSecretValue"} & set(proxy.seen)
    assert [found["found"] for found in of(done, "json")] == ["not checked: --no-values"]


@pytest.mark.parametrize(("days", "status"), [("90", 0), ("89", 1)])
def test_old_values_are_a_finding_past_the_limit(stack: Stack, ops: Any, days: str, status: int) -> None:
    age_by(stack, "jwt-secret", 90)

    done = ops(stack, "doctor", "--max-age-days", days, "--json")

    assert done.status == status
    if status:
        (found,) = of(done, "age")
        assert (found["subject"], found["found"]) == ("jwt-secret", "unchanged for 90 days, the limit is 89")
        assert "rotations.jwtSecret" in found["fix"]


def test_previous_value_of_a_json_key_is_looked_for_at_its_label(deploy: Any, ops: Any) -> None:
    catalogue = (JsonSecret("app-config", {"A": Generated("a"), "B": Generated("b")}, variables={"A"}),)
    stack = deploy(catalogue=catalogue)
    previous = f"{stack.arn('app-config')}:B:AWSPREVIOUS:"
    stack.write_outputs(container_secrets={**stack.service["container_secrets"], "B_PREVIOUS": previous})
    for value in ('{"A": "only-a-here"}', '{"A": "x", "B": "y"}'):
        stack.put("app-config", value)
    stack.deploy_revision()

    found = of(ops(stack, "doctor", "--json"), "json")

    assert [(f["subject"], f["status"]) for f in found] == [("app-config at AWSPREVIOUS", "failure")]
    assert "has no key B" in found[0]["found"]


def tokens(count: int) -> tuple[TextSecret, ...]:
    return tuple(
        TextSecret(f"service-{number:03}-token", Generated(f"token{number}"), variable=f"TOKEN_{number}")
        for number in range(count)
    )


@pytest.mark.slow
def test_300_secrets_take_batch_calls(deploy: Any, ops: Any) -> None:
    stack = deploy(catalogue=tokens(300))

    done = ops(stack, "doctor", "--json")

    assert done.status == 0
    calls = done.json["calls"]
    assert calls["secrets-manager:ListSecrets"] == 3
    assert calls["secrets-manager:BatchGetSecretValue"] == 15
    assert not {"secrets-manager:GetSecretValue", "secrets-manager:DescribeSecret"} & set(calls)


def test_secret_deleted_half_way(deploy: Any, proxy: Any, ops: Any) -> None:
    stack = deploy(catalogue=tokens(25))
    secrets, gone = stack.secrets, stack.arn("service-007-token")
    stack.endpoint = proxy.url

    def delete() -> None:
        if proxy.seen.count("BatchGetSecretValue") == 1:
            secrets.delete_secret(SecretId=gone, ForceDeleteWithoutRecovery=True)

    proxy.before("BatchGetSecretValue", delete)

    done = ops(stack, "doctor", "--json")

    assert done.status == 1
    (found,) = of(done, "exists")
    assert (found["subject"], found["status"]) == ("service-007-token", "failure")


@pytest.mark.parametrize(
    ("action", "code", "times"),
    [("GetResourcePolicy", "ThrottlingException", 1), ("BatchGetSecretValue", "AccessDeniedException", None)],
)
def test_throttling_is_survived_and_a_batch_replaced_by_single_reads(  # noqa: PLR0917 - one column of the table each
    stack: Stack, proxy: Any, ops: Any, action: str, code: str, times: int | None
) -> None:
    stack.endpoint = proxy.url
    proxy.refuse(action, code, times=times)

    done = ops(stack, "doctor", "--json")

    assert done.status == 0
    assert done.json["calls"]["secrets-manager:GetResourcePolicy"] == (4 if times else 3)


@pytest.mark.parametrize(
    ("actions", "checks"),
    [
        (("BatchGetSecretValue", "GetSecretValue"), {"value"}),
        (("GetRole",), {"role", "permission", "start", "key"}),
        *(((action,), {"service"}) for action in ("ListClusters", "ListServices", "DescribeServices")),
        (("ListTasks",), {"stopped", "redeploy"}),
        (("DescribeSubnets",), {"network"}),
    ],
)
def test_what_may_not_be_read_is_named(
    stack: Stack, proxy: Any, ops: Any, actions: tuple[str, ...], checks: set[str]
) -> None:
    subnet = stack.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    vpc = {"subnets": [subnet], "securityGroups": [], "assignPublicIp": "ENABLED"}
    in_vpc: dict[str, Any] = {"networkConfiguration": {"awsvpcConfiguration": vpc}} if "network" in checks else {}
    stack.run_service(1, **in_vpc)
    stack.endpoint = proxy.url
    for action in actions:
        proxy.refuse(action, "AccessDeniedException", message=f"you are not authorized to perform {action}")

    done = ops(stack, "doctor", "--json")

    assert done.status == 2
    found = problems(done)
    assert {(one["check"], one["status"]) for one in found} == {(check, "unchecked") for check in checks}
    assert all(one["found"].startswith("could not be checked: ") for one in found)
    assert all(actions[-1] in one["found"] for one in found)
    assert all("--ecs-service CLUSTER/SERVICE" in one["remark"] for one in found if one["check"] == "service")
    assert ops(stack, "doctor").out.splitlines()[-1].endswith(" failed to run"), "not called healthy"


def simulated(stack: Stack, *denied: str) -> bytes:
    members = "".join(
        f"<member><EvalActionName>secretsmanager:GetSecretValue</EvalActionName><EvalResourceName>{arn}</EvalResourceName>"
        f"<EvalDecision>{'implicitDeny' if name in denied else 'allowed'}</EvalDecision></member>"
        for name, arn in stack.outputs["secret_arns"].items()
    )
    return (
        '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult>'
        f"<IsTruncated>false</IsTruncated><EvaluationResults>{members}</EvaluationResults>"
        "</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    ).encode()


def test_iam_s_simulator_decides_where_there_is_one(stack: Stack, proxy: Any, ops: Any) -> None:
    assert "static evaluation of the policies" in ops(stack, "doctor").out
    stack.endpoint = proxy.url
    proxy.before("SimulatePrincipalPolicy", lambda: (200, simulated(stack)))
    assert "iam:SimulatePrincipalPolicy and the secrets' policies" in ops(stack, "doctor").out
    proxy.before("SimulatePrincipalPolicy", lambda: (200, simulated(stack, "jwt-secret")))

    (found,) = problems(ops(stack, "doctor", "--json"))

    assert (found["check"], "jwt-secret" in found["subject"]) == ("permission", True)


# --- a service -----------------------------------------------------------------------------------------------------------


def service_findings(stack: Stack, ops: Any) -> list[dict[str, str]]:
    return of(ops(stack, "doctor", "--ecs-service", "main/tickets", "--json"), "service", "stopped")


UNDONE = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1."
UNPLACED = (
    "(service tickets) was unable to place a task. CannotPullContainerError: image Manifest does not contain descriptor matching "
    "platform 'linux/amd64'."
)
OLD: dict[str, Any] = {
    "taskDefinition": "arn:aws:ecs:eu-west-1:123456789012:task-definition/service-ticket-system-dev-app:7"
}
SERVICES: list[tuple[dict[str, Any], str, str, str, str, str]] = [
    # what DescribeServices says, then check, status and text of the finding, how its command ends and its remark begins
    (OLD, "service", "warning", "runs {0}:7, but the stack's revision is {0}:1", "--task-definition {1}", ""),
    ({**OLD, "deployments": [{"rolloutStateReason": UNDONE}]}, "service", "failure",
     f"runs {{0}}:7, but the stack's revision is {{0}}:1; ECS went back to it, as the new one failed: {UNDONE}",
     "", "once the cause is fixed: aws ecs update-service "),
    ({"desiredCount": 2, "runningCount": 0}, "service", "failure", "only 0 of 2 tasks run", "--force-new-deployment",
     "a start takes a minute or two"),
    ({"desiredCount": 2, "events": [{"message": "(service tickets) has started 1 tasks: (task 1)."}, {"message": UNPLACED}]},
     "service", "failure", f"only 1 of 2 tasks run: {UNPLACED}", "", "or pulumi config set cpuArchitecture ARM64"),
    ({"desiredCount": 0}, "service", "warning", "runs no task: its desired count is 0", "--desired-count 1", ""),
    ({"platformVersion": "1.3.0"}, "service", "failure",
     "Fargate platform 1.3.0 doesn't take JSON keys in references; 1.4.0 does", "--platform-version LATEST", ""),
    *(({"deploymentController": {"type": controller}}, "redeploy", "warning",
       f"the deployment controller is {controller}: a changed value does not start a deployment of this service", "",
       "start a deployment with CodeDeploy") for controller in ("CODE_DEPLOY", "EXTERNAL")),
]  # fmt: skip


@pytest.mark.parametrize(("said", "check", "status", "found", "fix", "remark"), SERVICES)
def test_a_service_that_runs_something_else_or_too_little(  # noqa: PLR0917 - one column of the table each
    stack: Stack, said: dict[str, Any], check: str, status: str, found: str, fix: str, remark: str
) -> None:
    own = stack.service["task_definition_arn"]
    cluster = "arn:aws:ecs:eu-west-1:123456789012:cluster/main"
    raw = {"clusterArn": cluster, "serviceName": "tickets", "taskDefinition": own, "desiredCount": 1, "runningCount": 1}

    def none(*_: str, **__: str) -> tuple[()]:
        return ()

    without_tasks: Any = SimpleNamespace(pages=none)
    seen = picture(stack, "app-config", {"2": ("AWSCURRENT", "pulumi-live")})

    findings = list(check_service(seen, read_service(without_tasks, raw | said)))

    (told,) = [one for one in findings if one.status != "ok"]
    assert (told.check, told.status, told.found) == (check, status, found.format(stack.family))
    assert (told.fix.endswith(fix.format("", own)), bool(told.fix)) == (True, bool(fix))
    assert told.fix.startswith("aws ecs update-service --region eu-west-1 --cluster main --service tickets ") or not fix
    assert (told.remark.startswith(remark), bool(told.remark)) == (True, bool(remark))


def test_services_that_run_a_family_are_found(stack: Stack, ops: Any) -> None:
    stack.client("ecs").create_cluster(clusterName="main")
    (found,) = of(ops(stack, "doctor", "--json"), "service")
    assert found["status"] == "ok"
    assert "no ECS service runs the stack's task definitions (1 cluster of this account and Region)" in found["found"]
    (found,) = service_findings(stack, ops)
    assert (found["status"], found["subject"]) == ("failure", "main/tickets")
    done = ops(stack, "doctor", "--ecs-service", "tickets")
    assert (done.status, done.err) == (2, "error: --ecs-service tickets: give CLUSTER/SERVICE\n")

    stack.run_service(1)
    stack.client("ecs").create_service(
        cluster="main", serviceName="other", taskDefinition=stack.register(family="somebody-elses"), desiredCount=0
    )
    services = of(ops(stack, "doctor", "--json"), "service", "stopped")
    assert {(f["found"].split(":")[0], f["status"]) for f in services} == {("main/tickets", "ok")}


def test_command_that_redeploys_names_what_is_known() -> None:
    raw = {"clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/main", "serviceName": "tickets"}

    fix, remark = redeploy("eu-west-1", Found((raw,), 1, ()))
    assert (fix.endswith("--cluster main --service tickets"), remark) == (True, "")
    fix, remark = redeploy("eu-west-1", Found((), 2, ()))
    assert (fix, remark.startswith("no ECS service of this account and Region runs it")) == ("", True)
    fix, remark = redeploy("eu-west-1", Found((), 0, ("the clusters: no",)))
    assert (fix, remark.startswith("left out: the clusters: no; aws ecs list-clusters")) == ("", True)


def tell_tasks(stack: Stack, proxy: Any, status: str, *tasks: dict[str, Any]) -> None:
    """Let ECS have tasks in one status."""
    stack.endpoint = proxy.url
    arn = f"arn:aws:ecs:eu-west-1:{stack.account}:task/main/1"
    asked = iter(["RUNNING", "STOPPED"])
    proxy.before("ListTasks", lambda: (200, json.dumps({"taskArns": [arn] if next(asked) == status else []}).encode()))
    answer = {"tasks": [{"taskArn": arn, "lastStatus": status, **task} for task in tasks], "failures": []}
    proxy.before("DescribeTasks", lambda: (200, json.dumps(answer).encode()))


def test_stopped_tasks_are_explained(stack: Stack, proxy: Any, ops: Any) -> None:
    stack.run_service(1)
    reason = "unable to retrieve secret from asm: did not contain json key SMTP_PASSWORD"
    tell_tasks(stack, proxy, "STOPPED", *[{"stoppedReason": reason, "containers": [{"name": "app"}]}] * 2)

    (found, _) = service_findings(stack, ops)

    assert (found["status"], found["subject"]) == ("failure", "json-key")
    assert found["found"].startswith("2 tasks stopped: the secret's JSON has no key SMTP_PASSWORD")
    # ECS names the key, not the secret: the check `json` does.
    assert (found["fix"], found["remark"]) == ("", "or the catalogue names a wrong key")


def test_tasks_that_started_before_a_change_are_to_be_replaced(stack: Stack, proxy: Any, ops: Any) -> None:
    stack.run_service(1)
    started = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    tell_tasks(stack, proxy, "RUNNING", {"startedAt": started, "containers": []})
    for name in ("db-master-password", "jwt-secret"):
        stack.put(name, "the-value-that-came-second")
    age_by(stack, "jwt-secret", 1)

    stale = of(ops(stack, "doctor", "--ecs-service", "main/tickets", "--json"), "redeploy")

    assert [(f["subject"], f["status"]) for f in stale] == [("db-master-password", "warning")]
    assert "--force-new-deployment --region eu-west-1 --cluster main --service tickets" in stale[0]["fix"]


def expect_reads(stack: Stack, reads: int | None) -> str:
    """Give the stack an alarm topic and, with a number, the alarm on reads; return the alarm's name."""
    stack.write_outputs(alarm_topic_arn=f"arn:aws:sns:{stack.region}:{stack.account}:{stack.prefix}-alarms")
    name = f"{stack.prefix}-reads"
    if reads is not None:
        stack.client("cloudwatch").put_metric_alarm(
            AlarmName=name, Namespace=stack.prefix, MetricName="Reads", Statistic="Sum", Period=3600, EvaluationPeriods=1,
            ComparisonOperator="GreaterThanThreshold", Threshold=reads,
        )  # fmt: skip
    return name


def expected_reads(stack: Stack, ops: Any, *options: str) -> list[dict[str, str]]:
    return of(ops(stack, "doctor", *options, "--json"), "expected-reads")


def test_expected_reads_that_one_deployment_exceeds_or_not(stack: Stack, ops: Any) -> None:
    assert expected_reads(stack, ops) == []  # without the audit
    name, entries = expect_reads(stack, None), len(stack.service["container_secrets"])
    (found,) = expected_reads(stack, ops)
    assert (found["status"], found["subject"], found["found"]) == ("warning", name, "the alarm on reads doesn't exist")
    stack.run_service(3)

    expect_reads(stack, 3 * entries - 1)
    (found,) = expected_reads(stack, ops, "--ecs-service", "main/tickets")
    assert (found["status"], found["subject"]) == ("warning", name)
    reads = f"{3 * entries - 1} reads an hour are expected, and one deployment causes {3 * entries}"
    assert found["found"] == f"{reads}: {entries} entries under secrets, 3 tasks"
    assert f"audit.expectedReadsPerHour {6 * entries} --stack dev && " in found["fix"]

    expect_reads(stack, 3 * entries)
    for options in (("--ecs-service", "main/tickets"), ()):
        (found,) = expected_reads(stack, ops, *options)
        enough = f"{3 * entries} an hour: 3 starting tasks, {entries} reads each"
        assert (found["status"], found["found"]) == ("ok", enough)


# --- without a service: the moment of registration, which moto lacks -----------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "labels", "status"),
    [
        (-1, {"1": ("AWSCURRENT",), "0": ("AWSPREVIOUS",)}, "ok"),
        (1, {"1": ("AWSCURRENT",), "0": ("AWSPREVIOUS",)}, "warning"),
        (1, {"1": ("AWSCURRENT",)}, "ok"),  # the first value: before it no task could start
    ],
)
def test_values_newer_than_the_task_definition_ask_for_a_redeployment(
    stack: Stack, minutes: int, labels: dict[str, tuple[str, ...]], status: str
) -> None:
    registered = datetime(2026, 11, 24, tzinfo=UTC)
    created = registered + timedelta(minutes=minutes)

    snapshot = picture(stack, "db-master-password", labels, created=created, registered=registered)

    assert [finding.status for finding in check_deployed(snapshot, "", "the services")] == [status]


# --- changed outside Pulumi: moto removes the program's label then, AWS keeps it ------------------------------------------------


def test_value_changed_by_hand_is_taken_into_the_configuration_and_not_away(stack: Stack) -> None:
    labels = {"mine": ("AWSCURRENT",), "pulumi": ("AWSPREVIOUS", "pulumi-live"), "before": ("pulumi-previous",)}

    found = list(check_secrets(picture(stack, "jwt-secret", labels), None))

    (changed,) = [finding for finding in found if finding.status != "ok"]
    assert (changed.check, changed.status) == ("value", "warning")
    assert changed.found.startswith("was changed outside Pulumi")
    assert changed.fix == "python -m ops keep jwt-secret --stack dev"


def two_versions(
    stack: Stack, mine: dict[str, Any], pulumi: dict[str, Any], *, label: str = "pulumi-live", **record: Any
) -> Any:
    """What the doctor sees of app-config when Pulumi wrote one version, and somebody the live one."""
    arn, labels = stack.arn("app-config"), {"mine": ("AWSCURRENT",), "pulumi": ("AWSPREVIOUS", label)}
    made = {
        v: Value(arn, "app-config", v, labels[v], datetime(2026, 11, 24, tzinfo=UTC), json.dumps(value))
        for v, value in {"mine": mine, "pulumi": pulumi}.items()
    }
    return replace(
        picture(stack, "app-config", labels),
        records={arn: Record(arn, "app-config", stages=labels, **record)},
        values={arn: made["mine"]},
        staged={(arn, label): made["pulumi"]},
    )


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ("by-hand", "python -m ops keep app-config --key SMTP_PASSWORD --stack dev"),
        # An object is not kept.
        ({"a": "b"}, "aws secretsmanager update-secret-version-stage"),
    ],
)
def test_keys_changed_by_hand_are_named_and_only_they(stack: Stack, value: Any, fix: str) -> None:
    was = json.loads(stack.values["app-config"])
    seen = two_versions(stack, was | {"SMTP_PASSWORD": value}, was)

    (changed,) = [finding for finding in check_secrets(seen, None) if finding.check == "value"]
    assert "outside Pulumi at SMTP_PASSWORD;" in changed.found
    assert changed.fix.startswith(fix)
    assert ("ops keep" in changed.fix) == (value == "by-hand")


@pytest.mark.parametrize(("user", "status"), [("app", None), ("app_clone", None), ("somebody", "failure")])
def test_another_database_user_in_a_rotated_secret_is_told(stack: Stack, user: str, status: str | None) -> None:
    live, own = ({"username": name, "password": "p"} for name in (user, "app"))
    rotation = Rotation(enabled=True, lambda_arn="arn:aws:lambda:eu-west-1:123456789012:function:f")
    seen = two_versions(stack, live, own, label=f"{LIVE}1a2b3c4d", rotation=rotation)

    found = [f for f in check_secrets(seen, None) if "another database user" in f.found]

    assert [f.status for f in found] == ([status] if status else [])
    assert all(user not in f.found for f in found)


def test_a_token_for_several_registries_is_one_finding(stack: Stack) -> None:
    images = (stack.image, stack.image.replace(stack.account, "210987654321"))
    seen = picture(stack, "jwt-secret", {"1": ("AWSCURRENT",)})
    containers = tuple(Container("c", image, (), (), (), None, None) for image in images)
    allow = {"Effect": "Allow", "Action": ["ecr:Batch*", "ecr:GetDownload*"], "Resource": "*"}
    role = Role("arn:aws:iam::1:role/r", "r", (), parse({"Statement": allow}, source="test"), None)
    assert seen.deployed
    snapshot = replace(seen, role=role, deployed=replace(seen.deployed, containers=containers))

    (found,) = _start(snapshot, role)

    assert (found.subject, found.found) == ("r on ECR", "no policy allows ecr:GetAuthorizationToken")


def picture(
    stack: Stack,
    name: str,
    labels: dict[str, tuple[str, ...]],
    *,
    created: datetime = datetime(2026, 11, 24, tzinfo=UTC),
    registered: datetime | None = None,
) -> Snapshot:
    """A stack of one secret."""
    arn = stack.arn(name)
    own = {variable: text for variable, text in stack.service["container_secrets"].items() if text.startswith(arn)}
    outputs = {
        **stack.outputs,
        "secret_arns": {name: arn},
        "secrets": {name: stack.outputs["secrets"][name]},
        "services": {"app": {**stack.service, "container_secrets": own}},
    }
    where = parse_outputs(outputs, "test")
    version = next(version for version, found in labels.items() if "AWSCURRENT" in found)
    return Snapshot(
        stack=where,
        records={arn: Record(arn, name, stages=labels)},
        values={arn: Value(arn, name, version, labels[version], created, "a-value")},
        staged={},
        policies={arn: parse({"Statement": []}, source="test")},
        deployed=TaskDefinition(where.service.task_definition_arn, True, registered, None, ()),
        others=(),
        role=None,
        keys={},
    )
