"""One stack of the ticketing system's secrets: settings -> components -> outputs."""

import pulumi
import pulumi_aws as aws

from catalogue import DATABASE_MASTER
from components._audit_patterns import Metric
from components.app_secrets import AppSecrets
from components.audit import Audit
from components.encryption import Encryption
from components.execution_role import ExecutionRole
from components.redeployment import Redeployment
from components.reminder import Reminder
from components.rotation import Rotation
from components.task_definition import TaskDefinition
from config import settings
from model import outputs, pricing
from model.declarations import supplied_config_keys
from model.location import Location
from policies import identity
from policies.key import key_policy
from policies.resource import reader_policy
from policies.trail import AuditNames

config = settings.load()
prefix = config.prefix
rotated = settings.rotated_secret(config.rotation)
partition, region, caller = aws.get_partition(), aws.get_region(), aws.get_caller_identity()
location = Location(partition.partition, region.region, caller.account_id, partition.dns_suffix)

# Names and ARNs that policies need before the resources exist.
audit_names = AuditNames(prefix, location)
log_group_name = f"/ecs/{prefix}"
function_name = f"{prefix}-rotation"
execution_role_name = f"{prefix}-execution"
execution_role_arn = location.role_arn(execution_role_name)
rotation_role_arn = location.role_arn(function_name) if config.rotation else None

key_arn = None
if config.encryption != "aws-managed":
    log_group_names = [log_group_name]
    log_group_names += [f"/aws/lambda/{function_name}"] if config.rotation else []
    own_trail = config.audit is not None and config.audit.trail == "create"
    log_group_names += [audit_names.log_group] if own_trail else []
    key_arn = Encryption(
        "encryption",
        alias=prefix,
        policy=key_policy(
            location,
            prefix=prefix,
            log_group_names=log_group_names,
            topic_arns=[audit_names.topic_arn] if config.audit else [],
            trail_arn=audit_names.trail_arn if own_trail else None,
            adopted_arns=tuple(config.adopt.values()),
        ),
        deletion_window_in_days=config.key_deletion_window_in_days,
        protect=config.protect,
    ).key_arn

# Taking the key away from a secret changes nothing at AWS: the provider sends no key at all. So a stack goes back in two steps,
# first to AWS's key by name while its own still exists, then without either.
returning = config.encryption == "returning-to-aws-managed"
encryption_key = "alias/aws/secretsmanager" if returning else key_arn
log_key = None if returning else key_arn

if config.restrict_readers:
    resource_policy = reader_policy(
        execution_role_arn=execution_role_arn,
        rotation_role_arn=rotation_role_arn,
        trusted_readers=config.audit.trusted_readers if config.audit else (),
        break_glass_roles=config.break_glass_roles,
        deployer_roles=config.deployer_roles,
        caller_arn=caller.arn,
    )
else:
    resource_policy = identity.document([identity.require_tls()])
secrets = AppSecrets(
    "secrets",
    catalogue=config.catalogue,
    project=config.project,
    stack=config.stack,
    values=config.values,
    generations=config.generations,
    rotated=[rotated] if rotated else [],
    adopted=config.adopt,
    resource_policy=resource_policy,
    recovery_window_in_days=config.recovery_window_in_days,
    protect=config.protect,
    kms_key_id=encryption_key,
    replicas={name: config.replica_kms_keys.get(name) for name in config.replica_regions},
)
secret_arns = {secrets.names[name]: arn for name, arn in secrets.arns.items()}

execution_role = ExecutionRole(
    "execution-role",
    role_name=execution_role_name,
    location=location,
    # Only what the container references: the master's password, say, is none of the task's business with alternating users.
    secret_arns={secrets.names[d.name]: secrets.arns[d.name] for d in config.catalogue if any(d.references())},
    log_group_name=log_group_name,
    image=config.image,
    kms_key_arns={
        **({location.region: key_arn} if key_arn else {}),
        **(config.replica_kms_keys if config.grant_replicas else {}),
    },
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
    kms_key_arn=log_key,
    permissions_boundary=config.permissions_boundary,
)
topic_arn = None
alarms = 0
if config.audit:
    topic_arn = Audit(
        "audit",
        prefix=prefix,
        location=location,
        secret_arns=secret_arns,
        execution_role_arns=[execution_role_arn],
        rotation_role_arn=rotation_role_arn,
        kms_key_arn=log_key,
        settings=config.audit,
        deployer_roles=config.deployer_roles,
        ecs_services=[(config.redeploy.cluster, config.redeploy.service)] if config.redeploy else [],
        permissions_boundary=config.permissions_boundary,
        delete_log_files=not config.protect,
    ).topic_arn
    alarms += len(Metric)
if config.rotation and rotated:
    Rotation(
        "rotation",
        function_name=function_name,
        location=location,
        secret_arn=secrets.arns[rotated],
        superuser_secret_arn=secrets.arns[DATABASE_MASTER] if config.rotation.strategy == "alternating-users" else None,
        database_host=config.database_host,
        settings=config.rotation,
        log_retention_in_days=config.log_retention_in_days,
        kms_key_arn=log_key,
        permissions_boundary=config.permissions_boundary,
    )
if config.remind_every_days and topic_arn:
    Reminder(
        "reminder",
        prefix=prefix,
        location=location,
        every_days=config.remind_every_days,
        config_keys=supplied_config_keys(config.catalogue),
        topic_arn=topic_arn,
        kms_key_arn=log_key,
        permissions_boundary=config.permissions_boundary,
    )
if config.redeploy:
    alarms += Redeployment(
        "redeployment",
        prefix=prefix,
        location=location,
        cluster=config.redeploy.cluster,
        service=config.redeploy.service,
        secret_arns=secret_arns,
        alarm_topic_arn=topic_arn,
        permissions_boundary=config.permissions_boundary,
    ).alarm_count

cost = pricing.fixed_items(
    secrets=len(secrets.arns),
    replica_regions=len(config.replica_regions),
    customer_managed_keys=1 if key_arn else 0,
    metrics=len(Metric) if config.audit else 0,
    alarms=alarms,
    dashboards=1 if config.audit else 0,
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
pulumi.export(outputs.ALARM_TOPIC_ARN, topic_arn)
pulumi.export(outputs.MONTHLY_COST_USD, pricing.total(cost))
