"""The life that every resource type of the stand-ins lives, one table entry a type."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from sandbox.providers._resource import Resource
from sandbox.providers._values import Asset, Secret, has_unknown, plain
from sandbox.providers.aws import AwsPlugin
from sandbox.providers.random_ import RandomPlugin

ACCOUNT = "123456789012"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}
        ],
    }
)


def policy(action: str, resource: str = "*", *, principal: bool = False) -> str:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": resource}
    if principal:
        statement["Principal"] = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def containers(image: str = "nginx:1.27", **more: Any) -> str:
    return json.dumps([{"name": "app", "image": image, "essential": True, **more}])


def archive(text: str) -> Asset:
    file = Asset("asset", {"hash": f"hash of {text}", "text": text})
    return Asset("archive", {"hash": f"hash of archive of {text}", "assets": {"index.py": file}})


UNREAD_DEFAULTS = frozenset(
    key
    for plugin in (AwsPlugin, RandomPlugin)
    for kind in plugin.resources.values()
    for key, prop in kind.all_inputs().items()
    if prop.unread and prop.default is not None
)
"""Inputs with a default that AWS doesn't tell: an import shows them as added, as the real plugin does."""


@dataclass
class World:
    """Objects that others need, made on demand through the plugin under test: `world.topic` is one of OBJECTS."""

    aws: Any
    boto: Any
    suffix: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def make(self, type_name: str, **inputs: Any) -> Any:
        return self.aws.resource(f"aws:{type_name}").create(inputs)

    def __getattr__(self, name: str) -> Any:
        kind, inputs = OBJECTS[name]
        setattr(self, name, self.make(kind, **inputs(self)))
        return getattr(self, name)

    def make_valued_secret(self) -> str:
        """A secret with a value; each rotation needs one of its own."""
        secret = self.make("secretsmanager/secret:Secret", recoveryWindowInDays=0).id
        self.make("secretsmanager/secretVersion:SecretVersion", secretId=secret, secretString="a first value")
        return secret

    @cached_property
    def subnets(self) -> list[str]:
        """A network is never this project's: two of the default VPC's."""
        return sorted(subnet["SubnetId"] for subnet in self.boto("ec2").describe_subnets()["Subnets"])[:2]

    @cached_property
    def group(self) -> str:
        return self.boto("ec2").describe_security_groups()["SecurityGroups"][0]["GroupId"]


OBJECTS: dict[str, tuple[str, Callable[[World], dict[str, Any]]]] = {
    "bucket": ("s3/bucket:Bucket", lambda _: {}),
    "cluster": ("ecs/cluster:Cluster", lambda _: {}),
    "database": (
        "rds/cluster:Cluster",
        lambda w: {
            "clusterIdentifier": f"database-{w.suffix}",
            "engine": "aurora-postgresql",
            "masterUsername": "postgres",
            "masterPassword": "invented-0001",
            "skipFinalSnapshot": True,
        },
    ),
    "function": (
        "lambda/function:Function",
        lambda w: {
            "role": w.role.outputs["arn"],
            "code": archive("x = 1"),
            "handler": "index.handler",
            "runtime": "python3.13",
        },
    ),
    "key": ("kms/key:Key", lambda _: {}),
    "log_group": ("cloudwatch/logGroup:LogGroup", lambda _: {}),
    "other_key": ("kms/key:Key", lambda _: {}),
    "policy": ("iam/policy:Policy", lambda _: {"policy": policy("s3:GetObject")}),
    "role": ("iam/role:Role", lambda _: {"assumeRolePolicy": TRUST}),
    "rule": ("cloudwatch/eventRule:EventRule", lambda _: {"eventPattern": '{"source": ["aws.kms"]}'}),
    "secret": ("secretsmanager/secret:Secret", lambda _: {"recoveryWindowInDays": 0}),
    "task": (
        "ecs/taskDefinition:TaskDefinition",
        lambda w: {
            "family": f"task-{w.suffix}",
            "containerDefinitions": containers(),
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": "256",
            "memory": "512",
        },
    ),
    "topic": ("sns/topic:Topic", lambda _: {}),
}


@dataclass(frozen=True)
class Case:
    """A type with inputs that a careful user sets, and the changes of an update."""

    type_name: str
    inputs: Callable[[World], dict[str, Any]]
    changed: Callable[[World], dict[str, Any]] | None = None
    import_id: Callable[[Any], str] = lambda state: state.id
    unread: tuple[str, ...] = ()
    """Inputs that an import can't know: AWS or moto doesn't tell them."""
    stays: bool = False
    """Reading it after its deletion finds something: it is a setting that AWS always has."""

    @property
    def name(self) -> str:
        return self.type_name.rsplit(":", 1)[1]


def _task(world: World) -> dict[str, Any]:
    return {
        "family": f"family-{world.suffix}",
        "containerDefinitions": containers(
            environment=[{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
            secrets=[{"name": "DB_PASSWORD", "valueFrom": world.secret.id}],
            portMappings=[{"containerPort": 3000}],
            dockerLabels={"digest": "abc"},
            logConfiguration={"logDriver": "awslogs", "options": {"awslogs-group": "x", "awslogs-region": "us-east-1"}},
        ),
        "cpu": "256",
        "memory": "512",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "executionRoleArn": world.role.outputs["arn"],
        "taskRoleArn": world.role.outputs["arn"],
        "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
        "volumes": [{"name": "scratch"}],
        "tags": {"a": "1"},
    }


def _service(world: World) -> dict[str, Any]:
    return {
        "cluster": world.cluster.id,
        "taskDefinition": world.task.outputs["arn"],
        "desiredCount": 2,
        "launchType": "FARGATE",
        "networkConfiguration": {
            "subnets": [world.subnets[0]],
            "securityGroups": [world.group],
            "assignPublicIp": True,
        },
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        "deploymentMinimumHealthyPercent": 50,
        "enableExecuteCommand": False,
        "platformVersion": "1.4.0",
        "waitForSteadyState": True,
        "tags": {"a": "1"},
    }


def _alarm(world: World) -> dict[str, Any]:
    return {
        "alarmDescription": "denied reads",
        "comparisonOperator": "GreaterThanOrEqualToThreshold",
        "evaluationPeriods": 1,
        "metricName": "Denied",
        "namespace": "Tickets",
        "period": 300,
        "statistic": "Sum",
        "threshold": 1,
        "treatMissingData": "notBreaching",
        "alarmActions": [world.topic.id],
        "dimensions": {"Stack": "dev"},
        "tags": {"a": "1"},
    }


def _function(world: World) -> dict[str, Any]:
    return {
        "architectures": ["arm64"],
        "code": archive("def handler(event, context): ..."),
        "description": "rotates",
        "environment": {"variables": {"STRATEGY": "single-user"}},
        "handler": "index.handler",
        "loggingConfig": {"logFormat": "JSON", "logGroup": "/aws/lambda/rotate", "applicationLogLevel": "INFO"},
        "memorySize": 256,
        "role": world.role.outputs["arn"],
        "runtime": "python3.13",
        "timeout": 60,
        "vpcConfig": {"subnetIds": [world.subnets[0]], "securityGroupIds": [world.group]},
        "tags": {"a": "1"},
    }


def _trail(world: World) -> dict[str, Any]:
    return {
        "s3BucketName": world.bucket.id,
        "isMultiRegionTrail": True,
        "enableLogFileValidation": True,
        "kmsKeyId": world.key.outputs["arn"],
        "cloudWatchLogsGroupArn": f"{world.log_group.outputs['arn']}:*",
        "cloudWatchLogsRoleArn": world.role.outputs["arn"],
        "eventSelectors": [{"readWriteType": "WriteOnly", "includeManagementEvents": True}],
        "tags": {"a": "1"},
    }


def _state_machine(world: World) -> dict[str, Any]:
    return {
        "definition": json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}),
        "roleArn": world.role.outputs["arn"],
        "type": "EXPRESS",
        "loggingConfiguration": {
            "level": "ERROR",
            "includeExecutionData": False,
            "logDestination": f"{world.log_group.outputs['arn']}:*",
        },
        "tags": {"a": "1"},
    }


def _sse(world: World) -> dict[str, Any]:
    return {
        "bucket": world.bucket.id,
        "rules": [
            {
                "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": world.key.id},
                "bucketKeyEnabled": True,
            }
        ],
    }


def _lifecycle(world: World, days: int = 90) -> dict[str, Any]:
    return {
        "bucket": world.bucket.id,
        "rules": [
            {
                "id": "expire",
                "status": "Enabled",
                "filter": {},
                "expiration": {"days": days},
                "noncurrentVersionExpiration": {"noncurrentDays": 30},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            }
        ],
    }


CASES = (
    Case(
        "aws:secretsmanager/secret:Secret",
        lambda w: {
            "description": "a secret",
            "kmsKeyId": w.key.outputs["arn"],
            "recoveryWindowInDays": 0,
            "policy": policy("secretsmanager:GetSecretValue", principal=True),
            "replicas": [{"region": "eu-west-1"}],
            "tags": {"a": "1", "b": "2"},
        },
        lambda w: {
            "description": "another",
            "kmsKeyId": w.other_key.outputs["arn"],
            "replicas": [{"region": "eu-north-1"}],
            "tags": {"a": "3"},
        },
        unread=("recoveryWindowInDays",),
    ),
    Case(
        "aws:secretsmanager/secretVersion:SecretVersion",
        lambda w: {"secretId": w.secret.id, "secretString": Secret("correct horse battery")},
        lambda _: {"versionStages": ["AWSCURRENT", "seed"]},
        stays=True,
    ),
    Case(
        "aws:secretsmanager/secretRotation:SecretRotation",
        lambda w: {
            "secretId": w.make_valued_secret(),
            "rotateImmediately": False,
            "rotationLambdaArn": w.function.outputs["arn"],
            "rotationRules": {"scheduleExpression": "cron(0 3 1 * ? *)", "duration": "3h"},
        },
        lambda _: {"rotationRules": {"scheduleExpression": "cron(0 4 1 * ? *)", "duration": "3h"}},
        unread=("rotateImmediately",),
        stays=True,
    ),
    Case(
        "aws:secretsmanager/secretPolicy:SecretPolicy",
        lambda w: {
            "secretArn": w.secret.id,
            "policy": policy("secretsmanager:GetSecretValue", principal=True),
            "blockPublicPolicy": True,
        },
        lambda _: {"policy": policy("secretsmanager:DescribeSecret", principal=True)},
        unread=("blockPublicPolicy",),
        stays=True,
    ),
    Case(
        "aws:iam/role:Role",
        lambda w: {
            "assumeRolePolicy": TRUST,
            "description": "executes",
            "maxSessionDuration": 7200,
            "permissionsBoundary": w.policy.id,
            "path": "/tickets/",
            "tags": {"a": "1"},
        },
        lambda _: {"description": "executes more", "maxSessionDuration": 3600, "tags": {"b": "2"}},
    ),
    Case(
        "aws:iam/rolePolicy:RolePolicy",
        lambda w: {"role": w.role.id, "policy": policy("s3:GetObject")},
        lambda _: {"policy": policy("s3:PutObject")},
    ),
    Case(
        "aws:iam/policy:Policy",
        lambda _: {"policy": policy("s3:GetObject"), "description": "reads", "path": "/tickets/", "tags": {"a": "1"}},
        lambda _: {"policy": policy("s3:PutObject"), "tags": {"a": "2"}},
    ),
    Case(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        lambda w: {
            "url": f"https://token.example.com/{w.suffix}",
            "clientIdLists": ["sts.amazonaws.com"],
            "thumbprintLists": ["ab" * 20],
            "tags": {"a": "1"},
        },
        lambda _: {"clientIdLists": ["other"], "thumbprintLists": ["cd" * 20], "tags": {"a": "2"}},
    ),
    Case("aws:iam/rolePolicyAttachment:RolePolicyAttachment", lambda w: {"role": w.role.id, "policyArn": w.policy.id}),
    Case(
        "aws:kms/key:Key",
        lambda _: {
            "description": "tickets",
            "enableKeyRotation": True,
            "deletionWindowInDays": 7,
            "policy": policy("kms:*", principal=True),
            "tags": {"a": "1"},
        },
        lambda _: {"description": "secrets", "policy": policy("kms:Describe*", principal=True), "tags": {"a": "2"}},
        unread=("deletionWindowInDays",),
    ),
    Case(
        "aws:kms/alias:Alias",
        lambda w: {"name": f"alias/tickets-{w.suffix}", "targetKeyId": w.key.id},
        lambda w: {"targetKeyId": w.other_key.outputs["arn"]},
    ),
    Case(
        "aws:ecs/taskDefinition:TaskDefinition",
        _task,
        lambda _: {"tags": {"a": "2"}},
        lambda state: state.outputs["arn"],
    ),
    Case(
        "aws:ecs/cluster:Cluster",
        lambda _: {"settings": [{"name": "containerInsights", "value": "enabled"}], "tags": {"a": "1"}},
        lambda _: {"settings": [{"name": "containerInsights", "value": "disabled"}], "tags": {}},
        lambda state: state.outputs["name"],
    ),
    Case(
        "aws:ecs/service:Service",
        _service,
        lambda _: {"desiredCount": 3, "deploymentMinimumHealthyPercent": 100, "tags": {"a": "2"}},
        lambda state: "/".join(state.id.split("/")[-2:]),
        unread=(
            "taskDefinition",
            "waitForSteadyState",
            "deploymentCircuitBreaker",
            "deploymentMaximumPercent",
            "deploymentMinimumHealthyPercent",
        ),
    ),
    Case(
        "aws:cloudwatch/logGroup:LogGroup",
        lambda w: {"retentionInDays": 30, "kmsKeyId": w.key.outputs["arn"], "tags": {"a": "1"}},
        lambda _: {"retentionInDays": 90, "tags": {"a": "2"}},
    ),
    Case(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        lambda w: {
            "logGroupName": w.log_group.id,
            "pattern": '{ $.errorCode = "AccessDenied*" }',
            "metricTransformation": {"name": "Denied", "namespace": "Tickets", "value": "1"},
        },
        lambda _: {"pattern": "{ $.a = 1 }"},
        lambda state: f"{state.inputs['logGroupName']}:{state.id}",
    ),
    Case(
        "aws:cloudwatch/eventRule:EventRule",
        lambda _: {
            "description": "tampering",
            "eventPattern": json.dumps({"source": ["aws.secretsmanager"]}),
            "state": "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
            "tags": {"a": "1"},
        },
        lambda _: {"eventPattern": json.dumps({"source": ["aws.kms"]}), "state": "DISABLED", "tags": {"a": "2"}},
    ),
    Case(
        "aws:cloudwatch/eventTarget:EventTarget",
        lambda w: {
            "rule": w.rule.id,
            "arn": w.topic.id,
            "inputTransformer": {"inputPaths": {"who": "$.detail.userIdentity.arn"}, "inputTemplate": '"<who> did it"'},
            "retryPolicy": {"maximumEventAgeInSeconds": 3600, "maximumRetryAttempts": 3},
        },
        lambda _: {"retryPolicy": {"maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 1}},
        lambda state: f"{state.inputs['rule']}/{state.outputs['targetId']}",
    ),
    Case("aws:cloudwatch/metricAlarm:MetricAlarm", _alarm, lambda _: {"threshold": 2.5, "tags": {"a": "2"}}),
    Case(
        "aws:cloudwatch/dashboard:Dashboard",
        lambda w: {"dashboardName": f"tickets-{w.suffix}", "dashboardBody": json.dumps({"widgets": []})},
        lambda _: {"dashboardBody": json.dumps({"start": "-PT3H", "widgets": []})},
    ),
    Case(
        "aws:lambda/function:Function",
        _function,
        lambda _: {"code": archive("changed = True"), "timeout": 90, "tags": {"a": "2"}},
        unread=("code", "loggingConfig"),
    ),
    Case(
        "aws:lambda/permission:Permission",
        lambda w: {
            "action": "lambda:InvokeFunction",
            "function": w.function.id,
            "principal": "secretsmanager.amazonaws.com",
            "sourceAccount": ACCOUNT,
            "sourceArn": w.secret.id,
        },
        None,
        lambda state: f"{state.inputs['function']}/{state.id}",
    ),
    Case(
        "aws:sfn/stateMachine:StateMachine",
        _state_machine,
        lambda _: {
            "definition": json.dumps({"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}),
            "tags": {"a": "2"},
        },
    ),
    Case(
        "aws:sns/topic:Topic",
        lambda w: {
            "kmsMasterKeyId": w.key.id,
            "tags": {"a": "1"},
        },
        lambda w: {"kmsMasterKeyId": w.other_key.id, "tags": {"a": "2"}},
    ),
    Case(
        "aws:sns/topicPolicy:TopicPolicy",
        lambda w: {"arn": w.topic.id, "policy": policy("SNS:Publish", principal=True)},
        lambda _: {"policy": policy("SNS:Subscribe", principal=True)},
        stays=True,
    ),
    Case(
        "aws:sns/topicSubscription:TopicSubscription",
        lambda w: {"topic": w.topic.id, "protocol": "email", "endpoint": "on-call@example.com"},
    ),
    Case(
        "aws:s3/bucket:Bucket",
        lambda _: {"forceDestroy": True, "tags": {"a": "1"}},
        lambda _: {"tags": {"b": "2"}},
        unread=("forceDestroy",),
    ),
    Case(
        "aws:s3/bucketPolicy:BucketPolicy",
        lambda w: {
            "bucket": w.bucket.id,
            "policy": policy("s3:GetObject", f"arn:aws:s3:::{w.bucket.id}/*", principal=True),
        },
        lambda w: {"policy": policy("s3:PutObject", f"arn:aws:s3:::{w.bucket.id}/*", principal=True)},
    ),
    Case(
        "aws:s3/bucketVersioning:BucketVersioning",
        lambda w: {"bucket": w.bucket.id, "versioningConfiguration": {"status": "Enabled"}},
        lambda _: {"versioningConfiguration": {"status": "Suspended"}},
        stays=True,
    ),
    Case(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        lambda w: {
            "bucket": w.bucket.id,
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        lambda _: {"restrictPublicBuckets": False},
    ),
    Case("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", _lifecycle, lambda w: _lifecycle(w, 365)),
    Case(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        _sse,
        lambda _: {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
    ),
    Case(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        lambda w: {"bucket": w.bucket.id, "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        lambda _: {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    ),
    Case(
        "aws:cloudtrail/trail:Trail",
        _trail,
        lambda _: {"isMultiRegionTrail": False, "enableLogging": False, "tags": {"a": "2"}},
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        lambda _: {"description": "database", "tags": {"a": "1"}},
        lambda _: {"tags": {"a": "2"}},
    ),
    Case(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        lambda w: {
            "securityGroupId": w.group,
            "ipProtocol": "tcp",
            "fromPort": 5432,
            "toPort": 5432,
            "cidrIpv4": "10.0.0.0/16",
            "tags": {"a": "1"},
        },
        lambda _: {"toPort": 5433, "tags": {"a": "2"}},
    ),
    Case(
        "aws:rds/subnetGroup:SubnetGroup",
        lambda w: {"description": "private", "subnetIds": w.subnets, "tags": {"a": "1"}},
        lambda w: {"description": "others", "subnetIds": w.subnets[:1], "tags": {"a": "2"}},
    ),
    Case(
        "aws:rds/cluster:Cluster",
        lambda w: {  # moto names a cluster's snapshot by the minute: each has an identifier of its own
            "clusterIdentifier": f"cluster-{uuid.uuid4().hex[:8]}",
            "engine": "aurora-postgresql",
            "databaseName": "tickets",
            "masterUsername": "postgres",
            "masterPassword": "invented-0002",
            "backupRetentionPeriod": 7,
            "storageEncrypted": True,
            "vpcSecurityGroupIds": [w.group],
            "skipFinalSnapshot": True,
            "tags": {"a": "1"},
        },
        lambda _: {"backupRetentionPeriod": 14, "masterPassword": "invented-0003", "tags": {"a": "2"}},
        unread=("masterPassword", "skipFinalSnapshot"),
    ),
    Case(
        "aws:rds/clusterInstance:ClusterInstance",
        lambda w: {
            "clusterIdentifier": w.database.id,
            "identifier": f"instance-{w.suffix}",
            "engine": "aurora-postgresql",
            "instanceClass": "db.t4g.medium",
            "tags": {"a": "1"},
        },
        lambda _: {"instanceClass": "db.r6g.large", "tags": {"a": "2"}},
    ),
    Case(
        "aws:elasticache/subnetGroup:SubnetGroup",
        lambda w: {"description": "private", "subnetIds": w.subnets, "tags": {"a": "1"}},
        lambda w: {"description": "others", "subnetIds": w.subnets[:1], "tags": {"a": "2"}},
    ),
    Case(
        "aws:elasticache/replicationGroup:ReplicationGroup",
        lambda w: {
            "replicationGroupId": f"redis-{uuid.uuid4().hex[:8]}",
            "description": "sessions",
            "engine": "redis",
            "nodeType": "cache.t4g.micro",
            "numCacheClusters": 2,
            "automaticFailoverEnabled": True,
            "transitEncryptionEnabled": True,
            "atRestEncryptionEnabled": True,
            "authToken": "invented-token-0001",
            "authTokenUpdateStrategy": "ROTATE",
            "securityGroupIds": [w.group],
            "tags": {"a": "1"},
        },
        lambda _: {"description": "sessions and more", "authToken": "invented-token-0002", "tags": {"a": "2"}},
        unread=(
            "authToken",
            "authTokenUpdateStrategy",
            "securityGroupIds",
            "engine",
            "numCacheClusters",
        ),
    ),
    Case(
        "random:index/randomPassword:RandomPassword",
        lambda _: {"length": 32, "special": False},
        import_id=lambda state: plain(state.outputs["result"]),
        unread=("special",),
    ),
)


@dataclass
class Lived:
    """A case's resource, just created."""

    case: Case
    life: Any
    state: Any
    inputs: Mapping[str, Any]

    @property
    def computed(self) -> tuple[str, ...]:
        return {**AwsPlugin.resources, **RandomPlugin.resources}[self.case.type_name].computed

    def changed_inputs(self, world: World) -> dict[str, Any]:
        assert self.case.changed is not None
        return {**self.inputs, **self.case.changed(world)}


@pytest.fixture(scope="module")
def world(aws: Any, boto: Any) -> World:
    return World(aws, boto)


def _lived(case: Case, world: World, driver: Any) -> Iterator[Lived]:
    inputs = case.inputs(world)
    life = driver.resource(case.type_name)
    state = life.create(inputs)
    lived = Lived(case, life, state, inputs)
    yield lived
    # Deleting what a test has deleted already is no error either, but for the types that say so.
    if AwsPlugin.resources.get(case.type_name, Resource).forgives_gone or life.refresh(lived.state):
        life.delete(lived.state)


@pytest.fixture
def lived(request: pytest.FixtureRequest, world: World, aws: Any, random: Any) -> Iterator[Lived]:
    case: Case = request.param
    yield from _lived(case, world, random if case.type_name.startswith("random:") else aws)


every_type = pytest.mark.parametrize("lived", CASES, indirect=True, ids=lambda case: case.name)
every_updatable_type = pytest.mark.parametrize(
    "lived", [case for case in CASES if case.changed], indirect=True, ids=lambda case: case.name
)


def test_the_table_has_every_type() -> None:
    assert {case.type_name for case in CASES} == {*AwsPlugin.resources, *RandomPlugin.resources}


@every_type
def test_what_was_created_is_at_rest(lived: Lived) -> None:
    assert lived.life.diff(lived.state, lived.inputs).changes == {}
    assert lived.life.refresh(lived.state) == lived.state
    said = {key: value for key, value in lived.state.inputs.items() if key != "__defaults"}
    assert {key: lived.state.outputs[key] for key in said} == said
    # A preview promises what the creation keeps.
    promised = lived.life.preview(lived.state.inputs)
    known = {key: value for key, value in promised.items() if not has_unknown(value)}
    assert known == {key: lived.state.outputs.get(key) for key in known}
    assert {key for key in lived.computed if key in lived.state.outputs} <= {*promised}


@every_updatable_type
def test_an_update_in_place_is_seen_and_reaches_aws(lived: Lived, world: World) -> None:
    inputs = lived.changed_inputs(world)
    difference = lived.life.diff(lived.state, inputs)
    assert difference.changes != {}
    assert difference.replaces == []
    lived.state = lived.life.update(lived.state, inputs)
    assert lived.life.diff(lived.state, inputs).changes == {}
    assert lived.life.refresh(lived.state) == lived.state


@every_type
def test_an_import_reads_what_the_program_would_say_and_what_is_deleted_is_gone(lived: Lived) -> None:
    imported = lived.life.imported(lived.case.import_id(lived.state))
    assert imported is not None
    assert imported.id == lived.state.id
    # A program that gives no name imports under the name that is there.
    named = {key: value for key, value in lived.state.inputs.items() if key not in ("__defaults", "tagsAll")}
    difference = lived.life.diff(imported, named)
    assert {path.split(".")[0].split("[")[0] for path in difference.changes} <= {*lived.case.unread, *UNREAD_DEFAULTS}
    lived.life.delete(lived.state)
    found = lived.life.refresh(lived.state)
    assert (found is not None) == (lived.case.stays or lived.case.type_name.startswith("random:"))
