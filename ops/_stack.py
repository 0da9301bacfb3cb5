"""A stack as the operator's tools see it: its outputs, from a file, from Pulumi or from the sandbox."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from model import outputs
from ops._errors import MisuseError

ROOT = Path(__file__).parents[1]
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_COMMAND_SECONDS = 120
_ARN_FIELDS = 6
_ARN_COLONS = 6
"""In the ARN of a secret."""


@dataclass(frozen=True)
class Stack:
    """The outputs of one deployed stack (`outputs.py` says what each means), and where it lives.

    Attributes:
        partition: `aws`, `aws-us-gov` or `aws-cn`.
        region: The Region of its task definition.
        account: Twelve digits.
    """

    environment: str
    secret_arns: Mapping[str, str]
    secret_names: Mapping[str, str]
    container_secrets: Mapping[str, str]
    execution_role_arn: str
    task_role_arn: str
    task_definition_arn: str
    task_definition_family: str
    log_group_name: str
    kms_key_arn: str | None
    alarm_topic_arn: str | None
    monthly_cost_usd: float
    partition: str
    region: str
    account: str

    def name_of(self, arn: str) -> str:
        """Return the catalogue name of a secret's ARN, the ARN itself for a secret of somebody else."""
        return next((name for name, known in self.secret_arns.items() if known == arn), arn)

    def arn_of(self, name: str) -> str:
        """Return the ARN of a secret by its catalogue name, its full name or its ARN.

        Raises:
            MisuseError: When this stack has no such secret.
        """
        for short, arn in self.secret_arns.items():
            if name in {short, arn, self.secret_names.get(short)}:
                return arn
        near = get_close_matches(name, self.secret_arns, n=1, cutoff=0.4)
        known = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(self.secret_arns))}"
        raise MisuseError(f"stack {self.environment} has no secret {name!r}; {known}")

    @property
    def place(self) -> str:
        """The environment, account and Region in words, for a question or a heading."""
        return f"{self.environment} (account {self.account}, {self.region})"


def load(stack: str | None = None, outputs_file: Path | None = None) -> Stack:
    """Return a stack's outputs.

    Args:
        stack: The stack's name; by default the one that is selected in Pulumi, `dev` in the sandbox.
        outputs_file: A file made by `pulumi stack output --json`; `-` reads the standard input.

    Raises:
        MisuseError: When there are no such outputs, or they aren't this project's.
    """
    if stack == "":
        raise MisuseError("--stack is empty: name the stack, or leave the option out")
    if outputs_file is not None:
        source, raw = str(outputs_file), _from_file(outputs_file)
    elif uses_local_aws() and _sandbox_runs():
        source, raw = "the sandbox", _from_sandbox(stack or "dev")
    else:
        source, raw = "`pulumi stack output`", _from_pulumi(stack)
    found = parse(raw, source)
    if stack and outputs_file and found.environment != stack.rpartition("/")[2]:
        raise MisuseError(f"{source} holds the outputs of stack {found.environment}, not of {stack}")
    return found


def parse(raw: Mapping[str, Any], source: str) -> Stack:
    """Return the outputs as a Stack.

    Raises:
        MisuseError: When an output is missing or is of another kind.
    """
    kinds: dict[str, tuple[type, ...]] = dict.fromkeys(outputs.ALL, (str,))
    for name in (outputs.SECRET_ARNS, outputs.SECRET_NAMES, outputs.CONTAINER_SECRETS):
        kinds[name] = (dict,)
    for name in (outputs.KMS_KEY_ARN, outputs.ALARM_TOPIC_ARN):
        kinds[name] = (str, type(None))
    kinds[outputs.MONTHLY_COST_USD] = (int, float)
    # Pulumi leaves an output that is null out of the state, so that an absent one means null.
    wrong = [name for name, allowed in kinds.items() if not isinstance(raw.get(name), allowed)]
    if wrong:
        raise MisuseError(
            f"{source} holds no outputs of a deployed stack of this project: {', '.join(wrong)} missing or wrong; "
            "run `pulumi up`, then `pulumi stack output --json`"
        )
    for name in (outputs.SECRET_ARNS, outputs.SECRET_NAMES, outputs.CONTAINER_SECRETS):
        if not all(isinstance(value, str) for value in raw[name].values()):
            raise MisuseError(f"{source}: {name} holds something else than text")
    arns, names = raw[outputs.SECRET_ARNS], raw[outputs.SECRET_NAMES]
    if not arns.keys() <= names.keys() or any(text.count(":") != _ARN_COLONS for text in arns.values()):
        raise MisuseError(f"{source}: {outputs.SECRET_ARNS} are no ARNs, or {outputs.SECRET_NAMES} lack some of them")
    fields = {name: raw.get(name) for name in outputs.ALL}
    arn = str(raw[outputs.TASK_DEFINITION_ARN]).split(":")
    if len(arn) < _ARN_FIELDS:
        raise MisuseError(f"{source}: {outputs.TASK_DEFINITION_ARN} is no ARN")
    return Stack(**cast("dict[str, Any]", fields), partition=arn[1], region=arn[3], account=arn[4])


def uses_local_aws() -> bool:
    """Tell whether AWS_ENDPOINT_URL points to this machine: the sandbox, LocalStack, moto."""
    return urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname in _LOOPBACK


def _from_file(path: Path) -> Mapping[str, Any]:
    try:
        # PowerShell's redirection writes a byte order mark.
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MisuseError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MisuseError(f"{path} is no text") from None
    return _json_object(text, str(path))


def _sandbox_runs() -> bool:
    home = Path(os.environ.get("SANDBOX_HOME") or ROOT / ".sandbox")
    try:
        port = json.loads((home / "moto.json").read_text(encoding="utf-8"))["port"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).netloc.rpartition(":")[2] == str(port)


def _from_sandbox(stack: str) -> Mapping[str, Any]:
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "sandbox", "outputs", "--stack", stack, "--json"]
    return _run(command, "`python -m sandbox outputs`", environment)


def _from_pulumi(stack: str | None) -> Mapping[str, Any]:
    executable = shutil.which("pulumi")
    if executable is None:
        raise MisuseError(
            "no stack to look at: there is no `pulumi` on the PATH; give --outputs FILE (made by "
            '`pulumi stack output --json`), or for the sandbox `eval "$(python -m sandbox env)"` first'
        )
    command = [executable, "stack", "output", "--json", "--non-interactive", *(("--stack", stack) if stack else ())]
    return _run(command, "`pulumi stack output`", dict(os.environ))


def _run(command: list[str], source: str, environment: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command and a stack's name, no shell
            command, capture_output=True, text=True, check=False, env=environment, timeout=_COMMAND_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise MisuseError(f"{source} gave no answer within {_COMMAND_SECONDS} s; give --outputs FILE") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise MisuseError(f"{source}: {said[-1].strip() if said else 'failed'}")
    return _json_object(done.stdout, source)


def _json_object(text: str, source: str) -> Mapping[str, Any]:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        raise MisuseError(f"{source} holds no JSON") from None
    if not isinstance(found, dict):
        raise MisuseError(f"{source} holds no JSON object of outputs")
    return cast("Mapping[str, Any]", found)
