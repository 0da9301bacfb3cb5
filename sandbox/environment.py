"""The environment of the engine and the program: an allow-list of the user's variables, and the sandbox's.

Nothing that names an AWS account, a Pulumi backend, a proxy or a home folder of the user's passes.
"""

import contextlib
import os
from collections.abc import Generator, Mapping

from sandbox.home import Home

_ALLOWED = (
    "PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "USER", "LOGNAME", "VIRTUAL_ENV", "CI", "SANDBOX_HOME",
    "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED",
    "SANDBOX_RECORD_CALLS", "ECS_SECRETS_LIST_ONLY",
)  # fmt: skip


def clean(home: Home) -> dict[str, str]:
    """What the program and boto3 see in the sandbox's own process."""
    allowed = {name: value for name, value in os.environ.items() if name in _ALLOWED or name.startswith("LC_")}
    return allowed | {
        "HOME": str(home.user_home),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def engine(home: Home, emulator: str) -> dict[str, str]:
    """What the Pulumi CLI sees."""
    return clean(home) | {
        "PULUMI_HOME": str(home.pulumi),
        # No sidecar files: an engine that is killed while it writes one leaves it empty, and then no state can be read.
        "PULUMI_BACKEND_URL": f"{home.state(emulator).as_uri()}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(home.passphrase),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        "PULUMI_LOG_ROTATION_MAX_TOTAL_MB": "20",
        "PULUMI_AUTOMATION_API": "true",
        # The engine writes the whole state twice for each resource that it creates, and so leaves a lot of garbage: collected a
        # fourth as often, an `up` of 30 secrets takes 15 % less time. Of 300 secrets, it would need 2.2 GiB.
        "GOGC": "400",
        "GOMEMLIMIT": "1GiB",
    }


@contextlib.contextmanager
def applied(environment: Mapping[str, str]) -> Generator[None]:
    """Run the block with exactly this environment, then restore the process's own."""
    saved = dict(os.environ)
    _replace(environment)
    try:
        yield
    finally:
        _replace(saved)


def _replace(environment: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
