"""`--official`: which plugins run, what they are configured with, and the comparison with the stand-ins.

This network has no official plugin: tests/sandbox/recording_plugin.py is installed in its place.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import call_proxy, comparison, local_aws, official
from sandbox.comparison import Run
from tests.sandbox import recording_plugin
from tests.sandbox.conftest import Copy

PROGRAM = """
    import pulumi_aws as aws
    import pulumi_random as random
    bucket = aws.s3.Bucket("files")
    aws.s3.BucketVersioning("versions", bucket=bucket.id, versioning_configuration={"status": "Enabled"})
    secret = aws.secretsmanager.Secret("secret", recovery_window_in_days=0)
    value = random.RandomPassword("value", length=20)
    aws.secretsmanager.SecretVersion("version", secret_id=secret.id, secret_string=value.result)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's PULUMI_HOME with both plugins; returns the file in which they record their configuration."""
    record = tmp_path / "configured.jsonl"
    recording_plugin.install(tmp_path / "pulumi", record)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi"))
    return record


def test_the_versions_are_those_that_the_sdk_packages_ask_for() -> None:
    assert [(plugin.name, plugin.folder) for plugin in official.required()] == [
        ("aws", "resource-aws-v7.51.1"),
        ("random", "resource-random-v4.21.4"),
    ]


@pytest.mark.slow
def test_a_stack_lives_with_installed_plugins(
    own_sandbox: Any, tiny: Callable[..., Copy], installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tiny(PROGRAM)
    calls = tmp_path / "calls.jsonl"
    monkeypatch.setenv("SANDBOX_RECORD_CALLS", str(calls))
    own_sandbox.ok("up", "--official", *copy.options)
    monkeypatch.delenv("SANDBOX_RECORD_CALLS")
    assert own_sandbox.ok("preview", "--official", "--expect-no-changes", *copy.options)["changes"] == []
    assert own_sandbox.ok("refresh", "--official", *copy.options)["changes"] == []
    aws = local_aws.running(own_sandbox.home)
    assert aws is not None

    settings = [json.loads(line) for line in installed.read_text(encoding="utf-8").splitlines()]
    proxied, last = settings[0], settings[-1]
    (endpoints,) = json.loads(last["endpoints"])
    assert endpoints.pop("s3control") == aws.endpoint.replace("127.0.0.1", "localhost")
    assert set(endpoints.values()) == {aws.endpoint} == {last["AWS_ENDPOINT_URL"]}
    assert {key: last[key] for key in last if key.startswith(("s3", "skip"))} == {
        "s3UsePathStyle": "true",
        "skipCredentialsValidation": "true",
        "skipMetadataApiCheck": "true",
        "skipRegionValidation": "true",
        "skipRequestingAccountId": "false",
    }
    assert not {key for key in last if "key" in key.lower() or "token" in key.lower()}, "credentials go by environment"
    assert aws.endpoint not in proxied["endpoints"]

    recorded = {(line["service"], line["operation"]) for line in map(json.loads, calls.read_text().splitlines())}
    assert {
        ("s3", "CreateBucket"),
        ("s3", "PutBucketVersioning"),
        ("secretsmanager", "CreateSecret"),
        ("secretsmanager", "PutSecretValue"),
        ("sts", "GetCallerIdentity"),
    } <= recorded
    own_sandbox.ok("destroy", "--official", *copy.options)
    assert own_sandbox.checkpoint(copy).objects == 0
    assert not list(own_sandbox.home.work(copy.name, copy.stack).glob("Pulumi.*"))


def test_a_plugin_that_is_nowhere_is_named_and_nothing_is_created(
    own_sandbox: Any, tiny: Callable[..., Copy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    result = own_sandbox.quick("up", "--official", *tiny().options)
    assert result.status == 1
    assert "the official plugin aws 7.51.1 is not installed, and fetching it failed: Get" in result.err
    assert "pulumi plugin install resource aws 7.51.1 --file FILE" in result.err
    assert local_aws.running(own_sandbox.home) is None


def test_a_plugin_that_was_cut_off_while_it_was_installed_does_not_count(tmp_path: Path) -> None:
    recording_plugin.install(tmp_path, tmp_path / "record")
    plugin = official.required()[0]
    assert plugin.is_in(tmp_path)
    (tmp_path / "plugins" / f"{plugin.folder}.partial").touch()
    assert not plugin.is_in(tmp_path)


@pytest.mark.slow
def test_the_same_calls_compare_as_equal(own_sandbox: Any, tiny: Callable[..., Copy], installed: Path) -> None:
    copy = tiny(PROGRAM)
    done = own_sandbox.quick("compare", *copy.options)
    assert (done.status, done.out) == (
        0,
        "The official plugins and the stand-ins agree: types, inputs and calls.\n",
    ), done.out + done.err
    assert installed.exists()
    assert not (own_sandbox.home.root / "compare").exists()


SECRET = "urn:pulumi:dev::p::aws:secretsmanager/secret:Secret::jwt"


def run(*calls: tuple[str, str], failed: tuple[str, ...] = (), **inputs: Any) -> Run:
    return Run({SECRET: inputs} if inputs else {}, frozenset(calls), failed)


@pytest.mark.parametrize(
    ("theirs", "ours", "line"),
    [
        (run(name="a"), run(name="a"), None),
        (run(name="a"), run(name="b"), 'Secret::jwt: name: official "a", stand-ins "b"'),
        (run(name="a", tags={}), run(name="a"), "tags: official {}, stand-ins nothing"),
        (run(), run(name="a"), "Secret::jwt: only with the stand-ins"),
        (
            run(("kms", "ListAliases")),
            run(),
            "kms:ListAliases: only the official plugin calls it, and sandbox/README.md",
        ),
        (run(("iam", "ListRolePolicies")), run(), None),
        (run(("s3", "GetBucketCors")), run(), None),
        (run(("iam", "GetBucketCors")), run(), "iam:GetBucketCors: only the official plugin"),
        (run(), run(("kms", "CreateKey")), "kms:CreateKey: only the stand-ins call it"),
        (run(failed=("up: no such host",)), run(), "official: up: no such host"),
    ],
)
def test_a_difference_is_named(theirs: Run, ours: Run, line: str | None) -> None:
    known = comparison.documented(comparison.README.read_text(encoding="utf-8"))
    lines = comparison.differences(theirs, ours, known)
    assert len(lines) == (line is not None)
    assert line is None or line in lines[0]


SCOPE = "AWS4-HMAC-SHA256 Credential=A/20261129/eu-central-1/{}/aws4_request, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize(
    ("service", "method", "path", "headers", "body", "expected"),
    [
        ("secretsmanager", "POST", "/", {"x-amz-target": "secretsmanager.CreateSecret"}, b"", "secretsmanager:CreateSecret"),
        ("states", "POST", "/", {"x-amz-target": "AWSStepFunctions.CreateStateMachine"}, b"", "stepfunctions:CreateStateMachine"),
        ("iam", "POST", "/", {"content-type": "application/x-www-form-urlencoded"}, b"Action=GetRole&V=1", "iam:GetRole"),
        ("monitoring", "POST", "/service/G/operation/PutMetricAlarm", {}, b"", "cloudwatch:PutMetricAlarm"),
        ("lambda", "POST", "/2015-03-31/functions/", {}, b"{}", "lambda:CreateFunction"),
        ("lambda", "GET", "/2015-03-31/functions/f/policy", {}, b"", "lambda:GetPolicy"),
        ("s3", "PUT", "/bucket", {}, b"", "s3:CreateBucket"),
        ("s3", "HEAD", "/bucket", {}, b"", "s3:HeadBucket"),
        ("s3", "GET", "/bucket?policy", {}, b"", "s3:GetBucketPolicy"),
        ("s3", "GET", "/bucket?lifecycle=", {}, b"", "s3:GetBucketLifecycleConfiguration"),
        ("s3", "GET", "/bucket/a/key?x-id=GetObject", {}, b"", "s3:GetObject"),
        ("s3", "GET", "/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Ab", {}, b"", "s3control:ListTagsForResource"),
    ],
)  # fmt: skip
def test_a_request_says_which_operation_it_is(  # noqa: PLR0917 - one column of the table each
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, expected: str
) -> None:
    found = call_proxy.called(method, path, {"authorization": SCOPE.format(service), **headers}, body)
    assert found == (*expected.split(":"), "eu-central-1")
