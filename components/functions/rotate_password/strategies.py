"""The two rotation strategies: how each creates the new value, sets it in the database and tests it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .engine import Credentials, Database, Session
from .errors import Cause, RotationError, SignInRefusedError
from .grants import Grant
from .journal import Journal
from .secret_versions import RotatedSecret


class RotationStrategy(ABC):
    """The differences between the strategies. Each method can be repeated after an interruption anywhere."""

    @abstractmethod
    def new_value(self, secret: RotatedSecret) -> str:
        """The value of the next version."""

    @abstractmethod
    def set_password(self, secret: RotatedSecret, journal: Journal) -> None:
        """Make the database accept the pending value."""

    def test(self, secret: RotatedSecret, journal: Journal) -> None:
        """Sign in with the pending value."""
        del journal
        self.check(secret.pending())

    @abstractmethod
    def check(self, value: str) -> None:
        """Sign in with a value of the secret; raises `RotationError` unless the database accepts it."""


@dataclass(frozen=True)
class SingleUser(RotationStrategy):
    """The secret is the password of one user, which changes it itself."""

    database: Database
    user: str

    def new_value(self, secret: RotatedSecret) -> str:
        """Reuse the value of a cancelled rotation: the database might already have it, and nobody else knows it."""
        plain_text(secret.current(), secret.secret_id)
        return secret.abandoned_if_any() or secret.random_password()

    def set_password(self, secret: RotatedSecret, journal: Journal) -> None:
        """Sign in with the pending, current or previous password, whichever works, and set the pending one."""
        pending = plain_text(secret.pending(), secret.secret_id)
        try:
            self.check(pending)
        except SignInRefusedError:
            pass  # the usual case: it is not set yet
        else:
            journal.info("the database already has the pending password")
            return
        with self._session_with_an_older_password(secret) as session:
            session.change_own_password(pending, secret.require_unchanged)
        journal.info("the database has the pending password")

    def check(self, value: str) -> None:
        """Sign in as the user."""
        self.database.check(Credentials(self.user, plain_text(value, "the secret")), "the pending password")

    def _session_with_an_older_password(self, secret: RotatedSecret) -> Session:
        refusal: SignInRefusedError | None = None
        for password, whose in self._older_passwords(secret):
            try:
                return self.database.sign_in(Credentials(self.user, password), whose)
            except SignInRefusedError as error:
                refusal = refusal or error
        message = (
            f"neither the pending, nor the current, nor the previous password of {secret.secret_id} signs "
            f"DATABASE_USERNAME in; set the secret to the right one and rotate again. The current one: {refusal}"
        )
        raise RotationError(Cause.DATABASE, message) from None

    @staticmethod
    def _older_passwords(secret: RotatedSecret) -> Iterator[tuple[str, str]]:
        yield plain_text(secret.current(), secret.secret_id), "the current password"
        if previous := secret.previous_if_any():
            # The labels might have been moved back without changing the database.
            yield previous, "the previous password"


@dataclass(frozen=True)
class AlternatingUsers(RotationStrategy):
    """The secret names a user; a superuser sets the password of its twin, and the secret then names the twin."""

    database: Database
    superuser: Callable[[], Credentials]
    """Reads the superuser's secret."""
    grants: tuple[Grant, ...] = ()
    """The application user's privileges if it is created here; empty: it is never created here."""

    def new_value(self, secret: RotatedSecret) -> str:
        """The current JSON with the other user's name and a new password; other keys stay as they are."""
        document, current = credentials(secret.current(), secret.secret_id)
        twin = self.database.twin(current.username)
        if self.superuser().username in {current.username, twin}:
            message = f"{secret.secret_id} names the superuser: the application needs a different user"
            raise RotationError(Cause.SECRET, message)
        changed = document | {"username": twin, "password": secret.random_password()}
        return json.dumps(changed, ensure_ascii=False)

    def set_password(self, secret: RotatedSecret, journal: Journal) -> None:
        """Create or alter the pending user as the superuser; the user in use is not touched."""
        _, pending = credentials(secret.pending(), secret.secret_id)
        _, current = credentials(secret.current(), secret.secret_id)
        superuser = self.superuser()
        if pending.username != self.database.twin(current.username) or pending.username == superuser.username:
            message = (
                f"the pending version of {secret.secret_id} does not name the other user of the pair; remove AWSPENDING "
                "from it and rotate again"
            )
            raise RotationError(Cause.SECRET, message)
        try:
            self.database.check(pending, "the pending credentials")
        except SignInRefusedError:
            pass  # the usual case: they are not set yet
        else:
            journal.info("the database already has the pending password")
            return
        with self.database.sign_in(superuser, "the superuser's credentials") as session:
            self._create_missing_user(session, current, secret, journal)
            session.require_pair(current.username)
            # Otherwise a principal that can write this secret could set the password of any user (a confused deputy).
            self.database.check(current, "the secret's current credentials")
            session.change_twin(pending, secret.require_unchanged)
        journal.info("the database has the pending user and password")

    def test(self, secret: RotatedSecret, journal: Journal) -> None:
        """Sign in with the pending value.

        To test a rotation that is being configured, Secrets Manager runs only this step, with the current value as the
        pending one:
        at the first `up` the database might not have the user yet.
        """
        try:
            self.check(secret.pending())
        except SignInRefusedError:
            _, pending = credentials(secret.pending(), secret.secret_id)
            _, current = credentials(secret.current(), secret.secret_id)
            superuser = self.superuser()
            if pending != current or current.username == superuser.username:
                raise
            with self.database.sign_in(superuser, "the superuser's credentials") as session:
                if not self._create_missing_user(session, current, secret, journal):
                    raise
            self.check(secret.pending())

    def _create_missing_user(
        self, session: Session, current: Credentials, secret: RotatedSecret, journal: Journal
    ) -> bool:
        """Create the application's user with the password that the application reads; return whether that was needed."""
        if not self.grants or not session.create_missing_user(current, self.grants, secret.require_unchanged):
            return False
        journal.info("created the application's user, which the database did not have")
        return True

    def check(self, value: str) -> None:
        """Sign in as the user that the value names."""
        self.database.check(credentials(value, "the secret")[1], "the pending credentials")


def superuser_credentials(value: str, secret_id: str, username: str) -> Credentials:
    """Read the superuser's secret: JSON with username and password, or the password of `username` in plain text."""
    try:
        is_object = isinstance(json.loads(value), dict)
    except ValueError:
        is_object = False
    if is_object:
        return credentials(value, secret_id)[1]
    if not username:
        message = (
            f"{secret_id} is not a JSON object, so its password needs a name: set DATABASE_USERNAME to the superuser's"
        )
        raise RotationError(Cause.CONFIGURATION, message)
    return Credentials(username, plain_text(value, secret_id))


def credentials(value: str, secret_id: str) -> tuple[dict[str, Any], Credentials]:
    """Read a JSON secret: all of it, and the credentials in it; raises `RotationError` for anything else."""
    try:
        document: Any = json.loads(value)
    except ValueError:
        raise RotationError(Cause.SECRET, f'{secret_id} is not JSON: {{"username": ..., "password": ...}}') from None
    if not isinstance(document, dict):
        raise RotationError(Cause.SECRET, f'{secret_id} is not a JSON object: {{"username": ..., "password": ...}}')
    for key in ("username", "password"):
        text = document.get(key)
        if not isinstance(text, str) or not text or not _can_be_sent(text):
            raise RotationError(Cause.SECRET, f'{secret_id} has no text under the key "{key}"')
    return document, Credentials(document["username"], document["password"])


def plain_text(value: str, secret_id: str) -> str:
    """The value, if it can be a password; raises `RotationError` for an empty one and for a JSON object."""
    if not value.strip() or not _can_be_sent(value):
        raise RotationError(Cause.SECRET, f"{secret_id} is empty; it must be a password in plain text")
    try:
        is_object = isinstance(json.loads(value), dict)
    except ValueError:
        is_object = False
    if is_object:
        raise RotationError(Cause.SECRET, f"{secret_id} is a JSON object; it must be a password in plain text")
    return value


def _can_be_sent(text: str) -> bool:
    """Whether a database's protocol can carry it: UTF-8 without a zero byte or half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
