"""The official provider plugins in place of the stand-ins: where they come from, and how pulumi-aws finds the local AWS.

Sources: pulumi-terraform-bridge, the SDK's `pulumi-plugin.json`; terraform-provider-aws, "Custom Service Endpoint Configuration"
(2026): an endpoint of the provider's configuration comes first, AWS_ENDPOINT_URL covers every other service.
"""

import importlib.util
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.home import Home, read_json

_FETCH_SECONDS = 900
"""pulumi-aws has 150 MB packed."""

_SERVICES = (
    "cloudtrail", "cloudwatch", "ec2", "ecr", "ecs", "elasticache", "events", "iam", "kms", "lambda", "logs", "rds", "s3",
    "secretsmanager", "sfn", "sns", "sts",
)  # fmt: skip
"""Keys of `aws:endpoints` for the services that the stand-ins know, too."""


@dataclass(frozen=True)
class Plugin:
    """A resource plugin, at the version that its SDK package asks for."""

    name: str
    version: str

    @property
    def folder(self) -> str:
        """Its folder below PULUMI_HOME/plugins."""
        return f"resource-{self.name}-v{self.version}"

    def is_in(self, pulumi_home: Path) -> bool:
        """Whether it is installed there, whole: the CLI leaves `FOLDER.partial` beside one that is not."""
        plugins = pulumi_home / "plugins"
        return (plugins / self.folder / f"pulumi-resource-{self.name}").is_file() and not (
            plugins / f"{self.folder}.partial"
        ).exists()


def required(names: tuple[str, ...] = ("aws", "random")) -> list[Plugin]:
    """Return the plugins at the versions of the installed SDK packages."""
    found: list[Plugin] = []
    for name in names:
        package = importlib.util.find_spec(f"pulumi_{name}")
        if package is None or package.origin is None:
            raise SandboxError(f"the package pulumi-{name} is not installed: pip install -r requirements.txt")
        found.append(Plugin(name, str(read_json(Path(package.origin).parent / "pulumi-plugin.json")["version"])))
    return found


def ensure_installed(home: Home, cli: Path, status: Callable[[str], None]) -> None:
    """Install what is missing in the sandbox's PULUMI_HOME, from the user's or from get.pulumi.com.

    Call it with the user's environment: that names the user's PULUMI_HOME and proxy.

    Raises:
        SandboxError: A plugin is neither installed nor can be fetched.
    """
    users = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    for plugin in required():
        if plugin.is_in(home.pulumi):
            continue
        if plugin.is_in(users):
            _copy(users / "plugins" / plugin.folder, home.pulumi / "plugins" / plugin.folder)
        else:
            status(f"Fetching the official plugin {plugin.name} {plugin.version}, once")
            _fetch(plugin, home, cli)


def configuration(endpoint: str) -> dict[str, Any]:
    """Return the `aws:` keys with which pulumi-aws works on the local AWS.

    The account is asked for: it is a part of ARNs, it is compared with `allowedAccountIds`, and without it every bucket's tags
    fail (terraform-provider-aws#45292). S3 Control puts the account before the host: `123456789012.localhost`.
    """
    by_name = endpoint.replace("127.0.0.1", "localhost")
    return {
        "aws:endpoints": [dict.fromkeys(_SERVICES, endpoint) | {"s3control": by_name}],
        "aws:s3UsePathStyle": True,
        "aws:skipCredentialsValidation": True,
        "aws:skipMetadataApiCheck": True,
        "aws:skipRegionValidation": True,
        "aws:skipRequestingAccountId": False,
    }


def variables(endpoint: str, credentials: Mapping[str, str]) -> dict[str, str]:
    """Return what the plugins' environment needs: credentials, and the endpoint of every service that has no key above."""
    return {**credentials, "AWS_ENDPOINT_URL": endpoint}


def _copy(source: Path, target: Path) -> None:
    """Take a plugin over whole or not at all; links, for it has 700 MB. A link to the folder would not be found by the CLI."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = target.with_name(f".{uuid.uuid4().hex}")
    shutil.copytree(source, partial, copy_function=_link_or_copy)
    try:
        partial.rename(target)
    except OSError:  # another command was first
        shutil.rmtree(partial)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _fetch(plugin: Plugin, home: Home, cli: Path) -> None:
    command = ["plugin", "install", "resource", plugin.name, plugin.version]
    environment = os.environ | {"PULUMI_HOME": str(home.pulumi), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(  # noqa: S603 - the CLI that we found, no shell
            [str(cli), *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_FETCH_SECONDS,
        )
        reason = "" if done.returncode == 0 else _reason(done.stderr)
    except subprocess.TimeoutExpired:
        reason = f"no end after {_FETCH_SECONDS} s"
    if plugin.is_in(home.pulumi):
        return
    line = f"pulumi {' '.join(command)}"
    raise SandboxError(
        f"the official plugin {plugin.name} {plugin.version} is not installed, and fetching it failed: "
        f"{reason or 'no reason given'}\n"
        f"  {line}   on a machine that reaches get.pulumi.com; the sandbox takes it from there\n"
        f"  {line} --file FILE   with an archive that you have\n"
        "Without --official the stand-ins run, which need no download."
    )


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines()]
    first = next((line.partition("Error downloading plugin: ")[2] for line in lines if "Error downloading" in line), "")
    return first or next((line for line in reversed(lines) if line), "")
