"""`ops rotate` for what a server checks: the order, a kill at any call, and that the application is never locked out."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from ops._pending import way_out
from ops._secrets import Record
from ops.access.evaluator import Request, decide
from ops.both_sides import change as both_sides
from ops.both_sides import servers
from ops.both_sides.progress import Progress, Step, label_rotating, label_since, progress
from ops.both_sides.servers import Cluster, ReplicationGroup, Server, State
from ops.doctor.service import Found, Service, Task
from tests.ops.conftest import ROOT
from tests.ops.conftest import Deployed as Stack
from tests.recorded_calls import documented_policy

NOW = datetime(2026, 1, 29, 1, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
SINCE, BEFORE = label_since(NOW), label_rotating(State(settled=True, changed=NOW))


@dataclass
class World:
    """The server and the service's tasks; both are called through here, so that a test can cut in."""

    stack: Stack
    name: str
    key: str
    takes_two: bool
    accepted: list[str] = field(default_factory=list[str])
    held: str = ""
    """What the tasks read when they started."""
    changed: datetime = NOW
    calls: list[str] = field(default_factory=list[str])
    at: int = 0
    after: bool = False

    def call(self, name: str, do: Callable[[], Any]) -> Any:
        """Do it, and die before or after when it is the call's turn."""
        self.calls.append(name)
        if len(self.calls) == self.at and not self.after:
            raise KeyboardInterrupt
        done = do()
        if len(self.calls) == self.at:
            raise KeyboardInterrupt
        return done

    def value(self, text: str) -> str:
        return str(json.loads(text)[self.key]) if self.key else text

    def whole(self) -> str:
        """The current value."""
        return str(self.stack.current(self.name))

    def current(self) -> str:
        return self.value(self.whole())

    def accept(self, value: str) -> None:
        self.accepted = [*self.accepted[-1:], value] if self.takes_two else [value]
        self.changed = datetime.now(UTC)

    def accept_only(self, value: str) -> None:
        assert value in self.accepted
        self.accepted, self.changed = [value], datetime.now(UTC)

    def deploy(self) -> None:
        self.held = self.current()

    def service(self) -> Service:
        # A second passes between two deployments, which no test waits for.
        task = Task(datetime.now(UTC) + timedelta(hours=1) if self.held == self.current() else NOW, ())
        return Service("web", "main", "arn", 1, 1, "1.4.0", None, (), "", (task,), (), "")


class Fake(Server):
    """A server of the world."""

    kind = "ElastiCache replication group"

    def __init__(self, world: World) -> None:
        self.name, self.world, self.takes_two = "tickets", world, world.takes_two

    def state(self) -> State:
        return State(settled=True, changed=self.world.changed if self.takes_two else None)

    def accept(self, value: str) -> None:
        self.world.call("accept", lambda: self.world.accept(value))

    def accept_only(self, value: str) -> None:
        if self.takes_two:
            self.world.call("accept_only", lambda: self.world.accept_only(value))


def answering(answer: Callable[[], Any]) -> Callable[..., Any]:
    """Return a function that gives the answer whatever it is asked."""
    return lambda *_: answer()


@pytest.fixture
def make_world(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], World]:
    def make(name: str, key: str) -> World:
        world = World(stack, name, key, takes_two=bool(key))
        world.accepted, world.held = [world.current()], world.current()
        api: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

        def called(client: Any, operation: str, parameters: Any) -> Any:
            return world.call(operation, partial(api, client, operation, parameters))

        monkeypatch.setattr(BaseClient, "_make_api_call", called)
        monkeypatch.setattr("ops.rotate.of_host", answering(lambda: Fake(world)))
        for pause in ("_SETTLE_SECONDS", "_POLL_SECONDS"):
            monkeypatch.setattr(both_sides, pause, 0)
        monkeypatch.setattr(both_sides, "find", answering(lambda: Found(({},), 1, ())))
        monkeypatch.setattr(both_sides, "read", answering(world.service))
        deploy = answering(lambda: world.call("UpdateService", world.deploy))
        monkeypatch.setattr(both_sides.Change, "_start_deployment", deploy)
        return world

    return make


def cut(world: World, ops: Any, at: str, *, after: bool = False) -> Any:
    """Change both sides once; then once more, dying before or after a call."""
    world.at = 10_000
    ops(world.stack, "rotate", world.name, "--yes")
    world.calls, world.at, world.after = [], world.calls.index(at) + 1, after
    done = ops(world.stack, "rotate", world.name, "--yes")
    world.at = 0
    return done


MakeWorld = Callable[[str, str], World]
TOKEN, MASTER = ("app-config", "REDIS_PASSWORD"), ("db-master-password", "")


@pytest.mark.parametrize(("name", "key"), [TOKEN, MASTER])
def test_the_server_and_the_secret_get_the_new_value(make_world: MakeWorld, ops: Any, name: str, key: str) -> None:
    world = make_world(name, key)
    before, whole = world.current(), world.whole()

    done = ops(world.stack, "rotate", name, "--yes", "--json")

    assert done.status == 0, done.err
    assert world.accepted == [world.current()] == [world.held]
    assert world.current() not in {before, ""}
    assert world.current() not in done.out + done.err
    if key:
        assert json.loads(world.whole()) == json.loads(whole) | {key: world.current()}
    assert not {label for label in world.stack.labels(name) if label.startswith("ops-")}
    assert "AWSPENDING" not in world.stack.labels(name)
    numbers = [line.split()[0] for line in done.err.splitlines() if "/" in line.split()[0]]
    assert numbers == [f"{number}/5" for number in range(1, 6)], "as docs/rotation.md numbers them"
    order = [call for call in world.calls if call in {"accept", "UpdateService", "accept_only"}]
    assert order == ["accept", "UpdateService", *(["accept_only"] if key else [])]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "key"), [TOKEN, MASTER])
def test_killed_at_any_call_it_resumes_and_locks_nobody_out(
    make_world: MakeWorld, ops: Any, name: str, key: str
) -> None:
    world = make_world(name, key)
    for at in range(1, 200):
        before = world.current()
        world.calls, world.at = [], at
        done = ops(world.stack, "rotate", name, "--yes")
        finished = len(world.calls) < at
        world.at = 0
        if finished:
            assert done.status == 0, done.err
            assert at > 10
            return
        if key:  # the server takes both: what tasks hold and what new ones read
            assert {world.held, world.current()} <= set(world.accepted), world.calls
        else:  # the one that it takes is in the secret
            versions = {world.current(), _pending(world)}
            assert set(world.accepted) <= versions, world.calls
        assert ops(world.stack, "rotate", name, "--yes").status == 0
        assert world.accepted == [world.current()] == [world.held], world.calls
        assert world.current() != before
        assert not {label for label in world.stack.labels(name) if label.startswith("ops-")}
    pytest.fail("it made no end of calls")


def _pending(world: World) -> str:
    try:
        found = world.stack.secrets.get_secret_value(SecretId=world.stack.arn(world.name), VersionStage="AWSPENDING")
    except world.stack.secrets.exceptions.ResourceNotFoundException:
        return ""
    return world.value(found["SecretString"])


def test_killed_it_says_where_it_is_and_how_it_goes_on(make_world: MakeWorld, ops: Any) -> None:
    world = make_world(*TOKEN)

    done = cut(world, ops, "UpdateService")

    assert done.status == 130
    assert "app-config key REDIS_PASSWORD stopped at: replace the tasks that read it" in done.err
    assert "python -m ops rotate app-config --key REDIS_PASSWORD --stack dev" in done.err
    shown = ops(world.stack, "rotate", "app-config", "--dry-run").err
    assert [line.split()[:2] for line in shown.splitlines()[1:-1]] == [
        ["1.", "done"], ["2.", "done"], ["3.", "done"], ["4.", "next"], ["5.", "remove"]
    ]  # fmt: skip
    assert "done set the new value at ElastiCache replication group tickets" in shown
    assert "next replace the tasks" in shown
    assert ops(world.stack, "rotate", "app-config").err.startswith(
        "A change of app-config key REDIS_PASSWORD is under way"
    )


KEEP = "python -m ops keep app-config --key REDIS_PASSWORD --stack dev"


def test_the_doctor_says_to_finish_a_change_first_and_then_to_keep_the_value(make_world: MakeWorld, ops: Any) -> None:
    world = make_world(*TOKEN)
    pulumis = world.stack.labels("app-config")["AWSCURRENT"]

    def problems() -> list[tuple[str, str, str]]:
        world.stack.label("app-config", "pulumi-live", pulumis)
        found = ops(world.stack, "doctor", "--json").json["findings"]
        return [
            (f["check"], f["status"], f["fix"]) for f in found if f["subject"].startswith("app-config") and f["fix"]
        ]

    assert cut(world, ops, "UpdateService").status == 130
    assert world.stack.labels("app-config")["AWSCURRENT"] != pulumis
    assert problems() == [("server", "failure", "python -m ops rotate app-config --key REDIS_PASSWORD --stack dev")]

    done = ops(world.stack, "rotate", "app-config")

    assert done.status == 0, done.err
    assert KEEP in done.err
    assert problems() == [("value", "warning", KEEP)]


def test_a_dry_run_changes_nothing(make_world: MakeWorld, ops: Any) -> None:
    world = make_world(*TOKEN)
    before = world.stack.stages("app-config")

    done = ops(world.stack, "rotate", "app-config", "--dry-run")

    assert done.status == 0
    assert done.err.splitlines()[0] == (
        "app-config key REDIS_PASSWORD is checked by ElastiCache: ElastiCache replication group tickets"
    )
    assert "next write the new value to the secret" in done.err
    assert done.err.endswith("Nothing was changed.\n")
    assert world.stack.stages("app-config") == before
    assert world.accepted == [world.held]


def test_without_a_yes_nothing_is_changed(make_world: MakeWorld, ops: Any) -> None:
    world = make_world(*MASTER)
    done = ops(world.stack, "rotate", "db-master-password")
    assert done.status == 2
    assert (
        "New connections with the previous value fail until tasks have the new one. No terminal can answer" in done.err
    )
    assert "accept" not in world.calls


def test_a_change_of_another_key_meanwhile_is_kept(make_world: MakeWorld, ops: Any) -> None:
    world = make_world(*TOKEN)
    assert cut(world, ops, "accept", after=True).status == 130
    text = json.dumps(json.loads(world.whole()) | {"API_KEY": "changed-meanwhile"})
    # In two calls: by one, moto takes the label from its last place.
    world.stack.move(world.name, "AWSCURRENT", to=world.stack.put(world.name, text, "by-hand"))

    assert ops(world.stack, "rotate", "app-config", "--yes").status == 0

    assert json.loads(world.whole())["API_KEY"] == "changed-meanwhile"
    assert world.accepted == [world.current()]


def test_tasks_that_cannot_be_seen_stop_it_before_the_value_before_is_refused(
    make_world: MakeWorld, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(*TOKEN)
    monkeypatch.setattr(both_sides, "find", answering(lambda: Found((), 1, ())))

    done = ops(world.stack, "rotate", "app-config", "--yes")

    assert done.status == 2
    assert "no ECS service runs the stack's task definitions" in done.err
    assert "--key REDIS_PASSWORD --stack dev --deployed" in done.err
    assert {world.held, world.current()} == set(world.accepted)
    assert ops(world.stack, "rotate", "app-config", "--deployed").status == 0
    assert world.accepted == [world.current()]


def test_while_a_change_is_under_way_the_secret_is_not_set(make_world: MakeWorld, ops: Any) -> None:
    world = make_world(*MASTER)
    cut(world, ops, "accept")
    done = ops(world.stack, "set", "db-master-password", "--yes", stdin=b"something-else-0001")
    assert done.status == 2
    assert (
        "  python -m ops rotate db-master-password --stack dev   # a new value, at Aurora PostgreSQL and in the secret\n"
        in done.err
    )
    assert "pulumi up" not in done.err
    seen: Any = SimpleNamespace(name_of={"arn": "db"}.get, environment="dev")
    record = Record("arn", "name", stages={VERSION: ("AWSPENDING", "ops-rotating")})
    assert way_out(seen, record, VERSION) == "resume it:\n  python -m ops rotate db --stack dev"


def test_a_key_that_no_server_checks(stack: Stack, ops: Any) -> None:
    done = ops(stack, "rotate", "app-config", "--key", "API_KEY")
    assert done.status == 2
    assert "no server checks the key API_KEY of app-config" in done.err
    assert "pulumi config set --stack dev --path rotations.apiKey 2" in done.err


VERSION = "11111111-0000-4000-8000-000000000001"
TABLE: list[tuple[tuple[str, ...], State, bool, Step]] = [
    ((), State(settled=True), True, Step.PUT),
    (("AWSPENDING", BEFORE), State(settled=True, changed=NOW), True, Step.ACCEPT),
    (("AWSPENDING", BEFORE), State(settled=True, changed=LATER), True, Step.MARK),
    (("AWSPENDING", "ops-rotating"), State(settled=True), False, Step.ACCEPT),
    (("AWSPENDING", "ops-rotating", "ops-accepted"), State(settled=True), False, Step.PROMOTE),
    (("AWSCURRENT", "AWSPENDING", "ops-rotating", "ops-accepted"), State(settled=True), True, Step.PROMOTE),
    (("AWSCURRENT", "AWSPENDING", "ops-rotating", SINCE), State(settled=True, changed=NOW), True, Step.DEPLOY),
    (("AWSCURRENT", "ops-rotating", SINCE), State(settled=True, changed=NOW), True, Step.FINISH),
    (("AWSCURRENT", "ops-rotating", SINCE), State(settled=True, changed=LATER), True, Step.CLEAR),
    (("AWSCURRENT", "ops-rotating", SINCE), State(settled=True), False, Step.CLEAR),
]


@pytest.mark.parametrize(("found", "state", "takes_two", "step"), TABLE)
def test_where_it_is_follows_from_the_labels_and_the_server(
    found: tuple[str, ...], state: State, step: Step, *, takes_two: bool
) -> None:
    record = Record("arn", "name", stages={VERSION: found, "old": ("AWSPREVIOUS",)})
    since = NOW if SINCE in found else None
    assert progress(record, state, takes_two=takes_two) == Progress(step, VERSION if found else None, since)


class Answers:
    """A client of AWS's that answers from a list and keeps what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked = answers, list[tuple[str, dict[str, Any]]]()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def answer(**parameters: Any) -> Any:
            self.asked.append((operation, parameters))
            return self.answers.get(operation, {})

        return answer

    def client(self, _service: str) -> "Answers":
        return self

    def pages(self, _service: str, operation: str, result: str) -> Any:
        return self.answers[operation][result]


GROUP = {
    "ReplicationGroupId": "tickets",
    "Status": "available",
    "AuthTokenEnabled": True,
    "AuthTokenLastModifiedDate": NOW,
    "NodeGroups": [{"PrimaryEndpoint": {"Address": "master.tickets.a1b2c3.euc1.cache.amazonaws.com"}}],
}
CLUSTER = {
    "DBClusterIdentifier": "tickets",
    "Status": "available",
    "Endpoint": "tickets.cluster-x.eu-west-1.rds.amazonaws.com",
}


def test_an_auth_token_is_rotated_then_set() -> None:
    aws = Answers(describe_replication_groups={"ReplicationGroups": [GROUP]})
    group = ReplicationGroup(aws, "tickets")  # type: ignore[arg-type]
    assert group.state() == State(settled=True, changed=NOW)
    group.accept("new")
    group.accept_only("new")
    asked = [parameters for operation, parameters in aws.asked if operation == "modify_replication_group"]
    assert [one["AuthTokenUpdateStrategy"] for one in asked] == ["ROTATE", "SET"]
    assert all(one["ApplyImmediately"] and one["AuthToken"] == "new" for one in asked)


@pytest.mark.parametrize(
    ("kind", "changing"),
    [
        (ReplicationGroup, {"PendingModifiedValues": {"AuthTokenStatus": "ROTATING"}}),
        (ReplicationGroup, {"PendingModifiedValues": {"AuthTokenStatus": "SETTING"}}),
        (ReplicationGroup, {"Status": "modifying"}),
        (Cluster, {"PendingModifiedValues": {"MasterUserPassword": "****"}}),
        (Cluster, {"Status": "resetting-master-credentials"}),
    ],
)
def test_a_value_that_is_being_changed_is_waited_for(kind: Any, changing: dict[str, Any]) -> None:
    aws = Answers(
        describe_replication_groups={"ReplicationGroups": [GROUP | changing]},
        describe_db_clusters={"DBClusters": [CLUSTER | changing]},
    )
    assert not kind(aws, "tickets").state().settled


CACHE, DATABASE = "master.tickets.a1b2c3.euc1.cache.amazonaws.com", CLUSTER["Endpoint"]
HOSTS: list[tuple[str, dict[str, Any], str]] = [
    (CACHE, {}, "ElastiCache replication group tickets"),
    (DATABASE, {}, "Aurora cluster tickets"),
    ("other.cache.amazonaws.com", {}, "no ElastiCache replication group of this account and Region has the endpoint"),
    ("db.internal", {}, "no Aurora cluster of this account and Region has the endpoint db.internal"),
    (CACHE, {"AuthTokenEnabled": False}, "has no AUTH token"),
    (CACHE, {"UserGroupIds": ["g"]}, "the users in its user groups (RBAC)"),
    (DATABASE, {"MasterUserSecret": {"SecretArn": "arn:rds!"}}, "manages the master user's password of tickets itself, in arn:"),
]  # fmt: skip


@pytest.mark.parametrize(("host", "server", "found"), HOSTS)
def test_a_server_is_found_by_its_host_name(host: str, server: dict[str, Any], found: str) -> None:
    environment = [{"name": "HOST", "value": host}]
    aws = Answers(
        describe_task_definition={"taskDefinition": {"containerDefinitions": [{"environment": environment}]}},
        describe_replication_groups={"ReplicationGroups": [GROUP | server]},
        describe_db_clusters={"DBClusters": [CLUSTER | server]},
    )
    service = SimpleNamespace(task_definition_arn="arn")
    seen: Any = SimpleNamespace(services={"app": service}, environment="dev")
    try:
        told = servers.of_host(aws, seen, "HOST").label  # type: ignore[arg-type]
    except servers.MisuseError as error:
        told = str(error)
    assert found in told


def test_time_is_up(make_world: MakeWorld, ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(*TOKEN)
    monkeypatch.setattr(world, "deploy", lambda: None)
    began = time.monotonic()
    done = ops(world.stack, "rotate", "app-config", "--yes", "--timeout", "1")
    assert done.status == 2
    assert "tasks of main/web still have the previous value; timed out" in done.err
    assert time.monotonic() - began < 20
    assert {world.held, world.current()} == set(world.accepted)


OPERATOR = documented_policy(ROOT / "docs" / "rotation.md", {})
PROD = "arn:aws:{}:eu-central-1:222222222222:{}{}".format
SECRETS = "secret:service-ticket-system-prod-"


def decrypted(secret: str) -> dict[str, str | None]:
    """What Secrets Manager tells KMS."""
    arn = PROD("secretsmanager", SECRETS, secret)
    return {"kms:viaservice": "secretsmanager.eu-central-1.amazonaws.com", "kms:encryptioncontext:secretarn": arn}


RIGHTS: list[tuple[str, str, dict[str, str | None], bool]] = [
    ("secretsmanager:GetSecretValue", PROD("secretsmanager", SECRETS, "app-config-AbCdEf"), {}, True),
    ("secretsmanager:PutSecretValue", PROD("secretsmanager", SECRETS, "db-master-password-AbCdEf"), {}, True),
    ("secretsmanager:GetSecretValue", PROD("secretsmanager", SECRETS, "jwt-secret-AbCdEf"), {}, False),
    ("secretsmanager:GetSecretValue", PROD("secretsmanager", SECRETS, "db-app-user-AbCdEf"), {}, False),
    ("secretsmanager:GetSecretValue", PROD("secretsmanager", SECRETS, "app-config-2-AbCdEf"), {}, False),
    ("secretsmanager:GetSecretValue", PROD("secretsmanager", SECRETS.replace("prod", "dev"), "app-config-AbCdEf"), {}, False),
    ("secretsmanager:DeleteSecret", PROD("secretsmanager", SECRETS, "app-config-AbCdEf"), {}, False),
    ("kms:Decrypt", PROD("kms", "key/", "1"), decrypted("app-config-AbCdEf"), True),
    ("kms:Decrypt", PROD("kms", "key/", "1"), decrypted("jwt-secret-AbCdEf"), False),
    ("kms:Decrypt", PROD("kms", "key/", "1"), {"kms:viaservice": None}, False),
    ("rds:ModifyDBCluster", PROD("rds", "cluster:", "ticketing-prod"), {}, True),
    ("rds:ModifyDBCluster", PROD("rds", "cluster:", "ticketing-dev"), {}, False),
    ("elasticache:ModifyReplicationGroup", PROD("elasticache", "replicationgroup:", "ticketing-prod"), {}, True),
    ("elasticache:ModifyReplicationGroup", PROD("elasticache", "replicationgroup:", "others"), {}, False),
    ("ecs:UpdateService", PROD("ecs", "service/", "ticketing-prod/web"), {}, True),
    ("ecs:UpdateService", PROD("ecs", "service/", "ticketing-prod/other"), {}, False),
    ("secretsmanager:RotateSecret", PROD("secretsmanager", SECRETS, "db-app-user-AbCdEf"), {}, True),
    ("iam:PassRole", "arn:aws:iam::222222222222:role/service-ticket-system-prod-app-execution", {}, False),
]  # fmt: skip


@pytest.mark.parametrize(("action", "resource", "context", "allowed"), RIGHTS)
def test_the_documented_policy_of_the_operator_is_enough_and_no_wider(
    action: str, resource: str, context: dict[str, str | None], *, allowed: bool
) -> None:
    known: dict[str, str | None] = {"kms:encryptioncontext:*": None, **context}
    decision = decide(Request(action, resource, "", known), identity=OPERATOR)
    assert (decision.outcome == "allowed") is allowed


@pytest.mark.slow
@pytest.mark.parametrize("first", [TOKEN, MASTER])
def test_two_runs_at_once_make_one_change(
    make_world: MakeWorld, ops: Any, monkeypatch: pytest.MonkeyPatch, first: tuple[str, str]
) -> None:
    world = make_world(*first)
    before, seen, at = world.current(), list[int](), 0
    server_state = Fake.state

    def meanwhile(server: Fake) -> State:
        """Let the other run start and end between this run's look at the labels and its next step."""
        state = server_state(server)
        seen.append(1)
        if len(seen) == at:
            assert ops(world.stack, "rotate", world.name, "--yes").status == 0
        return state

    monkeypatch.setattr(Fake, "state", meanwhile)
    for at in range(1, 30):
        seen.clear()
        done = ops(world.stack, "rotate", world.name, "--yes")
        if len(seen) < at:
            break
        assert {*world.accepted} == {world.current(), world.held} == {world.held}, (at, done.err)
        assert not {label for label in world.stack.labels(world.name) if label.startswith("ops-")}, (at, done.err)
    assert at > 3
    assert world.current() != before


def test_two_runs_that_choose_a_value_at_the_same_moment_agree_on_one(
    make_world: MakeWorld, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(*TOKEN)
    put = both_sides.Change._put_version
    others: list[str] = []

    def second(change: Any, text: str, labels: tuple[str, ...], token: str = "") -> str:
        if token and not others:
            others.append(json.dumps(json.loads(text) | {"REDIS_PASSWORD": "the-other-run-was-faster-0001"}))
            put(change, others[0], labels, token)
            # moto takes another value for the same id while the version has AWSPENDING.
            raise ClientError({"Error": {"Code": "ResourceExistsException"}}, "PutSecretValue")
        return put(change, text, labels, token)

    monkeypatch.setattr(both_sides.Change, "_put_version", second)
    done = ops(world.stack, "rotate", "app-config", "--yes")
    assert done.status == 0, done.err
    assert "another run of this command was faster" in done.err
    assert world.accepted == [world.current()] == [world.held] == ["the-other-run-was-faster-0001"]


@pytest.mark.parametrize("at", [6, 12, 18])
def test_credentials_that_expire_half_way_are_said_and_the_next_run_resumes(
    make_world: MakeWorld, ops: Any, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    world = make_world(*TOKEN)
    call = world.call

    def expiring(name: str, do: Callable[[], Any]) -> Any:
        if len(world.calls) + 1 >= at:
            raise ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}, name)
        return call(name, do)

    monkeypatch.setattr(world, "call", expiring)
    done = ops(world.stack, "rotate", "app-config", "--yes")
    monkeypatch.setattr(world, "call", call)
    assert done.status == 2
    assert "your AWS credentials have expired: sign in again" in done.err
    assert "Resume:\n  python -m ops rotate app-config --key REDIS_PASSWORD --stack dev" in done.err
    assert {world.held, world.current()} <= set(world.accepted)
    assert ops(world.stack, "rotate", "app-config", "--yes").status == 0
    assert world.accepted == [world.current()] == [world.held]


def test_the_outputs_of_another_stack_or_account_change_nothing(make_world: MakeWorld, ops: Any) -> None:
    world = make_world(*TOKEN)
    done = ops(world.stack, "rotate", "app-config", "--yes", "--stack", "prod")
    assert done.status == 2
    assert "holds the outputs of stack dev, not of prod" in done.err
    assert not {"PutSecretValue", "accept"} & set(world.calls)


def test_the_password_of_another_user_than_the_masters_is_refused(
    deploy: Any, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = deploy("prod")
    cluster = Cluster(Answers(describe_db_clusters={"DBClusters": [CLUSTER]}), "tickets", "postgres")  # type: ignore[arg-type]
    monkeypatch.setattr("ops.rotate.of_host", answering(lambda: cluster))
    done = ops(stack, "rotate", "db-app-user", "--yes")
    assert done.status == 2
    assert (
        "db-app-user is the password of another user, and this command changes only that of Aurora cluster" in done.err
    )
    shown = ops(stack, "rotate", "db-master-password", "--dry-run")
    assert "set the new value at Aurora cluster tickets (user postgres)" in shown.err
