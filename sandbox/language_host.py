"""A language host for Python: the plain Pulumi CLI needs one, and `pulumi-language-python` is in no registry.

It serves what the CLI asks a language host for. Each program runs in a separate process, as Pulumi's executor runs it: in the
main thread, with its configuration in the environment, in the host's process group.

Source: Pulumi, sdk/python/cmd/pulumi-language-python/main.go and pulumi-language-python-exec (3.274).
"""

import asyncio
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
import pulumi
import pulumi.runtime
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

_TOLD = 32
"""The status of a program whose error the user has seen: the engine adds none of its own."""


def installed(folder: Path) -> dict[str, str]:
    """Put an executable that starts the host into a folder; returns the variables with which the CLI finds it.

    The stand-in plugins are served from elsewhere, so that nothing else on PATH is meant.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    script = folder / "pulumi-language-python"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P "{__file__}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return {
        "PATH": os.pathsep.join((str(folder), os.environ.get("PATH", os.defpath))),
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "false",
    }


class Host(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs the program of the folder that the engine names."""

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's own names
        """None beside those that the tests serve."""
        del request, context
        return language_pb2.GetRequiredPluginsResponse()

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: N802
        """None, likewise."""
        del request, context
        return language_pb2.GetRequiredPackagesResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """A version."""
        del request, context
        return plugin_pb2.PluginInfo(version="0.0.0")

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """SIGINT follows."""
        del request, context
        return empty_pb2.Empty()

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Run the program and return how it ended."""
        del context
        settings = {
            "monitor": request.monitor_address,
            "engine": sys.argv[-1],
            "project": request.project,
            "stack": request.stack,
            "parallel": request.parallel,
            "dry_run": request.dryRun,
            "organization": request.organization or "organization",
            "root_directory": request.info.root_directory,
        }
        folder = request.info.program_directory or request.pwd
        ended = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            [os.environ.get("PROGRAMS_PYTHON", sys.executable), "-P", __file__, "--run", json.dumps(settings), folder],
            cwd=folder,
            env={
                **os.environ,
                "PULUMI_CONFIG": json.dumps(dict(request.config)),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            },
            stdout=sys.stderr,
            check=False,
        )
        if ended.returncode in {0, _TOLD}:
            return language_pb2.RunResponse(bail=ended.returncode == _TOLD)
        return language_pb2.RunResponse(error=f"Program exited with non-zero exit code: {ended.returncode}")


def run(settings: str, folder: str) -> int:
    """Run a program in this process; return its exit status."""
    threading.Thread(target=_wait_for_the_end_of, args=(os.getppid(),), daemon=True).start()
    runtime: Any = pulumi.runtime  # the SDK does not export the types of these
    runtime.set_all_config(runtime.get_config_env(), runtime.get_config_secret_keys_env())
    runtime.configure(runtime.Settings(**json.loads(settings)))
    sys.path.insert(0, folder)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(
            runtime.run_in_stack(lambda: runpy.run_path(str(Path(folder) / "__main__.py"), run_name="__main__"))
        )
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return 1
    except Exception:  # noqa: BLE001 - whatever the program raises is its user's to see
        pulumi.log.error(f"Program failed with an unhandled exception:\n{traceback.format_exc()}")
        return _TOLD
    return 0


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


def serve(register: Callable[[Any, grpc.Server], None], servicer: object, *, threads: int = 8) -> None:
    """Serve a plugin as the CLI starts one: print the port, and end with the engine, also when that is killed."""
    signal.signal(signal.SIGINT, _end)
    engine = os.getppid()
    server = grpc.server(ThreadPoolExecutor(threads))
    register(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdout = sys.stderr
    _wait_for_the_end_of(engine)


def _wait_for_the_end_of(parent: int) -> None:
    """End this process with its parent, so that a killed CLI leaves no program behind."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        sys.exit(run(*sys.argv[2:]))
    serve(language_pb2_grpc.add_LanguageRuntimeServicer_to_server, Host())
