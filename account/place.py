"""What a pipeline must know about a stack, from the stack's file: `python -m account.place STACK`."""

import sys

from account.application import Application
from components.policies.backup import bucket_name, key_alias, role_name
from components.policies.deployer import Deployment


def place(stack: str) -> dict[str, str]:
    """Return the account, the Region, the state's URL, the backup bucket and the ARNs of the roles that account/ creates.

    Raises:
        SystemExit: When there is no such stack, or it does not allow exactly one account.
    """
    try:
        application = Application.read(stack)
    except FileNotFoundError:
        raise SystemExit(f"no stack {stack!r}: there is no Pulumi.{stack}.yaml") from None
    made = allowed(application)
    location = made.location
    return {
        "account": location.account_id,
        "region": location.region,
        "backend": made.backend_url,
        "deployer": location.role_arn(made.deployer),
        "previewer": location.role_arn(made.previewer),
        "reviewer": location.role_arn(made.reviewer),
        "backup": location.role_arn(role_name(made)),
        "backup_folder": f"s3://{bucket_name(made)}/{stack}",
        "backup_key": key_alias(made),
    }


def allowed(application: Application) -> Deployment:
    """Return a stack that lives where its file allows.

    Raises:
        SystemExit: When its file does not allow exactly one account, or does not name a Region.
    """
    if len(application.account_ids) != 1 or not application.region:
        raise SystemExit(
            f"Pulumi.{application.stack.names.stack}.yaml: aws:allowedAccountIds must name one account, aws:region its Region"
        )
    return application.stack


if __name__ == "__main__":
    for name, value in place(*sys.argv[1:]).items():
        sys.stdout.write(f"{name}={value}\n")
