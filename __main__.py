"""One stack of the application's secrets: settings -> components -> outputs."""

import pulumi
import pulumi_aws as aws

from catalogue import APPLICATION
from components import errors
from components.app_secrets import AppSecrets
from components.audit import Audit
from components.encryption import Encryption
from components.execution_role import ExecutionRole
from components.redeployment import Redeployment
from components.reminder import Reminder
from components.rotation import Rotation
from components.task_definition import TaskDefinition
from config import settings
from model import pricing
from model.declarations import references_of, supplied_config_keys
from model.location import Location, region_of
from model.outputs import Outputs, Service
from model.references import value_from
from policies import identity
from policies.key import key_policy
from policies.resource import reader_policy
from policies.trail import AuditNames

config = settings.load(APPLICATION)
names, rotation, audit = config.names, config.rotation, config.audit
partition, region, caller = aws.get_partition(), aws.get_region(), aws.get_caller_identity()
location = Location(partition.partition, region.region, caller.account_id, partition.dns_suffix)
audit_names = AuditNames(names.prefix, location)
own_trail = audit is not None and audit.trail == "create"
execution_role_arns = [location.role_arn(names.service(name).execution_role) for name in config.services]
rotation_role_arn = location.role_arn(names.rotation) if rotation else None

key_arn = None
if config.encryption != "aws-managed":
    log_groups = [names.service(name).log_group for name in config.services]
    log_groups += [names.rotation_log_group] if rotation else []
    log_groups += [audit_names.log_group] if own_trail else []
    key_arn = Encryption(
        "encryption",
        alias=names.prefix,
        policy=key_policy(
            location,
            prefix=names.prefix,
            log_group_names=log_groups,
            topic_arns=[audit_names.topic_arn] if audit else [],
            trail_arn=audit_names.trail_arn if own_trail else None,
            adopted_arns=tuple(config.adopt.values()),
        ),
        deletion_window_in_days=config.key_deletion_window_in_days,
        protect=config.protect,
        restored_key_arn=config.restored_key_arn,
    ).key_arn
# Taking the key away from a secret changes nothing at AWS: the provider sends no key at all. So a stack goes back in two steps,
# first to AWS's key by name while its own still exists, then without either.
returning = config.encryption == "returning-to-aws-managed"
log_key = None if returning else key_arn

resource_policy = identity.document([identity.require_tls()])
if config.restrict_readers:
    with errors.readable():
        resource_policy = reader_policy(
            execution_role_arns=execution_role_arns,
            rotation_role_arn=rotation_role_arn,
            trusted_readers=audit.trusted_readers if audit else (),
            break_glass_roles=config.break_glass_roles,
            deployer_roles=config.deployer_roles,
            caller_arn=caller.arn,
        )
secrets = AppSecrets(
    "secrets",
    catalogue=config.catalogue,
    names=names,
    services=tuple(config.services),
    values=config.values,
    generations=config.generations,
    rotated=[rotation.secret] if rotation else [],
    adopted=config.adopt,
    restored=config.restored,
    resource_policy=resource_policy,
    recovery_window_in_days=config.recovery_window_in_days,
    protect=config.protect,
    kms_key_id="alias/aws/secretsmanager" if returning else key_arn,
    replicas={name: config.replica_kms_keys.get(name) for name in config.replica_regions},
)

topic_arn = None
if audit:
    topic_arn = Audit(
        "audit",
        prefix=names.prefix,
        location=location,
        secret_arns={secrets.names[name]: arn for name, arn in secrets.arns.items()},
        execution_role_arns=execution_role_arns,
        rotation_role_arn=rotation_role_arn,
        kms_key_arn=log_key,
        settings=audit,
        deployer_roles=config.deployer_roles,
        ecs_services=[(config.redeploy.cluster, service) for service in config.redeploy.services.values()]
        if config.redeploy
        else [],
        permissions_boundary=config.permissions_boundary,
        delete_log_files=not config.protect,
    ).topic_arn


def key_of(secret: str) -> pulumi.Input[str] | None:
    """Return the customer-managed key that a secret is encrypted with, None for AWS's own."""
    own = secret not in config.adopt and secret not in config.foreign_arns
    return key_arn if own else config.secret_kms_keys.get(secret)


services: dict[str, Service[pulumi.Input[str]]] = {}
redeployments: list[Redeployment] = []
for name, service in config.services.items():
    own = names.service(name)
    # Only what the container references: IAM grants whole secrets, so each is named once.
    referenced = sorted({entry.name for entry, _ in references_of(config.catalogue, name).values()})
    secret_arns = {secrets.names[secret]: secrets.arns[secret] for secret in referenced}
    foreign = references_of(config.foreign, name)
    foreign_arns = {entry.name: config.foreign_arns[entry.name] for entry, _ in foreign.values()}
    container_secrets = {
        **secrets.references[name],
        **{variable: value_from(foreign_arns[entry.name], key) for variable, (entry, key) in foreign.items()},
    }
    key_arns: dict[str, list[pulumi.Input[str]]] = {location.region: [key_arn]} if key_arn else {}
    if config.grant_replicas:
        key_arns |= {region: [key] for region, key in config.replica_kms_keys.items()}
    for key in dict.fromkeys(config.secret_kms_keys.get(secret) for secret in (*referenced, *foreign_arns)):
        if key:
            key_arns.setdefault(region_of(key), []).append(key)
    execution_role = ExecutionRole(
        f"{name}-execution-role",
        names=own,
        location=location,
        secret_arns=secret_arns,
        foreign_secret_arns=tuple(foreign_arns.values()),
        image=service.image,
        kms_key_arns=key_arns,
        replica_regions=config.replica_regions if config.grant_replicas else (),
        bind_trust_to_account=config.confused_deputy_protection,
        permissions_boundary=config.permissions_boundary,
    )
    task = TaskDefinition(
        f"{name}-task-definition",
        service=name,
        names=own,
        location=location,
        settings=service,
        secrets=container_secrets,
        version_ids=[secrets.version_ids[secret] for secret in referenced if secret in secrets.version_ids],
        execution_role_arn=execution_role.arn,
        log_retention_in_days=config.log_retention_in_days,
        kms_key_arn=log_key,
        permissions_boundary=config.permissions_boundary,
    )
    services[name] = Service(
        execution_role_arn=execution_role.arn,
        task_role_arn=task.task_role_arn,
        task_definition_arn=task.arn,
        task_definition_family=task.family,
        log_group_name=task.log_group_name,
        container_secrets=container_secrets,
    )
    if config.redeploy and name in config.redeploy.services:
        redeployments.append(
            Redeployment(
                f"{name}-redeployment",
                names=own,
                location=location,
                cluster=config.redeploy.cluster,
                service=config.redeploy.services[name],
                # The event of a new value reaches only the account and Region that the secret is in.
                secret_arns=secret_arns
                | {
                    secret: arn
                    for secret, arn in foreign_arns.items()
                    if arn.startswith(location.arn("secretsmanager", ""))
                },
                alarm_topic_arn=topic_arn,
                permissions_boundary=config.permissions_boundary,
            )
        )

if rotation:
    Rotation(
        "rotation",
        names=names,
        location=location,
        secret_arn=secrets.arns[rotation.secret],
        superuser_secret_arn={**secrets.arns, **config.foreign_arns}[rotation.superuser]
        if rotation.superuser
        else None,
        secret_key_arn=key_of(rotation.secret),
        superuser_key_arn=key_of(rotation.superuser) if rotation.superuser else None,
        settings=rotation,
        log_retention_in_days=config.log_retention_in_days,
        kms_key_arn=log_key,
        permissions_boundary=config.permissions_boundary,
    )
if config.remind_every_days and topic_arn:
    Reminder(
        "reminder",
        names=names,
        location=location,
        every_days=config.remind_every_days,
        config_keys=supplied_config_keys(config.catalogue),
        topic_arn=topic_arn,
        kms_key_arn=log_key,
        permissions_boundary=config.permissions_boundary,
    )

cost = pricing.fixed_items(
    secrets=len(secrets.arns),
    replica_regions=len(config.replica_regions),
    customer_managed_keys=1 if key_arn else 0,
    metrics=Audit.metric_count if audit else 0,
    alarms=(Audit.metric_count if audit else 0) + sum(r.alarm_count for r in redeployments),
    dashboards=1 if audit else 0,
)
stack_outputs = Outputs[pulumi.Input[str]](
    environment=names.stack,
    secret_arns=secrets.arns,
    secret_names=secrets.names,
    services=services,
    monthly_cost_usd=pricing.total(cost),
    kms_key_arn=key_arn,
    alarm_topic_arn=topic_arn,
    foreign_secret_arns=config.foreign_arns,
    secret_kms_key_arns=config.secret_kms_keys,
)
for output, value in stack_outputs.exports():
    pulumi.export(output, value)
