"""Whatever a stack's configuration says: account/ gives the deployer what it leads to, and the boundary leaves room for it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi_aws as aws
import pytest
import yaml

from account.application import Application
from components.names import Names
from components.policies import deployer
from components.policies.deployer import Deployment
from ops.access.evaluator import decide, parse
from tests.sandbox.stack_options import SINGLE_USER
from tests.unit.conftest import Recorder
from tests.unit.test_deployer import (
    ACCOUNT,
    BOUNDARY,
    PREFIX,
    REGION,
    all_calls,
    asked,
    beyond,
    key_policies,
    parsed,
    program,
    refused,
    through_secrets_manager,
)

ROOT = Path(__file__).parents[2]
PROJECT = "service-ticket-system"
ADOPTED = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:old/jwt-AbCdEf"
KEYS = {region: f"arn:aws:kms:{region}:{ACCOUNT}:key/{region}-1" for region in (REGION, "eu-west-1")}

RESTRICTED: Mapping[str, Any] = {
    "restrictReaders": True,
    "deployerRoles": [f"arn:aws:iam::{ACCOUNT}:role/another"],
    "breakGlassRoles": [f"arn:aws:iam::{ACCOUNT}:role/on-call"],
}

LEADS_TO: Mapping[str, Mapping[str, Any]] = {
    "adopt": {"adopt": {"jwt-secret": ADOPTED}},
    "audit": {"audit": {"trail": "create", "alarmEmails": ["oncall@example.com"]}},
    "breakGlassRoles": RESTRICTED,
    "deployerRoles": {"deployerRoles": [f"arn:aws:iam::{ACCOUNT}:role/another"], "encryption": "customer-managed"},
    "encryption": {"encryption": "customer-managed"},
    "grantReplicas": {"replicaRegions": ["eu-west-1"], "grantReplicas": True},
    "logRetentionInDays": {"logRetentionInDays": 90},
    "protect": {"protect": True, "audit": {"trail": "create"}},
    "redeploy": {"redeploy": {"cluster": "main", "services": {"app": "web"}}},
    "replicaKmsKeys": {
        "encryption": "customer-managed", "replicaRegions": ["eu-west-1"], "grantReplicas": True,
        "replicaKmsKeys": {"eu-west-1": KEYS["eu-west-1"]},
    },
    "replicaRegions": {"replicaRegions": ["eu-west-1"]},
    "restrictReaders": RESTRICTED,
    "rotation": {"rotation": SINGLE_USER},
    "secretKmsKeys": {"adopt": {"jwt-secret": ADOPTED}, "secretKmsKeys": {"jwt-secret": KEYS[REGION]}},
}  # fmt: skip
"""By key, a configuration in which it has an effect on what is called."""

NOTHING = {
    "command", "confusedDeputyProtection", "containerPort", "cpu", "cpuArchitecture", "environment", "healthCheck",
    "image", "logMode", "memory", "permissionsBoundary", "readonlyRootFilesystem", "recoveryWindowInDays", "rotations",
    "services", "sidecars",
}  # fmt: skip
"""Keys that change a property of what every stack has: the same calls on the same resources."""

ELSEWHERE = {"foreignSecrets"}
"""The account's own configuration names them: `foreignSecretArns`."""


def application(config: Mapping[str, Any]) -> Deployment:
    here = {"aws:allowedAccountIds": [ACCOUNT], "aws:region": REGION}
    return Application.of(Names(PROJECT, "dev"), {**config, **here}).stack


def of_the_table() -> set[str]:
    return set(yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"])


def test_every_key_of_the_configuration_has_been_asked_about() -> None:
    assert {*LEADS_TO, *NOTHING, *ELSEWHERE} == of_the_table()


@pytest.mark.parametrize("key", LEADS_TO)
def test_the_deployer_and_the_boundary_allow_what_a_key_leads_to(
    record: Recorder, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    caller = SimpleNamespace(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/another/run", account_id=ACCOUNT)
    monkeypatch.setattr(aws, "get_caller_identity", lambda: caller)
    config: dict[str, Any] = {**LEADS_TO[key], "permissionsBoundary": BOUNDARY}
    recording = program(record, **config)
    file = {f"{PROJECT}:{name}": value for name, value in config.items()}
    tags = {"Project": PROJECT, "Environment": "dev"}
    stack = application({**file, "aws:defaultTags": {"tags": tags}})

    keys = {*config.get("secretKmsKeys", {}).values(), *config.get("replicaKmsKeys", {}).values()}
    requests = [*all_calls(recording), *through_secrets_manager(*keys)]
    if config.get("protect"):
        requests = [request for request in requests if not request.action.startswith("s3:DeleteObject")]
    assert refused(parsed(stack), with_state(requests), key_policies(recording)) == []
    assert beyond(deployer.boundary(stack), recording)[1] == []


def with_state(requests: list[Any]) -> list[Any]:
    """The configuration's key has another ARN here."""
    return [request for request in requests if "55555555" not in request.resource]


def test_a_foreign_secret_is_read_within_the_boundary() -> None:
    foreign = f"arn:aws:secretsmanager:{REGION}:999999999999:secret:shared-AbCdEf"
    stack = replace(application({}), foreign_arns=(foreign,))
    limits = parse(deployer.boundary(stack), source="boundary")
    assert decide(asked("secretsmanager:GetSecretValue", foreign), identity=limits).allows
    assert not decide(asked("secretsmanager:PutSecretValue", foreign), identity=limits).allows


def test_replicas_are_read_within_the_boundary_where_the_program_grants_them() -> None:
    replica = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:{PREFIX}-jwt-secret-AbCdEf"
    for granted in (True, False):
        config = {f"{PROJECT}:replicaRegions": ["eu-west-1"], f"{PROJECT}:grantReplicas": json.dumps(granted)}
        limits = parse(deployer.boundary(application(config)), source="boundary")
        assert decide(asked("secretsmanager:GetSecretValue", replica), identity=limits).allows is granted
