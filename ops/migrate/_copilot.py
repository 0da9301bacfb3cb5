"""Manifests of AWS Copilot, as the task definition that Copilot creates from them.

Source: aws/copilot-cli, site/content/docs/manifest (lb-web-service, backend-service, worker-service, rd-web-service,
scheduled-job) and site/content/docs/developing/manifest-env-var.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ops.migrate._values import Unread, as_words, health_check, items, mapping, variables_in

TYPES = (
    "Load Balanced Web Service", "Backend Service", "Worker Service", "Request-Driven Web Service", "Scheduled Job",
)  # fmt: skip
"""Types of a manifest that has a container."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_TASK = ("cpu", "memory")
_OF_A_CONTAINER = ("variables", "secrets", "env_file", "command", "entrypoint")
_NOT_OF_A_TASK = {
    "name", "type", "http", "nlb", "count", "exec", "network", "environments", "deployment", "observability", "image",
    "sidecars", "platform", "storage", "logging", *_TASK, *_OF_A_CONTAINER,
}  # fmt: skip
"""What is around the task (load balancer, scaling, network), or is read separately."""

_FIELDS = {
    "essential": "essential", "labels": "dockerLabels", "depends_on": "dependsOn", "mount_points": "mountPoints",
    "credentials": "repositoryCredentials",
}  # fmt: skip
"""ECS's field by Copilot's."""

_ARCHITECTURES = {"x86_64": "X86_64", "amd64": "X86_64", "arm64": "ARM64", "arm": "ARM64"}

_OWN_VARIABLES = (
    "Copilot sets further variables (COPILOT_..., the outputs of addons/): add those that the application reads"
)


def environments(manifest: Mapping[str, Any]) -> list[str]:
    """Return the environments that a manifest has overrides for, only "" without any."""
    return list(mapping(manifest.get("environments"))) or [""]


def task_definition(manifest: Mapping[str, Any], environment: str, path: Path) -> dict[str, Any]:
    """Return the task definition of one of the environments as `describe-task-definition` prints it.

    `path` is the manifest's file: env_file is relative to the folder that `copilot/` is in.
    """
    overrides = mapping(manifest.get("environments")).get(environment)
    folder = next((folder for folder in path.parents if folder.name == "copilot"), path.parent / "copilot")
    known = {"COPILOT_ENVIRONMENT_NAME": environment, "COPILOT_APPLICATION_NAME": _application(folder)}
    filled = mapping(_filled(_merged(manifest, overrides), {name: value for name, value in known.items() if value}))
    own = {**mapping(filled.get("image"), "location"), **{k: filled[k] for k in _OF_A_CONTAINER if k in filled}}
    storage = mapping(filled.get("storage"))
    volumes = mapping(storage.get("volumes"))
    sidecars = mapping(filled.get("sidecars"))
    return {
        **{key: filled[key] for key in _TASK if key in filled},
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "runtimePlatform": _platform(filled.get("platform")),
        "ephemeralStorage": {"sizeInGiB": storage["ephemeral"]} if storage.get("ephemeral") else None,
        "volumes": [{"name": name} for name in volumes],
        "copilot.variables": Unread(_OWN_VARIABLES),
        "containerDefinitions": [
            {
                **_container(str(filled.get("name") or "app"), own, folder.parent),
                "readonlyRootFilesystem": storage.get("readonly_fs"),
                "mountPoints": [{"sourceVolume": name} for name in volumes],
                "logConfiguration": _log(mapping(filled.get("logging"))),
            },
            *(_container(name, mapping(raw), folder.parent) for name, raw in sidecars.items()),
        ],
        **{f"copilot.{key}": value for key, value in filled.items() if key not in _NOT_OF_A_TASK},
    }


def _merged(base: Any, override: Any) -> Any:
    """Return the manifest with an environment's overrides: mappings are merged, everything else is replaced."""
    if isinstance(base, dict) and isinstance(override, dict):
        ours, theirs = mapping(base), mapping(override)
        return {**ours, **{key: _merged(ours.get(key), value) for key, value in theirs.items()}}
    return base if override is None else override


def _application(folder: Path) -> str:
    """Return the application's name from `copilot/.workspace`, "" without one."""
    try:
        found: Any = yaml.safe_load((folder / ".workspace").read_text(encoding="utf-8"))
        return str(found["application"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return ""


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    """Return a value with `${NAME}` filled in, Unread where only the shell of `copilot deploy` knows it."""
    if isinstance(value, dict):
        return {key: _filled(item, known) for key, item in mapping(value).items()}
    if isinstance(value, list):
        return [_filled(item, known) for item in items(value)]
    if not isinstance(value, str):
        return value
    if missing := [name for name in _VARIABLE.findall(value) if name not in known]:
        return Unread(f"Copilot takes {missing[0]} from the shell, the application or the environment")
    return _VARIABLE.sub(lambda found: known[found[1]], value)


def _container(name: str, raw: Mapping[str, Any], root: Path) -> dict[str, Any]:
    image = mapping(raw.get("image"), "location") or raw
    environment, unread_files = _from_file(raw.get("env_file"), root)
    environment |= {key: _export(value) or value for key, value in mapping(raw.get("variables")).items()}
    port, _, protocol = str(raw.get("port") or "").partition("/")
    found = {
        "name": name,
        "image": image.get("location"),
        "environment": [{"name": key, "value": value} for key, value in environment.items()],
        "secrets": [
            {"name": key, "valueFrom": _reference(value)} for key, value in mapping(raw.get("secrets")).items()
        ],
        "environmentFiles": unread_files,
        "portMappings": [{"containerPort": port, "protocol": protocol or "tcp"}] if port else [],
        "command": as_words(raw.get("command")),
        "entryPoint": as_words(raw.get("entrypoint")),
        "healthCheck": health_check(raw.get("healthcheck"), "command"),
        **{ecs: raw.get(key) for key, ecs in _FIELDS.items()},
    }
    return {key: value for key, value in found.items() if value is not None}


def _from_file(file: Any, root: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the variables of an env file, or the file as ECS has it where it can't be read here."""
    if not file:
        return {}, []
    try:
        return variables_in((root / str(file)).read_text(encoding="utf-8-sig"), str(file), str(file)), []
    except (OSError, ValueError):
        return {}, [{"value": str(file), "type": "file"}]


def _reference(value: Any) -> Any:
    """Return a secret's `valueFrom`: a parameter's name or ARN, or `secretsmanager:` and a secret's name."""
    found = mapping(value).get("secretsmanager")
    return _export(value) or (f"secretsmanager:{found}" if isinstance(found, str) else value)


def _export(value: Any) -> Unread | None:
    found = mapping(value).get("from_cfn")
    return Unread("an export of CloudFormation gives it: aws cloudformation list-exports") if found else None


def _platform(value: Any) -> dict[str, Any] | None:
    """Return the platform: `linux/arm64`, or a mapping of osfamily and architecture."""
    found = mapping(value)
    if isinstance(value, str):
        found = dict(zip(("osfamily", "architecture"), value.split("/", 1), strict=False))
    if not found:
        return None
    architecture = str(found.get("architecture") or "x86_64").lower()
    system = str(found.get("osfamily") or "linux").upper()
    return {"cpuArchitecture": _ARCHITECTURES.get(architecture, architecture), "operatingSystemFamily": system}


def _log(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the options of FireLens; the retention of CloudWatch Logs alone changes nothing."""
    others = {key: value for key, value in raw.items() if key != "retention" and value is not None}
    return {"logDriver": "awsfirelens", "options": others.get("destination"), **others} if others else None
