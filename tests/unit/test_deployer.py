"""Who deploys: each call of the table is allowed, nothing wider, and the deployer can't widen itself."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from account.rights import deployment, lines
from components.location import Location
from components.names import Names
from components.policies import deployer
from components.policies.calls import BY_KEY_POLICY, CALLS, DEPENDENT, NOTICES, OF_FEATURE, USE_KEY, Feature
from components.policies.deployer import (
    Deployment,
    deployer_statements,
    managed_policies,
    require_boundary,
    reviewer_statements,
)
from components.policies.federation import federated_trust
from components.policies.identity import MANAGED_POLICIES_PER_ROLE, MANAGED_POLICY_CHARACTERS, PolicyError, document
from ops.access.evaluator import Request, Statement, decide, parse, trusts
from tests.sandbox.stack_options import SINGLE_USER
from tests.unit.conftest import Recorded, Recorder, Recording, run_program

ROOT = Path(__file__).parents[2]
ACCOUNT, REGION = "111122223333", "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-1111-2222-3333-444444444444"
NEW_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/99999999-0000-0000-0000-999999999999"
"""While it is created: its policy is not in force yet."""
CONFIG_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/55555555-6666-7777-8888-999999999999"
PREFIX = "service-ticket-system-dev"
STATE = f"arn:aws:s3:::service-ticket-system-state-{ACCOUNT}-{REGION}"
ALL: frozenset[Feature] = frozenset(("encryption", "rotation", "redeploy", "audit", "trail"))
BARE = Deployment(
    names=Names("service-ticket-system", "dev"),
    location=Location("aws", REGION, ACCOUNT),
    features=frozenset(),
    config_key_arn=CONFIG_KEY,
    key_tags={"Project": "service-ticket-system", "Environment": "dev"},
)
FULL = replace(BARE, features=ALL, redeployed={"app": "main/web"})
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/service-ticket-system-boundary"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-ticket-system-deployer"
FULL_CONFIG: Mapping[str, Any] = {
    "encryption": "customer-managed",
    "permissionsBoundary": BOUNDARY,
    "redeploy": {"cluster": "main", "services": {"app": "web"}},
    "audit": {"trail": "create", "alarmEmails": ["oncall@example.com"]},
    "rotation": SINGLE_USER,
}

NO_RESOURCE = {
    "cloudtrail:DescribeTrails", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
    "ecs:DescribeTaskDefinition", "kms:CreateKey", "kms:ListAliases", "sns:GetSubscriptionAttributes", "sns:Unsubscribe",
    "states:ValidateStateMachineDefinition",
}  # fmt: skip
"""Source: AWS, "Service Authorization Reference": no resource type, so AWS asks for `*`."""


def program(record: Recorder, **config: Any) -> Recording:
    plain = {"image": "example/app:1.0.0", "databaseHost": "db.internal", "redisHost": "redis.internal", **config}
    secrets = {"smtpPassword": "smtp-value-0123456789", "cloudflareToken": "cloudflare-value-0123456789"}
    return run_program(record, plain, secrets)


SECRET_ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{PREFIX}-jwt-secret-AbCdEf"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{PREFIX}-rotation"
TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:{PREFIX}-alarms"
BUCKET_ARN = f"arn:aws:s3:::{PREFIX}-trail-{ACCOUNT}-{REGION}"
ARNS = {
    "Role": f"arn:aws:iam::{ACCOUNT}:role/%(name)s",
    "RolePolicy": f"arn:aws:iam::{ACCOUNT}:role/%(role)s",
    "RolePolicyAttachment": f"arn:aws:iam::{ACCOUNT}:role/%(role)s",
    "Secret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:%(name)s-AbCdEf",
    "SecretVersion": SECRET_ARN,
    "SecretPolicy": SECRET_ARN,
    "SecretRotation": SECRET_ARN,
    "TaskDefinition": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/%(family)s:7",
    "LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:%(name)s:*",
    "LogMetricFilter": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:%(logGroupName)s:*",
    "MetricAlarm": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:%(name)s",
    "Dashboard": f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/%(dashboardName)s",
    "EventRule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/%(name)s",
    "EventTarget": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/%(rule)s",
    "Alias": f"arn:aws:kms:{REGION}:{ACCOUNT}:%(name)s",
    "Key": KEY,
    "Function": FUNCTION_ARN,
    "Permission": FUNCTION_ARN,
    "StateMachine": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:%(name)s",
    "Topic": TOPIC_ARN,
    "TopicPolicy": TOPIC_ARN,
    "TopicSubscription": TOPIC_ARN,
    "Trail": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/%(name)s",
}
"""The ARN that AWS gives a resource of a type, from its own inputs; a bucket's settings have the bucket's."""


def arn_of(resource: Recorded) -> str:
    kind = resource.type.rpartition(":")[2]
    return BUCKET_ARN if kind.startswith("Bucket") else ARNS[kind] % resource.inputs


PASSED_TO = {
    "ecs": "ecs-tasks", "lambda": "lambda", "sfn": "states", "cloudwatch": "events",
    "cloudtrail": "cloudtrail",
}  # fmt: skip
ABSENT: Mapping[str, str | None] = {
    "aws:resourcetag/*": None, "aws:requesttag/*": None, "aws:requestedregion": REGION, "kms:calleraccount": ACCOUNT,
    "aws:principalarn": ROLE,
}  # fmt: skip
TAGS: Mapping[str, str | None] = {
    "aws:resourcetag/project": "service-ticket-system",
    "aws:resourcetag/environment": "dev",
}
TAGS_ASKED: Mapping[str, str | None] = {key.replace("resource", "request"): value for key, value in TAGS.items()}


def asked(action: str, resource: str, **context: str) -> Request:
    keys = {
        "boundary": "iam:permissionsboundary",
        "to": "iam:passedtoservice",
        "policy": "iam:policyarn",
        "via": "kms:viaservice",
    }
    known: dict[str, str | None] = dict.fromkeys(keys.values())
    known |= {keys[key]: value for key, value in context.items()}
    return Request(action, resource, ROLE, {**ABSENT, **known})


ELSEWHERE = {
    "iam:PassRole": f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}-app-execution",
    "logs:DescribeLogGroups": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group::log-stream:",
    "cloudwatch:DescribeAlarms": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*",
    "ecs:DescribeServices": f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/main/web",
    "lambda:InvokeFunction": FUNCTION_ARN,
    "s3:DeleteObject": f"{BUCKET_ARN}/AWSLogs/{ACCOUNT}/CloudTrail/one.json.gz",
    "s3:DeleteObjectVersion": f"{BUCKET_ARN}/AWSLogs/{ACCOUNT}/CloudTrail/one.json.gz",
    **dict.fromkeys(NO_RESOURCE, "*"),
}
"""Actions that act on something else than the resource itself."""


def calls(resource: Recorded) -> Iterator[Request]:
    """What the official plugin asks AWS about one resource of the program."""
    service = resource.type.partition("/")[0].removeprefix("aws:")
    context: dict[str, str] = {
        "boundary": BOUNDARY,
        "policy": f"arn:aws:iam::{ACCOUNT}:policy/{PREFIX}-app-execution-read-1",
    }
    context["to"] = f"{PASSED_TO.get(service, service)}.amazonaws.com"
    for scope, actions in CALLS[resource.type][1].items():
        for action in actions.split():
            if action == "iam:PassRole" and resource.type.endswith(":EventTarget") and "roleArn" not in resource.inputs:
                continue  # a topic's own policy lets EventBridge publish
            # A change of an alias asks for its key, too.
            own = {BY_KEY_POLICY: KEY, "new key tags": NEW_KEY}.get(scope) or arn_of(resource)
            request = asked(action, ELSEWHERE.get(action, own), **context)
            # The key's own tags count later: no call may depend on them.
            tags = TAGS_ASKED if scope.startswith("new key") else {}
            yield replace(request, context={**request.context, **tags})


def through_secrets_manager(*keys: str) -> list[Request]:
    """What Secrets Manager asks KMS as the deployer, for secrets under these keys."""
    return [
        asked(action, key, via=f"secretsmanager.{key.split(':')[3]}.amazonaws.com")
        for key in keys
        for action in USE_KEY
    ]


def of_state() -> Iterator[Request]:
    files = [
        "stacks/service-ticket-system/dev.json", "stacks/service-ticket-system/dev.json.bak",
        "stacks/service-ticket-system/dev.pulumi-tags",
        "history/service-ticket-system/dev/dev-1.history.json", "backups/service-ticket-system/dev/dev.1.json",
        "locks/organization/service-ticket-system/dev/0.json",
    ]  # fmt: skip
    yield asked("s3:ListBucket", f"{STATE}")
    yield asked("s3:GetObject", f"{STATE}/.pulumi/meta.yaml")
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        yield from (asked(action, f"{STATE}/.pulumi/{file}") for file in files)
    yield asked("kms:Decrypt", CONFIG_KEY)


def read_policy(role: Recorded) -> Recorded:
    """Attached to a role with more secrets than its inline policy takes; the shipped catalogue has fewer."""
    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    return replace(role, type=token, inputs={"role": f"{PREFIX}-app-execution"})


def all_calls(recording: Recording) -> list[Request]:
    resources = [resource for resource in recording if resource.type.startswith("aws:")]
    found = [request for resource in (*resources, read_policy(resources[0])) for request in calls(resource)]
    policy = f"arn:aws:iam::{ACCOUNT}:policy/{PREFIX}-app-execution-read-1"
    found += [asked(action, policy) for action in CALLS["aws:iam/policy:Policy"][1]["policy"].split()]
    keys = [KEY] if any(r.type == "aws:kms/key:Key" for r in resources) else []
    return [*found, *through_secrets_manager(*keys), *of_state()]


def key_policies(recording: Recording) -> tuple[Statement, ...]:
    return tuple(s for key in recording.of("aws:kms/key:Key") for s in parse(key.inputs["policy"], source="key"))


def parsed(stack: Deployment) -> tuple[Statement, ...]:
    return tuple(s for policy in managed_policies(deployer_statements(stack)) for s in parse(policy, source="deployer"))


def refused(statements: tuple[Statement, ...], requests: list[Request], key: tuple[Statement, ...] = ()) -> list[str]:
    return [
        f"{r.action} {r.resource}"
        for r in requests
        if decide(r, identity=statements, resource=key if r.resource == KEY else ()).outcome != "allowed"
    ]


def test_every_call_for_every_resource_of_a_full_stack_is_allowed(record: Recorder) -> None:
    recording = program(record, **FULL_CONFIG)
    assert refused(parsed(FULL), all_calls(recording), key_policies(recording)) == []
    types = {r.type for r in recording if r.type.startswith("aws:")}
    assert types | {"aws:iam/policy:Policy", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"} == set(CALLS)


def test_every_call_of_a_bare_stack_is_allowed_with_the_rights_of_a_bare_stack(record: Recorder) -> None:
    recording = program(record, permissionsBoundary=BOUNDARY)
    assert refused(parsed(BARE), all_calls(recording)) == []


def test_every_statement_is_needed(record: Recorder) -> None:
    recording = program(record, **FULL_CONFIG)
    requests, key = all_calls(recording), key_policies(recording)
    for statement in parsed(FULL):
        rest = tuple(s for s in parsed(FULL) if s.label != statement.label)
        its = [request for request in requests if request.action.lower() in statement.actions]
        assert refused(rest, its, key), statement.label


@pytest.mark.parametrize("feature", sorted(ALL))
def test_a_feature_that_is_off_needs_no_rights(feature: Feature) -> None:
    without = replace(FULL, features=ALL - {feature})
    assert len(document(deployer_statements(without))) < len(document(deployer_statements(FULL)))
    assert not (set(OF_FEATURE[feature]) - set(NOTICES)) & set(without.types)


def test_a_bare_stack_has_no_right_to_what_only_features_need() -> None:
    granted = {action for statement in parsed(BARE) for action in statement.actions}
    services = {action.partition(":")[0] for action in granted}
    assert services == {"ecs", "iam", "kms", "logs", "s3", "secretsmanager"}
    assert {action for action in granted if action.startswith("kms:")} == {"kms:decrypt"}


@pytest.mark.parametrize("stack", [BARE, FULL])
def test_no_action_is_a_pattern_and_only_what_aws_cannot_narrow_is_on_everything(stack: Deployment) -> None:
    for statement in parsed(stack):
        assert not any("*" in action for action in statement.actions)
        if "*" in statement.resources:
            assert set(statement.actions) <= {action.lower() for action in NO_RESOURCE}


def test_the_policies_are_within_the_limits_of_iam() -> None:
    longest = replace(
        FULL, names=Names("p" * 24, "s" * 16), adopted_arns=tuple(f"{i:03}" + "a" * 80 for i in range(20))
    )
    for stack in (BARE, FULL, longest):
        policies = managed_policies(deployer_statements(stack))
        assert all(len(policy) <= MANAGED_POLICY_CHARACTERS for policy in policies)
        assert 1 <= len(policies) <= MANAGED_POLICIES_PER_ROLE
        assert len(deployer.boundary(stack)) <= MANAGED_POLICY_CHARACTERS


def test_a_statement_that_no_policy_takes_is_refused() -> None:
    arns = tuple(f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{i:03}{'a' * 60}-AbCdEf" for i in range(60))
    with pytest.raises(PolicyError, match="adopt fewer"):
        managed_policies(deployer_statements(replace(FULL, adopted_arns=arns)))


OWN_ROLE = f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}-app-task"
OTHER_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/aaaaaaaa-0000-0000-0000-000000000000"
WIDER = [
    asked("iam:CreateRole", OWN_ROLE),
    asked("iam:CreateRole", OWN_ROLE, boundary="arn:aws:iam::aws:policy/AdministratorAccess"),
    asked("iam:PutRolePolicy", OWN_ROLE),
    asked("iam:PutRolePermissionsBoundary", OWN_ROLE, boundary="arn:aws:iam::aws:policy/AdministratorAccess"),
    asked("iam:DeleteRolePermissionsBoundary", OWN_ROLE, boundary=BOUNDARY),
    asked("iam:AttachRolePolicy", OWN_ROLE, boundary=BOUNDARY, policy="arn:aws:iam::aws:policy/AdministratorAccess"),
    asked("iam:PassRole", OWN_ROLE, to="ec2.amazonaws.com"),
    *(
        asked(action, f"arn:aws:iam::{ACCOUNT}:role/{role}", boundary=BOUNDARY, to="lambda.amazonaws.com", policy=BOUNDARY)
        for role in (*FULL.pipeline_roles, "admin", f"{PREFIX[:-3]}prod-app")
        for action in (
            "iam:AttachRolePolicy", "iam:CreateRole", "iam:PassRole", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy",
            "iam:PutRolePermissionsBoundary", "iam:DetachRolePolicy", "iam:DeleteRolePolicy", "sts:AssumeRole",
        )
    ),
    *(
        asked(action, f"arn:aws:iam::{ACCOUNT}:policy/service-ticket-system-{name}")
        for name in ("boundary", "deployer-1", "previewer-1")
        for action in ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion")
    ),
    *(
        asked(action, f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com")
        for action in ("iam:AddClientIDToOpenIDConnectProvider", "iam:UpdateOpenIDConnectProviderThumbprint")
    ),
    *(asked(action, f"arn:aws:iam::{ACCOUNT}:user/x") for action in ("iam:CreateUser", "iam:CreateAccessKey")),
    *(asked(f"s3:{name}", f"{STATE}") for name in ("PutBucketPolicy", "DeleteBucket", "PutBucketVersioning")),
    asked("s3:GetObject", f"{STATE}/.pulumi/stacks/account/dev.json"),
    asked("s3:GetObject", f"{STATE}/.pulumi/stacks/service-ticket-system/prod.json"),
    asked("s3:DeleteObjectVersion", f"{STATE}/.pulumi/stacks/service-ticket-system/dev.json"),
    asked("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:billing-AbCdEf"),
    *(asked(f"kms:{name}", CONFIG_KEY) for name in ("PutKeyPolicy", "ScheduleKeyDeletion", "CreateGrant", "TagResource")),
    asked("kms:PutKeyPolicy", OTHER_KEY),
    asked("kms:Decrypt", OTHER_KEY),
    asked("kms:CreateGrant", KEY),
    *(
        replace(request, context={**request.context, **TAGS})
        for request in (asked(f"kms:{name}", OTHER_KEY) for name in ("PutKeyPolicy", "ScheduleKeyDeletion", "UntagResource"))
    ),
    *(
        asked(f"iam:{name}", OWN_ROLE, boundary=boundary)
        for name in ("UpdateAssumeRolePolicy", "DeleteRole", "UpdateRole")
        for boundary in ("", "arn:aws:iam::aws:policy/AdministratorAccess")
    ),
    *(
        asked(f"iam:{name}", f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}-monitoring", boundary=BOUNDARY, to="lambda.amazonaws.com")
        for name in ("CreateRole", "UpdateAssumeRolePolicy", "PassRole", "TagRole")
    ),
    asked("ecs:RegisterTaskDefinition", f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/billing:1"),
    asked("ecs:DeregisterTaskDefinition", "*"),
    asked("sns:SetSubscriptionAttributes", "*"),
    replace(asked("sns:Unsubscribe", "*"), context={"aws:requestedregion": "us-east-1"}),
]  # fmt: skip


@pytest.mark.parametrize("request_", WIDER, ids=lambda r: f"{r.action} {r.resource.rpartition(':')[2]}")
def test_the_deployer_cannot_widen_itself(request_: Request) -> None:
    assert decide(request_, identity=parsed(FULL)).outcome == "implicit-deny"


def test_a_key_that_has_one_of_the_stacks_tags_is_not_tagged_anew() -> None:
    foreign: Mapping[str, str | None] = {"aws:resourcetag/project": "billing", "aws:resourcetag/environment": "dev"}
    for action in ("kms:PutKeyPolicy", "kms:TagResource", "kms:ScheduleKeyDeletion"):
        request = Request(action, OTHER_KEY, ROLE, {**ABSENT, **foreign, **TAGS_ASKED})
        assert decide(request, identity=parsed(FULL)).outcome == "implicit-deny"


def beyond(boundary: str, recording: Recording) -> tuple[int, list[str]]:
    """How many rights the program's roles have, and which of them the boundary takes away."""
    limits = parse(boundary, source="boundary")
    # Whether a condition of the role's own holds is no question of the boundary.
    everything = parse({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}, source="no condition")
    rights = [
        (policy.name, action, resource)
        for policy in recording.of("aws:iam/rolePolicy:RolePolicy")
        for statement in parse(policy.inputs["policy"], source=policy.name)
        for action in (statement.actions if statement.allows else ())
        for resource in statement.resources
    ]
    lost: list[str] = []
    for name, action, resource in rights:
        region = resource.split(":")[3] if resource.startswith("arn:aws:kms") else REGION
        request = asked(
            action,
            resource.replace("*", "one"),
            via=f"secretsmanager.{region}.amazonaws.com",
            to="ecs-tasks.amazonaws.com",
        )
        request = replace(request, context={**request.context, "lambda:sourcefunctionarn": None})
        if decide(request, identity=everything, boundary=limits).outcome != "allowed":
            lost.append(f"{name}: {action} on {resource}")
    return len(rights), lost


def test_the_boundary_lets_every_role_of_the_program_do_its_work(record: Recorder) -> None:
    count, lost = beyond(deployer.boundary(FULL), program(record, **FULL_CONFIG))
    assert lost == []
    assert count > 20


@pytest.mark.parametrize(
    "action", ["iam:CreateRole", "sts:AssumeRole", "iam:CreateUser", "kms:PutKeyPolicy", "s3:GetObject"]
)
def test_the_boundary_ends_what_a_role_of_the_stack_can_do(action: str) -> None:
    everything = parse(
        {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}, source="whatever the deployer wrote"
    )
    request = asked(action, f"{STATE}/.pulumi/stacks/service-ticket-system/dev.json")
    assert (
        decide(request, identity=everything, boundary=parse(deployer.boundary(FULL), source="boundary")).allows is False
    )


@pytest.mark.parametrize(
    ("action", "instead"),
    [
        ("iam:PassRole", "name one action"),
        ("sts:AssumeRole", "name one action"),
        ("organizations:LeaveOrganization", "name one action"),
        ("s3:*", "name one action"),
        ("*", "name one action"),
        ("secretsmanager:GetSecretValue", "declare the secret in catalogue.py"),
        ("secretsmanager:PutSecretValue", "declare the secret in catalogue.py"),
        ("kms:Decrypt", "kms:Decrypt@s3"),
        ("s3:GetObject@s3", "name one action"),
        ("ecs:ExecuteCommand", "a person's role"),
        ("lambda:UpdateFunctionCode", "a person's role"),
    ],
)
def test_an_action_that_reaches_past_the_boundary_is_refused_with_what_to_write_instead(
    action: str, instead: str
) -> None:
    with pytest.raises(PolicyError, match=f"can't be an application's action: .*{re.escape(instead)}"):
        deployer.boundary(BARE, application_actions=[action])


@pytest.mark.parametrize("role", FULL.pipeline_roles)
@pytest.mark.parametrize("found", [None, f"arn:aws:iam::{ACCOUNT}:policy/another"])
def test_a_role_of_the_account_runs_nothing_without_its_boundary(role: str, found: str | None) -> None:
    caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/session"
    with pytest.raises(PolicyError, match=f"pulumi config set permissionsBoundary {BOUNDARY}"):
        require_boundary(caller, FULL.names, FULL.location, found)
    require_boundary(caller, FULL.names, FULL.location, BOUNDARY)


@pytest.mark.parametrize("caller", [
    f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/me", f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:user/x",
])  # fmt: skip
def test_who_is_no_role_of_the_account_may_do_without_a_boundary(caller: str) -> None:
    require_boundary(caller, FULL.names, FULL.location, None)


def test_the_program_refuses_it_before_anything_is_registered(
    record: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = SimpleNamespace(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{FULL.deployer}/run", account_id=ACCOUNT)
    monkeypatch.setattr(aws, "get_caller_identity", lambda: caller)
    with pytest.raises(pulumi.RunError, match="pulumi config set permissionsBoundary"):
        program(record)
    assert program(record, permissionsBoundary=BOUNDARY).of("aws:iam/role:Role")


def test_what_aws_authorizes_with_a_call_is_granted_with_it(record: Recorder) -> None:
    """Source: AWS, Service Authorization Reference, dependent actions."""
    recording = program(record, **FULL_CONFIG)
    by_key = {action for statement in key_policies(recording) for action in statement.actions}
    deploys = {action for statement in parsed(FULL) for action in statement.actions}
    roles = {"deployer": deploys, **{
        policy.name: {action for s in parse(policy.inputs["policy"], source="role") for action in s.actions}
        for policy in recording.of("aws:iam/rolePolicy:RolePolicy")
    }}  # fmt: skip
    checked: set[str] = set()
    for name, granted in roles.items():
        for action, (actions, _, _) in DEPENDENT.items():
            if action.lower() in granted and not (action == "secretsmanager:GetSecretValue" and "superuser" in name):
                checked.add(action)
                assert {one.lower() for one in actions.split()} <= granted | by_key, (name, action)
    assert checked == {*DEPENDENT}


def test_every_call_that_hands_over_a_role_is_known_to_do_so() -> None:
    passing = {action for action, (actions, _, _) in DEPENDENT.items() if "iam:PassRole" in actions}
    for token, (_, scopes) in CALLS.items():
        listed = {call for calls_ in scopes.values() for call in calls_.split()}
        assert ("iam:PassRole" in listed) == bool(listed & passing), token


READS = ("BatchGetImage", "Describe", "Get", "List", "Lookup", "Simulate", "StartQuery", "Validate", "Decrypt")


@pytest.mark.parametrize("stack", [BARE, FULL])
def test_the_reviewer_changes_nothing_and_reads_no_value(stack: Deployment) -> None:
    statements = parse(document(reviewer_statements(stack)), source="reviewer")
    given = {action for statement in reviewer_statements(stack) for action in statement["Action"]}
    assert all(action.partition(":")[2].startswith(READS) for action in given)
    assert not {"secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "ssm:GetParameter"} & given
    assert len(document(reviewer_statements(stack))) < 10_240, "an inline policy"
    assert ("lambda:GetFunction" in given) == ("rotation" in stack.features)
    for request in (
        asked("iam:GetRole", f"arn:aws:iam::{ACCOUNT}:role/{stack.deployer}"),
        asked("iam:GetPolicy", stack.boundary_arn),
        asked("secretsmanager:DescribeSecret", SECRET_ARN),
    ):
        assert decide(request, identity=statements).allows
    for action in ("iam:GetRole", "iam:ListRolePolicies"):
        assert not decide(asked(action, f"arn:aws:iam::{ACCOUNT}:role/billing"), identity=statements).allows


def test_the_review_describes_a_foreign_secret_and_reads_it_not() -> None:
    foreign = f"arn:aws:secretsmanager:{REGION}:999999999999:secret:shared-AbCdEf"
    statements = parse(document(reviewer_statements(replace(BARE, foreign_arns=(foreign,)))), source="reviewer")
    assert decide(asked("secretsmanager:DescribeSecret", foreign), identity=statements).allows
    assert not decide(asked("secretsmanager:GetSecretValue", foreign), identity=statements).allows


PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
ISSUER = "token.actions.githubusercontent.com"
SUBJECT = "repo:example/tickets:environment:prod"


def lets_in(policy: str, subject: str, audience: str = "sts.amazonaws.com") -> bool:
    context = {f"{ISSUER}:sub": subject, f"{ISSUER}:aud": audience}
    request = Request("sts:AssumeRoleWithWebIdentity", ROLE, PROVIDER, context)
    return trusts(parse(policy, source="trust"), request).outcome == "allowed"


IDS = "repo:example@1234567/tickets@987654321:environment:prod"
"""Source: GitHub changelog of 2026-04-23, "Immutable subject claims for GitHub Actions OIDC tokens"."""
BRANCHES = "project_path:example/tickets:ref_type:branch:ref:*"


@pytest.mark.parametrize(
    ("subject", "let_in", "others"),
    [
        (SUBJECT, SUBJECT, ["repo:example/tickets:pull_request", "repo:other/tickets:environment:prod", f"{SUBJECT}x"]),
        (IDS, IDS, [SUBJECT, IDS.replace("1234567", "7"), IDS.replace("987654321", "8")]),
        # A previewer's subject may be a pattern behind the repository.
        (BRANCHES, BRANCHES.replace("*", "topic"), [BRANCHES.replace("tickets", "other").replace("*", "topic")]),
    ],
)
def test_the_pipeline_is_let_in_and_nothing_else(subject: str, let_in: str, others: list[str]) -> None:
    policy = federated_trust(PROVIDER, audience="sts.amazonaws.com", subjects=[subject], patterns="*" in subject)
    assert lets_in(policy, let_in)
    assert not [other for other in others if lets_in(policy, other)]
    assert not lets_in(policy, let_in, audience="https://github.com/example")


def test_people_are_named() -> None:
    person = f"arn:aws:iam::{ACCOUNT}:role/platform"
    policy = federated_trust(PROVIDER, audience="sts.amazonaws.com", subjects=[SUBJECT], principals=[person])
    statements = parse(policy, source="trust")
    assert trusts(statements, Request("sts:AssumeRole", ROLE, person)).outcome == "allowed"
    assert not trusts(statements, Request("sts:AssumeRole", ROLE, f"arn:aws:iam::{ACCOUNT}:role/other")).allows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subjects": []}, "has no subjects: any repository there could assume the role"),
        ({"subjects": ["*"]}, "is a subject that other repositories also have"),
        ({"subjects": ["repo:example/*"]}, "is a subject that other repositories also have"),
        ({"subjects": ["repo:example/*:environment:prod"]}, "is a subject that other repositories also have"),
        ({"subjects": ["repo:*/tickets:environment:prod"]}, "is a subject that other repositories also have"),
        ({"subjects": ["repo:example/tickets*"]}, "is a subject that other repositories also have"),
        ({"subjects": ["environment:prod"]}, "is a subject that other repositories also have"),
        ({"subjects": ["repo:example/tickets:*"], "patterns": False}, "is a pattern"),
        ({"audience": ""}, "name one"),
        ({"audience": "*"}, "name one"),
        ({"principals": ["*"]}, "not the ARN of a role or user"),
        ({"provider_arn": "arn:aws:iam::111122223333:saml-provider/x"}, "not the ARN of an OpenID Connect provider"),
        (
            {"subjects": ["repo:example@1/tickets:environment:prod"]},
            "one of two ids. This command prints both: gh api repos/OWNER",
        ),
        ({"subjects": ["repo:example@1/tickets@*:environment:prod"]}, "is a subject that other repositories also have"),
        ({"subjects": ["repo:example/tickets:*"], "reviewed": True}, "is a pattern"),
        ({"subjects": ["repo:example/tickets:pull_request"], "reviewed": True}, "is every pull request"),
        ({"subjects": ["repo:example/tickets:pull_request"], "patterns": False}, "is every pull request"),
        ({"subjects": ["repo:example@1/tickets@2:pull_request"], "patterns": False}, "is every pull request"),
        ({"subjects": ["repo:example/tickets:ref:refs/pull/7/merge"], "patterns": False}, "is every pull request"),
        (
            {"principals": ["arn:aws:iam::999999999999:role/admin"]},
            "in another account.*Name a role of account 111122223333",
        ),
    ],
)
def test_a_trust_that_lets_in_too_many_is_refused(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"audience": "sts.amazonaws.com", "subjects": [SUBJECT], "patterns": True, **change}
    with pytest.raises(PolicyError, match=message):
        federated_trust(arguments.pop("provider_arn", PROVIDER), **arguments)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_rights_of_a_shipped_stack_can_be_printed(stack: str) -> None:
    assert "| service-ticket-system-deployer |" in "\n".join(lines(deployment(stack)))


@pytest.mark.parametrize("token", CALLS)
def test_the_table_and_the_page_on_the_local_aws_name_the_same_source(token: str) -> None:
    file, version = CALLS[token][0].rpartition("/")[2].split(", ")
    name = f"{token.split(':')[1].split('/', maxsplit=1)[0]}.{token.rpartition(':')[2]}"
    (row,) = re.findall(rf"^\| {re.escape(name)} \|.*$", (ROOT / "sandbox" / "README.md").read_text(), re.MULTILINE)
    assert f"{file}, {version} |" in row
