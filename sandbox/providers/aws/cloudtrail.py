"""AWS CloudTrail.

Source: terraform-provider-aws 6.x (2025), internal/service/cloudtrail/trail.go and consts.go.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.providers._diff import by
from sandbox.providers._resource import Autoname, Inputs, Prop, ProviderError, given, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, is_arn, retag, tag_list, tag_map
from sandbox.providers.aws._session import Aws


def _selectors(items: Any) -> list[dict[str, Any]]:
    """Event selectors with CloudTrail's defaults: read and write, management events included; sources are a set."""
    return [
        {
            **item,
            "readWriteType": item.get("readWriteType") or "All",
            "includeManagementEvents": item.get("includeManagementEvents") is not False,
            "excludeManagementEventSources": sorted(item.get("excludeManagementEventSources") or []),
        }
        for item in items or []
    ]


_MAX_SELECTORS: Final = 5
_MAX_VALUES: Final = 250
_ACCESS = one_of("ReadOnly", "WriteOnly", "All")
_DATA = one_of("AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::S3::Object")


def _check_selectors(items: Any) -> str | None:
    """What the official schema refuses of event selectors."""
    if len(items) > _MAX_SELECTORS:
        return f"expected at most {_MAX_SELECTORS}, got {len(items)}"
    return next((reason for item in items for reason in _problems(item)), None)


def _problems(item: Mapping[str, Any]) -> Iterator[str]:
    reason = _ACCESS(item.get("readWriteType") or "All")
    if reason:
        yield f"readWriteType: {reason}"
    for data in item.get("dataResources") or []:
        if reason := _DATA(data.get("type")):
            yield f"dataResources.type: {reason}"
        if len(data.get("values") or []) > _MAX_VALUES:
            yield f"dataResources.values: expected at most {_MAX_VALUES}, got {len(data['values'])}"


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
        "eventSelectors": Prop(list, same=by(_selectors), check=_check_selectors),
        "includeGlobalServiceEvents": Prop(bool, default=True),
        "isMultiRegionTrail": Prop(bool, default=False),
        "isOrganizationTrail": Prop(bool, default=False),
        "kmsKeyId": Prop(str, check=is_arn),
        "name": Prop(str, force_new=True, check=matches(r"[0-9A-Za-z][0-9A-Za-z_.-]*", 3, 128)),
        "s3BucketName": Prop(str, required=True),
        "s3KeyPrefix": Prop(str, check=matches(r".*", 0, 200)),
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
        """DescribeTrails, GetTrailStatus, selectors and tags; an import's id is the ARN."""
        if not state and not resource_id.startswith("arn:"):
            raise ProviderError(f'could not parse import ID ("{resource_id}") as ARN: arn: invalid prefix')
        client = aws.client("cloudtrail")
        trails = client.describe_trails(trailNameList=[resource_id])["trailList"]
        found = next((item for item in trails if item["TrailARN"] == resource_id), None)
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
            "snsTopicName": _topic_name(aws, found),
            "eventSelectors": _selectors_state(selectors.get("EventSelectors") or []),
            "tagsAll": tag_map(tags[0]["TagsList"]) if tags else {},
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Tags; UpdateTrail with what changed and nothing else; logging; selectors."""
        client = aws.client("cloudtrail")
        retag(
            old,
            new,
            changed,
            put=lambda tags: client.add_tags(ResourceId=resource_id, TagsList=tag_list(tags)),
            drop=lambda keys: client.remove_tags(ResourceId=resource_id, TagsList=[{"Key": key} for key in keys]),
        )
        if settings := _changed_settings(new, changed):
            client.update_trail(Name=resource_id, **settings)
        if "enableLogging" in changed:
            (client.start_logging if new["enableLogging"] else client.stop_logging)(Name=resource_id)
        if "eventSelectors" in changed:
            # None any more: back to CloudTrail's own single one.
            _put_selectors(client, resource_id, new.get("eventSelectors") or [{}])

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteTrail."""
        del resource_id
        # By its name: moto would take an ARN and delete nothing.
        aws.client("cloudtrail").delete_trail(Name=old["name"])


_FLAGS = {
    "enableLogFileValidation": "EnableLogFileValidation", "includeGlobalServiceEvents": "IncludeGlobalServiceEvents",
    "isMultiRegionTrail": "IsMultiRegionTrail", "isOrganizationTrail": "IsOrganizationTrail",
}  # fmt: skip
_LOGS = {"cloudWatchLogsGroupArn": "CloudWatchLogsLogGroupArn", "cloudWatchLogsRoleArn": "CloudWatchLogsRoleArn"}
_TEXTS = {
    **_LOGS, "kmsKeyId": "KmsKeyId", "s3BucketName": "S3BucketName", "s3KeyPrefix": "S3KeyPrefix",
    "snsTopicName": "SnsTopicName",
}  # fmt: skip


def _settings(new: Properties) -> dict[str, Any]:
    """What CreateTrail is given."""
    flags = {theirs: new[ours] for ours, theirs in _FLAGS.items()}
    return {**flags, **given(**{theirs: new.get(ours) for ours, theirs in _TEXTS.items()})}


def _changed_settings(new: Properties, changed: Collection[str]) -> dict[str, Any]:
    """What UpdateTrail is given: a text that is unset is emptied; log group and role go together."""
    both = {*changed} | ({*_LOGS} if {*_LOGS} & {*changed} else set[str]())
    flags = {theirs: new[ours] for ours, theirs in _FLAGS.items() if ours in changed}
    return {**flags, **{theirs: new.get(ours) or "" for ours, theirs in _TEXTS.items() if ours in both}}


def _topic_name(aws: Aws, found: Mapping[str, Any]) -> str | None:
    """The topic as the official plugin keeps it: a name, for a topic of this account and Region; else the ARN."""
    arn = found.get("SnsTopicARN")
    if not arn:
        return None
    region, account, name = arn.split(":", 5)[3:]
    return name if (region, account) == (found.get("HomeRegion", aws.region), aws.account) else arn


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
                ExcludeManagementEventSources=item["excludeManagementEventSources"] or None,
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
