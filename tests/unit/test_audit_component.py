"""The `Audit` component under recording mocks."""

from collections.abc import Callable
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pytest

from components.audit import Audit, AuditArgs
from components.location import Location
from components.secret import Secret
from tests.unit.conftest import UNKNOWN, Recorder, Recording

PREFIX = "service-ticket-system-prod"
LOCATION = Location("aws", "eu-central-1", "111122223333")
KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TOPIC_ARN = f"arn:aws:sns:eu-central-1:111122223333:{PREFIX}-alarms"
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
TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
TRAIL = "aws:cloudtrail/trail:Trail"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
SECRET = "aws:secretsmanager/secret:Secret"


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


def test_what_it_registers(recording: Recording) -> None:
    assert recording.count() == {
        DASHBOARD: 1,
        LOG_GROUP: 1,
        FILTER: 31,
        ALARM: 5,
        TRAIL: 1,
        "aws:iam/role:Role": 1,
        "aws:iam/rolePolicy:RolePolicy": 1,
        "aws:s3/bucket:Bucket": 1,
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": 1,
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls": 1,
        "aws:s3/bucketPolicy:BucketPolicy": 1,
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": 1,
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": 1,
        "aws:s3/bucketVersioning:BucketVersioning": 1,
        SECRET: 3,
        TOPIC: 1,
        TOPIC_POLICY: 1,
        SUBSCRIPTION: 2,
        "ecs-secrets:index:Audit": 1,
    }


def test_everything_is_the_components_child_and_named_after_it(recording: Recording) -> None:
    parts = [one for one in recording if one.type not in (SECRET, "ecs-secrets:index:Audit")]
    assert {one.options.parent for one in parts} == {"audit"}
    assert all(one.name == "audit" or one.name.startswith("audit-") for one in parts)
    assert not any(one.options.protect or one.options.ignore_changes or one.options.provider for one in parts)


def test_the_trail_records_every_region_and_proves_its_files(recording: Recording) -> None:
    trail = recording.one(TRAIL)
    assert trail.inputs == {
        "name": PREFIX,
        "s3BucketName": f"{PREFIX}-trail-111122223333-eu-central-1",
        "cloudWatchLogsGroupArn": (f"arn:aws:logs:eu-central-1:111122223333:log-group:/aws/cloudtrail/{PREFIX}:*"),
        "cloudWatchLogsRoleArn": f"arn:aws:iam::111122223333:role/{PREFIX}-trail",
        "isMultiRegionTrail": True,
        "includeGlobalServiceEvents": True,
        "enableLogFileValidation": True,
        "kmsKeyId": KEY_ARN,
    }


def test_the_trail_waits_for_the_policies_that_cloudtrail_tries(recording: Recording) -> None:
    assert recording.one(TRAIL).options.property_dependencies == {
        "s3BucketName": {"audit-log-files"},
        "cloudWatchLogsGroupArn": {"audit-events"},
        "cloudWatchLogsRoleArn": {"audit-trail", "audit-write-events"},
    }


def test_the_log_group_keeps_events_as_long_as_asked_under_the_stacks_key(recording: Recording) -> None:
    assert recording.one(LOG_GROUP).inputs == {
        "name": f"/aws/cloudtrail/{PREFIX}",
        "retentionInDays": 90,
        "kmsKeyId": KEY_ARN,
    }


def test_the_bucket_is_private_versioned_and_expires(recording: Recording) -> None:
    def inputs(kind: str) -> dict[str, Any]:
        (found,) = (one for one in recording if one.type.endswith(f":{kind}"))
        return {key: value for key, value in found.inputs.items() if key != "bucket"}

    assert inputs("Bucket") == {"forceDestroy": False}
    assert inputs("BucketPublicAccessBlock") == {
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }
    assert inputs("BucketVersioning") == {"versioningConfiguration": {"status": "Enabled"}}
    assert inputs("BucketOwnershipControls") == {"rule": {"objectOwnership": "BucketOwnerEnforced"}}
    (rule,) = inputs("BucketLifecycleConfiguration")["rules"]
    assert (rule["status"], rule["expiration"]["days"], rule["noncurrentVersionExpiration"]["noncurrentDays"]) == (
        "Enabled",
        365,
        30,
    )


def test_the_bucket_keeps_files_as_long_as_the_log_group_when_that_is_longer(record: Recorder) -> None:
    recording = record(program(log_retention_in_days=731), stack="prod")
    (lifecycle,) = (one for one in recording if one.type.endswith(":BucketLifecycleConfiguration"))
    assert lifecycle.inputs["rules"][0]["expiration"]["days"] == 731


def test_log_files_go_with_the_stack_only_when_asked(record: Recorder) -> None:
    assert (
        record(program(keep_log_files=False), stack="prod").one("aws:s3/bucket:Bucket").inputs["forceDestroy"] is True
    )


def test_filters_count_into_the_metrics_that_the_alarms_watch(recording: Recording) -> None:
    counted = [one.inputs["metricTransformation"] for one in recording.of(FILTER)]
    assert {(one["namespace"], one["value"]) for one in counted} == {(PREFIX, "1")}
    watched = {(one.inputs["namespace"], one.inputs["metricName"]) for one in recording.of(ALARM)}
    assert watched == {(PREFIX, one["name"]) for one in counted}
    assert {one.inputs["logGroupName"] for one in recording.of(FILTER)} == {f"/aws/cloudtrail/{PREFIX}"}
    assert len({one.inputs["name"] for one in recording.of(FILTER)}) == 31


def test_patterns_have_the_secrets_arns(recording: Recording) -> None:
    patterns = [one.inputs["pattern"] for one in recording.of(FILTER)]
    assert not any("<" in pattern for pattern in patterns)
    assert any(f":111122223333:secret:{PREFIX}-jwt-secret-AbCdEf" in pattern for pattern in patterns)
    assert any("1234abcd-12ab-34cd-56ef-1234567890ab" in pattern for pattern in patterns)


def test_a_first_preview_shows_the_same_resources(record: Recorder) -> None:
    preview = record(program(), stack="prod", preview=True)
    assert preview.names() == record(program(), stack="prod").names()
    assert UNKNOWN in [one.inputs["pattern"] for one in preview.of(FILTER)]


def test_alarms_tell_the_topic_and_are_silent_without_data(recording: Recording) -> None:
    for alarm in recording.of(ALARM):
        assert alarm.inputs["alarmActions"] == [TOPIC_ARN]
        assert alarm.inputs["treatMissingData"] == "notBreaching"
        assert alarm.inputs["comparisonOperator"] == "GreaterThanThreshold"
        assert alarm.inputs["evaluationPeriods"] == 1
        assert alarm.inputs["alarmDescription"].startswith(f"{PREFIX}: ")
    limits = {
        one.inputs["name"]: (one.inputs["period"], one.inputs["statistic"], one.inputs["threshold"])
        for one in recording.of(ALARM)
    }
    assert limits == {
        f"{PREFIX}-reads": (3600, "Sum", 40),
        # A sum can be brought to nothing by whoever may put a metric's value.
        f"{PREFIX}-unexpected-reads": (300, "Maximum", 0),
        f"{PREFIX}-denied-reads": (300, "Maximum", 0),
        f"{PREFIX}-tampering": (300, "Maximum", 0),
        f"{PREFIX}-failed-rotations": (300, "Maximum", 0),
    }


def test_the_topic_is_encrypted_with_the_stacks_key_and_has_its_policy(recording: Recording) -> None:
    assert recording.one(TOPIC).inputs == {"name": f"{PREFIX}-alarms", "kmsMasterKeyId": KEY_ARN}
    assert recording.one(TOPIC_POLICY).inputs["arn"] == TOPIC_ARN


def test_each_address_gets_a_subscription(recording: Recording) -> None:
    inputs = [one.inputs for one in recording.of(SUBSCRIPTION)]
    assert inputs == [
        {"topic": TOPIC_ARN, "protocol": "email", "endpoint": address}
        for address in ("security@example.com", "oncall@example.com")
    ]


def test_the_dashboard_shows_the_alarms(recording: Recording) -> None:
    dashboard = recording.one(DASHBOARD)
    assert dashboard.inputs["dashboardName"] == f"{PREFIX}-audit"
    (alarms,) = (one for one in dashboard.document("dashboardBody")["widgets"] if one["type"] == "alarm")
    assert len(alarms["properties"]["alarms"]) == 5


def test_it_exposes_the_topic(recording: Recording) -> None:
    assert recording.exports["topic"] == TOPIC_ARN
    assert recording.component_outputs["audit"] == {"topic_arn": TOPIC_ARN, "metric_count": 5}


def test_the_trails_role_is_cloudtrails_and_keeps_the_boundary(record: Recorder) -> None:
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    role = record(program(permissions_boundary=boundary), stack="prod").one("aws:iam/role:Role")
    assert role.inputs["permissionsBoundary"] == boundary
    (statement,) = role.document("assumeRolePolicy")["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }


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
