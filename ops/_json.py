"""JSON from outside: it can be malformed, nested too deeply, or begin with a byte order mark."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast


def json_object(text: str) -> Mapping[str, Any] | None:
    """Return the JSON object in a text, None when the text is not one."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, Any]", parsed) if isinstance(parsed, dict) else None


def read_json(path: Path) -> object:
    """Return the document in a JSON file; a byte order mark, which Windows' editors write, is ignored.

    Raises:
        ValueError: When the file is not JSON; the message never quotes the content.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not JSON: it is not UTF-8 text") from None
    except ValueError:
        raise ValueError(f"{path} is not JSON: it holds a number that is too long") from None
    except RecursionError:
        raise ValueError(f"{path} can't be read as JSON: it is nested too deeply") from None
