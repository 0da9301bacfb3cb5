"""What makes an S3 bucket private: owner, public access, versions, encryption, life cycle, policy.

Source: AWS, "Security best practices for Amazon S3".
"""

from typing import NamedTuple

import pulumi
import pulumi_aws as aws


class PrivateBucket(NamedTuple):
    """What further settings of the bucket must wait for."""

    # Quoted, here and elsewhere: the SDK loads a service's classes on first use, and a stack without a bucket needs none.
    versioning: "aws.s3.BucketVersioning"
    policy: "aws.s3.BucketPolicy"


def keep_private(
    name: str,
    bucket: "aws.s3.Bucket",
    *,
    keep_days: int | None,
    keep_replaced_days: int,
    policy: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> PrivateBucket:
    """Create the settings of a private bucket that keeps replaced and deleted files for a while.

    Args:
        name: The name of each of the resources.
        bucket: The bucket.
        keep_days: Days until a file is deleted; None: never.
        keep_replaced_days: Days until a replaced or deleted file is deleted for good.
        policy: Its policy.
        opts: Options of the resources.
    """
    at = bucket.bucket
    aws.s3.BucketOwnershipControls(name, bucket=at, rule={"object_ownership": "BucketOwnerEnforced"}, opts=opts)
    private = aws.s3.BucketPublicAccessBlock(
        name,
        bucket=at,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=opts,
    )
    versioning = aws.s3.BucketVersioning(name, bucket=at, versioning_configuration={"status": "Enabled"}, opts=opts)
    aws.s3.BucketServerSideEncryptionConfiguration(
        name,
        bucket=at,
        rules=[
            {
                "apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"},
                # Nobody else could read a file under a key that only the uploader has.
                "blocked_encryption_types": ["SSE-C"],
            }
        ],
        opts=opts,
    )
    aws.s3.BucketLifecycleConfiguration(
        name,
        # Rules on replaced versions need versioning first.
        bucket=versioning.bucket,
        rules=[
            {
                "id": "delete-old-files",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "expiration": {"days": keep_days} if keep_days else None,
                "noncurrent_version_expiration": {"noncurrent_days": keep_replaced_days},
                "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
            }
        ],
        opts=opts,
    )
    # S3 refuses two concurrent changes of one bucket's access.
    return PrivateBucket(versioning, aws.s3.BucketPolicy(name, bucket=private.bucket, policy=policy, opts=opts))
