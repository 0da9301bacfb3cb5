"""Where each value of a stack's secrets comes from, as the state keeps it, and which changes of that are allowed.

A program does not see what its state holds. So the program keeps this record there itself (components/live_values.py), and the
engine gives it the record of the last `up` when they differ: before anything is changed, in the preview too.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config.declarations import PREVIOUS_SUFFIX, Constant, Declaration, Generated, JsonSecret, Source, is_external

WHOLE = ""
"""Key of a text secret's one value among its origins."""

_GENERATED, _CONFIGURED, _CONSTANT, _PREVIOUS = "generated", "configured", "constant", "previous"


@dataclass(frozen=True)
class Origins:
    """What one secret is and where its values come from. It holds names, never a value.

    Attributes:
        secret: The full name, or the ARN of a secret that was adopted.
        adopted: Whether this project did not make the secret.
        rotated: Whether a function changes its value.
        values: By JSON key (`WHOLE` for a text): `generated KEY NUMBER`, `configured KEY NUMBER`, `constant`, or `previous` for
            the value before of another key. Empty when somebody else puts the value.
        referenced: The JSON keys that a container variable gets one by one.
    """

    secret: str
    adopted: bool
    rotated: bool
    values: Mapping[str, str]
    referenced: frozenset[str] = frozenset()

    def record(self) -> dict[str, Any]:
        """Return what the state keeps."""
        return {
            "secret": self.secret,
            "adopted": self.adopted,
            "rotated": self.rotated,
            "values": dict(self.values),
            "referenced": sorted(self.referenced),
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Origins":
        """Return what was kept."""
        referenced = frozenset(record.get("referenced", ()))
        return cls(record["secret"], record["adopted"], record["rotated"], dict(record["values"]), referenced)


def origins(
    declaration: Declaration,
    *,
    secret: str,
    adopted: bool,
    rotated: bool,
    configured: Mapping[str, str],
    generations: Mapping[str, int],
) -> Origins:
    """Return a declaration's origins.

    Args:
        declaration: The entry of the catalogue; an adopted one counts as external.
        secret: Its full name, or its ARN when it is adopted.
        adopted: Whether it is adopted.
        rotated: Whether a function changes its value.
        configured: Configured values by configuration key; only the keys are used.
        generations: Generations by configuration key, 1 where absent.
    """

    def origin(source: Source) -> str:
        if isinstance(source, Constant):
            return _CONSTANT
        key = getattr(source, "config_key", "")
        kind = _GENERATED if isinstance(source, Generated) and key not in configured else _CONFIGURED
        return f"{kind} {key} {generations.get(key, 1)}"

    values: dict[str, str] = {}
    referenced = {key for _, key in declaration.references() if key is not None}
    if isinstance(declaration, JsonSecret) and isinstance(declaration.keys, Mapping):
        values = {key: origin(source) for key, source in declaration.keys.items()}
        for key, source in declaration.keys.items():
            if isinstance(source, Generated) and source.holds_previous and generations.get(source.config_key, 1) > 1:
                values[key + PREVIOUS_SUFFIX] = _PREVIOUS
                referenced |= {key + PREVIOUS_SUFFIX} if source.keeps_previous and key in referenced else set()
    elif not is_external(declaration):
        values = {WHOLE: origin(next(declaration.sources()))}
    return Origins(secret, adopted, rotated, values, frozenset(referenced))


def refusals(name: str, before: Origins, after: Origins, kept: Collection[str] = ()) -> list[str]:
    """Return why a change of origins must not be made, each with the way on; empty when it may.

    `kept` are the JSON keys (`WHOLE` for a text) whose value before the application gets too.

    What may: a value that the configuration now gives; a generated one that follows the last by one number; a JSON key that
    is new, or that goes after its variable has; a secret whose value others put from now on. What may not: another secret
    instead of this one; an older or an unasked-for new value instead of a live one; a key that goes together with its variable,
    because tasks of the last revision could not start any more.
    """
    if before.secret != after.secret:
        return [_other_secret(name, before, after)]
    told = {
        key: list(_refused_value(f"{name} key {key}" if key else name, key, before, after, kept=key in kept))
        for key in sorted(after.values)
    }
    gone = (before.values.keys() - after.values.keys()) & before.referenced if after.values else set[str]()
    found: list[str] = []
    for key in sorted(gone):
        of = key.removesuffix(PREVIOUS_SUFFIX)
        if before.values[key] != _PREVIOUS:
            found.append(_gone(name, key))
        elif of not in gone and not told.get(of):
            found.append(_previous_gone(name, of))
    return [*found, *(text for texts in told.values() for text in texts)]


def turned_generated(before: Origins, after: Origins) -> dict[str, str]:
    """Return the configuration keys, by JSON key, of values that are generated from now on in a secret that others have put."""
    if before.values:
        return {}
    origins_by_key = {key: _parts(origin) for key, origin in after.values.items()}
    return {key: config_key for key, (kind, config_key, _) in origins_by_key.items() if kind == _GENERATED}


def _other_secret(name: str, before: Origins, after: Origins) -> str:
    if before.adopted and after.adopted:
        return (
            f"{name}: is {before.secret}, and adopt.{name} now names another secret. Nothing was changed. Put the ARN "
            f"back, or take {name} out of catalogue.py, run `pulumi up` (the adopted secret stays as it is) and declare it again"
        )
    if before.adopted:
        return (
            f"{name}: adopt.{name} is gone, and the stack would make a second secret beside {before.secret}. Nothing was "
            f"changed. Put adopt.{name} back, or take {name} out of catalogue.py, run `pulumi up` (the adopted secret stays as "
            "it is) and declare it again: the stack then makes a secret of its own, with a new value"
        )
    if after.adopted:
        return (
            f"{name}: the stack has a secret of its own, {before.secret}, which adopting {after.secret} would delete. Nothing "
            f"was changed. Take adopt.{name} out, or give the adopted secret an entry of its own in catalogue.py"
        )
    return (
        f"{name}: is called {before.secret}, and a secret can't be renamed to {after.secret}: a second one with another ARN "
        "would take its place. Nothing was changed. Give the project and the stack (`pulumi stack rename`) their old names back, "
        "or make a new stack that adopts this one's secrets (docs/migration.md)"
    )


def _gone(name: str, key: str) -> str:
    return (
        f"{name} key {key}: leaves the JSON, and the task definition of the last `up` refers to it: no task of that revision "
        "could start any more. Nothing was changed. Do it in two steps: leave the key where it is and take its variable out of "
        "catalogue.py (a key that moves may stand in both secrets meanwhile), run `pulumi up`, and when no task of an "
        "older revision runs, take the key out"
    )


def _previous_gone(name: str, key: str) -> str:
    return (
        f"{name} key {key}{PREVIOUS_SUFFIX}: leaves the JSON with keeps_previous of {key}, and the task definition of the last "
        "`up` refers to it: no task of that revision could start any more. Nothing was changed. Do it in two steps: write "
        "keeps_previous=False, run `pulumi up`, and when no task of an older revision runs, take it out"
    )


def _refused_value(subject: str, key: str, before: Origins, after: Origins, *, kept: bool) -> Iterator[str]:
    old, new = before.values.get(key), after.values[key]
    if old is None or new in {old, _CONSTANT, _PREVIOUS}:
        return
    kind, config_key, number = _parts(new)
    old_kind, old_key, old_number = _parts(old)
    set_it = f"pulumi config set --secret {config_key}"
    next_one = f"pulumi config set --path rotations.{config_key} {old_number + 1}"
    if old_key != config_key:
        if kept and old_key:
            yield (
                f"{subject}: comes from {config_key} from now on, no longer from {old_key}, under which the value before is kept "
                f"for the application. Nothing was changed. Put {old_key} back"
            )
        elif kind == _GENERATED:
            before_that = f"for {old_key}" if old_key else f"a {old_kind} value"
            yield (
                f"{subject}: is generated for {config_key} from now on, no longer {before_that}: a new value would take the "
                f"place of the live one. Nothing was changed. Set the value that it is to have: {set_it}"
            )
    elif after.rotated and old_number != number:
        yield (
            f"{subject}: a function rotates the value, so rotations.{config_key} can't change from {old_number} to {number}. "
            "Nothing was changed. For a new value: python -m ops rotate"
        )
    elif number < old_number or (kind == old_kind == _GENERATED and number != old_number + 1):
        yield (
            f"{subject}: rotations.{config_key} is {old_number} and can only become {old_number + 1}, not {number}: no "
            "change of configuration puts an older value back, or leaves one out. Nothing was changed. Back to the value before: "
            "python -m ops rollback (docs/rotation.md)"
        )
    elif kind == _GENERATED and old_kind == _CONFIGURED and number != old_number + 1:
        yield (
            f"{subject}: {config_key} was set and is no longer, so a generated value would take the place of the live one. "
            f"Nothing was changed. Set it again: {set_it}\n  or ask for a new generated value: {next_one}"
        )


def _parts(origin: str) -> tuple[str, str, int]:
    """Return kind, configuration key and number of an origin; of a kind that has neither, empty ones."""
    kind, key, number = origin.split() if " " in origin else (origin, "", "0")
    return kind, key, int(number)
