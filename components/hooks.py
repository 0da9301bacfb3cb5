"""What resource hooks need to ask AWS while the program registers its resources."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

_WORKERS = 4096
"""More than any stack registers at once; a worker is a thread, and is made only when none is free."""


def may_ask() -> None:
    """Let hooks ask AWS however many resources wait to be made; call it before the first one with a hook.

    The SDK sends each registration and each question from a worker of the event loop's executor, four for each step that the
    engine takes at once. A registration keeps its worker until the engine has carried it out, its hook included. With all
    workers taken, a hook's question would wait for ever, and the `up` with it.
    Source: Pulumi, sdk/python (3.274), automation/_server.py, runtime/resource.py and invoke.py, `run_in_executor`.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=_WORKERS))
