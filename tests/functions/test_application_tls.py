"""examples/application signs in to a real PostgreSQL over TLS: who is let in, and which two servers are refused.

The server's authority is private, as Amazon's are to a system: without its bundle no sample connects. Node's part needs no
package: it asks PostgreSQL for TLS as `pg` does, with the options that the sample gives `pg`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functions.conftest import Database

FOLDER = Path(__file__).parents[2] / "examples" / "application"
PASSWORD = "a-password-of-the-tickets-user"

NODE = """
import { connect as tcp } from "node:net";
import { connect as tls } from "node:tls";
import { databaseTls } from "./app.mjs";

// PostgreSQL's SSLRequest, and what pg does with the answer in lib/connection.js.
const host = process.env.DATABASE_HOST;
const socket = tcp(Number(process.env.DATABASE_PORT), host);
socket.once("connect", () => socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])));
socket.once("data", () => {
  const secure = tls({ socket, servername: /^[0-9.]+$/.test(host) ? undefined : host, host, ...databaseTls(process.env) });
  secure.once("secureConnect", () => { console.log("the database lets this task in"); secure.destroy(); });
  secure.once("error", (error) => { console.error(error.code); process.exitCode = 1; });
});
"""

VARIABLES = {
    "REDIS_HOST": "r",
    "JWT_SECRET": "j",
    "REDIS_PASSWORD": "r",
    "SMTP_PASSWORD": "s",
    "APP_CONFIG": '{"ENCRYPTION_KEY": "k"}',
    "DB_USER": "tickets_sample",
    "DB_PASSWORD": PASSWORD,
}


@pytest.fixture(scope="module")
def server(database: Database) -> Database:
    database.sql(f"CREATE USER tickets_sample PASSWORD '{PASSWORD}'")
    return database


def sign_in(command: list[str], server: Database, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=FOLDER,
        env={
            "PATH": os.environ["PATH"], **VARIABLES, "DATABASE_HOST": server.host, "DATABASE_PORT": str(server.port),
            "DATABASE_NAME": server.name, **variables,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )  # fmt: skip


PYTHON = pytest.param(
    [sys.executable, "app.py", "--connect"],
    ("unable to get local issuer certificate", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    id="python",
)
NODE_JS = pytest.param(
    ["node", "--input-type=module", "-e", NODE],
    ("UNABLE_TO_VERIFY_LEAF_SIGNATURE", "ERR_TLS_CERT_ALTNAME_INVALID"),
    marks=pytest.mark.skipif(shutil.which("node") is None, reason="the sample for Node.js needs node"),
    id="node",
)


@pytest.mark.parametrize(("command", "refusals"), [PYTHON, NODE_JS])
def test_chain_and_host_name_of_the_database_are_verified(
    server: Database, command: list[str], refusals: tuple[str, str]
) -> None:
    private = str(server.ca)
    let_in = sign_in(command, server, DATABASE_CA_BUNDLE=private)
    assert (let_in.returncode, let_in.stdout) == (0, "the database lets this task in\n"), let_in.stderr

    unknown_authority = sign_in(command, server)
    another_host = sign_in(command, server, DATABASE_CA_BUNDLE=private, DATABASE_HOST="127.0.0.1")
    # NODE_TLS_REJECT_UNAUTHORIZED is what people set who could not reach Aurora.
    against_advice = sign_in(command, server, NODE_TLS_REJECT_UNAUTHORIZED="0")
    for refused, why in ((unknown_authority, refusals[0]), (another_host, refusals[1]), (against_advice, refusals[0])):
        assert refused.returncode == 1
        assert why in refused.stderr
        assert PASSWORD not in refused.stdout + refused.stderr


def test_a_wrong_password_is_told_without_it(server: Database) -> None:
    done = sign_in(
        [sys.executable, "app.py", "--connect"], server, DATABASE_CA_BUNDLE=str(server.ca), DB_PASSWORD="wrong-password"
    )
    assert done.returncode == 1
    assert "password authentication failed" in done.stderr
    assert "wrong-password" not in done.stderr
