"""What the project ships: catalogue.py, Pulumi.yaml, the stack files. A fork edits `test_the_secrets_of_the_mission` alone."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

import catalogue
from config.declarations import Application, Supplied
from tests.unit.conftest import Recorder, Recording, run_program

ROOT = Path(__file__).parents[2]
APPLICATION: Application = runpy.run_path(str(ROOT / "catalogue.py"))["APPLICATION"]
PROJECT: str = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


def configuration(stack: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]


def program(record: Recorder, stack: str) -> Recording:
    config = configuration(stack)
    sources = (source for declaration in APPLICATION.catalogue(stack) for source in declaration.sources())
    supplied = {source.config_key for source in sources if isinstance(source, Supplied)}
    return run_program(
        record,
        {key: value for key, value in config.items() if key != "aws:defaultTags"},
        {key: f"invented-value-of-{key}" for key in supplied},
        project=PROJECT,
        stack=stack,
        account=config["aws:allowedAccountIds"][0],
        region=config["aws:region"],
    )


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_comes_up_as_it_is_shipped(record: Recorder, monkeypatch: pytest.MonkeyPatch, stack: str) -> None:
    monkeypatch.setattr(catalogue, "APPLICATION", APPLICATION)
    outputs = program(record, stack).exports
    assert set(outputs["secret_arns"]) == {declaration.name for declaration in APPLICATION.catalogue(stack)}
    assert set(outputs["services"]) == {service.name for service in APPLICATION.services}


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_has_the_tags_that_its_key_is_known_by(stack: str) -> None:
    tags = configuration(stack)["aws:defaultTags"]["tags"]
    assert tags.items() >= {"Project": PROJECT, "Environment": stack}.items()


def test_the_secrets_of_the_mission() -> None:
    """Whoever adds one changes no test."""
    mission = {"db-master-password", "jwt-secret", "app-config"}
    assert mission <= {declaration.name for declaration in APPLICATION.catalogue("dev")}
    assert {*mission, "db-app-user"} <= {declaration.name for declaration in APPLICATION.catalogue("prod")}
