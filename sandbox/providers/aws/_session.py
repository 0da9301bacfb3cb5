"""The connection to the local AWS: loopback only, one client for each service and region, errors as the real plugin."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, ParamValidationError
from botocore.parsers import ResponseParserError

from sandbox.local_aws import is_loopback
from sandbox.providers import _validation
from sandbox.providers._resource import ProviderError
from sandbox.providers.aws import _record

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"max_attempts": 0},
    max_pool_connections=50,
    proxies={},
    s3={"addressing_style": "path"},
    parameter_validation=True,
)

_GONE = frozenset(
    {
        "ResourceNotFoundException", "ResourceNotFound", "NoSuchEntity", "NotFoundException", "NotFound",
        "NoSuchBucket", "NoSuchBucketPolicy", "NoSuchLifecycleConfiguration", "NoSuchPublicAccessBlockConfiguration",
        "OwnershipControlsNotFoundError", "ServerSideEncryptionConfigurationNotFoundError", "404",
        "DBSubnetGroupNotFoundFault", "DBClusterNotFoundFault", "DBInstanceNotFound", "DBInstanceNotFoundFault",
        "CacheSubnetGroupNotFound", "CacheSubnetGroupNotFoundFault",
        "ReplicationGroupNotFound", "ReplicationGroupNotFoundFault",
        "ClusterNotFoundException", "ServiceNotFoundException", "StateMachineDoesNotExist", "TrailNotFoundException",
    }
)  # fmt: skip


def require_loopback(endpoint: str) -> str:
    """The endpoint if its host is this machine's loopback; raises ProviderError."""
    if not is_loopback(urlsplit(endpoint).hostname or "") or urlsplit(endpoint).scheme not in ("http", "https"):
        raise ProviderError(
            f"the sandbox's stand-in of pulumi-aws only talks to this machine: the endpoint {endpoint!r} is not "
            "http://127.0.0.1:PORT"
        )
    return endpoint


@dataclass(frozen=True)
class Connection:
    """Where the local AWS is and with which credentials it is called; makes and keeps the clients."""

    endpoint: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    service_endpoints: Mapping[str, str] = field(default_factory=dict[str, str])
    session: Any = field(default_factory=botocore.session.Session, repr=False)
    record: Path | None = field(default_factory=_record.asked_for)
    _clients: dict[tuple[str, str, bool], Any] = field(
        default_factory=dict[tuple[str, str, bool], Any], init=False, repr=False
    )
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse an endpoint that is not on this machine."""
        require_loopback(self.endpoint)

    def client(self, service: str, region: str, *, recorded: bool = True) -> Any:
        """The client of a service in a region; making one costs 10 to 90 ms, so it is kept."""
        key = (service, region, recorded and self.record is not None)
        if key not in self._clients:
            with self._lock:  # botocore's session isn't safe to share between threads, its clients are
                if key not in self._clients:
                    self._clients[key] = self._new_client(*key)
        return self._clients[key]

    def _new_client(self, service: str, region: str, recorded: bool) -> Any:  # noqa: FBT001 - a part of the key
        client = self.session.create_client(
            service,
            region_name=region,
            endpoint_url=self.service_endpoints.get(service, self.endpoint),
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            aws_session_token=self.session_token,
            config=_CONFIG,
        )
        _validation.register(client)
        client.meta.events.register("after-call.*.*", _name_service)
        if recorded and self.record is not None:
            _record.register(client, region, self.record)
        return client


@dataclass(frozen=True, slots=True)
class Aws:
    """An account's region, as the calls of a resource see it."""

    connection: Connection
    account: str
    region: str

    def client(self, service: str) -> Any:
        """The client of a service in this region."""
        return self.connection.client(service, self.region)

    def own(self, service: str) -> Any:
        """The client for calls that only this stand-in makes, to be as strict as AWS where the local AWS is not."""
        return self.connection.client(service, self.region, recorded=False)

    @property
    def partition(self) -> str:
        """`aws`, `aws-us-gov` or `aws-cn`."""
        return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(self.region.rsplit("-", 2)[0], "aws")

    @property
    def dns_suffix(self) -> str:
        """`amazonaws.com`, in China `amazonaws.com.cn`."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a regional object of this account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def _name_service(parsed: dict[str, Any], model: Any, **_: Any) -> None:
    """Keep the service's name beside an error, which botocore's exception doesn't hold."""
    if "Error" in parsed:
        parsed["Service"] = model.service_model.service_id


def _of(error: Exception, part: str, member: str) -> Any:
    return error.response.get(part, {}).get(member) if isinstance(error, ClientError) else None


def code(error: Exception) -> str:
    """AWS's error code, empty for another kind of error."""
    return str(_of(error, "Error", "Code") or "")


def message(error: Exception) -> str:
    """AWS's error message, empty for another kind of error."""
    return str(_of(error, "Error", "Message") or "")


def status(error: Exception) -> int:
    """The answer's HTTP status, 0 for another kind of error."""
    return int(_of(error, "ResponseMetadata", "HTTPStatusCode") or 0)


def is_gone(error: Exception) -> bool:
    """Whether AWS says that the object doesn't exist."""
    return code(error) in _GONE or code(error).endswith(".NotFound")


def is_missing_in_emulator(error: Exception) -> bool:
    """Whether the local AWS doesn't have the operation."""
    return code(error) in ("500", "501", "InternalFailure", "NotImplemented", "UnknownOperationException")


def explain(error: Exception) -> str | None:
    """An AWS or connection error on one line, in the shape of the real plugin; None for anything else."""
    if isinstance(error, ClientError):
        if message(error).startswith("<"):  # moto's page for a breakdown of its own
            return f"operation error {error.operation_name}: the local AWS broke down (HTTP {code(error)})"
        service = error.response.get("Service") or "AWS"
        return (
            f"operation error {service}: {error.operation_name}, https response error StatusCode: {status(error)}, "
            f"{code(error)}: {message(error)}"
        )
    if isinstance(error, ResponseParserError):
        return "the local AWS broke down: its answer is none of AWS's"
    if isinstance(error, ParamValidationError):
        # botocore quotes the value; only what comes before it may be told.
        return str(error.kwargs["report"]).split(", value: ", maxsplit=1)[0]
    if isinstance(error, EndpointConnectionError):
        return f"{error} Is the local AWS running? python -m sandbox status"
    return f"{type(error).__name__}: {error}" if isinstance(error, BotoCoreError) else None
