"""`ops cost`: what is counted, what it costs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components import pricing
from ops.cost import DAYS, Deployed, _rotations, bill, parameter_store
from tests.ops.conftest import Deploy, Ops
from tests.ops.conftest import Deployed as Stack

DEV = Deployed(
    secrets=3, replicas=0, keys=0, references=6, values=8, rotations=0, trails=0, metrics=0, alarms=0, dashboards=0
)  # fmt: skip


def _monthly(deployed: Deployed, tasks_per_day: float = 10) -> dict[str, float]:
    return {item.name: round(item.monthly, 4) for item in bill(deployed, tasks_per_day=tasks_per_day)}


def test_every_item_has_its_price() -> None:
    full = Deployed(
        secrets=4, replicas=4, keys=2, references=7, values=9, rotations=4, trails=1, metrics=5, alarms=5, dashboards=1
    )  # fmt: skip
    assert _monthly(full) == {
        "secrets": 1.60,
        "replicas": 1.60,
        "customer-managed keys": 2.00,
        "trail (first copy of management events)": 0.0,
        "metrics": 1.50,
        "alarms": 0.50,
        "dashboards": 3.00,
        "rotation: API calls": 0.0002,
        "KMS requests": 0.0065,
        "API calls of starting tasks": 0.0106,
    }


def test_the_dev_stack_is_a_dollar_twenty_plus_calls_which_grow_with_the_tasks() -> None:
    assert _monthly(DEV) == {"secrets": 1.20, "API calls of starting tasks": 0.0091}
    assert _monthly(DEV, 1000)["API calls of starting tasks"] == round(1000 * DAYS * 6 * pricing.API_CALL, 4)


def test_parameter_store_counts_each_json_key() -> None:
    found = parameter_store(replace(DEV, keys=1), tasks_per_day=10)
    standard = {item.name: item.quantity for item in found["standard"]}
    assert standard["customer-managed keys"] == 1
    assert {item.name: item.quantity for item in found["advanced"]}["advanced parameters"] == 8


@pytest.mark.parametrize(
    ("schedule", "every_days", "a_month"),
    [
        ("cron(0 3 ? * SUN *)", None, DAYS / 7),
        ("cron(0 3 * * ? *)", None, DAYS),
        ("cron(0 3 1 * ? *)", None, 1),
        ("cron(0 3 1,15 * ? *)", None, 2),
        ("cron(0 3 1 1/3 ? *)", None, 1 / 3),
        ("cron(0 3 1 JAN,JUL ? *)", None, 1 / 6),
        ("cron(0 3 ? * MON-FRI *)", None, DAYS / 7),
        ("cron(0 3 ? * 2-6 *)", None, DAYS / 7 * 5),
        ("cron(0 /8 * * ? *)", None, DAYS * 3),
        ("rate(10 days)", None, DAYS / 10),
        ("rate(4 hours)", None, DAYS * 6),
        (None, 30, DAYS / 30),
        ("something new", None, 1),
    ],
)
def test_rotations_a_month(schedule: str | None, every_days: int | None, a_month: float) -> None:
    assert _rotations(schedule, every_days) == pytest.approx(a_month)


def test_the_deployed_stack_is_counted(stack: Stack, ops: Ops) -> None:
    done = ops(stack, "cost", "--json")
    assert done.status == 0, done.err
    assert done.json["monthly_usd"] == 1.21
    assert {item["item"]: item["quantity"] for item in done.json["items"]} == {
        "secrets": 3,
        "API calls of starting tasks": pytest.approx(10 * DAYS * 6, abs=0.01),
    }
    assert done.json["prices_as_of"] == pricing.AS_OF
    assert done.json["parameter_store"]["standard"]["monthly_usd"] < done.json["monthly_usd"]
    shown = ops(stack, "cost").out
    assert all(text in shown for text in ("$1.21", "10 task starts a day", "SSM Parameter Store"))
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"), RecoveryWindowInDays=7)
    assert ops(stack, "cost", "--json").json["items"][0]["quantity"] == 2  # one that is pending deletion costs nothing


def test_what_bears_the_stacks_name_is_counted(deploy: Deploy, ops: Ops) -> None:
    stack = deploy(customer_managed_key=True)
    stack.secrets.replicate_secret_to_regions(
        SecretId=stack.arn("jwt-secret"), AddReplicaRegions=[{"Region": "us-east-2"}]
    )
    stack.write_outputs(replica_regions=["us-east-2"])
    stack.rotate_by_function("db-master-password")
    cloudwatch, logs = stack.client("cloudwatch"), stack.client("logs")
    for name in (f"{stack.prefix}-denied", f"{stack.prefix}-reads", "somebody-elses"):
        cloudwatch.put_metric_alarm(
            AlarmName=name, MetricName="m", Namespace="n", Statistic="Sum", Period=60, EvaluationPeriods=1,
            Threshold=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        transformation = {"metricName": name, "metricNamespace": "Secrets", "metricValue": "1"}
        # Two filters that feed one metric are one metric.
        for part in ("1", "2"):
            logs.put_metric_filter(
                logGroupName=f"/ecs/{stack.prefix}", filterName=f"{name}-{part}", filterPattern="x",
                metricTransformations=[transformation],
            )  # fmt: skip
    cloudwatch.put_dashboard(DashboardName=stack.prefix, DashboardBody='{"widgets": []}')
    done = ops(stack, "cost", "--json", "--tasks-per-day", "0")
    assert done.status == 0, done.err
    quantities = {item["item"]: item["quantity"] for item in done.json["items"]}
    assert quantities == {
        "secrets": 3,
        "replicas": 1,
        "customer-managed keys": 1,
        "metrics": 2,
        "alarms": 2,
        "dashboards": 1,
        "rotation: API calls": pytest.approx(DAYS / 30 * 12, abs=0.01),
        "KMS requests": pytest.approx(DAYS / 30 * 12, abs=0.01),
        "API calls of starting tasks": 0,
    }


@pytest.mark.parametrize("number", ["inf", "nan", "-1"])
def test_tasks_per_day_are_a_number(stack: Any, ops: Any, number: str) -> None:
    assert ops(stack, "cost", "--tasks-per-day", number, "--json").status == 2


@pytest.mark.parametrize(
    ("what", "price"),
    [
        ("a secret", pricing.SECRET),
        ("a replica", pricing.SECRET),
        ("10,000 calls of Secrets Manager", pricing.API_CALL * 10_000),
        ("a customer-managed key", pricing.KMS_KEY),
        ("10,000 KMS requests", pricing.KMS_REQUEST * 10_000),
        ("a custom metric", pricing.METRIC),
        ("an alarm", pricing.ALARM),
        ("a dashboard", pricing.DASHBOARD),
        ("an advanced parameter", pricing.PARAMETER_ADVANCED),
    ],
)
def test_the_documents_prices_are_the_programs(what: str, price: float) -> None:
    text = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {what} |")]
    assert float(row.split("|")[2].split()[0]) == pytest.approx(price)
    assert f"looked up in {pricing.AS_OF}" in text
