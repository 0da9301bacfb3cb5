"""Secrets that the state lost and AWS still has: imported as they are, with generated values read from their versions."""

import json
import runpy
from pathlib import Path
from typing import Any

import pulumi
import pytest

import catalogue
from components.names import Names
from config.declarations import Application, External, Generated, JsonSecret, Restored, Service, Supplied, TextSecret
from config.settings import ConfigurationError, parse
from tests.unit.conftest import ACCOUNT, REGION, Recorder, Recording, Secret

ROOT = Path(__file__).parents[2]
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
SECRET = "aws:secretsmanager/secret:Secret"
PASSWORD = "random:index/randomPassword:RandomPassword"
GET = "aws:secretsmanager/getSecretVersion:getSecretVersion"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
CURRENT, PREVIOUS = "c" * 32, "b" * 32

APPLICATION = Application(
    services=(Service("app"),),
    secrets=(
        JsonSecret(
            "config",
            {"TOKEN": Generated("token", keeps_previous=True), "SMTP": Supplied("smtp"), "ID": Generated("identity")},
            variable="CONFIG",
        ),
    ),
)
LIVE = {"TOKEN": "live-token", "TOKEN_PREVIOUS": "token-before", "SMTP": "smtp-value-0123456789", "ID": "live-id"}


def arn(name: str, project: str = "service-ticket-system") -> str:
    return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{project}-dev-{name}-AbCdEf"


def entry(name: str = "config", **more: Any) -> dict[str, Any]:
    return {"secrets": {name: {"arn": arn(name), "version": CURRENT, **more}}}


@pytest.fixture
def run(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> Any:
    def program(
        restored: dict[str, Any],
        *,
        live: Any = None,
        stages: tuple[str, ...] = ("AWSCURRENT",),
        application: Application = APPLICATION,
        smtp: str = LIVE["SMTP"],
        **config: Any,
    ) -> Recording:
        monkeypatch.setattr(catalogue, "APPLICATION", application)
        text = live if isinstance(live, str) else json.dumps(live or LIVE, sort_keys=True)
        everything = {"image": "registry/app:1.0.0", "restored": restored, **config}
        found = {"secretString": text, "versionStages": list(stages), "versionId": CURRENT}
        return record(
            lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
            stack="dev",
            config={f"service-ticket-system:{key}": value for key, value in everything.items()},
            secret_config={"service-ticket-system:smtp": smtp} if application is APPLICATION else {},
            invokes={GET: found},
        )

    return program


GENERATIONS: dict[str, Any] = {"generations": {"token": 2}}


def test_secret_and_version_are_imported_with_the_live_values(run: Any) -> None:
    recording = run(entry(**GENERATIONS), rotations={"token": 2})
    assert recording.one(SECRET).options.import_id == arn("config")
    version = recording.one(VERSION)
    assert version.options.import_id == f"{arn('config')}|{CURRENT}"
    assert version.inputs["secretString"] == Secret(json.dumps(LIVE, sort_keys=True))


def test_what_a_restored_secret_holds_is_compared_before_anything_of_it_is_made(run: Any) -> None:
    records = {
        stash.name: stash.options.before_create
        for stash in run(entry(**GENERATIONS), rotations={"token": 2}).of("pulumi:index:Stash")
    }
    assert records["secrets-config"] == ("secrets-restored",)
    assert records["secrets"] == ()


def test_a_number_that_is_missing_is_asked_for(run: Any) -> None:
    with pytest.raises(pulumi.RunError, match=r"config: has TOKEN_PREVIOUS") as refused:
        run(entry())
    assert "pulumi config set --path rotations.token NUMBER" in str(refused.value)
    assert not [value for value in LIVE.values() if value in str(refused.value)]


def test_nothing_is_generated_anew(run: Any) -> None:
    # The value before that of `identity`, which nobody needs, is not made either: its generation is 1.
    assert run(entry(**GENERATIONS), rotations={"token": 2}).of(PASSWORD) == []


def test_a_later_generation_is_a_new_random_value_and_no_import(run: Any) -> None:
    recording = run(entry(**GENERATIONS), rotations={"token": 3})
    version = recording.one(VERSION)
    assert version.options.import_id is None
    value = json.loads(version.inputs["secretString"].value)
    assert value["TOKEN_PREVIOUS"] == "live-token"
    assert value["TOKEN"] not in LIVE.values()
    assert (value["ID"], value["SMTP"]) == (LIVE["ID"], LIVE["SMTP"])
    assert [password.name for password in recording.of(PASSWORD)] == ["secrets-token-3"]


def test_another_configured_value_is_put_as_always(run: Any) -> None:
    version = run(entry(**GENERATIONS), rotations={"token": 2}, smtp="another-smtp-value").one(VERSION)
    assert version.options.import_id is None
    assert json.loads(version.inputs["secretString"].value) == LIVE | {"SMTP": "another-smtp-value"}


def test_a_version_that_is_in_use_no_more_is_not_imported(run: Any) -> None:
    version = run(entry(**GENERATIONS), rotations={"token": 2}, stages=("AWSPREVIOUS",)).one(VERSION)
    assert version.options.import_id is None


def test_a_key_that_the_version_lacks_is_generated(run: Any) -> None:
    lacking = {key: value for key, value in LIVE.items() if key != "ID"}
    recording = run(entry(**GENERATIONS), live=lacking, rotations={"token": 2})
    value = json.loads(recording.one(VERSION).inputs["secretString"].value)
    assert recording.one(VERSION).options.import_id is None
    assert {key: value[key] for key in lacking} == lacking
    assert [password.name for password in recording.of(PASSWORD)] == ["secrets-identity-1"]


def test_a_text_comes_back_with_the_version_before(run: Any) -> None:
    application = Application(
        services=(Service("app"),),
        secrets=(TextSecret("session", Generated("session", keeps_previous=True), variable="SESSION"),),
    )
    restored = entry("session", previous=PREVIOUS, generations={"session": 2})
    recording = run(restored, live="live-session", application=application, rotations={"session": 2})
    imports = {version.name: version.options.import_id for version in recording.of(VERSION)}
    assert imports == {
        "secrets-session-previous-value": f"{arn('session')}|{PREVIOUS}",
        "secrets-session-value": f"{arn('session')}|{CURRENT}",
    }
    assert recording.of(PASSWORD) == []


def test_an_external_secret_is_imported_without_its_value(run: Any) -> None:
    application = Application((Service("app"),), (TextSecret("licence", External(), variable="LICENCE"),))
    recording = run(entry("licence"), application=application)
    assert recording.one(SECRET).options.import_id == arn("licence")
    assert recording.of(VERSION) == []
    assert GET not in {token for token, _ in recording.invokes}


def test_the_key_is_imported(run: Any) -> None:
    recording = run(entry(**GENERATIONS) | {"key": KEY}, rotations={"token": 2}, encryption="customer-managed")
    assert recording.one("aws:kms/key:Key").options.import_id == KEY.rpartition("/")[2]


@pytest.mark.parametrize(
    ("restored", "found"),
    [
        ({"secrets": {"config": {"version": CURRENT}}}, "restored.secrets.config.arn  is required"),
        ({"secrets": {"config": {"arn": arn("other")}}}, "is no secret of this name"),
        ({"secrets": {"config": {"arn": arn("config", "shop")}}}, "is no secret of this name"),
        ({"secrets": {"config": {"arn": arn("config"), "version": "1"}}}, "the id of a secret's version"),
        ({"secrets": {"confg": {"arn": arn("config")}}}, "did you mean restored.secrets.config?"),
        (entry(generations={"smtp": 2}), "restored.secrets.config.generations.smtp  is not a known key"),
        (entry() | {"key": KEY}, "restored.key  needs encryption customer-managed"),
        (entry() | {"key": "alias/own"}, "the ARN of a key"),
    ],
)
def test_what_cannot_be_taken_over_is_refused(restored: dict[str, Any], found: str) -> None:
    raw = {"image": "registry/app:1.0.0", "smtp": LIVE["SMTP"], "restored": json.dumps(restored)}
    with pytest.raises(ConfigurationError) as caught:
        parse(raw, {"smtp"}, APPLICATION, Names("service-ticket-system", "dev"), region=REGION)
    assert found in str(caught.value)


def test_a_restored_secret_is_no_adopted_one() -> None:
    raw = {
        "image": "registry/app:1.0.0",
        "restored": json.dumps(entry()),
        "adopt": json.dumps({"config": arn("config")}),
    }
    with pytest.raises(ConfigurationError, match=r"adopt\.config or restored\.secrets\.config, not both"):
        parse(raw, (), APPLICATION, Names("service-ticket-system", "dev"), region=REGION)


def test_the_defaults_are_generation_one_and_no_version() -> None:
    raw = {"image": "registry/app:1.0.0", "smtp": LIVE["SMTP"]}
    raw["restored"] = json.dumps({"secrets": {"config": {"arn": arn("config")}}})
    settings = parse(raw, {"smtp"}, APPLICATION, Names("service-ticket-system", "dev"), region=REGION)
    assert settings.restored == {"config": Restored(arn("config"))}
