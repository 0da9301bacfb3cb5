"""Commands that messages print: each can be pasted, and changes nothing if a part of it fails."""

import shlex


def keep_command(name: str, key: str, stack: str, *, version: str = "", config_key: str = "") -> str:
    """Return the command that copies a secret's live value into the stack's configuration, completely or not at all.

    Args:
        name: The secret in the catalogue.
        key: The key of a JSON secret, "" for a text.
        stack: The stack.
        version: Staging label of the version to take instead of the live one.
        config_key: The configuration key, if it differs from the catalogue's.
    """
    given = {"key": key, "version": version, "config-key": config_key}
    options = "".join(f" --{option} {shlex.quote(value)}" for option, value in given.items() if value)
    return f"python -m ops keep {shlex.quote(name)}{options} --stack {shlex.quote(stack)}"
