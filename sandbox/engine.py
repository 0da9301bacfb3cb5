"""Runs a project's program on the real Pulumi engine, against the local AWS, through the Automation API.

Each run works on copies of the project's YAML files, in the sandbox's backend and Pulumi home.
"""

import contextlib
import datetime as dt
import re
import shlex
import signal
import time
import warnings
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pulumi import automation
from pulumi.automation.errors import CommandError, StackAlreadyExistsError

from sandbox import (
    call_proxy,
    config_errors,
    environment,
    language_host,
    local_aws,
    official,
    plugins,
    program,
    pulumi_cli,
    state,
)
from sandbox.errors import InterruptedRunError, MisuseError, SandboxError
from sandbox.home import HOME_LOCK, REPOSITORY, Home
from sandbox.local_aws import LocalAws, end_process, is_process
from sandbox.local_commands import local
from sandbox.plan import ApplicationPlan
from sandbox.project import Project, StackSettings
from sandbox.providers.aws import _record
from sandbox.pulumi_process import PulumiProcess
from sandbox.report import Change, Recorder, Watcher
from sandbox.screen import Screen
from sandbox.stack_config import Override, StackConfig, StandIns, standard_input, steps, write_project_file

Verb = Literal["up", "preview", "refresh", "destroy"]
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
_PROTECTED = re.compile(r"^\S+ (?P<name>\S+): resource .* cannot be deleted\s+because it is protected")
_CLI_SECONDS = 20.0
_KILL_SECONDS = 2.0
# AWS answers the last calls of an interrupted run within milliseconds.
_REQUEST_SECONDS = 0.2
_WORD = {"up": "Updating", "preview": "Previewing", "refresh": "Refreshing", "destroy": "Destroying"}


@dataclass(frozen=True)
class Request:
    """One run of the engine.

    Attributes:
        verb: What to do.
        project: The project whose program runs.
        stack: The stack's name.
        overrides: Configuration of this run only.
        endpoint: URL of a running emulator; None: the built-in local AWS.
        expect_no_changes: Whether a change is a failure; `up` then changes nothing.
        stand_ins: Whether to supply stand-ins of secrets that the stack file doesn't hold.
        official: Whether the official plugins run instead of the stand-ins.
    """

    verb: Verb
    project: Project
    stack: str
    overrides: Sequence[Override] = ()
    endpoint: str | None = None
    expect_no_changes: bool = False
    stand_ins: bool = True
    official: bool = False

    @property
    def command(self) -> str:
        """The description of the run for messages about its lock."""
        return f"{self.verb} --stack {self.stack}"


@dataclass(frozen=True)
class Report:
    """What a run did, or for a preview would do.

    Attributes:
        request: The run.
        changes: The resources that changed.
        same: How many stayed as they were.
        outputs: The stack's outputs afterwards; a secret one reads `[secret]`.
        stand_ins: Configuration keys that the sandbox supplied.
        notes: Further information for the user, such as what was recovered.
        seconds: Wall-clock time.
        aws: The local AWS.
        settings: The stack's account and region.
    """

    request: Request
    changes: tuple[Change, ...]
    same: int
    outputs: dict[str, Any]
    stand_ins: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float
    aws: LocalAws
    settings: StackSettings


class EngineError(SandboxError):
    """The program, the engine or AWS failed.

    Attributes:
        changes: What had changed before.
    """

    def __init__(self, message: str, changes: Sequence[Change] = (), status: int = 1) -> None:
        super().__init__(message)
        self.changes = tuple(changes)
        self.status = status


@contextlib.contextmanager
def prepared(request: Request, screen: Screen) -> Generator["Run"]:
    """Give a run with its CLI, local AWS and folders; what it writes for the engine is gone afterwards.

    It builds the CLI and starts the local AWS if they are missing.

    Raises:
        MisuseError: The request names something that doesn't exist.
        EngineError: The program, the engine or AWS failed; the message has each cause once.
        InterruptedRunError: Ctrl-C; the engine ended in good order.
    """
    home, notes = Home.from_environment(), list[str]()
    settings = request.project.settings(request.stack)  # first: a wrong stack name must not start anything
    home.prepare()
    cli = pulumi_cli.find_or_build(home, screen.status)
    if request.official:
        official.ensure_installed(home, cli, screen.status)
    started = (
        time.monotonic()
    )  # the time to fetch or build the engine is reported separately and is not part of the run
    with environment.applied(environment.clean(home)):
        version = pulumi_cli.cli_version(cli, home)
        with home.lock(HOME_LOCK, request.command, screen.waiting):
            aws = _prepare_aws(home, request, screen, notes)
            engine = environment.engine(home, aws.emulator)
        name = f"{request.project.name}.{request.stack}"
        with home.lock(name, request.command, screen.waiting), program.alone(request.project.directory):
            work = home.work(request.project.name, request.stack)
            pids = work / "pids"
            pids.mkdir(mode=0o700, parents=True, exist_ok=True)
            end_leftovers(pids)
            try:
                with _providers(request, aws, settings) as (variables, configuration):
                    pulumi = PulumiProcess(cli, version, engine | variables, pids=pids, interrupted=screen.interrupted)
                    yield Run(request, home, aws, settings, pulumi, work, screen, notes, started, configuration)
            finally:
                # A secret that was given in the clear, against the program's rules, must not stay on the disk.
                for path in work.glob("Pulumi.*"):
                    path.unlink()
                state.drop_history(home.state(aws.emulator), request.project.name, request.stack)


def end_leftovers(pids: Path) -> None:
    """End the engine of an interrupted run, so that nothing changes during the next command.

    The caller holds the stack's lock, so any other running engine is orphaned.
    """
    for path in pids.iterdir():
        pid = int(path.name.rpartition("-")[2])
        # An engine whose program is gone ends by itself.
        deadline = time.monotonic() + _CLI_SECONDS
        while (alive := is_process(pid, "pulumi", path)) and time.monotonic() < deadline:
            time.sleep(0.05)
        if alive:
            end_process(pid, signal.SIGKILL, _KILL_SECONDS)
        path.unlink(missing_ok=True)
        time.sleep(_REQUEST_SECONDS)


@contextlib.contextmanager
def _providers(
    request: Request, aws: LocalAws, settings: StackSettings
) -> Generator[tuple[dict[str, str], Mapping[str, Any]]]:
    """Yield the variables with which the engine finds its plugins, and the configuration that they need."""
    if not request.official:
        with plugins.stand_ins(aws, settings.account) as places:
            yield places, {}
        return
    path = _record.asked_for()
    with contextlib.ExitStack() as opened:
        endpoint = opened.enter_context(call_proxy.recording(aws.endpoint, path)) if path else aws.endpoint
        variables = official.variables(endpoint, aws.credentials(settings.account).variables())
        yield variables, official.configuration(endpoint)


def _prepare_aws(home: Home, request: Request, screen: Screen, notes: list[str]) -> LocalAws:
    """Return a local AWS that answers, and forget the states of one that is gone."""

    def say(text: str) -> None:
        notes.append(text)
        screen.say(text)

    def forget(folder: Path) -> list[str]:
        with home.all_stacks_locked(request.command, screen.waiting):
            return state.forget(folder)

    return local_aws.ensure(home, request.endpoint, status=screen.status, say=say, forget=forget)


@dataclass
class Run:
    """One request, with everything that it needs at hand."""

    request: Request
    home: Home
    aws: LocalAws
    settings: StackSettings
    pulumi: PulumiProcess
    work: Path
    screen: Screen
    notes: Sequence[str]
    started: float
    provider_configuration: Mapping[str, Any]

    def carry_out(self) -> Report:
        """Run the request, unless an earlier run was interrupted and left Pulumi's lock."""
        request = self.request
        self._require_own_account()
        if request.verb != "preview":
            self._require_no_lock()
        write_project_file(request.project, self.work)
        self._create_stack()
        stand_ins = self._configure()
        if request.verb == "up" and request.expect_no_changes:
            self._operate("preview", Watcher())
        recorder = self._operate(request.verb, self.screen)
        after = self._checkpoint()
        return Report(
            request,
            tuple(recorder.changes),
            recorder.same,
            after.outputs(),
            stand_ins,
            tuple(self.notes),
            time.monotonic() - self.started,
            self.aws,
            self.settings,
        )

    def set_config(self, key: str, value: str | None, *, secret: bool) -> None:
        """Set a configuration value for every run of a stack from now on.

        Args:
            key: The key, and the way into its value, such as `rotations.jwtSecret`.
            value: The value; None: it comes from the standard input.
            secret: Whether to encrypt a value of a key that is not declared as a secret.

        Raises:
            MisuseError: The project has no such key, the value is empty or no number of `rotations`, or the value of a secret was
                given as an argument.
        """
        project, name = self.request.project, str(steps(key)[0])
        plan = ApplicationPlan.read(project, self.request.stack)
        known = {*plan.secret_keys, *plan.plain_keys}
        if config_errors.is_undeclared(project, name) and self._own(name) not in known:
            raise MisuseError(config_errors.unknown(project, name, known))
        secret = secret or self._own(name) in plan.secret_keys or config_errors.is_secret(project, name)
        if secret and value is not None:
            raise MisuseError(f"{key} is a secret: give its value on the standard input, not as an argument")
        if value is None:
            value = standard_input(key)
        if not value.strip():
            remove = self._local(f"pulumi config rm {shlex.quote(key)}", kept=[key])
            raise MisuseError(f"the value of {key} is empty; nothing was changed. To remove the key: {remove}")
        if wrong := config_errors.wrong_number(key, value, plan.generated_keys):
            raise MisuseError(wrong)
        if not secret:
            self._supply().keep_plain(key, value)
            return
        write_project_file(project, self.work)
        if not self._checkpoint().exists:
            self._create_stack()
        self._supply().keep(key, value, self.work, new_salt=self._checkpoint().salt)

    def get_config(self, key: str) -> str:
        """Return a value that was set for every run; MisuseError when there is none."""
        write_project_file(self.request.project, self.work)
        return self._supply().value(key, self.work)

    def remove_config(self, key: str) -> None:
        """Remove a value that was set for every run."""
        write_project_file(self.request.project, self.work)
        self._supply().forget(key, self.work)

    def _supply(self) -> StandIns:
        return StandIns(self.home, self.request.project, self.request.stack, self.pulumi)

    def pass_through(self, arguments: Sequence[str]) -> int:
        """Run any command of the CLI on the stack, with the standard streams of this process; returns its exit status.

        The program then runs in a separate process, under the sandbox's language host. What such a command writes into the
        configuration is dropped with the copy of the stack's file.
        """
        if tuple(arguments[:1]) == ("config",) and {"set", "set-all", "rm", "rm-all", "cp"} & {*arguments[1:2]}:
            raise MisuseError(
                "it would change a copy that is dropped: `python -m sandbox config set KEY VALUE` keeps a value for every run"
            )
        write_project_file(self.request.project, self.work, main=self.request.project.directory)
        self._create_stack()
        self._configure()
        words, cut = list(arguments), arguments.index("--") if "--" in arguments else len(arguments)
        words[cut:cut] = ["--stack", self.request.stack]
        return self.pulumi.pass_through(words, self.work, language_host.installed(self.home.root / "bin"))

    def _require_own_account(self) -> None:
        """In another account nothing of the state exists, and each call would end with AWS's "not found"."""
        request, account = self.request, self.settings.account
        # Another emulator may have an account of its own in each ARN.
        accounts = set[str]() if request.endpoint else self._checkpoint().accounts()
        if accounts and account not in accounts:
            names, file = " and ".join(sorted(accounts)), request.project.stack_file(request.stack).name
            destroy = self._local("pulumi destroy")
            raise MisuseError(
                f"the state of {request.stack} belongs to account {names}, but by {file} the sandbox signs in to {account}. "
                f"Nothing was changed. Restore aws:allowedAccountIds; to move, run `{destroy}` then, or `python -m "
                "sandbox down`, which forgets all stacks"
            )

    def _require_no_lock(self) -> None:
        """The process that left a lock is gone: this process holds the sandbox's lock of the stack."""
        folder, request = self.home.state(self.aws.emulator), self.request
        if not state.lock_files(folder, request.project.name, request.stack):
            return
        pending = len(self._checkpoint().pending)
        own = (request.project.directory / "ops" / "recover.py").is_file()
        here = f"python -m sandbox pulumi --stack {request.stack}"
        if request.project.directory != REPOSITORY:
            here += f" --project {shlex.quote(str(request.project.directory))}"
        lines = [f"python -m ops recover --stack {request.stack}"] if own else []
        lines += [] if own else [f"{here} -- cancel --yes", f"{here} -- refresh --clear-pending-creates --yes"]
        raise EngineError(
            f"The last command on stack {request.stack} was cut off: Pulumi's lock is left, and {pending} operations were under "
            "way, which AWS may have carried out. Recover, then run this again:\n" + "\n".join(f"  {x}" for x in lines)
        )

    def _create_stack(self) -> None:
        if self._checkpoint().exists:
            return
        # The state of a stack that was forgotten had this salt too: to derive a key from a second one takes 0.16 s each time.
        StackConfig(self.request.project, self.request.stack).write(self.work, self._supply().salt())
        # The state may have appeared in between only by our own earlier attempt: then all is well.
        with contextlib.suppress(StackAlreadyExistsError):
            self.pulumi.execute(["stack", "init", self.request.stack], self.work)

    def _configure(self) -> tuple[str, ...]:
        """Write this run's stack file; returns the keys that got a stand-in."""
        request = self.request
        config = StackConfig(request.project, request.stack)
        config.update(self.provider_configuration)
        supply = self._supply()
        plain = [*supply.plain(), *(override for override in request.overrides if not override.secret)]
        plan = ApplicationPlan.read(request.project, request.stack)
        clear = [
            override.key
            for override in plain
            if self._own(override.key) in plan.secret_keys or config_errors.is_secret(request.project, override.key)
        ]
        if clear:  # before anything of it is written
            raise EngineError(config_errors.in_the_clear(clear, request.stack))
        # An undeclared key might be a secret: a run that is killed must not leave it on the disk.
        undeclared = [
            override
            for override in plain
            if config_errors.is_undeclared(request.project, override.key)
            and self._own(override.key) not in plan.plain_keys
        ]
        for override in plain:
            if override not in undeclared:
                config.apply(override)
        overridden = {override.key for override in request.overrides}
        missing = {_path_text(path): path for path in config.undecryptable}
        for key in plan.required_keys:
            if not config.has(key):
                missing.setdefault(f"{request.project.name}:{key}", (key,))
        wanted = {
            text: path
            for text, path in missing.items()
            if str(path[0]) not in overridden and str(path[0]).rpartition(":")[2] not in overridden
        }
        kept = {key: text for key, text in supply.kept().items() if key not in overridden}
        wanted = {text: path for text, path in wanted.items() if self._own(str(path[0])) not in kept}
        if not request.stand_ins:
            wanted = {}
        salt, encrypted = supply.encrypted(wanted, self.work, new_salt=self._checkpoint().salt)
        for text, path in wanted.items():
            config.set(path, {"secure": encrypted[text]})
        for key, text in kept.items():
            config.set(steps(key), {"secure": text})
        written = config.write(self.work, salt)
        self._set_encrypted([*undeclared, *(override for override in request.overrides if override.secret)], written)
        stand_ins = tuple(text.removeprefix(f"{request.project.name}:") for text in wanted)
        sealed = {self._own(_path_text(path)) for path in config.undecryptable}
        if request.verb in {"up", "preview"}:
            self._say_invented([name for name in stand_ins if name not in sealed], "not set")
            self._say_invented([name for name in stand_ins if name in sealed], "encrypted by a key that is not here")
        return stand_ins

    def _say_invented(self, names: Sequence[str], why: str) -> None:
        if names:
            invented = "invented values" if len(names) > 1 else "an invented value"
            self.screen.say(f"{', '.join(names)} {why}: the sandbox uses {invented}")

    def _own(self, key: str) -> str:
        return key.removeprefix(f"{self.request.project.name}:")

    def _set_encrypted(self, overrides: Iterable[Override], file: Path) -> None:
        for override in overrides:
            arguments = [
                "config",
                "set",
                "--secret",
                "--path",
                _path_text(override.path),
                "--stack",
                self.request.stack,
            ]
            self.pulumi.execute([*arguments, "--config-file", str(file)], self.work, stdin=override.value)

    def _stack(self) -> automation.Stack:
        workspace = automation.LocalWorkspace(
            work_dir=str(self.work),
            pulumi_home=str(self.home.pulumi),
            program=program.inline(self.request.project.directory),
            pulumi_command=self.pulumi,
        )
        return _Stack(self.request.stack, workspace)

    def _local(self, text: str, *, kept: Collection[str] | None = None) -> str:
        """Return a message with the commands that work here; `kept` are the keys that `config set` set, by default looked up."""
        request, project = self.request, self.request.project
        if kept is None:
            kept = self._supply().keys() if "pulumi config rm" in text else ()
        at = "" if project.directory == REPOSITORY else f" --project {shlex.quote(str(project.directory))}"
        at += f" --endpoint {request.endpoint}" if request.endpoint else ""
        return local(text, request.stack, at, kept=kept)

    def _operate(self, verb: Verb, watcher: Watcher) -> Recorder:
        """Let the engine work, or preview."""
        recorder = Recorder(self.request.project.directory, verb, watcher, self._local)
        operation: Callable[..., object] = getattr(self._stack(), verb)
        # Without the program, the providers of the state run: with the endpoints of the command that wrote it.
        options = {"run_program": True} if self.request.official and verb in {"refresh", "destroy"} else {}
        try:
            title = f"{_WORD[verb]} {self.request.project.name}/{self.request.stack}"
            with self.screen.working(title), warnings.catch_warnings():
                # The Automation API warns about a broken event stream when the CLI was killed; the sandbox reports this itself.
                warnings.simplefilter("ignore")
                operation(on_event=recorder, **options)
        except InterruptedRunError:
            raise EngineError(self._interrupted(recorder), recorder.changes, InterruptedRunError.status) from None
        except CommandError as error:
            raise EngineError(self._explain(error, recorder), recorder.changes) from None
        if self.request.expect_no_changes and recorder.changes:
            listed = "".join(f"\n  {c.op} {c.type} {c.name}" for c in recorder.changes)
            count = len(recorder.changes)
            raise EngineError(
                f"expected no changes, but {count} resource{'s' if count > 1 else ''} would change:{listed}",
                recorder.changes,
            )
        return recorder

    def _interrupted(self, recorder: Recorder) -> str:
        pending = len(self._checkpoint().pending)
        changed = (
            f"{len(recorder.changes)} resources had changed; the state holds them"
            if recorder.changes
            else "nothing had changed"
        )
        rest = f"; {pending} operations were cut off" if pending else ""
        return f"Stopped by Ctrl-C: {changed}{rest}. `python -m sandbox {self.request.command}` continues from here."

    def _explain(self, error: CommandError, recorder: Recorder) -> str:
        result: Any = error
        text = str(result)
        explained = config_errors.explain(text, self.request.project, self.request.stack)
        if explained:
            return self._local(explained)
        if not self.aws.answers():
            return f"the local AWS at {self.aws.endpoint} has stopped; the next command starts a fresh one"
        if recorder.errors:
            return "\n".join([*self._protected(recorder), *(e for e in recorder.errors if not _PROTECTED.search(e))])
        return config_errors.stderr_of(text) or _ended(text, recorder.echoes)

    def _protected(self, recorder: Recorder) -> list[str]:
        """One message for all protected resources, with the command that this project has for it."""
        names = [match["name"] for error in recorder.errors if (match := _PROTECTED.search(error))]
        if not names:
            return []
        options = f"--stack {self.request.stack}"
        fix = (
            f"`python -m sandbox up {options} -c protect=false` lifts the protection"
            if "protect" in self.request.project.declared
            else "remove `protect` in the program and run `up` first"
        )
        return [f"{len(names)} resources are protected: {', '.join(names)}\n{fix}."]

    def _checkpoint(self) -> state.Checkpoint:
        return state.Checkpoint.read(self.home.state(self.aws.emulator), self.request.project.name, self.request.stack)


def _ended(command_error: str, echoes: Sequence[str]) -> str:
    """Why the engine ended, when it gave no reason; a negative status is the number of the signal that killed it."""
    status = re.search(r"^\s*code: (-?\d+)", command_error)
    if status and int(status[1]) < 0:
        return "the Pulumi engine was killed; the next command tells how to recover what it had begun"
    return "\n".join(["the Pulumi engine ended without giving a reason", *dict.fromkeys(echoes)])


class _Stack(automation.Stack):
    """A stack that exists: saves the CLI runs (0.2 s each) that find it, read its outputs and its history."""

    def __init__(self, name: str, workspace: automation.LocalWorkspace) -> None:
        """Take the stack as selected; every command names it anyway."""
        self.name = name
        self.workspace = workspace

    def __repr__(self) -> str:
        return f"_Stack({self.name!r})"

    def outputs(self) -> dict[str, automation.OutputValue]:
        """Nothing: they are read from the state, where secrets stay encrypted."""
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:  # noqa: FBT001, FBT002 - the base's own
        """Return a placeholder; the events have told everything."""
        del show_secrets
        return automation.UpdateSummary("update", _EPOCH, "", {}, {}, "succeeded")


def _path_text(path: Sequence[str | int]) -> str:
    return str(path[0]) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[1:])
