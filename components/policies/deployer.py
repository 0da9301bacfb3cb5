"""Who deploys, previews and reviews a stack: least rights, and the boundary of every role that the stack makes. Pure.

The rights follow from the tables in `components/policies/calls.py`. A feature that is switched off needs none.

The deployer can't widen itself: its own name, the other two's and the boundary's lie outside of what it may write, and every role
that it makes carries the boundary.

Sources: AWS, "Service Authorization Reference", for which action knows which resource; AWS, "Permissions boundaries for IAM
entities", delegating; Pulumi CLI 3.274, `pkg/backend/diy`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from components.location import Location
from components.names import Names
from components.policies.calls import ALWAYS, CALLS, OF_FEATURE, PASSED_TO, REVIEW, Feature
from components.policies.identity import (
    DELIVER_LOG,
    MANAGED_POLICY_CHARACTERS,
    PolicyError,
    Statement,
    document,
    pass_roles,
)


@dataclass(frozen=True)
class Deployment:
    """One stack, as far as the rights to deploy it depend on it.

    Attributes:
        names: The stack's names.
        location: Its account and Region.
        features: What its configuration switches on.
        config_key_arn: ARN of the KMS key that encrypts its configuration's secrets.
        key_tags: The tags by which the stack's own key is known: the provider's default tags. A key's ARN is unknown before it
            exists, and its alias goes before it does.
        adopted_arns: Secrets of the stack that have other names.
        foreign_arns: Secrets of others that its services read.
        watched_log_group: Log group of an organisation's trail that the alarms read, "" for the stack's own.
        redeployed: The ECS services that are redeployed when a value changes, as `CLUSTER/SERVICE`, by the service's name in the
            catalogue.
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

    @property
    def deployer(self) -> str:
        """The deployer's role. Without a hyphen after the project's name, it is never one of the stack's own."""
        return f"{self.names.project}-deployer"

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
        """The roles that account/ makes."""
        return self.deployer, self.previewer, self.reviewer

    @property
    def state_bucket(self) -> str:
        """The bucket that holds the stack's state."""
        return f"{self.names.project}-state-{self.location.account_id}-{self.location.region}"

    @property
    def backend_url(self) -> str:
        """What `pulumi login` takes."""
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
    """Return everything that the deployer may do, one statement for each thing that is acted on."""
    actions: dict[str, set[str]] = {}
    for token in stack.types:
        for scope, calls in CALLS[token][1].items():
            actions.setdefault(scope, set()).update(calls.split())
    scopes = _scopes(stack)
    table = [_allow(scope, sorted(found), *scopes[scope]) for scope, found in sorted(actions.items())]
    return (*table, *_state(stack, write=True))


def previewer_statements(stack: Deployment) -> tuple[Statement, ...]:
    """Return everything that the previewer may do: read the state, decrypt the configuration, validate a definition.

    The state holds every value that Pulumi generated or was given, encrypted with the configuration's key: whoever runs code as
    the previewer can read those. In Secrets Manager it reads no value, so what a rotation or an operator set since stays hidden.
    """
    asked: list[Statement] = []
    if "redeploy" in stack.features:
        asked = [
            _allow("any", ["states:ValidateStateMachineDefinition"], ["*"]),
            _allow("any service", ["ecs:DescribeServices"], *_scopes(stack)["any service"]),
        ]
    # Before a value is put, the program asks which version is live; only the deployer may then look at a foreign one.
    versions = _allow("list versions", ["secretsmanager:ListSecretVersionIds"], _secrets(stack))
    return (*asked, versions, *_state(stack, write=False))


def reviewer_statements(stack: Deployment) -> tuple[Statement, ...]:
    """Return everything that the reviewer may do: the previewer's, and what doctor, access and report look at. No value."""
    scopes = _scopes(stack)
    actions: dict[str, set[str]] = {}
    for feature in ("", *sorted(stack.features)):
        for scope, calls in REVIEW.get(feature, {}).items():
            actions.setdefault(scope, set()).update(calls.split())
    reviews = (_allow(f"review {scope}", sorted(found), *scopes[scope]) for scope, found in sorted(actions.items()))
    return (*previewer_statements(stack), *reviews)


def managed_policies(statements: Sequence[Statement]) -> tuple[str, ...]:
    """Return the statements as managed policies, each as full as IAM takes.

    Raises:
        PolicyError: When one statement alone is longer than a managed policy.
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
    """Return the boundary: the most that any role of the stack can do, whatever policies the deployer gives it.

    Args:
        stack: The stack.
        application_actions: What the running application does at AWS by itself, such as `s3:GetObject`.

    Raises:
        PolicyError: When an action of the application's would let a role reach beyond its boundary.
    """
    location = stack.location
    own = sorted(application_actions)
    for action in own:
        if not re.fullmatch(r"[a-z0-9-]+:[A-Z][A-Za-z]+", action) or action.startswith(
            ("iam:", "sts:", "organizations:")
        ):
            raise PolicyError(
                f"{action!r} can't be an application's action: name one action, none of iam, sts, organizations"
            )
    read = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    change = ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
    use = [*read, *(change if "rotation" in stack.features else [])]
    through = {"StringLike": {"kms:ViaService": [f"{service}.*" for service in ("secretsmanager", "sns")]}}
    statements = [
        _allow("use secrets", use, _secrets(stack)),
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
    if "redeploy" in stack.features and stack.redeployed:
        services = [location.arn("ecs", f"service/{target}") for target in sorted(stack.redeployed.values())]
        of_tasks = [stack.names.service(name) for name in stack.redeployed]
        roles = [location.role_arn(role) for name in of_tasks for role in (name.execution_role, name.task_role)]
        statements += [_allow("redeploy", ["ecs:DescribeServices", "ecs:UpdateService"], services), pass_roles(roles)]
    if own:
        statements.append(_allow("application", own, ["*"]))
    policy = document(statements)
    if len(policy) > MANAGED_POLICY_CHARACTERS:
        raise PolicyError(
            f"the boundary is longer than {MANAGED_POLICY_CHARACTERS:,} characters: name fewer secrets and actions"
        )
    return policy


def _secrets(stack: Deployment) -> list[str]:
    own = stack.location.arn("secretsmanager", f"secret:{stack.names.prefix}-*")
    return [own, *sorted(stack.adopted_arns)]


def require_boundary(caller_arn: str, names: Names, location: Location, boundary_arn: str | None) -> None:
    """Refuse to run as one of account/'s roles without the boundary, since AWS would refuse the first role that is made.

    Args:
        caller_arn: Who runs this, as `sts:GetCallerIdentity` says.
        names: The stack's names.
        location: Its account.
        boundary_arn: What the stack's configuration has as `permissionsBoundary`.

    Raises:
        PolicyError: With the command that sets it.
    """
    made = Deployment(names, location, frozenset(), config_key_arn="", key_tags={})
    role = re.fullmatch(r"arn:[a-z-]+:sts::\d{12}:assumed-role/([^/]+)/.+", caller_arn)
    if role and role[1] in made.pipeline_roles and boundary_arn != made.boundary_arn:
        found = f"is {boundary_arn}" if boundary_arn else "is not set"
        raise PolicyError(
            f"permissionsBoundary {found}: the deployer of account/ may make no role without its own. "
            f"pulumi config set permissionsBoundary {made.boundary_arn}"
        )


def _every_secret(stack: Deployment) -> list[str]:
    return [*_secrets(stack), *sorted(set(stack.foreign_arns))]


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
    """Return by what is acted on: ARNs and condition. An ARN holds the stack's own name wherever AWS knows the resource."""
    location, names = stack.location, stack.names
    arn, prefix = location.arn, names.prefix
    partition, account = location.partition, location.account_id
    audit = names.audit(location)
    roles = [location.role_arn(f"{prefix}-*")]
    policies = [location.policy_arn(f"{prefix}-*")]
    bounded = {"StringEquals": {"iam:PermissionsBoundary": stack.boundary_arn}}
    services = sorted({"ecs-tasks.amazonaws.com", *(to for f in stack.features for to in PASSED_TO.get(f, ()))})
    keys = [arn("kms", "key/*")]
    tags = sorted(stack.key_tags.items())
    own_key = {"StringEquals": {f"aws:ResourceTag/{key}": value for key, value in tags}}
    # A key is tagged as it is made: it has none of these tags before, and gets them all.
    new_key: dict[str, dict[str, object]] = {
        "StringEquals": {f"aws:RequestTag/{key}": value for key, value in tags},
        "Null": {f"aws:ResourceTag/{key}": "true" for key, _ in tags},
    }
    bucket = f"arn:{partition}:s3:::{audit.bucket}"
    watched = [location.log_group_arn(f"{stack.watched_log_group or audit.log_group}{end}") for end in ("", ":*")]
    through = {"StringEquals": {"kms:ViaService": f"secretsmanager.{location.region}.{location.dns_suffix}"}}
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
        "key": (keys, own_key),
        "new key": (keys, new_key),
        "key through Secrets Manager": (keys, through),
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
        "dashboard": ([f"arn:{partition}:cloudwatch::{account}:dashboard/{audit.dashboard}"], {}),
        "trail": ([audit.trail_arn], {}),
        "trail bucket": ([bucket], {}),
        "state bucket": ([f"arn:{partition}:s3:::{stack.state_bucket}"], {}),
        "trail file": ([f"{bucket}/*"], {}),
    }


def _state(stack: Deployment, *, write: bool) -> tuple[Statement, ...]:
    """Return the rights to one stack's files in the state's bucket, and to decrypt its configuration.

    A preview takes no lock and writes nothing (`backend.go`). The key's own encryption of the files is S3's.
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
    # The CLI lists the bucket's folders of all stacks: names, no content.
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
    sid = "".join(word[0].upper() + word[1:] for word in purpose.split())
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return statement | ({"Condition": condition} if condition else {})
