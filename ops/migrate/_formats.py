"""The files that a task definition is found in: what ECS prints and accepts, CloudFormation, Terraform, Compose, `.env`.

Each becomes the document that `describe-task-definition` prints for it. A reference that only the tool
that owns the file can resolve is `Unread`, with the reason. No message quotes a file's content.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from botocore.loaders import Loader
from botocore.model import ServiceModel

from ops._errors import MisuseError
from ops._json import read_json
from ops.migrate import _copilot as copilot
from ops.migrate._values import Unread, as_words, health_check, items, mapping, variables_in

_MAX_NODES = 200_000
"""Parts of a document above which it is refused: YAML's aliases can expand a small file endlessly."""

_DEFINITIONS = "containerDefinitions"


class TaskDefinitionError(MisuseError):
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
    """Return the task definitions in a file, in the file's order; TaskDefinitionError when there is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TaskDefinitionError(f"{path} can't be read: {error.strerror}") from None
    except ValueError:
        raise TaskDefinitionError(f"{path} is not JSON: it is not UTF-8 text") from None
    if path.name.startswith(".env") or path.suffix == ".env":
        return [_from_env(text, path)]
    others = [what for pattern, what in _BY_NAME.items() if re.fullmatch(pattern, path.name.lower())]
    if path.suffix in {".yaml", ".yml", ".tpl"} and _TEMPLATE_OF_HELM.search(text):
        others.append(f"a file of Helm, {_NOT_READ}")
    if others:
        raise TaskDefinitionError(f"{path} is {others[0]}")
    yaml_file = path.suffix in {".yaml", ".yml"}
    return documents(_yaml(text, path) if yaml_file else _json(text, path), path.name, str(path))


READ = (
    "supported are a task definition in the JSON of ECS, CloudFormation or Terraform, a Compose file, a manifest of AWS Copilot, "
    "an env file (.env)"
)
"""What to offer instead of a file that is not read."""


_NOT_READ = f"which is not supported; {READ}"
_TEMPLATE_OF_HELM = re.compile(r"\{\{-?\s*(\$?\.Values|include|if|range|with)\b")
_BY_NAME = {
    r".*\.(tf|hcl)": "Terraform's language: `terraform show -json > FILE` has the values; scan that",
    r"(dockerfile|containerfile).*|.*\.dockerfile": (
        f"a Dockerfile, whose ENV lines every task with the image gets, whatever its task definition says; {READ}"
    ),
    r".*\.properties": f"a .properties file of Java, {_NOT_READ}",
    r"values([.-].*)?\.(ya?ml|tpl)|chart\.yaml": f"a file of Helm, {_NOT_READ}",
}
"""What a file that can't be read is by its name, and what to do."""


def documents(content: object, name: str, source: str) -> list[Document]:
    """Return the task definitions in a parsed document; TaskDefinitionError when there is none."""
    _check_size(content, source)
    # `terraform output -json` of jsonencode(...) is JSON in a JSON string.
    content = _parsed_again(content)
    top = mapping(content)
    if _are_containers(items(content)):
        return [Document(name, {_DEFINITIONS: content}, whole=False)]
    if top.get("type") in copilot.TYPES:
        path = Path(source).absolute()
        contents = {one: copilot.task_definition(top, one, path) for one in copilot.environments(top)}
        return [Document(one or str(top.get("name") or name), found, whole=False) for one, found in contents.items()]
    if isinstance(top.get("services"), dict):
        return [_from_compose(top, name, source)]
    if isinstance(top.get("image"), str) and isinstance(top.get("environment", []), list):
        return [Document(name, {_DEFINITIONS: [top]}, whole=False)]
    found: list[Document] = []
    try:
        for document in _found(content, name, _parameters(top)):
            if document.content not in [other.content for other in found]:
                found.append(document)
    except RecursionError:
        raise TaskDefinitionError(f"{source} is nested too deeply") from None
    if not found:
        raise TaskDefinitionError(f"{source} {_instead(top)}")
    return found


def _parsed_again(content: Any) -> Any:
    """Return a text's JSON; anything else, and a text that is not JSON, as it is."""
    try:
        return json.loads(content) if isinstance(content, str) else content
    except (ValueError, RecursionError):
        return content


def _instead(found: Mapping[str, Any]) -> str:
    """Return what a document without containers is, and what to do."""
    if found.get("planned_values") or "terraform_version" in found:
        return "has no task definition yet: Terraform knows it only after the apply; `terraform show -json > FILE` then"
    if "Resources" in found:
        return f"is a CloudFormation template without AWS::ECS::TaskDefinition; {READ}"
    keys = {*found, f"type: {found.get('type')}", *(f".{key}" for value in found.values() for key in mapping(value))}
    if kind := next((kind for kind, has in _OTHERS if has <= keys), ""):
        return f"is {kind}, {_NOT_READ}"
    return f"has no containerDefinitions: it is not a task definition; {READ}"


_OTHERS: Sequence[tuple[str, set[str]]] = (
    ("a Kubernetes manifest", {"apiVersion", "kind"}),
    ("a serverless.yml of the Serverless Framework", {"provider", "service"}),
    ("a workflow of GitHub Actions", {"jobs", "on"}),
    ("an environment or pipeline manifest of AWS Copilot", {"stages", "source"}),
    ("a pipeline of GitLab", {"stages"}),
    ("a pipeline of GitLab", {".script"}),
    ("a Static Site of AWS Copilot", {"type: Static Site"}),
    ("an environment or pipeline manifest of AWS Copilot", {"type: Environment"}),
    *(("a file of Helm", {key}) for key in ("replicaCount", "serviceAccount", "ingress", "nodeSelector")),
    ("a file of Helm", {"image", ".repository"}),
)
"""Formats that people try: what they are called, and what they have; `.key` is a level down."""


def _are_containers(found: Sequence[Any]) -> bool:
    return bool(found) and all(
        any(isinstance(mapping(item).get(key), str) for key in ("name", "image")) and _key_of(mapping(item)) is None
        for item in found
    )


def _key_of(raw: Mapping[str, Any]) -> str | None:
    """Return the key of a task definition's containers, in any spelling."""
    return next((k for k in raw if k.replace("_", "").lower() == _DEFINITIONS.lower()), None)


def _found(node: Any, name: str, parameters: Mapping[str, Any] | None) -> Iterator[Document]:
    for item in items(node):
        yield from _found(item, name, parameters)
    raw = mapping(node)
    if key := _key_of(raw):
        # A template's functions are resolved where its containers are.
        task = raw if parameters is None else mapping(_resolved(raw, parameters))
        definitions = items(_parsed_again(task.get(key)))
        if definitions and all(isinstance(definition, dict) for definition in definitions):
            content = _task(task, key, definitions)
            family = content.get("family")
            yield Document(family if isinstance(family, str) and family else name, content)
            return
    # Of a Terraform plan the planned state, not the prior one.
    skipped = {"prior_state", "resource_changes", "configuration"} if "planned_values" in raw else set[str]()
    skipped |= {"inputs"} if "outputs" in raw else set[str]()
    for key, value in raw.items():
        if key not in skipped:
            label = raw.get("address") or (key if key not in _WRAPPERS else name)
            yield from _found(value, str(label), parameters)


_WRAPPERS = {
    "taskDefinition", "attributes", "values", "outputs", "inputs", "Properties", "instances", "resources", "resource", "value",
    "root_module", "child_modules", "planned_values", "deployment", "Resources",
}  # fmt: skip
"""Keys that name no task definition."""

_OF_TERRAFORM = {
    "arn", "arn_without_revision", "id", "skip_destroy", "tags_all", "track_latest", "region", "timeouts", "address", "name",
    "type", "mode", "provider_name", "schema_version", "sensitive_values",
}  # fmt: skip
"""What Terraform adds to a task definition. Source: hashicorp/terraform-provider-aws, aws_ecs_task_definition."""


def _task(raw: Mapping[str, Any], key: str, definitions: list[Any]) -> dict[str, Any]:
    """Return a task definition with ECS's names; `key` is that of its containers."""
    terraform = key == "container_definitions"
    rest = {k: v for k, v in raw.items() if k != key and not (terraform and k in _OF_TERRAFORM)}
    if terraform:
        volumes = [mapping(volume) for volume in items(rest.pop("volume", None))]
        hosts = ({"host": {"sourcePath": one["host_path"]}} if one.get("host_path") else {} for one in volumes)
        rest["volumes"] = [volume | host for volume, host in zip(volumes, hosts, strict=True)]
    return {**_as_ecs(rest, _model(), blocks=terraform), **_as_ecs({_DEFINITIONS: definitions}, _model())}


@functools.cache
def _model() -> Any:
    """Return botocore's model of a task definition."""
    model: Any = Loader().load_service_model("ecs", "service-2")  # a session would read the user's AWS configuration
    return ServiceModel(model).shape_for("RegisterTaskDefinitionRequest")


def _as_ecs(value: Any, shape: Any, *, blocks: bool = False) -> Any:
    """Return a value with ECS's names in place of the tool's; keys that are the user's own stay as they are.

    `shape` is what botocore's model says of it, None for what ECS does not have. With `blocks` an object is written as a list of
    one, as in Terraform's state.
    """
    kind = shape.type_name if shape else ""
    if blocks and kind == "structure" and isinstance(value, list):
        value = next(iter(items(value)), None)
    if isinstance(value, list):
        return [_as_ecs(item, shape.member if kind == "list" else None, blocks=blocks) for item in items(value)]
    if not isinstance(value, dict) or kind not in {"structure", ""}:
        return value
    members: Mapping[str, Any] = shape.members if shape else {}
    names = {name.lower(): name for name in members}
    found: dict[str, Any] = {}
    for key, item in mapping(value).items():
        head, *rest = str(key).split("_")
        other = head[:1].lower() + head[1:] + "".join(word.capitalize() for word in rest)
        name = names.get(other.lower(), other)
        found[name] = _as_ecs(item, members.get(name), blocks=blocks)
    return found


# CloudFormation


def _parameters(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a template's parameters with their defaults, None when it is not a template."""
    if not isinstance(content.get("Resources"), dict):
        return None
    defaults = {name: mapping(one).get("Default") for name, one in mapping(content.get("Parameters")).items()}
    return {name: default for name, default in defaults.items() if isinstance(default, str | int)}


def _resolved(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a value with a template's functions worked out, Unread where only CloudFormation can."""
    if isinstance(value, list):
        resolved = [_resolved(item, parameters) for item in items(value)]
        return [item for item in resolved if item is not None]
    raw = mapping(value)
    name = next(iter(raw)) if len(raw) == 1 else ""
    if name != "Ref" and not name.startswith("Fn::"):
        return {key: _resolved(item, parameters) for key, item in raw.items()} if isinstance(value, dict) else value
    match name, _resolved(raw[name], parameters):
        case "Ref", "AWS::NoValue":
            return None
        case "Ref", str(parameter) if parameter in parameters:
            return str(parameters[parameter])
        case "Fn::Join", [delimiter, [*texts]] if all(isinstance(text, str) for text in texts):
            return str(delimiter).join(texts)
        case _:
            return Unread(f"CloudFormation's {name} returns it when the stack is created")


# Docker Compose

_READ = {
    "environment", "image", "env_file", "command", "entrypoint", "ports", "healthcheck", "logging", "labels",
}  # fmt: skip
_IGNORED = {
    "container_name", "restart", "networks", "profiles", "build", "pull_policy", "develop", "expose",
}  # fmt: skip
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
    definitions = [_service(key, mapping(raw)) for key, raw in content["services"].items() if isinstance(raw, dict)]
    if not definitions:
        raise TaskDefinitionError(f"{source} has no services")
    family = content.get("name")
    return Document(family if isinstance(family, str) else Path(name).stem, {_DEFINITIONS: definitions}, whole=False)


def _service(name: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    files = raw.get("env_file") or []
    logging = mapping(raw.get("logging"))
    found: dict[str, Any] = {
        "name": name,
        "environment": [
            {"name": variable, "value": _FROM_SHELL if value is None else _interpolated(value)}
            for variable, value in _compose_pairs(raw.get("environment"))
        ],
        "image": _interpolated(raw.get("image")),
        "environmentFiles": [
            {"value": str(mapping(file, "path").get("path", "")), "type": "file"}
            for file in (files if isinstance(files, list) else [files])
        ],
        "command": as_words(raw.get("command")),
        "entryPoint": as_words(raw.get("entrypoint")),
        "portMappings": [_compose_port(entry) for entry in items(raw.get("ports"))],
        "healthCheck": health_check(raw.get("healthcheck"), "test"),
        "logConfiguration": {"logDriver": logging.get("driver"), "options": logging.get("options")}
        if logging
        else None,
        "dockerLabels": dict(_compose_pairs(raw.get("labels"))),
    }
    for key, value in raw.items():
        if key in _READ | _IGNORED or key.startswith("x-") or value in (None, "", [], {}):
            continue
        ecs = _COMPOSE.get(key, f"compose.{key}")
        found[ecs] = {**found.get(ecs, {}), key: value} if ecs == "linuxParameters" else value
    return found


_FROM_SHELL = Unread("Compose takes it from the shell that starts it")


def _compose_pairs(raw: Any) -> Iterator[tuple[str, Any]]:
    yield from ((str(k), v) for k, v in mapping(raw).items())
    for entry in items(raw):
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


def _compose_port(entry: Any) -> dict[str, Any]:
    if isinstance(entry, dict):
        raw = mapping(entry)
        return {"containerPort": raw.get("target"), "protocol": raw.get("protocol") or "tcp"}
    ports, _, protocol = str(entry).partition("/")
    port = str(_interpolated(ports.rpartition(":")[2]))
    return {"containerPortRange" if "-" in port else "containerPort": port, "protocol": protocol or "tcp"}


# `.env`, JSON and YAML as texts


def _from_env(text: str, path: Path) -> Document:
    try:
        found = variables_in(text, str(path), "the file")
    except ValueError as error:
        raise TaskDefinitionError(str(error)) from None
    entries = [{"name": name, "value": value} for name, value in found.items()]
    return Document(path.name, {_DEFINITIONS: [{"name": "app", "environment": entries}]}, whole=False)


def _json(text: str, path: Path) -> object:
    try:
        return read_json(path)
    except ValueError as error:
        template = ": line " in str(error) and re.search(r"\$\{[\w.]+\}|<%|\{\{", text)
        raise TaskDefinitionError(
            f"{error}{'; it is a template: scan what it renders to' if template else ''}"
        ) from None


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
        raise TaskDefinitionError(f"{path} is not YAML{where}") from None
    except (RecursionError, ValueError):
        raise TaskDefinitionError(f"{path} can't be read as YAML") from None


def _check_size(content: object, source: str) -> None:
    left, todo = _MAX_NODES, [content]
    while todo:
        node = todo.pop()
        left -= 1
        if left < 0:
            raise TaskDefinitionError(f"{source} is too large: more than {_MAX_NODES} parts")
        todo += [*mapping(node).values(), *items(node)]
