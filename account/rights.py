"""Prints the rights to deploy, preview and review a stack, from the stack's file: `python -m account.rights STACK`.

Markdown: the figures, the official plugin's calls by resource type with the file upstream, the actions that AWS authorizes with
them, the statements of each role and of the boundary.
"""

import json
import sys
from collections.abc import Iterator

from account.application import Application
from account.place import allowed
from components.policies import deployer
from components.policies.calls import CALLS, DEPENDENT, REFERENCE
from components.policies.deployer import Deployment
from components.policies.identity import Statement, document


def deployment(stack: str) -> Deployment:
    """Return what the rights of a stack depend on."""
    return allowed(Application.read(stack))


def lines(stack: Deployment) -> Iterator[str]:
    """Yield the page."""
    roles = {
        stack.deployer: deployer.deployer_statements(stack),
        stack.previewer: deployer.previewer_statements(stack),
        stack.reviewer: deployer.reviewer_statements(stack),
    }
    listed = {call for token in stack.types for calls in CALLS[token][1].values() for call in calls.split()}
    yield f"# Rights of {stack.names.prefix}"
    yield from ("", "| role | statements | characters | policies |", "|---|---|---|---|")
    for name, statements in roles.items():
        policies = deployer.managed_policies(statements) if name == stack.deployer else (document(statements),)
        yield f"| {name} | {len(statements)} | {sum(map(len, policies)):,} | {len(policies)} |"
    yield f"| the boundary | | {len(deployer.boundary(stack)):,} | 1 |"
    yield from ("", f"{len(listed)} calls of the official plugin, by resource type:", "")
    yield from ("| type | upstream, terraform-provider-aws | calls |", "|---|---|---|")
    for token in stack.types:
        source, scopes = CALLS[token]
        calls = sorted({call for found in scopes.values() for call in found.split()})
        yield f"| {token} | {source} | {', '.join(calls)} |"
    yield from (
        "",
        "For some of these calls, and for calls of the stack's own roles, AWS authorizes further actions:",
        "",
    )
    yield from ("| call | and | when | Service Authorization Reference |", "|---|---|---|---|")
    own = {action for statement in json.loads(deployer.boundary(stack))["Statement"] for action in statement["Action"]}
    for action, (actions, when, page) in DEPENDENT.items():
        if action in listed | own:
            yield f"| {action} | {', '.join(actions.split())} | {when} | {REFERENCE}{page}.html |"
    roles["the boundary"] = tuple(json.loads(deployer.boundary(stack))["Statement"])
    for name, statements in roles.items():
        yield from ("", f"## {name}", "", "| statement | actions | on | if |", "|---|---|---|---|")
        yield from map(_row, statements)


def _row(statement: Statement) -> str:
    conditions = [
        f"{key} {operator} {value}"
        for operator, keys in statement.get("Condition", {}).items()
        for key, value in keys.items()
    ]
    cells = (statement["Sid"], ", ".join(statement["Action"]), ", ".join(statement["Resource"]), "; ".join(conditions))
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines(deployment(*sys.argv[1:]))) + "\n")
