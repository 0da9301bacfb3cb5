"""A provider plugin as the CLI starts an installed one, in the official one's place: `recording_plugin.py NAME RECORD`.

It records the configuration that it gets, makes the stand-ins' calls, and only where that configuration and its environment say.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from pulumi.runtime.proto import provider_pb2_grpc

from sandbox import language_host
from sandbox.home import REPOSITORY
from sandbox.official import required
from sandbox.providers._server import Servicer
from sandbox.providers._values import Properties
from sandbox.providers.aws import AwsPlugin
from sandbox.providers.aws._session import Connection
from sandbox.providers.random_ import RandomPlugin

NOWHERE = "http://127.0.0.1:1"
_BOTO = {"sfn": "stepfunctions"}


class RecordingAws(AwsPlugin):
    """pulumi-aws: its calls go to the configured endpoints and nowhere else."""

    def __init__(self, record: Path) -> None:
        key, secret, token = (
            os.environ[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
        )
        super().__init__(Connection(NOWHERE, key, secret, token, record=None))
        self._record = record

    def configure(self, config: Properties) -> None:
        """Write the configuration down, as JSON, one line a provider."""
        settings: dict[str, Any] = {key: str(value) for key, value in config.items()}
        with self._record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(settings | {"AWS_ENDPOINT_URL": os.environ.get("AWS_ENDPOINT_URL")}) + "\n")
        (endpoints,) = json.loads(str(config["endpoints"]))
        named = {_BOTO.get(service, service): url for service, url in endpoints.items()}
        super().configure({**config, "endpoints": json.dumps([named])})


def install(pulumi_home: Path, record: Path) -> None:
    """Put both plugins where `pulumi plugin install` puts the official ones."""
    for plugin in required():
        folder = pulumi_home / "plugins" / plugin.folder
        folder.mkdir(parents=True)
        script = folder / f"pulumi-resource-{plugin.name}"
        script.write_text(
            f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" -P "{__file__}" {plugin.name} "{record}"\n',
            encoding="utf-8",
        )
        script.chmod(0o755)


def main(name: str, record: str) -> None:
    """Serve until the engine ends this process, or is gone itself."""
    plugin = RecordingAws(Path(record)) if name == "aws" else RandomPlugin()
    register = provider_pb2_grpc.add_ResourceProviderServicer_to_server
    language_host.serve(register, Servicer(plugin), threads=32)


if __name__ == "__main__":
    main(*sys.argv[1:])
