"""The old deployment: its task definition and the values of its variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from catalogue import CATALOGUE
from model.references import parse_value_from
from ops._aws import Aws
from ops._errors import MisuseError, OpsError, aws_errors, explained, is_aws
from ops._json import json_object
from ops._secrets import read_value
from ops.migrate._plan import Plan, make
from ops.migrate._task_definition import Container, TaskDefinition, TaskDefinitionError, read


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


def reread(plan: Plan, region: str | None = None) -> Source:
    """Return the source of a plan, as it is now.

    Raises:
        MisuseError: When it can't be read, or the plan says something else of it than a scan would now, beside the verdicts.
    """
    source = read_source(plan.source, plan.container, region)
    fresh = make(source.task_definition, source.container, source.values, CATALOGUE)
    if changed := plan.differences(fresh):
        raise MisuseError(
            f"the plan and {plan.source} don't fit any more ({', '.join(changed)}); only verdicts may be edited: scan again"
        )
    return source


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
        try:
            aws = aws or open_aws(reference, region)
            values[variable] = _resolve(aws, reference)
        except (OpsError, ValueError, *aws_errors()) as error:
            said = explained(error) if is_aws(error) else error
            raise MisuseError(f"{variable} can't be read: {said}") from None
    return values


def _resolve(aws: Aws, reference: str) -> str:
    if reference.partition(":")[0] != "arn":
        return _parameter(aws, reference)
    fields = reference.split(":", 5)
    service, region, resource = (fields[2], fields[3], fields[5]) if len(fields) > 5 else ("", "", "")  # noqa: PLR2004 - an ARN's
    if service == "ssm" and resource.startswith("parameter/"):
        return _parameter(aws, reference, region)
    if service != "secretsmanager":
        raise ValueError("its valueFrom is no whole ARN of a secret or a parameter")
    parsed = parse_value_from(reference)
    found = read_value(aws, parsed.arn, stage=parsed.stage or "AWSCURRENT", version_id=parsed.version_id)
    if found.text is None:
        raise ValueError("its secret is binary")
    if parsed.key is None:
        return found.text
    value = (json_object(found.text) or {}).get(parsed.key)
    if not isinstance(value, str):  # ECS starts no task then, too
        raise ValueError(f"its secret has no text under the JSON key {parsed.key}")  # noqa: TRY004 - nobody passed a wrong type
    return value


def _parameter(aws: Aws, name: str, region: str | None = None) -> str:
    if not name:
        raise ValueError("it has no valueFrom")
    return aws.client("ssm", region).get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
