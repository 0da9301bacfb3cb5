"""The names of the stack's outputs: the contract with other stacks, with `ops`, the sandbox and the tests.

No output ever holds a secret's value, so that a stack that reads them stays free of secrets.
"""

ENVIRONMENT = "environment"
"""str: the stack's name, such as `prod`."""

SECRET_ARNS = "secret_arns"
"""dict[str, str]: a secret's full ARN by its name in the catalogue."""

SECRET_NAMES = "secret_names"
"""dict[str, str]: a secret's full name by its name in the catalogue."""

CONTAINER_SECRETS = "container_secrets"
"""dict[str, str]: the `valueFrom` by container variable."""

EXECUTION_ROLE_ARN = "execution_role_arn"
"""str: the role that ECS assumes to start a task; the only one that reads the secrets for it."""

TASK_ROLE_ARN = "task_role_arn"
"""str: the role that the running application has; it has no permission."""

TASK_DEFINITION_ARN = "task_definition_arn"
"""str: the task definition with its revision."""

TASK_DEFINITION_FAMILY = "task_definition_family"
"""str: the task definition's family."""

LOG_GROUP_NAME = "log_group_name"
"""str: where the container writes its log."""

KMS_KEY_ARN = "kms_key_arn"
"""str or null: the customer-managed key, when `encryption` asks for one."""

ALARM_TOPIC_ARN = "alarm_topic_arn"
"""str or null: where alarms and notices are published, when `audit` is on."""

MONTHLY_COST_USD = "monthly_cost_usd"
"""float: what the stack's fixed parts cost in USD a month; `python -m ops cost` has the items."""

ALL = (
    ENVIRONMENT,
    SECRET_ARNS,
    SECRET_NAMES,
    CONTAINER_SECRETS,
    EXECUTION_ROLE_ARN,
    TASK_ROLE_ARN,
    TASK_DEFINITION_ARN,
    TASK_DEFINITION_FAMILY,
    LOG_GROUP_NAME,
    KMS_KEY_ARN,
    ALARM_TOPIC_ARN,
    MONTHLY_COST_USD,
)
