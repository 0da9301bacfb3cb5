"""Amazon EventBridge Scheduler.

Source: terraform-provider-aws 6 (2026), internal/service/scheduler/schedule.go.
"""

from collections.abc import Collection
from typing import Any, ClassVar

from sandbox.providers._diff import same
from sandbox.providers._resource import (
    Autoname,
    Inputs,
    Prop,
    ProviderError,
    between,
    fields,
    given,
    is_time,
    matches,
    one_of,
)
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, by_prefix, camel, is_arn, pascal
from sandbox.providers.aws._session import Aws

_RETRY_DEFAULTS = {"maximumEventAgeInSeconds": 86_400, "maximumRetryAttempts": 185}


def _same_target(old: Any, new: Any) -> bool:
    """The official plugin takes a retry policy that the program does not name any more for unchanged: it stays."""
    return same(_with_defaults(old or {}), _with_defaults(_kept_retry(old, new)))


def _with_defaults(target: Any) -> dict[str, Any]:
    """A retry policy that is given says both limits."""
    retry = target.get("retryPolicy")
    return {**target, "retryPolicy": {**_RETRY_DEFAULTS, **retry}} if retry is not None else dict(target)


def _kept_retry(old: Any, new: Any) -> dict[str, Any]:
    new = new or {}
    retry = (old or {}).get("retryPolicy")
    return {**new, "retryPolicy": retry} if retry and not new.get("retryPolicy") else dict(new)


def _target_problem(block: Any) -> str | None:
    """Only what this project uses."""
    known = {"arn", "deadLetterConfig", "input", "retryPolicy", "roleArn"}
    if {*block} - known:
        return f"the sandbox's stand-in supports {', '.join(sorted(known))}, got {', '.join(sorted({*block} - known))}"
    return fields(
        "arn",
        "roleArn",
        arn=is_arn,
        roleArn=is_arn,
        input=lambda text: None if text else "expected a text of at least 1 character, got one of 0",
        deadLetterConfig=fields("arn", arn=is_arn),
        retryPolicy=fields(maximumEventAgeInSeconds=between(60, 86_400), maximumRetryAttempts=between(0, 185)),
    )(block)


class Schedule(AwsResource):
    """A schedule."""

    type_name = "aws:scheduler/schedule:Schedule"
    title = "EventBridge Scheduler Schedule"
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "actionAfterCompletion": Prop(str, computed=True, check=one_of("NONE", "DELETE")),
        "description": Prop(str, check=matches(r".*", 0, 512)),
        "endDate": Prop(str, check=is_time),
        "flexibleTimeWindow": Prop(
            dict,
            required=True,
            check=fields("mode", mode=one_of("OFF", "FLEXIBLE"), maximumWindowInMinutes=between(1, 1440)),
        ),
        "groupName": Prop(str, computed=True, force_new=True, check=matches(r".*", 1, 64)),
        "kmsKeyArn": Prop(str, check=is_arn),
        "name": Prop(str, computed=True, force_new=True, check=matches(r"[0-9A-Za-z_.-]+", 1, 64)),
        "namePrefix": Prop(str, computed=True, force_new=True, check=matches(r"[0-9A-Za-z_.-]+", 1, 38)),
        "scheduleExpression": Prop(str, required=True, check=matches(r".*", 1, 256)),
        "scheduleExpressionTimezone": Prop(str, default="UTC", check=matches(r".*", 1, 50)),
        "startDate": Prop(str, check=is_time),
        "state": Prop(str, default="ENABLED", check=one_of("ENABLED", "DISABLED")),
        "target": Prop(dict, required=True, same=_same_target, check=_target_problem),
    }
    computed = ("arn",)

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateSchedule; the ARN tells the group."""
        group = given(GroupName=new.get("groupName") or None)
        answer = aws.client("scheduler").create_schedule(Name=by_prefix(new), **group, **_settings(new))
        return answer["ScheduleArn"].split("/", 1)[1]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetSchedule."""
        del state
        group, name = _parts(resource_id)
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
        group, name = _parts(resource_id)
        kept = {"target": _kept_retry(old.get("target"), new["target"])}
        # Optional and computed: what the state has is sent again.
        kept |= given(actionAfterCompletion=new.get("actionAfterCompletion") or old.get("actionAfterCompletion"))
        aws.client("scheduler").update_schedule(Name=name, GroupName=group, **_settings({**new, **kept}))

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteSchedule."""
        del old
        group, name = _parts(resource_id)
        aws.client("scheduler").delete_schedule(Name=name, GroupName=group)


def _parts(resource_id: str) -> tuple[str, str]:
    """Group and name."""
    parts = resource_id.split("/")
    if len(parts) != 2 or not all(parts):  # noqa: PLR2004 - a group and a name
        raise ProviderError(f"unexpected format for ID ({resource_id}), expected GROUP_NAME/SCHEDULE_NAME")
    return parts[0], parts[1]


def _date(found: Any) -> str | None:
    return found.strftime("%Y-%m-%dT%H:%M:%SZ") if found else None


def _settings(new: Properties) -> dict[str, Any]:
    """What CreateSchedule and UpdateSchedule have in common."""
    return given(
        ActionAfterCompletion=new.get("actionAfterCompletion") or None,
        Description=new.get("description") or None,
        EndDate=new.get("endDate") or None,
        FlexibleTimeWindow=pascal(new["flexibleTimeWindow"]),
        KmsKeyArn=new.get("kmsKeyArn") or None,
        ScheduleExpression=new["scheduleExpression"],
        ScheduleExpressionTimezone=new["scheduleExpressionTimezone"],
        StartDate=new.get("startDate") or None,
        State=new["state"],
        Target=pascal(_with_defaults(new["target"])),
    )


RESOURCES = (Schedule(),)
