"""A real PostgreSQL and a Secrets Manager for the rotation function, and the rotations that tests run against them.

For annotations: `from tests.functions.conftest import Database, Rotation, Rotations`.
"""

import functools
import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import boto3
import pg8000.native
import pytest
from moto import mock_aws
from moto.secretsmanager.models import FakeSecret, secretsmanager_backends
from mypy_boto3_secretsmanager import SecretsManagerClient

from components.functions.rotate_password import rotate
from sandbox import postgresql

ACCOUNT = "123456789012"  # moto's own
REGION = "eu-central-1"
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database(postgresql.Database):
    """A running PostgreSQL: passwords by TCP, any user by its socket."""

    def roles(self) -> list[list[Any]]:
        """Everything that a rotation could change in the database."""
        return self.sql(
            "SELECT rolname, rolpassword, rolcanlogin, rolinherit, rolsuper, rolconnlimit, rolvaliduntil::text, "
            "(SELECT array_agg(setconfig::text) FROM pg_db_role_setting WHERE setrole = pg_authid.oid)::text, "
            "(SELECT array_agg(roleid) FROM pg_auth_members WHERE member = pg_authid.oid)::text "
            "FROM pg_authid ORDER BY 1"
        )


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    """One PostgreSQL for a session (with pytest-xdist: for a worker)."""
    with postgresql.running("tickets", {"log_statement": "all"}) as running:
        yield Database(**vars(running))


@dataclass(frozen=True)
class Rotation:
    """A secret that rotates, and the database behind it."""

    database: Database
    client: SecretsManagerClient
    secret_id: str
    user: str
    """single-user: the user; alternating-users: the original of the pair."""
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def start(self) -> str:
        """Begin a rotation as RotateSecret does: an empty version, labelled AWSPENDING; returns its id."""
        token = str(uuid.uuid4())
        versions = stored(self.secret_id).versions
        for version in versions.values():
            with suppress(ValueError):
                version["version_stages"].remove("AWSPENDING")
        versions[token] = {"createdate": int(time.time()), "version_id": token, "version_stages": ["AWSPENDING"]}
        return token

    def at(self, step: str) -> str:
        """Begin a rotation and carry out the steps before this one; returns the id of its version."""
        token = self.start()
        self.steps(token, *STEPS[: STEPS.index(step)])
        return token

    def start_again(self, token: str) -> None:
        """Give the label AWSPENDING back to a version that lost it."""
        for version_id, version in stored(self.secret_id).versions.items():
            labels: list[str] = version["version_stages"]
            with suppress(ValueError):
                labels.remove("AWSPENDING")
            if version_id == token:
                labels.append("AWSPENDING")

    def step(self, step: str, token: str) -> None:
        rotate.handler({"Step": step, "SecretId": self.secret_id, "ClientRequestToken": token})

    def steps(self, token: str, *steps: str) -> None:
        for step in steps:
            self.step(step, token)

    def rotate(self) -> str:
        token = self.start()
        self.steps(token, *STEPS)
        return token

    def value(self, *, stage: str = "AWSCURRENT") -> str:
        return self.client.get_secret_value(SecretId=self.secret_id, VersionStage=stage)["SecretString"]

    def version(self, token: str) -> str | None:
        return stored(self.secret_id).versions[token].get("secret_string")

    def credentials(self, value: str | None = None) -> tuple[str, str]:
        """The user and password that a value of the secret means; of the current one when none is given."""
        return self.parse(self.value() if value is None else value)

    def parse(self, value: str) -> tuple[str, str]:
        if self.environment["STRATEGY"] == "single-user":
            return self.user, value
        document = json.loads(value)
        return document["username"], document["password"]

    def works(self, value: str | None = None) -> bool:
        return self.database.accepts(*self.credentials(value))

    def labels(self) -> dict[str, list[str]]:
        described = self.client.describe_secret(SecretId=self.secret_id)
        return {version: sorted(labels) for version, labels in described["VersionIdsToStages"].items()}

    def put(self, value: str) -> None:
        """Write a new current value, as an operator does."""
        secret = stored(self.secret_id)  # moto forgets which version is current when finishSecret moves the label
        current = [version for version, content in secret.versions.items() if "AWSCURRENT" in content["version_stages"]]
        secret.set_default_version_id(current[0])
        self.client.put_secret_value(SecretId=self.secret_id, SecretString=value)

    def put_superuser_as_json(self, password: str = "superuser-password-0003") -> str:
        """Keep the superuser's credentials as RDS keeps those of a master user that it manages; returns its name."""
        superuser = self.environment["DATABASE_USERNAME"]
        value = json.dumps({"username": superuser, "password": password})
        self.client.put_secret_value(SecretId=self.environment["SUPERUSER_SECRET_ARN"], SecretString=value)
        return superuser

    def state(self) -> tuple[object, ...]:
        """What must stay as it was when a step fails."""
        versions = stored(self.secret_id).versions
        return self.database.roles(), json.dumps(versions, default=repr, sort_keys=True)


def stored(secret_id: str) -> FakeSecret:
    """The secret as moto keeps it, for what no call of AWS's can do."""
    secret = secretsmanager_backends[ACCOUNT][REGION].secrets[secret_id]
    assert isinstance(secret, FakeSecret)
    return secret


@dataclass(frozen=True)
class Rotations:
    """Makes users, secrets and the function's environment; each call makes new ones."""

    database: Database
    client: SecretsManagerClient
    monkeypatch: pytest.MonkeyPatch

    def single_user(self, password: str = "seeded-by-pulumi-0001", *, user: str | None = None) -> Rotation:
        user = user or f"master{next(_numbers)}"
        self.create_user(user, password)
        return self._rotation(user, password, {"STRATEGY": "single-user", "DATABASE_USERNAME": user})

    def new_user(self, password: str = "seeded-by-pulumi-0004") -> Rotation:
        """As after the first `up`: the secret names a user that the database does not have yet."""
        rotation = self.alternating_users(password)
        superuser, user = rotation.environment["DATABASE_USERNAME"], rotation.user
        self.database.sql(f"DROP ROLE {user}")
        self.database.sql(f"ALTER DATABASE {self.database.name} OWNER TO {superuser}")  # as of RDS's master
        self.database.sql(f"CREATE SCHEMA of_{user} AUTHORIZATION {superuser}")
        grants = [f"CREATE ON DATABASE {self.database.name}", f"USAGE ON SCHEMA of_{user}"]
        self.monkeypatch.setenv("USER_GRANTS", json.dumps(grants))
        return rotation

    def alternating_users(
        self, password: str = "seeded-by-pulumi-0002", *, user: str | None = None, keys: Mapping[str, Any] | None = None
    ) -> Rotation:
        user = user or f"app{next(_numbers)}"
        superuser, superuser_password = f"rotator{next(_numbers)}", "superuser-password-0003"
        # What Amazon's rds_superuser comes to: no real superuser, but it may make roles.
        self.database.sql(f"CREATE ROLE {superuser} LOGIN CREATEROLE CREATEDB PASSWORD '{superuser_password}'")
        superuser_secret = f"superuser-{next(_numbers)}"
        created = self.client.create_secret(Name=superuser_secret, SecretString=superuser_password)
        with self.database.by_socket(superuser) as connection:
            connection.run(
                f"CREATE ROLE {pg8000.native.identifier(user)} LOGIN PASSWORD {pg8000.native.literal(password)}"
            )
        document = {"username": user, "password": password} | dict(keys or {})
        environment = {
            "STRATEGY": "alternating-users",
            "DATABASE_USERNAME": superuser,
            "SUPERUSER_SECRET_ARN": created["ARN"],
        }
        return self._rotation(user, json.dumps(document), environment)

    def create_user(self, user: str, password: str) -> None:
        quoted = pg8000.native.literal(password)
        self.database.sql(f"CREATE ROLE {pg8000.native.identifier(user)} LOGIN PASSWORD {quoted}")

    def _rotation(self, user: str, value: str, environment: dict[str, str]) -> Rotation:
        name = f"secret-{next(_numbers)}"
        self.client.create_secret(Name=name, SecretString=value)
        stored(name).rotation_requested = stored(name).rotation_enabled = True
        environment |= {
            "ENGINE": "postgresql",
            "DATABASE_HOST": self.database.host,
            "DATABASE_PORT": str(self.database.port),
            "DATABASE_NAME": self.database.name,
            "CA_BUNDLE": str(self.database.ca),
        }
        for variable, text in environment.items():
            self.monkeypatch.setenv(variable, text)
        return Rotation(self.database, self.client, name, user, environment)


@pytest.fixture
def rotations(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rotations]:
    for variable, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }.items():
        monkeypatch.setenv(variable, value)
    for variable in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "STRATEGY", "SUPERUSER_SECRET_ARN", "USER_GRANTS"):
        monkeypatch.delenv(variable, raising=False)
    with mock_aws():
        yield Rotations(database, _secrets_manager(), monkeypatch)


@functools.cache
def _secrets_manager() -> SecretsManagerClient:
    return boto3.client("secretsmanager", region_name=REGION)


@pytest.fixture(params=["single_user", "alternating_users"])
def rotation(request: pytest.FixtureRequest, rotations: Rotations) -> Rotation:
    """Each test that asks for it runs with both strategies."""
    make: Callable[[], Rotation] = getattr(rotations, request.param)
    return make()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured (`record_property("measured", ...)`); works across xdist workers too."""
    lines = [
        str(text)
        for report in terminalreporter.getreports("passed")
        for name, text in report.user_properties
        if name == "measured" and report.when == "call"
    ]
    if lines:
        terminalreporter.section("measured")
        for line in sorted(set(lines)):
            terminalreporter.write_line(line)
