"""`ops history`: who changed a secret when. From CloudTrail's event history and the secret's versions; never a value."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ops._aws import Aws, connect
from ops._console import print_json, print_table, say, working
from ops._errors import DENIED, THROTTLED, AwsError, aws_errors, code_of, told
from ops._options import JsonOption, NameArgument, OutputsOption, StackOption
from ops._restoring import list_versions
from ops._secrets import Record
from ops._stack import in_sandbox, load
from ops.listing import existing

_DAYS = 90
"""How far CloudTrail's event history goes back. Source: AWS, "Working with CloudTrail event history"."""

_MOST_PAGES = 20
"""Pages of 50 events for each action."""

_ATTEMPTS = 3
_PAUSE_SECONDS = 0.5
"""Between two pages: AWS answers two a second. Source: AWS, CloudTrail API, LookupEvents."""

_ACTIONS = (
    "CreateSecret", "PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage", "RotateSecret", "RotationSucceeded",
    "RotationFailed", "RotationAbandoned", "CancelRotateSecret", "DeleteSecret", "RestoreSecret", "PutResourcePolicy",
    "DeleteResourcePolicy",
)  # fmt: skip
"""What changes a value, its labels or who can read it. Each is looked up by name: not every record lists its resources."""


@dataclass(frozen=True)
class Change:
    """Something that was done to a secret.

    Attributes:
        at: When, UTC.
        what: The API action, or `version` for a version without an event.
        who: ARN of the role or user, of a session with its name; "" when unknown.
        version: The version id that it wrote or moved a label to, "" for any other action.
        labels: The labels that this version has now.
        error: AWS's error code when the action was refused.
    """

    at: datetime
    what: str
    who: str
    version: str = ""
    labels: tuple[str, ...] = ()
    error: str = ""


def history(
    name: NameArgument, stack: StackOption = None, outputs: OutputsOption = None, *, json_: JsonOption = False
) -> None:
    """Show who changed a secret when, newest first: CloudTrail's last 90 days, and versions that are older. Never a value."""
    where = load(stack, outputs)
    arn = where.arn_of(name)
    aws = connect(where)
    record = existing(aws, where, arn)
    with working(f"Asking CloudTrail about {where.name_of(arn)}"):
        events, gap = _events(aws, record)
        changes = sorted(_merged(events, list(list_versions(aws, arn))), key=lambda change: change.at, reverse=True)
    if json_:
        print_json({"secret": where.name_of(arn), "arn": arn, "changes": [asdict(c) for c in changes], "gap": gap})
        return
    rows = [
        (
            f"{c.at:%Y-%m-%d %H:%M}", c.what + (f" ({c.error})" if c.error else ""),
            # The part of an ARN that identifies a person: `user/maria`, `deployer/pipeline-17`.
            c.who.rpartition(":")[2].removeprefix("assumed-role/") or "not recorded", ", ".join((c.version[:8], *c.labels)),
        )
        for c in changes
    ]  # fmt: skip
    print_table(f"History of {where.name_of(arn)} of {where.place}", ("UTC", "what", "who", "version"), rows)
    say(gap or f"CloudTrail's event history keeps {_DAYS} days; who wrote an older version is in the trail's bucket.")


class CutOffError(Exception):
    """CloudTrail has more events than were read."""


def look_up(aws: Aws, action: str, since: datetime, *, pages: int, attempts: int) -> Iterator[Mapping[str, Any]]:
    """Yield CloudTrail's records of an API action in this Region, newest first, from some pages of 50 events.

    Raises:
        CutOffError: After the last page, when there are more.
    """
    found = aws.client("cloudtrail", attempts=attempts).get_paginator("lookup_events")
    asked = [{"AttributeKey": "EventName", "AttributeValue": action}]
    for number, page in enumerate(found.paginate(LookupAttributes=asked, StartTime=since), start=1):
        if "Events" not in page:
            raise AwsError("CloudTrail's answer is empty")
        yield from (json.loads(event["CloudTrailEvent"]) for event in page["Events"])
        if page.get("NextToken"):
            time.sleep(_PAUSE_SECONDS)
            if number == pages:
                raise CutOffError


def _events(aws: Aws, record: Record) -> tuple[list[Change], str]:
    """Return CloudTrail's events of a secret, and why some are missing."""
    found: list[Change] = []
    gaps: list[str] = []
    since = datetime.now(UTC) - timedelta(days=_DAYS)
    for action in _ACTIONS:
        try:
            for event in look_up(aws, action, since, pages=_MOST_PAGES, attempts=_ATTEMPTS):
                if _is_about(record, event):
                    found.append(_change(event))  # noqa: PERF401 - what was found stays when a later page fails
        except CutOffError:
            gaps.append(action)
        except (AwsError, *aws_errors()) as error:
            why = told(error)
            if in_sandbox() and code_of(error) not in DENIED | THROTTLED:
                why = "the sandbox's local AWS has no CloudTrail events"
            return found, f"who changed it is not known: {why}"
        time.sleep(_PAUSE_SECONDS)
    return found, f"only the newest {_MOST_PAGES * 50:,} were read of: {', '.join(gaps)}" if gaps else ""


def _is_about(record: Record, event: Mapping[str, Any]) -> bool:
    """Return whether a CloudTrail record is about a secret, which it names by its name or ARN, with or without the suffix."""
    request, response = event.get("requestParameters") or {}, event.get("responseElements") or {}
    details = event.get("additionalEventData") or event.get("serviceEventDetails") or {}
    named = {
        request.get("secretId"),
        request.get("name"),
        response.get("arn"),
        *map(details.get, ("SecretId", "secretId")),
    }
    refused = refused_resource(str(event.get("errorMessage") or ""))
    return bool({record.arn, record.arn.rpartition("-")[0], record.name} & {*named, refused})


def refused_resource(message: str) -> str:
    """Return the ARN in the message of a refusal, whose record has no request, "" in another text."""
    return message.partition(" on resource: ")[2].split(" ", 1)[0]


def _change(event: Mapping[str, Any]) -> Change:
    at = datetime.fromisoformat(event["eventTime"])
    who, request = event.get("userIdentity") or {}, event.get("requestParameters") or {}
    # A write's token is the id of the version that it creates.
    version = request.get("clientRequestToken") or request.get("moveToVersionId") or ""
    name = who.get("arn") or who.get("invokedBy") or who.get("principalId") or ""
    return Change(at.astimezone(UTC), event["eventName"], name, version, error=event.get("errorCode") or "")


def _merged(events: Sequence[Change], versions: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    """Yield the events with the labels of their versions, then the versions that no event wrote."""
    labels = {version["VersionId"]: tuple(version.get("VersionStages", ())) for version in versions}
    for event in events:
        yield replace(event, labels=labels.get(event.version, ()))
    written = {event.version for event in events if not event.error and event.what != "UpdateSecretVersionStage"}
    for version in versions:
        if version["VersionId"] not in written:
            at = version["CreatedDate"].astimezone(UTC)
            yield Change(at, "version", "", version["VersionId"], labels[version["VersionId"]])
