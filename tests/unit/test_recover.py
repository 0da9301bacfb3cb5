"""What `ops recover` imports, from a preview's steps and AWS's answers: without Pulumi."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops._plan import Part, Plan, Secret
from ops.recover import Recovery

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
    engine: Any = None
    plan = Plan("tickets-dev", None, (), secrets, {}, {}, frozenset(), "alias/tickets-dev", "the stack's key")
    recovery = Recovery(engine, aws, "111122223333", plan)
    step = {"urn": f"{URN}{number}", "newState": {"type": PASSWORD, "inputs": {"length": 32}}}
    listed = {"resources": [{"type": PASSWORD, "name": f"app-apiKey-{number}"}]}
    existing: Any = None

    found = recovery.entries([step], listed, existing)["resources"]

    assert [json.loads(entry["outputs"]["result"]["plaintext"]) for entry in found] == ([value] if value else [])
    assert [entry["id"] for entry in found] == (["none"] if value else [])
