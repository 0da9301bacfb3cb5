"""The bucket that holds the stacks' state."""

import pulumi
import pulumi_aws as aws

from account import existing
from components.policies.identity import bucket_requires_tls, document

OLD_VERSION_DAYS = 90
"""Days that a replaced or deleted state file can be restored."""


class StateBucket(pulumi.ComponentResource):
    """A private bucket that keeps replaced files, accepts requests through TLS only and can't be deleted by accident.

    Sources: AWS, "Security best practices for Amazon S3"; Pulumi, "Managing state and backend options", AWS S3.
    """

    name: pulumi.Output[str]
    bucket: aws.s3.Bucket

    def __init__(self, name: str, *, bucket: str, partition: str, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the bucket.

        Args:
            name: The component's name.
            bucket: The bucket's name.
            partition: `aws`, `aws-us-gov` or `aws-cn`.
            opts: Options of the component.
        """
        super().__init__("account:index:StateBucket", name, None, opts)
        # The settings are protected too: a destroy deletes unprotected resources before it reaches protected ones.
        child = pulumi.ResourceOptions(parent=self, protect=True)
        made = aws.s3.Bucket(
            name,
            bucket=bucket,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=True,
                aliases=existing.IMPORTED,
                hooks=existing.refused(f"{name}-bucket", existing.bucket(name, bucket)),
            ),
        )
        aws.s3.BucketOwnershipControls(
            name, bucket=made.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=child
        )
        private = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=made.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        versioned = aws.s3.BucketVersioning(
            name, bucket=made.bucket, versioning_configuration={"status": "Enabled"}, opts=child
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=made.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"},
                    # Nobody else could read a file under a key that only the uploader has.
                    "blocked_encryption_types": ["SSE-C"],
                }
            ],
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            # Rules on replaced versions need versioning first.
            bucket=versioned.bucket,
            rules=[
                {
                    "id": "delete-old-versions",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": OLD_VERSION_DAYS},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                }
            ],
            opts=child,
        )
        policy = document([bucket_requires_tls(f"arn:{partition}:s3:::{bucket}")])
        # S3 refuses two concurrent changes of one bucket's access.
        aws.s3.BucketPolicy(name, bucket=private.bucket, policy=policy, opts=child)
        self.name, self.bucket = made.bucket, made
        self.register_outputs({"name": self.name})
