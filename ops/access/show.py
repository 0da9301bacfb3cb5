"""Shows an access report: for people, as Markdown, as data."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ops._console import counted, print_table, say
from ops._stack import Stack
from ops.access.judge import STATE, Grant, Report
from ops.listing import age
from terminal import plain

_COLUMNS = ("secret", "value since", "principal", "may", "by")
_FINDINGS = ("where", "statement", "problem")
_VERBS = {"read": "reads", "change": "changes", "delete": "deletes", "take over": "takes over readers of"}


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
    """Print the report; its first line says which principals were checked."""
    title = f"{headline(report)}\nWho can do what to the secrets of {stack.place}"
    print_table(title, _COLUMNS, _rows(stack, report))
    for sentence in sentences(report):
        say(f"{sentence}.")
    if report.findings:
        print_table("\nWider than necessary", _FINDINGS, [(f.where, f.statement, f.problem) for f in report.findings])
        say(
            "Fix: `pulumi refresh`, then `pulumi up` restores the stack's own policies; remove what was added outside Pulumi."
        )
    say("Not checked:")
    for gap in report.not_looked_at:
        say(f"  {gap}")
    if report.ok:
        say("Everything that was checked is only as wide as necessary.")
    if told := not_by_design(stack, report):
        say(f"{counted(len(told), 'principal')} NOT BY DESIGN:")
    for line in told:
        say(f"  {line}")


def headline(report: Report) -> str:
    """Return which principals were checked, in one sentence."""
    count = len(report.looked_at)
    if report.everybody:
        return f"Checked the policies of all {count} roles and users of the account."
    return f"Checked the stack's {count} roles, but no administrators and other roles of the account: --everybody."


def sentences(report: Report) -> list[str]:
    """Return what the roles of account/ are for, and which principals --trusted names."""
    unlisted = [f"{arn} is trusted (--trusted): none of its permissions counts as too wide" for arn in report.trusted]
    return [*report.pipeline, *unlisted]


def not_by_design(stack: Stack, report: Report) -> list[str]:
    """Return a line for each principal with access that the design does not include."""
    found: dict[str, list[Grant]] = {}
    for grant in report.wider:
        found.setdefault(grant.principal, []).append(grant)
    own = f"arn:{stack.partition}:iam::{stack.account}:"
    return [f"{principal.removeprefix(own)} {_rights(grants)}" for principal, grants in found.items()]


def _rights(grants: Sequence[Grant]) -> str:
    """Return what a principal can do to how many secrets, by which statements."""
    secrets: dict[str, set[str]] = {}
    for grant in grants:
        secrets.setdefault(_VERBS.get(grant.right, grant.right), set()).add(grant.secret)
    told = [f"{verb} {next(iter(n)) if len(n) == 1 else f'{len(n)} secrets'}" for verb, n in secrets.items()]
    return f"{', '.join(told)} ({'; '.join(dict.fromkeys(grant.statement for grant in grants))})"


def markdown(stack: Stack, report: Report) -> str:
    """Return the report as Markdown."""
    lines = [f"# Access to the secrets of {stack.place}", "", headline(report), ""]
    lines += [*_table(_COLUMNS, _rows(stack, report)), ""]
    lines += [f"- {plain(sentence)}." for sentence in sentences(report)] + [""] * bool(sentences(report))
    lines += ["## Wider than necessary", ""]
    if report.findings:
        lines += _table(_FINDINGS, [(f.where, f.statement, f.problem) for f in report.findings])
    lines += [f"- NOT BY DESIGN: {plain(line)}" for line in not_by_design(stack, report)]
    if report.ok:
        lines.append("Nothing that was checked.")
    lines += ["", "## Not checked", "", *(f"- {plain(gap)}" for gap in report.not_looked_at)]
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
            rows.append((name, value, "nobody that was checked", "", ""))
    return rows


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _cell(text: str) -> str:
    """Return a text for one cell, with markup escaped."""
    return "".join(f"\\{c}" if c in "|<>`*_[]" else c for c in plain(text).replace("\\", "\\\\"))
