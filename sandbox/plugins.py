"""Puts the stand-in provider plugins into the sandbox's own Pulumi home, at exactly the versions that the SDKs ask for."""

import shlex
import sys
from importlib.metadata import version
from pathlib import Path

from sandbox.home import REPOSITORY, Home
from sandbox.pulumi_process import PulumiProcess

PROVIDERS = {"aws": "pulumi_aws", "random": "pulumi_random"}
"""The stand-ins, with the distribution whose version each one takes."""


def install(home: Home, pulumi: PulumiProcess) -> None:
    """Install the stand-ins; does nothing when they are there and unchanged."""
    for provider, distribution in PROVIDERS.items():
        number = version(distribution)
        wrapper = _wrapper(provider)
        installed = home.pulumi / "plugins" / f"resource-{provider}-v{number}" / f"pulumi-resource-{provider}"
        if installed.exists() and installed.read_text(encoding="utf-8") == wrapper:
            continue
        script = home.root / f"pulumi-resource-{provider}"
        script.write_text(wrapper, encoding="utf-8")
        script.chmod(0o755)
        pulumi.execute(
            ["plugin", "install", "resource", provider, number, "--file", str(script), "--reinstall"], home.root
        )
        script.unlink()


def _wrapper(provider: str) -> str:
    # The pid file lets a later command end a plugin whose engine was killed (recovery.py); exec keeps the pid.
    python = shlex.quote(str(Path(sys.executable)))
    return (
        "#!/bin/sh\n"
        '[ -n "$SANDBOX_PIDS" ] && : > "$SANDBOX_PIDS/plugin-$$"\n'
        f'PYTHONPATH={shlex.quote(str(REPOSITORY))} exec {python} -P -m sandbox.providers {provider} "$@"\n'
    )
