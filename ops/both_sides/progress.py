"""The state of a change of both sides: read from the secret's staging labels and from AWS's state of the server, nothing else.

The version with the new value has these labels until the change is complete:
    AWSPENDING             as in every unfinished rotation: `up`, `set` and `rollback` then refuse
    ops-rotating[-TIME]    this command wrote it; TIME is the server's last change of its value before, where AWS reports it
    ops-accepted           the server accepts it
    ops-current-TIME       it became AWSCURRENT by then; tasks that started later have it
All times are AWS's (UTC), so that the clock of this machine does not count.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from components.labels import ROTATING
from components.references import CURRENT, PENDING
from ops._pending import is_of_ops
from ops._secrets import Record
from ops.both_sides.servers import State

ACCEPTED, CURRENT_SINCE = "ops-accepted", "ops-current-"
_TIME = "%Y%m%dT%H%M%SZ"


class Step(Enum):
    """What comes next; the order of a change."""

    PUT = "write the new value to the secret, as AWSPENDING"
    ACCEPT = "set the new value at the server"
    MARK = "record that the server accepts it"
    PROMOTE = "move AWSCURRENT to the new value"
    DEPLOY = "replace the tasks that read it, and wait until they run"
    FINISH = "remove the previous value from the server"
    CLEAR = "remove the labels of the change"


NUMBERS = {
    Step.PUT: 1, Step.ACCEPT: 2, Step.MARK: 2, Step.PROMOTE: 3, Step.DEPLOY: 4, Step.FINISH: 5, Step.CLEAR: 5,
}  # fmt: skip
"""The numbers of the steps in docs/rotation.md. A run takes one step of each number, unless it resumes where one was cut off."""


@dataclass(frozen=True)
class Progress:
    """The state of a change.

    Attributes:
        step: What comes next.
        version: The version with the new value, None before it is written.
        since: When it became AWSCURRENT at the latest, None before.
    """

    step: Step
    version: str | None = None
    since: datetime | None = None


def progress(record: Record, state: State, *, takes_two: bool) -> Progress:
    """Return the state of a secret's change at a settled server, which accepts one value, or the previous one beside it."""
    version = rotating(record)
    if version is None:
        return Progress(Step.PUT)
    labels = record.stages[version]
    since = _moment(labels, CURRENT_SINCE)
    if since is not None:
        if takes_two and state.changed is not None and state.changed > since:
            step = Step.CLEAR
        elif PENDING in labels:
            step = Step.DEPLOY
        else:
            step = Step.FINISH if takes_two else Step.CLEAR
        return Progress(step, version, since)
    if CURRENT in labels or ACCEPTED in labels:
        return Progress(Step.PROMOTE, version)
    # The server was changed after the value was written, and this command was cut off before it recorded that.
    before = _moment(labels, f"{ROTATING}-")
    known = takes_two and state.changed is not None and before not in {None, state.changed.replace(microsecond=0)}
    return Progress(Step.MARK if known else Step.ACCEPT, version)


def rotating(record: Record) -> str | None:
    """Return the version that a change has written, None when none is under way."""
    return next((version for version in record.stages if is_of_ops(record, version)), None)


def label_rotating(state: State) -> str:
    """Return the label of the version that a change writes."""
    return f"{ROTATING}-{_text(state.changed)}" if state.changed else ROTATING


def label_since(moment: datetime) -> str:
    """Return the label with the time at which a version became AWSCURRENT."""
    return CURRENT_SINCE + _text(moment)


def labels_of(record: Record, version: str) -> tuple[str, ...]:
    """Return the labels of a change that a version still has."""
    ours = (ROTATING, ACCEPTED, PENDING, CURRENT_SINCE)
    return tuple(label for label in record.stages.get(version, ()) if label.startswith(ours))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_TIME)


def _moment(labels: tuple[str, ...], beginning: str) -> datetime | None:
    for label in labels:
        if label.startswith(beginning):
            try:
                return datetime.strptime(label.removeprefix(beginning), _TIME).replace(tzinfo=UTC)
            except ValueError:
                return None
    return None
