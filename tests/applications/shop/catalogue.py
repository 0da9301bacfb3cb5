"""Another application on the same program: a shop of two services, without a database and without Redis."""

from config.declarations import Application, External, Generated, JsonSecret, Service, Supplied, TextSecret

APPLICATION = Application(
    services=(Service("web"), Service("mailer")),
    secrets=(
        TextSecret(
            "session-key",
            Generated("sessionKey", length=48, keeps_previous=True),
            variable="SESSION_KEY",
            readers={"web"},
        ),
        JsonSecret(
            "payment",
            {"PUBLISHABLE": Supplied("paymentPublishable"), "SIGNING": Generated("paymentSigning")},
            variables={"PUBLISHABLE": "PAYMENT_PUBLISHABLE", "SIGNING": "PAYMENT_SIGNING"},
            readers={"web": {"PAYMENT_PUBLISHABLE", "PAYMENT_SIGNING"}, "mailer": {"PAYMENT_SIGNING"}},
        ),
        TextSecret("mail-token", Supplied("mailToken"), variable="MAIL_TOKEN", readers={"mailer"}),
        TextSecret("feature-flags", External(), variable="FEATURE_FLAGS", readers={"web", "mailer"}),
    ),
)
