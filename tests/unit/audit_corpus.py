"""The corpus of CloudTrail records, and what the audit makes of a record."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from components._audit_patterns import Values, event_patterns, metric_filters
from components._audit_watched import Subject
from components.location import Location
from tests.unit.pattern_evaluator import filter_matches, rule_matches

CORPUS = Path(__file__).parent / "corpus" / "cloudtrail"
RECORDED = CORPUS.parent / "event-ruler.json"
"""What AWS's Event Ruler says; made by `make event-ruler`."""

ACCOUNT, REGION, PREFIX = "111122223333", "eu-central-1", "service-ticket-system-prod"
LOCATION = Location("aws", REGION, ACCOUNT)
SUFFIXES = {"db-master-password": "Ab1Cd2", "jwt-secret": "Ef3Gh4", "app-config": "Ij5Kl6"}
SUBJECT = Subject(
    location=LOCATION,
    prefix=PREFIX,
    secret_names=tuple(f"{PREFIX}-{name}" for name in SUFFIXES),
    execution_roles=(LOCATION.role_arn(f"{PREFIX}-execution"),),
    rotation_role=LOCATION.role_arn(f"{PREFIX}-rotation"),
    deployers=(LOCATION.role_arn("ci/deployer"), f"arn:aws:iam::{ACCOUNT}:user/platform/alice"),
    trusted_readers=(LOCATION.role_arn("security-auditor"), f"arn:aws:iam::{ACCOUNT}:user/backup"),
    has_key=True,
    trail_name=PREFIX,
    log_group_name=f"/aws/cloudtrail/{PREFIX}",
    bucket_name=f"{PREFIX}-trail-{ACCOUNT}-{REGION}",
    topic_arn=LOCATION.arn("sns", f"{PREFIX}-alarms"),
    ecs_services=(("tickets", "app"),),
)
SHARED = replace(SUBJECT, trail_name=None, bucket_name=None, log_group_name="organisation-trail")

EXAMPLE: dict[str, Any] = {
    "source": "aws.ec2",
    "detail": {"state": "running", "size": 5, "tags": ["a", "b"], "flag": True, "nothing": None, "who": {"arn": "x:y"}},
}
"""An event for the operators that AWS documents."""

DOCUMENTED: tuple[tuple[dict[str, Any], bool], ...] = (
    ({"source": ["aws.ec2"]}, True),
    ({"source": ["aws.s3", "aws.ec2"]}, True),
    ({"source": ["AWS.EC2"]}, False),
    ({"detail": {"state": ["running"], "size": [6]}}, False),
    ({"detail": {"state": [{"prefix": "run"}]}}, True),
    ({"detail": {"state": [{"suffix": "ing"}]}}, True),
    ({"detail": {"state": [{"wildcard": "r*g"}]}}, True),
    ({"detail": {"state": [{"wildcard": "*unn*"}]}}, True),
    ({"detail": {"state": [{"anything-but": ["stopped"]}]}}, True),
    ({"detail": {"state": [{"anything-but": "running"}]}}, False),
    ({"detail": {"state": [{"anything-but": {"prefix": "run"}}]}}, False),
    ({"detail": {"state": [{"anything-but": {"prefix": ["stop", "run"]}}]}}, False),
    ({"detail": {"state": [{"anything-but": {"prefix": ["stop", "pend"]}}]}}, True),
    ({"detail": {"missing": [{"anything-but": ["x"]}]}}, False),
    ({"detail": {"missing": [{"exists": False}]}}, True),
    ({"detail": {"missing": [{"anything-but": ["x"]}, {"exists": False}]}}, True),
    ({"detail": {"absent": {"deeper": [{"exists": False}]}}}, True),
    ({"detail": {"who": {"arn": [{"exists": True}]}}}, True),
    ({"detail": {"who": [{"exists": True}]}}, False),
    ({"detail": {"tags": ["b"]}}, True),
    ({"detail": {"flag": [True]}}, True),
    ({"detail": {"flag": [False, {"exists": False}]}}, False),
    ({"detail": {"size": [True]}}, False),
    ({"detail": {"nothing": [None]}}, True),
    ({"detail": {"size": [{"numeric": [">", 4, "<=", 5]}]}}, True),
    ({"$or": [{"source": ["aws.s3"]}, {"detail": {"size": [5]}}]}, True),
    ({"detail": {"$or": [{"size": [6]}, {"state": ["stopped"]}]}}, False),
    ({"detail": {"state": ["running"], "$or": [{"size": [6]}, {"who": {"arn": [{"suffix": ":y"}]}}]}}, True),
)
"""Patterns with what AWS's documentation says of them. Source: AWS, "Comparison operators for use in event patterns"."""


def documented_patterns() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The documented patterns, each with the event that it is about."""
    return [(pattern, EXAMPLE) for pattern, _ in DOCUMENTED]


@cache
def cases() -> list[tuple[str, dict[str, Any], list[str]]]:
    """Name, record and what it fires."""
    return [
        (f"{file.stem}: {case['case']}", case["event"], case["fires"])
        for file in sorted(CORPUS.glob("*.json"))
        for case in json.loads(file.read_text())
    ]


def record(name: str) -> dict[str, Any]:
    """The record of that name."""
    return next(event for case, event, _ in cases() if case == name)


def digest() -> str:
    """What changes when a record does."""
    return hashlib.sha256(json.dumps([(name, event) for name, event, _ in cases()]).encode()).hexdigest()[:16]


def values(subject: Subject) -> Values:
    """What stands in the templates once everything exists."""
    suffixes = {f"{PREFIX}-{name}": suffix for name, suffix in SUFFIXES.items()}
    return Values(
        secret_arns={
            name: subject.secret_arn(f"{name}-{suffixes.get(name, 'Yz1234')}") for name in subject.secret_names
        },
        kms_key_arn=LOCATION.arn("kms", "key/1234abcd-12ab-34cd-56ef-1234567890ab"),
    )


def filters(subject: Subject) -> list[tuple[str, str]]:
    """Metric and pattern of each filter."""
    fill = values(subject).fill
    return [(str(one.metric), fill(one.template)) for one in metric_filters(subject)]


def rules(subject: Subject) -> list[tuple[str, dict[str, Any]]]:
    """Notice and pattern of each rule."""
    fill = values(subject).fill
    return [(f"notice:{one.notice}", json.loads(fill(one.template))) for one in event_patterns(subject)]


class Audit:
    """The filters and rules of one subject, made once."""

    def __init__(self, subject: Subject) -> None:
        self.filters, self.rules = filters(subject), rules(subject)

    def counts(self, record: Mapping[str, Any]) -> list[str]:
        """The metrics that the record counts for, once for every filter that matches it."""
        return [metric for metric, pattern in self.filters if filter_matches(pattern, record)]

    def fires(self, record: Mapping[str, Any]) -> list[str]:
        """Metrics and notices. Rules see the events of their own Region."""
        here = self.rules if record["awsRegion"] == REGION else []
        told = {notice for notice, pattern in here if rule_matches(pattern, event_of(record))}
        return sorted({*self.counts(record), *told})


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
