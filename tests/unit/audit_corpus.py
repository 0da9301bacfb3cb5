"""The corpus of CloudTrail records, and what the audit makes of a record."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from components._audit_patterns import Values, metric_filters
from components._audit_watched import PulumiState, Subject
from components.location import Location
from tests.unit.pattern_evaluator import filter_matches

CORPUS = Path(__file__).parent / "corpus" / "cloudtrail"

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
    boundary_arn=f"arn:aws:iam::{ACCOUNT}:policy/service-ticket-system-boundary",
    state=PulumiState(
        bucket_name=f"service-ticket-system-state-{ACCOUNT}-{REGION}",
        key_arn=LOCATION.arn("kms", "key/99999999-12ab-34cd-56ef-1234567890ab"),
        key_alias="alias/service-ticket-system-config",
        readers=(LOCATION.role_arn("service-ticket-system-previewer"), LOCATION.role_arn("platform/Writer")),
    ),
)
SHARED = replace(SUBJECT, trail_name=None, bucket_name=None, log_group_name="organisation-trail")


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


class Audit:
    """The filters of one subject, made once."""

    def __init__(self, subject: Subject) -> None:
        self.filters = filters(subject)

    def counts(self, record: Mapping[str, Any]) -> list[str]:
        """The metrics that the record counts for, once for every filter that matches it."""
        return [metric for metric, pattern in self.filters if filter_matches(pattern, record)]

    def fires(self, record: Mapping[str, Any]) -> list[str]:
        """The metrics that the record counts for."""
        return sorted({*self.counts(record)})
