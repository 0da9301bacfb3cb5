"""Values in the formats of deployment files, and a placeholder for one that a file does not hold."""

import re
import shlex
from dataclasses import dataclass
from typing import Any, cast

_SECONDS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001, "": 1}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|)")


@dataclass(frozen=True)
class Unread:
    """Stands for a value that the file does not hold.

    Attributes:
        why: Where it comes from instead.
    """

    why: str


def as_words(raw: Any) -> list[Any]:
    """Return the words of a command that is given as a list or as one line for a shell."""
    if isinstance(raw, str):
        try:
            return shlex.split(raw)
        except ValueError:
            return [raw]
    return cast("list[Any]", raw) if isinstance(raw, list) else []


def seconds(raw: Any) -> Any:
    """Return the seconds of a duration such as `1m30s`; anything else as it is."""
    text = str(raw).strip()
    parts = _DURATION.findall(text)
    if not text or "".join(number + unit for number, unit in parts) != text:
        return raw
    return round(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def health_check(raw: Any, command: str) -> dict[str, Any] | None:
    """Return a health check of Compose or Copilot as ECS has it, None for none.

    Args:
        raw: With `interval`, `timeout`, `start_period` as durations, and `retries`.
        command: The key of its command.
    """
    if not isinstance(raw, dict) or not raw:
        return None
    found = cast("dict[str, Any]", raw)
    test: Any = found.get(command)
    words: Any = ["CMD-SHELL", test] if isinstance(test, str) else test or []
    names = {"interval": "interval", "timeout": "timeout", "start_period": "startPeriod"}
    times = {ecs: seconds(found[key]) for key, ecs in names.items() if key in found}
    rest = {key: value for key, value in found.items() if key not in {*names, command}}
    return {"command": words, **times, **rest}
