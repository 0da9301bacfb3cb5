"""The outputs as other stacks and `ops` read them: what is taken, what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from components.names import Names
from components.outputs import NAMES, Home, OutputsError, home_of, names_of, parse

ACCOUNT = "111122223333"


def arn(
    service: str, resource: str, *, account: str = ACCOUNT, region: str = "eu-west-1", partition: str = "aws"
) -> str:
    return f"arn:{partition}:{service}:{region}:{account}:{resource}"


SECRET = arn("secretsmanager", "secret:tickets-dev-jwt-AbCdEf")
THEIRS = arn("secretsmanager", "secret:theirs-GhIjKl", account="999999999999", region="us-east-1")
SERVICE: dict[str, Any] = {
    "execution_role_arn": arn("iam", "role/tickets-dev-app-execution", region=""),
    "task_role_arn": arn("iam", "role/tickets-dev-app-task", region=""),
    "task_definition_arn": arn("ecs", "task-definition/tickets-dev-app:7"),
    "task_definition_family": "tickets-dev-app",
    "log_group_name": "/ecs/tickets-dev-app",
    "container_secrets": {"JWT_SECRET": SECRET, "DB_PASSWORD": f"{THEIRS}:password::"},
}
RAW: dict[str, Any] = {
    "environment": "dev",
    "secret_arns": {"jwt": SECRET},
    "secret_names": {"jwt": "tickets-dev-jwt"},
    "services": {"app": SERVICE},
    "monthly_cost_usd": 1.2,
    "foreign_secret_arns": {"database": THEIRS},
}


def raw(service: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {**RAW, "services": {"app": {**SERVICE, **(service or {})}}, **changes}


def test_outputs_are_read_and_what_is_not_known_is_ignored() -> None:
    found = parse(raw(service={"future": 1}, future={"a": "b"}))
    assert found.environment == "dev"
    assert found.secret_arns == {"jwt": SECRET}
    assert found.secret_names == {"jwt": "tickets-dev-jwt"}
    assert vars(found.services["app"]) == SERVICE
    assert found.monthly_cost_usd == 1.2
    assert (found.kms_key_arn, found.alarm_topic_arn) == (None, None)
    assert found.foreign_secret_arns == {"database": THEIRS}
    assert found.secret_kms_key_arns == {}
    assert home_of(found) == Home("aws", "eu-west-1", ACCOUNT)
    assert names_of(found) == Names("tickets", "dev")


def test_what_is_exported_is_what_is_read() -> None:
    key, topic = arn("kms", "key/1"), arn("sns", "tickets-dev-alarms")
    everything = raw(
        kms_key_arn=key,
        alarm_topic_arn=topic,
        secret_kms_key_arns={"database": arn("kms", "key/2")},
        replica_regions=["eu-west-3"],
    )
    exported = dict(parse(everything).exports())
    assert exported.items() >= everything.items()
    assert set(exported) == set(NAMES)


def test_an_older_stack_has_fewer_outputs() -> None:
    older = {name: RAW[name] for name in ("environment", "secret_arns", "secret_names", "services")}
    found = parse(
        older | {"foreign_secret_arns": None} | raw(service={"container_secrets": {}}, foreign_secret_arns={})
    )
    assert (
        parse({**older, "services": raw(service={"container_secrets": {"A": SECRET}})["services"]}).monthly_cost_usd
        == 0
    )
    assert found.foreign_secret_arns == {}
    assert found.replica_regions is None


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "no output environment, secret_arns, secret_names, services"),
        (raw(environment=None), "no output environment"),
        (raw(environment=7), "environment is no text"),
        (raw(services={}), "services is empty"),
        (raw(services=["app"]), "services is no object"),
        (raw(services={"app": "x"}), "services.app is no object"),
        (raw(service={"task_role_arn": None}), "services.app: task_role_arn is missing"),
        (raw(service={"task_role_arn": 1}), "services.app: task_role_arn is no text"),
        (raw(service={"container_secrets": None}), "services.app: container_secrets is missing"),
        (
            raw(service={"container_secrets": {"A": 1}}),
            "services.app: container_secrets holds something else than text",
        ),
        (raw(service={"container_secrets": {"A": "x"}}), "services.app.container_secrets.A is no valueFrom"),
        (raw(service={"execution_role_arn": "x"}), "services.app.execution_role_arn is no ARN"),
        (raw(service={"task_definition_arn": "x"}), "task_definition_arn is no ARN"),
        (raw(secret_arns=[]), "secret_arns is no object"),
        (raw(secret_names={}), "secret_names lacks jwt"),
        (raw(replica_regions="eu-west-3"), "replica_regions is no list of texts"),
        (raw(replica_regions=[3]), "replica_regions is no list of texts"),
        (raw(monthly_cost_usd="much"), "monthly_cost_usd is no number"),
        (raw(kms_key_arn=7), "kms_key_arn is no text"),
        (raw(kms_key_arn="arn:aws:kms"), "kms_key_arn is no ARN"),
    ],
)
def test_what_is_missing_or_of_another_kind_is_named(outputs: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputsError) as caught:
        parse(outputs)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("label", "outputs"),
    [
        ("secret_arns.jwt", raw(secret_arns={"jwt": SECRET.replace(ACCOUNT, "999999999999")})),
        ("secret_arns.jwt", raw(secret_arns={"jwt": SECRET.replace("eu-west-1", "us-east-1")})),
        ("secret_arns.jwt", raw(secret_arns={"jwt": SECRET.replace("arn:aws:", "arn:aws-cn:")})),
        ("secret_arns.jwt", raw(secret_arns={"jwt": THEIRS})),
        ("services.app.container_secrets.DB_PASSWORD", raw(foreign_secret_arns={})),
        ("services.app.execution_role_arn", raw(service={"execution_role_arn": "arn:aws:iam::999999999999:role/x"})),
        ("services.app.task_role_arn", raw(service={"task_role_arn": "arn:aws:iam::999999999999:role/x"})),
        ("kms_key_arn", raw(kms_key_arn=arn("kms", "key/1", region="us-east-1"))),
        ("alarm_topic_arn", raw(alarm_topic_arn=arn("sns", "alarms", account="999999999999"))),
    ],
)
def test_an_arn_of_another_place_is_refused(label: str, outputs: dict[str, Any]) -> None:
    with pytest.raises(OutputsError, match=rf"^{label} is in .*; the stack is in account {ACCOUNT}, eu-west-1$"):
        parse(outputs)
