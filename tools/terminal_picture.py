"""Draws docs/images/up.svg: what `make up` prints for the catalogue in README.md.

A copy of the project gets README's entries as its catalogue, comes up on a local AWS of its own, and rich draws what it printed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "up.svg"
COLUMNS = 144
BIN = Path(sys.prefix) / "bin"
_SHOWN_FROM = "service-ticket-system/dev"
_PYTHON_BLOCK = re.compile(r"```python\n(CATALOGUE.*?)```", re.DOTALL)


def printed() -> str:
    """Return what `python -m sandbox up` prints for README's catalogue, from the summary's first line on."""
    (entries,) = _PYTHON_BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(".*", "tests", "docs", "examples"))
        catalogue = (project / "catalogue.py").read_text(encoding="utf-8")
        head, _, rest = catalogue.partition("CATALOGUE: Sequence[Entry] = (\n")
        _, _, tail = rest.partition("\n)\n")
        text = f"{head}{entries.rstrip()}\n{tail}".replace("    Constant,\n", "    Constant,\n    External,\n")
        text = re.sub(r"IN_STACK: .*?\n}\n", "IN_STACK: Mapping[str, Sequence[Entry]] = {}\n", text, flags=re.DOTALL)
        (project / "catalogue.py").write_text(text, encoding="utf-8")
        own = {
            "SANDBOX_HOME": f"{folder}/home",
            "PYTHONPATH": str(project),
            "COLUMNS": str(COLUMNS),
            "FORCE_COLOR": "1",
            "PATH": os.pathsep.join(p for p in os.get_exec_path() if Path(p).resolve() != BIN.resolve()),
        }

        def sandbox(*words: str) -> str:
            command = [sys.executable, "-m", "sandbox", *words]
            done = subprocess.run(  # noqa: S603 - our own interpreter
                command, cwd=project, env=os.environ | own, capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(done.stdout + done.stderr)
            return done.stdout

        try:
            shown = sandbox("up", "--stack", "dev")
        finally:
            sandbox("down")
    lines = shown.replace(f". {BIN}/activate", ". .venv/bin/activate").splitlines()
    first = next(number for number, line in enumerate(lines) if _SHOWN_FROM in Text.from_ansi(line).plain)
    return "\n".join(lines[first:])


def main() -> None:
    """Write the picture."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - only the record counts
    console.print(Text("$ make up", style="bold"))
    console.print(Text.from_ansi(printed()))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(console.export_svg(title="make up"), encoding="utf-8")


if __name__ == "__main__":
    main()
