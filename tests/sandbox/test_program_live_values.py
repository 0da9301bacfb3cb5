"""Values change hands: what works today works after every command, or the command refuses before it changes anything.

Each test is a sequence on the real engine: before, a change, back again. `refused` compares all of AWS before and after.
"""

import contextlib
import json
import re
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest

from tests.sandbox.stack_options import given, refused, values
from tests.sandbox.test_values_kept import Stack

Make = Callable[..., Any]


@contextlib.contextmanager
def catalogue_with(copy: Any, entry: str = "") -> Generator[None]:
    """Put another entry, or none, in the place of jwt-secret's, whose value the configuration then no longer knows."""
    catalogue, project = copy.directory / "catalogue.py", copy.directory / "Pulumi.yaml"
    texts = {path: path.read_text(encoding="utf-8") for path in (catalogue, project)}
    old = next(line for line in texts[catalogue].splitlines() if '"jwt-secret"' in line)
    text = texts[catalogue].replace(old, entry).replace("    Constant,\n", "    Constant,\n    External,\n")
    catalogue.write_text(text, encoding="utf-8")
    declared = re.sub(r"  jwtSecret:\n(    .*\n)+", "", texts[project])
    project.write_text(declared, encoding="utf-8")
    yield
    for path, before in texts.items():
        path.write_text(before, encoding="utf-8")


def test_a_value_changed_by_hand_is_kept_or_taken_over_or_dropped_on_purpose(sandbox: Any, project_copy: Make) -> None:
    stack = Stack(sandbox, project_copy())
    stack.up()
    before = stack.app()
    stack.put("app-config", json.dumps({**before, "SMTP_PASSWORD": "changed-by-an-operator"}))
    stack.numbers["apiKey"] = 2
    said = stack.refused()
    assert any("at SMTP_PASSWORD, version" in line for line in said)
    assert not any("API_KEY" in line for line in said)

    # Kept by the command that the refusal prints.
    (command,) = (line for line in said if " ops keep " in line)
    assert command.strip() == f"python -m ops keep app-config --key SMTP_PASSWORD --stack {stack.copy.stack}"
    stack.paste([command])
    stack.up()
    after = stack.app()
    assert after["SMTP_PASSWORD"] == "changed-by-an-operator"
    assert after["API_KEY"] != before["API_KEY"]

    # Dropped by the command that the refusal prints.
    stack.put("app-config", json.dumps({**after, "WEBHOOK_SECRET": "changed-by-an-operator-2"}))
    stack.numbers["apiKey"] = 3
    stack.paste(stack.refused(), last=1)
    assert stack.app() == after
    stack.up()
    assert stack.app()["WEBHOOK_SECRET"] == after["WEBHOOK_SECRET"]


@pytest.mark.slow
def test_a_json_key_moves_in_steps_that_keep_every_revision_alive(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    live = json.loads(values(sandbox, copy)["app-config"])["REDIS_PASSWORD"]
    path = copy.directory / "catalogue.py"
    text = path.read_text(encoding="utf-8")
    key = '            "REDIS_PASSWORD": Generated("redisPassword", accepted_by=REDIS),\n'
    cache = f'    JsonSecret(\n        "cache",\n        {{\n{key}        }},\n        variables={{"REDIS_PASSWORD"}},\n    ),\n'

    def moved(*, also_here: bool) -> str:
        rest = text.replace('variables={"REDIS_PASSWORD", ', "variables={")
        rest = rest if also_here else rest.replace(key, "")
        return rest.replace("    JsonSecret(\n", f"{cache}    JsonSecret(\n", 1)

    path.write_text(moved(also_here=False), encoding="utf-8")
    assert "app-config key REDIS_PASSWORD: leaves the JSON" in refused(sandbox, copy)
    path.write_text(moved(also_here=True), encoding="utf-8")
    sandbox.ok("up", *copy.options)
    now = values(sandbox, copy)
    assert {json.loads(now[name])["REDIS_PASSWORD"] for name in ("app-config", "cache")} == {live}
    path.write_text(moved(also_here=False), encoding="utf-8")
    sandbox.ok("up", *copy.options)
    now = values(sandbox, copy)
    assert "REDIS_PASSWORD" not in json.loads(now["app-config"])
    assert json.loads(now["cache"]) == {"REDIS_PASSWORD": live}


@pytest.mark.slow
def test_the_value_before_goes_in_steps_that_keep_every_revision_alive(sandbox: Any, project_copy: Make) -> None:
    copy, second = project_copy(), given(rotations={"encryptionKey": 2})
    path = copy.directory / "catalogue.py"
    kept = path.read_text(encoding="utf-8").replace('variables={"REDIS', 'variables={"ENCRYPTION_KEY", "REDIS')
    path.write_text(kept, encoding="utf-8")
    sandbox.ok("up", *copy.options)
    sandbox.ok("up", *copy.options, *second)
    live = json.loads(values(sandbox, copy)["app-config"])
    name = "ENCRYPTION_KEY_PREVIOUS"

    def now() -> tuple[bool, dict[str, str]]:
        variables = sandbox.ok("outputs", *copy.options)["services"]["app"]["container_secrets"]
        return name in variables, json.loads(values(sandbox, copy)["app-config"])

    assert now() == (True, live)
    path.write_text(kept.replace("length=32, keeps_previous=True", "length=32"), encoding="utf-8")
    assert f"app-config key {name}: leaves the JSON" in refused(sandbox, copy, *second)
    path.write_text(kept.replace("length=32, keeps_previous=True", "length=32, keeps_previous=False"), encoding="utf-8")
    sandbox.ok("up", *copy.options, *second)
    assert now() == (False, live)
    # And back, with the value that was live.
    path.write_text(kept, encoding="utf-8")
    sandbox.ok("up", *copy.options, *second)
    assert now() == (True, live)
    path.write_text(kept.replace("length=32, keeps_previous=True", "length=32, keeps_previous=False"), encoding="utf-8")
    sandbox.ok("up", *copy.options, *second)
    path.write_text(kept.replace("length=32, keeps_previous=True", "length=32"), encoding="utf-8")
    sandbox.ok("up", *copy.options, *second)
    assert now() == (False, {key: value for key, value in live.items() if key != name})


@pytest.mark.slow
def test_an_adopted_secret_is_never_deleted_here(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("preview", *copy.options)  # starts the local AWS
    client = sandbox.aws("secretsmanager", copy)
    made = client.create_secret(Name="terraform/jwt", SecretString="made-by-terraform")
    adopt = given(adopt={"jwt-secret": made["ARN"]})
    sandbox.ok("up", *copy.options, *adopt)
    sandbox.ok("destroy", *copy.options, *adopt)
    assert [s["ARN"] for s in client.list_secrets(IncludePlannedDeletion=True)["SecretList"]] == [made["ARN"]]
    assert client.get_secret_value(SecretId=made["ARN"])["SecretString"] == "made-by-terraform"
    sandbox.ok("up", *copy.options, *adopt)

    assert "Set adopt.jwt-secret again" in refused(sandbox, copy)
    other = client.create_secret(Name="terraform/other", SecretString="made-by-terraform-too")
    assert "now names another secret" in refused(sandbox, copy, *given(adopt={"jwt-secret": other["ARN"]}))
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options, *adopt)["changes"] == []

    # An entry that leaves takes nothing along; declared again, it gets a secret of the stack's own.
    with catalogue_with(copy):
        sandbox.ok("up", *copy.options)
    assert client.get_secret_value(SecretId=made["ARN"])["SecretString"] == "made-by-terraform"
    own = sandbox.ok("up", *copy.options)["outputs"]["secret_arns"]["jwt-secret"]
    assert own != made["ARN"]
    assert "would delete" in refused(sandbox, copy, *adopt)
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options)["changes"] == []

    sandbox.ok("destroy", *copy.options)
    assert client.get_secret_value(SecretId=made["ARN"])["SecretString"] == "made-by-terraform"


def test_an_entry_leaves_with_a_recovery_window_and_its_name_is_not_taken_twice(
    sandbox: Any, project_copy: Make
) -> None:
    """Neither while it can be restored, nor when somebody has given the name to a secret created by hand."""
    copy, window = project_copy(), given(recoveryWindowInDays="7")
    sandbox.ok("up", *copy.options)
    with catalogue_with(copy):  # the state's window counts
        assert "jwt-secret: removed from catalogue.py" in refused(sandbox, copy, *window)
    sandbox.ok("up", *copy.options, *window)
    with catalogue_with(copy):
        sandbox.ok("up", *copy.options, *window)
    client, full_name = sandbox.aws("secretsmanager", copy), f"{copy.name}-{copy.stack}-jwt-secret"
    assert "DeletedDate" in client.describe_secret(SecretId=full_name)

    command = f"\n  python -m ops recover --stack {copy.stack}"
    said = refused(sandbox, copy, *window)
    assert f"jwt-secret: AWS has {full_name} already" in said
    assert command in said
    client.delete_secret(SecretId=full_name, ForceDeleteWithoutRecovery=True)
    client.create_secret(Name=full_name, SecretString="made-by-hand")
    assert command in refused(sandbox, copy, *window)


@pytest.mark.slow
@pytest.mark.parametrize("operators", [True, False], ids=["put-by-an-operator", "never-put"])
def test_a_value_that_others_put_and_that_turns_generated_again_is_kept(
    sandbox: Any,
    project_copy: Make,
    operators: bool,  # noqa: FBT001 - the test's one fact
) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    generated = values(sandbox, copy)["jwt-secret"]
    with catalogue_with(copy, '    TextSecret("jwt-secret", External(), variable="JWT_SECRET"),'):
        sandbox.ok("up", *copy.options)
        assert values(sandbox, copy)["jwt-secret"] == generated
    if operators:
        Stack(sandbox, copy).put("jwt-secret", "put-by-an-operator-1234")
    live = values(sandbox, copy)["jwt-secret"]
    assert "ops keep jwt-secret" in refused(sandbox, copy)
    sandbox.ok("up", *copy.options, "-c", f"secret:jwtSecret={live}")
    assert values(sandbox, copy)["jwt-secret"] == live


def _renamed(sandbox: Any, copy: Any, *, project: str, stack: str) -> Any:
    """Rename as Pulumi's documentation has it: `pulumi stack rename`, then the project file and the keys of the stack's file."""
    sandbox.pulumi(copy, "stack", "rename", f"organization/{project}/{stack}", "--stack", copy.stack)
    if project != copy.name:
        for path in (copy.directory / "Pulumi.yaml", copy.directory / f"Pulumi.{stack}.yaml"):
            text = path.read_text(encoding="utf-8")
            path.write_text(
                text.replace(f"name: {copy.name}\n", f"name: {project}\n").replace(f"{copy.name}:", f"{project}:")
            )
    return replace(copy, name=project, stack=stack)


@pytest.mark.slow
@pytest.mark.parametrize(("project", "stack"), [("service-ticket-system", "renamed"), ("tickets", "dev2")])
def test_a_renamed_stack_or_project_makes_no_second_secret_beside_a_live_one(
    sandbox: Any, project_copy: Make, project: str, stack: str
) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    live, stack = values(sandbox, copy), f"{stack}{copy.account[:6]}"
    renamed = _renamed(sandbox, copy, project=project, stack=stack)
    said = refused(sandbox, renamed)
    for name in live:
        old, new = (f"{c.name}-{c.stack}-{name}" for c in (copy, renamed))
        assert f"{name}: is called {old}, and a secret can't be renamed to {new}" in said
    assert "(`pulumi stack rename`) their old names back" in said

    back = _renamed(sandbox, renamed, project=copy.name, stack=copy.stack)
    assert sandbox.ok("preview", "--expect-no-changes", *back.options)["changes"] == []
    assert values(sandbox, back) == live


@pytest.mark.slow
def test_the_last_replica_is_told_with_the_command_that_removes_it(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options, *given(replicaRegions=["eu-west-1"]))
    told = sandbox.quick("preview", *copy.options)
    assert told.status == 0
    command = "aws secretsmanager remove-regions-from-replication --secret-id arn:aws:secretsmanager:"
    assert told.err.count(command) == 3
    assert "--remove-replica-regions eu-west-1" in told.err


@pytest.mark.slow
def test_more_secrets_than_the_engine_and_the_sdk_have_workers_come_up(sandbox: Any, project_copy: Make) -> None:
    """Each secret's hook asks AWS, while all the others wait to be made."""
    copy = project_copy()
    entries = "\n".join(
        f'    TextSecret("extra-{i}", Generated("extra{i}", length=20), variable="EXTRA_{i}"),' for i in range(40)
    )
    with catalogue_with(copy, entries):
        assert len(sandbox.ok("up", *copy.options)["outputs"]["secret_arns"]) == 42
        assert sandbox.ok("preview", "--expect-no-changes", *copy.options)["changes"] == []


FAILS_WHILE_A_HOOK_WORKS = """

import asyncio
import pulumi_random

async def slow(_step):
    await asyncio.sleep(2)

async def fails():
    await asyncio.sleep(0.5)
    raise pulumi.RunError("what the user must see")

seen = pulumi.ResourceHookOptions(on_dry_run=True)
hooks = pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook("slow", slow, seen)])
pulumi_random.RandomPassword("slow", length=20, opts=pulumi.ResourceOptions(hooks=hooks))
pulumi.export("failed", pulumi.Output.from_input(fails()))
"""


@pytest.mark.parametrize("command", ["preview", pytest.param("up", marks=pytest.mark.slow)])
def test_what_the_program_says_is_told_while_a_hook_works(sandbox: Any, project_copy: Make, command: str) -> None:
    copy = project_copy()
    program = copy.directory / "__main__.py"
    program.write_text(program.read_text() + FAILS_WHILE_A_HOOK_WORKS)
    ended = sandbox.quick(command, *copy.options)
    assert ended.status == 1
    assert ended.err.rstrip().endswith("what the user must see")
    assert "rpc error" not in ended.err
