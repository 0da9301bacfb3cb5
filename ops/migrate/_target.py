"""Where a migration leads: the application that `catalogue.py` declares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

from catalogue import APPLICATION
from config.declarations import (
    Catalogue,
    Constant,
    External,
    ForeignSecret,
    Generated,
    JsonSecret,
    Supplied,
    TextSecret,
)
from ops.migrate._pulumi import property_path


@dataclass(frozen=True)
class Place:
    """Where the catalogue puts a variable.

    Attributes:
        secret: The secret's name in the catalogue.
        key: The JSON key in it, None for the whole value.
        config_key: What sets it in the stack's configuration, None when `ops set` does.
        whole: The JSON secret whose whole value the variable holds.
    """

    secret: str
    key: str | None = None
    config_key: str | None = None
    whole: JsonSecret | None = None

    @property
    def why(self) -> str:
        """What is said of a variable that goes there."""
        return "is in the catalogue" if self.config_key else "is in the catalogue, set by `ops set`"


@dataclass(frozen=True)
class Target:
    """The application, seen from one of its services or from all.

    Attributes:
        services: Its services' names.
        catalogue: Its secrets.
        foreign: The secrets that somebody else owns.
        hosts: Configuration keys of the plain variables that every stack must set, by variable.
        service: The service that it is seen from, None for all.
    """

    services: Sequence[str]
    catalogue: Catalogue
    hosts: Mapping[str, str]
    service: str | None = None
    foreign: Sequence[ForeignSecret] = ()

    def of(self, service: str) -> "Target":
        """Return the application as one service sees it."""
        return replace(self, service=service)

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """Where the catalogue puts a variable."""
        found: dict[str, Place] = {}
        for declaration in self.catalogue:
            references = list(declaration.references(self.service))
            if isinstance(declaration, JsonSecret) and not isinstance(declaration.keys, External) and references:
                for key in declaration.keys:
                    found.setdefault(key, self.place(declaration, key))
            for variable, key in references:
                if isinstance(declaration, TextSecret):
                    found[variable] = Place(declaration.name, None, _config_key(declaration.source))
                elif key is None and not isinstance(declaration.keys, External):
                    found[variable] = Place(declaration.name, whole=declaration)
                else:
                    found[variable] = self.place(declaration, key)
        return found

    def foreign_of(self, variable: str) -> ForeignSecret | None:
        """Return the secret of somebody else's that gives a variable."""
        return next((f for f in self.foreign if variable in {name for name, _ in f.references(self.service)}), None)

    @staticmethod
    def place(declaration: JsonSecret, key: str | None) -> Place:
        """Return the place of one key of a JSON secret."""
        keys = declaration.keys
        return Place(declaration.name, key, None if isinstance(keys, External) else _config_key(keys[cast("str", key)]))

    def whole_variable(self, secret: str | None) -> str | None:
        """Return the variable that holds the whole JSON of a secret."""
        return next((d.variable for d in self.catalogue if isinstance(d, JsonSecret) and d.name == secret), None)

    def variable_key(self, variable: str, service: str | None) -> str:
        """Return what a plain variable is in the configuration; of one service, or of all when `service` is None."""
        return self.hosts.get(variable) or self.setting_key(property_path("environment", variable), service)

    def setting_key(self, key: str, service: str | None) -> str:
        """Return a setting's key: the common one, or a service's own."""
        return key if service is None or len(self.services) == 1 else f"{property_path('services', service)}.{key}"


def _config_key(source: Generated | Supplied | Constant | External) -> str | None:
    return source.config_key if isinstance(source, Generated | Supplied) else None


HOSTS: Mapping[str, str] = {variable.name: variable.config_key for variable in APPLICATION.variables}
"""Configuration keys of the plain variables that every stack must set, by variable."""


def target_of(stack: str) -> Target:
    """Return the application as one stack has it."""
    services = [service.name for service in APPLICATION.services]
    name = stack.rpartition("/")[2]
    return Target(services, APPLICATION.catalogue(name), HOSTS, foreign=APPLICATION.foreign(name))
