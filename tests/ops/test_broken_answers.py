"""Every command, each API in turn broken in five ways: one clear error, no traceback, and nothing half done that isn't reported.

The whole table is `slow`; a sample of it runs always.
"""

import itertools
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from moto.rds.models import rds_backends

from ops.both_sides import change as both_sides
from tests.conftest import TICKETS
from tests.ops.conftest import Deployed as Stack
from tests.ops.conftest import script
from tests.ops.test_keep import BEFORE, FAKE, linked

VARIABLES = {"JWT_SECRET": "the-old-jwt-secret-0001", "DATABASE_HOST": "db.internal"}
ENVIRONMENT = [{"name": name, "value": value} for name, value in VARIABLES.items()]
CONTAINER = {"name": "api", "image": "registry.example.com/app:1.0", "environment": ENVIRONMENT, "memory": 512}


def nothing(*_: Any) -> None:
    """Neither before nor after."""


def by_function(trial: "Trial") -> None:
    """A function rotates the secret; RotateSecret does all of its steps at once."""
    stack, arn, direct = trial.stack, trial.stack.arn("jwt-secret"), trial.stack.secrets
    if not direct.describe_secret(SecretId=arn).get("RotationEnabled"):
        stack.rotate_by_function("jwt-secret")

    def rotated() -> tuple[int, bytes]:
        token = json.loads(trial.proxy.body)["ClientRequestToken"]
        direct.put_secret_value(
            SecretId=arn, SecretString=f"rotated-{token}", ClientRequestToken=token, VersionStages=["AWSPENDING"]
        )
        stack.move("jwt-secret", "AWSCURRENT", to=token)
        stack.move("jwt-secret", "AWSPENDING")
        return 200, json.dumps({"ARN": arn, "Name": "jwt-secret", "VersionId": token}).encode()

    trial.proxy.before("RotateSecret", rotated)


def with_a_database(trial: "Trial") -> None:
    """An Aurora cluster checks the password."""
    stack = trial.stack
    if stack.account in rds_backends and rds_backends[stack.account][stack.region].clusters:
        return
    made = stack.client("rds").create_db_cluster(
        DBClusterIdentifier="tickets", Engine="aurora-postgresql", MasterUsername="postgres",
        MasterUserPassword=stack.current("db-master-password"),
    )  # fmt: skip
    host = {"name": "DATABASE_HOST", "value": made["DBCluster"]["Endpoint"]}
    stack.deploy_revision(stack.containers(environment=[host]))


def both_sides_agree(trial: "Trial", done: Any) -> None:
    """A change that stopped says so, and the same command completes it."""
    if "stopped at" in done.err:
        assert "Resume:\n" in done.err
        again = trial.run(trial.folder / "again")
        assert again.status == 0, again.err
    cluster = rds_backends[trial.stack.account][trial.stack.region].clusters["tickets"]
    assert cluster._master_user_password == trial.stack.current("db-master-password")


def saved(trial: "Trial") -> None:
    """A backup, and a newer value than its own."""
    path = trial.folder / "saved"
    if not path.exists():
        done = trial.ops(trial.stack, "backup", "--to", str(path), "--kms-key", trial.key)
        assert done.status == 0, done.err
    trial.stack.put("jwt-secret", "a-newer-value-0001")


def restored_again(trial: "Trial", done: Any) -> None:
    """A second run completes it."""
    assert done.status == 0 or trial.run(trial.folder / "again").status == 0
    assert trial.stack.current("jwt-secret") == "a-value-from-before-0123456789"


def configured(trial: "Trial") -> None:
    """A project with a `pulumi` that keeps its configuration in a file."""
    if not trial.project.exists():
        linked(trial.project)
        script(trial.tools, "pulumi", FAKE.format(python=sys.executable))
    (trial.project / "Pulumi.dev.yaml").write_text(BEFORE, encoding="utf-8")


def configuration_as_it_was(trial: "Trial", done: Any) -> None:
    """Whole or not at all."""
    assert ((trial.project / "Pulumi.dev.yaml").read_text(encoding="utf-8") == BEFORE) == (done.status != 0)


def old_revision(trial: "Trial") -> None:
    """An old task definition with a secret in the clear, and one with references."""
    ecs = trial.stack.client("ecs")
    ecs.register_task_definition(family="old", containerDefinitions=[CONTAINER])
    if not trial.tools.exists():
        trial.stack.client("ssm").put_parameter(Name="/old/jwt", Value="from-parameter-store-1", Type="SecureString")
        arn = trial.stack.arn("jwt-secret").split(":secretsmanager:")[0]
        reference = f"{arn}:ssm:{trial.stack.region}:{trial.stack.account}:parameter/old/jwt"
        refers = {"environment": [], "secrets": [{"name": "JWT_SECRET", "valueFrom": reference}]}
        ecs.register_task_definition(family="refers", containerDefinitions=[CONTAINER | refers])
        tool = f'case "$*" in *--json*) echo "{{}}";; *) echo "$*" >> {trial.folder}/written;; esac'
        script(trial.tools, "pulumi", tool)
        done = trial.ops(
            None, "migrate", "scan", "refers", "--to", str(trial.folder / "plan"), env=trial.stack.variables
        )
        assert (trial.folder / "plan").exists(), done.err
    (trial.folder / "written").unlink(missing_ok=True)


def to_adopt(trial: "Trial") -> None:
    """A project without the stack's resources, and what the other commands of `migrate` have."""
    old_revision(trial)
    if not trial.project.exists():
        (linked(trial.project) / "Pulumi.dev.yaml").write_text("config:\n  aws:region: eu-west-1\n", encoding="utf-8")


def nothing_written(trial: "Trial", done: Any) -> None:
    """The configuration is written after everything was read."""
    assert done.status != 2 or not (trial.folder / "written").exists()


def cleaned(trial: "Trial", done: Any) -> None:
    """What is left is reported, and a second run takes it."""
    left = trial.stack.client("ecs").list_task_definitions(familyPrefix="old", status="ACTIVE")["taskDefinitionArns"]
    assert not left or done.status
    again = trial.run(trial.folder / "again")
    assert again.status == 0 or "there is no task definition family old" in again.err


@dataclass(frozen=True)
class Command:
    """A command of the table.

    Attributes:
        before: Called before each run.
        after: Called after each run, with what it did: nothing is half done.
        changed: What it says on the standard error when it failed after it changed a secret.
        names_gaps: Whether it names what it could not check, and shows the rest, or runs nothing; the status is about the stack.
        alone: Whether it takes no outputs.
    """

    arguments: Sequence[str]
    stdin: bytes = b""
    before: Callable[["Trial"], None] = nothing
    after: Callable[["Trial", Any], None] = nothing
    changed: str = "is AWSCURRENT now"
    names_gaps: bool = False
    alone: bool = False


COMMANDS: dict[str, Command] = {
    "list": Command(("list",), names_gaps=True),
    "describe": Command(("describe", "jwt-secret")),
    "history": Command(("history", "jwt-secret"), names_gaps=True),
    "diff": Command(("diff", "{outputs}", "{outputs}"), names_gaps=True, alone=True),
    "reveal": Command(("reveal", "jwt-secret", "--yes")),
    "set": Command(("set", "jwt-secret", "--yes"), b"a-new-value-of-the-operator-1"),
    "set a key": Command(("set", "app-config", "--key", "API_KEY", "--yes"), b"a-new-value-of-the-operator-2"),
    "rollback": Command(("rollback", "jwt-secret", "--yes")),
    "rotate": Command(("rotate", "jwt-secret", "--yes"), before=by_function, changed="the rotation goes on as version"),
    "rotate both sides": Command(
        ("rotate", "db-master-password", "--deployed", "--yes"),
        before=with_a_database, after=both_sides_agree, changed="stopped at: ",
    ),
    "exec": Command(("exec", "--yes", "--outputs", "{outputs}", "--", "true"), names_gaps=True, alone=True),
    "keep": Command(("keep", "jwt-secret"), before=configured, after=configuration_as_it_was),
    "access": Command(("access",), names_gaps=True),
    "cost": Command(("cost",), names_gaps=True),
    "doctor": Command(("doctor",), names_gaps=True),
    "report": Command(("report", "--json"), names_gaps=True),
    "backup": Command(("backup", "--to", "{path}", "--kms-key", "{key}")),
    "restore": Command(
        ("restore", "{folder}/saved", "--kms-key", "{key}", "--yes"),
        before=saved, after=restored_again, changed="to continue",
    ),
    "migrate scan": Command(
        ("migrate", "scan", "refers", "--to", "{path}"), before=old_revision, names_gaps=True, alone=True
    ),
    "migrate apply": Command(
        ("migrate", "apply", "{folder}/plan", "--no-preview", "--yes"),
        before=old_revision, after=nothing_written, alone=True,
    ),
    "migrate verify": Command(("migrate", "verify", "{folder}/plan"), before=old_revision, names_gaps=True),
    "migrate clean": Command(
        ("migrate", "clean", "old", "--yes"), before=old_revision, after=cleaned, names_gaps=True, alone=True
    ),
    "migrate adopt": Command(
        ("migrate", "adopt", "--yes", "--secret", "jwt-secret=by-hand", "--project", "{project}"),
        before=to_adopt, after=nothing_written, names_gaps=True, alone=True,
    ),
}  # fmt: skip
SAMPLE = ("set", "rotate", "restore", "migrate apply")
MODES = ("403", "throttled", "500", "html", "nothing")


def answer(mode: str, action: str, *, in_json: bool) -> tuple[int, bytes]:
    code, status = {"403": ("AccessDeniedException", 403), "throttled": ("ThrottlingException", 400)}.get(
        mode, ("InternalFailure", 500)
    )
    if mode == "nothing":
        return 0, b""
    if mode == "html":
        return 200, b"<html><body>Sign in to the hotel's network</body></html>"
    if in_json:
        return status, json.dumps({"__type": code, "message": f"not authorized to perform: {action}"}).encode()
    error = f"<Error><Code>{code}</Code><Message>not authorized to perform: {action}</Message></Error>"
    return status, f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>".encode()


def state(stack: Stack) -> dict[str, Any]:
    """Every secret with its versions and labels."""
    return {name: stack.stages(name) for name in stack.outputs["secret_arns"]}


@dataclass(frozen=True)
class Trial:
    """A command on a stack behind a proxy."""

    stack: Stack
    ops: Any
    proxy: Any
    name: str
    folder: Path
    key: str

    @property
    def command(self) -> Command:
        return COMMANDS[self.name]

    @property
    def project(self) -> Path:
        """The Pulumi project of commands that write the configuration."""
        return self.folder.parent / "project"

    @property
    def tools(self) -> Path:
        """Where `pulumi` is for them."""
        return self.folder.parent / "tools"

    def run(self, path: Path) -> Any:
        given = {"path": path, "key": self.key, "folder": self.folder, "project": self.project}
        given |= {"outputs": self.stack.outputs_file}
        words = [word.format(**given) for word in self.command.arguments]
        environment = {"AWS_MAX_ATTEMPTS": "1", "PATH": f"{self.tools}{os.pathsep}{os.environ['PATH']}"}
        if self.name in {"migrate apply", "migrate adopt"}:
            # By a service's own variable AWS is the local one, while it doesn't look so: the configuration is Pulumi's.
            services = ("ECS", "SSM", "STS", "SECRETS_MANAGER", "KMS")
            environment |= {f"AWS_ENDPOINT_URL_{service}": self.proxy.url for service in services}
            environment |= {"AWS_ENDPOINT_URL": None}
        folder = self.project if self.name == "keep" else TICKETS
        with mock.patch("ops.execute.os.execve", side_effect=SystemExit(0)):  # it would replace the tests' own process
            if self.command.alone:
                return self.ops(None, *words, env=self.stack.variables | environment)
            return self.ops(self.stack, *words, stdin=self.command.stdin, env=environment, folder=folder)

    def cases(self) -> list[tuple[str, int, str]]:
        """Return each API that the command asks, by which of its calls, with the ways in which it can break from there on.

        The first call in every way; the second and the last one in one way each, since something is done by then.
        """
        self.proxy.forget()
        self.command.before(self)
        done = self.run(self.folder / "whole")
        assert done.status in {0, 1}, done.err
        self.command.after(self, done)
        found: list[tuple[str, int, str]] = []
        for action in dict.fromkeys(self.proxy.seen):
            found += [(action, 1, mode) for mode in MODES]
            later = {2, self.proxy.seen.count(action)} - {1}
            found += [(action, at, MODES[(len(found) + at) % len(MODES)]) for at in sorted(later)]
        return found

    def look(self, action: str, at: int, mode: str) -> None:
        self.proxy.forget()
        self.command.before(self)
        before = state(self.stack)
        calls, broken = itertools.count(1), answer(mode, action, in_json=action in self.proxy.in_json)
        self.proxy.before(action, lambda: broken if next(calls) >= at else None)
        path = self.folder / f"{action.replace('/', '_')[:40]}-{at}-{mode}"

        done = self.run(path)

        self.proxy.forget()
        told = f"{self.name}, {action} from call {at} on, {mode}: {done.status}\n{done.out[-600:]}\n{done.err}"
        assert "Traceback" not in done.out + done.err, told
        assert "a bug in this tool" not in done.err, told
        assert done.err.count("error: ") <= 1, told
        if not self.command.names_gaps and done.status:
            assert done.status == 2, told
            assert done.err.count("error: ") == 1, told
        if state(self.stack) != before:  # done, or reported as done
            assert done.status == 0 or self.command.changed in done.err, told
        assert not [one for one in self.folder.iterdir() if "partial" in one.name], told
        assert done.status == 0 or self.name == "migrate scan" or not path.exists(), told
        try:
            self.command.after(self, done)
        except AssertionError as error:
            raise AssertionError(told) from error


@pytest.fixture
def trial(  # noqa: PLR0917 - other fixtures
    deploy: Any, ops: Any, proxy: Any, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Trial:
    for pause in ("_SETTLE_SECONDS", "_POLL_SECONDS"):
        monkeypatch.setattr(both_sides, pause, 0)
    stack = deploy("dev")
    stack.put("jwt-secret", "a-value-from-before-0123456789")
    stack.secrets.create_secret(Name="by-hand", SecretString="a-value-by-hand-0001")
    key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    own = request.param != "rotate both sides"  # otherwise a server checks it
    stack.described = {name: {**one, "parts": {}} if own else one for name, one in stack.described.items()}
    stack.write_outputs()
    folder = tmp_path / "files"
    folder.mkdir()
    made = Trial(stack, ops, proxy, request.param, folder, key)
    made.command.before(made)  # with its own clients, not through the proxy
    stack.endpoint = proxy.url
    return made


@pytest.mark.parametrize("trial", SAMPLE, indirect=True)
def test_a_broken_answer_is_one_clear_error(trial: Trial) -> None:
    every = trial.cases()
    # One in the middle and the last one, each broken in another way.
    for at in (len(every) // 2 + 1, len(every) - 1):
        trial.look(*every[at])


@pytest.mark.slow
@pytest.mark.parametrize("trial", COMMANDS, indirect=True)
def test_every_broken_answer_is_one_clear_error(trial: Trial) -> None:
    for case in trial.cases():
        trial.look(*case)
