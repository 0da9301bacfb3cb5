"""The commands as a user types them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.home import REPOSITORY

Make = Callable[..., Any]


def test_help_imports_neither_pulumi_nor_boto3() -> None:
    code = "import sys; from sandbox.cli import run; run(['up', '--help']); print({'pulumi', 'boto3', 'yaml'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("set()\n")
    assert "--expect-no-changes" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("up", "--stack", "prud"), "did you mean prod?"),
        (("outputs", "--stack", "none"), "dev, prod"),
        (("env", "--stack", "none"), "dev, prod"),
        (("up", "--stack", "../../dev"), 'stack "../../dev" has no file'),
        (("outputs", "--stack", "/dev"), 'stack "/dev" has no file'),
        (("up", "--project", "docs"), "no Pulumi.yaml"),
        (("preview", "--endpoint", "http://10.1.2.3:4566"), "not on this machine"),
        (("preview", "--endpoint", "http://aws.amazon.com"), "not on this machine"),
        (("preview", "--endpoint", "localhost:4566"), "not a URL"),
        (("preview", "-c", "novalue"), "key=value"),
        (("preview", "-c", "=x"), "key=value"),
        (("preview", "--nonsense"), "No such option"),
        (("explode",), "No such command"),
    ],
)
def test_misuse_is_explained_with_status_2(sandbox: Any, arguments: tuple[str, ...], said: str) -> None:
    result = sandbox.quick(*arguments)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_home_that_others_may_write_is_refused(own_sandbox: Any, mode: int) -> None:
    own_sandbox.home.root.mkdir()
    own_sandbox.home.root.chmod(mode)
    for command in (("status",), ("preview",), ("down",)):
        result = own_sandbox.quick(*command)
        assert (result.status, result.out) == (2, "")
        assert f"others can write into {own_sandbox.home.root}: chmod go-w " in result.err
    assert list(own_sandbox.home.root.iterdir()) == []


def test_a_stack_comes_up_is_told_and_goes_away(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    assert "is not up" in sandbox.quick("outputs", *copy.options).err
    first = sandbox.ok("up", *copy.options)
    assert sorted(change["op"] for change in first["changes"]) == ["create"] * 3
    assert sandbox.ok("up", *copy.options)["changes"] == []
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options)["unchanged"] == 3
    assert sandbox.ok("refresh", *copy.options)["changes"] == []

    arn = sandbox.aws("secretsmanager", copy).list_secrets()["SecretList"][0]["ARN"]
    assert first["outputs"] == sandbox.ok("outputs", *copy.options) == {"arn": arn, "hidden": "[secret]"}
    assert sandbox.quick("outputs", *copy.options).out == f"arn: {arn}\nhidden: [secret]\n"
    status = sandbox.ok("status")
    rows = {row["stack"]: row for row in status["stacks"]}
    assert rows[f"throwaway/{copy.stack}"]["resources"] == 3
    assert status["local_aws"]["endpoint"].startswith("http://127.0.0.1:")

    assert len(sandbox.ok("destroy", *copy.options)["changes"]) == 3
    assert sandbox.aws("secretsmanager", copy).list_secrets()["SecretList"] == []


def test_a_change_is_told_before_it_is_made_and_after_somebody_made_one_by_hand(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    sandbox.ok("up", *copy.options)
    preview = sandbox.quick("preview", "-c", "greeting=bye", "-c", "count=2", *copy.options)
    assert "~ update aws:secretsmanager:Secret s0" in preview.out
    assert '~ description: "hello" => "bye"' in preview.out
    assert "+ create random:index:RandomPassword p1" in preview.out
    assert "3 to create, 1 to update" in preview.out

    expecting = sandbox.quick("up", "--expect-no-changes", "-c", "greeting=bye", *copy.options)
    assert expecting.status == 1
    assert "update aws:secretsmanager:Secret s0" in expecting.err
    secrets = sandbox.aws("secretsmanager", copy)
    assert secrets.describe_secret(SecretId=f"{copy.stack}-s0")["Description"] == "hello"

    secrets.update_secret(SecretId=f"{copy.stack}-s0", Description="by hand")
    changes = sandbox.ok("refresh", *copy.options)["changes"]
    assert [(change["op"], change["name"]) for change in changes] == [("update", "s0")]
    assert sandbox.ok("preview", *copy.options)["changes"][0]["properties"][0]["old"] == '"by hand"'


def test_json_stands_alone_on_the_standard_output(sandbox: Any, tiny: Make) -> None:
    copy = tiny("""
        import subprocess
        import pulumi
        print("printed")
        subprocess.run(["echo", "printed by a process"], check=True)
        pulumi.log.warn("careful")
    """)
    result = sandbox.command("up", "--json", *copy.options)
    assert json.loads(result.out)["result"] == "succeeded"
    for line in ("printed\n", "printed by a process\n", "warning: careful\n"):
        assert line in result.err


def test_a_failure_is_json_too(sandbox: Any, tiny: Make) -> None:
    copy = tiny("import sys\nsys.exit('out of luck')\n")
    result = sandbox.quick("up", "--json", *copy.options)
    assert result.status == 1
    assert result.json() == {"result": "failed", "error": "out of luck", "changes": []}


def test_env_points_a_shell_at_the_stacks_account_and_nothing_else(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    sandbox.ok("preview", *copy.options)
    result = sandbox.command("env", *copy.options)
    others = [line for line in result.out.splitlines() if not line.startswith("export AWS_")]
    assert others == [f"export PULUMI_STACK={copy.stack}", "unset AWS_PROFILE"]
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'], boto3.Session().region_name)"
    ended = subprocess.run(
        ["sh", "-c", f'eval "$1" && exec {sys.executable} -c "{code}"', "sh", result.out],
        env={"PATH": "/usr/bin:/bin", "AWS_PROFILE": "somebody", "AWS_REGION": "us-west-2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == [copy.account, "eu-central-1"]


def test_committed_files_are_never_written(sandbox: Any, tiny: Make) -> None:
    copy = tiny("import pulumi\npulumi.export('done', True)\n")
    before = {path: path.read_bytes() for path in copy.directory.iterdir() if path.is_file()}
    for verb in ("up", "preview", "refresh", "destroy"):
        sandbox.ok(verb, "-c", "greeting=bye", "-c", "secret:token=x", *copy.options)
    after = {path: path.read_bytes() for path in copy.directory.iterdir() if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import pulumi\nraise pulumi.RunError('2 problems:\\n  a\\n  b')\n", "2 problems:\n  a\n  b\n"),
        ("import pulumi\npulumi.Config().require('absent')\n", None),
        ("def f():\n    return 1 / 0\n\n\nf()\n", "ZeroDivisionError: division by zero\n  in __main__.py:2\n"),
        ("import sys\nsys.exit('no')\n", "no\n"),
    ],
)
def test_an_error_of_the_program_is_told_once(sandbox: Any, tiny: Make, program: str, said: str | None) -> None:
    copy = tiny(program)
    result = sandbox.quick("up", *copy.options)
    assert result.status == 1
    told = result.err.partition(f"Updating throwaway/{copy.stack}\n")[2]
    assert told.count("absent") == 2 if said is None else told == said
    assert "Traceback" not in result.err


def test_a_missing_secret_names_the_command(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    with (copy.directory / "Pulumi.yaml").open("a") as file:
        file.write("  token: {type: string, secret: true}\n")
    result = sandbox.quick("preview", *copy.options)
    assert (
        f"token  is required  python -m sandbox config set --secret token --stack {copy.stack} --project {copy.directory}"
        in result.err
    )
    clear = sandbox.quick("preview", "-c", "token=visible-value", *copy.options)
    assert "token  is a secret, but was given in the clear  -c secret:token" in clear.err
    assert "visible-value" not in clear.err
    copy.add_config("throwaway:token: visible-value\n")
    written = sandbox.quick("preview", *copy.options)
    assert "token  is a secret, but is in the stack file in the clear" in written.err
    assert "visible-value" not in written.err


def test_what_nobody_declared_never_stands_in_the_clear_on_the_disk(sandbox: Any, tiny: Make) -> None:
    copy = tiny("""
        import os
        import pathlib
        import pulumi
        home = pathlib.Path(os.environ["SANDBOX_HOME"])
        files = [path for path in home.rglob("Pulumi.*.yaml") if "visible" in path.read_text()]
        pulumi.log.warn(f"{len(files)} files, {pulumi.Config().get('tokn') == 'visible-' + 'value'}")
    """)
    with (copy.directory / "Pulumi.yaml").open("a") as file:
        file.write("  token: {type: string, default: none}\n")
    mistyped = sandbox.quick("preview", "-c", "tokn=visible-value", *copy.options)
    assert "0 files, True" in mistyped.err + mistyped.out
    declared = sandbox.quick("preview", "-c", "token=visible-value", *copy.options)
    assert "1 files, False" in declared.err + declared.out  # so the search is one that finds


def test_what_aws_refuses_is_told_with_the_resource(sandbox: Any, tiny: Make) -> None:
    copy = tiny("import pulumi_aws as aws\naws.secretsmanager.Secret('mine', name='taken')\n")
    sandbox.ok("refresh", *copy.options)
    sandbox.aws("secretsmanager", copy).create_secret(Name="taken")
    result = sandbox.quick("up", *copy.options)
    assert result.status == 1
    assert "aws:secretsmanager:Secret mine: creating Secrets Manager Secret" in result.err
    assert "ResourceExistsException" in result.err


def test_the_users_own_settings_are_not_seen(sandbox: Any, tiny: Make, tmp_path: Path) -> None:
    copy = tiny("""
        import json, os
        print("SEEN", json.dumps(dict(os.environ)))
    """)
    result = sandbox.command(
        "up",
        *copy.options,
        HOME=str(tmp_path),
        PULUMI_HOME=str(tmp_path / "own-pulumi"),
        PULUMI_BACKEND_URL="s3://own-bucket",
        PULUMI_ACCESS_TOKEN="own-token",
        PULUMI_CONFIG_PASSPHRASE="own-passphrase",
        AWS_PROFILE="own-profile",
        AWS_ACCESS_KEY_ID="own-key",
        AWS_ENDPOINT_URL="http://192.0.2.1",
        HTTPS_PROXY="http://192.0.2.2",
    )
    assert result.status == 0, result.err
    seen = json.loads(result.err.partition("SEEN ")[2].partition("\n")[0])
    assert not [name for name, value in seen.items() if "own-" in value or "192.0.2" in value]
    assert not (tmp_path / "own-pulumi").exists()
    assert not list(tmp_path.glob(".*"))


def test_no_secret_stands_in_an_argument_or_on_the_disk(
    sandbox: Any, tiny: Make, pulumi_cli: Path, tmp_path: Path
) -> None:
    copy = tiny("""
        import pulumi
        import pulumi_aws as aws
        config = pulumi.Config()
        secret = aws.secretsmanager.Secret("s", name=f"{pulumi.get_stack()}-s", recovery_window_in_days=0)
        aws.secretsmanager.SecretVersion("v", secret_id=secret.id, secret_string=config.require_secret("token"))
        pulumi.export("token", config.require_secret("token"))
    """)
    spy, log = tmp_path / "bin" / "pulumi", tmp_path / "arguments"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {pulumi_cli} "$@"\n')
    spy.chmod(0o755)
    result = sandbox.command(
        "up", "-c", "secret:token", *copy.options, stdin="hunter-two-hunter\n", PATH=f"{spy.parent}:/usr/bin:/bin"
    )
    assert result.status == 0, result.err
    value = sandbox.aws("secretsmanager", copy).get_secret_value(SecretId=f"{copy.stack}-s")["SecretString"]
    assert value == "hunter-two-hunter"
    assert "config set --secret" in log.read_text()
    everything = {**sandbox.files(), "arguments": log.read_bytes()}
    assert not [path for path, content in everything.items() if b"hunter-two" in content]
    assert "hunter-two" not in result.out + result.err


def test_a_secret_given_in_the_clear_is_not_kept(sandbox: Any, tiny: Make) -> None:
    copy = tiny("import sys\nsys.exit('refused')\n")
    assert sandbox.quick("up", "-c", "token=clear-and-present", *copy.options).status == 1
    assert not [path for path, content in sandbox.files().items() if b"clear-and-present" in content]
