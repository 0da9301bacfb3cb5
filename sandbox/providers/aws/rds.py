"""Amazon RDS: Aurora clusters, their instances and subnet groups.

Source: terraform-provider-aws 6.x, internal/service/rds/cluster.go and cluster_instance.go.
"""

from collections.abc import Collection, Iterable
from typing import ClassVar, Final

from sandbox.providers._diff import same_set
from sandbox.providers._resource import Inputs, Prop, ProviderError, between, given, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws import _subnets
from sandbox.providers.aws._base import AwsResource, tag_list, tag_map
from sandbox.providers.aws._session import Aws
from sandbox.providers.aws._subnets import store_tagging, subnet_group_inputs

_IDENTIFIER: Final = matches(r"[a-z](-?[0-9a-z])*", 1, 63)
_SNAPSHOT: Final = matches(r"[0-9A-Za-z](-?[0-9A-Za-z])*", 1, 255)
_ENGINES: Final = ("aurora-mysql", "aurora-postgresql", "mysql", "postgres")


class SubnetGroup(_subnets.SubnetGroup):
    """The subnets in which instances of a cluster may be."""

    type_name = "aws:rds/subnetGroup:SubnetGroup"
    title = "RDS DB Subnet Group"
    service, kind, tagged = "rds", "DB", store_tagging("rds")
    inputs: ClassVar[Inputs] = subnet_group_inputs(r"[0-9a-z_. -]+")
    computed = ("arn",)


_MODIFIED: Final = frozenset(
    {"backupRetentionPeriod", "copyTagsToSnapshot", "deletionProtection", "manageMasterUserPassword", "masterPassword",
     "vpcSecurityGroupIds"}
)  # fmt: skip
"""Inputs that ModifyDBCluster takes, too."""


class Cluster(AwsResource):
    """An Aurora cluster. Its master password is sent and never read back, so a change outside Pulumi is not a difference."""

    type_name = "aws:rds/cluster:Cluster"
    title = "RDS Cluster"
    tagged = store_tagging("rds")
    named_by = "clusterIdentifier"
    inputs: ClassVar[Inputs] = {
        "backupRetentionPeriod": Prop(int, aws="BackupRetentionPeriod", computed=True, check=between(0, 35)),
        "clusterIdentifier": Prop(str, aws="DBClusterIdentifier", required=True, force_new=True, check=_IDENTIFIER),
        "copyTagsToSnapshot": Prop(bool, aws="CopyTagsToSnapshot", default=False),
        "databaseName": Prop(str, aws="DatabaseName", computed=True, force_new=True),
        "dbSubnetGroupName": Prop(str, aws="DBSubnetGroupName", computed=True, force_new=True),
        "deletionProtection": Prop(bool, aws="DeletionProtection"),
        "engine": Prop(str, aws="Engine", required=True, force_new=True, check=one_of(*_ENGINES)),
        "finalSnapshotIdentifier": Prop(str, unread=True, check=_SNAPSHOT),
        "manageMasterUserPassword": Prop(bool, aws="ManageMasterUserPassword", unread=True),
        "masterPassword": Prop(str, aws="MasterUserPassword", unread=True),
        "masterUsername": Prop(str, aws="MasterUsername", computed=True, force_new=True),
        "skipFinalSnapshot": Prop(bool, default=False, unread=True),
        "storageEncrypted": Prop(bool, aws="StorageEncrypted", computed=True, force_new=True),
        "vpcSecurityGroupIds": Prop(list, aws="VpcSecurityGroupIds", computed=True, same=same_set),
    }
    computed = ("arn", "clusterResourceId", "endpoint", "masterUserSecrets", "readerEndpoint")

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        if "masterPassword" in new and "manageMasterUserPassword" in new:
            yield "masterPassword", "conflicts with manageMasterUserPassword"

    def create(self, aws: Aws, new: Properties) -> str:
        aws.client("rds").create_db_cluster(Tags=tag_list(new["tagsAll"]), **self.sent(new))
        return new["clusterIdentifier"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        found = aws.client("rds").describe_db_clusters(DBClusterIdentifier=resource_id)["DBClusters"][0]
        secrets = [found["MasterUserSecret"]] if found.get("MasterUserSecret") else []
        return {
            **self.told(found),
            "arn": found["DBClusterArn"],
            "clusterResourceId": found.get("DbClusterResourceId"),
            "dbSubnetGroupName": found.get("DBSubnetGroup"),
            "endpoint": found.get("Endpoint"),
            "masterUserSecrets": [
                given(kmsKeyId=one.get("KmsKeyId"), secretArn=one["SecretArn"], secretStatus=one["SecretStatus"])
                for one in secrets
            ],
            "readerEndpoint": found.get("ReaderEndpoint"),
            "storageEncrypted": found.get("StorageEncrypted", False),
            "vpcSecurityGroupIds": [group["VpcSecurityGroupId"] for group in found.get("VpcSecurityGroups", [])],
            "tagsAll": tag_map(found.get("TagList")),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        if sent := self.sent(new, _MODIFIED & {*changed}):
            aws.client("rds").modify_db_cluster(DBClusterIdentifier=resource_id, ApplyImmediately=False, **sent)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteDBCluster, with a last snapshot unless the state says otherwise."""
        skip = bool(old.get("skipFinalSnapshot"))
        if not skip and not old.get("finalSnapshotIdentifier"):
            raise ProviderError("RDS Cluster final_snapshot_identifier is required when skip_final_snapshot is false")
        aws.client("rds").delete_db_cluster(
            DBClusterIdentifier=resource_id,
            SkipFinalSnapshot=skip,
            **({} if skip else {"FinalDBSnapshotIdentifier": old["finalSnapshotIdentifier"]}),
        )


class ClusterInstance(AwsResource):
    """An instance of a cluster."""

    type_name = "aws:rds/clusterInstance:ClusterInstance"
    title = "RDS Cluster Instance"
    tagged = store_tagging("rds")
    named_by = "identifier"
    inputs: ClassVar[Inputs] = {
        "autoMinorVersionUpgrade": Prop(bool, aws="AutoMinorVersionUpgrade", default=True),
        "clusterIdentifier": Prop(str, aws="DBClusterIdentifier", required=True, force_new=True),
        "engine": Prop(str, aws="Engine", required=True, force_new=True, check=one_of(*_ENGINES)),
        "identifier": Prop(str, aws="DBInstanceIdentifier", required=True, force_new=True, check=_IDENTIFIER),
        "instanceClass": Prop(str, aws="DBInstanceClass", required=True),
        "promotionTier": Prop(int, aws="PromotionTier", default=0),
    }
    computed = ("arn", "endpoint")

    def create(self, aws: Aws, new: Properties) -> str:
        aws.client("rds").create_db_instance(Tags=tag_list(new["tagsAll"]), **self.sent(new))
        return new["identifier"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        found = aws.client("rds").describe_db_instances(DBInstanceIdentifier=resource_id)["DBInstances"][0]
        return {
            **self.told(found),
            "arn": found["DBInstanceArn"],
            "endpoint": (found.get("Endpoint") or {}).get("Address"),
            "tagsAll": tag_map(found.get("TagList")),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        if sent := self.sent(new, changed):
            aws.client("rds").modify_db_instance(DBInstanceIdentifier=resource_id, ApplyImmediately=False, **sent)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteDBInstance; a cluster's has no snapshot of its own."""
        aws.client("rds").delete_db_instance(DBInstanceIdentifier=resource_id, SkipFinalSnapshot=True)


RESOURCES = (SubnetGroup(), Cluster(), ClusterInstance())
