"""The recording mocks show what the engine would get, also what stock mocks drop."""

import asyncio
import contextvars
from collections.abc import Callable

import pulumi
import pulumi_aws as aws
import pulumi_random as random
import pytest

from tests.unit.conftest import UNKNOWN, Recorder, Secret


class Component(pulumi.ComponentResource):
    def __init__(self) -> None:
        super().__init__("test:index:Component", "parent")
        password = random.RandomPassword(
            "password",
            length=12,
            opts=pulumi.ResourceOptions(parent=self, protect=True, ignore_changes=["length"]),
        )
        secret = aws.secretsmanager.Secret("secret", name="app", opts=pulumi.ResourceOptions(parent=self))
        aws.secretsmanager.SecretVersion(
            "version",
            secret_id=secret.id,
            secret_string=password.result,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[secret],
                delete_before_replace=True,
                aliases=[pulumi.Alias(name="old")],
            ),
        )
        pulumi.export("password", password.result)
        pulumi.export("account", aws.get_caller_identity().account_id)
        pulumi.export("cpu", pulumi.Config().require_int("cpu"))
        pulumi.log.warn("careful")
        self.register_outputs({"arn": secret.arn})


CONFIG = {"service-ticket-system:cpu": 256}
ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:app-AbCdEf"


@pytest.mark.timeout(30)
def test_what_an_earlier_program_left_unfinished_is_not_waited_for(record: Recorder) -> None:
    loop = asyncio.new_event_loop()
    never = loop.create_task(asyncio.sleep(3600))

    def leave() -> None:
        setattr(pulumi.runtime.settings.SETTINGS, "outputs", {never})  # noqa: B010 - the SDK types it as its descriptor

    contextvars.Context().run(leave)
    assert record(Component, config=CONFIG).named("version")
    never.cancel()
    loop.run_until_complete(asyncio.wait([never]))
    loop.close()


def test_records_inputs_and_marks_secrets(record: Recorder) -> None:
    version = record(Component, config=CONFIG).one("aws:secretsmanager/secretVersion:SecretVersion")
    assert version.inputs["secretId"] == ARN
    assert version.inputs["secretString"] == Secret("random-value")


def test_records_options(record: Recorder) -> None:
    recording = record(Component, config=CONFIG)
    password, version = recording.named("password").options, recording.named("version").options
    assert (password.parent, password.protect, password.ignore_changes) == ("parent", True, ("length",))
    assert (version.depends_on, version.delete_before_replace, version.aliases) == (
        {"secret", "password"},
        True,
        ("old",),
    )
    assert version.property_dependencies == {"secretId": {"secret"}, "secretString": {"password"}}


def test_records_exports_component_outputs_and_log(record: Recorder) -> None:
    recording = record(Component, config=CONFIG)
    assert recording.exports == {"password": Secret("random-value"), "account": "111122223333", "cpu": 256}
    assert recording.component_outputs == {"parent": {"arn": ARN}}
    assert recording.log == ["warning: careful"]


def test_what_is_computed_is_unknown_in_a_preview(record: Recorder) -> None:
    assert record(Component, config=CONFIG, preview=True).named("version").inputs["secretId"] == UNKNOWN


def test_runs_are_apart(record: Recorder) -> None:
    assert record(Component, config=CONFIG).names() == record(Component, config=CONFIG).names()


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
