"""The customer-managed key that a stack's secrets, logs and topics rest under."""

import pulumi
import pulumi_aws as aws

from components.location import Location
from components.names import key_description
from components.policies.key import key_policy
from config.settings import Settings


class Encryption(pulumi.ComponentResource):
    """A KMS key with yearly rotation and an alias.

    Attributes:
        key_arn: The key's ARN, known once its policy is in force.
        alias_name: `alias/<project>-<stack>`.
    """

    key_arn: pulumi.Output[str]
    alias_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        config: Settings,
        location: Location,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the key.

        Args:
            name: The component's name.
            config: The stack's settings; what they make is what the key's policy lets use the key.
            location: The account and Region.
            opts: Options of the component.
        """
        super().__init__("ticketing:index:Encryption", name, None, opts)
        names, audit = config.names, config.names.audit(location)
        log_groups = [names.service(service).log_group for service in config.services]
        log_groups += (
            [names.service(service).redeploy_log_group for service in config.redeploy.services]
            if config.redeploy
            else []
        )
        log_groups += [names.rotation_log_group] if config.rotation else []
        log_groups += [audit.log_group] if config.own_trail else []
        restored = config.restored_key_arn
        key = aws.kms.Key(
            name,
            description=key_description(names.prefix),
            enable_key_rotation=True,
            # Until it ends a deletion can be cancelled, after it every value is lost.
            deletion_window_in_days=config.key_deletion_window_in_days,
            policy=key_policy(
                location,
                prefix=names.prefix,
                log_group_names=log_groups,
                topic_arns=[audit.topic_arn] if config.audit else [],
                trail_arn=audit.trail_arn if config.own_trail else None,
                adopted_arns=tuple(config.adopt.values()),
            ),
            opts=pulumi.ResourceOptions(
                parent=self, protect=config.protect, import_=restored and restored.rpartition("/")[2]
            ),
        )
        key_alias = aws.kms.Alias(
            name, name=f"alias/{names.prefix}", target_key_id=key.key_id, opts=pulumi.ResourceOptions(parent=self)
        )
        self.key_arn = key.arn
        self.alias_name = key_alias.name
        self.register_outputs({"key_arn": self.key_arn, "alias_name": self.alias_name})
