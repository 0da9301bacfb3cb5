"""`valueFrom`: what is written is what ECS reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.references import Reference, parse_value_from, value_from

ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:service-ticket-system-dev-app-config-AbCdEf"
KEYS = st.text(st.characters(exclude_characters=":", exclude_categories=["C"]), min_size=1)


@pytest.mark.parametrize(
    ("key", "stage", "expected"),
    [
        (None, None, ARN),
        ("API_KEY", None, f"{ARN}:API_KEY::"),
        (None, "AWSPREVIOUS", f"{ARN}::AWSPREVIOUS:"),
        ("API_KEY", "AWSPENDING", f"{ARN}:API_KEY:AWSPENDING:"),
    ],
)
def test_value_from_has_all_colons_or_none(key: str | None, stage: str | None, expected: str) -> None:
    assert value_from(ARN, key, stage) == expected


@pytest.mark.parametrize("key", ["", "a:b"])
def test_a_key_that_ecs_cannot_reference_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="ECS cannot reference"):
        value_from(ARN, key)


@pytest.mark.parametrize(
    "arn", ["", "app-config", ARN.replace("secretsmanager", "ssm"), ARN + ":key::", ARN.replace("1111", "x")]
)
def test_only_a_secrets_arn_is_taken(arn: str) -> None:
    with pytest.raises(ValueError, match="not the ARN of a secret"):
        value_from(arn)


@pytest.mark.parametrize("text", [f"{ARN}:key", f"{ARN}:key:", f"{ARN}:key:::", "app-config", ""])
def test_what_ecs_would_refuse_does_not_parse(text: str) -> None:
    with pytest.raises(ValueError, match=r"ARN of a secret|fields after the ARN"):
        parse_value_from(text)


@given(st.none() | KEYS, st.none() | st.sampled_from(["AWSCURRENT", "AWSPREVIOUS"]))
def test_parsing_returns_what_was_written(key: str | None, stage: str | None) -> None:
    assert parse_value_from(value_from(ARN, key, stage)) == Reference(ARN, key, stage)


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
def test_every_partition_is_taken(partition: str) -> None:
    arn = ARN.replace("arn:aws:", f"arn:{partition}:")
    assert parse_value_from(value_from(arn, "K")).arn == arn


@pytest.mark.parametrize(
    "name", ["rds!cluster-5c6de1ba-8f4a-4c2f-9a2e-0f6f1a2b3c4d", "rds!db-1e0a4c6d-2222-4f1e-9d1c-aabbccddeeff"]
)
def test_the_name_of_a_secret_that_rds_manages_is_taken(name: str) -> None:
    # Source: AWS, "Password management with Amazon RDS and AWS Secrets Manager"; the ARN as MasterUserSecret.SecretArn has it.
    arn = f"arn:aws:secretsmanager:eu-central-1:111122223333:secret:{name}-AbCdEf"
    assert parse_value_from(value_from(arn, "password")) == Reference(arn, "password")
