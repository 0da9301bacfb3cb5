"""The task execution role: who may read the secrets when a task starts, and nothing else."""

from collections.abc import Collection, Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.errors import readable
from components.location import Location, in_region
from components.names import EXECUTION_POLICY, ServiceNames
from components.policies import identity


class ExecutionRole(pulumi.ComponentResource):
    """The role that ECS assumes to start a task: it reads the task's secrets, pulls its image and writes its log.

    Attributes:
        arn: The role's ARN, known once its policies are attached: a task definition made from it can start tasks.

    Source: AWS, "Amazon ECS task execution IAM role".
    """

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        names: ServiceNames,
        location: Location,
        secret_arns: Mapping[str, pulumi.Input[str]],
        image: str,
        foreign_secret_arns: Collection[str] = (),
        kms_key_arns: Mapping[str, Sequence[pulumi.Input[str]]] | None = None,
        replica_regions: Sequence[str] = (),
        bind_trust_to_account: bool = True,
        permissions_boundary: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the role.

        Args:
            name: The component's name.
            names: The service's names: the role's, its policies', its log group's.
            location: The account and Region of the task.
            secret_arns: ARNs of the secrets to read, by full name.
            image: The task's image; if it is in ECR, the role may pull from that repository.
            foreign_secret_arns: ARNs of secrets that somebody else owns, which it reads as well; they have no replicas here.
            kms_key_arns: Customer-managed keys of all these secrets by Region; none grants no kms:Decrypt.
            replica_regions: Regions whose replicas of the secrets it may read as well.
            bind_trust_to_account: Whether only this account's ECS may assume the role. AWS documents the condition for the
                task role alone; the switch is for the day that ECS should not send it.
            permissions_boundary: ARN of a managed policy.
            opts: Options of the component.

        Raises:
            pulumi.RunError: When the secrets' ARNs do not fit in the policies that AWS allows a role.
        """
        super().__init__("ticketing:index:ExecutionRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        regions, keys = (location.region, *replica_regions), dict(kms_key_arns or {})
        everything_else = [identity.write_logs(location.log_group_arn(names.log_group))]
        if repository := location.ecr_repository_arn(image):
            everything_else += identity.pull_image(repository)
        reserved = len(identity.document([*everything_else, *_decrypt(_expected(keys, location), location)]))
        with readable():
            plan = identity.plan_reads(
                {full_name: _characters(full_name, location, regions) for full_name in secret_arns}
                | {arn: len(arn) for arn in foreign_secret_arns},
                inline_characters_left=identity.INLINE_POLICY_CHARACTERS - reserved,
            )

        role = aws.iam.Role(
            name,
            name=names.execution_role,
            description="Starts the tasks: reads their secrets, pulls their image, writes their log",
            assume_role_policy=identity.trust(
                "ecs-tasks.amazonaws.com",
                account_id=location.account_id if bind_trust_to_account else None,
                source_arn=location.arn("ecs", "*") if bind_trust_to_account else None,
            ),
            permissions_boundary=permissions_boundary,
            opts=child,
        )

        def read(names: Sequence[str]) -> pulumi.Output[identity.Statement]:
            foreign = [name for name in names if name in foreign_secret_arns]
            arns = pulumi.Output.all(*(secret_arns[name] for name in names if name not in foreign_secret_arns))
            return arns.apply(
                lambda known: identity.read_secrets(
                    [*foreign, *(in_region(arn, region) for arn in known for region in regions)]
                )
            )

        reads = [read(plan.inline)] if plan.inline else []
        inline = pulumi.Output.all(pulumi.Output.all(*reads), pulumi.Output.from_input(keys)).apply(
            lambda known: identity.document([*known[0], *_decrypt(known[1], location), *everything_else])
        )
        attached: list[pulumi.Output[str]] = [
            aws.iam.RolePolicy(name, name=EXECUTION_POLICY, role=role.name, policy=inline, opts=child).id
        ]
        for number, group in enumerate(plan.managed, start=1):
            policy = aws.iam.Policy(
                f"{name}-read-{number}",
                name=names.read_policy(number),
                policy=read(group).apply(lambda statement: identity.document([statement])),
                opts=child,
            )
            attachment = aws.iam.RolePolicyAttachment(
                f"{name}-read-{number}", role=role.name, policy_arn=policy.arn, opts=child
            )
            attached.append(attachment.id)

        self.arn = pulumi.Output.all(role.arn, *attached).apply(lambda known: known[0])
        self.register_outputs({"arn": self.arn})


def _decrypt(key_arns: Mapping[str, Sequence[str]], location: Location) -> list[identity.Statement]:
    return [
        identity.decrypt_through_secrets_manager(arns, region=region, dns_suffix=location.dns_suffix)
        for region, arns in sorted(key_arns.items())
    ]


def _expected(keys: Mapping[str, Sequence[pulumi.Input[str]]], location: Location) -> dict[str, list[str]]:
    """Return keys' ARNs as long as the real ones: they are unknown in a first preview, but an id has 36 characters."""
    return {
        region: [
            arn if isinstance(arn, str) else in_region(location.arn("kms", f"key/{number:036}"), region)
            for number, arn in enumerate(arns)
        ]
        for region, arns in keys.items()
    }


def _characters(full_name: str, location: Location, regions: Sequence[str]) -> int:
    """Return the characters that a secret's ARNs take in a policy, those of its replicas included."""
    length = location.secret_arn_length(full_name)
    return sum(length + len(region) - len(location.region) for region in regions) + len('"",') * (len(regions) - 1)
