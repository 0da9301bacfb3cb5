"""`ops restore --pending`: takes a stack's deleted secrets and its key back, and tells the next `up` to take them over.

Secrets Manager keeps a deleted secret, with every version and label, until its recovery window ends; KMS keeps a key that is
pending deletion. Neither needs the outputs or the state: the names follow from the project, the stack and the catalogue.
Sources: AWS, Secrets Manager API, RestoreSecret; AWS, KMS API, CancelKeyDeletion (the key is disabled afterwards).
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from catalogue import APPLICATION
from components.labels import PREVIOUS as BEFORE
from components.labels import RESTORED
from components.names import Names, key_description
from config.declarations import generated
from ops._ask import confirm
from ops._aws import Aws, connect
from ops._console import print_json, say, working
from ops._errors import MISSING, AwsError, MisuseError, aws_errors, code_of, explained
from ops._secrets import CURRENT, PREVIOUS, Record, describe
from ops._stack import load
from ops.migrate._pulumi import ROOT, Configuration, project_file, property_path, runs_in_sandbox


@dataclass(frozen=True)
class Place:
    """Which stack is meant, and where it lives or lived.

    Attributes:
        names: What everything of it is called.
        aws: Its account and Region.
        full_names: Its own secrets' full names by name in the catalogue.
        known: ARNs of the secrets that its state has.
        in_words: For a question.
        rotations: Generations of generated values by configuration key, as the stack's file has them.
    """

    names: Names
    aws: Aws
    full_names: Mapping[str, str]
    known: frozenset[str]
    in_words: str
    rotations: Mapping[str, int]


@dataclass(frozen=True)
class Key:
    """The stack's own customer-managed key. `state` is KMS's, such as PendingDeletion or Disabled."""

    arn: str
    state: str


@dataclass(frozen=True)
class Found:
    """What exists of a stack's secrets, pending deletions included.

    Attributes:
        secrets: By name in the catalogue.
        missing: Names in the catalogue of which nothing exists.
        key: The stack's own key, if its secrets are encrypted with one.
        lost_keys: Keys of the secrets that don't exist any more.
    """

    secrets: Mapping[str, Record]
    missing: tuple[str, ...]
    key: Key | None
    lost_keys: tuple[str, ...] = ()

    @property
    def deleted(self) -> dict[str, Record]:
        """The secrets that are pending deletion."""
        return {name: record for name, record in self.secrets.items() if record.deleted}

    @property
    def key_to_take_back(self) -> Key | None:
        """The key, when nothing is decrypted before it is taken back."""
        return self.key if self.key and self.key.state != "Enabled" else None


def restore_pending(stack: str | None, outputs: Path | None, *, dry_run: bool, yes: bool, json_: bool) -> None:
    """Take back what of a stack is pending deletion, and configure what its state has lost. No value is read."""
    place = _place(stack, outputs)
    with working(f"Looking for the secrets of {place.names.stack}"):
        found = find(place.aws, place.full_names, key_description(place.names.prefix))
    work = [f"the key {found.key_to_take_back.arn}"] if found.key_to_take_back else []
    work += [record.name for record in found.deleted.values()]
    lost = {name: record for name, record in found.secrets.items() if record.arn not in place.known}
    _require_numbers(place, lost)
    restored: dict[str, Any] = {}
    if not dry_run and (work or lost):
        if work:
            confirm(f"Take {', '.join(work)} back in {place.in_words}?", yes=yes)
        take_back(place.aws, found)
        restored = _taken_over(place, found, lost)
    if json_:
        actions = {name: "recover" if record.deleted else "nothing" for name, record in found.secrets.items()}
        print_json(
            {
                "dry_run": dry_run,
                "secrets": [{"name": found.secrets[name].name, "action": action} for name, action in actions.items()],
                "missing": list(found.missing),
                "key": found.key and found.key.arn,
                "restored": restored,
                "sandbox_arguments": ["-c", f"restored={json.dumps(restored)}"] if restored else [],
                "failures": [],
            }
        )
    else:
        _show(place, found, dry_run=dry_run)
    if lost:
        _configure(place.names.stack, restored, lost, dry_run=dry_run, yes=yes)


def find(aws: Aws, full_names: Mapping[str, str], description: str) -> Found:
    """Return what exists.

    Args:
        aws: The stack's account and Region.
        full_names: Full names by name in the catalogue.
        description: How the stack's own key describes itself.

    Raises:
        AwsError: When AWS does not let it look.
    """
    described = aws.each(lambda full: describe(aws, full), full_names.values())
    records = {name: record for name, full in full_names.items() if (record := described[full])}
    keys = {key: _described_key(aws, key) for key in sorted({r.kms_key_id for r in records.values() if r.kms_key_id})}
    own = [Key(k["Arn"], k["KeyState"]) for k in keys.values() if k and k.get("Description") == description]
    return Found(
        secrets=records,
        missing=tuple(sorted(set(full_names) - set(records))),
        key=own[0] if own else None,
        lost_keys=tuple(key for key, metadata in keys.items() if metadata is None),
    )


def take_back(aws: Aws, found: Found) -> None:
    """Take the key and the secrets back. What is done already stays done when it fails, and the next run continues from there.

    Raises:
        AwsError: When AWS refuses it.
    """
    try:
        if key := found.key_to_take_back:
            if key.state == "PendingDeletion":
                aws.client("kms").cancel_key_deletion(KeyId=_id(key.arn))
            aws.client("kms").enable_key(KeyId=_id(key.arn))
        for record in found.deleted.values():
            aws.client("secretsmanager").restore_secret(SecretId=record.arn)
    except aws_errors() as error:
        refused = explained(error)
        raise AwsError(f"{refused}; run it again to continue", refused.code) from None


def taken_over(aws: Aws, record: Record, generations: Mapping[str, int]) -> Iterator[tuple[str, Any]]:
    """Yield what the configuration says of one secret that the next `up` takes over (model.declarations.Restored).

    The version whose values count from then on gets a label of its own: AWS removes versions without one.
    """
    yield "arn", record.arn
    current, previous = record.version(CURRENT), record.version(PREVIOUS)
    if current is None:
        return
    holder = record.version(RESTORED)
    if holder != current:
        remove = {"RemoveFromVersionId": holder} if holder else {}
        aws.client("secretsmanager").update_secret_version_stage(
            SecretId=record.arn, VersionStage=RESTORED, MoveToVersionId=current, **remove
        )
    yield "version", current
    if previous:
        yield "previous", previous
    if generations:
        yield "generations", dict(generations)


def _taken_over(place: Place, found: Found, lost: Mapping[str, Record]) -> dict[str, Any]:
    declared = {d.name: d for d in APPLICATION.catalogue(place.names.stack)}
    secrets: dict[str, Any] = {}
    for name, record in lost.items():
        own = generated([declared[name]]) if name in declared else {}
        generations = {key: place.rotations[key] for key in own if place.rotations.get(key, 1) > 1}
        secrets[name] = dict(taken_over(place.aws, record, generations))
    if not secrets:
        return {}
    return {**({"key": found.key.arn} if found.key else {}), "secrets": secrets}


def _require_numbers(place: Place, lost: Mapping[str, Record]) -> None:
    """Without its number the application would no longer get the value before of a text; of a JSON `up` sees it."""
    declared = {d.name: d for d in APPLICATION.catalogue(place.names.stack)}
    for name, record in lost.items():
        rotated = any(label.startswith(BEFORE) for labels in record.stages.values() for label in labels)
        for key, source in generated([declared[name]] if rotated and name in declared else ()).items():
            if source.keeps_previous and place.rotations.get(key, 1) == 1:
                file = f"Pulumi.{place.names.stack}.yaml"
                raise MisuseError(
                    f"{record.name}: was rotated, and {file} does not say how often, so that the application would not get the "
                    f"value before any more; nothing was changed. Give the number that it had, 2 or more, and run it again:\n"
                    f"  pulumi config set --stack {place.names.stack} --path rotations.{key} NUMBER"
                )


def _place(stack: str | None, outputs: Path | None) -> Place:
    """Return where the stack is by its outputs; of a stack without any, by its file, the project and the catalogue."""
    try:
        deployed = load(stack, outputs)
    except MisuseError as error:
        name = stack or ("dev" if runs_in_sandbox() else None)
        if outputs is not None or name is None:
            raise MisuseError(f"{error}\nof a stack that was destroyed, give the name: --stack NAME") from None
        return _place_by_name(name.rpartition("/")[2], str(error))
    names, config = deployed.names, _stack_file(deployed.environment)
    # With the entries that came back to the catalogue since the last `up`.
    adopted = {name for name in deployed.full_names if deployed.is_adopted(name)}
    own = {name: full for name, full in deployed.full_names.items() if name not in adopted}
    own |= _declared(names, config or {}, adopted)
    known = frozenset(deployed.secret_arns.values())
    return Place(names, connect(deployed), own, known, deployed.place, _rotations(config))


def _place_by_name(stack: str, why: str) -> Place:
    config = _stack_file(stack)
    if config is None:
        raise MisuseError(f"{why}\nand there is no Pulumi.{stack}.yaml in {ROOT}: is {stack!r} the stack's name?")
    names = Names(str(project_file(ROOT)["name"]), stack)
    region = config.get("aws:region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise MisuseError(f"in which Region is stack {stack}? Pulumi.{stack}.yaml has no aws:region: set AWS_REGION")
    aws = Aws(str(region))
    account = aws.caller().account
    allowed = [str(number) for number in config.get("aws:allowedAccountIds") or ()]
    if allowed and account not in allowed and not runs_in_sandbox():
        raise MisuseError(
            f"your credentials are of account {account}, Pulumi.{stack}.yaml allows {', '.join(allowed)} only"
        )
    full_names = _declared(names, config)
    in_words = f"{stack} (account {account}, {region}), of which there are no outputs"
    return Place(names, aws, full_names, frozenset(), in_words, _rotations(config))


def _declared(names: Names, config: Mapping[str, Any], adopted: Collection[str] = ()) -> dict[str, str]:
    """Return the full names of the secrets that the catalogue declares and nobody adopted."""
    elsewhere = {*adopted, *(config.get(f"{names.project}:adopt") or ())}
    return {d.name: names.secret(d.name) for d in APPLICATION.catalogue(names.stack) if d.name not in elsewhere}


def _stack_file(stack: str) -> Mapping[str, Any] | None:
    path = ROOT / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        return None
    content: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return cast("Mapping[str, Any]", content.get("config") or {})


def _rotations(config: Mapping[str, Any] | None) -> dict[str, int]:
    found: Any = (config or {}).get(f"{project_file(ROOT)['name']}:rotations") or {}
    return {str(key): int(number) for key, number in found.items()} if isinstance(found, dict) else {}


def _described_key(aws: Aws, key: str) -> Mapping[str, Any] | None:
    try:
        return aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    except aws_errors() as error:
        if code_of(error) in MISSING:
            return None
        raise explained(error) from None


def _id(key_arn: str) -> str:
    return key_arn.rpartition("/")[2]


def _show(place: Place, found: Found, *, dry_run: bool) -> None:
    if key := found.key_to_take_back:
        say(f"{key.arn}: {f'is {key.state}' if dry_run else 'taken back and enabled'}")
    for record in found.deleted.values():
        say(f"{record.name}: {'pending deletion' if dry_run else 'taken back, with its value'}")
    if not found.deleted and not found.key_to_take_back:
        say(f"Nothing of {place.in_words} is pending deletion.")
    for name in found.missing:
        say(f"{place.full_names[name]}: doesn't exist, so that `up` makes a new one (a backup: docs/backup.md)")
    for key in found.lost_keys:
        say(f"{key}: is gone for good; what it encrypted can't be read any more (a backup: docs/backup.md)")


def _configure(
    stack: str, restored: Mapping[str, Any], lost: Mapping[str, Record], *, dry_run: bool, yes: bool
) -> None:
    """Write what the next `up` takes over into the stack's configuration, or tell how the sandbox gets it."""
    names = ", ".join(sorted(lost))
    if dry_run:
        say(f"The state has lost {names}: without --dry-run, the configuration then says what `up` takes over.")
    elif runs_in_sandbox():
        say("\nLocal AWS: nothing is written. Bring the stack up with what was taken back, now and later:")
        say(f"    python -m sandbox up --stack {stack} -c 'restored={json.dumps(restored)}'")
    else:
        paths = dict(_paths(restored))
        confirm(f"Write into the configuration of stack {stack} what the next `up` takes over: {names}?", yes=yes)
        configuration = Configuration(stack, ROOT)
        for name in restored["secrets"]:
            configuration.remove(property_path("restored.secrets", name))
        for path, value in paths.items():
            configuration.set_plain(path, value)
        say(f"\nWritten. Next: pulumi up --refresh --stack {stack} (it shows imports of {names}, and no replacement)")


def _paths(restored: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "key" in restored:
        yield "restored.key", restored["key"]
    for name, entry in restored["secrets"].items():
        path = property_path("restored.secrets", name)
        for part, value in entry.items():
            if isinstance(value, dict):
                numbers = cast("dict[str, int]", value)
                yield from ((f"{path}.{part}.{key}", str(number)) for key, number in numbers.items())
            else:
                yield f"{path}.{part}", str(value)
