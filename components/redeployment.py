"""Rolls the service when a secret's value changes: a running task keeps the values that it was started with."""

import json
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components._state_machines import redeploy_service
from model.location import Location
from model.names import ServiceNames
from policies import identity

EVENT_PATTERN_CHARACTERS = 2_048
"""Size limit of an event pattern. Source: AWS, "Amazon EventBridge quotas"."""


class Redeployment(pulumi.ComponentResource):
    """From the event "Secret Label Updated" to a new deployment of one ECS service.

    Secrets Manager sends the event by itself, whoever changed the value: a rotation, an operator or `pulumi up`. EventBridge
    cannot call ECS, so an express state machine does.

    Attributes:
        state_machine_arn: The state machine's ARN.
        alarm_count: How many alarms there are; each costs.
    """

    state_machine_arn: pulumi.Output[str]
    alarm_count: int

    def __init__(
        self,
        name: str,
        *,
        names: ServiceNames,
        location: Location,
        cluster: str,
        service: str,
        secret_arns: Mapping[str, pulumi.Input[str]],
        alarm_topic_arn: pulumi.Input[str] | None = None,
        permissions_boundary: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the rule and the state machine.

        Args:
            name: The component's name.
            names: The service's names.
            location: The account and Region.
            cluster: Name of the ECS cluster.
            service: Name of the ECS service.
            secret_arns: ARNs of the secrets to watch, by full name.
            alarm_topic_arn: Where a failed redeployment is told, if anywhere.
            permissions_boundary: ARN of a managed policy for the two roles.
            opts: Options of the component.
        """
        super().__init__("ticketing:index:Redeployment", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        def trusts(service_principal: str, source_arn: str) -> str:
            return identity.trust(service_principal, account_id=location.account_id, source_arn=source_arn)

        def role(part: str, role_name: str, trust: str, action: str, resource: pulumi.Input[str]) -> aws.iam.Role:
            made = aws.iam.Role(
                f"{name}-{part}",
                name=role_name,
                assume_role_policy=trust,
                permissions_boundary=permissions_boundary,
                opts=child,
            )
            policy = pulumi.Output.from_input(resource).apply(
                lambda arn: identity.document([{"Effect": "Allow", "Action": [action], "Resource": [arn]}])
            )
            aws.iam.RolePolicy(f"{name}-{part}", name=part, role=made.name, policy=policy, opts=child)
            return made

        machine_name = names.redeploy
        redeployer = role(
            "redeploy",
            names.redeploy,
            trusts("states.amazonaws.com", location.arn("states", f"stateMachine:{machine_name}")),
            "ecs:UpdateService",
            location.arn("ecs", f"service/{cluster}/{service}"),
        )
        machine = aws.sfn.StateMachine(
            name,
            name=machine_name,
            type="EXPRESS",
            role_arn=redeployer.arn,
            definition=redeploy_service(location.partition, cluster, service),
            opts=child,
        )
        starter = role(
            "start",
            names.redeploy_start,
            trusts("events.amazonaws.com", location.arn("events", f"rule/{names.changed_rule('*')}")),
            "states:StartExecution",
            machine.arn,
        )
        rule_names: list[str] = []
        empty = len(_changed_pattern([]))
        sizes = {full_name: location.secret_arn_length(full_name) + len('"",') for full_name in secret_arns}
        for number, group in enumerate(identity.in_chunks(sizes, EVENT_PATTERN_CHARACTERS - empty), start=1):
            rule = aws.cloudwatch.EventRule(
                f"{name}-{number}",
                name=names.changed_rule(number),
                description=f"A secret has a new value: redeploy {cluster}/{service}",
                event_pattern=pulumi.Output.all(*(secret_arns[full_name] for full_name in group)).apply(
                    _changed_pattern
                ),
                opts=child,
            )
            aws.cloudwatch.EventTarget(
                f"{name}-{number}",
                rule=rule.name,
                arn=machine.arn,
                role_arn=starter.arn,
                retry_policy={"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 20},
                opts=child,
            )
            rule_names.append(names.changed_rule(number))

        self.alarm_count = 0
        if alarm_topic_arn is not None:
            watched = [("failed", "AWS/States", "ExecutionsFailed", {"StateMachineArn": machine.arn})]
            watched += [
                (
                    f"not-started-{number}",
                    "AWS/Events",
                    "FailedInvocations",
                    {"RuleName": pulumi.Output.from_input(rule_name)},
                )
                for number, rule_name in enumerate(rule_names, start=1)
            ]
            self.alarm_count = len(watched)
            for part, namespace, metric, dimensions in watched:
                aws.cloudwatch.MetricAlarm(
                    f"{name}-{part}",
                    name=f"{names.redeploy}-{part}",
                    alarm_description=f"{cluster}/{service} still runs with a secret's old value: redeploy it by hand",
                    namespace=namespace,
                    metric_name=metric,
                    dimensions=dimensions,
                    statistic="Sum",
                    period=300,
                    evaluation_periods=1,
                    threshold=1,
                    comparison_operator="GreaterThanOrEqualToThreshold",
                    treat_missing_data="notBreaching",
                    alarm_actions=[alarm_topic_arn],
                    opts=child,
                )
        self.state_machine_arn = machine.arn
        self.register_outputs({"state_machine_arn": self.state_machine_arn})


def _changed_pattern(arns: list[str]) -> str:
    pattern = {
        "source": ["aws.secretsmanager"],
        "detail-type": ["Secret Label Updated"],
        "resources": sorted(arns),
        "detail": {"labelUpdated": ["AWSCURRENT"]},
    }
    return json.dumps(pattern, separators=(",", ":"))
