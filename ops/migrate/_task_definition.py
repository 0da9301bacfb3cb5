"""A task definition as the migration reads it: from a JSON file, or from ECS by family, family:revision or ARN."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ops._json import read_json

if TYPE_CHECKING:  # the stubs are a development requirement
    from mypy_boto3_ecs import ECSClient


class TaskDefinitionError(ValueError):
    """What is read is no task definition; the message never quotes its content."""


@dataclass(frozen=True)
class Container:
    """One container's variables.

    Attributes:
        name: Its name.
        image: Its image, "" when the file leaves it out.
        port: Its first port, None when it opens none.
        plain: Values in the clear by variable: kept out of `repr`.
        references: `valueFrom` by variable.
        texts: Everything else that could hold a secret, by where it stands: kept out of `repr`.
        environment_files: ARNs of the files in S3 that hold further variables. Nobody reads those.
    """

    name: str
    image: str
    port: int | None
    plain: Mapping[str, str] = field(repr=False)
    references: Mapping[str, str]
    texts: Mapping[str, str] = field(repr=False)
    environment_files: Sequence[str] = ()


@dataclass(frozen=True)
class TaskDefinition:
    """A task definition.

    Attributes:
        source: Where it was read: the file's absolute path, or the ARN with the revision.
        family: Its family.
        cpu: CPU units, "" when the file leaves them out; memory likewise, in MiB.
        containers: Its containers, in order.
    """

    source: str
    family: str
    cpu: str
    memory: str
    architecture: str
    containers: Sequence[Container]

    def container(self, name: str | None) -> Container:
        """Return the named container, or the only one.

        Raises:
            TaskDefinitionError: When there is no such container, or several to choose from.
        """
        names = [container.name for container in self.containers]
        if name is None and len(names) == 1:
            return self.containers[0]
        if name not in names:
            raise TaskDefinitionError(f"choose the application's container with --container: {', '.join(names)}")
        return self.containers[names.index(name)]


def read(source: str, ecs: "ECSClient | None" = None) -> TaskDefinition:
    """Return the task definition that a path, an ARN or a family names.

    Args:
        source: A path of a JSON file if one exists there, otherwise what ECS knows it by.
        ecs: Asked when there is no such file.

    Raises:
        TaskDefinitionError: When there is neither a file nor a client to ask, or the content is no task definition.
        ClientError: What ECS answers, for one that it doesn't know.
    """
    path = Path(source)
    if path.is_file():
        try:
            content = read_json(path)
        except ValueError as error:
            raise TaskDefinitionError(str(error)) from None
        return parse(content, str(path.resolve()))
    if ecs is None or ("/" in source and not source.startswith("arn:")):
        raise TaskDefinitionError(f"there is no file {source}")
    found = ecs.describe_task_definition(taskDefinition=source)["taskDefinition"]
    return parse(found, found.get("taskDefinitionArn", source))


def parse(content: object, source: str) -> TaskDefinition:
    """Return the task definition in a document: what `describe-task-definition` prints, what `register-task-definition`
    takes, or the bare array of container definitions.

    Raises:
        TaskDefinitionError: When it is none of these.
    """  # noqa: D205 - one sentence that names the three forms
    if isinstance(content, list):
        content = {"containerDefinitions": content}
    document = cast("Mapping[str, Any]", content) if isinstance(content, dict) else {}
    document = document.get("taskDefinition", document)
    definitions = document.get("containerDefinitions") if isinstance(document, dict) else None
    if not isinstance(definitions, list) or not definitions or not all(isinstance(d, dict) for d in definitions):
        raise TaskDefinitionError(f"{source} has no containerDefinitions: it is no task definition")
    return TaskDefinition(
        source=source,
        family=_text(document.get("family")),
        cpu=_text(document.get("cpu")),
        memory=_text(document.get("memory")),
        architecture=_text(_object(document, "runtimePlatform", source).get("cpuArchitecture")),
        containers=tuple(_container(definition, index) for index, definition in enumerate(definitions)),
    )


def _container(definition: Mapping[str, Any], index: int) -> Container:
    name = _text(definition.get("name")) or f"container-{index}"
    where = f"container {name}"
    return Container(
        name=name,
        image=_text(definition.get("image")),
        port=_port(definition, where),
        plain=_pairs(definition, "environment", "value", where),
        references=_pairs(definition, "secrets", "valueFrom", where),
        texts=dict(_texts(definition, where)),
        environment_files=[_text(file.get("value")) for file in _objects(definition, "environmentFiles", where)],
    )


def _port(definition: Mapping[str, Any], where: str) -> int | None:
    ports = [_text(mapping.get("containerPort")) for mapping in _objects(definition, "portMappings", where)]
    if not ports or not ports[0]:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", ports[0]):
        raise TaskDefinitionError(f"{where}: the containerPort is no number of a port")
    return int(ports[0])


def _pairs(definition: Mapping[str, Any], section: str, field_name: str, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in _objects(definition, section, where):
        variable = entry.get("name")
        if not isinstance(variable, str):
            raise TaskDefinitionError(f"{where}: {section} holds an entry without a name")
        if variable in found:
            raise TaskDefinitionError(f"{where}: {section} sets {variable} twice")
        found[variable] = _text(entry.get(field_name))
    return found


def _texts(definition: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    health_check = _object(definition, "healthCheck", where)
    commands = {section: definition.get(section) for section in ("command", "entryPoint")}
    for section, words in (*commands.items(), ("healthCheck.command", health_check.get("command"))):
        if words:
            yield section, " ".join(map(_text, cast("list[Any]", words))) if isinstance(words, list) else _text(words)
    log = _object(definition, "logConfiguration", where)
    for section, pairs in (
        ("dockerLabels", _object(definition, "dockerLabels", where)),
        ("logConfiguration.options", _object(log, "options", where)),
    ):
        for key, value in pairs.items():
            yield f"{section}.{key}", f"{key}={_text(value)}"


def _object(parent: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    found = parent.get(key) or {}
    if not isinstance(found, dict):
        raise TaskDefinitionError(f"{where}: {key} is no object")
    return cast("Mapping[str, Any]", found)


def _objects(parent: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    found: Any = parent.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in cast("list[Any]", found)):
        raise TaskDefinitionError(f"{where}: {key} is no list of objects")
    return cast("list[Mapping[str, Any]]", found)


def _text(value: object) -> str:
    """Return what ECS would take a value for, "" for none; anything that is no text stays as it stands in the JSON."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
