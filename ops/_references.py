"""What a `valueFrom` of a container gives a task that starts now: a secret, one of its JSON keys, or a parameter."""

import functools

from components.references import CURRENT, parse_value_from
from ops._aws import Aws
from ops._json import json_object
from ops._secrets import Value, read_value

NAMED = "secretsmanager"
"""Begins AWS Copilot's `secretsmanager:NAME:KEY:STAGE:VERSION`, which Copilot turns into an ARN of the account and Region."""

_ARN_FIELDS = 6


class References:
    """Reads references. Each version of a secret is read once, however many of its keys are needed; CloudTrail records it."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

        @functools.cache
        def read(arn: str, stage: str, version_id: str | None) -> Value:
            return read_value(aws, arn, stage=stage, version_id=version_id)

        self._read = read

    def value(self, reference: str) -> str:
        """Return the value as ECS passes it on.

        Raises:
            ValueError: When ECS would not start a task with it; the message says why, without a value.
            AwsError: When the secret can't be read.
            ClientError: When the parameter can't be read.
        """
        kind, _, named = reference.partition(":")
        if kind == NAMED:
            name, key, stage, version_id, *_ = [*named.split(":"), "", "", ""]
            return _part(self._read(name, stage or CURRENT, version_id or None), key or None)
        if kind != "arn":
            return self._parameter(reference)
        fields = reference.split(":", _ARN_FIELDS - 1)
        service, region, resource = (fields[2], fields[3], fields[5]) if len(fields) == _ARN_FIELDS else ("", "", "")
        if service == "ssm" and resource.startswith("parameter/"):
            return self._parameter(reference, region)
        if service != "secretsmanager":
            raise ValueError("its valueFrom is not the full ARN of a secret or a parameter")
        try:
            parsed = parse_value_from(reference)
        except ValueError:
            raise ValueError("its valueFrom is not a secret's ARN that ECS accepts") from None
        return _part(self._read(parsed.arn, parsed.stage or CURRENT, parsed.version_id), parsed.key)

    def _parameter(self, name: str, region: str | None = None) -> str:
        if not name:
            raise ValueError("it has no valueFrom")
        return self._aws.client("ssm", region).get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]


def _part(found: Value, key: str | None) -> str:
    if found.text is None:
        raise ValueError("its secret is binary")
    if key is None:
        return found.text
    value = (json_object(found.text) or {}).get(key)
    if not isinstance(value, str):  # ECS starts no task then, too
        raise ValueError(f"its secret has no text under the JSON key {key}")  # noqa: TRY004 - not a wrong argument type
    return value
