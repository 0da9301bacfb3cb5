"""What the doctor says of a value that a server accepts, too: dates, states and labels, as a table; and the command it prints."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from components.outputs import Part
from ops._secrets import Record, Rotation, Value
from ops.both_sides.servers import NoServerError, Server, State
from ops.doctor import servers
from ops.doctor.finding import Finding

ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:p-dev-app-config-AbCdEf"
REDIS = Part("generated", "redisPassword", accepted_by={"server": "ElastiCache", "host": "REDIS_HOST"})
NOW = datetime(2026, 1, 29, 12, 0, 0, tzinfo=UTC)
BEFORE, LATER = NOW - timedelta(days=1), NOW + timedelta(days=1)
ROTATE = "python -m ops rotate app-config --key TOKEN --stack dev"
STAGES = {"new": ("AWSCURRENT",), "old": ("AWSPREVIOUS",)}
RECORD = Record(ARN, "p-dev-app-config", stages=STAGES)


@dataclass
class Aws:
    """Answers with versions; reads of values are counted."""

    written: datetime
    previous: tuple[datetime, str] = (BEFORE, "a")
    reads: list[str] = field(default_factory=list[str])

    def client(self, _service: str, _region: str | None = None) -> "Aws":
        return self

    def list_secret_version_ids(self, **_: Any) -> dict[str, Any]:
        return {"Versions": [{"VersionId": "new", "CreatedDate": self.written}]}

    def get_secret_value(self, **asked: str) -> dict[str, Any]:
        self.reads.append(asked["VersionStage"])
        text = json.dumps({"TOKEN": self.previous[1]})
        return {"ARN": ARN, "Name": "n", "VersionId": "old", "CreatedDate": self.previous[0], "SecretString": text}


class Group(Server):
    """A server that is in one state."""

    kind, takes_two = "ElastiCache replication group", True
    wait_command = "aws elasticache wait replication-group-available --replication-group-id"

    def __init__(self, state: State) -> None:
        self.name, self._now = "tickets", state

    def state(self) -> State:
        return self._now

    def accept(self, value: str) -> None:
        raise AssertionError(value)


def same(answer: Any) -> Any:
    """Return a function that answers everything with this; with an exception, it raises it."""

    def answered(*_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return answered


def said(
    monkeypatch: pytest.MonkeyPatch,
    aws: Aws,
    found: State | Exception,
    *,
    record: Record = RECORD,
    key: str = "TOKEN",
    values: bool = True,
) -> Finding:
    monkeypatch.setattr(servers, "of_host", same(found if isinstance(found, Exception) else Group(found)))
    value = Value(ARN, "n", "new", ("AWSCURRENT",), aws.written, json.dumps({"TOKEN": "a", "API_KEY": "b"}))
    stack = SimpleNamespace(
        environment="dev",
        secrets={"app-config": SimpleNamespace(parts={key: REDIS, "API_KEY": Part("generated", "apiKey")})},
        name_of=same("app-config"),
    )
    snapshot: Any = SimpleNamespace(
        live=same({ARN: record}),
        stack=stack,
        values={ARN: value} if values else {},
        text=same(value.text if values else None),
    )
    untyped: Any = aws
    (finding,) = servers.check(untyped, snapshot)
    assert finding.check == "server"
    return finding


SETTLED = State(settled=True, changed=NOW)
TABLE: list[tuple[datetime, tuple[datetime, str], State, str, bool, str, str, str]] = [
    # written, the version before, the server, key, values read -> status, found, fix
    (BEFORE, (BEFORE, "a"), SETTLED, "TOKEN", True, "ok", "after the secret", ""),
    (LATER, (BEFORE, "a"), SETTLED, "TOKEN", True, "ok", "other keys of the secret have changed since", ""),
    (LATER, (BEFORE, "z"), SETTLED, "TOKEN", True, "failure", "it accepts another value", ROTATE),
    (LATER, (LATER, "a"), SETTLED, "TOKEN", True, "ok", "not checked: the value of ElastiCache", ""),
    (LATER, (BEFORE, "z"), SETTLED, "TOKEN", False, "ok", "not checked: the value of ElastiCache", ""),
    (LATER, (BEFORE, "z"), SETTLED, "", False, "failure", "accepts another value", "python -m ops rotate app-config --stack dev"),
    (LATER, (BEFORE, "z"), State(settled=True), "", True, "ok", "AWS does not report when its password was changed", ""),
    (BEFORE, (BEFORE, "a"), State(settled=False), "TOKEN", True, "warning", "is applying a change",
     "aws elasticache wait replication-group-available --replication-group-id tickets"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "previous", "state", "key", "values", "status", "found", "fix"), TABLE)
def test_the_servers_date_is_compared_with_the_secrets(  # noqa: PLR0917 - one column of the table each
    monkeypatch: pytest.MonkeyPatch,
    written: datetime,
    previous: tuple[datetime, str],
    state: State,
    key: str,
    values: bool,  # noqa: FBT001
    status: str,
    found: str,
    fix: str,
) -> None:
    aws = Aws(written, previous)
    finding = said(monkeypatch, aws, state, key=key, values=values)
    assert (finding.status, finding.fix) == (status, fix)
    assert found in finding.found
    assert values or not aws.reads, "--no-values reads none"


@pytest.mark.parametrize("labels", [("AWSPENDING", "ops-rotating"), ("AWSCURRENT", "ops-rotating", "ops-accepted")])
def test_an_unfinished_change_names_the_command_that_resumes(
    monkeypatch: pytest.MonkeyPatch, labels: tuple[str, ...]
) -> None:
    record = replace(RECORD, stages={"new": labels})
    finding = said(monkeypatch, Aws(NOW), SETTLED, record=record)
    assert (finding.status, finding.fix) == ("failure", ROTATE)


@pytest.mark.parametrize(
    ("last", "written", "status", "found"),
    [
        (None, NOW, "ok", "not checked: its function has not rotated it yet"),
        (NOW, BEFORE, "ok", "its function set it at ElastiCache on 2026-01-29 12:00 UTC"),
        (NOW, LATER, "ok", "the next rotation fails if ElastiCache does not accept it"),
    ],
)
def test_a_functions_secret_is_compared_with_its_last_rotation(
    monkeypatch: pytest.MonkeyPatch, last: datetime | None, written: datetime, status: str, found: str
) -> None:
    record = replace(RECORD, rotation=Rotation(enabled=True, lambda_arn="arn", last=last))
    finding = said(monkeypatch, Aws(written), SETTLED, record=record)
    assert finding.status == status
    assert found in finding.found


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (NoServerError("no ElastiCache replication group has the endpoint redis.internal"), "ok", "not checked: {}"),
        (servers.MisuseError("Amazon RDS manages the master user's password of tickets itself"), "warning", "{}"),
    ],
)
def test_a_server_that_is_not_found_or_does_not_check_the_value(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: str, text: str
) -> None:
    finding = said(monkeypatch, Aws(NOW), error)
    assert (finding.status, finding.found) == (status, text.format(error))


def test_an_unfinished_change_is_not_taken_for_a_label_left_behind(stack: Any, ops: Any) -> None:
    """Its command would take AWSPENDING off the value that the server may already accept."""
    stack.put("app-config", "{}", "AWSPENDING", "ops-rotating")
    done = ops(stack, "doctor", "--json")
    found = [f for f in done.json["findings"] if f["subject"].startswith("app-config") and f["status"] != "ok"]
    assert [(f["check"], f["fix"]) for f in found] == [
        ("server", "python -m ops rotate app-config --key REDIS_PASSWORD --stack dev")
    ]
