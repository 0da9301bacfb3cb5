"""A proxy before the local AWS that notes what the plain Pulumi CLI itself asks of S3 and KMS."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from sandbox import call_proxy

_S3 = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}
_TARGETS = {"TrentService": "kms"}


@contextmanager
def recording(endpoint: str) -> Generator[tuple[str, list[tuple[str, str]]]]:
    """Give the proxy's URL and the list that it fills: IAM's action, and the ARN of a bucket or object or ""."""
    asked: list[tuple[str, str]] = []

    def note(one: call_proxy.Exchange) -> None:
        asked.extend(_asked(one.method, one.path, one.headers))

    with call_proxy.forwarding(endpoint, note) as url:
        yield url, asked


def _asked(method: str, path: str, headers: Mapping[str, str]) -> list[tuple[str, str]]:
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
