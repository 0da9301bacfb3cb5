"""A proxy before the local AWS that records which operations a plugin calls, in the format of SANDBOX_RECORD_CALLS.

The official plugin can't be asked for its calls, so its requests are read: AWS's protocols name the operation in a header, in the
path or in the form, and the REST ones by method and path, which botocore's service models list. Bodies and headers are not kept.
"""

import functools
import http.client
import json
import re
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sandbox.providers.aws import _record

_SCOPE = re.compile(r"Credential=[^/]*/[0-9]*/(?P<region>[^/]*)/(?P<service>[^/]*)/aws4_request")
_SERVICES = {"monitoring": "cloudwatch", "states": "stepfunctions"}
"""botocore's names of services that sign with another one."""
_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Exchange:
    """One request and its answer; header names are in lower case. `repr` shows no body and no header."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    status: int
    answer: bytes = field(repr=False)


@contextmanager
def recording(endpoint: str, path: Path) -> Generator[str]:
    """Forward to an endpoint and add a line to a file for each request; yields the proxy's URL."""

    def note(one: Exchange) -> None:
        service, operation, region = called(one.method, one.path, one.headers, one.body)
        line = {"service": service, "operation": operation, "region": region, "parameters": {}}
        _record.append(path, json.dumps(line, sort_keys=True))

    with forwarding(endpoint, note) as url:
        yield url


@contextmanager
def forwarding(endpoint: str, note: Callable[[Exchange], None]) -> Generator[str]:
    """Forward to an endpoint and note each exchange before it is answered; yields the proxy's URL."""
    target = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # an answer is two writes

        def forward(self) -> None:
            body, headers = self._body(), {key.lower(): value for key, value in self.headers.items()}
            sent = {key: value for key, value in headers.items() if key not in _HOP} | {
                "content-length": str(len(body))
            }
            connection = http.client.HTTPConnection(target, timeout=60)
            try:
                connection.request(self.command, self.path, body, sent)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            note(Exchange(self.command, self.path, headers, body, answer.status, content))
            self.send_response_only(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in _HOP:
                    self.send_header(key, value)
            length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = forward  # noqa: N815 - the base's own names

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts: list[bytes] = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(parts)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own
            """Nothing: a request's headers are credentials."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def called(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[str, str, str]:
    """Return service, operation and Region of a request; the service is boto3's, header names are in lower case."""
    scope = _SCOPE.search(headers.get("authorization", ""))
    signed, region = (scope["service"], scope["region"]) if scope else ("", "")
    service = _SERVICES.get(signed, signed)
    address = urlsplit(path)
    if service == "s3" and address.path.startswith("/v20180820/"):
        service = "s3control"
    if target := headers.get("x-amz-target"):
        return service, target.rpartition(".")[2], region
    if cbor := re.fullmatch(r"/service/[^/]+/operation/(\w+)", address.path):
        return service, cbor[1], region
    query = parse_qs(address.query, keep_blank_values=True)
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        query |= parse_qs(body.decode("utf-8", "replace"))
    named = query.get("Action") or query.get("x-id")
    return service, named[0] if named else _by_path(service, method, address.path, query), region


def _by_path(service: str, method: str, path: str, query: Mapping[str, object]) -> str:
    """The operation of a REST protocol: the one whose template asks for the most of this query."""
    found = [
        (len(wanted), name)
        for name, verb, template, wanted in _templates(service)
        if verb == method and wanted <= set(query) and template.fullmatch(path.rstrip("/") or "/")
    ]
    return max(found, key=lambda one: one[0])[1] if found else f"{method} {path}"


@functools.cache
def _templates(service: str) -> list[tuple[str, str, re.Pattern[str], frozenset[str]]]:
    from botocore.exceptions import UnknownServiceError  # noqa: PLC0415 - as in local_aws
    from botocore.loaders import Loader  # noqa: PLC0415
    from botocore.model import ServiceModel  # noqa: PLC0415

    try:
        # A loader that nothing else uses: the first S3 request of a client takes the bucket out of the paths of its model.
        model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    except UnknownServiceError:
        return []
    found: list[tuple[str, str, re.Pattern[str], frozenset[str]]] = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        if operation.deprecated:  # S3 has an old and a new form of some, at the same address
            continue
        path, _, query = str(operation.http["requestUri"]).partition("?")
        pattern = re.escape(path.rstrip("/") or "/")
        pattern = re.sub(r"\\\{\w+\\\+\\\}", ".+", pattern)
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", pattern)
        wanted = frozenset(parse_qs(query, keep_blank_values=True))
        found.append((name, operation.http["method"], re.compile(pattern), wanted))
    return found
