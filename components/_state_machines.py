"""Amazon States Language definitions as pure functions. Source: AWS, "Amazon States Language"."""

import json
from typing import Any

from components.limits import NOT_UPDATED_BY_ECS, why_not_redeployed

QUIET_SECONDS = 120
"""How long no value must change before a deployment: `pulumi up` sets values, then registers the matching revision."""


def redeploy_service(partition: str, cluster: str, service: str, family: str | None) -> str:
    """Return a state machine that starts one deployment of an ECS service after a burst of changes.

    Each change starts an execution. It waits, and acts only if no other change has arrived: its execution is then
    the newest one, and the others have ended.

    It checks the service first. A service that runs `family` gets the family's newest active revision, so that a new value
    never meets the variables of an old revision. A service that runs another family, its owner's, gets a new deployment of
    its current revision, because this role can pass only the family's two roles. So does every service without a `family`. A
    service that UpdateService can't deploy fails the execution.

    ECS accepts one deployment at a time; six retries with doubling waits outlast a running one and a throttled API.

    Sources: AWS, Service Authorization Reference, Amazon ECS, API operations: UpdateService authorizes `iam:PassRole` on a task
    definition's roles when the request names a task definition, and not for a new deployment alone (keidarcy/e1s, issue 429 and
    pull request 430, show both).
    """
    retry = [
        {
            "ErrorEquals": ["States.ALL"],
            "IntervalSeconds": 2,
            "BackoffRate": 2,
            "MaxAttempts": 6,
            "MaxDelaySeconds": 60,
            "JitterStrategy": "FULL",
        }
    ]
    deploy: dict[str, Any] = {
        "Type": "Task",
        "Resource": f"arn:{partition}:states:::aws-sdk:ecs:updateService",
        "Parameters": {"Cluster": cluster, "Service": service, "ForceNewDeployment": True},
        # The response describes the whole service and is not needed here.
        "ResultPath": None,
        "Retry": retry,
        "End": True,
    }
    newest_choice: list[dict[str, Any]] = []
    newest_state: dict[str, Any] = {}
    if family:
        definition = f"{_SERVICE}.TaskDefinition"
        runs_family = {"Variable": definition, "StringMatches": f"*:task-definition/{family}:*"}
        newest_choice = [
            {"And": [{"Variable": definition, "IsPresent": True}, runs_family], "Next": "DeployNewestRevision"}
        ]
        parameters = {**deploy["Parameters"], "TaskDefinition": family}
        newest_state = {"DeployNewestRevision": {**deploy, "Parameters": parameters}}
    return json.dumps(
        {
            "Comment": "Redeploys the service once after secrets' values have changed",
            "StartAt": "Wait",
            "States": {
                "Wait": {"Type": "Wait", "Seconds": QUIET_SECONDS, "Next": "ListExecutions"},
                "ListExecutions": {
                    "Type": "Task",
                    "Resource": f"arn:{partition}:states:::aws-sdk:sfn:listExecutions",
                    # The newest one comes first.
                    "Parameters": {
                        "StateMachineArn.$": "$$.StateMachine.Id",
                        "StatusFilter": "RUNNING",
                        "MaxResults": 1,
                    },
                    "ResultSelector": {"Newest.$": "$.Executions[0].ExecutionArn", "Own.$": "$$.Execution.Id"},
                    "Retry": retry,
                    "Next": "IsNewest",
                },
                "IsNewest": {
                    "Type": "Choice",
                    "Choices": [{"Variable": "$.Newest", "StringEqualsPath": "$.Own", "Next": "DescribeService"}],
                    "Default": "LeftToTheNewest",
                },
                "LeftToTheNewest": {"Type": "Succeed"},
                "DescribeService": {
                    "Type": "Task",
                    "Resource": f"arn:{partition}:states:::aws-sdk:ecs:describeServices",
                    "Parameters": {"Cluster": cluster, "Services": [service]},
                    "ResultSelector": {"Services.$": "$.Services"},
                    "Retry": retry,
                    "Next": "WhatItRuns",
                },
                "WhatItRuns": {
                    "Type": "Choice",
                    "Choices": [
                        {
                            "And": [
                                {"Variable": f"{_SERVICE}.DeploymentController.Type", "IsPresent": True},
                                {
                                    "Or": [
                                        {
                                            "Variable": f"{_SERVICE}.DeploymentController.Type",
                                            "StringEquals": controller,
                                        }
                                        for controller in NOT_UPDATED_BY_ECS
                                    ]
                                },
                            ],
                            "Next": "DeployedByAnotherController",
                        },
                        *newest_choice,
                        {"Variable": _SERVICE, "IsPresent": True, "Next": "DeployAgain"},
                    ],
                    "Default": "NoSuchService",
                },
                **newest_state,
                "DeployAgain": deploy,
                "DeployedByAnotherController": {
                    "Type": "Fail",
                    "Error": "DeploymentController",
                    "Cause": why_not_redeployed(cluster, service),
                },
                "NoSuchService": {
                    "Type": "Fail",
                    "Error": "NoSuchService",
                    "Cause": f"There is no ECS service {cluster}/{service}. Correct `redeploy` in the stack's configuration.",
                },
            },
        },
    )


_SERVICE = "$.Services[0]"
