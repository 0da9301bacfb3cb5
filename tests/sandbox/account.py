"""Everything that an account of the local AWS holds, to compare before and after a command."""

import json
from collections.abc import Callable, Iterator
from typing import Any

_NOISE = {"LastAccessedDate", "ResponseMetadata", "LastModified", "Location", "CodeSha256", "NextToken"}


def everything(client: Callable[[str], Any]) -> dict[str, Any]:
    """All that this project's programs can make in AWS, by service and name; values of secrets included.

    `client` gives the client of a service in the account.
    """
    found: dict[str, Any] = {
        "secrets": {s["ARN"]: _secret(client("secretsmanager"), s["ARN"]) for s in _secrets(client("secretsmanager"))},
        "roles": {r["RoleName"]: _role(client("iam"), r) for r in client("iam").list_roles()["Roles"]},
        "keys": {k["KeyId"]: _key(client("kms"), k["KeyId"]) for k in client("kms").list_keys()["Keys"]},
        "aliases": client("kms").list_aliases()["Aliases"],
        "task definitions": [
            client("ecs").list_task_definitions(status=status)["taskDefinitionArns"]
            for status in ("ACTIVE", "INACTIVE")
        ],
        "functions": [
            (f["FunctionName"], f["Environment"], f["Role"]) for f in client("lambda").list_functions()["Functions"]
        ],
        "log groups": client("logs").describe_log_groups()["logGroups"],
        "metric filters": client("logs").describe_metric_filters()["metricFilters"],
        "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
        "dashboards": client("cloudwatch").list_dashboards()["DashboardEntries"],
        "topics": client("sns").list_topics()["Topics"],
        "subscriptions": client("sns").list_subscriptions()["Subscriptions"],
        "buckets": [b["Name"] for b in client("s3").list_buckets()["Buckets"]],
        "trails": client("cloudtrail").describe_trails()["trailList"],
        "rules": {
            r["Name"]: (r, client("events").list_targets_by_rule(Rule=r["Name"])["Targets"])
            for r in client("events").list_rules()["Rules"]
        },
        "state machines": client("stepfunctions").list_state_machines()["stateMachines"],
    }
    return json.loads(json.dumps(_quiet(found), default=str, sort_keys=True))


def _secrets(client: Any) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("list_secrets").paginate(IncludePlannedDeletion=True):
        yield from page["SecretList"]


def _secret(client: Any, arn: str) -> dict[str, Any]:
    described = client.describe_secret(SecretId=arn)
    labels = described.get("VersionIdsToStages", {})
    if described.get("DeletedDate"):
        return {"deleted": str(described["DeletedDate"]), "labels": labels}
    versions = [
        v["VersionId"] for v in client.list_secret_version_ids(SecretId=arn, IncludeDeprecated=True)["Versions"]
    ]
    return {
        **{key: value for key, value in described.items() if key not in {"LastChangedDate", "NextRotationDate"}},
        "policy": client.get_resource_policy(SecretId=arn).get("ResourcePolicy"),
        "values": {v: _value(client, arn, v) for v in versions},
    }


def _value(client: Any, arn: str, version: str) -> str:
    try:
        return client.get_secret_value(SecretId=arn, VersionId=version).get("SecretString", "")
    except client.exceptions.ResourceNotFoundException:
        return ""  # the empty version of a rotation that has begun


def _role(client: Any, role: dict[str, Any]) -> dict[str, Any]:
    name = role["RoleName"]
    inline = client.list_role_policies(RoleName=name)["PolicyNames"]
    return {
        "trust": role["AssumeRolePolicyDocument"],
        "inline": {p: client.get_role_policy(RoleName=name, PolicyName=p)["PolicyDocument"] for p in inline},
        "attached": client.list_attached_role_policies(RoleName=name)["AttachedPolicies"],
    }


def _key(client: Any, key: str) -> dict[str, Any]:
    return {
        "state": client.describe_key(KeyId=key)["KeyMetadata"]["KeyState"],
        "policy": client.get_key_policy(KeyId=key, PolicyName="default")["Policy"],
    }


def _quiet(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _quiet(item) for key, item in value.items() if key not in _NOISE}
    return [_quiet(item) for item in value] if isinstance(value, list | tuple) else value
