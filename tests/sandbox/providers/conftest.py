"""Drives a stand-in plugin over gRPC as the engine does, against a moto server of this process."""

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import botocore.session
import grpc
import pytest
from moto.server import ThreadedMotoServer
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from sandbox import moto_server
from sandbox.providers._plugin import Plugin
from sandbox.providers._server import DEFAULTS, Servicer
from sandbox.providers._values import Asset, decode, encode
from sandbox.providers.aws import AwsPlugin
from sandbox.providers.aws._session import Connection
from sandbox.providers.random_ import RandomPlugin

REGION = "us-east-1"
KINDS = {
    getattr(provider_pb2.PropertyDiff, kind): kind.lower()
    for kind in ("ADD", "ADD_REPLACE", "DELETE", "DELETE_REPLACE", "UPDATE", "UPDATE_REPLACE")
}


class CallError(Exception):
    """The plugin refused a call; the text is what the user would read."""


@dataclass(frozen=True)
class State:
    """What the engine keeps of a resource."""

    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """The answer to Diff."""

    changes: Mapping[str, str]
    replaces: Sequence[str]
    delete_before_replace: bool


@dataclass(frozen=True)
class Driver:
    """A plugin as the engine sees it."""

    stub: Any
    urn_prefix: str = "urn:pulumi:dev::tickets::"
    check_failures: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def call(self, method: str, request: Any) -> Any:
        try:
            return getattr(self.stub, method)(request)
        except grpc.RpcError as error:
            raise CallError(error.details()) from None

    def configure(self, **config: Any) -> None:
        checked = self.call("CheckConfig", provider_pb2.CheckRequest(news=encode(config)))
        self.check_failures.extend((item.property, item.reason) for item in checked.failures)
        self.call("Configure", provider_pb2.ConfigureRequest(args=checked.inputs))

    def invoke(self, function: str, **arguments: Any) -> dict[str, Any]:
        answer = self.call("Invoke", provider_pb2.InvokeRequest(tok=function, args=encode(arguments)))
        return decode(getattr(answer, "return"))

    def resource(self, type_name: str, name: str = "") -> "Life":
        return Life(self, f"{self.urn_prefix}{type_name}::{name or f'r{uuid.uuid4().hex[:8]}'}")

    def made(self, type_name: str, news: Mapping[str, Any] | None = None) -> "tuple[Life, State]":
        """A resource that was just created: its life and its state."""
        life = self.resource(type_name)
        return life, life.create(news or {})


@dataclass(frozen=True)
class Life:
    """One resource's life."""

    driver: Driver
    urn: str

    def check(
        self, news: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        request = provider_pb2.CheckRequest(
            urn=self.urn, news=encode(news), olds=encode(olds or {}), randomSeed=uuid.uuid4().bytes
        )
        answer = self.driver.call("Check", request)
        return decode(answer.inputs), {item.property: item.reason for item in answer.failures}

    def checked(self, news: Mapping[str, Any], olds: Mapping[str, Any] | None = None) -> dict[str, Any]:
        inputs, failures = self.check(news, olds)
        assert failures == {}
        return inputs

    def create(self, news: Mapping[str, Any]) -> State:
        inputs = self.checked(news)
        request = provider_pb2.CreateRequest(urn=self.urn, properties=encode(inputs))
        answer = self.driver.call("Create", request)
        return State(answer.id, inputs, decode(answer.properties))

    def preview(self, news: Mapping[str, Any]) -> dict[str, Any]:
        request = provider_pb2.CreateRequest(urn=self.urn, properties=encode(self.checked(news)), preview=True)
        return decode(self.driver.call("Create", request).properties)

    def diff(self, state: State, news: Mapping[str, Any], ignore: Sequence[str] = ()) -> Difference:
        request = provider_pb2.DiffRequest(
            id=state.id,
            urn=self.urn,
            olds=encode(state.outputs),
            old_inputs=encode(state.inputs),
            news=encode(self.checked(news, state.inputs)),
            ignoreChanges=ignore,
        )
        answer = self.driver.call("Diff", request)
        assert answer.hasDetailedDiff
        some = answer.changes == provider_pb2.DiffResponse.DIFF_SOME
        assert some == bool(answer.detailedDiff) == bool(answer.diffs)
        changes = {path: KINDS[item.kind] for path, item in answer.detailedDiff.items()}
        return Difference(changes, list(answer.replaces), answer.deleteBeforeReplace)

    def update(
        self, state: State, news: Mapping[str, Any], *, preview: bool = False, ignore: Sequence[str] = ()
    ) -> State:
        inputs = self.checked(news, state.inputs)
        request = provider_pb2.UpdateRequest(
            id=state.id,
            urn=self.urn,
            olds=encode(state.outputs),
            old_inputs=encode(state.inputs),
            news=encode(inputs),
            preview=preview,
            ignoreChanges=ignore,
        )
        return State(state.id, inputs, decode(self.driver.call("Update", request).properties))

    def refresh(self, state: State) -> State | None:
        return self._read(state.id, state.outputs, state.inputs)

    def imported(self, resource_id: str) -> State | None:
        return self._read(resource_id, {}, {})

    def _read(self, resource_id: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> State | None:
        request = provider_pb2.ReadRequest(
            id=resource_id, urn=self.urn, properties=encode(outputs), inputs=encode(inputs)
        )
        answer = self.driver.call("Read", request)
        return State(answer.id, decode(answer.inputs), decode(answer.properties)) if answer.id else None

    def delete(self, state: State) -> None:
        request = provider_pb2.DeleteRequest(
            id=state.id, urn=self.urn, properties=encode(state.outputs), old_inputs=encode(state.inputs)
        )
        self.driver.call("Delete", request)


def serving(plugin: Plugin) -> Iterator[Driver]:
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(plugin), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # The engine takes 16 MiB of metadata, where the state of a half-made resource travels; this client takes less.
    roomy = [("grpc.max_metadata_size", 2**24), ("grpc.absolute_max_metadata_size", 2**24)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=roomy) as channel:
        yield Driver(provider_pb2_grpc.ResourceProviderStub(channel))
    server.stop(None)


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto_server.fill_gaps()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def connection(moto_endpoint: str) -> Connection:
    return Connection(moto_endpoint, "test", "test")


@pytest.fixture
def unconfigured(connection: Connection) -> Iterator[Driver]:
    yield from serving(AwsPlugin(connection))


@pytest.fixture(scope="session")
def aws(connection: Connection) -> Iterator[Driver]:
    """The plugin in us-east-1 with one default tag; each test uses names of its own."""
    for driver in serving(AwsPlugin(connection)):
        driver.configure(region=REGION, defaultTags='{"tags":{"project":"tickets"}}')
        yield driver


@pytest.fixture(scope="session")
def function_inputs(aws: Driver) -> dict[str, Any]:
    """What a Lambda function needs."""
    role = aws.resource("aws:iam/role:Role").create({"assumeRolePolicy": '{"Statement":[]}'})
    code = Asset("archive", {"hash": "h", "assets": {"index.py": Asset("asset", {"hash": "h", "text": "pass"})}})
    return {"role": role.outputs["arn"], "code": code, "handler": "index.handler", "runtime": "python3.13"}


@pytest.fixture(scope="session")
def function(aws: Driver, function_inputs: dict[str, Any]) -> str:
    """A function's ARN."""
    return aws.resource("aws:lambda/function:Function").create(function_inputs).outputs["arn"]


@pytest.fixture(scope="session")
def random() -> Iterator[Driver]:
    yield from serving(RandomPlugin())


@pytest.fixture(scope="session")
def boto(moto_endpoint: str) -> Any:
    """`boto("ecs")`: a plain client, for looking at what is there and for changing it behind the plugin's back."""
    session = botocore.session.Session()

    def client(service: str, region: str = REGION) -> Any:
        return session.create_client(
            service,
            region_name=region,
            endpoint_url=moto_endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    return client


@pytest.fixture(scope="session")
def defaults_key() -> str:
    return DEFAULTS
