"""The old deployment: its task definition and the values of its variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ops._aws import Aws
from ops._errors import AwsError, MisuseError
from ops._secrets import read_value
from ops.migrate._detect import json_object
from ops.migrate._task_definition import Container, TaskDefinition, TaskDefinitionError, read
from references import parse_value_from


@dataclass(frozen=True)
class Source:
    """A task definition, the application's container in it, and all values of the container's variables.

    Attributes:
        values: Plain values and resolved references by variable: kept out of `repr`.
    """

    task_definition: TaskDefinition
    container: Container
    values: Mapping[str, str] = field(repr=False)


def read_source(source: str, container: str | None = None, region: str | None = None) -> Source:
    """Return the old deployment that a file, a family, `family:revision` or an ARN names.

    Args:
        source: See above; AWS is asked only for what is no file.
        container: The application's container; may be left out when there is one only.
        region: Where ECS is asked, by default the ARN's or the environment's Region.

    Raises:
        MisuseError: When it can't be read or is no task definition.
    """
    aws = None if Path(source).is_file() else open_aws(source, region)
    try:
        found = read(source, aws and aws.client("ecs"))
        chosen = found.container(container)
    except TaskDefinitionError as error:
        raise MisuseError(str(error)) from None
    return Source(found, chosen, values_of(chosen, aws, region))


def open_aws(source: str = "", region: str | None = None) -> Aws:
    """Return AWS in the Region given, an ARN's, or the environment's.

    Raises:
        MisuseError: When none of them names a Region.
    """
    fields = source.split(":")
    named = fields[3] if fields[0] == "arn" and len(fields) > 3 else ""  # noqa: PLR2004 - arn:partition:service:region
    chosen = region or named or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not chosen:
        raise MisuseError("in which Region? --region, or AWS_REGION")
    return Aws(chosen)


def values_of(container: Container, aws: Aws | None = None, region: str | None = None) -> dict[str, str]:
    """Return the values that the container's variables have when a task starts now.

    References to Secrets Manager and to Parameter Store are read, which CloudTrail records.

    Raises:
        MisuseError: When a reference can't be read, as no task could either.
    """
    values = dict(container.plain)
    for variable, reference in container.references.items():
        aws = aws or open_aws(reference, region)
        try:
            values[variable] = _resolve(aws, reference)
        except (AwsError, ValueError) as error:
            raise MisuseError(f"{variable} can't be read: {error}") from None
    return values


def _resolve(aws: Aws, reference: str) -> str:
    fields = reference.split(":")
    if fields[0] == "arn" and fields[2] == "secretsmanager":
        parsed = parse_value_from(reference)
        found = read_value(aws, parsed.arn, stage=parsed.stage or "AWSCURRENT", version_id=parsed.version_id)
        if found.text is None:
            raise ValueError("its secret is binary")
        if parsed.key is None:
            return found.text
        value = (json_object(found.text) or {}).get(parsed.key)
        if not isinstance(value, str):
            raise ValueError(f"its secret has no text under the JSON key {parsed.key}")
        return value
    region = fields[3] if fields[0] == "arn" else None
    name = reference.partition(":parameter")[2] if fields[0] == "arn" else reference
    return aws.client("ssm", region).get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
