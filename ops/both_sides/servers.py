"""Servers that check a value of a secret: found by their host name, changed by AWS's own API.

Sources: Amazon ElastiCache, "Authenticating with the Valkey and Redis OSS AUTH command"; ModifyReplicationGroup; Amazon RDS,
ModifyDBCluster.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops._aws import Aws
from ops._errors import MisuseError, aws_errors
from ops._stack import Stack

_UNCHANGED = "No modifications were requested"


@dataclass(frozen=True)
class State:
    """AWS's state of the server.

    Attributes:
        settled: Whether no change is under way.
        changed: When the value was last changed there, None where AWS does not report it.
    """

    settled: bool
    changed: datetime | None = None


class NoServerError(MisuseError):
    """The server can't be found: no variable holds its host name, or it is not in this account and Region."""


class Server(ABC):
    """A server of one kind.

    Attributes:
        kind: What it is, for people.
        takes_two: Whether it accepts the previous value beside the new one until one is removed.
        wait_command: The AWS CLI's command that waits until no change is under way, without the server's name.
        user: The one user whose password is changed, "" where a password is the server's.
    """

    kind: str
    takes_two: bool
    wait_command: str
    user: str = ""

    def __init__(self, aws: Aws, name: str, user: str = "") -> None:
        self.aws, self.name, self.user = aws, name, user

    @property
    def label(self) -> str:
        """Kind and name, and the user."""
        return f"{self.kind} {self.name}" + (f" (user {self.user})" if self.user else "")

    @abstractmethod
    def state(self) -> State:
        """Return AWS's state of it now."""

    @abstractmethod
    def accept(self, value: str) -> None:
        """Set a value: beside the previous one where it takes two, otherwise instead of it."""

    def accept_only(self, value: str) -> None:
        """Remove the previous value, where it takes two."""
        del value

    def _state(self, found: Mapping[str, Any], pending: str, changed: str = "") -> State:
        """Return the state in AWS's description; `pending` is what AWS lists while the value is being changed."""
        changing = (found.get("PendingModifiedValues") or {}).get(pending)
        return State(found["Status"] == "available" and not changing, found.get(changed))


class ReplicationGroup(Server):
    """An ElastiCache replication group with an AUTH token. ROTATE adds a token beside the one before, SET leaves one."""

    kind, takes_two = "ElastiCache replication group", True
    wait_command = "aws elasticache wait replication-group-available --replication-group-id"

    def state(self) -> State:
        """DescribeReplicationGroups."""
        found = self.aws.client("elasticache").describe_replication_groups(ReplicationGroupId=self.name)
        return self._state(found["ReplicationGroups"][0], "AuthTokenStatus", "AuthTokenLastModifiedDate")

    def accept(self, value: str) -> None:
        """ModifyReplicationGroup, ROTATE."""
        self._modify(value, "ROTATE")

    def accept_only(self, value: str) -> None:
        """ModifyReplicationGroup, SET; AWS allows it only after ROTATE."""
        self._modify(value, "SET")

    def _modify(self, token: str, strategy: str) -> None:
        try:
            self.aws.client("elasticache").modify_replication_group(
                ReplicationGroupId=self.name, AuthToken=token, AuthTokenUpdateStrategy=strategy, ApplyImmediately=True
            )
        except aws_errors() as error:
            if _UNCHANGED not in str(error):
                raise


class Cluster(Server):
    """An Aurora cluster: its master user has one password."""

    kind, takes_two = "Aurora cluster", False
    wait_command = "aws rds wait db-cluster-available --db-cluster-identifier"

    def state(self) -> State:
        """DescribeDBClusters."""
        found = self.aws.client("rds").describe_db_clusters(DBClusterIdentifier=self.name)
        return self._state(found["DBClusters"][0], "MasterUserPassword")

    def accept(self, value: str) -> None:
        """ModifyDBCluster; the same password again changes nothing."""
        self.aws.client("rds").modify_db_cluster(
            DBClusterIdentifier=self.name, MasterUserPassword=value, ApplyImmediately=True
        )


def of_host(aws: Aws, stack: Stack, variable: str) -> Server:
    """Return the server whose host name a plain variable of the stack's task definitions holds.

    Raises:
        NoServerError: When there is none.
        MisuseError: When it does not check this value.
    """
    for service in stack.services.values():
        found = aws.client("ecs").describe_task_definition(taskDefinition=service.task_definition_arn)
        for container in found["taskDefinition"]["containerDefinitions"]:
            for plain in container.get("environment") or ():
                if plain["name"] == variable:
                    host = str(plain["value"])
                    return _replication_group(aws, host) if ".cache." in host else _cluster(aws, host)
    raise NoServerError(
        f"no task definition of {stack.environment} has the plain variable {variable}: run `pulumi up` first"
    )


def _replication_group(aws: Aws, host: str) -> ReplicationGroup:
    for group in aws.pages("elasticache", "describe_replication_groups", "ReplicationGroups"):
        if host in _endpoints(group):
            label = f"ElastiCache replication group {group['ReplicationGroupId']}"
            if group.get("UserGroupIds"):
                raise NoServerError(
                    f"{label} checks the passwords of the users in its user groups (RBAC), no AUTH token"
                )
            if not group.get("AuthTokenEnabled"):
                raise MisuseError(f"{label} has no AUTH token: it accepts every password")
            return ReplicationGroup(aws, group["ReplicationGroupId"])
    raise NoServerError(f"no ElastiCache replication group of this account and Region has the endpoint {host}")


def _endpoints(group: Mapping[str, Any]) -> Iterator[str]:
    yield (group.get("ConfigurationEndpoint") or {}).get("Address", "")
    for node in group.get("NodeGroups") or ():
        yield from ((node.get(kind) or {}).get("Address", "") for kind in ("PrimaryEndpoint", "ReaderEndpoint"))


def _cluster(aws: Aws, host: str) -> Cluster:
    for cluster in aws.pages("rds", "describe_db_clusters", "DBClusters"):
        name = cluster["DBClusterIdentifier"]
        if host in {cluster.get("Endpoint"), cluster.get("ReaderEndpoint"), *(cluster.get("CustomEndpoints") or ())}:
            if secret := (cluster.get("MasterUserSecret") or {}).get("SecretArn"):
                raise MisuseError(f"Amazon RDS manages the master user's password of {name} itself, in {secret}")
            return Cluster(aws, name, str(cluster.get("MasterUsername") or ""))
    raise NoServerError(f"no Aurora cluster of this account and Region has the endpoint {host}")
