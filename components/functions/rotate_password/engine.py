"""The strategies' interface to a database of any kind. `engines/` has one module for each kind.

A module of `engines/` defines a class `Engine` that takes a `Server`. Each of its errors is a `RotationError` without any
text from the database.
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
    """A database server, connected with TLS only; certificate and host name are verified."""

    host: str
    port: int
    database: str
    ca_bundle: Path | None
    """A PEM file of trusted authorities, None for those that `tls.context` chooses by the host."""

    def __str__(self) -> str:
        return f"the database at {self.host}:{self.port}"


@dataclass(frozen=True)
class Credentials:
    """A user and its password."""

    username: str
    password: str


class Session(ABC):
    """An open connection. As a context manager it closes the connection, which undoes unconfirmed changes.

    Both changes follow this order: change, call `confirm`, commit. When `confirm` raises, the
    database stays as it was. Until the change is committed or undone, no other session can change the same user, so what
    `confirm` saw stays true. An engine whose changes take effect at once must lock the user by other means.
    """

    @abstractmethod
    def change_own_password(self, password: str, confirm: Callable[[], None]) -> None:
        """Set a new password for this session's user."""

    @abstractmethod
    def change_twin(self, twin: Credentials, confirm: Callable[[], None]) -> None:
        """Set a twin's password; create the second of a pair if necessary, and make it match the first."""

    @abstractmethod
    def create_missing_user(
        self, credentials: Credentials, grants: tuple[Grant, ...], confirm: Callable[[], None]
    ) -> bool:
        """Create the first user of a pair with these privileges; return False and change nothing if the user exists."""

    @abstractmethod
    def require_pair(self, user: str) -> None:
        """Raise `RotationError` unless the first user of this user's pair exists and can sign in."""

    @abstractmethod
    def close(self) -> None:
        """Sign out. A broken connection is not an error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Database(ABC):
    """A database; the base class of each `Engine`."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @abstractmethod
    def sign_in(self, credentials: Credentials, whose: str) -> Session:
        """Open a session. Errors say `whose` credentials they are.

        Raises `SignInRefusedError` when the server refuses the credentials, `NoConnectionLeftError` when it has accepted them
        and a limit on connections is reached, `RotationError` for everything else.
        """

    @abstractmethod
    def twin(self, user: str) -> str:
        """The next user of the pair; raises `RotationError` if its name would be invalid."""

    def check(self, credentials: Credentials, whose: str) -> None:
        """Raise `RotationError` unless the database accepts the credentials; a reached connection limit is not a failure."""
        try:
            self.sign_in(credentials, whose).close()
        except NoConnectionLeftError:
            return
