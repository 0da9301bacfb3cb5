"""Refusals, and the commands that they print: each can be pasted, and changes nothing if a part of it fails."""

import shlex

from components.references import PENDING


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


def number_command(config_key: str, number: int, stack: str) -> str:
    """Return the command that sets a value's number."""
    return f"pulumi config set --stack {shlex.quote(stack)} --path rotations.{config_key} {number}"


def set_command(config_key: str, stack: str) -> str:
    """Return the command that sets a value in the stack's configuration; it asks for the value."""
    return f"pulumi config set --stack {shlex.quote(stack)} --secret {config_key}"


def label_command(secret: str, region: str, label: str, *, to: str = "", off: str = "") -> str:
    """Return the command that takes a staging label off one version, puts it on another one, or both at once.

    Args:
        secret: The secret's ARN or name.
        region: Its Region.
        label: The label.
        to: The version that gets it.
        off: The version that loses it.
    """
    versions = {"move-to-version-id": to, "remove-from-version-id": off}
    options = "".join(f" --{option} {version}" for option, version in versions.items() if version)
    at = f"--secret-id {secret} --region {region}"
    return f"aws secretsmanager update-secret-version-stage {at} --version-stage {label}{options}"


def cancel_commands(secret: str, region: str, version: str) -> tuple[str, str]:
    """Return the commands that cancel a rotation and take AWSPENDING off its version; the value in use stays as it is.

    Source: AWS, Secrets Manager API, CancelRotateSecret: it leaves the staging labels to the caller.
    """
    cancel = f"aws secretsmanager cancel-rotate-secret --secret-id {secret} --region {region}"
    return cancel, label_command(secret, region, PENDING, off=version)


def ways(introduction: str, *commands: str) -> str:
    """Return commands, a line each, under what introduces them."""
    return "\n  ".join((f"{introduction}{':' if commands else ''}", *commands))


def refusal(subject: str, why: str, way: str, *commands: str) -> str:
    """Return why something is refused, that nothing was changed, and the way on with its commands."""
    return ways(f"{subject}: {why}. Nothing was changed. {way}", *commands)
