"""An independent model of who owns a value, played against the real engine, the local AWS and a real PostgreSQL.

Rules are what users do; each changes a wish (configuration and catalogue) and runs `up`, or works on the secrets directly. The
model knows which change may move which value, what the database takes, and what belongs to somebody else. After each step:

- what was refused changed nothing in AWS, and said so;
- a live value changed only where the user asked for it, and never to one that was live before;
- the password at AWSCURRENT opens the database;
- a secret has the ARN that it had, and somebody else's secret is as it was;
- no value appeared in any output.
"""

import json
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import pg8000.native
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typer.testing import CliRunner

from ops.cli import app as ops_app
from sandbox import local_aws
from sandbox.postgresql import Database
from sandbox.rotation import Rotation
from tests.sandbox.account import everything
from tests.sandbox.stack_options import SINGLE_USER, given

KEYS = ("dbMasterPassword", "jwtSecret", "apiKey", "encryptionKey")
"""Configuration keys of the generated values."""

_FOREIGN = "made-by-terraform-0001"
_DATABASE = "db-master-password"


@dataclass(frozen=True)
class Wish:
    """The configuration and catalogue that the user wants. Secrets: the database's password, jwt-secret, two JSON secrets."""

    numbers: Mapping[str, int] = field(default_factory=dict[str, int])
    configured: Mapping[str, str] = field(default_factory=dict[str, str])
    rotation: bool = False
    jwt: str = "generated"  # external, absent, renamed, adopted
    api: str = "app-config"  # other-config, absent
    api_key: str = "apiKey"  # newApiKey
    window: int = 0

    def catalogue(self) -> str:
        """The whole file."""
        jwt = {
            "generated": 'TextSecret("jwt-secret", Generated("jwtSecret", keeps_previous=True), variable="JWT_SECRET"),',
            "renamed": 'TextSecret("signing-secret", Generated("jwtSecret", keeps_previous=True), variable="JWT_SECRET"),',
            "external": 'TextSecret("jwt-secret", External(), variable="JWT_SECRET"),',
        }
        api = {self.api: f'"API_KEY": Generated("{self.api_key}"),'}
        return f"""from model.declarations import *
SERVICES = (Service("app"),)
VARIABLES = (PlainVariable("DATABASE_HOST", "databaseHost"), PlainVariable("REDIS_HOST", "redisHost"))
CATALOGUE = (
    TextSecret("{_DATABASE}", Generated("dbMasterPassword"), variable="DB_PASSWORD"),
    {jwt.get(self.jwt, "" if self.jwt == "absent" else jwt["generated"])}
    JsonSecret("app-config", {{
        "ENCRYPTION_KEY": Generated("encryptionKey", keeps_previous=True),
        "SMTP_PASSWORD": Supplied("smtpPassword"), {api.get("app-config", "")}
    }}, variable="APP_CONFIG"),
    JsonSecret("other-config", {{"CONSTANT": Constant("c"), {api.get("other-config", "")}}}, variable="OTHER_CONFIG"),
)
IN_STACK = {{}}
APPLICATION = Application(SERVICES, CATALOGUE, VARIABLES, IN_STACK)
"""

    def key_of(self, secret: str, part: str) -> str:
        """The configuration key of a value."""
        keys = {"API_KEY": self.api_key, "ENCRYPTION_KEY": "encryptionKey", "SMTP_PASSWORD": "smtpPassword"}
        texts = {_DATABASE: "dbMasterPassword", "jwt-secret": "jwtSecret", "signing-secret": "jwtSecret"}
        return keys.get(part, "") if part else texts.get(secret, "")


Parts = dict[tuple[str, str], str]
"""Live values by secret and JSON key, "" for a text."""


class ValuesModel(RuleBasedStateMachine):
    """One stack and its life."""

    sandbox: Any
    make: Callable[[], Any]
    database: Database
    steps: list[str]
    """What was done, by all machines of a run."""

    @initialize()
    def start(self) -> None:
        self.copy = self.make()
        self.user = f"user_{uuid.uuid4().hex[:12]}"
        self.wish, self.seen = Wish(), set[str]()
        self.outputs: dict[str, Any] = {}
        self._strip_declared_keys()
        self._write(self.wish)
        self.sandbox.ok("preview", *self.copy.options)  # starts the local AWS
        running = local_aws.running(self.sandbox.home)
        assert running is not None
        self.aws, self._clients = running, dict[str, Any]()
        self.client = self._client("secretsmanager")
        self.foreign = self.client.create_secret(Name=f"terraform/{self.user}", SecretString=_FOREIGN)["ARN"]
        self.up("start", self.wish)
        assert self.outputs, "the first up must succeed"

    # --- what changes the wish ---

    @rule(key=st.sampled_from(KEYS), by=st.sampled_from([1, 1, 1, 2, -1]))
    def change_number(self, key: str, by: int) -> None:
        number = self.wish.numbers.get(key, 1) + by
        if number >= 1:
            self.up(f"rotations.{key} {by:+}", replace(self.wish, numbers={**self.wish.numbers, key: number}))

    @rule(key=st.sampled_from((*KEYS, "smtpPassword")), number=st.booleans())
    def configure_or_not(self, key: str, number: bool) -> None:  # noqa: FBT001 - drawn
        configured, numbers = dict(self.wish.configured), dict(self.wish.numbers)
        if configured.pop(key, None) is None:
            configured[key] = f"configured-{uuid.uuid4().hex}"
        elif number and key != "smtpPassword":
            numbers[key] = numbers.get(key, 1) + 1
        self.up(f"configure {key}, number {number}", replace(self.wish, configured=configured, numbers=numbers))

    @rule(key=st.sampled_from((*KEYS, "smtpPassword")))
    def configure_what_is_live(self, key: str) -> None:
        live = {self.wish.key_of(*where): value for where, value in self.parts().items()}
        if key in live:
            self.up(f"take {key} over", replace(self.wish, configured={**self.wish.configured, key: live[key]}))

    @rule()
    def switch_rotation(self) -> None:
        self.up("rotation", replace(self.wish, rotation=not self.wish.rotation))

    @rule(jwt=st.sampled_from(["generated", "external", "absent", "renamed", "adopted"]))
    def change_jwt(self, jwt: str) -> None:
        self.up(f"jwt {self.wish.jwt} -> {jwt}", replace(self.wish, jwt=jwt))

    @rule(api=st.sampled_from(["app-config", "other-config", "absent"]))
    def move_api_key(self, api: str) -> None:
        self.up(f"API_KEY -> {api}", replace(self.wish, api=api))

    @rule(key=st.sampled_from(["apiKey", "newApiKey"]))
    def rename_configuration_key(self, key: str) -> None:
        self.up(f"API_KEY from {key}", replace(self.wish, api_key=key))

    @rule(window=st.sampled_from([0, 7]))
    def change_window(self, window: int) -> None:
        self.up(f"window {window}", replace(self.wish, window=window))

    @rule()
    def refresh_and_up_again(self) -> None:
        self.say("refresh", self.sandbox.quick("refresh", *self.copy.options, *self._options(self.wish)))
        self.up("the same again", self.wish)

    # --- what works on the secrets ---

    @precondition(lambda self: self.wish.rotation)
    @rule()
    def rotate_by_the_function(self) -> None:
        before, variables = self.parts(), self.aws.credentials(self.copy.account).variables()
        rotation = Rotation.of(_DATABASE, self.outputs, self.aws.endpoint, self.sandbox.region, variables)
        rotation.carry_out(self.database, self.note)
        assert self.parts()[_DATABASE, ""] != before[_DATABASE, ""]
        self.note("rotate")

    @rule(key=st.sampled_from(["ENCRYPTION_KEY", "SMTP_PASSWORD", "API_KEY", "BY_HAND"]))
    def change_json_by_hand(self, key: str) -> None:
        arn = self.outputs["secret_arns"]["app-config"]
        document = json.loads(self.client.get_secret_value(SecretId=arn)["SecretString"])
        self.client.put_secret_value(
            SecretId=arn, SecretString=json.dumps({**document, key: f"by-hand-{uuid.uuid4().hex}"})
        )
        self.note(f"by hand: {key}")

    @rule()
    def change_the_database_password_by_hand(self) -> None:
        self.client.put_secret_value(
            SecretId=self.outputs["secret_arns"][_DATABASE], SecretString=f"by-hand-{uuid.uuid4().hex}"
        )
        self._tell_database()
        self.note("by hand: database")

    @rule(name=st.sampled_from(["jwt-secret", "app-config"]), verb=st.sampled_from(["set", "rollback"]))
    def use_ops(self, name: str, verb: str) -> None:
        if name not in self.outputs["secret_arns"]:
            return
        before = everything(self._client)
        file = self.copy.directory / "outputs.json"
        file.write_text(json.dumps(self.outputs), encoding="utf-8")
        arguments = [verb, name, "--stack", self.copy.stack, "--outputs", str(file), "--yes"]
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **self._variables()}
        with mock.patch.dict(os.environ, environment, clear=True):
            done = CliRunner().invoke(ops_app, arguments, input=f"by-ops-{uuid.uuid4().hex}".encode())
        self.say(f"ops {verb} {name}", done)
        if done.exit_code:
            assert everything(self._client) == before

    @rule()
    def drop_what_was_put_by_hand(self) -> None:
        """By the command that a refusal prints: AWSCURRENT back to Pulumi's own version, and the database follows."""
        for arn in self.outputs["secret_arns"].values():
            stages = self.client.describe_secret(SecretId=arn)["VersionIdsToStages"]
            current = next((v for v, labels in stages.items() if "AWSCURRENT" in labels), None)
            own = [v for v, labels in stages.items() if any(label.startswith("pulumi-live-") for label in labels)]
            if len(own) == 1 and current and own != [current]:
                self.client.update_secret_version_stage(
                    SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=own[0], RemoveFromVersionId=current
                )
        self._tell_database()
        self.note("drop")

    # --- what must hold ---

    @invariant()
    def the_password_opens_the_database(self) -> None:
        if self.outputs:
            assert self.database.accepts(self.user, self.parts()[_DATABASE, ""]), self.told()

    @invariant()
    def what_is_somebody_elses_is_as_it_was(self) -> None:
        if self.outputs and self.wish.jwt != "adopted":
            assert self.client.get_secret_value(SecretId=self.foreign)["SecretString"].startswith((_FOREIGN, "by-ops"))

    def up(self, what: str, wish: Wish) -> None:
        """Ask for a wish; one that is refused is given up."""
        account = everything(self._client) if self.outputs else {}
        before = self.parts() if self.outputs else {}
        arns = self.outputs.get("secret_arns", {})
        self._write(wish)
        result = self.sandbox.quick("up", *self.copy.options, *self._options(wish))
        refused = result.status != 0
        self.say(f"up: {what}{' (refused)' if refused else ''}", result)
        if refused:
            self.note(f"said: {result.err.strip().splitlines()[-1][:200] if result.err.strip() else ''}")
            assert result.status == 1, result.err
            assert "Nothing was changed" in result.err or "configuration problem" in result.err, result.err
            assert everything(self._client) == account, self.told()
            self._write(self.wish)
            return
        self.outputs = self.sandbox.ok("outputs", *self.copy.options)
        after = self.parts()
        for name in {*arns} & {*self.outputs["secret_arns"]}:
            assert self.outputs["secret_arns"][name] == arns[name], self.told()
        for where in {*before} & {*after}:
            if before[where] != after[where]:
                self._explain(where, wish, before, after)
        for (name, key), value in before.items():
            # A value that moves, or whose secret is renamed, is the same one.
            other = {("app-config", "API_KEY"): ("other-config", "API_KEY"), ("jwt-secret", ""): ("signing-secret", "")}
            moved = {**other, **{b: a for a, b in other.items()}}.get((name, key))
            if moved in after and (name, key) not in after and wish.configured == self.wish.configured:
                assert after[moved] == value, self.told()
        self.wish = wish
        self._tell_database(create=not arns)
        self.seen |= {*before.values(), *after.values()}

    def _explain(self, where: tuple[str, str], wish: Wish, before: Parts, after: Parts) -> None:
        name, part = where
        if part.endswith("_PREVIOUS"):
            return  # follows from its key, below
        key, value = wish.key_of(name, part), after[where]
        old, new = self.wish.configured.get(key), wish.configured.get(key)
        if new is not None:
            assert (value, old != new) == (new, True), self.told()
        elif key == "smtpPassword":
            assert old is not None, self.told()  # back to the sandbox's stand-in: the configuration's value, too
        else:
            assert wish.numbers.get(key, 1) == self.wish.numbers.get(key, 1) + 1, self.told()
            assert value not in self.seen, f"{self.told()}: an older value came back"
            if part == "ENCRYPTION_KEY":
                assert after[name, "ENCRYPTION_KEY_PREVIOUS"] == before[where], self.told()

    # --- tools ---

    def parts(self) -> Parts:
        """The live values."""
        return dict(self._parts())

    def _parts(self) -> Iterator[tuple[tuple[str, str], str]]:
        for name, arn in self.outputs["secret_arns"].items():
            try:
                text = self.client.get_secret_value(SecretId=arn)["SecretString"]
            except self.client.exceptions.ResourceNotFoundException:
                continue  # external, without a value
            values = json.loads(text) if name.endswith("-config") else {"": text}
            yield from (((name, key), value) for key, value in values.items())

    def note(self, what: str) -> None:
        """Remember a step."""
        self.steps.append(f"{self.copy.stack}: {what}")

    def say(self, what: str, result: Any) -> None:
        """Remember a step, and look for values in what it printed."""
        self.note(what)
        printed = result.out + result.err if hasattr(result, "out") else result.output
        values = {*self.seen, *(self.parts().values() if self.outputs else ()), *self.wish.configured.values()} - {"c"}
        assert not [value for value in values if value in printed], f"{self.told()}: a value was printed"

    def told(self) -> str:
        """The way here."""
        return " | ".join(step for step in self.steps if step.startswith(self.copy.stack))

    def _tell_database(self, *, create: bool = False) -> None:
        """What an operator does who changes the password by configuration or by hand: the database gets it, too."""
        password = pg8000.native.literal(self.parts()[_DATABASE, ""])
        self.database.sql(f"{'CREATE' if create else 'ALTER'} ROLE {self.user} LOGIN PASSWORD {password}")

    def _options(self, wish: Wish) -> tuple[str, ...]:
        config: dict[str, Any] = {"recoveryWindowInDays": str(wish.window)}
        if wish.numbers:
            config["rotations"] = dict(wish.numbers)
        if wish.rotation:
            config["rotation"] = {**SINGLE_USER, "username": self.user}
        if wish.jwt == "adopted":
            config["adopt"] = {"jwt-secret": self.foreign}
        secret = tuple(part for key, value in wish.configured.items() for part in ("-c", f"secret:{key}={value}"))
        return (*given(**config), *secret)

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.sandbox.aws(service, self.copy)
        return self._clients[service]

    def _variables(self) -> dict[str, str]:
        region = {"AWS_REGION": self.sandbox.region, "AWS_DEFAULT_REGION": self.sandbox.region}
        return {"AWS_ENDPOINT_URL": self.aws.endpoint, **region, **self.aws.credentials(self.copy.account).variables()}

    def _write(self, wish: Wish) -> None:
        (self.copy.directory / "catalogue.py").write_text(wish.catalogue(), encoding="utf-8")

    def _strip_declared_keys(self) -> None:
        """Secrets are given or not, whatever the catalogue of the moment has."""
        path = self.copy.directory / "Pulumi.yaml"
        text = path.read_text(encoding="utf-8")
        for key in (*KEYS, "redisPassword", "webhookSecret", "smtpPassword", "cloudflareToken", "dbAppUserPassword"):
            text = re.sub(rf"  {key}:\n(    .*\n)+", "", text)
        path.write_text(text, encoding="utf-8")
