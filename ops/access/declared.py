"""What the account's project declares: the principals that the pipeline's roles trust, and who else decrypts Pulumi's state."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from ops._errors import MisuseError
from ops._stack import ROOT, Stack

PipelineKind = Literal["deployer", "previewer", "reviewer"]
"""The kinds of the roles that account/ creates; their names end with them."""

PIPELINE: tuple[PipelineKind, ...] = get_args(PipelineKind)

_ISSUER = "https://token.actions.githubusercontent.com"
_AUDIENCE = "sts.amazonaws.com"
"""Defaults of account/Pulumi.yaml."""


@dataclass(frozen=True)
class Declared:
    """The configuration of the account's stack.

    Attributes:
        file: Its path from the repository's root.
        issuer: The identity provider, without `https://`.
        audience: The tokens' audience.
        subjects: The tokens' subjects that each role trusts.
        principals: ARNs of roles and users that assume the deployer's role as well.
        decrypt: ARNs of others that are allowed to decrypt the configuration and the state.
    """

    file: str
    issuer: str
    audience: str
    subjects: Mapping[PipelineKind, tuple[str, ...]]
    principals: tuple[str, ...]
    decrypt: tuple[str, ...]


def read(stack: Stack, root: Path | None = None) -> Declared | None:
    """Return what account/Pulumi.<stack>.yaml declares; None where this checkout has no such file for this application.

    Raises:
        MisuseError: When a file is not YAML, or a list is not a list.
    """
    root = root or ROOT
    file = f"account/Pulumi.{stack.environment}.yaml"
    own, account = (_loaded(root / name).get("name") for name in ("Pulumi.yaml", "account/Pulumi.yaml"))
    if own != stack.names.project or not account or not (root / file).is_file():
        return None
    config: Mapping[str, Any] = _loaded(root / file).get("config") or {}
    application: Mapping[str, Any] = _loaded(root / f"Pulumi.{stack.environment}.yaml").get("config") or {}

    def texts(source: Mapping[str, Any], key: str) -> tuple[str, ...]:
        found = source.get(key) or []
        if not isinstance(found, list):
            raise MisuseError(f"{file}: {key} is not a list")
        return tuple(map(str, found))

    return Declared(
        file=file,
        issuer=str(config.get(f"{account}:issuer") or _ISSUER).removeprefix("https://").rstrip("/"),
        audience=str(config.get(f"{account}:audience") or _AUDIENCE),
        subjects={kind: texts(config, f"{account}:{kind}Subjects") for kind in PIPELINE},
        principals=texts(config, f"{account}:deployerPrincipals"),
        decrypt=(
            *texts(config, f"{account}:configurationPrincipals"),
            *texts(application, f"{own}:breakGlassRoles"),
        ),
    )


def _loaded(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError):
        raise MisuseError(f"{path} is not YAML") from None
    return found if isinstance(found, dict) else {}
