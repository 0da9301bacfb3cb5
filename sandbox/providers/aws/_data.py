"""Data sources of pulumi-aws: what a program asks before it registers anything, also in a preview."""

from sandbox.providers._resource import Function
from sandbox.providers._values import Properties
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


FUNCTIONS = (
    Function("aws:index/getCallerIdentity:getCallerIdentity", "caller identity", _caller_identity),
    Function("aws:index/getRegion:getRegion", "region", _region),
    Function("aws:index/getPartition:getPartition", "partition", _partition),
)
