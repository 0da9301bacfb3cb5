"""docs/migration.md and docs/onboarding.md: their commands, in their order; then what they did and said is looked at."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import local_aws
from sandbox.home import REPOSITORY, Home
from tests.sandbox.plain_pulumi import bash, blocks

pytestmark = pytest.mark.slow

PLAIN = (
    "plain-database-password",
    "plain-jwt-secret-with-some-length",
    "plain-smtp-password",
    "plain-encryption-key-of-32-bytes",
)
ADOPTED = {
    "ticketing/dev/db-master-password": "made-by-terraform",
    "ticketing/dev/jwt-secret": "also-made-by-terraform",
}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path / "sandbox")
    yield found
    local_aws.stop(found)


def document(name: str) -> str:
    return (REPOSITORY / "docs" / name).read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """The document's scripts by section's heading."""
    found = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return {heading: "\n".join(blocks(body)) for heading, body in found}


def run(script: str, folder: Path, home: Home, search_path: str, **more: str) -> str:
    """Return what a script printed; it must end well."""
    own = {"PATH": search_path, "SANDBOX_HOME": str(home.root), "HOME": str(home.root.parent)}
    done = bash(script, folder, own | more, timeout=240)
    assert done.returncode == 0, done.stdout
    return done.stdout


def client(home: Home, service: str) -> Any:
    found = local_aws.running(home)
    assert found is not None
    return found.client(service, region="eu-central-1", credentials=found.credentials("111111111111"))


def test_the_commands_of_the_migration_do_what_it_says(tmp_path: Path, home: Home, search_path: str) -> None:
    output = {
        heading: run(script, tmp_path, home, search_path, PYTHONPATH=str(REPOSITORY))
        for heading, script in sections(document("migration.md")).items()
    }
    steps = json.loads((tmp_path / "migration.json").read_text())["steps"]
    assert {step["variable"]: step["verdict"] for step in steps} == {
        **dict.fromkeys(("DATABASE_HOST", "NODE_ENV", "REDIS_HOST"), "plain"),
        **dict.fromkeys(("CLOUDFLARE_TOKEN", "DB_PASSWORD", "ENCRYPTION_KEY", "JWT_SECRET"), "secret"),
        **dict.fromkeys(("REDIS_PASSWORD", "SMTP_PASSWORD"), "secret"),
        "DATABASE_URL": "drop",
    }
    assert "Every other variable has its old value" in output["From a task definition in the clear"]
    printed = "".join(output.values()) + "".join((tmp_path / f"{n}.json").read_text() for n in ("migration", "adopt"))
    assert not any(value in printed for value in (*PLAIN, *ADOPTED.values()))

    ecs = client(home, "ecs")
    for status in ("ACTIVE", "INACTIVE"):
        assert ecs.list_task_definitions(familyPrefix="ticketing", status=status)["taskDefinitionArns"] == []
    found = ecs.describe_task_definition(taskDefinition="service-ticket-system-dev-app")["taskDefinition"]
    references = {s["name"]: s["valueFrom"] for s in found["containerDefinitions"][0]["secrets"]}
    assert ":secret:ticketing/dev/db-master-password-" in references["DB_PASSWORD"]
    assert ":secret:ticketing/dev/jwt-secret-" in references["JWT_SECRET"]

    secrets = client(home, "secretsmanager")
    state = json.loads((tmp_path / "terraform.tfstate").read_text())["resources"]
    arns = {r["instances"][0]["attributes"]["arn"] for r in state if r["type"] == "aws_secretsmanager_secret"}
    live = [secrets.get_secret_value(SecretId=arn) for arn in arns]
    assert {value["Name"]: value["SecretString"] for value in live} == ADOPTED
    assert all(len(secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]) == 1 for arn in arns)
    told = output["From secrets that exist"]
    assert "terraform state rm 'module.secrets.aws_secretsmanager_secret_version.db_master_password'" in told


def add_to_catalogue(folder: Path, entry: str) -> None:
    file = folder / "catalogue.py"
    text = file.read_text(encoding="utf-8").replace("    Constant,\n", "    Constant,\n    External,\n")
    head, start, entries = text.partition("\nCATALOGUE: Sequence[Entry] = (\n")
    assert start
    file.write_text(f"{head}{start}{entry}{entries}", encoding="utf-8")


def test_every_command_of_the_exercise_works(tmp_path: Path, home: Home, search_path: str) -> None:
    text, copy = document("onboarding.md"), tmp_path / "project"
    shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns(".*", "tests", "tools", "docs", "benchmarks"))
    shown: dict[str, str] = {}
    sign_in = ""
    for heading, script in sections(text).items():
        if heading.startswith("Add a secret"):
            add_to_catalogue(copy, *blocks(text, "python"))
        shown[heading.partition(" (")[0]] = run(sign_in + script, copy, home, search_path)
        # A person stays in one shell.
        sign_in = 'eval "$(python -m sandbox env)"\n'

    assert "\nhealthy\n" in shown["Look around"]
    added = shown["Add a secret"]
    assert "payment-token: has no value yet" in added
    assert added.index("exit status 1: a finding") < added.index("\nhealthy\n")
    assert "token-from-the-provider" in added
    broken = shown["Break a role, find it"]
    assert "on payment-token: no policy allows secretsmanager:GetSecretValue" in broken
    assert broken.index("exit status 1: a finding") < broken.index("\nhealthy\n")
    assert "\npermission: no policy of the execution role allows it to read the secret" in broken
    described = shown["Rotate"].partition("Secret jwt-secret of dev")[2]
    assert re.search(r"^version .*AWSCURRENT", described, flags=re.MULTILINE)
    assert re.search(r"^version .*AWSPREVIOUS", described, flags=re.MULTILINE)
    assert re.search(r"warning +redeploy +db-app-user: changed after", shown["Rotate"])
    lost = shown["Lose it, get it back"]
    assert "payment-token: marked for deletion" in lost
    assert "payment-token: doesn't exist" in lost
    assert lost.count("token-from-the-provider") == 2
    verdicts = re.findall(r"^(healthy|\d (?:failure|warning).*)$", lost, flags=re.MULTILINE)
    assert verdicts[:2] == ["1 failure", "1 failure"]
    # Whether the restored value is newer than the task definition depends on the second.
    assert verdicts[2] in {"healthy", "1 warning"}
