"""What CloudTrail records of the calls that reach the local AWS, in the form of tests/unit/corpus/cloudtrail.

A proxy stands before the local AWS. A session that AssumeRole gave is recognised by its key. The sandbox signs in as one role for
every command: a test says who runs one, and what nobody runs is the test that looks.
"""

import json
import re
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.session

from sandbox import call_proxy, local_aws
from sandbox.call_proxy import Exchange
from sandbox.home import Home
from tests.unit.pattern_evaluator import filter_matches

Record = dict[str, Any]
_KEY = re.compile(r"Credential=([^/]+)/")
_READS = re.compile(r"(Get|List|Describe|BatchGet|Head|Lookup|Validate|Simulate|Query|Filter)")
_HIDDEN = {"secretString", "secretBinary", "authToken", "masterUserPassword", "plaintext", "code"}
_SOURCES = {"stepfunctions": "states", "cloudwatch": "monitoring"}
_INVOKED_BY = {"rotation": "lambda.amazonaws.com", "execution": "ecs-tasks.amazonaws.com"}


@dataclass
class Trail:
    """Every call of one account, in its order.

    Attributes:
        caller: Role and session of whoever runs the sandbox's commands now, None while the test looks.
        calls: Role, service, operation, and parameters as the SDK spells them.
    """

    account: str
    region: str
    records: list[Record] = field(default_factory=list[Record])
    caller: tuple[str, str] | None = None
    calls: list[tuple[str, str, str, Any]] = field(default_factory=list[tuple[str, str, str, Any]], repr=False)
    _sessions: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]], repr=False)

    @contextmanager
    def by(self, role: str | None, session: str = "alice@example.com") -> Generator[None]:
        """Attribute the sandbox's own calls to a role of the account, or to nobody: AWS, or the test that looks."""
        before, self.caller = self.caller, (role, session) if role else None
        try:
            yield
        finally:
            self.caller = before

    def service_event(self, name: str, secret_arn: str) -> None:
        """Record what Secrets Manager itself does. Source: AWS, "AWS CloudTrail entries for Secrets Manager"."""
        self.records.append(
            {
                "eventVersion": "1.11",
                "userIdentity": {"accountId": self.account, "invokedBy": "secretsmanager.amazonaws.com"},
                "eventSource": "secretsmanager.amazonaws.com",
                "eventName": name,
                "awsRegion": self.region,
                "requestParameters": None,
                "additionalEventData": {"SecretId": secret_arn},
                "readOnly": False,
                "eventType": "AwsServiceEvent",
                "recipientAccountId": self.account,
            }
        )

    def counts(self, filters: Iterable[Mapping[str, Any]]) -> Counter[str]:
        """Return how many records each metric counts, by the filters as CloudWatch Logs describes them."""
        found: Counter[str] = Counter()
        patterns = [(one["metricTransformations"][0]["metricName"], one["filterPattern"]) for one in filters]
        for record in self.records:
            found.update({metric for metric, pattern in patterns if filter_matches(pattern, record)})
        return found

    def readers(self) -> set[str]:
        """Return the names of the roles that read a value."""
        reads = [record for record in self.records if record["eventName"] == "GetSecretValue"]
        return {record["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"] for record in reads}

    def write_calls(self, role: str, path: Path) -> None:
        """Write what a role called in the format of SANDBOX_RECORD_CALLS."""
        lines = [
            json.dumps({"service": service, "operation": operation, "parameters": parameters})
            for name, service, operation, parameters in self.calls
            if name == role
        ]
        path.write_text("\n".join(lines), encoding="utf-8")

    def note(self, one: Exchange) -> None:
        """Record an exchange, if it belongs to this account."""
        service, operation, region = call_proxy.called(one.method, one.path, one.headers, one.body)
        key = _KEY.search(one.headers.get("authorization", ""))
        caller = self._caller(key[1] if key else "")
        parameters = _parameters(service, operation, one)
        if (service, operation) == ("sts", "AssumeRole") and one.status == 200:
            self._sign_in(parameters, one.answer, region)
        if caller is None:
            return
        shown = {name: value for name, value in parameters.items() if name[:1].lower() + name[1:] not in _HIDDEN}
        self.calls.append((caller[0], service, operation, shown))
        self.records.append(self._record(self._session(*caller), (service, operation, region, parameters), one))

    def _caller(self, key: str) -> tuple[str, str] | None:
        role, session = self._sessions.get(key, ("", ""))
        if role.split(":")[4:5] != [self.account]:
            return None
        return self.caller if session == "sandbox" else (role.rpartition("/")[2], session)

    def _sign_in(self, parameters: Any, answer: bytes, region: str) -> None:
        role, session = str(parameters["RoleArn"]), str(parameters["RoleSessionName"])
        self._sessions[_of_tag("AccessKeyId", answer)] = role, session
        service = next((by for end, by in _INVOKED_BY.items() if role.endswith(f"-{end}")), None)
        if service and role.split(":")[4] == self.account:
            identity = {"type": "AWSService", "invokedBy": service}
            self.records.append(self._record(identity, ("sts", "AssumeRole", region, parameters), None))

    def _session(self, role: str, session: str) -> dict[str, Any]:
        issuer = f"arn:aws:iam::{self.account}:role/{role}"
        return {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLE:{session}",
            "arn": f"arn:aws:sts::{self.account}:assumed-role/{role}/{session}",
            "accountId": self.account,
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": issuer, "userName": role}},
        }

    def _record(self, identity: Mapping[str, Any], call: tuple[str, str, str, Any], one: Exchange | None) -> Record:
        service, operation, region, parameters = call
        record: Record = {
            "eventVersion": "1.11",
            "userIdentity": identity,
            "eventSource": f"{_SOURCES.get(service, service)}.amazonaws.com",
            "eventName": operation,
            "awsRegion": region,
            "requestParameters": _spelled(parameters) or None,
            "responseElements": None,
            "readOnly": bool(_READS.match(operation)),
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": self.account,
        }
        if one is not None and one.status >= 400:
            code, message = _error(one.answer)
            record |= {"errorCode": code, "errorMessage": message}
            if code.startswith("AccessDenied"):
                record["requestParameters"] = None
        return record


@contextmanager
def recorded(home: Home, account: str, region: str) -> Generator[Trail]:
    """Start the local AWS of a home that has none, and record what is asked of it there."""
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    aws = local_aws.ensure(home, None, status=lambda _: None, say=lambda _: None, forget=lambda _: [])
    trail = Trail(account, region)
    with call_proxy.forwarding(aws.endpoint, trail.note) as url:
        path = home.root / "moto.json"
        recorded = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(recorded | {"port": urlsplit(url).port}), encoding="utf-8")
        yield trail


def _parameters(service: str, operation: str, one: Exchange) -> Any:
    """Return the parameters as the SDK spells them: of AWS's JSON protocols, its query protocol, or a path."""
    if one.headers.get("x-amz-target"):
        return json.loads(one.body or b"{}")
    if one.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return _flat(parse_qsl(one.body.decode(), keep_blank_values=True))
    found: dict[str, Any] = {}
    try:
        model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    except Exception:  # noqa: BLE001 - no such operation: its record has no parameters
        return found
    pattern = re.sub(r"\\\{(\w+)(?:\\\+)?\\\}", r"(?P<\1>.+?)", re.escape(model.http["requestUri"].partition("?")[0]))
    if match := re.fullmatch(pattern, urlsplit(one.path).path):
        found |= match.groupdict()
    if service == "s3":
        found["bucketName"] = urlsplit(one.path).path.split("/")[1]
    if one.headers.get("content-type", "").startswith("application/json") and one.body:
        found |= json.loads(one.body)
    return found


def _flat(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the parameters of AWS's query protocol; a list (`PolicyArns.member.1`, `Tags.Tag.1.Key`) has all its texts."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        first, dot, _ = name.partition(".")
        if dot:
            found.setdefault(first, []).append(value)
        elif name not in {"Action", "Version"}:
            found[name] = value
    return found


def _spelled(value: Any) -> Any:
    """Return parameters as CloudTrail spells them; a value that it hides stays hidden."""
    if isinstance(value, dict):
        named = {f"{name[:1].lower()}{name[1:]}": item for name, item in value.items()}
        return {
            name: "HIDDEN_DUE_TO_SECURITY_REASONS" if name in _HIDDEN else _spelled(item)
            for name, item in named.items()
        }
    return [_spelled(item) for item in value] if isinstance(value, list) else value


def _error(answer: bytes) -> tuple[str, str]:
    try:
        found = json.loads(answer)
        return str(found.get("__type", "")).rpartition("#")[2], str(found.get("message") or found.get("Message"))
    except ValueError:
        return _of_tag("Code", answer), _of_tag("Message", answer)


def _of_tag(tag: str, answer: bytes) -> str:
    found = re.search(rf"<{tag}>(.*?)</{tag}>".encode(), answer, re.DOTALL)
    return found[1].decode() if found else ""
