"""The policy of the stack's customer-managed key: the least rights that work, as pure functions.

The key can be used only through the services below, and only for this stack's resources.
Sources: AWS, "Secret encryption and decryption in AWS Secrets Manager", "Encrypt log data in CloudWatch Logs using KMS",
"Setting up Amazon SNS topic encryption", "Configure KMS key policies for CloudTrail".
"""

from collections.abc import Sequence
from typing import Any

from components.location import Location
from components.policies.calls import ADMINISTER_KEY
from components.policies.identity import Statement, document

# Without CreateGrant: a principal with a grant decrypts past every condition below, and no alarm reports it.
_ADMINISTRATION = [
    "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:DisableKeyRotation",
    "kms:EnableKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
    "kms:ListAliases", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListKeyRotations", "kms:ListResourceTags",
    "kms:PutKeyPolicy", "kms:RevokeGrant", "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion",
    "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
]  # fmt: skip


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
        _allow("AdministerByAccount", {"AWS": location.root_arn()}, _ADMINISTRATION),
        _through_secrets_manager(location, prefix, adopted_arns),
    ]
    if administrator_arns:
        statements.append(_by_administrators(location, administrator_arns))
    if log_group_names:
        statements.append(_by_logs(location, log_group_names))
    if topic_arns:
        statements += _by_publishers(location, topic_arns)
    if trail_arn:
        statements += _by_trail(location, trail_arn)
    return document(statements)


def _by_administrators(location: Location, arns: Sequence[str]) -> Statement:
    # KMS refuses a policy whose principal does not exist, and a re-created role with the same name would be another principal.
    # The condition therefore names the roles.
    return _allow(
        "AdministerByRole",
        {"AWS": "*"},
        list(ADMINISTER_KEY),
        {
            "StringEquals": {"kms:CallerAccount": location.account_id},
            "ArnEquals": {"aws:PrincipalArn": sorted(set(arns))},
        },
    )


def _through_secrets_manager(location: Location, prefix: str, adopted_arns: Sequence[str]) -> Statement:
    # Secrets Manager calls KMS as the caller, with the secret's ARN as encryption context. A secret's suffix is unknown
    # before it exists: six characters, so six question marks.
    own = location.arn("secretsmanager", f"secret:{prefix}-*-??????")
    # Before it accepts a key for a secret, Secrets Manager tests it with this context.
    trial = "RequestToValidateKeyAccess"
    return _allow(
        "UseThroughSecretsManager",
        {"AWS": location.root_arn()},
        ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
        {
            "StringEquals": {
                "kms:CallerAccount": location.account_id,
                "kms:ViaService": location.endpoint("secretsmanager"),
            },
            "StringLike": {"kms:EncryptionContext:SecretARN": sorted([own, *adopted_arns, trial])},
        },
    )


def _by_logs(location: Location, log_group_names: Sequence[str]) -> Statement:
    return _allow(
        "EncryptLogGroups",
        {"Service": location.endpoint("logs")},
        ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
        {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": sorted(map(location.log_group_arn, log_group_names))}},
    )


def _by_publishers(location: Location, topic_arns: Sequence[str]) -> list[Statement]:
    # The services that publish to an encrypted topic, not SNS itself, need the key.
    actions = ["kms:Decrypt", "kms:GenerateDataKey*"]
    topics = {"ArnEquals": {"kms:EncryptionContext:aws:sns:topicArn": sorted(topic_arns)}}
    own_account = {"StringEquals": {"aws:SourceAccount": location.account_id}}
    return [
        _allow("PublishAlarms", {"Service": "cloudwatch.amazonaws.com"}, actions, own_account | topics),
        # EventBridge sends KMS neither aws:SourceAccount nor aws:SourceArn: a condition on either would silently lose every
        # notice. The topic's own policy says which rules publish. Source: AWS, "Securing Amazon SNS data with server-side
        # encryption", event sources.
        _allow("PublishNotices", {"Service": "events.amazonaws.com"}, actions, topics),
    ]


def _by_trail(location: Location, trail_arn: str) -> list[Statement]:
    source = {"StringEquals": {"aws:SourceArn": trail_arn}}
    cloudtrail = {"Service": "cloudtrail.amazonaws.com"}
    # Readers of the trail's files need them decrypted; S3 calls KMS on their behalf.
    through_s3 = {
        "StringEquals": {
            "kms:CallerAccount": location.account_id,
            "kms:ViaService": location.endpoint("s3"),
        },
        "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": trail_arn},
    }
    context = {"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": trail_arn}}
    return [
        _allow("EncryptTrail", cloudtrail, ["kms:GenerateDataKey*"], source | context),
        _allow("DescribeForTrail", cloudtrail, ["kms:DescribeKey"], source),
        _allow("ReadTrailThroughS3", {"AWS": location.root_arn()}, ["kms:Decrypt"], through_s3),
    ]


def _allow(
    sid: str, principal: dict[str, Any], actions: list[str], condition: dict[str, Any] | None = None
) -> Statement:
    # In a key policy "*" is this key.
    statement = {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*"}
    return statement | ({"Condition": condition} if condition else {})
