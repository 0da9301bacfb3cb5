"""Reads of secrets for many at a time, with AWS's batch calls; single calls confirm what the batch finds wrong."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from os.path import commonprefix
from typing import Any

from components.references import CURRENT
from ops._aws import Aws, chunks
from ops._console import counted
from ops._errors import DENIED, EXPIRED, INVALID, MISSING, AwsError, aws_errors, code_of, explained, tolerating

BATCH = 20
"""Secrets that one BatchGetSecretValue takes. Source: AWS, Secrets Manager API."""

_FILTER_VALUES = 10
"""Prefixes that one filter takes. Source: the same, ListSecrets."""

_MIN_PREFIX = 3

UNREADABLE = MISSING | DENIED | {"InvalidRequestException"}
"""Why a policy can't be read. The last one is pending deletion."""


@dataclass(frozen=True)
class Replica:
    """A copy in another Region. `status` is InSync, InProgress or Failed."""

    region: str
    status: str
    message: str = ""
    kms_key_id: str | None = None


@dataclass(frozen=True)
class Rotation:
    """Whether and when a secret rotates. `enabled` is false after a rotation was cancelled; the function then stays known."""

    enabled: bool = False
    lambda_arn: str | None = None
    schedule: str | None = None
    every_days: int | None = None
    last: datetime | None = None
    next: datetime | None = None

    @property
    def when(self) -> str:
        """The schedule, for people."""
        return self.schedule or (f"every {counted(self.every_days, 'day')}" if self.every_days else "on")


@dataclass(frozen=True)
class Record:
    """A secret without its value.

    Attributes:
        kms_key_id: The customer-managed key, None for the AWS-managed one.
        deleted: When it was marked for deletion.
        stages: Staging labels by version id.
        primary_region: Where the original is, when it has replicas.
        owning_service: The AWS service that manages the secret, such as `rds`; only that service can change it.
    """

    arn: str
    name: str
    description: str = ""
    kms_key_id: str | None = None
    created: datetime | None = None
    changed: datetime | None = None
    deleted: datetime | None = None
    rotation: Rotation = field(default_factory=Rotation)
    stages: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    replicas: tuple[Replica, ...] = ()
    primary_region: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    owning_service: str | None = None

    def version(self, stage: str) -> str | None:
        """Return the id of the version that has a staging label."""
        return next((version for version, stages in self.stages.items() if stage in stages), None)


@dataclass(frozen=True)
class Value:
    """A secret's value, kept out of `repr`.

    Attributes:
        text: None for a binary value.
        created: When this version was written.
    """

    arn: str
    name: str
    version_id: str
    stages: tuple[str, ...]
    created: datetime
    text: str | None = field(repr=False)
    binary: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Unreadable:
    """Why a value could not be read: AWS's code and what it means."""

    arn: str
    code: str
    message: str


def describe(aws: Aws, arn: str) -> Record | None:
    """Return a secret without its value, as it is now; None when it doesn't exist in the ARN's Region."""
    client = aws.client("secretsmanager", _region(arn))
    return tolerating(MISSING, lambda: _record(client.describe_secret(SecretId=arn)))


def describe_all(aws: Aws, arns: Iterable[str]) -> dict[str, Record | None]:
    """Return secrets as they are now, a call each, several at a time."""
    return aws.each(lambda arn: describe(aws, arn), arns)


def list_records(aws: Aws, secrets: Mapping[str, str]) -> dict[str, Record]:
    """Return the existing ones of some secrets by ARN, pending deletions included, in pages of 100.

    AWS's list can lag behind changes of the last five minutes: confirm with `describe` what looks wrong. `secrets` are ARNs
    of the stack's Region by full name.
    """
    found: dict[str, Record] = {}
    wanted = set(secrets.values())
    for prefixes in _prefixes(sorted(secrets)):
        pages = aws.pages(
            "secretsmanager",
            "list_secrets",
            "SecretList",
            IncludePlannedDeletion=True,
            MaxResults=100,
            Filters=[{"Key": "name", "Values": prefixes}],
        )
        found |= {record.arn: record for record in map(_record, pages) if record.arn in wanted}
    return found


def _prefixes(names: Sequence[str]) -> list[list[str]]:
    """Return filters that together match all names: the common beginning, else the names themselves, ten at a time."""
    common = commonprefix(list(names))  # noqa: RUF071 - names, not paths: the characters are what the filter compares
    if len(common) >= _MIN_PREFIX and len(names) > _FILTER_VALUES:
        return [[common]]
    return chunks(names, _FILTER_VALUES)


def read_value(aws: Aws, arn: str, *, stage: str | None = None, version_id: str | None = None) -> Value:
    """Return one value, by default the current one. The read is recorded in CloudTrail.

    Raises:
        AwsError: When there is none, or it can't be read; `code` is AWS's.
    """
    which = {"VersionId": version_id} if version_id else {"VersionStage": stage or CURRENT}
    try:
        return _value(aws.client("secretsmanager", _region(arn)).get_secret_value(SecretId=arn, **which))
    except aws_errors() as error:
        raise explained(error) from None


def read_values(aws: Aws, arns: Iterable[str]) -> dict[str, Value | Unreadable]:
    """Return the current values of secrets of the stack's Region, twenty a call. Each read is recorded in CloudTrail.

    What the batch could not read is read alone, which gives the reason; so is everything where batches aren't allowed.

    Raises:
        AwsError: When the credentials are invalid, which a single read would not fix.
    """
    listed = list(dict.fromkeys(arns))
    batches = aws.each(lambda chunk: _read_batch(aws, chunk), map(tuple, chunks(listed, BATCH)))
    found: dict[str, Value | Unreadable] = {arn: value for values in batches.values() for arn, value in values.items()}
    found |= aws.each(lambda arn: _read_alone(aws, arn), [arn for arn in listed if arn not in found])
    return {arn: found[arn] for arn in listed}


def _read_batch(aws: Aws, arns: Sequence[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    token: dict[str, str] = {}
    while True:
        try:
            page = aws.client("secretsmanager").batch_get_secret_value(SecretIdList=list(arns), **token)
        except aws_errors() as error:
            if code_of(error) in EXPIRED | INVALID or not code_of(error):
                raise explained(error) from None
            return found
        # moto returns the version that was written last, even when the label has moved since.
        found |= {value.arn: value for value in map(_value, page.get("SecretValues", ())) if CURRENT in value.stages}
        if not page.get("NextToken"):
            return found
        token = {"NextToken": page["NextToken"]}


def _read_alone(aws: Aws, arn: str) -> Value | Unreadable:
    try:
        return read_value(aws, arn)
    except AwsError as error:
        if error.code in EXPIRED | INVALID or not error.code:
            raise
        return Unreadable(arn, error.code, str(error))


def resource_policies(aws: Aws, arns: Iterable[str]) -> dict[str, str | None]:
    """Return the resource policies as JSON; None where a secret has none, doesn't exist, or its policy can't be read."""

    def read(arn: str) -> str | None:
        client = aws.client("secretsmanager", _region(arn))
        return tolerating(UNREADABLE, lambda: client.get_resource_policy(SecretId=arn).get("ResourcePolicy"))

    return aws.each(read, arns)


def key_arn(secret_arn: str, key: str) -> str:
    """Return the ARN of a key that a secret names by ARN, id or alias: in the secret's own account and Region."""
    resource = key if key.startswith("alias/") else f"key/{key}"
    _, partition, _, region, account = secret_arn.split(":")[:5]
    return key if key.startswith("arn:") else f"arn:{partition}:kms:{region}:{account}:{resource}"


def _region(arn: str) -> str | None:
    fields = arn.split(":")
    return fields[3] if fields[0] == "arn" else None


def _value(raw: Mapping[str, Any]) -> Value:
    return Value(
        arn=raw["ARN"],
        name=raw["Name"],
        version_id=raw["VersionId"],
        stages=tuple(raw.get("VersionStages", ())),
        created=raw["CreatedDate"],
        text=raw.get("SecretString"),
        binary=raw.get("SecretBinary"),
    )


def _record(raw: Mapping[str, Any]) -> Record:
    rules = raw.get("RotationRules") or {}
    key = raw.get("KmsKeyId")
    return Record(
        arn=raw["ARN"],
        name=raw["Name"],
        description=raw.get("Description") or "",
        kms_key_id=None if not key or key.endswith("alias/aws/secretsmanager") else key,
        created=raw.get("CreatedDate"),
        changed=raw.get("LastChangedDate"),
        deleted=raw.get("DeletedDate"),
        rotation=Rotation(
            enabled=bool(raw.get("RotationEnabled")),
            lambda_arn=raw.get("RotationLambdaARN") or None,
            schedule=rules.get("ScheduleExpression"),
            every_days=rules.get("AutomaticallyAfterDays") or None,
            last=raw.get("LastRotatedDate"),
            next=raw.get("NextRotationDate"),
        ),
        # DescribeSecret and ListSecrets name the same thing differently.
        stages={
            version: tuple(stages)
            for version, stages in (raw.get("VersionIdsToStages") or raw.get("SecretVersionsToStages") or {}).items()
        },
        replicas=tuple(
            Replica(r["Region"], r.get("Status", ""), r.get("StatusMessage", ""), r.get("KmsKeyId"))
            for r in raw.get("ReplicationStatus", ())
        ),
        primary_region=raw.get("PrimaryRegion"),
        tags={tag["Key"]: tag["Value"] for tag in raw.get("Tags", ())},
        owning_service=raw.get("OwningService"),
    )
