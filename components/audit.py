"""The audit of all access to the secrets: trail, alarms and dashboard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import _args, _audit_patterns
from components._audit_dashboard import dashboard_body
from components._audit_patterns import Metric, Values
from components._audit_watched import PulumiState, Subject, with_filters
from components._private_bucket import keep_private
from components.checks import EMAIL, KEY_ARN, LOG_GROUP, PRINCIPAL_ARN
from components.limits import MIN_LOG_FILE_DAYS
from components.location import Location
from components.names import AuditNames
from components.policies import identity, trail
from components.secret import Secret

_REPLACED_LOG_FILE_DAYS = 30
_LOG_GROUP_DAYS = 365
_HOUR, _FIVE_MINUTES = 3600, 300


@dataclass(frozen=True)
class _Alarm:
    name: str
    period: int
    threshold: int
    description: str


class AuditArgs(TypedDict):
    """What the audit records, who raises no alarm, and who receives the alarms."""

    secrets: Sequence[Secret]
    """The secrets to watch."""
    execution_role_arns: NotRequired[Sequence[str]]
    """ARNs of the roles that start the tasks: they read without an alarm. Default: none."""
    rotation_role_arn: NotRequired[str]
    """ARN of the rotation function's role. Default: nothing rotates."""
    deployer_arns: NotRequired[Sequence[str]]
    """ARNs of the roles and users that run `pulumi up`: they read on refresh and can change everything. Default: none."""
    trusted_reader_arns: NotRequired[Sequence[str]]
    """ARNs of other roles and users whose reads raise no alarm. Default: none."""
    ecs_services: NotRequired[Sequence[str]]
    """The ECS services that run the tasks, as `CLUSTER/SERVICE`. Default: not watched."""
    state_bucket_name: NotRequired[str]
    """The S3 bucket of Pulumi's state. Reads and writes of its objects are recorded, as data events. Default: not watched."""
    state_key_arn: NotRequired[str]
    """ARN of the KMS key that encrypts the secrets in Pulumi's state and configuration. Required with `state_bucket_name`."""
    state_key_alias: NotRequired[str]
    """Alias of that key, with `alias/`. Required with `state_bucket_name`."""
    state_reader_arns: NotRequired[Sequence[str]]
    """ARNs of the roles and users that read the state, besides the deployers and the trusted readers. Default: none."""
    existing_log_group_name: NotRequired[str]
    """The log group of an existing trail, such as the organization's. Default: the component creates a trail."""
    alarm_emails: NotRequired[Sequence[str]]
    """Subscribers of the alarm topic; each confirms by e-mail. Default: none."""
    expected_reads_per_hour: NotRequired[int]
    """Total reads an hour above which an alarm fires. ECS reads once for every entry under `secrets` of a task
    that starts. Default: 100."""
    log_retention_in_days: NotRequired[int]
    """Days that the trail's log group keeps events; its files stay at least a year. Default: 365."""
    keep_log_files: NotRequired[bool]
    """Whether `pulumi destroy` refuses to delete the bucket with the trail's files in it. Default: true."""
    kms_key_arn: NotRequired[pulumi.Input[str]]
    """ARN of the stack's own key. Its policy must allow CloudTrail, CloudWatch Logs and CloudWatch to use it, as that of an
`Encryption` with the trail, the log group and the topic does. Default: AWS's own keys."""
    permissions_boundary: NotRequired[pulumi.Input[str]]
    """ARN of the permissions boundary of the trail's role. Default: none."""
    prefix: NotRequired[str]
    """The name prefix of the stack's resources. Default: `<project>-<stack>`."""
    location: NotRequired[Location]
    """The account and Region. Default: the provider's."""


class Audit(pulumi.ComponentResource):
    """Records every call on the stack's secrets, and raises alarms for those that should not happen.

    A trail of management events (or an existing one's log group) feeds metric filters and alarms; a dashboard shows the rest.
    docs/security.md says when each alarm fires, and how long CloudTrail takes.
    """

    topic_arn: pulumi.Output[str]
    """The topic for alarms, known once its policy is in force."""
    metric_count: int
    """The number of metrics, and of alarms; each costs."""

    def __init__(self, name: str, args: AuditArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the audit.

        Raises:
            ArgsError: When AWS would refuse an argument.
            PatternTooLongError: When a pattern has no room for the trusted principals.
        """
        super().__init__("ecs-secrets:index:Audit", name, None, opts)
        _args.refuse("Audit", name, _problems(args))
        self._name, self._args = name, args
        self._location = location = _args.location_of(args, self)
        self._child = pulumi.ResourceOptions(parent=self)
        self._prefix = _args.stack_prefix_of(args)
        self._names = AuditNames(self._prefix, location)
        existing, kms_key_arn = args.get("existing_log_group_name"), args.get("kms_key_arn")
        boundary = args.get("permissions_boundary")
        secrets = _args.secrets_of(args["secrets"])
        expected_reads_per_hour = int(args.get("expected_reads_per_hour", 100))
        subject = Subject(
            location=location,
            prefix=self._prefix,
            secret_names=tuple(sorted(secret.full_name for secret in secrets)),
            execution_roles=tuple(args.get("execution_role_arns", ())),
            rotation_role=args.get("rotation_role_arn"),
            deployers=tuple(args.get("deployer_arns", ())),
            trusted_readers=tuple(args.get("trusted_reader_arns", ())),
            has_key=kms_key_arn is not None,
            trail_name=None if existing else self._names.trail,
            log_group_name=existing or self._names.log_group,
            bucket_name=None if existing else self._names.bucket,
            topic_arn=self._names.topic_arn,
            ecs_services=tuple(_cluster_and_name(one) for one in args.get("ecs_services", ())),
            boundary_arn=boundary if isinstance(boundary, str) else None,
            state=_state(args),
        )
        arns = {secret.full_name: secret.arn for secret in secrets}
        values = pulumi.Output.all(pulumi.Output.all(**arns), kms_key_arn).apply(
            lambda known: Values(secret_arns=known[0], kms_key_arn=known[1])
        )

        log_group: pulumi.Input[str] = existing or self._trail(kms_key_arn)
        topic = self._topic(args.get("alarm_emails", ()), kms_key_arn)
        alarm_arns = self._alarms(subject, values, expected_reads_per_hour, log_group, topic)
        self._dashboard(subject, expected_reads_per_hour, alarm_arns)

        self.topic_arn = topic
        self.metric_count = len(Metric)
        self.register_outputs({"topic_arn": self.topic_arn, "metric_count": self.metric_count})

    def _trail(self, kms_key_arn: pulumi.Input[str] | None) -> pulumi.Output[str]:
        """Create the trail and return the name of its log group."""
        kept_days = _args.retention_days(self._args, _LOG_GROUP_DAYS)
        log_group = aws.cloudwatch.LogGroup(
            f"{self._name}-events",
            name=self._names.log_group,
            retention_in_days=kept_days,
            kms_key_id=kms_key_arn,
            opts=self._child,
        )
        role_arn = _args.role(
            f"{self._name}-trail",
            self._args,
            self._child,
            role_name=self._names.role,
            description=f"CloudTrail writes the events of {self._prefix} to their log group",
            # CloudTrail documents no condition key for this trust, and refuses a trail whose role it can't assume. Nobody
            # can hand it the role of an account that isn't theirs: that takes iam:PassRole on it.
            trust=identity.trust("cloudtrail.amazonaws.com"),
            policy=("write-events", identity.document([trail.write_events(self._names)])),
            policy_resource=f"{self._name}-write-events",
        )
        bucket = self._bucket(max(kept_days, MIN_LOG_FILE_DAYS))
        aws.cloudtrail.Trail(
            f"{self._name}-trail",
            name=self._names.trail,
            s3_bucket_name=bucket,
            cloud_watch_logs_group_arn=log_group.arn.apply(lambda arn: f"{arn}:*"),
            # CloudTrail checks the role when it creates the trail.
            cloud_watch_logs_role_arn=role_arn,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            event_selectors=_selectors(self._args, self._location.partition),
            kms_key_id=kms_key_arn,
            opts=self._child,
        )
        return log_group.name

    def _bucket(self, keep_days: int) -> pulumi.Output[str]:
        """Create the bucket of the trail's files and return its name, known once CloudTrail can write to it."""
        name = f"{self._name}-log-files"
        bucket = aws.s3.Bucket(
            name,
            bucket=self._names.bucket,
            force_destroy=not self._args.get("keep_log_files", True),
            opts=self._child,
        )
        # The trail encrypts its files with the stack's key itself; the bucket's encryption is for everything else (digests).
        private = keep_private(
            name,
            bucket,
            keep_days=keep_days,
            keep_replaced_days=_REPLACED_LOG_FILE_DAYS,
            policy=trail.bucket_policy(self._names),
            opts=self._child,
        )
        return private.policy.bucket

    def _topic(self, emails: Sequence[str], kms_key_arn: pulumi.Input[str] | None) -> pulumi.Output[str]:
        """Create the topic and return its ARN, known once its policy is in force."""
        topic = aws.sns.Topic(
            self._name,
            name=self._names.topic,
            # Without a customer-managed key, SNS uses its own encryption. Not with alias/aws/sns: that key's policy lets
            # neither alarms nor rules publish, and can't be changed, so that every message would be lost.
            kms_master_key_id=kms_key_arn,
            opts=self._child,
        )
        policy = aws.sns.TopicPolicy(
            self._name, arn=topic.arn, policy=trail.topic_policy(self._names), opts=self._child
        )
        for number, email in enumerate(emails, start=1):
            aws.sns.TopicSubscription(
                f"{self._name}-email-{number}", topic=topic.arn, protocol="email", endpoint=email, opts=self._child
            )
        return policy.arn

    def _alarms(
        self,
        subject: Subject,
        values: pulumi.Output[Values],
        expected_reads_per_hour: int,
        log_group_name: pulumi.Input[str],
        topic_arn: pulumi.Input[str],
    ) -> list[pulumi.Output[str]]:
        """Create the metric filters and their alarms, and return the alarms' ARNs."""
        numbers = dict.fromkeys(Metric, 0)
        alarms = _alarms(expected_reads_per_hour)
        for metric_filter in _audit_patterns.metric_filters(subject):
            metric = metric_filter.metric
            numbers[metric] += 1
            label = f"{alarms[metric].name}-{numbers[metric]}"
            aws.cloudwatch.LogMetricFilter(
                f"{self._name}-{label}",
                name=f"{self._prefix}-{label}",
                log_group_name=log_group_name,
                pattern=values.apply(lambda known, template=metric_filter.template: known.fill(template)),
                metric_transformation={"name": str(metric), "namespace": self._prefix, "value": "1"},
                opts=self._child,
            )
        return [
            aws.cloudwatch.MetricAlarm(
                f"{self._name}-{alarm.name}",
                name=f"{self._prefix}-{alarm.name}",
                alarm_description=with_filters(
                    f"{self._prefix}: {alarm.description} What to do: docs/security.md.", numbers[metric]
                ),
                namespace=self._prefix,
                metric_name=str(metric),
                # If one is enough, a sum could be cancelled out: a principal with cloudwatch:PutMetricData could add a minus
                # one, and no trail of management events shows it.
                statistic="Maximum" if alarm.threshold == 0 else "Sum",
                period=alarm.period,
                evaluation_periods=1,
                comparison_operator="GreaterThanThreshold",
                threshold=alarm.threshold,
                # The filters publish no data while nothing happens.
                treat_missing_data="notBreaching",
                alarm_actions=[topic_arn],
                opts=self._child,
            ).arn
            for metric, alarm in alarms.items()
        ]

    def _dashboard(
        self, subject: Subject, expected_reads_per_hour: int, alarm_arns: Sequence[pulumi.Output[str]]
    ) -> None:
        aws.cloudwatch.Dashboard(
            self._name,
            dashboard_name=self._names.dashboard,
            dashboard_body=pulumi.Output.all(*alarm_arns).apply(
                lambda arns: dashboard_body(
                    title=self._prefix,
                    region=self._location.region,
                    namespace=self._prefix,
                    log_group_name=subject.log_group_name,
                    secrets_start_with=[subject.own, *subject.other_names],
                    expected_reads_per_hour=expected_reads_per_hour,
                    alarm_arns=arns,
                )
            ),
            opts=self._child,
        )


def _alarms(expected_reads_per_hour: int) -> dict[Metric, _Alarm]:
    return {
        Metric.READS: _Alarm(
            "reads",
            _HOUR,
            expected_reads_per_hour,
            f"more than {expected_reads_per_hour} reads of its secrets in an hour, by all principals together.",
        ),
        Metric.UNEXPECTED_READS: _Alarm(
            "unexpected-reads",
            _FIVE_MINUTES,
            0,
            "a secret's value, or Pulumi's state, was read by somebody who is neither the execution role, the rotation "
            "function, a deployer nor a trusted reader.",
        ),
        Metric.DENIED_READS: _Alarm(
            "denied-reads", _FIVE_MINUTES, 0, "a read of a secret or of Pulumi's state was denied."
        ),
        Metric.TAMPERING: _Alarm(
            "tampering",
            _FIVE_MINUTES,
            0,
            "a secret, or what its safety rests on (roles, key, function, task, trail, alarms), was changed by somebody who "
            "is not a deployer, or the attempt was denied.",
        ),
        Metric.FAILED_ROTATIONS: _Alarm("failed-rotations", _FIVE_MINUTES, 0, "a rotation failed or was abandoned."),
    }


_RULES = {
    **_args.BOUNDARY,
    "execution_role_arns": (PRINCIPAL_ARN, "the ARN of a role"),
    "rotation_role_arn": (PRINCIPAL_ARN, "the ARN of a role"),
    "deployer_arns": (PRINCIPAL_ARN, "the ARN of a role or user"),
    "trusted_reader_arns": (PRINCIPAL_ARN, "the ARN of a role or user"),
    "state_key_arn": (KEY_ARN, "the ARN of a KMS key"),
    "state_reader_arns": (PRINCIPAL_ARN, "the ARN of a role or user"),
    "existing_log_group_name": (LOG_GROUP, "a log group's name: letters, digits and . / # _ -"),
    "alarm_emails": (EMAIL, "an e-mail address"),
}


def _problems(args: AuditArgs) -> Iterator[_args.Problem]:
    yield from _args.unlike(args, _RULES)
    yield from _args.wrong_retention(args)
    yield from _args.outside(args, {"expected_reads_per_hour": (range(1, 1_000_000), "1 to 999999")})
    for service in args.get("ecs_services", ()):
        if service.count("/") != 1:
            yield "ecs_services", f"has {service[:60]!r}", "CLUSTER/SERVICE"
    if args.get("state_bucket_name"):
        for key in ("state_key_arn", "state_key_alias"):
            if not args.get(key):
                yield key, "is missing", "required with state_bucket_name"


def _state(args: AuditArgs) -> PulumiState | None:
    if not args.get("state_bucket_name"):
        return None
    return PulumiState(
        args.get("state_bucket_name", ""),
        args.get("state_key_arn", ""),
        args.get("state_key_alias", ""),
        tuple(args.get("state_reader_arns", ())),
    )


def _selectors(args: AuditArgs, partition: str) -> "list[aws.cloudtrail.TrailEventSelectorArgsDict] | None":
    """Return the management events and those on the state's objects; None leaves CloudTrail's default, management events."""
    if not args.get("state_bucket_name"):
        return None
    objects = f"arn:{partition}:s3:::{args.get('state_bucket_name')}/"
    return [
        {
            "read_write_type": "All",
            "include_management_events": True,
            "data_resources": [{"type": "AWS::S3::Object", "values": [objects]}],
        }
    ]


def _cluster_and_name(service: str) -> tuple[str, str]:
    cluster, _, name = service.partition("/")
    return cluster, name
