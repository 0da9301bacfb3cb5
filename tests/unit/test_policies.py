"""IAM policies: exact rights, AWS's size limits, the same text for the same input."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.location import Location, in_region
from components.policies import identity
from components.policies.key import key_policy

HERE = Location("aws", "eu-central-1", "111122223333")
CHINA = Location("aws-cn", "cn-north-1", "111122223333")
NAMES = st.lists(st.from_regex(r"[a-z0-9-]{1,200}", fullmatch=True), unique=True, max_size=400)


def arn(name: str) -> str:
    return HERE.arn("secretsmanager", f"secret:{name}-AbCdEf")


def test_reading_is_granted_on_sorted_arns_each_once() -> None:
    assert identity.read_secrets(["b", "a", "b"]) == {
        "Sid": "ReadSecrets",
        "Effect": "Allow",
        "Action": ["secretsmanager:GetSecretValue"],
        "Resource": ["a", "b"],
    }


@given(st.permutations([arn("a"), arn("b"), arn("c"), arn("a")]))
def test_order_does_not_change_the_policy(arns: list[str]) -> None:
    assert identity.document([identity.read_secrets(arns)]) == identity.document(
        [identity.read_secrets([arn("a"), arn("b"), arn("c")])]
    )


def test_decryption_is_granted_through_secrets_manager_of_that_region_only() -> None:
    statement = identity.decrypt_through_secrets_manager(["key"], CHINA)
    assert (statement["Action"], statement["Resource"]) == (["kms:Decrypt"], ["key"])
    assert statement["Condition"] == {"StringEquals": {"kms:ViaService": "secretsmanager.cn-north-1.amazonaws.com.cn"}}


@pytest.mark.parametrize(
    ("bound", "condition"),
    [
        ({}, None),
        ({"account_id": "1"}, {"StringEquals": {"aws:SourceAccount": "1"}}),
        (
            {"account_id": "1", "source_arn": "s"},
            {"StringEquals": {"aws:SourceAccount": "1"}, "ArnLike": {"aws:SourceArn": "s"}},
        ),
    ],
)
def test_trust_names_one_service_and_is_bound_when_asked(
    bound: dict[str, str], condition: dict[str, Any] | None
) -> None:
    (statement,) = json.loads(identity.trust("ecs-tasks.amazonaws.com", **bound))["Statement"]
    assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert statement.get("Condition") == condition


def test_only_the_registry_token_has_a_wildcard_resource() -> None:
    pull, token = identity.pull_image("repository")
    assert pull["Resource"] == ["repository"]
    assert (token["Action"], token["Resource"]) == (["ecr:GetAuthorizationToken"], ["*"])


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("111111111111.dkr.ecr.eu-west-1.amazonaws.com/app:1", "arn:aws:ecr:eu-west-1:111111111111:repository/app"),
        (
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com/a/b@sha256:0",
            "arn:aws:ecr:eu-west-1:111111111111:repository/a/b",
        ),
        ("111111111111.dkr.ecr-fips.us-east-1.amazonaws.com/a:1", "arn:aws:ecr:us-east-1:111111111111:repository/a"),
        ("public.ecr.aws/docker/library/node:20", None),
        ("node:20", None),
        ("evil.example/111111111111.dkr.ecr.eu-west-1.amazonaws.com/app:1", None),
    ],
)
def test_only_an_image_in_ecr_has_a_repository_to_pull_from(image: str, repository: str | None) -> None:
    assert HERE.ecr_repository_arn(image) == repository


@given(NAMES)
def test_every_secret_is_granted_exactly_once_within_the_limits(names: list[str]) -> None:
    lengths = {name: HERE.secret_arn_length(name) for name in names}
    assert all(len(arn(name)) == length for name, length in lengths.items())
    try:
        plan = identity.plan_reads(lengths, inline_characters_left=identity.INLINE_POLICY_CHARACTERS)
    except identity.TooManySecretsError:
        assert sum(lengths.values()) > 5 * identity.MANAGED_POLICY_CHARACTERS
        return
    granted = [name for names_of_one in (plan.inline, *plan.managed) for name in names_of_one]
    assert granted == sorted(names)
    assert len(identity.document([identity.read_secrets(map(arn, plan.inline))])) <= identity.INLINE_POLICY_CHARACTERS
    for chunk in plan.managed:
        document = identity.document([identity.read_secrets(map(arn, chunk))])
        assert len(document) <= identity.MANAGED_POLICY_CHARACTERS


def test_many_secrets_move_from_the_inline_policy_to_managed_ones() -> None:
    lengths = {f"service-ticket-system-dev-secret-{number:03}": 110 for number in range(300)}
    plan = identity.plan_reads(lengths, inline_characters_left=9_000)
    assert plan.inline == ()
    assert len(plan.managed) == 6


def test_more_secrets_than_a_role_can_read_are_refused_with_the_limit() -> None:
    lengths = {f"secret-{number:04}": 110 for number in range(600)}
    with pytest.raises(
        identity.TooManySecretsError, match=r"600 secrets need 12 policies of 6,144 characters; a role can have 10"
    ):
        identity.plan_reads(lengths, inline_characters_left=9_000)


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.integers(1, 50)), st.integers(50, 100))
def test_chunks_hold_every_name_and_never_more_than_fits(sizes: dict[str, int], room: int) -> None:
    chunks = identity.in_chunks(sizes, room)
    assert [name for chunk in chunks for name in chunk] == sorted(sizes)
    assert all(sum(sizes[name] for name in chunk) <= room for chunk in chunks)


def test_a_rotation_function_reaches_its_secrets_and_nothing_else() -> None:
    statements = {
        statement["Sid"]: statement
        for statement in identity.rotate_secret(
            secret_arn=arn("db-app-user"),
            superuser_secret_arn=arn("db-master-password"),
            kms_key_arn="key",
            function_arn="function",
            log_group_arn="log",
            location=HERE,
        )
    }
    assert statements["RotateSecret"]["Resource"] == [arn("db-app-user")]
    assert len(statements["RotateSecret"]["Action"]) == 4
    assert statements["ReadSuperuser"]["Action"] == ["secretsmanager:GetSecretValue"]
    assert statements["ReadSuperuser"]["Resource"] == [arn("db-master-password")]
    assert statements["UseKey"]["Condition"] == {
        "StringEquals": {"kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"}
    }
    assert statements["NotByTheCode"]["Effect"] == "Deny"
    assert statements["NotByTheCode"]["Action"] == statements["AttachToVpc"]["Action"]
    wide = {
        sid
        for sid, statement in statements.items()
        if statement["Effect"] == "Allow" and statement["Resource"] == ["*"]
    }
    assert wide == {"GeneratePassword", "AttachToVpc"}


def test_a_rotation_function_without_superuser_and_key_has_neither_right() -> None:
    statements = identity.rotate_secret(
        secret_arn="s", superuser_secret_arn=None, kms_key_arn=None, function_arn="f", log_group_arn="l", location=HERE,
    )  # fmt: skip
    assert {statement["Sid"] for statement in statements} == {
        "RotateSecret", "GeneratePassword", "WriteLogs", "AttachToVpc", "NotByTheCode",
    }  # fmt: skip


def statements_of(policy: str) -> dict[str, Any]:
    return {statement["Sid"]: statement for statement in json.loads(policy)["Statement"]}


def test_the_account_administers_the_key_and_cannot_use_it_directly() -> None:
    statement = statements_of(key_policy(HERE, prefix="p-dev", log_group_names=[]))["AdministerByAccount"]
    assert statement["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
    # A grant would give the use of the key past every condition.
    used = {"kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:*"}
    assert not used & set(statement["Action"])
    assert not [action for action in statement["Action"] if "*" in action]
    # They serve multi-Region keys; a replica would be out of this policy's reach.
    assert not {"kms:ReplicateKey", "kms:UpdatePrimaryRegion"} & set(statement["Action"])


def test_the_key_serves_this_stacks_secrets_through_secrets_manager_only() -> None:
    statements = statements_of(key_policy(HERE, prefix="p-dev", log_group_names=[], adopted_arns=[arn("old")]))
    assert set(statements) == {"AdministerByAccount", "UseThroughSecretsManager"}
    assert statements["UseThroughSecretsManager"]["Condition"] == {
        "StringEquals": {
            "kms:CallerAccount": "111122223333",
            "kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com",
        },
        "StringLike": {
            "kms:EncryptionContext:SecretARN": [
                "RequestToValidateKeyAccess",
                "arn:aws:secretsmanager:eu-central-1:111122223333:secret:old-AbCdEf",
                "arn:aws:secretsmanager:eu-central-1:111122223333:secret:p-dev-*-??????",
            ]
        },
    }


def test_logs_and_topics_get_the_key_for_this_stacks_own_only() -> None:
    statements = statements_of(
        key_policy(CHINA, prefix="p", log_group_names=["/ecs/p"], topic_arns=["topic"], trail_arn="trail")
    )
    logs = statements["EncryptLogGroups"]
    assert logs["Principal"] == {"Service": "logs.cn-north-1.amazonaws.com.cn"}
    assert logs["Condition"] == {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": [CHINA.log_group_arn("/ecs/p")]}}
    topics = {"kms:EncryptionContext:aws:sns:topicArn": ["topic"]}
    assert statements["PublishAlarms"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statements["PublishAlarms"]["Condition"] == {
        "ArnEquals": topics,
        "StringEquals": {"aws:SourceAccount": "111122223333"},
    }
    # EventBridge sends KMS no source: a condition on it loses every notice.
    assert statements["PublishNotices"]["Principal"] == {"Service": "events.amazonaws.com"}
    assert statements["PublishNotices"]["Condition"] == {"ArnEquals": topics}
    assert set(statements) == {
        "AdministerByAccount", "UseThroughSecretsManager", "EncryptLogGroups", "PublishAlarms", "PublishNotices",
        "EncryptTrail", "DescribeForTrail", "ReadTrailThroughS3",
    }  # fmt: skip
    assert statements["EncryptTrail"]["Condition"]["StringEquals"] == {"aws:SourceArn": "trail"}


def test_a_replicas_arn_differs_by_its_region_only() -> None:
    assert in_region(arn("a"), "eu-west-1") == arn("a").replace("eu-central-1", "eu-west-1")
