"""Static evaluation of policies, as AWS documents it."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from policies.evaluator import Request, conditions_met, decide, glob, parse, principal_match, trusts

ROLE = "arn:aws:iam::123456789012:role/app-execution"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-dev-db-AbCdEf"
ROOT = "arn:aws:iam::123456789012:root"
READ = "secretsmanager:GetSecretValue"
CONTEXT = {"aws:securetransport": "true", "aws:principalaccount": "123456789012", "aws:sourceip": None}


def policy(*statements: dict[str, Any]) -> Any:
    return parse({"Statement": [{"Effect": "Allow", "Action": READ, **s} for s in statements]}, source="test")


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
    "policy variable": (
        {"Resource": "arn:aws:secretsmanager:eu-west-1:${aws:PrincipalAccount}:secret:app-*"}, "allowed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", IDENTITY)
def test_identity_policy(case: str) -> None:
    statement, expected = IDENTITY[case]
    cleaned = {"Effect": "Allow", "Action": READ} | statement
    cleaned = {key: value for key, value in cleaned.items() if value is not None}

    assert outcome(identity=parse({"Statement": cleaned}, source="test")) == expected


RESOURCE: dict[str, tuple[dict[str, Any], str]] = {
    # a policy of the secret, with an identity policy that allows the read
    "deny everybody": ({"Effect": "Deny", "Principal": "*", "Resource": "*"}, "explicit-deny"),
    "deny the role": ({"Effect": "Deny", "Principal": {"AWS": ROLE}, "Resource": "*"}, "explicit-deny"),
    "deny the account": ({"Effect": "Deny", "Principal": {"AWS": ROOT}, "Resource": "*"}, "explicit-deny"),
    "deny another": ({"Effect": "Deny", "Principal": {"AWS": ROLE + "2"}, "Resource": "*"}, "allowed"),
    "deny all but the role": ({"Effect": "Deny", "NotPrincipal": {"AWS": ROLE}, "Resource": "*"}, "allowed"),
    "deny all but another": ({"Effect": "Deny", "NotPrincipal": {"AWS": ROLE + "2"}, "Resource": "*"}, "explicit-deny"),
    "deny without TLS": (
        {"Effect": "Deny", "Principal": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        "allowed",
    ),
    "deny under an unknown condition": (
        {"Effect": "Deny", "Principal": "*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}},
        "conditional",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RESOURCE)
def test_resource_policy_beside_an_identity_policy(case: str) -> None:
    statement, expected = RESOURCE[case]

    assert outcome(identity=policy({"Resource": SECRET}), resource=policy(statement)) == expected


def test_resource_policy_that_names_the_role_is_enough() -> None:
    assert outcome(resource=policy({"Principal": {"AWS": ROLE}, "Resource": "*"})) == "allowed"


def test_resource_policy_that_names_the_account_only_delegates() -> None:
    assert outcome(resource=policy({"Principal": {"AWS": ROOT}, "Resource": "*"})) == "implicit-deny"


@pytest.mark.parametrize(("boundary", "expected"), [("*", "allowed"), ("arn:other", "implicit-deny")])
def test_permissions_boundary_limits(boundary: str, expected: str) -> None:
    limits = policy({"Resource": boundary})

    assert outcome(identity=policy({"Resource": "*"}), boundary=limits) == expected


def test_permissions_boundary_grants_nothing() -> None:
    assert outcome(boundary=policy({"Resource": "*"})) == "implicit-deny"


@pytest.mark.parametrize(
    ("principal", "identity", "expected"),
    [
        (ROOT, "*", "allowed"),
        (ROOT, "arn:other", "implicit-deny"),
        (ROLE, "arn:other", "allowed"),
        ("arn:aws:iam::210987654321:root", "*", "implicit-deny"),
    ],
)
def test_key_policy_must_allow_or_delegate(principal: str, identity: str, expected: str) -> None:
    key = policy({"Principal": {"AWS": principal}, "Resource": "*"})

    assert outcome(identity=policy({"Resource": identity}), resource=key, resource_must_allow=True) == expected


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
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_conditions(case: str) -> None:
    operator, key, value, expected = CONDITIONS[case]
    (statement,) = policy({"Resource": "*", "Condition": {operator: {key: value}}})

    context = {"aws:a": "x", "aws:arn": "arn:aws:ecs:eu-west-1:1:task/c/1", "aws:absent": None}
    assert conditions_met(statement, context) is expected


def test_unmet_condition_beats_an_unknown_one() -> None:
    (statement,) = policy({"Resource": "*", "Condition": {"StringEquals": {"aws:unknown": "x", "aws:a": "y"}}})

    assert conditions_met(statement, {"aws:a": "x"}) is False


def test_conditions_are_reported_in_words() -> None:
    request = Request(READ, SECRET, ROLE, {})
    condition = {"StringEquals": {"aws:SourceVpc": ["vpc-1", "vpc-2"]}}

    decision = decide(request, identity=policy({"Resource": "*", "Condition": condition}))

    assert decision.conditions == ("aws:SourceVpc StringEquals vpc-1, vpc-2",)


def test_explicit_deny_is_named_by_statement_and_policy() -> None:
    deny = parse({"Statement": {"Sid": "Freeze", "Effect": "Deny", "Action": "*", "Resource": "*"}}, source="policy x")

    decision = decide(Request(READ, SECRET, ROLE), identity=[*policy({"Resource": "*"}), *deny])

    assert str(decision.statement) == "Freeze of policy x"


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


def test_text_that_is_no_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="no policy"):
        parse('{"Statement": []}'.join("[]"), source="x")


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [("a*c", "abc", True), ("a*c", "ab", False), ("a?c", "abc", True), ("a?c", "ac", False), ("a.c", "abc", False)],
)
def test_patterns(pattern: str, text: str, matches: bool) -> None:  # noqa: FBT001
    assert glob(pattern, text) is matches
