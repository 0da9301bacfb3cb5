"""Runs one service of the ticketing system on Fargate from the outputs of the secrets' stack, without ever seeing a secret.

It reads the outputs `services` and `environment`. Bring the secrets' stack up first, then this one: a new value makes a new
revision there, and `pulumi up` here deploys it. The revision before stays registered, so a deployment whose tasks do not start
is rolled back to it. With `redeploy` the secrets' stack deploys by itself; `pulumi refresh` here then shows the newer revision.
"""

from typing import Any

import pulumi
import pulumi_aws as aws

config = pulumi.Config()


def required(key: str, value: str | list[str] | None, example: str) -> None:
    """Stop with a clear message when a key that has no usable default is not set."""
    if not value:
        raise pulumi.RunError(f"{key} is required: pulumi config set {example}")


secrets_stack = config.get("secretsStack")
subnet_ids: list[str] = config.get_object("subnetIds") or []
security_group_ids: list[str] = config.get_object("securityGroupIds") or []
service_name = config.get("service") or "app"
desired_count = config.get_int("desiredCount")
required("secretsStack", secrets_stack, "secretsStack organization/service-ticket-system/STACK")
required("subnetIds", subnet_ids, "--path 'subnetIds[0]' subnet-...")
required("securityGroupIds", security_group_ids, "--path 'securityGroupIds[0]' sg-...")

secrets = pulumi.StackReference(str(secrets_stack))


def output(name: str) -> pulumi.Output[Any]:
    """Return an output of the secrets' stack; a stack that has none yet is an error that says what to do."""

    def check(value: Any) -> Any:
        if value is None:
            raise pulumi.RunError(f"{secrets_stack} has no output {name!r}: run `pulumi up` of that stack first")
        return value

    return secrets.get_output(name).apply(check)


def of_service(services: dict[str, dict[str, str]]) -> str:
    """Return the task definition of the one service that runs here."""
    if service_name not in services:
        raise pulumi.RunError(f"{secrets_stack} has no service {service_name!r}; it has {', '.join(services)}")
    return services[service_name]["task_definition_arn"]


environment = output("environment")
cluster = aws.ecs.Cluster("cluster", name=environment.apply(lambda stack: f"ticketing-{stack}"))
service = aws.ecs.Service(
    "service",
    name="web",
    cluster=cluster.arn,
    task_definition=output("services").apply(of_service),
    desired_count=2 if desired_count is None else desired_count,
    launch_type="FARGATE",
    # Secrets by JSON key need Fargate platform 1.4.0 or later.
    platform_version="1.4.0",
    network_configuration={
        "subnets": subnet_ids,
        "security_groups": security_group_ids,
        "assign_public_ip": False,
    },
    # New tasks that cannot start, such as for a secret without a value, are rolled back and the old ones keep running.
    deployment_circuit_breaker={"enable": True, "rollback": True},
)
pulumi.export("cluster_name", cluster.name)
pulumi.export("service_name", service.name)
pulumi.export("task_definition_arn", service.task_definition)
