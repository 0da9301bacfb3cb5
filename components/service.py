"""The parts of one service, and its redeployment when a value changes."""

from typing import NotRequired, TypedDict

import pulumi

from components.execution_role import ExecutionRole, ExecutionRoleArgs
from components.outputs import Service as ServiceOutputs
from components.redeployment import Redeployment, RedeploymentArgs
from components.task_definition import TaskDefinition, TaskDefinitionArgs


class ServiceArgs(TypedDict):
    """The arguments of a service's parts."""

    execution_role: ExecutionRoleArgs
    """The arguments of its execution role."""
    task_definition: TaskDefinitionArgs
    """The arguments of its task definition. The execution role's ARN is filled in."""
    redeployment: NotRequired[RedeploymentArgs]
    """The arguments of its redeployment. Default: no redeployment."""


class Service(pulumi.ComponentResource):
    """An execution role that reads exactly what the service references, a task definition, and an optional redeployment."""

    execution_role_arn: pulumi.Output[str]
    """The role that ECS assumes to start a task."""
    task_role_arn: pulumi.Output[str]
    """The role of the running application; it has no permissions."""
    task_definition_arn: pulumi.Output[str]
    """The task definition with its revision."""
    task_definition_family: pulumi.Output[str]
    """The task definition's family."""
    log_group_name: pulumi.Output[str]
    """Where the container writes its log."""
    alarm_count: int
    """The number of alarms; each costs."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the service's parts.

        Raises:
            ArgsError: When AWS would refuse an argument of a part.
        """
        super().__init__("ecs-secrets:index:Service", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = ExecutionRole(f"{name}-execution-role", args["execution_role"], child)
        task_args: TaskDefinitionArgs = {**args["task_definition"], "execution_role_arn": role.arn}
        task = TaskDefinition(f"{name}-task-definition", task_args, child)
        self.alarm_count = 0
        if "redeployment" in args:
            self.alarm_count = Redeployment(f"{name}-redeployment", args["redeployment"], child).alarm_count
        self.execution_role_arn, self.task_role_arn = role.arn, task.task_role_arn
        self.task_definition_arn, self.task_definition_family = task.arn, task.family
        self.log_group_name = task.log_group_name
        self._container_secrets = args["task_definition"].get("secrets", {})
        self.register_outputs(vars(self.outputs))

    @property
    def outputs(self) -> ServiceOutputs[pulumi.Input[str]]:
        """What a stack's outputs say about the service."""
        return ServiceOutputs(
            execution_role_arn=self.execution_role_arn,
            task_role_arn=self.task_role_arn,
            task_definition_arn=self.task_definition_arn,
            task_definition_family=self.task_definition_family,
            log_group_name=self.log_group_name,
            container_secrets=self._container_secrets,
        )
