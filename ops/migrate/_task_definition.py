"""A task definition as the migration reads it: from a file, or from ECS by family, family:revision or ARN."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops._detect import texts_in
from ops.migrate._formats import Document, TaskDefinitionError, documents, read_documents
from ops.migrate._values import Unread, items, mapping

_VCPU = re.compile(r"([0-9]*\.?[0-9]+) *vcpu", re.IGNORECASE)
_GB = re.compile(r"([0-9]*\.?[0-9]+) *gb", re.IGNORECASE)


@dataclass(frozen=True)
class Container:
    """One container.

    Attributes:
        document: Its definition as ECS prints it: kept out of `repr`.
        plain: Values in the clear by variable: kept out of `repr`.
        references: `valueFrom` by variable.
        unread: Why a value is not in the file, by variable.
        texts: Everything else that could hold a secret, by its place: kept out of `repr`.
    """

    name: str
    document: Mapping[str, Any] = field(repr=False)
    plain: Mapping[str, str] = field(repr=False)
    references: Mapping[str, str]
    unread: Mapping[str, str]
    texts: Mapping[str, str] = field(repr=False)

    @property
    def image(self) -> str:
        """The image as ECS runs it (without tag or digest that is `latest`), "" when the file leaves it out."""
        image = text_of(self.document.get("image"))
        named = "@" in image or ":" in image.rpartition("/")[2]
        return image if named or not image else f"{image}:latest"

    @property
    def ports(self) -> list[tuple[str, str]]:
        """Every port or range with its protocol, in the file's order."""
        found: list[tuple[str, str]] = []
        for one in _objects(self.document, "portMappings", f"container {self.name}"):
            port = text_of(one.get("containerPort")) or text_of(one.get("containerPortRange"))
            found.append((port, text_of(one.get("protocol")).lower() or "tcp"))
        return found

    @property
    def port(self) -> int | None:
        """The first port, None without one."""
        return int(self.ports[0][0]) if self.ports and self.ports[0][0].isdecimal() else None


@dataclass(frozen=True)
class TaskDefinition:
    """A task definition.

    Attributes:
        source: Where it was read: the file's absolute path, or the ARN with the revision.
        name: Its name there: its family where it has one.
        document: All of it as ECS prints it, except the containers: kept out of `repr`.
        whole: Whether the source says everything about the task.
        texts: What could hold a secret outside the containers, by its place: kept out of `repr`.
    """

    source: str
    name: str
    document: Mapping[str, Any] = field(repr=False)
    whole: bool
    texts: Mapping[str, str] = field(repr=False)
    containers: Sequence[Container]

    @property
    def family(self) -> str:
        """Its family, "" when the file has none."""
        return text_of(self.document.get("family"))

    @property
    def cpu(self) -> str:
        """CPU units, as ECS reads `1024` and `1 vCPU`; "" when there are none."""
        return _units(self.document.get("cpu"), _VCPU)

    @property
    def memory(self) -> str:
        """MiB, as ECS reads `2048` and `2 GB`; "" when there are none."""
        return _units(self.document.get("memory"), _GB)

    @property
    def architecture(self) -> str:
        """The CPU architecture, "" when the file leaves it out."""
        return text_of(_object(self.document, "runtimePlatform", self.source).get("cpuArchitecture"))

    def container(self, name: str) -> Container:
        """Return the named container."""
        return next(container for container in self.containers if container.name == name)


def read(source: str, ecs: Any = None, family: str | None = None) -> TaskDefinition:
    """Return the task definition that a path, an ARN or a family names; `family` is which one, of a file with several.

    Raises:
        TaskDefinitionError: When there is neither a file nor a client to ask, or the content is not a task definition.
        ClientError: What ECS answers, for one that it doesn't know.
    """
    path = Path(source)
    if path.is_file():
        found = read_documents(path)
        names = [document.name for document in found]
        if family is not None and family not in names:
            raise TaskDefinitionError(f"{source} has no task definition {family}, but {', '.join(names)}")
        if family is None and len(found) > 1:
            raise TaskDefinitionError(f"{source} has {len(found)} task definitions: --family {' | '.join(names)}")
        chosen = found[0 if family is None else names.index(family)]
        return _parsed(chosen, str(path.resolve()))
    if ecs is None or ("/" in source and not source.startswith("arn:")):
        raise TaskDefinitionError(f"there is no file {source}")
    raw = ecs.describe_task_definition(taskDefinition=source)["taskDefinition"]
    return parse(raw, raw.get("taskDefinitionArn", source))


def parse(content: object, source: str) -> TaskDefinition:
    """Return the task definition in a document as ECS describes it; TaskDefinitionError when it is not one."""
    return _parsed(documents(content, source, source)[0], source)


def _parsed(found: Document, source: str) -> TaskDefinition:
    definitions = items(found.content["containerDefinitions"])
    document = {key: value for key, value in found.content.items() if key != "containerDefinitions"}
    task = TaskDefinition(
        source=source,
        name=found.name,
        document=document,
        whole=found.whole,
        texts=_texts(document, _NO_SECRETS_IN_TASK),
        containers=tuple(_container(definition, index) for index, definition in enumerate(definitions)),
    )
    names = [container.name for container in task.containers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TaskDefinitionError(f"{source} has the container {twice[0]} twice")
    _ = task.architecture  # rejects a malformed one here, not where it is used
    return task


def _container(definition: Mapping[str, Any], index: int) -> Container:
    name = text_of(definition.get("name")) or f"container-{index}"
    where = f"container {name}"
    plain, unread = _pairs(definition, "environment", "value", where)
    references, unread_references = _pairs(definition, "secrets", "valueFrom", where)
    if both := sorted({*plain, *unread} & {*references, *unread_references}):
        raise TaskDefinitionError(f"{where}: {both[0]} is in environment and in secrets")
    container = Container(
        name=name,
        document=definition,
        plain=plain,
        references=references,
        unread={**unread, **unread_references},
        texts=_texts(definition, _NO_SECRETS_IN_CONTAINER),
    )
    ports = [mapping(one) for one in items(definition.get("portMappings"))]
    unread_port = any(isinstance(value, Unread) for one in ports for value in one.values())
    for port, _ in container.ports:
        if port and not re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5})?", port) and not unread_port:
            raise TaskDefinitionError(f"{where}: the containerPort is not a port number")
    for section in ("healthCheck", "dockerLabels", "linuxParameters"):
        _object(definition, section, where)
    for section in ("logConfiguration", "firelensConfiguration"):
        _object(_object(definition, section, where), "options", where)
    _objects(definition, "environmentFiles", where)
    return container


def _pairs(
    definition: Mapping[str, Any], section: str, field_name: str, where: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the values by variable, and why others are not in the file."""
    found: dict[str, str] = {}
    unread: dict[str, str] = {}
    for entry in _objects(definition, section, where):
        variable, value = entry.get("name"), entry.get(field_name)
        if not isinstance(variable, str):
            raise TaskDefinitionError(f"{where}: {section} holds an entry without a name")
        if variable in found or variable in unread:
            raise TaskDefinitionError(f"{where}: {section} sets {variable} twice")
        if isinstance(value, Unread):
            unread[variable] = value.why
        else:
            found[variable] = text_of(value)
    return found, unread


FILLED_BY_ECS = {
    "taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "deregisteredAt",
    "deleteRequestedAt", "registeredBy",
}  # fmt: skip
"""What only ECS writes."""

_NO_SECRETS_IN_TASK = FILLED_BY_ECS | {
    "family", "taskRoleArn", "executionRoleArn", "networkMode", "cpu", "memory", "requiresCompatibilities", "runtimePlatform",
    "pidMode", "ipcMode",
}  # fmt: skip
_NO_SECRETS_IN_CONTAINER = {"name", "image", "environment", "secrets", "environmentFiles", "portMappings"}
"""What is read elsewhere, or consists of words that AWS defines."""


def _texts(document: Mapping[str, Any], left_out: set[str]) -> dict[str, str]:
    """Return every text that could hold a secret, by its place."""
    return dict(found for key, value in document.items() if key not in left_out for found in texts_in(value, key))


def _units(value: object, unit: re.Pattern[str]) -> str:
    """Return how ECS reads a size. Source: AWS, "Amazon ECS task definition parameters for Fargate", task size."""
    text = text_of(value).strip()
    with_unit = unit.fullmatch(text)
    return str(round(float(with_unit[1]) * 1024)) if with_unit else text


def _object(parent: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    found = parent.get(key) or {}
    if not isinstance(found, Unread | dict):
        raise TaskDefinitionError(f"{where}: {key} is not an object")
    return mapping(found)


def _objects(parent: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    found = parent.get(key) or []
    if not isinstance(found, Unread | list) or not all(isinstance(item, Unread | dict) for item in items(found)):
        raise TaskDefinitionError(f"{where}: {key} is not a list of objects")
    return [mapping(item) for item in items(found) if isinstance(item, dict)]


def text_of(value: object) -> str:
    """Return how ECS would read a value, "" for none; anything that is not a text stays as in the JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None or isinstance(value, Unread) else json.dumps(value, default=lambda _: None)
