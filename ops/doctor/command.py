"""The command `ops doctor`."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated

import typer
from rich.text import Text

from ops._aws import Aws, connect
from ops._console import counted, print_json, say, working
from ops._errors import MisuseError
from ops._options import JsonOption, OutputsOption, StackOption
from ops._stack import Stack, load
from ops.doctor import alarms, foreign, network, role, secrets, servers, service, task, upkeep
from ops.doctor.explain import Explanation, explain
from ops.doctor.finding import Finding, guarded
from ops.doctor.snapshot import take
from terminal import PlainConsole

_STYLES = {"ok": "green", "warning": "yellow", "failure": "bold red", "unchecked": "yellow"}
_NOT_CARRIED_OUT = 2


def doctor(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    service_name: Annotated[
        str | None,
        typer.Option("--service", metavar="NAME", help="Only this service of the catalogue; by default all."),
    ] = None,
    ecs_service: Annotated[
        str | None,
        typer.Option(
            "--ecs-service",
            metavar="CLUSTER/SERVICE",
            help="Only this ECS service; by default every one that runs a task definition of the stack.",
        ),
    ] = None,
    explain_text: Annotated[
        str | None,
        typer.Option(
            "--explain", metavar="TEXT", help="Only explain an error of a task that did not start; - for stdin."
        ),
    ] = None,
    max_age_days: Annotated[
        int | None, typer.Option("--max-age-days", min=0, metavar="DAYS", help="Warn of values older than this.")
    ] = None,
    values: Annotated[
        bool, typer.Option("--values/--no-values", help="Read the values to check them; CloudTrail records each read.")
    ] = True,
    json_: JsonOption = False,
) -> None:
    """Would a task of the stack start, and if not, why? Each line names the command that fixes it. Never a value."""
    if explain_text is not None:
        _explain(sys.stdin.read() if explain_text == "-" else explain_text, json_=json_)
        return
    where = load(stack, outputs)
    aws = connect(where)
    with working(f"Examining {where.place}"):
        options = {"service_name": service_name, "ecs_service": ecs_service}
        findings = list(examine(aws, where, **options, max_age_days=max_age_days, values=values))
    counts = Counter(finding.status for finding in findings)
    if json_:
        print_json(
            {
                "stack": where.environment,
                "account": where.account,
                "region": where.region,
                "healthy": counts["ok"] == len(findings),
                "findings": [asdict(finding) for finding in findings],
                "calls": dict(sorted(aws.calls.items())),
            }
        )
    else:
        _print(where, findings)
    if counts["failure"] or counts["warning"]:
        raise typer.Exit(1)
    if counts["unchecked"]:
        raise typer.Exit(_NOT_CARRIED_OUT)


def examine(
    aws: Aws,
    stack: Stack,
    *,
    service_name: str | None = None,
    ecs_service: str | None = None,
    max_age_days: int | None = None,
    values: bool = True,
) -> Iterator[Finding]:
    """Yield the findings of every check, in the order in which a task starts. A check that fails does not stop the others.

    Raises:
        MisuseError: When there is no such service.
    """
    families = [seen.service.task_definition_family for seen in stack.each(service_name)]
    found = service.named(aws, ecs_service) if ecs_service else service.find(aws, families)
    running = [service.read(aws, raw) for raw in found.services]
    snapshots = take(aws, stack, service=service_name, values=values, also={one.definition_arn for one in running})
    yield from guarded("exists", lambda: secrets.check(snapshots[0], max_age_days))
    for snapshot in snapshots:
        yield from guarded("task-definition", partial(task.check, snapshot))
        yield from guarded("role", partial(role.check, aws, snapshot))
        yield from guarded("image", partial(task.check_images, aws, snapshot))
        yield from guarded("log-group", partial(task.check_logs, aws, snapshot))
    yield from guarded("foreign", lambda: foreign.check(aws, snapshots, values=values))
    yield from guarded("rotation", lambda: upkeep.check(aws, snapshots[0]))
    yield from guarded("server", lambda: servers.check(aws, snapshots[0]))
    yield from guarded("expected-reads", lambda: alarms.check_expected_reads(aws, snapshots, running))
    if stack.alarm_topic_arn:
        yield from guarded("alarms", lambda: alarms.check(stack, alarms.read(aws, stack)))
    yield from guarded("service", lambda: service.check_found(stack, found, ecs_service))
    for one in running:
        # The service of the stack whose task definition it has, else the first.
        seen = next((s for s in snapshots if s.stack.service.task_definition_family == one.family), snapshots[0])
        # A cause before its consequence: what is closed, then why tasks stopped, then how many run.
        ways = list(guarded("network", partial(network.check, aws, seen, one), one.label))
        yield from ways
        closed = any(finding.status == "failure" for finding in ways)
        yield from guarded("service", partial(service.check, seen, one, closed=closed), one.label)
    run = {one.family for one in running}
    for snapshot in () if ecs_service else snapshots:
        if snapshot.stack.service.task_definition_family not in run:
            redeploy = service.redeploy(stack.region, replace(found, services=()))
            yield from guarded("redeploy", partial(upkeep.check_deployed, snapshot, *redeploy))


def _explain(text: str, *, json_: bool) -> None:
    if not text.strip():
        raise MisuseError("--explain needs the text of an error, such as a task's stoppedReason")
    found = explain(text)
    if json_:
        print_json(asdict(found) if found else {"cause": "unknown"})
    elif found:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(found)))
    else:
        say("this error is not known; ops/doctor/explain.toml has the known ones")
    if found is None:
        raise typer.Exit(1)


def _lines(found: Explanation) -> Iterator[str]:
    """Yield the explanation of an error, the likeliest cause first."""
    yield f"{found.cause}: {found.means}"
    if found.otherwise:
        yield f"The text is cut off, or doesn't name the cause; also possible, in this order: {', '.join(found.otherwise)}"
    elif found.sure != "certain":
        yield "This is the usual cause; the text doesn't name it."
    if found.fix:
        yield f"{'to decide' if found.otherwise else 'fix'}: {found.fix}"
    if found.remark:
        yield f"remark: {found.remark}"
    if found.source:
        yield f"source: {found.source}"


def _print(stack: Stack, findings: list[Finding]) -> None:
    console = PlainConsole(highlight=False, soft_wrap=True)
    console.print(Text(stack.place, "bold"))
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        line = Text.assemble(
            "  ",
            (f"{finding.status:<9}", _STYLES[finding.status]),
            f"  {finding.check:<{width}}  ",
            (f"{finding.subject}: " if finding.subject else "", "bold"),
            finding.found,
        )
        console.print(line)
        for name, text in (("fix", finding.fix), ("remark", finding.remark)):
            if text:
                console.print(Text(f"{'':>{width + 15}}{name}: {text}", "cyan"))
    counts = Counter(finding.status for finding in findings)
    bad = [counted(counts[s], s) for s in ("failure", "warning") if counts[s]]
    bad += [f"{counted(counts['unchecked'], 'check')} failed to run"] if counts["unchecked"] else []
    console.print(
        Text(f"{', '.join(bad) or 'healthy'}", _STYLES["failure" if counts["failure"] else "warning" if bad else "ok"])
    )
