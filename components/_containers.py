"""The container definitions of a task as canonical JSON.

Defaults that ECS would fill in are spelled out and everything is sorted, so that an unchanged program shows no difference.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SCRATCH_VOLUME = "scratch"
"""The volume at /tmp of a container whose root file system is read-only."""

_LOG_BUFFER = "25m"
"""The buffer for a log that can't be delivered at once. Source: AWS Containers blog, "Preventing log loss with non-blocking
mode
in the AWSLogs container log driver"."""

VERSIONS_LABEL = "secret-versions"
"""Docker label with a digest of the secrets' version ids: a changed value creates a new revision of the task definition."""


def versions_digest(version_ids: Iterable[str]) -> str:
    """Return a short digest of version ids, in any order. Version ids are random: they reveal nothing about a value."""
    return hashlib.sha256("\n".join(sorted(version_ids)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Container:
    """The application's container.

    Attributes:
        name: The container's name.
        image: Image with a tag or digest.
        environment: Plain variables.
        secrets: `valueFrom` by variable.
        version_ids: The secrets' versions at the time of the deployment.
        log_group_name: CloudWatch log group.
        region: Region of the log group.
        port: TCP port that the application listens on, if any.
        command: The command to run instead of the image's, if any.
        readonly_root_filesystem: Whether it can write only to /tmp, a volume that ends with the task.
        log_mode: `non-blocking`: lines of a log that can't be delivered are lost. `blocking`: the application waits. "":
            the account's
            default (`defaultLogDriverMode`).
        health_check: `command`, `interval`, `timeout`, `retries`, `start_period`; seconds.
    """

    name: str
    image: str
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    version_ids: Iterable[str]
    log_group_name: str
    region: str
    port: int | None = None
    command: Sequence[str] = ()
    readonly_root_filesystem: bool = False
    log_mode: str = ""
    health_check: Mapping[str, Any] | None = field(default=None)


def container_definitions(container: Container, sidecars: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the JSON of a task's containers: the application's first, then the sidecars in the given order.

    Raises:
        ValueError: When a variable is both plain and secret; ECS refuses this only when a task starts.
    """
    if both := sorted(set(container.environment) & set(container.secrets)):
        raise ValueError(f"{', '.join(both)}: both a plain variable and a secret")
    return json.dumps([_definition(container), *map(_whole, sidecars)], sort_keys=True, separators=(",", ":"))


def _definition(container: Container) -> dict[str, Any]:
    port, name = container.port, container.name
    options = {
        "awslogs-group": container.log_group_name,
        "awslogs-region": container.region,
        "awslogs-stream-prefix": name,
    }
    definition: dict[str, Any] = {
        "name": name,
        "image": container.image,
        "cpu": 0,
        "essential": True,
        "portMappings": [{"containerPort": port, "hostPort": port, "protocol": "tcp"}] if port else [],
        "environment": [{"name": key, "value": value} for key, value in sorted(container.environment.items())],
        "secrets": [{"name": key, "valueFrom": value} for key, value in sorted(container.secrets.items())],
        "mountPoints": [],
        "volumesFrom": [],
        "systemControls": [],
        "dockerLabels": {VERSIONS_LABEL: versions_digest(container.version_ids)},
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }
    if container.command:
        definition["command"] = list(container.command)
    if container.readonly_root_filesystem:
        definition["readonlyRootFilesystem"] = True
        definition["mountPoints"] = [{"sourceVolume": SCRATCH_VOLUME, "containerPath": "/tmp", "readOnly": False}]  # noqa: S108 - in the container
    if container.log_mode:
        options["mode"] = container.log_mode
    if container.log_mode == "non-blocking":
        options["max-buffer-size"] = _LOG_BUFFER
    if check := container.health_check:
        definition["healthCheck"] = {
            "command": list(check["command"]),
            "interval": int(check.get("interval", 30)),
            "timeout": int(check.get("timeout", 5)),
            "retries": int(check.get("retries", 3)),
            **({"startPeriod": int(check["start_period"])} if check.get("start_period") else {}),
        }
    return definition


def _whole(value: Any) -> Any:
    """Return JSON data with integers: a program in another language sends every number as a float."""
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
