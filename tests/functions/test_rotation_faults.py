"""A rotation that dies before or after any of its calls: the database stays reachable, and repeating the step ends it.

The calls are counted, not listed: every boto3 call, every connection and every SQL statement, whichever there are.
"""

import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pg8000.native
import pytest
from botocore.client import BaseClient

from components.functions.rotate_password.engines import postgresql
from components.functions.rotate_password.errors import RotationError
from tests.functions.conftest import STEPS, Rotation, Rotations


class Killed(BaseException):
    """The execution environment is gone: no handler of ours runs."""


Call = Callable[[], Any]


def killed(_: Call) -> None:
    raise Killed


def answer_lost(call: Call) -> None:
    try:
        call()
    finally:  # also instead of the error that the call ended with
        raise ConnectionResetError("password=hunter2")


# Death after a call leaves what death before the next one leaves; a lost answer also tells the function of it.
FAULTS: dict[str, Callable[[Call], Any]] = {"killed-before": killed, "answer-lost-after": answer_lost}


def repeated(call: Call) -> Any:
    """The answer to the first call is lost, and botocore repeats it."""
    call()
    return call()


@dataclass
class Watched:
    """Counts the calls that the function makes, and does something else in the place of number `at`."""

    at: int
    instead: Callable[[Call], Any] = killed
    counted: Callable[[str], bool] = bool
    calls: list[str] = field(default_factory=list[str])

    @property
    def struck(self) -> bool:
        return len(self.calls) >= self.at

    @contextmanager
    def injected(self) -> Generator[None]:
        """Wrap every way out of the function."""
        with pytest.MonkeyPatch.context() as patch:
            self._wrap(patch, BaseClient, "_make_api_call", lambda args: cast("str", args[0]))
            self._wrap(patch, pg8000.native.Connection, "__init__", lambda _: "connect")
            self._wrap(patch, pg8000.native.Connection, "run", lambda args: cast("str", args[0]).split()[0])
            yield

    def _wrap(
        self, patch: pytest.MonkeyPatch, owner: type, method: str, name: Callable[[tuple[Any, ...]], str]
    ) -> None:
        original = getattr(owner, method)

        def wrapped(target: object, *args: Any, **kwargs: Any) -> Any:
            if self.counted(name(args)):
                self.calls.append(name(args))
                if len(self.calls) == self.at:
                    return self.instead(lambda: original(target, *args, **kwargs))
            return original(target, *args, **kwargs)

        patch.setattr(owner, method, wrapped)


def hanging(at: int, meanwhile: Call, results: list[Any] | None = None) -> Watched:
    """Stops before call number `at`, lets other invocations do `meanwhile`, notes its result, and continues.

    The calls of the other invocations are counted, so they don't hang.
    """

    def instead(call: Call) -> Any:
        ([] if results is None else results).append(meanwhile())
        return call()

    return Watched(at, instead)


ALTERNATING = ("alternating_users", 0)
CASES = [
    *(("single_user", 0, step) for step in STEPS),
    *((*ALTERNATING, step) for step in STEPS),  # the clone does not exist before setSecret
    ("alternating_users", 1, "setSecret"),  # the original's turn
    ("alternating_users", 2, "setSecret"),  # the clone's turn again
    ("new_user", 0, "setSecret"),  # the database has neither of the two users
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize(("strategy", "completed_rotations", "step"), CASES)
def test_a_step_that_dies_at_any_call_locks_nobody_out_and_is_finished_by_repeating_it(
    rotations: Rotations, strategy: str, completed_rotations: int, step: str, kind: str
) -> None:
    rotation: Rotation = getattr(rotations, strategy)()
    for _ in range(completed_rotations):
        rotation.rotate()
    first_turn = rotation.value()
    before, from_step_on = STEPS[: STEPS.index(step)], STEPS[STEPS.index(step) :]
    for at in range(1, 100):
        if strategy != "single_user":  # the same user's turn each time; the one in use is never touched
            rotation.put(first_turn)
            if completed_rotations == 0:
                rotation.database.sql(f"DROP ROLE IF EXISTS {rotation.user}_clone")
            if strategy == "new_user":
                _drop(rotation, rotation.user)
        held_by_clients = rotation.value()
        token = rotation.start()
        rotation.steps(token, *before)
        fault = Watched(at, FAULTS[kind])

        with fault.injected():
            outcome = _run(rotation, step, token)

        if not fault.struck:
            assert at > 3, "the step made no calls"
            return
        assert outcome is not None, f"the fault at call {at} was swallowed: {fault.calls}"
        assert "hunter2" not in str(outcome)
        if strategy == "new_user" and not rotation.works(held_by_clients):
            assert not _exists(rotation, rotation.user), f"a user nobody can sign in as, at call {at}: {fault.calls}"
        else:
            assert _someone_gets_in(rotation, strategy, held_by_clients, token), (
                f"locked out at call {at}: {fault.calls}"
            )
        rotation.steps(token, *from_step_on)
        assert rotation.value() == rotation.version(token)
        assert rotation.works()
    pytest.fail("the step never ran without a fault")


def _drop(rotation: Rotation, user: str) -> None:
    if _exists(rotation, user):
        rotation.database.sql(f"DROP OWNED BY {user}; DROP ROLE {user}")


def _exists(rotation: Rotation, user: str) -> bool:
    return bool(rotation.database.sql("SELECT 1 FROM pg_roles WHERE rolname = :name", name=user))


def _run(rotation: Rotation, step: str, token: str) -> BaseException | None:
    try:
        rotation.step(step, token)
    except (Killed, RotationError) as error:
        return error
    return None


def _someone_gets_in(rotation: Rotation, strategy: str, held_by_clients: str, token: str) -> bool:
    """Whether the value that clients hold works; with a single user, that or the one that is on its way to them."""
    if rotation.works(held_by_clients):
        return strategy == "single_user" or rotation.value() == held_by_clients or rotation.works()
    pending = rotation.version(token)
    return strategy == "single_user" and pending is not None and rotation.works(pending)


@pytest.mark.parametrize("step", STEPS)
def test_a_call_to_aws_whose_answer_was_lost_is_repeated_and_the_step_succeeds(rotation: Rotation, step: str) -> None:
    for at in range(1, 100):
        token = rotation.at(step)
        # An operation of AWS, neither "connect" nor a statement.
        watched = Watched(at, repeated, lambda name: name[0].isupper() and not name.isupper())
        with watched.injected():
            rotation.step(step, token)
        rotation.steps(token, *STEPS[STEPS.index(step) :])
        assert rotation.value() == rotation.version(token)
        assert rotation.works()
        if not watched.struck:
            return
    pytest.fail("the step made no end of calls")


def test_a_label_that_could_not_be_moved_fails_the_step(rotation: Rotation) -> None:
    """The check for a lost answer must not take every failure for one."""
    token = rotation.at("finishSecret")
    fault = Watched(1000)
    with fault.injected():
        rotation.step("finishSecret", token)
    at = fault.calls.index("UpdateSecretVersionStage") + 1
    token = rotation.at("finishSecret")
    with hanging(at, lambda: rotation.put(rotation.value())).injected():
        outcome = _run(rotation, "finishSecret", token)
    assert "UpdateSecretVersionStage" in str(outcome)
    assert rotation.value() != rotation.version(token)


def _cancel(rotation: Rotation, token: str) -> None:
    """Cancel a rotation as docs/rotation.md says."""
    if "AWSPENDING" in rotation.labels().get(token, []):
        rotation.client.update_secret_version_stage(
            SecretId=rotation.secret_id, VersionStage="AWSPENDING", RemoveFromVersionId=token
        )


def _overtake(rotation: Rotation, token: str, later_rotations: int) -> str | None:
    """Cancel a rotation and let later ones run; returns the version of one that found the user locked, to be finished."""
    _cancel(rotation, token)
    for _ in range(later_rotations):
        later = rotation.start()
        try:
            rotation.steps(later, *STEPS)
        except RotationError as error:
            assert "lock" in str(error)  # noqa: PT017 - most of them raise nothing
            return later
    return None


OVERLAPS = [
    *(("single_user", 0, step, 1) for step in STEPS),
    *((*ALTERNATING, step, 1) for step in STEPS),
    ("single_user", 0, "setSecret", 2),
    ("alternating_users", 1, "setSecret", 2),
    ("new_user", 0, "setSecret", 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "completed_rotations", "step", "later_rotations"), OVERLAPS)
def test_a_step_that_hangs_at_any_call_and_continues_after_later_rotations_changes_nothing(
    rotations: Rotations, strategy: str, completed_rotations: int, step: str, later_rotations: int
) -> None:
    limits = postgresql._SESSION_SETTINGS.replace("lock_timeout = '3s'", "lock_timeout = '200ms'")
    assert "200ms" in limits
    rotations.monkeypatch.setattr(postgresql, "_SESSION_SETTINGS", limits)
    for at in range(1, 100):
        rotation: Rotation = getattr(rotations, strategy)()
        for _ in range(completed_rotations):
            rotation.rotate()
        token = rotation.at(step)
        results: list[Any] = []
        hang = hanging(at, functools.partial(_overtake, rotation, token, later_rotations), results)
        with hang.injected():
            outcome = _run(rotation, step, token)
        if not results:
            assert at > 3, "the step made no calls"
            return
        assert outcome is None or isinstance(outcome, RotationError)
        if unfinished := results[0]:
            rotation.start_again(unfinished)
            rotation.steps(unfinished, *STEPS)
        assert rotation.works(), f"the live password was overwritten at call {at}: {hang.calls}"
        if strategy != "single_user":
            assert rotation.works(rotation.value(stage="AWSPREVIOUS")), f"call {at}: {hang.calls}"
        rotation.rotate()
        assert rotation.works()
    pytest.fail("the step made no end of calls")


def test_a_create_secret_that_continues_late_does_not_block_the_rotations_after_it(rotation: Rotation) -> None:
    """AWSPENDING on a version that no rotation owns would make RotateSecret fail until somebody removes it."""
    token = rotation.start()

    with hanging(3, lambda: _overtake(rotation, token, 1)).injected():
        outcome = _run(rotation, "createSecret", token)
    assert "no longer being rotated in" in str(outcome)
    assert "AWSPENDING" not in rotation.labels().get(token, [])


@pytest.mark.parametrize("strategy", ["single_user", "alternating_users"])
def test_faults_reach_every_kind_of_call(rotations: Rotations, strategy: str) -> None:
    rotation: Rotation = getattr(rotations, strategy)()
    fault = Watched(1000)
    token = rotation.start()
    with fault.injected():
        rotation.steps(token, *STEPS)
    assert set(fault.calls) >= {
        "DescribeSecret",
        "GetSecretValue",
        "PutSecretValue",
        "UpdateSecretVersionStage",
        "GetRandomPassword",
        "connect",
        "SET",
        "SELECT",
        "ALTER",
        *({"BEGIN", "CREATE", "GRANT", "COMMIT"} if strategy == "alternating_users" else ()),
    }
