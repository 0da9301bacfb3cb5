"""A provider plugin's process: `python -m sandbox.providers aws|random`, started by the Pulumi engine.

Prints the port that it listens on (loopback) and serves until the engine tells it to stop or is gone.
"""

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.providers._plugin import Plugin
from sandbox.providers._resource import ProviderError
from sandbox.providers._server import Servicer

_THREADS = 32
"""The engine runs up to 16 operations at once by default; reads and invokes come on top."""

_MESSAGE_BYTES = 400 * 1024 * 1024
"""The engine's own limit; a Lambda archive comes as a path, but a large state may come whole."""


def load(name: str) -> Plugin:
    """The plugin of this name; raises ProviderError. Imports only what that plugin needs."""
    if name == "random":
        from sandbox.providers.random_ import RandomPlugin  # noqa: PLC0415 - start-up time

        return RandomPlugin()
    if name == "aws":
        from sandbox.providers.aws import AwsPlugin  # noqa: PLC0415 - start-up time

        return AwsPlugin.from_environment(os.environ)
    raise ProviderError(f"unknown plugin {name!r}: aws or random")


def serve(plugin: Plugin) -> tuple[grpc.Server, int]:
    """Start serving on a free port of loopback; returns the server and the port."""
    options = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    server = grpc.server(ThreadPoolExecutor(max_workers=_THREADS), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(plugin), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def _stop(signum: int, frame: object) -> None:
    """End at once: what a call has done in AWS is done, and the engine has what it was told."""
    del signum, frame
    os._exit(0)


def _end_with(parent: int) -> None:
    """End when the engine is gone: killed, it can't stop its plugins."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def main() -> int:
    """Serve until the end; 2 when the plugin can't start."""
    # The engine stops a plugin by SIGINT and waits for its end; Python's own handling would print a traceback.
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        plugin = load(sys.argv[1] if len(sys.argv) > 1 else "")
    except ProviderError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the engine shows it
        return 2
    server, port = serve(plugin)
    print(port, flush=True)  # noqa: T201 - the protocol: the first line is the port
    server.wait_for_termination()
    return 0


if __name__ == "__main__":
    sys.exit(main())
