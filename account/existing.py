"""Refuses to create what exists already, before anything is created, and prints the commands that import it.

Only the engine knows whether it is about to create a resource, and only AWS knows whether the resource exists. A resource hook
therefore asks AWS exactly when the engine is about to create, also in the preview, which `pulumi up` runs first.

Sources: Pulumi, "Resource hooks", "Importing resources", aliases; terraform-provider-aws 6 (2026), internal/service/
s3/bucket_data_source.go, kms/alias_data_source.go, iam/openid_connect_provider_data_source.go, iam/role_data_source.go,
iam/policy_data_source.go and internal/retry: "couldn't find resource" or "empty result" is their error for a resource that
does not exist.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pulumi

from components.hooks import QuestionError, Questions

_ABSENT = re.compile(r"couldn't find resource|empty result|NoSuchEntity", re.IGNORECASE)
_TAKE_OVER = "pulumi import --yes --generate-code=false"


_questions = cache(Questions)


class ExistsError(Exception):
    """A resource that would be created exists already."""


@dataclass(frozen=True)
class Lookup:
    """How to find out whether a resource exists.

    Attributes:
        what: Its description in messages.
        token: The data source, which fails when the resource does not exist.
        arguments: What it is asked for.
        found: The ids of the resources found, by type and name in the program, in the order in which they are imported.
    """

    what: str
    token: str
    arguments: Mapping[str, str]
    found: Callable[[Mapping[str, Any]], Sequence[tuple[str, str, str]]]


_BY_ID = {
    "bucket": ("aws:s3/getBucket:getBucket", "bucket", "aws:s3/bucket:Bucket"),
    "role": ("aws:iam/getRole:getRole", "name", "aws:iam/role:Role"),
    "policy": ("aws:iam/getPolicy:getPolicy", "arn", "aws:iam/policy:Policy"),
}
"""By kind: the data source, its argument, and the type of a resource whose id is known."""


def by_id(kind: str, resource_name: str, id_: str) -> Lookup:
    """Return how to look for a bucket or role by its name, or for a managed policy by its ARN."""
    token, argument, type_ = _BY_ID[kind]
    what = f"the {kind} {id_.rpartition('/')[2]}"
    return Lookup(what, token, {argument: id_}, lambda _: [(type_, resource_name, id_)])


def key(resource_name: str, alias: str) -> Lookup:
    """Return how to look for a key by its alias."""
    return Lookup(
        f"the key {alias}",
        "aws:kms/getAlias:getAlias",
        {"name": alias},
        lambda found: [
            ("aws:kms/key:Key", resource_name, found["targetKeyId"]),
            ("aws:kms/alias:Alias", resource_name, alias),
        ],
    )


def provider(resource_name: str, url: str) -> Lookup:
    """Return how to look for an OpenID Connect provider: an account has one for each issuer, and others may use it."""
    return Lookup(
        f"the identity provider of {url}",
        "aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider",
        {"url": url},
        lambda found: [("aws:iam/openIdConnectProvider:OpenIdConnectProvider", resource_name, found["arn"])],
    )


def refused(name: str, lookup: Lookup) -> pulumi.ResourceHookBinding:
    """Return the hook of a resource that may exist already.

    Args:
        name: The hook's name.
        lookup: How to find out.
    """

    async def check(_: pulumi.ResourceHookArgs) -> None:
        try:
            found = await _questions().ask(lookup.token, lookup.arguments)
        except QuestionError as error:
            if _ABSENT.search(str(error)):
                return
            # Another account's bucket answers with an access error.
            raise ExistsError(
                f"{lookup.what} can't be checked; nothing was created. Either the name belongs to another account, or these "
                f"credentials lack the permission: {error}"
            ) from None
        commands = "\n".join(f"  {_TAKE_OVER} {kind} {name} {id_}" for kind, name, id_ in lookup.found(found))
        raise ExistsError(
            f"{lookup.what} exists already; nothing was created. If it belongs to this stack, import it:\n{commands}"
        )

    return pulumi.ResourceHookBinding(
        before_create=[pulumi.ResourceHook(name, check, pulumi.ResourceHookOptions(on_dry_run=True))]
    )


IMPORTED = [pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]
"""A resource imported with `pulumi import TYPE NAME ID` has no parent; from then on the component is its parent."""
