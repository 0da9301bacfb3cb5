"""Checks of the execution role: can ECS assume it, and can it read exactly this stack's secrets and what a start needs?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from components.location import in_region, region_of
from components.references import CURRENT, parse_value_from
from ops._aws import Aws, chunks
from ops._console import counted
from ops._errors import aws_errors
from ops._pulumi import property_path
from ops._roles import Role
from ops._stack import Stack, in_sandbox
from ops.access.evaluator import Decision, Request, Statement, matches_action, principal_match, trusts
from ops.doctor.finding import Finding, again, guarded, put_back, summed_up
from ops.doctor.snapshot import Key, Snapshot, TaskDefinition, image_in_ecr, well_formed

READ = "secretsmanager:GetSecretValue"
_SERVICE = "ecs-tasks.amazonaws.com"
_SIMULATED_AT_ONCE = 50
_ORDER = ("logs", "ecr.dkr", "ecr.api")
"""Of what is said about the rights of a start."""

_Simulated = Mapping[str, bool] | None


def check(aws: Aws, snapshot: Snapshot) -> Iterator[Finding]:
    """Yield the findings about the execution role and the keys."""
    stack, role = snapshot.stack, snapshot.role
    name = stack.service.execution_role_arn.rpartition("/")[2]
    if snapshot.role_gap:
        for check_name in ("role", "permission", "start", "key"):
            yield Finding(check_name, "unchecked", name, f"could not be checked: {snapshot.role_gap}")
        return
    if role is None:
        yield Finding("role", "failure", name, "doesn't exist: no task starts", put_back(stack))
        return
    if not snapshot.task_role_exists:
        name = stack.service.task_role_arn.rpartition("/")[2]
        yield Finding("role", "failure", name, "the task role doesn't exist: no task starts", put_back(stack))
    yield from summed_up("role", _trust(stack, role), ok=f"{role.name} trusts ECS tasks only")
    yield from guarded("permission", lambda: _permission(aws, snapshot, role), role.name)
    yield from summed_up("start", _start(snapshot, role), ok=f"{role.name} can write the log and pull the image")
    decrypts, nothing = f"{role.name} can decrypt with the customer-managed key", "AWS-managed: nothing to grant"
    yield from summed_up("key", _keys(snapshot, role), ok=lambda: decrypts if snapshot.keys else nothing)


def _permission(aws: Aws, snapshot: Snapshot, role: Role) -> Iterator[Finding]:
    wanted = _wanted(snapshot)
    simulated = _simulate(aws, role.arn, wanted)
    by_iam = "iam:SimulatePrincipalPolicy and the secrets' policies"
    how = "static evaluation of the policies" if simulated is None else by_iam
    ok = f"{role.name} can read exactly the container's {counted(len(wanted), 'secret')} ({how})"
    yield from summed_up("permission", _reads(snapshot, role, simulated), ok=ok)


def _simulate(aws: Aws, role_arn: str, arns: Sequence[str]) -> _Simulated:
    """Return by secret whether IAM's simulator lets a role read it; None where the endpoint lacks it or denies it.

    The simulator knows service control policies, but not the policies of secrets.
    """
    found: dict[str, bool] = {}
    try:
        for some in chunks(arns, _SIMULATED_AT_ONCE):
            # One attempt: an endpoint without the call answers with an error that would be retried.
            answer: Any = aws.client("iam", attempts=1).simulate_principal_policy(
                PolicySourceArn=role_arn, ActionNames=[READ], ResourceArns=some
            )
            for result in answer["EvaluationResults"]:
                found[result.get("EvalResourceName", "")] = result["EvalDecision"] == "allowed"
                for single in result.get("ResourceSpecificResults") or ():
                    found[single["EvalResourceName"]] = single["EvalResourceDecision"] == "allowed"
    except aws_errors():
        return None
    return found if set(arns) <= set(found) else None


def _trust(stack: Stack, role: Role) -> Iterator[Finding]:
    source = stack.location.arn("ecs", "task/cluster/0123456789abcdef")
    context = {"aws:sourceaccount": stack.account, "aws:sourcearn": source}
    decision = trusts(role.trust, Request("sts:AssumeRole", role.arn, _SERVICE, context))
    if not decision.allows:
        why = f" (denied by {decision.statement})" if decision.statement else ""
        found = f"doesn't trust {_SERVICE} of account {stack.account} in {stack.region}{why}: ECS can't assume it"
        yield Finding("role", "failure", role.name, found, put_back(stack))
    elif decision.outcome == "conditional":
        found = f"trusts {_SERVICE} under conditions that can't be checked here: {'; '.join(decision.conditions)}"
        yield Finding("role", "warning", role.name, found, put_back(stack))
    for statement in role.trust:
        others = [principal for principal in statement.named if principal != _SERVICE]
        if statement.allows and (others or principal_match(statement, _SERVICE) == "everybody"):
            found = f"can also be assumed by {', '.join(others) or 'everybody'} ({statement.label})"
            yield Finding("role", "warning", role.name, found, put_back(stack))


def _reads(snapshot: Snapshot, role: Role, simulated: _Simulated) -> Iterator[Finding]:
    stack = snapshot.stack
    for arn in _wanted(snapshot):
        decision = role.may(READ, arn, request_context(stack, role), snapshot.policies.get(arn, ()))
        if simulated is not None and decision.outcome != "explicit-deny":
            if not simulated[arn]:
                decision = Decision("implicit-deny")
            elif not decision.allows:
                decision = Decision("allowed")
        yield from _denied("permission", f"{role.name} on {stack.name_of(arn)}", READ, decision, snapshot)
    for statement in role.identity:
        wide = _wider(statement, stack)
        if wide:
            found = f"can read more than the container's secrets: {', '.join(wide)} ({statement})"
            fix = _take_off(stack, role, statement) or put_back(stack)
            yield Finding("permission", "warning", role.name, found, fix)


def _wider(statement: Statement, stack: Stack) -> list[str]:
    """Return the patterns by which a statement allows reads of anything but the secrets that the container gets."""
    if not statement.allows or not matches_action(statement, READ):
        return []
    if "resource" in statement.negated:
        return [f"everything but {', '.join(statement.resources)}"]
    # Another Region's ARN of the same name and suffix is a replica.
    own = {in_region(parse_value_from(text).arn, "") for text in stack.service.container_secrets.values()}
    return [pattern for pattern in statement.resources if in_region(pattern, "") not in own]


def _wanted(snapshot: Snapshot) -> list[str]:
    """Return the secrets that a start reads: those that the container gets. The stack can have others."""
    references = snapshot.references()
    return [arn for arn in snapshot.live() if arn in references]


def _denied(check_name: str, subject: str, action: str, decision: Decision, snapshot: Snapshot) -> Iterator[Finding]:
    stack, role = snapshot.stack, snapshot.role
    if decision.outcome == "explicit-deny":
        found = f"{action} is denied by {decision.statement}"
        fix = role and decision.statement and _take_off(stack, role, decision.statement)
        yield Finding(check_name, "failure", subject, found, fix or put_back(stack))
    elif decision.outcome == "implicit-deny":
        limited = " within its permissions boundary" if role and role.boundary is not None else ""
        found = f"no policy allows {action}{limited}"
        yield Finding(check_name, "failure", subject, found, put_back(stack))
    elif decision.outcome == "conditional":
        found = f"{action} depends on what can't be checked here: {'; '.join(decision.conditions)}"
        yield Finding(check_name, "warning", subject, found, f"python -m ops access --stack {stack.environment}")


def _take_off(stack: Stack, role: Role, statement: Statement) -> str:
    """Return the command that removes a policy from the role that the program didn't attach, "" for one of the program's.

    Pulumi leaves such a policy in place: it manages only what it created.
    """
    kind, _, name = statement.source.partition(" policy ")
    if statement not in role.identity or stack.names.service(stack.service_name).is_own_execution_policy(name):
        return ""
    if kind == "inline":
        return f"aws iam delete-role-policy --region {stack.region} --role-name {role.name} --policy-name {name}"
    arn = next(arn for arn in role.attached if arn.rpartition("/")[2] == name)
    return f"aws iam detach-role-policy --region {stack.region} --role-name {role.name} --policy-arn {arn}"


@dataclass(frozen=True)
class Call:
    """A call that a task makes while it starts, by its execution role.

    Attributes:
        service: As VPC endpoints call it, such as `ecr.api`; the host of a registry outside ECR, which takes no call.
        region: "" for a host without an endpoint.
        about: The log group or the repository.
    """

    service: str
    region: str
    action: str = ""
    resource: str = ""
    about: str = ""


def calls_at_start(stack: Stack, definition: TaskDefinition) -> Iterator[Call]:
    """Yield what a task of a revision asks for while it starts."""
    for reference in well_formed(text for _, text in definition.references()):
        yield Call("secretsmanager", region_of(reference.arn), READ, reference.arn)
    for container in definition.containers:
        if image := image_in_ecr(container.image):
            home, about = f"{stack.partition}:ecr:{image.region}:{image.account}", image.repository
            yield Call("ecr.api", image.region, "ecr:GetAuthorizationToken", f"arn:{home}:*", "ECR")
            for action in ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"):
                yield Call("ecr.dkr", image.region, action, f"arn:{home}:repository/{about}", about)
            layers = f"arn:{stack.partition}:s3:::prod-{image.region}-starport-layer-bucket/layer"
            yield Call("s3", image.region, "s3:GetObject", layers)
        else:
            host = container.image.partition("/")[0]
            named = "/" in container.image and ("." in host or ":" in host)
            yield Call(host if named else "registry-1.docker.io", "")
        if group := container.log_group:
            region = container.log_region or stack.region
            stream = f"arn:{stack.partition}:logs:{region}:{stack.account}:log-group:{group}:log-stream:app/0"
            for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
                yield Call("logs", region, action, stream, group)


def _start(snapshot: Snapshot, role: Role) -> Iterator[Finding]:
    calls = [call for definition in snapshot.definitions for call in calls_at_start(snapshot.stack, definition)]
    # IAM limits a token to no repository.
    calls = [replace(call, resource="*", region="") if call.service == "ecr.api" else call for call in calls]
    for call in sorted(dict.fromkeys(call for call in calls if call.about), key=lambda one: _ORDER.index(one.service)):
        decision = role.may(call.action, call.resource, request_context(snapshot.stack, role))
        yield from _denied("start", f"{role.name} on {call.about}", call.action, decision, snapshot)


def _keys(snapshot: Snapshot, role: Role) -> Iterator[Finding]:
    stack, wanted = snapshot.stack, _wanted(snapshot)
    for arn, record in snapshot.live().items():
        name, key = stack.name_of(arn), snapshot.keys.get(record.kms_key_id or "")
        if record.kms_key_id is None:
            if stack.kms_key_arn and not stack.is_adopted(name):
                found = "is encrypted with the AWS-managed key, not with the stack's own"
                yield Finding("key", "warning", name, found, put_back(stack))
            continue
        if key is None:
            found = f"its key {record.kms_key_id} doesn't exist: the value can't be decrypted any more"
            remark = "then restore the values from a backup: python -m ops restore FILE"
            yield Finding("key", "failure", name, found, put_back(stack), remark)
        elif key.state != "Enabled":
            found = f"its key is {key.state}: nothing can be decrypted"
            yield Finding("key", "failure", name, found, _fix_key(key))
        elif stack.is_adopted(name) and stack.foreign_key_arns.get(name) != key.arn:
            found = f"is encrypted with {key.arn}, which the configuration doesn't name: no role can decrypt with it"
            yield Finding("key", "failure" if arn in wanted else "warning", name, found, name_key(stack, name, key.arn))
        elif stack.kms_key_arn and key.arn != stack.kms_key_arn and not stack.is_adopted(name):
            found = f"is encrypted with {key.arn}, not with the stack's own key"
            yield Finding("key", "warning", name, found, put_back(stack))
        if key is not None and key.state == "Enabled" and arn in wanted:
            if key.policy is None:
                found = "could not be checked: you are not allowed to read the key's policy"
                yield Finding("key", "unchecked", name, found, remark="ask for kms:GetKeyPolicy")
                continue
            known = request_context(stack, role, arn)
            decision = role.may("kms:Decrypt", key.arn, known, key.policy, policy_must_allow=True)
            yield from _denied("key", f"{role.name} on the key of {name}", "kms:Decrypt", decision, snapshot)


def name_key(stack: Stack, name: str, key_arn: str) -> str:
    """Return the command that gives every role that reads an adopted secret the right to decrypt with its key."""
    path = property_path("secretKmsKeys", name)
    set_it = "python -m sandbox config set" if in_sandbox() else "pulumi config set --plaintext --path"
    return f"{set_it} --stack {stack.environment} '{path}' {key_arn} && {again(stack)}"


def _fix_key(key: Key) -> str:
    which = f"--key-id {key.arn.rpartition('/')[2]} --region {key.arn.split(':')[3]}"
    cancel = f"aws kms cancel-key-deletion {which} && " if key.state == "PendingDeletion" else ""
    return f"{cancel}aws kms enable-key {which}"


def request_context(stack: Stack, role: Role, secret_arn: str | None = None) -> dict[str, str | None]:
    """Return the context of a request of a start: for a secret, or by Secrets Manager for its key; else for the stack's own."""
    here = {"aws:requestedregion": stack.region, "aws:resourceaccount": stack.account}
    of_ecs = {"secretsmanager:versionstage": CURRENT, "aws:multifactorauthpresent": None}
    return here | role.context(stack, secret_arn) | of_ecs
