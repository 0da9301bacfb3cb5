"""The application's user, created when the database does not have it, with the privileges that the configuration names.

GRANT may only warn, and grant nothing, where the superuser is not allowed to grant. So every privilege is checked
afterwards, in the same transaction. Source: PostgreSQL, "GRANT", Notes.
"""

from ..errors import Cause, RotationError
from ..grants import Grant
from ._quoting import identifier
from ._statements import Statements

# CASE: PostgreSQL is free in the order of AND, and has_sequence_privilege fails for what is not a sequence.
_LACKING = {
    "DATABASE": "SELECT 1 WHERE NOT has_database_privilege(:user, :name, :privilege)",
    "SCHEMA": "SELECT 1 WHERE NOT has_schema_privilege(:user, :name, :privilege)",
    "ALL TABLES IN SCHEMA": (
        "SELECT 1 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = :name "
        "AND CASE WHEN relkind IN ('r', 'p', 'v', 'm', 'f') THEN NOT has_table_privilege(:user, pg_class.oid, :privilege) END"
    ),
    "ALL SEQUENCES IN SCHEMA": (
        "SELECT 1 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = :name "
        "AND CASE WHEN relkind = 'S' THEN NOT has_sequence_privilege(:user, pg_class.oid, :privilege) END"
    ),
}


def exists(session: Statements, user: str) -> bool:
    """Tell whether the database has a role of this name, whether or not it may sign in."""
    return bool(session.run("SELECT 1 FROM pg_roles WHERE rolname = :name", name=user))


def create(session: Statements, user: str, verifier: str, grants: tuple[Grant, ...]) -> None:
    """Create a user that may sign in and has these privileges and no other; `verifier` is an SQL literal."""
    session.run(f"CREATE ROLE {identifier(user)} LOGIN PASSWORD {verifier}")
    for grant in grants:
        privileges = ", ".join(grant.privileges)
        session.run(f"GRANT {privileges} ON {grant.on} {identifier(grant.name)} TO {identifier(user)}")
        for privilege in grant.privileges:
            if session.run(_LACKING[grant.on], user=user, name=grant.name, privilege=privilege):
                message = (
                    f"the superuser may not grant {privilege} ON {grant.on} {grant.name}: it must own the object or have the "
                    "privilege WITH GRANT OPTION. The user was not created"
                )
                raise RotationError(Cause.DATABASE, message)
