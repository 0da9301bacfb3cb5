"""AWS CloudTrail.

Source: terraform-provider-aws 6.x, internal/service/cloudtrail/trail.go.
"""

from collections.abc import Collection
from typing import Any, ClassVar

from sandbox.providers._diff import by
from sandbox.providers._resource import Autoname, Inputs, Prop, given, matches
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, is_arn, retag, tag_list, tag_map
from sandbox.providers.aws._session import Aws


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
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "cloudWatchLogsGroupArn": Prop(str, check=is_arn),
        "cloudWatchLogsRoleArn": Prop(str, check=is_arn),
        "enableLogFileValidation": Prop(bool, default=False),
        "enableLogging": Prop(bool, default=True),
        "eventSelectors": Prop(list, same=by(_selectors)),
        "includeGlobalServiceEvents": Prop(bool, default=True),
        "isMultiRegionTrail": Prop(bool, default=False),
        "isOrganizationTrail": Prop(bool, default=False),
        "kmsKeyId": Prop(str, check=is_arn),
        "name": Prop(str, force_new=True, check=matches(r"[0-9A-Za-z][0-9A-Za-z_.-]*", 3, 128)),
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
        if new.get("eventSelectors"):
            _put_selectors(client, resource_id, new["eventSelectors"])

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
            "eventSelectors": _selectors_state(selectors.get("EventSelectors") or []),
            "tagsAll": tag_map(tags[0]["TagsList"]) if tags else {},
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """UpdateTrail, logging, selectors, tags."""
        client = aws.client("cloudtrail")
        if {*changed} - {"eventSelectors", "tags", "tagsAll", "enableLogging"}:
            client.update_trail(Name=resource_id, **_settings(new, clear=changed))
        if "enableLogging" in changed:
            (client.start_logging if new["enableLogging"] else client.stop_logging)(Name=resource_id)
        if "eventSelectors" in changed:
            # None any more: back to CloudTrail's own single one.
            _put_selectors(client, resource_id, new.get("eventSelectors") or [{}])
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


def _put_selectors(client: Any, trail: str, selectors: Any) -> None:
    client.put_event_selectors(
        TrailName=trail,
        EventSelectors=[
            given(
                ReadWriteType=item["readWriteType"],
                IncludeManagementEvents=item["includeManagementEvents"],
                DataResources=[
                    {"Type": data["type"], "Values": data["values"]} for data in item.get("dataResources") or []
                ],
                ExcludeManagementEventSources=item.get("excludeManagementEventSources"),
            )
            for item in _selectors(selectors)
        ],
    )


def _selectors_state(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The selectors as Pulumi has them; CloudTrail's own single one for all events is hidden, as in the official plugin."""
    if len(found) == 1 and found[0].get("ReadWriteType") == "All":
        only = found[0]
        if not only.get("DataResources") and not only.get("ExcludeManagementEventSources"):
            return []
    return [
        given(
            readWriteType=item.get("ReadWriteType"),
            includeManagementEvents=item.get("IncludeManagementEvents"),
            dataResources=[
                {"type": data["Type"], "values": data["Values"]} for data in item.get("DataResources") or []
            ],
            excludeManagementEventSources=item.get("ExcludeManagementEventSources"),
        )
        for item in found
    ]


RESOURCES = (Trail(),)
