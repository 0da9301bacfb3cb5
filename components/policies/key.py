"""The policy of the stack's customer-managed key: the least rights that work, as pure functions.

The key can be used only through the services below, and only for this stack's resources.
Sources: AWS, "Secret encryption and decryption in AWS Secrets Manager", "Encrypt log data in CloudWatch Logs using KMS",
"Setting up Amazon SNS topic encryption", "Configure KMS key policies for CloudTrail".
"""

from collections.abc import Sequence

from components.location import Location
from components.policies.calls import ADMINISTER_KEY, USE_KEY
from components.policies.identity import Statement, document, of_resource

# Without CreateGrant: a principal with a grant decrypts past every condition below, and no alarm reports it.
_ADMINISTRATION = [
    "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:DisableKeyRotation",
    "kms:EnableKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
    "kms:ListAliases", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListKeyRotations", "kms:ListResourceTags",
    "kms:PutKeyPolicy", "kms:RevokeGrant", "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion",
    "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
]  # fmt: skip
_LOG_GROUP = "kms:EncryptionContext:aws:logs:arn"


def key_policy(
    location: Location,
    *,
    prefix: str,
    log_group_names: Sequence[str],
    topic_arns: Sequence[str] = (),
    trail_arn: str | None = None,
    adopted_arns: Sequence[str] = (),
    administrator_arns: Sequence[str] = (),
) -> str:
    """Return the key policy.

    Args:
        location: The key's account and Region.
        prefix: The name prefix of the stack's secrets, without the hyphen after it.
        log_group_names: The log groups that the key encrypts.
        topic_arns: The SNS topics that it encrypts.
        trail_arn: The CloudTrail trail that it encrypts.
        adopted_arns: ARNs of the stack's secrets with other names.
        administrator_arns: Roles of the account that can change and delete the key by this policy alone, whatever IAM
            allows them.

    The account's own principals also need an identity policy: a key policy that names the account's root delegates to IAM.
    """
    statements: list[Statement] = [
        of_resource("AdministerByAccount", {"AWS": location.root_arn()}, _ADMINISTRATION),
        _through_secrets_manager(location, prefix, adopted_arns),
    ]
    if administrator_arns:
        # KMS refuses a policy whose principal does not exist, and a re-created role with the same name would be another
        # principal. The condition therefore names the roles.
        by_role = {
            "StringEquals": {"kms:CallerAccount": location.account_id},
            "ArnEquals": {"aws:PrincipalArn": sorted(set(administrator_arns))},
        }
        statements.append(of_resource("AdministerByRole", {"AWS": "*"}, list(ADMINISTER_KEY), condition=by_role))
    if log_group_names:
        use = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        groups = {"ArnEquals": {_LOG_GROUP: sorted(map(location.log_group_arn, log_group_names))}}
        statements.append(
            of_resource("EncryptLogGroups", {"Service": location.endpoint("logs")}, use, condition=groups)
        )
    if topic_arns:
        # The services that publish to an encrypted topic, not SNS itself, need the key. EventBridge sends KMS neither
        # aws:SourceAccount nor aws:SourceArn: a condition on either would silently lose every notice. The topic's own policy
        # says which rules publish. Source: AWS, "Securing Amazon SNS data with server-side encryption", event sources.
        topics = {"ArnEquals": {"kms:EncryptionContext:aws:sns:topicArn": sorted(topic_arns)}}
        own = {"StringEquals": {"aws:SourceAccount": location.account_id}}
        for sid, service, condition in (
            ("PublishAlarms", "cloudwatch", own | topics),
            ("PublishNotices", "events", topics),
        ):
            publisher = {"Service": f"{service}.amazonaws.com"}
            statements.append(of_resource(sid, publisher, ["kms:Decrypt", "kms:GenerateDataKey*"], condition=condition))
    if trail_arn:
        statements += _by_trail(location, trail_arn)
    return document(statements)


def _through_secrets_manager(location: Location, prefix: str, adopted_arns: Sequence[str]) -> Statement:
    # Secrets Manager calls KMS as the caller, with the secret's ARN as encryption context. A secret's suffix is unknown
    # before it exists: six characters, so six question marks.
    own = location.arn("secretsmanager", f"secret:{prefix}-*-??????")
    # Before it accepts a key for a secret, Secrets Manager tests it with this context.
    trial = "RequestToValidateKeyAccess"
    return of_resource(
        "UseThroughSecretsManager",
        {"AWS": location.root_arn()},
        list(USE_KEY),
        condition={
            "StringEquals": {
                "kms:CallerAccount": location.account_id,
                "kms:ViaService": location.endpoint("secretsmanager"),
            },
            "StringLike": {"kms:EncryptionContext:SecretARN": sorted([own, *adopted_arns, trial])},
        },
    )


def _by_trail(location: Location, trail_arn: str) -> list[Statement]:
    source = {"StringEquals": {"aws:SourceArn": trail_arn}}
    cloudtrail = {"Service": "cloudtrail.amazonaws.com"}
    context = {"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": trail_arn}}
    s3 = {"StringEquals": {"kms:CallerAccount": location.account_id, "kms:ViaService": location.endpoint("s3")}}
    return [
        of_resource("EncryptTrail", cloudtrail, ["kms:GenerateDataKey*"], condition=source | context),
        of_resource("DescribeForTrail", cloudtrail, ["kms:DescribeKey"], condition=source),
        # Readers of the trail's files need them decrypted; S3 calls KMS on their behalf.
        of_resource("ReadTrailThroughS3", {"AWS": location.root_arn()}, ["kms:Decrypt"], condition=s3 | context),
    ]
