"""The regular backup: what its role does and what it doesn't, who opens a backup, how long it stays."""

from typing import Any

import pulumi
import pytest

from components.location import Location
from components.names import Names
from components.policies.backup import backup_key_policy, backup_statements
from components.policies.deployer import Deployment
from components.policies.identity import document
from ops.access.evaluator import Request, decide, parse
from tests.unit.conftest import Recorder
from tests.unit.test_account import account, application

_ = application  # the fixture that gives the account's project the tests' own stacks

ACCOUNT, REGION = "111122223333", "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-1111-2222-3333-444444444444"
OTHER_KEY = KEY.replace("0000", "9999", 1)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-ticket-system-backup"
ADMIN, OPENER = f"arn:aws:iam::{ACCOUNT}:role/admin", f"arn:aws:iam::{ACCOUNT}:role/break-glass"
ADOPTED = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:ticketing/jwt-AbCdEf"
STACK = Deployment(
    names=Names("service-ticket-system", "prod"),
    location=Location("aws", REGION, ACCOUNT),
    features=frozenset(),
    config_key_arn=OTHER_KEY,
    key_tags={},
    adopted_arns=(ADOPTED,),
)
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:service-ticket-system-prod-jwt-secret-AbCdEf"
BUCKET = "arn:aws:s3:::service-ticket-system-backups-111122223333-eu-central-1"
THROUGH = {"kms:viaservice": f"secretsmanager.{REGION}.amazonaws.com"}
OF_STACK = {"kms:encryptioncontext:stack": "prod"}


MAKES: list[tuple[str, str, dict[str, str]]] = [
    *((f"secretsmanager:{call}", arn, {}) for arn in (SECRET, ADOPTED) for call in (
        "GetSecretValue", "DescribeSecret", "ListSecretVersionIds", "GetResourcePolicy",
    )),
    ("secretsmanager:ListSecrets", "*", {}),
    ("kms:Decrypt", OTHER_KEY, {**THROUGH, "kms:encryptioncontext:secretarn": SECRET}),
    ("kms:DescribeKey", KEY, {}),
    ("kms:GenerateDataKey", KEY, OF_STACK),
    ("s3:PutObject", f"{BUCKET}/prod/2026-11-29T01-43-00Z.backup", {}),
]  # fmt: skip
NOTHING_ELSE: list[tuple[str, str, dict[str, str]]] = [
    ("secretsmanager:GetSecretValue", SECRET.replace("-prod-", "-dev-"), {}),
    ("secretsmanager:PutSecretValue", SECRET, {}),
    ("secretsmanager:DeleteSecret", SECRET, {}),
    ("kms:Decrypt", KEY, {}),
    ("kms:Decrypt", KEY, OF_STACK),
    ("kms:Decrypt", OTHER_KEY, {"kms:encryptioncontext:secretarn": SECRET}),
    ("kms:Decrypt", OTHER_KEY, {**THROUGH, "kms:encryptioncontext:secretarn": SECRET.replace("-prod-", "-dev-")}),
    ("kms:GenerateDataKey", KEY, {"kms:encryptioncontext:stack": "dev"}),
    ("kms:GenerateDataKey", OTHER_KEY, OF_STACK),
    ("s3:GetObject", f"{BUCKET}/prod/x", {}),
    ("s3:DeleteObject", f"{BUCKET}/prod/x", {}),
    ("s3:PutObject", f"{BUCKET}/dev/x", {}),
    ("s3:PutObjectRetention", f"{BUCKET}/prod/x", {}),
    ("s3:GetObject", "arn:aws:s3:::service-ticket-system-state-111122223333-eu-central-1/.pulumi/x", {}),
    ("iam:PassRole", ROLE, {}),
]


@pytest.mark.parametrize(
    ("action", "resource", "context", "allowed"),
    [*((*case, True) for case in MAKES), *((*case, False) for case in NOTHING_ELSE)],
)
def test_the_role_makes_a_backup_and_does_nothing_else(
    action: str, resource: str, context: dict[str, str], *, allowed: bool
) -> None:
    known: dict[str, str | None] = {"kms:viaservice": None, "kms:encryptioncontext:*": None, **context}
    statements = parse(document(backup_statements(STACK, key_arn=KEY)), source="backup")
    decided = decide(Request(action, resource, ROLE, known), identity=statements).outcome
    assert (decided == "allowed") is allowed


@pytest.mark.parametrize(
    ("principal", "action", "allowed"),
    [
        (ROLE, "kms:GenerateDataKey", True),
        (ROLE, "kms:Decrypt", False),
        (OPENER, "kms:Decrypt", True),
        (ADMIN, "kms:Decrypt", False),
        (ADMIN, "kms:GenerateDataKey", False),
        (ADMIN, "kms:CreateGrant", False),
        (ADMIN, "kms:ScheduleKeyDeletion", True),
    ],
)
def test_only_named_roles_open_a_backup(principal: str, action: str, *, allowed: bool) -> None:
    """Whatever IAM says: here it allows everything."""
    policy = parse(backup_key_policy(STACK.location, writers=[ROLE], openers=[OPENER]), source="key")
    everything = parse(document([{"Sid": "All", "Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]), source="iam")
    decision = decide(Request(action, KEY, principal), identity=everything, resource=policy, resource_must_allow=True)
    assert (decision.outcome == "allowed") is allowed


@pytest.mark.parametrize("missing", ["backupSubjects", "backupOpeners"])
def test_a_backup_that_nobody_makes_or_opens_is_refused(record: Recorder, missing: str) -> None:
    config: dict[str, Any] = {
        "backupDays": 35,
        "backupSubjects": ["repo:a/b:ref:x"],
        "backupOpeners": [OPENER],
        missing: [],
    }
    with pytest.raises(pulumi.RunError, match="backupDays must be 1 or more, with backupSubjects"):
        account(record, **config)
