"""`ops exec`: a command on this machine, with the variables that a container of the stack gets."""

import os
import shutil
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ops._ask import confirm
from ops._aws import Aws, connect
from ops._console import counted, say, working
from ops._errors import MisuseError, OpsError, aws_errors, told
from ops._options import OutputsOption, StackOption, YesOption
from ops._references import References
from ops._stack import load


def execute(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command and its arguments.")],
    service: Annotated[
        str | None,
        typer.Option("--service", metavar="NAME", help="The service whose variables to use, when there are several."),
    ] = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    yes: YesOption = False,
) -> None:
    """Run a command here with a container's variables: `ops exec -- node app.mjs`. It asks once; CloudTrail records each read.

    The values go from memory into the command's environment: none is written to disk or shows in the process list.
    """
    where = load(stack, outputs)
    if service is None and len(where.services) > 1:
        raise MisuseError(f"stack {where.environment} has several services: --service {' | '.join(where.services)}")
    (seen,) = where.each(service)
    executable = shutil.which(command[0])
    if executable is None:
        raise MisuseError(f"there is no command {command[0]} on the PATH")
    aws = connect(seen)
    definition = aws.client("ecs").describe_task_definition(taskDefinition=seen.service.task_definition_arn)
    containers: list[Mapping[str, Any]] = definition["taskDefinition"]["containerDefinitions"]
    # The application's has the service's name.
    container = next((found for found in containers if found["name"] == seen.service_name), containers[0])
    plain = {entry["name"]: entry["value"] for entry in container.get("environment", ())}
    references = {entry["name"]: entry["valueFrom"] for entry in container.get("secrets", ())}
    confirm(
        f"Run {command[0]} here with {counted(len(references), 'secret variable')} of service {seen.service_name} of "
        f"{seen.place}? Each read is recorded in CloudTrail.",
        yes=yes,
    )
    with working(f"Reading the secrets of {seen.service_name}"):
        secret = _read(aws, references)
    say(f"Read as {aws.caller().arn}: recorded in CloudTrail as GetSecretValue.")
    sys.stdout.flush()
    # It replaces this process: signals, the terminal and the exit status are the command's, and no value stays behind.
    os.execve(executable, command, {**os.environ, **plain, **secret})  # noqa: S606 - the operator's own command, no shell


def _read(aws: Aws, references: Mapping[str, str]) -> dict[str, str]:
    """Return the values by variable: all of them, as for a task."""
    reader = References(aws)
    values: dict[str, str] = {}
    problems: list[str] = []
    for variable, reference in references.items():
        try:
            values[variable] = reader.value(reference)
        except (OpsError, ValueError, *aws_errors()) as error:
            problems.append(f"{variable}: {told(error)}")
    problems += [f"{variable}: its value has a zero byte" for variable, value in values.items() if "\0" in value]
    if problems:
        raise OpsError(f"nothing was run; a task would not start either: {'; '.join(problems)}")
    return values
