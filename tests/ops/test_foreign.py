"""Foreign secrets in the operator's tools. RDS creates the one here, as moto models it after the real service."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components.policies import identity
from components.references import value_from

Stack = Any  # conftest.Deployed
NAME = "database"


@pytest.fixture
def stack(deploy: Any) -> Stack:
    """A stack whose container gets the master's credentials that RDS manages, under a key of their own."""
    stack = deploy(customer_managed_key=True)
    stack.rds_key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    made = stack.client("rds").create_db_cluster(
        DBClusterIdentifier="tickets",
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        ManageMasterUserPassword=True,
        MasterUserSecretKmsKeyId=stack.rds_key,
    )
    arn = made["DBCluster"]["MasterUserSecret"]["SecretArn"]
    stack.outputs["services"]["app"]["container_secrets"] |= {
        "RDS_USER": value_from(arn, "username"),
        "RDS_PASSWORD": value_from(arn, "password"),
    }
    keys = {key: {"kind": "external"} for key in ("username", "password")}
    stack.described[NAME] = {
        "arn": arn,
        "owner": "Amazon RDS",
        "json": True,
        "parts": keys,
        "kms_key_arn": stack.rds_key,
    }
    stack.write_outputs()
    stack.foreign = arn
    put(stack, {"username": "postgres", "password": "chosen-by-rds"})
    grant(stack, [arn], [stack.rds_key])
    stack.deploy_revision()
    return stack


def put(stack: Stack, value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    stack.secrets.put_secret_value(SecretId=stack.foreign, SecretString=text)


def grant(stack: Stack, arns: list[str], keys: list[str]) -> None:
    """Grant the execution role what the program grants, with these foreign secrets and keys."""
    _, _, *others = stack.grants()
    own = stack.outputs["secret_arns"].values()
    stack.grant(
        identity.read_secrets([*own, *arns]),
        identity.decrypt_through_secrets_manager([stack.key_arn, *keys], stack.location),
        *others,
    )


def problems(done: Any) -> list[dict[str, str]]:
    return [finding for finding in done.json["findings"] if finding["status"] != "ok"]


def forget_key(stack: Stack) -> None:
    grant(stack, [stack.foreign], [])
    del stack.described[NAME]["kms_key_arn"]
    stack.write_outputs()


WRONG: list[tuple[Callable[[Stack], object], str, str, str, str]] = [
    # what is wrong, then what the subject, the text and the remark must hold, and the fix
    (lambda s: put(s, {"username": "postgres"}), NAME, "has no text under the key password; it has username",
     "ask Amazon RDS what it holds", ""),
    (lambda s: put(s, "no-json-at-all"), NAME, "is not a JSON object", "ask Amazon RDS what it holds", ""),
    (lambda s: put(s, {"username": "postgres", "password": 1}), NAME, "has no text under the key password",
     "ask Amazon RDS what it holds", ""),
    (lambda s: s.secrets.delete_secret(SecretId=s.foreign, RecoveryWindowInDays=7), NAME, "is pending deletion",
     "ask Amazon RDS to restore it", ""),
    (lambda s: s.secrets.delete_secret(SecretId=s.foreign, ForceDeleteWithoutRecovery=True), NAME, "doesn't exist",
         f"ask Amazon RDS for its ARN, then foreignSecrets.{NAME}", ""),
    (lambda s: grant(s, [], [s.rds_key]), f"-execution on {NAME}", "no policy allows secretsmanager:GetSecretValue",
     "", "pulumi up --refresh --stack dev"),
    (forget_key, f"-execution on the key of {NAME}", "no policy allows kms:Decrypt with {0.rds_key}",
     "", "pulumi config set --plaintext --path --stack dev 'secretKmsKeys.database' {0.rds_key} && pulumi up --stack dev"),
    (lambda s: s.client("kms").disable_key(KeyId=s.rds_key.rpartition("/")[2]), NAME, "its key is Disabled",
     "ask Amazon RDS to enable it", ""),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "subject", "found", "remark", "fix"), WRONG)
def test_doctor_says_what_is_wrong_with_it(  # noqa: PLR0917 - one column of the table each
    stack: Stack, ops: Any, broken: Any, subject: str, found: str, remark: str, fix: str
) -> None:
    broken(stack)

    done = ops(stack, "doctor", "--json")

    told = [p for p in problems(done) if p["found"].startswith(found.format(stack))]
    assert [(p["check"], p["status"], p["fix"]) for p in told] == [("foreign", "failure", fix.format(stack))]
    assert told[0]["subject"].endswith(subject)
    assert told[0]["remark"].startswith(remark)
    assert bool(told[0]["remark"]) == bool(remark)
    assert len(problems(done)) == 1 or "Disabled" in found, "nothing else is wrong"
    assert "no-json-at-all" not in done.out


def test_what_may_not_be_looked_at_is_told(stack: Stack, ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeSecret")

    monkeypatch.setattr("ops.doctor.foreign.describe", denied)

    (problem,) = problems(ops(stack, "doctor", "--json"))

    assert (problem["check"], problem["status"]) == ("foreign", "unchecked")
    assert "could not be checked" in problem["found"]


@pytest.mark.parametrize("command", [("set",), ("rollback",), ("rotate",)])
def test_nothing_changes_it(stack: Stack, ops: Any, command: tuple[str, ...]) -> None:
    before = stack.secrets.describe_secret(SecretId=stack.foreign)["VersionIdsToStages"]

    done = ops(stack, *command, NAME, "--yes", stdin=b"x")

    assert done.status == 2
    assert f"Amazon RDS owns {NAME}; only its owner can change it" in done.err
    assert stack.secrets.describe_secret(SecretId=stack.foreign)["VersionIdsToStages"] == before


def test_access_knows_that_the_role_is_meant_to_read_it_and_finds_a_right_to_change_it(stack: Stack, ops: Any) -> None:
    def rights(done: Any) -> list[tuple[str, bool]]:
        return [(g["right"], g["wider"]) for g in done.json["grants"] if g["secret"] == NAME]

    done = ops(stack, "access", "--json")
    assert (done.json["findings"], rights(done)) == ([], [("read", False)])
    assert any("Amazon RDS owns it" in gap for gap in done.json["not_looked_at"])
    change = {"Effect": "Allow", "Action": ["secretsmanager:PutSecretValue"], "Resource": [stack.foreign]}
    stack.allow(stack.role_name, change)
    assert ("change", True) in rights(ops(stack, "access", "--json"))


def test_the_other_commands_know_it_and_leave_it_to_its_owner(stack: Stack, ops: Any, tmp_path: Any) -> None:
    done = ops(stack, "doctor", "--json")
    assert problems(done) == []
    (line,) = [finding for finding in done.json["findings"] if finding["check"] == "foreign"]
    assert line["found"] == "1 secret of other owners: they exist, have what is referenced, and can be read"
    listed = {entry["name"]: entry for entry in ops(stack, "list", "--json").json["secrets"]}
    assert (listed[NAME]["owner"], listed[NAME]["arn"], listed[NAME]["state"]) == ("foreign", stack.foreign, "ok")
    assert "Amazon RDS" in ops(stack, "list").out
    assert ops(stack, "describe", NAME, "--json").json["variables"] == ["RDS_PASSWORD", "RDS_USER"]
    items = {item["item"]: item["quantity"] for item in ops(stack, "cost", "--json").json["items"]}
    assert items["secrets"] == len(stack.outputs["secret_arns"])
    key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    done = ops(stack, "backup", "--to", str(tmp_path / "b"), "--kms-key", key, "--json")
    assert done.json["secrets"] == len(stack.outputs["secret_arns"])


# --- an adopted secret under another key ---------------------------------------------------------------------------------


@pytest.fixture
def adopted(deploy: Any) -> Stack:
    """A stack with a secret that it has adopted, under a key that is not the stack's."""
    stack = deploy(customer_managed_key=True)
    stack.other_key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    made = stack.secrets.create_secret(
        Name="terraform/jwt", SecretString="made-by-terraform", KmsKeyId=stack.other_key
    )["ARN"]
    stack.secrets.put_resource_policy(SecretId=made, ResourcePolicy=identity.document([identity.require_tls()]))
    old = stack.outputs["secret_arns"]["jwt-secret"]
    stack.outputs["secret_arns"]["jwt-secret"] = made
    stack.described["jwt-secret"] = {"owner": "adopted", "parts": {"": {"kind": "external"}}}
    references = stack.outputs["services"]["app"]["container_secrets"]
    references["JWT_SECRET"] = references["JWT_SECRET"].replace(old, made)
    stack.write_outputs()
    stack.deploy_revision()
    return stack


def test_doctor_names_the_key_that_no_role_may_use(adopted: Stack, ops: Any) -> None:
    adopted.grant(*adopted.grants())

    found = [f for f in problems(ops(adopted, "doctor", "--json")) if f["subject"] == "jwt-secret"]

    assert [f["check"] for f in found] == ["key"]
    assert "which the configuration doesn't name" in found[0]["found"]
    configure = f"pulumi config set --plaintext --path --stack dev 'secretKmsKeys.jwt-secret' {adopted.other_key}"
    assert found[0]["fix"] == f"{configure} && pulumi up --stack dev"


def test_an_adopted_secret_under_its_own_key_is_in_order(adopted: Stack, ops: Any) -> None:
    adopted.described["jwt-secret"]["kms_key_arn"] = adopted.other_key
    adopted.write_outputs()
    grant(adopted, [], [adopted.other_key])

    assert problems(ops(adopted, "doctor", "--json")) == []
    # The key itself is not the program's: whom its policy lets decrypt is for its owner to say, and is told.
    findings = ops(adopted, "access", "--json").json["findings"]
    assert [finding for finding in findings if not finding["where"].startswith("key ")] == []
