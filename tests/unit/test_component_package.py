"""The component package: what it says of itself is what the components take, and Pulumi's analyzer accepts each of them."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grimp
import pulumi
import pytest
import yaml
from pulumi.provider.experimental.analyzer import Analyzer

from components import package
from components.limits import PULUMI_VERSIONS
from components.package import COMPONENTS, NAME, Package
from components.service import Service
from tests.unit.conftest import Recorder, Secret
from tools import component_package

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, Any] = json.loads(str(Package().schema))


def described() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for token, resource in SCHEMA["resources"].items():
        for part in ("inputProperties", "properties"):
            yield from ((token, name, found) for name, found in resource[part].items())
    for token, found in SCHEMA["types"].items():
        yield from ((token, name, one) for name, one in found["properties"].items())


# Read before any test runs: the SDK swallows an error of `inspect.getsource`, which modules that other tests leave can cause.
FILES = component_package.files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_generated_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path], "make package"


def test_the_analyzer_accepts_every_component() -> None:
    found = Analyzer(NAME).analyze([*COMPONENTS, Service])["component_definitions"]
    assert set(found) == {component.__name__ for component in (*COMPONENTS, Service)}


def test_every_input_output_and_field_has_a_description() -> None:
    assert [(token, name) for token, name, found in described() if not found.get("description")] == []


def test_tokens_have_no_application_s_name_and_each_component_has_its_own() -> None:
    sources = {
        component: Path(sys.modules[component.__module__].__file__ or "").read_text() for component in COMPONENTS
    }
    for component, source in sources.items():
        assert f'super().__init__("ecs-secrets:index:{component.__name__}", name, None, opts)' in source
    assert set(SCHEMA["resources"]) == {f"ecs-secrets:index:{component.__name__}" for component in COMPONENTS}


def test_the_changelog_has_the_version() -> None:
    text = (REPOSITORY / "components" / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {package.VERSION}\n" in text


def test_a_component_reads_no_configuration() -> None:
    """A component knows what it is given."""
    sources = {path: path.read_text() for path in (REPOSITORY / "components").rglob("*.py")}
    read = re.compile(r"^(from|import) (config|catalogue)\b|pulumi\.Config\(|runtime\.config", re.MULTILINE)
    assert {path.name for path, source in sources.items() if read.search(source)} == set()


def test_the_operator_s_tools_load_no_pulumi() -> None:
    code = "import sys, ops.cli; print([name for name in sys.modules if name.split('.')[0].startswith('pulumi')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_components_changes_nothing_around_them() -> None:
    """What patches the SDK or takes signals is called by an entry point."""
    code = """
import signal, sys
from pulumi.runtime import stack
before = stack.wait_for_rpcs, signal.getsignal(signal.SIGINT)
import components.package
assert (stack.wait_for_rpcs, signal.getsignal(signal.SIGINT)) == before
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_a_process_that_loads_the_program_again_patches_the_sdk_once() -> None:
    code = """
import importlib
from pulumi.runtime import stack
from components import hooks
hooks.let_hooks_end()
patched = stack.wait_for_rpcs
importlib.reload(hooks).let_hooks_end()
assert stack.wait_for_rpcs is patched
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_the_package_is_complete_in_a_folder_of_another_name(tmp_path: Path) -> None:
    """Pulumi fetches the folder alone and runs it from where it has put it."""
    folder = tmp_path / "resource-1.2.3"
    shutil.copytree(REPOSITORY / "components", folder, ignore=shutil.ignore_patterns("__pycache__"))
    run = [sys.executable, str(folder), "--help"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "Pulumi provider plugin" in done.stdout) == (0, True), done.stderr


def test_a_pulumi_that_is_too_old_is_refused_by_the_project_and_by_the_program(record: Recorder) -> None:
    project = yaml.safe_load((REPOSITORY / "Pulumi.yaml").read_text(encoding="utf-8"))
    assert project["requiredPulumiVersion"] == PULUMI_VERSIONS
    assert record(lambda: pulumi.require_pulumi_version(PULUMI_VERSIONS)).required_pulumi == PULUMI_VERSIONS
    assert "pulumi.require_pulumi_version(PULUMI_VERSIONS)" in (REPOSITORY / "__main__.py").read_text(encoding="utf-8")


def test_a_foreign_program_of_25_lines_uses_the_library(record: Recorder) -> None:
    program = REPOSITORY / "examples" / "library" / "__main__.py"
    assert len(program.read_text(encoding="utf-8").splitlines()) <= 25
    recording = record(lambda: runpy.run_path(str(program), run_name="__main__"), project="orders")
    arn = recording.exports["secretArn"]
    task = recording.one("aws:ecs/taskDefinition:TaskDefinition")
    web, proxy = task.document("containerDefinitions")
    assert web["secrets"] == [{"name": "DB_PASSWORD", "valueFrom": f"{arn}:password::"}]
    assert "secrets" not in proxy
    assert task.inputs["executionRoleArn"].endswith(":role/orders-dev-orders-execution")
    read, _ = recording.one("aws:iam/rolePolicy:RolePolicy").document("policy")["Statement"]
    assert (read["Action"], read["Resource"]) == (["secretsmanager:GetSecretValue"], [arn])
    value = recording.one("aws:secretsmanager/secretVersion:SecretVersion").inputs["secretString"]
    assert isinstance(value, Secret)


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports point down the rooms, those for types among them."""
    graph = grimp.build_graph("components", "config", "account", "ops", "sandbox", cache_dir=None)
    below = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    circles: set[str] = set()
    for module, direct in below.items():
        seen, left = set[str](), list(direct)
        while left:
            if (one := left.pop()) not in seen:
                seen.add(one)
                left += below.get(one, ())
        circles |= {module} & seen
    assert circles == set()
