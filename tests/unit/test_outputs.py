"""The outputs as other stacks and `ops` read them: what is taken, what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from components.location import Location
from components.names import Names
from components.outputs import NAMES, OutputsError, Part, Secret, home_of, names_of, parse

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
    "secrets": {
        "jwt": {
            "arn": SECRET,
            "full_name": "tickets-dev-jwt",
            "owner": "stack",
            "region": "eu-west-1",
            "json": False,
            "parts": {"": {"kind": "generated", "config_key": "jwtSecret", "number": 2, "accepted_by": None}},
            "kms_key_arn": None,
        },
        "database": {
            "arn": THEIRS,
            "full_name": "theirs",
            "owner": "Amazon RDS",
            "region": "us-east-1",
            "json": True,
            "parts": {"password": {"kind": "external", "config_key": None, "number": 1, "accepted_by": None}},
            "kms_key_arn": arn("kms", "key/2", account="999999999999", region="us-east-1"),
        },
    },
    "services": {"app": SERVICE},
    "monthly_cost_usd": 1.2,
}
OWN = {"jwt": RAW["secrets"]["jwt"]}


def secret(name: str = "jwt", **changes: Any) -> dict[str, Any]:
    return {**RAW["secrets"], name: {**RAW["secrets"][name], **changes}}


def raw(service: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {**RAW, "services": {"app": {**SERVICE, **(service or {})}}, **changes}


def elsewhere(own: str) -> dict[str, Any]:
    return raw(secret_arns={"jwt": own}, secrets=secret(arn=own))


def test_outputs_are_read_and_what_is_not_known_is_ignored() -> None:
    found = parse(raw(service={"future": 1}, future={"a": "b"}))
    assert found.environment == "dev"
    assert found.secret_arns == {"jwt": SECRET}
    assert found.secrets["jwt"] == Secret(
        SECRET, "tickets-dev-jwt", "stack", "eu-west-1", json=False, parts={"": Part("generated", "jwtSecret", 2)}
    )
    assert {name: entry.foreign for name, entry in found.secrets.items()} == {"jwt": False, "database": True}
    assert vars(found.services["app"]) == SERVICE
    assert found.monthly_cost_usd == 1.2
    assert (found.kms_key_arn, found.alarm_topic_arn) == (None, None)
    assert home_of(found) == Location("aws", "eu-west-1", ACCOUNT)
    assert names_of(found) == Names("tickets", "dev")


def test_what_is_exported_is_what_is_read() -> None:
    key, topic = arn("kms", "key/1"), arn("sns", "tickets-dev-alarms")
    everything = raw(
        kms_key_arn=key,
        alarm_topic_arn=topic,
        replica_regions=["eu-west-3"],
    )
    exported = dict(parse(everything).exports())
    assert exported.items() >= everything.items()
    assert set(exported) == set(NAMES)


def test_pulumi_leaves_out_what_is_null() -> None:
    found = parse({name: RAW[name] for name in ("environment", "secret_arns", "secrets", "services")})
    assert (found.monthly_cost_usd, found.kms_key_arn, found.replica_regions) == (0, None, ())
    found = parse(raw(secrets=secret(parts={"": {"kind": "external"}})))
    assert found.secrets["jwt"].parts == {"": Part("external", None, 1)}


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "no output environment, secret_arns, secrets, services"),
        (raw(environment=None), "no output environment"),
        (raw(environment=7), "environment is not text"),
        (raw(services={}), "services is empty"),
        (raw(services=["app"]), "services is not an object"),
        (raw(services={"app": "x"}), "services.app: is not an object"),
        (raw(service={"task_role_arn": None}), "services.app: task_role_arn is missing"),
        (raw(service={"task_role_arn": 1}), "services.app: task_role_arn is not text"),
        (raw(service={"container_secrets": None}), "services.app: container_secrets is missing"),
        (
            raw(service={"container_secrets": {"A": 1}}),
            "services.app: container_secrets holds something other than text",
        ),
        (raw(service={"container_secrets": {"A": "x"}}), "services.app.container_secrets.A is not a valueFrom"),
        (raw(service={"execution_role_arn": "x"}), "services.app.execution_role_arn is not an ARN"),
        (raw(service={"task_definition_arn": "x"}), "task_definition_arn is not an ARN"),
        (raw(secret_arns=[]), "secret_arns is not an object"),
        (raw(secrets={}), "secret_arns and secrets disagree about jwt"),
        (raw(secret_arns={}), "secret_arns and secrets disagree about jwt"),
        (raw(secrets=secret(arn=SECRET + "x")), "secret_arns and secrets disagree about jwt"),
        (raw(secrets=secret(owner=None)), "secrets.jwt: owner is missing"),
        (raw(secrets={"jwt": 1}), "secrets.jwt: is not an object"),
        (raw(secrets=secret(parts={"": 1})), "secrets.jwt: parts.: is not an object"),
        (
            raw(secrets=secret(parts={"": {"kind": "generated", "number": "2"}})),
            "secrets.jwt: parts.: number is not a number",
        ),
        (raw(replica_regions="eu-west-3"), "replica_regions is not a list of texts"),
        (raw(replica_regions=[3]), "replica_regions is not a list of texts"),
        (raw(monthly_cost_usd="much"), "monthly_cost_usd is not a number"),
        (raw(kms_key_arn=7), "kms_key_arn is not text"),
        (raw(kms_key_arn="arn:aws:kms"), "kms_key_arn is not an ARN"),
    ],
)
def test_what_is_missing_or_of_another_kind_is_named(outputs: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputsError) as caught:
        parse(outputs)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("label", "outputs"),
    [
        ("secret_arns.jwt", elsewhere(SECRET.replace(ACCOUNT, "999999999999"))),
        ("secret_arns.jwt", elsewhere(SECRET.replace("eu-west-1", "us-east-1"))),
        ("secret_arns.jwt", elsewhere(SECRET.replace("arn:aws:", "arn:aws-cn:"))),
        ("secret_arns.jwt", elsewhere(THEIRS)),
        ("services.app.container_secrets.DB_PASSWORD", raw(secrets=OWN)),
        ("services.app.execution_role_arn", raw(service={"execution_role_arn": "arn:aws:iam::999999999999:role/x"})),
        ("services.app.task_role_arn", raw(service={"task_role_arn": "arn:aws:iam::999999999999:role/x"})),
        ("kms_key_arn", raw(kms_key_arn=arn("kms", "key/1", region="us-east-1"))),
        ("alarm_topic_arn", raw(alarm_topic_arn=arn("sns", "alarms", account="999999999999"))),
    ],
)
def test_an_arn_of_another_place_is_refused(label: str, outputs: dict[str, Any]) -> None:
    with pytest.raises(OutputsError, match=rf"^{label} is in .*; the stack is in account {ACCOUNT}, eu-west-1$"):
        parse(outputs)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"full_name": "billing-dev-jwt"},
            "is billing-dev-jwt, which the stack did not adopt; its own is tickets-dev-jwt",
        ),
        ({"full_name": "tickets-prod-jwt"}, "is tickets-prod-jwt, which the stack did not adopt"),
        ({"arn": SECRET.replace("tickets", "billing")}, "is the ARN of billing-dev-jwt, not of tickets-dev-jwt"),
        (
            {"owner": "adopted", "full_name": "tickets-dev-jwt", "arn": SECRET.replace("tickets", "billing")},
            "is the ARN of billing-dev-jwt, not of tickets-dev-jwt",
        ),
    ],
)
def test_another_applications_secret_of_the_same_account_is_refused(changed: dict[str, Any], message: str) -> None:
    found = {"arn": SECRET, **changed}
    given = raw({"container_secrets": {}}, secret_arns={"jwt": found["arn"]}, secrets=secret(**found))
    with pytest.raises(OutputsError, match=message):
        parse(given)


def test_an_adopted_secret_keeps_its_name() -> None:
    own = SECRET.replace("tickets-dev-jwt", "legacy/jwt")
    changed = secret(owner="adopted", full_name="legacy/jwt", arn=own)
    assert parse(raw({"container_secrets": {}}, secret_arns={"jwt": own}, secrets=changed)).secrets["jwt"].arn == own


def test_a_container_reads_no_secret_that_the_outputs_do_not_have() -> None:
    other = SECRET.replace("tickets", "billing")
    with pytest.raises(OutputsError, match=r"container_secrets.X reads .*billing.*, which is not in secrets"):
        parse(raw({"container_secrets": {"X": other}}))
