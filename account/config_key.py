"""The key that encrypts the secrets of the stacks' configuration and state."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from account import existing
from components.location import Location
from components.policies.state import state_key_policy

DELETION_WINDOW_DAYS = 30
"""The longest that KMS accepts: without the key no stack's state can be read."""


class ConfigKey(pulumi.ComponentResource):
    """A KMS key with an alias, for Pulumi's secrets provider `awskms`.

    IAM decides who uses it, and its policy denies decryption to everybody except the readers. It has a separate tag: the
    deployer recognizes the stack's keys by their tags, and this key must never be one of them.
    """

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        alias: str,
        project: str,
        readers: Sequence[str],
        location: Location,
        after: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the key.

        Args:
            name: The component's name.
            alias: The alias, with `alias/`.
            project: The account's project, the value of the tag Project.
            readers: ARNs of the roles and users that can decrypt with it.
            location: The account.
            after: What must exist first.
            opts: Options of the component.
        """
        super().__init__("account:index:ConfigKey", name, None, opts)
        refused = existing.refused(f"{name}-alias", existing.key(name, alias))
        key = aws.kms.Key(
            name,
            description="Secrets of Pulumi's configuration and state",
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            policy=state_key_policy(readers, location),
            tags={"Project": project},
            opts=pulumi.ResourceOptions(
                parent=self, protect=True, depends_on=[after], aliases=existing.IMPORTED, hooks=refused
            ),
        )
        aws.kms.Alias(
            name,
            name=alias,
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self, protect=True, aliases=existing.IMPORTED, hooks=refused),
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})
