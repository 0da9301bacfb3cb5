"""Runs a state machine's definition: as much of the Amazon States Language as this project's definitions use.

Source: AWS, "Amazon States Language". What it does not know it refuses.
"""

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Call = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
TASK = "arn:aws:states:::aws-sdk:"
_MISSING = object()


class FailedError(Exception):
    """The execution has failed: `args` are the error's name and its cause."""


def execute(definition: Mapping[str, Any], context: Mapping[str, Any], call: Call) -> Iterator[float]:
    """Run a definition, and yield the seconds of each wait.

    Args:
        definition: The state machine.
        context: The context object (`$$`).
        call: Calls AWS: `SERVICE:ACTION`, parameters.

    Raises:
        FailedError: When the execution fails.
    """
    name = definition["StartAt"]
    data: dict[str, Any] = {}
    while True:
        state = definition["States"][name]
        match state["Type"]:
            case "Wait":
                yield state["Seconds"]
            case "Succeed":
                return
            case "Fail":
                raise FailedError(state["Error"], state["Cause"])
            case "Choice":
                name = next((rule["Next"] for rule in state["Choices"] if _holds(rule, data)), state["Default"])
                continue
            case "Task":
                answer = _retried(state, lambda state=state, data=data: call(
                    state["Resource"].removeprefix(TASK), _filled(state["Parameters"], data, context)
                ))  # fmt: skip
                if "ResultPath" not in state:
                    data = _filled(state["ResultSelector"], answer, context)
            case kind:
                raise NotImplementedError(kind)
        if state.get("End"):
            return
        name = state["Next"]


def _retried(state: Mapping[str, Any], call: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    (retry,) = state["Retry"]
    for _ in range(retry["MaxAttempts"]):
        try:
            return call()
        except Exception:  # noqa: BLE001, S112 - States.ALL
            continue
    try:
        return call()
    except Exception as error:
        raise FailedError("States.TaskFailed", str(error)) from error


def _filled(template: Mapping[str, Any], data: Any, context: Any) -> dict[str, Any]:
    return {
        key.removesuffix(".$"): _required(value, data, context) if key.endswith(".$") else value
        for key, value in template.items()
    }


def _required(path: str, data: Any, context: Any = None) -> Any:
    found = _at(path, data, context)
    if found is _MISSING:
        raise FailedError("States.Runtime", f"{path} is not in {data}")
    return found


def _at(path: str, data: Any, context: Any = None) -> Any:
    found = context if path.startswith("$$.") else data
    for part in path.lstrip("$").strip(".").replace("[0]", ".0").split("."):
        try:
            found = found[int(part)] if part.isdigit() else found[part]
        except (KeyError, IndexError):
            return _MISSING
    return found


def _holds(rule: Mapping[str, Any], data: Any) -> bool:
    if "And" in rule:
        return all(_holds(part, data) for part in rule["And"])
    if "Or" in rule:
        return any(_holds(part, data) for part in rule["Or"])
    (operator,) = rule.keys() - {"Variable", "Next"}
    if operator == "IsPresent":
        return (_at(rule["Variable"], data) is not _MISSING) == rule[operator]
    # A path that leads nowhere fails the execution.
    found = _required(rule["Variable"], data)
    match operator:
        case "StringEquals":
            return found == rule[operator]
        case "StringEqualsPath":
            return found == _required(rule[operator], data)
        case "StringMatches":
            return fnmatch.fnmatchcase(found, rule[operator])
        case _:
            raise NotImplementedError(operator)
