"""The changes of intent that are refused although this program set the live value.

A program does not see its state. The state therefore records what each secret is and where its values come from (names,
kinds of source and numbers, no value), and a hook compares the last record with the new one before anything changes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

from components import labels
from components.acceptance import is_server, named, rotate_command
from components.commands import keep_command, number_command, refusal, set_command, ways
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
    referenced: Sequence[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, plan: SecretPlan) -> "Record":
        """Return a plan's record."""
        adopted = plan.adopt_arn is not None
        return cls(plan.secret_id, adopted, plan.rotated, plan.origins(), plan.referenced())

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> "Record":
        """Return what the state recorded."""
        return cls(**{part.name: state[part.name] for part in fields(cls)})

    def as_state(self) -> dict[str, Any]:
        """Return what the state records."""
        return asdict(self)


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

    def refusals(self) -> list[Refusal]:
        """Return why the record must not change this way; empty if it can.

        Accepted: a newly configured value; a generated one with the next number; a new JSON key, or one removed after its
        variable; a secret whose value is now set outside Pulumi. Refused: another secret instead of this one; an older or an
        unrequested new value instead of a live one; a key removed together with its variable, because tasks of the last
        revision could no longer start; a text that becomes JSON, or JSON a text.
        """
        name, before, after = self.plan.name, self.before, Record.of(self.plan)
        if before.secret != after.secret:
            return [Refusal(_other_secret(name, before, after))]
        if before.origins and after.origins and (WHOLE in before.origins) != (WHOLE in after.origins):
            return [Refusal(_other_kind(name, before))]
        found = [Refusal(text) for text in _gone(name, before, after)]
        if after.rotated:
            new = sorted(after.origins.keys() - before.origins.keys())
            found += [Refusal(_nobody_sets(name, key, self.stack), unless_live_has=key) for key in new]
        return found + [
            Refusal(text, unless_live=True) for key in sorted(after.origins) if (text := self._origin(key, after))
        ]

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
            kind, old_key, old_number = _parts(old)
            told, name = partial(refusal, self._subject(key)), value.config_key
            keep = keep_command(self.plan.name, key, self.stack)
            if key in new and new[key] != last[key] and is_server(value.accepted_by):
                who = named(value.accepted_by)
                why = f"{who} accepts the live value only, and another configured value would change the secret alone"
                way = "Copy the live value into the configuration, and change both sides by a command"
                yield Refusal(told(why, way, keep, rotate_command(self.plan.name, key, self.stack)), unless_live=True)
            elif value.origin == old and old.startswith(GENERATED) and new.get(key) != last[key]:
                why = "the state has lost its generated value, and a new one would take the place of the live one"
                yield Refusal(told(why, "Set the live one in the configuration", keep), unless_live=True)
            elif value.keeps_previous and old_number <= value.number and _loses(key, last, new):
                why = f"{name} gets another value, and the application needs the previous one to read what it wrote with it"
                way = "Set its next number as well, so that the application gets both"
                # A generated value can't skip a number, which is refused besides.
                number = old_number if value.origin.startswith(GENERATED) and kind == GENERATED else value.number
                next_one = told(why, way, number_command(name, number + 1, self.stack))
                yield Refusal(next_one if old_key in {"", name} else self._renamed(key, old_key, name))

    def _origin(self, key: str, after: Record) -> str:
        """Return why a value must not come from another place than before, "" when it may."""
        old, new = self.before.origins.get(key), after.origins[key]
        if old is None or new in {old, CONSTANT, PREVIOUS}:
            return ""
        kind, config_key, number = _parts(new)
        old_kind, old_key, old_number = _parts(old)
        accepted_by, told, refused = self.plan.values[key].accepted_by, partial(refusal, self._subject(key)), ""
        again, following = (number_command(config_key, n, self.stack) for n in (old_number, old_number + 1))
        set_it, unlike = set_command(config_key, self.stack), "would take the place of the live one"
        if old_key != config_key:
            if key + PREVIOUS_SUFFIX in self.before.origins.keys() - after.origins.keys():
                refused = self._renamed(key, old_key, config_key)
            elif kind == GENERATED:
                was = f"for {old_key}" if old_key else f"a {old_kind} value"
                why = f"is now generated for {config_key}, no longer {was}: a new value {unlike}"
                refused = told(why, "Set the value that it should have", set_it)
        elif after.rotated and old_number != number:
            why = f"a function rotates the value, so rotations.{config_key} can't change from {old_number} to {number}"
            rotate = rotate_command(self.plan.name, "", self.stack)
            refused = told(why, "Set the number again; for a new value, rotate", again, rotate)
        elif kind == GENERATED and number > old_number and accepted_by:
            why = f"{named(accepted_by)} accepts the live value only, and `rotations` would change the secret alone"
            rotate = rotate_command(self.plan.name, key, self.stack)
            refused = (
                told(why, "Set the number again, and change both sides", again, rotate)
                if is_server(accepted_by)
                else told(why, f"Agree on a new value with {named(accepted_by)}, then set it here", set_it)
            )
        elif number < old_number or (kind == old_kind == GENERATED and number != old_number + 1):
            why = (
                f"rotations.{config_key} is {old_number} and can only become {old_number + 1}, not {number}: no "
                "configuration change can set an older value or skip one"
            )
            restore = "To restore the previous value, set it in the configuration, with the next number"
            commands = ways(restore, self._take_previous(key, config_key), following)
            refused = told(why, "Set the number again", again)
            # A server no longer accepts the previous value.
            refused += "" if is_server(accepted_by) else f"\n{commands}"
        elif kind == GENERATED and old_kind == CONFIGURED and number != old_number + 1:
            why = f"{config_key} was set and is no longer, so a generated value {unlike}"
            keep = keep_command(self.plan.name, key, self.stack)
            or_ = "" if accepted_by else "\n" + ways("or ask for a new generated value", following)
            refused = told(why, "Set it again, or take the live value into the configuration", set_it, keep) + or_
        return refused

    def _subject(self, key: str) -> str:
        return f"{self.plan.name} key {key}" if key else self.plan.name

    def _take_previous(self, key: str, config_key: str) -> str:
        kept = key + PREVIOUS_SUFFIX in self.before.origins
        if kept and key:
            return keep_command(self.plan.name, key + PREVIOUS_SUFFIX, self.stack, config_key=config_key)
        return keep_command(self.plan.name, key, self.stack, version=labels.PREVIOUS if kept else "PREVIOUS")

    def _renamed(self, key: str, old_key: str, config_key: str) -> str:
        why = f"comes from {config_key} instead of {old_key}, under which the previous value is kept"
        return refusal(self._subject(key), why, f"Set {old_key} again")


def _loses(key: str, last: Mapping[str, str], new: Mapping[str, str]) -> bool:
    previous = key + PREVIOUS_SUFFIX
    if new.get(key) != last[key]:
        return new.get(previous) != last[key]
    return previous in last and new.get(previous) != last[previous]


def _other_secret(name: str, before: Record, after: Record) -> str:
    leave = (
        f"or remove {name} from catalogue.py, run `pulumi up` (the adopted secret stays as it is) and declare it again"
    )
    if before.adopted and after.adopted:
        why, way = f"is {before.secret}, and adopt.{name} now names another secret", f"Set the old ARN again, {leave}"
    elif before.adopted:
        why = f"adopt.{name} was removed, and the stack would create a second secret beside {before.secret}"
        way = f"Set adopt.{name} again, {leave}: the stack then creates a secret, with a new value"
    elif after.adopted:
        why = f"the stack created {before.secret}, and adopting {after.secret} would delete it"
        way = f"Remove adopt.{name}, or give the adopted secret another entry in catalogue.py"
    else:
        why = (
            f"is called {before.secret}, and a secret can't be renamed to {after.secret}: a second one with another ARN would "
            "take its place"
        )
        way = (
            "Give the project and the stack (`pulumi stack rename`) their old names back, or create a new stack that adopts this "
            "one's secrets (docs/migration.md)"
        )
    return refusal(name, why, way)


def _other_kind(name: str, before: Record) -> str:
    was, becomes = ("a text", "a JSON") if WHOLE in before.origins else ("a JSON", "a text")
    return refusal(
        name,
        f"is {was} and would become {becomes}: running tasks would get a value that they can't read",
        "Do it in steps: declare a secret with another name in catalogue.py, move the variables to it, run `pulumi up`; when no "
        f"task of an older revision runs, remove {name}",
    )


def _gone(name: str, before: Record, after: Record) -> Iterator[str]:
    gone = (before.origins.keys() - after.origins.keys()) & {*before.referenced} if after.origins else set[str]()
    for key in sorted(gone):
        of = key.removesuffix(PREVIOUS_SUFFIX)
        if before.origins[key] != PREVIOUS:
            leaves, last = "the JSON", "remove the key"
            first = "keep the key and remove its variable from catalogue.py (a key that moves can be in both secrets meanwhile)"
        elif of not in gone and _parts(after.origins.get(of, ""))[2] >= _parts(before.origins.get(of, ""))[2]:
            leaves, first, last = f"the JSON with keeps_previous of {of}", "set keeps_previous=False", "remove it"
        else:
            continue
        yield refusal(
            f"{name} key {key}",
            f"leaves {leaves}, but the task definition of the last `up` refers to it: tasks of that revision could no longer "
            "start",
            f"Do it in two steps: {first}, run `pulumi up`, and when no task of an older revision runs, {last}",
        )


def _nobody_sets(name: str, key: str, stack: str) -> str:
    return refusal(
        f"{name} key {key}",
        "is new, and a function rotates the secret: `pulumi up` doesn't set the JSON, so no task could read the key",
        "Set the key in the live JSON, then repeat `pulumi up`; the function keeps it",
        f"python -m ops set {name} --key {key} --stack {stack}",
    )


def _parts(origin: str) -> tuple[str, str, int]:
    """Return kind, configuration key and number of an origin; empty ones for a kind without them."""
    kind, key, number = origin.split() if " " in origin else (origin, "", "0")
    return kind, key, int(number)
