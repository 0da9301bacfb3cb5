"""What every test may use."""

from pathlib import Path

import pytest

from sandbox import pulumi_cli as cli


@pytest.fixture(scope="session")
def pulumi_cli() -> Path:
    """The Pulumi CLI; built when it is missing, by one of the test processes while the others wait."""
    return cli.find_or_build()
