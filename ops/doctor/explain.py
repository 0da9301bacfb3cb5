"""`ops doctor --explain`: what ECS means when a task doesn't start.

Sources: AWS, "Amazon ECS stopped task error messages" and "Resolve ResourceInitializationError"; facts.md.
"""

import re
from dataclasses import dataclass

from model.references import SECRET_ARN


@dataclass(frozen=True)
class Explanation:
    """What an error means.

    Attributes:
        cause: A stable word for programs.
        means: In a sentence.
        mend: What to do, with commands.
    """

    cause: str
    means: str
    mend: str


_DOCTOR = "python -m ops doctor"
_NETWORK = (
    "connection issue between the task and",
    "dial tcp",
    "i/o timeout",
    "tls handshake timeout",
    "context deadline exceeded",
    "client.timeout exceeded",
    "request canceled while waiting for connection",
    "no such host",
    "connection refused",
)

_MEND_NETWORK = (
    "a private subnet needs a NAT gateway, or VPC endpoints (secretsmanager, kms, ecr.api, ecr.dkr, logs, s3) whose security "
    "group lets the task in on 443; a public subnet needs assignPublicIp=ENABLED: aws ec2 describe-vpc-endpoints"
)

_KNOWN: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    # The network comes first: its errors also mention the secret's ARN or the registry, which are not at fault.
    (
        "network",
        _NETWORK,
        "the task can't reach {host}: no route, no endpoint, a closed security group or a DNS failure",
        "{network}",
    ),
    (
        "json-key",
        ("did not contain json key",),
        "the secret's JSON has no key {key}",
        "python -m ops set {secret} --key {key}, or correct the variable in catalogue.py; {doctor}",
    ),
    (
        "not-json",
        ("invalid character", "unexpected end of json", "cannot unmarshal"),
        "the variable takes a JSON key, but the secret's value is no flat JSON object",
        "{doctor} names the secret; python -m ops set {secret}",
    ),
    (
        "malformed-arn",
        ("invalid arn format", "unexpected arn format", "arn: invalid prefix", "invalid secretsmanager arn"),
        "a valueFrom is malformed: it takes the ARN alone, or ARN:key:stage:version with all its colons",
        "{doctor} names the variable; pulumi up --refresh",
    ),
    (
        "explicit-deny",
        ("with an explicit deny",),
        "a policy forbids it, whatever others allow: the secret's resource policy, a permissions boundary or an SCP",
        "{doctor} names the statement; aws secretsmanager get-resource-policy --secret-id {secret}",
    ),
    (
        "key-access",
        ("access to kms is not allowed", "not authorized to perform: kms:decrypt", "kmsaccessdenied"),
        "the execution role may not decrypt with the secret's customer-managed key",
        "{doctor} checks kms:Decrypt in the role's and the key's policy; pulumi up --refresh",
    ),
    (
        "key-state",
        ("is pending deletion", "kmsinvalidstate", "is disabled"),
        "the secret's KMS key is disabled or about to be deleted",
        "aws kms enable-key --key-id KEY (pending deletion: aws kms cancel-key-deletion first)",
    ),
    (
        "parameter",
        ("not authorized to perform: ssm:getparameters", "unable to retrieve secrets from ssm"),
        "ECS takes a valueFrom for a parameter of SSM, because it is no ARN of a secret",
        "{doctor} names the variable; pulumi up --refresh",
    ),
    (
        "permission",
        ("is not authorized to perform: secretsmanager:getsecretvalue", "not authorized to perform: secretsmanager"),
        "the execution role may not read the secret: its policy lacks exactly this ARN",
        "{doctor}; pulumi up --refresh",
    ),
    (
        "no-value",
        (
            "staging label: awscurrent",
            "staging label: awsprevious",
            "can't find the specified secret value",
            "staging label:",
        ),
        "the secret exists, but has no value at that staging label",
        "python -m ops set {secret} (an External secret gets its value that way); {doctor}",
    ),
    (
        "pending-deletion",
        ("marked for deletion", "marked deleted", "scheduled for deletion"),
        "the secret is marked for deletion",
        "aws secretsmanager restore-secret --secret-id {secret}",
    ),
    (
        "assume-role",
        ("unable to assume the role", "unable to assume role", "is not authorized to perform: sts:assumerole"),
        "ECS can't assume the execution role: it doesn't exist, doesn't trust ecs-tasks.amazonaws.com, or was made seconds ago",
        "{doctor} checks the trust policy; wait a minute after a first deployment",
    ),
    (
        "registry",
        (
            "ecr registry auth",
            "cannotpullcontainererror",
            "cannotpullecrcontainererror",
            "pull access denied",
            "manifest unknown",
        ),
        "the image can't be pulled; no secret is at fault",
        "{doctor} checks image and role",
    ),
    (
        "log-driver",
        ("initialize logging driver", "log group does not exist", "failed to validate logger args"),
        "the log driver can't start: the log group is missing or the role may not write to it; no secret is at fault",
        "{doctor} checks the log group; pulumi up --refresh",
    ),
    (
        "missing",
        (
            "the task can't retrieve the secret with arn",
            "can't find the specified secret",
            "resourcenotfoundexception",
        ),
        "the secret doesn't exist under that ARN: deleted, another Region, another account, or a wrong last part",
        "{doctor} compares the task definition with the stack",
    ),
    (
        "throttled",
        ("throttlingexception", "rate exceeded", "toomanyrequests"),
        "AWS throttled the read: many tasks start at once",
        "nothing is broken: ECS tries again; start fewer at a time",
    ),
    (
        "architecture",
        ("exec format error",),
        "the image is made for another processor than cpuArchitecture says; no secret is at fault",
        "pulumi config set cpuArchitecture ARM64 (or X86_64), then pulumi up",
    ),
    (
        "memory",
        ("outofmemory", "oomkilled"),
        "the container used more memory than it has; no secret is at fault",
        "pulumi config set memory MIB, then pulumi up",
    ),
    (
        "application",
        ("essential container in task exited", "task failed elb health checks", "task failed container health checks"),
        "the secrets were read and the container started, then the application ended or failed its health check",
        "read its log: aws logs tail LOG-GROUP --since 1h; a wrong password shows there",
    ),
)

_KEY = re.compile(r"json key\s*:?\s*[\"'`]?([^\s\"'`:,]+)", re.IGNORECASE)
_HOST = re.compile(r"(?:https?://|dial tcp: lookup |lookup )([a-z0-9.-]+\.[a-z]{2,})", re.IGNORECASE)


def explain(text: str) -> Explanation | None:
    """Return what an error of a task that did not start means, None when it is not known."""
    plain = " ".join(text.split()).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    lower = plain.lower()
    for cause, parts, means, mend in _KNOWN:
        if any(part in lower for part in parts):
            arn, key, host = SECRET_ARN.search(plain), _KEY.search(plain), _HOST.search(plain)
            filled = {
                "secret": arn[0].rstrip(".") if arn else "NAME",
                "key": key[1].rstrip(".") if key else "KEY",
                "host": host[1] if host else "the image's registry" if "cannotpull" in lower else "AWS Secrets Manager",
                "doctor": _DOCTOR,
                "network": _MEND_NETWORK,
            }
            return Explanation(cause, means.format_map(filled), mend.format_map(filled))
    return None
