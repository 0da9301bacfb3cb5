"""A secret that somebody else owns, on the real engine: read by the stack, and untouched by everything that the stack does."""

from typing import Any

import pytest

from tests.sandbox.stack_options import given

ENTRY = """\
    ForeignSecret(
        "database", "Amazon RDS", keys={"username", "password"}, variables={"username": "RDS_USER", "password": "RDS_PASSWORD"}
    ),
"""


@pytest.mark.slow
def test_up_change_and_destroy_leave_it_as_it_is(sandbox: Any, project_copy: Any) -> None:
    copy = project_copy()
    sandbox.ok("preview", *copy.options)  # starts the local AWS
    made = sandbox.aws("rds", copy).create_db_cluster(
        DBClusterIdentifier="tickets",
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        ManageMasterUserPassword=True,
    )
    arn = made["DBCluster"]["MasterUserSecret"]["SecretArn"]
    key = sandbox.aws("kms", copy).create_key()["KeyMetadata"]["Arn"]
    catalogue = copy.directory / "catalogue.py"
    text = catalogue.read_text(encoding="utf-8")
    start = "CATALOGUE: Sequence[Entry] = (\n"
    with_entry = text.replace("    Entry,\n", "    Entry,\n    ForeignSecret,\n").replace(start, start + ENTRY)
    catalogue.write_text(with_entry, encoding="utf-8")
    client = sandbox.aws("secretsmanager", copy)

    def seen() -> Any:
        described = client.describe_secret(SecretId=arn)
        value = client.get_secret_value(SecretId=arn)
        policy = client.get_resource_policy(SecretId=arn).get("ResourcePolicy")
        return {**described, "ResponseMetadata": None}, value["SecretString"], policy

    before = seen()
    missing = sandbox.quick("up", *copy.options)
    assert missing.status == 1
    assert "foreignSecrets.database  is required: Amazon RDS owns the secret" in missing.err

    options = (*copy.options, *given(foreignSecrets={"database": arn}, secretKmsKeys={"database": key}))
    outputs = sandbox.ok("up", *options)["outputs"]
    assert outputs["secrets"]["database"]["arn"] == arn
    assert outputs["secrets"]["database"]["owner"] == "Amazon RDS"
    references = outputs["services"]["app"]["container_secrets"]
    assert references["RDS_PASSWORD"] == f"{arn}:password::"
    role = outputs["services"]["app"]["execution_role_arn"].rpartition("/")[2]
    policy = sandbox.aws("iam", copy).get_role_policy(RoleName=role, PolicyName="execution")["PolicyDocument"]
    statements = {statement["Sid"]: statement["Resource"] for statement in policy["Statement"]}
    assert arn in statements["ReadSecrets"]
    assert statements["DecryptSecretsEuCentral1"] == [key]
    assert sandbox.ok("preview", "--expect-no-changes", *options)["changes"] == []
    assert seen() == before

    catalogue.write_text(text, encoding="utf-8")
    sandbox.ok("up", *copy.options)
    assert seen() == before
    catalogue.write_text(with_entry, encoding="utf-8")
    sandbox.ok("up", *options)
    sandbox.ok("destroy", *options)
    assert seen() == before
