"""Scans files for secrets: the hook before a commit, and the pipelines' check.

    python tools/scan_secrets.py FILE...       status 1 and the places of what is new; never a value
    python tools/scan_secrets.py --all         everything that git tracks becomes what is known: invented values of the tests

Kingfisher finds them, with the rules of its release, which Renovate keeps current; it validates nothing and calls nobody. It
knows no stack files, so a value that Pulumi should encrypt is looked for here: of each configuration key from which a secret
takes its value, and of each whose name says that it is secret.

Sources: Kingfisher, "Usage"; Pulumi, "Stack settings file", `secure`.
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
KNOWN = ROOT / ".secrets.baseline"
_HASHES_ONLY = ("requirements.txt", "requirements-dev.txt", "go.sum", KNOWN.name)
_STACK_FILE = re.compile(r"Pulumi\.([\w.-]+)\.yaml")
_SECRET_NAME = re.compile(r"password|passphrase|token|secret|api_?key|private_?key|credential", re.IGNORECASE)
_PLACE_NAME = re.compile(r"(arn|arns|url|name|stack|subjects|principals|days|length|window|path)$", re.IGNORECASE)
"""Ends of names that say where a secret is or how it is treated."""

_FOUND_SOMETHING = 200
"""Kingfisher's exit status."""


class Finding(NamedTuple):
    """A secret in a file. `digest` tells the value from another one without showing it."""

    path: str
    line: int
    rule: str
    digest: str


def scan(files: Iterable[str]) -> Iterator[Finding]:
    """Yield what is found in files; those that only list hashes are left out."""
    wanted = [name for name in files if not name.endswith(_HASHES_ONLY) and Path(name).is_file()]
    for name in wanted:
        if found := _STACK_FILE.fullmatch(Path(name).name):
            yield from _plain_values(Path(name), found[1])
    if wanted:
        yield from _kingfisher(wanted)


def _kingfisher(files: list[str]) -> Iterator[Finding]:
    command = [str(Path(sys.executable).parent / "kingfisher"), "scan", "--no-validate", "--no-update-check"]
    command += ["--git-history", "none", "--format", "jsonl", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "found.jsonl")
        done = subprocess.run(  # noqa: S603 - the pinned package's command, no shell
            [*command, "--output", str(output), "--", *files], capture_output=True, text=True, check=False
        )
        if done.returncode not in {_FOUND_SOMETHING, 0}:
            sys.exit(f"kingfisher failed with status {done.returncode}; nothing was scanned")
        lines = output.read_text(encoding="utf-8").splitlines() if output.is_file() else []
    for line in lines:
        record = json.loads(line)
        if "finding" in record:
            found = record["finding"]
            yield Finding(found["path"], found["line"], record["rule"]["id"], _digest(found["snippet"]))


def _plain_values(path: Path, stack: str) -> Iterator[Finding]:
    """Yield the configuration's secret values that are not encrypted."""
    lines = path.read_text(encoding="utf-8").splitlines()
    config = (yaml.safe_load("\n".join(lines)) or {}).get("config") or {}
    supplied = _supplied(path.resolve().parent, stack)
    for key, value in config.items():
        name = str(key).rpartition(":")[2]
        secret = name in supplied or (_SECRET_NAME.search(name) and not _PLACE_NAME.search(name))
        if secret and isinstance(value, str) and value:
            line = next((number for number, text in enumerate(lines, 1) if text.strip().startswith(f"{key}:")), 1)
            yield Finding(str(path), line, "a value that `pulumi config set --secret` encrypts", _digest(value))


def _supplied(folder: Path, stack: str) -> set[str]:
    """Return the configuration keys of the stack's secrets, none where the file is not beside a program that prints its plan."""
    if not (folder / "config" / "plan.py").is_file():
        return set()
    command = [sys.executable, "-m", "config.plan", "--stack", stack]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if done.returncode:
        return set()
    plan: dict[str, Any] = json.loads(done.stdout)
    parts = (part for secret in plan["secrets"].values() for part in secret["parts"].values())
    return {part["config_key"] for part in parts if part["kind"] == "supplied" and part["config_key"]}


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:16]


def main() -> int:
    """Scan the files of the command line."""
    if sys.argv[1:] == ["--all"]:
        listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)  # noqa: S607 - git
        known = sorted({(found.path, found.rule, found.digest) for found in scan(listed.stdout.splitlines())})
        KNOWN.write_text(json.dumps([list(one) for one in known], indent=1) + "\n", encoding="utf-8")
        return 0
    known = {tuple(one) for one in json.loads(KNOWN.read_text(encoding="utf-8"))}
    new = [found for found in scan(sys.argv[1:]) if (found.path, found.rule, found.digest) not in known]
    for found in new:
        sys.stdout.write(f"{found.path}:{found.line}: {found.rule}\n")
    if new:
        sys.stdout.write("Take it out. Only where it is invented: python tools/scan_secrets.py --all\n")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
