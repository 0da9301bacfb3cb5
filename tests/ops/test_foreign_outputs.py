"""Outputs that name another stack's resources: every command refuses them before it asks or calls AWS.

Which ARNs are refused is a table of tests/unit/test_outputs.py.
"""

from typing import Any

import pytest

from tests.ops.conftest import Deployed, Ops

COMMANDS = [
    ("set", "jwt-secret", "--yes"),
    ("rollback", "jwt-secret", "--yes"),
    ("rotate", "jwt-secret", "--yes"),
    ("reveal", "jwt-secret", "--yes"),
    ("describe", "jwt-secret"),
    ("list",),
    ("doctor",),
    ("access",),
    ("report", "--json"),
    ("cost",),
    ("backup", "--to", "/nonexistent/x", "--kms-key", "alias/x"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_foreign_secret_stops_every_command(stack: Deployed, ops: Ops, proxy: Any, command: tuple[str, ...]) -> None:
    foreign = stack.arn("jwt-secret").replace(stack.account, "999999999999")
    stack.write_outputs(secret_arns=stack.outputs["secret_arns"] | {"jwt-secret": foreign})
    stack.endpoint = proxy.url
    done = ops(stack, *command, stdin=b"the new value")
    assert done.status == 2
    assert "secret_arns.jwt-secret is in aws, account 999999999999" in done.err
    assert proxy.seen == []


def test_a_secret_that_somebody_else_owns_may_be_a_variable(stack: Deployed, ops: Ops) -> None:
    theirs = f"arn:aws:secretsmanager:{stack.region}:999999999999:secret:theirs-AbCdEf"
    references = stack.service["container_secrets"] | {"THEIRS": theirs}
    stack.described["theirs"] = {"arn": theirs, "owner": "others"}
    stack.write_outputs(container_secrets=references)
    assert ops(stack, "list").status == 0
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": theirs}
    key = {
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": f"arn:aws:kms:{stack.region}:999999999999:key/1",
        "Condition": {"StringEquals": {"kms:ViaService": f"secretsmanager.{stack.region}.amazonaws.com"}},
    }
    stack.grant(*stack.grants(), statement, key)
    done = ops(stack, "access", "--json")
    assert done.status == 0, done.json["findings"]
    assert [line for line in done.json["not_looked_at"] if line.startswith("who else can read theirs")]
