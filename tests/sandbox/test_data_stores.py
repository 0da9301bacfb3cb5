"""From nothing to rotated passwords: the secrets' stack, examples/data, the first rotation, both servers' changes.

A real PostgreSQL, and a real Redis where this machine has one, stand behind the local AWS: what ModifyDBCluster and
ModifyReplicationGroup are asked is done there. Clients connect without a pause, and every refused connection is counted.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pg8000.native
import pytest

from ops.both_sides import change as both_sides
from ops.both_sides import servers
from ops.doctor.service import Found, Service, Task
from sandbox import local_aws, postgresql
from sandbox.home import REPOSITORY
from sandbox.rotation import Rotation
from tests.sandbox.stack_options import ALTERNATING, given, with_application_user

Make = Callable[..., Any]
DATA = REPOSITORY / "examples" / "data"
GRANTS = ["CONNECT ON DATABASE ticketing", "USAGE, CREATE ON SCHEMA public"]
pytestmark = pytest.mark.slow


def data_options(copy: Any, folder: Path) -> tuple[str, ...]:
    """The options of the data's stack beside a copy's, in the same account."""
    data = folder / "data"
    shutil.copytree(DATA, data, ignore=shutil.ignore_patterns("Pulumi.*.yaml"))
    text = (DATA / "Pulumi.dev.yaml").read_text(encoding="utf-8").replace("111111111111", copy.account)
    text = text.replace("service-ticket-system/dev", f"service-ticket-system/{copy.stack}")
    (data / f"Pulumi.{copy.stack}.yaml").write_text(text, encoding="utf-8")
    return ("--project", str(data), "--stack", copy.stack)


@dataclass
class Redis:
    """A Redis whose default user takes a list of passwords, as ElastiCache's AUTH does."""

    port: int

    def ask(self, *words: str, password: str = "") -> str:
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            lines = [("AUTH", password)] if password else []
            reply = ""
            for line in (*lines, words):
                parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in line)
                connection.sendall(f"*{len(line)}\r\n{parts}".encode())
                reply = connection.recv(4096).decode()
                if reply.startswith("-"):
                    return reply
            return reply

    def accepts(self, password: str) -> bool:
        return self.ask("PING", password=password).startswith("+PONG")


@pytest.fixture
def redis(tmp_path: Path) -> Generator[Redis | None]:
    """A Redis, None where this machine has none."""
    executable = shutil.which("redis-server")
    if executable is None:
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen([executable, *arguments], stdout=subprocess.DEVNULL) as server:
        for _ in range(200):
            with contextlib.suppress(OSError):
                Redis(port).ask("PING")
                break
            time.sleep(0.05)
        yield Redis(port)
        server.terminate()


@dataclass
class Client(threading.Thread):
    """Connects without a pause with what it read when it started, until it is replaced."""

    accepts: Callable[[], bool]
    tried: int = 0
    refused: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        while not self.stopped.is_set():
            self.refused += not self.accepts()
            self.tried += 1
            time.sleep(0.002)

    def __hash__(self) -> int:
        return id(self)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.2)
        self.stopped.set()
        self.join()


def test_the_data_stores_come_up_beside_the_secrets_and_leave_nothing(
    sandbox: Any, project_copy: Make, tmp_path: Path
) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    data = data_options(copy, tmp_path)
    outputs = sandbox.ok("up", *data)["outputs"]
    assert ".rds.amazonaws.com" in outputs["database_host"]
    assert ".cache.amazonaws.com" in outputs["redis_host"]
    assert sandbox.ok("preview", "--expect-no-changes", *data)["changes"] == []
    assert sandbox.ok("refresh", *data)["changes"] == []

    # What a rotation sets later is not handed over again.
    secrets = sandbox.aws("secretsmanager", copy)
    arn = sandbox.ok("outputs", *copy.options)["secret_arns"]["db-master-password"]
    secrets.put_secret_value(SecretId=arn, SecretString="rotated-at-both-sides-0001")
    assert sandbox.ok("preview", "--expect-no-changes", *data)["changes"] == []

    managed = sandbox.ok("up", *data, "-c", "masterPassword=managed-by-rds")["outputs"]
    assert ":secret:rds!cluster-" in managed["master_secret_arn"]
    sandbox.ok("destroy", *data)
    assert sandbox.aws("rds", copy).describe_db_clusters()["DBClusters"] == []
    assert sandbox.aws("elasticache", copy).describe_replication_groups()["ReplicationGroups"] == []


def test_no_connection_is_refused_from_the_first_up_to_the_last_rotation(  # noqa: PLR0915, PLR0917 - one story
    sandbox: Any,
    project_copy: Make,
    tmp_path: Path,
    redis: Redis | None,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    copy = with_application_user(project_copy())
    hosts = given(databaseHost="not-yet.invalid", redisHost="not-yet.invalid")
    sandbox.ok("up", *copy.options, *hosts)
    data = sandbox.ok("up", *data_options(copy, tmp_path))["outputs"]
    secrets = sandbox.aws("secretsmanager", copy)
    arns = sandbox.ok("outputs", *copy.options)["secret_arns"]

    def current(name: str) -> str:
        return secrets.get_secret_value(SecretId=arns[name], VersionStage="AWSCURRENT")["SecretString"]

    def token() -> str:
        return json.loads(current("app-config"))["REDIS_PASSWORD"]

    with postgresql.running("ticketing") as database:
        _set_master(database, current("db-master-password"))
        hosts = given(
            databaseHost=data["database_host"],
            redisHost=data["redis_host"],
            rotation={**ALTERNATING, "dbname": "ticketing", "grants": GRANTS},
        )
        outputs = sandbox.ok("up", *copy.options, *hosts)["outputs"]
        rotation = _rotation(sandbox, copy, outputs)

        # What Secrets Manager does when rotation is configured, and then the first rotation.
        _trial(rotation, database)
        held = json.loads(current("db-app-user"))
        assert database.accepts(held["username"], held["password"])
        with Client(lambda: database.accepts(held["username"], held["password"])) as user:
            rotation.carry_out(database, lambda _: None)
            rotated = json.loads(current("db-app-user"))
            assert database.accepts(rotated["username"], rotated["password"])
        measured = [f"application's user, first rotation: {user.refused} of {user.tried} connections refused"]

        # The AUTH token: tasks hold the value that they started with.
        task = {"token": token(), "started": datetime.now(UTC)}
        if redis:
            redis.ask("ACL", "SETUSER", "default", "on", f">{task['token']}", "-nopass")
            redis.ask("CONFIG", "SET", "requirepass", str(task["token"]))
        _behind(monkeypatch, database, redis, token)

        def deploy(*_: Any) -> None:
            time.sleep(1.5)  # a task starts after the value became current, by AWS's clock of whole seconds
            task.update(token=token(), started=datetime.now(UTC))

        def services(*_: Any) -> Service:
            now = Task(task["started"], ())  # type: ignore[arg-type]
            return Service("web", "main", "arn", 1, 1, "1.4.0", None, (), "", (now,), (), "")

        def found(*_: Any) -> Found:
            return Found(({},), 1, ())

        monkeypatch.setattr(both_sides, "find", found)
        monkeypatch.setattr(both_sides, "read", services)
        monkeypatch.setattr(both_sides.Change, "_start_deployment", deploy)
        monkeypatch.setattr(both_sides, "_SETTLE_SECONDS", 0.1)
        monkeypatch.setattr(both_sides, "_POLL_SECONDS", 0.1)
        file = tmp_path / "outputs.json"
        file.write_text(json.dumps(outputs), encoding="utf-8")
        before = token()
        with Client(lambda: redis is None or redis.accepts(str(task["token"]))) as cache:
            done = sandbox.ops(copy, "rotate", "app-config", "--yes", "--outputs", str(file))
        assert done.status == 0, done.err
        assert task["token"] == token() != before
        if redis:
            assert not redis.accepts(before)
            measured.append(f"AUTH token, both sides: {cache.refused} of {cache.tried} connections refused")

        # The master's password: no task uses it, the rotation function does.
        master = current("db-master-password")
        done = sandbox.ops(copy, "rotate", "db-master-password", "--yes", "--outputs", str(file))
        assert done.status == 0, done.err
        assert current("db-master-password") != master
        assert database.accepts("postgres", current("db-master-password"))
        assert not database.accepts("postgres", master)
        held = json.loads(current("db-app-user"))
        with Client(lambda: database.accepts(held["username"], held["password"])) as again:
            rotation.carry_out(database, lambda _: None)
        measured.append(f"application's user after that: {again.refused} of {again.tried} connections refused")

    for line in measured:
        record_property("measured", line)
        print(line)  # noqa: T201 - the figures of the run, with -s
    assert user.refused == cache.refused == again.refused == 0
    # None of it is undone.
    live = current("app-config")
    assert sandbox.ok("up", *copy.options, *hosts)["changes"] == []
    assert current("app-config") == live
    assert sandbox.ok("preview", "--expect-no-changes", *data_options(copy, tmp_path / "again"))["changes"] == []


def _set_master(database: Any, password: str) -> None:
    database.sql(f"ALTER ROLE postgres PASSWORD {pg8000.native.literal(password)}")


def _rotation(sandbox: Any, copy: Any, outputs: dict[str, Any]) -> Rotation:
    running = local_aws.running(sandbox.home)
    assert running is not None
    credentials = running.credentials(copy.account).variables()
    return Rotation.of("db-app-user", outputs, running.endpoint, sandbox.region, credentials)


def _trial(rotation: Rotation, database: Any) -> None:
    """testSecret alone, on a pending copy of the current value that is removed afterwards."""
    client: Any = rotation.client
    value = client.get_secret_value(SecretId=rotation.arn, VersionStage="AWSCURRENT")["SecretString"]
    put = client.put_secret_value(SecretId=rotation.arn, SecretString=value, VersionStages=["AWSPENDING"])
    rotation.run_step("testSecret", put["VersionId"], database)
    client.update_secret_version_stage(
        SecretId=rotation.arn, VersionStage="AWSPENDING", RemoveFromVersionId=put["VersionId"]
    )


def _behind(monkeypatch: pytest.MonkeyPatch, database: Any, redis: Redis | None, token: Callable[[], str]) -> None:
    """Do at the real servers what AWS is asked to do."""
    modify: Any = servers.ReplicationGroup._modify
    accept: Any = servers.Cluster.accept
    first = token()

    def modify_both(self: Any, value: str, strategy: str) -> None:
        modify(self, value, strategy)
        if redis:
            rules = [f">{value}"] if strategy == "ROTATE" else ["resetpass", f">{value}"]
            known = value if redis.accepts(value) else first
            redis.ask("ACL", "SETUSER", "default", *rules, password=known)

    def accept_both(self: Any, value: str) -> None:
        accept(self, value)
        _set_master(database, value)

    monkeypatch.setattr(servers.ReplicationGroup, "_modify", modify_both)
    monkeypatch.setattr(servers.Cluster, "accept", accept_both)
