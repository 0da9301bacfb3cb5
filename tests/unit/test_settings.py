"""settings.parse: what a configuration means, and what a wrong one is answered."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogue import CATALOGUE
from config.settings import FARGATE_MEMORY, ConfigurationError, Settings, parse
from model import declarations
from model.declarations import Catalogue, Generated, JsonSecret, Supplied, TextSecret

SUPPLIED = {"smtpPassword": "smtp-value-0123456789", "cloudflareToken": "token-value-0123456789"}
VALID = {"image": "registry/app:1.0.0", "databaseHost": "db.internal", "redisHost": "redis.internal", **SUPPLIED}
SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:jwt-AbCdEf"
ROTATION = {
    "schedule": "cron(0 3 ? * SUN *)",
    "strategy": "single-user",
    "subnetIds": ["subnet-0123456789abcdef0"],
    "securityGroupIds": ["sg-0123456789abcdef0"],
}


def parsed(
    stack: str = "dev",
    *,
    catalogue: Catalogue | None = None,
    plain: tuple[str, ...] = (),
    region: str | None = None,
    **config: Any,
) -> Settings:
    values = {key: json.dumps(v) if isinstance(v, list | dict) else v for key, v in {**VALID, **config}.items()}
    encrypted = {*declarations.secret_config_keys(catalogue or CATALOGUE), "dbAppUserPassword"} - set(plain)
    return parse(values, encrypted, project="service-ticket-system", stack=stack, region=region, catalogue=catalogue)


def refusal(stack: str = "dev", **config: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parsed(stack, **config)
    return str(caught.value)


def test_defaults_are_the_ones_of_the_design() -> None:
    settings = parsed()
    assert (settings.container_port, settings.cpu, settings.memory, settings.cpu_architecture) == (
        3000,
        256,
        512,
        "X86_64",
    )
    assert (settings.log_retention_in_days, settings.recovery_window_in_days, settings.protect) == (30, 30, False)
    assert (settings.encryption, settings.rotation, settings.redeploy, settings.audit) == (
        "aws-managed",
        None,
        None,
        None,
    )
    assert settings.confused_deputy_protection is True
    assert settings.prefix == "service-ticket-system-dev"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"image": ""}, "image  is required  pulumi config set image VALUE"),
        ({"image": "registry/app"}, "image  has no tag"),
        ({"image": "registry:5000/app"}, "image  has no tag"),
        ({"image": "app@sha256:abc"}, "image  has no valid digest"),
        ({"image": "my app:1"}, "image  has a space"),
        ({"databaseHost": None}, "databaseHost  is required  pulumi config set databaseHost VALUE"),
        ({"databaseHost": "postgres://db.internal"}, "databaseHost  has a scheme"),
        ({"databaseHost": "db.internal:5432"}, "databaseHost  has a port"),
        ({"redisHost": "redis internal"}, "redisHost  has a space"),
        ({"redisHost": "redis.internal/0"}, "redisHost  has a path"),
        ({"redisHost": "-redis.internal"}, "redisHost  is no host name"),
        ({"redisHost": ["a"]}, "redisHost"),
        ({"cpu": 256, "memory": 4096}, "cpu  256 with memory 4096  memory for 256 is 512, 1024 or 2048"),
        ({"cpu": 300}, "cpu  is 300  one of 256, 512, 1024"),
        ({"cpu": "lots"}, "cpu  is 'lots'  a whole number"),
        ({"cpu": True}, "cpu  is True  a whole number"),
        ({"memory": 3.5}, "memory  is 3.5  a whole number"),
        ({"containerPort": 0}, "containerPort  is 0  1 to 65535"),
        ({"cpuArchitecture": "arm"}, "cpuArchitecture  is 'arm'  one of X86_64, ARM64"),
        ({"logRetentionInDays": 31}, "logRetentionInDays  is 31  days that CloudWatch Logs takes"),
        ({"recoveryWindowInDays": 1}, "recoveryWindowInDays  is 1  0 (delete at once) or 7 to 30 days"),
        ({"recoveryWindowInDays": 6}, "recoveryWindowInDays  is 6"),
        ({"recoveryWindowInDays": 31}, "recoveryWindowInDays  is 31"),
        ({"recoveryWindowInDays": -7}, "recoveryWindowInDays  is -7"),
        ({"protect": "yes"}, "protect  is 'yes'  true or false"),
        ({"encryption": "none"}, "encryption  is 'none'  one of aws-managed, customer-managed"),
        ({"replicaRegions": ["frankfurt"]}, "replicaRegions  is 'frankfurt'  a Region such as eu-west-1"),
        ({"replicaRegions": [1]}, "replicaRegions  holds a number  an array of strings"),
        ({"replicaRegions": "eu-west-1"}, "replicaRegions  is not an array of strings"),
        ({"replicaKmsKeys": {"eu-west-1": "arn"}}, "replicaKmsKeys.eu-west-1  is not in replicaRegions"),
        (
            {"replicaRegions": ["eu-west-1"], "replicaKmsKeys": {"eu-west-1": "alias/mine"}},
            "replicaKmsKeys.eu-west-1  is no key of that Region",
        ),
        (
            {
                "replicaRegions": ["eu-west-1"],
                "replicaKmsKeys": {"eu-west-1": "arn:aws:kms:eu-central-1:111111111111:key/0-1"},
            },
            "replicaKmsKeys.eu-west-1  is no key of that Region  arn:...:kms:eu-west-1:ACCOUNT:key/ID",
        ),
        (
            {"region": "eu-central-1", "replicaRegions": ["eu-central-1"]},
            "replicaRegions  holds eu-central-1, where the secrets are",
        ),
        ({"grantReplicas": True}, "grantReplicas  needs replicaRegions"),
        ({"permissionsBoundary": "boundary"}, "permissionsBoundary  is 'boundary'  the ARN of a managed policy"),
        ({"environment": ["A"]}, "environment  is not an object"),
        ({"environment": {"1A": "x"}}, "environment.1A  is no name of a variable"),
        ({"environment": {"A": None}}, "environment.A  is neither text nor a whole number"),
        ({"environment": {"STRIPE_TOKEN": "x"}}, "environment.STRIPE_TOKEN  looks like a secret"),
        ({"environment": {"AWS_SECRET_ACCESS_KEY": "x"}}, "environment.AWS_SECRET_ACCESS_KEY  looks like a secret"),
        (
            {"environment": {"DATABASE_URL": "postgres://u:pw@h/db"}},
            "environment.DATABASE_URL  holds a password in a URL",
        ),
        ({"environment": {"JWT_SECRET_PREVIOUS": "x"}}, "JWT_SECRET_PREVIOUS  is the variable of 2 entries"),
        ({"environment": {"REDIS_HOST": "x"}}, "REDIS_HOST  is the variable of 2 entries"),
        ({"environment": {"APP_CONFIG": "x"}}, "APP_CONFIG  is the variable of 2 entries"),
        ({"databseHost": "x"}, "databseHost  is not a known key  did you mean databaseHost?"),
        ({"rotations": {"apikey": 2}}, "rotations.apikey  is not a known key  did you mean rotations.apiKey?"),
        ({"rotations": {"apiKey": 0}}, "rotations.apiKey  is 0"),
        ({"rotations": {"jwtSecret": 2}, "jwtSecret": "j" * 64}, "rotations.jwtSecret  but jwtSecret is set"),
        ({"rotation": {"strategy": "both"}}, "rotation.strategy  is 'both'  one of single-user, alternating-users"),
        ({"rotation": {**ROTATION, "schedule": "rate(7 days)"}}, "rotation.schedule  is 'rate(7 days)'"),
        ({"rotation": {**ROTATION, "schedule": "cron(0 3 * * * *)"}}, "rotation.schedule"),
        ({"rotation": {**ROTATION, "schedule": "cron(0 3 ? * ? *)"}}, "rotation.schedule"),
        ({"rotation": {**ROTATION, "schedule": "cron(0 24 ? * SUN *)"}}, "0 to 23, or every so many, at least 4"),
        ({"rotation": {**ROTATION, "schedule": "cron(0 /1 * * ? *)"}}, "0 to 23, or every so many, at least 4"),
        ({"rotation": {**ROTATION, "schedule": "cron(0 * * * ? *)"}}, "0 to 23, or every so many, at least 4"),
        ({"rotation": {**ROTATION, "subnetIds": []}}, "rotation.subnetIds  is required"),
        ({"rotation": {**ROTATION, "strategy": "alternating-users"}}, "rotation.username  is required"),
        ({"rotation": {**ROTATION, "masterUsername": "other"}}, "rotation.masterUsername  is for alternating-users"),
        ({"rotation": {**ROTATION, "shedule": "x"}}, "did you mean rotation.schedule?"),
        ({"rotation": {**ROTATION, "certificateBundle": "no.pem"}}, "rotation.certificateBundle  'no.pem' is no file"),
        ({"rotation": {"remindEveryDays": 90}}, "rotation.remindEveryDays  needs the alarm topic"),
        ({"redeploy": {"cluster": "main"}}, "redeploy.service  is required"),
        ({"redeploy": {"cluster": "a/b", "service": "web"}}, "redeploy.cluster  is 'a/b'"),
        ({"audit": {"trail": "existing"}}, "audit.logGroupName  is required"),
        ({"audit": {"trail": "existing", "logGroupName": "a b"}}, "audit.logGroupName  is 'a b'  a log group's name"),
        ({"audit": {"alarmEmails": ["nobody"]}}, "audit.alarmEmails  is 'nobody'  an e-mail address"),
        ({"audit": {"trustedReaders": ["*"]}}, "audit.trustedReaders  is '*'"),
        ({"restrictReaders": True}, "breakGlassRoles  is required by restrictReaders"),
        ({"adopt": {"jwt-secret": "jwt"}}, "adopt.jwt-secret  is 'jwt'  the secret's ARN"),
        ({"adopt": {"jwt-secrets": "x"}}, "did you mean adopt.jwt-secret?"),
        (
            {"adopt": {"jwt-secret": SECRET_ARN}, "rotations": {"jwtSecret": 2}},
            "rotations.jwtSecret  is of a secret that is adopted: its value is not made here  python -m ops set NAME",
        ),
        (
            {"adopt": {"jwt-secret": SECRET_ARN}, "jwtSecret": "j" * 40},
            "jwtSecret  is set, but its secret is adopted and keeps its value  pulumi config rm jwtSecret",
        ),
        (
            {"adopt": {"jwt-secret": SECRET_ARN, "db-master-password": SECRET_ARN}},
            "adopt.jwt-secret  is the ARN of db-master-password, too",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(config: Mapping[str, Any], said: str) -> None:
    message = " ".join(refusal(**config).split())
    assert " ".join(said.split()) in message


@pytest.mark.parametrize("key", ["smtpPassword", "cloudflareToken"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_supplied_value_names_the_command(key: str, value: str | None) -> None:
    config: dict[str, Any] = {key: value}
    assert f"{key}  is required  pulumi config set --secret {key}" in refusal(**config)


def test_a_secret_in_the_clear_is_refused_without_being_quoted() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed(jwtSecret="hunter2-hunter2-hunter2", plain=("jwtSecret",))
    assert "jwtSecret  is set without --secret  pulumi config set --secret jwtSecret" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["changeme", "your-smtp-password", "CHANGE_ME", "<smtp password>", "${SMTP}", "xxxxxxxxxxxxxxxxxxxx"]
)
def test_production_refuses_placeholders(value: str) -> None:
    message = refusal("prod", smtpPassword=value)
    assert "smtpPassword  looks like a placeholder" in message
    assert value not in message.replace("smtpPassword", "")


def test_the_reads_expected_are_twenty_starting_tasks_one_for_every_entry_under_secrets() -> None:
    more = (*CATALOGUE, TextSecret("token", Generated("token"), variable="TOKEN"))
    for catalogue in (CATALOGUE, more):
        entries = sum(1 for declaration in catalogue for _ in declaration.references())
        audit = parsed(catalogue=catalogue, audit={"trail": "create"}).audit
        assert audit
        assert audit.expected_reads_per_hour == 20 * entries


def test_production_refuses_short_values() -> None:
    message = refusal("prod", smtpPassword="fifteen-chars-x")
    assert "smtpPassword  has fewer than 16 characters" in message
    assert "fifteen-chars-x" not in message
    assert parsed("prod", smtpPassword="sixteen-chars-xy").values["smtpPassword"] == "sixteen-chars-xy"


def test_dev_takes_short_values() -> None:
    assert parsed(smtpPassword="short").values["smtpPassword"] == "short"


def test_a_protected_stack_is_as_strict_as_production() -> None:
    assert "looks like a placeholder" in refusal("staging", protect="true", smtpPassword="changeme")


@pytest.mark.parametrize(("size", "fits"), [(65_536, True), (65_537, False)])
def test_a_text_secret_has_at_most_65536_bytes(size: int, fits: bool) -> None:  # noqa: FBT001
    value = "\u00fc" * (size // 2) + "x" * (size % 2)
    if fits:
        assert parsed(jwtSecret=value).values["jwtSecret"] == value
    else:
        assert "jwtSecret  has 65,537 bytes; Secrets Manager takes 65,536" in refusal(jwtSecret=value)


def test_a_json_secret_has_at_most_65536_bytes_altogether() -> None:
    message = refusal(smtpPassword="s" * 40_000, cloudflareToken="c" * 40_000)
    assert "app-config  has 80," in message
    assert "bytes as JSON; Secrets Manager takes 65,536" in message


def test_all_problems_are_reported_at_once_as_a_table() -> None:
    message = refusal("prod", cpu=256, memory=4096, databseHost="x", smtpPassword="")
    assert message.splitlines() == [
        '3 configuration problems in stack "prod":',
        "  databseHost   is not a known key    did you mean databaseHost?",
        "  smtpPassword  is required           pulumi config set --secret smtpPassword",
        "  cpu           256 with memory 4096  memory for 256 is 512, 1024 or 2048",
    ]


def test_what_is_said_of_an_encrypted_key_never_quotes_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({**VALID, "cpu": "hunter2"}, {*SUPPLIED, "cpu"}, project="p", stack="dev")
    assert "cpu  is not allowed (encrypted, so not shown)" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_encrypted_plain_variable_is_refused_without_being_quoted() -> None:
    raw = {**VALID, "environment": json.dumps({"PGPASS": "hunter2"})}
    with pytest.raises(ConfigurationError) as caught:
        parse(raw, {*SUPPLIED, "environment"}, project="p", stack="dev")
    assert "environment  is not allowed (encrypted, so not shown)  plain variables are readable by many" in str(
        caught.value
    )
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        ("dev.test", "stack  has a name that AWS takes for no alias and no topic  letters, digits, _ and -"),
        ("s" * 28, "stack  has a name of 28 characters  at most 27"),
    ],
)
def test_a_stack_whose_name_aws_would_refuse_half_way_is_refused(stack: str, said: str) -> None:
    assert said in refusal(stack)
    assert parsed("s" * 27).prefix == "service-ticket-system-" + "s" * 27


def test_a_secret_with_the_configuration_key_of_a_setting_is_refused() -> None:
    catalogue = (*CATALOGUE, TextSecret("pager", Generated("image")))
    assert "image  is the key of a setting and of a secret" in refusal(catalogue=catalogue)


def test_a_declared_key_whose_secret_left_the_catalogue_is_told_where_it_still_is() -> None:
    message = refusal(catalogue=CATALOGUE[:1], smtpPassword="", cloudflareToken="")
    assert "cloudflareToken  is not a known key" in message
    assert "of a secret that left catalogue.py: take it out of Pulumi.yaml as well" in message


def test_values_are_kept_out_of_repr() -> None:
    assert SUPPLIED["smtpPassword"] not in repr(parsed())


@pytest.mark.parametrize(
    ("cpu", "memory"), [(cpu, memory) for cpu, sizes in FARGATE_MEMORY.items() for memory in sizes]
)
def test_every_size_that_fargate_takes_is_taken(cpu: int, memory: int) -> None:
    assert (parsed(cpu=cpu, memory=memory).cpu, parsed(cpu=str(cpu), memory=str(memory)).memory) == (cpu, memory)


def test_alternating_users_adds_the_application_user_and_unwires_the_master() -> None:
    settings = parsed(rotation={**ROTATION, "strategy": "alternating-users", "username": "ticketing"})
    by_name = {declaration.name: declaration for declaration in settings.catalogue}
    assert dict(by_name["db-app-user"].references()) == {"DB_PASSWORD": "password", "DB_USER": "username"}
    assert list(by_name["db-master-password"].references()) == []
    assert settings.rotation is not None
    assert (settings.rotation.username, settings.rotation.master_username) == ("ticketing", "postgres")


def test_a_config_object_may_be_given_as_json_or_as_data() -> None:
    as_json = parse({**VALID, "redeploy": '{"cluster": "c", "service": "s"}'}, set(SUPPLIED), project="p", stack="dev")
    as_data = parse({**VALID, "redeploy": {"cluster": "c", "service": "s"}}, set(SUPPLIED), project="p", stack="dev")
    assert as_json.redeploy == as_data.redeploy is not None


def test_problems_of_the_catalogue_are_reported_with_those_of_the_configuration() -> None:
    catalogue = (*CATALOGUE, TextSecret("jwt-secret", Supplied("other"), variable="JWT_SECRET"))
    message = refusal(catalogue=catalogue, other="o" * 20, cpu=1)
    assert "jwt-secret  is the secret of 2 entries" in message
    assert "JWT_SECRET  is the variable of 2 entries" in message
    assert "cpu" in message


@given(st.text(min_size=1, max_size=200))
def test_no_message_ever_holds_a_supplied_value(value: str) -> None:
    marked = "\u2603secret\u2603" + value
    message = refusal("prod", smtpPassword=marked, jwtSecret=marked, cpu=1, databaseHost="a b")
    assert "\u2603" not in message


def test_a_json_secret_of_generated_values_counts_their_lengths() -> None:
    big = JsonSecret("big", {f"K{n}": Generated(f"k{n}", length=4096) for n in range(17)})
    assert "big  has 6" in refusal(catalogue=(*CATALOGUE, big))


@pytest.mark.parametrize("hours", ["0", "03", "23", "/6", "2/12", "*/4"])
def test_schedules_of_secrets_manager_are_taken(hours: str) -> None:
    schedule = f"cron(0 {hours} * * ? *)"
    rotation = parsed(rotation={**ROTATION, "schedule": schedule}).rotation
    assert rotation is not None
    assert rotation.schedule == schedule


def test_a_generation_is_kept_while_the_function_rotates_the_value() -> None:
    # Taken out, it would be another value, put over the rotated one, on the day that the rotation is switched off.
    settings = parsed(rotation=ROTATION, rotations={"dbMasterPassword": 2})
    assert settings.generations == {"dbMasterPassword": 2}
