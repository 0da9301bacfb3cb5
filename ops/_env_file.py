"""A file of `KEY=VALUE` lines, as `.env` files are."""

import re
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream


class Elsewhere(str):
    """Stands for a value that the file takes from elsewhere: the name of the variable."""

    __slots__ = ()


def parse_env(text: str, source: str) -> dict[str, str]:
    """Return the values by variable; for a variable that is set twice, the last one, as every reader of such files does.

    Raises:
        ValueError: When a line can't be read, or none sets a variable; the message never quotes the content.
    """
    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise ValueError(f"{source} is not an env file: line {binding.original.line} can't be read")
        if binding.key is None:
            continue
        value = binding.value or ""
        quoted = "'" in binding.original.string.partition("=")[2][:2]
        names = [] if quoted else re.findall(r"\$\{(\w+)", value)
        found[binding.key] = Elsewhere(names[0]) if names else value
    if not found:
        raise ValueError(f"{source} is not an env file: it sets no variable")
    return found


def read_env_file(path: Path) -> dict[str, str]:
    """Return the values in a file by variable.

    Raises:
        ValueError: When it can't be read, or takes a value from elsewhere.
    """
    try:
        found = parse_env(path.read_text(encoding="utf-8-sig"), str(path))
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    if elsewhere := [f"{name} from {value}" for name, value in found.items() if isinstance(value, Elsewhere)]:
        raise ValueError(
            f"{path} takes {', '.join(elsewhere)}: write the value, in single quotation marks if ${{ is part of it"
        )
    return found
