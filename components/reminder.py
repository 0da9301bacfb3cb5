"""Reminds people of the secrets that only their issuers can renew."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from model.location import Location
from model.names import Names
from policies import identity


class Reminder(pulumi.ComponentResource):
    """A message to the alarm topic every so many days, with the commands that renew the supplied values."""

    def __init__(
        self,
        name: str,
        *,
        names: Names,
        location: Location,
        every_days: int,
        config_keys: Sequence[str],
        topic_arn: pulumi.Input[str],
        kms_key_arn: pulumi.Input[str] | None = None,
        permissions_boundary: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the schedule.

        Args:
            name: The component's name.
            names: The stack's names.
            location: The account and Region.
            every_days: Days between two reminders.
            config_keys: Configuration keys of the supplied values.
            topic_arn: The topic to publish to.
            kms_key_arn: The topic's key, if it has one of ours.
            permissions_boundary: ARN of a managed policy for the role.
            opts: Options of the component.
        """
        super().__init__("ticketing:index:Reminder", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=names.reminder,
            assume_role_policy=identity.trust(
                "scheduler.amazonaws.com",
                account_id=location.account_id,
                # The schedule's group is what Scheduler sends as the source.
                source_arn=location.arn("scheduler", "schedule-group/default"),
            ),
            permissions_boundary=permissions_boundary,
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
            name=names.reminder,
            description="Secrets that their issuers renew",
            schedule_expression=f"rate({every_days} day{'s' if every_days > 1 else ''})",
            flexible_time_window={"mode": "OFF"},
            target={"arn": topic_arn, "role_arn": role.arn, "input": _message(names.prefix, config_keys)},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role_policy]),
        )
        self.register_outputs({})


def _message(prefix: str, config_keys: Sequence[str]) -> str:
    commands = [f"  pulumi config set --secret {key}" for key in sorted(config_keys)]
    return "\n".join(
        [f"{prefix}: ask the issuers of these values for new ones, then set them and run `pulumi up`:", *commands]
    )
