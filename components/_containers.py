"""The container definitions of a task as canonical JSON.

Defaults that ECS would fill in are spelled out and everything is sorted, so that an unchanged program shows no difference.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SCRATCH_VOLUME = "scratch"
"""The volume at /tmp of a container whose root file system is read-only."""

_LOG_BUFFER = "25m"
"""What is kept of a log that can't be delivered at once. Source: AWS Containers blog, "Preventing log loss with non-blocking mode
in the AWSLogs container log driver"."""

VERSIONS_LABEL = "secret-versions"
"""Docker label with a digest of the secrets' version ids: a changed value makes a new revision of the task definition."""


def versions_digest(version_ids: Iterable[str]) -> str:
    """Return a short digest of version ids, in any order. Version ids are random: they tell nothing of a value."""
    return hashlib.sha256("\n".join(sorted(version_ids)).encode()).hexdigest()[:16]


def container_definitions(
    *,
    name: str,
    image: str,
    port: int,
    environment: Mapping[str, str],
    secrets: Mapping[str, str],
    version_ids: Iterable[str],
    log_group_name: str,
    region: str,
    command: Sequence[str] = (),
    readonly_root_filesystem: bool = False,
    log_mode: str = "",
) -> str:
    """Return the JSON of a task's one container.

    Args:
        name: The container's name.
        image: Image with a tag or digest.
        port: TCP port that the application listens on.
        environment: Plain variables.
        secrets: `valueFrom` by variable.
        version_ids: The secrets' versions at the time of the deployment.
        log_group_name: CloudWatch log group.
        region: Region of the log group.
        command: What it runs instead of the image's own command, if anything.
        readonly_root_filesystem: Whether it can write to /tmp alone, a volume that ends with the task.
        log_mode: `non-blocking`: a log that can't be delivered loses lines. `blocking`: the application waits. "": the account's
            default (`defaultLogDriverMode`).

    Raises:
        ValueError: When a variable is both plain and secret; ECS refuses that only when a task starts.
    """
    if both := sorted(set(environment) & set(secrets)):
        raise ValueError(f"{', '.join(both)}: both a plain variable and a secret")
    definition: dict[str, Any] = {
        "name": name,
        "image": image,
        "cpu": 0,
        "essential": True,
        "portMappings": [{"containerPort": port, "hostPort": port, "protocol": "tcp"}],
        "environment": [{"name": name, "value": environment[name]} for name in sorted(environment)],
        "secrets": [{"name": name, "valueFrom": secrets[name]} for name in sorted(secrets)],
        "mountPoints": [],
        "volumesFrom": [],
        "systemControls": [],
        "dockerLabels": {VERSIONS_LABEL: versions_digest(version_ids)},
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {"awslogs-group": log_group_name, "awslogs-region": region, "awslogs-stream-prefix": name},
        },
    }
    if command:
        definition["command"] = list(command)
    if readonly_root_filesystem:
        definition["readonlyRootFilesystem"] = True
        definition["mountPoints"] = [{"sourceVolume": SCRATCH_VOLUME, "containerPath": "/tmp", "readOnly": False}]  # noqa: S108 - in the container
    if log_mode:
        definition["logConfiguration"]["options"]["mode"] = log_mode
    if log_mode == "non-blocking":
        definition["logConfiguration"]["options"]["max-buffer-size"] = _LOG_BUFFER
    return json.dumps([definition], sort_keys=True, separators=(",", ":"))
