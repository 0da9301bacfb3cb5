"""Tells whether a variable's value is, or looks like, a secret. Answers are reasons for people and never hold the value."""

import base64
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlsplit

from model.declarations import PASSWORD_IN_URL, PLAIN_NAME, SECRET_NAME
from ops._json import json_object

# Capitals, then camel case: DB_PASSWORD, dbPassword, DBPassword. Digits belong to no word: TOKEN_V2, PASSWORD1.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORD = re.compile(
    r".*(PASSWORD|PASSWD|PASSPHRASE|PASSCODE|SECRET|TOKEN|CREDENTIAL)S?"
    r"|(API|ACCESS|PRIVATE|SIGNING|ENCRYPTION|SECRET|MASTER|AUTH|SESSION|SSH)?KEYS?"
    r"|(DB|SMTP|USER)?(PASS|PWD)|CREDS?|DSN|SALTS?|PEPPER|AUTH|BEARER|PSK|PRIV"
)
# After a secret's word: the variable tells something about a secret.
_ABOUT = re.compile(
    r"(AGE|ALG|ALGORITHM|ALIAS|ARN|AUDIENCE|BACKEND|BUCKET|COLUMN|COUNT|DAY|DIR|DISABLED|DOMAIN|ENABLED|ENDPOINT|EXPIRATION"
    r"|EXPIRE|EXPIRY|FIELD|FILE|FORMAT|HEADER|HOST|HOUR|ID|ISSUER|ITERATION|LEN|LENGTH|LIFETIME|LIMIT|MAX|METHOD|MIN"
    r"|MINUTE|MODE|NAME|PATH|PATTERN|POLICY|PORT|PREFIX|PROVIDER|REALM|REGION|REQUIRED|ROUND|SCHEME|SECOND|SERVER"
    r"|SERVICE|SIZE|SPACE|STRATEGY|SUFFIX|TIMEOUT|TTL|TYPE|URI|URL|USER|USERNAME|VERSION)S?"
)
# Before KEY: no key that opens anything.
_OPEN_KEYS = {"CACHE", "FOREIGN", "IDEMPOTENCY", "ISSUE", "OBJECT", "PARTITION", "PRICE", "PUBLIC", "ROUTING", "SORT"}
_NO_SECRET = re.compile(r"|true|false|yes|no|on|off|none|null|-?\d{1,6}", re.IGNORECASE)
_SETS = re.compile(r"(?<![\w-])-{0,2}(\w[\w-]*)[=:](?=\s*([^\s,;&]+))")
_HTTP_CREDENTIALS = re.compile(r"(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)
_OPEN_PEM = re.compile(r"-----BEGIN (\w+ )?(PUBLIC KEY|CERTIFICATE)-----")
# A private key of PKCS #8, PKCS #1 or SEC 1 begins with a version; a public key and a certificate don't. Source: RFC 5958,
# 8017 and 5915.
_PRIVATE_DER = re.compile(rb"\x30([\x00-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01]", re.DOTALL)
_ENTROPY = ("Base64HighEntropyString", "HexHighEntropyString")
# Characters below which a part of a value is no key.
_KEY_CHARACTERS = 20
# The name is judged here, and an address is no secret.
_NOT_USED = ("KeywordDetector", "IPPublicDetector")


def why_secret(name: str, value: str) -> str | None:
    """Return why a variable must not stay in the clear, None when nothing speaks for a secret.

    In this order: a key format that is known for certain, a URL with a password, the variable's name, what the value sets, its
    entropy (detect-secrets' detectors and limits). Of a JSON object every value is looked at, under its own key.
    """
    return next(filter(None, (_why(*part) for part in _parts(name, value))), None)


def why_refused(name: str, value: str) -> str | None:
    """Return why settings.py would refuse a plain variable, None when it takes it: told here before anything is set."""
    if not PLAIN_NAME.fullmatch(name):
        return "has no name that a plain variable can have: letters, digits and _, no digit first"
    if SECRET_NAME.fullmatch(name):
        return "has a name that the program refuses for a plain variable"
    return "is a URL with a password" if _url_with_password(value) else None


def why_text_is_secret(text: str) -> str | None:
    """Return why a text that is no variable (a command, a label, a log option) seems to hold a secret."""
    for word in re.split(r"[\s=,;'\"]+", text):
        if word and (known := _known_format("word", word)):
            return f"holds a known format: {known}"
        if _url_with_password(word):
            return "holds a URL with a password"
    return _what_it_sets(text)


def _parts(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield a variable and, when it is a JSON object, everything in it by the key that it stands under."""
    yield name, value
    todo: list[tuple[str, Any]] = [*(json_object(value) or {}).items()]
    for key, part in todo:
        if isinstance(part, dict):
            todo += cast("dict[str, Any]", part).items()
        elif isinstance(part, list):
            todo += ((key, item) for item in cast("list[Any]", part))
        else:
            yield key, str(part)


def _why(name: str, value: str) -> str | None:
    if _NO_SECRET.fullmatch(value.strip()):
        return None
    if known := _known_format(name, value):
        return f"holds a known format: {known}"
    if _url_with_password(value):
        return "is a URL with a password"
    if _is_name_of_secret(name):
        return "has the name of a secret"
    return _what_it_sets(value) or ("is as random as a key" if _is_random(name, value) else None)


def _is_name_of_secret(name: str) -> bool:
    words = [word.upper() for word in _WORD.findall(name)]
    found = [at for at, word in enumerate(words) if _SECRET_WORD.fullmatch(word)]
    if not found:
        return False
    word, before, after = words[found[-1]], words[: found[-1]], words[found[-1] + 1 :]
    if word in {"KEY", "KEYS"} and before and before[-1] in _OPEN_KEYS:
        return False
    # A key's id is no secret, but the `secret_id` of Vault's AppRole is one.
    return not any(_ABOUT.fullmatch(other) for other in after) or (word, *after) == ("SECRET", "ID")


def _what_it_sets(text: str) -> str | None:
    # `secret:NAME` in an ARN sets nothing. The value is only looked at, since it may set something itself: `a=b,key=c`.
    for name, value in _SETS.findall(re.sub(r"\barn:\S+", "", text)):
        if _is_name_of_secret(name) and not _NO_SECRET.fullmatch(value) and "$" not in value:
            return f"sets {name}"
    return None


def _url_with_password(value: str) -> bool:
    if PASSWORD_IN_URL.search(value):
        return True
    try:
        return any(urlsplit(word).password for word in re.split(r"[\s,;]+", value) if "://" in word)
    except ValueError:  # brackets that are no IPv6 address
        return False


def _is_private_key(value: str) -> bool:
    start = value.lstrip()[:12]
    return bool(re.fullmatch(r"[A-Za-z0-9+/]{12}", start) and _PRIVATE_DER.match(base64.b64decode(start)))


def _known_format(name: str, value: str) -> str | None:
    found = {kind for plugin, kind in _findings(name, value) if plugin not in _ENTROPY}
    if _is_private_key(value):
        found.add("Private Key")
    if _HTTP_CREDENTIALS.fullmatch(value.strip()):
        found.add("HTTP Credentials")
    return ", ".join(sorted(found)) or None


def _is_random(name: str, value: str) -> bool:
    from detect_secrets.filters.heuristic import is_potential_uuid, is_sequential_string  # noqa: PLC0415 - start-up

    # The detectors look at values of one character set; a key often stands behind a prefix or between dots.
    parts = (value, *(part for part in re.split(r"[^A-Za-z0-9+/=_]", value) if len(part) >= _KEY_CHARACTERS))
    # A digest, a public key and a certificate are random, and no secret.
    return not ("sha256:" in value or _OPEN_PEM.search(value)) and any(
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
