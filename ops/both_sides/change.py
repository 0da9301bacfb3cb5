"""The steps of a change of both sides; each can be repeated, and the next run resumes where one was cut off."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from components.acceptance import named, rotate_command
from components.outputs import Part
from components.references import CURRENT, PENDING
from ops._aws import Aws
from ops._errors import AwsError, MisuseError, OpsError, aws_errors, code_of, explained
from ops._json import json_object
from ops._pending import left_over, settle
from ops._secrets import Record, Value, describe, read_value
from ops._stack import Stack
from ops.both_sides.progress import (
    ACCEPTED,
    NUMBERS,
    ROTATING,
    Progress,
    Step,
    label_rotating,
    label_since,
    labels_of,
    progress,
    rotating,
)
from ops.both_sides.servers import Server, State
from ops.doctor.service import Service, find, read

_CHARACTERS = 32
_ATTEMPTS = 20
_SETTLE_SECONDS = 5.0
"""The pause before AWS is asked whether the server has applied a change: its state lags behind for a moment."""
_POLL_SECONDS = 3.0


@dataclass(frozen=True)
class Change:
    """One change of a value at a server and in a secret.

    Attributes:
        key: The JSON key, "" for a text.
        say: Called with each step.
        deadline: `time.monotonic()` at which waiting ends.
        deployed: Whether the operator confirms that every task was replaced.
    """

    aws: Aws
    stack: Stack
    arn: str
    key: str
    part: Part
    server: Server
    say: Callable[[str], None]
    deadline: float
    deployed: bool = False

    @property
    def subject(self) -> str:
        """The secret and its key, for people."""
        name = self.stack.name_of(self.arn)
        return f"{name} key {self.key}" if self.key else name

    @property
    def again(self) -> str:
        """The command that resumes."""
        return rotate_command(self.stack.name_of(self.arn), self.key, self.stack.environment)

    def where(self) -> Progress:
        """Return the state of the change; an AwsError says that the secret is gone, or another rotation has not ended."""
        record = self.record()
        pending = record.version(PENDING)
        if pending not in {None, rotating(record), record.version(CURRENT), left_over(record)}:
            raise AwsError(
                f"a rotation of {self.subject} that another tool started has not ended: version {pending} is {PENDING}"
            )
        return progress(record, self._settled(), takes_two=self.server.takes_two)

    def record(self) -> Record:
        """Return the secret as it is now."""
        found = describe(self.aws, self.arn)
        if found is None or found.deleted:
            raise AwsError(f"{self.stack.name_of(self.arn)} doesn't exist any more, or is marked for deletion")
        return found

    def run(self) -> str:
        """Take every remaining step; return the version that is AWSCURRENT then.

        Raises:
            OpsError: When a step fails; the message says where the change is and how to resume it.
        """
        steps: dict[Step, Callable[[Progress], None]] = {
            Step.PUT: self._put,
            Step.ACCEPT: self._accept,
            Step.MARK: self._mark,
            Step.PROMOTE: self._promote,
            Step.DEPLOY: self._deploy,
            Step.FINISH: self._finish,
            Step.CLEAR: self._clear,
        }
        version, at = "", Progress(Step.PUT)
        try:
            at = self.where()
            while True:
                self.say(f"{NUMBERS[at.step]}/{NUMBERS[Step.CLEAR]} {self.told(at.step)}")
                steps[at.step](at)
                version = at.version or version
                if at.step in {Step.FINISH, Step.CLEAR}:
                    return version
                at = self.where()
                if at.step is Step.PUT and version:
                    self.say("Another run of this command has taken the last steps.")
                    return version
        except OpsError as error:
            raise type(error)(f"{error}\n{self._stopped(at)}") from None
        except aws_errors() as error:
            raise AwsError(f"{explained(error)}\n{self._stopped(at)}") from None
        except BaseException:  # Ctrl-C, or a bug
            self.say(self._stopped(at))
            raise

    def _stopped(self, at: Progress) -> str:
        safe = _MAYBE if at.step is Step.ACCEPT and not self.server.takes_two else _SAFE[at.step]
        return f"{self.subject} stopped at: {self.told(at.step)}. {safe} Resume:\n  {self.again}"

    def told(self, step: Step) -> str:
        """Return a step in words, with the server's name."""
        return step.value.replace("the server", self.server.label)

    def _settled(self) -> State:
        while not (state := self.server.state()).settled:
            self._wait(f"{self.server.label} has not applied the change yet")
        return state

    def _wait(self, what: str) -> None:
        if time.monotonic() > self.deadline:
            raise AwsError(f"{what}; timed out")
        time.sleep(_POLL_SECONDS)

    def _put(self, _: Progress) -> None:
        record = self.record()
        settle(self.aws, record)
        made = self.aws.client("secretsmanager").get_random_password(
            PasswordLength=_CHARACTERS, ExcludePunctuation=True
        )
        value = self._with(str(made["RandomPassword"]))
        labels = PENDING, label_rotating(self.server.state())
        for attempt in range(_ATTEMPTS):
            # Two runs that start at the same moment choose the same id, and AWS takes one value for it.
            name = f"{self.arn} {self.key} {record.version(CURRENT)} {attempt}"
            token = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
            try:
                self._put_version(value, labels, token)
            except aws_errors() as error:
                if code_of(error) != "ResourceExistsException":
                    raise
                now = self.record()
                if token in now.stages and not rotating(now):
                    raise MisuseError(f"another run of this command has changed {self.subject} meanwhile") from None
                if not rotating(now):
                    continue  # a version of a change that somebody cancelled
                self.say("    another run of this command was faster; following its change")
            return
        raise AwsError(f"{_ATTEMPTS} changes of {self.subject} were cancelled before: remove them first")

    def _accept(self, at: Progress) -> None:
        self._at_server(self.server.accept, at)
        self._mark(at)

    def _mark(self, at: Progress) -> None:
        if rotating(self.record()) == at.version:  # otherwise another run has ended the change meanwhile
            self._label(ACCEPTED, to=at.version)

    def _promote(self, at: Progress) -> None:
        record, version = self.record(), at.version
        if rotating(record) != version:
            return  # another run has ended the change meanwhile
        current = record.version(CURRENT)
        if current != version:
            wanted = self._with(self._value(self._version(at)))
            if self._version(at).text != wanted:
                # Another key of the JSON changed after the value was written.
                version = self._put_version(wanted, labels_of(record, version or ""))
            self._label(CURRENT, to=version, away=current)
        # By AWS's clock, not by this machine's: a later moment would count new tasks as old.
        self._label(label_since(self._now() + timedelta(seconds=1)), to=version)

    def _deploy(self, at: Progress) -> None:
        if not self.deployed:
            self._wait_for_tasks(at.since or self._now())
        self._label(PENDING, away=at.version)

    def _finish(self, at: Progress) -> None:
        self._at_server(self.server.accept_only, at)
        self._clear(at)

    def _at_server(self, change: Callable[[str], None], at: Progress) -> None:
        change(self._value(self._version(at)))
        time.sleep(_SETTLE_SECONDS)
        self._settled()

    def _clear(self, at: Progress) -> None:
        labels = labels_of(self.record(), at.version or "")
        for label in sorted(labels, key=lambda label: label.startswith(ROTATING)):  # the last one says: under way
            self._label(label, away=at.version)

    def _wait_for_tasks(self, since: datetime) -> None:
        families = self.stack.families_that_read(self.arn)
        if not families:
            return
        begun = set[str]()
        while True:
            found = find(self.aws, families)
            if found.gaps or not found.services:
                raise AwsError(_unseen(found.gaps, self.again))
            services = [(raw, read(self.aws, raw)) for raw in found.services]
            late = [service for _, service in services if not _runs_since(service, since)]
            if not late:
                return
            for raw, service in services:
                if service in late and service.label not in begun and not _deploys_since(raw, since):
                    begun.add(service.label)
                    self._start_deployment(service)
            self._wait(f"tasks of {', '.join(service.label for service in late)} still have the previous value")

    def _start_deployment(self, service: Service) -> None:
        if not service.is_deployed_by_ecs:
            raise AwsError(
                f"{service.label} is deployed by {service.controller}: start a deployment there, and when every task was "
                f"replaced: {self.again} --deployed"
            )
        self.say(f"    deploying {service.label}")
        self.aws.client("ecs").update_service(cluster=service.cluster, service=service.name, forceNewDeployment=True)

    def _version(self, at: Progress) -> Value:
        return read_value(self.aws, self.arn, version_id=at.version)

    def _with(self, value: str) -> str:
        """Return the secret's whole value with the new part."""
        if not self.key:
            return value
        return json.dumps(self._object(read_value(self.aws, self.arn)) | {self.key: value}, ensure_ascii=False)

    def _value(self, version: Value) -> str:
        return str(self._object(version)[self.key]) if self.key else str(version.text)

    def _object(self, version: Value) -> dict[str, Any]:
        found = json_object(version.text or "")
        if found is None or self.key not in found:
            raise MisuseError(f"{self.stack.name_of(self.arn)} has no key {self.key} in its JSON")
        return dict(found)

    def _put_version(self, text: str, labels: tuple[str, ...], token: str = "") -> str:
        given = {"ClientRequestToken": token} if token else {}
        put = self.aws.client("secretsmanager").put_secret_value(
            SecretId=self.arn, SecretString=text, VersionStages=list(labels), **given
        )
        return str(put["VersionId"])

    def _label(self, label: str, *, to: str | None = None, away: str | None = None) -> None:
        holder = self.record().version(label)
        if holder == to or (to is None and away not in {None, holder}):
            return
        given = {"MoveToVersionId": to} if to else {}
        given |= {"RemoveFromVersionId": away or holder} if away or holder else {}
        self.aws.client("secretsmanager").update_secret_version_stage(SecretId=self.arn, VersionStage=label, **given)

    def _now(self) -> datetime:
        """Return the time of AWS's clock."""
        answer = self.aws.client("secretsmanager").describe_secret(SecretId=self.arn)
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])


_MAYBE = "Until it has taken the new value, which the secret holds as AWSPENDING, the server accepts the current one."
_SAFE = {
    Step.PUT: "Nothing was changed.",
    Step.ACCEPT: "The secret's current value is the one before, and the server accepts it.",
    Step.MARK: "The server accepts the new value.",
    Step.PROMOTE: "The server accepts the new value, which the secret holds as AWSPENDING.",
    Step.DEPLOY: "The server accepts the secret's current value.",
    Step.FINISH: "The server accepts the secret's current value, and the one before.",
    Step.CLEAR: "The server accepts the secret's current value.",
}


def _runs_since(service: Service, since: datetime) -> bool:
    """Return whether every task that the service wants runs, and started after a moment; an unreadable answer counts as no."""
    started = [task.started for task in service.active]
    fresh = all(moment is not None and moment >= since for moment in started)
    return fresh and not service.gap and len(started) >= service.desired


def _deploys_since(raw: Any, since: datetime) -> bool:
    return any(
        deployment.get("status") == "PRIMARY" and deployment["createdAt"] >= since
        for deployment in raw.get("deployments") or ()
    )


def _unseen(gaps: tuple[str, ...], again: str) -> str:
    why = "; ".join(gaps) or "no ECS service runs the stack's task definitions"
    return f"it is unknown whether tasks still have the previous value ({why}). When every task was replaced: {again} --deployed"


def plan(change: Change) -> list[str]:
    """Return every step of a change for `--dry-run`, with where it is."""
    at = change.where()
    steps = dict[int, Step]()
    for step, number in NUMBERS.items():
        if step is at.step or (number not in steps and (change.server.takes_two or step is not Step.FINISH)):
            steps[number] = step
    lines = [f"{change.subject} is checked by {named(change.part.accepted_by)}: {change.server.label}"]
    for number, step in steps.items():
        state = "done" if number < NUMBERS[at.step] else "next" if step is at.step else ""
        lines.append(f"  {number}. {state:<5}{change.told(step)}")
    return lines
