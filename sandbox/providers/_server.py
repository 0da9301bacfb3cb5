"""The gRPC service that the Pulumi engine talks to: everything that is the same for all resource types.

Written on the raw servicer: `pulumi.provider.experimental` loses old inputs, unknown values and clean errors.
Source: Pulumi, "Implementing a provider" and the comments of provider.proto; pulumi-terraform-bridge 3, tfbridge/provider.go
and schema.go.
"""

import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.providers import _diff
from sandbox.providers._plugin import Plugin
from sandbox.providers._resource import Prop, ProviderError, Resource
from sandbox.providers._values import (
    UNKNOWN,
    Properties,
    Secret,
    decode,
    encode,
    has_secret,
    has_unknown,
    plain,
    secret_texts,
)

DEFAULTS = "__defaults"
"""Input that lists the properties which the provider set by itself, as the real plugins keep it."""


_RECOGNISABLE = 6
"""Characters from which on a secret string is taken out of a message also in the middle of a word."""


@dataclass
class _InitFailedError(Exception):
    """The resource exists, but not all of it could be set up."""

    resource_id: str
    state: Properties
    inputs: Properties
    reason: str


@dataclass(frozen=True, slots=True)
class _Inputs:
    """Properties as they came: what is secret, and the plain values."""

    raw: Properties

    @classmethod
    def of(cls, struct: Struct) -> "_Inputs":
        return cls(decode(struct))

    @property
    def values(self) -> Properties:
        return {key: plain(value) for key, value in self.raw.items() if key != DEFAULTS}

    @property
    def defaults(self) -> list[str]:
        return list(self.raw.get(DEFAULTS, []))

    @property
    def secret_keys(self) -> set[str]:
        return {key for key, value in self.raw.items() if has_secret(value)}


def _rpc(action: str, *parts: str, named_by: str = "", quiet: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """An answer to the engine: takes parts of the request as Python values; a failure becomes one line.

    `action` begins that line, with `{type}` or `{tok}` of the request, unless `quiet`.
    `named_by` is the part whose properties name the resource there.
    """

    def decorate(method: Callable[..., Any]) -> Any:
        def answer(self: "Servicer", request: Any, context: grpc.ServicerContext) -> Any:
            found = {part: _Inputs.of(getattr(request, part)) for part in parts}
            doing = self.doing(action, request, found.get(named_by))
            return self.guard(
                context, doing, found.values(), lambda: method(self, request, *found.values()), quiet=quiet
            )

        return answer

    return decorate


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one plugin."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    # -- the plugin itself --

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802 - names of the protocol
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802 - to a plugin that serves already, as under a debugger
        return Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self._plugin.version)

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802 - running calls end by themselves, quickly
        return Empty()

    @_rpc("checking the provider's configuration", "news")
    def CheckConfig(self, request: Any, news: _Inputs) -> Any:  # noqa: N802
        failures = self._plugin.check_config(news.values)
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(failures))

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        old, new = _Inputs.of(request.old_inputs).values, _Inputs.of(request.news).values
        differing = [key for key in sorted({*old, *new} - {"version"}) if old.get(key) != new.get(key)]
        some = provider_pb2.DiffResponse.DIFF_SOME if differing else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some, diffs=differing)

    @_rpc("configuring the provider", "args", quiet=True)
    def Configure(self, request: Any, config: _Inputs) -> Any:  # noqa: N802
        self._plugin.configure(config.values)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    @_rpc("invoking {tok}", "args", quiet=True)
    def Invoke(self, request: Any, arguments: _Inputs) -> Any:  # noqa: N802
        function = self._plugin.function(request.tok)
        result = function(self._plugin.session(arguments.values), arguments.values)
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(encode(result))
        return response

    # -- a resource's life --

    @_rpc("checking {type}", "olds", "news", quiet=True)
    def Check(self, request: Any, olds: _Inputs, news: _Inputs) -> Any:  # noqa: N802
        resource = self._plugin.resource(_type(request.urn))
        inputs, failures = self._check(resource, olds, news, request)
        return provider_pb2.CheckResponse(inputs=encode(inputs), failures=_failures(failures))

    def _check(
        self, resource: Resource[Any], olds: _Inputs, news: _Inputs, request: Any
    ) -> tuple[Properties, list[tuple[str, str]]]:
        failures: list[tuple[str, str]] = []
        known = resource.all_inputs()
        inputs = {key: value for key, value in news.raw.items() if key != DEFAULTS}
        for key in list(inputs):
            if key not in known:
                failures.append((key, f"the sandbox's stand-in does not support it; it supports {', '.join(known)}"))
            else:
                inputs[key] = _checked(key, known[key], inputs[key], failures)
        defaults = [key for key, prop in known.items() if prop.default is not None and key not in inputs]
        inputs |= {key: known[key].default for key in defaults}
        named, reasons = self._autoname(resource, olds, inputs, request)
        defaults += named
        failures += reasons
        failures += [(key, "is required") for key, prop in known.items() if prop.required and key not in inputs]
        if not failures:
            failures += resource.check({key: plain(value) for key, value in inputs.items()})
            defaults += self._plugin.complete(resource, inputs)
        return {**inputs, DEFAULTS: sorted(defaults)}, failures

    def _autoname(
        self, resource: Resource[Any], olds: _Inputs, inputs: Properties, request: Any
    ) -> tuple[list[str], list[tuple[str, str]]]:
        """Name a resource that the program gave no name; the name stays the same until it is replaced.

        Returns the named property, and what is wrong with the name.
        """
        rule = resource.autoname
        if rule is None or rule.property in inputs:
            return [], []
        mode = request.autonaming.mode if request.HasField("autonaming") else None
        options = provider_pb2.CheckRequest.AutonamingOptions
        if rule.property in olds.defaults and rule.property in olds.raw:
            inputs[rule.property] = olds.raw[rule.property]
        elif mode == options.DISABLE:
            return [], []
        elif mode is not None and request.autonaming.proposed_name:
            inputs[rule.property] = request.autonaming.proposed_name
        else:
            try:
                inputs[rule.property] = rule.name(_name(request.urn), request.randomSeed)
            except ValueError as error:
                return [], [(rule.property, str(error))]
        failures: list[tuple[str, str]] = []
        _checked(rule.property, resource.all_inputs()[rule.property], inputs[rule.property], failures)
        return [rule.property], failures

    @_rpc("diffing {type}", "olds", "news")
    def Diff(self, request: Any, olds: _Inputs, news: _Inputs) -> Any:  # noqa: N802
        resource = self._plugin.resource(_type(request.urn))
        found = _changes(resource, olds.values, news.values, request.ignoreChanges)
        self._refuse(resource, olds.values, news.values)
        replaces = sorted({change.property for change in found if change.replace})
        rule = resource.autoname
        named = rule is not None and rule.property in news.raw and rule.property not in news.defaults
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted({change.property for change in found}),
            replaces=replaces,
            detailedDiff={_diff.format_path(change.path): _property_diff(change) for change in found},
            hasDetailedDiff=True,
            # Whatever the names are: the bridge does not compare them (nameRequiresDeleteBeforeReplace).
            deleteBeforeReplace=bool(replaces) and (resource.delete_before_replace or named),
        )

    @_rpc("creating", "properties", named_by="properties")
    def Create(self, request: Any, news: _Inputs) -> Any:  # noqa: N802
        resource = self._plugin.resource(_type(request.urn))
        new, secret = news.values, news.secret_keys
        self._refuse(resource, {}, new)
        if request.preview:
            unknown = dict.fromkeys(_not_known_before(resource, new), UNKNOWN)
            return provider_pb2.CreateResponse(properties=_state(resource, {**unknown, **_kept(resource, new)}, secret))
        session = self._plugin.session(new)
        resource_id = resource.create(session, new)
        problem: Exception | None = None
        try:
            resource.finish(session, resource_id, new)
        except Exception as error:
            if self._plugin.explain(error) is None:
                raise
            problem = error
        resource_id, state = self._read(resource, session, resource_id, new, new)
        if problem is not None:
            reason = f"creating {resource.title} ({resource.label(new, '')}): {self._plugin.explain(problem)}"
            raise _InitFailedError(resource_id, _wrapped(resource, state, secret), news.raw, reason)
        return provider_pb2.CreateResponse(id=resource_id, properties=_state(resource, state, secret))

    @_rpc("reading", "properties", "inputs", named_by="properties")
    def Read(self, request: Any, olds: _Inputs, inputs: _Inputs) -> Any:  # noqa: N802
        resource = self._plugin.resource(_type(request.urn))
        asked, base = request.id, olds.values
        where = base
        if not olds.raw:
            asked, where = self._plugin.imported_as(resource, asked)
        session = self._plugin.session(where)
        try:
            resource_id, state = self._read(resource, session, asked, base, inputs.values)
        except _GoneError:
            return provider_pb2.ReadResponse()
        secret = olds.secret_keys | inputs.secret_keys
        new_inputs = _refreshed(resource, inputs, state) if olds.raw else _imported(resource, state)
        wrapped = {key: _wrap(resource, key, value, secret) for key, value in new_inputs.items()}
        return provider_pb2.ReadResponse(
            id=resource_id, properties=_state(resource, state, secret), inputs=encode(wrapped)
        )

    @_rpc("updating", "olds", "news", named_by="news")
    def Update(self, request: Any, olds: _Inputs, news: _Inputs) -> Any:  # noqa: N802
        resource = self._plugin.resource(_type(request.urn))
        old, new = olds.values, news.values
        secret = news.secret_keys | (olds.secret_keys - {*new})
        changed = {change.property for change in _changes(resource, old, new, request.ignoreChanges)}
        base = {**old, **_kept(resource, new)}
        base = {key: value for key, value in base.items() if key in new or not _removed(resource, key, changed)}
        if request.preview:
            unknown = dict.fromkeys(resource.renewed(changed), UNKNOWN)
            return provider_pb2.UpdateResponse(properties=_state(resource, {**base, **unknown}, secret))
        session = self._plugin.session(new)
        resource.update(session, request.id, old, new, changed)
        _, state = self._read(resource, session, request.id, base, new)
        return provider_pb2.UpdateResponse(properties=_state(resource, state, secret))

    @_rpc("deleting", "properties", named_by="properties")
    def Delete(self, request: Any, olds: _Inputs) -> Any:  # noqa: N802
        resource = self._plugin.resource(_type(request.urn))
        try:
            resource.delete(self._plugin.session(olds.values), request.id, olds.values)
        except Exception as error:
            if not (resource.forgives_gone and self._plugin.is_gone(error)):
                raise
        return Empty()

    # -- helpers --

    def _refuse(self, resource: Resource[Any], old: Properties, new: Properties) -> None:
        for reason in resource.check_change(self._plugin.session(new), old, new):
            raise ProviderError(reason)

    def _read(
        self, resource: Resource[Any], session: Any, resource_id: str, base: Properties, inputs: Properties
    ) -> tuple[str, Properties]:
        """Id and state as they are now; raises _GoneError."""
        try:
            live = resource.read(session, resource_id, {**inputs, **base})
        except Exception as error:
            if not self._plugin.is_gone(error):
                raise
            raise _GoneError("couldn't find resource") from error
        if live is None:
            raise _GoneError("couldn't find resource")
        self._plugin.settle(resource, session, live, base)
        return str(live.pop("id", resource_id)), _settled(resource, base, live)

    def doing(self, action: str, request: Any, properties: _Inputs | None) -> str:
        """What a call does, for its error; with properties, on which resource."""
        if properties is None:
            return action.format(tok=getattr(request, "tok", ""), type=_type(request.urn) if "{type}" in action else "")
        resource, resource_id = self._plugin.resources.get(_type(request.urn)), getattr(request, "id", "")
        if resource is None:
            return _type(request.urn)
        return f"{action} {resource.title} ({resource.label(properties.values, resource_id)})"

    def guard(
        self,
        context: grpc.ServicerContext,
        doing: str,
        properties: Iterable[_Inputs],
        call: Callable[[], Any],
        *,
        quiet: bool = False,
    ) -> Any:
        """The call's answer, or its failure as one line without a secret's value."""
        try:
            return call()
        except _InitFailedError as error:
            failure: Exception = error
        except Exception as error:  # noqa: BLE001 - the border to the engine: everything becomes one line
            failure = error
        if isinstance(failure, _InitFailedError):
            _abort_unfinished(context, failure, _redacted(failure.reason, properties))
        message = self._plugin.explain(failure)
        if message is None:
            frames = "".join(traceback.format_tb(failure.__traceback__))
            # Only where and what kind: the text of an unexpected exception may hold a secret's value.
            log = _redacted(f"{type(failure).__name__} while {doing}:\n{frames}", properties)
            sys.stderr.write(log)
            sys.stderr.flush()
            message = f"bug in the sandbox's stand-in: {type(failure).__name__}; the traceback is in the plugin's log"
            quiet = False
        text = message if quiet else f"{doing}: {message}"
        context.abort(grpc.StatusCode.UNKNOWN, _redacted(" ".join(text.split()), properties))
        return None


class _GoneError(ProviderError):
    """The object doesn't exist."""


def _type(urn: str) -> str:
    """The resource's type: the last of the types that the URN names (its parents' come first)."""
    return urn.split("::")[2].rsplit("$", maxsplit=1)[-1]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _failures(found: Iterable[tuple[str, str]]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=key, reason=reason) for key, reason in found]


def _checked(key: str, prop: Prop, value: Any, failures: list[tuple[str, str]]) -> Any:
    """The value in the property's type; what is wrong with it goes to `failures`, without a secret's value."""
    if has_unknown(value):
        return value
    secret = has_secret(value)
    try:
        coerced = prop.coerce(plain(value))
    except ValueError as error:
        failures.append((key, str(error)))
        return value
    reason = prop.check(coerced) if prop.check else None
    if reason:
        failures.append((key, "the value isn't allowed; it is secret and not shown" if secret else reason))
    return value if coerced == plain(value) else (Secret(coerced) if secret else coerced)


def _changes(resource: Resource[Any], old: Properties, new: Properties, ignored: Collection[str]) -> list[_diff.Change]:
    """What differs between the state and the program's inputs, without what `ignoreChanges` names."""
    found: list[_diff.Change] = []
    for key, prop in resource.all_inputs().items():
        if prop.computed and _is_unset(old.get(key), new.get(key)):
            continue
        found += _diff.changes(key, old.get(key), new.get(key), prop.same, replace=prop.force_new)
    return [change for change in found if not _diff.is_ignored(change.path, ignored)]


def _is_unset(old: Any, new: Any) -> bool:
    """Whether an optional and computed property counts as not set, so that nothing changes.

    Source: terraform-plugin-sdk 2, helper/schema/schema.go: `finalizeDiff` lets "" go, `diffList` a list of blocks without
    one. An empty list of texts is a value.
    """
    return (
        new is None
        or new == ""
        or (new == [] and isinstance(old, list) and all(isinstance(item, dict) for item in old))
    )


def _property_diff(change: _diff.Change) -> Any:
    kinds = provider_pb2.PropertyDiff
    plain_kinds = {"add": kinds.ADD, "delete": kinds.DELETE, "update": kinds.UPDATE}
    replacing = {"add": kinds.ADD_REPLACE, "delete": kinds.DELETE_REPLACE, "update": kinds.UPDATE_REPLACE}
    return kinds(kind=(replacing if change.replace else plain_kinds)[change.kind])


def _not_known_before(resource: Resource[Any], new: Properties) -> list[str]:
    """What only the creation will tell: computed properties, and computed inputs that the program leaves out."""
    left_out = [key for key, prop in resource.all_inputs().items() if prop.computed and key not in new]
    return [*resource.computed, *left_out]


def _kept(resource: Resource[Any], inputs: Properties) -> Properties:
    known = resource.all_inputs()
    return {key: value for key, value in inputs.items() if key in known}


def _removed(resource: Resource[Any], key: str, changed: Collection[str]) -> bool:
    """Whether an update takes this property out of the state: an input that the program doesn't set any more."""
    prop = resource.all_inputs().get(key)
    return prop is not None and not prop.computed and key in changed


def _settled(resource: Resource[Any], base: Properties, live: Properties) -> Properties:
    """The state: what AWS has, in the program's own spelling where that means the same."""
    known = resource.all_inputs()
    state = {key: value for key, value in base.items() if key not in live}
    for key, value in live.items():
        before = base.get(key)
        keep = key in known and before is not None and known[key].same(before, value)
        state[key] = before if keep else value
    return {key: value for key, value in state.items() if value is not None}


def _refreshed(resource: Resource[Any], inputs: _Inputs, state: Properties) -> Properties:
    """The inputs after a refresh: those that were set, with what AWS has now."""
    known = resource.all_inputs()
    fresh: Properties = {}
    for key, value in inputs.raw.items():
        prop = known.get(key)
        if prop is None or prop.same(plain(value), state.get(key)):
            fresh[key] = value
        elif key in state:
            fresh[key] = state[key]
    return fresh


def _imported(resource: Resource[Any], state: Properties) -> Properties:
    """The inputs that would have made an object that is imported."""
    known = resource.all_inputs()
    return {DEFAULTS: []} | {
        key: value
        for key, value in state.items()
        if key in known and (known[key].required or not (_diff.is_empty(value) or value == known[key].default))
    }


def _wrap(resource: Resource[Any], key: str, value: Any, secret: Collection[str]) -> Any:
    if has_secret(value) or (key not in secret and key not in resource.secret_outputs):
        return value
    return Secret(plain(value))


def _wrapped(resource: Resource[Any], state: Properties, secret: Collection[str]) -> Properties:
    return {key: _wrap(resource, key, value, secret) for key, value in state.items() if key != DEFAULTS}


def _state(resource: Resource[Any], state: Properties, secret: Collection[str]) -> Struct:
    return encode(_wrapped(resource, state, secret))


def _redacted(text: str, properties: Iterable[_Inputs]) -> str:
    """The text without any secret string, the longest first so that no rest of one remains.

    A string of a few letters is taken out where it stands as a word: it is part of many words by chance.
    """
    values = {value for item in properties for value in secret_texts(item.raw) if value}
    for value in sorted(values, key=len, reverse=True):
        literal = re.escape(value)
        pattern = literal if len(value) >= _RECOGNISABLE else rf"(?<!\w){literal}(?!\w)"
        text = re.sub(pattern, "[secret]", text)
    return text


def _abort_unfinished(context: grpc.ServicerContext, failure: _InitFailedError, reason: str) -> NoReturn:
    """Tell the engine that the resource exists but isn't complete: it keeps the state and updates it next time."""
    detail = AnyMessage()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=failure.resource_id,
            properties=encode(failure.state),
            inputs=encode(failure.inputs),
            reasons=[reason],
        )
    )
    code = grpc.StatusCode.UNKNOWN
    status = status_pb2.Status(code=code.value[0], message=reason, details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, reason)
    raise AssertionError("abort returned")
