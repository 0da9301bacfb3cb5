"""The old deployment: its task definition and the values of its variables."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops._aws import Aws
from ops._errors import AwsError, MisuseError, OpsError, aws_errors, code_of, told
from ops._references import References
from ops.migrate._plan import Plan, Variables, make
from ops.migrate._target import Target, target_of
from ops.migrate._task_definition import Container, TaskDefinition, read

_MANAGED = re.compile(r":secret:(\w+)!")
"""The AWS service that gave a secret its name, such as `rds!cluster-...`, and the only one that can change it."""


@dataclass(frozen=True)
class Source:
    """A task definition, the service that each container becomes, and what these containers' variables hold."""

    task: TaskDefinition
    containers: Mapping[str, str]
    variables: Mapping[str, Variables] = field(repr=False)


def read_source(
    source: str,
    given: Sequence[str],
    region: str | None,
    family: str | None,
    target: Target,
) -> Source:
    """Return the old deployment.

    Args:
        source: A file, a family, `family:revision` or an ARN; AWS is asked only when it is not a file.
        given: The application's containers, as NAME or NAME=SERVICE.
        region: The Region of ECS, by default the ARN's or the environment's.
        family: Which one, of a file with several.
        target: The application.

    Raises:
        MisuseError: When it can't be read, or it isn't clear which container becomes which service.
    """
    aws = None if Path(source).is_file() else open_aws(source, region)
    task = read(source, aws and aws.client("ecs"), family)
    containers = assigned(task, given, list(target.services))
    reader = Reader(region)
    return Source(task, containers, {name: reader.variables(task.container(name)) for name in containers})


def assigned(task: TaskDefinition, given: Sequence[str], services: Sequence[str]) -> dict[str, str]:
    """Return the service that each of the application's containers becomes; MisuseError when that is not clear."""
    names = [container.name for container in task.containers]
    found: dict[str, str] = {}
    for text in given:
        name, _, service = text.partition("=")
        service = service or (name if name in services else services[0] if len(services) == 1 else "")
        if name not in names:
            raise MisuseError(f"there is no container {name}; {task.name} has {', '.join(names)}")
        if service not in services:
            raise MisuseError(f"--container {name}=SERVICE, one of {', '.join(services)} (SERVICES in catalogue.py)")
        if service in found.values() or name in found:
            raise MisuseError(f"--container {text}: one container becomes one service")
        found[name] = service
    if not found and len(names) == 1 and len(services) == 1:
        return {names[0]: services[0]}
    found = found or {name: name for name in names if name in services}
    if not found:
        become = f" (NAME={' | NAME='.join(services)})" if len(services) > 1 else ""
        raise MisuseError(f"choose the application's container with --container{become}: {', '.join(names)}")
    return found


def reread(plan: Plan, region: str | None = None, project: Path | None = None) -> Source:
    """Return the source of a plan, as it is now; `project` is the application's folder, by default the current one.

    Raises:
        MisuseError: When it can't be read, or the plan differs from a new scan in more than the verdicts.
    """
    given = [f"{name}={service}" for name, service in plan.containers.items()]
    target = target_of(plan.stack, project)
    source = read_source(plan.source, given, region, plan.name if Path(plan.source).is_file() else None, target)
    for step in plan.steps:
        unread = source.variables[step.container].unread if step.container in source.variables else {}
        if step.variable in unread and step.verdict in {"secret", "plain"}:
            raise MisuseError(f"{step.variable} can't be read: {unread[step.variable]}")
    fresh = make(source.task, source.containers, source.variables, target, plan.stack)
    if changed := plan.differences(fresh):
        raise MisuseError(
            f"the plan no longer matches {plan.source} ({', '.join(changed)}); only edit verdicts: scan again"
        )
    return source


def open_aws(source: str = "", region: str | None = None) -> Aws:
    """Return AWS in the Region given, an ARN's, or the environment's; MisuseError when none of them names one."""
    fields = source.split(":")
    named = fields[3] if fields[0] == "arn" and len(fields) > 3 else ""  # noqa: PLR2004 - arn:partition:service:region
    chosen = region or named or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not chosen:
        raise MisuseError("no Region is set: add --region, or set AWS_REGION")
    return Aws(chosen)


class Reader:
    """Reads references, which CloudTrail records; when AWS can't be reached, it is called only once.

    Without its own Region the first reference's applies, as its task definition's would.
    """

    def __init__(self, region: str | None = None, aws: Aws | None = None) -> None:
        self._region = region
        self._references = aws and References(aws)
        self._unreachable = ""

    def variables(self, container: Container) -> Variables:
        """Return what a container's variables hold when a task starts now."""
        values, unread = dict(container.plain), dict(container.unread)
        for variable, reference in container.references.items():
            try:
                values[variable] = self._read(reference)
            except (OpsError, ValueError) as error:
                unread[variable] = str(error)
        found = {variable: _MANAGED.search(reference) for variable, reference in container.references.items()}
        return Variables(values, unread, {variable: service[1] for variable, service in found.items() if service})

    def _read(self, reference: str) -> str:
        if self._unreachable:
            raise ValueError(self._unreachable)
        if "{" in reference or "<" in reference:
            raise ValueError("its valueFrom is a placeholder that something fills in later")
        try:
            self._references = self._references or References(open_aws(reference, self._region))
            return self._references.value(reference)
        except (AwsError, *aws_errors()) as error:
            why = told(error)
            if not (error.code if isinstance(error, AwsError) else code_of(error)):
                self._unreachable = why
            raise ValueError(why) from None
