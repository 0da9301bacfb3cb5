"""The names of a stack's resources, defined once.

Names are fixed, so that policies can name resources that do not exist yet, and an interrupted `up` finds what it created.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from components.location import Location

MAX_ROLE_NAME = 64
"""Characters. Source: AWS, "IAM and AWS STS quotas". EventBridge rules, schedules and Lambda functions have the same limit."""

MAX_BUCKET_NAME = 63
"""Characters. Source: AWS, "Bucket naming rules"."""

_LONGEST_SERVICE_ENDING = "-redeploy-start"
_DIGEST_CHARACTERS = 8

EXECUTION_POLICY = "execution"
"""The execution role's inline policy."""


def key_description(prefix: str) -> str:
    """Return the description that identifies the stack's own KMS key, because a key has no name."""
    return f"Secrets, logs and topics of {prefix}"


def rotation_name(prefix: str) -> str:
    """Return the name of the rotation function and its role."""
    return f"{prefix}-rotation"


def rotation_log_group(prefix: str) -> str:
    """Return the rotation function's log group."""
    return f"/aws/lambda/{rotation_name(prefix)}"


@dataclass(frozen=True)
class ServiceNames:
    """The names of one service's resources.

    Attributes:
        family: The task definition's family: `<project>-<stack>-<service>`.
    """

    family: str

    @property
    def execution_role(self) -> str:
        """The role that ECS assumes to start a task."""
        return f"{self.family}-execution"

    @property
    def task_role(self) -> str:
        """The role of the running application."""
        return f"{self.family}-task"

    @property
    def log_group(self) -> str:
        """Where the container writes its log."""
        return f"/ecs/{self.family}"

    @property
    def redeploy(self) -> str:
        """The name of the state machine that starts a deployment and of its role, and the prefix of its alarms."""
        return f"{self.family}-redeploy"

    @property
    def redeploy_log_group(self) -> str:
        """Where that state machine logs its errors.

        The prefix is AWS's for logs that a service delivers, so no resource policy has to name the group. Source: AWS, "Amazon
        CloudWatch Logs resource policy size restrictions" of Step Functions.
        """
        return f"/aws/vendedlogs/states/{self.redeploy}"

    @property
    def redeploy_start(self) -> str:
        """The role with which EventBridge starts that state machine."""
        return f"{self.family}{_LONGEST_SERVICE_ENDING}"

    def changed_rule(self, number: int | str) -> str:
        """Return the rule that sees a new value of one of the service's secrets."""
        return f"{self.family}-changed-{number}"

    @property
    def failed_rule(self) -> str:
        """The rule that reports a deployment that ECS gave up."""
        return f"{self.family}-failed"

    def read_policy(self, number: int) -> str:
        """Return a managed policy of the execution role, for secrets that do not fit into the inline policy."""
        return f"{self.execution_role}-read-{number}"

    def is_own_execution_policy(self, name: str) -> bool:
        """Return whether the program created the execution role's policy of that name, inline or managed."""
        return name == EXECUTION_POLICY or name.startswith(f"{self.execution_role}-read-")


@dataclass(frozen=True)
class AuditNames:
    """The names of the audit's resources, known before they exist, so that a key's policy can name them.

    Attributes:
        prefix: `<project>-<stack>`.
        location: The stack's account and Region.
    """

    prefix: str
    location: Location

    @property
    def trail(self) -> str:
        """The trail's name."""
        return self.prefix

    @property
    def trail_arn(self) -> str:
        """The trail's ARN."""
        return self.location.arn("cloudtrail", f"trail/{self.trail}")

    @property
    def log_group(self) -> str:
        """The log group that the trail writes to."""
        return f"/aws/cloudtrail/{self.prefix}"

    @property
    def topic(self) -> str:
        """The topic that alarms and notices are published to."""
        return f"{self.prefix}-alarms"

    @property
    def topic_arn(self) -> str:
        """The topic's ARN."""
        return self.location.arn("sns", self.topic)

    @property
    def bucket(self) -> str:
        """The trail's bucket: a name that no other account, Region or stack has."""
        plain = re.sub(r"[^a-z0-9-]+", "-", self.prefix.lower()).strip("-")
        return _fitted(plain, f"-trail-{self.location.account_id}-{self.location.region}", MAX_BUCKET_NAME)

    @property
    def role(self) -> str:
        """The role by which CloudTrail writes to the log group."""
        return _fitted(self.prefix, "-trail", MAX_ROLE_NAME)

    @property
    def dashboard(self) -> str:
        """The dashboard."""
        return re.sub(r"[^A-Za-z0-9_-]", "-", f"{self.prefix}-audit")


@dataclass(frozen=True)
class Names:
    """The names of a stack's resources.

    Attributes:
        project: The Pulumi project's name.
        stack: The stack's name.
    """

    project: str
    stack: str

    @property
    def prefix(self) -> str:
        """The prefix of every name; also the name of the trail and of the key's alias."""
        return f"{self.project}-{self.stack}"

    @property
    def deployer(self) -> str:
        """The role of account/ that deploys the stack. Its name lacks the stack: it is never one of the stack's roles."""
        return f"{self.project}-deployer"

    def secret(self, name: str) -> str:
        """Return a secret's full name by its name in the catalogue."""
        return f"{self.prefix}-{name}"

    def service(self, name: str) -> ServiceNames:
        """Return the names of one service's resources."""
        return ServiceNames(f"{self.prefix}-{name}")

    def audit(self, location: Location) -> AuditNames:
        """Return the names of the audit's resources."""
        return AuditNames(self.prefix, location)

    @property
    def rotation(self) -> str:
        """The rotation function and its role."""
        return rotation_name(self.prefix)

    @property
    def rotation_log_group(self) -> str:
        """The rotation function's log."""
        return rotation_log_group(self.prefix)

    def problems(self, services: Iterable[str]) -> Iterator[tuple[str, str, str]]:
        """Yield problems that AWS reports only when half of the stack exists: subject, what was found, what is allowed."""
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.prefix):
            yield (
                "stack",
                "has a name that AWS accepts neither for an alias nor for a topic",
                "letters, digits, _ and -",
            )
        longest = max(services, key=len, default="")
        ending = max(f"-{longest}{_LONGEST_SERVICE_ENDING}", "-rotation", key=len)
        over = len(self.prefix) + len(ending) - MAX_ROLE_NAME
        if over > 0:
            # The first one that can be shortened enough.
            lengths = {"stack": len(self.stack), "project": len(self.project), f"service {longest[:20]}": len(longest)}
            ends = f"a role's name has at most {MAX_ROLE_NAME}, with {ending} at its end"
            for subject, length in lengths.items():
                if length > over:
                    yield subject, f"has a name of {length} characters", f"at most {length - over}: {ends}"
                    return
            room = MAX_ROLE_NAME - len(ending) - len("-")
            yield (
                "project",
                f"and stack have names of {len(self.prefix) - 1} characters",
                f"together at most {room}: {ends}",
            )


def _fitted(start: str, end: str, limit: int) -> str:
    """Return `start + end`, with the start shortened and made distinct by a digest where the whole is too long."""
    if len(start) + len(end) <= limit:
        return start + end
    digest = hashlib.sha256(start.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{start[: limit - len(end) - _DIGEST_CHARACTERS - 1]}-{digest}{end}"
