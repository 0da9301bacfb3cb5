"""Tables of AWS's that the model repeats, against what AWS ships with its own SDK (botocore's data)."""

import re
from dataclasses import astuple
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.session import get_session

from components import checks, limits, pricing
from components.location import Location, in_region, partition_of, region_of


def test_every_region_is_in_its_partition() -> None:
    regions = {
        region: partition["id"]
        for partition in Loader().load_data("partitions")["partitions"]
        for region in partition["regions"]
        if not region.endswith("global")
    }
    assert len(regions) > 30
    assert {region: partition_of(region) for region in regions} == regions
    suffixes = {one["id"]: one["outputs"]["dnsSuffix"] for one in Loader().load_data("partitions")["partitions"]}
    found = {name: Location(name, "REGION", "").endpoint("kms").removeprefix("kms.REGION.") for name in suffixes}
    assert found == suffixes


def test_log_retentions_are_those_that_cloudwatch_logs_takes() -> None:
    shape = get_session().get_service_model("logs").operation_model("PutRetentionPolicy").input_shape
    assert shape
    said = shape.members["retentionInDays"].documentation.partition("Possible values are:")[2].partition("</p>")[0]
    assert list(limits.LOG_RETENTION_DAYS) == [int(number) for number in re.findall(r"\d+", said)]


def test_the_fields_of_a_sidecar_are_those_that_ecs_takes() -> None:
    kinds = {"list": list, "map": dict, "structure": dict, "string": str, "integer": int, "boolean": bool}
    shape: Any = get_session().get_service_model("ecs").shape_for("ContainerDefinition")
    fields = shape.members
    refused = {"interactive", "pseudoTerminal", "versionConsistency"}
    known = {*checks.SIDECAR_FIELDS, *checks.NOT_IN_SIDECARS, "image", "environment"}
    assert known | refused == set(fields)
    types = {name: kinds[fields[name].type_name] for name in checks.SIDECAR_FIELDS}
    assert types == dict(checks.SIDECAR_FIELDS)


@pytest.mark.parametrize(
    ("member", "most"), [("Name", limits.MAX_NAME_CHARACTERS), ("SecretString", limits.MAX_VALUE_BYTES)]
)
def test_a_secret_s_limits_are_those_of_create_secret(member: str, most: int) -> None:
    shape = get_session().get_service_model("secretsmanager").operation_model("CreateSecret").input_shape
    assert shape
    assert shape.members[member].metadata["max"] == most


def test_the_length_of_a_secret_s_arn_is_known_before_it_is_made() -> None:
    here = Location("aws-cn", "cn-north-1", "111122223333")
    arn = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:tickets-dev-jwt-AbCdEf"
    assert here.secret_arn_length("tickets-dev-jwt") == len(arn)
    assert region_of(arn) == "cn-north-1"
    assert in_region(arn, "cn-northwest-1") == arn.replace("cn-north-1", "cn-northwest-1")


def test_a_bill_has_a_line_for_what_there_is() -> None:
    items = pricing.fixed_items(secrets=3, replicas=2, keys=1, metrics=5, alarms=4, dashboards=1)
    assert [astuple(item) for item in items] == [
        ("secrets", 3, 0.40),
        ("replicas", 2, 0.40),
        ("customer-managed keys", 1, 1.00),
        ("metrics", 5, 0.30),
        ("alarms", 4, 0.10),
        ("dashboards", 1, 3.00),
    ]
    assert pricing.total(items) == 7.9
    assert pricing.total(pricing.fixed_items(secrets=1, replicas=0, keys=0, metrics=0, alarms=0, dashboards=0)) == 0.4


def test_prices_of_a_use_are_those_of_ten_thousand() -> None:
    """AWS Secrets Manager pricing, AWS KMS pricing, AWS Systems Manager pricing: US East (N. Virginia)."""
    uses = (pricing.API_CALL, pricing.KMS_REQUEST, pricing.PARAMETER_API_CALL)
    assert [round(price * 10_000, 6) for price in uses] == [0.05, 0.03, 0.05]
    assert pricing.PARAMETER_ADVANCED == 0.05
