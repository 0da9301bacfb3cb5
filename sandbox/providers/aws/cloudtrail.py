"""AWS CloudTrail."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import by
from sandbox.providers._resource import Autoname, Inputs, Prop, given
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, retag, tag_list, tag_map
from sandbox.providers.aws._session import Aws

_PLURALS = {
    "endsWiths": "EndsWith", "equals": "Equals", "notEndsWiths": "NotEndsWith", "notEquals": "NotEquals",
    "notStartsWiths": "NotStartsWith", "startsWiths": "StartsWith", "field": "Field",
}  # fmt: skip
"""A field selector's members: Pulumi's plurals, CloudTrail's names."""


def _selectors(items: Any) -> list[dict[str, Any]]:
    """Event selectors with CloudTrail's defaults: read and write, management events included."""
    return [
        {
            **item,
            "readWriteType": item.get("readWriteType") or "All",
            "includeManagementEvents": item.get("includeManagementEvents") is not False,
        }
        for item in items or []
    ]


class Trail(AwsResource):
    """A trail."""

    type_name = "aws:cloudtrail/trail:Trail"
    title = "CloudTrail Trail"
    tagged = True
    autoname = Autoname(max_length=128)
    inputs: ClassVar[Inputs] = {
        "advancedEventSelectors": Prop(list),
        "cloudWatchLogsGroupArn": Prop(str),
        "cloudWatchLogsRoleArn": Prop(str),
        "enableLogFileValidation": Prop(bool, default=False),
        "enableLogging": Prop(bool, default=True),
        "eventSelectors": Prop(list, same=by(_selectors)),
        "includeGlobalServiceEvents": Prop(bool, default=True),
        "insightSelectors": Prop(list),
        "isMultiRegionTrail": Prop(bool, default=False),
        "isOrganizationTrail": Prop(bool, default=False),
        "kmsKeyId": Prop(str),
        "name": Prop(str, force_new=True),
        "s3BucketName": Prop(str, required=True),
        "s3KeyPrefix": Prop(str),
        "snsTopicName": Prop(str),
    }
    computed = ("arn", "homeRegion", "snsTopicArn")

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateTrail."""
        answer = aws.client("cloudtrail").create_trail(
            Name=new["name"], TagsList=tag_list(new["tagsAll"]), **_settings(new)
        )
        return answer["TrailARN"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        """StartLogging and selectors."""
        client = aws.client("cloudtrail")
        if new["enableLogging"]:
            client.start_logging(Name=resource_id)
        _put_selectors(client, resource_id, new, {"eventSelectors", "advancedEventSelectors", "insightSelectors"})

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeTrails, GetTrailStatus, selectors and tags."""
        client = aws.client("cloudtrail")
        trails = client.describe_trails(trailNameList=[resource_id])["trailList"]
        found = next((item for item in trails if resource_id in (item["TrailARN"], item["Name"])), None)
        if found is None:
            return None
        arn = found["TrailARN"]
        tags = client.list_tags(ResourceIdList=[arn])["ResourceTagList"]
        selectors = client.get_event_selectors(TrailName=arn)
        return {
            "id": arn,
            "arn": arn,
            "name": found["Name"],
            "homeRegion": found.get("HomeRegion", aws.region),
            "cloudWatchLogsGroupArn": found.get("CloudWatchLogsLogGroupArn"),
            "cloudWatchLogsRoleArn": found.get("CloudWatchLogsRoleArn"),
            "enableLogFileValidation": found.get("LogFileValidationEnabled", False),
            "enableLogging": client.get_trail_status(Name=arn)["IsLogging"],
            "includeGlobalServiceEvents": found.get("IncludeGlobalServiceEvents", True),
            "isMultiRegionTrail": found.get("IsMultiRegionTrail", False),
            "isOrganizationTrail": found.get("IsOrganizationTrail", False),
            "kmsKeyId": found.get("KmsKeyId"),
            "s3BucketName": found["S3BucketName"],
            "s3KeyPrefix": found.get("S3KeyPrefix"),
            "snsTopicArn": found.get("SnsTopicARN"),
            "snsTopicName": state.get("snsTopicName") if found.get("SnsTopicARN") else None,
            "eventSelectors": [_selector_state(item) for item in selectors.get("EventSelectors") or []],
            "advancedEventSelectors": [_advanced_state(item) for item in selectors.get("AdvancedEventSelectors") or []],
            "tagsAll": tag_map(tags[0]["TagsList"]) if tags else {},
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """UpdateTrail, logging, selectors, tags."""
        client = aws.client("cloudtrail")
        selectors = {"eventSelectors", "advancedEventSelectors", "insightSelectors"}
        if {*changed} - selectors - {"tags", "tagsAll", "enableLogging"}:
            client.update_trail(Name=resource_id, **_settings(new, clear=changed))
        if "enableLogging" in changed:
            (client.start_logging if new["enableLogging"] else client.stop_logging)(Name=resource_id)
        _put_selectors(client, resource_id, new, selectors & {*changed})
        retag(
            old,
            new,
            changed,
            put=lambda tags: client.add_tags(ResourceId=resource_id, TagsList=tag_list(tags)),
            drop=lambda keys: client.remove_tags(ResourceId=resource_id, TagsList=[{"Key": key} for key in keys]),
        )

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteTrail."""
        del resource_id
        # By its name: moto would take an ARN and delete nothing.
        aws.client("cloudtrail").delete_trail(Name=old["name"])


def _settings(new: Properties, clear: Collection[str] = ()) -> dict[str, Any]:
    """What CreateTrail and UpdateTrail have in common; `clear`: texts to be emptied when unset."""
    texts = {
        "cloudWatchLogsGroupArn": "CloudWatchLogsLogGroupArn", "cloudWatchLogsRoleArn": "CloudWatchLogsRoleArn",
        "kmsKeyId": "KmsKeyId", "s3BucketName": "S3BucketName", "s3KeyPrefix": "S3KeyPrefix",
        "snsTopicName": "SnsTopicName",
    }  # fmt: skip
    return {
        "EnableLogFileValidation": new["enableLogFileValidation"],
        "IncludeGlobalServiceEvents": new["includeGlobalServiceEvents"],
        "IsMultiRegionTrail": new["isMultiRegionTrail"],
        "IsOrganizationTrail": new["isOrganizationTrail"],
        **given(**{theirs: new.get(ours, "" if ours in clear else None) for ours, theirs in texts.items()}),
    }


def _put_selectors(client: Any, trail: str, new: Properties, kinds: Collection[str]) -> None:
    if "advancedEventSelectors" in kinds and new.get("advancedEventSelectors"):
        advanced = [_advanced(item) for item in new["advancedEventSelectors"]]
        client.put_event_selectors(TrailName=trail, AdvancedEventSelectors=advanced)
    elif "eventSelectors" in kinds and (new.get("eventSelectors") or "advancedEventSelectors" not in new):
        # Without selectors a trail has CloudTrail's default: all management events.
        items = [_selector(item) for item in _selectors(new.get("eventSelectors"))]
        if items:
            client.put_event_selectors(TrailName=trail, EventSelectors=items)
    if "insightSelectors" in kinds and new.get("insightSelectors"):
        insights = [{"InsightType": item["insightType"]} for item in new["insightSelectors"]]
        client.put_insight_selectors(TrailName=trail, InsightSelectors=insights)


def _selector(item: Mapping[str, Any]) -> dict[str, Any]:
    return given(
        ReadWriteType=item["readWriteType"],
        IncludeManagementEvents=item["includeManagementEvents"],
        DataResources=[{"Type": data["type"], "Values": data["values"]} for data in item.get("dataResources") or []],
        ExcludeManagementEventSources=item.get("excludeManagementEventSources"),
    )


def _selector_state(found: Mapping[str, Any]) -> dict[str, Any]:
    return given(
        readWriteType=found.get("ReadWriteType"),
        includeManagementEvents=found.get("IncludeManagementEvents"),
        dataResources=[{"type": data["Type"], "values": data["Values"]} for data in found.get("DataResources") or []],
        excludeManagementEventSources=found.get("ExcludeManagementEventSources"),
    )


def _advanced(item: Mapping[str, Any]) -> dict[str, Any]:
    fields = [{_PLURALS[key]: value for key, value in field.items()} for field in item["fieldSelectors"]]
    return given(Name=item.get("name"), FieldSelectors=fields)


def _advanced_state(found: Mapping[str, Any]) -> dict[str, Any]:
    back = {theirs: ours for ours, theirs in _PLURALS.items()}
    fields = [{back[key]: value for key, value in field.items()} for field in found["FieldSelectors"]]
    return given(name=found.get("Name"), fieldSelectors=fields)


RESOURCES = (Trail(),)
