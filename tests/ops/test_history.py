"""`ops history`: who changed a secret when. The records are those of tests/unit/corpus/cloudtrail, with the stack's own ARNs."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops._secrets import Record
from ops.history import _is_about
from tests.ops.conftest import Deployed, Ops

CORPUS = Path(__file__).parents[1] / "unit" / "corpus" / "cloudtrail"
JWT = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:service-ticket-system-prod-jwt-secret-Ef3Gh4"
PASSWORD = JWT.replace("jwt-secret-Ef3Gh4", "db-master-password-Ab1Cd2")


def records(name: str) -> dict[str, Mapping[str, Any]]:
    return {entry["case"]: entry["event"] for entry in json.loads((CORPUS / f"{name}.json").read_text())}


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.history._PAUSE_SECONDS", 0)


Trail = Callable[..., None]


@pytest.fixture
def trail(stack: Deployed, proxy: Any) -> Trail:
    """CloudTrail answers each look-up by an event's name with these records."""

    def answer(*events: Mapping[str, Any]) -> None:
        stack.endpoint = proxy.url
        pages = iter([events, *[()] * 30])

        def page() -> tuple[int, bytes]:
            # One page for all names: the first look-up gets everything.
            listed = [
                {"EventId": event["eventID"], "EventTime": _seconds(event), "CloudTrailEvent": json.dumps(event)}
                for event in next(pages)
            ]
            return 200, json.dumps({"Events": listed}).encode()

        proxy.before("LookupEvents", page)

    return answer


def _seconds(event: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(event["eventTime"]).timestamp()


def of_stack(stack: Deployed, event: Mapping[str, Any], **changes: Any) -> Mapping[str, Any]:
    text = json.dumps({**event, **changes}).replace(JWT, stack.arn("jwt-secret"))
    return json.loads(text.replace("111122223333", stack.account))


def test_who_changed_it_when_with_the_versions_labels(stack: Deployed, ops: Ops, trail: Trail) -> None:
    version = stack.put("jwt-secret", "v2")
    put = records("secrets")["value put by a user"]
    request = {"secretId": JWT, "clientRequestToken": version}
    refused = records("secrets")["PutSecretValue that was denied"]
    trail(of_stack(stack, put, requestParameters=request), of_stack(stack, refused))

    found = ops(stack, "history", "jwt-secret", "--json").json

    changes = {
        (change["what"], change["who"].rpartition(":")[2], change["error"]): change for change in found["changes"]
    }
    mallory = changes["PutSecretValue", "user/mallory", ""]
    assert (mallory["version"], mallory["labels"], mallory["at"]) == (
        version,
        ["AWSCURRENT"],
        "2026-11-24T10:02:00+00:00",
    )
    assert ("PutSecretValue", "assumed-role/developer/carol@example.com", "AccessDenied") in changes
    # The version before is in no record: it is there all the same.
    # moto itself removes the program's label when a value is written; the sandbox's keeps it.
    (before,) = (change["labels"] for change in found["changes"] if change["what"] == "version")
    assert set(before) - {"pulumi-live"} == {"AWSPREVIOUS"}
    assert found["gap"] == ""


def test_the_table_is_short_and_newest_first(stack: Deployed, ops: Ops, trail: Trail) -> None:
    put = records("secrets")["value put by a user"]
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    trail(of_stack(stack, put), of_stack(stack, put, eventTime=later, eventID="2"))
    done = ops(stack, "history", "jwt-secret")
    lines = done.out.splitlines()
    assert lines[2].startswith(later[:16].replace("T", " "))
    assert "user/mallory" in lines[2]
    assert stack.values["jwt-secret"] not in done.out + done.err
    assert "CloudTrail's event history keeps 90 days" in done.err


def test_records_of_other_secrets_are_left_out(stack: Deployed, ops: Ops, trail: Trail) -> None:
    events = [event for name in ("secrets", "service") for event in records(name).values()]
    trail(*json.loads(json.dumps(events).replace("-dev-", "-test-")))
    assert {change["what"] for change in ops(stack, "history", "jwt-secret", "--json").json["changes"]} == {"version"}


@pytest.mark.parametrize(
    ("case", "arn"),
    [
        ("value put by a user", JWT),
        ("PutSecretValue that was denied", JWT),
        ("rotation succeeded", PASSWORD),
        ("rotation failed, with the ARN among the service's details", PASSWORD),
    ],
)
def test_every_form_of_a_record_names_its_secret(case: str, arn: str) -> None:
    event = {**records("secrets"), **records("service")}[case]
    name = arn.rpartition(":")[2][:-7]
    assert _is_about(Record(arn, name), event)
    assert not _is_about(Record(arn.replace("-prod-", "-dev-"), name.replace("-prod-", "-dev-")), event)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (400, b'{"__type": "AccessDeniedException"}', "you are not allowed to call LookupEvents"),
        (400, b'{"__type": "ThrottlingException"}', "AWS still throttles LookupEvents"),
        (500, b"{}", "AWS"),
        (502, b"<html></html>", "something between you and AWS answers"),
        (200, b"", "CloudTrail's answer is empty"),
    ],
)
def test_a_cloudtrail_that_is_denied_or_down_leaves_the_versions(
    stack: Deployed, ops: Ops, proxy: Any, *, status: int, body: bytes, why: str
) -> None:
    stack.endpoint = proxy.url
    proxy.before("LookupEvents", lambda: (status, body))
    done = ops(stack, "history", "jwt-secret", env={"AWS_MAX_ATTEMPTS": "1"})
    assert "AWSCURRENT" in done.out
    assert done.status == 0
    assert f"who changed it is not known: {why}" in done.err


@pytest.mark.parametrize(
    ("status", "body"), [(500, b"<html></html>"), (404, b"{}"), (200, b""), (200, b"<html></html>")]
)
def test_in_the_sandbox_there_are_no_events(
    stack: Deployed, ops: Ops, proxy: Any, monkeypatch: pytest.MonkeyPatch, *, status: int, body: bytes
) -> None:
    monkeypatch.setattr("ops.history.in_sandbox", lambda: True)
    stack.endpoint = proxy.url
    proxy.before("LookupEvents", lambda: (status, body))
    done = ops(stack, "history", "jwt-secret", env={"AWS_MAX_ATTEMPTS": "1"})
    assert "AWSCURRENT" in done.out
    assert "who changed it is not known: the sandbox's local AWS has no CloudTrail events\n" in done.err
