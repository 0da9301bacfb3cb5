"""What the audit looks for in CloudTrail's records, as CloudWatch Logs metric filters and as EventBridge patterns.

Pure: strings in, patterns out. A pattern is a template until the secrets and the key exist: `Values.fill` replaces
`<resource:NAME>` (a name with the six characters that AWS adds) and `<key-id>`. How many patterns there are, and what goes
into which, follows from names alone, so that a preview and an update agree.

How a secret is named in a record (AWS, "AWS Secrets Manager entries in CloudTrail"): an API call has the caller's own
spelling in `requestParameters.secretId`, which is the full ARN, the ARN without its last hyphen and six characters, or
the name; a service event has the full ARN in `additionalEventData.SecretId` (`serviceEventDetails.secretId` was seen as
well). ARNs are matched from the account on, so that a replica in another Region counts as well.

Who called: `userIdentity.arn` is a user's own ARN, and `arn:…:sts::ACCOUNT:assumed-role/ROLE/SESSION` in a role's session,
whose role's ARN is also in `userIdentity.sessionContext.sessionIssuer.arn`. Other accounts and services may have neither.

Sources: AWS, "Filter pattern syntax for metric filters" and "EventBridge event patterns", for syntax and limits.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import pulumi

from model.location import Location

MAX_FILTER_CHARACTERS = 1024
MAX_RULE_CHARACTERS = 2048
MAX_FILTERS = {"create": 100, "existing": 50}
"""Metric filters that one stack puts on its trail's log group. AWS takes 100; an existing group has others' as well."""


class Metric(StrEnum):
    """The audit's metrics; each has an alarm of its own."""

    READS = "Reads"
    UNEXPECTED_READS = "UnexpectedReads"
    DENIED_READS = "DeniedReads"
    TAMPERING = "Tampering"
    FAILED_ROTATIONS = "FailedRotations"


class Notice(StrEnum):
    """What a notice that doesn't wait for an alarm is about."""

    SECRET = "secret"  # noqa: S105 - the kind of resource, no password
    KEY = "key"
    TRAIL = "trail"
    ROTATION = "rotation"


class PatternTooLongError(pulumi.RunError):
    """Not even one secret fits beside the principals that a pattern has to leave out. Pulumi prints no traceback."""


@dataclass(frozen=True)
class Subject:
    """What is watched, as far as it is known before anything exists.

    Attributes:
        location: The stack's account and Region.
        prefix: What the names of the stack's secrets start with: `<project>-<stack>-`.
        secret_names: The secrets' full names.
        execution_role: ARN of the role that starts the tasks.
        rotation_role: ARN of the rotation function's role, if there is one.
        deployers: ARNs of the roles and users that run `pulumi up`; they read on refresh and change what they like.
        trusted_readers: ARNs of the other roles and users that may read unnoticed.
        has_key: Whether the stack has a KMS key of its own.
        trail_name: The stack's own trail, None with an existing one.
        log_group_name: Where the trail writes.
    """

    location: Location
    prefix: str
    secret_names: tuple[str, ...]
    execution_role: str
    rotation_role: str | None
    deployers: tuple[str, ...]
    trusted_readers: tuple[str, ...]
    has_key: bool
    trail_name: str | None
    log_group_name: str

    def secret(self, resource: str) -> str:
        """Return what the ARN of a secret ends in, in whatever Region: `*` and `<resource:NAME>` may be part of it."""
        return f":{self.location.account_id}:secret:{resource}"

    def secret_arn(self, resource: str) -> str:
        """Return the ARN of a secret in the stack's own Region, or what it starts with."""
        return self.location.arn("secretsmanager", f"secret:{resource}")

    @property
    def writers(self) -> tuple[str, ...]:
        """Who may put new values."""
        return (*self.deployers, *((self.rotation_role,) if self.rotation_role else ()))

    @property
    def readers(self) -> tuple[str, ...]:
        """Who may read."""
        return (self.execution_role, *self.writers, *self.trusted_readers)

    @property
    def max_filters(self) -> int:
        """How many metric filters there may be."""
        return MAX_FILTERS["create" if self.trail_name else "existing"]


@dataclass(frozen=True)
class Values:
    """What the templates' tokens stand for: secrets' ARNs by full name, the key's ARN."""

    secret_arns: Mapping[str, str]
    kms_key_arn: str | None

    def fill(self, template: str) -> str:
        """Return the pattern."""
        return _TOKEN.sub(lambda token: self._value(token[1]), template)

    def _value(self, name: str | None) -> str:
        if name is None:
            return (self.kms_key_arn or "").rpartition("/")[2]
        return self.secret_arns[name].partition(":secret:")[2]


_TOKEN = re.compile(r"<(?:resource:([^<>]+)|key-id)>")
_ARN_SUFFIX_CHARACTERS = len("-AbCdEf")
_KEY_ID_CHARACTERS = 36


def _length(template: str) -> int:
    """How many characters the template has once it is filled."""
    filled = (
        len(token[1]) + _ARN_SUFFIX_CHARACTERS if token[1] else _KEY_ID_CHARACTERS
        for token in _TOKEN.finditer(template)
    )
    return len(_TOKEN.sub("", template)) + sum(filled)


# --- what happened -----------------------------------------------------------------------------------------------------

_NEW_VALUES = ("PutSecretValue", "UpdateSecretVersionStage")
"""What a rotation does as well."""
_CHANGES = (
    "CancelRotateSecret", "DeleteResourcePolicy", "DeleteSecret", "PutResourcePolicy", "RemoveRegionsFromReplication",
    "ReplicateSecretToRegions", "RestoreSecret", "StopReplicationToReplica", "UpdateSecret",
)  # fmt: skip
_KEY_CHANGES = ("DisableKey", "PutKeyPolicy", "ScheduleKeyDeletion")
# By the field that names the trail.
_TRAIL_CHANGES = {"name": ("DeleteTrail", "StopLogging", "UpdateTrail"), "trailName": ("PutEventSelectors",)}
_LOG_CHANGES = ("DeleteLogGroup", "DeleteMetricFilter")
_FAILED_ROTATIONS = ("RotationAbandoned", "RotationFailed", "TestRotationFailed")

_SECRET_ID = "requestParameters.secretId"  # noqa: S105 - a field's path
_SERVICE_SECRET_IDS = ("additionalEventData.SecretId", "serviceEventDetails.secretId")
_CALLER = "userIdentity.arn"


# --- metric filters ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MetricFilter:
    """One metric filter: every record that the pattern matches adds 1 to the metric."""

    metric: Metric
    template: str


def metric_filters(subject: Subject) -> tuple[MetricFilter, ...]:
    """Return the filters. Several may feed one metric; no record matches two of them.

    When there are more secrets than the log group takes filters for, all those that have the stack's prefix are matched by
    it: a secret of a stack `dev-2` then counts in `dev` as well, and a replica that is asked for by ARN doesn't.

    Raises:
        PatternTooLongError: When the principals to leave out fill a whole pattern.
    """
    exact = tuple(_filters(subject, subject.secret_names, None))
    if len(exact) <= subject.max_filters:
        return exact
    others = tuple(name for name in subject.secret_names if not name.startswith(subject.prefix))
    return tuple(_filters(subject, others, subject.prefix))


def _filters(subject: Subject, names: Sequence[str], prefix: str | None) -> Iterator[MetricFilter]:
    arns = [subject.secret(f"<resource:{name}>") for name in names]
    asked = [
        _equals(_SECRET_ID, value)
        for name, arn in zip(names, arns, strict=True)
        for value in (name, f"*{subject.secret(name)}", f"*{arn}")
    ]
    if prefix:
        asked += [_equals(_SECRET_ID, f"{prefix}*"), _equals(_SECRET_ID, f"{subject.secret_arn(prefix)}*")]
    served = [_equals(path, f"*{arn}") for arn in arns for path in _SERVICE_SECRET_IDS]
    if prefix:
        served += [_equals(path, f"{subject.secret_arn(prefix)}*") for path in _SERVICE_SECRET_IDS]
    # An organisation's log group has other accounts' records too, where the same name is another secret.
    here = [] if subject.trail_name else [_equals("recipientAccountId", subject.location.account_id)]
    read = [*here, _equals("eventName", "GetSecretValue")]
    got, denied = "$.errorCode NOT EXISTS", _equals("errorCode", "AccessDenied*")

    yield from _split(Metric.READS, [*read, got], asked)
    yield from _split(Metric.UNEXPECTED_READS, [*read, got, *_anybody_but(subject.readers)], asked)
    yield from _split(Metric.DENIED_READS, [*read, denied], asked)
    # The action itself was denied, and which secrets were meant is a list or a filter: any of them counts.
    yield from _split(Metric.DENIED_READS, [*here, _equals("eventName", "BatchGetSecretValue"), denied])

    others = [*here, *_anybody_but(subject.writers)]
    yield from _split(Metric.TAMPERING, others, _named(_NEW_VALUES), asked)
    # A rotation by hand is welcome; one that brings its own function could send the value anywhere.
    own_function = f"({_equals('eventName', 'RotateSecret')} && {_equals('requestParameters.rotationLambdaARN', '*')})"
    others = [*here, *_anybody_but(subject.deployers)]
    yield from _split(Metric.TAMPERING, others, [*_named(_CHANGES), own_function], asked)
    for events, tests in _infrastructure(subject):
        yield from _split(Metric.TAMPERING, others, _named(events), tests)

    yield from _split(Metric.FAILED_ROTATIONS, here, _named(_FAILED_ROTATIONS), served)


def _infrastructure(subject: Subject) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """The calls on what the secrets' safety rests on, with the tests for this stack's own."""
    if subject.has_key:
        yield _KEY_CHANGES, [_equals("requestParameters.keyId", "*<key-id>")]
    for leaf, events in _TRAIL_CHANGES.items() if subject.trail_name else ():
        yield events, [_equals(f"requestParameters.{leaf}", name) for name in _trail_names(subject)]
    yield _LOG_CHANGES, [_equals("requestParameters.logGroupName", subject.log_group_name)]


def _trail_names(subject: Subject) -> list[str]:
    name = subject.trail_name or ""
    return [name, subject.location.arn("cloudtrail", f"trail/{name}")]


def _named(events: Sequence[str]) -> list[str]:
    return [_equals("eventName", event) for event in events]


def _anybody_but(principals: Sequence[str]) -> list[str]:
    """Return the condition that the caller isn't among the roles and users. `!=` alone says nothing of a missing field."""
    if not principals:
        return []
    conditions = " && ".join(f'$.{_CALLER} != "{_caller(arn)}"' for arn in principals)
    return [f"($.{_CALLER} NOT EXISTS || ({conditions}))"]


def _caller(principal_arn: str) -> str:
    """Return what `userIdentity.arn` looks like for a user, or for any session of a role."""
    arn, slash, name = principal_arn.rpartition("/")
    if ":role" not in arn:
        return principal_arn
    partition, account = arn.split(":")[1], arn.split(":")[4]
    # A role's name is unique in its account, whatever its path; a session's name has no slash.
    return f"arn:{partition}:sts::{account}:assumed-role/{name}{slash}*"


def _equals(path: str, value: str) -> str:
    return f'$.{path} = "{value}"'


def _split(metric: Metric, fixed: Sequence[str], *choices: Sequence[str]) -> Iterator[MetricFilter]:
    """Yield filters that together match where everything in `fixed` and one test of each of `choices` holds."""
    if any(not choice for choice in choices):
        return
    pattern = "{ " + " && ".join([*fixed, *(f"({' || '.join(choice)})" for choice in choices)]) + " }"
    if _length(pattern) <= MAX_FILTER_CHARACTERS:
        yield MetricFilter(metric, pattern)
        return
    longest = max(range(len(choices)), key=lambda index: _length("".join(choices[index])), default=None)
    if longest is None or len(choices[longest]) == 1:
        raise PatternTooLongError(
            f"the principals that {metric} leaves out don't fit into a metric filter of {MAX_FILTER_CHARACTERS} "
            "characters: name fewer trustedReaders and deployerRoles (one role that the others assume)"
        )
    for half in _halves(choices[longest]):
        yield from _split(metric, fixed, *choices[:longest], half, *choices[longest + 1 :])


_T = TypeVar("_T")


def _halves(items: Sequence[_T]) -> tuple[Sequence[_T], Sequence[_T]]:
    middle = (len(items) + 1) // 2
    return items[:middle], items[middle:]


# --- notices -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EventPattern:
    """One EventBridge rule's pattern."""

    notice: Notice
    template: str


def event_patterns(subject: Subject) -> tuple[EventPattern, ...]:
    """Return the patterns of the notices. No event matches two of them.

    Raises:
        PatternTooLongError: When the principals to leave out fill a whole pattern.
    """
    return tuple(_events(subject))


def _events(subject: Subject) -> Iterator[EventPattern]:
    exact, prefix = _exact_and_prefix(subject)
    arns: list[Any] = [{"suffix": subject.secret(f"<resource:{name}>")} for name in exact]
    ids = [*exact, *({"suffix": subject.secret(name)} for name in exact), *arns]
    if prefix:
        arns.append({"prefix": subject.secret_arn(prefix)})
        ids += [{"prefix": prefix}, arns[-1]]
    for events, exempt, more in (
        (_NEW_VALUES, subject.writers, {}),
        (_CHANGES, subject.deployers, {}),
        (("RotateSecret",), subject.deployers, {"rotationLambdaARN": [{"exists": True}]}),
    ):
        call = _call("secretsmanager", events, exempt)
        yield from _split_event(Notice.SECRET, call, ("requestParameters", "secretId"), ids, more)
    if subject.has_key:
        call = _call("kms", _KEY_CHANGES, subject.deployers)
        yield from _split_event(Notice.KEY, call, ("requestParameters", "keyId"), [{"suffix": "<key-id>"}], {})
    for leaf, events in _TRAIL_CHANGES.items() if subject.trail_name else ():
        call = _call("cloudtrail", events, subject.deployers)
        yield from _split_event(Notice.TRAIL, call, ("requestParameters", leaf), _trail_names(subject), {})
    for path in _SERVICE_SECRET_IDS:
        parent, _, leaf = path.partition(".")
        service_event = {
            "source": ["aws.secretsmanager"],
            "detail-type": ["AWS Service Event via CloudTrail"],
            "detail": {"eventName": list(_FAILED_ROTATIONS)},
        }
        yield from _split_event(Notice.ROTATION, service_event, (parent, leaf), arns, {})


def _exact_and_prefix(subject: Subject) -> tuple[list[str], str | None]:
    """The names to match exactly, and the stack's prefix when its secrets would make too many rules for one bus."""
    many = len(subject.secret_names) > 100  # noqa: PLR2004 - some 50 rules of the 300 that a bus takes
    exact = [name for name in subject.secret_names if not (many and name.startswith(subject.prefix))]
    return exact, subject.prefix if many else None


def _call(service: str, events: Sequence[str], exempt: Sequence[str]) -> dict[str, Any]:
    detail: dict[str, Any] = {"eventSource": [f"{service}.amazonaws.com"], "eventName": list(events)}
    users = [arn for arn in exempt if ":user/" in arn]
    roles = [arn for arn in exempt if arn not in users]
    identity: dict[str, Any] = {}
    # Alternatives: the field has another value, or isn't there.
    if users:
        identity["arn"] = [{"anything-but": users}, {"exists": False}]
    if roles:
        identity["sessionContext"] = {"sessionIssuer": {"arn": [{"anything-but": roles}, {"exists": False}]}}
    if identity:
        detail["userIdentity"] = identity
    return {"source": [f"aws.{service}"], "detail-type": ["AWS API Call via CloudTrail"], "detail": detail}


def _split_event(
    notice: Notice, event: Mapping[str, Any], path: tuple[str, str], values: Sequence[Any], more: Mapping[str, Any]
) -> Iterator[EventPattern]:
    """Yield patterns that together match the event with one of the values at the detail's path."""
    if not values:
        return
    parent, leaf = path
    detail = {**event["detail"], parent: {leaf: list(values), **more}}
    template = json.dumps({**event, "detail": detail}, separators=(",", ":"))
    if _length(template) <= MAX_RULE_CHARACTERS:
        yield EventPattern(notice, template)
    elif len(values) == 1:
        raise PatternTooLongError(
            f"the principals that a notice leaves out don't fit into an event pattern of {MAX_RULE_CHARACTERS} characters: "
            "name fewer deployerRoles (one role that the others assume)"
        )
    else:
        for half in _halves(values):
            yield from _split_event(notice, event, path, half, more)


# --- what a notice says ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """EventBridge's input transformer: a variable whose path the event lacks is left out of the text."""

    paths: Mapping[str, str]
    template: str


_WHO = {
    "event": "$.detail.eventName",
    "who": "$.detail.userIdentity.arn",
    "kind": "$.detail.userIdentity.type",
    "owner": "$.detail.userIdentity.accountId",
    "when": "$.detail.eventTime",
    "where": "$.detail.sourceIPAddress",
    "region": "$.region",
    "error": "$.detail.errorCode",
    "id": "$.detail.eventID",
}
_WHAT = {
    Notice.SECRET: ("secret", {"what": "$.detail.requestParameters.secretId"}),
    Notice.KEY: ("KMS key", {"what": "$.detail.requestParameters.keyId"}),
    Notice.TRAIL: (
        "trail",
        {"what": "$.detail.requestParameters.name", "other": "$.detail.requestParameters.trailName"},
    ),
}


def message(notice: Notice, prefix: str) -> Message:
    """Return what the notice says: who did what to which secret, when and from where."""
    title = f"{prefix}: <event>"
    if notice is Notice.ROTATION:
        paths = {name: _WHO[name] for name in ("event", "when", "region", "id")} | {
            "what": "$.detail.additionalEventData.SecretId",
            "other": "$.detail.serviceEventDetails.secretId",
        }
        text = (
            f"{title} for the secret <what><other> at <when> in <region>. The value before it stays in use. What to do: "
            "docs/rotation.md. CloudTrail event <id>."
        )
        return Message(paths, json.dumps(text))
    kind, what = _WHAT[notice]
    names = "".join(f"<{name}>" for name in what)
    text = (
        f"{title} on the {kind} {names} by <who> (<kind>, account <owner>) from <where> at <when> in <region>. This is no "
        "deployer. What to do: docs/security.md. Error, if it failed: <error>. CloudTrail event <id>."
    )
    return Message(_WHO | what, json.dumps(text))
