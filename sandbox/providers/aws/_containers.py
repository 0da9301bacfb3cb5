"""Container definitions of ECS as JSON text: their normal form, for comparing, and their checks.

Pure functions. What the official plugin takes for the same: the order of containers, variables and secrets, lists without an
entry, an entry without anything, `null` and nothing, `cpu` 0, the defaults of `essential` and of a health check. What it takes
for different stays different here: the order of port mappings, a variable without a value and one with an empty value, an
empty map and none.
Source: terraform-provider-aws 6.x (2026), internal/service/ecs/container_definitions.go, `reduce` and
`expandContainerDefinitions`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.providers._diff import by
from sandbox.providers._resource import one_of

_SORTED_BY_NAME = ("environment", "secrets")
_OBJECTS = (
    "dependsOn", "environment", "environmentFiles", "extraHosts", "mountPoints", "portMappings", "resourceRequirements",
    "secrets", "systemControls", "ulimits", "volumesFrom",
)  # fmt: skip
"""Lists whose entries without anything are dropped, before they are compared or sent."""

_HEALTH_CHECK = {"interval": 30, "retries": 3, "timeout": 5}


def expanded(text: str) -> list[dict[str, Any]]:
    """The definitions as they are sent: keys in camelCase, without nulls and without entries that hold nothing.

    Raises:
        ValueError: the text isn't a JSON list of objects.
    """
    definitions = json.loads(text)
    if not isinstance(definitions, list) or not all(isinstance(item, dict) for item in definitions):
        raise ValueError("it must be a JSON list of objects")
    return [_expanded(_without_nulls(item)) for item in definitions]


def _expanded(definition: Mapping[str, Any]) -> dict[str, Any]:
    container = {key[:1].lower() + key[1:]: value for key, value in definition.items()}
    return {
        key: [item for item in value if item] if key in _OBJECTS and isinstance(value, list) else value
        for key, value in container.items()
    }


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def normal(text: str) -> list[dict[str, Any]]:
    """The definitions, sorted by name, with ECS's defaults and without empty lists.

    Raises:
        ValueError: the text isn't a JSON list of objects.
    """
    return sorted((_normal_container(item) for item in expanded(text)), key=lambda item: str(item.get("name")))


def _normal_container(container: dict[str, Any]) -> dict[str, Any]:
    container.setdefault("essential", True)
    for key in _SORTED_BY_NAME:
        container[key] = sorted(container.get(key, []), key=lambda item: str(item.get("name")))
    container["portMappings"] = [_normal_port(item) for item in container.get("portMappings", [])]
    if "healthCheck" in container:
        container["healthCheck"] = {**_HEALTH_CHECK, **container["healthCheck"]}
    if container.get("cpu") == 0:
        del container["cpu"]
    return {key: value for key, value in container.items() if value != []}


def _normal_port(mapping: Mapping[str, Any]) -> dict[str, Any]:
    port = {"protocol": "tcp", **mapping}
    # In awsvpc mode, the only one on Fargate, the host's port is the container's; ECS fills it in.
    if port.get("hostPort") in (0, None, port.get("containerPort")):
        port.pop("hostPort", None)
    return port


def _text(text: str) -> str:
    """The normal form as one text, which compares to the letter."""
    return json.dumps(normal(text), sort_keys=True)


same_containers = by(_text)


_CONSISTENCY = one_of("enabled", "disabled")


def check(text: Any) -> str | None:
    """What is wrong with container definitions; the reason quotes names only."""
    try:
        definitions = normal(text)
    except ValueError as error:
        reason = "invalid JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        return f"ECS Task Definition container_definitions is invalid: {reason}"
    except (AttributeError, TypeError):
        return "ECS Task Definition container_definitions is invalid: a list of objects is something else"
    reasons = [reason for definition in definitions for reason in _problems(definition)]
    return f"ECS Task Definition container_definitions is invalid: {'; '.join(reasons)}" if reasons else None


def _problems(definition: Mapping[str, Any]) -> Iterator[str]:
    name = definition.get("name")
    if not name:
        yield "a container has no name"
    if not definition.get("image"):
        yield f"container {name} has no image"
    consistency = definition.get("versionConsistency")
    if consistency and (reason := _CONSISTENCY(consistency)):
        yield f"container {name}, versionConsistency: {reason}"
    names = [item.get("name") for key in _SORTED_BY_NAME for item in definition.get(key, [])]
    doubled = sorted({str(item) for item in names if names.count(item) > 1})
    if doubled:
        # AWS: "The secret name must be unique and not shared with any new or existing environment variables".
        yield f"container {name} names {', '.join(doubled)} more than once among environment and secrets"
