"""Checks of single configuration values: each returns what was found and what is allowed, or None.

They refuse what AWS would refuse, before anything is created; `ops migrate` runs them before it sets anything.
"""

import re
from collections.abc import Mapping

from components.limits import FARGATE_MEMORY, MAX_VALUE_BYTES

MIN_STRICT_CHARACTERS = 16
"""The shortest secret that a protected stack takes."""

Wrong = tuple[str, str] | None
"""What was found, and what is allowed."""

REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
"""A Region such as eu-west-1."""

KEY_ARN = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[\w-]+")
"""The ARN of a KMS key."""

POLICY_ARN = re.compile(r"arn:[a-z-]+:iam::(\d{12}|aws):policy/[\w+=,.@/-]+")
"""The ARN of a managed policy."""

PRINCIPAL_ARN = re.compile(r"arn:[a-z-]+:iam::\d{12}:(role|user)/[\w+=,.@/-]+")
"""The ARN of a role or user."""

ECS_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
"""The name of an ECS cluster or service. Source: AWS, Amazon ECS API Reference, CreateService."""

SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")
"""A subnet's id."""

SECURITY_GROUP = re.compile(r"sg-[0-9a-f]{8,17}")
"""A security group's id."""

LOG_GROUP = re.compile(r"[\w./#-]{1,512}")
"""A log group's name."""

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
"""An e-mail address."""

PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names that a plain variable can have."""

SECRET_NAME = re.compile(
    r".*(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|(API|ACCESS|PRIVATE|SIGNING|ENCRYPTION)_?KEY|CREDENTIALS?)|(.*_)?PASS",
    re.IGNORECASE,
)
"""Names that a plain variable can't have, whatever its value."""

PASSWORD_IN_URL = re.compile(r"://[^\s/:@]*:[^\s/@]+@")
"""Values that a plain variable can't have."""

ISSUED_SECRET = re.compile(
    r"(AKIA|ASIA)[0-9A-Z]{16}|gh[opsu]_[0-9A-Za-z]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}|(sk|rk)_(live|test)_\w{16,}"
    r"|xox[abposr]-[\w-]{10,}|SG\.[\w-]{16,}\.[\w-]{16,}|AIza[\w-]{35}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
"""Keys and tokens by the forms that their issuers document: AWS, GitHub, GitLab, Stripe, Slack, SendGrid, Google."""

_PLACEHOLDER = re.compile(
    r"change[-_ ]?(me|it)?|replace[-_ ]?me|placeholder|example|dummy|todo|tbd|password|secret|test"
    r"|x+|\*+|0+|<.*>|\$\{.*\}|\{\{.*\}\}"
    r"|(your|my|insert|enter|put|some)[-_ ].*|.*(change|replace)[-_ ]?me.*",
    re.IGNORECASE | re.DOTALL,
)


SIDECAR_FIELDS: Mapping[str, type] = {
    "command": list, "entryPoint": list, "essential": bool, "cpu": int, "memory": int, "memoryReservation": int,
    "portMappings": list, "healthCheck": dict, "dependsOn": list, "user": str, "workingDirectory": str,
    "readonlyRootFilesystem": bool, "startTimeout": int, "stopTimeout": int, "ulimits": list, "linuxParameters": dict,
    "dockerLabels": dict, "systemControls": list, "restartPolicy": dict,
}  # fmt: skip
"""What a further container of a task may have beside its image and plain variables, in ECS's names and JSON types."""

NOT_IN_SIDECARS: Mapping[str, str] = {
    "name": "its key is its name",
    "secrets": "secrets reach the service's own container alone: let the sidecar ask it, or run the sidecar as a service",
    "environmentFiles": "the execution role reads no bucket: set environment",
    "repositoryCredentials": "an image in ECR or a public registry",
    "logConfiguration": "it logs to the service's log group",
    "firelensConfiguration": "the service's own container logs to CloudWatch Logs",
    "mountPoints": "the task has no volumes",
    "volumesFrom": "the task has no volumes",
    **dict.fromkeys(
        (
            "links", "hostname", "privileged", "dnsServers", "dnsSearchDomains", "extraHosts", "dockerSecurityOptions",
            "resourceRequirements", "disableNetworking", "credentialSpecs",
        ),
        "Fargate has none",
    ),
}  # fmt: skip
"""What it can't have, and what is allowed instead."""

_JSON_TYPES = {list: "an array", dict: "an object", str: "a string", int: "a whole number", bool: "true or false"}


def wrong_in_sidecar(field: str, value: object) -> Wrong:
    """Return what is wrong with a sidecar's field and what is allowed, or None."""
    if field in NOT_IN_SIDECARS:
        return "is not for a sidecar", NOT_IN_SIDECARS[field]
    if field not in SIDECAR_FIELDS:
        return "is not a field of a sidecar", f"image, environment, {', '.join(sorted(SIDECAR_FIELDS))}"
    kind = SIDECAR_FIELDS[field]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return f"is not {_JSON_TYPES[kind]}", f"{_JSON_TYPES[kind]}, as ECS takes it"
    return None


def wrong_secret(value: str, *, strict: bool) -> str | None:
    """Return what is wrong with a secret's value, or None. Strict: no placeholder, and no short value."""
    size = len(value.encode())
    if size > MAX_VALUE_BYTES:
        return f"has {size:,} bytes; Secrets Manager takes {MAX_VALUE_BYTES:,}"
    if strict and _PLACEHOLDER.fullmatch(value.strip()):
        return "looks like a placeholder"
    if strict and len(value) < MIN_STRICT_CHARACTERS:
        return f"has fewer than {MIN_STRICT_CHARACTERS} characters"
    return None


def wrong_image(value: str) -> Wrong:
    """Return what is wrong with a container image and what is allowed, or None; an image needs a tag or a digest."""
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
    if not re.fullmatch(r"\w[\w.-]{0,127}", tag) or not re.fullmatch(
        r"[a-z0-9_.-]+(:\d+)?(/[a-z0-9_.-]+)*", repository
    ):
        return "is not an image name", "NAME:TAG or NAME@sha256:DIGEST"
    return None


def wrong_host(value: str) -> Wrong:
    """Return what is wrong with a host name and what is allowed, or None."""
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
        return "is not a host name", "a host name alone, such as db.internal"
    return None


def wrong_size(cpu: int, memory: int) -> Wrong:
    """Return why Fargate does not accept this CPU (units) with this memory (MiB), and what is allowed, or None."""
    if cpu not in FARGATE_MEMORY:
        return f"is {cpu}", f"one of {', '.join(map(str, FARGATE_MEMORY))}"
    sizes = FARGATE_MEMORY[cpu]
    if memory in sizes:
        return None
    if isinstance(sizes, range):
        shown = f"{sizes[0]} to {sizes[-1]} in steps of {sizes.step}"
    else:
        shown = f"{', '.join(map(str, sizes[:-1]))} or {sizes[-1]}"
    return f"{cpu} with memory {memory}", f"memory for {cpu} is {shown}"
