"""docs/onboarding.md: its commands, in its order, on a copy of the project; then what they said is looked at."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import local_aws
from sandbox.home import REPOSITORY, Home

pytestmark = pytest.mark.slow

DOCUMENT = (REPOSITORY / "docs" / "onboarding.md").read_text(encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project with the entry that the document adds to the catalogue; it is added when the first section has run."""
    folder = tmp_path / "project"
    left_out = shutil.ignore_patterns(".*", "tests", "tools", "docs", "benchmarks")
    shutil.copytree(REPOSITORY, folder, ignore=left_out)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path / "home")
    yield found
    local_aws.stop(found)


def add_to_catalogue(folder: Path) -> None:
    (entry,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
    file = folder / "catalogue.py"
    text = file.read_text(encoding="utf-8").replace("    Constant,\n", "    Constant,\n    External,\n")
    head, start, entries = text.partition("\nCATALOGUE: Sequence[Entry] = (\n")
    assert start
    file.write_text(f"{head}{start}{entry}{entries}", encoding="utf-8")


def test_every_command_of_the_exercise_works(copy: Path, home: Home, search_path: str) -> None:
    environment = {
        "PATH": search_path,
        "SANDBOX_HOME": str(home.root),
        "HOME": str(copy.parent),
    }
    shown: dict[str, str] = {}
    sign_in = ""
    for heading, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", DOCUMENT, flags=re.MULTILINE | re.DOTALL):
        if heading.startswith("Add a secret"):
            add_to_catalogue(copy)
        script = "\n".join(re.findall(r"^```bash\n(.*?)^```$", body, flags=re.MULTILINE | re.DOTALL))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", sign_in + script],
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
        )
        shown[heading.partition(" (")[0]] = done.stdout
        assert done.returncode == 0, done.stdout
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
