"""Values that another system also checks, and the command that changes such a value on both sides.

`accepted_by` appears in plan, outputs and records: `{"server": NAME, "host": VARIABLE}` for a server that a command of `ops` or
a rotation function changes, `{"partner": NAME}` for a third party, None when only the application checks it.
"""

import shlex
from collections.abc import Mapping

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
