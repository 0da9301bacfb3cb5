"""Every key of the stack's configuration: type, default, meaning, and what it may hold.

This table is the one source. The reader follows it, `python -m config.keys` writes Pulumi.yaml's declarations and
docs/configuration.md from it, and a test compares them. The keys that `catalogue.py` names (secrets, plain variables) stand there
alone.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from components.checks import wrong_image
from components.engines import ENGINES
from components.limits import LOG_RETENTION_DAYS
from components.schedule import wrong_schedule
from config import fields
from config.reader import REQUIRED, Key

_RETENTION = f"days that CloudWatch Logs takes: {', '.join(map(str, LOG_RETENTION_DAYS))}"
_PORTS, _PORT_RULE = range(1, 65536), "1 to 65535"
_WINDOW, _WINDOW_RULE = (0, *range(7, 31)), "0 (delete at once) or 7 to 30 days"

KEYS: tuple[Key, ...] = (
    Key("image", "string", REQUIRED, "Container image with a tag or digest", check=wrong_image),
    Key("environment", "object", {}, "Further plain variables; a name or value that looks like a secret is refused"),
    Key("containerPort", "integer", 3000, "TCP port that the application listens on", _PORTS, _PORT_RULE),
    Key("cpu", "integer", 256, "CPU units, 1024 a vCPU; only pairs with memory that Fargate accepts"),
    Key("memory", "integer", 512, "Memory in MiB"),
    Key("cpuArchitecture", "string", "X86_64", "What the image is built for", ("X86_64", "ARM64")),
    Key("command", "array", [], "What the container runs instead of the image's own command", shown="the image's command"),
    Key("readonlyRootFilesystem", "boolean", False, "The container can write to /tmp alone"),
    Key(
        "logMode", "string", "",
        "When the log can't be delivered: non-blocking loses lines, blocking lets the application wait",
        ("non-blocking", "blocking"), shown="the account's default",
    ),
    Key(
        "healthCheck", "object", {},
        "The container's health check: command (CMD or CMD-SHELL first), interval, timeout, retries, startPeriod", shown="none",
    ),
    Key(
        "sidecars", "object", {},
        "Further containers of the task, by name: image, plain variables (environment), other fields as ECS takes them",
        shown="none",
    ),
    Key("services", "object", {}, "By service the keys above that differ from the common ones, such as worker.cpu"),
    Key("logRetentionInDays", "integer", 30, "Days that the containers' logs are kept", LOG_RETENTION_DAYS, _RETENTION),
    Key(
        "rotations", "object", {},
        "Number of the current generation of each generated value, such as apiKey: 2. Add one to get a new value",
    ),
    Key("adopt", "object", {}, "ARNs of secrets that exist already, by name in the catalogue"),
    Key(
        "foreignSecrets", "object", {}, "ARNs of the foreign secrets, by name in the catalogue",
        shown="required for each `ForeignSecret`",
    ),
    Key("secretKmsKeys", "object", {}, "ARNs of the customer-managed keys of adopted and foreign secrets, by name"),
    Key("recoveryWindowInDays", "integer", 30, "Days in which a deleted secret can be restored", _WINDOW, _WINDOW_RULE),
    Key(
        "protect", "boolean", False,
        "Pulumi refuses to delete secrets and generated values; short values and placeholders are refused",
    ),
    Key(
        "encryption", "string", "aws-managed",
        "Who owns the key of secrets, logs and topics; `returning-to-aws-managed` is for one `pulumi up` on the way back",
        ("aws-managed", "customer-managed", "returning-to-aws-managed"),
    ),
    Key("replicaRegions", "array", [], "Regions that hold a replica of each secret", check=fields.wrong_region),
    Key("replicaKmsKeys", "object", {}, "ARN of the replicas' customer-managed key by Region"),
    Key("grantReplicas", "boolean", False, "The execution roles may read the replicas as well"),
    Key(
        "permissionsBoundary", "string", "", "ARN of a managed policy that bounds every role",
        check=fields.wrong_policy_arn, shown="none",
    ),
    Key(
        "confusedDeputyProtection", "boolean", True,
        "ECS may assume the execution roles for this account's tasks only. Turn it off only if ECS stops sending "
        "aws:SourceAccount",
    ),
    Key("restrictReaders", "boolean", False, "Each secret's policy denies reads by all but the known readers"),
    Key(
        "breakGlassRoles", "array", [], "ARNs of roles that may still read and repair when readers are restricted",
        check=fields.wrong_principal,
    ),
    Key(
        "deployerRoles", "array", [], "ARNs of the roles that run pulumi up; they change secrets without an alarm",
        check=fields.wrong_principal,
    ),
    Key("rotation", "object", {}, "Rotation of a database password by a function", shown="off"),
    Key("rotation.secret", "string", REQUIRED, "The secret that rotates, by name in the catalogue"),
    Key(
        "rotation.strategy", "string", REQUIRED, "Whether one user's password changes, or two users take turns",
        ("single-user", "alternating-users"),
    ),
    Key("rotation.superuser", "string", REQUIRED, "The secret that signs in for alternating users, by name"),
    Key("rotation.schedule", "string", REQUIRED, "A cron(...) expression in UTC", check=wrong_schedule),
    Key("rotation.duration", "string", "1h", "Length of the window that the schedule opens"),
    Key("rotation.subnetIds", "array", REQUIRED, "Private subnets of the function", check=fields.wrong_subnet),
    Key(
        "rotation.securityGroupIds", "array", REQUIRED, "Security groups of the function",
        check=fields.wrong_security_group,
    ),
    Key("rotation.hostVariable", "string", REQUIRED, "The plain variable that holds the database's host name"),
    Key("rotation.engine", "string", next(iter(ENGINES)), "The kind of database", tuple(ENGINES)),
    Key("rotation.port", "integer", 0, "TCP port of the database", _PORTS, _PORT_RULE, shown="the engine's"),
    Key(
        "rotation.dbname", "string", "", "The database that the function signs in to", check=fields.wrong_database_name,
        shown="the engine's",
    ),
    Key(
        "rotation.username", "string", "", "The user of a password that is a text secret",
        check=fields.wrong_database_name, shown="the JSON secret's `username`",
    ),
    Key(
        "rotation.grants", "array", [], "Privileges of the application's user, which the function creates once",
        check=fields.wrong_grant,
    ),
    Key(
        "rotation.certificateBundle", "string", "", "Path of a PEM file with the authorities of the database's certificate",
        check=fields.wrong_file, shown="the function's own",
    ),
    Key("redeploy", "object", {}, "ECS services that restart when a value changes that they read", shown="off"),
    Key("redeploy.cluster", "string", REQUIRED, "The ECS cluster's name", check=fields.wrong_ecs_name),
    Key("redeploy.services", "object", REQUIRED, "The ECS service's name by the service's name in the catalogue"),
    Key("audit", "object", {}, "Trail, alarms and their subscribers", shown="off"),
    Key(
        "audit.trail", "string", "create", "Whether the stack creates a trail or reads an existing one's log group",
        ("create", "existing"),
    ),
    Key(
        "audit.logGroupName", "string", "", "The log group of the existing trail", check=fields.wrong_log_group,
        shown="required with `existing`",
    ),
    Key("audit.alarmEmails", "array", [], "Subscribers of the alarm topic", check=fields.wrong_email),
    Key(
        "audit.trustedReaders", "array", [], "ARNs of roles or users that read without an alarm",
        check=fields.wrong_principal,
    ),
    Key(
        "audit.expectedReadsPerHour", "integer", 0, "Reads an hour, all readers together, above which an alarm fires",
        range(1, 1_000_000), "1 to 999999", shown="20 task starts",
    ),
    Key(
        "audit.logRetentionInDays", "integer", 365, "Days that the trail's log group keeps events", LOG_RETENTION_DAYS,
        _RETENTION,
    ),
    Key(
        "audit.stateKeyArn", "string", "", "ARN of the KMS key that encrypts the configuration and the state",
        check=fields.wrong_key_arn, shown="not watched",
    ),
    Key(
        "audit.stateReaders", "array", [], "ARNs of roles or users that use that key without an alarm",
        check=fields.wrong_principal,
    ),
)  # fmt: skip

BY_NAME: Mapping[str, Key] = {key.name: key for key in KEYS}

SERVICE_KEYS = tuple(key.name for key in KEYS[: KEYS.index(BY_NAME["services"])])
"""The keys that may differ by service."""

_MARK = "config:\n"


def declarations() -> str:
    """Return Pulumi.yaml's `config:` block, for the CLI: one level of keys, with types, descriptions and defaults."""
    lines = [_MARK]
    for key in (key for key in KEYS if not key.section):
        default = {"string": "", "object": {}, "array": []}[key.kind] if key.default is REQUIRED else key.default
        required = "Required. " if key.default is REQUIRED else ""
        lines.append(f"  {key.name}:\n    type: {key.kind}\n")
        lines += ["    items:\n      type: string\n"] if key.kind == "array" else []
        lines.append(f"    description: {json.dumps(required + key.meaning)}\n    default: {_yaml(default)}\n")
    return "".join(lines)


def page() -> str:
    """Return docs/configuration.md."""
    return "\n".join(
        [
            "# Configuration",
            "",
            "Set a key with `pulumi config set KEY VALUE`, a nested one with `--path`, a secret with `--secret`.",
            "`up` and `preview` report all problems together, each with what is allowed; a wrong type stops them earlier.",
            "`config/keys.py` is the source of this page.",
            "",
            *_rows(key for key in KEYS if not key.section),
            "",
            "The catalogue names further keys: one for each `Supplied` and `Generated` value, and one for each plain variable.",
            *(line for section in ("rotation", "redeploy", "audit") for line in _section(section)),
            "",
        ]
    )


def _section(section: str) -> Iterator[str]:
    yield from ("", f"## `{section}`", "")
    yield from _rows(key for key in KEYS if key.section == section)


def _rows(keys: Iterable[Key]) -> Iterator[str]:
    yield from ("| key | type | default | meaning |", "|---|---|---|---|")
    for key in keys:
        rule = key.rule or " or ".join(f"`{value}`" for value in key.allowed)
        meaning = f"{key.meaning}. {f'Allowed: {rule}.' if rule else ''}".strip()
        yield f"| `{key.name.rpartition('.')[2]}` | {key.kind} | {_default(key)} | {meaning} |"


def _default(key: Key) -> str:
    if key.shown:
        return key.shown
    return "required" if key.default is REQUIRED else f"`{_yaml(key.default)}`"


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def main() -> None:
    """Write Pulumi.yaml's declarations and docs/configuration.md, in the current directory."""
    project = Path("Pulumi.yaml")
    kept, _, _ = project.read_text(encoding="utf-8").partition(_MARK)
    project.write_text(kept + declarations(), encoding="utf-8")
    Path("docs/configuration.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
