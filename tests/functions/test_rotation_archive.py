"""The deployment archive: the same bytes everywhere, and all that the handler needs beside the runtime."""

import importlib.metadata
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from components import _archive
from components._archive import CA_BUNDLE_NAME, ROTATION_HANDLER, ROTATION_PACKAGE, rotation_archive
from components.engines import ENGINES
from components.functions.rotate_password import configuration

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six")
"""What Lambda's Python runtime brings. What the archive has of it comes first."""

ENGINE = "postgresql"
EVERY_ENGINE = pytest.mark.parametrize("engine", ENGINES)


def test_each_engine_has_a_row() -> None:
    assert set(ENGINES) == set(configuration.ENGINES)


def driver(engine: str) -> set[str]:
    return {normal(name) for name in ENGINES[engine].driver}


def normal(name: str) -> str:
    """A distribution's name as everybody may spell it. Source: PyPA, "Names and normalization"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_two_builds_are_the_same_bytes() -> None:
    assert rotation_archive(ENGINE).content == rotation_archive(ENGINE).content


def test_order_times_modes_and_bytecode_of_the_source_do_not_matter(tmp_path: Path) -> None:
    copy = tmp_path / ROTATION_PACKAGE.name
    copy.mkdir(mode=0o700)
    files = (path for path in ROTATION_PACKAGE.rglob("*") if path.is_file())
    for number, path in enumerate(sorted(files, reverse=True)):
        copied = copy / path.relative_to(ROTATION_PACKAGE)
        copied.parent.mkdir(exist_ok=True)
        shutil.copy(path, copied)
        os.utime(copied, (1_000_000_000 + number, 1_000_000_000 + number))
        copied.chmod(0o600)
    (copy / "__pycache__").mkdir(exist_ok=True)
    (copy / "__pycache__" / "rotate.cpython-311.pyc").write_bytes(b"\0")
    assert rotation_archive(ENGINE, package=copy).content == rotation_archive(ENGINE).content


def test_a_changed_source_changes_the_digest(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(ROTATION_PACKAGE, tmp_path / ROTATION_PACKAGE.name))
    (copy / "rotate.py").write_text("# changed")
    assert rotation_archive(ENGINE, package=copy).sha256 != rotation_archive(ENGINE).sha256


@EVERY_ENGINE
def test_only_what_is_needed_is_inside(engine: str) -> None:
    found = names(rotation_archive(engine).content)
    assert found == sorted(found)
    distributions = importlib.metadata.packages_distributions()
    inside = {name.split("/")[0].removesuffix(".py") for name in found if ".dist-info" not in name}
    assert {normal(one) for name in inside - {"rotate_password"} for one in distributions[name]} == driver(engine)
    assert not [
        name for name in found if re.search(r"\.pyc|__pycache__|RECORD|INSTALLER|REQUESTED|WHEEL|direct_url", name)
    ]


@EVERY_ENGINE
def test_every_licence_is_inside(engine: str) -> None:
    found = names(rotation_archive(engine).content)
    assert {normal(name.split("-")[0]) for name in found if "LICENSE" in name} == driver(engine)


def test_entries_have_no_trace_of_the_machine() -> None:
    for entry in zipfile.ZipFile(io.BytesIO(rotation_archive(ENGINE).content)).infolist():
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        assert entry.external_attr == 0o100644 << 16
        assert entry.compress_type == zipfile.ZIP_STORED


@EVERY_ENGINE
def test_the_archive_has_the_driver_and_all_that_it_requires(engine: str) -> None:
    found, wanted = set[str](), {normal(ENGINES[engine].driver[0])}
    while wanted:
        name = wanted.pop()
        found.add(name)
        required = importlib.metadata.requires(name) or []
        wanted |= {normal(re.split(r"[^\w-]", need)[0]) for need in required if "extra ==" not in need} - found
    assert found == driver(engine)


def test_an_installed_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    original = importlib.metadata.distribution("six")
    folder = f"six-{original.version}.dist-info"
    shutil.copytree(Path(str(original.locate_file(folder))), tmp_path / folder)
    (tmp_path / "six.py").write_text("changed")
    changed = importlib.metadata.Distribution.at(tmp_path / folder)
    with pytest.raises(ValueError, match=r"six\.py of six [\d.]+ was changed"):
        _archive._distribution_files(changed)


def test_a_ca_bundle_lies_where_the_function_looks_for_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(rotation_archive(ENGINE, b"PEM").content)) as archive:
        archive.extractall(tmp_path)
    checked = run_alone(
        tmp_path,
        "from rotate_password.configuration import read_configuration as read; print(read({'STRATEGY': 'single-user', "
        "'ENGINE': 'postgresql', 'DATABASE_PORT': '5432', 'DATABASE_HOST': 'h', 'DATABASE_NAME': 'n', "
        "'DATABASE_USERNAME': 'u', 'CA_BUNDLE': sys.argv[1]}).ca_bundle)",
        CA_BUNDLE_NAME,
    )
    assert checked == str(tmp_path / CA_BUNDLE_NAME)


def test_the_file_is_gone_when_the_process_ends() -> None:
    code = "from components._archive import rotation_archive as made; at = made('postgresql').path; print(at, at.stat().st_size)"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROTATION_PACKAGE.parents[2], capture_output=True, text=True, check=True
    ).stdout
    path, size = shown.split()
    assert int(size) == len(rotation_archive(ENGINE).content)
    assert not Path(path).parent.exists()


@EVERY_ENGINE
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_the_handler_runs_from_the_archive_with_only_boto3_beside_it(tmp_path: Path, form: str, engine: str) -> None:
    archive = tmp_path / "rotate.zip"
    archive.write_bytes(rotation_archive(engine).content)
    if form == "folder":
        zipfile.ZipFile(archive).extractall(tmp_path / "task")
    module, _, function = ROTATION_HANDLER.rpartition(".")
    printed = run_alone(
        archive if form == "zip" else tmp_path / "task",
        f"import importlib, rotate_password.engines.{engine}\n"
        f"handler = getattr(importlib.import_module('{module}'), '{function}')\n"
        "try:\n    handler({'Step': 'setSecret', 'SecretId': 's', 'ClientRequestToken': 't'})\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
        "print({name for name in sys.modules if 'site-packages' in str(getattr(sys.modules[name], '__file__', ''))})",
    )
    assert "RotationError configuration: environment variables: STRATEGY is not set" in printed
    assert printed.splitlines()[-1] == "set()"


def run_alone(code: Path, program: str, *arguments: str) -> str:
    """Run a program in an interpreter that sees the standard library, the archive and the runtime's boto3; no more."""
    runtime = code.parent / "runtime"
    runtime.mkdir(exist_ok=True)
    for name in RUNTIME:
        spec = importlib.util.find_spec(name)
        assert spec
        assert spec.origin
        found = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
        (runtime / found.name).unlink(missing_ok=True)
        (runtime / found.name).symlink_to(found)
    start = f"import sys; sys.dont_write_bytecode = True; sys.path[:0] = [{str(code)!r}, {str(runtime)!r}]\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"AWS_DEFAULT_REGION": "eu-central-1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
