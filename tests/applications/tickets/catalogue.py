"""The catalogue of the tests of mechanisms: every kind of entry, and free of what the project ships or a fork changes."""

from collections.abc import Mapping, Sequence

from config.declarations import (
    Application,
    Constant,
    Entry,
    External,
    ForeignSecret,
    Generated,
    JsonSecret,
    Partner,
    PlainVariable,
    Server,
    Service,
    Supplied,
    TextSecret,
)

SERVICES = (Service("app"),)

VARIABLES = (PlainVariable("DATABASE_HOST", "databaseHost"), PlainVariable("REDIS_HOST", "redisHost"))

DATABASE, REDIS = Server("Aurora PostgreSQL", "DATABASE_HOST"), Server("ElastiCache", "REDIS_HOST")

CATALOGUE: Sequence[Entry] = (
    TextSecret("db-master-password", Generated("dbMasterPassword", accepted_by=DATABASE), variable="DB_PASSWORD"),
    TextSecret("jwt-secret", Generated("jwtSecret", length=64, keeps_previous=True), variable="JWT_SECRET"),
    JsonSecret(
        "app-config",
        {
            "REDIS_PASSWORD": Generated("redisPassword", accepted_by=REDIS),
            "SMTP_PASSWORD": Supplied("smtpPassword"),
            "CLOUDFLARE_TOKEN": Supplied("cloudflareToken", accepted_by=Partner("Cloudflare")),
            # AES-256 takes 32 bytes: one a character.
            "ENCRYPTION_KEY": Generated("encryptionKey", length=32, keeps_previous=True),
            "WEBHOOK_SECRET": Generated("webhookSecret"),
            "API_KEY": Generated("apiKey", length=40),
        },
        variable="APP_CONFIG",
        variables={"REDIS_PASSWORD", "SMTP_PASSWORD", "CLOUDFLARE_TOKEN"},
    ),
)

# In production the application signs in as a user of its own, and the master's password is only there to make that user.
IN_STACK: Mapping[str, Sequence[Entry]] = {
    "prod": (
        TextSecret("db-master-password", Generated("dbMasterPassword", accepted_by=DATABASE)),
        JsonSecret(
            "db-app-user",
            {"username": Constant("ticketing"), "password": Generated("dbAppUserPassword", accepted_by=DATABASE)},
            variables={"username": "DB_USER", "password": "DB_PASSWORD"},
        ),
    ),
    # The kinds of entries that the other stacks lack.
    "every-kind": (
        TextSecret("partner-key", External(), variable="PARTNER_KEY", readers={"app"}),
        JsonSecret("partner-login", External(), variable="PARTNER_LOGIN", variables={"user": "PARTNER_USER"}),
        ForeignSecret(
            "warehouse",
            "team Data",
            keys={"url", "token"},
            variable="WAREHOUSE",
            variables={"token": "WAREHOUSE_TOKEN"},
        ),
    ),
}

APPLICATION = Application(SERVICES, CATALOGUE, VARIABLES, IN_STACK)
