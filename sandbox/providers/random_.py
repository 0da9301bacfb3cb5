"""The stand-in of pulumi-resource-random: values made once, from the operating system's source of randomness."""

import base64
import importlib.metadata
import secrets
import string
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.providers._plugin import Plugin
from sandbox.providers._resource import Function, Inputs, Prop, ProviderError, Resource
from sandbox.providers._values import Properties

_SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"
_NO_ID: Final = "none"
"""The id that the real plugin gives to a resource whose id would be its value."""

_KEEPERS: Final = {"keepers": Prop(dict, force_new=True)}


def _at_least(low: int) -> Callable[[Any], str | None]:
    return lambda value: None if value >= low else f"expected a number of at least {low}, got {value}"


_TEXT_INPUTS: Final[Inputs] = {
    **_KEEPERS,
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


class _Made(Resource[None]):
    """A value that is made at creation and lives in the state only: every change makes a new one."""

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """Not the id, which may be the value itself."""
        del inputs, resource_id
        return self.type_name.rsplit(":", 1)[-1]

    def make(self, new: Properties) -> tuple[str, Properties]:
        """Id and computed properties of a new value."""
        raise NotImplementedError

    def adopt(self, value: str) -> Properties:
        """All properties of an imported value; raises ProviderError."""
        raise NotImplementedError

    def create(self, session: None, new: Properties) -> str:
        """The made properties travel in the inputs: there is nothing outside the state to read them from."""
        del session
        resource_id, made = self.make(new)
        new |= made
        return resource_id

    def read(self, session: None, resource_id: str, state: Properties) -> Properties | None:
        """The state is all there is; an import's id is the value."""
        del session
        return {} if state else self.adopt(resource_id)

    def delete(self, session: None, resource_id: str, old: Properties) -> None:
        """Nothing outside the state."""


class _Text(_Made):
    """Random characters of given kinds."""

    inputs: ClassVar[Inputs] = _TEXT_INPUTS

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """The length holds the minima, and there is something to choose from."""
        minima = [new.get(key, 0) for key in ("minLower", "minNumeric", "minSpecial", "minUpper")]
        length = new.get("length")
        if isinstance(length, int) and all(isinstance(item, int) for item in minima) and length < sum(minima):
            yield "length", f"is {length}, less than the minima of the kinds together, {sum(minima)}"
        if not any(new.get(key, True) for key in ("lower", "upper", "special", "numeric")):
            yield "special", "at least one of numeric, special, upper or lower must be true"

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

    def adopt(self, value: str) -> Properties:
        """The value with the real plugin's defaults."""
        switches = dict.fromkeys(("lower", "upper", "special", "numeric", "number"), True)
        minima = dict.fromkeys(("minLower", "minUpper", "minSpecial", "minNumeric"), 0)
        return {**switches, **minima, "length": len(value), "result": value}


class RandomPassword(_Text):
    """A secret text."""

    type_name = "random:index/randomPassword:RandomPassword"
    title = "random password"
    computed = ("result",)
    secret_outputs = frozenset({"result", "bcryptHash"})

    def make(self, new: Properties) -> tuple[str, Properties]:
        """A new text."""
        return _NO_ID, {"result": self._characters(new)}

    def adopt(self, value: str) -> Properties:
        """The value must not stay in the id, which the state holds in the clear."""
        return {"id": _NO_ID, **super().adopt(value)}


class RandomString(_Text):
    """A text that isn't secret."""

    type_name = "random:index/randomString:RandomString"
    title = "random string"
    computed = ("result",)

    def make(self, new: Properties) -> tuple[str, Properties]:
        """A new text, which is also the id."""
        text = self._characters(new)
        return text, {"result": text}


class RandomId(_Made):
    """Random bytes as an identifier."""

    type_name = "random:index/randomId:RandomId"
    title = "random id"
    inputs: ClassVar[Inputs] = {
        **_KEEPERS,
        "byteLength": Prop(int, required=True, force_new=True, check=_at_least(1)),
        "prefix": Prop(str, force_new=True),
    }
    computed = ("b64Std", "b64Url", "dec", "hex")

    def make(self, new: Properties) -> tuple[str, Properties]:
        """New bytes in all four spellings, each with the prefix."""
        return _spellings(secrets.token_bytes(new["byteLength"]), new.get("prefix", ""))

    def adopt(self, value: str) -> Properties:
        """[PREFIX,]BASE64URL."""
        prefix, _, encoded = value.rpartition(",")
        try:
            data = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError:
            raise ProviderError("the id to import must be [PREFIX,]VALUE in base64 for URLs") from None
        resource_id, made = _spellings(data, prefix)
        return {"id": resource_id, **made, "byteLength": len(data), "prefix": prefix or None}


def _spellings(data: bytes, prefix: str) -> tuple[str, Properties]:
    encoded = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    return encoded, {
        "b64Std": prefix + base64.b64encode(data).decode(),
        "b64Url": prefix + encoded,
        "dec": f"{prefix}{int.from_bytes(data)}",
        "hex": prefix + data.hex(),
    }


class RandomBytes(_Made):
    """Secret random bytes."""

    type_name = "random:index/randomBytes:RandomBytes"
    title = "random bytes"
    inputs: ClassVar[Inputs] = {
        **_KEEPERS,
        "length": Prop(int, required=True, force_new=True, check=_at_least(1)),
    }
    computed = ("base64", "hex")
    secret_outputs = frozenset({"base64", "hex"})

    def make(self, new: Properties) -> tuple[str, Properties]:
        """New bytes."""
        data = secrets.token_bytes(new["length"])
        return _NO_ID, {"base64": base64.b64encode(data).decode(), "hex": data.hex()}

    def adopt(self, value: str) -> Properties:
        """The bytes in base64."""
        try:
            data = base64.b64decode(value, validate=True)
        except ValueError:
            raise ProviderError("the id to import must be the bytes in base64") from None
        return {"id": _NO_ID, "length": len(data), "base64": value, "hex": data.hex()}


class RandomUuid(_Made):
    """A random UUID."""

    type_name = "random:index/randomUuid:RandomUuid"
    title = "random UUID"
    inputs: ClassVar[Inputs] = _KEEPERS
    computed = ("result",)

    def make(self, new: Properties) -> tuple[str, Properties]:
        """A new one."""
        del new
        result = str(uuid.uuid4())
        return result, {"result": result}

    def adopt(self, value: str) -> Properties:
        """The UUID."""
        return {"result": str(uuid.UUID(value))}


class RandomPlugin(Plugin):
    """The provider `random`."""

    name = "random"
    resources: Mapping[str, Resource[Any]] = {
        kind.type_name: kind for kind in (RandomPassword(), RandomString(), RandomId(), RandomBytes(), RandomUuid())
    }
    functions: Mapping[str, Function[Any]] = {}

    def __init__(self) -> None:
        self.version = importlib.metadata.version("pulumi-random")

    def complete(self, resource: Resource[Any], new: Properties) -> list[str]:
        """`number` is the old name of `numeric`: both say the same, true when neither is given."""
        if not isinstance(resource, _Text):
            return []
        value = new.get("numeric", new.get("number", True))
        added = [key for key in ("number", "numeric") if key not in new]
        new |= dict.fromkeys(added, value)
        return added
