"""What every test may use.

Tests of mechanisms have a catalogue of their own, `applications/tickets`: what the project ships may change, and a fork may
replace it, without turning them red. `unit/test_shipped.py` is about the shipped catalogue.
"""

import gc
import importlib.util
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sandbox import pulumi_cli as cli
from tests.warm_python import warm_python

TICKETS = Path(__file__).parent / "applications" / "tickets"


def _use_the_tests_catalogue() -> None:
    if getattr(sys.modules.get("catalogue"), "__file__", "") == str(TICKETS / "catalogue.py"):
        return
    spec = importlib.util.spec_from_file_location("catalogue", TICKETS / "catalogue.py")
    assert spec
    assert spec.loader
    sys.modules["catalogue"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["catalogue"])


# Before any test imports what imports it.
_use_the_tests_catalogue()

# A test on a busy machine is slow, not wrong.
settings.register_profile("any-speed", deadline=None)
settings.load_profile("any-speed")

# Under `make test &` a shell ignores Ctrl-C, and so would every command that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Collect garbage as the sandbox's own process does, rarely: what is imported stays."""
    gc.freeze()
    gc.set_threshold(100_000)


@pytest.fixture(scope="session")
def pulumi_cli() -> Path:
    """The Pulumi CLI; built when it is missing, by one of the test processes while the others wait."""
    return cli.find_or_build()


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A `python` for commands of the user, in a process of their own, that has imported what they import; see `warm_python`."""
    with warm_python(tmp_path_factory.mktemp("python") / "bin") as executable:
        yield executable
