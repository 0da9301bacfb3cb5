"""Manifests of AWS Copilot: one task definition for each environment, with what is around the manifest."""

from pathlib import Path
from typing import Any

import pytest

from ops._aws import Aws
from ops._references import References
from ops.migrate._task_definition import TaskDefinition, TaskDefinitionError, read

MANIFEST = """
name: api
type: Backend Service
image:
  location: shop/api:1
  port: 8080
  healthcheck:
    command: curl -f http://localhost:8080/health
    interval: 1m30s
    start_period: 15s
command: node "server main.js"
cpu: 256
memory: 512
platform: {osfamily: linux, architecture: arm64}
env_file: config/api.env
variables:
  LOG_LEVEL: info
  STAGE: ${COPILOT_ENVIRONMENT_NAME}
  TABLE:
    from_cfn: ${COPILOT_APPLICATION_NAME}-table
  BUILD: ${BUILD_NUMBER}
secrets:
  API_KEY: /copilot/${COPILOT_APPLICATION_NAME}/${COPILOT_ENVIRONMENT_NAME}/secrets/API_KEY
  DB_PASSWORD:
    secretsmanager: "shop/db:password::"
  OTHER:
    from_cfn: other-secret
sidecars:
  proxy:
    image: envoy:1
    port: 9901/udp
    variables: {LEVEL: debug}
environments:
  test:
    variables: {LOG_LEVEL: debug}
  prod:
    memory: 1024
    secrets:
      API_KEY: arn:aws:ssm:eu-west-1:111122223333:parameter/key
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A workspace of Copilot."""
    (tmp_path / "copilot" / "api").mkdir(parents=True)
    (tmp_path / "copilot" / ".workspace").write_text("application: shop\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "api.env").write_text("LOG_LEVEL=trace\nREGION_NAME=eu\n")
    path = tmp_path / "copilot" / "api" / "manifest.yml"
    path.write_text(MANIFEST)
    return path


def _of(path: Path, environment: str) -> TaskDefinition:
    return read(str(path), None, environment)


def test_variables_secrets_and_the_env_file(manifest: Path) -> None:
    with pytest.raises(TaskDefinitionError, match=r"has 2 task definitions: --family test \| prod"):
        read(str(manifest))
    (api, proxy) = _of(manifest, "test").containers
    assert api.plain == {"LOG_LEVEL": "debug", "REGION_NAME": "eu", "STAGE": "test"}
    assert api.references == {
        "API_KEY": "/copilot/shop/test/secrets/API_KEY",
        "DB_PASSWORD": "secretsmanager:shop/db:password::",
    }
    assert set(api.unread) == {"TABLE", "BUILD", "OTHER"}
    assert "BUILD_NUMBER from the shell" in api.unread["BUILD"]
    assert (proxy.image, proxy.plain, proxy.ports) == ("envoy:1", {"LEVEL": "debug"}, [("9901", "udp")])


def test_an_environment_overrides_what_it_names(manifest: Path) -> None:
    task = _of(manifest, "prod")
    api = task.containers[0]
    assert (task.cpu, task.memory, task.architecture, api.plain["LOG_LEVEL"]) == ("256", "1024", "ARM64", "info")
    assert api.references["API_KEY"].startswith("arn:aws:ssm:")
    assert (api.image, api.port) == ("shop/api:1", 8080)
    assert api.document["command"] == ["node", "server main.js"]
    assert api.document["healthCheck"] == {
        "command": ["CMD-SHELL", "curl -f http://localhost:8080/health"], "interval": 90, "startPeriod": 15,
    }  # fmt: skip


def test_an_env_file_that_is_not_there_is_told(manifest: Path) -> None:
    (manifest.parents[2] / "config" / "api.env").unlink()
    (api, _) = _of(manifest, "test").containers
    assert api.document["environmentFiles"] == [{"value": "config/api.env", "type": "file"}]


def test_a_secret_by_its_name_is_read(deploy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = deploy()
    for name, value in stack.variables.items():
        monkeypatch.setenv(name, value)
    stack.secrets.create_secret(Name="shop/db", SecretString='{"password": "brieftaube7"}')
    references = References(Aws(stack.region))
    assert references.value("secretsmanager:shop/db:password::") == "brieftaube7"
    assert references.value("secretsmanager:shop/db") == '{"password": "brieftaube7"}'
    with pytest.raises(ValueError, match="no text under the JSON key user"):
        references.value("secretsmanager:shop/db:user::")
