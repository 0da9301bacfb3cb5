"""`python -m ops cost`: what the deployed stack costs a month, item by item, and what SSM Parameter Store would cost instead."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from components import pricing
from components.pricing import Item
from ops._aws import Aws, connect
from ops._console import print_json, print_table, working
from ops._errors import MisuseError
from ops._options import JsonOption, OutputsOption, StackOption
from ops._secrets import describe_all
from ops._stack import Stack, load

DAYS = 365 / 12
"""Days of an average month."""

DEFAULT_TASKS_A_DAY = 10

CALLS_A_ROTATION = 12
"""Secrets Manager calls of one rotation, both strategies at most: DescribeSecret in each of four steps, reads of the current, the
pending and the superuser's value, GetRandomPassword, PutSecretValue, UpdateSecretVersionStage."""


@dataclass(frozen=True)
class Deployed:
    """The deployed resources that cost something.

    Attributes:
        secrets: Number of secrets; `replicas` counts their copies in other Regions, and `left_replicas` those of them that
            the configuration no longer names.
        keys: Customer-managed keys, those of replicas included.
        references: Distinct `valueFrom` of the container: ECS reads each once when a task starts.
        values: Values that would each be a parameter: a text secret is one, a JSON secret one for each key.
        rotations: Rotations a month, all secrets together.
        trails: CloudTrail trails of the stack.
    """

    secrets: int
    replicas: int
    keys: int
    references: int
    values: int
    rotations: float
    trails: int
    metrics: int
    alarms: int
    dashboards: int
    left_replicas: int = 0


def cost(
    tasks_per_day: Annotated[
        float, typer.Option("--tasks-per-day", min=0, help="Tasks that start a day; each reads every secret once.")
    ] = DEFAULT_TASKS_A_DAY,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    json_: JsonOption = False,
) -> None:
    """Show what the stack costs a month, by item, and what SSM Parameter Store would cost instead."""
    if not math.isfinite(tasks_per_day):
        raise MisuseError("--tasks-per-day takes a number of tasks")
    loaded = load(stack, outputs)
    with working("Counting what is deployed"):
        deployed = count(connect(loaded), loaded)
    items = bill(deployed, tasks_per_day=tasks_per_day)
    alternatives = parameter_store(deployed, tasks_per_day=tasks_per_day)
    if json_:
        stores = {name: _listed_items(found) for name, found in alternatives.items()}
        given = {"stack": loaded.environment, "prices_as_of": pricing.AS_OF, "tasks_per_day": tasks_per_day}
        print_json({**given, **_listed_items(items), "parameter_store": stores})
        return
    rows = [(item.name, _amount(item.quantity), _usd(item.unit_price), f"${item.monthly:,.2f}") for item in items]
    rows.append(("total", "", "", f"${pricing.total(items):,.2f}"))
    title = f"{loaded.place}: USD a month, list prices of US East (N. Virginia), {pricing.AS_OF}"
    print_table(title, ("item", "a month", "each", "USD"), rows)
    print_table(
        "\nThe same values in SSM Parameter Store",
        ("kind", "USD", "and then"),
        [(name, f"${pricing.total(found):,.2f}", _LACKS[name]) for name, found in alternatives.items()],
    )
    typer.echo(
        f"\nAssumed: {tasks_per_day:g} task starts a day, {DAYS:.1f} days a month; no free tier. "
        "Log volume and Lambda time are left out: cents (docs/cost.md)."
    )


def count(aws: Aws, stack: Stack) -> Deployed:
    """Return what is deployed: what the stack's outputs name, and what has the stack's name."""
    # One by one: AWS's list of secrets lacks their replicas.
    described = describe_all(aws, stack.secret_arns.values()).values()
    records = [record for record in described if record and not record.deleted]
    replica_keys = {
        (replica.region, replica.kms_key_id)
        for record in records
        for replica in record.replicas
        if replica.kms_key_id and not replica.kms_key_id.endswith("alias/aws/secretsmanager")
    }
    left = sum(stack.leaves_replica(stack.name_of(r.arn), one.region) for r in records for one in r.replicas)
    prefix = stack.names.prefix
    filters = aws.pages("logs", "describe_metric_filters", "metricFilters")
    metrics = [one for f in filters if f["filterName"].startswith(prefix) for one in f["metricTransformations"]]
    return Deployed(
        secrets=len(records),
        replicas=sum(len(record.replicas) for record in records),
        left_replicas=left,
        keys=bool(stack.kms_key_arn) + len(replica_keys),
        references=len(stack.references),
        values=sum(max(len(secret.parts), 1) for secret in stack.secrets.values() if not secret.foreign),
        rotations=sum(_rotations(r.rotation.schedule, r.rotation.every_days) for r in records if r.rotation.enabled),
        trails=sum(t["Name"].startswith(prefix) for t in aws.client("cloudtrail").describe_trails()["trailList"]),
        metrics=len({(one["metricNamespace"], one["metricName"]) for one in metrics}),
        alarms=sum(1 for _ in aws.pages("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=prefix)),
        dashboards=sum(
            1 for _ in aws.pages("cloudwatch", "list_dashboards", "DashboardEntries", DashboardNamePrefix=prefix)
        ),
    )


def bill(deployed: Deployed, *, tasks_per_day: float) -> tuple[Item, ...]:
    """Return the items of a month; what the stack doesn't have is left out, except the calls."""
    starts = tasks_per_day * DAYS * deployed.references
    rotation_calls = deployed.rotations * CALLS_A_ROTATION
    items = (
        *pricing.fixed_items(
            secrets=deployed.secrets,
            replicas=deployed.replicas - deployed.left_replicas,
            keys=deployed.keys,
            metrics=deployed.metrics,
            alarms=deployed.alarms,
            dashboards=deployed.dashboards,
        ),
        Item("replicas no longer configured (doctor names them)", deployed.left_replicas, pricing.SECRET),
        Item("trail (first copy of management events)", deployed.trails, 0.0),
        Item("rotation: API calls", rotation_calls, pricing.API_CALL),
        Item("KMS requests", (starts + rotation_calls) if deployed.keys else 0, pricing.KMS_REQUEST),
    )
    calls = Item("API calls of starting tasks", starts, pricing.API_CALL)
    return (*(item for item in items if item.quantity), calls)


_LACKS: Mapping[str, str] = {
    "standard": "no rotation, no replicas, no resource policy, no staging labels; a value has at most 4 KB",
    "advanced": "no rotation, no replicas; a value has at most 8 KB; shared through AWS RAM only",
}


def parameter_store(deployed: Deployed, *, tasks_per_day: float) -> dict[str, tuple[Item, ...]]:
    """Return what the same values cost as SecureString parameters, by tier: a parameter for each value, no JSON needed."""
    starts = tasks_per_day * DAYS * deployed.values
    shared = (
        Item("customer-managed keys", deployed.keys, pricing.KMS_KEY),
        Item("KMS requests", starts, pricing.KMS_REQUEST),
    )
    advanced = (
        Item("advanced parameters", deployed.values, pricing.PARAMETER_ADVANCED),
        Item("calls", starts, pricing.PARAMETER_API_CALL),
    )
    return {"standard": shared, "advanced": (*advanced, *shared)}


def _rotations(schedule: str | None, every_days: int | None) -> float:
    """Return rotations a month of a schedule, as `cron(0 3 ? * SUN *)` or `rate(7 days)`; one when it can't be computed."""
    if every_days:
        return DAYS / every_days
    expression = (schedule or "").partition("(")[2].rstrip(")").split()
    match expression:
        case [count, unit]:
            return DAYS * 24 / (float(count) * (24 if unit.startswith("day") else 1))
        case [_minutes, hours, day, months, weekday, _year]:
            hours_a_day = 24 / int(hours.partition("/")[2]) if "/" in hours else _listed(hours, 24)
            days = _listed(weekday, 7) * DAYS / 7 if weekday != "?" else _listed(day, DAYS)
            return hours_a_day * days * _listed(months, 12) / 12
        case _:
            return 1.0


def _listed(field: str, every: float) -> float:
    """Return how many values a field of a cron expression means; a range or a step counts as what it spans at most."""
    if field in {"*", "?"}:
        return every
    if "/" in field:
        return every / max(int(field.partition("/")[2] or 1), 1)
    spans = (part.split("-") for part in field.split(","))
    return sum(int(s[1]) - int(s[0]) + 1 if len(s) == 2 and all(map(str.isdigit, s)) else 1 for s in spans)  # noqa: PLR2004 - a range


def _amount(quantity: float) -> str:
    return f"{quantity:,.0f}" if quantity >= 1 else f"{quantity:.2f}"


def _usd(price: float) -> str:
    return f"${price:.2f}" if price == 0 or price >= 0.01 else f"${price:.6f}"  # noqa: PLR2004 - a cent


def _listed_items(items: tuple[Item, ...]) -> dict[str, Any]:
    rows = [(i.name, round(i.quantity, 2), i.unit_price, round(i.monthly, 4)) for i in items]
    columns = ("item", "quantity", "unit_price_usd", "monthly_usd")
    return {"monthly_usd": pricing.total(items), "items": [dict(zip(columns, row, strict=True)) for row in rows]}
