"""A second application on the real engine: it differs from the first in catalogue, Pulumi.yaml and stack files only."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops import _stack
from sandbox.home import REPOSITORY

pytestmark = pytest.mark.slow

Make = Callable[..., Any]
SHOP = REPOSITORY / "tests" / "applications" / "shop"


def operator(sandbox: Any, copy: Any, file: Path, outputs: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """Return what runs one of the operator's commands from the copy, as somebody who forked the project does."""
    shutil.copytree(REPOSITORY / "ops", copy.directory / "ops")
    file.write_text(json.dumps(outputs), encoding="utf-8")
    exports = sandbox.command("env", *copy.options).out
    environment = {**os.environ, **dict(re.findall(r"^export (\w+)='?([^'\n]+)'?$", exports, re.MULTILINE))}

    def run(command: str) -> dict[str, Any]:
        words = [sys.executable, "-m", "ops", command, "--outputs", str(file), "--json"]
        done = subprocess.run(words, cwd=copy.directory, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    return run


def test_the_shop_comes_up_stays_as_it_is_and_leaves_nothing(sandbox: Any, project_copy: Make, tmp_path: Path) -> None:
    copy = project_copy()
    for path in (*copy.directory.glob("Pulumi*.yaml"), copy.directory / "catalogue.py"):
        path.unlink()
    for name in ("catalogue.py", "Pulumi.yaml"):
        shutil.copy(SHOP / name, copy.directory / name)
    text = (SHOP / "Pulumi.live.yaml").read_text(encoding="utf-8").replace("333333333333", copy.account)
    (copy.directory / f"Pulumi.{copy.stack}.yaml").write_text(text, encoding="utf-8")

    outputs = sandbox.ok("up", *copy.options)["outputs"]
    sandbox.stays(copy)

    stack = _stack.parse(outputs, "the test")
    assert set(stack.services) == {"web", "mailer"}
    assert stack.names.prefix == f"shop-{copy.stack}"
    client = sandbox.aws("secretsmanager", copy)
    assert {s["Name"] for s in client.list_secrets()["SecretList"]} == {
        secret.full_name for secret in stack.secrets.values()
    }

    client.put_secret_value(SecretId=stack.secret_arns["feature-flags"], SecretString="dark-mode=off,beta=on")
    ops = operator(sandbox, copy, tmp_path / "outputs.json", outputs)
    doctor = ops("doctor")
    assert [f for f in doctor["findings"] if f["status"] == "failure"] == []
    assert {f["found"] for f in doctor["findings"] if f["check"] == "permission"} == {
        f"shop-{copy.stack}-{service}-execution can read exactly the container's 3 secrets (static evaluation of the policies)"
        for service in ("web", "mailer")
    }
    assert ops("access")["ok"]
    assert ops("cost")["prices_as_of"]

    sandbox.ok("destroy", *copy.options)
    assert client.list_secrets()["SecretList"] == []
