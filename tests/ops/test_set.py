"""`ops set` and `ops rollback`: who can change a value, what is accepted, what stays."""

import contextlib
import io
import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from config.declarations import External, JsonSecret, TextSecret
from ops.changing import _doubts
from tests.ops.conftest import Deployed as Stack

TOKEN = TextSecret("payment-token", External(), variable="PAYMENT_TOKEN")
PARTNERS = JsonSecret("partners", External(), variables={"ALPHA", "BETA"})
FIRST, SECOND = "the-first-value", "the-second-value"
PASSWORD = "db-master-password"

Put = Callable[..., Any]


@pytest.fixture
def put(ops: Any) -> Put:
    """Run `ops set` with --yes: `put(stack, "payment-token", "value", "--json")`."""

    def run(stack: Stack, name: str, value: str | bytes, *options: str, **more: Any) -> Any:
        stdin = value if isinstance(value, bytes) else value.encode()
        return ops(stack, "set", name, "--yes", *options, stdin=stdin, **more)

    return run


@pytest.fixture
def external(deploy: Any) -> Stack:
    """A stack with two secrets that the project's catalogue doesn't have: the operator owns their values."""
    stack = deploy(catalogue=(TOKEN, PARTNERS))
    stack.put("payment-token", FIRST)
    return stack


@pytest.fixture
def adopted(stack: Stack) -> Stack:
    """A stack whose secrets are older than it: without Pulumi's label, the operator owns their values."""
    for name in ("app-config", "jwt-secret"):
        stack.put(name, stack.values[name])
    return stack


@pytest.fixture
def by_function(stack: Stack) -> Stack:
    """A stack whose database password a function rotates."""
    stack.rotate_by_function(PASSWORD)
    return stack


def test_new_value_from_a_pipe(external: Stack, put: Put) -> None:
    before = external.labels("payment-token")["AWSCURRENT"]

    done = put(external, "payment-token", f"{SECOND}\n", "--json")

    assert done.status == 0
    assert external.current("payment-token") == SECOND
    after = external.labels("payment-token")
    assert after["AWSPREVIOUS"] == before
    assert (done.json["secret"], done.json["current"]) == ("payment-token", after["AWSCURRENT"])
    assert "o ECS service of this account and Region runs it" in done.err
    assert SECOND not in done.out + done.err

    same = put(external, "payment-token", SECOND)
    assert (same.status, "has that value already" in same.err) == (0, True)
    assert external.labels("payment-token") == after
    put(external, "payment-token", "line\n\n")  # only one line break is taken off
    assert external.current("payment-token") == "line\n"
    assert put(external, "partners", "value-of-alpha", "--key", "ALPHA").status == 0  # its first value
    assert json.loads(external.current("partners")) == {"ALPHA": "value-of-alpha"}


def test_a_value_that_was_stored_is_reported_although_a_later_check_fails(
    external: Stack, put: Put, proxy: Any
) -> None:
    _ = external.secrets
    external.endpoint = proxy.url
    denied = 403, json.dumps({"__type": "AccessDeniedException", "message": "no"}).encode()
    proxy.before("DescribeSecret", lambda: denied if "PutSecretValue" in proxy.seen else None)

    done = put(external, "payment-token", SECOND, "--json")

    assert done.status == 0
    assert done.json["current"] == external.labels("payment-token")["AWSCURRENT"]
    assert external.current("payment-token") == SECOND
    assert "AWS stored the value; that no other value was written at the same time could not be checked" in done.err


PUT = {
    "a lost answer says how to find out whether the value was stored": (
        (500, {"__type": "InternalFailure"}),
        "AWS may have done it nevertheless, see: python -m ops describe payment-token --stack dev (",
    ),
    "a version that did not become current": ((200, {"ARN": "arn", "Name": "n", "VersionId": "0" * 32}), "AWSCURRENT is at"),
    "a refusal quotes no value": (
        (400, {"__type": "ValidationException", "message": f"Value '{SECOND}' failed to satisfy"}),
        "error: AWS refused PutSecretValue (ValidationException)\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PUT)
def test_a_write_that_fails(external: Stack, put: Put, proxy: Any, case: str) -> None:
    external.endpoint = proxy.url
    (status, body), message = PUT[case]
    proxy.before("PutSecretValue", lambda: (status, json.dumps(body).encode()))

    done = put(external, "payment-token", SECOND, env={"AWS_MAX_ATTEMPTS": "1"})

    assert done.status == 2
    assert message in done.err
    assert SECOND not in done.err


def test_the_services_that_read_it_are_named_with_the_command(external: Stack, put: Put) -> None:
    external.run_service()

    done = put(external, "payment-token", SECOND)

    command = "aws ecs update-service --force-new-deployment --region eu-west-1 --cluster main --service tickets"
    assert command in done.err


def test_json_that_nests_without_end(external: Stack, put: Put, ops: Any) -> None:
    deep = '{"a":' * 20_000
    assert put(external, "partners", deep).status == 2
    external.put("partners", deep)
    assert put(external, "partners", "a", "--key", "ALPHA").status == 2
    assert ops(external, "reveal", "partners", "--key", "ALPHA", "--yes").status == 2
    assert "partners: is not valid JSON" in ops(external, "doctor").out


def test_an_env_file_sets_the_keys_of_a_json_secret(external: Stack, put: Put, tmp_path: Path) -> None:
    external.put("partners", '{"ALPHA": "old", "KEPT": "stays"}')
    file = tmp_path / "partners.env"
    file.write_text("# from the vault\nexport ALPHA='a ${b} #c'\nBETA=\"line 1\\nline 2\"\n")

    done = put(external, "partners", "", "--from-env-file", str(file))

    assert done.status == 0, done.err
    after = {"ALPHA": "a ${b} #c", "BETA": "line 1\nline 2", "KEPT": "stays"}
    assert json.loads(external.current("partners")) == after
    assert f"{file} still has the values: delete it." in done.err
    assert not any(text in done.out + done.err for text in ("a ${b}", "line 1"))


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
    external: Stack, put: Put, tmp_path: Path, *, name: str, content: str | None, options: tuple[str, ...], message: str
) -> None:
    file = tmp_path / "partners.env"
    if content is not None:
        file.write_text(content)

    done = put(external, name, "", "--from-env-file", str(file), *options)

    assert done.status == 2
    assert message in done.err
    assert "not closed" not in done.err
    assert external.current("payment-token") == FIRST
    assert external.stages("partners") == {}


def test_key_is_merged_into_the_json(adopted: Stack, put: Put) -> None:
    assert put(adopted, "app-config", "new-smtp-password", "--key", "SMTP_PASSWORD").status == 0
    expected = json.loads(adopted.values["app-config"]) | {"SMTP_PASSWORD": "new-smtp-password"}
    assert json.loads(adopted.current("app-config")) == expected


WHOLE = {"SMTP_PASSWORD": "s", "REDIS_PASSWORD": "r", "CLOUDFLARE_TOKEN": "c"}


def test_whole_json_is_taken_and_sorted(adopted: Stack, put: Put) -> None:
    assert put(adopted, "app-config", json.dumps(WHOLE)).status == 0
    assert adopted.current("app-config") == json.dumps(WHOLE, sort_keys=True)


TWICE = json.dumps(WHOLE).replace("{", '{"SMTP_PASSWORD": "t", ').encode()


@pytest.mark.parametrize(
    ("what", "value", "message"),
    [
        ("jwt-secret", b"", "the value is empty"),
        ("jwt-secret", b"  \n", "the value is empty"),
        ("jwt-secret", b"\xff\xfe", "not UTF-8 text"),
        ("jwt-secret", b"\xef\xbb\xbfvalue", "a byte order mark or a zero byte"),
        ("jwt-secret", b"va\0lue", "a byte order mark or a zero byte"),
        ("jwt-secret", b"x" * 65_537, "has 65,537 bytes; Secrets Manager takes 65,536"),
        ("jwt-secret --key=A", b"x", "is plain text; leave --key out"),
        ("app-config", b"secret-but-no-json", "is a JSON object of strings"),
        ("app-config", b"[]", "is a JSON object of strings"),
        ("app-config", b'{"REDIS_PASSWORD": 1}', "must be a string that is not empty; these are not: REDIS_PASSWORD"),
        ("app-config", b'{"API_KEY": "x"}', "are missing: CLOUDFLARE_TOKEN, REDIS_PASSWORD, SMTP_PASSWORD"),
        ("app-config", TWICE, "the JSON has a key twice: SMTP_PASSWORD"),
        ("app-config --key=A:B", b"secret-with-a-wrong-key", "ECS can't reference the key"),
        ("app-config --key=A ", b"secret-with-a-wrong-key", "ECS can't reference the key"),
    ],
)
def test_bad_value_changes_nothing(adopted: Stack, put: Put, what: str, value: bytes, message: str) -> None:
    name, *options = what.split(" ", maxsplit=1)
    before = adopted.labels(name)

    done = put(adopted, name, value, *options)

    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert len(value) < 6 or value.decode("latin-1") not in done.err
    assert adopted.labels(name) == before


def test_a_value_as_argument_or_a_pipe_without_yes_changes_nothing(external: Stack, ops: Any) -> None:
    assert ops(external, "set", "payment-token", SECOND, "--yes").status == 2
    done = ops(external, "set", "payment-token", stdin=SECOND.encode())

    assert done.status == 2
    assert f"Change payment-token of dev (account {external.account}, eu-west-1)?" in done.err
    assert external.current("payment-token") == FIRST


@pytest.mark.parametrize(
    ("what", "commands"),
    [
        ("jwt-secret", ["--secret jwtSecret ", "--path rotations.jwtSecret 2 "]),
        ("app-config --key SMTP_PASSWORD", ["--secret smtpPassword   # a value of your own for SMTP_PASSWORD"]),
        ("app-config --key NEW_KEY", ["app-config has no key NEW_KEY: add it in catalogue.py"]),
    ],
)
def test_value_of_the_configuration_is_changed_there(stack: Stack, put: Put, what: str, commands: list[str]) -> None:
    name, *options = what.split()
    done = put(stack, name, "my-own-idea-of-it", *options)

    assert done.status == 2
    assert f"Pulumi's configuration owns the value of {name}" in done.err
    for command in commands:
        assert (f"config set --stack dev {command}" if command.startswith("--") else command) in done.err
    assert stack.current(name) == stack.values[name]


def test_secret_pending_deletion_names_the_way_out(external: Stack, put: Put) -> None:
    external.secrets.delete_secret(SecretId=external.arn("payment-token"), RecoveryWindowInDays=7)

    done = put(external, "payment-token", "x")

    assert done.status == 2
    assert f"aws secretsmanager restore-secret --secret-id {external.arn('payment-token')}" in done.err


def test_change_by_somebody_else_meanwhile_is_not_overwritten(adopted: Stack, proxy: Any, put: Put) -> None:
    secrets, arn = adopted.secrets, adopted.arn("app-config")
    adopted.endpoint = proxy.url
    other = json.dumps({"API_KEY": "by-somebody-else"})

    def meanwhile() -> None:
        if proxy.seen.count("DescribeSecret") == 2:
            secrets.put_secret_value(SecretId=arn, SecretString=other)

    proxy.before("DescribeSecret", meanwhile)

    done = put(adopted, "app-config", "mine", "--key", "SMTP_PASSWORD")

    assert done.status == 2
    assert "was changed elsewhere meanwhile" in done.err
    assert adopted.current("app-config") == other


@pytest.mark.parametrize(
    ("typed", "status", "current"),
    [
        ({"New value of payment-token": "by-hand\n", "Once more: ": "by-hand\n"}, 0, "by-hand"),
        ({"New value": "by-hand\n", "Once more: ": "by-hnad\n", "the two values differ": ""}, 2, FIRST),
        ({"New value": "\x04"}, 2, FIRST),
        ({"New value": "half-a-val\x03"}, 130, FIRST),
    ],
    ids=["twice the same", "two different ones", "end of the input", "Ctrl-C"],
)
def test_a_value_at_the_hidden_prompt(
    external: Stack, terminal: Any, typed: dict[str, str], status: int, current: str
) -> None:
    with terminal(external, "set", "payment-token") as session:
        for shown, answer in {"[y/N]": "y\n", **typed}.items():
            session.expect(shown)
            session.send(answer)
        assert session.status() == status
        assert not any(text in session.shown for text in ("by-hand", "by-hnad", "half-a-val", "Traceback"))
    assert external.current("payment-token") == current


# --- rollback ------------------------------------------------------------------------------------------------------------


def test_rollback_changes_the_two_values_round(external: Stack, put: Put, ops: Any) -> None:
    put(external, "payment-token", SECOND)
    before = external.labels("payment-token")

    done = ops(external, "rollback", "payment-token", "--yes", "--json")

    assert done.status == 0
    assert external.current("payment-token") == FIRST
    assert done.json["current"] == before["AWSPREVIOUS"]
    assert external.labels("payment-token")["AWSPREVIOUS"] == before["AWSCURRENT"]
    assert ops(external, "rollback", "payment-token", "--yes").status == 0
    assert external.current("payment-token") == SECOND


def test_rollback_of_a_first_value_or_of_one_of_the_configuration(external: Stack, deploy: Any, ops: Any) -> None:
    done = ops(external, "rollback", "payment-token", "--yes")
    assert (done.status, done.err) == (2, "error: payment-token has no AWSPREVIOUS version to go back to\n")
    done = ops(deploy(), "rollback", "jwt-secret", "--yes")
    assert (done.status, "rotations.jwtSecret" in done.err) == (2, True)


def test_rollback_of_a_rotated_password_reminds_of_the_database(by_function: Stack, ops: Any) -> None:
    by_function.put(PASSWORD, "rotated-one")

    done = ops(by_function, "rollback", PASSWORD, "--yes")

    assert done.status == 0
    assert "The database still has the newer password" in done.err
    assert by_function.current(PASSWORD) == by_function.values[PASSWORD]


@pytest.mark.parametrize(
    ("value", "key", "warnings"),
    [
        ("one-line", None, []),
        ("x\ny", None, ["the value has 2 lines"]),
        ("pasted\n", "A", ["the value begins or ends in white space, such as a pasted line break"]),
        ('{"A": "x\\n", "B": "y"}', None, ["key A begins or ends in white space, such as a pasted line break"]),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None, []),
    ],
)
def test_doubtful_values_are_warned_of(value: str, key: str | None, warnings: list[str]) -> None:
    assert list(_doubts(value, key)) == warnings


# --- AWSPENDING ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rotated(by_function: Stack) -> Stack:
    """A stack whose database password a function has rotated: AWSPENDING stays with the version that it created.

    Source: AWS, "Rotate AWS Secrets Manager secrets", finishSecret: the label may be attached to the same version as AWSCURRENT.
    """
    by_function.move(PASSWORD, "AWSCURRENT", to=by_function.put(PASSWORD, "made-by-rotation", "AWSPENDING"))
    return by_function


def test_rollback_takes_awspending_off_the_version_that_it_leaves(rotated: Stack, put: Put, ops: Any) -> None:
    left = rotated.labels(PASSWORD)["AWSCURRENT"]

    assert ops(rotated, "rollback", PASSWORD, "--yes").status == 0

    found = rotated.labels(PASSWORD)
    assert "AWSPENDING" not in found
    assert found["AWSPREVIOUS"] == left
    assert rotated.current(PASSWORD) == rotated.values[PASSWORD]
    # What followed before was refused, as if a rotation had not ended.
    assert put(rotated, PASSWORD, "as-reset-in-the-database").status == 0


def test_set_takes_awspending_off_the_version_that_it_leaves(by_function: Stack, put: Put) -> None:
    # In one call: of a version that became current by a move of the label, moto does not know that it is.
    by_function.put(PASSWORD, "made-by-rotation", "AWSCURRENT", "AWSPENDING")

    done = put(by_function, PASSWORD, "as-reset-in-the-database")

    assert (done.status, "Its function keeps rotating it" in done.err) == (0, True)
    assert by_function.current(PASSWORD) == "as-reset-in-the-database"
    assert "AWSPENDING" not in by_function.labels(PASSWORD)


@pytest.fixture
def rolled_back(rotated: Stack) -> Stack:
    """A stack whose rotated value was rolled back outside Pulumi, with AWSPENDING left where it was."""
    rotated.move(PASSWORD, "AWSCURRENT", to=rotated.labels(PASSWORD)["AWSPREVIOUS"])
    return rotated


@pytest.mark.parametrize("command", ["rollback", "set"])
def test_a_rotation_that_was_rolled_back_from_has_ended(rolled_back: Stack, ops: Any, command: str) -> None:
    assert ops(rolled_back, command, PASSWORD, "--yes", stdin=b"as-reset-in-the-database").status == 0
    assert "AWSPENDING" not in rolled_back.labels(PASSWORD)


def test_doctor_takes_a_left_over_awspending_off(rolled_back: Stack, ops: Any) -> None:
    found = next(f for f in ops(rolled_back, "doctor", "--json").json["findings"] if f["check"] == "rotation")

    assert "has AWSPENDING at the version that was rolled back from" in found["found"]
    words = found["fix"].split()
    assert words[words.index("--remove-from-version-id") + 1] == rolled_back.labels(PASSWORD)["AWSPENDING"]


@pytest.mark.parametrize("command", ["set", "rollback"])
def test_a_stuck_rotation_names_the_way_out(by_function: Stack, ops: Any, command: str) -> None:
    arn = by_function.arn(PASSWORD)
    for value in ("first-by-rotation", "second-by-rotation"):  # so that there is a version to go back to
        by_function.put(PASSWORD, value)
    stuck = by_function.put(PASSWORD, "in-waiting", "AWSPENDING")

    done = ops(by_function, command, PASSWORD, "--yes", stdin=b"x")

    assert done.status == 2
    assert f"a rotation of {PASSWORD} has not ended" in done.err
    assert by_function.current(PASSWORD) == "second-by-rotation"
    lines = [line.strip() for line in done.err.splitlines()]
    assert f"python -m ops rotate {PASSWORD} --stack dev" in lines
    assert f"aws secretsmanager cancel-rotate-secret --secret-id {arn} --region {by_function.region}" in lines
    (label,) = [line for line in lines if "update-secret-version-stage" in line]
    words = label.split()
    assert words[words.index("--remove-from-version-id") + 1] == stuck
    by_function.secrets.cancel_rotate_secret(SecretId=arn)
    by_function.move(PASSWORD, "AWSPENDING")
    assert ops(by_function, command, PASSWORD, "--yes", stdin=b"x").status == 0


def test_two_lines_through_a_pipe_are_asked_about_on_the_terminal(
    external: Stack, put: Put, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["y\n", "n\n", "y\n", "y\n"])

    @contextlib.contextmanager
    def terminal(_question: str) -> Generator[io.StringIO]:
        yield io.StringIO(next(answers))

    monkeypatch.setattr("ops._ask._terminal", terminal)

    refused = ops(external, "set", "payment-token", stdin=b"x\ny\n")
    assert (refused.status, external.current("payment-token")) == (2, FIRST)
    assert "The value has 2 lines. Continue? [y/N]" in refused.err

    meant = ops(external, "set", "payment-token", stdin=b"x\ny\n")
    assert (meant.status, external.current("payment-token")) == (0, "x\ny")

    unasked = put(external, "payment-token", "z\ny\n")
    assert (unasked.status, external.current("payment-token")) == (0, "z\ny")
    assert "warning: the value has 2 lines" in unasked.err
