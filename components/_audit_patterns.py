"""The table of detections as CloudWatch Logs metric filters and as EventBridge patterns.

Pure: strings in, patterns out. A pattern is a template until the secrets and the key exist: `Values.fill` replaces
`<resource:NAME>` (a name with the six characters that AWS adds) and `<key-id>`. How many patterns there are, and what goes
into which, follows from names alone, so that a preview and an update agree.

How a secret is named in a record (AWS, "AWS Secrets Manager entries in CloudTrail"): an API call has the caller's own
spelling in `requestParameters.secretId`, which is the full ARN, the ARN without its last hyphen and six characters, or
the name; a service event has the full ARN in `additionalEventData.SecretId` (`serviceEventDetails.secretId` was seen as
well). ARNs are matched from the account on, so that a replica in another Region counts as well.

Who called: `userIdentity.arn` is a user's own ARN, and `arn:…:sts::ACCOUNT:assumed-role/ROLE/SESSION` in a role's session,
whose role's ARN is also in `userIdentity.sessionContext.sessionIssuer.arn`. Other accounts and services may have neither.
ECS calls a session as its task, 32 hexadecimal digits, and Lambda as its function.

Sources: AWS, "Filter pattern syntax for metric filters" and "EventBridge event patterns", for syntax and limits.
"""

import json
import os.path
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, cast

import pulumi

from components._audit_watched import Subject, Watched, asked_ids, denied_ids, watched

MAX_FILTER_CHARACTERS = 1024
MAX_RULE_CHARACTERS = 2048
_MAX_EXACT_SECRETS_IN_RULES = 100
"""Some 20 rules of the 300 that a bus takes."""

_LISTED = 3
"""How far into a list a metric filter looks: it selects by number. A rule looks at the whole list."""


class Metric(StrEnum):
    """The audit's metrics; each has an alarm of its own."""

    READS = "Reads"
    UNEXPECTED_READS = "UnexpectedReads"
    DENIED_READS = "DeniedReads"
    TAMPERING = "Tampering"
    FAILED_ROTATIONS = "FailedRotations"


class Notice(StrEnum):
    """What a notice that doesn't wait for an alarm is about."""

    CHANGE = "change"
    ROTATION = "rotation"


class PatternTooLongError(pulumi.RunError):
    """Not even one test fits beside the principals that a pattern has to leave out. Pulumi prints no traceback."""


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
    """Return the filters. Several may feed one metric; no read is counted by two of them.

    When there are more secrets than the log group takes filters for, all those that have the stack's prefix are matched by
    it: a read of a secret of a stack `dev-2` then counts in `dev` as well.

    Raises:
        PatternTooLongError: When the principals to leave out fill a whole pattern.
    """
    exact = tuple(_filters(subject, subject.secret_names, by_prefix=False))
    if len(exact) <= subject.max_filters:
        return exact
    return tuple(_filters(subject, subject.other_names, by_prefix=True))


def _filters(subject: Subject, names: tuple[str, ...], *, by_prefix: bool) -> Iterator[MetricFilter]:
    asked = _tests(_SECRET_ID, asked_ids(subject, names, by_prefix=by_prefix))
    denied = asked + _tests("errorMessage", denied_ids(subject, names, by_prefix=by_prefix))
    arns = [f"*{subject.secret(f'<resource:{name}>')}" for name in names]
    arns += [f"*{subject.secret(subject.own)}*"] if by_prefix else []
    # An organisation's log group has other accounts' records too, where the same name is another secret.
    here = [] if subject.trail_name else _tests("recipientAccountId", [subject.location.account_id])
    read = [*here, *_tests("eventName", ["GetSecretValue"])]
    got, refused = "$.errorCode NOT EXISTS", '$.errorCode = "AccessDenied*"'

    yield from _packed(Metric.READS, [*read, got], asked)
    yield from _packed(Metric.UNEXPECTED_READS, [*read, got, *_anybody_but(_readers(subject))], asked)
    if subject.trail_name:
        # Whoever else has a session of the role calls it as he likes. Not in a log group that others use as well: AWS takes
        # five filters with a regular expression in one.
        taken = [f'$.{_CALLER} = "{_sessions(subject.execution_roles)}"', f"$.{_CALLER} != %/[0-9a-f]{{32}}$%"]
        yield from _packed(Metric.UNEXPECTED_READS, [*read, got], [" && ".join(taken)])
    yield from _packed(Metric.DENIED_READS, [*read, refused], denied)
    # A BatchGetSecretValue that was denied names no secret at all: requestParameters is null, and the action has no resource.
    yield from _packed(
        Metric.DENIED_READS, here, [" && ".join([*_tests("eventName", ["BatchGetSecretValue"]), refused])]
    )

    for by_rotation in (False, True):
        anybody = [
            *here,
            '$.userIdentity.type != "AWSService"',
            *_anybody_but(_changers(subject, by_rotation=by_rotation)),
        ]
        rows = [row for row in watched(subject) if row.by_rotation == by_rotation]
        writes = "($.readOnly NOT EXISTS || $.readOnly IS FALSE)"
        for fixed, some in (
            ([*anybody, writes], [row for row in rows if not row.events]),
            (anybody, [row for row in rows if row.events]),
        ):
            room = MAX_FILTER_CHARACTERS - _length(_pattern(fixed, [""]))
            tests = [test for row in some for test in _row_tests(row, room)]
            yield from _packed(Metric.TAMPERING, fixed, tests)

    failed = [*here, f"({' || '.join(_tests('eventName', _FAILED_ROTATIONS))})"]
    served = [test for path in _SERVICE_SECRET_IDS for test in _tests(path, arns)]
    yield from _packed(Metric.FAILED_ROTATIONS, failed, served)


def _changers(subject: Subject, *, by_rotation: bool) -> tuple[str, ...]:
    """Return what `userIdentity.arn` looks like for those who may make a change."""
    rotation = _rotation(subject) if by_rotation else ()
    return (*rotation, *map(_caller, subject.deployers))


def _readers(subject: Subject) -> tuple[str, ...]:
    """Return what `userIdentity.arn` looks like for those who may read."""
    callers = map(_caller, (*subject.deployers, *subject.trusted_readers))
    return (_sessions(subject.execution_roles), *_rotation(subject), *callers)


def _rotation(subject: Subject) -> tuple[str, ...]:
    """Return the session of the rotation function, which Lambda calls as the function. No other of the role's is meant."""
    role = subject.rotation_role
    return (_caller(role).removesuffix("*") + role.rpartition("/")[2],) if role else ()


def _sessions(roles: Sequence[str]) -> str:
    """Return one value for the sessions of all the roles: what their names have in common at both ends."""
    callers = [_caller(role) for role in roles]
    start = os.path.commonprefix(callers)  # noqa: RUF071 - character by character is what is meant
    if len(set(callers)) == 1:
        return start
    ends = [caller[len(start) :][::-1] for caller in callers]
    end = os.path.commonprefix(ends)[::-1]  # noqa: RUF071 - the same
    return f"{start}*{end}"


def _caller(principal_arn: str) -> str:
    """Return what `userIdentity.arn` looks like for a user, or for any session of a role."""
    arn, slash, name = principal_arn.rpartition("/")
    if ":role" not in arn:
        return principal_arn
    partition, account = arn.split(":")[1], arn.split(":")[4]
    # A role's name is unique in its account, whatever its path; a session's name has no slash.
    return f"arn:{partition}:sts::{account}:assumed-role/{name}{slash}*"


def _anybody_but(callers: Sequence[str]) -> list[str]:
    """Return the condition that the caller isn't among them. `!=` alone says nothing of a missing field."""
    if not callers:
        return []
    conditions = " && ".join(f'$.{_CALLER} != "{caller}"' for caller in callers)
    return [f"($.{_CALLER} NOT EXISTS || ({conditions}))"]


def _row_tests(row: Watched, room: int) -> list[str]:
    """Return tests of which one is enough, none longer than the room."""
    named = [test for path, values in row.named.items() for test in _tests(path, values)]
    conditions = _tests("eventSource", [row.source] if row.source else [])
    if row.events:
        conditions.append(_either(_tests("eventName", row.events)))
    conditions += [f'$.eventName != "{event}"' for event in row.but]
    if row.also:
        conditions.append(_either([f"$.{path} {_PRESENT[kind]}" for path, kind in row.also.items()]))
    if not conditions:
        return named

    def whole(some: Sequence[str]) -> str:
        return f"({' && '.join([*conditions, _either(some)])})"

    return [whole(some) for some in _runs(named, lambda some: _length(whole(some)) <= room)]


_PRESENT: Mapping[type, str] = {str: '= "*"', int: ">= 0", bool: "IS TRUE"}


def _tests(path: str, values: Iterable[str]) -> list[str]:
    paths = [path.replace("[]", f"[{index}]") for index in range(_LISTED)] if "[]" in path else [path]
    return [f'$.{one} = "{value}"' for value in values for one in paths]


def _either(tests: Sequence[str]) -> str:
    return tests[0] if len(tests) == 1 else f"({' || '.join(tests)})"


def _pattern(fixed: Sequence[str], tests: Sequence[str]) -> str:
    return "{ " + " && ".join([*fixed, _either(tests)]) + " }"


def _packed(metric: Metric, fixed: Sequence[str], tests: Sequence[str]) -> Iterator[MetricFilter]:
    """Yield as few filters as may be that together match where everything in `fixed` and one of the tests holds."""
    for some in _runs(tests, lambda some: _length(_pattern(fixed, some)) <= MAX_FILTER_CHARACTERS):
        if _length(_pattern(fixed, some)) > MAX_FILTER_CHARACTERS:
            raise PatternTooLongError(
                f"the principals that {metric} leaves out don't fit into a metric filter of {MAX_FILTER_CHARACTERS} "
                "characters: name fewer trustedReaders and deployerRoles (one role that the others assume)"
            )
        yield MetricFilter(metric, _pattern(fixed, some))


_T = TypeVar("_T")
_OPEN_RUNS = 6
"""To look at all of them would take seconds with hundreds of secrets."""


def _runs(items: Sequence[_T], fits: Callable[[list[_T]], bool]) -> list[list[_T]]:
    """Return the items in groups that fit, each in one of the last few with room; one too long by itself is a group, too."""
    runs: list[list[_T]] = []
    for item in items:
        room = next((run for run in runs[-_OPEN_RUNS:] if fits([*run, item])), None)
        if room is None:
            runs.append([item])
        else:
            room.append(item)
    return runs


# --- notices -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EventPattern:
    """One EventBridge rule's pattern."""

    notice: Notice
    template: str


def event_patterns(subject: Subject) -> tuple[EventPattern, ...]:
    """Return the patterns of the notices.

    Raises:
        PatternTooLongError: When the principals to leave out fill a whole pattern.
    """
    return tuple(_events(subject))


def _events(subject: Subject) -> Iterator[EventPattern]:
    for by_rotation in (False, True):
        rows = [row for row in watched(subject) if row.by_rotation == by_rotation and row.in_region]
        calls = {
            # Nobody but AWS sends events with such a source.
            "source": [{"prefix": "aws."}],
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {"userIdentity": _anybody_else(subject, by_rotation=by_rotation)},
        }
        writes = _merged(calls, {"detail": {"readOnly": [False, {"exists": False}]}})
        yield from _packed_events(
            Notice.CHANGE, writes, [one for row in rows if not row.events for one in _row_events(row)]
        )
        yield from _packed_events(Notice.CHANGE, calls, [one for row in rows if row.events for one in _row_events(row)])

    many = len(subject.secret_names) > _MAX_EXACT_SECRETS_IN_RULES
    names = subject.other_names if many else subject.secret_names
    arns: list[Any] = [{"suffix": subject.secret(f"<resource:{name}>")} for name in names]
    arns += [{"prefix": subject.secret_arn(subject.own)}] if many else []
    rotations = {
        "source": ["aws.secretsmanager"],
        "detail-type": ["AWS Service Event via CloudTrail"],
        "detail": {"eventName": list(_FAILED_ROTATIONS)},
    }
    served = [_nested(path, [arn]) for arn in arns for path in _SERVICE_SECRET_IDS]
    yield from _packed_events(Notice.ROTATION, rotations, served)


def _anybody_else(subject: Subject, *, by_rotation: bool) -> dict[str, Any]:
    users = [arn for arn in subject.deployers if ":user/" in arn]
    roles = [arn for arn in subject.deployers if arn not in users]
    users += _rotation(subject) if by_rotation else ()
    identity: dict[str, Any] = {"type": [{"anything-but": ["AWSService"]}]}
    # Alternatives: the field has another value, or isn't there.
    if users:
        identity["arn"] = [{"anything-but": users}, {"exists": False}]
    if roles:
        identity["sessionContext"] = {"sessionIssuer": {"arn": [{"anything-but": roles}, {"exists": False}]}}
    return identity


def _row_events(row: Watched) -> Iterator[dict[str, Any]]:
    """Yield parts of an event's detail; one of them is enough."""
    conditions: dict[str, Any] = {"eventSource": [row.source]} if row.source else {}
    if row.events:
        conditions["eventName"] = [_matcher(event) for event in row.events]
    elif row.but:
        # Each must be none of them; `anything-but` takes whole names or prefixes, not both.
        conditions["eventName"] = [{"anything-but": {"prefix": [event.removesuffix("*") for event in row.but]}}]
    also = [_nested(path, [True] if kind is bool else [{"exists": True}]) for path, kind in row.also.items()]
    for path, values in row.named.items():
        for present in also or [{}]:
            for value in values:
                yield _merged(conditions, _nested(path.replace("[]", ""), [_matcher(value)]), present)


def _matcher(value: str) -> Any:
    inner = value.strip("*")
    match value.startswith("*"), value.endswith("*"):
        case True, True:
            return {"wildcard": value}
        case True, False:
            return {"suffix": inner}
        case False, True:
            return {"prefix": inner}
        case _:
            return value


def _nested(path: str, matchers: list[Any]) -> dict[str, Any]:
    value: Any = matchers
    for key in reversed(path.split(".")):
        value = {key: value}
    return cast("dict[str, Any]", value)


def _merged(*parts: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, Mapping) and key in merged
            merged[key] = _merged(merged[key], cast("Mapping[str, Any]", value)) if both else value
    return merged


def _packed_events(
    notice: Notice, event: Mapping[str, Any], alternatives: Sequence[dict[str, Any]]
) -> Iterator[EventPattern]:
    """Yield as few patterns as may be that together match the event with one of the alternatives in its detail."""

    def template(some: Sequence[dict[str, Any]]) -> str:
        joined = _joined(some)
        detail = joined[0] if len(joined) == 1 else {"$or": joined}
        return json.dumps(_merged(event, {"detail": detail}), separators=(",", ":"))

    for some in _runs(alternatives, lambda some: _length(template(some)) <= MAX_RULE_CHARACTERS):
        if _length(template(some)) > MAX_RULE_CHARACTERS:
            raise PatternTooLongError(
                "the principals that a notice leaves out don't fit into an event pattern of "
                f"{MAX_RULE_CHARACTERS} characters: name fewer deployerRoles (one role that the others assume)"
            )
        yield EventPattern(notice, template(some))


def _joined(alternatives: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the same with those as one that differ by one field's value only: `{a: [1]}, {a: [2]}` is `{a: [1, 2]}`."""
    joined: list[dict[str, Any]] = []
    for one in alternatives:
        both = ((at, _one_value_more(other, one)) for at, other in enumerate(joined))
        found = next(((at, more) for at, more in both if more), None)
        if found:
            joined[found[0]] = found[1]
        else:
            joined.append(one)
    return joined


def _one_value_more(first: Any, second: Any) -> Any:
    """Return the two patterns as one, None where they differ in more than the values of one field."""
    if isinstance(first, list) and isinstance(second, list):
        more = [value for value in cast("list[Any]", second) if value not in first]
        return [*cast("list[Any]", first), *more]
    if not isinstance(first, dict) or not isinstance(second, dict) or first.keys() != second.keys():
        return None
    old, new = cast("dict[str, Any]", first), cast("dict[str, Any]", second)
    different = [key for key in old if old[key] != new[key]]
    if len(different) > 1:
        return None
    values = {key: _one_value_more(old[key], new[key]) for key in different}
    return None if None in values.values() else old | values


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
    "why": "$.detail.errorMessage",
    "id": "$.detail.eventID",
}


_BESIDE = {"errorMessage"} | {
    f"requestParameters.{name}"
    for name in (
        "cluster",
        "role",
        "executionRoleArn",
        "taskRoleArn",
        "overrides.executionRoleArn",
        "overrides.taskRoleArn",
    )
}
"""Fields that say something else than the name of what the call is about."""


def message(notice: Notice, subject: Subject) -> Message:
    """Return what the notice says: who did what to which secret or other resource, when and from where."""
    title = f"{subject.prefix}: <event>"
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
    named = dict.fromkeys(path for row in watched(subject) for path in row.named)
    fields = [path.replace("[]", "[0]") for path in named if path not in _BESIDE]
    what = {f"on{number}": f"$.detail.{path}" for number, path in enumerate(fields)}
    names = "".join(f"<{name}>" for name in what)
    text = (
        f"{title} by <who> (<kind>, account <owner>) from <where> at <when> in <region>. This is no deployer. It names: {names}. "
        "Error, if it failed: <error> <why>. What to do: docs/security.md. CloudTrail event <id>."
    )
    return Message(_WHO | what, json.dumps(text))
