"""`ops doctor --explain`: what ECS means when a task doesn't start.

ECS cuts texts off, so that the decisive part may be missing. Then several causes fit; they are named in the order of likelihood.
Sources: AWS, "Amazon ECS stopped task error messages", "CannotPullContainer task errors in Amazon ECS", re:Post "How do I resolve
the ResourceInitializationError error when I pull secrets", and the texts of public issues (tests/ops/corpus/stopped.toml).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from components.references import WHOLE_SECRET_ARN

DOCTOR = "python -m ops doctor"
"""The command that decides between causes: it looks at secrets, roles, keys, image, log group and network."""


@dataclass(frozen=True)
class Explanation:
    """What an error means.

    Attributes:
        cause: A stable word for programs.
        means: In a sentence.
        fix: A command and nothing else: DOCTOR where only a look at the stack tells what fixes it, "" where no command does.
        remark: What there is to know before or besides.
        otherwise: Further causes that fit, the likeliest first; empty when the text is decisive.
    """

    cause: str
    means: str
    fix: str
    remark: str = ""
    otherwise: tuple[str, ...] = ()


_REFRESH = "pulumi up --refresh"

CAUSES: dict[str, tuple[str, str, str]] = {
    # cause: what it means, the command, a remark
    "network": (
        "the task can't reach {host}: no route, no endpoint, a closed security group or a DNS failure",
        DOCTOR,
        (
            "a private subnet needs a NAT gateway, or VPC endpoints (secretsmanager, ecr.api, ecr.dkr, logs, s3) whose "
            "security group lets the task in on 443; a public subnet needs assignPublicIp=ENABLED; the doctor's check `network` "
            "tells which is missing"
        ),
    ),
    "json-key": (
        "the secret's JSON has no key {key}",
        "python -m ops set {secret} --key {key}",
        "or the catalogue names a wrong key",
    ),
    "not-json": (
        "the variable takes a JSON key, but the secret's value is no flat JSON object",
        DOCTOR,
        "the doctor names the secret; python -m ops set gives it another value",
    ),
    "malformed-arn": (
        "a valueFrom is malformed: it takes the ARN alone, or ARN:key:stage:version with all its colons",
        _REFRESH,
        "the doctor names the variable",
    ),
    "explicit-deny": (
        "a policy forbids it, whatever others allow: the secret's resource policy, a permissions boundary or an SCP",
        DOCTOR,
        "the doctor names the statement, unless it is in a service control policy",
    ),
    "resource-policy": (
        "the secret belongs to another account, whose policy on the secret doesn't let the execution role read it",
        "aws secretsmanager get-resource-policy --secret-id {secret}",
        "the secret's owner must allow the role in the secret's policy and in the key's policy",
    ),
    "key-access": (
        "the execution role may not decrypt with the secret's customer-managed key",
        _REFRESH,
        "the doctor checks kms:Decrypt in the role's and in the key's policy",
    ),
    "key-state": (
        "the secret's KMS key is disabled or about to be deleted",
        DOCTOR,
        "the doctor names the key and the command that enables it",
    ),
    "parameter": (
        "ECS takes a valueFrom for a parameter of SSM, because it is no ARN of a secret",
        _REFRESH,
        "the doctor names the variable",
    ),
    "permission": (
        "the execution role may not read the secret: its policy lacks exactly this ARN",
        _REFRESH,
        "an ARN without its last hyphen and six characters matches no policy that has them",
    ),
    "no-value": (
        "the secret exists, but has no value at that staging label",
        "python -m ops set {secret}",
        "an External secret gets its value that way",
    ),
    "pending-deletion": (
        "the secret is marked for deletion",
        "aws secretsmanager restore-secret --secret-id {secret}",
        "all at once: python -m ops recover",
    ),
    "service-linked-role": (
        "the account has no service-linked role for ECS, which it makes at its first cluster",
        "aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com",
        "",
    ),
    "assume-role": (
        "ECS can't assume a role of the task: it doesn't exist, doesn't trust ecs-tasks.amazonaws.com, or was made seconds ago",
        DOCTOR,
        "after a first deployment wait a minute; who starts the task needs iam:PassRole",
    ),
    "architecture": (
        "the image isn't built for the processor that cpuArchitecture names; no secret is at fault",
        "docker buildx build --platform linux/amd64,linux/arm64 --push -t {image} .",
        "or pulumi config set cpuArchitecture ARM64 (or X86_64), then pulumi up",
    ),
    "disk": (
        "the image doesn't fit on the task's disk (20 GiB on Fargate); no secret is at fault",
        "",
        "make the image smaller; on EC2 clean the instance's disk (docker system prune)",
    ),
    "volume": (
        "a volume can't be mounted (EFS: mount target, DNS, security group on 2049, directory); no secret is at fault",
        "",
        "this program's task definitions have no volume: the task runs another one",
    ),
    "command": (
        (
            "the container's command isn't in the image: a wrong path, a script's missing interpreter, Windows line ends, or a "
            "volume mounted over it; no secret is at fault"
        ),
        "docker run --rm --entrypoint ls {image} -l /",
        "this program sets the command that the configuration's `command` names, else the image's own",
    ),
    "registry-credentials": (
        "a registry outside ECR wants a sign-in: the credentials are missing, wrong, or can't be read",
        DOCTOR,
        "this program pulls without repositoryCredentials: push the image to ECR, or make the repository public",
    ),
    "pull-limit": (
        "the registry refuses more pulls for now (Docker Hub counts them by address); no secret is at fault",
        "",
        "pull from ECR: a copy, public.ecr.aws/docker/library, or a pull-through cache",
    ),
    "image-missing": (
        "the registry has no such repository, tag or digest; no secret is at fault",
        "docker push {image}",
        "or the name of the image is wrong: pulumi config set image NAME:TAG",
    ),
    "registry": (
        "the image can't be pulled: the execution role or the repository's policy doesn't allow it; no secret is at fault",
        DOCTOR,
        "the doctor checks image and role",
    ),
    "log-driver": (
        (
            "the log driver can't start: the log group is missing, its options are wrong, or the role may not write to it; no "
            "secret is at fault"
        ),
        _REFRESH,
        "the doctor checks the log group",
    ),
    "missing": (
        "the secret doesn't exist under that ARN: deleted, another Region, another account, or a wrong last part",
        DOCTOR,
        "the doctor compares the task definition with the stack",
    ),
    "throttled": (
        "AWS throttled the read: many tasks start at once",
        DOCTOR,
        "nothing is broken: ECS tries again; start fewer at a time",
    ),
    "memory": (
        "the container used more memory than it has; no secret is at fault",
        "",
        "give it more: pulumi config set memory MIB, then pulumi up",
    ),
    "capacity": (
        "ECS finds no place for the task: no container instance that fits, or no Fargate capacity in the zone",
        "",
        "this program's tasks are for Fargate: start them with that launch type, in several zones",
    ),
    "application": (
        "the secrets were read and the container started, then the application ended or failed its health check",
        "",
        "read its log, whose group is the output log_group_name; a wrong password shows there",
    ),
}

_SIGNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    # The first that fits decides. Others' texts stand inside errors of the network, so that these come early.
    ("log-driver", ("credentialsendpointerror",)),
    ("volume", ("efs utils", "efs volumes", "mount.nfs4", "rootfs_linux.go")),
    (
        "network",
        (
            "connection issue between the task and",
            "dial tcp",
            "i/o timeout",
            "tls handshake timeout",
            "context deadline exceeded",
            "requestcanceled",
            "send request failed",
            "client.timeout exceeded",
            "request canceled while waiting for connection",
            "no such host",
            "connection refused",
            "could not reach any registry endpoint",
        ),
    ),
    ("json-key", ("did not contain json key",)),
    ("not-json", ("invalid character", "unexpected end of json", "cannot unmarshal")),
    (
        "malformed-arn",
        (
            "invalid arn format",
            "unexpected arn format",
            "arn: invalid prefix",
            "invalid secretsmanager arn",
            "getsecretvalueinput.versionid",
        ),
    ),
    ("explicit-deny", ("with an explicit deny",)),
    ("resource-policy", ("no resource-based policy allows the secretsmanager",)),
    ("key-access", ("access to kms is not allowed", "not authorized to perform: kms:decrypt", "kmsaccessdenied")),
    ("key-state", ("is pending deletion", "kmsinvalidstate", "is disabled")),
    ("parameter", ("not authorized to perform: ssm:getparameter", "invalid ssm parameters", "ssm parameter store")),
    ("permission", ("not authorized to perform: secretsmanager", "not authorized to perform secretsmanager")),
    ("no-value", ("can't find the specified secret value", "staging label:")),
    ("pending-deletion", ("marked for deletion", "marked deleted", "scheduled for deletion")),
    ("service-linked-role", ("unable to assume the service linked role",)),
    (
        "assume-role",
        ("unable to assume the role", "unable to assume role", "not authorized to perform: sts:assumerole"),
    ),
    (
        "architecture",
        (
            "descriptor matching platform",
            "descriptor for platform",
            "no matching manifest for",
            "no match for platform",
            "exec format error",
        ),
    ),
    ("disk", ("no space left on device", "free data blocks")),
    ("memory", ("outofmemory", "oomkilled", "oom-killed")),
    ("log-driver", ("initialize logging driver", "log group does not exist", "failed to validate logger args")),
    (
        "pull-limit",
        ("toomanyrequests", "pull rate limit", "429 too many requests", "unexpected status code https://registry-1"),
    ),
    ("throttled", ("throttlingexception", "rate exceeded")),
    ("missing", ("the task can't retrieve the secret with arn", "can't find the specified secret.")),
    (
        "registry-credentials",
        (
            "pull access denied",
            "fetch anonymous token",
            "no basic auth credentials",
            "authentication required",
            "incorrect username or password",
        ),
    ),
    ("registry", ("403 forbidden", "not authorized to perform: ecr")),
    ("image-missing", ("failed to normalize image reference",)),
    (
        "command",
        ("executable file not found", 'exec: "', 'caused "exec:', "exec /", "starting container process caused: exec"),
    ),
    ("capacity", ("no container instance", "capacity is unavailable", "resource:cpu", "resource:memory")),
)

_LATER: tuple[tuple[str, tuple[str, ...]], ...] = (
    # Wrappers of the above, which say something only when they stand alone.
    (
        "application",
        (
            "essential container in task exited",
            "failed elb health checks",
            "failed container health checks",
            "is unhealthy in (target-group",
        ),
    ),
)

_READ = ("permission", "missing", "no-value", "key-access", "explicit-deny", "pending-deletion")
_NO_ANSWER = re.compile(r"retried ([2-9]|\d\d) time")

_UNDECIDED: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    # What the text still holds; the causes when AWS gave no answer (several attempts), and when it did (one attempt).
    ("resourcenotfoundexception", ("missing", "no-value"), ("missing", "no-value")),
    ("invalidrequestexception", ("pending-deletion",), ("pending-deletion",)),
    ("unable to get registry auth from asm", ("network", "registry-credentials"), ("registry-credentials", "network")),
    ("ecr registry auth", ("network", "registry"), ("registry", "network")),
    ("secrets from ssm", ("network", "parameter"), ("parameter", "network")),
    ("accessdeniedexception", _READ[:1] + _READ[3:5], ("permission", "key-access", "explicit-deny", "resource-policy")),
    ("failed to fetch secret", ("network", "throttled", *_READ), (*_READ, "network")),
    (
        "retrieve secret from asm",
        ("network", "throttled", *_READ),
        (*_READ, "json-key", "not-json", "malformed-arn", "network"),
    ),
    ("unable to pull secrets or registry auth", ("network", "permission"), ("network", "permission", "registry")),
    (
        "failed to resolve ref",
        ("network", "image-missing", "registry"),
        ("image-missing", "registry", "registry-credentials", "network"),
    ),
    (
        "cannotpull",
        ("network", "registry", "image-missing"),
        ("image-missing", "registry", "registry-credentials", "network"),
    ),
    ("cannotstartcontainererror", ("command", "architecture", "volume"), ("command", "architecture", "volume")),
)

_NOT_FOUND = re.compile(r"(manifest|tag|image|repository|ref|reference)\b.{0,250}?(not found|unknown)")

_DENIALS = {
    "permission": ("explicit-deny", "resource-policy"),
}
"""What else a text may mean that is cut off after its sign: the reason of a denial stands at its end."""

_KEY = re.compile(r"json key\s*:?\s*[\"'`]?([^\s\"'`:,]+)", re.IGNORECASE)
_HOST = re.compile(r"(?:https?://|dial tcp: lookup |lookup )([a-z0-9.-]+\.[a-z]{2,})", re.IGNORECASE)
_IMAGE = re.compile(r"([a-z0-9.-]+\.[a-z]+/[a-z0-9._/-]+:[\w.-]+)")
_CUT = re.compile(r"(\.\.\.+|\N{HORIZONTAL ELLIPSIS})['\"]?$")
_WORDS_CUT = 8
"""Letters that a cut-off sign must still have."""


def explain(text: str) -> Explanation | None:
    """Return what an error of a task that did not start means, None when it is not known."""
    plain = " ".join(text.split()).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    cut = _CUT.search(plain)
    lower = plain[: cut.start()].lower() if cut else plain.lower()
    causes = _causes(lower, cut=cut is not None)
    if not causes:
        return None
    return _explanation(causes[0], plain, tuple(causes[1:]), cut=cut is not None)


def _causes(lower: str, *, cut: bool) -> list[str]:
    """Return the causes that fit, the likeliest first."""
    for cause, signs in _SIGNS:
        if any(sign in lower for sign in signs):
            return [cause, *(_DENIALS.get(cause, ()) if cut and "because" not in lower else ())]
    if "cannotpull" in lower and _NOT_FOUND.search(lower):
        return ["image-missing"]
    if cut:
        for cause, signs in _SIGNS:
            if _ends_in_part(lower, signs):
                return [cause]
    no_answer = bool(_NO_ANSWER.search(lower))
    for part, without_answer, answered in _UNDECIDED:
        if part in lower:
            return list(without_answer if no_answer else answered)
    return [cause for cause, signs in _LATER if any(sign in lower for sign in signs)]


def _ends_in_part(lower: str, signs: Iterable[str]) -> bool:
    """Tell whether a text ends in the beginning of a sign."""
    return any(
        lower.endswith(sign[:length]) for sign in signs for length in range(_WORDS_CUT, len(sign)) if len(sign) > length
    )


def _explanation(cause: str, plain: str, otherwise: tuple[str, ...], *, cut: bool) -> Explanation:
    means, fix, remark = CAUSES[cause]
    arn, key, host, image = (p.search(plain) for p in (WHOLE_SECRET_ARN, _KEY, _HOST, _IMAGE))
    pulls = "cannotpull" in plain.lower()
    known = {
        "secret": arn[0] if arn and not (cut and plain.rstrip(".").endswith(arn[0])) else "",
        "key": key[1].rstrip(".") if key else "",
        "image": image[1] if image and pulls else "",
    }
    gaps = any(f"{{{name}}}" in fix and not found for name, found in known.items())
    if otherwise or gaps:  # a command with a gap is none
        fix = "" if fix.startswith("docker") and not otherwise else DOCTOR
    host_name = host[1] if host else "the image's registry" if pulls else "AWS Secrets Manager"
    filled = {**known, "key": known["key"] or "of that name", "host": host_name}
    return Explanation(cause, means.format_map(filled), fix.format_map(filled), remark, otherwise)
