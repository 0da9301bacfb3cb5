"""The table of detections as CloudWatch Logs metric filters.

Pure: strings in, patterns out. A pattern is a template until the secrets and the key exist: `Values.fill` replaces
`<resource:NAME>` (a name with the six characters that AWS adds) and `<key-id>`. The number of patterns and their contents
depend only on names, so that a preview and an update agree.

How a secret is named in a record (AWS, "AWS Secrets Manager entries in CloudTrail"): an API call has the caller's own
spelling in `requestParameters.secretId`, which is the full ARN, the ARN without its last hyphen and six characters, or
the name; a service event has the full ARN in `additionalEventData.SecretId` (`serviceEventDetails.secretId` was seen as
well). ARNs are matched from the account on, so that a replica in another Region counts as well.

Who called: `userIdentity.arn` is a user's own ARN, and `arn:…:sts::ACCOUNT:assumed-role/ROLE/SESSION` in a role's session,
whose role's ARN is also in `userIdentity.sessionContext.sessionIssuer.arn`. Other accounts and services may have neither.
ECS calls a session as its task, 32 hexadecimal digits, and Lambda as its function.

Source: AWS, "Filter pattern syntax for metric filters", for syntax and limits.
"""

import os.path
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import TypeVar

import pulumi

from components._audit_watched import PulumiState, Subject, Watched, asked_ids, denied_ids, watched

MAX_FILTER_CHARACTERS = 1024

LISTED = 3
"""How far into a list a metric filter looks: it selects by number."""


class Metric(StrEnum):
    """The audit's metrics; each has its own alarm."""

    READS = "Reads"
    UNEXPECTED_READS = "UnexpectedReads"
    DENIED_READS = "DeniedReads"
    TAMPERING = "Tampering"
    FAILED_ROTATIONS = "FailedRotations"


class PatternTooLongError(pulumi.RunError):
    """The principals to leave out take so much room that a pattern can hold no test. Pulumi prints no traceback."""


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
    """The number of characters in the filled template."""
    filled = (
        len(token[1]) + _ARN_SUFFIX_CHARACTERS if token[1] else _KEY_ID_CHARACTERS
        for token in _TOKEN.finditer(template)
    )
    return len(_TOKEN.sub("", template)) + sum(filled)


_FAILED_ROTATIONS = ("RotationAbandoned", "RotationFailed", "TestRotationFailed")
_SECRET_ID = "requestParameters.secretId"  # noqa: S105 - a field's path
_SERVICE_SECRET_IDS = ("additionalEventData.SecretId", "serviceEventDetails.secretId")
_CALLER = "userIdentity.arn"
_GOT, _REFUSED = "$.errorCode NOT EXISTS", '$.errorCode = "AccessDenied*"'
_WRITES = "($.readOnly NOT EXISTS || $.readOnly IS FALSE)"


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
        PatternTooLongError: When the principals to leave out fill an entire pattern.
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
    # An organization's log group also has records of other accounts, where the same name is another secret.
    here = [] if subject.trail_name else _tests("recipientAccountId", [subject.location.account_id])
    read = [*here, *_tests("eventName", ["GetSecretValue"])]

    yield from _packed(Metric.READS, [*read, _GOT], asked)
    yield from _packed(Metric.UNEXPECTED_READS, [*read, _GOT, *_anybody_but(_readers(subject))], asked)
    if subject.trail_name:
        # Anybody else chooses the name of the role's session freely. Not in a shared log group: AWS accepts five filters with a
        # regular expression in each.
        taken = [f'$.{_CALLER} = "{_sessions(subject.execution_roles)}"', f"$.{_CALLER} != %/[0-9a-f]{{32}}$%"]
        yield from _packed(Metric.UNEXPECTED_READS, [*read, _GOT], [" && ".join(taken)])
    yield from _packed(Metric.DENIED_READS, [*read, _REFUSED], denied)
    # A denied BatchGetSecretValue names no secret: requestParameters is null, and the action has no resource.
    yield from _packed(
        Metric.DENIED_READS, here, [" && ".join([*_tests("eventName", ["BatchGetSecretValue"]), _REFUSED])]
    )

    if subject.has_key:
        # Decryption without Secrets Manager: the key's policy allows nobody.
        past = [*here, _either(_tests("eventName", ["Decrypt", "ReEncrypt"])), _REFUSED]
        yield from _packed(Metric.DENIED_READS, past, _tests("errorMessage", ["*:key/<key-id>*"]))

    for by_rotation in (False, True):
        anybody = [
            *here,
            '$.userIdentity.type != "AWSService"',
            *_anybody_but((*(_rotation(subject) if by_rotation else ()), *map(_caller, subject.deployers))),
        ]
        rows = [row for row in watched(subject) if row.by_rotation == by_rotation]
        for fixed, some in (
            ([*anybody, _WRITES], [row for row in rows if not row.events]),
            (anybody, [row for row in rows if row.events]),
        ):
            room = MAX_FILTER_CHARACTERS - _length(_pattern(fixed, [""]))
            tests = [test for row in some for test in _row_tests(row, room)]
            yield from _packed(Metric.TAMPERING, fixed, tests)

    if subject.state:
        yield from _state_filters(subject, subject.state, here)

    failed = [*here, f"({' || '.join(_tests('eventName', _FAILED_ROTATIONS))})"]
    served = [test for path in _SERVICE_SECRET_IDS for test in _tests(path, arns)]
    yield from _packed(Metric.FAILED_ROTATIONS, failed, served)


def _state_filters(subject: Subject, state: PulumiState, here: list[str]) -> Iterator[MetricFilter]:
    """Yield the filters of Pulumi's state: its files are read with the key, written, or lose what protects them."""
    callers = dict.fromkeys(map(_caller, (*subject.deployers, *subject.trusted_readers, *state.readers)))
    others = _anybody_but(tuple(callers))
    file = f'$.requestParameters.bucketName = "{state.bucket_name}"'
    key = f"*{state.key_arn.rpartition(':')[2]}"
    read = [f'($.eventName = "GetObject" && {file})', f'($.eventName = "Decrypt" && $.resources[0].ARN = "{key}")']
    yield from _packed(Metric.UNEXPECTED_READS, [*here, _GOT, *others], read)
    denied = [read[0], f'($.eventName = "Decrypt" && $.errorMessage = "*:{state.key_arn.rpartition(":")[2]}*")']
    yield from _packed(Metric.DENIED_READS, [*here, _REFUSED], denied)
    changed = [
        file,
        *_tests("requestParameters.keyId", [f"*{state.key_arn.rpartition('/')[2]}"]),
        *_tests("requestParameters.targetKeyId", [f"*{state.key_arn.rpartition('/')[2]}"]),
        *_tests("requestParameters.aliasName", [state.key_alias]),
        *_tests("errorMessage", [f"*:{state.key_arn.rpartition(':')[2]}*", f"*:s3:::{state.bucket_name}*"]),
    ]
    anybody = [*here, '$.userIdentity.type != "AWSService"', *others, _WRITES]
    yield from _packed(Metric.TAMPERING, anybody, changed)


def _readers(subject: Subject) -> tuple[str, ...]:
    """Return the `userIdentity.arn` patterns of principals that are allowed to read."""
    callers = map(_caller, (*subject.deployers, *subject.trusted_readers))
    return (_sessions(subject.execution_roles), *_rotation(subject), *callers)


def _rotation(subject: Subject) -> tuple[str, ...]:
    """Return the rotation function's session, which Lambda names after the function: no other session of the role."""
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
    """Return the `userIdentity.arn` pattern of a user, or of any session of a role."""
    arn, slash, name = principal_arn.rpartition("/")
    if ":role" not in arn:
        return principal_arn
    partition, account = arn.split(":")[1], arn.split(":")[4]
    # A role's name is unique in its account, whatever its path; a session's name has no slash.
    return f"arn:{partition}:sts::{account}:assumed-role/{name}{slash}*"


def _anybody_but(callers: Sequence[str]) -> list[str]:
    """Return the condition that the caller is not among them. `!=` alone does not match a missing field."""
    if not callers:
        return []
    conditions = " && ".join(f'$.{_CALLER} != "{caller}"' for caller in callers)
    return [f"($.{_CALLER} NOT EXISTS || ({conditions}))"]


def _row_tests(row: Watched, room: int) -> list[str]:
    """Return alternative tests, none longer than the room."""
    named = [test for path, values in row.named.items() for test in _tests(path, values)]
    conditions = _tests("eventSource", [row.source] if row.source else [])
    if row.events:
        conditions.append(_either(_tests("eventName", row.events)))
    conditions += [f'$.eventName != "{event}"' for event in row.but]
    if row.also:
        conditions.append(_either([f"$.{path} {_PRESENT[kind]}" for path, kind in row.also.items()]))
    if row.beside:
        beside = [
            f"$.{path} NOT EXISTS" if value is None else f'$.{path} = "{value}"'
            for path, values in row.beside.items()
            for value in values
        ]
        conditions.append(_either(beside))
    if not conditions:
        return named

    def whole(some: Sequence[str]) -> str:
        return f"({' && '.join([*conditions, _either(some)])})"

    return [whole(some) for some in _runs(named, lambda some: _length(whole(some)) <= room)]


_PRESENT: Mapping[type, str] = {str: '= "*"', int: ">= 0", bool: "IS TRUE"}


def _tests(path: str, values: Iterable[str]) -> list[str]:
    parts = path.split("[]")
    paths = [
        parts[0] + "".join(f"[{at}]{part}" for at, part in zip(indexes, parts[1:], strict=True))
        for indexes in product(range(LISTED), repeat=len(parts) - 1)
    ]
    return [f'$.{one} = "{value}"' for value in values for one in paths]


def _either(tests: Sequence[str]) -> str:
    return tests[0] if len(tests) == 1 else f"({' || '.join(tests)})"


def _pattern(fixed: Sequence[str], tests: Sequence[str]) -> str:
    return "{ " + " && ".join([*fixed, _either(tests)]) + " }"


def _packed(metric: Metric, fixed: Sequence[str], tests: Sequence[str]) -> Iterator[MetricFilter]:
    """Yield as few filters as possible that together match where everything in `fixed` and one of the tests holds."""
    for some in _runs(tests, lambda some: _length(_pattern(fixed, some)) <= MAX_FILTER_CHARACTERS):
        if _length(_pattern(fixed, some)) > MAX_FILTER_CHARACTERS:
            raise PatternTooLongError(
                f"the principals that {metric} leaves out do not fit into a metric filter of {MAX_FILTER_CHARACTERS} "
                "characters: name fewer trustedReaders and deployerRoles (one role that the others assume)"
            )
        yield MetricFilter(metric, _pattern(fixed, some))


_T = TypeVar("_T")
_OPEN_RUNS = 6
"""Checking all of them would take seconds with hundreds of secrets."""


def _runs(items: Sequence[_T], fits: Callable[[list[_T]], bool]) -> list[list[_T]]:
    """Return the items in groups that fit, each in one of the last few with room; an item that is too long is its own group."""
    runs: list[list[_T]] = []
    for item in items:
        room = next((run for run in runs[-_OPEN_RUNS:] if fits([*run, item])), None)
        if room is None:
            runs.append([item])
        else:
            room.append(item)
    return runs
