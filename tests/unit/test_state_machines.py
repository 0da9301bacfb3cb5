"""The redeploying state machine, driven with the events of a rotation and of an `up`: one deployment, of the right revision."""

import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from components._state_machines import QUIET_SECONDS, redeploy_service
from components.limits import NOT_UPDATED_BY_ECS
from components.policies import identity
from components.policies.identity import document
from ops.access.evaluator import Request, Statement, decide, parse
from tests.states_language import FailedError, execute

DEFINITION = json.loads(redeploy_service("aws", "main", "web", "tickets-prod-app"))
ECS = "arn:aws:ecs:eu-central-1:111122223333"
SERVICE = f"{ECS}:service/main/web"
MACHINE = "arn:aws:states:eu-central-1:111122223333:stateMachine:tickets-prod-app-redeploy"
ROLES = [f"arn:aws:iam::111122223333:role/tickets-prod-app-{part}" for part in ("execution", "task")]
RIGHTS = identity.redeploy(service_arn=SERVICE, state_machine_arn=MACHINE, passed_role_arns=ROLES)
WITHOUT_PASS_ROLE = parse(document([s for s in RIGHTS if "iam:PassRole" not in s["Action"]]), source="role")


@dataclass
class World:
    """A clock, ECS, Step Functions and IAM as far as the definition calls them."""

    now: float = 0
    revisions: list[str] = field(default_factory=lambda: ["tickets-prod-app:1"])
    runs: str = "tickets-prod-app:1"
    controller: str | None = "ECS"
    exists: bool = True
    rights: tuple[Statement, ...] = parse(document(RIGHTS), source="role")
    value: str = "old"
    running: dict[str, float] = field(default_factory=dict[str, float])
    deployments: list[tuple[float, str, str]] = field(default_factory=list[tuple[float, str, str]])
    failed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    failures: int = 0
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list[Any])

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.events, (seconds, len(self.events), action))

    def run(self) -> None:
        while self.events:
            self.now, _, action = heapq.heappop(self.events)
            action()

    def rotate(self) -> None:
        self.at(0, lambda: self.change("rotated"))
        self.run()

    def change(self, value: str) -> None:
        """A secret's AWSCURRENT moves: EventBridge starts an execution."""
        self.value = value
        execution = f"execution-{len(self.running) + int(self.now * 1000)}"
        self.running[execution] = self.now
        context = {"StateMachine": {"Id": MACHINE}, "Execution": {"Id": execution}}
        self.go_on(execution, execute(DEFINITION, context, self.call))

    def go_on(self, execution: str, states: Iterator[float]) -> None:
        """Run states until one waits or the execution ends."""
        try:
            seconds = next(states)
        except (StopIteration, FailedError) as end:
            del self.running[execution]
            self.failed += [end.args] if isinstance(end, FailedError) else []
        else:
            self.at(self.now + seconds, lambda: self.go_on(execution, states))

    def register(self) -> None:
        self.revisions.append(f"tickets-prod-app:{len(self.revisions) + 1}")

    def authorize(self, action: str, resource: str, **context: str) -> None:
        request = Request(action, resource, "redeploy", {"iam:passedtoservice": None, **context})
        if not decide(request, identity=self.rights).allows:
            raise RuntimeError(f"AccessDeniedException: {action} on {resource}")

    def call(self, action: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("ThrottlingException")
        match action:
            case "sfn:listExecutions":
                assert parameters == {"StateMachineArn": MACHINE, "StatusFilter": "RUNNING", "MaxResults": 1}
                self.authorize("states:ListExecutions", MACHINE)
                newest = max(self.running, key=lambda execution: self.running[execution])
                return {"Executions": [{"ExecutionArn": newest}]}
            case "ecs:describeServices":
                assert parameters == {"Cluster": "main", "Services": ["web"]}
                self.authorize("ecs:DescribeServices", SERVICE)
                return {"Services": [self.service()] if self.exists else []}
            case "ecs:updateService":
                return self.update(parameters)
            case _:
                raise AssertionError(action)

    def service(self) -> dict[str, Any]:
        controller = {"DeploymentController": {"Type": self.controller}} if self.controller else {}
        return {"TaskDefinition": f"{ECS}:task-definition/{self.runs}", **controller}

    def update(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        newest = {"TaskDefinition": "tickets-prod-app"} if "TaskDefinition" in parameters else {}
        assert parameters == {"Cluster": "main", "Service": "web", "ForceNewDeployment": True, **newest}
        self.authorize("ecs:UpdateService", SERVICE)
        if newest:
            # Dependent actions: ECS authorizes them on the roles that the task definition names.
            for role in ROLES:
                self.authorize("iam:PassRole", role, **{"iam:passedtoservice": "ecs-tasks.amazonaws.com"})
            self.runs = self.revisions[-1]
        self.deployments.append((self.now, self.runs, self.value))
        return {}


@pytest.fixture
def world() -> World:
    return World()


def test_a_rotation_by_function_leads_to_one_deployment_with_the_new_value(world: World) -> None:
    world.rotate()
    assert world.deployments == [(QUIET_SECONDS, "tickets-prod-app:1", "rotated")]


def test_an_up_that_puts_two_versions_leads_to_one_deployment_of_the_revision_that_it_makes(world: World) -> None:
    world.at(0, lambda: world.change("generation 1"))  # the value before, put for AWSPREVIOUS
    world.at(1.5, lambda: world.change("generation 2"))
    world.at(6, world.register)
    world.run()
    assert [deployment[1:] for deployment in world.deployments] == [("tickets-prod-app:2", "generation 2")]
    assert world.running == {}


def test_a_burst_that_lasts_longer_than_the_wait_is_waited_for(world: World) -> None:
    for number in range(8):
        world.at(number * 90, lambda number=number: world.change(f"value {number}"))
    world.run()
    assert world.deployments == [(7 * 90 + QUIET_SECONDS, "tickets-prod-app:1", "value 7")]


def test_changes_apart_lead_to_a_deployment_each(world: World) -> None:
    world.at(0, lambda: world.change("first"))
    world.at(1000, lambda: world.change("second"))
    world.run()
    assert [value for _, _, value in world.deployments] == ["first", "second"]


@pytest.mark.parametrize("changes", [{"failures": 5}, {"controller": None}], ids=["throttled", "no-controller-named"])
def test_it_is_deployed_once_all_the_same(changes: dict[str, Any]) -> None:
    world = World(**changes)
    world.rotate()
    assert len(world.deployments) == 1


def test_a_redeployment_without_pass_role_fails_and_says_so(world: World) -> None:
    world.rights = WITHOUT_PASS_ROLE
    world.rotate()
    assert world.deployments == []
    assert world.failed == [("States.TaskFailed", f"AccessDeniedException: iam:PassRole on {ROLES[0]}")]


@pytest.mark.parametrize("family", ["shop:7", "tickets-prod-app-2:1", "my-tickets-prod-app:1"])
def test_a_service_with_its_owners_family_gets_a_new_deployment_of_what_it_runs(world: World, family: str) -> None:
    world.runs = family
    world.rights = WITHOUT_PASS_ROLE
    world.rotate()
    assert [deployment[1:] for deployment in world.deployments] == [(family, "rotated")]


@pytest.mark.parametrize("controller", NOT_UPDATED_BY_ECS)
def test_a_service_of_another_controller_fails_with_what_to_do(world: World, controller: str) -> None:
    world.controller = controller
    world.rotate()
    assert world.deployments == []
    ((error, cause),) = world.failed
    assert error == "DeploymentController"
    assert "main/web has the deployment controller CODE_DEPLOY or EXTERNAL" in cause
    assert "remove it from `redeploy.services`" in cause


def test_a_service_that_does_not_exist_fails(world: World) -> None:
    world.exists = False
    world.rotate()
    assert world.failed == [
        ("NoSuchService", "There is no ECS service main/web. Correct `redeploy` in the stack's configuration.")
    ]


def test_every_task_is_retried_and_every_state_is_reachable() -> None:
    states = DEFINITION["States"]
    assert all(
        state["Retry"][0]["ErrorEquals"] == ["States.ALL"] for state in states.values() if state["Type"] == "Task"
    )
    targets = {DEFINITION["StartAt"]} | {
        state[k] for state in states.values() for k in ("Next", "Default") if k in state
    }
    targets |= {choice["Next"] for state in states.values() for choice in state.get("Choices", ())}
    assert targets == set(states)
