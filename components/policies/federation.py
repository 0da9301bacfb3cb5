"""Whom a role of the pipeline trusts: tokens of one repository, by OpenID Connect."""

import re
from collections.abc import Sequence

from components.policies.identity import PolicyError, Statement, document

_EXAMPLE = "repo:example/tickets:environment:prod"


def federated_trust(
    provider_arn: str, *, audience: str, subjects: Sequence[str], principals: Sequence[str] = (), patterns: bool = False
) -> str:
    """Return the trust policy of a role that a pipeline assumes by OpenID Connect.

    Args:
        provider_arn: ARN of the account's identity provider; it ends in the issuer, without `https://`.
        audience: The token's `aud`, `sts.amazonaws.com` for AWS's own action.
        subjects: The tokens' `sub`, such as `repo:example/tickets:environment:prod`.
        principals: ARNs of roles or users that may assume it as well.
        patterns: Whether `*` in a subject, behind the repository's name, stands for any characters: for the previewer, whose
            branches have any name. Never for the deployer: a pull request would have a fitting subject as well.

    Raises:
        PolicyError: Without subject, or with one that any repository of the issuer could have.

    Sources: GitHub, "OpenID Connect reference", example subject claims; GitLab, "OpenID Connect (OIDC) Authentication Using ID
    Tokens", `sub`; AWS, "Create a role for OpenID Connect federation".
    """
    _, found, issuer = provider_arn.partition(":oidc-provider/")
    if not found or not issuer:
        raise PolicyError(f"{provider_arn!r} is no OpenID Connect provider's ARN")
    if not audience or "*" in audience:
        raise PolicyError(f"the audience of {issuer} is {audience!r}: name one, such as sts.amazonaws.com")
    if not subjects:
        raise PolicyError(f"{issuer} has no subjects: any repository there could assume the role")
    for subject in subjects:
        if ("*" in subject or "?" in subject) and not patterns:
            raise PolicyError(f"{subject!r} is a pattern: whoever deploys is named exactly, such as {_EXAMPLE}")
        if not re.fullmatch(r"[a-z_]+:[^*?/:]+/[^*?:]+:.+", subject):
            raise PolicyError(
                f"{subject!r} is a subject that other repositories have, too: begin with the whole name of one repository, "
                f"such as {_EXAMPLE}"
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
        wrong = [
            arn for arn in principals if not re.fullmatch(r"arn:[a-z-]+:iam::\d{12}:(role|user)/[\w+=,.@/-]+", arn)
        ]
        if wrong:
            raise PolicyError(f"{wrong[0]!r} is not the ARN of a role or user")
        named = {"AWS": sorted(principals)}
        statements.append({"Sid": "ByPeople", "Effect": "Allow", "Principal": named, "Action": "sts:AssumeRole"})
    return document(statements)
