"""Amazon CloudWatch Logs. Pulumi has its types in the module `cloudwatch`.

Source: terraform-provider-aws 6.x, internal/service/logs/group.go and metric_filter.go (2026).
"""

from collections.abc import Collection
from typing import ClassVar

from sandbox.providers._resource import Autoname, Inputs, Prop, fields, given, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, is_arn, tagging
from sandbox.providers.aws._session import Aws

_RETENTION_DAYS = (
    0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


class LogGroup(AwsResource):
    """A log group."""

    type_name = "aws:cloudwatch/logGroup:LogGroup"
    title = "CloudWatch Logs Log Group"
    tagged = tagging("logs", "resourceArn", dict)
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "kmsKeyId": Prop(str, aws="kmsKeyId", check=is_arn),
        "name": Prop(
            str, aws="logGroupName", computed=True, force_new=True, check=matches(r"[0-9A-Za-z_./#-]+", 1, 512)
        ),
        "retentionInDays": Prop(int, default=0, check=one_of(*_RETENTION_DAYS)),
        "skipDestroy": Prop(bool, default=False, unread=True),
    }
    computed = ("arn",)

    def create(self, aws: Aws, new: Properties) -> str:
        aws.client("logs").create_log_group(**self.sent(new), **given(tags=new["tagsAll"] or None))
        return new["name"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        """PutRetentionPolicy; 0 days mean forever."""
        if new["retentionInDays"]:
            aws.client("logs").put_retention_policy(logGroupName=resource_id, retentionInDays=new["retentionInDays"])

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        client = aws.client("logs")
        pages = client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=resource_id)
        for found in (item for page in pages for item in page["logGroups"]):
            if found["logGroupName"] == resource_id:
                arn = found["arn"].removesuffix(":*")
                return {
                    **self.told({"kmsKeyId": "", **found}),
                    "arn": arn,
                    "retentionInDays": found.get("retentionInDays", 0),
                    "tagsAll": client.list_tags_for_resource(resourceArn=arn)["tags"],
                }
        return None

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        client = aws.client("logs")
        if "retentionInDays" in changed:
            if new["retentionInDays"]:
                self.finish(aws, resource_id, new)
            else:
                client.delete_retention_policy(logGroupName=resource_id)
        if "kmsKeyId" in changed and new.get("kmsKeyId"):
            client.associate_kms_key(logGroupName=resource_id, kmsKeyId=new["kmsKeyId"])
        elif "kmsKeyId" in changed:
            client.disassociate_kms_key(logGroupName=resource_id)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        if not old.get("skipDestroy"):
            aws.client("logs").delete_log_group(logGroupName=resource_id)


_NAMESPACE = matches(r"[^:*$]*", 0, 255)
_METRIC = {"name": "metricName", "namespace": "metricNamespace", "value": "metricValue"}
"""The members of a transformation: Pulumi's name, CloudWatch's name."""


class LogMetricFilter(AwsResource):
    """A metric made from a log group's events."""

    type_name = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
    title = "CloudWatch Logs Metric Filter"
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "logGroupName": Prop(str, required=True, force_new=True, check=matches(r"[0-9A-Za-z_./#-]+", 1, 512)),
        "metricTransformation": Prop(
            dict,
            required=True,
            check=fields(
                *_METRIC, only=tuple(_METRIC), name=_NAMESPACE, namespace=_NAMESPACE, value=matches(r".*", 0, 100)
            ),
        ),
        "name": Prop(str, computed=True, force_new=True, check=matches(r"[^:*]+", 1, 512)),
        "pattern": Prop(str, required=True, check=matches(r".*", 0, 1024)),
    }

    def create(self, aws: Aws, new: Properties) -> str:
        """PutMetricFilter. AWS replaces a filter of the same name, moto would keep both."""
        where = {"logGroupName": new["logGroupName"], "filterName": new["name"]}
        own = aws.own("logs")
        names = own.describe_metric_filters(logGroupName=new["logGroupName"], filterNamePrefix=new["name"])
        if any(item["filterName"] == new["name"] for item in names["metricFilters"]):
            own.delete_metric_filter(**where)
        metric = {theirs: new["metricTransformation"][ours] for ours, theirs in _METRIC.items()}
        aws.client("logs").put_metric_filter(
            **where, filterPattern=new["pattern"].strip(), metricTransformations=[{**metric, "unit": "None"}]
        )
        return new["name"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeMetricFilters; an import's id is LOG-GROUP:NAME."""
        group, _, name = resource_id.rpartition(":")
        group, name = (state["logGroupName"], resource_id) if "logGroupName" in state else (group, name)
        found = aws.client("logs").describe_metric_filters(logGroupName=group, filterNamePrefix=name)["metricFilters"]
        item = next((item for item in found if item["filterName"] == name), None)
        return item and {
            "id": name,
            "name": name,
            "logGroupName": group,
            "pattern": item["filterPattern"],
            "metricTransformation": {
                ours: item["metricTransformations"][0][theirs] for ours, theirs in _METRIC.items()
            },
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        self.create(aws, new)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("logs").delete_metric_filter(logGroupName=old["logGroupName"], filterName=resource_id)


RESOURCES = (LogGroup(), LogMetricFilter())
