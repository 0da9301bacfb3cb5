"""The README says what is so: its commands run, its tables are complete, its links lead somewhere."""

import functools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from catalogue import VARIABLES
from components import outputs
from config import declarations, keys
from sandbox.home import REPOSITORY

PICTURE = (REPOSITORY / "docs" / "images" / "up.svg").read_text(encoding="utf-8").replace("&#160;", " ")
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    *(REPOSITORY / folder / "README.md" for folder in (".", "ops", "sandbox", "components")),
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
MAX_LINES = 110


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def table(heading: str) -> list[list[str]]:
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.slow
def test_the_commands_of_the_first_section_run_in_their_order(own_sandbox: Any) -> None:
    environment = {
        **own_sandbox.environment,
        "PATH": os.pathsep.join((str(own_sandbox.python.parent), str(Path(sys.executable).parent), os.environ["PATH"])),
    }
    ran: list[str] = []
    for line in [line for block in blocks("sh") for line in block.splitlines()]:
        if line == ". .venv/bin/activate":
            continue  # PATH has it
        words = shlex.split(line)
        if words[0] == "eval":
            shown = subprocess.run(
                [sys.executable, "-m", "sandbox", "env"],
                cwd=REPOSITORY,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            environment |= dict(re.findall(r"^export (\w+)='?([^'\n]+)'?$", shown, re.MULTILINE))
        else:
            _run(words, environment)
        ran.append(line)
    assert ran == ["make up", 'eval "$(python -m sandbox env)"', "python -m ops doctor"]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < MAX_LINES


def _run(words: list[str], environment: dict[str, str]) -> None:
    ended = subprocess.run(
        words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, f"{words}\n{ended.stdout}\n{ended.stderr}"


def test_the_configuration_table_has_keys_that_exist() -> None:
    described = {key for row in table("Configure") for key in re.findall(r"`(\w+)`", row[0])}
    assert described <= {*keys.BY_NAME, *(variable.config_key for variable in VARIABLES)}


def test_the_example_catalogue_is_one() -> None:
    (entries,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = dict(vars(declarations)) | {"Sequence": Sequence}
    exec(entries, names)  # noqa: S102 - README's own example
    assert [entry.name for entry in names["CATALOGUE"]] == ["jwt-secret", "mail", "pager-key"]
    for name in ("jwt-secret", "mail", "pager-key"):
        assert f"secret:service-ticket-system-dev-{name}-" in PICTURE


def test_the_output_table_has_every_output_and_no_other() -> None:
    assert {name for row in table("Consume the outputs") for name in re.findall(r"`(\w+)`", row[0])} == set(
        outputs.NAMES
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if not t.startswith(("http://", "https://"))]
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_commands_of_ours_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    used = set(re.findall(r"python -m (sandbox|ops) ([a-z]+(?:-[a-z]+)*)", text))
    known = {module: _commands(module) for module, _ in used}
    assert sorted(f"{module} {command}" for module, command in used if command not in known[module]) == []


@functools.cache
def _commands(module: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"^[ │]+([a-z]+)\s", ended.stdout, re.MULTILINE))
