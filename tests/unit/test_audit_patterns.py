"""Each alarm fires for exactly the CloudTrail records that it should."""

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components import _audit_patterns
from components._audit_patterns import (
    MAX_FILTER_CHARACTERS,
    Metric,
    PatternTooLongError,
    metric_filters,
)
from components._audit_watched import Subject, watched
from tests.unit.audit_corpus import (
    ACCOUNT,
    CORPUS,
    LOCATION,
    PREFIX,
    REGION,
    SHARED,
    SUBJECT,
    Audit,
    cases,
    record,
    values,
)
from tests.unit.pattern_evaluator import filter_matches

audit = cache(Audit)
BY_FILE = sorted({name.partition(":")[0] for name, _, _ in cases()})


def in_file(file: str) -> list[tuple[str, dict[str, Any], list[str]]]:
    return [case for case in cases() if case[0].startswith(f"{file}:")]


@pytest.mark.parametrize("file", BY_FILE)
def test_a_record_fires_exactly_what_it_should(file: str) -> None:
    fired = {name: audit(SUBJECT).fires(event) for name, event, _ in in_file(file)}
    assert fired == {name: sorted(expected) for name, _, expected in in_file(file)}


def test_no_read_is_counted_twice() -> None:
    for name, event, expected in cases():
        assert audit(SUBJECT).counts(event).count(Metric.READS) == expected.count(Metric.READS), name


@pytest.mark.parametrize("file", BY_FILE)
def test_the_same_with_other_accounts_records_in_an_organisations_log_group(file: str) -> None:
    shared = audit(SHARED)
    for name, event, expected in in_file(file):
        assert set(shared.counts({**event, "recipientAccountId": "999988887777"})) <= {Metric.FAILED_ROTATIONS}, name
        parameters = event["requestParameters"] or {}
        about_the_trail = event["eventSource"].partition(".")[0] in ("cloudtrail", "logs", "s3") and file != "state"
        own = [] if about_the_trail and not parameters.get("filterName", "").startswith(PREFIX) else expected
        # A log group that others use as well has no room for a regular expression.
        if "assumed-role/service-ticket-system-prod-execution/mallory" in event["userIdentity"].get("arn", ""):
            own = [metric for metric in own if metric != Metric.UNEXPECTED_READS]
        assert sorted(set(shared.counts(event))) == sorted(own), name


@pytest.mark.parametrize(("name", "fired"), [("organisation-trail", True), ("another-trail", False)])
def test_an_existing_trails_log_group_is_watched_for_what_no_stack_does_to_it(name: str, fired: bool) -> None:  # noqa: FBT001
    shared = audit(SHARED)
    for case in (
        "log group deleted",
        "PutRetentionPolicy on the trail's log group",
        "DeleteLogStream on the trail's log group",
    ):
        event = record(f"audit: {case}")
        changed = {**event, "requestParameters": {**event["requestParameters"], "logGroupName": name}}
        assert shared.fires(changed) == (["Tampering"] if fired else [])
    # Other stacks put their filters on it as well.
    other = {"logGroupName": name, "filterName": "another-stack-tampering-1"}
    assert shared.fires({**record("audit: metric filter deleted"), "requestParameters": other}) == []


def test_the_corpus_is_large_names_its_sources_and_fires_everything() -> None:
    assert len(cases()) >= 150
    assert len({name for name, _, _ in cases()}) == len(cases())
    counted = Counter(fire for _, _, expected in cases() for fire in expected)
    assert set(counted) == {*map(str, Metric)}
    assert min(counted.values()) >= 3
    assert sum(not expected for _, _, expected in cases()) >= 100
    for file in CORPUS.glob("*.json"):
        assert all(case["source"] for case in json.loads(file.read_text()))


def test_every_detection_has_a_record_that_nothing_else_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = watched(SUBJECT)
    found = [event for _, event, expected in cases() if Metric.TAMPERING in expected]
    for row in rows:
        fewer = tuple(one for one in rows if one is not row)
        monkeypatch.setattr(_audit_patterns, "watched", {SUBJECT: fewer}.__getitem__)
        without = Audit(SUBJECT)
        assert not all(Metric.TAMPERING in without.counts(event) for event in found), row.what


def test_without_rotation_role_key_trusted_readers_and_deployers_everybody_else_is_unexpected() -> None:
    bare = audit(replace(SUBJECT, rotation_role=None, deployers=(), trusted_readers=(), has_key=False))
    assert bare.fires(record("reads: execution role by full ARN")) == ["Reads"]
    for reader in ("rotation function, pending version", "deployer, a user", "trusted role by partial ARN"):
        assert bare.fires(record(f"reads: {reader}")) == ["Reads", "UnexpectedReads"]
    assert bare.fires(record("secrets: deletion by the deployer")) == ["Tampering"]
    assert bare.fires(record("audit: key disabled by id")) == []


def test_several_services_roles_are_exempt_in_one_condition() -> None:
    names = [f"{PREFIX}-{service}-execution" for service in ("app", "worker", "mailer", "reports", "scheduler")]
    several = audit(replace(SUBJECT, execution_roles=tuple(map(LOCATION.role_arn, names))))
    assert len(several.filters) == len(audit(SUBJECT).filters)
    event = record("reads: execution role by full ARN")

    def by(session: str) -> list[str]:
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{session}"
        return several.fires({**event, "userIdentity": {**event["userIdentity"], "arn": arn}})

    task = "0123456789abcdef0123456789abcdef"
    for name in names:
        assert by(f"{name}/{task}") == ["Reads"]
        assert by(f"{name}/mallory") == ["Reads", "UnexpectedReads"]
    for other in (f"{PREFIX}-app-task/{task}", f"{PREFIX}-app-execution-2/{task}", f"my-{PREFIX}-app-execution/{task}"):
        assert by(other) == ["Reads", "UnexpectedReads"]


def many(count: int, **changes: Any) -> Subject:
    names = tuple(f"{PREFIX}-secret-{number:03}" for number in range(count))
    return replace(SUBJECT, secret_names=names, **changes)


@pytest.mark.parametrize("count", [1, 3, 10, 15, 40, 101, 300])
@pytest.mark.parametrize("own_trail", [True, False])
def test_every_pattern_keeps_awss_limits(count: int, own_trail: bool) -> None:  # noqa: FBT001 - a parameter of the test
    subject = many(count) if own_trail else replace(SHARED, secret_names=many(count).secret_names)
    filters = metric_filters(subject)
    fill = values(subject).fill
    assert len(filters) <= (100 if own_trail else 50)
    assert max(len(fill(one.template)) for one in filters) <= MAX_FILTER_CHARACTERS
    # AWS takes five filters with a regular expression in a log group, which others may have used up in a shared one.
    assert sum("%" in one.template for one in filters) == (1 if own_trail else 0)


def test_the_stacks_prefix_stands_for_its_names_only_where_these_need_too_many_filters() -> None:
    assert [len(metric_filters(many(count))) for count in (37, 38)] == [100, 36]
    shared = [replace(SHARED, secret_names=many(count).secret_names) for count in (8, 9)]
    assert [len(metric_filters(subject)) for subject in shared] == [48, 35]


@pytest.mark.parametrize("count", [3, 15, 40, 101, 300])
def test_split_or_by_prefix_every_secret_is_watched_by_every_spelling(count: int) -> None:
    subject = many(count)
    watching = audit(subject)
    read, deleted = record("reads: other role by name"), record("secrets: deletion by a role, by full ARN")
    arns = values(subject).secret_arns
    for name in (subject.secret_names[0], subject.secret_names[-1]):
        arn = arns[name]
        for spelling in (name, arn, arn.rpartition("-")[0], arn.replace(REGION, "eu-west-1")):
            named = {"requestParameters": {"secretId": spelling}}
            assert watching.counts({**read, **named}) == ["Reads", "UnexpectedReads"], spelling
            assert watching.fires({**deleted, **named}) == ["Tampering"], spelling
            text = (
                f"User: x is not authorized to perform: secretsmanager:GetSecretValue on resource: {spelling} because"
            )
            denied = {"errorCode": "AccessDenied", "errorMessage": text, "requestParameters": None}
            assert watching.fires({**read, **denied}) == ["DeniedReads"], spelling


def test_by_prefix_a_secret_with_another_name_is_still_watched_exactly() -> None:
    watching = audit(replace(many(300), secret_names=(*many(300).secret_names, "legacy/jwt")))
    read, deleted = record("reads: other role by name"), record("secrets: deletion by a role, by full ARN")
    for name, fired in (("legacy/jwt", True), ("legacy/jwt-2", False)):
        named = {"requestParameters": {"secretId": name}}
        assert watching.fires({**read, **named}) == (["Reads", "UnexpectedReads"] if fired else [])
        assert watching.fires({**deleted, **named}) == (["Tampering"] if fired else [])


def test_many_trusted_readers_are_split_off_as_far_as_they_fit() -> None:
    watching = audit(
        replace(SUBJECT, trusted_readers=tuple(LOCATION.role_arn(f"auditor-{number}") for number in range(4)))
    )
    read = record("reads: other role by name")
    for number in range(4):
        identity = {"type": "AssumedRole", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/auditor-{number}/me"}
        assert watching.fires({**read, "userIdentity": identity}) == ["Reads"]


def test_too_many_principals_are_refused_with_the_keys_to_change() -> None:
    crowd = tuple(LOCATION.role_arn(f"auditor-{number}") for number in range(30))
    with pytest.raises(PatternTooLongError, match=r"UnexpectedReads.*trustedReaders"):
        metric_filters(replace(SUBJECT, trusted_readers=crowd))


@given(
    names=st.sets(st.text("abcXYZ019/_+=.@-", min_size=1, max_size=120), min_size=1, max_size=25),
    asked=st.integers(0, 24),
    spelling=st.sampled_from(["name", "partial", "full"]),
)
@settings(max_examples=60, deadline=None)
def test_any_set_of_names_is_matched_exactly_once(names: set[str], asked: int, spelling: str) -> None:
    subject = replace(SUBJECT, secret_names=tuple(sorted(f"{PREFIX}-{name}" for name in names)))
    known = values(subject)
    name = subject.secret_names[asked % len(names)]
    arn = known.secret_arns[name]
    secret_id = {"name": name, "partial": arn[:-7], "full": arn}[spelling]
    event = {"eventName": "GetSecretValue", "requestParameters": {"secretId": secret_id}}
    filters = [one for one in metric_filters(subject) if one.metric is Metric.READS]
    matching = [one for one in filters if filter_matches(known.fill(one.template), event)]
    # One name may be another's with a hyphen and six characters: then a spelling means both.
    if not any(other.startswith(f"{name}-") or name.startswith(f"{other}-") for other in subject.secret_names):
        assert len(matching) == 1
