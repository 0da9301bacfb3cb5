"""A redeployment on the local AWS, with the rights of the state machine's own role: what AWS would refuse is refused here."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pytest

from tests.sandbox.stack_options import given
from tests.states_language import FailedError, execute

Make = Callable[..., Any]
REDEPLOY = given(redeploy={"cluster": "main", "services": {"app": "web"}})
OTHERS = {"family": "shop", "containerDefinitions": [{"name": "shop", "image": "nginx:1", "memory": 128}]}


def serve(ecs: Any, task_definition: str, controller: str = "ECS") -> None:
    ecs.create_cluster(clusterName="main")
    ecs.create_service(
        cluster="main",
        serviceName="web",
        taskDefinition=task_definition,
        desiredCount=0,
        deploymentController={"type": controller},
    )


class Machine:
    """Runs a stack's state machine as its role. The wait is over at once, and its execution is the newest."""

    def __init__(self, sandbox: Any, copy: Any, family: str) -> None:
        states = sandbox.aws("stepfunctions", copy)
        (machine,) = states.list_state_machines()["stateMachines"]
        described = states.describe_state_machine(stateMachineArn=machine["stateMachineArn"])
        self.definition, self.arn = json.loads(described["definition"]), machine["stateMachineArn"]
        role = described["roleArn"]
        assert role.endswith(f"role/{family}-redeploy")
        found = sandbox.aws("sts", copy).assume_role(RoleArn=role, RoleSessionName="states")["Credentials"]
        self.session: Any = boto3.Session(
            found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], region_name=sandbox.region
        )
        self.endpoint = states.meta.endpoint_url
        self.called: list[tuple[str, Mapping[str, Any]]] = []

    def run(self) -> None:
        context = {"StateMachine": {"Id": self.arn}, "Execution": {"Id": "newest"}}
        assert sum(execute(self.definition, context, self.call)) > 0

    def call(self, action: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        service, _, name = action.partition(":")
        self.called.append((name, parameters))
        client = self.session.client({"sfn": "stepfunctions"}.get(service, service), endpoint_url=self.endpoint)
        method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
        answer = getattr(client, method)(**{key[0].lower() + key[1:]: value for key, value in parameters.items()})
        if name == "listExecutions":  # the local AWS runs none
            return {"Executions": [{"ExecutionArn": "newest"}]}
        return json.loads(json.dumps(answer, default=str), object_hook=_upper)


def _upper(found: dict[str, Any]) -> dict[str, Any]:
    """The names of the SDK integration."""
    return {key[0].upper() + key[1:]: value for key, value in found.items()}


@pytest.fixture
def up(sandbox: Any, project_copy: Make) -> tuple[Any, str]:
    copy = project_copy()
    outputs = sandbox.ok("up", *copy.options, *REDEPLOY)["outputs"]
    return copy, outputs["services"]["app"]["task_definition_family"]


def test_a_redeployment_as_its_role_deploys_the_newest_revision(sandbox: Any, up: tuple[Any, str]) -> None:
    copy, family = up
    ecs, iam = sandbox.aws("ecs", copy), sandbox.aws("iam", copy)
    serve(ecs, family)
    machine = Machine(sandbox, copy, family)
    machine.run()
    assert machine.called[-1] == (
        "updateService",
        {"Cluster": "main", "Service": "web", "ForceNewDeployment": True, "TaskDefinition": family},
    )

    # Without the dependent action, the local AWS refuses what AWS refuses.
    where = {"RoleName": f"{family}-redeploy", "PolicyName": "redeploy"}
    policy = iam.get_role_policy(**where)["PolicyDocument"]
    without = [statement for statement in policy["Statement"] if statement["Action"] != ["iam:PassRole"]]
    assert len(without) == len(policy["Statement"]) - 1
    iam.put_role_policy(**where, PolicyDocument=json.dumps({**policy, "Statement": without}))
    with pytest.raises(FailedError, match=f"not authorized to perform: iam:PassRole on resource: .*{family}-"):
        machine.run()


@pytest.mark.slow
def test_a_boundary_without_the_dependent_action_refuses_it(sandbox: Any, up: tuple[Any, str]) -> None:
    copy, family = up
    iam = sandbox.aws("iam", copy)
    serve(sandbox.aws("ecs", copy), family)
    limit = {"Effect": "Allow", "Action": ["ecs:*", "states:*"], "Resource": "*"}
    made = iam.create_policy(
        PolicyName="limit", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": limit})
    )
    iam.put_role_permissions_boundary(RoleName=f"{family}-redeploy", PermissionsBoundary=made["Policy"]["Arn"])
    with pytest.raises(FailedError, match="no permissions boundary allows the iam:PassRole action"):
        Machine(sandbox, copy, family).run()


def test_a_service_with_its_owners_family_is_deployed_without_passing_a_role(sandbox: Any, up: tuple[Any, str]) -> None:
    copy, family = up
    ecs = sandbox.aws("ecs", copy)
    ecs.register_task_definition(**OTHERS)
    serve(ecs, "shop")
    machine = Machine(sandbox, copy, family)
    machine.run()
    assert machine.called[-1] == ("updateService", {"Cluster": "main", "Service": "web", "ForceNewDeployment": True})
    (service,) = ecs.describe_services(cluster="main", services=["web"])["services"]
    assert service["taskDefinition"].endswith("task-definition/shop:1")


def test_a_service_of_another_controller_is_refused_at_up_and_by_the_state_machine(
    sandbox: Any, project_copy: Make, up: tuple[Any, str]
) -> None:
    copy, family = up
    serve(sandbox.aws("ecs", copy), family, "CODE_DEPLOY")
    with pytest.raises(FailedError) as caught:
        Machine(sandbox, copy, family).run()
    assert caught.value.args[0] == "DeploymentController"

    other = project_copy()
    ecs = sandbox.aws("ecs", other)
    ecs.register_task_definition(**OTHERS)
    serve(ecs, "shop", "CODE_DEPLOY")
    refused = sandbox.quick("up", *other.options, *REDEPLOY)
    assert refused.status == 1
    assert "main/web has the deployment controller CODE_DEPLOY or EXTERNAL" in refused.err
    assert "remove it from `redeploy.services`" in refused.err
    assert not sandbox.aws("secretsmanager", other).list_secrets()["SecretList"], "nothing was created"
    with pytest.raises(ecs.exceptions.InvalidParameterException, match="CODE_DEPLOY deployment controller"):
        ecs.update_service(cluster="main", service="web", forceNewDeployment=True)
