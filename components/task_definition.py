"""The ECS task definition whose `secrets` reference the secrets, with its log group and its task role."""

from collections.abc import Iterable, Mapping

import pulumi
import pulumi_aws as aws

from components._containers import SCRATCH_VOLUME, container_definitions
from components.location import Location
from components.names import ServiceNames
from components.policies import identity
from config.settings import ServiceSettings


class TaskDefinition(pulumi.ComponentResource):
    """A Fargate task definition of one container.

    Attributes:
        arn: ARN with the revision. A changed secret version makes a new revision.
        family: The family's name.
        log_group_name: Where the container writes its log.
        task_role_arn: What the running application may do: nothing. Grants for it belong to whoever needs them.
    """

    arn: pulumi.Output[str]
    family: pulumi.Output[str]
    log_group_name: pulumi.Output[str]
    task_role_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        service: str,
        names: ServiceNames,
        location: Location,
        settings: ServiceSettings,
        secrets: Mapping[str, pulumi.Input[str]],
        version_ids: Iterable[pulumi.Input[str]],
        execution_role_arn: pulumi.Input[str],
        log_retention_in_days: int,
        kms_key_arn: pulumi.Input[str] | None = None,
        permissions_boundary: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the task definition.

        Args:
            name: The component's name.
            service: The service's name, which is the container's as well.
            names: The service's names.
            location: The account and Region.
            settings: The service's configuration: image, size, port, plain variables.
            secrets: `valueFrom` by variable.
            version_ids: Version ids of the secrets, for the digest that makes a new revision.
            execution_role_arn: The role that starts the task.
            log_retention_in_days: Days that the log is kept.
            kms_key_arn: Key of the log group, None for CloudWatch's own encryption.
            permissions_boundary: ARN of a managed policy for the task role.
            opts: Options of the component.

        Raises:
            ValueError: When a variable is both plain and secret.
        """
        super().__init__("ticketing:index:TaskDefinition", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        log_group = aws.cloudwatch.LogGroup(
            name, name=names.log_group, retention_in_days=log_retention_in_days, kms_key_id=kms_key_arn, opts=child
        )
        task_role = aws.iam.Role(
            name,
            name=names.task_role,
            description="What the running application may do: nothing yet",
            assume_role_policy=identity.trust(
                "ecs-tasks.amazonaws.com", account_id=location.account_id, source_arn=location.arn("ecs", "*")
            ),
            permissions_boundary=permissions_boundary,
            opts=child,
        )
        definitions = pulumi.Output.all(
            secrets=pulumi.Output.from_input(dict(secrets)),
            version_ids=pulumi.Output.all(*version_ids),
            log_group_name=log_group.name,
        ).apply(
            lambda known: container_definitions(
                name=service,
                image=settings.image,
                port=settings.container_port,
                environment=settings.environment,
                command=settings.command,
                readonly_root_filesystem=settings.readonly_root_filesystem,
                log_mode=settings.log_mode,
                region=location.region,
                **known,
            )
        )
        task_definition = aws.ecs.TaskDefinition(
            name,
            family=names.family,
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(settings.cpu),
            memory=str(settings.memory),
            runtime_platform={"cpu_architecture": settings.cpu_architecture, "operating_system_family": "LINUX"},
            execution_role_arn=execution_role_arn,
            task_role_arn=task_role.arn,
            container_definitions=definitions,
            # A service may still run the revision before, and a rollback goes back to it: ECS starts no task of a deregistered
            # one. A revision holds no value.
            skip_destroy=True,
            volumes=[{"name": SCRATCH_VOLUME}] if settings.readonly_root_filesystem else None,
            opts=child,
        )
        self.arn = task_definition.arn
        self.family = task_definition.family
        self.log_group_name = log_group.name
        self.task_role_arn = task_role.arn
        self.register_outputs(
            {
                "arn": self.arn,
                "family": self.family,
                "log_group_name": self.log_group_name,
                "task_role_arn": self.task_role_arn,
            }
        )
