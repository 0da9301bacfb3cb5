"""`ops diff`: two stacks side by side, in two accounts."""

from pathlib import Path
from typing import Any

import pytest

from config.declarations import External, Generated, JsonSecret, Supplied, TextSecret
from tests.ops.conftest import Deploy, Deployed, Ops

DEV = (
    TextSecret("jwt-secret", Generated("jwtSecret"), variable="JWT_SECRET"),
    TextSecret("payment-token", External(), variable="PAYMENT_TOKEN"),
    JsonSecret("app-config", {"SMTP": Generated("smtp"), "KEY": Generated("key")}, variables={"SMTP": "SMTP_PASSWORD"}),
)
PROD = (
    TextSecret("jwt-secret", Generated("jwtSecret"), variable="JWT_SECRET"),
    JsonSecret(
        "app-config", {"SMTP": Supplied("smtp"), "KEY": Generated("key")},
        variables={"SMTP": "SMTP_PASSWORD", "KEY": "APP_KEY"},
    ),
)  # fmt: skip


@pytest.fixture
def stacks(deploy: Deploy) -> tuple[Deployed, Deployed]:
    return deploy("dev", catalogue=DEV), deploy("prod", catalogue=PROD)


def run(ops: Ops, stacks: tuple[Deployed, Deployed], *options: str, env: dict[str, Any] | None = None) -> Any:
    files = [str(stack.outputs_file) for stack in stacks]
    return ops(None, "diff", *files, *options, env=stacks[0].variables | (env or {}))


def test_names_and_sources_that_differ(stacks: tuple[Deployed, Deployed], ops: Ops) -> None:
    done = run(ops, stacks, "--json")

    assert done.status == 1
    assert done.json["stacks"] == ["dev", "prod"]
    rows = {row["what"]: (row["first"], row["second"], row["differs"]) for row in done.json["rows"]}
    assert rows == {
        "app-config.KEY": ("generated", "generated", False),
        "app-config.SMTP": ("generated", "supplied", True),
        "jwt-secret": ("generated", "generated", False),
        "payment-token": ("external", "-", True),
        "app: APP_KEY": ("-", "variable", True),
        "app: PAYMENT_TOKEN": ("variable", "-", True),
    }


def test_ages_of_the_account_that_the_credentials_are_of(stacks: tuple[Deployed, Deployed], ops: Ops) -> None:
    done = run(ops, stacks, "--json")

    (row,) = [row for row in done.json["rows"] if row["what"] == "jwt-secret"]
    assert row["ages"] == [0, None]
    (gap,) = done.json["gaps"]
    assert gap.startswith(f"ages of prod are not known: your credentials belong to account {stacks[0].account}")


def test_a_profile_for_each_stack(stacks: tuple[Deployed, Deployed], ops: Ops, tmp_path: Path) -> None:
    lines = [
        f"[{stack.environment}]\naws_access_key_id = {stack.credentials['AccessKeyId']}\n"
        f"aws_secret_access_key = {stack.credentials['SecretAccessKey']}\n"
        f"aws_session_token = {stack.credentials['SessionToken']}\n"
        for stack in stacks
    ]
    (tmp_path / "credentials").write_text("".join(lines))
    env = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}

    done = run(ops, stacks, "--json", "--profile", "dev", "--profile", "prod", env=env)

    (row,) = [row for row in done.json["rows"] if row["what"] == "jwt-secret"]
    assert (row["ages"], done.json["gaps"]) == ([0, 0], [])
    missing = run(ops, stacks, "--json", "--profile", "nope", env=env)
    assert "ages of dev are not known" in missing.json["gaps"][0]


def test_no_value_is_read_and_equal_stacks_end_with_0(stacks: tuple[Deployed, Deployed], ops: Ops, proxy: Any) -> None:
    stacks[0].endpoint = proxy.url
    done = run(ops, (stacks[0], stacks[0]))
    assert done.status == 0, done.out + done.err
    assert not {"GetSecretValue", "BatchGetSecretValue"} & set(proxy.seen)
    assert max(map(len, done.out.splitlines()[1:])) <= 80
    assert not any(value in done.out for value in stacks[0].values.values())


def test_what_differs_stands_first(stacks: tuple[Deployed, Deployed], ops: Ops) -> None:
    lines = run(ops, stacks).out.splitlines()
    assert [line.endswith("differs") for line in lines[2:]] == [True] * 4 + [False] * 2
    stacks[1].outputs_file.write_text('{"a": 1}')
    done = run(ops, stacks)
    assert (done.status, "outputs" in done.err) == (2, True)
