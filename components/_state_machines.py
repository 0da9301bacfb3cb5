"""Amazon States Language definitions as pure functions."""

import json


def redeploy_service(partition: str, cluster: str, service: str) -> str:
    """Return a state machine that starts a new deployment of one ECS service, with retries.

    Several secrets may change within seconds and ECS takes one deployment after the other; six retries with doubling waits
    (two minutes together at most) outlast that and a throttled API, within the five minutes of an express workflow.
    """
    return json.dumps(
        {
            "Comment": "Rolls the service after a secret's value has changed",
            "StartAt": "ForceNewDeployment",
            "States": {
                "ForceNewDeployment": {
                    "Type": "Task",
                    "Resource": f"arn:{partition}:states:::aws-sdk:ecs:updateService",
                    "Parameters": {"Cluster": cluster, "Service": service, "ForceNewDeployment": True},
                    # The answer describes the whole service and is of no use here.
                    "ResultPath": None,
                    "Retry": [
                        {
                            "ErrorEquals": ["States.ALL"],
                            "IntervalSeconds": 2,
                            "BackoffRate": 2,
                            "MaxAttempts": 6,
                            "MaxDelaySeconds": 60,
                            "JitterStrategy": "FULL",
                        }
                    ],
                    "End": True,
                }
            },
        },
        sort_keys=True,
    )
