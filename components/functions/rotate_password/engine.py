"""What the strategies need of a database, whichever kind it is. `engines/` has one module for each kind.

A module of `engines/` defines a class `Engine` that takes a `Server`. Every error that it raises is a `RotationError`
without any text that the database sent.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .errors import NoConnectionLeftError
from .grants import Grant


@dataclass(frozen=True)
class Server:
    """A database server, reached by TLS only; its certificate and host name are verified."""

    host: str
    port: int
    database: str
    ca_bundle: Path | None
    """A PEM file of the authorities to trust, None for those that `tls.context` chooses by the host."""

    def __str__(self) -> str:
        return f"the database at {self.host}:{self.port}"


@dataclass(frozen=True)
class Credentials:
    """A user and his password."""

    username: str
    password: str


class Session(ABC):
    """An open connection; a context manager that closes it, which undoes what was not confirmed.

    Both changes are made in this order: change, call `confirm`, make the change permanent. When `confirm` raises, the
    database stays as it was. Until the change is permanent or undone, no other session can change the same user: so what
    `confirm` has seen stays true. An engine whose changes take effect at once must lock the user by other means.
    """

    @abstractmethod
    def change_own_password(self, password: str, confirm: Callable[[], None]) -> None:
        """Give the user of this session a new password."""

    @abstractmethod
    def change_twin(self, twin: Credentials, confirm: Callable[[], None]) -> None:
        """Give a twin a new password and, if it is the second of its pair, make it exist and match the first."""

    @abstractmethod
    def create_missing_user(
        self, credentials: Credentials, grants: tuple[Grant, ...], confirm: Callable[[], None]
    ) -> bool:
        """Create the first user of a pair with these privileges; False, and nothing is changed, if the database has it."""

    @abstractmethod
    def require_pair(self, user: str) -> None:
        """Raise `RotationError` unless the first user of this user's pair exists and may sign in."""

    @abstractmethod
    def close(self) -> None:
        """Sign out. A broken connection is not an error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Database(ABC):
    """A database of some kind; the base class of each `Engine`."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @abstractmethod
    def sign_in(self, credentials: Credentials, whose: str) -> Session:
        """Open a session; `whose` credentials they are goes into the error.

        Raises `SignInRefusedError` when the server refuses the credentials, `NoConnectionLeftError` when it has accepted them
        and a limit on connections is reached, `RotationError` for everything else.
        """

    @abstractmethod
    def twin(self, user: str) -> str:
        """The user whose turn it is after this one; raises `RotationError` if there can be none of that name."""

    def check(self, credentials: Credentials, whose: str) -> None:
        """Raise `RotationError` unless the database accepts the credentials; a reached connection limit is not a failure."""
        try:
            self.sign_in(credentials, whose).close()
        except NoConnectionLeftError:
            return
