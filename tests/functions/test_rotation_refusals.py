"""Bad secrets, databases, networks, events and settings: a clear error, nothing changed, no value in error or log."""

import base64
import json
import re
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from pg8000.native import DatabaseError

import components.rotation
from components.functions.rotate_password import rotate
from components.functions.rotate_password.configuration import ENGINES, read_configuration
from components.functions.rotate_password.engine import Credentials, Server
from components.functions.rotate_password.engines import postgresql
from components.functions.rotate_password.errors import Cause, NoConnectionLeftError, RotationError
from components.functions.rotate_password.secret_versions import RotatedSecret
from sandbox.postgresql import make_certificates
from tests.functions.conftest import STEPS, Database, Rotation, Rotations, stored

Refuses = Callable[..., Any]


@pytest.fixture
def refuses(capsys: pytest.CaptureFixture[str]) -> Refuses:
    """A context in which a rotation's step must fail cleanly: with this cause and text, and without a trace."""

    @contextmanager
    def expect(rotation: Rotation, cause: Cause, text: str) -> Generator[None]:
        before, values = rotation.state(), secret_words(rotation)
        capsys.readouterr()
        with pytest.raises(RotationError) as raised:
            yield
        assert rotation.state() == before
        assert raised.value.cause == cause, str(raised.value)
        assert text in str(raised.value)
        logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(line["level"], line["cause"], line["message"]) for line in logged] == [
            ("ERROR", cause, str(raised.value))
        ]
        assert not [word for word in values if word in str(raised.value) or word in json.dumps(logged)]
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__ or raised.value.__context__ is None

    return expect


def secret_words(rotation: Rotation) -> set[str]:
    """Every value of every version, whole and in parts, and the superuser's password."""
    words = {"superuser-password-0003"}
    for version in stored(rotation.secret_id).versions.values():
        value = version.get("secret_string")
        if isinstance(value, str):
            words.add(value)
            with suppress(ValueError, AttributeError):
                words |= {str(part) for part in json.loads(value).values()} - {rotation.user}
    return {word for word in words if len(word) > 7}


# --- secrets

PLAIN_TEXT = [
    ("", "is empty"),
    (" \n", "is empty"),
    ('{"username": "app", "password": "pass-in-json"}', "is a JSON object"),
    (b"binary-password", "holds a binary value"),
]
JSON = [
    ("just-a-password", "is not JSON"),
    ('{"username": "app", "password": "cut-off', "is not JSON"),
    ('["app", "pass-in-list"]', "is not a JSON object"),
    ('"pass-in-text"', "is not a JSON object"),
    ("{}", 'no text under the key "username"'),
    ('{"password": "pass-in-json"}', 'no text under the key "username"'),
    ('{"username": "", "password": "pass-in-json"}', 'no text under the key "username"'),
    ('{"username": "app"}', 'no text under the key "password"'),
    ('{"username": "app", "password": ""}', 'no text under the key "password"'),
    ('{"username": "app", "password": 123456789}', 'no text under the key "password"'),
    ('{"username": ["app-in-list"], "password": "pass-in-json"}', 'no text under the key "username"'),
    ('{"username": "half-\\ud83d-name", "password": "pass-in-json"}', 'no text under the key "username"'),
    ('{"username": "app", "password": "half-\\udd11"}', 'no text under the key "password"'),
    ('{"username": "nul-\\u0000-name", "password": "pass-in-json"}', 'no text under the key "username"'),
    (json.dumps({"username": "x" * 58, "password": "pass-in-json"}), "it can have 57"),
    ("", "is not JSON"),
    (b'{"username": "app", "password": "binary"}', "holds a binary value"),
]
BAD_SECRETS = [
    *(("single_user", *case, "createSecret") for case in PLAIN_TEXT),
    *(("alternating_users", *case, "createSecret") for case in JSON),
    # spoilt later
    ("single_user", "{}", "is a JSON object", "setSecret"),
    ("alternating_users", "just-a-password", "is not JSON", "setSecret"),
]


def overwrite(secret_id: str, value: str | bytes) -> None:
    """Give the current version a value, also one that AWS would not take (a defence costs nothing)."""
    version = next(found for found in stored(secret_id).versions.values() if "AWSCURRENT" in found["version_stages"])
    del version["secret_string"]
    if isinstance(value, str):
        version["secret_string"] = value
    else:
        version["secret_binary"] = base64.b64encode(value).decode()


@pytest.mark.parametrize(("strategy", "value", "text", "step"), BAD_SECRETS)
def test_bad_current_value(  # noqa: PLR0917 - a row of the table
    rotations: Rotations, refuses: Refuses, strategy: str, value: str | bytes, text: str, step: str
) -> None:
    rotation: Rotation = getattr(rotations, strategy)()
    token = rotation.at(step)
    overwrite(rotation.secret_id, value)
    with refuses(rotation, Cause.SECRET, text):
        rotation.step(step, token)


SUPERUSER_SECRETS: list[tuple[str | bytes | None, str]] = [
    ("", "is empty"),
    (" \n", "is empty"),
    (b"binary-password", "holds a binary value"),
    ('{"password": "pass-in-json"}', 'no text under the key "username"'),
    ('{"username": "postgres"}', 'no text under the key "password"'),
    (None, "does not exist or has no current value"),
]


@pytest.mark.parametrize(("value", "text"), SUPERUSER_SECRETS, ids=lambda part: str(part)[:12])
def test_bad_superuser_secret(rotations: Rotations, refuses: Refuses, value: str | bytes | None, text: str) -> None:
    rotation = rotations.alternating_users()
    token = rotation.at("setSecret")
    superuser_secret = rotation.environment["SUPERUSER_SECRET_ARN"]
    if value is None:
        rotation.client.delete_secret(SecretId=superuser_secret, ForceDeleteWithoutRecovery=True)
    else:
        overwrite(superuser_secret, value)
    with refuses(rotation, Cause.SECRET, text):
        rotation.step("setSecret", token)


def test_a_superuser_s_password_in_plain_text_needs_his_name(rotations: Rotations, refuses: Refuses) -> None:
    rotation = rotations.alternating_users()
    rotations.monkeypatch.delenv("DATABASE_USERNAME")
    token = rotation.start()
    with refuses(rotation, Cause.CONFIGURATION, "set DATABASE_USERNAME"):
        rotation.step("createSecret", token)


def test_a_secret_without_a_value(rotation: Rotation, refuses: Refuses) -> None:
    stored(rotation.secret_id).versions.clear()
    token = rotation.start()
    with refuses(rotation, Cause.SECRET, "has no current value"):
        rotation.step("createSecret", token)


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_step_before_create_secret_has_run(rotation: Rotation, refuses: Refuses, step: str) -> None:
    token = rotation.start()
    with refuses(rotation, Cause.SECRET, "createSecret must run first"):
        rotation.step(step, token)


@pytest.mark.parametrize("named", ["superuser", "clone-of-it", "superuser-of-a-json-secret"])
def test_the_application_s_secret_may_not_name_the_superuser(
    rotations: Rotations, refuses: Refuses, named: str
) -> None:
    rotation = rotations.alternating_users()
    superuser = rotation.environment["DATABASE_USERNAME"]
    user = f"{superuser}_clone" if named == "clone-of-it" else superuser
    if named == "superuser-of-a-json-secret":
        rotation.put_superuser_as_json()
        rotations.monkeypatch.delenv("DATABASE_USERNAME")
    rotation.put(json.dumps({"username": user, "password": "superuser-password-0003"}))
    token = rotation.start()
    with refuses(rotation, Cause.SECRET, "names the superuser"):
        rotation.step("createSecret", token)


def test_a_pending_version_that_names_the_user_in_use_is_not_set(rotations: Rotations, refuses: Refuses) -> None:
    rotation = rotations.alternating_users()
    token = rotation.start()
    document = json.dumps({"username": rotation.user, "password": "would-be-an-outage"})
    rotation.client.put_secret_value(
        SecretId=rotation.secret_id, ClientRequestToken=token, SecretString=document, VersionStages=["AWSPENDING"]
    )
    with refuses(rotation, Cause.SECRET, "does not name the other user"):
        rotation.step("setSecret", token)


def test_a_writer_of_the_secret_cannot_have_another_user_s_password_set(rotations: Rotations, refuses: Refuses) -> None:
    rotation, victim = rotations.alternating_users(), rotations.alternating_users()
    for variable, text in rotation.environment.items():
        rotations.monkeypatch.setenv(variable, text)
    rotation.put(json.dumps({"username": f"{victim.user}_clone", "password": "a-guess-at-it"}))
    token = rotation.at("setSecret")
    with refuses(rotation, Cause.DATABASE, "the secret's current credentials"):
        rotation.step("setSecret", token)


# --- databases and networks


def drop(rotation: Rotation) -> None:
    rotation.database.sql(f"DROP ROLE {rotation.user}")


def alter(rotation: Rotation, change: str) -> None:
    rotation.database.sql(f"ALTER ROLE {rotation.user} {change}")


def alter_superuser(rotation: Rotation, change: str) -> None:
    rotation.database.sql(f"ALTER ROLE {rotation.environment['DATABASE_USERNAME']} {change}")


def disown(rotation: Rotation) -> None:
    superuser = rotation.environment["DATABASE_USERNAME"]
    rotation.database.sql(f"REVOKE ADMIN OPTION FOR {rotation.user} FROM {superuser} GRANTED BY postgres")


DATABASES: list[tuple[str, Callable[[Rotation], None], str]] = [
    (
        "single_user",
        lambda rotation: alter(rotation, "PASSWORD 'another-one-0004'"),
        "neither the pending, nor the current",
    ),
    ("single_user", drop, "neither the pending, nor the current"),
    ("single_user", lambda rotation: alter(rotation, "NOLOGIN"), "may be NOLOGIN"),
    ("single_user", lambda rotation: alter(rotation, "CONNECTION LIMIT 0"), "as its own CONNECTION LIMIT allows"),
    (
        "alternating_users",
        lambda rotation: alter(rotation, "PASSWORD 'another-one-0004'"),
        "secret's current credentials",
    ),
    ("alternating_users", drop, "no user of the name in the secret's username"),
    ("alternating_users", lambda rotation: alter(rotation, "NOLOGIN"), "is not allowed to sign in (NOLOGIN)"),
    ("alternating_users", lambda rotation: alter_superuser(rotation, "PASSWORD 'x'"), "the superuser's credentials"),
    ("alternating_users", lambda rotation: alter_superuser(rotation, "NOCREATEROLE"), "it needs CREATEROLE"),
    ("alternating_users", disown, "the ADMIN option"),
]


@pytest.mark.parametrize(("strategy", "spoil", "text"), DATABASES)
def test_bad_database(
    rotations: Rotations, refuses: Refuses, strategy: str, spoil: Callable[[Rotation], None], text: str
) -> None:
    rotation: Rotation = getattr(rotations, strategy)()
    token = rotation.at("setSecret")
    spoil(rotation)
    with refuses(rotation, Cause.DATABASE, text):
        rotation.step("setSecret", token)


def test_a_database_that_is_read_only(rotation: Rotation, refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    token = rotation.at("setSecret")
    # As on a reader: nothing that the session sets makes it writable.
    read_only = f"{postgresql._SESSION_SETTINGS}; SET default_transaction_read_only = on"
    monkeypatch.setattr(postgresql, "_SESSION_SETTINGS", read_only)
    with refuses(rotation, Cause.DATABASE, "must be the writer's endpoint"):
        rotation.step("setSecret", token)


def test_a_role_that_another_session_has_locked(rotation: Rotation, refuses: Refuses) -> None:
    """The server gives up before the function does, so the message can say what was waited for."""
    token = rotation.at("setSecret")
    if rotation.environment["STRATEGY"] == "alternating-users":
        rotation.rotate()  # so that the clone is there
        token = rotation.at("setSecret")
    with rotation.database.by_socket("postgres") as other:
        other.run("BEGIN")
        other.run(f"ALTER ROLE {rotation.user} CONNECTION LIMIT 10")
        with refuses(rotation, Cause.DATABASE, "SQLSTATE 55P03: another session holds a lock on the role"):
            rotation.step("setSecret", token)
        other.run("ROLLBACK")
    rotation.steps(token, *STEPS[1:])


@pytest.fixture
def session(rotation: Rotation) -> Any:
    """A session of the function's, as the rotation's user."""
    server = Server(rotation.database.host, rotation.database.port, rotation.database.name, rotation.database.ca)
    return postgresql.Engine(server).sign_in(Credentials(*rotation.credentials()), "the user's credentials")


def test_the_server_ends_a_wait_before_the_function_does_and_a_transaction_when_the_function_is_gone(
    session: Any,
) -> None:
    with session:
        [limits] = session.run(
            "SELECT current_setting('lock_timeout')::interval, current_setting('statement_timeout')::interval, "
            "current_setting('idle_in_transaction_session_timeout')::interval"
        )
    lock, statement, idle = (limit.total_seconds() for limit in limits)
    assert 0 < lock < statement < postgresql.TIMEOUT_SECONDS
    assert idle == components.rotation.TIMEOUT_SECONDS


def test_a_statement_that_takes_too_long(session: Any) -> None:
    with session, pytest.raises(RotationError, match="SQLSTATE 57014: a statement took longer than 5 seconds"):
        session.run("SELECT pg_sleep(:seconds::int)", seconds="10")


@pytest.mark.parametrize(
    ("routine", "advice", "accepted"),
    [
        ("InitProcess", "raise max_connections", False),
        ("InitPostgres", "reserved for superusers", True),
        ("InitializeSessionUserId", "the user has as many connections as its own CONNECTION LIMIT", True),
        ("CheckMyDatabase", "ALTER DATABASE", True),
    ],
)
def test_each_limit_of_connections_has_its_own_advice(routine: str, advice: str, accepted: bool) -> None:  # noqa: FBT001
    """Whose limit it is stands in the name of the server's function; its text is translated, and names the user."""
    fields = {"S": "FATAL", "C": "53300", "M": 'too many connections for role "app"', "R": routine}
    error = postgresql._refusal("the database", "signing in", DatabaseError(fields))
    assert advice in str(error)
    assert "app" not in str(error)
    assert isinstance(error, NoConnectionLeftError) is accepted


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


CONNECTIONS: list[tuple[Callable[[Database], dict[str, str]], Cause, str]] = [
    (lambda _: {"DATABASE_PORT": closed_port()}, Cause.NETWORK, "it is down, or DATABASE_PORT is wrong"),
    (lambda _: {"DATABASE_HOST": "nowhere.invalid"}, Cause.NETWORK, "check DATABASE_HOST"),
    (lambda database: {"DATABASE_PORT": str(database.plain_port)}, Cause.DATABASE, "refuses TLS"),
    (lambda _: {"DATABASE_HOST": "127.0.0.1"}, Cause.DATABASE, "IP address mismatch"),
    (lambda _: {"CA_BUNDLE": ""}, Cause.DATABASE, "put the authority that signed it"),
    (lambda _: {"DATABASE_NAME": "nope"}, Cause.DATABASE, "no database of the name in DATABASE_NAME"),
]


@pytest.mark.parametrize(("change", "cause", "text"), CONNECTIONS)
def test_bad_connection(
    rotation: Rotation,
    refuses: Refuses,
    change: Callable[[Database], dict[str, str]],
    cause: Cause,
    text: str,
) -> None:
    token = rotation.at("setSecret")
    for step in ("setSecret", "testSecret"):
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in change(rotation.database).items():
                patch.setenv(variable, value)
            with refuses(rotation, cause, text):
                rotation.step(step, token)
        rotation.step(step, token)  # fixed, and repeated as Secrets Manager does


def test_a_certificate_of_another_authority(
    rotation: Rotation, refuses: Refuses, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    token = rotation.at("setSecret")
    monkeypatch.setenv("CA_BUNDLE", str(tmp_path / "ca.pem"))
    with refuses(rotation, Cause.DATABASE, "certificate that cannot be verified"):
        rotation.step("setSecret", token)


def test_a_database_that_does_not_answer(
    rotations: Rotations, refuses: Refuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotation = rotations.single_user()
    token = rotation.at("setSecret")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DATABASE_PORT", str(silent.getsockname()[1]))
        monkeypatch.setattr(postgresql, "TIMEOUT_SECONDS", 1)
        with refuses(rotation, Cause.NETWORK, "did not answer in time"):
            rotation.step("setSecret", token)


@pytest.mark.parametrize(("step", "known"), [("testSecret", True), ("finishSecret", True), ("testSecret", False)])
def test_a_pending_value_that_does_not_sign_in_never_becomes_current(
    rotation: Rotation,
    refuses: Refuses,
    step: str,
    known: bool,  # noqa: FBT001 - a cell of the table
) -> None:
    """Somebody may change the password between testSecret and finishSecret, or setSecret never ran."""
    token = rotation.at("finishSecret" if known else "setSecret")
    pending_user, _ = rotation.parse(rotation.version(token) or "")
    if known:
        rotation.database.sql(f"ALTER ROLE {pending_user} PASSWORD 'changed-by-somebody-0005'")
    with refuses(rotation, Cause.DATABASE, "signing in with the pending"):
        rotation.step(step, token)


# --- Secrets Manager


def failing(monkeypatch: pytest.MonkeyPatch, operation: str, error: Exception) -> None:
    send = BaseClient._make_api_call  # pyright: ignore[reportAttributeAccessIssue] - botocore's stubs hide it

    def fail(client: BaseClient, name: str, parameters: dict[str, Any]) -> Any:
        if name == operation:
            raise error
        return send(client, name, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", fail)


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "seeded-by-pulumi-0001"}}, "GetSecretValue")


@pytest.mark.parametrize(
    ("error", "cause", "text"),
    [
        (client_error("AccessDeniedException"), Cause.SECRETS_MANAGER, "the function's role lacks the permission"),
        (client_error("DecryptionFailure"), Cause.SECRETS_MANAGER, "KMS key is not usable"),
        (client_error("EncryptionFailure"), Cause.SECRETS_MANAGER, "KMS key is not usable"),
        (client_error("ResourceNotFoundException"), Cause.SECRETS_MANAGER, "no such secret or version"),
        (client_error("ThrottlingException"), Cause.SECRETS_MANAGER, "too many calls"),
        (client_error("InvalidRequestException"), Cause.SECRETS_MANAGER, "scheduled for deletion"),
        (client_error("InternalServiceError"), Cause.SECRETS_MANAGER, "InternalServiceError: the step can be repeated"),
        (EndpointConnectionError(endpoint_url="https://secretsmanager"), Cause.NETWORK, "VPC endpoint"),
        (NoCredentialsError(), Cause.SECRETS_MANAGER, "NoCredentialsError"),
    ],
    ids=lambda part: type(part).__name__ if isinstance(part, Exception) else "",
)
def test_secrets_manager_refuses_or_cannot_be_reached(
    rotations: Rotations, refuses: Refuses, error: Exception, cause: Cause, text: str
) -> None:
    rotation = rotations.single_user()
    token = rotation.start()
    failing(rotations.monkeypatch, "GetSecretValue", error)
    with refuses(rotation, cause, text):
        rotation.step("createSecret", token)


@pytest.mark.parametrize(
    ("operation", "step"),
    [
        ("DescribeSecret", "createSecret"),
        ("GetRandomPassword", "createSecret"),
        ("PutSecretValue", "createSecret"),
        ("GetSecretValue", "setSecret"),
        ("GetSecretValue", "testSecret"),
        ("UpdateSecretVersionStage", "finishSecret"),
    ],
)
def test_a_missing_permission_is_named(rotation: Rotation, refuses: Refuses, operation: str, step: str) -> None:
    token = rotation.at(step)
    with pytest.MonkeyPatch.context() as patch:
        failing(patch, operation, client_error("AccessDeniedException"))
        with refuses(rotation, Cause.SECRETS_MANAGER, f"{operation} on {rotation.secret_id} failed with AccessDenied"):
            rotation.step(step, token)


def test_a_secret_that_does_not_exist(rotation: Rotation, refuses: Refuses) -> None:
    with refuses(rotation, Cause.SECRETS_MANAGER, "there is no such secret"):
        rotate.handler({"Step": "createSecret", "SecretId": "gone", "ClientRequestToken": "0" * 36})


def disabled(rotation: Rotation) -> str:
    token = rotation.start()
    stored(rotation.secret_id).rotation_enabled = False
    return token


def unannounced(_: Rotation) -> str:
    return "0" * 36


def overtaken(rotation: Rotation) -> str:
    token = rotation.start()
    rotation.start()
    return token


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("begin", "cause", "text"),
    [
        (disabled, Cause.SECRET, "rotation is not enabled"),
        (unannounced, Cause.EVENT, "has no version"),
        (overtaken, Cause.EVENT, "is not the one being rotated in"),
    ],
)
def test_a_version_that_is_not_to_be_rotated_in(  # noqa: PLR0917 - a row of the table
    rotation: Rotation, refuses: Refuses, begin: Callable[[Rotation], str], cause: Cause, text: str, step: str
) -> None:
    token = begin(rotation)
    with refuses(rotation, cause, text):
        rotation.step(step, token)


# --- events and settings


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({}, "lacks Step, SecretId, ClientRequestToken"),
        ({"Step": "createSecret", "SecretId": "x"}, "lacks ClientRequestToken"),
        ({"Step": "dropSecret", "SecretId": "x", "ClientRequestToken": "y"}, "Step is none of createSecret, setSecret"),
    ],
)
def test_bad_event(event: dict[str, str], text: str) -> None:
    with pytest.raises(RotationError, match=text) as raised:
        rotate.handler(event)
    assert raised.value.cause == Cause.EVENT


GOOD = {
    "ENGINE": "postgresql",
    "STRATEGY": "single-user",
    "DATABASE_HOST": "db",
    "DATABASE_PORT": "5432",
    "DATABASE_NAME": "tickets",
    "DATABASE_USERNAME": "master",
}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"STRATEGY": ""}, "STRATEGY is not set"),
        ({"STRATEGY": "both"}, "STRATEGY must be one of single-user, alternating-users"),
        ({"STRATEGY": "alternating-users"}, "SUPERUSER_SECRET_ARN is not set"),
        ({"DATABASE_HOST": ""}, "DATABASE_HOST is not set"),
        ({"DATABASE_PORT": "0"}, "DATABASE_PORT must be a whole number from 1 to 65535"),
        ({"DATABASE_PORT": "5432 "}, "DATABASE_PORT must be a whole number"),
        ({"DATABASE_PORT": ""}, "DATABASE_PORT is not set$"),
        ({"DATABASE_USERNAME": ""}, "DATABASE_USERNAME is not set"),
        ({"ENGINE": ""}, "ENGINE is not set"),
        ({"ENGINE": "oracle"}, f"ENGINE must be one of {', '.join(ENGINES)}$"),
        ({"ENGINE": "_scram"}, f"ENGINE must be one of {', '.join(ENGINES)}$"),
        ({"CA_BUNDLE": "missing.pem"}, "there is no file"),
        ({"STRATEGY": "", "DATABASE_NAME": ""}, "STRATEGY is not set; DATABASE_NAME is not set"),
    ],
)
def test_bad_settings(change: dict[str, str], text: str) -> None:
    with pytest.raises(RotationError, match=text) as raised:
        read_configuration(GOOD | change)
    assert raised.value.cause == Cause.CONFIGURATION


def test_settings_that_may_be_left_out() -> None:
    configuration = read_configuration(GOOD)
    assert (configuration.ca_bundle, configuration.superuser_secret_arn) == (None, None)
    alternating = GOOD | {"STRATEGY": "alternating-users", "SUPERUSER_SECRET_ARN": "arn", "DATABASE_USERNAME": ""}
    assert read_configuration(alternating).username == ""


def test_a_bug_s_own_text_goes_nowhere(rotation: Rotation, refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    token = rotation.start()

    def broken(_: RotatedSecret, value: str) -> None:
        raise KeyError(value)

    monkeypatch.setattr(RotatedSecret, "put_pending", broken)
    with refuses(rotation, Cause.UNEXPECTED, "KeyError at "):
        rotation.step("createSecret", token)


def test_the_documentation_says_what_to_do_for_each_cause() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rotation.md").read_text(encoding="utf-8")
    rows = page.partition("## When it fails\n")[2].partition("\n### ")[0].splitlines()
    first = " ".join(row.split("|")[1] for row in rows if row.startswith("| `"))
    assert {*re.findall(r"`([a-z-]+)`", first)} - {"cause"} == set(Cause)
