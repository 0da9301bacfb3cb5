"""Keeps what is live: no change of configuration or catalogue replaces a secret, or puts a value over one that somebody else put.

Two facts decide, and neither is in the program: what the last `up` had (the engine's state knows) and what is live (AWS knows).
Both are asked by resource hooks, which the engine runs exactly where it is about to act, in the preview as well. What a hook
refuses, the engine does not do. docs/rotation.md, "Who owns a value", describes the whole.

Sources: Pulumi, "Resource hooks" and "Stash"; AWS, Secrets Manager API, PutSecretValue and "Secret versions".
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, cast

import pulumi
import pulumi_aws as aws

from components import hooks, labels, origins
from components.commands import keep_command
from components.origins import WHOLE, Origins
from components.restored_values import Held
from config.declarations import Declaration, Generated, JsonSecret

_CURRENT = "AWSCURRENT"

_ABSENT = re.compile("ResourceNotFoundException|can't find the specified secret")
_DENIED = re.compile("AccessDenied|not authorized")


_OTHERS_SECONDS = 0.5
"""How long a refusal waits for others."""

_Check = Callable[[pulumi.ResourceHookArgs], Awaitable[None] | None]


class LiveValueError(Exception):
    """A step that would take a live value away."""


@dataclass(frozen=True, repr=False)
class _Put:
    """A version that is about to be put; no repr, for it holds values.

    Attributes:
        name: The secret's name in the catalogue.
        stack: The stack.
        record_id: Id of the secret's record, which the labels of its versions have.
        parts: The new values by JSON key, `WHOLE` for a text.
        config_keys: The configuration key that sets each.
    """

    name: str
    stack: str
    record_id: pulumi.Output[str]
    parts: Mapping[str, pulumi.Output[str]]
    config_keys: Mapping[str, str]


class LiveValues:
    """The record of a component's secrets in the state, and the hooks on it and on the versions that are put.

    Records are `pulumi.Stash` resources, which exist in the state only: one for each secret, whose id is also what the staging
    labels of that secret's versions end in. So values from before a `destroy`, or of another stack, count as somebody else's.
    """

    def __init__(self, component: pulumi.Resource, name: str, *, recovery_window_in_days: int) -> None:
        """Make the hooks.

        Args:
            component: The parent of the records.
            name: Its name, which the records' names start with.
            recovery_window_in_days: What a secret that leaves the catalogue is deleted with.
        """
        self._component = component
        self._name = name
        self._window, self._stack = recovery_window_in_days, pulumi.get_stack()
        self._entries: dict[str, tuple[str, Origins, frozenset[str]]] = {}
        self._puts: dict[str, _Put] = {}
        self._kept: dict[str, tuple[str, int]] = {}
        self._records: list[pulumi.Stash] = []
        self._held: dict[str, Held] = {}
        hooks.prepare()
        self._on_new = self._hook("new", self._check_new)
        self._on_record = self._hook("records", self._check_record)
        self._on_restored = self._hook("restored", self._check_restored)
        self._on_list = self._hook("list", self._check_list)
        self._on_put = self._hook("live-values", self._check_put)
        self._on_kept = self._hook("kept-values", self._check_kept)

    def list(self, names: Sequence[str], adopted: Collection[str]) -> pulumi.Resource:
        """Keep which secrets the stack has; refuse that one it made leaves the catalogue without a recovery window."""
        content = {
            "secrets": sorted(names),
            "adopted": sorted(adopted),
            "recoveryWindowInDays": self._window,
        }
        return self._stash(self._name, content, self._on_list)

    def record(
        self, declaration: Declaration, entry: Origins, after: Sequence[pulumi.Resource], held: Held | None = None
    ) -> pulumi.Stash:
        """Keep what a secret is and where its values come from; refuse changes that `components.origins` refuses.

        `held` is what a restored secret holds: it is not begun when the program would put other values over that.
        """
        name = f"{self._name}-{declaration.name}"
        self._entries[name] = declaration.name, entry, _kept(declaration)
        first = None
        if held is not None and not entry.rotated:  # what the function put is taken over as it is
            self._held[name], first = held, self._on_restored
        self._records.append(self._stash(name, entry.record(), self._on_record, after, first))
        return self._records[-1]

    def new(self) -> pulumi.ResourceHookBinding:
        """Return the hooks of a secret that would be made: its name must not be taken."""
        return pulumi.ResourceHookBinding(before_create=[self._on_new])

    def keep(self, config_key: str, number: int, value: pulumi.Output[str], found_in: str = "") -> None:
        """Keep a live value of which the application gets the one before, too; refuse another one under the same number.

        `found_in` is the version of a restored secret that has the value, if any.
        """
        name = self._kept_name(config_key, number, found_in)
        self._kept[name] = config_key, number
        # After the record of its secret, which tells of a number that went back.
        self._stash(name, value, self._on_kept, self._records[-1:])

    def kept(self, config_key: str, number: int, made: pulumi.Output[str], found_in: str = "") -> pulumi.Output[str]:
        """Return the value that was live under an earlier number; in a stack that never had it, `made`."""
        options = pulumi.ResourceOptions(parent=self._component, ignore_changes=["input"])
        return pulumi.Output.secret(pulumi.Stash(self._kept_name(config_key, number, found_in), options, made).output)

    def _kept_name(self, config_key: str, number: int, found_in: str) -> str:
        return "-".join([self._name, "kept", config_key, str(number), *([found_in] if found_in else [])])

    def guard(
        self,
        resource_name: str,
        name: str,
        record_id: pulumi.Output[str],
        parts: Mapping[str, tuple[pulumi.Output[str], str]],
    ) -> pulumi.ResourceHookBinding:
        """Return the hooks of a live version: it is not put over a value that somebody else put.

        Args:
            resource_name: The version's name in the program.
            name: The secret's name in the catalogue.
            record_id: Id of the secret's record.
            parts: Values and the configuration keys that set them ("": none), by JSON key; `WHOLE` for a text.
        """
        values, keys = {k: v for k, (v, _) in parts.items()}, {k: key for k, (_, key) in parts.items()}
        self._puts[resource_name] = _Put(name, self._stack, record_id, values, keys)
        return pulumi.ResourceHookBinding(before_create=[self._on_put])

    def _stash(
        self,
        name: str,
        content: pulumi.Input[Any],
        hook: pulumi.ResourceHook,
        after: Sequence[pulumi.Resource] = (),
        first: pulumi.ResourceHook | None = None,
    ) -> pulumi.Stash:
        return pulumi.Stash(
            name,
            pulumi.ResourceOptions(
                parent=self._component,
                depends_on=list(after),
                hooks=pulumi.ResourceHookBinding(before_create=[first] if first else None, before_update=[hook]),
            ),
            content,
        )

    def _hook(self, name: str, check: _Check) -> pulumi.ResourceHook:
        """Make a hook of a check, for previews as well.

        The engine begins nothing after the first error. So a refusal waits a moment: those of other secrets are told with it.
        """

        async def checked(step: pulumi.ResourceHookArgs) -> None:
            try:
                found = check(step)
                if found is not None:
                    await found
            except LiveValueError:
                await asyncio.sleep(_OTHERS_SECONDS)
                raise

        return pulumi.ResourceHook(f"{self._name}-{name}", checked, pulumi.ResourceHookOptions(on_dry_run=True))

    def _check_list(self, step: pulumi.ResourceHookArgs) -> None:
        before, after = _input(step.old_inputs), _input(step.new_inputs)
        gone = sorted({*before["secrets"]} - {*before["adopted"]} - {*after["secrets"]})
        if gone and not before["recoveryWindowInDays"]:
            raise LiveValueError(
                f"{', '.join(gone)}: left catalogue.py and would be deleted at once (recoveryWindowInDays is 0), while tasks may "
                "still read it. Nothing was changed. Put the entry back and run these; then it can leave:\n"
                "  pulumi config set recoveryWindowInDays 7\n"
                "  pulumi up"
            )

    async def _check_new(self, step: pulumi.ResourceHookArgs) -> None:
        """Refuse a name that AWS has already: of a secret that waits for its deletion, or that somebody made by hand.

        Both are listed: ListSecretVersionIds and DescribeSecret take a secret that is pending deletion, the others do not.
        Source: AWS, Secrets Manager API, the errors of each operation.
        """
        full_name = (step.new_inputs or {})["name"]
        try:
            # Neither of pulumi_aws's two forms: what the one that gives an output can't answer ends the program, and the other
            # blocks the event loop. The version names the provider that the secret has; to make another would take a step.
            await pulumi.runtime.invoke_async(
                "aws:secretsmanager/getSecretVersions:getSecretVersions",
                {"secretId": full_name},
                pulumi.InvokeOptions(parent=self._component, version=version("pulumi-aws")),
            )
        except Exception as error:
            # Who may not look is told by AWS itself, which takes no name twice.
            if _ABSENT.search(str(error)) or _DENIED.search(str(error)):
                return
            raise
        name = step.name.removeprefix(f"{self._name}-")
        raise LiveValueError(
            f"{name}: AWS has {full_name} already, which this stack does not know: it is pending deletion, or "
            "somebody made it by hand. Nothing was changed. Take it over with its value:\n"
            f"  python -m ops restore --pending --stack {self._stack}\n"
            f"  pulumi up --stack {self._stack}"
        )

    async def _check_record(self, step: pulumi.ResourceHookArgs) -> None:
        name, after, kept = self._entries[step.name]
        before = Origins.of_record(_input(step.old_inputs))
        found = origins.refusals(name, before, after, kept)
        made = origins.turned_generated(before, after)
        if not found and made and (await self._versions(after.secret)).get(_CURRENT):
            remark = "somebody else has put its value, and a generated one would take its place. Nothing was changed."
            commands = [keep_command(name, key, self._stack) for key in made]
            found = [f"{name}: {remark} To keep it, take it into the configuration (or leave the secret External()):"]
            found += [f"  {command}" for command in commands]
        if found:
            raise LiveValueError("\n".join(found))
        held = self._held.get(step.name)
        if held and before.rotated and (await self._versions(held.arn)).get(_CURRENT) == held.version:
            # What a function had put was taken over as it was: it is compared now that Pulumi puts the value again.
            await self._check_restored(step)

    def _check_kept(self, step: pulumi.ResourceHookArgs) -> None:
        config_key, number = self._kept[step.name]
        raise LiveValueError(
            f"{config_key}: is set to another value, and the application needs the one before to read what it wrote with it. "
            "Nothing was changed. Count its number on as well, so that the application gets both:\n"
            f"  pulumi config set --path rotations.{config_key} {number + 1}"
        )

    async def _check_restored(self, step: pulumi.ResourceHookArgs) -> None:
        """Compare all that a restored secret holds, once: from then on its version counts as the one that was put last.

        At the record, which comes before all else of a secret: one that is refused is asked again by the next `up`.
        """
        held, put = self._held[step.name], self._puts.get(f"{step.name}-value")
        if put is None:
            return
        live = _by_key(held.text, whole=WHOLE in put.parts)
        new = {key: await part.future() for key, part in put.parts.items() if await part.is_known()}
        lost = sorted(key for key, value in live.items() if value not in (held.generated.get(key, _NONE), new.get(key)))
        if lost:
            raise LiveValueError(_refusal(put, held.arn, held.version, None, lost))

    async def _check_put(self, step: pulumi.ResourceHookArgs) -> None:
        put = self._puts[step.name]
        secret = (step.new_inputs or {}).get("secretId")
        if not isinstance(secret, str):
            return  # the secret itself is yet to be made
        record = await put.record_id.future() if await put.record_id.is_known() else ""
        holders = await self._versions(secret)
        # After a destroy and a restore, the restored version is what this program put last.
        current, own = holders.get(_CURRENT), holders.get(labels.live(record or "")) or holders.get(labels.RESTORED)
        # In a new stack the generation before is put first, and AWS makes a secret's first version the current one.
        if current is None or current == (own or holders.get(labels.previous(record or ""))):
            return
        whole = WHOLE in put.parts
        live = await self._value(secret, current, whole=whole)
        last = await self._value(secret, own, whole=whole) if own else {}
        new = {key: await part.future() for key, part in put.parts.items() if await part.is_known()}
        lost = sorted(key for key, value in live.items() if value not in (last.get(key, _NONE), new.get(key, _NONE)))
        if lost:
            raise LiveValueError(_refusal(put, secret, current, own, lost))

    async def _versions(self, secret: str) -> dict[str, str]:
        """Return the version that has each staging label."""
        found = await aws.secretsmanager.get_secret_versions_output(
            secret_id=secret, opts=pulumi.InvokeOutputOptions(parent=self._component)
        ).future()
        return {stage: v.version_id for v in found.versions for stage in v.version_stages or ()} if found else {}

    async def _value(self, secret: str, version: str, *, whole: bool) -> dict[str, Any]:
        """Return a version's values by JSON key; of a text, or of what is no JSON object, the whole."""
        found = await aws.secretsmanager.get_secret_version_output(
            secret_id=secret, version_id=version, opts=pulumi.InvokeOutputOptions(parent=self._component)
        ).future()
        return _by_key((found.secret_string or found.secret_binary) if found else "", whole=whole)


def _by_key(text: str, *, whole: bool) -> dict[str, Any]:
    try:
        content: object = None if whole else json.loads(text)
    except ValueError:
        content = None
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {WHOLE: text}


_NONE = object()


def _kept(declaration: Declaration) -> frozenset[str]:
    """Return the JSON keys, `WHOLE` for a text, whose value before is kept."""
    keys = declaration.keys if isinstance(declaration, JsonSecret) else {WHOLE: declaration.source}
    sources = keys.items() if isinstance(keys, Mapping) else ()
    return frozenset(key for key, source in sources if isinstance(source, Generated) and source.holds_previous)


def _input(inputs: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (inputs or {})["input"]


def _refusal(put: _Put, secret: str, current: str, own: str | None, lost: Sequence[str]) -> str:
    """Return what would be lost, by name, and the ways on."""
    at = "" if lost == [WHOLE] else f" at {', '.join(key or 'the whole' for key in lost)}"
    lines = [
        f"{put.name}: somebody else put its live value{at}, version {current}, and this would replace it. Nothing was changed.",
        "To keep it, take it into the configuration:",
    ]
    for key in lost:
        config_key = put.config_keys.get(key)
        unset = f"  ({key or 'it'} is set by no configuration: add it to catalogue.py, or leave the secret External())"
        lines.append(f"  {keep_command(put.name, key, put.stack)}" if config_key else unset)
    if own:
        region = secret.split(":")[3]
        command = f"aws secretsmanager update-secret-version-stage --region {region} --secret-id {secret}"
        move = f"--version-stage {_CURRENT} --move-to-version-id {own} --remove-from-version-id {current}"
        lines += ["To drop it, make the value that Pulumi put last the live one again:", f"  {command} {move}"]
    return "\n".join(lines)
