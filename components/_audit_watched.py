"""What the audit watches: the table of detections, as data.

A detection is one row of `watched`: the field of a CloudTrail record that names something of this stack, and the calls on it
that only a deployer is allowed to make. `_audit_patterns` makes metric filters of the rows. A new detection is a row here
and records of it, with their source, in tests/unit/corpus/cloudtrail.

The audit recognizes the stack's own resources by their names, which start with `<project>-<stack>-`: a stack called `prod`
counts those of a stack `prod-2` in the same account as well.

Where a record names the resource: in `requestParameters`, as the caller spelled it (a name, an ARN, an ARN without its
end). For a denied call, `requestParameters` is null in most services, and only `errorMessage` has the ARN ("User: ... is not
authorized to perform: ... on resource: arn:... because ...").

Source of each record's shape: tests/unit/corpus/cloudtrail. Of `readOnly`: AWS, "CloudTrail record contents".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from components.location import Location

MAX_FILTERS = {"create": 100, "existing": 50}
"""Metric filters of one stack on its trail's log group. AWS accepts 100; an existing group also has filters of others."""

ALARMS = ("reads", "unexpected-reads", "denied-reads", "tampering", "failed-rotations")
"""The names of the audit's alarms, after the stack's prefix."""

_FILTERS = re.compile(r" Metric filters: (\d+)\.")


def with_filters(description: str, count: int) -> str:
    """Return an alarm's description with the number of its metric filters, so that a missing one is noticed."""
    return f"{description} Metric filters: {count}."


def filters_of(description: str) -> int:
    """Return the number of metric filters in an alarm's description, 1 where it has none."""
    found = _FILTERS.search(description)
    return int(found[1]) if found else 1


@dataclass(frozen=True)
class PulumiState:
    """Where the stack's state and configuration are kept: Pulumi's own way to every value.

    Attributes:
        bucket_name: The bucket that holds the state's files.
        key_arn: The KMS key that encrypts the values in them.
        key_alias: Its alias, with `alias/`.
        readers: ARNs of the roles and users that read it, besides the deployers and the trusted readers.
    """

    bucket_name: str
    key_arn: str
    key_alias: str
    readers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """What the audit watches, as far as it is known before anything exists.

    Attributes:
        location: The stack's account and Region.
        prefix: `<project>-<stack>`, the name prefix of the stack's resources.
        secret_names: The secrets' full names.
        execution_roles: ARNs of the roles that start the tasks.
        rotation_role: ARN of the rotation function's role, if any; the function has the same name.
        deployers: ARNs of the roles and users that run `pulumi up`; they read on refresh and can change everything.
        trusted_readers: ARNs of other roles and users whose reads raise no alarm.
        has_key: Whether the stack has its own KMS key.
        trail_name: The stack's own trail, None with an existing one.
        log_group_name: Where the trail writes.
        bucket_name: The bucket of the stack's own trail, None with an existing trail.
        topic_arn: The topic for alarms and notices.
        ecs_services: Cluster and name of the ECS services that run the tasks, if the stack knows them.
        boundary_arn: The permissions boundary of the stack's roles, if they have one.
        state: Where Pulumi's state is, if the audit watches it.
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
    boundary_arn: str | None = None
    state: PulumiState | None = None

    @property
    def own(self) -> str:
        """The stack's name prefix, hyphen included."""
        return f"{self.prefix}-"

    @property
    def other_names(self) -> tuple[str, ...]:
        """The secrets' names without this prefix (adopted ones)."""
        return tuple(name for name in self.secret_names if not name.startswith(self.own))

    def secret(self, resource: str) -> str:
        """Return the end of a secret's ARN in any Region; it can contain `*` and `<resource:NAME>`."""
        return f":{self.location.account_id}:secret:{resource}"

    def secret_arn(self, resource: str) -> str:
        """Return the ARN of a secret in the stack's Region, or its start."""
        return self.location.arn("secretsmanager", f"secret:{resource}")

    @property
    def max_filters(self) -> int:
        """The maximum number of metric filters."""
        return MAX_FILTERS["create" if self.trail_name else "existing"]


def asked_ids(subject: Subject, names: tuple[str, ...], *, by_prefix: bool) -> tuple[str, ...]:
    """Return how a caller can spell these secrets: name, ARN without its end, whole ARN; replicas included."""
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
    """Calls that only a deployer is allowed to make, on one kind of the stack's resources.

    Attributes:
        what: A description; tests require a record of each.
        named: The record's fields that name the stack's resource, with the matching values: one of them is enough. `*`
            stands for any
            characters; `[]` behind a field's name is each of a list's first items.
        events: The calls, with `*` at their end; empty for every call that writes.
        but: Writes that everybody is allowed to make.
        also: Fields of which one must also be present (a boolean: true).
        beside: Fields of which one must also have one of its values; None: it is absent.
        source: The service's event source, if the field means something else in another service.
        by_rotation: Whether the rotation function also makes these calls.
    """

    what: str
    named: Mapping[str, tuple[str, ...]]
    events: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    also: Mapping[str, type] = field(default_factory=dict[str, type])
    beside: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict[str, tuple[str | None, ...]])
    source: str | None = None
    by_rotation: bool = False


_PASSED = (
    "roleArn",
    "role",
    "serviceRole",
    "containerProperties.executionRoleArn",
    "containerProperties.jobRoleArn",
    *(
        f"{start}.{role}"
        for start in (
            "ecsProperties.taskProperties[0]",
            "nodeProperties.nodeRangeProperties[].ecsProperties.taskProperties[0]",
        )
        for role in ("executionRoleArn", "taskRoleArn")
    ),
    "nodeProperties.nodeRangeProperties[].container.executionRoleArn",
    "nodeProperties.nodeRangeProperties[].container.jobRoleArn",
    "target.roleArn",
    "targets[].roleArn",
    "targetParameters.ecsTaskParameters.overrides.executionRoleArn",
    "targetParameters.ecsTaskParameters.overrides.taskRoleArn",
)
"""Fields that take a role's ARN. AWS Batch takes one element of `taskProperties`. Source: boto/botocore 1.43, service models."""

_PASSED_BY_NAME = ("executionRoleArn", "taskRoleArn", "overrides.executionRoleArn", "overrides.taskRoleArn")
"""Those of ECS, which take the name as well."""


def watched(subject: Subject) -> tuple[Watched, ...]:
    """Return the table of detections: the calls that only a deployer is allowed to make."""
    return (
        *_secrets(subject),
        *_identities(subject),
        *_code(subject),
        *_alarms(subject),
        *_tasks(subject),
        *_key(subject),
        *_trail(subject),
    )


def _secrets(subject: Subject) -> list[Watched]:
    names = asked_ids(subject, subject.other_names, by_prefix=True)
    denied = _denied(*denied_ids(subject, subject.other_names, by_prefix=True))
    return [
        Watched(
            "secret",
            _request(secretId=names) | denied,
            but=("PutSecretValue", "RotateSecret", "UpdateSecretVersionStage", "ValidateResourcePolicy"),
        ),
        Watched(
            "new value",
            _request(secretId=names) | denied,
            events=("PutSecretValue", "UpdateSecretVersionStage"),
            by_rotation=True,
        ),
        Watched(
            # Starting a rotation is harmless. With another function the value could go anywhere.
            "rotation's function or schedule",
            _request(secretId=names),
            events=("RotateSecret",),
            also={
                "requestParameters.rotationLambdaARN": str,
                "requestParameters.externalSecretRotationRoleArn": str,
                "requestParameters.rotationRules.automaticallyAfterDays": int,
                "requestParameters.rotationRules.duration": str,
                "requestParameters.rotationRules.scheduleExpression": str,
            },
        ),
        Watched(
            "replica overwritten by another secret",
            _request(name=(f"{subject.own}*", *subject.other_names)),
            events=("CreateSecret",),
            also={"requestParameters.forceOverwriteReplicaSecret": bool},
        ),
        Watched(
            "tags through the tagging API",
            _request(
                (
                    "resourceARNList[]",
                    (
                        f"*:secret:{subject.own}*",
                        f"*:role/{subject.own}*",
                        *(["*:key/<key-id>"] if subject.has_key else []),
                    ),
                )
            ),
        ),
    ]


def _identities(subject: Subject) -> list[Watched]:
    own, role = subject.own, f"*:role/{subject.own}*"
    # account/ names the deployer's policies after the deployer.
    policies = [f"*:policy/{own}*", *(f"*:policy/{name}*" for name in _names(subject, ":role/", subject.deployers))]
    policies += [subject.boundary_arn] if subject.boundary_arn else []
    return [
        Watched(
            "role, policy or user",
            _request(
                roleName=(f"{own}*", *_names(subject, ":role/")),
                policyArn=tuple(policies),
                userName=_names(subject, ":user/"),
            )
            | _denied(
                f"*:policy/{own}*",
                *([f"*{subject.boundary_arn} *"] if subject.boundary_arn else []),
                *(f"*:{arn.split(':', 5)[5]} *" for arn in _exempt(subject)),
            ),
            source="iam.amazonaws.com",
        ),
        Watched(
            # The issuers of the tokens that the account's roles trust: only the trust policies name those roles.
            "identity provider",
            _request(("sAMLProviderArn", ("*",)), ("openIDConnectProviderArn", ("*",))),
            but=("Tag*", "Untag*"),
            source="iam.amazonaws.com",
        ),
        Watched(
            # iam:PassRole is not a call and leaves no record. The call that passes the role leaves one, even when it is denied.
            "role in somebody's use",
            _request(*((path, (role,)) for path in _PASSED), *((path, (role, f"{own}*")) for path in _PASSED_BY_NAME))
            | _denied(role),
        ),
        Watched("session of a role", _request(roleArn=(role,)) | _denied(role), events=("AssumeRole*",)),
    ]


def _code(subject: Subject) -> list[Watched]:
    own = subject.own
    function, machine = f"*:function:{own}*", f"*:stateMachine:{own}*"
    return [
        Watched(
            "function",
            _request(functionName=(f"{own}*", function), resourceArn=(function,)) | _denied(function),
        ),
        Watched(
            "state machine",
            _request(
                stateMachineArn=(machine,),
                stateMachineAliasArn=(machine,),
                stateMachineVersionArn=(machine,),
                executionArn=(f"*:execution:{own}*",),
            )
            | _denied(machine),
            but=("Start*", "Redrive*"),
        ),
        Watched(
            "rule",
            _request(name=(f"{own}*",), rule=(f"{own}*",)) | _denied(f"*:rule/{own}*"),
            source="events.amazonaws.com",
        ),
    ]


def _alarms(subject: Subject) -> list[Watched]:
    own = subject.own
    # The application can have alarms with the same prefix.
    names = (f"{own}reads", f"{own}*ed-reads", f"{own}tampering", f"{own}failed-rotations")
    names += (f"{own}*redeploy-*",) if subject.ecs_services else ()
    several = ("alarmNames[3]", "muteTargets.alarmNames[3]")
    return [
        Watched(
            "alarm",
            _request(
                ("alarmName", names),
                ("alarmNames[]", names),
                ("muteTargets.alarmNames[]", names),
            )
            | _denied(*(f"*:alarm:{name} *" for name in names)),
        ),
        # A filter looks only at the first items of a list.
        Watched(
            "many alarms at once", _request(*((path, ("*",)) for path in several)), source="monitoring.amazonaws.com"
        ),
        Watched(
            "alarm topic",
            _request(
                topicArn=(subject.topic_arn,),
                subscriptionArn=(f"{subject.topic_arn}:*",),
                resourceArn=(subject.topic_arn,),
            )
            | _denied(f"*{subject.topic_arn}*"),
            but=("ConfirmSubscription",),
        ),
    ]


def _tasks(subject: Subject) -> list[Watched]:
    own, prefix = subject.own, subject.prefix
    families = (prefix, f"{prefix}:*", f"{own}*", f"*/{prefix}:*", f"*/{own}*")
    shell = {"requestParameters.enableExecuteCommand": bool}
    rows = [
        Watched(
            "task definition",
            _request(("family", (prefix, f"{own}*")), ("taskDefinitions[]", (f"{own}*", f"*/{own}*"))),
        ),
        Watched(
            "task",
            _request(taskDefinition=families) | _denied(f"*:task-definition/{prefix}:*", f"*:task-definition/{own}*"),
            events=("RunTask", "StartTask", "DeregisterTaskDefinition"),
        ),
        Watched(
            "task on somebody's schedule",
            _request(
                *(
                    (f"{path}.taskDefinitionArn", (f"*/{own}*",))
                    for path in (
                        "target.ecsParameters",
                        "targets[].ecsParameters",
                        "targetParameters.ecsTaskParameters",
                    )
                )
            ),
        ),
        Watched("shell in a task of the family, made possible", _request(taskDefinition=families), also=shell),
    ]
    clusters = sorted({cluster for cluster, _ in subject.ecs_services})
    for cluster in clusters:
        names = tuple(name for at, name in subject.ecs_services if at == cluster)
        # Without a cluster, ECS uses the cluster named default.
        named = (cluster, f"*:cluster/{cluster}", *([None] if cluster == "default" else []))
        beside = {"requestParameters.cluster": named}
        tasks = f"*:task/{cluster}/*"
        rows += [
            Watched(
                "shell in a task of the service, made possible", _request(service=names), also=shell, beside=beside
            ),
            Watched(
                "shell in a task of the service by ARN, made possible",
                _request(service=tuple(f"*:service/{cluster}/{name}" for name in names)),
                also=shell,
            ),
            Watched("shell in a task by its id", _request(task=("*",)), events=("ExecuteCommand",), beside=beside),
            Watched(
                "shell in a task",
                _request(task=(tasks,)) | _denied(tasks),
                events=("ExecuteCommand",),
            ),
            Watched(
                "session in a task",
                _request(target=(f"ecs:{cluster}_*",)) | _denied(tasks),
                events=("StartSession",),
                source="ssm.amazonaws.com",
            ),
        ]
    return rows


def _key(subject: Subject) -> list[Watched]:
    if not subject.has_key:
        return []
    key = ("*<key-id>",)
    return [
        Watched(
            "key",
            _request(keyId=key, targetKeyId=key, aliasName=(f"alias/{subject.prefix}",)) | _denied("*:key/<key-id>*"),
            # They remove nothing that protects a value.
            but=("RevokeGrant", "RetireGrant", "CancelKeyDeletion"),
        )
    ]


def _trail(subject: Subject) -> list[Watched]:
    """The trail, its log group and its bucket; of an existing trail, only the parts that every stack reading it needs."""
    group = subject.log_group_name
    groups = (group, f"*:log-group:{group}", f"*:log-group:{group}:*")
    log_group = _request(
        logGroupName=(group,), logGroupIdentifier=groups, resourceIdentifier=groups, resourceArn=groups[1:]
    ) | _denied(f"*:log-group:{group}:*")
    if not subject.trail_name:
        return [
            Watched("log group", log_group, events=("DeleteLog*", "PutRetentionPolicy", "DisassociateKmsKey")),
            Watched("metric filter", _request(filterName=(f"{subject.own}*",))),
        ]
    arn = subject.location.arn("cloudtrail", f"trail/{subject.trail_name}")
    bucket = subject.bucket_name or ""
    return [
        # Not every write: CloudTrail itself makes streams.
        Watched("log group", log_group, events=("Put*", "Delete*", "Associate*", "Disassociate*")),
        Watched(
            "trail",
            _request(name=(subject.trail_name, arn), trailName=(subject.trail_name, arn), resourceId=(arn,))
            | _denied(f"*{arn} *"),
            # Insights are events of their own.
            but=("PutInsightSelectors",),
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
    """Principals that are exempt from an alarm, and therefore targets; the stack's own roles are known by name."""
    return tuple(dict.fromkeys((*subject.deployers, *subject.trusted_readers)))


def _names(subject: Subject, kind: str, arns: tuple[str, ...] | None = None) -> tuple[str, ...]:
    return tuple(arn.rpartition("/")[2] for arn in (_exempt(subject) if arns is None else arns) if kind in arn)
