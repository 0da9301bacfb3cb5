"""`ops migrate clean`: deletes old revisions that hold secrets in the clear, and lists what else still holds them."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import typer

from components.checks import ECS_NAME
from ops._ask import confirm
from ops._aws import Aws, chunks
from ops._console import counted, print_json, print_table, say, working
from ops._detect import why_secret, why_text_is_secret
from ops._errors import MISSING, MisuseError, aws_errors, explained, tolerating
from ops._options import JsonOption, YesOption
from ops._plan import read_plan
from ops._stack import uses_local_aws
from ops.migrate._source import open_aws
from ops.migrate._task_definition import parse
from ops.migrate.scan import RegionOption

BATCH = 10
"""Revisions that one DeleteTaskDefinitions takes. Source: AWS, Amazon ECS API."""

PACE_SECONDS = 1.0
"""Between two writes to ECS, whose sustained rate for task definitions is one a second. Source: AWS, "Request throttling for the
Amazon ECS API"."""

_SERVICES, _TASKS = 10, 100
"""What one DescribeServices and one DescribeTasks take."""

_ELSEWHERE = (
    "the repository and CI that registered the task definition: their history and logs",
    "the state of Terraform or another tool that created it: `terraform state list`, older versions of the state file",
    "CloudTrail's RegisterTaskDefinition events, as long as the trail's bucket keeps them",
    "logs of an application that prints its environment",
)
_IN_CONFIG = "AWS Config records resources here: its history keeps AWS::ECS::TaskDefinition items for up to seven years"
_NOT_ALLOWED = "AWS Config, if it records here (these credentials are not allowed to check)"


@dataclass(frozen=True)
class Revision:
    """A revision that holds something in the clear.

    Attributes:
        status: ACTIVE, INACTIVE or DELETE_IN_PROGRESS.
        holds: Where, such as `environment.DB_PASSWORD`.
        used_by: Services, tasks, rules and schedules that run it.
    """

    arn: str
    status: str
    holds: tuple[str, ...]
    used_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The family and the revision."""
        return self.arn.rpartition("/")[2]


def clean(
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="The old task definition's family.")],
    region: RegionOption = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")] = False,
    yes: YesOption = False,
    json_: JsonOption = False,
) -> None:
    """Deregister and delete the revisions of a family that hold secrets in the clear, unless something still runs them.

    Exit status 1: some are left, because they are in use or AWS refused.
    """
    if not ECS_NAME.fullmatch(family):
        raise MisuseError(f"give a family without revision or ARN, not {family!r}")
    known = read_plan("dev").secret_variables
    aws = open_aws(region=region)
    place = f"account {aws.caller().account}, Region {aws.region}"
    with working(f"Reading every revision of {family}"):
        revisions = list_revisions(aws, family)
        found = find(aws, revisions, known)
    if not revisions:
        raise MisuseError(f"there is no task definition family {family} in {place}")
    free = [revision for revision in found if not revision.used_by and revision.status != "DELETE_IN_PROGRESS"]
    used = [revision for revision in found if revision.used_by]
    if not json_:
        _show(family, found, f"{counted(len(revisions), 'revision')} checked, {place}")
    failures: list[str] = []
    if free and not dry_run:
        confirm(
            f"Deregister and delete {counted(len(free), 'revision')} of {family} in {place}? This can't be undone.",
            yes=yes,
        )
        with working(f"Deleting {counted(len(free), 'revision')}"):
            failures = delete(aws, free)
    others = elsewhere(aws)
    if json_:
        listed = {"looked_at": len(revisions), "revisions": [asdict(revision) for revision in found]}
        print_json({"dry_run": dry_run, **listed, "failures": failures, "elsewhere": others})
    else:
        _tell_rest(failures, used, others if found else ())
    if failures or used:
        raise typer.Exit(1)


def list_revisions(aws: Aws, family: str) -> list[str]:
    """Return the ARNs of all revisions of a family that ECS still knows."""
    return [
        arn
        for status in ("ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS")
        # Despite its name the prefix is the whole family.
        for arn in aws.pages("ecs", "list_task_definitions", "taskDefinitionArns", familyPrefix=family, status=status)
    ]


def find(aws: Aws, arns: Iterable[str], known: Collection[str]) -> list[Revision]:
    """Return the revisions that hold something in the clear, oldest first; `known` are variables that get a secret."""
    holding = [r for r in aws.each(lambda arn: _revision(aws, arn, known), arns).values() if r and r.holds]
    users = [*_in_clusters(aws), *_scheduled(aws)] if holding else []
    holding.sort(key=lambda revision: int(revision.arn.rpartition(":")[2]))
    return [replace(r, used_by=tuple(dict.fromkeys(user for arn, user in users if arn == r.arn))) for r in holding]


def _revision(aws: Aws, arn: str, known: Collection[str]) -> Revision | None:
    ecs, deleted = aws.client("ecs"), MISSING | {"ClientException"}
    raw: Any = tolerating(deleted, lambda: ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"])
    return raw and Revision(arn, raw["status"], tuple(_held(raw, arn, known)))


def _held(raw: Mapping[str, Any], arn: str, known: Collection[str]) -> Iterator[str]:
    task = parse(raw, arn)
    yield from (where for where, text in task.texts.items() if why_text_is_secret(text))
    for container in task.containers:
        for variable, value in container.plain.items():
            if (variable in known and value) or why_secret(variable, value):
                yield f"{container.name}: environment.{variable}"
        yield from (f"{container.name}: {where}" for where, text in container.texts.items() if why_text_is_secret(text))


def _in_clusters(aws: Aws) -> Iterator[tuple[str | None, str]]:
    """Yield revisions with what runs them: services, tasks and EventBridge rules."""
    ecs, events = aws.client("ecs"), aws.client("events")
    for cluster in aws.pages("ecs", "list_clusters", "clusterArns"):
        name = cluster.rpartition("/")[2]
        for some in chunks([*aws.pages("ecs", "list_services", "serviceArns", cluster=cluster)], _SERVICES):
            for service in ecs.describe_services(cluster=cluster, services=some)["services"]:
                for deployment in (service, *service.get("deployments", ())):
                    yield deployment.get("taskDefinition"), f"service {name}/{service['serviceName']}"
        for some in chunks([*aws.pages("ecs", "list_tasks", "taskArns", cluster=cluster)], _TASKS):
            for task in ecs.describe_tasks(cluster=cluster, tasks=some)["tasks"]:
                yield task.get("taskDefinitionArn"), f"task {name}/{task['taskArn'].rpartition('/')[2]}"
        for rule in aws.pages("events", "list_rule_names_by_target", "RuleNames", TargetArn=cluster):
            for target in events.list_targets_by_rule(Rule=rule)["Targets"]:
                yield target.get("EcsParameters", {}).get("TaskDefinitionArn"), f"rule {rule}"


def _scheduled(aws: Aws) -> Iterator[tuple[str | None, str]]:
    for schedule in aws.pages("scheduler", "list_schedules", "Schedules"):
        full = aws.client("scheduler").get_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])
        yield full["Target"].get("EcsParameters", {}).get("TaskDefinitionArn"), f"schedule {schedule['Name']}"


def delete(aws: Aws, revisions: Sequence[Revision]) -> list[str]:
    """Deregister and delete revisions; return what failed, in words. It can run again."""
    ecs = aws.client("ecs")
    pause = 0.0 if uses_local_aws() else PACE_SECONDS
    failures: list[str] = []
    inactive: list[Revision] = []
    for revision in revisions:
        try:
            if revision.status == "ACTIVE":
                ecs.deregister_task_definition(taskDefinition=revision.arn)
                time.sleep(pause)
            inactive.append(revision)
        except aws_errors() as error:
            failures.append(f"{revision.name}: {explained(error)}")
    for batch in chunks(inactive, BATCH):
        try:
            done = ecs.delete_task_definitions(taskDefinitions=[revision.arn for revision in batch])
        except aws_errors() as error:
            failures.append(f"{batch[0].name} to {batch[-1].name}: {explained(error)}")
            continue
        failures += [f"{f.get('arn', '').rpartition('/')[2]}: {f.get('reason')}" for f in done.get("failures", ())]
        time.sleep(pause)
    return failures


def elsewhere(aws: Aws) -> list[str]:
    """Return where else a task definition's values are kept, as far as is known from here."""
    try:
        recorders = aws.client("config").describe_configuration_recorders()["ConfigurationRecorders"]
    except aws_errors():
        return [*_ELSEWHERE, _NOT_ALLOWED]
    return [*_ELSEWHERE, _IN_CONFIG] if recorders else [*_ELSEWHERE]


def _show(family: str, found: Sequence[Revision], looked_at: str) -> None:
    if not found:
        say(f"No revision of {family} holds a secret in the clear ({looked_at}).")
        return
    title = f"Revisions of {family} with secrets in the clear ({looked_at})"
    rows = [(r.name, r.status, ", ".join(r.holds), ", ".join(r.used_by)) for r in found]
    print_table(title, ("revision", "status", "holds", "run by"), rows)


def _tell_rest(failures: Sequence[str], used: Sequence[Revision], others: Sequence[str]) -> None:
    for failure in failures:
        say(failure)
    for revision in used:
        say(f"{revision.name} stays: {', '.join(revision.used_by)} runs it; deploy the new task definition there first")
    if others:
        say("What else can still hold the values:")
        for line in others:
            say(f"  - {line}")
        say(
            "Everyone who could read the task definition could read them. Change them: python -m ops rotate, ops set, "
            "or `rotations` in the stack's configuration."
        )
