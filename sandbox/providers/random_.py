"""The stand-in of pulumi-resource-random: values made once, from the operating system's source of randomness.

Only RandomPassword: a text that is not secret has no use here, and the official RandomBytes keeps its value in base64 as the
resource's id, in the clear in the state. Source: terraform-provider-random 3.7, internal/provider/resource_password.go and
resource_bytes.go.
"""

import importlib.metadata
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.providers._plugin import Plugin
from sandbox.providers._resource import Function, Inputs, Prop, Resource
from sandbox.providers._values import Properties

_SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"
_NO_ID: Final = "none"
"""The id that the official plugin gives to a resource whose id would be its value."""


def _at_least(low: int) -> Callable[[Any], str | None]:
    return lambda value: None if value >= low else f"expected a number of at least {low}, got {value}"


class RandomPassword(Resource[None]):
    """A secret text that is made at creation and lives in the state only: every change makes a new one."""

    type_name = "random:index/randomPassword:RandomPassword"
    title = "random password"
    inputs: ClassVar[Inputs] = {
        "keepers": Prop(dict, force_new=True),
        "length": Prop(int, required=True, force_new=True, check=_at_least(1)),
        "lower": Prop(bool, default=True, force_new=True),
        "minLower": Prop(int, default=0, force_new=True, check=_at_least(0)),
        "minNumeric": Prop(int, default=0, force_new=True, check=_at_least(0)),
        "minSpecial": Prop(int, default=0, force_new=True, check=_at_least(0)),
        "minUpper": Prop(int, default=0, force_new=True, check=_at_least(0)),
        "number": Prop(bool, force_new=True),
        "numeric": Prop(bool, force_new=True),
        "overrideSpecial": Prop(str, force_new=True),
        "special": Prop(bool, default=True, force_new=True),
        "upper": Prop(bool, default=True, force_new=True),
    }
    computed = ("result",)
    secret_outputs = frozenset({"result"})

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """Not the id, which is the value when it is imported."""
        return self.type_name.rsplit(":", 1)[-1]

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """The length holds the minima, and there is something to choose from."""
        minima = [new.get(key, 0) for key in ("minLower", "minNumeric", "minSpecial", "minUpper")]
        length = new.get("length")
        if isinstance(length, int) and all(isinstance(item, int) for item in minima) and length < sum(minima):
            yield "length", f"is {length}, less than the minima of the kinds together, {sum(minima)}"
        if not any(new.get(key, True) for key in ("lower", "upper", "special", "numeric")):
            yield "special", "at least one of numeric, special, upper or lower must be true"

    def create(self, session: None, new: Properties) -> str:
        """The text travels in the inputs: there is nothing outside the state to read it from."""
        new["result"] = self._characters(new)
        return _NO_ID

    @staticmethod
    def _characters(new: Properties) -> str:
        """A text with the minima, filled up from all kinds that are switched on, in random order."""
        kinds = {
            "Special": new.get("overrideSpecial") or _SPECIAL,
            "Lower": string.ascii_lowercase,
            "Upper": string.ascii_uppercase,
            "Numeric": string.digits,
        }
        picked = [secrets.choice(chars) for kind, chars in kinds.items() for _ in range(new.get(f"min{kind}") or 0)]
        alphabet = "".join(chars for kind, chars in kinds.items() if new.get(kind.lower(), True))
        picked += [secrets.choice(alphabet) for _ in range(new["length"] - len(picked))]
        secrets.SystemRandom().shuffle(picked)
        return "".join(picked)

    def read(self, session: None, resource_id: str, state: Properties) -> Properties | None:
        """The state is all there is; an import's id is the value, which must not stay in the id."""
        if state:
            return {}
        switches = dict.fromkeys(("lower", "upper", "special", "numeric", "number"), True)
        minima = dict.fromkeys(("minLower", "minUpper", "minSpecial", "minNumeric"), 0)
        return {"id": _NO_ID, **switches, **minima, "length": len(resource_id), "result": resource_id}

    def delete(self, session: None, resource_id: str, old: Properties) -> None:
        """Nothing outside the state."""


class RandomPlugin(Plugin):
    """The provider `random`."""

    name = "random"
    resources: Mapping[str, Resource[Any]] = {RandomPassword.type_name: RandomPassword()}
    functions: Mapping[str, Function[Any]] = {}

    def __init__(self) -> None:
        self.version = importlib.metadata.version("pulumi-random")

    def complete(self, resource: Resource[Any], new: Properties) -> list[str]:
        """`number` is the old name of `numeric`: both say the same, true when neither is given."""
        value = new.get("numeric", new.get("number", True))
        added = [key for key in ("number", "numeric") if key not in new]
        new |= dict.fromkeys(added, value)
        return added
