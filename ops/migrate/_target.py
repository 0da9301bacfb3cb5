"""Where a migration leads: the application, by its plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ops._plan import WHOLE, Reference, Secret, read_plan
from ops.migrate._pulumi import property_path


@dataclass(frozen=True)
class Place:
    """The catalogue's place for a variable.

    Attributes:
        secret: The secret's name in the catalogue.
        key: The JSON key in it, None for the whole value.
        config_key: What sets it in the stack's configuration, None when `ops set` does.
        whole: The JSON secret whose whole value the variable holds.
    """

    secret: str
    key: str | None = None
    config_key: str | None = None
    whole: Secret | None = None

    @property
    def why(self) -> str:
        """The reason that the plan gives for a variable that goes there."""
        return "is in the catalogue" if self.config_key else "is in the catalogue, set by `ops set`"


@dataclass(frozen=True)
class Target:
    """The application, seen from one of its services where `of` chose it.

    Attributes:
        services: What fills the variables of each service, by service.
        secrets: Its secrets and the foreign ones, by name in the catalogue.
        hosts: Configuration keys of the plain variables that every stack must set, by variable.
    """

    services: Mapping[str, Mapping[str, Reference]]
    secrets: Mapping[str, Secret]
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])
    service: str = ""

    def of(self, service: str) -> "Target":
        """Return the application as one service sees it."""
        return replace(self, service=service)

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """The catalogue's place for a variable."""
        found: dict[str, Place] = {}
        references = self.services[self.service].items()
        own = [(name, ref.key, self.secrets[ref.secret]) for name, ref in references if not self.foreign_of(name)]
        for _, _, secret in own:
            for key in secret.parts if secret.keys_are_known else ():
                found.setdefault(key, self.place(secret, key))
        for variable, key, secret in own:
            whole = key is None and secret.keys_are_known
            found[variable] = Place(secret.name, whole=secret) if whole else self.place(secret, key)
        return found

    def foreign_of(self, variable: str) -> Secret | None:
        """Return the foreign secret that a variable comes from."""
        reference = self.services[self.service].get(variable)
        found = self.secrets[reference.secret] if reference else None
        return found if found and found.foreign else None

    @staticmethod
    def place(secret: Secret, key: str | None) -> Place:
        """Return the place of one key of a secret, of the whole when it is None."""
        part = secret.parts.get(key or WHOLE)
        return Place(secret.name, key, part and part.config_key)

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


def target_of(stack: str, directory: Path | None = None) -> Target:
    """Return the application as one stack has it.

    Args:
        stack: The stack's name, with or without organisation and project.
        directory: The Pulumi project's folder; by default the current one.
    """
    plan = read_plan(stack.rpartition("/")[2], directory)
    return Target(plan.services, plan.secrets, plan.hosts)
