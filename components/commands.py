"""Commands that messages print: each can be pasted as it is, and leaves everything as it was when a part of it fails."""

import shlex


def keep_command(name: str, key: str, stack: str, *, version: str = "", config_key: str = "") -> str:
    """Return the command that takes a secret's live value into the stack's configuration, whole or not at all.

    Args:
        name: The secret in the catalogue.
        key: The key of a JSON secret, "" for a text.
        stack: The stack.
        version: Staging label of the version to take instead of the live one.
        config_key: The configuration key, where it is not the one that the catalogue gives the key.
    """
    given = {"key": key, "version": version, "config-key": config_key}
    options = "".join(f" --{option} {shlex.quote(value)}" for option, value in given.items() if value)
    return f"python -m ops keep {shlex.quote(name)}{options} --stack {shlex.quote(stack)}"
