"""The comment of a preview holds names and no value, whatever the CLI prints."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools import preview_comment as tool

SCRIPT = Path(tool.__file__)
VALUE = "planted-value-0123456789"
URN = "urn:pulumi:dev::tickets::ecs-secrets:index:TaskDefinition$aws:ecs/taskDefinition:TaskDefinition::app-task-definition"


def step(**changes: Any) -> dict[str, Any]:
    state = {"urn": URN, "inputs": {"memory": VALUE}, "outputs": {"memory": VALUE}}
    return {"op": "update", "urn": URN, "oldState": state, "newState": state, **changes}


def preview(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"config": {"tickets:smtpPassword": VALUE}, "steps": list(steps), **more}


def test_a_change_is_shown_by_its_names() -> None:
    found = step(detailedDiff={"memory": {"kind": "update"}, f"tags[{VALUE!r}]": {}, f"environment.{VALUE}": {}})
    shown = tool.comment("dev", preview(found))
    row = "| update | aws:ecs/taskDefinition:TaskDefinition | app-task-definition | environment, memory, tags |"
    assert row in shown.splitlines()
    assert VALUE not in shown


@pytest.mark.parametrize(
    "found",
    [
        step(op=VALUE),
        step(urn=f"urn:pulumi:dev::tickets::aws:sns/topic:Topic::{VALUE} with more"),
        step(urn=f"urn:pulumi:dev::tickets::{VALUE}::topic"),
        step(detailedDiff={VALUE: {}}, diffReasons=[VALUE], replaceReasons=[f"{VALUE}.x"]),
        step(detailedDiff={f"`{VALUE}`": {}, "<script>": {}, "a|b": {}}),
        step(urn=VALUE),
    ],
)
def test_what_looks_like_no_name_is_not_shown(found: dict[str, Any]) -> None:
    shown = tool.comment("dev", preview(found, diagnostics=[{"severity": "warning", "message": VALUE}]))
    assert VALUE not in shown
    assert "<script>" not in shown


def test_no_change_and_a_failure_are_said() -> None:
    assert "No changes." in tool.comment("dev", preview({"op": "same", "urn": URN}))
    failed = tool.comment("dev", preview(diagnostics=[{"severity": "error", "message": VALUE}]))
    assert "The preview failed" in failed
    assert "No changes." not in failed
    assert VALUE not in failed
    assert "The preview failed" in tool.comment("dev", None)


def test_a_long_comment_is_cut_where_github_would_refuse_it() -> None:
    shown = tool.comment("dev", preview(*[step(detailedDiff={"memory": {}})] * 2000))
    assert len(shown) < 65_536
    assert " more | |" in shown


@pytest.mark.parametrize("before", ["", "warning: using a plugin from $PATH\n"])
def test_the_command_reads_what_the_cli_prints_and_tells_the_log_what_went_wrong(before: str) -> None:
    printed = before + json.dumps(preview(step(), diagnostics=[{"severity": "error", "message": "no such key\n"}]))
    done = subprocess.run([sys.executable, SCRIPT, "dev"], input=printed, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("### Preview of `dev`\n")
    assert done.stderr == "no such key\n"
    broken = subprocess.run([sys.executable, SCRIPT, "dev"], input="{", capture_output=True, text=True, check=True)
    assert "The preview failed" in broken.stdout
