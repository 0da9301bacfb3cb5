"""The doctor looks at its own alarm chain: each link that is missing, switched off or unheard is a finding. Pure, by a table."""

from dataclasses import replace
from typing import Any

import pytest

from components._audit_watched import ALARMS, with_filters
from ops._aws import Aws
from ops._stack import parse
from ops.doctor.alarms import Chain, check, read
from tests.ops.conftest import Deployed as Stack
from tests.stacks import PREFIX, STACK, TOPIC


def alarm(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "AlarmName": f"{PREFIX}-{name}",
        "AlarmDescription": with_filters("What happened.", 3),
        "MetricName": name,
        "ActionsEnabled": True,
        "AlarmActions": [TOPIC],
    } | changes


def named(name: str, *numbers: int) -> list[dict[str, Any]]:
    return [{"filterName": f"{PREFIX}-{name}-{number}"} for number in numbers]


WHOLE = Chain(
    alarms={
        f"{PREFIX}-{name}": alarm(name)
        for name in (*ALARMS, "app-redeploy-failed", "app-redeploy-not-started-1", "app-redeploy-not-started-2")
    },
    filters={name: named(name, 1, 2, 3) for name in ALARMS},
    subscriptions=[{"SubscriptionArn": f"{TOPIC}:1", "Protocol": "email", "Endpoint": "a@example.com"}],
    logs=True,
    rules=[{"Name": f"{PREFIX}-app-{end}", "State": "ENABLED"} for end in ("changed-1", "changed-2", "failed")],
)
READS = f"{PREFIX}-reads"
RULE = f"{PREFIX}-app-changed-1"


def without_rule(end: str) -> Chain:
    return replace(WHOLE, rules=[raw for raw in WHOLE.rules if not raw["Name"].endswith(end)])


UP = "pulumi up --refresh"
PENDING = {"SubscriptionArn": "PendingConfirmation", "Protocol": "email", "Endpoint": "b@example.com"}

BROKEN: dict[str, tuple[Chain, str, str, str]] = {
    "trail stopped": (replace(WHOLE, logs=False), PREFIX, "the trail isn't logging", "aws cloudtrail start-logging --name"),
    "alarm deleted": (
        replace(WHOLE, alarms={k: v for k, v in WHOLE.alarms.items() if k != READS}), READS,
        "the alarm doesn't exist", UP,
    ),
    "actions off": (
        replace(WHOLE, alarms={**WHOLE.alarms, READS: alarm("reads", ActionsEnabled=False)}), READS, "switched off",
        "aws cloudwatch enable-alarm-actions --alarm-names",
    ),
    "another topic": (
        replace(WHOLE, alarms={**WHOLE.alarms, READS: alarm("reads", AlarmActions=[])}), READS, "doesn't send to", UP
    ),
    "all filters deleted": (
        replace(WHOLE, filters={**WHOLE.filters, "reads": []}), READS, f"filter {READS}-1, {READS}-2, {READS}-3 doesn't", UP,
    ),
    "one filter deleted": (
        replace(WHOLE, filters={**WHOLE.filters, "reads": named("reads", 1, 3)}), READS, f"{READS}-2 doesn't exist", UP,
    ),
    "the last filter deleted": (
        replace(WHOLE, filters={**WHOLE.filters, "reads": named("reads", 1, 2)}), READS, f"{READS}-3 doesn't exist", UP,
    ),
    "rule deleted": (without_rule("changed-1"), RULE, "the rule doesn't exist: a new value restarts no task", UP),
    "the last rule deleted": (without_rule("changed-2"), f"{PREFIX}-app-changed-2", "the rule doesn't exist", UP),
    "rule of failed deployments deleted": (without_rule("failed"), f"{PREFIX}-app-failed", "nobody hears of", UP),
    "redeployment's alarm deleted": (
        replace(WHOLE, alarms={k: v for k, v in WHOLE.alarms.items() if not k.endswith("-2")}),
        f"{PREFIX}-app-redeploy-not-started-2", "the alarm doesn't exist", UP,
    ),
    "topic deleted": (replace(WHOLE, subscriptions=None), "topic", "doesn't exist", UP),
    "nobody subscribes": (replace(WHOLE, subscriptions=[]), "topic", "has no subscriber", ""),
    "unconfirmed": (
        replace(WHOLE, subscriptions=[PENDING]), "b@example.com", "has not confirmed",
        f"aws sns subscribe --topic-arn {TOPIC} --protocol email --notification-endpoint b@example.com",
    ),
    "rule disabled": (
        replace(WHOLE, rules=[{"Name": RULE, "State": "DISABLED"}, *WHOLE.rules[1:]]), RULE, "is disabled",
        "aws events enable-rule --name",
    ),
}  # fmt: skip


def test_a_whole_chain_is_in_order() -> None:
    (found,) = check(STACK, WHOLE)

    assert (found.status, found.found) == ("ok", "5 alarms, each with metric filters, reach 1 subscriber")


def test_an_existing_trail_is_named_as_not_looked_at() -> None:
    (found,) = check(STACK, replace(WHOLE, logs=None))

    assert found.status == "ok"
    assert "left out: the trail" in found.found


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_link_is_one_finding_with_its_fix(case: str) -> None:
    chain, subject, text, fix = BROKEN[case]

    (found,) = check(STACK, chain)

    assert found.status in {"warning", "failure"}
    assert found.subject == subject
    assert text in found.found
    assert found.fix.startswith(fix)
    assert bool(found.fix) == bool(fix)


def test_it_is_read_as_aws_has_it(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stack.variables.items():
        monkeypatch.setenv(name, value)
    topic = stack.client("sns").create_topic(Name=f"{stack.prefix}-alarms")["TopicArn"]
    stack.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
    stack.write_outputs(alarm_topic_arn=topic)
    stack.client("logs").create_log_group(logGroupName="trail")
    for name in ALARMS:
        stack.client("logs").put_metric_filter(
            logGroupName="trail", filterName=f"{stack.prefix}-{name}-1", filterPattern="x",
            metricTransformations=[{"metricName": name, "metricNamespace": stack.prefix, "metricValue": "1"}],
        )  # fmt: skip
        stack.client("cloudwatch").put_metric_alarm(
            AlarmName=f"{stack.prefix}-{name}", MetricName=name, Namespace=stack.prefix, Period=300, EvaluationPeriods=1,
            ComparisonOperator="GreaterThanThreshold", Threshold=0, Statistic="Sum", AlarmActions=[topic],
        )  # fmt: skip
    for name in ("failed", "not-started-1"):
        stack.client("cloudwatch").put_metric_alarm(
            AlarmName=f"{stack.family}-redeploy-{name}", MetricName="x", Namespace="AWS/States", Period=300, EvaluationPeriods=1,
            ComparisonOperator="GreaterThanThreshold", Threshold=0, Statistic="Sum", AlarmActions=[topic],
        )  # fmt: skip
    for name in (f"{stack.family}-changed-1", f"{stack.family}-failed", f"{stack.family}2-changed-1"):
        stack.client("events").put_rule(Name=name, EventPattern='{"source": ["aws.secretsmanager"]}', State="DISABLED")
    where = parse(stack.outputs, "the test")

    chain = read(Aws(stack.region), where)

    names = [f"{stack.family}-changed-1", f"{stack.family}-failed"]
    assert [raw["Name"] for raw in chain.rules] == names
    assert {(f.status, f.subject) for f in check(where, chain)} == {("warning", name) for name in names}
    stack.client("events").delete_rule(Name=names[0])
    gone = [f for f in check(where, read(Aws(stack.region), where)) if f.subject == names[0]]
    assert [f.found for f in gone] == ["the rule doesn't exist: a new value restarts no task"]
