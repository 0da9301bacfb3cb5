"""Where the official plugin is stricter, or does less, than one would expect: the stand-ins do the same.

Each test names the upstream source; sandbox/README.md lists what stays different.
"""

import json
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError

from sandbox.providers.aws import AwsPlugin, ecs, lambda_, s3
from sandbox.providers.aws._session import Aws, Connection
from sandbox.providers.random_ import RandomPlugin
from tests.sandbox.providers.conftest import REGION, Driver, State, serving
from tests.sandbox.providers.test_provider_contract import CASES, World

TRUST = '{"Version":"2012-10-17","Statement":[]}'
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'
ACCOUNT = "123456789012"
SERVICE = "aws:ecs/service:Service"
TASK = "aws:ecs/taskDefinition:TaskDefinition"
MACHINE = "aws:sfn/stateMachine:StateMachine"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/any"
KEY_ARN = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/any"


Recorded = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def watched(moto_endpoint: str, tmp_path: Path) -> Iterator[Driver]:
    """The plugin, recording its calls."""
    for driver in serving(AwsPlugin(Connection(moto_endpoint, "test", "test", record=tmp_path / "calls.jsonl"))):
        driver.configure(region=REGION)
        yield driver


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    """The operations that `watched` calls meanwhile, without those that only the stand-in makes."""
    path = tmp_path / "calls.jsonl"

    def lines() -> list[str]:
        return path.read_text().splitlines() if path.exists() else []

    @contextmanager
    def watch() -> Generator[list[str]]:
        before, calls = len(lines()), list[str]()
        yield calls
        calls += [json.loads(line)["operation"] for line in lines()[before:]]

    return watch


def definition(family: str, image: str = "nginx:1") -> dict[str, Any]:
    return {
        "family": family,
        "containerDefinitions": json.dumps([{"name": "app", "image": image, "memory": 128}]),
        "networkMode": "bridge",
    }


@pytest.fixture
def task(aws: Any) -> Any:
    return aws.resource(TASK).create(definition("upstream"))


@pytest.fixture
def service(aws: Any, task: Any) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """Its life, its state and the inputs that made it."""
    cluster = aws.resource("aws:ecs/cluster:Cluster").create({}).id
    inputs = {
        "cluster": cluster,
        "taskDefinition": task.outputs["arn"],
        "desiredCount": 1,
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
    }
    life, state = aws.made(SERVICE, inputs)
    yield life, state, inputs
    life.delete(state)


# -- ECS: internal/service/ecs/service.go, cluster.go, task_definition.go --


def test_an_update_sends_only_what_changed(service: tuple[Any, Any, dict[str, Any]], boto: Any) -> None:
    """An autoscaled count stays when something else changes."""
    life, state, inputs = service
    boto("ecs").update_service(cluster=inputs["cluster"], service=state.id, desiredCount=7)
    life.update(state, {**inputs, "enableExecuteCommand": True})
    found = boto("ecs").describe_services(cluster=inputs["cluster"], services=[state.id])["services"][0]
    assert found["desiredCount"] == 7


def test_a_removed_circuit_breaker_stays(service: tuple[Any, Any, dict[str, Any]]) -> None:
    """Optional and computed: leaving the block out changes nothing; it is switched off by `enable: false`."""
    life, state, inputs = service
    without = {key: value for key, value in inputs.items() if key != "deploymentCircuitBreaker"}
    assert life.diff(state, without).changes == {}
    assert life.diff(state, {**inputs, "deploymentCircuitBreaker": {"enable": False, "rollback": False}}).changes


def test_a_runtime_platform_that_is_left_out_is_not_the_default_one(aws: Any) -> None:
    life, state = aws.made(TASK, definition("platform"))
    explicit = {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}
    assert life.diff(state, {**definition("platform"), "runtimePlatform": explicit}).replaces == ["runtimePlatform"]


def test_a_task_definition_s_import_means_this_region_s_revision(connection: Connection) -> None:
    here = Aws(connection, ACCOUNT, "us-east-1")
    found = ecs._imported_revision(here, "arn:aws:ecs:eu-west-1:210987654321:task-definition/family:7")
    assert found == f"arn:aws:ecs:us-east-1:{ACCOUNT}:task-definition/family:7"


def test_a_revision_that_ecs_does_not_know_is_gone(aws: Any, task: Any) -> None:
    """findTaskDefinition: every 400 of DescribeTaskDefinition means "not found"."""
    unknown = {**task.outputs, "arn": task.outputs["arn"].replace("upstream", "unknown")}
    assert aws.resource(TASK).refresh(State("unknown", task.inputs, unknown)) is None


def test_entries_that_hold_nothing_are_not_registered(aws: Any, boto: Any) -> None:
    container = {"name": "app", "image": "nginx:1", "memory": 128, "mountPoints": [{}], "environment": [{}, None]}
    inputs = {**definition("sparse"), "containerDefinitions": json.dumps([container])}
    state = aws.resource(TASK).create(inputs)
    found = boto("ecs").describe_task_definition(taskDefinition=state.outputs["arn"])["taskDefinition"]
    assert (found["containerDefinitions"][0]["mountPoints"], found["containerDefinitions"][0]["environment"]) == (
        [],
        [],
    )
    assert aws.resource(TASK).diff(state, inputs).changes == {}


def test_a_cluster_by_its_name_is_kept_by_its_name(aws: Any, task: Any) -> None:
    cluster = aws.resource("aws:ecs/cluster:Cluster").create({"name": "kept-by-name"})
    inputs = {"cluster": "kept-by-name", "taskDefinition": task.outputs["arn"]}
    life, state = aws.made(SERVICE, inputs)
    assert life.diff(life.refresh(state), inputs).changes == {}
    assert life.diff(state, {**inputs, "cluster": cluster.id}).replaces == ["cluster"]


def test_an_imported_service_has_its_task_definition_by_name(service: tuple[Any, Any, dict[str, Any]]) -> None:
    """So the first `up` after the import updates the service, and changes nothing of it."""
    life, state, inputs = service
    name = inputs["cluster"].rsplit("/", 1)[1]
    imported = life.imported(f"{name}/{state.outputs['name']}")
    assert imported.outputs["cluster"] == inputs["cluster"]
    assert re.fullmatch(r"upstream:\d+", imported.outputs["taskDefinition"])


def test_a_service_that_drains_is_gone(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def draining(*_: Any) -> dict[str, str]:
        return {"status": "DRAINING"}

    monkeypatch.setattr(ecs, "_service", draining)
    state = {"cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/c"}
    assert ecs.Service().read(Aws(connection, ACCOUNT, "us-east-1"), "service/c/s", state) is None


def test_a_cluster_with_services_is_not_deleted(aws: Any, service: tuple[Any, Any, dict[str, Any]]) -> None:
    life = aws.resource("aws:ecs/cluster:Cluster")
    state = State(service[2]["cluster"], {}, {})
    with pytest.raises(Exception, match=r"DeleteCluster, .* ClusterContainsServicesException"):
        life.delete(state)


def test_a_cluster_that_ecs_does_not_know_is_not_deleted(aws: Any) -> None:
    arn = f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/unknown"
    with pytest.raises(Exception, match="ClusterNotFoundException"):
        aws.resource("aws:ecs/cluster:Cluster").delete(State(arn, {}, {}))


# -- optional and computed: terraform-plugin-sdk 2, helper/schema/schema.go --


def test_what_is_optional_and_computed_is_not_taken_away(aws: Any) -> None:
    key = aws.resource("aws:kms/key:Key")
    state = key.create({"description": "ours", "policy": TRUST})
    for news in ({}, {"description": ""}):
        assert key.diff(state, news).changes == {}


# -- EventBridge: internal/service/events/target.go --

RULE_PATTERN = {"eventPattern": '{"source":["aws.kms"]}'}


def test_a_retry_policy_that_was_taken_away_by_hand_is_not_seen(aws: Any, boto: Any) -> None:
    rule = aws.resource("aws:cloudwatch/eventRule:EventRule").create(RULE_PATTERN).id
    arn = f"arn:aws:sns:us-east-1:{ACCOUNT}:any"
    life = aws.resource("aws:cloudwatch/eventTarget:EventTarget", "hourly")
    inputs = {"rule": rule, "arn": arn, "retryPolicy": {"maximumRetryAttempts": 3}}
    state = life.create(inputs)
    assert state.outputs["targetId"].startswith("hourly-")
    boto("events").put_targets(Rule=rule, Targets=[{"Id": state.outputs["targetId"], "Arn": arn}])
    assert life.refresh(state) == state
    # Taken out of the program, it goes.
    assert life.diff(state, {"rule": rule, "arn": arn}).changes == {"retryPolicy": "delete"}
    life.update(state, {"rule": rule, "arn": arn})
    assert "RetryPolicy" not in boto("events").list_targets_by_rule(Rule=rule)["Targets"][0]


# -- Step Functions: internal/service/sfn/state_machine.go --


def test_a_definition_is_compared_as_text(aws: Any) -> None:
    text = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    life, state = aws.made(MACHINE, {"roleArn": ROLE_ARN, "definition": text})
    assert life.diff(state, {"roleArn": ROLE_ARN, "definition": text}).changes == {}
    assert life.diff(state, {"roleArn": ROLE_ARN, "definition": text.replace(" ", "")}).changes


# -- SNS: internal/service/sns/topic_policy.go --


def test_a_topic_policy_that_was_taken_away_by_hand_is_an_update(aws: Any, boto: Any) -> None:
    topic = aws.resource("aws:sns/topic:Topic").create({}).id
    default = boto("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    statement = {"Effect": "Allow", "Action": "SNS:Publish", "Resource": topic, "Principal": {"AWS": ACCOUNT}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    life, state = aws.made("aws:sns/topicPolicy:TopicPolicy", {"arn": topic, "policy": policy})
    boto("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=default)
    drifted = life.refresh(state)
    assert drifted is not None
    assert life.diff(drifted, {"arn": topic, "policy": policy}).changes == {"policy": "update"}


# -- CloudTrail: internal/service/cloudtrail/trail.go, flattenEventSelector --


def test_the_selector_that_every_trail_has_is_hidden(aws: Any, boto: Any) -> None:
    bucket = aws.resource("aws:s3/bucket:Bucket").create({}).id
    life, state = aws.made("aws:cloudtrail/trail:Trail", {"s3BucketName": bucket})
    only = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
    boto("cloudtrail").put_event_selectors(TrailName=state.id, EventSelectors=[only])
    assert life.diff(life.refresh(state), {"s3BucketName": bucket}).changes == {}
    # So a program that spells it out never comes to rest.
    explicit = {"s3BucketName": bucket, "eventSelectors": [{"readWriteType": "All"}]}
    assert life.diff(life.update(state, explicit), explicit).changes
    # And one that takes its selectors away gets CloudTrail's own back.
    writes = life.update(state, {"s3BucketName": bucket, "eventSelectors": [{"readWriteType": "WriteOnly"}]})
    life.update(writes, {"s3BucketName": bucket})
    found = boto("cloudtrail").get_event_selectors(TrailName=state.id)["EventSelectors"]
    assert [item["ReadWriteType"] for item in found] == ["All"]


def test_an_update_of_a_trail_sends_only_what_changed(aws: Any, boto: Any) -> None:
    bucket = aws.resource("aws:s3/bucket:Bucket").create({}).id
    life, state = aws.made("aws:cloudtrail/trail:Trail", {"s3BucketName": bucket})

    def trail() -> tuple[bool, str]:
        trails = boto("cloudtrail").describe_trails()["trailList"]
        found = next(item for item in trails if item["TrailARN"] == state.id)
        return found["LogFileValidationEnabled"], found["KmsKeyId"]

    boto("cloudtrail").update_trail(Name=state.id, EnableLogFileValidation=True)
    life.update(state, {"s3BucketName": bucket, "kmsKeyId": KEY_ARN})
    assert trail() == (True, KEY_ARN)
    # What the program does not have goes once a refresh has seen it.
    life.update(life.refresh(state), {"s3BucketName": bucket})
    assert trail() == (False, "")


def test_the_sources_that_a_selector_leaves_out_have_no_order(aws: Any) -> None:
    bucket = aws.resource("aws:s3/bucket:Bucket").create({}).id
    life = aws.resource("aws:cloudtrail/trail:Trail")
    sources = ["kms.amazonaws.com", "rdsdata.amazonaws.com"]
    inputs, other = (
        {"s3BucketName": bucket, "eventSelectors": [{"excludeManagementEventSources": order}]}
        for order in (sources, sources[::-1])
    )
    assert life.diff(life.create(inputs), other).changes == {}


# -- Lambda: internal/service/lambda/permission.go --


def test_a_permission_keeps_the_form_in_which_its_function_was_given(aws: Any, function: str) -> None:
    """6 (2026): "Save Lambda function name in the same format". The other form still replaces it."""
    name = function.rsplit(":", 1)[1]
    inputs = {"action": "lambda:InvokeFunction", "principal": "secretsmanager.amazonaws.com"}
    for own, other in ((function, name), (name, function)):
        life, state = aws.made("aws:lambda/permission:Permission", {**inputs, "function": own})
        refreshed = life.refresh(state)
        assert life.diff(refreshed, {**inputs, "function": own}).changes == {}
        assert life.diff(refreshed, {**inputs, "function": other}).replaces == ["function"]


# -- S3: internal/service/s3/bucket.go, bucket_versioning.go --


def test_versioning_can_be_suspended_and_not_disabled(aws: Any) -> None:
    bucket = aws.resource("aws:s3/bucket:Bucket").create({}).id
    life, state = aws.made(
        "aws:s3/bucketVersioning:BucketVersioning", {"bucket": bucket, "versioningConfiguration": {"status": "Enabled"}}
    )
    with pytest.raises(Exception, match="status cannot be updated from 'Enabled' to 'Disabled'"):
        life.diff(state, {"bucket": bucket, "versioningConfiguration": {"status": "Disabled"}})


@pytest.mark.parametrize(("code", "forgiven"), [("InvalidBucketState", True), ("AccessDenied", False)])
def test_versioning_stays_with_an_object_lock(code: str, forgiven: bool) -> None:  # noqa: FBT001 - a table
    client = Mock(exceptions=Mock(ClientError=ClientError))
    client.put_bucket_versioning.side_effect = ClientError({"Error": {"Code": code}}, "PutBucketVersioning")
    with nullcontext() if forgiven else pytest.raises(ClientError):
        s3.BucketVersioning().delete(
            Mock(client=Mock(return_value=client)), "bucket", {"versioningConfiguration": {"status": "Enabled"}}
        )


def test_a_bucket_that_exists_is_not_taken_over(aws: Any, boto: Any) -> None:
    """S3 in us-east-1 answers "OK" to who owns it already; the official plugin asks HeadBucket first."""
    boto("s3").create_bucket(Bucket="exists-already")
    with pytest.raises(Exception, match=r"creating S3 Bucket \(exists-already\): BucketAlreadyExists"):
        aws.resource("aws:s3/bucket:Bucket").create({"bucket": "exists-already"})


def test_the_tags_of_others_stay_on_a_bucket(aws: Any, boto: Any) -> None:
    life, state = aws.made("aws:s3/bucket:Bucket", {"tags": {"a": "1"}})
    theirs = {"Key": "theirs", "Value": "x"}
    tags = boto("s3").get_bucket_tagging(Bucket=state.id)["TagSet"]
    boto("s3").put_bucket_tagging(Bucket=state.id, Tagging={"TagSet": [*tags, theirs]})
    life.update(state, {"tags": {"b": "2"}})
    found = boto("s3").get_bucket_tagging(Bucket=state.id)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in found} == {"b": "2", "project": "tickets", "theirs": "x"}


def test_a_bucket_is_emptied_only_when_it_must_be(aws: Any, boto: Any) -> None:
    """DeleteBucket comes first: an empty one needs no right to list its objects."""
    life = aws.resource("aws:s3/bucket:Bucket")
    kept, emptied = life.create({}), aws.resource("aws:s3/bucket:Bucket").create({"forceDestroy": True})
    for bucket in (kept.id, emptied.id):
        boto("s3").put_object(Bucket=bucket, Key="file", Body=b"x")
    with pytest.raises(Exception, match=r"DeleteBucket, .* BucketNotEmpty"):
        life.delete(kept)
    life.delete(emptied)
    assert life.refresh(emptied) is None

    client = Mock(spec=["delete_bucket", "exceptions"], exceptions=boto("s3").exceptions)  # any other call would fail
    s3.Bucket().delete(Mock(client=Mock(return_value=client)), "empty", {"forceDestroy": True})


def test_a_bucket_that_may_not_be_read_is_gone() -> None:
    """findBucket: an error of HeadBucket leaves no answer, and no answer means "not found"."""
    client = Mock(exceptions=Mock(ClientError=ClientError))
    client.head_bucket.side_effect = ClientError({"Error": {"Code": "403"}}, "HeadBucket")
    assert not s3._exists(client, "bucket")


# -- S3: internal/service/s3/bucket_lifecycle_configuration.go --


def test_lifecycle_rules_have_an_order(aws: Any) -> None:
    first, second = {**RULE, "id": "b", "expiration": {"days": 2}}, {**RULE, "id": "a", "expiration": {"days": 1}}
    inputs = {"bucket": aws.resource("aws:s3/bucket:Bucket").create({}).id, "rules": [first, second]}
    life, state = aws.made(f"aws:{LIFECYCLE}", inputs)
    assert life.diff(state, inputs).changes == {}
    assert life.diff(state, {**inputs, "rules": [second, first]}).changes


def test_what_s3_blocks_by_itself_is_no_difference(aws: Any) -> None:
    """Optional and computed since 6.40 (2026); an account's new buckets block SSE-C since April 2026."""
    bucket = aws.resource("aws:s3/bucket:Bucket").create({}).id
    life = aws.resource("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
    rule: dict[str, Any] = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
    state = life.create({"bucket": bucket, "rules": [rule]})
    assert life.diff(state, {"bucket": bucket, "rules": [{**rule, "blockedEncryptionTypes": ["SSE-C"]}]}).changes == {}
    assert life.diff(state, {"bucket": bucket, "rules": [{**rule, "blockedEncryptionTypes": ["NONE"]}]}).changes


# -- Everywhere: internal/verify/validate.go and the schemas of the files that sandbox/README.md names --

LIFECYCLE = "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
ENCRYPTION = "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
RULE: dict[str, Any] = {"id": "r", "status": "Enabled"}
METRIC = {"name": "m", "namespace": "n", "value": "1"}
GOOD = {case.type_name: case.inputs for case in CASES}
"""By type, inputs that nothing is wrong with."""


@pytest.fixture(scope="module")
def world(aws: Any, boto: Any) -> World:
    return World(aws, boto)


@pytest.mark.parametrize(
    ("type_name", "failing", "value", "reason"),
    [
        ("cloudtrail/trail:Trail", "eventSelectors", [{}] * 6, "at most 5"),
        ("cloudtrail/trail:Trail", "eventSelectors", [{"readWriteType": "Any"}], "ReadOnly"),
        ("cloudtrail/trail:Trail", "eventSelectors", [{"dataResources": [{"type": "AWS::S3"}]}], "dataResources: type: "),
        ("cloudtrail/trail:Trail", "name", "ab", "3 to 128 characters"),
        ("cloudwatch/eventRule:EventRule", "eventPattern", '{"a":"' + "x" * 2_100 + '"}', "more than 2,048"),
        ("cloudwatch/eventRule:EventRule", "name", "r" * 65, "1 to 64 characters"),
        ("cloudwatch/eventTarget:EventTarget", "retryPolicy", {"maximumRetryAttempts": 186}, "from 0 to 185"),
        ("cloudwatch/eventTarget:EventTarget", "retryPolicy", {"maximumEventAgeInSeconds": 86_401}, "from 0 to 86400"),
        ("cloudwatch/eventTarget:EventTarget", "eventBusName", "own", "expected one of default"),
        ("cloudwatch/logMetricFilter:LogMetricFilter", "metricTransformation", {**METRIC, "name": "a:b"}, "name: must match"),
        ("cloudwatch/logMetricFilter:LogMetricFilter", "metricTransformation", {**METRIC, "unit": "Count"}, "not support unit"),
        ("cloudwatch/logMetricFilter:LogMetricFilter", "metricTransformation", {**METRIC, "value": "1" * 101}, "value: expected"),
        ("cloudwatch/metricAlarm:MetricAlarm", "alarmActions", ["topic"], "invalid ARN"),
        ("ecs/cluster:Cluster", "settings", [{"name": "insights", "value": "on"}], "containerInsights"),
        ("ecs/service:Service", "deploymentCircuitBreaker", {"enable": True}, "rollback"),
        ("ecs/service:Service", "networkConfiguration", {"assignPublicIp": True}, "subnets"),
        ("ecs/service:Service", "schedulingStrategy", "DAEMON", "expected one of REPLICA"),
        ("ecs/taskDefinition:TaskDefinition", "containerDefinitions", "[{}]", "a container has no name"),
        ("ecs/taskDefinition:TaskDefinition", "executionRoleArn", "role", "(role) is an invalid ARN: arn: invalid prefix"),
        ("ecs/taskDefinition:TaskDefinition", "family", "a.b", "must match [0-9A-Za-z_-]+"),
        ("ecs/taskDefinition:TaskDefinition", "requiresCompatibilities", ["LAMBDA"], "EC2"),
        ("ecs/taskDefinition:TaskDefinition", "runtimePlatform", {"cpuArchitecture": "ARM"}, "X86_64, ARM64"),
        ("ecs/taskDefinition:TaskDefinition", "volumes", [{}], "name is required"),
        ("ecs/taskDefinition:TaskDefinition", "volumes", [{"name": "v", "hostPath": "/"}], "does not support hostPath"),
        ("iam/policy:Policy", "path", "/tickets", "begin and end with a slash"),
        ("iam/policy:Policy", "path", "/a//b/", "no two in a row"),
        ("iam/policy:Policy", "path", "/a b/", "must match"),
        ("iam/policy:Policy", "policy", "", "must start with {"),
        ("iam/role:Role", "assumeRolePolicy", f" {TRUST}", "must start with {"),
        ("iam/role:Role", "assumeRolePolicy", '["a"]', "must start with {"),
        ("iam/role:Role", "assumeRolePolicy", '{"a":1,"a":2}', "a stands twice"),
        ("iam/role:Role", "assumeRolePolicy", "{", "contains an invalid JSON"),
        ("iam/role:Role", "description", "\u201ca", "must match"),
        ("iam/role:Role", "forceDetachPolicies", True, "expected one of False"),
        ("iam/role:Role", "maxSessionDuration", 60, "from 3600 to 43200"),
        ("iam/rolePolicy:RolePolicy", "role", ROLE_ARN, "the role's name, not its ARN"),
        ("iam/rolePolicy:RolePolicy", "policy", '"x.json"', "must start with {"),
        ("iam/rolePolicyAttachment:RolePolicyAttachment", "policyArn", "Name", "is an invalid ARN"),
        ("kms/alias:Alias", "name", "tickets", "must begin with 'alias/'"),
        ("kms/alias:Alias", "name", "alias/a b", "comprised of only"),
        ("kms/alias:Alias", "name", "alias/aws/a", "not with 'alias/aws/'"),
        ("kms/key:Key", "customerMasterKeySpec", "AES", "expected one of RSA_2048"),
        ("kms/key:Key", "deletionWindowInDays", 1, "from 7 to 30"),
        ("kms/key:Key", "description", "a" * 8193, "0 to 8192"),
        ("kms/key:Key", "isEnabled", False, "expected one of True"),
        ("kms/key:Key", "keyUsage", "ENCRYPT", "expected one of"),
        ("lambda/function:Function", "architectures", ["arm"], "expected one of x86_64"),
        ("lambda/function:Function", "architectures", ["arm64", "x86_64"], "at most 1"),
        ("lambda/function:Function", "handler", "a" * 129, "1 to 128"),
        ("lambda/function:Function", "loggingConfig", {"logFormat": "text"}, "logFormat: expected one of JSON, Text"),
        ("lambda/function:Function", "loggingConfig", {"logFormat": "Text", "logGroup": "a b"}, "logGroup: must match"),
        ("lambda/function:Function", "packageType", "Image", "expected one of Zip"),
        ("lambda/function:Function", "publish", True, "expected one of False"),
        ("lambda/function:Function", "reservedConcurrentExecutions", 1, "expected one of -1"),
        ("lambda/function:Function", "runtime", "python3", "expected one of"),
        ("lambda/function:Function", "vpcConfig", {"subnetIds": []}, "securityGroupIds is required"),
        ("s3/bucket:Bucket", "bucket", "Not_A_Bucket", "must match"),
        ("s3/bucket:Bucket", "bucket", "a..b", "two periods"),
        ("s3/bucket:Bucket", "bucket", "10.0.0.1", "IP address"),
        ("s3/bucket:Bucket", "bucket", "b--use1-az4--x-s3", "--x-s3"),
        ("s3/bucketPolicy:BucketPolicy", "policy", " {}", "must start with {"),
        ("s3/bucketVersioning:BucketVersioning", "versioningConfiguration", {"status": "On"}, "Enabled, Suspended, Disabled"),
        (
            "s3/bucketVersioning:BucketVersioning", "versioningConfiguration", {"status": "Enabled", "mfaDelete": "Enabled"},
            "does not support mfaDelete",
        ),
        (LIFECYCLE, "rules", [], "at least 1"),
        (LIFECYCLE, "rules", [{**RULE, "status": "On"}], "Disabled, Enabled"),
        (LIFECYCLE, "rules", [{**RULE, "id": ""}], "1 to 255 characters"),
        (LIFECYCLE, "rules", [{**RULE, "prefix": "a"}], "does not support prefix"),
        (LIFECYCLE, "rules", [{**RULE, "filter": {"objectSizeLessThan": 9}}], "does not support objectSizeLessThan"),
        (LIFECYCLE, "rules", [{**RULE, "noncurrentVersionExpiration": {"noncurrentDays": 0}}], "noncurrentDays: expected"),
        (LIFECYCLE, "rules", [{**RULE, "noncurrentVersionExpiration": {}}], "noncurrentDays is required"),
        (LIFECYCLE, "rules", [{**RULE, "transitions": []}], "does not support transitions"),
        (ENCRYPTION, "rules", [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES-256"}}], "one of AES256"),
        ("secretsmanager/secret:Secret", "name", "no spaces", "must be 1 to 512 letters"),
        ("secretsmanager/secret:Secret", "recoveryWindowInDays", 3, "expected 0 or a number from 7 to 30, got 3"),
        ("secretsmanager/secretPolicy:SecretPolicy", "secretArn", "s", "invalid ARN"),
        ("secretsmanager/secretRotation:SecretRotation", "rotationRules", {"automaticallyAfterDays": 1001}, "from 1 to 1000"),
        ("secretsmanager/secretRotation:SecretRotation", "rotationRules", {"scheduleExpression": ""}, "must match"),

        (
            "secretsmanager/secretRotation:SecretRotation", "rotationRules",
            {"automaticallyAfterDays": 1, "scheduleExpression": "rate(1 day)"}, "exactly one of",
        ),
        ("secretsmanager/secretVersion:SecretVersion", "secretStringWo", "a", "does not support it"),
        ("sfn/stateMachine:StateMachine", "name", "a.b", "must match [0-9A-Za-z_-]+"),
        (
            "sfn/stateMachine:StateMachine", "loggingConfiguration",
            {"logDestination": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:x"}, "logDestination must end with ':*'",
        ),
        ("sns/topic:Topic", "fifoTopic", True, "expected one of False"),
        ("sns/topicPolicy:TopicPolicy", "policy", "[]", "must start with {"),
        ("sns/topicSubscription:TopicSubscription", "rawMessageDelivery", True, "expected one of False"),
    ],
)  # fmt: skip
def test_what_the_schema_refuses_fails_in_the_preview(
    world: World, type_name: str, failing: str, value: Any, reason: str
) -> None:
    _, failures = world.aws.resource(f"aws:{type_name}").check({**GOOD[f"aws:{type_name}"](world), failing: value})
    assert list(failures) == [failing]
    assert reason in failures[failing]


def test_a_secret_s_policy_that_was_taken_away_by_hand_is_an_update(aws: Any, boto: Any) -> None:
    """internal/service/secretsmanager/secret_policy.go: Read sets an empty policy and keeps the resource."""
    secret = aws.resource("aws:secretsmanager/secret:Secret").create({}).id
    inputs = {"secretArn": secret, "policy": POLICY, "blockPublicPolicy": True}
    life, state = aws.made("aws:secretsmanager/secretPolicy:SecretPolicy", inputs)
    boto("secretsmanager").delete_resource_policy(SecretId=secret)
    refreshed = life.refresh(state)
    assert refreshed is not None
    assert refreshed.outputs.get("policy", "") == ""
    difference = life.diff(refreshed, inputs)
    assert difference.changes
    assert difference.replaces == []
    life.update(refreshed, inputs)
    assert json.loads(boto("secretsmanager").get_resource_policy(SecretId=secret)["ResourcePolicy"]) == json.loads(
        POLICY
    )


def test_a_dashboard_that_is_gone_is_not_deleted(aws: Any, boto: Any) -> None:
    """internal/service/cloudwatch/dashboard.go, 6 (2026): Delete forgives nothing; `pulumi refresh` takes it out."""
    life, state = aws.made(
        "aws:cloudwatch/dashboard:Dashboard", {"dashboardName": "gone", "dashboardBody": '{"widgets":[]}'}
    )
    boto("cloudwatch").delete_dashboards(DashboardNames=["gone"])
    with pytest.raises(Exception, match="DeleteDashboards"):
        life.delete(state)
    assert life.refresh(state) is None


def test_the_policy_that_a_topic_falls_back_to_is_the_official_one(aws: Any, boto: Any) -> None:
    """internal/service/sns/topic_policy.go, defaultTopicPolicy."""
    topic = aws.resource("aws:sns/topic:Topic").create({}).id
    life = aws.resource("aws:sns/topicPolicy:TopicPolicy")
    life.delete(life.create({"arn": topic, "policy": POLICY}))
    policy = json.loads(boto("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    assert "SNS:Receive" in policy["Statement"][0]["Action"]


# -- IAM: internal/service/iam/openid_connect_provider.go; pulumi-aws, provider/resources.go --


def test_an_attachment_is_deleted_first(aws: Any) -> None:
    role = aws.resource("aws:iam/role:Role").create({"assumeRolePolicy": TRUST}).id
    arns = [aws.resource("aws:iam/policy:Policy").create({"policy": POLICY}).id for _ in range(2)]
    life, state = aws.made("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"role": role, "policyArn": arns[0]})
    assert life.diff(state, {"role": role, "policyArn": arns[1]}).delete_before_replace


def test_an_identity_provider_s_thumbprints_stay_when_they_are_left_out(aws: Any, boto: Any) -> None:
    inputs = {"url": "https://ci.example.com", "clientIdLists": ["sts.amazonaws.com"]}
    life, state = aws.made(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider", {**inputs, "thumbprintLists": ["ab" * 20]}
    )
    assert life.diff(state, inputs).changes == {}
    assert life.diff(state, {**inputs, "url": "https://ci.example.com/other"}).replaces == ["url"]
    # A list of texts is no block: an empty one is a value.
    assert life.diff(state, {**inputs, "thumbprintLists": []}).changes
    emptied = life.update(state, {**inputs, "thumbprintLists": []})
    found = boto("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=state.id)
    assert found["ThumbprintList"] == emptied.outputs["thumbprintLists"] == ["ab" * 20]
    # The same issuer twice is AWS's error.
    with pytest.raises(Exception, match="EntityAlreadyExists"):
        aws.resource("aws:iam/openIdConnectProvider:OpenIdConnectProvider").create(inputs)


def test_tags_are_changed_first_and_a_policy_s_are_read_with_it(watched: Any, recorded: Recorded) -> None:
    """internal/provider/sdkv2/tags_interceptor.go: before the update; policy.go: GetPolicy tells the tags."""
    life, state = watched.made("aws:iam/policy:Policy", {"policy": POLICY, "tags": {"a": "1"}})
    with recorded() as calls:
        life.update(state, {"policy": POLICY.replace("Get", "Put"), "tags": {"a": "2"}})
    assert calls == ["TagPolicy", "ListPolicyVersions", "CreatePolicyVersion", "GetPolicy", "GetPolicyVersion"]


def test_a_policy_that_is_too_long_costs_its_oldest_version(aws: Any, boto: Any) -> None:
    """internal/service/iam/policy.go: the oldest version is deleted before the new one is asked for."""
    life, state = aws.made("aws:iam/policy:Policy", {"policy": POLICY})
    for version in range(2, 6):
        state = life.update(state, {"policy": POLICY.replace("*", f"arn:aws:s3:::b/{version}")})
    with pytest.raises(Exception, match="Cannot exceed quota for PolicySize"):
        life.update(state, {"policy": POLICY.replace("*", "a" * 7000)})
    versions = boto("iam").list_policy_versions(PolicyArn=state.id)["Versions"]
    assert sorted(item["VersionId"] for item in versions) == ["v2", "v3", "v4", "v5"]


@pytest.mark.parametrize(
    ("type_name", "wrong", "why"),
    [
        *(
            (kind, wrong, f'could not parse import ID "{wrong}" as ARN: arn: {why}')
            for kind in ("secretsmanager/secret:Secret", "secretsmanager/secretRotation:SecretRotation", "iam/policy:Policy")
            for wrong, why in (("a-name", "invalid prefix"), ("arn:aws:iam", "not enough sections"))
        ),
        ("cloudtrail/trail:Trail", "by-arn", r'could not parse import ID \("by-arn"\) as ARN'),
        ("ecs/taskDefinition:TaskDefinition", "family", r"expected ID in format of arn:PARTITION:ecs:.* provided: family"),
        ("ecs/taskDefinition:TaskDefinition", "family:1", r"expected ID in format of .* provided: family:1"),
        ("ecs/service:Service", "alone", "wrong format of resource: alone, expecting 'cluster-name/service-name'"),
        (
            "secretsmanager/secretVersion:SecretVersion", "abc",
            r"unexpected format of ID \(abc\), expected SecretID\|VersionID",
        ),
    ],
)  # fmt: skip
def test_an_import_by_something_else_is_refused(aws: Any, type_name: str, wrong: str, why: str) -> None:
    """internal/provider/sdkv2/importer/arn.go, 6 (2025), and each resource's file. What imports is in the contract."""
    with pytest.raises(Exception, match=why):
        aws.resource(f"aws:{type_name}").imported(wrong)


# -- KMS: internal/service/kms/key.go --


def test_a_key_that_is_imported_by_its_arn_keeps_it_as_its_id(aws: Any) -> None:
    key = aws.resource("aws:kms/key:Key").create({"description": "ours"})
    imported = aws.resource("aws:kms/key:Key").imported(key.outputs["arn"])
    assert (imported.id, imported.outputs["keyId"]) == (key.outputs["arn"], key.id)


def test_a_replica_key_is_no_key(aws: Any, boto: Any) -> None:
    key = boto("kms").create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    boto("kms").replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
    with pytest.raises(Exception, match="is not a multi-Region primary key"):
        aws.resource("aws:kms/key:Key").imported(f"{key}@eu-west-1")


def test_a_key_without_rotation_of_its_material_is_asked_for_it_all_the_same(watched: Any, recorded: Recorded) -> None:
    """Every key whose material AWS made is asked, not only a symmetric one."""
    with recorded() as calls:
        watched.resource("aws:kms/key:Key").create({"customerMasterKeySpec": "RSA_2048", "keyUsage": "SIGN_VERIFY"})
    assert "GetKeyRotationStatus" in calls


# -- Lambda: internal/service/lambda/function.go --


@pytest.fixture
def life_of_function(watched: Any, function_inputs: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Its life, its state and the inputs that made it."""
    inputs = {**function_inputs, "environment": {"variables": {"NAME": "1"}}}
    life = watched.resource("aws:lambda/function:Function")
    return life, life.create(inputs), inputs


def test_an_update_of_a_function_sends_only_what_changed(
    life_of_function: tuple[Any, Any, dict[str, Any]], boto: Any, recorded: Recorded
) -> None:
    life, state, inputs = life_of_function
    boto("lambda").update_function_configuration(FunctionName=state.id, MemorySize=512)
    with recorded() as calls:
        state = life.update(state, {**inputs, "timeout": 9, "tags": {"a": "1"}})
    assert [call for call in calls if not call.startswith(("Get", "List"))] == [
        "TagResource", "UpdateFunctionConfiguration",
    ]  # fmt: skip
    assert "ListVersionsByFunction" in calls
    assert (state.outputs["timeout"], state.outputs["memorySize"]) == (9, 512)
    assert (state.outputs["version"], state.outputs["qualifiedArn"]) == ("$LATEST", f"{state.outputs['arn']}:$LATEST")


def test_what_is_taken_away_from_a_function_is_sent_empty() -> None:
    names = ["environment", "vpcConfig", "loggingConfig", "description", "code", "tags"]
    assert lambda_.Function()._configuration({"role": ROLE_ARN, "memorySize": 128}, names) == {
        "Environment": {"Variables": {}},
        "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": False},
        "Description": "",
    }


def test_a_reservation_that_was_made_by_hand_is_taken_away(
    life_of_function: tuple[Any, Any, dict[str, Any]], boto: Any
) -> None:
    life, state, inputs = life_of_function
    boto("lambda").put_function_concurrency(FunctionName=state.id, ReservedConcurrentExecutions=5)
    drifted = life.refresh(state)
    assert life.diff(drifted, inputs).changes == {"reservedConcurrentExecutions": "update"}
    life.update(drifted, inputs)
    assert "Concurrency" not in boto("lambda").get_function(FunctionName=state.id)


def test_a_hash_of_the_code_that_the_program_does_not_say_is_not_made_up(
    life_of_function: tuple[Any, Any, dict[str, Any]],
) -> None:
    _, state, _ = life_of_function
    assert state.outputs["sourceCodeHash"] == ""
    assert state.outputs["codeSha256"]


# -- Secrets Manager: internal/service/secretsmanager/secret_version.go, internal/types/base64.go --


@pytest.fixture
def secret(watched: Any) -> str:
    return watched.resource("aws:secretsmanager/secret:Secret").create({"recoveryWindowInDays": 0}).id


def test_only_the_official_calls_are_recorded(watched: Any, secret: str, recorded: Recorded) -> None:
    life = watched.resource("aws:secretsmanager/secretVersion:SecretVersion")
    inputs = {"secretId": secret, "secretString": "x"}
    with recorded() as calls:
        first = life.create(inputs)
        life.create({"secretId": secret, "secretString": "y"})
    assert calls == ["PutSecretValue", "GetSecretValue"] * 2
    stale = life.refresh(first)
    with recorded() as calls:
        life.update(stale, {**inputs, "versionStages": ["AWSCURRENT"]})
    assert calls == ["ListSecretVersionIds", "UpdateSecretVersionStage", "GetSecretValue"]


# -- Secrets Manager: internal/service/secretsmanager/secret_rotation.go --


@pytest.fixture
def rotation(aws: Any, function: str) -> tuple[Any, Any, dict[str, Any]]:
    """Its life, its state and the inputs that made it."""
    secret = aws.resource("aws:secretsmanager/secret:Secret").create({"recoveryWindowInDays": 0})
    aws.resource("aws:secretsmanager/secretVersion:SecretVersion").create({"secretId": secret.id, "secretString": "x"})
    inputs = {
        "secretId": secret.id,
        "rotationLambdaArn": function,
        "rotationRules": {"scheduleExpression": "cron(0 3 ? * SUN *)"},
    }
    life = aws.resource(ROTATION)
    return life, life.create(inputs), inputs


@pytest.mark.parametrize("how", [{"ForceDeleteWithoutRecovery": True}, {"RecoveryWindowInDays": 7}])
def test_a_rotation_whose_secret_is_gone_is_not_deleted(
    rotation: tuple[Any, Any, dict[str, Any]], boto: Any, how: dict[str, Any]
) -> None:
    life, state, inputs = rotation
    boto("secretsmanager").delete_secret(SecretId=inputs["secretId"], **how)
    with pytest.raises(Exception, match="CancelRotateSecret"):
        life.delete(state)
    assert life.refresh(state) is None


def test_a_rotation_by_the_secret_s_name_is_replaced(rotation: tuple[Any, Any, dict[str, Any]], boto: Any) -> None:
    life, state, inputs = rotation
    name = boto("secretsmanager").describe_secret(SecretId=inputs["secretId"])["Name"]
    assert life.diff(state, {**inputs, "secretId": name}).replaces == ["secretId"]


# -- sandbox/README.md --


def test_every_type_stands_in_the_page_with_its_source() -> None:
    page = (Path(__file__).parents[3] / "sandbox" / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| ")]
    listed = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in rows if len(cells) == 4}
    listed.pop("type")
    known = {*AwsPlugin.resources, *RandomPlugin.resources}
    assert {*listed} == {f"{token.split(':')[1].split('/')[0]}.{token.rsplit(':', 1)[1]}" for token in known} - {
        "index.RandomPassword"
    } | {"random.RandomPassword"}
    assert [name for name, (_, source, _) in listed.items() if not re.search(r"\.go, \d", source)] == []
