"""Amazon EventBridge. Pulumi has its types in the module `cloudwatch`.

Source: terraform-provider-aws 6.x (2026), internal/service/events/rule.go, target.go and validate.go.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import same_json
from sandbox.providers._resource import (
    Autoname,
    Inputs,
    Prop,
    ProviderError,
    between,
    fields,
    is_json,
    matches,
    one_of,
)
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, camel, is_arn, pascal, tag_list, tag_map, tagging
from sandbox.providers.aws._session import Aws

_STATES = ("ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")
_BUS = "default"
_RULE_NAME = matches(r"[0-9A-Za-z_.-]+", 1, 64)
_MAX_PATTERN = 2_048
"""Source: AWS, "Amazon EventBridge quotas", event pattern size. The provider's own check lets 4,096 pass."""


def _is_pattern(value: Any) -> str | None:
    """The text is JSON that EventBridge has room for."""
    if len(value) > _MAX_PATTERN:
        return f"has {len(value):,} characters: EventBridge refuses an event pattern of more than {_MAX_PATTERN:,}"
    return is_json(value)


class EventRule(AwsResource):
    """A rule with an event pattern."""

    type_name = "aws:cloudwatch/eventRule:EventRule"
    title = "EventBridge Rule"
    tagged = tagging("events", "ResourceARN")
    autoname = Autoname(max_length=64)
    inputs: ClassVar[Inputs] = {
        "description": Prop(str, aws="Description", check=matches(r".*", 0, 512)),
        "eventBusName": Prop(str, aws="EventBusName", default=_BUS, force_new=True, check=one_of(_BUS)),
        "eventPattern": Prop(str, aws="EventPattern", required=True, same=same_json, check=_is_pattern),
        "forceDestroy": Prop(bool, default=False, unread=True, check=one_of(False)),
        "name": Prop(str, aws="Name", computed=True, force_new=True, check=_RULE_NAME),
        "state": Prop(str, aws="State", computed=True, check=one_of(*_STATES)),
    }
    computed = ("arn",)

    def create(self, aws: Aws, new: Properties) -> str:
        self._put(aws, new, Tags=tag_list(new["tagsAll"]))
        return new["name"]

    def _put(self, aws: Aws, new: Properties, **more: Any) -> None:
        aws.client("events").put_rule(**self.sent({"state": "ENABLED", **new}), **more)

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        client = aws.client("events")
        found = client.describe_rule(Name=resource_id, EventBusName=_BUS)
        return {
            **self.told({"EventBusName": _BUS, "Description": "", **found}),
            "arn": found["Arn"],
            "tagsAll": tag_map(client.list_tags_for_resource(ResourceARN=found["Arn"])["Tags"]),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        self._put(aws, new)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteRule; with targets left it is AWS's error, which moto doesn't give."""
        if aws.own("events").list_targets_by_rule(Rule=resource_id, EventBusName=_BUS)["Targets"]:
            raise ProviderError(
                "operation error EventBridge: DeleteRule, https response error StatusCode: 400, "
                "ValidationException: Rule can't be deleted since it has targets."
            )
        aws.client("events").delete_rule(Name=resource_id, EventBusName=_BUS, Force=False)


_BLOCKS = {"inputTransformer": "InputTransformer", "retryPolicy": "RetryPolicy"}
"""The blocks of a target: Pulumi's name, EventBridge's name."""

_MAX_PATHS = 100
"""Source: terraform-provider-aws 6.x, internal/service/events/target.go."""


def _transformer(block: Any) -> str | None:
    """What the official plugin and EventBridge refuse of an input transformer."""
    paths: Mapping[str, str] = block.get("inputPaths") or {}
    if len(paths) > _MAX_PATHS:
        return f"expected at most {_MAX_PATHS} input paths, got {len(paths)}"
    for key in paths:
        if key.upper().startswith("AWS"):
            return f"a key of inputPaths must not start with AWS, got {key}"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", key):
            return f"a key of inputPaths has letters, digits, _ and -, got {key}"
    return matches(r".*", 1, 8192)(block.get("inputTemplate") or "")


def _up_to(limit: int) -> Callable[[Any], str | None]:
    """The number is in range; one that is not known yet is right."""

    def check(value: Any) -> str | None:
        return between(0, limit)(value) if isinstance(value, int | float) else None

    return check


class EventTarget(AwsResource):
    """A target of a rule."""

    type_name = "aws:cloudwatch/eventTarget:EventTarget"
    title = "EventBridge Target"
    autoname = Autoname("targetId")
    inputs: ClassVar[Inputs] = {
        "arn": Prop(str, aws="Arn", required=True, check=is_arn),
        "eventBusName": Prop(str, default=_BUS, force_new=True, check=one_of(_BUS)),
        "forceDestroy": Prop(bool, default=False, unread=True, check=one_of(False)),
        "inputTransformer": Prop(dict, check=_transformer),
        "retryPolicy": Prop(
            dict, check=fields(maximumEventAgeInSeconds=_up_to(86_400), maximumRetryAttempts=_up_to(185))
        ),
        "roleArn": Prop(str, aws="RoleArn", check=is_arn),
        "rule": Prop(str, required=True, force_new=True, check=_RULE_NAME),
        "targetId": Prop(str, aws="Id", computed=True, force_new=True, check=matches(r"[0-9A-Za-z_.-]+", 1, 64)),
    }

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        return resource_id or f"{inputs.get('rule', '')}-{inputs.get('targetId', '')}"

    def create(self, aws: Aws, new: Properties) -> str:
        self._put(aws, new)
        return f"{new['rule']}-{new['targetId']}"

    def _put(self, aws: Aws, new: Properties) -> None:
        blocks = {theirs: _sent(new[ours]) for ours, theirs in _BLOCKS.items() if new.get(ours)}
        _require_all(
            aws.client("events").put_targets(
                Rule=new["rule"], EventBusName=new["eventBusName"], Targets=[{**self.sent(new), **blocks}]
            )
        )

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """ListTargetsByRule; an import's id is RULE/TARGET.

        A block that was removed by hand stays in the state, as in the official plugin.
        """
        if state:
            rule, target_id = state["rule"], state["targetId"]
        else:
            rule, _, target_id = resource_id.rpartition("/")
        targets = aws.client("events").list_targets_by_rule(Rule=rule, EventBusName=_BUS, Limit=100)["Targets"]
        found = next((item for item in targets if item["Id"] == target_id), None)
        if found is None:
            return None
        return {
            **self.told(found),
            "id": f"{rule}-{target_id}",
            "eventBusName": _BUS,
            "rule": rule,
            **{ours: _received(found[theirs]) for ours, theirs in _BLOCKS.items() if found.get(theirs)},
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        self._put(aws, new)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        where = {"Rule": old["rule"], "EventBusName": _BUS, "Ids": [old["targetId"]]}
        _require_all(aws.client("events").remove_targets(**where, Force=False))


def _require_all(answer: Mapping[str, Any]) -> None:
    """PutTargets and RemoveTargets answer 200 with what failed."""
    for failed in answer.get("FailedEntries", []):
        raise ProviderError(f"{failed.get('TargetId')}: {failed.get('ErrorCode')}: {failed.get('ErrorMessage')}")


def _sent(block: Mapping[str, Any]) -> dict[str, Any]:
    """A target's block as EventBridge wants it; the keys of the input paths are the user's own."""
    return pascal({"inputPathsMap" if key == "inputPaths" else key: value for key, value in block.items()}, keep=_PATHS)


def _received(found: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `_sent`."""
    block = camel(found, keep=_PATHS)
    return {"inputPaths" if key == "inputPathsMap" else key: value for key, value in block.items()}


_PATHS = {"inputPathsMap"}

RESOURCES = (EventRule(), EventTarget())
