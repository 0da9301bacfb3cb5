"""The least rights to deploy, preview and review a stack, and the boundary of every role that the stack creates. Pure.

The rights follow from the tables in `components/policies/calls.py`. A feature that is turned off needs none.

The deployer can't extend its own rights: it can't write to itself, the other two roles or the boundary, and every role that it
creates has the boundary.

Sources: AWS, "Service Authorization Reference", for the resources of each action; AWS, "Permissions boundaries for IAM
entities", delegating; Pulumi CLI 3.274, `pkg/backend/diy`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from components.location import Location, in_region, region_of
from components.names import Names
from components.policies.calls import (
    ALWAYS,
    BY_KEY_POLICY,
    CALLS,
    OF_FEATURE,
    PASSED_TO,
    REVIEW,
    USE_KEY,
    Feature,
)
from components.policies.identity import (
    DELIVER_LOG,
    MANAGED_POLICY_CHARACTERS,
    PolicyError,
    Statement,
    allow,
    document,
    pass_roles,
)


@dataclass(frozen=True)
class Deployment:
    """The properties of one stack that its deployment rights depend on.

    Attributes:
        names: The stack's names.
        location: Its account and Region.
        features: The features that its configuration turns on.
        config_key_arn: ARN of the KMS key that encrypts its configuration's secrets.
        key_tags: The tags with which the stack creates its key: the provider's default tags.
        adopted_arns: ARNs of the stack's secrets with other names.
        foreign_arns: Foreign secrets that its services read.
        watched_log_group: Log group of an organization's trail that the alarms read, "" for the stack's own.
        redeployed: The ECS services that are redeployed when a value changes, as `CLUSTER/SERVICE`, by the service's name in the
            catalogue.
        key_arns: Customer-managed keys, owned by others, that encrypt secrets of the stack or their replicas.
        replica_regions: The Regions whose replicas the execution roles read.
        protected: Whether the stack is protected: a destroy deletes no file of its trail.
    """

    names: Names
    location: Location
    features: frozenset[Feature]
    config_key_arn: str
    key_tags: Mapping[str, str]
    adopted_arns: tuple[str, ...] = ()
    foreign_arns: tuple[str, ...] = ()
    watched_log_group: str = ""
    redeployed: Mapping[str, str] = field(default_factory=dict[str, str])
    key_arns: tuple[str, ...] = ()
    replica_regions: tuple[str, ...] = ()
    protected: bool = False

    @property
    def deployer(self) -> str:
        """The deployer's role."""
        return self.names.deployer

    @property
    def previewer(self) -> str:
        """The previewer's role."""
        return f"{self.names.project}-previewer"

    @property
    def reviewer(self) -> str:
        """The reviewer's role."""
        return f"{self.names.project}-reviewer"

    @property
    def pipeline_roles(self) -> tuple[str, str, str]:
        """The roles that account/ creates."""
        return self.deployer, self.previewer, self.reviewer

    @property
    def state_bucket(self) -> str:
        """The bucket that holds the stack's state."""
        return f"{self.names.project}-state-{self.location.account_id}-{self.location.region}"

    @property
    def backend_url(self) -> str:
        """The argument of `pulumi login`."""
        return f"s3://{self.state_bucket}?region={self.location.region}&awssdk=v2"

    @property
    def config_alias(self) -> str:
        """The alias of the key that encrypts the secrets of its configuration and state."""
        return f"alias/{self.names.project}-config"

    @property
    def boundary_arn(self) -> str:
        """The managed policy that bounds every role of the stack."""
        return self.location.policy_arn(f"{self.names.project}-boundary")

    @property
    def types(self) -> tuple[str, ...]:
        """The resource types that the stack has, in the table's order."""
        wanted = {*ALWAYS, *(token for feature in self.features for token in OF_FEATURE[feature])}
        return tuple(token for token in CALLS if token in wanted)


def deployer_statements(stack: Deployment) -> tuple[Statement, ...]:
    """Return all rights of the deployer, one statement for each target."""
    actions: dict[str, set[str]] = {}
    for token in stack.types:
        for scope, calls in CALLS[token][1].items():
            actions.setdefault(scope, set()).update(calls.split())
    actions.pop(BY_KEY_POLICY, None)
    if stack.protected:
        actions.pop("trail file", None)
    if "encryption" in stack.features or stack.key_arns:
        actions["key through Secrets Manager"] = {*USE_KEY}
    scopes = _scopes(stack)
    table = [_allow(scope, sorted(found), *scopes[scope]) for scope, found in sorted(actions.items())]
    return (*table, *_state(stack, write=True))


def previewer_statements(stack: Deployment) -> tuple[Statement, ...]:
    """Return all rights of the previewer: read the state, decrypt the configuration, validate a definition.

    The state holds every generated and configured value, encrypted with the configuration key: code that runs as the previewer
    can read those. It reads no value in Secrets Manager, so values that a rotation or an operator set later stay hidden.
    """
    asked: list[Statement] = []
    if "redeploy" in stack.features:
        asked = [
            _allow("any", ["states:ValidateStateMachineDefinition"], ["*"]),
            _allow("any service", ["ecs:DescribeServices"], *_scopes(stack)["any service"]),
        ]
    # Before the program sets a value, it reads which version is live; only the deployer can then read one set by others.
    versions = _allow("list versions", ["secretsmanager:ListSecretVersionIds"], _secrets(stack))
    return (*asked, versions, *_state(stack, write=False))


def reviewer_statements(stack: Deployment) -> tuple[Statement, ...]:
    """Return all rights of the reviewer: the previewer's, and those of doctor, access and report. It reads no value."""
    scopes = _scopes(stack)
    actions: dict[str, set[str]] = {}
    for feature in ("", *sorted(stack.features)):
        for scope, calls in REVIEW.get(feature, {}).items():
            actions.setdefault(scope, set()).update(calls.split())
    reviews = (_allow(f"review {scope}", sorted(found), *scopes[scope]) for scope, found in sorted(actions.items()))
    return (*previewer_statements(stack), *reviews)


def managed_policies(statements: Sequence[Statement]) -> tuple[str, ...]:
    """Return the statements as managed policies, each filled up to IAM's limit.

    Raises:
        PolicyError: When a single statement is longer than a managed policy.
    """
    policies: list[list[Statement]] = [[]]
    for statement in statements:
        if len(document([statement])) > MANAGED_POLICY_CHARACTERS:
            raise PolicyError(
                f"{statement['Sid']} is longer than {MANAGED_POLICY_CHARACTERS:,} characters: adopt fewer secrets"
            )
        if len(document([*policies[-1], statement])) > MANAGED_POLICY_CHARACTERS:
            policies.append([])
        policies[-1].append(statement)
    return tuple(map(document, policies))


def boundary(stack: Deployment, *, application_actions: Iterable[str] = ()) -> str:
    """Return the boundary: the maximum permissions of any role of the stack, whatever policies the deployer attaches.

    Args:
        stack: The stack.
        application_actions: AWS actions of the running application, such as `s3:GetObject`.

    Raises:
        PolicyError: When an action of the application would let a role exceed its boundary.
    """
    location = stack.location
    own = _application(stack, application_actions)
    read = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    change = ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
    replicas = [in_region(arn, region) for region in stack.replica_regions for arn in _secrets(stack)]
    use = [*read, *(change if "rotation" in stack.features else [])]
    through = {"StringLike": {"kms:ViaService": [f"{service}.*" for service in ("secretsmanager", "sns")]}}
    statements = [
        _allow("use secrets", use, _secrets(stack)),
        *([_allow("read replicas", ["secretsmanager:GetSecretValue"], replicas)] if replicas else []),
        *([_allow("read foreign secrets", read, sorted(set(stack.foreign_arns)))] if stack.foreign_arns else []),
        _allow("start tasks", [
            "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer",
        ], ["*"]),
        _allow("write logs", ["logs:CreateLogStream", "logs:PutLogEvents"], _log_groups(stack)),
        _allow("use keys", ["kms:Decrypt", "kms:GenerateDataKey"], ["*"], through),
    ]  # fmt: skip
    if "rotation" in stack.features:
        interfaces = ["AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface"]
        interfaces += ["DescribeNetworkInterfaces", "DescribeSubnets", "UnassignPrivateIpAddresses"]
        statements += [
            _allow(
                "rotate in VPC", ["secretsmanager:GetRandomPassword", *(f"ec2:{name}" for name in interfaces)], ["*"]
            ),
        ]
    if "redeploy" in stack.features:
        statements += [
            _allow(
                "start redeployment",
                ["states:ListExecutions", "states:StartExecution"],
                _scopes(stack)["state machine"][0],
            ),
            _allow("deliver log", list(DELIVER_LOG), ["*"]),
        ]
    if stack.redeployed:
        services = [location.arn("ecs", f"service/{target}") for target in sorted(stack.redeployed.values())]
        of_tasks = [stack.names.service(name) for name in stack.redeployed]
        roles = [location.role_arn(role) for name in of_tasks for role in (name.execution_role, name.task_role)]
        statements += [_allow("redeploy", ["ecs:DescribeServices", "ecs:UpdateService"], services), pass_roles(roles)]
    policy = document([*statements, *own])
    if len(policy) > MANAGED_POLICY_CHARACTERS:
        raise PolicyError(
            f"the boundary is longer than {MANAGED_POLICY_CHARACTERS:,} characters: name fewer secrets and actions"
        )
    return policy


def _application(stack: Deployment, actions: Iterable[str]) -> tuple[Statement, ...]:
    """Return the statements that allow the running application's actions, and those that deny the state.

    Raises:
        PolicyError: When an action would let a role exceed its boundary, or the program's grants.
    """
    plain: set[str] = set()
    keys: dict[str, set[str]] = {}
    for action in actions:
        match = re.fullmatch(r"(?P<service>[a-z0-9-]+):(?P<name>[A-Z][A-Za-z]+)(?:@(?P<via>[a-z0-9-]+))?", action)
        if (
            match is None
            or match["service"] in _NEVER_THE_APPLICATIONS
            or bool(match["via"]) != (match["service"] == "kms")
        ):
            service = action.partition(":")[0]
            raise PolicyError(f"{action!r} can't be an application's action: {_INSTEAD.get(service, _INSTEAD[''])}")
        if action in _SHELLS:
            raise PolicyError(
                f"{action!r} can't be an application's action: it opens a shell in a container, or runs code with another role. "
                "Grant it to a person's role, outside this stack"
            )
        if match["via"]:
            keys.setdefault(match["via"], set()).add(action.partition("@")[0])
        else:
            plain.add(action)
    if not plain and not keys:
        return ()
    statements = [_allow("application", sorted(plain), ["*"])] if plain else []
    statements += [
        _allow(f"application keys {via}", sorted(found), ["*"], {"StringLike": {"kms:ViaService": f"{via}.*"}})
        for via, found in sorted(keys.items())
    ]
    # The state holds every value that Pulumi knows.
    bucket = f"arn:{stack.location.partition}:s3:::{stack.state_bucket}"
    return (*statements, {**_allow("not the state", ["s3:*"], [bucket, f"{bucket}/*"]), "Effect": "Deny"})


_NEVER_THE_APPLICATIONS = {"account", "iam", "organizations", "secretsmanager", "sts"}
_INSTEAD: Mapping[str, str] = {
    "": "name one action, such as s3:GetObject, and none of account, iam, organizations, sts",
    "secretsmanager": "declare the secret in catalogue.py with the service among its readers; a foreign one as a ForeignSecret",
    "kms": "name the service that calls KMS, such as kms:Decrypt@s3",
}
_SHELLS = {
    "ecs:ExecuteCommand", "ecs:RegisterTaskDefinition", "ecs:RunTask", "ecs:StartTask", "lambda:AddPermission",
    "lambda:CreateFunction", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration", "ssm:SendCommand",
    "ssm:StartSession",
}  # fmt: skip


def _secrets(stack: Deployment) -> list[str]:
    own = stack.location.arn("secretsmanager", f"secret:{stack.names.prefix}-*")
    return [own, *sorted(stack.adopted_arns)]


def require_boundary(caller_arn: str, names: Names, location: Location, boundary_arn: str | None) -> None:
    """Refuse to run as one of account/'s roles without the boundary, because AWS would refuse to create the first role.

    Args:
        caller_arn: The caller's ARN from `sts:GetCallerIdentity`.
        names: The stack's names.
        location: Its account.
        boundary_arn: The value of `permissionsBoundary` in the stack's configuration.

    Raises:
        PolicyError: With the command that sets it.
    """
    made = Deployment(names, location, frozenset(), config_key_arn="", key_tags={})
    role = re.fullmatch(r"arn:[a-z-]+:sts::\d{12}:assumed-role/([^/]+)/.+", caller_arn)
    if role and role[1] in made.pipeline_roles and boundary_arn != made.boundary_arn:
        found = f"is {boundary_arn}" if boundary_arn else "is not set"
        raise PolicyError(
            f"permissionsBoundary {found}: the deployer of account/ can't create a role without its boundary. "
            f"pulumi config set permissionsBoundary {made.boundary_arn}"
        )


def _every_secret(stack: Deployment) -> list[str]:
    return [*_secrets(stack), *sorted(set(stack.foreign_arns))]


def _roles(stack: Deployment) -> list[str]:
    """Return the names of the stack's roles as patterns, because account/ does not know the services."""
    names = stack.names
    of_service = names.service("*")
    found = [of_service.execution_role, of_service.task_role]
    if "redeploy" in stack.features:
        found += [of_service.redeploy, of_service.redeploy_start]
    if "rotation" in stack.features:
        found.append(names.rotation)
    if "trail" in stack.features:
        found.append(names.audit(stack.location).role)
    return found


def _log_groups(stack: Deployment) -> list[str]:
    group, names = stack.location.log_group_arn, stack.names
    found = [group(f"/ecs/{names.prefix}-*")]
    if "redeploy" in stack.features:
        found.append(group(f"{names.service('*').redeploy_log_group}*"))
    if "rotation" in stack.features:
        found.append(group(f"{names.rotation_log_group}*"))
    if "trail" in stack.features:
        found += [group(names.audit(stack.location).log_group + end) for end in ("", ":*")]
    return found


def _scopes(stack: Deployment) -> Mapping[str, tuple[list[str], Mapping[str, Mapping[str, object]]]]:
    """Return ARNs and condition by target. An ARN has the stack's name if the action supports resource-level permissions."""
    location, names = stack.location, stack.names
    arn, prefix = location.arn, names.prefix
    partition, account = location.partition, location.account_id
    audit = names.audit(location)
    roles = [location.role_arn(name) for name in _roles(stack)]
    policies = [location.policy_arn(f"{prefix}-*")]
    bounded = {"StringEquals": {"iam:PermissionsBoundary": stack.boundary_arn}}
    services = sorted({"ecs-tasks.amazonaws.com", *(to for f in stack.features for to in PASSED_TO.get(f, ()))})
    keys = [arn("kms", "key/*")]
    tags = sorted(stack.key_tags.items())
    # A key is created with these tags. They grant no right to it: its own policy does.
    tagged = {"StringEquals": {f"aws:RequestTag/{key}": value for key, value in tags}}
    untagged: dict[str, dict[str, object]] = {"Null": {f"aws:ResourceTag/{key}": "true" for key, _ in tags}}
    bucket = f"arn:{partition}:s3:::{audit.bucket}"
    watched = [location.log_group_arn(f"{stack.watched_log_group or audit.log_group}{end}") for end in ("", ":*")]
    used_keys = [*(keys if "encryption" in stack.features else ()), *sorted(set(stack.key_arns))]
    regions = sorted({location.region, *map(region_of, stack.key_arns)})
    through = {
        "StringEquals": {
            "kms:ViaService": [replace(location, region=name).endpoint("secretsmanager") for name in regions]
        }
    }
    here = {"StringEquals": {"aws:RequestedRegion": location.region}}
    return {
        "any": (["*"], {}),
        "role": (roles, {}),
        "bounded role": (roles, bounded),
        "attachment": (roles, {**bounded, "ArnLike": {"iam:PolicyARN": policies}}),
        "passed role": (roles, {"StringEquals": {"iam:PassedToService": services}}),
        "policy": (policies, {}),
        "secret": (_secrets(stack), {}),
        "every secret": (_every_secret(stack), {}),
        "every role": ([*roles, *(location.role_arn(name) for name in stack.pipeline_roles)], {}),
        "every policy": (
            [*policies, location.policy_arn(f"{stack.deployer}*"), stack.boundary_arn],
            {},
        ),
        "task definition": ([arn("ecs", f"task-definition/{prefix}-*")], {}),
        "any log group": ([location.log_group_arn("*")], {}),
        "log group": (_log_groups(stack), {}),
        "watched log group": (watched, {}),
        "any key": (keys, {}),
        "new key": (["*"], tagged),
        "new key tags": (keys, {**tagged, **untagged}),
        "key through Secrets Manager": (used_keys, through),
        "alias": ([arn("kms", f"alias/{prefix}")], {}),
        "function": ([arn("lambda", f"function:{names.rotation}"), arn("lambda", f"function:{names.rotation}:*")], {}),
        "state machine": ([arn("states", f"stateMachine:{prefix}-*")], {}),
        "rule": ([arn("events", f"rule/{prefix}-*")], {}),
        "any image": ([f"arn:{partition}:ecr:*:*:repository/*"], {}),
        "any service": ([arn("ecs", "service/*")], {}),
        "any task": ([arn("ecs", "task/*")], {}),
        "any alarm": ([arn("cloudwatch", "alarm:*")], {}),
        "alarm": ([arn("cloudwatch", f"alarm:{prefix}-*")], {}),
        "topic": ([audit.topic_arn], {}),
        # SNS supports neither a resource nor a condition key here.
        "any subscription": (["*"], here),
        "dashboard": ([f"arn:{partition}:cloudwatch::{account}:dashboard/{audit.dashboard}"], {}),
        "trail": ([audit.trail_arn], {}),
        "trail bucket": ([bucket], {}),
        "state bucket": ([f"arn:{partition}:s3:::{stack.state_bucket}"], {}),
        "trail file": ([f"{bucket}/*"], {}),
    }


def _state(stack: Deployment, *, write: bool) -> tuple[Statement, ...]:
    """Return the rights to one stack's files in the state bucket, and to decrypt its configuration.

    A preview takes no lock and writes nothing (`backend.go`). S3 encrypts the files itself.
    """
    bucket = f"arn:{stack.location.partition}:s3:::{stack.state_bucket}"
    project, name = stack.names.project, stack.names.stack
    files = [f"{bucket}/.pulumi/{kind}/{project}/{name}/*" for kind in ("history", "backups")]
    files += [
        f"{bucket}/.pulumi/stacks/{project}/{name}.json*",
        f"{bucket}/.pulumi/stacks/{project}/{name}.pulumi-tags",
        f"{bucket}/.pulumi/locks/organization/{project}/{name}/*",
    ]
    meta = f"{bucket}/.pulumi/meta.yaml"
    # The CLI lists the folders of all stacks in the bucket: names without contents.
    statements = [
        _allow("list state", ["s3:ListBucket"], [bucket]),
        _allow("read state", ["s3:GetObject"], [*files, meta]),
        _allow("decrypt configuration", ["kms:Decrypt"], [stack.config_key_arn]),
    ]
    if write:
        statements.append(_allow("write state", ["s3:DeleteObject", "s3:PutObject"], files))
    return tuple(statements)


def _allow(
    purpose: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, Mapping[str, object]] | None = None,
) -> Statement:
    sid = "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", purpose))
    return allow(sid, actions, resources, condition)
