"""A secret that somebody else owns: declared, granted with its key, referenced, shown; never created or changed."""

import json
from typing import Any

import pytest

import catalogue
from components.names import Names
from config import declarations
from config.declarations import Application, External, ForeignSecret, Generated, PlainVariable, Service, TextSecret
from config.settings import ConfigurationError, Settings, parse
from tests.unit.conftest import ACCOUNT, REGION, Recorder, Recording, run_program

# As RDS names it. Source: AWS, "Password management with Amazon RDS and AWS Secrets Manager".
RDS = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:rds!cluster-5c6de1ba-8f4a-4c2f-9a2e-0f6f1a2b3c4d-AbCdEf"
RDS_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
PARTNER = "arn:aws:secretsmanager:us-east-1:999988887777:secret:partner/token-GhIjKl"
PARTNER_KEY = "arn:aws:kms:us-east-1:999988887777:key/mrk-0123456789abcdef0123456789abcdef"

APPLICATION = Application(
    services=(Service("api"), Service("worker")),
    secrets=(
        TextSecret("session-key", Generated("sessionKey"), variable="SESSION_KEY", readers={"api", "worker"}),
        ForeignSecret(
            "database",
            "Amazon RDS",
            keys={"username", "password"},
            variables={"username": "DB_USER", "password": "DB_PASSWORD"},
            readers={"api"},
        ),
        ForeignSecret("partner", "team Payments", variable="PARTNER_TOKEN", readers={"api", "worker"}),
    ),
    variables=(PlainVariable("DB_HOST", "dbHost"),),
)
CONFIG: dict[str, Any] = {
    "image": "registry/app:1.0.0",
    "dbHost": "db.internal",
    "foreignSecrets": {"database": RDS, "partner": PARTNER},
    "secretKmsKeys": {"database": RDS_KEY, "partner": PARTNER_KEY},
}
BOTH = {"username", "password"}
APP_USER = declarations.JsonSecret(
    "app-user", {"username": declarations.Constant("app"), "password": Generated("appUserPassword")}
)
ROTATION = {
    "schedule": "cron(0 3 ? * SUN *)",
    "strategy": "alternating-users",
    "secret": "app-user",
    "superuser": "database",
    "hostVariable": "DB_HOST",
    "subnetIds": ["subnet-0123456789abcdef0"],
    "securityGroupIds": ["sg-0123456789abcdef0"],
}


def parsed(application: Application = APPLICATION, region: str = REGION, **config: Any) -> Settings:
    values = {key: json.dumps(v) if isinstance(v, dict) else v for key, v in {**CONFIG, **config}.items()}
    return parse(values, (), application, Names("shop", "dev"), region=region)


def refusal(application: Application = APPLICATION, region: str = REGION, **config: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parsed(application, region, **config)
    return str(caught.value)


def with_entries(*entries: declarations.Entry) -> Application:
    return Application(APPLICATION.services, entries, APPLICATION.variables)


# --- configuration -------------------------------------------------------------------------------------------------------


def test_a_missing_arn_names_the_owner_and_the_command() -> None:
    message = refusal(foreignSecrets={"database": RDS}, secretKmsKeys={})
    assert "foreignSecrets.partner  is required: team Payments owns the secret" in message
    assert "pulumi config set --plaintext --path foreignSecrets.partner ARN" in message


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"foreignSecrets": {"database": RDS[:-7], "partner": PARTNER}}, "foreignSecrets.database  is "),
        ({"foreignSecrets": {"database": RDS + ":password::", "partner": PARTNER}}, "foreignSecrets.database  is "),
        ({"foreignSecrets": {"database": RDS, "partner": RDS}}, "is also the ARN of foreignSecrets.database"),
        (
            {"foreignSecrets": {"database": RDS, "partner": PARTNER, "partners": RDS}},
            "did you mean foreignSecrets.partner?",
        ),
        (
            {"foreignSecrets": {"database": RDS, "partner": PARTNER.replace("arn:aws:", "arn:aws-cn:")}},
            "is in the partition aws-cn",
        ),
        ({"secretKmsKeys": {"partner": RDS_KEY}}, f"secretKmsKeys.partner  is in aws {REGION}"),
        ({"secretKmsKeys": {"partner": PARTNER_KEY.replace("key/", "alias/")}}, "the ARN of a key"),
        ({"secretKmsKeys": {"session-key": RDS_KEY}}, "secretKmsKeys.session-key  is not a known key"),
        (
            {"adopt": {"session-key": PARTNER.replace("token", "x")}},
            "a secret in eu-central-1; declare one elsewhere as a ForeignSecret",
        ),
        ({"adopt": {"session-key": RDS}}, "is also the ARN of adopt.session-key"),
    ],
)
def test_what_cannot_be_meant_is_refused(config: dict[str, Any], found: str) -> None:
    assert found in refusal(**config)


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (
            ForeignSecret("database", "RDS", keys={"password"}, variables={"pasword"}),
            "names pasword in `variables`, which it lacks",
        ),
        (ForeignSecret("database", "RDS", variables={"a:b": "A"}), "references the JSON key 'a:b'"),
        (ForeignSecret("database", "RDS", variable="1ST"), "sets the variable '1ST'"),
        (ForeignSecret("database", "RDS", variable="SESSION_KEY"), "is the variable of 2 entries"),
        (ForeignSecret("database", "RDS", variable="DB_HOST"), "is the variable of 2 entries"),
        (ForeignSecret("database", " ", variable="A"), "has no owner"),
        (ForeignSecret("session-key", "RDS", variable="A"), "is the secret of 2 entries"),
        (ForeignSecret("database", "RDS", variable="A", readers={"app"}), "has the reader 'app'"),
    ],
)
def test_a_wrong_declaration_is_refused(entry: ForeignSecret, found: str) -> None:
    application = with_entries(APPLICATION.secrets[0], entry)
    assert found in refusal(application, foreignSecrets={entry.name: RDS}, secretKmsKeys={})


def test_a_name_that_rds_gives_is_no_name_of_an_own_secret() -> None:
    application = with_entries(TextSecret("rds!db", External(), variable="A"))
    assert "is not a name for a secret" in refusal(application, foreignSecrets={}, secretKmsKeys={})


@pytest.mark.parametrize(
    ("changes", "keys", "found"),
    [
        (
            {"superuser": "partner", "username": "postgres"},
            BOTH,
            "foreignSecrets.partner is in us-east-1, and the rotation signs in with it",
        ),
        ({"username": "postgres"}, BOTH, "rotation.username but database holds the username itself"),
        ({"secret": "database"}, BOTH, "rotation.secret is 'database' must be one of app-user"),
        ({}, {"password"}, "rotation.superuser database holds no username"),
        ({}, (), "rotation.username is required"),
    ],
)
def test_a_superuser_that_could_not_sign_in_is_refused(changes: dict[str, str], keys: Any, found: str) -> None:
    application = with_entries(
        APP_USER,
        ForeignSecret("database", "Amazon RDS", keys=keys),
        APPLICATION.secrets[2],
    )
    assert found in " ".join(refusal(application, rotation={**ROTATION, **changes}).split())


# --- program: its resources and outputs are in test_golden.py, every-kind --------------------------------------------------


@pytest.fixture
def run(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> Any:
    def program(application: Application = APPLICATION, **config: Any) -> Recording:
        monkeypatch.setattr(catalogue, "APPLICATION", application)
        return run_program(record, CONFIG | config, {})

    return program


def statements(recording: Recording, role: str) -> dict[str, Any]:
    policy = recording.one("aws:iam/rolePolicy:RolePolicy", role)
    return {statement["Sid"]: statement for statement in policy.document("policy")["Statement"]}


def test_a_replica_region_is_no_region_of_it(run: Any) -> None:
    recording = run(replicaRegions=["eu-west-1"], grantReplicas=True)
    read = statements(recording, "api-execution-role")["ReadSecrets"]["Resource"]
    assert {arn for arn in read if "rds!" in arn or "partner" in arn} == {RDS, PARTNER}


def test_the_rotation_signs_in_with_it(run: Any) -> None:
    application = with_entries(
        APP_USER,
        ForeignSecret("database", "Amazon RDS", keys={"username", "password"}),
    )
    recording = run(
        application,
        rotation=ROTATION,
        foreignSecrets={"database": RDS},
        secretKmsKeys={"database": RDS_KEY},
        encryption="customer-managed",
    )
    found = statements(recording, "rotation")
    assert found["ReadSuperuser"] == {
        "Sid": "ReadSuperuser",
        "Effect": "Allow",
        "Action": ["secretsmanager:GetSecretValue"],
        "Resource": [RDS],
    }
    assert found["DecryptSecretsEuCentral1"]["Resource"] == [RDS_KEY]
    assert found["UseKey"]["Resource"] != [RDS_KEY]
    function = recording.one("aws:lambda/function:Function")
    assert function.inputs["environment"]["variables"]["SUPERUSER_SECRET_ARN"] == RDS
