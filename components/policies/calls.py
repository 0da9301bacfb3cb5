"""The AWS calls of the official plugin and of the operator's review, by resource type and by target. Only data.

Sources: terraform-provider-aws 6, `internal/service/…`, as in the table; AWS, "Service Authorization Reference".
"""

from collections.abc import Mapping
from typing import Literal

Feature = Literal["encryption", "rotation", "redeploy", "audit", "trail"]
"""The features that a stack's configuration turns on."""

CALLS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "aws:iam/role:Role": ("iam/role.go, 6 (2026)", {
        "bounded role": "iam:CreateRole iam:DeleteRole iam:DeleteRolePolicy iam:DetachRolePolicy "
                        "iam:PutRolePermissionsBoundary iam:UpdateAssumeRolePolicy iam:UpdateRole iam:UpdateRoleDescription",
        # None of these actions supports the condition key for a role's boundary.
        "role": "iam:GetRole iam:GetRolePolicy iam:ListAttachedRolePolicies iam:ListInstanceProfilesForRole "
                "iam:ListRolePolicies iam:ListRoleTags iam:TagRole iam:UntagRole",
    }),
    "aws:iam/rolePolicy:RolePolicy": ("iam/role_policy.go, 6 (2026)", {
        "bounded role": "iam:DeleteRolePolicy iam:PutRolePolicy", "role": "iam:GetRolePolicy",
    }),
    "aws:iam/policy:Policy": ("iam/policy.go, 6 (2026)", {
        "policy": "iam:CreatePolicy iam:CreatePolicyVersion iam:DeletePolicy iam:DeletePolicyVersion iam:GetPolicy "
                  "iam:GetPolicyVersion iam:ListPolicyTags iam:ListPolicyVersions iam:TagPolicy iam:UntagPolicy",
    }),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("iam/role_policy_attachment.go, 6 (2025)", {
        "attachment": "iam:AttachRolePolicy", "bounded role": "iam:DetachRolePolicy", "role": "iam:ListAttachedRolePolicies",
    }),
    "aws:secretsmanager/secret:Secret": ("secretsmanager/secret.go, 6 (2026)", {
        "secret": "secretsmanager:CreateSecret secretsmanager:DeleteSecret secretsmanager:DescribeSecret "
                  "secretsmanager:GetResourcePolicy secretsmanager:RemoveRegionsFromReplication "
                  "secretsmanager:ReplicateSecretToRegions secretsmanager:TagResource secretsmanager:UntagResource "
                  "secretsmanager:UpdateSecret",
    }),
    "aws:secretsmanager/secretVersion:SecretVersion": ("secretsmanager/secret_version.go, 6 (2026)", {
        "secret": "secretsmanager:GetSecretValue secretsmanager:ListSecretVersionIds secretsmanager:PutSecretValue "
                  "secretsmanager:UpdateSecretVersionStage",
    }),
    "aws:secretsmanager/secretPolicy:SecretPolicy": ("secretsmanager/secret_policy.go, 6 (2025)", {
        "secret": "secretsmanager:DeleteResourcePolicy secretsmanager:GetResourcePolicy secretsmanager:PutResourcePolicy "
                  "secretsmanager:ValidateResourcePolicy",
    }),
    "aws:secretsmanager/secretRotation:SecretRotation": ("secretsmanager/secret_rotation.go, 6 (2026)", {
        "secret": "secretsmanager:CancelRotateSecret secretsmanager:DescribeSecret secretsmanager:RotateSecret",
        # AWS, RotateSecret, required permissions.
        "function": "lambda:InvokeFunction",
    }),
    "aws:ecs/taskDefinition:TaskDefinition": ("ecs/task_definition.go, 6 (2026)", {
        # Never DeregisterTaskDefinition: skip_destroy is set, because services can still run a revision.
        "any": "ecs:DescribeTaskDefinition",
        "task definition": "ecs:ListTagsForResource ecs:RegisterTaskDefinition ecs:TagResource ecs:UntagResource",
        "passed role": "iam:PassRole",
    }),
    "aws:cloudwatch/logGroup:LogGroup": ("logs/group.go, 6 (2026)", {
        "any log group": "logs:DescribeLogGroups",
        "log group": "logs:AssociateKmsKey logs:CreateLogGroup logs:DeleteLogGroup logs:DeleteRetentionPolicy "
                     "logs:DisassociateKmsKey logs:ListTagsForResource logs:PutRetentionPolicy logs:TagResource "
                     "logs:UntagResource",
    }),
    "aws:kms/key:Key": ("kms/key.go, 6 (2026)", {
        "new key": "kms:CreateKey",
        "new key tags": "kms:TagResource",
        "any key": "kms:DescribeKey kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListResourceTags",
        "own key": "kms:DisableKeyRotation kms:EnableKeyRotation kms:PutKeyPolicy kms:ScheduleKeyDeletion kms:TagResource "
                   "kms:UntagResource kms:UpdateKeyDescription",
    }),
    "aws:kms/alias:Alias": ("kms/alias.go, 5", {
        "any": "kms:ListAliases",
        "alias": "kms:CreateAlias kms:DeleteAlias kms:UpdateAlias",
        # Both the alias and its key are authorized.
        "own key": "kms:CreateAlias kms:DeleteAlias kms:UpdateAlias",
    }),
    "aws:lambda/function:Function": ("lambda/function.go, 6 (2025)", {
        "function": "lambda:CreateFunction lambda:DeleteFunction lambda:GetFunction lambda:GetFunctionCodeSigningConfig "
                    "lambda:GetFunctionConfiguration lambda:ListTags lambda:ListVersionsByFunction lambda:TagResource "
                    "lambda:UntagResource lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration",
        "passed role": "iam:PassRole",
        # AWS, "Giving Lambda functions access to resources in an Amazon VPC", user permissions.
        "any": "ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs",
    }),
    "aws:lambda/permission:Permission": ("lambda/permission.go, 6 (2026)", {
        "function": "lambda:AddPermission lambda:GetPolicy lambda:RemovePermission",
    }),
    "aws:sfn/stateMachine:StateMachine": ("sfn/state_machine.go, 6 (2025)", {
        "any": "states:ValidateStateMachineDefinition",
        "state machine": "states:CreateStateMachine states:DeleteStateMachine states:DescribeStateMachine "
                         "states:ListStateMachineVersions states:ListTagsForResource states:TagResource states:UntagResource "
                         "states:UpdateStateMachine",
        "passed role": "iam:PassRole",
        # The program reads the service's deployment controller (ecs/service_data_source.go, 6).
        "any service": "ecs:DescribeServices",
    }),
    "aws:cloudwatch/eventRule:EventRule": ("events/rule.go, 6", {
        "rule": "events:DeleteRule events:DescribeRule events:DisableRule events:EnableRule events:ListTagsForResource "
                "events:PutRule events:TagResource events:UntagResource",
    }),
    "aws:cloudwatch/eventTarget:EventTarget": ("events/target.go, 5", {
        "rule": "events:ListTargetsByRule events:PutTargets events:RemoveTargets", "passed role": "iam:PassRole",
    }),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("cloudwatch/metric_alarm.go, 6 (2026)", {
        # A filter by name is not a resource.
        "any alarm": "cloudwatch:DescribeAlarms",
        "alarm": "cloudwatch:DeleteAlarms cloudwatch:ListTagsForResource cloudwatch:PutMetricAlarm cloudwatch:TagResource "
                 "cloudwatch:UntagResource",
    }),
    "aws:sns/topic:Topic": ("sns/topic.go, 6", {
        "topic": "sns:CreateTopic sns:DeleteTopic sns:GetTopicAttributes sns:ListTagsForResource sns:SetTopicAttributes "
                 "sns:TagResource sns:UntagResource",
    }),
    "aws:sns/topicPolicy:TopicPolicy": ("sns/topic_policy.go, 6 (2026)", {
        "topic": "sns:GetTopicAttributes sns:SetTopicAttributes",
    }),
    "aws:sns/topicSubscription:TopicSubscription": ("sns/topic_subscription.go, 6", {
        "topic": "sns:ListSubscriptionsByTopic sns:Subscribe",
        # Never SetSubscriptionAttributes: every change here replaces the subscription.
        "any subscription": "sns:GetSubscriptionAttributes sns:Unsubscribe",
    }),
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": ("logs/metric_filter.go, 6 (2026)", {
        "watched log group": "logs:DeleteMetricFilter logs:DescribeMetricFilters logs:PutMetricFilter",
    }),
    "aws:cloudwatch/dashboard:Dashboard": ("cloudwatch/dashboard.go, 6 (2026)", {
        "dashboard": "cloudwatch:DeleteDashboards cloudwatch:GetDashboard cloudwatch:PutDashboard",
    }),
    "aws:cloudtrail/trail:Trail": ("cloudtrail/trail.go, 6 (2025)", {
        "any": "cloudtrail:DescribeTrails",
        "trail": "cloudtrail:AddTags cloudtrail:CreateTrail cloudtrail:DeleteTrail cloudtrail:GetEventSelectors "
                 "cloudtrail:GetInsightSelectors cloudtrail:GetTrail cloudtrail:GetTrailStatus cloudtrail:ListTags "
                 "cloudtrail:PutEventSelectors cloudtrail:RemoveTags cloudtrail:StartLogging cloudtrail:StopLogging "
                 "cloudtrail:UpdateTrail",
        "passed role": "iam:PassRole",
    }),
    "aws:s3/bucket:Bucket": ("s3/bucket.go, 6 (2026)", {
        "trail bucket": "s3:CreateBucket s3:DeleteBucket s3:GetAccelerateConfiguration s3:GetBucketAcl s3:GetBucketCORS "
                        "s3:GetBucketLogging s3:GetBucketObjectLockConfiguration s3:GetBucketPolicy "
                        "s3:GetBucketRequestPayment s3:GetBucketTagging s3:GetBucketVersioning s3:GetBucketWebsite "
                        "s3:GetEncryptionConfiguration s3:GetLifecycleConfiguration s3:GetReplicationConfiguration "
                        "s3:ListBucket s3:ListBucketVersions s3:ListTagsForResource s3:PutBucketTagging s3:TagResource "
                        "s3:UntagResource",
        # A stack that is not protected is destroyed with its log files (forceDestroy).
        "trail file": "s3:DeleteObject s3:DeleteObjectVersion",
    }),
    "aws:s3/bucketPolicy:BucketPolicy": ("s3/bucket_policy.go, 6 (2026)", {
        "trail bucket": "s3:DeleteBucketPolicy s3:GetBucketPolicy s3:PutBucketPolicy",
    }),
    "aws:s3/bucketVersioning:BucketVersioning": ("s3/bucket_versioning.go, 5", {
        "trail bucket": "s3:GetBucketVersioning s3:PutBucketVersioning",
    }),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("s3/bucket_public_access_block.go, 6", {
        "trail bucket": "s3:GetBucketPublicAccessBlock s3:PutBucketPublicAccessBlock",
    }),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": ("s3/bucket_ownership_controls.go, 6 (2026)", {
        "trail bucket": "s3:GetBucketOwnershipControls s3:PutBucketOwnershipControls",
    }),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ("s3/bucket_lifecycle_configuration.go, 6 (2026)", {
        "trail bucket": "s3:GetLifecycleConfiguration s3:PutLifecycleConfiguration",
    }),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "s3/bucket_server_side_encryption_configuration.go, 6 (2026)",
        {"trail bucket": "s3:GetEncryptionConfiguration s3:PutEncryptionConfiguration"},
    ),
}  # fmt: skip
"""By resource type: the upstream file with its version, as in sandbox/README.md, and by target the IAM actions of create, read,
update and delete."""

BY_KEY_POLICY = "own key"
"""The deployer's rights that only the policy of the stack's own key grants, and no identity policy.

A key has no name, and a tag or an alias can take five minutes to take effect (AWS KMS, "ABAC for AWS KMS"). A key policy
applies from the key's creation.
"""

ADMINISTER_KEY = tuple(sorted({
    call for _, scopes in CALLS.values() for call in scopes.get(BY_KEY_POLICY, "").split()
}))  # fmt: skip
"""The calls that create, change and delete the stack's own key and its alias."""

USE_KEY = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
"""The KMS calls of Secrets Manager as the caller, for a customer-managed key.

Without kms:Encrypt, a secret that changes its key silently keeps its values under the former one. Sources: AWS, Secrets Manager
API, CreateSecret, PutSecretValue, UpdateSecret and ReplicateSecretToRegions, required permissions.
"""

ALWAYS = (
    *(token for token in CALLS if token.startswith(("aws:iam/", "aws:ecs/", "aws:secretsmanager/secret:"))),
    "aws:secretsmanager/secretVersion:SecretVersion",
    "aws:secretsmanager/secretPolicy:SecretPolicy",
    "aws:cloudwatch/logGroup:LogGroup",
)
NOTICES = (
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
)
OF_FEATURE: Mapping[Feature, tuple[str, ...]] = {
    "encryption": tuple(token for token in CALLS if token.startswith("aws:kms/")),
    "rotation": (
        *(token for token in CALLS if token.startswith("aws:lambda/")),
        "aws:secretsmanager/secretRotation:SecretRotation",
    ),
    "redeploy": ("aws:sfn/stateMachine:StateMachine", *NOTICES),
    "audit": (
        *(token for token in CALLS if token.startswith("aws:sns/")),
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        "aws:cloudwatch/dashboard:Dashboard",
        "aws:cloudwatch/metricAlarm:MetricAlarm",
    ),
    "trail": tuple(token for token in CALLS if token.startswith(("aws:cloudtrail/", "aws:s3/"))),
}
PASSED_TO: Mapping[Feature, tuple[str, ...]] = {
    "rotation": ("lambda.amazonaws.com",),
    "redeploy": ("states.amazonaws.com", "events.amazonaws.com"),
    "trail": ("cloudtrail.amazonaws.com",),
}

REVIEW: Mapping[Feature | Literal[""], Mapping[str, str]] = {
    "": {
        "any": "cloudtrail:DescribeTrails cloudtrail:LookupEvents cloudwatch:ListDashboards ecs:DescribeTaskDefinition "
               "ec2:DescribeInternetGateways ec2:DescribeNatGateways ec2:DescribeNetworkAcls ec2:DescribePrefixLists "
               "ec2:DescribeRouteTables ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcAttribute "
               "ec2:DescribeVpcEndpoints ecs:ListClusters ecs:ListServices ecs:ListTasks iam:ListRoles "
               "events:ListRules elasticache:DescribeReplicationGroups logs:GetQueryResults rds:DescribeDBClusters "
               "secretsmanager:ListSecrets",
        "any alarm": "cloudwatch:DescribeAlarms",
        "any log group": "logs:DescribeLogGroups logs:DescribeMetricFilters",
        "any key": "kms:DescribeKey kms:GetKeyPolicy kms:ListGrants",
        "any image": "ecr:BatchGetImage ecr:DescribeImages ecr:GetRepositoryPolicy",
        "any service": "ecs:DescribeServices",
        "any task": "ecs:DescribeTasks",
        "every role": "iam:GetRole iam:GetRolePolicy iam:ListAttachedRolePolicies iam:ListRolePolicies "
                      "iam:SimulatePrincipalPolicy",
        "every policy": "iam:GetPolicy iam:GetPolicyVersion",
        "state bucket": "s3:GetBucketPolicy",
        "every secret": "secretsmanager:DescribeSecret secretsmanager:GetResourcePolicy",
        # The report calls these with and without an own trail.
        "watched log group": "logs:StartQuery",
    },
    "audit": {"topic": "sns:ListSubscriptionsByTopic"},
    "trail": {"trail": "cloudtrail:GetTrailStatus"},
    "rotation": {"function": "lambda:GetFunction lambda:GetFunctionConfiguration lambda:GetPolicy"},
}  # fmt: skip
"""By feature, "" for every stack: the calls of `ops doctor --no-values`, `ops access` and `ops report`. A test records them."""

REFERENCE = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_"
"""Service Authorization Reference: a page for each service, with the IAM actions that each of its API operations authorizes."""

DEPENDENT: Mapping[str, tuple[str, str, str]] = {
    "cloudtrail:CreateTrail": ("cloudtrail:AddTags iam:PassRole", "with tags; with a role for CloudWatch Logs", "cloudtrail"),
    "cloudtrail:UpdateTrail": ("iam:PassRole", "with a role for CloudWatch Logs", "cloudtrail"),
    "cloudwatch:PutMetricAlarm": ("cloudwatch:TagResource", "with tags", "cloudwatch"),
    "ecs:RegisterTaskDefinition": ("ecs:TagResource iam:PassRole", "with tags; with roles", "ecs"),
    "ecs:UpdateService": ("iam:PassRole", "with a task definition that names roles", "ecs"),
    "events:PutRule": ("events:TagResource", "with tags", "events"),
    "events:PutTargets": ("iam:PassRole", "with a role", "events"),
    "iam:CreatePolicy": ("iam:TagPolicy", "with tags", "iam"),
    "iam:CreateRole": ("iam:TagRole", "with tags", "iam"),
    "kms:CreateKey": ("kms:TagResource", "with tags", "kms"),
    "lambda:CreateFunction": ("iam:PassRole lambda:TagResource", "always; with tags", "lambda"),
    "lambda:UpdateFunctionConfiguration": ("iam:PassRole", "with a role", "lambda"),
    "logs:CreateLogGroup": ("logs:TagResource", "with tags", "logs"),
    "s3:CreateBucket": ("s3:TagResource", "with tags", "s3"),
    "secretsmanager:CreateSecret": (
        "kms:Decrypt kms:GenerateDataKey secretsmanager:ReplicateSecretToRegions secretsmanager:TagResource",
        "under a customer-managed key; with replicas; with tags", "secretsmanager",
    ),
    "secretsmanager:GetSecretValue": ("kms:Decrypt", "under a customer-managed key", "secretsmanager"),
    "secretsmanager:PutSecretValue": (
        "kms:Decrypt kms:GenerateDataKey", "under a customer-managed key", "secretsmanager",
    ),
    "secretsmanager:ReplicateSecretToRegions": (
        "kms:Decrypt kms:Encrypt kms:GenerateDataKey", "under customer-managed keys", "secretsmanager",
    ),
    "secretsmanager:RotateSecret": ("lambda:InvokeFunction", "with a function", "secretsmanager"),
    "secretsmanager:UpdateSecret": (
        "kms:Decrypt kms:Encrypt kms:GenerateDataKey", "under a customer-managed key", "secretsmanager",
    ),
    "sns:CreateTopic": ("sns:TagResource", "with tags", "sns"),
    "states:CreateStateMachine": ("iam:PassRole states:TagResource", "always; with tags", "states"),
    "states:UpdateStateMachine": ("iam:PassRole", "with a role", "states"),
}  # fmt: skip
"""By action: the actions that AWS also authorizes, when it does so, and the page of `REFERENCE`. It has every call of the
deployer and of the program's roles.

Sources beside it: AWS, Secrets Manager API, required permissions of each operation; AWS, "Pass a role to a service"; tags when a
resource is created need the right to tag (IAM User Guide, "Controlling access to AWS resources using tags").
"""
