"""The two ways to rotate: what the new value is, how the database learns it, how it is tested."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from . import cloned_users
from .errors import Cause, RotationError, SignInRefusedError
from .journal import Journal
from .postgresql import Server, Session, identifier, literal
from .secret_versions import RotatedSecret


class RotationStrategy(ABC):
    """What differs between the strategies; each method may be repeated after it was interrupted anywhere."""

    @abstractmethod
    def new_value(self, secret: RotatedSecret, password: Callable[[], str]) -> str:
        """The value of the next version; `password` makes a new one."""

    @abstractmethod
    def set_password(self, secret: RotatedSecret, journal: Journal) -> None:
        """Make the database accept the pending value."""

    @abstractmethod
    def sign_in(self, value: str) -> Session:
        """Open a session with a value of the secret."""


@dataclass(frozen=True)
class SingleUser(RotationStrategy):
    """The secret is the password of one user, who changes it himself."""

    server: Server
    user: str

    def new_value(self, secret: RotatedSecret, password: Callable[[], str]) -> str:
        """Take up what a cancelled rotation left: the database may already want it, and nobody else knows it."""
        _plain_text(secret.current(), secret.secret_id)
        return secret.abandoned_if_any() or password()

    def set_password(self, secret: RotatedSecret, journal: Journal) -> None:
        """Sign in with whichever of the pending, current and previous password works, and set the pending one."""
        pending = _plain_text(secret.pending(), secret.secret_id)
        try:
            with self._session(pending, "the pending password"):
                journal.info("the database already wants the pending password")
                return
        except SignInRefusedError:
            pass  # the usual case: it is not set yet
        with self._session_with_an_older_password(secret) as session:
            verifier = session.verifier(self.user, pending)
            session.run(f"ALTER ROLE {identifier(self.user)} PASSWORD {literal(verifier)}")
        journal.info("the database has the pending password")

    def sign_in(self, value: str) -> Session:
        """Open a session as the user."""
        return self._session(_plain_text(value, "the secret"), "the pending password")

    def _session(self, password: str, whose: str) -> Session:
        return self.server.sign_in(self.user, password, whose=whose)

    def _session_with_an_older_password(self, secret: RotatedSecret) -> Session:
        refusal: SignInRefusedError | None = None
        for password, whose in self._older_passwords(secret):
            try:
                return self._session(password, whose)
            except SignInRefusedError as error:
                refusal = refusal or error
        message = (
            f"neither the pending, nor the current, nor the previous password of {secret.secret_id} signs "
            f"DATABASE_USERNAME in; put the right one into the secret and rotate again. The current one: {refusal}"
        )
        raise RotationError(Cause.DATABASE, message) from None

    @staticmethod
    def _older_passwords(secret: RotatedSecret) -> Iterator[tuple[str, str]]:
        yield _plain_text(secret.current(), secret.secret_id), "the current password"
        if previous := secret.previous_if_any():
            # Somebody may have put the labels back by hand without the database.
            yield previous, "the previous password"


@dataclass(frozen=True)
class AlternatingUsers(RotationStrategy):
    """The secret names a user; a superuser sets the password of its twin, and the secret then names the twin."""

    server: Server
    superuser: str
    superuser_password: Callable[[], str]

    def new_value(self, secret: RotatedSecret, password: Callable[[], str]) -> str:
        """The current JSON with the other user's name and a new password; other keys stay as they are."""
        current = _Credentials.parse(secret.current(), secret.secret_id)
        twin = cloned_users.other(current.username)
        if self.superuser in {current.username, twin}:
            message = f"{secret.secret_id} names the superuser: the application needs a user of its own"
            raise RotationError(Cause.SECRET, message)
        return json.dumps(current.document | {"username": twin, "password": password()}, ensure_ascii=False)

    def set_password(self, secret: RotatedSecret, journal: Journal) -> None:
        """Create or alter the pending user as the superuser; the user in use is not touched."""
        pending = _Credentials.parse(secret.pending(), secret.secret_id)
        current = _Credentials.parse(secret.current(), secret.secret_id)
        if pending.username != cloned_users.other(current.username) or pending.username == self.superuser:
            message = (
                f"the pending version of {secret.secret_id} does not name the other user of the pair; remove AWSPENDING "
                "from it and rotate again"
            )
            raise RotationError(Cause.SECRET, message)
        if self._signs_in(pending):
            journal.info("the database already wants the pending password")
            return
        password = _plain_text(self.superuser_password(), "SUPERUSER_SECRET_ARN")
        with self.server.sign_in(self.superuser, password, whose="the superuser's credentials") as session:
            cloned_users.require_original(session, current.username)
            # Whoever may write this secret could otherwise have the password of any user set (a confused deputy).
            self._sign_in(current, "the secret's current credentials").close()
            cloned_users.set_password(session, pending.username, pending.password)
        journal.info("the database has the pending user and password")

    def sign_in(self, value: str) -> Session:
        """Open a session as the user that the value names."""
        return self._sign_in(_Credentials.parse(value, "the secret"), "the pending credentials")

    def _signs_in(self, credentials: "_Credentials") -> bool:
        try:
            self._sign_in(credentials, "the pending credentials").close()
        except SignInRefusedError:
            return False
        return True

    def _sign_in(self, credentials: "_Credentials", whose: str) -> Session:
        return self.server.sign_in(credentials.username, credentials.password, whose=whose)


@dataclass(frozen=True)
class _Credentials:
    """A JSON secret; `document` is the whole of it."""

    username: str
    password: str
    document: dict[str, Any]

    @classmethod
    def parse(cls, value: str, secret_id: str) -> "_Credentials":
        try:
            document: Any = json.loads(value)
        except ValueError:
            raise RotationError(
                Cause.SECRET, f'{secret_id} is not JSON: {{"username": ..., "password": ...}}'
            ) from None
        if not isinstance(document, dict):
            raise RotationError(Cause.SECRET, f'{secret_id} is not a JSON object: {{"username": ..., "password": ...}}')
        for key in ("username", "password"):
            text = document.get(key)
            if not isinstance(text, str) or not text or "\0" in text:
                raise RotationError(Cause.SECRET, f'{secret_id} has no text under the key "{key}"')
        return cls(document["username"], document["password"], document)


def _plain_text(value: str, secret_id: str) -> str:
    """The value, if it can be a password; raises `RotationError` for an empty one and for a JSON object."""
    if not value.strip() or "\0" in value:
        raise RotationError(Cause.SECRET, f"{secret_id} is empty; it must be a password in plain text")
    try:
        is_object = isinstance(json.loads(value), dict)
    except ValueError:
        is_object = False
    if is_object:
        raise RotationError(Cause.SECRET, f"{secret_id} is a JSON object; it must be a password in plain text")
    return value
