"""Values in the formats of deployment files, and a placeholder for one that a file does not hold."""

import re
import shlex
from dataclasses import dataclass
from typing import Any, cast

from ops._env_file import Elsewhere, parse_env

_SECONDS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001, "": 1}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|)")


@dataclass(frozen=True)
class Unread:
    """Stands for a value that the file does not hold; `why` says where it comes from instead."""

    why: str


def mapping(value: Any, key: str = "") -> dict[str, Any]:
    """Return an object as it is, a text as the value of `key` where one is given, {} for anything else."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    return {key: value} if key and isinstance(value, str) else {}


def items(value: Any) -> list[Any]:
    """Return a list as it is, [] for anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_words(raw: Any) -> list[Any]:
    """Return the words of a command that is given as a list or as one line for a shell."""
    if not isinstance(raw, str):
        return items(raw)
    try:
        return shlex.split(raw)
    except ValueError:
        return [raw]


def seconds(raw: Any) -> Any:
    """Return the seconds of a duration such as `1m30s`; anything else as it is."""
    text = str(raw).strip()
    parts = _DURATION.findall(text)
    if not text or "".join(number + unit for number, unit in parts) != text:
        return raw
    return round(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def health_check(raw: Any, command: str) -> dict[str, Any] | None:
    """Return a health check of Compose or Copilot as ECS has it, None for none; `command` is the key of its command."""
    found = mapping(raw)
    if not found:
        return None
    test = found.get(command)
    names = {"interval": "interval", "timeout": "timeout", "start_period": "startPeriod"}
    times = {ecs: seconds(found[key]) for key, ecs in names.items() if key in found}
    rest = {key: value for key, value in found.items() if key not in {*names, command}}
    return {"command": ["CMD-SHELL", test] if isinstance(test, str) else test or [], **times, **rest}


def variables_in(text: str, source: str, taker: str) -> dict[str, str | Unread]:
    """Return the variables of an env file; `taker` is what takes some from elsewhere, in words. ValueError when it is none."""
    found = parse_env(text, source)
    return {k: Unread(f"{taker} takes it from {v}") if isinstance(v, Elsewhere) else v for k, v in found.items()}
