"""Restores saved secrets: plans the work, does it, and verifies it. It can run again at any time."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from components.labels import OF_PULUMI
from components.labels import PREVIOUS as PREVIOUS_VALUE
from components.references import CURRENT, PREVIOUS
from ops._aws import Aws
from ops._backup_file import Backup, SavedSecret, SavedVersion
from ops._errors import MISSING, MisuseError, aws_errors, code_of
from ops._secrets import Record, describe
from ops.access.evaluator import parse

RESTORED = "ops-restored"
"""Label of a version that a restore made current: a database can have another password (`ops doctor`)."""

_TEMPORARY = "ops-restore"
"""Label for a version without labels while it is written: AWS makes a version that is written without labels current."""

_SYSTEM_TAGS = "aws:"


@dataclass(frozen=True)
class Target:
    """The target of a restore.

    Attributes:
        environment: The stack whose names the secrets get.
        prefix: The beginning of these names, without the hyphen: `<project>-<stack>`.
        names: Full names that a restore is allowed to touch: those of the application's plan and of the deployed stack.
        secret_key: The KMS key of created secrets; None keeps their own at home and uses the AWS-managed one elsewhere.
        with_policies: Whether resource policies are restored, too.
    """

    environment: str
    account: str
    region: str
    partition: str
    prefix: str
    names: frozenset[str]
    secret_key: str | None = None
    with_policies: bool = True

    def name_of(self, saved: SavedSecret, backup: Backup) -> str:
        """Return the full name that a saved secret gets: the one that it had, or in another stack that stack's name for it."""
        return saved.full_name if self.environment == backup.environment else f"{self.prefix}-{saved.name}"


@dataclass(frozen=True)
class Work:
    """What a restore does to one secret.

    Attributes:
        name: Its full name at the target.
        action: `recover`: it is pending deletion.
        puts: Versions that the target lacks.
        moves: Labels that move, with the version each goes to.
        tags: Tags that differ.
        policy: The resource policy to set; None when the secret has it, or none was saved.
        kms_key_id: The key, when the secret is created.
        outsiders: Principals outside the target's account that the policy allows something.
        database: What the restore does to the database, or why the value is left as it is; "" without a database.
    """

    saved: SavedSecret = field(repr=False)
    name: str
    action: Literal["create", "recover", "change", "nothing"]
    puts: tuple[SavedVersion, ...] = field(repr=False)
    moves: Mapping[str, str]
    tags: Mapping[str, str]
    policy: str | None
    kms_key_id: str | None
    outsiders: tuple[str, ...] = ()
    database: str = ""

    def document(self) -> dict[str, Any]:
        """Return the work as data, without a value."""
        return {
            "name": self.name,
            "action": self.action,
            "versions": [version.id for version in self.puts],
            "labels": dict(self.moves),
            "tags": sorted(self.tags),
            "policy": self.policy is not None,
            "outsiders": self.outsiders,
            "kms_key": self.kms_key_id,
            "database": self.database,
        }


def plan(
    aws: Aws, backup: Backup, target: Target, names: Sequence[str] = (), rotated: Collection[str] = ()
) -> list[Work]:
    """Return what a restore would do. It reads no value.

    Args:
        aws: The target.
        backup: What was saved.
        target: The target.
        names: Only these, by name in the catalogue; all by default.
        rotated: Whose value is restored although a function rotates it, by name in the catalogue.

    Raises:
        MisuseError: When the backup would touch a secret that the target doesn't have, touch one twice, or use a key of
            another account.
    """
    chosen = [secret for secret in backup.secrets if not names or secret.name in names]
    # The file is only as trustworthy as its creator: it can name any secret of the account.
    wanted = [target.name_of(saved, backup) for saved in chosen]
    if strange := sorted(set(wanted) - target.names):
        options = "".join(f" --also {name}" for name in strange)
        raise MisuseError(
            f"the backup holds {', '.join(strange)}, which stack {target.environment} neither declares nor has adopted; nothing "
            f"was restored. Leave it out with --only, or include it with{options}"
        )
    if len(set(wanted)) < len(wanted):
        raise MisuseError("the backup holds two secrets for one name; nothing was restored")
    foreign = {s.kms_key_id for s in chosen if s.kms_key_id and _account(s.kms_key_id) not in {"", target.account}}
    if foreign and backup.account == target.account and not target.secret_key:
        raise MisuseError(f"the backup names keys of another account: {', '.join(sorted(foreign))}; give --secret-key")
    return [_work(aws, backup, target, secret, rotated=secret.name in rotated) for secret in chosen]


def restore(aws: Aws, work: Work) -> None:
    """Restore one secret. When it fails, what is done stays done, and the next run continues from there."""
    client = aws.client("secretsmanager")
    if work.action == "create":
        extra = {"KmsKeyId": work.kms_key_id} if work.kms_key_id else {}
        tags = [{"Key": key, "Value": value} for key, value in work.tags.items()]
        client.create_secret(Name=work.name, Description=work.saved.description, Tags=tags, **extra)
    elif work.action == "recover":
        client.restore_secret(SecretId=work.name)
    # The current version first: the first version of a secret gets AWSCURRENT whatever labels it is written with.
    for version in sorted(work.puts, key=lambda v: CURRENT not in v.stages):
        client.put_secret_value(
            SecretId=work.name,
            ClientRequestToken=version.id,
            VersionStages=list(version.stages) or [_TEMPORARY],
            **version.value(),
        )
    _move_labels(aws, work)
    if work.tags and work.action != "create":
        client.tag_resource(SecretId=work.name, Tags=[{"Key": key, "Value": value} for key, value in work.tags.items()])
    if work.policy is not None:
        client.put_resource_policy(SecretId=work.name, ResourcePolicy=work.policy, BlockPublicPolicy=True)


def differing_versions(aws: Aws, saved: SavedSecret, name: str) -> list[str]:
    """Return the ids of the saved versions that don't read back as saved."""
    client = aws.client("secretsmanager")

    def differs(version: SavedVersion) -> bool:
        try:
            found = client.get_secret_value(SecretId=name, VersionId=version.id)
        except aws_errors() as error:
            # AWS can have removed a version without labels since.
            if code_of(error) in MISSING:
                return bool(version.stages)
            raise
        return any(found.get(kind) != value for kind, value in version.value().items())

    return [version.id for version, wrong in aws.each(differs, saved.versions).items() if wrong]


def translated(policy: str, backup: Backup, target: Target) -> str:
    """Return a resource policy as the target's account needs it: its own account, Region and partition in ARNs and conditions."""
    if (backup.account, backup.region, backup.partition) == (target.account, target.region, target.partition):
        return policy

    def arn(match: re.Match[str]) -> str:
        _, service, region, account = match.groups()
        region = target.region if region == backup.region else region
        return f"arn:{target.partition}:{service}:{region}:{target.account if account == backup.account else account}:"

    text = re.sub(r"arn:(aws[a-z-]*):([a-z0-9-]+):([a-z0-9-]*):(\d{12}):", arn, policy)
    return text.replace(f'"{backup.account}"', f'"{target.account}"')


def _work(aws: Aws, backup: Backup, target: Target, saved: SavedSecret, *, rotated: bool) -> Work:
    name = target.name_of(saved, backup)
    found = describe(aws, name)
    existing = _existing(aws, found) if found else {}
    have = {label: version for version, labels in existing.items() for label in labels}
    by_function = bool(found and found.rotation.lambda_arn)
    older = have.get(CURRENT) != saved.labels.get(CURRENT)
    left = older and by_function and not rotated
    database = _LEFT.format(saved.name) if left else ""
    if older and not left and (saved.rotates or by_function):
        database = _OLDER.format(saved.name)

    def relabelled(version: SavedVersion) -> SavedVersion:
        # Pulumi did not set what is restored: its labels are left out, except for a previous value that the secret lacks.
        stages = [s for s in version.stages if not s.startswith(OF_PULUMI) or (s == PREVIOUS_VALUE and s not in have)]
        if by_function and PREVIOUS in stages:
            # AWS moves it to the version that is current now: `ops rollback` then goes back to the function's value.
            stages.remove(PREVIOUS)
        if older and CURRENT in stages:
            # It comes first, so that it is there even after an interruption.
            stages = [RESTORED, *(stage for stage in stages if stage != RESTORED)]
        return replace(version, stages=tuple(stages))

    saved = replace(saved, versions=() if left else tuple(map(relabelled, saved.versions)))
    wanted = saved.labels
    tags = {key: value for key, value in saved.tags.items() if not key.startswith(_SYSTEM_TAGS)}
    policy = translated(saved.policy, backup, target) if saved.policy and target.with_policies else None
    if found is None:
        home = (backup.account, backup.region) == (target.account, target.region)
        key = target.secret_key or (saved.kms_key_id if home else None)
        return Work(
            saved, name, "create", saved.versions, wanted, tags, policy, key, _outsiders(policy, target), database
        )
    puts = tuple(version for version in saved.versions if version.id not in existing)
    moves = {label: version for label, version in wanted.items() if have.get(label) != version}
    tags = {key: value for key, value in tags.items() if found.tags.get(key) != value}
    # The policy of a secret that is pending deletion can't be read.
    if policy and not found.deleted:
        live = aws.client("secretsmanager").get_resource_policy(SecretId=name).get("ResourcePolicy")
        policy = None if live is not None and json.loads(live) == json.loads(policy) else policy
    action = "recover" if found.deleted else "change" if puts or moves or tags or policy else "nothing"
    return Work(saved, name, action, puts, moves, tags, policy, None, _outsiders(policy, target), database)


_LEFT = (
    "a function rotates it, and the database has the password that the function set last: the older value of the backup is not "
    "restored; --include-rotated {0} restores it"
)
_OLDER = (
    "a function rotates it: the value goes back to an older password, which the database may no longer accept. Then set the "
    "database user's password to it, or go back: python -m ops rollback {0}"
)


def _outsiders(policy: str | None, target: Target) -> tuple[str, ...]:
    """Return the principals outside the account that a policy allows something: other accounts, everybody, services."""
    found: dict[str, None] = {}
    for statement in parse(policy, source="resource policy") if policy else ():
        if not statement.allows:
            continue
        if "principal" in statement.negated:
            found["everybody except the principals that the policy names"] = None
            continue
        for kind, values in statement.principals.items():
            found |= dict.fromkeys(v for v in values if kind != "AWS" or _account(v) != target.account)
    return tuple(found)


def _account(principal: str) -> str:
    """Return the account of a principal, "" for one without an account: an id, or everybody."""
    return principal.split(":")[4] if principal.startswith("arn:") else principal if principal.isdigit() else ""


def _existing(aws: Aws, record: Record) -> dict[str, tuple[str, ...]]:
    """Return the labels of the target's versions by id; versions without a label are among them."""
    listed = () if record.deleted else list_versions(aws, record.arn)
    return {version["VersionId"]: () for version in listed} | dict(record.stages)


def list_versions(aws: Aws, secret: str) -> Iterator[Mapping[str, Any]]:
    """Yield the versions of a secret, by name or ARN, with those that have no label any more."""
    token: dict[str, str] = {}
    while True:
        page = aws.client("secretsmanager").list_secret_version_ids(SecretId=secret, IncludeDeprecated=True, **token)
        yield from page["Versions"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def written(aws: Aws, record: Record) -> datetime | None:
    """Return when a secret's current version was written, None without one."""
    current = record.version(CURRENT)
    return next((v["CreatedDate"] for v in list_versions(aws, record.arn) if v["VersionId"] == current), None)


def _move_labels(aws: Aws, work: Work) -> None:
    """Move each label to its version. Moving AWSCURRENT moves AWSPREVIOUS along, so that one comes after it."""
    wanted: dict[str, str | None] = {**work.saved.labels, _TEMPORARY: None}
    order = (RESTORED, CURRENT, PREVIOUS)
    for label in (*(label for label in order if label in wanted), *sorted(wanted.keys() - {*order})):
        record = describe(aws, work.name)
        holder = record.version(label) if record else None
        if holder != wanted[label]:
            given = {"MoveToVersionId": wanted[label]} if wanted[label] else {}
            given |= {"RemoveFromVersionId": holder} if holder else {}
            aws.client("secretsmanager").update_secret_version_stage(SecretId=work.name, VersionStage=label, **given)
