"""Amazon ElastiCache: replication groups with an AUTH token, and subnet groups.

Source: terraform-provider-aws 6.x (2026), internal/service/elasticache/replication_group.go.
"""

import re
from collections.abc import Collection, Iterable
from typing import ClassVar, Final

from sandbox.providers._diff import same_set
from sandbox.providers._resource import Inputs, Prop, between, given, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws import _subnets
from sandbox.providers.aws._base import AwsResource, tag_list, tag_map
from sandbox.providers.aws._session import Aws
from sandbox.providers.aws._subnets import store_tagging, subnet_group_inputs


class SubnetGroup(_subnets.SubnetGroup):
    """The subnets in which nodes of a replication group may be."""

    type_name = "aws:elasticache/subnetGroup:SubnetGroup"
    title = "ElastiCache Subnet Group"
    service, kind, tagged = "elasticache", "Cache", store_tagging("elasticache")
    inputs: ClassVar[Inputs] = subnet_group_inputs(r"[0-9a-z-]+")
    computed = ("arn", "vpcId")


def _token(value: str) -> str | None:
    """An AUTH token. The reason does not quote it."""
    good = re.fullmatch(r"[^\s/\"@]{16,128}", value, re.ASCII)
    return None if good else 'must have 16 to 128 characters, none of them a space, /, " or @'


_MODIFIED: Final = frozenset(
    {"automaticFailoverEnabled", "description", "multiAzEnabled", "nodeType", "securityGroupIds"}
)
_IDENTIFIER: Final = matches(r"[a-z](-?[0-9a-z])*", 1, 40)


class ReplicationGroup(AwsResource):
    """A replication group without shards. Its AUTH token is never read back, so a change outside Pulumi is not a difference."""

    type_name = "aws:elasticache/replicationGroup:ReplicationGroup"
    title = "ElastiCache Replication Group"
    tagged = store_tagging("elasticache")
    named_by = "replicationGroupId"
    inputs: ClassVar[Inputs] = {
        "atRestEncryptionEnabled": Prop(bool, aws="AtRestEncryptionEnabled", computed=True, force_new=True),
        "authToken": Prop(str, aws="AuthToken", unread=True, check=_token),
        "authTokenUpdateStrategy": Prop(str, unread=True, check=one_of("SET", "ROTATE", "DELETE")),
        "automaticFailoverEnabled": Prop(bool, aws="AutomaticFailoverEnabled", default=False),
        "description": Prop(str, aws="ReplicationGroupDescription", required=True, check=matches(r".+", 1, 1000)),
        "engine": Prop(str, aws="Engine", computed=True, unread=True, check=one_of("redis", "valkey")),
        "multiAzEnabled": Prop(bool, aws="MultiAZEnabled", default=False),
        "nodeType": Prop(str, aws="CacheNodeType", computed=True),
        "numCacheClusters": Prop(int, aws="NumCacheClusters", computed=True, force_new=True, check=between(1, 6)),
        "replicationGroupId": Prop(str, aws="ReplicationGroupId", required=True, force_new=True, check=_IDENTIFIER),
        "securityGroupIds": Prop(list, aws="SecurityGroupIds", computed=True, same=same_set, unread=True),
        "subnetGroupName": Prop(str, aws="CacheSubnetGroupName", computed=True, force_new=True, unread=True),
        "transitEncryptionEnabled": Prop(bool, aws="TransitEncryptionEnabled", computed=True, force_new=True),
    }
    computed = ("arn", "memberClusters", "primaryEndpointAddress", "readerEndpointAddress")

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """What the official plugin and ElastiCache ask for together."""
        if "authToken" in new and "authTokenUpdateStrategy" not in new:
            yield "authTokenUpdateStrategy", "is required with authToken"
        if "authToken" in new and new.get("transitEncryptionEnabled") is not True:
            yield "authToken", "needs transitEncryptionEnabled"
        if new.get("multiAzEnabled") is True and new.get("automaticFailoverEnabled") is not True:
            yield "multiAzEnabled", "automaticFailoverEnabled must be true if multiAzEnabled is true"
        if new.get("automaticFailoverEnabled") is True and new.get("numCacheClusters") == 1:
            yield "numCacheClusters", "must be at least 2 if automaticFailoverEnabled is true"

    def create(self, aws: Aws, new: Properties) -> str:
        sent = self.sent({"engine": "redis", **new})
        aws.client("elasticache").create_replication_group(**sent, **given(Tags=tag_list(new["tagsAll"]) or None))
        return new["replicationGroupId"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """One that is being deleted is gone."""
        client = aws.client("elasticache")
        found = client.describe_replication_groups(ReplicationGroupId=resource_id)["ReplicationGroups"][0]
        if found["Status"] == "deleting":
            return None
        node, members = found["NodeGroups"][0], found.get("MemberClusters", [])
        return {
            **self.told(found),
            "arn": found["ARN"],
            "automaticFailoverEnabled": found.get("AutomaticFailover") in {"enabled", "enabling"},
            "description": found["Description"],
            "engine": state.get("engine") or "redis",
            "memberClusters": members,
            "multiAzEnabled": found.get("MultiAZ") == "enabled",
            "numCacheClusters": state.get("numCacheClusters") or len(members),
            "primaryEndpointAddress": node["PrimaryEndpoint"]["Address"],
            "readerEndpointAddress": (node.get("ReaderEndpoint") or {}).get("Address"),
            "tagsAll": tag_map(client.list_tags_for_resource(ResourceName=found["ARN"])["TagList"]),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """ModifyReplicationGroup with what changed, once more for the AUTH token."""
        client = aws.client("elasticache")
        if sent := self.sent(new, _MODIFIED & {*changed}):
            client.modify_replication_group(ReplicationGroupId=resource_id, ApplyImmediately=False, **sent)
        if {"authToken", "authTokenUpdateStrategy"} & {*changed}:
            client.modify_replication_group(
                ReplicationGroupId=resource_id,
                ApplyImmediately=True,
                AuthToken=new["authToken"],
                AuthTokenUpdateStrategy=new["authTokenUpdateStrategy"],
            )

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("elasticache").delete_replication_group(ReplicationGroupId=resource_id)


RESOURCES = (SubnetGroup(), ReplicationGroup())
