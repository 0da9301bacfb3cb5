"""From an empty account to rotated passwords: the secrets' stack, both examples, the first rotation, both servers' changes.

A real PostgreSQL, and a real Redis where this machine has one, stand behind the local AWS: what ModifyDBCluster and
ModifyReplicationGroup are asked is done there. Clients connect without a pause, and every refused connection is counted. Every
call is recorded as CloudTrail does, and the stack's own filters look at the records.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pg8000.native
import pytest
import yaml

from components.location import Location
from components.references import parse_value_from
from ops.access.evaluator import decide
from ops.both_sides import change as both_sides
from ops.both_sides import servers
from ops.doctor.service import Service, Task
from sandbox import local_aws, postgresql
from sandbox.errors import SandboxError
from sandbox.home import REPOSITORY
from sandbox.rotation import Rotation
from tests.recorded_calls import Account, documented_policy
from tests.sandbox.cloud_trail import Trail, recorded
from tests.sandbox.stack_options import example_options, given, values, with_application_user
from tests.sandbox.test_account import account_of
from tests.sandbox.test_values_kept import Stack

Make = Callable[..., Any]
DEPLOYER, OPERATOR = "service-ticket-system-deployer", "service-ticket-system-operator"
ROTATION = REPOSITORY / "docs" / "rotation.md"
GRANTS = ["CONNECT ON DATABASE ticketing", "USAGE, CREATE ON SCHEMA public"]
pytestmark = pytest.mark.slow


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
    data = example_options("data", copy, tmp_path)
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


def test_no_connection_is_refused_and_no_alarm_fires_from_an_empty_account_to_the_last_rotation(  # noqa: PLR0915, PLR0917 - one story
    own_sandbox: Any,
    project_copy: Make,
    tmp_path: Path,
    redis: Redis | None,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    sandbox, copy = own_sandbox, with_application_user(project_copy("prod"))
    _prepare(copy)
    with (
        recorded(sandbox.home, copy.account, sandbox.region) as trail,
        postgresql.running("ticketing") as database,
    ):
        # The account, by an administrator: the stack's trail does not exist yet. It gives the rights of the whole file.
        made = sandbox.ok("up", *account_of(copy, "prod").options)["outputs"]
        later = _without_what_needs_a_database(copy)
        _configure(copy, permissionsBoundary=made["permissionsBoundary"])

        with trail.by(DEPLOYER):
            sandbox.ok("up", *copy.options, *given(databaseHost="not-yet.invalid", redisHost="not-yet.invalid"))
            data = sandbox.ok("up", *example_options("data", copy, tmp_path))["outputs"]
        secrets = sandbox.aws("secretsmanager", copy)
        arns = sandbox.ok("outputs", *copy.options)["secret_arns"]

        def current(name: str) -> str:
            return secrets.get_secret_value(SecretId=arns[name], VersionStage="AWSCURRENT")["SecretString"]

        def token() -> str:
            return json.loads(current("app-config"))["REDIS_PASSWORD"]

        _set_master(database, current("db-master-password"))
        _configure(copy, databaseHost=data["database_host"], redisHost=data["redis_host"], **later)
        with trail.by(DEPLOYER):
            outputs = sandbox.ok("up", *copy.options)["outputs"]
            sandbox.ok("up", *example_options("service", copy, tmp_path))
        rotation = _rotation(sandbox, copy, outputs)
        ecs = _Ecs(trail, sandbox, copy, outputs["services"]["app"])

        # What Secrets Manager does when rotation is configured, and then the first rotation.
        _trial(trail, rotation, database)
        held = json.loads(current("db-app-user"))
        assert database.accepts(held["username"], held["password"])
        with Client(lambda: database.accepts(held["username"], held["password"])) as user:
            _rotate(trail, rotation, database)
            rotated = json.loads(current("db-app-user"))
            assert database.accepts(rotated["username"], rotated["password"])
        measured = [f"application's user, first rotation: {user.refused} of {user.tried} connections refused"]

        # The AUTH token: tasks hold the value that they started with.
        ecs.start_task()
        if redis:
            redis.ask("ACL", "SETUSER", "default", "on", f">{ecs.token}", "-nopass")
            redis.ask("CONFIG", "SET", "requirepass", ecs.token)
        _behind(monkeypatch, database, redis, token)
        ecs.stand_in(monkeypatch)
        file = sandbox.outputs_file(copy)
        before = token()
        with trail.by(OPERATOR), Client(lambda: redis is None or redis.accepts(ecs.token)) as cache:
            done = sandbox.ops(copy, "rotate", "app-config", "--yes", "--outputs", file)
        assert done.status == 0, done.err
        assert ecs.token == token() != before
        if redis:
            assert not redis.accepts(before)
            measured.append(f"AUTH token, both sides: {cache.refused} of {cache.tried} connections refused")

        # The master's password: no task uses it, the rotation function does.
        master = current("db-master-password")
        with trail.by(OPERATOR):
            done = sandbox.ops(copy, "rotate", "db-master-password", "--yes", "--outputs", file)
        assert done.status == 0, done.err
        assert current("db-master-password") != master
        assert database.accepts("postgres", current("db-master-password"))
        assert not database.accepts("postgres", master)
        held = json.loads(current("db-app-user"))
        with Client(lambda: database.accepts(held["username"], held["password"])) as again:
            _rotate(trail, rotation, database)
        measured.append(f"application's user after that: {again.refused} of {again.tried} connections refused")

        # None of it is undone.
        live = current("app-config")
        with trail.by(DEPLOYER):
            assert sandbox.ok("up", *copy.options)["changes"] == []
            for example in ("data", "service"):
                options = example_options(example, copy, tmp_path / "again")
                assert sandbox.ok("preview", "--expect-no-changes", *options)["changes"] == []
        assert current("app-config") == live

        prefix = outputs["secrets"]["jwt-secret"]["full_name"].removesuffix("-jwt-secret")
        logs = sandbox.aws("logs", copy)
        filters = logs.describe_metric_filters(logGroupName=f"/aws/cloudtrail/{prefix}")["metricFilters"]
        counts, callers = trail.counts(filters), trail.readers()
        trail.write_calls(OPERATOR, tmp_path / "calls.jsonl")

        # The counter-check: a stranger's read, a rotation that fails.
        with trail.by("developer"):
            current("app-config")
    with pytest.raises(SandboxError):
        _rotate(trail, rotation, database)
    more = trail.counts(filters) - counts

    for line in (*measured, f"{len(trail.records)} calls; {dict(counts)}; then {dict(more)}"):
        record_property("measured", line)
        print(line)  # noqa: T201 - the figures of the run, with -s
    assert user.refused == cache.refused == again.refused == 0
    assert set(counts) == {"Reads"}
    assert callers == {DEPLOYER, OPERATOR, f"{prefix}-rotation", f"{prefix}-app-execution"}
    assert more == {"Reads": 1, "UnexpectedReads": 1, "FailedRotations": 1}
    _assert_the_operators_policy_is_enough_and_no_wider(copy, prefix, sandbox.region, tmp_path / "calls.jsonl")


def _assert_the_operators_policy_is_enough_and_no_wider(copy: Any, prefix: str, region: str, calls: Path) -> None:
    renamed = {"222222222222": copy.account, "service-ticket-system-prod": prefix}
    policy = documented_policy(ROTATION, renamed | {"ticketing-prod": f"ticketing-{copy.stack}"})
    account = Account(Location("aws", region, copy.account), prefix, "", {})
    asked = [one for one in account.requests(calls, "") if one.action != "sts:GetCallerIdentity"]
    assert [f"{one.action} {one.resource}" for one in asked if decide(one, identity=policy).outcome != "allowed"] == []
    unasked = {action for statement in policy for action in statement.actions} - {one.action.lower() for one in asked}
    # The local AWS has no tasks to describe, asks no key, and lets nobody start a rotation.
    assert unasked == {
        "ecs:describetasks", "kms:decrypt", "kms:generatedatakey", "lambda:invokefunction", "secretsmanager:rotatesecret"
    }  # fmt: skip


def _prepare(copy: Any) -> None:
    """Name the cluster of examples/service, the grants, and the operator among the deployers."""
    path = copy.directory / f"Pulumi.{copy.stack}.yaml"
    text = path.read_text(encoding="utf-8").replace("ticketing-prod", f"ticketing-{copy.stack}")
    config = yaml.safe_load(text)["config"]
    config["service-ticket-system:rotation"] |= {"dbname": "ticketing", "grants": GRANTS}
    config["service-ticket-system:deployerRoles"].append(f"arn:aws:iam::{copy.account}:role/{OPERATOR}")
    path.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")


def _without_what_needs_a_database(copy: Any) -> dict[str, Any]:
    """Take rotation and redeployment out of the stack's file, as examples/data says; return both."""
    path = copy.directory / f"Pulumi.{copy.stack}.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    later = {key: config.pop(f"service-ticket-system:{key}") for key in ("rotation", "redeploy")}
    path.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    return later


def _configure(copy: Any, **values: Any) -> None:
    path = copy.directory / f"Pulumi.{copy.stack}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["config"] |= {f"service-ticket-system:{key}": value for key, value in values.items()}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


@dataclass
class _Ecs:
    """What ECS does and the local AWS does not: it starts a task, which reads what the task definition refers to."""

    trail: Trail
    sandbox: Any
    copy: Any
    service: dict[str, Any]
    token: str = field(default="", repr=False)
    started: datetime | None = None

    def start_task(self) -> None:
        with self.trail.by(None):
            found = self.sandbox.aws("sts", self.copy).assume_role(
                RoleArn=self.service["execution_role_arn"], RoleSessionName=uuid.uuid4().hex
            )["Credentials"]
        running = local_aws.running(self.sandbox.home)
        assert running is not None
        keys = local_aws.Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        agent = running.client("secretsmanager", region=self.sandbox.region, credentials=keys)
        for name, text in self.service["container_secrets"].items():
            reference = parse_value_from(text)
            value = agent.get_secret_value(SecretId=reference.arn)["SecretString"]
            if name == "REDIS_PASSWORD":
                self.token = json.loads(value)[reference.key or ""]
        self.started = datetime.now(UTC)

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Start a task when `ops` asks for a deployment, and show it as the service's."""
        deploy: Any = both_sides.Change._start_deployment
        read = both_sides.read

        def deployed(change: Any, service: Service) -> None:
            deploy(change, service)
            time.sleep(1.5)  # a task starts after the value became current, by AWS's clock of whole seconds
            self.start_task()

        def with_task(aws: Any, raw: Any) -> Service:
            return replace(read(aws, raw), desired=1, active=(Task(self.started, ()),))

        monkeypatch.setattr(both_sides.Change, "_start_deployment", deployed)
        monkeypatch.setattr(both_sides, "read", with_task)
        monkeypatch.setattr(both_sides, "_SETTLE_SECONDS", 0.1)
        monkeypatch.setattr(both_sides, "_POLL_SECONDS", 0.1)


def _set_master(database: Any, password: str) -> None:
    database.sql(f"ALTER ROLE postgres PASSWORD {pg8000.native.literal(password)}")


def _rotation(sandbox: Any, copy: Any, outputs: dict[str, Any]) -> Rotation:
    running = local_aws.running(sandbox.home)
    assert running is not None
    credentials = running.credentials(copy.account).variables()
    return Rotation.of("db-app-user", outputs, running.endpoint, sandbox.region, credentials)


def _trial(trail: Trail, rotation: Rotation, database: Any) -> None:
    """testSecret alone, on a pending copy of the current value that is removed afterwards."""
    client: Any = rotation.client
    value = client.get_secret_value(SecretId=rotation.arn, VersionStage="AWSCURRENT")["SecretString"]
    put = client.put_secret_value(SecretId=rotation.arn, SecretString=value, VersionStages=["AWSPENDING"])
    with _told(trail, rotation, "TestRotation"):
        rotation.run_step("testSecret", put["VersionId"], database)
    client.update_secret_version_stage(
        SecretId=rotation.arn, VersionStage="AWSPENDING", RemoveFromVersionId=put["VersionId"]
    )


def _rotate(trail: Trail, rotation: Rotation, database: Any) -> None:
    with _told(trail, rotation, "Rotation"):
        rotation.carry_out(database, lambda _: None)


@contextlib.contextmanager
def _told(trail: Trail, rotation: Rotation, event: str) -> Generator[None]:
    trail.service_event(f"{event}Started", rotation.arn)
    try:
        yield
    except SandboxError:
        trail.service_event(f"{event}Failed", rotation.arn)
        raise
    trail.service_event(f"{event}Succeeded", rotation.arn)


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


def test_what_each_refusal_of_a_one_sided_change_prints_ends_in_a_healthy_stack(
    sandbox: Any, project_copy: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack(sandbox, project_copy())
    stack.up()
    data = sandbox.ok("up", *example_options("data", stack.copy, tmp_path))["outputs"]
    sandbox.ok("up", *example_options("service", stack.copy, tmp_path), "-c", "desiredCount=0")
    stack.config |= {"databaseHost": data["database_host"], "redisHost": data["redis_host"]}
    stack.up()
    monkeypatch.setattr(both_sides, "_SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(both_sides, "_POLL_SECONDS", 0.1)
    seen = list[str]()

    def token() -> str:
        seen.append(stack.app()["REDIS_PASSWORD"])
        return seen[-1]

    def pasted(said: list[str]) -> None:
        """Paste what is printed, and what that prints; then `up` changes nothing, and the doctor finds nothing."""
        before = token()
        stack.paste(said)
        assert token() != before
        assert stack.up()["changes"] == []
        stack.paste(_doctor(stack))  # `keep`: the configuration owns the new value
        stack.up()
        assert _doctor(stack) == []

    # A new number, for the token and for the master's password.
    stack.numbers["redisPassword"] = 2
    pasted(stack.refused())
    assert stack.numbers == {"redisPassword": 1}
    master = values(sandbox, stack.copy)["db-master-password"]
    stack.numbers["dbMasterPassword"] = 2
    stack.paste(stack.refused())
    assert values(sandbox, stack.copy)["db-master-password"] != master

    # Another configured value.
    stack.secret["redisPassword"] = "a-configured-token-0123456789"
    said = stack.refused()
    stack.secret.pop("redisPassword")
    pasted(said)

    # A value given to `ops set`, and one while a change is under way.
    outputs = sandbox.outputs_file(stack.copy)
    setting = ("set", "app-config", "--key", "REDIS_PASSWORD", "--yes", "--outputs", outputs)
    done = sandbox.ops(stack.copy, *setting, stdin="another-token-0123456789")
    assert done.status == 2
    pasted(done.err.splitlines())

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(both_sides.Change, "_promote", stop)
        stopped = sandbox.ops(stack.copy, "rotate", "app-config", "--yes", "--outputs", outputs)
    assert stopped.status == 130
    stack.numbers["apiKey"] = 2
    said = stack.refused()
    del stack.numbers["apiKey"]
    pasted(said)


def _doctor(stack: Stack) -> list[str]:
    """The commands that the doctor prints for values and their servers."""
    file = stack.sandbox.outputs_file(stack.copy)
    found = json.loads(stack.sandbox.ops(stack.copy, "doctor", "--json", "--outputs", file).out)["findings"]
    wrong = [one for one in found if one["status"] != "ok" and one["check"] in {"value", "server", "rotation", "json"}]
    return [f"  {command}" for one in wrong for command in one["fix"].split(" && ")]
