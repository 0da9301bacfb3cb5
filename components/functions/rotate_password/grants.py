"""The privileges of a user that the function creates: one line of text for each, as in the configuration.

A line is a part of GRANT without a recipient: `SELECT, INSERT ON ALL TABLES IN SCHEMA public`. It names privileges one by one and
one object, so it can neither make a user an administrator nor allow it to pass a privilege on. Source: PostgreSQL, "GRANT".
"""

import re
from dataclasses import dataclass

PRIVILEGES = {
    "DATABASE": ("CONNECT", "CREATE", "TEMPORARY"),
    "SCHEMA": ("CREATE", "USAGE"),
    "ALL TABLES IN SCHEMA": ("DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"),
    "ALL SEQUENCES IN SCHEMA": ("SELECT", "UPDATE", "USAGE"),
}
"""What can be granted, by the kind of object."""

RULE = "such as `CONNECT ON DATABASE tickets` or `SELECT, INSERT ON ALL TABLES IN SCHEMA public`"

_LINE = re.compile(rf"([A-Z, ]+) ON ({'|'.join(PRIVILEGES)}) ([^\x00-\x1f\x7f\"]{{1,63}})")


@dataclass(frozen=True)
class Grant:
    """Privileges on one database or schema, or on all tables or sequences that a schema has at that moment."""

    privileges: tuple[str, ...]
    on: str
    """A key of `PRIVILEGES`."""
    name: str
    """The name of the database or schema as stored, without quotes."""


def parse(line: str) -> Grant:
    """Read one line; raises `ValueError` with what is wrong."""
    found = _LINE.fullmatch(line)
    if not found:
        raise ValueError(f"is {line[:80]!r}")
    privileges = tuple(dict.fromkeys(part.strip() for part in found[1].split(",")))
    if unknown := [privilege for privilege in privileges if privilege not in PRIVILEGES[found[2]]]:
        raise ValueError(
            f"grants {unknown[0] or 'nothing'!r} on {found[2]}; allowed: {', '.join(PRIVILEGES[found[2]])}"
        )
    return Grant(privileges, found[2], found[3])
