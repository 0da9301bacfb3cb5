"""The files that a task definition is found in: what ECS prints and accepts, CloudFormation, Terraform, Compose, `.env`.

Each becomes the document that `describe-task-definition` prints for it. A reference that only the tool
that owns the file can resolve is `Unread`, with the reason. No message quotes a file's content.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from ops._env_file import Elsewhere, parse_env
from ops.migrate import _copilot as copilot
from ops.migrate._values import Unread, as_words, health_check

_MAX_NODES = 200_000
"""Parts of a document above which it is refused: YAML's aliases can expand a small file endlessly."""

_DEFINITIONS = "containerDefinitions"


class FormatError(ValueError):
    """The text is not a task definition; the message never quotes its content."""


@dataclass(frozen=True)
class Document:
    """One task definition.

    Attributes:
        name: What identifies it in the file: its family, a logical id, a Terraform address.
        content: As `describe-task-definition` prints it, kept out of `repr`.
        whole: Whether the file says everything about the task, so that what it leaves out has ECS's default.
    """

    name: str
    content: Mapping[str, Any] = field(repr=False)
    whole: bool = True


def read_documents(path: Path) -> list[Document]:
    """Return the task definitions in a file, in the file's order.

    Raises:
        FormatError: When there is none, or the file can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FormatError(f"{path} can't be read: {error.strerror}") from None
    except ValueError:
        raise FormatError(f"{path} is not JSON: it is not UTF-8 text") from None
    if path.name.startswith(".env") or path.suffix == ".env":
        return [_from_env(text, path)]
    if other := _named_otherwise(path, text):
        raise FormatError(f"{path} is {other}")
    yaml_file = path.suffix in {".yaml", ".yml"}
    return documents(_yaml(text, path) if yaml_file else _json(text, path), path.name, str(path))


READ = (
    "supported are a task definition in the JSON of ECS, CloudFormation or Terraform, a Compose file, a manifest of AWS Copilot, "
    "an env file (.env)"
)
"""What to offer instead of a file that is not read."""


def _named_otherwise(path: Path, text: str) -> str:
    """Return what a file is by its name, and what to do; "" for one that can be read."""
    name = path.name.lower()
    if path.suffix in {".tf", ".hcl"}:
        return "Terraform's language: `terraform show -json > FILE` has the values; scan that"
    if name.startswith(("dockerfile", "containerfile")) or path.suffix.lower() == ".dockerfile":
        return (
            f"a Dockerfile, whose ENV lines every task with the image gets, whatever its task definition says; {READ}"
        )
    if path.suffix.lower() == ".properties":
        return f"a .properties file of Java, which is not supported; {READ}"
    yaml_file = path.suffix in {".yaml", ".yml", ".tpl"}
    templated = re.search(r"\{\{-?\s*(\$?\.Values|include|if|range|with)\b", text)
    if yaml_file and (templated or re.fullmatch(r"values([.-].*)?|chart\.yaml", name)):
        return f"a file of Helm, which is not supported; {READ}"
    return ""


def documents(content: object, name: str, source: str) -> list[Document]:
    """Return the task definitions in a parsed document.

    Raises:
        FormatError: When there is none.
    """
    _check_size(content, source)
    # `terraform output -json` of jsonencode(...) is JSON in a JSON string.
    content = _parsed_again(content)
    if isinstance(content, list) and _are_containers(cast("list[Any]", content)):
        return [Document(name, {_DEFINITIONS: content}, whole=False)]
    if isinstance(content, dict):
        mapping = cast("Mapping[str, Any]", content)
        if mapping.get("type") in copilot.TYPES:
            return _from_copilot(mapping, name, source)
        if isinstance(mapping.get("services"), dict):
            return [_from_compose(mapping, name, source)]
        if isinstance(mapping.get("image"), str) and isinstance(mapping.get("environment", []), list):
            return [Document(name, {_DEFINITIONS: [mapping]}, whole=False)]
    found: list[Document] = []
    try:
        for document in _found(content, name, _parameters(content)):
            if document.content not in [other.content for other in found]:
                found.append(document)
    except RecursionError:
        raise FormatError(f"{source} is nested too deeply") from None
    if not found:
        raise FormatError(f"{source} {_instead(content)}")
    return found


def _parsed_again(content: Any) -> Any:
    """Return a text's JSON; anything else, and a text that is not JSON, as it is."""
    if not isinstance(content, str):
        return content
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content


def _instead(content: object) -> str:
    """Return what a document without containers is, and what to do."""
    kinds = cast("Mapping[str, Any]", content) if isinstance(content, dict) else {}
    if kinds.get("planned_values") or "terraform_version" in kinds:
        return "has no task definition yet: Terraform knows it only after the apply; `terraform show -json > FILE` then"
    if "Resources" in kinds:
        return f"is a CloudFormation template without AWS::ECS::TaskDefinition; {READ}"
    for kind, is_it in _OTHERS.items():
        if is_it(kinds):
            return f"is {kind}, which is not supported; {READ}"
    return f"has no containerDefinitions: it is not a task definition; {READ}"


_OTHERS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "a Kubernetes manifest": lambda found: "apiVersion" in found and "kind" in found,
    "a serverless.yml of the Serverless Framework": lambda found: "provider" in found and "service" in found,
    "a workflow of GitHub Actions": lambda found: "jobs" in found and ("on" in found or True in found),
    "a pipeline of GitLab": lambda found: (
        "stages" in found or any(isinstance(v, dict) and "script" in v for v in found.values())
    ),
    "a Static Site of AWS Copilot": lambda found: found.get("type") == "Static Site",
    "an environment or pipeline manifest of AWS Copilot": lambda found: (
        found.get("type") == "Environment" or ("stages" in found and "source" in found)
    ),
    "a file of Helm": lambda found: (
        bool({"replicaCount", "serviceAccount", "ingress", "nodeSelector"} & set(found))
        or (isinstance(found.get("image"), dict) and "repository" in found["image"])
    ),
}
"""Formats that people try, by what they are called."""


def _are_containers(items: Sequence[Any]) -> bool:
    return bool(items) and all(
        isinstance(item, dict)
        and any(isinstance(item.get(key), str) for key in ("name", "image"))
        and _key_of(cast("Mapping[str, Any]", item)) is None
        for item in items
    )


def _key_of(mapping: Mapping[str, Any]) -> str | None:
    """Return the key of a task definition's containers, in any spelling."""
    return next((k for k in mapping if k.replace("_", "").lower() == _DEFINITIONS.lower()), None)


def _found(node: object, name: str, parameters: Mapping[str, Any] | None) -> Iterator[Document]:
    if isinstance(node, list):
        for item in cast("list[Any]", node):
            yield from _found(item, name, parameters)
        return
    if not isinstance(node, dict):
        return
    mapping = cast("Mapping[str, Any]", node)
    key = _key_of(mapping)
    definitions: Any = _parsed_again(mapping.get(key)) if key else None
    if parameters is not None:
        definitions = _resolved(definitions, parameters)
    if isinstance(definitions, list) and definitions and all(isinstance(d, dict) for d in definitions):
        rest = {k: v for k, v in mapping.items() if k != key}
        if parameters is not None:
            rest = {k: _resolved(v, parameters) for k, v in rest.items()}
        content = {**_task(rest, key == "container_definitions"), _DEFINITIONS: [_camel(d) for d in definitions]}
        family = content.get("family")
        yield Document(family if isinstance(family, str) and family else name, content)
        return
    for key, value in _in_order(mapping):
        label = mapping.get("address") or (key if key not in _WRAPPERS else name)
        yield from _found(value, str(label), parameters)


_WRAPPERS = {
    "taskDefinition", "attributes", "values", "outputs", "inputs", "Properties", "instances", "resources", "resource", "value",
    "root_module", "child_modules", "planned_values", "deployment", "Resources",
}  # fmt: skip
"""Keys that name no task definition."""


def _in_order(mapping: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what can hold task definitions; of a Terraform plan the planned state, not the prior one."""
    skipped = {"prior_state", "resource_changes", "configuration"} if "planned_values" in mapping else set[str]()
    skipped |= {"inputs"} if "outputs" in mapping else set[str]()
    yield from ((key, value) for key, value in mapping.items() if key not in skipped)


def _task(rest: Mapping[str, Any], terraform: bool) -> dict[str, Any]:  # noqa: FBT001 - one caller
    """Return the task's own fields, as ECS calls them."""
    if not terraform:
        return {_ecs_name(key): _camel(value) for key, value in rest.items()}
    found = {_from_snake(key): value for key, value in rest.items() if key not in _OF_TERRAFORM}
    for block in ("runtimePlatform", "ephemeralStorage", "proxyConfiguration"):
        value = found.get(block)
        if isinstance(value, list):
            found[block] = {_from_snake(k): v for k, v in cast("Any", value[0]).items()} if value else None
    volumes = cast("list[Any]", found.pop("volume", None) or [])
    found["volumes"] = [_volume(volume) for volume in volumes if isinstance(volume, dict)]
    found["taskDefinitionArn"] = rest.get("arn")
    return found


_OF_TERRAFORM = {
    "arn", "arn_without_revision", "id", "skip_destroy", "tags_all", "track_latest", "region", "timeouts", "address", "name",
    "type", "mode", "provider_name", "schema_version", "sensitive_values",
}  # fmt: skip
"""What Terraform adds to a task definition. Source: hashicorp/terraform-provider-aws, aws_ecs_task_definition."""


def _volume(raw: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": raw.get("name")}
    if raw.get("host_path"):
        found["host"] = {"sourcePath": raw["host_path"]}
    for key, value in raw.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            inner = cast("Mapping[str, Any]", value[0])
            found[_from_snake(key)] = {
                _from_snake(k): ({_from_snake(a): b for a, b in v[0].items()} if isinstance(v, list) and v else v)
                for k, v in inner.items()
            }
    return found


def _from_snake(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


_NAMES = {
    "EFSVolumeConfiguration": "efsVolumeConfiguration",
    "FSxWindowsFileServerVolumeConfiguration": "fsxWindowsFileServerVolumeConfiguration",
    "FilesystemId": "fileSystemId",
}
"""CloudFormation's names that differ from ECS's in more than the first letter."""


def _ecs_name(name: str) -> str:
    return _NAMES.get(name) or name[:1].lower() + name[1:]


_MAPS = {"options", "dockerLabels", "driverOpts", "labels"}
"""Fields whose keys are the user's own."""


def _camel(value: Any, *, own: bool = False) -> Any:
    """Return a value with CloudFormation's capitals as ECS's; the user's own keys stay as they are."""
    if isinstance(value, list):
        return [_camel(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    items = cast("Mapping[str, Any]", value).items()
    if own:
        return dict(items)
    return {_ecs_name(str(key)): _camel(item, own=_ecs_name(str(key)) in _MAPS) for key, item in items}


# CloudFormation


def _parameters(content: object) -> Mapping[str, Any] | None:
    """Return a template's parameters with their defaults, None when it is not a template."""
    if not isinstance(content, dict) or not isinstance(content.get("Resources"), dict):
        return None
    found = cast("Mapping[str, Any]", content).get("Parameters")
    given = cast("Mapping[str, Any]", found).items() if isinstance(found, dict) else ()
    return {name: p["Default"] for name, p in given if isinstance(p, dict) and isinstance(p.get("Default"), str | int)}


def _resolved(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a value with a template's functions worked out, Unread where only CloudFormation can."""
    if isinstance(value, list):
        items = [_resolved(item, parameters) for item in cast("list[Any]", value)]
        return [item for item in items if item is not None]
    if not isinstance(value, dict):
        return value
    mapping = cast("Mapping[str, Any]", value)
    name = next(iter(mapping)) if len(mapping) == 1 else ""
    if name == "Ref" or name.startswith("Fn::"):
        return _called(name, mapping[name], parameters)
    return {key: _resolved(item, parameters) for key, item in mapping.items()}


def _called(name: str, argument: Any, parameters: Mapping[str, Any]) -> Any:
    if name == "Ref" and argument == "AWS::NoValue":
        return None
    if name == "Ref" and isinstance(argument, str) and argument in parameters:
        return str(parameters[argument])
    joined = _joined(argument, parameters) if name == "Fn::Join" else None
    return joined if joined is not None else Unread(f"CloudFormation's {name} returns it when the stack is created")


def _joined(arguments: Any, parameters: Mapping[str, Any]) -> str | None:
    if not isinstance(arguments, list) or len(cast("list[Any]", arguments)) != 2:  # noqa: PLR2004 - delimiter and list
        return None
    delimiter, parts = cast("list[Any]", arguments)
    texts: Any = _resolved(parts, parameters)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in cast("list[Any]", texts)):
        return None
    return str(delimiter).join(texts)


# AWS Copilot


def _from_copilot(manifest: Mapping[str, Any], name: str, source: str) -> list[Document]:
    """Return a task definition for each environment; of several, `--family` names one."""
    found: list[Document] = []
    for environment in copilot.environments(manifest):
        content = copilot.task_definition(manifest, environment, Path(source).absolute())
        found.append(Document(environment or str(manifest.get("name") or name), content, whole=False))
    return found


# Docker Compose

_IGNORED = {
    "container_name",
    "restart",
    "networks",
    "profiles",
    "build",
    "pull_policy",
    "develop",
    "expose",
    "x-common",
}
"""What an ECS service has in another form or does not need."""

_COMPOSE = {
    "user": "user", "working_dir": "workingDirectory", "hostname": "hostname", "privileged": "privileged",
    "read_only": "readonlyRootFilesystem", "ulimits": "ulimits", "stop_grace_period": "stopTimeout", "volumes": "mountPoints",
    "volumes_from": "volumesFrom", "depends_on": "dependsOn", "links": "links", "dns": "dnsServers",
    "dns_search": "dnsSearchDomains", "extra_hosts": "extraHosts", "security_opt": "dockerSecurityOptions",
    "sysctls": "systemControls", "tty": "pseudoTerminal", "stdin_open": "interactive", "cap_add": "linuxParameters",
    "cap_drop": "linuxParameters", "devices": "linuxParameters", "shm_size": "linuxParameters", "tmpfs": "linuxParameters",
    "init": "linuxParameters",
}  # fmt: skip
"""ECS's field by Compose's. Source: the Compose Specification, "Services top-level elements"."""

_INTERPOLATION = re.compile(r"\$(?:\$|\{(\w+)(?::?([-?+])([^}]*))?\}|(\w+))")


def _from_compose(content: Mapping[str, Any], name: str, source: str) -> Document:
    services = cast("Mapping[str, Any]", content["services"])
    definitions = [_service(key, raw) for key, raw in services.items() if isinstance(raw, dict)]
    if not definitions:
        raise FormatError(f"{source} has no services")
    family = content.get("name")
    return Document(family if isinstance(family, str) else Path(name).stem, {_DEFINITIONS: definitions}, whole=False)


def _service(name: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "environment": list(_compose_environment(raw.get("environment")))}
    image = _interpolated(raw.get("image"))
    if image is not None:
        found["image"] = image
    files: Any = raw.get("env_file") or []
    found["environmentFiles"] = [
        {"value": str(file.get("path", "")) if isinstance(file, dict) else str(file), "type": "file"}
        for file in (files if isinstance(files, list) else [files])
    ]
    for key, ecs in (("command", "command"), ("entrypoint", "entryPoint")):
        if words := as_words(raw.get(key)):
            found[ecs] = words
    found["portMappings"] = list(_compose_ports(raw.get("ports")))
    found["healthCheck"] = health_check(raw.get("healthcheck"), "test")
    logging: Any = raw.get("logging")
    if isinstance(logging, dict):
        found["logConfiguration"] = {"logDriver": logging.get("driver"), "options": logging.get("options")}
    labels: Any = raw.get("labels")
    if labels:
        found["dockerLabels"] = dict(_compose_pairs(labels))
    known = _IGNORED | {
        "environment",
        "image",
        "env_file",
        "command",
        "entrypoint",
        "ports",
        "healthcheck",
        "logging",
        "labels",
    }
    for key, value in raw.items():
        if key in known or key.startswith("x-") or value in (None, "", [], {}):
            continue
        ecs = _COMPOSE.get(key, f"compose.{key}")
        found[ecs] = {**found.get(ecs, {}), key: value} if ecs == "linuxParameters" else value
    return found


def _compose_environment(raw: Any) -> Iterator[dict[str, Any]]:
    for name, value in _compose_pairs(raw):
        if value is None:
            yield {"name": name, "value": Unread("Compose takes it from the shell that starts it")}
        else:
            yield {"name": name, "value": _interpolated(value)}


def _compose_pairs(raw: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(raw, dict):
        yield from ((str(k), v) for k, v in cast("Mapping[str, Any]", raw).items())
    for entry in cast("list[Any]", raw) if isinstance(raw, list) else ():
        name, equals, value = str(entry).partition("=")
        yield name, value if equals else None


def _interpolated(value: Any) -> Any:
    """Return a text with Compose's `${NAME:-default}` replaced by the default, Unread when one has none."""
    if not isinstance(value, str):
        return value
    missing = [a or b for a, sign, _, b in _INTERPOLATION.findall(value) if (a and sign != "-") or b]
    if missing:
        return Unread(
            f"Compose takes {missing[0]} from the shell or .env: `docker compose config > FILE`, and scan that"
        )
    return _INTERPOLATION.sub(lambda m: "$" if m[0] == "$$" else m[3] or "", value)


def _compose_ports(raw: Any) -> Iterator[dict[str, Any]]:
    for entry in cast("list[Any]", raw) if isinstance(raw, list) else ():
        if isinstance(entry, dict):
            yield {"containerPort": entry.get("target"), "protocol": entry.get("protocol") or "tcp"}
            continue
        ports, _, protocol = str(entry).partition("/")
        port = str(_interpolated(ports.rpartition(":")[2]))
        first, dash, last = port.partition("-")
        if dash:
            yield {"containerPortRange": f"{first}-{last}", "protocol": protocol or "tcp"}
        else:
            yield {"containerPort": port, "protocol": protocol or "tcp"}


# `.env`, JSON and YAML as texts


def _from_env(text: str, path: Path) -> Document:
    try:
        found = parse_env(text, str(path))
    except ValueError as error:
        raise FormatError(str(error)) from None
    entries = [
        {"name": name, "value": Unread(f"the file takes it from {value}") if isinstance(value, Elsewhere) else value}
        for name, value in found.items()
    ]
    return Document(path.name, {_DEFINITIONS: [{"name": "app", "environment": entries}]}, whole=False)


def _json(text: str, path: Path) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        hint = ""
        if re.search(r"\$\{[\w.]+\}|<%|\{\{", text):
            hint = "; it is a template: scan what it renders to"
        raise FormatError(f"{path} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}{hint}") from None
    except RecursionError:
        raise FormatError(f"{path} can't be read as JSON: it is nested too deeply") from None


class _Loader(yaml.SafeLoader):
    """YAML with every scalar unchanged (01234, yes, 1.10 are texts, as for Compose), and CloudFormation's short forms."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag in {"tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"}]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        value: object = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def _yaml(text: str, path: Path) -> object:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader with fewer types
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f": line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise FormatError(f"{path} is not YAML{where}") from None
    except (RecursionError, ValueError):
        raise FormatError(f"{path} can't be read as YAML") from None


def _check_size(content: object, source: str) -> None:
    left, todo = _MAX_NODES, [content]
    while todo:
        node = todo.pop()
        left -= 1
        if left < 0:
            raise FormatError(f"{source} is too large: more than {_MAX_NODES} parts")
        if isinstance(node, dict):
            todo += cast("Mapping[str, Any]", node).values()
        elif isinstance(node, list):
            todo += cast("list[Any]", node)
