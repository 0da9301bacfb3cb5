"""What resource hooks need of the program's process: workers to ask AWS with, and a server that lives as long as they do."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from pulumi.runtime import stack
from pulumi.runtime.settings import _get_rpc_manager  # pyright: ignore[reportPrivateUsage] - the SDK has no public name for it

_WORKERS = 4096
"""More than any stack registers at once; a worker is a thread, and is made only when none is free."""

_wait_for_rpcs = stack.wait_for_rpcs


def prepare() -> None:
    """Let hooks ask AWS, and end, whatever else the program does; call it before the first resource with a hook.

    The SDK sends each registration and each question from a worker of the event loop's executor, four for each step that the
    engine takes at once. A registration keeps its worker until the engine has carried it out, its hook included. With all
    workers taken, a hook's question would wait for ever, and the `up` with it.

    When an `apply` of the program fails, the SDK stops the server of the hooks and only then tells the engine of the error. The
    engine's call of a hook fails at that moment ("Cancelling all calls", "connection refused"), and that is all the user sees.
    So first everything that has begun ends.
    Source: Pulumi, sdk/python (3.272), automation/_server.py, runtime/resource.py and invoke.py, `run_in_executor`;
    runtime/stack.py, `run_pulumi_func`.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=_WORKERS))
    stack.wait_for_rpcs = _wait_for_all


async def _wait_for_all(await_all_outstanding_tasks: bool = True) -> None:  # noqa: FBT001, FBT002 - the SDK's own
    try:
        await _wait_for_rpcs(await_all_outstanding_tasks)
    except BaseException:
        begun = _get_rpc_manager().rpcs
        while begun:
            await asyncio.gather(begun.pop(), return_exceptions=True)
        raise
