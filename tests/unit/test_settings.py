"""settings.parse: what a configuration means, and what a wrong one is answered."""

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalogue import APPLICATION, CATALOGUE
from components.engines import ENGINES, Engine
from components.limits import FARGATE_MEMORY
from components.names import Names
from config import declarations, keys
from config.declarations import (
    Application,
    Entry,
    Generated,
    JsonSecret,
    PlainVariable,
    Service,
    Supplied,
    TextSecret,
)
from config.reader import Reader
from config.settings import ConfigurationError, Settings, parse
from tests.sandbox.stack_options import ALTERNATING
from tests.sandbox.stack_options import SINGLE_USER as ROTATION

ROOT = Path(__file__).parents[2]
SUPPLIED = {"smtpPassword": "smtp-value-0123456789", "cloudflareToken": "token-value-0123456789"}
VALID = {"image": "registry/app:1.0.0", "databaseHost": "db.internal", "redisHost": "redis.internal", **SUPPLIED}
SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:jwt-AbCdEf"


AGENT = {"image": "public.ecr.aws/datadog/agent:7", "environment": {"DD_ENV": "dev"}, "memory": 128, "essential": False}
BIG = JsonSecret("big", {f"K{n}": Generated(f"k{n}", length=4096) for n in range(17)})


def agent(**fields: Any) -> dict[str, Any]:
    return {"sidecars": {"agent": AGENT | fields}}


def parsed(
    stack: str = "dev",
    *,
    catalogue: Sequence[Entry] | None = None,
    plain: tuple[str, ...] = (),
    encrypted: Sequence[str] = (),
    region: str | None = None,
    services: tuple[str, ...] = (),
    services_: Mapping[str, Any] | None = None,
    **config: Any,
) -> Settings:
    config |= {"services": services_} if services_ else {}
    values = {key: json.dumps(v) if isinstance(v, list | dict) else v for key, v in {**VALID, **config}.items()}
    application = APPLICATION if catalogue is None else replace(APPLICATION, secrets=catalogue, in_stack={})
    if services:
        entries = tuple(replace(entry, readers=services) for entry in application.secrets)
        application = replace(application, services=tuple(Service(name) for name in services), secrets=entries)
    secret = {*declarations.secret_config_keys(application.every_secret()), *encrypted} - set(plain)
    return parse(values, secret, application, Names("service-ticket-system", stack), region=region)


def refusal(stack: str = "dev", **config: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parsed(stack, **config)
    return str(caught.value)


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
        ({"redisHost": "-redis.internal"}, "redisHost  is not a host name"),
        ({"cpu": 256, "memory": 4096}, "cpu  256 with memory 4096  memory for 256 is 512, 1024 or 2048"),
        ({"cpu": 300}, "cpu  is 300  one of 256, 512, 1024"),
        ({"containerPort": 0}, "containerPort  is 0  must be 1 to 65535"),
        ({"cpuArchitecture": "arm"}, "cpuArchitecture  is 'arm'  must be one of X86_64, ARM64"),
        ({"logRetentionInDays": 31}, "logRetentionInDays  is 31  must be days that CloudWatch Logs takes"),
        ({"recoveryWindowInDays": 1}, "recoveryWindowInDays  is 1  must be 0 (delete at once) or 7 to 30 days"),
        ({"recoveryWindowInDays": 6}, "recoveryWindowInDays  is 6"),
        ({"recoveryWindowInDays": 31}, "recoveryWindowInDays  is 31"),
        ({"recoveryWindowInDays": -7}, "recoveryWindowInDays  is -7"),
        ({"image": "registry/app:-tag"}, "image  is not an image name"),
        ({"image": "Registry/App:1"}, "image  is not an image name"),
        ({"audit": {"trail": "create", "logGroupName": "x"}}, "audit.logGroupName  is set with trail create"),
        ({"encryption": "none"}, "encryption  is 'none'  must be one of aws-managed, customer-managed"),
        ({"replicaRegions": ["frankfurt"]}, "replicaRegions  is 'frankfurt'  a Region such as eu-west-1"),
        ({"replicaKmsKeys": {"eu-west-1": "arn"}}, "replicaKmsKeys.eu-west-1  is not in replicaRegions"),
        (
            {"replicaRegions": ["eu-west-1"], "replicaKmsKeys": {"eu-west-1": "alias/mine"}},
            "replicaKmsKeys.eu-west-1  is not a key in that Region",
        ),
        (
            {
                "replicaRegions": ["eu-west-1"],
                "replicaKmsKeys": {"eu-west-1": "arn:aws:kms:eu-central-1:111111111111:key/0-1"},
            },
            "replicaKmsKeys.eu-west-1  is not a key in that Region  arn:...:kms:eu-west-1:ACCOUNT:key/ID",
        ),
        (
            {"region": "eu-central-1", "replicaRegions": ["eu-central-1"]},
            "replicaRegions  holds eu-central-1, where the secrets are",
        ),
        ({"grantReplicas": True}, "grantReplicas  needs replicaRegions"),
        ({"permissionsBoundary": "boundary"}, "permissionsBoundary  is 'boundary'  the ARN of a managed policy"),
        ({"environment": {"1A": "x"}}, "environment.1A  is not a variable name"),
        ({"environment": {"A": None}}, "environment.A  is neither text nor a whole number"),
        ({"environment": {"STRIPE_TOKEN": "x"}}, "environment.STRIPE_TOKEN  looks like a secret"),
        ({"environment": {"AWS_SECRET_ACCESS_KEY": "x"}}, "environment.AWS_SECRET_ACCESS_KEY  looks like a secret"),
        (
            {"environment": {"DATABASE_URL": "postgres://u:pw@h/db"}},
            "environment.DATABASE_URL  holds a password in a URL",
        ),
        ({"environment": {"SMTP_PASS": "x"}}, "environment.SMTP_PASS  looks like a secret"),
        ({"environment": {"STRIPE": "sk_live_" + "4eC3" * 6}}, "environment.STRIPE  holds an access key or a token"),
        ({"environment": {"ID": "AKIA" + "IOSFODNN7EXAMPLE"}}, "environment.ID  holds an access key or a token"),
        ({"environment": {"GH": "ghp_" + "a1B2" * 9}}, "environment.GH  holds an access key or a token"),
        ({"environment": {"JWT_SECRET_PREVIOUS": "x"}}, "JWT_SECRET_PREVIOUS  is the variable of 2 entries"),
        ({"environment": {"REDIS_HOST": "x"}}, "environment.REDIS_HOST  is declared in catalogue.py  redisHost"),
        ({"environment": {"APP_CONFIG": "x"}}, "APP_CONFIG  is the variable of 2 entries"),
        ({"databseHost": "x"}, "databseHost  is not a known key  did you mean databaseHost?"),
        ({"rotations": {"apikey": 2}}, "rotations.apikey  is not a known key  did you mean rotations.apiKey?"),
        ({"rotations": {"apiKey": 0}}, "rotations.apiKey  is 0"),
        (
            {"rotation": {"strategy": "both"}},
            "rotation.strategy  is 'both'  must be one of single-user, alternating-users",
        ),
        ({"rotation": {**ROTATION, "schedule": "rate(7 days)"}}, "rotation.schedule  is 'rate(7 days)'"),
        ({"rotation": {**ROTATION, "schedule": "cron(0 3 99 FOO ? *)"}}, "a month: 1 to 12 or JAN to DEC"),
        ({"rotation": {**ROTATION, "duration": "22h"}}, "rotation.duration  is '22h'  at most 21h"),
        (
            {"rotation": {**ROTATION, "engine": "oracle"}},
            f"rotation.engine  is 'oracle'  must be one of {', '.join(ENGINES)}",
        ),
        ({"rotation": {**ROTATION, "subnetIds": []}}, "rotation.subnetIds  is required"),
        ({"rotation": {**ROTATION, "username": ""}}, "rotation.username  is required  the user whose password"),
        (
            {"rotation": {**ROTATION, "strategy": "alternating-users", "superuser": "jwt-secret"}},
            "rotation.secret  db-master-password holds no username",
        ),
        ({"rotation": {**ROTATION, "secret": "app-config"}}, "rotation.secret  app-config is a JSON"),
        ({"rotation": {**ROTATION, "secret": "db-app-user"}}, "rotation.secret  is 'db-app-user'  must be one of"),
        (
            {"rotation": {**ROTATION, "hostVariable": "DB_HOST"}},
            "rotation.hostVariable  is 'DB_HOST'  must be one of DATABASE_HOST",
        ),
        (
            {"stack": "prod", "rotation": {**ALTERNATING, "superuser": "db-app-user"}},
            "rotation.superuser  is the secret that rotates",
        ),
        ({"services_": {"worker": {"cpu": 512}}}, "services.worker  is not a known key"),
        (
            {"services_": {"app": {"cpus": 512}}},
            "services.app.cpus  is not a known key  did you mean services.app.cpu?",
        ),
        ({"services_": {"app": {"cpu": 512, "memory": 512}}}, "services.app.cpu  512 with memory 512"),
        ({"dbAppUserPassword": "p" * 20}, "dbAppUserPassword  belongs to a secret that this stack does not have"),
        ({"rotation": {**ROTATION, "superuser": "jwt-secret"}}, "rotation.superuser  is not a known key"),
        ({"rotation": {**ROTATION, "shedule": "x"}}, "did you mean rotation.schedule?"),
        (
            {"stack": "prod", "rotation": {**ALTERNATING, "grants": ["ALL ON DATABASE tickets"]}},
            "rotation.grants  grants 'ALL' on DATABASE; allowed: CONNECT, CREATE, TEMPORARY  such as",
        ),
        (
            {"rotation": {**ROTATION, "grants": ["CONNECT ON DATABASE tickets"]}},
            "rotation.grants  is set together with single-user",
        ),
        (
            {"rotation": {**ROTATION, "certificateBundle": "no.pem"}},
            "rotation.certificateBundle  'no.pem' is not a file",
        ),
        ({"redeploy": {"cluster": "main"}}, "redeploy.services  is required  the ECS service's name by service: app"),
        ({"redeploy": {"cluster": "main", "services": {"web": "w"}}}, "redeploy.services.web  is not a known key"),
        ({"redeploy": {"cluster": "a/b", "services": {"app": "web"}}}, "redeploy.cluster  is 'a/b'"),
        ({"audit": {"trail": "existing"}}, "audit.logGroupName  is required"),
        ({"audit": {"trail": "existing", "logGroupName": "a b"}}, "audit.logGroupName  is 'a b'  a log group's name"),
        ({"audit": {"alarmEmails": ["nobody"]}}, "audit.alarmEmails  is 'nobody'  an e-mail address"),
        ({"audit": {"trustedReaders": ["*"]}}, "audit.trustedReaders  is '*'"),
        ({"restrictReaders": True}, "breakGlassRoles  is required by restrictReaders"),
        (
            {"restrictReaders": True, "breakGlassRoles": ["arn:aws:iam::111122223333:role/admin"]},
            '1 configuration problem in stack "dev": deployerRoles  is required by restrictReaders',
        ),
        (
            {"restrictReaders": True, "deployerRoles": ["arn:aws:iam::111122223333:role/admin"]},
            '1 configuration problem in stack "dev": breakGlassRoles  is required by restrictReaders',
        ),
        ({"adopt": {"jwt-secret": "jwt"}}, "adopt.jwt-secret  is 'jwt'  the whole ARN of a secret"),
        ({"adopt": {"jwt-secrets": "x"}}, "did you mean adopt.jwt-secret?"),
        (
            {"adopt": {"jwt-secret": SECRET_ARN}, "rotations": {"jwtSecret": 2}},
            "rotations.jwtSecret  belongs to an adopted secret: its value is not generated here  python -m ops set NAME",
        ),
        (
            {"adopt": {"jwt-secret": SECRET_ARN}, "jwtSecret": "j" * 40},
            "jwtSecret  is set, but its secret is adopted and keeps its value  pulumi config rm jwtSecret",
        ),
        (
            {"adopt": {"jwt-secret": SECRET_ARN, "db-master-password": SECRET_ARN}},
            "adopt.jwt-secret  is also the ARN of adopt.db-master-password",
        ),
        ({"smtpPassword": None}, "smtpPassword  is required  pulumi config set --secret smtpPassword"),
        ({"cloudflareToken": ""}, "cloudflareToken  is required  pulumi config set --secret cloudflareToken"),
        ({"logMode": "never"}, "logMode  is 'never'"),
        (
            {"catalogue": (*CATALOGUE, TextSecret("pager", Generated("image")))},
            "image  is both a setting's key and a secret's",
        ),
        ({"catalogue": (*CATALOGUE, BIG)}, "big  has 6"),
        (
            {"catalogue": CATALOGUE[:1]},
            "no entry of catalogue.py uses it: restore the entry, or pulumi config rm cloudflareToken",
        ),
        (
            {"rotations": {"paymentKey": 2}},
            "webhookSecret; or pulumi config rm --path rotations.paymentKey",
        ),
        (
            {"environment": {"A": "b"}, "encrypted": ["environment"]},
            "environment  is not allowed (encrypted, so not shown)",
        ),
        ({"healthCheck": {"command": ["curl"]}}, "healthCheck.command  is ['curl']"),
        ({"healthCheck": {"command": ["CMD"]}}, "healthCheck.command  is ['CMD']"),
        ({"healthCheck": {"command": ["CMD", "true"], "timeout": 61}}, "healthCheck.timeout  is 61"),
        ({"healthCheck": {"command": ["CMD", "true"], "startPeriode": 1}}, "healthCheck.startPeriode"),
        ({"sidecars": {"agent": {}}}, "sidecars.agent  has no image"),
        ({"sidecars": {"agent": "agent:7"}}, "sidecars.agent  is not an object"),
        ({"sidecars": {"agent": {"image": "agent"}}}, "sidecars.agent.image  has no tag"),
        ({"sidecars": {"the agent": AGENT}}, "sidecars.the agent  is 'the agent'"),
        ({"sidecars": {"app": AGENT}}, "sidecars.app  is the name of the service's own container"),
        (agent(environment={"DD_API_KEY": "x"}), "sidecars.agent.environment.DD_API_KEY  looks like a secret"),
        (agent(secrets=[{"name": "A", "valueFrom": "b"}]), "sidecars.agent.secrets  is not for a sidecar"),
        (agent(privileged=True), "sidecars.agent.privileged  is not for a sidecar  Fargate has none"),
        (agent(command="run"), "sidecars.agent.command  is not an array"),
        (agent(essentials=True), "did you mean sidecars.agent.essential?"),
        (agent(memory=512), "is 512 MiB of the task's 512"),
        (agent(dependsOn=[{"containerName": "db"}]), "sidecars.agent.dependsOn  names 'db'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(config: Mapping[str, Any], said: str) -> None:
    message = " ".join(refusal(**config).split())
    assert " ".join(said.split()) in message


def test_a_secret_in_the_clear_is_refused_without_being_quoted() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed(jwtSecret="hunter2-hunter2-hunter2", plain=("jwtSecret",))
    assert "jwtSecret  is set without --secret  pulumi config set --secret jwtSecret" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["changeme", "your-smtp-password", "CHANGE_ME", "<smtp password>", "${SMTP}", "xxxxxxxxxxxxxxxxxxxx"]
)
def test_a_protected_stack_refuses_placeholders(value: str) -> None:
    message = refusal(protect=True, smtpPassword=value)
    assert "smtpPassword  looks like a placeholder" in message
    assert value not in message.replace("smtpPassword", "")


def test_the_reads_expected_are_twenty_starting_tasks_one_for_every_entry_under_secrets() -> None:
    more = (*CATALOGUE, TextSecret("token", Generated("token"), variable="TOKEN"))
    for catalogue in (CATALOGUE, more):
        entries = sum(1 for declaration in catalogue for _ in declaration.references())
        audit = parsed(catalogue=catalogue, audit={"trail": "create"}).audit
        assert audit
        assert audit.expected_reads_per_hour == 20 * entries


def test_a_protected_stack_refuses_short_values() -> None:
    message = refusal(protect=True, smtpPassword="fifteen-chars-x")
    assert "smtpPassword  has fewer than 16 characters" in message
    assert "fifteen-chars-x" not in message
    assert parsed(protect=True, smtpPassword="sixteen-chars-xy").values["smtpPassword"] == "sixteen-chars-xy"


def test_an_unprotected_stack_takes_short_values_whatever_its_name() -> None:
    assert parsed("production", smtpPassword="short").values["smtpPassword"] == "short"


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
        "  cpu           256 with memory 4096  memory for 256 is 512, 1024 or 2048",
        "  smtpPassword  is required           pulumi config set --secret smtpPassword",
    ]


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        (
            "dev.test",
            "stack  has a name that AWS accepts neither for an alias nor for a topic  letters, digits, _ and -",
        ),
        ("s" * 24, "stack  has a name of 24 characters  at most 23"),
    ],
)
def test_a_stack_whose_name_aws_would_refuse_half_way_is_refused(stack: str, said: str) -> None:
    assert said in refusal(stack)
    assert parsed("s" * 23).names.prefix == "service-ticket-system-" + "s" * 23


def test_an_unknown_key_is_named_when_it_is_encrypted_too() -> None:
    with pytest.raises(ConfigurationError, match=r"databseHost +is not a known key +did you mean databaseHost\?"):
        parse({**VALID, "databseHost": "x"}, ("databseHost", *SUPPLIED), APPLICATION, Names("p", "dev"))


def test_booleans_and_numbers_among_plain_variables_become_text() -> None:
    environment = parsed(environment={"DEBUG": True, "WORKERS": 4}).services["app"].environment
    assert (environment["DEBUG"], environment["WORKERS"]) == ("true", "4")


@pytest.mark.parametrize("project", ["", "tests/applications/tickets", "tests/applications/shop"])
def test_pulumi_yaml_declares_the_keys_of_the_table(project: str) -> None:
    text = (ROOT / project / "Pulumi.yaml").read_text(encoding="utf-8")
    assert text.endswith(keys.declarations()), "python -m config.keys writes it"
    declared = yaml.safe_load(text)["config"]
    assert list(declared) == [key.name for key in keys.KEYS if not key.section]


@pytest.mark.parametrize(
    ("key", "lowest", "highest"),
    [
        ("containerPort", 1, 65_535),
        ("rotation.port", 1, 65_535),
        ("recoveryWindowInDays", 0, 30),
        ("audit.expectedReadsPerHour", 1, 999_999),
    ],
)
def test_the_bounds_of_a_number_are_those_of_its_rule(key: str, lowest: int, highest: int) -> None:
    allowed = keys.BY_NAME[key].allowed
    assert (min(allowed), max(allowed)) == (lowest, highest)
    assert {str(lowest), str(highest)} <= {*re.findall(r"\d+", keys.BY_NAME[key].rule)}


def test_the_page_follows_from_the_table() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == keys.page()


def test_every_declared_key_is_read_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    known: set[str] = set()

    def note(reader: Reader) -> None:
        known.update(reader.asked)
        for name, section in reader._sections.items():
            known.update(f"{name}.{key}" for key in section.asked if name in {"rotation", "redeploy", "audit"})

    monkeypatch.setattr(Reader, "reject_unknown", note)
    application = Application(
        (Service("app"),), (TextSecret("key", Generated("theSecret")),), (PlainVariable("HOST", "theHost"),)
    )
    sections = {
        "rotation": {**ROTATION, "strategy": "alternating-users"},
        "redeploy": {"cluster": "c", "services": {"app": "s"}},
        "audit": {"trail": "create"},
    }
    with contextlib.suppress(ConfigurationError):
        parse({"image": "registry/app:1.0.0", "theHost": "db.internal", **sections}, (), application, Names("t", "dev"))
    assert known - {"theSecret", "theHost"} == set(keys.BY_NAME)


def test_values_are_kept_out_of_repr() -> None:
    assert SUPPLIED["smtpPassword"] not in repr(parsed())


def test_the_sizes_are_those_of_awss_table() -> None:
    """Least, most and number of sizes. Source: AWS, "Amazon ECS task definition parameters for Fargate", task size."""
    assert {cpu: (min(sizes), max(sizes), len(sizes)) for cpu, sizes in FARGATE_MEMORY.items()} == {
        256: (512, 2048, 3),
        512: (1024, 4096, 4),
        1024: (2048, 8192, 7),
        2048: (4096, 16384, 13),
        4096: (8192, 30720, 23),
        8192: (16384, 61440, 12),
        16384: (32768, 122880, 12),
    }


@pytest.mark.parametrize(
    ("cpu", "memory"), [(cpu, memory) for cpu, sizes in FARGATE_MEMORY.items() for memory in sizes]
)
def test_every_size_that_fargate_takes_is_taken(cpu: int, memory: int) -> None:
    number, text = parsed(cpu=cpu, memory=memory), parsed(cpu=str(cpu), memory=str(memory))
    assert (number.services["app"].cpu, text.services["app"].memory) == (cpu, memory)


@pytest.mark.parametrize(("name", "engine"), ENGINES.items())
def test_the_port_and_the_database_are_the_engines_unless_they_are_given(name: str, engine: Engine) -> None:
    default = parsed(rotation={**ROTATION, "engine": name}).rotation
    assert default
    assert (default.engine, default.port, default.dbname) == (name, engine.port, engine.database)
    given = parsed(rotation={**ROTATION, "engine": name, "port": 6000, "dbname": "tickets"}).rotation
    assert given
    assert (given.engine, given.port, given.dbname) == (name, 6000, "tickets")


def test_a_services_own_keys_go_over_the_common_ones() -> None:
    own = {"worker": {"cpu": 1024, "memory": 2048, "command": ["node", "worker.js"], "environment": {"QUEUE": "mail"}}}
    settings = parsed(services=("web", "worker"), environment={"LOG_LEVEL": "info", "QUEUE": "none"}, services_=own)
    web, worker = settings.services["web"], settings.services["worker"]
    assert (web.cpu, web.command, web.environment["QUEUE"]) == (256, (), "none")
    assert (worker.cpu, worker.memory, worker.command) == (1024, 2048, ("node", "worker.js"))
    assert (worker.environment["QUEUE"], worker.environment["LOG_LEVEL"], worker.image) == ("mail", "info", web.image)


def test_a_health_check_has_its_own_numbers() -> None:
    check = {"command": ["CMD", "true"], "interval": 31, "timeout": 6, "retries": 4}
    found = parsed(healthCheck={**check, "startPeriod": 7}).services["app"].health_check
    assert found == {**check, "command": ("CMD", "true"), "start_period": 7}


def test_a_plain_variable_that_is_encrypted_is_refused_everywhere() -> None:
    assert "sidecars.agent.environment" in refusal(sidecars={"agent": AGENT}, encrypted=["sidecars"])
    services = {"app": {"environment": {"A": "b"}}}
    assert "services.app.environment" in refusal(services_=services, encrypted=["services"])


def test_every_service_may_have_an_image_of_its_own() -> None:
    images = {"web": {"image": "web:1"}, "worker": {"image": "worker:1"}}
    settings = parsed(services=("web", "worker"), image="", services_=images)
    assert {name: service.image for name, service in settings.services.items()} == {
        "web": "web:1",
        "worker": "worker:1",
    }


def test_problems_of_the_catalogue_are_reported_with_those_of_the_configuration() -> None:
    catalogue = (*CATALOGUE, TextSecret("jwt-secret", Supplied("other"), variable="JWT_SECRET"))
    message = refusal(catalogue=catalogue, other="o" * 20, cpu=1)
    assert "jwt-secret  is the secret of 2 entries" in message
    assert "JWT_SECRET  is the variable of 2 entries" in message
    assert "cpu" in message


@given(st.text(min_size=1, max_size=200))
def test_no_message_ever_holds_a_supplied_value(value: str) -> None:
    marked = "\u2603secret\u2603" + value
    message = refusal(protect=True, smtpPassword=marked, jwtSecret=marked, cpu=1, databaseHost="a b")
    assert "\u2603" not in message


def test_a_generation_is_kept_while_the_function_rotates_the_value() -> None:
    # Taken out, it would be another value, put over the rotated one, on the day that the rotation is switched off.
    assert parsed(rotations={"apiKey": 1}).generations == {"apiKey": 1}
    settings = parsed(rotation=ROTATION, rotations={"dbMasterPassword": 2})
    assert settings.generations == {"dbMasterPassword": 2}
