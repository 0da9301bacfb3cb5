"""Amazon RDS: Aurora clusters, their instances and subnet groups.

Source: terraform-provider-aws 6.x, internal/service/rds/cluster.go and cluster_instance.go.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.providers._diff import same_set
from sandbox.providers._resource import Inputs, Prop, ProviderError, between, given, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws import _subnets
from sandbox.providers.aws._base import AwsResource, by_prefix, is_arn, tag_list, tag_map
from sandbox.providers.aws._session import Aws
from sandbox.providers.aws._subnets import retag_at, subnet_group_inputs

_IDENTIFIER: Final = matches(r"[a-z](-?[0-9a-z])*", 1, 63)
_ENGINES: Final = ("aurora-mysql", "aurora-postgresql", "mysql", "postgres")


def _identifier(new: Mapping[str, Any], key: str) -> str:
    """The name that the program gives, or one from its prefix, which is `tf-` where it gives none."""
    return by_prefix({f"{key}Prefix": "tf-", **new}, key)


class SubnetGroup(_subnets.SubnetGroup):
    """The subnets in which instances of a cluster may be."""

    type_name = "aws:rds/subnetGroup:SubnetGroup"
    title = "RDS DB Subnet Group"
    service, kind = "rds", "DB"
    inputs: ClassVar[Inputs] = subnet_group_inputs(r"[0-9a-z_. -]+")
    computed = ("arn",)


_CLUSTER_SENT: Final = {
    "backupRetentionPeriod": "BackupRetentionPeriod",
    "copyTagsToSnapshot": "CopyTagsToSnapshot",
    "deletionProtection": "DeletionProtection",
    "engineVersion": "EngineVersion",
    "masterPassword": "MasterUserPassword",
    "manageMasterUserPassword": "ManageMasterUserPassword",
    "port": "Port",
    "vpcSecurityGroupIds": "VpcSecurityGroupIds",
}
"""Inputs that CreateDBCluster and ModifyDBCluster both take."""

_CLUSTER_CREATED: Final = {
    "databaseName": "DatabaseName",
    "dbSubnetGroupName": "DBSubnetGroupName",
    "engine": "Engine",
    "kmsKeyId": "KmsKeyId",
    "masterUsername": "MasterUsername",
    "storageEncrypted": "StorageEncrypted",
}


class Cluster(AwsResource):
    """An Aurora cluster. Its master password is sent and never read back, so a change outside Pulumi is not a difference."""

    type_name = "aws:rds/cluster:Cluster"
    title = "RDS Cluster"
    tagged = True
    inputs: ClassVar[Inputs] = {
        "applyImmediately": Prop(bool, unread=True),
        "backupRetentionPeriod": Prop(int, computed=True, check=between(0, 35)),
        "clusterIdentifier": Prop(str, computed=True, force_new=True, check=_IDENTIFIER),
        "copyTagsToSnapshot": Prop(bool, default=False),
        "databaseName": Prop(str, computed=True, force_new=True),
        "dbSubnetGroupName": Prop(str, computed=True, force_new=True),
        "deletionProtection": Prop(bool),
        "engine": Prop(str, required=True, force_new=True, check=one_of(*_ENGINES)),
        "engineVersion": Prop(str, computed=True),
        "finalSnapshotIdentifier": Prop(str, unread=True, check=matches(r"[0-9A-Za-z](-?[0-9A-Za-z])*", 1, 255)),
        "kmsKeyId": Prop(str, computed=True, force_new=True, check=is_arn),
        "manageMasterUserPassword": Prop(bool, unread=True),
        "masterPassword": Prop(str, unread=True),
        "masterUsername": Prop(str, computed=True, force_new=True),
        "port": Prop(int, computed=True),
        "skipFinalSnapshot": Prop(bool, default=False, unread=True),
        "storageEncrypted": Prop(bool, computed=True, force_new=True),
        "vpcSecurityGroupIds": Prop(list, computed=True, same=same_set),
    }
    computed = ("arn", "clusterResourceId", "endpoint", "masterUserSecrets", "readerEndpoint")

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The identifier."""
        return resource_id or str(inputs.get("clusterIdentifier", ""))

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """One way to a master password."""
        if "masterPassword" in new and "manageMasterUserPassword" in new:
            yield "masterPassword", "conflicts with manageMasterUserPassword"

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateDBCluster."""
        names = {**_CLUSTER_SENT, **_CLUSTER_CREATED}
        identifier = _identifier(new, "clusterIdentifier")
        aws.client("rds").create_db_cluster(
            DBClusterIdentifier=identifier,
            Tags=tag_list(new["tagsAll"]),
            **given(**{name: new.get(key) for key, name in names.items()}),
        )
        return identifier

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeDBClusters."""
        del state
        client = aws.client("rds")
        found = client.describe_db_clusters(DBClusterIdentifier=resource_id)["DBClusters"][0]
        secret = found.get("MasterUserSecret")
        return {
            "arn": found["DBClusterArn"],
            "backupRetentionPeriod": found.get("BackupRetentionPeriod"),
            "clusterIdentifier": found["DBClusterIdentifier"],
            "clusterResourceId": found.get("DbClusterResourceId"),
            "copyTagsToSnapshot": found.get("CopyTagsToSnapshot", False),
            "databaseName": found.get("DatabaseName"),
            "dbSubnetGroupName": found.get("DBSubnetGroup"),
            "deletionProtection": found.get("DeletionProtection", False),
            "endpoint": found.get("Endpoint"),
            "engine": found["Engine"],
            "engineVersion": found.get("EngineVersion"),
            "kmsKeyId": found.get("KmsKeyId") if str(found.get("KmsKeyId", "")).startswith("arn:") else None,
            "masterUserSecrets": [
                given(
                    kmsKeyId=secret.get("KmsKeyId"), secretArn=secret["SecretArn"], secretStatus=secret["SecretStatus"]
                )
            ]
            if secret
            else [],
            "masterUsername": found.get("MasterUsername"),
            "port": found.get("Port"),
            "readerEndpoint": found.get("ReaderEndpoint"),
            "storageEncrypted": found.get("StorageEncrypted", False),
            "vpcSecurityGroupIds": [group["VpcSecurityGroupId"] for group in found.get("VpcSecurityGroups", [])],
            "tagsAll": tag_map(found.get("TagList")),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """ModifyDBCluster with what changed, tags."""
        sent = {name: new.get(key) for key, name in _CLUSTER_SENT.items() if key in changed}
        if sent:
            aws.client("rds").modify_db_cluster(
                DBClusterIdentifier=resource_id, ApplyImmediately=bool(new.get("applyImmediately")), **given(**sent)
            )
        retag_at(aws.client("rds"), old["arn"], old, new, changed)

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
    tagged = True
    inputs: ClassVar[Inputs] = {
        "applyImmediately": Prop(bool, unread=True),
        "autoMinorVersionUpgrade": Prop(bool, default=True),
        "clusterIdentifier": Prop(str, required=True, force_new=True),
        "engine": Prop(str, required=True, force_new=True, check=one_of(*_ENGINES)),
        "identifier": Prop(str, computed=True, force_new=True, check=_IDENTIFIER),
        "instanceClass": Prop(str, required=True),
        "promotionTier": Prop(int, default=0),
        "publiclyAccessible": Prop(bool, computed=True),
    }
    computed = ("arn", "endpoint")

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The identifier."""
        return resource_id or str(inputs.get("identifier", ""))

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateDBInstance."""
        identifier = _identifier(new, "identifier")
        aws.client("rds").create_db_instance(
            DBInstanceIdentifier=identifier,
            DBClusterIdentifier=new["clusterIdentifier"],
            DBInstanceClass=new["instanceClass"],
            Engine=new["engine"],
            AutoMinorVersionUpgrade=new["autoMinorVersionUpgrade"],
            PromotionTier=new["promotionTier"],
            PubliclyAccessible=bool(new.get("publiclyAccessible")),
            Tags=tag_list(new["tagsAll"]),
        )
        return identifier

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeDBInstances."""
        del state
        client = aws.client("rds")
        found = client.describe_db_instances(DBInstanceIdentifier=resource_id)["DBInstances"][0]
        return {
            "arn": found["DBInstanceArn"],
            "autoMinorVersionUpgrade": found["AutoMinorVersionUpgrade"],
            "clusterIdentifier": found["DBClusterIdentifier"],
            "endpoint": (found.get("Endpoint") or {}).get("Address"),
            "engine": found["Engine"],
            "identifier": found["DBInstanceIdentifier"],
            "instanceClass": found["DBInstanceClass"],
            "promotionTier": found.get("PromotionTier", 0),
            "publiclyAccessible": found.get("PubliclyAccessible", False),
            "tagsAll": tag_map(found.get("TagList")),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """ModifyDBInstance with what changed, tags."""
        names = {
            "autoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
            "instanceClass": "DBInstanceClass",
            "promotionTier": "PromotionTier",
            "publiclyAccessible": "PubliclyAccessible",
        }
        sent = {name: new.get(key) for key, name in names.items() if key in changed}
        if sent:
            aws.client("rds").modify_db_instance(
                DBInstanceIdentifier=resource_id, ApplyImmediately=bool(new.get("applyImmediately")), **given(**sent)
            )
        retag_at(aws.client("rds"), old["arn"], old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteDBInstance; a cluster's has no snapshot of its own."""
        del old
        aws.client("rds").delete_db_instance(DBInstanceIdentifier=resource_id, SkipFinalSnapshot=True)


RESOURCES = (SubnetGroup(), Cluster(), ClusterInstance())
