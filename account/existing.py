"""Refuses to make what exists already, before anything is made, and names the commands that take it over.

Only the engine knows whether something is about to be created, and only AWS whether it exists. So a resource hook asks exactly
where the engine is about to create, in the preview as well, which `pulumi up` makes first.

Sources: Pulumi, "Resource hooks", "Importing resources", aliases; terraform-provider-aws 6 (2026), internal/service/
s3/bucket_data_source.go, kms/alias_data_source.go, iam/openid_connect_provider_data_source.go, iam/role_data_source.go,
iam/policy_data_source.go and internal/retry: "couldn't find resource" or "empty result" is what they say of something that does
not exist.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws

_ABSENT = re.compile(r"couldn't find resource|empty result|NoSuchEntity", re.IGNORECASE)
_TAKE_OVER = "pulumi import --yes --generate-code=false"


class ExistsError(Exception):
    """Something that would be made exists already."""


@dataclass(frozen=True)
class Lookup:
    """How to find out whether something exists.

    Attributes:
        what: In words.
        ask: Asks AWS; fails when it does not exist.
        found: The id of what was found, by type and name in the program, in the order in which they are taken over.
    """

    what: str
    ask: Callable[[], Any]
    found: Callable[[Any], Sequence[tuple[str, str, str]]]


def bucket(resource_name: str, name: str) -> Lookup:
    """Return how to look for a bucket."""
    ask = partial(aws.s3.get_bucket, bucket=name)
    return _by_id(f"the bucket {name}", ask, "aws:s3/bucket:Bucket", resource_name, name)


def key(resource_name: str, alias: str) -> Lookup:
    """Return how to look for a key by its alias."""
    return Lookup(
        f"the key {alias}",
        lambda: aws.kms.get_alias(name=alias),
        lambda found: [
            ("aws:kms/key:Key", resource_name, found.target_key_id),
            ("aws:kms/alias:Alias", resource_name, alias),
        ],
    )


def provider(resource_name: str, url: str) -> Lookup:
    """Return how to look for an OpenID Connect provider: an account has one for each issuer, and others may use it."""
    return Lookup(
        f"the identity provider of {url}",
        lambda: aws.iam.get_open_id_connect_provider(url=url),
        lambda found: [("aws:iam/openIdConnectProvider:OpenIdConnectProvider", resource_name, found.arn)],
    )


def role(resource_name: str, name: str) -> Lookup:
    """Return how to look for a role."""
    ask = partial(aws.iam.get_role, name=name)
    return _by_id(f"the role {name}", ask, "aws:iam/role:Role", resource_name, name)


def policy(resource_name: str, arn: str) -> Lookup:
    """Return how to look for a managed policy."""
    ask = partial(aws.iam.get_policy, arn=arn)
    return _by_id(f"the policy {arn.rpartition('/')[2]}", ask, "aws:iam/policy:Policy", resource_name, arn)


def _by_id(what: str, ask: Callable[[], Any], kind: str, resource_name: str, id_: str) -> Lookup:
    """Return how to look for what is one resource, whose id is known."""
    return Lookup(what, ask, lambda _: [(kind, resource_name, id_)])


def refused(name: str, lookup: Lookup) -> pulumi.ResourceHookBinding:
    """Return the hook of a resource that may exist already.

    Args:
        name: The hook's name.
        lookup: How to find out.
    """

    def check(_: pulumi.ResourceHookArgs) -> None:
        try:
            found = lookup.ask()
        except Exception as error:  # noqa: BLE001 - an invoke fails with nothing more precise
            if _ABSENT.search(str(error)):
                return
            # Somebody else's bucket answers that we may not look.
            raise ExistsError(
                f"{lookup.what} can't be looked at; nothing was made. Either the name is somebody else's, or these "
                f"credentials may not look: {error}"
            ) from None
        commands = "\n".join(f"  {_TAKE_OVER} {kind} {name} {id_}" for kind, name, id_ in lookup.found(found))
        raise ExistsError(
            f"{lookup.what} exists already; nothing was made. If it is this stack's, take it over:\n{commands}"
        )

    return pulumi.ResourceHookBinding(
        before_create=[pulumi.ResourceHook(name, check, pulumi.ResourceHookOptions(on_dry_run=True))]
    )


IMPORTED = [pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]
"""What `pulumi import TYPE NAME ID` took over has no parent; the component is the same resource's parent from then on."""
