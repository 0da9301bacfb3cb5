"""Each way in which a live value was once lost or stranded, on the real engine; every command that a refusal prints is pasted."""

import json
import shlex
from collections.abc import Callable
from functools import cached_property
from typing import Any

import pytest

from tests.sandbox.stack_options import ALTERNATING, SINGLE_USER, given, refused, values, with_application_user

Make = Callable[..., Any]


class Stack:
    """A stack and its user: numbers and configured values as they stand in the configuration."""

    def __init__(self, sandbox: Any, copy: Any) -> None:
        self.sandbox, self.copy = sandbox, copy
        self.numbers: dict[str, int] = {}
        self.config: dict[str, Any] = {}
        self.secret: dict[str, str] = {}

    @cached_property
    def client(self) -> Any:
        return self.sandbox.aws("secretsmanager", self.copy)

    def _options(self) -> tuple[str, ...]:
        secret = tuple(part for key, value in self.secret.items() for part in ("-c", f"secret:{key}={value}"))
        return (*self.copy.options, *given(**self.config, rotations=self.numbers), *secret)

    def up(self) -> dict[str, Any]:
        return self.sandbox.ok("up", *self._options())

    def refused(self) -> list[str]:
        return refused(self.sandbox, self.copy, *self._options()[len(self.copy.options) :]).splitlines()

    def paste(self, said: list[str], *, stdin: str = "", last: int = 0) -> list[str]:
        """Run the commands of a refusal (the last of them), each in its own way here; `stdin` is what is typed."""
        lines = [line for line in said if line.startswith("  ") and line.split()[0] in _TOOLS][-last:]
        commands = [shlex.split(line, comments=True) for line in lines]
        for words in commands:
            options = dict(zip(words, [*words[1:], ""], strict=True))
            if words[:3] == ["python", "-m", "ops"]:
                yes = () if words[3] == "keep" else ("--yes",)
                file = self.sandbox.outputs_file(self.copy)
                done = self.sandbox.ops(self.copy, *words[3:], "--outputs", file, *yes, stdin=stdin)
                assert done.status == 0, done.err
            elif words[:6] == ["python", "-m", "sandbox", "config", "set", "--secret"]:
                assert self.sandbox.command(*words[3:], stdin=stdin).status == 0
                self.secret[words[6]] = stdin
            elif words[:5] == ["python", "-m", "sandbox", "config", "set"]:
                assert self.sandbox.quick(*words[3:]).status == 0
                self.numbers[words[5].removeprefix("rotations.")] = int(words[6])
            elif words[:4] == ["python", "-m", "sandbox", "refresh"]:
                self.sandbox.ok("refresh", *self._options())
            elif words[:3] == ["aws", "secretsmanager", "cancel-rotate-secret"]:
                self.client.cancel_rotate_secret(SecretId=options["--secret-id"])
            elif words[0] == "aws":
                moved = {"RemoveFromVersionId": options["--remove-from-version-id"]}
                if "--move-to-version-id" in options:
                    moved["MoveToVersionId"] = options["--move-to-version-id"]
                self.client.update_secret_version_stage(
                    SecretId=options["--secret-id"], VersionStage=options["--version-stage"], **moved
                )
            else:
                raise AssertionError(f"what is {words}?")
        return [" ".join(words[:4]) for words in commands]

    def exported(self) -> dict[str, Any]:
        """The state, values encrypted."""
        file = self.copy.directory / "state.json"
        done = self.sandbox.quick("pulumi", *self.copy.options, "--", "stack", "export", "--file", str(file))
        assert done.status == 0, done.err
        return json.loads(file.read_text(encoding="utf-8"))

    def imported(self, state: dict[str, Any]) -> None:
        file = self.copy.directory / "state.json"
        file.write_text(json.dumps(state), encoding="utf-8")
        done = self.sandbox.quick("pulumi", *self.copy.options, "--", "stack", "import", "--file", str(file))
        assert done.status == 0, done.err

    def app(self) -> dict[str, str]:
        return json.loads(values(self.sandbox, self.copy)["app-config"])

    def text(self, stage: str = "AWSCURRENT") -> str:
        full_name = f"{self.copy.name}-{self.copy.stack}-jwt-secret"
        return self.client.get_secret_value(SecretId=full_name, VersionStage=stage)["SecretString"]

    def put(self, name: str, value: str) -> None:
        self.client.put_secret_value(SecretId=f"{self.copy.name}-{self.copy.stack}-{name}", SecretString=value)

    def is_healthy_with(self, app: dict[str, str]) -> None:
        """`up` passes, changes no value of app-config, and leaves nothing to do."""
        self.up()
        assert {key: value for key, value in self.app().items() if key in app} == app
        assert self.sandbox.ok("preview", "--expect-no-changes", *self._options())["changes"] == []

    def edit(self, old: str, new: str, *, file: str = "catalogue.py") -> None:
        path = self.copy.directory / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def previous_of_the_text(self) -> str:
        """The value before as the container gets it."""
        found = self.sandbox.ok("outputs", *self.copy.options)["services"]["app"]["container_secrets"]
        return self.text(found["JWT_SECRET_PREVIOUS"].split(":")[-2])


_TOOLS = {"python", "pulumi", "aws"}


def test_the_value_before_is_the_last_live_one_that_differs(sandbox: Any, project_copy: Make) -> None:
    stack = Stack(sandbox, project_copy())
    stack.secret = {"apiKey": "a-configured-api-key-0123456789"}
    stack.up()
    first, jwt = stack.app(), [stack.text()]
    stack.secret |= {"encryptionKey": "a-configured-key-of-32-bytes-001", "jwtSecret": "a-configured-jwt-secret-0001"}
    stack.numbers = {"encryptionKey": 2, "jwtSecret": 2}
    stack.up()

    # A configured value that stays while its number goes up: the value before stays, too. keeps_previous together with the next
    # number, of a value that was configured and is generated from now on.
    stack.edit('Generated("apiKey", length=40)', 'Generated("apiKey", length=40, keeps_previous=True)')
    configured = stack.secret.pop("apiKey")
    stack.numbers = {"encryptionKey": 3, "jwtSecret": 3, "apiKey": 2}
    stack.up()
    assert stack.app()["ENCRYPTION_KEY"] == stack.secret["encryptionKey"]
    assert stack.app()["ENCRYPTION_KEY_PREVIOUS"] == first["ENCRYPTION_KEY"]
    assert (stack.text(), stack.previous_of_the_text()) == (stack.secret["jwtSecret"], jwt[0])
    assert stack.app()["API_KEY_PREVIOUS"] == configured != stack.app()["API_KEY"]
    state = sandbox.checkpoint_path(stack.copy).read_text(encoding="utf-8")
    assert [value for value in stack.app().values() if value in state] == []

    # A text's value before survives a value that was set by hand and dropped, as the refusal says.
    stack.put("jwt-secret", "set-by-hand-and-dropped-1")
    jwt.append(stack.secret.pop("jwtSecret"))
    stack.numbers["jwtSecret"] = 4
    assert stack.paste(stack.refused(), last=1) == ["aws secretsmanager update-secret-version-stage --secret-id"]
    assert (stack.text(), stack.previous_of_the_text()) == (jwt[1], jwt[0])
    stack.up()
    assert stack.previous_of_the_text() == jwt[1] != stack.text()
    assert stack.app()["ENCRYPTION_KEY_PREVIOUS"] == first["ENCRYPTION_KEY"]


@pytest.mark.slow
def test_a_number_raised_by_mistake_is_lowered_by_the_printed_commands(sandbox: Any, project_copy: Make) -> None:
    """One that was only refused is lowered as it is; one that is live gives its value back under the next number."""
    stack = Stack(sandbox, project_copy())
    stack.up()
    first, jwt = stack.app(), stack.text()
    numbers = {"encryptionKey": 2, "jwtSecret": 2, "apiKey": 2}
    stack.numbers = dict(numbers)
    stack.up()
    second, jwt_2 = stack.app(), stack.text()
    stack.numbers = {"apiKey": 4}
    said = stack.refused()
    assert sorted(line.split(":")[0] for line in said if "can only become 3" in line) == [
        "app-config key API_KEY", "app-config key ENCRYPTION_KEY", "jwt-secret",
    ]  # fmt: skip
    stack.paste(said)
    assert stack.numbers == dict.fromkeys(numbers, 3)
    stack.up()
    assert {key: value for key, value in stack.app().items() if key in first} == first
    assert stack.app()["ENCRYPTION_KEY_PREVIOUS"] == second["ENCRYPTION_KEY"]
    assert (stack.text(), stack.previous_of_the_text()) == (jwt, jwt_2)
    assert sandbox.ok("preview", "--expect-no-changes", *stack._options())["changes"] == []

    # Rolled back by hand: the lower number fits what is live.
    stack.put("app-config", json.dumps({**stack.app(), "WEBHOOK_SECRET": first["WEBHOOK_SECRET"]}))
    stack.numbers["webhookSecret"] = 2
    stack.up()
    stack.put("app-config", json.dumps({**stack.app(), "WEBHOOK_SECRET": first["WEBHOOK_SECRET"]}))
    stack.numbers["webhookSecret"] = 1
    stack.up()
    assert stack.app()["WEBHOOK_SECRET"] == first["WEBHOOK_SECRET"]


@pytest.mark.slow
def test_refusals_of_another_source_print_commands_that_keep_the_value(sandbox: Any, project_copy: Make) -> None:
    stack = Stack(sandbox, project_copy())
    stack.secret["apiKey"] = "a-configured-api-key-0123456789"
    stack.up()
    live = stack.app()

    # A configured value that is missing: it is set again, or taken from the live secret, or a new one is asked for.
    configured = stack.secret.pop("apiKey")
    said = stack.refused()
    assert any("apiKey was set and is no longer" in line for line in said)
    assert stack.paste([line for line in said if " ops keep " in line]) == ["python -m ops keep"]
    stack.is_healthy_with(live)
    assert sandbox.quick("config", "rm", "apiKey", *stack.copy.options).status == 0
    assert stack.refused() == said
    stack.paste([line for line in said if "--secret apiKey" in line], stdin=configured)
    assert stack.secret == {"apiKey": configured}
    stack.is_healthy_with(live)

    # Another configuration key in the catalogue.
    stack.edit('Generated("webhookSecret")', 'Generated("hookSecret")')
    said = stack.refused()
    assert any("is now generated for hookSecret, no longer for webhookSecret" in line for line in said)
    stack.paste(said, stdin=live["WEBHOOK_SECRET"])
    stack.is_healthy_with(live)

    # A value that a server accepts, too; tests/ops/test_rotate_both_sides.py has the command that changes both.
    both_sides = f"  python -m ops rotate app-config --key REDIS_PASSWORD --stack {stack.copy.stack}"
    stack.numbers["redisPassword"] = 2
    said = stack.refused()
    assert said[-1] == both_sides
    stack.paste(said[:-1])
    assert stack.numbers["redisPassword"] == 1
    stack.is_healthy_with(live)
    stack.secret["redisPassword"] = "a-redis-password-of-nobody-01"
    said = stack.refused()
    assert said[-1] == both_sides
    del stack.secret["redisPassword"]  # it was for one run; `ops keep` sets it for all
    assert stack.paste(said[:-1]) == ["python -m ops keep"]
    stack.is_healthy_with(live)


@pytest.mark.slow
def test_refusals_of_a_lost_value_or_number_print_commands_that_keep_the_value(
    sandbox: Any, project_copy: Make
) -> None:
    stack = Stack(sandbox, project_copy())
    stack.numbers["jwtSecret"] = 2
    stack.up()
    live, text, previous = stack.app(), stack.text(), stack.previous_of_the_text()

    # The state has lost a generated value.
    state = stack.exported()
    resources = state["deployment"]["resources"]
    (urn,) = (r["urn"] for r in resources if r["urn"].endswith("-encryptionKey-1") and "RandomPassword" in r["type"])
    state["deployment"]["resources"] = [r for r in resources if r["urn"] != urn]
    for r in resources:
        by_property = r.get("propertyDependencies", {}).values()
        for after in (r.get("dependencies") or [], *(found or [] for found in by_property)):
            after[:] = [one for one in after if one != urn]
    stack.imported(state)
    said = stack.refused()
    assert any("ENCRYPTION_KEY: the state has lost its generated value" in line for line in said)
    assert stack.paste(said) == ["python -m ops keep"]
    stack.is_healthy_with(live)

    # A number while a function rotates the value.
    stack.config["rotation"] = SINGLE_USER
    stack.up()
    stack.numbers["dbMasterPassword"] = 2
    said = stack.refused()
    assert said[-1].startswith("  python -m ops rotate db-master-password")
    stack.paste(said[:-1])
    assert stack.numbers["dbMasterPassword"] == 1
    stack.is_healthy_with(live)

    # The value before is kept under the configuration key that it has.
    stack.edit('Generated("jwtSecret"', 'Generated("otherSecret"')
    stack.secret["otherSecret"] = "another-jwt-secret-0123456789"
    stack.numbers["otherSecret"] = stack.numbers.pop("jwtSecret")
    assert any("Set jwtSecret again" in line for line in stack.refused())
    stack.edit('Generated("otherSecret"', 'Generated("jwtSecret"')
    stack.secret, stack.numbers["jwtSecret"] = {}, stack.numbers.pop("otherSecret")
    stack.is_healthy_with(live)
    assert (stack.text(), stack.previous_of_the_text()) == (text, previous)


@pytest.mark.slow
def test_an_older_value_that_came_back_is_kept_and_named(sandbox: Any, project_copy: Make, tmp_path: Any) -> None:
    """Backup, a new value, restore of the backup, then an unrelated `up`."""
    stack = Stack(sandbox, project_copy())
    stack.up()
    old = stack.app()
    key = sandbox.aws("kms", stack.copy).create_key()["KeyMetadata"]["Arn"]
    file = str(tmp_path / "backup.json")
    at = ("--stack", stack.copy.stack, "--outputs", sandbox.outputs_file(stack.copy))
    made = sandbox.ops(stack.copy, "backup", "--to", file, "--kms-key", key, *at)
    assert made.status == 0, made.err
    stack.numbers["apiKey"] = 2
    stack.up()
    restored = sandbox.ops(stack.copy, "restore", file, "--kms-key", key, *at, "--yes")
    assert restored.status == 0, restored.err
    assert stack.app()["API_KEY"] == old["API_KEY"]

    stack.secret["smtpPassword"] = "an-unrelated-smtp-password"
    said = stack.refused()
    assert any("app-config: " in line and "API_KEY" in line for line in said), said
    stack.paste([line for line in said if " ops keep " in line])
    stack.up()
    assert stack.app() == {**old, "SMTP_PASSWORD": stack.secret["smtpPassword"]}


JSON = 'JsonSecret("jwt-secret", {"TOKEN": Generated("KEY")}, variables={"TOKEN": "JWT_SECRET"})'


@pytest.mark.slow
@pytest.mark.parametrize("config_key", ["jwtSecret", "otherSecret"])
def test_a_text_becomes_json_in_steps_that_keep_every_revision_alive(
    sandbox: Any, project_copy: Make, config_key: str
) -> None:
    copy = project_copy()
    project = (copy.directory / "Pulumi.yaml").read_text(encoding="utf-8")
    (copy.directory / "Pulumi.yaml").write_text(project.replace("  jwtSecret:", "  otherSecret:", 1), encoding="utf-8")
    stack = Stack(sandbox, copy)
    stack.config["recoveryWindowInDays"] = "7"
    stack.up()
    live, same = stack.text(), config_key == "jwtSecret"
    text = 'TextSecret("jwt-secret", Generated("jwtSecret", length=64, keeps_previous=True), variable="JWT_SECRET")'
    json_ = JSON.replace("KEY", config_key)
    if not same:
        stack.secret["otherSecret"] = "another-value-0123456789abcdef"
    stack.edit(text, json_)
    said = "\n".join(stack.refused())
    assert "jwt-secret: is a text and would become a JSON" in said
    assert stack.text() == live

    # The steps: another name that gets the variable, and the old entry out later.
    kept = json_.replace("Generated(", "Generated(length=64, keeps_previous=True, config_key=") if same else json_
    moved = kept.replace('"jwt-secret"', '"jwt-json"')
    stack.edit(json_, text.replace(', variable="JWT_SECRET"', "") + ",\n    " + moved)
    stack.up()
    assert stack.text() == live
    token = json.loads(values(sandbox, copy)["jwt-json"])["TOKEN"]
    assert token == (live if same else stack.secret["otherSecret"])
    stack.edit(text.replace(', variable="JWT_SECRET"', "") + ",\n", "")
    stack.up()
    assert json.loads(values(sandbox, copy)["jwt-json"])["TOKEN"] == token


@pytest.mark.slow
def test_a_key_of_a_rotated_secret_is_live_before_anything_refers_to_it(sandbox: Any, project_copy: Make) -> None:
    stack = Stack(sandbox, with_application_user(project_copy()))
    stack.config["rotation"] = ALTERNATING
    stack.up()
    live = values(sandbox, stack.copy)["db-app-user"]
    stack.edit(
        'Generated("dbAppUserPassword", accepted_by=DATABASE)},\n            variables={',
        'Generated("dbAppUserPassword", accepted_by=DATABASE), "schema": Constant("tickets")},\n'
        '            variables={"schema": "DB_SCHEMA", ',
    )
    said = stack.refused()
    assert stack.paste(said, stdin="tickets") == ["python -m ops set"]
    stack.up()
    now = json.loads(values(sandbox, stack.copy)["db-app-user"])
    assert now == {**json.loads(live), "schema": "tickets"}
    found = sandbox.ok("outputs", *stack.copy.options)["services"]["app"]["container_secrets"]
    assert found["DB_SCHEMA"].endswith(":schema::")


@pytest.mark.parametrize("number", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_texts_value_before_outlives_an_interrupted_put_that_is_put_again(
    sandbox: Any, project_copy: Make, number: int
) -> None:
    """AWS has the new value, the state does not: the next `up` sets it once more, and AWSPREVIOUS moves to the same value."""
    stack = Stack(sandbox, project_copy())
    for last in range(1, number):
        stack.numbers["jwtSecret"] = last
        stack.up()
    old, before = stack.exported(), stack.text()
    stack.numbers["jwtSecret"] = number
    stack.up()
    new, after = stack.exported(), stack.text()
    put = {r["urn"]: r for r in old["deployment"]["resources"] if r["urn"].endswith("-jwt-secret-value")}
    assert len(put) == 1
    new["deployment"]["resources"] = [put.get(r["urn"], r) for r in new["deployment"]["resources"]]
    stack.imported(new)

    stack.up()

    assert stack.text() == after != before
    assert stack.text("AWSPREVIOUS") == after, "it was put again"
    assert stack.previous_of_the_text() == before
    assert sandbox.ok("preview", "--expect-no-changes", *stack._options())["changes"] == []


@pytest.mark.slow
def test_a_secret_that_is_gone_is_created_again_as_the_refusal_says(sandbox: Any, project_copy: Make) -> None:
    stack = Stack(sandbox, project_copy())
    stack.up()
    stack.client.delete_secret(
        SecretId=f"{stack.copy.name}-{stack.copy.stack}-jwt-secret", ForceDeleteWithoutRecovery=True
    )
    stack.numbers["jwtSecret"] = 2
    assert stack.paste(stack.refused()) == ["python -m sandbox refresh"]
    stack.up()
    assert stack.text() != stack.previous_of_the_text()
    assert sandbox.ok("preview", "--expect-no-changes", *stack._options())["changes"] == []


@pytest.mark.slow
def test_a_rotation_that_has_not_ended_is_cancelled_as_the_refusal_says(sandbox: Any, project_copy: Make) -> None:
    stack = Stack(sandbox, with_application_user(project_copy()))
    stack.edit('Generated("dbAppUserPassword", accepted_by=DATABASE)', 'Generated("dbAppUserPassword")')
    stack.config["rotation"] = ALTERNATING
    stack.up()
    live, full_name = values(sandbox, stack.copy)["db-app-user"], f"{stack.copy.name}-{stack.copy.stack}-db-app-user"
    stack.client.put_secret_value(
        SecretId=full_name, SecretString=live.replace("ticketing", "ticketing_clone"), VersionStages=["AWSPENDING"]
    )
    del stack.config["rotation"]
    stack.secret["dbAppUserPassword"] = "a-configured-password-0123456789"
    said = stack.refused()
    assert any("db-app-user: a rotation is in progress" in line for line in said), said
    assert stack.paste(said, last=2) == [
        "aws secretsmanager cancel-rotate-secret --secret-id",
        "aws secretsmanager update-secret-version-stage --secret-id",
    ]
    stack.up()
    now = json.loads(values(sandbox, stack.copy)["db-app-user"])
    assert now == {"username": "ticketing", "password": stack.secret["dbAppUserPassword"]}
