"""How long a command waits for an endpoint: as long as a person does, and it says what it waits for.

botocore retries a call that got no answer as often as one that was throttled: with its own time-outs a command that reaches
nothing writes nothing for minutes. Here an endpoint that gave no answer twice is left alone for a while. The same for other
programs, such as `pulumi` with a backend that does not answer.
"""

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectionError,  # noqa: A004 - botocore's
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from ops._console import say
from ops._errors import MisuseError

CONNECT_SECONDS, READ_SECONDS = 5, 15
"""AWS answers within a second or two; FilterLogEvents and LookupEvents take several."""

COMMAND_SECONDS = 30
"""`pulumi` answers within a second or two, more slowly with a state in S3."""

_PAGES, _START = (b"<!doctype html", b"<html"), 20
_TELL_SECONDS = 4.0
_REST_SECONDS = 30.0
_TIMES = {
    ConnectTimeoutError: 2,
    ReadTimeoutError: 2,
    EndpointConnectionError: 3,
    ProxyConnectionError: 3,
    ConnectionClosedError: 3,
}
"""How often a call without an answer is sent in total."""


class _Watch:
    """Reports which request is late."""

    def __init__(self, tell: Callable[[str], None] = say) -> None:
        self._tell = tell
        self._timers: dict[int, threading.Timer] = {}
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self, host: str, text: str) -> None:
        self.end()
        timer = self._timers[threading.get_ident()] = threading.Timer(_TELL_SECONDS, self._late, (host, text))
        timer.daemon = True
        timer.start()

    def end(self) -> None:
        if timer := self._timers.pop(threading.get_ident(), None):
            timer.cancel()

    def _late(self, host: str, text: str) -> None:
        with self._lock:  # several threads wait for one host; a line for it is enough
            now = time.monotonic()
            if now - self._told.get(host, -_REST_SECONDS) >= _REST_SECONDS:
                self._told[host] = now
                self._tell(f"waiting for {text}{host and f' ({host})'}")


_watch = _Watch()


def run_command(
    command: Sequence[str],
    what: str,
    *,
    stdin: str = "",
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    instead: str = "",
) -> "subprocess.CompletedProcess[str]":
    """Run another program, which messages call `what`, whatever its exit status.

    Raises:
        MisuseError: When it can't be started, or does not answer within COMMAND_SECONDS; `instead` says what to do then.
    """
    _watch.begin("", what)
    try:
        return subprocess.run(  # noqa: S603 - words that this project chose, and names that it checked; no shell
            command, input=stdin, capture_output=True, text=True, encoding="utf-8", check=False, cwd=folder,
            env=environment, timeout=COMMAND_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise MisuseError(
            f"{what} did not answer within {COMMAND_SECONDS:g} s: check the network and its backend{instead}"
        ) from None
    except OSError as error:
        raise MisuseError(f"{what} can't be started: {error.strerror}") from None
    finally:
        _watch.end()


class Patience:
    """The patience with the endpoints of one session."""

    def __init__(self, events: Any) -> None:
        """Register with a session's events, before its first client is created."""
        self._dead: dict[str, tuple[float, Exception]] = {}
        events.register("before-send", self._sent)
        events.register("response-received", self._answered)
        events.register("needs-retry", self._again)
        events.register("before-parse", _of_aws)

    def _sent(self, event_name: str, request: Any, **_: Any) -> None:
        host = urlsplit(request.url).netloc
        since, error = self._dead.get(host, (0.0, None))
        if error and time.monotonic() - since < _REST_SECONDS:
            raise error
        service, operation = event_name.split(".")[1:]
        _watch.begin(host, f"{service} {operation}")

    def _answered(self, **_: Any) -> None:
        _watch.end()

    def _again(self, attempts: int, caught_exception: Exception | None, request_dict: Any, **_: Any) -> None:
        """Raise the error in place of an answer after enough attempts; botocore decides about everything else."""
        if not isinstance(caught_exception, HTTPClientError | ConnectionError):  # botocore's own two families
            return
        times = next((times for kind, times in _TIMES.items() if isinstance(caught_exception, kind)), None)
        host = urlsplit(request_dict["url"]).netloc
        if host in self._dead or (times and attempts >= times):
            self._dead[host] = (time.monotonic(), caught_exception)
            raise caught_exception


def _of_aws(response_dict: Any, **_: Any) -> None:
    """Refuse an HTML page from something before AWS: botocore would read it as an empty answer."""
    body = response_dict["body"]
    if isinstance(body, bytes) and body.lstrip()[:_START].lower().startswith(_PAGES):
        _watch.end()
        raise ResponseParserError("a page in HTML")
