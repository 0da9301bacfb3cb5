"""`python -m ops access`: who may read, change or delete each secret, by which statement, and what is wider than needed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from catalogue import DATABASE_MASTER
from ops._aws import Aws, connect
from ops._console import print_json, print_table, say, working
from ops._errors import MisuseError
from ops._options import JsonOption, OutputsOption, StackOption
from ops._restoring import list_versions
from ops._roles import Role, read_key_policy, read_managed_policy, read_role
from ops._secrets import CURRENT, Record, resource_policies
from ops._stack import Stack, load
from ops.listing import age, records_of
from policies.evaluator import Decision, Request, Statement, decide, glob, parse

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
        "secretsmanager:RemoveRegionsFromReplication",
    ),
    "delete": ("secretsmanager:DeleteSecret",),
}
"""What is reported, and the actions that mean it."""

_DANGEROUS = (*(action for actions in RIGHTS.values() for action in actions), "kms:Decrypt")

_READ = "secretsmanager:getsecretvalue"
_ROTATE = frozenset(
    {_READ, "secretsmanager:describesecret", "secretsmanager:putsecretvalue", "secretsmanager:updatesecretversionstage"}
)
_ARN_FIELDS = 7
"""Fields of a secret's ARN; what follows in a `valueFrom` are key, stage and version."""
_ANYWHERE = "secretsmanager:getrandompassword"
"""The one action of Secrets Manager that is about no secret."""


@dataclass(frozen=True)
class Grant:
    """Somebody may do something to a secret.

    Attributes:
        secret: Its name in the catalogue.
        right: `read`, `change` or `delete`.
        principal: The ARN, or what the policy names.
        statement: The statement that allows it.
        conditions: What it depends on that can't be known from here.
        wider: Whether the design doesn't provide for it.
    """

    secret: str
    right: str
    principal: str
    statement: str
    conditions: tuple[str, ...]
    wider: bool


@dataclass(frozen=True)
class Finding:
    """A statement that is wider than it needs to be.

    Attributes:
        where: The principal or the secret that has the policy.
        statement: The statement, with its policy.
        problem: What is too wide.
    """

    where: str
    statement: str
    problem: str


@dataclass(frozen=True)
class _Secret:
    """One secret with the policies that decide about it; `key` is None for the AWS-managed key."""

    name: str
    arn: str
    policy: tuple[Statement, ...]
    key_arn: str | None
    key: tuple[Statement, ...] | None


@dataclass(frozen=True)
class _Expected:
    """What the design gives to a role: actions in lower case by a secret's ARN."""

    rights: Mapping[str, frozenset[str]]

    @property
    def actions(self) -> frozenset[str]:
        """Every action, whatever the secret."""
        return frozenset[str]().union(*self.rights.values())


def access(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    *,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="Also every other role and user of the account.")
    ] = False,
    trusted: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted", metavar="ARN", help="With --everybody: somebody who is meant to; may be given several times."
        ),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="The report as Markdown, for a review.")] = False,
    json_: JsonOption = False,
) -> None:
    """Report who may read, change or delete each secret, by which statement, and what is too wide (then exit status 1).

    It evaluates the identity policies of the stack's roles, the resource policies and the key policy; service control policies
    and session policies are invisible from here. No value is read.
    """
    if markdown and json_:
        raise MisuseError("--markdown or --json, not both")
    where = load(stack, outputs)
    aws = connect(where)
    with working("Reading policies"):
        report = examine(aws, where, everybody=everybody, trusted=trusted or ())
    if json_:
        print_json(report.document(where))
    elif markdown:
        typer.echo(_markdown(where, report))
    else:
        _print(where, report)
    if report.findings or report.wider:
        raise typer.Exit(1)


@dataclass(frozen=True)
class Report:
    """The access report."""

    grants: tuple[Grant, ...]
    findings: tuple[Finding, ...]
    unchanged_since: Mapping[str, datetime | None]

    @property
    def wider(self) -> list[Grant]:
        """The grants that the design doesn't provide for."""
        return [grant for grant in self.grants if grant.wider]

    def document(self, stack: Stack) -> dict[str, Any]:
        """Return the report as data."""
        return {
            "stack": stack.environment,
            "account": stack.account,
            "ok": not self.findings and not self.wider,
            "grants": [asdict(grant) for grant in self.grants],
            "findings": [asdict(finding) for finding in self.findings],
            "unchanged_since": dict(self.unchanged_since),
        }


def examine(aws: Aws, stack: Stack, *, everybody: bool = False, trusted: Sequence[str] = ()) -> Report:
    """Return the access report of a stack."""
    records = {stack.name_of(arn): record for arn, record in records_of(aws, stack).items() if record}
    policies = _resource_policies(aws, stack)
    keys = _key_policies(aws, stack, records.values())
    expected = _expected(aws, stack, records)
    roles = _roles(aws, stack, expected)
    others = [role for role in _account(aws) if role.arn not in {r.arn for r in roles}] if everybody else []
    allowed = set(trusted)
    grants: list[Grant] = []
    for name, record in sorted(records.items()):
        key = record.kms_key_id
        secret = _Secret(name, record.arn, policies[record.arn], key, keys.get(key or ""))
        for role in (*roles, *others):
            grants += _grants(stack, secret, role, expected.get(role.arn), known=role.arn in allowed)
        grants += _direct_grants(name, policies[record.arn], {role.arn for role in (*roles, *others)})
    findings = [
        *(finding for role in roles for finding in _role_findings(stack, role, expected.get(role.arn), keys)),
        *(
            finding
            for arn, found in policies.items()
            for finding in _resource_findings(stack, stack.name_of(arn), found)
        ),
        *(finding for arn, found in keys.items() for finding in _key_findings(stack, arn, found)),
    ]
    since = aws.each(lambda name: _put(aws, records[name]), sorted(records))
    return Report(tuple(grants), tuple(dict.fromkeys(findings)), since)


def _expected(aws: Aws, stack: Stack, records: Mapping[str, Record]) -> dict[str, _Expected]:
    """Return what the design gives to each role of the stack that it gives anything; the others get nothing."""
    referenced = {":".join(reference.split(":")[:_ARN_FIELDS]) for reference in stack.container_secrets.values()}
    found = {stack.execution_role_arn: _Expected(dict.fromkeys(referenced, frozenset({_READ})))}
    for record in records.values():
        if record.rotation.lambda_arn:
            function = aws.client("lambda").get_function_configuration(FunctionName=record.rotation.lambda_arn)
            rights = dict(found.get(function["Role"], _Expected({})).rights)
            # The alternating-users function signs in with the master's password, which it doesn't change.
            if DATABASE_MASTER in stack.secret_arns:
                rights.setdefault(stack.secret_arns[DATABASE_MASTER], frozenset({_READ}))
            found[function["Role"]] = _Expected(rights | {record.arn: _ROTATE})
    return found


def _roles(aws: Aws, stack: Stack, expected: Iterable[str]) -> list[Role]:
    """Return the stack's roles: those of its outputs, those that its functions run as, and those that bear its name."""
    prefix = stack.task_definition_family
    named = {
        role["Arn"] for role in aws.pages("iam", "list_roles", "Roles") if role["RoleName"].startswith(f"{prefix}-")
    }
    arns = sorted({*named, *expected, stack.execution_role_arn, stack.task_role_arn})
    return [role for role in aws.each(lambda arn: read_role(aws, arn), arns).values() if role]


def _account(aws: Aws) -> list[Role]:
    """Return every role and user of the account with its policies, from IAM's one report."""
    details = list(_details(aws))
    managed = {
        policy["Arn"]: parse(version["Document"], source=f"managed policy {policy['PolicyName']}")
        for page in details
        for policy in page.get("Policies", ())
        for version in policy["PolicyVersionList"]
        if version["IsDefaultVersion"]
    }

    def attached(holder: Mapping[str, Any]) -> Iterator[Statement]:
        for policy in holder.get("AttachedManagedPolicies", ()):
            arn = policy["PolicyArn"]
            yield from managed[arn] if arn in managed else read_managed_policy(aws, arn)

    def inline(holder: Mapping[str, Any], kind: str) -> Iterator[Statement]:
        for policy in holder.get(kind, ()):
            yield from parse(policy["PolicyDocument"], source=f"inline policy {policy['PolicyName']}")

    groups = {
        group["GroupName"]: (*inline(group, "GroupPolicyList"), *attached(group))
        for page in details
        for group in page.get("GroupDetailList", ())
    }
    found: list[Role] = []
    for page in details:
        for raw in (*page.get("RoleDetailList", ()), *page.get("UserDetailList", ())):
            of_groups = [statement for group in raw.get("GroupList", ()) for statement in groups[group]]
            own = (*inline(raw, "RolePolicyList"), *inline(raw, "UserPolicyList"), *attached(raw), *of_groups)
            limit = (raw.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
            boundary = (managed.get(limit) or read_managed_policy(aws, limit)) if limit else None
            found.append(Role(raw["Arn"], raw["Arn"].rpartition("/")[2], (), own, boundary))
    return found


def _details(aws: Aws) -> Iterator[Mapping[str, Any]]:
    yield from aws.client("iam").get_paginator("get_account_authorization_details").paginate()


def _resource_policies(aws: Aws, stack: Stack) -> dict[str, tuple[Statement, ...]]:
    found = resource_policies(aws, stack.secret_arns.values())
    return {arn: parse(text, source="resource policy") if text else () for arn, text in found.items()}


def _key_policies(aws: Aws, stack: Stack, records: Iterable[Record]) -> dict[str, tuple[Statement, ...]]:
    keys = {stack.kms_key_arn, *(record.kms_key_id for record in records)} - {None}
    # A secret may name its key by id or alias in its own account; those are read by that name.
    return {key: read_key_policy(aws, key if key.startswith("arn:") else _key_arn(stack, key)) for key in keys if key}


def _key_arn(stack: Stack, key: str) -> str:
    resource = key if key.startswith("alias/") else f"key/{key}"
    return f"arn:{stack.partition}:kms:{stack.region}:{stack.account}:{resource}"


def _put(aws: Aws, record: Record) -> datetime | None:
    current = record.version(CURRENT)
    return next((v["CreatedDate"] for v in list_versions(aws, record.arn) if v["VersionId"] == current), None)


def _context(stack: Stack, role: Role, secret: str) -> dict[str, str | None]:
    suffix = "amazonaws.com.cn" if stack.partition == "aws-cn" else "amazonaws.com"
    return {
        "aws:principalarn": role.arn,
        "aws:principalaccount": stack.account,
        "aws:principaltype": "AssumedRole",
        "aws:resourceaccount": stack.account,
        "aws:requestedregion": stack.region,
        "aws:securetransport": "true",
        "secretsmanager:versionstage": CURRENT,
        "kms:calleraccount": stack.account,
        "kms:viaservice": f"secretsmanager.{stack.region}.{suffix}",
        "kms:encryptioncontext:secretarn": secret,
    }


def _grants(stack: Stack, secret: _Secret, role: Role, meant: _Expected | None, *, known: bool) -> Iterator[Grant]:
    context = _context(stack, role, secret.arn)
    for right, actions in RIGHTS.items():
        for action in actions:
            request = Request(action, secret.arn, role.arn, context)
            found = decide(request, identity=role.identity, boundary=role.boundary, resource=secret.policy)
            if right == "read" and found.allows:
                found = _with_key(found, secret, role, context)
            if found.allows:
                fits = known or (meant is not None and action.lower() in meant.rights.get(secret.arn, ()))
                yield Grant(secret.name, right, role.arn, str(found.statement), found.conditions, not fits)
                break


def _with_key(read: Decision, secret: _Secret, role: Role, context: Mapping[str, str | None]) -> Decision:
    """Return whether somebody who may read may also decrypt."""
    if secret.key is None or secret.key_arn is None:
        return read
    request = Request("kms:Decrypt", secret.key_arn, role.arn, context)
    # In a key policy the resource "*" is the key itself.
    opened = decide(
        request, identity=role.identity, boundary=role.boundary, resource=secret.key, resource_must_allow=True
    )
    if not opened.allows:
        return opened
    outcome = read.outcome if opened.outcome == "allowed" else opened.outcome
    return Decision(outcome, read.statement, (*read.conditions, *opened.conditions))


def _direct_grants(name: str, policy: Sequence[Statement], known: set[str]) -> Iterator[Grant]:
    """Yield what a resource policy allows to somebody who is none of the roles that were looked at."""
    for statement in policy:
        if not statement.allows:
            continue
        for right, actions in RIGHTS.items():
            if not any(_could(statement, action) for action in actions):
                continue
            for principal in _principals(statement):
                if principal not in known:
                    conditions = tuple(f"{key} {operator} {', '.join(v)}" for operator, key, v in statement.conditions)
                    yield Grant(name, right, principal, str(statement), conditions, wider=True)


def _principals(statement: Statement) -> list[str]:
    if "principal" in statement.negated:
        return ["everybody but " + ", ".join(v for values in statement.principals.values() for v in values)]
    return [value for values in statement.principals.values() for value in values]


def _could(statement: Statement, action: str) -> bool:
    found = any(glob(pattern, action.lower()) for pattern in statement.actions)
    return found != ("action" in statement.negated)


def _role_findings(stack: Stack, role: Role, expected: _Expected | None, keys: Iterable[str]) -> Iterator[Finding]:
    """Yield what in a role's own policies is wider than the design, whether or not a boundary or a deny stops it."""
    for statement in role.identity:
        if not statement.allows:
            continue
        problems = [*_action_problems(statement, role, expected, stack), *_resource_problems(statement, stack, keys)]
        # The key's policy lets others use it through their own services only.
        if expected and _decrypts_directly(statement):
            problems.append("decrypts without the condition kms:ViaService")
        for problem in problems:
            yield Finding(role.arn, str(statement), problem)


def _action_problems(statement: Statement, role: Role, expected: _Expected | None, stack: Stack) -> Iterator[str]:
    if role.arn == stack.task_role_arn:
        yield "the task role needs no permission: the application gets its values when the task starts"
    if "action" in statement.negated:
        if any(_could(statement, action) for action in _DANGEROUS):
            yield "NotAction allows everything else, reading and changing secrets included"
        return
    meant = (expected.actions if expected else frozenset[str]()) | ({_ANYWHERE} if expected else set())
    for pattern in statement.actions:
        wild = "*" in pattern or "?" in pattern
        if wild and any(glob(pattern, action.lower()) for action in _DANGEROUS):
            yield f"the action {pattern} has a wildcard"
        elif pattern.startswith("secretsmanager:") and pattern not in meant:
            yield f"{pattern} is not needed"


def _resource_problems(statement: Statement, stack: Stack, keys: Iterable[str]) -> Iterator[str]:
    touched = [p for p in statement.actions if p.partition(":")[0] in {"secretsmanager", "kms"} or p == "*"]
    if not touched or set(touched) == {_ANYWHERE}:
        return
    if "resource" in statement.negated:
        yield "NotResource allows every other secret"
        return
    secrets, own_keys = set(stack.secret_arns.values()), set(keys)
    replicas = {":".join(arn.split(":")[5:]) for arn in secrets}
    for resource in statement.resources:
        service = resource.split(":")[2] if resource.startswith("arn:") else ""
        if "*" in resource or "?" in resource:
            yield f"the resource {resource} has a wildcard"
        elif service == "secretsmanager" and ":".join(resource.split(":")[5:]) not in replicas:
            yield f"{resource} is no secret of this stack"
        elif service == "kms" and resource not in own_keys and not _replica_key(resource, own_keys):
            yield f"{resource} is no key of this stack"


def _decrypts_directly(statement: Statement) -> bool:
    through = any(key.lower() == "kms:viaservice" for _, key, _ in statement.conditions)
    return not through and "action" not in statement.negated and _could(statement, "kms:Decrypt")


def _replica_key(resource: str, keys: Iterable[str]) -> bool:
    """Tell whether a key is in another Region than the stack's: one of a replica."""
    regions = {key.split(":")[3] for key in keys}
    return resource.split(":")[3] not in regions


def _resource_findings(stack: Stack, name: str, policy: Sequence[Statement]) -> Iterator[Finding]:
    for statement in policy:
        if not statement.allows:
            continue
        for principal in _principals(statement):
            if problem := _principal_problem(stack, principal):
                yield Finding(name, str(statement), problem)
        if any("*" in action for action in statement.actions) or "action" in statement.negated:
            yield Finding(name, str(statement), "its actions have a wildcard")


def _key_findings(stack: Stack, key: str, policy: Sequence[Statement]) -> Iterator[Finding]:
    where = f"key {key.rpartition('/')[2]}"
    for statement in policy:
        if not statement.allows or not _could(statement, "kms:Decrypt"):
            continue
        root = f"arn:{stack.partition}:iam::{stack.account}:root"
        bound = {k.lower() for _, k, _ in statement.conditions}
        for principal in _principals(statement):
            service = principal in statement.principals.get("Service", ())
            if service and not bound:
                yield Finding(where, str(statement), f"{principal} may decrypt on anybody's behalf: no condition")
            wide = _principal_problem(stack, principal)
            if not service and principal not in {root, stack.account} and wide:
                yield Finding(where, str(statement), wide)
            if not service and "kms:viaservice" not in bound:
                yield Finding(where, str(statement), f"{principal} may decrypt directly: no condition kms:ViaService")


def _principal_problem(stack: Stack, principal: str) -> str | None:
    if principal == "*" or principal.startswith("everybody but"):
        return f"allows {'everybody' if principal == '*' else principal}"
    account = principal if principal.isdigit() else principal.split(":")[4] if principal.startswith("arn:") else ""
    if account and account != stack.account:
        return f"allows {principal}, of another account"
    if principal in {stack.account, f"arn:{stack.partition}:iam::{stack.account}:root"}:
        return "allows the whole account"
    return None


def _rows(stack: Stack, report: Report) -> list[tuple[str, str, str, str, str]]:
    rows: list[tuple[str, str, str, str, str]] = []
    for name in sorted(stack.secret_arns):
        since = report.unchanged_since.get(name)
        value = (
            f"{since:%Y-%m-%d} ({age(since)})" if since else "no value" if name in report.unchanged_since else "missing"
        )
        of_secret = [grant for grant in report.grants if grant.secret == name]
        for grant in of_secret or [None]:
            if grant is None:
                rows.append((name, value, "nobody", "", ""))
                continue
            by = grant.statement + (f" (if {'; '.join(grant.conditions)})" if grant.conditions else "")
            rows.append((name, value, grant.principal, grant.right, by + (" - NOT BY DESIGN" if grant.wider else "")))
    return rows


_COLUMNS = ("secret", "value since", "principal", "may", "by")


def _print(stack: Stack, report: Report) -> None:
    print_table(f"Who may do what to the secrets of {stack.place}", _COLUMNS, _rows(stack, report))
    if report.findings:
        rows = [(finding.where, finding.statement, finding.problem) for finding in report.findings]
        print_table("\nWider than it needs to be", ("where", "statement", "problem"), rows)
        say("Mend: `pulumi refresh`, then `pulumi up` puts the stack's own policies back; take away what others added.")
    elif not report.wider:
        say("Nothing is wider than it needs to be.")


def _markdown(stack: Stack, report: Report) -> str:
    def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
        lines = [columns, ["---"] * len(columns), *rows]
        return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]

    lines = [f"# Access to the secrets of {stack.place}", "", *table(_COLUMNS, _rows(stack, report)), ""]
    lines += ["## Wider than it needs to be", ""]
    if report.findings:
        found = [(finding.where, finding.statement, finding.problem) for finding in report.findings]
        lines += table(("where", "statement", "problem"), found)
    else:
        lines.append("Nothing." if not report.wider else "See the lines marked NOT BY DESIGN.")
    lines += ["", "Service control policies and session policies are not visible from here."]
    return "\n".join(lines)
