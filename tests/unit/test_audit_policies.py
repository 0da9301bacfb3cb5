"""The audit's names, resource policies and dashboard."""

import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components._audit_dashboard import dashboard_body
from components._audit_patterns import Metric
from components.location import Location
from components.names import AuditNames
from components.policies.trail import bucket_policy, topic_policy, write_events

LOCATION = Location("aws", "eu-central-1", "111122223333")
NAMES = AuditNames("service-ticket-system-prod", LOCATION)
CHINA = AuditNames("app-prod", Location("aws-cn", "cn-north-1", "111122223333"))
TRAIL = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/service-ticket-system-prod"
TOPIC = "arn:aws:sns:eu-central-1:111122223333:service-ticket-system-prod-alarms"


def statements(policy: str) -> dict[str, Any]:
    return {statement["Sid"]: statement for statement in json.loads(policy)["Statement"]}


def test_names() -> None:
    assert (NAMES.trail_arn, NAMES.topic_arn) == (TRAIL, TOPIC)
    assert NAMES.log_group == "/aws/cloudtrail/service-ticket-system-prod"
    assert NAMES.bucket == "service-ticket-system-prod-trail-111122223333-eu-central-1"
    assert (NAMES.role, NAMES.dashboard) == ("service-ticket-system-prod-trail", "service-ticket-system-prod-audit")


@given(prefix=st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,120}-[A-Za-z0-9._-]{1,100}", fullmatch=True))
def test_any_project_and_stack_give_names_that_aws_takes(prefix: str) -> None:
    names = AuditNames(prefix, Location("aws", "ap-southeast-1", "111122223333"))
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", names.bucket)
    assert names.bucket.endswith("-trail-111122223333-ap-southeast-1")
    assert re.fullmatch(r"[\w+=,.@-]{1,64}", names.role)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", names.dashboard)


def test_long_names_that_start_alike_stay_apart() -> None:
    start = "a-very-long-project-name-that-leaves-no-room-for-more"
    names = [AuditNames(f"{start}-{stack}", LOCATION) for stack in ("dev", "prod")]
    assert names[0].bucket != names[1].bucket
    digest = hashlib.sha256(f"{start}-dev".encode()).hexdigest()[:8]
    ending = f"-trail-{LOCATION.account_id}-{LOCATION.region}"
    assert names[0].bucket == f"{start[: 63 - 9 - len(ending)]}-{digest}{ending}"


def test_this_trail_alone_writes_to_the_bucket() -> None:
    policy = statements(bucket_policy(NAMES))
    bucket = f"arn:aws:s3:::{NAMES.bucket}"
    source = {"aws:SourceArn": TRAIL, "aws:SourceAccount": "111122223333"}
    cloudtrail = {"Service": "cloudtrail.amazonaws.com"}
    assert policy["CheckAcl"] == {
        "Sid": "CheckAcl", "Effect": "Allow", "Principal": cloudtrail, "Action": "s3:GetBucketAcl", "Resource": bucket,
        "Condition": {"StringEquals": source},
    }  # fmt: skip
    assert policy["WriteLogFiles"] == {
        "Sid": "WriteLogFiles", "Effect": "Allow", "Principal": cloudtrail, "Action": "s3:PutObject",
        "Resource": f"{bucket}/AWSLogs/111122223333/*",
        "Condition": {"StringEquals": {**source, "s3:x-amz-acl": "bucket-owner-full-control"}},
    }  # fmt: skip
    assert policy["TlsOnly"]["Effect"] == "Deny"
    assert policy["TlsOnly"]["Resource"] == [bucket, f"{bucket}/*"]
    assert policy["TlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(policy) == 3


def test_cloudtrail_writes_to_its_own_streams_only() -> None:
    statement = write_events(NAMES)
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"] == (
        "arn:aws:logs:eu-central-1:111122223333:log-group:/aws/cloudtrail/service-ticket-system-prod"
        ":log-stream:111122223333_CloudTrail_eu-central-1*"
    )


def test_alarms_and_eventbridge_publish_and_nobody_else() -> None:
    policy = statements(topic_policy(NAMES))
    assert policy["PublishAlarms"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert policy["PublishAlarms"]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "111122223333"},
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:*"},
    }
    # AWS takes no condition in a topic policy for EventBridge: the messages would be lost.
    assert policy["PublishNotices"]["Principal"] == {"Service": "events.amazonaws.com"}
    assert "Condition" not in policy["PublishNotices"]
    assert policy["NobodyElse"]["Effect"] == "Deny"
    assert policy["NobodyElse"]["Condition"] == {"Bool": {"aws:PrincipalIsAWSService": "false"}}
    assert policy["TlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert {statement["Action"] for statement in policy.values()} == {"sns:Publish"}
    assert {statement["Resource"] for statement in policy.values()} == {TOPIC}
    assert len(policy) == 4


@pytest.mark.parametrize("policy", [bucket_policy(CHINA), topic_policy(CHINA), json.dumps(write_events(CHINA))])
def test_arns_follow_the_partition(policy: str) -> None:
    assert "arn:aws-cn:" in policy
    assert "arn:aws:" not in policy


def dashboard() -> list[dict[str, Any]]:
    body = dashboard_body(
        title="app-prod",
        region="eu-central-1",
        namespace="app-prod",
        log_group_name="/aws/cloudtrail/app-prod",
        secrets_start_with=["app-prod-", "legacy/jwt"],
        expected_reads_per_hour=50,
        alarm_arns=["arn:one", "arn:two"],
    )
    return json.loads(body)["widgets"]


def test_the_dashboard_shows_alarms_reads_denials_rotations_and_ages() -> None:
    by_title = {widget["properties"]["title"]: widget["properties"] for widget in dashboard()}
    assert by_title["Alarms of app-prod"]["alarms"] == ["arn:one", "arn:two"]
    assert "stats count(*) as reads by principal" in by_title["Reads by principal"]["query"]
    assert 'errorCode like "AccessDenied"' in by_title["Denied reads"]["query"]
    # requestParameters of a denied read is null.
    assert "errorMessage) as secret" in by_title["Denied reads"]["query"]
    assert 'eventName like "Rotation"' in by_title["Rotations"]["query"]
    assert (
        "stats max(@timestamp) as lastChange by secret"
        in by_title["Last change of each value, in the time shown"]["query"]
    )
    assert by_title["Reads an hour"]["metrics"] == [["app-prod", "Reads"]]
    assert by_title["Reads an hour"]["annotations"]["horizontal"][0]["value"] == 50
    drawn = {metric for widget in by_title.values() for _, metric in widget.get("metrics", [])}
    assert drawn == set(map(str, Metric))


def test_queries_read_the_trails_log_group_and_this_stacks_secrets_only() -> None:
    for widget in dashboard():
        if widget["type"] == "log":
            query = widget["properties"]["query"]
            assert query.startswith("SOURCE '/aws/cloudtrail/app-prod' | fields ")
            assert '| filter secret like "app-prod-" or secret like "legacy/jwt" |' in query


def test_no_widget_covers_another() -> None:
    cells = [
        (x, y)
        for widget in dashboard()
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
