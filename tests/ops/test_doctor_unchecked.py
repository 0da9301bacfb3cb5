"""A check that fails is one finding and does not stop the others, whatever fails: AWS, an answer, or the check."""

import importlib
import inspect
from typing import Any

import pytest

from ops._errors import AwsError
from ops.doctor.finding import Finding, Unread, guarded, summed_up
from tests.ops.conftest import Deployed as Stack

PARTS = {
    "secrets._existence": {"exists"},
    "secrets._values": {"value"},
    "secrets._json": {"json"},
    "task._state": {"task-definition"},
    "task._leaks": {"plain-text"},
    "task.image_in_ecr": {"image"},
    "task._rekey": set[str](),
    "role._trust": {"role"},
    "role._wanted": {"permission", "key"},
    "role._start": {"start"},
    "upkeep._late": set[str](),
    "upkeep._replicas": {"replica"},
    "service._state": {"service"},
    "service._stopped": {"stopped"},
    "service._stale": {"redeploy"},
    "network._ask": {"network"},
    "snapshot.read_task_definition": {"task-definition", "value-from", "plain-text", "image", "json", "permission", "start"},
    "snapshot.resource_policies": {"permission"},
    "snapshot.read_values": {"value", "json", "plain-text"},
    "snapshot.describe_all": {"exists", "deletion", "value", "json", "key", "permission", "rotation", "replica"},
}  # fmt: skip
"""What fails, and the checks that are expected to report it."""


@pytest.mark.slow
def test_a_check_that_fails_takes_no_other_with_it(stack: Stack, ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.run_service(1)
    subnet = stack.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    vpc = {"subnets": [subnet], "securityGroups": [], "assignPublicIp": "ENABLED"}
    stack.client("ecs").update_service(
        cluster="main", service="tickets", networkConfiguration={"awsvpcConfiguration": vpc}
    )
    whole = ops(stack, "doctor", "--json").json["findings"]
    every = {finding["check"] for finding in whole}
    for part, checks in PARTS.items():
        with monkeypatch.context() as patch:

            def fail(*_: object, **__: object) -> None:
                raise IndexError("a text that could quote a value")

            def fail_later(*_: object, **__: object) -> Any:
                yield from ()
                fail()

            module, _, name = part.partition(".")
            now = getattr(importlib.import_module(f"ops.doctor.{module}"), name)
            patch.setattr(f"ops.doctor.{part}", fail_later if inspect.isgeneratorfunction(now) else fail)

            done = ops(stack, "doctor", "--json")

        findings = done.json["findings"]
        told = {finding["check"] for finding in findings if finding["status"] == "unchecked"}
        assert checks <= told, (part, told)
        assert every - {"redeploy"} <= {finding["check"] for finding in findings}, part
        bad = {finding["status"] for finding in findings}
        assert done.status == (1 if bad & {"failure", "warning"} else 2 if checks else 0), (part, bad)
        assert "quote a value" not in done.out + done.err
        assert all("could not be checked: " in f["found"] for f in findings if f["status"] == "unchecked")


def test_problems_that_were_found_before_a_check_failed_are_kept() -> None:
    def problems() -> Any:
        yield Finding("value", "failure", "a", "is empty")
        raise KeyError("b")

    assert [(f.status, f.subject) for f in summed_up("value", problems(), ok="")] == [
        ("failure", "a"),
        ("unchecked", ""),
    ]


def test_what_was_not_read_is_not_taken_for_empty() -> None:
    (found,) = guarded("exists", lambda: [Finding("exists", "ok", "", str(len(Unread[str, str]("AWS failed"))))])

    assert (found.status, found.found) == ("unchecked", "could not be checked: AWS failed")


def test_credentials_that_end_meanwhile_are_one_error() -> None:
    def expire() -> Any:
        raise AwsError("your AWS credentials have expired", "ExpiredToken")

    with pytest.raises(AwsError, match="have expired"):
        list(guarded("exists", expire))
