"""Where a migration leads: the application, by its plan."""

from collections.abc import Mapping, Sequence
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
    """The application, seen from one of its services or from all.

    Attributes:
        services: What fills the variables of each service, by service.
        secrets: Its secrets and the foreign ones, by name in the catalogue.
        hosts: Configuration keys of the plain variables that every stack must set, by variable.
        service: The service that it is seen from, None for all.
    """

    services: Mapping[str, Mapping[str, Reference]]
    secrets: Mapping[str, Secret]
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])
    service: str | None = None

    def of(self, service: str) -> "Target":
        """Return the application as one service sees it."""
        return replace(self, service=service)

    @property
    def own(self) -> Sequence[str]:
        """The names in the catalogue of the secrets that the stack creates or adopts."""
        return [name for name, secret in self.secrets.items() if not secret.foreign]

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """The catalogue's place for a variable."""
        found: dict[str, Place] = {}
        own = {variable: ref for variable, ref in self._references.items() if not self.secrets[ref.secret].foreign}
        for name in dict.fromkeys(reference.secret for reference in own.values()):
            if self.secrets[name].keys_are_known:
                for key in self.secrets[name].parts:
                    found.setdefault(key, self.place(self.secrets[name], key))
        for variable, reference in own.items():
            secret = self.secrets[reference.secret]
            if reference.key is None and secret.keys_are_known:
                found[variable] = Place(secret.name, whole=secret)
            else:
                found[variable] = self.place(secret, reference.key)
        return found

    def foreign_of(self, variable: str) -> Secret | None:
        """Return the foreign secret that a variable comes from."""
        reference = self._references.get(variable)
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

    @property
    def _references(self) -> Mapping[str, Reference]:
        """What fills each variable of the service, of every service when none is chosen."""
        if self.service is not None:
            return self.services.get(self.service, {})
        return {variable: ref for service in self.services.values() for variable, ref in service.items()}


def target_of(stack: str, directory: Path | None = None) -> Target:
    """Return the application as one stack has it.

    Args:
        stack: The stack's name, with or without organisation and project.
        directory: The Pulumi project's folder; by default the current one.
    """
    plan = read_plan(stack.rpartition("/")[2], directory)
    return Target(plan.services, plan.secrets, plan.hosts)


def secret_variables() -> frozenset[str]:
    """Return the container variables that get a secret in any stack of the application."""
    return read_plan("dev").secret_variables
