"""The rotation function's deployment archive: the same bytes on every machine, so that an unchanged function never deploys.

Pure: reads files, returns bytes. It contains the function's package, the database driver with its dependencies from the
installed, pinned distributions, and an
optional CA bundle. Bytes depend on nothing else: names are sorted,
times and modes are fixed, bytecode and what an installer leaves behind (RECORD, INSTALLER, ...) stay out, and entries are
stored rather than deflated, since zlib's output differs between its implementations and versions (1.3 MB; Lambda takes 50 MB).
"""

import atexit
import base64
import functools
import hashlib
import importlib.metadata
import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.engines import ENGINES

ROTATION_PACKAGE = Path(__file__).resolve().parent / "functions" / "rotate_password"
ROTATION_HANDLER = "rotate_password.rotate.handler"
CA_BUNDLE_NAME = "ca-bundle.pem"
"""The CA bundle's path in the archive: the value of the function's variable CA_BUNDLE."""

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first time that a zip file can hold
_READABLE_FILE = 0o100644 << 16  # Lambda runs as another user than the one that unpacks
_UNIX = 3


@dataclass(frozen=True)
class Archive:
    """A deployment archive in memory."""

    content: bytes

    @functools.cached_property
    def sha256(self) -> str:
        """The digest as Lambda gives it in CodeSha256 and Pulumi takes it in source_code_hash: base64."""
        return base64.b64encode(hashlib.sha256(self.content).digest()).decode()

    @functools.cached_property
    def path(self) -> Path:
        """A file that holds it until this process ends: Pulumi takes archives from files, and compares them by their hash."""
        folder = Path(tempfile.mkdtemp(prefix="rotation-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = folder / "rotate_password.zip"
        path.write_bytes(self.content)
        return path


def rotation_archive(engine: str, ca_bundle: bytes | None = None, *, package: Path = ROTATION_PACKAGE) -> Archive:
    """Build the archive of the rotation function for one of `ENGINES`.

    `ca_bundle` is a PEM file's content, shipped as `CA_BUNDLE_NAME`. Raises `ValueError` when an installed file is not the
    one that its distribution shipped, and `importlib.metadata.PackageNotFoundError` when a distribution is missing.
    """
    files = {f"{package.name}/{path.relative_to(package).as_posix()}": path.read_bytes() for path in _sources(package)}
    for distribution in ENGINES[engine].driver:
        files |= _distribution_files(importlib.metadata.distribution(distribution))
    if ca_bundle is not None:
        files[CA_BUNDLE_NAME] = ca_bundle
    return Archive(_zip(files))


def _sources(package: Path) -> Iterator[Path]:
    return (path for path in package.rglob("*") if path.is_file() and _is_wanted(path.relative_to(package).as_posix()))


def _distribution_files(distribution: importlib.metadata.Distribution) -> dict[str, bytes]:
    """The distribution's modules, its METADATA (pg8000 and scramp ask for their versions) and its licence."""
    files: dict[str, bytes] = {}
    for path in distribution.files or []:
        if not _is_wanted(str(path)):
            continue
        content = Path(str(path.locate())).read_bytes()
        if path.hash:
            digest = base64.urlsafe_b64encode(hashlib.new(path.hash.mode, content).digest()).decode().rstrip("=")
            if digest != path.hash.value:
                raise ValueError(
                    f"{path} of {distribution.name} {distribution.version} was changed after its installation"
                )
        files[path.as_posix()] = content
    return files


def _is_wanted(name: str) -> bool:
    parts = name.split("/")
    if name.endswith((".pyc", ".pyo")) or {"__pycache__", ".."} & set(parts):
        return False
    if parts[0].endswith(".dist-info"):
        return parts[1] == "METADATA" or "LICENSE" in parts[-1].upper()
    return True


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.create_system = _UNIX
            entry.external_attr = _READABLE_FILE
            archive.writestr(entry, files[name])
    return buffer.getvalue()
