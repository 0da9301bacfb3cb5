"""Judges what was gathered: who can do what, and what is wider than the design. Pure functions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from components.location import Location, in_region, region_of
from components.policies import identity
from ops._roles import Role
from ops._stack import Stack
from ops.access import pipeline
from ops.access.declared import PIPELINE
from ops.access.evaluator import (
    Decision,
    Request,
    Statement,
    decide,
    glob,
    matches_action,
    resource_tags,
    shown_conditions,
)
from ops.access.gather import Facts, Key, Kind, Secret, StackRole, State
from ops.access.routes import RIGHTS, Target, around, to_itself, to_reader

STATE = "Pulumi's state"
"""Stands for a secret's name where a principal can read all values that Pulumi generated or received."""

_ON_SECRETS = tuple(action for actions in RIGHTS.values() for action in actions)

_ESCALATIONS: Mapping[str, tuple[str, ...]] = {
    "it could give itself or others any right": (
        "iam:AddUserToGroup", "iam:AttachGroupPolicy", "iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:CreateAccessKey",
        "iam:CreateLoginProfile", "iam:CreatePolicyVersion", "iam:DeleteRolePermissionsBoundary", "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy", "iam:PutGroupPolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:PutUserPolicy",
        "iam:SetDefaultPolicyVersion", "iam:UpdateAssumeRolePolicy", "iam:UpdateLoginProfile",
    ),
    "it could start something with the rights of another role": (
        "iam:PassRole", "lambda:CreateFunction", "states:CreateStateMachine", "states:UpdateStateMachine", "ec2:RunInstances",
        "cloudformation:CreateStack", "cloudformation:UpdateStack", "events:PutTargets", "scheduler:CreateSchedule",
    ),
    "it could become another role": ("sts:AssumeRole",),
    "a shell in the container: everyone who opens one can read its variables": (
        "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel", "ssm:StartSession", "ssm:SendCommand", "ecs:ExecuteCommand",
    ),
    "it could run a container that prints the secrets": (
        "ecs:RunTask", "ecs:StartTask", "ecs:RegisterTaskDefinition", "ecs:CreateService", "ecs:UpdateService",
        "ecs:CreateTaskSet",
    ),
    "it could run code with the rights of the rotation function": (
        "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration", "lambda:AddPermission",
    ),
    "it could decrypt, or let others decrypt": (
        "kms:Decrypt", "kms:ReEncryptFrom", "kms:CreateGrant", "kms:PutKeyPolicy", "kms:ReplicateKey",
    ),
    "it could disable the audit": (
        "cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "cloudtrail:UpdateTrail", "cloudtrail:PutEventSelectors",
        "logs:DeleteLogGroup", "logs:DeleteMetricFilter", "logs:PutMetricFilter", "cloudwatch:DeleteAlarms",
    ),
}  # fmt: skip
"""Actions that lead to a value indirectly, by what they lead to. Source: AWS, "Security best practices in IAM"; Rhino Security
Labs, "AWS IAM Privilege Escalation"; AWS, "Using ECS Exec"."""

_ARNS = {"secretsmanager", "kms"}
"""Services whose resources are compared with the stack's own."""


@dataclass(frozen=True)
class Design:
    """What the program grants to a kind of role.

    Attributes:
        trusts: The AWS service that assumes it.
        bound: Whether its trust names this account, since the service sends its source account.
        actions: All its permissions, in lower case; None where only `allowed` escalations are known.
        anywhere: Actions whose resource is `*`, since AWS supports no resource-level permission for them.
    """

    trusts: str
    bound: bool = False
    actions: frozenset[str] | None = None
    anywhere: frozenset[str] = frozenset()


def _granted(trusts: str, *statements: identity.Statement, bound: bool = False) -> Design:
    """Return a design from the statements that the program itself grants to such a role."""
    allows = [statement for statement in statements if statement["Effect"] == "Allow"]
    return Design(
        trusts,
        bound,
        frozenset(action.lower() for statement in allows for action in statement["Action"]),
        frozenset(
            action.lower() for statement in allows if "*" in statement["Resource"] for action in statement["Action"]
        ),
    )


_ANY = "arn"
"""Stands for an ARN where only the actions matter."""
_NOWHERE = Location("", "", "")

_DESIGNS: Mapping[Kind, Design] = {
    "execution": _granted(
        "ecs-tasks.amazonaws.com",
        identity.read_secrets([_ANY]),
        identity.decrypt_through_secrets_manager([_ANY], _NOWHERE),
        identity.write_logs(_ANY),
        *identity.pull_image(_ANY),
    ),
    "task": Design("ecs-tasks.amazonaws.com", actions=frozenset()),
    "rotation": _granted(
        "lambda.amazonaws.com",
        *identity.rotate_secret(
            secret_arn=_ANY, superuser_secret_arn=_ANY, kms_key_arn=_ANY, function_arn=_ANY,
            log_group_arn=_ANY, location=_NOWHERE,
        ),
    ),
    "trail": Design("cloudtrail.amazonaws.com"),
    "redeploy": _granted(
        "states.amazonaws.com",
        *identity.redeploy(service_arn=_ANY, state_machine_arn=_ANY, passed_role_arns=[_ANY]), bound=True,
    ),
    "redeploy-start": _granted("events.amazonaws.com", identity.start_execution(_ANY), bound=True),
}  # fmt: skip
"""By kind of role. Not bound: Lambda and CloudTrail name no source account; `confusedDeputyProtection` can be off for ECS."""


@dataclass(frozen=True)
class Grant:
    """A principal can do something to a secret.

    Attributes:
        secret: Its name in the catalogue.
        right: `read`, `change`, `delete`, or `take over`: give the permissions of a role that reads it to another principal.
        principal: The ARN, or the policy's own term.
        statement: The statement that allows it.
        conditions: What it depends on, which only the live request decides.
        wider: Whether the design does not include it.
    """

    secret: str
    right: str
    principal: str
    statement: str
    conditions: tuple[str, ...]
    wider: bool


@dataclass(frozen=True)
class Finding:
    """A statement that is wider than necessary, or missing.

    Attributes:
        where: The principal, the secret or the key that has the policy.
        statement: The statement, with its policy.
        problem: What is too wide.
    """

    where: str
    statement: str
    problem: str


@dataclass(frozen=True)
class Report:
    """The access report.

    Attributes:
        grants: Who can do what.
        findings: What is too wide.
        looked_at: The principals whose policies were evaluated.
        not_looked_at: What was not checked, in words.
        pipeline: What the roles of account/ are for, in a sentence each.
        unchanged_since: When its current value was written, by secret; None without one. A missing secret is left out.
        trusted: ARNs of others whose access the operator declared intended.
    """

    grants: tuple[Grant, ...]
    findings: tuple[Finding, ...]
    looked_at: tuple[str, ...]
    everybody: bool
    not_looked_at: tuple[str, ...]
    pipeline: tuple[str, ...]
    unchanged_since: Mapping[str, datetime | None]
    trusted: tuple[str, ...] = ()

    @property
    def wider(self) -> list[Grant]:
        """The grants that the design does not include."""
        return [grant for grant in self.grants if grant.wider]

    @property
    def ok(self) -> bool:
        """Whether everything that was checked is within the design."""
        return not self.findings and not self.wider


def judge(facts: Facts, trusted: Sequence[str] = ()) -> Report:
    """Return the access report.

    Args:
        facts: What was gathered.
        trusted: ARNs of others whose access is intended.
    """
    grants = [grant for secret in facts.secrets for grant in _grants(facts, secret, {*trusted})]
    if facts.state:
        grants += _state_grants(facts, facts.state, {*trusted})
    # Its owner decides who else reads a foreign secret; what the stack's roles can do to it is judged here.
    grants += [
        grant
        for secret in facts.foreign
        for found in facts.roles
        for grant in _role_grants(facts, secret, found, known=False)
    ]
    findings = [
        *(finding for found in facts.roles for finding in role_findings(facts.stack, found, facts.keys)),
        *(finding for found in facts.roles for finding in trust_findings(facts.stack, found)),
        *(finding for found in facts.roles for finding in _pipeline_findings(facts, found)),
        *(finding for secret in facts.secrets for finding in secret_findings(facts.stack, secret)),
        *(finding for key in facts.keys.values() for finding in key_findings(facts.stack, key)),
        *_around(facts, {*trusted}),
        *(state_findings(facts.stack, facts.state) if facts.state else ()),
    ]
    return Report(
        grants=tuple(grants),
        findings=tuple(dict.fromkeys(findings)),
        looked_at=tuple(found.role.arn for found in facts.every),
        everybody=facts.everybody,
        not_looked_at=facts.not_looked_at,
        pipeline=tuple(pipeline.explained(found.kind, found.role) for found in facts.roles if found.kind in PIPELINE),
        unchanged_since={secret.name: secret.since for secret in (*facts.secrets, *facts.foreign)},
        trusted=tuple(trusted),
    )


def _grants(facts: Facts, secret: Secret, trusted: set[str]) -> Iterator[Grant]:
    targets: list[Target] = []
    for found in facts.every:
        for grant in _role_grants(facts, secret, found, known=found.role.arn in trusted):
            yield grant
            # Routes lead to a role of the stack, or to a user.
            if grant.right == "read" and (found in facts.roles or ":user/" in found.role.arn):
                targets.append(Target(found.role, found.kind == "execution", found.function_arn))
    # Whoever assumes a role that reads, reads, too.
    for found in (one for one in facts.roles if any(target.role is one.role for target in targets)):
        for statement in found.role.trust:
            for principal in _assuming(statement) if statement.allows else ():
                way, depends = f"{statement} of {found.role.name}", shown_conditions(statement)
                yield Grant(secret.name, "read", principal, way, depends, wider=found.kind not in PIPELINE)
    for found in facts.every:
        yield from _take_overs(secret, found.role, targets, known=found.role.arn in trusted | facts.deployers)
    yield from _direct_grants(secret, {found.role.arn for found in facts.every})


def _role_grants(facts: Facts, secret: Secret, found: StackRole, *, known: bool) -> Iterator[Grant]:
    meant = found.meant.get(secret.arn, frozenset())
    # Of a replica the policies are the secret's own.
    arns = [secret.arn, *(in_region(secret.arn, replica.region) for replica in secret.record.replicas)]
    for right, actions in RIGHTS.items():
        asked = ((action, arn) for action in actions for arn in arns)
        decided = ((action, _decided(facts, secret, found.role, action, arn)) for action, arn in asked)
        first = next((one for one in decided if one[1].allows), None)
        if first:
            action, decision = first
            wider = not known and action.lower() not in meant
            yield Grant(secret.name, right, found.role.arn, str(decision.statement), decision.conditions, wider)


def _decided(facts: Facts, secret: Secret, role: Role, action: str, arn: str) -> Decision:
    context = role.context(facts.stack, arn) | resource_tags(secret.record.tags, "secretsmanager")
    found = role.may(action, arn, context, secret.policy or ())
    if action in RIGHTS["read"] and found.allows:
        found = _with_key(found, facts.keys.get(secret.key_arns.get(region_of(arn), "")), role, context)
    return found


def _with_key(read: Decision, key: Key | None, role: Role, context: Mapping[str, str | None]) -> Decision:
    """Return whether a principal that can read can also decrypt; a key whose policy can't be read counts as open."""
    if key is None or key.policy is None:
        return read
    # The tags are the secret's, not the key's.
    of_key = {name: value for name, value in context.items() if "resourcetag/" not in name}
    # In a key policy the resource "*" is the key itself.
    opened = role.may("kms:Decrypt", key.arn, of_key, key.policy, policy_must_allow=True)
    if not opened.allows:
        return opened
    outcome = read.outcome if opened.outcome == "allowed" else opened.outcome
    return Decision(outcome, read.statement, (*read.conditions, *opened.conditions))


def _take_overs(secret: Secret, role: Role, targets: Iterable[Target], *, known: bool) -> Iterator[Grant]:
    """Yield how a principal can get the access of a reader: one line, certain routes first."""
    ways = [(way, "itself") for way in to_itself(role)]
    ways += [
        (way, target.role.name) for target in targets if target.role is not role for way in to_reader(role, target)
    ]
    if not ways:
        return
    certain = [(way, on) for way, on in ways if not way.conditions]
    shown = certain or ways
    texts = dict.fromkeys(f"{way.statement}: {', '.join(way.actions)} on {on}" for way, on in shown)
    conditions = () if certain else tuple(dict.fromkeys(c for way, _ in shown for c in way.conditions))
    yield Grant(secret.name, "take over", role.arn, "; ".join(texts), conditions, wider=not known)


def _around(facts: Facts, trusted: set[str]) -> Iterator[Finding]:
    """Yield who can remove what protects the values: the keys, and the state machines that redeploy."""
    stack = facts.stack
    machines = [
        stack.location.arn("states", f"stateMachine:{stack.names.service(name).redeploy}") for name in stack.services
    ]
    keys = [*facts.keys, *([facts.state.key.arn] if facts.state and facts.state.key else [])]
    for role in (found.role for found in facts.every if found.role.arn not in trusted | facts.deployers):
        for way, arn in around(role, keys=keys, state_machines=machines):
            depends = f" if {'; '.join(way.conditions)}" if way.conditions else ""
            yield Finding(role.arn, str(way.statement), f"{way.route.name}: {way.actions[0]} on {arn}{depends}")


def _direct_grants(secret: Secret, known: set[str]) -> Iterator[Grant]:
    """Yield what a resource policy allows to principals other than the roles that were checked."""
    for statement in secret.policy or ():
        if not statement.allows:
            continue
        for right, actions in RIGHTS.items():
            if not any(matches_action(statement, action) for action in actions):
                continue
            for principal in _principals(statement):
                if principal not in known:
                    yield Grant(secret.name, right, principal, str(statement), shown_conditions(statement), wider=True)


def _principals(statement: Statement) -> list[str]:
    return [f"everybody but {', '.join(statement.named)}"] if "principal" in statement.negated else statement.named


def _assuming(statement: Statement) -> list[str]:
    """Return who assumes a role by a statement, AWS services left out."""
    return [principal for principal in _principals(statement) if principal not in statement.services]


def trust_findings(stack: Stack, found: StackRole) -> Iterator[Finding]:
    """Yield who can assume a role beside the one AWS service of its design."""
    if found.kind not in _DESIGNS:
        return
    design, trust = _DESIGNS[found.kind], [statement for statement in found.role.trust if statement.allows]
    for statement in trust:
        problems = [
            *(f"lets {principal} assume the role{_whose(stack, principal)}" for principal in _assuming(statement)),
            *_beside_bound(trust, statement),
            *(
                f"lets {service} assume the role: only {design.trusts} needs it"
                for service in statement.services
                if service != design.trusts
            ),
            *_unbound(stack, statement, must=design.bound),
        ]
        yield from (Finding(found.role.arn, str(statement), problem) for problem in problems)


def _pipeline_findings(facts: Facts, found: StackRole) -> Iterator[Finding]:
    """Yield what in a role of account/ is wider than account/ creates it."""
    if found.kind not in PIPELINE:
        return
    problems = [
        *pipeline.rights_problems(found.kind, facts.stack, found.role, _tags(facts)),
        *pipeline.trust_problems(found.kind, found.role, facts.declared),
    ]
    yield from (Finding(found.role.arn, str(statement), problem) for statement, problem in problems)


def _tags(facts: Facts) -> Mapping[str, str]:
    """Return the two tags by which the deployer knows the stack's key: its secrets have them as well."""
    tags = facts.secrets[0].record.tags if facts.secrets else {}
    names = facts.stack.names
    return {"Project": tags.get("Project", names.project), "Environment": tags.get("Environment", names.stack)}


def _whose(stack: Stack, principal: str) -> str:
    problem = _principal_problem(stack, principal)
    return f": {problem.removeprefix('allows ')}" if problem else ""


def _beside_bound(trust: Iterable[Statement], statement: Statement) -> Iterator[str]:
    """Yield statements that are not bound to the account while another one for the same service is."""
    for service in statement.services:
        others = [one for one in trust if service in one.services]
        if not _sources(statement) and any(_sources(one) for one in others):
            yield f"lets {service} assume the role for any account, beside a statement that binds it to this one"


def _sources(statement: Statement) -> list[tuple[str, tuple[str, ...]]]:
    """Return the conditions on the account or the resource for which a service acts."""
    return [
        (key.lower(), values)
        for operator, key, values in statement.conditions
        if key.lower() in {"aws:sourceaccount", "aws:sourcearn"} and "not" not in operator.lower()
    ]


def _unbound(stack: Stack, statement: Statement, *, must: bool) -> Iterator[str]:
    sources = _sources(statement)
    accounts = {value.split(":")[4] if value.startswith("arn:") else value for _, values in sources for value in values}
    if must and not sources:
        yield "the service can assume it for any account: no condition aws:SourceAccount"
    yield from (f"the service can assume it for account {account}" for account in sorted(accounts - {stack.account}))


def role_findings(stack: Stack, found: StackRole, keys: Iterable[str]) -> Iterator[Finding]:
    """Yield what in a role's own policies is wider than the design, whether or not a boundary or a deny stops it."""
    if found.kind not in _DESIGNS:  # what it can do to the secrets is among the grants
        return
    design = _DESIGNS[found.kind]
    for statement in found.role.identity:
        if not statement.allows:
            continue
        problems = [*_action_problems(statement, found, design), *_resource_problems(statement, stack, design, keys)]
        # The key's policy lets others use it through their own services only.
        through = "action" in statement.negated or any(
            k.lower() == "kms:viaservice" for _, k, _ in statement.conditions
        )
        if found.meant and not through and matches_action(statement, "kms:Decrypt"):
            problems.append("decrypts without the condition kms:ViaService")
        for problem in problems:
            yield Finding(found.role.arn, str(statement), problem)


def _action_problems(statement: Statement, found: StackRole, design: Design) -> Iterator[str]:
    if found.kind == "task":
        yield "the task role needs no permission: the application gets its values when the task starts"
        return
    if "action" in statement.negated:
        escalating = (action for actions in _ESCALATIONS.values() for action in actions)
        if any(matches_action(statement, action) for action in (*_ON_SECRETS, *escalating)):
            yield "NotAction allows everything else, reading and changing secrets included"
        return
    for pattern in statement.actions:
        means = [why for why, actions in _ESCALATIONS.items() if any(glob(pattern, a.lower()) for a in actions)]
        wild = "*" in pattern or "?" in pattern
        dangerous = bool(means) or any(glob(pattern, action.lower()) for action in _ON_SECRETS)
        fits = pattern in design.actions if design.actions is not None else not dangerous
        if not fits:
            reason = f": {means[0]}" if means else ""
            yield f"the action {pattern} has a wildcard{reason}" if wild else f"{pattern} is not needed{reason}"


def _resource_problems(statement: Statement, stack: Stack, design: Design, keys: Iterable[str]) -> Iterator[str]:
    touched = set[str]() if "action" in statement.negated else set(statement.actions) - design.anywhere
    if not any(pattern.partition(":")[0] in _ARNS or pattern == "*" for pattern in touched):
        if touched and design.actions and ("*" in statement.resources or "resource" in statement.negated):
            yield "the resource * has a wildcard"
        return
    if "resource" in statement.negated:
        yield "NotResource allows every other secret"
        return
    own_keys = {*keys, *stack.foreign_key_arns.values()}
    secrets = {in_region(arn, "") for arn in stack.every_secret_arn.values()}
    for resource in statement.resources:
        service = resource.split(":")[2] if resource.startswith("arn:") else ""
        if "*" in resource or "?" in resource:
            yield f"the resource {resource} has a wildcard"
        elif service == "secretsmanager" and in_region(resource, "") not in secrets:
            yield f"{resource} is not a secret of this stack"
        # A key in another Region than the stack's is one of a replica.
        elif service == "kms" and resource not in own_keys and region_of(resource) in set(map(region_of, own_keys)):
            yield f"{resource} is not a key of this stack"


def secret_findings(stack: Stack, secret: Secret) -> Iterator[Finding]:
    """Yield what a secret's resource policy lets through: others, everything at once, requests without TLS."""
    if secret.policy is None:
        return
    for statement in secret.policy:
        if not statement.allows:
            continue
        for principal in _principals(statement):
            if problem := _principal_problem(stack, principal):
                yield Finding(secret.name, str(statement), problem)
        if any("*" in action for action in statement.actions) or "action" in statement.negated:
            yield Finding(secret.name, str(statement), "its actions have a wildcard")
    if not _denies_somebody(stack, secret.policy, _ON_SECRETS, secret.arn, {"aws:securetransport": "false"}):
        problem = "requests without TLS are not denied: no Deny on aws:SecureTransport"
        yield Finding(secret.name, "resource policy", problem)


def _somebody(stack: Stack) -> str:
    return stack.location.role_arn("somebody")


def _denies_somebody(
    stack: Stack, policy: Iterable[Statement], actions: Iterable[str], arn: str, context: Mapping[str, str | None]
) -> bool:
    """Return whether a resource's policy denies all actions to a role of the account that it doesn't know."""
    asked = [Request(action, arn, _somebody(stack), context) for action in actions]
    return all(decide(one, identity=(), resource=policy).outcome == "explicit-deny" for one in asked)


def key_findings(stack: Stack, key: Key) -> Iterator[Finding]:
    """Yield who can decrypt without Secrets Manager: by the key's policy, and by a grant."""
    where = f"key {key.arn.rpartition('/')[2]}"
    for principal, operations in key.grants or ():
        if any(operation in {"Decrypt", "ReEncryptFrom", "CreateGrant"} for operation in operations):
            found = f"{principal} can {', '.join(operations)}, beside the key's policy"
            yield Finding(where, "a grant of the key", found)
    for statement in key.policy or ():
        if not statement.allows or not matches_action(statement, "kms:Decrypt"):
            continue
        bound = {name.lower() for _, name, _ in statement.conditions}
        for principal in _principals(statement):
            if principal in statement.services:
                if not bound:
                    yield Finding(where, str(statement), f"{principal} can decrypt for anyone: no condition")
                continue
            wide = _principal_problem(stack, principal)
            if wide and not _is_account(stack, principal):
                yield Finding(where, str(statement), wide)
            if "kms:viaservice" not in bound:
                yield Finding(where, str(statement), f"{principal} can decrypt directly: no condition kms:ViaService")


def _state_grants(facts: Facts, state: State, trusted: set[str]) -> Iterator[Grant]:
    """Yield who can read the state's file and decrypt the values in it."""
    known = trusted | {found.role.arn for found in facts.roles if found.kind in PIPELINE}
    known |= set(facts.declared.decrypt) if facts.declared else set()
    for role in (found.role for found in facts.every):
        context = role.context(facts.stack) | {"kms:viaservice": None}
        found = role.may("s3:GetObject", state.file, context, state.policy or ())
        if found.allows:
            found = _with_key(found, state.key, role, context)
        if found.allows:
            yield Grant(STATE, "read", role.arn, str(found.statement), found.conditions, wider=role.arn not in known)


def state_findings(stack: Stack, state: State) -> Iterator[Finding]:
    """Yield what the policies of the state's bucket and key let through."""
    for statement in state.policy or ():
        if statement.allows:
            for principal in _principals(statement):
                yield Finding(f"bucket {state.bucket}", str(statement), f"allows {principal}: account/ allows nobody")
    if state.key is None:
        return
    key, where = state.key, f"key {state.key.arn.rpartition('/')[2]} of Pulumi's state"
    for principal, operations in key.grants or ():
        found = f"{principal} can {', '.join(operations)}: account/ creates no grants"
        yield Finding(where, "a grant of the key", found)
    for statement in key.policy or ():
        for principal in _principals(statement) if statement.allows else ():
            if not _is_account(stack, principal):
                yield Finding(where, str(statement), f"allows {principal}: account/ allows only the account")
    decrypting, known = ("kms:Decrypt", "kms:ReEncryptFrom"), {"aws:principalarn": _somebody(stack)}
    if key.policy is not None and not _denies_somebody(stack, key.policy, decrypting, key.arn, known):
        problem = "IAM policies alone decide who decrypts Pulumi's state: no Deny of kms:Decrypt to everybody else"
        yield Finding(where, "key policy", problem)


def _principal_problem(stack: Stack, principal: str) -> str | None:
    if principal == "*" or principal.startswith("everybody but"):
        return f"allows {'everybody' if principal == '*' else principal}"
    account = principal if principal.isdigit() else principal.split(":")[4] if principal.startswith("arn:") else ""
    if account and account != stack.account:
        return f"allows {principal}, of another account"
    return "allows the whole account" if _is_account(stack, principal) else None


def _is_account(stack: Stack, principal: str) -> bool:
    return principal in {stack.account, stack.location.root_arn()}
