"""Stacks for the operator's tools: created with boto3 in the shape that the program creates, each in its own account."""

import contextlib
import copy
import fcntl
import functools
import io
import json
import logging
import os
import pickle
import random
import select
import shlex
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import parse_qs

import boto3
import botocore.loaders
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import ClientCreator
from botocore.httpsession import URLLib3Session
from moto.backends import list_of_moto_modules
from moto.core.base_backend import BackendDict
from moto.ecs.models import ecs_backends
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from typer.main import get_command
from typer.testing import CliRunner
from werkzeug.exceptions import InternalServerError
from werkzeug.http import http_date
from werkzeug.serving import make_server
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from catalogue import APPLICATION
from components._containers import Container, container_definitions
from components.location import Location
from components.outputs import Service
from components.policies import identity
from components.policies.key import key_policy
from components.references import parse_value_from, value_from
from config.declarations import Catalogue, External, JsonSecret
from config.parts import parts_of
from ops.cli import app
from tests.conftest import TICKETS

ROOT = Path(__file__).parents[2]
PROJECT = "service-ticket-system"
REGION = "eu-west-1"


@pytest.fixture(scope="session")
def local_aws() -> Generator[str]:
    """The URL of a moto server in this process. Requests of this process reach moto without a socket, in half the time."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)  # it logs every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    modules = frozenset(list_of_moto_modules())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moto.settings.ec2_load_default_amis", lambda: False)  # half a second for each account's network
        patch.setattr("moto.backends.list_of_moto_modules", lambda: modules)  # it reads a folder for every request
        server.start()
        url = "http://{}:{}".format(*server.get_host_and_port())
        patch.setattr(URLLib3Session, "send", _without_socket(url, URLLib3Session.send))
        yield url
        server.stop()


def _without_socket(url: str, send: Callable[..., AWSResponse]) -> Callable[..., AWSResponse]:
    """Return what sends a request of botocore's: for a URL to moto directly, for any other one as before."""

    def direct(session: URLLib3Session, request: Any) -> AWSResponse:
        if not request.url.startswith(f"{url}/"):
            return send(session, request)
        headers = {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in request.headers.items()}
        body = request.body.read() if hasattr(request.body, "read") else request.body
        answer = _ask_moto(url, request.method, request.url.removeprefix(url), headers, body or b"")
        told: Any = dict(answer.headers)
        return AWSResponse(request.url, answer.status_code, told, _Raw(answer.data))

    return direct


def _ask_moto(url: str, method: str, path: str, headers: Mapping[str, str], body: bytes | str) -> Response:
    try:
        answer = _moto().open(path, base_url=url, method=method, headers=list(headers.items()), data=body)
    except Exception:  # noqa: BLE001 - as the server does, for what moto lacks
        answer = InternalServerError().get_response()
    answer.headers.setdefault("Date", http_date())
    return answer


@functools.cache
def _moto() -> Client:
    return Client(DomainDispatcherApplication(create_backend_app), Response, use_cookies=False)


class _Raw(io.BytesIO):
    """A body as urllib3 gives it."""

    def stream(self) -> Generator[bytes]:
        yield self.read()


@pytest.fixture(scope="session", autouse=True)
def service_models() -> Generator[None]:
    """Parse botocore's service models, and list its handlers, once for all sessions of this process.

    That is most of what a session and a client cost.
    """
    loader: Any = botocore.loaders.create_loader()
    untyped: Any = ClientCreator
    create_methods = untyped._create_methods
    methods: dict[str, dict[str, Any]] = {}

    def shared(_search_path: str | None = None) -> Any:
        return loader

    def created_once(creator: Any, service_model: Any) -> dict[str, Any]:
        if service_model.service_name not in methods:
            methods[service_model.service_name] = create_methods(creator, service_model)
        return dict(methods[service_model.service_name])

    untyped_session: Any = botocore.session.Session
    register = untyped_session._register_builtin_handlers
    listed: list[Any] = []

    def registered_once(session: Any, events: Any) -> None:
        if not listed:
            register(session, events)
            listed.append(copy.copy(events._emitter._handlers))
        events._emitter._handlers = copy.copy(listed[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", functools.cache(get_command))
        patch.setattr(untyped_session, "_register_builtin_handlers", registered_once)
        patch.setattr(botocore.session, "create_loader", shared)
        patch.setattr(ClientCreator, "_create_methods", created_once)
        yield


@functools.cache
def _session() -> Any:
    return boto3.Session()


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests on a terminal is not asked there."""
    monkeypatch.setattr("ops._ask._TERMINAL", "/nonexistent")


_OF_SERVICE = {f.name for f in fields(Service)}


@dataclass
class Deployed:
    """One stack in the local AWS.

    Attributes:
        values: The live values by catalogue name, as they were written.
        outputs: The stack's outputs, as they stand in `outputs_file`.
        described: What the outputs say of a secret, by catalogue name; with an `arn` for a foreign one.
    """

    endpoint: str
    environment: str
    account: str
    credentials: Mapping[str, str]
    outputs_file: Path
    region: str = REGION
    catalogue: Catalogue = ()
    values: dict[str, str] = field(default_factory=dict[str, str])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    described: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    key_arn: str | None = None
    image: str = ""
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict[tuple[str, str], Any])

    @property
    def prefix(self) -> str:
        return f"{PROJECT}-{self.environment}"

    @property
    def location(self) -> Location:
        return Location("aws", self.region, self.account)

    @property
    def family(self) -> str:
        return f"{self.prefix}-app"

    @property
    def service(self) -> dict[str, Any]:
        """What the outputs say of the one service."""
        return self.outputs["services"]["app"]

    @property
    def role_name(self) -> str:
        return f"{self.family}-execution"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that point a process at this stack's account."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self.credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": self.credentials["SessionToken"],
            "AWS_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, region: str | None = None) -> Any:
        key = (service, region or self.region)
        if key not in self._clients:
            self._clients[key] = _session().client(
                service,
                endpoint_url=self.endpoint,
                region_name=key[1],
                aws_access_key_id=self.credentials["AccessKeyId"],
                aws_secret_access_key=self.credentials["SecretAccessKey"],
                aws_session_token=self.credentials["SessionToken"],
            )
        return self._clients[key]

    @property
    def secrets(self) -> Any:
        return self.client("secretsmanager")

    def arn(self, name: str) -> str:
        return self.outputs["secret_arns"][name]

    def full_name(self, name: str) -> str:
        return _name_in(self.arn(name))

    def current(self, name: str) -> str:
        # moto's default is the version that was written last, even when the label has moved since.
        return self.secrets.get_secret_value(SecretId=self.arn(name), VersionStage="AWSCURRENT")["SecretString"]

    def stages(self, name: str) -> dict[str, list[str]]:
        """The labels of a secret's versions, by version."""
        return self.secrets.describe_secret(SecretId=self.arn(name)).get("VersionIdsToStages", {})

    def labels(self, name: str) -> dict[str, str]:
        """The versions that have a secret's labels, by label."""
        return {label: version for version, found in self.stages(name).items() for label in found}

    def put(self, name: str, value: str, *labels: str) -> str:
        """Write another value, without labels as the current one; return the version. moto removes the program's label then."""
        given = {"VersionStages": list(labels)} if labels else {}
        return self.secrets.put_secret_value(SecretId=self.arn(name), SecretString=value, **given)["VersionId"]

    def move(self, name: str, label: str, *, to: str | None = None) -> None:
        """Move a label of a secret's to another version, or take it off."""
        given = {"MoveToVersionId": to} if to else {}
        given |= {"RemoveFromVersionId": holder} if (holder := self.labels(name).get(label)) else {}
        self.secrets.update_secret_version_stage(SecretId=self.arn(name), VersionStage=label, **given)

    def label(self, name: str, stage: str, version: str) -> None:
        """Give a version a label, as AWS keeps it: moto takes labels off when another value is written."""
        self.move(name, stage)
        self.move(name, stage, to=version)

    def allow(self, role: str, *statements: Mapping[str, Any]) -> None:
        """Give a role another inline policy."""
        document = identity.document(statements)
        self.client("iam").put_role_policy(RoleName=role, PolicyName="by-hand", PolicyDocument=document)

    def run_service(self, desired: int = 0, running: int | None = None, **changes: Any) -> None:
        """Run the task definition as the ECS service `main/tickets`."""
        ecs = self.client("ecs")
        ecs.create_cluster(clusterName="main")
        ecs.create_service(
            cluster="main", serviceName="tickets", taskDefinition=self.service["task_definition_arn"], desiredCount=desired,
            launchType="FARGATE", **changes,
        )  # fmt: skip
        # The local AWS starts no task.
        (made,) = ecs_backends[self.account][self.region].services.values()
        made.running_count = desired if running is None else running

    def write_outputs(self, **changes: Any) -> None:
        own = {key: changes.pop(key) for key in _OF_SERVICE & changes.keys()}
        self.outputs |= {**changes, "services": {"app": {**self.service, **own}}}
        arns = {name: secret["arn"] for name, secret in self.described.items() if "arn" in secret}
        self.outputs["secrets"] = {
            name: {"full_name": _name_in(arn), "owner": "stack", "json": False, "parts": {}, "region": self.region}
            | self.described.get(name, {})
            | {"arn": arn}
            for name, arn in (arns | self.outputs["secret_arns"]).items()
        }
        self.outputs_file.write_text(json.dumps(self.outputs), encoding="utf-8")

    def containers(self, **changes: Any) -> list[dict[str, Any]]:
        """The program's container definitions; changes replace fields of the one container."""
        definitions = json.loads(
            container_definitions(
                Container(
                    name="app",
                    image=self.image,
                    port=3000,
                    environment={"DATABASE_HOST": "db.internal", "REDIS_HOST": "redis.internal"},
                    secrets=self.service["container_secrets"],
                    version_ids=[],
                    log_group_name=f"/ecs/{self.family}",
                    region=self.region,
                )
            )
        )
        return [{**definitions[0], **changes}]

    def register(self, containers: list[dict[str, Any]] | None = None, **changes: Any) -> str:
        """Register a revision as the program does, or with changes; return its ARN."""
        parameters: dict[str, Any] = {
            "family": self.family,
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": "256",
            "memory": "512",
            "executionRoleArn": self.location.role_arn(self.role_name),
            "taskRoleArn": self.location.role_arn(f"{self.family}-task"),
            "containerDefinitions": containers or self.containers(),
        }
        return self.client("ecs").register_task_definition(**parameters | changes)["taskDefinition"][
            "taskDefinitionArn"
        ]

    def deploy_revision(self, containers: list[dict[str, Any]] | None = None, **changes: Any) -> None:
        """Register a revision and make it the stack's output."""
        self.write_outputs(task_definition_arn=self.register(containers, **changes))

    def grant(self, *statements: Mapping[str, Any]) -> None:
        """Replace the execution role's policy."""
        self.client("iam").put_role_policy(
            RoleName=self.role_name, PolicyName="execution", PolicyDocument=identity.document(statements)
        )

    def grants(self) -> list[Mapping[str, Any]]:
        """The statements that the program grants to the execution role."""
        repository = self.location.ecr_repository_arn(self.image)
        key = self.key_arn
        read = {parse_value_from(text).arn for text in self.service["container_secrets"].values()}
        found = [identity.read_secrets(read)] if read else []
        if key:
            decrypt = identity.decrypt_through_secrets_manager
            found.append(decrypt([key], self.location))
        found.append(identity.write_logs(self.location.log_group_arn(f"/ecs/{self.family}")))
        return [*found, *(identity.pull_image(repository) if repository else ())]

    def rotate_by_function(self, name: str, schedule_days: int = 30) -> str:
        """Let a function rotate a secret on schedule; return the function's ARN."""
        function = self.client("lambda").create_function(
            FunctionName=f"{self.prefix}-rotation",
            Runtime="python3.13",
            Role=self.location.role_arn(self.role_name),
            Handler="rotate.handler",
            Code={"ZipFile": b"never run"},
        )["FunctionArn"]
        self.secrets.rotate_secret(
            SecretId=self.arn(name),
            RotationLambdaARN=function,
            RotationRules={"AutomaticallyAfterDays": schedule_days},
            RotateImmediately=False,
        )
        self.move(name, "AWSPENDING")  # AWS removes the label after its test of the function; moto leaves it
        self.client("lambda").add_permission(
            FunctionName=function,
            StatementId="secrets-manager",
            Action="lambda:InvokeFunction",
            Principal="secretsmanager.amazonaws.com",
        )
        return function


Deploy = Callable[..., Deployed]


def script(folder: Path, name: str, text: str) -> dict[str, str]:
    """Write a program into a folder; return the PATH on which it is found."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def pulumi_in(folder: Path, cli: Path) -> dict[str, str]:
    """The environment of the Pulumi CLI with its home and its backend in a folder."""
    home = {"PULUMI_HOME": str(folder / "pulumi"), "PULUMI_BACKEND_URL": folder.as_uri()}
    return {**home, "PULUMI_CONFIG_PASSPHRASE": "p", "PATH": f"{cli.parent}:/usr/bin:/bin"}


def pulumi(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """Run the Pulumi CLI in a project."""
    command = ["pulumi", "--non-interactive", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


class _Pickler(pickle.Pickler):
    """Keeps what can't be copied, locks and private keys: copies share it."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.kept: list[Any] = []

    def persistent_id(self, obj: Any) -> int | None:
        if type(obj).__module__.partition(".")[0] not in {"_thread", "cryptography"}:
            return None
        self.kept.append(obj)
        return len(self.kept) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, kept: list[Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._kept = kept

    def persistent_load(self, pid: int) -> Any:
        return self._kept[pid]


def _backends() -> dict[str, Any]:
    """moto's state, by service, account and Region, of the services that were asked."""
    return {backends.service_name: backends for backends in BackendDict._instances}  # type: ignore[misc]


@dataclass
class Picture:
    """A stack in the local AWS, as it was created, from which it is copied into other accounts: that is 100 times as fast."""

    stack: Deployed
    services: dict[tuple[str, str], tuple[bytes, list[Any]]]

    @classmethod
    def of(cls, stack: Deployed) -> "Picture":
        services: dict[tuple[str, str], tuple[bytes, list[Any]]] = {}
        for service, accounts in _backends().items():
            for region, backend in accounts[stack.account].items() if stack.account in accounts else ():
                pickler = _Pickler(file := io.BytesIO())
                pickler.dump(backend)
                services[service, region] = file.getvalue(), pickler.kept
        return cls(stack, services)

    def copied(self, account: str, outputs_file: Path) -> Deployed:
        old, new = self.stack.account, account
        access_key = self.stack.credentials["AccessKeyId"]
        other_key = f"{access_key[:-12]}{new}"
        for (service, region), (data, kept) in self.services.items():
            copy = data.replace(old.encode(), new.encode()).replace(access_key.encode(), other_key.encode())
            _backends()[service][new][region] = _Unpickler(copy, kept).load()
        text = json.dumps([self.stack.outputs, self.stack.described, self.stack.key_arn, self.stack.image])
        outputs, described, key_arn, image = json.loads(text.replace(old, new))
        credentials = dict(self.stack.credentials) | {"AccessKeyId": other_key}
        made = replace(
            self.stack, account=new, credentials=credentials, outputs_file=outputs_file, outputs=outputs, described=described,
            key_arn=key_arn, image=image, values=dict(self.stack.values), _clients={},
        )  # fmt: skip
        made.write_outputs()
        return made


@pytest.fixture(scope="session")
def pictures() -> dict[Any, Picture]:
    return {}


@pytest.fixture
def deploy(local_aws: str, pictures: dict[Any, Picture], tmp_path: Path) -> Generator[Deploy]:
    """Create a stack: `deploy(environment="dev", catalogue=CATALOGUE, customer_managed_key=False, ecr=True)`."""
    accounts: list[str] = []

    def make(
        environment: str = "dev", *, catalogue: Catalogue | None = None, region: str = REGION, **options: bool
    ) -> Deployed:
        catalogue = APPLICATION.catalogue(environment) if catalogue is None else catalogue
        key = (local_aws, environment, repr(catalogue), region, *sorted(options.items()))
        if key not in pictures:
            account = _account()
            names = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": region}
            role = f"arn:aws:iam::{account}:role/operator"
            sts = _session().client("sts", endpoint_url=local_aws, **names)
            credentials = sts.assume_role(RoleArn=role, RoleSessionName="night-call")["Credentials"]
            built = Deployed(local_aws, environment, account, credentials, tmp_path / f"{account}.json", region)
            _build(built, catalogue, **options)
            pictures[key] = Picture.of(built)
        accounts.append(_account())
        stack = pictures[key].copied(accounts[-1], tmp_path / f"{environment}.json")
        stack.catalogue = catalogue
        return stack

    yield make
    for account in accounts:  # moto looks through all accounts for the one of a call's credentials
        for accounts_of in _backends().values():
            accounts_of.pop(account, None)


def _account() -> str:
    return str(random.randrange(10**11, 10**12))  # noqa: S311 - no secret


@pytest.fixture
def stack(deploy: Deploy) -> Deployed:
    """A stack `dev` as the program creates it from the project's catalogue."""
    return deploy()


def _name_in(arn: str) -> str:
    return str(arn).rpartition(":")[2][:-7]


def _build(stack: Deployed, catalogue: Catalogue, *, customer_managed_key: bool = False, ecr: bool = True) -> None:
    stack.catalogue = catalogue
    location, prefix = stack.location, stack.prefix
    if customer_managed_key:
        policy = key_policy(location, prefix=prefix, log_group_names=[f"/ecs/{stack.family}"])
        stack.key_arn = stack.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    arns, references = _create_secrets(stack, catalogue)
    stack.outputs = {
        "environment": stack.environment,
        "secret_arns": arns,
        "services": {
            "app": {
                "container_secrets": references,
                "execution_role_arn": location.role_arn(stack.role_name),
                "task_role_arn": location.role_arn(f"{stack.family}-task"),
                "task_definition_family": stack.family,
                "log_group_name": f"/ecs/{stack.family}",
            }
        },
        "kms_key_arn": stack.key_arn,
        "alarm_topic_arn": None,
        "monthly_cost_usd": 0.4 * len(arns),
    }
    stack.image = "public.ecr.aws/docker/library/nginx:1.27"
    if ecr:
        stack.image = f"{stack.account}.dkr.ecr.{stack.region}.amazonaws.com/{PROJECT}:1.0.0"
        stack.client("ecr").create_repository(repositoryName=PROJECT)
        stack.client("ecr").put_image(repositoryName=PROJECT, imageManifest=_MANIFEST, imageTag="1.0.0")
    stack.client("logs").create_log_group(logGroupName=f"/ecs/{stack.family}")
    for role in (stack.role_name, f"{stack.family}-task"):
        trust = identity.trust("ecs-tasks.amazonaws.com", account_id=stack.account, source_arn=location.arn("ecs", "*"))
        stack.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument=trust)
    stack.grant(*stack.grants())
    stack.deploy_revision()


def _create_secrets(stack: Deployed, catalogue: Catalogue) -> tuple[dict[str, str], dict[str, str]]:
    arns: dict[str, str] = {}
    references: dict[str, str] = {}
    key = {"KmsKeyId": stack.key_arn} if stack.key_arn else {}
    for declaration in catalogue:
        name = declaration.name
        arns[name] = stack.secrets.create_secret(Name=f"{stack.prefix}-{name}", **key)["ARN"]
        stack.described[name] = {
            "json": isinstance(declaration, JsonSecret),
            "parts": {key: vars(part) for key, part in parts_of(declaration, {}).items()},
            "kms_key_arn": stack.key_arn,
        }
        stack.secrets.put_resource_policy(
            SecretId=arns[name], ResourcePolicy=identity.document([identity.require_tls()])
        )
        if not any(isinstance(source, External) for source in declaration.sources()):
            value = f"live-value-of-{name}"
            if isinstance(declaration, JsonSecret) and isinstance(declaration.keys, Mapping):
                value = json.dumps({k: f"live-value-of-{k}" for k in declaration.keys}, sort_keys=True)
            stack.values[name] = value
            stack.secrets.put_secret_value(
                SecretId=arns[name], SecretString=value, VersionStages=["AWSCURRENT", "pulumi-live"]
            )
        references |= {variable: value_from(arns[name], json_key) for variable, json_key in declaration.references()}
    return arns, references


_DOCKER = "application/vnd.docker"
_MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": f"{_DOCKER}.distribution.manifest.v2+json",
        "config": {"mediaType": f"{_DOCKER}.container.image.v1+json", "size": 7023, "digest": "sha256:" + "b5" * 32},
        "layers": [],
        "built": datetime.now(UTC).isoformat(),
    }
)


@dataclass(frozen=True)
class Done:
    """A finished command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


Ops = Callable[..., Done]


@pytest.fixture
def ops() -> Ops:
    """Run `python -m ops ...` in this process: `ops(stack, "doctor", "--json")`; the outputs come from the stack's file.

    Keywords: `stdin` (bytes), `env` (changes of the environment, None takes a variable away), `folder` (where it is run).
    """

    def run(
        stack: Deployed | None,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str | None] | None = None,
        folder: Path = TICKETS,
    ) -> Done:
        command, environment = _command(stack, arguments, env)
        with mock.patch.dict(os.environ, environment, clear=True), contextlib.chdir(folder):
            done = CliRunner().invoke(app, command, input=stdin)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def ops_process(python: Path) -> Ops:
    """Like `ops`, in a separate process, as a user runs it; 0.2 s slower."""

    def run(
        stack: Deployed | None, *arguments: str, stdin: bytes = b"", env: Mapping[str, str | None] | None = None
    ) -> Done:
        command, environment = _command(stack, arguments, env)
        done = subprocess.run(
            [python, "-m", "ops", *command], input=stdin, capture_output=True, check=False, cwd=ROOT, env=environment, timeout=60,
            start_new_session=True,  # without the terminal of whoever runs the tests
        )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def _command(
    stack: Deployed | None, arguments: Sequence[str], env: Mapping[str, str | None] | None
) -> tuple[list[str], dict[str, str]]:
    """The arguments and the whole environment of a command on a stack."""
    environment: dict[str, str | None] = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COLUMNS": "200"}
    # `python -m` looks where it runs first: for the catalogue, which is the tests' own.
    environment["PYTHONPATH"] = str(ROOT)
    command = list(arguments)
    if stack:
        environment |= stack.variables
        command += ["--outputs", str(stack.outputs_file)]
    environment |= dict(env or {})
    return command, {name: value for name, value in environment.items() if value is not None}


AwsCli = Callable[[Deployed, list[str]], tuple[int, str]]


@pytest.fixture(scope="session")
def aws_cli() -> Generator[AwsCli]:
    """Run the AWS CLI; it returns its status and what it wrote to the standard error."""
    script = str(Path(__file__).with_name("aws_cli.py"))
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        to, answers = process.stdin, process.stdout

        def run(stack: Deployed, arguments: list[str]) -> tuple[int, str]:
            environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_PAGER": "", **stack.variables}
            to.write(json.dumps({"arguments": arguments, "environment": environment}) + "\n")
            to.flush()
            answer = json.loads(answers.readline())
            return answer["status"], answer["told"]

        yield run
        to.close()


@pytest.fixture
def paste(ops: Ops, aws_cli: AwsCli) -> Callable[..., None]:
    """Run a printed command as it is: `paste(stack, finding["fix"])`. Keyword: the `value` that is typed, hidden.

    Words are split as a shell does. `aws` is the AWS CLI itself, `python -m ops` this project, in this process.
    """

    def run(stack: Deployed, command: str, *, value: str = "") -> None:
        words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
        assert not {"|", ";", "&", ">", "<", "(", ")"} & set(words), f"more than a list of commands: {command}"
        for part in command.split(" && "):
            match shlex.split(part):
                case ["aws", *arguments]:
                    status, told = aws_cli(stack, arguments)
                case ["python", "-m", "ops", *arguments]:
                    with (
                        mock.patch("ops._ask.sys", _at_a_terminal()),
                        mock.patch("getpass.getpass", return_value=value),
                    ):
                        done = ops(stack, *arguments)
                    status, told = done.status, done.err
                case _:
                    status, told = 127, "no command that can be run here"
            assert status == 0, f"{part}: {told}"

    return run


def _at_a_terminal() -> SimpleNamespace:
    """`sys` of an operator who answers every question with yes."""
    stdin = SimpleNamespace(isatty=lambda: True, readline=lambda: "y\n")
    return SimpleNamespace(stdin=stdin, stderr=io.StringIO())


@dataclass
class Proxy:
    """Stands before the local AWS. By action, such as `GetSecretValue`: answers instead of it, or does something first.

    Attributes:
        seen: The actions in the order in which they came.
        in_json: Those of services that speak JSON.
        body: The latest request's.
    """

    url: str
    body: bytes = b""
    seen: list[str] = field(default_factory=list[str])
    in_json: set[str] = field(default_factory=set[str])
    _rules: dict[str, Callable[[], tuple[int, bytes] | None]] = field(
        default_factory=dict[str, Callable[[], tuple[int, bytes] | None]]
    )

    def before(self, action: str, do: Callable[[], tuple[int, bytes] | None]) -> None:
        """Call `do` when an action comes; what it returns (status, body) is the answer, None passes the call on.

        With the status 0 there is no answer at all: the connection ends.
        """
        self._rules[action] = do

    def refuse(self, action: str, code: str, times: int | None = None, message: str = "no") -> None:
        """Refuse an action with AWS's error code, always or some times."""
        left = [times]

        def answer() -> tuple[int, bytes] | None:
            if left[0] is not None:
                left[0] -= 1
                if left[0] < 0:
                    return None
            if action in {"GetCallerIdentity", "GetRole", "SimulatePrincipalPolicy", "DescribeSubnets"}:
                error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
                return 400, f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>".encode()
            return 400, json.dumps({"__type": code, "message": message}).encode()

        self.before(action, answer)

    def forget(self) -> None:
        """Pass everything on again."""
        self._rules.clear()
        self.seen.clear()

    def rule(self, action: str) -> tuple[int, bytes] | None:
        self.seen.append(action)
        return self._rules[action]() if action in self._rules else None


@pytest.fixture
def proxy(local_aws: str) -> Generator[Proxy]:
    """A proxy in front of a stack: `stack.endpoint = proxy.url`. It has no moto-api, as AWS hasn't."""

    def answer(environ: Any, start_response: Any) -> Any:
        request, path = Request(environ), environ["RAW_URI"]
        body = request.get_data()
        action = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if action:
            found.in_json.add(action)
        action = action or parse_qs(body.decode(errors="replace")).get("Action", [path])[0]
        found.body = body
        if path.startswith("/moto-api"):
            made = Response(status=404)
        elif instead := found.rule(action):
            if not instead[0]:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionResetError
            kind = "text/xml" if instead[1].startswith(b"<") else "application/x-amz-json-1.1"
            made = Response(instead[1], instead[0], content_type=kind)
        else:
            made = _ask_moto(local_aws, request.method, path, dict(request.headers), body)
        return made(environ, start_response)

    server = make_server("127.0.0.1", 0, answer, threaded=True)
    found = Proxy(f"http://127.0.0.1:{server.port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield found
    server.shutdown()


class Terminal:
    """A command on its own terminal.

    Attributes:
        shown: Everything that the terminal showed so far.
    """

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self._process = process
        self._descriptor = descriptor
        self.shown = ""

    def expect(self, text: str, seconds: float = 20) -> None:
        """Wait until the terminal shows a text."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} was not shown, but: {self.shown!r}"
            self._read()

    def send(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def status(self) -> int:
        """Wait for the end; return the exit status."""
        deadline = time.monotonic() + 60
        while self._read():
            assert time.monotonic() < deadline, f"the command goes on, having shown: {self.shown!r}"
        return self._process.wait(20)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], 1)
        if not ready:
            return self._process.poll() is None
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # Linux reports this when no process has the terminal open any more
            return False
        self.shown += data.decode().replace("\r\n", "\n")
        return bool(data)


@pytest.fixture
def terminal() -> Callable[..., Any]:
    """Run `python -m ops ...` on a terminal: `with terminal(stack, "reveal", "jwt-secret") as session:`."""

    @contextlib.contextmanager
    def run(stack: Deployed, *arguments: str) -> Generator[Terminal]:
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (50, 250))
        command = [sys.executable, "-m", "ops", *arguments, "--outputs", str(stack.outputs_file)]
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TERM": "xterm", "PYTHONPATH": str(ROOT)}
        environment |= stack.variables
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=TICKETS, env=environment, start_new_session=True,
            # Ctrl-C reaches only the process whose terminal this is.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one system call, no lock
        )  # fmt: skip
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    return run
