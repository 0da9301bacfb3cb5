"""AWS prices of the parts of this project, in one table.

US East (N. Virginia) list prices, USD, without free tiers. Sources: the AWS pricing pages of Secrets Manager, KMS, CloudWatch,
CloudTrail, Lambda, Step Functions and Systems Manager.
"""

from dataclasses import dataclass

AS_OF = "2026-11"
"""Year and month of the prices."""

SECRET = 0.40
"""A secret or a replica, a month."""
API_CALL = 0.05 / 10_000
"""A call of the Secrets Manager API."""
KMS_KEY = 1.00
"""A customer-managed key, a month, in each Region; the AWS-managed key is free."""
KMS_REQUEST = 0.03 / 10_000
"""A KMS request with a symmetric key."""
METRIC = 0.30
"""A custom metric, a month."""
ALARM = 0.10
"""A standard-resolution alarm, a month."""
DASHBOARD = 3.00
"""A dashboard, a month."""
PARAMETER_ADVANCED = 0.05
"""An advanced parameter of SSM Parameter Store, a month; a standard one is free."""
PARAMETER_API_CALL = 0.05 / 10_000
"""A Parameter Store call at higher throughput or of an advanced parameter."""


@dataclass(frozen=True)
class Item:
    """One line of the bill.

    Attributes:
        name: The item.
        quantity: Its quantity a month.
        unit_price: USD for one.
    """

    name: str
    quantity: float
    unit_price: float

    @property
    def monthly(self) -> float:
        """USD a month."""
        return self.quantity * self.unit_price


def fixed_items(
    *,
    secrets: int,
    replicas: int,
    keys: int,
    metrics: int,
    alarms: int,
    dashboards: int,
) -> tuple[Item, ...]:
    """Return the stack's fixed costs, without items of quantity zero."""
    items = (
        Item("secrets", secrets, SECRET),
        Item("replicas", replicas, SECRET),
        Item("customer-managed keys", keys, KMS_KEY),
        Item("metrics", metrics, METRIC),
        Item("alarms", alarms, ALARM),
        Item("dashboards", dashboards, DASHBOARD),
    )
    return tuple(item for item in items if item.quantity)


def total(items: tuple[Item, ...]) -> float:
    """Return USD a month, rounded to a cent."""
    return round(sum(item.monthly for item in items), 2)
