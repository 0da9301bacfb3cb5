"""The bucket that holds the stacks' state."""

import pulumi
import pulumi_aws as aws

from account import existing
from components._private_bucket import keep_private
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
        made = aws.s3.Bucket(
            name,
            bucket=bucket,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=True,
                aliases=existing.IMPORTED,
                hooks=existing.refused(f"{name}-bucket", existing.by_id("bucket", name, bucket)),
            ),
        )
        keep_private(
            name,
            made,
            keep_days=None,
            keep_replaced_days=OLD_VERSION_DAYS,
            policy=document([bucket_requires_tls(f"arn:{partition}:s3:::{bucket}")]),
            # A destroy deletes unprotected resources before it reaches protected ones.
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        self.name, self.bucket = made.bucket, made
        self.register_outputs({"name": self.name})
