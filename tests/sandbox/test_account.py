"""The account's project on the engine, and recorded calls against the rights of the roles that it made."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.location import Location
from ops import _aws
from ops.access.evaluator import Statement, decide, parse
from ops.cli import main
from sandbox import local_aws
from sandbox.home import REPOSITORY
from sandbox.providers.aws import _record
from tests.recorded_calls import Account, rights
from tests.sandbox.conftest import Copy
from tests.sandbox.stack_options import with_application_user

Make = Callable[..., Copy]
PROJECT = "service-ticket-system"


def account_of(application: Copy, like: str = "dev") -> Copy:
    """The account's project beside a copy of the application."""
    folder = application.directory / "account"
    text = (REPOSITORY / "account" / f"Pulumi.{like}.yaml").read_text(encoding="utf-8")
    number = {"dev": "111111111111", "prod": "222222222222"}[like]
    (folder / f"Pulumi.{application.stack}.yaml").write_text(
        text.replace(number, application.account), encoding="utf-8"
    )
    return replace(application, directory=folder, name="service-ticket-system-account")


def test_an_empty_account_comes_up_and_stays_as_it_is(sandbox: Any, project_copy: Make) -> None:
    application = project_copy()
    copy = account_of(application)
    outputs = sandbox.ok("up", *copy.options)["outputs"]
    assert outputs["permissionsBoundary"].endswith(":policy/service-ticket-system-boundary")
    assert sandbox.ok("up", "--expect-no-changes", *copy.options)["changes"] == []
    assert sandbox.ok("refresh", *copy.options)["changes"] == []

    bucket = f"service-ticket-system-state-{copy.account}-eu-central-1"
    assert outputs["backendUrl"] == f"s3://{bucket}?region=eu-central-1&awssdk=v2"
    s3, iam = sandbox.aws("s3", copy), sandbox.aws("iam", copy)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    attached = iam.list_attached_role_policies(RoleName="service-ticket-system-deployer")["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["service-ticket-system-deployer1"]
    refused = sandbox.quick("destroy", *copy.options)
    assert refused.status != 0
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def refused(
    account: Account, calls: Path, statements: Sequence[Statement], role: str = "x", key: Sequence[Statement] = ()
) -> tuple[list[str], int]:
    """The recorded calls that the statements and the policy of the stack's key don't allow, and how many there were."""
    requests = list(account.requests(calls, account.location.role_arn(role)))
    # Everybody may ask who they are.
    asked = [request for request in requests if request.action != "sts:GetCallerIdentity"]
    wrong = [
        f"{r.action} {r.resource}"
        for r in asked
        if decide(r, identity=statements, resource=key if ":key/" in r.resource else ()).outcome != "allowed"
    ]
    return wrong, len(asked)


@pytest.mark.slow
@pytest.mark.parametrize("like", ["dev", "prod"])
def test_the_roles_as_made_may_do_what_a_stacks_life_and_its_review_call(
    sandbox: Any, project_copy: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, like: str
) -> None:
    copy = with_application_user(project_copy(like)) if like == "prod" else project_copy(like)
    made = sandbox.ok("up", *account_of(copy, like).options)["outputs"]
    iam = sandbox.aws("iam", copy)
    location = Location("aws", sandbox.region, copy.account)
    account = Account(
        location,
        f"{PROJECT}-{copy.stack}",
        made["permissionsBoundary"],
        {"Project": PROJECT, "Environment": like, "ManagedBy": "pulumi"},
    )
    bounded = ("-c", f"permissionsBoundary={made['permissionsBoundary']}")
    calls = tmp_path / "calls.jsonl"
    monkeypatch.setenv("SANDBOX_RECORD_CALLS", str(calls))
    changed = ("-c", "secret:smtpPassword=a-new-smtp-password-1", "-c", "logRetentionInDays=400", "-c", "protect=false")
    sandbox.ok("up", *copy.options, *bounded)
    sandbox.ok("preview", *copy.options, *bounded)
    sandbox.ok("up", *copy.options, *bounded, *changed)
    monkeypatch.delenv("SANDBOX_RECORD_CALLS")

    reviewed = tmp_path / "reviewed.jsonl"
    statuses = review(sandbox, copy, tmp_path, reviewed, monkeypatch)
    assert statuses == {"doctor": 0, "access": 0, "report": 0}

    key = key_policy(sandbox.aws("kms", copy), f"alias/{PROJECT}-{copy.stack}") if like == "prod" else ()
    monkeypatch.setenv("SANDBOX_RECORD_CALLS", str(calls))
    sandbox.ok("refresh", *copy.options)
    sandbox.ok("destroy", *copy.options)

    wrong, count = refused(account, calls, rights(iam, f"{PROJECT}-deployer"), f"{PROJECT}-deployer", key)
    assert wrong == []
    assert count > {"dev": 40, "prod": 250}[like]
    wrong, count = refused(account, reviewed, rights(iam, f"{PROJECT}-reviewer"))
    assert wrong == []
    assert count > 30
    assert refused(account, reviewed, rights(iam, f"{PROJECT}-previewer"))[0], "then no reviewer is needed"


def key_policy(kms: Any, alias: str) -> tuple[Statement, ...]:
    key = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    return parse(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"], source="key")


def review(
    sandbox: Any, copy: Copy, folder: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, int | str | None]:
    """Run what the nightly review runs, with every call recorded; return each command's status."""
    found = local_aws.running(sandbox.home)
    assert found is not None
    variables = {"AWS_ENDPOINT_URL": found.endpoint, **found.credentials(copy.account).variables()}
    for name, value in {**variables, "AWS_REGION": sandbox.region}.items():
        monkeypatch.setenv(name, value)
    outputs = sandbox.outputs_file(copy)
    client, recorded = _aws.Aws.client, set[int]()

    def recording(aws: Any, service: str, region: str | None = None, **more: Any) -> Any:
        made = client(aws, service, region, **more)
        if id(made) not in recorded:
            recorded.add(id(made))
            _record.register(made, region or aws.region, calls)
        return made

    monkeypatch.setattr(_aws.Aws, "client", recording)
    statuses: dict[str, int | str | None] = {}
    for command in (["doctor", "--no-values"], ["access"], ["report", "--html", str(folder / "review.html")]):
        monkeypatch.setattr("sys.argv", ["ops", *command, "--outputs", outputs])
        with pytest.raises(SystemExit) as ended:
            main()
        statuses[command[0]] = ended.value.code
    for name in (*variables, "AWS_REGION"):
        os.environ.pop(name)
    return statuses
