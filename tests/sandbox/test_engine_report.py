"""What the engine's events become on the screen and in messages."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sandbox.report import Recorder


def _errors(*messages: str) -> list[str]:
    recorder = Recorder(Path.cwd(), "up", cast("Any", None))
    for message in messages:
        diagnostic = SimpleNamespace(message=message, ephemeral=False, severity="error", urn=None)
        others = dict.fromkeys(("resource_pre_event", "res_outputs_event", "res_op_failed_event"))
        recorder(SimpleNamespace(**others, diagnostic_event=diagnostic))
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


def test_an_error_that_comes_twice_is_told_once() -> None:
    assert _errors("no such Region", "Exception calling application: no such Region") == ["no such Region"]
