"""The redeploying state machine, driven with the events of a rotation and of an `up`: one deployment, of the right revision."""

import heapq
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from components._state_machines import QUIET_SECONDS, redeploy_service

DEFINITION = json.loads(redeploy_service("aws", "main", "web", "tickets-prod-app"))
TASK = "arn:aws:states:::aws-sdk:"


@dataclass
class World:
    """A clock, ECS and Step Functions as far as the definition calls them."""

    now: float = 0
    revisions: list[str] = field(default_factory=lambda: ["tickets-prod-app:1"])
    value: str = "old"
    running: dict[str, float] = field(default_factory=dict[str, float])
    deployments: list[tuple[float, str, str]] = field(default_factory=list[tuple[float, str, str]])
    failures: int = 0
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list[Any])

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.events, (seconds, len(self.events), action))

    def run(self) -> None:
        while self.events:
            self.now, _, action = heapq.heappop(self.events)
            action()

    def change(self, value: str) -> None:
        """A secret's AWSCURRENT moves: EventBridge starts an execution."""
        self.value = value
        execution = f"execution-{len(self.running) + int(self.now * 1000)}"
        self.running[execution] = self.now
        self.step(execution, DEFINITION["StartAt"], {})

    def register(self) -> None:
        self.revisions.append(f"tickets-prod-app:{len(self.revisions) + 1}")

    def step(self, execution: str, name: str, data: dict[str, Any]) -> None:
        """Run states until one waits or the execution ends."""
        state = DEFINITION["States"][name]
        match state["Type"]:
            case "Wait":
                self.at(self.now + state["Seconds"], lambda: self.step(execution, state["Next"], data))
                return
            case "Succeed":
                del self.running[execution]
                return
            case "Choice":
                (choice,) = state["Choices"]
                same = _path(choice["Variable"], data, {}) == _path(choice["StringEqualsPath"], data, {})
                self.step(execution, choice["Next"] if same else state["Default"], data)
                return
            case kind:
                assert kind == "Task"
        context = {"StateMachine": {"Id": "machine"}, "Execution": {"Id": execution}}
        parameters = {
            k.removesuffix(".$"): _path(v, data, context) if k.endswith(".$") else v
            for k, v in state["Parameters"].items()
        }
        answer = self.retried(state, parameters)
        if "ResultSelector" in state:
            data = {k.removesuffix(".$"): _path(v, answer, context) for k, v in state["ResultSelector"].items()}
        if state.get("End"):
            del self.running[execution]
        else:
            self.step(execution, state["Next"], data)

    def retried(self, state: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
        for _ in range(state["Retry"][0]["MaxAttempts"]):
            try:
                return self.call(state["Resource"].removeprefix(TASK), parameters)
            except RuntimeError:
                continue
        return self.call(state["Resource"].removeprefix(TASK), parameters)

    def call(self, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("ThrottlingException")
        if action == "sfn:listExecutions":
            assert parameters == {"StateMachineArn": "machine", "StatusFilter": "RUNNING", "MaxResults": 1}
            newest = max(self.running, key=lambda execution: self.running[execution])
            return {"Executions": [{"ExecutionArn": newest}]}
        assert action == "ecs:updateService"
        assert parameters == {
            "Cluster": "main", "Service": "web", "TaskDefinition": "tickets-prod-app", "ForceNewDeployment": True,
        }  # fmt: skip
        self.deployments.append((self.now, self.revisions[-1], self.value))
        return {}


def _path(path: str, data: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    found: Any = context if path.startswith("$$.") else data
    for part in path.lstrip("$").strip(".").replace("[0]", ".0").split("."):
        found = found[int(part)] if part.isdigit() else found[part]
    return found


@pytest.fixture
def world() -> World:
    return World()


def test_a_rotation_by_function_leads_to_one_deployment_with_the_new_value(world: World) -> None:
    world.at(0, lambda: world.change("rotated"))
    world.run()
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


def test_throttled_calls_are_repeated(world: World) -> None:
    world.failures = 5
    world.at(0, lambda: world.change("rotated"))
    world.run()
    assert len(world.deployments) == 1


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
