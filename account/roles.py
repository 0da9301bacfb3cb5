"""The deployment, preview and review roles, the pipeline's identity provider, and the boundary of the stack's roles."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pulumi
import pulumi_aws as aws

from account import existing
from components.policies.deployer import (
    Deployment,
    deployer_statements,
    managed_policies,
    previewer_statements,
    reviewer_statements,
)
from components.policies.identity import document

SESSION_SECONDS = 3600
"""How long one run of the pipeline keeps its rights: an hour, the shortest maximum that IAM accepts."""


@dataclass(frozen=True)
class Pipeline:
    """The principals that the three roles trust.

    Attributes:
        issuer: With `https://`.
        audience: The tokens' audience.
        trusts: The roles' trust policies: `deployer`, `previewer` and `reviewer`.
    """

    issuer: str
    audience: str
    trusts: Mapping[str, str]


def _new(
    name: str, lookup: existing.Lookup, *, parent: pulumi.Resource, after: pulumi.Resource
) -> pulumi.ResourceOptions:
    """Return the options of resources that might exist already."""
    return pulumi.ResourceOptions(
        parent=parent, depends_on=[after], aliases=existing.IMPORTED, hooks=existing.refused(name, lookup)
    )


class Roles(pulumi.ComponentResource):
    """The identity provider, the deployer, the previewer, the reviewer and the boundary."""

    deployer_arn: pulumi.Output[str]
    previewer_arn: pulumi.Output[str]
    reviewer_arn: pulumi.Output[str]
    boundary_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        stack: Deployment,
        config_key_arn: pulumi.Input[str],
        pipeline: Pipeline,
        boundary: str,
        after: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create them.

        Args:
            name: The component's name.
            stack: The application's stack; its `config_key_arn` has the real key's length, which decides how the policies split.
            config_key_arn: ARN of the key.
            pipeline: Whom the roles trust.
            boundary: The boundary's document.
            after: What must exist first.
            opts: Options of the component.
        """
        super().__init__("account:index:Roles", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, depends_on=[after])
        location = stack.location
        count = len(managed_policies(deployer_statements(stack)))

        provider = aws.iam.OpenIdConnectProvider(
            name,
            url=pipeline.issuer,
            client_id_lists=[pipeline.audience],
            # An account has one provider for each issuer: others may use it with other audiences.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[after],
                aliases=existing.IMPORTED,
                ignore_changes=["clientIdLists", "thumbprintLists"],
                retain_on_delete=True,
                hooks=existing.refused(f"{name}-provider", existing.provider(name, pipeline.issuer)),
            ),
        )

        def policy(part: str, arn: str, text: pulumi.Input[str]) -> aws.iam.Policy:
            resource = f"{name}-{part}"
            opts = _new(resource, existing.by_id("policy", resource, arn), parent=self, after=after)
            return aws.iam.Policy(resource, name=arn.rpartition("/")[2], policy=text, opts=opts)

        def role(part: str, role_name: str) -> aws.iam.Role:
            resource = f"{name}-{part}"
            return aws.iam.Role(
                resource,
                name=role_name,
                assume_role_policy=pipeline.trusts[part],
                max_session_duration=SESSION_SECONDS,
                opts=_new(resource, existing.by_id("role", resource, role_name), parent=self, after=provider),
            )

        limit = policy("boundary", stack.boundary_arn, boundary)

        deploys = role("deployer", stack.deployer)
        previews = role("previewer", stack.previewer)
        reviews = role("reviewer", stack.reviewer)
        known = pulumi.Output.from_input(config_key_arn).apply(lambda arn: replace(stack, config_key_arn=arn))
        texts = known.apply(lambda found: managed_policies(deployer_statements(found)))
        for number in range(count):
            part = f"deployer-{number + 1}"
            # Without a hyphen before the number, no stack's name makes it one of the stack's own policies.
            arn = location.policy_arn(f"{stack.deployer}{number + 1}")
            rights = policy(part, arn, texts.apply(lambda found, at=number: found[at]))
            aws.iam.RolePolicyAttachment(f"{name}-{part}", role=deploys.name, policy_arn=rights.arn, opts=child)
        for part, to, statements in (
            ("previewer", previews, previewer_statements),
            ("reviewer", reviews, reviewer_statements),
        ):
            aws.iam.RolePolicy(
                f"{name}-{part}",
                name=part,
                role=to.name,
                policy=known.apply(lambda found, rights=statements: document(rights(found))),
                opts=child,
            )
        self.deployer_arn, self.previewer_arn, self.reviewer_arn = deploys.arn, previews.arn, reviews.arn
        self.boundary_arn = limit.arn
        self.register_outputs(
            {
                "deployer_arn": self.deployer_arn,
                "previewer_arn": self.previewer_arn,
                "reviewer_arn": self.reviewer_arn,
                "boundary_arn": self.boundary_arn,
            }
        )
