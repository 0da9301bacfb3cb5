"""What the tools know of an application: its printed plan. A program that prints none has its outputs alone."""

import json
from pathlib import Path

import pytest

from components.names import Names
from config.declarations import Application, Generated, Service, TextSecret
from config.plan import plan
from ops._errors import MisuseError
from ops._plan import NoPlanError, parse, read_plan
from tests.conftest import TICKETS
from tests.ops.conftest import Deployed, Ops

ARN = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:legacy/jwt-a1B2c3"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Another program: a Pulumi project without a catalogue."""
    (tmp_path / "Pulumi.yaml").write_text("name: another\nruntime: yaml\n", encoding="utf-8")
    return tmp_path


def test_a_stack_without_a_file_has_what_its_name_says() -> None:
    found = read_plan("every-kind", TICKETS)
    assert found.prefix == "service-ticket-system-every-kind"
    assert found.secrets["partner-key"].parts[""].kind == "external"
    assert {"DB_PASSWORD", "DB_USER"} <= found.secret_variables


def test_a_stack_that_must_have_a_file_is_named_with_it() -> None:
    with pytest.raises(MisuseError, match=r"Pulumi\.nowhere\.yaml can't be read"):
        read_plan("nowhere", TICKETS, configured=True)


def test_an_adopted_secret_is_live_under_its_own_name() -> None:
    application = Application(
        (Service("app"),), (TextSecret("jwt", Generated("jwt")), TextSecret("key", Generated("key")))
    )
    found = parse(plan(application, Names("p", "dev"), {"p:adopt": {"jwt": ARN}})).secrets
    assert {name: secret.live_name for name, secret in found.items()} == {"jwt": "legacy/jwt", "key": "p-dev-key"}


@pytest.mark.parametrize(
    ("file", "content", "kind", "message"),
    [
        ("README.md", "", NoPlanError, "there is no catalogue.py here"),
        (
            "catalogue.py",
            "import nothing_of_the_kind",
            MisuseError,
            r"catalogue\.py can't be read: ModuleNotFoundError",
        ),
        ("config/plan.py", "print('{\"schema\": 2}')", MisuseError, "schema 2, these tools read 1"),
    ],
)
def test_a_program_that_prints_no_plan(
    program: Path, file: str, content: str, kind: type[Exception], message: str
) -> None:
    (program / file).parent.mkdir(exist_ok=True)
    (program / file).with_name("__init__.py").touch()
    (program / file).write_text(content, encoding="utf-8")
    with pytest.raises(MisuseError, match=message) as raised:
        read_plan("dev", program)
    assert type(raised.value) is kind


@pytest.mark.parametrize("command", [("list",), ("describe", "jwt-secret"), ("access",), ("doctor", "--no-values")])
def test_a_stack_that_another_program_exports_is_served(
    stack: Deployed, ops: Ops, program: Path, command: tuple[str, ...]
) -> None:
    here, there = (ops(stack, *command, "--json", folder=folder) for folder in (TICKETS, program))
    assert (there.status, there.json.keys()) == (here.status, here.json.keys()), there.err


def test_a_backup_of_another_programs_stack_is_restored(stack: Deployed, ops: Ops, program: Path) -> None:
    key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    file, options = str(program / "backup"), ("--kms-key", key)
    assert ops(stack, "backup", "--to", file, *options, folder=program).status == 0
    value = stack.values["jwt-secret"]
    stack.put("jwt-secret", "another")
    done = ops(stack, "restore", file, *options, "--yes", folder=program)
    assert done.status == 0, done.err
    assert stack.current("jwt-secret") == value
    stack.write_outputs(secret_arns={n: a for n, a in stack.outputs["secret_arns"].items() if n != "app-config"})
    refused = ops(stack, "restore", file, *options, "--yes", folder=program)
    assert refused.status == 2
    assert "app-config" in refused.err


def test_a_migration_without_a_plan_is_refused(ops: Ops, program: Path) -> None:
    file = program / "task.json"
    file.write_text(json.dumps({"family": "old", "containerDefinitions": [{"name": "a", "image": "a:1"}]}))
    done = ops(None, "migrate", "scan", str(file), "--to", str(program / "plan"), folder=program)
    assert done.status == 2
    assert "there is no catalogue.py here" in done.err
