"""A task definition as the migration reads it: from a JSON file, or from ECS by family, family:revision or ARN."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

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
    """

    name: str
    image: str
    port: int | None
    plain: Mapping[str, str] = field(repr=False)
    references: Mapping[str, str]
    texts: Mapping[str, str] = field(repr=False)


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
            content: object = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise TaskDefinitionError(f"{source} is no JSON") from None
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
        family=str(document.get("family", "")),
        cpu=str(document.get("cpu", "")),
        memory=str(document.get("memory", "")),
        architecture=str((document.get("runtimePlatform") or {}).get("cpuArchitecture", "")),
        containers=tuple(_container(definition, index) for index, definition in enumerate(definitions)),
    )


def _container(definition: Mapping[str, Any], index: int) -> Container:
    name = str(definition.get("name") or f"container-{index}")
    ports = [mapping.get("containerPort") for mapping in definition.get("portMappings") or ()]
    return Container(
        name=name,
        image=str(definition.get("image", "")),
        port=int(ports[0]) if ports and ports[0] is not None else None,
        plain=_pairs(definition, "environment", "value", name),
        references=_pairs(definition, "secrets", "valueFrom", name),
        texts=dict(_texts(definition)),
    )


def _pairs(definition: Mapping[str, Any], section: str, field_name: str, container: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in definition.get(section) or ():
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise TaskDefinitionError(f"container {container}: {section} holds an entry without a name")
        variable = entry["name"]
        if variable in found:
            raise TaskDefinitionError(f"container {container}: {section} sets {variable} twice")
        value = entry.get(field_name)
        found[variable] = "" if value is None else str(value)
    return found


def _texts(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section in ("command", "entryPoint"):
        if words := definition.get(section):
            yield section, " ".join(map(str, words))
    for key, value in (definition.get("dockerLabels") or {}).items():
        yield f"dockerLabels.{key}", f"{key}={value}"
    for key, value in ((definition.get("logConfiguration") or {}).get("options") or {}).items():
        yield f"logConfiguration.options.{key}", f"{key}={value}"
    if words := (definition.get("healthCheck") or {}).get("command"):
        yield "healthCheck.command", " ".join(map(str, words))
