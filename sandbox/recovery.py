"""Takes up what a run left behind that was cut off: `kill -9`, a closed lid, a power cut.

The journal tells what the run had done and what it had begun. What it had begun may or may not exist in AWS: each such object
is looked up by its inputs and, when it is there, put into the state, so that nothing is made twice and nothing is left behind.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi.automation.errors import CommandError

from sandbox import lookup, state
from sandbox.config_errors import stderr_of
from sandbox.errors import SandboxError
from sandbox.home import read_json
from sandbox.journal import Journal
from sandbox.local_aws import LocalAws, end_process, is_process
from sandbox.project import Project, StackSettings
from sandbox.pulumi_process import PulumiProcess
from sandbox.replay import adopt, in_order, replay

_CLI_SECONDS = 20.0
_KILL_SECONDS = 2.0
# What a run asked of AWS before it was cut off is answered within milliseconds.
_REQUEST_SECONDS = 0.2


def end_leftovers(pids: Path) -> None:
    """End the engine of a run that was cut off, so that nothing changes under the recovery.

    The caller holds the stack's lock: whatever still runs belongs to nobody.
    """
    for path in pids.iterdir():
        pid = int(path.name.rpartition("-")[2])
        if path.name.startswith("cli-") and is_process(pid, "pulumi", path):
            _wait_for_end(pid, "pulumi", path)  # an engine whose program is gone ends by itself
            end_process(pid, signal.SIGKILL, _KILL_SECONDS)
        path.unlink(missing_ok=True)
        time.sleep(_REQUEST_SECONDS)


def recover(
    folder: Path,
    aws: LocalAws,
    settings: StackSettings,
    stack: automation.Stack,
    journal: Journal,
    *,
    project: Project,
    say: Callable[[str], None],
) -> None:
    """Remove a dead engine's lock and settle every pending operation; does nothing after a run that ended well.

    `folder` is the state's file backend; `say` is told what happened and what became of it.
    """
    locks = state.lock_files(folder, project.name, stack.name)
    for path in locks:
        _remove_dead_lock(path)
    pending = state.Checkpoint.read(folder, project.name, stack.name).pending
    if not pending and journal.holds_nothing():
        journal.forget()
        if locks:
            say(f"The last command on stack {stack.name} was cut off; it left nothing half done.")
        return
    entries = list(journal.entries())
    pulumi = stack.workspace.pulumi_command
    if not isinstance(pulumi, PulumiProcess):
        raise TypeError("the sandbox runs the CLI through PulumiProcess")
    try:
        settled = _Recovery(aws, settings, stack, pulumi, folder, project).settle(entries)
    except CommandError as error:
        raise SandboxError(f"recovering the state failed: {stderr_of(str(error))}") from None
    journal.forget()
    say(f"The last command on stack {stack.name} was cut off while {len(settled)} operations were going on.")
    done = sum(str(entry["step"]).endswith(" done") for entry in entries)
    for text in [f"what {done} others had done is in the state"] * bool(done) + settled:
        say(f"  {text}")


@dataclass(frozen=True)
class _Recovery:
    aws: LocalAws
    settings: StackSettings
    stack: automation.Stack
    pulumi: PulumiProcess
    folder: Path
    project: Project

    def settle(self, entries: list[dict[str, Any]]) -> list[str]:
        """Rewrite the state with what a journal tells and without pending operations; returns a line on each of these."""
        exported = self._export()
        deployment: dict[str, Any] = exported["deployment"]
        resources: list[dict[str, Any]] = deployment.get("resources") or []
        pending: list[dict[str, Any]] = deployment.pop("pending_operations", None) or []
        revealed = self._revealed_inputs(pending)
        begun = replay(entries, resources)
        revealed |= {op["resource"]["urn"]: lookup.revealed(op["resource"].get("inputs") or {}) for op in begun}
        pending += begun
        made: dict[str, str] = {}
        for operation in pending:
            resource: dict[str, Any] = operation["resource"]
            if operation["type"] == "creating" and not _is_recorded(resources, resource):
                found = self._look_up(resource, revealed.get(resource["urn"], {}), resources)
                if found is not None:
                    made[resource["urn"]] = found
                    adopt(resources, resource, found)
        deployment["resources"] = in_order(resources)
        self.pulumi.execute(["stack", "import", "--stack", self.stack.name], self._work, stdin=json.dumps(exported))
        touched = {operation["resource"]["urn"] for operation in pending}
        targets = [r["urn"] for r in resources if r["urn"] in touched and r.get("custom")]
        if targets:
            self.stack.refresh(target=targets)
        kept = {r["urn"] for r in state.Checkpoint.read(self.folder, self.project.name, self.stack.name).resources}
        return [_told(operation, made, kept) for operation in pending]

    @property
    def _work(self) -> Path:
        return Path(str(self.stack.workspace.work_dir))

    def _export(self, *, reveal: bool = False) -> dict[str, Any]:
        arguments = ["stack", "export", "--stack", self.stack.name, *(["--show-secrets"] if reveal else [])]
        exported: dict[str, Any] = json.loads(self.pulumi.execute(arguments, self._work))
        return exported

    def _revealed_inputs(self, pending: list[dict[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """The pending objects' inputs with secrets in the clear, in this process's memory only, where the look-up needs them."""
        if not any(op["resource"]["type"] in lookup.NEEDS_VALUES for op in pending):
            return {op["resource"]["urn"]: op["resource"].get("inputs") or {} for op in pending}
        operations: list[dict[str, Any]] = self._export(reveal=True)["deployment"]["pending_operations"]
        return {op["resource"]["urn"]: lookup.revealed(op["resource"].get("inputs") or {}) for op in operations}

    def _look_up(
        self, resource: Mapping[str, Any], inputs: Mapping[str, Any], resources: list[dict[str, Any]]
    ) -> str | None:
        region = str(inputs.get("region") or self.settings.region)
        credentials = self.aws.credentials(self.settings.account)
        query = lookup.Query(
            inputs=inputs,
            region=region,
            account=self.settings.account,
            known=frozenset(str(r["id"]) for r in resources if r.get("id")),
            known_arns=frozenset(str(r["outputs"]["arn"]) for r in resources if (r.get("outputs") or {}).get("arn")),
            client=lambda service: self.aws.client(service, region=region, credentials=credentials),
        )
        try:
            return lookup.find(str(resource["type"]), query)
        except Exception as error:
            raise SandboxError(
                f"looking up {resource['urn']} in the local AWS failed: {type(error).__name__}"
            ) from error


def _is_recorded(resources: list[dict[str, Any]], resource: Mapping[str, Any]) -> bool:
    return any(r["urn"] == resource["urn"] and r.get("id") and r.get("id") == resource.get("id") for r in resources)


def _told(operation: Mapping[str, Any], made: Mapping[str, str], kept: set[str]) -> str:
    resource = operation["resource"]
    urn, kind = str(resource["urn"]), str(operation["type"])
    label = f"{resource['type']} {urn.split('::')[3]}"
    if kind != "creating":
        return f"{label}: {kind} is checked against AWS" + ("" if urn in kept else "; it is gone")
    if urn in made and urn in kept:
        return f"{label}: existed already, taken over"
    if lookup.knows(str(resource["type"])):
        return f"{label}: was not made yet"
    return f"{label}: can't be looked up; if it was made, it is still in the local AWS"


def _remove_dead_lock(path: Path) -> None:
    content = read_json(path)
    with contextlib.suppress(ValueError):
        pid = int(str(content.get("pid", "")))
        if content.get("hostname") in (None, os.uname().nodename) and is_process(pid, "pulumi", path):
            raise SandboxError(f"an engine still works on this stack (pid {pid}); wait for it or end it")
    path.unlink(missing_ok=True)


def _wait_for_end(pid: int, words: str, recorded: Path) -> None:
    deadline = time.monotonic() + _CLI_SECONDS
    while time.monotonic() < deadline and is_process(pid, words, recorded):
        time.sleep(0.1)
