"""Which secrets exist. To add one, add an entry to CATALOGUE: creation, grants, container and outputs follow from it."""

from dataclasses import replace

from model.declarations import Catalogue, Constant, Generated, JsonSecret, Supplied, TextSecret

CATALOGUE: Catalogue = (
    TextSecret("db-master-password", Generated("dbMasterPassword"), variable="DB_PASSWORD"),
    TextSecret("jwt-secret", Generated("jwtSecret", length=64, keeps_previous=True), variable="JWT_SECRET"),
    JsonSecret(
        "app-config",
        {
            "REDIS_PASSWORD": Generated("redisPassword"),
            "SMTP_PASSWORD": Supplied("smtpPassword"),
            "CLOUDFLARE_TOKEN": Supplied("cloudflareToken"),
            # AES-256 takes 32 bytes: one a character.
            "ENCRYPTION_KEY": Generated("encryptionKey", length=32, keeps_previous=True),
            "WEBHOOK_SECRET": Generated("webhookSecret"),
            "API_KEY": Generated("apiKey", length=40),
        },
        variable="APP_CONFIG",
        variables={"REDIS_PASSWORD", "SMTP_PASSWORD", "CLOUDFLARE_TOKEN"},
    ),
)

DATABASE_MASTER = "db-master-password"
"""The secret that the single-user rotation changes and that the alternating-users rotation signs in with."""

DATABASE_APP_USER = "db-app-user"
"""The secret that the alternating-users rotation adds and changes."""


def with_application_user(catalogue: Catalogue, username: str) -> Catalogue:
    """Return the catalogue as the alternating-users rotation needs it.

    The container signs in as an application user of its own, whose name changes with each rotation, and no longer gets
    the master's password.
    """
    master_unwired = tuple(
        replace(d, variable=None) if isinstance(d, TextSecret) and d.name == DATABASE_MASTER else d for d in catalogue
    )
    return (
        *master_unwired,
        JsonSecret(
            DATABASE_APP_USER,
            {"username": Constant(username), "password": Generated("dbAppUserPassword")},
            variables={"username": "DB_USER", "password": "DB_PASSWORD"},
        ),
    )
