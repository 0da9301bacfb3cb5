"""Commands that messages print: each can be pasted as it is, and leaves everything as it was when a part of it fails."""

import shlex


def keep_command(name: str, key: str, stack: str) -> str:
    """Return the command that takes a secret's live value into the stack's configuration, whole or not at all.

    Args:
        name: The secret in the catalogue.
        key: The key of a JSON secret, "" for a text.
        stack: The stack.
    """
    option = f" --key {shlex.quote(key)}" if key else ""
    return f"python -m ops keep {shlex.quote(name)}{option} --stack {shlex.quote(stack)}"
