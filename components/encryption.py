"""The customer-managed key that encrypts a stack's secrets, logs and topics."""

from collections.abc import Iterator, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import _args
from components.location import Location
from components.names import key_description
from components.policies.key import key_policy
from components.references import WHOLE_SECRET_ARN


class EncryptionArgs(TypedDict):
    """What can use the key by its policy. Every name is known before its resource exists."""

    prefix: NotRequired[str]
    """What the names of the secrets start with, before a hyphen; also the key's alias. Default: `<project>-<stack>`."""
    secret_arns: NotRequired[Sequence[str]]
    """ARNs of secrets with other names. Default: none."""
    log_group_names: NotRequired[Sequence[str]]
    """Log groups that the key encrypts. Default: none."""
    topic_names: NotRequired[Sequence[str]]
    """SNS topics that the key encrypts. Default: none."""
    trail_name: NotRequired[str]
    """CloudTrail trail that the key encrypts. Default: none."""
    deletion_window_in_days: NotRequired[int]
    """Days that the key's deletion can be cancelled, 7 to 30: after it every value is lost. Default: 30."""
    protect: NotRequired[bool]
    """Whether Pulumi refuses to delete the key. Default: true."""
    retain_on_delete: NotRequired[bool]
    """Whether the key stays in AWS when it leaves Pulumi, so that what it encrypted stays readable. Default: false."""
    administrator_arns: NotRequired[Sequence[str]]
    """ARNs of roles that can change and delete the key by its own policy, without a permission in IAM. Default: none."""
    location: NotRequired[Location]
    """The account and Region. Default: the provider's."""


class Encryption(pulumi.ComponentResource):
    """A KMS key with yearly rotation and an alias."""

    key_arn: pulumi.Output[str]
    """The key's ARN, known once its policy is in force."""
    alias_name: pulumi.Output[str]
    """`alias/<prefix>`."""

    def __init__(self, name: str, args: EncryptionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the key.

        Raises:
            ArgsError: When AWS would refuse an argument.
        """
        super().__init__("ecs-secrets:index:Encryption", name, None, opts)
        _args.refuse("Encryption", name, _problems(args))
        prefix = _args.stack_prefix_of(args)
        location = _args.location_of(args, self)
        trail = args.get("trail_name")
        key = aws.kms.Key(
            name,
            description=key_description(prefix),
            enable_key_rotation=True,
            # A deletion can be cancelled until this window ends; after that every value is lost.
            deletion_window_in_days=int(args.get("deletion_window_in_days", 30)),
            policy=key_policy(
                location,
                prefix=prefix,
                log_group_names=args.get("log_group_names", ()),
                topic_arns=[location.arn("sns", topic) for topic in args.get("topic_names", ())],
                trail_arn=location.arn("cloudtrail", f"trail/{trail}") if trail else None,
                adopted_arns=args.get("secret_arns", ()),
                administrator_arns=args.get("administrator_arns", ()),
            ),
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.get("protect", True), retain_on_delete=args.get("retain_on_delete", False)
            ),
        )
        key_alias = aws.kms.Alias(
            name, name=f"alias/{prefix}", target_key_id=key.key_id, opts=pulumi.ResourceOptions(parent=self)
        )
        self.key_arn = key.arn
        self.alias_name = key_alias.name
        self.register_outputs({"key_arn": self.key_arn, "alias_name": self.alias_name})


def _problems(args: EncryptionArgs) -> Iterator[_args.Problem]:
    rule = "full ARNs of secrets, with the six characters at their end"
    yield from _args.unlike(args, {"secret_arns": (WHOLE_SECRET_ARN, rule)})
    yield from _args.outside(args, {"deletion_window_in_days": (range(7, 31), "7 to 30 days")})
