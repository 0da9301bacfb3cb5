"""The secrets of the catalogue in AWS Secrets Manager, with the values that Pulumi owns."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components import labels
from components.errors import readable
from components.live_values import LiveValues
from components.location import Location
from components.origins import WHOLE, origins
from components.policies import identity
from components.policies.resource import reader_policy
from components.references import PREVIOUS_STAGE, value_from
from components.restored_values import RestoredValues
from components.secret import ADOPTED, STACK, Secret, full_name_of
from config.declarations import (
    PREVIOUS_SUFFIX,
    Constant,
    Declaration,
    Generated,
    JsonSecret,
    Source,
    Supplied,
    TextSecret,
    is_external,
)
from config.settings import Settings

_JsonSource = Generated | Supplied | Constant

_RANDOM_INPUTS = ["length", "special", "overrideSpecial", "minLower", "minUpper", "minNumeric", "minSpecial", "keepers"]

_AWS_KEY = "alias/aws/secretsmanager"

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
        secrets: The secrets by name in the catalogue.
        arns: Full ARNs by name in the catalogue.
        names: Full names by name in the catalogue.
        version_ids: The version that this program wrote, by name in the catalogue; external secrets have none.
        references: By service the `valueFrom` by container variable, with `<NAME>_PREVIOUS` for rotated values that keep their
            previous one.
        key_arns: The stack's own key by name in the catalogue, for each secret that is under it.

    A generated value is made once and stays: `rotations` in the configuration asks for a new generation, nothing else does.
    Generated values exist beside configured ones, so that taking a value out of the configuration returns to the one before.
    """

    secrets: Mapping[str, Secret]
    arns: Mapping[str, pulumi.Output[str]]
    names: Mapping[str, str]
    version_ids: Mapping[str, pulumi.Output[str]]
    references: Mapping[str, Mapping[str, pulumi.Output[str]]]
    key_arns: Mapping[str, pulumi.Input[str]]

    def __init__(
        self,
        name: str,
        *,
        config: Settings,
        location: Location,
        caller_arn: str,
        key_arn: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the secrets.

        Args:
            name: The component's name; every child's starts with it.
            config: The stack's settings.
            location: The account and Region.
            caller_arn: Who runs this, as `sts:GetCallerIdentity` says: `restrictReaders` must not lock them out.
            key_arn: The stack's own key, if there is one.
            opts: Options of the component.

        Raises:
            pulumi.RunError: When `restrictReaders` asks for a policy that locks somebody out, or that AWS would refuse.
        """
        super().__init__("ecs-secrets:index:AppSecrets", name, None, opts)
        self._name, self._config = name, config
        self._policy = _resource_policy(config, location, caller_arn)
        # Taking the key away from a secret changes nothing at AWS: the provider sends no key at all. So a stack goes back in two
        # steps, first to AWS's key by name while its own still exists, then without either.
        self._kms_key_id = _AWS_KEY if config.encryption == "returning-to-aws-managed" else key_arn
        restored = RestoredValues(self, config.catalogue, config.restored)
        live = LiveValues(self, name, recovery_window_in_days=config.recovery_window_in_days)
        values = _SourceValues(
            self, name, config.values, config.generations, restored, live=live, protect=config.protect
        )
        self.names = {
            d.name: full_name_of(config.adopt[d.name]) if d.name in config.adopt else config.names.secret(d.name)
            for d in config.catalogue
        }
        listed = live.list([d.name for d in config.catalogue], config.adopt)
        secrets: dict[str, aws.secretsmanager.Secret] = {}
        version_ids: dict[str, pulumi.Output[str]] = {}
        references: dict[str, dict[str, pulumi.Output[str]]] = {service: {} for service in config.services}
        for declaration in config.catalogue:
            is_rotated = config.rotation is not None and declaration.name == config.rotation.secret
            record = self._record(declaration, live, listed, restored, rotated=is_rotated)
            secret = self._secret(declaration, record, live, restored)
            secrets[declaration.name] = secret
            if not is_external(declaration):
                version = _Versions(declaration, secret, record.id, values, live).put(rotated=is_rotated)
                version_ids[declaration.name] = version.version_id
            for service in config.services:
                references[service] |= _references(declaration, service, secret.arn, values)
        own = {secret_name: secret for secret_name, secret in secrets.items() if secret_name not in config.adopt}
        _tell_left_replicas(list(own.values()), config.replica_regions)
        self.arns = {secret_name: secret.arn for secret_name, secret in secrets.items()}
        self.version_ids = version_ids
        self.references = references
        self.key_arns = dict.fromkeys(own, key_arn) if key_arn is not None else {}
        self.secrets = {
            name: Secret(
                name,
                self.names[name],
                secret.arn,
                location.region,
                ADOPTED if name in config.adopt else STACK,
                config.secret_kms_keys.get(name) if name in config.adopt else key_arn,
                version_ids.get(name),
            )
            for name, secret in secrets.items()
        }
        self.register_outputs({"arns": self.arns, "names": self.names, "version_ids": version_ids})

    def _record(
        self,
        declaration: Declaration,
        live: LiveValues,
        listed: pulumi.Resource,
        restored: RestoredValues,
        *,
        rotated: bool,
    ) -> pulumi.Stash:
        """Keep in the state where the secret's value comes from."""
        config, name = self._config, declaration.name
        found = origins(
            declaration,
            secret=config.adopt.get(name, self.names[name]),
            adopted=name in config.adopt,
            rotated=rotated,
            configured=config.values,
            generations=config.generations,
        )
        return live.record(declaration, found, after=[listed], held=restored.held(declaration, config.values))

    def _secret(
        self, declaration: Declaration, record: pulumi.Resource, live: LiveValues, restored: RestoredValues
    ) -> aws.secretsmanager.Secret:
        """Make the secret, or take it over, and give it its resource policy; AWS refuses one that makes a secret public."""
        config, resource_name = self._config, f"{self._name}-{declaration.name}"
        adopted_arn = config.adopt.get(declaration.name)
        known = adopted_arn or restored.secret_id(declaration.name)
        secret = aws.secretsmanager.Secret(
            resource_name,
            name=self.names[declaration.name],
            description=_description(declaration),
            kms_key_id=self._kms_key_id,
            recovery_window_in_days=config.recovery_window_in_days,
            replicas=[
                aws.secretsmanager.SecretReplicaArgs(region=region, kms_key_id=config.replica_kms_keys.get(region))
                for region in sorted(config.replica_regions)
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=config.protect,
                depends_on=[record],
                import_=known,
                hooks=None if known else live.new(),
                # What was not made here is never deleted here.
                retain_on_delete=adopted_arn is not None,
                ignore_changes=_ADOPTED_AS_FOUND if adopted_arn else None,
            ),
        )
        aws.secretsmanager.SecretPolicy(
            resource_name,
            secret_arn=secret.arn,
            policy=self._policy,
            block_public_policy=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return secret


def _resource_policy(config: Settings, location: Location, caller_arn: str) -> str:
    if not config.restrict_readers:
        return identity.document([identity.require_tls()])
    with readable():
        return reader_policy(
            execution_role_arns=config.execution_role_arns(location),
            rotation_role_arn=config.rotation_role_arn(location),
            trusted_readers=config.audit.trusted_readers if config.audit else (),
            break_glass_roles=config.break_glass_roles,
            deployer_roles=config.deployer_roles,
            caller_arn=caller_arn,
        )


class _SourceValues:
    """The values of sources: configured ones, and generated ones as resources of the component."""

    def __init__(
        self,
        component: pulumi.ComponentResource,
        name: str,
        configured: Mapping[str, str],
        generations: Mapping[str, int],
        restored: RestoredValues,
        *,
        live: LiveValues,
        protect: bool,
    ) -> None:
        self.restored = restored
        self._live = live
        self.component = component
        self.name = name
        self._configured = configured
        self._generations = generations
        self._protect = protect
        self._made: dict[str, random.RandomPassword] = {}
        self._values: dict[tuple[str, int], pulumi.Output[str]] = {}

    def generation(self, source: Source) -> int:
        """Return the generation of a source that is live: 1, or what `rotations` asks for."""
        return self._generations.get(source.config_key, 1) if isinstance(source, Generated) else 1

    def keeps_previous(self, source: Source) -> bool:
        """Tell whether the application gets the source's previous value: only once there is one."""
        return self.holds_previous(source) and bool(cast("Generated", source).keeps_previous)

    def holds_previous(self, source: Source) -> bool:
        """Tell whether a JSON secret has the source's previous value."""
        return isinstance(source, Generated) and source.holds_previous and self.generation(source) > 1

    def of(self, source: Generated | Supplied | Constant, generation: int = 1) -> pulumi.Output[str]:
        """Return the value, secret unless it is a constant."""
        if isinstance(source, Constant):
            return pulumi.Output.from_input(source.value)
        if isinstance(source, Supplied):
            return pulumi.Output.secret(self._configured[source.config_key])
        if (source.config_key, generation) not in self._values:
            found = self.restored.value(source.config_key, generation) or self._password(source, generation).result
            value = pulumi.Output.secret(self._configured.get(source.config_key) or found)
            self._values[source.config_key, generation] = value
            if source.holds_previous:
                self._live.keep(
                    source.config_key, generation, value, self.restored.found_in(source.config_key, generation)
                )
        return self._values[source.config_key, generation]

    def known(self, source: Generated | Supplied | Constant, generation: int = 1) -> str | None:
        """Return the value that `of` has, as far as it is known before anything is made."""
        if isinstance(source, Constant):
            return source.value
        kept = self.restored.value(source.config_key, generation)
        return self._configured.get(source.config_key) or kept

    def previous(self, source: Generated) -> pulumi.Output[str]:
        """Return the value that was live under the number before, wherever it came from."""
        number = self.generation(source) - 1
        if (source.config_key, number) not in self._values:
            found = self.restored.value(source.config_key, number) or self._password(source, number).result
            value = pulumi.Output.secret(found)
            if source.holds_previous:
                found_in = self.restored.found_in(source.config_key, number)
                value = self._live.kept(source.config_key, number, value, found_in)
            self._values[source.config_key, number] = value
        return self._values[source.config_key, number]

    def known_previous(self, source: Generated) -> str | None:
        """Return the value that `previous` has, as far as it is known before anything is made."""
        return self.restored.value(source.config_key, self.generation(source) - 1)

    def _password(self, source: Generated, generation: int) -> random.RandomPassword:
        name = f"{self.name}-{source.config_key}-{generation}"
        if name in self._made:
            return self._made[name]
        password = random.RandomPassword(
            name,
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
        self._made[name] = password
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


@dataclass(frozen=True)
class _Versions:
    """Puts the versions of a secret that is not external."""

    declaration: Declaration
    secret: aws.secretsmanager.Secret
    record_id: pulumi.Output[str]
    values: _SourceValues
    live: LiveValues

    def put(self, *, rotated: bool) -> aws.secretsmanager.SecretVersion:
        """Return the live version; the one before it, which `<NAME>_PREVIOUS` needs, is put first."""
        own, name, restored = ["secretString"] if rotated else [], self.declaration.name, self.values.restored
        if rotated and (text := restored.text(name)) is not None:
            # What the function put last, which no source has.
            value = pulumi.Output.secret(text)
            return self._put_live(value, {WHOLE: (value, "")}, own, restored.version_id(name, text))
        if isinstance(self.declaration, JsonSecret):
            keys = cast("Mapping[str, _JsonSource]", self.declaration.keys)
            parts = self._json_parts(keys)
            document = pulumi.Output.from_input({key: value for key, (value, _) in parts.items()}).apply(_as_json)
            return self._put_live(document, parts, own, restored.version_id(name, self._known_json(keys)))
        source = cast("Generated | Supplied", self.declaration.source)
        generation = self.values.generation(source)
        before: list[pulumi.Resource] = []
        if generation > 1:
            # AWSPREVIOUS must be there from the first rotation on, also in a stack that is created with `rotations` already set:
            # the value before is put once, first. It never asks for AWSCURRENT, which AWS gives a first version by itself.
            label = self.record_id.apply(labels.previous)
            earlier = self.values.previous(cast("Generated", source))
            import_id = restored.previous_version_id(name)
            before = [self._put("previous-value", earlier, [label], ["secretString"], import_id=import_id)]
        value = self.values.of(source, generation)
        import_id = restored.version_id(name, self.values.known(source, generation))
        return self._put_live(value, {WHOLE: (value, source.config_key)}, own, import_id, before)

    def _put_live(
        self,
        value: pulumi.Output[str],
        parts: Mapping[str, tuple[pulumi.Output[str], str]],
        ignored: Sequence[str],
        import_id: str | None,
        after: Sequence[pulumi.Resource] = (),
    ) -> aws.secretsmanager.SecretVersion:
        hooks = self.live.guard(self._name("value"), self.declaration.name, self.record_id, parts)
        stages = ["AWSCURRENT", self.record_id.apply(labels.live)]
        return self._put("value", value, stages, ignored, after=after, hooks=hooks, import_id=import_id)

    def _put(
        self,
        part: str,
        value: pulumi.Output[str],
        stages: Sequence[pulumi.Input[str]],
        ignored: Sequence[str],
        *,
        after: Sequence[pulumi.Resource] = (),
        hooks: pulumi.ResourceHookBinding | None = None,
        import_id: str | None = None,
    ) -> aws.secretsmanager.SecretVersion:
        # The version carries a label of its own: AWS drops a version without labels some time after two more values were
        # put, by a rotation or by hand, and a refresh would then lose it from the state. The labels are left alone afterwards (an
        # update would move AWSCURRENT back), and so is the value once a rotation owns it. AWS deletes no version, and the
        # provider's attempt fails when a label has moved, so none is made.
        return aws.secretsmanager.SecretVersion(
            self._name(part),
            secret_id=self.secret.id,
            secret_string=value,
            version_stages=list(stages),
            opts=pulumi.ResourceOptions(
                parent=self.values.component,
                ignore_changes=["versionStages", *ignored],
                retain_on_delete=True,
                depends_on=list(after),
                hooks=hooks,
                import_=import_id,
            ),
        )

    def _name(self, part: str) -> str:
        return f"{self.values.name}-{self.declaration.name}-{part}"

    def _json_parts(self, keys: Mapping[str, _JsonSource]) -> dict[str, tuple[pulumi.Output[str], str]]:
        parts: dict[str, tuple[pulumi.Output[str], str]] = {}
        for key, source in keys.items():
            generation = self.values.generation(source)
            parts[key] = self.values.of(source, generation), "" if isinstance(source, Constant) else source.config_key
            if isinstance(source, Generated) and generation > 1:
                # Kept in any case: it was protected as long as it was the live one, so it can leave only one number later.
                previous = self.values.previous(source)
                if self.values.holds_previous(source):
                    parts[key + PREVIOUS_SUFFIX] = previous, ""
        return parts

    def _known_json(self, keys: Mapping[str, _JsonSource]) -> str | None:
        """Return the document that `_json_parts` makes, None as long as a part of it is not made yet."""
        parts: dict[str, str | None] = {}
        for key, source in keys.items():
            parts[key] = self.values.known(source, self.values.generation(source))
            if isinstance(source, Generated) and self.values.holds_previous(source):
                parts[key + PREVIOUS_SUFFIX] = self.values.known_previous(source)
        return None if None in parts.values() else _as_json(parts)


def _as_json(parts: Any) -> str:
    return json.dumps(parts, sort_keys=True, ensure_ascii=False)


def _tell_left_replicas(secrets: Sequence[aws.secretsmanager.Secret], configured: Collection[str]) -> None:
    """Say which replicas stay although the configuration no longer names them: the provider doesn't remove the last one.

    Source: github.com/hashicorp/terraform-provider-aws, issue 23316.
    """

    def tell(known: Sequence[tuple[str, Sequence[Mapping[str, str]]]]) -> None:
        commands = [
            f"  aws secretsmanager remove-regions-from-replication --secret-id {arn} --remove-replica-regions {' '.join(left)}"
            for arn, replicas in known
            if (left := sorted({replica["region"] for replica in replicas or ()} - {*configured}))
        ]
        if commands:
            pulumi.log.warn(
                "replicas stay (and cost) that replicaRegions does not name: the provider does not take the last one away. "
                "These commands do, and then `pulumi refresh`:\n" + "\n".join(commands)
            )

    pulumi.Output.all(*(pulumi.Output.all(s.arn, s.replicas) for s in secrets)).apply(
        lambda known: tell([(arn, replicas) for arn, replicas in known])
    )


def _tell_kept_length(source: Generated, length: float | None) -> None:
    if length is not None and int(length) != source.length:
        pulumi.log.warn(
            f"{source.config_key} keeps its {int(length)} characters; the catalogue's {source.length} count for its next value: "
            f"pulumi config set --path rotations.{source.config_key} NEXT_NUMBER"
        )


def _description(declaration: Declaration) -> str:
    variables = ", ".join(variable for variable, _ in declaration.references())
    return f"Container variables: {variables}" if variables else "In no container variable"
