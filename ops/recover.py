"""`ops recover`: restores a stack from what AWS has, after any incident, with Pulumi's own commands and without a new value.

It recovers a destroyed stack, a lost state, an `up` that was cut off, and a secret that was deleted or created
outside Pulumi. Values go from AWS to `pulumi import` through a pipe: no file, argument or state has one in the clear.
Sources: Pulumi, "Importing resources" (`preview --import-file`, `import --file`); AWS, Secrets Manager API, RestoreSecret; AWS,
KMS API, CancelKeyDeletion (the key is disabled afterwards).
"""

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any

import typer

from components.labels import LIVE, PREVIOUS, RECOVERED
from components.location import Location, partition_of
from components.outputs import STACK
from components.references import CURRENT
from ops._ask import confirm
from ops._aws import Aws
from ops._console import counted, print_json, say, working
from ops._engine import Engine
from ops._errors import MISSING, AwsError, MisuseError, aws_errors, code_of, explained
from ops._existing import SECRET, TASK_DEFINITION, VERSION, Existing, Wanted
from ops._json import json_object
from ops._plan import Plan, Secret, connect_planned, read_plan
from ops._secrets import Record, describe
from ops._stack import ROOT, in_sandbox, selected_in_sandbox

LIST_ONLY = "ECS_SECRETS_LIST_ONLY"
"""The components' hooks refuse nothing in a preview with this variable (components/hooks.py)."""

_PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 - a type
_STASH = "pulumi:index:Stash"
_GUARD = f"ecs-secrets:index:Secrets${_STASH}::"
_OF_A_SECRET = (
    SECRET,
    VERSION,
    "aws:secretsmanager/secretPolicy:SecretPolicy",
    "aws:secretsmanager/secretRotation:SecretRotation",
)
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a type's mark
_ONLY_INPUTS = ("recoveryWindowInDays", "skipDestroy", "deletionWindowInDays", "forceDetachPolicies", "forceDestroy")
"""Inputs that AWS does not store, so that a read does not return them: without them a later deletion behaves differently."""

_PROTECTED = {SECRET, _PASSWORD, "aws:kms/key:Key"}
"""The types that the program protects."""

_HARMLESS = {"create", "update", "same", "read", "refresh", "import"}


@dataclass(frozen=True)
class Key:
    """The stack's own KMS key. `state` is KMS's, such as PendingDeletion or Disabled."""

    arn: str
    state: str


@dataclass(eq=False)
class Recovery:
    """One run on one stack.

    Attributes:
        engine: The Pulumi CLI.
        aws: The stack's account and Region.
        account: The account.
        plan: The application's plan of the stack.
        done: What was done, a line each.
        left: What is left to do, a line each.
    """

    engine: Engine
    aws: Aws
    account: str
    plan: Plan
    done: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])

    @property
    def place(self) -> str:
        """For a question."""
        return f"{self.engine.stack} (account {self.account}, {self.aws.region})"

    @cached_property
    def own(self) -> Mapping[str, Secret]:
        """The plan of the secrets that the stack creates, by name."""
        return {name: secret for name, secret in self.plan.secrets.items() if secret.owner == STACK}

    @cached_property
    def full_names(self) -> Mapping[str, str]:
        """AWS's names of the secrets that the stack creates, by name."""
        return {name: secret.full_name for name, secret in self.own.items() if secret.full_name}

    def records(self) -> dict[str, Record]:
        """Return the stack's own secrets that exist, pending deletions included, by name."""
        found = self.aws.each(lambda full: describe(self.aws, full), self.full_names.values())
        return {name: record for name, full in self.full_names.items() if (record := found[full])}

    def key(self, records: Mapping[str, Record]) -> Key | None:
        """Return the stack's own key: by its alias, or, when that is deleted, by what encrypts the secrets."""
        ids = [self.plan.key_alias, *sorted({r.kms_key_id for r in records.values() if r.kms_key_id})]
        for metadata in map(self._described_key, ids):
            if metadata and metadata.get("Description") == self.plan.key_description:
                return Key(metadata["Arn"], metadata["KeyState"])
        return None

    def restore(self, key: Key | None, deleted: Mapping[str, Record]) -> None:
        """Restore the key and the secrets that are pending deletion. Repeated, it continues.

        Raises:
            AwsError: When AWS refuses it.
        """
        try:
            if key and key.state != "Enabled":
                key_id, kms = key.arn.rpartition("/")[2], self.aws.client("kms")
                if key.state == "PendingDeletion":
                    kms.cancel_key_deletion(KeyId=key_id)
                kms.enable_key(KeyId=key_id)
                self.done.append(f"{key.arn}: restored and enabled")
            for record in deleted.values():
                self.aws.client("secretsmanager").restore_secret(SecretId=record.arn)
                self.done.append(f"{record.name}: restored with its value")
        except aws_errors() as error:
            refused = explained(error)
            raise AwsError(f"{refused}; run it again to continue", refused.code) from None

    def settle(self, state: Mapping[str, Any], records: Mapping[str, Record]) -> None:
        """Remove interrupted operations and missing secrets from the state; it also finds a lock that is left."""
        pending = state.get("pending_operations") or ()
        arns = {record.arn for record in records.values()}
        gone = [r["urn"] for r in self._secrets_of(state) if str(r["id"]).partition("|")[0] not in arns]
        # What was being deleted can be gone.
        deleting = [operation["resource"]["urn"] for operation in pending if operation["type"] == "deleting"]
        root = [r["urn"] for r in state.get("resources") or () if r["type"] == "pulumi:pulumi:Stack"]
        known = {r["urn"] for r in state.get("resources") or ()}
        targets = [urn for urn in dict.fromkeys([*gone, *deleting]) if urn in known] or root[:1]
        words = [word for urn in targets for word in ("--target", urn)]
        self.engine.run("refresh", "--yes", "--skip-preview", "--clear-pending-creates", *words)
        if pending:
            self.done.append(f"{counted(len(pending), 'operation')} that were cut off: settled")
        for urn in gone:
            if f"{SECRET}::" in urn:
                self.done.append(f"{urn.rpartition('::')[2]}: the state had it under an ARN that doesn't exist in AWS")
        left = [r for r in state.get("resources") or () if r["urn"] not in gone]
        self._take_values([n for n in records if not any(self._is_secret(resource, n) for resource in left)])

    def _take_values(self, names: Sequence[str]) -> None:
        """Give the state AWS's values of secrets that it doesn't have, or had under another ARN, and no record of them."""
        if not names:
            return
        exported = json.loads(self.engine.run("stack", "export"))
        before, full_names = json.dumps(exported), {self.full_names[name] for name in names}
        generated = {at: self._values[at] for n in names for at in _generated(self.own[n]) if at in self._values}
        for resource in (exported.get("deployment") or {}).get("resources") or ():
            for known in _recorded(resource):
                for name in [n for n, record in known.items() if record["secret"] in full_names]:
                    del known[name]
            at = _password_key(resource["urn"], self._keys)
            if at not in generated:
                continue
            if resource["type"] == _PASSWORD:
                resource.update(_password(resource["inputs"], generated[at]))
            elif resource["type"] == _STASH and resource["urn"].endswith(f"-kept-{at[0]}-{at[1]}"):
                resource.update(_kept(generated[at], generated.get((at[0], at[1] - 1))))
        if json.dumps(exported) != before:
            self.engine.run("stack", "import", stdin=json.dumps(exported))

    def forget(self, urns: Iterable[str]) -> None:
        """Remove resources and their dependents from the state only: the import that follows restores them."""
        for urn in urns:
            known = {resource["urn"] for resource in (self.engine.state() or {}).get("resources") or ()}
            if urn in known:
                self.engine.run("state", "delete", urn, "--yes", "--force", "--target-dependents")

    def entries(
        self, wanted: Sequence[Mapping[str, Any]], listed: Mapping[str, Any], existing: Existing
    ) -> dict[str, Any]:
        """Return the file for `pulumi import`: what exists, and the components above it.

        Args:
            wanted: The steps of the preview that create something.
            listed: The file that the same preview wrote.
            existing: Finds what exists.
        """
        steps = {(s["newState"]["type"], s["urn"].rpartition("::")[2]): s for s in wanted}
        kept: list[dict[str, Any]] = []
        for entry in listed.get("resources") or ():
            step = steps.get((entry["type"], entry.get("logicalName") or entry["name"]))
            if entry.get("component"):
                kept.append(entry)
            elif step and (filled := self._filled(entry, step, existing)):
                kept.append(filled)
        used = {entry.get("parent") for entry in kept if not entry.get("component")}
        parents = {entry["name"]: entry.get("parent") for entry in kept if entry.get("component")}
        for name in list(used):
            while name in parents and (name := parents[name]):
                used.add(name)
        return {**listed, "resources": [e for e in kept if not e.get("component") or e["name"] in used]}

    def _filled(self, entry: dict[str, Any], step: Mapping[str, Any], existing: Existing) -> dict[str, Any] | None:
        inputs = {k: v for k, v in (step["newState"].get("inputs") or {}).items() if k != "__defaults"}
        if entry["type"] == _PASSWORD:
            value = self._values.get(_password_key(step["urn"], self._keys) or ("", 0))
            return {**entry, "id": "none", **_password(inputs, value)} if value else None
        after = step["newState"].get("propertyDependencies") or {}
        found = existing.find(Wanted(step["urn"], entry["type"], inputs, after))
        if not found:
            return None
        lost = {name: inputs[name] for name in _ONLY_INPUTS if name in inputs}
        return {**entry, "id": found, **({"inputs": lost} if lost else {})}

    @cached_property
    def _keys(self) -> frozenset[tuple[str, int]]:
        """Configuration key and number of every generated value."""
        return frozenset(at for secret in self.own.values() for at in _generated(secret))

    @cached_property
    def _values(self) -> Mapping[tuple[str, int], str]:
        """The generated values that AWS has, by configuration key and number: a secret that is gone may share one."""
        return {
            generated: value
            for name, secret in self.own.items()
            for generated, (key, stages) in _generated(secret).items()
            if (value := next((v for stage in stages if (v := self._live(name, stage).get(key))), None))
        }

    @cache  # noqa: B019 - a run has one
    def _live(self, name: str, stage: str) -> Mapping[str, str]:
        """Return a version's values by JSON key, "" for a text; empty where there is none."""
        try:
            found = self.aws.client("secretsmanager").get_secret_value(
                SecretId=self.full_names[name], VersionStage=stage
            )
        except aws_errors() as error:
            if code_of(error) in MISSING:
                return {}
            raise explained(error) from None
        text = found.get("SecretString") or ""
        parts = json_object(text) if self.own[name].json else {"": text}
        return {key: value for key, value in (parts or {}).items() if isinstance(value, str)}

    def label(self, state: Mapping[str, Any], records: Mapping[str, Record]) -> None:
        """Move the label of the live version to the state's live version: its values are this program's now.

        Those of a rotated secret are not, even if the program's differ only in the user's name.
        """
        resources = state.get("resources") or ()
        ids = {str(r.get("id")) for r in resources if r["type"] == VERSION}
        recorded = {found["secret"]: found for r in resources for known in _recorded(r) for found in known.values()}
        for record in records.values():
            stashed = recorded.get(record.name)
            label = RECOVERED if not stashed or stashed["rotated"] else LIVE
            current = record.version(CURRENT)
            # Either keeps the version; what an earlier recovery labelled stays as it is.
            labels = [at for at in record.stages.get(current or "", ()) if at in {LIVE, RECOVERED}]
            if current and f"{record.arn}|{current}" in ids and not labels:
                self._move(record, label, current)
            before = next((v for v in record.stages if v != current and f"{record.arn}|{v}" in ids), None)
            if before and not record.version(PREVIOUS):
                self._move(record, PREVIOUS, before)

    def _move(self, record: Record, label: str, version: str) -> None:
        holder = record.version(label)
        self.aws.client("secretsmanager").update_secret_version_stage(
            SecretId=record.arn,
            VersionStage=label,
            MoveToVersionId=version,
            **({"RemoveFromVersionId": holder} if holder else {}),
        )
        self.done.append(
            f"{record.name}: {label} is on the version {'before' if label == PREVIOUS else 'that is live'}"
        )

    def _described_key(self, key: str) -> Mapping[str, Any] | None:
        try:
            return self.aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]
        except aws_errors() as error:
            if code_of(error) in MISSING:
                return None
            raise explained(error) from None

    def _secrets_of(self, state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Yield the resources of the stack's own secrets that have a secret's ARN as ID."""
        for resource in state.get("resources") or ():
            arn = str(resource.get("id", "")).partition("|")[0]
            if resource["type"] in _OF_A_SECRET and any(
                re.fullmatch(rf".*:secret:{re.escape(n)}-\w{{6}}", arn) for n in self.full_names.values()
            ):
                yield resource

    def _is_secret(self, resource: Mapping[str, Any], name: str) -> bool:
        """Return whether a resource is the one of that secret: `<component>-<secret>`."""
        logical = resource["urn"].rpartition("::")[2]
        others = [n for n in self.own if n != name and n.endswith(f"-{name}")]
        return (
            resource["type"] == SECRET
            and (logical == name or logical.endswith(f"-{name}"))
            and not any(logical == n or logical.endswith(f"-{n}") for n in others)
        )


def recover(
    stack: Annotated[str, typer.Option("--stack", "-s", help="The stack's name.")] = "",
    config: Annotated[
        list[str],
        typer.Option(
            "-c", "--config", metavar="KEY=VALUE", help="Local AWS: configuration, as `python -m sandbox up` takes it."
        ),
    ] = [],  # noqa: B006 - typer copies it
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be restored.")] = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,  # noqa: FBT002
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,  # noqa: FBT002
) -> None:
    """Restore a stack from what AWS has, with its values: after a destroy, a lost state, an interrupted `up`."""
    recovery = _begin(stack, config, ask=lambda question: confirm(question, yes=yes))
    records = recovery.records()
    key = recovery.key(records)
    deleted = {name: record for name, record in records.items() if record.deleted}
    work = [f"the key {key.arn}"] if key and key.state != "Enabled" else []
    work += [record.name for record in deleted.values()]
    if dry_run:
        _show(recovery, [f"{what}: would be restored" for what in work], json_=json_)
        return
    if work:
        confirm(f"Restore {', '.join(work)} in {recovery.place}?", yes=yes)
    recovery.restore(key, deleted)
    with working(f"Recovering {recovery.engine.stack}"):
        _recover(recovery, key, ask=lambda question: confirm(question, yes=yes))
    _show(recovery, [], json_=json_)
    if recovery.left:
        raise typer.Exit(1)


def _begin(stack: str, config: Sequence[str], ask: Callable[[str], None]) -> Recovery:
    local = in_sandbox()
    name = (stack or (selected_in_sandbox() if local else "")).rpartition("/")[2]
    if not name:
        raise MisuseError("no stack is selected: add --stack NAME")
    if config and not local:
        raise MisuseError("-c is for the local AWS; a stack on AWS has its configuration in its file")
    found = read_plan(name, ROOT, configured=True)
    aws, account = connect_planned(name, found)
    return Recovery(Engine(name, ROOT, local, tuple(config), ask), aws, account, found)


def _recover(recovery: Recovery, key: Key | None, ask: Callable[[str], None]) -> None:
    engine = recovery.engine
    state = engine.state()
    if state is None:
        ask(f"The backend has no stack {engine.stack}. Create it?")
        engine.init()
        recovery.done.append(f"stack {engine.stack}: created in the backend")
        state = {}
    recovery.settle(state, recovery.records())
    steps, found = _import(recovery, key)
    if found or any(step["op"] != "same" for step in steps) or any(map(_is_imported, state.get("resources") or ())):
        _up(recovery)
    recovery.label(engine.state() or {}, recovery.records())


def _import(recovery: Recovery, key: Key | None) -> tuple[list[Mapping[str, Any]], int]:
    """Import what exists; return the steps of the preview that listed it, and how many resources were imported."""
    engine = recovery.engine
    # Created first, since the CLI would write it with another mode. It has types and names, and no value.
    file, path = tempfile.mkstemp(prefix="pulumi-import-", suffix=".json")
    os.close(file)
    try:
        steps = list(engine.preview("--import-file", path, **{LIST_ONLY: "1"}))
        listed = json.loads(Path(path).read_text(encoding="utf-8") or "{}")
    finally:
        Path(path).unlink()
    wanted = [step for step in steps if step["op"] == "create"]
    known = {step["urn"]: str(step["newState"]["id"]) for step in steps if (step.get("newState") or {}).get("id")}
    location = Location(partition_of(recovery.aws.region), recovery.aws.region, recovery.account)
    existing = Existing(recovery.aws, location, key and key.arn, PREVIOUS, known)
    entries = recovery.entries(wanted, listed, existing)
    found = [entry for entry in entries["resources"] if not entry.get("component")]
    if found:
        # Protected until the next `up` has written what AWS does not return: nothing is replaced or deleted meanwhile.
        words = ("import", "--file", "/dev/stdin", "--yes", "--skip-preview", "--generate-code=false")
        engine.run(*words, stdin=json.dumps(entries))
        recovery.done.append(f"{counted(len(found), 'resource')} imported: {', '.join(_counts(found))}")
    return steps, len(found)


def _up(recovery: Recovery) -> None:
    """Write the properties that AWS does not return, unless that replaces or deletes something."""
    engine = recovery.engine
    steps, state = list(engine.preview()), engine.state() or {}
    imported = {resource["urn"] for resource in state.get("resources") or () if _is_imported(resource)}
    # Another revision than the program's: that one is created beside it, and replaces nothing.
    others = {
        step["urn"] for step in steps if "replace" in step["op"] and f"{TASK_DEFINITION}::" in step["urn"]
    } & imported
    recovery.forget(sorted(others))
    # A Stash is in the state only.
    unsafe = {s["urn"] for s in steps if s["op"] not in _HARMLESS and f"{_STASH}::" not in s["urn"]} - others
    if unsafe:
        names = ", ".join(map(_named, sorted(unsafe)))
        command = f"{'python -m sandbox' if engine.sandbox else 'pulumi'} up --stack {engine.stack}"
        recovery.left.append(f"{command}   (it replaces or deletes {names}: check its preview first)")
        return
    engine.run("up", "--yes", "--skip-preview", "--suppress-outputs")
    ops = {step["urn"]: "create" if step["urn"] in others else step["op"] for step in steps}
    changed = [f"{op} {_named(urn)}" for urn, op in ops.items() if op not in {"same", "read"}]
    recovery.done.append(f"pulumi up: {', '.join(changed) or 'no change'}")


def _is_imported(resource: Mapping[str, Any]) -> bool:
    """Return whether a resource was imported, and no `up` has written it since: the program itself protects other types only."""
    return bool(resource.get("protect")) and resource["type"] not in _PROTECTED


def _named(urn: str) -> str:
    kind, _, name = urn.split("::", 2)[2].rpartition("::")
    return f"{kind.rpartition(':')[2]} {name}"


def _counts(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    kinds = [entry["type"].rpartition(":")[2] for entry in entries]
    return [f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))]


def _recorded(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the records of secrets by name in a state's resource (components/value_guard.py), of its inputs and its outputs."""
    if _GUARD in resource["urn"]:
        for properties in ("outputs", "inputs"):
            if known := resource[properties]["input"].get("secrets"):  # not in the Stash of a kept value
                yield known


def _password(inputs: Mapping[str, Any], value: str) -> dict[str, Any]:
    """Return a RandomPassword's whole state, so that no read takes the value as ID, which would be in the clear in the state."""
    given = {**inputs, "length": len(value)}
    secret = {_SIGNATURE: _SECRET_SIGNATURE, "plaintext": json.dumps(value)}
    return {"inputs": given, "outputs": {**given, "id": "none", "result": secret}}


def _kept(value: str, before: str | None) -> dict[str, Any]:
    """Return the state of the Stash that keeps a value for later numbers (components/app_secrets.py)."""
    content = {"value": value, "previous": before}
    secret = {_SIGNATURE: _SECRET_SIGNATURE, "plaintext": json.dumps(content)}
    return {"inputs": {"input": secret}, "outputs": {"input": secret, "output": secret}}


def _generated(secret: Secret) -> dict[tuple[str, int], tuple[str, tuple[str, ...]]]:
    """Return where a secret has its generated values, by configuration key and number: the JSON key and staging labels."""
    found: dict[tuple[str, int], tuple[str, tuple[str, ...]]] = {}
    for key, part in secret.parts.items():
        if part.kind == "generated" and part.config_key is not None:
            found[part.config_key, part.number] = key, (CURRENT,)
            if part.number > 1:
                before = (f"{key}_PREVIOUS", (CURRENT,)) if key else ("", (PREVIOUS, "AWSPREVIOUS"))
                found[part.config_key, part.number - 1] = before
    return found


def _password_key(urn: str, known: Iterable[tuple[str, int]]) -> tuple[str, int] | None:
    """Return configuration key and number of a generated value from its resource's name, `<component>-<key>-<number>`.

    A key can end like another one: the longest counts.
    """
    name = urn.rpartition("::")[2]
    found = [(key, n) for key, n in known if re.fullmatch(rf"(?:.*-)?{re.escape(key)}-{n}", name)]
    return max(found, key=lambda at: len(at[0]), default=None)


def _show(recovery: Recovery, would: Sequence[str], *, json_: bool) -> None:
    if json_:
        print_json({"stack": recovery.engine.stack, "would": list(would), "done": recovery.done, "left": recovery.left})
        return
    for line in (*would, *recovery.done):
        say(line)
    if not would and not recovery.done and not recovery.left:
        say(f"{recovery.place}: there is nothing to do.")
    if recovery.left:
        say("Left to do:")
    for line in recovery.left:
        say(f"  {line}")
