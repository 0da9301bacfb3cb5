"""`kill -9` and Ctrl-C: the sandbox repairs nothing that Pulumi doesn't, and tells how to recover; no value is lost."""

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]

_OPTION = ("-c", "count=10")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victims", "checkpoints"), [("driver", 20), ("engine", 3), ("all", 12), ("all", 30), ("all", 45)]
)
def test_kill_9_then_recover_and_up_keep_every_value(
    sandbox: Any, project_copy: Make, victims: str, checkpoints: int
) -> None:
    copy = project_copy()
    ended = _start_and_kill(sandbox, copy, victims, checkpoints)
    before = _values(sandbox, copy)

    refused = sandbox.quick("up", *copy.options) if sandbox.checkpoint(copy).cut_off else None
    if refused:
        assert refused.status == 1
        assert "was cut off: Pulumi's lock is left" in refused.err
    recovered = sandbox.ops(copy, "recover", "--stack", copy.stack, "--yes")
    assert "error:" not in recovered.err, (ended, recovered.err)
    sandbox.ok("up", *copy.options)

    after = _values(sandbox, copy)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) or refused or victims == "driver"
    sandbox.stays(copy)
    families = sandbox.aws("ecs", copy).list_task_definitions()["taskDefinitionArns"]
    assert len(families) == 1
    assert sandbox.checkpoint(copy).pending == ()


def test_a_project_without_operators_tools_is_told_pulumis_own_commands(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    _start_and_kill(sandbox, copy, "all", 12, *_OPTION)
    for verb in ("up", "destroy", "refresh"):
        refused = sandbox.quick(verb, *copy.options)
        assert refused.status == 1
        assert "was cut off: Pulumi's lock is left" in refused.err
    commands = [line.split()[4:] for line in refused.err.splitlines() if line.startswith("  python -m sandbox ")]
    assert [command[-3:] for command in commands] == [
        ["--", "cancel", "--yes"],
        ["refresh", "--clear-pending-creates", "--yes"],
    ]
    for command in commands:
        assert sandbox.quick("pulumi", *command).status == 0
    assert sandbox.checkpoint(copy).pending == ()
    assert not sandbox.checkpoint(copy).cut_off


@pytest.mark.slow
def test_ctrl_c_ends_in_good_order_and_the_next_up_goes_on(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    process = sandbox.start("up", *_OPTION, *copy.options)
    _wait_for(sandbox, copy, process, 6)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Stopping: finishing what has begun" in err
    assert "Stopped by Ctrl-C: " in err
    assert "Traceback" not in err
    assert sandbox.checkpoint(copy).pending == ()
    sandbox.ok("up", *_OPTION, *copy.options)
    sandbox.ok("preview", "--expect-no-changes", *_OPTION, *copy.options)


@pytest.mark.slow
def test_a_destroy_that_ctrl_c_stopped_half_way_does_not_end_well(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    program = (copy.directory / "__main__.py").read_text(encoding="utf-8")
    one_by_one = "pulumi.ResourceOptions(depends_on=version if i else None)"  # so that it takes a while
    program = program.replace("days=0,", f"days=0, opts={one_by_one},")
    copy.set_program(
        program.replace("    aws.secretsmanager.SecretVersion", "    version = aws.secretsmanager.SecretVersion")
    )
    sandbox.ok("up", *_OPTION, *copy.options)
    process = sandbox.start("destroy", *copy.options)
    _wait_for(sandbox, copy, process, 6)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # The engine itself ends with 0, whatever is left.
    assert process.returncode == 130, err
    assert "Stopped by Ctrl-C: " in err
    sandbox.ok("destroy", *copy.options)
    assert sandbox.checkpoint(copy).resources == ()


def _start_and_kill(sandbox: Any, copy: Any, victims: str, checkpoints: int, *options: str) -> int:
    process = sandbox.start("up", *options, *copy.options)
    _wait_for(sandbox, copy, process, checkpoints)
    sandbox.kill(copy, process, victims)
    assert process.returncode
    return process.returncode


def _wait_for(sandbox: Any, copy: Any, process: Any, checkpoints: int) -> None:
    """Wait until a command has written its state so often."""
    path, seen = sandbox.checkpoint_path(copy), set[int]()

    def reached() -> bool:
        with contextlib.suppress(FileNotFoundError):
            seen.add(path.stat().st_mtime_ns)
        return len(seen) > checkpoints

    sandbox.wait_until(reached, process)


def _values(sandbox: Any, copy: Any) -> dict[str, str]:
    """The values that secrets have in AWS."""
    client = sandbox.aws("secretsmanager", copy)
    found: dict[str, str] = {}
    for secret in client.list_secrets(MaxResults=100)["SecretList"]:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            found[secret["ARN"]] = client.get_secret_value(SecretId=secret["ARN"])["SecretString"]
    return found
