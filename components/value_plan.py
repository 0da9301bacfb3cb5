"""The plan of a set of secrets: from plain arguments to values, generated passwords, previous values and versions.

Pure: no Pulumi, no AWS, no value. `components.value_intent` decides which changes of a plan are refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.acceptance import AcceptedBy

WHOLE = ""
"""The key of a text secret's one value."""

PREVIOUS_SUFFIX = "_PREVIOUS"
"""The suffix of a JSON key or container variable with the previous value."""

GENERATED, SUPPLIED, CONSTANT = "generated", "supplied", "constant"
CONFIGURED, PREVIOUS = "configured", "previous"

DEFAULT_LENGTH = 32
"""The default length of a generated value in characters."""


@dataclass(frozen=True)
class Value:
    """One value of a secret, without the value itself.

    Attributes:
        source: `generated`, `supplied` or `constant`.
        config_key: The value's name in messages and in the names of its resources.
        configured: Whether the configuration sets the value.
        number: How many values the user has requested, 1 at first.
        length: Characters of a generated value.
        keeps_previous: Whether the secret also keeps the previous value.
        referenced: Whether a container variable refers to this JSON key alone.
        previous_referenced: Whether one refers to the previous value.
        accepted_by: The other system that checks the value (`components.acceptance`).
    """

    source: str
    config_key: str = ""
    configured: bool = False
    number: int = 1
    length: int = DEFAULT_LENGTH
    keeps_previous: bool = False
    referenced: bool = False
    previous_referenced: bool = False
    accepted_by: AcceptedBy = None

    @property
    def origin(self) -> str:
        """Where the value comes from, as the state records it: `generated KEY NUMBER`, `configured KEY NUMBER`, `constant`."""
        if self.source == CONSTANT:
            return CONSTANT
        kind = GENERATED if self.source == GENERATED and not self.configured else CONFIGURED
        return f"{kind} {self.config_key} {self.number}"

    @property
    def has_previous(self) -> bool:
        """Whether the secret has the previous value: only once there is one."""
        return self.keeps_previous and self.number > 1

    @property
    def is_remembered(self) -> bool:
        """Whether the state keeps the value for later numbers.

        A first generated value is not kept: its RandomPassword stays for one more number.
        """
        return self.source == GENERATED and (self.keeps_previous or self.configured or self.number > 1)

    def passwords(self) -> Iterable[int]:
        """Yield the numbers whose generated value exists: the current one, and the previous one as its stand-in."""
        if self.source == GENERATED:
            if not self.configured:
                yield self.number
            if self.number > 1:
                yield self.number - 1


@dataclass(frozen=True)
class SecretPlan:
    """One secret.

    Attributes:
        name: Its name in the program.
        full_name: Its name in AWS.
        adopt_arn: ARN of an existing secret that is imported unchanged.
        rotated: Whether a function changes its value.
        values: Its values by JSON key, `WHOLE` for a text; empty if the value is set outside Pulumi.
        description: Its description in AWS.
        kms_key_arn: An adopted secret's customer-managed key.
    """

    name: str
    full_name: str
    adopt_arn: str | None = None
    rotated: bool = False
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    description: str = ""
    kms_key_arn: str | None = None

    @property
    def secret_id(self) -> str:
        """What AWS's API knows it by, before it exists too: its name; an adopted secret's ARN."""
        return self.adopt_arn or self.full_name

    @property
    def is_text(self) -> bool:
        """Whether the value is one text."""
        return WHOLE in self.values

    def previous_keys(self) -> dict[str, str]:
        """Return the keys whose previous value is kept, each with the key that holds it."""
        return {key: key + PREVIOUS_SUFFIX for key, value in self.values.items() if value.has_previous}

    def origins(self) -> dict[str, str]:
        """Return where each part of the value comes from, `previous` for previous values."""
        found = {key: value.origin for key, value in self.values.items()}
        return found | dict.fromkeys(self.previous_keys().values(), PREVIOUS)

    def referenced(self) -> list[str]:
        """Return the JSON keys that container variables refer to one by one."""
        found = {key for key, value in self.values.items() if key and value.referenced}
        before = {on for key, on in self.previous_keys().items() if key and self.values[key].previous_referenced}
        return sorted(found | before)


def plan(secrets: Mapping[str, Mapping[str, Any]], prefix: str) -> tuple[SecretPlan, ...]:
    """Return the plan of a component's `secrets` (`components.app_secrets.SecretArgs` by name)."""
    return tuple(_secret(name, args, prefix) for name, args in secrets.items())


def passwords(secrets: Iterable[SecretPlan]) -> dict[tuple[str, int], int]:
    """Return the length of each generated value by configuration key and number; secrets with one key share the value."""
    found: dict[tuple[str, int], int] = {}
    for secret in secrets:
        for value in secret.values.values():
            for number in value.passwords():
                found.setdefault((value.config_key, number), value.length)
    return found


def _secret(name: str, args: Mapping[str, Any], prefix: str) -> SecretPlan:
    values: dict[str, Mapping[str, Any]] = {WHOLE: args["text"]} if "text" in args else dict(args.get("json") or {})
    return SecretPlan(
        name,
        args.get("full_name") or f"{prefix}-{name}",
        args.get("adopt_arn"),
        args.get("rotated", False),
        {key: _value(f"{name}-{key}" if key else name, value) for key, value in values.items()},
        args.get("description", ""),
        args.get("kms_key_arn"),
    )


def _value(default_key: str, args: Mapping[str, Any]) -> Value:
    if "constant" in args:
        return Value(CONSTANT, referenced=args.get("referenced", False))
    return Value(
        SUPPLIED if args.get("supplied") else GENERATED,
        args.get("config_key") or default_key,
        args.get("value") is not None,
        int(args.get("number", 1)),
        int(args.get("length", DEFAULT_LENGTH)),
        args.get("keeps_previous", False),
        args.get("referenced", False),
        args.get("previous_referenced", False),
        args.get("accepted_by"),
    )


def problems(secrets: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, str, str]]:
    """Yield invalid arguments: where, what was found, and what is allowed."""
    for name, args in secrets.items():
        text, json = ([args["text"]] if "text" in args else []), args.get("json") or {}
        if text and json:
            yield f"secrets.{name}", "is a text and a JSON", "one of them"
        if (text or json) and args.get("adopt_arn"):
            yield f"secrets.{name}", "is adopted and keeps its value", "neither text nor json"
        for value in (*text, *json.values()):
            at = f"secrets.{name}.{value.get('config_key') or 'value'}"
            if value.get("supplied") and value.get("value") is None:
                yield at, "lacks its value", "a value: it is never generated"
            if "constant" in value and value.get("value") is not None:
                yield at, "has a value and is a constant", "one of them"
