"""Runs a project's `__main__.py` inside this process, as the engine's inline program, as if it ran alone."""

import contextlib
import os
import runpy
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType
from typing import Any

from pulumi import log
from pulumi.runtime import _grpc_settings, resource

from sandbox.home import REPOSITORY

# Of the modules beside the program these belong to whoever runs it.
_NOT_THE_PROGRAMS = {"sandbox", "tests", "conftest", "benchmarks", "__main__"}

# gRPC shares the connections of a process by address. A later engine may get the port of an earlier one: then the program's first
# call would find that one's broken connection, and end with "Resource monitor has terminated" while it waits to be tried again.
# Source: gRPC core, grpc_types.h, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL. The SDK has no public way to set an option.
_grpc_settings._GRPC_CHANNEL_OPTIONS.append(("grpc.use_local_subchannel_pool", 1))  # noqa: SLF001


def _drop(msg: str, *context: object, **more_context: object) -> None:
    """Send a debug message nowhere."""
    del msg, context, more_context


# The SDK tells the engine about each property, and waits for the answer: a third of a run's time, for texts that the sandbox
# never shows. Source: pulumi 3.272, log.py and runtime/rpc.py.
log.debug = _drop

_whole_trace = resource._get_stack_trace  # noqa: SLF001


def _position() -> Any:
    """Return a resource's stack trace, cut to the line that creates it.

    The 20 frames below, most of them of the process that runs the program, would be half of the state, which the engine writes
    twice for each resource that it creates.
    """
    trace = _whole_trace()
    del trace.frames[1:]
    return trace


resource._get_stack_trace = _position  # noqa: SLF001


def inline(directory: Path) -> Callable[[], None]:
    """Return the program in a form that the Automation API takes."""

    def run() -> None:
        runpy.run_path(str(directory / "__main__.py"), run_name="__main__")

    return run


@contextlib.contextmanager
def alone(directory: Path) -> Generator[None]:
    """Give the program its own working directory, import path and modules, then put the process's own back.

    It spans the whole engine run: functions that the program passed to `apply` run, and import, long after it returned.
    """
    names = _module_names(directory) | _module_names(REPOSITORY)
    saved_directory, saved_path, saved_arguments = Path.cwd(), list(sys.path), list(sys.argv)
    saved_finders = list(sys.meta_path)
    saved_modules = _take_modules(names)
    os.chdir(directory)
    sys.path[:] = [str(directory), *(p for p in sys.path if p not in {"", str(REPOSITORY)})]
    sys.argv[:] = [str(directory / "__main__.py")]
    try:
        yield
    finally:
        sys.path[:], sys.argv[:], sys.meta_path[:] = saved_path, saved_arguments, saved_finders
        os.chdir(saved_directory)
        _take_modules(names)
        sys.modules.update(saved_modules)


def _module_names(directory: Path) -> set[str]:
    files = {path.stem for path in directory.glob("*.py")}
    folders = [path for path in directory.iterdir() if path.is_dir() and not path.name.startswith(".")]
    packages = {path.name for path in folders if any(path.glob("*.py")) or any(path.glob("*/*.py"))}
    return (files | packages) - _NOT_THE_PROGRAMS


def _take_modules(names: set[str]) -> dict[str, ModuleType]:
    """Remove the modules of these names, and those below them, from the interpreter and return them."""
    found = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in found}
