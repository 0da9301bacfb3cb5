"""ops/README.md knows every check of the doctor, and every command that it and docs/operations.md show exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "ops" / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def rows() -> set[str]:
    return set(re.findall(r"^\| `([a-z-]+)` \|", DOCUMENT, flags=re.MULTILINE))


def test_every_check_has_a_row() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ops" / "doctor").glob("*.py"))
    checks = set(re.findall(r'(?:Finding|summed_up|guarded|unchecked|_denied)\(\s*"([a-z-]+)"', code))

    assert len(checks) > 15
    assert checks <= rows()


def test_every_example_command_exists() -> None:
    from ops.cli import COMMANDS  # noqa: PLC0415 - only this test needs it

    used = set(re.findall(r"\bops ([a-z]+)", DOCUMENT + OPERATIONS)) - {"needs", "migrate"}
    assert used <= set(COMMANDS)
