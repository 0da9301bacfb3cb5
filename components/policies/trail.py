"""The audit's policies, as pure functions.

Sources: AWS, "Amazon S3 bucket policy for CloudTrail", "Role policy document for CloudTrail to use CloudWatch Logs", "Using
resource-based policies for Amazon EventBridge", "Setting up Amazon SNS notifications" (CloudWatch).
"""

from components.names import AuditNames
from components.policies.identity import Statement, bucket_requires_tls, document


def bucket_policy(names: AuditNames) -> str:
    """Return the policy of the trail's bucket: only this trail writes, and every request needs TLS."""
    location = names.location
    bucket = f"arn:{location.partition}:s3:::{names.bucket}"
    cloudtrail = {"Service": "cloudtrail.amazonaws.com"}
    source = {"aws:SourceArn": names.trail_arn, "aws:SourceAccount": location.account_id}
    return document(
        [
            {
                "Sid": "CheckAcl",
                "Effect": "Allow",
                "Principal": cloudtrail,
                "Action": "s3:GetBucketAcl",
                "Resource": bucket,
                "Condition": {"StringEquals": source},
            },
            {
                "Sid": "WriteLogFiles",
                "Effect": "Allow",
                "Principal": cloudtrail,
                "Action": "s3:PutObject",
                "Resource": f"{bucket}/AWSLogs/{location.account_id}/*",
                "Condition": {"StringEquals": source | {"s3:x-amz-acl": "bucket-owner-full-control"}},
            },
            bucket_requires_tls(bucket),
        ]
    )


def write_events(names: AuditNames) -> Statement:
    """Return CloudTrail's right to write to its streams in the log group."""
    location = names.location
    stream = f"{location.account_id}_CloudTrail_{location.region}*"
    return {
        "Sid": "WriteEvents",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"{location.log_group_arn(names.log_group)}:log-stream:{stream}",
    }


def topic_policy(names: AuditNames) -> str:
    """Return the topic's policy: alarms of this account and EventBridge publish.

    People act on a message on this topic, so nobody else can publish, whatever their identity policy says.
    """
    location = names.location

    def publish(sid: str, service: str) -> Statement:
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sns:Publish",
            "Resource": names.topic_arn,
        }

    own_alarms = {
        "StringEquals": {"aws:SourceAccount": location.account_id},
        "ArnLike": {"aws:SourceArn": location.arn("cloudwatch", "alarm:*")},
    }
    deny: Statement = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": names.topic_arn}
    return document(
        [
            {**publish("PublishAlarms", "cloudwatch.amazonaws.com"), "Condition": own_alarms},
            # EventBridge sends SNS no source either: AWS accepts no condition here, and one would lose every notice
            # silently.
            publish("PublishNotices", "events.amazonaws.com"),
            {
                "Sid": "NobodyElse",
                **deny,
                "Condition": {
                    # Not BoolIfExists: it would deny a service whose request lacks the key.
                    "Bool": {"aws:PrincipalIsAWSService": "false"},
                },
            },
            {"Sid": "TlsOnly", **deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ]
    )
