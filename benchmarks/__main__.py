"""What this program's components cost: time and memory against a flat program with the same resources, and an empty one.

    python -m benchmarks [--sizes 3,30,300] [--rounds 3]

Every figure is a whole `python -m sandbox preview` or `up` on an engine and a local AWS of the benchmark's own. The programs
take turns, so that a machine that gets slower meanwhile is slower for all of them. Medians; the ratio is that of the medians.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PROGRAMS = ("empty", "flat", "this")

EMPTY = '''"""Nothing at all."""
'''

FLAT = '''"""What this project's program makes for {size} secrets, written by hand without components or settings."""

import hashlib
import json

import pulumi
import pulumi_aws as aws
import pulumi_random as random

prefix = f"service-ticket-system-{{pulumi.get_stack()}}"
account, region = aws.get_caller_identity().account_id, aws.get_region().region
deny = {{
    "Sid": "DenyWithoutTls", "Effect": "Deny", "Principal": {{"AWS": "*"}}, "Action": ["secretsmanager:*"],
    "Resource": ["*"], "Condition": {{"Bool": {{"aws:SecureTransport": "false"}}}},
}}


def document(*statements):
    return json.dumps({{"Version": "2012-10-17", "Statement": list(statements)}}, separators=(",", ":"))


def read(arns):
    return {{"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": sorted(arns)}}


arns, versions = {{}}, []
for number in range({size}):
    name = f"bench-{{number:04}}"
    secret = aws.secretsmanager.Secret(name, name=f"{{prefix}}-{{name}}", description="d", recovery_window_in_days=0)
    aws.secretsmanager.SecretPolicy(name, secret_arn=secret.arn, policy=document(deny), block_public_policy=True)
    password = random.RandomPassword(name, length=32, special=False)
    version = aws.secretsmanager.SecretVersion(
        name, secret_id=secret.id, secret_string=password.result, version_stages=["AWSCURRENT", "own"],
        opts=pulumi.ResourceOptions(ignore_changes=["versionStages"], retain_on_delete=True),
    )
    arns[f"BENCH_{{number:04}}"] = secret.arn
    versions.append(version.version_id)

trust = document({{"Effect": "Allow", "Principal": {{"Service": "ecs-tasks.amazonaws.com"}}, "Action": "sts:AssumeRole"}})
role = aws.iam.Role("execution", name=f"{{prefix}}-execution", assume_role_policy=trust)
logs = {{
    "Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
    "Resource": [f"arn:aws:logs:{{region}}:{{account}}:log-group:/ecs/{{prefix}}:log-stream:*"],
}}
groups = [list(arns.values())] if len(arns) <= 80 else [list(arns.values())[i : i + 50] for i in range(0, len(arns), 50)]
if len(groups) == 1:
    policy = pulumi.Output.all(*groups[0]).apply(lambda known: document(read(known), logs))
    aws.iam.RolePolicy("execution", role=role.name, policy=policy)
else:
    aws.iam.RolePolicy("execution", role=role.name, policy=document(logs))
    for number, group in enumerate(groups):
        policy = aws.iam.Policy(f"read-{{number}}", policy=pulumi.Output.all(*group).apply(lambda known: document(read(known))))
        aws.iam.RolePolicyAttachment(f"read-{{number}}", role=role.name, policy_arn=policy.arn)
group = aws.cloudwatch.LogGroup("log", name=f"/ecs/{{prefix}}", retention_in_days=30)
task_role = aws.iam.Role("task", name=f"{{prefix}}-task", assume_role_policy=trust)


def definitions(known):
    digest = hashlib.sha256("".join(sorted(known["versions"])).encode()).hexdigest()[:16]
    secrets = [{{"name": name, "valueFrom": arn}} for name, arn in sorted(known["arns"].items())]
    container = {{
        "name": "app", "image": "app:1", "cpu": 0, "essential": True, "secrets": secrets, "dockerLabels": {{"v": digest}},
        "environment": [], "mountPoints": [], "volumesFrom": [], "systemControls": [],
        "portMappings": [{{"containerPort": 3000, "hostPort": 3000, "protocol": "tcp"}}],
    }}
    return json.dumps([container], sort_keys=True)


task = aws.ecs.TaskDefinition(
    "task", family=prefix, requires_compatibilities=["FARGATE"], network_mode="awsvpc", cpu="256", memory="512",
    execution_role_arn=role.arn, task_role_arn=task_role.arn,
    container_definitions=pulumi.Output.all(arns=arns, versions=versions).apply(definitions),
)
pulumi.export("secret_arns", arns)
pulumi.export("task_definition_arn", task.arn)
'''

CATALOGUE = '''"""The benchmark's catalogue of {size} secrets."""

from config.declarations import Application, Generated, PlainVariable, Service, TextSecret

APPLICATION = Application(
    (Service("app"),),
    tuple(TextSecret(f"bench-{{n:04}}", Generated(f"bench{{n:04}}"), variable=f"BENCH_{{n:04}}") for n in range({size})),
    (PlainVariable("DATABASE_HOST", "databaseHost"), PlainVariable("REDIS_HOST", "redisHost")),
)
'''

STACK = """config:
  aws:region: eu-central-1
  aws:allowedAccountIds: ["111111111111"]
"""


@dataclass(frozen=True)
class Figure:
    """One run: wall-clock seconds, and the largest process in MiB."""

    seconds: float
    mebibytes: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sizes", default="3,30,300", help="numbers of secrets")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each program at each size")
    options = parser.parse_args()
    print(f"{'secrets':>7}  {'verb':<13}{'program':<8}{'seconds':>8}{'MiB':>7}{'time / flat':>13}{'memory / flat':>15}")
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(Path(folder))
        try:
            for size in (int(text) for text in options.sizes.split(",")):
                for row in _rows(size, bench.measure(size, options.rounds)):
                    print(row, flush=True)
        finally:
            bench.run("down")


def _rows(size: int, figures: dict[tuple[str, str], list[Figure]]) -> Iterator[str]:
    for verb in ("preview", "up", "second preview"):
        medians = {
            program: Figure(
                statistics.median(f.seconds for f in figures[verb, program]),
                statistics.median(f.mebibytes for f in figures[verb, program]),
            )
            for program in PROGRAMS
        }
        flat = medians["flat"]
        for program, figure in medians.items():
            time_ratio, memory_ratio = figure.seconds / flat.seconds, figure.mebibytes / flat.mebibytes
            yield (
                f"{size:>7}  {verb:<15}{program:<6}{figure.seconds:>8.2f}{figure.mebibytes:>7.0f}"
                f"{time_ratio:>13.2f}{memory_ratio:>15.2f}"
            )


class _Bench:
    """Projects, engine and local AWS of one benchmark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Without bytecode each run would compile the project again, which no user's does.
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        self.environment = {**kept, "SANDBOX_HOME": str(folder / "home"), "CI": "true"}
        self.run(
            "preview", "--project", str(self._project("empty", 0))
        )  # warm: builds the engine, installs the plugins

    def measure(self, size: int, rounds: int) -> dict[tuple[str, str], list[Figure]]:
        """Run every program `rounds` times, in turn."""
        figures: dict[tuple[str, str], list[Figure]] = {}
        projects = {program: str(self._project(program, size)) for program in PROGRAMS}
        for _ in range(rounds):
            for program, project in projects.items():
                for label, verb in (("preview", "preview"), ("up", "up"), ("second preview", "preview")):
                    figures.setdefault((label, program), []).append(self.run(verb, "--project", project))
                self.run("destroy", "--project", project)
        return figures

    def run(self, *arguments: str) -> Figure:
        """Run one command of the sandbox; stops the benchmark when it fails."""
        log = self.folder / "log"
        started = time.perf_counter()
        with log.open("w") as file:
            command = [sys.executable, "-m", "sandbox", *arguments]
            process = subprocess.Popen(command, cwd=REPOSITORY, env=self.environment, stdout=file, stderr=file)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)} ended with status {process.returncode}:\n{log.read_text()}")
        return Figure(time.perf_counter() - started, usage.ru_maxrss / 1024)

    def _project(self, program: str, size: int) -> Path:
        directory = self.folder / f"{program}-{size}"
        if program == "this":
            wanted = ("[a-z_]*.py", "config", "components")
            for path in (path for pattern in wanted for path in REPOSITORY.glob(pattern)):
                copy = shutil.copytree if path.is_dir() else shutil.copy
                directory.mkdir(exist_ok=True)
                copy(path, directory / path.name)
            (directory / "Pulumi.yaml").write_text("name: service-ticket-system\nruntime: python\n")
            (directory / "catalogue.py").write_text(CATALOGUE.format(size=size))
            own = "image: app:1", "databaseHost: db", "redisHost: redis", "recoveryWindowInDays: 0"
            (directory / "Pulumi.dev.yaml").write_text(
                STACK + "".join(f"  service-ticket-system:{line}\n" for line in own)
            )
            return directory
        directory.mkdir()
        (directory / "__main__.py").write_text(EMPTY if program == "empty" else FLAT.format(size=size))
        # As long as the name of this program's project, which the state repeats with each resource that another one needs.
        (directory / "Pulumi.yaml").write_text(f"name: {program:-<21}\nruntime: python\n")
        (directory / "Pulumi.dev.yaml").write_text(STACK)
        return directory


if __name__ == "__main__":
    main()
