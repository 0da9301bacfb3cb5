"""examples/application: the two samples read the same variables and live through a rotation the same way."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.functions.rotate_password import tls

FOLDER = Path(__file__).parents[2] / "examples" / "application"
VARIABLES = {
    "DATABASE_HOST": "db.internal",
    "REDIS_HOST": "redis.internal",
    "DB_USER": "app_clone",
    "DB_PASSWORD": "password-1",
    "JWT_SECRET": "jwt-2",
    "JWT_SECRET_PREVIOUS": "jwt-1",
    "REDIS_PASSWORD": "redis-1",
    "SMTP_PASSWORD": "smtp-1",
    "APP_CONFIG": json.dumps({"ENCRYPTION_KEY": "key-2", "ENCRYPTION_KEY_PREVIOUS": "key-1"}),
}


@pytest.fixture(scope="module")
def app() -> Any:
    spec = importlib.util.spec_from_file_location("application_sample", FOLDER / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class _Refused(Exception):  # noqa: N818 - pg8000 calls its exceptions Error
    """As pg8000 raises it: a dict of the server's fields."""

    def __init__(self, code: str) -> None:
        super().__init__({"C": code})


class _Server:
    """Connections whose statements go as told: an exception, or a result."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.connections = 0

    def connect(self) -> "_Server":
        self.connections += 1
        return self

    def run(self, _sql: str) -> Any:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def _no_pause(_seconds: float) -> None:
    pass


def _database(app: Any, server: _Server) -> Any:
    return app.Database(server.connect, sleep=_no_pause)


def test_variables_json_keys_and_previous_values_are_read(app: Any) -> None:
    found = app.Configuration.read(VARIABLES)
    assert found.database_user == "app_clone"
    assert found.jwt_secrets == ("jwt-2", "jwt-1")
    assert found.encryption_keys == ("key-2", "key-1")
    assert "password-1" not in repr(found)


def test_everything_that_is_missing_is_named(app: Any) -> None:
    with pytest.raises(app.ConfigurationError) as error:
        app.Configuration.read({**VARIABLES, "DB_PASSWORD": "", "APP_CONFIG": "no json s3cret"})
    assert str(error.value) == "missing: APP_CONFIG (a JSON object), DB_PASSWORD, ENCRYPTION_KEY in APP_CONFIG"


def test_a_lost_connection_is_made_again(app: Any) -> None:
    server = _Server(ConnectionResetError(), _Refused("57P01"), "row")
    assert _database(app, server).run("SELECT 1") == "row"
    assert server.connections == 3


@pytest.mark.parametrize(("code", "healthy"), [("28P01", False), ("42601", True)])
def test_neither_a_refused_password_nor_a_mistake_is_tried_again(app: Any, code: str, healthy: bool) -> None:  # noqa: FBT001
    server = _Server(_Refused(code), "row")
    database = _database(app, server)
    with pytest.raises(_Refused):
        database.run("SELECT 1")
    assert (database.healthy, server.connections) == (healthy, 1)


def test_an_outage_leaves_a_task_healthy_that_was_let_in(app: Any) -> None:
    """A new task would not help against an outage; against a refused password only a new task helps."""
    database = _database(app, _Server("row", ConnectionResetError(), _Refused("28P01")))
    assert [database.healthy, database.check(), database.check(), database.check()] == [False, True, True, False]


def test_the_bundle_is_the_rotation_functions() -> None:
    function = Path(tls.__file__).with_name(tls.RDS_ROOTS)
    assert (FOLDER / "rds-roots.pem").read_bytes() == function.read_bytes(), "make certificates"


def test_it_gives_up_after_its_attempts(app: Any) -> None:
    server = _Server(*[ConnectionRefusedError() for _ in range(4)])
    with pytest.raises(ConnectionRefusedError):
        _database(app, server).run("SELECT 1")
    assert server.connections == 4


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="the sample for Node.js needs node")
COMMANDS = {"python": [sys.executable, "app.py"], "node": ["node", "app.mjs"]}
LANGUAGES = ["python", pytest.param("node", marks=needs_node)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("changes", "status", "printed"),
    [
        ({}, 0, "every variable is there\n"),
        (
            {"JWT_SECRET": "", "APP_CONFIG": '{"ENCRYPTION_KEY": ""}'},
            1,
            "missing: JWT_SECRET, ENCRYPTION_KEY in APP_CONFIG\n",
        ),
    ],
)
def test_the_check_names_what_is_missing_and_no_value(
    language: str, changes: dict[str, str], status: int, printed: str
) -> None:
    command, environment = [*COMMANDS[language], "--check"], {"PATH": os.environ["PATH"], **VARIABLES, **changes}
    done = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr if status else done.stdout + done.stderr) == (status, printed)


@needs_node
def test_nodes_own_tests_pass() -> None:
    done = subprocess.run(["node", "--test", "app.test.mjs"], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "# pass 8" in done.stdout
