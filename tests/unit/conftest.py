"""The recording mocks of the unit tests: what a program registered, with the options that stock mocks drop.

    def test_topic_is_encrypted(record: Recorder) -> None:
        recording = record(lambda: Audit("audit", ...))
        assert recording.one("aws:sns/topic:Topic").inputs["kmsMasterKeyId"] == "…"

For annotations: `from tests.unit.conftest import Recorder, Recording, Secret`.
"""

import asyncio
import contextvars
import json
import runpy
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime import mocks, rpc
from pulumi.runtime import stack as pulumi_stack
from pulumi.runtime.proto import engine_pb2, resource_pb2

import catalogue

APPLICATIONS = Path(__file__).parents[1] / "applications"

ACCOUNT = "111122223333"
REGION = "eu-central-1"
PARTITION = "aws"

Answer = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]
"""What a data source gives, or a function of its arguments that says it."""

UNKNOWN = rpc.UNKNOWN
STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Secret:
    """A value that reached the engine marked as secret."""

    value: Any = field(repr=False)


@dataclass(frozen=True)
class Options:
    """A resource's options as the engine got them. Resources are given by their names."""

    parent: str | None
    protect: bool
    depends_on: frozenset[str]
    ignore_changes: tuple[str, ...]
    replace_on_changes: tuple[str, ...]
    delete_before_replace: bool | None
    additional_secret_outputs: tuple[str, ...]
    aliases: tuple[str, ...]
    import_id: str | None
    retain_on_delete: bool
    deleted_with: str | None
    provider: str | None
    before_create: tuple[str, ...]
    before_update: tuple[str, ...]
    custom_timeouts: Mapping[str, str]


@dataclass(frozen=True)
class Recorded:
    """One registered resource. `inputs` has the wire's names (camelCase); secrets are `Secret`, whole numbers `int`."""

    type: str
    name: str
    urn: str
    custom: bool
    inputs: Mapping[str, Any]
    options: Options

    def document(self, property_name: str) -> Any:
        """The JSON document that an input holds as text."""
        return json.loads(self.inputs[property_name])


@dataclass
class Recording:
    """Everything that one run of a program registered, in order; the stack itself is not among `resources`."""

    resources: list[Recorded] = field(default_factory=list[Recorded])
    exports: Mapping[str, Any] = field(default_factory=dict[str, Any])
    invokes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list[tuple[str, Mapping[str, Any]]])
    log: list[str] = field(default_factory=list[str])
    required_pulumi: str = ""

    def __iter__(self) -> Iterator[Recorded]:
        return iter(self.resources)

    def of(self, type_: str) -> list[Recorded]:
        """All resources of a type by name: the order in which they are registered is Python's own matter."""
        return sorted((r for r in self.resources if r.type == type_), key=lambda resource: resource.name)

    def one(self, type_: str, name: str | None = None) -> Recorded:
        """The only resource of the type (and of that name)."""
        found = [resource for resource in self.of(type_) if name in (None, resource.name)]
        assert len(found) == 1, f"{len(found)} of {type_} {name or ''} among {self.names()}"
        return found[0]

    def named(self, name: str) -> Recorded:
        """The only resource of that name."""
        found = [resource for resource in self.resources if resource.name == name]
        assert len(found) == 1, f"{len(found)} named {name} among {self.names()}"
        return found[0]

    def names(self) -> list[tuple[str, str]]:
        """(type, name) of every resource, sorted."""
        return sorted((resource.type, resource.name) for resource in self.resources)


class Recorder:
    """Runs a program as the engine does and records it.

    `config` has full keys (`service-ticket-system:cpu`, `aws:region`), values as text or as JSON data; `secret_config`
    is merged into it and marked as given by `--secret`. `outputs` gives further outputs (wire's names) by a resource's
    name or type; by default every resource has `arn`, `name` and what AWS would compute; `preview=True` leaves those
    `UNKNOWN`. `invokes` answers further data sources by token, with data or by a function of the arguments. The
    program's own exception comes through.
    """

    def __call__(
        self,
        program: Callable[[], Any],
        *,
        project: str = "service-ticket-system",
        stack: str = "dev",
        config: Mapping[str, Any] | None = None,
        secret_config: Mapping[str, Any] | None = None,
        account: str = ACCOUNT,
        region: str = REGION,
        partition: str = PARTITION,
        outputs: Mapping[str, Mapping[str, Any]] | None = None,
        invokes: Mapping[str, Answer] | None = None,
        preview: bool = False,
    ) -> Recording:
        recording = Recording()
        aws = _Aws(account, region, partition, outputs or {}, invokes or {})
        values = {**(config or {}), **(secret_config or {})}
        text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}

        def run() -> None:
            pulumi.runtime.set_all_config(text, list(secret_config or {}))
            loop = asyncio.new_event_loop()
            try:
                asyncio.set_event_loop(loop)
                monitor = _Monitor(recording, aws, preview=preview)
                _configure(monitor, recording, project, stack, preview=preview)
                loop.run_until_complete(pulumi_stack.run_in_stack(program))
            finally:
                loop.close()
                asyncio.set_event_loop(None)

        # A fresh context per run: pulumi keeps its root stack and settings in context variables.
        contextvars.Context().run(run)
        return recording


@pytest.fixture
def use_application(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put another one of `tests/applications` in the place of `tickets`."""

    def replace(name: str) -> None:
        found = runpy.run_path(str(APPLICATIONS / name / "catalogue.py"))
        monkeypatch.setattr(catalogue, "APPLICATION", found["APPLICATION"])

    return replace


def run_program(
    record: Recorder,
    config: Mapping[str, Any],
    secrets: Mapping[str, Any],
    *,
    project: str = "service-ticket-system",
    **more: Any,
) -> Recording:
    """Run the application's program; a configuration key without a namespace is the project's."""

    def full(given: Mapping[str, Any]) -> dict[str, Any]:
        return {key if ":" in key else f"{project}:{key}": value for key, value in given.items()}

    main = str(APPLICATIONS.parents[1] / "__main__.py")
    return record(
        lambda: runpy.run_path(main, run_name="__main__"),
        project=project,
        config=full(config),
        secret_config=full(secrets),
        **more,
    )


@pytest.fixture(scope="session")
def record() -> Recorder:
    return Recorder()


def _configure(monitor: "_Monitor", recording: Recording, project: str, stack: str, *, preview: bool) -> None:
    """What `set_mocks` does, but without its root stack: `run_in_stack` makes one that has the exports."""
    settings = mocks.MockSettings(
        monitor=monitor,
        monitor_features=set(monitor.GetDeploymentInfo(None).supportedFeatures),
        engine=_Engine(recording),
        project=project,
        stack=stack,
        dry_run=preview,
        organization="organization",
        root_directory=None,
        callbacks=None,
        # MockSettings leaves these two to whatever program ran before in this process, and would wait for its outputs for ever.
        outputs=set(),
        lock=threading.Lock(),
    )
    pulumi.runtime.configure(settings)


@dataclass(frozen=True)
class _Aws:
    """What AWS computes: names, ARNs and the answers of data sources."""

    account: str
    region: str
    partition: str
    outputs: Mapping[str, Mapping[str, Any]]
    invokes: Mapping[str, Answer]

    def invoke(self, token: str, arguments: Any) -> Mapping[str, Any]:
        arn = f"arn:{self.partition}:iam::{self.account}:user/deployer"
        known: dict[str, Answer] = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": self.account, "arn": arn},
            "aws:index/getRegion:getRegion": {"region": self.region},
            "aws:index/getPartition:getPartition": {"partition": self.partition},
        }
        known.update(self.invokes)
        if token not in known:
            raise AssertionError(f"the recording mocks have no answer for {token}; give record(..., invokes={{...}})")
        answer = known[token]
        return answer(arguments) if callable(answer) else answer

    def computed(self, type_: str, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs that the provider adds to the inputs of a resource."""
        physical = inputs.get("name") or inputs.get("bucket") or inputs.get("family") or inputs.get("dashboardName")
        physical = physical if isinstance(physical, str) else f"{name}-1a2b3c4"
        outputs: dict[str, Any] = {"name": physical, "arn": self._arn(type_, physical)}
        match type_:
            case "aws:secretsmanager/secretVersion:SecretVersion":
                outputs |= {"versionId": f"{name}-version-id", "arn": inputs.get("secretId")}
            case "aws:ecs/taskDefinition:TaskDefinition":
                outputs |= {"arn": f"{outputs['arn']}:1"}
            case "aws:kms/key:Key":
                outputs |= {"keyId": "1234abcd-12ab-34cd-56ef-1234567890ab"}
            case _ if type_.startswith("random:"):
                length = inputs.get("length")
                size = int(length) if isinstance(length, int | float) else 20
                outputs |= {"result": (f"random-value-of-{name}-" * size)[:size]}
            case _:
                pass
        return {**outputs, **self.outputs.get(type_, {}), **self.outputs.get(name, {})}

    def _arn(self, type_: str, name: str) -> str:
        here, global_ = f"{self.region}:{self.account}", f":{self.account}"
        places = {
            "aws:secretsmanager/secret:Secret": f"secretsmanager:{here}:secret:{name}-AbCdEf",
            "aws:iam/role:Role": f"iam:{global_}:role/{name}",
            "aws:iam/policy:Policy": f"iam:{global_}:policy/{name}",
            "aws:ecs/taskDefinition:TaskDefinition": f"ecs:{here}:task-definition/{name}",
            "aws:ecs/cluster:Cluster": f"ecs:{here}:cluster/{name}",
            "aws:ecs/service:Service": f"ecs:{here}:service/{name}",
            "aws:cloudwatch/logGroup:LogGroup": f"logs:{here}:log-group:{name}",
            "aws:cloudwatch/metricAlarm:MetricAlarm": f"cloudwatch:{here}:alarm:{name}",
            "aws:cloudwatch/dashboard:Dashboard": f"cloudwatch:{global_}:dashboard/{name}",
            "aws:cloudwatch/eventRule:EventRule": f"events:{here}:rule/{name}",
            "aws:kms/key:Key": f"kms:{here}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "aws:kms/alias:Alias": f"kms:{here}:{name}",
            "aws:lambda/function:Function": f"lambda:{here}:function:{name}",
            "aws:sns/topic:Topic": f"sns:{here}:{name}",
            "aws:sfn/stateMachine:StateMachine": f"states:{here}:stateMachine:{name}",
            "aws:s3/bucket:Bucket": f"s3:::{name}",
            "aws:cloudtrail/trail:Trail": f"cloudtrail:{here}:trail/{name}",
        }
        service = type_.split(":")[1].partition("/")[0]
        return f"arn:{self.partition}:{places.get(type_, f'{service}:{here}:{name}')}"

    def id(self, type_: str, name: str, outputs: Mapping[str, Any]) -> str:
        """Names for what the provider identifies by name, ARNs for what it identifies by ARN."""
        by_arn = ("secretsmanager/secret:", "sns/topic:", "sfn/stateMachine:", "iam/policy:", "cloudtrail/trail:")
        if any(part in type_ for part in by_arn):
            return str(outputs["arn"])
        named = ("iam/role:", "cloudwatch/logGroup:", "s3/bucket:", "cloudwatch/eventRule:", "lambda/function:")
        return str(outputs["name"]) if any(part in type_ for part in named) else f"{name}-id"


class _Monitor(mocks.MockMonitor):
    """Keeps what stock mocks drop: options, secretness of outputs, dependencies, exports; refuses duplicate URNs."""

    def __init__(self, recording: Recording, aws: _Aws, *, preview: bool) -> None:
        super().__init__(mocks=_Unused())
        self._recording = recording
        self._aws = aws
        self._preview = preview
        self._names: dict[str, str] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name of the rpc
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == STACK_TYPE:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        if urn in self._names:
            raise AssertionError(f"duplicate URN {urn}")
        self._names[urn] = request.name
        inputs = _plain(request.object)
        self._recording.resources.append(
            Recorded(request.type, request.name, urn, bool(request.custom), inputs, self._options(request)),
        )
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        unmarked = {key: value.value if isinstance(value, Secret) else value for key, value in inputs.items()}
        computed = self._aws.computed(request.type, request.name, unmarked)
        id_ = self._aws.id(request.type, request.name, computed)
        state = struct_pb2.Struct()
        state.CopyFrom(request.object)
        secret = set(request.additionalSecretOutputs)
        for key, value in computed.items():
            # As the engine: what was given stays as it was given, but for what a test says of this very resource (a change
            # that was ignored), and what is computed is unknown in a preview.
            if key in state.fields and key in inputs and key not in self._aws.outputs.get(request.name, {}):
                continue
            answer = UNKNOWN if self._preview else value
            # A struct takes JSON data only, which outputs are.
            state[key] = _marked(answer) if key in secret else answer  # pyright: ignore[reportArgumentType]
        if request.type == "pulumi:index:Stash" and "output" not in self._aws.outputs.get(request.name, {}):
            # As the engine: a new one gives what it was given.
            state.fields["output"].CopyFrom(state.fields["input"])
        return resource_pb2.RegisterResourceResponse(urn=urn, id="" if self._preview else id_, object=state)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the name of the rpc
        if request.urn not in self._names:  # the stack
            self._recording.exports = _plain(request.outputs)
        return super().RegisterResourceOutputs(request)

    def Invoke(self, request: Any) -> Any:  # noqa: N802 - the name of the rpc
        self._recording.invokes.append((request.tok, _plain(request.args)))
        answer = struct_pb2.Struct()
        answer.update(dict(self._aws.invoke(request.tok, _plain(request.args))))
        fields: dict[str, Any] = {"return": answer}  # a keyword of Python
        return resource_pb2.ResourceInvokeResponse(**fields)

    def _options(self, request: Any) -> Options:
        parent = self._names.get(request.parent)  # None: the stack
        timeouts = {key: getattr(request.customTimeouts, key) for key in ("create", "update", "delete")}
        return Options(
            parent=parent,
            protect=bool(request.protect),
            depends_on=self._named(request.dependencies),
            ignore_changes=tuple(request.ignoreChanges),
            replace_on_changes=tuple(request.replaceOnChanges),
            delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
            additional_secret_outputs=tuple(request.additionalSecretOutputs),
            aliases=tuple(alias.urn or alias.spec.name or alias.spec.type for alias in request.aliases),
            import_id=request.importId or None,
            retain_on_delete=bool(request.retainOnDelete),
            deleted_with=self._names.get(request.deletedWith),
            provider=request.provider or None,
            before_create=tuple(request.hooks.before_create),
            before_update=tuple(request.hooks.before_update),
            custom_timeouts={key: value for key, value in timeouts.items() if value},
        )

    def _named(self, urns: Iterable[str]) -> frozenset[str]:
        return frozenset(self._names[urn] for urn in urns if urn in self._names)


class _Unused(mocks.Mocks):
    """The monitor answers by itself; a call that reaches stock mocks is a gap in it."""

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"unexpected call of {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise AssertionError(f"unexpected read of {args.typ} {args.name}")


class _Engine(mocks.MockEngine):
    """Keeps what the program logs, as `severity: message`, without the SDK's own debug lines."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(None)
        self._recording = recording

    def RequirePulumiVersion(self, request: Any) -> None:  # noqa: N802 - the name of the rpc
        self._recording.required_pulumi = request.pulumi_version_range

    def Log(self, request: Any) -> None:  # noqa: N802 - the name of the rpc
        if request.severity != engine_pb2.DEBUG:
            self._recording.log.append(f"{engine_pb2.LogSeverity.Name(request.severity).lower()}: {request.message}")


def _marked(value: Any) -> dict[str, Any]:
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}


def _plain(value: Any) -> Any:
    """Wire data as plain Python: `Secret` around secrets, pulumi's own classes for assets and archives."""
    if isinstance(value, struct_pb2.Struct):
        return _plain_struct(value)
    if isinstance(value, struct_pb2.ListValue):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _plain_struct(struct: struct_pb2.Struct) -> Any:
    fields: dict[str, Any] = dict(struct.items())
    match fields.get(rpc._special_sig_key):
        case rpc._special_secret_sig:
            return Secret(_plain(fields["value"]))
        case rpc._special_asset_sig | rpc._special_archive_sig:
            return rpc.deserialize_property(struct)
        case rpc._special_resource_sig:
            return fields["urn"]
        case _:
            return {key: _plain(item) for key, item in fields.items()}
