"""Errors without a traceback: refused policies, and the end of a program that the engine stops."""

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

import pulumi

from components.policies.identity import PolicyError


@contextmanager
def readable() -> Generator[None]:
    """Turn a refused policy into the error that Pulumi prints as it is."""
    try:
        yield
    except PolicyError as error:
        raise pulumi.RunError(str(error)) from None


def end_quietly() -> None:
    """End without a traceback when the engine stops the program because a resource failed: the engine prints the failure.

    The CLI then sends SIGINT to the language host and to the program that it runs. Python's own answer, a KeyboardInterrupt in
    the middle of the SDK, is some seventy lines in front of the error. Any other process is left unchanged.
    Source: Pulumi, sdk/python/cmd/pulumi-language-python-exec (3.274), which gets its configuration by PULUMI_CONFIG.
    """
    if "PULUMI_CONFIG" in os.environ and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(1))
