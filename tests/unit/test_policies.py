"""IAM policies: exact rights, AWS's size limits, the same text for the same input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.location import Location
from components.policies import identity

HERE = Location("aws", "eu-central-1", "111122223333")
CHINA = Location("aws-cn", "cn-north-1", "111122223333")
NAMES = st.lists(st.from_regex(r"[a-z0-9-]{1,200}", fullmatch=True), unique=True, max_size=400)


def arn(name: str) -> str:
    return HERE.arn("secretsmanager", f"secret:{name}-AbCdEf")


@given(st.permutations([arn("a"), arn("b"), arn("c"), arn("a")]))
def test_order_does_not_change_the_policy(arns: list[str]) -> None:
    assert identity.document([identity.read_secrets(arns)]) == identity.document(
        [identity.read_secrets([arn("a"), arn("b"), arn("c")])]
    )


def test_decryption_is_granted_through_secrets_manager_of_that_region_only() -> None:
    statement = identity.decrypt_through_secrets_manager(["key", "a", "key"], CHINA)
    assert (statement["Action"], statement["Resource"]) == (["kms:Decrypt"], ["a", "key"])
    assert statement["Condition"] == {"StringEquals": {"kms:ViaService": "secretsmanager.cn-north-1.amazonaws.com.cn"}}


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
