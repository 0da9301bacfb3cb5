"""The changes of intent that are refused although this program set the live value.

A program does not see its state. The state therefore records what each secret is and where its values come from (names,
kinds of source and numbers, no value), and a hook compares the last record with the new one before anything changes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from components import acceptance, labels
from components.acceptance import is_server
from components.commands import keep_command
from components.value_plan import CONFIGURED, CONSTANT, GENERATED, PREVIOUS, PREVIOUS_SUFFIX, WHOLE, SecretPlan


@dataclass(frozen=True)
class Record:
    """What the state records of one secret. It holds names, never a value.

    Attributes:
        secret: The full name, or the ARN of an adopted secret.
        adopted: Whether the program did not create the secret.
        rotated: Whether a function changes its value.
        origins: By JSON key (`WHOLE` for a text): `generated KEY NUMBER`, `configured KEY NUMBER`, `constant`, or
            `previous` for the previous value of another key. Empty if the value is set outside Pulumi.
        referenced: The JSON keys that a container variable refers to one by one.
    """

    secret: str
    adopted: bool = False
    rotated: bool = False
    origins: Mapping[str, str] = field(default_factory=dict[str, str])
    referenced: frozenset[str] = frozenset()

    @classmethod
    def of(cls, plan: SecretPlan) -> "Record":
        """Return a plan's record."""
        adopted = plan.adopt_arn is not None
        return cls(
            plan.adopt_arn or plan.full_name, adopted, plan.rotated, plan.origins(), frozenset(plan.referenced())
        )

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> "Record":
        """Return what the state recorded."""
        return cls(
            state["secret"], state["adopted"], state["rotated"], dict(state["origins"]), frozenset(state["referenced"])
        )

    def as_state(self) -> dict[str, Any]:
        """Return what the state records."""
        return {
            "secret": self.secret,
            "adopted": self.adopted,
            "rotated": self.rotated,
            "origins": dict(self.origins),
            "referenced": sorted(self.referenced),
        }


@dataclass(frozen=True)
class Refusal:
    """Why a change is refused.

    Attributes:
        text: What is refused, and how to continue.
        unless_live: Whether it is accepted if every part of the live value is what the program sets, so that nothing changes.
        unless_live_has: A JSON key; the change is accepted if the live value has it.
    """

    text: str
    unless_live: bool = False
    unless_live_has: str | None = None


@dataclass(frozen=True)
class Change:
    """What the state recorded about a secret, and what the program has now.

    Attributes:
        plan: The secret now.
        before: The record of the last `up`.
        stack: The stack's name, for commands.
    """

    plan: SecretPlan
    before: Record
    stack: str

    @property
    def name(self) -> str:
        """The secret's name in the program."""
        return self.plan.name

    def refusals(self) -> list[Refusal]:
        """Return why the record must not change this way; empty if it can.

        Accepted: a newly configured value; a generated one with the next number; a new JSON key, or one removed after its
            variable; a
        secret whose value is now set outside Pulumi. Refused: another secret instead of this one; an older or an unrequested
        new value instead of a live one; a key removed together with its variable, because tasks of the last revision could
        no longer start; a text that becomes JSON, or JSON a text.
        """
        before, after = self.before, Record.of(self.plan)
        if before.secret != after.secret:
            return [Refusal(_other_secret(self.name, before, after))]
        if before.origins and after.origins and (WHOLE in before.origins) != (WHOLE in after.origins):
            return [Refusal(_other_kind(self.name, before))]
        found = list(_gone(self.name, before, after))
        if after.rotated:
            found += [
                Refusal(_nobody_sets(self.name, key, self.stack), unless_live_has=key)
                for key in sorted(after.origins.keys() - before.origins.keys())
            ]
        found += [Refusal(text, unless_live=True) for key in sorted(after.origins) for text in self._value(key, after)]
        return found

    def value_refusals(self, last: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Refusal]:
        """Yield why values must not be set although their record can change.

        A kept previous value is the last live value that differs from the current one, and a generated value stays the same
        under its number.

        Args:
            last: The live values that the last `up` set.
            new: The live values that this one sets, as far as they are known.
        """
        for key, value in self.plan.values.items():
            old = self.before.origins.get(key)
            if old is None or key not in last:
                continue
            _, old_key, old_number = _parts(old)
            if key in new and new[key] != last[key] and is_server(value.accepted_by):
                text = acceptance.other_value(
                    self._subject(key), value.accepted_by, secret=self.name, key=key, stack=self.stack
                )
                yield Refusal(text, unless_live=True)
            elif value.origin == old and value.origin.startswith(GENERATED) and new.get(key) != last[key]:
                yield Refusal(self._generated_lost(key), unless_live=True)
            elif value.keeps_previous and old_number <= value.number and _loses(key, last, new):
                yield Refusal(
                    self._previous_lost(key, value.config_key, value.number)
                    if old_key in {"", value.config_key}
                    else self._renamed(key, old_key, value.config_key)
                )

    def _value(self, key: str, after: Record) -> Iterator[str]:
        old, new, subject = self.before.origins.get(key), after.origins[key], self._subject(key)
        if old is None or new in {old, CONSTANT, PREVIOUS}:
            return
        kind, config_key, number = _parts(new)
        old_kind, old_key, old_number = _parts(old)
        set_it = f"pulumi config set --stack {self.stack} --secret {config_key}"
        following = next_number(config_key, old_number + 1, self.stack)
        if old_key != config_key:
            if key + PREVIOUS_SUFFIX in self.before.origins and key + PREVIOUS_SUFFIX not in after.origins:
                yield self._renamed(key, old_key, config_key)
            elif kind == GENERATED:
                before_that = f"for {old_key}" if old_key else f"a {old_kind} value"
                yield (
                    f"{subject}: is now generated for {config_key}, no longer {before_that}: a new value would take "
                    f"the place of the live one. Nothing was changed. Set the value that it should have:\n  {set_it}"
                )
        elif after.rotated and old_number != number:
            yield (
                f"{subject}: a function rotates the value, so rotations.{config_key} can't change from {old_number} to "
                f"{number}. Nothing was changed. Set the number again; for a new value, rotate:\n"
                f"  {next_number(config_key, old_number, self.stack)}\n"
                f"  python -m ops rotate {self.name} --stack {self.stack}"
            )
        elif kind == GENERATED and number > old_number and self.plan.values[key].accepted_by:
            yield acceptance.new_number(
                subject,
                self.plan.values[key].accepted_by,
                secret=self.name,
                key=key,
                config_key=config_key,
                stack=self.stack,
            )
        elif number < old_number or (kind == old_kind == GENERATED and number != old_number + 1):
            yield (
                f"{subject}: rotations.{config_key} is {old_number} and can only become {old_number + 1}, not {number}: no "
                "configuration change can set an older value or skip one. Nothing was changed. Set the number again:\n"
                f"  {next_number(config_key, old_number, self.stack)}\n"
                "To restore the previous value, set it in the configuration, with the next number:\n"
                f"  {self._take_previous(key, config_key)}\n"
                f"  {following}"
            )
        elif kind == GENERATED and old_kind == CONFIGURED and number != old_number + 1:
            or_ = "" if self.plan.values[key].accepted_by else f"\nor ask for a new generated value:\n  {following}"
            yield (
                f"{subject}: {config_key} was set and is no longer, so a generated value would take the place of the live one. "
                f"Nothing was changed. Set it again:\n  {set_it}{or_}"
            )

    def _subject(self, key: str) -> str:
        return f"{self.name} key {key}" if key else self.name

    def _take_previous(self, key: str, config_key: str) -> str:
        kept = key + PREVIOUS_SUFFIX in self.before.origins
        if kept and key:
            return keep_command(self.name, key + PREVIOUS_SUFFIX, self.stack, config_key=config_key)
        return keep_command(self.name, key, self.stack, version=labels.PREVIOUS if kept else "PREVIOUS")

    def _generated_lost(self, key: str) -> str:
        return (
            f"{self._subject(key)}: the state has lost its generated value, and a new one would take the place of the live one. "
            f"Nothing was changed. Set the live one in the configuration:\n  {keep_command(self.name, key, self.stack)}"
        )

    def _renamed(self, key: str, old_key: str, config_key: str) -> str:
        return (
            f"{self._subject(key)}: comes from {config_key} instead of {old_key}, under which the previous value "
            f"is kept. Nothing was changed. Set {old_key} again"
        )

    def _previous_lost(self, key: str, config_key: str, number: int) -> str:
        return (
            f"{self._subject(key)}: {config_key} gets another value, and the application needs the previous one to read what it "
            "wrote with it. Nothing was changed. Set its next number as well, so that the application gets both:\n"
            f"  {next_number(config_key, number + 1, self.stack)}"
        )


def _loses(key: str, last: Mapping[str, str], new: Mapping[str, str]) -> bool:
    previous = key + PREVIOUS_SUFFIX
    if new.get(key) != last[key]:
        return new.get(previous) != last[key]
    return previous in last and new.get(previous) != last[previous]


def next_number(config_key: str, number: int, stack: str) -> str:
    """Return the command that sets a value's number."""
    return f"pulumi config set --stack {stack} --path rotations.{config_key} {number}"


def _other_secret(name: str, before: Record, after: Record) -> str:
    if before.adopted and after.adopted:
        return (
            f"{name}: is {before.secret}, and adopt.{name} now names another secret. Nothing was changed. Set the old ARN "
            f"again, or remove {name} from catalogue.py, run `pulumi up` (the adopted secret stays as it is) and declare it again"
        )
    if before.adopted:
        return (
            f"{name}: adopt.{name} was removed, and the stack would create a second secret beside {before.secret}. Nothing was "
            f"changed. Set adopt.{name} again, or remove {name} from catalogue.py, run `pulumi up` (the adopted secret stays as "
            "it is) and declare it again: the stack then creates a secret, with a new value"
        )
    if after.adopted:
        return (
            f"{name}: the stack created {before.secret}, and adopting {after.secret} would delete it. Nothing "
            f"was changed. Remove adopt.{name}, or give the adopted secret another entry in catalogue.py"
        )
    return (
        f"{name}: is called {before.secret}, and a secret can't be renamed to {after.secret}: a second one with another ARN "
        "would take its place. Nothing was changed. Give the project and the stack (`pulumi stack rename`) their old names back, "
        "or create a new stack that adopts this one's secrets (docs/migration.md)"
    )


def _other_kind(name: str, before: Record) -> str:
    was, becomes = ("a text", "a JSON") if WHOLE in before.origins else ("a JSON", "a text")
    return (
        f"{name}: is {was} and would become {becomes}: running tasks would get a value that they can't read. Nothing was "
        "changed. Do it in steps: declare a secret with another name in catalogue.py, move the variables to it, run `pulumi up`; "
        f"when no task of an older revision runs, remove {name}"
    )


def _gone(name: str, before: Record, after: Record) -> Iterator[Refusal]:
    gone = (before.origins.keys() - after.origins.keys()) & before.referenced if after.origins else set[str]()
    for key in sorted(gone):
        of = key.removesuffix(PREVIOUS_SUFFIX)
        if before.origins[key] != PREVIOUS:
            yield Refusal(
                f"{name} key {key}: leaves the JSON, but the task definition of the last `up` refers to it: tasks of that "
                "revision could no longer start. Nothing was changed. Do it in two steps: keep the key and remove its "
                "variable from catalogue.py (a key that moves can be in both secrets meanwhile), run `pulumi up`, and when "
                "no task of an older revision runs, remove the key"
            )
        elif of not in gone and _number(after.origins.get(of, "")) >= _number(before.origins.get(of, "")):
            yield Refusal(
                f"{name} key {key}: leaves the JSON with keeps_previous of {of}, but the task definition of the last `up` refers "
                "to it: tasks of that revision could no longer start. Nothing was changed. Do it in two steps: set "
                "keeps_previous=False, run `pulumi up`, and when no task of an older revision runs, remove it"
            )


def _nobody_sets(name: str, key: str, stack: str) -> str:
    return (
        f"{name} key {key}: is new, and a function rotates the secret: `pulumi up` doesn't set the JSON, so no task could read "
        "the key. Nothing was changed. Set the key in the live JSON, then repeat `pulumi up`; the function keeps it:\n"
        f"  python -m ops set {name} --key {key} --stack {stack}"
    )


def _number(origin: str) -> int:
    return _parts(origin)[2]


def _parts(origin: str) -> tuple[str, str, int]:
    """Return kind, configuration key and number of an origin; empty ones for a kind without them."""
    kind, key, number = origin.split() if " " in origin else (origin, "", "0")
    return kind, key, int(number)
