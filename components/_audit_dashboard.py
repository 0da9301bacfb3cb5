"""The audit's dashboard: a pure function that returns CloudWatch's JSON.

Source: AWS, "Dashboard body structure and syntax".
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from components._audit_patterns import Metric

_ROW = 6

# A call that was denied names its secret in the error's message only.
_FIELDS = (
    "fields @timestamp, eventName, errorCode, sourceIPAddress, coalesce(requestParameters.secretId, "
    "additionalEventData.SecretId, serviceEventDetails.secretId, errorMessage) as secret"
    ", coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn, userIdentity.principalId) as principal"
)


def dashboard_body(
    *,
    title: str,
    region: str,
    namespace: str,
    log_group_name: str,
    secrets_start_with: Sequence[str],
    expected_reads_per_hour: int,
    alarm_arns: Sequence[str],
) -> str:
    """Return the dashboard: alarms, reads by principal, denied reads, rotations, and the last change of each value.

    Args:
        title: Its subject, `<project>-<stack>`.
        region: Where the metrics and the log group are.
        namespace: The metrics' namespace.
        log_group_name: The trail's log group.
        secrets_start_with: What the secrets' names start with (the stack's prefix, and adopted secrets' names).
        expected_reads_per_hour: Drawn as a line.
        alarm_arns: The alarms.
    """
    ours = " or ".join(f"secret like {json.dumps(start)}" for start in secrets_start_with)

    def log(heading: str, width: int, query: str, view: str = "table") -> dict[str, Any]:
        full = f"SOURCE '{log_group_name}' | {_FIELDS} | filter {ours} | {query}"
        return _widget("log", width, {"title": heading, "region": region, "query": full, "view": view})

    def metric(heading: str, width: int, metrics: Sequence[Metric], period: int, **more: Any) -> dict[str, Any]:
        lines = [[namespace, str(name)] for name in metrics]
        properties = {"title": heading, "region": region, "view": "timeSeries", "metrics": lines, "stat": "Sum"}
        return _widget("metric", width, {**properties, "period": period, **more})

    expected = {"horizontal": [{"label": "expected", "value": expected_reads_per_hour}]}
    read = 'filter eventName = "GetSecretValue" and not ispresent(errorCode)'
    denied = 'filter eventName in ["GetSecretValue", "BatchGetSecretValue"] and errorCode like "AccessDenied"'
    changed = 'filter eventName in ["CreateSecret", "PutSecretValue", "UpdateSecret", "RotationSucceeded"]'
    rows = [
        [
            _widget("alarm", 12, {"title": f"Alarms of {title}", "alarms": list(alarm_arns)}),
            metric("Reads an hour", 12, [Metric.READS], 3600, annotations=expected),
        ],
        [
            log("Reads by principal", 12, f"{read} | stats count(*) as reads by principal | sort reads desc"),
            metric(
                "Out of the ordinary",
                12,
                [Metric.DENIED_READS, Metric.UNEXPECTED_READS, Metric.TAMPERING, Metric.FAILED_ROTATIONS],
                300,
            ),
        ],
        [
            log(
                "Denied reads",
                12,
                f"{denied} | sort @timestamp desc | limit 50 "
                "| display @timestamp, principal, secret, errorCode, sourceIPAddress",
            ),
            log(
                "Rotations",
                12,
                'filter eventName like "Rotation" | sort @timestamp desc | limit 50 | display @timestamp, eventName, secret',
            ),
        ],
        [
            log(
                "Last change of each value, in the time shown",
                24,
                f"{changed} and not ispresent(errorCode) | stats max(@timestamp) as lastChange by secret "
                "| sort lastChange asc",
            ),
        ],
    ]
    return json.dumps({"start": "-P30D", "widgets": [_placed(*cell) for cell in _cells(rows)]}, separators=(",", ":"))


def _widget(kind: str, width: int, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": kind, "width": width, "height": _ROW, "properties": dict(properties)}


def _cells(rows: Sequence[Sequence[dict[str, Any]]]) -> list[tuple[int, int, dict[str, Any]]]:
    cells: list[tuple[int, int, dict[str, Any]]] = []
    for number, row in enumerate(rows):
        x = 0
        for widget in row:
            cells.append((x, number * _ROW, widget))
            x += widget["width"]
    return cells


def _placed(x: int, y: int, widget: dict[str, Any]) -> dict[str, Any]:
    return {"x": x, "y": y, **widget}
