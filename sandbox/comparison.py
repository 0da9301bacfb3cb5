"""Compares what the official plugins and the stand-ins make of one stack: types, inputs, and the AWS calls.

Both runs begin with nothing, each in a home and a local AWS for itself: up, refresh, a preview that expects no changes, destroy.
"""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sandbox.home import REPOSITORY, Home
from sandbox.project import Project
from sandbox.state import Checkpoint, readable

README = Path(__file__).with_name("README.md")
_RANDOM = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"(:secret:[^\s\"*:?]+)-[A-Za-z0-9]{6}(?![A-Za-z0-9])"), r"\1-SUFFIX"),
    (re.compile(r"-[0-9a-f]{7}(?![0-9A-Za-z])"), "-SUFFIX"),
)
"""What differs from run to run: ids, the suffix of a secret's ARN, the suffix of a name that Pulumi makes."""
_AT_HOME = {"path"}
"""Where an archive lies; its hash is compared."""

Call = tuple[str, str]


@dataclass(frozen=True)
class Run:
    """What one run left.

    Attributes:
        resources: By URN the inputs, secrets as `[secret]`; providers are left out.
        calls: Service and operation, boto3's names.
        failed: The commands that failed, with what they said.
    """

    resources: Mapping[str, Mapping[str, Any]]
    calls: frozenset[Call]
    failed: tuple[str, ...] = ()


def differences(official: Run, stand_ins: Run, further: Iterable[Call]) -> list[str]:
    """Return one line for each difference; `further` are calls that only the official plugin makes, patterns such as `Get*`."""
    lines = [f"official: {text}" for text in official.failed] + [f"stand-ins: {text}" for text in stand_ins.failed]
    for urn in sorted({*official.resources, *stand_ins.resources}):
        name = "::".join(urn.split("::")[2:])
        theirs, ours = official.resources.get(urn), stand_ins.resources.get(urn)
        if theirs is None or ours is None:
            lines.append(f"{name}: only with the {'stand-ins' if theirs is None else 'official plugins'}")
            continue
        lines += [
            f"{name}: {key}: official {_shown(theirs, key)}, stand-ins {_shown(ours, key)}"
            for key in sorted({*theirs, *ours})
            if theirs.get(key) != ours.get(key)
        ]
    known = list(further)
    lines += [
        f"{service}:{operation}: only the official plugin calls it, and sandbox/README.md does not say so"
        for service, operation in sorted(official.calls - stand_ins.calls)
        if not any(s in {"", service} and fnmatch.fnmatchcase(operation, o) for s, o in known)
    ]
    lines += [
        f"{service}:{operation}: only the stand-ins call it"
        for service, operation in sorted(stand_ins.calls - official.calls)
    ]
    return lines


def documented(text: str) -> list[Call]:
    """Return the further calls of the official plugin that sandbox/README.md lists: `Operation`, or `service:Pattern*`."""
    section = re.split(r"\n#+ ", text.partition("# By type\n")[2])[0]
    rows = re.findall(r"^\|.*\|([^|]+)\|$", section, re.MULTILINE)
    names = re.findall(r"`(?:(\w+):)?([A-Z]\w+\*?)`", "\n".join(rows))
    return [(service, operation) for service, operation in names]


def read(home: Home, project: str, stack: str, calls: Path, failed: Sequence[str] = ()) -> Run:
    """Read a stack's state and a file of recorded calls."""
    checkpoint = Checkpoint.read(home.state(), project, stack)
    resources = {
        str(resource["urn"]): _comparable(readable(resource.get("inputs") or {}))
        for resource in checkpoint.resources
        if not str(resource["type"]).startswith("pulumi:")
    }
    lines = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
    called = {(str(one["service"]), str(one["operation"])) for one in map(json.loads, lines)}
    return Run(resources, frozenset(called), tuple(failed))


def compare(project: Project, stack: str, home: Home, say: Callable[[str], None]) -> list[str]:
    """Run the stack with the official plugins and with the stand-ins, and return the differences."""
    folder = home.root / "compare"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    runs: list[Run] = []
    for name, options in (("official", ("--official",)), ("stand-ins", ())):
        say(f"Running {project.name}/{stack} with the {name.replace('official', 'official plugins')}")
        runs.append(_run(project, stack, Home(folder / name), options, pulumi_home=home.pulumi))
    shutil.rmtree(folder)
    return differences(runs[0], runs[1], documented(README.read_text(encoding="utf-8")))


def _run(project: Project, stack: str, home: Home, options: Sequence[str], *, pulumi_home: Path) -> Run:
    calls, failed = home.root.with_suffix(".jsonl"), list[str]()
    environment = os.environ | {
        "SANDBOX_HOME": str(home.root),
        "SANDBOX_RECORD_CALLS": str(calls),
        "PULUMI_HOME": str(pulumi_home),  # where the official plugins are
    }

    def sandbox(*arguments: str) -> None:
        done = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            [sys.executable, "-P", "-m", "sandbox", *arguments],
            cwd=REPOSITORY,
            env=environment | {"PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            failed.append(f"{arguments[0]}: {done.stderr.strip()}")

    on = ("--stack", stack, "--project", str(project.directory), *options)
    try:
        for arguments in (("up",), ("refresh",), ("preview", "--expect-no-changes")):
            sandbox(*arguments, *on)
            if failed:
                break
        made = read(home, project.name, stack, calls)
        unprotected = ("-c", "protect=false") if "protect" in project.declared else ()
        if unprotected:
            sandbox("up", *on, *unprotected)
        sandbox("destroy", *on)
    finally:
        sandbox("down")
    after = read(home, project.name, stack, calls)
    return Run(made.resources, after.calls, tuple(failed))


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        local = _AT_HOME if any(key.startswith("4dabf") for key in mapping) else set[str]()
        return {key: _comparable(item) for key, item in mapping.items() if key not in local}
    if isinstance(value, list):
        return [_comparable(item) for item in cast("list[Any]", value)]
    if isinstance(value, str):
        for pattern, stand_in in _RANDOM:
            value = pattern.sub(stand_in, value)
    return value


def _shown(inputs: Mapping[str, Any], key: str) -> str:
    return json.dumps(inputs[key], sort_keys=True) if key in inputs else "nothing"
