"""Every field of a task definition: what becomes of it in the program's task definition, and what to do where it is lost.

The names are ECS's. Source: botocore, the service model of ECS, TaskDefinition and ContainerDefinition; a test compares them, so
that a field which AWS adds is noticed. A field that is in neither table is treated as lost.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from components import checks, limits
from ops._detect import why_text_is_secret
from ops.migrate._task_definition import FILLED_BY_ECS, Container, TaskDefinition
from ops.migrate._values import Unread, items, mapping

MADE_BY_THE_PROGRAM = {"family", "executionRoleArn", "containerDefinitions"}
"""What the program creates again without an effect on containers."""

_SIZES = ("cpu", "memory", "memoryReservation")
_NOT_COMPARED = {"name", "image", "environment", "secrets", *_SIZES}
"""What variables and settings of the plan are compared for."""

TASK_FIELDS: Mapping[str, str] = {
    "taskRoleArn": "the new task role has no permissions: attach the application's to the output services.<name>.task_role_arn",
    "networkMode": "the new task uses awsvpc: it has its own IP address, so target groups by IP, no links, no dynamic host ports",
    "requiresCompatibilities": "the new task runs on Fargate: no privileged containers, host volumes or GPUs",
    "runtimePlatform": "the program only runs Linux, on the configured cpuArchitecture",
    "volumes": "the new task has no volumes: keep the data in S3 or a database, or add them to components/task_definition.py",
    "placementConstraints": "Fargate places tasks itself; leave them out",
    "pidMode": "the new task's containers share no processes; leave it out, or add it to components/task_definition.py",
    "ipcMode": "Fargate has no shared IPC; leave it out",
    "proxyConfiguration": "the program does not run App Mesh: use ECS Service Connect, or leave it out",
    "inferenceAccelerators": "Fargate has none; leave them out",
    "ephemeralStorage": "the new task has 20 GiB: add ephemeral_storage to components/task_definition.py if it needs more",
    "enableFaultInjection": "leave it out, or add it to components/task_definition.py",
    "trustedExecutionConfiguration": "add it to components/task_definition.py if tasks attest themselves",
    "tags": "tags come from Pulumi: pulumi config set --path 'aws:defaultTags.tags.NAME' VALUE",
    **dict.fromkeys(("cpu", "memory"), ""),
}
"""The task's fields and what to do when the new task definition has another value; "" where the configuration carries it."""

CONTAINER_FIELDS: Mapping[str, str] = {
    "portMappings": "the configuration carries the first TCP port: add others to components/_containers.py",
    "environmentFiles": "has variables that are not read: move them yourself, or scan the file itself",
    "command": "the image's own command runs: set it in the image (CMD), or set services.SERVICE.command, an array",
    "entryPoint": "the image's own entry point runs: set it in the image (ENTRYPOINT)",
    "essential": "the service's own container is essential; leave it out",
    "repositoryCredentials": "the new task pulls from ECR or a public registry: use an ECR pull-through cache, or copy the image",
    "links": "use the other service's own address (Cloud Map, Service Connect) instead of a link",
    "restartPolicy": "the service starts a stopped task again; leave it out",
    "mountPoints": "the new task has no volumes: see volumes",
    "volumesFrom": "the new task has no volumes: see volumes",
    "linuxParameters": "add to components/_containers.py what the application needs (capabilities, init, tmpfs)",
    "dependsOn": "the service's own container waits for no other: let the application wait for its dependencies",
    "startTimeout": "only dependsOn uses it; leave it out",
    "stopTimeout": "the new container is killed after 30 s: add it to components/_containers.py if it needs longer",
    "versionConsistency": "ECS resolves the image's digest; leave it out",
    "hostname": "awsvpc has no host names; leave it out",
    "user": "the image's own user runs: set it in the image (USER)",
    "workingDirectory": "the image's own directory applies: set it in the image (WORKDIR)",
    "disableNetworking": "Windows only; leave it out",
    "privileged": "Fargate does not run privileged containers: remove what needs it, or stay on EC2",
    "readonlyRootFilesystem": "the new container can write to its file system: set readonlyRootFilesystem, see docs/security.md",
    "dnsServers": "awsvpc takes DNS from the VPC's DHCP options; leave it out",
    "dnsSearchDomains": "awsvpc takes DNS from the VPC's DHCP options; use full names",
    "extraHosts": "awsvpc has no extra hosts: use a private hosted zone",
    "dockerSecurityOptions": "Fargate has none; leave them out",
    "interactive": "a service has no terminal; leave it out",
    "pseudoTerminal": "a service has no terminal; leave it out",
    "dockerLabels": "leave them out, or add them to components/_containers.py if something reads them",
    "ulimits": "the new container has Fargate's limits (nofile 65535): add them to components/_containers.py if it needs more",
    "logConfiguration": "the new container logs to CloudWatch Logs (awslogs), each line as one event; forward them from there",
    "healthCheck": "is not one that ECS accepts, or holds a secret: set healthCheck in the configuration, or leave it out",
    "systemControls": "add them to components/_containers.py if the application needs them",
    "resourceRequirements": "Fargate has no GPU: stay on EC2, or leave it out",
    "firelensConfiguration": "a log router is a sidecar, which the program does not run",
    "credentialSpecs": "Windows only; leave them out",
    **dict.fromkeys(_NOT_COMPARED, ""),
}
"""A container's fields, in the same form."""

UNKNOWN = (
    "is a field that this program does not know: look it up in the ECS API, and add it to components/_containers.py"
)

_AWSLOGS = {"awslogs-group", "awslogs-region", "awslogs-stream-prefix", "awslogs-create-group"}
"""Options of the log that don't change what is logged."""

_DEFAULTS: Mapping[str, Any] = {
    "essential": True, "versionConsistency": "enabled", "startTimeout": None, "cpu": 0, "protocol": "tcp", "interval": 30,
    "timeout": 5, "retries": 3, "operatingSystemFamily": "LINUX",
}  # fmt: skip
"""The default of ECS for a field that is left out, beside false, 0 and nothing."""

_ON_EC2, _ON_FARGATE = "bridge", "awsvpc"


def health_check(container: Container) -> str | None:
    """Return a container's health check for the configuration, None for one with a secret or a number that ECS rejects."""
    check = mapping(container.document.get("healthCheck"))
    words = items(check.get("command"))
    numbers = {key: check.get(key) for key in limits.HEALTH_CHECK}
    numbers = {key: str(limits.HEALTH_CHECK[key][0] if value is None else value) for key, value in numbers.items()}
    fine = all(
        numbers[key].isdecimal() and lowest <= int(numbers[key]) <= highest
        for key, (_, lowest, highest) in limits.HEALTH_CHECK.items()
    )
    if words[:1] not in (["CMD"], ["CMD-SHELL"]) or not all(isinstance(word, str) for word in words) or not fine:
        return None
    if why_text_is_secret(" ".join(words)):
        return None
    return compact({"command": words, **{key: int(number) for key, number in numbers.items()}})


def compact(value: object) -> str:
    """Return a value as the configuration has it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def sidecar(
    task: TaskDefinition, container: Container, renamed: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a further container for the configuration, and what is not carried: by field, with what to do.

    `renamed` is what containers are called in the new task definition, by old name.
    """
    found: dict[str, Any] = {"image": container.image, "environment": dict(sorted(container.plain.items()))}
    left: dict[str, str] = {}
    sizes = {key: container.document.get(key) for key in _SIZES if task.memory}
    texts = {key: value for key, value in container.document.items() if checks.SIDECAR_FIELDS.get(key) is str}
    for field, value in _present(container_fields(container) | _canonical(sizes) | texts):
        if isinstance(value, Unread):
            left[field] = f"is not read: {value.why}"
            continue
        if field == "logConfiguration" and value == _awslogs({}):
            continue  # the program's own
        carried = _as_ecs_takes_it(container, field, value, renamed)
        if wrong := checks.wrong_in_sidecar(field, carried):
            left[field] = wrong[1] if field in checks.NOT_IN_SIDECARS else _advice(CONTAINER_FIELDS, field, value)
        elif field == "dependsOn" and (gone := {one["containerName"] for one in carried} - set(renamed.values())):
            left[field] = f"{', '.join(sorted(gone))} is not run"
        else:
            found[field] = carried
    return found, left


def _as_ecs_takes_it(container: Container, field: str, value: Any, renamed: Mapping[str, str]) -> Any:
    if field == "portMappings":
        return _ports(container)
    if field == "dependsOn":
        return [{**one, "containerName": renamed.get(one["containerName"], one["containerName"])} for one in value]
    return bool(value) if field == "essential" else value


def _ports(container: Container) -> list[dict[str, Any]]:
    """Return a container's ports without the host's: awsvpc has no others."""
    ports = items(_canonical(container.document.get("portMappings")))
    return [{key: item for key, item in mapping(port).items() if key != "hostPort"} for port in ports]


def different_sidecar(wanted: Mapping[str, Any], new: Container) -> list[str]:
    """Return the fields of a carried container that the new one has differently."""
    fields = container_fields(new) | {key: new.document.get(key) for key in _SIZES}
    own = {**fields, "image": new.image, "environment": dict(new.plain), "portMappings": _ports(new)}
    return [key for key, value in wanted.items() if _text(_canonical(value)) != _text(_canonical(own.get(key)))]


def different(
    old_task: TaskDefinition, old: Container, new_task: TaskDefinition | None = None, new: Container | None = None
) -> tuple[dict[str, str], set[str]]:
    """Return the fields that differ, each with what to do, and the old one's fields that are equal.

    They are compared with what the program would create, as long as there is no new task definition.
    """
    wrong: dict[str, str] = {}
    equal: set[str] = set()
    tables = (
        (TASK_FIELDS, _task_fields(old_task), _task_fields(new_task) if new_task else _NEW_TASK),
        (CONTAINER_FIELDS, container_fields(old), container_fields(new) if new else _new_container(old)),
    )
    for advice, ours, theirs in tables:
        for field, value in _present(ours):
            if isinstance(value, Unread):
                wrong[field] = f"is not read: {value.why}"
            elif _same(field, value, theirs.get(field)):
                equal.add(field)
            else:
                wrong[field] = _advice(advice, field, value)
    return wrong, equal


def _advice(table: Mapping[str, str], field: str, value: Any) -> str:
    tool, dot, _ = field.partition(".")
    if field == "portMappings" and len(value) == 1 and "tcp (" in value[0]:
        return f"{value[0]}: only Service Connect uses a port's protocol; leave it out where the service is not in it"
    if field == "portMappings":
        return f"{', '.join(value[1:]) or value[0]}: {table[field]}"
    if dot:
        return f"only {tool.capitalize()} has it: do what it did yourself, or leave it out"
    return table.get(field) or UNKNOWN


_NEW_TASK: Mapping[str, Any] = {"networkMode": _ON_FARGATE, "requiresCompatibilities": ["FARGATE"]}
"""What the program creates."""


def _new_container(old: Container) -> Mapping[str, Any]:
    """Return the parts of a container that the program creates from an old one's settings."""
    ports = [f"{port}/{protocol}" for port, protocol in old.ports[:1] if protocol == "tcp" and port.isdecimal()]
    carried = {"healthCheck": container_fields(old)["healthCheck"]} if health_check(old) else {}
    return {"portMappings": ports, "logConfiguration": _awslogs({}), **carried}


def _task_fields(task: TaskDefinition) -> dict[str, Any]:
    """Return a task's fields that are compared, without what ECS would fill in."""
    skipped = FILLED_BY_ECS | MADE_BY_THE_PROGRAM | {"cpu", "memory"}
    found = {key: _canonical(value) for key, value in task.document.items() if key not in skipped}
    if platform := mapping(found.get("runtimePlatform")):  # the architecture is a setting of the plan
        found["runtimePlatform"] = {key: value for key, value in platform.items() if key != "cpuArchitecture"}
    if task.whole:
        mode = found.setdefault("networkMode", _ON_EC2)
        found["requiresCompatibilities"] = found.get("requiresCompatibilities") or [
            "FARGATE" if mode == _ON_FARGATE else "EC2"
        ]
    if "FARGATE" in items(found.get("requiresCompatibilities")):
        found["requiresCompatibilities"] = ["FARGATE"]
    return found


def container_fields(container: Container) -> dict[str, Any]:
    """Return a container's fields that are compared, without what ECS would fill in."""
    document = container.document
    found = {key: _canonical(value) for key, value in document.items() if key not in _NOT_COMPARED}
    for section in ("environment", "secrets"):
        entries = document.get(section)
        if unread := [one for one in (entries, *items(entries)) if isinstance(one, Unread)]:
            found[section] = unread[0]
    if ports := items(document.get("portMappings")):
        # The console names every port; only Service Connect uses a port's protocol.
        protocols = [mapping(port).get("appProtocol") for port in ports]
        found["portMappings"] = [
            f"{port}/{protocol}{f' ({other})' if other else ''}"
            for (port, protocol), other in zip(container.ports, protocols, strict=False)
        ]
    log = mapping(document.get("logConfiguration"))
    if log.get("logDriver") == "awslogs":
        found["logConfiguration"] = _awslogs(log)
    if labels := mapping(found.get("dockerLabels")):
        found["dockerLabels"] = {key: value for key, value in labels.items() if key != "secret-versions"}
    return found


def _awslogs(log: Mapping[str, Any]) -> dict[str, Any]:
    others = {key: value for key, value in mapping(log.get("options")).items() if key not in _AWSLOGS}
    return {"logDriver": "awslogs", **({"options": others} if others else {})}


def _present(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in sorted(fields):
        if not _is_default(field, fields[field]):
            yield field, fields[field]


def _is_default(field: str, value: Any) -> bool:
    if value is None or value in ("", [], {}):
        return True
    return value == _DEFAULTS[field] if field in _DEFAULTS else value in (False, 0)


def _canonical(value: Any) -> Any:
    """Return a value without what ECS would fill in, with quoted numbers and switches as such."""
    if isinstance(value, dict):
        found = {key: _canonical(item) for key, item in sorted(mapping(value).items())}
        return {key: item for key, item in found.items() if not _is_default(key, item)}
    if isinstance(value, list):
        return [_canonical(item) for item in items(value)]
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value, int(value) if value.isdecimal() else value)
    return value


def _same(field: str, old: Any, new: Any) -> bool:
    if field == "dockerLabels" and isinstance(new, dict):
        return mapping(old).items() <= mapping(new).items()
    if field == "portMappings":
        return set(old) <= set(new or ())
    return _text(old) == _text(new)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
