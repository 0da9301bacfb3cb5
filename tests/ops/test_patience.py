"""An endpoint that hangs: a line says what is waited for, and one clear error comes before a person gives up.

`ops list` wrote nothing for 150 s.
"""

import socket
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from ops._aws import Aws
from ops._patience import COMMAND_SECONDS, READ_SECONDS, _Watch
from tests.ops.conftest import Deployed as Stack
from tests.ops.conftest import script


@pytest.fixture
def hanging() -> Generator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("command", [("list",), ("doctor",), ("reveal", "jwt-secret", "--yes")])
def test_a_hanging_endpoint_is_one_error_after_two_attempts(
    command: tuple[str, ...], stack: Stack, ops: Any, hanging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops._aws.READ_SECONDS", 0.3)
    stack.endpoint = hanging

    done = ops(stack, *command)

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: Read timeout on endpoint URL")
    assert "check the network, a proxy, AWS_ENDPOINT_URL" in done.err
    assert done.err.count("\n") == 1


def test_an_endpoint_that_gave_no_answer_is_left_alone(
    stack: Stack, ops: Any, proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor asks forty times; each of them would wait."""
    monkeypatch.setattr("ops._aws.READ_SECONDS", 0.3)
    stack.endpoint = proxy.url
    waited = threading.Event()
    proxy.before("ListClusters", lambda: waited.wait(2) and None)

    done = ops(stack, "doctor", "--json")

    waited.set()
    assert done.status == 2
    assert proxy.seen.count("ListClusters") == 2
    assert set(proxy.seen) == {"GetCallerIdentity", "ListClusters"}
    assert all("could not be checked: " in f["found"] for f in done.json["findings"] if f["status"] != "ok")


def test_a_refused_connection_is_tried_three_times(stack: Stack, ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[Any]()

    def at_once(*_: Any) -> int:  # nobody waits here
        return 0

    def connected(where: Stack) -> Any:
        asked.append(aws := Aws(where.region))
        return aws.caller()

    monkeypatch.setattr(ExponentialBackoff, "delay_amount", at_once)
    monkeypatch.setattr("ops._ownership.connect", connected)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))  # bound, but not listening
        stack.endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"

        done = ops(stack, "set", "jwt-secret", "--yes")

    assert done.status == 2
    assert done.err.startswith("error: Could not connect to the endpoint URL")
    assert asked[0].calls["sts:GetCallerIdentity"] == 3


def test_a_pulumi_that_hangs_is_one_error(
    stack: Stack, ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops._patience.COMMAND_SECONDS", 0.6)
    monkeypatch.setattr("ops._patience._TELL_SECONDS", 0.1)
    path = script(tmp_path, "pulumi", "exec sleep 60")
    environment = {**stack.variables, **path, "SANDBOX_HOME": str(tmp_path)}

    done = ops(None, "list", "--stack", "dev", env=environment)

    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines() == [
        "waiting for `pulumi stack output`",
        "error: `pulumi stack output` did not answer within 0.6 s: check the network and its backend, or give --outputs FILE",
    ]


def test_it_is_said_once_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops._patience._TELL_SECONDS", 0.05)
    told, said = list[str](), threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        said.set()

    watch = _Watch(tell)
    watch.begin("secretsmanager.eu-west-1.amazonaws.com", "secrets-manager GetSecretValue")
    assert said.wait(20)
    time.sleep(0.2)
    watch.end()

    assert max(READ_SECONDS * 2, COMMAND_SECONDS) <= 30, "a time that a person waits"
    assert told == ["waiting for secrets-manager GetSecretValue (secretsmanager.eu-west-1.amazonaws.com)"]
