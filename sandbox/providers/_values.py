"""Property values between protobuf and Python: secrets, unknown values and assets keep their meaning.

A number is an `int` when it is whole (protobuf knows floats only), a secret is a `Secret`, a value that a preview
doesn't know yet is `UNKNOWN`. Source of the signatures: Pulumi, "Type system / wire format" (pulumi.runtime.rpc).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a type's signature of the wire format
_ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
_RESOURCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN_TEXTS: Final = frozenset(  # one for each type; SDKs send the string's for all of them
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
_UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Properties = dict[str, Any]


class Unknown:
    """The type of `UNKNOWN`, a value that only the update itself will know."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that never appears in a message."""

    value: Any

    def __repr__(self) -> str:
        return "[secret]"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file (`kind` "asset") or a folder of files ("archive").

    `fields` is what the engine sent: `hash` (SHA-256 of the content) and one of `text`, `path`, `uri`, `assets`.
    """

    kind: str
    fields: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 of the content as the engine computed it; empty when it didn't."""
        return str(self.fields.get("hash", ""))


def decode(struct: Struct) -> Properties:
    """Properties as Python values, without the nulls, which mean "not set"."""
    return {key: decoded for key, value in struct.fields.items() if (decoded := _decode(value)) is not None}


def _decode(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWN_TEXTS else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_decode(item) for item in value.list_value.values]
        case "struct_value":
            return _decode_struct(value.struct_value)
        case _:
            return None


def _decode_struct(struct: Struct) -> Any:
    fields = struct.fields
    if _SIGNATURE not in fields:
        return decode(struct)
    match fields[_SIGNATURE].string_value:
        case signature if signature == _SECRET:
            return Secret(_decode(fields["value"]))
        case signature if signature in (_ASSET, _ARCHIVE):
            rest = {key: _decode(value) for key, value in fields.items() if key != _SIGNATURE}
            return Asset("asset" if signature == _ASSET else "archive", rest)
        case signature if signature == _RESOURCE:
            return _decode(fields["id"]) if "id" in fields else fields["urn"].string_value
        case signature if signature == _OUTPUT:
            inner = _decode(fields["value"]) if "value" in fields else UNKNOWN
            return Secret(inner) if "secret" in fields and fields["secret"].bool_value else inner
        case signature:
            raise ValueError(f"the engine sent a kind of value that the sandbox doesn't know: signature {signature}")


def encode(properties: Mapping[str, Any]) -> Struct:
    """The opposite of `decode`; None is left out."""
    struct = Struct()
    for key, value in properties.items():
        if value is not None:
            _encode(value, struct.fields[key])
    return struct


def _encode(value: Any, into: Value) -> None:
    match value:
        case None:
            into.null_value = NULL_VALUE
        case Unknown():
            into.string_value = _UNKNOWN_TEXT
        case bool():
            into.bool_value = value
        case int() | float():
            into.number_value = value
        case str():
            into.string_value = value
        case list() | tuple():
            into.list_value.SetInParent()
            for item in value:
                _encode(item, into.list_value.values.add())
        case _:
            _encode_fields(_fields(value), into)


def _fields(value: Any) -> Mapping[str, Any]:
    """What an object consists of on the wire."""
    match value:
        case Secret():
            return {_SIGNATURE: _SECRET, "value": value.value}
        case Asset():
            return {_SIGNATURE: _ASSET if value.kind == "asset" else _ARCHIVE, **value.fields}
        case Mapping():
            return {str(key): item for key, item in value.items() if item is not None}
        case _:
            raise TypeError(f"a {type(value).__name__} can't be sent to the engine")


def _encode_fields(fields: Mapping[str, Any], into: Value) -> None:
    into.struct_value.SetInParent()
    for key, item in fields.items():
        _encode(item, into.struct_value.fields[key])


def plain(value: Any) -> Any:
    """The value without its `Secret` wrappers."""
    match value:
        case Secret():
            return plain(value.value)
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def has_unknown(value: Any) -> bool:
    """Whether any part of the value is `UNKNOWN`."""
    return any(isinstance(leaf, Unknown) for leaf, _ in _leaves(value, secret=False))


def has_secret(value: Any) -> bool:
    """Whether any part of the value is a `Secret`."""
    match value:
        case Secret():
            return True
        case Mapping():
            return any(has_secret(item) for item in value.values())
        case list():
            return any(has_secret(item) for item in value)
        case _:
            return False


def secret_texts(value: Any) -> Iterator[str]:
    """Every string that lies inside a `Secret`."""
    return (leaf for leaf, secret in _leaves(value, secret=False) if secret and isinstance(leaf, str))


def _leaves(value: Any, *, secret: bool) -> Iterator[tuple[Any, bool]]:
    match value:
        case Secret():
            yield from _leaves(value.value, secret=True)
        case Mapping():
            for item in value.values():
                yield from _leaves(item, secret=secret)
        case list():
            for item in value:
                yield from _leaves(item, secret=secret)
        case _:
            yield value, secret
