"""The component package: what `pulumi package add` offers to programs in every language of Pulumi."""

from typing import Any

import pulumi
from pulumi.provider import ConstructResult
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.experimental.util import camel_case
from pulumi.provider.server import ComponentInitError

from components._args import ArgsError
from components.app_secrets import Secrets
from components.audit import Audit
from components.encryption import Encryption
from components.execution_role import ExecutionRole
from components.limits import PULUMI_VERSIONS
from components.redeployment import Redeployment
from components.rotation import Rotation
from components.task_definition import TaskDefinition

NAME = "ecs-secrets"
VERSION = "0.1.0"
"""The package's version; CHANGELOG.md describes its contents."""

COMPONENTS: list[type[pulumi.ComponentResource]] = [
    Audit,
    Encryption,
    ExecutionRole,
    Redeployment,
    Rotation,
    Secrets,
    TaskDefinition,
]


_NO_DETAILS: list[Any] = []
"""The SDK's server (3.272) fails on an error without details."""


class Package(ComponentProvider):
    """Constructs the components. A refused argument is an error without a traceback."""

    def __init__(self) -> None:
        super().__init__(COMPONENTS, NAME, version=VERSION)

    def construct(
        self, name: str, resource_type: str, inputs: Any, options: pulumi.ResourceOptions | None = None
    ) -> ConstructResult:
        """Construct a component."""
        pulumi.require_pulumi_version(PULUMI_VERSIONS)
        try:
            return super().construct(name, resource_type, inputs, options)
        except ComponentInitError as error:
            if isinstance(error.inner, ArgsError):
                raise pulumi.InputPropertiesError(error.inner.renamed(camel_case), _NO_DETAILS) from None
            if isinstance(error.inner, pulumi.RunError):
                raise pulumi.InputPropertiesError(str(error.inner), _NO_DETAILS) from None
            raise
