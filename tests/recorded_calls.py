"""What a recorded call asks of IAM: actions, resources and conditions, to be judged by the evaluator.

Sources: AWS, "Service Authorization Reference", of each service, for actions and resource types; AWS, "Required permissions for
Amazon S3 API operations", for IAM's names; AWS, "Granting a user permissions to pass a role to an AWS service".
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.location import Location
from ops.access.evaluator import Request, Statement, parse

S3_ACTIONS = {
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjectsV2": "ListBucket",
}
"""IAM's name of an operation, where it is another one."""

_PASSED_TO = {
    "cloudtrail": "cloudtrail", "ecs": "ecs-tasks", "events": "events", "lambda": "lambda",
    "states": "states",
}  # fmt: skip
_EVERYTHING = {
    "ecs": {
        "DescribeTaskDefinition",
        "DeregisterTaskDefinition",
        "ListClusters",
        "ListServices",
        "ListTasks",
    },
    "cloudtrail": {"DescribeTrails", "LookupEvents"},
    "cloudwatch": {"ListDashboards"},
    "elasticache": {"DescribeReplicationGroups"},
    "events": {"ListRules"},
    "iam": {"ListRoles"},
    "kms": {"CreateKey", "ListAliases"},
    "logs": {"GetQueryResults"},
    "rds": {"DescribeDBClusters"},
    "secretsmanager": {"GetRandomPassword", "ListSecrets"},
    "sns": {"GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe"},
    "states": {"ValidateStateMachineDefinition"},
    "sts": {"GetCallerIdentity"},
}
"""Operations that AWS knows no resource for: they need `*`."""


@dataclass(frozen=True)
class Account:
    """Where the calls were made.

    Attributes:
        prefix: `PROJECT-STACK`, what the stack's trail is called.
        boundary_arn: The boundary that the stack's roles carry.
        tags: The tags of the stack's own key.
    """

    location: Location
    prefix: str
    boundary_arn: str
    tags: Mapping[str, str]

    def requests(self, path: Path, principal: str) -> Iterator[Request]:
        """Yield what the recorded calls of a file ask, each thing once."""
        lines = dict.fromkeys(path.read_text(encoding="utf-8").splitlines())
        for line in lines:
            call = json.loads(line)
            service = "states" if call["service"] == "stepfunctions" else str(call["service"])
            yield from self._requests(service, call["operation"], call["parameters"], principal)

    def _requests(self, service: str, operation: str, given: Mapping[str, Any], principal: str) -> Iterator[Request]:
        action = f"{service}:{S3_ACTIONS.get(operation, operation) if service == 's3' else operation}"
        asked: Mapping[str, str | None] = {}
        if action == "kms:CreateKey":
            asked = {f"aws:requesttag/{key.lower()}": value for key, value in self.tags.items()}
        for resource in self._resources(service, operation, given):
            yield self._request(action, resource, principal, asked)
        for value in given.values():
            if service != "iam" and isinstance(value, str) and ":role/" in value:
                to = {"iam:passedtoservice": f"{_PASSED_TO[service]}.amazonaws.com"}
                yield self._request("iam:PassRole", value, principal, to)
        if action == "kms:CreateKey":
            new = {f"aws:resourcetag/{key.lower()}": None for key in self.tags}
            yield self._request("kms:TagResource", self.location.arn("kms", "key/new"), principal, {**asked, **new})
        if service == "secretsmanager" and "KmsKeyId" in given:
            via = {"kms:viaservice": f"secretsmanager.{self.location.region}.amazonaws.com"}
            for asked_of_key in ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"):
                yield self._request(asked_of_key, given["KmsKeyId"], principal, via)
        if action == "secretsmanager:RotateSecret" and "RotationLambdaARN" in given:
            yield self._request("lambda:InvokeFunction", given["RotationLambdaARN"], principal)

    def _request(
        self, action: str, resource: str, principal: str, more: Mapping[str, str | None] | None = None
    ) -> Request:
        context: dict[str, str | None] = {"aws:resourcetag/*": None, "aws:requesttag/*": None}
        context |= dict.fromkeys(("iam:policyarn", "iam:passedtoservice", "kms:viaservice"))
        context["iam:permissionsboundary"] = self.boundary_arn
        context |= {"aws:principalarn": principal, "kms:calleraccount": self.location.account_id}
        context["aws:requestedregion"] = self.location.region
        # Not the tags of the stack's key: they count up to five minutes later.
        return Request(action, resource, principal, {**context, **(more or {})})

    def _resources(  # noqa: PLR0911 - one for each shape of a call
        self, service: str, operation: str, given: Mapping[str, Any]
    ) -> list[str]:
        if operation in _EVERYTHING.get(service, ()):
            return ["*"]
        if service == "logs" and operation.startswith("Describe") and "logGroupName" not in given:
            return [self.location.log_group_arn(":log-stream:")]
        if operation == "DescribeAlarms":
            return [self.location.arn(service, "alarm:*")]
        if service == "kms" and "TargetKeyId" in given:  # the alias and its key are both asked
            return [
                self._arn(service, "TargetKeyId", given["TargetKeyId"]),
                self._arn(service, "AliasName", given["AliasName"]),
            ]
        if (service, operation) == ("cloudtrail", "ListTags"):  # its list of ARNs is not recorded
            return [self.location.arn(service, f"trail/{self.prefix}")]
        if (service, operation) == ("ecs", "RegisterTaskDefinition"):
            return [self.location.arn(service, f"task-definition/{given['family']}:*")]
        if (service, operation) in {("ecs", "DescribeServices"), ("ecs", "UpdateService")}:
            cluster, names = str(given["cluster"]).rpartition("/")[2], given.get("services") or given["service"]
            short = [str(name).rpartition("/")[2] for name in (names if isinstance(names, list) else [names])]
            return [self.location.arn(service, f"service/{cluster}/{name}") for name in short]
        name = next((name for name in _NAMES[service] if name in given), "")
        assert name, f"{service}:{operation} names its resource by none of {sorted(given)} that this knows"
        values = given[name] if isinstance(given[name], list) else [given[name]]
        return [self._arn(service, name, value) for value in values]

    def _arn(self, service: str, name: str, value: str) -> str:
        if value.startswith("arn:"):
            return value
        arn = self.location.arn
        account = self.location.account_id
        shapes = {
            "iam": f"arn:{self.location.partition}:iam::{account}:role/{value}",
            "secretsmanager": arn(service, f"secret:{value}-AbCdEf"),
            # A key that is called by its alias is asked itself.
            "kms": arn(
                service,
                value if name == "AliasName" else "key/of-alias" if value.startswith("alias/") else f"key/{value}",
            ),
            "logs": self.location.log_group_arn(f"{value}:*"),
            "s3": f"arn:{self.location.partition}:s3:::{value}",
            "events": arn(service, f"rule/{value}"),
            "cloudtrail": arn(service, f"trail/{value}"),
            "lambda": arn(service, f"function:{value}"),
            "sns": arn(service, value),
            "states": arn(service, f"stateMachine:{value}"),
            "cloudwatch": arn(service, f"alarm:{value}"),
            "ecr": arn(service, f"repository/{value}"),
            "rds": arn(service, f"cluster:{value}"),
            "elasticache": arn(service, f"replicationgroup:{value}"),
        }
        if name.startswith("Dashboard"):
            return f"arn:{self.location.partition}:cloudwatch::{account}:dashboard/{value}"
        return shapes[service]


_NAMES: Mapping[str, tuple[str, ...]] = {
    "iam": ("RoleName", "PolicyArn", "PolicySourceArn"),
    "secretsmanager": ("SecretId", "Name"),
    "kms": ("KeyId", "AliasName"),
    "logs": ("logGroupName", "resourceArn"),
    "s3": ("Bucket",),
    "events": ("Rule", "Name", "ResourceARN"),
    "cloudwatch": ("AlarmName", "AlarmNames", "DashboardName", "DashboardNames", "ResourceARN"),
    "cloudtrail": ("Name", "TrailName"),
    "lambda": ("FunctionName", "Resource"),
    "ecs": ("resourceArn",),
    "sns": ("TopicArn", "Name", "ResourceArn"),
    "states": ("stateMachineArn", "resourceArn", "name"),
    "ecr": ("repositoryName",),
    "rds": ("DBClusterIdentifier",),
    "elasticache": ("ReplicationGroupId",),
}
"""By service the parameters that name what a call acts on; the first one that is there counts."""


def rights(iam: Any, role: str) -> tuple[Statement, ...]:
    """What a role may do, as IAM has it."""
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)
        documents.append(found["PolicyVersion"]["Document"])
    return tuple(statement for text in documents for statement in parse(text, source=role))


def documented_policy(page: Path, renamed: Mapping[str, str]) -> tuple[Statement, ...]:
    """The one policy that a page prints, for another account or stack."""
    (text,) = re.findall(r"^```json\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for old, new in renamed.items():
        text = text.replace(old, new)
    return parse(text, source=page.name)
