"""The audit's names, resource policies and dashboard."""

import hashlib
import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components._audit_dashboard import dashboard_body
from components.location import Location
from components.names import AuditNames

LOCATION = Location("aws", "eu-central-1", "111122223333")


@given(prefix=st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,120}-[A-Za-z0-9._-]{1,100}", fullmatch=True))
def test_any_project_and_stack_give_names_that_aws_takes(prefix: str) -> None:
    names = AuditNames(prefix, Location("aws", "ap-southeast-1", "111122223333"))
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", names.bucket)
    assert names.bucket.endswith("-trail-111122223333-ap-southeast-1")
    assert re.fullmatch(r"[\w+=,.@-]{1,64}", names.role)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", names.dashboard)
    assert len(names.dashboard) == len(f"{names.prefix}-audit")


def test_long_names_that_start_alike_stay_apart() -> None:
    start = "a-very-long-project-name-that-leaves-no-room-for-more"
    names = [AuditNames(f"{start}-{stack}", LOCATION) for stack in ("dev", "prod")]
    assert names[0].bucket != names[1].bucket
    digest = hashlib.sha256(f"{start}-dev".encode()).hexdigest()[:8]
    ending = f"-trail-{LOCATION.account_id}-{LOCATION.region}"
    assert names[0].bucket == f"{start[: 63 - 9 - len(ending)]}-{digest}{ending}"


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
