"""How a Python application reads what its task gets, and lives through a rotation.

    python app.py --check     tells what is missing; shows no value
    python app.py             serves /healthz on port 3000 (needs `pip install pg8000`)

A container's variables are set once, when the task starts. A rotation changes the secret, not the running task: ECS has to start
a new one, which `redeploy` in the stack's configuration does. Until then open connections stay open (PostgreSQL asks for the
password at sign-in only). With alternating users the old password keeps working; with a single user a new connection is
refused, and this process can't fix that: it says so on /healthz, and ECS replaces the task.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

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


class Database:
    """One connection that comes back when it was lost, and knows when it can't.

    Attributes:
        healthy: False once a sign-in was refused: only a new task has the new password.
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
        self.healthy = True
        self._connect = connect
        self._connection: Any = None
        self._attempts, self._pause, self._sleep = attempts, pause, sleep

    def run(self, sql: str, **parameters: Any) -> Any:
        """Run one statement; a lost connection is made again. Only for statements that may be run twice."""
        for attempt in range(1, self._attempts + 1):
            try:
                if self._connection is None:
                    self._connection = self._connect()
                return self._connection.run(sql, **parameters)
            except Exception as error:
                code = _sqlstate(error)
                if code in WRONG_PASSWORD:
                    self.healthy = False
                    raise
                # A statement's own mistake has a code; a connection that broke has none, or class 08 or 57.
                if (code and code[:2] not in {"08", "57"}) or attempt == self._attempts:
                    raise
                self._connection = None
                self._sleep(self._pause * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")


def _sqlstate(error: Exception) -> str:
    """Return PostgreSQL's error code; pg8000 has it as the field C."""
    details = error.args[0] if error.args else None
    return str(details.get("C", "")) if isinstance(details, dict) else ""


def serve(database: Database, port: int) -> None:
    """Answer /healthz: 200, or 503 once the database refuses the password, so that ECS replaces the task."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                database.run("SELECT 1")
                status = 200
            except Exception:  # noqa: BLE001 - whatever it is, the task isn't healthy
                status = 503
            self.send_response(status)
            self.end_headers()

    HTTPServer(("", port), Health).serve_forever()


def main() -> None:
    """Check the variables, then serve."""
    try:
        configuration = Configuration.read(os.environ)
    except ConfigurationError as error:
        sys.exit(str(error))
    if "--check" in sys.argv:
        sys.stdout.write("every variable is there\n")
        return
    import pg8000.native  # noqa: PLC0415 - the check needs no driver

    def connect() -> Any:
        return pg8000.native.Connection(
            configuration.database_user,
            host=configuration.database_host,
            password=configuration.database_password,
            ssl_context=True,
        )

    serve(Database(connect), port=3000)


if __name__ == "__main__":
    main()
