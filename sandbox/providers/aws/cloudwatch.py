"""Amazon CloudWatch: alarms and dashboards.

Source: terraform-provider-aws 6.x, internal/service/cloudwatch/metric_alarm.go and dashboard.go (2026).
"""

from collections.abc import Collection
from typing import Any, ClassVar

from sandbox.providers._diff import same_json, same_set
from sandbox.providers._resource import Autoname, Inputs, Prop, between, each, given, is_json, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, is_arn, tag_list, tag_map, tagging
from sandbox.providers.aws._session import Aws

_COMPARISONS = (
    "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold",
)  # fmt: skip
_STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_MISSING = ("breaching", "notBreaching", "ignore", "missing")


def _period(seconds: Any) -> str | None:
    short = (10, 20, 30)
    good = seconds in short or (seconds > 0 and seconds % 60 == 0)
    return None if good else f"expected one of 10, 20, 30 or a multiple of 60, got {seconds}"


class MetricAlarm(AwsResource):
    """An alarm on a metric."""

    type_name = "aws:cloudwatch/metricAlarm:MetricAlarm"
    title = "CloudWatch Metric Alarm"
    tagged = tagging("cloudwatch", "ResourceARN")
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "actionsEnabled": Prop(bool, aws="ActionsEnabled", default=True),
        "alarmActions": Prop(list, aws="AlarmActions", same=same_set, check=each(is_arn)),
        "alarmDescription": Prop(str, aws="AlarmDescription", check=matches(r".*", 0, 1024)),
        "comparisonOperator": Prop(str, aws="ComparisonOperator", required=True, check=one_of(*_COMPARISONS)),
        "dimensions": Prop(dict),
        "evaluationPeriods": Prop(int, aws="EvaluationPeriods", required=True, check=between(1, 2**31)),
        "metricName": Prop(str, aws="MetricName", required=True, check=matches(r".*", 1, 255)),
        "name": Prop(str, aws="AlarmName", computed=True, force_new=True, check=matches(r".*", 1, 255)),
        "namespace": Prop(str, aws="Namespace", check=matches(r"[^:].*", 1, 255)),
        "period": Prop(int, aws="Period", check=_period),
        "statistic": Prop(str, aws="Statistic", required=True, check=one_of(*_STATISTICS)),
        "threshold": Prop(float, aws="Threshold"),
        "treatMissingData": Prop(str, aws="TreatMissingData", default="missing", check=one_of(*_MISSING)),
    }
    computed = ("arn",)

    def create(self, aws: Aws, new: Properties) -> str:
        self._put(aws, new, **given(Tags=tag_list(new["tagsAll"]) or None))
        return new["name"]

    def _put(self, aws: Aws, new: Properties, **more: Any) -> None:
        dimensions = given(Dimensions=tag_list(new.get("dimensions"), "Name") or None)
        aws.client("cloudwatch").put_metric_alarm(**self.sent(new), **dimensions, **more)

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        client = aws.client("cloudwatch")
        alarms = client.describe_alarms(AlarmNames=[resource_id], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
        if not alarms:
            return None
        found = alarms[0]
        return {
            **self.told(found),
            "arn": found["AlarmArn"],
            "dimensions": tag_map(found.get("Dimensions"), "Name"),
            "tagsAll": tag_map(client.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]),
            "treatMissingData": found.get("TreatMissingData", "missing"),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        self._put(aws, new)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("cloudwatch").delete_alarms(AlarmNames=[resource_id])


class Dashboard(AwsResource):
    """A dashboard."""

    type_name = "aws:cloudwatch/dashboard:Dashboard"
    title = "CloudWatch Dashboard"
    named_by = "dashboardName"
    forgives_gone = False
    inputs: ClassVar[Inputs] = {
        "dashboardBody": Prop(str, aws="DashboardBody", required=True, same=same_json, check=is_json),
        "dashboardName": Prop(
            str, aws="DashboardName", required=True, force_new=True, check=matches(r"[\w-]+", 1, 255)
        ),
    }
    computed = ("dashboardArn",)

    def create(self, aws: Aws, new: Properties) -> str:
        aws.client("cloudwatch").put_dashboard(**self.sent(new))
        return new["dashboardName"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        found = aws.client("cloudwatch").get_dashboard(DashboardName=resource_id)
        return {**self.told(found), "dashboardArn": found["DashboardArn"]}

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        self.create(aws, new)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("cloudwatch").delete_dashboards(DashboardNames=[resource_id])


RESOURCES = (MetricAlarm(), Dashboard())
