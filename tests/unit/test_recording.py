"""The recording mocks fail as the engine does. What they record shows in every golden plan."""

import asyncio
import contextvars
from collections.abc import Callable

import pulumi
import pulumi_aws as aws
import pytest

from tests.unit.conftest import UNKNOWN, Recorder


@pytest.mark.timeout(30)
def test_what_an_earlier_program_left_unfinished_is_not_waited_for(record: Recorder) -> None:
    loop = asyncio.new_event_loop()
    never = loop.create_task(asyncio.sleep(3600))

    def leave() -> None:
        setattr(pulumi.runtime.settings.SETTINGS, "outputs", {never})  # noqa: B010 - the SDK types it as its descriptor

    contextvars.Context().run(leave)
    assert record(lambda: aws.sns.Topic("topic")).named("topic")
    never.cancel()
    loop.run_until_complete(asyncio.wait([never]))
    loop.close()


def test_what_is_computed_is_unknown_in_a_preview(record: Recorder) -> None:
    def program() -> None:
        aws.sns.TopicPolicy("policy", arn=aws.sns.Topic("topic").arn, policy="{}")

    assert record(program, preview=True).named("policy").inputs["arn"] == UNKNOWN


@pytest.mark.parametrize("program", [lambda: 1 // 0, lambda: pulumi.Output.from_input(0).apply(lambda zero: 1 // zero)])
def test_the_programs_exception_comes_through(record: Recorder, program: Callable[[], object]) -> None:
    with pytest.raises(ZeroDivisionError):
        record(program)


def test_a_duplicate_name_is_refused_as_by_the_engine(record: Recorder) -> None:
    def program() -> None:
        aws.sns.Topic("twice")
        aws.sns.Topic("twice")

    with pytest.raises(Exception, match="duplicate URN"):
        record(program)
