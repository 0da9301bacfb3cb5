"""A rotation that has not ended, what a finished one leaves behind, and the way out of a stuck one.

AWSPENDING marks the version that a rotation creates. It can stay there after the end. While it is at any other version
than AWSCURRENT's, Secrets Manager considers the rotation unfinished and starts no other one.
Source: AWS, Secrets Manager API, RotateSecret.
"""

from components.commands import cancel_commands, label_command
from components.labels import ROTATING
from components.references import CURRENT, PENDING, PREVIOUS
from ops._aws import Aws
from ops._secrets import Record
from ops._stack import Stack
from ops.doctor.finding import put_back


def unfinished(record: Record) -> str | None:
    """Return the version that an unfinished rotation creates, None without one."""
    pending = record.version(PENDING)
    return pending if pending and pending != record.version(CURRENT) and not left_over(record) else None


def left_over(record: Record) -> str | None:
    """Return the version of a finished rotation that has AWSPENDING still and was rolled back from, None when there is none.

    A version has AWSPREVIOUS only once it was current, so that its rotation has ended.
    """
    pending = record.version(PENDING)
    return pending if pending and pending == record.version(PREVIOUS) else None


def is_of_ops(record: Record, version: str) -> bool:
    """Return whether `ops rotate` wrote a version for a value that a server also checks, and has not finished."""
    return any(label.startswith(ROTATING) for label in record.stages.get(version, ()))


def settle(aws: Aws, record: Record) -> None:
    """Take AWSPENDING off the version of a rotation that has ended, before AWSCURRENT leaves it or another rotation starts.

    At a version that is no longer current it would mean an unfinished rotation: no other one starts, and the one that
    Secrets Manager resumes would set the former value again.
    """
    version = record.version(PENDING)
    if version and not unfinished(record):
        aws.client("secretsmanager").update_secret_version_stage(
            SecretId=record.arn, VersionStage=PENDING, RemoveFromVersionId=version
        )


def remove_label_command(stack: Stack, record: Record, version: str, label: str = PENDING) -> str:
    """Return the command that removes a staging label, by default AWSPENDING, from a version."""
    return label_command(record.arn, stack.region, label, off=version)


def way_out(stack: Stack, record: Record, version: str) -> str:
    """Return what to do about an unfinished rotation: follow it, or cancel it when it is stuck."""
    name = stack.name_of(record.arn)
    if is_of_ops(record, version):
        return f"resume it:\n  python -m ops rotate {name} --stack {stack.environment}"
    # The last one switches the schedule on again.
    cancel = "\n  ".join((*cancel_commands(record.arn, stack.region, version), put_back(stack)))
    return (
        f"follow it to its end:\n  python -m ops rotate {name} --stack {stack.environment}\n"
        f"or, when it is stuck, cancel it (docs/rotation.md, Cancel a rotation):\n  {cancel}"
    )
