"""Data sources of pulumi-aws: what a program asks before it registers anything, also in a preview."""

import base64
import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from sandbox.providers._resource import ProviderError, given
from sandbox.providers._values import Properties
from sandbox.providers.aws._session import Aws


def _caller_identity(aws: Aws, arguments: Properties) -> Properties:
    found = aws.client("sts").get_caller_identity()
    return {"id": found["Account"], "accountId": found["Account"], "arn": found["Arn"], "userId": found["UserId"]}


def _region(aws: Aws, arguments: Properties) -> Properties:
    region = arguments.get("region") or arguments.get("name") or aws.region
    return {
        "id": region,
        "region": region,
        "name": region,
        "description": region,
        "endpoint": f"ec2.{region}.{aws.dns_suffix}",
    }


def _partition(aws: Aws, arguments: Properties) -> Properties:
    suffix = aws.dns_suffix
    reverse = ".".join(reversed(suffix.split(".")))
    return {"id": aws.partition, "partition": aws.partition, "dnsSuffix": suffix, "reverseDnsPrefix": reverse}


def _secret_versions(aws: Aws, arguments: Properties) -> Properties:
    """A secret without a value has no versions. This is not an error."""
    ask = {"SecretId": arguments["secretId"], "IncludeDeprecated": bool(arguments.get("includeDeprecated"))}
    pages = [aws.client("secretsmanager").list_secret_version_ids(**ask)]
    while pages[-1].get("NextToken"):
        pages.append(aws.client("secretsmanager").list_secret_version_ids(**ask, NextToken=pages[-1]["NextToken"]))
    versions = [
        given(
            createdTime=version["CreatedDate"].isoformat(),
            versionId=version["VersionId"],
            versionStages=version.get("VersionStages") or None,
        )
        for page in pages
        for version in page["Versions"]
        if version.get("VersionStages") or arguments.get("includeDeprecated")  # moto lists them in any case
    ]
    return {
        "id": arguments["secretId"],
        "secretId": arguments["secretId"],
        "secretName": pages[0]["Name"],
        "versions": versions,
        "region": aws.region,
    }


def _secret_version(aws: Aws, arguments: Properties) -> Properties:
    version, stage = arguments.get("versionId"), arguments.get("versionStage")
    where = {"VersionId": version} if version else {"VersionStage": stage or "AWSCURRENT"}
    found = aws.client("secretsmanager").get_secret_value(SecretId=arguments["secretId"], **where)
    return {
        "id": f"{arguments['secretId']}|{version or stage or 'AWSCURRENT'}",
        "arn": found["ARN"],
        "secretArn": found["ARN"],
        "secretId": arguments["secretId"],
        "createdDate": found["CreatedDate"].isoformat(),
        "secretString": found.get("SecretString", ""),
        "secretBinary": base64.b64encode(found.get("SecretBinary", b"")).decode(),
        "versionId": found["VersionId"],
        "versionStage": stage,
        "versionStages": found.get("VersionStages", []),
        "region": aws.region,
    }


def _bucket(aws: Aws, arguments: Properties) -> Properties:
    name = arguments["bucket"]
    _found("S3 Bucket", name, lambda: aws.client("s3").head_bucket(Bucket=name))
    arn = f"arn:{aws.partition}:s3:::{name}"
    return {"id": name, "bucket": name, "arn": arn, "bucketRegion": aws.region, "region": aws.region}


def _alias(aws: Aws, arguments: Properties) -> Properties:
    name, kms = arguments["name"], aws.client("kms")
    aliases = [alias for page in kms.get_paginator("list_aliases").paginate() for alias in page["Aliases"]]
    alias = next((alias for alias in aliases if alias["AliasName"] == name), None)
    if alias is None:
        raise ProviderError(f"reading KMS Alias ({name}): {_ABSENT}")
    key = kms.describe_key(KeyId=name)["KeyMetadata"]
    return {
        "id": alias["AliasArn"],
        "arn": alias["AliasArn"],
        "name": name,
        "targetKeyArn": key["Arn"],
        "targetKeyId": key["KeyId"],
        "region": aws.region,
    }


def _open_id_connect_provider(aws: Aws, arguments: Properties) -> Properties:
    url, iam = arguments["url"], aws.client("iam")
    listed = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    arn = next((p["Arn"] for p in listed if p["Arn"].partition("/")[2] == url.removeprefix("https://")), None)
    if arn is None:
        raise ProviderError(f"reading IAM OIDC Provider ({url}): {_ABSENT}")
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    return {
        "id": arn,
        "arn": arn,
        "url": found["Url"],
        "clientIdLists": found["ClientIDList"],
        "thumbprintLists": found["ThumbprintList"],
    }


def _role(aws: Aws, arguments: Properties) -> Properties:
    name = arguments["name"]
    found = _found("IAM Role", name, lambda: aws.client("iam").get_role(RoleName=name))["Role"]
    return {
        "id": name,
        "name": name,
        "arn": found["Arn"],
        "path": found["Path"],
        "uniqueId": found["RoleId"],
        "createDate": found["CreateDate"].isoformat(),
        "description": found.get("Description", ""),
        "maxSessionDuration": found.get("MaxSessionDuration", 3600),
        "permissionsBoundary": found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        "assumeRolePolicy": json.dumps(found["AssumeRolePolicyDocument"]),
    }


def _policy(aws: Aws, arguments: Properties) -> Properties:
    arn, iam = arguments["arn"], aws.client("iam")
    found = _found("IAM Policy", arn, lambda: iam.get_policy(PolicyArn=arn))["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=found["DefaultVersionId"])["PolicyVersion"]
    return {
        "id": arn,
        "arn": arn,
        "name": found["PolicyName"],
        "path": found["Path"],
        "policyId": found["PolicyId"],
        "description": found.get("Description", ""),
        "attachmentCount": found["AttachmentCount"],
        "policy": json.dumps(version["Document"]),
    }


def _ecs_service(aws: Aws, arguments: Properties) -> Properties:
    """Source: terraform-provider-aws 6, ecs/service_data_source.go and tfresource, SingularDataSourceFindError."""
    ecs, cluster, name = aws.client("ecs"), arguments["clusterArn"], arguments["serviceName"]
    try:
        services = ecs.describe_services(cluster=cluster, services=[name])["services"]
    except ecs.exceptions.ClusterNotFoundException:
        services = []
    if not services or services[0]["status"] == "INACTIVE":
        raise ProviderError("no matching ECS Service found")
    (found,) = services
    return {
        "id": found["serviceArn"],
        "arn": found["serviceArn"],
        "clusterArn": found["clusterArn"],
        "serviceName": name,
        "desiredCount": found["desiredCount"],
        "launchType": found.get("launchType", ""),
        "schedulingStrategy": found["schedulingStrategy"],
        "taskDefinition": found.get("taskDefinition", ""),
        "deploymentControllers": [found.get("deploymentController", {"type": "ECS"})],
        "status": found["status"],
        "region": aws.region,
    }


def _found(title: str, name: str, ask: Callable[[], Any]) -> Any:
    """Ask; what does not exist is told as the official plugin does."""
    try:
        return ask()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in {"404", "NoSuchEntity"}:
            raise ProviderError(f"reading {title} ({name}): {_ABSENT}") from None
        raise


_ABSENT = "couldn't find resource"
"""Source: terraform-provider-aws 6 (2026), internal/retry, NotFoundError."""

FUNCTIONS = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:s3/getBucket:getBucket": _bucket,
    "aws:ecs/getService:getService": _ecs_service,
    "aws:kms/getAlias:getAlias": _alias,
    "aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider": _open_id_connect_provider,
    "aws:iam/getRole:getRole": _role,
    "aws:iam/getPolicy:getPolicy": _policy,
    "aws:secretsmanager/getSecretVersion:getSecretVersion": _secret_version,
    "aws:secretsmanager/getSecretVersions:getSecretVersions": _secret_versions,
}
