"""What becomes of a stack's file on its way to the engine."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import config_errors, safe_yaml
from sandbox.errors import MisuseError
from sandbox.home import REPOSITORY, Home
from sandbox.project import Project, yaml_problems
from sandbox.stack_config import StackConfig, parse_override, write_project_file

Make = Callable[..., Any]


@pytest.fixture
def stack_file(tmp_path: Path) -> Callable[[str], StackConfig]:
    def make(text: str) -> StackConfig:
        (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\nconfig: {title: {type: string}}\n")
        (tmp_path / "__main__.py").touch()
        (tmp_path / "Pulumi.dev.yaml").write_text(text)
        return StackConfig(Project.load(tmp_path), "dev")

    return make


def _written(config: StackConfig, folder: Path, salt: str | None = None) -> dict[str, Any]:
    return yaml.safe_load(config.write(folder, salt).read_text())


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("size=3", ["shop:size"], "3"),
        ("shop:size=3", ["shop:size"], "3"),
        ("aws:region=eu-west-1", ["aws:region"], "eu-west-1"),
        ("name=", ["shop:name"], ""),
        ("name=a=b", ["shop:name"], "a=b"),
        ("name=true", ["shop:name"], "true"),
        ("names[0]=x", ["shop:names"], ["x"]),
        ("tags.team=x", ["shop:tags"], {"team": "x"}),
        ("deep.list[0].name=x", ["shop:deep"], {"list": [{"name": "x"}]}),
        ("aws:defaultTags.tags.team=x", ["aws:defaultTags"], {"tags": {"team": "x"}}),
        ('names=["a", "b"]', ["shop:names"], ["a", "b"]),
        ('tags={"a": 1}', ["shop:tags"], {"a": 1}),
        ("name=[not json", ["shop:name"], "[not json"),
        ('title={"a": 1}', ["shop:title"], '{"a": 1}'),
        ('shop:title=["a"]', ["shop:title"], '["a"]'),
        ('environment.FEATURES={"beta": true}', ["shop:environment"], {"FEATURES": '{"beta": true}'}),
        ('environment={"A": "b"}', ["shop:environment"], {"A": "b"}),
        ('services.web.environment.LIST=["a"]', ["shop:services"], {"web": {"environment": {"LIST": '["a"]'}}}),
        ('rotation.subnetIds=["a"]', ["shop:rotation"], {"subnetIds": ["a"]}),
    ],
)
def test_an_override_lands_where_pulumi_expects_it(
    stack_file: Make, tmp_path: Path, override: str, path: list[str], expected: object
) -> None:
    config = stack_file("")
    config.apply(parse_override(override))
    assert _written(config, tmp_path)["config"][path[0]] == expected


def test_an_override_replaces_what_the_file_says_and_keeps_the_rest(stack_file: Make, tmp_path: Path) -> None:
    config = stack_file("config:\n  shop:size: 1\n  shop:tags: {a: 1, b: 2}\n  shop:list: [1, 2]\n  shop:other: yes\n")
    for text in ("size=2", "tags.b=3", "list[1]=5"):
        config.apply(parse_override(text))
    written = _written(config, tmp_path)["config"]
    assert written == {"shop:size": "2", "shop:tags": {"a": 1, "b": "3"}, "shop:list": [1, "5"], "shop:other": True}


@pytest.mark.parametrize("scalar", ["0123", "'0123'", "1_000", "yes", "'yes'", "2026-01-01", "1e3", "~", "12:30:45"])
def test_a_value_that_is_not_touched_is_written_as_it_stands(stack_file: Make, tmp_path: Path, scalar: str) -> None:
    written = stack_file(f"config:\n  shop:value: {scalar}\n").write(tmp_path, None).read_text()
    assert f"shop:value: {scalar}\n" in written


def test_another_providers_secrets_are_left_out_and_reported(stack_file: Make, tmp_path: Path) -> None:
    config = stack_file(
        "secretsprovider: awskms://alias/x\nencryptedkey: abc\nconfig:\n"
        "  shop:token: {secure: AAA}\n  shop:size: 1\n  shop:deep: {inner: {secure: BBB}, list: [{secure: CCC}]}\n"
    )
    assert config.undecryptable == (("shop:token",), ("shop:deep", "inner"), ("shop:deep", "list", 0))
    assert _written(config, tmp_path, "v1:x") == {
        "config": {"shop:size": 1, "shop:deep": {"list": [""]}},
        "encryptionsalt": "v1:x",
    }


@pytest.mark.parametrize("text", ["size.a=1", "size[0]=1"])
def test_a_way_into_a_plain_value_replaces_it_by_what_is_asked(stack_file: Make, tmp_path: Path, text: str) -> None:
    config = stack_file("config:\n  shop:size: 1\n")
    config.apply(parse_override(text))
    assert _written(config, tmp_path)["config"]["shop:size"] in ({"a": "1"}, ["1"])


@pytest.mark.parametrize("text", ["tags[0]=1", "list.a=1"])
def test_a_way_that_does_not_fit_is_misuse(stack_file: Make, text: str) -> None:
    config = stack_file("config:\n  shop:tags: {a: 1}\n  shop:list: [1]\n")
    with pytest.raises(MisuseError, match="the value there is none"):
        config.apply(parse_override(text))


def test_a_broken_file_is_misuse_with_its_line(stack_file: Make) -> None:
    with pytest.raises(
        MisuseError, match=r"Pulumi.dev.yaml is not valid YAML, line 3: did not find expected ',' or '\]'"
    ):
        stack_file("config:\n  a: [1\n  b: }")


@pytest.mark.parametrize("text", ["a: !s3cret x", "a: *s3cret", 'a: "s3cret', "a: b: s3cret", "2026-13-45"])
@pytest.mark.parametrize("loader", [safe_yaml.LOADER, yaml.SafeLoader])
def test_a_broken_files_values_are_not_quoted(tmp_path: Path, text: str, loader: Any) -> None:
    with pytest.raises(MisuseError, match=r"x\.yaml is not valid YAML") as told, yaml_problems(tmp_path / "x.yaml"):
        yaml.load(text, Loader=loader)  # noqa: S506 - both are safe
    assert "s3cret" not in str(told.value)


def test_a_config_that_is_no_mapping_is_misuse(stack_file: Make) -> None:
    with pytest.raises(MisuseError, match="`config` is not a mapping"):
        stack_file("config: [1, 2]\n")


@pytest.mark.parametrize(
    "text", ["value-to-hide", "=value-to-hide", "secret:=value-to-hide", "...=value-to-hide", "[]=value-to-hide"]
)
def test_an_override_without_a_key_is_misuse_and_not_quoted(text: str) -> None:
    with pytest.raises(MisuseError, match="-c takes key=value") as caught:
        parse_override(text)
    assert "value-to-hide" not in str(caught.value)


def test_a_projects_own_backend_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(
        "name: shop\nruntime: python\nbackend: {url: s3://own}\nconfig: {a: string}\n"
    )
    (tmp_path / "__main__.py").touch()
    target = tmp_path / "work"
    target.mkdir()
    write_project_file(Project.load(tmp_path), target)
    assert yaml.safe_load((target / "Pulumi.yaml").read_text()) == {
        "name": "shop",
        "runtime": "python",
        "config": {"a": "string"},
    }


def test_an_overrides_value_is_not_in_its_repr() -> None:
    assert "value-to-hide" not in repr(parse_override("secret:token=value-to-hide"))


def test_missing_supplied_secrets_get_stand_ins_that_stay_the_same(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    first = sandbox.quick("up", *copy.options)
    assert first.status == 0, first.err
    assert "cloudflareToken, smtpPassword not set: the sandbox uses invented values" in first.err
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options)["stand_ins"] == [
        "cloudflareToken",
        "smtpPassword",
    ]


def test_without_stand_ins_the_program_asks_for_the_secrets(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    result = sandbox.quick("preview", "--no-stand-ins", *copy.options)
    assert result.status == 1
    assert "pulumi config set" not in result.err
    printed = re.findall(r"python -m sandbox (config set .*)", result.err)
    assert [command.split()[3] for command in printed] == ["cloudflareToken", "smtpPassword"]
    for command in printed:  # before the stack exists
        assert sandbox.command(*shlex.split(command), stdin="given-by-hand-01\n").status == 0
    assert sandbox.ok("preview", "--no-stand-ins", *copy.options)["stand_ins"] == []


def test_a_configuration_counts_for_every_later_run(sandbox: Any, tiny: Make) -> None:
    copy = tiny("import pulumi\npulumi.export('names', pulumi.Config().get_object('names'))\n")
    assert sandbox.quick("config", "set", "--plaintext", "--path", "names[0]", "first", *copy.options).status == 0
    assert sandbox.ok("up", *copy.options)["outputs"]["names"] == ["first"]
    assert sandbox.ok("up", *copy.options, "-c", "names[0]=once")["outputs"]["names"] == ["once"]
    assert sandbox.quick("config", "get", "names[0]", *copy.options).out == "first\n"
    assert sandbox.quick("config", "rm", "--path", "names[0]", *copy.options).status == 0
    assert sandbox.ok("up", *copy.options)["outputs"]["names"] == []
    assert (copy.directory / f"Pulumi.{copy.stack}.yaml").read_text(encoding="utf-8").count("names") == 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ("config", "set", "--secret", "token"),
            "the value of token is empty; nothing was changed. To remove the key: ",
        ),
        (("config", "set", "count"), "python -m sandbox config rm count --stack"),
        (("config", "set", "count", ""), "the value of count is empty"),
        (("config", "set", "nams[0]", "a"), "nams is not a known key; did you mean names?"),
        (("config", "set", "rotations.jwtSecret", "2"), "rotations is not a known key of this project"),
        (("config", "set", "token", "visible-value"), "token is a secret: give its value on the standard input"),
        (
            ("config", "set", "--secret", "names[0]", "visible-value"),
            "is a secret: give its value on the standard input",
        ),
        (("config", "rm", "names"), "`config set` did not set names; remove it from Pulumi."),
        (("config", "get", "names"), "names is not set for every run"),
        (("pulumi", "--", "config", "set", "names", "a"), "it would change a copy that is dropped"),
    ],
)
def test_a_configuration_that_would_not_work_is_refused(
    sandbox: Any, tiny: Make, command: tuple[str, ...], said: str
) -> None:
    copy = tiny()
    with (copy.directory / "Pulumi.yaml").open("a") as file:
        file.write("  token: {type: string, secret: true}\n")
    verb, *rest = command
    cut = rest.index("--") if "--" in rest else len(rest)
    options = copy.options if cut < len(rest) else ()
    result = sandbox.quick(verb, *options, *rest, *(() if options else copy.options))
    assert result.status != 0
    assert said in result.err
    assert "visible-value" not in result.out + result.err


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("rotations.jwtSecret", "2", ""),
        ("shop:rotations.jwtSecret", "2", ""),
        ("rotations.jwtSecrt", "2", "is not a known key; did you mean rotations.jwtSecret?"),
        ("rotations.nope", "2", "is not a known key; known are apiKey, jwtSecret"),
        ("rotations.jwtSecret", "two", "must be a whole number, 1 or more"),
        ("rotations.jwtSecret", "0", "must be a whole number, 1 or more"),
        ("environment.rotations", "two", ""),
    ],
)
def test_a_number_that_nothing_has_is_refused_at_once(key: str, value: str, said: str) -> None:
    wrong = config_errors.wrong_number(key, value, {"jwtSecret", "apiKey"})
    assert said in wrong
    assert bool(wrong) == bool(said)
    assert not config_errors.wrong_number(key, value, ())


def test_a_secret_encrypted_for_aws_gets_a_stand_in(sandbox: Any, tiny: Make) -> None:
    copy = tiny("import pulumi\npulumi.export('length', pulumi.Config().require_secret('token').apply(len))\n")
    copy.add_config("throwaway:token:\n  secure: AAABAJ4PZv0=\n")
    with (copy.directory / f"Pulumi.{copy.stack}.yaml").open("a") as file:
        file.write("secretsprovider: awskms://alias/own\nencryptedkey: AQICAH==\n")
    shown = sandbox.quick("up", *copy.options).err
    assert "token encrypted by a key that is not here: the sandbox uses an invented value\n" in shown
    result = sandbox.ok("up", *copy.options)
    assert result["stand_ins"] == ["token"]
    assert result["outputs"] == {"length": "[secret]"}


def test_an_override_wins_over_a_stand_in(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    result = sandbox.command(
        "preview", "--json", "-c", "secret:smtpPassword", *copy.options, stdin="k4f-92mm-kfo2-12ab\n"
    )
    assert result.json()["stand_ins"] == ["cloudflareToken"]


def test_the_stand_ins_file_holds_no_value_in_the_clear(sandbox: Any, tmp_path: Path) -> None:
    del sandbox
    home = Home(tmp_path / "home")
    home.prepare()
    assert home.passphrase.stat().st_mode & 0o777 == 0o600
    first = home.passphrase.read_text()
    home.prepare()
    assert home.passphrase.read_text() == first


@pytest.mark.parametrize(
    "file",
    [path for folder in (".", "examples/service") for path in sorted((REPOSITORY / folder).glob("Pulumi.*.yaml"))],
    ids=str,
)
def test_a_new_stack_leaves_its_committed_file_as_it_is(pulumi_cli: Path, tmp_path: Path, file: Path) -> None:
    shutil.copy(file, tmp_path)
    shutil.copy(file.parent / "Pulumi.yaml", tmp_path)
    (tmp_path / "state").mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "invented",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    stack = file.name.split(".")[1]
    command = [str(pulumi_cli), "stack", "init", stack, "--non-interactive"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    lines = (tmp_path / file.name).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("encryptionsalt:")]
    assert kept == file.read_text(encoding="utf-8").splitlines()
