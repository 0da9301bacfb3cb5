"""What the account's stack reads from the application's stack of the same name: its files, never evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.location import Location, partition_of
from components.names import Names
from components.policies.calls import Feature
from components.policies.deployer import Deployment

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Application:
    """One stack of the application, as `Pulumi.yaml` and the stack file describe it.

    Attributes:
        account_ids: The accounts that the stack allows.
        region: The stack's Region.
        break_glass_roles: ARNs of the emergency roles that read the values.
        stack: What its deployment rights depend on, as far as the files tell.
    """

    account_ids: tuple[str, ...]
    region: str
    break_glass_roles: tuple[str, ...]
    stack: Deployment

    @classmethod
    def read(cls, stack: str, folder: Path | None = None) -> "Application":
        """Read the files.

        Raises:
            FileNotFoundError: When the application has no stack of that name.
        """
        folder = folder or REPOSITORY
        project: str = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
        loaded: Any = yaml.safe_load((folder / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
        return cls.of(Names(project, stack), (loaded or {}).get("config") or {})

    @classmethod
    def of(cls, names: Names, config: Mapping[str, Any]) -> "Application":
        """Return a stack from the configuration in its file."""

        def own(key: str) -> Any:
            return config.get(f"{names.project}:{key}") or {}

        audit, adopted, redeploy = own("audit"), own("adopt"), own("redeploy")
        account_ids = tuple(map(str, config.get("aws:allowedAccountIds") or ()))
        region = str(config.get("aws:region") or "")
        location = Location(partition_of(region), region, account_ids[0] if account_ids else "")
        tags = (config.get("aws:defaultTags") or {}).get("tags") or {}
        stack = Deployment(
            names=names,
            location=location,
            features=features(rotation=own("rotation"), redeploy=redeploy, audit=audit, encryption=own("encryption")),
            # It has the length of the real one.
            config_key_arn=location.arn("kms", "key/00000000-0000-0000-0000-000000000000"),
            key_tags={str(key): str(value) for key, value in tags.items()},
            adopted_arns=tuple(map(str, adopted.values())),
            watched_log_group=str(audit.get("logGroupName") or ""),
            redeployed={
                str(name): f"{redeploy.get('cluster')}/{service}"
                for name, service in (redeploy.get("services") or {}).items()
            },
            key_arns=(
                *(str(own("secretKmsKeys")[name]) for name in adopted if name in own("secretKmsKeys")),
                *map(str, own("replicaKmsKeys").values() if own("replicaKmsKeys") else ()),
            ),
            replica_regions=tuple(map(str, own("replicaRegions"))) if _is_on(own("grantReplicas")) else (),
            protected=_is_on(own("protect")),
        )
        return cls(account_ids, region, tuple(map(str, own("breakGlassRoles"))), stack)


def _is_on(value: object) -> bool:
    """Whether a configuration value is true; Pulumi writes it as text."""
    return str(value).lower() == "true"


def features(
    *, rotation: Mapping[str, Any], redeploy: Mapping[str, Any], audit: Mapping[str, Any], encryption: str
) -> frozenset[Feature]:
    """Return the features that these sections of a stack's configuration turn on."""
    found: dict[Feature, bool] = {
        "encryption": bool(encryption) and encryption != "aws-managed",
        "rotation": bool(rotation),
        "redeploy": bool(redeploy),
        "audit": bool(audit),
        "trail": bool(audit) and audit.get("trail", "create") == "create",
    }
    return frozenset(feature for feature, on in found.items() if on)
