"""A stack's account and Region, and the ARNs of its resources."""

import re
from dataclasses import dataclass

ECR_REGISTRY = r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
"""The pattern of a registry in Amazon ECR, with the slash that ends it; the repository follows."""

_ECR_IMAGE = re.compile(ECR_REGISTRY + r"(?P<name>[^:@]+)[:@].+")


_SUFFIX = "amazonaws.com"
_PARTITIONS = {
    "cn-": ("aws-cn", "amazonaws.com.cn"),
    "us-gov-": ("aws-us-gov", _SUFFIX),
    "us-iso-": ("aws-iso", "c2s.ic.gov"),
    "us-isob-": ("aws-iso-b", "sc2s.sgov.gov"),
    "eu-isoe-": ("aws-iso-e", "cloud.adc-e.uk"),
    "us-isof-": ("aws-iso-f", "csp.hci.ic.gov"),
    "eusc-": ("aws-eusc", "amazonaws.eu"),
}
"""Partition and DNS suffix by the start of a Region, where they differ from `aws`. Source: botocore's partitions.json."""


@dataclass(frozen=True)
class Location:
    """An AWS account in one Region."""

    partition: str
    """`aws`, `aws-us-gov` or `aws-cn`; never hard-coded elsewhere in this project."""
    region: str
    """Such as `eu-west-1`."""
    account_id: str
    """Twelve digits."""

    def endpoint(self, service: str) -> str:
        """Return the name of a service in this Region, as policies compare it: `kms:ViaService`, a service principal."""
        suffix = next((suffix for name, suffix in _PARTITIONS.values() if name == self.partition), _SUFFIX)
        return f"{service}.{self.region}.{suffix}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account and Region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def role_arn(self, name: str) -> str:
        """Return the ARN of a role of this account."""
        return f"arn:{self.partition}:iam::{self.account_id}:role/{name}"

    def policy_arn(self, name: str) -> str:
        """Return the ARN of a managed policy of the account."""
        return f"arn:{self.partition}:iam::{self.account_id}:policy/{name}"

    def root_arn(self) -> str:
        """Return the ARN that stands for the account itself in a policy."""
        return f"arn:{self.partition}:iam::{self.account_id}:root"

    def log_group_arn(self, name: str) -> str:
        """Return the ARN of a CloudWatch log group, without the `:*` that some APIs append."""
        return self.arn("logs", f"log-group:{name}")

    def secret_arn_length(self, full_name: str) -> int:
        """Return the characters of a secret's ARN, which is known before AWS chooses the ARN's last six."""
        return len(self.arn("secretsmanager", f"secret:{full_name}-")) + 6

    def ecr_repository_arn(self, image: str) -> str | None:
        """Return the ARN of the ECR repository that an image comes from, None for any other registry."""
        match = _ECR_IMAGE.fullmatch(image)
        return match and f"arn:{self.partition}:ecr:{match['region']}:{match['account']}:repository/{match['name']}"


def partition_of(region: str) -> str:
    """Return the partition of a Region."""
    return next((partition for start, (partition, _) in _PARTITIONS.items() if region.startswith(start)), "aws")


def region_of(arn: str) -> str:
    """Return the Region in an ARN."""
    return arn.split(":")[3]


def in_region(arn: str, region: str) -> str:
    """Return the ARN of a secret's or key's replica in another Region: it differs by the Region only."""
    fields = arn.split(":")
    return ":".join([*fields[:3], region, *fields[4:]])
