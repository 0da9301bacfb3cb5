"""The `Audit` component under recording mocks."""

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pytest

from components._audit_watched import filters_of
from components.audit import Audit, AuditArgs
from components.location import Location
from components.secret import Secret
from tests.unit.conftest import UNKNOWN, Recorder, Recording

PREFIX = "service-ticket-system-prod"
LOCATION = Location("aws", "eu-central-1", "111122223333")
KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ARGS: AuditArgs = {
    "secrets": (),
    "execution_role_arns": [LOCATION.role_arn(f"{PREFIX}-app-execution")],
    "rotation_role_arn": LOCATION.role_arn(f"{PREFIX}-rotation"),
    "deployer_arns": [LOCATION.role_arn("deployer")],
    "trusted_reader_arns": [LOCATION.role_arn("security-auditor")],
    "ecs_services": ["tickets/app"],
    "alarm_emails": ["security@example.com", "oncall@example.com"],
    "expected_reads_per_hour": 40,
    "log_retention_in_days": 90,
    "kms_key_arn": KEY_ARN,
    "location": LOCATION,
}

FILTER = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
TOPIC = "aws:sns/topic:Topic"
TRAIL = "aws:cloudtrail/trail:Trail"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"


def program(**changes: Any) -> Callable[[], None]:
    def run() -> None:
        args: dict[str, Any] = {**ARGS, "secrets": [], **changes}
        for name in ("db-master-password", "jwt-secret", "app-config"):
            full_name = f"{PREFIX}-{name}"
            arn = aws.secretsmanager.Secret(name, name=full_name).arn
            args["secrets"].append(Secret(name, full_name, arn, LOCATION.region))
        pulumi.export("topic", Audit("audit", cast("AuditArgs", args)).topic_arn)

    return run


@pytest.fixture(scope="module")
def recording(record: Recorder) -> Recording:
    return record(program(), stack="prod")


def test_the_bucket_keeps_files_as_long_as_the_log_group_when_that_is_longer(record: Recorder) -> None:
    recording = record(program(log_retention_in_days=731), stack="prod")
    (lifecycle,) = (one for one in recording if one.type.endswith(":BucketLifecycleConfiguration"))
    assert lifecycle.inputs["rules"][0]["expiration"]["days"] == 731


def test_an_alarm_says_how_many_filters_feed_it(recording: Recording) -> None:
    fed = Counter(one.inputs["metricTransformation"]["name"] for one in recording.of(FILTER))
    alarms = {one.inputs["metricName"]: one.inputs["alarmDescription"] for one in recording.of(ALARM)}
    assert {metric: filters_of(description) for metric, description in alarms.items()} == fed
    assert filters_of("no number") == 1


def test_a_first_preview_shows_the_same_resources(record: Recorder) -> None:
    preview = record(program(), stack="prod", preview=True)
    assert preview.names() == record(program(), stack="prod").names()
    assert UNKNOWN in [one.inputs["pattern"] for one in preview.of(FILTER)]


def test_without_a_key_nothing_asks_for_one(record: Recorder) -> None:
    recording = record(program(kms_key_arn=None), stack="prod")
    for type_ in (TOPIC, LOG_GROUP, TRAIL):
        assert not {"kmsMasterKeyId", "kmsKeyId"} & set(recording.one(type_).inputs)
    assert not [one for one in recording.of(FILTER) if "keyId" in one.inputs["pattern"]]


def test_an_existing_trail_makes_no_second_one(record: Recorder) -> None:
    recording = record(program(existing_log_group_name="organisation-trail"), stack="prod")
    assert not recording.of(TRAIL)
    assert not recording.of(LOG_GROUP)
    assert not [one for one in recording if one.type.startswith(("aws:s3/", "aws:iam/"))]
    assert {one.inputs["logGroupName"] for one in recording.of(FILTER)} == {"organisation-trail"}
    assert len(recording.of(ALARM)) == 5


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"deployer_arns": ["deployer"]}, "deployer_arns"),
        ({"alarm_emails": ["nobody"]}, "alarm_emails"),
        ({"existing_log_group_name": "a group"}, "existing_log_group_name"),
        ({"expected_reads_per_hour": 0}, "expected_reads_per_hour"),
        ({"log_retention_in_days": 91}, "log_retention_in_days"),
        ({"ecs_services": ["app"]}, "CLUSTER/SERVICE"),
    ],
)
def test_what_aws_would_refuse_is_refused(record: Recorder, changes: dict[str, Any], found: str) -> None:
    with pytest.raises(pulumi.RunError, match=found.split(maxsplit=1)[0]):
        record(program(**changes), stack="prod")


STATE: dict[str, Any] = {
    "state_bucket_name": "service-ticket-system-state-111122223333-eu-central-1",
    "state_key_arn": KEY_ARN.replace("1234abcd", "99999999"),
    "state_key_alias": "alias/service-ticket-system-config",
}


def test_pulumis_state_is_watched_where_it_is_named(record: Recorder, recording: Recording) -> None:
    watching = record(program(**STATE))
    (selector,) = watching.one(TRAIL).inputs["eventSelectors"]
    assert selector == {
        "readWriteType": "All",
        "includeManagementEvents": True,
        "dataResources": [{"type": "AWS::S3::Object", "values": [f"arn:aws:s3:::{STATE['state_bucket_name']}/"]}],
    }
    assert "eventSelectors" not in recording.one(TRAIL).inputs
    about = [one for one in watching.of(FILTER) if STATE["state_bucket_name"] in one.inputs["pattern"]]
    metrics = {one.inputs["metricTransformation"]["name"] for one in about}
    assert metrics == {"UnexpectedReads", "DeniedReads", "Tampering"}
    # The alarms are the same: it costs data events alone.
    assert len(watching.of(ALARM)) == len(recording.of(ALARM))


@pytest.mark.parametrize("missing", ["state_key_arn", "state_key_alias"])
def test_the_state_needs_its_key(record: Recorder, missing: str) -> None:
    given = {key: value for key, value in STATE.items() if key != missing}
    with pytest.raises(pulumi.RunError, match=f"{missing} +is missing"):
        record(program(**given))
