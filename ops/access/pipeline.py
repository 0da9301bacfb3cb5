"""The roles that account/ creates, in `ops access`: what each is for, and what differs from what account/ gives it. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import get_args

from components.policies.calls import CALLS, Feature
from components.policies.deployer import Deployment, deployer_statements, previewer_statements, reviewer_statements
from components.policies.federation import federated_trust
from components.policies.identity import PolicyError, document
from ops._roles import Role
from ops._stack import Stack
from ops.access.declared import Declared, PipelineKind
from ops.access.evaluator import Statement, parse

_STATEMENTS = {"deployer": deployer_statements, "previewer": previewer_statements, "reviewer": reviewer_statements}
_PURPOSES: Mapping[str, str] = {
    "deployer": "runs `pulumi up`: reads, changes and deletes the secrets, and grants the stack's roles permissions within the "
    "boundary",
    "previewer": "runs `pulumi preview`: reads no secret, but decrypts the state, which has every value that Pulumi generated or "
    "was given",
    "reviewer": "runs the nightly review: reads policies and settings, no secret, and decrypts the state as the previewer does",
}
OF_SECRETS = frozenset(
    action.lower()
    for token, (_, scopes) in CALLS.items()
    if token.startswith("aws:secretsmanager/")
    for action in scopes["secret"].split()
)
_WATCHED = "WatchedLogGroup"
_KEY = "DecryptConfiguration"


def explained(kind: str, role: Role) -> str:
    """Return in a sentence what the role is for and who assumes it."""
    who: set[str] = set()
    for statement in role.trust:
        subjects = [value for _, key, values in statement.conditions if key.endswith(":sub") for value in values]
        who.update((subjects or statement.named) if statement.allows else ())
    return f"{role.name} {_PURPOSES[kind]}. Assumed by {', '.join(sorted(who)) or 'nobody'}"


def rights_problems(kind: str, stack: Stack, role: Role, tags: Mapping[str, str]) -> Iterator[tuple[Statement, str]]:
    """Yield what the role's policies have that account/ does not grant; `tags` are those by which the stack's key is known."""
    granted = parse(document(_STATEMENTS[kind](deployment(stack, tags))), source="account/")
    design = {statement.label: statement for statement in granted}
    for statement in role.identity:
        if statement.allows:
            yield from ((statement, problem) for problem in _compared(statement, design.get(statement.label)))


def trust_problems(kind: PipelineKind, role: Role, declared: Declared | None) -> Iterator[tuple[Statement, str]]:
    """Yield who can assume the role beside the principals that account/ declares.

    Without the declarations only what account/ never creates is found.
    """
    for statement in role.trust:
        if statement.allows:
            yield from ((statement, problem) for problem in _trusted(kind, role, statement))
            if declared:
                yield from ((statement, problem) for problem in _undeclared(kind, role, statement, declared))


def deployment(stack: Stack, tags: Mapping[str, str] | None = None) -> Deployment:
    """Return the stack as account/ knows it: the names of what it creates, and what it grants."""
    return Deployment(
        names=stack.names,
        location=stack.location,
        features=frozenset(get_args(Feature)),
        config_key_arn=stack.location.arn("kms", "key/"),
        key_tags=tags or {},
        adopted_arns=tuple(arn for name, arn in stack.secret_arns.items() if stack.is_adopted(name)),
        foreign_arns=tuple(stack.foreign_arns.values()),
    )


def _compared(statement: Statement, design: Statement | None) -> Iterator[str]:
    if design is None:
        yield "account/ creates no such statement"
        return
    if statement.negated:
        yield "NotAction and NotResource allow everything else"
        return
    yield from (f"{action} is not needed" for action in sorted({*statement.actions} - {*design.actions}))
    for resource in statement.resources:
        if not _provided(resource, design):
            yield f"the resource {resource} is not the one that account/ grants"
    given = {(operator, key.lower()): {*values} for operator, key, values in statement.conditions}
    for operator, key, values in design.conditions:
        found = given.get((operator, key.lower()))
        if found is None or not found <= {*values}:
            yield f"lacks the condition {key} {operator} {', '.join(values)}"


def _provided(resource: str, design: Statement) -> bool:
    if design.label == _KEY:  # only the key's alias is known
        return bool(re.fullmatch(re.escape(design.resources[0]) + r"[0-9a-f-]{36}", resource))
    if design.label.endswith(_WATCHED):  # an organisation's trail has a log group of any name
        return bool(re.fullmatch(r"arn:[a-z-]+:logs:[a-z0-9-]+:\d{12}:log-group:[^*?:]+(:\*)?", resource))
    return resource in design.resources


def _trusted(kind: str, role: Role, statement: Statement) -> Iterator[str]:
    if "principal" in statement.negated:
        yield "lets everybody else assume the role"
        return
    account = role.arn.split(":")[4]
    for name in statement.principals.get("Federated", ()):
        issuer = name.rpartition(":oidc-provider/")[2]
        audiences = _values(statement, f"{issuer}:aud")
        try:
            federated_trust(
                name, audience=audiences[0] if len(audiences) == 1 else "", subjects=_values(statement, f"{issuer}:sub"),
                patterns=kind == "previewer",
            )  # fmt: skip
        except PolicyError as error:
            yield str(error)
    for name in statement.principals.get("AWS", ()):
        if kind != "deployer" or not re.fullmatch(rf"arn:[a-z-]+:iam::{account}:(role|user)/.+", name):
            yield f"lets {name} assume the role"
    for service in (*statement.principals.get("Service", ()), *statement.principals.get("*", ())):
        yield f"lets {service} assume the role"


def _undeclared(kind: PipelineKind, role: Role, statement: Statement, declared: Declared) -> Iterator[str]:
    """Yield the principals that a statement allows and the account's file does not declare."""
    partition, account = role.arn.split(":")[1], role.arn.split(":")[4]
    provider = f"arn:{partition}:iam::{account}:oidc-provider/{declared.issuer}"
    not_declared = f"{declared.file} does not declare it"
    for name in statement.principals.get("Federated", ()):
        if name != provider:
            yield f"allows tokens of {name}: {not_declared}"
            continue
        for key, wanted in (("aud", (declared.audience,)), ("sub", declared.subjects[kind])):
            for value in _values(statement, f"{declared.issuer}:{key}"):
                if value not in wanted:
                    yield f"lets the {'audience' if key == 'aud' else 'subject'} {value} in: {not_declared}"
    for name in statement.principals.get("AWS", ()):
        if kind == "deployer" and name not in declared.principals:
            yield f"lets {name} assume the role: {not_declared}"


def _values(statement: Statement, key: str) -> tuple[str, ...]:
    return tuple(
        value
        for operator, found, values in statement.conditions
        if found.lower() == key.lower() and operator in {"StringEquals", "StringLike"}
        for value in values
    )
