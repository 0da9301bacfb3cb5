"""The kinds of databases in which a function can rotate a password; `functions/rotate_password/engines` has a module for each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """What the configuration and the function's archive need to know about one kind.

    Attributes:
        port: The default TCP port.
        database: The default database that the function signs in to.
        driver: The driver's distribution and its dependencies; a test compares them with their metadata.
    """

    port: int
    database: str
    driver: tuple[str, ...]


ENGINES: Mapping[str, Engine] = {
    "postgresql": Engine(5432, "postgres", ("pg8000", "asn1crypto", "python-dateutil", "scramp", "six")),
}
"""By the module's name, the value of `rotation.engine`; the first one is the default."""
