"""What resource hooks need from the SDK: a way to call AWS from a hook, and a program that lets its hooks finish.

Source: Pulumi, sdk/python (3.272), runtime/resource.py and invoke.py, `run_in_executor`; runtime/stack.py, `run_pulumi_func`.
"""

import asyncio
import contextvars
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from typing import Any

import grpc
import pulumi
import pulumi.runtime
from google.protobuf import struct_pb2
from pulumi.runtime import rpc, stack
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import (
    _get_rpc_manager,  # pyright: ignore[reportPrivateUsage] - the SDK has no public name for it
    get_monitor,
)

LIST_ONLY = "ECS_SECRETS_LIST_ONLY"
"""The environment variable with which `ops recover` marks a preview that only lists what `pulumi import` can import."""

_QUESTIONS_AT_ONCE = 16

_wait_for_rpcs = stack.wait_for_rpcs


def only_lists() -> bool:
    """Return whether this preview only lists resources: its hooks then refuse nothing. An `up` ignores it."""
    return bool(os.environ.get(LIST_ONLY)) and pulumi.runtime.is_dry_run()


class QuestionError(Exception):
    """AWS, or its plugin, returned no result."""


class Questions:
    """Calls AWS data sources from hooks, with workers that nothing else uses.

    `pulumi.runtime.invoke` uses a worker of the event loop's executor. Each registration keeps one until the engine has
    finished it, its hook included: if all are in use, a hook's call would wait forever.
    """

    def __init__(self, component: pulumi.Resource | None = None) -> None:
        """Use the component's provider, or the program's."""
        self._component = component
        self._workers = ThreadPoolExecutor(max_workers=_QUESTIONS_AT_ONCE)
        self._version = version("pulumi-aws")

    async def ask(self, token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer of a data source, such as `aws:index/getRegion:getRegion`, by the wire's names.

        Raises:
            QuestionError: When the call fails, with the plugin's message.
        """
        provider = self._component.get_provider(token) if self._component else None
        reference = f"{await provider.urn.future()}::{await provider.id.future()}" if provider else ""
        wire = struct_pb2.Struct()
        wire.update(arguments)
        request = resource_pb2.ResourceInvokeRequest(tok=token, args=wire, provider=reference, version=self._version)
        monitor: Any = get_monitor()
        send = partial(contextvars.copy_context().run, monitor.Invoke, request)
        try:
            answer: Any = await asyncio.get_running_loop().run_in_executor(self._workers, send)
        except grpc.RpcError as error:
            raise QuestionError(str(getattr(error, "details", lambda: "")())) from None
        if answer.failures:
            raise QuestionError("; ".join(failure.reason for failure in answer.failures))
        found = rpc.deserialize_properties(getattr(answer, "return"))
        return {key: rpc.unwrap_rpc_secret(value) for key, value in found.items()} if found else {}


def let_hooks_end() -> None:
    """Let running hooks finish before the program ends; a program's entry point calls this before its first resource.

    When an `apply` of the program fails, the SDK stops the server of the hooks and only then tells the engine of the error. The
    engine's call of a hook fails at that moment ("Cancelling all calls", "connection refused"), and that is all the user sees.
    """
    if (
        stack.wait_for_rpcs.__name__ != _wait_for_all.__name__
    ):  # a process may load the program again, as the sandbox's does
        stack.wait_for_rpcs = _wait_for_all


async def _wait_for_all(await_all_outstanding_tasks: bool = True) -> None:  # noqa: FBT001, FBT002 - the SDK's own
    try:
        await _wait_for_rpcs(await_all_outstanding_tasks)
    except BaseException:
        begun = _get_rpc_manager().rpcs
        while begun:
            await asyncio.gather(begun.pop(), return_exceptions=True)
        raise
