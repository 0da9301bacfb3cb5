"""What a check says."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeVar

from ops._errors import DENIED, EXPIRED, INVALID, AwsError, OpsError, code_of, explained, is_aws, unexpected
from ops._stack import Stack, in_sandbox

Status = Literal["ok", "warning", "failure", "unchecked"]

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True)
class Finding:
    """One line of the report. It never holds a secret's value.

    Attributes:
        check: Which check, such as `value-from`; stable, for programs.
        status: `failure`: a task would not start, or breaks soon. `warning`: it starts, but something is not as it should be.
            `unchecked`: the check could not run, so nothing is known.
        subject: What it is about: a secret, a variable, a role.
        found: What was found.
        fix: The command that fixes it and nothing else, ready to paste; "" where no single command does.
        remark: What else to know.
    """

    check: str
    status: Status
    subject: str
    found: str
    fix: str = ""
    remark: str = ""


class UncheckedError(OpsError):
    """A check needs what could not be read; the message says why."""


class Unread(Mapping[_K, _V]):
    """What could not be read, in place of a mapping: a check that needs it can't decide.

    Args:
        why: The reason.
    """

    def __init__(self, why: str) -> None:
        self.why = why

    def _refuse(self, *_: object) -> NoReturn:
        raise UncheckedError(self.why)

    __getitem__ = __iter__ = __len__ = __contains__ = _refuse
    get = keys = values = items = _refuse


def reason(error: Exception) -> str:
    """Return why something could not be read or checked, without any value.

    Raises:
        AwsError: When the credentials are no longer valid: every other check would fail, too.
    """
    found = error if isinstance(error, OpsError) else explained(error) if is_aws(error) else unexpected(error)
    code = found.code if isinstance(found, AwsError) else code_of(error)
    if code in EXPIRED | INVALID:
        raise found from None
    return str(found)


def unchecked(check: str, error: Exception, subject: str = "") -> Finding:
    """Return the finding of a check that failed."""
    code = error.code if isinstance(error, AwsError) else code_of(error)
    remark = "ask for that right" if code in DENIED else ""
    return Finding(check, "unchecked", subject, f"could not be checked: {reason(error)}", remark=remark)


def guarded(check: str, findings: Callable[[], Iterable[Finding]], subject: str = "") -> Iterator[Finding]:
    """Yield the findings of a check; a check that fails is one finding and does not stop the others."""
    try:
        yield from findings()
    except Exception as error:  # noqa: BLE001 - whatever it is, the other checks are still worth having
        yield unchecked(check, error, subject)


def summed_up(check: str, problems: Iterable[Finding], *, ok: str | Callable[[], str]) -> Iterator[Finding]:
    """Yield the problems, or one line that all is well; a failure of the check is a problem, too."""
    found = list(guarded(check, lambda: problems))
    yield from found or guarded(check, lambda: [Finding(check, "ok", "", ok if isinstance(ok, str) else ok())])


def take_anew(stack: Stack) -> str:
    """Return the command that imports a secret of the stack's that was created again outside Pulumi, with its value."""
    command = f"python -m ops recover --stack {stack.environment}"
    # In the sandbox the first command prints the second one.
    return command if in_sandbox() else f"{command} && pulumi up --refresh --stack {stack.environment}"


def put_back(stack: Stack) -> str:
    """Return the command that restores what the program says: it detects changes from outside Pulumi, then reverts them."""
    return again(stack, refresh=True)


def again(stack: Stack, *, refresh: bool = False) -> str:
    """Return the command that brings the stack up again."""
    name = stack.environment
    if in_sandbox():
        first = f"python -m sandbox refresh --stack {name} && " if refresh else ""
        return f"{first}python -m sandbox up --stack {name}"
    return f"pulumi up {'--refresh ' if refresh else ''}--stack {name}"
