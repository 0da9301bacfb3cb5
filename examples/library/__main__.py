"""A program that has the components beside it, and a task definition of its own with two containers."""

import pulumi
import pulumi_aws as aws

from components.app_secrets import Secrets
from components.execution_role import ExecutionRole

user = Secrets("secrets", {"secrets": {"db": {"json": {"username": {"constant": "orders"}, "password": {}}}}})
secret = user.secrets["db"]
role = ExecutionRole("orders", {"reads": [secret]})
common = {"image": "public.ecr.aws/docker/library/nginx:1.29", "memory": 128, "essential": True}
password = {"name": "DB_PASSWORD", "valueFrom": secret.value_from("password")}
aws.ecs.TaskDefinition(
    "orders",
    family="orders",
    execution_role_arn=role.arn,
    container_definitions=pulumi.Output.json_dumps(
        [{"name": "web", "secrets": [password], **common}, {"name": "proxy", **common}]
    ),
)
pulumi.export("secretArn", secret.arn)
