"""Reminds people of the secrets that only their issuers can renew."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.location import Location
from components.policies import identity
from config.declarations import supplied_config_keys
from config.settings import Settings


class Reminder(pulumi.ComponentResource):
    """A message to the alarm topic every so many days, with the commands that renew the supplied values."""

    def __init__(
        self,
        name: str,
        *,
        config: Settings,
        every_days: int,
        location: Location,
        topic_arn: pulumi.Input[str],
        kms_key_arn: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the schedule.

        Args:
            name: The component's name.
            config: The stack's settings.
            every_days: Days between two reminders.
            location: The account and Region.
            topic_arn: The topic to publish to.
            kms_key_arn: The topic's key, if it has one of ours.
            opts: Options of the component.
        """
        super().__init__("ecs-secrets:index:Reminder", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=config.names.reminder,
            assume_role_policy=identity.trust(
                "scheduler.amazonaws.com",
                account_id=location.account_id,
                # The schedule's group is what Scheduler sends as the source.
                source_arn=location.arn("scheduler", "schedule-group/default"),
            ),
            permissions_boundary=config.permissions_boundary,
            opts=child,
        )
        policy = pulumi.Output.all(topic_arn, kms_key_arn).apply(
            lambda known: identity.document(
                identity.publish(known[0], known[1], region=location.region, dns_suffix=location.dns_suffix)
            )
        )
        role_policy = aws.iam.RolePolicy(name, name="publish", role=role.name, policy=policy, opts=child)
        aws.scheduler.Schedule(
            name,
            name=config.names.reminder,
            description="Secrets that their issuers renew",
            schedule_expression=f"rate({every_days} day{'s' if every_days > 1 else ''})",
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": topic_arn,
                "role_arn": role.arn,
                "input": _message(config.names.prefix, supplied_config_keys(config.catalogue)),
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role_policy]),
        )
        self.register_outputs({})


def _message(prefix: str, config_keys: Sequence[str]) -> str:
    commands = [f"  pulumi config set --secret {key}" for key in sorted(config_keys)]
    return "\n".join(
        [f"{prefix}: ask the issuers of these values for new ones, then set them and run `pulumi up`:", *commands]
    )
