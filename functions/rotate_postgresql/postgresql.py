r"""The database's side of a rotation: verified connections, and errors that name the cause without quoting anything.

Texts that the server sends are dropped and its SQLSTATE is kept: a syntax error, for example, quotes the statement.
Passwords are sent as the verifier that the server would compute itself (as psql's \password does), so the clear text
reaches neither log_statement, log_min_duration_statement, log_min_error_statement nor pg_stat_activity.
"""

import base64
import hashlib
import ssl
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pg8000.native
import scramp

from .errors import Cause, RotationError, SignInRefusedError

# search_path: nothing that a user has put into the database stands in for a catalogue's function while a superuser is
# signed in. standard_conforming_strings: the driver's literal() doubles quotes only, so a backslash must mean itself.
# The time limits end a wait for another session's lock on a role.
_SESSION_SETTINGS = (
    "SET search_path = pg_catalog; SET standard_conforming_strings = on; "
    "SET lock_timeout = '5s'; SET statement_timeout = '10s'"
)

_INVALID_PASSWORD = "28P01"  # noqa: S105 - an SQLSTATE
_INVALID_AUTHORIZATION = "28000"

_ADVICE = {
    "25006": "it is read-only: DATABASE_HOST must be the writer's endpoint",
    "3D000": "it has no database of the name in DATABASE_NAME",
    "40001": "another session changed the same role: the step can be repeated",
    "42501": (
        "the user lacks a privilege: to manage another role it needs CREATEROLE and, from PostgreSQL 16, the ADMIN option "
        "on that role; for a setting of the original that is restricted, GRANT SET ON PARAMETER; with "
        "rds.restrict_password_commands, membership in rds_password"
    ),
    "53300": "it has no connection left: raise max_connections or keep some in reserve",
    "55P03": "another session holds a lock on the role: the step can be repeated",
    "57014": "a statement took longer than 10 seconds: the step can be repeated",
    "57P01": "it is shutting down: the step can be repeated",
    "57P03": "it is starting up: the step can be repeated",
    "XX000": "another session changed the same role: the step can be repeated",
}


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server, reached by TLS only; its certificate and host name are verified."""

    host: str
    port: int
    database: str
    ca_bundle: Path | None
    timeout: int

    def sign_in(self, user: str, password: str, *, whose: str) -> "Session":
        """Open a session; `whose` credentials they are goes into the error.

        Raises `SignInRefusedError` when the server refuses the credentials, `RotationError` for everything else.
        """
        with _explained(self, f"signing in with {whose}"):
            connection = pg8000.native.Connection(
                user,
                host=self.host,
                port=self.port,
                database=self.database,
                password=password,
                ssl_context=self._tls(),
                timeout=self.timeout,
                application_name="rotate_postgresql",
            )
        session = Session(connection, self)
        try:
            session.run(_SESSION_SETTINGS)
        except BaseException:
            session.close()
            raise
        return session

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=str(self.ca_bundle) if self.ca_bundle else None)
        except OSError:
            raise RotationError(Cause.CONFIGURATION, f"CA_BUNDLE: {self.ca_bundle} is not a PEM bundle") from None


class Session:
    """An open connection; a context manager that closes it, which undoes an unfinished transaction."""

    def __init__(self, connection: pg8000.native.Connection, server: Server) -> None:
        self._connection = connection
        self._server = server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Sign out; a connection that is already broken is no error."""
        with suppress(OSError, pg8000.native.Error):
            self._connection.close()

    def run(self, statement: str, **parameters: str) -> list[list[Any]]:
        """Run a statement, in which `:name` stands for a parameter.

        Statements about roles take no parameters: there, values go through `identifier` and `literal`.
        """
        with _explained(self._server, "running a statement"):
            return self._connection.run(statement, **parameters) or []

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All statements inside take effect, or none."""
        self.run("BEGIN")
        yield  # when the block raises, closing the session rolls back
        self.run("COMMIT")

    def verifier(self, user: str, password: str) -> str:
        """What the server stores for a password: of the kind that its `password_encryption` asks for."""
        [[kind, iterations]] = self.run(
            "SELECT current_setting('password_encryption'), current_setting('scram_iterations', true)"
        )
        if kind == "scram-sha-256":
            return scram_verifier(password, iterations=int(iterations or 4096))
        # The server's own setting for clients that are too old for SCRAM: it would compute the same.
        return "md5" + hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()


def scram_verifier(password: str, *, iterations: int) -> str:
    """The text of pg_authid.rolpassword for a password: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey."""
    mechanism = scramp.ScramMechanism("SCRAM-SHA-256")
    salt, stored_key, server_key, count = mechanism.make_auth_info(password, iteration_count=iterations)
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${count}:{salt_text}${stored_text}:{server_text}"


def identifier(name: str) -> str:
    """A role's, database's or setting's name, quoted for SQL."""
    return str(pg8000.native.identifier(name))


def literal(text: str) -> str:
    """A text, quoted for SQL; sessions of this module have standard_conforming_strings on."""
    return str(pg8000.native.literal(text))


@contextmanager
def _explained(server: Server, doing: str) -> Generator[None]:
    """Turn what the driver raises into errors that name the cause."""
    where = f"the database at {server.host}:{server.port}"
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
        # The server failed to prove that it knows the password, or saslprep forbids a character of it.
        message = f"{doing} at {where} failed: SCRAM authentication could not be completed"
        raise RotationError(Cause.DATABASE, message) from None
    except OSError as error:
        raise _network(where, doing, error) from None


def _refusal(where: str, doing: str, error: pg8000.native.DatabaseError) -> RotationError:
    detail: Any = error.args[0] if error.args else {}
    state = str(detail.get("C", "")) if isinstance(detail, dict) else ""
    if state == _INVALID_PASSWORD:
        message = (
            f"{doing} failed: {where} says that the password is wrong or the user missing (it does not tell which)"
        )
        return SignInRefusedError(Cause.DATABASE, message)
    if state == _INVALID_AUTHORIZATION:
        message = (
            f"{doing} failed: {where} does not let this user in; the user may be NOLOGIN, a member of rds_iam, or kept out "
            "by pg_hba.conf"
        )
        return SignInRefusedError(Cause.DATABASE, message)
    advice = _ADVICE.get(state, "its own log tells more")
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
        reason = "broke the TLS handshake off: it may not speak TLS 1.2"
    else:
        reason = f"cannot be reached ({type(error).__name__}): check DATABASE_HOST and the network"
    return RotationError(Cause.NETWORK, f"{doing}: {where} {reason}")
