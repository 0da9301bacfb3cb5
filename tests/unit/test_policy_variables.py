"""Policy variables: what the account can't know makes a statement depend on it, and never lets it go unsaid."""

from typing import Any

import pytest

from ops.access.evaluator import Request, decide, parse, resource_tags

ACCOUNT = "123456789012"
SECRET = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:app-dev-db-AbCdEf"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/developers/access-peg-engineering"
USER = f"arn:aws:iam::{ACCOUNT}:user/alice"
READ = "secretsmanager:GetSecretValue"
ABAC = 'AWS, "IAM tutorial: Define permissions to access AWS resources based on tags", access-same-project-team'
VARIABLES = 'AWS, "IAM policy elements: Variables and tags"'

CASES: dict[str, tuple[dict[str, Any], str, dict[str, str], str]] = {
    # statement, principal, tags of the secret, expected
    "the tutorial's tag pattern": (
        {"Action": "secretsmanager:*", "Resource": "*", "Condition": {"StringEquals": {
            "aws:ResourceTag/access-project": "${aws:PrincipalTag/access-project}",
            "aws:ResourceTag/access-team": "${aws:PrincipalTag/access-team}"}}},
        ROLE, {"access-project": "peg", "access-team": "eng"}, "conditional",
    ),
    "the tutorial's, of a secret without the tag": (
        {"Action": "secretsmanager:*", "Resource": "*", "Condition": {"StringEquals": {
            "aws:ResourceTag/access-project": "${aws:PrincipalTag/access-project}"}}},
        ROLE, {}, "implicit-deny",
    ),
    "the service's own key": (
        {"Resource": "*", "Condition": {"StringEquals": {
            "secretsmanager:ResourceTag/team": "${aws:PrincipalTag/team}"}}},
        ROLE, {"team": "tickets"}, "conditional",
    ),
    "in a pattern": (
        {"Resource": "*", "Condition": {"StringLike": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}-*"}}},
        ROLE, {"team": "tickets-eu"}, "conditional",
    ),
    "in a pattern that nothing fits": (
        {"Resource": "*", "Condition": {"StringLike": {"aws:ResourceTag/team": "x-${aws:PrincipalTag/team}"}}},
        ROLE, {"team": "tickets"}, "implicit-deny",
    ),
    "in the resource": (
        {"Resource": f"arn:aws:secretsmanager:*:{ACCOUNT}:secret:${{aws:PrincipalTag/project}}-*"},
        ROLE, {}, "conditional",
    ),
    "in the resource of another service": (
        {"Resource": "arn:aws:s3:::bucket/${aws:PrincipalTag/project}"}, ROLE, {}, "implicit-deny",
    ),
    "a user's name that is known": (
        {"Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/owner": "${aws:username}"}}},
        USER, {"owner": "alice"}, "allowed",
    ),
    "a role has no user's name": (
        {"Resource": f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:${{aws:username}}*"},
        ROLE, {}, "implicit-deny",
    ),
    "a default": (
        {"Resource": f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:${{aws:username, 'app-dev'}}-*"},
        ROLE, {}, "allowed",
    ),
    "an earlier version has no variables": (
        {"Version": "2008-10-17", "Resource": "*", "Condition": {"StringEquals": {
            "aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}},
        ROLE, {"team": "tickets"}, "implicit-deny",
    ),
}  # fmt: skip
"""Sources: ABAC and VARIABLES; the last one AWS, "IAM JSON policy elements: Version"."""


def _context(principal: str, tags: dict[str, str]) -> dict[str, str | None]:
    name = principal.rpartition("/")[2] if ":user/" in principal else None
    return {"aws:username": name} | resource_tags(tags, "secretsmanager")


def _decided(statement: dict[str, Any], principal: str, tags: dict[str, str], effect: str = "Allow") -> Any:
    version = statement.get("Version", "2012-10-17")
    rest = {key: value for key, value in statement.items() if key != "Version"}
    given = parse({"Version": version, "Statement": {"Effect": effect, "Action": READ, **rest}}, source="policy")
    everything = parse({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}, source="all")
    identity = given if effect == "Allow" else (*everything, *given)
    return decide(Request(READ, SECRET, principal, _context(principal, tags)), identity=identity)


@pytest.mark.parametrize("case", CASES)
def test_a_variable_that_is_unknown_makes_it_depend(case: str) -> None:
    statement, principal, tags, expected = CASES[case]
    assert _decided(statement, principal, tags).outcome == expected


@pytest.mark.parametrize("case", CASES)
def test_in_a_deny_it_never_takes_a_right_away_for_certain(case: str) -> None:
    statement, principal, tags, expected = CASES[case]
    turned = {"conditional": "conditional", "allowed": "explicit-deny", "implicit-deny": "allowed"}
    assert _decided(statement, principal, tags, "Deny").outcome == turned[expected]


def test_what_it_depends_on_is_named() -> None:
    statement, principal, tags, _ = CASES["in the resource"]
    assert _decided(statement, principal, tags).conditions == (
        f"the resource is arn:aws:secretsmanager:*:{ACCOUNT}:secret:${{aws:PrincipalTag/project}}-*",
    )


def test_a_negated_resource_with_a_variable_depends_on_it_too() -> None:
    decided = _decided({"Resource": None, "NotResource": f"{SECRET[:-6]}${{aws:PrincipalTag/x}}"}, ROLE, {})
    assert decided.outcome == "conditional"
    assert decided.conditions[0].startswith("the resource is not ")


def test_ignoring_case_counts_for_what_a_variable_stands_for() -> None:
    condition = {"StringEqualsIgnoreCase": {"aws:ResourceTag/owner": "${aws:username}"}}
    assert _decided({"Resource": "*", "Condition": condition}, USER, {"owner": "ALICE"}).outcome == "allowed"
