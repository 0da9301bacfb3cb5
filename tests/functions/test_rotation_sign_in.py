"""Signing in as libpq does, whatever password and settings a user has."""

from contextlib import ExitStack

import pg8000.native
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.functions.rotate_password.engine import Credentials, Server
from components.functions.rotate_password.engines import postgresql
from components.functions.rotate_password.engines._scram import prepared, verifier
from components.functions.rotate_password.errors import Cause
from tests.functions.conftest import STEPS, Database, Rotation, Rotations
from tests.functions.test_rotation_refusals import Refuses, refuses

__all__ = ["refuses"]  # a fixture

# What the server stores for a password in clear text is the yardstick: PostgreSQL, src/common/saslprep.c.
PASSWORDS = {
    "emoji": "pass-\N{KEY}-\N{WAVING WHITE FLAG}-0001",
    "tab": "pass\tword\x01-0002",
    "tab-beside-non-ascii": "pässwörd\t-0003",
    "private-use": "pass-\ue000-0004",
    "right-to-left": "\u05d0\u05d1\u05d2",
    "mixed-directions": "abc-\u05d0\u05d1\u05d2-0005",
    "no-break-space": "pass\u00a0word-0006",
    "zero-width-space": "pass\u200bword-0007",
    "soft-hyphens-alone": "\u00ad\u00ad",
    "compatibility": "pass-\N{ROMAN NUMERAL NINE}-\N{LATIN SMALL LIGATURE FI}-0008",
    "combining": "pass-a\u0301-0009",
    "display-change": "pass-\u0340-0010",
    "unassigned-in-unicode-3.2": "pass-\u1e9e-0011",
    "quotes": "it's-a-100%-p\\ass\"word;--",
    "driver-syntax": "$$-:name-{x}-E'\\n'",
    "long": "a" * 128,
}


@pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS)
@pytest.mark.parametrize("strategy", ["single_user", "alternating_users"])
def test_a_password_that_saslprep_changes_or_refuses(rotations: Rotations, strategy: str, password: str) -> None:
    rotation: Rotation = getattr(rotations, strategy)(password)
    rotation.rotate()
    rotation.rotate()
    assert rotation.works()


@pytest.fixture
def server(database: Database) -> Server:
    return Server(database.host, database.port, database.name, database.ca)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(password=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=20))
def test_any_password_signs_in_as_the_server_has_stored_it(database: Database, server: Server, password: str) -> None:
    with database.by_socket("postgres") as connection:
        connection.run("SET scram_iterations = 1")
        connection.run("DROP ROLE IF EXISTS any_password")
        connection.run(f"CREATE ROLE any_password LOGIN PASSWORD {pg8000.native.literal(password)}")
    credentials = Credentials("any_password", password)
    postgresql.Engine(server).sign_in(credentials, "the user's credentials").close()
    database.sql(f"ALTER ROLE any_password PASSWORD '{verifier(password, 1)}'")
    postgresql.Engine(server).sign_in(credentials, "the user's credentials").close()


def test_an_ascii_password_is_hashed_as_it_is() -> None:
    assert prepared(b"a\tb\x7f ") == b"a\tb\x7f "


@pytest.mark.parametrize("strategy", ["single_user", "alternating_users"])
@pytest.mark.parametrize("user", ["app-\N{KEY}", "app\u00a0\u00ad", "app\twith-tab", "a=b,c"])
def test_a_user_whose_name_saslprep_changes_or_refuses(
    rotations: Rotations, server: Server, strategy: str, user: str
) -> None:
    rotation: Rotation = getattr(rotations, strategy)(user=f"{user}-{strategy}")
    rotation.rotate()
    postgresql.Engine(server).sign_in(Credentials(*rotation.credentials()), "the current credentials").close()


@pytest.mark.parametrize("iterations", ["1", "4095", "20000"])
def test_any_number_of_scram_iterations(rotation: Rotation, iterations: str) -> None:
    user, _ = rotation.credentials()
    rotation.database.sql(f"ALTER ROLE {user} SET scram_iterations = {iterations}")
    if superuser := rotation.environment["DATABASE_USERNAME"]:
        rotation.database.sql(f"ALTER ROLE {superuser} SET scram_iterations = {iterations}")
    for _ in range(2):
        rotation.rotate()
        [[stored]] = rotation.database.sql(
            "SELECT rolpassword FROM pg_authid WHERE rolname = :name", name=rotation.credentials()[0]
        )
        assert stored.startswith(f"SCRAM-SHA-256${iterations}:")
        assert rotation.works()


# --- settings of the user


SETTINGS = [
    "SET default_transaction_read_only = on",
    "SET default_transaction_isolation = 'serializable'",
    "SET client_encoding = 'latin1'",
    "SET standard_conforming_strings = off",
    "SET search_path = nowhere",
    "SET statement_timeout = '2s'",
    "SET idle_in_transaction_session_timeout = '2s'",
]


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_of_user_and_superuser_do_not_stop_a_rotation(rotation: Rotation, setting: str) -> None:
    for user in {rotation.user, rotation.environment["DATABASE_USERNAME"]}:
        rotation.database.sql(f"ALTER ROLE {user} {setting}")
    rotation.rotate()
    rotation.rotate()
    assert rotation.works()


def test_a_user_who_acts_as_another_role_changes_his_own_password(rotations: Rotations) -> None:
    rotation = rotations.single_user()
    owner = f"owner_of_{rotation.user}"
    rotation.database.sql(f"CREATE ROLE {owner}")
    rotation.database.sql(f"GRANT {owner} TO {rotation.user}")
    rotation.database.sql(f"ALTER ROLE {rotation.user} SET role = {owner}")
    rotation.rotate()
    assert rotation.works()


def test_a_superuser_who_has_his_rights_by_another_role_keeps_them(rotations: Rotations) -> None:
    rotation = rotations.alternating_users()
    superuser, admin = rotation.environment["DATABASE_USERNAME"], f"admin_of_{rotation.user}"
    rotation.database.sql(f"CREATE ROLE {admin} CREATEROLE")
    rotation.database.sql(f"GRANT {admin} TO {superuser}")
    rotation.database.sql(f"GRANT {rotation.user} TO {admin} WITH ADMIN OPTION")
    rotation.database.sql(f"ALTER ROLE {superuser} NOCREATEROLE")
    rotation.database.sql(f"ALTER ROLE {superuser} SET role = {admin}")
    rotation.rotate()
    assert rotation.works()


# --- limits of connections


def full(rotation: Rotation, user: str, password: str) -> ExitStack:
    """Give the user two connections and use both."""
    rotation.database.sql(f'ALTER ROLE "{user}" CONNECTION LIMIT 2')
    connections = ExitStack()
    for _ in range(2):
        connections.enter_context(rotation.database.sign_in(user, password))
    return connections


def test_an_application_that_uses_all_its_connections_is_rotated(rotations: Rotations) -> None:
    """The password is checked before the limit is, so the refusal shows that it is right."""
    rotation = rotations.alternating_users()
    for _ in range(2):
        with full(rotation, *rotation.credentials()):
            token = rotation.start()
            rotation.steps(token, "createSecret", "setSecret")
            with full(rotation, *rotation.parse(rotation.version(token) or "")):
                rotation.steps(token, "setSecret", "testSecret", "finishSecret")
        assert rotation.works()


def test_a_single_user_at_his_limit_is_told_so_and_the_steps_after_set_secret_go_on(
    rotations: Rotations, refuses: Refuses
) -> None:
    rotation = rotations.single_user()
    token = rotation.at("setSecret")
    with (
        full(rotation, *rotation.credentials()),
        refuses(rotation, Cause.DATABASE, "the user has as many connections as its own CONNECTION LIMIT allows"),
    ):
        rotation.step("setSecret", token)
    rotation.step("setSecret", token)
    with full(rotation, rotation.user, rotation.version(token) or ""):
        rotation.steps(token, *STEPS[1:])
    assert rotation.works()


# --- the superuser's secret


@pytest.mark.parametrize("name", ["somebody-else", None])
def test_a_superuser_s_secret_in_json_names_him_and_is_read_at_each_rotation(
    rotations: Rotations, name: str | None
) -> None:
    """Source: Amazon RDS User Guide, "Password management with Amazon RDS and AWS Secrets Manager"."""
    rotation = rotations.alternating_users()
    superuser = rotation.put_superuser_as_json()
    if name:
        rotations.monkeypatch.setenv("DATABASE_USERNAME", name)
    else:
        rotations.monkeypatch.delenv("DATABASE_USERNAME")
    rotation.rotate()
    rotation.database.sql(f"ALTER ROLE {superuser} PASSWORD 'chosen-by-rds-[0]{{1}}$0006'")
    rotation.put_superuser_as_json("chosen-by-rds-[0]{1}$0006")
    rotation.rotate()
    assert rotation.works()
