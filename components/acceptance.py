"""Values that another system also checks: why such a value is not changed in the secret alone, and what changes both sides.

`accepted_by` appears in plan, outputs and records: `{"server": NAME, "host": VARIABLE}` for a server that a command of `ops` or
a rotation function changes, `{"partner": NAME}` for a third party, None when only the application checks it.
"""

import shlex
from collections.abc import Mapping

from components.commands import keep_command

AcceptedBy = Mapping[str, str] | None


def named(accepted_by: AcceptedBy) -> str:
    """Return a description of the system that also accepts the value; "" for none."""
    return (accepted_by or {}).get("server") or (accepted_by or {}).get("partner") or ""


def is_server(accepted_by: AcceptedBy) -> bool:
    """Return whether a server checks the value, so that a command changes it together with the secret."""
    return bool(accepted_by and "server" in accepted_by)


def rotate_command(secret: str, key: str, stack: str) -> str:
    """Return the command that sets a new value on the server and in the secret."""
    option = f" --key {shlex.quote(key)}" if key else ""
    return f"python -m ops rotate {shlex.quote(secret)}{option} --stack {shlex.quote(stack)}"


def new_number(subject: str, accepted_by: AcceptedBy, *, secret: str, key: str, config_key: str, stack: str) -> str:
    """Return why `rotations` can't request a new value, with the commands that change both sides; "" if it can.

    Args:
        subject: The secret and its JSON key, for people.
        accepted_by: The system that also accepts the value.
        secret: The secret's name in the catalogue.
        key: The JSON key, "" for a text.
        config_key: The value's configuration key.
        stack: The stack's name.
    """
    if not accepted_by:
        return ""
    reason = (
        f"{subject}: {named(accepted_by)} accepts the live value only, and `rotations` would change the secret alone."
    )
    if is_server(accepted_by):
        change = f"Change both sides: {rotate_command(secret, key, stack)}"
    else:
        change = (
            f"Agree on a new value with {named(accepted_by)}, then set it here:\n"
            f"  pulumi config set --stack {stack} --secret {config_key}"
        )
    return f"{reason} Nothing was changed. {change}"


def other_value(subject: str, accepted_by: AcceptedBy, *, secret: str, key: str, stack: str) -> str:
    """Return why another configured value must not replace the live one, with the command; "" if it can.

    The partner changes its value first, so it accepts the configured one.
    """
    if not is_server(accepted_by):
        return ""
    return (
        f"{subject}: {named(accepted_by)} accepts the live value only, and another configured value would change the secret "
        f"alone. Nothing was changed. Copy the live value into the configuration, and change both sides by a command:\n"
        f"  {keep_command(secret, key, stack)}\n  {rotate_command(secret, key, stack)}"
    )
