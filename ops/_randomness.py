"""Decides whether a text was drawn at random, as keys are, or written by a person.

It measures what such texts consist of: in a random text letters, capitals and digits alternate, and no syllables form; in one
that a person wrote, they come in runs. The entropy of a single text of 16 characters says little.
"""

import re
from itertools import pairwise

_MIN_CHARACTERS, _MIN_SHORT_CHARACTERS = 16, 12
"""The shortest text that is judged, and the shortest of small letters, capitals and digits; shorter ones are words too often."""

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_WRITTEN = re.compile(
    UUID + r"|[a-z]+(-[a-z]+)*-[0-9a-f]{8}(?:[0-9a-f]{9})?"  # an id of an AWS resource: subnet-0a1b2c3d4e5f67890
    r"|[a-z]{2}(-[a-z]+)+-\d_[A-Za-z0-9]{9}"  # a user pool: eu-west-1_AbCdEfGhI
    r"|\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?)?"
    r"|[+-]?[\d .,:/-]+"
    r"|(\d{1,3}\.){3}\d{1,3}(/\d+)?(:\d+)?",
    re.IGNORECASE,
)
_HOST = re.compile(r"([a-z0-9_*]([a-z0-9_-]*[a-z0-9])?\.)+[a-z]{2,}\.?(:\d{1,5})?(/.*)?")
_HEX = re.compile(r"(0x)?[0-9a-fA-F]{16,}")
_ALPHABET = re.compile(r"[A-Za-z0-9+/=_.~-]+")
_WORDS = re.compile(r"([A-Z]?[a-z]{2,}|[A-Z]{2,})+")
_MIXED_CHANGES, _SMALL_CHANGES, _SHORT_CHANGES = 0.3, 0.2, 0.55
"""Share of neighbours of different kind (small letter, capital, digit) above which a text was not written: 0.62 is expected of
base 62, 0.4 of small letters with digits (the second limit; the third is for short texts), below 0.25 has camelCase."""

_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{6,}", re.IGNORECASE)
_MIN_DISTINCT = 8
_SPECIAL = re.compile(r"[!#$%^&*?~@+]")
_PASSWORD = re.compile(r"[!-~]{8,64}")
_CODE = re.compile(
    r"[\[\](){}<>|\\;`]|\$[A-Z][A-Z_]{2,}\b|^\$\w+$|://|^\W+$|^[\d.,:%/+*-]+$|^[^@\s]+@[\w-]+(\.[\w-]+)+$|%[sd]\b|%\(|%Y.%m|%H.%M"
)


def is_random(text: str) -> bool:
    """Return whether a text, or a long part of it between separators, was drawn at random."""
    text = text.strip().strip("\"'")
    if _WRITTEN.fullmatch(text) or _HOST.fullmatch(text):
        return False
    if " " in text or not _ALPHABET.fullmatch(text):
        return any(is_random(part) for part in re.split(r"[^A-Za-z0-9+/=_.~-]+", text) if len(part) < len(text))
    parts = [part for part in re.split(r"[./_=~-]+", text) if part]
    if any(_drawn(part) for part in parts):
        return True
    # A key of base64url or base64 holds separators itself; a name of words does, too.
    joined = re.sub(r"[+/_=.~-]", "", text)
    words = sum(1 for part in parts if _WORDS.fullmatch(part))
    return words <= len(parts) // 2 and max(map(len, parts), default=0) > 3 and _drawn(joined)  # noqa: PLR2004 - a syllable


def is_password_like(text: str) -> bool:
    """Return whether a text has what password rules require: small and capital letters, digits, a special character."""
    if not _PASSWORD.fullmatch(text) or _CODE.search(text):
        return False
    kinds = (r"[a-z]", r"[A-Z]", r"\d")
    return all(re.search(kind, text) for kind in kinds) and bool(_SPECIAL.search(text))


def _drawn(text: str) -> bool:
    if (
        len(text) < _MIN_SHORT_CHARACTERS
        or len(set(text.lower())) < _MIN_DISTINCT
        or text.isdigit()
        or _sequential(text)
    ):
        return False
    if _HEX.fullmatch(text):
        return any(c.isdigit() for c in text) and any(c.isalpha() for c in text.removeprefix("0x"))
    if len(text) < _MIN_CHARACTERS and not all(re.search(kind, text) for kind in ("[a-z]", "[A-Z]", r"\d")):
        return False
    kinds = [2 if c.isdigit() else 1 if c.isupper() else 0 for c in text if c.isalnum()]
    changes = sum(a != b for a, b in pairwise(kinds)) / max(len(kinds) - 1, 1)
    if len(text) < _MIN_CHARACTERS:
        return changes >= _SHORT_CHANGES
    return changes >= (_MIXED_CHANGES if 1 in kinds else _SMALL_CHANGES) or bool(_CONSONANTS.search(text))


def _sequential(text: str) -> bool:
    """Return whether most characters follow their neighbour: abcdef, 012345."""
    return sum(abs(ord(a) - ord(b)) <= 1 for a, b in pairwise(text)) > len(text) / 2
