"""What the engine's events become on the screen and in messages."""

from pathlib import Path
from typing import Any, Literal
from unittest import mock

import pytest
from pulumi.automation import (
    DiagnosticEvent,
    EngineEvent,
    OpType,
    PreludeEvent,
    ResOutputsEvent,
    StepEventMetadata,
    StepEventStateMetadata,
)

from sandbox import summary
from sandbox.home import REPOSITORY
from sandbox.report import Change, Recorder, Watcher
from sandbox.screen import Screen

PRELUDE = EngineEvent(0, 0, prelude_event=PreludeEvent({}))
CREATED = StepEventMetadata(OpType.CREATE, "urn:pulumi:dev::tickets::aws:kms/key:Key::data", "aws:kms/key:Key", "")


def said(severity: str, message: str) -> EngineEvent:
    return EngineEvent(0, 0, diagnostic_event=DiagnosticEvent(message, "raw", severity))


def _errors(*messages: str) -> list[str]:
    recorder = Recorder(Path.cwd(), "up", Watcher())
    for message in messages:
        recorder(said("error", message))
    return recorder.errors


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Exception calling application: prod has no output 'a'", ["prod has no output 'a'"]),
        ("<{%fg 1%}>update failed: no such Region<{%reset%}>", ["no such Region"]),
        ("update failed", []),
        ("resource monitor has terminated", []),
    ],
)
def test_an_error_is_told_without_the_engines_own_words(message: str, told: list[str]) -> None:
    assert _errors(message) == told


@pytest.mark.parametrize("active", [False, True])
def test_the_next_commands_begin_with_the_environment_unless_it_is_active(
    active: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("activate", "python"):
        (tmp_path / "bin" / name).touch(mode=0o755)
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin") if active else "/nonexistent")
    request = mock.Mock(stack="dev", project=mock.Mock(directory=REPOSITORY))
    lines = summary._next_commands(mock.Mock(request=request), None, ()).plain.split("\n")[1:]
    assert lines[: 2 - active] == [f"  . {tmp_path}/bin/activate", '  eval "$(python -m sandbox env)"'][active:]


@pytest.mark.parametrize(
    ("stack", "command"),
    [
        ("service-ticket-system/prod", "python -m sandbox up --stack prod"),
        ("other/dev", "python -m sandbox up --stack dev --project FOLDER_OF_other"),
    ],
)
def test_a_stack_that_another_needs_is_told_how_to_come_up(stack: str, command: str) -> None:
    unknown = f'unknown stack "organization/{stack}"'
    assert _errors(unknown) == [f"{unknown}\nBring it up first: {command}"]


def test_an_error_that_comes_twice_is_told_once() -> None:
    assert _errors("no such Region", "Exception calling application: no such Region") == ["no such Region"]


@pytest.mark.parametrize("verb", ["up", "destroy", "refresh", "preview"])
def test_of_the_preview_before_an_operation_only_errors_count(
    verb: Literal["up", "destroy", "refresh", "preview"],
) -> None:
    watcher = mock.Mock(Watcher)
    recorder = Recorder(Path.cwd(), verb, watcher)
    events = [said("warning", "no recovery window"), EngineEvent(0, 0, res_outputs_event=ResOutputsEvent(CREATED))]
    for event in (PRELUDE, *events, said("error", "refused")):
        recorder(event)
    looked_ahead = verb in {"up", "destroy"}
    assert recorder.errors == ["refused"]
    assert (watcher.told.call_count, len(recorder.changes)) == ((0, 0) if looked_ahead else (1, verb != "preview"))
    for event in (PRELUDE, *events):
        recorder(event)
    assert (watcher.told.call_count, len(recorder.changes)) == (
        (1, 1) if looked_ahead else (2, 2 * (verb != "preview"))
    )


@pytest.mark.parametrize(
    ("old", "shown"),
    [
        ({}, "- aws:kms:Key data  old one deleted"),
        ({"retain_on_delete": True}, "= aws:kms:Key data  old one kept on AWS"),
        ({"inputs": {"skipDestroy": True}}, "= aws:kms:Key data  old one kept on AWS"),
    ],
)
def test_a_replaced_resource_that_stays_on_aws_is_not_called_deleted(
    capsys: pytest.CaptureFixture[str], old: dict[str, Any], shown: str
) -> None:
    state = StepEventStateMetadata(CREATED.type, CREATED.urn, "k-1", "", "", **old)
    step = StepEventMetadata(OpType.DELETE_REPLACED, CREATED.urn, CREATED.type, "", old=state)
    with Screen() as screen:
        recorder = Recorder(Path.cwd(), "refresh", screen)
        recorder(EngineEvent(0, 0, res_outputs_event=ResOutputsEvent(step)))
    assert capsys.readouterr().err == f"{shown}\n"
    assert recorder.changes == list[Change]()
