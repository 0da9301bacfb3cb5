"""The IDs that `pulumi import` needs for what exists in AWS already, from what a preview would create.

One row for each resource type of the application: the ID's form, and the read that shows whether the object exists.
An ID of a missing object would fail the whole import. Source: Pulumi Registry, AWS, section "Import" of each type (7.51).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.location import Location
from components.references import CURRENT, PREVIOUS
from ops._aws import Aws
from ops._errors import MISSING, aws_errors, code_of
from ops._secrets import Record, describe

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How a preview shows what is known only after the update. Source: Pulumi, sdk/go/common/resource/plugin/rpc.go."""

SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a type
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
TASK_DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
_MORE_MISSING = {
    "404", "NoSuchBucket", "NoSuchBucketPolicy", "NoSuchPublicAccessBlockConfiguration", "NoSuchLifecycleConfiguration",
    "OwnershipControlsNotFoundError", "ServerSideEncryptionConfigurationNotFoundError", "TrailNotFoundException", "NotFound",
    "StateMachineDoesNotExist", "ResourceNotFound",
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """A resource that a preview would create.

    Attributes:
        urn: Its URN.
        type: Its type token.
        inputs: What the preview knows about its inputs.
        after: The URNs of the resources that an input comes from, by input.
    """

    urn: str
    type: str
    inputs: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass
class Existing:
    """Finds what exists.

    Attributes:
        aws: The stack's account and Region.
        location: The same, for ARNs.
        key_arn: The stack's own KMS key, which has no name.
        previous_label: The label of a text's version before.
        ids: IDs of resources by URN: those of the state, and those that were found.
    """

    aws: Aws
    location: Location
    key_arn: str | None
    previous_label: str
    ids: dict[str, str] = field(default_factory=dict[str, str])

    def find(self, wanted: Wanted) -> str | None:
        """Return the ID of a resource, None when it doesn't exist or its type can't be looked up."""
        row = _ROWS.get(wanted.type)
        if row is None:
            return None
        given = _Given(self, wanted)
        try:
            found = row(given)
        except KeyError:  # an input comes from a resource that does not exist either
            return None
        except aws_errors() as error:
            if code_of(error) in MISSING | _MORE_MISSING:
                return None
            raise
        if found:
            self.ids[wanted.urn] = found
        return found


@dataclass(frozen=True)
class _Given:
    """The inputs of one resource, with the IDs of others in place of what a preview doesn't know, and where it is."""

    existing: Existing
    wanted: Wanted

    def __getitem__(self, name: str) -> str:
        if name in {"partition", "region", "account_id"}:
            return str(getattr(self.existing.location, name))
        value = self.wanted.inputs[name]
        if value != UNKNOWN:
            return str(value)
        return self.existing.ids[self.wanted.after[name][0]]

    def client(self, service: str) -> Any:
        return self.existing.aws.client(service)


@dataclass(frozen=True)
class _Read:
    """A read that shows whether an object exists. `{name}` stands for an input, the partition, the Region or the account.

    Attributes:
        parameters: The read's.
        id: The ID's form.
        result: What the answer must have; "" when a missing object is an error.
        match: What one item of the result must have, when it is a list.
    """

    service: str
    operation: str
    parameters: Mapping[str, str]
    id: str
    result: str = ""
    match: Mapping[str, str] = field(default_factory=dict[str, str])

    def __call__(self, given: _Given) -> str | None:
        parameters = {name: text.format_map(given) for name, text in self.parameters.items()}
        if self.match:
            match = {name: text.format_map(given) for name, text in self.match.items()}
            pages = given.existing.aws.pages(self.service, self.operation, self.result, **parameters)
            found = any(match.items() <= item.items() for item in pages)
        else:
            answer = getattr(given.client(self.service), self.operation)(**parameters)
            found = not self.result or answer.get(self.result)
        return self.id.format_map(given) if found else None


def _secret(given: _Given) -> Record | None:
    record = describe(given.existing.aws, given["secretId"])
    return None if record is None or record.deleted else record


def _secret_id(given: _Given) -> str | None:
    record = describe(given.existing.aws, given["name"])
    return None if record is None or record.deleted else record.arn


def _version_id(given: _Given) -> str | None:
    """The live version, or the one before where the program does not ask for AWSCURRENT."""
    record = _secret(given)
    if record is None:
        return None
    live = CURRENT in (given.wanted.inputs.get("versionStages") or (CURRENT,))
    version = (
        record.version(CURRENT) if live else record.version(given.existing.previous_label) or record.version(PREVIOUS)
    )
    return version and f"{record.arn}|{version}"


def _rotation_id(given: _Given) -> str | None:
    record = _secret(given)
    return record.arn if record and record.rotation.lambda_arn else None


def _task_definition_id(given: _Given) -> str | None:
    family = given["family"]
    pages = given.existing.aws.pages(
        "ecs", "list_task_definitions", "taskDefinitionArns", familyPrefix=family, status="ACTIVE", sort="DESC"
    )
    return next((arn for arn in pages if arn.rpartition("/")[2].rpartition(":")[0] == family), None)


def _key_id(given: _Given) -> str | None:
    key = given.existing.key_arn
    return key and key.rpartition("/")[2]


def _permission_id(given: _Given) -> str | None:
    policy = json.loads(given.client("lambda").get_policy(FunctionName=given["function"])["Policy"])
    found = any(statement["Sid"] == given["statementId"] for statement in policy["Statement"])
    return f"{given['function']}/{given['statementId']}" if found else None


def _subscription_id(given: _Given) -> str | None:
    """An e-mail subscription has an ARN only once it is confirmed."""
    wanted = given["protocol"], given["endpoint"]
    pages = given.existing.aws.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=given["topic"])
    found = (s["SubscriptionArn"] for s in pages if (s["Protocol"], s["Endpoint"]) == wanted)
    return next((arn for arn in found if arn.startswith("arn:")), None)


_POLICY, _MACHINE, _TOPIC, _TRAIL = (
    f"arn:{{partition}}:{end}"
    for end in (
        "iam::{account_id}:policy/{name}",
        "states:{region}:{account_id}:stateMachine:{name}",
        "sns:{region}:{account_id}:{name}",
        "cloudtrail:{region}:{account_id}:trail/{name}",
    )
)
_ROWS: Mapping[str, Callable[[_Given], str | None]] = {
    SECRET: _secret_id,
    VERSION: _version_id,
    "aws:secretsmanager/secretPolicy:SecretPolicy": _Read(
        "secretsmanager", "get_resource_policy", {"SecretId": "{secretArn}"}, "{secretArn}", "ResourcePolicy"
    ),
    "aws:secretsmanager/secretRotation:SecretRotation": _rotation_id,
    "aws:iam/role:Role": _Read("iam", "get_role", {"RoleName": "{name}"}, "{name}"),
    "aws:iam/policy:Policy": _Read("iam", "get_policy", {"PolicyArn": _POLICY}, _POLICY),
    "aws:iam/rolePolicy:RolePolicy": _Read(
        "iam", "get_role_policy", {"RoleName": "{role}", "PolicyName": "{name}"}, "{role}:{name}"
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _Read(
        "iam", "list_attached_role_policies", {"RoleName": "{role}"}, "{role}/{policyArn}",
        "AttachedPolicies", {"PolicyArn": "{policyArn}"},
    ),
    "aws:cloudwatch/logGroup:LogGroup": _Read(
        "logs", "describe_log_groups", {"logGroupNamePrefix": "{name}"}, "{name}", "logGroups", {"logGroupName": "{name}"}
    ),
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": _Read(
        "logs", "describe_metric_filters", {"logGroupName": "{logGroupName}", "filterNamePrefix": "{name}"},
        "{logGroupName}:{name}", "metricFilters", {"filterName": "{name}"},
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _Read(
        "cloudwatch", "describe_alarms", {"AlarmNamePrefix": "{name}"}, "{name}", "MetricAlarms", {"AlarmName": "{name}"}
    ),
    "aws:cloudwatch/dashboard:Dashboard": _Read(
        "cloudwatch", "get_dashboard", {"DashboardName": "{dashboardName}"}, "{dashboardName}"
    ),
    "aws:cloudwatch/eventRule:EventRule": _Read("events", "describe_rule", {"Name": "{name}"}, "{name}"),
    "aws:cloudwatch/eventTarget:EventTarget": _Read(
        "events", "list_targets_by_rule", {"Rule": "{rule}"}, "{rule}/{targetId}", "Targets", {"Id": "{targetId}"}
    ),
    "aws:kms/key:Key": _key_id,
    "aws:kms/alias:Alias": _Read("kms", "describe_key", {"KeyId": "{name}"}, "{name}"),
    "aws:lambda/function:Function": _Read("lambda", "get_function", {"FunctionName": "{name}"}, "{name}"),
    "aws:lambda/permission:Permission": _permission_id,
    "aws:sfn/stateMachine:StateMachine": _Read(
        "stepfunctions", "describe_state_machine", {"stateMachineArn": _MACHINE}, _MACHINE
    ),
    "aws:sns/topic:Topic": _Read("sns", "get_topic_attributes", {"TopicArn": _TOPIC}, _TOPIC),
    # A topic has a policy from the beginning.
    "aws:sns/topicPolicy:TopicPolicy": _Read("sns", "get_topic_attributes", {"TopicArn": "{arn}"}, "{arn}"),
    "aws:sns/topicSubscription:TopicSubscription": _subscription_id,
    "aws:cloudtrail/trail:Trail": _Read("cloudtrail", "get_trail", {"Name": _TRAIL}, _TRAIL),
    TASK_DEFINITION: _task_definition_id,
    **{
        f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}": _Read("s3", operation, {"Bucket": "{bucket}"}, "{bucket}", result)
        for kind, operation, result in (
            ("Bucket", "head_bucket", ""),
            ("BucketPolicy", "get_bucket_policy", ""),
            ("BucketPublicAccessBlock", "get_public_access_block", ""),
            ("BucketLifecycleConfiguration", "get_bucket_lifecycle_configuration", ""),
            ("BucketOwnershipControls", "get_bucket_ownership_controls", ""),
            ("BucketServerSideEncryptionConfiguration", "get_bucket_encryption", ""),
            ("BucketVersioning", "get_bucket_versioning", "Status"),
        )
    },
}  # fmt: skip
