"""docs/operations.md, "Take a deleted stack back": destroy, restore, up, with the same secrets, values, ARNs and key."""

import json
from functools import partial
from typing import Any

from tests.sandbox.account import everything as everywhere
from tests.sandbox.stack_options import ALTERNATING, given, with_application_user

NETWORK = {
    "schedule": "cron(0 3 ? * SUN *)",
    "subnetIds": ["subnet-0123456789abcdef0"],
    "securityGroupIds": ["sg-0123456789abcdef0"],
}
OPTIONS: dict[str, Any] = {
    "protect": "true",
    "encryption": "customer-managed",
    "recoveryWindowInDays": "30",
    "rotation": {
        **NETWORK,
        "strategy": "single-user",
        "secret": "db-master-password",
        "username": "postgres",
        "hostVariable": "DATABASE_HOST",
    },
}


def everything(sandbox: Any, copy: Any, outputs: dict[str, Any]) -> dict[str, Any]:
    """ARNs, and the values at the labels that anybody reads."""
    client = sandbox.aws("secretsmanager", copy)
    return {
        name: (
            arn,
            *(
                client.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"]
                for stage in stages(client, arn)
            ),
        )
        for name, arn in outputs["secret_arns"].items()
    }


def stages(client: Any, arn: str) -> list[str]:
    found = {
        label for labels in client.describe_secret(SecretId=arn)["VersionIdsToStages"].values() for label in labels
    }
    return sorted(found & {"AWSCURRENT", "AWSPREVIOUS"})


def restore(sandbox: Any, copy: Any, *arguments: str) -> Any:
    """`python -m ops restore --pending`."""
    done = sandbox.ops(copy, "restore", "--pending", "--stack", copy.stack, "--yes", *arguments)
    assert done.status == 0, done.err
    return done


def function_rotates(sandbox: Any, copy: Any, outputs: dict[str, Any], name: str) -> None:
    """Put a value as the rotation's last step leaves it."""
    sandbox.aws("secretsmanager", copy).put_secret_value(
        SecretId=outputs["secret_arns"][name], SecretString="made-by-the-function"
    )


def test_destroy_restore_up(sandbox: Any, project_copy: Any) -> None:
    copy, options = project_copy(), given(**OPTIONS)
    # With a value before, which the application still needs: of a text and of a JSON key.
    copy.add_config("service-ticket-system:rotations:\n  jwtSecret: 2\n  encryptionKey: 2\n")
    outputs = sandbox.ok("up", *copy.options, *options)["outputs"]
    function_rotates(sandbox, copy, outputs, "db-master-password")
    before = everything(sandbox, copy, outputs)
    client, kms = (sandbox.aws(service, copy) for service in ("secretsmanager", "kms"))
    key = outputs["kms_key_arn"].rpartition("/")[2]

    unprotected = (*copy.options, *given(**{**OPTIONS, "protect": "false"}))
    sandbox.ok("up", *unprotected)
    sandbox.ok("destroy", *unprotected)
    assert all(client.describe_secret(SecretId=arn).get("DeletedDate") for arn, *_ in before.values())
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"

    dry = json.loads(restore(sandbox, copy, "--json", "--dry-run").out)
    assert {secret["action"] for secret in dry["secrets"]} == {"recover"}
    assert all(client.describe_secret(SecretId=arn).get("DeletedDate") for arn, *_ in before.values())
    told = restore(sandbox, copy, "--json")
    restored = json.loads(told.out)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"

    again = (*copy.options, *options, *restored["sandbox_arguments"])
    now = sandbox.ok("up", *again)
    assert everything(sandbox, copy, now["outputs"]) == before
    assert now["outputs"] == outputs | {"services": now["outputs"]["services"]}
    for name, service in now["outputs"]["services"].items():
        assert service["container_secrets"] == outputs["services"][name]["container_secrets"]
    made = {change["type"] for change in now["changes"] if change["op"] == "create"}
    assert not {type_ for type_ in made if "RandomPassword" in type_ or "secretsmanager/secret:" in type_}
    assert sandbox.ok("preview", "--expect-no-changes", *again)["changes"] == []
    sandbox.ok("refresh", *again)
    assert sandbox.ok("preview", "--expect-no-changes", *again)["changes"] == []

    values = [value for _, *found in before.values() for value in found]
    assert not any(value in told.out + told.err for value in values)


def test_a_value_that_is_rotated_afterwards_leaves_the_others_alone(sandbox: Any, project_copy: Any) -> None:
    copy, options = project_copy(), given(recoveryWindowInDays="7")
    outputs = sandbox.ok("up", *copy.options, *options)["outputs"]
    client = sandbox.aws("secretsmanager", copy)
    arn = outputs["secret_arns"]["app-config"]
    before = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
    sandbox.ok("destroy", *copy.options, *options)
    restored = json.loads(restore(sandbox, copy, "--json").out)
    again = (*copy.options, *options, *restored["sandbox_arguments"])
    sandbox.ok("up", *again)

    sandbox.ok("up", *again, *given(rotations={"apiKey": 2}))

    after = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
    assert {key for key in after if after[key] != before.get(key)} == {"API_KEY"}
    assert sandbox.ok("preview", "--expect-no-changes", *again, *given(rotations={"apiKey": 2}))["changes"] == []

    # The state knows the recovery window of what was imported: nothing is deleted at once.
    sandbox.ok("destroy", *again, *given(rotations={"apiKey": 2}))
    assert client.describe_secret(SecretId=arn).get("DeletedDate")


def test_what_an_operator_put_before_a_destroy_is_not_put_over(sandbox: Any, project_copy: Any) -> None:
    copy, window = project_copy(), given(recoveryWindowInDays="7")
    arn = sandbox.ok("up", *copy.options, *window)["outputs"]["secret_arns"]["app-config"]
    client = sandbox.aws("secretsmanager", copy)
    by_hand = "changed-by-an-operator"
    document = json.loads(client.get_secret_value(SecretId=arn)["SecretString"]) | {"SMTP_PASSWORD": by_hand}
    client.put_secret_value(SecretId=arn, SecretString=json.dumps(document))
    sandbox.ok("destroy", *copy.options, *window)
    restored = json.loads(restore(sandbox, copy, "--json").out)
    again = (*copy.options, *window, *restored["sandbox_arguments"])

    account = everywhere(partial(sandbox.aws, copy=copy))
    for _ in range(2):  # what is refused is refused again
        refused = sandbox.quick("up", *again)
        assert everywhere(partial(sandbox.aws, copy=copy)) == account
        assert refused.status == 1
        assert "app-config: somebody else put its live value at SMTP_PASSWORD" in refused.err
        assert "Nothing was changed" in refused.err
        assert by_hand not in refused.err
    sandbox.ok("up", *again, "-c", f"secret:smtpPassword={by_hand}")
    assert json.loads(client.get_secret_value(SecretId=arn)["SecretString"]) == document


def test_what_a_function_put_before_a_destroy_is_not_put_over_when_it_no_longer_rotates(
    sandbox: Any, project_copy: Any
) -> None:
    copy, window = with_application_user(project_copy()), given(recoveryWindowInDays="7")
    rotating = (*window, *given(rotation=ALTERNATING))
    arn = sandbox.ok("up", *copy.options, *rotating)["outputs"]["secret_arns"]["db-app-user"]
    client = sandbox.aws("secretsmanager", copy)
    by_the_function = json.dumps({"username": "ticketing_clone", "password": "made-by-the-function"})
    client.put_secret_value(SecretId=arn, SecretString=by_the_function)
    sandbox.ok("destroy", *copy.options, *rotating)
    restored = json.loads(restore(sandbox, copy, "--json").out)["sandbox_arguments"]
    sandbox.ok("up", *copy.options, *rotating, *restored)

    account = everywhere(partial(sandbox.aws, copy=copy))
    configured = ("-c", "secret:dbAppUserPassword=a-configured-password-1")
    for options, keys in (((), "username"), (configured, "password, username"), ((), "username")):
        refused = sandbox.quick("up", *copy.options, *window, *restored, *options)
        assert everywhere(partial(sandbox.aws, copy=copy)) == account
        assert refused.status == 1
        assert f"db-app-user: somebody else put its live value at {keys}, version" in refused.err
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options, *rotating, *restored)["changes"] == []


def test_a_secret_that_was_made_anew_by_hand_is_taken_over_with_its_value(sandbox: Any, project_copy: Any) -> None:
    copy = project_copy()
    outputs = sandbox.ok("up", *copy.options)["outputs"]
    before = everything(sandbox, copy, outputs)
    client = sandbox.aws("secretsmanager", copy)
    name = client.describe_secret(SecretId=outputs["secret_arns"]["jwt-secret"])["Name"]
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    made = client.create_secret(Name=name, SecretString="made-by-hand")

    restored = json.loads(restore(sandbox, copy, "--json").out)
    again = (*copy.options, *restored["sandbox_arguments"])
    sandbox.ok("refresh", *again)
    now = sandbox.ok("up", *again)["outputs"]

    assert everything(sandbox, copy, now) == before | {"jwt-secret": (made["ARN"], "made-by-hand")}
    assert now["services"]["app"]["container_secrets"]["JWT_SECRET"] == made["ARN"]
    assert sandbox.ok("preview", "--expect-no-changes", *again)["changes"] == []
