"""The running stack's settings.

The one place that touches `pulumi.runtime.config`: the public API tells neither all keys nor which of them are encrypted, and
an unknown key or a secret in the clear would go unnoticed.
"""

from collections.abc import Iterator

import pulumi
from pulumi.runtime import config as runtime_config

from components.names import Names
from config import declarations
from config.declarations import Application
from config.settings import Settings, parse


def load(application: Application) -> Settings:
    """Return the running stack's settings, and warn of what is allowed and rarely meant.

    Raises:
        ConfigurationError: When anything in the configuration is wrong; it names everything that is.
    """
    project, stack = pulumi.get_project(), pulumi.get_stack()
    prefix = f"{project}:"
    everything = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    values = {key.removeprefix(prefix): value for key, value in everything.items() if key.startswith(prefix)}
    encrypted = {key for key in values if runtime_config.is_config_secret(prefix + key)}
    if not everything.get("aws:allowedAccountIds"):
        pulumi.log.warn(
            "aws:allowedAccountIds is not set: with another account's credentials this stack would come up there. "
            "pulumi config set --path 'aws:allowedAccountIds[0]' ACCOUNT"
        )
    settings = parse(values, encrypted, application, Names(project, stack), region=everything.get("aws:region"))
    for warning in _warnings(settings):
        pulumi.log.warn(warning)
    return settings


def _warnings(settings: Settings) -> Iterator[str]:
    if settings.encryption == "returning-to-aws-managed":
        yield (
            "encryption: returning-to-aws-managed is for one `pulumi up`. Then set aws-managed: the key leaves Pulumi and stays "
            f"in AWS. For {settings.key_needed_days} days log events, the trail's files and older versions of secrets need it "
            '(docs/security.md, "Return to AWS\'s key")'
        )
    for (service, secret), variables in declarations.shared_more_than_referenced(
        (*settings.catalogue, *settings.foreign), settings.services
    ).items():
        yield (
            f"{service} can read all of {secret}, also {', '.join(variables)}, which only other services get: IAM grants whole "
            "secrets, so keys for different services belong in different secrets"
        )
