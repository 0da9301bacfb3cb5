"""The account's project on the engine, and the application's recorded calls against the deployer's rights."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from policies.deployer import CALLS
from sandbox.home import REPOSITORY
from tests.sandbox.conftest import Copy

Make = Callable[..., Copy]


def test_an_empty_account_comes_up_and_stays_as_it_is(sandbox: Any, project_copy: Make) -> None:
    application = project_copy()
    folder = application.directory / "account"
    text = (REPOSITORY / "account" / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    text = text.replace("111111111111", application.account)
    (folder / f"Pulumi.{application.stack}.yaml").write_text(text, encoding="utf-8")
    # The stack files' tag Environment says dev for every copy.
    copy = replace(application, directory=folder, name="service-ticket-system-account")
    outputs = sandbox.ok("up", *copy.options)["outputs"]
    assert outputs["permissionsBoundary"].endswith(":policy/service-ticket-system-boundary")
    assert sandbox.ok("up", "--expect-no-changes", *copy.options)["changes"] == []
    assert sandbox.ok("refresh", *copy.options)["changes"] == []

    bucket = f"service-ticket-system-state-{copy.account}-eu-central-1"
    assert outputs["backendUrl"] == f"s3://{bucket}?region=eu-central-1"
    s3, iam = sandbox.aws("s3", copy), sandbox.aws("iam", copy)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    attached = iam.list_attached_role_policies(RoleName="service-ticket-system-deployer")["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["service-ticket-system-deployer1"]
    refused = sandbox.quick("destroy", *copy.options)
    assert refused.status != 0
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


_IAM_NAMES = {
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjectsV2": "ListBucket",
}
"""Source: AWS, "Required permissions for Amazon S3 API operations": IAM's name of an operation, where it is another one."""


_EVERYTHING: dict[str, Any] = {
    "encryption": "customer-managed",
    "redeploy": {"cluster": "main", "services": {"app": "web"}},
    "audit": {"trail": "create", "alarmEmails": ["oncall@example.com"]},
    "rotation": {
        "schedule": "cron(0 3 ? * SUN *)",
        "strategy": "single-user",
        "secret": "db-master-password",
        "username": "postgres",
        "hostVariable": "DATABASE_HOST",
        "subnetIds": ["subnet-0123456789abcdef0"],
        "securityGroupIds": ["sg-0123456789abcdef0"],
        "remindEveryDays": 90,
    },
}


def _action(line: str) -> str:
    call = json.loads(line)
    service = {"stepfunctions": "states"}.get(call["service"], call["service"])
    operation = call["operation"]
    return f"{service}:{_IAM_NAMES.get(operation, operation) if service == 's3' else operation}"


def test_every_call_of_a_stacks_life_is_in_the_deployers_table(
    sandbox: Any, project_copy: Make, tmp_path: Path, monkeypatch: Any
) -> None:
    calls = tmp_path / "calls.jsonl"
    monkeypatch.setenv("SANDBOX_RECORD_CALLS", str(calls))
    copy = project_copy()
    with_everything = [
        word
        for key, value in _EVERYTHING.items()
        for word in ("-c", f"{key}={value if isinstance(value, str) else json.dumps(value)}")
    ]
    for verb in ("up", "preview"):
        sandbox.ok(verb, *copy.options, *with_everything)
    sandbox.ok(
        "up", *copy.options, *with_everything, "-c", "secret:smtpPassword=a-new-smtp-password-1", "-c", "memory=1024"
    )
    sandbox.ok("refresh", *copy.options)
    sandbox.ok("destroy", *copy.options)
    made = {_action(line) for line in calls.read_text(encoding="utf-8").splitlines()}
    listed = {action for _, scopes in CALLS.values() for actions in scopes.values() for action in actions.split()}
    # Everybody may ask who they are.
    assert made - listed == {"sts:GetCallerIdentity"}
    assert len(made) > 90
