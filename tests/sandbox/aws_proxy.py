"""A proxy before the local AWS that notes what the plain Pulumi CLI itself asks of S3 and KMS."""

import http.client
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

_S3 = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}
_TARGETS = {"TrentService": "kms"}


@contextmanager
def recording(endpoint: str) -> Generator[tuple[str, list[tuple[str, str]]]]:
    """Give the proxy's URL and the list that it fills: IAM's action, and the ARN of a bucket or object or ""."""
    asked: list[tuple[str, str]] = []
    netloc = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.extend(_asked(self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
            connection = http.client.HTTPConnection(netloc, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in {"transfer-encoding", "connection", "content-length", "server", "date"}:
                    self.send_header(key, value)
            self.send_header(
                "Content-Length",
                answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(content)),
            )
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815 - the base's own names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own
            """Nothing: a request's headers are credentials."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def _asked(method: str, path: str, headers: dict[str, str]) -> list[tuple[str, str]]:
    """Source: AWS, "Required permissions for Amazon S3 API operations"; KMS API, X-Amz-Target."""
    if target := headers.get("x-amz-target"):
        service, _, operation = target.partition(".")
        return [(f"{_TARGETS.get(service, service)}:{operation}", "")]
    bucket, _, key = unquote(urlsplit(path).path).lstrip("/").partition("/")
    if not bucket:
        return []  # sts:GetCallerIdentity, which needs no right
    if not key:
        return [("s3:ListBucket", f"arn:aws:s3:::{bucket}")]
    found = [(_S3[method], f"arn:aws:s3:::{bucket}/{key}")]
    if source := headers.get("x-amz-copy-source"):
        found.append(("s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}"))
    return found
