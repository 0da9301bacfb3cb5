"""What the audit watches: the table of detections, as data.

A detection is one row of `watched`: which field of a CloudTrail record names something of this stack, and which calls on it are
nobody's but a deployer's. `_audit_patterns` makes metric filters and EventBridge rules of the rows. A new detection is a row
here and records of it, with their source, in tests/unit/corpus/cloudtrail.

The stack's own resources are recognised by their names, which start with `<project>-<stack>-`: a stack called `prod` counts
those of a stack `prod-2` in the same account as well.

Where a record names the resource: in `requestParameters`, as the caller spelled it (a name, an ARN, an ARN without its end). In a
call that was denied `requestParameters` is null in most services, and the ARN stands in `errorMessage` only ("User: ... is not
authorized to perform: ... on resource: arn:... because ...").

Source of each record's shape: tests/unit/corpus/cloudtrail. Of `readOnly`: AWS, "CloudTrail record contents".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.location import Location

MAX_FILTERS = {"create": 100, "existing": 50}
"""Metric filters that one stack puts on its trail's log group. AWS takes 100; an existing group has others' as well."""

_IAM_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""Where IAM's events are, by partition. Source: AWS, "AWS service events delivered via CloudTrail" (EventBridge)."""


@dataclass(frozen=True)
class Subject:
    """What is watched, as far as it is known before anything exists.

    Attributes:
        location: The stack's account and Region.
        prefix: `<project>-<stack>`, what the names of the stack's resources start with.
        secret_names: The secrets' full names.
        execution_roles: ARNs of the roles that start the tasks.
        rotation_role: ARN of the rotation function's role, if there is one; the function has the role's name.
        deployers: ARNs of the roles and users that run `pulumi up`; they read on refresh and change what they like.
        trusted_readers: ARNs of the other roles and users that may read unnoticed.
        has_key: Whether the stack has a KMS key of its own.
        trail_name: The stack's own trail, None with an existing one.
        log_group_name: Where the trail writes.
        bucket_name: Where the stack's own trail keeps its files, None with an existing one.
        topic_arn: Where alarms and notices go.
        ecs_services: Cluster and name of the ECS services that run the tasks, as far as the stack knows them.
    """

    location: Location
    prefix: str
    secret_names: tuple[str, ...]
    execution_roles: tuple[str, ...]
    rotation_role: str | None
    deployers: tuple[str, ...]
    trusted_readers: tuple[str, ...]
    has_key: bool
    trail_name: str | None
    log_group_name: str
    bucket_name: str | None
    topic_arn: str
    ecs_services: tuple[tuple[str, str], ...] = ()

    @property
    def own(self) -> str:
        """What the stack's names start with, hyphen included."""
        return f"{self.prefix}-"

    @property
    def other_names(self) -> tuple[str, ...]:
        """Names of the secrets that are called otherwise (adopted ones)."""
        return tuple(name for name in self.secret_names if not name.startswith(self.own))

    def secret(self, resource: str) -> str:
        """Return what the ARN of a secret ends in, in whatever Region: `*` and `<resource:NAME>` may be part of it."""
        return f":{self.location.account_id}:secret:{resource}"

    def secret_arn(self, resource: str) -> str:
        """Return the ARN of a secret in the stack's own Region, or what it starts with."""
        return self.location.arn("secretsmanager", f"secret:{resource}")

    @property
    def max_filters(self) -> int:
        """How many metric filters there may be."""
        return MAX_FILTERS["create" if self.trail_name else "existing"]


def asked_ids(subject: Subject, names: tuple[str, ...], *, by_prefix: bool) -> tuple[str, ...]:
    """Return how a caller spells these secrets: name, ARN without its end, whole ARN; replicas included."""
    exact = tuple(
        value
        for name in names
        for value in (name, f"*{subject.secret(name)}", f"*{subject.secret(f'<resource:{name}>')}")
    )
    return exact + ((f"{subject.own}*", f"*{subject.secret(subject.own)}*") if by_prefix else ())


def denied_ids(subject: Subject, names: tuple[str, ...], *, by_prefix: bool) -> tuple[str, ...]:
    """Return how the message of a denied call spells these secrets."""
    starts = (*names, *([subject.own] if by_prefix else []))
    return tuple(value for start in starts for value in (f"*{subject.secret(start)}*", f"*on resource: {start}*"))


@dataclass(frozen=True)
class Watched:
    """Calls that nobody but a deployer makes, on one kind of the stack's resources.

    Attributes:
        what: What it is about; tests ask for a record of each.
        named: The record's fields that name the stack's own, with the values that do: one of them is enough. `*` may stand at
            both ends of a value; a field that ends in `[]` is a list.
        events: The calls, with `*` at their end; empty for every call that writes.
        but: Writes that anybody may make.
        also: Fields of which one has to be there as well (a boolean: true).
        source: The service's event source, where the field means something else in another service.
        by_rotation: Whether the rotation function makes these calls, too.
        in_region: Whether the calls are recorded in the stack's Region, where EventBridge's rules see them.
    """

    what: str
    named: Mapping[str, tuple[str, ...]]
    events: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    also: Mapping[str, type] = field(default_factory=dict[str, type])
    source: str | None = None
    by_rotation: bool = False
    in_region: bool = True


def watched(subject: Subject) -> tuple[Watched, ...]:
    """Return the table of detections: what a deployer alone may call."""
    own, location = subject.own, subject.location
    role = f"*:role/{own}*"
    secrets = asked_ids(subject, subject.other_names, by_prefix=True)
    families = (subject.prefix, f"{subject.prefix}:*", f"{own}*", f"*/{subject.prefix}:*", f"*/{own}*")
    rows = [
        Watched(
            "secret",
            _request(secretId=secrets) | _denied(*denied_ids(subject, subject.other_names, by_prefix=True)),
            but=("PutSecretValue", "RotateSecret", "UpdateSecretVersionStage"),
        ),
        Watched(
            "new value",
            _request(secretId=secrets) | _denied(*denied_ids(subject, subject.other_names, by_prefix=True)),
            events=("PutSecretValue", "UpdateSecretVersionStage"),
            by_rotation=True,
        ),
        Watched(
            # A rotation by hand is welcome. With a function of one's own the value could go anywhere.
            "rotation's function or schedule",
            _request(secretId=secrets),
            events=("RotateSecret",),
            also={
                "requestParameters.rotationLambdaARN": str,
                "requestParameters.rotationRules.automaticallyAfterDays": int,
                "requestParameters.rotationRules.duration": str,
                "requestParameters.rotationRules.scheduleExpression": str,
            },
        ),
        Watched(
            "role, policy or user",
            _request(
                roleName=(f"{own}*", *_names(subject, ":role/")),
                policyArn=(f"*:policy/{own}*",),
                userName=_names(subject, ":user/"),
            )
            | _denied(f"*:policy/{own}*", *(f"*:{arn.split(':', 5)[5]} *" for arn in _exempt(subject))),
            source="iam.amazonaws.com",
            in_region=location.region == _IAM_REGIONS.get(location.partition),
        ),
        Watched(
            # iam:PassRole is no call and leaves no record: the call that passes the role does, also when it was denied.
            "role in somebody's use",
            _request(
                ("roleArn", (role,)),
                ("role", (role,)),
                ("executionRoleArn", (role, f"{own}*")),
                ("taskRoleArn", (role, f"{own}*")),
                ("overrides.executionRoleArn", (role, f"{own}*")),
                ("overrides.taskRoleArn", (role, f"{own}*")),
                ("containerProperties.executionRoleArn", (role,)),
            )
            | _denied(role),
        ),
        Watched("session of a role", _request(roleArn=(role,)) | _denied(role), events=("AssumeRole*",)),
        Watched(
            "function", _request(functionName=(f"{own}*", f"*:function:{own}*")) | _denied(f"*:function:{own}*")
        ),
        Watched(
            "state machine",
            _request(stateMachineArn=(f"*:stateMachine:{own}*",)) | _denied(f"*:stateMachine:{own}*"),
            but=("Start*",),
        ),
        Watched(
            "rule",
            _request(name=(f"{own}*",), rule=(f"{own}*",)) | _denied(f"*:rule/{own}*"),
            source="events.amazonaws.com",
        ),
        Watched(
            "alarm",
            _request(("alarmName", (f"{own}*",)), ("alarmNames[]", (f"{own}*",)), ("muteTargets.alarmNames[]", (f"{own}*",)))
            | _denied(f"*:alarm:{own}*"),
        ),
        Watched(
            "alarm topic",
            _request(topicArn=(subject.topic_arn,), subscriptionArn=(f"{subject.topic_arn}:*",))
            | _denied(f"*{subject.topic_arn}*"),
            but=("ConfirmSubscription",),
        ),
        Watched("task definition", _request(family=(subject.prefix, f"{own}*"))),
        Watched(
            "task",
            _request(taskDefinition=families) | _denied(f"*:task-definition/{subject.prefix}:*", f"*:task-definition/{own}*"),
            events=("RunTask", "StartTask", "DeregisterTaskDefinition"),
        ),
        Watched(
            "shell in a task, made possible",
            _request(
                taskDefinition=families,
                service=tuple(v for cluster, name in subject.ecs_services for v in (name, f"*:service/{cluster}/{name}")),
            ),
            also={"requestParameters.enableExecuteCommand": bool},
        ),
        *_key(subject),
        *_trail(subject),
    ]  # fmt: skip
    clusters = sorted({cluster for cluster, _ in subject.ecs_services})
    if clusters:
        rows.append(
            Watched(
                "shell in a task",
                _request(
                    task=tuple(f"*:task/{cluster}/*" for cluster in clusters),
                    cluster=tuple(v for cluster in clusters for v in (cluster, f"*:cluster/{cluster}")),
                ),
                events=("ExecuteCommand",),
            )
        )
    return tuple(rows)


def _key(subject: Subject) -> list[Watched]:
    if not subject.has_key:
        return []
    return [Watched("key", _request(keyId=("*<key-id>",)) | _denied("*:key/<key-id>*"))]


def _trail(subject: Subject) -> list[Watched]:
    """The trail, its log group and its bucket; of an existing one only what every stack that reads it needs."""
    group = subject.log_group_name
    groups = (group, f"*:log-group:{group}", f"*:log-group:{group}:*")
    log_group = _request(logGroupName=(group,), logGroupIdentifier=groups) | _denied(f"*:log-group:{group}:*")
    if not subject.trail_name:
        return [
            Watched("log group", log_group, events=("DeleteLog*", "PutRetentionPolicy")),
            Watched("metric filter", _request(filterName=(f"{subject.own}*",))),
        ]
    arn = subject.location.arn("cloudtrail", f"trail/{subject.trail_name}")
    bucket = subject.bucket_name or ""
    return [
        # Not every write: CloudTrail itself makes streams.
        Watched("log group", log_group, events=("Put*", "Delete*", "AssociateKmsKey", "DisassociateKmsKey")),
        Watched(
            "trail",
            _request(name=(subject.trail_name, arn), trailName=(subject.trail_name, arn)) | _denied(f"*{arn} *"),
            source="cloudtrail.amazonaws.com",
        ),
        Watched("trail's bucket", _request(bucketName=(bucket,)) | _denied(f"*:s3:::{bucket}*")),
    ]


def _request(*fields: tuple[str, tuple[str, ...]], **more: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    named = {**dict(fields), **more}
    return {f"requestParameters.{name}": values for name, values in named.items() if values}


def _denied(*messages: str) -> dict[str, tuple[str, ...]]:
    return {"errorMessage": messages}


def _exempt(subject: Subject) -> tuple[str, ...]:
    """Principals that are exempt from something, so worth taking over; the stack's own roles are known by their names."""
    return tuple(dict.fromkeys((*subject.deployers, *subject.trusted_readers)))


def _names(subject: Subject, kind: str) -> tuple[str, ...]:
    return tuple(arn.rpartition("/")[2] for arn in _exempt(subject) if kind in arn)
