"""Where a migration leads: the application, by its plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ops._plan import WHOLE, Reference, Secret, read_plan
from ops._pulumi import property_path


@dataclass(frozen=True)
class Target:
    """The application.

    Attributes:
        services: What fills the variables of each service, by service.
        secrets: Its secrets and the foreign ones, by name in the catalogue.
        hosts: Configuration keys of the plain variables that every stack must set, by variable.
    """

    services: Mapping[str, Mapping[str, Reference]]
    secrets: Mapping[str, Secret]
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])

    def place_of(self, variable: str, service: str) -> tuple[Secret, str | None] | None:
        """Return the secret that fills a service's variable, or has it as a key; with the JSON key, None for the whole."""
        references = self.services[service]
        if found := references.get(variable):
            return self.secrets[found.secret], found.key
        secrets = (self.secrets[reference.secret] for reference in references.values())
        known = (one for one in secrets if not one.foreign and one.keys_are_known and variable in one.parts)
        return next(((secret, variable) for secret in known), None)

    def whole_variable(self, secret: str | None) -> str | None:
        """Return the variable that holds the whole JSON of a secret."""
        found = self.secrets.get(secret or "")
        return found.variable if found and found.json and not found.foreign else None

    def variable_key(self, variable: str, service: str | None) -> str:
        """Return the configuration key of a plain variable; of one service, or of all when `service` is None."""
        return self.hosts.get(variable) or self.setting_key(property_path("environment", variable), service)

    def setting_key(self, key: str, service: str | None) -> str:
        """Return a setting's key: the common one, or a service's own."""
        return key if service is None or len(self.services) == 1 else f"{property_path('services', service)}.{key}"


def config_key_of(secret: Secret, key: str | None) -> str | None:
    """Return what sets one key of a secret, or the whole, in the stack's configuration; None when `ops set` does."""
    part = secret.parts.get(key or WHOLE)
    return part and part.config_key


def target_of(stack: str, directory: Path | None = None) -> Target:
    """Return the application as one stack has it; `directory` is the Pulumi project's folder, by default the current one."""
    plan = read_plan(stack.rpartition("/")[2], directory)
    return Target(plan.services, plan.secrets, plan.hosts)
