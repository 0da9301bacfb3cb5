"""The whole program under recording mocks: what `pulumi up` registers, with which options, and what it exports."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

import catalogue
from components.names import Names
from config.declarations import Generated, JsonSecret, TextSecret
from config.settings import ConfigurationError
from tests.sandbox.stack_options import SINGLE_USER as ROTATION
from tests.unit.conftest import Recorder, Recording, Secret, run_program

PREFIX = "service-ticket-system-dev"
SUPPLIED = {
    "smtpPassword": "smtp-value-0123456789",
    "cloudflareToken": "cloudflare-value-0123456789",
}
CONFIG = {
    "image": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/app:1.0.0",
    "databaseHost": "db.internal",
    "redisHost": "redis.internal",
}
VERSION_TYPE = "aws:secretsmanager/secretVersion:SecretVersion"
PASSWORD_TYPE = "random:index/randomPassword:RandomPassword"


def main(
    record: Recorder,
    *,
    stack: str = "dev",
    secrets: Mapping[str, Any] | None = None,
    computed: Mapping[str, Mapping[str, Any]] | None = None,
    **config: Any,
) -> Recording:
    return run_program(record, CONFIG | config, SUPPLIED | dict(secrets or {}), stack=stack, outputs=computed)


def with_entry(monkeypatch: pytest.MonkeyPatch, *entries: TextSecret | JsonSecret) -> None:
    extended = replace(catalogue.APPLICATION, secrets=(*catalogue.CATALOGUE, *entries))
    monkeypatch.setattr(catalogue, "APPLICATION", extended)


def container(recording: Recording) -> dict[str, Any]:
    return recording.one("aws:ecs/taskDefinition:TaskDefinition").document("containerDefinitions")[0]


def app_config(recording: Recording) -> dict[str, str]:
    return json.loads(recording.named("secrets-app-config-value").inputs["secretString"].value)


EVERYTHING: dict[str, Any] = {
    "encryption": "customer-managed",
    "rotation": ROTATION,
    "redeploy": {"cluster": "c", "services": {"app": "s"}},
    "audit": {"trail": "create", "alarmEmails": ["a@example.com"]},
}
NAME_LIMITS = {
    "aws:iam/role:Role": 64,
    "aws:iam/policy:Policy": 128,
    "aws:lambda/function:Function": 64,
    "aws:cloudwatch/eventRule:EventRule": 64,
    "aws:sfn/stateMachine:StateMachine": 80,
    "aws:sns/topic:Topic": 256,
    "aws:cloudtrail/trail:Trail": 128,
    "aws:cloudwatch/metricAlarm:MetricAlarm": 255,
    "aws:s3/bucket:Bucket": 63,
}
"""Characters of a name. Sources: the quotas of IAM, Lambda, EventBridge, Scheduler, Step Functions, SNS, CloudTrail and S3."""


def test_the_longest_stack_name_that_is_taken_fits_every_resource(record: Recorder) -> None:
    """With room for a second digit of the rules' numbers: many secrets do not fit into one event pattern."""
    stack = max(
        ("s" * n for n in range(1, 64) if not list(Names("service-ticket-system", "s" * n).problems(["app"]))), key=len
    )
    recording = main(record, stack=stack, **EVERYTHING)
    lengths = {
        (kind, resource.name): len(str(resource.inputs.get("name") or resource.inputs.get("bucket") or ""))
        for kind in NAME_LIMITS
        for resource in recording.of(kind)
    }
    assert {kind for kind, _ in lengths} == {*NAME_LIMITS} - {"aws:iam/policy:Policy"}
    assert {at: length for at, length in lengths.items() if not 0 < length <= NAME_LIMITS[at[0]]} == {}
    rules = {length for (kind, _), length in lengths.items() if kind == "aws:cloudwatch/eventRule:EventRule"}
    assert max(rules) + len("9") <= 64
    with pytest.raises(ConfigurationError, match=rf"has a name of {len(stack) + 1} characters +at most {len(stack)}: "):
        main(record, stack=f"{stack}s", **EVERYTHING)


def test_app_config_is_valid_flat_json_of_strings_with_sorted_keys(record: Recorder) -> None:
    text = main(record).named("secrets-app-config-value").inputs["secretString"].value
    document = json.loads(text)
    assert list(document) == sorted(document)
    assert set(document) == {
        "API_KEY", "CLOUDFLARE_TOKEN", "ENCRYPTION_KEY", "REDIS_PASSWORD", "SMTP_PASSWORD", "WEBHOOK_SECRET",
    }  # fmt: skip
    assert all(isinstance(value, str) for value in document.values())


def test_the_key_of_the_replicas_is_granted_with_them(record: Recorder) -> None:
    key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    replicas: dict[str, Any] = {"replicaRegions": ["eu-west-1"], "replicaKmsKeys": {"eu-west-1": key}}
    policy = main(record, **replicas, grantReplicas=True).one("aws:iam/rolePolicy:RolePolicy").document("policy")
    assert [(s["Resource"], s["Condition"]) for s in policy["Statement"] if "kms:Decrypt" in s["Action"]] == [
        ([key], {"StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}})
    ]


def test_supplied_values_with_quotes_newlines_and_umlauts_stay_what_they_are(record: Recorder) -> None:
    value = 'quo"te \\ back\nnew \u00fcml\u00e4ut \U0001f600 {json: "no"}'
    assert app_config(main(record, secrets={"smtpPassword": value}))["SMTP_PASSWORD"] == value


def test_a_configured_value_wins_over_the_generated_one(record: Recorder) -> None:
    recording = main(record, secrets={"jwtSecret": "j" * 64})
    assert recording.named("secrets-jwt-secret-value").inputs["secretString"].value == "j" * 64
    assert "secrets-jwtSecret-1" not in {name for _, name in recording.names()}
    content = next(s for s in recording.of("pulumi:index:Stash") if s.name == "secrets").inputs["input"]
    assert content["secrets"]["jwt-secret"]["origins"] == {"": "configured jwtSecret 1"}


def test_rotations_make_a_new_generation_and_keep_the_last_two(record: Recorder) -> None:
    recording = main(record, rotations={"apiKey": 3})
    made = {password.name for password in recording.of(PASSWORD_TYPE)}
    assert {"secrets-apiKey-2", "secrets-apiKey-3"} <= made
    assert "secrets-apiKey-1" not in made
    assert "secrets-apiKey-3" in app_config(recording)["API_KEY"]
    assert "API_KEY_PREVIOUS" not in app_config(recording)


def test_what_was_live_under_the_number_before_is_offered_wherever_it_came_from(record: Recorder) -> None:
    values = {"secrets-encryptionKey-1": {"result": "value-of-1"}}
    configured = {"encryptionKey": "configured-encryption-key-1234567"}
    document = app_config(main(record, rotations={"encryptionKey": 2}, computed=values, secrets=configured))
    assert document["ENCRYPTION_KEY"] == configured["encryptionKey"]
    assert document["ENCRYPTION_KEY_PREVIOUS"] == "value-of-1"
    recording = main(record, rotations={"encryptionKey": 2}, computed=values, secrets=configured)
    earlier, live = (recording.named(f"secrets-kept-encryptionKey-{number}") for number in (1, 2))
    # A new stash has what it is given; one that the state has keeps what was given first.
    assert earlier.inputs["input"] == Secret({"value": "value-of-1", "previous": None})
    assert live.inputs["input"] == Secret({"value": configured["encryptionKey"], "previous": "value-of-1"})


def test_a_number_that_changes_no_value_leaves_the_value_before(record: Recorder) -> None:
    value = "configured-encryption-key-1234567"
    kept = {"secrets-kept-encryptionKey-2": {"output": {"value": value, "previous": "before"}}}
    document = app_config(main(record, rotations={"encryptionKey": 3}, computed=kept, secrets={"encryptionKey": value}))
    assert (document["ENCRYPTION_KEY"], document["ENCRYPTION_KEY_PREVIOUS"]) == (value, "before")


@pytest.mark.usefixtures("in_folder_with_bundle")
@pytest.mark.parametrize(
    ("host", "bundle", "warnings"),
    [
        ("tickets.c1a2b3c4d5e6.eu-central-1.rds.amazonaws.com", "", 0),
        ("tickets.c1a2b3c4d5e6.us-gov-west-1.rds.amazonaws.com", "", 1),
        ("tickets.c1a2b3c4d5e6.us-gov-west-1.rds.amazonaws.com", "bundle.pem", 0),
        ("tickets.c1a2b3c4d5e6.rds.cn-north-1.amazonaws.com.cn", "", 1),
        ("db.internal", "", 0),
    ],
)
def test_a_rotation_that_does_not_know_who_signs_the_region_s_certificates_is_warned_about(
    record: Recorder, host: str, bundle: str, warnings: int
) -> None:
    log = main(record, databaseHost=host, rotation={**ROTATION, "certificateBundle": bundle}).log
    assert len([line for line in log if "certificateBundle is not set" in line]) == warnings


@pytest.fixture
def in_folder_with_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # the archive is written there, too
    Path("bundle.pem").write_text("a bundle", encoding="utf-8")


def test_more_secrets_than_one_role_can_read_are_refused_with_the_limit(
    record: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "n" * 400  # so that a few fill a policy
    with_entry(monkeypatch, *(TextSecret(f"{long}-{n}x", Generated(f"n{n}"), variable=f"N{n}") for n in range(140)))
    with pytest.raises(pulumi.RunError, match="a role can have 10: group values in JSON secrets"):
        main(record)


def test_secrets_that_the_inline_policy_has_no_room_for_are_granted_by_managed_ones(
    record: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_entry(
        monkeypatch, *(TextSecret(f"s{n:02}-{'n' * 300}", Generated(f"s{n}"), variable=f"S{n}") for n in range(40))
    )
    recording = main(record)
    arns = recording.exports["secret_arns"]
    managed = recording.of("aws:iam/policy:Policy")
    assert [(policy.name, policy.inputs["name"]) for policy in managed] == [
        (f"app-execution-role-read-{n}", f"{PREFIX}-app-execution-read-{n}") for n in range(1, len(managed) + 1)
    ]
    assert len(managed) > 1
    inline = recording.one("aws:iam/rolePolicy:RolePolicy", "app-execution-role")
    documents = [policy.document("policy") for policy in (inline, *managed)]
    read = [s["Resource"] for d in documents for s in d["Statement"] if "secretsmanager:GetSecretValue" in s["Action"]]
    assert sorted(arn for one in read for arn in one) == sorted(arns.values())
    role = recording.one("aws:iam/role:Role", "app-execution-role")
    attached = recording.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert [one.inputs["role"] for one in attached] == [role.inputs["name"]] * len(managed)
    assert [one.inputs["policyArn"].rpartition("/")[2] for one in attached] == [p.inputs["name"] for p in managed]
    names = Names("service-ticket-system", "dev").service("app")
    assert all(names.is_own_execution_policy(policy.inputs["name"]) for policy in (inline, *managed))
    assert not names.is_own_execution_policy(f"{PREFIX}-app-execution")


def test_a_json_key_s_value_before_has_a_variable_of_its_own(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"A": Generated("a", keeps_previous=True), "B": Generated("b", keeps_previous=True), "C": Generated("c")}
    with_entry(monkeypatch, JsonSecret("own", keys, variables={"A": "VALUE", "B": "B", "C": "C"}))
    first, second = main(record), main(record, rotations={"a": 2, "c": 2})
    arn = second.exports["secret_arns"]["own"]

    def references(recording: Recording) -> dict[str, str]:
        return {e["name"]: e["valueFrom"] for e in container(recording)["secrets"] if e["valueFrom"].startswith(arn)}

    assert references(first) == {"VALUE": f"{arn}:A::", "B": f"{arn}:B::", "C": f"{arn}:C::"}
    assert references(second) == references(first) | {"VALUE_PREVIOUS": f"{arn}:A_PREVIOUS::"}


def test_a_value_that_two_entries_take_is_made_once(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value on its way to another secret stands in both, under one configuration key."""
    moving = Generated("moving")
    with_entry(
        monkeypatch, JsonSecret("old", {"M": moving}, variable="OLD"), JsonSecret("new", {"M": moving}, variables={"M"})
    )
    recording = main(record)
    made = [password for password in recording.of(PASSWORD_TYPE) if "moving" in password.name]
    assert [password.name for password in made] == ["secrets-moving-1"]
    old, new = (
        recording.one(VERSION_TYPE, f"secrets-{name}-value").inputs["secretString"].value for name in ("old", "new")
    )
    assert old == new


def test_replicas_that_the_configuration_no_longer_names_are_told_with_their_commands(record: Recorder) -> None:
    replicas = [{"region": "eu-west-1"}, {"region": "us-east-1"}, {"region": "eu-north-1"}]
    recording = main(record, replicaRegions=["eu-north-1"], computed={"secrets-jwt-secret": {"replicas": replicas}})
    (said,) = [line for line in recording.log if "no longer names stay" in line]
    arn = recording.exports["secret_arns"]["jwt-secret"]
    assert said.splitlines()[1:] == [
        f"  aws secretsmanager remove-regions-from-replication --secret-id {arn} --remove-replica-regions eu-west-1 us-east-1"
    ]
    assert not [line for line in main(record, replicaRegions=["eu-north-1"]).log if "no longer names stay" in line]


def test_a_length_that_counts_for_the_next_value_only_is_told(record: Recorder) -> None:
    log = main(record, computed={"secrets-jwtSecret-1": {"length": 40}, "secrets-apiKey-1": {"length": 40}}).log
    (said,) = [line for line in log if "keeps its" in line]
    assert "jwtSecret keeps its 40 characters; the catalogue's 64" in said
    assert "rotations.jwtSecret" in said


def test_a_stack_that_gives_its_key_back_says_how_long_it_is_needed(record: Recorder) -> None:
    def days(**config: Any) -> list[str]:
        log = main(record, encryption="returning-to-aws-managed", **config).log
        said = [line for line in log if "is for one `pulumi up`" in line]
        return [line.partition("stays in AWS. For ")[2].split(" days")[0] for line in said]

    assert days(logRetentionInDays=90) == ["90"]
    assert days(audit={"trail": "create", "logRetentionInDays": 400}) == ["400"]
    assert days(audit={"trail": "create", "logRetentionInDays": 30}) == ["365"]
    assert not [line for line in main(record, encryption="customer-managed").log if "for one `pulumi up`" in line]


def test_a_key_that_stays_in_aws_is_not_protected_in_pulumi(record: Recorder) -> None:
    key = main(record, encryption="returning-to-aws-managed", protect=True).one("aws:kms/key:Key").options
    assert (key.retain_on_delete, key.protect) == (True, False)


def test_no_arn_is_written_with_a_fixed_partition(record: Recorder) -> None:
    recording = run_program(record, CONFIG | EVERYTHING, SUPPLIED, region="cn-north-1", partition="aws-cn")
    shown = json.dumps([dict(r.inputs) for r in recording], default=lambda _secret: "secret")
    assert "arn:aws-cn:" in shown
    assert "arn:aws:" not in shown
    for service in ("secretsmanager", "logs", "s3"):
        assert f"{service}.cn-north-1.amazonaws.com.cn" in shown


def test_a_stack_that_any_account_could_get_is_warned_about(record: Recorder) -> None:
    def warned(**config: Any) -> bool:
        return any("aws:allowedAccountIds is not set" in line for line in main(record, **config).log)

    assert warned()
    assert not warned(**{"aws:allowedAccountIds": ["111122223333"]})
