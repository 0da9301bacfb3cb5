"""The task execution role: it reads the secrets when a task starts, and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import _args
from components.checks import KEY_ARN, REGION
from components.errors import readable
from components.location import Location, in_region, region_of
from components.names import EXECUTION_POLICY, ServiceNames
from components.policies import identity
from components.references import WHOLE_SECRET_ARN
from components.secret import Secret, arn_length


class ExecutionRoleArgs(TypedDict):
    """What an execution role reads, pulls and writes."""

    reads: NotRequired[Sequence[Secret]]
    """The secrets that the tasks reference, as a whole: IAM can't grant single JSON keys. Their KMS keys are granted with
    them."""
    secret_arns: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Full ARNs of further secrets that the tasks reference."""
    kms_key_arns: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """ARNs of the customer-managed keys of `secret_arns`. The role can decrypt with them only through Secrets Manager."""
    images: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """The containers' images. The role can pull those in Amazon ECR."""
    log_group_name: NotRequired[pulumi.Input[str]]
    """The log group that the tasks write to. Default: `/ecs/<prefix>`."""
    replica_regions: NotRequired[Sequence[str]]
    """Regions whose replicas of the secrets in `reads` the role can also read. Default: none."""
    replica_kms_keys: NotRequired[Mapping[str, str]]
    """ARNs of the replicas' customer-managed keys by Region. Default: none."""
    bind_trust_to_account: NotRequired[bool]
    """Whether ECS can assume the role only for this account's tasks. Default: true."""
    permissions_boundary: NotRequired[pulumi.Input[str]]
    """ARN of the role's permissions boundary. Default: none."""
    prefix: NotRequired[str]
    """The name prefix of the role and its policies, at most 54 characters. Default: `<project>-<stack>-<name>`."""
    location: NotRequired[Location]
    """The account and Region. Default: the provider's."""


class ExecutionRole(pulumi.ComponentResource):
    """The role that ECS assumes to start a task: it reads the task's secrets, pulls its image and writes its log.

    Source: AWS, "Amazon ECS task execution IAM role".
    """

    arn: pulumi.Output[str]
    """The role's ARN, known once its policies are attached: a task definition that names it can start tasks."""
    role_name: pulumi.Output[str]
    """The role's name."""

    def __init__(self, name: str, args: ExecutionRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the role.

        Raises:
            ArgsError: When AWS would refuse an argument.
            pulumi.RunError: When the secrets' ARNs do not fit in the policies that AWS allows a role.
        """
        super().__init__("ecs-secrets:index:ExecutionRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        location = _args.location_of(args, self)
        names = ServiceNames(_args.prefix_of(args, name))
        reads = _args.secrets_of(args.get("reads"))
        known_arns, later_arns = _args.texts(args.get("secret_arns"))
        _args.refuse("ExecutionRole", name, _problems(args, names, location, reads))

        regions = (location.region, *args.get("replica_regions", ()))
        granted = _Granted(args, location, names, reads)
        # A foreign secret can have the same name as one of the stack's.
        by_key = {one.arn if isinstance(one.arn, str) else one.full_name: one for one in reads}
        lengths = {key: _characters(secret, location, regions) for key, secret in by_key.items()}
        with readable():
            plan = identity.plan_reads(
                lengths | {arn: len(arn) for arn in known_arns},
                inline_characters_left=identity.INLINE_POLICY_CHARACTERS - granted.reserved_characters(),
            )
        role = aws.iam.Role(
            name,
            name=names.execution_role,
            description="Starts the tasks: reads their secrets, pulls their image, writes their log",
            assume_role_policy=_trust(location, bound=args.get("bind_trust_to_account", True)),
            permissions_boundary=args.get("permissions_boundary"),
            opts=child,
        )

        def arns(planned: Sequence[str]) -> pulumi.Output[list[str]]:
            whole = [by_key[one].arn if one in by_key else one for one in planned]
            replicated = [one in by_key and not by_key[one].is_foreign for one in planned]
            return pulumi.Output.all(*whole).apply(
                lambda known: [
                    in_region(arn, region) if everywhere else arn
                    for arn, everywhere in zip(known, replicated, strict=True)
                    for region in (regions if everywhere else regions[:1])
                ]
            )

        inline = pulumi.Output.all(arns(plan.inline), later_arns, granted.statements()).apply(
            lambda known: _inline_policy([*known[0], *known[1]], known[2])
        )
        attached: list[pulumi.Output[str]] = [
            aws.iam.RolePolicy(name, name=EXECUTION_POLICY, role=role.name, policy=inline, opts=child).id
        ]
        for number, group in enumerate(plan.managed, start=1):
            policy = aws.iam.Policy(
                f"{name}-read-{number}",
                name=names.read_policy(number),
                policy=arns(group).apply(lambda known: identity.document([identity.read_secrets(known)])),
                opts=child,
            )
            attachment = aws.iam.RolePolicyAttachment(
                f"{name}-read-{number}", role=role.name, policy_arn=policy.arn, opts=child
            )
            attached.append(attachment.id)

        self.arn = pulumi.Output.all(role.arn, *attached).apply(lambda known: known[0])
        self.role_name = role.name
        self.register_outputs({"arn": self.arn, "role_name": self.role_name})


class _Granted:
    """The role's permissions besides reading the secrets."""

    def __init__(
        self, args: ExecutionRoleArgs, location: Location, names: ServiceNames, reads: Sequence[Secret]
    ) -> None:
        self._location = location
        self._log_group = args.get("log_group_name", names.log_group)
        self._images = _args.texts(args.get("images"))
        known_keys, self._later_keys = _args.texts(args.get("kms_key_arns"))
        self._keys = list(dict.fromkeys([*(s.kms_key_arn for s in reads if s.kms_key_arn is not None), *known_keys]))
        if any(not secret.is_foreign for secret in reads):
            regions = args.get("replica_regions", ())
            self._keys += [key for region, key in args.get("replica_kms_keys", {}).items() if region in regions]

    def statements(self) -> pulumi.Output[list[identity.Statement]]:
        """Return the statements, those for the keys first."""
        known_images, later_images = self._images
        keys = pulumi.Output.all(*self._keys)
        return pulumi.Output.all(keys, self._later_keys, self._log_group, later_images).apply(
            lambda known: self._of([*known[0], *known[1]], known[2], [*known_images, *known[3]])
        )

    def reserved_characters(self) -> int:
        """Return the length of the statements in characters; an ARN that is not known yet has the length of its kind."""
        here = self._location.arn("kms", "key/" + "0" * 36)
        keys = [key if isinstance(key, str) else f"{here[:-2]}{number:02}" for number, key in enumerate(self._keys)]
        log_group = self._log_group if isinstance(self._log_group, str) else "x" * 512
        return len(identity.document(self._of(keys, log_group, self._images[0])))

    def _of(self, keys: Sequence[str], log_group: str, images: Sequence[str]) -> list[identity.Statement]:
        location, by_region = self._location, dict[str, list[str]]()
        for key in keys:
            by_region.setdefault(region_of(key), []).append(key)
        repositories = {found for image in images if (found := location.ecr_repository_arn(image))}
        return [
            *(
                identity.decrypt_through_secrets_manager(arns, replace(location, region=region))
                for region, arns in sorted(by_region.items())
            ),
            identity.write_logs(location.log_group_arn(log_group)),
            *(identity.pull_image(*sorted(repositories)) if repositories else ()),
        ]


def _inline_policy(arns: Sequence[str], others: Sequence[identity.Statement]) -> str:
    policy = identity.document([*([identity.read_secrets(arns)] if arns else []), *others])
    if len(policy) > identity.INLINE_POLICY_CHARACTERS:
        raise pulumi.RunError(
            f"the execution role's policy has {len(policy):,} characters, AWS accepts {identity.INLINE_POLICY_CHARACTERS:,}: "
            "pass the secrets as `reads`, which spread over several policies, or group values in JSON secrets"
        )
    return policy


def _trust(location: Location, *, bound: bool) -> str:
    return identity.trust(
        "ecs-tasks.amazonaws.com",
        account_id=location.account_id if bound else None,
        source_arn=location.arn("ecs", "*") if bound else None,
    )


_RULES = {
    **_args.BOUNDARY,
    "secret_arns": (WHOLE_SECRET_ARN, "full ARNs of secrets, with the six characters at their end"),
    "kms_key_arns": (KEY_ARN, "ARNs of keys: arn:...:kms:REGION:ACCOUNT:key/ID"),
}


def _problems(
    args: ExecutionRoleArgs, names: ServiceNames, location: Location, reads: Sequence[Secret]
) -> Iterator[_args.Problem]:
    yield from _args.long_names(names.family, names.execution_role.removeprefix(names.family))
    for secret in reads:
        if isinstance(secret.arn, str) and not WHOLE_SECRET_ARN.fullmatch(secret.arn):
            yield "reads", f"{secret.name} has the ARN {secret.arn[:60]!r}", "the full ARN of a secret"
    yield from _args.unlike(args, _RULES)
    regions = args.get("replica_regions", ())
    for region in regions:
        if region == location.region or not REGION.fullmatch(region):
            yield "replica_regions", f"has {region!r}", f"Regions other than {location.region}"
    for region, key in args.get("replica_kms_keys", {}).items():
        if region not in regions:
            yield "replica_kms_keys", f"has {region!r}", "a Region of replica_regions"
        elif not KEY_ARN.fullmatch(key) or region_of(key) != region:
            yield "replica_kms_keys", f"{region} has {key[:60]!r}", "the ARN of a key in that Region"


def _characters(secret: Secret, location: Location, regions: Sequence[str]) -> int:
    """Return the length of a secret's ARNs in a policy, those of its replicas included."""
    length = arn_length(secret, location.partition, location.account_id)
    if secret.is_foreign:
        return length
    return sum(length + len(region) - len(location.region) for region in regions) + len('"",') * (len(regions) - 1)
