"""Checks of single configuration values: each returns what was found and what is allowed, or None.

They refuse what AWS would refuse, before anything is created. Checks that `ops migrate` also needs are in `components.checks`.
"""

import re
from pathlib import Path

from components import checks
from components.checks import Wrong
from components.functions.rotate_password import grants
from components.references import WHOLE_SECRET_ARN
from config.reader import Check


def wrong_file(value: str) -> Wrong:
    """Return what is wrong with a file's path and what is allowed, or None."""
    return (
        None
        if Path(value).is_file()
        else (f"{value[:60]!r} is not a file", "a PEM file's path, from the project's folder")
    )


def _matching(pattern: str | re.Pattern[str], rule: str) -> Check:
    def wrong(value: str) -> Wrong:
        return None if re.fullmatch(pattern, value) else (f"is {value[:60]!r}", rule)

    return wrong


wrong_region = _matching(checks.REGION, "a Region such as eu-west-1")
wrong_subnet = _matching(checks.SUBNET, "a subnet's id, subnet-...")
wrong_security_group = _matching(checks.SECURITY_GROUP, "a security group's id, sg-...")
wrong_policy_arn = _matching(checks.POLICY_ARN, "the ARN of a managed policy")
wrong_principal = _matching(checks.PRINCIPAL_ARN, "the ARN of a role or user")
wrong_secret_arn = _matching(
    WHOLE_SECRET_ARN, "the whole ARN of a secret: arn:...:secret:NAME- and the six characters at its end"
)
wrong_key_arn = _matching(checks.KEY_ARN, "the ARN of a key: arn:...:kms:REGION:ACCOUNT:key/ID")
wrong_log_group = _matching(checks.LOG_GROUP, "a log group's name: letters, digits and . / # _ -")
wrong_email = _matching(checks.EMAIL, "an e-mail address")
wrong_ecs_name = _matching(checks.ECS_NAME, "a name: letters, digits, _ and -, at most 255")
wrong_database_name = _matching(r"[^\x00]{1,63}", "1 to 63 characters")


def wrong_grant(value: str) -> Wrong:
    """Tell whether a text does not name privileges and one database or schema."""
    try:
        grants.parse(value)
    except ValueError as error:
        return str(error), grants.RULE
    return None


def wrong_key_of(region: str, value: str) -> Wrong:
    """Tell whether a text is no KMS key of that Region; Secrets Manager refuses any other only when it replicates."""
    key = rf"arn:[a-z-]+:kms:{re.escape(region)}:\d{{12}}:key/[\w-]+"
    return None if re.fullmatch(key, value) else ("is not a key in that Region", f"arn:...:kms:{region}:ACCOUNT:key/ID")
