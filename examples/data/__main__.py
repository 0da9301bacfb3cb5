"""The database and the cache of the ticketing system, with passwords that nobody reads: they come from the secrets' stack.

Each password is handed over once, when the server is created. From then on `ops rotate` and the rotation function change it at
both sides, so this program ignores it. README.md has the order of the stacks and what is in which state.
"""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

config = pulumi.Config()
FROM_SECRET, MANAGED_BY_RDS = "from-secret", "managed-by-rds"
POSTGRESQL, REDIS = 5432, 6379


def required(key: str, value: str | list[str] | None, example: str) -> None:
    """Stop with a clear message when a key that has no usable default is not set."""
    if not value:
        raise pulumi.RunError(f"{key} is required: pulumi config set {example}")


secrets_stack, vpc_id = config.get("secretsStack"), config.get("vpcId")
subnet_ids: list[str] = config.get_object("subnetIds") or []
client_group_ids: list[str] = config.get_object("clientSecurityGroupIds") or []
required("secretsStack", secrets_stack, "secretsStack organization/service-ticket-system/STACK")
required("vpcId", vpc_id, "vpcId vpc-...")
required("subnetIds", subnet_ids, "--path 'subnetIds[0]' subnet-...")
required("clientSecurityGroupIds", client_group_ids, "--path 'clientSecurityGroupIds[0]' sg-...")
master_password = config.get("masterPassword") or FROM_SECRET
if master_password not in {FROM_SECRET, MANAGED_BY_RDS}:
    raise pulumi.RunError(f"masterPassword is {master_password!r}: {FROM_SECRET} or {MANAGED_BY_RDS}")
protect = config.get_bool("protect") is not False
instances, cache_nodes = config.get_int("instances") or 1, config.get_int("cacheNodes") or 1

secrets = pulumi.StackReference(str(secrets_stack))


def output(name: str) -> pulumi.Output[Any]:
    """Return an output of the secrets' stack; a stack that has none yet is an error that says what to do."""

    def check(value: Any) -> Any:
        if value is None:
            raise pulumi.RunError(f"{secrets_stack} has no output {name!r}: run `pulumi up` of that stack first")
        return value

    return secrets.get_output(name).apply(check)


def value_of(secret: str) -> pulumi.Output[str]:
    """Return a secret's current value, as whoever runs this reads it; the state encrypts it."""
    arn = output("secret_arns").apply(lambda arns: arns[secret])
    found = aws.secretsmanager.get_secret_version_output(secret_id=arn, version_stage="AWSCURRENT")
    return pulumi.Output.secret(found.secret_string)


def server_group(name: str, port: int) -> aws.ec2.SecurityGroup:
    """Create a security group that lets the clients in at one port, and nothing out."""
    group = aws.ec2.SecurityGroup(name, description=f"Clients of the ticketing system's {name}", vpc_id=vpc_id)
    for number, client in enumerate(client_group_ids):
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-{number}",
            security_group_id=group.id,
            referenced_security_group_id=client,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
        )
    return group


environment = output("environment")

database_subnets = aws.rds.SubnetGroup("database", subnet_ids=subnet_ids)
database_group = server_group("database", POSTGRESQL)
database = aws.rds.Cluster(
    "database",
    cluster_identifier=environment.apply(lambda stack: f"ticketing-{stack}"),
    engine="aurora-postgresql",
    database_name=config.get("databaseName") or "ticketing",
    master_username="postgres",
    master_password=value_of("db-master-password") if master_password == FROM_SECRET else None,
    manage_master_user_password=True if master_password == MANAGED_BY_RDS else None,
    db_subnet_group_name=database_subnets.name,
    vpc_security_group_ids=[database_group.id],
    storage_encrypted=True,
    backup_retention_period=7,
    deletion_protection=protect,
    skip_final_snapshot=not protect,
    final_snapshot_identifier=environment.apply(lambda stack: f"ticketing-{stack}-last") if protect else None,
    # Handed over once: what `ops rotate` sets later is not undone here.
    opts=pulumi.ResourceOptions(
        protect=protect, ignore_changes=["masterPassword"] if master_password == FROM_SECRET else None
    ),
)
for number in range(instances):
    aws.rds.ClusterInstance(
        f"database-{number}",
        identifier=environment.apply(lambda stack, number=number: f"ticketing-{stack}-{number}"),
        cluster_identifier=database.id,
        engine=aws.rds.EngineType.AURORA_POSTGRESQL,
        instance_class=config.get("instanceClass") or "db.t4g.medium",
    )

cache_subnets = aws.elasticache.SubnetGroup("cache", subnet_ids=subnet_ids)
cache_group = server_group("cache", REDIS)
cache = aws.elasticache.ReplicationGroup(
    "cache",
    replication_group_id=environment.apply(lambda stack: f"ticketing-{stack}"),
    description="Sessions and queues of the ticketing system",
    engine="redis",
    node_type=config.get("nodeType") or "cache.t4g.micro",
    num_cache_clusters=cache_nodes,
    automatic_failover_enabled=cache_nodes > 1,
    multi_az_enabled=cache_nodes > 1,
    transit_encryption_enabled=True,
    at_rest_encryption_enabled=True,
    auth_token=value_of("app-config").apply(lambda text: json.loads(text)["REDIS_PASSWORD"]),
    auth_token_update_strategy="ROTATE",  # noqa: S106 - a word of AWS, not a token
    subnet_group_name=cache_subnets.name,
    security_group_ids=[cache_group.id],
    opts=pulumi.ResourceOptions(protect=protect, ignore_changes=["authToken", "authTokenUpdateStrategy"]),
)

pulumi.export("database_host", database.endpoint)
pulumi.export("redis_host", cache.primary_endpoint_address)
pulumi.export("database_security_group_id", database_group.id)
pulumi.export("cache_security_group_id", cache_group.id)
if master_password == MANAGED_BY_RDS:
    # A preview of the change to it does not know the secret yet.
    pulumi.export("master_secret_arn", database.master_user_secrets.apply(lambda f: f[0].secret_arn if f else None))
