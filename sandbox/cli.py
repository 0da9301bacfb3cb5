"""The command line: `python -m sandbox --help`.

Progress and errors go to the standard error, results to the standard output. Exit status: 0 success, 1 a failure or an
unexpected change, 2 the command can't be run as given, 130 stopped by Ctrl-C.

The commands import the slow modules (Pulumi, boto3) only when they need them.
"""

import contextlib
import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.errors import InterruptedRunError, MisuseError, SandboxError
from sandbox.home import HOME_LOCK, REPOSITORY, Home
from terminal import plain

if TYPE_CHECKING:  # the engine module imports Pulumi, which `--help` must not pay for
    from sandbox.engine import Report, Run, Verb
    from sandbox.project import Project

app = typer.Typer(
    name="sandbox",
    help="The project's program on the real Pulumi engine, against a local AWS. Nothing leaves this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Stack = Annotated[str, typer.Option("--stack", "-s", help="The stack; it has a file Pulumi.STACK.yaml.")]
ProjectDirectory = Annotated[
    Path, typer.Option("--project", help="The Pulumi project's folder.", show_default="this repository")
]
Config = Annotated[
    list[str],
    typer.Option(
        "-c",
        "--config",
        metavar="KEY=VALUE",
        help="Configuration for this run only. KEY=VALUE sets a value in the clear, as does KEY.PART=VALUE or KEY[0]=VALUE "
        "inside an object or array, and a VALUE that is JSON becomes an array or object. secret:KEY=VALUE encrypts it; "
        "secret:KEY reads the value from the standard input, which keeps it out of the process list.",
        show_default=False,
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint", metavar="URL", help="An emulator that is already running on this machine, instead of moto."
    ),
]
ExpectNoChanges = Annotated[
    bool, typer.Option("--expect-no-changes", help="Fail, and change nothing, when a resource would change.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON, and nothing else, on the standard output.")
]
StandIns = Annotated[
    bool,
    typer.Option(
        "--stand-ins/--no-stand-ins",
        help="Supply stand-ins of the secrets that the stack file can't hold in the clear.",
    ),
]

Official = Annotated[
    bool,
    typer.Option(
        "--official", help="Run the official plugins instead of the stand-ins; they must be installed, or are fetched."
    ),
]


def _expecting(verb: "Verb", summary: str) -> None:
    """Add the command of a verb that can expect no changes: `up` and `preview` have the same options."""

    def command(  # noqa: PLR0917 - typer makes each one an option
        stack: Stack = "dev",
        project: ProjectDirectory = REPOSITORY,
        config: Config = [],  # noqa: B006 - typer copies it
        endpoint: Endpoint = None,
        expect_no_changes: ExpectNoChanges = False,  # noqa: FBT002 - a command-line flag, as are those below
        stand_ins: StandIns = True,  # noqa: FBT002
        official: Official = False,  # noqa: FBT002
        as_json: AsJson = False,  # noqa: FBT002
    ) -> None:
        options = {"expect_no_changes": expect_no_changes, "stand_ins": stand_ins, "official": official}
        _operate(verb, stack, project, config, endpoint, as_json=as_json, **options)

    app.command(name=verb, help=summary)(command)


def _plain(verb: "Verb", summary: str) -> None:
    """Add the command of a verb without expectations: `refresh` and `destroy` have the same options."""

    def command(  # noqa: PLR0917
        stack: Stack = "dev",
        project: ProjectDirectory = REPOSITORY,
        config: Config = [],  # noqa: B006
        endpoint: Endpoint = None,
        official: Official = False,  # noqa: FBT002
        as_json: AsJson = False,  # noqa: FBT002
    ) -> None:
        _operate(verb, stack, project, config, endpoint, as_json=as_json, official=official)

    app.command(name=verb, help=summary)(command)


_expecting("up", "Create or update the stack, and show the result.")
_expecting("preview", "Show what `up` would change.")
_plain("refresh", "Update the state to what is in the local AWS, and show the differences.")
_plain("destroy", "Delete the stack's resources.")


@app.command()
def pulumi(
    arguments: Annotated[list[str], typer.Argument(help="A command of the Pulumi CLI, after `--`.")],
    stack: Stack = "dev",
    project: ProjectDirectory = REPOSITORY,
    config: Config = [],  # noqa: B006
    endpoint: Endpoint = None,
) -> None:
    """Run any command of the Pulumi CLI on the stack, such as `-- stack export`, with the sandbox's state and plugins."""
    with _prepared(stack, project, endpoint, config, verb="preview") as run:
        status = run.pass_through(arguments)
    raise typer.Exit(status)


@app.command()
def compare(stack: Stack = "dev", project: ProjectDirectory = REPOSITORY) -> None:
    """Bring the stack up with the official plugins and with the stand-ins, and report where types, inputs and calls differ."""
    from sandbox import comparison, official, pulumi_cli  # noqa: PLC0415

    found = _project(project, stack)
    home = Home.from_environment()
    home.prepare()

    def say(text: str) -> None:
        typer.echo(text, err=True)

    official.ensure_installed(home, pulumi_cli.find_or_build(home, say), say)
    lines = comparison.compare(found, stack, home, say)
    for line in lines:
        typer.echo(plain(line, lines=True))
    if lines:
        raise typer.Exit(1)
    typer.echo("The official plugins and the stand-ins agree: types, inputs and calls.")


@app.command()
def outputs(
    stack: Stack = "dev",
    project: ProjectDirectory = REPOSITORY,
    endpoint: Endpoint = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Print the stack's outputs."""
    values = _outputs(_project(project, stack).name, stack, project, endpoint)
    if as_json:
        _print_json(values)
    else:
        for name, value in sorted(values.items()):
            typer.echo(plain(f"{name}: {value if isinstance(value, str) else json.dumps(value)}"))


@app.command()
def env(stack: Stack = "dev", project: ProjectDirectory = REPOSITORY, endpoint: Endpoint = None) -> None:
    """Print the shell lines that point `aws`, boto3 and `ops` at a stack on the local AWS: eval "$(python -m sandbox env)"."""
    from sandbox import environment, local_aws  # noqa: PLC0415

    settings = _project(project, stack).settings(stack)
    home = Home.from_environment()
    with environment.applied(environment.clean(home)):
        aws = local_aws.at(endpoint) if endpoint else local_aws.running(home)
        if aws is None or not aws.answers():
            raise SandboxError(f"the local AWS does not run; python -m sandbox up{_options(stack, project)} starts it")
        variables = {"AWS_ENDPOINT_URL": aws.endpoint, **aws.credentials(settings.account).variables()}
    variables |= {"AWS_REGION": settings.region, "AWS_DEFAULT_REGION": settings.region}
    variables |= {"PULUMI_STACK": stack}  # Pulumi's own name for the stack of a shell
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    typer.echo("unset AWS_PROFILE")


@app.command()
def rotate(
    name: Annotated[str, typer.Argument(help="The secret's name in the catalogue, such as db-master-password.")],
    stack: Stack = "dev",
    project: ProjectDirectory = REPOSITORY,
    endpoint: Endpoint = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Rotate a secret with its deployed function, against a temporary PostgreSQL."""
    from sandbox import environment, local_aws  # noqa: PLC0415
    from sandbox.rotation import Rotation  # noqa: PLC0415

    found = _project(project, stack)
    settings = found.settings(stack)
    home = Home.from_environment()
    outputs = _outputs(found.name, stack, project, endpoint)
    with environment.applied(environment.clean(home)):
        aws = local_aws.at(endpoint) if endpoint else local_aws.running(home)
        if aws is None:
            raise _not_up(stack, project)
        credentials = aws.credentials(settings.account)
        rotation = Rotation.of(name, outputs, aws.endpoint, settings.region, credentials.variables())
        result = rotation.run(lambda line: typer.echo(line, err=as_json))
    if as_json:
        _print_json(result)


config_commands = typer.Typer(
    help="Set configuration for every run of a stack, without changing its file.", no_args_is_help=True
)
app.add_typer(config_commands, name="config")
AsPath = Annotated[bool, typer.Option("--path", help="As Pulumi's; here each key is a way into its value already.")]
ConfigKey = Annotated[
    str, typer.Argument(metavar="KEY", help="The key, or a way into its value, such as rotations.jwtSecret.")
]


@config_commands.command("set")
def set_config(
    key: ConfigKey,
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="The value; a secret's comes from the standard input.")
    ] = None,
    stack: Stack = "dev",
    project: ProjectDirectory = REPOSITORY,
    endpoint: Endpoint = None,
    *,
    secret: Annotated[bool, typer.Option("--secret", help="Encrypt it; declared secrets always are.")] = False,
    path: AsPath = False,
    plaintext: Annotated[bool, typer.Option("--plaintext", help="As Pulumi's; it is the default.")] = False,
) -> None:
    """Set a value for every later run of the stack: the sandbox's `pulumi config set`."""
    del path
    if secret and plaintext:
        raise MisuseError("--secret and --plaintext exclude each other")
    with _prepared(stack, project, endpoint) as run:
        run.set_config(key, value, secret=secret)


@config_commands.command("get")
def get_config(
    key: ConfigKey,
    stack: Stack = "dev",
    project: ProjectDirectory = REPOSITORY,
    endpoint: Endpoint = None,
    as_json: AsJson = False,  # noqa: FBT002
    *,
    path: AsPath = False,
) -> None:
    """Print a value that `config set` set."""
    del path
    with _prepared(stack, project, endpoint) as run:
        value = run.get_config(key)
    if as_json:
        _print_json({"name": key, "value": value, "secret": True})
    else:
        typer.echo(value)


@config_commands.command("rm")
def remove_config(
    key: ConfigKey,
    stack: Stack = "dev",
    project: ProjectDirectory = REPOSITORY,
    endpoint: Endpoint = None,
    *,
    path: AsPath = False,
) -> None:
    """Remove a value that `config set` set."""
    del path
    with _prepared(stack, project, endpoint) as run:
        run.remove_config(key)


@app.command()
def status(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Show what is running and which stacks are up."""
    from sandbox import environment, local_aws, state  # noqa: PLC0415

    home = Home.from_environment()
    with environment.applied(environment.clean(home)):
        aws = local_aws.running(home)
    stacks = [
        {
            "stack": f"{checkpoint.project}/{checkpoint.stack}",
            "emulator": folder.name.partition("-")[2] or "moto",
            "resources": checkpoint.objects,
            "cut_off": checkpoint.cut_off,
            "used_by": str(home.holder(f"{checkpoint.project}.{checkpoint.stack}") or ""),
        }
        for folder in home.states()
        for checkpoint in state.checkpoints(folder)
    ]
    running = {"endpoint": aws.endpoint, "pid": aws.pid} if aws else None
    if as_json:
        _print_json({"home": str(home.root), "local_aws": running, "stacks": stacks})
        return
    typer.echo(f"Home       {home.root}")
    typer.echo(f"Local AWS  {f'{aws.endpoint} (moto, pid {aws.pid})' if aws else 'does not run'}")
    for row in stacks:
        pending = ", cut off: the next command tells how to recover" if row["cut_off"] and not row["used_by"] else ""
        used = f", in use by {row['used_by']}" if row["used_by"] else ""
        gone = "" if aws or row["emulator"] != "moto" else ", gone with the local AWS"
        typer.echo(f"Stack      {row['stack']}  {row['resources']} resources on {row['emulator']}{pending}{used}{gone}")


@app.command()
def down(endpoint: Endpoint = None) -> None:
    """Stop the local AWS and delete its contents. With --endpoint, forget the contents of that emulator."""
    from sandbox import local_aws, state  # noqa: PLC0415

    home = Home.from_environment()
    if not home.exists():
        typer.echo("Nothing runs.", err=True)
        return
    with home.lock(HOME_LOCK, "down"), home.all_stacks_locked("down"):
        pid = None if endpoint else local_aws.stop(home)
        folder = home.state(local_aws.at(endpoint).emulator if endpoint else "")
        lost = state.forget(folder)
        (folder / "mark").unlink(missing_ok=True)
    typer.echo(f"Stopped the local AWS (pid {pid})." if pid else "The local AWS was not running.", err=True)
    if lost:
        typer.echo(f"Forgot {', '.join(lost)}.", err=True)


@app.command()
def reset() -> None:
    """Stop the local AWS and delete everything that the sandbox keeps: states, plugins, passphrase."""
    down(endpoint=None)
    home = Home.from_environment()
    home.remove()
    typer.echo(f"Deleted what the sandbox kept in {home.root}.", err=True)


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line and return its exit status; no exception leaves it."""
    as_json = "--json" in arguments
    try:
        app(list(arguments), prog_name="python -m sandbox")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except SandboxError as error:
        return _failed(str(error), error.status, as_json, getattr(error, "changes", ()))
    except Exception as error:
        if os.environ.get("SANDBOX_DEBUG"):
            raise
        from sandbox.report import describe_bug  # noqa: PLC0415

        return _failed(f"a bug in the sandbox: {describe_bug(error)} (SANDBOX_DEBUG=1 shows it whole)", 1, as_json)
    return 0


def _operate(
    verb: "Verb",
    stack: str,
    directory: Path,
    config: Sequence[str],
    endpoint: str | None,
    *,
    as_json: bool,
    **options: bool,
) -> None:
    try:
        with _prepared(stack, directory, endpoint, config, verb=verb, asks=True, **options) as run:
            report = run.carry_out()
    except KeyboardInterrupt:  # the engine itself wasn't running: it ends in good order and says so
        raise InterruptedRunError("Stopped by Ctrl-C; nothing had begun.") from None
    from sandbox import program, summary  # noqa: PLC0415

    if as_json:
        _print_json(_as_json(report))
    elif verb == "up":
        with program.alone(report.request.project.directory):
            summary.show(report)
    else:
        summary.show_changes(report)


@contextlib.contextmanager
def _prepared(
    stack: str,
    directory: Path,
    endpoint: str | None,
    config: Sequence[str] = (),
    *,
    verb: "Verb" = "refresh",
    asks: bool = False,
    **options: bool,
) -> Generator["Run"]:
    """Give a run of the engine; `asks` is whether it needs the project's plan."""
    from sandbox import local_aws  # noqa: PLC0415
    from sandbox.plan import ApplicationPlan  # noqa: PLC0415

    if endpoint:
        local_aws.at(endpoint)  # a wrong URL must be said before the slow imports
    project = _project(directory, stack)
    if asks:
        ApplicationPlan.ask(project, stack)  # it answers during the slow imports

    from sandbox import engine  # noqa: PLC0415
    from sandbox.screen import Screen  # noqa: PLC0415
    from sandbox.stack_config import parse_override  # noqa: PLC0415

    overrides = tuple(parse_override(text) for text in config)
    request = engine.Request(verb, project, stack, overrides, endpoint, **options)
    with Screen() as screen, engine.prepared(request, screen) as run:
        yield run


def _project(directory: Path, stack: str) -> "Project":
    """Return a project that has a file of the stack."""
    from sandbox.project import Project  # noqa: PLC0415

    project = Project.load(directory)
    project.stack_file(stack)
    return project


def _as_json(report: "Report") -> dict[str, Any]:
    return {
        "result": "succeeded",
        "command": report.request.verb,
        "project": report.request.project.name,
        "stack": report.request.stack,
        "changes": [dataclasses.asdict(change) for change in report.changes],
        "unchanged": report.same,
        "outputs": report.outputs,
        "stand_ins": report.stand_ins,
        "notes": report.notes,
        "seconds": round(report.seconds, 1),
    }


def _failed(message: str, status: int, as_json: bool, changes: Sequence[Any] = ()) -> int:  # noqa: FBT001
    sys.stdout.flush()
    typer.echo(plain(message, lines=True), err=True)
    if as_json:
        _print_json({"result": "failed", "error": message, "changes": [dataclasses.asdict(c) for c in changes]})
    return status


def _print_json(content: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(content, indent=2))


def _outputs(name: str, stack: str, directory: Path, endpoint: str | None) -> dict[str, Any]:
    """A stack's outputs, from its state."""
    from sandbox import local_aws, state  # noqa: PLC0415

    emulator = local_aws.at(endpoint).emulator if endpoint else ""
    checkpoint = state.Checkpoint.read(Home.from_environment().state(emulator), name, stack)
    if not checkpoint.resources:
        raise _not_up(stack, directory)
    return checkpoint.outputs()


def _not_up(stack: str, directory: Path) -> SandboxError:
    return SandboxError(f"stack {stack} is not up; python -m sandbox up{_options(stack, directory)}")


def _options(stack: str, project: Path) -> str:
    at = "" if stack == "dev" else f" --stack {stack}"
    return at if project == REPOSITORY else f"{at} --project {shlex.quote(str(project))}"
