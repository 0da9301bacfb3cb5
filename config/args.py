"""The args of each component, from the stack's settings: pure functions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

import pulumi

from components import labels, outputs
from components.app_secrets import SecretArgs, SecretsArgs, ValueArgs
from components.audit import AuditArgs
from components.encryption import EncryptionArgs
from components.execution_role import ExecutionRoleArgs
from components.location import Location
from components.names import ServiceNames
from components.policies.deployer import Deployment
from components.policies.resource import reader_policy
from components.redeployment import RedeploymentArgs
from components.rotation import RotationArgs
from components.secret import Secret, foreign
from components.service import ServiceArgs
from components.task_definition import HealthCheckArgs, TaskDefinitionArgs
from components.value_plan import PREVIOUS_SUFFIX
from config.declarations import (
    Constant,
    Declaration,
    External,
    ForeignSecret,
    Generated,
    JsonSecret,
    Source,
    TextSecret,
    accepted_by,
    references_of,
)
from config.parts import parts_of
from config.settings import AuditSettings, RedeploySettings, RotationSettings, ServiceSettings, Settings

Text = pulumi.Input[str]

_AWS_KEY = "alias/aws/secretsmanager"


class _Common(TypedDict):
    """The args of every component that has a role and a log group."""

    log_retention_in_days: int
    location: Location
    log_kms_key_arn: NotRequired[Text]
    permissions_boundary: NotRequired[str]


class _OfService(_Common):
    """The args of every part of a service."""

    prefix: str
    reads: list[Secret]


def foreign_secrets(settings: Settings) -> dict[str, Secret]:
    """Return the foreign secrets, by name in the catalogue."""
    return {
        secret.name: foreign(
            secret.name, settings.foreign_arns[secret.name], secret.owner, settings.secret_kms_keys.get(secret.name)
        )
        for secret in settings.foreign
    }


def described_secrets(settings: Settings, secrets: Mapping[str, Secret]) -> dict[str, outputs.Secret[Any]]:
    """Return what the stack's outputs say of each secret, by name in the catalogue: never a value.

    Args:
        settings: The stack's settings.
        secrets: The stack's secrets and the foreign ones, by name.
    """
    return {
        entry.name: outputs.Secret[Any](
            arn=secrets[entry.name].arn,
            full_name=secrets[entry.name].full_name,
            owner=secrets[entry.name].owner,
            region=secrets[entry.name].region,
            json=bool(entry.keys) if isinstance(entry, ForeignSecret) else isinstance(entry, JsonSecret),
            parts=parts_of(entry, settings.generations),
            kms_key_arn=secrets[entry.name].kms_key_arn,
        )
        for entry in (*settings.catalogue, *settings.foreign)
    }


def secrets(settings: Settings, location: Location, caller_arn: str, key_arn: Text | None) -> SecretsArgs:
    """Return the stack's secrets.

    Args:
        settings: The stack's settings.
        location: The account and Region.
        caller_arn: The caller's ARN from `sts:GetCallerIdentity`: `restrictReaders` must not lock it out.
        key_arn: The stack's own key, if there is one.

    Raises:
        PolicyError: When the policy of `restrictReaders` would lock out a required principal, or AWS would refuse it.
    """
    args: SecretsArgs = {
        "secrets": {declaration.name: _secret(settings, declaration) for declaration in settings.catalogue},
        "replica_regions": settings.replica_regions,
        "replica_kms_keys": settings.replica_kms_keys,
        "recovery_window_in_days": settings.recovery_window_in_days,
        "protect": settings.protect,
        "location": location,
    }
    if settings.restrict_readers:
        args["policy"] = reader_policy(
            execution_role_arns=settings.execution_role_arns(location),
            rotation_role_arn=settings.rotation_role_arn(location),
            trusted_readers=settings.audit.trusted_readers if settings.audit else (),
            break_glass_roles=settings.break_glass_roles,
            deployer_roles=settings.deployer_roles,
            caller_arn=caller_arn,
        )
    if key_arn is not None:
        args["kms_key_arn"] = key_arn
    if settings.encryption == "returning-to-aws-managed":
        args["kms_key_id"] = _AWS_KEY
    return args


def encryption(settings: Settings, location: Location) -> EncryptionArgs:
    """Return what the stack's own key encrypts."""
    names, audit = settings.names, settings.names.audit(location)
    redeployed = settings.redeploy.services if settings.redeploy else ()
    log_groups = [
        *(names.service(service).log_group for service in settings.services),
        *(names.service(service).redeploy_log_group for service in redeployed),
        *([names.rotation_log_group] if settings.rotation else ()),
        *([audit.log_group] if settings.own_trail else ()),
    ]
    returning = settings.encryption == "returning-to-aws-managed"
    args: EncryptionArgs = {
        "prefix": names.prefix,
        "secret_arns": list(settings.adopt.values()),
        "log_group_names": log_groups,
        "topic_names": [audit.topic] if settings.audit else [],
        "deletion_window_in_days": settings.key_deletion_window_in_days,
        "administrator_arns": [*settings.deployer_roles, location.role_arn(names.deployer)],
        # While the stack returns to AWS's key, this key leaves Pulumi and stays in AWS until nothing needs it any more.
        "protect": settings.protect and not returning,
        "retain_on_delete": returning,
        "location": location,
    }
    if settings.own_trail:
        args["trail_name"] = audit.trail
    return args


def audit(
    settings: Settings,
    asked: AuditSettings,
    location: Location,
    secrets: Mapping[str, Secret],
    kms_key_arn: Text | None,
) -> AuditArgs:
    """Return what the audit watches: the stack's own secrets, adopted ones included."""
    args: AuditArgs = {
        "prefix": settings.names.prefix,
        "secrets": list(secrets.values()),
        "execution_role_arns": settings.execution_role_arns(location),
        "deployer_arns": settings.deployer_roles,
        "trusted_reader_arns": asked.trusted_readers,
        "ecs_services": [f"{cluster}/{service}" for cluster, service in settings.ecs_services],
        "alarm_emails": asked.alarm_emails,
        "expected_reads_per_hour": asked.expected_reads_per_hour,
        "log_retention_in_days": asked.log_retention_in_days,
        "keep_log_files": settings.protect,
        "location": location,
    }
    if rotation_role_arn := settings.rotation_role_arn(location):
        args["rotation_role_arn"] = rotation_role_arn
    if asked.log_group_name:
        args["existing_log_group_name"] = asked.log_group_name
    if kms_key_arn is not None:
        args["kms_key_arn"] = kms_key_arn
    if settings.permissions_boundary:
        args["permissions_boundary"] = settings.permissions_boundary
    if asked.state_key_arn:
        account = Deployment(settings.names, location, frozenset(), asked.state_key_arn, {})
        pipeline = [location.role_arn(role) for role in account.pipeline_roles]
        args["state_bucket_name"] = account.state_bucket
        args["state_key_arn"] = asked.state_key_arn
        args["state_key_alias"] = account.config_alias
        args["state_reader_arns"] = sorted({*pipeline, *asked.state_readers, *settings.break_glass_roles})
    return args


def rotation(
    settings: Settings,
    asked: RotationSettings,
    location: Location,
    secrets: Mapping[str, Secret],
    log_kms_key_arn: Text | None,
) -> RotationArgs:
    """Return which secret rotates and how; `secrets` includes foreign ones."""
    args: RotationArgs = {
        "prefix": settings.names.prefix,
        "secret": secrets[asked.secret],
        "strategy": asked.strategy,
        "engine": asked.engine,
        "host": asked.host,
        "port": asked.port,
        "dbname": asked.dbname,
        "username": asked.username,
        "schedule": asked.schedule,
        "duration": asked.duration,
        "subnet_ids": list(asked.subnet_ids),
        "security_group_ids": list(asked.security_group_ids),
        "grants": asked.grants,
        **_common(settings, location, log_kms_key_arn),
    }
    if asked.superuser:
        args["superuser"] = secrets[asked.superuser]
    if asked.certificate_bundle:
        args["certificate_bundle"] = Path(asked.certificate_bundle).read_text("utf-8")
    return args


def service(
    settings: Settings,
    name: str,
    location: Location,
    secrets: Mapping[str, Secret],
    *,
    log_kms_key_arn: Text | None = None,
    alarm_topic_arn: Text | None = None,
) -> ServiceArgs:
    """Return one service's parts.

    Args:
        settings: The stack's settings.
        name: The service's name in the catalogue.
        location: The account and Region.
        secrets: Every secret by name in the catalogue, foreign ones included.
        log_kms_key_arn: The customer-managed key of the log groups, if any.
        alarm_topic_arn: Where a failed redeployment is reported, if anywhere.
    """
    names, own = settings.names.service(name), settings.services[name]
    # IAM grants whole secrets, so each is named once.
    entries = [
        *references_of(settings.catalogue, name).values(),
        *references_of(settings.foreign, name).values(),
    ]
    common: _OfService = {
        "prefix": names.family,
        "reads": [secrets[entry] for entry in sorted({entry.name for entry, _ in entries})],
        **_common(settings, location, log_kms_key_arn),
    }
    args: ServiceArgs = {
        "execution_role": _execution_role(settings, own, common),
        "task_definition": _task_definition(own, name, _container_secrets(settings, name, secrets), common),
    }
    if settings.redeploy and name in settings.redeploy.services:
        args["redeployment"] = _redeployment(settings.redeploy, name, names, location, common)
        if alarm_topic_arn is not None:
            args["redeployment"]["alarm_topic_arn"] = alarm_topic_arn
    return args


def _secret(settings: Settings, declaration: Declaration) -> SecretArgs:
    name = declaration.name
    args: SecretArgs = {"full_name": settings.names.secret(name), "description": _description(declaration)}
    if name in settings.adopt:
        args["adopt_arn"] = settings.adopt[name]
        if key := settings.secret_kms_keys.get(name):
            args["kms_key_arn"] = key
    if settings.rotation and settings.rotation.secret == name:
        args["rotated"] = True
    referenced = {key for _, key in declaration.references()}
    if isinstance(declaration, TextSecret) and not isinstance(declaration.source, External):
        args["text"] = _value(settings, declaration.source, referenced=False)
    elif isinstance(declaration, JsonSecret) and isinstance(declaration.keys, Mapping):
        args["json"] = {
            key: _value(settings, source, referenced=key in referenced) for key, source in declaration.keys.items()
        }
    return args


def _value(settings: Settings, source: Source, *, referenced: bool) -> ValueArgs:
    args: ValueArgs = {"referenced": referenced}
    if isinstance(source, Constant):
        args["constant"] = source.value
        return args
    args["config_key"] = key = getattr(source, "config_key", "")
    if acceptor := accepted_by(source):
        args["accepted_by"] = acceptor
    if key in settings.values:
        args["value"] = pulumi.Output.secret(settings.values[key])
    if isinstance(source, Generated):
        args["length"] = source.length
        args["number"] = settings.generations.get(key, 1)
        args["keeps_previous"] = source.holds_previous
        args["previous_referenced"] = referenced and bool(source.keeps_previous)
    else:
        args["supplied"] = True
    return args


def _description(declaration: Declaration) -> str:
    variables = ", ".join(variable for variable, _ in declaration.references())
    return f"Container variables: {variables}" if variables else "In no container variable"


def _container_secrets(settings: Settings, service: str, secrets: Mapping[str, Secret]) -> dict[str, Text]:
    """Return the `valueFrom` by container variable.

    `<NAME>_PREVIOUS` is among them only once there is a previous value: a reference to a missing key or label stops the task from
    starting.
    """
    found: dict[str, Text] = {}
    for entry in (*settings.catalogue, *settings.foreign):
        secret = secrets[entry.name]
        for variable, key in entry.references(service):
            found[variable] = secret.value_from(key)
            source = entry.source_of(key) if isinstance(entry, TextSecret | JsonSecret) else None
            if (
                isinstance(source, Generated)
                and source.keeps_previous
                and settings.generations.get(source.config_key, 1) > 1
            ):
                previous = {"stage": labels.PREVIOUS} if key is None else {"key": key + PREVIOUS_SUFFIX}
                found[variable + PREVIOUS_SUFFIX] = secret.value_from(**previous)
    return found


def _execution_role(settings: Settings, own: ServiceSettings, common: _OfService) -> ExecutionRoleArgs:
    args: ExecutionRoleArgs = {
        "prefix": common["prefix"],
        "reads": common["reads"],
        "images": [own.image, *(sidecar["image"] for sidecar in own.sidecars.values())],
        "bind_trust_to_account": settings.confused_deputy_protection,
        "location": common["location"],
    }
    if settings.grant_replicas:
        args["replica_regions"], args["replica_kms_keys"] = settings.replica_regions, settings.replica_kms_keys
    if settings.permissions_boundary:
        args["permissions_boundary"] = settings.permissions_boundary
    return args


def _task_definition(
    own: ServiceSettings, name: str, secrets: Mapping[str, Text], common: _OfService
) -> TaskDefinitionArgs:
    args: TaskDefinitionArgs = {
        **common,
        "image": own.image,
        "secrets": secrets,
        "environment": own.environment,
        "container_name": name,
        "container_port": own.container_port,
        "cpu": own.cpu,
        "memory": own.memory,
        "cpu_architecture": own.cpu_architecture,
        "command": own.command,
        "readonly_root_filesystem": own.readonly_root_filesystem,
        "log_mode": own.log_mode,
    }
    if own.health_check:
        args["health_check"] = cast("HealthCheckArgs", own.health_check)
    if own.sidecars:
        log_group, region = ServiceNames(common["prefix"]).log_group, common["location"].region
        args["sidecars"] = [_sidecar(name, sidecar, log_group, region) for name, sidecar in own.sidecars.items()]
    return args


def _sidecar(name: str, sidecar: Mapping[str, Any], log_group: str, region: str) -> dict[str, Any]:
    """Return a further container as ECS takes it; it logs where the service does."""
    options = {"awslogs-group": log_group, "awslogs-region": region, "awslogs-stream-prefix": name}
    return {
        **sidecar,
        "name": name,
        "environment": [{"name": key, "value": value} for key, value in sorted(sidecar["environment"].items())],
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }


def _redeployment(
    redeploy: RedeploySettings, service: str, names: ServiceNames, location: Location, common: _OfService
) -> RedeploymentArgs:
    return {
        **common,
        "cluster": redeploy.cluster,
        "service": redeploy.services[service],
        "family": names.family,
        "pass_role_arns": [location.role_arn(role) for role in (names.execution_role, names.task_role)],
    }


def _common(settings: Settings, location: Location, log_kms_key_arn: Text | None) -> _Common:
    given: _Common = {"log_retention_in_days": settings.log_retention_in_days, "location": location}
    if log_kms_key_arn is not None:
        given["log_kms_key_arn"] = log_kms_key_arn
    if settings.permissions_boundary:
        given["permissions_boundary"] = settings.permissions_boundary
    return given
