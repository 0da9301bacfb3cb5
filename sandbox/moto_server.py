"""The built-in local AWS: moto's server with what it lacks and this project needs (`python -m sandbox.moto_server`).

Each class below fills one gap of moto 5.2 in the backend itself, so that boto3, the AWS CLI and the provider plugin all see AWS's
behaviour. Values stay in this process's memory.
"""

import base64
import functools
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from moto import backends as moto_backends
from moto import settings as moto_settings
from moto.awslambda.models import LambdaFunction
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ecr.models import ecr_backends
from moto.ecs.exceptions import EcsClientException, ECSException, InvalidParameterException
from moto.ecs.models import EC2ContainerServiceBackend, Service
from moto.elasticache.exceptions import InvalidParameterCombinationException
from moto.elasticache.models import CacheSubnetGroup, ElastiCacheBackend
from moto.elasticache.responses import ElastiCacheResponse
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.responses import IamResponse
from moto.kms import models as kms_models
from moto.logs.responses import LogsResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.rds.models import RDSBackend
from moto.rds.responses import RDSResponse
from moto.s3.models import FakeBucket
from moto.secretsmanager.exceptions import InvalidRequestException, ResourceExistsException, SecretNotFoundException
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend
from moto.stepfunctions.responses import StepFunctionResponse
from werkzeug.serving import make_server

from sandbox import authorization

_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<name>[^:@]+):(?P<tag>[^@]+)"
)
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_MOVED = {"AWSCURRENT", "AWSPREVIOUS"}
"""Labels that AWS moves by itself when a version becomes the current one; AWSPENDING stays where it is."""


def fill_gaps() -> None:
    """Patch moto's backends in this process."""
    _wrap(FakeSecret, "reset_default_version", _keep_own_labels)
    _wrap(FakeSecret, "to_dict", _describe_schedule)
    _wrap(SecretsManagerBackend, "rotate_secret", _schedule_rotation)
    _wrap(SecretsManagerBackend, "update_secret_version_stage", _move_label)
    _wrap(SecretsManagerBackend, "_check_with_existing_secrets_and_versions", _keep_value_of_version)
    _wrap(SecretsManagerBackend, "list_secret_version_ids", _list_versions)
    _wrap(LambdaFunction, "get_code", _give_code)
    _wrap(Service, "_validate_network", _take_network_for_granted)
    _wrap(EC2ContainerServiceBackend, "register_task_definition", _take_image_for_granted)
    _wrap(EC2ContainerServiceBackend, "create_service", _create_service)
    _wrap(EC2ContainerServiceBackend, "update_service", _update_service)
    _wrap(EC2ContainerServiceBackend, "delete_cluster", _delete_cluster)
    _wrap(FakeBucket, "get_permission", _take_tls_for_granted)
    _wrap(ActionAuthenticatorMixin, "_authenticate_and_authorize_normal_action", _authorize)
    kms: Any = kms_models
    kms.generate_private_key = _private_key(kms.generate_private_key)
    # Nobody starts an instance here, and the list of its images costs each account's first network half a second.
    settings: Any = moto_settings
    settings.ec2_load_default_amis = lambda: False
    # Which services there are doesn't change; moto lists its folder at each request.
    services: Any = moto_backends
    modules = tuple(services.list_of_moto_modules())
    services.list_of_moto_modules = lambda: modules
    add: Any = LogsResponse
    add.associate_kms_key = _associate_kms_key
    add.disassociate_kms_key = _associate_kms_key
    add = StepFunctionResponse
    add.validate_state_machine_definition = _validate_definition
    add = IamResponse
    add.add_client_id_to_open_id_connect_provider = _change_client_id(present=True)
    add.remove_client_id_from_open_id_connect_provider = _change_client_id(present=False)
    _wrap(RDSResponse, "create_db_subnet_group", _take_subnets_for_granted)
    _wrap(RDSBackend, "modify_db_subnet_group", _modify_db_subnet_group)
    _wrap(ElastiCacheResponse, "create_cache_subnet_group", _take_subnets_for_granted)
    _wrap(SecurityGroupBackend, "create_security_group", _take_vpc_for_granted)
    _wrap(SecurityGroupBackend, "authorize_security_group_ingress", _take_clients_for_granted)
    _wrap(ElastiCacheBackend, "delete_replication_group", _delete_replication_group)
    _wrap(ElastiCacheResponse, "modify_replication_group", _modify_auth_token)
    add = ElastiCacheResponse
    add.modify_cache_subnet_group = _modify_cache_subnet_group
    add.delete_cache_subnet_group = _delete_cache_subnet_group


def _wrap(owner: type, name: str, wrapper: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return wrapper(functools.partial(original, self), self, *args, **kwargs)

    setattr(owner, name, wrapped)


def _authorize(original: Callable[..., None], response: Any, resource: str = "*") -> None:
    """A role of the program can do what its policies allow."""
    original(resource)
    authorization.check(response)


def _private_key(original: Callable[[str], object]) -> Callable[[str], object | None]:
    """A symmetric key has no pair of keys; to look for its primes takes moto up to a second."""

    def generate(spec: str) -> object | None:
        return None if spec == "SYMMETRIC_DEFAULT" else original(spec)

    return generate


def _keep_own_labels(
    original: Callable[..., None], secret: FakeSecret, secret_version: dict[str, Any], version_id: str
) -> None:
    """A new current version takes the labels that it names and no others; moto drops every label of the version before."""
    taken = _MOVED | set(secret_version["version_stages"])
    kept = {id_: [s for s in version["version_stages"] if s not in taken] for id_, version in secret.versions.items()}
    original(secret_version, version_id)
    for id_, labels in kept.items():
        if id_ != version_id:
            moved = [stage for stage in secret.versions[id_]["version_stages"] if stage in _MOVED]
            secret.versions[id_]["version_stages"] = [*moved, *labels]


def _schedule_rotation(  # noqa: PLR0917 - moto's own signature
    _original: Callable[..., str],
    backend: SecretsManagerBackend,
    secret_id: str,
    client_request_token: str | None = None,
    rotation_lambda_arn: str | None = None,
    rotation_rules: dict[str, Any] | None = None,
    rotate_immediately: bool = True,  # noqa: FBT001, FBT002
) -> str:
    """RotateSecret keeps the schedule; moto keeps days only, and without Docker leaves a secret that nobody can read."""
    del client_request_token
    secret = backend.secrets.get(secret_id)
    if not isinstance(secret, FakeSecret):
        raise SecretNotFoundException
    if rotate_immediately:
        raise InvalidRequestException(
            "The local AWS runs no Lambda function by itself: python -m sandbox rotate NAME runs the deployed one."
        )
    state = cast("Any", secret)
    state.rotation_requested = state.rotation_enabled = True
    state.rotation_lambda_arn = rotation_lambda_arn or state.rotation_lambda_arn
    if rotation_rules:
        state.auto_rotate_after_days = rotation_rules.get("AutomaticallyAfterDays", 0)
        state.sandbox_rotation_rules = rotation_rules
    return secret.to_short_dict()


def _keep_value_of_version(
    original: Callable[..., Any],
    backend: SecretsManagerBackend,
    secret_name: str,
    token: str | None,
    string: str | None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """A version that has a value keeps it; moto lets another one replace it while the version has AWSPENDING."""
    secret = backend.secrets.get(secret_name)
    version = secret.versions.get(token or "", {}) if isinstance(secret, FakeSecret) else {}
    if string is not None and version.get("secret_string") not in {None, string}:
        raise ResourceExistsException(f"You can't use ClientRequestToken {token}: it is a version with another value.")
    return original(secret_name, token, string, *args, **kwargs)


def _move_label(  # noqa: PLR0917 - moto's own signature
    original: Callable[..., Any],
    backend: SecretsManagerBackend,
    secret_id: str,
    version_stage: str,
    remove_from_version_id: str,
    move_to_version_id: str,
) -> Any:
    """The next put takes AWSCURRENT from where it was moved to, moto from where it was put last; and it may be nowhere."""
    secret = backend.secrets.get(secret_id)
    if not isinstance(secret, FakeSecret) or version_stage != "AWSCURRENT":
        return original(secret_id, version_stage, remove_from_version_id, move_to_version_id)
    target = secret.versions.get(move_to_version_id)
    if target and not any("AWSCURRENT" in version["version_stages"] for version in secret.versions.values()):
        target["version_stages"].append("AWSCURRENT")
        moved = secret.arn, secret.name
    else:
        moved = original(secret_id, version_stage, remove_from_version_id, move_to_version_id)
    secret.set_default_version_id(move_to_version_id or None)
    return moved


def _list_versions(original: Callable[..., str], backend: SecretsManagerBackend, secret_id: str) -> str:
    """A secret that is not there is not found; moto answers with 500."""
    if secret_id not in backend.secrets:
        raise SecretNotFoundException
    return original(secret_id)


def _give_code(original: Callable[..., dict[str, Any]], function: Any) -> dict[str, Any]:
    """GetFunction's location of the code can be read: a data URL instead of one at the real AWS."""
    answer = original()
    location = "data:application/zip;base64," + base64.b64encode(function.code_bytes).decode()
    answer["Code"]["Location"] = location
    return answer


def _describe_schedule(original: Callable[..., dict[str, Any]], secret: FakeSecret) -> dict[str, Any]:
    described = original()
    rules = getattr(secret, "sandbox_rotation_rules", None)
    if rules and "RotationRules" in described:
        described["RotationRules"] = rules
        if not secret.last_rotation_date:
            del described["LastRotatedDate"]
    return described


def _take_network_for_granted(original: Callable[..., Any], service: Any, configuration: dict[str, Any]) -> Any:
    """Subnets and security groups that a stack file names belong to a network stack that the sandbox does not run."""
    backend = ec2_backends[service._account_id][service.region_name]  # noqa: SLF001 - moto has no public name for it
    names = configuration["awsvpcConfiguration"]
    _take_subnets(backend, names["subnets"])
    _take_groups(backend, names.get("securityGroups", []))
    return original(configuration)


def _take_subnets(backend: Any, subnet_ids: Iterable[str]) -> None:
    vpc = next(iter(backend.vpcs.values()))
    known = {subnet.id for subnet in backend.describe_subnets()}
    taken = sum(1 for subnet in backend.describe_subnets() if subnet.cidr_block.startswith("172.31.2"))
    for number, subnet_id in enumerate((s for s in subnet_ids if s not in known), taken):
        subnet = backend.create_subnet(vpc.id, f"172.31.{200 + number}.0/28")
        for by_id in backend.subnets.values():
            if subnet.id in by_id:
                by_id[subnet_id] = by_id.pop(subnet.id)
        subnet.id = subnet_id


def _take_groups(backend: Any, group_ids: Iterable[str]) -> None:
    vpc = next(iter(backend.vpcs.values()))
    for group_id in group_ids:
        if not backend.get_security_group_from_id(group_id):
            group = backend.create_security_group(group_id, "taken for granted by the sandbox", vpc.id)
            groups = backend.groups[vpc.id]
            groups[group_id] = groups.pop(group.id)
            group.id = group_id


def _take_subnets_for_granted(original: Callable[[], Any], self: RDSResponse | ElastiCacheResponse) -> Any:
    """The same for the subnets of a data store."""
    account, region = str(self.current_account), self.region
    _take_subnets(ec2_backends[account][region], self.params.get("SubnetIds") or self._get_param("SubnetIds", []))
    return original()


def _take_clients_for_granted(original: Callable[..., Any], backend: Any, *args: Any, **kwargs: Any) -> Any:
    """The same for the groups that a rule lets in."""
    groups = [group.get("GroupId", "") for group in kwargs.get("source_groups") or ()]
    _take_groups(backend, [group for group in groups if group.startswith("sg-")])
    return original(*args, **kwargs)


def _take_vpc_for_granted(
    original: Callable[..., Any], backend: Any, name: str, description: str, vpc_id: str | None = None, **kwargs: Any
) -> Any:
    """The same for a security group's VPC."""
    if vpc_id is None or vpc_id in backend.vpcs:
        return original(name, description, vpc_id, **kwargs)
    group = original(name, description, None, **kwargs)
    backend.groups[vpc_id][group.id] = backend.groups[group.vpc_id].pop(group.id)
    group.vpc_id = vpc_id
    return group


def _take_image_for_granted(
    original: Callable[..., Any], backend: EC2ContainerServiceBackend, *args: Any, **kwargs: Any
) -> Any:
    """An image that a stack file names was pushed by a pipeline that the sandbox does not run; and tell when this was called."""
    registered = original(*args, **kwargs)
    registered.registered_at = time.time()
    for definition in registered.container_definitions:
        match = _ECR_IMAGE.fullmatch(str(definition.get("image", "")))
        if match is None or match["account"] != backend.account_id:
            continue
        registry: Any = ecr_backends[match["account"]][match["region"]]
        if match["name"] not in registry.repositories:
            registry.create_repository(match["name"], None, None, None, "MUTABLE", [])
        known = {tag for image in registry.repositories[match["name"]].images for tag in image.image_tags}
        if match["tag"] and match["tag"] not in known:
            manifest = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "annotations": {"tag": match["tag"]}})
            registry.put_image(match["name"], manifest, match["tag"], _MANIFEST)
    return registered


def _associate_kms_key(self: LogsResponse) -> str:
    """AssociateKmsKey and DisassociateKmsKey, which moto does not have."""
    group: Any = self.logs_backend.groups[self._get_param("logGroupName")]
    group.kms_key_id = self._get_param("kmsKeyId")
    return ""


def _create_service(  # noqa: PLR0917 - moto's own signature
    original: Callable[..., Any],
    backend: EC2ContainerServiceBackend,
    cluster: str,
    name: str,
    count: int,
    reference: str | None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """A deregistered revision starts no service."""
    _require_active(backend, reference)
    return original(cluster, name, count, reference, *args, **kwargs)


def _update_service(
    original: Callable[..., Any], backend: EC2ContainerServiceBackend, service_properties: dict[str, Any]
) -> Any:
    """A deregistered revision can be scaled, but not deployed again; another controller's service is not deployed at all."""
    reference, force = service_properties.get("task_definition"), service_properties.get("force_new_deployment")
    cluster, name = service_properties.get("cluster", "default"), service_properties["service"].rsplit("/", 1)[-1]
    found, _failures = backend.describe_services(cluster, [name])
    controller = next((service.deployment_controller["type"] for service in found), "ECS")
    if controller != "ECS" and (reference or force):
        what = "update task definition" if reference else "force a new deployment"
        raise InvalidParameterException(f"Unable to {what} on services with a {controller} deployment controller.")
    if reference:  # moto keeps the text
        service_properties["task_definition"] = backend.describe_task_definition(reference).arn
    elif force:
        reference = next((service.task_definition for service in found), None)
    _require_active(backend, reference)
    return original(service_properties)


def _delete_cluster(original: Callable[..., Any], backend: EC2ContainerServiceBackend, cluster: str) -> Any:
    """A cluster with services stays."""
    name = cluster.rpartition("/")[2]
    if any(one.cluster_name == name and one.status != "INACTIVE" for one in backend.services.values()):
        raise ECSException(
            "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active."
        )
    return original(cluster)


def _require_active(backend: EC2ContainerServiceBackend, reference: str | None) -> None:
    if reference and backend.describe_task_definition(reference).status != "ACTIVE":
        raise EcsClientException("TaskDefinition is inactive")


def _take_tls_for_granted(
    original: Callable[..., PermissionResult], bucket: FakeBucket, action: str, resource: str
) -> PermissionResult:
    """A Deny on aws:SecureTransport denies nothing on loopback; moto ignores conditions, so it would deny everything."""
    if not bucket.policy:
        return original(action, resource)
    policy = json.loads(bucket.policy)
    kept = [s for s in policy["Statement"] if s.get("Condition") != {"Bool": {"aws:SecureTransport": "false"}}]
    return IAMPolicy(json.dumps({**policy, "Statement": kept})).is_action_permitted(action, resource)


def _validate_definition(self: StepFunctionResponse) -> ActionResult:
    """ValidateStateMachineDefinition by the parser that moto runs executions with, which it does not ask by itself."""
    problems = list(_definition_problems(self._get_param("definition")))
    diagnostics = [
        {"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": problem} for problem in problems
    ]
    return ActionResult({"result": "FAIL" if problems else "OK", "diagnostics": diagnostics})


def _definition_problems(text: str) -> Iterator[str]:
    # Not at the start: it takes seconds, and most stacks have no state machine.
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser  # noqa: PLC0415

    try:
        definition: dict[str, Any] = json.loads(text)
        AmazonStateLanguageParser.parse(text)
    except Exception as error:  # noqa: BLE001 - the parser raises ValueError, TypeError and classes of its own
        yield " ".join(str(error).split())[:300]
        return
    yield from _flow_problems(definition, "")


def _flow_problems(machine: dict[str, Any], at: str) -> Iterator[str]:
    """States that lead nowhere: the parser reads them one by one."""
    states: dict[str, dict[str, Any]] = machine["States"]
    if machine["StartAt"] not in states:
        yield f"MISSING_TRANSITION_TARGET: {machine['StartAt']} at {at}/StartAt"
    for name, state in states.items():
        here = f"{at}/States/{name}"
        rules = [*state.get("Catch", []), *state.get("Choices", [])]
        targets = [*(rule.get("Next") for rule in rules), state.get("Next"), state.get("Default")]
        yield from (
            f"MISSING_TRANSITION_TARGET: {target} at {here}" for target in targets if target and target not in states
        )
        if state["Type"] not in ("Choice", "Succeed", "Fail") and ("Next" in state) == (state.get("End") is True):
            yield f"MISSING_END_STATE: exactly one of Next and End at {here}"
        inner = [*state.get("Branches", []), state.get("ItemProcessor"), state.get("Iterator")]
        for part in filter(None, inner):
            yield from _flow_problems(part, here)


def _modify_db_subnet_group(
    original: Callable[..., Any], backend: RDSBackend, subnet_name: str, *args: Any, **kwargs: Any
) -> Any:
    """A subnet group that is modified stays; moto drops it."""
    modified = original(subnet_name, *args, **kwargs)
    backend.subnet_groups[subnet_name] = modified
    return modified


def _delete_replication_group(
    original: Callable[..., Any], backend: ElastiCacheBackend, replication_group_id: str, *args: Any, **kwargs: Any
) -> Any:
    """A replication group that is deleted goes; moto's stays `deleting`, and its name is taken for good."""
    deleted = original(replication_group_id, *args, **kwargs)
    del backend.replication_groups[replication_group_id]
    return deleted


def _modify_auth_token(original: Callable[[], ActionResult], self: ElastiCacheResponse) -> ActionResult:
    """ModifyReplicationGroup takes an AUTH token with a strategy; moto ignores both."""
    token, strategy = self._get_param("AuthToken"), self._get_param("AuthTokenUpdateStrategy")
    if bool(token) != bool(strategy):
        raise InvalidParameterCombinationException("AuthToken and AuthTokenUpdateStrategy must be specified together")
    answer = original()
    if token:
        group: Any = self.elasticache_backend.replication_groups[self._get_param("ReplicationGroupId")]
        group.auth_token_enabled, group.auth_token_last_modified_date = True, utcnow()
    return answer


def _modify_cache_subnet_group(self: ElastiCacheResponse) -> ActionResult:
    """ModifyCacheSubnetGroup, which moto does not have."""
    backend: Any = self.elasticache_backend
    name = self._get_param("CacheSubnetGroupName")
    before = backend.describe_cache_subnet_groups(name)[0]
    description, subnets = self._get_param("CacheSubnetGroupDescription"), self._get_param("SubnetIds", [])
    after = CacheSubnetGroup(backend.account_id, backend.region_name, name, description, subnets, before.tags)
    backend.cache_subnet_groups[name] = after
    return ActionResult({"CacheSubnetGroup": after})


def _delete_cache_subnet_group(self: ElastiCacheResponse) -> EmptyResult:
    """DeleteCacheSubnetGroup, which moto does not have."""
    name = self._get_param("CacheSubnetGroupName")
    self.elasticache_backend.describe_cache_subnet_groups(name)
    del self.elasticache_backend.cache_subnet_groups[name]
    return EmptyResult()


def _change_client_id(*, present: bool) -> Callable[[IamResponse], EmptyResult]:
    """AddClientIDToOpenIDConnectProvider and RemoveClientIDFromOpenIDConnectProvider, which moto does not have."""

    def change(self: IamResponse) -> EmptyResult:
        ids = self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn")).client_id_list
        client_id = self._get_param("ClientID")
        if (client_id in ids) != present:
            (ids.append if present else ids.remove)(client_id)
        return EmptyResult()

    return change


class OneAtATime:
    """moto's application with one request at a time.

    moto keeps resources in plain dictionaries and walks through them while it answers, other services' as well: who may make a
    call is read from IAM's roles. A request that adds one at that moment ends another with "dictionary changed size during
    iteration", which a client gets as HTTP 500. No request waits for another: an execution of a state machine calls services
    from a thread of its own.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        """Serve an application."""
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        with self._lock:
            return self._application(environ, start_response)


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


def serve(ready: int) -> None:
    """Serve on a free port of loopback, and write the port to a file descriptor as soon as it is this process's own."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    application = OneAtATime(cast("Callable[..., Iterable[bytes]]", DomainDispatcherApplication(create_backend_app)))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    os.environ["MOTO_PORT"] = str(server.port)
    with os.fdopen(ready, "w") as pipe:
        pipe.write(f"{server.port}\n")
    server.serve_forever()


if __name__ == "__main__":
    fill_gaps()
    serve(int(sys.argv[1]))
