"""What exists already when account/ comes: the plain `pulumi up` makes nothing, and the commands that it names take it over."""

import json
import re
from collections.abc import Callable

import pytest

from tests.sandbox.plain_pulumi import Shell

pytestmark = pytest.mark.slow

ACCOUNT = "111111111111"
BUCKET = f"service-ticket-system-state-{ACCOUNT}-eu-central-1"
DEPLOYER = "service-ticket-system-deployer"
ISSUER = "https://token.actions.githubusercontent.com"
BEGIN = 'export PULUMI_CONFIG_PASSPHRASE=""; pulumi login "file://$PWD/account" >/dev/null; pulumi -C account stack init dev\n'
AGAIN = 'export PULUMI_CONFIG_PASSPHRASE=""; cd account\n'


def everything(sh: Shell) -> dict[str, list[str]]:
    """All that account/ makes, by name."""
    iam = sh.client("iam")
    return {
        "buckets": [b["Name"] for b in sh.client("s3").list_buckets()["Buckets"]],
        "keys": sorted(k["KeyId"] for k in sh.client("kms").list_keys()["Keys"]),
        "providers": [p["Arn"] for p in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]],
        "roles": sorted(r["RoleName"] for r in iam.list_roles()["Roles"]),
        "policies": sorted(p["PolicyName"] for p in iam.list_policies(Scope="Local")["Policies"]),
    }


def make_bucket(sh: Shell) -> None:
    sh.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})


def make_key(sh: Shell) -> None:
    key = sh.client("kms").create_key(KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    sh.client("kms").create_alias(AliasName="alias/service-ticket-system-config", TargetKeyId=key)


def make_provider(sh: Shell) -> None:
    sh.client("iam").create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com", "of-others"])


def document(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", **statement}]})


def make_role(sh: Shell) -> None:
    trust = document(Principal={"AWS": ACCOUNT}).replace('"*"', '"sts:AssumeRole"')
    sh.client("iam").create_role(RoleName=DEPLOYER, AssumeRolePolicyDocument=trust)


def make_policy(sh: Shell) -> None:
    sh.client("iam").create_policy(PolicyName=f"{DEPLOYER}1", PolicyDocument=document(Resource="*"))


@pytest.mark.parametrize(
    ("make", "what", "types"),
    [
        (make_bucket, f"the bucket {BUCKET} exists already", ["aws:s3/bucket:Bucket state"]),
        (
            make_key,
            "the key alias/service-ticket-system-config exists already",
            ["aws:kms/key:Key config-key", "aws:kms/alias:Alias config-key"],
        ),
        (
            make_provider,
            f"the identity provider of {ISSUER} exists already",
            ["aws:iam/openIdConnectProvider:OpenIdConnectProvider roles"],
        ),
        (make_role, f"the role {DEPLOYER} exists already", ["aws:iam/role:Role roles-deployer"]),
        (make_policy, f"the policy {DEPLOYER}1 exists already", ["aws:iam/policy:Policy roles-deployer-1"]),
    ],
)
def test_it_is_refused_before_anything_is_made_and_taken_over_by_the_commands(
    sh: Shell, make: Callable[[Shell], None], what: str, types: list[str]
) -> None:
    make(sh)
    before = everything(sh)
    refused = sh.run(BEGIN + "pulumi -C account up")
    assert refused.returncode != 0
    assert f"{what}; nothing was created" in refused.stdout
    assert "Traceback" not in refused.stdout
    assert everything(sh) == before
    commands = list(dict.fromkeys(re.findall(r"^ *(pulumi import .*)$", refused.stdout, re.MULTILINE)))
    assert [" ".join(command.split()[-3:-1]) for command in commands] == types
    sh.ok(AGAIN + "\n".join(commands) + "\npulumi up")
    after = everything(sh)
    assert {kind: len(found) for kind, found in after.items()} == {
        "buckets": 1, "keys": 1, "providers": 1, "roles": 3, "policies": 2
    }  # fmt: skip
    assert all(set(before[kind]) <= set(after[kind]) for kind in before)
    assert "expected" not in sh.ok(AGAIN + "pulumi preview --expect-no-changes")
    if make is make_provider:  # others still use it
        found = sh.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=after["providers"][0])
        assert "of-others" in found["ClientIDList"]


def test_an_account_that_the_stack_does_not_allow_and_an_issuer_without_subjects_are_refused_before_anything(
    sh: Shell,
) -> None:
    before = everything(sh)
    file = sh.project / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace(f'"{ACCOUNT}"', '"999999999999"'))
    own = sh.project / "account" / "Pulumi.dev.yaml"
    own.write_text(own.read_text().replace("environment:dev", "*"))
    refused = sh.run(BEGIN + "pulumi -C account up")
    assert refused.returncode != 0
    assert "these credentials are of account 111111111111" in refused.stdout
    assert "stack dev allows 999999999999" in refused.stdout
    assert "export AWS_PROFILE=PROFILE" in refused.stdout
    assert "deployerSubjects:" in refused.stdout
    assert "pulumi config set --path 'deployerSubjects[0]'" in refused.stdout
    assert everything(sh) == before
