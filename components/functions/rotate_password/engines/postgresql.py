r"""PostgreSQL: verified connections, and errors that name the cause without quoting anything.

The server's texts are dropped and its SQLSTATE is kept: a syntax error, for example, quotes the statement.
Passwords are sent as the verifier that the server would compute itself (as psql's \password does), so the clear text
reaches neither log_statement, log_min_duration_statement, log_min_error_statement nor pg_stat_activity.
"""

import hashlib
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import pg8000.native
import scramp

from .. import engine, tls
from ..engine import Credentials, Server
from ..errors import Cause, NoConnectionLeftError, RotationError, SignInRefusedError
from ..grants import Grant
from . import _cloned_users, _new_user, _scram
from ._quoting import identifier, literal

TIMEOUT_SECONDS = 8
"""Of a connection attempt and of each answer. Longer than the server's own limits below, so that the server ends a wait: its
response names what it waited for."""
LOCK_TIMEOUT_SECONDS = 3
STATEMENT_TIMEOUT_SECONDS = 5
IDLE_SECONDS = 60
"""A hanging invocation's transaction keeps the role locked. No invocation lives longer: this is the function's timeout."""

# search_path: no object of a user can replace a catalogue's function while a superuser is signed in.
# standard_conforming_strings: the driver's literal() doubles quotes only, so a backslash must mean itself.
# default_transaction_read_only: ALTER ROLE ... SET can turn it on for the user.
_SESSION_SETTINGS = (
    "SET search_path = pg_catalog; SET standard_conforming_strings = on; SET default_transaction_read_only = off; "
    f"SET lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'; SET statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s'; "
    f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'"
)

_AUTHENTICATION_SASL = (10).to_bytes(4, "big")
_INVALID_PASSWORD = "28P01"  # noqa: S105 - an SQLSTATE
_INVALID_AUTHORIZATION = "28000"
_TOO_MANY_CONNECTIONS = "53300"

_ADVICE = {
    "25006": "it is read-only: DATABASE_HOST must be the writer's endpoint",
    "25P03": "the step took too long, so the server undid it: the step can be repeated",
    "3D000": "it has no database of the name in DATABASE_NAME, or of one in USER_GRANTS",
    "3F000": "it has no schema of a name in USER_GRANTS: create it, or remove it from rotation.grants",
    "23505": "another session has just created the same user: the step can be repeated",
    "40001": "another session changed the same role: the step can be repeated",
    "42710": "another session has just created the same user: the step can be repeated",
    "42939": "the user's name is reserved: correct the secret",
    "42501": (
        "the user lacks a privilege: to manage another role it needs CREATEROLE and, from PostgreSQL 16, the ADMIN option "
        "on that role; for a setting of the original that is restricted, GRANT SET ON PARAMETER; with "
        "rds.restrict_password_commands, membership in rds_password"
    ),
    _TOO_MANY_CONNECTIONS: "it has no connection left: raise max_connections or keep some in reserve",
    "55P03": "another session holds a lock on the role: the step can be repeated",
    "57014": f"a statement took longer than {STATEMENT_TIMEOUT_SECONDS} seconds: the step can be repeated",
    "57P01": "it is shutting down: the step can be repeated",
    "57P03": "it is starting up: the step can be repeated",
    "XX000": "another session changed the same role: the step can be repeated",
}

_NO_CONNECTION_LEFT = {
    "InitializeSessionUserId": (
        "the user has as many connections as its own CONNECTION LIMIT allows: ALTER ROLE ... CONNECTION LIMIT with one more, "
        "or close one"
    ),
    "CheckMyDatabase": (
        "the database has as many connections as its own CONNECTION LIMIT allows: ALTER DATABASE ... CONNECTION LIMIT with one "
        "more, or close one"
    ),
    "InitPostgres": (
        "the connections that are left are reserved for superusers: raise max_connections or keep some in reserve"
    ),
}
"""By the server's own function (field R of its message). All of them come after the password was accepted, unlike the limit
of the whole server. Source: PostgreSQL, src/backend/utils/init/postinit.c and miscinit.c; "Error and Notice Message
Fields"."""


class Engine(engine.Database):
    """PostgreSQL 10 or later, Amazon Aurora and RDS included."""

    def sign_in(self, credentials: Credentials, whose: str) -> "Session":
        """Open a session."""
        with _explained(self.server, f"signing in with {whose}"):
            connection = _Connection(
                credentials.username,
                host=self.server.host,
                port=self.server.port,
                database=self.server.database,
                password=credentials.password,
                ssl_context=tls.context(self.server.host, self.server.ca_bundle),
                timeout=TIMEOUT_SECONDS,
                application_name="rotate_password",
            )
        session = Session(connection, self.server, credentials.username)
        try:
            session.run(_SESSION_SETTINGS)
        except BaseException:
            session.close()
            raise
        return session

    def twin(self, user: str) -> str:
        """`app_clone` for `app`, and vice versa."""
        return _cloned_users.other(user)


class Session(engine.Session):
    """A connection as one user; closing it undoes an unfinished transaction."""

    def __init__(self, connection: pg8000.native.Connection, server: Server, user: str) -> None:
        self._connection = connection
        self._server = server
        self._user = user

    def change_own_password(self, password: str, confirm: Callable[[], None]) -> None:
        """A user can change its password only as itself, not as the role that ALTER ROLE ... SET role names."""
        verifier = literal(self.verifier(self._user, password))
        with self.transaction(confirm):
            self.run("SET LOCAL ROLE NONE")
            self.run(f"ALTER ROLE {identifier(self._user)} PASSWORD {verifier}")

    def change_twin(self, twin: Credentials, confirm: Callable[[], None]) -> None:
        """See `_cloned_users`."""
        verifier = literal(self.verifier(twin.username, twin.password))
        with self.transaction(confirm):
            _cloned_users.set_verifier(self, twin.username, verifier)

    def create_missing_user(
        self, credentials: Credentials, grants: tuple[Grant, ...], confirm: Callable[[], None]
    ) -> bool:
        """See `_new_user`. A clone is never created here: its original must exist first."""
        user = credentials.username
        if user != _cloned_users.original(user) or _new_user.exists(self, user):
            return False
        verifier = literal(self.verifier(user, credentials.password))
        with self.transaction(confirm):
            _new_user.create(self, user, verifier, grants)
        return True

    def require_pair(self, user: str) -> None:
        """See `_cloned_users`."""
        _cloned_users.require_original(self, user)

    def close(self) -> None:
        """Sign out. A broken connection is not an error."""
        with suppress(OSError, pg8000.native.Error):
            self._connection.close()

    def run(self, statement: str, **parameters: str) -> list[list[Any]]:
        """Run a statement, in which `:name` stands for a parameter.

        Statements about roles take no parameters: there, values go through `identifier` and `literal`.
        """
        with _explained(self._server, "running a statement"):
            return self._connection.run(statement, **parameters) or []

    @contextmanager
    def transaction(self, confirm: Callable[[], None]) -> Generator[None]:
        """All statements inside take effect, or none. `confirm` runs while they hold locks on the changed roles."""
        self.run("BEGIN")
        yield  # when the block raises, closing the session rolls back
        confirm()
        self.run("COMMIT")

    def verifier(self, user: str, password: str) -> str:
        """What the server stores for a password, in the format that its `password_encryption` selects."""
        [[kind, iterations]] = self.run(
            "SELECT current_setting('password_encryption'), current_setting('scram_iterations', true)"
        )
        if kind == "scram-sha-256":
            return _scram.verifier(password, int(iterations or 4096))  # a setting since PostgreSQL 16
        # The server has this setting for clients without SCRAM: it would compute the same.
        return "md5" + hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()


class _Connection(pg8000.native.Connection):
    """pg8000 with the SCRAM of `_scram`. The only place that uses private parts of pg8000 (pinned; tests sign in)."""

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: Any) -> None:  # noqa: N802 - pg8000's name
        """Answer the server's request to authenticate."""
        if data[:4] != _AUTHENTICATION_SASL:
            super().handle_AUTHENTICATION_REQUEST(data, context)
            return
        driver: Any = self
        mechanisms = [name.decode("ascii") for name in data[4:].split(b"\0") if name]
        binding = ("tls-server-end-point", driver._usock) if isinstance(driver._usock, ssl.SSLSocket) else None  # noqa: SLF001 - see above
        self.auth = _scram.Client(mechanisms, driver.password, binding)
        first = self.auth.get_client_first().encode()
        mechanism = self.auth.mechanism_name.encode("ascii") + b"\0"
        driver._send_message(b"p", mechanism + len(first).to_bytes(4, "big") + first)  # noqa: SLF001 - see above
        driver._sock.flush()  # noqa: SLF001 - see above


@contextmanager
def _explained(server: Server, doing: str) -> Generator[None]:
    """Turn the driver's exceptions into errors that name the cause."""
    where = str(server)
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        message = (
            f"{where} showed a certificate that cannot be verified ({error.verify_message}): put the authority that signed "
            "it (for Amazon RDS and Aurora the Region's bundle) into CA_BUNDLE, and its own name into DATABASE_HOST"
        )
        raise RotationError(Cause.DATABASE, message) from None
    except pg8000.native.DatabaseError as error:
        raise _refusal(where, doing, error) from None
    except pg8000.native.InterfaceError as error:
        raise _interruption(where, doing, error) from None
    except scramp.ScramException:
        # The server did not prove that it knows the password, or requested something outside SCRAM.
        message = f"{doing} at {where} failed: SCRAM authentication could not be completed"
        raise RotationError(Cause.DATABASE, message) from None
    except OSError as error:
        raise _network(where, doing, error) from None


def _refusal(where: str, doing: str, error: pg8000.native.DatabaseError) -> RotationError:
    detail: Any = error.args[0] if error.args else {}
    fields: dict[str, Any] = detail if isinstance(detail, dict) else {}
    state = str(fields.get("C", ""))
    if state == _INVALID_PASSWORD:
        message = (
            f"{doing} failed: {where} says that the password is wrong or the user is missing (it does not say which)"
        )
        return SignInRefusedError(Cause.DATABASE, message)
    if state == _INVALID_AUTHORIZATION:
        message = (
            f"{doing} failed: {where} does not let this user in; the user may be NOLOGIN, a member of rds_iam, or kept out "
            "by pg_hba.conf"
        )
        return SignInRefusedError(Cause.DATABASE, message)
    reason = _NO_CONNECTION_LEFT.get(str(fields.get("R"))) if state == _TOO_MANY_CONNECTIONS else None
    if reason:
        return NoConnectionLeftError(Cause.DATABASE, f"{doing} failed at {where} with SQLSTATE {state}: {reason}")
    advice = _ADVICE.get(state, "its log has the details")
    return RotationError(Cause.DATABASE, f"{doing} failed at {where} with SQLSTATE {state or 'unknown'}: {advice}")


def _interruption(where: str, doing: str, error: pg8000.native.InterfaceError) -> RotationError:
    if isinstance(error.__cause__, OSError):
        return _network(where, doing, error.__cause__)
    if "SSL" in str(error):
        return RotationError(
            Cause.DATABASE, f"{where} refuses TLS, and no password is sent without it: turn ssl on there"
        )
    return RotationError(Cause.NETWORK, f"{doing}: {where} closed the connection; the step can be repeated")


def _network(where: str, doing: str, error: OSError) -> RotationError:
    if isinstance(error, TimeoutError):
        reason = "did not answer in time: check the security groups, the subnets' routes and DATABASE_PORT"
    elif isinstance(error, ConnectionRefusedError):
        reason = "accepts no connection: it is down, or DATABASE_PORT is wrong"
    elif isinstance(error, ssl.SSLError):
        reason = "aborted the TLS handshake: it might not support TLS 1.2"
    else:
        reason = f"cannot be reached ({type(error).__name__}): check DATABASE_HOST and the network"
    return RotationError(Cause.NETWORK, f"{doing}: {where} {reason}")
