"""SCRAM-SHA-256 as PostgreSQL and its own client library (libpq) do it, where that differs from the RFCs and from scramp.

- A password that SASLprep refuses (with an emoji, for example) is used as it is, in UTF-8; one of ASCII characters alone is
  used unchanged, control characters such as a tab included. Source: PostgreSQL, src/common/saslprep.c, `pg_saslprep`, and
  its callers, which fall back to the raw password on any result but success.
- The server's `scram_iterations` may be 1; scramp takes 4,096 at least, the RFC's recommendation.
- The user's name is the one in the start-up packet; the one in the SCRAM message is ignored (PostgreSQL, "SASL
  Authentication").
"""

import base64
import hashlib
import hmac
import os
import stringprep
import unicodedata
from typing import Any

import scramp
from scramp.core import IterationCount

# The server chooses the count. It has proved its name by its certificate before it is asked for one.
IterationCount.MIN_ITERATION_COUNT = 1  # pyright: ignore[reportAttributeAccessIssue] - inferred as the number that it had

_SALT_BYTES = 16  # the server's own choice: src/include/common/scram-common.h, SCRAM_DEFAULT_SALT_LEN


class Client(scramp.ScramClient):
    """The client's side of one authentication; the driver calls it."""

    def __init__(self, mechanisms: list[str], password: bytes, channel_binding: tuple[str, Any] | None) -> None:
        super().__init__(mechanisms, "ignored", "replaced", channel_binding)
        self.password = prepared(password)  # all that scramp does with it is `bytes(password)`


def verifier(password: str, iterations: int) -> str:
    """The text of pg_authid.rolpassword for a password: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey."""
    salt = os.urandom(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password.encode()), salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${iterations}:{salt_text}${stored_text}:{server_text}"


def prepared(password: bytes) -> bytes:
    """The bytes that PostgreSQL hashes for a password in UTF-8."""
    text = password.decode()
    if text.isascii():
        return password
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if stringprep.in_table_c12(character) or not stringprep.in_table_b1(character)
    )
    if not mapped or any(_is_prohibited(character) for character in mapped) or _mixes_directions(mapped):
        return password
    return unicodedata.normalize("NFKC", mapped).encode()


_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def _is_prohibited(character: str) -> bool:
    return any(is_in(character) for is_in in _PROHIBITED)


def _mixes_directions(text: str) -> bool:
    """Whether RFC 3454, section 6, forbids the text for its right-to-left characters."""
    right_to_left = [stringprep.in_table_d1(character) for character in text]
    if not any(right_to_left):
        return False
    return any(map(stringprep.in_table_d2, text)) or not (right_to_left[0] and right_to_left[-1])
