"""AWS limits that several packages need, each with its source."""

from collections.abc import Mapping, Sequence

PULUMI_VERSIONS = ">=3.208.0"
"""The oldest Pulumi CLIs that the components support: hooks need 3.182, `pulumi.Stash` 3.208. Source: Pulumi, CHANGELOG.md."""

MAX_NAME_CHARACTERS = 512
"""Length limit of a secret's name. Source: AWS, Secrets Manager API, CreateSecret."""

MAX_VALUE_BYTES = 65_536
"""Size limit of a secret's value. Source: AWS, "Secrets Manager quotas"."""

NAME_TAKEN_SECONDS, NAME_ASKED_EVERY = 120, 5
"""Seconds that a secret that was deleted without a recovery window may keep its name, and between two questions about it.

AWS deletes it asynchronously, so that CreateSecret is refused for a while; the provider repeats it for as long. Sources: AWS,
Secrets Manager API, DeleteSecret, ForceDeleteWithoutRecovery; terraform-provider-aws 6 (2026), secretsmanager/secret.go, "Retry
for secret recreation after deletion", and consts.go, PropagationTimeout.
"""

LOG_RETENTION_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
"""Source: AWS, CloudWatch Logs API, PutRetentionPolicy."""

FARGATE_MEMORY: Mapping[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
"""Memory in MiB by CPU units. Source: AWS, "Amazon ECS task definition parameters for Fargate", task size."""

MIN_LOG_FILE_DAYS = 365
"""The minimum time that the bucket keeps the trail's files: an incident is often older than a log group."""

HEALTH_CHECK = {"interval": (30, 5, 300), "timeout": (5, 2, 60), "retries": (3, 1, 10), "startPeriod": (0, 0, 300)}
"""Default, lowest and highest number of a container's health check; seconds, and how many checks may fail.

Source: AWS, Amazon ECS API Reference, HealthCheck.
"""

NOT_UPDATED_BY_ECS = ("CODE_DEPLOY", "EXTERNAL")
"""Deployment controllers under which UpdateService changes no task definition and forces no deployment.

Source: AWS, Amazon ECS API Reference, UpdateService.
"""


def why_not_redeployed(cluster: str, service: str) -> str:
    """Return the message for an ECS service that only its deployment controller can deploy."""
    return (
        f"{cluster}/{service} has the deployment controller CODE_DEPLOY or EXTERNAL. "
        "UpdateService cannot start a deployment of such a service, so its tasks keep the values that they started with. "
        "Deploy it with CodeDeploy or a new task set, or remove it from `redeploy.services`."
    )
