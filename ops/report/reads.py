"""Who read which secret in the last weeks, as CloudTrail recorded it: from the trail's log group, else from CloudTrail itself."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ops._aws import Aws
from ops._errors import MISSING, AwsError, aws_errors, code_of, told
from ops._stack import Stack
from ops.history import CutOffError, look_up, refused_resource

WEEKS = 4

_MOST_PAGES = 60
"""Pages of LookupEvents, 50 events each."""

_SECONDS = 60
"""How long a query of Logs Insights is allowed to take."""

_QUERY = """\
filter eventSource = "secretsmanager.amazonaws.com" and eventName = "GetSecretValue"
| stats count(*) as reads, max(eventTime) as last by coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn, \
userIdentity.invokedBy) as principal, coalesce(requestParameters.secretId, errorMessage) as secret, errorCode as error
| limit 10000"""
"""Source: AWS, "CloudWatch Logs Insights language query syntax"; CloudTrail record contents, userIdentity element."""


@dataclass(frozen=True)
class Reads:
    """How often a principal read a secret.

    Attributes:
        principal: ARN of the role or user; of a session the role's.
        secret: Its name in the catalogue.
        denied: AWS's error code of reads that were refused, "" of those that were not.
        last: When it was the last time, ISO 8601.
    """

    principal: str
    secret: str
    denied: str
    count: int
    last: str


@dataclass(frozen=True)
class Readings:
    """What CloudTrail recorded.

    Attributes:
        source: Where it was looked up.
        gap: Why it isn't everything, "" when it is.
    """

    since: datetime
    until: datetime
    source: str
    reads: tuple[Reads, ...]
    gap: str = ""


def read(aws: Aws, stack: Stack, log_group: str) -> Readings:
    """Return the reads of the stack's secrets in the last weeks."""
    until = datetime.now(UTC)
    since = until - timedelta(weeks=WEEKS)
    source, rows, gap = f"the log group {log_group}", list[Mapping[str, str]](), ""
    try:
        rows, gap = _from_logs(aws, log_group, since, until)
    except aws_errors() as error:
        if code_of(error) in MISSING:
            source = "CloudTrail's event history (this Region)"
            rows, gap = _looked_up(aws, since)
        else:
            gap = told(error)
    return Readings(since, until, source, _counted(stack, rows), gap)


_Rows = tuple[list[Mapping[str, str]], str]
"""A row for each principal, secret and error, and why some are missing."""


def _from_logs(aws: Aws, log_group: str, since: datetime, until: datetime) -> _Rows:
    client = aws.client("logs")
    times = {"startTime": int(since.timestamp()), "endTime": int(until.timestamp())}
    query = client.start_query(logGroupName=log_group, queryString=_QUERY, **times)["queryId"]
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        answer = client.get_query_results(queryId=query)
        if answer["status"] not in {"Scheduled", "Running"}:
            return [{cell["field"]: cell["value"] for cell in row} for row in answer["results"]], ""
        time.sleep(1)
    return [], f"the query took more than {_SECONDS} s"


def _looked_up(aws: Aws, since: datetime) -> _Rows:
    found: list[Mapping[str, str]] = []
    try:
        for event in look_up(aws, "GetSecretValue", since, pages=_MOST_PAGES, attempts=2):
            found.append(_row(event))  # noqa: PERF401 - what was found stays when a later page fails
    except CutOffError:
        return found, f"only the newest {len(found):,} reads of the account were checked"
    except (AwsError, *aws_errors()) as error:
        return found, told(error)
    return found, ""


def _row(event: Mapping[str, Any]) -> Mapping[str, str]:
    who = event.get("userIdentity") or {}
    issuer = (who.get("sessionContext") or {}).get("sessionIssuer") or {}
    return {
        "principal": issuer.get("arn") or who.get("arn") or who.get("invokedBy") or "unknown",
        "secret": (event.get("requestParameters") or {}).get("secretId") or event.get("errorMessage") or "",
        "error": event.get("errorCode") or "",
        "last": event.get("eventTime", ""),
        "reads": "1",
    }


def _counted(stack: Stack, rows: Iterable[Mapping[str, str]]) -> tuple[Reads, ...]:
    found: dict[tuple[str, str, str], tuple[int, str]] = {}
    for row in rows:
        name = _name(stack, row.get("secret", ""))
        if name is None or not row.get("reads", "").isdecimal():
            continue
        key = (row.get("principal", "unknown"), name, row.get("error", ""))
        count, last = found.get(key, (0, ""))
        found[key] = (count + int(row["reads"]), max(last, row.get("last", "")))
    return tuple(Reads(*key, *value) for key, value in sorted(found.items(), key=lambda item: (-item[1][0], item[0])))


def _name(stack: Stack, secret: str) -> str | None:
    """Return the catalogue name of a secret by what a request said: its ARN, with or without the suffix, or its name."""
    secret = refused_resource(secret) or secret
    return next(
        (name for name, arn in stack.secret_arns.items() if secret in {arn, arn.rpartition("-")[0], stack.full_names[name]}),
        None,
    )  # fmt: skip
