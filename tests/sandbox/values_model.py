"""An independent model of who owns a value, played against the real engine, the local AWS and a real PostgreSQL.

Rules are what users do; each changes a wish (configuration and catalogue) and runs `up`, or works on the secrets directly. The
model knows which change may move which value, what the database takes, and what belongs to somebody else. After each step:

- what was refused changed nothing in AWS, and said so;
- a live value changed only where the user asked for it, and never to one that was live before;
- the passwords at AWSCURRENT open the database;
- a secret has the ARN that it had, and somebody else's secrets are as they were;
- no value appeared in any output.

Hypothesis draws one number for each life; everything else follows from it, whatever happens, so that a seed always plays the
same lives. Left to itself it would play one kind of step most of the time: it looks for short and simple lives.
"""

import contextlib
import json
import random
import re
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pg8000.native
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from components.references import parse_value_from
from sandbox import local_aws
from sandbox.errors import SandboxError
from sandbox.postgresql import Database
from sandbox.rotation import Rotation
from tests.sandbox.account import everything
from tests.sandbox.stack_options import ALTERNATING, SINGLE_USER, given

KEYS = ("dbMasterPassword", "dbAppUserPassword", "jwtSecret", "apiKey", "encryptionKey")
"""Configuration keys of the generated values."""

_FOREIGN = "made-by-terraform-0001"
_MASTER, _APPLICATION_USER = "db-master-password", "db-app-user"
_ROTATED = {"single-user": _MASTER, "alternating-users": _APPLICATION_USER}
_SOURCE = {
    (_MASTER, ""): "dbMasterPassword",
    (_APPLICATION_USER, "password"): "dbAppUserPassword",
    ("jwt-secret", ""): "jwtSecret",
    ("jwt-secret", "TOKEN"): "jwtSecret",
    ("signing-secret", ""): "jwtSecret",
    ("app-config", "ENCRYPTION_KEY"): "encryptionKey",
    ("app-config", "SMTP_PASSWORD"): "smtpPassword",
}
"""The configuration key of each value but API_KEY's."""

_SAME = {("app-config", "API_KEY"): ("other-config", "API_KEY"), ("jwt-secret", ""): ("signing-secret", "")}
"""A value that moves, or whose secret is renamed, is the same one."""


_AFTER_RECOVER = ", after ops recover"


class Broken(BaseException):
    """A law that did not hold, or a step that could not be played.

    Hypothesis does not play the life again for it, which would take minutes and may end otherwise.
    """


@dataclass(frozen=True)
class Wish:
    """The configuration and catalogue that the user wants."""

    user: str
    """The database's master; the application's user and a clone are called after it."""

    foreign: Mapping[str, str]
    """ARNs of secrets that somebody else owns: one to adopt, one to read."""

    numbers: Mapping[str, int] = field(default_factory=dict[str, int])
    configured: dict[str, str] = field(default_factory=dict[str, str])
    rotation: str = ""  # single-user, alternating-users
    jwt: str = "generated"  # external, absent, renamed, adopted, json
    api: str = "app-config"  # other-config, both, unreferenced, absent
    api_key: str = "apiKey"  # newApiKey
    keeps: str = "True"  # False, None: whether the value before ENCRYPTION_KEY is kept
    schema: bool = False
    """Whether db-app-user has a further key with a variable."""

    window: int = 0

    def catalogue(self) -> str:
        """The whole file."""
        jwt = {
            "renamed": 'TextSecret("signing-secret", Generated("jwtSecret", keeps_previous=True), variable="JWT_SECRET"),',
            "external": 'TextSecret("jwt-secret", External(), variable="JWT_SECRET"),',
            "json": 'JsonSecret("jwt-secret", {"TOKEN": Generated("jwtSecret")}, variables={"TOKEN": "JWT_SECRET"}),',
            "absent": "",
        }
        own_jwt = 'TextSecret("jwt-secret", Generated("jwtSecret", keeps_previous=True), variable="JWT_SECRET"),'
        key, named = f'"API_KEY": Generated("{self.api_key}"),', '"API_KEY"'
        schema = '"schema": Constant("c")' if self.schema else ""
        here, there = self.api in {"app-config", "both", "unreferenced"}, self.api in {"other-config", "both"}
        return f"""from config.declarations import *
SERVICES = (Service("app"),)
VARIABLES = (PlainVariable("DATABASE_HOST", "databaseHost"), PlainVariable("REDIS_HOST", "redisHost"))
CATALOGUE = (
    TextSecret("{_MASTER}", Generated("dbMasterPassword"), variable="DB_PASSWORD"),
    JsonSecret("{_APPLICATION_USER}", {{
        "username": Constant("{self.user}_app"), "password": Generated("dbAppUserPassword"), {schema}
    }}, variable="DB_APP_USER", variables={{{'"schema": "DB_SCHEMA"' if self.schema else ""}}}),
    {jwt.get(self.jwt, own_jwt)}
    JsonSecret("app-config", {{
        "ENCRYPTION_KEY": Generated("encryptionKey", keeps_previous={self.keeps}),
        "SMTP_PASSWORD": Supplied("smtpPassword"), {key if here else ""}
    }}, variables=["ENCRYPTION_KEY", "SMTP_PASSWORD", {named if self.api == "app-config" else ""}]),
    JsonSecret("other-config", {{
        "CONSTANT": Constant("c"), {key if there else ""}
    }}, variables=["CONSTANT", {named if there else ""}]),
    ForeignSecret("partner-token", "another team", variable="PARTNER_TOKEN"),
)
IN_STACK = {{}}
APPLICATION = Application(SERVICES, CATALOGUE, VARIABLES, IN_STACK)
"""

    def options(self) -> tuple[str, ...]:
        """The configuration that is not in the stack's file, but for secret values."""
        config: dict[str, Any] = {
            "recoveryWindowInDays": str(self.window),
            "foreignSecrets": {"partner-token": self.foreign["partner"]},
        }
        if self.rotation == "single-user":
            config["rotation"] = {**SINGLE_USER, "username": self.user}
        elif self.rotation:
            config["rotation"] = {**ALTERNATING, "username": self.user}
        return given(**config)

    def in_file(self) -> dict[str, Any]:
        """The configuration that is in the stack's file, where `ops recover` looks for it."""
        adopt = {"adopt": {"jwt-secret": self.foreign["adopted"]}} if self.jwt == "adopted" else {}
        return {**({"rotations": dict(self.numbers)} if self.numbers else {}), **adopt}

    def source(self, secret: str, part: str) -> str:
        """The configuration key of a value, "" for one that no configuration sets."""
        return self.api_key if part == "API_KEY" else _SOURCE.get((secret, part), "")


Parts = dict[tuple[str, str], str]
"""Live values by secret and JSON key, "" for a text."""


Step = tuple[Callable[..., None], Mapping[str, Sequence[Any]]]
"""What is done, and what each of its arguments is chosen from."""

STEPS: list[Step] = []
"""Every kind of step."""


def step(**choices: Sequence[Any]) -> Callable[[Any], Any]:
    """A kind of step. `choices` are its arguments' values; one that stands there twice is chosen twice as often."""

    def decorate(function: Any) -> Any:
        STEPS.append((function, choices))
        return function

    return decorate


class Bag:
    """Gives each kind of step once before it gives one of them again, in an order that the lives' seeds decide."""

    def __init__(self) -> None:
        self._left: list[Step] = []

    def take(self, chance: random.Random) -> tuple[Callable[..., None], dict[str, Any]]:
        """Take a step and choose its arguments."""
        if not self._left:
            self._left = chance.sample(STEPS, len(STEPS))
        function, choices = self._left.pop()
        return function, {name: chance.choice(values) for name, values in choices.items()}


class ValuesModel(RuleBasedStateMachine):
    """One stack and its life."""

    sandbox: Any
    make: Any
    database: Database
    bag: Bag
    steps: list[str]
    """What was done, by all machines of a run, as the two below."""

    counts: Counter[str]
    """How often each rule was played, and how often the program refused it."""

    salt: str = ""
    """The seed of a run: Hypothesis draws the same number for the first life of each."""

    broken: str = ""
    """What did not hold."""

    @initialize(seed=st.integers(0, 2**32 - 1))
    def start(self, seed: int) -> None:
        self.chance = random.Random(f"{self.salt}{seed}" if self.salt else seed)  # noqa: S311 - nothing here is a secret
        self._account: dict[str, Any] | None = None
        self.given: dict[tuple[str, str], dict[str, str]] = {}
        self.first = len(self.steps)
        self.copy = self.make()
        self.seen = set[str]()
        self.outputs: dict[str, Any] = {}
        self.key = self.backup = ""
        self.api_before: dict[int, str] = {}
        self.play(ValuesModel._start, {})

    def _start(self) -> None:
        user = f"user_{uuid.uuid4().hex[:12]}"
        self.committed = self._stack_file().read_text(encoding="utf-8")
        self._strip_declared_keys()
        self.wish = Wish(user, {"partner": _arn("partner"), "adopted": _arn("adopted")})
        self._write(self.wish)
        self.sandbox.ok("preview", *self.copy.options, *self.wish.options())  # starts the local AWS
        running = local_aws.running(self.sandbox.home)
        assert running is not None
        self.aws, self._clients = running, dict[str, Any]()
        self.client = self._client("secretsmanager")
        foreign = {
            name: self.client.create_secret(Name=f"terraform/{name}", SecretString=_FOREIGN)["ARN"]
            for name in ("partner", "adopted")
        }
        self.others = {arn: self._whole(arn) for arn in foreign.values()}
        self.up("start", replace(self.wish, foreign=foreign))
        assert self.outputs, "the first up must succeed"

    @rule()
    def go_on(self) -> None:
        self.play(*self.bag.take(self.chance))

    # --- what changes the wish ---

    @step(key=KEYS, by=(1, 1, 1, 2, -1))
    def change_number(self, key: str, by: int) -> None:
        number = self.wish.numbers.get(key, 1) + by
        self.up(f"rotations.{key} {by:+}", replace(self.wish, numbers={**self.wish.numbers, key: number}))

    @step(key=(*KEYS, "smtpPassword"), number=(True, False))
    def configure_or_not(self, key: str, *, number: bool) -> None:
        configured, numbers = dict(self.wish.configured), dict(self.wish.numbers)
        if configured.pop(key, None) is None:
            configured[key] = f"configured-{uuid.uuid4().hex}"
        self._number(key, numbers, number=number)
        self.up(f"configure {key} or not, number {number}", replace(self.wish, configured=configured, numbers=numbers))

    @step(key=(*KEYS, "smtpPassword"), number=(True, False))
    def configure_another_value(self, key: str, *, number: bool) -> None:
        configured = {**self.wish.configured, key: f"configured-{uuid.uuid4().hex}"}
        numbers = dict(self.wish.numbers)
        self._number(key, numbers, number=number)
        self.up(f"another {key}, number {number}", replace(self.wish, configured=configured, numbers=numbers))

    @step(key=(*KEYS, "smtpPassword"))
    def configure_what_is_live(self, key: str) -> None:
        live = {self.wish.source(*where): value for where, value in self.parts().items()}
        configured = {**self.wish.configured, **({key: live[key]} if key in live else {})}
        self.up(f"take {key} over", replace(self.wish, configured=configured))

    @step(strategy=("", "single-user", "alternating-users"))
    def switch_rotation(self, strategy: str) -> None:
        self.up(f"rotation {self.wish.rotation or 'off'} -> {strategy or 'off'}", replace(self.wish, rotation=strategy))

    @step(jwt=("generated", "external", "absent", "renamed", "adopted", "json"))
    def change_jwt(self, jwt: str) -> None:
        self.up(f"jwt {self.wish.jwt} -> {jwt}", replace(self.wish, jwt=jwt))

    @step(api=("app-config", "both", "other-config", "unreferenced", "absent"))
    def move_api_key(self, api: str) -> None:
        self.up(f"API_KEY {self.wish.api} -> {api}", replace(self.wish, api=api))

    @step(key=("apiKey", "newApiKey"))
    def rename_configuration_key(self, key: str) -> None:
        self.up(f"API_KEY from {key}", replace(self.wish, api_key=key))

    @step(keeps=("True", "False", "None"))
    def keep_the_value_before(self, keeps: str) -> None:
        self.up(f"keeps_previous {self.wish.keeps} -> {keeps}", replace(self.wish, keeps=keeps))

    @step(on=(True, True, False), first=(True, False))
    def refer_to_a_further_key(self, *, on: bool, first: bool) -> None:
        """A key that a rotated secret gets with its variable is set in the live JSON first, or refused."""
        rotated = _ROTATED.get(self.wish.rotation) == _APPLICATION_USER
        if on and first and rotated:
            self._put_by_hand(_APPLICATION_USER, schema="c")
            self.note("by hand: schema")
        has = (_APPLICATION_USER, "schema") in self.parts()
        granted = self.up(f"schema {on}", replace(self.wish, schema=on))
        assert has or not (granted and on and rotated), "nobody sets a key that tasks refer to"

    @step(window=(0, 7, 7))
    def change_window(self, window: int) -> None:
        self.up(f"window {window}", replace(self.wish, window=window))

    @step()
    def refresh_and_up_again(self) -> None:
        self._runs_well("refresh")
        self.up("the same again", self.wish)

    @step(key=KEYS, after=(1, 10, 20, 30, 35, 40, 45, 50, 55))
    def kill_an_up_and_run_it_again(self, key: str, after: int) -> None:
        wish = replace(self.wish, numbers={**self.wish.numbers, key: self.wish.numbers.get(key, 1) + 1})
        before = self.parts()
        self._write(wish)
        process = self.sandbox.start("up", *self.copy.options, *wish.options())
        path, seen = self.sandbox.checkpoint_path(self.copy), set[int]()

        def reached() -> bool:
            if path.exists():
                seen.add(path.stat().st_mtime_ns)
            return len(seen) > after // 5 or process.poll() is not None

        while not reached():  # the command ends by itself, however loaded the machine is
            time.sleep(0.005)
        self.sandbox.kill(self.copy, process)
        self.note(
            f"killed an up with rotations.{key} +1 at step {after}: {'cut off' if process.returncode < 0 else 'it had ended'}"
        )
        if process.returncode < 0 and not self._recover(wish, may_be_refused=True):
            # It was killed before it was refused.
            wish = self.wish
            self._write(wish)
            self._recover(wish)
        self.up("the killed one again", wish, before=before)

    @step(project=("service-ticket-system", "tickets"))
    def rename_and_back(self, project: str) -> None:
        """The stack, or the stack and its project, as Pulumi's documentation has it."""
        old = self.copy
        new = replace(old, name=project, stack=f"t{uuid.uuid4().hex[:8]}")
        account = self.account()
        self._rename(old, new)
        result = self._run("up", self.wish)
        self.say(f"up of the renamed {'stack' if project == old.name else 'project'}", result)
        assert result.status == 1, result.err
        assert "can't be renamed" in result.err, result.err
        assert self.account() == account, "what was refused changed something"
        self._rename(new, old)
        self.up("renamed back", self.wish)

    def _rename(self, old: Any, new: Any) -> None:
        self.sandbox.pulumi(old, "stack", "rename", f"organization/{new.name}/{new.stack}", "--stack", old.stack)
        project = old.directory / "Pulumi.yaml"
        text = project.read_text(encoding="utf-8")
        project.write_text(text.replace(f"name: {old.name}\n", f"name: {new.name}\n"), encoding="utf-8")
        self.copy = new
        self._write(self.wish)

    @step(how=("destroyed", "lost state"))
    def recover(self, how: str) -> None:
        """The stack is destroyed, or its state is lost: `ops recover` brings back what AWS has."""
        self._can_come_back()
        before, outputs = self.parts(), self.outputs
        if how == "destroyed":
            self._runs_well("destroy")
        else:
            self.sandbox.pulumi(
                self.copy, "stack", "rm", "--force", "--yes", "--preserve-config", "--stack", self.copy.stack
            )
            self.note("the state is lost")
        self._comes_back(f"{how}, then recovered", before, outputs)

    @step(name=("jwt-secret", "app-config", _MASTER), refreshed=(True, False))
    def delete_by_hand_and_recover(self, name: str, *, refreshed: bool) -> None:
        """Somebody deletes a secret; within its recovery window `ops recover` restores it, as `up` says once it knows."""
        self._can_come_back()
        if name not in self.outputs["secret_arns"] or (name == "jwt-secret" and self.wish.jwt == "adopted"):
            return
        before, outputs = self.parts(), self.outputs
        self.client.delete_secret(SecretId=outputs["secret_arns"][name], RecoveryWindowInDays=7)
        self.note(f"deleted by hand: {name}")
        if refreshed:
            self._runs_well("refresh")
            result = self._run("up", self.wish)
            self.say("up", result)
            assert result.status == 1, result.err
            assert "ops recover" in result.err, result.err
        self._comes_back(f"{name} restored", before, outputs)

    def _can_come_back(self) -> None:
        """What is brought back counts as the program's: it has what was set by hand, and the users of the catalogue."""
        if not self.wish.window:
            self.up("a window before a deletion", replace(self.wish, window=7))
        if self.parts()[_APPLICATION_USER, "username"] != f"{self.wish.user}_app":
            # What the function set is kept as long as it rotates it.
            self.up("rotation on before a deletion", replace(self.wish, rotation="alternating-users"))
        if ("app-config", "BY_HAND") in self.parts():
            self._put_by_hand("app-config", BY_HAND=None)

    def _comes_back(self, what: str, before: Parts, outputs: dict[str, Any]) -> None:
        # What was set by hand is kept, as a refusal says.
        live = {self.wish.source(*where): value for where, value in before.items()}
        configured = {key: live[key] for key in (*self.wish.configured, "smtpPassword") if key in live}
        as_it_is = replace(self.wish, configured=configured)
        kept = not self._recover(self.wish, may_be_refused=True)
        if kept:
            self._recover(as_it_is)
        self.outputs = outputs
        if kept or not self.up(what, self.wish, before=before):
            assert self.up(f"{what}, with what is live", as_it_is, before=before)
        after = self.parts()
        changed = sorted(where for where in before if after.get(where) != before[where])
        assert not changed, f"values are others after they were recovered: {changed}"
        # A backup that was restored can lack the value before of a number that is higher now.
        assert all(part.endswith("_PREVIOUS") for _, part in after.keys() - before.keys()), "a value was made up"

    @step(name=("jwt-secret", "other-config"))
    def lose_a_secret(self, name: str) -> None:
        """Somebody deletes it for good; a refresh, and the next `up` creates it again with the value that the state has."""
        if name not in self.outputs["secret_arns"] or self.wish.jwt in {"adopted", "external"}:
            return
        hand = self._changed_by_hand(name)
        before = {where: value for where, value in self.parts().items() if where[0] == name}
        self.client.delete_secret(SecretId=self.outputs["secret_arns"][name], ForceDeleteWithoutRecovery=True)
        self.note(f"lost: {name}")
        self._runs_well("refresh")
        del self.outputs["secret_arns"][name]
        assert self.up(f"{name} again", self.wish, before={}), "a secret that was lost is not created again"
        now = {where: value for where, value in self.parts().items() if where[0] == name}
        assert hand or now == before, "a value that the state has was not set again"

    def _changed_by_hand(self, name: str) -> bool:
        stages = self.client.describe_secret(SecretId=self.outputs["secret_arns"][name])["VersionIdsToStages"]
        return not any({"AWSCURRENT", "pulumi-live"} <= {*labels} for labels in stages.values())

    # --- what works on the secrets ---

    @step(strategy=("", "single-user", "alternating-users"), times=(1, 1, 2))
    def rotate_by_the_function(self, strategy: str, times: int) -> None:
        """As Secrets Manager calls it, on the database that the application uses."""
        for _ in range(times):
            self._rotate(strategy, by_command=False)

    @step(strategy=("", "single-user", "alternating-users"))
    def rotate_by_command(self, strategy: str) -> None:
        """`python -m sandbox rotate`, on a database of its own."""
        self._rotate(strategy, by_command=True)

    def _rotate(self, strategy: str, *, by_command: bool) -> None:
        if strategy not in {"", self.wish.rotation}:
            self.up(f"rotation {strategy} before it rotates", replace(self.wish, rotation=strategy))
        name = _ROTATED.get(self.wish.rotation, _MASTER)
        before, account = self.parts(), self.account()
        refused = self._by_command(name) if by_command else self._by_the_function(name)
        if refused:
            assert not self.wish.rotation, refused
            assert "is not rotated by a function" in refused
            assert self.account() == account, "what was refused changed something"
            self.counts[f"{self.playing} refused"] += 1
            return
        after = self.parts()
        moved = {where for where in before if after[where] != before[where]}
        assert {secret for secret, _ in moved} == {name}, f"the rotation changed {moved}"
        self.seen |= {*before.values(), *after.values()}
        if by_command:
            self._tell_database()

    def _by_command(self, name: str) -> str:
        done = self.sandbox.quick("rotate", name, *self.copy.options)
        self.say(f"sandbox rotate {name}{' (refused)' if done.status else ''}", done)
        return done.err if done.status else ""

    def _by_the_function(self, name: str) -> str:
        variables = self.aws.credentials(self.copy.account).variables()
        try:
            rotation = Rotation.of(name, self.outputs, self.aws.endpoint, self.sandbox.region, variables)
        except SandboxError as error:
            self.note(f"rotate {name} (refused)")
            return str(error)
        rotation.carry_out(self.database, lambda _: None)
        self.note(f"rotate {name}")
        return ""

    @step(key=("ENCRYPTION_KEY", "SMTP_PASSWORD", "API_KEY", "BY_HAND"))
    def change_json_by_hand(self, key: str) -> None:
        self._put_by_hand("app-config", **{key: f"by-hand-{uuid.uuid4().hex}"})
        self.note(f"by hand: {key}")

    @step()
    def change_the_database_password_by_hand(self) -> None:
        self.client.put_secret_value(
            SecretId=self.outputs["secret_arns"][_MASTER], SecretString=f"by-hand-{uuid.uuid4().hex}"
        )
        self._tell_database()
        self.note("by hand: database")

    @step(name=("jwt-secret", "app-config"), verb=("set", "rollback", "rotate"))
    def use_ops(self, name: str, verb: str) -> None:
        before = self.account()
        file = self.copy.directory / "outputs.json"
        file.write_text(json.dumps(self.outputs), encoding="utf-8")
        stdin = "" if verb == "rotate" else f"by-ops-{uuid.uuid4().hex}"
        key = ["--key", "SMTP_PASSWORD"] if verb == "set" and name == "app-config" else []
        done = self._ops(verb, name, *key, "--stack", self.copy.stack, "--outputs", str(file), "--yes", stdin=stdin)
        if done.status:
            assert self.account() == before, "what was refused changed something"
        if self.wish.jwt == "adopted" and name == "jwt-secret":
            self.others[self.wish.foreign["adopted"]] = self._whole(self.wish.foreign["adopted"])  # on purpose

    @step()
    def back_up_or_restore(self) -> None:
        """A backup of app-config, and its restore some time later; nothing that a database accepts is in it."""
        file = self.copy.directory / "outputs.json"
        file.write_text(json.dumps(self.outputs), encoding="utf-8")
        at = ("--stack", self.copy.stack, "--outputs", str(file))
        if not self.key:
            self.key = self._client("kms").create_key()["KeyMetadata"]["Arn"]
        if not self.backup:
            self.backup = str(self.copy.directory / "backup.json")
            done = self._ops("backup", "--to", self.backup, "--kms-key", self.key, *at)
            if done.status:
                self.backup = ""
            return
        self._ops("restore", self.backup, "--kms-key", self.key, "--only", "app-config", *at, "--yes")
        Path(self.backup).unlink()
        self.backup = ""

    @step()
    def roll_back_by_hand_and_lower_the_number(self) -> None:
        number, where = self.wish.numbers.get("apiKey", 1), ("app-config", "API_KEY")
        if number not in self.api_before or where not in self.parts() or self.wish.configured.get("apiKey"):
            return
        self._put_by_hand("app-config", API_KEY=self.api_before[number])
        self.note("by hand: API_KEY, the value before")
        self.up("rotations.apiKey -1", replace(self.wish, numbers={**self.wish.numbers, "apiKey": number - 1}))

    @step()
    def drop_what_was_put_by_hand(self) -> None:
        """By the command that a refusal prints: AWSCURRENT back to Pulumi's own version, and the database follows."""
        for arn in self.outputs["secret_arns"].values():
            stages = self.client.describe_secret(SecretId=arn)["VersionIdsToStages"]
            current = next((v for v, labels in stages.items() if "AWSCURRENT" in labels), None)
            own = [v for v, labels in stages.items() if "pulumi-live" in labels]
            if len(own) == 1 and current and own != [current]:
                self.client.update_secret_version_stage(
                    SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=own[0], RemoveFromVersionId=current
                )
        self._tell_database()
        self.note("drop")

    # --- what must hold ---

    def must_hold(self) -> None:
        """What holds after each step, whatever it was."""
        parts = self.parts()
        application = parts[_APPLICATION_USER, "username"], parts[_APPLICATION_USER, "password"]
        for user, password in ((self.wish.user, parts[_MASTER, ""]), application):
            assert self.database.accepts(user, password), f"{user} can't sign in"
        for arn, before in self.others.items():
            assert self._whole(arn) == before, "somebody else's secret was changed"

    def up(self, what: str, wish: Wish, *, before: Parts | None = None) -> bool:
        """Ask for a wish; one that is refused is given up. Tells whether it was granted."""
        account = self.account() if self.outputs else {}
        before = before if before is not None else self.parts() if self.outputs else {}
        arns, referenced = self.outputs.get("secret_arns", {}), self._referenced()
        self._write(wish)
        result = self._run("up", wish)
        refused = result.status != 0
        last = result.err.strip().splitlines()[-1][:200] if refused and result.err.strip() else ""
        self.say(f"up: {what}{f' (refused: {last})' if refused else ''}", result)
        if refused:
            self.counts[f"{self.playing} refused"] += 1
            assert result.status == 1, result.err
            assert "Nothing was changed" in result.err or "configuration problem" in result.err, result.err
            assert self.account() == account, "what was refused changed something"
            if "ops recover" in result.err:
                assert not what.endswith(_AFTER_RECOVER), "the command that a refusal prints is no way on"
                self._recover(wish)
                return self.up(what + _AFTER_RECOVER, wish, before=before)
            self._write(self.wish)
            return False
        self.outputs = self.sandbox.ok("outputs", *self.copy.options)
        after = self.parts()
        for name in {*arns} & {*self.outputs["secret_arns"]}:
            assert self.outputs["secret_arns"][name] == arns[name], f"{name} is another secret"
        for where in {*before} & {*after}:
            if before[where] != after[where]:
                self._explain(where, wish, before, after)
        for old, new in (*_SAME.items(), *((new, old) for old, new in _SAME.items())):
            moved = old in before and old not in after and new in after and new not in before
            # What is set outside Pulumi stays where it is.
            moved &= old[1] == "API_KEY" or not {self.wish.jwt, wish.jwt} & {"external", "adopted"}
            assert not moved or wish.configured != self.wish.configured or after[new] == before[old], (
                f"{old} changed on its way"
            )
        gone = referenced & before.keys() - after.keys()
        gone = {(name, key) for name, key in gone if name in self.outputs["secret_arns"]}
        assert not gone, f"tasks of the last revision can't start any more: {gone}"
        api, encryption = ("app-config", "API_KEY"), ("app-config", "ENCRYPTION_KEY")
        if api in before and after.get(api) != before[api] and wish.numbers.get("apiKey", 1) > 1:
            self.api_before[wish.numbers["apiKey"]] = before[api]
        kept = ("app-config", "ENCRYPTION_KEY_PREVIOUS")
        if kept in before and kept in after and before[encryption] == after[encryption]:
            assert before[kept] == after[kept], "the key before changed alone"
        self.wish = wish
        self._tell_database(create=not arns)
        self.seen |= {*before.values(), *after.values()}
        return True

    def _explain(self, where: tuple[str, str], wish: Wish, before: Parts, after: Parts) -> None:
        name, part = where
        if part.endswith("_PREVIOUS"):
            return  # follows from its key, below
        key, value = wish.source(name, part), after[where]
        old, new = self.wish.configured.get(key), wish.configured.get(key)
        if new is not None:
            # What is configured while a function rotates the value counts from when it no longer does.
            rotated = _ROTATED.get(self.wish.rotation) == name != _ROTATED.get(wish.rotation)
            assert value == new, f"{where} changed"
            assert rotated or new != old, f"{where} changed"
        elif key == "smtpPassword":
            assert old is not None, f"{where} changed"  # back to the sandbox's stand-in: the configuration's value, too
        else:
            assert wish.numbers.get(key, 1) == self.wish.numbers.get(key, 1) + 1, f"{where} changed"
            assert value not in self.seen, f"an older value came back at {where}"
        if part == "ENCRYPTION_KEY" and "None" not in {wish.keeps, self.wish.keeps}:
            assert after.get((name, "ENCRYPTION_KEY_PREVIOUS")) == before[where], "the key before is not offered"

    def _referenced(self) -> set[tuple[str, str]]:
        """What the task definition of the last `up` needs, but for labels other than AWSCURRENT."""
        names = {arn: name for name, arn in self.outputs.get("secret_arns", {}).items()}
        found = (
            parse_value_from(text)
            for service in self.outputs.get("services", {}).values()
            for text in service["container_secrets"].values()
        )
        return {(names[ref.arn], ref.key or "") for ref in found if ref.arn in names and not ref.stage}

    # --- tools ---

    def play(self, function: Callable[..., None], arguments: Mapping[str, Any]) -> None:
        """Play a step and look at what must hold."""
        self.playing = function.__name__.strip("_")
        self.counts[self.playing] += 1
        try:
            function(self, **arguments)
            self.must_hold()
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - whatever it is, it ends the run
            places = [
                f"{f.name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__) if "/tests/" in f.filename
            ]
            told = f"{type(error).__name__}: {error}\nin {self.playing}{dict(arguments)} at {' > '.join(places)}\nafter"
            type(self).broken = self._masked(f"{told} {self.told()}")
            raise Broken from None

    def account(self) -> dict[str, Any]:
        """All of AWS, looked at again after each thing that was done."""
        if self._account is None:
            self._account = everything(self._client)
        return self._account

    def parts(self) -> Parts:
        """The live values."""
        return dict(self._parts())

    def _parts(self) -> Iterator[tuple[tuple[str, str], str]]:
        for name, arn in self.outputs["secret_arns"].items():
            try:
                text = self.client.get_secret_value(SecretId=arn)["SecretString"]
            except self.client.exceptions.ResourceNotFoundException:
                continue  # external, without a value
            values = json.loads(text) if text.startswith("{") else {"": text}
            yield from (((name, key), value) for key, value in values.items())

    def note(self, what: str) -> None:
        """Remember a step."""
        self.steps.append(f"{self.copy.stack}: {what}")
        self._account = None

    def say(self, what: str, result: Any) -> None:
        """Remember a step, and look for values in what it printed."""
        self.note(self._masked(what))
        printed = result.out + result.err
        assert self._masked(printed) == printed, "a value was printed"

    def told(self) -> str:
        """The way here."""
        return "\n  ".join(self.steps[self.first :])

    def _masked(self, text: str) -> str:
        live = set[str]()
        with contextlib.suppress(Exception):
            live = {value for (_, key), value in self.parts().items() if key not in {"username", "CONSTANT", "schema"}}
        for value in {*self.seen, *live, *getattr(self, "wish", Wish("", {})).configured.values()}:
            if value != "c" and not value.startswith("user_"):
                text = text.replace(value, "[value]")
        return text

    def _tell_database(self, *, create: bool = False) -> None:
        """What an operator does who changes a password by configuration or by hand: the database gets it, too."""
        parts = self.parts()
        user, application = self.wish.user, parts[_APPLICATION_USER, "username"]
        if create:
            self.database.sql(f"CREATE ROLE {user} LOGIN CREATEROLE")
            self.database.sql(f"CREATE ROLE {application} LOGIN")
            self.database.sql(f"GRANT {application} TO {user} WITH ADMIN OPTION")
        elif not self.database.sql("SELECT 1 FROM pg_roles WHERE rolname = :name", name=application):
            # The clone that a rotation on another database has made.
            with self.database.by_socket(user) as master:
                master.run(f"CREATE ROLE {application} LOGIN IN ROLE {application.removesuffix('_clone')}")
        for role, where in ((user, (_MASTER, "")), (application, (_APPLICATION_USER, "password"))):
            self.database.sql(f"ALTER ROLE {role} PASSWORD {pg8000.native.literal(parts[where])}")

    def _put_by_hand(self, name: str, **changes: str | None) -> None:
        arn = self.outputs["secret_arns"][name]
        document = json.loads(self.client.get_secret_value(SecretId=arn)["SecretString"]) | changes
        text = json.dumps({key: value for key, value in document.items() if value is not None})
        self.client.put_secret_value(SecretId=arn, SecretString=text)

    def _number(self, key: str, numbers: dict[str, int], *, number: bool) -> None:
        if number and key != "smtpPassword":
            numbers[key] = numbers.get(key, 1) + 1

    def _recover(self, wish: Wish, *, may_be_refused: bool = False) -> bool:
        self._configure(wish.configured)
        done = self._ops("recover", "--stack", self.copy.stack, "--yes", *wish.options())
        refused = may_be_refused and "Nothing was changed" in done.err
        assert refused or "error:" not in done.err, done.err
        return not refused

    def _ops(self, verb: str, *arguments: str, stdin: str = "") -> Any:
        done = self.sandbox.ops(self.copy, verb, *arguments, stdin=stdin)
        self.say(f"ops {verb} {arguments[0]}{f' (refused: {done.status})' if done.status else ''}", done)
        return done

    def _run(self, verb: str, wish: Wish) -> Any:
        return self.sandbox.quick(verb, *self.copy.options, *wish.options())

    def _runs_well(self, verb: str) -> None:
        result = self._run(verb, self.wish)
        self.say(verb, result)
        assert result.status == 0, result.err

    def _whole(self, arn: str) -> Any:
        """A secret, its values and labels."""
        described = self.client.describe_secret(SecretId=arn)
        value = self.client.get_secret_value(SecretId=arn)["SecretString"]
        return described["Name"], described["VersionIdsToStages"], described.get("DeletedDate"), value

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.sandbox.aws(service, self.copy)
        return self._clients[service]

    def _write(self, wish: Wish) -> None:
        # A key that the catalogue is about to lose can be set before only.
        self._configure(wish.configured, last=False)
        (self.copy.directory / "catalogue.py").write_text(wish.catalogue(), encoding="utf-8")
        lines = [f"  service-ticket-system:{key}: {json.dumps(value)}\n" for key, value in wish.in_file().items()]
        text = (self.committed + "".join(lines)).replace("service-ticket-system:", f"{self.copy.name}:")
        self._stack_file().write_text(text, encoding="utf-8")
        self._configure(wish.configured)

    def _configure(self, wanted: dict[str, str], *, last: bool = True) -> None:
        """Set the secret values for every run: the CLI encrypts each once, not again for each run.

        A key that neither catalogue has can't be set: nobody wishes it then.
        """
        given = self.given.setdefault((self.copy.name, self.copy.stack), {})
        for key in sorted(given.keys() | wanted.keys()):
            if given.get(key) == wanted.get(key):
                continue
            verb = "set" if key in wanted else "rm"
            done = self.sandbox.quick("config", verb, key, *self.copy.options, stdin=wanted.get(key, ""))
            if done.status == 0:
                given = {**given, key: wanted[key]} if key in wanted else {k: v for k, v in given.items() if k != key}
            else:
                assert "is not a known key" in done.err, done.err
                if last:
                    del wanted[key]
        self.given[self.copy.name, self.copy.stack] = given

    def _stack_file(self) -> Path:
        return self.copy.directory / f"Pulumi.{self.copy.stack}.yaml"

    def _strip_declared_keys(self) -> None:
        """Secrets are given or not, whatever the catalogue of the moment has."""
        path = self.copy.directory / "Pulumi.yaml"
        text = path.read_text(encoding="utf-8")
        for key in (*KEYS, "redisPassword", "webhookSecret", "smtpPassword", "cloudflareToken"):
            text = re.sub(rf"  {key}:\n(    .*\n)+", "", text)
        path.write_text(text, encoding="utf-8")


def _arn(name: str) -> str:
    return f"arn:aws:secretsmanager:eu-central-1:111122223333:secret:terraform/{name}-AbCdEf"
