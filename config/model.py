"""The configuration of one stack, complete and valid, as frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from components.limits import MIN_LOG_FILE_DAYS
from components.location import Location
from components.names import Names
from config.declarations import Catalogue, ForeignSecret

Encryption = Literal["aws-managed", "customer-managed", "returning-to-aws-managed"]
Strategy = Literal["single-user", "alternating-users"]
Architecture = Literal["X86_64", "ARM64"]


@dataclass(frozen=True)
class ServiceSettings:
    """How one service's task runs. Sizes: `cpu` in CPU units (1024 a vCPU), `memory` in MiB.

    Attributes:
        image: Image with a tag or digest.
        environment: Every plain variable, those that the catalogue declares among them.
        container_port: TCP port that the application listens on.
        cpu: CPU units.
        memory: MiB.
        cpu_architecture: What the image is built for.
        command: The container's command instead of the image's, if any.
        readonly_root_filesystem: Whether the container can write to /tmp alone.
        log_mode: `non-blocking` or `blocking`; "" takes the account's default.
        health_check: How ECS checks the container's health, if at all.
        sidecars: The further containers by name: `image`, `environment` by variable, and fields as ECS takes them.
    """

    image: str
    environment: Mapping[str, str]
    container_port: int
    cpu: int
    memory: int
    cpu_architecture: Architecture
    command: tuple[str, ...]
    readonly_root_filesystem: bool
    log_mode: str
    health_check: Mapping[str, Any] | None
    sidecars: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


@dataclass(frozen=True)
class RotationSettings:
    """The secret that a function rotates, and how.

    Attributes:
        secret: The secret that rotates, by its name in the catalogue.
        superuser: The secret that signs in for it (alternating-users), by its name in the catalogue.
        schedule: A `cron(...)` expression in UTC.
        duration: Length of the window that the schedule opens, such as `1h`.
        strategy: `single-user` changes the password of the user that signs in; `alternating-users` alternates two users.
        subnet_ids: Private subnets that reach the database and Secrets Manager.
        security_group_ids: Groups of the function; the database's group must allow them.
        engine: The kind of database: one of `components.engines`.
        host: The server's host name, as in its certificate.
        port: TCP port.
        dbname: The database that the function signs in to.
        username: The user that the sign-in secret belongs to, if that secret is a text; "" if it is JSON, which holds the name.
        certificate_bundle: Path of a PEM file to verify the server's TLS certificate with, "" for the function's own.
        grants: The application user's privileges if the function creates it, such as `USAGE, CREATE ON SCHEMA public`
            (alternating-users); empty: the function creates no user.
    """

    secret: str
    superuser: str | None
    schedule: str
    duration: str
    strategy: Strategy
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    engine: str
    host: str
    port: int
    dbname: str
    username: str
    certificate_bundle: str
    grants: tuple[str, ...] = ()


@dataclass(frozen=True)
class RedeploySettings:
    """The ECS services that restart their tasks when the value of one of their secrets changes.

    Attributes:
        cluster: The ECS cluster's name.
        services: The ECS service's name by the service's name in the catalogue.
    """

    cluster: str
    services: Mapping[str, str]


@dataclass(frozen=True)
class AuditSettings:
    """What the audit records and whom it alerts.

    Attributes:
        trail: `create` creates a trail; `existing` reads the log group of an organization's trail.
        log_group_name: The log group, with `existing`.
        alarm_emails: Subscribers of the alarm topic; each confirms by e-mail.
        trusted_readers: ARNs of roles or users whose reads raise no alarm.
        expected_reads_per_hour: Total reads an hour above which an alarm fires.
        log_retention_in_days: Days that the trail's log group keeps events.
        state_key_arn: ARN of the key that account/ creates for the state, if the audit watches the state.
        state_readers: ARNs of roles and users, besides the pipeline's roles, that read the state.
    """

    trail: Literal["create", "existing"]
    log_group_name: str | None
    alarm_emails: tuple[str, ...]
    trusted_readers: tuple[str, ...]
    expected_reads_per_hour: int
    log_retention_in_days: int
    state_key_arn: str | None = None
    state_readers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """The configuration of one stack, complete and valid.

    `values` holds the secrets that the configuration sets, by configuration key, in the clear: it is kept out of `repr`.
    `catalogue` has the secrets of this stack, adopted ones as external; `foreign` those that it reads but does not own.
    `foreign_arns` has their ARNs by name, `secret_kms_keys` the customer-managed keys of adopted and foreign secrets by name.
    """

    names: Names
    catalogue: Catalogue
    foreign: tuple[ForeignSecret, ...]
    services: Mapping[str, ServiceSettings]
    log_retention_in_days: int
    values: Mapping[str, str] = field(repr=False)
    generations: Mapping[str, int]
    adopt: Mapping[str, str]
    foreign_arns: Mapping[str, str]
    secret_kms_keys: Mapping[str, str]
    recovery_window_in_days: int
    protect: bool
    encryption: Encryption
    replica_regions: tuple[str, ...]
    replica_kms_keys: Mapping[str, str]
    grant_replicas: bool
    permissions_boundary: str | None
    confused_deputy_protection: bool
    restrict_readers: bool
    break_glass_roles: tuple[str, ...]
    deployer_roles: tuple[str, ...]
    rotation: RotationSettings | None
    redeploy: RedeploySettings | None
    audit: AuditSettings | None

    def execution_role_arns(self, location: Location) -> list[str]:
        """Return the ARNs of the roles that start the services' tasks, known before the roles exist."""
        return [location.role_arn(self.names.service(name).execution_role) for name in self.services]

    def rotation_role_arn(self, location: Location) -> str | None:
        """Return the ARN of the rotation function's role, None without a rotation."""
        return location.role_arn(self.names.rotation) if self.rotation else None

    @property
    def key_deletion_window_in_days(self) -> int:
        """Days in which the deletion of the stack's key can be cancelled; short for a stack that is not protected."""
        return 30 if self.protect else 7

    @property
    def own_trail(self) -> bool:
        """Whether the stack creates its own trail."""
        return self.audit is not None and self.audit.trail == "create"

    @property
    def ecs_services(self) -> tuple[tuple[str, str], ...]:
        """Cluster and name of the ECS services that run the tasks, if the configuration names them."""
        return tuple((self.redeploy.cluster, name) for name in self.redeploy.services.values()) if self.redeploy else ()

    @property
    def key_needed_days(self) -> int:
        """Days until nothing is left that the stack's own key encrypted before the stack returned to AWS's key."""
        days = [self.log_retention_in_days]
        if self.audit and self.own_trail:
            days += [self.audit.log_retention_in_days, MIN_LOG_FILE_DAYS]
        return max(days)
