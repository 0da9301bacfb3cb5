"""AWS CloudTrail.

Source: terraform-provider-aws 6.x (2025), internal/service/cloudtrail/trail.go and consts.go.
"""

from collections.abc import Collection
from typing import Any, ClassVar, Final

from sandbox.providers._diff import by
from sandbox.providers._resource import Autoname, Inputs, Prop, ProviderError, fields, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, Tagging, camel, is_arn, pascal, tag_list, tag_map
from sandbox.providers.aws._session import Aws


def _selectors(items: Any) -> list[dict[str, Any]]:
    """Event selectors with CloudTrail's defaults: read and write, management events included; sources are a set."""
    return [
        {
            "readWriteType": item.get("readWriteType") or "All",
            "includeManagementEvents": item.get("includeManagementEvents") is not False,
            "excludeManagementEventSources": sorted(item.get("excludeManagementEventSources") or []),
            **({"dataResources": item["dataResources"]} if item.get("dataResources") else {}),
        }
        for item in items or []
    ]


_MAX_SELECTORS: Final = 5
_MAX_VALUES: Final = 250
_ONLY: Final = ("dataResources", "excludeManagementEventSources", "includeManagementEvents", "readWriteType")
_DATA = fields(
    only=("type", "values"),
    type=one_of("AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::S3::Object"),
    values=lambda given: f"expected at most {_MAX_VALUES}, got {len(given)}" if len(given) > _MAX_VALUES else None,
)
_LOGS: Final = frozenset({"cloudWatchLogsGroupArn", "cloudWatchLogsRoleArn"})


def _check_selectors(items: Any) -> str | None:
    """What the official schema refuses of event selectors."""
    if len(items) > _MAX_SELECTORS:
        return f"expected at most {_MAX_SELECTORS}, got {len(items)}"
    return fields(only=_ONLY, readWriteType=one_of("ReadOnly", "WriteOnly", "All"), dataResources=_DATA)(items)


class Trail(AwsResource):
    """A trail."""

    type_name = "aws:cloudtrail/trail:Trail"
    title = "CloudTrail Trail"
    tagged = Tagging(
        "cloudtrail",
        lambda client, trail, tags: client.add_tags(ResourceId=trail, TagsList=tag_list(tags)),
        lambda client, trail, keys: client.remove_tags(ResourceId=trail, TagsList=[{"Key": key} for key in keys]),
    )
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "cloudWatchLogsGroupArn": Prop(str, aws="CloudWatchLogsLogGroupArn", check=is_arn),
        "cloudWatchLogsRoleArn": Prop(str, aws="CloudWatchLogsRoleArn", check=is_arn),
        "enableLogFileValidation": Prop(bool, aws="EnableLogFileValidation", default=False),
        "enableLogging": Prop(bool, default=True),
        "eventSelectors": Prop(list, same=by(_selectors), check=_check_selectors),
        "includeGlobalServiceEvents": Prop(bool, aws="IncludeGlobalServiceEvents", default=True),
        "isMultiRegionTrail": Prop(bool, aws="IsMultiRegionTrail", default=False),
        "isOrganizationTrail": Prop(bool, aws="IsOrganizationTrail", default=False),
        "kmsKeyId": Prop(str, aws="KmsKeyId", check=is_arn),
        "name": Prop(str, aws="Name", force_new=True, check=matches(r"[0-9A-Za-z][0-9A-Za-z_.-]*", 3, 128)),
        "s3BucketName": Prop(str, aws="S3BucketName", required=True),
    }
    computed = ("arn", "homeRegion", "snsTopicArn")

    def create(self, aws: Aws, new: Properties) -> str:
        answer = aws.client("cloudtrail").create_trail(TagsList=tag_list(new["tagsAll"]), **self.sent(new))
        return answer["TrailARN"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        client = aws.client("cloudtrail")
        if new["enableLogging"]:
            client.start_logging(Name=resource_id)
        if new.get("eventSelectors"):
            _put_selectors(client, resource_id, new["eventSelectors"])

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """An import's id is the ARN."""
        if not state and not resource_id.startswith("arn:"):
            raise ProviderError(f'could not parse import ID ("{resource_id}") as ARN: arn: invalid prefix')
        client = aws.client("cloudtrail")
        trails = client.describe_trails(trailNameList=[resource_id])["trailList"]
        found = next((item for item in trails if item["TrailARN"] == resource_id), None)
        if found is None:
            return None
        tags = client.list_tags(ResourceIdList=[resource_id])["ResourceTagList"]
        selectors = client.get_event_selectors(TrailName=resource_id)
        return {
            **self.told(found),
            "arn": resource_id,
            "homeRegion": found.get("HomeRegion", aws.region),
            "enableLogFileValidation": found.get("LogFileValidationEnabled", False),
            "enableLogging": client.get_trail_status(Name=resource_id)["IsLogging"],
            "includeGlobalServiceEvents": found.get("IncludeGlobalServiceEvents", True),
            "snsTopicArn": found.get("SnsTopicARN"),
            "eventSelectors": _selectors_state(selectors.get("EventSelectors") or []),
            "tagsAll": tag_map(tags[0]["TagsList"]) if tags else {},
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """UpdateTrail with what changed and nothing else; logging; selectors."""
        client = aws.client("cloudtrail")
        # Log group and role go together; a text that is unset is emptied.
        names = {*changed, *(_LOGS if _LOGS & {*changed} else ())}
        if settings := self.sent({**dict.fromkeys(names, ""), **new}, names):
            client.update_trail(**{"Name": resource_id, **settings})
        if "enableLogging" in changed:
            (client.start_logging if new["enableLogging"] else client.stop_logging)(Name=resource_id)
        if "eventSelectors" in changed:
            # None any more: back to CloudTrail's own single one.
            _put_selectors(client, resource_id, new.get("eventSelectors") or [{}])

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        # By its name: moto would take an ARN and delete nothing.
        aws.client("cloudtrail").delete_trail(Name=old["name"])


def _put_selectors(client: Any, trail: str, selectors: Any) -> None:
    client.put_event_selectors(TrailName=trail, EventSelectors=pascal(_selectors(selectors)))


def _selectors_state(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The selectors as Pulumi has them; CloudTrail's own single one for all events is hidden, as in the official plugin."""
    if len(found) == 1 and found[0].get("ReadWriteType") == "All":
        only = found[0]
        if not only.get("DataResources") and not only.get("ExcludeManagementEventSources"):
            return []
    return camel(found)


RESOURCES = (Trail(),)
