"""The account's configuration, read once: every problem at once, before anything is registered."""

import re
from dataclasses import dataclass

import pulumi

from account.application import REPOSITORY, Application
from account.roles import Pipeline
from components.location import Location
from components.policies import deployer
from components.policies.deployer import Deployment
from components.policies.federation import federated_trust
from components.policies.identity import PolicyError

MAX_BUCKET_NAME = 63
_LISTS = (
    "deployerSubjects", "previewerSubjects", "reviewerSubjects", "deployerPrincipals", "foreignSecretArns", "applicationActions",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What the program needs.

    Attributes:
        stack: The application's stack that this account is for; its key's ARN stands for one of the same length.
        pipeline: Whom the roles trust.
        boundary: The boundary's document.
    """

    stack: Deployment
    pipeline: Pipeline
    boundary: str


def load(location: Location) -> Settings:
    """Read the configuration of this stack and the files of the application's stack of the same name.

    Args:
        location: Whose credentials these are, and the Region.

    Raises:
        pulumi.RunError: With every problem and the command that fixes each.
    """
    name = pulumi.get_stack()
    try:
        application = Application.read(name)
    except FileNotFoundError:
        raise pulumi.RunError(
            f'stack "{name}" has no application: {REPOSITORY.name} has no Pulumi.{name}.yaml. Add it first, then run this again'
        ) from None
    config = pulumi.Config()
    lists = {key: _texts(config, key) for key in _LISTS}
    issuer = config.get("issuer") or "https://token.actions.githubusercontent.com"
    pipeline = Pipeline(
        issuer=issuer,
        audience=config.get("audience") or "sts.amazonaws.com",
        deployer_subjects=lists["deployerSubjects"],
        previewer_subjects=lists["previewerSubjects"],
        reviewer_subjects=lists["reviewerSubjects"],
        deployer_principals=lists["deployerPrincipals"],
    )
    stack = application.deployment(name, location, lists["foreignSecretArns"])
    problems = [*_wrong_place(stack, application), *_wrong_pipeline(stack, pipeline)]
    boundary = ""
    try:
        boundary = deployer.boundary(stack, application_actions=lists["applicationActions"])
        deployer.managed_policies(deployer.deployer_statements(stack))
    except PolicyError as error:
        problems.append(str(error))
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise pulumi.RunError(f'{len(problems)} problem(s) in account stack "{name}"; nothing was changed:\n{lines}')
    return Settings(stack, pipeline, boundary)


def _texts(config: pulumi.Config, key: str) -> tuple[str, ...]:
    found = config.get_object(key) or []
    if not isinstance(found, list) or not all(isinstance(item, str) and item for item in found):
        raise pulumi.RunError(f"{key} is not a list of texts: pulumi config set --path '{key}[0]' TEXT")
    return tuple(found)


def _wrong_place(stack: Deployment, application: Application) -> list[str]:
    location, name = stack.location, stack.names.stack
    problems: list[str] = []
    if location.account_id not in application.account_ids:
        allowed = ", ".join(application.account_ids) or "none"
        problems.append(
            f"these credentials are of account {location.account_id}, and {application.project}'s stack {name} allows {allowed}: "
            "aws sso login --profile PROFILE && export AWS_PROFILE=PROFILE"
        )
    if location.region != application.region:
        problems.append(
            f"aws:region is {location.region}, and {application.project}'s stack {name} lives in {application.region}: "
            f"pulumi config set aws:region {application.region}"
        )
    if pulumi.get_project() == application.project:
        problems.append(
            "Pulumi.yaml: this project must not have the application's name; the deployer would own its key"
        )
    missing = sorted({"Project", "Environment"} - set(application.tags))
    if missing:
        problems.append(
            f"{application.project}'s stack {name} sets no default tag {' or '.join(missing)}, by which the deployer knows its "
            f"key: pulumi -C .. config set --path aws:defaultTags.tags.{missing[0]} VALUE"
        )
    if len(stack.state_bucket) > MAX_BUCKET_NAME:
        problems.append(f"{stack.state_bucket} is longer than a bucket's name may be, {MAX_BUCKET_NAME} characters")
    return problems


def _wrong_pipeline(stack: Deployment, pipeline: Pipeline) -> list[str]:
    problems: list[str] = []
    if not re.fullmatch(r"https://[a-z0-9.-]+(?::\d+)?(?:/[\w./-]*[\w-])?", pipeline.issuer):
        problems.append(
            f"issuer {pipeline.issuer!r} is no issuer: pulumi config set issuer https://token.actions.githubusercontent.com"
        )
    host = pipeline.issuer.removeprefix("https://")
    provider = f"arn:{stack.location.partition}:iam::{stack.location.account_id}:oidc-provider/{host}"
    for key, subjects, principals, patterns in (
        ("deployerSubjects", pipeline.deployer_subjects, pipeline.deployer_principals, False),
        ("previewerSubjects", pipeline.previewer_subjects, (), True),
        ("reviewerSubjects", pipeline.reviewer_subjects, (), True),
    ):
        try:
            federated_trust(
                provider, audience=pipeline.audience, subjects=subjects, principals=principals, patterns=patterns
            )
        except PolicyError as error:
            problems.append(
                f"{key}: {error}: pulumi config set --path '{key}[0]' repo:OWNER/REPOSITORY:environment:ENVIRONMENT"
            )
    return problems
