"""The trust policy of a pipeline's role: tokens of one repository, by OpenID Connect."""

import re
from collections.abc import Sequence

from components.location import Location
from components.policies.identity import PolicyError, Statement, document

EXAMPLES = "repo:OWNER@OWNER_ID/REPOSITORY@REPOSITORY_ID:environment:prod, or repo:OWNER/REPOSITORY:environment:prod"
"""GitHub's two forms. Repositories created, renamed or transferred since 2026-07-15 send the first, and others can choose
it."""

FIND_IDS = """gh api repos/OWNER/REPOSITORY --jq '"repo:\\(.owner.login)@\\(.owner.id)/\\(.name)@\\(.id)"'"""
"""Prints the start of a subject in the first form. Source: GitHub REST API, "Get a repository"."""

_REPOSITORY = re.compile(r"[^*?/:@]+(?P<owner>@\d+)?/[^*?:@]+(?P<id>@\d+)?")


def provider_arn(location: Location, issuer: str) -> str:
    """Return the ARN of the account's identity provider of an issuer, which begins with `https://`."""
    host = issuer.removeprefix("https://")
    return f"arn:{location.partition}:iam::{location.account_id}:oidc-provider/{host}"


def federated_trust(
    provider_arn: str,
    *,
    audience: str,
    subjects: Sequence[str],
    principals: Sequence[str] = (),
    patterns: bool = False,
    reviewed: bool = False,
) -> str:
    """Return the trust policy of a role that a pipeline assumes by OpenID Connect.

    Args:
        provider_arn: ARN of the account's identity provider; it ends in the issuer, without `https://`.
        audience: The token's `aud`, `sts.amazonaws.com` for AWS's own action.
        subjects: The tokens' `sub`, such as `repo:example@123/tickets@456:environment:prod`.
        principals: ARNs of roles or users of the same account that can also assume it.
        patterns: Whether `*` in a subject, after the repository's name, stands for any characters: for the previewer,
            because a branch can
            have any name. Never for the deployer: a pull request's subject would also match.
        reviewed: Whether only reviewed code can assume it: no pull request and no pattern.

    Raises:
        PolicyError: Without a subject, or with a subject or principal that is too wide.

    Sources: GitHub, "OpenID Connect reference", example subject claims; GitHub changelog, 2026-04-23, "Immutable subject claims
    for GitHub Actions OIDC tokens"; GitLab, "OpenID Connect (OIDC) Authentication Using ID Tokens", `sub`; AWS, "Create a role
    for OpenID Connect federation".
    """
    _, found, issuer = provider_arn.partition(":oidc-provider/")
    if not found or not issuer:
        raise PolicyError(f"{provider_arn!r} is not the ARN of an OpenID Connect provider")
    if not audience or "*" in audience:
        raise PolicyError(f"the audience of {issuer} is {audience!r}: name one, such as sts.amazonaws.com")
    if not subjects:
        raise PolicyError(f"{issuer} has no subjects: any repository there could assume the role")
    for subject in subjects:
        _require_one_repository(subject, patterns=patterns and not reviewed)
        if (not patterns or reviewed) and _is_pull_request(subject):
            raise PolicyError(
                f"{subject!r} is every pull request: anyone who can open one could run code with this role. "
                "Name an environment or the reviewed branch: repo:…:environment:prod or repo:…:ref:refs/heads/main"
            )
    plain = not any("*" in subject or "?" in subject for subject in subjects)
    operator = "StringEquals" if plain else "StringLike"
    condition: dict[str, dict[str, object]] = {"StringEquals": {f"{issuer}:aud": audience}}
    condition.setdefault(operator, {})[f"{issuer}:sub"] = sorted(subjects)
    statements: list[Statement] = [
        {
            "Sid": "ByPipeline",
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition,
        }
    ]
    if principals:
        _require_own_principals(principals, provider_arn.split(":")[4])
        named = {"AWS": sorted(principals)}
        statements.append({"Sid": "ByPeople", "Effect": "Allow", "Principal": named, "Action": "sts:AssumeRole"})
    return document(statements)


def _require_one_repository(subject: str, *, patterns: bool) -> None:
    if ("*" in subject or "?" in subject) and not patterns:
        raise PolicyError(f"{subject!r} is a pattern: this role takes exact subjects only, such as {EXAMPLES}")
    kind, _, rest = subject.partition(":")
    repository, _, rest = rest.partition(":")
    match = _REPOSITORY.fullmatch(repository) if kind == "repo" else re.fullmatch(r"[^*?:]+/[^*?:]+", repository)
    if not re.fullmatch(r"[a-z_]+", kind) or match is None or not rest:
        raise PolicyError(
            f"{subject!r} is a subject that other repositories also have: begin with the full name of one repository, "
            f"such as {EXAMPLES}"
        )
    if kind == "repo" and bool(match["owner"]) != bool(match["id"]):
        raise PolicyError(f"{subject!r} has one of two ids. This command prints both: {FIND_IDS}")


def _is_pull_request(subject: str) -> bool:
    return subject.endswith(":pull_request") or ":ref:refs/pull/" in subject or "refs/merge-requests/" in subject


def _require_own_principals(principals: Sequence[str], account: str) -> None:
    for arn in principals:
        match = re.fullmatch(r"arn:[a-z-]+:iam::(\d{12}):(role|user)/[\w+=,.@/-]+", arn)
        if match is None:
            raise PolicyError(f"{arn!r} is not the ARN of a role or user")
        if match[1] != account:
            raise PolicyError(
                f"{arn!r} is in another account, which alone decides who can use it. Name a role of account {account}, and let "
                "people assume it there (IAM Identity Center: a permission set of this account)"
            )
