"""What the sandbox tells its user instead of a traceback."""


class SandboxError(Exception):
    """Something failed; the message is for the user: what was found, what is allowed, what fixes it.

    `status` is the process's exit status.
    """

    status = 1


class MisuseError(SandboxError):
    """The command line can't be carried out as it was given."""

    status = 2


class InterruptedRunError(SandboxError):
    """Ctrl-C: the engine ended in good order, the state holds everything that exists."""

    status = 130
