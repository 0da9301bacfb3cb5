"""What one service of the application is started with, and what redeploys it when a value changes."""

from collections.abc import Mapping

import pulumi

from components.app_secrets import AppSecrets
from components.execution_role import ExecutionRole
from components.location import Location, region_of
from components.outputs import Service as ServiceOutputs
from components.redeployment import Redeployment
from components.references import value_from
from components.task_definition import TaskDefinition
from config.declarations import references_of
from config.settings import Settings


class Service(pulumi.ComponentResource):
    """An execution role that reads exactly what the service references, a task definition, and a redeployment if asked for.

    Attributes:
        outputs: What the stack's outputs say of the service.
        alarm_count: How many alarms there are; each costs.
    """

    outputs: ServiceOutputs[pulumi.Input[str]]
    alarm_count: int

    def __init__(
        self,
        name: str,
        *,
        config: Settings,
        location: Location,
        secrets: AppSecrets,
        key_arns: Mapping[str, pulumi.Input[str]],
        log_key_arn: pulumi.Input[str] | None = None,
        alarm_topic_arn: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the service's parts.

        Args:
            name: The component's name: the service's in the catalogue.
            config: The stack's settings.
            location: The account and Region.
            secrets: The stack's secrets.
            key_arns: Customer-managed keys by the secret's name in the catalogue, those of other owners' secrets among them.
            log_key_arn: The customer-managed key of the log groups, if any.
            alarm_topic_arn: Where a failed redeployment is reported, if anywhere.
            opts: Options of the component.
        """
        super().__init__("ticketing:index:Service", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        names, settings = config.names.service(name), config.services[name]
        # IAM grants whole secrets, so each is named once.
        read = sorted({entry.name for entry, _ in references_of(config.catalogue, name).values()})
        secret_arns = {secrets.names[secret]: secrets.arns[secret] for secret in read}
        foreign = references_of(config.foreign, name)
        foreign_arns = {entry.name: config.foreign_arns[entry.name] for entry, _ in foreign.values()}
        container_secrets = {
            **secrets.references[name],
            **{variable: value_from(foreign_arns[entry.name], key) for variable, (entry, key) in foreign.items()},
        }
        keys_by_region: dict[str, list[pulumi.Input[str]]] = {}
        for key in dict.fromkeys(key_arns[secret] for secret in (*read, *foreign_arns) if secret in key_arns):
            # Only the stack's own key is not known in advance.
            region = region_of(key) if isinstance(key, str) else location.region
            keys_by_region.setdefault(region, []).append(key)
        if config.grant_replicas and secret_arns:
            for region, key in config.replica_kms_keys.items():
                keys_by_region.setdefault(region, []).append(key)

        execution_role = ExecutionRole(
            f"{name}-execution-role",
            names=names,
            location=location,
            secret_arns=secret_arns,
            foreign_secret_arns=tuple(foreign_arns.values()),
            image=settings.image,
            kms_key_arns=keys_by_region,
            replica_regions=config.replica_regions if config.grant_replicas else (),
            bind_trust_to_account=config.confused_deputy_protection,
            permissions_boundary=config.permissions_boundary,
            opts=child,
        )
        task = TaskDefinition(
            f"{name}-task-definition",
            service=name,
            names=names,
            location=location,
            settings=settings,
            secrets=container_secrets,
            version_ids=[secrets.version_ids[secret] for secret in read if secret in secrets.version_ids],
            execution_role_arn=execution_role.arn,
            log_retention_in_days=config.log_retention_in_days,
            kms_key_arn=log_key_arn,
            permissions_boundary=config.permissions_boundary,
            opts=child,
        )
        self.alarm_count = 0
        if config.redeploy and name in config.redeploy.services:
            # The event of a new value reaches only the account and Region that the secret is in.
            here = location.arn("secretsmanager", "")
            self.alarm_count = Redeployment(
                f"{name}-redeployment",
                names=names,
                location=location,
                cluster=config.redeploy.cluster,
                service=config.redeploy.services[name],
                secret_arns=secret_arns | {s: arn for s, arn in foreign_arns.items() if arn.startswith(here)},
                alarm_topic_arn=alarm_topic_arn,
                log_retention_in_days=config.log_retention_in_days,
                log_key_arn=log_key_arn,
                permissions_boundary=config.permissions_boundary,
                opts=child,
            ).alarm_count
        self.outputs = ServiceOutputs(
            execution_role_arn=execution_role.arn,
            task_role_arn=task.task_role_arn,
            task_definition_arn=task.arn,
            task_definition_family=task.family,
            log_group_name=task.log_group_name,
            container_secrets=container_secrets,
        )
        self.register_outputs(vars(self.outputs))
