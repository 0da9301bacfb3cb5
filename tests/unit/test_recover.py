"""What `ops recover` imports, from a preview's steps and AWS's answers: without Pulumi."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops._plan import Part, Plan, Secret
from ops._secrets import Record
from ops.recover import VERSION, Recovery

PASSWORD = "random:index/randomPassword:RandomPassword"
URN = f"urn:pulumi:dev::tickets::ecs-secrets:index:Secrets${PASSWORD}::app-apiKey-"


@dataclass
class _SecretsManager:
    """Versions by secret and staging label."""

    versions: dict[tuple[str, str], str]

    def client(self, _service: str) -> Any:
        return self

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> dict[str, str]:  # noqa: N803 - AWS's names
        if text := self.versions.get((SecretId, VersionStage)):
            return {"SecretString": text}
        raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue")


@pytest.mark.parametrize(
    ("number", "live", "value"),
    [
        (2, {"one": {"KEY": "a", "KEY_PREVIOUS": "b"}, "two": {"API": "a"}}, "a"),
        (1, {"one": {"KEY": "a", "KEY_PREVIOUS": "b"}, "two": {"API": "a"}}, "b"),
        # One of two secrets that have the value is gone, or its `up` was cut off before it had one.
        (2, {"two": {"API": "a", "API_PREVIOUS": "b"}}, "a"),
        (1, {"two": {"API": "a", "API_PREVIOUS": "b"}}, "b"),
        (2, {}, None),
    ],
)
def test_a_generated_value_is_imported_from_any_secret_that_has_it(
    number: int, live: dict[str, dict[str, str]], value: str | None
) -> None:
    part = Part("generated", "apiKey", 2)
    secrets = {
        name: Secret(name, name, "stack", None, json=True, variable=None, parts={key: part})
        for name, key in (("one", "KEY"), ("two", "API"))
    }
    aws: Any = _SecretsManager({(name, "AWSCURRENT"): json.dumps(parts) for name, parts in live.items()})
    recovery = _recovery(aws, secrets)
    step = {"urn": f"{URN}{number}", "newState": {"type": PASSWORD, "inputs": {"length": 32}}}
    listed = {"resources": [{"type": PASSWORD, "name": f"app-apiKey-{number}"}]}
    existing: Any = None

    found = recovery.entries([step], listed, existing)["resources"]

    assert [json.loads(entry["outputs"]["result"]["plaintext"]) for entry in found] == ([value] if value else [])
    assert [entry["id"] for entry in found] == (["none"] if value else [])


@pytest.mark.parametrize("first", ["lost", "here"])
def test_a_key_that_ends_like_another_one_is_not_taken_for_it(first: str) -> None:
    keys = {"lost": "password", "here": "db-password"}
    secrets = {
        name: Secret(name, name, "stack", None, json=False, variable=None, parts={"": Part("generated", keys[name], 1)})
        for name in (first, *({*keys} - {first}))
    }
    aws: Any = _SecretsManager({("lost", "AWSCURRENT"): "another"})
    step = {"urn": f"{URN}x::app-db-password-1", "newState": {"type": PASSWORD, "inputs": {"length": 32}}}
    existing: Any = None
    found = _recovery(aws, secrets).entries(
        [step], {"resources": [{"type": PASSWORD, "name": "app-db-password-1"}]}, existing
    )
    assert found["resources"] == []


@pytest.mark.parametrize(
    ("rotated", "has", "moved"),
    [
        (False, [], ["pulumi-live"]),
        (False, ["pulumi-recovered"], []),
        (True, [], ["pulumi-recovered"]),
        (None, [], ["pulumi-recovered"]),  # its `up` is left to do
        (False, ["pulumi-live"], []),
        (True, ["pulumi-live"], []),
        (True, ["pulumi-recovered"], []),
    ],
)
def test_only_what_the_program_sets_is_labelled_as_its_own(
    rotated: bool | None,  # noqa: FBT001
    has: list[str],
    moved: list[str],
) -> None:
    """Of a rotated secret, the program's values may differ from the function's."""
    arn, base = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:tickets-dev-db-AbCdEf", "urn:pulumi:dev::tickets"
    state = {
        "resources": [
            {"type": VERSION, "urn": f"{base}::{VERSION}::app-db-value", "id": f"{arn}|v1"},
            *([] if rotated is None else [{
                "type": "pulumi:index:Stash", "urn": f"{base}::ecs-secrets:index:Secrets$pulumi:index:Stash::app",
                "outputs": {"input": {}},
                "inputs": {"input": {"secrets": {"db": {"secret": "tickets-dev-db", "rotated": rotated}}}},
            }]),
        ]
    }  # fmt: skip
    labels: list[str] = []

    class Aws:
        def client(self, _service: str) -> Any:
            return self

        def update_secret_version_stage(self, **call: str) -> None:
            assert (call["SecretId"], call["MoveToVersionId"]) == (arn, "v1")
            labels.append(call["VersionStage"])

    recovery = _recovery(
        Aws(), {"db": Secret("db", "tickets-dev-db", "stack", None, json=False, variable=None, parts={})}
    )
    recovery.label(state, {"db": Record(arn, "tickets-dev-db", stages={"v1": ("AWSCURRENT", *has)})})
    assert labels == moved


def test_a_state_gets_the_values_of_a_secret_that_it_has_no_longer_and_keeps_the_others() -> None:
    part = {key: Part("generated", key, 1) for key in ("lost", "here", "gone")}
    secrets = {
        name: Secret(name, f"tickets-dev-{name}", "stack", None, json=False, variable=None, parts={"": part[name]})
        for name in part
    }
    records = {name: {"secret": f"tickets-dev-{name}"} for name in ("lost", "here")}
    base = "urn:pulumi:dev::tickets"

    def password(key: str) -> dict[str, Any]:
        old = {"length": 32, "result": "state's"}
        return {"type": PASSWORD, "urn": f"{base}::{PASSWORD}::app-{key}-1", "inputs": {"length": 32}, "outputs": old}

    def stash(content: Any) -> dict[str, Any]:
        given = {"input": content, "output": content}
        urn = f"{base}::ecs-secrets:index:Secrets$pulumi:index:Stash::app"
        return {"type": "pulumi:index:Stash", "urn": urn, "inputs": {"input": content}, "outputs": given}

    own_stash = {**stash({"secrets": {"sig": "no record"}}), "urn": f"{base}::pulumi:index:Stash::own"}
    state: dict[str, Any] = {
        "deployment": {"resources": [*map(password, part), stash({"secrets": records}), own_stash]}
    }
    kept = {number: stash({"value": "state's"}) for number in (1, 2)}
    for number, one in kept.items():
        one["urn"] += f"-kept-lost-{number}"
    state["deployment"]["resources"] += kept.values()
    ran: list[str] = []

    class Engine:
        def run(self, *words: str, stdin: str = "") -> str:
            ran.append(" ".join(words))
            if stdin:
                state.update(json.loads(stdin))
            return json.dumps(state)

    aws: Any = _SecretsManager({("tickets-dev-lost", "AWSCURRENT"): "AWS's", ("tickets-dev-here", "AWSCURRENT"): "no"})
    recovery = _recovery(aws, secrets)
    recovery.engine = Engine()  # pyright: ignore[reportAttributeAccessIssue]
    recovery._take_values(["lost", "gone"])
    assert ran == ["stack export", "stack import"]
    lost, here, gone, known, own, earlier, other = state["deployment"]["resources"]
    assert json.loads(earlier["inputs"]["input"]["plaintext"]) == {"value": "AWS's", "previous": None}
    assert earlier["inputs"]["input"] == earlier["outputs"]["input"] == earlier["outputs"]["output"]
    assert other == kept[2], "AWS has no value of that number"
    assert (lost["inputs"], json.loads(lost["outputs"]["result"]["plaintext"])) == ({"length": 5}, "AWS's")
    assert (here, gone, own) == (password("here"), password("gone"), own_stash)
    assert known["inputs"]["input"] == known["outputs"]["input"] == {"secrets": {"here": records["here"]}}

    recovery._take_values(["gone"])
    recovery._take_values([])
    assert ran == ["stack export", "stack import", "stack export"], "nothing is imported that changes nothing"


def _recovery(aws: Any, secrets: dict[str, Secret]) -> Recovery:
    plan = Plan("tickets-dev", None, (), secrets, {}, {}, frozenset(), "alias/tickets-dev", "the stack's key")
    engine: Any = None
    return Recovery(engine, aws, "111122223333", plan)
