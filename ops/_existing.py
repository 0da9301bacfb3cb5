"""The IDs that `pulumi import` needs for what exists in AWS already, from what a preview would create.

One row for each resource type of the application: the ID's form, and the read that shows whether the object exists.
An ID of a missing object would fail the whole import. Source: Pulumi Registry, AWS, section "Import" of each type (7.51).
"""

import json
from collections.abc import Callable, Iterable, Mapping
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

    def knows(self, kind: str) -> bool:
        """Return whether objects of a type can be looked up."""
        return kind in _ROWS


@dataclass(frozen=True)
class _Given:
    """The inputs of one resource, with the IDs of others in place of what a preview doesn't know."""

    existing: Existing
    wanted: Wanted

    def __getitem__(self, name: str) -> str:
        value = self.wanted.inputs[name]
        if value != UNKNOWN:
            return str(value)
        return self.existing.ids[self.wanted.after[name][0]]

    def arn(self, service: str, resource: str) -> str:
        return self.existing.location.arn(service, resource)

    def call(self, service: str, operation: str, **parameters: object) -> Any:
        return getattr(self.existing.aws.client(service), operation)(**parameters)

    def all(self, service: str, operation: str, result: str, **parameters: object) -> Iterable[Any]:
        return self.existing.aws.pages(service, operation, result, **parameters)


_Row = Callable[[_Given], str | None]


def _if(found: object, resource_id: str) -> str | None:
    return resource_id if found else None


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


def _policy_id(given: _Given) -> str | None:
    arn = given["secretArn"]
    return _if(given.call("secretsmanager", "get_resource_policy", SecretId=arn).get("ResourcePolicy"), arn)


def _task_definition_id(given: _Given) -> str | None:
    family = given["family"]
    pages = given.all(
        "ecs", "list_task_definitions", "taskDefinitionArns", familyPrefix=family, status="ACTIVE", sort="DESC"
    )
    return next((arn for arn in pages if arn.rpartition("/")[2].rpartition(":")[0] == family), None)


def _key_id(given: _Given) -> str | None:
    key = given.existing.key_arn
    return key and key.rpartition("/")[2]


def _alias_id(given: _Given) -> str | None:
    given.call("kms", "describe_key", KeyId=given["name"])
    return given["name"]


def _permission_id(given: _Given) -> str | None:
    policy = json.loads(given.call("lambda", "get_policy", FunctionName=given["function"])["Policy"])
    return _if(
        any(s["Sid"] == given["statementId"] for s in policy["Statement"]),
        f"{given['function']}/{given['statementId']}",
    )


def _subscription_id(given: _Given) -> str | None:
    """An e-mail subscription has an ARN only once it is confirmed."""
    wanted = given["protocol"], given["endpoint"]
    pages = given.all("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=given["topic"])
    found = (s["SubscriptionArn"] for s in pages if (s["Protocol"], s["Endpoint"]) == wanted)
    return next((arn for arn in found if arn.startswith("arn:")), None)


def _attachment_id(given: _Given) -> str | None:
    role, arn = given["role"], given["policyArn"]
    attached = given.all("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role)
    return _if(any(p["PolicyArn"] == arn for p in attached), f"{role}/{arn}")


def _log_group_id(given: _Given) -> str | None:
    name = given["name"]
    return _if(
        any(g["logGroupName"] == name for g in given.all("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)),
        name,
    )  # fmt: skip


def _filter_id(given: _Given) -> str | None:
    group, name = given["logGroupName"], given["name"]
    found = given.call("logs", "describe_metric_filters", logGroupName=group, filterNamePrefix=name)["metricFilters"]
    return _if(any(f["filterName"] == name for f in found), f"{group}:{name}")


def _target_id(given: _Given) -> str | None:
    rule, target = given["rule"], given["targetId"]
    found = given.call("events", "list_targets_by_rule", Rule=rule)["Targets"]
    return _if(any(t["Id"] == target for t in found), f"{rule}/{target}")


def _alarm_id(given: _Given) -> str | None:
    found = given.call("cloudwatch", "describe_alarms", AlarmNames=[given["name"]])
    return _if(found["MetricAlarms"], given["name"])


def _versioning_id(given: _Given) -> str | None:
    return _if(given.call("s3", "get_bucket_versioning", Bucket=given["bucket"]).get("Status"), given["bucket"])


def _read(service: str, operation: str, parameter: str, property_name: str) -> _Row:
    """Return the row of a type whose ID is one of its inputs, which the read takes."""

    def row(given: _Given) -> str | None:
        given.call(service, operation, **{parameter: given[property_name]})
        return given[property_name]

    return row


def _read_arn(service: str, operation: str, parameter: str, resource: str) -> _Row:
    """Return the row of a type whose ID is its ARN. `resource` is the ARN's last part, with a placeholder for the name."""

    def row(given: _Given) -> str | None:
        arn = given.arn(service, resource.format(given["name"]))
        given.call("stepfunctions" if service == "states" else service, operation, **{parameter: arn})
        return arn

    return row


def _iam_policy_id(given: _Given) -> str | None:
    arn = given.existing.location.policy_arn(given["name"])
    given.call("iam", "get_policy", PolicyArn=arn)
    return arn


def _role_policy_id(given: _Given) -> str | None:
    given.call("iam", "get_role_policy", RoleName=given["role"], PolicyName=given["name"])
    return f"{given['role']}:{given['name']}"


_ROWS: Mapping[str, _Row] = {
    SECRET: _secret_id,
    VERSION: _version_id,
    "aws:secretsmanager/secretPolicy:SecretPolicy": _policy_id,
    "aws:secretsmanager/secretRotation:SecretRotation": _rotation_id,
    "aws:iam/role:Role": _read("iam", "get_role", "RoleName", "name"),
    "aws:iam/policy:Policy": _iam_policy_id,
    "aws:iam/rolePolicy:RolePolicy": _role_policy_id,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _attachment_id,
    "aws:cloudwatch/logGroup:LogGroup": _log_group_id,
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": _filter_id,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _alarm_id,
    "aws:cloudwatch/dashboard:Dashboard": _read("cloudwatch", "get_dashboard", "DashboardName", "dashboardName"),
    "aws:cloudwatch/eventRule:EventRule": _read("events", "describe_rule", "Name", "name"),
    "aws:cloudwatch/eventTarget:EventTarget": _target_id,
    "aws:kms/key:Key": _key_id,
    "aws:kms/alias:Alias": _alias_id,
    "aws:lambda/function:Function": _read("lambda", "get_function", "FunctionName", "name"),
    "aws:lambda/permission:Permission": _permission_id,
    "aws:sfn/stateMachine:StateMachine": _read_arn(
        "states", "describe_state_machine", "stateMachineArn", "stateMachine:{}"
    ),
    "aws:sns/topic:Topic": _read_arn("sns", "get_topic_attributes", "TopicArn", "{}"),
    # A topic has a policy from the beginning.
    "aws:sns/topicPolicy:TopicPolicy": _read("sns", "get_topic_attributes", "TopicArn", "arn"),
    "aws:sns/topicSubscription:TopicSubscription": _subscription_id,
    "aws:cloudtrail/trail:Trail": _read_arn("cloudtrail", "get_trail", "Name", "trail/{}"),
    TASK_DEFINITION: _task_definition_id,
    "aws:s3/bucketVersioning:BucketVersioning": _versioning_id,
    **{
        f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}": _read("s3", operation, "Bucket", "bucket")
        for kind, operation in {
            "Bucket": "head_bucket",
            "BucketPolicy": "get_bucket_policy",
            "BucketPublicAccessBlock": "get_public_access_block",
            "BucketLifecycleConfiguration": "get_bucket_lifecycle_configuration",
            "BucketOwnershipControls": "get_bucket_ownership_controls",
            "BucketServerSideEncryptionConfiguration": "get_bucket_encryption",
        }.items()
    },
}
