"""Programs that run in one process, commands that run at once, and a local AWS that dies."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import grpc
import pytest
from moto.server import ThreadedMotoServer
from pulumi.automation import CommandResult
from pulumi.automation.errors import create_command_error
from pulumi.runtime import _grpc_settings

from sandbox import engine, local_aws, plan, program
from sandbox.errors import SandboxError
from sandbox.home import Home
from sandbox.pulumi_process import PulumiProcess
from sandbox.report import describe_bug

Make = Callable[..., Any]


def test_two_projects_in_one_process_get_their_own_modules(tmp_path: Path) -> None:
    values: list[str] = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "settings.py").write_text(f"VALUE = {name!r}\n")
        (folder / "__main__.py").write_text("import os, settings\nprint(settings.VALUE, os.getcwd())\n")
        before, path, directory = set(sys.modules), list(sys.path), Path.cwd()
        with program.alone(folder):
            import settings  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - the copy's module, the point of the test

            values.append(settings.VALUE)
            assert Path.cwd() == folder
        assert (set(sys.modules) - before, sys.path, Path.cwd()) == (set(), path, directory)
    assert values == ["one", "two"]


def test_a_consumer_does_not_see_this_projects_modules(sandbox: Any, tiny: Make) -> None:
    result = sandbox.quick("preview", *tiny("import catalogue\n").options)
    assert result.status == 1
    assert "ModuleNotFoundError: No module named 'catalogue'" in result.err


@pytest.mark.slow
def test_each_provider_of_a_program_has_a_configuration_of_its_own(sandbox: Any, tiny: Make) -> None:
    copy = tiny("""
        import pulumi
        import pulumi_aws as aws
        other = aws.Provider("other", region="eu-west-1", default_tags={"tags": {"from": "other"}})
        for name, options in (("here", None), ("there", pulumi.ResourceOptions(provider=other))):
            pulumi.export(name, aws.secretsmanager.Secret(name, recovery_window_in_days=0, opts=options).arn)
    """)
    copy.add_config("aws:defaultTags: {tags: {from: stack}}\n")
    outputs = sandbox.ok("up", *copy.options)["outputs"]
    assert [outputs[name].split(":")[3] for name in ("here", "there")] == ["eu-central-1", "eu-west-1"]
    tags = sandbox.aws("secretsmanager", copy).describe_secret(SecretId=outputs["here"])["Tags"]
    assert tags == [{"Key": "from", "Value": "stack"}]


def test_a_stack_stays_in_its_account(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    sandbox.ok("up", *copy.options)
    file = copy.directory / f"Pulumi.{copy.stack}.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(copy.account, "999999999999"), encoding="utf-8")
    before = sandbox.checkpoint_path(copy).read_bytes()
    for verb in ("up", "preview", "refresh", "destroy"):
        refused = sandbox.quick(verb, *copy.options)
        assert refused.status != 0
        assert (
            f"belongs to account {copy.account}, but by {file.name} the sandbox signs in to 999999999999" in refused.err
        )
    assert sandbox.checkpoint_path(copy).read_bytes() == before
    file.write_text(text, encoding="utf-8")
    assert sandbox.ok("up", "--expect-no-changes", *copy.options)["changes"] == []
    sandbox.ok("destroy", *copy.options)
    file.write_text(text.replace(copy.account, "999999999999"), encoding="utf-8")
    assert sandbox.ok("up", *copy.options)["changes"]


def test_another_stack_reads_the_outputs_by_reference(sandbox: Any, tiny: Make) -> None:
    producer = tiny("import pulumi\npulumi.export('arn', 'arn-of-something')\n")
    consumer = tiny(f"""
        import pulumi
        other = pulumi.StackReference("organization/throwaway/{producer.stack}")
        pulumi.export("seen", other.require_output("arn"))
    """)
    missing = sandbox.quick("up", *consumer.options)
    assert missing.status == 1
    assert f'unknown stack "organization/throwaway/{producer.stack}"' in missing.err
    sandbox.ok("up", *producer.options)
    assert sandbox.ok("up", *consumer.options)["outputs"] == {"seen": "arn-of-something"}


def test_two_commands_on_one_stack_take_turns(sandbox: Any, tiny: Make) -> None:
    copy = tiny(SLOW_PROGRAM)
    first = sandbox.start("up", *copy.options)
    sandbox.wait_until(lambda: sandbox.home.holder(f"throwaway.{copy.stack}") is not None)
    second = sandbox.quick("up", *copy.options)
    _, err = first.communicate(timeout=60)
    assert (first.returncode, second.status) == (0, 0), err
    assert f"Waiting for `up --stack {copy.stack}` (pid {first.pid}" in second.err


@pytest.mark.slow
def test_two_stacks_go_up_at_once(sandbox: Any, tiny: Make) -> None:
    copies = [tiny(SLOW_PROGRAM), tiny(SLOW_PROGRAM)]
    sandbox.ok("preview", *copies[0].options)
    running = [sandbox.start("up", *copy.options) for copy in copies]
    for process in running:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "Waiting" not in err


@pytest.mark.slow
def test_down_refuses_while_a_command_works(own_sandbox: Any, tiny: Make) -> None:
    copy = tiny(SLOW_PROGRAM)
    process = own_sandbox.start("up", *copy.options)
    own_sandbox.wait_until(lambda: own_sandbox.home.holder(f"throwaway.{copy.stack}") is not None)
    result = own_sandbox.quick("down")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert result.status == 1
    assert f"throwaway.{copy.stack} is in use by `up" in result.err


@pytest.mark.slow
def test_after_the_local_aws_died_the_next_up_says_so_and_starts_afresh(own_sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    own_sandbox.ok("up", *copy.options)
    pid = own_sandbox.ok("status")["local_aws"]["pid"]
    os.kill(pid, signal.SIGKILL)
    own_sandbox.wait_until(lambda: own_sandbox.ok("status")["local_aws"] is None)
    assert "does not run" in own_sandbox.quick("env", *copy.options).err
    result = own_sandbox.quick("up", "--json", *copy.options)
    assert result.status == 0, result.err
    assert "The local AWS had stopped" in result.err
    assert f"throwaway/{copy.stack} had resources in the local AWS that is gone" in result.err
    assert len(result.json()["changes"]) == 3
    own_sandbox.ok("preview", "--expect-no-changes", *copy.options)


@pytest.mark.parametrize(("older", "became"), [(0, "ended"), (60, "left")])
def test_a_process_that_only_has_the_number_of_a_dead_engine_is_left_alone(
    tmp_path: Path, older: int, became: str
) -> None:
    """Numbers of processes come again; the second one may be somebody's `pulumi up`."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)  # pulumi up"])
    record = tmp_path / f"cli-{process.pid}"
    record.touch()
    os.utime(record, (time.time() - older, time.time() - older))
    with mock.patch.object(engine, "_CLI_SECONDS", 0.2):
        engine.end_leftovers(tmp_path)
    assert ("left" if process.poll() is None else "ended") == became
    assert not record.exists()
    process.kill()
    process.wait()


def test_down_stops_the_local_aws_and_reset_deletes_only_what_is_the_sandboxs(own_sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    own_sandbox.ok("up", *copy.options)
    pid = own_sandbox.ok("status")["local_aws"]["pid"]
    assert own_sandbox.quick("down").status == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert own_sandbox.ok("status")["stacks"] == []
    (own_sandbox.home.root / "mine.txt").write_text("kept")
    assert own_sandbox.quick("reset").status == 0
    assert [path.name for path in own_sandbox.home.root.iterdir()] == ["mine.txt"]


def test_a_stack_that_was_forgotten_gets_the_salt_that_its_configuration_still_has(
    own_sandbox: Any, tiny: Make
) -> None:
    copy = tiny()
    salts: set[str | None] = set()
    for _ in range(2):
        own_sandbox.ok("preview", *copy.options)
        salts.add(own_sandbox.checkpoint(copy).salt)
        assert own_sandbox.quick("down").status == 0
    assert len(salts - {None}) == 1


def test_a_command_of_the_cli_finds_the_program_of_a_stack_that_it_creates(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    assert sandbox.quick("pulumi", *copy.options, "--", "up", "--yes").status == 0
    assert len(sandbox.checkpoint(copy).outputs()) > 0


def test_an_emulator_that_runs_already_is_used_and_its_restart_noticed(own_sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = ("--endpoint", f"http://{host}:{port}")
    try:
        first = own_sandbox.ok("up", *endpoint, *copy.options)
        assert len(first["changes"]) == 3
        assert own_sandbox.ok("status")["local_aws"] is None
        assert own_sandbox.ok("up", *endpoint, *copy.options)["changes"] == []
        urllib.request.urlopen(urllib.request.Request(f"{endpoint[1]}/moto-api/reset", method="POST")).close()  # noqa: S310
        again = own_sandbox.quick("up", "--json", *endpoint, *copy.options)
        assert "had resources in the local AWS that is gone" in again.err
        assert len(again.json()["changes"]) == 3
    finally:
        server.stop()


def test_nothing_answers_at_the_endpoint(own_sandbox: Any, tiny: Make) -> None:
    result = own_sandbox.quick("up", "--endpoint", "http://127.0.0.1:9", *tiny().options)
    assert result.status == 1
    assert "nothing answers at http://127.0.0.1:9" in result.err


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("0.0.0.0", False),  # noqa: S104 - must be refused
        ("", False),
    ],
)
def test_only_loopback_is_this_machine(host: str, expected: object) -> None:
    assert local_aws.is_loopback(host) is expected


def test_a_pid_file_of_another_process_kills_nobody(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    with subprocess.Popen(["sleep", "30"]) as other:
        (tmp_path / "moto.json").write_text(json.dumps({"pid": other.pid, "port": 1}))
        assert local_aws.running(home) is None
        assert local_aws.stop(home) is None
        assert other.poll() is None
        other.kill()


def test_a_held_lock_is_an_error_or_waited_for(tmp_path: Path) -> None:
    home, told = Home(tmp_path), list[str]()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with home.lock("a.b", "first"):
            held.set()
            release.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    with pytest.raises(SandboxError, match=r"a\.b is in use by `first`"), home.lock("a.b", "second"):
        pass

    def waiting(who: object) -> None:
        told.append(str(who))
        release.set()

    with home.lock("a.b", "third", waiting):
        assert told[0].startswith("`first`")
    holder.join()
    assert home.holder("a.b") is None


SLOW_PROGRAM = """
import time
import pulumi
import pulumi_random as random
value = random.RandomPassword("p", length=20)
time.sleep(2)
pulumi.export("done", True)
"""


def test_a_program_reaches_its_engine_on_the_port_of_one_that_ended() -> None:
    """Ports come again, and gRPC shares what lies below a channel by its address. The SDK closes none of its channels."""

    def respond(request: bytes, _context: object) -> bytes:
        return request

    class Engine(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> Any:
            del handler_call_details
            return grpc.unary_unary_rpc_method_handler(respond)

    def start(port: int) -> tuple[Any, int]:
        server = grpc.server(ThreadPoolExecutor(1), handlers=[Engine()])
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        return server, bound

    def channel(port: int) -> Any:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options=_grpc_settings._GRPC_CHANNEL_OPTIONS)

    def ask(channel: Any) -> str:
        try:
            return channel.unary_unary("/engine/ask")(b"answered").decode()
        except grpc.RpcError as error:
            status: Any = error
            return status.code().name

    first, port = start(0)
    of_the_first = channel(port)
    assert ask(of_the_first) == "answered"
    first.stop(0).wait()
    assert ask(of_the_first) == "UNAVAILABLE"
    second, _ = start(port)
    assert ask(channel(port)) == "answered"
    second.stop(0).wait()


def test_a_program_sends_the_engine_no_debug_messages_and_no_frames_of_the_sandbox(sandbox: Any, tiny: Make) -> None:
    copy = tiny("""
        import pulumi
        import pulumi_random as random
        from pulumi.runtime import settings

        engine, sent = settings.get_engine(), []
        send = engine.Log

        def noted(request, *rest, **options):
            sent.append(request.message)
            return send(request, *rest, **options)

        engine.Log = noted
        made = random.RandomPassword("made", length=20)
        pulumi.info("the only one")
        pulumi.export("sent", made.length.apply(lambda _: sent))
    """)
    assert sandbox.ok("up", *copy.options)["outputs"]["sent"] == ["the only one"]
    resources = json.loads(sandbox.checkpoint_path(copy).read_text())["checkpoint"]["latest"]["resources"]
    (trace,) = (r["stackTrace"] for r in resources if r["type"].endswith(":RandomPassword"))
    assert [frame["sourcePosition"].rpartition("/")[2] for frame in trace] == ["__main__.py#14"]


def test_a_project_is_asked_in_the_environment_of_the_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread starts the process while the command replaces its environment: "Bad address", now and then."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "plan.py").write_text(
        "import json, os\n"
        "print(json.dumps({'secrets': {}, 'variables': {}, 'secret_config_keys': [os.environ['MOMENT']]}))\n",
        encoding="utf-8",
    )
    (tmp_path / "Pulumi.dev.yaml").touch()
    project: Any = SimpleNamespace(directory=tmp_path, stack_file=lambda _stack: tmp_path / "Pulumi.dev.yaml")  # pyright: ignore[reportUnknownLambdaType]
    busy = threading.Event()
    plan._ASKS.submit(busy.wait)
    monkeypatch.setenv("MOMENT", "asked")
    asked = plan.ApplicationPlan.ask(project, "dev")
    monkeypatch.setenv("MOMENT", "later")
    busy.set()
    assert asked.result().secret_keys == ["asked"]


def test_a_bug_is_told_with_the_systems_reason_and_no_argument() -> None:
    with pytest.raises(FileNotFoundError) as bug:
        Path("/proc/self/a secret").read_text(encoding="utf-8")
    told = describe_bug(bug.value)
    assert re.fullmatch(r"FileNotFoundError \(No such file or directory\) in pathlib\.py:\d+", told)


def test_only_a_preview_skips_checkpoints(tmp_path: Path) -> None:
    cli = tmp_path / "pulumi"
    cli.write_text('#!/bin/sh\nprintf %s "$PULUMI_SKIP_CHECKPOINTS"\n', encoding="utf-8")
    cli.chmod(0o755)
    pulumi = PulumiProcess(cli, "3.274.1", {}, pids=tmp_path, interrupted=lambda _again: None)
    told = {
        verb: pulumi.run([verb, "--skip-preview"], str(tmp_path), {}).stdout for verb in ("preview", "up", "destroy")
    }
    assert told == {"preview": "true", "up": "", "destroy": ""}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (-9, "the Pulumi engine was killed; the next command tells how to recover what it had begun"),
        (255, "the Pulumi engine ended without giving a reason\nresource monitor has terminated"),
    ],
)
def test_only_an_engine_that_a_signal_ended_was_killed(status: int, told: str) -> None:
    error = create_command_error(CommandResult(stdout="", stderr="", code=status))
    assert engine._ended(str(error), ["resource monitor has terminated"] * 2).startswith(told)


def test_what_the_program_refuses_is_refused_before_anything_from_the_first_up_on(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    program = (copy.directory / "__main__.py").read_text(encoding="utf-8")
    # Without a preview, secrets would be made while it sleeps.
    copy.set_program(f"{program}\nimport time\ntime.sleep(1)\nraise pulumi.RunError('late')\n")
    result = sandbox.quick("up", *copy.options)
    assert (result.status, result.err.splitlines()[-1]) == (1, "late")
    assert sandbox.aws("secretsmanager", copy).list_secrets()["SecretList"] == []
    assert sandbox.checkpoint(copy).objects == 0


def test_after_a_preview_nothing_waits_to_be_taken_up(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    for verb in ("preview", "up", "preview"):
        sandbox.ok(verb, *copy.options)
        assert not sandbox.checkpoint(copy).cut_off
