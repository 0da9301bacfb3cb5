"""`python -m ops backup` and `restore`: every value, version, label, tag and policy of a stack in one encrypted file."""

import base64
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from components.references import CURRENT
from ops._ask import confirm
from ops._aws import Aws, connect
from ops._backup_file import Backup, SavedSecret, SavedVersion, decrypt, encrypt, resolve_keys
from ops._console import counted, print_json, print_table, say, working
from ops._errors import MISSING, AwsError, MisuseError, OpsError, aws_errors, code_of, explained
from ops._files import write_whole
from ops._options import JsonOption, OutputsOption, StackOption, YesOption
from ops._plan import NoPlanError, read_plan
from ops._restoring import Target, Work, differing_versions, list_versions, plan
from ops._restoring import restore as restore_secret
from ops._secrets import describe, read_value, resource_policies
from ops._stack import Stack, in_sandbox, load
from ops.listing import records_of

_ATTEMPTS = 3
_STACK_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")

Several = list[str] | None


def _several(name: str, metavar: str, what: str) -> Any:
    return typer.Option(f"--{name}", metavar=metavar, help=f"{what}; repeatable.")


KeysOption = Annotated[Several, _several("kms-key", "KEY", "ARN, id or alias of a KMS key")]


def backup(
    to: Annotated[str, typer.Option("--to", metavar="FILE|s3://BUCKET/KEY", help="Where to write it.")],
    kms_key: KeysOption = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    json_: JsonOption = False,
) -> None:
    """Save every secret of the stack, encrypted with KMS keys; each key alone can open the file.

    Don't use the stack's key: it serves Secrets Manager only, and is deleted with the stack. A second key in another account
    or Region keeps the backup readable when the first is lost. Every read is recorded in CloudTrail.
    """
    if not kms_key:
        raise MisuseError("--kms-key is required: the KMS key that encrypts the backup (not the stack's own)")
    loaded = load(stack, outputs)
    aws = connect(loaded)
    keys = resolve_keys(aws, kms_key)
    if loaded.kms_key_arn in keys:
        raise MisuseError(
            "the stack's own key serves Secrets Manager only and is deleted with the stack: use another --kms-key"
        )
    with working("Reading every version of every secret"):
        saved = collect(aws, loaded)
    data = encrypt(saved, keys)
    _write(aws, to, data, force=force)
    secrets, versions, size = len(saved.secrets), sum(len(one.versions) for one in saved.secrets), len(data)
    if json_:
        where = {"file": to, "stack": saved.environment, "created": saved.created}
        print_json({**where, "secrets": secrets, "versions": versions, "bytes": size, "kms_keys": keys})
        return
    say(f"{to}: {counted(secrets, 'secret')}, {counted(versions, 'version')} of {loaded.place}, {size:,} bytes")
    say(f"opened by {', '.join(keys)}")


def collect(aws: Aws, stack: Stack) -> Backup:
    """Return all secrets of a stack, with values.

    Raises:
        OpsError: When one is missing, pending deletion or can't be read: a backup has all secrets or is not written.
    """
    records, arns = records_of(aws, stack), dict(sorted(stack.secret_arns.items()))
    problems = [
        f"{name} is pending deletion (python -m ops recover)"
        if record
        else f"{name} doesn't exist (python -m ops doctor)"
        for name, arn in arns.items()
        if (record := records[arn]) is None or record.deleted
    ]
    if problems:
        raise OpsError(f"no backup was written: {'; '.join(problems)}")
    policies = resource_policies(aws, arns.values())
    saved = aws.each(lambda name: _save(aws, name, arns[name], policies[arns[name]]), arns)
    return Backup(
        environment=stack.environment,
        prefix=stack.names.prefix,
        account=stack.account,
        region=stack.region,
        partition=stack.partition,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        secrets=tuple(saved.values()),
    )


def _save(aws: Aws, name: str, arn: str, policy: str | None) -> SavedSecret:
    for _ in range(_ATTEMPTS):
        before = describe(aws, arn)
        versions = _versions(aws, arn)
        after = describe(aws, arn)
        # A rotation in between would mix two states.
        if before and after and before.stages == after.stages:
            return SavedSecret(
                name=name,
                full_name=after.name,
                arn=after.arn,
                description=after.description,
                kms_key_id=after.kms_key_id,
                tags=dict(after.tags),
                policy=policy,
                rotates=after.rotation.enabled,
                replica_regions=tuple(replica.region for replica in after.replicas),
                versions=versions,
            )
    raise OpsError(f"no backup was written: {name} keeps changing; a rotation may be under way")


def _versions(aws: Aws, arn: str) -> tuple[SavedVersion, ...]:
    found: list[SavedVersion] = []
    for version in sorted(list_versions(aws, arn), key=lambda version: version["CreatedDate"]):
        stages = tuple(version.get("VersionStages", ()))
        try:
            value = read_value(aws, arn, version_id=version["VersionId"])
        except AwsError as error:
            # AWS removes versions without labels at any time.
            if error.code in MISSING and not stages:
                continue
            raise
        binary = None if value.binary is None else base64.b64encode(value.binary).decode()
        found.append(SavedVersion(value.version_id, stages, value.created.isoformat(), value.text, binary))
    return tuple(found)


def restore(
    source: Annotated[str, typer.Argument(metavar="FILE|s3://BUCKET/KEY", help="The backup.")],
    *,
    kms_key: KeysOption = None,
    also: Annotated[Several, _several("also", "NAME", "Full name of a secret that the stack doesn't know")] = None,
    allow: Annotated[
        Several, _several("allow", "PRINCIPAL", "A principal outside the account that a saved policy allows")
    ] = None,
    only: Annotated[Several, _several("only", "NAME", "Only this secret")] = None,
    include_rotated: Annotated[
        Several, _several("include-rotated", "NAME", "Restore this secret's value although a function rotates it")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="ID", help="Required to restore into another account.")
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="REGION", help="By default the backup's Region.")
    ] = None,
    secret_key: Annotated[
        str | None,
        typer.Option("--secret-key", metavar="KEY", help="KMS key of created secrets, instead of their own."),
    ] = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    policies: Annotated[bool, typer.Option(help="Also the resource policies.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    yes: YesOption = False,
    json_: JsonOption = False,
) -> None:
    """Restore the secrets of a backup, into the same or another account, Region or stack.

    Secrets that exist keep their newer versions; labels move to the versions that had them. Secrets that are pending deletion are
    restored first. Version ids stay, so that Pulumi's state still fits. A second run continues where the first ended.

    It opens the file with the named keys only, and touches only secrets that the stack declares or has adopted.
    """
    saved, aws, target = _open(
        source,
        kms_key=kms_key,
        account=account,
        region=region,
        stack=stack,
        secret_key=secret_key,
        policies=policies,
    )
    target = replace(target, names=target.names | _deployed(saved, target, outputs) | set(also or ()))
    unknown = {*(only or ()), *(include_rotated or ())} - {secret.name for secret in saved.secrets}
    if unknown:
        held = ", ".join(sorted(secret.name for secret in saved.secrets))
        raise MisuseError(f"the backup holds no {', '.join(sorted(unknown))}; it holds {held}")
    with working("Comparing with what is there"):
        works = plan(aws, saved, target, only or (), include_rotated or ())
    if not json_:
        _show(works, saved, target)
        for work in works:
            if work.database:
                say(f"{work.name}: {work.database}")
    if not dry_run:
        busy = sum(work.action != "nothing" for work in works)
        older = ", ".join(work.saved.name for work in works if work.database and CURRENT in work.moves)
        confirm(
            f"Restore {counted(busy, 'secret')} of {saved.environment} ({saved.created}) as {target.environment} in account "
            f"{target.account}, {target.region}?"
            + (f" The database may no longer accept the passwords of {older}." if older else ""),
            yes=yes or not busy,
        )
        _confirm_outsiders(works, target, allow or ())
    failures = [] if dry_run else _restore_all(aws, works)
    if json_:
        done = {
            "dry_run": dry_run,
            "secrets": [work.document() for work in works],
            "failures": list(map(str, failures)),
        }
        print_json(done)
    if failures:
        raise type(max(failures, key=lambda one: one.status))("\n".join(map(str, failures)))
    if not dry_run:
        _tell_next(works, target)


def _open(
    source: str,
    *,
    kms_key: Sequence[str] | None,
    account: str | None,
    region: str | None,
    stack: str | None,
    secret_key: str | None,
    policies: bool,
) -> tuple[Backup, Aws, Target]:
    if not kms_key:
        raise MisuseError(
            "--kms-key is required: a key that encrypted the backup. What the file says about its keys proves nothing"
        )
    # The backup's Region is inside the file: read it first, with the Region of the environment.
    start = Aws(region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1")
    data = _read(start, source)
    caller = start.caller()
    # The ARN of a key is enough to decrypt with it; only other names need the right to describe it.
    keys = [key if ":key/" in key else resolve_keys(start, [key])[0] for key in kms_key]
    saved = decrypt(data, key_arns=keys)
    if account not in {None, caller.account}:
        raise MisuseError(f"your credentials belong to account {caller.account}, not to {account}: switch the profile")
    if account is None and caller.account != saved.account:
        raise MisuseError(
            f"the backup belongs to account {saved.account}, your credentials to {caller.account}: "
            f"to restore into that account, add --account {caller.account}"
        )
    environment = (stack or saved.environment).rpartition("/")[2]
    if not _STACK_NAME.fullmatch(environment):
        raise MisuseError(f"{stack!r} is not a stack name: letters, digits, hyphens, underscores and full stops")
    prefix, names = _planned(saved, environment)
    target = Target(
        environment=environment,
        account=caller.account,
        region=region or saved.region,
        partition=caller.arn.split(":")[1],
        prefix=prefix,
        names=names,
        secret_key=secret_key,
        with_policies=policies,
    )
    return saved, Aws(target.region), target


def _planned(saved: Backup, environment: str) -> tuple[str, frozenset[str]]:
    """Return how the stack's names begin, and the full names of the secrets that the application says it has.

    A program that prints no plan has only those of its deployed stack (`_deployed`).
    """
    try:
        plan = read_plan(environment)
    except NoPlanError:
        return f"{saved.prefix.removesuffix(f'-{saved.environment}')}-{environment}", frozenset()
    own = [secret for secret in plan.secrets.values() if not secret.foreign]
    return plan.prefix, frozenset(name for s in own for name in (s.full_name, s.live_name) if name)


def _deployed(saved: Backup, target: Target, outputs: Path | None) -> frozenset[str]:
    """Return the full names of the deployed stack's secrets, asked for only when the plan doesn't have them all."""
    if {target.name_of(secret, saved) for secret in saved.secrets} <= target.names:
        return frozenset()
    try:
        stack = load(target.environment, outputs)
    except MisuseError:  # it is not deployed
        return frozenset()
    here = (stack.environment, stack.account, stack.region) == (target.environment, target.account, target.region)
    return frozenset(stack.full_names.values()) if here else frozenset()


def _confirm_outsiders(works: Sequence[Work], target: Target, allowed: Sequence[str]) -> None:
    """Ask about every principal outside the account that a saved policy allows."""
    found = {principal: work.name for work in works for principal in work.outsiders if principal not in allowed}
    if not found:
        return
    for principal, name in found.items():
        say(f"{name}: its policy allows {principal}, which is outside account {target.account}")
    if not sys.stdin.isatty():
        options = "".join(f" --allow '{principal}'" for principal in found)
        raise MisuseError(f"nothing was restored; to allow them, add{options}, otherwise --no-policies")
    confirm(f"Allow {len(found)} outside account {target.account}?", yes=False)


def _restore_all(aws: Aws, works: list[Work]) -> list[OpsError]:
    failures: list[OpsError] = []
    for work in works:
        with working(f"Restoring {work.name}"):
            what = "not restored completely"
            try:
                if work.action != "nothing":
                    restore_secret(aws, work)
                what = "restored, but not read back"
                wrong = differing_versions(aws, work.saved, work.name)
            except aws_errors() as error:
                failures.append(AwsError(f"{work.name} is {what}: {explained(error)}; run it again to continue"))
                continue
        if wrong:
            failures.append(OpsError(f"{work.name}: version {', '.join(wrong)} does not read back as saved"))
    return failures


def _show(works: list[Work], saved: Backup, target: Target) -> None:
    def allowed(work: Work) -> str:
        return f"allows {', '.join(work.outsiders)}" if work.outsiders else "nobody outside the account"

    rows = [
        (
            work.name,
            work.action,
            len(work.puts) or "",
            ", ".join(sorted(work.moves)),
            ", ".join(sorted(work.tags)),
            allowed(work) if work.policy else "",
        )
        for work in works
    ]
    title = f"{saved.environment} as of {saved.created} into {target.environment} (account {target.account}, {target.region})"
    print_table(title, ("secret", "action", "versions", "labels", "tags", "policy"), rows)


def _tell_next(works: list[Work], target: Target) -> None:
    say(f"{counted(len(works), 'secret')} read back as saved.")
    if made := [work for work in works if work.action == "create"]:
        refresh = "python -m sandbox refresh" if in_sandbox() else "pulumi refresh"
        named = "".join(f" --secret {work.saved.name}={work.name}" for work in made)
        say(
            "Created secrets have new ARNs. Refresh the stack, so that it forgets the old ones, then adopt them:\n"
            f"    {refresh} --stack {target.environment}\n"
            f"    python -m ops migrate adopt --stack {target.environment}{named}"
        )
    if any(work.saved.rotates or work.saved.replica_regions for work in works if work.action == "create"):
        say("Rotation and replicas are not part of a backup: `pulumi up` sets them up.")
    for work in works:
        if work.database and CURRENT in work.moves:
            say(f"{work.name}: {work.database}")
    say(
        f"Tasks read secrets when they start: redeploy the service, then python -m ops doctor --stack {target.environment}"
    )


def _bucket_and_key(place: str) -> tuple[str, str] | None:
    parts = urlsplit(place)
    if parts.scheme != "s3":
        return None
    if not parts.netloc or not parts.path.strip("/"):
        raise MisuseError(f"{place} is not an object in S3: s3://BUCKET/KEY")
    return parts.netloc, parts.path.lstrip("/")


def _write(aws: Aws, place: str, data: bytes, *, force: bool) -> None:
    exists = f"{place} exists: add --force to replace it, or choose another name"
    if remote := _bucket_and_key(place):
        only_new: dict[str, Any] = {} if force else {"IfNoneMatch": "*"}
        try:
            aws.client("s3").put_object(Bucket=remote[0], Key=remote[1], Body=data, **only_new)
        except aws_errors() as error:
            if code_of(error) == "PreconditionFailed":
                raise MisuseError(exists) from None
            raise
        return
    if Path(place).exists() and not force:
        raise MisuseError(exists)
    write_whole(place, data, private=True)  # encrypted, and still private


def _read(aws: Aws, place: str) -> bytes:
    if remote := _bucket_and_key(place):
        return aws.client("s3").get_object(Bucket=remote[0], Key=remote[1])["Body"].read()
    try:
        return Path(place).read_bytes()
    except OSError as error:
        raise MisuseError(f"{place} can't be read: {error.strerror}") from None
