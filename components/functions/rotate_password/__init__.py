"""Rotates the password of a database user that AWS Secrets Manager keeps: an AWS Lambda function.

Handler: `rotate_password.rotate.handler`, Python 3.11 or later, boto3 from the runtime, the database's driver from the
archive that `components/_archive.py` builds. Secrets Manager invokes it once per step (createSecret, setSecret, testSecret,
finishSecret) with `{Step, SecretId, ClientRequestToken, RotationToken?}`. Each step may be repeated at any time, and a step
that hangs and continues after a later rotation changes nothing.

Strategies (`STRATEGY`)
    `single-user`: the secret is the plain-text password of `DATABASE_USERNAME`, which changes it itself. From setSecret
    until the clients read the new value, new connections with the old password fail.
    `alternating-users`: the secret is JSON, {"username", "password", any other key}. Two users alternate, `app` and
    `app_clone`; a superuser (`SUPERUSER_SECRET_ARN`) sets the password of the one that is not in use. Clients' credentials
    stay valid until the rotation after next, so nobody is locked out.

Environment
    ENGINE                  the kind of database: the name of a module in `engines/`, such as `postgresql`
    STRATEGY                `single-user` or `alternating-users`
    DATABASE_HOST           host name; must match the server's certificate
    DATABASE_PORT           1 to 65535
    DATABASE_NAME           database to connect to
    DATABASE_USERNAME       single-user: the user whose password rotates; alternating-users: the superuser, needed unless its
                            secret is JSON
    SUPERUSER_SECRET_ARN    alternating-users only: the secret of the superuser, read at each step that needs it. Either its
                            password in plain text, or JSON {"username", "password"}, which is what Amazon RDS keeps for the
                            master user that it manages (a secret named `rds!cluster-...` or `rds!db-...`)
    CA_BUNDLE               path of a PEM file, absolute or relative to the archive's root. When it is unset, the system's
                            authorities are trusted, and for a host of Amazon RDS its own authorities (`rds-roots.pem`) as well
    USER_GRANTS             alternating-users only: a JSON array of lines such as "CONNECT ON DATABASE tickets" (`grants.py`).
                            When it is set, the user that the current value names is created if the database lacks it: signed in
                            as the superuser, with the current password and these privileges. A user that exists is never
                            granted anything

Permissions on the rotated secret: DescribeSecret, GetSecretValue, PutSecretValue, UpdateSecretVersionStage; on the
superuser's secret: GetSecretValue; GetRandomPassword on "*" (the action supports no resource); kms:Decrypt and
kms:GenerateDataKey through Secrets Manager when a customer-managed key is used.

Output: JSON lines on standard output with the step, the secret's ARN and the version id, never a value of a
secret, a user name from one, or text that the database sent. A failed step raises `RotationError`, whose
message names the cause and what to do. It has changed nothing, unless the message says otherwise.

To support another database, add a module to `engines/` with a class `Engine` (see `engine.py`), and its name and driver to
`components/engines.py`.
"""
