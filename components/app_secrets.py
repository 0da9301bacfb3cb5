"""The application's secrets in AWS Secrets Manager, with the values that Pulumi owns."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, NotRequired, TypedDict, cast

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components import _args, labels, value_plan
from components.location import Location
from components.policies import identity
from components.references import CURRENT
from components.secret import ADOPTED, STACK, Secret, full_name_of
from components.value_guard import Guard
from components.value_plan import CONSTANT, GENERATED, PREVIOUS_SUFFIX, WHOLE, SecretPlan, Value

_RANDOM_INPUTS = ["length", "special", "overrideSpecial", "minLower", "minUpper", "minNumeric", "minSpecial", "keepers"]

# Properties that an adopted secret keeps: an import fails if the program sets anything else.
_ADOPTED_AS_FOUND = [
    "description",
    "forceOverwriteReplicaSecret",
    "kmsKeyId",
    "policy",
    "recoveryWindowInDays",
    "replicas",
    "tags",
    "tagsAll",
]


class ValueArgs(TypedDict):
    """The source of one value: it is generated, unless `value` or `constant` sets it."""

    value: NotRequired[pulumi.Input[str]]
    """The value, kept secret. Without it, a random one of letters and digits is generated once and kept."""
    supplied: NotRequired[bool]
    """Whether only its issuer can create the value: it is never generated. Default: false."""
    constant: NotRequired[str]
    """A part that is not secret, such as a user name."""
    config_key: NotRequired[str]
    """The value's name in messages and in the names of its resources. Default: the secret's name, and the key."""
    number: NotRequired[int]
    """Add one for a new generated value. Default: 1."""
    length: NotRequired[int]
    """Characters of a generated value. A later change applies to the next value. Default: 32."""
    keeps_previous: NotRequired[bool]
    """Whether the previous value stays readable: in a JSON under KEY_PREVIOUS, of a text at the staging label
    `pulumi-previous`.
    It exists once `number` is 2. Default: false."""
    referenced: NotRequired[bool]
    """Whether a container variable refers to this JSON key: the key can then be removed only after its variable. Default:
    false."""
    previous_referenced: NotRequired[bool]
    """Whether a container variable refers to KEY_PREVIOUS. Default: false."""
    accepted_by: NotRequired[dict[str, str]]
    """The other system that checks the value: `server` and `host` (the plain variable with its host name), or `partner`.
The value is then not replaced in the secret alone. Default: none."""


class SecretArgs(TypedDict):
    """One secret: a text, a JSON, or neither if its value is set outside Pulumi."""

    text: NotRequired[ValueArgs]
    """The whole value."""
    json: NotRequired[dict[str, ValueArgs]]
    """The values of a flat JSON object by key."""
    full_name: NotRequired[str]
    """Its name in AWS. Default: `<project>-<stack>-<name>`."""
    description: NotRequired[str]
    """Its description in AWS."""
    adopt_arn: NotRequired[str]
    """The full ARN of a secret that exists: it is imported unchanged, and never deleted by Pulumi."""
    kms_key_arn: NotRequired[str]
    """An adopted secret's customer-managed key."""
    rotated: NotRequired[bool]
    """Whether a function changes the value: it is set once and ignored afterwards. Default: false."""


class SecretsArgs(TypedDict):
    """The secrets, and the settings that they share."""

    secrets: dict[str, SecretArgs]
    """The secrets by name."""
    policy: NotRequired[pulumi.Input[str]]
    """The resource policy of each secret as JSON. Default: every request needs TLS."""
    kms_key_arn: NotRequired[pulumi.Input[str]]
    """The customer-managed key of the secrets. Default: AWS's own."""
    kms_key_id: NotRequired[str]
    """The key for new values, if it is no longer `kms_key_arn`: `alias/aws/secretsmanager`."""
    replica_regions: NotRequired[Sequence[str]]
    """Regions that get a replica of each secret. Default: none."""
    replica_kms_keys: NotRequired[Mapping[str, str]]
    """ARNs of the replicas' customer-managed keys by Region."""
    recovery_window_in_days: NotRequired[int]
    """Days for which a deleted secret can be restored: 7 to 30, or 0. Default: 30."""
    protect: NotRequired[bool]
    """Whether Pulumi refuses to delete the secrets. Default: false."""
    location: NotRequired[Location]
    """The account and Region. Default: the provider's."""


class Secrets(pulumi.ComponentResource):
    """Secrets in AWS Secrets Manager, each with its resource policy, and with a version for a value that Pulumi sets.

    A generated value is generated once and stays: only a higher `number` requests a new one. A live value that this program
    did not set is never replaced (`components.value_guard`). In Python, `secrets` has a `Secret` by name, which other
    components take.
    """

    arns: pulumi.Output[dict[str, str]]
    """Full ARNs by name."""
    names: pulumi.Output[dict[str, str]]
    """Names in AWS by name."""

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the secrets.

        Args:
            name: The component's name; every child's starts with it.
            args: The secrets.
            opts: Options of the component.

        Raises:
            ArgsError: When an argument makes no sense.
        """
        super().__init__("ecs-secrets:index:Secrets", name, None, opts)
        self._name, self._args, self._region = name, args, _args.location_of(args, self).region
        self._window = int(args.get("recovery_window_in_days", 30))
        given = cast("Mapping[str, Mapping[str, Any]]", args["secrets"])
        _args.refuse("Secrets", name, value_plan.problems(given))
        plans = value_plan.plan(given, f"{pulumi.get_project()}-{pulumi.get_stack()}")
        self._guard = Guard(self, name, region=self._region, recovery_window_in_days=self._window)
        known = _Values(self, name, plans, args["secrets"])
        values = {plan.name: known.of(plan) for plan in plans}
        stash = self._guard.stash(
            [(plan, values[plan.name]) for plan in plans],
            key="AWS's" if "kms_key_id" in args else "own" if args.get("kms_key_arn") is not None else "",
        )
        self.secrets: Mapping[str, Secret] = {plan.name: self._secret(plan, values[plan.name], stash) for plan in plans}
        self.arns = pulumi.Output.all(**{key: secret.arn for key, secret in self.secrets.items()})
        self.names = pulumi.Output.from_input({key: secret.full_name for key, secret in self.secrets.items()})
        self.register_outputs({"arns": self.arns, "names": self.names})

    def _secret(self, plan: SecretPlan, values: Mapping[str, pulumi.Output[str]], stash: pulumi.Resource) -> Secret:
        """Create a secret, or import it; AWS refuses a resource policy that makes it public."""
        args, resource_name = self._args, f"{self._name}-{plan.name}"
        adopted_arn = plan.adopt_arn
        full_name = full_name_of(adopted_arn) if adopted_arn else plan.full_name
        replica_keys = args.get("replica_kms_keys", {})
        kms_key_id = args.get("kms_key_id") or args.get("kms_key_arn")
        secret = aws.secretsmanager.Secret(
            resource_name,
            name=full_name,
            description=plan.description or None,
            # The provider sends nothing when a secret's key is unset, so a return to AWS's key names that key.
            kms_key_id=kms_key_id,
            recovery_window_in_days=self._window,
            replicas=[
                aws.secretsmanager.SecretReplicaArgs(region=region, kms_key_id=replica_keys.get(region))
                for region in sorted(args.get("replica_regions", []))
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.get("protect", False),
                depends_on=[stash],
                import_=adopted_arn,
                hooks=None if adopted_arn else self._guard.new,
                # Pulumi never deletes a secret that it did not create.
                retain_on_delete=adopted_arn is not None,
                # DescribeSecret omits AWS's own key, or returns its alias: neither is a change.
                ignore_changes=_ADOPTED_AS_FOUND if adopted_arn else None if kms_key_id is not None else ["kmsKeyId"],
            ),
        )
        if not adopted_arn:
            _warn_of_left_replicas(plan.name, secret, args.get("replica_regions", []))
        aws.secretsmanager.SecretPolicy(
            resource_name,
            secret_arn=secret.arn,
            policy=args.get("policy") or identity.document([identity.require_tls()]),
            block_public_policy=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return Secret(
            plan.name,
            full_name,
            secret.arn,
            self._region,
            ADOPTED if adopted_arn else STACK,
            plan.kms_key_arn if adopted_arn else args.get("kms_key_arn"),
            self._live_version(plan, secret, values).version_id if values else None,
        )

    def _live_version(
        self, plan: SecretPlan, secret: aws.secretsmanager.Secret, values: Mapping[str, pulumi.Output[str]]
    ) -> aws.secretsmanager.SecretVersion:
        """Set a secret's value. A text's previous value is set first, so that a reader of both always finds both."""
        set_, before = partial(self._set, plan, secret), list[pulumi.Resource]()
        if plan.is_text and plan.previous_keys():
            before = [set_("previous-value", values[PREVIOUS_SUFFIX], [labels.PREVIOUS])]
        whole = values[WHOLE] if plan.is_text else pulumi.Output.from_input(dict(values)).apply(_as_json)
        return set_("value", whole, [CURRENT, labels.LIVE], depends_on=before, hooks=self._guard.version)

    def _set(
        self,
        plan: SecretPlan,
        secret: aws.secretsmanager.Secret,
        name: str,
        value: pulumi.Output[str],
        stages: Sequence[str],
        **options: Any,
    ) -> aws.secretsmanager.SecretVersion:
        # AWS collects a version without a label some time after two more values were set, by a rotation or outside Pulumi, and a
        # refresh would then lose it from the state. The labels are ignored afterwards (an update would move AWSCURRENT back), and
        # so is the value once a rotation owns it. AWS deletes no version, and the provider's attempt fails when a label has
        # moved, so none is made.
        ignored = ["versionStages", "secretString"] if plan.rotated else ["versionStages"]
        return aws.secretsmanager.SecretVersion(
            f"{self._name}-{plan.name}-{name}",
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(value),
            version_stages=stages,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=ignored, retain_on_delete=True, **options),
        )


class _Values:
    """The values of a plan: given, generated and previous ones."""

    def __init__(
        self, component: pulumi.Resource, name: str, plans: Collection[SecretPlan], secrets: Mapping[str, SecretArgs]
    ) -> None:
        self._component, self._name, self._args = component, name, secrets
        self._passwords = {at: self._password(*at, length) for at, length in value_plan.passwords(plans).items()}
        self._remembered = {v.config_key for plan in plans for v in plan.values.values() if v.is_remembered}
        self._known: dict[str, tuple[pulumi.Output[str], pulumi.Output[str] | None]] = {}

    def of(self, plan: SecretPlan) -> dict[str, pulumi.Output[str]]:
        """Return a secret's values by JSON key, kept previous values included."""
        found: dict[str, pulumi.Output[str]] = {}
        for key, value in plan.values.items():
            found[key], previous = self._value(plan, key, value)
            if value.has_previous and previous is not None:
                found[key + PREVIOUS_SUFFIX] = previous
        return found

    def _value(self, plan: SecretPlan, key: str, value: Value) -> tuple[pulumi.Output[str], pulumi.Output[str] | None]:
        """Return a value and the previous one; two secrets with the same configuration key share one value."""
        args = self._args[plan.name]
        given = args["text"] if "text" in args else args.get("json", {})[key]
        if value.source == CONSTANT:
            return pulumi.Output.from_input(given.get("constant", "")), None
        if value.config_key not in self._known:
            current = (
                pulumi.Output.secret(given["value"])
                if "value" in given
                else pulumi.Output.secret(self._passwords[value.config_key, value.number].result)
            )
            previous = self._previous(value, current) if value.source == GENERATED and value.number > 1 else None
            if value.config_key in self._remembered:
                # Replaced when the value changes under its number: a stash's output stays as it was created.
                self._memory(value, value.number, current, previous, replace_on_changes=["input"])
            self._known[value.config_key] = current, previous
        return self._known[value.config_key]

    def _previous(self, value: Value, current: pulumi.Output[str]) -> pulumi.Output[str]:
        """Return the last live value that differs from the current one, as the state remembers it.

        If the stack never had one, it is the generated value of the previous number.
        """
        stand_in = pulumi.Output.secret(self._passwords[value.config_key, value.number - 1].result)
        remembered = self._memory(value, value.number - 1, stand_in, None, ignore_changes=["input"]).output
        if not value.configured:
            return pulumi.Output.secret(remembered.apply(lambda known: known["value"]))

        def differing(known: Sequence[Any]) -> str:
            before, now = known
            # A missing value is not in the state at all.
            return before["value"] if before["value"] != now else before.get("previous") or now

        return pulumi.Output.secret(pulumi.Output.all(remembered, current).apply(differing))

    def _memory(
        self,
        value: Value,
        number: int,
        current: pulumi.Output[str],
        previous: pulumi.Output[str] | None,
        **options: Any,
    ) -> pulumi.Stash:
        return pulumi.Stash(
            f"{self._name}-kept-{value.config_key}-{number}",
            pulumi.ResourceOptions(parent=self._component, **options),
            pulumi.Output.secret({"value": current, "previous": previous}),
        )

    def _password(self, config_key: str, number: int, length: int) -> random.RandomPassword:
        password = random.RandomPassword(
            f"{self._name}-{config_key}-{number}",
            length=length,
            special=False,
            # Written out, not left to the provider's defaults: an ignored property that was one counts as given the next time,
            # and the engine then writes the whole state for it, once a value.
            min_lower=0,
            min_upper=0,
            min_numeric=0,
            min_special=0,
            opts=pulumi.ResourceOptions(parent=self._component, ignore_changes=_RANDOM_INPUTS),
        )
        password.length.apply(lambda kept: _warn_of_kept_length(config_key, length, kept))
        return password


def _as_json(parts: Any) -> str:
    return json.dumps(parts, sort_keys=True, ensure_ascii=False)


def _warn_of_left_replicas(name: str, secret: aws.secretsmanager.Secret, configured: Collection[str]) -> None:
    """Warn about replicas that no argument names any more: the provider doesn't remove the last one.

    Source: github.com/hashicorp/terraform-provider-aws, issue 23316.
    """

    def warn(arn: str, replicas: Sequence[Mapping[str, str]]) -> None:
        if left := sorted({replica["region"] for replica in replicas or ()} - {*configured}):
            pulumi.log.warn(
                f"{name}: replicas that replicaRegions no longer names stay (and cost): the provider never removes the last one. "
                "This command does; then run `pulumi refresh`:\n"
                f"  aws secretsmanager remove-regions-from-replication --secret-id {arn} "
                f"--remove-replica-regions {' '.join(left)}"
            )

    pulumi.Output.all(secret.arn, secret.replicas).apply(lambda known: warn(*known))


def _warn_of_kept_length(config_key: str, wanted: int, length: float | None) -> None:
    if length is not None and int(length) != wanted:
        pulumi.log.warn(
            f"{config_key} keeps its {int(length)} characters; the catalogue's {wanted} apply to its next value: "
            f"pulumi config set --path rotations.{config_key} NEXT_NUMBER"
        )
