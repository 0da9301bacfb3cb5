"""Static evaluation of IAM policies: identity policies, permissions boundaries, resource policies, key and trust policies.

Pure functions over policy documents. What can't be decided without the live request (a source address, an MFA state) is
reported as a condition, never guessed. Service control policies and session policies can't be read from here.
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
        source: The policy that has it, in words: `inline policy NAME`, `managed policy NAME`, ...
        label: Its Sid, or its position as `statement 2`.
        allows: Whether its effect is Allow.
        actions: Patterns, lower case; with `not_actions`, everything else.
        resources: Patterns of ARNs; empty in a trust policy.
        principals: Values by kind (`AWS`, `Service`, `Federated`); `{"*": ("*",)}` for everybody; empty in identity policies.
        conditions: Rows of operator, key and values.
        negated: Which of actions, resources, principals are given by their `Not` form.
        variables: Whether `${...}` is a variable: in a policy of version 2012-10-17.
    """

    source: str
    label: str
    allows: bool
    actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    principals: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    negated: frozenset[str] = frozenset()
    variables: bool = True

    def __str__(self) -> str:
        return f"{self.label} of {self.source}"

    @property
    def named(self) -> list[str]:
        """The principals that it names, of every kind."""
        return [value for values in self.principals.values() for value in values]

    @property
    def services(self) -> tuple[str, ...]:
        """The AWS services to which it applies by name."""
        return () if "principal" in self.negated else self.principals.get("Service", ())


@dataclass(frozen=True)
class Request:
    """One question: can this principal do this to that?

    Attributes:
        action: Such as `secretsmanager:GetSecretValue`.
        resource: An ARN.
        principal: ARN of the role or user; the name of a service (`ecs-tasks.amazonaws.com`) for a trust policy.
        context: Known condition keys in lower case. None means known to be absent; a key that is not here is unknown, unless
            `<what precedes its slash>/*` is here: then it is known to be absent.
    """

    action: str
    resource: str
    principal: str
    context: Mapping[str, str | None] = field(default_factory=dict[str, str | None])


@dataclass(frozen=True)
class Decision:
    """An answer.

    Attributes:
        outcome: `conditional` depends on `conditions`, which only the live request decides.
        statement: What decided; None when nothing allowed.
        conditions: Conditions in words.
    """

    outcome: Outcome
    statement: Statement | None = None
    conditions: tuple[str, ...] = ()

    @property
    def allows(self) -> bool:
        """Whether nothing known denies it."""
        return self.outcome in {"allowed", "conditional"}


def resource_tags(tags: Mapping[str, str], service: str) -> dict[str, str | None]:
    """Return the context that the tags of a request's resource give. Keys are not case-sensitive.

    Source: AWS, "AWS global condition context keys", aws:ResourceTag; "Actions, resources, and condition keys" of the service.
    """
    names = ("aws:resourcetag", f"{service}:resourcetag")
    found: dict[str, str | None] = {f"{name}/{key.lower()}": value for name in names for key, value in tags.items()}
    return found | {f"{name}/*": None for name in names}


def parse(document: str | Mapping[str, Any], *, source: str) -> tuple[Statement, ...]:
    """Return the statements of a policy document, as text (also URL-encoded, as IAM can return it) or as a mapping.

    Raises:
        ValueError: When it is not a policy.
    """
    loaded: object = document
    if isinstance(document, str):
        loaded = json.loads(document if document.lstrip().startswith("{") else unquote(document))
    if not isinstance(loaded, Mapping):
        raise ValueError(f"{source} is not a policy document")  # noqa: TRY004 - one error for everything that is not a policy
    policy = cast("Mapping[str, Any]", loaded)
    listed = policy.get("Statement", [])
    statements = cast("list[Mapping[str, Any]]", listed if isinstance(listed, list) else [listed])
    variables = str(policy.get("Version")) == _WITH_VARIABLES
    return tuple(_statement(raw, source, number, variables=variables) for number, raw in enumerate(statements, 1))


_WITH_VARIABLES = "2012-10-17"
"""Source: AWS, "IAM JSON policy elements: Version": in the older one, which is the default, `${aws:username}` is plain text."""


def _statement(raw: Mapping[str, Any], source: str, number: int, *, variables: bool) -> Statement:
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
        variables=variables,
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
    """Return whether a principal of the resource's own account can do something.

    Args:
        request: The question.
        identity: The statements of the principal's identity policies.
        boundary: Those of its permissions boundary, None when it has none.
        resource: Those of the resource's policy.
        resource_must_allow: As in KMS: the identity policies count only where the key's policy delegates to the account.
    """
    identity, resource = tuple(identity), tuple(resource)
    limits = None if boundary is None else tuple(boundary)
    own = _first(identity, request, allow=True)
    if own and limits is not None:
        within = _first(limits, request, allow=True)
        own = _worse(own, within) if within else None
    if resource_must_allow and own:
        delegated = _first(resource, request, allow=True)
        own = _worse(own, delegated) if delegated else None
    # A role that a resource's policy names needs no identity policy; the account's root in it only delegates to those.
    direct = _first([s for s in resource if principal_match(s, request.principal) != "account"], request, allow=True)
    denied = _first((*identity, *(limits or ()), *resource), request, allow=False)
    return _together(denied, _better(own, direct))


def trusts(statements: Iterable[Statement], request: Request) -> Decision:
    """Return whether a trust policy lets a principal in. A trust policy has no resource."""
    statements = tuple(statements)
    return _together(_first(statements, request, allow=False), _first(statements, request, allow=True))


def _together(denied: Decision | None, allowed: Decision | None) -> Decision:
    if denied and denied.outcome == "explicit-deny":
        return denied
    if allowed is None:
        return Decision("implicit-deny")
    return _worse(allowed, denied) if denied else allowed


def _first(statements: Iterable[Statement], request: Request, *, allow: bool) -> Decision | None:
    """Return the decision of the statements of one effect; certain before conditional."""
    conditional: Decision | None = None
    for statement in statements:
        about = _about(statement, request) if statement.allows == allow else False
        met = about is not False and conditions_met(statement, request.context)
        if about is False or met is False:
            continue
        if about and met:
            return Decision("allowed" if allow else "explicit-deny", statement)
        if conditional is None:
            words = (*(() if about else _unknown_resources(statement)), *(() if met else shown_conditions(statement)))
            prefix = "" if allow else "denied when "
            conditional = Decision("conditional", statement, tuple(prefix + c for c in words))
    return conditional


def _worse(first: Decision, second: Decision) -> Decision:
    if first.outcome == second.outcome == "allowed":
        return first
    return Decision("conditional", first.statement, (*first.conditions, *second.conditions))


def _better(first: Decision | None, second: Decision | None) -> Decision | None:
    if first is None or second is None:
        return first or second
    return second if first.outcome != "allowed" and second.outcome == "allowed" else first


def _about(statement: Statement, request: Request) -> bool | None:
    """Return whether principal, action and resource of a statement match; None when that depends on an unknown variable."""
    named = not statement.principals or principal_match(statement, request.principal) is not None
    if not named or not matches_action(statement, request.action):
        return False
    if not statement.resources:  # a trust policy names no resource and applies to its role
        return True
    fits = (_fits(one, request.resource, request.context, variables=statement.variables) for one in statement.resources)
    found = _any(fits)
    return None if found is None else found != ("resource" in statement.negated)


def matches_action(statement: Statement, action: str) -> bool:
    """Return whether a statement applies to an action."""
    found = any(glob(pattern, action.lower()) for pattern in statement.actions)
    return found != ("action" in statement.negated)


def _any(results: Iterable[bool | None]) -> bool | None:
    """Return whether one of the results is true; None when none is for certain."""
    found = set(results)
    return True if True in found else None if None in found else False


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
    named = set(principals.get("AWS", ()))
    if named & {principal, _role_of_session(principal)}:
        return "exact"
    return "account" if named & {fields[4], f"arn:{fields[1]}:iam::{fields[4]}:root"} else None


def _role_of_session(arn: str) -> str:
    match = re.fullmatch(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/.*", arn)
    return f"arn:{match[1]}:iam::{match[2]}:role/{match[3]}" if match else arn


@lru_cache(maxsize=4096)
def _compiled(expression: str, *, fold: bool) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if fold else 0))


def glob(pattern: str, text: str) -> bool:
    """Return whether a text matches a pattern of IAM: `*` any characters, `?` one, `${*}` and `${?}` themselves; case counts."""
    return _fits(pattern, text, {}, variables=True) is True


def _fits(
    value: str,
    text: str,
    context: Mapping[str, str | None],
    *,
    variables: bool,
    wild: bool = True,
    fold: bool = False,
) -> bool | None:
    """Return whether a text matches a policy's value; None when that depends on an unknown variable.

    Args:
        value: With variables, and wildcards where `wild` is true. The value of a variable is not a pattern.
        text: The text.
        context: As in a request. A variable whose key is absent has its default, or matches nothing.
        variables: Whether `${...}` is a variable.
        wild: Whether `*` and `?` are wildcards.
        fold: Whether case is ignored.

    Source: AWS, "IAM policy elements: Variables and tags".
    """
    expression, depends = "", False
    for part in re.split(r"(\$\{[^{}]*\})", value) if variables else [value]:
        if not (variables and part.startswith("${") and part.endswith("}")):
            expression += _expression(part) if wild else re.escape(part)
        elif part[2:-1] in {"*", "?", "$"}:
            expression += re.escape(part[2:-1])
        else:
            name, _, default = part[2:-1].partition(",")
            known, replacement = _known(name.strip().lower(), context)
            if not known:
                depends, expression = True, expression + ".*"
            elif replacement is not None or default:
                expression += re.escape(default.strip().strip("'") if replacement is None else replacement)
            else:
                return False
    if _compiled(expression, fold=fold).fullmatch(text) is None:
        return False
    return None if depends else True


def _expression(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(part) or re.escape(part) for part in re.split(r"([*?])", pattern))


def _known(key: str, context: Mapping[str, str | None]) -> tuple[bool, str | None]:
    """Return whether a key's value is known, and the value; None when the key is absent."""
    return key in context or f"{key.partition('/')[0]}/*" in context, context.get(key)


def _unknown_resources(statement: Statement) -> tuple[str, ...]:
    """Return the resources of a statement that have variables, in words."""
    given = [resource for resource in statement.resources if re.search(r"\$\{[^}*?$]", resource)]
    return (f"the resource is {'not ' if 'resource' in statement.negated else ''}{' or '.join(given)}",)


def conditions_met(statement: Statement, context: Mapping[str, str | None]) -> bool | None:
    """Return whether all conditions hold; None when that depends on what the context doesn't know."""
    results = {_condition_met(*condition, context, variables=statement.variables) for condition in statement.conditions}
    return False if False in results else None if None in results else True


def shown_conditions(statement: Statement) -> tuple[str, ...]:
    """Return the conditions of a statement in words."""
    return tuple(f"{key} {operator} {', '.join(values)}" for operator, key, values in statement.conditions)


def _condition_met(
    operator: str, key: str, values: Sequence[str], context: Mapping[str, str | None], *, variables: bool
) -> bool | None:
    quantifier, _, plain = operator.rpartition(":")
    name = plain.removesuffix("IfExists").lower()
    known, actual = _known(key.lower(), context)
    if not known:
        return None
    if name == "null":
        return (actual is None) == (values[0].lower() == "true")
    negative = "not" in name
    if actual is None:
        # An absent key fails every condition except the negated ones, ...IfExists and ForAllValues.
        return negative or plain.endswith("IfExists") or quantifier == "ForAllValues"
    base = name.replace("not", "")
    if base not in _COMPARED:
        return None  # numbers, dates and addresses: known only to the live request
    fold, wild = _COMPARED[base]
    found = _any(_fits(value, actual, context, variables=variables, wild=wild, fold=fold) for value in values)
    return None if found is None else found != negative


_COMPARED: Mapping[str, tuple[bool, bool]] = {
    "stringequals": (False, False),
    "stringequalsignorecase": (True, False),
    "stringlike": (False, True),
    "arnlike": (False, True),
    "arnequals": (False, True),
    "bool": (True, False),
}
"""By operator without its `Not`: whether case is ignored, and whether `*` and `?` are wildcards."""
