"""Redeploys a service when a secret's value changes, because a running task keeps its values."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import _args
from components._state_machines import redeploy_service
from components.checks import ECS_NAME
from components.hooks import QuestionError, Questions
from components.limits import NOT_UPDATED_BY_ECS, why_not_redeployed
from components.location import Location
from components.names import ServiceNames
from components.policies import identity
from components.references import CURRENT, WHOLE_SECRET_ARN
from components.secret import Secret, arn_length

EVENT_PATTERN_CHARACTERS = 2_048
"""Size limit of an event pattern. Source: AWS, "Amazon EventBridge quotas"."""


class RedeploymentArgs(TypedDict):
    """The service that restarts its tasks, and the secrets whose new values cause it."""

    cluster: pulumi.Input[str]
    """Name of the ECS cluster."""
    service: pulumi.Input[str]
    """Name of the ECS service."""
    reads: NotRequired[Sequence[Secret]]
    """The secrets whose new values restart the tasks. Secrets Manager sends the event of a new value only to the
secret's account and Region, so secrets elsewhere are left out."""
    secret_arns: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Full ARNs of further secrets of this account and Region. Those known only as outputs must fit in one event pattern: about
twenty."""
    family: NotRequired[str]
    """The task definition's family. A service that runs it gets the family's newest revision. Default: the service restarts its
current revision."""
    pass_role_arns: NotRequired[Sequence[str]]
    """ARNs of the roles in the family's revisions, which the component must be able to pass. Required with `family`."""
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    """ARN of the SNS topic for failed redeployments. Default: they are not reported."""
    log_retention_in_days: NotRequired[int]
    """Days that the state machine's error log is kept. Default: 30."""
    log_kms_key_arn: NotRequired[pulumi.Input[str]]
    """ARN of the customer-managed key of the log group. Default: CloudWatch Logs encrypts with its own."""
    permissions_boundary: NotRequired[pulumi.Input[str]]
    """ARN of the two roles' permissions boundary. Default: none."""
    prefix: NotRequired[str]
    """The name prefix of the resources, at most 49 characters. Default: `<project>-<stack>-<name>`."""
    location: NotRequired[Location]
    """The account and Region. Default: the provider's."""


_ABSENT = re.compile("no matching ECS Service|couldn't find resource|ClusterNotFoundException", re.IGNORECASE)
"""Source: terraform-provider-aws 6, internal/service/ecs/service_data_source.go; Amazon ECS API, DescribeServices, errors."""


class NotDeployedByEcsError(Exception):
    """UpdateService can't deploy this service."""


class Redeployment(pulumi.ComponentResource):
    """From the event "Secret Label Updated" to one new deployment of one ECS service.

    Secrets Manager sends the event for every change, by a rotation, an operator or `pulumi up`. EventBridge cannot call ECS,
    so a state machine does. It logs its errors, without the executions' input. A deployment that fails later is also
    reported.
    """

    state_machine_arn: pulumi.Output[str]
    """The state machine's ARN."""
    alarm_count: int
    """The number of alarms; each costs."""

    def __init__(self, name: str, args: RedeploymentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the rules, the state machine and its log group.

        Raises:
            ArgsError: When AWS would refuse an argument.
        """
        super().__init__("ecs-secrets:index:Redeployment", name, None, opts)
        self._name, self._args, self._names = name, args, ServiceNames(_args.prefix_of(args, name))
        self._location = _args.location_of(args, self)
        self._child = pulumi.ResourceOptions(parent=self)
        _args.refuse("Redeployment", name, _problems(args, self._names, self._location))
        self._service = pulumi.Output.concat(args["cluster"], "/", args["service"])
        location, names = self._location, self._names

        machine_arn = location.arn("states", f"stateMachine:{names.redeploy}")
        redeployer = self._role(
            "redeploy",
            names.redeploy,
            trust=self._trust("states.amazonaws.com", machine_arn),
            statements=self._service.apply(
                lambda service: identity.redeploy(
                    service_arn=location.arn("ecs", f"service/{service}"),
                    state_machine_arn=machine_arn,
                    passed_role_arns=args.get("pass_role_arns") or (),
                )
            ),
        )
        log_group = _args.log_group(name, args, self._child, names.redeploy_log_group)
        machine = aws.sfn.StateMachine(
            name,
            name=names.redeploy,
            role_arn=redeployer,
            definition=pulumi.Output.all(args["cluster"], args["service"]).apply(
                lambda known: redeploy_service(location.partition, known[0], known[1], args.get("family"))
            ),
            logging_configuration={
                "level": "ERROR",
                "include_execution_data": False,
                # Step Functions accepts the group's ARN only with all of its streams.
                "log_destination": log_group.arn.apply(lambda arn: f"{arn}:*"),
            },
            opts=pulumi.ResourceOptions(parent=self, hooks=self._deployed_by_ecs()),
        )
        rules = self._watch(args, machine.arn)
        self.alarm_count = 0
        alarm_topic_arn = args.get("alarm_topic_arn")
        if alarm_topic_arn is not None:
            self._tell_failed_deployments(alarm_topic_arn)
            self.alarm_count = self._alarms(machine.arn, rules, alarm_topic_arn)
        self.state_machine_arn = machine.arn
        self.register_outputs({"state_machine_arn": self.state_machine_arn, "alarm_count": self.alarm_count})

    def _trust(self, service_principal: str, source_arn: str) -> str:
        return identity.trust(service_principal, account_id=self._location.account_id, source_arn=source_arn)

    def _role(
        self, part: str, role_name: str, *, trust: str, statements: pulumi.Input[Sequence[identity.Statement]]
    ) -> pulumi.Output[str]:
        """Create a role and return its ARN, known once its policy is attached."""
        policy = part, pulumi.Output.from_input(statements).apply(identity.document)
        return _args.role(
            f"{self._name}-{part}", self._args, self._child, role_name=role_name, trust=trust, policy=policy
        )

    def _deployed_by_ecs(self) -> pulumi.ResourceHookBinding:
        """Return the hooks that refuse a service that UpdateService can't deploy, before anything changes.

        Each execution checks a service that does not exist yet.
        """
        questions = Questions(self)

        async def check(step: pulumi.ResourceHookArgs) -> None:
            definition: Any = (step.new_inputs or {}).get("definition")
            if not isinstance(definition, str) or not definition.startswith("{"):
                return  # cluster or service is an output that is unknown in the preview
            described = json.loads(definition)["States"]["DescribeService"]["Parameters"]
            cluster, (service,) = described["Cluster"], described["Services"]
            asked = {"clusterArn": self._location.arn("ecs", f"cluster/{cluster}"), "serviceName": service}
            try:
                found: Any = await questions.ask("aws:ecs/getService:getService", asked)
            except QuestionError as error:
                if not _ABSENT.search(str(error)):
                    pulumi.log.warn(f"ECS service {cluster}/{service} was not checked: {error}", self)
                return
            controllers = {controller["type"] for controller in found.get("deploymentControllers") or ()}
            if controllers & {*NOT_UPDATED_BY_ECS}:
                raise NotDeployedByEcsError(why_not_redeployed(cluster, service))

        hook = pulumi.ResourceHook(f"{self._name}-controller", check, pulumi.ResourceHookOptions(on_dry_run=True))
        return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])

    def _watch(self, args: RedeploymentArgs, machine_arn: pulumi.Output[str]) -> list[pulumi.Output[str]]:
        """Create the rules that start the state machine and return their names."""
        rule_arns = self._location.arn("events", f"rule/{self._names.changed_rule('*')}")
        start = identity.start_execution(self._location.arn("states", f"stateMachine:{self._names.redeploy}"))
        starter = self._role(
            "start",
            self._names.redeploy_start,
            trust=self._trust("events.amazonaws.com", rule_arns),
            statements=[start],
        )
        rules: list[pulumi.Output[str]] = []
        for number, arns in enumerate(self._groups(args), start=1):
            rule = aws.cloudwatch.EventRule(
                f"{self._name}-{number}",
                name=self._names.changed_rule(number),
                description=pulumi.Output.concat("A secret has a new value: redeploy ", self._service),
                event_pattern=arns.apply(_changed_pattern),
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

    def _groups(self, args: RedeploymentArgs) -> list[pulumi.Output[list[str]]]:
        """Return the secrets' ARNs, grouped by rule.

        The number of rules depends only on what is known before any secret exists, so a preview shows all of them.
        """
        location = self._location
        known_arns, later_arns = _args.texts(args.get("secret_arns"))
        arns: dict[str, pulumi.Input[str]] = {arn: arn for arn in known_arns}
        sizes = {arn: len(arn) for arn in known_arns}
        for secret in _args.secrets_of(args.get("reads")):
            key = secret.arn if isinstance(secret.arn, str) else secret.full_name
            if not isinstance(secret.arn, str) or secret.arn.startswith(location.arn("secretsmanager", "")):
                arns[key], sizes[key] = secret.arn, arn_length(secret, location.partition, location.account_id)
        room = EVENT_PATTERN_CHARACTERS - len(_changed_pattern([]))
        quoted = {key: size + len('"",') for key, size in sizes.items()}
        groups = [pulumi.Output.all(*(arns[key] for key in group)) for group in identity.in_chunks(quoted, room)]
        if _has_later(args):
            groups.append(later_arns)
        return groups

    def _tell_failed_deployments(self, topic_arn: pulumi.Input[str]) -> None:
        """Report a deployment that started and failed. ECS sends the event only with the circuit breaker."""
        rule = aws.cloudwatch.EventRule(
            f"{self._name}-deployment-failed",
            name=self._names.failed_rule,
            description=pulumi.Output.concat("A deployment of ", self._service, " has failed"),
            event_pattern=self._service.apply(
                lambda service: _failed_pattern(self._location.arn("ecs", f"service/{service}"))
            ),
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            f"{self._name}-deployment-failed",
            rule=rule.name,
            target_id="alarm-topic",
            arn=topic_arn,
            input_transformer={
                "input_paths": {"reason": "$.detail.reason"},
                "input_template": self._service.apply(_failed_message),
            },
            opts=self._child,
        )

    def _alarms(
        self, machine_arn: pulumi.Output[str], rules: Sequence[pulumi.Output[str]], topic_arn: pulumi.Input[str]
    ) -> int:
        """Create the alarms for a redeployment that did not start, and return their number."""
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
                alarm_description=pulumi.Output.concat(
                    self._service,
                    " still runs with a secret's old value: redeploy it",
                ),
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


def _changed_pattern(arns: Sequence[str]) -> str:
    pattern = {
        "source": ["aws.secretsmanager"],
        "detail-type": ["Secret Label Updated"],
        "resources": sorted(arns),
        "detail": {"labelUpdated": [CURRENT]},
    }
    text = json.dumps(pattern, separators=(",", ":"))
    if len(text) > EVENT_PATTERN_CHARACTERS:
        raise pulumi.RunError(
            f"an event pattern of {len(arns)} secrets has {len(text):,} characters, EventBridge accepts "
            f"{EVENT_PATTERN_CHARACTERS:,}: pass the secrets as `reads`, which spread over several rules"
        )
    return text


def _failed_pattern(service_arn: str) -> str:
    pattern = {
        "source": ["aws.ecs"],
        "detail-type": ["ECS Deployment State Change"],
        "resources": [service_arn],
        "detail": {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
    }
    return json.dumps(pattern, separators=(",", ":"))


def _failed_message(service: str) -> str:
    return json.dumps(
        f"A deployment of {service} has failed: <reason> The tasks before it keep running. "
        "What to do: python -m ops doctor, docs/operations.md."
    )


def _has_later(args: RedeploymentArgs) -> bool:
    """Whether an output holds ARNs of secrets."""
    given = args.get("secret_arns")
    if given is None:
        return False
    return not isinstance(given, Sequence) or not all(isinstance(arn, str) for arn in given)


_RULES = {
    **_args.BOUNDARY,
    "cluster": (ECS_NAME, "a name: letters, digits, _ and -, at most 255"),
    "service": (ECS_NAME, "a name: letters, digits, _ and -, at most 255"),
    "secret_arns": (WHOLE_SECRET_ARN, "full ARNs of secrets, with the six characters at their end"),
}


def _problems(args: RedeploymentArgs, names: ServiceNames, location: Location) -> Iterator[_args.Problem]:
    yield from _args.long_names(names.family, names.redeploy_start.removeprefix(names.family))
    yield from _args.unlike(args, _RULES)
    yield from _args.wrong_retention(args)
    here = location.arn("secretsmanager", "")
    for arn in _args.texts(args.get("secret_arns"))[0]:
        if WHOLE_SECRET_ARN.fullmatch(arn) and not arn.startswith(here):
            yield (
                "secret_arns",
                f"has {arn[:60]!r}",
                f"secrets of this account and Region, {here}...: others send no events",
            )
    if args.get("reads") is None and args.get("secret_arns") is None:
        yield "reads", "is missing", "the secrets whose new values restart the tasks, as `reads` or `secret_arns`"
    if bool(args.get("family")) != bool(args.get("pass_role_arns")):
        yield "pass_role_arns", "goes with family", "both, or neither"
