"""The stand-in of pulumi-resource-aws: calls AWS's own API on the local AWS.

One file per AWS service, one small class per resource type. The plugin refuses to start without a loopback endpoint.
"""

import dataclasses
import importlib.metadata
import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.providers import _diff
from sandbox.providers._plugin import Plugin
from sandbox.providers._resource import Function, ProviderError, Resource
from sandbox.providers._values import UNKNOWN, Properties, Secret, has_secret, has_unknown, plain
from sandbox.providers.aws import (
    _data,
    _session,
    cloudtrail,
    cloudwatch,
    ec2,
    ecs,
    elasticache,
    events,
    iam,
    kms,
    lambda_,
    logs,
    rds,
    s3,
    secretsmanager,
    sfn,
    sns,
)
from sandbox.providers.aws._base import AwsResource
from sandbox.providers.aws._session import Aws, Connection

_SERVICES = (
    cloudtrail, cloudwatch, ec2, ecs, elasticache, events, iam, kms, lambda_, logs, rds, s3, secretsmanager, sfn, sns,
)  # fmt: skip

__all__ = ["AwsPlugin"]


class AwsPlugin(Plugin):
    """The provider `aws`, configured once in a process (the engine starts one for each provider)."""

    name = "aws"
    resources: Mapping[str, Resource[Any]] = {kind.type_name: kind for module in _SERVICES for kind in module.RESOURCES}
    functions: Mapping[str, Function[Any]] = _data.FUNCTIONS

    def __init__(self, connection: Connection) -> None:
        self.version = importlib.metadata.version("pulumi-aws")
        self._connection = connection
        self._region = ""
        self._account = ""
        self._default_tags: dict[str, str] = {}

    def check_config(self, config: Properties) -> list[tuple[str, str]]:
        """The region is required; the sandbox takes none from the user's environment."""
        if config.get("region"):
            return []
        return [("region", "is required: pulumi config set aws:region us-east-1")]

    def configure(self, config: Properties) -> None:
        """Take region, tags and allowed accounts; asks the local AWS whose credentials these are."""
        settings = {key: _parsed(value) for key, value in config.items()}
        self._region = str(settings["region"])
        self._default_tags = dict((settings.get("defaultTags") or {}).get("tags") or {})
        endpoints = {
            service: _session.require_loopback(url)
            for block in settings.get("endpoints") or []
            for service, url in block.items()
            if url
        }
        if endpoints:
            self._connection = dataclasses.replace(self._connection, service_endpoints=endpoints)
        self._account = self._connection.client("sts", self._region).get_caller_identity()["Account"]
        allowed, forbidden = settings.get("allowedAccountIds") or [], settings.get("forbiddenAccountIds") or []
        if (allowed and self._account not in map(str, allowed)) or self._account in map(str, forbidden):
            raise ProviderError(f"AWS account ID not allowed: {self._account}")

    def session(self, properties: Properties) -> Aws:
        """The resource's own region, else the provider's."""
        return Aws(self._connection, self._account, str(properties.get("region") or self._region))

    def complete(self, resource: Resource[Any], new: Properties) -> list[str]:
        """Fill in the region, and `tagsAll` from the resource's tags and the provider's."""
        assert isinstance(resource, AwsResource)  # noqa: S101 - this plugin has no others
        if resource.tagged:
            new["tagsAll"] = self._all_tags(new.get("tags"))
        if resource.regional and "region" not in new:
            new["region"] = self._region
            return ["region"]
        return []

    def _all_tags(self, tags: Any) -> Any:
        if has_unknown(tags):
            return UNKNOWN
        merged = {**self._default_tags, **(plain(tags) or {})}
        return Secret(merged) if has_secret(tags) else merged

    def imported_as(self, resource: Resource[Any], resource_id: str) -> tuple[str, Properties]:
        """`ID@REGION` imports from another region than the provider's, as in pulumi-aws 7."""
        found = re.fullmatch(r"(.+)@([a-z]{2}(?:-[a-z]+)+-\d)", resource_id)
        if found and "region" in resource.all_inputs():
            return found[1], {"region": found[2]}
        return resource_id, {}

    def settle(self, resource: Resource[Any], session: Aws, live: Properties, old: Properties) -> None:
        """The Region; `tags` are the live ones that the program set itself or that differ from the provider's."""
        if "region" in resource.all_inputs():
            live["region"] = session.region
        if "tagsAll" not in live:
            return
        own = old.get("tags") or {}
        live["tagsAll"] = live["tagsAll"] or {}
        live["tags"] = {
            key: value for key, value in live["tagsAll"].items() if key in own or self._default_tags.get(key) != value
        }

    def explain(self, error: Exception) -> str | None:
        """Our own errors and AWS's."""
        return super().explain(error) or _session.explain(error)

    def is_gone(self, error: Exception) -> bool:
        """AWS says that it doesn't exist."""
        return _session.is_gone(error)


def _parsed(value: Any) -> Any:
    """A setting: lists and objects come as JSON text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return json.loads(value)
    return None if _diff.is_empty(value) else value
