"""AWS as one stack needs it: clients in the stack's Region, retries, a count of the calls, and the right account."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from ops._errors import AwsError, MisuseError
from ops._patience import CONNECT_SECONDS, READ_SECONDS, Patience
from ops._stack import Stack

T = TypeVar("T")
R = TypeVar("R")

_ATTEMPTS = 6
_THREADS = 8


@dataclass(frozen=True)
class Caller:
    """The owner of the credentials."""

    account: str
    arn: str


class Aws:
    """Clients of one session. Credentials and endpoint are AWS's standard chain; the Region is the stack's.

    Attributes:
        calls: How often each API action was sent, retries included, as `secrets-manager:GetSecretValue`.
    """

    def __init__(self, region: str, profile: str | None = None) -> None:
        _check_endpoint(os.environ.get("AWS_ENDPOINT_URL", ""))
        self.region = region
        self.calls: Counter[str] = Counter()
        self._session: Any = boto3.Session(region_name=region, profile_name=profile)
        self._clients: dict[tuple[str, str, int], Any] = {}
        self._lock = threading.Lock()
        self._session.events.register("before-send", self._count)
        Patience(self._session.events)

    def client(self, service: str, region: str | None = None, *, attempts: int | None = None) -> Any:
        """Return a client, one for each service and Region, by default the stack's.

        `attempts` are all calls when AWS throttles or fails, by default AWS_MAX_ATTEMPTS or six, with growing pauses. 300
        resource policies at AWS's 50 a second take 6.5 s this way, and 24 s in botocore's adaptive mode.
        """
        attempts = attempts or _attempts()
        key = (service, region or self.region, attempts)
        with self._lock:  # creating a client is not thread-safe, using one is
            if key not in self._clients:
                config = Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"mode": "standard", "total_max_attempts": attempts},
                    max_pool_connections=_THREADS,
                )
                self._clients[key] = self._session.client(service, region_name=region or self.region, config=config)
            return self._clients[key]

    def caller(self) -> Caller:
        """Return the owner of the credentials."""
        found = self.client("sts").get_caller_identity()
        return Caller(found["Account"], found["Arn"])

    def pages(self, service: str, operation: str, result: str, **parameters: object) -> Iterable[Any]:
        """Yield the items of all pages of an operation."""
        for page in self.client(service).get_paginator(operation).paginate(**parameters):
            yield from page.get(result, ())

    def each(self, function: Callable[[T], R], items: Iterable[T]) -> dict[T, R]:
        """Return a function's results by item, several at a time: for APIs that have no batch call."""
        listed = list(dict.fromkeys(items))
        with ThreadPoolExecutor(_THREADS) as pool:
            return dict(zip(listed, pool.map(function, listed), strict=True))

    def _count(self, event_name: str, **_: Any) -> None:
        service, operation = event_name.split(".")[1:]
        with self._lock:
            self.calls[f"{service}:{operation}"] += 1


def chunks(items: Sequence[T], size: int) -> list[list[T]]:
    """Return items in lists of at most some: what one call takes."""
    return [list(items[at : at + size]) for at in range(0, len(items), size)]


def _check_endpoint(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = not url or (parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0)
    except ValueError:
        usable = False
    if not usable:
        raise MisuseError(f"AWS_ENDPOINT_URL is not a URL: {url}")


def _attempts() -> int:
    text = os.environ.get("AWS_MAX_ATTEMPTS") or str(_ATTEMPTS)
    if not text.isdecimal() or int(text) < 1:
        raise MisuseError("AWS_MAX_ATTEMPTS is not a number above 0")
    return int(text)


def connect(stack: Stack, profile: str | None = None) -> Aws:
    """Return AWS for a stack, after checking that the credentials belong to the stack's account.

    Raises:
        AwsError: When they belong to another account.
    """
    aws = Aws(stack.region, profile)
    caller = aws.caller()
    if caller.account != stack.account:
        raise AwsError(
            f"your credentials belong to account {caller.account}, stack {stack.environment} is in {stack.account}: "
            "switch the profile (AWS_PROFILE) or the stack (--stack)"
        )
    return aws
