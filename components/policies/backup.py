"""The least rights for the regular backup: to create it, store it and open it. Pure functions.

Sources: AWS, "Permissions for AWS Secrets Manager", "Using S3 Object Lock", "AWS KMS condition keys"; AWS Encryption SDK,
"Required AWS KMS permissions" (GenerateDataKey, and Encrypt for each further key).
"""

from collections.abc import Sequence

from components.location import Location
from components.policies.deployer import Deployment
from components.policies.identity import Statement, allow, bucket_requires_tls, document, of_resource

# The account's administrators manage the key, but can't open a backup. Without CreateGrant, which would allow it.
_ADMINISTRATION = [
    "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:EnableKey",
    "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListKeyPolicies",
    "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource",
    "kms:UpdateAlias", "kms:UpdateKeyDescription",
]  # fmt: skip


def role_name(stack: Deployment) -> str:
    """Return the name of the role that backs up a stack. Like the pipeline's roles, it is never one of the stack's own."""
    return f"{stack.names.project}-backup"


def bucket_name(stack: Deployment) -> str:
    """Return the name of the bucket that the backups go to."""
    return f"{stack.names.project}-backups-{stack.location.account_id}-{stack.location.region}"


def key_alias(stack: Deployment) -> str:
    """Return the alias of the key that encrypts the backups."""
    return f"alias/{stack.names.project}-backups"


def backup_statements(stack: Deployment, *, key_arn: str) -> tuple[Statement, ...]:
    """Return all rights of the backup's role: it reads every secret of one stack, and writes to one folder.

    It can't read or delete a backup, or read the state: the reviewer provides the stack's outputs.

    Args:
        stack: The stack.
        key_arn: ARN of the key that encrypts the backup.
    """
    location, partition = stack.location, stack.location.partition
    # AWS ends each ARN with a hyphen and six characters.
    secrets = [location.arn("secretsmanager", f"secret:{stack.names.prefix}-*"), *sorted(stack.adopted_arns)]
    return (
        allow("ListSecrets", ["secretsmanager:ListSecrets"], ["*"]),
        allow(
            "ReadSecrets",
            [
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetResourcePolicy",
                "secretsmanager:GetSecretValue",
                "secretsmanager:ListSecretVersionIds",
            ],
            secrets,
        ),
        allow(
            "DecryptSecrets",
            ["kms:Decrypt"],
            [location.arn("kms", "key/*")],
            {
                "StringEquals": {"kms:ViaService": location.endpoint("secretsmanager")},
                "StringLike": {"kms:EncryptionContext:SecretARN": secrets},
            },
        ),
        allow("FindBackupKey", ["kms:DescribeKey"], [key_arn]),
        allow(
            "EncryptBackup",
            ["kms:Encrypt", "kms:GenerateDataKey"],
            [key_arn],
            {"StringEquals": {"kms:EncryptionContext:stack": stack.names.stack}},
        ),
        allow("WriteBackup", ["s3:PutObject"], [f"arn:{partition}:s3:::{bucket_name(stack)}/{stack.names.stack}/*"]),
    )


def backup_key_policy(location: Location, *, writers: Sequence[str], openers: Sequence[str]) -> str:
    """Return the key's policy: who creates backups, and who opens them. IAM alone grants neither right.

    Args:
        location: The key's account.
        writers: ARNs of the roles that create backups.
        openers: ARNs of the roles that restore, usually break-glass roles.
    """
    return document(
        [
            of_resource("AdministerByAccount", {"AWS": location.root_arn()}, _ADMINISTRATION),
            of_resource(
                "MakeBackups", {"AWS": list(writers)}, ["kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
            ),
            of_resource("OpenBackups", {"AWS": list(openers)}, ["kms:Decrypt", "kms:DescribeKey"]),
        ]
    )


def backup_bucket_policy(stack: Deployment) -> str:
    """Return the bucket's policy: TLS only. Object Lock protects its contents."""
    return document([bucket_requires_tls(f"arn:{stack.location.partition}:s3:::{bucket_name(stack)}")])
