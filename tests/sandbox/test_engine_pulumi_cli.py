"""Which Pulumi CLI the sandbox takes, and how it builds one."""

import socket
from pathlib import Path
from urllib.error import URLError

import pytest
from pulumi.automation import PulumiCommand

from sandbox import pulumi_cli as cli
from sandbox.errors import SandboxError
from sandbox.home import Home

_PIN = "module tools\n\ngo 1.26.6\n\nrequire github.com/pulumi/pulumi/pkg/v3 v3.274.1\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty PATH and nothing built yet."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "go.mod").write_text(_PIN)
    (tmp_path / "path").mkdir()
    monkeypatch.setattr(cli, "TOOLS", tmp_path / "tools")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cli, "_NEWS_SECONDS", 0.05)
    monkeypatch.setattr(cli, "_INSTALLER", (tmp_path / "tools" / "go.mod").as_uri())
    monkeypatch.setattr(PulumiCommand, "install", _no_network)
    return tmp_path


def _no_network(*_: object, **__: object) -> None:
    raise URLError("no network")


def _script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def _go(machine: Path, body: str) -> None:
    _script(machine / "path" / "go", body)


_BUILDS = 'while [ "$1" != -o ]; do shift; done; printf "#!/bin/sh\\necho v3.274.1\\n" > "$2"; /bin/chmod 755 "$2"'


@pytest.mark.parametrize("version", ["v3.272.0", "v3.999.1", "3.272.5"])
def test_a_cli_on_path_is_taken_when_it_is_as_new_as_the_sdk(machine: Path, version: str) -> None:
    found = _script(machine / "path" / "pulumi", f"echo {version}")
    assert cli.find_or_build() == found


@pytest.mark.parametrize("said", ["v3.271.9", "v2.999.0", "v4.0.0", "nonsense"])
def test_another_cli_is_ignored_and_the_pinned_one_built(machine: Path, said: str) -> None:
    _script(machine / "path" / "pulumi", f"echo {said}")
    _go(machine, _BUILDS)
    assert cli.find_or_build() == machine / "tools" / "bin" / "pulumi"


def test_a_build_tells_that_it_is_alive_and_happens_once(machine: Path) -> None:
    _go(machine, f"/bin/sleep 0.3; echo called >> {machine}/calls; {_BUILDS}")
    told: list[str] = []
    assert cli.find_or_build(say=told.append) == cli.find_or_build(say=told.append)
    assert told[0] == "Fetching the Pulumi CLI 3.274.1 from get.pulumi.com, once."
    assert told[1] == "Fetching the Pulumi CLI failed (URLError); building it instead."
    assert told[2].startswith("Building the Pulumi CLI 3.274.1, once; it takes about")
    assert any(f": {progress}, " in text for text in told for progress in ("starting", "1 modules downloaded"))
    assert told[-1].startswith("Built the Pulumi CLI 3.274.1 in ")
    assert (machine / "calls").read_text() == "called\n"


@pytest.mark.parametrize(("brings", "took"), [("3.274.1", "Fetched"), ("3.270.0", "Built")])
def test_with_a_network_the_sdks_installer_is_asked_before_go(
    machine: Path, monkeypatch: pytest.MonkeyPatch, brings: str, took: str
) -> None:
    def install(root: str, version: object, **_: object) -> None:
        assert str(version) == "3.274.1"
        (Path(root) / "bin").mkdir(exist_ok=True)
        _script(Path(root) / "bin" / "pulumi", f"echo v{brings}")

    monkeypatch.setattr(PulumiCommand, "install", install)
    _go(machine, _BUILDS)
    told: list[str] = []
    assert cli.find_or_build(say=told.append) == machine / "tools" / "bin" / "pulumi"
    assert told[-1].startswith(f"{took} the Pulumi CLI 3.274.1")
    assert cli.cli_version(machine / "tools" / "bin" / "pulumi", Home.from_environment()) == "3.274.1"


def test_a_network_that_never_answers_is_not_waited_for(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(*_: object, **__: object) -> None:
        raise AssertionError("the SDK's installer sets no limit of its own")

    monkeypatch.setattr(PulumiCommand, "install", install)
    monkeypatch.setattr(cli, "_ANSWER_SECONDS", 0.1)
    _go(machine, _BUILDS)
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes the connection, and says nothing
        monkeypatch.setattr(cli, "_INSTALLER", f"http://127.0.0.1:{silent.getsockname()[1]}/install.sh")
        assert cli.find_or_build(say=told.append) == machine / "tools" / "bin" / "pulumi"
    assert told[1] == "Fetching the Pulumi CLI failed (TimeoutError); building it instead."


def test_a_built_cli_of_another_pin_is_built_anew(machine: Path) -> None:
    (machine / "tools" / "bin").mkdir()
    _script(machine / "tools" / "bin" / "pulumi", "echo v3.100.0")
    _go(machine, _BUILDS)
    assert cli.cli_version(cli.find_or_build(), Home.from_environment()) == "3.274.1"


@pytest.mark.parametrize(
    ("log", "progress"),
    [
        ("", "starting"),
        ("go: downloading a v1\ngo: downloading b v1\n", "2 modules downloaded"),
        ("go: downloading a v1\na\nb\nc\n", "3 of 1730 packages compiled"),
        ("p\n" * 1730, "linking"),
    ],
)
def test_a_build_says_how_far_it_is(tmp_path: Path, log: str, progress: str) -> None:
    (tmp_path / "build.log").write_text(log)
    assert cli._progress(tmp_path / "build.log") == progress


@pytest.mark.parametrize(("given", "used"), [({}, "400"), ({"GOGC": "50"}, "50")])
def test_a_build_collects_less_garbage_unless_told(given: dict[str, str], used: str) -> None:
    found = cli._build_environment({"GOFLAGS": "-mod=mod", "GOWORK": "/w", "HOME": "/h", **given})
    assert found == {"GOGC": used, "GOWORK": "off", "HOME": "/h"}


def test_a_failed_build_shows_its_last_lines_and_leaves_nothing(machine: Path) -> None:
    _go(machine, "echo 'no module' >&2; exit 1")
    with pytest.raises(SandboxError, match=r"building the Pulumi CLI failed:\n  no module"):
        cli.find_or_build()
    assert not list((machine / "tools" / "bin").glob("pulumi*"))


def test_without_go_and_pulumi_both_ways_to_install_are_named(machine: Path) -> None:
    assert not list((machine / "path").iterdir())
    with pytest.raises(SandboxError) as raised:
        cli.find_or_build()
    assert "no Pulumi CLI of version 3.272.0 or later" in str(raised.value)
    assert "pulumi.com/docs/install" in str(raised.value)
    assert "go.dev/doc/install" in str(raised.value)


def test_the_version_is_remembered_until_the_file_changes(machine: Path) -> None:
    home = Home.from_environment()
    home.prepare()
    pulumi = _script(machine / "path" / "pulumi", f"echo asked >> {machine}/asked; echo v3.280.0")
    for _ in range(3):
        cli.find_or_build(home)
    assert (machine / "asked").read_text() == "asked\n"
    _script(pulumi, "echo v3.281.0 # now longer")
    assert cli.cli_version(cli.find_or_build(home), home) == "3.281.0"
