"""The whole program under recording mocks: what `pulumi up` registers, with which options, and what it exports."""

import json
import runpy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

import catalogue
from components import outputs
from components.names import Names
from config.declarations import External, Generated, JsonSecret, TextSecret
from config.settings import ConfigurationError
from tests.sandbox.stack_options import SINGLE_USER as ROTATION
from tests.unit.conftest import Recorder, Recording, Secret

ROOT = Path(__file__).parents[2]
PREFIX = "service-ticket-system-dev"
SUPPLIED = {
    "service-ticket-system:smtpPassword": "smtp-value-0123456789",
    "service-ticket-system:cloudflareToken": "cloudflare-value-0123456789",
}
CONFIG = {
    "service-ticket-system:image": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/app:1.0.0",
    "service-ticket-system:databaseHost": "db.internal",
    "service-ticket-system:redisHost": "redis.internal",
}
SECRET_TYPE = "aws:secretsmanager/secret:Secret"
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
    return record(
        lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
        stack=stack,
        outputs=computed,
        config={**CONFIG, **{f"service-ticket-system:{key}": value for key, value in config.items()}},
        secret_config={**SUPPLIED, **{f"service-ticket-system:{key}": value for key, value in (secrets or {}).items()}},
    )


def with_entry(monkeypatch: pytest.MonkeyPatch, *entries: TextSecret | JsonSecret) -> None:
    extended = replace(catalogue.APPLICATION, secrets=(*catalogue.CATALOGUE, *entries))
    monkeypatch.setattr(catalogue, "APPLICATION", extended)


def application(recording: Recording) -> dict[str, Any]:
    """What the outputs say of the one service."""
    return recording.exports["services"]["app"]


def container(recording: Recording) -> dict[str, Any]:
    return recording.one("aws:ecs/taskDefinition:TaskDefinition").document("containerDefinitions")[0]


def app_config(recording: Recording) -> dict[str, str]:
    return json.loads(recording.named("secrets-app-config-value").inputs["secretString"].value)


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
    everything: dict[str, Any] = {
        "encryption": "customer-managed",
        "rotation": ROTATION,
        "redeploy": {"cluster": "c", "services": {"app": "s"}},
        "audit": {"trail": "create", "alarmEmails": ["a@example.com"]},
    }
    stack = max(
        ("s" * n for n in range(1, 64) if not list(Names("service-ticket-system", "s" * n).problems(["app"]))), key=len
    )
    recording = main(record, stack=stack, **everything)
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
        main(record, stack=f"{stack}s", **everything)


def test_app_config_is_valid_flat_json_of_strings_with_sorted_keys(record: Recorder) -> None:
    text = main(record).named("secrets-app-config-value").inputs["secretString"].value
    document = json.loads(text)
    assert list(document) == sorted(document)
    assert set(document) == {
        "API_KEY", "CLOUDFLARE_TOKEN", "ENCRYPTION_KEY", "REDIS_PASSWORD", "SMTP_PASSWORD", "WEBHOOK_SECRET",
    }  # fmt: skip
    assert all(isinstance(value, str) for value in document.values())


def test_supplied_values_with_quotes_newlines_and_umlauts_stay_what_they_are(record: Recorder) -> None:
    value = 'quo"te \\ back\nnew \u00fcml\u00e4ut \U0001f600 {json: "no"}'
    assert app_config(main(record, secrets={"smtpPassword": value}))["SMTP_PASSWORD"] == value


def test_every_value_reaches_the_engine_as_a_secret(record: Recorder) -> None:
    versions = main(record, secrets={"jwtSecret": "j" * 64}).of(VERSION_TYPE)
    assert all(isinstance(version.inputs["secretString"], Secret) for version in versions)


def test_a_configured_value_wins_over_the_generated_one(record: Recorder) -> None:
    recording = main(record, secrets={"jwtSecret": "j" * 64})
    assert recording.named("secrets-jwt-secret-value").inputs["secretString"].value == "j" * 64
    assert "secrets-jwtSecret-1" not in {name for _, name in recording.names()}


def test_an_empty_value_means_generated(record: Recorder) -> None:
    assert (
        "random"
        in main(record, secrets={"jwtSecret": ""}).named("secrets-jwt-secret-value").inputs["secretString"].value
    )


def test_generated_values_ignore_every_change_of_their_recipe(record: Recorder) -> None:
    for password in main(record).of(PASSWORD_TYPE):
        ignored = set(password.options.ignore_changes)
        assert {"length", "special", "overrideSpecial", "keepers"} <= ignored
        # None is left to a default: see _password. These two have none.
        assert ignored - {"overrideSpecial", "keepers"} <= set(password.inputs)


def test_every_live_version_and_the_stash_are_checked_before_the_engine_acts(record: Recorder) -> None:
    recording = main(record, rotations={"jwtSecret": 2})
    live = [version for version in recording.of(VERSION_TYPE) if version.name != "secrets-jwt-secret-previous-value"]
    assert {version.options.before_create for version in live} == {("secrets-version",)}
    stashes = {stash.name: stash.options for stash in recording.of("pulumi:index:Stash")}
    checked = stashes.pop("secrets")
    assert checked.before_create == checked.before_update == ("secrets-values",)
    # One that the state has keeps what was given first; the live one follows the value.
    assert {name: (o.ignore_changes, o.replace_on_changes) for name, o in stashes.items()} == {
        "secrets-kept-encryptionKey-1": ((), ("input",)),
        "secrets-kept-jwtSecret-2": ((), ("input",)),
        "secrets-kept-jwtSecret-1": (("input",), ()),
    }
    for secret in recording.of(SECRET_TYPE):
        assert "secrets" in secret.options.depends_on, "a secret waits for what the stash's check says"


def test_the_stash_holds_what_is_live_as_a_secret_and_where_it_comes_from(record: Recorder) -> None:
    recording = main(record, secrets={"jwtSecret": "j" * 64}, rotations={"apiKey": 3})
    content = next(s for s in recording.of("pulumi:index:Stash") if s.name == "secrets").inputs["input"]
    assert {**content, "secrets": sorted(content["secrets"])} == {
        "secrets": ["app-config", "db-master-password", "jwt-secret"],
        "recoveryWindowInDays": 30,
    }
    assert content["secrets"]["jwt-secret"] == {
        "secret": f"{PREFIX}-jwt-secret", "adopted": False, "rotated": False, "origins": {"": "configured jwtSecret 1"},
        "referenced": [], "set": {"values": Secret({"": "j" * 64})},
    }  # fmt: skip
    app = content["secrets"]["app-config"]
    assert app["referenced"] == ["CLOUDFLARE_TOKEN", "REDIS_PASSWORD", "SMTP_PASSWORD"]
    assert app["origins"] == {
        "API_KEY": "generated apiKey 3",
        "CLOUDFLARE_TOKEN": "configured cloudflareToken 1",
        "ENCRYPTION_KEY": "generated encryptionKey 1",
        "REDIS_PASSWORD": "generated redisPassword 1",
        "SMTP_PASSWORD": "configured smtpPassword 1",
        "WEBHOOK_SECRET": "generated webhookSecret 1",
    }
    assert app["set"]["values"] == Secret(app_config(recording))


def test_every_resource_is_a_child_of_a_component(record: Recorder) -> None:
    recording = main(record)
    assert {r.name for r in recording if r.options.parent is None} == {"secrets", "app"}
    assert {r.name for r in recording.children("app")} == {"app-execution-role", "app-task-definition"}


def test_execution_role_reads_exactly_the_three_secrets(record: Recorder) -> None:
    (policy,) = main(record).of("aws:iam/rolePolicy:RolePolicy")
    statements = {statement["Sid"]: statement for statement in policy.document("policy")["Statement"]}
    assert statements["ReadSecrets"]["Action"] == ["secretsmanager:GetSecretValue"]
    assert statements["ReadSecrets"]["Resource"] == [
        f"arn:aws:secretsmanager:eu-central-1:111122223333:secret:{PREFIX}-{name}-AbCdEf"
        for name in ("app-config", "db-master-password", "jwt-secret")
    ]
    assert set(statements) == {"ReadSecrets", "WriteLogs", "PullImage", "SignInToEcr"}


def test_outputs_are_the_contract_and_hold_no_value(record: Recorder) -> None:
    recording = main(record)
    assert set(recording.exports) == set(outputs.NAMES) - {"kms_key_arn", "alarm_topic_arn"}
    assert recording.exports["monthly_cost_usd"] == 1.2
    assert application(recording)["container_secrets"]["JWT_SECRET"].startswith("arn:aws:secretsmanager:")
    assert not any(isinstance(value, Secret) for value in recording.exports.values())
    shown = json.dumps(recording.exports)
    assert not any(value in shown for value in app_config(recording).values())


def test_a_new_entry_reaches_aws_role_container_and_outputs(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    from config.declarations import Generated  # noqa: PLC0415 - as in the README's example

    with_entry(monkeypatch, TextSecret("pager", Generated("pagerKey"), variable="PAGER_KEY"))
    recording = main(record)
    arn = recording.exports["secret_arns"]["pager"]
    assert recording.one(SECRET_TYPE, "secrets-pager").inputs["name"] == f"{PREFIX}-pager"
    assert arn in recording.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"]
    assert {"name": "PAGER_KEY", "valueFrom": arn} in container(recording)["secrets"]
    assert application(recording)["container_secrets"]["PAGER_KEY"] == arn
    assert recording.exports["monthly_cost_usd"] == 1.6


@pytest.mark.parametrize(
    "entry",
    [
        TextSecret("licence", External(), variable="LICENCE"),
        JsonSecret("licence", External(), variables={"key": "LICENCE"}),
    ],
)
def test_external_is_created_and_wired_without_a_value(
    record: Recorder, monkeypatch: pytest.MonkeyPatch, entry: TextSecret | JsonSecret
) -> None:
    with_entry(monkeypatch, entry)
    recording = main(record)
    assert recording.one(SECRET_TYPE, "secrets-licence").inputs["name"] == f"{PREFIX}-licence"
    assert {v.name for v in recording.of(VERSION_TYPE)} == {
        "secrets-db-master-password-value",
        "secrets-jwt-secret-value",
        "secrets-app-config-value",
    }
    assert "LICENCE" in {entry["name"] for entry in container(recording)["secrets"]}


def test_rotations_make_a_new_generation_and_keep_the_last_two(record: Recorder) -> None:
    recording = main(record, rotations={"apiKey": 3})
    made = {password.name for password in recording.of(PASSWORD_TYPE)}
    assert {"secrets-apiKey-2", "secrets-apiKey-3"} <= made
    assert "secrets-apiKey-1" not in made
    assert "secrets-apiKey-3" in app_config(recording)["API_KEY"]
    assert "API_KEY_PREVIOUS" not in app_config(recording)


def test_a_rotated_encryption_key_keeps_its_previous_value_in_the_json(record: Recorder) -> None:
    values = {f"secrets-encryptionKey-{number}": {"result": f"value-of-{number}"} for number in (1, 2)}
    document = app_config(main(record, rotations={"encryptionKey": 2}, computed=values))
    assert document["ENCRYPTION_KEY"] == "value-of-2"
    assert document["ENCRYPTION_KEY_PREVIOUS"] == "value-of-1"


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


def test_a_rotated_text_secret_puts_its_previous_generation_first(record: Recorder) -> None:
    recording = main(record, rotations={"jwtSecret": 2})
    current, previous = (
        recording.named("secrets-jwt-secret-value"),
        recording.named("secrets-jwt-secret-previous-value"),
    )
    assert "secrets-jwt-secret-previous-value" in current.options.depends_on
    assert current.inputs["versionStages"] == ["AWSCURRENT", "pulumi-live"]
    assert current.options.ignore_changes == ("versionStages",)
    assert previous.inputs["versionStages"] == ["pulumi-previous"]  # never AWSCURRENT
    assert previous.options.ignore_changes == ("versionStages",)
    references = {entry["name"]: entry["valueFrom"] for entry in container(recording)["secrets"]}
    assert references["JWT_SECRET_PREVIOUS"] == references["JWT_SECRET"] + "::pulumi-previous:"


def test_nothing_refers_to_a_previous_value_before_the_first_rotation(record: Recorder) -> None:
    recording = main(record)
    assert not [entry for entry in container(recording)["secrets"] if "PREVIOUS" in json.dumps(entry)]
    assert not [key for key in app_config(recording) if key.endswith("_PREVIOUS")]


def test_an_adopted_secret_is_imported_as_found_without_a_value(record: Recorder) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:old/jwt-Zz9Yy8"
    recording = main(record, adopt={"jwt-secret": arn})
    secret = next(r for r in recording.of(SECRET_TYPE) if r.name == "secrets-jwt-secret")
    assert (secret.inputs["name"], secret.options.import_id) == ("old/jwt", arn)
    assert {"description", "kmsKeyId", "tags"} <= set(secret.options.ignore_changes)
    assert secret.options.retain_on_delete
    assert "secrets-jwt-secret-value" not in {version.name for version in recording.of(VERSION_TYPE)}


def test_replicas_are_made_and_readable_only_when_asked(record: Recorder) -> None:
    key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    replicas: dict[str, Any] = {"replicaRegions": ["eu-west-1", "eu-west-3"], "replicaKmsKeys": {"eu-west-1": key}}
    recording = main(record, **replicas)
    assert {json.dumps(secret.inputs["replicas"], sort_keys=True) for secret in recording.of(SECRET_TYPE)} == {
        json.dumps([{"kmsKeyId": key, "region": "eu-west-1"}, {"region": "eu-west-3"}])
    }
    assert "eu-west-1" not in recording.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"]
    granted = main(record, **replicas, grantReplicas=True).one("aws:iam/rolePolicy:RolePolicy").inputs["policy"]
    assert granted.count(":secretsmanager:eu-west-1:") == granted.count(":secretsmanager:eu-central-1:") == 3
    decrypt = [s for s in json.loads(granted)["Statement"] if "kms:Decrypt" in s["Action"]]
    assert [(s["Resource"], s["Condition"]) for s in decrypt] == [
        ([key], {"StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}})
    ]


def test_a_deployment_that_ecs_gave_up_is_told_when_somebody_listens(record: Recorder) -> None:
    redeploy = {"cluster": "main", "services": {"app": "web"}}
    rule = "app-redeployment-deployment-failed"
    assert rule not in {name for _, name in main(record, redeploy=redeploy).names()}
    recording = main(record, redeploy=redeploy, audit={"trail": "create"})
    pattern = recording.one("aws:cloudwatch/eventRule:EventRule", rule).document("eventPattern")
    assert pattern["resources"] == ["arn:aws:ecs:eu-central-1:111122223333:service/main/web"]
    assert pattern["detail"] == {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]}
    target = recording.one("aws:cloudwatch/eventTarget:EventTarget", rule)
    assert target.inputs["arn"] == recording.exports["alarm_topic_arn"]


def test_every_role_takes_the_permissions_boundary(record: Recorder) -> None:
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    recording = main(record, permissionsBoundary=boundary, redeploy={"cluster": "main", "services": {"app": "web"}})
    assert {role.inputs["permissionsBoundary"] for role in recording.of("aws:iam/role:Role")} == {boundary}


def test_no_arn_is_written_with_a_fixed_partition(record: Recorder) -> None:
    recording = record(
        lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
        config={**CONFIG, "service-ticket-system:encryption": "customer-managed"},
        secret_config=SUPPLIED,
        region="cn-north-1",
        partition="aws-cn",
    )
    shown = json.dumps([dict(r.inputs) for r in recording], default=lambda _secret: "secret")
    assert "arn:aws-cn:" in shown
    assert "arn:aws:" not in shown
    assert "amazonaws.com.cn" in recording.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"]


def test_a_wrong_configuration_registers_nothing(record: Recorder) -> None:
    with pytest.raises(ConfigurationError, match="cpu"):
        main(record, cpu=300)


def test_failed_redeployments_reach_the_alarm_topic_when_there_is_one(record: Recorder) -> None:
    redeploy = {"cluster": "main", "services": {"app": "web"}}
    alarm = "aws:cloudwatch/metricAlarm:MetricAlarm"
    assert not main(record, redeploy=redeploy).of(alarm)
    recording = main(record, redeploy=redeploy, audit={"trail": "create"})
    own = [a for a in recording.of(alarm) if a.name.startswith("app-redeployment-")]
    assert {a.inputs["metricName"] for a in own} == {"ExecutionsFailed", "FailedInvocations"}
    assert {tuple(a.inputs["alarmActions"]) for a in own} == {(recording.exports["alarm_topic_arn"],)}


def test_cost_counts_what_is_switched_on(record: Recorder) -> None:
    recording = main(record, encryption="customer-managed", replicaRegions=["eu-west-1"], audit={"trail": "create"})
    # Three secrets and three replicas, one key, five metrics, five alarms, one dashboard.
    assert recording.exports["monthly_cost_usd"] == round(6 * 0.4 + 1 + 5 * 0.3 + 5 * 0.1 + 3, 2)


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


def test_the_key_stays_in_aws_when_it_leaves_pulumi_and_awss_own_is_no_change(record: Recorder) -> None:
    for encryption, kept, ignored in (
        ("customer-managed", False, set[str]()),
        ("returning-to-aws-managed", True, set[str]()),
        ("aws-managed", False, {"kmsKeyId"}),
    ):  # fmt: skip
        recording = main(record, encryption=encryption, protect=True)
        for key in recording.of("aws:kms/key:Key"):
            assert (key.options.retain_on_delete, key.options.protect) == (kept, not kept)
        assert {frozenset(secret.options.ignore_changes) for secret in recording.of(SECRET_TYPE)} == {
            frozenset(ignored)
        }


def test_a_stack_that_any_account_could_get_is_warned_about(record: Recorder) -> None:
    def warned(**config: Any) -> bool:
        def program() -> Any:
            return runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

        log = record(program, config={**CONFIG, **config}, secret_config=SUPPLIED).log
        return any("aws:allowedAccountIds is not set" in line for line in log)

    assert warned()
    assert not warned(**{"aws:allowedAccountIds": ["111122223333"]})
