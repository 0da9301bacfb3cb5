"""The lock files: what `pulumi install` and the Makefile install is the same, to the byte.

`pulumi install` runs `python -m venv` and `pip install -r requirements.txt` (pulumi, sdk/python/toolchain/pip.go,
InstallDependencies). pip checks hashes as soon as one requirement has one, and then refuses everything that has none (pip's
documentation, "Secure installs").
"""

import re
from pathlib import Path

import pytest
import yaml

from components.engines import ENGINES

REPOSITORY = Path(__file__).resolve().parents[2]

SOURCES = {
    name: name.replace(".txt", ".in") for name in ("requirements.txt", "requirements-ops.txt", "requirements-dev.txt")
}


def pins(name: str) -> dict[str, str]:
    """Version, marker and hashes of each package of a lock file."""
    text = (REPOSITORY / name).read_text().replace("\\\n", "")
    entries = [line.split(None, 1) for line in text.splitlines() if not line.lstrip().startswith("#")]
    return {entry[0].split("==")[0]: " ".join(entry) for entry in entries}


@pytest.mark.parametrize("name", SOURCES)
def test_every_package_is_pinned_with_its_hashes(name: str) -> None:
    found = pins(name)
    assert len(found) > 20
    assert not [
        line for line in found.values() if not re.match(r"[\w.-]+==[\w.]+( ; [^\\]+?)?( +--hash=sha256:\w{64})+$", line)
    ]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-ops.txt"])
def test_a_smaller_set_is_part_of_the_whole(name: str) -> None:
    def without_markers(
        name: str,
    ) -> dict[str, str]:  # what the program needs on Windows alone, a tool may need everywhere
        return {package: re.sub(r"( ; .*?)? +--hash", " --hash", line) for package, line in pins(name).items()}

    program, everything = without_markers(name), without_markers("requirements-dev.txt")
    assert program == {package: everything[package] for package in program}


@pytest.mark.parametrize(("name", "source"), SOURCES.items())
def test_a_lock_file_holds_what_its_source_asks_for(name: str, source: str) -> None:
    """A pin that was changed without `make lock` would change nothing."""
    found = {line.split()[0] for line in pins(name).values()}
    wanted = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?(==[\w.]+)$", (REPOSITORY / source).read_text(), re.MULTILINE)
    assert wanted
    assert {package.lower() + version for package, version in wanted} <= found


def test_the_rotation_function_is_made_of_pinned_packages() -> None:
    assert {name.lower() for engine in ENGINES.values() for name in engine.driver} <= set(pins("requirements.txt"))


def test_pulumi_up_installs_nothing_of_the_tools() -> None:
    assert not {"boto3", "typer", "jinja2", "detect-secrets", "aws-encryption-sdk", "moto"} & set(
        pins("requirements.txt")
    )


def test_pulumi_install_and_the_makefile_install_the_lock_files() -> None:
    options = yaml.safe_load((REPOSITORY / "Pulumi.yaml").read_text())["runtime"]["options"]
    assert options["toolchain"] == "pip"
    makefile = (REPOSITORY / "Makefile").read_text()
    assert "--require-hashes -r requirements-dev.txt" in makefile
