"""Another application goes through the same program: other names, two services, neither database nor Redis."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.conftest import APPLICATIONS, Recorder, Recording

ROOT = Path(__file__).parents[2]
SHOP = APPLICATIONS / "shop"
PREFIX = "shop-live"
READ = "secretsmanager:GetSecretValue"


@pytest.fixture
def shop(record: Recorder, use_application: Callable[[str], None]) -> Recording:
    use_application("shop")
    stack = yaml.safe_load((SHOP / "Pulumi.live.yaml").read_text(encoding="utf-8"))["config"]
    return record(
        lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
        project="shop",
        stack="live",
        config={key: value for key, value in stack.items() if not key.startswith("aws:")},
        secret_config={"shop:paymentPublishable": "publishable-invented", "shop:mailToken": "mail-token-invented"},
        account="333333333333",
        region="eu-central-1",
    )


def readable(recording: Recording, service: str) -> set[str]:
    policy = recording.one("aws:iam/rolePolicy:RolePolicy", f"{service}-execution-role").document("policy")
    arns = [arn for s in policy["Statement"] if READ in s["Action"] for arn in s["Resource"]]
    return {arn.split(":secret:")[1].removeprefix(f"{PREFIX}-")[:-7] for arn in arns}


def container(recording: Recording, service: str) -> dict[str, Any]:
    (found,) = recording.one("aws:ecs/taskDefinition:TaskDefinition", f"{service}-task-definition").document(
        "containerDefinitions"
    )
    return found


def test_every_service_reads_exactly_what_it_references(shop: Recording) -> None:
    assert readable(shop, "web") == {"session-key", "payment", "feature-flags"}
    assert readable(shop, "mailer") == {"mail-token", "payment", "feature-flags"}
    for service in ("web", "mailer"):
        names = {entry["name"] for entry in container(shop, service)["secrets"]}
        assert names == set(shop.exports["services"][service]["container_secrets"])
    assert {e["name"] for e in container(shop, "mailer")["secrets"]} == {
        "FEATURE_FLAGS",
        "MAIL_TOKEN",
        "PAYMENT_SIGNING",
    }


def test_a_service_that_could_read_another_ones_key_is_told(shop: Recording) -> None:
    (line,) = [line for line in shop.log if "can read all of" in line]
    assert line.startswith("warning: mailer can read all of payment, also PAYMENT_PUBLISHABLE")


def test_no_name_of_the_ticketing_system_and_no_database_is_left(shop: Recording) -> None:
    shown = json.dumps([(r.type, r.name, dict(r.inputs)) for r in shop], default=lambda _secret: "secret")
    assert "ticket-system" not in shown
    assert "DATABASE" not in shown
    assert "REDIS" not in shown
    names = {r.inputs["name"] for r in shop if isinstance(r.inputs.get("name"), str)}
    others = {name for name in names if not name.split("/")[-1].startswith(PREFIX)}
    # Inline policies are named within their role.
    assert others <= {"execution", "redeploy", "start", "write-events"}


def test_the_services_own_settings_reach_their_containers(shop: Recording) -> None:
    web, mailer = container(shop, "web"), container(shop, "mailer")
    assert (web["name"], mailer["name"]) == ("web", "mailer")
    assert (web["image"], mailer["image"]) == ("public.ecr.aws/shop/web:3.1.0", "public.ecr.aws/shop/mailer:1.4.2")
    assert (mailer["command"], "command" in web) == (["node", "mailer.js"], False)
    assert mailer["environment"] == [{"name": "QUEUE", "value": "orders"}]


def test_a_changed_secret_redeploys_the_services_that_read_it_and_no_other(shop: Recording) -> None:
    arns = shop.exports["secret_arns"]
    read = {"web": {"session-key", "payment", "feature-flags"}, "mailer": {"mail-token", "payment", "feature-flags"}}
    for service, secrets in read.items():
        rule = shop.one("aws:cloudwatch/eventRule:EventRule", f"{service}-redeployment-1").document("eventPattern")
        assert set(rule["resources"]) == {arns[name] for name in secrets}
