"""The regular backup: a locked bucket, a key that only named roles can use, and the role of the nightly run."""

import pulumi
import pulumi_aws as aws

from account.roles import SESSION_SECONDS
from components._private_bucket import keep_private
from components.policies.backup import (
    backup_bucket_policy,
    backup_key_policy,
    backup_statements,
    bucket_name,
    key_alias,
    role_name,
)
from components.policies.deployer import Deployment
from components.policies.federation import federated_trust, provider_arn
from components.policies.identity import document

DELETION_WINDOW_DAYS = 30


class Backups(pulumi.ComponentResource):
    """Where a stack's backups go, and who creates them.

    Object Lock in compliance mode: until its retention ends nobody can delete a backup, not even the account's root user.
    Sources: AWS, "Using S3 Object Lock"; the same guides as of the state's bucket.
    """

    role_arn: pulumi.Output[str]
    bucket: pulumi.Output[str]
    key_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        stack: Deployment,
        trust: str,
        days: int,
        openers: list[str],
        after: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create them.

        Args:
            name: The component's name.
            stack: The stack to back up.
            trust: Trust policy of the role.
            days: Days that each backup is kept.
            openers: ARNs of the roles that may open a backup.
            after: Resources that must exist first: the identity provider.
            opts: Options of the component.
        """
        super().__init__("account:index:Backups", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        kept = pulumi.ResourceOptions(parent=self, protect=True)
        role = aws.iam.Role(
            name,
            name=role_name(stack),
            assume_role_policy=trust,
            max_session_duration=SESSION_SECONDS,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[after]),
        )
        key = aws.kms.Key(
            name,
            description="Backups of secrets",
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            policy=role.arn.apply(lambda arn: backup_key_policy(stack.location, writers=[arn], openers=openers)),
            opts=kept,
        )
        aws.kms.Alias(name, name=key_alias(stack), target_key_id=key.key_id, opts=kept)
        rights = key.arn.apply(lambda arn: document(backup_statements(stack, key_arn=arn)))
        aws.iam.RolePolicy(name, name="backup", role=role.name, policy=rights, opts=child)

        bucket = aws.s3.Bucket(name, bucket=bucket_name(stack), object_lock_enabled=True, opts=kept)
        private = keep_private(
            name,
            bucket,
            keep_days=days + 1,
            keep_replaced_days=1,
            policy=backup_bucket_policy(stack),
            opts=kept,
        )
        aws.s3.BucketObjectLockConfiguration(
            name,
            bucket=private.versioning.bucket,
            rule={"default_retention": {"mode": "COMPLIANCE", "days": days}},
            opts=kept,
        )
        self.role_arn, self.bucket, self.key_arn = role.arn, bucket.bucket, key.arn
        self.register_outputs({"role_arn": self.role_arn, "bucket": self.bucket, "key_arn": self.key_arn})


def from_configuration(stack: Deployment, *, issuer: str, audience: str, after: pulumi.Resource) -> Backups | None:
    """Create them if `backupDays` is set; return None otherwise.

    Raises:
        pulumi.RunError: When a key is wrong.
    """
    config = pulumi.Config()
    days = config.get_int("backupDays") or 0
    if not days:
        return None
    subjects, openers = (list(config.get_object(key) or []) for key in ("backupSubjects", "backupOpeners"))
    if days < 1 or not subjects or not openers:
        raise pulumi.RunError(
            "backupDays must be 1 or more, with backupSubjects (who creates backups) and backupOpeners (which roles restore):\n"
            "  pulumi config set --path 'backupSubjects[0]' repo:OWNER/REPOSITORY:ref:refs/heads/main\n"
            "  pulumi config set --path 'backupOpeners[0]' arn:aws:iam::ACCOUNT:role/BREAK-GLASS"
        )
    trust = federated_trust(provider_arn(stack.location, issuer), audience=audience, subjects=subjects)
    return Backups("backups", stack=stack, trust=trust, days=days, openers=openers, after=after)
