"""Creates the application's user, if the database does not have it, with the configured privileges.

If the superuser is not allowed to grant, GRANT can warn and grant nothing. Every privilege is therefore checked
afterwards, in the same transaction. Source: PostgreSQL, "GRANT", Notes.
"""

from ..errors import Cause, RotationError
from ..grants import Grant
from ._quoting import identifier
from ._statements import Statements

# CASE: PostgreSQL can evaluate AND in any order, and has_sequence_privilege fails for other relations.
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
    """Return whether the database has a role of this name, with or without LOGIN."""
    return bool(session.run("SELECT 1 FROM pg_roles WHERE rolname = :name", name=user))


def create(session: Statements, user: str, verifier: str, grants: tuple[Grant, ...]) -> None:
    """Create a user that can sign in and has exactly these privileges; `verifier` is an SQL literal."""
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
