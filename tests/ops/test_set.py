"""`ops set` and `ops rollback`: who can change a value, what is accepted, what stays."""

import contextlib
import io
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from config.declarations import External, JsonSecret, TextSecret
from ops.changing import _doubts

Stack = Any  # conftest.Deployed

TOKEN = TextSecret("payment-token", External(), variable="PAYMENT_TOKEN")
PARTNERS = JsonSecret("partners", External(), variables={"ALPHA", "BETA"})


@pytest.fixture
def external(deploy: Any) -> Stack:
    """A stack with two secrets that the project's catalogue doesn't have: the operator owns their values."""
    stack = deploy(catalogue=(TOKEN, PARTNERS))
    stack.secrets.put_secret_value(SecretId=stack.arn("payment-token"), SecretString="the-first-value")
    return stack


@pytest.fixture
def adopted(stack: Stack) -> Stack:
    """A stack whose secrets are older than it: without Pulumi's label, the operator owns their values."""
    for name in ("app-config", "jwt-secret"):
        # moto removes the program's label when a value is written.
        stack.secrets.put_secret_value(SecretId=stack.arn(name), SecretString=stack.values[name])
    return stack


def labels(stack: Stack, name: str) -> dict[str, str]:
    stages = stack.secrets.describe_secret(SecretId=stack.arn(name))["VersionIdsToStages"]
    return {label: version for version, found in stages.items() for label in found}


def test_new_value_from_a_pipe(external: Stack, ops: Any) -> None:
    before = labels(external, "payment-token")["AWSCURRENT"]

    done = ops(external, "set", "payment-token", "--yes", stdin=b"the-second-value\n")

    assert (done.status, done.out) == (0, "")
    assert external.current("payment-token") == "the-second-value"
    assert labels(external, "payment-token")["AWSPREVIOUS"] == before
    assert "o ECS service of this account and Region runs it" in done.err
    assert "the-second-value" not in done.err


def test_a_value_that_was_stored_is_reported_although_a_later_check_fails(
    external: Stack, ops: Any, proxy: Any
) -> None:
    _ = external.secrets
    external.endpoint = proxy.url
    denied = 403, json.dumps({"__type": "AccessDeniedException", "message": "no"}).encode()
    proxy.before("DescribeSecret", lambda: denied if "PutSecretValue" in proxy.seen else None)

    done = ops(external, "set", "payment-token", "--yes", "--json", stdin=b"the-second-value")

    assert done.status == 0
    assert done.json["current"] == labels(external, "payment-token")["AWSCURRENT"]
    assert external.current("payment-token") == "the-second-value"
    assert "AWS stored the value; that no other value was written at the same time could not be checked" in done.err


def test_a_lost_answer_says_how_to_find_out_whether_the_value_was_stored(external: Stack, ops: Any, proxy: Any) -> None:
    external.endpoint = proxy.url
    proxy.before("PutSecretValue", lambda: (500, b'{"__type": "InternalFailure"}'))

    done = ops(external, "set", "payment-token", "--yes", stdin=b"another-value-1", env={"AWS_MAX_ATTEMPTS": "1"})

    assert done.status == 2
    command = "python -m ops describe payment-token --stack dev ("
    assert f"AWS may have done it nevertheless, see: {command}" in done.err


def test_the_services_that_read_it_are_named_with_the_command(external: Stack, ops: Any) -> None:
    ecs = external.client("ecs")
    ecs.create_cluster(clusterName="main")
    ecs.create_service(
        cluster="main", serviceName="tickets", taskDefinition=external.service["task_definition_arn"], desiredCount=0
    )

    done = ops(external, "set", "payment-token", "--yes", stdin=b"the-second-value\n")

    assert (
        "aws ecs update-service --force-new-deployment --region eu-west-1 --cluster main --service tickets" in done.err
    )


def test_only_one_line_break_is_taken_off(external: Stack, ops: Any) -> None:
    ops(external, "set", "payment-token", "--yes", stdin=b"line\n\n")

    assert external.current("payment-token") == "line\n"


@pytest.mark.parametrize("value", [b"  \n", b"\xef\xbb\xbfvalue", b"va\0lue"])
def test_value_that_no_sign_in_would_work_with(external: Stack, ops: Any, value: bytes) -> None:
    done = ops(external, "set", "payment-token", "--yes", stdin=value)

    assert done.status == 2
    assert external.current("payment-token") == "the-first-value"


def test_key_with_a_blank_at_its_end(external: Stack, ops: Any) -> None:
    assert ops(external, "set", "partners", "--key", "ALPHA ", "--yes", stdin=b"value-of-alpha").status == 2


def test_json_with_a_key_twice(adopted: Stack, ops: Any) -> None:
    value = {"SMTP_PASSWORD": "s", "REDIS_PASSWORD": "r", "CLOUDFLARE_TOKEN": "c"}
    twice = json.dumps(value).replace("{", '{"SMTP_PASSWORD": "t", ')
    done = ops(adopted, "set", "app-config", "--yes", stdin=twice.encode())

    assert done.status == 2
    assert "the JSON has a key twice: SMTP_PASSWORD" in done.err


def test_json_that_nests_without_end(external: Stack, ops: Any) -> None:
    deep = '{"a":' * 20_000
    assert ops(external, "set", "partners", "--yes", stdin=deep.encode()).status == 2
    external.secrets.put_secret_value(SecretId=external.arn("partners"), SecretString=deep)
    assert ops(external, "set", "partners", "--key", "ALPHA", "--yes", stdin=b"a").status == 2
    assert ops(external, "reveal", "partners", "--key", "ALPHA", "--yes").status == 2
    assert "partners: is not valid JSON" in ops(external, "doctor").out


def test_end_of_input_at_the_prompt(external: Stack, terminal: Any) -> None:
    with terminal(external, "set", "payment-token", "--yes") as session:
        session.expect("New value")
        session.send("\x04")
        assert session.status() == 2
    assert external.current("payment-token") == "the-first-value"


def test_put_that_did_not_become_current_is_told(external: Stack, ops: Any, proxy: Any) -> None:
    external.endpoint = proxy.url
    answer = json.dumps({"ARN": "arn", "Name": "n", "VersionId": "0" * 32}).encode()
    proxy.before("PutSecretValue", lambda: (200, answer))
    done = ops(external, "set", "payment-token", "--yes", stdin=b"the-second-value")

    assert done.status == 2
    assert "AWSCURRENT is at" in done.err


def test_json_result_holds_no_value(external: Stack, ops: Any) -> None:
    done = ops(external, "set", "payment-token", "--yes", "--json", stdin=b"the-second-value")

    assert done.json["secret"] == "payment-token"
    assert done.json["current"] == labels(external, "payment-token")["AWSCURRENT"]
    assert "the-second-value" not in done.out


def test_value_is_never_an_argument(external: Stack, ops: Any) -> None:
    done = ops(external, "set", "payment-token", "the-second-value", "--yes")

    assert done.status == 2
    assert external.current("payment-token") == "the-first-value"


def test_first_value_of_an_external_json_secret(external: Stack, ops: Any) -> None:
    done = ops(external, "set", "partners", "--key", "ALPHA", "--yes", stdin=b"value-of-alpha")

    assert done.status == 0
    assert json.loads(external.current("partners")) == {"ALPHA": "value-of-alpha"}


# --- from an env file


def test_an_env_file_sets_the_keys_of_a_json_secret(external: Stack, ops: Any, tmp_path: Path) -> None:
    external.secrets.put_secret_value(
        SecretId=external.arn("partners"), SecretString='{"ALPHA": "old", "KEPT": "stays"}'
    )
    file = tmp_path / "partners.env"
    file.write_text("# from the vault\nexport ALPHA='a ${b} #c'\nBETA=\"line 1\\nline 2\"\n")

    done = ops(external, "set", "partners", "--from-env-file", str(file), "--yes")

    assert done.status == 0, done.err
    assert json.loads(external.current("partners")) == {
        "ALPHA": "a ${b} #c", "BETA": "line 1\nline 2", "KEPT": "stays",
    }  # fmt: skip
    assert f"{file} still has the values: delete it." in done.err
    assert "a ${b}" not in done.out + done.err
    assert "line 1" not in done.out + done.err


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("partners", "ALPHA=a\nBETA=${OTHER}x\n", (), "takes BETA from OTHER: write the value"),
        ("partners", "ALPHA=a\nBETA=\n", (), "has no value for BETA"),
        ("partners", "# nothing\n", (), "is not an env file: it sets no variable"),
        ("partners", "ALPHA='not closed\n", (), "is not an env file: line 1 can't be read"),
        ("partners", "ALPHA=a\nBETA=b\n", ("--key", "ALPHA"), "leave --key out"),
        ("partners", None, (), "can't be read: No such file or directory"),
        ("partners", "ALPHA=a\n", (), "the container references keys that are missing: BETA"),
        ("payment-token", "ALPHA=a\n", (), "is plain text; --from-env-file sets the keys of a JSON secret"),
    ],
)
def test_an_env_file_that_is_refused_changes_nothing(
    external: Stack, ops: Any, tmp_path: Path, *, name: str, content: str | None, options: tuple[str, ...], message: str
) -> None:
    file = tmp_path / "partners.env"
    if content is not None:
        file.write_text(content)

    done = ops(external, "set", name, "--from-env-file", str(file), *options, "--yes")

    assert done.status == 2
    assert message in done.err
    assert "not closed" not in done.err
    assert external.current("payment-token") == "the-first-value"
    assert "VersionIdsToStages" not in external.secrets.describe_secret(SecretId=external.arn("partners"))


def test_key_is_merged_into_the_json(adopted: Stack, ops: Any) -> None:
    done = ops(adopted, "set", "app-config", "--key", "SMTP_PASSWORD", "--yes", stdin=b"new-smtp-password")

    assert done.status == 0
    expected = json.loads(adopted.values["app-config"]) | {"SMTP_PASSWORD": "new-smtp-password"}
    assert json.loads(adopted.current("app-config")) == expected


def test_whole_json_is_taken_and_sorted(adopted: Stack, ops: Any) -> None:
    value = {"SMTP_PASSWORD": "s", "REDIS_PASSWORD": "r", "CLOUDFLARE_TOKEN": "c"}

    done = ops(adopted, "set", "app-config", "--yes", stdin=json.dumps(value).encode())

    assert done.status == 0
    assert adopted.current("app-config") == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize(
    ("what", "value", "message"),
    [
        ("jwt-secret", b"", "the value is empty"),
        ("jwt-secret", b"\n", "the value is empty"),
        ("jwt-secret", b"\xff\xfe", "not UTF-8 text"),
        ("jwt-secret", b"x" * 65_537, "has 65,537 bytes; Secrets Manager takes 65,536"),
        ("jwt-secret --key A", b"x", "is plain text; leave --key out"),
        ("app-config", b"secret-but-no-json", "is a JSON object of strings"),
        ("app-config", b"[]", "is a JSON object of strings"),
        ("app-config", b'{"REDIS_PASSWORD": 1}', "must be a string that is not empty; these are not: REDIS_PASSWORD"),
        ("app-config", b'{"API_KEY": "x"}', "are missing: CLOUDFLARE_TOKEN, REDIS_PASSWORD, SMTP_PASSWORD"),
        ("app-config --key A:B", b"secret-with-a-wrong-key", "ECS can't reference the key"),
    ],
)
def test_bad_value_changes_nothing(adopted: Stack, ops: Any, what: str, value: bytes, message: str) -> None:
    before = labels(adopted, what.split(maxsplit=1)[0])

    done = ops(adopted, "set", *what.split(), "--yes", stdin=value)

    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert len(value) < 6 or value.decode("latin-1") not in done.err
    assert labels(adopted, what.split(maxsplit=1)[0]) == before


def test_same_value_makes_no_version(external: Stack, ops: Any) -> None:
    before = labels(external, "payment-token")

    done = ops(external, "set", "payment-token", "--yes", stdin=b"the-first-value")

    assert done.status == 0
    assert "has that value already" in done.err
    assert labels(external, "payment-token") == before


def test_pipe_without_yes_changes_nothing(external: Stack, ops: Any) -> None:
    done = ops(external, "set", "payment-token", stdin=b"the-second-value")

    assert done.status == 2
    assert f"Change payment-token of dev (account {external.account}, eu-west-1)?" in done.err
    assert external.current("payment-token") == "the-first-value"


@pytest.mark.parametrize(
    ("name", "arguments", "commands"),
    [
        (
            "jwt-secret",
            [],
            ["config set --stack dev --secret jwtSecret ", "config set --stack dev --path rotations.jwtSecret 2 "],
        ),
        (
            "app-config",
            ["--key", "SMTP_PASSWORD"],
            ["config set --stack dev --secret smtpPassword   # a value of your own for SMTP_PASSWORD"],
        ),
        ("app-config", ["--key", "NEW_KEY"], ["app-config has no key NEW_KEY: add it in catalogue.py"]),
    ],
)
def test_value_of_the_configuration_is_changed_there(
    stack: Stack, ops: Any, name: str, arguments: list[str], commands: list[str]
) -> None:
    done = ops(stack, "set", name, *arguments, "--yes", stdin=b"my-own-idea-of-it")

    assert done.status == 2
    assert f"Pulumi's configuration owns the value of {name}" in done.err
    assert all(command in done.err for command in commands)
    assert stack.current(name) == stack.values[name]


def test_rotated_secret_is_set_here_with_a_warning(stack: Stack, ops: Any) -> None:
    stack.rotate_by_function("db-master-password")

    done = ops(stack, "set", "db-master-password", "--yes", stdin=b"as-reset-in-the-database")

    assert done.status == 0
    assert stack.current("db-master-password") == "as-reset-in-the-database"
    assert "Its function keeps rotating it" in done.err


def test_rotation_under_way_is_not_disturbed(stack: Stack, ops: Any) -> None:
    stack.rotate_by_function("db-master-password")
    arn = stack.arn("db-master-password")
    stack.secrets.put_secret_value(SecretId=arn, SecretString="in-waiting", VersionStages=["AWSPENDING"])

    done = ops(stack, "set", "db-master-password", "--yes", stdin=b"something-else")

    assert done.status == 2
    assert "a rotation of db-master-password has not ended" in done.err
    assert stack.current("db-master-password") == stack.values["db-master-password"]


def test_secret_pending_deletion_names_the_way_out(external: Stack, ops: Any) -> None:
    external.secrets.delete_secret(SecretId=external.arn("payment-token"), RecoveryWindowInDays=7)

    done = ops(external, "set", "payment-token", "--yes", stdin=b"x")

    assert done.status == 2
    assert f"aws secretsmanager restore-secret --secret-id {external.arn('payment-token')}" in done.err


def test_change_by_somebody_else_meanwhile_is_not_overwritten(adopted: Stack, proxy: Any, ops: Any) -> None:
    secrets, arn = adopted.secrets, adopted.arn("app-config")
    adopted.endpoint = proxy.url
    other = json.dumps({"API_KEY": "by-somebody-else"})
    described = 0

    def meanwhile() -> None:
        nonlocal described
        described += 1
        if described == 2:
            secrets.put_secret_value(SecretId=arn, SecretString=other)

    proxy.before("DescribeSecret", meanwhile)

    done = ops(adopted, "set", "app-config", "--key", "SMTP_PASSWORD", "--yes", stdin=b"mine")

    assert done.status == 2
    assert "was changed elsewhere meanwhile" in done.err
    assert adopted.current("app-config") == other


def test_refused_write_quotes_no_value(external: Stack, proxy: Any, ops: Any) -> None:
    external.endpoint = proxy.url
    proxy.refuse("PutSecretValue", "ValidationException", message="Value 'the-second-value' failed to satisfy")

    done = ops(external, "set", "payment-token", "--yes", stdin=b"the-second-value")

    assert done.status == 2
    assert done.err == "error: AWS refused PutSecretValue (ValidationException)\n"


def test_terminal_asks_twice_and_hides_it(external: Stack, terminal: Any) -> None:
    with terminal(external, "set", "payment-token") as session:
        session.expect("[y/N]")
        session.send("y\n")
        session.expect("New value of payment-token")
        session.send("typed-by-hand\n")
        session.expect("Once more: ")
        session.send("typed-by-hand\n")
        assert session.status() == 0
        assert "typed-by-hand" not in session.shown
    assert external.current("payment-token") == "typed-by-hand"


def test_two_different_values_change_nothing(external: Stack, terminal: Any) -> None:
    with terminal(external, "set", "payment-token", "--yes") as session:
        session.expect("New value")
        session.send("typed-by-hand\n")
        session.expect("Once more: ")
        session.send("typed-by-hnad\n")
        assert session.status() == 2
        assert "the two values differ" in session.shown
    assert external.current("payment-token") == "the-first-value"


def test_ctrl_c_at_the_hidden_prompt_changes_nothing(external: Stack, terminal: Any) -> None:
    with terminal(external, "set", "payment-token", "--yes") as session:
        session.expect("New value")
        session.send("half-a-val\x03")
        assert session.status() == 130
        assert "Traceback" not in session.shown
    assert external.current("payment-token") == "the-first-value"


# --- rollback ------------------------------------------------------------------------------------------------------------


def test_rollback_changes_the_two_values_round(external: Stack, ops: Any) -> None:
    ops(external, "set", "payment-token", "--yes", stdin=b"the-second-value")
    before = labels(external, "payment-token")

    done = ops(external, "rollback", "payment-token", "--yes", "--json")

    assert done.status == 0
    assert external.current("payment-token") == "the-first-value"
    assert done.json["current"] == before["AWSPREVIOUS"]
    assert labels(external, "payment-token")["AWSPREVIOUS"] == before["AWSCURRENT"]


def test_rollback_twice_is_where_it_began(external: Stack, ops: Any) -> None:
    ops(external, "set", "payment-token", "--yes", stdin=b"the-second-value")

    for _ in range(2):
        assert ops(external, "rollback", "payment-token", "--yes").status == 0

    assert external.current("payment-token") == "the-second-value"


def test_rollback_without_a_previous_value(external: Stack, ops: Any) -> None:
    done = ops(external, "rollback", "payment-token", "--yes")

    assert (done.status, done.err) == (2, "error: payment-token has no AWSPREVIOUS version to go back to\n")


def test_rollback_of_a_value_of_the_configuration_says_how(stack: Stack, ops: Any) -> None:
    done = ops(stack, "rollback", "jwt-secret", "--yes")

    assert done.status == 2
    assert "rotations.jwtSecret" in done.err


def test_rollback_of_a_rotated_password_reminds_of_the_database(stack: Stack, ops: Any) -> None:
    stack.rotate_by_function("db-master-password")
    stack.secrets.put_secret_value(SecretId=stack.arn("db-master-password"), SecretString="rotated-one")

    done = ops(stack, "rollback", "db-master-password", "--yes")

    assert done.status == 0
    assert "The database still has the newer password" in done.err
    assert stack.current("db-master-password") == stack.values["db-master-password"]


@pytest.mark.parametrize(
    ("value", "key", "warnings"),
    [
        ("one-line", None, []),
        ("x\ny", None, ["the value has 2 lines"]),
        ("pasted\n", "A", ["the value begins or ends in white space, such as a pasted line break"]),
        (
            '{"A": "x\\n", "B": "y"}',
            None,
            ["key A begins or ends in white space, such as a pasted line break"],
        ),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None, []),
    ],
)
def test_doubtful_values_are_warned_of(value: str, key: str | None, warnings: list[str]) -> None:
    assert list(_doubts(value, key)) == warnings


# --- AWSPENDING ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rotated(stack: Stack) -> Stack:
    """A stack whose database password a function has rotated: AWSPENDING stays with the version that it created.

    Source: AWS, "Rotate AWS Secrets Manager secrets", finishSecret: the label may be attached to the same version as AWSCURRENT.
    """
    stack.rotate_by_function("db-master-password")
    arn, before = stack.arn("db-master-password"), labels(stack, "db-master-password")["AWSCURRENT"]
    made = stack.secrets.put_secret_value(SecretId=arn, SecretString="made-by-rotation", VersionStages=["AWSPENDING"])
    stack.secrets.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=made["VersionId"], RemoveFromVersionId=before
    )
    assert labels(stack, "db-master-password")["AWSPENDING"] == made["VersionId"]
    return stack


def test_rollback_takes_awspending_off_the_version_that_it_leaves(rotated: Stack, ops: Any) -> None:
    left = labels(rotated, "db-master-password")["AWSCURRENT"]

    assert ops(rotated, "rollback", "db-master-password", "--yes").status == 0

    found = labels(rotated, "db-master-password")
    assert "AWSPENDING" not in found
    assert found["AWSPREVIOUS"] == left
    assert rotated.current("db-master-password") == rotated.values["db-master-password"]
    # What followed before was refused, as if a rotation had not ended.
    assert ops(rotated, "set", "db-master-password", "--yes", stdin=b"as-reset-in-the-database").status == 0


def test_set_takes_awspending_off_the_version_that_it_leaves(stack: Stack, ops: Any) -> None:
    stack.rotate_by_function("db-master-password")
    # In one call: of a version that became current by a move of the label, moto does not know that it is.
    stack.secrets.put_secret_value(
        SecretId=stack.arn("db-master-password"),
        SecretString="made-by-rotation",
        VersionStages=["AWSCURRENT", "AWSPENDING"],
    )

    assert ops(stack, "set", "db-master-password", "--yes", stdin=b"as-reset-in-the-database").status == 0

    assert "AWSPENDING" not in labels(stack, "db-master-password")


@pytest.fixture
def rolled_back(rotated: Stack) -> Stack:
    """A stack whose rotated value was rolled back outside Pulumi, with AWSPENDING left where it was."""
    found = labels(rotated, "db-master-password")
    rotated.secrets.update_secret_version_stage(
        SecretId=rotated.arn("db-master-password"),
        VersionStage="AWSCURRENT",
        MoveToVersionId=found["AWSPREVIOUS"],
        RemoveFromVersionId=found["AWSCURRENT"],
    )
    return rotated


@pytest.mark.parametrize("command", [["rollback"], ["set"]])
def test_a_rotation_that_was_rolled_back_from_has_ended(rolled_back: Stack, ops: Any, command: list[str]) -> None:
    done = ops(rolled_back, *command, "db-master-password", "--yes", stdin=b"as-reset-in-the-database")

    assert done.status == 0
    assert "AWSPENDING" not in labels(rolled_back, "db-master-password")


def test_doctor_takes_a_left_over_awspending_off(rolled_back: Stack, ops: Any) -> None:
    found = next(f for f in ops(rolled_back, "doctor", "--json").json["findings"] if f["check"] == "rotation")

    assert "has AWSPENDING at the version that was rolled back from" in found["found"]
    words = found["fix"].split()
    assert words[words.index("--remove-from-version-id") + 1] == labels(rolled_back, "db-master-password")["AWSPENDING"]


@pytest.mark.parametrize("command", ["set", "rollback"])
def test_a_stuck_rotation_names_the_way_out(stack: Stack, ops: Any, command: str) -> None:
    stack.rotate_by_function("db-master-password")
    arn = stack.arn("db-master-password")
    for value in ("first-by-rotation", "second-by-rotation"):  # so that there is a version to go back to
        stack.secrets.put_secret_value(SecretId=arn, SecretString=value)
    stuck = stack.secrets.put_secret_value(SecretId=arn, SecretString="in-waiting", VersionStages=["AWSPENDING"])

    done = ops(stack, command, "db-master-password", "--yes", stdin=b"x")

    assert done.status == 2
    lines = [line.strip() for line in done.err.splitlines()]
    assert "python -m ops rotate db-master-password --stack dev" in lines
    assert f"aws secretsmanager cancel-rotate-secret --secret-id {arn} --region {stack.region}" in lines
    (label,) = [line for line in lines if "update-secret-version-stage" in line]
    stack.secrets.cancel_rotate_secret(SecretId=arn)
    words = label.split()
    assert words[words.index("--remove-from-version-id") + 1] == stuck["VersionId"]
    stack.secrets.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=stuck["VersionId"]
    )
    assert ops(stack, command, "db-master-password", "--yes", stdin=b"x").status == 0


def test_two_lines_through_a_pipe_are_asked_about_on_the_terminal(
    external: Stack, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["y\n", "n\n", "y\n", "y\n"])

    @contextlib.contextmanager
    def terminal(_question: str) -> Generator[io.StringIO]:
        yield io.StringIO(next(answers))

    monkeypatch.setattr("ops._ask._terminal", terminal)

    refused = ops(external, "set", "payment-token", stdin=b"x\ny\n")
    assert (refused.status, external.current("payment-token")) == (2, "the-first-value")
    assert "The value has 2 lines. Continue? [y/N]" in refused.err

    meant = ops(external, "set", "payment-token", stdin=b"x\ny\n")
    assert (meant.status, external.current("payment-token")) == (0, "x\ny")


def test_two_lines_are_told_where_nobody_is_asked(external: Stack, ops: Any) -> None:
    done = ops(external, "set", "payment-token", "--yes", stdin=b"x\ny\n")

    assert (done.status, external.current("payment-token")) == (0, "x\ny")
    assert "warning: the value has 2 lines" in done.err
