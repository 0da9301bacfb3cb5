"""The plain Pulumi CLI, as a user on AWS runs it: S3 backend, awskms, commands in a shell; AWS is the local one.

Three things stand in for what a user has: the provider plugins, the language host, and AWS. The commands are the user's own.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import environment, language_host, local_aws, plugins
from sandbox.home import REPOSITORY, Home
from sandbox.local_aws import Credentials, LocalAws

_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".sandbox", ".*_cache", ".hypothesis", "__pycache__", "tests", "build", "benchmarks"
)
_ANSWERS = """
pulumi() {
    case " $* " in
        *" up "*|*" cancel "*) command pulumi "$@" --yes ;;
        *" config set --secret "*) printf %s "invented-${RANDOM}-${RANDOM}-value" | command pulumi "$@" ;;
        *) command pulumi "$@" ;;
    esac
}
"""
"""What a person answers: yes to what the preview shows, a value where one is asked for."""


def blocks(text: str, language: str = "bash") -> list[str]:
    """The fenced blocks of a document that are in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def bash(
    script: str, folder: Path, variables: Mapping[str, str], *, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a script that stops at its first failure; its standard error is among its output."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout,
    )


@dataclass(frozen=True)
class Shell:
    """A shell in a copy of the repository.

    Attributes:
        project: The copy.
        variables: Its whole environment.
        aws: The local AWS.
        key: The credentials of the shell's account.
    """

    project: Path
    variables: dict[str, str]
    aws: LocalAws
    key: Credentials

    def client(self, service: str) -> Any:
        """Return a client of the shell's account and Region."""
        return self.aws.client(service, region=self.variables["AWS_REGION"], credentials=self.key)

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a script; its standard error is among its output."""
        return bash(_ANSWERS + script, self.project, {**self.variables, **more}, timeout=300)

    def ok(self, script: str, **more: str) -> str:
        """Run a script that must end well; return what it printed."""
        done = self.run(script, **more)
        assert done.returncode == 0, done.stdout
        return done.stdout


@contextmanager
def own_local_aws(folder: Path) -> Generator[Home]:
    """Run a local AWS of one's own: the accounts' numbers are those of the documents."""
    home = Home(folder)
    home.prepare()
    local_aws.ensure(home, None, status=lambda _text: None, say=lambda _text: None, forget=lambda _folder: [])
    try:
        yield home
    finally:
        local_aws.stop(home)


@contextmanager
def shell(
    home: Home, cli: Path, python: Path, folder: Path, account: str, *, region: str = "eu-central-1"
) -> Generator[Shell]:
    """Give a shell whose AWS is one account of the local AWS that runs in `home`.

    Args:
        home: The sandbox's home.
        cli: The Pulumi CLI.
        python: What runs the programs, and `python` in the shell.
        folder: A new folder for the copy of the repository, the home of the user and the language host.
        account: The account.
        region: Its Region.
    """
    project = folder / "project"
    if not project.exists():
        shutil.copytree(REPOSITORY, project, ignore=_LEFT_OUT)
        (project / ".venv").symlink_to(Path(sys.prefix))
    tools, user = folder / "bin", folder / "home"
    for path in (tools, user):
        path.mkdir(exist_ok=True)
    language_host.installed(tools)
    with environment.applied(environment.clean(home)):
        aws = local_aws.running(home)
    assert aws is not None
    key = aws.credentials(account)
    with plugins.stand_ins(aws, account) as places:
        variables = {
            **places,
            **key.variables(),
            "PATH": os.pathsep.join(
                (str(tools), str(cli.parent), str(python.parent), str(Path(sys.executable).parent), "/usr/bin", "/bin")
            ),
            "PROGRAMS_PYTHON": str(python),
            "HOME": str(user),
            "PULUMI_HOME": str(user / ".pulumi"),  # Pulumi asks the system, not HOME
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        yield Shell(project, variables, aws, key)
