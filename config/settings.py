"""The stack's configuration as one frozen dataclass; every problem in it is reported at once.

`config/keys.py` declares the settings' keys. The keys of secrets and plain variables are the catalogue's.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import pulumi

from components import checks
from components.checks import wrong_host, wrong_secret, wrong_size
from components.engines import ENGINES
from components.limits import FARGATE_MEMORY, HEALTH_CHECK
from components.names import Names
from components.schedule import wrong_duration
from config import declarations, fields, rules
from config.declarations import Application, Catalogue, ForeignSecret, Generated, PlainVariable, Supplied
from config.keys import BY_NAME, SERVICE_KEYS
from config.model import (
    AuditSettings,
    RedeploySettings,
    RotationSettings,
    ServiceSettings,
    Settings,
    Strategy,
)
from config.reader import Check, Reader


class ConfigurationError(pulumi.RunError):
    """What is wrong with the stack's configuration, as a table. Pulumi prints it without a traceback."""


_EXPECTED_STARTS = 20
"""Tasks that start in a busy hour, if `expectedReadsPerHour` is not set: ECS reads once for each entry under `secrets`."""


def parse(
    raw: Mapping[str, Any],
    encrypted: Collection[str],
    application: Application,
    names: Names,
    *,
    region: str | None = None,
) -> Settings:
    """Return the settings of a configuration.

    Args:
        raw: The project's configuration by key, without its namespace.
        encrypted: The keys that were set with `--secret`.
        application: What the catalogue declares.
        names: The stack's names.
        region: The Region of the secrets, if the configuration sets it.

    Raises:
        ConfigurationError: When anything is wrong; it names everything that is.
    """
    declared = application.catalogue(names.stack)
    secret_keys = declarations.secret_config_keys(application.every_secret())
    reader = Reader(raw, encrypted=set(encrypted) - set(secret_keys), keys=BY_NAME)
    protect = reader.value("protect")
    adopt = _by_name(reader.section("adopt"), (d.name for d in declared), fields.wrong_secret_arn)
    catalogue = declarations.adopted(declared, adopt)
    foreign = application.foreign(names.stack)
    services = {
        service.name: _service(reader, service.name, application.variables, encrypted)
        for service in application.services
    }
    rotation = _rotation(reader, catalogue, foreign, application.variables)
    settings = Settings(
        names=names,
        catalogue=catalogue,
        foreign=foreign,
        services=services,
        log_retention_in_days=reader.value("logRetentionInDays"),
        generations=_generations(reader, declared, catalogue),
        adopt=adopt,
        foreign_arns=_foreign_arns(reader, foreign),
        secret_kms_keys=_by_name(
            reader.section("secretKmsKeys"), [*adopt, *(secret.name for secret in foreign)], fields.wrong_key_arn
        ),
        recovery_window_in_days=reader.value("recoveryWindowInDays"),
        protect=protect,
        encryption=reader.value("encryption"),
        replica_regions=reader.value("replicaRegions"),
        replica_kms_keys=_replica_keys(reader),
        grant_replicas=reader.value("grantReplicas"),
        permissions_boundary=reader.value("permissionsBoundary") or None,
        confused_deputy_protection=reader.value("confusedDeputyProtection"),
        restrict_readers=reader.value("restrictReaders"),
        break_glass_roles=reader.value("breakGlassRoles"),
        deployer_roles=reader.value("deployerRoles"),
        rotation=rotation,
        redeploy=_redeploy(reader, services),
        audit=_audit(reader, entries=sum(1 for name in services for d in catalogue for _ in d.references(name))),
        # Read last: every other key that was read belongs to a setting.
        values=_values(reader, encrypted, application, declared, catalogue, strict=protect),
    )
    for problem in (
        *names.problems(services),
        *declarations.service_problems(application.services),
        *declarations.problems(
            catalogue,
            foreign,
            project=names.project,
            stack=names.stack,
            services={name: service.environment for name, service in services.items()},
        ),
        *rules.together(settings, region),
    ):
        reader.report(*problem)
    reader.reject_unknown()
    if reader.problems:
        # A common key is checked for each service.
        raise ConfigurationError(_table(list(dict.fromkeys(reader.problems)), names.stack))
    return settings


def _service(
    reader: Reader, name: str, variables: Sequence[PlainVariable], encrypted: Collection[str]
) -> ServiceSettings:
    """Return one service's settings: its own keys over the common ones."""
    services = reader.section("services")
    own = services.section(name) if services else None
    # Both are read, so that both know the key.
    given = {key: (reader.has(key), own is not None and own.has(key)) for key in SERVICE_KEYS if key != "environment"}
    from_ = {key: own if own and given[key][1] else reader for key in SERVICE_KEYS if key != "environment"}
    cpu, memory = from_["cpu"].value("cpu"), from_["memory"].value("memory")
    sizes = from_["cpu" if cpu not in FARGATE_MEMORY else "memory"]
    if wrong := wrong_size(cpu, memory):
        sizes.report("cpu", *wrong)
    environment = _environment(reader, encrypted="environment" in encrypted)
    environment |= _environment(own, encrypted="services" in encrypted and own.has("environment")) if own else {}
    for variable in variables:
        host = reader.text(variable.config_key, check=wrong_host)
        if variable.readers is None or name in variable.readers:
            if variable.name in environment:
                reader.report(f"environment.{variable.name}", "is declared in catalogue.py", variable.config_key)
            environment[variable.name] = host
    return ServiceSettings(
        image=from_["image"].value("image"),
        environment=environment,
        container_port=from_["containerPort"].value("containerPort"),
        cpu=cpu,
        memory=memory,
        cpu_architecture=from_["cpuArchitecture"].value("cpuArchitecture"),
        command=from_["command"].value("command"),
        readonly_root_filesystem=from_["readonlyRootFilesystem"].value("readonlyRootFilesystem"),
        log_mode=from_["logMode"].value("logMode"),
        health_check=_health_check(from_["healthCheck"].section("healthCheck")),
        sidecars=_sidecars(from_["sidecars"], name, memory, encrypted={"sidecars", "services"} & set(encrypted)),
    )


def _health_check(section: Reader | None) -> Mapping[str, Any] | None:
    """Return the container's health check; numbers that ECS refuses are reported."""
    if section is None:
        return None
    command = section.texts("command", repeated=True)
    if command[:1] not in (("CMD",), ("CMD-SHELL",)) or len(command) == 1:
        section.report("command", f"is {list(command)!r:.60}", "CMD or CMD-SHELL, and what to run")

    def number(key: str) -> int:
        default, lowest, highest = HEALTH_CHECK[key]
        return section.integer(key, default, allowed=range(lowest, highest + 1), rule=f"{lowest} to {highest}")

    return {
        "command": command, "interval": number("interval"), "timeout": number("timeout"), "retries": number("retries"),
        "start_period": number("startPeriod"),
    }  # fmt: skip


def _sidecars(reader: Reader, service: str, memory: int, *, encrypted: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the further containers of a service's task by name; what ECS refuses is reported."""
    section = reader.section("sidecars")
    if section is None:
        return {}
    found: dict[str, dict[str, Any]] = {}
    given = reader.object("sidecars")
    for name in given:
        if name == service:
            section.report(name, "is the name of the service's own container", "another name")
        elif wrong := fields.wrong_ecs_name(name):
            section.report(name, *wrong)
        if one := section.section(name):
            found[name] = _sidecar(one, section.object(name), {service, *given} - {name}, encrypted=bool(encrypted))
        else:
            section.report(name, "has no image", "image: NAME:TAG or NAME@sha256:DIGEST")
    reserved = sum(one.get("memory", 0) for one in found.values())
    if reserved >= memory:
        section.report("memory", f"of all together is {reserved} MiB of the task's {memory}", "less, or a larger task")
    return found


def _sidecar(one: Reader, given: Mapping[str, Any], others: Collection[str], *, encrypted: bool) -> dict[str, Any]:
    environment = _environment(one, encrypted=encrypted and one.has("environment"))
    found = {"image": one.text("image", check=checks.wrong_image), "environment": environment}
    for key in sorted(given.keys() & {*checks.SIDECAR_FIELDS, *checks.NOT_IN_SIDECARS}):
        value = one.raw(key)
        if value is not None and (wrong := checks.wrong_in_sidecar(key, value)):
            one.report(key, *wrong)
        elif value is not None:
            found[key] = value
    for needed in found.get("dependsOn", ()):
        other = needed.get("containerName") if isinstance(needed, dict) else None
        if other not in others:
            rule = f"a container of the task: {', '.join(sorted(others))}"
            one.report("dependsOn", f"names {other!r:.60}", rule)
    return found


def _values(
    reader: Reader,
    encrypted: Collection[str],
    application: Application,
    declared: Catalogue,
    catalogue: Catalogue,
    *,
    strict: bool,
) -> dict[str, str]:
    """Return the configured secrets by key; `declared` has the stack's own sources, `catalogue` lacks adopted ones."""
    every = declarations.secret_config_keys(application.every_secret())
    for key in sorted(reader.asked & set(every)):
        reader.report(key, "is both a setting's key and a secret's", "another configuration key in catalogue.py")
    values: dict[str, str] = {}
    sources = {s.config_key: s for d in catalogue for s in d.sources() if isinstance(s, Generated | Supplied)}
    for key in every:
        command = f"pulumi config set --secret {key}"
        value, source = reader.raw(key), sources.get(key)
        if value is None:
            if isinstance(source, Supplied):
                reader.report(key, "is required", command)
        elif key in declarations.secret_config_keys(declared) and source is None:
            # An adopted secret keeps its value; a configured one would be ignored silently.
            reader.report(key, "is set, but its secret is adopted and keeps its value", f"pulumi config rm {key}")
        elif source is None:
            reader.report(key, "belongs to a secret that this stack does not have", f"pulumi config rm {key}")
        elif key not in encrypted:
            # This check comes before any check of the value, which is in the stack file in the clear and must be replaced.
            reader.report(
                key, "is set without --secret", f"{command}   (with a new value: the old one was stored in the clear)"
            )
        elif wrong := wrong_secret(str(value), strict=strict):
            reader.report(key, wrong, command)
        else:
            values[key] = str(value)
    return values


def _environment(reader: Reader, *, encrypted: bool) -> dict[str, str]:
    readable = "many people can read plain variables: add an entry to catalogue.py"
    found: dict[str, str] = {}
    if encrypted:
        # An encrypted value is meant to stay secret; a plain variable shows it in the clear in ECS and in the state.
        reader.report("environment", "holds an encrypted value", readable)
        return found
    for name, value in reader.object("environment").items():
        key = f"environment.{name}"
        if not checks.PLAIN_NAME.fullmatch(name):
            reader.report(key, "is not a variable name", "letters, digits and _, no digit first")
        elif checks.SECRET_NAME.fullmatch(name):
            reader.report(key, "looks like a secret", readable)
        elif isinstance(value, str) and checks.PASSWORD_IN_URL.search(value):
            reader.report(key, "holds a password in a URL", readable)
        elif isinstance(value, str) and checks.ISSUED_SECRET.search(value):
            reader.report(key, "holds an access key or a token", readable)
        elif isinstance(value, bool):
            found[name] = str(value).lower()
        elif isinstance(value, str | int):
            found[name] = str(value)
        else:
            reader.report(key, "is neither text nor a whole number", "a string")
    return found


def _generations(reader: Reader, declared: Catalogue, effective: Catalogue) -> dict[str, int]:
    """Return the requested generations; `effective` lacks the sources of adopted secrets."""
    made_here = declarations.generated(effective)
    found: dict[str, int] = {}
    section = reader.section("rotations")
    for key in sorted(declarations.generated(declared)) if section else ():
        if section is None or not section.has(key):
            continue
        if key not in made_here:
            section.report(
                key, "belongs to an adopted secret: its value is not generated here", "python -m ops set NAME"
            )
            continue
        found[key] = section.integer(key, 1, allowed=range(1, 1_000_000), rule="1 or more, one more for each new value")
    return found


def _by_name(section: Reader | None, names: Iterable[str], check: Check) -> dict[str, str]:
    """Return the texts of those names that a section has."""
    return {name: section.text(name, check=check) for name in names if section.has(name)} if section else {}


def _foreign_arns(reader: Reader, foreign: Sequence[ForeignSecret]) -> dict[str, str]:
    section = reader.section("foreignSecrets")
    found: dict[str, str] = {}
    for secret in foreign:
        if section and section.has(secret.name):
            found[secret.name] = section.text(secret.name, check=fields.wrong_secret_arn)
        else:
            command = f"pulumi config set --plaintext --path foreignSecrets.{secret.name} ARN"
            reader.report(f"foreignSecrets.{secret.name}", f"is required: {secret.owner} owns the secret", command)
    return found


def _rotation(
    reader: Reader, catalogue: Catalogue, foreign: Sequence[ForeignSecret], variables: Sequence[PlainVariable]
) -> RotationSettings | None:
    section = reader.section("rotation")
    if section is None:
        return None
    names = tuple(d.name for d in catalogue)
    strategy: Strategy = section.value("strategy")
    secret = section.value("secret", allowed=names)
    superusers = (*names, *(secret.name for secret in foreign))
    superuser = section.value("superuser", allowed=superusers) if strategy == "alternating-users" else None
    for key, rule in (("subnetIds", "the private subnets"), ("securityGroupIds", "the security groups")):
        if not section.has(key):
            section.report(key, "is required", f"an array: {rule} that reach the database and Secrets Manager")
    hosts = {variable.name: variable.config_key for variable in variables}
    host = section.value("hostVariable", allowed=tuple(hosts))
    schedule = section.value("schedule")
    kind = section.value("engine")
    engine = ENGINES.get(kind, next(iter(ENGINES.values())))
    return RotationSettings(
        secret=secret,
        superuser=superuser,
        schedule=schedule,
        duration=section.value("duration", check=lambda value: wrong_duration(value, schedule)),
        strategy=strategy,
        subnet_ids=section.value("subnetIds"),
        security_group_ids=section.value("securityGroupIds"),
        engine=kind,
        host=str(reader.raw(hosts[host]) or "") if host in hosts else "",
        port=section.value("port", default=engine.port),
        dbname=section.value("dbname", default=engine.database),
        username=section.value("username"),
        certificate_bundle=section.value("certificateBundle"),
        grants=section.value("grants"),
    )


def _redeploy(reader: Reader, names: Collection[str]) -> RedeploySettings | None:
    section = reader.section("redeploy")
    if section is None:
        return None
    cluster = section.value("cluster")
    services = section.section("services")
    if services is None:
        section.report("services", "is required", f"the ECS service's name by service: {', '.join(names)}")
        return RedeploySettings(cluster, {})
    return RedeploySettings(cluster, _by_name(services, names, fields.wrong_ecs_name))


def _audit(reader: Reader, *, entries: int) -> AuditSettings | None:
    section = reader.section("audit")
    if section is None:
        return None
    trail: Literal["create", "existing"] = section.value("trail")
    log_group_name = section.value("logGroupName", default=None if trail == "existing" else "")
    if trail == "create" and log_group_name:
        section.report("logGroupName", "is set with trail create", "audit.trail: existing, or no logGroupName")
    return AuditSettings(
        trail=trail,
        log_group_name=log_group_name or None,
        alarm_emails=section.value("alarmEmails"),
        trusted_readers=section.value("trustedReaders"),
        expected_reads_per_hour=section.value("expectedReadsPerHour", default=_EXPECTED_STARTS * max(entries, 1)),
        log_retention_in_days=section.value("logRetentionInDays"),
        state_key_arn=section.value("stateKeyArn") or None,
        state_readers=section.value("stateReaders"),
    )


def _replica_keys(reader: Reader) -> dict[str, str]:
    found: dict[str, str] = {}
    for region, value in reader.object("replicaKmsKeys").items():
        found[region] = str(value)
        if wrong := fields.wrong_key_of(region, found[region]):
            reader.report(f"replicaKmsKeys.{region}", *wrong)
    return found


def _table(problems: Sequence[tuple[str, str, str]], stack: str) -> str:
    count = f"{len(problems)} configuration problem{'s' if len(problems) > 1 else ''} in stack {stack!r}:"
    widths = [max(len(row[column]) for row in problems) for column in (0, 1)]
    rows = (f"  {key:<{widths[0]}}  {found:<{widths[1]}}  {remedy}".rstrip() for key, found, remedy in problems)
    return "\n".join([count.replace("'", '"'), *rows])
