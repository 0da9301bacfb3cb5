"""Amazon EventBridge. Pulumi has its types in the module `cloudwatch`."""

import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import by, same_json
from sandbox.providers._resource import Autoname, Inputs, Prop, ProviderError, given, is_json, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, by_prefix, camel, pascal, retag, tag_list, tag_map
from sandbox.providers.aws._session import Aws

_STATES = ("ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")
_DEFAULT_BUS = "default"


def _in_bus(bus: str, *names: str, separator: str) -> str:
    """An id: names on the default bus stand alone."""
    return separator.join(names if bus == _DEFAULT_BUS else (bus, *names))


class EventRule(AwsResource):
    """A rule."""

    type_name = "aws:cloudwatch/eventRule:EventRule"
    title = "EventBridge Rule"
    tagged = True
    autoname = Autoname(max_length=64)
    inputs: ClassVar[Inputs] = {
        "description": Prop(str),
        "eventBusName": Prop(str, default=_DEFAULT_BUS, force_new=True),
        "eventPattern": Prop(str, same=same_json, check=is_json),
        "forceDestroy": Prop(bool, default=False, unread=True),
        "isEnabled": Prop(bool, unread=True),
        "name": Prop(str, computed=True, force_new=True),
        "namePrefix": Prop(str, computed=True, force_new=True),
        "roleArn": Prop(str),
        "scheduleExpression": Prop(str),
        "state": Prop(str, computed=True, check=one_of(*_STATES)),
    }
    computed = ("arn",)

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """A pattern or a schedule, and one way to switch it."""
        if "eventPattern" not in new and "scheduleExpression" not in new:
            yield "eventPattern", "one of eventPattern and scheduleExpression must be given"
        if "isEnabled" in new and "state" in new:
            yield "isEnabled", "conflicts with state"

    def create(self, aws: Aws, new: Properties) -> str:
        """PutRule."""
        name = by_prefix(new)
        self._put(aws, name, new, Tags=tag_list(new["tagsAll"]))
        return _in_bus(new["eventBusName"], name, separator="/")

    @staticmethod
    def _put(aws: Aws, name: str, new: Properties, **more: Any) -> None:
        state = new.get("state") or ("DISABLED" if new.get("isEnabled") is False else "ENABLED")
        aws.client("events").put_rule(
            Name=name,
            EventBusName=new["eventBusName"],
            State=state,
            **given(
                Description=new.get("description"),
                EventPattern=new.get("eventPattern"),
                RoleArn=new.get("roleArn"),
                ScheduleExpression=new.get("scheduleExpression"),
            ),
            **more,
        )

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeRule."""
        del state
        bus, name = _split_bus(resource_id)
        client = aws.client("events")
        found = client.describe_rule(Name=name, EventBusName=bus)
        return {
            "arn": found["Arn"],
            "name": found["Name"],
            "description": found.get("Description", ""),
            "eventBusName": found.get("EventBusName", bus),
            "eventPattern": found.get("EventPattern"),
            "roleArn": found.get("RoleArn"),
            "scheduleExpression": found.get("ScheduleExpression"),
            "state": found["State"],
            "tagsAll": tag_map(client.list_tags_for_resource(ResourceARN=found["Arn"])["Tags"]),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """PutRule with all of it, tags."""
        _, name = _split_bus(resource_id)
        if {*changed} - {"tags", "tagsAll", "forceDestroy"}:
            self._put(aws, name, new)
        client = aws.client("events")
        arn = old["arn"]
        retag(
            old,
            new,
            changed,
            put=lambda tags: client.tag_resource(ResourceARN=arn, Tags=tag_list(tags)),
            drop=lambda keys: client.untag_resource(ResourceARN=arn, TagKeys=keys),
        )

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteRule; with targets left it is AWS's error, which moto doesn't give."""
        bus, name = _split_bus(resource_id)
        client = aws.client("events")
        targets = client.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]
        if targets and old.get("forceDestroy"):
            client.remove_targets(Rule=name, EventBusName=bus, Ids=[item["Id"] for item in targets], Force=True)
        elif targets:
            raise ProviderError(
                "operation error EventBridge: DeleteRule, https response error StatusCode: 400, "
                "ValidationException: Rule can't be deleted since it has targets."
            )
        client.delete_rule(Name=name, EventBusName=bus, Force=bool(old.get("forceDestroy")))


def _split_bus(resource_id: str) -> tuple[str, str]:
    bus, _, name = resource_id.rpartition("/")
    return bus or _DEFAULT_BUS, name


_KEPT = ("inputPaths", "headerParameters", "queryStringParameters", "tags")
"""Blocks whose keys are the user's own."""

_BLOCKS = {
    "deadLetterConfig": "DeadLetterConfig",
    "ecsTarget": "EcsParameters",
    "httpTarget": "HttpParameters",
    "inputTransformer": "InputTransformer",
    "retryPolicy": "RetryPolicy",
    "sqsTarget": "SqsParameters",
}
"""The blocks of a target: Pulumi's name, EventBridge's name."""

_RENAMED = {
    "inputPaths": "InputPathsMap", "enableEcsManagedTags": "EnableECSManagedTags",
    "enableExecuteCommand": "EnableExecuteCommand", "pathParameterValues": "PathParameterValues",
    "maximumEventAgeInSeconds": "MaximumEventAgeInSeconds", "orderedPlacementStrategies": "PlacementStrategy",
    "capacityProviderStrategies": "CapacityProviderStrategy",
}  # fmt: skip


def _ecs(block: Any) -> dict[str, Any]:
    """An ECS target with EventBridge's defaults."""
    return {**(block or {}), "taskCount": (block or {}).get("taskCount") or 1}


class EventTarget(AwsResource):
    """A target of a rule."""

    type_name = "aws:cloudwatch/eventTarget:EventTarget"
    title = "EventBridge Target"
    inputs: ClassVar[Inputs] = {
        "arn": Prop(str, required=True),
        "deadLetterConfig": Prop(dict),
        "ecsTarget": Prop(dict, same=by(_ecs)),
        "eventBusName": Prop(str, default=_DEFAULT_BUS, force_new=True),
        "forceDestroy": Prop(bool, default=False, unread=True),
        "httpTarget": Prop(dict),
        "input": Prop(str, same=same_json),
        "inputPath": Prop(str),
        "inputTransformer": Prop(dict),
        "retryPolicy": Prop(dict),
        "roleArn": Prop(str),
        "rule": Prop(str, required=True, force_new=True),
        "sqsTarget": Prop(dict),
        "targetId": Prop(str, computed=True, force_new=True),
    }

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """Rule and target."""
        return resource_id or f"{inputs.get('rule', '')}-{inputs.get('targetId', '')}"

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """One way to make the target's input."""
        ways = [key for key in ("input", "inputPath", "inputTransformer") if key in new]
        if len(ways) > 1:
            yield ways[1], f"conflicts with {ways[0]}"

    def create(self, aws: Aws, new: Properties) -> str:
        """PutTargets."""
        new.setdefault("targetId", f"pulumi-{secrets.token_hex(8)}")
        self._put(aws, new)
        return _in_bus(new["eventBusName"], new["rule"], new["targetId"], separator="-")

    @staticmethod
    def _put(aws: Aws, new: Properties) -> None:
        target = given(
            Id=new["targetId"],
            Arn=new["arn"],
            RoleArn=new.get("roleArn"),
            Input=new.get("input"),
            InputPath=new.get("inputPath"),
            **{theirs: _sent(new[ours]) for ours, theirs in _BLOCKS.items() if new.get(ours)},
        )
        answer = aws.client("events").put_targets(Rule=new["rule"], EventBusName=new["eventBusName"], Targets=[target])
        for failed in answer.get("FailedEntries", []):
            raise ProviderError(f"{failed.get('ErrorCode')}: {failed.get('ErrorMessage')}")

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """ListTargetsByRule; an import's id is [BUS/]RULE/TARGET."""
        if state:
            bus, rule, target_id = state["eventBusName"], state["rule"], state["targetId"]
        else:
            place, _, target_id = resource_id.rpartition("/")
            bus, rule = _split_bus(place)
        targets = aws.client("events").list_targets_by_rule(Rule=rule, EventBusName=bus)["Targets"]
        found = next((item for item in targets if item["Id"] == target_id), None)
        if found is None:
            return None
        return {
            "id": _in_bus(bus, rule, target_id, separator="-"),
            "eventBusName": bus,
            "rule": rule,
            "targetId": target_id,
            "arn": found["Arn"],
            "roleArn": found.get("RoleArn"),
            "input": found.get("Input"),
            "inputPath": found.get("InputPath"),
            "region": aws.region,
            **{ours: _received(found[theirs]) if found.get(theirs) else None for ours, theirs in _BLOCKS.items()},
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """PutTargets with all of it."""
        del resource_id, changed
        self._put(aws, {**new, "targetId": old["targetId"]})

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """RemoveTargets."""
        del resource_id
        aws.client("events").remove_targets(
            Rule=old["rule"],
            EventBusName=old["eventBusName"],
            Ids=[old["targetId"]],
            Force=old.get("forceDestroy", False),
        )


def _sent(block: Mapping[str, Any]) -> dict[str, Any]:
    """A target's block as EventBridge wants it."""
    sent = pascal(
        {key: value for key, value in block.items() if key not in ("networkConfiguration", "tags")}, keep=_KEPT
    )
    for ours, theirs in _RENAMED.items():
        name = ours[:1].upper() + ours[1:]
        if name in sent and name != theirs:
            sent[theirs] = sent.pop(name)
    if block.get("tags"):
        sent["Tags"] = tag_list(block["tags"])
    network = block.get("networkConfiguration")
    if network:
        sent["NetworkConfiguration"] = {
            "awsvpcConfiguration": given(
                Subnets=network["subnets"],
                SecurityGroups=network.get("securityGroups"),
                AssignPublicIp="ENABLED" if network.get("assignPublicIp") else "DISABLED",
            )
        }
    return sent


def _received(found: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `_sent`."""
    back = {theirs: ours for ours, theirs in _RENAMED.items()}
    block = {
        back.get(key, key[:1].lower() + key[1:]): value if key == "InputPathsMap" else camel(value, keep=_KEPT)
        for key, value in found.items()
        if key not in ("NetworkConfiguration", "Tags")
    }
    if found.get("Tags"):
        block["tags"] = tag_map(found["Tags"])
    network = (found.get("NetworkConfiguration") or {}).get("awsvpcConfiguration")
    if network:
        block["networkConfiguration"] = {
            **camel(network),
            "assignPublicIp": network.get("AssignPublicIp") == "ENABLED",
        }
    return block


RESOURCES = (EventRule(), EventTarget())
