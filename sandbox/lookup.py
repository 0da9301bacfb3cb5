"""Finds an object that a cut-off run may have made in AWS, by the inputs that it was made from.

Where the id follows from the inputs, nothing is asked: the refresh that follows drops the object when it isn't there.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sandbox.state import SIGNATURE

_VERSION = "aws:secretsmanager/secretVersion:SecretVersion"

NEEDS_VALUES = {_VERSION}
"""Types whose look-up compares a secret value."""


@dataclass(frozen=True, repr=False)
class Query:
    """What was to be made; no repr, for inputs may hold a secret.

    Attributes:
        inputs: The inputs in Pulumi's names.
        region: Where it was to be made.
        account: Whose account.
        known: The ids of all resources of the state.
        known_arns: Their ARNs.
        client: Makes a boto3 client of a service, in that account and region.
    """

    inputs: Mapping[str, Any]
    region: str
    account: str
    known: frozenset[str]
    known_arns: frozenset[str]
    client: Callable[[str], Any]

    @property
    def partition(self) -> str:
        """`aws`, or what the region's ARNs begin with."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"


def find(kind: str, query: Query) -> str | None:
    """Return the id of the object, None when it wasn't made or nothing of the kind can be found again."""
    template = _IDS.get(kind)
    if template is not None:
        facts = {"partition": query.partition, "region": query.region, "account": query.account}
        try:
            return template.format_map({**_DEFAULTS.get(kind, {}), **query.inputs, **facts})
        except KeyError:
            return None
    finder = _FINDERS.get(kind)
    return finder(query) if finder else None


def knows(kind: str) -> bool:
    """Tell whether objects of this type can be found again, or are nothing outside Pulumi's state."""
    return kind in _IDS or kind in _FINDERS or kind.startswith(("random:", "pulumi:"))


def revealed(value: Any) -> Any:
    """Return an export's value with its secrets unwrapped; they are JSON texts there."""
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        if SIGNATURE in mapping and "plaintext" in mapping:
            return revealed(json.loads(mapping["plaintext"]))
        return {key: revealed(item) for key, item in mapping.items()}
    return [revealed(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


# Ids that follow from the inputs, as pulumi-aws makes them.
_IDS: Mapping[str, str] = {
    "aws:secretsmanager/secretRotation:SecretRotation": "{secretId}",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "{secretArn}",
    "aws:iam/role:Role": "{name}",
    "aws:iam/policy:Policy": "arn:{partition}:iam::{account}:policy{path}{name}",
    "aws:iam/rolePolicy:RolePolicy": "{role}:{name}",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "{role}/{policyArn}",
    "aws:ecs/cluster:Cluster": "arn:{partition}:ecs:{region}:{account}:cluster/{name}",
    "aws:cloudwatch/logGroup:LogGroup": "{name}",
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": "{name}",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "{name}",
    "aws:cloudwatch/dashboard:Dashboard": "{dashboardName}",
    "aws:cloudwatch/eventRule:EventRule": "{name}",
    "aws:cloudwatch/eventTarget:EventTarget": "{rule}-{targetId}",
    "aws:kms/alias:Alias": "{name}",
    "aws:lambda/function:Function": "{name}",
    "aws:lambda/permission:Permission": "{statementId}",
    "aws:sfn/stateMachine:StateMachine": "arn:{partition}:states:{region}:{account}:stateMachine:{name}",
    "aws:sns/topic:Topic": "arn:{partition}:sns:{region}:{account}:{name}",
    "aws:sns/topicPolicy:TopicPolicy": "{arn}",
    "aws:cloudtrail/trail:Trail": "arn:{partition}:cloudtrail:{region}:{account}:trail/{name}",
    **{
        f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}": "{bucket}"
        for kind in (
            "Bucket", "BucketPolicy", "BucketVersioning", "BucketPublicAccessBlock", "BucketLifecycleConfiguration",
            "BucketOwnershipControls", "BucketServerSideEncryptionConfiguration",
        )
    },
}  # fmt: skip

_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "aws:iam/policy:Policy": {"path": "/"},
}


def _secret(query: Query) -> str | None:
    client = query.client("secretsmanager")
    try:
        found = client.describe_secret(SecretId=query.inputs["name"])
    except client.exceptions.ResourceNotFoundException:
        return None
    return None if found.get("DeletedDate") else _unknown(str(found["ARN"]), query)


def _secret_version(query: Query) -> str | None:
    """The version that isn't recorded and has the value and the labels: an earlier one may have the same value.

    A rotation may have taken AWSCURRENT meanwhile, so a label of the program's own counts for more.
    """
    client, secret = query.client("secretsmanager"), query.inputs["secretId"]
    try:
        versions = client.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True)["Versions"]
    except client.exceptions.ResourceNotFoundException:
        return None
    asked = {str(stage) for stage in query.inputs.get("versionStages") or ()}
    labels = asked - {"AWSCURRENT"} or {"AWSCURRENT"}
    for version in versions:
        if not labels <= {*version.get("VersionStages", ())}:
            continue
        number = f"{secret}|{version['VersionId']}"
        if number in query.known:
            continue
        value = client.get_secret_value(SecretId=secret, VersionId=version["VersionId"])
        if "secretString" in query.inputs and value.get("SecretString") == query.inputs["secretString"]:
            return number
    return None


def _task_definition(query: Query) -> str | None:
    pages = query.client("ecs").get_paginator("list_task_definitions")
    family = query.inputs["family"]
    arns = [
        str(arn)
        for page in pages.paginate(familyPrefix=family, sort="DESC")
        for arn in page["taskDefinitionArns"]
        if arn.rpartition("/")[2].rpartition(":")[0] == family
    ]
    return next((arn for arn in arns if arn not in query.known_arns), None)


def _ecs_service(query: Query) -> str | None:
    cluster = query.inputs.get("cluster") or "default"
    client = query.client("ecs")
    try:
        found = client.describe_services(cluster=cluster, services=[query.inputs["name"]])["services"]
    except client.exceptions.ClusterNotFoundException:
        return None
    return next((str(s["serviceArn"]) for s in found if s["status"] == "ACTIVE"), None)


def _key(query: Query) -> str | None:
    client = query.client("kms")
    for key_id in _key_ids(client):
        key = client.describe_key(KeyId=key_id)["KeyMetadata"]
        if key["KeyManager"] != "CUSTOMER" or key["KeyState"] != "Enabled" or key_id in query.known:
            continue
        # Keys have no name: description and tags together tell whose it is.
        tags = {tag["TagKey"]: tag["TagValue"] for tag in client.list_resource_tags(KeyId=key_id)["Tags"]}
        wanted = query.inputs.get("tagsAll") or query.inputs.get("tags") or {}
        if key["Description"] == query.inputs.get("description", "") and tags == wanted:
            return key_id
    return None


def _key_ids(client: Any) -> Iterator[str]:
    for page in client.get_paginator("list_keys").paginate():
        yield from (str(key["KeyId"]) for key in page["Keys"])


def _subscription(query: Query) -> str | None:
    pages = query.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=query.inputs["topic"])
    wanted = (query.inputs["protocol"], query.inputs["endpoint"])
    found = (s for page in pages for s in page["Subscriptions"] if (s["Protocol"], s["Endpoint"]) == wanted)
    return next((str(s["SubscriptionArn"]) for s in found if s["SubscriptionArn"] not in query.known), None)


def _unknown(found: str, query: Query) -> str | None:
    return None if found in query.known else found


_FINDERS: Mapping[str, Callable[[Query], str | None]] = {
    "aws:secretsmanager/secret:Secret": _secret,
    _VERSION: _secret_version,
    "aws:ecs/taskDefinition:TaskDefinition": _task_definition,
    "aws:ecs/service:Service": _ecs_service,
    "aws:kms/key:Key": _key,
    "aws:sns/topicSubscription:TopicSubscription": _subscription,
}
