"""Shows an access report: for people, as Markdown, as data."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ops._console import print_table, say
from ops._stack import Stack
from ops.access.judge import STATE, Grant, Report
from ops.listing import age
from terminal import plain

_COLUMNS = ("secret", "value since", "principal", "may", "by")
_FINDINGS = ("where", "statement", "problem")


def document(stack: Stack, report: Report) -> dict[str, Any]:
    """Return the report as data."""
    return {
        "stack": stack.environment,
        "account": stack.account,
        "ok": report.ok,
        "looked_at": list(report.looked_at),
        "not_looked_at": list(report.not_looked_at),
        "grants": [asdict(grant) for grant in report.grants],
        "pipeline": list(report.pipeline),
        "findings": [asdict(finding) for finding in report.findings],
        "unchanged_since": dict(report.unchanged_since),
        "trusted": list(report.trusted),
    }


def print_report(stack: Stack, report: Report) -> None:
    """Print the report; its first line says who was looked at."""
    title = f"{headline(report)}\nWho may do what to the secrets of {stack.place}"
    print_table(title, _COLUMNS, _rows(stack, report))
    for sentence in sentences(report):
        say(f"{sentence}.")
    if report.findings:
        print_table(
            "\nWider than it needs to be", _FINDINGS, [(f.where, f.statement, f.problem) for f in report.findings]
        )
        say("Fix: `pulumi refresh`, then `pulumi up` puts the stack's own policies back; take away what others added.")
    say("Not looked at:")
    for gap in report.not_looked_at:
        say(f"  {gap}")
    if report.ok:
        say("Nothing that was looked at is wider than it needs to be.")


def headline(report: Report) -> str:
    """Return who was looked at, in one sentence."""
    count = len(report.looked_at)
    if report.everybody:
        return f"Looked at the policies of all {count} roles and users of the account."
    return f"Looked at the stack's {count} roles. Administrators and others of the account were not looked for: --everybody."


def sentences(report: Report) -> list[str]:
    """Return what the roles of account/ are for, and who was trusted to have what they have."""
    unlisted = [f"{arn} is trusted (--trusted): nothing that it may do counts as too wide" for arn in report.trusted]
    return [*report.pipeline, *unlisted]


def markdown(stack: Stack, report: Report) -> str:
    """Return the report as Markdown."""
    lines = [f"# Access to the secrets of {stack.place}", "", headline(report), ""]
    lines += [*_table(_COLUMNS, _rows(stack, report)), ""]
    lines += [f"- {plain(sentence)}." for sentence in sentences(report)] + [""] * bool(sentences(report))
    lines += ["## Wider than it needs to be", ""]
    if report.findings:
        lines += _table(_FINDINGS, [(f.where, f.statement, f.problem) for f in report.findings])
    else:
        lines.append("See the lines marked NOT BY DESIGN." if report.wider else "Nothing that was looked at.")
    lines += ["", "## Not looked at", "", *(f"- {plain(gap)}" for gap in report.not_looked_at)]
    return "\n".join(lines)


def by(grant: Grant) -> str:
    """Return the statement of a grant with its conditions."""
    return grant.statement + (f" (if {'; '.join(grant.conditions)})" if grant.conditions else "")


def _rows(stack: Stack, report: Report) -> list[tuple[str, str, str, str, str]]:
    rows: list[tuple[str, str, str, str, str]] = []
    of_state = any(grant.secret == STATE for grant in report.grants)
    for name in [*sorted(stack.every_secret_arn), *([STATE] if of_state else [])]:
        since = report.unchanged_since.get(name)
        value = (
            f"{since:%Y-%m-%d} ({age(since)})" if since else "no value" if name in report.unchanged_since else "missing"
        )
        value = "" if name == STATE else value
        of_secret = [grant for grant in report.grants if grant.secret == name]
        rows += [
            (name, value, grant.principal, grant.right, by(grant) + (" - NOT BY DESIGN" if grant.wider else ""))
            for grant in of_secret
        ]
        if not of_secret:
            rows.append((name, value, "nobody that was looked at", "", ""))
    return rows


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _cell(text: str) -> str:
    """Return a text that stands in one cell and is no markup."""
    return "".join(f"\\{c}" if c in "|<>`*_[]" else c for c in plain(text).replace("\\", "\\\\"))
