"""Who runs `pulumi up` and `pulumi preview`: least rights, trust and the boundary of every role that the stack makes. Pure.

The rights follow from one table: by resource type the calls that the official plugin makes, and on what. A feature that is
switched off has none of its types, so it needs no rights.

The deployer can't widen itself: its own name, the previewer's and the boundary's lie outside of what it may write, and every role
that it makes carries the boundary.

Sources: terraform-provider-aws 6, `internal/service/…`, as said in the table; AWS, "Service Authorization Reference", for which
action knows which resource; AWS, "Permissions boundaries for IAM entities", delegating; Pulumi CLI 3.274, `pkg/backend/diy`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from model.location import Location
from model.names import Names
from policies.identity import MANAGED_POLICY_CHARACTERS, PolicyError, Statement, document
from policies.trail import AuditNames

Feature = Literal["encryption", "rotation", "redeploy", "reminder", "audit", "trail"]

CALLS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "aws:iam/role:Role": ("iam/role.go", {
        "bounded role": "iam:CreateRole iam:PutRolePermissionsBoundary iam:DeleteRolePolicy iam:DetachRolePolicy",
        "role": "iam:DeleteRole iam:GetRole iam:GetRolePolicy iam:ListAttachedRolePolicies iam:ListInstanceProfilesForRole "
                "iam:ListRolePolicies iam:ListRoleTags iam:TagRole iam:UntagRole iam:UpdateAssumeRolePolicy iam:UpdateRole "
                "iam:UpdateRoleDescription",
    }),
    "aws:iam/rolePolicy:RolePolicy": ("iam/role_policy.go", {
        "bounded role": "iam:DeleteRolePolicy iam:PutRolePolicy", "role": "iam:GetRolePolicy",
    }),
    "aws:iam/policy:Policy": ("iam/policy.go", {
        "policy": "iam:CreatePolicy iam:CreatePolicyVersion iam:DeletePolicy iam:DeletePolicyVersion iam:GetPolicy "
                  "iam:GetPolicyVersion iam:ListPolicyTags iam:ListPolicyVersions iam:TagPolicy iam:UntagPolicy",
    }),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("iam/role_policy_attachment.go", {
        "attachment": "iam:AttachRolePolicy", "bounded role": "iam:DetachRolePolicy", "role": "iam:ListAttachedRolePolicies",
    }),
    "aws:secretsmanager/secret:Secret": ("secretsmanager/secret.go", {
        "secret": "secretsmanager:CreateSecret secretsmanager:DeleteSecret secretsmanager:DescribeSecret "
                  "secretsmanager:GetResourcePolicy secretsmanager:RemoveRegionsFromReplication "
                  "secretsmanager:ReplicateSecretToRegions secretsmanager:TagResource secretsmanager:UntagResource "
                  "secretsmanager:UpdateSecret",
    }),
    "aws:secretsmanager/secretVersion:SecretVersion": ("secretsmanager/secret_version.go", {
        "secret": "secretsmanager:GetSecretValue secretsmanager:ListSecretVersionIds secretsmanager:PutSecretValue "
                  "secretsmanager:UpdateSecretVersionStage",
    }),
    "aws:secretsmanager/secretPolicy:SecretPolicy": ("secretsmanager/secret_policy.go", {
        "secret": "secretsmanager:DeleteResourcePolicy secretsmanager:GetResourcePolicy secretsmanager:PutResourcePolicy "
                  "secretsmanager:ValidateResourcePolicy",
    }),
    "aws:secretsmanager/secretRotation:SecretRotation": ("secretsmanager/secret_rotation.go", {
        "secret": "secretsmanager:CancelRotateSecret secretsmanager:DescribeSecret secretsmanager:RotateSecret",
        # AWS, RotateSecret, required permissions.
        "function": "lambda:InvokeFunction",
    }),
    "aws:ecs/taskDefinition:TaskDefinition": ("ecs/task_definition.go", {
        "any": "ecs:DeregisterTaskDefinition ecs:DescribeTaskDefinition ecs:RegisterTaskDefinition",
        "task definition": "ecs:ListTagsForResource ecs:TagResource ecs:UntagResource",
        "passed role": "iam:PassRole",
    }),
    "aws:cloudwatch/logGroup:LogGroup": ("logs/group.go", {
        "any log group": "logs:DescribeLogGroups",
        "log group": "logs:AssociateKmsKey logs:CreateLogGroup logs:DeleteLogGroup logs:DeleteRetentionPolicy "
                     "logs:DisassociateKmsKey logs:ListTagsForResource logs:PutRetentionPolicy logs:TagResource "
                     "logs:UntagResource",
    }),
    "aws:kms/key:Key": ("kms/key.go", {
        "any": "kms:CreateKey",
        "new key": "kms:TagResource",
        "any key": "kms:DescribeKey kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListResourceTags",
        "key": "kms:DisableKeyRotation kms:EnableKeyRotation kms:PutKeyPolicy kms:ScheduleKeyDeletion kms:TagResource "
               "kms:UntagResource kms:UpdateKeyDescription",
        # AWS, CreateSecret and PutSecretValue, required permissions: the service asks KMS as the caller.
        "key through Secrets Manager": "kms:Decrypt kms:GenerateDataKey",
    }),
    "aws:kms/alias:Alias": ("kms/alias.go", {
        "any": "kms:ListAliases",
        "alias": "kms:CreateAlias kms:DeleteAlias kms:UpdateAlias",
        # Both the alias and its key are asked.
        "key": "kms:CreateAlias kms:DeleteAlias kms:UpdateAlias",
    }),
    "aws:lambda/function:Function": ("lambda/function.go", {
        "function": "lambda:CreateFunction lambda:DeleteFunction lambda:GetFunction lambda:GetFunctionCodeSigningConfig "
                    "lambda:GetFunctionConfiguration lambda:ListTags lambda:ListVersionsByFunction lambda:TagResource "
                    "lambda:UntagResource lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration",
        "passed role": "iam:PassRole",
        # AWS, "Giving Lambda functions access to resources in an Amazon VPC", user permissions.
        "any": "ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs",
    }),
    "aws:lambda/permission:Permission": ("lambda/permission.go", {
        "function": "lambda:AddPermission lambda:GetPolicy lambda:RemovePermission",
    }),
    "aws:sfn/stateMachine:StateMachine": ("sfn/state_machine.go", {
        "any": "states:ValidateStateMachineDefinition",
        "state machine": "states:CreateStateMachine states:DeleteStateMachine states:DescribeStateMachine "
                         "states:ListStateMachineVersions states:ListTagsForResource states:TagResource states:UntagResource "
                         "states:UpdateStateMachine",
        "passed role": "iam:PassRole",
    }),
    "aws:cloudwatch/eventRule:EventRule": ("events/rule.go", {
        "rule": "events:DeleteRule events:DescribeRule events:DisableRule events:EnableRule events:ListTagsForResource "
                "events:PutRule events:TagResource events:UntagResource",
    }),
    "aws:cloudwatch/eventTarget:EventTarget": ("events/target.go", {
        "rule": "events:ListTargetsByRule events:PutTargets events:RemoveTargets", "passed role": "iam:PassRole",
    }),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("cloudwatch/metric_alarm.go", {
        # A filter by name is no resource.
        "any alarm": "cloudwatch:DescribeAlarms",
        "alarm": "cloudwatch:DeleteAlarms cloudwatch:ListTagsForResource cloudwatch:PutMetricAlarm cloudwatch:TagResource "
                 "cloudwatch:UntagResource",
    }),
    "aws:scheduler/schedule:Schedule": ("scheduler/schedule.go", {
        "schedule": "scheduler:CreateSchedule scheduler:DeleteSchedule scheduler:GetSchedule scheduler:UpdateSchedule",
        "passed role": "iam:PassRole",
    }),
    "aws:sns/topic:Topic": ("sns/topic.go", {
        "topic": "sns:CreateTopic sns:DeleteTopic sns:GetTopicAttributes sns:ListTagsForResource sns:SetTopicAttributes "
                 "sns:TagResource sns:UntagResource",
    }),
    "aws:sns/topicPolicy:TopicPolicy": ("sns/topic_policy.go", {"topic": "sns:GetTopicAttributes sns:SetTopicAttributes"}),
    "aws:sns/topicSubscription:TopicSubscription": ("sns/topic_subscription.go", {
        "topic": "sns:ListSubscriptionsByTopic sns:Subscribe",
        "any": "sns:GetSubscriptionAttributes sns:SetSubscriptionAttributes sns:Unsubscribe",
    }),
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": ("logs/metric_filter.go", {
        "watched log group": "logs:DeleteMetricFilter logs:DescribeMetricFilters logs:PutMetricFilter",
    }),
    "aws:cloudwatch/dashboard:Dashboard": ("cloudwatch/dashboard.go", {
        "dashboard": "cloudwatch:DeleteDashboards cloudwatch:GetDashboard cloudwatch:PutDashboard",
    }),
    "aws:cloudtrail/trail:Trail": ("cloudtrail/trail.go", {
        "any": "cloudtrail:DescribeTrails",
        "trail": "cloudtrail:AddTags cloudtrail:CreateTrail cloudtrail:DeleteTrail cloudtrail:GetEventSelectors "
                 "cloudtrail:GetInsightSelectors cloudtrail:GetTrail cloudtrail:GetTrailStatus cloudtrail:ListTags "
                 "cloudtrail:PutEventSelectors cloudtrail:RemoveTags cloudtrail:StartLogging cloudtrail:StopLogging "
                 "cloudtrail:UpdateTrail",
        "passed role": "iam:PassRole",
    }),
    "aws:s3/bucket:Bucket": ("s3/bucket.go", {
        "trail bucket": "s3:CreateBucket s3:DeleteBucket s3:GetAccelerateConfiguration s3:GetBucketAcl s3:GetBucketCORS "
                        "s3:GetBucketLogging s3:GetBucketObjectLockConfiguration s3:GetBucketPolicy "
                        "s3:GetBucketRequestPayment s3:GetBucketTagging s3:GetBucketVersioning s3:GetBucketWebsite "
                        "s3:GetEncryptionConfiguration s3:GetLifecycleConfiguration s3:GetReplicationConfiguration "
                        "s3:ListBucket s3:ListBucketVersions s3:ListTagsForResource s3:PutBucketTagging s3:TagResource "
                        "s3:UntagResource",
        # A stack that is not protected is destroyed with its log files (forceDestroy).
        "trail file": "s3:DeleteObject s3:DeleteObjectVersion",
    }),
    "aws:s3/bucketPolicy:BucketPolicy": ("s3/bucket_policy.go", {
        "trail bucket": "s3:DeleteBucketPolicy s3:GetBucketPolicy s3:PutBucketPolicy",
    }),
    "aws:s3/bucketVersioning:BucketVersioning": ("s3/bucket_versioning.go", {
        "trail bucket": "s3:GetBucketVersioning s3:PutBucketVersioning",
    }),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("s3/bucket_public_access_block.go", {
        "trail bucket": "s3:GetBucketPublicAccessBlock s3:PutBucketPublicAccessBlock",
    }),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": ("s3/bucket_ownership_controls.go", {
        "trail bucket": "s3:GetBucketOwnershipControls s3:PutBucketOwnershipControls",
    }),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ("s3/bucket_lifecycle_configuration.go", {
        "trail bucket": "s3:GetLifecycleConfiguration s3:PutLifecycleConfiguration",
    }),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "s3/bucket_server_side_encryption_configuration.go",
        {"trail bucket": "s3:GetEncryptionConfiguration s3:PutEncryptionConfiguration"},
    ),
}  # fmt: skip
"""By resource type: the file upstream, and by what is acted on the IAM actions of create, read, update and delete."""

_ALWAYS = (
    *(token for token in CALLS if token.startswith(("aws:iam/", "aws:ecs/", "aws:secretsmanager/secret:"))),
    "aws:secretsmanager/secretVersion:SecretVersion",
    "aws:secretsmanager/secretPolicy:SecretPolicy",
    "aws:cloudwatch/logGroup:LogGroup",
)
_NOTICES = (
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
)
_OF_FEATURE: Mapping[Feature, tuple[str, ...]] = {
    "encryption": tuple(token for token in CALLS if token.startswith("aws:kms/")),
    "rotation": (
        *(token for token in CALLS if token.startswith("aws:lambda/")),
        "aws:secretsmanager/secretRotation:SecretRotation",
    ),
    "redeploy": ("aws:sfn/stateMachine:StateMachine", *_NOTICES),
    "reminder": ("aws:scheduler/schedule:Schedule",),
    "audit": (
        *(token for token in CALLS if token.startswith("aws:sns/")),
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        "aws:cloudwatch/dashboard:Dashboard",
        *_NOTICES,
    ),
    "trail": tuple(token for token in CALLS if token.startswith(("aws:cloudtrail/", "aws:s3/"))),
}
_PASSED_TO: Mapping[Feature, tuple[str, ...]] = {
    "rotation": ("lambda.amazonaws.com",),
    "redeploy": ("states.amazonaws.com", "events.amazonaws.com"),
    "reminder": ("scheduler.amazonaws.com",),
    "trail": ("cloudtrail.amazonaws.com",),
}

_EXAMPLE = "repo:example/tickets:environment:prod"


@dataclass(frozen=True)
class Deployment:
    """One stack, as far as the rights to deploy it depend on it.

    Attributes:
        names: The stack's names.
        location: Its account and Region.
        features: What its configuration switches on.
        state_bucket: Name of the bucket that holds its state.
        config_key_arn: ARN of the KMS key that encrypts its configuration's secrets.
        key_tags: The tags by which the stack's own key is known: the provider's default tags. A key's ARN is unknown before it
            exists, and its alias goes before it does.
        adopted_arns: Secrets of the stack that have other names.
        watched_log_group: Log group of an organisation's trail that the alarms read, "" for the stack's own.
    """

    names: Names
    location: Location
    features: frozenset[Feature]
    state_bucket: str
    config_key_arn: str
    key_tags: Mapping[str, str]
    adopted_arns: tuple[str, ...] = ()
    watched_log_group: str = ""

    @property
    def deployer(self) -> str:
        """The deployer's role. Without a hyphen after the project's name, it is never one of the stack's own."""
        return f"{self.names.project}-deployer"

    @property
    def previewer(self) -> str:
        """The previewer's role."""
        return f"{self.names.project}-previewer"

    @property
    def boundary_arn(self) -> str:
        """The managed policy that bounds every role of the stack."""
        return f"arn:{self.location.partition}:iam::{self.location.account_id}:policy/{self.names.project}-boundary"

    @property
    def types(self) -> tuple[str, ...]:
        """The resource types that the stack has, in the table's order."""
        wanted = {*_ALWAYS, *(token for feature in self.features for token in _OF_FEATURE[feature])}
        return tuple(token for token in CALLS if token in wanted)


def deployer_statements(stack: Deployment) -> tuple[Statement, ...]:
    """Return everything that the deployer may do, one statement for each thing that is acted on."""
    actions: dict[str, set[str]] = {}
    for token in stack.types:
        for scope, calls in CALLS[token][1].items():
            actions.setdefault(scope, set()).update(calls.split())
    scopes = _scopes(stack)
    table = [_allow(scope, sorted(found), *scopes[scope]) for scope, found in sorted(actions.items())]
    return (*table, *_state(stack, write=True))


def previewer_statements(stack: Deployment) -> tuple[Statement, ...]:
    """Return everything that the previewer may do: read the state, decrypt the configuration, validate a definition.

    The state holds every value that Pulumi generated or was given, encrypted with the configuration's key: whoever runs code as
    the previewer can read those. In Secrets Manager it reads no value, so what a rotation or an operator set since stays hidden.
    """
    asked = [_allow("any", ["states:ValidateStateMachineDefinition"], ["*"])] if "redeploy" in stack.features else []
    # Before a value is put, the program asks which version is live; only the deployer may then look at a foreign one.
    versions = _allow("list versions", ["secretsmanager:ListSecretVersionIds"], _secrets(stack))
    return (*asked, versions, *_state(stack, write=False))


def managed_policies(statements: Sequence[Statement]) -> tuple[str, ...]:
    """Return the statements as managed policies, each as full as IAM takes.

    Raises:
        PolicyError: When one statement alone is longer than a managed policy.
    """
    policies: list[list[Statement]] = [[]]
    for statement in statements:
        if len(document([statement])) > MANAGED_POLICY_CHARACTERS:
            raise PolicyError(
                f"{statement['Sid']} is longer than {MANAGED_POLICY_CHARACTERS:,} characters: adopt fewer secrets"
            )
        if len(document([*policies[-1], statement])) > MANAGED_POLICY_CHARACTERS:
            policies.append([])
        policies[-1].append(statement)
    return tuple(map(document, policies))


def boundary(stack: Deployment, *, readable_arns: Iterable[str] = (), application_actions: Iterable[str] = ()) -> str:
    """Return the boundary: the most that any role of the stack can do, whatever policies the deployer gives it.

    Args:
        stack: The stack.
        readable_arns: Secrets of others that its services read.
        application_actions: What the running application does at AWS by itself, such as `s3:GetObject`.

    Raises:
        PolicyError: When an action of the application's would let a role reach beyond its boundary.
    """
    location, prefix = stack.location, stack.names.prefix
    own = sorted(application_actions)
    for action in own:
        if not re.fullmatch(r"[a-z0-9-]+:[A-Z][A-Za-z]+", action) or action.startswith(
            ("iam:", "sts:", "organizations:")
        ):
            raise PolicyError(
                f"{action!r} can't be an application's action: name one action, none of iam, sts, organizations"
            )
    secrets = [*_secrets(stack), *sorted(set(readable_arns))]
    change = ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
    read = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    through = {"StringLike": {"kms:ViaService": [f"{service}.*" for service in ("secretsmanager", "sns")]}}
    statements = [
        _allow("read secrets", read, secrets),
        _allow("start tasks", [
            "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer",
        ], ["*"]),
        _allow("write logs", ["logs:CreateLogStream", "logs:PutLogEvents"], _log_groups(stack)),
        _allow("use keys", ["kms:Decrypt", "kms:GenerateDataKey"], ["*"], through),
    ]  # fmt: skip
    if "rotation" in stack.features:
        interfaces = ["AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface"]
        interfaces += ["DescribeNetworkInterfaces", "DescribeSubnets", "UnassignPrivateIpAddresses"]
        statements += [
            _allow("rotate secrets", change, _secrets(stack)),
            _allow(
                "rotate in VPC", ["secretsmanager:GetRandomPassword", *(f"ec2:{name}" for name in interfaces)], ["*"]
            ),
        ]
    if "redeploy" in stack.features:
        statements += [
            _allow(
                "start redeployment",
                ["states:ListExecutions", "states:StartExecution"],
                _scopes(stack)["state machine"][0],
            ),
            _allow("redeploy", ["ecs:UpdateService"], [location.arn("ecs", "service/*")]),
        ]
    if "reminder" in stack.features:
        statements.append(_allow("publish", ["sns:Publish"], [location.arn("sns", f"{prefix}-*")]))
    if own:
        statements.append(_allow("application", own, ["*"]))
    policy = document(statements)
    if len(policy) > MANAGED_POLICY_CHARACTERS:
        raise PolicyError(
            f"the boundary is longer than {MANAGED_POLICY_CHARACTERS:,} characters: name fewer secrets and actions"
        )
    return policy


def federated_trust(
    provider_arn: str, *, audience: str, subjects: Sequence[str], principals: Sequence[str] = (), patterns: bool = False
) -> str:
    """Return the trust policy of a role that a pipeline assumes by OpenID Connect.

    Args:
        provider_arn: ARN of the account's identity provider; it ends in the issuer, without `https://`.
        audience: The token's `aud`, `sts.amazonaws.com` for AWS's own action.
        subjects: The tokens' `sub`, such as `repo:example/tickets:environment:prod`.
        principals: ARNs of roles or users that may assume it as well.
        patterns: Whether `*` in a subject, behind the repository's name, stands for any characters: for the previewer, whose
            branches have any name. Never for the deployer: a pull request would have a fitting subject as well.

    Raises:
        PolicyError: Without subject, or with one that any repository of the issuer could have.

    Sources: GitHub, "OpenID Connect reference", example subject claims; GitLab, "OpenID Connect (OIDC) Authentication Using ID
    Tokens", `sub`; AWS, "Create a role for OpenID Connect federation".
    """
    _, found, issuer = provider_arn.partition(":oidc-provider/")
    if not found or not issuer:
        raise PolicyError(f"{provider_arn!r} is no OpenID Connect provider's ARN")
    if not audience or "*" in audience:
        raise PolicyError(f"the audience of {issuer} is {audience!r}: name one, such as sts.amazonaws.com")
    if not subjects:
        raise PolicyError(f"{issuer} has no subjects: any repository there could assume the role")
    for subject in subjects:
        if ("*" in subject or "?" in subject) and not patterns:
            raise PolicyError(f"{subject!r} is a pattern: whoever deploys is named exactly, such as {_EXAMPLE}")
        if not re.fullmatch(r"[a-z_]+:[^*?/:]+/[^*?:]+:.+", subject):
            raise PolicyError(
                f"{subject!r} is a subject that other repositories have, too: begin with the whole name of one repository, "
                f"such as {_EXAMPLE}"
            )
    plain = not any("*" in subject or "?" in subject for subject in subjects)
    operator = "StringEquals" if plain else "StringLike"
    statements: list[Statement] = [
        {
            "Sid": "ByPipeline",
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": _merged(
                {"StringEquals": {f"{issuer}:aud": audience}}, {operator: {f"{issuer}:sub": sorted(subjects)}}
            ),
        }
    ]
    if principals:
        wrong = [
            arn for arn in principals if not re.fullmatch(r"arn:[a-z-]+:iam::\d{12}:(role|user)/[\w+=,.@/-]+", arn)
        ]
        if wrong:
            raise PolicyError(f"{wrong[0]!r} is not the ARN of a role or user")
        named = {"AWS": sorted(principals)}
        statements.append({"Sid": "ByPeople", "Effect": "Allow", "Principal": named, "Action": "sts:AssumeRole"})
    return document(statements)


def _merged(*conditions: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    merged: dict[str, dict[str, object]] = {}
    for condition in conditions:
        for operator, keys in condition.items():
            merged.setdefault(operator, {}).update(keys)
    return merged


def _secrets(stack: Deployment) -> list[str]:
    own = stack.location.arn("secretsmanager", f"secret:{stack.names.prefix}-*")
    return [own, *sorted(stack.adopted_arns)]


def _log_groups(stack: Deployment) -> list[str]:
    group, names = stack.location.log_group_arn, stack.names
    found = [group(f"/ecs/{names.prefix}-*")]
    if "rotation" in stack.features:
        found.append(group(f"{names.rotation_log_group}*"))
    if "trail" in stack.features:
        found += [group(AuditNames(names.prefix, stack.location).log_group + end) for end in ("", ":*")]
    return found


def _scopes(stack: Deployment) -> Mapping[str, tuple[list[str], Mapping[str, Mapping[str, object]]]]:
    """Return by what is acted on: ARNs and condition. An ARN holds the stack's own name wherever AWS knows the resource."""
    location, names = stack.location, stack.names
    arn, prefix = location.arn, names.prefix
    partition, account = location.partition, location.account_id
    audit = AuditNames(prefix, location)
    roles = [location.role_arn(f"{prefix}-*")]
    policies = [f"arn:{partition}:iam::{account}:policy/{prefix}-*"]
    bounded = {"StringEquals": {"iam:PermissionsBoundary": stack.boundary_arn}}
    services = sorted({"ecs-tasks.amazonaws.com", *(to for f in stack.features for to in _PASSED_TO.get(f, ()))})
    keys = [arn("kms", "key/*")]
    tags = sorted(stack.key_tags.items())
    own_key = {"StringEquals": {f"aws:ResourceTag/{key}": value for key, value in tags}}
    # A key is tagged as it is made: it has none of these tags before, and gets them all.
    new_key: dict[str, dict[str, object]] = {
        "StringEquals": {f"aws:RequestTag/{key}": value for key, value in tags},
        "Null": {f"aws:ResourceTag/{key}": "true" for key, _ in tags},
    }
    bucket = f"arn:{partition}:s3:::{audit.bucket}"
    watched = [location.log_group_arn(f"{stack.watched_log_group or audit.log_group}{end}") for end in ("", ":*")]
    through = {"StringEquals": {"kms:ViaService": f"secretsmanager.{location.region}.{location.dns_suffix}"}}
    return {
        "any": (["*"], {}),
        "role": (roles, {}),
        "bounded role": (roles, bounded),
        "attachment": (roles, {**bounded, "ArnLike": {"iam:PolicyARN": policies}}),
        "passed role": (roles, {"StringEquals": {"iam:PassedToService": services}}),
        "policy": (policies, {}),
        "secret": (_secrets(stack), {}),
        "task definition": ([arn("ecs", f"task-definition/{prefix}-*")], {}),
        "any log group": ([location.log_group_arn("*")], {}),
        "log group": (_log_groups(stack), {}),
        "watched log group": (watched, {}),
        "any key": (keys, {}),
        "key": (keys, own_key),
        "new key": (keys, new_key),
        "key through Secrets Manager": (keys, through),
        "alias": ([arn("kms", f"alias/{prefix}")], {}),
        "function": ([arn("lambda", f"function:{names.rotation}"), arn("lambda", f"function:{names.rotation}:*")], {}),
        "state machine": ([arn("states", f"stateMachine:{prefix}-*")], {}),
        "rule": ([arn("events", f"rule/{prefix}-*")], {}),
        "any alarm": ([arn("cloudwatch", "alarm:*")], {}),
        "alarm": ([arn("cloudwatch", f"alarm:{prefix}-*")], {}),
        "schedule": ([arn("scheduler", f"schedule/default/{names.reminder}")], {}),
        "topic": ([audit.topic_arn], {}),
        "dashboard": ([f"arn:{partition}:cloudwatch::{account}:dashboard/{audit.dashboard}"], {}),
        "trail": ([audit.trail_arn], {}),
        "trail bucket": ([bucket], {}),
        "trail file": ([f"{bucket}/*"], {}),
    }


def _state(stack: Deployment, *, write: bool) -> tuple[Statement, ...]:
    """Return the rights to one stack's files in the state's bucket, and to decrypt its configuration.

    A preview takes no lock and writes nothing (`backend.go`). The key's own encryption of the files is S3's.
    """
    bucket = f"arn:{stack.location.partition}:s3:::{stack.state_bucket}"
    project, name = stack.names.project, stack.names.stack
    files = [f"{bucket}/.pulumi/{kind}/{project}/{name}/*" for kind in ("history", "backups")]
    files += [
        f"{bucket}/.pulumi/stacks/{project}/{name}.json*",
        f"{bucket}/.pulumi/locks/organization/{project}/{name}/*",
    ]
    meta = f"{bucket}/.pulumi/meta.yaml"
    # The CLI lists the bucket's folders of all stacks: names, no content.
    statements = [
        _allow("list state", ["s3:ListBucket"], [bucket]),
        _allow("read state", ["s3:GetObject"], [*files, meta]),
        _allow("decrypt configuration", ["kms:Decrypt"], [stack.config_key_arn]),
    ]
    if write:
        statements.append(_allow("write state", ["s3:DeleteObject", "s3:PutObject"], files))
    return tuple(statements)


def _allow(
    purpose: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, Mapping[str, object]] | None = None,
) -> Statement:
    sid = "".join(word[0].upper() + word[1:] for word in purpose.split())
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return statement | ({"Condition": condition} if condition else {})
