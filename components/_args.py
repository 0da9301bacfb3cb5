"""Shared parts of the components' constructors: location, name prefix, and the refusal of arguments."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import pulumi
import pulumi_aws as aws

from components.checks import POLICY_ARN
from components.limits import LOG_RETENTION_DAYS
from components.location import Location
from components.names import MAX_ROLE_NAME
from components.secret import Secret

Problem = tuple[str, str, str]
"""An argument, what was found, and what is allowed."""


class ArgsError(pulumi.RunError):
    """AWS would refuse arguments of a component. The message lists all of them in a table."""

    def __init__(self, component: str, name: str, problems: Sequence[Problem]) -> None:
        super().__init__(_table(component, name, problems))
        self._component, self._name, self._problems = component, name, problems

    def renamed(self, rename: Callable[[str], str]) -> str:
        """Return the message with the arguments' names in another language's spelling."""
        return _table(self._component, self._name, [(rename(key), found, rule) for key, found, rule in self._problems])


def _table(component: str, name: str, problems: Sequence[Problem]) -> str:
    widths = [max(len(row[column]) for row in problems) for column in (0, 1)]
    table = (f"  {key:<{widths[0]}}  {found:<{widths[1]}}  {rule}".rstrip() for key, found, rule in problems)
    count = f'{len(problems)} problem{"s" if len(problems) > 1 else ""} in the arguments of {component} "{name}":'
    return "\n".join([count, *table])


def refuse(component: str, name: str, problems: Iterable[Problem]) -> None:
    """Raise an error that lists the problems, if there are any.

    Raises:
        ArgsError: With every problem.
    """
    if rows := list(dict.fromkeys(problems)):
        raise ArgsError(component, name, rows)


def prefix_of(args: Mapping[str, Any], name: str) -> str:
    """Return the name prefix of a component's resources: the given one, or `<project>-<stack>-<name>`."""
    return str(args.get("prefix") or f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}")


def stack_prefix_of(args: Mapping[str, Any]) -> str:
    """Return the name prefix of a component that a stack has once: the given one, or `<project>-<stack>`."""
    return str(args.get("prefix") or f"{pulumi.get_project()}-{pulumi.get_stack()}")


def role(
    name: str,
    args: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
    *,
    role_name: str,
    trust: str,
    policy: tuple[str, pulumi.Input[str]],
    policy_resource: str = "",
    description: str | None = None,
) -> pulumi.Output[str]:
    """Create a role with one inline policy, its name and its document, and return the ARN, known once it is attached."""
    made = aws.iam.Role(
        name,
        name=role_name,
        description=description,
        assume_role_policy=trust,
        permissions_boundary=args.get("permissions_boundary"),
        opts=opts,
    )
    attached = aws.iam.RolePolicy(policy_resource or name, name=policy[0], role=made.name, policy=policy[1], opts=opts)
    return pulumi.Output.all(made.arn, attached.id).apply(lambda known: known[0])


def log_group(
    name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions, group: str
) -> "aws.cloudwatch.LogGroup":
    """Create the log group of a component, as `log_retention_in_days` and `log_kms_key_arn` say."""
    return aws.cloudwatch.LogGroup(
        name, name=group, retention_in_days=retention_days(args), kms_key_id=args.get("log_kms_key_arn"), opts=opts
    )


def location_of(args: Mapping[str, Any], component: pulumi.Resource) -> Location:
    """Return where a component creates its resources: the given location, or the provider's."""
    given = args.get("location")
    if isinstance(given, Location):
        return given
    if given:
        return Location(**given)
    opts = pulumi.InvokeOptions(parent=component)
    partition, region = aws.get_partition(opts=opts), aws.get_region(opts=opts)
    caller = aws.get_caller_identity(opts=opts)
    return Location(partition.partition, region.region, caller.account_id)


def secrets_of(given: Sequence[Secret | Mapping[str, Any]] | None) -> list[Secret]:
    """Return `Secret` objects: a program in another language passes their fields."""
    return [one if isinstance(one, Secret) else Secret(**one) for one in given or ()]


def texts(given: pulumi.Input[Sequence[pulumi.Input[str]]] | None) -> tuple[list[str], pulumi.Output[list[str]]]:
    """Return the texts that are known now, and those that only an output knows."""
    if given is None or isinstance(given, Sequence):
        known = [text for text in given or () if isinstance(text, str)]
        return known, pulumi.Output.all(*(text for text in given or () if not isinstance(text, str)))
    # An output resolves the outputs in what it holds.
    return [], pulumi.Output.from_input(cast("pulumi.Input[list[str]]", given))


def unlike(args: Mapping[str, Any], rules: Mapping[str, tuple[re.Pattern[str], str]]) -> Iterator[Problem]:
    """Yield the known arguments that AWS would refuse: by name a pattern and its meaning."""
    for key, (pattern, rule) in rules.items():
        given = args.get(key)
        for text in [given] if isinstance(given, str) else texts(given)[0]:
            if not pattern.fullmatch(text):
                yield key, f"has {text[:60]!r}", rule


def outside(args: Mapping[str, Any], ranges: Mapping[str, tuple[range, str]]) -> Iterator[Problem]:
    """Yield the numbers that AWS would refuse: by name the range and its meaning."""
    for key, (allowed, rule) in ranges.items():
        given = args.get(key)
        if given is not None and int(given) not in allowed:
            yield key, f"is {int(given)}", rule


BOUNDARY = {"permissions_boundary": (POLICY_ARN, "the ARN of a managed policy")}
"""What `unlike` checks in every component that creates a role."""


def retention_days(args: Mapping[str, Any], default: int = 30) -> int:
    """Return the retention days of a component's log group."""
    return int(args.get("log_retention_in_days", default))


def wrong_retention(args: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for retention days that CloudWatch Logs does not accept."""
    if (days := retention_days(args)) not in LOG_RETENTION_DAYS:
        yield "log_retention_in_days", f"is {days}", f"one of {', '.join(map(str, LOG_RETENTION_DAYS))}"


def long_names(prefix: str, *endings: str) -> Iterator[Problem]:
    """Yield the problem of a prefix that makes the name of a role, a rule or a function too long."""
    longest = max(endings, key=len)
    if len(prefix) + len(longest) > MAX_ROLE_NAME:
        rule = f"at most {MAX_ROLE_NAME - len(longest)}: AWS accepts {MAX_ROLE_NAME}, and {longest} follows"
        yield "prefix", f"has {len(prefix)} characters", rule
