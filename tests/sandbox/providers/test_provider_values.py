import math
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st
from pulumi.output import Unknown
from pulumi.runtime import rpc

from sandbox.providers._values import (
    UNKNOWN,
    Asset,
    Secret,
    decode,
    encode,
    has_secret,
    has_unknown,
    plain,
    secret_texts,
)

SIGNATURE = rpc._special_sig_key

values = st.recursive(
    st.text() | st.integers(-(2**53), 2**53) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(min_size=1), inner, max_size=3)
        | inner.filter(lambda value: not isinstance(value, Secret)).map(Secret)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1), values, max_size=4))
def test_what_is_encoded_comes_back(properties: dict[str, Any]) -> None:
    assert decode(encode(properties)) == properties


@pytest.mark.parametrize(
    "value",
    [
        UNKNOWN,
        Secret(UNKNOWN),
        [1, UNKNOWN],
        Asset("asset", {"hash": "h", "text": "x"}),
        Asset("archive", {"hash": "h", "assets": {"a.py": Asset("asset", {"hash": "g", "path": "/a.py"})}}),
        {},
        [],
        {"nested": {"deep": Secret([{"a": "b"}])}},
    ],
)
def test_special_values_come_back(value: Any) -> None:
    assert decode(encode({"key": value})) == {"key": value}


def test_the_sdk_understands_what_is_encoded() -> None:
    understood = rpc.deserialize_properties(encode({"secret": Secret("x"), "unknown": UNKNOWN}), keep_unknowns=True)
    assert rpc.is_rpc_secret(understood["secret"])
    assert rpc.unwrap_rpc_secret(understood["secret"]) == "x"
    assert isinstance(understood["unknown"], Unknown)


@pytest.mark.parametrize(("number", "expected"), [(3.0, 3), (3.5, 3.5), (-0.0, 0), (1e15, 10**15)])
def test_whole_numbers_are_integers(number: float, expected: float) -> None:
    struct = Struct()
    struct["n"] = number
    decoded = decode(struct)["n"]
    assert decoded == expected
    assert isinstance(decoded, int) == math.isclose(number, round(number))


def test_null_means_not_set() -> None:
    struct = Struct()
    struct["gone"] = None
    assert decode(struct) == {}
    assert decode(encode({"gone": None, "kept": {"inner": None}})) == {"kept": {}}


def test_output_values_and_resource_references_are_understood() -> None:
    struct = Struct()
    struct["output"] = {SIGNATURE: rpc._special_output_value_sig, "value": "v", "secret": True}
    struct["pending"] = {SIGNATURE: rpc._special_output_value_sig}
    struct["resource"] = {SIGNATURE: rpc._special_resource_sig, "urn": "urn:x", "id": "id-1"}
    assert decode(struct) == {"output": Secret("v"), "pending": UNKNOWN, "resource": "id-1"}


def test_an_unknown_signature_is_an_error() -> None:
    struct = Struct()
    struct["odd"] = {SIGNATURE: "something new"}
    with pytest.raises(ValueError, match="doesn't know: signature something new"):
        decode(struct)


def test_something_that_is_no_value_is_an_error() -> None:
    with pytest.raises(TypeError, match="a object can't be sent"):
        encode({"key": object()})


def test_a_secret_never_shows_itself() -> None:
    assert "hunter2" not in f"{Secret('hunter2')} {Secret('hunter2')!r} {[Secret({'a': 'hunter2'})]}"


def test_secret_texts_are_found_at_any_depth() -> None:
    value = {"a": "open", "b": [Secret({"c": "s1", "d": ["s2", 3]})]}
    assert sorted(secret_texts(value)) == ["s1", "s2"]
    assert has_secret(value)
    assert not has_unknown(value)
    assert plain(value) == {"a": "open", "b": [{"c": "s1", "d": ["s2", 3]}]}
