"""Reads what `ops access` judges: the policies of the secrets and their keys, the roles of the stack and the account."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from components.location import in_region, region_of
from components.names import AuditNames
from components.references import parse_value_from
from ops._aws import Aws
from ops._errors import DENIED, aws_errors, code_of, tolerating
from ops._ownership import owner_of
from ops._restoring import written
from ops._roles import Role, read_key_policy, read_managed_policy, read_role
from ops._secrets import UNREADABLE, Record, key_arn
from ops._stack import Stack, in_sandbox
from ops.access import declared, pipeline
from ops.access.declared import PIPELINE, Declared, PipelineKind
from ops.access.evaluator import Statement, parse
from ops.listing import foreign_records, records_of

Kind = Literal["execution", "task", "rotation", "trail", "redeploy", "redeploy-start", PipelineKind, "other"]
"""What the program, or account/, created a role for; `other` has the stack's name, but neither of them created it."""

READ = "secretsmanager:getsecretvalue"
ROTATE = frozenset(
    {READ, "secretsmanager:describesecret", "secretsmanager:putsecretvalue", "secretsmanager:updatesecretversionstage"}
)


@dataclass(frozen=True)
class Secret:
    """One secret with what decides about access to it.

    Attributes:
        name: Its name in the catalogue.
        policy: Its resource policy; None when it can't be read.
        since: When its current value was written; None without one.
    """

    name: str
    record: Record
    policy: tuple[Statement, ...] | None
    since: datetime | None

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.record.arn

    @property
    def key_arns(self) -> dict[str, str]:
        """Its customer-managed keys by Region: its own, and those of its replicas."""
        keys = {region_of(self.arn): self.record.kms_key_id}
        keys |= {replica.region: replica.kms_key_id for replica in self.record.replicas}
        return {
            region: key_arn(in_region(self.arn, region), key)
            for region, key in keys.items()
            if key and not key.endswith("alias/aws/secretsmanager")
        }


@dataclass(frozen=True)
class Key:
    """A customer-managed key.

    Attributes:
        policy: None when it can't be read.
        grants: The operations of each grantee, beside the policy; None when they can't be read.
    """

    arn: str
    policy: tuple[Statement, ...] | None
    grants: tuple[tuple[str, tuple[str, ...]], ...] | None


@dataclass(frozen=True)
class StackRole:
    """A role of the stack.

    Attributes:
        meant: The actions that the design gives it, in lower case, by a secret's ARN.
        function_arn: The rotation function that runs as this role, None for another role.
    """

    role: Role
    kind: Kind
    meant: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    function_arn: str | None = None


@dataclass(frozen=True)
class State:
    """Where account/ keeps Pulumi's state, which holds every value that Pulumi generated or was given.

    Attributes:
        bucket: The bucket's name.
        file: ARN of the stack's state in it.
        policy: The bucket's policy; None when it can't be read.
        key: The key that encrypts the values in the state; None when it was not found.
    """

    bucket: str
    file: str
    policy: tuple[Statement, ...] | None
    key: Key | None


@dataclass(frozen=True)
class Facts:
    """What was read.

    Attributes:
        foreign: Secrets of the catalogue with another owner.
        missing: Catalogue names of secrets that don't exist.
        roles: The stack's roles.
        others: Every other role and user of the account; empty unless requested.
        everybody: Whether they were requested.
        not_looked_at: What was not read, in words.
        state: Where the state is; None where account/ keeps none.
        declared: What the account's project declares; None when it was not found.
    """

    stack: Stack
    secrets: tuple[Secret, ...]
    foreign: tuple[Secret, ...]
    missing: tuple[str, ...]
    keys: Mapping[str, Key]
    roles: tuple[StackRole, ...]
    others: tuple[Role, ...]
    everybody: bool
    not_looked_at: tuple[str, ...]
    state: State | None = None
    declared: Declared | None = None

    @property
    def every(self) -> list[StackRole]:
        """The stack's roles and the others."""
        return [*self.roles, *(StackRole(role, "other") for role in self.others)]

    @property
    def deployers(self) -> set[str]:
        """The ARNs of the roles that change everything by design."""
        return {found.role.arn for found in self.roles if found.kind == "deployer"}


def gather(aws: Aws, stack: Stack, *, everybody: bool = False) -> Facts:
    """Read a stack. No value is read."""
    records = {stack.name_of(arn): record for arn, record in records_of(aws, stack).items()}
    live = {name: record for name, record in records.items() if record}
    secrets = tuple(aws.each(lambda name: _secret(aws, name, live[name]), sorted(live)).values())
    foreign = tuple(
        Secret(stack.name_of(arn), record, None, record.changed)
        for arn, record in sorted(foreign_records(aws, stack).items())
        if record
    )
    used = {stack.kms_key_arn, *(arn for secret in secrets for arn in secret.key_arns.values())}
    keys = {arn: _key(aws, arn) for arn in sorted(filter(None, used))}
    roles = _stack_roles(aws, stack, live.values())
    known = {found.role.arn for found in roles}
    others = tuple(role for role in _account(aws) if role.arn not in known) if everybody else ()
    state, account = _state(aws, stack), declared.read(stack)
    return Facts(
        stack=stack,
        secrets=secrets,
        foreign=foreign,
        missing=tuple(sorted(records.keys() - live.keys())),
        keys=keys,
        roles=roles,
        others=others,
        everybody=everybody,
        not_looked_at=(
            *_gaps(stack, secrets, keys.values(), roles, everybody=everybody),
            *_other_gaps(stack, roles, state, account),
        ),
        state=state,
        declared=account,
    )


def _gaps(
    stack: Stack, secrets: Iterable[Secret], keys: Iterable[Key], roles: Iterable[StackRole], *, everybody: bool
) -> Iterator[str]:
    if not everybody:
        yield "administrators and every other role and user of the account (--everybody looks at them)"
    yield "the account's root user, who can do everything"
    for secret in secrets:
        if secret.policy is None:
            yield f"the resource policy of {secret.name}: you are not allowed to read it, or the secret is pending deletion"
    for key in keys:
        yield from _key_gaps(key)
    for found in roles:
        if found.kind == "other":
            yield f"what {found.role.name} can do beside the secrets, and who can assume it: the program did not create that role"
    for name, arn in stack.foreign_arns.items():
        yield f"who else can read {name}, and whether its own policies allow the stack's roles to: {owner_of(stack, arn)} owns it"
    yield "service and resource control policies, session policies, policies of VPC endpoints: they can't be read from here"
    if everybody:
        yield "who uses the account's other roles that can read: who assumes them, or passes them to a service"
    yield "who can read backups and the containers' environment, or change what the containers run"


def _key_gaps(key: Key) -> Iterator[str]:
    if key.policy is None:
        yield f"the policy of the key {key.arn}: you are not allowed to read it"
    if key.grants is None:
        yield f"the grants of the key {key.arn}: you are not allowed to list them"


def _other_gaps(
    stack: Stack, roles: Iterable[StackRole], state: State | None, account: Declared | None
) -> Iterator[str]:
    """Yield the parts of the account's project that were not read."""
    made = pipeline.deployment(stack)
    if account is None and any(found.kind in PIPELINE for found in roles):
        yield (
            f"the principals that the pipeline's roles should trust: there is no account/Pulumi.{stack.environment}.yaml of "
            f"{stack.names.project} here; the report above names who assumes them"
        )
    if state is None:
        where = "" if in_sandbox() else "; `pulumi whoami -v` says where the state is"
        yield f"who can read Pulumi's state: there is no bucket {made.state_bucket}{where}"
        return
    if state.policy is None:
        yield f"the policy of the state's bucket {state.bucket}: you are not allowed to read it"
    if state.key is None:
        yield f"the key of the state: there is no {made.config_alias}, or you are not allowed to describe it"
    else:
        yield from _key_gaps(state.key)


def _state(aws: Aws, stack: Stack) -> State | None:
    made = pipeline.deployment(stack)
    try:
        text = aws.client("s3").get_bucket_policy(Bucket=made.state_bucket)["Policy"]
        policy = parse(text, source="bucket policy")
    except aws_errors() as error:
        if code_of(error) == "NoSuchBucket":
            return None
        if code_of(error) not in {"NoSuchBucketPolicy", *DENIED}:
            raise
        policy = () if code_of(error) == "NoSuchBucketPolicy" else None
    kms = aws.client("kms")
    arn = tolerating(UNREADABLE, lambda: str(kms.describe_key(KeyId=made.config_alias)["KeyMetadata"]["Arn"]))
    file = (
        f"arn:{stack.partition}:s3:::{made.state_bucket}/.pulumi/stacks/{stack.names.project}/{stack.names.stack}.json"
    )
    return State(made.state_bucket, file, policy, _key(aws, arn) if arn else None)


def _secret(aws: Aws, name: str, record: Record) -> Secret:
    def policy() -> tuple[Statement, ...]:
        client = aws.client("secretsmanager", region_of(record.arn))
        text = client.get_resource_policy(SecretId=record.arn).get("ResourcePolicy")
        return parse(text, source="resource policy") if text else ()

    return Secret(name, record, tolerating(UNREADABLE, policy), written(aws, record))


def _key(aws: Aws, arn: str) -> Key:
    def grants() -> tuple[tuple[str, tuple[str, ...]], ...]:
        pages = aws.client("kms", region_of(arn)).get_paginator("list_grants").paginate(KeyId=arn)
        found: Any = pages.build_full_result().get("Grants", ())
        return tuple((grant["GranteePrincipal"], tuple(grant["Operations"])) for grant in found)

    return Key(arn, tolerating(UNREADABLE, lambda: read_key_policy(aws, arn)), tolerating(UNREADABLE, grants))


def _stack_roles(aws: Aws, stack: Stack, records: Iterable[Record]) -> tuple[StackRole, ...]:
    """Return the stack's roles: those of its outputs, those that its functions run as, and those that have its name."""
    kinds: dict[str, Kind] = {}
    meant: dict[str, dict[str, frozenset[str]]] = {}
    functions: dict[str, str] = {}
    made: dict[str, Kind] = {trail_of(stack).role: "trail"}
    made |= {f"{stack.names.project}-{kind}": kind for kind in PIPELINE}
    for name in stack.services:
        own = stack.names.service(name)
        made |= {own.redeploy: "redeploy", own.redeploy_start: "redeploy-start"}
    for role in aws.pages("iam", "list_roles", "Roles"):
        if role["RoleName"] in made or role["RoleName"].startswith(f"{stack.names.prefix}-"):
            kinds[role["Arn"]] = made.get(role["RoleName"], "other")
    for record in records:
        if record.rotation.lambda_arn:
            role_arn, signs_in = _function(aws, stack, record.rotation.lambda_arn)
            kinds[role_arn], functions[role_arn] = "rotation", record.rotation.lambda_arn
            rights = meant.setdefault(role_arn, {})
            rights |= {arn: rights.get(arn, frozenset()) | {READ} for arn in signs_in} | {record.arn: ROTATE}
    for service in stack.services.values():
        kinds |= {service.execution_role_arn: "execution", service.task_role_arn: "task"}
        referenced = {parse_value_from(text).arn for text in service.container_secrets.values()}
        meant[service.execution_role_arn] = dict.fromkeys(referenced, frozenset({READ}))
    of_deployer = dict.fromkeys(stack.secret_arns.values(), pipeline.OF_SECRETS)
    meant |= {arn: of_deployer for arn, kind in kinds.items() if kind == "deployer"}
    read = aws.each(lambda arn: read_role(aws, arn), sorted(kinds))
    return tuple(
        StackRole(role, kinds[arn], meant.get(arn, {}), functions.get(arn)) for arn, role in read.items() if role
    )


def trail_of(stack: Stack) -> AuditNames:
    """Return the names of the stack's trail and its parts, whether or not there is one."""
    return stack.names.audit(stack.location)


def _function(aws: Aws, stack: Stack, arn: str) -> tuple[str, set[str]]:
    """Return the role of a rotation function, and the secrets that its configuration names: it signs in with their values."""
    found = aws.client("lambda").get_function_configuration(FunctionName=arn)
    given = set((found.get("Environment") or {}).get("Variables", {}).values())
    return found["Role"], given & set(stack.every_secret_arn.values())


def _account(aws: Aws) -> Iterator[Role]:
    """Yield every role and user of the account with its policies, from IAM's one report."""
    report: Any = aws.client("iam").get_paginator("get_account_authorization_details").paginate().build_full_result()
    managed = {
        # moto leaves the policy's name out.
        policy["Arn"]: parse(version["Document"], source=f"managed policy {policy['Arn'].rpartition('/')[2]}")
        for policy in report.get("Policies", ())
        for version in policy["PolicyVersionList"]
        if version["IsDefaultVersion"]
    }

    def of_policy(arn: str) -> tuple[Statement, ...]:
        return managed[arn] if arn in managed else read_managed_policy(aws, arn)

    def own(holder: Mapping[str, Any], kind: str) -> Iterator[Statement]:
        for policy in holder.get(f"{kind}PolicyList", ()):
            yield from parse(policy["PolicyDocument"], source=f"inline policy {policy['PolicyName']}")
        for policy in holder.get("AttachedManagedPolicies", ()):
            yield from of_policy(policy["PolicyArn"])

    groups = {group["GroupName"]: tuple(own(group, "Group")) for group in report.get("GroupDetailList", ())}
    for kind, raw in ((one, raw) for one in ("Role", "User") for raw in report.get(f"{one}DetailList", ())):
        limit = (raw.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        trust = raw.get("AssumeRolePolicyDocument")
        yield Role(
            raw["Arn"],
            raw["Arn"].rpartition("/")[2],
            parse(trust, source="trust policy") if trust else (),
            (*own(raw, kind), *(statement for group in raw.get("GroupList", ()) for statement in groups[group])),
            of_policy(limit) if limit else None,
            tuple(policy["PolicyArn"] for policy in raw.get("AttachedManagedPolicies", ())),
        )
