"""The stack's configuration as one frozen dataclass; every problem in it is reported at once.

`Pulumi.yaml` declares the keys with types, descriptions and defaults, so that the CLI knows them too.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import pulumi
from pulumi.runtime import config as runtime_config

import catalogue as catalogue_module
from config.reader import Check, Reader
from model import declarations
from model.declarations import Catalogue, Generated, JsonSecret, Source, Supplied

Encryption = Literal["aws-managed", "customer-managed", "returning-to-aws-managed"]
ENCRYPTIONS: tuple[Encryption, ...] = ("aws-managed", "customer-managed", "returning-to-aws-managed")
Strategy = Literal["single-user", "alternating-users"]
Architecture = Literal["X86_64", "ARM64"]

MIN_PRODUCTION_CHARACTERS = 16
"""The shortest secret that a protected or production stack takes."""

MAX_PREFIX_CHARACTERS = 64 - len("-start-redeploy")
"""Characters of `<project>-<stack>`: what IAM leaves of a role's name beside the longest ending that this program gives one."""

LOG_RETENTION_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
"""Source: AWS, CloudWatch Logs API, PutRetentionPolicy."""

_MIN_HOURS_BETWEEN_ROTATIONS = 4
"""Source: AWS, Secrets Manager API, RotationRulesType, ScheduleExpression."""

FARGATE_MEMORY: Mapping[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
"""Memory in MiB by CPU units. Source: AWS, "Amazon ECS task definition parameters for Fargate", task size."""


class ConfigurationError(pulumi.RunError):
    """What is wrong with the stack's configuration, as a table. Pulumi prints it without a traceback."""


@dataclass(frozen=True)
class RotationSettings:
    """How the database password rotates.

    Attributes:
        schedule: A `cron(...)` expression in UTC.
        strategy: `single-user` changes the master's password; `alternating-users` alternates two application users.
        subnet_ids: Private subnets that reach the database and Secrets Manager.
        security_group_ids: Groups of the function; the database's group must let them in.
        database_port: TCP port.
        database_name: The database that the function signs in to.
        username: The user whose password rotates: the master (single-user) or the application user (alternating-users).
        master_username: The user that `db-master-password` belongs to.
        certificate_bundle: Path of a PEM file to verify the database's TLS certificate with, "" for the runtime's own.
    """

    schedule: str
    strategy: Strategy
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    database_port: int
    database_name: str
    username: str
    master_username: str
    certificate_bundle: str


@dataclass(frozen=True)
class RedeploySettings:
    """The one ECS service that restarts its tasks when a secret's value changes."""

    cluster: str
    service: str


@dataclass(frozen=True)
class AuditSettings:
    """What is recorded and who is told.

    Attributes:
        trail: `create` makes a trail; `existing` reads the log group of an organisation's trail.
        log_group_name: That log group, with `existing`.
        alarm_emails: Subscribers of the alarm topic; each confirms by e-mail.
        trusted_readers: ARNs of roles or users that may read without an alarm.
        expected_reads_per_hour: Reads an hour by everybody together above which an alarm fires.
        log_retention_in_days: Days that the trail's log group keeps events.
    """

    trail: Literal["create", "existing"]
    log_group_name: str | None
    alarm_emails: tuple[str, ...]
    trusted_readers: tuple[str, ...]
    expected_reads_per_hour: int
    log_retention_in_days: int


@dataclass(frozen=True)
class Settings:
    """The configuration of one stack, complete and valid. Sizes: `cpu` in CPU units (1024 a vCPU), `memory` in MiB.

    `values` holds the secrets that the configuration sets, by configuration key, in the clear: it is kept out of `repr`.
    `catalogue` is the catalogue as this configuration needs it (application user, adopted secrets).
    """

    project: str
    stack: str
    catalogue: Catalogue
    image: str
    database_host: str
    redis_host: str
    environment: Mapping[str, str]
    container_port: int
    cpu: int
    memory: int
    cpu_architecture: Architecture
    log_retention_in_days: int
    values: Mapping[str, str] = field(repr=False)
    generations: Mapping[str, int]
    adopt: Mapping[str, str]
    recovery_window_in_days: int
    protect: bool
    encryption: Encryption
    key_deletion_window_in_days: int
    replica_regions: tuple[str, ...]
    replica_kms_keys: Mapping[str, str]
    grant_replicas: bool
    permissions_boundary: str | None
    confused_deputy_protection: bool
    restrict_readers: bool
    break_glass_roles: tuple[str, ...]
    deployer_roles: tuple[str, ...]
    rotation: RotationSettings | None
    remind_every_days: int | None
    redeploy: RedeploySettings | None
    audit: AuditSettings | None

    @property
    def prefix(self) -> str:
        """What the name of every resource with a name of its own starts with."""
        return f"{self.project}-{self.stack}"


_ROTATION_KEYS = (
    "schedule", "strategy", "subnetIds", "securityGroupIds", "databasePort", "databaseName", "username", "masterUsername",
    "certificateBundle", "remindEveryDays",
)  # fmt: skip
_EXPECTED_STARTS = 20
"""Tasks that start in a busy hour where `expectedReadsPerHour` says nothing: ECS reads once for every entry under `secrets`."""

_AUDIT_KEYS = ("trail", "logGroupName", "alarmEmails", "trustedReaders", "expectedReadsPerHour", "logRetentionInDays")
_KEYS = (
    "image", "databaseHost", "redisHost", "environment", "containerPort", "cpu", "memory", "cpuArchitecture",
    "logRetentionInDays", "recoveryWindowInDays", "protect", "encryption", "keyDeletionWindowInDays", "replicaRegions",
    "replicaKmsKeys", "grantReplicas", "permissionsBoundary", "confusedDeputyProtection", "restrictReaders",
    "breakGlassRoles", "deployerRoles", "rotation", "rotations", "redeploy", "audit", "adopt",
)  # fmt: skip


def load() -> Settings:
    """Return the running stack's settings.

    Raises:
        ConfigurationError: When anything in the configuration is wrong; it names everything that is.
    """
    project, stack = pulumi.get_project(), pulumi.get_stack()
    prefix = f"{project}:"
    everything = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    values = {key.removeprefix(prefix): value for key, value in everything.items() if key.startswith(prefix)}
    encrypted = {key for key in values if runtime_config.is_config_secret(prefix + key)}
    return parse(values, encrypted, project=project, stack=stack, region=everything.get("aws:region"))


def parse(
    raw: Mapping[str, Any],
    encrypted: Collection[str],
    *,
    project: str,
    stack: str,
    region: str | None = None,
    catalogue: Catalogue | None = None,
) -> Settings:
    """Return the settings that a configuration means.

    Args:
        raw: The project's configuration by key, without its namespace.
        encrypted: The keys that were set with `--secret`.
        project: The Pulumi project's name.
        stack: The stack's name.
        region: The Region of the secrets, when the configuration tells it.
        catalogue: The declared secrets, by default those of `catalogue.py`.

    Raises:
        ConfigurationError: When anything is wrong; it names everything that is.
    """
    declared = catalogue_module.CATALOGUE if catalogue is None else catalogue
    reader = Reader(raw, encrypted=set(encrypted) - set(declarations.secret_config_keys(declared)))
    protect = reader.boolean("protect", default=False)
    rotation, remind_every_days = _rotation(reader)
    adopt = _adopt(reader, raw, declared)
    effective = declared
    if rotation and rotation.strategy == "alternating-users":
        effective = catalogue_module.with_application_user(effective, rotation.username)
    effective = declarations.adopted(effective, adopt)

    every_secret = catalogue_module.with_application_user(declared, "")
    reader.reject_unknown(
        (*_KEYS, *declarations.secret_config_keys(every_secret)),
        "README.md, Configuration, has them all; of a secret that left catalogue.py: take it out of Pulumi.yaml as well",
    )
    for key in sorted(set(_KEYS) & set(declarations.secret_config_keys(every_secret))):
        reader.report(key, "is the key of a setting and of a secret", "another configuration key in catalogue.py")
    _check_names(reader, project, stack)
    values = _values(reader, raw, encrypted, effective, strict=protect or stack == "prod")
    environment = _environment(reader, encrypted="environment" in encrypted)
    for subject, found, allowed in declarations.problems(
        effective, project=project, stack=stack, plain_variables=("DATABASE_HOST", "REDIS_HOST", *environment)
    ):
        reader.report(subject, found, allowed)

    cpu, memory = _size(reader)
    settings = Settings(
        project=project,
        stack=stack,
        catalogue=effective,
        image=reader.text("image", check=_wrong_image),
        database_host=reader.text("databaseHost", check=_wrong_host),
        redis_host=reader.text("redisHost", check=_wrong_host),
        environment=environment,
        container_port=reader.integer("containerPort", 3000, allowed=range(1, 65536), rule="1 to 65535"),
        cpu=cpu,
        memory=memory,
        cpu_architecture=cast("Architecture", reader.choice("cpuArchitecture", ("X86_64", "ARM64"), "X86_64")),
        log_retention_in_days=_retention(reader, "logRetentionInDays", 30),
        values=values,
        generations=_generations(reader, declared, effective, values),
        adopt=adopt,
        recovery_window_in_days=reader.integer(
            "recoveryWindowInDays", 30, allowed=(0, *range(7, 31)), rule="0 (delete at once) or 7 to 30 days"
        ),
        protect=protect,
        encryption=cast("Encryption", reader.choice("encryption", ENCRYPTIONS, "aws-managed")),
        key_deletion_window_in_days=reader.integer(
            "keyDeletionWindowInDays", 30, allowed=range(7, 31), rule="7 to 30 days"
        ),
        replica_regions=reader.texts("replicaRegions", check=_wrong_region),
        replica_kms_keys=_replica_keys(reader),
        grant_replicas=reader.boolean("grantReplicas", default=False),
        permissions_boundary=reader.text("permissionsBoundary", "", check=_wrong_policy_arn) or None,
        confused_deputy_protection=reader.boolean("confusedDeputyProtection", default=True),
        restrict_readers=reader.boolean("restrictReaders", default=False),
        break_glass_roles=reader.texts("breakGlassRoles", check=_wrong_principal),
        deployer_roles=reader.texts("deployerRoles", check=_wrong_principal),
        rotation=rotation,
        remind_every_days=remind_every_days,
        redeploy=_redeploy(reader),
        audit=_audit(reader, entries=sum(1 for declaration in effective for _ in declaration.references())),
    )
    _check_together(reader, settings)
    if region in settings.replica_regions:
        reader.report("replicaRegions", f"holds {region}, where the secrets are", "other Regions than aws:region")
    if reader.problems:
        raise ConfigurationError(_table(reader.problems, stack))
    return settings


def _values(
    reader: Reader, raw: Mapping[str, Any], encrypted: Collection[str], catalogue: Catalogue, *, strict: bool
) -> dict[str, str]:
    values: dict[str, str] = {}
    sources = {s.config_key: s for d in catalogue for s in d.sources() if isinstance(s, Generated | Supplied)}
    for key, source in sorted(sources.items()):
        command = f"pulumi config set --secret {key}"
        value = raw.get(key)
        if value in (None, ""):
            if isinstance(source, Supplied):
                reader.report(key, "is required", command)
        elif key not in encrypted:
            # The message comes before any look at the value: it lies in the stack file in the clear and must be replaced.
            reader.report(
                key, "is set without --secret", f"{command}   (with a new value: the old one is in the clear)"
            )
        elif wrong := _wrong_secret(str(value), strict=strict):
            reader.report(key, wrong, command)
        else:
            values[key] = str(value)
    for declaration in catalogue:
        if isinstance(declaration, JsonSecret) and isinstance(declaration.keys, Mapping):
            size = len(json.dumps({key: _longest(source, values) for key, source in declaration.keys.items()}).encode())
            if size > declarations.MAX_VALUE_BYTES:
                limit = f"{declarations.MAX_VALUE_BYTES:,}"
                reader.report(
                    declaration.name, f"has {size:,} bytes as JSON; Secrets Manager takes {limit}", "shorter values"
                )
    return values


def _longest(source: Source, values: Mapping[str, str]) -> str:
    """Return a text as long as the source's value will be."""
    if isinstance(source, Generated):
        return values.get(source.config_key, "x" * source.length)
    return values.get(source.config_key, "") if isinstance(source, Supplied) else ""


_PLACEHOLDER = re.compile(
    r"change[-_ ]?(me|it)?|replace[-_ ]?me|placeholder|example|dummy|todo|tbd|password|secret|test"
    r"|x+|\*+|0+|<.*>|\$\{.*\}|\{\{.*\}\}"
    r"|(your|my|insert|enter|put|some)[-_ ].*|.*(change|replace)[-_ ]?me.*",
    re.IGNORECASE | re.DOTALL,
)


def _wrong_secret(value: str, *, strict: bool) -> str | None:
    size = len(value.encode())
    if size > declarations.MAX_VALUE_BYTES:
        return f"has {size:,} bytes; Secrets Manager takes {declarations.MAX_VALUE_BYTES:,}"
    if strict and _PLACEHOLDER.fullmatch(value.strip()):
        return "looks like a placeholder"
    if strict and len(value) < MIN_PRODUCTION_CHARACTERS:
        return f"has fewer than {MIN_PRODUCTION_CHARACTERS} characters"
    return None


def _environment(reader: Reader, *, encrypted: bool) -> dict[str, str]:
    readable = "plain variables are readable by many: add an entry to catalogue.py"
    found: dict[str, str] = {}
    if encrypted:
        # Whoever encrypted it wants it kept secret; in a plain variable it would stand in the clear in ECS and in the state.
        reader.report("environment", "holds an encrypted value", readable)
        return found
    for name, value in reader.object("environment").items():
        key = f"environment.{name}"
        if not declarations.PLAIN_NAME.fullmatch(name):
            reader.report(key, "is no name of a variable", "letters, digits and _, no digit first")
        elif declarations.SECRET_NAME.fullmatch(name):
            reader.report(key, "looks like a secret", readable)
        elif isinstance(value, str) and declarations.PASSWORD_IN_URL.search(value):
            reader.report(key, "holds a password in a URL", readable)
        elif isinstance(value, bool):
            found[name] = str(value).lower()
        elif isinstance(value, str | int):
            found[name] = str(value)
        else:
            reader.report(key, "is neither text nor a whole number", "a string")
    return found


def _size(reader: Reader) -> tuple[int, int]:
    cpu, memory = reader.integer("cpu", 256), reader.integer("memory", 512)
    if cpu not in FARGATE_MEMORY:
        reader.report("cpu", f"is {cpu}", f"one of {', '.join(map(str, FARGATE_MEMORY))}")
    elif memory not in FARGATE_MEMORY[cpu]:
        reader.report("cpu", f"{cpu} with memory {memory}", f"memory for {cpu} is {_shown_sizes(FARGATE_MEMORY[cpu])}")
    return cpu, memory


def _shown_sizes(sizes: Sequence[int]) -> str:
    if isinstance(sizes, range):
        return f"{sizes[0]} to {sizes[-1]} in steps of {sizes.step}"
    return f"{', '.join(map(str, sizes[:-1]))} or {sizes[-1]}"


def _retention(reader: Reader, key: str, default: int) -> int:
    allowed = ", ".join(map(str, LOG_RETENTION_DAYS))
    return reader.integer(key, default, allowed=LOG_RETENTION_DAYS, rule=f"days that CloudWatch Logs takes: {allowed}")


def _generations(
    reader: Reader, declared: Catalogue, effective: Catalogue, values: Mapping[str, str]
) -> dict[str, int]:
    """Return the generations that are asked for; `effective` lacks the sources of adopted secrets."""
    generated = declarations.generated((*declared, *effective))
    made_here = declarations.generated(effective)
    found: dict[str, int] = {}
    section = reader.section("rotations", generated)
    for key in sorted(generated) if section else ():
        if section is None or not section.has(key):
            continue
        if key not in made_here:
            section.report(key, "is of a secret that is adopted: its value is not made here", "python -m ops set NAME")
            continue
        generation = section.integer(key, 1, allowed=range(1, 1_000_000), rule="1 or more, one more for each new value")
        if key in values:
            section.report(
                key, f"but {key} is set", f"pulumi config set --secret {key}   (the configuration owns this value)"
            )
        found[key] = generation
    return found


def rotated_secret(rotation: RotationSettings | None) -> str | None:
    """Return the catalogue name of the secret that the rotation function changes, None without rotation."""
    if rotation is None:
        return None
    single_user = rotation.strategy == "single-user"
    return catalogue_module.DATABASE_MASTER if single_user else catalogue_module.DATABASE_APP_USER


def _adopt(reader: Reader, raw: Mapping[str, Any], catalogue: Catalogue) -> dict[str, str]:
    names = [d.name for d in catalogue]
    section = reader.section("adopt", names)
    if section is None:
        return {}
    found = {name: section.text(name, check=_wrong_secret_arn) for name in names if section.has(name)}
    for name, arn in found.items():
        if twins := [other for other, twin in found.items() if other < name and twin == arn]:
            section.report(name, f"is the ARN of {twins[0]}, too", "one secret for each entry of the catalogue")
    # The value stays as it was found; a configured one would be passed over without a word.
    own = declarations.secret_config_keys([d for d in catalogue if d.name not in found])
    for key in sorted(set(declarations.secret_config_keys(catalogue)) - set(own)):
        if raw.get(key) not in (None, ""):
            reader.report(key, "is set, but its secret is adopted and keeps its value", f"pulumi config rm {key}")
    return found


def _rotation(reader: Reader) -> tuple[RotationSettings | None, int | None]:
    section = reader.section("rotation", _ROTATION_KEYS)
    if section is None:
        return None, None
    remind = None
    if section.has("remindEveryDays"):
        remind = section.integer("remindEveryDays", 90, allowed=range(1, 366), rule="1 to 365 days")
    if not any(section.has(key) for key in _ROTATION_KEYS if key != "remindEveryDays"):
        return None, remind
    strategy = cast("Strategy", section.choice("strategy", ("single-user", "alternating-users")))
    for key, rule in (("subnetIds", "the private subnets"), ("securityGroupIds", "the security groups")):
        if not section.has(key):
            section.report(key, "is required", f"an array: {rule} that reach the database and Secrets Manager")
    username = section.text("username", "postgres" if strategy == "single-user" else None, check=_wrong_database_name)
    if strategy == "single-user" and section.has("masterUsername"):
        section.report(
            "masterUsername", "is for alternating-users", "rotation.username: the user whose password rotates"
        )
    return RotationSettings(
        schedule=section.text("schedule", check=_wrong_schedule),
        strategy=strategy,
        subnet_ids=section.texts("subnetIds", check=_wrong_subnet),
        security_group_ids=section.texts("securityGroupIds", check=_wrong_security_group),
        database_port=section.integer("databasePort", 5432, allowed=range(1, 65536), rule="1 to 65535"),
        database_name=section.text("databaseName", "postgres", check=_wrong_database_name),
        username=username,
        master_username=section.text(
            "masterUsername", username if strategy == "single-user" else "postgres", check=_wrong_database_name
        ),
        certificate_bundle=section.text("certificateBundle", "", check=_wrong_file),
    ), remind


def _redeploy(reader: Reader) -> RedeploySettings | None:
    section = reader.section("redeploy", ("cluster", "service"))
    if section is None:
        return None
    return RedeploySettings(
        section.text("cluster", check=_wrong_ecs_name), section.text("service", check=_wrong_ecs_name)
    )


def _audit(reader: Reader, *, entries: int) -> AuditSettings | None:
    section = reader.section("audit", _AUDIT_KEYS)
    if section is None:
        return None
    trail = cast('Literal["create", "existing"]', section.choice("trail", ("create", "existing"), "create"))
    log_group_name = section.text("logGroupName", None if trail == "existing" else "", check=_wrong_log_group)
    if trail == "create" and log_group_name:
        section.report("logGroupName", "is set with trail create", "audit.trail: existing, or no logGroupName")
    return AuditSettings(
        trail=trail,
        log_group_name=log_group_name or None,
        alarm_emails=section.texts("alarmEmails", check=_wrong_email),
        trusted_readers=section.texts("trustedReaders", check=_wrong_principal),
        expected_reads_per_hour=section.integer(
            "expectedReadsPerHour", _EXPECTED_STARTS * max(entries, 1), allowed=range(1, 1_000_000), rule="1 to 999999"
        ),
        log_retention_in_days=_retention(section, "logRetentionInDays", 365),
    )


def _replica_keys(reader: Reader) -> dict[str, str]:
    found: dict[str, str] = {}
    for region, value in reader.object("replicaKmsKeys").items():
        # A replica's key is in the replica's Region; Secrets Manager refuses any other only when it replicates.
        key = rf"arn:[a-z-]+:kms:{re.escape(region)}:\d{{12}}:key/[\w-]+"
        found[region] = str(value)
        if not re.fullmatch(key, found[region]):
            reader.report(
                f"replicaKmsKeys.{region}", "is no key of that Region", f"arn:...:kms:{region}:ACCOUNT:key/ID"
            )
    return found


def _check_names(reader: Reader, project: str, stack: str) -> None:
    """Report a stack whose name would be refused by AWS only when half of the stack exists."""
    prefix = f"{project}-{stack}"
    if not re.fullmatch(r"[A-Za-z0-9_-]+", prefix):
        reader.report("stack", "has a name that AWS takes for no alias and no topic", "letters, digits, _ and -")
    if len(prefix) > MAX_PREFIX_CHARACTERS:
        room = MAX_PREFIX_CHARACTERS - len(project) - 1
        reader.report("stack", f"has a name of {len(stack)} characters", f"at most {room}: a role's name takes 64")


def _check_together(reader: Reader, settings: Settings) -> None:
    """Report keys that are fine alone and wrong together."""
    if settings.remind_every_days and settings.audit is None:
        reader.report("rotation.remindEveryDays", "needs the alarm topic", "configure audit as well")
    if settings.restrict_readers and not settings.break_glass_roles:
        reader.report("breakGlassRoles", "is required by restrictReaders", "a role that can undo a wrong policy")
    if settings.restrict_readers and not settings.deployer_roles:
        reader.report(
            "deployerRoles", "is required by restrictReaders", "the role that runs `pulumi up`, or it locks itself out"
        )
    for region in sorted(set(settings.replica_kms_keys) - set(settings.replica_regions)):
        reader.report(f"replicaKmsKeys.{region}", "is not in replicaRegions", "a Region that has a replica")
    if settings.grant_replicas and not settings.replica_regions:
        reader.report("grantReplicas", "needs replicaRegions", "the Regions whose replicas the execution role may read")


def _wrong_image(value: str) -> tuple[str, str] | None:
    name, at, digest = value.partition("@")
    if re.search(r"\s", value):
        return "has a space", "an image with a tag or digest"
    if at and not (name and re.fullmatch(r"sha256:[0-9a-f]{64}", digest)):
        return "has no valid digest", "NAME@sha256:<64 hex digits>"
    if at:
        return None
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return "has no tag", "NAME:TAG or NAME@sha256:DIGEST"
    if not re.fullmatch(r"\w[\w.-]{0,127}", tag) or not re.fullmatch(r"[\w.-]+(:\d+)?(/[\w.-]+)*", repository):
        return "is no name of an image", "NAME:TAG or NAME@sha256:DIGEST"
    return None


def _wrong_host(value: str) -> tuple[str, str] | None:
    label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    for pattern, found in (
        (r"\s", "has a space"),
        (r"://", "has a scheme"),
        (r":\d+$", "has a port"),
        (r"/", "has a path"),
    ):
        if re.search(pattern, value):
            return found, "a host name alone, such as db.internal"
    if len(value) > 253 or not re.fullmatch(rf"{label}(\.{label})*", value):  # noqa: PLR2004 - RFC 1035, 2.3.4
        return "is no host name", "a host name alone, such as db.internal"
    return None


def _wrong_schedule(value: str) -> tuple[str, str] | None:
    # A rate would fire by an older schedule once after each change, so that an unrelated `up` could rotate (facts.md).
    fields = re.fullmatch(r"cron\((.*)\)", value)
    if not fields or len(fields[1].split()) != 6:  # noqa: PLR2004 - AWS's cron has a year
        return (
            f"is {value[:40]!r}",
            "cron(minutes hours day-of-month month day-of-week year), such as cron(0 3 ? * SUN *)",
        )
    minutes, hours, day, _month, weekday, year = fields[1].split()
    if minutes != "0" or [day, weekday].count("?") != 1 or year != "*":
        return f"is {value[:40]!r}", "minutes 0, a ? for one of the two days, year *: Secrets Manager takes no other"
    every = re.fullmatch(r"(?:\d{1,2}|\*)?/(\d{1,2})", hours)
    if not (int(every[1]) >= _MIN_HOURS_BETWEEN_ROTATIONS if every else re.fullmatch(r"[01]?\d|2[0-3]", hours)):
        return f"is {value[:40]!r}", "one hour of the day, 0 to 23, or every so many, at least 4: 3, /6 or 2/12"
    return None


def _wrong_file(value: str) -> tuple[str, str] | None:
    return (
        None
        if Path(value).is_file()
        else (f"{value[:60]!r} is no file", "a PEM file's path, from the project's folder")
    )


def _matching(pattern: str, rule: str) -> Check:
    def wrong(value: str) -> tuple[str, str] | None:
        return None if re.fullmatch(pattern, value) else (f"is {value[:60]!r}", rule)

    return wrong


_wrong_region = _matching(r"[a-z]{2}(-[a-z]+)+-\d", "a Region such as eu-west-1")
_wrong_subnet = _matching(r"subnet-[0-9a-f]{8,17}", "a subnet's id, subnet-...")
_wrong_security_group = _matching(r"sg-[0-9a-f]{8,17}", "a security group's id, sg-...")
_wrong_policy_arn = _matching(r"arn:[a-z-]+:iam::(\d{12}|aws):policy/[\w+=,.@/-]+", "the ARN of a managed policy")
_wrong_principal = _matching(r"arn:[a-z-]+:iam::\d{12}:(role|user)/[\w+=,.@/-]+", "the ARN of a role or user")
_wrong_secret_arn = _matching(
    r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@-]+-[A-Za-z0-9]{6}", "the secret's ARN"
)
_wrong_log_group = _matching(r"[\w./#-]{1,512}", "a log group's name: letters, digits and . / # _ -")
_wrong_email = _matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")
_wrong_ecs_name = _matching(r"[A-Za-z0-9_-]{1,255}", "a name: letters, digits, _ and -, at most 255")
_wrong_database_name = _matching(r"[^\x00]{1,63}", "1 to 63 characters")


def _table(problems: Sequence[tuple[str, str, str]], stack: str) -> str:
    count = f"{len(problems)} configuration problem{'s' if len(problems) > 1 else ''} in stack {stack!r}:"
    widths = [max(len(row[column]) for row in problems) for column in (0, 1)]
    rows = (f"  {key:<{widths[0]}}  {found:<{widths[1]}}  {remedy}".rstrip() for key, found, remedy in problems)
    return "\n".join([count.replace("'", '"'), *rows])
