"""The audit's policies, as pure functions.

Sources: AWS, "Amazon S3 bucket policy for CloudTrail", "Role policy document for CloudTrail to use CloudWatch Logs", "Using
resource-based policies for Amazon EventBridge", "Setting up Amazon SNS notifications" (CloudWatch).
"""

from components.names import AuditNames
from components.policies.identity import WITHOUT_TLS, Statement, bucket_requires_tls, document, of_resource


def bucket_policy(names: AuditNames) -> str:
    """Return the policy of the trail's bucket: only this trail writes, and every request needs TLS."""
    location = names.location
    bucket = f"arn:{location.partition}:s3:::{names.bucket}"
    cloudtrail = {"Service": "cloudtrail.amazonaws.com"}
    source = {"aws:SourceArn": names.trail_arn, "aws:SourceAccount": location.account_id}
    acl = {"s3:x-amz-acl": "bucket-owner-full-control"}
    files = f"{bucket}/AWSLogs/{location.account_id}/*"
    return document(
        [
            of_resource("CheckAcl", cloudtrail, "s3:GetBucketAcl", bucket, {"StringEquals": source}),
            of_resource("WriteLogFiles", cloudtrail, "s3:PutObject", files, {"StringEquals": source | acl}),
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

    own_alarms = {
        "StringEquals": {"aws:SourceAccount": location.account_id},
        "ArnLike": {"aws:SourceArn": location.arn("cloudwatch", "alarm:*")},
    }
    # Not BoolIfExists: it would deny a service whose request lacks the key.
    not_a_service = {"Bool": {"aws:PrincipalIsAWSService": "false"}}
    alarms, rules = {"Service": "cloudwatch.amazonaws.com"}, {"Service": "events.amazonaws.com"}
    return document(
        [
            of_resource("PublishAlarms", alarms, "sns:Publish", names.topic_arn, own_alarms),
            # EventBridge sends SNS no source either: AWS accepts no condition here, and one would lose every notice
            # silently.
            of_resource("PublishNotices", rules, "sns:Publish", names.topic_arn),
            of_resource("NobodyElse", "*", "sns:Publish", names.topic_arn, not_a_service, effect="Deny"),
            of_resource("TlsOnly", "*", "sns:Publish", names.topic_arn, WITHOUT_TLS, effect="Deny"),
        ]
    )
