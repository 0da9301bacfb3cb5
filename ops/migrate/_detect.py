"""Tells whether a variable's value is, or looks like, a secret. Answers are reasons for people and never hold the value."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlsplit

# The endings that settings.py refuses for a plain variable, and a few that only an older deployment would use.
_SECRET_NAME = re.compile(
    r".*(PASSWORD|PASSWD|PASS|PWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|ENCRYPTION_?KEY|ACCESS_?KEY|SIGNING_?KEY|CREDENTIALS?|DSN)",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(r"|true|false|yes|no|on|off|none|null|-?\d{1,6}", re.IGNORECASE)
_ENTROPY = ("Base64HighEntropyString", "HexHighEntropyString")
# Characters below which a part of a value is no key.
_KEY_CHARACTERS = 20
# The name is judged here, and an address is no secret.
_NOT_USED = ("KeywordDetector", "IPPublicDetector")


def why_secret(name: str, value: str) -> str | None:
    """Return why a variable must not stay in the clear, None when nothing speaks for a secret.

    In this order: a key format that is known for certain, a URL with a password, the variable's name, the value's entropy
    (detect-secrets' detectors and limits).
    """
    if _NO_SECRET.fullmatch(value.strip()):
        return None
    if known := _known_format(name, value):
        return f"holds a known format: {known}"
    if _url_with_password(value):
        return "is a URL with a password"
    if _SECRET_NAME.fullmatch(name):
        return "has the name of a secret"
    return "is as random as a key" if _is_random(name, value) else None


def why_text_is_secret(text: str) -> str | None:
    """Return why a text that is no variable (a command, a label, a log option) seems to hold a secret."""
    for word in re.split(r"[\s=,;'\"]+", text):
        if word and (known := _known_format("word", word)):
            return f"holds a known format: {known}"
        if _url_with_password(word):
            return "holds a URL with a password"
    for name, value in re.findall(r"-{0,2}([A-Za-z][\w-]*)[=:]\s*(\S+)", text):
        if _SECRET_NAME.fullmatch(name.replace("-", "_")) and not _NO_SECRET.fullmatch(value) and "$" not in value:
            return f"sets {name}"
    return None


def json_object(value: str) -> Mapping[str, Any] | None:
    """Return the object that a value is as JSON, None when it is none."""
    if not value.lstrip().startswith("{"):
        return None
    try:
        parsed: object = json.loads(value)
    except ValueError:
        return None
    return cast("Mapping[str, Any]", parsed) if isinstance(parsed, dict) else None


def _url_with_password(value: str) -> bool:
    try:
        return "://" in value and bool(urlsplit(value).password)
    except ValueError:  # brackets that are no IPv6 address
        return False


def _known_format(name: str, value: str) -> str | None:
    found = sorted(kind for plugin, kind in _findings(name, value) if plugin not in _ENTROPY)
    return ", ".join(found) or None


def _is_random(name: str, value: str) -> bool:
    from detect_secrets.filters.heuristic import is_potential_uuid, is_sequential_string  # noqa: PLC0415 - start-up

    # The detectors look at values of one character set; a key often stands behind a prefix or between dots.
    parts = (value, *(part for part in re.split(r"[^A-Za-z0-9+/=_]", value) if len(part) >= _KEY_CHARACTERS))
    return "sha256:" not in value and any(
        plugin in _ENTROPY
        for part in parts
        if not is_potential_uuid(part) and not is_sequential_string(part)
        for plugin, _ in _findings(name, part)
    )


def _findings(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield the detector and the kind of what detect-secrets finds in a variable."""
    line = f'{name} = "{value}"'
    for plugin in _detectors():
        for found in plugin.analyze_line(filename="task definition", line=line, line_number=1):
            yield type(plugin).__name__, found.type


@lru_cache(maxsize=1)
def _detectors() -> tuple[Any, ...]:
    # Imported late: `python -m ops --help` must not load it. The classes are used directly, since the library keeps its
    # settings in globals; none of their analyses calls out, only `verify` would.
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415 - start-up

    classes = get_mapping_from_secret_type_to_class().values()
    return tuple(cls() for cls in sorted(classes, key=lambda cls: cls.__name__) if cls.__name__ not in _NOT_USED)
