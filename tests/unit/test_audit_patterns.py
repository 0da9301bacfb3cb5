"""Each alarm and notice fires for exactly the CloudTrail records that it should."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components._audit_patterns import (
    MAX_FILTER_CHARACTERS,
    MAX_FILTERS,
    MAX_RULE_CHARACTERS,
    Metric,
    Notice,
    PatternTooLongError,
    Subject,
    Values,
    event_patterns,
    message,
    metric_filters,
)
from model.location import Location
from tests.unit.pattern_evaluator import filter_matches, rule_matches

CORPUS = Path(__file__).parent / "corpus" / "cloudtrail"
ACCOUNT, REGION, PREFIX = "111122223333", "eu-central-1", "service-ticket-system-prod"
LOCATION = Location("aws", REGION, ACCOUNT)
SUFFIXES = {"db-master-password": "Ab1Cd2", "jwt-secret": "Ef3Gh4", "app-config": "Ij5Kl6"}
SUBJECT = Subject(
    location=LOCATION,
    prefix=f"{PREFIX}-",
    secret_names=tuple(f"{PREFIX}-{name}" for name in SUFFIXES),
    execution_role=LOCATION.role_arn(f"{PREFIX}-execution"),
    rotation_role=LOCATION.role_arn(f"{PREFIX}-rotation"),
    deployers=(LOCATION.role_arn("ci/deployer"), f"arn:aws:iam::{ACCOUNT}:user/platform/alice"),
    trusted_readers=(LOCATION.role_arn("security-auditor"), f"arn:aws:iam::{ACCOUNT}:user/backup"),
    has_key=True,
    trail_name=PREFIX,
    log_group_name=f"/aws/cloudtrail/{PREFIX}",
)
SHARED = replace(SUBJECT, trail_name=None, log_group_name="organisation-trail")


def values(subject: Subject) -> Values:
    suffixes = {f"{PREFIX}-{name}": suffix for name, suffix in SUFFIXES.items()}
    return Values(
        secret_arns={
            name: subject.secret_arn(f"{name}-{suffixes.get(name, 'Yz1234')}") for name in subject.secret_names
        },
        kms_key_arn=LOCATION.arn("kms", "key/1234abcd-12ab-34cd-56ef-1234567890ab"),
    )


def cases() -> Iterator[Any]:
    for file in sorted(CORPUS.glob("*.json")):
        for case in json.loads(file.read_text()):
            yield pytest.param(case["event"], case["fires"], id=f"{file.stem}: {case['case']}")


def fires(subject: Subject, record: Mapping[str, Any]) -> list[str]:
    """What a record counts for, once for every filter or rule that it matches."""
    fill = values(subject).fill
    found = [str(one.metric) for one in metric_filters(subject) if filter_matches(fill(one.template), record)]
    # Rules see the events of their own Region.
    if record["awsRegion"] == REGION:
        found += [
            f"notice:{one.notice}"
            for one in event_patterns(subject)
            if rule_matches(json.loads(fill(one.template)), event_of(record))
        ]
    return sorted(found)


def event_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as EventBridge gets it."""
    kind = {"AwsApiCall": "AWS API Call", "AwsServiceEvent": "AWS Service Event"}[record["eventType"]]
    return {
        "version": "0",
        "id": record["eventID"],
        "detail-type": f"{kind} via CloudTrail",
        "source": f"aws.{record['eventSource'].partition('.')[0]}",
        "account": record["recipientAccountId"],
        "time": record["eventTime"],
        "region": record["awsRegion"],
        "resources": [],
        "detail": record,
    }


@pytest.mark.parametrize(("record", "expected"), cases())
def test_a_record_fires_exactly_what_it_should(record: Mapping[str, Any], expected: list[str]) -> None:
    assert fires(SUBJECT, record) == sorted(expected)


@pytest.mark.parametrize(("record", "expected"), cases())
def test_the_same_with_other_accounts_records_in_an_organisations_log_group(
    record: Mapping[str, Any], expected: list[str]
) -> None:
    others = dict(record) | {"recipientAccountId": "999988887777"}
    metrics = {str(metric) for metric in Metric} - {Metric.FAILED_ROTATIONS}
    assert not metrics.intersection(fires(SHARED, others))
    own = [fire for fire in expected if not fire.startswith("notice")]
    about_the_trail = record["eventSource"] in ("cloudtrail.amazonaws.com", "logs.amazonaws.com")
    assert [fire for fire in fires(SHARED, record) if not fire.startswith("notice")] == ([] if about_the_trail else own)


def test_the_corpus_is_large_and_fires_everything() -> None:
    corpus = [case.values for case in cases()]
    assert len(corpus) >= 40
    counted = Counter(fire for _, expected in corpus for fire in expected)
    everything = {*map(str, Metric), *(f"notice:{notice}" for notice in Notice)}
    assert set(counted) == everything
    assert min(counted.values()) >= 3
    assert sum(not expected for _, expected in corpus) >= 20


def test_without_rotation_role_key_trusted_readers_and_deployers_everybody_else_is_unexpected() -> None:
    bare = replace(SUBJECT, rotation_role=None, deployers=(), trusted_readers=(), has_key=False)
    by_case = {case.id: case.values[0] for case in cases()}
    assert fires(bare, by_case["reads: execution role by full ARN"]) == ["Reads"]
    for reader in ("rotation function, pending version", "deployer, a user", "trusted role by partial ARN"):
        assert fires(bare, by_case[f"reads: {reader}"]) == ["Reads", "UnexpectedReads"]
    assert fires(bare, by_case["tampering: deletion by the deployer"]) == ["Tampering", "notice:secret"]
    assert fires(bare, by_case["tampering: key disabled by id"]) == []


def many(count: int, **changes: Any) -> Subject:
    names = tuple(f"{PREFIX}-secret-{number:03}" for number in range(count))
    return replace(SUBJECT, secret_names=names, **changes)


@pytest.mark.parametrize("count", [1, 3, 10, 15, 40, 101, 300])
@pytest.mark.parametrize("trail_name", [PREFIX, None])
def test_every_pattern_keeps_awss_limits(count: int, trail_name: str | None) -> None:
    subject = many(count, trail_name=trail_name)
    filters, rules = metric_filters(subject), event_patterns(subject)
    fill = values(subject).fill
    assert len(filters) <= MAX_FILTERS["create" if trail_name else "existing"]
    assert max(len(fill(one.template)) for one in filters) <= MAX_FILTER_CHARACTERS
    assert max(len(fill(one.template)) for one in rules) <= MAX_RULE_CHARACTERS
    assert len(rules) <= 100


@pytest.mark.parametrize("count", [3, 15, 40, 101, 300])
def test_split_or_by_prefix_every_secret_is_watched_once_by_every_spelling(count: int) -> None:
    subject = many(count)
    denied = next(case.values[0] for case in cases() if case.id == "denied: other role by name")
    arns = values(subject).secret_arns
    for name in (subject.secret_names[0], subject.secret_names[-1]):
        for spelling in (name, arns[name], arns[name].rpartition("-")[0]):
            record = {**denied, "requestParameters": {"secretId": spelling}}
            assert fires(subject, record) == ["DeniedReads"], spelling
            tampering = {**record, "eventName": "DeleteSecret", "errorCode": None}
            assert fires(subject, tampering) == ["Tampering", "notice:secret"], spelling


def test_by_prefix_a_secret_with_another_name_is_still_watched_exactly() -> None:
    subject = replace(many(300), secret_names=(*many(300).secret_names, "legacy/jwt"))
    denied = next(case.values[0] for case in cases() if case.id == "denied: other role by name")
    assert fires(subject, {**denied, "requestParameters": {"secretId": "legacy/jwt"}}) == ["DeniedReads"]
    assert fires(subject, {**denied, "requestParameters": {"secretId": "legacy/jwt-2"}}) == []


def test_many_trusted_readers_are_split_off_as_far_as_they_fit() -> None:
    readers = tuple(LOCATION.role_arn(f"auditor-{number}") for number in range(4))
    subject = replace(SUBJECT, trusted_readers=readers)
    assert len(metric_filters(subject)) > len(metric_filters(SUBJECT)) - 2
    read = next(case.values[0] for case in cases() if case.id == "reads: other role by name")
    for number in range(4):
        identity = {"type": "AssumedRole", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/auditor-{number}/me"}
        assert fires(subject, {**read, "userIdentity": identity}) == ["Reads"]


def test_too_many_principals_are_refused_with_the_keys_to_change() -> None:
    crowd = tuple(LOCATION.role_arn(f"auditor-{number}") for number in range(30))
    with pytest.raises(PatternTooLongError, match=r"UnexpectedReads.*trustedReaders"):
        metric_filters(replace(SUBJECT, trusted_readers=crowd))
    with pytest.raises(PatternTooLongError, match="deployerRoles"):
        event_patterns(replace(SUBJECT, deployers=crowd + crowd))


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
    record = {"eventName": "GetSecretValue", "requestParameters": {"secretId": secret_id}}
    filters = [one for one in metric_filters(subject) if one.metric is Metric.READS]
    matching = [one for one in filters if filter_matches(known.fill(one.template), record)]
    # One name may be another's with a hyphen and six characters: then a spelling means both.
    if not any(other.startswith(f"{name}-") or name.startswith(f"{other}-") for other in subject.secret_names):
        assert len(matching) == 1


def test_a_notice_says_who_did_what_when_and_from_where() -> None:
    record = next(case.values[0] for case in cases() if case.id == "tampering: deletion that was denied")
    assert rendered(message(Notice.SECRET, PREFIX), event_of(record)) == (
        f"{PREFIX}: DeleteSecret on the secret arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{PREFIX}-jwt-secret-Ef3Gh4 "
        f"by arn:aws:sts::{ACCOUNT}:assumed-role/developer/carol@example.com (AssumedRole, account {ACCOUNT}) "
        f"from 198.51.100.7 at {record['eventTime']} in {REGION}. This is no deployer. What to do: docs/security.md. "
        f"Error, if it failed: AccessDeniedException. CloudTrail event {record['eventID']}."
    )


@pytest.mark.parametrize("notice", Notice)
def test_every_notice_names_what_it_is_about(notice: Notice) -> None:
    told = 0
    for case in cases():
        record, expected = case.values
        if f"notice:{notice}" in expected:
            text = rendered(message(notice, PREFIX), event_of(record))
            parameters = {**(record["requestParameters"] or {}), **record.get("additionalEventData", {})}
            parameters |= record.get("serviceEventDetails", {})
            subject = next(
                parameters[key] for key in ("secretId", "SecretId", "keyId", "name", "trailName") if key in parameters
            )
            assert f" {subject} " in text
            assert record["eventName"] in text
            assert "<" not in text
            told += 1
    assert told >= 3


def rendered(sent: Any, event: Mapping[str, Any]) -> str:
    """What the input transformer makes of an event."""
    text = json.loads(sent.template)
    for name, path in sent.paths.items():
        value: Any = event
        for key in path.removeprefix("$.").split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        text = text.replace(f"<{name}>", "" if value is None else str(value))
    return text
