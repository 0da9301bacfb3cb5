"""Protects live values: no change of configuration or catalogue replaces a secret, or a value that was set outside Pulumi.

The state records what this program set last: one `pulumi.Stash` holds the secrets' live values (encrypted, like the generated
passwords) and the record of intent. AWS records who set a version: it has the label `pulumi-live`. Resource hooks compare both
when the engine is about to act, also in the preview; the engine does not run what a hook refuses.
docs/rotation.md, "Who owns a value", describes all of it.

Sources: Pulumi, "Resource hooks" and "Stash"; AWS, Secrets Manager API, PutSecretValue and "Secret versions".
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi

from components import hooks, labels, limits
from components.acceptance import is_server, named
from components.commands import cancel_commands, keep_command, label_command, number_command, refusal, ways
from components.hooks import QuestionError, Questions
from components.references import CURRENT, PENDING
from components.value_intent import Change, Record, Refusal
from components.value_plan import WHOLE, SecretPlan

_VERSIONS = "aws:secretsmanager/getSecretVersions:getSecretVersions"
_VALUE = "aws:secretsmanager/getSecretVersion:getSecretVersion"

_ABSENT = re.compile("ResourceNotFoundException|can't find the specified secret|couldn't find resource")
_DELETED = re.compile("marked for deletion|marked deleted|scheduled for deletion")
_DENIED = re.compile("AccessDenied|not authorized|Access to KMS is not allowed")
_RIGHT = re.compile(r"not authorized to perform: ([A-Za-z0-9]+:[A-Za-z0-9]+)")

_OTHERS_SECONDS = 0.5
"""Seconds that a refusal waits for others."""

_Check = Callable[[pulumi.ResourceHookArgs], Awaitable[None]]


class LiveValueError(Exception):
    """A step that would destroy a live value."""


class _AbsentError(Exception):
    """AWS does not have the secret."""


class _DeniedError(Exception):
    """The caller lacks a permission: the error's text."""


@dataclass(frozen=True, repr=False)
class _Secret:
    """A secret whose value the program sets; without a repr, because it holds values.

    Attributes:
        plan: Its plan.
        values: The values that this `up` sets, by JSON key, previous values included.
    """

    plan: SecretPlan
    values: Mapping[str, pulumi.Output[str]]

    async def known(self) -> dict[str, str]:
        """Return the known values: in a preview some do not exist yet."""
        return {key: await value.future() or "" for key, value in self.values.items() if await value.is_known()}


@dataclass(frozen=True, repr=False)
class _Live:
    """The live state: the version with each staging label, and the current version's values by JSON key."""

    holders: Mapping[str, str]
    values: Mapping[str, Any]

    @property
    def current(self) -> str | None:
        return self.holders.get(CURRENT)


class Guard:
    """The stash of a component's secrets, and the hooks on it, on the secrets and on the live versions."""

    def __init__(self, component: pulumi.Resource, name: str, *, region: str, recovery_window_in_days: int) -> None:
        """Register the hooks.

        Args:
            component: The parent of the stash.
            name: Its name, which the stash has as well.
            region: The Region of the secrets, for commands.
            recovery_window_in_days: The recovery window for a secret that leaves the program.
        """
        self._component, self._name, self._region = component, name, region
        self._window, self._stack = recovery_window_in_days, pulumi.get_stack()
        self._questions = Questions(component)
        self._secrets, self._key = dict[str, _Secret](), ""
        self._absent: dict[str, bool] = {}
        """The secrets that AWS doesn't have, each with whether it is new in the program too."""
        self._passed: dict[str, str] = {}
        """The current version of each secret whose change this run has accepted."""
        self._on_values = self._hook("values", self._check_values)
        self._on_new = self._hook("new", self._check_new)
        self._on_version = self._hook("version", self._check_version)
        self.new = pulumi.ResourceHookBinding(before_create=[self._on_new])
        """The hooks of a secret to create: its name must not be taken."""
        self.version = pulumi.ResourceHookBinding(before_create=[self._on_version])
        """The hooks of a live version: it must not replace a value that was set outside Pulumi meanwhile."""

    def stash(
        self, secrets: Iterable[tuple[SecretPlan, Mapping[str, pulumi.Output[str]]]], key: str = ""
    ) -> pulumi.Resource:
        """Record what the program sets; refuse what would destroy a live value.

        One Stash serves all secrets: each resource costs an `up` two writes of the whole state.

        Args:
            secrets: The plan of each secret, and the values that the program sets.
            key: Whose key they are encrypted with: `own`, `AWS's` on the way back, "" where none is named.
        """
        self._secrets, self._key = {plan.name: _Secret(plan, values) for plan, values in secrets}, key
        records = {
            name: {
                **Record.of(secret.plan).as_state(),
                "set": {"values": pulumi.Output.secret(dict(secret.values)) if secret.values else {}},
            }
            for name, secret in self._secrets.items()
        }
        options = pulumi.ResourceOptions(
            parent=self._component,
            hooks=pulumi.ResourceHookBinding(before_create=[self._on_values], before_update=[self._on_values]),
            # While a function owns a value, Pulumi sets nothing. The engine ignores `values` only in a `set` that the state has
            # (sdk, properties_path.go, `reset`), so that a new secret's first value is recorded.
            ignore_changes=[
                f'input.secrets["{name}"].set.values' for name, s in self._secrets.items() if s.plan.rotated
            ],
        )
        content = {"secrets": records, "recoveryWindowInDays": self._window, **({"kmsKey": key} if key else {})}
        return pulumi.Stash(self._name, options, content)

    def _hook(self, name: str, check: _Check) -> pulumi.ResourceHook:
        """Register a check as a hook, also for previews.

        The engine starts nothing after the first error. A refusal therefore waits a moment, so that those of other secrets are
        reported with it.
        """

        async def checked(step: pulumi.ResourceHookArgs) -> None:
            if hooks.only_lists():
                return
            try:
                await check(step)
            except LiveValueError:
                await asyncio.sleep(_OTHERS_SECONDS)
                raise

        return pulumi.ResourceHook(f"{self._name}-{name}", checked, pulumi.ResourceHookOptions(on_dry_run=True))

    async def _check_values(self, step: pulumi.ResourceHookArgs) -> None:
        """Refuse, for all secrets at once, what would destroy a live value."""
        before = await _resolved((step.old_inputs or {}).get("input"))
        records = before["secrets"] if before else {}
        checks = [self._check_value(secret, records.get(name)) for name, secret in self._secrets.items()]
        found = await asyncio.gather(*checks, self._check_list(before), return_exceptions=True)
        told: list[str] = []
        for name, error in zip([*self._secrets, ""], found, strict=True):
            if isinstance(error, LiveValueError):
                told.append(str(error))
            elif isinstance(error, QuestionError):
                told.append(f"{name}: can't be compared with its live value, so nothing was changed: {error}")
            elif error is not None:
                raise error
        if told:
            raise LiveValueError("\n".join(told))

    async def _check_list(self, before: Mapping[str, Any] | None) -> None:
        """Refuse to remove a key in use, or a secret that the stack created without a recovery window."""
        if not before:
            return
        set_, up = f"pulumi config set --stack {self._stack}", f"pulumi up --stack {self._stack}"
        if before.get("kmsKey") == "own" and not self._key:
            why = "are encrypted with the stack's own key, which would leave Pulumi while they still need it"
            way = "Move them to AWS's key first; then `encryption` can become aws-managed"
            raise LiveValueError(refusal("the secrets", why, way, f"{set_} encryption returning-to-aws-managed", up))
        gone = sorted(n for n, known in before["secrets"].items() if n not in self._secrets and not known["adopted"])
        if gone and not before["recoveryWindowInDays"]:
            why = (
                "removed from catalogue.py, and would be deleted at once (recoveryWindowInDays is 0), while tasks can still read "
                "it"
            )
            way = "Restore the entry and run these commands; then remove it"
            raise LiveValueError(refusal(", ".join(gone), why, way, f"{set_} recoveryWindowInDays 7", up))

    async def _check_value(self, secret: _Secret, state: Mapping[str, Any] | None) -> None:
        """Compare the live values with those set last and those to set, if anything is set or refused."""
        plan, new = secret.plan, await secret.known()
        last = dict[str, str](state["set"]["values"] if state else {})
        found: list[Refusal] = []
        if state:
            change = Change(plan, Record.parse(state), self._stack)
            found = [*change.refusals(), *(() if plan.rotated else change.value_refusals(last, new))]
        if any(not refused.unless_live and not refused.unless_live_has for refused in found):
            _refuse(found)
        sets = bool(secret.values) and not plan.rotated and (not state or new != last or len(new) < len(secret.values))
        if not found and not sets:
            return
        try:
            live = await self._live(secret, plan.secret_id)
        except _AbsentError:
            _refuse(found)
            self._absent[plan.name] = not state
            return
        except _DeniedError as denied:
            _refuse(found)
            self._unchecked(plan, denied)
            return
        _refuse([refused for refused in found if not _waived(refused, live, new)])
        if live.current:
            if sets and (live.values != new or len(new) < len(secret.values)):
                self._compare(plan, live, last, new)
            self._passed[plan.name] = live.current

    def _unchecked(self, plan: SecretPlan, denied: Exception) -> None:
        """Report a secret that the caller is not allowed to read: a preview continues, an `up` does not."""
        if not pulumi.runtime.is_dry_run():
            raise LiveValueError(
                f"{plan.name}: can't check that the live value is the one that Pulumi set last: the permission {denied} on "
                f"{plan.full_name} is missing. Nothing was changed"
            )
        pulumi.log.warn(f"{plan.name}: not checked: {denied} on {plan.full_name} is missing; `pulumi up` needs it")

    def _compare(self, plan: SecretPlan, live: _Live, last: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Refuse to replace parts that are neither what was set last nor what is set now, or to set any during a rotation."""
        lost = sorted(
            key for key, value in live.values.items() if value not in (last.get(key, _NONE), new.get(key, _NONE))
        )
        pending = live.holders.get(PENDING, live.current)
        # Without a state there are no outputs, which `ops rotate` needs: what is lost is kept first.
        if pending != live.current and (last or not lost):
            raise LiveValueError(self._not_ended(plan, live, str(pending), created=not last))
        if lost:
            raise LiveValueError(self._lost(plan, live, lost, created=not last))

    async def _check_new(self, step: pulumi.ResourceHookArgs) -> None:
        """Refuse a name that AWS has already: the secret is pending deletion, or was created outside Pulumi.

        ListSecretVersionIds and DescribeSecret accept a secret that is pending deletion; other operations do not.
        Source: AWS, Secrets Manager API, the errors of each operation.
        """
        full_name, name = (step.new_inputs or {})["name"], self._of(step)
        if name in self._absent or (not self._window and await self._ends(full_name)):
            return
        try:
            await self._holders(full_name)
        except (_AbsentError, _DeniedError):
            return  # AWS accepts no name twice
        raise LiveValueError(self._taken(name, full_name))

    async def _ends(self, full_name: str) -> bool:
        """Wait for the deletion of a secret without a recovery window, and return whether it is gone."""
        for _ in range(0, limits.NAME_TAKEN_SECONDS + 1, limits.NAME_ASKED_EVERY):
            try:
                await self._ask(_VALUE, {"secretId": full_name}, "GetSecretValue")
            except _AbsentError:
                return True
            except (_DeniedError, QuestionError) as error:
                if not _DELETED.search(str(error)):
                    return False
            else:
                return False
            await asyncio.sleep(limits.NAME_ASKED_EVERY)
        return False

    async def _check_version(self, step: pulumi.ResourceHookArgs) -> None:
        """Close the gap between stash and version: an `up` might have been interrupted there, or others set values."""
        secret = self._secrets[self._of(step).removesuffix("-value")]
        arn = (step.new_inputs or {}).get("secretId")
        plan, new = secret.plan, await secret.known()
        if not isinstance(arn, str) or self._absent.get(plan.name):
            return  # this run creates the secret
        if pulumi.runtime.is_dry_run() and plan.name in self._passed:
            return
        try:
            holders = await self._holders(arn)
            current, own = holders.get(CURRENT), holders.get(labels.LIVE)
            # In a new stack the previous value is set first, and AWS makes a secret's first version the current one.
            if current in {None, own or holders.get(labels.PREVIOUS), self._passed.get(plan.name)}:
                return
            live = await self._live(secret, arn)
        except _AbsentError:
            why, way = (
                f"{plan.full_name} is in the state but no longer in AWS",
                "Remove it from the state; `pulumi up` then creates it again",
            )
            raise LiveValueError(refusal(plan.name, why, way, f"pulumi refresh --stack {self._stack}")) from None
        except _DeniedError as denied:
            self._unchecked(plan, denied)
            return
        if lost := sorted(key for key, value in live.values.items() if new.get(key, _NONE) != value):
            raise LiveValueError(self._lost(plan, live, lost, created=False))

    def _of(self, step: pulumi.ResourceHookArgs) -> str:
        return step.name.removeprefix(f"{self._name}-")

    async def _live(self, secret: _Secret, arn: str) -> _Live:
        """Return what is live."""
        holders = await self._holders(arn)
        if CURRENT not in holders:
            return _Live(holders, {})
        try:
            found = await self._ask(_VALUE, {"secretId": arn, "versionId": holders[CURRENT]}, "GetSecretValue")
        except QuestionError as error:
            if not _DELETED.search(str(error)):
                raise
            if not self._window and await self._ends(arn):
                raise _AbsentError from None
            raise LiveValueError(self._taken(secret.plan.name, secret.plan.full_name)) from None
        text = found.get("secretString") or found.get("secretBinary") or ""
        return _Live(holders, _by_key(text, whole=secret.plan.is_text))

    async def _holders(self, secret: str) -> dict[str, str]:
        """Return the version with each staging label."""
        found = await self._ask(_VERSIONS, {"secretId": secret}, "ListSecretVersionIds")
        return {stage: v["versionId"] for v in found["versions"] for stage in v.get("versionStages") or ()}

    async def _ask(self, token: str, arguments: Mapping[str, str], action: str) -> Mapping[str, Any]:
        try:
            return await self._questions.ask(token, arguments)
        except QuestionError as error:
            if _ABSENT.search(str(error)):
                raise _AbsentError from None
            if _DENIED.search(str(error)):
                stated = _RIGHT.search(str(error))
                right = "kms:Decrypt" if "KMS" in str(error) else f"secretsmanager:{action}"
                raise _DeniedError(stated[1] if stated else right) from None
            raise

    def _taken(self, name: str, full_name: str) -> str:
        why = (
            f"AWS has {full_name} already, which is not in this stack's state: it is pending deletion, was created outside "
            "Pulumi, or the state was lost"
        )
        return refusal(name, why, "Import it with its value", f"python -m ops recover --stack {self._stack}")

    def _not_ended(self, plan: SecretPlan, live: _Live, version: str, *, created: bool) -> str:
        # The server may already accept the value of a version that `ops rotate` wrote: that change is never cancelled.
        by_ops = any(label.startswith(labels.ROTATING) and held == version for label, held in live.holders.items())
        why = f"a rotation is in progress: version {version} has {PENDING}"
        way = "Finish it" if by_ops else "Finish it, with rotation turned on"
        finish = [f"python -m ops rotate {plan.name} --stack {self._stack}"]
        if created:
            way = "Leave out of catalogue.py what the live value does not have, import the secret, then finish it"
            finish[:0] = [f"python -m ops recover --stack {self._stack}"]
        if by_ops:
            return refusal(plan.name, why, way, *finish)
        cancel = ways(
            "or, if the database never got that password, cancel it",
            *cancel_commands(plan.secret_id, self._region, version),
        )
        return f"{refusal(plan.name, why, way, *finish)}\n{cancel}"

    def _lost(self, plan: SecretPlan, live: _Live, lost: Sequence[str], *, created: bool) -> str:
        """Return the message: what would be lost, by name, and the commands to continue."""
        own, current = live.holders.get(labels.LIVE), live.current
        why = f"its live value{_at(lost)}, version {current}, was set outside this stack, and `pulumi up` would replace it"
        lines = [refusal(plan.name, why, "").rstrip()]
        if own == current and not created:
            why = f"an earlier `pulumi up` was interrupted before it set the value that the state has{_at(lost)}"
            lines = [refusal(plan.name, why, "Run that one again with its configuration, then this one.")]
        if created and not own:
            recover = f"python -m ops recover --stack {self._stack}"
            lines.append(ways("If the stack does not have the secret yet, import it with its values", recover))
        keep = [line for key in lost for line in self._keep(plan, key, created=created)]
        lines.append(ways("To keep it, set it in the configuration", *keep))
        if own and own != current:
            drop = label_command(plan.secret_id, self._region, CURRENT, to=own, off=str(current))
            checked = {named(v.accepted_by) for key in lost if (v := plan.values.get(key)) and is_server(v.accepted_by)}
            first = f", once {' and '.join(sorted(checked))} accepts its value again" if checked else ""
            lines.append(ways(f"To drop it, make the version that Pulumi set last the current one again{first}", drop))
        return "\n".join(lines)

    def _keep(self, plan: SecretPlan, key: str, *, created: bool) -> Iterator[str]:
        value = plan.values.get(key)
        if value is None:
            yield f"(no configuration sets {key or 'it'}: add it to catalogue.py, or leave the secret External())"
        elif value.config_key:
            yield keep_command(plan.name, key, self._stack)
            if value.keeps_previous and not created:
                yield number_command(value.config_key, value.number + 1, self._stack)
        else:
            yield (
                f"({key or 'it'} is a constant: write the live value in catalogue.py. Where a function alternated two users, "
                f"turn the rotation on and run `python -m ops rotate {plan.name} --stack {self._stack}` once more instead)"
            )


_NONE = object()


def _refuse(found: Sequence[Refusal]) -> None:
    if found:
        raise LiveValueError("\n".join(refused.text for refused in found))


def _waived(refused: Refusal, live: _Live, new: Mapping[str, str]) -> bool:
    """Return whether AWS already has what a refusal is about."""
    if refused.unless_live_has is not None:
        return refused.unless_live_has in live.values
    return live.current is not None and all(new.get(key) == value for key, value in live.values.items())


def _at(lost: Sequence[str]) -> str:
    return "" if lost == [WHOLE] else f" at {', '.join(key or 'the whole' for key in lost)}"


def _by_key(text: str, *, whole: bool) -> dict[str, Any]:
    """Return a value by JSON key; a text, or anything that is not a JSON object, as a whole."""
    try:
        content: object = None if whole else json.loads(text)
    except ValueError:
        content = None
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {WHOLE: text}


async def _resolved(value: Any) -> Any:
    """Return a step's input: one that holds a secret is an Output."""
    while isinstance(value, pulumi.Output):
        value = await cast("pulumi.Output[Any]", value).future()
    return value
