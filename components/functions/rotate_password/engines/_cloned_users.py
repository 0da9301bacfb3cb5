"""Two database users that act as one: `app`, which owns everything, and `app_clone`, a second way to sign in as it.

How the clone equals its original, and stays equal:
- It is a member of the original (GRANT app TO app_clone), so it has all its privileges and ownership, also those granted
later. No copy can get out of date.
- Its sessions start as the original (ALTER ROLE app_clone SET role = app). Otherwise it would own the objects that it
creates, out of the original's reach after the next rotation, and default privileges, row security and attributes like
  CREATEDB or BYPASSRLS, which membership does not carry over, would differ. RESET ROLE and DISCARD ALL keep it.
- Only settings that PostgreSQL looks up by the sign-in name are copied: ALTER ROLE ... SET (for all databases and for single
  ones), the connection limit and VALID UNTIL.

The superuser needs only CREATEROLE (Amazon's rds_superuser has it) and, from PostgreSQL 16, the ADMIN option on the
original, which the creator of a role has.
"""

import re
from collections.abc import Iterator

from ..errors import Cause, RotationError
from ._quoting import identifier, literal
from ._statements import Statements

SUFFIX = "_clone"
_LONGEST_NAME = 63
"""Bytes of a PostgreSQL identifier; a longer one is truncated silently, so original and clone could become the same."""

# Settings whose stored value is a list of quoted identifiers (GUC_LIST_QUOTE in PostgreSQL's sources). SET takes them one
# by one; as one literal, "a, b" would become a single name with a comma in it.
_LISTS = {
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
}

Settings = dict[tuple[str, str], str]
"""Values of ALTER ROLE ... SET by database ("" for all) and setting, as stored in pg_db_role_setting."""


def original(user: str) -> str:
    """The name without the suffix."""
    return user.removesuffix(SUFFIX)


def other(user: str) -> str:
    """The next user of the pair; raises `RotationError` if the clone's name would be too long."""
    if user.endswith(SUFFIX):
        return original(user)
    if len((user + SUFFIX).encode()) > _LONGEST_NAME:
        message = (
            f"the username has {len(user.encode())} bytes; with {SUFFIX!r} appended PostgreSQL allows {_LONGEST_NAME}, so it "
            f"can have {_LONGEST_NAME - len(SUFFIX)}"
        )
        raise RotationError(Cause.SECRET, message)
    return user + SUFFIX


def require_original(session: Statements, user: str) -> None:
    """Raise `RotationError` unless the original of `user` exists and can sign in."""
    rows = session.run("SELECT rolcanlogin FROM pg_roles WHERE rolname = :name", name=original(user))
    if not rows:
        message = (
            "the database has no user of the name in the secret's username"
            + (f" without {SUFFIX!r}" if user.endswith(SUFFIX) else "")
            + ": create it, list its privileges in rotation.grants, or correct the secret"
        )
        raise RotationError(Cause.DATABASE, message)
    if not rows[0][0]:
        raise RotationError(Cause.DATABASE, "the user in the secret is not allowed to sign in (NOLOGIN)")


def set_verifier(session: Statements, user: str, verifier: str) -> None:
    """Set the password of `user`; create a missing clone, and make it match its original. `verifier` is an SQL literal."""
    if user == original(user):
        session.run(f"ALTER ROLE {identifier(user)} PASSWORD {verifier}")
    else:
        _set_clone(session, user, verifier)


def _set_clone(session: Statements, clone: str, verifier: str) -> None:
    base = original(clone)
    [[limit, valid_until]] = session.run(
        "SELECT rolconnlimit, coalesce(rolvaliduntil::text, 'infinity') FROM pg_roles WHERE rolname = :name", name=base
    )
    exists = session.run("SELECT oid FROM pg_roles WHERE rolname = :name", name=clone)
    session.run(
        f"{'ALTER' if exists else 'CREATE'} ROLE {identifier(clone)} LOGIN INHERIT PASSWORD {verifier} "
        f"CONNECTION LIMIT {int(limit)} VALID UNTIL {literal(valid_until)}"
    )
    session.run(f"GRANT {identifier(base)} TO {identifier(clone)}")
    wanted = {("", "role"): base} | _settings(session, base)
    found = _settings(session, clone)
    if found != wanted:
        for statement in _change_settings(clone, found, wanted):
            session.run(statement)


def _settings(session: Statements, user: str) -> Settings:
    rows = session.run(
        "SELECT coalesce(datname, ''), unnest(setconfig) FROM pg_db_role_setting "
        "JOIN pg_roles ON pg_roles.oid = setrole LEFT JOIN pg_database ON pg_database.oid = setdatabase "
        "WHERE rolname = :name",
        name=user,
    )
    found: Settings = {}
    for database, setting in rows:
        name, _, value = str(setting).partition("=")
        found[database, name] = value
    return found


def _change_settings(clone: str, found: Settings, wanted: Settings) -> Iterator[str]:
    for database in sorted({database for database, _ in found}):
        yield f"{_alter(clone, database)} RESET ALL"
    for (database, name), value in sorted(wanted.items()):
        parts = _names(value) if name in _LISTS else [value]
        yield f"{_alter(clone, database)} SET {identifier(name)} TO {', '.join(map(literal, parts))}"


def _alter(clone: str, database: str) -> str:
    return f"ALTER ROLE {identifier(clone)}" + (f" IN DATABASE {identifier(database)}" if database else "")


def _names(listed: str) -> list[str]:
    """Split a stored list of identifiers: `"$user", public` is $user and public, an empty list is one empty name."""
    found = re.findall(r'"((?:[^"]|"")*)"|([^\s",]+)', listed)
    return [quoted.replace('""', '"') or plain for quoted, plain in found] or [""]
