"""`restrictReaders`: who may still read, and which configurations are refused."""

import json
from typing import Any

import pytest

from components.policies.resource import MAX_CHARACTERS, ReaderPolicyError, reader_policy

ROLE = "arn:aws:iam::111122223333:role/"
USER = "arn:aws:iam::111122223333:user/"
SESSION = "arn:aws:sts::111122223333:assumed-role/"
GOOD: dict[str, Any] = {
    "execution_role_arns": [f"{ROLE}execution"],
    "rotation_role_arn": f"{ROLE}rotation",
    "trusted_readers": [f"{ROLE}audit/security-auditor", f"{USER}backup"],
    "break_glass_roles": [f"{ROLE}break-glass"],
    "deployer_roles": [f"{ROLE}ci/deployer"],
}


def with_changes(**changes: Any) -> str:
    arguments: dict[str, Any] = {**GOOD, **changes}
    return reader_policy(**arguments)


def denied(policy: str, principal_arn: str, *, tls: bool = True) -> bool:
    """Whether the policy denies that principal (a role's ARN for its sessions) GetSecretValue."""
    for statement in json.loads(policy)["Statement"]:
        assert statement["Effect"] == "Deny"
        ((operator, keys),) = statement["Condition"].items()
        if operator == "ArnNotEquals" and principal_arn not in keys["aws:PrincipalArn"]:
            return True
        if operator == "Bool" and not tls:
            return True
    return False


@pytest.mark.parametrize(
    "principal",
    [
        "role/execution",
        "role/rotation",
        "role/audit/security-auditor",
        "user/backup",
        "role/break-glass",
        "role/ci/deployer",
    ],
)
def test_who_is_named_reads_through_tls_only(principal: str) -> None:
    arn = f"arn:aws:iam::111122223333:{principal}"
    assert not denied(reader_policy(**GOOD), arn)
    assert denied(reader_policy(**GOOD), arn, tls=False)


@pytest.mark.parametrize("arn", [f"{ROLE}developer", f"{ROLE}security-auditor", "arn:aws:iam::111122223333:root"])
def test_everybody_else_is_denied(arn: str) -> None:
    assert denied(reader_policy(**GOOD), arn)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trusted_readers": [f"{ROLE}*"]}, "is not the ARN of a role or user"),
        ({"trusted_readers": [f"{ROLE}audit?"]}, "is not the ARN of a role or user"),
        ({"break_glass_roles": ["arn:aws:iam::111122223333:root"]}, "is not the ARN of a role or user"),
        ({"deployer_roles": [f"{SESSION}deployer/me"]}, "is not the ARN of a role or user"),
        ({"caller_arn": f"{SESSION}developer/me"}, "would lock itself out"),
        ({"caller_arn": "arn:aws:sts::999988887777:assumed-role/deployer/me"}, "would lock itself out"),
        ({"caller_arn": f"{USER}mallory"}, "would lock itself out"),
        ({"caller_arn": "arn:aws:iam::111122223333:root"}, "would lock itself out"),
        ({"trusted_readers": [f"{ROLE}auditor-{n:04}" for n in range(500)]}, f"AWS takes {MAX_CHARACTERS:,}"),
    ],
)
def test_what_would_lock_somebody_out_or_be_refused_by_aws_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ReaderPolicyError, match=message):
        with_changes(**changes)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ReaderPolicyError, match=r"is not the ARN of a role or user.*would lock itself out"):
        with_changes(trusted_readers=["*"], caller_arn=f"{USER}mallory")


@pytest.mark.parametrize(
    "caller", [f"{SESSION}deployer/pulumi", f"{SESSION}break-glass/me", f"{USER}backup", f"{SESSION}security-auditor/x"]
)
def test_a_caller_who_may_read_is_fine_whatever_its_roles_path(caller: str) -> None:
    assert reader_policy(**GOOD, caller_arn=caller) == reader_policy(**GOOD)
