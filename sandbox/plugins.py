"""Serves the stand-in provider plugins from this process, on loopback, while the engine works.

The engine attaches to them by PULUMI_DEBUG_PROVIDERS instead of starting a process for each provider: that saves an interpreter's
start and its imports for every command. Source: Pulumi, "Debugging providers"; NewProvider in pkg/resource/plugin (3.274)
makes one connection for each provider of the program, so each connection gets a plugin of its own.
"""

import contextlib
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox import local_aws
from sandbox.local_aws import LocalAws
from sandbox.providers._plugin import Plugin
from sandbox.providers._server import Servicer
from sandbox.providers.aws import AwsPlugin
from sandbox.providers.aws._session import Connection
from sandbox.providers.random_ import RandomPlugin

_THREADS = 32
"""The engine runs up to 16 operations at once by default; reads and invokes come on top."""

_MESSAGE_BYTES = 400 * 1024 * 1024
"""The engine's own limit; a Lambda archive comes as a path, but a large state may come whole."""


@contextlib.contextmanager
def stand_ins(aws: LocalAws, account: str) -> Generator[dict[str, str]]:
    """Serve the stand-ins for an account, each on a free port; yields the variables that tell the engine where they are."""
    key = aws.credentials(account)
    connection = Connection(
        aws.endpoint, key.access_key_id, key.secret_access_key, key.session_token, session=local_aws.session()
    )
    plugins: Mapping[str, Callable[[], Plugin]] = {"aws": lambda: AwsPlugin(connection), "random": RandomPlugin}
    servers: list[grpc.Server] = []
    places: list[str] = []
    options = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    try:
        for name, make in plugins.items():
            server = grpc.server(ThreadPoolExecutor(max_workers=_THREADS), options=options)
            untyped: Any = _ByConnection(make)
            provider_pb2_grpc.add_ResourceProviderServicer_to_server(untyped, server)
            places.append(f"{name}:{server.add_insecure_port('127.0.0.1:0')}")
            server.start()
            servers.append(server)
        yield {"PULUMI_DEBUG_PROVIDERS": ",".join(places)}
    finally:
        for server in servers:
            server.stop(None)


class _ByConnection:
    """A servicer that gives each of the engine's connections a plugin of its own, as a process of its own would."""

    def __init__(self, make: Callable[[], Plugin]) -> None:
        self._make = make
        self._servicers: dict[str, Servicer] = {}
        self._lock = threading.Lock()

    def __getattr__(self, method: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        def call(request: Any, context: grpc.ServicerContext) -> Any:
            peer = str(context.peer())
            with self._lock:
                servicer = self._servicers.get(peer) or self._servicers.setdefault(peer, Servicer(self._make()))
            return getattr(servicer, method)(request, context)

        return call
