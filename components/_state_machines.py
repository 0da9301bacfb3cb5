"""Amazon States Language definitions as pure functions. Source: AWS, "Amazon States Language"."""

import json

QUIET_SECONDS = 120
"""How long no value may change before a deployment: `pulumi up` puts values, then registers the revision that goes with them."""


def redeploy_service(partition: str, cluster: str, service: str, family: str | None) -> str:
    """Return a state machine that makes one deployment of an ECS service when a burst of changes is over.

    Each change starts an execution. It waits, and acts only if no change has come since: then its execution is the newest one
    that runs, and the others have ended, leaving it to it. The deployment takes the family's newest active revision, so that a
    new value never meets the variables of an old revision; without a family, what the service runs.

    ECS takes one deployment after the other; six retries with doubling waits outlast that and a throttled API.
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
                    "Choices": [{"Variable": "$.Newest", "StringEqualsPath": "$.Own", "Next": "UpdateService"}],
                    "Default": "LeftToTheNewest",
                },
                "LeftToTheNewest": {"Type": "Succeed"},
                "UpdateService": {
                    "Type": "Task",
                    "Resource": f"arn:{partition}:states:::aws-sdk:ecs:updateService",
                    "Parameters": {
                        "Cluster": cluster,
                        "Service": service,
                        **({"TaskDefinition": family} if family else {}),
                        "ForceNewDeployment": True,
                    },
                    # The answer describes the whole service and is of no use here.
                    "ResultPath": None,
                    "Retry": retry,
                    "End": True,
                },
            },
        },
        sort_keys=True,
    )
