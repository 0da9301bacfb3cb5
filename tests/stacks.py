"""A stack of one secret and one service, as its outputs describe it: for tests that need no AWS."""

from components.location import Location
from components.outputs import Secret, Service
from ops._stack import Stack

ACCOUNT, PREFIX = "111111111111", "service-ticket-system-dev"
HERE = Location("aws", "eu-west-1", ACCOUNT)
SECRET = HERE.arn("secretsmanager", f"secret:{PREFIX}-jwt-secret-AbCdEf")
KEY, TOPIC = HERE.arn("kms", "key/1"), HERE.arn("sns", f"{PREFIX}-alarms")
EXECUTION = HERE.role_arn(f"{PREFIX}-app-execution")

STACK = Stack(
    environment="dev",
    secret_arns={"jwt-secret": SECRET},
    secrets={
        "jwt-secret": Secret(
            SECRET, f"{PREFIX}-jwt-secret", "stack", HERE.region, json=False, parts={}, kms_key_arn=KEY
        )
    },
    services={
        "app": Service(
            container_secrets={"JWT": SECRET},
            execution_role_arn=EXECUTION,
            task_role_arn=HERE.role_arn(f"{PREFIX}-app-task"),
            task_definition_arn=HERE.arn("ecs", f"task-definition/{PREFIX}-app:1"),
            task_definition_family=f"{PREFIX}-app",
            log_group_name=f"/ecs/{PREFIX}-app",
        )
    },
    kms_key_arn=KEY,
    alarm_topic_arn=TOPIC,
    monthly_cost_usd=0.4,
)
