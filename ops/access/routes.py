"""The ways from a permission to a secret's value: one table, and who can take which. Pure functions.

A route is a list of steps that one principal must be allowed to take. Its verdicts:

- `right`: everyone who can take it gets the value. It is reported like a permission to read, as `take over`.
- `condition`: it leads to the value only under a condition that policies don't show; the report names it.
- `finding`: it reads nothing by itself and removes what protects the value.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ops._roles import Role
from ops.access.evaluator import Decision, Request, Statement, decide, glob, matches_action, trusts

Verdict = Literal["right", "condition", "finding"]
On = Literal[
    "anything", "function", "itself", "key", "own policy", "role", "role's policy", "state machine", "task", "user"
]
"""What a step is taken on: `role` is the one that reads, `itself` the principal, `task` a task of the stack."""

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
        steps: Actions, separated by spaces, of which one is enough, and what they are taken on; every step is needed.
        verdict: See above.
        source: Who describes it.
        service: The AWS service that the role is passed to, and which its trust policy must let in.
        depends: What else must hold.
    """

    name: str
    steps: tuple[tuple[str, On], ...]
    verdict: Verdict
    source: str
    service: str = ""
    depends: str = ""


_RHINO = 'Rhino Security Labs, "AWS IAM Privilege Escalation: Methods and Mitigation"'
_PATHFINDING = "Datadog Security Labs, pathfinding.cloud"
_ECS = "ecs-tasks.amazonaws.com"
_PASS: tuple[str, On] = ("iam:PassRole", "role")

ROUTES: tuple[Route, ...] = (
    Route("changes who assumes the role", (("iam:UpdateAssumeRolePolicy", "role"),), "right", _RHINO),
    Route(
        "changes the role's permissions",
        (("iam:PutRolePolicy iam:AttachRolePolicy", "role"),),
        "condition",
        _RHINO,
        depends="something that runs with the role is theirs",
    ),
    Route(
        "rewrites a policy of the role",
        (("iam:CreatePolicyVersion iam:SetDefaultPolicyVersion", "role's policy"),),
        "condition",
        _RHINO,
        depends="something that runs with the role is theirs",
    ),
    Route(
        "gives itself a policy",
        (("iam:PutRolePolicy iam:AttachRolePolicy iam:PutUserPolicy iam:AttachUserPolicy", "itself"),),
        "right",
        _RHINO,
    ),
    Route("rewrites a policy that it has", (("iam:CreatePolicyVersion", "own policy"),), "right", _RHINO),
    Route(
        "goes back to an older version of a policy that it has",
        (("iam:SetDefaultPolicyVersion", "own policy"),),
        "condition",
        _RHINO,
        depends="an older version of the policy allows more",
    ),
    Route(
        "signs in as a user who reads",
        (("iam:CreateAccessKey iam:CreateLoginProfile iam:UpdateLoginProfile", "user"),),
        "right",
        _RHINO,
    ),
    Route(
        "runs a task with the role",
        (_PASS, ("ecs:RunTask ecs:StartTask", "anything")),
        "right",
        f"{_PATHFINDING}; AWS, RunTask, overrides",
        service=_ECS,
    ),
    Route(
        "deploys a task with the role",
        (
            _PASS,
            ("ecs:RegisterTaskDefinition", "anything"),
            ("ecs:CreateService ecs:UpdateService ecs:CreateTaskSet", "anything"),
        ),
        "right",
        _PATHFINDING,
        service=_ECS,
    ),
    Route(
        "runs a batch job with the role",
        (_PASS, ("batch:RegisterJobDefinition", "anything"), ("batch:SubmitJob", "anything")),
        "right",
        'AWS, "AWS Batch IAM execution role"',
        service=_ECS,
    ),
    Route(
        "runs a function with the role",
        (
            _PASS,
            ("lambda:CreateFunction", "anything"),
            (
                "lambda:InvokeFunction lambda:AddPermission lambda:CreateEventSourceMapping lambda:CreateFunctionUrlConfig",
                "anything",
            ),
        ),
        "right",
        _RHINO,
        service="lambda.amazonaws.com",
    ),
    Route(
        "runs a state machine with the role",
        (_PASS, ("states:CreateStateMachine", "anything"), ("states:StartExecution states:StartSyncExecution", "anything")),
        "right",
        _PATHFINDING,
        service="states.amazonaws.com",
    ),
    Route(
        "runs a build with the role",
        (_PASS, ("codebuild:CreateProject codebuild:UpdateProject", "anything"), ("codebuild:StartBuild", "anything")),
        "right",
        _PATHFINDING,
        service="codebuild.amazonaws.com",
    ),
    Route(
        "replaces the code of the rotation function",
        (("lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration", "function"),),
        "right",
        _RHINO,
    ),
    Route(
        "opens a shell in a task",
        (("ecs:ExecuteCommand", "task"),),
        "condition",
        'AWS, "Monitor Amazon ECS containers with ECS Exec"',
        depends="the task runs with ECS Exec and its role has ssmmessages",
    ),
    Route(
        "opens a session in a task",
        (("ssm:StartSession", "task"),),
        "condition",
        "AWS, Session Manager targets `ecs:CLUSTER_TASK_CONTAINER`",
        depends="the task runs with ECS Exec and its role has ssmmessages",
    ),
    Route(
        "changes what the redeployment's state machine does to the service",
        (("states:UpdateStateMachine", "state machine"),),
        "finding",
        _PATHFINDING,
    ),
    Route(
        "lets itself or others decrypt",
        (("kms:PutKeyPolicy kms:CreateGrant", "key"),),
        "finding",
        'AWS, "Grants in AWS KMS" and "Key policies in AWS KMS"',
    ),
)  # fmt: skip
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
    things: Mapping[On, tuple[str, ...]] = {
        "role": (target.role.arn,) if ":role/" in target.role.arn else (),
        "user": (target.role.arn,) if ":user/" in target.role.arn else (),
        "function": (target.function_arn,) if target.function_arn else (),
        "role's policy": _customer_managed(target.role),
    }
    for route in ROUTES:
        on = {kind for _, kind in route.steps}
        if on & {"itself", "own policy", "key", "state machine"} or ("task" in on and not target.runs_tasks):
            continue
        asked = Request("sts:AssumeRole", target.role.arn, route.service, {})
        if not route.service or trusts(target.role.trust, asked).allows:
            yield from _taken(who, route, things)


def to_itself(who: Role) -> Iterator[Way]:
    """Yield the routes by which a principal grants itself a permission to read; none when its boundary lets it read nothing."""
    if who.boundary is not None and not _somewhere(who.boundary, RIGHTS["read"][0], who.arn, "secretsmanager"):
        return
    for route in ROUTES:
        if route.steps[0][1] in {"itself", "own policy"}:
            yield from _taken(who, route, {"itself": (who.arn,), "own policy": _customer_managed(who)})


def around(who: Role, *, keys: Iterable[str], state_machines: Iterable[str]) -> Iterator[tuple[Way, str]]:
    """Yield the findings: what a principal can remove, and from what."""
    things: Mapping[On, Iterable[str]] = {"key": keys, "state machine": state_machines}
    for route in ROUTES:
        if route.verdict == "finding":
            on = route.steps[0][1]
            yield from ((way, arn) for arn in things[on] for way in _taken(who, route, {on: (arn,)}))


def _taken(who: Role, route: Route, things: Mapping[On, tuple[str, ...]]) -> Iterator[Way]:
    """Yield the way when every step of a route is allowed."""
    steps: list[tuple[str, Decision]] = []
    for actions, on in route.steps:
        allowed = [
            (action, decision)
            for action in actions.split()
            for decision in _decisions(who, action, on, things.get(on, ()), route.service)
        ]
        if not allowed:
            return
        steps.append(min(allowed, key=lambda step: step[1].outcome != "allowed"))
    first = steps[0][1].statement
    conditions = [*(c for _, decision in steps for c in decision.conditions), *filter(None, [route.depends])]
    if first:
        yield Way(route, tuple(action for action, _ in steps), first, tuple(dict.fromkeys(conditions)))


def _decisions(who: Role, action: str, on: On, things: Iterable[str], service: str) -> Iterator[Decision]:
    """Yield the decisions that allow an action on one of the things, or on something of the action's own."""
    if on in {"anything", "task"}:
        kind = "ecs" if on == "task" else action.partition(":")[0]
        decision = _somewhere(who.identity, action, who.arn, kind)
        if decision and (who.boundary is None or _somewhere(who.boundary, action, who.arn, kind)):
            yield decision
        return
    context: dict[str, str | None] = {"aws:principalarn": who.arn, "aws:securetransport": "true"}
    if service:
        context["iam:passedtoservice"] = service
    for arn in things:
        decision = decide(Request(action, arn, who.arn, context), identity=who.identity, boundary=who.boundary)
        if decision.allows:
            yield decision


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
