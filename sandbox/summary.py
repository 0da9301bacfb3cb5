"""The end of `up`: what came up, who may read it, what it costs and what to try next."""

import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sandbox.engine import Report
from sandbox.home import REPOSITORY
from sandbox.screen import COLOURS, SYMBOLS
from terminal import PlainConsole

_UNFOLDED_CHARACTERS = 2_000


def show(report: Report) -> None:
    """Print the summary of an `up` that went well."""
    _console().print(Group(*_parts(report)))


def show_changes(report: Report) -> None:
    """Print what changed, or for a preview would change, property by property; never a secret's value."""
    console = _console()
    # `destroy` has listed everything as it went.
    for change in report.changes if report.request.verb != "destroy" else ():
        symbol = SYMBOLS.get(change.op, "~")
        console.print(Text.assemble((symbol, COLOURS[symbol]), f" {change.op} {change.type} ", (change.name, "bold")))
        for item in change.properties:
            sign = {"add": "+", "delete": "-"}.get(item.kind, "~")
            values = {"add": item.new, "delete": item.old}.get(
                item.kind, " => ".join(dict.fromkeys(filter(None, (item.old, item.new))))
            )
            why = ("  (forces replacement)", "magenta") if item.replaces else ""
            console.print(
                Text.assemble("    ", (sign, COLOURS[sign]), f" {item.path}{': ' if values else ''}{values}", why)
            )
    console.print(_headline(report))


def _console() -> PlainConsole:
    """The standard output; where no person looks at it, lines are as long as they are, for `grep`."""
    width = None if sys.stdout.isatty() else _UNFOLDED_CHARACTERS
    # Without emoji=False rich makes a symbol of the `:secret:` in an ARN.
    return PlainConsole(highlight=False, emoji=False, markup=False, width=width)


def _parts(report: Report) -> Iterator[RenderableType]:
    yield _headline(report)
    outputs = dict(report.outputs)
    found, services = _objects(outputs, "secrets", "arn"), _objects(outputs, "services", "execution_role_arn")
    if not found or not services:
        yield from _plain_outputs(outputs)
        return
    secrets = _table("Secret", "Source", "ARN")
    for name, secret in sorted(found.items()):
        secrets.add_row(name, _kinds(secret), secret["arn"])
    yield secrets
    for name, service in services.items():
        yield Text()
        variables = _table(f"Variable of {name}", "valueFrom")
        for variable, value_from in sorted(service.get("container_secrets", {}).items()):
            variables.add_row(variable, value_from)
        yield variables
        yield Text()
        allowed = _table(f"The execution role of {name} may", "on")
        for document in _documents(_client(report, "iam"), service["execution_role_arn"]):
            for statement in _statements(document):
                word = "" if statement["Effect"] == "Allow" else "not "
                allowed.add_row(word + _lines(statement, "Action"), _lines(statement, "Resource"))
        yield allowed
    yield Text()
    yield Text.assemble(("Monthly cost on AWS", "bold"), f"  {outputs.get('monthly_cost_usd', 0):.2f} USD\n")
    yield _next_commands(
        report,
        min(secret["arn"] for secret in found.values()).split(":")[-1][:-7],
        [name for name, secret in sorted(found.items()) if _kinds(secret) == "external" and _is_empty(report, secret)],
    )


def _headline(report: Report) -> Text:
    request = report.request
    counts: dict[str, int] = {}
    for change in report.changes:
        counts[change.op] = counts.get(change.op, 0) + 1
    told = [
        f"{count} to {op}" if request.verb == "preview" else f"{count} {_PAST[op]}"
        for op, count in sorted(counts.items())
    ]
    if report.same or not told:
        told.append(f"{report.same} unchanged")
    where = f"account {report.settings.account}, {report.settings.region}"
    title = f"{request.project.name}/{request.stack}"
    return Text.assemble((title, "bold"), f"  {', '.join(told)}  ({where}; {report.seconds:.1f} s)\n")


_PAST = {
    "create": "created", "update": "updated", "delete": "deleted", "replace": "replaced", "import": "imported",
    "read-replacement": "read again",
}  # fmt: skip


def _plain_outputs(outputs: Mapping[str, Any]) -> Iterator[RenderableType]:
    if not outputs:
        return
    table = _table("Output", "Value")
    for name, value in sorted(outputs.items()):
        table.add_row(name, Text(value if isinstance(value, str) else json.dumps(value)))
    yield table


def _next_commands(report: Report, secret_name: str | None, empty: Sequence[str]) -> Text:
    options = "" if report.request.stack == "dev" else f" --stack {report.request.stack}"
    if report.request.project.directory != REPOSITORY:
        options += f" --project {shlex.quote(str(report.request.project.directory))}"
    lines = [*_activation(), f'eval "$(python -m sandbox env{options})"']
    if (report.request.project.directory / "ops").is_dir():
        lines += [f"python -m ops set {name} --stack {report.request.stack}" for name in empty]
    if secret_name:
        lines.append(
            f"aws secretsmanager get-secret-value --secret-id {secret_name} --query SecretString --output text"
        )
    lines.append(f"python -m sandbox outputs{options} --json")
    return Text.assemble(("Next\n", "bold"), "\n".join(f"  {line}" for line in lines))


def _activation() -> list[str]:
    """Return the line after which `python` is this one; `make` runs it without activating its environment."""
    found, script = shutil.which("python"), Path(sys.prefix) / "bin" / "activate"
    if not script.is_file() or (found and Path(found).parent.resolve() == script.parent.resolve()):
        return []
    # `python -m sandbox` runs in the repository, but this process has gone to the program's folder.
    return [f". {shlex.quote(str(script.relative_to(REPOSITORY) if script.is_relative_to(REPOSITORY) else script))}"]


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        # An ARN is there to be copied: it may be folded, but never be cut off.
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    return table


def _objects(outputs: Mapping[str, Any], name: str, field: str) -> dict[str, Any]:
    """Return an output that is a map of objects with a field: what a stack of secrets says of its secrets and services."""
    found = outputs.get(name)
    if not isinstance(found, dict):
        return {}
    return {key: one for key, one in found.items() if isinstance(one, dict) and isinstance(one.get(field), str)}


def _is_empty(report: Report, secret: Mapping[str, Any]) -> bool:
    """Return whether a secret has no value yet: no task that refers to it would start."""
    return not _client(report, "secretsmanager").describe_secret(SecretId=secret["arn"]).get("VersionIdsToStages")


def _client(report: Report, service: str) -> Any:
    account = report.aws.credentials(report.settings.account)
    return report.aws.client(service, region=report.settings.region, credentials=account)


def _kinds(secret: Mapping[str, Any]) -> str:
    return ", ".join(sorted({part["kind"] for part in secret.get("parts", {}).values()} - {"constant"}))


def _documents(client: Any, role_arn: str) -> Iterator[Any]:
    role = role_arn.rpartition("/")[2]
    for page in client.get_paginator("list_role_policies").paginate(RoleName=role):
        for name in page["PolicyNames"]:
            yield client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    for page in client.get_paginator("list_attached_role_policies").paginate(RoleName=role):
        for attached in page["AttachedPolicies"]:
            arn = attached["PolicyArn"]
            version = client.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            yield client.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def _statements(document: Any) -> list[Mapping[str, Any]]:
    read = json.loads(unquote(document)) if isinstance(document, str) else document
    statements = read["Statement"]
    return statements if isinstance(statements, list) else [statements]


def _lines(statement: Mapping[str, Any], key: str) -> str:
    value = statement.get(key, statement.get(f"Not{key}", "*"))
    return "\n".join(cast("list[str]", value)) if isinstance(value, list) else str(value)
