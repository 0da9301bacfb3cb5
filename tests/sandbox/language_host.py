"""A language host for Python, for tests that run the plain Pulumi CLI: `pulumi-language-python` is in no registry.

It serves what the CLI asks a language host for, and runs `__main__.py` as the Automation API runs an inline program.

Source: Pulumi, sdk/python/cmd/pulumi-language-python/main.go (3.274).
"""

import os
import runpy
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
from pulumi.automation._server import LanguageServer  # the one place that runs a program for an engine
from pulumi.runtime.proto import language_pb2_grpc


class Host(LanguageServer):
    """Runs the program of the folder that the engine names."""

    def __init__(self) -> None:
        super().__init__(lambda: None)

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's own name
        """Run the program as its own `python __main__.py` would."""
        folder = Path(request.info.program_directory or request.pwd)
        os.chdir(folder)
        sys.path[:0] = [str(folder)]
        self.program = lambda: _run(folder)
        request.args[:] = [sys.argv[-1]]
        return super().Run(request, context)


def _run(folder: Path) -> None:
    runpy.run_path(str(folder / "__main__.py"), run_name="__main__")


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


def main() -> None:
    """Serve until the engine ends this process, or is killed itself."""
    signal.signal(signal.SIGINT, _end)
    engine = os.getppid()
    server = grpc.server(ThreadPoolExecutor(8))
    untyped: Any = Host()
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(untyped, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdout = sys.stderr
    while os.getppid() == engine:
        time.sleep(1)


if __name__ == "__main__":
    main()
