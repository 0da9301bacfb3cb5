"""The ECS task definition whose `secrets` reference the secrets, with its log group and its task role."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import _args
from components._containers import SCRATCH_VOLUME, Container, container_definitions
from components.checks import wrong_size
from components.limits import HEALTH_CHECK
from components.location import Location
from components.names import ServiceNames
from components.policies import identity
from components.secret import Secret

ARCHITECTURES = ("X86_64", "ARM64")
LOG_MODES = ("non-blocking", "blocking")
"""What happens when the log can't be delivered: lines are lost, or the container waits. Source: AWS, "awslogs log driver"."""


class HealthCheckArgs(TypedDict):
    """How ECS checks the container's health. Source: AWS, Amazon ECS API Reference, HealthCheck."""

    command: Sequence[str]
    """`CMD` and its arguments, or `CMD-SHELL` and a line for the container's shell. Exit status 0 means healthy."""
    interval: NotRequired[int]
    """Seconds between two checks, 5 to 300. Default: 30."""
    timeout: NotRequired[int]
    """Seconds until a check counts as failed, 2 to 60. Default: 5."""
    retries: NotRequired[int]
    """How many checks in a row can fail, 1 to 10. Default: 3."""
    start_period: NotRequired[int]
    """Seconds after the start in which failed checks do not count, 0 to 300. Default: 0."""


class TaskDefinitionArgs(TypedDict):
    """The task's container, and the secrets that it gets."""

    image: pulumi.Input[str]
    """The container's image with a tag or digest."""
    execution_role_arn: NotRequired[pulumi.Input[str]]
    """The role that starts the task: it reads the secrets. Required, except in the arguments of a `Service`."""
    secrets: NotRequired[Mapping[str, pulumi.Input[str]]]
    """`valueFrom` by container variable: a secret's ARN, or `ARN:json-key:version-stage:version-id`. Default: none."""
    reads: NotRequired[Sequence[Secret]]
    """The secrets that `secrets` refers to. A new version of one of them creates a new revision. Default: none."""
    version_ids: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Further ids of secrets' versions. A new one creates a new revision. Default: none."""
    environment: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Plain container variables. Default: none."""
    container_name: NotRequired[str]
    """The container's name. Default: the component's."""
    container_port: NotRequired[int]
    """TCP port that the application listens on. Default: none."""
    cpu: NotRequired[int]
    """CPU units, 1024 a vCPU. Fargate must accept the pair with `memory`. Default: 256."""
    memory: NotRequired[int]
    """MiB. Default: 512."""
    cpu_architecture: NotRequired[str]
    """`X86_64` or `ARM64`. Default: `X86_64`."""
    command: NotRequired[Sequence[str]]
    """The container's command instead of the image's. Default: the image's."""
    readonly_root_filesystem: NotRequired[bool]
    """Whether the container can write to /tmp alone, a volume that ends with the task. Default: false."""
    log_mode: NotRequired[str]
    """`non-blocking`: lines of a log that can't be delivered are lost. `blocking`: the application waits. Default: the
    account's."""
    health_check: NotRequired[HealthCheckArgs]
    """How ECS checks the container's health. Default: no check."""
    sidecars: NotRequired[Sequence[Mapping[str, Any]]]
    """Further containers, in the form of ECS's `containerDefinitions`. Default: none."""
    log_retention_in_days: NotRequired[int]
    """Days that the log is kept. Default: 30."""
    log_kms_key_arn: NotRequired[pulumi.Input[str]]
    """ARN of the customer-managed key of the log group. Default: CloudWatch Logs encrypts with its own."""
    permissions_boundary: NotRequired[pulumi.Input[str]]
    """ARN of the permissions boundary of the task role. Default: none."""
    prefix: NotRequired[str]
    """The family, and the name prefix of the role and the log group. Default: `<project>-<stack>-<name>`."""
    location: NotRequired[Location]
    """The account and Region. Default: the provider's."""


class TaskDefinition(pulumi.ComponentResource):
    """A Fargate task definition of one container and optional sidecars."""

    arn: pulumi.Output[str]
    """ARN with the revision."""
    family: pulumi.Output[str]
    """The family's name."""
    log_group_name: pulumi.Output[str]
    """Where the container writes its log."""
    task_role_arn: pulumi.Output[str]
    """The role of the running application. It has no permissions: grant them next to the resource that it uses."""

    def __init__(self, name: str, args: TaskDefinitionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the task definition.

        Raises:
            ArgsError: When AWS would refuse an argument.
        """
        super().__init__("ecs-secrets:index:TaskDefinition", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        names = ServiceNames(_args.prefix_of(args, name))
        _args.refuse("TaskDefinition", name, _problems(args, names))
        location = _args.location_of(args, self)
        log_group = _args.log_group(name, args, child, names.log_group)
        task_role = aws.iam.Role(
            name,
            name=names.task_role,
            description="What the running application may do: nothing yet",
            assume_role_policy=identity.trust(
                "ecs-tasks.amazonaws.com", account_id=location.account_id, source_arn=location.arn("ecs", "*")
            ),
            permissions_boundary=args.get("permissions_boundary"),
            opts=child,
        )
        readonly = args.get("readonly_root_filesystem", False)
        task_definition = aws.ecs.TaskDefinition(
            name,
            family=names.family,
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(int(args.get("cpu", 256))),
            memory=str(int(args.get("memory", 512))),
            runtime_platform={
                "cpu_architecture": args.get("cpu_architecture", ARCHITECTURES[0]),
                "operating_system_family": "LINUX",
            },
            execution_role_arn=args.get("execution_role_arn"),
            task_role_arn=task_role.arn,
            container_definitions=_definitions(args, name, log_group.name, location.region),
            # A service might still run the previous revision, and a rollback returns to it: ECS starts no task of a
            # deregistered one. A revision holds no value.
            skip_destroy=True,
            volumes=[{"name": SCRATCH_VOLUME}] if readonly else None,
            opts=child,
        )
        self.arn = task_definition.arn
        self.family = task_definition.family
        self.log_group_name = log_group.name
        self.task_role_arn = task_role.arn
        self.register_outputs(
            {
                "arn": self.arn,
                "family": self.family,
                "log_group_name": self.log_group_name,
                "task_role_arn": self.task_role_arn,
            }
        )


def _definitions(
    args: TaskDefinitionArgs, name: str, log_group_name: pulumi.Input[str], region: str
) -> pulumi.Output[str]:
    own = [one.version_id for one in _args.secrets_of(args.get("reads")) if one.version_id is not None]
    known_ids, later_ids = _args.texts(args.get("version_ids"))
    port, health_check = args.get("container_port"), args.get("health_check")
    return pulumi.Output.all(
        image=args["image"],
        environment=dict(args.get("environment", {})),
        secrets=dict(args.get("secrets", {})),
        version_ids=pulumi.Output.all(*own, *known_ids),
        later_ids=later_ids,
        log_group_name=log_group_name,
        sidecars=list(args.get("sidecars", ())),
    ).apply(
        lambda known: container_definitions(
            Container(
                name=args.get("container_name", name),
                image=known["image"],
                port=None if port is None else int(port),
                environment=known["environment"],
                secrets=known["secrets"],
                version_ids=[*known["version_ids"], *known["later_ids"]],
                log_group_name=known["log_group_name"],
                region=region,
                command=args.get("command", ()),
                readonly_root_filesystem=args.get("readonly_root_filesystem", False),
                log_mode=args.get("log_mode", ""),
                health_check=dict(health_check) if health_check else None,
            ),
            known["sidecars"],
        )
    )


_HEALTH_CHECK = {
    {"startPeriod": "start_period"}.get(key, key): (
        range(lowest, highest + 1), f"{lowest} to {highest}" + ("" if key == "retries" else " seconds"),
    )
    for key, (_, lowest, highest) in HEALTH_CHECK.items()
}  # fmt: skip


def _problems(args: TaskDefinitionArgs, names: ServiceNames) -> Iterator[_args.Problem]:
    yield from _args.long_names(names.family, names.task_role.removeprefix(names.family))
    yield from _args.unlike(args, _args.BOUNDARY)
    yield from _args.wrong_retention(args)
    yield from _args.outside(args, {"container_port": (range(1, 65536), "1 to 65535")})
    if args.get("execution_role_arn") is None:
        yield "execution_role_arn", "is missing", "the ARN of the role that starts the task, such as an ExecutionRole's"
    if wrong := wrong_size(int(args.get("cpu", 256)), int(args.get("memory", 512))):
        yield "cpu", *wrong
    if (architecture := args.get("cpu_architecture", ARCHITECTURES[0])) not in ARCHITECTURES:
        yield "cpu_architecture", f"is {architecture!r}", " or ".join(ARCHITECTURES)
    if (mode := args.get("log_mode", "")) not in ("", *LOG_MODES):
        yield "log_mode", f"is {mode!r}", " or ".join(LOG_MODES)
    for variable in sorted(set(args.get("environment", {})) & set(args.get("secrets", {}))):
        yield "environment", f"has {variable}, which is also in secrets", "each variable once"
    yield from _health_check_problems(args.get("health_check"))
    yield from _sidecar_problems(args)


def _health_check_problems(check: HealthCheckArgs | None) -> Iterator[_args.Problem]:
    if check is None:
        return
    for key, found, rule in _args.outside(check, _HEALTH_CHECK):
        yield f"health_check.{key}", found, rule
    if list(check["command"])[:1] not in (["CMD"], ["CMD-SHELL"]) or len(check["command"]) == 1:
        yield "health_check.command", f"is {list(check['command'])!r:.60}", "CMD or CMD-SHELL, and what to run"


def _sidecar_problems(args: TaskDefinitionArgs) -> Iterator[_args.Problem]:
    names: list[object] = [args.get("container_name")]
    for number, sidecar in enumerate(args.get("sidecars", ()), start=1):
        for key in ("name", "image"):
            if sidecar.get(key) is None:
                yield "sidecars", f"number {number} has no {key}", "name and image, as in ECS"
        if isinstance(name := sidecar.get("name"), str) and name in names:
            yield "sidecars", f"has {name!r} twice", "a different name for each container"
        names.append(sidecar.get("name"))
