"""A trial on a real AWS account: `make trial`. It asks, creates both stacks and `account/` under a throw-away name, deletes them.

It needs the Pulumi CLI, credentials with administrator rights and a Region (AWS_REGION). Whatever fails, and after Ctrl-C, it
deletes what it created and lists what AWS still holds. The report names each step that went differently than on the local AWS,
where every step that can run there ends well (tests/sandbox/test_trial.py). It shows no value: names and lengths only.

Sources: AWS, "RunTask", "CreateService", "Amazon ECS task networking"; AWS, "GetResources" of the Resource Groups Tagging API.
"""

import argparse
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[1]
IMAGE = "public.ecr.aws/docker/library/busybox:1.37"
STACKS = ("dev", "prod")
_NAME = "service-ticket-system"
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".sandbox", ".*_cache", "__pycache__", "tests", "build", "tools", "benchmarks"
)
_MINUTES = 60
_ENDING = " (pending deletion or inactive: it costs nothing and needs nothing)"
_GITHUB = "/token.actions.githubusercontent.com"
_LOCAL = "the local AWS runs no container, delivers no event and runs no function"
# Names and lengths of the container's secret variables, which the command gets as arguments; never a value.
_TELL = 'for name; do eval "value=\\$$name"; echo "trial $name ${#value}"; done'
_PLAN = """Trial on AWS
  account  {account}
  Region   {region}
  caller   {caller}
  project  {project}, {project}-account

It creates, and deletes at the end:
  account/   a bucket, a KMS key, an OpenID Connect provider, three roles, a permissions boundary
  dev        3 secrets, 2 roles, a task definition, a log group
  prod       4 secrets, a KMS key, roles, a trail with a bucket, alarms, topics, a dashboard, a state machine{rotation}
  beside     an ECS cluster with one service and one task of {image}, in the default VPC
It changes nothing that exists. It takes about half an hour and costs under 2 USD: KMS keys and secrets by the hour, and
some Fargate minutes.
KMS keys stay 7 to 30 days as "pending deletion", which costs nothing.
"""


_NAMED: Sequence[tuple[str, str, str, str, str, Mapping[str, bool]]] = (
    ("secretsmanager", "list_secrets", "SecretList", "ARN", "Name", {"IncludePlannedDeletion": True}),
    ("iam", "list_roles", "Roles", "Arn", "RoleName", {}),
    ("logs", "describe_log_groups", "logGroups", "arn", "logGroupName", {}),
)
"""What a name shows: the operation that lists it, and the fields of the list, the ARN and the name."""


class TrialError(Exception):
    """A step did not go as it should."""


class SkippedError(Exception):
    """A step can't run here."""


@dataclass(frozen=True)
class Step:
    """One line of the report: `ok`, `skipped` or `DIFFERS`."""

    name: str
    outcome: str
    seconds: float
    detail: str = ""


@dataclass
class Trial:
    """One trial.

    Attributes:
        folder: The copy of the repository.
        project: The throw-away project.
        rotation: What a caller's file sets for prod's rotation: `databaseHost` and `rotation`; empty without a database.
    """

    folder: Path
    project: str
    account: str
    region: str
    caller: str
    rotation: Mapping[str, Any]
    steps: list[Step] = field(default_factory=list[Step])
    held: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        """Prepare the environment of the commands: a backend and a passphrase of the trial's."""
        self.environment = os.environ | {
            "PULUMI_BACKEND_URL": self.folder.with_name("state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_urlsafe(24),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }
        self.local = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname in {"127.0.0.1", "localhost", "::1"}
        self.oidc_before = self.oidc_providers()

    def oidc_providers(self) -> list[str]:
        """Return the ARNs of the account's OpenID Connect providers."""
        return [one["Arn"] for one in self.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]]

    def client(self, service: str) -> Any:
        """Return a client of boto3."""
        untyped: Any = boto3  # its stubs take literal names only
        return untyped.client(service, region_name=self.region)

    def command(self, *arguments: str, stdin: str = "", folder: str = ".") -> str:
        """Run a command in the copy.

        Raises:
            TrialError: It failed; with what it printed.
        """
        # A session for itself: Ctrl-C reaches this process, which ends the command in good order.
        process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
            arguments,
            cwd=self.folder / folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(stdin, timeout=_MINUTES * 60)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            signal.signal(signal.SIGINT, _cleaning)  # a second Ctrl-C must not leave the engine alone
            process.send_signal(signal.SIGINT)
            process.communicate()
            raise
        if process.returncode != 0:
            raise TrialError(f"{' '.join(arguments)}:\n{printed.strip()}")
        return printed

    def pulumi(self, *arguments: str, stdin: str = "", folder: str = ".") -> str:
        """Run the Pulumi CLI."""
        return self.command("pulumi", "--non-interactive", *arguments, stdin=stdin, folder=folder)

    def step(self, name: str, action: Callable[[], str | None]) -> bool:
        """Carry out a step and write down how it ended; tells whether the next one has what it needs."""
        sys.stderr.write(f"{name} ...\n")
        started = time.monotonic()
        try:
            outcome, detail = "ok", action() or ""
        except SkippedError as reason:
            outcome, detail = "skipped", str(reason)
        except (TrialError, ClientError, BotoCoreError, subprocess.TimeoutExpired) as error:
            outcome, detail = "DIFFERS", str(error)
        self.steps.append(Step(name, outcome, time.monotonic() - started, detail))
        return outcome != "DIFFERS"

    def run(self) -> None:
        """Carry out every step; the caller cleans up."""
        self.step("account: up", self.account_up)
        self.step("cluster", lambda: self.client("ecs").create_cluster(clusterName=self.project) and None)
        for stack in STACKS:
            if self.step(f"{stack}: up", lambda stack=stack: self.up(stack)):
                if stack == "prod":
                    self.step("prod: service", self.create_service)
                self.step(f"{stack}: refresh, then preview without changes", lambda stack=stack: self.unchanged(stack))
                self.step(f"{stack}: doctor", lambda stack=stack: self.doctor(stack))
                self.step(f"{stack}: a task and its variables", lambda stack=stack: self.task(stack))
        self.step("prod: one redeployment", self.redeployment)
        self.step("prod: one rotation", self.rotate)

    def account_up(self) -> None:
        """Bring `account/` up; AWS has one OpenID Connect provider an issuer, which the trial would have to share."""
        if any(arn.endswith(_GITHUB) for arn in self.oidc_before):
            raise SkippedError("the account has GitHub's OpenID Connect provider already")
        self.pulumi("stack", "init", "dev", folder="account")
        self.pulumi("up", "--yes", "--stack", "dev", folder="account")
        self.pulumi("preview", "--expect-no-changes", "--stack", "dev", folder="account")

    def up(self, stack: str) -> None:
        """Create a stack with invented values."""
        self.pulumi("stack", "init", stack)
        for key in ("smtpPassword", "cloudflareToken"):
            self.set_secret(stack, key)
        self.pulumi("up", "--yes", "--stack", stack)

    def set_secret(self, stack: str, key: str) -> None:
        """Set a supplied value."""
        self.pulumi("config", "set", "--secret", key, "--stack", stack, stdin=secrets.token_urlsafe(24))

    def unchanged(self, stack: str) -> None:
        """Refresh, and preview."""
        self.pulumi("refresh", "--yes", "--stack", stack)
        self.pulumi("preview", "--diff", "--expect-no-changes", "--stack", stack)

    def outputs(self, stack: str) -> dict[str, Any]:
        """Return a stack's outputs."""
        return json.loads(self.pulumi("stack", "output", "--json", "--stack", stack))

    def doctor(self, stack: str) -> str:
        """Run the doctor. Warnings are reported: the trial's alarms have no subscriber, so there is one."""
        path = self.folder / f"outputs-{stack}.json"
        path.write_text(json.dumps(self.outputs(stack)), encoding="utf-8")
        try:
            return self.command(sys.executable, "-m", "ops", "doctor", "--outputs", str(path)).strip().splitlines()[-1]
        except TrialError as error:
            lines = [line.strip() for line in str(error).splitlines()]
            failed = {line.split()[1] for line in lines if line.startswith("failure ")}
            if self.local and failed and failed <= {"network", "service"}:
                what = " and ".join(sorted(failed))
                raise SkippedError(f"only {what}: the local AWS has no route out, and {_LOCAL}") from None
            if not re.fullmatch(r"\d+ warnings?", lines[-1]):
                raise
            return "; ".join(line for line in lines if line.startswith("warning "))

    def network(self) -> dict[str, Any]:
        """Return the default VPC's subnets; a task there reaches AWS by its public address."""
        found = self.client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        if not found:
            raise SkippedError("the Region has no default VPC")
        vpc = {"Name": "vpc-id", "Values": [found[0]["VpcId"]]}
        own = self.client("ec2").describe_security_groups(Filters=[vpc, {"Name": "group-name", "Values": ["default"]}])
        subnets, groups = [one["SubnetId"] for one in found], [one["GroupId"] for one in own["SecurityGroups"]]
        return {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": groups, "assignPublicIp": "ENABLED"}}

    def create_service(self) -> None:
        """Create the service that `redeploy` names."""
        service = self.outputs("prod")["services"]["app"]
        self.client("ecs").create_service(
            cluster=self.project, serviceName="web", taskDefinition=service["task_definition_arn"], desiredCount=1,
            launchType="FARGATE", networkConfiguration=self.network(),
        )  # fmt: skip

    def task(self, stack: str) -> str:
        """Run a task that reports names and lengths of its variables, and compare them with the secrets."""
        if self.local:
            raise SkippedError(_LOCAL)
        outputs, ecs = self.outputs(stack), self.client("ecs")
        service = outputs["services"]["app"]
        names = sorted(service["container_secrets"])
        described = ecs.describe_task_definition(taskDefinition=service["task_definition_arn"])["taskDefinition"]
        override = {
            "name": described["containerDefinitions"][0]["name"], "command": ["sh", "-c", _TELL, "trial", *names],
        }  # fmt: skip
        started = ecs.run_task(
            cluster=self.project, taskDefinition=service["task_definition_arn"], launchType="FARGATE",
            networkConfiguration=self.network(), overrides={"containerOverrides": [override]},
        )  # fmt: skip
        if started["failures"]:
            raise TrialError(json.dumps(started["failures"]))
        arn = started["tasks"][0]["taskArn"]
        ecs.get_waiter("tasks_stopped").wait(cluster=self.project, tasks=[arn])
        stopped = ecs.describe_tasks(cluster=self.project, tasks=[arn])["tasks"][0]
        told = self._told(service["log_group_name"], arn.rpartition("/")[2])
        if missing := [name for name in names if name not in told or told[name] == "0"]:
            raise TrialError(f"no value in {', '.join(missing)}; ECS: {stopped.get('stoppedReason', 'no reason')}")
        return ", ".join(f"{name} {length}" for name, length in sorted(told.items()))

    def _told(self, group: str, task: str) -> dict[str, str]:
        logs = self.client("logs")
        for _ in range(12):  # the driver delivers a moment later
            events = logs.filter_log_events(logGroupName=group, filterPattern="trial").get("events", [])
            printed = "".join(f"{e['message'].rstrip()}\n" for e in events if e["logStreamName"].endswith(task))
            if found := dict(re.findall(r"^trial (\w+) (\d+)$", printed, re.MULTILINE)):
                return found
            time.sleep(5)
        return {}

    def redeployment(self) -> str:
        """Change a value, and wait for the service's new deployment."""
        self.set_secret("prod", "smtpPassword")
        before = self._deployment()
        self.pulumi("up", "--yes", "--stack", "prod")
        if self.local:
            raise SkippedError(f"the value was changed; no deployment follows: {_LOCAL}")
        started = time.monotonic()
        while self._deployment() == before:
            if time.monotonic() - started > 15 * 60:
                raise TrialError("no new deployment within 15 minutes of the change")
            time.sleep(10)
        return f"a new deployment after {time.monotonic() - started:.0f} s"

    def _deployment(self) -> str:
        found = self.client("ecs").describe_services(cluster=self.project, services=["web"])["services"]
        primary = [d["id"] for service in found for d in service["deployments"] if d["status"] == "PRIMARY"]
        return primary[0] if primary else ""

    def rotate(self) -> str:
        """Rotate the application user's password once, at the caller's database."""
        if not self.rotation:
            raise SkippedError("no --rotation FILE names a database")
        if self.local:
            raise SkippedError(_LOCAL)
        words = ("rotate", "db-app-user", "--yes", "--outputs", str(self.folder / "outputs-prod.json"))
        return self.command(sys.executable, "-m", "ops", *words).strip().splitlines()[-1]

    def clean_up(self) -> None:
        """Delete everything, each thing whatever happened to the others; then look what is held."""
        self.step("clean up: service and cluster", self._delete_cluster)
        for stack in reversed(STACKS):
            self.step(f"clean up: {stack}", lambda stack=stack: self._destroy(stack, "."))
        self.step("clean up: account", lambda: self._destroy("dev", "account"))
        self.step("clean up: task definitions", self._deregister)
        self.step("clean up: OpenID Connect provider", self._delete_oidc)
        self.step("what AWS still holds", self._look)

    def _destroy(self, stack: str, folder: str) -> None:
        known = json.loads(self.pulumi("stack", "ls", "--json", folder=folder))
        if not any(one["name"].rpartition("/")[2] == stack for one in known):
            raise SkippedError("was never created")
        # A command that was cut off leaves a lock and pending operations: what AWS carried out is listed at the end.
        with contextlib.suppress(TrialError):
            self.pulumi("cancel", "--yes", "--stack", stack, folder=folder)
        self.pulumi("refresh", "--yes", "--clear-pending-creates", "--stack", stack, folder=folder)
        with contextlib.suppress(TrialError):  # a stack without resources has nothing to unprotect
            self.pulumi("state", "unprotect", "--all", "--yes", "--stack", stack, folder=folder)
        self.pulumi("destroy", "--yes", "--stack", stack, folder=folder)

    def _delete_cluster(self) -> None:
        ecs = self.client("ecs")
        with contextlib.suppress(ecs.exceptions.ServiceNotFoundException, ecs.exceptions.ClusterNotFoundException):
            ecs.delete_service(cluster=self.project, service="web", force=True)
            if not self.local:
                ecs.get_waiter("services_inactive").wait(cluster=self.project, services=["web"])
        with contextlib.suppress(ecs.exceptions.ClusterNotFoundException):
            ecs.delete_cluster(cluster=self.project)

    def _deregister(self) -> None:
        """Revisions that a service may still run are kept by a stack on purpose."""
        ecs = self.client("ecs")
        for page in ecs.get_paginator("list_task_definitions").paginate(status="ACTIVE"):
            for arn in page["taskDefinitionArns"]:
                if f":task-definition/{self.project}-" in arn:
                    ecs.deregister_task_definition(taskDefinition=arn)

    def _delete_oidc(self) -> None:
        """The stack retains it on purpose; this one was created by the trial."""
        for arn in set(self.oidc_providers()) - set(self.oidc_before):
            if arn.endswith(_GITHUB):
                self.client("iam").delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)

    def _look(self) -> str:
        self.held = sorted({f"{arn}{self._ends(arn)}" for arn in self._holds()})
        return "\n".join(self.held) or "nothing"

    def _ends(self, arn: str) -> str:
        """What ends by itself: a key that is pending deletion, a revision that is not active."""
        if ":key/" in arn:
            state = self.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
            return _ENDING if state == "PendingDeletion" else ""
        if ":task-definition/" in arn:
            status = self.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]["status"]
            return "" if status == "ACTIVE" else _ENDING
        return ""

    def _holds(self) -> Iterator[str]:
        """By tag, and by name where tags are not listed."""
        tags = [{"Key": "Project", "Values": [self.project, f"{self.project}-account"]}]
        tagged = self.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=tags)
        yield from (one["ResourceARN"] for page in tagged for one in page["ResourceTagMappingList"])
        for service, operation, result, arn, name, more in _NAMED:
            for page in self.client(service).get_paginator(operation).paginate(**more):
                yield from (one[arn] for one in page[result] if self.project in one[name])
        buckets = [bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"]]
        yield from (f"arn:aws:s3:::{name}" for name in buckets if name.startswith(self.project))

    def report(self) -> str:
        """Return the report, in Markdown."""
        where = "the local AWS" if self.local else f"AWS, account {self.account}"
        rows = "".join(f"| {one.name} | {one.outcome} | {one.seconds:.0f} |\n" for one in self.steps)
        told = [one for one in self.steps if one.outcome == "ok" and one.detail and one.name[:4] != "what"]
        lists = {
            "Where it differed from the local AWS": self._details("DIFFERS"),
            "Not tried": self._details("skipped"),
            "Reported": [f"- {one.name}: {one.detail}" for one in told],
            "What AWS still holds": [f"- {arn}" for arn in self.held],
        }
        parts = [
            f"# Trial of {self.project} on {where}, {self.region}\n\n| step | outcome | seconds |\n|---|---|---|\n{rows}"
        ]
        parts += [f"## {title}\n\n" + "\n".join(lines or ["Nothing."]) + "\n" for title, lines in lists.items()]
        return "\n".join(parts)

    def _details(self, outcome: str) -> list[str]:
        return [f"### {one.name}\n\n```\n{one.detail}\n```" for one in self.steps if one.outcome == outcome]


def copied(  # noqa: PLR0917 - what the files hold, one by one
    folder: Path, project: str, account: str, region: str, principal: str, rotation: Mapping[str, Any]
) -> None:
    """Copy the repository; its files get the throw-away name, this account and Region, and nothing to protect or to mail."""
    shutil.copytree(ROOT, folder, ignore=_LEFT_OUT)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    for path in (*folder.glob("Pulumi*.yaml"), *(folder / "account").glob("Pulumi*.yaml")):
        text = re.sub(r"\b(1{12}|2{12})\b", account, path.read_text(encoding="utf-8"))
        text = text.replace(_NAME, project).replace("eu-central-1", region)
        path.write_text(text.replace(f"arn:aws:iam::{account}:role/sandbox", principal), encoding="utf-8")
    for stack in STACKS:
        path = folder / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        config: dict[str, Any] = content["config"]
        config.pop(f"{project}:healthCheck")  # the image has no such program
        config |= {f"{project}:image": IMAGE, f"{project}:command": ["sleep", "3600"]}
        config |= {f"{project}:protect": "false", f"{project}:recoveryWindowInDays": "0"}
        if stack == "prod":
            config.pop(f"{project}:rotation")
            config |= {f"{project}:{key}": value for key, value in rotation.items()}
            config[f"{project}:audit"].pop("alarmEmails")
            config[f"{project}:redeploy"] = {"cluster": project, "services": {"app": "web"}}
            config[f"{project}:deployerRoles"] = [principal]
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def principal_of(caller: str) -> str:
    """Return the ARN of the role that a session's ARN belongs to, with its path; a user's is its own."""
    match = re.fullmatch(r"(arn:[\w-]+):sts::(\d{12}):assumed-role/([^/]+)/.*", caller)
    if match is None:
        return caller
    with contextlib.suppress(ClientError):
        return str(boto3.client("iam").get_role(RoleName=match[3])["Role"]["Arn"])
    return f"{match[1]}:iam::{match[2]}:role/{match[3]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, try, clean up, report; returns 0 when nothing differed, 1 when something did, 2 when nothing was done."""
    parser = argparse.ArgumentParser(description="Try everything on a real AWS account, then delete it.")
    file: Mapping[str, Any] = {"type": Path, "metavar": "FILE"}
    parser.add_argument("--rotation", **file, help="YAML with databaseHost and rotation, for prod's stack")
    parser.add_argument("--report", **file, default=Path("trial-report.md"), help="where the report goes")
    given = parser.parse_args(arguments)
    rotation: dict[str, Any] = yaml.safe_load(given.rotation.read_text(encoding="utf-8")) if given.rotation else {}
    if shutil.which("pulumi") is None:
        sys.stderr.write("no pulumi on PATH: https://www.pulumi.com/docs/install/\n")
        return 2
    try:
        session = boto3.Session()
        identity = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"AWS does not answer ({error}); sign in and set AWS_REGION\n")
        return 2
    account, region, project = identity["Account"], str(session.region_name), f"trial-{secrets.token_hex(3)}"
    told = {"account": account, "region": region, "caller": identity["Arn"], "project": project, "image": IMAGE}
    sys.stderr.write(_PLAN.format(**told, rotation=", a rotation function" if rotation else ""))
    sys.stderr.write(f"\nType the account's number to go on: {account[:4]}...\n")
    if sys.stdin.readline().strip() != account:
        sys.stderr.write("not confirmed; nothing was created\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="trial-") as base:
        folder = Path(base) / "project"
        (Path(base) / "state").mkdir()
        copied(folder, project, account, region, principal_of(identity["Arn"]), rotation)
        trial = Trial(folder, project, account, region, identity["Arn"], rotation)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        try:
            trial.run()
        except KeyboardInterrupt:
            trial.steps.append(Step("stopped by Ctrl-C", "DIFFERS", 0, "the steps after this one were not tried"))
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, _cleaning)
            trial.clean_up()
            given.report.write_text(trial.report(), encoding="utf-8")
    sys.stdout.write(trial.report())
    kept = [one for one in trial.held if not one.endswith(_ENDING)]
    return int(bool(kept) or any(step.outcome == "DIFFERS" for step in trial.steps))


def _cleaning(_number: int, _frame: object) -> None:
    sys.stderr.write("Deleting what was created; it goes on.\n")


if __name__ == "__main__":
    sys.exit(main())
