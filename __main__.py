"""One stack of the ticketing system's secrets: settings -> components -> outputs."""

import pulumi
import pulumi_aws as aws

import outputs
import pricing
import settings
from components import _policies
from components._key_policy import key_policy
from components._location import Location
from components.app_secrets import AppSecrets
from components.encryption import Encryption
from components.execution_role import ExecutionRole
from components.redeployment import Redeployment
from components.task_definition import TaskDefinition

config = settings.load()
prefix = config.prefix
log_group_name = f"/ecs/{prefix}"
execution_role_name = f"{prefix}-execution"

partition, region = aws.get_partition(), aws.get_region()
location = Location(partition.partition, region.region, aws.get_caller_identity().account_id, partition.dns_suffix)

key_arn = None
if config.encryption == "customer-managed":
    key_arn = Encryption(
        "encryption",
        alias=prefix,
        policy=key_policy(location, prefix=prefix, log_group_names=[log_group_name], adopted_arns=tuple(config.adopt.values())),
        deletion_window_in_days=config.key_deletion_window_in_days,
        protect=config.protect,
    ).key_arn

secrets = AppSecrets(
    "secrets",
    catalogue=config.catalogue,
    project=config.project,
    stack=config.stack,
    values=config.values,
    generations=config.generations,
    rotated=[name for name in [settings.rotated_secret(config.rotation)] if name],
    adopted=config.adopt,
    resource_policy=_policies.document([_policies.require_tls()]),
    recovery_window_in_days=config.recovery_window_in_days,
    protect=config.protect,
    kms_key_arn=key_arn,
    replicas={name: config.replica_kms_keys.get(name) for name in config.replica_regions},
)
secret_arns = {secrets.names[name]: arn for name, arn in secrets.arns.items()}

execution_role = ExecutionRole(
    "execution-role",
    role_name=execution_role_name,
    location=location,
    secret_arns=secret_arns,
    log_group_name=log_group_name,
    image=config.image,
    kms_key_arns={location.region: key_arn} if key_arn else {},
    replica_regions=config.replica_regions if config.grant_replicas else (),
    bind_trust_to_account=config.confused_deputy_protection,
    permissions_boundary=config.permissions_boundary,
)
task_definition = TaskDefinition(
    "task-definition",
    family=prefix,
    location=location,
    image=config.image,
    port=config.container_port,
    cpu=config.cpu,
    memory=config.memory,
    cpu_architecture=config.cpu_architecture,
    environment={**config.environment, "DATABASE_HOST": config.database_host, "REDIS_HOST": config.redis_host},
    secrets=secrets.references,
    version_ids=secrets.version_ids.values(),
    execution_role_arn=execution_role.arn,
    log_group_name=log_group_name,
    log_retention_in_days=config.log_retention_in_days,
    kms_key_arn=key_arn,
    permissions_boundary=config.permissions_boundary,
)
if config.redeploy:
    Redeployment(
        "redeployment",
        prefix=prefix,
        location=location,
        cluster=config.redeploy.cluster,
        service=config.redeploy.service,
        secret_arns=secret_arns,
        permissions_boundary=config.permissions_boundary,
    )

cost = pricing.fixed_items(
    secrets=len(secrets.arns), replica_regions=len(config.replica_regions), customer_managed_keys=1 if key_arn else 0
)
pulumi.export(outputs.ENVIRONMENT, config.stack)
pulumi.export(outputs.SECRET_ARNS, secrets.arns)
pulumi.export(outputs.SECRET_NAMES, secrets.names)
pulumi.export(outputs.CONTAINER_SECRETS, secrets.references)
pulumi.export(outputs.EXECUTION_ROLE_ARN, execution_role.arn)
pulumi.export(outputs.TASK_ROLE_ARN, task_definition.task_role_arn)
pulumi.export(outputs.TASK_DEFINITION_ARN, task_definition.arn)
pulumi.export(outputs.TASK_DEFINITION_FAMILY, task_definition.family)
pulumi.export(outputs.LOG_GROUP_NAME, task_definition.log_group_name)
pulumi.export(outputs.KMS_KEY_ARN, key_arn)
pulumi.export(outputs.ALARM_TOPIC_ARN, None)
pulumi.export(outputs.MONTHLY_COST_USD, pricing.total(cost))
