"""`ops recover`: whatever happened to a stack, it comes back with its values, ARNs and names, by Pulumi's own commands."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.sandbox.account import everything
from tests.sandbox.stack_options import ALTERNATING, given, refused, with_application_user

pytestmark = pytest.mark.slow

Make = Callable[..., Any]


def recover(sandbox: Any, copy: Any, *arguments: str) -> Any:
    done = sandbox.ops(copy, "recover", "--stack", copy.stack, "--yes", *arguments)
    assert done.status == 0, done.err
    return done


def keeps_and_recovers(sandbox: Any, copy: Any) -> str:
    """`recover` refuses, and passes after the one `ops keep` that it prints; returns what it said."""
    refused = sandbox.ops(copy, "recover", "--stack", copy.stack, "--yes")
    assert refused.status != 0
    (command,) = (line.split() for line in refused.err.splitlines() if " ops keep " in line)
    kept = sandbox.ops(copy, *command[3:])
    assert kept.status == 0, kept.err
    recover(sandbox, copy)
    return refused.err


def pulumi(sandbox: Any, copy: Any, *arguments: str) -> None:
    assert sandbox.quick("pulumi", *copy.options, "--", *arguments).status == 0


def live(sandbox: Any, copy: Any) -> dict[str, tuple[str, str]]:
    """ARN and live value of every secret."""
    client = sandbox.aws("secretsmanager", copy)
    return {
        s["Name"]: (s["ARN"], client.get_secret_value(SecretId=s["ARN"])["SecretString"])
        for s in client.list_secrets(MaxResults=100)["SecretList"]
    }


def in_the_clear(sandbox: Any, found: dict[str, tuple[str, str]], *texts: str) -> set[str]:
    """Files of the sandbox, and texts, that hold a value."""
    values: set[str] = set()
    for _, text in found.values():
        try:
            values |= {value for key, value in json.loads(text).items() if key != "username"}
        except ValueError:
            values.add(text)
    places = {path: content for path, content in sandbox.files().items() if not path.endswith("moto.json")}
    places |= {f"text {number}": text.encode() for number, text in enumerate(texts)}
    return {path for path, content in places.items() if any(value.encode() in content for value in values)}


def is_whole(sandbox: Any, copy: Any, *options: str) -> None:
    """Nothing is left to do, by the program as by `recover`."""
    sandbox.stays(copy, *options)
    assert "there is nothing to do" in recover(sandbox, copy, *options).err
    protected = {"aws:secretsmanager/secret:Secret", "random:index/randomPassword:RandomPassword", "aws:kms/key:Key"}
    assert {r["type"] for r in sandbox.checkpoint(copy).resources if r.get("protect")} <= protected, "the import's own"


def test_a_lost_state_comes_back_with_everything_that_has_a_name(sandbox: Any, project_copy: Make) -> None:
    copy = with_application_user(project_copy("prod"))
    outputs = sandbox.ok("up", *copy.options)["outputs"]
    before, account = live(sandbox, copy), everything(partial(sandbox.aws, copy=copy))
    pulumi(sandbox, copy, "stack", "rm", "--force", "--preserve-config", "--yes")

    done = recover(sandbox, copy)

    assert live(sandbox, copy) == before
    assert sandbox.ok("outputs", *copy.options) == outputs
    after = everything(partial(sandbox.aws, copy=copy))
    assert {kind for kind in account if after[kind] != account[kind]} <= {"secrets"}, "but for the versions' labels"
    is_whole(sandbox, copy)
    assert in_the_clear(sandbox, before, done.out, done.err) == set()


def test_a_destroyed_stack_comes_back_with_its_key_and_the_values_before(sandbox: Any, project_copy: Make) -> None:
    copy, options = project_copy(), given(encryption="customer-managed", recoveryWindowInDays="30")
    copy.add_config("service-ticket-system:rotations:\n  jwtSecret: 2\n  encryptionKey: 2\n")
    outputs = sandbox.ok("up", *copy.options, *options)["outputs"]
    before = live(sandbox, copy)
    client, kms = (sandbox.aws(service, copy) for service in ("secretsmanager", "kms"))
    arns = [arn for arn, _ in before.values()]
    jwt = next(arn for arn in arns if "jwt-secret" in arn)
    previous = client.get_secret_value(SecretId=jwt, VersionStage="pulumi-previous")["SecretString"]
    key = outputs["kms_key_arn"].rpartition("/")[2]
    sandbox.ok("destroy", *copy.options, *options)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"

    dry = sandbox.ops(copy, "recover", "--stack", copy.stack, "--dry-run", "--json", *options).json()
    assert len(dry["would"]) == len(arns) + 1
    assert all(client.describe_secret(SecretId=arn).get("DeletedDate") for arn in arns)
    done = recover(sandbox, copy, *options)

    assert live(sandbox, copy) == before
    assert client.get_secret_value(SecretId=jwt, VersionStage="pulumi-previous")["SecretString"] == previous
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    assert sandbox.ok("outputs", *copy.options)["kms_key_arn"] == outputs["kms_key_arn"]
    is_whole(sandbox, copy, *options)
    assert in_the_clear(sandbox, before, done.out, done.err) == set()
    # The state knows the recovery window of what was imported: nothing is deleted at once.
    sandbox.ok("destroy", *copy.options, *options)
    assert all(client.describe_secret(SecretId=arn).get("DeletedDate") for arn in arns)


@pytest.mark.parametrize("refreshed", [False, True], ids=["", "refreshed"])
def test_a_secret_that_was_deleted_or_created_by_hand(
    sandbox: Any,
    project_copy: Make,
    refreshed: bool,  # noqa: FBT001 - the test's one fact
) -> None:
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    before, client = live(sandbox, copy), sandbox.aws("secretsmanager", copy)
    name = f"{copy.name}-{copy.stack}-jwt-secret"

    def deleted(**how: Any) -> None:
        client.delete_secret(SecretId=name, **how)
        if refreshed:
            sandbox.ok("refresh", *copy.options)

    deleted(RecoveryWindowInDays=7)
    command = f"\n  python -m ops recover --stack {copy.stack}"
    assert not refreshed or command in sandbox.quick("up", *copy.options).err
    recover(sandbox, copy)
    assert live(sandbox, copy) == before
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options)["changes"] == []

    # Gone for good: `up` creates it again, with the value that the state has.
    deleted(ForceDeleteWithoutRecovery=True)
    left = sandbox.ops(copy, "recover", "--stack", copy.stack, "--yes")
    assert left.status == 1
    assert f"python -m sandbox up --stack {copy.stack}" in left.err
    assert "TaskDefinition app-task-definition" in left.err
    sandbox.ok("up", *copy.options)
    again = live(sandbox, copy)
    assert {name: value for name, (_, value) in again.items()} == {name: value for name, (_, value) in before.items()}

    # Created again by hand: that value counts.
    deleted(ForceDeleteWithoutRecovery=True)
    client.create_secret(Name=name, SecretString="created-by-hand-with-this-value")
    assert not refreshed or command in sandbox.quick("up", *copy.options).err
    left = sandbox.ops(copy, "recover", "--stack", copy.stack, "--yes")
    assert "imported" in left.err, left.err
    sandbox.ok("up", *copy.options)
    assert live(sandbox, copy)[name][1] == "created-by-hand-with-this-value"
    is_whole(sandbox, copy)
    assert in_the_clear(sandbox, live(sandbox, copy), left.out, left.err) == set()


def test_a_configured_value_that_is_not_the_live_one_is_kept_as_the_refusal_says(
    sandbox: Any, project_copy: Make
) -> None:
    """The stack has no outputs yet, so what is printed works without them."""
    copy = project_copy()
    at = ("--stack", copy.stack, "--project", str(copy.directory))
    sandbox.ok("up", *copy.options)
    configured = sandbox.command("config", "set", "apiKey", "--secret", *at, stdin="a-configured-api-key-0001")
    assert configured.status == 0, configured.err
    sandbox.ok("up", *copy.options)
    client, name = sandbox.aws("secretsmanager", copy), f"{copy.name}-{copy.stack}-app-config"
    found = json.loads(client.get_secret_value(SecretId=name)["SecretString"])
    client.put_secret_value(SecretId=name, SecretString=json.dumps({**found, "API_KEY": "set-by-hand-0001"}))
    before = live(sandbox, copy)
    pulumi(sandbox, copy, "stack", "rm", "--force", "--preserve-config", "--yes")

    said = keeps_and_recovers(sandbox, copy)
    assert f"\n  python -m ops keep app-config --key API_KEY --stack {copy.stack}\n" in said
    assert live(sandbox, copy) == before
    is_whole(sandbox, copy)


def test_a_rotation_that_had_not_ended_can_end_after_a_lost_state(sandbox: Any, project_copy: Make) -> None:
    """`ops rotate` needs the outputs that `recover` brings back: a refusal of `recover` does not name it."""
    copy = with_application_user(project_copy())
    at = ("--stack", copy.stack, "--project", str(copy.directory))
    sandbox.ok("up", *copy.options)
    configured = sandbox.command("config", "set", "dbAppUserPassword", "--secret", *at, stdin="not-the-live-one-0001")
    assert configured.status == 0, configured.err
    client, name = sandbox.aws("secretsmanager", copy), f"{copy.name}-{copy.stack}-db-app-user"
    before = live(sandbox, copy)
    client.put_secret_value(SecretId=name, SecretString=before[name][1], VersionStages=["AWSPENDING", "ops-rotating"])
    pulumi(sandbox, copy, "stack", "rm", "--force", "--preserve-config", "--yes")

    assert "ops rotate" not in keeps_and_recovers(sandbox, copy)
    assert live(sandbox, copy) == before
    assert "db-app-user" in sandbox.ok("outputs", *copy.options)["secret_arns"]
    is_whole(sandbox, copy)


def test_what_a_function_set_is_not_replaced_once_the_rotation_is_off_after_a_recovery(
    sandbox: Any, project_copy: Make
) -> None:
    """The program's constant is the first of two alternating users; live can be the second one, with its password."""
    copy, rotation = with_application_user(project_copy()), given(rotation=ALTERNATING)
    sandbox.ok("up", *copy.options, *rotation)
    client, name = sandbox.aws("secretsmanager", copy), f"{copy.name}-{copy.stack}-db-app-user"
    rotated = {"username": "ticketing_clone", "password": "a-password-of-the-clone-01"}
    client.put_secret_value(SecretId=name, SecretString=json.dumps(rotated))
    pulumi(sandbox, copy, "stack", "rm", "--force", "--preserve-config", "--yes")
    recover(sandbox, copy, *rotation)
    is_whole(sandbox, copy, *rotation)

    said = refused(sandbox, copy)

    assert "db-app-user: its live value at username" in said
    assert "turn the rotation on and run `python -m ops rotate db-app-user" in said
    sandbox.ok("up", *copy.options, *rotation)
    assert json.loads(live(sandbox, copy)[name][1]) == rotated


def test_a_value_before_is_the_one_that_aws_has_and_not_the_one_that_the_state_kept(
    sandbox: Any, project_copy: Make
) -> None:
    """A backup of an earlier number is restored under another ARN: the state kept values that the restored secret never had."""
    copy = project_copy()
    sandbox.ok("up", *copy.options)
    sandbox.ok("up", *copy.options, "-c", "rotations.jwtSecret=2", "-c", "rotations.encryptionKey=2")
    copy.add_config("service-ticket-system:rotations:\n  jwtSecret: 3\n  encryptionKey: 3\n")
    sandbox.ok("up", *copy.options)
    client, prefix = sandbox.aws("secretsmanager", copy), f"{copy.name}-{copy.stack}"
    config = json.loads(live(sandbox, copy)[f"{prefix}-app-config"][1])
    config |= {"ENCRYPTION_KEY": "earlier-key-number-two", "ENCRYPTION_KEY_PREVIOUS": "earlier-key-number-one"}
    for name in ("jwt-secret", "app-config"):
        client.delete_secret(SecretId=f"{prefix}-{name}", ForceDeleteWithoutRecovery=True)
    client.create_secret(Name=f"{prefix}-app-config", SecretString=json.dumps(config))
    jwt = client.create_secret(Name=f"{prefix}-jwt-secret", SecretString="earlier-value-number-one")
    client.put_secret_value(SecretId=jwt["ARN"], SecretString="earlier-value-number-two")
    stage = {"SecretId": jwt["ARN"], "VersionStage": "pulumi-previous", "MoveToVersionId": jwt["VersionId"]}
    client.update_secret_version_stage(**stage)

    left = sandbox.ops(copy, "recover", "--stack", copy.stack, "--yes")
    assert "imported" in left.err, left.err
    sandbox.ok("up", *copy.options)

    found = live(sandbox, copy)
    assert found[f"{prefix}-jwt-secret"][1] == "earlier-value-number-two"
    before = client.get_secret_value(SecretId=jwt["ARN"], VersionStage="pulumi-previous")["SecretString"]
    assert before == "earlier-value-number-one"
    assert json.loads(found[f"{prefix}-app-config"][1]) == config
    is_whole(sandbox, copy)
    assert in_the_clear(sandbox, found, left.out, left.err) == set()
