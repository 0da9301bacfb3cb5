"""The secrets of the catalogue in AWS Secrets Manager, with the values that Pulumi owns."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import cast

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from model.declarations import (
    PREVIOUS_SUFFIX,
    Catalogue,
    Constant,
    Declaration,
    Generated,
    JsonSecret,
    Source,
    Supplied,
    TextSecret,
    is_external,
)
from model.names import Names
from model.references import PREVIOUS_STAGE, value_from

_JsonSource = Generated | Supplied | Constant

_RANDOM_INPUTS = ["length", "special", "overrideSpecial", "minLower", "minUpper", "minNumeric", "minSpecial", "keepers"]

_LIVE_LABEL, _PREVIOUS_LABEL = "pulumi-odd", "pulumi-even"
"""Labels of the version that holds the live value, and of the one that was put before it: a secret takes twenty."""

# What an adopted secret keeps as it was found: an import fails when the program asks for anything else.
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


class AppSecrets(pulumi.ComponentResource):
    """Every secret of a catalogue: the secret, its resource policy, and a version with its value unless that is external.

    Attributes:
        arns: Full ARNs by name in the catalogue.
        names: Full names by name in the catalogue.
        version_ids: The version that this program wrote, by name in the catalogue; external secrets have none.
        references: By service the `valueFrom` by container variable, with `<NAME>_PREVIOUS` for rotated values that keep their
            previous one.

    A generated value is made once and stays: `rotations` in the configuration asks for a new generation, nothing else does.
    Generated values exist beside configured ones, so that taking a value out of the configuration returns to the one before.
    """

    arns: Mapping[str, pulumi.Output[str]]
    names: Mapping[str, str]
    version_ids: Mapping[str, pulumi.Output[str]]
    references: Mapping[str, Mapping[str, pulumi.Output[str]]]

    def __init__(
        self,
        name: str,
        *,
        catalogue: Catalogue,
        names: Names,
        services: Sequence[str],
        values: Mapping[str, str],
        resource_policy: str,
        recovery_window_in_days: int,
        protect: bool,
        generations: Mapping[str, int] | None = None,
        rotated: Collection[str] = (),
        adopted: Mapping[str, str] | None = None,
        kms_key_id: pulumi.Input[str] | None = None,
        replicas: Mapping[str, str | None] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the secrets.

        Args:
            name: The component's name; every child's starts with it.
            catalogue: The declarations; valid, see `declarations.problems`.
            names: The stack's names.
            services: The services that may read secrets.
            values: Configured values by configuration key, in the clear.
            resource_policy: JSON of the policy that every secret gets; AWS refuses it if it makes a secret public.
            recovery_window_in_days: 0 deletes at once, otherwise 7 to 30.
            protect: Whether Pulumi refuses to delete the secrets and the generated values.
            generations: Generation of generated values by configuration key, 1 where absent.
            rotated: Names of secrets whose value a rotation function changes.
            adopted: ARNs of secrets that exist already, by name in the catalogue.
            kms_key_id: The customer-managed key's ARN, None for the AWS-managed one.
            replicas: Key of the replica, None for the AWS-managed one, by Region.
            opts: Options of the component.
        """
        super().__init__("ticketing:index:AppSecrets", name, None, opts)
        adopted = adopted or {}
        source_values = _SourceValues(self, name, values, generations or {}, protect=protect)

        self.names = {
            d.name: _name_in_arn(adopted[d.name]) if d.name in adopted else names.secret(d.name) for d in catalogue
        }
        secrets: dict[str, aws.secretsmanager.Secret] = {}
        version_ids: dict[str, pulumi.Output[str]] = {}
        references: dict[str, dict[str, pulumi.Output[str]]] = {service: {} for service in services}
        for declaration in catalogue:
            is_adopted = declaration.name in adopted
            secret = aws.secretsmanager.Secret(
                f"{name}-{declaration.name}",
                name=self.names[declaration.name],
                description=_description(declaration),
                kms_key_id=kms_key_id,
                recovery_window_in_days=recovery_window_in_days,
                replicas=[
                    aws.secretsmanager.SecretReplicaArgs(region=region, kms_key_id=key)
                    for region, key in sorted((replicas or {}).items())
                ],
                opts=pulumi.ResourceOptions(
                    parent=self,
                    protect=protect,
                    import_=adopted.get(declaration.name),
                    ignore_changes=_ADOPTED_AS_FOUND if is_adopted else None,
                ),
            )
            secrets[declaration.name] = secret
            aws.secretsmanager.SecretPolicy(
                f"{name}-{declaration.name}",
                secret_arn=secret.arn,
                policy=resource_policy,
                block_public_policy=True,
                opts=pulumi.ResourceOptions(parent=self),
            )
            if not is_external(declaration):
                version = _version(declaration, secret, source_values, rotated=declaration.name in rotated)
                version_ids[declaration.name] = version.version_id
            for service in services:
                references[service] |= _references(declaration, service, secret.arn, source_values)
        self.arns = {secret_name: secret.arn for secret_name, secret in secrets.items()}
        self.version_ids = version_ids
        self.references = references
        self.register_outputs({"arns": self.arns, "names": self.names, "version_ids": version_ids})

    def value_from(self, name: str, key: str | None = None, stage: str | None = None) -> pulumi.Output[str]:
        """Return the `valueFrom` of a secret of the catalogue, of one of its JSON keys, or of a staging label."""
        return self.arns[name].apply(lambda arn: value_from(arn, key, stage))


class _SourceValues:
    """The values of sources: configured ones, and generated ones as resources of the component."""

    def __init__(
        self,
        component: pulumi.ComponentResource,
        name: str,
        configured: Mapping[str, str],
        generations: Mapping[str, int],
        *,
        protect: bool,
    ) -> None:
        self.component = component
        self.name = name
        self._configured = configured
        self._generations = generations
        self._protect = protect

    def generation(self, source: Source) -> int:
        """Return the generation of a source that is live: 1, or what `rotations` asks for."""
        return self._generations.get(source.config_key, 1) if isinstance(source, Generated) else 1

    def keeps_previous(self, source: Source) -> bool:
        """Tell whether the application gets the source's previous value: only once there is one."""
        return isinstance(source, Generated) and source.keeps_previous and self.generation(source) > 1

    def of(self, source: Generated | Supplied | Constant, generation: int = 1) -> pulumi.Output[str]:
        """Return the value, secret unless it is a constant."""
        if isinstance(source, Constant):
            return pulumi.Output.from_input(source.value)
        if isinstance(source, Supplied):
            return pulumi.Output.secret(self._configured[source.config_key])
        password = self._password(source, generation)
        return pulumi.Output.secret(self._configured.get(source.config_key) or password.result)

    def _password(self, source: Generated, generation: int) -> random.RandomPassword:
        password = random.RandomPassword(
            f"{self.name}-{source.config_key}-{generation}",
            length=source.length,
            special=False,
            # Said, not left to the provider's defaults: an ignored property that was one counts as given the next time, and
            # the engine then writes the whole state for it, once a value.
            min_lower=0,
            min_upper=0,
            min_numeric=0,
            min_special=0,
            opts=pulumi.ResourceOptions(
                parent=self.component,
                # The previous generation makes room for the next one, so only the live value is protected.
                protect=self._protect and generation == self.generation(source),
                ignore_changes=_RANDOM_INPUTS,
            ),
        )
        password.length.apply(lambda length: _tell_kept_length(source, length))
        return password


def _references(
    declaration: Declaration, service: str, arn: pulumi.Output[str], values: _SourceValues
) -> dict[str, pulumi.Output[str]]:
    references: dict[str, pulumi.Output[str]] = {}

    def refer(variable: str, key: str | None, stage: str | None = None) -> None:
        references[variable] = arn.apply(lambda arn: value_from(arn, key, stage))

    for variable, key in declaration.references(service):
        refer(variable, key)
        # Only once there is a previous value: a reference to a missing key or label stops the task from starting.
        if isinstance(declaration, TextSecret) and values.keeps_previous(declaration.source):
            refer(variable + PREVIOUS_SUFFIX, None, PREVIOUS_STAGE)
        keys = declaration.keys if isinstance(declaration, JsonSecret) else {}
        if key is not None and isinstance(keys, Mapping) and values.keeps_previous(keys[key]):
            refer(variable + PREVIOUS_SUFFIX, key + PREVIOUS_SUFFIX)
    return references


def _version(
    declaration: Declaration, secret: aws.secretsmanager.Secret, values: _SourceValues, *, rotated: bool
) -> aws.secretsmanager.SecretVersion:
    """Return the live version of a secret that is not external."""

    def put(
        part: str,
        value: pulumi.Output[str],
        label: str,
        ignored: Collection[str],
        after: Sequence[pulumi.Resource] = (),
    ) -> aws.secretsmanager.SecretVersion:
        # The version carries a label of its own: AWS drops a version without labels some time after two more values were
        # put, by a rotation or by hand; a refresh would then lose it from the state and the next `up` put the old value
        # back as the current one. The labels are left alone afterwards (an update would move AWSCURRENT back), and so is the
        # value once a rotation owns it. AWS deletes no version, and the provider's attempt fails when a label has moved, so
        # none is made.
        return aws.secretsmanager.SecretVersion(
            f"{values.name}-{declaration.name}-{part}",
            secret_id=secret.id,
            secret_string=value,
            version_stages=["AWSCURRENT", label],
            opts=pulumi.ResourceOptions(
                parent=values.component,
                ignore_changes=["versionStages", *ignored],
                retain_on_delete=True,
                depends_on=after,
            ),
        )

    own = ["secretString"] if rotated else []
    if isinstance(declaration, JsonSecret):
        return put("value", _json_value(cast("Mapping[str, _JsonSource]", declaration.keys), values), _LIVE_LABEL, own)
    source = cast("Generated | Supplied", declaration.source)
    generation = values.generation(source)
    before: list[pulumi.Resource] = []
    if rotated and generation > 1:
        pulumi.log.info(
            f"{declaration.name}: the rotation function owns the value; its number in `rotations` counts when rotation is off"
        )
    if generation > 1:
        # AWSPREVIOUS must be there from the first rotation on, also in a stack that is created with `rotations` already set:
        # the value before is put once, first. From then on each change of the live value moves AWSPREVIOUS along, in either
        # direction, so that this version is never put again: it would be the current one for a moment.
        earlier = values.of(source, generation - 1)
        before = [put("previous-value", earlier, _PREVIOUS_LABEL, ["secretString"])]
    return put("value", values.of(source, generation), _LIVE_LABEL, own, before)


def _json_value(keys: Mapping[str, _JsonSource], values: _SourceValues) -> pulumi.Output[str]:
    parts: dict[str, pulumi.Output[str]] = {}
    for key, source in keys.items():
        generation = values.generation(source)
        parts[key] = values.of(source, generation)
        if generation > 1:
            # Kept in any case: the last two generations of each value are there to go back to.
            previous = values.of(source, generation - 1)
            if values.keeps_previous(source):
                parts[key + PREVIOUS_SUFFIX] = previous
    return pulumi.Output.from_input(parts).apply(lambda known: json.dumps(known, sort_keys=True, ensure_ascii=False))


def _tell_kept_length(source: Generated, length: float | None) -> None:
    if length is not None and int(length) != source.length:
        pulumi.log.warn(
            f"{source.config_key} keeps its {int(length)} characters; the catalogue's {source.length} count for its next value: "
            f"pulumi config set --path rotations.{source.config_key} NEXT_NUMBER"
        )


def _description(declaration: Declaration) -> str:
    variables = ", ".join(variable for variable, _ in declaration.references())
    return f"Container variables: {variables}" if variables else "In no container variable"


def _name_in_arn(arn: str) -> str:
    """Return a secret's name from its full ARN, whose last seven characters are a hyphen and AWS's suffix."""
    return arn.split(":", 6)[6][:-7]
