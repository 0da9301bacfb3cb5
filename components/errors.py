"""What a policy refuses becomes a message without a traceback."""

from collections.abc import Generator
from contextlib import contextmanager

import pulumi

from policies.identity import PolicyError


@contextmanager
def readable() -> Generator[None]:
    """Turn a refused policy into the error that Pulumi prints as it is."""
    try:
        yield
    except PolicyError as error:
        raise pulumi.RunError(str(error)) from None
