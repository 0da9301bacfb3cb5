"""The application's user that the database does not have: created once, as named, with the password that the tasks read."""

import json
from collections.abc import Callable

import pytest

from components.functions.rotate_password.errors import RotationError
from components.functions.rotate_password.grants import Grant, parse
from tests.functions.conftest import Rotation, Rotations, stored
from tests.functions.test_rotation_faults import FAULTS, Killed, Watched


@pytest.fixture
def first(rotations: Rotations) -> Rotation:
    return rotations.new_user()


def trial(rotation: Rotation) -> str:
    """Begin what Secrets Manager does when rotation is configured: testSecret alone, on a copy of the current value."""
    token = rotation.start()
    secret = stored(rotation.secret_id)
    secret.versions[token]["secret_string"] = rotation.value()
    secret.rotation_requested = False  # DescribeSecret leaves RotationEnabled out
    return token


def acl(rotation: Rotation) -> list[list[object]]:
    """Every privilege that the database and its schemas give the user by name."""
    return rotation.database.sql(
        "SELECT kind, privilege_type, is_grantable FROM ("
        " SELECT 'database' AS kind, (aclexplode(datacl)).* FROM pg_database UNION ALL"
        " SELECT nspname, (aclexplode(nspacl)).* FROM pg_namespace UNION ALL"
        " SELECT relname, (aclexplode(relacl)).* FROM pg_class) AS acl "
        "WHERE grantee = (SELECT oid FROM pg_roles WHERE rolname = :name) ORDER BY 1, 2",
        name=rotation.user,
    )


def attributes(rotation: Rotation) -> dict[str, object]:
    [[row]] = rotation.database.sql("SELECT to_json(r) FROM pg_roles r WHERE rolname = :name", name=rotation.user)
    return row


def grants(rotations: Rotations, *lines: str) -> None:
    rotations.monkeypatch.setenv("USER_GRANTS", json.dumps(lines))


def test_the_first_rotation_creates_the_user_and_what_tasks_hold_keeps_working(first: Rotation) -> None:
    held_by_tasks = first.value()
    assert not first.works(held_by_tasks)
    first.rotate()
    assert first.works(held_by_tasks)
    assert first.works()
    assert first.credentials()[0] == f"{first.user}_clone"


def test_the_trial_of_the_first_up_creates_the_user_and_passes(first: Rotation) -> None:
    first.step("testSecret", trial(first))
    assert first.works()


def test_the_new_user_may_do_what_is_named_and_nothing_else(first: Rotation) -> None:
    first.rotate()
    assert acl(first) == [["database", "CREATE", False], [f"of_{first.user}", "USAGE", False]]
    found = attributes(first)
    for attribute in ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls"):
        assert found[attribute] is False
    assert first.database.sql(
        "SELECT roleid FROM pg_auth_members WHERE member = (SELECT oid FROM pg_roles WHERE rolname = :name)",
        name=first.user,
    ) == []  # fmt: skip


@pytest.mark.parametrize("login", ["LOGIN", "NOLOGIN"])
def test_a_user_that_exists_is_never_touched(first: Rotation, login: str) -> None:
    first.database.sql(f"CREATE ROLE {first.user} {login} PASSWORD 'set-by-hand'")
    before = first.database.roles()
    for step, token in (("testSecret", trial(first)), ("setSecret", _created(first))):
        with pytest.raises(RotationError):
            first.step(step, token)
    assert first.database.roles() == before
    assert acl(first) == []


def _created(rotation: Rotation) -> str:
    stored(rotation.secret_id).rotation_requested = True
    return rotation.at("setSecret")


def test_a_pending_value_that_is_not_the_current_one_creates_nobody(first: Rotation) -> None:
    """testSecret of a rotation that skipped setSecret."""
    token = _created(first)
    with pytest.raises(RotationError, match="password is wrong or the user is missing"):
        first.step("testSecret", token)


def granted(*lines: str) -> Callable[[Rotation, Rotations], object]:
    return lambda first, rotations: grants(rotations, *(line.format(user=first.user) for line in lines))


def half(first: Rotation, rotations: Rotations) -> None:
    """PostgreSQL grants nothing, and only warns, where the superuser has a privilege without the grant option."""
    superuser, schema = first.environment["DATABASE_USERNAME"], f"half_{first.user}"
    first.database.sql(f"CREATE SCHEMA {schema}; GRANT USAGE ON SCHEMA {schema} TO {superuser}")
    grants(rotations, f"USAGE ON SCHEMA {schema}")


NOT_CREATED: dict[str, tuple[Callable[[Rotation, Rotations], object], str]] = {
    "without grants": (
        lambda _, rotations: rotations.monkeypatch.delenv("USER_GRANTS"), r"no user of the name.*rotation.grants",
    ),
    "a clone without its original": (
        lambda first, _: first.put(json.dumps({"username": f"{first.user}_clone", "password": "seeded-by-hand-0005"})),
        "no user of the name",
    ),
    "a schema of somebody else": (granted("USAGE ON SCHEMA pg_toast"), "42501|may not grant"),
    "a table of somebody else": (granted("SELECT ON ALL TABLES IN SCHEMA public"), "42501|may not grant SELECT"),
    "a schema that is missing": (granted("USAGE ON SCHEMA nowhere"), "no schema of a name"),
    "a warning instead of a grant": (half, "may not grant USAGE ON SCHEMA"),
    # Names may have spaces, and are quoted: nothing that stands behind one is SQL.
    "a grant option, taken for a part of the name": (
        granted("USAGE ON SCHEMA of_{user} WITH GRANT OPTION"), "no schema of a name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_CREATED)
def test_a_user_that_cannot_be_created_as_asked_is_not_created(
    first: Rotation, rotations: Rotations, name: str
) -> None:
    arrange, message = NOT_CREATED[name]
    first.database.sql("CREATE TABLE IF NOT EXISTS public.of_somebody_else (id int)")
    arrange(first, rotations)
    before = first.database.roles()
    token = _created(first)
    with pytest.raises(RotationError, match=message):
        first.step("setSecret", token)
    assert first.database.roles() == before


def test_all_tables_and_sequences_of_a_schema(first: Rotation, rotations: Rotations) -> None:
    superuser, schema = first.environment["DATABASE_USERNAME"], f"of_{first.user}"
    with first.database.by_socket(superuser) as connection:
        connection.run(f"CREATE TABLE {schema}.tickets (id serial)")
    grants(
        rotations,
        f"USAGE ON SCHEMA {schema}",
        f"SELECT, INSERT ON ALL TABLES IN SCHEMA {schema}",
        f"USAGE ON ALL SEQUENCES IN SCHEMA {schema}",
    )
    first.rotate()
    with first.database.sign_in(*first.credentials()) as connection:
        connection.run(f"INSERT INTO {schema}.tickets DEFAULT VALUES")
        assert connection.run(f"TABLE {schema}.tickets") == [[1]]
    assert [row[:2] for row in acl(first)] == [
        [schema, "USAGE"],
        ["tickets", "INSERT"],
        ["tickets", "SELECT"],
        ["tickets_id_seq", "USAGE"],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAULTS)
def test_a_trial_that_dies_at_any_call_is_finished_by_repeating_it(first: Rotation, kind: str) -> None:
    for at in range(1, 100):
        if first.database.sql("SELECT 1 FROM pg_roles WHERE rolname = :name", name=first.user):
            first.database.sql(f"DROP OWNED BY {first.user}; DROP ROLE {first.user}")
        token = trial(first)
        fault = Watched(at, FAULTS[kind])
        with fault.injected():
            try:
                first.step("testSecret", token)
            except (Killed, RotationError) as error:
                assert "hunter2" not in str(error)  # noqa: PT017 - a fault may strike after the last call
        if not fault.struck:
            assert at > 3
            return
        first.step("testSecret", token)
        assert first.works()
    pytest.fail("the step never ran without a fault")


GOOD = {
    "CONNECT ON DATABASE tickets": Grant(("CONNECT",), "DATABASE", "tickets"),
    "SELECT, INSERT,UPDATE ON ALL TABLES IN SCHEMA public": Grant(
        ("SELECT", "INSERT", "UPDATE"), "ALL TABLES IN SCHEMA", "public"
    ),
    "USAGE ON SCHEMA my schema": Grant(("USAGE",), "SCHEMA", "my schema"),
}


@pytest.mark.parametrize("line", GOOD)
def test_a_line_names_privileges_and_one_object(line: str) -> None:
    assert parse(line) == GOOD[line]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ALL ON DATABASE tickets",
        "ALL PRIVILEGES ON SCHEMA public",
        "CONNECT ON SCHEMA public",
        "USAGE ON SCHEMA public WITH GRANT OPTION\n",
        'USAGE ON SCHEMA public"; DROP TABLE tickets; --',
        "SELECT ON tickets",
        "pg_read_all_data",
        "CONNECT, ON DATABASE tickets",
        f"USAGE ON SCHEMA {'x' * 64}",
    ],
)
def test_any_other_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"is|grants"):
        parse(line)


def test_unreadable_grants_are_a_problem_of_the_configuration(first: Rotation, rotations: Rotations) -> None:
    for text in ("no JSON", "[1]", '["ALL ON DATABASE tickets"]'):
        rotations.monkeypatch.setenv("USER_GRANTS", text)
        with pytest.raises(RotationError, match="USER_GRANTS"):
            first.step("setSecret", first.start())
