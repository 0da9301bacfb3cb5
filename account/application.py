"""What the account's stack reads from the application's stack of the same name: its files, never evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.location import Location
from components.names import Names
from components.policies.calls import Feature
from components.policies.deployer import Deployment

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Application:
    """One stack of the application, as `Pulumi.yaml` and the stack file describe it.

    Attributes:
        project: The project's name.
        account_ids: The accounts that the stack allows.
        region: The stack's Region.
        features: The features that its configuration turns on.
        tags: The tags that every resource of the stack has.
        adopted_arns: ARNs of secrets that existed before.
        watched_log_group: Log group of an organization's trail, "" without one.
        redeployed: The ECS services that are redeployed, as `CLUSTER/SERVICE`, by the service's name in the catalogue.
        protected: Whether Pulumi refuses to delete the stack's secrets.
        key_arns: ARNs of customer-managed keys that others own, of adopted secrets and of replicas.
        replica_regions: The Regions whose replicas the execution roles read.
        break_glass_roles: ARNs of the emergency roles that read the values.
    """

    project: str
    account_ids: tuple[str, ...]
    region: str
    features: frozenset[Feature]
    tags: Mapping[str, str]
    adopted_arns: tuple[str, ...]
    watched_log_group: str
    redeployed: Mapping[str, str]
    protected: bool
    key_arns: tuple[str, ...]
    replica_regions: tuple[str, ...]
    break_glass_roles: tuple[str, ...] = ()

    @classmethod
    def read(cls, stack: str, folder: Path | None = None) -> "Application":
        """Read the files.

        Raises:
            FileNotFoundError: When the application has no stack of that name.
        """
        folder = folder or REPOSITORY
        project: str = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
        loaded: Any = yaml.safe_load((folder / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
        return cls.of(project, (loaded or {}).get("config") or {})

    @classmethod
    def of(cls, project: str, config: Mapping[str, Any]) -> "Application":
        """Return a stack from the configuration in its file."""

        def own(key: str) -> Any:
            return config.get(f"{project}:{key}") or {}

        audit, adopted, redeploy = own("audit"), own("adopt"), own("redeploy")
        tags = (config.get("aws:defaultTags") or {}).get("tags") or {}
        return cls(
            project=project,
            account_ids=tuple(map(str, config.get("aws:allowedAccountIds") or ())),
            region=str(config.get("aws:region") or ""),
            features=features(rotation=own("rotation"), redeploy=redeploy, audit=audit, encryption=own("encryption")),
            tags={str(key): str(value) for key, value in tags.items()},
            adopted_arns=tuple(map(str, adopted.values())),
            watched_log_group=str(audit.get("logGroupName") or ""),
            redeployed={
                str(name): f"{redeploy.get('cluster')}/{service}"
                for name, service in (redeploy.get("services") or {}).items()
            },
            protected=_is_on(own("protect")),
            key_arns=(
                *(str(own("secretKmsKeys")[name]) for name in adopted if name in own("secretKmsKeys")),
                *map(str, own("replicaKmsKeys").values() if own("replicaKmsKeys") else ()),
            ),
            replica_regions=tuple(map(str, own("replicaRegions"))) if _is_on(own("grantReplicas")) else (),
            break_glass_roles=tuple(map(str, own("breakGlassRoles"))),
        )

    def deployment(self, stack: str, location: Location, foreign_arns: tuple[str, ...] = ()) -> Deployment:
        """Return what the deployment rights depend on. The configuration key's ARN has the length of the real one."""
        return Deployment(
            names=Names(self.project, stack),
            location=location,
            features=self.features,
            config_key_arn=location.arn("kms", "key/00000000-0000-0000-0000-000000000000"),
            key_tags=self.tags,
            adopted_arns=self.adopted_arns,
            foreign_arns=foreign_arns,
            watched_log_group=self.watched_log_group,
            redeployed=self.redeployed,
            key_arns=self.key_arns,
            replica_regions=self.replica_regions,
            protected=self.protected,
        )


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
