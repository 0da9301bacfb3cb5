"""Turns `pulumi preview --json` into a comment for a pull request: operations and names, never a value, secret or not.

    pulumi preview --stack dev --json | python tools/preview_comment.py dev

`pulumi preview --json` prints the configuration and all inputs; Pulumi masks what it knows to be secret, and nothing else. So
this alone passes: known operations, and types, names and properties that look like such. Messages go to the standard error, for
the job's log, where Pulumi masks what it knows.

Source: Pulumi, pkg/display/json.go (3.274): previewDigest, previewStep.
"""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

_OPERATIONS = {
    "create", "update", "delete", "replace", "create-replacement", "delete-replaced", "import", "import-replacement", "read",
    "read-replacement", "refresh", "discard", "discard-replaced", "remove-pending-replace",
}  # fmt: skip
_TYPE = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9/_-]+:[A-Za-z0-9]+")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_PROPERTY = re.compile(r"[a-z][A-Za-z0-9]{0,49}")
_LONGEST = 60_000
"""Characters; GitHub takes comments of 65,536."""


def comment(stack: str, preview: Mapping[str, Any] | None) -> str:
    """Return the comment as Markdown.

    Args:
        stack: The stack's name.
        preview: What the CLI printed; None when that was no JSON.
    """
    lines = [f"### Preview of `{_shown(_NAME, stack)}`", ""]
    if preview is None or _errors(preview):
        lines += ["The preview failed: nothing can be said about what would change. The job's log has the reason.", ""]
    steps = [step for step in (preview or {}).get("steps", ()) if step.get("op") in _OPERATIONS]
    rows = [f"| {_row(step)} |" for step in steps]
    if rows:
        lines += ["| operation | type | name | properties |", "|---|---|---|---|"]
        while rows and sum(map(len, [*lines, *rows])) > _LONGEST:
            rows.pop()
        lines += [*rows, *([f"| … | | {len(steps) - len(rows)} more | |"] if len(rows) < len(steps) else []), ""]
    elif preview is not None and not _errors(preview):
        lines += ["No changes.", ""]
    lines.append("Names only: this comment holds no value. The change of a plain value is in the commits.")
    return "\n".join(lines) + "\n"


def _row(step: Mapping[str, Any]) -> str:
    kind, _, name = str(step.get("urn", "")).partition("::")[2].partition("::")[2].partition("::")
    changed = [*(step.get("detailedDiff") or {}), *(step.get("diffReasons") or ()), *(step.get("replaceReasons") or ())]
    properties = sorted({_shown(_PROPERTY, re.split(r"[.\[]", str(path), maxsplit=1)[0]) for path in changed})
    return " | ".join([step["op"], _shown(_TYPE, kind.rpartition("$")[2]), _shown(_NAME, name), ", ".join(properties)])


def _shown(pattern: re.Pattern[str], text: str) -> str:
    return text if pattern.fullmatch(text) else "(not shown)"


def _errors(preview: Mapping[str, Any]) -> list[str]:
    return [
        str(found.get("message", "")) for found in preview.get("diagnostics") or () if found.get("severity") == "error"
    ]


def _parsed(text: str) -> Mapping[str, Any] | None:
    """Return the digest, if there is one; warnings may stand before it."""
    try:
        return json.loads(text[text.index("{") :])
    except ValueError:
        return None


def main() -> None:
    """Read the standard input, write the comment."""
    (stack,) = sys.argv[1:]
    preview = _parsed(sys.stdin.read())
    sys.stdout.write(comment(stack, preview))
    for message in _errors(preview or {}):
        sys.stderr.write(f"{message.rstrip()}\n")


if __name__ == "__main__":
    main()
