"""`python -m sandbox rotate`: runs the deployed rotation function, as Secrets Manager would, against a real PostgreSQL.

The function's archive, its variables and the secrets come from the local AWS. Only where the database is, and whom to trust for
its certificate, is the sandbox's own. No value is printed.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from sandbox import postgresql
from sandbox.errors import MisuseError, SandboxError
from sandbox.local_aws import Credentials, is_loopback
from sandbox.postgresql import Database

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

# RotateSecret makes an empty version labelled AWSPENDING before it calls the function. No other call can make one, and emulators
# run no function when asked to rotate: the function is shown that version until its first step has made it.
_RUN_HANDLER = """
import importlib, json, sys
import boto3
sys.path.insert(0, sys.argv[1])
event = json.load(sys.stdin)

def show_the_empty_version(parsed, **_):
    versions = parsed.setdefault("VersionIdsToStages", {})
    if event["ClientRequestToken"] not in versions:
        for labels in versions.values():
            labels[:] = [label for label in labels if label != "AWSPENDING"]
        versions[event["ClientRequestToken"]] = ["AWSPENDING"]

boto3.setup_default_session()
boto3.DEFAULT_SESSION.events.register("after-call.secrets-manager.DescribeSecret", show_the_empty_version)
module, _, name = sys.argv[2].rpartition(".")
getattr(importlib.import_module(module), name)(event, None)
"""


@dataclass(frozen=True)
class Rotation:
    """One secret, the function that rotates it, and how to reach both."""

    name: str
    arn: str
    archive: bytes
    handler: str
    variables: Mapping[str, str]
    connection: Mapping[str, str]
    client: Any

    @classmethod
    def of(
        cls, name: str, outputs: Mapping[str, Any], endpoint: str, region: str, credentials: Mapping[str, str]
    ) -> "Rotation":
        """Read everything from the local AWS.

        Args:
            name: The secret's name in the catalogue.
            outputs: The stack's outputs.
            endpoint: URL of the local AWS.
            region: The stack's Region.
            credentials: `AWS_*` variables of the stack's account.

        Raises:
            MisuseError: When there is no such secret.
            SandboxError: When no function rotates it.
        """
        arns: Mapping[str, str] = outputs.get("secret_arns", {})
        if name not in arns:
            raise MisuseError(f"there is no secret {name!r} in this stack; it has {', '.join(sorted(arns))}")
        session: Any = boto3.Session(*credentials.values(), region_name=region)
        aws: Callable[[str], Any] = functools.partial(session.client, endpoint_url=endpoint)
        client = aws("secretsmanager")
        described = client.describe_secret(SecretId=arns[name])
        if not described.get("RotationEnabled"):
            raise SandboxError(
                f"{name} is not rotated by a function: configure `rotation` (docs/rotation.md) and run `python -m sandbox up`"
            )
        function = aws("lambda").get_function(FunctionName=described["RotationLambdaARN"])
        configuration: Any = function["Configuration"]
        # As on AWS, the function has its role's rights and no others, in a session of its own name: sandbox/authorization.py asks
        # its policies.
        assumed = aws("sts").assume_role(RoleArn=configuration["Role"], RoleSessionName=configuration["FunctionName"])[
            "Credentials"
        ]
        connection = {
            **Credentials(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"]).variables(),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
        }
        return cls(
            name=name,
            arn=arns[name],
            archive=_read(function["Code"].get("Location", "")),
            handler=configuration["Handler"],
            variables=configuration["Environment"]["Variables"],
            connection=connection,
            client=client,
        )

    def run(self, say: Callable[[str], None]) -> dict[str, Any]:
        """Rotate once and prove it; returns what was found, for `--json`.

        Raises:
            SandboxError: When a step fails; the value is then the one before.
        """
        if (engine := self.variables["ENGINE"]) != "postgresql":
            raise SandboxError(f"there is no {engine} here: `python -m sandbox rotate` has a PostgreSQL only")
        before = self._credentials()
        say(f"Starting PostgreSQL and signing in as {before[0]} with the current value")
        with postgresql.running(self.variables["DATABASE_NAME"]) as database:
            self._seed(database, before)
            token = self.carry_out(database, say)
            after = self._credentials()
            new_works, old_works = database.accepts(*after), database.accepts(*before)
        if not new_works or after == before:
            raise SandboxError("the rotation ended, but the current value does not sign in: please report this")
        alternating = self.variables["STRATEGY"] == "alternating-users"
        if old_works != alternating:
            raise SandboxError(
                "the rotation ended, but the value before is not what the strategy promises: please report this"
            )
        say(f"The new value signs in as {after[0]}.")
        kept = (
            "still signs in, as the strategy promises, until the next rotation" if old_works else "no longer signs in"
        )
        say(f"The value before {kept}.")
        return {
            "secret": self.name,
            "arn": self.arn,
            "version_id": token,
            "strategy": self.variables["STRATEGY"],
            "new_value_signs_in": new_works,
            "old_value_signs_in": old_works,
        }

    def carry_out(self, database: Database, say: Callable[[str], None]) -> str:
        """Run the four steps against a database that has the users; returns the new version's id.

        Raises:
            SandboxError: When a step fails.
        """
        token = str(uuid.uuid4())
        for step in STEPS:
            self.run_step(step, token, database)
            say(f"  {step:<13} done")
        return token

    def run_step(self, step: str, token: str, database: Database) -> None:
        """Run one step; Secrets Manager runs testSecret alone when a rotation is being configured.

        Raises:
            SandboxError: When it fails.
        """
        with tempfile.TemporaryDirectory() as folder:
            zipfile.ZipFile(BytesIO(self.archive)).extractall(folder)
            self._step(step, token, database, Path(folder))

    def _credentials(self) -> tuple[str, str]:
        value = self.client.get_secret_value(SecretId=self.arn)["SecretString"]
        if self.variables["STRATEGY"] == "single-user":
            return self.variables["DATABASE_USERNAME"], value
        document = json.loads(value)
        return document["username"], document["password"]

    def _superuser(self) -> tuple[str, str]:
        """JSON with both, as RDS keeps it, or the password of the configured user."""
        secret = self.client.get_secret_value(SecretId=self.variables["SUPERUSER_SECRET_ARN"])["SecretString"]
        try:
            document = json.loads(secret)
            return document["username"], document["password"]
        except (ValueError, TypeError, KeyError):
            return self.variables["DATABASE_USERNAME"], secret

    def _seed(self, database: Database, credentials: tuple[str, str]) -> None:
        """Make the users whose passwords the secrets hold, as they are on the real database at this moment."""
        user, password = credentials
        with database.by_socket("postgres") as connection:
            if self.variables["STRATEGY"] == "single-user":
                _make_user(connection, user, password)
                return
            _make_user(connection, *self._superuser(), "SUPERUSER")
            original = user.removesuffix("_clone")
            if original != user:
                _make_user(connection, original, str(uuid.uuid4()))
            _make_user(connection, user, password)

    def _step(self, step: str, token: str, database: Database, archive: Path) -> None:
        # The code runs with the deployed variables and, like Lambda's, with nothing else of this machine's environment.
        environment = {
            "PATH": os.environ.get("PATH", ""),
            **self.variables,
            **self.connection,
            "DATABASE_HOST": database.host,
            "DATABASE_PORT": str(database.port),
            "CA_BUNDLE": str(database.ca),
        }
        event = {"Step": step, "SecretId": self.arn, "ClientRequestToken": token}
        ended = subprocess.run(  # noqa: S603 - our own interpreter; -I keeps the project itself out of reach
            [sys.executable, "-I", "-c", _RUN_HANDLER, str(archive), self.handler],
            input=json.dumps(event),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise SandboxError(f"{step} failed: {_last_error(ended.stdout, ended.stderr)}")


def _read(location: str) -> bytes:
    """What lies at a URL of the local AWS: the built-in one gives the content itself (`data:`), others a place of their own."""
    address = urlsplit(location)
    if address.scheme != "data" and not is_loopback(address.hostname or ""):
        raise SandboxError(f"the function's code is not on this machine, but at {address.hostname}")
    with urllib.request.urlopen(location) as answer:  # noqa: S310 - data: or loopback, as checked
        return answer.read()


def _make_user(connection: Any, user: str, password: str, *attributes: str) -> None:
    exists = connection.run("SELECT 1 FROM pg_roles WHERE rolname = :name", name=user)
    verb = "ALTER" if exists else "CREATE"
    rights = " ".join(("LOGIN", *attributes))
    literal = postgresql.pg8000.native.literal(password)
    try:
        connection.run(f"{verb} ROLE {postgresql.pg8000.native.identifier(user)} {rights} PASSWORD {literal}")
    except postgresql.pg8000.native.DatabaseError:
        # The driver's own words could quote the statement.
        raise SandboxError(f"PostgreSQL refused to make the user {user}") from None


def _last_error(stdout: str, stderr: str) -> str:
    """Return the function's own words: its last line of log that is an error, else the last of its standard error."""
    for line in reversed(stdout.splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if str(entry.get("level", "")).upper() == "ERROR":
            return str(entry.get("message", entry))
    return stderr.strip().splitlines()[-1] if stderr.strip() else "it ended and said nothing"
