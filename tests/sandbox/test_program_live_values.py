"""Values change hands: what works today works after every command, or the command refuses before it changes anything.

Each test is a sequence on the real engine: before, a change, back again. `refused` compares all of AWS before and after.
"""

import contextlib
import json
import re
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.sandbox.account import everything
from tests.sandbox.stack_options import SINGLE_USER, given, values

Make = Callable[..., Any]


def refused(sandbox: Any, copy: Any, *options: str) -> str:
    """What `up` says when it refuses; nothing in AWS has changed, and no live value is in what it says."""
    before, live = everything(partial(sandbox.aws, copy=copy)), values(sandbox, copy)
    result = sandbox.quick("up", *copy.options, *options)
    assert result.status == 1, result.err
    assert everything(partial(sandbox.aws, copy=copy)) == before
    assert "Nothing was changed" in result.err
    assert "Traceback" not in result.err
    texts = [part for value in live.values() for part in _texts(value)]
    assert [text for text in texts if text in result.err + result.out] == []
    return result.err


def _texts(value: str) -> list[str]:
    try:
        return list(json.loads(value).values())
    except ValueError:
        return [value]


def put(sandbox: Any, copy: Any, name: str, value: str) -> None:
    """Put a value by hand, as a rotation function or an operator does."""
    full = sandbox.ok("outputs", *copy.options)["secrets"][name]["full_name"]
    sandbox.aws("secretsmanager", copy).put_secret_value(SecretId=full, SecretString=value)


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


def test_a_number_raised_while_a_function_rotates_the_value_is_refused(sandbox: Any, project_copy: Make) -> None:
    copy, rotating = project_copy(), given(rotation=SINGLE_USER)
    sandbox.ok("up", *copy.options, *rotating)
    put(sandbox, copy, "db-master-password", "rotated-by-the-function-1")

    raised = given(rotations={"dbMasterPassword": 2})
    assert "python -m ops rotate" in refused(sandbox, copy, *rotating, *raised)
    # Off at the same time: the database checks the value, too, so a new one has to get there as well.
    assert f"python -m ops rotate db-master-password --stack {copy.stack}" in refused(sandbox, copy, *raised)

    sandbox.ok("up", *copy.options)
    assert values(sandbox, copy)["db-master-password"] == "rotated-by-the-function-1"
    sandbox.ok("up", *copy.options, *rotating)
    assert values(sandbox, copy)["db-master-password"] == "rotated-by-the-function-1"


def test_a_stack_that_rotates_from_the_start_never_gets_the_value_before_as_the_current_one(
    sandbox: Any, project_copy: Make
) -> None:
    copy, second = project_copy(), given(rotation=SINGLE_USER, rotations={"dbMasterPassword": 2})
    sandbox.ok("up", *copy.options, *second)
    seeded = values(sandbox, copy)["db-master-password"]
    put(sandbox, copy, "db-master-password", "rotated-by-the-function-1")
    sandbox.ok("refresh", *copy.options, *second)
    assert sandbox.ok("up", *copy.options, *second)["changes"] == []
    assert values(sandbox, copy)["db-master-password"] == "rotated-by-the-function-1" != seeded


def test_a_value_changed_by_hand_is_kept_or_taken_over_or_dropped_on_purpose(sandbox: Any, project_copy: Make) -> None:
    copy, more = project_copy(), given(rotations={"apiKey": 2})
    sandbox.ok("up", *copy.options)
    before = json.loads(values(sandbox, copy)["app-config"])
    put(sandbox, copy, "app-config", json.dumps({**before, "SMTP_PASSWORD": "changed-by-an-operator"}))

    said = refused(sandbox, copy, *more)
    assert "at SMTP_PASSWORD, version" in said
    assert "API_KEY" not in said
    assert "at SMTP_PASSWORD" in refused(sandbox, copy, *more, "-c", "secret:smtpPassword=yet-another-password")

    # Kept by the command that the refusal prints.
    outputs = copy.directory / "outputs.json"
    outputs.write_text(json.dumps(sandbox.ok("outputs", *copy.options)), encoding="utf-8")
    (command,) = (line.split() for line in said.splitlines() if " ops keep " in line)
    assert command == ["python", *f"-m ops keep app-config --key SMTP_PASSWORD --stack {copy.stack}".split()]
    done = sandbox.ops(copy, *command[3:], "--outputs", str(outputs))
    assert (done.status, done.out) == (0, ""), done.err
    sandbox.ok("up", *copy.options, *more)
    after = json.loads(values(sandbox, copy)["app-config"])
    assert after["SMTP_PASSWORD"] == "changed-by-an-operator"
    assert after["API_KEY"] != before["API_KEY"]
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options, *more)["changes"] == []

    # Dropped by the command that the refusal prints.
    put(sandbox, copy, "app-config", json.dumps({**after, "WEBHOOK_SECRET": "changed-by-an-operator-2"}))
    third = given(rotations={"apiKey": 3})
    command = refused(sandbox, copy, *third).splitlines()[-1].split()
    options = dict(zip(command[3::2], command[4::2], strict=True))
    sandbox.aws("secretsmanager", copy).update_secret_version_stage(
        SecretId=options["--secret-id"],
        VersionStage=options["--version-stage"],
        MoveToVersionId=options["--move-to-version-id"],
        RemoveFromVersionId=options["--remove-from-version-id"],
    )
    assert json.loads(values(sandbox, copy)["app-config"]) == after
    sandbox.ok("up", *copy.options, *third)
    assert json.loads(values(sandbox, copy)["app-config"])["WEBHOOK_SECRET"] == after["WEBHOOK_SECRET"]


def test_no_change_of_configuration_puts_an_older_value_back(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    second = given(rotations={"apiKey": 2, "encryptionKey": 2, "jwtSecret": 2})
    sandbox.ok("up", *copy.options, *second)
    live = values(sandbox, copy)

    assert "rotations.jwtSecret is 2 and can only become 3, not 1" in refused(sandbox, copy)
    assert "not 4" in refused(sandbox, copy, *given(rotations={"apiKey": 4, "encryptionKey": 2, "jwtSecret": 2}))
    assert values(sandbox, copy) == live

    configured = ("-c", "secret:jwtSecret=a-configured-jwt-secret-1")
    fewer = given(rotations={"apiKey": 2, "encryptionKey": 2})
    assert "rotations.jwtSecret is 2" in refused(sandbox, copy, *fewer, *configured)
    third = given(rotations={"apiKey": 2, "encryptionKey": 2, "jwtSecret": 3})
    sandbox.ok("up", *copy.options, *third, *configured)
    assert "jwtSecret was set and is no longer" in refused(sandbox, copy, *third)
    fourth = given(rotations={"apiKey": 2, "encryptionKey": 2, "jwtSecret": 4})
    sandbox.ok("up", *copy.options, *fourth)
    assert values(sandbox, copy)["jwt-secret"] not in {live["jwt-secret"], configured[1].partition("=")[2]}


def test_the_value_before_is_offered_wherever_it_came_from(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)

    def document() -> dict[str, str]:
        return json.loads(values(sandbox, copy)["app-config"])

    def configured(value: str) -> tuple[str, str]:
        return "-c", f"secret:encryptionKey={value}"

    first, second = configured("a-configured-key-of-32-bytes-001"), configured("a-configured-key-of-32-bytes-002")
    generated = document()["ENCRYPTION_KEY"]
    assert "rotations.encryptionKey=2" in refused(sandbox, copy, *first)
    sandbox.ok("up", *copy.options, *configured(generated))  # taken over as it is: nothing follows it
    sandbox.ok("up", *copy.options, *first, *given(rotations={"encryptionKey": 2}))
    assert document()["ENCRYPTION_KEY_PREVIOUS"] == generated
    assert "rotations.encryptionKey=3" in refused(sandbox, copy, *second, *given(rotations={"encryptionKey": 2}))
    sandbox.ok("up", *copy.options, *second, *given(rotations={"encryptionKey": 3}))
    assert document()["ENCRYPTION_KEY_PREVIOUS"] == first[1].partition("=")[2]
    sandbox.ok("up", *copy.options, *given(rotations={"encryptionKey": 4}))
    assert document()["ENCRYPTION_KEY_PREVIOUS"] == second[1].partition("=")[2]
    assert document()["ENCRYPTION_KEY"] != generated
    state = sandbox.checkpoint_path(copy).read_text(encoding="utf-8")
    assert [value for value in (generated, *document().values()) if value in state] == []


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


def test_an_adopted_secret_is_never_deleted_here(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("preview", *copy.options)  # starts the local AWS
    client = sandbox.aws("secretsmanager", copy)
    made = client.create_secret(Name="terraform/jwt", SecretString="made-by-terraform")
    adopt = given(adopt={"jwt-secret": made["ARN"]})
    sandbox.ok("up", *copy.options, *adopt)

    assert "Set adopt.jwt-secret again" in refused(sandbox, copy)
    other = client.create_secret(Name="terraform/other", SecretString="made-by-terraform-too")
    assert "now names another secret" in refused(sandbox, copy, *given(adopt={"jwt-secret": other["ARN"]}))

    # An entry that leaves takes nothing along; declared again, it gets a secret of the stack's own.
    with catalogue_with(copy):
        sandbox.ok("up", *copy.options)
    assert client.get_secret_value(SecretId=made["ARN"])["SecretString"] == "made-by-terraform"
    own = sandbox.ok("up", *copy.options)["outputs"]["secret_arns"]["jwt-secret"]
    assert own != made["ARN"]
    assert "would delete" in refused(sandbox, copy, *adopt)

    sandbox.ok("destroy", *copy.options)
    assert client.get_secret_value(SecretId=made["ARN"])["SecretString"] == "made-by-terraform"


def test_destroy_leaves_an_adopted_secret_as_it_was(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("preview", *copy.options)
    client = sandbox.aws("secretsmanager", copy)
    made = client.create_secret(Name="terraform/jwt", SecretString="made-by-terraform")
    adopt = given(adopt={"jwt-secret": made["ARN"]})
    sandbox.ok("up", *copy.options, *adopt)
    sandbox.ok("destroy", *copy.options, *adopt)
    assert [s["ARN"] for s in client.list_secrets(IncludePlannedDeletion=True)["SecretList"]] == [made["ARN"]]
    assert client.get_secret_value(SecretId=made["ARN"])["SecretString"] == "made-by-terraform"


def test_an_entry_leaves_with_a_recovery_window_only(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    arn = sandbox.ok("up", *copy.options)["outputs"]["secret_arns"]["jwt-secret"]
    window = given(recoveryWindowInDays="7")
    with catalogue_with(copy):
        for options in ((), window):  # the state's window counts
            assert "jwt-secret: removed from catalogue.py" in refused(sandbox, copy, *options)
    sandbox.ok("up", *copy.options, *window)
    with catalogue_with(copy):
        sandbox.ok("up", *copy.options, *window)
    assert "DeletedDate" in sandbox.aws("secretsmanager", copy).describe_secret(SecretId=arn)


def test_a_name_that_aws_has_already_is_refused_with_the_command_that_imports_it(
    sandbox: Any, project_copy: Make
) -> None:
    """An entry that comes back within its recovery window, and one whose name somebody gave a secret by hand."""
    copy, window = project_copy(), given(recoveryWindowInDays="7")
    sandbox.ok("up", *copy.options, *window)
    with catalogue_with(copy):
        sandbox.ok("up", *copy.options, *window)
    command = f"\n  python -m ops recover --stack {copy.stack}"
    said = refused(sandbox, copy, *window)
    assert f"jwt-secret: AWS has {copy.name}-{copy.stack}-jwt-secret already" in said
    assert command in said
    assert sandbox.quick("preview", *copy.options, *window).status == 1

    client, full_name = sandbox.aws("secretsmanager", copy), f"{copy.name}-{copy.stack}-jwt-secret"
    client.delete_secret(SecretId=full_name, ForceDeleteWithoutRecovery=True)
    client.create_secret(Name=full_name, SecretString="made-by-hand")
    assert command in refused(sandbox, copy, *window)


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
        put(sandbox, copy, "jwt-secret", "put-by-an-operator-1234")
    live = values(sandbox, copy)["jwt-secret"]
    assert "ops keep jwt-secret" in refused(sandbox, copy)
    sandbox.ok("up", *copy.options, "-c", f"secret:jwtSecret={live}")
    assert values(sandbox, copy)["jwt-secret"] == live


def test_a_renamed_configuration_key_is_refused(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    path = copy.directory / "catalogue.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"apiKey"', '"newApiKey"'), encoding="utf-8")
    project = copy.directory / "Pulumi.yaml"
    declared = project.read_text(encoding="utf-8")
    project.write_text(declared.replace("apiKey:", "newApiKey:"), encoding="utf-8")
    assert "is now generated for newApiKey" in refused(sandbox, copy)


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


def test_the_last_replica_is_told_with_the_command_that_removes_it(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options, *given(replicaRegions=["eu-west-1"]))
    told = sandbox.quick("preview", *copy.options)
    assert told.status == 0
    command = "aws secretsmanager remove-regions-from-replication --secret-id arn:aws:secretsmanager:"
    assert told.err.count(command) == 3
    assert "--remove-replica-regions eu-west-1" in told.err


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


@pytest.mark.parametrize("command", ["preview", "up"])
def test_what_the_program_says_is_told_while_a_hook_works(sandbox: Any, project_copy: Make, command: str) -> None:
    copy = project_copy()
    program = copy.directory / "__main__.py"
    program.write_text(program.read_text() + FAILS_WHILE_A_HOOK_WORKS)
    ended = sandbox.quick(command, *copy.options)
    assert ended.status == 1
    assert ended.err.rstrip().endswith("what the user must see")
    assert "rpc error" not in ended.err
