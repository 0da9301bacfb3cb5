"""A rotation that dies before or after any of its calls: the database stays reachable, and repeating the step ends it.

The calls are counted, not listed: every boto3 call, every connection and every SQL statement, whichever there are.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import pg8000.native
import pytest
from botocore.client import BaseClient

from functions.rotate_postgresql.errors import RotationError
from tests.functions.conftest import STEPS, Rotation, Rotations


class Killed(BaseException):
    """The execution environment is gone: no handler of ours runs."""


# Death after a call leaves what death before the next one leaves; a lost answer also tells the function of it.
FAULTS: dict[str, tuple[Literal["before", "after"], Callable[[], BaseException]]] = {
    "killed-before": ("before", Killed),
    "answer-lost-after": ("after", lambda: ConnectionResetError("password=hunter2")),
}


@dataclass
class Fault:
    """Lets the calls before number `at` through, and fails at that one."""

    at: int
    kind: str
    calls: list[str] = field(default_factory=list[str])

    @property
    def struck(self) -> bool:
        return len(self.calls) >= self.at

    def around(self, name: str, call: Callable[[], Any]) -> Any:
        self.calls.append(name)
        moment, make_error = FAULTS[self.kind]
        strikes = len(self.calls) == self.at
        if strikes and moment == "before":
            raise make_error()
        try:
            return call()
        finally:
            if strikes and moment == "after":  # also instead of the error that the call ended with
                raise make_error()

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
            return self.around(name(args), lambda: original(target, *args, **kwargs))

        patch.setattr(owner, method, wrapped)


ALTERNATING = ("alternating_users", 0)
CASES = [
    *(("single_user", 0, step) for step in STEPS),
    *((*ALTERNATING, step) for step in STEPS),  # the clone does not exist before setSecret
    ("alternating_users", 1, "setSecret"),  # the original's turn
    ("alternating_users", 2, "setSecret"),  # the clone's turn again
]


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
        if strategy == "alternating_users":  # the same user's turn each time; the one in use is never touched
            rotation.put(first_turn)
            if completed_rotations == 0:
                rotation.database.sql(f"DROP ROLE IF EXISTS {rotation.user}_clone")
        held_by_clients = rotation.value()
        token = rotation.start()
        rotation.steps(token, *before)
        fault = Fault(at, kind)

        with fault.injected():
            outcome = _run(rotation, step, token)

        if not fault.struck:
            assert at > 3, "the step made no calls"
            return
        assert outcome is not None, f"the fault at call {at} was swallowed: {fault.calls}"
        assert "hunter2" not in str(outcome)
        assert _someone_gets_in(rotation, strategy, held_by_clients, token), f"locked out at call {at}: {fault.calls}"
        rotation.steps(token, *from_step_on)
        assert rotation.value() == rotation.version(token)
        assert rotation.works()
    pytest.fail("the step never ran without a fault")


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


@pytest.mark.parametrize("strategy", ["single_user", "alternating_users"])
def test_faults_reach_every_kind_of_call(rotations: Rotations, strategy: str) -> None:
    rotation: Rotation = getattr(rotations, strategy)()
    fault = Fault(1000, "killed-before")
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
