"""Amazon EventBridge Scheduler."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import by
from sandbox.providers._resource import Autoname, Inputs, Prop, given, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, by_prefix, camel, pascal
from sandbox.providers.aws._session import Aws

_DEFAULT_RETRY = {"maximumEventAgeInSeconds": 86400, "maximumRetryAttempts": 185}


def _target(block: Any) -> dict[str, Any]:
    """A target with Scheduler's default retry policy."""
    block = block or {}
    return {**block, "retryPolicy": _DEFAULT_RETRY | (block.get("retryPolicy") or {})}


class Schedule(AwsResource):
    """A schedule."""

    type_name = "aws:scheduler/schedule:Schedule"
    title = "EventBridge Scheduler Schedule"
    autoname = Autoname(max_length=64)
    inputs: ClassVar[Inputs] = {
        "actionAfterCompletion": Prop(str, computed=True, check=one_of("NONE", "DELETE")),
        "description": Prop(str),
        "endDate": Prop(str),
        "flexibleTimeWindow": Prop(dict, required=True),
        "groupName": Prop(str, computed=True, force_new=True),
        "kmsKeyArn": Prop(str),
        "name": Prop(str, computed=True, force_new=True),
        "namePrefix": Prop(str, computed=True, force_new=True),
        "scheduleExpression": Prop(str, required=True),
        "scheduleExpressionTimezone": Prop(str, default="UTC"),
        "startDate": Prop(str),
        "state": Prop(str, default="ENABLED", check=one_of("ENABLED", "DISABLED")),
        "target": Prop(dict, required=True, same=by(_target)),
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
            "target": _received(found["Target"]),
            "region": aws.region,
            **given(actionAfterCompletion=found.get("ActionAfterCompletion")),
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """UpdateSchedule with all of it."""
        del old, changed
        group, _, name = resource_id.partition("/")
        aws.client("scheduler").update_schedule(Name=name, GroupName=group, **_settings(new))

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
        Target=_sent(_target(new["target"])),
    )


def _sent(target: Mapping[str, Any]) -> dict[str, Any]:
    """A target as Scheduler wants it."""
    ecs = dict(target.get("ecsParameters") or {})
    network = ecs.pop("networkConfiguration", None)
    tags = ecs.pop("tags", None)
    sent = pascal(
        {key: value for key, value in target.items() if key not in ("ecsParameters", "eventbridgeParameters")}
    )
    if target.get("eventbridgeParameters"):
        sent["EventBridgeParameters"] = pascal(target["eventbridgeParameters"])
    if ecs:
        strategies = ecs.pop("capacityProviderStrategies", None)
        sent["EcsParameters"] = pascal({key: value for key, value in ecs.items() if key != "enableEcsManagedTags"})
        sent["EcsParameters"] |= given(
            EnableECSManagedTags=ecs.get("enableEcsManagedTags"),
            CapacityProviderStrategy=strategies,
            Tags=[tags] if tags else None,
            NetworkConfiguration=network
            and {
                "awsvpcConfiguration": given(
                    Subnets=network["subnets"],
                    SecurityGroups=network.get("securityGroups"),
                    AssignPublicIp="ENABLED" if network.get("assignPublicIp") else "DISABLED",
                )
            },
        )
    return sent


def _received(found: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `_sent`."""
    target = camel(found)
    if "eventBridgeParameters" in target:
        target["eventbridgeParameters"] = target.pop("eventBridgeParameters")
    ecs = target.get("ecsParameters")
    if ecs:
        ecs["enableEcsManagedTags"] = ecs.pop("enableECSManagedTags", None)
        ecs["capacityProviderStrategies"] = ecs.pop("capacityProviderStrategy", None)
        ecs["tags"] = next(iter(found["EcsParameters"].get("Tags") or []), None)
        network = (ecs.get("networkConfiguration") or {}).get("awsvpcConfiguration")
        if network:
            ecs["networkConfiguration"] = {**network, "assignPublicIp": network.get("assignPublicIp") == "ENABLED"}
    return target


RESOURCES = (Schedule(),)
