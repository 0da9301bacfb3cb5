"""What `ops doctor` costs: calls and time by number of secrets, beside reading each secret alone.

    python -m benchmarks.doctor [--sizes 3,30,300]

Each stack is made by boto3 in a moto server of the benchmark's own; the doctor runs as its user runs it, interpreter start
included. "alone" describes and reads secret by secret, which is what most scripts do, in one process that runs already.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3

REPOSITORY = Path(__file__).resolve().parent.parent
REGION = "eu-central-1"
ACCOUNT = "123456789012"
PREFIX = "service-ticket-system-dev"
FAMILY = f"{PREFIX}-app"
READ = "secretsmanager:GetSecretValue"

_WITHOUT_TLS = {"Bool": {"aws:SecureTransport": "false"}}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="3,30,300", help="numbers of secrets")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    heads = f"{'ListSecrets':>11}  {'BatchGet':>8}  {'policies':>8}"
    print(f"{'secrets':>7}  {'doctor':>8}  {'calls':>5}  {heads}  {'alone':>8}  {'calls':>5}")
    for size in sizes:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            _measure(size, f"http://127.0.0.1:{port}")
        finally:
            server.terminate()
            server.wait()


def _measure(size: int, endpoint: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    os.environ.update(environment)
    _wait(endpoint)
    outputs = _stack(size)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outputs.json"
        file.write_text(json.dumps(outputs), encoding="utf-8")
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "ops", "doctor", "--json", "--outputs", str(file)],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
    report: Any = json.loads(done.stdout or "{}")
    if not report.get("healthy"):
        raise SystemExit(f"the stack is not healthy: {done.stderr or report}")
    calls: dict[str, int] = report["calls"]
    alone = _alone(outputs)
    listed, batches, policies = (
        calls.get(f"secrets-manager:{name}", 0) for name in ("ListSecrets", "BatchGetSecretValue", "GetResourcePolicy")
    )
    print(
        f"{size:>7}  {seconds:>6.2f} s  {sum(calls.values()):>5}  {listed:>11}  {batches:>8}  {policies:>8}  "
        f"{alone:>6.2f} s  {3 * size:>5}"
    )


def _wait(endpoint: str) -> None:
    address = endpoint.removeprefix("http://").split(":")
    for _ in range(300):
        try:
            socket.create_connection((address[0], int(address[1]))).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the local AWS did not start")


def _client(service: str) -> Any:
    untyped: Any = boto3
    return untyped.client(service, region_name=REGION)


def _stack(size: int) -> dict[str, Any]:
    """Make a healthy stack and return its outputs."""
    names = {f"token-number-{number:03}": f"{PREFIX}-token-number-{number:03}" for number in range(size)}
    secrets, iam, ecs = _client("secretsmanager"), _client("iam"), _client("ecs")
    tls = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*", "Condition": _WITHOUT_TLS}
    arns: dict[str, str] = {}
    for name, full_name in names.items():
        arns[name] = secrets.create_secret(Name=full_name, SecretString=f"value-of-{name}")["ARN"]
        secrets.put_resource_policy(SecretId=arns[name], ResourcePolicy=_document(tls))
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=f"{FAMILY}-execution", AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
    logs = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/ecs/{FAMILY}:log-stream:*"
    iam.put_role_policy(
        RoleName=f"{FAMILY}-execution",
        PolicyName="execution",
        PolicyDocument=_document(
            {"Effect": "Allow", "Action": READ, "Resource": list(arns.values())},
            {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": logs},
        ),
    )
    _client("logs").create_log_group(logGroupName=f"/ecs/{FAMILY}")
    references = {name.upper().replace("-", "_"): arn for name, arn in arns.items()}
    options = {"awslogs-group": f"/ecs/{FAMILY}", "awslogs-region": REGION, "awslogs-stream-prefix": "app"}
    container = {
        "name": "app",
        "image": "nginx:1.27",
        "memory": 512,
        "secrets": [{"name": name, "valueFrom": arn} for name, arn in references.items()],
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }
    revision = ecs.register_task_definition(family=FAMILY, executionRoleArn=role, containerDefinitions=[container])
    return {
        "environment": "dev",
        "secret_arns": arns,
        "secrets": {
            name: {"arn": arn, "full_name": names[name], "owner": "stack", "region": REGION, "json": False, "parts": {}}
            for name, arn in arns.items()
        },
        "services": {
            "app": {
                "container_secrets": references,
                "execution_role_arn": role,
                "task_role_arn": role,
                "task_definition_arn": revision["taskDefinition"]["taskDefinitionArn"],
                "task_definition_family": FAMILY,
                "log_group_name": f"/ecs/{FAMILY}",
            }
        },
        "monthly_cost_usd": 0.0,
    }


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _alone(outputs: dict[str, Any]) -> float:
    secrets = _client("secretsmanager")
    began = time.perf_counter()
    for arn in outputs["secret_arns"].values():
        secrets.describe_secret(SecretId=arn)
        secrets.get_secret_value(SecretId=arn)
        secrets.get_resource_policy(SecretId=arn)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
