"""A Lambda function's code: a Pulumi asset or archive as the bytes of a zip file.

The same content gives the same bytes: names sorted, one date, one mode.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox.providers._resource import ProviderError
from sandbox.providers._values import Asset

_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip file can hold."""


def zipped(code: Asset) -> bytes:
    """The archive as a zip file; raises ProviderError for what the sandbox can't fetch or read."""
    path = code.fields.get("path")
    if path and Path(path).is_file() and zipfile.is_zipfile(path):
        return Path(path).read_bytes()
    files = dict(_files(code, ""))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def _files(code: Any, at: str) -> Iterator[tuple[str, bytes]]:
    """The name and content of each file."""
    if not isinstance(code, Asset):
        raise ProviderError("the code of a function must be an archive of files")
    fields = code.fields
    if "assets" in fields:
        assets: Mapping[str, Any] = fields["assets"]
        for name, asset in assets.items():
            yield from _files(asset, f"{at}/{name}" if at else str(name))
    elif "text" in fields:
        yield at, str(fields["text"]).encode()
    elif "path" in fields:
        yield from _on_disk(Path(fields["path"]), at, is_archive=code.kind == "archive")
    else:
        raise ProviderError(f"the sandbox fetches nothing from the network: asset {fields.get('uri', '')}")


def _on_disk(path: Path, at: str, *, is_archive: bool) -> Iterator[tuple[str, bytes]]:
    prefix = f"{at}/" if at else ""
    if path.is_dir():
        for file in sorted(item for item in path.rglob("*") if item.is_file()):
            yield prefix + file.relative_to(path).as_posix(), file.read_bytes()
    elif not path.is_file():
        raise ProviderError(f"asset {path} does not exist")
    elif is_archive:
        raise ProviderError(f"asset {path} is not a folder, and only a whole archive may be a zip file")
    else:
        yield at or path.name, path.read_bytes()
