"""Every write of AWS's service models that names something watched, by any field: an alarm counts it, or docs/security.md does.

A new release of botocore may bring a call, or a field; then this fails until the call is watched or named.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from components._audit_patterns import Metric
from tests.unit.audit_corpus import ACCOUNT, LOCATION, PREFIX, REGION, SUBJECT, Audit, record, values

KEY_ID = (values(SUBJECT).kms_key_arn or "").rpartition("/")[2]
SECRET = f"{PREFIX}-jwt-secret"
ROLE = LOCATION.role_arn(f"{PREFIX}-execution")
TASK = LOCATION.arn("ecs", f"task-definition/{PREFIX}-app:7")
FUNCTION, MACHINE = (
    LOCATION.arn("lambda", f"function:{PREFIX}-rotation"),
    LOCATION.arn("states", f"stateMachine:{PREFIX}-app"),
)
GROUP = LOCATION.log_group_arn(SUBJECT.log_group_name)
TRAIL = LOCATION.arn("cloudtrail", f"trail/{PREFIX}")
ALARM, RULE = f"{PREFIX}-tampering", f"{PREFIX}-app-changed-1"

NAMED: Mapping[str, Mapping[str, str]] = {
    "secretsmanager": {"secretId": SECRET},
    "kms": {
        "keyId": KEY_ID,
        "targetKeyId": KEY_ID,
        "aliasName": f"alias/{PREFIX}",
        "sourceKeyId": KEY_ID,
        "destinationKeyId": KEY_ID,
    },
    "iam": {
        "roleName": f"{PREFIX}-execution",
        "policyArn": LOCATION.policy_arn(f"{PREFIX}-app-execution-read-1"),
        "userName": "alice",
        "sAMLProviderArn": f"arn:aws:iam::{ACCOUNT}:saml-provider/sso",
        "openIDConnectProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com",
    },
    "sts": {"roleArn": ROLE},
    "lambda": {"functionName": f"{PREFIX}-rotation", "resource": FUNCTION, "resourceArn": FUNCTION, "role": ROLE},
    "ecs": {
        "executionRoleArn": ROLE,
        "taskRoleArn": ROLE,
        "role": ROLE,
        "overrides.executionRoleArn": ROLE,
        "overrides.taskRoleArn": ROLE,
        "family": f"{PREFIX}-app",
        "taskDefinition": TASK,
        "taskDefinitionArn": TASK,
        "taskDefinitions[]": TASK,
        "resourceArn": TASK,
    },
    "stepfunctions": {
        "stateMachineArn": MACHINE,
        "stateMachineAliasArn": f"{MACHINE}:a",
        "stateMachineVersionArn": f"{MACHINE}:1",
        "resourceArn": MACHINE,
        "executionArn": MACHINE.replace("stateMachine", "execution") + ":x",
        "roleArn": ROLE,
    },
    "events": {
        "rule": RULE,
        "resourceARN": LOCATION.arn("events", f"rule/{RULE}"),
        "targets[].roleArn": ROLE,
        "roleArn": ROLE,
        "targets[].ecsParameters.taskDefinitionArn": TASK,
    },
    "cloudwatch": {
        "alarmName": ALARM,
        "alarmNames[]": ALARM,
        "muteTargets.alarmNames[]": ALARM,
        "resourceARN": LOCATION.arn("cloudwatch", f"alarm:{ALARM}"),
    },
    "sns": {
        "topicArn": SUBJECT.topic_arn,
        "subscriptionArn": f"{SUBJECT.topic_arn}:x",
        "resourceArn": SUBJECT.topic_arn,
    },
    "logs": {
        "logGroupName": SUBJECT.log_group_name,
        "logGroupIdentifier": GROUP,
        "resourceIdentifier": GROUP,
        "resourceArn": GROUP,
        "logGroupIdentifiers[]": GROUP,
        "logGroupNames[]": SUBJECT.log_group_name,
    },
    "cloudtrail": {
        "name": TRAIL,
        "trailName": TRAIL,
        "resourceId": TRAIL,
        "s3BucketName": SUBJECT.bucket_name or "",
        "cloudWatchLogsLogGroupArn": f"{GROUP}:*",
    },
    "s3": {"bucketName": SUBJECT.bucket_name or ""},
    "batch": {
        "containerProperties.executionRoleArn": ROLE,
        "containerProperties.jobRoleArn": ROLE,
        "ecsProperties.taskProperties[].executionRoleArn": ROLE,
        "ecsProperties.taskProperties[].taskRoleArn": ROLE,
        "nodeProperties.nodeRangeProperties[].container.executionRoleArn": ROLE,
        "nodeProperties.nodeRangeProperties[].container.jobRoleArn": ROLE,
        "nodeProperties.nodeRangeProperties[].ecsProperties.taskProperties[].executionRoleArn": ROLE,
        "nodeProperties.nodeRangeProperties[].ecsProperties.taskProperties[].taskRoleArn": ROLE,
    },
    "scheduler": {"target.roleArn": ROLE, "target.ecsParameters.taskDefinitionArn": TASK},
    "pipes": {
        "roleArn": ROLE,
        "targetParameters.ecsTaskParameters.taskDefinitionArn": TASK,
        "targetParameters.ecsTaskParameters.overrides.executionRoleArn": ROLE,
        "targetParameters.ecsTaskParameters.overrides.taskRoleArn": ROLE,
    },
    "codebuild": {"serviceRole": ROLE},
}
"""By service the fields, as CloudTrail spells them, that name something of the stack's."""

SOURCES = {"stepfunctions": "states", "cloudwatch": "monitoring"}
READS = re.compile(
    r"(Get|List|Describe|BatchGet|Search|Lookup|Head|Filter|Test|Simulate|Generate|Validate|Verify|Encrypt|DeriveShared|Select)"
)
DATA = re.compile(
    r"(Publish|PutLogEvents|Invoke|PutMetricData|.*Object|.*Objects|.*ObjectAcl|.*ObjectTagging|.*Part|.*Upload|StartLiveTail|StartQuery)"
)
"""Data events, and questions whose names don't say so."""


@cache
def model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def fields(shape: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """The fields of a shape that hold text, as CloudTrail spells them."""
    if depth > 8:
        return
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from fields(member, f"{path}.{name[0].lower()}{name[1:]}".removeprefix("."), depth + 1)
    elif shape.type_name == "list":
        yield from fields(shape.member, f"{path}[]", depth + 1)
    elif shape.type_name == "string":
        yield path


def nested(path: str, value: str) -> Any:
    name, _, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    return {name.removesuffix("[]"): [inner] if name.endswith("[]") else inner}


def calls(service: str) -> Iterator[tuple[str, str, str]]:
    """Operation, field and value of each write that can name something watched."""
    for operation in model(service).operation_names:
        shape = model(service).operation_model(operation).input_shape
        if shape is None or READS.match(operation) or DATA.fullmatch(operation):
            continue
        for field in dict.fromkeys(fields(shape)):
            spelled = {"bucket": "bucketName"}.get(field, field) if service == "s3" else field
            if spelled in NAMED[service]:
                yield operation, spelled, NAMED[service][spelled]


@pytest.fixture(scope="module")
def audit() -> Audit:
    return Audit(SUBJECT)


@cache
def documented() -> frozenset[str]:
    """The calls that docs/security.md says are not seen."""
    text = Path("docs/security.md").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("- **Calls that name a watched resource")]
    return frozenset(re.findall(r"`([a-z0-9]+:\w+)`", line))


@pytest.mark.parametrize("service", NAMED)
def test_a_write_that_names_something_watched_counts_or_is_documented(service: str, audit: Audit) -> None:
    known = record("audit: DeleteTopic")
    unseen = set[str]()
    asked = set[str]()
    for operation, field, value in calls(service):
        asked.add(field)
        event = {**known, "eventSource": f"{SOURCES.get(service, service)}.amazonaws.com", "eventName": operation,
                 "awsRegion": REGION, "requestParameters": nested(field, value)}  # fmt: skip
        if Metric.TAMPERING not in audit.counts(event):
            unseen.add(f"{service}:{operation}")
    assert asked == set(NAMED[service]), "a field that no call has"
    assert unseen == {call for call in documented() if call.startswith(f"{service}:")}
