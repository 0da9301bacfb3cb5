"""Amazon CloudWatch Logs. Pulumi has its types in the module `cloudwatch`.

Source: terraform-provider-aws 6.x, internal/service/logs/group.go and metric_filter.go (2026).
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import by
from sandbox.providers._resource import Autoname, Inputs, Prop, given, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, by_prefix, is_arn, retag_resource
from sandbox.providers.aws._session import Aws, is_missing_in_emulator

_RETENTION_DAYS = (
    0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


class LogGroup(AwsResource):
    """A log group."""

    type_name = "aws:cloudwatch/logGroup:LogGroup"
    title = "CloudWatch Logs Log Group"
    tagged = True
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "kmsKeyId": Prop(str, check=is_arn),
        "logGroupClass": Prop(
            str, computed=True, force_new=True, check=one_of("STANDARD", "INFREQUENT_ACCESS", "DELIVERY")
        ),
        "name": Prop(str, computed=True, force_new=True, check=matches(r"[0-9A-Za-z_./#-]+", 1, 512)),
        "namePrefix": Prop(str, computed=True, force_new=True, check=matches(r"[0-9A-Za-z_./#-]+", 1, 486)),
        "retentionInDays": Prop(int, default=0, check=one_of(*_RETENTION_DAYS)),
        "skipDestroy": Prop(bool, default=False, unread=True),
    }
    computed = ("arn",)

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateLogGroup."""
        name = by_prefix(new)
        aws.client("logs").create_log_group(
            logGroupName=name,
            **given(kmsKeyId=new.get("kmsKeyId"), logGroupClass=new.get("logGroupClass"), tags=new["tagsAll"] or None),
        )
        return name

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        """PutRetentionPolicy; 0 days mean forever."""
        if new["retentionInDays"]:
            aws.client("logs").put_retention_policy(logGroupName=resource_id, retentionInDays=new["retentionInDays"])

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeLogGroups by its name as prefix."""
        del state
        client = aws.client("logs")
        pages = client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=resource_id)
        for found in (item for page in pages for item in page["logGroups"]):
            if found["logGroupName"] == resource_id:
                arn = found["arn"].removesuffix(":*")
                return {
                    "arn": arn,
                    "name": resource_id,
                    "kmsKeyId": found.get("kmsKeyId", ""),
                    "logGroupClass": found.get("logGroupClass", "STANDARD"),
                    "retentionInDays": found.get("retentionInDays", 0),
                    "tagsAll": client.list_tags_for_resource(resourceArn=arn)["tags"],
                    "region": aws.region,
                }
        return None

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Retention, key, tags."""
        client = aws.client("logs")
        if "retentionInDays" in changed:
            if new["retentionInDays"]:
                self.finish(aws, resource_id, new)
            else:
                client.delete_retention_policy(logGroupName=resource_id)
        if "kmsKeyId" in changed:
            self._use_key(aws, resource_id, old, new)
        arn = old["arn"]
        retag_resource(client, old, new, changed, form=dict, resourceArn=arn)

    def _use_key(self, aws: Aws, resource_id: str, old: Properties, new: Properties) -> None:
        """AssociateKmsKey or DisassociateKmsKey."""
        client = aws.client("logs")
        try:
            if new.get("kmsKeyId"):
                client.associate_kms_key(logGroupName=resource_id, kmsKeyId=new["kmsKeyId"])
            else:
                client.disassociate_kms_key(logGroupName=resource_id)
        except client.exceptions.ClientError as error:
            if not is_missing_in_emulator(error):
                raise
            # moto can't change a group's key: make the group again, which loses nothing, as nobody writes logs here.
            client.delete_log_group(logGroupName=resource_id)
            self.create(aws, {**new, "name": resource_id, "tagsAll": old["tagsAll"]})
            self.finish(aws, resource_id, new)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteLogGroup, unless `skipDestroy`."""
        if not old.get("skipDestroy"):
            aws.client("logs").delete_log_group(logGroupName=resource_id)


def _metric(metric: Mapping[str, Any]) -> dict[str, Any]:
    """The transformation with AWS's default unit, and its default value as a number."""
    default = metric.get("defaultValue")
    return {
        **metric,
        "unit": metric.get("unit") or "None",
        "defaultValue": None if default in (None, "") else f"{float(default)} exactly",
    }


def _transformation(metric: Any) -> str | None:
    """What the official plugin refuses of a transformation."""
    name = matches(r"[^:*$]*", 0, 255)
    texts = {"name": name, "namespace": name, "value": matches(r".*", 0, 100), "defaultValue": _number}
    known = {key: metric.get(key) for key in texts if isinstance(metric.get(key), str)}
    return next((f"{key}: {reason}" for key, text in known.items() if (reason := texts[key](text))), None)


def _number(text: Any) -> str | None:
    return None if text == "" or re.fullmatch(r"-?\d+(\.\d+)?", text) else f"expected a number, got {text}"


class LogMetricFilter(AwsResource):
    """A metric made from a log group's events."""

    type_name = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
    title = "CloudWatch Logs Metric Filter"
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "applyOnTransformedLogs": Prop(bool, computed=True, unread=True),
        "logGroupName": Prop(str, required=True, force_new=True, check=matches(r"[0-9A-Za-z_./#-]+", 1, 512)),
        "metricTransformation": Prop(dict, required=True, same=by(_metric), check=_transformation),
        "name": Prop(str, computed=True, force_new=True, check=matches(r"[^:*]+", 1, 512)),
        "pattern": Prop(str, required=True, check=matches(r".*", 0, 1024)),
    }

    def create(self, aws: Aws, new: Properties) -> str:
        """PutMetricFilter."""
        self._put(aws, new)
        return new["name"]

    @staticmethod
    def _put(aws: Aws, new: Properties) -> None:
        metric = new["metricTransformation"]
        default = metric.get("defaultValue")
        client = aws.client("logs")
        where = {"logGroupName": new["logGroupName"], "filterName": new["name"]}
        # AWS replaces a filter of the same name, moto would keep both.
        own = aws.own("logs")
        names = own.describe_metric_filters(logGroupName=new["logGroupName"], filterNamePrefix=new["name"])
        if any(item["filterName"] == new["name"] for item in names["metricFilters"]):
            own.delete_metric_filter(**where)
        client.put_metric_filter(
            **where,
            filterPattern=new["pattern"].strip(),
            metricTransformations=[
                given(
                    metricName=metric["name"],
                    metricNamespace=metric["namespace"],
                    metricValue=metric["value"],
                    # Pulumi has a number as text here, AWS a number.
                    defaultValue=None if default in (None, "") else float(default),
                    dimensions=metric.get("dimensions") or None,
                    unit=metric.get("unit") or "None",
                )
            ],
            **given(applyOnTransformedLogs=new.get("applyOnTransformedLogs")),
        )

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeMetricFilters; an import's id is LOG-GROUP:NAME."""
        group, _, name = resource_id.rpartition(":")
        group, name = (state["logGroupName"], resource_id) if "logGroupName" in state else (group, name)
        found = aws.client("logs").describe_metric_filters(logGroupName=group, filterNamePrefix=name)["metricFilters"]
        for item in found:
            if item["filterName"] == name:
                metric = item["metricTransformations"][0]
                default = metric.get("defaultValue")
                return {
                    "id": name,
                    "name": name,
                    "logGroupName": group,
                    "pattern": item["filterPattern"],
                    "metricTransformation": given(
                        name=metric["metricName"],
                        namespace=metric["metricNamespace"],
                        value=metric["metricValue"],
                        defaultValue=None if default is None else f"{default:g}",
                        dimensions=metric.get("dimensions") or None,
                        unit=None if metric.get("unit", "None") == "None" else metric["unit"],
                    ),
                    "region": aws.region,
                }
        return None

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """PutMetricFilter again."""
        del resource_id, old, changed
        self._put(aws, new)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteMetricFilter."""
        aws.client("logs").delete_metric_filter(logGroupName=old["logGroupName"], filterName=resource_id)


RESOURCES = (LogGroup(), LogMetricFilter())
