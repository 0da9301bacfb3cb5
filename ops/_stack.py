"""A stack as the operator's tools see it: its outputs, from a file, from Pulumi or from the sandbox."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from components import outputs
from components.location import Location
from components.names import Names
from components.outputs import Outputs, Secret, Service, home_of, names_of
from components.references import parse_value_from
from ops._errors import MisuseError
from ops._patience import run_command

ROOT = Path(__file__).parents[1]
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Stack(Outputs[str]):
    """The outputs of one deployed stack, seen from one of its services.

    Attributes:
        chosen: The service whose role, task definition and variables the properties below give; "" is the first one.
    """

    chosen: str = ""

    @property
    def service_name(self) -> str:
        """The chosen service's name in the catalogue."""
        return self.chosen or next(iter(self.services))

    @property
    def service(self) -> Service[str]:
        """The chosen service."""
        return self.services[self.service_name]

    def each(self, name: str | None = None) -> tuple["Stack", ...]:
        """Return this stack as seen from each service, or from the named one alone.

        Raises:
            MisuseError: When there is no such service.
        """
        if name is not None and name not in self.services:
            raise MisuseError(f"stack {self.environment} has no service {name!r}; it has {', '.join(self.services)}")
        return tuple(replace(self, chosen=service) for service in self.services if name in {None, service})

    @property
    def names(self) -> Names:
        """The names of the stack's resources."""
        return names_of(self)

    @property
    def partition(self) -> str:
        """`aws`, `aws-us-gov` or `aws-cn`."""
        return self.location.partition

    @property
    def region(self) -> str:
        """The Region of its task definitions."""
        return self.location.region

    @property
    def account(self) -> str:
        """Twelve digits."""
        return self.location.account_id

    @property
    def location(self) -> Location:
        """Its account and Region, for ARNs."""
        return home_of(self)

    @property
    def references(self) -> frozenset[str]:
        """Every `valueFrom` of any service."""
        return frozenset(text for service in self.services.values() for text in service.container_secrets.values())

    @property
    def every_secret_arn(self) -> Mapping[str, str]:
        """ARN of each secret by its name in the catalogue, foreign ones included."""
        return {name: secret.arn for name, secret in self.secrets.items()}

    @property
    def foreign_arns(self) -> Mapping[str, str]:
        """ARN of each secret that the stack reads and does not own, by its name in the catalogue."""
        return {name: secret.arn for name, secret in self.secrets.items() if secret.foreign}

    @property
    def full_names(self) -> Mapping[str, str]:
        """AWS's name of each secret that the stack created or adopted, by its name in the catalogue."""
        return {name: secret.full_name for name, secret in self.secrets.items() if not secret.foreign}

    @property
    def foreign_key_arns(self) -> Mapping[str, str]:
        """The customer-managed key of each adopted or foreign secret that has one, by name in the catalogue."""
        return {n: s.kms_key_arn for n, s in self.secrets.items() if s.kms_key_arn and s.owner != outputs.STACK}

    def secret_of(self, arn: str) -> Secret[str] | None:
        """Return what the outputs say of a secret, None for one that they do not name."""
        return next((secret for secret in self.secrets.values() if secret.arn == arn), None)

    def referenced_keys(self, arn: str) -> frozenset[str]:
        """Return the JSON keys of a secret that a container gets one by one."""
        found = (parse_value_from(text) for text in self.references)
        return frozenset(reference.key for reference in found if reference.key and reference.arn == arn)

    def variables_of(self, arn: str) -> dict[str, list[str]]:
        """Return the container variables that a secret fills, sorted, by the service's name in the catalogue."""
        found: dict[str, list[str]] = {}
        for name, service in self.services.items():
            for variable, text in sorted(service.container_secrets.items()):
                if parse_value_from(text).arn == arn:
                    found.setdefault(name, []).append(variable)
        return found

    def families_that_read(self, arn: str) -> set[str]:
        """Return the families of the task definitions that reference a secret."""
        return {self.services[name].task_definition_family for name in self.variables_of(arn)}

    def is_foreign(self, arn: str) -> bool:
        """Return whether the stack reads a secret that it does not own."""
        found = self.secret_of(arn)
        return found is not None and found.foreign

    def is_adopted(self, name: str) -> bool:
        """Return whether a secret existed before the stack adopted it."""
        return name in self.secrets and self.secrets[name].owner == outputs.ADOPTED

    def leaves_replica(self, name: str, region: str) -> bool:
        """Return whether a secret that the stack created has a replica in a Region that the configuration no longer names."""
        return region not in self.replica_regions and not self.is_adopted(name)

    def name_of(self, arn: str) -> str:
        """Return the catalogue name of a secret's ARN, the ARN itself for one that the catalogue doesn't have."""
        return next((name for name, known in self.every_secret_arn.items() if known == arn), arn)

    def arn_of(self, name: str) -> str:
        """Return the ARN of a secret by its catalogue name, its full name or its ARN.

        Raises:
            MisuseError: When this stack has no such secret.
        """
        for short, secret in self.secrets.items():
            if name in {short, secret.arn, secret.full_name}:
                return secret.arn
        near = get_close_matches(name, self.secrets, n=1, cutoff=0.4)
        known = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(self.secrets))}"
        raise MisuseError(f"stack {self.environment} has no secret {name!r}; {known}")

    @property
    def place(self) -> str:
        """The environment, account and Region in words, for a question or a heading."""
        return f"{self.environment} (account {self.account}, {self.region})"


def load(stack: str | None = None, outputs_file: Path | None = None) -> Stack:
    """Return a stack's outputs.

    Args:
        stack: The stack's name; by default the one that is selected in Pulumi, in the sandbox that of `python -m sandbox env`.
        outputs_file: A file written by `pulumi stack output --json`; `-` reads the standard input.

    Raises:
        MisuseError: When there are no such outputs, or they aren't this project's.
    """
    if stack == "":
        raise MisuseError("--stack is empty: name the stack, or leave the option out")
    if outputs_file is not None:
        source, raw = str(outputs_file), _from_file(outputs_file)
    elif uses_local_aws() and _sandbox_runs():
        source, raw = "the sandbox", _from_sandbox(stack or selected_in_sandbox())
    else:
        source, raw = "`pulumi stack output`", _from_pulumi(stack)
    found = parse(raw, source)
    if stack and outputs_file and found.environment != stack.rpartition("/")[2]:
        raise MisuseError(f"{source} holds the outputs of stack {found.environment}, not of {stack}")
    return found


def selected_in_sandbox() -> str:
    """Return the stack that `python -m sandbox env` selected; Pulumi reads the same variable."""
    return os.environ.get("PULUMI_STACK", "").rpartition("/")[2] or "dev"


def parse(raw: Mapping[str, Any], source: str) -> Stack:
    """Return the outputs as a Stack.

    Raises:
        MisuseError: When an output is missing or wrong.
    """
    try:
        return Stack(**vars(outputs.parse(raw)))
    except outputs.OutputsError as error:
        raise MisuseError(
            f"{source} does not hold the outputs of a deployed stack: {error}; "
            "run `pulumi up`, then `pulumi stack output --json`"
        ) from None


def uses_local_aws() -> bool:
    """Return whether AWS_ENDPOINT_URL points to this machine: the sandbox, LocalStack, moto."""
    return urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname in _LOOPBACK


def in_sandbox() -> bool:
    """Return whether AWS is the sandbox's, so that its commands fit; a plain stack can be in a local AWS, too."""
    return uses_local_aws() and (_sandbox_runs() or _sandbox_uses_it())


def _from_file(path: Path) -> Mapping[str, Any]:
    try:
        # PowerShell's redirection writes a byte order mark.
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MisuseError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MisuseError(f"{path} is not text") from None
    return _json_object(text, str(path))


def environment_of_sandbox() -> dict[str, str]:
    """Return this process's environment for `python -m sandbox`, which is in this repository wherever it runs."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def find_pulumi(*, built: bool = True) -> str:
    """Return the path of `pulumi`: the user's own, else the one that the sandbox built; MisuseError without any."""
    other = ROOT / "tools" / "bin" / "pulumi"
    found = shutil.which("pulumi") or (str(other) if built and other.is_file() else None)
    if found is None:
        raise MisuseError("there is no `pulumi` on the PATH")
    return found


def last_words(stderr: str) -> str:
    """Return the last line of what Pulumi or the sandbox printed, "" for none, with what to do where Pulumi leaves that open."""
    return with_way(next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), ""))


def with_way(said: str) -> str:
    """Return what Pulumi said, with what to do where it leaves that open."""
    if "PULUMI_ACCESS_TOKEN" in said:
        return f'{said}: run `pulumi login`, or for the sandbox `eval "$(python -m sandbox env)"`'
    return said


def _sandbox_home() -> Path:
    return Path(os.environ.get("SANDBOX_HOME") or ROOT / ".sandbox")


def _sandbox_uses_it() -> bool:
    """Whether the sandbox has a state for this emulator (`--endpoint`)."""
    address = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    return (_sandbox_home() / f"state-{address.hostname}-{address.port}").is_dir()


def _sandbox_runs() -> bool:
    try:
        port = json.loads((_sandbox_home() / "moto.json").read_text(encoding="utf-8"))["port"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).netloc.rpartition(":")[2] == str(port)


def _from_sandbox(stack: str) -> Mapping[str, Any]:
    command = [sys.executable, "-m", "sandbox", "outputs", "--stack", stack, "--json"]
    return _run(command, "`python -m sandbox outputs`", environment_of_sandbox())


def _from_pulumi(stack: str | None) -> Mapping[str, Any]:
    try:
        executable = find_pulumi(built=False)  # a newcomer in the sandbox has that one, and another stack
    except MisuseError as error:
        raise MisuseError(
            f"no stack found: {error}; give --outputs FILE (written by "
            '`pulumi stack output --json`), or for the sandbox `eval "$(python -m sandbox env)"` first'
        ) from None
    command = [executable, "stack", "output", "--json", "--non-interactive", *(("--stack", stack) if stack else ())]
    return _run(command, "`pulumi stack output`", dict(os.environ))


def _run(command: list[str], source: str, environment: Mapping[str, str]) -> Mapping[str, Any]:
    done = run_command(command, source, environment=environment, instead=", or give --outputs FILE")
    if done.returncode:
        raise MisuseError(f"{source}: {last_words(done.stderr) or 'failed'}")
    return _json_object(done.stdout, source)


def _json_object(text: str, source: str) -> Mapping[str, Any]:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        raise MisuseError(f"{source} is not JSON") from None
    if not isinstance(found, dict):
        raise MisuseError(f"{source} is not a JSON object of outputs")
    return cast("Mapping[str, Any]", found)
