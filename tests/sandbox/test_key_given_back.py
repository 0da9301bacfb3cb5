"""docs/security.md, "Return to AWS's key": two `up`s, and the key stays in AWS until nothing is left that only it opens."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.providers._values import Properties
from sandbox.providers.aws import secretsmanager
from sandbox.providers.aws._session import Aws
from tests.sandbox.stack_options import given, values

pytestmark = pytest.mark.slow

AWS_KEY = "alias/aws/secretsmanager"


def test_the_key_stays_while_something_is_under_it_and_nothing_new_comes_under_it(
    sandbox: Any, project_copy: Callable[..., Any]
) -> None:
    copy = project_copy()
    shared = given(audit={"trail": "create", "logRetentionInDays": 400})
    outputs = sandbox.ok("up", *copy.options, *shared, *given(encryption="customer-managed"))["outputs"]
    key, arns = outputs["kms_key_arn"].rpartition("/")[2], outputs["secret_arns"].values()
    kms, secrets = sandbox.aws("kms", copy), sandbox.aws("secretsmanager", copy)
    groups = {outputs["services"]["app"]["log_group_name"], f"/aws/cloudtrail/service-ticket-system-{copy.stack}"}

    def kms_keys() -> set[str]:
        """Of the log groups, the trail, the topic and the secrets."""
        logs = sandbox.aws("logs", copy).describe_log_groups()["logGroups"]
        trails = sandbox.aws("cloudtrail", copy).describe_trails()["trailList"]
        topic = sandbox.aws("sns", copy).get_topic_attributes(TopicArn=outputs["alarm_topic_arn"])["Attributes"]
        found = [group.get("kmsKeyId") for group in logs if group["logGroupName"] in groups]
        found += [trail.get("KmsKeyId") for trail in trails] + [topic.get("KmsMasterKeyId")]
        found += [secrets.describe_secret(SecretId=arn).get("KmsKeyId") for arn in arns]
        return {str(name or AWS_KEY).rpartition("/")[2] for name in found}

    assert kms_keys() == {key}
    refused = sandbox.quick("up", *copy.options, *shared)
    assert refused.status == 1
    assert "Move them to AWS's key first" in " ".join(refused.err.split())
    assert kms_keys() == {key}
    returned = sandbox.command("up", *copy.options, *shared, *given(encryption="returning-to-aws-managed"))
    assert returned.status == 0, returned.err
    assert kms_keys() == {AWS_KEY.rpartition("/")[2]}
    # What was written under it before can still be read, by the same services, until the longest retention has passed.
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    open_to = {statement["Sid"]: statement for statement in policy["Statement"]}
    assert {"UseThroughSecretsManager", "EncryptLogGroups", "ReadTrailThroughS3"} <= {*open_to}
    context = open_to["EncryptLogGroups"]["Condition"]["ArnEquals"]["kms:EncryptionContext:aws:logs:arn"]
    assert {arn.partition("log-group:")[2] for arn in context} == groups
    said = " ".join((returned.out + returned.err).split())
    assert "For 400 days log events, the trail's files and older versions of secrets need it" in said

    sandbox.ok("up", *copy.options, *shared)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled", "out of Pulumi, and still in AWS"
    assert sandbox.ok("preview", "--expect-no-changes", *copy.options, *shared)["changes"] == []
    assert kms_keys() == {AWS_KEY.rpartition("/")[2]}


@pytest.mark.parametrize("told", ["", AWS_KEY], ids=["left out", "told"])
def test_whatever_aws_tells_of_its_own_key_the_way_back_ends_without_a_change(
    sandbox: Any, project_copy: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    """DescribeSecret leaves AWS's own key out (the API's reference), or tells its alias (seen in accounts)."""
    original = secretsmanager.Secret.read

    def read(self: secretsmanager.Secret, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        live = original(self, aws, resource_id, state)
        return live and {**live, "kmsKeyId": live["kmsKeyId"] or told}

    monkeypatch.setattr(secretsmanager.Secret, "read", read)
    copy = project_copy()
    arns = sandbox.ok("up", *copy.options, *given(encryption="customer-managed"))["outputs"]["secret_arns"]
    secrets = sandbox.aws("secretsmanager", copy)

    def state() -> tuple[dict[str, str], list[dict[str, list[str]]]]:
        """Every value, and the labels of every version."""
        labels = [secrets.describe_secret(SecretId=arn)["VersionIdsToStages"] for arn in arns.values()]
        return values(sandbox, copy), labels

    before = state()
    for encryption in ("returning-to-aws-managed", "aws-managed"):
        options = (*copy.options, *given(encryption=encryption))
        sandbox.ok("up", *options)
        assert state() == before
    sandbox.ok("refresh", *options)
    assert sandbox.ok("preview", "--expect-no-changes", *options)["changes"] == []
    assert state() == before
