"""Whole plans as reviewed text: every resource with its inputs and options, policies as documents, outputs.

A change of a policy, a default or an option shows here as a diff. `make golden` renews the files; a reviewer reads them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from account.rights import lines
from components.policies.backup import backup_bucket_policy, backup_statements
from components.policies.deployer import boundary
from components.policies.identity import document
from tests.conftest import TICKETS
from tests.sandbox.stack_options import ALTERNATING, SINGLE_USER
from tests.unit.conftest import ACCOUNT, APPLICATIONS, Options, Recorded, Recorder, Recording, Secret, run_program
from tests.unit.test_account import account
from tests.unit.test_deployer import FULL, KEY

ROOT = Path(__file__).parents[2]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
PLAIN = {
    "image": f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/app:1.0.0",
    "databaseHost": "db.internal",
    "redisHost": "redis.internal",
}
EVERYTHING = {
    **PLAIN,
    "protect": True,
    "encryption": "customer-managed",
    "replicaRegions": ["eu-west-1"],
    "grantReplicas": True,
    "permissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
    "restrictReaders": True,
    "breakGlassRoles": [f"{ROLE}break-glass"],
    "deployerRoles": [f"{ROLE}deployer"],
    "rotations": {"jwtSecret": 2, "encryptionKey": 3},
    "rotation": ALTERNATING,
    "redeploy": {"cluster": "main", "services": {"app": "web"}},
    "audit": {"trail": "create", "alarmEmails": ["oncall@example.com"], "trustedReaders": [f"{ROLE}auditor"]},
}
OTHERS = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:terraform"
FOREIGN_KEY = "arn:aws:kms:us-east-1:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab"
EVERY_KIND = {
    **PLAIN,
    "image": "registry.example.com/app@sha256:" + "a1" * 32,
    "environment": {"LOG_LEVEL": "info", "WORKERS": 4},
    "healthCheck": {"command": ["CMD", "node", "check.js"], "startPeriod": 20},
    "sidecars": {
        "agent": {
            "image": f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/agent:7",
            "environment": {"LEVEL": "info"},
            "essential": False,
            "memory": 128,
        }
    },
    "containerPort": 8080,
    "cpu": 1024,
    "memory": 2048,
    "cpuArchitecture": "ARM64",
    "command": ["node", "server.js"],
    "readonlyRootFilesystem": True,
    "logMode": "non-blocking",
    "logRetentionInDays": 90,
    "adopt": {"jwt-secret": f"{OTHERS}/jwt-MnOpQr"},
    "foreignSecrets": {"warehouse": "arn:aws:secretsmanager:us-east-1:999999999999:secret:warehouse-GhIjKl"},
    "secretKmsKeys": {
        "jwt-secret": f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/22222222-3333-4444-5555-666666666666",
        "warehouse": FOREIGN_KEY,
    },
    "recoveryWindowInDays": 7,
    "encryption": "returning-to-aws-managed",
    "replicaRegions": ["eu-west-1"],
    "replicaKmsKeys": {"eu-west-1": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/33333333-4444-5555-6666-777777777777"},
    "confusedDeputyProtection": False,
    "redeploy": {"cluster": "main", "services": {"app": "web"}},
}
BACKUPS: Mapping[str, Any] = {
    "backupDays": 35,
    "backupSubjects": ["repo:example/service-ticket-system:ref:refs/heads/main"],
    "backupOpeners": ["arn:aws:iam::222222222222:role/BreakGlass"],
}
SINGLE = {**PLAIN, "rotation": SINGLE_USER}


class Text(SingleFileSnapshotExtension):
    """One text file a plan, beside the tests."""

    file_extension = "txt"
    _write_mode = WriteMode.TEXT

    @classmethod
    def dirname(cls, *, test_location: Any) -> str:
        return str(Path(test_location.filepath).parent / "golden")


@pytest.fixture
def golden(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(Text)


def run(
    record: Recorder, config: Mapping[str, Any], *, stack: str, project: str = "service-ticket-system"
) -> Recording:
    supplied = (
        ("smtpPassword", "cloudflareToken")
        if project == "service-ticket-system"
        else ("paymentPublishable", "mailToken")
    )
    caller = {"accountId": ACCOUNT, "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/me"}
    secrets = {key: f"invented-value-of-{key}" for key in supplied}
    invokes = {"aws:index/getCallerIdentity:getCallerIdentity": caller}
    return run_program(record, config, secrets, project=project, stack=stack, invokes=invokes)


@pytest.mark.parametrize(
    ("config", "stack"),
    [(PLAIN, "dev"), (SINGLE, "dev"), (EVERYTHING, "prod"), (EVERY_KIND, "every-kind")],
    ids=["plain", "single-user", "everything", "every-kind"],
)
def test_the_plan_is_the_reviewed_one(
    record: Recorder, golden: SnapshotAssertion, config: Mapping[str, Any], stack: str
) -> None:
    assert shown(run(record, config, stack=stack)) == golden


def test_the_shops_plan_is_the_reviewed_one(
    record: Recorder, golden: SnapshotAssertion, use_application: Callable[[str], None]
) -> None:
    use_application("shop")
    stack = yaml.safe_load((APPLICATIONS / "shop" / "Pulumi.live.yaml").read_text(encoding="utf-8"))["config"]
    config = {key.removeprefix("shop:"): value for key, value in stack.items() if key.startswith("shop:")}
    recording = run(record, config, stack="live", project="shop")
    assert shown(recording) == golden
    (line,) = [line for line in recording.log if "can read all of" in line]
    assert line.startswith("warning: mailer can read all of payment, also PAYMENT_PUBLISHABLE")


@pytest.mark.parametrize(("stack", "number"), [("dev", "111111111111"), ("prod", "222222222222")], ids=["dev", "prod"])
def test_the_accounts_plan_is_the_reviewed_one(
    record: Recorder, golden: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch, stack: str, number: str
) -> None:
    monkeypatch.setattr("account.application.REPOSITORY", TICKETS)
    assert shown(account(record, stack=stack, number=number, **(BACKUPS if stack == "prod" else {}))) == golden


def test_the_rights_are_the_reviewed_ones(golden: SnapshotAssertion) -> None:
    """As `python -m account.rights` prints them, with an application's own actions in the boundary, and the backups' rights."""
    stack = replace(FULL, protected=True)
    own = boundary(stack, application_actions=["sqs:SendMessage", "kms:Decrypt@s3"])
    backup = document(backup_statements(stack, key_arn=KEY))
    others = {"boundary": own, "backup": backup, "bucket": backup_bucket_policy(stack)}
    assert "\n".join([*lines(stack), yaml.safe_dump(_plain(others), width=130)]) == golden


def shown(recording: Recording) -> str:
    resources = sorted(recording, key=lambda resource: (resource.type, resource.name))
    outputs = {"outputs": _plain(dict(recording.exports))}
    return yaml.safe_dump_all([*map(_resource, resources), outputs], sort_keys=True, width=130, allow_unicode=True)


def _resource(resource: Recorded) -> dict[str, Any]:
    given = {f.name: getattr(resource.options, f.name) for f in fields(Options)}
    options = {name: _plain(value) for name, value in given.items() if value}
    return {f"{resource.type} {resource.name}": {"inputs": _plain(resource.inputs), "options": options}}


def _plain(value: Any) -> Any:
    match value:
        case Secret():
            return f"[secret] {_plain(value.value)}"
        case str():
            return _document(value)
        case Mapping():
            # The archive's path and hash are the machine's and the packages', not the plan's.
            return {str(k): "..." if k in {"code", "sourceCodeHash"} else _plain(v) for k, v in sorted(value.items())}
        case list() | tuple():
            return [_plain(item) for item in value]
        case frozenset() | set():
            return sorted(map(str, value))
        case _:
            return value if isinstance(value, bool | int | float) or value is None else str(value)


def _document(text: str) -> Any:
    """A JSON document in a text is shown as a document."""
    if text[:1] not in {"{", "["}:
        return text
    try:
        return {"JSON": json.loads(text)}
    except ValueError:
        return text
