"""The ways from a permission to a secret's value: one table, and who can take which. Pure functions.

A principal that is allowed every step of a route gets the value: that is reported like a permission to read, as `take over`.
Where the route also depends on something that policies don't show, the report names it. A route on a key or a state machine
reads nothing by itself and removes what protects the value: it is a finding.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ops._roles import Role
from ops.access.evaluator import Decision, Request, Statement, decide, glob, matches_action, trusts

On = Literal["function", "itself", "key", "own policy", "role", "role's policy", "state machine", "task", "user"]
"""What a route is taken on: `role` is the one that reads, `itself` the principal, `task` a task of the stack."""

RIGHTS: Mapping[str, tuple[str, ...]] = {
    "read": ("secretsmanager:GetSecretValue",),
    "change": (
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecret",
        "secretsmanager:UpdateSecretVersionStage",
        "secretsmanager:RotateSecret",
        "secretsmanager:CancelRotateSecret",
        "secretsmanager:PutResourcePolicy",
        "secretsmanager:DeleteResourcePolicy",
        "secretsmanager:ReplicateSecretToRegions",
        "secretsmanager:RemoveRegionsFromReplication",
    ),
    "delete": ("secretsmanager:DeleteSecret",),
}
"""What is done to the secret itself, and the actions that mean it: on its ARN and on those of its replicas, of any version.

Source: AWS, "Service Authorization Reference", AWS Secrets Manager.
"""


@dataclass(frozen=True)
class Route:
    """A way to a value.

    Attributes:
        name: What is done, in words.
        on: What it is taken on.
        steps: Actions, separated by spaces, of which one is enough; every step is needed.
        passed_to: The AWS service that the role is passed to, and which its trust policy must let in: the steps are on anything.
        depends: What else must hold.
    """

    name: str
    on: On
    steps: tuple[str, ...]
    passed_to: str = ""
    depends: str = ""


_ECS = "ecs-tasks.amazonaws.com"
_RUNS = "something that runs with the role is theirs"
_EXEC = "the task runs with ECS Exec and its role has ssmmessages"

ROUTES: tuple[Route, ...] = (
    # Source: Rhino Security Labs, "AWS IAM Privilege Escalation: Methods and Mitigation".
    Route("changes who assumes the role", "role", ("iam:UpdateAssumeRolePolicy",)),
    Route("changes the role's permissions", "role", ("iam:PutRolePolicy iam:AttachRolePolicy",), depends=_RUNS),
    Route(
        "rewrites a policy of the role",
        "role's policy",
        ("iam:CreatePolicyVersion iam:SetDefaultPolicyVersion",),
        depends=_RUNS,
    ),
    Route(
        "gives itself a policy",
        "itself",
        ("iam:PutRolePolicy iam:AttachRolePolicy iam:PutUserPolicy iam:AttachUserPolicy",),
    ),
    Route("rewrites a policy that it has", "own policy", ("iam:CreatePolicyVersion",)),
    Route(
        "goes back to an older version of a policy that it has",
        "own policy",
        ("iam:SetDefaultPolicyVersion",),
        depends="an older version of the policy allows more",
    ),
    Route(
        "signs in as a user who reads",
        "user",
        ("iam:CreateAccessKey iam:CreateLoginProfile iam:UpdateLoginProfile",),
    ),
    # Source of this and the next: Datadog Security Labs, pathfinding.cloud; AWS, RunTask, overrides.
    Route("runs a task with the role", "role", ("ecs:RunTask ecs:StartTask",), _ECS),
    Route(
        "deploys a task with the role",
        "role",
        ("ecs:RegisterTaskDefinition", "ecs:CreateService ecs:UpdateService ecs:CreateTaskSet"),
        _ECS,
    ),
    # Source: AWS, "AWS Batch IAM execution role".
    Route("runs a batch job with the role", "role", ("batch:RegisterJobDefinition", "batch:SubmitJob"), _ECS),
    # Source: Rhino, as above.
    Route(
        "runs a function with the role",
        "role",
        (
            "lambda:CreateFunction",
            "lambda:InvokeFunction lambda:AddPermission lambda:CreateEventSourceMapping lambda:CreateFunctionUrlConfig",
        ),
        "lambda.amazonaws.com",
    ),
    # Source of this and the next: pathfinding.cloud.
    Route(
        "runs a state machine with the role",
        "role",
        ("states:CreateStateMachine", "states:StartExecution states:StartSyncExecution"),
        "states.amazonaws.com",
    ),
    Route(
        "runs a build with the role",
        "role",
        ("codebuild:CreateProject codebuild:UpdateProject", "codebuild:StartBuild"),
        "codebuild.amazonaws.com",
    ),
    # Source: Rhino, as above.
    Route(
        "replaces the code of the rotation function",
        "function",
        ("lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration",),
    ),
    # Sources: AWS, "Monitor Amazon ECS containers with ECS Exec"; AWS, Session Manager targets `ecs:CLUSTER_TASK_CONTAINER`.
    Route("opens a shell in a task", "task", ("ecs:ExecuteCommand",), depends=_EXEC),
    Route("opens a session in a task", "task", ("ssm:StartSession",), depends=_EXEC),
    # Sources: pathfinding.cloud; AWS, "Grants in AWS KMS" and "Key policies in AWS KMS".
    Route(
        "changes what the redeployment's state machine does to the service",
        "state machine",
        ("states:UpdateStateMachine",),
    ),
    Route("lets itself or others decrypt", "key", ("kms:PutKeyPolicy kms:CreateGrant",)),
)
"""Every route that is searched for. Others are not."""


@dataclass(frozen=True)
class Target:
    """A principal that reads, as far as routes need it.

    Attributes:
        runs_tasks: Whether ECS starts the stack's tasks with it.
        function_arn: The rotation function that runs with it, None when there is none.
    """

    role: Role
    runs_tasks: bool = False
    function_arn: str | None = None


@dataclass(frozen=True)
class Way:
    """A route that a principal can take, by which statement, and what it depends on."""

    route: Route
    actions: tuple[str, ...]
    statement: Statement
    conditions: tuple[str, ...]


def to_reader(who: Role, target: Target) -> Iterator[Way]:
    """Yield the routes by which a principal gets what a reader has."""
    arn = target.role.arn
    things: dict[On, Iterable[str]] = {
        "role": (arn,) if ":role/" in arn else (),
        "user": (arn,) if ":user/" in arn else (),
        "function": (target.function_arn,) if target.function_arn else (),
        "role's policy": _customer_managed(target.role),
    }
    for route in ROUTES:
        asked = Request("sts:AssumeRole", arn, route.passed_to, {})
        if route.passed_to and not trusts(target.role.trust, asked).allows:
            continue
        if route.on in things or (route.on == "task" and target.runs_tasks):
            yield from _taken(who, route, things.get(route.on))


def to_itself(who: Role) -> Iterator[Way]:
    """Yield the routes by which a principal grants itself a permission to read; none when its boundary lets it read nothing."""
    if who.boundary is not None and not _somewhere(who.boundary, RIGHTS["read"][0], who.arn, "secretsmanager"):
        return
    things: Mapping[On, Iterable[str]] = {"itself": (who.arn,), "own policy": _customer_managed(who)}
    yield from (way for route in ROUTES if route.on in things for way in _taken(who, route, things[route.on]))


def around(who: Role, *, keys: Iterable[str], state_machines: Iterable[str]) -> Iterator[tuple[Way, str]]:
    """Yield the findings: what a principal can remove, and from what."""
    things: Mapping[On, Iterable[str]] = {"key": keys, "state machine": state_machines}
    for route in ROUTES:
        yield from ((way, arn) for arn in things.get(route.on, ()) for way in _taken(who, route, (arn,)))


def _taken(who: Role, route: Route, things: Iterable[str] | None) -> Iterator[Way]:
    """Yield the way when every step of a route is allowed: on one of the things, for None on something of the service."""
    asked = [("iam:PassRole", things)] if route.passed_to else []
    asked += [(actions, None if route.passed_to else things) for actions in route.steps]
    steps: list[tuple[str, Decision]] = []
    for actions, on in asked:
        allowed = [(action, one) for action in actions.split() for one in _decisions(who, action, on, route)]
        if not allowed:
            return
        steps.append(min(allowed, key=lambda step: step[1].outcome != "allowed"))
    first = steps[0][1].statement
    conditions = [*(c for _, decision in steps for c in decision.conditions), *filter(None, [route.depends])]
    if first:
        yield Way(route, tuple(action for action, _ in steps), first, tuple(dict.fromkeys(conditions)))


def _decisions(who: Role, action: str, on: Iterable[str] | None, route: Route) -> Iterator[Decision]:
    """Yield the decisions that allow an action."""
    if on is None:
        kind = "ecs" if route.on == "task" else action.partition(":")[0]
        decision = _somewhere(who.identity, action, who.arn, kind)
        if decision and (who.boundary is None or _somewhere(who.boundary, action, who.arn, kind)):
            yield decision
        return
    context: dict[str, str | None] = {"aws:principalarn": who.arn, "aws:securetransport": "true"}
    if route.passed_to:
        context["iam:passedtoservice"] = route.passed_to
    yield from (decision for arn in on if (decision := who.may(action, arn, context)).allows)


def _somewhere(statements: Iterable[Statement], action: str, principal: str, service: str) -> Decision | None:
    """Return a decision that allows an action on something that a statement names, None when nothing does."""
    statements = tuple(statements)
    conditional: Decision | None = None
    for statement in statements:
        if not statement.allows or not matches_action(statement, action):
            continue
        for pattern in ("*",) if "resource" in statement.negated else statement.resources:
            if pattern != "*" and not glob(":".join(pattern.split(":")[2:3]), service):
                continue
            # An example that the pattern matches.
            example = "arn:any" if pattern == "*" else re.sub(r"\$\{[^}]*\}|[*?]", "x", pattern)
            decision = decide(Request(action, example, principal), identity=statements)
            if decision.outcome == "allowed":
                return decision
            if decision.allows:
                conditional = conditional or decision
    return conditional


def _customer_managed(role: Role) -> tuple[str, ...]:
    return tuple(arn for arn in role.attached if ":iam::aws:" not in arn)
