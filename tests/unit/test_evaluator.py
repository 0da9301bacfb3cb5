"""Static evaluation of policies, as AWS documents it."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from ops.access.evaluator import (
    Request,
    Statement,
    conditions_met,
    decide,
    glob,
    parse,
    principal_match,
    resource_tags,
    trusts,
)

ROLE = "arn:aws:iam::123456789012:role/app-execution"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-dev-db-AbCdEf"
ROOT = "arn:aws:iam::123456789012:root"
READ = "secretsmanager:GetSecretValue"
CONTEXT = {"aws:securetransport": "true", "aws:principalaccount": "123456789012", "aws:sourceip": None}


def policy(*statements: dict[str, Any]) -> Any:
    given = [{"Effect": "Allow", "Action": READ, **s} for s in statements]
    return parse({"Version": "2012-10-17", "Statement": given}, source="test")


def outcome(**policies: Any) -> str:
    request = Request(READ, SECRET, ROLE, CONTEXT)
    given: dict[str, Any] = {"identity": (), **policies}
    return decide(request, **given).outcome


IDENTITY: dict[str, tuple[dict[str, Any], str]] = {
    "exact": ({"Resource": SECRET}, "allowed"),
    "variable in a condition": (
        {"Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}}}, "allowed",
    ),
    "list": ({"Action": [READ, "x:y"], "Resource": ["arn:other", SECRET]}, "allowed"),
    "wildcard action": ({"Action": "secretsmanager:Get*", "Resource": "*"}, "allowed"),
    "action in capitals": ({"Action": "SECRETSMANAGER:GETSECRETVALUE", "Resource": "*"}, "allowed"),
    "star": ({"Action": "*", "Resource": "*"}, "allowed"),
    "six question marks": ({"Resource": SECRET[:-6] + "??????"}, "allowed"),
    "five question marks": ({"Resource": SECRET[:-6] + "?????"}, "implicit-deny"),
    "another resource": ({"Resource": SECRET[:-1] + "x"}, "implicit-deny"),
    "resource's case counts": ({"Resource": SECRET.upper()}, "implicit-deny"),
    "with the JSON key": ({"Resource": f"{SECRET}:KEY::"}, "implicit-deny"),
    "another action": ({"Action": "secretsmanager:DescribeSecret", "Resource": "*"}, "implicit-deny"),
    "NotAction of another": ({"Action": None, "NotAction": "iam:*", "Resource": "*"}, "allowed"),
    "NotAction of this": ({"Action": None, "NotAction": "secretsmanager:*", "Resource": "*"}, "implicit-deny"),
    "NotResource of another": ({"NotResource": "arn:other"}, "allowed"),
    "NotResource of this": ({"NotResource": SECRET}, "implicit-deny"),
    "known condition holds": ({"Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": True}}}, "allowed"),
    "known condition fails": ({"Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}, "implicit-deny"),
    "unknown condition": ({"Resource": "*", "Condition": {"StringEquals": {"aws:Env": "x"}}}, "conditional"),
    "a star as itself": ({"Resource": "${*}"}, "implicit-deny"),
    "a question mark as itself": ({"Resource": SECRET[:-1] + "${?}"}, "implicit-deny"),
    "a variable that is unknown": ({"Resource": f"{SECRET[:-6]}${{aws:unknown}}"}, "conditional"),
    "a variable that is unknown, elsewhere": ({"Resource": "arn:other:${aws:unknown}"}, "implicit-deny"),
    "policy variable": (
        {"Resource": "arn:aws:secretsmanager:eu-west-1:${aws:PrincipalAccount}:secret:app-*"}, "allowed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", IDENTITY)
def test_identity_policy(case: str) -> None:
    statement, expected = IDENTITY[case]
    cleaned = {"Effect": "Allow", "Action": READ} | statement
    cleaned = {key: value for key, value in cleaned.items() if value is not None}

    assert outcome(identity=parse({"Version": "2012-10-17", "Statement": cleaned}, source="test")) == expected


WHEN: dict[str, Any] = {"Resource": "*", "Condition": {"StringEquals": {"aws:Unknown": ["x", "y"]}}}
ALWAYS: dict[str, Any] = {"Resource": "*"}
ELSEWHERE: dict[str, Any] = {"Resource": "arn:other"}
BY_ROLE, BY_ROOT = {"Principal": {"AWS": ROLE}}, {"Principal": {"AWS": ROOT}}
SAID = ("aws:Unknown StringEquals x, y",)


def deny(resource: str = "*", /, **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Resource": resource, **more}


KEY = {"resource_must_allow": True}
TOGETHER: dict[str, tuple[dict[str, Any], str]] = {
    # a policy of the secret beside an identity policy that allows the read
    "deny everybody": ({"resource": deny(Principal="*")}, "explicit-deny"),
    "deny the role": ({"resource": deny(**BY_ROLE)}, "explicit-deny"),
    "deny the account": ({"resource": deny(**BY_ROOT)}, "explicit-deny"),
    "deny another": ({"resource": deny(Principal={"AWS": ROLE + "2"})}, "allowed"),
    "deny all but the role": ({"resource": deny(NotPrincipal={"AWS": ROLE})}, "allowed"),
    "deny all but another": ({"resource": deny(NotPrincipal={"AWS": ROLE + "2"})}, "explicit-deny"),
    "deny without TLS": (
        {"resource": deny(Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})}, "allowed",
    ),
    "deny under an unknown condition": (
        {"resource": deny(Principal="*", Condition={"StringNotEquals": {"aws:SourceVpc": "vpc-1"}})}, "conditional",
    ),
    # a policy of the secret alone
    "names the role": ({"identity": None, "resource": {**ALWAYS, **BY_ROLE}}, "allowed"),
    "names the account, which only delegates": ({"identity": None, "resource": {**ALWAYS, **BY_ROOT}}, "implicit-deny"),
    # a permissions boundary
    "within": ({"boundary": ALWAYS}, "allowed"),
    "outside": ({"boundary": ELSEWHERE}, "implicit-deny"),
    "denied by the boundary": ({"boundary": deny(SECRET)}, "explicit-deny"),
    "a boundary grants nothing": ({"identity": None, "boundary": ALWAYS}, "implicit-deny"),
    # a key's policy, which must allow or delegate
    "delegates": ({"resource": {**ALWAYS, **BY_ROOT}, **KEY}, "allowed"),
    "delegates to a policy that allows nothing": (
        {"identity": ELSEWHERE, "resource": {**ALWAYS, **BY_ROOT}, **KEY}, "implicit-deny",
    ),
    "allows": ({"identity": ELSEWHERE, "resource": {**ALWAYS, **BY_ROLE}, **KEY}, "allowed"),
    "delegates to another account": (
        {"resource": {**ALWAYS, "Principal": {"AWS": "arn:aws:iam::210987654321:root"}}, **KEY}, "implicit-deny",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TOGETHER)
def test_policies_together(case: str) -> None:
    policies, expected = TOGETHER[case]
    given = {"identity": {"Resource": SECRET}} | policies

    assert outcome(**{k: policy(v) if isinstance(v, dict) else v or () for k, v in given.items()}) == expected


@pytest.mark.parametrize(
    ("identity", "resource", "expected"),
    [
        (WHEN, {**ALWAYS, **BY_ROLE}, ("allowed", ())),
        (ALWAYS, {**WHEN, **BY_ROLE}, ("allowed", ())),
        (WHEN, {**WHEN, **BY_ROLE}, ("conditional", SAID)),
        (WHEN, {"Resource": "arn:other", **BY_ROLE}, ("conditional", SAID)),
        ({"Resource": "arn:other"}, {**WHEN, **BY_ROLE}, ("conditional", SAID)),
        (ALWAYS, {**WHEN, "Effect": "Deny", "Principal": "*"}, ("conditional", (f"denied when {SAID[0]}",))),
    ],
)
def test_the_better_of_two_policies_counts_and_a_possible_deny_stays(
    identity: dict[str, Any], resource: dict[str, Any], expected: tuple[str, tuple[str, ...]]
) -> None:
    request = Request(READ, SECRET, ROLE, CONTEXT)
    decision = decide(request, identity=policy(identity), resource=policy(resource))
    assert (decision.outcome, decision.conditions) == expected
    assert decision.allows


def test_what_must_hold_in_both_policies_is_told_of_both() -> None:
    """A boundary limits the identity policy, and a key's policy delegates to it."""
    other = {"Resource": "*", "Condition": {"StringEquals": {"aws:Other": "y"}}}
    said = (*SAID, "aws:Other StringEquals y")
    request = Request(READ, SECRET, ROLE, CONTEXT)
    within = decide(request, identity=policy(WHEN), boundary=policy(other))
    assert (within.outcome, within.conditions) == ("conditional", said)
    key = policy({**other, **BY_ROOT})
    delegated = decide(request, identity=policy(WHEN), resource=key, resource_must_allow=True)
    assert (delegated.outcome, delegated.conditions) == ("conditional", said)
    assert decide(request, identity=policy(ALWAYS), boundary=policy(other)).conditions == said[1:]
    assert decide(request, identity=policy(WHEN), boundary=policy(ALWAYS)).conditions == SAID


def test_a_certain_statement_counts_before_one_with_a_condition() -> None:
    request = Request(READ, SECRET, ROLE, CONTEXT)
    decision = decide(request, identity=policy(WHEN, {**ALWAYS, "Sid": "always"}))
    assert (decision.outcome, str(decision.statement)) == ("allowed", "always of test")
    first = decide(request, identity=policy({**WHEN, "Sid": "first"}, {**WHEN, "Sid": "second"}))
    assert (first.outcome, str(first.statement)) == ("conditional", "first of test")


@pytest.mark.parametrize(
    ("principals", "principal", "expected"),
    [
        ("*", ROLE, "everybody"),
        ({"AWS": "*"}, ROLE, "everybody"),
        ({"AWS": ["123456789012"]}, ROLE, "account"),
        ({"AWS": ROLE}, "arn:aws:sts::123456789012:assumed-role/app-execution/session", "exact"),
        ({"Service": "ecs-tasks.amazonaws.com"}, "ecs-tasks.amazonaws.com", "exact"),
        ({"Service": "lambda.amazonaws.com"}, "ecs-tasks.amazonaws.com", None),
        ({"AWS": ROLE}, ROLE + "2", None),
        ({"AWS": ROOT}, ROLE, "account"),
        ({"AWS": ROOT}, "ecs-tasks.amazonaws.com", None),
        ({"Federated": "cognito-identity.amazonaws.com"}, "cognito-identity.amazonaws.com", "exact"),
        ({"AWS": "arn:aws-cn:iam::123456789012:root"}, ROLE, None),
    ],
)
def test_principals(principals: Any, principal: str, expected: str | None) -> None:
    (statement,) = policy({"Principal": principals})

    assert principal_match(statement, principal) == expected


CONDITIONS: dict[str, tuple[str, str, Any, bool | None]] = {
    "equals": ("StringEquals", "aws:a", "x", True),
    "equals one of": ("StringEquals", "aws:a", ["y", "x"], True),
    "key's case doesn't count": ("StringEquals", "AWS:A", "x", True),
    "not equals": ("StringNotEquals", "aws:a", "x", False),
    "ignoring case": ("StringEqualsIgnoreCase", "aws:a", "X", True),
    "like": ("StringLike", "aws:arn", "arn:aws:ecs:*", True),
    "not like": ("StringNotLike", "aws:arn", "arn:aws:ecs:*", False),
    "ARN": ("ArnLike", "aws:arn", "arn:aws:ecs:eu-west-1:1:*", True),
    "ARN equals with a wildcard": ("ArnEquals", "aws:arn", "arn:aws:ecs:*", True),
    "absent key": ("StringEquals", "aws:absent", "x", False),
    "absent key, negated": ("StringNotEquals", "aws:absent", "x", True),
    "absent key, if exists": ("StringEqualsIfExists", "aws:absent", "x", True),
    "absent key, for all values": ("ForAllValues:StringEquals", "aws:absent", "x", True),
    "null holds": ("Null", "aws:absent", "true", True),
    "null fails": ("Null", "aws:a", "true", False),
    "unknown key": ("StringEquals", "aws:unknown", "x", None),
    "an address": ("IpAddress", "aws:a", "10.0.0.0/8", None),
    "null of a key that is there": ("Null", "aws:a", "false", True),
    "null of an absent key fails": ("Null", "aws:absent", "FALSE", False),
    "null of an unknown key": ("Null", "aws:unknown", "true", None),
    "a star as itself": ("StringEquals", "aws:star", "${*}", True),
    "a star as itself, ignoring case": ("StringEqualsIgnoreCase", "aws:star", "${*}", True),
    "a star as itself in a pattern": ("StringLike", "aws:a", "${*}", False),
    "a boolean": ("Bool", "aws:yes", "TRUE", True),
    "another boolean": ("Bool", "aws:yes", "false", False),
    "not equals, ignoring case": ("StringNotEqualsIgnoreCase", "aws:a", "X", False),
    "not equals another, ignoring case": ("StringNotEqualsIgnoreCase", "aws:a", "Y", True),
    "case counts": ("StringEquals", "aws:a", "X", False),
    "ARN of another": ("ArnNotLike", "aws:arn", "arn:aws:iam:*", True),
    "a tag": ("StringEquals", "aws:ResourceTag/team", "a", True),
    "a tag that is absent": ("StringEquals", "aws:ResourceTag/owner", "a", False),
    "a tag by the service's name": ("StringEquals", "secretsmanager:ResourceTag/team", "a", True),
    "a tag that is absent, by the service's name": ("StringEquals", "secretsmanager:ResourceTag/owner", "a", False),
    "a tag of the principal": ("StringEquals", "aws:PrincipalTag/team", "a", None),
    "for any value of an absent key": ("ForAnyValue:StringEquals", "aws:absent", "x", False),
}
KNOWN = {
    "aws:a": "x",
    "aws:arn": "arn:aws:ecs:eu-west-1:1:task/c/1",
    "aws:absent": None,
    "aws:yes": "true",
    "aws:star": "*",
    **resource_tags({"Team": "a"}, "secretsmanager"),
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_conditions(case: str) -> None:
    operator, key, value, expected = CONDITIONS[case]
    (statement,) = policy({"Resource": "*", "Condition": {operator: {key: value}}})

    assert conditions_met(statement, KNOWN) is expected


def test_unmet_condition_beats_an_unknown_one() -> None:
    (statement,) = policy({"Resource": "*", "Condition": {"StringEquals": {"aws:unknown": "x", "aws:a": "y"}}})

    assert conditions_met(statement, {"aws:a": "x"}) is False


def test_trust_policy_binds_the_source() -> None:
    condition = {"StringEquals": {"aws:SourceAccount": "1"}, "ArnLike": {"aws:SourceArn": "arn:aws:ecs:r:1:*"}}
    service = {"Service": "ecs-tasks.amazonaws.com"}
    trust = parse(
        {"Statement": {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole", "Condition": condition}},
        source="trust",
    )

    def asked(account: str) -> bool:
        context = {"aws:sourceaccount": account, "aws:sourcearn": f"arn:aws:ecs:r:{account}:task/c/1"}
        return trusts(trust, Request("sts:AssumeRole", ROLE, "ecs-tasks.amazonaws.com", context)).allows

    assert (asked("1"), asked("2")) == (True, False)


def test_url_encoded_document_is_read() -> None:
    document = quote(json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}))

    (statement,) = parse(document, source="iam")

    assert statement.actions == ("*",)


@pytest.mark.parametrize("document", ["[]", '["Statement"]', "%5B%5D", '"text"'])
def test_text_that_is_no_policy_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="x is not a policy"):
        parse(document, source="x")


def test_a_statement_is_read_into_lists() -> None:
    """One that is complete, and the second of two, which has no Sid. Source: AWS, "IAM JSON policy elements"."""
    full = {
        "Sid": "S",
        "Effect": "Allow",
        "Principal": {"AWS": ROLE, "Service": ["a", "b"]},
        "Action": ["S3:Get*"],
        "Resource": "r",
        "Condition": {"Bool": {"k": True}, "StringEquals": {"l": ["1", 2]}},
    }
    negative = {"Effect": "Deny", "NotPrincipal": "*", "NotAction": "a", "NotResource": ["r"]}
    assert parse({"Statement": [full, negative]}, source="p") == (
        Statement(
            source="p",
            label="S",
            allows=True,
            actions=("s3:get*",),
            resources=("r",),
            principals={"AWS": (ROLE,), "Service": ("a", "b")},
            conditions=(("Bool", "k", ("true",)), ("StringEquals", "l", ("1", "2"))),
            variables=False,
        ),
        Statement(
            source="p",
            label="statement 2",
            allows=False,
            actions=("a",),
            resources=("r",),
            principals={"*": ("*",)},
            negated=frozenset({"action", "resource", "principal"}),
            variables=False,
        ),
    )
    assert parse({}, source="p") == ()


def test_a_trust_policy_denies_and_may_deny() -> None:
    everybody = {"Principal": "*", "Action": "sts:AssumeRole"}
    unknown = WHEN["Condition"]

    def asked(*statements: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        trust = parse({"Statement": [{"Effect": "Allow", **everybody, **s} for s in statements]}, source="trust")
        decision = trusts(trust, Request("sts:AssumeRole", ROLE, "ecs-tasks.amazonaws.com", {}))
        return decision.outcome, decision.conditions

    assert asked({}) == ("allowed", ())
    assert asked({}, {"Effect": "Deny"}) == ("explicit-deny", ())
    assert asked({"Principal": {"Service": "lambda.amazonaws.com"}}) == ("implicit-deny", ())
    assert asked({"Condition": unknown}) == ("conditional", SAID)
    assert asked({}, {"Effect": "Deny", "Condition": unknown}) == ("conditional", (f"denied when {SAID[0]}",))


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a*c", "abc", True),
        ("a*c", "ab", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a.c", "abc", False),
        ("a${*}", "a*", True),
        ("a${*}", "ab", False),
        ("a${?}?", "a?b", True),
        ("${$}{*}", "${x}", True),
        ("abc", "abc", True),
    ],
)
def test_patterns(pattern: str, text: str, matches: bool) -> None:  # noqa: FBT001
    assert glob(pattern, text) is matches
