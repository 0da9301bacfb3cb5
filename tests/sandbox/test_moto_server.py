"""What the local AWS does where moto alone does something else."""

from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]


@pytest.fixture
def secrets(sandbox: Any, tiny: Make) -> Any:
    copy = tiny()
    sandbox.ok("preview", *copy.options)  # starts the local AWS
    return sandbox.aws("secretsmanager", copy)


def labels(client: Any, arn: str) -> dict[str, str]:
    """Each label with the value that it is at."""
    stages = client.describe_secret(SecretId=arn)["VersionIdsToStages"]
    values = {id_: client.get_secret_value(SecretId=arn, VersionId=id_)["SecretString"] for id_ in stages}
    return {label: values[id_] for id_, found in stages.items() for label in found}


def test_a_put_after_a_move_takes_the_label_from_where_it_is(secrets: Any) -> None:
    first = secrets.create_secret(Name="s", SecretString="one")
    second = secrets.put_secret_value(SecretId="s", SecretString="two")
    secrets.update_secret_version_stage(
        SecretId="s",
        VersionStage="AWSCURRENT",
        MoveToVersionId=first["VersionId"],
        RemoveFromVersionId=second["VersionId"],
    )
    assert labels(secrets, "s") == {"AWSCURRENT": "one", "AWSPREVIOUS": "two"}
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "one"
    secrets.put_secret_value(SecretId="s", SecretString="three")
    assert labels(secrets, "s") == {"AWSCURRENT": "three", "AWSPREVIOUS": "one"}


def test_a_label_that_is_nowhere_can_be_put_back(secrets: Any) -> None:
    made = secrets.create_secret(Name="s", SecretString="one")
    where = {"SecretId": "s", "VersionStage": "AWSCURRENT"}
    secrets.update_secret_version_stage(**where, RemoveFromVersionId=made["VersionId"])
    with pytest.raises(secrets.exceptions.ResourceNotFoundException):
        secrets.get_secret_value(SecretId="s")
    secrets.update_secret_version_stage(**where, MoveToVersionId=made["VersionId"])
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "one"
