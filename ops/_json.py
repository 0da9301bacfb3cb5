"""JSON that somebody else wrote: it may be none, nest without end, or begin with a byte order mark."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast


def json_object(text: str) -> Mapping[str, Any] | None:
    """Return the object that a text is as JSON, None when it is none."""
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
        ValueError: When there is none; the message never quotes the content.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ValueError:
        raise ValueError(f"{path} is no JSON: it is no UTF-8 text") from None
    except RecursionError:
        raise ValueError(f"{path} is no JSON that can be read: it is nested too deeply") from None
