"""What alternating-users makes of the second user: the first one by another name."""

from typing import Any

import pytest

from components.functions.rotate_password.engines._cloned_users import _names, other
from components.functions.rotate_password.errors import RotationError
from tests.functions.conftest import Rotation, Rotations


@pytest.fixture
def cloned(rotations: Rotations) -> Rotation:
    """A rotation that has just made the clone current."""
    rotation = rotations.alternating_users()
    rotation.database.sql(f"CREATE SCHEMA {rotation.user} AUTHORIZATION {rotation.user}")
    rotation.rotate()
    return rotation


def run(rotation: Rotation, statement: str) -> list[list[Any]]:
    """Run a statement as a client that has just read the secret."""
    with rotation.database.sign_in(*rotation.credentials()) as connection:
        return connection.run(statement) or []


def test_the_clone_acts_as_the_original(cloned: Rotation) -> None:
    user = cloned.user
    assert run(cloned, "SELECT session_user::text, current_user::text") == [[f"{user}_clone", user]]


@pytest.mark.parametrize("reset", ["RESET ROLE", "DISCARD ALL", "RESET ALL"])
def test_a_connection_pool_s_reset_leaves_the_clone_acting_as_the_original(cloned: Rotation, reset: str) -> None:
    with cloned.database.sign_in(*cloned.credentials()) as connection:
        connection.run(reset)
        assert connection.run("SELECT current_user::text") == [[cloned.user]]


def test_what_the_clone_creates_belongs_to_the_original(cloned: Rotation) -> None:
    run(cloned, f"CREATE TABLE {cloned.user}.made_by_clone (id int)")
    cloned.rotate()  # back to the original
    run(cloned, f"ALTER TABLE {cloned.user}.made_by_clone ADD note text")
    run(cloned, f"DROP TABLE {cloned.user}.made_by_clone")


def test_the_clone_may_alter_what_the_original_created(rotations: Rotations) -> None:
    rotation = rotations.alternating_users()
    rotation.database.sql(f"CREATE SCHEMA {rotation.user} AUTHORIZATION {rotation.user}")
    run(rotation, f"CREATE TABLE {rotation.user}.made_by_original (id int)")
    rotation.rotate()
    run(rotation, f"ALTER TABLE {rotation.user}.made_by_original ADD note text")


def test_default_privileges_of_the_original_apply_to_what_the_clone_creates(cloned: Rotation) -> None:
    user = cloned.user
    cloned.database.sql(f"CREATE ROLE reader_of_{user}")
    cloned.database.sql(f"ALTER DEFAULT PRIVILEGES FOR ROLE {user} GRANT SELECT ON TABLES TO reader_of_{user}")
    run(cloned, f"CREATE TABLE {user}.reported (id int)")
    assert cloned.database.sql(f"SELECT has_table_privilege('reader_of_{user}', '{user}.reported', 'SELECT')") == [
        [True]
    ]


def test_a_privilege_granted_to_the_original_later_is_the_clone_s_at_once(cloned: Rotation) -> None:
    cloned.database.sql(f"CREATE TABLE granted_later_{cloned.user} (id int)")
    cloned.database.sql(f"GRANT SELECT ON granted_later_{cloned.user} TO {cloned.user}")
    assert run(cloned, f"TABLE granted_later_{cloned.user}") == []


@pytest.mark.parametrize("attribute", ["CREATEDB", "CREATEROLE", "BYPASSRLS"])
def test_attributes_of_the_original_work_for_the_clone(cloned: Rotation, attribute: str) -> None:
    cloned.database.sql(f"ALTER ROLE {cloned.user} {attribute}")
    [[attributes]] = run(cloned, "SELECT to_json(pg_roles) FROM pg_roles WHERE rolname = current_user")
    assert attributes[f"rol{attribute.lower()}"] is True


SETTINGS = [
    ("work_mem", "'8MB'", "8MB"),
    ("search_path", '"$user", public', '"$user", public'),
    ("search_path", "'We\"ird, one', public", '"We""ird, one", public'),
    ("search_path", "''", '""'),
    ("app.tenant", "'o''brien, the \\ 1st'", "o'brien, the \\ 1st"),
    ("statement_timeout", "1500", "1500ms"),
]


@pytest.mark.parametrize("scope", ["", "IN DATABASE tickets"])
@pytest.mark.parametrize(("name", "value", "shown"), SETTINGS)
def test_settings_of_the_original_are_the_clone_s(
    rotations: Rotations, scope: str, name: str, value: str, shown: str
) -> None:
    rotation = rotations.alternating_users()
    # A setting that no loaded module defines takes a superuser or this grant, since it might become a restricted one.
    rotation.database.sql(f"GRANT SET ON PARAMETER {name} TO {rotation.environment['DATABASE_USERNAME']}")
    rotation.database.sql(f"ALTER ROLE {rotation.user} {scope} SET {name} TO {value}")
    assert run(rotation, f"SHOW {name}") == [[shown]]
    rotation.rotate()
    assert run(rotation, f"SHOW {name}") == [[shown]]


def test_a_setting_that_only_a_superuser_may_copy_stops_the_rotation(rotations: Rotations) -> None:
    rotation = rotations.alternating_users()
    rotation.database.sql(f"ALTER ROLE {rotation.user} SET log_statement = 'none'")
    token = rotation.at("setSecret")
    with pytest.raises(RotationError, match="GRANT SET ON PARAMETER"):
        rotation.step("setSecret", token)
    assert (
        rotation.database.sql("SELECT oid FROM pg_roles WHERE rolname = :clone", clone=f"{rotation.user}_clone") == []
    )


def test_the_next_turn_of_the_clone_follows_changed_and_dropped_settings(cloned: Rotation) -> None:
    user, sql = cloned.user, cloned.database.sql
    sql(f"ALTER ROLE {user} SET work_mem = '8MB'")
    sql(f"ALTER ROLE {user} IN DATABASE tickets SET statement_timeout = 1000")
    cloned.rotate()
    cloned.rotate()
    sql(f"ALTER ROLE {user} SET work_mem = '16MB'")
    sql(f"ALTER ROLE {user} IN DATABASE tickets RESET statement_timeout")
    cloned.rotate()
    cloned.rotate()
    assert run(cloned, "SHOW work_mem") == [["16MB"]]
    assert run(cloned, "SHOW statement_timeout") == [["0"]]


def test_an_original_that_acts_as_a_third_role_is_followed(rotations: Rotations) -> None:
    rotation = rotations.alternating_users()
    owner = f"owner_of_{rotation.user}"
    rotation.database.sql(f"CREATE ROLE {owner}")
    rotation.database.sql(f"GRANT {owner} TO {rotation.user}")
    rotation.database.sql(f"ALTER ROLE {rotation.user} SET role = {owner}")
    rotation.rotate()
    assert run(rotation, "SELECT current_user::text") == [[owner]]


def test_connection_limit_and_expiry_of_the_original_are_the_clone_s(rotations: Rotations) -> None:
    rotation = rotations.alternating_users()
    rotation.database.sql(f"ALTER ROLE {rotation.user} CONNECTION LIMIT 7 VALID UNTIL '2099-01-02 03:04:05+00'")
    rotation.rotate()
    assert rotation.database.sql(
        "SELECT rolconnlimit, rolvaliduntil = '2099-01-02 03:04:05+00' FROM pg_roles WHERE rolname = :clone",
        clone=f"{rotation.user}_clone",
    ) == [[7, True]]


def test_a_clone_that_was_shut_out_is_let_in_again(cloned: Rotation) -> None:
    cloned.rotate()
    cloned.database.sql(f"ALTER ROLE {cloned.user}_clone NOLOGIN")
    cloned.rotate()
    assert cloned.works()


def test_the_two_users_are_no_superusers_and_the_superuser_is_none_of_them(cloned: Rotation) -> None:
    user, clone = cloned.user, f"{cloned.user}_clone"
    members = cloned.database.sql(
        "SELECT roleid::regrole::text FROM pg_auth_members WHERE member IN (:user::regrole, :clone::regrole)",
        user=user,
        clone=clone,
    )
    assert members == [[user]]


@pytest.mark.parametrize(
    ("user", "expected"),
    [("app", "app_clone"), ("app_clone", "app"), ("a" * 57, "a" * 57 + "_clone"), ("ü" * 28, "ü" * 28 + "_clone")],
)
def test_other_user(user: str, expected: str) -> None:
    assert other(user) == expected


@pytest.mark.parametrize("user", ["a" * 58, "ü" * 29])
def test_a_name_without_room_for_the_suffix_is_refused(user: str) -> None:
    with pytest.raises(RotationError, match="58 bytes"):
        other(user)


@pytest.mark.parametrize(
    ("stored", "names"),
    [
        ('"$user", public', ["$user", "public"]),
        ('"a, b", "c""d",e', ["a, b", 'c"d', "e"]),
        ('""', [""]),
        ("", [""]),
    ],
)
def test_stored_lists_of_names_are_split_as_postgresql_does(stored: str, names: list[str]) -> None:
    assert _names(stored) == names
