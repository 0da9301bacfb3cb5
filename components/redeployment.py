"""Redeploys a service when a secret's value changes: a running task keeps the values that it was started with."""

import json
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components._state_machines import redeploy_service
from components.location import Location
from components.names import ServiceNames
from components.policies import identity

EVENT_PATTERN_CHARACTERS = 2_048
"""Size limit of an event pattern. Source: AWS, "Amazon EventBridge quotas"."""


class Redeployment(pulumi.ComponentResource):
    """From the event "Secret Label Updated" to one new deployment of one ECS service.

    Secrets Manager sends the event by itself, whoever changed the value: a rotation, an operator or `pulumi up`. EventBridge
    cannot call ECS, so a state machine does. It logs its errors, without what the executions were started with. A deployment that
    ECS gives up later is reported as well.

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
        log_retention_in_days: int,
        log_key_arn: pulumi.Input[str] | None = None,
        alarm_topic_arn: pulumi.Input[str] | None = None,
        permissions_boundary: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the rules, the state machine and its log group.

        Args:
            name: The component's name.
            names: The service's names.
            location: The account and Region.
            cluster: Name of the ECS cluster.
            service: Name of the ECS service.
            secret_arns: ARNs of the secrets to watch, by full name.
            log_retention_in_days: How long an error stays in the state machine's log.
            log_key_arn: The customer-managed key of that log group, if any.
            alarm_topic_arn: Where a failed redeployment is reported, if anywhere.
            permissions_boundary: ARN of a managed policy for the two roles.
            opts: Options of the component.
        """
        super().__init__("ticketing:index:Redeployment", name, None, opts)
        self._name, self._names, self._location, self._boundary = name, names, location, permissions_boundary
        self._child = pulumi.ResourceOptions(parent=self)
        self._service = f"{cluster}/{service}"

        machine_arn = location.arn("states", f"stateMachine:{names.redeploy}")
        redeployer = self._role(
            "redeploy",
            names.redeploy,
            trust=self._trust("states.amazonaws.com", machine_arn),
            statements=identity.redeploy(
                service_arn=location.arn("ecs", f"service/{self._service}"), state_machine_arn=machine_arn
            ),
        )
        log_group = aws.cloudwatch.LogGroup(
            name,
            name=names.redeploy_log_group,
            retention_in_days=log_retention_in_days,
            kms_key_id=log_key_arn,
            opts=self._child,
        )
        machine = aws.sfn.StateMachine(
            name,
            name=names.redeploy,
            role_arn=redeployer,
            definition=redeploy_service(location.partition, cluster, service, names.family),
            logging_configuration={
                "level": "ERROR",
                "include_execution_data": False,
                # Step Functions takes the group's ARN with all of its streams only.
                "log_destination": log_group.arn.apply(lambda arn: f"{arn}:*"),
            },
            opts=self._child,
        )
        rules = self._watch(secret_arns, machine.arn)
        self.alarm_count = 0
        if alarm_topic_arn is not None:
            self._tell_failed_deployments(alarm_topic_arn)
            self.alarm_count = self._alarms(machine.arn, rules, alarm_topic_arn)
        self.state_machine_arn = machine.arn
        self.register_outputs({"state_machine_arn": self.state_machine_arn})

    def _trust(self, service_principal: str, source_arn: str) -> str:
        return identity.trust(service_principal, account_id=self._location.account_id, source_arn=source_arn)

    def _role(
        self, part: str, role_name: str, *, trust: str, statements: Sequence[identity.Statement]
    ) -> pulumi.Output[str]:
        """Make a role and return its ARN, known once it may do what it is for."""
        role = aws.iam.Role(
            f"{self._name}-{part}",
            name=role_name,
            assume_role_policy=trust,
            permissions_boundary=self._boundary,
            opts=self._child,
        )
        policy = aws.iam.RolePolicy(
            f"{self._name}-{part}",
            name=part,
            role=role.name,
            policy=identity.document(statements),
            opts=self._child,
        )
        return pulumi.Output.all(role.arn, policy.id).apply(lambda known: known[0])

    def _watch(
        self, secret_arns: Mapping[str, pulumi.Input[str]], machine_arn: pulumi.Output[str]
    ) -> list[pulumi.Output[str]]:
        """Make the rules that start the state machine and return their names."""
        rule_arns = self._location.arn("events", f"rule/{self._names.changed_rule('*')}")
        start = identity.start_execution(self._location.arn("states", f"stateMachine:{self._names.redeploy}"))
        starter = self._role(
            "start",
            self._names.redeploy_start,
            trust=self._trust("events.amazonaws.com", rule_arns),
            statements=[start],
        )
        sizes = {full_name: self._location.secret_arn_length(full_name) + len('"",') for full_name in secret_arns}
        rules: list[pulumi.Output[str]] = []
        room = EVENT_PATTERN_CHARACTERS - len(_changed_pattern([]))
        for number, group in enumerate(identity.in_chunks(sizes, room), start=1):
            rule = aws.cloudwatch.EventRule(
                f"{self._name}-{number}",
                name=self._names.changed_rule(number),
                description=f"A secret has a new value: redeploy {self._service}",
                event_pattern=pulumi.Output.all(*(secret_arns[full_name] for full_name in group)).apply(
                    _changed_pattern
                ),
                opts=self._child,
            )
            aws.cloudwatch.EventTarget(
                f"{self._name}-{number}",
                rule=rule.name,
                target_id="redeploy",
                arn=machine_arn,
                role_arn=starter,
                retry_policy={"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 20},
                opts=self._child,
            )
            rules.append(rule.name)
        return rules

    def _tell_failed_deployments(self, topic_arn: pulumi.Input[str]) -> None:
        """Report a deployment that was started and that ECS gave up. ECS sends the event with the circuit breaker only."""
        pattern = {
            "source": ["aws.ecs"],
            "detail-type": ["ECS Deployment State Change"],
            "resources": [self._location.arn("ecs", f"service/{self._service}")],
            "detail": {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
        }
        rule = aws.cloudwatch.EventRule(
            f"{self._name}-deployment-failed",
            name=self._names.failed_rule,
            description=f"A deployment of {self._service} has failed",
            event_pattern=json.dumps(pattern, separators=(",", ":")),
            opts=self._child,
        )
        template = (
            f"A deployment of {self._service} has failed: <reason> The tasks before it keep running. "
            "What to do: python -m ops doctor, docs/operations.md."
        )
        aws.cloudwatch.EventTarget(
            f"{self._name}-deployment-failed",
            rule=rule.name,
            target_id="alarm-topic",
            arn=topic_arn,
            input_transformer={"input_paths": {"reason": "$.detail.reason"}, "input_template": json.dumps(template)},
            opts=self._child,
        )

    def _alarms(
        self, machine_arn: pulumi.Output[str], rules: Sequence[pulumi.Output[str]], topic_arn: pulumi.Input[str]
    ) -> int:
        """Make the alarms of a redeployment that did not start, and return how many there are."""
        watched: list[tuple[str, str, str, dict[str, pulumi.Input[str]]]] = [
            ("failed", "AWS/States", "ExecutionsFailed", {"StateMachineArn": machine_arn}),
            *(
                (f"not-started-{number}", "AWS/Events", "FailedInvocations", {"RuleName": rule})
                for number, rule in enumerate(rules, start=1)
            ),
        ]
        for part, namespace, metric, dimensions in watched:
            aws.cloudwatch.MetricAlarm(
                f"{self._name}-{part}",
                name=f"{self._names.redeploy}-{part}",
                alarm_description=f"{self._service} still runs with a secret's old value: redeploy it by hand",
                namespace=namespace,
                metric_name=metric,
                dimensions=dimensions,
                statistic="Sum",
                period=300,
                evaluation_periods=1,
                threshold=1,
                comparison_operator="GreaterThanOrEqualToThreshold",
                treat_missing_data="notBreaching",
                alarm_actions=[topic_arn],
                opts=self._child,
            )
        return len(watched)


def _changed_pattern(arns: list[str]) -> str:
    pattern = {
        "source": ["aws.secretsmanager"],
        "detail-type": ["Secret Label Updated"],
        "resources": sorted(arns),
        "detail": {"labelUpdated": ["AWSCURRENT"]},
    }
    return json.dumps(pattern, separators=(",", ":"))
