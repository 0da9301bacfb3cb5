"""Data sources of pulumi-aws: what a program asks before it registers anything, also in a preview."""

from typing import Any

from sandbox.providers._resource import Function, ProviderError, given
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import tag_map
from sandbox.providers.aws._session import Aws


def _caller_identity(aws: Aws, arguments: Properties) -> Properties:
    del arguments
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
    del arguments
    suffix = aws.dns_suffix
    reverse = ".".join(reversed(suffix.split(".")))
    return {"id": aws.partition, "partition": aws.partition, "dnsSuffix": suffix, "reverseDnsPrefix": reverse}


def _key(aws: Aws, arguments: Properties) -> Properties:
    found = aws.client("kms").describe_key(KeyId=arguments["keyId"])["KeyMetadata"]
    return {
        "id": found["KeyId"],
        "keyId": arguments["keyId"],
        "arn": found["Arn"],
        "awsAccountId": found["AWSAccountId"],
        "creationDate": found["CreationDate"].isoformat(),
        "customerMasterKeySpec": found.get("CustomerMasterKeySpec"),
        "keySpec": found.get("KeySpec"),
        "description": found.get("Description", ""),
        "enabled": found["Enabled"],
        "keyManager": found["KeyManager"],
        "keyState": found["KeyState"],
        "keyUsage": found["KeyUsage"],
        "multiRegion": found.get("MultiRegion", False),
        "origin": found["Origin"],
        "region": aws.region,
    }


def _alias(aws: Aws, arguments: Properties) -> Properties:
    name = arguments["name"]
    pages = aws.client("kms").get_paginator("list_aliases").paginate()
    for found in (item for page in pages for item in page["Aliases"]):
        if found["AliasName"] == name:
            key = found.get("TargetKeyId") or ""
            return {
                "id": found["AliasArn"],
                "arn": found["AliasArn"],
                "name": name,
                "targetKeyId": key,
                "targetKeyArn": aws.arn("kms", f"key/{key}"),
                "region": aws.region,
            }
    raise ProviderError(f"reading KMS Alias ({name}): couldn't find resource")


def _secret(aws: Aws, arguments: Properties) -> Properties:
    client = aws.client("secretsmanager")
    found = client.describe_secret(SecretId=arguments.get("arn") or arguments.get("name"))
    return {
        "id": found["ARN"],
        "arn": found["ARN"],
        "name": found["Name"],
        "description": found.get("Description", ""),
        "kmsKeyId": found.get("KmsKeyId", ""),
        "policy": client.get_resource_policy(SecretId=found["ARN"]).get("ResourcePolicy", ""),
        "tags": tag_map(found.get("Tags")),
        "region": aws.region,
    }


def _filters(arguments: Properties) -> list[dict[str, Any]]:
    tags = [{"Name": f"tag:{key}", "Values": [value]} for key, value in (arguments.get("tags") or {}).items()]
    return [{"Name": item["name"], "Values": item["values"]} for item in arguments.get("filters") or []] + tags


def _vpc(aws: Aws, arguments: Properties) -> Properties:
    filters = _filters(arguments)
    if arguments.get("default") is not None:
        filters.append({"Name": "isDefault", "Values": [str(arguments["default"]).lower()]})
    if arguments.get("cidrBlock"):
        filters.append({"Name": "cidr", "Values": [arguments["cidrBlock"]]})
    ids = given(VpcIds=[arguments["id"]] if arguments.get("id") else None)
    found = aws.client("ec2").describe_vpcs(Filters=filters, **ids)["Vpcs"]
    if len(found) != 1:
        raise ProviderError(f"{'no' if not found else 'multiple'} matching EC2 VPC found")
    vpc = found[0]
    return {
        "id": vpc["VpcId"],
        "arn": aws.arn("ec2", f"vpc/{vpc['VpcId']}"),
        "cidrBlock": vpc["CidrBlock"],
        "default": vpc["IsDefault"],
        "state": vpc["State"],
        "tags": tag_map(vpc.get("Tags")),
        "region": aws.region,
    }


def _subnets(aws: Aws, arguments: Properties) -> Properties:
    pages = aws.client("ec2").get_paginator("describe_subnets").paginate(Filters=_filters(arguments))
    ids = [item["SubnetId"] for page in pages for item in page["Subnets"]]
    return {**arguments, "id": aws.region, "ids": ids, "region": aws.region}


FUNCTIONS = (
    Function("aws:index/getCallerIdentity:getCallerIdentity", "caller identity", _caller_identity),
    Function("aws:index/getRegion:getRegion", "region", _region),
    Function("aws:index/getPartition:getPartition", "partition", _partition),
    Function("aws:kms/getKey:getKey", "KMS key", _key),
    Function("aws:kms/getAlias:getAlias", "KMS alias", _alias),
    Function("aws:secretsmanager/getSecret:getSecret", "secret", _secret),
    Function("aws:ec2/getVpc:getVpc", "VPC", _vpc),
    Function("aws:ec2/getSubnets:getSubnets", "subnets", _subnets),
)
