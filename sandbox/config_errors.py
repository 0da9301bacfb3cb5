"""Reports, in the project's style, the configuration errors that the CLI raises before the program runs."""

import difflib
import re
from collections.abc import Collection, Iterable
from typing import Any

from sandbox.project import Project

_STDERR = re.compile(r"\n stderr: (?P<text>.*)", re.DOTALL)
_MISSING = re.compile(r"is missing configuration values? (?P<keys>.+)")
_TYPE = re.compile(r"with configuration key '(?P<key>[^']+)' must be of type '(?P<type>[^']+)'")
_CLEAR = re.compile(r"with configuration key '(?P<key>[^']+)' must be encrypted as it's secret")
_QUOTED = re.compile(r"'([^']+)'")


def stderr_of(command_error: str) -> str:
    """The CLI's own words in the text of a CommandError, without its prefixes."""
    match = _STDERR.search(command_error)
    text = match["text"].strip() if match else ""
    return re.sub(r"^(error: |warning: )", "", text, flags=re.MULTILINE).strip()


def explain(command_error: str, project: Project, stack: str) -> str:
    """Return the problem with the key, what is allowed and the command that fixes it; empty when it is another error."""
    text = " ".join(stderr_of(command_error).split())
    problems: list[tuple[str, str, str]] = []
    if match := _MISSING.search(text):
        keys = _QUOTED.findall(match["keys"])
        problems = [(key, "is required", _command(project, key, stack)) for key in keys]
    elif match := _TYPE.search(text):
        key, kind = match["key"], match["type"]
        problems.append((key, f"must be {_article(kind)}", _command(project, key, stack)))
    elif match := _CLEAR.search(text):
        key = match["key"]
        problems.append((key, "is a secret, but is in the stack file in the clear", _command(project, key, stack)))
    return render(problems, stack) if problems else ""


def is_secret(project: Project, key: str) -> bool:
    """Return whether Pulumi.yaml declares a key as a secret."""
    return bool(_declared(project, key.removeprefix(f"{project.name}:")).get("secret"))


def is_undeclared(project: Project, key: str) -> bool:
    """Return whether Pulumi.yaml does not declare a key of the program, so that it might be secret."""
    own = ":" not in key or key.startswith(f"{project.name}:")
    return own and bool(project.declared) and not _declared(project, key.removeprefix(f"{project.name}:"))


def unknown(project: Project, key: str, known: Iterable[str]) -> str:
    """The problem with a key that the project does not have."""
    near = _nearest(key, {*known, *project.declared})
    return f"{key} is not a known key{f'; did you mean {near}?' if near else ' of this project'}"


def wrong_number(key: str, value: str, known: Collection[str]) -> str:
    """The problem with a number of `rotations`, "" when there is none; `known` are the values that have one, empty: not known."""
    section, _, name = key.rpartition(":")[2].partition(".")
    if section != "rotations" or not name or not known:
        return ""
    if name not in known:
        near = _nearest(name, known)
        hint = f"did you mean rotations.{near}?" if near else f"known are {', '.join(sorted(known))}"
        return f"{key} is not a known key; {hint}"
    return "" if re.fullmatch(r"[1-9]\d{0,5}", value.strip()) else f"{key} must be a whole number, 1 or more"


def _nearest(key: str, known: Collection[str]) -> str:
    """The known key of which another is a misspelling, "" if none is that near, as `config/reader.py` decides."""
    return next(iter(difflib.get_close_matches(key, known, n=1, cutoff=0.75)), "")


def in_the_clear(keys: Iterable[str], stack: str) -> str:
    """The problem with secrets that `-c` was given in the clear, with the option that encrypts them."""
    return render([(key, "is a secret, but was given in the clear", f"-c secret:{key}") for key in keys], stack)


def render(problems: list[tuple[str, str, str]], stack: str) -> str:
    """Lay out problems in columns: key, what is wrong, what fixes it."""
    widths = [max(len(row[column]) for row in problems) for column in (0, 1)]
    count = f"{len(problems)} configuration problem{'s' if len(problems) > 1 else ''}"
    rows = [f"  {key:<{widths[0]}}  {found:<{widths[1]}}  {fix}".rstrip() for key, found, fix in problems]
    return "\n".join([f'{count} in stack "{stack}":', *rows])


def _command(project: Project, key: str, stack: str) -> str:
    declared = _declared(project, key)
    kind = declared.get("type", "string")
    at_stack = f" --stack {stack}"
    if is_secret(project, key):
        return f"pulumi config set --secret {key}{at_stack}"
    if kind == "array":
        return f"pulumi config set --path '{key}[0]' VALUE{at_stack}"
    if kind == "object":
        return f"pulumi config set --path '{key}.NAME' VALUE{at_stack}"
    example = {"integer": "NUMBER", "boolean": "true"}.get(str(kind), "VALUE")
    return f"pulumi config set {key} {example}{at_stack}"


def _declared(project: Project, key: str) -> dict[str, Any]:
    found = project.declared.get(key) or project.declared.get(f"{project.name}:{key}")
    return found if isinstance(found, dict) else {"type": found} if isinstance(found, str) else {}


def _article(kind: str) -> str:
    return f"an {kind}" if kind[:1] in "aeiou" else f"a {kind}"
