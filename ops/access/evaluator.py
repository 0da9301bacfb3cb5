"""Static evaluation of IAM policies: identity policies, permissions boundaries, resource policies, key and trust policies.

Pure functions over policy documents. What can't be decided without the live request (a source address, an MFA state) is
reported as a condition, never guessed. Service control policies and session policies are invisible from here.
Source: AWS, "Policy evaluation logic" and "IAM JSON policy elements".
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, cast
from urllib.parse import unquote

Outcome = Literal["allowed", "conditional", "implicit-deny", "explicit-deny"]
Match = Literal["exact", "account", "everybody"]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, in lists throughout.

    Attributes:
        source: Which policy it stands in, in words: `inline policy NAME`, `managed policy NAME`, ...
        label: Its Sid, or its position as `statement 2`.
        allows: Whether its effect is Allow.
        actions: Patterns, lower case; with `not_actions` everything else is meant.
        resources: Patterns of ARNs; empty in a trust policy.
        principals: Values by kind (`AWS`, `Service`, `Federated`); `{"*": ("*",)}` for everybody; empty in identity policies.
        conditions: Rows of operator, key and values.
        negated: Which of actions, resources, principals are given by their `Not` form.
    """

    source: str
    label: str
    allows: bool
    actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    principals: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    negated: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.label} of {self.source}"


@dataclass(frozen=True)
class Request:
    """One question: may this principal do this to that?

    Attributes:
        action: Such as `secretsmanager:GetSecretValue`.
        resource: An ARN.
        principal: ARN of the role or user; the name of a service (`ecs-tasks.amazonaws.com`) for a trust policy.
        context: Known condition keys in lower case. None means known to be absent; a key that is not here is unknown, unless
            `<what stands before its slash>/*` is here: then it is known to be absent.
    """

    action: str
    resource: str
    principal: str
    context: Mapping[str, str | None] = field(default_factory=dict[str, str | None])


@dataclass(frozen=True)
class Decision:
    """An answer.

    Attributes:
        outcome: `conditional` depends on `conditions`, which can't be known from here.
        statement: What decided; None when nothing allowed.
        conditions: Conditions in words.
    """

    outcome: Outcome
    statement: Statement | None = None
    conditions: tuple[str, ...] = ()

    @property
    def allows(self) -> bool:
        """Whether nothing known stands against it."""
        return self.outcome in {"allowed", "conditional"}


def resource_tags(tags: Mapping[str, str], service: str) -> dict[str, str | None]:
    """Return the context that the tags of a request's resource give. Keys are not case-sensitive.

    Source: AWS, "AWS global condition context keys", aws:ResourceTag; "Actions, resources, and condition keys" of the service.
    """
    names = ("aws:resourcetag", f"{service}:resourcetag")
    found: dict[str, str | None] = {f"{name}/{key.lower()}": value for name in names for key, value in tags.items()}
    return found | {f"{name}/*": None for name in names}


def parse(document: str | Mapping[str, Any], *, source: str) -> tuple[Statement, ...]:
    """Return the statements of a policy document, as text (also URL-encoded, as IAM may return it) or as a mapping.

    Raises:
        ValueError: When it is no policy.
    """
    if isinstance(document, str):
        text = document if document.lstrip().startswith("{") else unquote(document)
        loaded: object = json.loads(text)
    else:
        loaded = document
    if not isinstance(loaded, Mapping):
        raise ValueError(f"{source} is no policy document")  # noqa: TRY004 - one error for all that is no policy
    policy = cast("Mapping[str, Any]", loaded)
    listed = policy.get("Statement", [])
    statements = cast("list[Mapping[str, Any]]", listed if isinstance(listed, list) else [listed])
    return tuple(_statement(raw, source, number) for number, raw in enumerate(statements, 1))


def _statement(raw: Mapping[str, Any], source: str, number: int) -> Statement:
    negated = {part for part in ("Action", "Resource", "Principal") if f"Not{part}" in raw}
    principal = raw.get("NotPrincipal" if "Principal" in negated else "Principal")
    kinds: Mapping[str, Any] = {"*": "*"} if principal == "*" else principal or {}
    conditions = tuple(
        (operator, key, _texts(values))
        for operator, keys in cast("Mapping[str, Mapping[str, Any]]", raw.get("Condition") or {}).items()
        for key, values in keys.items()
    )
    return Statement(
        source=source,
        label=str(raw.get("Sid") or f"statement {number}"),
        allows=raw.get("Effect") == "Allow",
        actions=tuple(a.lower() for a in _texts(raw.get("NotAction" if "Action" in negated else "Action"))),
        resources=_texts(raw.get("NotResource" if "Resource" in negated else "Resource")),
        principals={kind: _texts(values) for kind, values in kinds.items()},
        conditions=conditions,
        negated=frozenset(part.lower() for part in negated),
    )


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    items = cast("Sequence[object]", value if isinstance(value, list | tuple) else [value])
    return tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items)


def decide(
    request: Request,
    *,
    identity: Iterable[Statement],
    boundary: Iterable[Statement] | None = None,
    resource: Iterable[Statement] = (),
    resource_must_allow: bool = False,
) -> Decision:
    """Return whether a principal of the resource's own account may do something.

    Args:
        request: The question.
        identity: The statements of the principal's identity policies.
        boundary: Those of its permissions boundary, None when it has none.
        resource: Those of the resource's policy.
        resource_must_allow: As KMS: the identity policies count only where the key's policy lets the account decide.
    """
    identity, resource = tuple(identity), tuple(resource)
    limits = None if boundary is None else tuple(boundary)
    denied = _first((*identity, *(limits or ()), *resource), request, allow=False)
    if denied and denied.outcome == "explicit-deny":
        return denied
    own = _first(identity, request, allow=True)
    if own and limits is not None:
        within = _first(limits, request, allow=True)
        own = _worse(own, within) if within else None
    if resource_must_allow and own:
        delegated = _first(resource, request, allow=True)
        own = _worse(own, delegated) if delegated else None
    # A role that a resource's policy names needs no identity policy; the account's root in it only delegates to those.
    direct = _first([s for s in resource if principal_match(s, request.principal) != "account"], request, allow=True)
    allowed = _better(own, direct)
    if allowed is None:
        return Decision("implicit-deny")
    return _worse(allowed, denied) if denied else allowed


def trusts(statements: Iterable[Statement], request: Request) -> Decision:
    """Return whether a trust policy lets a principal in. The resource plays no part in a trust policy."""
    statements = tuple(statements)
    denied = _first(statements, request, allow=False)
    if denied and denied.outcome == "explicit-deny":
        return denied
    allowed = _first(statements, request, allow=True)
    if allowed is None:
        return Decision("implicit-deny")
    return _worse(allowed, denied) if denied else allowed


def _first(statements: Iterable[Statement], request: Request, *, allow: bool) -> Decision | None:
    """Return what the statements of one effect say; certain before conditional."""
    conditional: Decision | None = None
    for statement in statements:
        if statement.allows != allow or not applies(statement, request):
            continue
        met = conditions_met(statement, request.context)
        if met is True:
            return Decision("allowed" if allow else "explicit-deny", statement)
        if met is None and conditional is None:
            prefix = "" if allow else "denied when "
            conditional = Decision("conditional", statement, tuple(prefix + c for c in shown_conditions(statement)))
    return conditional


def _worse(first: Decision, second: Decision) -> Decision:
    if first.outcome == second.outcome == "allowed":
        return first
    return Decision("conditional", first.statement, (*first.conditions, *second.conditions))


def _better(first: Decision | None, second: Decision | None) -> Decision | None:
    if first is None or second is None:
        return first or second
    return second if first.outcome != "allowed" and second.outcome == "allowed" else first


def applies(statement: Statement, request: Request) -> bool:
    """Tell whether action, resource and principal of a statement match, whatever its conditions say."""
    return (
        matches_action(statement, request.action)
        and matches_resource(statement, request.resource, request.context)
        and (not statement.principals or principal_match(statement, request.principal) is not None)
    )


def matches_action(statement: Statement, action: str) -> bool:
    """Tell whether a statement is about an action."""
    found = any(glob(pattern, action.lower()) for pattern in statement.actions)
    return found != ("action" in statement.negated)


def matches_resource(statement: Statement, resource: str, context: Mapping[str, str | None] | None = None) -> bool:
    """Tell whether a statement is about a resource; a trust policy names none and is about its role."""
    if not statement.resources:
        return True
    found = any(glob(_filled(pattern, context or {}), resource) for pattern in statement.resources)
    return found != ("resource" in statement.negated)


def principal_match(statement: Statement, principal: str) -> Match | None:
    """Return how a statement names a principal: itself, by its account, or as everybody; None when it doesn't."""
    found = _principal_match(statement.principals, principal)
    if "principal" in statement.negated:
        return None if found else "everybody"
    return found


def _principal_match(principals: Mapping[str, tuple[str, ...]], principal: str) -> Match | None:
    if "*" in principals.get("*", ()) or "*" in principals.get("AWS", ()):
        return "everybody"
    if principal in principals.get("Service", ()) or principal in principals.get("Federated", ()):
        return "exact"
    fields = principal.split(":")
    if fields[0] != "arn":
        return None
    account = fields[4]
    for value in principals.get("AWS", ()):
        if value in {principal, _role_of_session(principal)}:
            return "exact"
    roots = {account, f"arn:{fields[1]}:iam::{account}:root"}
    return "account" if roots & set(principals.get("AWS", ())) else None


def _role_of_session(arn: str) -> str:
    match = re.fullmatch(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/.*", arn)
    return f"arn:{match[1]}:iam::{match[2]}:role/{match[3]}" if match else arn


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (
        {"*": ".*", "?": "."}.get(part, re.escape(_plain(part))) for part in re.split(r"(\$\{[*?$]\}|[*?])", pattern)
    )
    return re.compile("".join(parts), re.DOTALL)


def glob(pattern: str, text: str) -> bool:
    """Tell whether a text matches a pattern of IAM: `*` any characters, `?` one, `${*}` and `${?}` themselves; case counts."""
    return _compiled(pattern).fullmatch(text) is not None


def _filled(pattern: str, context: Mapping[str, str | None]) -> str:
    def value(match: re.Match[str]) -> str:
        return context.get(match[1].lower()) or match[0]

    return re.sub(r"\$\{([^}*?$]+)\}", value, pattern)


def _plain(text: str) -> str:
    """Return a text with the characters that are written as variables. Source: AWS, "IAM policy elements: Variables and tags"."""
    return re.sub(r"\$\{([*?$])\}", r"\1", text)


def conditions_met(statement: Statement, context: Mapping[str, str | None]) -> bool | None:
    """Return whether all conditions hold; None when that depends on what the context doesn't know."""
    results = [_condition_met(operator, key, values, context) for operator, key, values in statement.conditions]
    if False in results:
        return False
    return None if None in results else True


def shown_conditions(statement: Statement) -> tuple[str, ...]:
    """Return the conditions of a statement in words."""
    return tuple(f"{key} {operator} {', '.join(values)}" for operator, key, values in statement.conditions)


def _condition_met(operator: str, key: str, values: Sequence[str], context: Mapping[str, str | None]) -> bool | None:
    quantifier, _, plain = operator.rpartition(":")
    name = plain.removesuffix("IfExists").lower()
    known = key.lower()
    if known not in context and f"{known.partition('/')[0]}/*" not in context:
        return None
    actual = context.get(known)
    if name == "null":
        return (actual is None) == (values[0].lower() == "true")
    negative = "not" in name
    if actual is None:
        # An absent key fails every condition but the negated ones, ...IfExists and ForAllValues.
        return negative or plain.endswith("IfExists") or quantifier == "ForAllValues"
    wanted = [_filled(value, context) for value in values]
    match name.replace("not", ""):
        case "stringequals":
            found = actual in map(_plain, wanted)
        case "stringequalsignorecase":
            found = actual.lower() in {_plain(value).lower() for value in wanted}
        case "stringlike" | "arnlike" | "arnequals":
            found = any(glob(value, actual) for value in wanted)
        case "bool":
            found = actual.lower() in {value.lower() for value in wanted}
        case _:
            return None  # numbers, dates and addresses: known only to the live request
    return found != negative
