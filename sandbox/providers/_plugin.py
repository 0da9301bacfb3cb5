"""What one plugin, a set of resource types and functions with a configuration, offers to `_server`."""

from collections.abc import Mapping
from typing import Any

from sandbox.providers._resource import Function, ProviderError, Resource
from sandbox.providers._values import Properties


class Plugin:
    """A plugin without configuration; subclasses override what they need."""

    name: str
    version: str
    resources: Mapping[str, Resource[Any]]
    functions: Mapping[str, Function[Any]]

    def check_config(self, config: Properties) -> list[tuple[str, str]]:
        """What is wrong with the provider's configuration: (property, reason)."""
        return []

    def configure(self, config: Properties) -> None:
        """Take the checked configuration; raises ProviderError."""

    def session(self, properties: Properties) -> Any:
        """What the calls of a resource with these properties get to work with."""

    def complete(self, resource: Resource[Any], new: Properties) -> list[str]:
        """Add what the provider's configuration says to a resource's inputs; returns the names of added defaults."""
        return []

    def imported_as(self, resource: Resource[Any], resource_id: str) -> tuple[str, Properties]:
        """What an import's id says: the resource's id, and properties that tell where to look for it."""
        return resource_id, {}

    def settle(self, resource: Resource[Any], session: Any, live: Properties, old: Properties) -> None:
        """Add to a resource's live properties what all types have: the Region, and the tags without the provider's."""

    def explain(self, error: Exception) -> str | None:
        """One line for the user, None when the error is a bug of ours."""
        return str(error) if isinstance(error, ProviderError) else None

    def is_gone(self, error: Exception) -> bool:
        """Whether the error says that the object doesn't exist."""
        return False

    def resource(self, token: str) -> Resource[Any]:
        """The resource type; raises ProviderError with the supported ones."""
        return self._find(self.resources, token, "resource type")

    def function(self, token: str) -> Function[Any]:
        """The function; raises ProviderError with the supported ones."""
        return self._find(self.functions, token, "function")

    def _find(self, known: Mapping[str, Any], token: str, what: str) -> Any:
        if token in known:
            return known[token]
        raise ProviderError(
            f"the sandbox's stand-in of pulumi-{self.name} does not support the {what} {token}; it supports "
            f"{', '.join(sorted(known)) or 'none'}"
        )
