"""Rules about keys that are valid alone and contradict each other."""

import json
from collections.abc import Iterator, Mapping

from components import limits
from components.location import partition_of
from config.declarations import (
    Entry,
    ForeignSecret,
    Generated,
    JsonSecret,
    Problem,
    Source,
    Supplied,
    TextSecret,
    known_keys,
)
from config.model import RotationSettings, Settings


def together(settings: Settings, region: str | None) -> Iterator[Problem]:
    """Yield the problems of keys that contradict each other: key, what was found, what is allowed."""
    yield from _sizes(settings)
    if settings.restrict_readers and not settings.break_glass_roles:
        yield "breakGlassRoles", "is required by restrictReaders", "a role that can undo a wrong policy"
    if settings.restrict_readers and not settings.deployer_roles:
        rule = "the role that runs `pulumi up`, or it locks itself out"
        yield "deployerRoles", "is required by restrictReaders", rule
    for key_region in sorted(set(settings.replica_kms_keys) - set(settings.replica_regions)):
        yield f"replicaKmsKeys.{key_region}", "is not in replicaRegions", "a Region that has a replica"
    if settings.grant_replicas and not settings.replica_regions:
        yield "grantReplicas", "needs replicaRegions", "the Regions whose replicas the execution role may read"
    if region in settings.replica_regions:
        yield "replicaRegions", f"holds {region}, where the secrets are", "other Regions than aws:region"
    yield from _places(settings, region)
    if settings.rotation:
        yield from _rotation(settings.rotation, {d.name: d for d in (*settings.catalogue, *settings.foreign)})


def _places(settings: Settings, region: str | None) -> Iterator[Problem]:
    """Yield the problems of ARNs that cannot belong together. Only a foreign secret can be in another Region or account."""
    arns = {
        **{f"adopt.{name}": arn for name, arn in settings.adopt.items()},
        **{f"foreignSecrets.{name}": arn for name, arn in settings.foreign_arns.items()},
    }
    for key, arn in arns.items():
        partition, place = _partition_and_region(arn)
        if twins := [other for other, twin in arns.items() if other < key and twin == arn]:
            yield key, f"is also the ARN of {twins[0]}", "one secret for each entry of the catalogue"
        if region and partition != partition_of(region):
            yield (
                key,
                f"is in the partition {partition}",
                f"{partition_of(region)}: a role cannot read across partitions",
            )
        elif region and key.startswith("adopt.") and place != region:
            yield (
                key,
                f"is in {place}",
                f"a secret in {region}; declare one elsewhere as a ForeignSecret in catalogue.py",
            )
        elif (
            settings.rotation and key == f"foreignSecrets.{settings.rotation.superuser}" and region not in {None, place}
        ):
            yield key, f"is in {place}, and the rotation signs in with it", f"a secret in {region}"
    for name, arn in settings.secret_kms_keys.items():
        secret = arns.get(f"adopt.{name}") or arns.get(f"foreignSecrets.{name}") or ""
        if _partition_and_region(secret) != _partition_and_region(arn):
            place = " ".join(_partition_and_region(arn))
            yield f"secretKmsKeys.{name}", f"is in {place}", "a key in the secret's partition and Region"


def _partition_and_region(arn: str) -> tuple[str, str]:
    fields = [*arn.split(":"), "", "", "", ""]
    return fields[1], fields[3]


def _rotation(rotation: RotationSettings, catalogue: Mapping[str, Entry]) -> Iterator[Problem]:
    alternating = rotation.strategy == "alternating-users"
    rotated, superuser = catalogue.get(rotation.secret), catalogue.get(rotation.superuser or "")
    if alternating and rotated and rotation.secret == rotation.superuser:
        yield "rotation.superuser", "is the secret that rotates", "the secret of a user that can change others"
    if alternating and rotated and not _may_hold_username(rotated):
        yield "rotation.secret", f"{rotation.secret} holds no username", "a JSON secret of username and password"
    if not alternating and rotated and not isinstance(rotated, TextSecret):
        yield "rotation.secret", f"{rotation.secret} is a JSON", "single-user rotates a text secret"
    if rotation.grants and not alternating:
        yield (
            "rotation.grants",
            "is set together with single-user",
            "strategy alternating-users: a single user exists already",
        )
    signs_in = superuser if alternating else rotated
    if signs_in is None:
        return
    is_text = isinstance(signs_in, TextSecret) or (isinstance(signs_in, ForeignSecret) and not signs_in.keys)
    if is_text and not rotation.username:
        yield "rotation.username", "is required", f"the user whose password {signs_in.name} is"
    if not is_text and rotation.username:
        yield "rotation.username", f"but {signs_in.name} holds the username itself", "no rotation.username"
    if alternating and not is_text and not _may_hold_username(signs_in):
        yield "rotation.superuser", f"{signs_in.name} holds no username", "a JSON secret of username and password"


def _may_hold_username(entry: Entry) -> bool:
    known = known_keys(entry)
    return {"username", "password"} <= known or (isinstance(entry, JsonSecret) and not known)


def _sizes(settings: Settings) -> Iterator[Problem]:
    for declaration in settings.catalogue:
        if isinstance(declaration, JsonSecret) and isinstance(declaration.keys, Mapping):
            longest = {key: _longest(source, settings.values) for key, source in declaration.keys.items()}
            size = len(json.dumps(longest).encode())
            if size > limits.MAX_VALUE_BYTES:
                found = f"has {size:,} bytes as JSON; Secrets Manager takes {limits.MAX_VALUE_BYTES:,}"
                yield declaration.name, found, "shorter values"


def _longest(source: Source, values: Mapping[str, str]) -> str:
    """Return a text with the length of the source's future value."""
    if isinstance(source, Generated):
        return values.get(source.config_key, "x" * source.length)
    return values.get(source.config_key, "") if isinstance(source, Supplied) else ""
