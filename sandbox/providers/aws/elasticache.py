"""Amazon ElastiCache: replication groups with an AUTH token, and subnet groups.

Source: terraform-provider-aws 6.x (2026), internal/service/elasticache/replication_group.go.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.providers._diff import same_set
from sandbox.providers._resource import Inputs, Prop, between, given, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws import _subnets
from sandbox.providers.aws._base import AwsResource, is_arn, tag_list, tag_map
from sandbox.providers.aws._session import Aws
from sandbox.providers.aws._subnets import retag_at, subnet_group_inputs


class SubnetGroup(_subnets.SubnetGroup):
    """The subnets in which nodes of a replication group may be."""

    type_name = "aws:elasticache/subnetGroup:SubnetGroup"
    title = "ElastiCache Subnet Group"
    service, kind = "elasticache", "Cache"
    inputs: ClassVar[Inputs] = subnet_group_inputs(r"[0-9a-z-]+")
    computed = ("arn", "vpcId")


def _token(value: str) -> str | None:
    """An AUTH token. The reason does not quote it."""
    good = re.fullmatch(r"[^\s/\"@]{16,128}", value, re.ASCII)
    return None if good else 'must have 16 to 128 characters, none of them a space, /, " or @'


_CREATED: Final = {
    "atRestEncryptionEnabled": "AtRestEncryptionEnabled",
    "authToken": "AuthToken",
    "automaticFailoverEnabled": "AutomaticFailoverEnabled",
    "description": "ReplicationGroupDescription",
    "engineVersion": "EngineVersion",
    "kmsKeyId": "KmsKeyId",
    "multiAzEnabled": "MultiAZEnabled",
    "nodeType": "CacheNodeType",
    "numCacheClusters": "NumCacheClusters",
    "port": "Port",
    "securityGroupIds": "SecurityGroupIds",
    "snapshotRetentionLimit": "SnapshotRetentionLimit",
    "subnetGroupName": "CacheSubnetGroupName",
    "transitEncryptionEnabled": "TransitEncryptionEnabled",
}
_MODIFIED: Final = (
    "automaticFailoverEnabled", "description", "multiAzEnabled", "nodeType", "securityGroupIds", "snapshotRetentionLimit",
)  # fmt: skip


class ReplicationGroup(AwsResource):
    """A replication group without shards. Its AUTH token is never read back, so a change outside Pulumi is not a difference."""

    type_name = "aws:elasticache/replicationGroup:ReplicationGroup"
    title = "ElastiCache Replication Group"
    tagged = True
    inputs: ClassVar[Inputs] = {
        "applyImmediately": Prop(bool, unread=True),
        "atRestEncryptionEnabled": Prop(bool, computed=True, force_new=True),
        "authToken": Prop(str, unread=True, check=_token),
        "authTokenUpdateStrategy": Prop(str, unread=True, check=one_of("SET", "ROTATE", "DELETE")),
        "automaticFailoverEnabled": Prop(bool, default=False),
        "description": Prop(str, required=True, check=matches(r".+", 1, 1000)),
        "engine": Prop(str, computed=True, unread=True, check=one_of("redis", "valkey")),
        "engineVersion": Prop(str, computed=True, unread=True),
        "kmsKeyId": Prop(str, force_new=True, check=is_arn),
        "multiAzEnabled": Prop(bool, default=False),
        "nodeType": Prop(str, computed=True),
        "numCacheClusters": Prop(int, computed=True, force_new=True, check=between(1, 6)),
        "port": Prop(int, force_new=True, computed=True),
        "replicationGroupId": Prop(str, required=True, force_new=True, check=matches(r"[a-z](-?[0-9a-z])*", 1, 40)),
        "securityGroupIds": Prop(list, computed=True, same=same_set, unread=True),
        "snapshotRetentionLimit": Prop(int, check=between(0, 35)),
        "subnetGroupName": Prop(str, computed=True, force_new=True, unread=True),
        "transitEncryptionEnabled": Prop(bool, computed=True, force_new=True),
    }
    computed = ("arn", "memberClusters", "primaryEndpointAddress", "readerEndpointAddress")

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The id."""
        return resource_id or str(inputs.get("replicationGroupId", ""))

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
        """CreateReplicationGroup."""
        aws.client("elasticache").create_replication_group(
            ReplicationGroupId=new["replicationGroupId"],
            Engine=new.get("engine") or "redis",
            **given(Tags=tag_list(new["tagsAll"]) or None, **{name: new.get(key) for key, name in _CREATED.items()}),
        )
        return new["replicationGroupId"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeReplicationGroups, ListTagsForResource; one that is being deleted is gone."""
        client = aws.client("elasticache")
        found = client.describe_replication_groups(ReplicationGroupId=resource_id)["ReplicationGroups"][0]
        if found["Status"] == "deleting":
            return None
        node = found["NodeGroups"][0]
        return {
            "arn": found["ARN"],
            "atRestEncryptionEnabled": found.get("AtRestEncryptionEnabled", False),
            "automaticFailoverEnabled": found.get("AutomaticFailover") in {"enabled", "enabling"},
            "description": found["Description"],
            "engine": state.get("engine") or "redis",
            "kmsKeyId": found.get("KmsKeyId"),
            "memberClusters": found.get("MemberClusters", []),
            "multiAzEnabled": found.get("MultiAZ") == "enabled",
            "nodeType": found.get("CacheNodeType"),
            "numCacheClusters": state.get("numCacheClusters") or len(found.get("MemberClusters", [])),
            "port": node["PrimaryEndpoint"]["Port"],
            "primaryEndpointAddress": node["PrimaryEndpoint"]["Address"],
            "readerEndpointAddress": (node.get("ReaderEndpoint") or {}).get("Address"),
            "replicationGroupId": found["ReplicationGroupId"],
            "snapshotRetentionLimit": found.get("SnapshotRetentionLimit", 0),
            "transitEncryptionEnabled": found.get("TransitEncryptionEnabled", False),
            "tagsAll": tag_map(client.list_tags_for_resource(ResourceName=found["ARN"])["TagList"]),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """ModifyReplicationGroup with what changed, once more for the AUTH token, tags."""
        client = aws.client("elasticache")
        sent = {_CREATED[key]: new.get(key) for key in _MODIFIED if key in changed}
        if sent:
            client.modify_replication_group(
                ReplicationGroupId=resource_id,
                ApplyImmediately=bool(new.get("applyImmediately")),
                **given(**sent),
            )
        if {"authToken", "authTokenUpdateStrategy"} & {*changed}:
            client.modify_replication_group(
                ReplicationGroupId=resource_id,
                ApplyImmediately=True,
                AuthToken=new["authToken"],
                AuthTokenUpdateStrategy=new["authTokenUpdateStrategy"],
            )
        retag_at(client, old["arn"], old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteReplicationGroup."""
        del old
        aws.client("elasticache").delete_replication_group(ReplicationGroupId=resource_id)


RESOURCES = (SubnetGroup(), ReplicationGroup())
