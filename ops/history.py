"""`ops history`: who changed a secret when. From CloudTrail's event history and the secret's versions; never a value."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ops._aws import Aws, connect
from ops._console import print_json, print_table, say, working
from ops._errors import aws_errors, explained
from ops._options import JsonOption, NameArgument, OutputsOption, StackOption
from ops._restoring import list_versions
from ops._secrets import Record
from ops._stack import load
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
        document = {"secret": where.name_of(arn), "arn": arn, "changes": [asdict(c) for c in changes], "gap": gap}
        print_json(document)
        return
    rows = [
        (f"{c.at:%Y-%m-%d %H:%M}", c.what + (f" ({c.error})" if c.error else ""), _short(c.who), _version(c))
        for c in changes
    ]
    print_table(f"History of {where.name_of(arn)} of {where.place}", ("UTC", "what", "who", "version"), rows)
    say(gap or f"CloudTrail's event history keeps {_DAYS} days; who wrote an older version is in the trail's bucket.")


def _events(aws: Aws, record: Record) -> tuple[list[Change], str]:
    """Return CloudTrail's events of a secret, and why some are missing."""
    found: list[Change] = []
    gaps: list[str] = []
    since = datetime.now(UTC) - timedelta(days=_DAYS)
    for action in _ACTIONS:
        token: dict[str, str] = {}
        for page_number in range(_MOST_PAGES):
            try:
                page = aws.client("cloudtrail", attempts=_ATTEMPTS).lookup_events(
                    LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": action}],
                    StartTime=since, MaxResults=50, **token,
                )  # fmt: skip
            except aws_errors() as error:
                return found, f"who changed it is not known: {explained(error)}"
            if "Events" not in page:
                return found, "who changed it is not known: CloudTrail's answer is empty"
            events = ((event["EventTime"], json.loads(event["CloudTrailEvent"])) for event in page["Events"])
            found += [_change(at, event) for at, event in events if _is_about(record, event)]
            time.sleep(_PAUSE_SECONDS)
            if not page.get("NextToken"):
                break
            token = {"NextToken": page["NextToken"]}
            if page_number == _MOST_PAGES - 1:
                gaps.append(action)
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
    # A refusal's record has no request; only the message has the ARN, `... on resource: ARN because ...`.
    _, _, refused = str(event.get("errorMessage") or "").partition(" on resource: ")
    return bool({record.arn, record.arn.rpartition("-")[0], record.name} & {*named, refused.split(" ", 1)[0]})


def _change(at: datetime, event: Mapping[str, Any]) -> Change:
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


def _version(change: Change) -> str:
    return ", ".join((change.version[:8], *change.labels))


def _short(arn: str) -> str:
    """Return the part of an ARN that identifies a person: `user/maria`, `deployer/pipeline-17`."""
    return arn.rpartition(":")[2].removeprefix("assumed-role/") or "not recorded"
