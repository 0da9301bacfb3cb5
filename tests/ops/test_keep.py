"""`ops keep`: the live value in the stack's configuration, whole or not at all.

`ops reveal … | pulumi config set --secret KEY`, which messages printed before, set "" whenever its first part failed, and took
a blank, null or quoted value in.
"""

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops._unfit import unfit, unfit_to_keep
from tests.ops.conftest import Deployed as Stack
from tests.ops.conftest import pulumi, pulumi_in, script

ROOT = Path(__file__).parents[2]

FAKE = '''#!{python}
"""`pulumi config get|set|rm` as far as it is needed; it notes its arguments, and breaks as BREAK says."""
import json, os, sys
from pathlib import Path
words = [word for word in sys.argv[1:] if word != "--non-interactive"]
with open("arguments", "a") as file:
    file.write(" ".join(sys.argv[1:]) + chr(10))
path, broken = Path("Pulumi.dev.yaml"), os.environ.get("BREAK", "")
found = json.loads(path.read_text())
if words[1] == "set":
    value = sys.stdin.read().removesuffix(chr(10))
    if broken == "half-written":
        path.write_text("{{")
        sys.exit("error: the disk is full")
    if broken == "passphrase":
        sys.exit("error: incorrect passphrase")
    if broken == "secret-moves":
        import boto3
        secrets = boto3.client("secretsmanager", os.environ["AWS_REGION"])
        secrets.put_secret_value(SecretId=os.environ["SECRET"], SecretString="changed-meanwhile-1")
    found[words[2]] = value[:-1] if broken == "cut" else value
    path.write_text(json.dumps(found))
elif words[2] in found:
    print(json.dumps({{"value": found[words[2]], "secret": True}}))
else:
    sys.exit("error: configuration key not found")
'''
BEFORE = json.dumps({"jwtSecret": "what-the-configuration-had"})


@dataclass
class Project:
    """An application's folder, and `python -m ops keep` in it: `project.keep(stack, "jwt-secret")`."""

    folder: Path
    ops: Any
    environment: dict[str, str]

    def keep(self, stack: Stack, *arguments: str, **environment: str) -> Any:
        return self.ops(stack, "keep", *arguments, env={**self.environment, **environment}, folder=self.folder)

    @property
    def configuration(self) -> str:
        return (self.folder / "Pulumi.dev.yaml").read_text(encoding="utf-8")

    @property
    def arguments(self) -> str:
        return (self.folder / "arguments").read_text(encoding="utf-8")


def linked(folder: Path) -> Path:
    """This application in a folder where its configuration can be written."""
    folder.mkdir()
    for name in ("config", "components", "catalogue.py", "Pulumi.yaml"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture
def project(tmp_path: Path, ops: Any) -> Project:
    """A project with a `pulumi` that breaks on demand."""
    folder = linked(tmp_path / "project")
    (folder / "Pulumi.dev.yaml").write_text(BEFORE, encoding="utf-8")
    return Project(folder, ops, script(tmp_path / "bin", "pulumi", FAKE.format(python=sys.executable)))


def test_the_live_value_is_set_and_read_back(stack: Stack, project: Project) -> None:
    stack.put("jwt-secret", "set elsewhere, with ünïcode and\nlines\n-----END-----")

    done = project.keep(stack, "jwt-secret")

    assert done.status == 0, done.err
    assert json.loads(project.configuration)["jwtSecret"] == stack.current("jwt-secret")
    assert "jwtSecret of Pulumi.dev.yaml has the live value of jwt-secret now. Next: pulumi up --stack dev" in done.err
    assert "set elsewhere" not in project.arguments + done.out + done.err
    assert "has the live value of jwt-secret already" in project.keep(stack, "jwt-secret").err


def test_one_key_of_a_json_secret(stack: Stack, project: Project) -> None:
    done = project.keep(stack, "app-config", "--key", "SMTP_PASSWORD")

    assert done.status == 0, done.err
    assert json.loads(project.configuration)["smtpPassword"] == json.loads(stack.current("app-config"))["SMTP_PASSWORD"]


def test_another_application_without_a_plan_is_known_by_its_outputs(stack: Stack, project: Project) -> None:
    (project.folder / "catalogue.py").unlink()
    (project.folder / "catalogue.py").write_text("another = 1", encoding="utf-8")

    assert project.keep(stack, "jwt-secret").status == 0
    assert project.keep(stack, "jwt-secret", "--config-key", "sessionKey").status == 0
    found = json.loads(project.configuration)
    assert found["jwtSecret"] == found["sessionKey"] == stack.current("jwt-secret")


def refused(code: str) -> Callable[[Stack, Any], None]:
    def refuse(stack: Stack, proxy: Any) -> None:
        stack.endpoint = proxy.url
        proxy.refuse("GetSecretValue", code)

    return refuse


def live(value: str, name: str = "jwt-secret") -> Callable[[Stack, Any], object]:
    return lambda stack, _: stack.put(name, value)


def delete(stack: Stack, _: Any) -> None:
    stack.secrets.delete_secret(SecretId=stack.arn("jwt-secret"))


JWT, KEY = ("jwt-secret",), ("app-config", "--key", "SMTP_PASSWORD")
REFUSED: dict[str, tuple[tuple[str, ...], Callable[[Stack, Any], object], str]] = {
    "may not be read": (JWT, refused("AccessDeniedException"), "you are not allowed to call GetSecretValue"),
    "expired credentials": (JWT, refused("ExpiredTokenException"), "credentials have expired"),
    "blank": (JWT, live(" \n"), "is empty or blank"),
    "null": (JWT, live("null"), "is the word for no value"),
    "quoted": (JWT, live('"a-value-in-quotes-123"'), "is quoted"),
    "line break": (JWT, live("a-value-that-was-pasted\n"), "begins or ends in white space"),
    "placeholder": (JWT, live("change-me"), "looks like a placeholder"),
    "pending deletion": (JWT, delete, "is pending deletion"),
    "no JSON": (KEY, live("{", "app-config"), "is not a JSON object"),
    "no such key": (KEY, live('{"A": "b"}', "app-config"), "has no key SMTP_PASSWORD"),
    "a number": (KEY, live('{"SMTP_PASSWORD": 7}', "app-config"), "is not a string"),
    "a key of unknown origin": (("app-config", "--key", "NONE"), live("{}", "app-config"), "no configuration key"),
    "several values": (("app-config",), live("{}", "app-config"), "choose one with --key"),
    "no such secret": (("jwt-secrets",), live("x"), "did you mean jwt-secret"),
}


def test_whatever_can_not_be_kept_leaves_the_configuration_as_it_was(deploy: Any, proxy: Any, project: Project) -> None:
    for case, (arguments, broken, told) in REFUSED.items():
        stack = deploy("dev")
        broken(stack, proxy)

        done = project.keep(stack, *arguments)

        assert (done.status, project.configuration) == (2, BEFORE), case
        assert told in done.err, case


def test_a_live_value_that_can_not_be_kept_is_dropped_by_the_printed_command(stack: Stack, project: Project) -> None:
    """`ops rollback`, which was printed before, refuses a value that the configuration owns."""
    before = stack.current("app-config")
    version = stack.put("app-config", json.dumps(json.loads(before) | {"SMTP_PASSWORD": "change-me"}))
    stack.label("app-config", "pulumi-live", stack.labels("app-config")["AWSPREVIOUS"])

    done = project.keep(stack, *KEY)

    assert done.status == 2
    told, command = done.err.rstrip().split("\n")
    assert told.endswith("To drop it, make the version that Pulumi set last the current one again, with every key:"), (
        done.err
    )
    words = shlex.split(command)
    assert words[:3] == ["aws", "secretsmanager", "update-secret-version-stage"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert options["--remove-from-version-id"] == version
    stack.move("app-config", options["--version-stage"], to=options["--move-to-version-id"])
    assert stack.current("app-config") == before


def test_without_another_version_of_pulumi_the_right_value_is_set_first(stack: Stack, project: Project) -> None:
    version = stack.put("jwt-secret", "change-me")
    stack.label("jwt-secret", "pulumi-live", version)

    assert project.keep(stack, "jwt-secret").err.endswith(
        "Set the right value first:\n  pulumi config set --stack dev --path rotations.jwtSecret 2 && pulumi up --stack dev\n"
    )
    assert project.keep(stack, "jwt-secret", "--version", "PREVIOUS").status == 0
    assert "the value of jwt-secret at AWSCURRENT looks like a placeholder; the configuration was not changed\n" in (
        project.keep(stack, "jwt-secret", "--version", "AWSCURRENT").err
    )


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("half-written", "the disk is full"),
        ("passphrase", "incorrect passphrase"),
        ("cut", "reads back as another value"),
        ("secret-moves", "was changed meanwhile"),
    ],
)
def test_whatever_breaks_half_way_leaves_the_configuration_as_it_was(
    broken: str, told: str, stack: Stack, project: Project
) -> None:
    done = project.keep(stack, "jwt-secret", BREAK=broken, SECRET=stack.arn("jwt-secret"))

    assert (done.status, project.configuration) == (2, BEFORE)
    assert told in done.err
    assert "the configuration is as it was" in done.err


@pytest.mark.slow
def test_with_the_real_pulumi(stack: Stack, ops: Any, pulumi_cli: Path, tmp_path: Path) -> None:
    folder, environment = linked(tmp_path / "project"), pulumi_in(tmp_path, pulumi_cli)
    project = Project(folder, ops, environment)
    pulumi(folder, environment, "stack", "init", "dev")
    value = "-----BEGIN KEY-----\nä\n-----END KEY-----\n"
    stack.put("jwt-secret", value)

    done = project.keep(stack, "jwt-secret")

    assert done.status == 0, done.err
    found = json.loads(pulumi(folder, environment, "config", "get", "jwtSecret", "--json", "--stack", "dev"))
    assert (found["value"], found["secret"]) == (value, True)
    before = project.configuration
    stack.put("jwt-secret", "another-value-by-hand-1")
    done = project.keep(stack, "jwt-secret", PULUMI_CONFIG_PASSPHRASE="another")
    assert (done.status, project.configuration) == (2, before)
    assert "incorrect passphrase" in done.err


def test_what_can_be_no_value() -> None:
    for text in ("", " ", "NULL", "undefined", '"quoted"', "'quoted'", "\ufeffbom", "with\0zero", "pasted\n"):
        assert unfit(text), text
    for text in ("a-value", '"', "say 'hi'", "-----BEGIN X-----\na\n-----END X-----\n", "nullable"):
        assert unfit(text) is None, text
    assert unfit("change-me") is None
    assert unfit_to_keep("change-me") == "looks like a placeholder"
    assert unfit_to_keep("short") is None
