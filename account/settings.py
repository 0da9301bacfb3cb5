"""The account's configuration, read once. It reports every problem at once, before anything is registered."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pulumi

from account.application import REPOSITORY, Application
from account.roles import Pipeline
from components.location import Location
from components.policies import deployer
from components.policies.deployer import Deployment
from components.policies.federation import EXAMPLES, FIND_IDS, federated_trust, provider_arn
from components.policies.identity import PolicyError
from components.policies.state import state_key_policy

MAX_BUCKET_NAME = 63
_LISTS = (
    "deployerSubjects", "previewerSubjects", "reviewerSubjects", "deployerPrincipals", "foreignSecretArns", "applicationActions",
    "configurationPrincipals",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What the program needs.

    Attributes:
        stack: The application's stack for this account; its key's ARN is a placeholder of the same length.
        pipeline: Whom the roles trust.
        boundary: The boundary's document.
        state_readers: ARNs of those that decrypt the configuration and the state.
    """

    stack: Deployment
    pipeline: Pipeline
    boundary: str
    state_readers: tuple[str, ...]


def load(location: Location, caller_arn: str) -> Settings:
    """Read the configuration of this stack and the files of the application's stack of the same name.

    Args:
        location: Whose credentials these are, and the Region.
        caller_arn: Who runs this.

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
    key_arn = location.arn("kms", application.stack.config_key_arn.rpartition(":")[2])
    stack = replace(
        application.stack, location=location, config_key_arn=key_arn, foreign_arns=lists["foreignSecretArns"]
    )
    readers = (
        *(location.role_arn(role) for role in stack.pipeline_roles),
        *lists["configurationPrincipals"],
        *application.break_glass_roles,
    )
    pipeline, wrong = _pipeline(config, location, lists, reviewed=stack.protected)
    problems = [
        *_wrong_place(stack, application),
        *wrong,
        *_wrong_readers(readers, location, caller_arn, number=len(lists["configurationPrincipals"])),
    ]
    boundary = ""
    try:
        boundary = deployer.boundary(stack, application_actions=lists["applicationActions"])
        deployer.managed_policies(deployer.deployer_statements(stack))
    except PolicyError as error:
        problems.append(str(error))
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise pulumi.RunError(f'{len(problems)} problem(s) in account stack "{name}"; nothing was changed:\n{lines}')
    return Settings(stack, pipeline, boundary, readers)


def _wrong_readers(readers: Sequence[str], location: Location, caller_arn: str, *, number: int) -> list[str]:
    """Return why the key's policy can't be written: a policy without the caller would lock it out of the state."""
    # AWS returns the ARN of a user, a session or root. Emulators return ARNs that no IAM principal has.
    known = re.fullmatch(r"arn:[a-z-]+:(iam::\d{12}:(user/.+|root)|sts::\d{12}:assumed-role/.+)", caller_arn)
    try:
        state_key_policy(readers, location, caller_arn=caller_arn if known else None)
    except PolicyError as error:
        principal = re.sub(r":sts::(\d{12}):assumed-role/([^/]+)/.*", r":iam::\1:role/\2", caller_arn)
        fix = f"pulumi config set --path 'configurationPrincipals[{number}]' {principal}"
        return [f"configurationPrincipals: {error}: {fix} (with the role's path, as `aws iam get-role` prints it)"]
    return []


def _texts(config: pulumi.Config, key: str) -> tuple[str, ...]:
    found = config.get_object(key) or []
    if not isinstance(found, list) or not all(isinstance(item, str) and item for item in found):
        raise pulumi.RunError(f"{key} is not a list of texts: pulumi config set --path '{key}[0]' TEXT")
    return tuple(found)


def _wrong_place(stack: Deployment, application: Application) -> list[str]:
    location, project, name = stack.location, stack.names.project, stack.names.stack
    problems: list[str] = []
    if location.account_id not in application.account_ids:
        allowed = ", ".join(application.account_ids) or "none"
        problems.append(
            f"these credentials are of account {location.account_id}, and {project}'s stack {name} allows {allowed}: "
            "aws sso login --profile PROFILE && export AWS_PROFILE=PROFILE"
        )
    if location.region != application.region:
        problems.append(
            f"aws:region is {location.region}, and {project}'s stack {name} lives in {application.region}: "
            f"pulumi config set aws:region {application.region}"
        )
    if pulumi.get_project() == project:
        problems.append(
            "Pulumi.yaml: this project must not have the application's name; the deployer would own its key"
        )
    missing = sorted({"Project", "Environment"} - set(stack.key_tags))
    if missing:
        problems.append(
            f"{project}'s stack {name} sets no default tag {' or '.join(missing)}, by which the deployer knows its "
            f"key: pulumi -C .. config set --path aws:defaultTags.tags.{missing[0]} VALUE"
        )
    if len(stack.state_bucket) > MAX_BUCKET_NAME:
        problems.append(f"{stack.state_bucket} is too long for a bucket's name, at most {MAX_BUCKET_NAME} characters")
    return problems


def _pipeline(
    config: pulumi.Config, location: Location, lists: Mapping[str, Sequence[str]], *, reviewed: bool
) -> tuple[Pipeline, list[str]]:
    """Return whom the roles trust, and what is wrong with that."""
    issuer = config.get("issuer") or "https://token.actions.githubusercontent.com"
    audience = config.get("audience") or "sts.amazonaws.com"
    problems: list[str] = []
    if not re.fullmatch(r"https://[a-z0-9.-]+(?::\d+)?(?:/[\w./-]*[\w-])?", issuer):
        problems.append(
            f"issuer {issuer!r} is not an issuer: pulumi config set issuer https://token.actions.githubusercontent.com"
        )
    more: Mapping[str, Mapping[str, Any]] = {
        "deployer": {"principals": lists["deployerPrincipals"]},
        "previewer": {"patterns": True, "reviewed": reviewed},
        "reviewer": {},
    }
    trusts: dict[str, str] = {}
    for role, rules in more.items():
        key = f"{role}Subjects"
        try:
            provider = provider_arn(location, issuer)
            trusts[role] = federated_trust(provider, audience=audience, subjects=lists[key], **rules)
        except PolicyError as error:
            problems.append(
                f"{key}: {error}: pulumi config set --path '{key}[0]' SUBJECT. "
                f"GitHub's subjects: {EXAMPLES}. The ids: {FIND_IDS}"
            )
    return Pipeline(issuer, audience, trusts), problems
