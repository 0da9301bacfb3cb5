"""What counts as a secret in a task definition."""

import json

import pytest

from catalogue import APPLICATION
from components.names import Names
from config import settings
from ops._detect import why_refused, why_secret, why_text_is_secret
from ops._json import json_object

NAMES = (
    "DB_PASSWORD_RO", "JWT_SECRET_OLD", "API_KEY_2", "TOKEN_V2", "STRIPE_KEY", "SALT", "APIKEY", "REDIS_PWD", "AUTH_OLD",
    "TOKEN_URL_KEY", "dbPassword", "DBPassword1", "spring.datasource.password", "x-api-key", "clientSecretOld",
)  # fmt: skip
SECRETS = {
    **dict.fromkeys(NAMES, ("hunter2", "name of a secret")),
    "AWS_KEY": ("AKIAIOSFODNN7" + "EXAMPLE", "known format: AWS Access Key"),
    "GITHUB": ("ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8", "known format: GitHub Token"),
    "PAYMENTS": ("sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc", "known format: Stripe Access Key"),
    "SESSION": (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "known format: JSON Web Token",
    ),
    "PEM": ("-----BEGIN RSA PRIVATE" + " KEY-----", "known format: Private Key"),
    "DATABASE_URL": ("postgres://app:sup3rs3cret@db.internal:5432/tickets", "known format: Basic Auth Credentials"),
    "CACHE_URL": ("redis://:hunter2xyz@redis:6379", "URL with a password"),
    "SMTP_PASS": ("abc12345", "name of a secret"),
    "smtp_password": ("Sommer2024!", "name of a secret"),
    "WEBHOOK_SIGNING_KEY": ("two words", "name of a secret"),
    "FINGERPRINT": ("Xk29_fLq0-Zt7WvB3mNs8RyUe5CgJh1A", "random as a key"),
    "CHECKSUM_SEED": ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "random as a key"),
    "CLOUD": ("v1.0-e24fd090c02efcfecb4de8f4ff246fd5c75b48946fdf0ce26c59f91d", "random as a key"),
    "PASSWORDS": ("one,two", "name of a secret"),
    "SECRET_ID": ("2b1f0a54-7a3a-4d29-8a10-0a7e94c7b1a2", "name of a secret"),
    "SESSION_KEY": ("keyboard cat", "name of a secret"),
    "COOKIE_KEYS": ("one,two", "name of a secret"),
    "AUTH": ("Basic dXNlcjpwYXNzd29yZA==", "known format: HTTP Credentials"),
    "UPSTREAM": ("bearer 0123456789abcdef", "known format: HTTP Credentials"),
    "PRIV": ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "known format: Private Key"),
    "EC": ("MHcCAQEEIIGHAgEAMBMGByqGSM49AgEG", "known format: Private Key"),
    "MIRRORS": ("redis://a, amqp://user@corp:pw12@b", "URL with a password"),
    "JAVA_OPTS": ("-Xmx1g -Dspring.datasource.password=hunter2", "sets spring.datasource.password"),
    "LIBPQ": ("host=db user=app password=hunter2", "sets password"),
    "SQL": ("Server=db;User Id=app;Password=hunter2;Encrypt=true", "sets Password"),
    "MAPS": ("https://maps.example.com/v1?zoom=3&key=hunter2", "sets key"),
    "SETTINGS": ('{"db": {"replicas": [{"host": "b", "password": "hunter2"}]}}', "sets password"),
}
PLAIN = {
    "NODE_ENV": "production",
    "LOG_LEVEL": "info",
    "PORT": "3000",
    "TLS": "true",
    "TOKEN_TTL": "3600",
    "PASSWORD": "",
    "PASSWORD_MIN_LENGTH": "12",
    "USE_API_KEY": "false",
    "TZ": "Europe/Berlin",
    "DATABASE_HOST": "ticketing-dev.cluster-c1a2b3c4d5e6.eu-central-1.rds.amazonaws.com",
    "CORS_ORIGINS": "https://a.example.com,https://b.example.com",
    "TENANT": "2b1f0a54-7a3a-4d29-8a10-0a7e94c7b1a2",
    "TOPIC": "arn:aws:sns:eu-west-1:123456789012:service-ticket-events",
    "CA": "/usr/local/share/ca-certificates/company-root",
    "BUCKET": "service-ticket-system-attachments-prod-eu-west-1",
    "SIDECAR": "registry.example.com/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b9f86d081884c7d659a2feaa0",
    "FEATURES": '{"search": true, "export": false}',
    "PRICE_KEY": "basic",
    "KEY_PREFIX": "tickets:",
    "SECRET_NAME": "ticketing/dev/jwt-secret",
    "SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ticketing-jwt-AbCdEf",
    "AWS_ACCESS_KEY_ID": "local",
    "KMS_KEY_ID": "2b1f0a54-7a3a-4d29-8a10-0a7e94c7b1a2",
    "PUBLIC_KEY": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9\n"
    "-----END PUBLIC KEY-----",
    "KEYSPACE": "tickets",
    "MONKEY": "banana",
    "AUTHOR": "ada",
    "AUTH_URL": "https://login.example.com/authorize",
    "AUTH_METHOD": "oidc",
    "AUTH0_CLIENT_ID": "tickets",
    "PASSENGER": "first class",
    "PASSWORD_FILE": "/run/secrets/db",
    "TOKENIZERS_PARALLELISM": "sequential",
    "COMPASS": "north",
    "MAX_TOKENS": "4096",
    "TOKEN_EXPIRES_IN": "15m",
    "OPTIONS": "tls=true,token=false,password-min-length=twelve,secret=$SECRET",
    "JVM": "-Xmx1g -Dspring.profiles.active=prod",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found_and_never_quoted(name: str) -> None:
    value, reason = SECRETS[name]
    found = why_secret(name, value) or ""
    assert reason in found
    assert value not in found


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_value_is_no_secret(name: str) -> None:
    assert why_secret(name, PLAIN[name]) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("node server.js --port 3000", None),
        ('sh -c "export DB_PASSWORD=hunter2hunter2; node x"', "sets DB_PASSWORD"),
        ("app --api-key=abcdef", "sets api-key"),
        ("app --password=$PW", None),
        ("psql postgres://u:pw1234@h/db", "known format: Basic Auth Credentials"),
        ("redis-cli -u redis://:pw1234@h/0", "URL with a password"),
        ("com.example.owner=tickets", None),
    ],
)
def test_a_command_or_label_with_a_secret_is_found(text: str, reason: str | None) -> None:
    found = why_text_is_secret(text)
    assert (found is None) if reason is None else (reason in (found or ""))


def test_deeply_nested_json_is_no_object() -> None:
    assert json_object('{"a":' * 100_000) is None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("LOG_LEVEL", "info", None),
        ("dot.ted", "x", "has no name"),
        ("EXT[1", "x", "has no name"),
        (" sp ace", "x", "has no name"),
        ("1ST", "x", "has no name"),
        ("USE_API_KEY", "false", "a name that the program rejects"),
        ("DB", "see postgres://app:pw@db/x", "URL with a password"),
    ],
)
def test_what_the_program_refuses_is_known_before(name: str, value: str, reason: str | None) -> None:
    found = why_refused(name, value)
    assert (found is None) if reason is None else (reason in (found or ""))
    assert _program_refuses(name, value) == (reason is not None)


def _program_refuses(name: str, value: str) -> bool:
    needed = {"image": "app:1", "databaseHost": "db", "redisHost": "redis", "environment": json.dumps({name: value})}
    secret = dict.fromkeys(("smtpPassword", "cloudflareToken"), "a-value")
    try:
        settings.parse({**needed, **secret}, set(secret), APPLICATION, Names("p", "dev"))
    except settings.ConfigurationError:
        return True
    return False
