"""How a Python application reads what its task gets, and lives through a rotation.

    python app.py --check     says what is missing; shows no value
    python app.py --connect   signs in to the database once, or says why it can't (needs `pip install pg8000`)
    python app.py             serves /healthz on port 3000
    python app.py --health    asks /healthz: the command of the container's health check

A container's variables are set once, when the task starts. A rotation changes the secret, not the running task: ECS has to start
a new one, which `redeploy` in the stack's configuration does. Until then open connections stay open (PostgreSQL asks for the
password at sign-in only). With alternating users the old password keeps working; with a single user a new connection is
refused, and this process can't fix that: it says so on /healthz, and ECS replaces the task.
"""

import contextlib
import json
import os
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

PORT = 3000

SECONDS = 3
"""How long one try to reach the database may take: less than the health check's time-out, 5 s."""

RDS_ROOTS = Path(__file__).with_name("rds-roots.pem")
"""Amazon's authorities for RDS and Aurora, which no system knows; `make certificates` renews them."""

WRONG_PASSWORD = {"28P01", "28000"}
"""PostgreSQL's SQLSTATE codes of a refused sign-in."""


class ConfigurationError(Exception):
    """Variables are missing or malformed; the message names them and never holds a value."""


@dataclass(frozen=True)
class Configuration:
    """What the application needs; secrets are kept out of `repr`.

    Attributes:
        jwt_secrets: The current secret, which signs; then the one before the last rotation, which still verifies.
        encryption_keys: The current key, which encrypts; then the previous one, which still decrypts.
    """

    database_host: str
    database_user: str
    database_password: str = field(repr=False)
    redis_host: str
    redis_password: str = field(repr=False)
    smtp_password: str = field(repr=False)
    jwt_secrets: tuple[str, ...] = field(repr=False)
    encryption_keys: tuple[str, ...] = field(repr=False)

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Configuration":
        """Return the configuration in the variables of a task.

        Raises:
            ConfigurationError: When anything is missing; it names all of it.
        """
        missing: list[str] = []
        try:
            app_config: Any = json.loads(environment.get("APP_CONFIG", ""))
        except ValueError:
            app_config = None
        if not isinstance(app_config, dict):
            missing.append("APP_CONFIG (a JSON object)")
            app_config = {}

        def need(name: str, values: Mapping[str, str], where: str = "") -> str:
            value = values.get(name)
            if not value:
                missing.append(f"{name}{where}")
            return value or ""

        def with_previous(name: str, values: Mapping[str, str], where: str = "") -> tuple[str, ...]:
            # NAME_PREVIOUS is there only once the value was rotated.
            found = (need(name, values, where), values.get(f"{name}_PREVIOUS"))
            return tuple(value for value in found if value)

        found = cls(
            database_host=need("DATABASE_HOST", environment),
            # Alternating users: the name changes with each rotation, so it comes from the same secret as the password.
            database_user=environment.get("DB_USER", "postgres"),
            database_password=need("DB_PASSWORD", environment),
            redis_host=need("REDIS_HOST", environment),
            redis_password=need("REDIS_PASSWORD", environment),
            smtp_password=need("SMTP_PASSWORD", environment),
            jwt_secrets=with_previous("JWT_SECRET", environment),
            encryption_keys=with_previous("ENCRYPTION_KEY", app_config, " in APP_CONFIG"),
        )
        if missing:
            raise ConfigurationError(f"missing: {', '.join(missing)}")
        return found


def database_tls(environment: Mapping[str, str]) -> ssl.SSLContext:
    """Return TLS that verifies the database's certificate and its host name. `ssl_context=True` of pg8000 verifies neither.

    DATABASE_CA_BUNDLE names a file with other authorities. By default the system's are trusted (RDS Proxy) and those of RDS.
    """
    bundle = environment.get("DATABASE_CA_BUNDLE")
    context = ssl.create_default_context(cafile=bundle)
    if not bundle:
        context.load_verify_locations(RDS_ROOTS)
    return context


class Database:
    """One connection that comes back when it was lost, and knows when it can't.

    Attributes:
        healthy: Whether this task is of use: True from the first sign-in on, False once one was refused, since only a new task
            has the new password. An outage of the database changes nothing: new tasks would not help.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        *,
        attempts: int = 4,
        pause: float = 0.5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep what is needed to connect; the first `run` does it. `pause` is in seconds and doubles each time."""
        self.healthy = False
        self._connect = connect
        self._connection: Any = None
        self._attempts, self._pause, self._sleep = attempts, pause, sleep

    def run(self, sql: str, **parameters: Any) -> Any:
        """Run one statement; a lost connection is made again. Only for statements that may be run twice."""
        for attempt in range(1, self._attempts + 1):
            try:
                return self._once(sql, **parameters)
            except Exception as error:
                if not _is_lost(error) or attempt == self._attempts:
                    raise
                self._sleep(self._pause * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")

    def check(self) -> bool:
        """Try the database once and tell whether this task is of use."""
        with contextlib.suppress(Exception):
            self._once("SELECT 1")
        return self.healthy

    def _once(self, sql: str, **parameters: Any) -> Any:
        """Run one statement. The connection is kept, unless it broke: a next attempt has a chance then."""
        try:
            if self._connection is None:
                self._connection = self._connect()
                self.healthy = True
            return self._connection.run(sql, **parameters)
        except Exception as error:
            if _sqlstate(error) in WRONG_PASSWORD:
                self.healthy = False
            if _is_lost(error):
                self._connection = None
            raise


def _is_lost(error: Exception) -> bool:
    """Tell whether a connection broke, so that another one may work. A statement's own mistake has a code of another class."""
    code = _sqlstate(error)
    return not code or code[:2] in {"08", "57"}


def _sqlstate(error: Exception) -> str:
    """Return PostgreSQL's error code; pg8000 has it as the field C."""
    details = error.args[0] if error.args else None
    return str(details.get("C", "")) if isinstance(details, dict) else ""


def serve(database: Database, port: int) -> None:
    """Answer /healthz: 200, or 503 while the database has never let this task in or refuses its password."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if database.check() else 503)
            self.end_headers()

    HTTPServer(("", port), Health).serve_forever()


def main() -> None:
    """Do what the command line asks for."""
    if "--health" in sys.argv:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=SECONDS + 1).close()
        except OSError as error:  # an answer of 503 is one, too
            sys.exit(str(error))
        return
    try:
        configuration = Configuration.read(os.environ)
    except ConfigurationError as error:
        sys.exit(str(error))
    if "--check" in sys.argv:
        sys.stdout.write("every variable is there\n")
        return
    import pg8000.native  # noqa: PLC0415 - the check needs no driver

    context = database_tls(os.environ)

    def connect() -> Any:
        return pg8000.native.Connection(
            configuration.database_user,
            host=configuration.database_host,
            port=int(os.environ.get("DATABASE_PORT", "5432")),
            database=os.environ.get("DATABASE_NAME"),  # by default the user's name
            password=configuration.database_password,
            ssl_context=context,
            timeout=SECONDS,
        )

    if "--connect" in sys.argv:
        try:
            connect().close()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was asked for; it holds no password
            sys.exit(str(error))
        sys.stdout.write("the database lets this task in\n")
        return
    serve(Database(connect), PORT)


if __name__ == "__main__":
    main()
