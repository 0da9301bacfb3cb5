"""Random sequences of what users do; `make soak` plays thousands of steps and prints the seed (`make soak SEED=N` repeats it)."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from sandbox import postgresql
from tests.sandbox.values_model import STEPS, Bag, Broken, ValuesModel

pytestmark = pytest.mark.slow

_LIVES = int(os.environ.get("SOAK_LIVES", "0"))
"""Stacks that a soak plays; without it a short run that is always the same, and plays each kind of step once."""

_STEPS = 40 if _LIVES else 1 + -(-len(STEPS) // 2)


class _Told(list[str]):
    """The steps of a soak, each shown with its number as it is done."""

    def append(self, step: str, /) -> None:
        super().append(step)
        sys.stdout.write(f"{len(self)} {step}\n")
        sys.stdout.flush()


@pytest.fixture(scope="module")
def database() -> Iterator[postgresql.Database]:
    with postgresql.running("tickets") as running:
        yield running


def test_whatever_users_do_no_live_value_is_lost(
    sandbox: Any, project_copy: Callable[..., Any], database: postgresql.Database, request: pytest.FixtureRequest
) -> None:
    told: list[str] = _Told() if _LIVES else []

    class Machine(ValuesModel):
        pass

    Machine.sandbox, Machine.database, Machine.make = sandbox, database, staticmethod(project_copy)
    if _LIVES and (seed := request.config.getoption("--hypothesis-seed")):
        Machine.salt = f"{seed}/"
    Machine.bag, Machine.steps, Machine.counts = Bag(), told, Counter()
    chosen = settings(
        max_examples=_LIVES or 2,
        stateful_step_count=_STEPS,
        deadline=None,
        database=None,
        derandomize=not _LIVES,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    try:
        # Else some lives end after one step: Hypothesis leaves itself that way to make a failure shorter, which we don't ask for.
        run_state_machine_as_test(Machine, settings=chosen, _min_steps=_STEPS - 1)
    except Broken:
        pytest.fail(Machine.broken, pytrace=False)
    finally:
        sys.stdout.write(f"played: {_played(Machine.counts)}\n")
    assert Machine.counts.keys() >= {function.__name__ for function, _ in STEPS}


def _played(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
