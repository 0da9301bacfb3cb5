"""What is fine alone and wrong together."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from model import limits
from model.declarations import Declaration, Generated, JsonSecret, Problem, Source, Supplied, TextSecret

if TYPE_CHECKING:
    from config.settings import RotationSettings, Settings


def together(settings: "Settings", region: str | None) -> Iterator[Problem]:
    """Yield the problems of keys that contradict each other: key, what was found, what is allowed."""
    yield from _sizes(settings)
    if settings.remind_every_days and settings.audit is None:
        yield "rotation.remindEveryDays", "needs the alarm topic", "configure audit as well"
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
    if settings.rotation:
        yield from _rotation(settings.rotation, {d.name: d for d in settings.catalogue})


def _rotation(rotation: "RotationSettings", catalogue: Mapping[str, Declaration]) -> Iterator[Problem]:
    alternating = rotation.strategy == "alternating-users"
    rotated, superuser = catalogue.get(rotation.secret), catalogue.get(rotation.superuser or "")
    if alternating and rotated and rotation.secret == rotation.superuser:
        yield "rotation.superuser", "is the secret that rotates", "the secret of a user who may change others"
    if alternating and rotated and not _has_username(rotated):
        yield "rotation.secret", f"{rotation.secret} holds no username", "a JSON secret of username and password"
    if not alternating and rotated and not isinstance(rotated, TextSecret):
        yield "rotation.secret", f"{rotation.secret} is a JSON", "single-user rotates a text secret"
    signs_in = superuser if alternating else rotated
    if isinstance(signs_in, TextSecret) and not rotation.username:
        yield "rotation.username", "is required", f"the user whose password {signs_in.name} is"
    if isinstance(signs_in, JsonSecret) and rotation.username:
        yield "rotation.username", f"but {signs_in.name} holds the username itself", "no rotation.username"


def _has_username(declaration: Declaration) -> bool:
    if not isinstance(declaration, JsonSecret):
        return False
    return not isinstance(declaration.keys, Mapping) or {"username", "password"} <= declaration.keys.keys()


def _sizes(settings: "Settings") -> Iterator[Problem]:
    for declaration in settings.catalogue:
        if isinstance(declaration, JsonSecret) and isinstance(declaration.keys, Mapping):
            longest = {key: _longest(source, settings.values) for key, source in declaration.keys.items()}
            size = len(json.dumps(longest).encode())
            if size > limits.MAX_VALUE_BYTES:
                found = f"has {size:,} bytes as JSON; Secrets Manager takes {limits.MAX_VALUE_BYTES:,}"
                yield declaration.name, found, "shorter values"


def _longest(source: Source, values: Mapping[str, str]) -> str:
    """Return a text as long as the source's value will be."""
    if isinstance(source, Generated):
        return values.get(source.config_key, "x" * source.length)
    return values.get(source.config_key, "") if isinstance(source, Supplied) else ""
