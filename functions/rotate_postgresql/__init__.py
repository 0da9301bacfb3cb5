"""Rotates the password of a PostgreSQL user that AWS Secrets Manager keeps: an AWS Lambda function.

Handler: `rotate_postgresql.rotate.handler`, Python 3.11 or later, boto3 from the runtime, pg8000 from the archive that
`components/_archive.py` builds. Secrets Manager invokes it once per step (createSecret, setSecret, testSecret,
finishSecret) with `{Step, SecretId, ClientRequestToken, RotationToken?}`; each step may be repeated at any time.

Strategies (`STRATEGY`)
    `single-user`: the secret is the plain-text password of `DATABASE_USERNAME`, who changes it himself. Between setSecret
    and the moment in which the clients read the new value, new connections with the old password fail.
    `alternating-users`: the secret is JSON, {"username", "password", any other key}. Two users take turns, `app` and
    `app_clone`; a superuser (`DATABASE_USERNAME`, password in `SUPERUSER_SECRET_ARN`) sets the password of the one that
    is not in use. The credentials that clients hold stay valid until the rotation after next, so nobody is locked out.

Environment
    STRATEGY                `single-user` or `alternating-users`
    DATABASE_HOST           host name; must match the server's certificate
    DATABASE_PORT           5432 when unset
    DATABASE_NAME           database to connect to
    DATABASE_USERNAME       single-user: the user whose password rotates; alternating-users: the superuser
    SUPERUSER_SECRET_ARN    alternating-users only: the superuser's plain-text password
    CA_BUNDLE               path of a PEM file, absolute or relative to the archive's root; the system's bundle when unset
    PASSWORD_LENGTH         characters of a new password, 16 to 128, 32 when unset
    DATABASE_TIMEOUT        seconds that a connection attempt or an answer may take, 1 to 60, 5 when unset

Permissions on the rotated secret: DescribeSecret, GetSecretValue, PutSecretValue, UpdateSecretVersionStage; on the
superuser's secret: GetSecretValue; GetRandomPassword on "*" (it has no resource); kms:Decrypt and kms:GenerateDataKey
through Secrets Manager when a customer-managed key is used.

What goes out: JSON lines on standard output with the step, the secret's ARN and the version id, never a value of a
secret, a user's name that came out of one, nor text that the database sent. A failed step raises `RotationError`, whose
message names the cause and what to do; nothing has been changed then, unless the message says otherwise.
"""
