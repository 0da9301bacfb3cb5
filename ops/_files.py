"""Files that are written whole or not at all."""

import os
from pathlib import Path

from ops._errors import MisuseError


def write_whole(place: str | Path, data: bytes, *, private: bool = False) -> None:
    """Write a file in place of what is there, not of what that links to. Only its owner can read a private one.

    Raises:
        MisuseError: When it can't be written; it is as it was then.
    """
    path = Path(place)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(
            os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666), "wb"
        ) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise MisuseError(f"{place} can't be written: {error.strerror}") from None
