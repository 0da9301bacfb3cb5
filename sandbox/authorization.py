"""Refuses what AWS would refuse to a role of the program: evaluates its policies and boundary, dependent actions included.

Credentials from `AssumeRole` for a role of the account are such a role's. All others, the sandbox's own included, can do
everything.
A call that is not listed below is refused.

Source of the actions, resources and condition keys: AWS, Service Authorization Reference, "API operations" of each service.
Source of the order of decision: AWS, "Policy evaluation logic": an explicit deny wins; identity policies and boundary both allow.
"""

import fnmatch
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.ecs.models import ecs_backends
from moto.iam.models import iam_backends
from moto.secretsmanager.models import FakeSecret, secretsmanager_backends
from moto.sts.models import sts_backends

_TO_TASKS = {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        account: The account.
        region: The Region.
        partition: The partition.
        parameters: The request's JSON.
    """

    account: str
    region: str
    partition: str
    parameters: Mapping[str, Any]

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account and Region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True)
class Asked:
    """One action on one resource.

    Attributes:
        action: The IAM action.
        resource: The ARN, or `*`.
        context: The request's condition keys, in lower case.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict[str, str])


def _describe_services(call: Call) -> Iterator[Asked]:
    cluster = call.parameters.get("cluster", "default").rpartition("/")[2]
    for name in call.parameters["services"]:
        yield Asked("ecs:DescribeServices", call.arn("ecs", f"service/{cluster}/{name.rpartition('/')[2]}"))


def _update_service(call: Call) -> Iterator[Asked]:
    cluster, name = (call.parameters.get(key, "default").rpartition("/")[2] for key in ("cluster", "service"))
    yield Asked("ecs:UpdateService", call.arn("ecs", f"service/{cluster}/{name}"))
    if reference := call.parameters.get("taskDefinition"):
        found: Any = ecs_backends[call.account][call.region].describe_task_definition(reference)
        for attribute in ("execution_role_arn", "task_role_arn"):
            if role := getattr(found, attribute, None):
                yield Asked("iam:PassRole", role, _TO_TASKS)


def _secret(action: str, *with_key: str) -> Callable[[Call], Iterator[Asked]]:
    """A call on one secret; Secrets Manager asks KMS as the caller where the key is the customer's."""

    def asked(call: Call) -> Iterator[Asked]:
        secret = secretsmanager_backends[call.account][call.region].secrets.get(call.parameters["SecretId"])
        arn = secret.arn if isinstance(secret, FakeSecret) else call.parameters["SecretId"]
        yield Asked(f"secretsmanager:{action}", arn)
        key = secret.kms_key_id if isinstance(secret, FakeSecret) else None
        if key and not key.startswith("alias/aws/"):
            via = {"kms:viaservice": f"secretsmanager.{call.region}.amazonaws.com"}
            key_arn = key if key.startswith("arn:") else call.arn("kms", f"key/{key}")
            yield from (Asked(f"kms:{name}", key_arn, via) for name in with_key)

    return asked


def _on(action: str, parameter: str = "") -> Callable[[Call], Iterator[Asked]]:
    """A call on what one parameter names by its ARN; on `*` without one."""
    return lambda call: iter([Asked(action, call.parameters[parameter] if parameter else "*")])


CALLS: Mapping[str, Callable[[Call], Iterator[Asked]]] = {
    "ecs:DescribeServices": _describe_services,
    "ecs:UpdateService": _update_service,
    "secretsmanager:DescribeSecret": _secret("DescribeSecret"),
    "secretsmanager:GetRandomPassword": _on("secretsmanager:GetRandomPassword"),
    "secretsmanager:GetSecretValue": _secret("GetSecretValue", "Decrypt"),
    "secretsmanager:PutSecretValue": _secret("PutSecretValue", "Decrypt", "GenerateDataKey"),
    "secretsmanager:UpdateSecretVersionStage": _secret("UpdateSecretVersionStage"),
    "states:ListExecutions": _on("states:ListExecutions", "stateMachineArn"),
    "states:StartExecution": _on("states:StartExecution", "stateMachineArn"),
}
"""By operation, the IAM actions to authorize. These are the calls that the program's roles make through a JSON API."""

_UNCHECKED = {"sts:GetCallerIdentity"}
_SERVICES = {"stepfunctions": "states"}


def check(response: Any) -> None:
    """Refuse what the caller's role is not allowed to do.

    Args:
        response: moto's response object, with the request in it.
    """
    role = _role(response)
    service = _SERVICES.get(response.service_name, response.service_name)
    operation = f"{service}:{response._get_action()}"  # noqa: SLF001 - moto has no public name for it
    if role is None or operation in _UNCHECKED:
        return
    if operation not in CALLS:
        raise _refused(
            role, operation, "*", "the local AWS does not know the IAM actions of this call (sandbox/authorization.py)"
        )
    call = Call(response.current_account, response.region, response.partition, json.loads(response.body or "{}"))
    identity, boundary = _policies(role, response)
    for asked in CALLS[operation](call):
        if not decide(asked, identity):
            raise _refused(
                role, asked.action, asked.resource, f"no identity-based policy allows the {asked.action} action"
            )
        if boundary is not None and not decide(asked, boundary):
            raise _refused(
                role, asked.action, asked.resource, f"no permissions boundary allows the {asked.action} action"
            )


def _role(response: Any) -> Any:
    """Return the role of this account whose credentials these are, None for all others."""
    assumed = sts_backends[response.current_account][response.partition].assumed_roles
    arn = next((one.role_arn for one in assumed if one.access_key_id == response.access_key), "")
    roles = iam_backends[response.current_account][response.partition].roles.values()
    return next((role for role in roles if role.arn == arn), None)


def _policies(role: Any, response: Any) -> tuple[list[Any], list[Any] | None]:
    texts = [*role.policies.values(), *map(_document, role.managed_policies.values())]
    boundary = role.permissions_boundary_arn
    if not boundary:
        return _statements(texts), None
    policies: Any = iam_backends[response.current_account][response.partition].managed_policies
    return _statements(texts), _statements([_document(policies[boundary])])


def _document(policy: Any) -> str:
    return next(version.document for version in policy.versions if version.version_id == policy.default_version_id)


def _statements(texts: list[Any]) -> list[Any]:
    return [statement for text in texts for statement in _listed(json.loads(text)["Statement"])]


def decide(asked: Asked, statements: list[Any]) -> bool:
    """Return whether statements of one kind allow an action."""
    applying = [statement["Effect"] for statement in statements if _applies(statement, asked)]
    return "Allow" in applying and "Deny" not in applying


def _applies(statement: Mapping[str, Any], asked: Asked) -> bool:
    return (
        any(_like(asked.action.lower(), action.lower()) for action in _listed(statement["Action"]))
        and any(_like(asked.resource, resource) for resource in _listed(statement["Resource"]))
        and all(
            _holds(operator, value, asked.context.get(key.lower()))
            for operator, keys in statement.get("Condition", {}).items()
            for key, value in keys.items()
        )
    )


def _holds(operator: str, wanted: Any, found: str | None) -> bool:
    """Return whether a condition holds; an operator that is not listed here fails loudly."""
    if operator in ("StringEquals", "ArnEquals"):
        return found in _listed(wanted)
    if operator in ("StringLike", "ArnLike"):
        return found is not None and any(_like(found, pattern) for pattern in _listed(wanted))
    raise NotImplementedError(f"the local AWS does not know the condition operator {operator}")


def _like(text: str, pattern: str) -> bool:
    return re.fullmatch(fnmatch.translate(pattern.replace("[", "[[]")), text) is not None


def _listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _refused(role: Any, action: str, resource: str, why: str) -> JsonRESTError:
    error = JsonRESTError(
        "AccessDeniedException",
        f"User: {role.arn} is not authorized to perform: {action} on resource: {resource} because {why}",
    )
    error.code = 400
    return error
