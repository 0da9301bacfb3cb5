"""What the local AWS does where moto alone does something else."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.moto_server import OneAtATime

Make = Callable[..., Any]


@pytest.fixture
def client(sandbox: Any, tiny: Make) -> Callable[[str], Any]:
    copy = tiny()
    sandbox.ok("preview", *copy.options)  # starts the local AWS
    return lambda service: sandbox.aws(service, copy)


@pytest.fixture
def secrets(client: Callable[[str], Any]) -> Any:
    return client("secretsmanager")


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


def test_a_version_keeps_its_value_while_it_is_pending(secrets: Any) -> None:
    secrets.create_secret(Name="s", SecretString="one")
    again = {"SecretId": "s", "ClientRequestToken": "0" * 32, "VersionStages": ["AWSPENDING"]}
    secrets.put_secret_value(**again, SecretString="two")
    secrets.put_secret_value(**again, SecretString="two")
    with pytest.raises(secrets.exceptions.ResourceExistsException):
        secrets.put_secret_value(**again, SecretString="three")
    assert labels(secrets, "s") == {"AWSCURRENT": "one", "AWSPENDING": "two"}


def test_a_put_moves_the_pending_label_only_when_it_names_it(secrets: Any) -> None:
    """A rotation that has ended leaves AWSPENDING at the current version."""
    first = secrets.create_secret(Name="s", SecretString="one")
    second = secrets.put_secret_value(SecretId="s", SecretString="two", VersionStages=["AWSPENDING"])
    secrets.update_secret_version_stage(
        SecretId="s",
        VersionStage="AWSCURRENT",
        MoveToVersionId=second["VersionId"],
        RemoveFromVersionId=first["VersionId"],
    )
    secrets.put_secret_value(SecretId="s", SecretString="three")
    assert labels(secrets, "s") == {"AWSCURRENT": "three", "AWSPREVIOUS": "two", "AWSPENDING": "two"}
    secrets.put_secret_value(SecretId="s", SecretString="four", VersionStages=["AWSCURRENT", "AWSPENDING"])
    assert labels(secrets, "s") == {"AWSCURRENT": "four", "AWSPREVIOUS": "three", "AWSPENDING": "four"}


def test_a_deregistered_revision_is_scaled_and_not_deployed(client: Callable[[str], Any]) -> None:
    ecs = client("ecs")
    containers = [{"name": "app", "image": "nginx:1", "memory": 128}]
    arn = ecs.register_task_definition(family="f", containerDefinitions=containers)["taskDefinition"][
        "taskDefinitionArn"
    ]
    ecs.create_cluster(clusterName="c")
    ecs.create_service(cluster="c", serviceName="s", taskDefinition=arn, desiredCount=1)
    ecs.update_service(cluster="c", service="s", forceNewDeployment=True)
    ecs.deregister_task_definition(taskDefinition=arn)
    assert ecs.update_service(cluster="c", service="s", desiredCount=2)["service"]["desiredCount"] == 2
    for call in (
        lambda: ecs.update_service(cluster="c", service="s", forceNewDeployment=True),
        lambda: ecs.update_service(cluster="c", service="s", taskDefinition=arn),
        lambda: ecs.create_service(cluster="c", serviceName="t", taskDefinition=arn),
    ):
        with pytest.raises(ecs.exceptions.ClientException, match="TaskDefinition is inactive"):
            call()


def machine(**state: Any) -> str:
    return json.dumps({"StartAt": "A", "States": {"A": state}})


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (machine(Type="Succeed"), None),
        (machine(Type="Pass", Next="B"), "MISSING_TRANSITION_TARGET: B at /States/A"),
        (machine(Type="Pass"), "MISSING_END_STATE"),
        (machine(Type="Foo", End=True), "Foo"),
        (machine(Type="Task", End=True), "No Resource declaration"),
        (machine(Type="Task", Resource="arn:aws:states:::aws-sdk:ecs:updateService", Retries=[], End=True), "Retries"),
        (
            json.dumps({"StartAt": "B", "States": {"A": {"Type": "Succeed"}}}),
            "MISSING_TRANSITION_TARGET: B at /StartAt",
        ),
        (machine(Type="Parallel", End=True, Branches=[json.loads(machine(Type="Pass"))]), "at /States/A/States/A"),
        ("no JSON", "Expecting value"),
    ],
)
def test_a_state_machine_s_definition_is_validated(
    client: Callable[[str], Any], definition: str, problem: str | None
) -> None:
    found = client("stepfunctions").validate_state_machine_definition(definition=definition)
    assert found["result"] == ("FAIL" if problem else "OK")
    assert problem is None or problem in found["diagnostics"][0]["message"]


def test_a_bucket_that_takes_requests_through_tls_only_answers_on_loopback_and_keeps_its_other_denials(
    client: Callable[[str], Any],
) -> None:
    s3, where = client("s3"), "arn:aws:s3:::tls-only"
    s3.create_bucket(Bucket="tls-only", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    everything = {"Effect": "Deny", "Principal": "*", "Resource": [where, f"{where}/*"]}
    tls = {**everything, "Action": "s3:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": [tls]}))
    s3.put_object(Bucket="tls-only", Key="state", Body=b"x")
    assert s3.get_object(Bucket="tls-only", Key="state")["Body"].read() == b"x"
    get = {**everything, "Action": "s3:GetObject"}
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": [tls, get]}))
    with pytest.raises(ClientError, match="403"):
        s3.get_object(Bucket="tls-only", Key="state")


def test_no_request_changes_what_another_one_walks_through() -> None:
    """moto walks through dictionaries that another request changes, IAM's roles at every call: `up` met HTTP 500."""
    running: list[int] = []
    overlapping: list[bool] = []

    def application(_environ: dict[str, Any], _start: object) -> list[bytes]:
        running.append(1)
        time.sleep(0.05)  # long enough for the other thread's request
        overlapping.append(len(running) > 1)
        running.pop()
        return [b""]

    server = OneAtATime(application)
    threads = [threading.Thread(target=server, args=({}, print)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlapping == [False, False]


def test_the_server_says_which_port_is_its_own(sandbox: Any, tiny: Make) -> None:
    copy = tiny()
    sandbox.ok("preview", *copy.options)
    recorded = json.loads((sandbox.home.root / "moto.json").read_text())
    assert recorded.keys() == {"pid", "port", "mark", "since"}
    assert sandbox.ok("preview", *copy.options)["changes"]
    assert json.loads((sandbox.home.root / "moto.json").read_text()) == recorded
