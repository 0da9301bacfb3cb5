"""`ops recover`: whatever happened to a stack, it comes back with its values, ARNs and names, by Pulumi's own commands."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.sandbox.account import everything
from tests.sandbox.stack_options import with_application_user

Make = Callable[..., Any]


def recover(sandbox: Any, copy: Any, *arguments: str) -> Any:
    done = sandbox.ops(copy, "recover", "--stack", copy.stack, "--yes", *arguments)
    assert done.status == 0, done.err
    return done


def pulumi(sandbox: Any, copy: Any, *arguments: str) -> None:
    assert sandbox.quick("pulumi", *copy.options, "--", *arguments).status == 0


def live(sandbox: Any, copy: Any) -> dict[str, tuple[str, str]]:
    """ARN and live value of every secret."""
    client = sandbox.aws("secretsmanager", copy)
    return {
        s["Name"]: (s["ARN"], client.get_secret_value(SecretId=s["ARN"])["SecretString"])
        for s in client.list_secrets(MaxResults=100)["SecretList"]
    }


def in_the_clear(sandbox: Any, found: dict[str, tuple[str, str]], *texts: str) -> set[str]:
    """Files of the sandbox, and texts, that hold a value."""
    values: set[str] = set()
    for _, text in found.values():
        try:
            values |= {value for key, value in json.loads(text).items() if key != "username"}
        except ValueError:
            values.add(text)
    places = {path: content for path, content in sandbox.files().items() if not path.endswith("moto.json")}
    places |= {f"text {number}": text.encode() for number, text in enumerate(texts)}
    return {path for path, content in places.items() if any(value.encode() in content for value in values)}


def is_whole(sandbox: Any, copy: Any, *options: str) -> None:
    """Nothing is left to do, by the program as by `recover`."""
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options, *options)["changes"] == []
    assert sandbox.ok("refresh", *copy.options, *options)["changes"] == []
    assert "there is nothing to do" in recover(sandbox, copy, *options).err
    assert [r["urn"] for r in sandbox.checkpoint(copy).resources if r.get("protect") and r.get("importID")] == []


def test_a_lost_state_comes_back_with_everything_that_has_a_name(sandbox: Any, project_copy: Make) -> None:
    copy = with_application_user(project_copy("prod"))
    outputs = sandbox.ok("up", *copy.options)["outputs"]
    before, account = live(sandbox, copy), everything(partial(sandbox.aws, copy=copy))
    pulumi(sandbox, copy, "stack", "rm", "--force", "--preserve-config", "--yes")

    done = recover(sandbox, copy)

    assert live(sandbox, copy) == before
    assert sandbox.ok("outputs", *copy.options) == outputs
    after = everything(partial(sandbox.aws, copy=copy))
    assert {kind for kind in account if after[kind] != account[kind]} <= {"secrets"}, "but for the versions' labels"
    is_whole(sandbox, copy)
    assert in_the_clear(sandbox, before, done.out, done.err) == set()
