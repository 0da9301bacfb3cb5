"""The account's project: what is made once, for whom, and what is refused before anything is."""

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from account.application import Application, features
from account.settings import _wrong_readers
from components.location import Location
from ops.access.evaluator import Request, decide, parse
from tests.conftest import TICKETS
from tests.unit.conftest import Recorder, Recording

ROOT = Path(__file__).parents[2]
ACCOUNT = "111111111111"
PROJECT = "service-ticket-system-account"
KEY_ARN = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture(autouse=True)
def application(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stack files are the tests' own, so that those of the project may change."""
    monkeypatch.setattr("account.application.REPOSITORY", TICKETS)


def account(
    record: Recorder, *, stack: str = "dev", number: str = ACCOUNT, region: str = "eu-central-1", **config: Any
) -> Recording:
    shipped = yaml.safe_load((ROOT / "account" / f"Pulumi.{stack}.yaml").read_text())["config"]
    own = {key: value for key, value in shipped.items() if key.startswith(f"{PROJECT}:")}
    own[f"{PROJECT}:configurationPrincipals"] = [f"arn:aws:iam::{number}:user/deployer"]  # who runs it
    return record(
        lambda: runpy.run_path(str(ROOT / "account" / "__main__.py"), run_name="__main__"),
        project=PROJECT,
        stack=stack,
        config={**own, **{f"{PROJECT}:{key}": value for key, value in config.items()}},
        account=number,
        outputs={"aws:kms/key:Key": {"arn": KEY_ARN}},
        region=region,
    )


CALLER = f"arn:aws:iam::{ACCOUNT}:user/deployer"
WRITER, RESCUE = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("platform/Writer", "Rescue"))


def test_nobody_but_the_pipeline_break_glass_and_who_sets_values_decrypts(
    record: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Application.read

    def rescued(stack: str, folder: Path | None = None) -> Application:
        return replace(read(stack, folder), break_glass_roles=(RESCUE,))

    monkeypatch.setattr(Application, "read", rescued)
    key = account(record, configurationPrincipals=[WRITER, CALLER]).one("aws:kms/key:Key")
    policy = parse(key.inputs["policy"], source="key policy")
    everything = parse({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}, source="all")

    def outcome(action: str, arn: str) -> str:
        asked = Request(action, KEY_ARN, arn, {"aws:principalarn": arn})
        return decide(asked, identity=everything, resource=policy, resource_must_allow=True).outcome

    pipeline = (
        f"arn:aws:iam::{ACCOUNT}:role/service-ticket-system-{kind}" for kind in ("deployer", "previewer", "reviewer")
    )
    for reader in (*pipeline, WRITER, RESCUE):
        assert outcome("kms:Decrypt", reader) == "allowed"
    for other in (
        f"arn:aws:iam::{ACCOUNT}:role/PowerUser",
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:iam::{ACCOUNT}:role/Writer",
    ):
        assert outcome("kms:Decrypt", other) == outcome("kms:ReEncryptFrom", other) == "explicit-deny"
        # A pull request's author encrypts nothing, an administrator can still undo the policy, and that is reported.
        assert outcome("kms:PutKeyPolicy", other) == "allowed"


@pytest.mark.parametrize(
    ("caller", "principal"),
    [
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/Administrator/me", f"arn:aws:iam::{ACCOUNT}:role/Administrator"),
        (f"arn:aws:iam::{ACCOUNT}:user/me", f"arn:aws:iam::{ACCOUNT}:user/me"),
    ],
)
def test_whoever_runs_it_does_not_lock_itself_out(caller: str, principal: str) -> None:
    location = Location("aws", "eu-central-1", ACCOUNT)
    (problem,) = _wrong_readers([], location, caller, number=2)
    assert "would no longer decrypt the state" in problem
    assert f"pulumi config set --path 'configurationPrincipals[2]' {principal}" in problem
    assert _wrong_readers([principal], location, caller, number=1) == []
    assert "is not the ARN of a role or user" in _wrong_readers(["*"], location, caller, number=1)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deployerSubjects": []}, "deployerSubjects: .* has no subjects: any repository there could assume the role"),
        ({"previewerSubjects": []}, "previewerSubjects: .* has no subjects"),
        ({"reviewerSubjects": ["repo:*/*:ref:x"]}, "reviewerSubjects: .* is a pattern"),
        ({"reviewerSubjects": ["repo:example/tickets:pull_request"]}, "reviewerSubjects: .* is every pull request"),
        ({"deployerSubjects": ["repo:example/tickets:pull_request"]}, "deployerSubjects: .* is every pull request"),
        (
            {"deployerSubjects": ["repo:example@1/tickets:environment:x"]},
            "deployerSubjects: .* one of two ids.*gh api repos",
        ),
        ({"deployerPrincipals": ["arn:aws:iam::999999999999:role/x"]}, "in another account"),
        ({"applicationActions": ["secretsmanager:GetSecretValue"]}, "declare the secret in catalogue.py"),
        ({"applicationActions": ["kms:Decrypt"]}, "kms:Decrypt@s3"),
        ({"deployerSubjects": ["repo:example/*"]}, "deployerSubjects: .* is a pattern"),
        ({"previewerSubjects": ["repo:example/*"]}, "previewerSubjects: .* other repositories also have"),
        ({"issuer": "http://token.example.com"}, "is not an issuer: pulumi config set issuer"),
        ({"audience": "*"}, "name one, such as sts.amazonaws.com"),
        ({"deployerPrincipals": ["*"]}, "not the ARN of a role or user"),
        ({"applicationActions": ["iam:CreateUser"]}, "can't be an application's action"),
        ({"configurationPrincipals": []}, "runs this and would no longer decrypt the state: pulumi config set --path"),
        ({"configurationPrincipals": ["*"]}, "configurationPrincipals: .* is not the ARN of a role or user"),
        ({"number": "999999999999"}, "credentials are of account 999999999999, .* allows 111111111111"),
        ({"region": "eu-west-1"}, "pulumi config set aws:region eu-central-1"),
    ],
)
def test_bad_input_is_refused_before_anything_is_registered(
    record: Recorder, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(pulumi.RunError, match=message):
        account(record, **change)


@pytest.mark.parametrize("subject", ["pull_request", "ref:refs/heads/*", "*"])
def test_code_that_nobody_reviewed_previews_no_protected_stack(record: Recorder, subject: str) -> None:
    """A previewer decrypts the state: it reads every value that Pulumi has put."""
    subjects = [f"repo:example@1234567/service-ticket-system@987654321:{subject}"]
    assert account(record, previewerSubjects=subjects)
    with pytest.raises(pulumi.RunError, match="previewerSubjects: "):
        account(record, stack="prod", number="222222222222", previewerSubjects=subjects)


def test_every_problem_is_told_at_once(record: Recorder) -> None:
    with pytest.raises(pulumi.RunError, match=r"3 problem\(s\)"):
        account(record, deployerSubjects=[], previewerSubjects=[], region="eu-west-1")


@pytest.mark.parametrize(
    ("stack", "expected"),
    [("dev", set[str]()), ("prod", {"encryption", "rotation", "redeploy", "audit", "trail"})],
)
def test_the_features_are_those_of_the_applications_stack_file(stack: str, expected: set[str]) -> None:
    assert Application.read(stack).stack.features == expected


def test_an_organisations_trail_is_not_created() -> None:
    found = features(rotation={}, redeploy={}, audit={"trail": "existing"}, encryption="aws-managed")
    assert found == {"audit"}
