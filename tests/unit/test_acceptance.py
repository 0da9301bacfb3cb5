"""Who else accepts a value: what the catalogue says, what the plan prints, what is refused with which command."""

from dataclasses import replace

from components.names import Names
from components.value_intent import Change, Record
from components.value_plan import SecretPlan, Value
from config import declarations
from config.declarations import External, Generated, JsonSecret, Partner, Server, Supplied, TextSecret
from config.plan import plan
from tests.unit.test_shipped import APPLICATION

DATABASE = {"server": "Aurora PostgreSQL", "host": "DATABASE_HOST"}
REDIS = {"server": "ElastiCache", "host": "REDIS_HOST"}


def test_the_shipped_catalogue_says_for_each_of_its_values_who_accepts_it() -> None:
    found = plan(APPLICATION, Names("service-ticket-system", "prod"), {})["secrets"]
    assert {
        f"{name} {key}".strip(): part["accepted_by"]
        for name, secret in found.items()
        for key, part in secret["parts"].items()
    } == {
        "db-master-password": DATABASE,
        "db-app-user username": None,
        "db-app-user password": DATABASE,
        "jwt-secret": None,
        "app-config REDIS_PASSWORD": REDIS,
        "app-config SMTP_PASSWORD": {"partner": "the SMTP provider"},
        "app-config CLOUDFLARE_TOKEN": {"partner": "Cloudflare"},
        "app-config ENCRYPTION_KEY": None,
        "app-config WEBHOOK_SECRET": {"partner": "the sender of the webhooks"},
        "app-config API_KEY": None,
    }


def problems(source: Generated | Supplied | External) -> list[declarations.Problem]:
    return declarations.problems(
        [TextSecret("redis-password", source)], project="p", stack="dev", services={"app": ["REDIS_HOST"]}
    )


def test_a_server_is_found_by_a_plain_variable_that_exists() -> None:
    source = Generated("redisPassword", accepted_by=Server("ElastiCache", "REDIS_HOST"))
    assert problems(source) == []
    assert problems(replace(source, accepted_by=Server("ElastiCache", "REDIS"))) == [
        ("redis-password", "is accepted by a server at 'REDIS'", "name the plain variable with its host name")
    ]


def test_an_acceptor_is_a_server_or_a_partner() -> None:
    wrong: declarations.Acceptor = "ElastiCache"  # type: ignore[assignment]
    assert problems(External(accepted_by=wrong)) == [
        ("redis-password", "is accepted by a str", 'Server("name", "VARIABLE") or Partner("name")')
    ]


def test_every_kind_of_source_names_one() -> None:
    for source in (Supplied("key", accepted_by=Partner("Cloudflare")), External(accepted_by=Partner("Cloudflare"))):
        assert declarations.accepted_by(source) == {"partner": "Cloudflare"}
    adopted = declarations.adopted([TextSecret("db", Generated("db", accepted_by=Partner("Cloudflare")))], ["db"])
    assert [declarations.accepted_by(source) for source in adopted[0].sources()] == [{"partner": "Cloudflare"}]
    secret = JsonSecret("users", External(accepted_by=Server("Aurora PostgreSQL", "DATABASE_HOST")))
    assert [declarations.accepted_by(source) for source in secret.sources()] == [DATABASE]


def change(before: Value, after: Value) -> Change:
    def secret(value: Value) -> SecretPlan:
        return SecretPlan("app-config", "p-app-config", values={"REDIS_PASSWORD": value})

    return Change(secret(after), Record.of(secret(before)), "prod")


ONE = Value("generated", "redisPassword", accepted_by=REDIS)
SET = replace(ONE, configured=True)
LAST, OTHER = {"REDIS_PASSWORD": "live"}, {"REDIS_PASSWORD": "another"}


def test_the_next_number_of_a_value_that_a_server_checks_is_refused_unless_nothing_changes() -> None:
    (refusal,) = change(ONE, replace(ONE, number=2)).refusals()
    assert refusal.text.splitlines()[1:] == [
        "  pulumi config set --stack prod --path rotations.redisPassword 1",
        "  python -m ops rotate app-config --key REDIS_PASSWORD --stack prod",
    ]
    assert refusal.unless_live
    assert change(replace(ONE, accepted_by=None), replace(ONE, number=2, accepted_by=None)).refusals() == []


def test_another_configured_value_is_refused_unless_it_is_the_live_one() -> None:
    (refusal,) = change(SET, SET).value_refusals(LAST, OTHER)
    assert refusal.text.splitlines()[1:] == [
        "  python -m ops keep app-config --key REDIS_PASSWORD --stack prod",
        "  python -m ops rotate app-config --key REDIS_PASSWORD --stack prod",
    ]
    assert refusal.unless_live
    assert list(change(ONE, SET).value_refusals(LAST, LAST)) == []
    assert list(change(SET, SET).value_refusals({}, OTHER)) == []  # the first value is for the server to take


def test_a_partner_s_value_is_changed_there_first_and_then_configured() -> None:
    partner = replace(SET, accepted_by={"partner": "Cloudflare"})
    assert list(change(partner, partner).value_refusals(LAST, OTHER)) == []
    made = replace(partner, configured=False)
    (refusal,) = change(made, replace(made, number=2)).refusals()
    assert "Agree on a new value with Cloudflare" in refusal.text
    assert refusal.text.endswith("\n  pulumi config set --stack prod --secret redisPassword")


def test_a_configured_value_that_is_missing_is_not_replaced_by_a_generated_one() -> None:
    (refusal,) = change(SET, ONE).refusals()
    assert "pulumi config set --stack prod --secret redisPassword" in refusal.text
    assert "rotations" not in refusal.text


def test_a_lower_number_of_a_value_that_a_server_checks_has_no_way_back_to_a_value_that_it_refuses() -> None:
    (refusal,) = change(replace(ONE, number=2), ONE).refusals()
    assert refusal.text.endswith("  pulumi config set --stack prod --path rotations.redisPassword 2")
    free = replace(ONE, accepted_by=None)
    (refusal,) = change(replace(free, number=2), free).refusals()
    assert "To restore the previous value" in refusal.text
