"""Rotates the password of a database user that AWS Secrets Manager keeps: an AWS Lambda function.

Handler: `rotate_password.rotate.handler`, Python 3.11 or later, boto3 from the runtime, the database's driver from the
archive that `components/_archive.py` builds. Secrets Manager invokes it once per step (createSecret, setSecret, testSecret,
finishSecret) with `{Step, SecretId, ClientRequestToken, RotationToken?}`. Each step may be repeated at any time, and a step
that hangs and continues after a later rotation changes nothing.

Strategies (`STRATEGY`)
    `single-user`: the secret is the plain-text password of `DATABASE_USERNAME`, who changes it himself. Between setSecret
    and the moment in which the clients read the new value, new connections with the old password fail.
    `alternating-users`: the secret is JSON, {"username", "password", any other key}. Two users take turns, `app` and
    `app_clone`; a superuser (`SUPERUSER_SECRET_ARN`) sets the password of the one that is not in use. The credentials that
    clients hold stay valid until the rotation after next, so nobody is locked out.

Environment
    ENGINE                  the kind of database: the name of a module in `engines/`, such as `postgresql`
    STRATEGY                `single-user` or `alternating-users`
    DATABASE_HOST           host name; must match the server's certificate
    DATABASE_PORT           1 to 65535
    DATABASE_NAME           database to connect to
    DATABASE_USERNAME       single-user: the user whose password rotates; alternating-users: the superuser, needed unless his
                            secret is JSON
    SUPERUSER_SECRET_ARN    alternating-users only: the secret of the superuser, read at each step that needs it. Either his
                            password in plain text, or JSON {"username", "password"}, which is what Amazon RDS keeps for the
                            master user that it manages (a secret named `rds!cluster-...` or `rds!db-...`)
    CA_BUNDLE               path of a PEM file, absolute or relative to the archive's root. When it is unset, the system's
                            authorities are trusted, and for a host of Amazon RDS its own authorities (`rds-roots.pem`) as well
    USER_GRANTS             alternating-users only: a JSON array of lines such as "CONNECT ON DATABASE tickets" (`grants.py`).
                            When it is set, the user that the current value names is created if the database lacks it: signed in
                            as the superuser, with the current password and these privileges. A user that exists is never
                            granted anything

Permissions on the rotated secret: DescribeSecret, GetSecretValue, PutSecretValue, UpdateSecretVersionStage; on the
superuser's secret: GetSecretValue; GetRandomPassword on "*" (it has no resource); kms:Decrypt and kms:GenerateDataKey
through Secrets Manager when a customer-managed key is used.

What goes out: JSON lines on standard output with the step, the secret's ARN and the version id, never a value of a
secret, a user's name that came out of one, nor text that the database sent. A failed step raises `RotationError`, whose
message names the cause and what to do; nothing has been changed then, unless the message says otherwise.

Another kind of database is one module in `engines/` with a class `Engine` (see `engine.py`); `components/engines.py` has its name
and its driver.
"""
