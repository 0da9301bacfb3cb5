"""The customer-managed key that a stack's secrets, logs and topics rest under."""

import pulumi
import pulumi_aws as aws

from model.names import key_description


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
        alias: str,
        policy: str,
        deletion_window_in_days: int,
        protect: bool,
        restored_key_arn: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the key.

        Args:
            name: The component's name.
            alias: The alias, without `alias/`.
            policy: JSON of the key policy, see `policies.key.key_policy`.
            deletion_window_in_days: 7 to 30; until it ends a deletion can be cancelled, after it every value is lost.
            protect: Whether Pulumi refuses to delete the key.
            restored_key_arn: ARN of the stack's key from before a `destroy`, whose deletion was cancelled.
            opts: Options of the component.
        """
        super().__init__("ticketing:index:Encryption", name, None, opts)
        key = aws.kms.Key(
            name,
            description=key_description(alias),
            enable_key_rotation=True,
            deletion_window_in_days=deletion_window_in_days,
            policy=policy,
            opts=pulumi.ResourceOptions(
                parent=self, protect=protect, import_=restored_key_arn and restored_key_arn.rpartition("/")[2]
            ),
        )
        key_alias = aws.kms.Alias(
            name, name=f"alias/{alias}", target_key_id=key.key_id, opts=pulumi.ResourceOptions(parent=self)
        )
        self.key_arn = key.arn
        self.alias_name = key_alias.name
        self.register_outputs({"key_arn": self.key_arn, "alias_name": self.alias_name})
