"""Amazon CloudWatch: alarms and dashboards.

Source: terraform-provider-aws 6.x, internal/service/cloudwatch/metric_alarm.go and dashboard.go (2026).
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import by, same_json, same_set
from sandbox.providers._resource import Autoname, Inputs, Prop, between, each, given, is_json, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, is_arn, pascal, retag_resource, tag_list, tag_map
from sandbox.providers.aws._session import Aws


def _queries(items: Any) -> list[dict[str, Any]]:
    """Metric queries, sorted, with CloudWatch's default that a query returns no data."""
    return sorted(({**item, "returnData": bool(item.get("returnData"))} for item in items or []), key=lambda q: q["id"])


_COMPARISONS = (
    "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold",
    "LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold",
)  # fmt: skip


def _period(seconds: Any) -> str | None:
    short = (10, 20, 30)
    good = seconds in short or (seconds > 0 and seconds % 60 == 0)
    return None if good else f"expected one of 10, 20, 30 or a multiple of 60, got {seconds}"


class MetricAlarm(AwsResource):
    """An alarm on a metric or on an expression of metrics."""

    type_name = "aws:cloudwatch/metricAlarm:MetricAlarm"
    title = "CloudWatch Metric Alarm"
    tagged = True
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "actionsEnabled": Prop(bool, default=True),
        "alarmActions": Prop(list, same=same_set, check=each(is_arn)),
        "alarmDescription": Prop(str, check=matches(r".*", 0, 1024)),
        "comparisonOperator": Prop(str, required=True, check=one_of(*_COMPARISONS)),
        "datapointsToAlarm": Prop(int, check=between(1, 2**31)),
        "dimensions": Prop(dict),
        "evaluateLowSampleCountPercentiles": Prop(str, computed=True),
        "evaluationPeriods": Prop(int, required=True, check=between(1, 2**31)),
        "extendedStatistic": Prop(str),
        "insufficientDataActions": Prop(list, same=same_set, check=each(is_arn, most=5)),
        "metricName": Prop(str, check=matches(r".*", 1, 255)),
        "metricQueries": Prop(list, same=by(_queries)),
        "name": Prop(str, computed=True, force_new=True, check=matches(r".*", 1, 255)),
        "namespace": Prop(str, check=matches(r"[^:].*", 1, 255)),
        "okActions": Prop(list, same=same_set, check=each(is_arn, most=5)),
        "period": Prop(int, check=_period),
        "statistic": Prop(str, check=one_of("SampleCount", "Average", "Sum", "Minimum", "Maximum")),
        "threshold": Prop(float),
        "thresholdMetricId": Prop(str),
        "treatMissingData": Prop(
            str, default="missing", check=one_of("breaching", "notBreaching", "ignore", "missing")
        ),
        "unit": Prop(str),
    }
    computed = ("arn",)

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """A metric with a statistic, or queries."""
        if ("metricName" in new) == ("metricQueries" in new):
            yield "metricName", "exactly one of metricName and metricQueries must be given"
        if "metricName" in new and ("statistic" in new) == ("extendedStatistic" in new):
            yield "statistic", "exactly one of statistic and extendedStatistic must be given with metricName"

        if "metricQueries" in new:
            for key in ("dimensions", "extendedStatistic", "namespace", "period", "statistic"):
                if key in new:
                    yield key, "conflicts with metricQueries"
        if "threshold" in new and "thresholdMetricId" in new:
            yield "threshold", "conflicts with thresholdMetricId"

    def create(self, aws: Aws, new: Properties) -> str:
        """PutMetricAlarm."""
        self._put(aws, new, **given(Tags=tag_list(new["tagsAll"]) or None))
        return new["name"]

    @staticmethod
    def _put(aws: Aws, new: Properties, **more: Any) -> None:
        simple = given(**{
            key[:1].upper() + key[1:]: new.get(key)
            for key in (
                "alarmDescription", "datapointsToAlarm", "evaluateLowSampleCountPercentiles", "extendedStatistic",
                "metricName", "namespace", "period", "statistic", "threshold", "thresholdMetricId", "unit",
            )
        })  # fmt: skip
        queries = [_query(item) for item in new.get("metricQueries") or []]
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName=new["name"],
            ActionsEnabled=new["actionsEnabled"],
            AlarmActions=new.get("alarmActions") or [],
            OKActions=new.get("okActions") or [],
            InsufficientDataActions=new.get("insufficientDataActions") or [],
            ComparisonOperator=new["comparisonOperator"],
            EvaluationPeriods=new["evaluationPeriods"],
            TreatMissingData=new["treatMissingData"],
            **given(Metrics=queries or None, Dimensions=tag_list(new.get("dimensions"), "Name") or None),
            **simple,
            **more,
        )

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeAlarms."""
        del state
        client = aws.client("cloudwatch")
        alarms = client.describe_alarms(AlarmNames=[resource_id], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
        if not alarms:
            return None
        found = alarms[0]
        return {
            "arn": found["AlarmArn"],
            "name": found["AlarmName"],
            "actionsEnabled": found["ActionsEnabled"],
            "alarmActions": found.get("AlarmActions", []),
            "okActions": found.get("OKActions", []),
            "insufficientDataActions": found.get("InsufficientDataActions", []),
            "dimensions": tag_map(found.get("Dimensions"), "Name"),
            "metricQueries": [_query_state(item) for item in found.get("Metrics", [])],
            "tagsAll": tag_map(client.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]),
            "treatMissingData": found.get("TreatMissingData", "missing"),
            "region": aws.region,
            **{
                key: found.get(key[:1].upper() + key[1:])
                for key in (
                    "alarmDescription", "comparisonOperator", "datapointsToAlarm", "evaluationPeriods",
                    "extendedStatistic", "metricName", "namespace", "period", "statistic", "threshold",
                    "thresholdMetricId", "unit",
                )
            },
        }  # fmt: skip

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """PutMetricAlarm with all of it, tags."""
        if {*changed} - {"tags", "tagsAll"}:
            self._put(aws, {**new, "name": resource_id})
        client = aws.client("cloudwatch")
        arn = old["arn"]
        retag_resource(client, old, new, changed, ResourceARN=arn)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteAlarms."""
        del old
        aws.client("cloudwatch").delete_alarms(AlarmNames=[resource_id])


def _query(item: Mapping[str, Any]) -> dict[str, Any]:
    """A metric query as CloudWatch wants it: Pulumi has the metric's name and period in one flat block."""
    metric = item.get("metric")
    query = pascal({key: value for key, value in item.items() if key != "metric"})
    if metric:
        query["MetricStat"] = given(
            Metric=given(
                MetricName=metric["metricName"],
                Namespace=metric.get("namespace"),
                Dimensions=tag_list(metric.get("dimensions"), "Name") or None,
            ),
            Period=metric["period"],
            Stat=metric["stat"],
            Unit=metric.get("unit"),
        )
    return query


def _query_state(found: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `_query`."""
    item = given(
        id=found["Id"],
        accountId=found.get("AccountId"),
        expression=found.get("Expression"),
        label=found.get("Label"),
        period=found.get("Period"),
        returnData=found.get("ReturnData"),
    )
    stat = found.get("MetricStat")
    if stat:
        item["metric"] = given(
            metricName=stat["Metric"].get("MetricName"),
            namespace=stat["Metric"].get("Namespace"),
            dimensions=tag_map(stat["Metric"].get("Dimensions"), "Name") or None,
            period=stat.get("Period"),
            stat=stat.get("Stat"),
            unit=stat.get("Unit"),
        )
    return item


class Dashboard(AwsResource):
    """A dashboard."""

    type_name = "aws:cloudwatch/dashboard:Dashboard"
    title = "CloudWatch Dashboard"
    forgives_gone = False
    inputs: ClassVar[Inputs] = {
        "dashboardBody": Prop(str, required=True, same=same_json, check=is_json),
        "dashboardName": Prop(str, required=True, force_new=True, check=matches(r"[\w-]+", 1, 255)),
    }
    computed = ("dashboardArn",)

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The dashboard's name."""
        return resource_id or str(inputs.get("dashboardName", ""))

    def create(self, aws: Aws, new: Properties) -> str:
        """PutDashboard."""
        aws.client("cloudwatch").put_dashboard(DashboardName=new["dashboardName"], DashboardBody=new["dashboardBody"])
        return new["dashboardName"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetDashboard."""
        del state
        found = aws.client("cloudwatch").get_dashboard(DashboardName=resource_id)
        return {
            "dashboardArn": found["DashboardArn"],
            "dashboardName": found["DashboardName"],
            "dashboardBody": found["DashboardBody"],
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """PutDashboard again."""
        del resource_id, old, changed
        self.create(aws, new)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteDashboards."""
        del old
        aws.client("cloudwatch").delete_dashboards(DashboardNames=[resource_id])


RESOURCES = (MetricAlarm(), Dashboard())
