"""Amazon EventBridge Scheduler.

Source: terraform-provider-aws 6.x (2026), internal/service/scheduler/schedule.go.
"""

from collections.abc import Collection
from typing import Any, ClassVar

from sandbox.providers._diff import same
from sandbox.providers._resource import Autoname, Inputs, Prop, given, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, by_prefix, camel, is_arn, pascal
from sandbox.providers.aws._session import Aws


def _same_target(old: Any, new: Any) -> bool:
    """The official plugin takes a retry policy that the program does not name any more for unchanged: it stays."""
    return same(old, _kept_retry(old, new))


def _kept_retry(old: Any, new: Any) -> dict[str, Any]:
    new = new or {}
    retry = (old or {}).get("retryPolicy")
    return {**new, "retryPolicy": retry} if retry and not new.get("retryPolicy") else dict(new)


def _target_problem(block: Any) -> str | None:
    """Only what this project uses; the official plugin checks both ARNs in a preview."""
    known = {"arn", "deadLetterConfig", "input", "retryPolicy", "roleArn"}
    if {*block} - known:
        return f"the sandbox's stand-in supports {', '.join(sorted(known))}, got {', '.join(sorted({*block} - known))}"
    arns = (block.get(key) for key in ("arn", "roleArn"))
    return next((reason for arn in arns if isinstance(arn, str) and (reason := is_arn(arn))), None)


class Schedule(AwsResource):
    """A schedule."""

    type_name = "aws:scheduler/schedule:Schedule"
    title = "EventBridge Scheduler Schedule"
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "actionAfterCompletion": Prop(str, computed=True, check=one_of("NONE", "DELETE")),
        "description": Prop(str, check=matches(r".*", 0, 512)),
        "endDate": Prop(str),
        "flexibleTimeWindow": Prop(dict, required=True),
        "groupName": Prop(str, computed=True, force_new=True),
        "kmsKeyArn": Prop(str, check=is_arn),
        "name": Prop(str, computed=True, force_new=True, check=matches(r"[0-9A-Za-z_.-]+", 1, 64)),
        "namePrefix": Prop(str, computed=True, force_new=True, check=matches(r"[0-9A-Za-z_.-]+", 1, 38)),
        "scheduleExpression": Prop(str, required=True, check=matches(r".*", 1, 256)),
        "scheduleExpressionTimezone": Prop(str, default="UTC"),
        "startDate": Prop(str),
        "state": Prop(str, default="ENABLED", check=one_of("ENABLED", "DISABLED")),
        "target": Prop(dict, required=True, same=_same_target, check=_target_problem),
    }
    computed = ("arn",)

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateSchedule."""
        name, group = by_prefix(new), new.get("groupName") or "default"
        aws.client("scheduler").create_schedule(Name=name, GroupName=group, **_settings(new))
        return f"{group}/{name}"

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetSchedule."""
        del state
        group, _, name = resource_id.partition("/")
        found = aws.client("scheduler").get_schedule(Name=name, GroupName=group)
        return {
            "arn": found["Arn"],
            "name": found["Name"],
            "groupName": found.get("GroupName", group),
            "description": found.get("Description", ""),
            "startDate": _date(found.get("StartDate")),
            "endDate": _date(found.get("EndDate")),
            "flexibleTimeWindow": camel(found["FlexibleTimeWindow"]),
            "kmsKeyArn": found.get("KmsKeyArn"),
            "scheduleExpression": found["ScheduleExpression"],
            "scheduleExpressionTimezone": found.get("ScheduleExpressionTimezone", "UTC"),
            "state": found["State"],
            "target": camel(found["Target"]),
            "region": aws.region,
            **given(actionAfterCompletion=found.get("ActionAfterCompletion")),
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """UpdateSchedule with all of it."""
        del changed
        group, _, name = resource_id.partition("/")
        target = _kept_retry(old.get("target"), new["target"])
        aws.client("scheduler").update_schedule(Name=name, GroupName=group, **_settings({**new, "target": target}))

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteSchedule."""
        del old
        group, _, name = resource_id.partition("/")
        aws.client("scheduler").delete_schedule(Name=name, GroupName=group)


def _date(found: Any) -> str | None:
    return found.strftime("%Y-%m-%dT%H:%M:%SZ") if found else None


def _settings(new: Properties) -> dict[str, Any]:
    """What CreateSchedule and UpdateSchedule have in common."""
    return given(
        ActionAfterCompletion=new.get("actionAfterCompletion"),
        Description=new.get("description"),
        EndDate=new.get("endDate"),
        FlexibleTimeWindow=pascal(new["flexibleTimeWindow"]),
        KmsKeyArn=new.get("kmsKeyArn"),
        ScheduleExpression=new["scheduleExpression"],
        ScheduleExpressionTimezone=new["scheduleExpressionTimezone"],
        StartDate=new.get("startDate"),
        State=new["state"],
        Target=pascal(new["target"]),
    )


RESOURCES = (Schedule(),)
