"""What every test may use."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from sandbox import pulumi_cli as cli

# A test on a busy machine is slow, not wrong.
settings.register_profile("any-speed", deadline=None)
settings.load_profile("any-speed")

# Under `make test &` a shell ignores Ctrl-C, and so would every command that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def pulumi_cli() -> Path:
    """The Pulumi CLI; built when it is missing, by one of the test processes while the others wait."""
    return cli.find_or_build()
