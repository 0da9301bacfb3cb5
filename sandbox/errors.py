"""Errors that the sandbox shows instead of a traceback."""


class SandboxError(Exception):
    """A failure. The message is for the user: what was found, what is allowed, and what fixes it.

    `status` is the process's exit status.
    """

    status = 1


class MisuseError(SandboxError):
    """The command can't be run as given."""

    status = 2


class InterruptedRunError(SandboxError):
    """Ctrl-C: the engine ended in good order, the state holds everything that exists."""

    status = 130
